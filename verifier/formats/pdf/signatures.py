"""Signature dictionaries (ISO 32000-2 clause 12.8.1): found, held against the bytes, and what they permit afterwards.

The bytes decide: /Contents is what stands in the gap of the /ByteRange, and a signature covers the file from its first byte but for that one string.
Errors: Malformed, nothing else.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pikepdf

from trust.codecs.asn1 import printable
from trust.errors import Malformed
from trust.model import Defect
from verifier.formats.pdf.file import Bytes, reading
from verifier.formats.pdf.syntax import Parser

MAX_SIGNATURES = 250
"""Signature dictionaries of one file; each may be a revision that is to be held against the next."""
MAX_FIELDS = 50_000
MAX_DEPTH = 50
"""Levels of the field tree."""
MAX_CONTENTS = 16 << 20
"""Bytes between `<` and `>`."""
_HEX = re.compile(rb"<[0-9A-Fa-f\s\x00]*>")
_AROUND = 1 << 16
"""Bytes before and after the gap in which its dictionary is looked for."""
_CONTENTS = re.compile(rb"/Contents[\s\x00]*\Z")
_DATE = re.compile(r"D?:?(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:([+\-Z])(?:(\d\d)'?(?:(\d\d)'?)?)?)?")
_RANGES = "ISO 32000-2 clause 12.8.1"


@dataclass(frozen=True, slots=True)
class Lock:
    """FieldMDP parameters or a signature field lock: which fields may not change afterwards (ISO 32000-2 tables 237 and 256)."""

    action: str
    """All, Include, Exclude; anything else locks as All does."""
    fields: tuple[str, ...] = ()

    def locks(self, name: str) -> bool:
        """Whether a field, or a field above it, is named."""
        named = any(name == f or name.startswith(f + ".") for f in self.fields)
        return named if self.action == "Include" else not named if self.action == "Exclude" else True


@dataclass(frozen=True, slots=True)
class SignatureDictionary:
    """A signature dictionary with the place that its /ByteRange gives it in the bytes."""

    fields: tuple[str, ...]
    """Full names of the fields that have it as their value."""
    key: tuple[int, int] | None
    """Object and generation number; None for a direct object."""
    type: str | None
    filter: str | None
    sub_filter: str | None
    ranges: tuple[tuple[int, int], ...]
    """Start and end offsets of the signed bytes; empty where /ByteRange cannot be used."""
    contents: bytes
    """As decoded from the gap, with its padding; from the dictionary where there is no gap."""
    end: int
    """Where the signed bytes end; 0 where nothing is signed."""
    sound: bool
    """The bytes it covers are those that a signature dictionary must cover."""
    time: datetime | None = None
    reason: str | None = None
    place: str | None = None
    contact: str | None = None
    name: str | None = None
    cert: tuple[bytes, ...] = ()
    """/Cert of adbe.x509.rsa_sha1."""
    doc_mdp: int | None = None
    """/P of its DocMDP transform: 1 no changes, 2 form filling and signing, 3 annotations too; None where it has none."""
    locks: tuple[Lock, ...] = ()
    lock_level: int | None = None
    """/P of its field's /Lock (ISO 32000-2 table 237), read as `doc_mdp` is."""
    defects: tuple[Defect, ...] = field(default=())


def signature_dictionaries(pdf: pikepdf.Pdf, data: Bytes) -> tuple[SignatureDictionary, ...]:
    """Every signature dictionary that a field of the form has as its value; where none has, every object that is one. In the order of their ends."""
    with reading("its form is broken"):
        found = _of_fields(pdf) or _of_objects(pdf)
        if len(found) > MAX_SIGNATURES:
            raise Malformed(f"PDF has more than {MAX_SIGNATURES} signatures")
        made = [_dictionary(value, tuple(names), data, locks, encrypted=pdf.is_encrypted) for value, names, locks in found]
    return tuple(sorted(made, key=lambda s: (s.end, s.fields)))


_Value = tuple[Any, list[str], list[Any]]
"""A signature dictionary, the names of its fields and their /Lock dictionaries."""


def _of_fields(pdf: pikepdf.Pdf) -> list[_Value]:
    """Values of signature fields; a dictionary that several fields share counts once."""
    found: dict[Any, _Value] = {}
    for name, node, kind in fields(pdf):
        value = _dict(node.get("/V"))
        if value is None or not (kind == "/Sig" or (kind is None and looks_signed(value))):
            continue
        key = value.objgen if value.is_indirect else (len(found), -1)
        known = found.setdefault(key, (value, [], []))
        known[1].append(name)
        known[2].append(node.get("/Lock"))
    return list(found.values())


def _of_objects(pdf: pikepdf.Pdf) -> list[_Value]:
    """Signature dictionaries that no form points at, in a file whose form points at none."""
    found: list[_Value] = []
    for thing in pdf.objects:
        value = _dict(thing)
        if value is not None and looks_signed(value) and name_of(value.get("/Type")) in {"/Sig", "/DocTimeStamp", None}:
            found.append((value, [], []))
    return found


def looks_signed(value: Any) -> bool:
    return "/ByteRange" in value and "/Contents" in value


def fields(pdf: pikepdf.Pdf) -> Iterator[tuple[str, Any, str | None]]:
    """Each terminal or valued field with its full name and (inherited) type. Loops and widgets are passed over."""
    form = _dict(pdf.Root.get("/AcroForm"))
    roots = _array(form.get("/Fields")) if form is not None else None
    stack: list[tuple[Any, str, str | None, int]] = [(node, "", None, 0) for node in reversed(list(roots or ()))]
    seen: set[tuple[int, int]] = set()
    while stack:
        item, above, inherited, depth = stack.pop()
        node = _dict(item)
        if node is None or depth > MAX_DEPTH or (node.is_indirect and node.objgen in seen):
            continue
        if node.is_indirect:
            seen.add(node.objgen)
        if len(seen) > MAX_FIELDS:
            raise Malformed(f"PDF has more than {MAX_FIELDS} fields")
        kind = name_of(node.get("/FT")) or inherited
        title = text_of(node.get("/T"))
        name = f"{above}.{title}" if above and title is not None else title if title is not None else above
        kids = _array(node.get("/Kids"))
        if "/V" in node or kids is None:
            yield name, node, kind
        stack.extend((kid, name, kind, depth + 1) for kid in reversed(list(kids or ())))


def _dictionary(value: Any, names: tuple[str, ...], data: Bytes, locks: list[Any], *, encrypted: bool) -> SignatureDictionary:
    defects: list[Defect] = []
    held = value.get("/Contents")
    # /Contents is never encrypted (ISO 32000-2 clause 7.6.2), but qpdf decrypts it where it does not know a signature: then the bytes alone speak.
    inside = None if encrypted else bytes(held) if isinstance(held, pikepdf.String) else b""
    ranges, contents = _placed(value.get("/ByteRange"), inside, data, defects)
    # A signature may leave its type out; a time-stamp is one by its sub-filter, and /Sig beside that is another matter.
    stamp = name_of(value.get("/SubFilter")) == "/ETSI.RFC3161"
    if name_of(value.get("/Type")) not in {"/Sig", None, *(["/DocTimeStamp"] if stamp else [])}:
        defects.append(Defect(_RANGES, "signature dictionary is of another /Type", fatal=False, refused=True))
    doc_mdp, transforms = _transforms(value)
    return SignatureDictionary(
        names,
        value.objgen if value.is_indirect else None,
        name_of(value.get("/Type")),
        name_of(value.get("/Filter")),
        name_of(value.get("/SubFilter")),
        ranges,
        contents,
        ranges[-1][1] if ranges else 0,
        bool(ranges) and not any(d.fatal for d in defects),
        date_of(text_of(value.get("/M"))),
        text_of(value.get("/Reason")),
        text_of(value.get("/Location")),
        text_of(value.get("/ContactInfo")),
        text_of(value.get("/Name")),
        _certs(value.get("/Cert")),
        doc_mdp,
        (*transforms, *(found for lock in locks if (found := _lock(lock)) is not None)),
        min((level for lock in locks if (level := _lock_permission(lock)) is not None), default=None),
        tuple(defects),
    )


def _placed(given: Any, inside: bytes | None, data: Bytes, defects: list[Defect]) -> tuple[tuple[tuple[int, int], ...], bytes]:
    """The signed ranges and the string in the gap between them.

    Sound is [0 a b c]: from the first byte to the `<` of /Contents, and from its `>` to the end of a revision. Anything else is a defect; what can be
    hashed is hashed all the same, so that a report can say more than that.
    """

    def wrong(why: str) -> None:
        defects.append(Defect(_RANGES, why))

    items = _array(given)
    numbers = [n for n in items or () if isinstance(n, int) and not isinstance(n, bool)]
    if items is None or len(numbers) != len(items) or not numbers or len(numbers) % 2:
        wrong("/ByteRange is not an array of pairs of integers")
        return (), inside or b""
    ranges = tuple((start, start + length) for start, length in zip(numbers[::2], numbers[1::2], strict=True))
    if any(start < 0 or end < start or end > data.size for start, end in ranges):
        wrong("/ByteRange leaves the file")
        return (), inside or b""
    if any(later[0] < earlier[1] for earlier, later in pairwise(ranges)):
        wrong("/ByteRange overlaps itself")
        return (), inside or b""
    if len(ranges) != 2 or ranges[0][0] != 0:
        wrong("/ByteRange is not two ranges from the first byte of the file")
        return ranges, inside or b""
    start, end = ranges[0][1], ranges[1][0]
    gap = data.slice(start, min(end, start + MAX_CONTENTS))
    if end - start > MAX_CONTENTS or not _HEX.fullmatch(gap):
        wrong("the bytes that /ByteRange leaves out are not one hexadecimal string")
        return ranges, inside or b""
    digits = re.sub(rb"[\s\x00]", b"", gap[1:-1])
    contents = bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode("ascii"))
    if (inside is not None and contents != inside) or not _CONTENTS.search(data.slice(max(0, start - 64), start)):
        wrong("the string that /ByteRange leaves out is not /Contents")
        return ranges, inside or b""
    if _is_ambiguous(data, start, end):
        wrong("signature dictionary has a key twice")
    if ranges[1][1] == end:
        wrong("/ByteRange ends with /Contents")
    elif not data.ends_revision(ranges[1][1]):
        defects.append(Defect(_RANGES, "/ByteRange does not end at the end of a revision", fatal=False))
    return ranges, contents


def _is_ambiguous(data: Bytes, start: int, end: int) -> bool:
    """Whether the dictionary around the gap has a key twice: programs take the first or the last."""
    head = data.rfind(b"obj", max(0, start - _AROUND), start)
    if head < 0:
        return False
    parser = Parser(data.slice(head + 3, start) + b"<>" + data.slice(end, end + _AROUND))
    try:
        parser.value()
    except Malformed:
        return True
    return bool(parser.doubled)


def _transforms(value: Any) -> tuple[int | None, list[Lock]]:
    """/Reference: DocMDP's permission (2 by default) and FieldMDP's locks."""
    doc_mdp: int | None = None
    locks: list[Lock] = []
    for item in _array(value.get("/Reference")) or ():
        reference = _dict(item)
        if reference is None:
            continue
        parameters = _dict(reference.get("/TransformParams"))
        method = name_of(reference.get("/TransformMethod"))
        if method == "/DocMDP":
            level = parameters.get("/P") if parameters is not None else None
            # 2 where none is said; what is no level at all permits nothing.
            doc_mdp = 2 if level is None else _level(level) or 1
        elif method == "/FieldMDP" and (lock := _lock(parameters)) is not None:
            locks.append(lock)
    return doc_mdp, locks


def _lock(value: Any) -> Lock | None:
    node = _dict(value)
    action = name_of(node.get("/Action")) if node is not None else None
    if node is None or action is None:
        return None
    return Lock(action[1:], tuple(t for f in _array(node.get("/Fields")) or () if (t := text_of(f)) is not None))


def _lock_permission(value: Any) -> int | None:
    """/P of a signature field lock (ISO 32000-2 table 237): what the document permits once that field is signed."""
    node = _dict(value)
    return None if node is None else _level(node.get("/P"))


def _level(value: Any) -> int | None:
    number = value if isinstance(value, int | Decimal) and not isinstance(value, bool) else 0
    return int(number) if number in {1, 2, 3} else None


def _certs(value: Any) -> tuple[bytes, ...]:
    items = [value] if isinstance(value, pikepdf.String) else list(_array(value) or ())
    return tuple(bytes(item) for item in items if isinstance(item, pikepdf.String))


# Values, as they may be and as they should be.


def _dict(value: Any) -> Any | None:
    return value if isinstance(value, pikepdf.Dictionary) else None


def _array(value: Any) -> Any | None:
    return value if isinstance(value, pikepdf.Array) else None


def name_of(value: Any) -> str | None:
    return str(value) if isinstance(value, pikepdf.Name) else None


def text_of(value: Any) -> str | None:
    """A text string (ISO 32000-2 clause 7.9.2.2) made harmless for reports."""
    return printable(str(value)) if isinstance(value, pikepdf.String) else None


def date_of(text: str | None) -> datetime | None:
    """ISO 32000-2 clause 7.9.4; a date without a zone is taken as UTC, because it is a claim that proves nothing anyway."""
    found = _DATE.match(text) if text else None
    if found is None:
        return None
    try:
        moment = datetime(int(found[1]), *(int(found[i] or d) for i, d in ((2, 1), (3, 1), (4, 0), (5, 0), (6, 0))), tzinfo=UTC)  # type: ignore[misc,arg-type]
        shift = timedelta(hours=int(found[8] or 0), minutes=int(found[9] or 0))
        return moment - shift if found[7] == "+" else moment + shift
    except (ValueError, OverflowError):
        return None
