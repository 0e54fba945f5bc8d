"""The form of two revisions: which fields were signed, filled, added (ISO 32000-2 clauses 12.7 and 12.8.2.2, table 257).

Filling is permitted unless a signer forbade it, and only if the appearance of a field shows its value: what is drawn is what people read.
New are permitted signature fields and document time-stamps, nothing else.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pikepdf

from trust.codecs.asn1 import printable
from trust.errors import Malformed
from verifier.formats.pdf.appearance import Paint, paints, words
from verifier.formats.pdf.comparison import Comparison, array_of, dictionary_of, name_of
from verifier.formats.pdf.graph import Key
from verifier.formats.pdf.signatures import MAX_DEPTH, MAX_FIELDS, text_of

_HARMLESS_IN_FORM = frozenset({"/SigFlags", "/NeedAppearances", "/Fields", "/DR", "/DA", "/XFA"})
_HARMLESS_IN_FIELD = frozenset({"/P", "/Parent", "/StructParent", "/M", "/NM", "/Kids"})
_SIGNING = frozenset({"/V", "/AP", "/F", "/Ff", "/MK", "/DA", "/BS", "/Border", "/H"})
_FILLING = frozenset({"/V", "/AP", "/AS", "/I", "/RV", "/DA", "/MK"})
_READ_ONLY = 1
_PUSH_BUTTON = 1 << 16
_PASSWORD = 1 << 13


@dataclass(frozen=True, slots=True)
class Field:
    """A node of the form, with what it inherits."""

    name: str
    node: Any
    kind: str | None
    value: Any
    flags: int

    @property
    def label(self) -> str:
        return f"field {printable(self.name)}"


class Forms:
    """Compares forms. `widgets` are the objects that the form has judged, so that pages leave them alone."""

    def __init__(self, comparison: Comparison) -> None:
        self._comparison = comparison
        self._widgets: set[Key] = set()
        self._redrawn = False

    @property
    def widgets(self) -> frozenset[Key]:
        return frozenset(self._widgets)

    def compare(self, before: Any | None, after: Any | None) -> None:
        comparison = self._comparison
        was, now = _by_key(before), _by_key(after)
        # /NeedAppearances: readers draw every field anew from its value.
        self._redrawn = after is not None and after.get("/NeedAppearances") is True
        for field in (*was.values(), *now.values()):
            comparison.judge(field.node)
        self._widgets |= {k for k in (*was, *now) if isinstance(k, tuple)}
        for key, field in now.items():
            if key not in was:
                self._added(field)
            else:
                self._kept(was[key], field)
        for key, field in was.items():
            if key not in now:
                comparison.forbid(field.label, "removed")
        comparison.judge(before, after)
        if before is None and after is None:
            return
        old, new = before or pikepdf.Dictionary(), after or pikepdf.Dictionary()
        for key in sorted((set(old.keys()) | set(new.keys())) - _HARMLESS_IN_FORM):
            comparison.equal(f"form {key}", old.get(key), new.get(key))
        self._defaults(old, new)
        if "/XFA" in old or "/XFA" in new:
            self._xfa(old.get("/XFA"), new.get("/XFA"))

    def _defaults(self, old: Any, new: Any) -> None:
        """/DA and the fonts of /DR may be added for filling; what was there stays what it was."""
        if "/DA" in old:
            self._comparison.equal("form /DA", old.get("/DA"), new.get("/DA"))
        fonts, later = (dictionary_of(form.get("/DR")) for form in (old, new))
        fonts, later = (dictionary_of(r.get("/Font")) if r is not None else None for r in (fonts, later))
        for name, font in fonts.items() if fonts is not None else ():
            self._comparison.equal(f"form font {printable(name)}", font, None if later is None else later.get(name))

    def _xfa(self, before: Any, after: Any) -> None:
        """XFA: the packets that hold data may change when filling is permitted; templates and scripts may not."""
        was, now = _packets(before), _packets(after)
        if was is None or now is None or list(was) != list(now):
            self._comparison.equal("form /XFA", before, after)
            return
        for name, packet in was.items():
            if name in {"datasets", "form"} and self._comparison.permission.filling:
                continue
            self._comparison.equal(f"form /XFA {printable(name)}", packet, now[name])

    def _added(self, field: Field, *, known: bool = False) -> None:
        comparison = self._comparison
        if field.kind != "/Sig":
            comparison.forbid(field.label, "added")
            return
        value = dictionary_of(field.value)
        drawn = paints(dictionary_of(field.node.get("/AP"))) if _visible(field.node) else frozenset()
        if value is not None and name_of(value.get("/SubFilter")) == "/ETSI.RFC3161":
            # Anybody can have a document time-stamp: it permits itself, and must therefore show nothing but in a field that was there for it.
            if drawn and not (known and comparison.permission.filling):
                comparison.forbid(field.label, "document time-stamp with an appearance added")
            return
        if value is None and drawn & {Paint.TEXT, Paint.PICTURE}:
            comparison.forbid(field.label, "unsigned signature field with an appearance added")
        elif not comparison.permission.filling:
            comparison.forbid(field.label, "signature field added, though no change is permitted,")
        elif value is not None and comparison.permission.locked(field.name) and field.name:
            comparison.forbid(field.label, "signed, though locked,")

    def _kept(self, old: Field, new: Field) -> None:
        comparison = self._comparison
        if new.node.is_indirect and comparison.untouched(new.node.objgen):
            return
        keys = (set(old.node.keys()) | set(new.node.keys())) - _HARMLESS_IN_FIELD
        different = {k for k in keys if not comparison.same(old.node.get(k), new.node.get(k))}
        if not different or (different <= {"/F"} and old.kind == "/Sig"):
            return
        if old.kind == "/Sig":
            self._signature_field(old, new, different)
        elif different == {"/Ff"} and new.flags == old.flags | _READ_ONLY:
            comparison.remark(new.label, "made read-only")
        elif not comparison.permission.filling:
            comparison.forbid(new.label, "filled, though no change is permitted,")
        elif comparison.permission.locked(new.name):
            comparison.forbid(new.label, "filled, though locked,")
        elif not different - {"/Ff"} <= _FILLING or (new.flags | _READ_ONLY) != (old.flags | _READ_ONLY):
            comparison.forbid(new.label, f"changed in {', '.join(sorted(printable(k) for k in different - _FILLING))}")
        elif "/DA" in different or "/MK" in different or not self._shows_value(old, new, different):
            comparison.forbid(new.label, "given an appearance that is not its value")
        else:
            comparison.remark(new.label, "filled in")

    def _signature_field(self, old: Field, new: Field, different: set[str]) -> None:
        """An empty signature field may be signed; a signed one stays as it is."""
        comparison = self._comparison
        if dictionary_of(old.value) is not None:
            comparison.forbid(new.label, "signature or its appearance changed")
        elif not different <= _SIGNING:
            comparison.forbid(new.label, f"changed in {', '.join(sorted(printable(k) for k in different - _SIGNING))}")
        elif dictionary_of(new.value) is None:
            if paints(dictionary_of(new.node.get("/AP"))) & {Paint.TEXT, Paint.PICTURE}:
                comparison.forbid(new.label, "unsigned signature field given an appearance")
        else:
            self._added(new, known=True)

    def _shows_value(self, old: Field, new: Field, different: set[str]) -> bool:
        """Whether what is drawn is the value that the field has now."""
        if new.kind == "/Btn":
            return not new.flags & _PUSH_BUTTON and "/AP" not in different and self._button_state(new)
        if "/AP" not in different:
            # The picture stays, the value does not: readers that draw the old picture show what is no longer the value.
            return "/V" not in different or "/AP" not in new.node or self._redrawn or self._reads(new)
        # A value that stays must have looked like itself before: else the signer saw something else ("shadow" forms).
        return self._reads(new) and ("/V" in different or self._reads(old))

    def _button_state(self, field: Field) -> bool:
        """The state that is shown is the one that is the value, or Off."""
        state = name_of(field.node.get("/AS"))
        value = name_of(field.value)
        return state in {None, "/Off", value}

    def _reads(self, field: Field) -> bool:
        appearance = dictionary_of(field.node.get("/AP"))
        normal = appearance.get("/N") if appearance is not None else None
        if appearance is None or not isinstance(normal, pikepdf.Stream) or set(appearance.keys()) - {"/N"}:
            return appearance is None
        shown = words(normal, self._familiar)
        if shown is None:
            return False
        value = _value_text(field.value)
        if field.flags & _PASSWORD and field.kind == "/Tx":
            return len(shown) <= len(value) and set(shown) <= {"*", "•"}
        if field.kind == "/Ch":
            return shown == "" or shown in {_squeezed(t) for t in _displayed(field)} or _squeezed("".join(_listed(field))).find(shown) >= 0
        return shown == _squeezed(value) or bool(_numbers(shown) & _numbers(_squeezed(value)))

    def _familiar(self, font: Any) -> bool:
        return bool(font.is_indirect and font.objgen not in self._comparison.changed and self._comparison.unchanged(font))


def _by_key(form: Any | None) -> dict[Any, Field]:
    """The nodes of a form by object number, fields and their widgets alike; direct ones by name."""
    found: dict[Any, Field] = {}
    stack: list[tuple[Any, str, str | None, Any, int, int]] = [(n, "", None, None, 0, 0) for n in reversed(array_of(form and form.get("/Fields")))]
    while stack:
        item, above, kind, value, flags, depth = stack.pop()
        node = dictionary_of(item)
        if node is None or depth > MAX_DEPTH or (node.is_indirect and node.objgen in found):
            continue
        title = text_of(node.get("/T"))
        name = f"{above}.{title}" if above and title is not None else title if title is not None else above
        kind = name_of(node.get("/FT")) or kind
        value = node.get("/V", value)
        own = node.get("/Ff", flags)
        flags = own if isinstance(own, int) else flags
        found[node.objgen if node.is_indirect else f"{name} {len(found)}"] = Field(name, node, kind, value, flags)
        if len(found) > MAX_FIELDS:
            raise Malformed(f"PDF has more than {MAX_FIELDS} fields")
        stack.extend((kid, name, kind, value, flags, depth + 1) for kid in reversed(array_of(node.get("/Kids"))))
    return found


def _visible(node: Any) -> bool:
    """Whether a widget shows: an area on the page, and neither hidden nor without view."""
    flags = node.get("/F", 0)
    try:
        left, bottom, right, top = (float(v) for v in array_of(node.get("/Rect")))
    except (TypeError, ValueError):
        return "/AP" in node
    return left != right and bottom != top and not (isinstance(flags, int) and flags & (2 | 32))


def _packets(value: Any) -> dict[str, Any] | None:
    items = array_of(value)
    names = [text_of(n) for n in items[::2]]
    if not items or len(items) % 2 or any(n is None for n in names) or len(set(names)) != len(names):
        return None
    return {str(n): v for n, v in zip(names, items[1::2], strict=True)}


def _value_text(value: Any) -> str:
    if isinstance(value, pikepdf.Stream):
        return "\0"
    return "".join(_texts(value))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, pikepdf.String):
        yield str(value)
    elif isinstance(value, pikepdf.Name):
        yield str(value)[1:]
    for item in array_of(value):
        yield from _texts(item)


def _displayed(field: Field) -> Iterator[str]:
    """What a choice shows for its value: the display text of the option, or the value itself."""
    values = list(_texts(field.value))
    for option in array_of(field.node.get("/Opt")):
        pair = list(_texts(option))
        if len(pair) == 2 and pair[0] in values:
            yield pair[1]
    yield from values


def _listed(field: Field) -> Iterator[str]:
    for option in array_of(field.node.get("/Opt")):
        yield list(_texts(option))[-1:][0] if list(_texts(option)) else ""


def _squeezed(text: str) -> str:
    return "".join(text.split())


_GROUPED = re.compile(r"-?(\d{1,3}(?:[.,' ]\d{3})+|\d+)(?:[.,](\d+))?")


def _numbers(text: str) -> frozenset[str]:
    """The numbers that a text may write: a format script turns 1000 into 1,000.00 or 1.000,00."""
    bare = text.strip("€$£¥%")
    found = _GROUPED.fullmatch(bare)
    readings = [] if found is None else [(found[1], found[2] or "")]
    plain = re.fullmatch(r"-?(\d+)[.,](\d+)", bare)
    readings += [] if plain is None else [(plain[1], plain[2])]
    sign = "-" if bare.startswith("-") else ""
    return frozenset(f"{sign}{re.sub('[^0-9]', '', whole).lstrip('0')}.{part.rstrip('0')}" for whole, part in readings)
