"""What a seal on a PDF may be beyond a signature: its field, its place and look on a page, certification, and fields that it locks."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from trust.errors import Unacceptable
from trust.model import Document

POINTS_A_MM = 72 / 25.4
LARGEST_IMAGE, LARGEST_FONT = 8 << 20, 64 << 20
"""Bytes of a file; the largest free Japanese fonts have 30 MB."""
LONGEST_NAME, LONGEST_QR = 60, 500
"""Characters in the figure of a seal; of a QR code."""
MOST_LOCKED = 200
SMALLEST, LARGEST = 8.0, 14_400.0
"""Points of a side: what can still be seen, and a page of ISO 32000-1 annex C."""


class Figure(StrEnum):
    """The picture of a visible seal."""

    SEAL = "seal"
    """A square red seal with the organisation's name (角印); a plate for a name in Latin letters."""
    IMAGE = "image"
    QR = "qr"


class Certify(StrEnum):
    """What a certifying seal lets others do to the document (ISO 32000-1 clause 12.8.2.2, table 254: P is 1, 2, 3)."""

    NO_CHANGES = "no-changes"
    FORMS = "forms"
    """Fill in forms, and sign."""
    COMMENTS = "comments"
    """And comment."""

    @property
    def permission(self) -> int:
        return tuple(Certify).index(self) + 1


class Scope(StrEnum):
    """Which fields a seal locks (ISO 32000-1 table 233)."""

    ALL = "All"
    THESE = "Include"
    ALL_BUT = "Exclude"


@dataclass(frozen=True, slots=True)
class Lock:
    """FieldMDP: fields that nobody may change after this seal."""

    scope: Scope
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """What a visible seal shows: a figure, words, or a figure with words beside it."""

    figure: Figure | None = Figure.SEAL
    words: bool = False
    """Name, time, and what the seal says."""
    name: str | None = None
    """In the figure; None: the certificate's."""
    qr: str | None = None
    """In the code, in which {sha256} stands for the digest of the document as it was given; None: that alone."""
    image: Document | None = field(default=None, repr=False)
    """PNG or JPEG."""
    font: Document | None = field(default=None, repr=False)
    """TrueType or OpenType, or a collection."""

    def __post_init__(self) -> None:
        if self.figure is None and not self.words:
            raise Unacceptable("a visible seal shows a figure, text, or both")
        if (self.image is not None) != (self.figure is Figure.IMAGE):
            raise Unacceptable("a seal that shows an image needs one, as PNG or JPEG; and another shows none")
        if self.qr is not None and self.figure is not Figure.QR:
            raise Unacceptable("the content of a QR code belongs to a seal that shows one")
        for what, text, longest in (("name on a seal", self.name, LONGEST_NAME), ("content of a QR code", self.qr, LONGEST_QR)):
            if text is not None and not (text.strip() and len(text) <= longest and text.isprintable()):
                raise Unacceptable(f"the {what} is 1 to {longest} characters without line ends")
        for what, file, most in (("image", self.image, LARGEST_IMAGE), ("font", self.font, LARGEST_FONT)):
            if file is not None and (file.size or 0) > most:
                raise Unacceptable(f"the {what} is a file of at most {most >> 20} MB, got {file.size} bytes")

    @property
    def letters(self) -> bool:
        """Whether it takes a font."""
        return self.words or self.figure is Figure.SEAL


@dataclass(frozen=True, slots=True)
class Place:
    """Where on the paper."""

    page: int = 1
    """From 1; -1 is the last."""
    rectangle: tuple[float, float, float, float] | None = None
    """Left, bottom, right, top in points, from the lower left corner of the page as it is shown; None: a free place at the bottom."""

    def __post_init__(self) -> None:
        if self.page == 0 or abs(self.page) > 1_000_000:
            raise Unacceptable("a page is 1 for the first, 2 for the second …, or last")
        if self.rectangle is not None:
            left, bottom, right, top = self.rectangle
            if not (SMALLEST <= right - left <= LARGEST and SMALLEST <= top - bottom <= LARGEST and abs(left) < LARGEST and abs(bottom) < LARGEST):
                raise Unacceptable(f"a rectangle is left,bottom,right,top with sides of {SMALLEST:g} to {LARGEST:g} points")


@dataclass(frozen=True, slots=True)
class PdfSeal:
    """All of it. The default is a seal that is not seen, in a field of its own."""

    field: str | None = None
    """An empty signature field that the document has."""
    new_field: str | None = None
    """Or the name of one to be made."""
    look: Look | None = None
    place: Place | None = None
    certify: Certify | None = None
    lock: Lock | None = None

    def __post_init__(self) -> None:
        if self.field is not None and self.new_field is not None:
            raise Unacceptable("a seal goes into a field that is there or into a new one, not both")
        if self.field is not None and self.place is not None:
            raise Unacceptable("a field that is there has its own place: page and rectangle are of new ones")
        if self.place is not None and self.look is None:
            raise Unacceptable("page and rectangle are of a visible seal: say what it shows")
        if self.new_field is not None and not (1 <= len(self.new_field) <= 100 and self.new_field.isprintable() and "." not in self.new_field):
            raise Unacceptable("the name of a new field is 1 to 100 printable characters without a period")


PLAIN = PdfSeal()
OPTIONS = ("visible", "page", "rect", "field", "new_field", "certify", "lock", "qr", "seal_name")
"""What `wished` takes as text, by the name that every door uses."""
FILES = ("image", "font")
SHOWS: Mapping[str, tuple[Figure | None, bool]] = MappingProxyType(
    {"text": (None, True), **{str(f): (f, False) for f in Figure}, **{f"{f}+text": (f, True) for f in Figure}}
)
"""Name of a look -> its figure, and whether words stand beside it."""
_LENGTH = re.compile(r"(-?[0-9]{1,5}(?:\.[0-9]{1,4})?)(mm|pt)?")


def wished(said: Mapping[str, str | None], *, image: Document | None = None, font: Document | None = None) -> PdfSeal:
    """From the texts of OPTIONS; Unacceptable for what does not exist or does not fit together."""
    told = {name: said.get(name) for name in OPTIONS}
    shows = told["visible"]
    if shows is None:
        for name, value in (("qr", told["qr"]), ("seal_name", told["seal_name"]), ("image", image)):
            if value is not None:
                raise Unacceptable(f"{name} is of a visible seal: say what it shows ({', '.join(SHOWS)})")
        look = None
    elif shows not in SHOWS:
        raise Unacceptable(f"a visible seal shows {', '.join(SHOWS)}")
    else:
        figure, words = SHOWS[shows]
        look = Look(figure, words, told["seal_name"], told["qr"], image, font)
    place = Place(_page(told["page"]), _rectangle(told["rect"])) if told["page"] is not None or told["rect"] is not None else None
    return PdfSeal(told["field"], told["new_field"], look, place, _certify(told["certify"]), _lock(told["lock"]))


def _page(text: str | None) -> int:
    if text is None:
        return 1
    if text == "last":
        return -1
    if not (text.isascii() and text.isdecimal() and len(text) <= 7):
        raise Unacceptable("a page is 1 for the first, 2 for the second …, or last")
    return int(text)


def _rectangle(text: str | None) -> tuple[float, float, float, float] | None:
    if text is None:
        return None
    found = [_LENGTH.fullmatch(part.strip()) for part in text.split(",")]
    lengths = [float(m[1]) * (POINTS_A_MM if m[2] == "mm" else 1.0) for m in found if m is not None]
    if len(lengths) != 4 or len(found) != 4:
        raise Unacceptable("a rectangle is left,bottom,right,top in points or, with mm behind each number, millimetres")
    return lengths[0], lengths[1], lengths[2], lengths[3]


def _certify(text: str | None) -> Certify | None:
    if text is not None and text not in tuple(Certify):
        raise Unacceptable(f"a certifying seal allows {', '.join(Certify)}")
    return None if text is None else Certify(text)


def _lock(text: str | None) -> Lock | None:
    """`all`, `Total,Date`, or `all-but:Remarks`."""
    if text is None:
        return None
    if text == "all":
        return Lock(Scope.ALL)
    scope = Scope.ALL_BUT if text.startswith("all-but:") else Scope.THESE
    names = tuple(n.strip() for n in text.removeprefix("all-but:").split(","))
    if not all(n and n.isprintable() for n in names) or len(names) > MOST_LOCKED:
        raise Unacceptable(f"a lock is all, or names of fields with commas between (at most {MOST_LOCKED}), or all-but: and those names")
    return Lock(scope, names)
