"""Disagreements with EU DSS: the page is what the table says, and the measure tells what the table does not explain."""

from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

import pytest

from bench.verdicts import PAGE, SIDES, causes, grouped, page, stale, unexplained
from tests.conformance import test_limbo, test_pkits

WRONG: dict[str, Any] = {
    "corpus": "forged",
    "policy": "eu",
    "figure": "timestamps intact as DSS",
    "id": "forge:pades.tsa-expired-at-stamp.T",
    "world": "then",
    "ours": [],
    "reference": [],
}


def test_the_page_is_what_the_table_says() -> None:
    assert PAGE.read_text("utf-8") == page(causes()), "python -m bench.verdicts --write"


def test_every_cause_names_a_clause_a_reason_and_files() -> None:
    known = causes()
    assert len({c.id for c in known}) == len(known)
    assert {c.side for c in known} <= set(SIDES)
    assert all(c.clause and c.why and c.title and c.figures and (c.corpus or c.forged) for c in known)
    assert not any(fnmatchcase("no file of any corpus", pattern) for c in known for pattern in (*c.corpus, *c.forged))


def test_nothing_that_is_false_is_explained_away() -> None:
    """A false valid, or a pass that EU DSS does not give, has no cause that could be good."""
    figures = [pattern for cause in causes() for pattern in cause.figures]
    assert not any(fnmatchcase(f, p) for f in ("FALSE VALID", "FALSE INTACT", "PASSED WHERE DSS DOES NOT") for p in figures)


@pytest.mark.parametrize("changed", [{"id": "forge:pades.sound.T"}, {"figure": "FALSE VALID"}, {"corpus": "corpus"}])
def test_what_has_no_cause_is_told(changed: dict[str, str]) -> None:
    by_cause, rest = grouped([WRONG, WRONG | changed], causes())
    assert list(by_cause) == ["expired-authority"]
    assert rest == [WRONG | changed]
    assert (WRONG | changed)["id"] in unexplained(rest[0])


def test_another_policy_differs_where_it_must_and_passes_nothing_without_cause() -> None:
    strict = WRONG | {"policy": "strict"}
    assert grouped([strict], causes()) == ({}, [])
    assert grouped([strict | {"figure": "PASSED WHERE DSS DOES NOT"}], causes())[1]


def test_a_cause_that_explains_nothing_any_more_is_told() -> None:
    cause = next(c for c in causes() if c.id == "expired-authority")
    alone = replace(cause, corpus=(), forged=(*cause.forged, "forge:*.repaired.*"))
    by_cause, _ = grouped([WRONG], [alone])
    assert stale(by_cause, [alone], "forged", "eu") == [
        "cause expired-authority of bench/verdicts.toml: nothing disagrees any more in forge:*.repaired.*"
    ]
    assert stale(by_cause, [alone], "forged", "strict") == []


def test_every_vector_that_differs_has_a_reason() -> None:
    told = PAGE.read_text("utf-8")
    for table in (test_limbo.DIFFERENT, test_pkits.DIFFERENT):
        for name, reason in table.items():
            assert reason and f"`{name}`" in told
