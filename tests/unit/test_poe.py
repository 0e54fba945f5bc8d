"""Proofs of existence only ever reach further back, and nothing changes them."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from trust.model import Id, identify
from verifier.poe import Proofs

NOW = datetime(2026, 6, 1, tzinfo=UTC)
THINGS = [identify(bytes([n])) for n in range(200)]


def test_without_proof_a_thing_exists_since_now() -> None:
    assert Proofs(NOW).of(THINGS[0]) == NOW


def test_an_extension_leaves_the_old_proofs_as_they_were() -> None:
    before = Proofs(NOW)
    after = before.extended(THINGS[:1], NOW - timedelta(days=1))
    assert after.of(THINGS[0]) == NOW - timedelta(days=1)
    assert before.of(THINGS[0]) == NOW


def test_a_proof_from_the_future_proves_nothing() -> None:
    assert Proofs(NOW).extended(THINGS, NOW + timedelta(days=1)).of(THINGS[0]) == NOW


@given(st.lists(st.tuples(st.lists(st.sampled_from(THINGS), max_size=90), st.integers(-5, 50)), max_size=30))
def test_the_earliest_proof_counts_in_whatever_order(extensions: list[tuple[list[Id], int]]) -> None:
    proofs = Proofs(NOW)
    earliest: dict[Id, datetime] = {}
    for things, days in extensions:
        when = NOW - timedelta(days=days)
        proofs = proofs.extended(things, when)
        for thing in things:
            earliest[thing] = min(when, earliest.get(thing, NOW))
    assert all(proofs.of(thing) == earliest.get(thing, NOW) for thing in THINGS)
