"""The form of two revisions: which fields were signed, filled, added (ISO 32000-2 clauses 12.7 and 12.8.2.2, table 257).

Filling is permitted unless a signer forbade it, and only if the appearance of a field shows its value: what is drawn is what people read.
New are permitted signature fields and document time-stamps, nothing else.
"""

from typing import Any

import pikepdf

from trust.codecs.asn1 import printable
from trust.errors import Malformed
from verifier.formats.pdf.appearance import MAX_STREAM, Paint, seen, shown
from verifier.formats.pdf.comparison import Comparison, array_of, dictionary_of, name_of
from verifier.formats.pdf.fields import Field, fields_of, states
from verifier.formats.pdf.fonts import Unknown, letters
from verifier.formats.pdf.graph import Key, Revision, written
from verifier.formats.pdf.shown import PUSH_BUTTON, Shown
from verifier.formats.pdf.signatures import text_of
from verifier.formats.pdf.store import decoded
from verifier.formats.pdf.styles import default_appearance, is_plain_default, same_border, same_default, same_look
from verifier.formats.pdf.veils import frames
from verifier.formats.pdf.xfa import only_filled

_HARMLESS_IN_FORM = frozenset({"/SigFlags", "/NeedAppearances", "/Fields", "/DR", "/DA", "/XFA"})
_HARMLESS_IN_FIELD = frozenset({"/P", "/Parent", "/StructParent", "/M", "/NM", "/Kids"})
_SIGNING = frozenset({"/V", "/AP", "/F", "/Ff", "/MK", "/DA", "/BS", "/Border", "/H"})
_FILLING = frozenset({"/V", "/AP", "/AS", "/I", "/RV", "/DA", "/MK", "/TI"})
_ACTIVE = ("/A", "/AA")
_VALUES = frozenset({"/V", "/AP", "/AS", "/I", "/RV"})
_READ_ONLY = 1
_UNSEEN_FLAGS = 64 | 128 | 512
"""ReadOnly, Locked, LockedContents (table 167): the others decide whether an annotation is seen."""


def _fields_in(revision: Revision, form: Any | None) -> dict[Any, Field]:
    """The fields of a revision's form, read once."""
    if "fields" not in revision.read:
        revision.read["fields"] = fields_of(form)
    fields: dict[Any, Field] = revision.read["fields"]
    return fields


class Forms:
    """Compares forms. `widgets` are the objects that the form has judged, so that pages leave them alone; `fresh` those of them that may appear on
    a page; `signed` the signature dictionaries, by object number or by the name of their field, of the revision that is judged."""

    def __init__(self, comparison: Comparison, signed: frozenset[Any]) -> None:
        self._comparison = comparison
        self._signed = signed
        self._widgets: set[Key] = set()
        self._fresh: set[Key] = set()
        self._states: dict[str, set[str]] = {}
        self._default: list[Any] = [None, None]
        self._fonts: list[dict[str, Any]] = [{}, {}]
        self._shown = Shown(comparison, {}, redrawn=False)

    @property
    def widgets(self) -> frozenset[Key]:
        return frozenset(self._widgets)

    @property
    def fresh(self) -> frozenset[Key]:
        return frozenset(self._fresh)

    def compare(self, before: Any | None, after: Any | None) -> None:
        comparison = self._comparison
        was, now = _fields_in(comparison.old, before), _fields_in(comparison.new, after)
        # /NeedAppearances: readers draw every field anew from its value.
        redrawn = after is not None and after.get("/NeedAppearances") is True
        self._default = [None if form is None else form.get("/DA") for form in (before, after)]
        self._fonts = [_fonts_of(form) for form in (before, after)]
        self._shown = Shown(comparison, self._fonts[1], default=self._default[1], redrawn=redrawn)
        for field in (*was.values(), *now.values()):
            comparison.judge(field.node)
        self._widgets |= {k for k in (*was, *now) if isinstance(k, tuple)}
        for field in now.values():
            if field.kind == "/Btn":
                self._states.setdefault(field.name, set()).update(states(field))
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
        if redrawn and (before is None or before.get("/NeedAppearances") is not True):
            self._drawn_anew(was)
        old, new = before or pikepdf.Dictionary(), after or pikepdf.Dictionary()
        for key in sorted((set(old.keys()) | set(new.keys())) - _HARMLESS_IN_FORM):
            comparison.equal(f"form {key}", old.get(key), new.get(key))
        self._defaults(old, new, was)
        if "/XFA" in old or "/XFA" in new:
            self._xfa(old.get("/XFA"), new.get("/XFA"), now)

    def _drawn_anew(self, was: dict[Any, Field]) -> None:
        """Readers that draw all fields anew show values in place of the pictures that the signer saw."""
        for field in was.values():
            if self._shown.contradicts(field):
                self._comparison.forbid(field.label, "drawn anew, though its appearance was not its value,")

    def _defaults(self, old: Any, new: Any, was: dict[Any, Field]) -> None:
        """/DA and the fonts of /DR may be added for filling; what was there stays what it was."""
        if "/DA" in old:
            self._comparison.equal("form /DA", old.get("/DA"), new.get("/DA"))
        later = _fonts_of(new)
        before = _fonts_of(old)
        for name, font in before.items():
            self._comparison.equal(f"form font {printable(name)}", font, later.get(name))
        for name in sorted(later.keys() - before.keys()):
            if not _is_usual(name, later[name]) and any(_waits_for(name, f, self._default[0]) for f in was.values()):
                self._comparison.forbid(f"form font {printable(name)}", "added")

    def _xfa(self, before: Any, after: Any, fields: dict[Any, Field]) -> None:
        """XFA: the packets that hold data may say what the fields say, when filling is permitted; templates and scripts may not change."""
        was, now = _packets(before), _packets(after)
        if was is None or now is None or list(was) != list(now):
            self._comparison.equal("form /XFA", before, after)
            return
        permission = self._comparison.permission
        for name, packet in was.items():
            if name in {"datasets", "form"} and permission.filling and not permission.locks and only_filled(name, packet, now[name], fields.values()):
                continue
            self._comparison.equal(f"form /XFA {printable(name)}", packet, now[name])

    def _added(self, field: Field, *, known: bool = False) -> None:
        comparison = self._comparison
        if field.kind != "/Sig":
            comparison.forbid(field.label, "added")
            return
        if field.node.is_indirect:
            self._fresh.add(field.node.objgen)
        value = dictionary_of(field.value)
        drawn = seen(field.node)
        if any(key in field.node for key in _ACTIVE):
            comparison.forbid(field.label, "added with an action")
        if value is not None and (value.objgen if value.is_indirect else field.name) not in self._signed:
            comparison.forbid(field.label, "added with a signature that is not of its revision")
        elif value is not None and name_of(value.get("/SubFilter")) == "/ETSI.RFC3161":
            # Anybody can have a document time-stamp: it permits itself, and must therefore show nothing but in a field that was there for it.
            if drawn and not (known and comparison.permission.filling):
                comparison.forbid(field.label, "document time-stamp with an appearance added")
        elif value is None and drawn and not (drawn == {Paint.LINES} and frames(field.node)):
            comparison.forbid(field.label, "unsigned signature field with an appearance added")
        elif not comparison.permission.filling:
            comparison.forbid(field.label, "signature field added, though no change is permitted,")
        elif value is not None and comparison.permission.locked(field.name) and field.name:
            comparison.forbid(field.label, "signed, though locked,")

    def _kept(self, old: Field, new: Field) -> None:
        comparison = self._comparison
        if (old.name, old.kind) != (new.name, new.kind) or self._adopted(old, new):
            comparison.forbid(old.label, "given another name or kind")
            return
        inherited = self._inherited(old, new)
        if new.node.is_indirect and comparison.untouched(new.node.objgen) and not inherited:
            return
        keys = (set(old.node.keys()) | set(new.node.keys())) - _HARMLESS_IN_FIELD
        different = {k for k in keys if not comparison.same(old.node.get(k), new.node.get(k)) and not self._same_style(k, old, new)} | inherited
        if not different or (different <= {"/F"} and old.kind == "/Sig" and _view(old.node) == _view(new.node)):
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
        elif old.flags & _READ_ONLY and different & _VALUES and not old.is_calculated:
            comparison.forbid(new.label, "filled, though read-only,")
        elif "/DA" in different or "/MK" in different or not self._agrees(old, new, different):
            comparison.forbid(new.label, "given an appearance that is not its value")
        else:
            comparison.remark(new.label, "filled in")

    def _same_style(self, key: str, old: Field, new: Field) -> bool:
        """Whether what decides how a field is drawn means what it meant, in other words."""
        was, now = old.node.get(key), new.node.get(key)
        if old.kind == "/Sig":
            return False
        if key == "/DA":
            before, after = (default_appearance(f.default_appearance or d) for f, d in zip((old, new), self._default, strict=True))
            # A font that the form does not have is whatever readers take for it.
            missing = before is not None and after is not None and before.font not in self._fonts[0]
            any_font = missing and (after is None or after.font not in self._fonts[1] or _is_usual(after.font, self._fonts[1][after.font]))
            return same_default(before, after, any_font=any_font) or (was is None and old.kind == "/Btn" and is_plain_default(after))
        if key == "/BS":
            coloured = any("/BC" in (dictionary_of(f.node.get("/MK")) or {}) for f in (old, new))
            return "/Border" not in old.node and same_border(was, now, coloured=coloured)
        return key == "/MK" and same_look(was, now, self._comparison.same, captions=old.kind != "/Btn" or bool(old.flags & PUSH_BUTTON))

    def _adopted(self, old: Field, new: Field) -> bool:
        """Whether /Parent leads elsewhere than /Kids came from: some readers inherit values and names that way."""
        parent = dictionary_of(new.node.get("/Parent"))
        if parent is None or (new.parent is not None and written(parent) == written(new.parent)):
            return False
        return written(parent) != written(old.node.get("/Parent")) or (parent.is_indirect and parent.objgen in self._comparison.changed)

    def _inherited(self, old: Field, new: Field) -> set[str]:
        """Whether a value that stands above the node is another."""
        changed = self._comparison.changed
        above = [f.holder for f in (old, new) if f.above is not None and f.holder is not None and f.holder is not f.node and "/V" not in f.node]
        if not any(h.is_indirect and h.objgen in changed for h in above):
            return set()
        return set() if self._comparison.same(old.value, new.value) else {"/V"}

    def _agrees(self, old: Field, new: Field, different: set[str]) -> bool:
        value = name_of(new.value)
        if new.kind == "/Btn" and value not in {None, "/Off"} and self._states.get(new.name) and value not in self._states[new.name]:
            return False
        return self._shown.agrees(old, new, different)

    def _signature_field(self, old: Field, new: Field, different: set[str]) -> None:
        """An empty signature field may be signed; a signed one stays as it is."""
        comparison = self._comparison
        if dictionary_of(old.value) is not None:
            comparison.forbid(new.label, "signature or its appearance changed")
        elif not different <= _SIGNING:
            comparison.forbid(new.label, f"changed in {', '.join(sorted(printable(k) for k in different - _SIGNING))}")
        elif dictionary_of(new.value) is None:
            if seen(new.node) and different & {"/AP", "/F", "/MK"}:
                comparison.forbid(new.label, "unsigned signature field given an appearance")
        else:
            self._added(new, known=True)


def _view(node: Any) -> int:
    flags = node.get("/F", 0)
    return flags & ~_UNSEEN_FLAGS if isinstance(flags, int) else -1


def _fonts_of(form: Any | None) -> dict[str, Any]:
    """The fonts that the form lends to its fields."""
    resources = dictionary_of(form.get("/DR")) if form is not None else None
    fonts = dictionary_of(resources.get("/Font")) if resources is not None else None
    return {} if fonts is None else dict(fonts.items())


def _is_usual(name: str, font: Any) -> bool:
    """Whether a font draws each letter as itself, as readers do without it."""
    if name == "/ZaDb" and name_of(font.get("/BaseFont")) == "/ZapfDingbats":
        return not isinstance(font.get("/Encoding"), pikepdf.Dictionary)
    try:
        return letters(font, lambda _: False)(_ASCII) == _ASCII.decode("ascii")
    except (Unknown, TypeError, ValueError):
        return False


_ASCII = bytes(range(33, 127))


def _waits_for(name: str, field: Field, default: Any) -> bool:
    """Whether a field that was there names a font that nobody had: one that comes later changes what it shows."""
    if name[1:] in str(field.default_appearance or default or ""):
        return True
    for stream in shown(field.node):
        fonts = dictionary_of((dictionary_of(stream.get("/Resources")) or {}).get("/Font")) or {}
        try:
            if name not in fonts and name.encode() in decoded(stream, MAX_STREAM):
                return True
        except Malformed:
            return True
    return False


def _packets(value: Any) -> dict[str, Any] | None:
    items = array_of(value)
    names = [text_of(n) for n in items[::2]]
    if not items or len(items) % 2 or any(n is None for n in names) or len(set(names)) != len(names):
        return None
    return {str(n): v for n, v in zip(names, items[1::2], strict=True)}
