"""RFC 9110 section 13, a row a rule."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from trust.edge.conditions import conditions, is_known
from trust.errors import PreconditionFailed

TAG = '"a,b"'
MADE = datetime(2026, 11, 21, 10, 0, 0, 500_000, timezone(timedelta(hours=9)))
BEFORE, THEN, AFTER = "Sat, 21 Nov 2026 00:59:59 GMT", "Sat, 21 Nov 2026 01:00:00 GMT", "Sat, 21 Nov 2026 01:00:01 GMT"

SENT, KNOWN, FAILED = "sent", "known", "failed"

ROWS: dict[str, tuple[str, dict[str, str]]] = {
    "nothing asked": (SENT, {}),
    "13.1.1 the tag": (SENT, {"If-Match": TAG}),
    "13.1.1 any": (SENT, {"If-Match": "*"}),
    "13.1.1 among others": (SENT, {"If-Match": f'"x" , {TAG}, W/"y"'}),
    "13.1.1 another": (FAILED, {"If-Match": '"x"'}),
    "13.1.1 no tag": (FAILED, {"If-Match": "a,b"}),
    "13.1.1 compares strongly": (FAILED, {"If-Match": f"W/{TAG}"}),
    "13.1.2 the tag": (KNOWN, {"If-None-Match": TAG}),
    "13.1.2 any": (KNOWN, {"If-None-Match": "*"}),
    "13.1.2 among others": (KNOWN, {"If-None-Match": f'"", "x",{TAG}'}),
    "13.1.2 another": (SENT, {"If-None-Match": '"x"'}),
    "13.1.2 a part of it": (SENT, {"If-None-Match": '"a", "b"'}),
    "13.1.2 compares weakly": (KNOWN, {"If-None-Match": f"W/{TAG}"}),
    "13.1.3 as new": (KNOWN, {"If-Modified-Since": THEN}),
    "13.1.3 newer": (SENT, {"If-Modified-Since": BEFORE}),
    "13.1.3 older": (KNOWN, {"If-Modified-Since": AFTER}),
    "13.1.3 no date": (SENT, {"If-Modified-Since": "yesterday"}),
    "13.1.3 asctime's date": (KNOWN, {"If-Modified-Since": "Sat Nov 21 01:00:00 2026"}),
    "13.1.3 not beside If-None-Match": (SENT, {"If-None-Match": '"x"', "If-Modified-Since": AFTER}),
    "13.1.4 as new": (SENT, {"If-Unmodified-Since": THEN}),
    "13.1.4 newer": (FAILED, {"If-Unmodified-Since": BEFORE}),
    "13.1.4 no date": (SENT, {"If-Unmodified-Since": "yesterday"}),
    "13.1.4 not beside If-Match": (SENT, {"If-Match": TAG, "If-Unmodified-Since": BEFORE}),
    "13.2.2 the one that fails first": (FAILED, {"If-Match": '"x"', "If-None-Match": TAG}),
    "13.2.2 both hold": (KNOWN, {"If-Match": TAG, "If-None-Match": TAG}),
}


@pytest.mark.parametrize("name", ROWS)
def test_each_condition_means_what_its_section_says(name: str) -> None:
    meaning, fields = ROWS[name]
    asked = conditions((field.lower().encode(), value.encode()) for field, value in fields.items())
    if meaning == FAILED:
        with pytest.raises(PreconditionFailed):
            is_known(asked, TAG, MADE)
    else:
        assert is_known(asked, TAG, MADE) == (meaning == KNOWN)


def test_lines_of_one_field_are_one_list() -> None:
    assert is_known(conditions([(b"if-none-match", b'"x"'), (b"host", b"y"), (b"if-none-match", TAG.encode())]), TAG)


def test_dates_of_what_has_none_are_ignored() -> None:
    for name in (b"if-modified-since", b"if-unmodified-since"):
        assert not is_known(conditions([(name, THEN.encode())]), TAG)


def test_two_dates_are_none() -> None:
    dates = [(b"if-modified-since", AFTER.encode())] * 2
    assert not is_known(conditions(dates), TAG, MADE.astimezone(UTC))
