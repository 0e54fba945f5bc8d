"""The page tree of two revisions (ISO 32000-2 clause 7.7.3): the same pages in the same order, each with the same content.

Readers find a page from the root through /Kids, and what it inherits through /Kids or through /Parent: both ways are held against each other.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from trust.codecs.asn1 import printable
from trust.errors import Malformed
from verifier.formats.pdf.annotations import Annotations
from verifier.formats.pdf.comparison import Comparison, array_of, dictionary_of, may_show
from verifier.formats.pdf.graph import Key

MAX_PAGES = 100_000
MAX_DEPTH = 64
_HARMLESS = frozenset({"/Parent", "/StructParents", "/Tabs", "/LastModified", "/PieceInfo", "/Metadata", "/Thumb", "/Annots"})
_OF_NODES = frozenset({"/Kids", "/Count", "/Parent", "/Type", "/LastModified"})
_INHERITED = ("/Resources", "/MediaBox", "/CropBox", "/Rotate")


@dataclass(frozen=True, slots=True)
class Leaf:
    """A page, with the nodes that lead to it from the root."""

    node: Any
    above: tuple[Any, ...]


@dataclass(slots=True)
class Tree:
    """A page tree, walked: its pages in order, its inner nodes by object number with the pages below each."""

    leaves: list[Leaf] = field(default_factory=list)
    nodes: dict[Key, Any] = field(default_factory=dict)
    counts: dict[Key, int] = field(default_factory=dict)
    whole: bool = True
    """Nothing lies too deep to be looked at."""


class Pages:
    """Compares page trees."""

    def __init__(self, comparison: Comparison, annotations: Annotations) -> None:
        self._comparison = comparison
        self._annotations = annotations

    def compare(self, before: Any, after: Any) -> None:
        was, now = _walked(before), _walked(after)
        for number, (old, new) in enumerate(zip(was.leaves, now.leaves, strict=False), 1):
            self._page(number, old, new, was, now)
        if len(was.leaves) < len(now.leaves):
            self._comparison.forbid("pages", f"{len(now.leaves) - len(was.leaves)} added")
        elif len(was.leaves) > len(now.leaves):
            self._comparison.forbid("pages", f"{len(was.leaves) - len(now.leaves)} removed")
        if was.whole and not now.whole:
            self._comparison.forbid("pages", "put below each other too deeply to be looked at")
        self._nodes(was, now)

    def _nodes(self, was: Tree, now: Tree) -> None:
        """What pages inherit from the nodes above them, and how many there are: some readers show no more than /Count."""
        for key, new in now.nodes.items():
            old = was.nodes.get(key)
            count = new.get("/Count")
            if count != now.counts[key] and (old is None or count != old.get("/Count")):
                self._comparison.forbid("pages /Count", "changed")
            if old is not None:
                for name in sorted((set(old.keys()) | set(new.keys())) - _OF_NODES):
                    if name in _INHERITED or may_show(name, old.get(name), new.get(name)):
                        self._comparison.equal(f"pages {printable(name)}", old.get(name), new.get(name))

    def _page(self, number: int, before: Leaf, after: Leaf, was: Tree, now: Tree) -> None:
        comparison, old, new = self._comparison, before.node, after.node
        name = f"page {number}"
        if old.is_indirect != new.is_indirect or (old.is_indirect and old.objgen != new.objgen):
            comparison.forbid(name, "replaced by another page")
            return
        comparison.judge(old, new)
        for former, later in ((before.above, after.above), (tuple(_upwards(old)), tuple(_upwards(new)))):
            if not self._same_nodes(former, later, was, now):
                for key in _INHERITED:
                    comparison.equal(f"{name} {key}", _effective(key, old, former), _effective(key, new, later))
        if new.is_indirect and new.objgen not in comparison.changed and not self._annotations_changed(new):
            comparison.follow(name, new.objgen)
            return
        for key in sorted((set(old.keys()) | set(new.keys())) - _HARMLESS):
            comparison.equal(f"{name} {key}", old.get(key), new.get(key))
        if "/Thumb" in new:
            comparison.equal(f"{name} /Thumb", old.get("/Thumb"), new.get("/Thumb"))
        self._annotations.compare(name, old, old.get("/Annots"), new.get("/Annots"))

    def _same_nodes(self, former: tuple[Any, ...], later: tuple[Any, ...], was: Tree, now: Tree) -> bool:
        """Whether a page hangs below the same nodes as before, each of which is compared for itself."""
        keys = [n.objgen for n in later]
        return keys == [n.objgen for n in former] and all(
            k != (0, 0) and (k not in self._comparison.changed or (k in was.nodes and k in now.nodes)) for k in keys
        )

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


def _effective(key: str, page: Any, above: tuple[Any, ...]) -> Any:
    """A page's own value, or the nearest that it inherits; `above` begins at the nearest node."""
    return next((n.get(key) for n in (page, *above) if key in n), None)


def _upwards(page: Any) -> Iterator[Any]:
    """The nodes that /Parent leads to."""
    node = dictionary_of(page.get("/Parent"))
    for _ in range(MAX_DEPTH):
        if node is None:
            return
        yield node
        node = dictionary_of(node.get("/Parent"))


def _walked(root: Any) -> Tree:
    """Each inner node counts once, so that a loop ends."""
    tree = Tree()
    stack: list[tuple[Any, tuple[Any, ...]]] = [(root, ())]
    while stack:
        item, above = stack.pop()
        node = dictionary_of(item)
        if node is None:
            continue
        if len(above) > MAX_DEPTH:
            tree.whole = False
            continue
        if "/Kids" not in node:
            tree.leaves.append(Leaf(node, above))
            for key in dict.fromkeys(n.objgen for n in above if n.is_indirect):
                tree.counts[key] += 1
            if len(tree.leaves) > MAX_PAGES:
                raise Malformed(f"PDF has more than {MAX_PAGES} pages")
            continue
        if node.is_indirect:
            if node.objgen in tree.nodes:
                continue
            tree.nodes[node.objgen] = node
            tree.counts[node.objgen] = 0
        stack.extend((kid, (node, *above)) for kid in reversed(array_of(node.get("/Kids"))))
    return tree


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
