"""Annotations of two revisions: which may come, change and go after signing (ISO 32000-2 clause 12.8.2.2, table 257: DocMDP level 3).

Permitted are remarks that cannot pass for the document's own content: notes and mark-up, without words or pictures of their own drawn on
the page. Free text, stamps, redactions and anything with an action show what nobody signed (certification attacks "evil annotation").
"""

from collections.abc import Iterable
from typing import Any

from verifier.formats.pdf.appearance import Paint, is_visible, paints, seen
from verifier.formats.pdf.comparison import Comparison, array_of, dictionary_of, name_of
from verifier.formats.pdf.covering import Below, blank, hides, hides_now, veiled
from verifier.formats.pdf.drawing import box_of, extent
from verifier.formats.pdf.graph import Key, written
from verifier.formats.pdf.pictures import Looked

_DRAWINGS = frozenset({"/Ink", "/Line", "/PolyLine", "/Polygon", "/Square", "/Circle"})
_REMARKS = frozenset({"/Text", "/Popup", "/Highlight", "/Underline", "/Squiggly", "/StrikeOut", "/Caret"}) | _DRAWINGS
_HARMLESS = frozenset({"/P", "/Parent", "/StructParent", "/M", "/NM"})
_OF_REMARKS = frozenset(
    {"/Subtype", "/Contents", "/RC", "/Rect", "/RD", "/QuadPoints", "/InkList", "/C", "/CA", "/ca", "/AP", "/AS", "/F", "/Border", "/BS", "/BE"}
    | {"/Popup", "/IRT", "/RT", "/Subj", "/T", "/CreationDate", "/Open", "/Name", "/State", "/StateModel", "/IT", "/Sy", "/Lang", "/BM"}
    | {"/L", "/LE", "/LL", "/LLE", "/LLO", "/Vertices", "/Measure"}
)
"""ISO 32000-2 tables 166, 172 and those of each kind."""
_ACTIVE = ("/A", "/AA", "/PA")
_SAYING = frozenset({"/StrikeOut", "/Caret"}) | _DRAWINGS
"""What a signer may have meant as a change of the text: gone, it says something else."""
_ICONS = frozenset({"/Text", "/Caret", "/Popup"})
EDGE = 2.0
"""Points by which neighbours may overlap."""
NOTE = 40.0
"""Points: a note's icon is no larger; one that is covers text."""


class Annotations:
    """Compares the annotations of a page. Widgets of the form are the form's, but only the `fresh` ones may come to a page."""

    def __init__(self, comparison: Comparison, widgets: frozenset[Key], fresh: frozenset[Key]) -> None:
        self._comparison = comparison
        self._widgets = widgets
        self._fresh = fresh

    def compare(self, page: str, sheet: Any, before: Any, after: Any) -> None:
        """`sheet` is the page as it was."""
        self._comparison.judge(before, after)
        below = Below(sheet, self._comparison.new.shared.setdefault("looked", Looked()))
        was = {_identity(a): a for a in array_of(before) if dictionary_of(a) is not None}
        now = {_identity(a): a for a in array_of(after) if dictionary_of(a) is not None}
        others = [[written(a) for a in array_of(v) if dictionary_of(a) is None] for v in (before, after)]
        if others[0] != others[1]:
            self._comparison.forbid(f"{page} annotations", "changed")
        kept = [k for k in now if k in was]
        if kept != [k for k in was if k in now]:
            self._comparison.forbid(f"{page} annotations", "put into another order")
        for key, annotation in was.items():
            if key not in now:
                self._removed(page, annotation, below)
        for key, annotation in was.items():
            if key in now and self._is_widget(annotation) and self._covers_anew(annotation, now[key], below):
                self._comparison.forbid(f"{page} form field", "drawn over what the page showed")
        came = [now[key] for key, a in was.items() if key in now and not self._is_widget(a) and self._kept(page, a, now[key], below)]
        for key, annotation in now.items():
            if key not in was and not self._is_widget(annotation):
                came += [annotation] if self._added(page, annotation, "added", below) else []
            elif key not in was and key not in self._fresh:
                self._comparison.forbid(f"{page} {_kind(annotation)} annotation", "added")
            elif key not in was and _overlays(annotation, below, was.values()):
                self._comparison.forbid(f"{page} signature field", "added over what the page showed")
        if came and _cover_together(came, now.values(), below):
            self._comparison.forbid(f"{page} annotations", "added over what the page showed")

    def _is_widget(self, annotation: Any) -> bool:
        return bool(annotation.is_indirect and annotation.objgen in self._widgets)

    def _covers_anew(self, old: Any, new: Any, below: Below) -> bool:
        """Whether a field that was there hides letters of the page that it did not hide when it was signed: a value is filled in, not pasted over."""
        if (new.objgen not in self._comparison.changed and self._comparison.unchanged(new.get("/AP"))) or not is_visible(new):
            return False
        return hides_now(new) and not (is_visible(old) and hides_now(old)) and below.lettered(new.get("/Rect"))

    def _removed(self, page: str, annotation: Any, below: Below) -> None:
        name = f"{page} {_kind(annotation)} annotation"
        if self._may_go(annotation, below):
            self._comparison.remark(name, "removed")
        else:
            self._comparison.forbid(name, "removed")

    def _may_go(self, annotation: Any, below: Below) -> bool:
        """Whether a remark may be taken away: not what hid something when it was signed, nor, unless a signer said so, what changed the text."""
        permission, kind = self._comparison.permission, name_of(annotation.get("/Subtype"))
        return permission.annotations and not (permission.level is None and kind in _SAYING) and is_remark(annotation, below)

    def _kept(self, page: str, old: Any, new: Any, below: Below) -> bool:
        """Whether a remark became another one."""
        keys = (set(old.keys()) | set(new.keys())) - _HARMLESS
        if all(self._comparison.same(old.get(k), new.get(k)) for k in keys):
            return False
        if self._may_go(old, below) and all(k in _OF_REMARKS or self._comparison.same(old.get(k), new.get(k)) for k in keys):
            return self._added(page, new, "changed", below)
        self._comparison.forbid(f"{page} {_kind(old)} annotation", "changed")
        return False

    def _added(self, page: str, annotation: Any, how: str, below: Below) -> bool:
        """Whether it is a remark that may come."""
        name = f"{page} {_kind(annotation)} annotation"
        self._comparison.judge(annotation)
        permitted = self._comparison.permission.annotations and is_remark(annotation, below)
        (self._comparison.remark if permitted else self._comparison.forbid)(name, how)
        return permitted


def _cover_together(came: list[Any], everything: Iterable[Any], below: Below) -> bool:
    """Whether remarks that came hide something with each other, or with those that were there."""
    drawn = [a for a in everything if name_of(a.get("/Subtype")) in _REMARKS - _ICONS]
    were = [a for a in drawn if not any(a is c for c in came) and not hides(a, below)]
    fresh = [a for a in came if name_of(a.get("/Subtype")) not in _ICONS]
    return len(fresh) + len(were) > 1 and bool(fresh) and veiled([*fresh, *were], below)


def is_remark(annotation: Any, below: Below) -> bool:
    """Whether an annotation can only comment: of a kind that does, without action, drawing neither words nor pictures, hiding nothing."""
    kind = name_of(annotation.get("/Subtype"))
    if kind not in _REMARKS or any(key in annotation for key in _ACTIVE):
        return False
    if paints(dictionary_of(annotation.get("/AP"))) & {Paint.TEXT, Paint.PICTURE}:
        return False
    if kind in _ICONS - {"/Popup"}:
        return "/AP" not in annotation or (extent(annotation.get("/Rect")) <= NOTE and not blank(annotation, below))
    if kind == "/Line" and annotation.get("/Cap") is True:
        return False
    return not hides(annotation, below)


def _overlays(seal: Any, below: Below, others: Iterable[Any]) -> bool:
    """Whether a seal that came later is drawn over letters of the page, or over another field or remark: not even a signer may replace them."""
    if not seen(seal):
        return False
    at = seal.get("/Rect")
    return below.lettered(at) or below.inked(at, opaque=hides(seal)) or any(_is_shown(o) and _meet(seal.get("/Rect"), o.get("/Rect")) for o in others)


def _is_shown(annotation: Any) -> bool:
    """Whether an annotation takes a place on the page; a field that waits for a signature does not yet."""
    if name_of(annotation.get("/Subtype")) in {"/Popup", "/Link", None}:
        return False
    return is_visible(annotation) and (bool(seen(annotation)) or name_of(annotation.get("/FT")) in {"/Tx", "/Ch", "/Btn"})


def _meet(one: Any, other: Any) -> bool:
    """Whether two rectangles share more than an edge."""
    try:
        a, b = box_of(one), box_of(other)
    except (TypeError, ValueError):
        return True
    return all(min(a[i + 2], b[i + 2]) - max(a[i], b[i]) > EDGE for i in (0, 1))


def _kind(annotation: Any) -> str:
    kind = name_of(annotation.get("/Subtype"))
    return kind[1:] if kind and kind[1:].isalnum() else "unknown"


def _identity(annotation: Any) -> Any:
    return annotation.objgen if annotation.is_indirect else written(annotation)
