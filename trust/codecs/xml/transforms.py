"""The transforms of XML Signature that are safe (clause 6.6): a node set or octets in, a node set or octets out.

No XSLT, nothing that fetches, nothing without a budget. Unacceptable for a transform that is not offered.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from lxml import etree

from trust.codecs.xml.c14n import DEFAULT, Method, canonicalize, method_of
from trust.codecs.xml.names import BASE64, ENVELOPED, FILTER2, XPATH, decode, ds, text_of
from trust.codecs.xml.nodes import Chosen, NodeSet
from trust.codecs.xml.parse import Tree, parse
from trust.codecs.xml.xpath import Budget, Query
from trust.codecs.xml.xpath_nodes import Attribute, Namespace, Text, attributes_of, everything, is_element, namespaces_of
from trust.errors import Malformed, Unacceptable

Data = NodeSet | bytes
MAX_TRANSFORMS: Final = 10
_MAX_FILTERS: Final = 10


class Bench:
    """What one document may cost, however many references it has; the default is one transform chain's worth. A caller may count more."""

    def __init__(self) -> None:
        self.budget = Budget()

    def canonical(self, nodes: NodeSet, method: Method) -> bytes:
        return canonicalize(nodes, method)


def octets(data: Data, bench: Bench | None = None) -> bytes:
    """What is digested: a node set that no transform made octets of is canonicalised by C14N 1.0 (clause 4.4.3.2)."""
    return data if isinstance(data, bytes) else (bench or Bench()).canonical(data, DEFAULT)


def apply(transforms: Iterable[Any], data: Data, bench: Bench | None = None) -> Data:
    """The ds:Transform elements in their order. Unacceptable where one is not offered or selects nothing, Malformed where its input does not fit."""
    bench = bench or Bench()
    for i, transform in enumerate(transforms):
        if i >= MAX_TRANSFORMS:
            raise Unacceptable(f"at most {MAX_TRANSFORMS} transforms expected")
        data = _step(transform, data, bench)
        if (data.empty if isinstance(data, NodeSet) else not data) and transform.get("Algorithm") != BASE64:
            raise Unacceptable("transform selects nothing: what is signed is empty")
    return data


def _step(transform: Any, data: Data, bench: Bench) -> Data:
    algorithm = transform.get("Algorithm", "")
    method = method_of(transform)
    if method is not None:
        return bench.canonical(_nodes(data), method)
    if algorithm == BASE64:
        return _base64(data)
    if algorithm == ENVELOPED:
        return _enveloped(transform, _nodes(data))
    if algorithm == XPATH:
        return _xpath(transform, _nodes(data), bench.budget)
    if algorithm == FILTER2:
        return _filter2(transform, _nodes(data), bench.budget)
    raise Unacceptable("transform is not one that is applied here")


def _nodes(data: Data) -> NodeSet:
    """Octets where a node set is wanted are parsed (clause 4.4.3.2), comments included."""
    return data if isinstance(data, NodeSet) else NodeSet(parse(data))


def _base64(data: Data) -> bytes:
    """Clause 6.6.2: the octets of the text nodes, tags stripped."""
    if isinstance(data, bytes):
        return decode(data.decode("ascii", "replace"))
    if data.whole:
        return decode(text_of(data.tree.root if data.apex is None else data.apex))
    top = data.tree if data.apex is None else data.apex
    texts = [node for node in _inside(data, top) if isinstance(node, Text) and (data.chosen is None or _member(node, data.chosen))]
    return decode("".join((t.owner.tail if t.tail else t.owner.text) or "" for t in texts))


def _enveloped(transform: Any, nodes: NodeSet) -> NodeSet:
    """Clause 6.6.4: without the ds:Signature that holds this very transform. In another document there is nothing to take out."""
    signature = next((a for a in transform.iterancestors(ds("Signature"))), None)
    if signature is None:
        raise Malformed("enveloped-signature transform stands outside of any signature")
    return nodes.without(signature)


_CHEAP: Final = 20
"""Elements that libxml2 looks at in the time of one step of ours."""
_WITHOUT: Final = re.compile(r"not\(\s*ancestor-or-self::(?:([\w.-]+):)?([\w.-]+)\s*\)")


def _expression(transform: Any, name: str) -> list[Any]:
    found = [child for child in transform.iterchildren("*") if child.tag == name]
    if not found:
        raise Malformed("xpath transform has no expression")
    return found


def _xpath(transform: Any, nodes: NodeSet, budget: Budget) -> NodeSet:
    """Clause 6.6.3: the nodes for which the expression is true, each asked on its own."""
    (element, *others) = _expression(transform, ds("XPath"))
    if others:
        raise Malformed("xpath transform has more than one expression")
    text = text_of(element).strip()
    plain = _WITHOUT.fullmatch(text)
    if plain is not None and nodes.chosen is None:
        prefix, name = plain.groups()
        if prefix and prefix not in element.nsmap:
            raise Malformed("xpath uses a prefix that is not declared")
        budget.spend(1 + nodes.tree.elements // _CHEAP)
        tag = f"{{{element.nsmap[prefix]}}}{name}" if prefix else name
        return nodes.without(*nodes.tree.root.iter(tag))
    query = Query(text, element.nsmap, nodes.tree, budget, _here(element, nodes.tree))
    members = nodes.chosen
    top = nodes.tree if nodes.apex is None else nodes.apex
    return _picked(nodes, [node for node in _inside(nodes, top, axes=True) if (members is None or _member(node, members)) and query.holds(node)])


def _here(element: Any, tree: Tree) -> Any | None:
    """here() is the element that bears the expression (clause 6.6.3), where the node set is of the same document."""
    return element if element.getroottree().getroot() is tree.root else None


def _inside(nodes: NodeSet, top: Any, *, axes: bool = False) -> Iterable[Any]:
    """The nodes of the set's subtree in document order, hidden subtrees skipped; with `axes`, attributes and namespaces too."""
    if isinstance(top, Tree):
        candidates: Iterable[Any] = (n for n in everything(top) if not isinstance(n, Tree))
    else:
        candidates = _under(top)
    hidden = _all_hidden(nodes)
    for node in candidates:
        if not axes and isinstance(node, Attribute | Namespace):
            continue
        if not nodes.comments and not isinstance(node, tuple) and node.tag is etree.Comment:
            continue
        if hidden:
            owner = node[0] if isinstance(node, tuple) else node
            # The text after a hidden element is its parent's.
            if owner in hidden and not (isinstance(node, Text) and node.tail and owner in nodes.hidden and owner.getparent() not in hidden):
                continue
        yield node


def _all_hidden(nodes: NodeSet) -> set[Any]:
    return {inner for element in nodes.hidden for inner in element.iter()}


def _under(top: Any) -> Iterable[Any]:
    for node in top.iter():
        yield node
        if isinstance(node.tag, str):
            yield from namespaces_of(node)
            yield from attributes_of(node)
            if node.text:
                yield Text(node, tail=False)
        if node is not top and node.tail:
            yield Text(node, tail=True)


def _member(node: Any, chosen: Chosen) -> bool:
    if isinstance(node, Text):
        return (node.owner, node.tail) in chosen.texts
    if isinstance(node, Attribute | Namespace):
        owner = node.owner
        if owner not in chosen.bare:
            return owner in chosen.nodes
        return node in chosen.attributes if isinstance(node, Attribute) else (owner, node.prefix) in chosen.namespaces
    return node in chosen.nodes


def _picked(nodes: NodeSet, picked: Iterable[Any]) -> NodeSet:
    """A node set of exactly these nodes."""
    elements: set[Any] = set()
    texts: set[tuple[Any, bool]] = set()
    attributes: set[tuple[Any, str]] = set()
    namespaces: set[tuple[Any, str | None]] = set()
    for node in picked:
        if isinstance(node, Text):
            texts.add((node.owner, node.tail))
        elif isinstance(node, Attribute):
            attributes.add((node.owner, node.key))
        elif isinstance(node, Namespace):
            namespaces.add((node.owner, node.prefix))
        else:
            elements.add(node)
    if any(owner not in elements for owner, _ in attributes) or any(owner not in elements for owner, _ in namespaces):
        raise Unacceptable("transform keeps attributes or namespaces of an element that it drops")
    bare = {
        e
        for e in elements
        if isinstance(e.tag, str)
        and (any((e, key) not in attributes for key in e.attrib) or any((e, n.prefix) not in namespaces for n in namespaces_of(e)))
    }
    keep = frozenset(bare)
    chosen = Chosen(
        frozenset(elements),
        frozenset(texts),
        keep,
        frozenset(a for a in attributes if a[0] in keep),
        frozenset(n for n in namespaces if n[0] in keep),
    )
    return replace(nodes, chosen=chosen)


@dataclass(frozen=True)
class _Filter:
    operation: str
    roots: frozenset[Any]

    def __call__(self, chosen: bool, inside: bool) -> bool:
        if self.operation == "intersect":
            return chosen and inside
        return chosen and not inside if self.operation == "subtract" else chosen or inside


def _filter2(transform: Any, nodes: NodeSet, budget: Budget) -> NodeSet:
    """XML-Signature XPath Filter 2.0: subtrees intersected, subtracted and united, in the order given."""
    filters: list[_Filter] = []
    for element in _expression(transform, f"{{{FILTER2}}}XPath"):
        if len(filters) >= _MAX_FILTERS:
            raise Unacceptable(f"at most {_MAX_FILTERS} filters expected")
        operation = element.get("Filter", "")
        if operation not in ("intersect", "subtract", "union"):
            raise Malformed("xpath filter is intersect, subtract or union")
        found = Query(text_of(element).strip(), element.nsmap, nodes.tree, budget, _here(element, nodes.tree)).value(nodes.tree)
        if not isinstance(found, list):
            raise Malformed("xpath filter selects no node set")
        filters.append(_Filter(operation, frozenset(found)))
    if nodes.chosen is None and all(f.operation == "subtract" and all(is_element(r) for r in f.roots) for f in filters):
        return nodes.without(*(root for f in filters for root in f.roots))
    return _picked(nodes, _filtered(nodes, filters, budget))


def _filtered(nodes: NodeSet, filters: list[_Filter], budget: Budget) -> Iterable[Any]:
    """Each node of the input with what its ancestors say: a filter's set is expanded to whole subtrees."""
    start = tuple(nodes.tree in f.roots for f in filters)
    states: dict[Any, tuple[bool, ...]] = {}

    def state_of(node: Any) -> tuple[bool, ...]:
        if node is None:
            return start
        if node not in states:
            above = state_of(node.getparent())
            states[node] = tuple(was or node in f.roots for was, f in zip(above, filters, strict=True))
        return states[node]

    top = nodes.tree if nodes.apex is None else nodes.apex
    for node in _inside(nodes, top, axes=True):
        budget.spend()
        if nodes.chosen is not None and not _member(node, nodes.chosen):
            continue
        if isinstance(node, tuple):
            owner = node[0].getparent() if isinstance(node, Text) and node.tail else node[0]
            state = tuple(was or node in f.roots for was, f in zip(state_of(owner), filters, strict=True))
        else:
            state = state_of(node)
        chosen = True
        for f, inside in zip(filters, state, strict=True):
            chosen = f(chosen, inside)
        if chosen:
            yield node
