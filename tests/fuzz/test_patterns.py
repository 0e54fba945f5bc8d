"""No regular expression of ours can be read in so many ways that a text of its sender's choosing keeps the service busy.

Each is given what its own repetitions invite: their content again and again, with blanks between, and something behind it that does not fit. Where
each repetition doubles the ways, a few dozen of them take for ever; `limits.SECONDS` of processor time are far more than any of ours takes.
"""

import importlib
import pkgutil
import re
import warnings
from collections.abc import Iterator
from random import Random
from re import _constants, _parser  # type: ignore[attr-defined]  # how Python itself reads an expression
from typing import Any

import pytest

from tests.fuzz.limits import tried

REPETITIONS = 100
LIKELY = " a0A;-\t./<'\"\n!~:=(,x\0é"
"""Characters of which one is likely to fit whatever a class wants."""
BEHIND = ("", "\0", "!", " ", ";x", "\n")
REPEATS = (_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT)


def ours() -> dict[str, re.Pattern[Any]]:
    """Every expression that a module has under a name."""
    found: dict[str, re.Pattern[Any]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for top in ("trust", "tsa", "eseal", "verifier"):
            for module in pkgutil.walk_packages(importlib.import_module(top).__path__, f"{top}."):
                if ".migrations" not in module.name:
                    there = vars(importlib.import_module(module.name)).items()
                    found |= {f"{module.name}.{name}": value for name, value in there if isinstance(value, re.Pattern)}
    return {name: pattern for name, pattern in sorted(found.items()) if name == min(n for n, p in found.items() if p is pattern)}


def sample(tree: Any, random: Random, *, least: bool) -> str:
    """A text that this part of an expression fits, about."""
    out = ""
    for kind, value in tree:
        if kind in REPEATS:
            low, high, inner = value
            times = low if least else min(int(high), max(low, random.choice((1, 2, 8))))
            out += "".join(sample(inner, random, least=least) for _ in range(times))
        elif kind is _constants.LITERAL:
            out += chr(value)
        elif kind is _constants.NOT_LITERAL:
            out += "b" if value == ord("a") else "a"
        elif kind is _constants.ANY:
            out += random.choice("a ;")
        elif kind is _constants.IN:
            out += random.choice([c for c in LIKELY if fits(value, c)] or [chr(n) for n in range(1, 400) if fits(value, chr(n))] or ["?"])
        elif kind is _constants.BRANCH:
            out += sample(random.choice(value[1]), random, least=least)
        elif kind in (_constants.SUBPATTERN, _constants.ATOMIC_GROUP):
            out += sample(value[3] if kind is _constants.SUBPATTERN else value, random, least=least)
    return out


def fits(members: Any, character: str) -> bool:
    point, wanted, hit = ord(character), True, False
    for kind, value in members:
        if kind is _constants.NEGATE:
            wanted = False
        elif kind is _constants.LITERAL:
            hit = hit or value == point
        elif kind is _constants.RANGE:
            hit = hit or value[0] <= point <= value[1]
        else:
            hit = hit or re.match({"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w"}[str(value).rpartition("_")[2]], character) is not None
    return hit is wanted


def invitations(tree: Any, random: Random, before: str = "") -> Iterator[tuple[str, str]]:
    """Of each repetition without a narrow limit: what stands before it, and what it repeats."""
    for at, (kind, value) in enumerate(tree):
        start = before + sample(list(tree)[:at], random, least=True)
        inner = [value[2]] if kind in REPEATS else value[1] if kind is _constants.BRANCH else []
        inner = [value[3]] if kind is _constants.SUBPATTERN else [value] if kind is _constants.ATOMIC_GROUP else inner
        if kind in REPEATS and value[1] >= 20:
            for least in (True, False, False):
                unit = sample(value[2], random, least=least)
                yield from ((start, unit), (start, unit + " " * 8))
        for part in inner:
            yield from invitations(part, random, start)


def attacked(pattern: re.Pattern[Any]) -> None:
    text = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    tree, random = _parser.parse(text, pattern.flags & ~(re.ASCII | re.UNICODE)), Random(1)
    for start, unit in dict.fromkeys(invitations(tree, random)):
        for behind in BEHIND:
            whole: Any = start + unit * REPETITIONS + behind
            whole = whole if isinstance(pattern.pattern, str) else whole.encode("latin-1", "replace")
            pattern.fullmatch(whole), pattern.match(whole)


def test_each_is_read_in_one_way() -> None:
    patterns = ours()
    assert len(patterns) > 80
    assert {"trust.edge.preferences._ONE", "trust.log.links._LINK", "eseal.claims._MEDIA_TYPE"} <= patterns.keys()
    found = {name: tried(lambda _, pattern=pattern: attacked(pattern), b"") for name, pattern in patterns.items()}
    assert {name: fault.what for name, fault in found.items() if fault is not None} == {}


@pytest.mark.parametrize(
    "expression",
    [r"(?:a|aa)+b", r"[!-~]+(?:; ?[!-~]{1,200})*", r"<a>(?:\s*;\s*[a-z]+\s*(?:=\s*x)?)*\s*(?:,|$)"],
    ids=["of two lengths", "of parameters", "of blanks"],
)
def test_one_that_is_read_in_many_ways_is_found(expression: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The measure measures."""
    monkeypatch.setattr("tests.fuzz.limits.STOP", 0.5)
    found = tried(lambda _: attacked(re.compile(expression)), b"", seconds=0.25)
    assert found is not None and found.what == "overtime"
