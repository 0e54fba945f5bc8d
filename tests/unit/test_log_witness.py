"""A witness cosigns what continues the history that it has seen, and nothing else; the log's side brings its checkpoints to it."""

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine

from tests import asgi, tsu
from tests.unit.test_log_publish import AT, KEY, PRIVATE, Ticking, fill, made
from trust.edge.web import application
from trust.errors import Conflict, Misconfigured, NotFound, Unacceptable
from trust.log import cosign, keys, note, tree, witness
from trust.log.cosign import Cosigners, Peer, peer
from trust.log.journal import Journal
from trust.log.note import Checkpoint, Kind, Note, VerifierKey, opened
from trust.log.publish import Publisher
from trust.log.stored import Stored
from trust.log.tree import leaf_hash, root_of
from trust.log.witness import Asked, Logs, Witness
from trust.log.witness_api import router

SECRET = b"a passphrase for the witness"
COSIGNING = (Kind.WITNESS, Kind.WITNESS_ML_DSA)
LEAVES = [leaf_hash(bytes([n])) for n in range(20)]
OTHERS = [*LEAVES[:5], *(leaf_hash(bytes([n, n])) for n in range(15))]
"""Another history, which shares five entries with the first."""


@dataclass
class Standing:
    """A witness that stands, with its way in."""

    folder: Path
    key: VerifierKey
    logs: Logs
    http: httpx.Client

    def asked(self, asked: Asked) -> httpx.Response:
        return self.http.post("/add-checkpoint", content=bytes(asked))


@pytest.fixture
def kind() -> Kind:
    """What the witness signs with."""
    return Kind.WITNESS


@pytest.fixture
def standing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Kind) -> Iterator[Standing]:
    monkeypatch.setattr("trust.edge.keystore._SCRYPT_COST", 256)
    folder = tmp_path / "witness"
    key = witness.create(folder, "witness.example/1", SECRET, kind)
    logs = Logs(folder)
    logs.add(KEY)
    serving = Witness(logs, keys.unlocked(folder, SECRET), lambda: AT)
    yield Standing(folder, key, logs, asgi.client(application("witness", (router(serving),))))
    logs.engine.dispose()


def checkpoint(size: int, leaves: list[bytes] = LEAVES) -> Note:
    said = Checkpoint(KEY.name, size, root_of(leaves[:size]))
    return Note(said.text, (note.signature(KEY, PRIVATE.sign, said.text),))


def asked(old: int, new: int, leaves: list[bytes] = LEAVES) -> Asked:
    return Asked(old, tree.consistency(lambda _l, _n, width: b"".join(leaves[:width]), old, new), checkpoint(new, leaves))


@pytest.mark.parametrize("kind", COSIGNING, ids=lambda kind: kind.algorithm.scheme)
def test_it_cosigns_what_continues(standing: Standing) -> None:
    for old, new in ((0, 5), (5, 5), (5, 13), (13, 20)):
        answer = standing.asked(asked(old, new))
        assert answer.status_code == 200
        [line] = note.signature_lines(answer.text)
        whole = checkpoint(new).with_signatures([line])
        assert whole.signed_by([standing.key]) == (standing.key,) and note.cosigned_at(line) == int(AT.timestamp())
        served = standing.http.get(f"/{hashlib.sha256(KEY.name.encode()).hexdigest()}/checkpoint")
        assert opened(served.content, KEY, [standing.key])[0].size == new and len(opened(served.content, KEY, [standing.key])[1]) == 1
    assert [(each.size, each.contradictions, each.unproven) for each in standing.logs.all()] == [(20, 0, 0)]


REFUSED = {
    "a rollback": (asked(0, 5), 409, "13\n"),
    "an old size that is not the last": (asked(5, 20), 409, "13\n"),
    "another root of the same size": (asked(13, 13, OTHERS), 422, None),
    "another root of the same size, under another old size": (Asked(5, (), checkpoint(13, OTHERS)), 409, "13\n"),
    "a split view": (asked(13, 20, OTHERS), 422, None),
    "a proof of nothing": (Asked(13, (), checkpoint(20)), 422, None),
    "a proof where none is due": (Asked(13, (LEAVES[0],), checkpoint(13)), 422, None),
    "an old size over the new": (Asked(13, (), checkpoint(5)), 400, None),
    "an unknown log": (Asked(13, (), Note(checkpoint(13).text.replace("log.example/1", "log.example/2"), checkpoint(13).signatures)), 404, None),
    "no signature of the log": (Asked(13, (), Note(checkpoint(13).text, (note.Signature("x", b"1234", bytes(64)),))), 403, None),
    "a signature that does not verify": (Asked(13, (), Note(checkpoint(13).text, checkpoint(20).signatures)), 403, None),
}


LIES = {"another root of the same size", "another root of the same size, under another old size"}
DOUBTFUL = {"a split view", "a proof of nothing"}


@pytest.mark.parametrize("name", REFUSED)
def test_it_refuses_everything_else(name: str, standing: Standing) -> None:
    assert standing.asked(asked(0, 13)).status_code == 200
    request, status, body = REFUSED[name]
    answer = standing.asked(request)
    assert answer.status_code == status
    if body is not None:
        assert answer.text == body and answer.headers["content-type"] == "text/x.tlog.size"  # Tessera's client takes nothing else
    [after] = standing.logs.all()
    assert (after.size, after.root) == (13, root_of(LEAVES[:13]))
    # What the log signed proves something against it; a wrong proof under what it signed is anybody's.
    assert after.contradictions == (name in LIES) and after.unproven == (name in DOUBTFUL)
    if name in LIES:
        [(kept, cosigned)] = standing.logs.contradictions(KEY.name)
        assert witness.parse_asked(kept) == request and opened(cosigned or b"", KEY, [standing.key])[0].size == 13
    if name in DOUBTFUL:
        assert [witness.parse_asked(each) for each in standing.logs.unproven(KEY.name)] == [request]
    assert standing.asked(asked(13, 20)).status_code == 200


def test_what_anybody_sends_does_not_fill_the_room_of_what_proves(standing: Standing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witness, "MOST_EVIDENCE", 2)
    assert standing.asked(asked(0, 3)).status_code == 200
    for size in (4, 5, 6, 6):
        for proof in ((), (LEAVES[0],)):
            assert standing.asked(Asked(3, proof, checkpoint(size))).status_code == 422
    kept = [witness.parse_asked(each) for each in standing.logs.unproven(KEY.name)]
    assert kept == [Asked(3, (), checkpoint(5)), Asked(3, (), checkpoint(6))]
    strange = [[leaf_hash(bytes([n])) for n in range(at, at + 3)] for at in (5, 6, 7)]
    for leaves in strange:
        assert standing.asked(Asked(0, (), checkpoint(3, leaves))).status_code == 409
    found = [witness.parse_asked(request).note for request, _ in standing.logs.contradictions(KEY.name)]
    assert found == [checkpoint(3, leaves) for leaves in strange[:2]]


def test_a_witness_of_before_contradictions_were_kept_apart(standing: Standing) -> None:
    with standing.logs.engine.begin() as connection:
        witness.CONTRADICTION.drop(connection)
    again = Logs(standing.folder)
    assert [each.contradictions for each in again.all()] == [0]
    again.engine.dispose()


def test_an_empty_tree_has_one_root(standing: Standing) -> None:
    said = Checkpoint(KEY.name, 0, bytes(32))
    assert standing.asked(Asked(0, (), Note(said.text, (note.signature(KEY, PRIVATE.sign, said.text),)))).status_code == 422
    assert standing.asked(Asked(0, (LEAVES[0],), checkpoint(5))).status_code == 422
    assert standing.asked(Asked(0, (), checkpoint(0, []))).status_code == 200


GOOD = bytes(asked(5, 13))
MALFORMED = {
    "nothing": b"",
    "no old size": GOOD.partition(b"\n")[2],
    "a leading zero": b"old 0" + GOOD.removeprefix(b"old "),
    "no gap": GOOD.replace(b"\n\n", b"\n"),
    "64 hashes": b"old 5\n" + (b"%s\n" % GOOD.split(b"\n")[1]) * 64 + GOOD[GOOD.index(b"\n\n") + 1 :],
    "a hash of 31 bytes": GOOD.replace(GOOD.split(b"\n")[1], b"A" * 42 + b"=="),
    "binary": bytes(range(256)),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_request(name: str, standing: Standing) -> None:
    assert standing.http.post("/add-checkpoint", content=MALFORMED[name]).status_code == 400


def test_other_ways_in(standing: Standing) -> None:
    assert standing.http.get("/add-checkpoint").status_code == 405
    assert standing.http.post("/add-checkpoint", content=b"x" * (witness.MAX_REQUEST + 1)).status_code == 413
    assert standing.http.get(f"/{'0' * 64}/checkpoint").status_code == 404
    for name in ("x", "0" * 63, hashlib.sha256(KEY.name.encode()).hexdigest().upper()):
        assert standing.http.get(f"/{name}/checkpoint").status_code == 404


def test_what_it_has_seen_outlives_it(standing: Standing) -> None:
    assert standing.asked(asked(0, 13)).status_code == 200
    again = Logs(standing.folder)
    other = Witness(again, keys.unlocked(standing.folder, SECRET), lambda: AT)
    assert other.add_checkpoint(bytes(asked(0, 5))) == witness.Answer(409, b"13\n", witness.SIZE)
    again.engine.dispose()
    (standing.folder / witness.DATABASE).unlink()
    with pytest.raises(Misconfigured, match="must not go on"):
        Logs(standing.folder)
    with pytest.raises(Conflict):
        witness.create(standing.folder, "witness.example/1", SECRET)
    with pytest.raises(Misconfigured, match="wrong passphrase"):
        keys.unlocked(standing.folder, b"another passphrase")


def test_a_log_is_added_once_and_by_a_logs_key(standing: Standing) -> None:
    with pytest.raises(Conflict):
        standing.logs.add(KEY)
    with pytest.raises(Unacceptable):
        standing.logs.add(standing.key)
    with pytest.raises(NotFound):
        standing.logs.checkpoint("0" * 64)


# The log's side.


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    found = tsu.engine(tmp_path)
    yield found
    found.dispose()


@pytest.mark.parametrize("kind", COSIGNING, ids=lambda kind: kind.algorithm.scheme)
def test_checkpoints_are_cosigned_and_then_shown(standing: Standing, engine: Engine) -> None:
    clock = Ticking()
    shown = Stored(engine, quorum=1)
    with Journal(engine, clock) as journal:
        publisher = Publisher(engine, KEY, PRIVATE.sign, clock, timedelta())
        transport = standing.http._transport
        asking = Peer("http://test", standing.key)
        cosigners = Cosigners(engine, (asking,), 1.0, transport)
        cosigners.ask(asking)  # there is nothing yet
        for count in (3, 300, 1):
            fill(journal, count)
            publisher.publish()
            before = shown.checkpoint()
            assert before is None or before.size == journal.size() - count
            cosigners.ask(asking)
            newest = made(shown.checkpoint())
            assert opened(newest.note, KEY, [standing.key])[1] == (standing.key,) and newest.size == journal.size()
            cosigners.ask(asking)  # it has cosigned: nobody is asked
            assert made(shown.checkpoint()) == newest
        fill(journal, 5)
        publisher.publish()
        forgetful = Cosigners(engine, (asking,), 1.0, transport)
        forgetful.ask(asking)  # 409 tells it where the witness stands
        assert made(shown.checkpoint()).size == journal.size()
        cosigners.close()
        forgetful.close()


def test_a_witness_that_has_seen_more_or_lies_is_told(standing: Standing, engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    with Journal(engine, Ticking()) as journal:
        fill(journal, 3)
        Publisher(engine, KEY, PRIVATE.sign, Ticking(), timedelta()).publish()
    standing.asked(asked(0, 13))
    answers = {
        "it has seen 13 entries": standing.http._transport,
        "answered 500": httpx.MockTransport(lambda _: httpx.Response(500)),
        "does not answer": httpx.MockTransport(_broken),
        "not its cosignature": httpx.MockTransport(lambda _: httpx.Response(200, text=str(checkpoint(3).signatures[0]))),
        "signatures are lines": httpx.MockTransport(lambda _: httpx.Response(200, text="")),
        "over": httpx.MockTransport(lambda _: httpx.Response(200, content=bytes(1 << 20))),
    }
    for words, transport in answers.items():
        caplog.clear()
        Cosigners(engine, (Peer("http://test", standing.key),), 1.0, transport).ask(Peer("http://test", standing.key))
        assert words in caplog.text
    assert made(Stored(engine).checkpoint()).cosigned == 0


class _Dripping(httpx.SyncByteStream):
    """An answer without end, each piece in time."""

    def __iter__(self) -> Iterator[bytes]:
        while True:
            yield b"x"


def test_a_witness_that_answers_without_end_is_given_up(
    standing: Standing, engine: Engine, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cosign, "SECONDS", 0.0)
    monkeypatch.setattr(cosign, "MAX_NOTE", 1 << 40)
    with Journal(engine, Ticking()) as journal:
        fill(journal, 3)
        Publisher(engine, KEY, PRIVATE.sign, Ticking(), timedelta()).publish()
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=_Dripping()))
    Cosigners(engine, (Peer("http://test", standing.key),), 1.0, transport).ask(Peer("http://test", standing.key))
    assert "its answer takes over 0 seconds" in caplog.text


def test_no_witness_waits_for_another(standing: Standing, engine: Engine) -> None:
    """One that does not answer keeps nobody from showing what another has cosigned."""
    hanging, asked_of_it, cosigned = threading.Event(), threading.Event(), threading.Event()
    inner = standing.http._transport

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "slow":
            asked_of_it.set()
            hanging.wait(60)
            return httpx.Response(500)
        assert asked_of_it.wait(60)
        found = inner.handle_request(request)
        cosigned.set()
        return found

    stranger = VerifierKey("slow.example/w", Kind.WITNESS, KEY.public)
    peers = (Peer("http://slow", stranger), Peer("http://test", standing.key))
    with Journal(engine, Ticking()) as journal:
        fill(journal, 3)
        Publisher(engine, KEY, PRIVATE.sign, Ticking(), timedelta()).publish()
        cosigners = Cosigners(engine, peers, 0.01, httpx.MockTransport(answer))
        cosigners.start()
        assert cosigned.wait(60)
        hanging.set()
        cosigners.close()
    assert made(Stored(engine).checkpoint()).cosigned == 1


def _broken(_: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("no")


@pytest.mark.parametrize("text", ["", "https://w.example", f"ftp://w.example {KEY}", f"https://w.example {KEY}", "https://w.example x+y+z"])
def test_settings_that_name_no_witness(text: str) -> None:
    with pytest.raises(Misconfigured, match=r"log\.witnesses"):
        peer(text)


def test_settings_that_name_one(standing: Standing) -> None:
    assert peer(f"https://w.example/ {standing.key}") == Peer("https://w.example", standing.key)
    later = VerifierKey("w.example/2", Kind.WITNESS_ML_DSA, bytes(1312))
    assert peer(f"https://w.example/ {later}") == Peer("https://w.example", later)
