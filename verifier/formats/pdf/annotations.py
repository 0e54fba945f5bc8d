"""Annotations of two revisions: which may come, change and go after signing (ISO 32000-2 clause 12.8.2.2, table 257: DocMDP level 3).

Permitted are remarks that cannot pass for the document's own content: notes and mark-up, without words or pictures of their own drawn on
the page. Free text, stamps, redactions and anything with an action show what nobody signed (certification attacks "evil annotation").
"""

from typing import Any

from verifier.formats.pdf.appearance import Paint, paints
from verifier.formats.pdf.comparison import Comparison, array_of, dictionary_of, name_of
from verifier.formats.pdf.graph import Key, written

_REMARKS = frozenset({"/Text", "/Popup", "/Highlight", "/Underline", "/Squiggly", "/StrikeOut", "/Caret", "/Ink"})
_HARMLESS = frozenset({"/P", "/Parent", "/StructParent", "/M", "/NM"})
_ACTIVE = ("/A", "/AA", "/PA")
NOTE = 60.0
"""Points: a note's icon is no larger; one that is covers text."""


class Annotations:
    """Compares the annotations of a page. Widgets of the form are the form's, but only the `fresh` ones may come to a page."""

    def __init__(self, comparison: Comparison, widgets: frozenset[Key], fresh: frozenset[Key]) -> None:
        self._comparison = comparison
        self._widgets = widgets
        self._fresh = fresh

    def compare(self, page: str, before: Any, after: Any) -> None:
        self._comparison.judge(before, after)
        was = {_identity(a): a for a in array_of(before) if dictionary_of(a) is not None}
        now = {_identity(a): a for a in array_of(after) if dictionary_of(a) is not None}
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

    def _is_widget(self, annotation: Any) -> bool:
        return bool(annotation.is_indirect and annotation.objgen in self._widgets)

    def _removed(self, page: str, annotation: Any) -> None:
        name = f"{page} {_kind(annotation)} annotation"
        if self._comparison.permission.annotations and name_of(annotation.get("/Subtype")) in _REMARKS:
            self._comparison.remark(name, "removed")
        else:
            self._comparison.forbid(name, "removed")

    def _kept(self, page: str, old: Any, new: Any) -> None:
        keys = (set(old.keys()) | set(new.keys())) - _HARMLESS
        if all(self._comparison.same(old.get(k), new.get(k)) for k in keys):
            return
        self._added(page, new, "changed")

    def _added(self, page: str, annotation: Any, how: str) -> None:
        name = f"{page} {_kind(annotation)} annotation"
        self._comparison.judge(annotation)
        if self._comparison.permission.annotations and is_remark(annotation):
            self._comparison.remark(name, how)
        else:
            self._comparison.forbid(name, how)


def is_remark(annotation: Any) -> bool:
    """Whether an annotation can only comment: of a kind that does, without action, drawing neither words nor pictures."""
    kind = name_of(annotation.get("/Subtype"))
    if kind not in _REMARKS or any(key in annotation for key in _ACTIVE):
        return False
    if paints(dictionary_of(annotation.get("/AP"))) & {Paint.TEXT, Paint.PICTURE}:
        return False
    return kind not in {"/Text", "/Caret"} or "/AP" not in annotation or extent(annotation.get("/Rect")) <= NOTE


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
