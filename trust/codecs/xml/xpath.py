"""XPath 1.0, as much of it as signatures use, over lxml trees, within a budget.

libxml2's engine knows no budget and hides namespace nodes and the identity of text: an expression of forty characters can keep it busy for
hours. This one counts every node that it looks at. Numbers are as far as positions and counts need them; there are no variables.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from lxml import etree

from trust.codecs.xml.names import split
from trust.codecs.xml.parse import Tree
from trust.codecs.xml.xpath_nodes import AXES, Attribute, Namespace, Node, Text, everything, identity, is_element, is_kind
from trust.codecs.xml.xpath_syntax import Expression, parse_xpath
from trust.errors import Malformed, Unacceptable

STEPS: Final = 300_000
"""Nodes looked at for one transform: about half a second."""


Value = list[Node] | str | float | bool


@dataclass(slots=True)
class Budget:
    left: int = STEPS

    def spend(self, steps: int = 1) -> None:
        self.left -= steps
        if self.left < 0:
            raise Unacceptable(f"xpath needs more than {STEPS} steps")


@dataclass(frozen=True, slots=True)
class _At:
    node: Node
    position: int
    size: int


class Query:
    """One expression over one document. Unacceptable for what is not offered, Malformed for what is no XPath."""

    def __init__(self, text: str, namespaces: Mapping[str | None, str], tree: Tree, budget: Budget, here: Any | None = None) -> None:
        self.tree = tree
        self.budget = budget
        self.namespaces = namespaces
        self.here = here
        self.expression = parse_xpath(text)

    def value(self, node: Node) -> Value:
        return self._evaluate(self.expression, _At(node, 1, 1))

    def holds(self, node: Node) -> bool:
        return boolean(self.value(node))

    def _evaluate(self, e: Expression, at: _At) -> Value:
        self.budget.spend()
        match e[0]:
            case "literal" | "number":
                return e[1]  # type: ignore[no-any-return]
            case "or":
                return boolean(self._evaluate(e[1], at)) or boolean(self._evaluate(e[2], at))
            case "and":
                return boolean(self._evaluate(e[1], at)) and boolean(self._evaluate(e[2], at))
            case "compare":
                return self._compare(e[1], self._evaluate(e[2], at), self._evaluate(e[3], at))
            case "arithmetic":
                return _ARITHMETIC[e[1]](self._number(self._evaluate(e[2], at)), self._number(self._evaluate(e[3], at)))
            case "negate":
                return -self._number(self._evaluate(e[1], at))
            case "union":
                return _unique([*self._nodes(e[1], at), *self._nodes(e[2], at)])
            case "call":
                return self._call(e[1], e[2], at)
            case "filter":
                return self._kept(self._nodes(e[1], at), e[2], ordered=False)
            case _:
                return self._path(e, at)

    def _nodes(self, e: Expression, at: _At) -> list[Node]:
        value = self._evaluate(e, at)
        if not isinstance(value, list):
            raise Malformed("xpath selects nodes from what is no node set")
        return value

    def _path(self, e: Expression, at: _At) -> list[Node]:
        """("path", start, steps): start is an expression, `root` or `self`; a step is (axis, test, predicates)."""
        _, start, steps = e
        if start == "self":
            nodes: list[Node] = [at.node]
        elif start == "root":
            nodes = [self.tree]
        else:
            nodes = self._nodes(start, at)
        for axis, test, predicates in steps:
            found: list[Node] = []
            for node in nodes:
                matching = [n for n in self._axis(axis, node) if self._matches(n, test, axis)]
                found.extend(self._kept(matching, predicates, ordered=True) if predicates else matching)
            nodes = _unique(found) if len(nodes) > 1 else found
        return nodes

    def _kept(self, nodes: list[Node], predicates: Iterable[Expression], *, ordered: bool) -> list[Node]:
        for predicate in predicates:
            kept = []
            for i, node in enumerate(nodes, 1):
                value = self._evaluate(predicate, _At(node, i, len(nodes)))
                number = isinstance(value, float) and not isinstance(value, bool)
                if number and not ordered and len(nodes) > 1:
                    raise Unacceptable("xpath picks by position from a parenthesised set")
                if (value == i) if number else boolean(value):
                    kept.append(node)
            nodes = kept
        return nodes

    def _matches(self, node: Node, test: tuple[str, ...], axis: str) -> bool:
        self.budget.spend()
        kind = test[0]
        if kind == "node":
            return True
        if kind == "text":
            return isinstance(node, Text)
        if kind == "comment":
            return is_kind(node, etree.Comment)
        if kind == "processing-instruction":
            return is_kind(node, etree.PI) and (len(test) == 1 or node.target == test[1])
        if axis == "attribute":
            return isinstance(node, Attribute) and self._named(split(node.key), test)
        if axis == "namespace":
            return isinstance(node, Namespace) and (test[2] == "*" or (not test[1] and node.prefix == test[2]))
        return is_element(node) and self._named(split(node.tag), test)

    def _named(self, name: tuple[str, str], test: tuple[str, ...]) -> bool:
        _, prefix, local = test
        if prefix:
            if prefix not in self.namespaces:
                raise Malformed("xpath uses a prefix that is not declared")
            if self.namespaces[prefix] != name[0]:
                return False
        elif local != "*" and name[0]:
            return False
        return local in ("*", name[1])

    def _axis(self, axis: str, node: Node) -> Iterator[Node]:
        for found in AXES[axis](node, self.tree):
            self.budget.spend()
            yield found

    def _compare(self, operator: str, left: Value, right: Value) -> bool:
        if isinstance(left, list) and isinstance(right, list):
            if operator in ("=", "!="):
                lefts, rights = [self.string_of(n) for n in left], {self.string_of(n) for n in right}
                if operator == "=":
                    return any(x in rights for x in lefts)
                return (len(rights) > 1 and bool(lefts)) or (any(x not in rights for x in lefts) and bool(rights))
            self.budget.spend(len(left) * len(right))
            return any(_ORDER[operator](_float(self.string_of(a)), _float(self.string_of(b))) for a in left for b in right)
        if isinstance(left, list) or isinstance(right, list):
            return self._compare_nodes(operator, left, right)
        return _compared(operator, left, right, swapped=False)

    def _compare_nodes(self, operator: str, left: Value, right: Value) -> bool:
        """A node set against a string, number or truth value, on either side."""
        nodes, other, swapped = (left, right, False) if isinstance(left, list) else (right, left, True)
        if not isinstance(nodes, list) or isinstance(other, bool):
            return _compared(operator, boolean(nodes), other, swapped=swapped)
        face: Callable[[Node], Value] = (lambda n: _float(self.string_of(n))) if isinstance(other, float) else self.string_of
        return any(_compared(operator, face(n), other, swapped=swapped) for n in nodes)

    def string_of(self, node: Node) -> str:
        """The string-value of a node (XPath 1.0 clause 5)."""
        if isinstance(node, Text):
            text = str((node.owner.tail if node.tail else node.owner.text) or "")
        elif isinstance(node, Attribute):
            text = str(node.owner.get(node.key))
        elif isinstance(node, Namespace):
            text = node.uri
        elif isinstance(node, Tree):
            text = str(_STRING(node.root))
        elif is_element(node):
            text = str(_STRING(node))
        else:
            text = str(node.text or "")
        self.budget.spend(1 + len(text) // 64)
        return text

    def _string(self, value: Value) -> str:
        if isinstance(value, list):
            return self.string_of(self._first(value)) if value else ""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, float):
            return "NaN" if math.isnan(value) else str(int(value)) if value.is_integer() else repr(value)
        return value

    def _first(self, nodes: list[Node]) -> Node:
        """The first in document order."""
        if len(nodes) == 1:
            return nodes[0]
        wanted = set(map(identity, nodes))
        for node in everything(self.tree):
            self.budget.spend()
            if identity(node) in wanted:
                return node
        raise Unacceptable("xpath needs the order of nodes that have none")

    def _number(self, value: Value) -> float:
        if isinstance(value, bool | float):
            return float(value)
        return _float(self._string(value))

    def _call(self, name: str, arguments: list[Expression], at: _At) -> Value:
        if name == "here" and not arguments:
            if self.here is None:
                raise Unacceptable("xpath function here() has no place in this document")
            return [self.here]
        function = FUNCTIONS.get(name)
        if function is None or len(arguments) not in function.arity:
            raise Unacceptable("xpath function is not offered or has the wrong number of arguments")
        values = [self._evaluate(a, at) for a in arguments]
        return function.run(self, at, values)

    def text_argument(self, at: _At, values: list[Value]) -> str:
        return self._string(values[0] if values else [at.node])

    def node_argument(self, at: _At, values: list[Value]) -> Node | None:
        """The node that name(), local-name() and namespace-uri() speak of."""
        if not values:
            return at.node
        if not isinstance(values[0], list):
            raise Malformed("xpath asks for the name of what is no node")
        return self._first(values[0]) if values[0] else None

    def by_ids(self, value: Value) -> list[Node]:
        texts = [self.string_of(n) for n in value] if isinstance(value, list) else [self._string(value)]
        found: list[Node] = []
        for name in " ".join(texts).split():
            bearers = self.tree.by_id(name)
            if len(bearers) > 1:
                raise Unacceptable("xpath function id() names more than one element")
            found.extend(bearers)
        return _unique(found)


def boolean(value: Value) -> bool:
    if isinstance(value, float):
        return value != 0 and not math.isnan(value)
    return bool(value)


def _float(text: str) -> float:
    try:
        return float(text.strip())
    except ValueError:
        return math.nan


_STRING: Final = etree.XPath("string()")
_ARITHMETIC: Final[Mapping[str, Callable[[float, float], float]]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "div": lambda a, b: a / b if b else math.nan,
    "mod": lambda a, b: math.fmod(a, b) if b else math.nan,
}
_ORDER: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _compared(operator: str, left: Any, right: Any, *, swapped: bool) -> bool:
    if swapped:
        left, right = right, left
    if operator not in ("=", "!="):
        return _ORDER[operator](_as_number(left), _as_number(right))
    if isinstance(left, bool) or isinstance(right, bool):
        equal = boolean(left) == boolean(right)
    elif isinstance(left, float) or isinstance(right, float):
        equal = _as_number(left) == _as_number(right)
    else:
        equal = left == right
    return equal == (operator == "=")


def _as_number(value: Any) -> float:
    return float(value) if isinstance(value, bool | float) else _float(value)


def _unique(nodes: list[Node]) -> list[Node]:
    return list({identity(n): n for n in nodes}.values())


class _Function(NamedTuple):
    arity: tuple[int, ...]
    run: Callable[[Query, _At, list[Value]], Value]


def _name(node: Node | None, part: str) -> str:
    """part: `name`, `local` or `space`."""
    if isinstance(node, Namespace):
        return "" if part == "space" else node.prefix or ""
    if isinstance(node, Attribute):
        space, local = split(node.key)
        if part == "name" and space:
            keys = list(node.owner.attrib)
            return str(etree.XPath("name(@*[$i])")(node.owner, i=keys.index(node.key) + 1))
        return space if part == "space" else local
    if node is not None and is_element(node):
        space, local = split(node.tag)
        if part == "name" and node.prefix:
            return f"{node.prefix}:{local}"
        return space if part == "space" else local
    if node is not None and part != "space" and is_kind(node, etree.PI):
        return str(node.target)
    return ""


def _count(value: Value) -> float:
    if not isinstance(value, list):
        raise Malformed("xpath counts what is no node set")
    return float(len(value))


def _two(run: Callable[[str, str], Value]) -> _Function:
    return _Function((2,), lambda q, _, v: run(q._string(v[0]), q._string(v[1])))


FUNCTIONS: Final[Mapping[str, _Function]] = {
    "true": _Function((0,), lambda _q, _a, _v: True),
    "false": _Function((0,), lambda _q, _a, _v: False),
    "not": _Function((1,), lambda _q, _a, v: not boolean(v[0])),
    "boolean": _Function((1,), lambda _q, _a, v: boolean(v[0])),
    "count": _Function((1,), lambda _q, _a, v: _count(v[0])),
    "position": _Function((0,), lambda _q, a, _v: float(a.position)),
    "last": _Function((0,), lambda _q, a, _v: float(a.size)),
    "id": _Function((1,), lambda q, _, v: list(q.by_ids(v[0]))),
    "name": _Function((0, 1), lambda q, a, v: _name(q.node_argument(a, v), "name")),
    "local-name": _Function((0, 1), lambda q, a, v: _name(q.node_argument(a, v), "local")),
    "namespace-uri": _Function((0, 1), lambda q, a, v: _name(q.node_argument(a, v), "space")),
    "string": _Function((0, 1), lambda q, a, v: q.text_argument(a, v)),
    "string-length": _Function((0, 1), lambda q, a, v: float(len(q.text_argument(a, v)))),
    "normalize-space": _Function((0, 1), lambda q, a, v: " ".join(q.text_argument(a, v).split())),
    "number": _Function((0, 1), lambda q, a, v: _float(q.text_argument(a, v))),
    "starts-with": _two(lambda text, part: text.startswith(part)),
    "contains": _two(lambda text, part: part in text),
    "substring-before": _two(lambda text, part: text.partition(part)[0] if part in text else ""),
    "substring-after": _two(lambda text, part: text.partition(part)[2] if part in text else ""),
    "concat": _Function((2, 3, 4, 5, 6), lambda q, _, v: "".join(q._string(x) for x in v)),
}
