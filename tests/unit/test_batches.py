"""Batches over HTTP and the batch that is always open: what is taken, what is answered, and that nobody is left without an answer."""

import asyncio
import base64
import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import pki
from tests.reading import stamp_intact
from trust.edge.web import application
from trust.errors import KakuinError, Malformed, TooLarge, Unacceptable, Unavailable
from trust.model import Digest, Document
from tsa import batch, batch_api
from tsa.batch import Lines
from tsa.batch_current import Aggregator
from verifier.formats import ers

UNIT = pki.pki().tsu
STAMP = pki.stamper(UNIT)


def sha(text: str, name: str = "sha256") -> bytes:
    return hashlib.new(name, text.encode()).digest()


def proves(record: bytes, text: str) -> bool:
    evidence = ers.read(Document.of(record), [Document.of(text.encode(), "it")])
    return evidence.records[0].intact and all(stamp_intact(stamp) for stamp in evidence.stamps)


# Lines.


def lines(data: bytes, *, limit: int = 100, algorithm: str | None = None, size: int = 0) -> Lines:
    made = Lines(limit, algorithm)
    for at in range(0, len(data), size or len(data) or 1):
        made.feed(data[at : at + (size or len(data))])
    made.end()
    return made


@pytest.mark.parametrize("size", [0, 1, 7, 64, 200])
def test_lines_of_both_kinds_in_pieces_of_any_size(size: int) -> None:
    text = (
        f'{{"id":"請求書 1","digest":"{sha("1").hex()}","algorithm":"SHA-256"}}\r\n'
        f"{sha('2').hex()}  two words.pdf\n\n{sha('3').hex().upper()} *binary.bin\n"
        f'{{"digest":"{base64.b64encode(sha("4")).decode()}"}}\n{sha("5").hex()}'
    )
    found = lines(text.encode(), size=size)
    assert found.ids == ["請求書 1", "two words.pdf", "binary.bin", sha("4").hex(), sha("5").hex()]
    assert bytes(found.digests) == b"".join(sha(n) for n in "12345") and found.algorithm == "sha256"


def test_lines_that_name_their_algorithm() -> None:
    text = f"\ufeffSHA512 (a.pdf) = {sha('1', 'sha512').hex()}\r\nSHA2-512(b.pdf)= {sha('2', 'sha512').hex()}\nsha512:{sha('3', 'sha512').hex()}\n"
    found = lines(text.encode())
    assert (found.ids, found.algorithm) == (["a.pdf", "b.pdf", sha("3", "sha512").hex()], "sha512")


@pytest.mark.parametrize("name", ["sha384", "sha512", "sha3_256", "sha3_512"])
def test_the_algorithm_is_named_or_told_by_the_length(name: str) -> None:
    told = lines(sha("1", name).hex().encode(), algorithm=name)
    assert told.algorithm == name and bytes(told.digests) == sha("1", name)
    if not name.startswith("sha3_"):
        assert lines(sha("1", name).hex().encode()).algorithm == name


@pytest.mark.parametrize(
    ("data", "error", "says"),
    [
        (b"", Malformed, "one or more digests"),
        (b"\n\n", Malformed, "one or more digests"),
        (b"hello", Malformed, "line 1: expected a hexadecimal digest"),
        (sha("1").hex().encode() + b"\nzz", Malformed, "line 2: expected a hexadecimal digest"),
        (sha("1").hex()[:-2].encode(), Malformed, "line 1: digest is of sha256"),
        (b'{"digest":1}', Malformed, "line 1: expected {"),
        (b'{"digest":"x","colour":"red"}', Malformed, "line 1: expected {"),
        (b'{"digest":"!!"}', Malformed, "neither hexadecimal nor base64"),
        (b'{"digest":"AAAA"}', Malformed, "sha256 digest is 32 bytes, got 3"),
        (b'{"digest":"AAAA","algorithm":"sha1000"}', Unacceptable, "unknown digest algorithm"),
        (b'{"digest":', Malformed, "line is not JSON"),
        (b'{"digest":"%s","digest":"%s"}' % (sha("1").hex().encode(), sha("2").hex().encode()), Malformed, "same member twice"),
        (b"[" * 2000, Malformed, "line 1: expected"),
        (b'{"id":"a\\u0000b","digest":"%s"}' % sha("1").hex().encode(), Malformed, "printable"),
        (b'{"id":"","digest":"%s"}' % sha("1").hex().encode(), Malformed, "1 to 255"),
        (b"\xff" * 64, Malformed, "not UTF-8"),
        (sha("1").hex().encode() + b"\n" + sha("1", "sha512").hex().encode(), Unacceptable, "line 2: a batch has one digest algorithm"),
        (b"a" * 2049, TooLarge, "line 1: a line is at most"),
        (sha("1").hex().encode() + b"\n" + b"a" * 3000 + b"\n", TooLarge, "line 2: a line is at most"),
        (b"\n".join([sha("1").hex().encode()] * 101), TooLarge, "line 101: a batch has at most 100"),
    ],
    ids=range(20),
)
def test_each_bad_line_is_named(data: bytes, error: type[KakuinError], says: str) -> None:
    for size in (0, 50):
        with pytest.raises(error, match="^.*" + says.replace("{", r"\{")):
            lines(data, size=size)


@given(st.binary(max_size=300), st.integers(1, 60))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_lines_or_an_error(data: bytes, size: int) -> None:
    try:
        found = lines(data, size=size)
    except (Malformed, TooLarge, Unacceptable):
        return
    assert len(found.digests) and found.ids


def test_digests_given_twice_have_a_record_each() -> None:
    texts = ["a", "b", "a", "c", "b", "a"]
    made = batch.stamped("sha256", b"".join(map(sha, texts)), STAMP)
    records = list(made.records())
    assert len(records) == 6 and len(made.tree) == 3
    assert all(proves(record, text) for record, text in zip(records, texts, strict=True))


def test_a_token_over_something_else_makes_no_batch() -> None:
    with pytest.raises(Unacceptable, match="something else"):
        batch.stamped("sha256", sha("a"), lambda _: STAMP(Digest("sha256", bytes(32))))


# Over HTTP.


Answer = tuple[int, dict[str, str], bytes]


class Service:
    """The routes behind the door that all requests go through."""

    def __init__(self, stamp: Callable[[Digest], bytes] = STAMP, limit: int = 50, **aggregator: Any) -> None:
        self.stamps: list[Digest] = []

        def counted(digest: Digest) -> bytes:
            self.stamps.append(digest)
            return stamp(digest)

        self.current = Aggregator(counted, **{"seconds": 0.01, **aggregator})
        routes = batch_api.router(counted, self.current, limit)
        self.app: FastAPI = application("test", (routes,), limits={batch_api.PATH: batch_api.body_limit(limit)})

    def post(self, path: str, *pieces: bytes, **headers: str) -> Answer:
        return asyncio.run(self.soon(path, *pieces, **headers))

    async def soon(self, path: str, *pieces: bytes, **headers: str) -> Answer:
        incoming: list[Any] = [{"type": "http.request", "body": piece, "more_body": at + 1 < len(pieces)} for at, piece in enumerate(pieces)]
        sent: list[Any] = []
        gone = asyncio.Event()

        async def receive() -> Any:
            if not incoming:
                await gone.wait()
            return incoming.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        path, _, query = path.partition("?")
        raw = [(name.replace("_", "-").lower().encode(), value.encode()) for name, value in {"content_type": "text/plain", **headers}.items()]
        scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": query.encode(), "headers": raw}
        await self.app({**scope, "http_version": "1.1", "scheme": "http", "server": ("x", 80), "client": ("y", 1), "root_path": ""}, receive, send)
        found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return sent[0]["status"], found, b"".join(message["body"] for message in sent[1:])


def problem(answer: Answer) -> tuple[int, str]:
    assert answer[1]["content-type"] == "application/problem+json", answer
    said = json.loads(answer[2])
    return answer[0], said["detail"]


def sums(*texts: str) -> bytes:
    return "".join(f"{sha(text).hex()}  {text}.pdf\n" for text in texts).encode()


def test_json_lines_with_a_record_each_under_one_token() -> None:
    service = Service()
    status, headers, body = service.post("/v1/batches", sums("a", "b")[:50], sums("a", "b")[50:], sums("c"))
    assert status == 200 and headers["content-type"] == "application/x-ndjson" and headers["kakuin-records"] == "3"
    found = [json.loads(line) for line in body.splitlines()]
    assert [line["id"] for line in found] == ["a.pdf", "b.pdf", "c.pdf"]
    assert all(proves(base64.b64decode(line["record"]), line["id"][0]) for line in found)
    assert [f"{d.algorithm}:{d.value.hex()}" for d in service.stamps] == [headers["kakuin-root"]]


def test_a_zip_with_a_file_each() -> None:
    status, headers, body = Service().post("/v1/batches", sums("a", "b", "c"), accept="application/zip")
    assert status == 200 and headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["a.pdf.ers", "b.pdf.ers", "c.pdf.ers"]
        assert all(proves(archive.read(name), name[0]) for name in archive.namelist())


def test_blinded_records() -> None:
    body = Service().post("/v1/batches?blinded=true", sums("a", "b"))[2]
    first, second = (base64.b64decode(json.loads(line)["record"]) for line in body.splitlines())
    assert sha("b") not in first and sha("a") not in second and proves(first, "a") and proves(second, "b")
    plain = Service().post("/v1/batches", sums("a", "b"))[2]
    assert sha("b") in base64.b64decode(json.loads(plain.splitlines()[0])["record"])


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "says"),
    [
        ("/v1/batches", b"x", {}, 400, "line 1"),
        ("/v1/batches", b"", {}, 400, "one or more digests"),
        ("/v1/batches", sums(*map(str, range(51))), {}, 413, "at most 50 digests"),
        ("/v1/batches", b"\n" * 30_000, {}, 413, "body is over"),
        ("/v1/batches", sums("a"), {"content_type": "application/x-www-form-urlencoded"}, 415, "content-type"),
        ("/v1/batches", sums("a"), {"content_encoding": "gzip"}, 415, "compressed"),
        ("/v1/batches", sums("a"), {"accept": "text/html"}, 406, "application/zip"),
        ("/v1/batches?colour=red", sums("a"), {}, 422, "does not exist"),
        ("/v1/batches?blinded=yes", sums("a"), {}, 422, "true or false"),
        ("/v1/batches?blinded=true&blinded=false", sums("a"), {}, 422, "twice"),
        ("/v1/batches?algorithm=crc32", sums("a"), {}, 422, "algorithm is"),
        ("/v1/batches?algorithm=sha512", sums("a"), {}, 400, "sha512 digest is 64 bytes"),
        ("/v1/batches", sums("a", "a"), {"accept": "application/zip"}, 422, "each id is another one"),
        ("/v1/batches", sums("../a"), {"accept": "application/zip"}, 422, "without folders"),
        ("/v1/batches/current", sums("a", "b"), {}, 413, "at most 1 digests"),
        ("/v1/batches/current?blinded=true", sums("a"), {}, 422, "does not exist"),
    ],
    ids=range(16),
)
def test_bad_requests(path: str, body: bytes, headers: dict[str, str], status: int, says: str) -> None:
    service = Service()
    found, detail = problem(service.post(path, body, **headers))
    assert found == status and says in detail
    assert not service.stamps


def test_an_authority_that_cannot_stamp_is_told() -> None:
    def refuse(_: Digest) -> bytes:
        raise Unavailable("the clock is not synchronised")

    for path in ("/v1/batches", "/v1/batches/current"):
        answer = Service(refuse).post(path, sums("a"))
        assert problem(answer) == (503, "the clock is not synchronised") and answer[1]["retry-after"]


def test_too_many_batches_at_once_are_refused() -> None:
    release, arrived = threading.Event(), threading.Semaphore(0)

    def slow(digest: Digest) -> bytes:
        arrived.release()
        assert release.wait(30)
        return STAMP(digest)

    service = Service(slow)

    async def crowd() -> None:
        going = [asyncio.create_task(service.soon("/v1/batches", sums("a"))) for _ in range(batch_api.AT_ONCE)]
        for _ in going:
            await asyncio.to_thread(arrived.acquire)
        assert problem(await service.soon("/v1/batches", sums("a")))[0] == 503
        release.set()
        assert [(await each)[0] for each in going] == [200] * batch_api.AT_ONCE

    asyncio.run(crowd())


# The batch that is open now.


def test_many_single_requests_share_one_token() -> None:
    service = Service()

    async def crowd() -> list[Answer]:
        return await asyncio.gather(*(service.soon("/v1/batches/current", sums(str(n))) for n in range(20)))

    answers = asyncio.run(crowd())
    assert len(service.stamps) == 1
    for number, (status, headers, body) in enumerate(answers):
        assert status == 200 and headers["content-type"] == "application/octet-stream"
        assert proves(body, str(number)) and sha(str((number + 1) % 20)) not in body


def test_a_record_in_json() -> None:
    answer = Service().post(
        "/v1/batches/current", b'{"digest":"%s"}' % sha("a").hex().encode(), content_type="application/json", accept="application/json"
    )
    assert proves(base64.b64decode(json.loads(answer[2])["record"]), "a")


def test_a_full_batch_closes_at_once_and_each_algorithm_has_its_own() -> None:
    async def crowd() -> None:
        made = Aggregator(STAMP, seconds=3600, most=3)
        texts = [str(n) for n in range(3)]
        for name in ("sha256", "sha512"):
            records = await asyncio.gather(*(made.add(Digest(name, sha(text, name))) for text in texts))
            assert all(proves(record, text) for record, text in zip(records, texts, strict=True))

    asyncio.run(crowd())


def test_whoever_comes_to_a_queue_that_is_full_is_told_so_and_place_is_made_again() -> None:
    async def crowd() -> None:
        made = Aggregator(STAMP, seconds=3600, most=100, waiting=2)
        first = [asyncio.create_task(made.add(Digest("sha256", sha(text)))) for text in "ab"]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="2 digests wait"):
            await made.add(Digest("sha256", sha("c")))
        first[0].cancel()  # its client went away
        with pytest.raises(asyncio.CancelledError):
            await first[0]
        third = asyncio.create_task(made.add(Digest("sha256", sha("c"))))
        await asyncio.sleep(0)
        await made.close()
        assert proves(await first[1], "b") and proves(await third, "c")

    asyncio.run(crowd())


def test_an_end_of_the_service_answers_all_who_wait() -> None:
    async def crowd() -> None:
        made = Aggregator(STAMP, seconds=3600)
        waiting = [asyncio.create_task(made.add(Digest("sha256", sha(text)))) for text in "abc"]
        await asyncio.sleep(0)
        await made.close()
        assert [proves(await each, text) for each, text in zip(waiting, "abc", strict=True)] == [True] * 3
        with pytest.raises(Unavailable, match="ending"):
            await made.add(Digest("sha256", sha("d")))

    asyncio.run(crowd())


def test_who_waits_for_company_waits_no_longer_and_the_next_one_is_taken() -> None:
    async def crowd() -> None:
        made = Aggregator(STAMP, seconds=3600)
        for text in "ab":
            waiting = asyncio.create_task(made.add(Digest("sha256", sha(text))))
            await asyncio.sleep(0)
            made.hurry()
            assert proves(await waiting, text)
        made.hurry()  # nobody waits

    asyncio.run(crowd())


def test_a_defect_is_told_to_all_who_wait_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    broken = True

    def stamp(digest: Digest) -> bytes:
        if broken:
            raise ValueError("a defect")
        return STAMP(digest)

    async def crowd() -> None:
        nonlocal broken
        made = Aggregator(stamp, seconds=3600, most=2)
        answers = await asyncio.gather(*(made.add(Digest("sha256", sha(text))) for text in "ab"), return_exceptions=True)
        assert [str(answer) for answer in answers] == ["the batch could not be stamped"] * 2
        broken = False
        assert proves((await asyncio.gather(*(made.add(Digest("sha256", sha(text))) for text in "ab")))[0], "a")

    asyncio.run(crowd())
    assert "because of a defect" in caplog.text
