"""Everything that is sealed, by every kind of key in turn: it passes here and in EU DSS at the level that was asked for.

`python -m bench.matrix` takes every cell.
"""

import functools
from pathlib import Path

import pytest

from tests.matrix import KEYS, USUAL, Cell, Made, asked_level, cells, harm_by_dss, judged_by_dss, make, there
from tests.shared import needs_shared

pytestmark = pytest.mark.xdist_group("matrix")

SHAPES = there()[0]
MAY_REFUSE = {"Ed448": ("ed448 keys seal in XML, JSON and COSE only",), "ML-DSA": ("has no identifier in XML",)}
"""Kind of key -> what may be said instead of a seal."""


def spread() -> list[Cell]:
    """Each format, packaging and level by the usual key and by one of the others in turn; each other way of writing by one of all kinds in turn."""
    kinds = list(KEYS)
    others = [key for key in KEYS if key != USUAL]
    found = []
    for number, (shape, level) in enumerate(SHAPES):
        if shape.choices:
            found.append(Cell(shape, level, kinds[number % len(kinds)]))
        else:
            found += [Cell(shape, level, USUAL), Cell(shape, level, others[number * 3 % len(others)])]
    return found


@functools.cache
def made() -> dict[str, Made]:
    return {cell.id: make(cell) for cell in spread()}


def test_the_matrix_is_large() -> None:
    assert len(cells()) > 500
    assert {cell.key for cell in spread()} == set(KEYS)


@pytest.mark.parametrize("cell", spread(), ids=lambda cell: cell.id.replace(" ", "."))
def test_our_verifier_passes_it_at_its_level_or_the_refusal_says_why(cell: Cell) -> None:
    one = made()[cell.id]
    if one.refusal:
        allowed = next((texts for kind, texts in MAY_REFUSE.items() if cell.key.startswith(kind)), ())
        assert any(text in one.refusal for text in allowed), one.refusal
        return
    assert (one.level, one.why) == (asked_level(cell), "")


@needs_shared
def test_eu_dss_says_the_same_of_all_that_it_knows(tmp_path: Path) -> None:
    said = judged_by_dss(list(made().values()), tmp_path)
    assert {name: against for name, one in made().items() if (against := harm_by_dss(one.cell, said.get(name, "")))} == {}
    assert sum(not against for against in said.values()) > len(SHAPES) / 2
