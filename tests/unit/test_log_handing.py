"""Receipts that come with what they show: where an answer says that they are, and what is believed of what is found there."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests import tsu
from tests.unit.test_log_publish import KEY, PRIVATE, SECOND, Ticking
from trust.errors import KakuinError, Malformed, NotFound, Unavailable
from trust.log import handing, links
from trust.log.journal import Journal
from trust.log.publish import Publisher
from trust.log.receipt import Receipt, parse_receipt, verify

ASKED = "https://tsa.example/a/tsa"
LINKED = {
    links.link("/tsa", 42): "https://tsa.example/a/v1/log/receipts/42",
    '</v1/log/receipts/1>; rel="https://c2sp.org/tlog-proof"': "https://tsa.example/v1/log/receipts/1",
    '<other>; rel=next, <log/7>; type="text/plain"; rel="x https://c2sp.org/tlog-proof"': "https://tsa.example/a/log/7",
    "<log/7>; rel=https://c2sp.org/tlog-proof": "https://tsa.example/a/log/7",
    '<log/7>; rel="next"': None,
    '<https://elsewhere.example/7>; rel="https://c2sp.org/tlog-proof"': None,
    '<http://tsa.example/7>; rel="https://c2sp.org/tlog-proof"': None,
    "": None,
    "garbage": None,
}


@pytest.mark.parametrize("field", LINKED, ids=repr)
def test_the_receipts_place_is_at_the_same_origin_or_nowhere(field: str) -> None:
    assert links.linked(field, ASKED) == LINKED[field]


@pytest.mark.parametrize("path", ["/tsa", "/tsa/night", "/tsa/a/b"])
def test_a_link_leads_from_each_path_to_the_receipts(path: str) -> None:
    """Relative, so that a proxy may put a path before ours."""
    assert links.linked(links.link(path, 7), f"https://x.example/proxied{path}") == "https://x.example/proxied/v1/log/receipts/7"


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    return Publisher(tsu.engine(tmp_path), KEY, PRIVATE.sign, Ticking(), SECOND)


SEALED = b"a sealed file"
DIGEST = hashlib.sha256(SEALED).hexdigest()


@pytest.fixture
def made(publisher: Publisher) -> Receipt:
    """That of a seal, which is entry 1."""
    with Journal(publisher._engine, tsu.clock) as journal:
        journal.append("event", b"{}")
        journal.append("seal", json.dumps({"sealed": DIGEST}).encode())
        return handing.awaited(1, publisher.stored, publisher)


def test_the_receipt_of_what_was_just_issued_is_waited_for(publisher: Publisher, made: Receipt) -> None:
    assert verify(made, SEALED, KEY).said.kind == "seal"
    with Journal(publisher._engine, tsu.clock) as journal:
        index = journal.append("event", b'{"event": "x"}')
    clock = publisher._clock
    assert isinstance(clock, Ticking)

    def sleep(_seconds: float) -> None:
        clock.now += SECOND  # a checkpoint is due

    assert handing.awaited(index, publisher.stored, publisher, sleep).index == index


def test_one_that_never_comes_is_given_up(publisher: Publisher, made: Receipt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handing, "PATIENCE", 0.0)
    with Journal(publisher._engine, tsu.clock) as journal:
        index = journal.append("event", b"{}")
    with pytest.raises(Unavailable, match="prove inclusion"):
        handing.awaited(index, publisher.stored, publisher)


def served(*answers: httpx.Response, asked: list[httpx.Request] | None = None) -> httpx.MockTransport:
    left = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        if asked is not None:
            asked.append(request)
        return left.pop(0)

    return httpx.MockTransport(answer)


def test_a_receipt_is_fetched_as_soon_as_it_is_there(made: Receipt) -> None:
    asked: list[httpx.Request] = []
    transport = served(httpx.Response(503), httpx.Response(200, content=bytes(made)), asked=asked)
    found = handing.fetched("https://tsa.example/r/1", DIGEST, transport, lambda _: None)
    assert bytes(found) == bytes(made)
    handing.require_seal(found, DIGEST)
    assert [request.headers["prefer"] for request in asked] == ["wait=20"] * 2
    assert asked[0].url == f"https://tsa.example/r/1?sha256={DIGEST}"


REFUSED: dict[str, tuple[Callable[[Receipt], httpx.Response], type[KakuinError]]] = {
    "none": (lambda _: httpx.Response(404), NotFound),
    "a page": (lambda _: httpx.Response(200, content=b"<html>"), Malformed),
    "a redirect": (lambda _: httpx.Response(302, headers={"Location": "https://elsewhere.example"}), Unavailable),
    "not yet": (lambda _: httpx.Response(503), Unavailable),
    "two": (lambda made: httpx.Response(200, content=bytes(made) + bytes(made)), Malformed),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_receipt_is_refused(made: Receipt, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handing, "PATIENCE", 0.0)
    answer, error = REFUSED[name]
    with pytest.raises(error):
        handing.require_seal(handing.fetched("https://tsa.example/r/1", None, served(answer(made)), lambda _: None), DIGEST)


def test_a_receipt_of_something_else_is_refused(made: Receipt) -> None:
    with pytest.raises(Malformed, match="another sealed file"):
        handing.require_seal(made, "0" * 64)
    with pytest.raises(Malformed):
        handing.require_token(made, b"token")
    moved = parse_receipt(bytes(made).replace(b"index 1\n", b"index 0\n"))
    with pytest.raises(Malformed, match="does not lead"):
        handing.require_seal(moved, DIGEST)
