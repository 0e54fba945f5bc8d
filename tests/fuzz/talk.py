"""What peers, clients and confined processes say: answers about the time, requests over HTTP, options, lists, and values between processes."""

import asyncio
import base64
import contextlib
import functools
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from eseal.api import Options, json_pairs, options_in
from eseal.draft import Draft, Span
from eseal.hashes import api as hash_api
from tests.fuzz import seeds
from tests.fuzz.mutate import MAX, Random, octets
from tests.fuzz.target import DER, JSON, TEXT, Target, each
from trust.codecs import asn1, chrony, ntp
from trust.edge import wire
from trust.edge.conditions import conditions, is_known
from trust.edge.operations.clients import Clients
from trust.edge.preferences import preferences
from trust.edge.strict_http import Answer, StrictHttp, Take
from trust.edge.upload import file_name, receive
from trust.errors import Conflict, KakuinError, Malformed, NotAcceptable, NotFound, PreconditionFailed, TooLarge, Unacceptable
from trust.log.links import RELATION, linked
from trust.media import preferred
from trust.model import Cert, Digest, Document
from trust.pki import ocsp
from tsa import batch, batch_api, batch_folder
from verifier import bulk, policy, shapes, sources
from verifier.audit import expected
from verifier.question import Question
from verifier.read import read

NOW_NS = 1_750_000_000_000_000_000
NOWHERE = Path("/nonexistent")
"""Names on lists lead nowhere."""

# Time


def _ntp(packet: bytes) -> None:
    """An answer to the question whose cookie it has."""
    found = ntp.answer(packet, int.from_bytes(packet[24:32], "big"), NOW_NS)
    ntp.measured(found, NOW_NS, 40_000_000)


def _chrony(packet: bytes) -> None:
    sequence = int.from_bytes(packet[16:20], "big")
    answers: tuple[Callable[[bytes, int], object], ...] = (chrony.tracking, chrony.source_count, chrony.selected, chrony.by_nts)
    each(packet, *(lambda data, take=take: take(data, sequence) for take in answers), refuses=(Malformed, Unacceptable))


def _ntp_answers() -> tuple[bytes, ...]:
    now = (NOW_NS // 10**9 + 2_208_988_800) << 32
    return tuple(
        ntp._PACKET.pack(leap << 6 | 4 << 3 | 4, stratum, 6, -20, delay, 900, b"GPS\0", now - (1 << 36), 0xC00C1E, now, now + 9000)
        for leap, stratum, delay in ((0, 1, 0), (1, 2, 3000), (3, 16, 0), (0, 0, 1), (0, 15, 1 << 20))
    )


def _chrony_answers() -> tuple[bytes, ...]:
    found = []
    for command, (kind, form) in chrony._FORMATS.items():
        head = chrony._ANSWERED.pack(6, 2, command, kind, 0, 7)
        found += [head + bytes(form.size) + bytes(4), head + bytes(range(form.size)) + bytes(4), head + b"\xff" * form.size]
    return (*found, chrony._ANSWERED.pack(6, 2, chrony.TRACKING, 5, 2, 7) + bytes(80))


# HTTP


class _Application:
    """Answers by ASGI, and known heads directly, where their path says so."""

    def __init__(self) -> None:
        self.wrong: list[Exception] = []

    def direct(self, scope: dict[str, Any]) -> Take | None:
        return self._take if scope["path"].startswith("/tsa") else None

    def _take(self, body: bytes, answer: Answer) -> bool:
        asyncio.get_running_loop().call_soon(answer, b"content-type: text/plain\r\n", body[:8])
        return len(body) % 5 != 4

    async def __call__(self, _scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        try:
            more = True
            while more:
                message = await receive()
                more = message.get("more_body", False)
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
            await send({"type": "http.response.body", "body": b"asgi"})
        except Exception as error:
            self.wrong.append(error)


class _Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = self.lost = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("192.0.2.1", 1)}.get(name, default)

    def write(self, data: Any) -> None:
        assert self.lost or not self.closed, "nothing is said on a connection that was ended"
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


def _http(data: bytes) -> None:
    """A connection; the first octet says in what pieces the others come."""
    _loop().run_until_complete(_connection(data[1:], (1, 7, 64, 1 << 20)[(data or b"\0")[0] & 3]))


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


async def _connection(data: bytes, size: int) -> None:
    application, transport = _Application(), _Transport()
    config = uvicorn.Config(application, http=StrictHttp, lifespan="off", log_config=None, ws="none", interface="asgi3")
    config.load()
    protocol = StrictHttp(config, ServerState(), {}, asyncio.get_running_loop())
    protocol.connection_made(transport)
    for at in range(0, len(data), size):
        if transport.closed:
            break
        protocol.data_received(data[at : at + size])
        if at % (7 * size) == 0:
            await asyncio.sleep(0)
    if not transport.closed:
        protocol.eof_received()
    for _ in range(10_000):
        if not protocol.server_state.tasks:
            break
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    protocol.connection_lost(None)
    transport.lost = True
    while protocol.server_state.tasks:
        await asyncio.sleep(0)
    protocol.timeout_keep_alive_task and protocol.timeout_keep_alive_task.cancel()
    assert not application.wrong, application.wrong[0]
    assert transport.written[:9] in (b"", b"HTTP/1.1 ")


_REQUEST = b"POST /tsa HTTP/1.1\r\nHost: here:8318\r\nContent-Type: application/timestamp-query\r\nContent-Length: 4\r\n\r\nbody"
_CHUNKED = b"POST /v1/seals HTTP/1.1\r\nHost: [::1]\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n4\r\nbody\r\n0\r\n\r\n"
_GET = b"GET /health HTTP/1.0\r\nConnection: keep-alive, close\r\nAccept: */*\r\n\r\n"
_UPGRADE = b"OPTIONS * HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQ\r\n\r\n"


def _connections() -> tuple[bytes, ...]:
    told = (_REQUEST * 3, _CHUNKED + _GET, _UPGRADE + _REQUEST, _GET, _REQUEST + _CHUNKED + _REQUEST, b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n")
    return tuple(bytes([at]) + each for each in told for at in (3, 0, 1))


_BOUNDARY = b"kakuin-boundary"


def _upload(data: bytes) -> None:
    """Three lines of a head, then the body."""
    *head, body = (*data.split(b"\n", 3), b"", b"", b"", b"")[:4]
    names = ("content-type", "content-disposition", "content-length")
    headers = {name: value.decode("latin-1") for name, value in zip(names, head, strict=True) if value}

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(body), 300):
            yield body[at : at + 300]

    async def taken() -> None:
        with await receive(headers, pieces(), 1 << 20) as upload:
            for received in upload.files:
                received.document.digest("sha256")

    _loop().run_until_complete(taken())


def _uploads() -> tuple[bytes, ...]:
    form = b"multipart/form-data; boundary=" + _BOUNDARY
    parts = (
        b'name="document"; filename="a.pdf"; filename*=UTF-8\'\'%E8%A7%92%E5%8D%B0.pdf\r\nContent-Type: application/pdf\r\n\r\n%PDF-1.7',
        b'name="level"\r\n\r\nB-LTA',
        b'name="detached"; filename="..\\\\x/y.csv"\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA',
    )
    whole = b"".join(b"--" + _BOUNDARY + b"\r\nContent-Disposition: form-data; " + part + b"\r\n" for part in parts) + b"--" + _BOUNDARY + b"--\r\n"
    return (
        form + b"\n\n\n" + whole,
        b'application/pdf\nattachment; filename="x.pdf"\n8\n%PDF-1.7',
        b"text/plain\ninline; filename*=utf-8'ja'%41\n\nx",
    )


def _fields(data: bytes) -> None:
    """One header field, as whatever it may be."""
    text = data.decode("latin-1")
    clients = Clients(proxies=("192.0.2.0/24", "2001:db8::/32"), operators=("10.0.0.0/8",))
    each(
        data,
        lambda data: clients.asking("192.0.2.1", [(b"x-forwarded-for", data), (b"x-forwarded-for", data[::2])]),
        lambda _: clients.of(text),
        lambda _: file_name(data.decode("utf-8", "replace")),
        lambda _: shapes.of_header(text),
        lambda _: preferred(text, (batch_api.NDJSON, batch_api.ZIP)),
        lambda _: is_known(conditions([(b"if-match", data), (b"if-none-match", data[::2])]), '"x"'),
        lambda _: is_known(conditions([(b"if-unmodified-since", data), (b"if-modified-since", data)]), '"x"', datetime(2026, 6, 1, tzinfo=UTC)),
        lambda _: sources.moment(text),
        lambda _: preferences([text]),
        lambda _: linked(text, "http://log.example/v1"),
        refuses=(NotAcceptable, PreconditionFailed, Unacceptable),
    )


def _said() -> tuple[bytes, ...]:
    return (
        b"198.51.100.7, [2001:db8::1]:443, 192.0.2.4:80, 10.1.2.3",
        b"application/json;q=0.5, text/html, application/zip;q=0, */*;q=0.1",
        b'attachment; filename="a\\"b.pdf"; filename*=UTF-8\'\'%e5%8d%b0.pdf',
        b"2026-06-01T09:00:00.5+09:00",
        b"Mon, 01 Jun 2026 00:00:00 GMT",
        b'W/"x", "y,z", *',
        b"fe80::1%eth0",
        b'receipt; a="b,c" ;; d, wait = 7, x',
        f'<a>; rel=x, </b> ; rel = "y {RELATION}" ; z'.encode(),
    )


# Requests


def _ocsp_requests() -> tuple[bytes, ...]:
    known = [found for der in seeds.in_folder("forged/anchors", "*")[:3] if (found := _cert_id(der))]
    singles = [asn1.tlv(0x30, each) for each in known]
    nonce = asn1.tlv(0x30, asn1.tlv(6, asn1.oid_content("1.3.6.1.5.5.7.48.1.2")) + asn1.tlv(4, asn1.tlv(4, bytes(16))))
    extensions = asn1.tlv(0xA2, asn1.tlv(0x30, nonce))
    lists = [asn1.tlv(0x30, single) for single in singles] + [asn1.tlv(0x30, b"".join(singles))]
    return tuple(asn1.tlv(0x30, asn1.tlv(0x30, listed + tail)) for listed in lists for tail in (b"", extensions))


def _cert_id(der: bytes) -> bytes | None:
    try:
        return ocsp.identify(Cert(der), Cert(der)).der
    except (KakuinError, ValueError):
        return None


def _options(data: bytes) -> None:
    """The JSON of a hash-only seal, and of the options of any seal."""

    def options(data: bytes) -> None:
        Options(**options_in(json_pairs(data.decode("utf-8", "replace")), "form")).spec(b"%PDF-1.7\n", {})

    each(data, lambda data: hash_api._Asked.of(data).spec, options, refuses=(Malformed, Unacceptable, TooLarge))


def _asked() -> tuple[bytes, ...]:
    claims = {"reason": "承認", "location": "東京", "commitment": "proof-of-approval", "signing_time": "2026-06-01T09:00:00+09:00", "role": "cfo"}
    policy = {"policy": "1.2.392.1", "policy_hash": "sha256:" + "ab" * 32, "policy_uri": "https://example.com/p", "content_timestamp": True}
    documents = [{"name": "a.csv", "digests": {"sha256": "ab" * 32, "sha-512": "AA" * 43 + "=="}, "media_type": "text/csv"}]
    looks = {"visible": "text", "page": "last", "rect": "10,10,90,40", "field": "Seal", "certify": "form", "lock": "all", "qr": "https://example.com"}
    said = (
        {"documents": documents, "format": "cades", "level": "B-LTA", **claims},
        {"documents": documents * 2, "format": "xades", "packaging": "detached", **policy},
        {"format": "pades", "level": "B-T", **looks, **claims},
        {"format": "jades", "serialization": "general", "mechanism": "uri-hash", "digest": "sha384", "components": "a", "degrade": "true"},
        {"format": "asic-e-xades", "canonicalization": "exclusive", "addition": "parallel", "seal_name": "x", "description": "d"},
    )
    return tuple(json.dumps(each).encode() for each in said)


def _jobs(data: bytes) -> None:
    """A line of `verify --batch`, without opening what it names."""

    def job(data: bytes) -> None:
        asked = bulk.parse(data.decode("utf-8", "surrogateescape"))
        if asked.time is not None:
            sources.moment(asked.time)
        for item in asked.detached:
            if isinstance(item, dict) and "digest" in item:
                for document in bulk._detached(item):
                    document.digest("sha256")
        json.dumps([asked.id, asked.world])

    each(data, job, lambda _: bulk.named(data.decode("utf-8", "replace")), refuses=(Malformed, Unacceptable, NotFound, TooLarge))


def _batch_jobs() -> tuple[bytes, ...]:
    digest = {"digest": "AAAA", "algorithm": "SHA3-256", "name": "d"}
    whole = {"id": 1, "world": "now", "file": "a.pdf", "detached": ["b", {"file": "c", "name": "d"}, digest], "trust": ["x"], "time": "2026-06-01"}
    more = {"file": "f", "certificates": [], "crls": ["l"], "ocsps": ["o"], "policy": "eu", "evidence_records": ["r"], "detached": [digest]}
    return tuple(json.dumps(each).encode() for each in (whole, more, {"file": "a", "id": None}))


def _lists(data: bytes) -> None:
    """Digests and names, a line each: for a batch over HTTP, for one of the command line, and for an audit."""

    def sent(data: bytes) -> None:
        lines = batch.Lines(1000)
        lines.feed(data[: len(data) // 2])
        lines.feed(data[len(data) // 2 :])
        lines.end()
        batch.planted(lines.algorithm or "", bytes(lines.digests))

    def listed(data: bytes) -> None:
        wanted = batch_folder.Wanted(NOWHERE / "list", NOWHERE, "sha256")
        batch_folder._require_apart(batch_folder._listed(wanted, io.StringIO(data.decode("utf-8", "surrogateescape"))))

    def looked_for(data: bytes) -> None:
        for line in expected._lines(io.BytesIO(data), NOWHERE):
            if expected._sum(line) is not None:
                expected._parsed(line, NOWHERE)

    each(data, sent, listed, looked_for, refuses=(Malformed, Unacceptable, TooLarge, Conflict))


def _listed() -> tuple[bytes, ...]:
    sums = b"".join(b"%s  file %d.csv\n" % (b"%064x" % number, number) for number in range(1, 6))
    rows = b'{"id": "a", "digest": "%s"}\n{"digest": "%s", "algorithm": "SHA-256"}\n' % (b"ab" * 32, b"A" * 43 + b"=")
    tagged = b"SHA256 (a (1).txt) = %s\n\\SHA2-512(b\\nc)= %s\n" % (b"ab" * 32, b"cd" * 64)
    return (sums, rows, tagged, b"\xef\xbb\xbfsha3_256:" + b"cd" * 32 + b" *n\r\n", b"\\" + b"ef" * 64 + b"  a\\nb\n" + b"01" * 48 + b"\n")


def _given(data: bytes) -> None:
    """Certificates and status that come beside a document: PEM, DER or PKCS #7."""
    each(data, sources.certificates_in, sources.crls_in, sources.ocsps_in, refuses=(Malformed,))


def _beside() -> tuple[bytes, ...]:
    ders = seeds.in_folder("forged/anchors", "*")[:12]
    lists = seeds.in_folder("forged/status", "*.crl")[:6]
    pem = [_pem("CERTIFICATE", der) for der in ders[:3]] + [_pem("X509 CRL", der) for der in lists[:2]]
    envelopes = seeds.of_format("CAdES")[:6]
    return (*ders, *lists, *seeds.ocsp_responses()[:6], *pem, b"".join(pem), _pem("PKCS7", envelopes[0]) if envelopes else b"\x30\0", *envelopes)


def _pem(label: str, der: bytes) -> bytes:
    return f"-----BEGIN {label}-----\n{base64.encodebytes(der).decode()}-----END {label}-----\n".encode()


def _policy(data: bytes) -> None:
    """As a bundle brings it, and a file."""
    policy.load(data.decode("utf-8", "replace") + "\n")


def _policies() -> tuple[bytes, ...]:
    folder = Path(policy.__file__).parent / "policies"
    return tuple(path.read_bytes() for path in sorted(folder.glob("*.toml")))


# Values between processes


def _wire(data: bytes) -> None:
    """What a confined process that a stranger's file has taken over may answer: what is taken for a value is one, and goes the same way again."""
    again = wire.encode(wire.decode(data))
    assert len(wire.encode(wire.decode(again))) == len(again), "it changes on its way"  # the elements of a set may come in another order


@functools.cache
def _values() -> tuple[bytes, ...]:
    files = [Document.of(data) for kind in ("TST", "CAdES", "XAdES", "JAdES") for data in seeds.of_format(kind)[:2]]
    found: list[Any] = []
    for file in files:
        with contextlib.suppress(KakuinError):
            found.append(read(file, (file,)))
    question = Question(Document.of(b"x", "x"), datetime(2018, 6, 1, tzinfo=UTC), policy.load("strict"), (), ())
    draft = Draft((b"head", Span(0, 9)), b"value", (b"token",), ("beware",))
    plain: tuple[Any, ...] = (True, None, 1.5, 1 << 70, {"a": [1, {2}], "b": frozenset({"c"})}, Digest.of("sha256", b""), Malformed("no"))
    found += [draft, question, plain]
    return tuple(wire.encode(value) for value in found)


_FOLLOWING = {**dict.fromkeys(b"xr", 2), ord("p"): 1, ord("D"): 5}
"""Tags behind which so many values follow."""


def _spans(data: bytes, at: int, found: list[tuple[int, int]]) -> int:
    """Where each value within a sound encoding begins and ends (trust.edge.wire); the end of the one that begins `at`."""
    begin, tag = at, data[at]
    at += 1
    if tag in b"ifmIsbltezdno":
        count = int.from_bytes(data[at : at + 8], "big")
        at += 8
        if tag in b"Isbno":
            at += count
        if tag == ord("o"):
            count = int.from_bytes(data[at : at + 8], "big")
            at += 8
    inside = count * (2 if tag in b"do" else 1) if tag in b"ltezdo" else 1 if tag == ord("n") else _FOLLOWING.get(tag, 0)
    for _ in range(inside):
        at = _spans(data, at, found)
    found.append((begin, at))
    return at


_ODD = (
    b"N",
    b"T",
    b"i" + b"\xff" * 8,
    wire.encode("x"),
    wire.encode([]),
    wire.encode({}),
    wire.encode(b"\x30\0"),
    wire.encode(1 << 80),
    b"t" + b"\x7f" * 8,
)


def value(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """One value in the place of another."""
    here, there = list[tuple[int, int]](), list[tuple[int, int]]()
    other = random.choice(others)
    try:
        _spans(data, 0, here)
        _spans(other, 0, there)
    except (IndexError, RecursionError):
        return octets(random, data, others)
    begin, end = random.choice(here)
    first, last = random.choice(there)
    return (data[:begin] + random.choice((other[first:last], other[first:last], random.choice(_ODD), b"")) + data[end:])[:MAX]


TARGETS: dict[str, Target] = {
    "ntp": Target(_ntp, _ntp_answers, (octets,), refuses=(Unacceptable,), inputs=30000),
    "chrony": Target(_chrony, _chrony_answers, (octets,), inputs=20000),
    "http": Target(_http, _connections, TEXT, inputs=5000),
    "upload": Target(_upload, _uploads, TEXT, refuses=(Unacceptable,), inputs=8000),
    "fields": Target(_fields, _said, TEXT, inputs=10000),
    "ocsp-request": Target(ocsp.parse, _ocsp_requests, DER, inputs=10000),
    "options": Target(_options, _asked, JSON, inputs=10000),
    "jobs": Target(_jobs, _batch_jobs, JSON, inputs=10000),
    "lists": Target(_lists, _listed, TEXT, inputs=5000),
    "given": Target(_given, _beside, (*DER, *TEXT), inputs=4000),
    "policy": Target(_policy, _policies, TEXT, inputs=6000),
    "wire": Target(_wire, _values, (value, value, octets), inputs=4000),
}
