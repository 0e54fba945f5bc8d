"""Prefer (RFC 7240): followed or passed over, never an error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trust.edge.preferences import MOST, preferences, waits

SAID = {
    "receipt": {"receipt": ""},
    "Receipt": {"receipt": ""},
    "wait=10": {"wait": "10"},
    'receipt, wait = "10"; x=y ;z': {"receipt": "", "wait": "10"},
    "wait=1, wait=2": {"wait": "1"},
    "respond-async;a;b=c, receipt=": {"respond-async": "", "receipt": ""},
    ", ,receipt,": {"receipt": ""},
    "": {},
    "receipt, =, wait=3": {"receipt": ""},
    "(receipt)": {},
    '"receipt"': {},
    "receipt wait": {},
}


@pytest.mark.parametrize("said", SAID, ids=repr)
def test_what_a_client_prefers(said: str) -> None:
    assert preferences([said]) == SAID[said]


def test_of_several_fields_the_first_counts() -> None:
    assert preferences(["wait=1", "receipt, wait=2"]) == {"wait": "1", "receipt": ""}


@given(st.text(alphabet='ab="\\;, x1', max_size=60))
def test_whatever_is_said_is_passed_over_or_followed(said: str) -> None:
    assert len(preferences([said])) <= MOST


def test_no_more_are_looked_at_than_anybody_has() -> None:
    assert len(preferences([",".join(f"p{number}" for number in range(1000))])) == MOST


@pytest.mark.parametrize(("said", "seconds"), [("", 2.0), ("wait=7", 7.0), ("wait=0", 0.0), ("wait=999", 30.0), ("wait=x", 2.0)])
def test_how_long_a_client_waits(said: str, seconds: float) -> None:
    assert waits(preferences([said]), 30.0, 2.0) == seconds
