"""The grammar of XPath 1.0 (clauses 2 and 3): text -> a tree of tuples."""

import re
from typing import Any, Final

from trust.errors import Malformed, Unacceptable

Expression = tuple[Any, ...]
"""("or"|"and"|"union", a, b), ("compare"|"arithmetic", operator, a, b), ("negate", a), ("literal"|"number", value),
("call", name, arguments), ("filter", a, predicates), ("path", start, steps)."""

MAX_LENGTH: Final = 2_000
MAX_NESTING: Final = 24

_TOKEN: Final = re.compile(
    r"""\s*(?:
        (?P<number>\d+(?:\.\d*)?|\.\d+)
      | (?P<literal>"[^"]*"|'[^']*')
      | (?P<symbol>::|//|\.\.|!=|<=|>=|[()\[\].@,/|+\-=<>*$:])
      | (?P<name>[^\W\d][\w.\-]*)
    )""",
    re.VERBOSE,
)
_AXES: Final = (
    *("ancestor", "ancestor-or-self", "attribute", "child", "descendant", "descendant-or-self", "following", "following-sibling"),
    *("namespace", "parent", "preceding", "preceding-sibling", "self"),
)
_TYPES: Final = frozenset(("comment", "text", "processing-instruction", "node"))
_OPERATORS: Final = frozenset(("and", "or", "mod", "div"))
_ALL: Final = ("descendant-or-self", ("node",), ())


def parse_xpath(text: str) -> Expression:
    """Malformed where it is no XPath; Unacceptable where it is too long or too deep."""
    if len(text) > MAX_LENGTH:
        raise Unacceptable(f"xpath of at most {MAX_LENGTH} characters expected, got {len(text)}")
    reader = _Reader(_tokens(text.strip()))
    expression = reader.either()
    if reader.peek() is not None:
        raise Malformed("xpath goes on where it should end")
    return expression


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise Malformed("xpath holds a character that has no place there")
        at = match.end()
        kind = match.lastgroup or ""
        word = match[kind]
        # XPath 1.0 clause 3.7: after an operand, `*` and the operator names are operators.
        operand = bool(tokens) and (tokens[-1][0] in ("number", "literal", "name") or tokens[-1][1] in (")", "]", ".", "..", "wild"))
        if word == "*" and not operand:
            kind, word = "symbol", "wild"
        elif kind == "name" and operand and word in _OPERATORS:
            kind = "symbol"
        tokens.append((kind, word))
    return tokens


class _Reader:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.tokens = tokens
        self.at = 0
        self.nesting = 0

    def peek(self, ahead: int = 0) -> str | None:
        return self.tokens[self.at + ahead][1] if self.at + ahead < len(self.tokens) else None

    def kind(self, ahead: int = 0) -> str:
        return self.tokens[self.at + ahead][0] if self.at + ahead < len(self.tokens) else ""

    def accept(self, *words: str) -> str | None:
        word = self.peek()
        if word in words and self.kind() == "symbol":
            self.at += 1
            return word
        return None

    def expect(self, word: str) -> None:
        if self.accept(word) is None:
            raise Malformed(f"xpath expects {word} and has something else")

    def either(self) -> Expression:
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            raise Unacceptable(f"xpath nested at most {MAX_NESTING} deep expected")
        left = self.both()
        while self.accept("or"):
            left = ("or", left, self.both())
        self.nesting -= 1
        return left

    def both(self) -> Expression:
        left = self.equal()
        while self.accept("and"):
            left = ("and", left, self.equal())
        return left

    def equal(self) -> Expression:
        left = self.ordered()
        while word := self.accept("=", "!="):
            left = ("compare", word, left, self.ordered())
        return left

    def ordered(self) -> Expression:
        left = self.sum()
        while word := self.accept("<", "<=", ">", ">="):
            left = ("compare", word, left, self.sum())
        return left

    def sum(self) -> Expression:
        left = self.product()
        while word := self.accept("+", "-"):
            left = ("arithmetic", word, left, self.product())
        return left

    def product(self) -> Expression:
        left = self.signed()
        while word := self.accept("*", "div", "mod"):
            left = ("arithmetic", word, left, self.signed())
        return left

    def signed(self) -> Expression:
        minus = 0
        while self.accept("-"):
            minus += 1
        expression = self.union()
        return expression if minus == 0 else ("negate", expression if minus % 2 else ("negate", expression))

    def union(self) -> Expression:
        left = self.path()
        while self.accept("|"):
            left = ("union", left, self.path())
        return left

    def path(self) -> Expression:
        if self._starts_primary():
            primary = self.primary()
            predicates = self.predicates()
            if predicates:
                primary = ("filter", primary, predicates)
            if self.peek() not in ("/", "//") or self.kind() != "symbol":
                return primary
            return ("path", primary, self._further([]))
        if self.accept("//"):
            return ("path", "root", self._further([_ALL, self.step()]))
        if self.accept("/"):
            return ("path", "root", self._further([self.step()]) if self._starts_step() else [])
        return ("path", "self", self._further([self.step()]))

    def _further(self, steps: list[Any]) -> list[Any]:
        while word := self.accept("/", "//"):
            if word == "//":
                steps.append(_ALL)
            steps.append(self.step())
        return steps

    def _starts_primary(self) -> bool:
        if self.kind() in ("literal", "number") or self.peek() == "(":
            return True
        if self.peek() == "$":
            raise Unacceptable("xpath variables are not offered")
        return self.kind() == "name" and self.peek(1) == "(" and self.peek() not in _TYPES

    def _starts_step(self) -> bool:
        return self.kind() == "name" or self.peek() in ("wild", ".", "..", "@")

    def primary(self) -> Expression:
        kind, word = self.tokens[self.at]
        self.at += 1
        if kind == "literal":
            return ("literal", word[1:-1])
        if kind == "number":
            return ("number", float(word))
        if word == "(":
            inner = self.either()
            self.expect(")")
            return inner
        self.expect("(")
        arguments: list[Expression] = []
        if not self.accept(")"):
            arguments.append(self.either())
            while self.accept(","):
                arguments.append(self.either())
            self.expect(")")
        return ("call", word, arguments)

    def predicates(self) -> list[Expression]:
        found = []
        while self.accept("["):
            found.append(self.either())
            self.expect("]")
        return found

    def step(self) -> tuple[str, tuple[str, ...], list[Expression]]:
        if self.accept("."):
            return ("self", ("node",), [])
        if self.accept(".."):
            return ("parent", ("node",), [])
        axis = "child"
        if self.accept("@"):
            axis = "attribute"
        elif self.kind() == "name" and self.peek(1) == "::":
            axis = self.peek() or ""
            if axis not in _AXES:
                raise Malformed("xpath names an axis that does not exist")
            self.at += 2
        return (axis, self.test(), self.predicates())

    def test(self) -> tuple[str, ...]:
        if self.accept("wild"):
            return ("name", "", "*")
        if self.kind() != "name":
            raise Malformed("xpath lacks the name of a node")
        word = self.peek() or ""
        self.at += 1
        if word in _TYPES and self.accept("("):
            if word == "processing-instruction" and self.kind() == "literal":
                target = (self.peek() or "")[1:-1]
                self.at += 1
                self.expect(")")
                return (word, target)
            self.expect(")")
            return (word,)
        if self.peek() == ":" and self.kind() == "symbol":
            self.at += 1
            if self.accept("wild"):
                return ("name", word, "*")
            if self.kind() != "name":
                raise Malformed("xpath lacks a name after its prefix")
            word, prefix = self.peek() or "", word
            self.at += 1
            return ("name", prefix, word)
        return ("name", "", word)
