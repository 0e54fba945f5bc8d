"""The nodes of XPath 1.0's data model (clause 5) over lxml trees, and its axes (clause 2.2)."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from trust.codecs.xml.parse import Tree
from trust.errors import Unacceptable


class Text(NamedTuple):
    """The text before an element's first child, or (tail) after a node."""

    owner: Any
    tail: bool


class Attribute(NamedTuple):
    owner: Any
    key: str


class Namespace(NamedTuple):
    owner: Any
    prefix: str | None
    uri: str


Node = Any
"""A Tree (the root node), an lxml element, comment or processing instruction, a Text, an Attribute or a Namespace."""


def is_element(node: Node) -> bool:
    return not isinstance(node, Tree | tuple) and isinstance(node.tag, str)


def is_kind(node: Node, kind: Any) -> bool:
    return not isinstance(node, Tree | tuple) and node.tag is kind


def identity(node: Node) -> Any:
    return node if isinstance(node, tuple) else id(node)


def _parent(node: Node, tree: Tree) -> Node | None:
    if isinstance(node, Tree):
        return None
    if isinstance(node, Text):
        if not node.tail:
            return node.owner
        node = node.owner
    elif isinstance(node, tuple):
        return node[0]
    parent = node.getparent()
    return tree if parent is None else parent


def _children(node: Node, _tree: Tree) -> Iterator[Node]:
    if isinstance(node, Tree):
        yield from node.prolog()
        yield node.root
        yield from node.epilog()
    elif is_element(node):
        if node.text:
            yield Text(node, tail=False)
        yield from _row(node)


def _descendants(node: Node, tree: Tree) -> Iterator[Node]:
    stack = [_children(node, tree)]
    while stack:
        child = next(stack[-1], None)
        if child is None:
            stack.pop()
            continue
        yield child
        if is_element(child):
            stack.append(_children(child, tree))


def _ancestors(node: Node, tree: Tree) -> Iterator[Node]:
    parent = _parent(node, tree)
    while parent is not None:
        yield parent
        parent = _parent(parent, tree)


def _siblings(node: Node, tree: Tree, *, after: bool) -> Iterator[Node]:
    """Lazily, nearest first: what a step costs must show in the budget."""
    if isinstance(node, Attribute | Namespace | Tree):
        return
    if after:
        if isinstance(node, Text) and not node.tail:
            yield from _row(iter(node.owner))
        elif isinstance(node, Text):
            yield from _row(node.owner.itersiblings())
        else:
            if node.tail:
                yield Text(node, tail=True)
            yield from _row(node.itersiblings())
    elif not isinstance(node, Text) or node.tail:
        at = node
        if isinstance(node, Text):
            at = node.owner
            yield at
        for sibling in at.itersiblings(preceding=True):
            if sibling.tail:
                yield Text(sibling, tail=True)
            yield sibling
        parent = _parent(at, tree)
        if not isinstance(parent, Tree) and parent is not None and parent.text:
            yield Text(parent, tail=False)


def _row(nodes: Iterable[Node]) -> Iterator[Node]:
    for node in nodes:
        yield node
        if node.tail:
            yield Text(node, tail=True)


def _beyond(node: Node, tree: Tree, *, after: bool) -> Iterator[Node]:
    """The axes following and preceding."""
    if isinstance(node, Attribute | Namespace):
        raise Unacceptable("xpath axis from an attribute is not offered")
    for level in (node, *_ancestors(node, tree)):
        for sibling in _siblings(level, tree, after=after):
            below = list(_descendants(sibling, tree))
            yield from (sibling, *below) if after else (*reversed(below), sibling)


def attributes_of(node: Node) -> Iterator[Attribute]:
    if is_element(node):
        for key in node.attrib:
            yield Attribute(node, key)


def namespaces_of(node: Node) -> Iterator[Namespace]:
    if is_element(node):
        for prefix, uri in node.nsmap.items():
            if uri and prefix != "xml":
                yield Namespace(node, prefix, uri)


def everything(tree: Tree) -> Iterator[Node]:
    """All nodes in document order, the root node first, an element's namespaces and attributes after it."""
    yield tree
    for node in _descendants(tree, tree):
        yield node
        yield from namespaces_of(node)
        yield from attributes_of(node)


AXES: Final[Mapping[str, Callable[[Node, Tree], Iterable[Node]]]] = {
    "child": _children,
    "descendant": _descendants,
    "descendant-or-self": lambda n, t: (m for part in ((n,), _descendants(n, t)) for m in part),
    "self": lambda n, _: (n,),
    "parent": lambda n, t: (p for p in (_parent(n, t),) if p is not None),
    "ancestor": _ancestors,
    "ancestor-or-self": lambda n, t: (m for part in ((n,), _ancestors(n, t)) for m in part),
    "attribute": lambda n, _: attributes_of(n),
    "namespace": lambda n, _: namespaces_of(n),
    "following-sibling": lambda n, t: _siblings(n, t, after=True),
    "preceding-sibling": lambda n, t: _siblings(n, t, after=False),
    "following": lambda n, t: _beyond(n, t, after=True),
    "preceding": lambda n, t: _beyond(n, t, after=False),
}
