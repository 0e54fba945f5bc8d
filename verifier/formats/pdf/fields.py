"""The fields of a form in one revision (ISO 32000-2 clause 12.7.4), with what they inherit, and the values that they may show."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pikepdf

from trust.codecs.asn1 import printable
from trust.errors import Malformed
from verifier.formats.pdf.comparison import array_of, dictionary_of, name_of
from verifier.formats.pdf.signatures import MAX_DEPTH, MAX_FIELDS, text_of
from verifier.formats.pdf.store import decoded

MAX_VALUE = 1 << 20
"""Bytes of a value that is a stream."""


@dataclass(frozen=True, slots=True)
class Field:
    """A node of the form, with what it inherits.

    Values are read when they are asked for: each revision reads its fields, and the signatures in a hundred of them are 2 MB.
    """

    name: str
    node: Any
    above: "Field | None" = None
    """The node that it inherits from; None for those of the form itself."""
    kind: str | None = None
    flags: int = 0
    parent: Any = None
    """The node that leads to it; None for those that the form lists."""

    @property
    def label(self) -> str:
        return f"field {printable(self.name)}"

    @property
    def value(self) -> Any:
        return self._inherited("/V")

    @property
    def options(self) -> Any:
        return self._inherited("/Opt")

    @property
    def default_appearance(self) -> Any:
        return self._inherited("/DA")

    @property
    def actions(self) -> Any:
        return self._inherited("/AA")

    @property
    def is_calculated(self) -> bool:
        """Whether a script of its own decides its value (ISO 32000-2 table 199, /C)."""
        return "/C" in (dictionary_of(self.actions) or {})

    @property
    def holder(self) -> Any:
        """The node that has the value."""
        return next((f.node for f in self._upwards() if "/V" in f.node), None)

    def _inherited(self, key: str) -> Any:
        return next((f.node.get(key) for f in self._upwards() if key in f.node), None)

    def _upwards(self) -> "Iterator[Field]":
        """Itself and what it inherits from, at most MAX_DEPTH of them."""
        at: Field | None = self
        while at is not None and at.node is not None:
            yield at
            at = at.above

    def below(self, node: Any) -> "Field":
        """A node as a child of this one."""
        title = text_of(node.get("/T"))
        name = f"{self.name}.{title}" if self.name and title is not None else title if title is not None else self.name
        own = node.get("/Ff", self.flags)
        return Field(
            name,
            node,
            None if self.node is None else self,
            name_of(node.get("/FT")) or self.kind,
            own if isinstance(own, int) else self.flags,
            self.node,
        )


def fields_of(form: Any | None) -> dict[Any, Field]:
    """The nodes of a form by object number, fields and their widgets alike; direct ones by name."""
    found: dict[Any, Field] = {}
    top = Field("", None)
    stack: list[tuple[Any, Field, int]] = [(n, top, 0) for n in reversed(array_of(form and form.get("/Fields")))]
    while stack:
        item, above, depth = stack.pop()
        node = dictionary_of(item)
        if node is None or depth > MAX_DEPTH or (node.is_indirect and node.objgen in found):
            continue
        field = above.below(node)
        found[node.objgen if node.is_indirect else f"{field.name} {len(found)}"] = field
        if len(found) > MAX_FIELDS:
            raise Malformed(f"PDF has more than {MAX_FIELDS} fields")
        stack.extend((kid, field, depth + 1) for kid in reversed(array_of(node.get("/Kids"))))
    return found


# Values.


def value_text(value: Any) -> str:
    if isinstance(value, pikepdf.Stream):
        data = decoded(value, MAX_VALUE)
        return data.decode("utf-16", "replace") if data[:2] in {b"\xfe\xff", b"\xff\xfe"} else data.decode("latin-1")
    return "".join(texts(value))


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, pikepdf.String):
        yield str(value)
    elif isinstance(value, pikepdf.Name):
        yield str(value)[1:]
    for item in array_of(value):
        yield from texts(item)


def displayed(field: Field) -> list[str]:
    """What a choice shows for each of its values: the display text of the option, or the value itself."""
    names: dict[str, str] = {}
    for option in array_of(field.options):
        if len(pair := list(texts(option))) == 2:
            names.setdefault(pair[0], pair[1])
    return [names.get(value, value) for value in texts(field.value)]


def listed(field: Field) -> list[str]:
    """What a list shows: all of its options."""
    return [found[-1] for option in array_of(field.options) if (found := list(texts(option)))]


def states(field: Field) -> frozenset[str]:
    """The states of a button other than Off, as its appearances name them."""
    appearance = dictionary_of(field.node.get("/AP"))
    normal = dictionary_of(appearance.get("/N")) if appearance is not None else None
    return frozenset() if normal is None else frozenset(normal.keys()) - {"/Off"}


_PRESENTED = re.compile("[\ufb00-\ufdff\ufe70-\ufeff]")
"""Ligatures and the forms that letters of Arabic take within a word."""


def squeezed(text: str) -> str:
    """Without white space and marks of direction; letters in one form, however they are composed and joined."""
    bare = _PRESENTED.sub(lambda m: unicodedata.normalize("NFKC", m[0]), "".join(text.split()))
    return unicodedata.normalize("NFC", "".join(c for c in bare if c not in _MARKS))


_MARKS = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff\xad")
_MIRRORED = str.maketrans("()[]{}<>«»", ")(][}{><»«")


def as_drawn(text: str) -> frozenset[str]:
    """The orders in which the letters of a value stand from left to right: right-to-left scripts run the other way, their numbers do not."""
    if not any(unicodedata.bidirectional(c) in {"R", "AL"} for c in text):
        return frozenset({text})
    runs: list[tuple[bool, str]] = []
    for character in text:
        kind = unicodedata.bidirectional(character)
        before = not runs or runs[-1][0]
        left = kind in {"L", "EN", "AN"} or (not before and kind in {"ES", "CS", "ET"})
        if runs and runs[-1][0] == (not left):
            runs[-1] = runs[-1][0], runs[-1][1] + character
        else:
            runs.append((not left, character))
    turned = [part[::-1].translate(_MIRRORED) if leftwards else part for leftwards, part in runs]
    return frozenset({"".join(turned), "".join(reversed(turned))})


_TAG = re.compile(r"<[^<>]{0,10000}>")


def rich_text(value: Any) -> str:
    """The words of /RV, a piece of XHTML."""
    bare = _TAG.sub("", value_text(value))
    for entity, character in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&apos;", "'"), ("&#13;", "\n"), ("&#10;", "\n"), ("&amp;", "&")):
        bare = bare.replace(entity, character)
    return bare


_GROUPED = re.compile(r"(\d{1,3}(?:[.,'\u00a0 ]\d{3})+|\d+)(?:[.,](\d+))?")
_PLAIN = re.compile(r"(\d+)[.,](\d+)")
_STORED = re.compile(r"-?\d*\.?\d*")
_UNIT = re.compile(r"^(?:[€$£¥￥₩]|US\$|EUR|USD|JPY|GBP|CHF)|(?:[€$£¥￥%円元]|EUR|USD|JPY|GBP|CHF)$")


def same_number(shown: str, value: str) -> bool:
    """Whether a format script may have made the one out of the other: 1000 becomes 1,000.00, 1.000,00, (1,000) or ¥1,000.

    A value is stored with a decimal point, so that 1.000 is one, whatever the country; only what is shown has several readings.
    """
    stored = _STORED.fullmatch(value) is not None and any(c.isdigit() for c in value)
    return bool(_numbers(shown) & (frozenset({_canonical(value)}) if stored else _numbers(value)))


def _canonical(value: str) -> str:
    whole, _, part = value.lstrip("-").partition(".")
    return f"{'-' if value.startswith('-') else ''}{whole.lstrip('0')}.{part.rstrip('0')}"


def _numbers(text: str) -> frozenset[str]:
    bare, sign = text, ""
    for _ in range(2):
        bare = _UNIT.sub("", bare)
        if bare.startswith("-"):
            bare, sign = bare[1:], "-"
        elif bare.startswith("(") and bare.endswith(")"):
            bare, sign = bare[1:-1], "-"
    readings = [(f[1], f[2] or "") for f in (_GROUPED.fullmatch(bare),) if f] + [(f[1], f[2]) for f in (_PLAIN.fullmatch(bare),) if f]
    return frozenset(f"{sign}{re.sub('[^0-9]', '', whole).lstrip('0')}.{part.rstrip('0')}" for whole, part in readings)
