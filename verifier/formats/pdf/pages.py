"""The page tree of two revisions (ISO 32000-2 clause 7.7.3): the same pages in the same order, each with the same content."""

from collections.abc import Iterator
from typing import Any

from trust.errors import Malformed
from verifier.formats.pdf.annotations import Annotations
from verifier.formats.pdf.comparison import Comparison, array_of, dictionary_of
from verifier.formats.pdf.graph import Key

MAX_PAGES = 100_000
MAX_DEPTH = 64
_HARMLESS = frozenset({"/Parent", "/Type", "/StructParents", "/Tabs", "/LastModified", "/PieceInfo", "/Metadata", "/Thumb", "/Annots"})
_INHERITED = ("/Resources", "/MediaBox", "/CropBox", "/Rotate")


class Pages:
    """Compares page trees."""

    def __init__(self, comparison: Comparison, annotations: Annotations) -> None:
        self._comparison = comparison
        self._annotations = annotations

    def compare(self, before: Any, after: Any) -> None:
        was, now = list(_leaves(before)), list(_leaves(after))
        for number, (old, new) in enumerate(zip(was, now, strict=False), 1):
            self._page(number, old, new)
        if len(was) < len(now):
            self._comparison.forbid("pages", f"{len(now) - len(was)} added")
        elif len(was) > len(now):
            self._comparison.forbid("pages", f"{len(was) - len(now)} removed")
        self._nodes(before, after)

    def _nodes(self, before: Any, after: Any) -> None:
        """What pages inherit from the nodes above them."""
        stack = [(dictionary_of(before), dictionary_of(after), 0)]
        while stack:
            old, new, depth = stack.pop()
            if old is None or new is None or depth > MAX_DEPTH or "/Kids" not in old:
                continue
            for key in _INHERITED:
                self._comparison.equal(f"pages {key}", old.get(key), new.get(key))
            pairs = zip(array_of(old.get("/Kids")), array_of(new.get("/Kids")), strict=False)
            stack.extend((dictionary_of(o), dictionary_of(n), depth + 1) for o, n in pairs)

    def _page(self, number: int, old: Any, new: Any) -> None:
        comparison = self._comparison
        name = f"page {number}"
        if old.is_indirect != new.is_indirect or (old.is_indirect and old.objgen != new.objgen):
            comparison.forbid(name, "replaced by another page")
            return
        comparison.judge(old, new)
        if new.is_indirect and new.objgen not in comparison.changed and not self._annotations_changed(new):
            comparison.follow(name, new.objgen)
            return
        for key in sorted((set(old.keys()) | set(new.keys())) - _HARMLESS):
            comparison.equal(f"{name} {key}", old.get(key), new.get(key))
        self._annotations.compare(name, old.get("/Annots"), new.get("/Annots"))

    def _annotations_changed(self, page: Any) -> bool:
        """Whether the list of a page that is itself the same, or one of the annotations in it, is another."""
        changed = self._comparison.changed
        items = page.get("/Annots")
        if items is None:
            return False
        listed = items if dictionary_of(items) is None else None
        if listed is not None and listed.is_indirect and listed.objgen in changed:
            return True
        return any(dictionary_of(a) is not None and a.is_indirect and a.objgen in changed for a in array_of(items))


def _leaves(root: Any) -> Iterator[Any]:
    """The pages in order; each node counts once, so that a loop ends."""
    stack: list[tuple[Any, int]] = [(root, 0)]
    seen: set[Key] = set()
    count = 0
    while stack:
        item, depth = stack.pop()
        node = dictionary_of(item)
        if node is None or depth > MAX_DEPTH:
            continue
        if "/Kids" in node:
            if node.is_indirect and node.objgen in seen:
                continue
            if node.is_indirect:
                seen.add(node.objgen)
            stack.extend((kid, depth + 1) for kid in reversed(array_of(node.get("/Kids"))))
            continue
        count += 1
        if count > MAX_PAGES:
            raise Malformed(f"PDF has more than {MAX_PAGES} pages")
        yield node


def nodes_of(root: Any) -> Iterator[Any]:
    """Every node of a page tree, pages included."""
    stack: list[tuple[Any, int]] = [(root, 0)]
    seen: set[Key] = set()
    while stack:
        item, depth = stack.pop()
        node = dictionary_of(item)
        if node is None or depth > MAX_DEPTH or not node.is_indirect or node.objgen in seen:
            continue
        seen.add(node.objgen)
        yield node
        stack.extend((kid, depth + 1) for kid in array_of(node.get("/Kids")))
