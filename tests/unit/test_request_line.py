"""The first line of a request: what llhttp is told, and what is refused before it sees anything (RFC 9112 section 3)."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trust.edge.request_line import MAX_TARGET, METHODS, Refusal, judged, unfinished

TOLD = {
    b"GET / HTTP/1.1": b"GET / HTTP/1.1",
    b"GET / HTTP/1.0": b"GET / HTTP/1.0",
    b"GET / HTTP/1.9": b"GET / HTTP/1.1",
    b"POST //x/%41?a/b?c=%2f HTTP/1.1": b"POST //x/%41?a/b?c=%2f HTTP/1.1",
    b"OPTIONS * HTTP/1.1": b"OPTIONS * HTTP/1.1",
    b"OPTIONS http://tsa HTTP/1.1": b"OPTIONS * HTTP/1.1",
    b"OPTIONS http://tsa?x HTTP/1.1": b"OPTIONS /?x HTTP/1.1",
    b"GET HTTPS://tsa:443 HTTP/1.1": b"GET / HTTP/1.1",
    b"GET http://[::1]:80/x?y HTTP/1.1": b"GET /x?y HTTP/1.1",
}


@pytest.mark.parametrize("line", TOLD, ids=bytes.decode)
def test_the_parser_is_told_one_form(line: bytes) -> None:
    assert judged(line) == TOLD[line]


@given(st.binary(max_size=60))
def test_garbage_is_refused(line: bytes) -> None:
    told = judged(line)
    assert isinstance(told, Refusal) or re.fullmatch(rb"[A-Z]+ (/[!-~]*|\*) HTTP/1\.[01]", told)


@pytest.mark.parametrize("target", [b"/" + b"%4" * 4000, b"/" + b"a" * 8000 + b"|", b"http://" + b"a" * 8000 + b"|"], ids=["escapes", "path", "host"])
def test_a_long_target_that_is_none_takes_no_time(target: bytes) -> None:
    """No pattern here goes back over what it has read: with nested repetitions these would run for ever."""
    assert isinstance(judged(b"GET %b HTTP/1.1" % target), Refusal)


STARTS = {
    b"": None,
    b"\r": None,
    b"G": None,
    b"GET": None,
    b"GET ": None,
    b"GET /x": None,
    b"GET /x HTTP/1.1": None,
    b"GET /x HTTP/1.1\r": None,
    b"BREW /pot HT": None,
    b" ": 400,
    b" GET": 400,
    b"\n": 400,
    b"GET /x\n": 400,
    b"GET\t": 400,
    b"\x16\x03\x01": 400,
    b"GET /x HTTP/1.1" + b" " * 20: 400,
    b"GET /" + b"a" * MAX_TARGET: 414,
    b"BREW /" + b"a" * MAX_TARGET: 501,
    b"X" * (MAX_TARGET + 1): 501,
}


@pytest.mark.parametrize("start", STARTS, ids=lambda start: repr(start[:24]))
def test_a_line_that_has_not_ended_is_waited_for_or_refused(start: bytes) -> None:
    found = unfinished(start)
    assert (found and found.status) == STARTS[start]


@pytest.mark.parametrize("line", TOLD, ids=bytes.decode)
def test_each_beginning_of_a_line_may_still_become_one(line: bytes) -> None:
    assert all(unfinished(line[:size]) is None for size in range(len(line)))


def test_what_is_told_has_a_method_that_is_known() -> None:
    assert all(judged(b"%b /x HTTP/1.1" % method) == b"%b /x HTTP/1.1" % method for method in METHODS)
