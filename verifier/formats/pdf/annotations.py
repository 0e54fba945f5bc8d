"""Annotations of two revisions: which may come, change and go after signing (ISO 32000-2 clause 12.8.2.2, table 257: DocMDP level 3).

Permitted are remarks that cannot pass for the document's own content: notes and mark-up, without words or pictures of their own drawn on
the page. Free text, stamps, redactions and anything with an action show what nobody signed (certification attacks "evil annotation").
"""

from collections.abc import Iterable
from typing import Any

from verifier.formats.pdf.appearance import Paint, is_visible, paints, seen
from verifier.formats.pdf.comparison import Comparison, array_of, dictionary_of, name_of
from verifier.formats.pdf.covering import blank, hides, letters_below
from verifier.formats.pdf.drawing import box_of
from verifier.formats.pdf.graph import Key, written

_REMARKS = frozenset({"/Text", "/Popup", "/Highlight", "/Underline", "/Squiggly", "/StrikeOut", "/Caret", "/Ink"})
_HARMLESS = frozenset({"/P", "/Parent", "/StructParent", "/M", "/NM"})
_OF_REMARKS = frozenset(
    {"/Subtype", "/Contents", "/RC", "/Rect", "/RD", "/QuadPoints", "/InkList", "/C", "/CA", "/ca", "/AP", "/AS", "/F", "/Border", "/BS", "/BE"}
    | {"/Popup", "/IRT", "/RT", "/Subj", "/T", "/CreationDate", "/Open", "/Name", "/State", "/StateModel", "/IT", "/Sy", "/Lang", "/BM"}
)
"""ISO 32000-2 tables 166, 172 and those of each kind."""
_ACTIVE = ("/A", "/AA", "/PA")
_SAYING = frozenset({"/StrikeOut", "/Ink", "/Caret"})
"""What a signer may have meant as a change of the text: gone, it says something else."""
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
                self._removed(page, annotation)
            elif not self._is_widget(annotation):
                self._kept(page, annotation, now[key])
        for key, annotation in now.items():
            if key not in was and not self._is_widget(annotation):
                self._added(page, annotation, "added")
            elif key not in was and key not in self._fresh:
                self._comparison.forbid(f"{page} {_kind(annotation)} annotation", "added")
            elif key not in was and _overlays(annotation, sheet, was.values()):
                self._comparison.forbid(f"{page} signature field", "added over what the page showed")

    def _is_widget(self, annotation: Any) -> bool:
        return bool(annotation.is_indirect and annotation.objgen in self._widgets)

    def _removed(self, page: str, annotation: Any) -> None:
        name = f"{page} {_kind(annotation)} annotation"
        if self._may_go(annotation):
            self._comparison.remark(name, "removed")
        else:
            self._comparison.forbid(name, "removed")

    def _may_go(self, annotation: Any) -> bool:
        """Whether a remark may be taken away: not what hid something when it was signed, nor, unless a signer said so, what changed the text."""
        permission, kind = self._comparison.permission, name_of(annotation.get("/Subtype"))
        return permission.annotations and not (permission.level is None and kind in _SAYING) and is_remark(annotation)

    def _kept(self, page: str, old: Any, new: Any) -> None:
        keys = (set(old.keys()) | set(new.keys())) - _HARMLESS
        if all(self._comparison.same(old.get(k), new.get(k)) for k in keys):
            return
        if self._may_go(old) and all(k in _OF_REMARKS or self._comparison.same(old.get(k), new.get(k)) for k in keys):
            self._added(page, new, "changed")
        else:
            self._comparison.forbid(f"{page} {_kind(old)} annotation", "changed")

    def _added(self, page: str, annotation: Any, how: str) -> None:
        name = f"{page} {_kind(annotation)} annotation"
        self._comparison.judge(annotation)
        if self._comparison.permission.annotations and is_remark(annotation):
            self._comparison.remark(name, how)
        else:
            self._comparison.forbid(name, how)


def is_remark(annotation: Any) -> bool:
    """Whether an annotation can only comment: of a kind that does, without action, drawing neither words nor pictures, hiding nothing."""
    kind = name_of(annotation.get("/Subtype"))
    if kind not in _REMARKS or any(key in annotation for key in _ACTIVE):
        return False
    if paints(dictionary_of(annotation.get("/AP"))) & {Paint.TEXT, Paint.PICTURE}:
        return False
    if kind in {"/Text", "/Caret"}:
        return "/AP" not in annotation or (extent(annotation.get("/Rect")) <= NOTE and not blank(annotation))
    return not hides(annotation)


def _overlays(seal: Any, sheet: Any, others: Iterable[Any]) -> bool:
    """Whether a seal that came later is drawn over letters of the page, or over another field or remark: not even a signer may replace them."""
    if not (Paint.TEXT in seen(seal) or (seen(seal) and hides(seal))):
        return False
    return letters_below(sheet, seal.get("/Rect")) or any(_is_shown(o) and _meet(seal.get("/Rect"), o.get("/Rect")) for o in others)


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


def extent(rectangle: Any) -> float:
    """The longer side of a rectangle in points; infinite for what is none."""
    try:
        left, bottom, right, top = (float(v) for v in array_of(rectangle))
    except (TypeError, ValueError):
        return float("inf")
    return max(abs(right - left), abs(top - bottom))


def _kind(annotation: Any) -> str:
    kind = name_of(annotation.get("/Subtype"))
    return kind[1:] if kind and kind[1:].isalnum() else "unknown"


def _identity(annotation: Any) -> Any:
    return annotation.objgen if annotation.is_indirect else written(annotation)
