"""Node sets of XPath 1.0 over one document, in the shapes that XML Signature makes of them."""

from dataclasses import dataclass, field, replace
from typing import Any

from trust.codecs.xml.parse import Tree


@dataclass(frozen=True, eq=False)
class Chosen:
    """Nodes picked one by one, by an XPath filter. Attributes and namespace nodes are of elements that are themselves in the set."""

    nodes: frozenset[Any]
    """Elements, comments and processing instructions."""
    texts: frozenset[tuple[Any, bool]]
    """(element, False) is the text before its first child, (node, True) the text after the node."""
    bare: frozenset[Any] = frozenset()
    """Elements of which not every attribute and namespace node is in the set: those that are stand in the next two."""
    attributes: frozenset[tuple[Any, str]] = frozenset()
    namespaces: frozenset[tuple[Any, str | None]] = frozenset()


@dataclass(frozen=True, eq=False)
class NodeSet:
    """An element and all inside it (or the whole document), without some subtrees, or only the chosen nodes of it."""

    tree: Tree
    apex: Any | None = None
    """None: the root node, so that comments and processing instructions beside the document element belong to it."""
    comments: bool = True
    hidden: frozenset[Any] = field(default=frozenset())
    """Elements that are left out with all that is inside them."""
    chosen: Chosen | None = None

    def without(self, *elements: Any) -> "NodeSet":
        return replace(self, hidden=self.hidden | frozenset(elements))

    @property
    def empty(self) -> bool:
        """Whether nothing at all is selected: such a set covers nothing, whatever its digest."""
        if self.chosen is not None:
            return not any(self.shows(node) for node in self.chosen.nodes) and not any(self.shows(owner) for owner, _ in self.chosen.texts)
        top = self.tree.root if self.apex is None else self.apex
        return not self.shows(top)

    def shows(self, node: Any) -> bool:
        """Whether no subtree that was left out holds the node."""
        if not self.hidden:
            return True
        while node is not None:
            if node in self.hidden:
                return False
            node = node.getparent()
        return True

    @property
    def whole(self) -> bool:
        """Whether nothing was filtered out of the apex's subtree."""
        return not self.hidden and self.chosen is None

    def holds(self, element: Any) -> bool:
        """Whether the element and everything inside it is in the set: attributes, namespaces and text too."""
        if self.apex is not None and self.apex is not element and all(a is not self.apex for a in element.iterancestors()):
            return False
        if self.hidden and not (self.shows(element) and self.hidden.isdisjoint(element.iter())):
            return False
        chosen = self.chosen
        return chosen is None or all(
            (not isinstance(n.tag, str) or (n in chosen.nodes and n not in chosen.bare))
            and (not isinstance(n.tag, str) or not n.text or (n, False) in chosen.texts)
            and (n is element or not n.tail or (n, True) in chosen.texts)
            for n in element.iter()
        )
