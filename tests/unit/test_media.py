"""RFC 9110 section 12.5.1."""

import pytest

from trust.media import preferred

OFFERED = ("text/plain", "text/html", "image/png")

ROWS = {
    "": "text/plain",
    "garbage, ;;": "text/plain",
    "text/html": "text/html",
    "TEXT/HTML ; level=1": "text/html",
    "text/*": "text/plain",
    "image/*, text/*;q=0.9": "image/png",
    "text/plain;q=0.1, */*;q=0.2": "text/html",
    "text/*;q=0, */*": "image/png",
    "*/*, text/plain;q=0": "text/html",
    "text/html, text/plain": "text/plain",
    "text/html;q=.2": "text/html",
    "text/html;q=x, image/png;q=0.1": "image/png",
    "*/*;q=0": None,
    "application/json": None,
    "text/html;q=0.000": None,
}


@pytest.mark.parametrize("accept", ROWS)
def test_the_greatest_weight_wins_and_the_most_specific_range_gives_it(accept: str) -> None:
    assert preferred(accept, OFFERED) == ROWS[accept]
