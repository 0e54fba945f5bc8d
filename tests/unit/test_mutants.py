"""Every mutant of the process dies: the stories, and the tests beside them, tell it from the right verifier."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any

import pytest

from tests import situations
from tests.mutants import MUTANTS, Mutant


class _Loader(SourceFileLoader):
    """Compiles the module's source with the one piece changed; nothing is cached."""

    mutant: Mutant

    def get_code(self, fullname: str) -> CodeType:
        source = self.get_source(fullname) or ""
        for old, new in ((self.mutant.old, self.mutant.new), *self.mutant.more):
            assert source.count(old) == 1, f"{self.mutant.name}: the piece stands {source.count(old)} times in {fullname}: {old}"
            source = source.replace(old, new)
        return compile(source, self.path, "exec")


class _Finder(MetaPathFinder):
    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant

    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname != self.mutant.module:
            return None
        spec = PathFinder.find_spec(fullname, path)
        assert spec is not None and spec.origin is not None
        loader = _Loader(fullname, spec.origin)
        loader.mutant = self.mutant
        spec.loader = loader
        return spec


@contextmanager
def verifier(mutant: Mutant | None) -> Iterator[None]:
    """The verifier's modules as they are, or with one mutated; afterwards the real ones are back."""
    own = {name: module for name, module in sys.modules.items() if name == "verifier" or name.startswith("verifier.")}
    for name in own:
        del sys.modules[name]
    finder = _Finder(mutant) if mutant else None
    if finder:
        sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        if finder:
            sys.meta_path.remove(finder)
        for name in [n for n in sys.modules if n == "verifier" or n.startswith("verifier.")]:
            del sys.modules[name]
        sys.modules.update(own)


def outcomes() -> Iterator[str]:
    """What the verifier that is loaded now says of every situation."""
    process, policy = importlib.import_module("verifier.process"), importlib.import_module("verifier.policy")
    return (situations.outcome(process, policy, situation) for situation in situations.all_of_them())


@cache
def right() -> tuple[str, ...]:
    with verifier(None):
        return tuple(outcomes())


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_the_mutant_dies(mutant: Mutant) -> None:
    expected = right()
    with verifier(mutant):
        try:
            alive = all(got == wanted for got, wanted in zip(outcomes(), expected, strict=True))
        except Exception:
            alive = False  # a verifier that falls over has been noticed too
    assert not alive, f"no story tells this verifier from the right one: {mutant.module}, {mutant.name}"
