"""Evidence records over HTTP: `POST /v1/batches` for many digests at once, `POST /v1/batches/current` for one in a batch with others.

Open like the authority itself, and capped: digests of a batch, requests at once, and seconds for a body to arrive.
"""

import asyncio
import base64
import io
import os
import re
import zipfile
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from trust.algorithms import DIGESTS
from trust.errors import Coded, Malformed, NotAcceptable, TooLarge, Unacceptable, Unavailable, UnsupportedMedia
from trust.media import preferred
from trust.model import Digest
from trust.ports import Stamper
from tsa import batch
from tsa.batch import Batch, Lines
from tsa.batch_current import Aggregator

PATH, CURRENT = "/v1/batches", "/v1/batches/current"
NDJSON, ZIP, JSON, RECORD = "application/x-ndjson", "application/zip", "application/json", "application/octet-stream"
TAKEN = frozenset({NDJSON, "application/jsonl", "application/json-lines", JSON, "text/plain"})
"""Media types of a body. What stands in it tells the rest."""
AT_ONCE = 8
"""Batches that are received and stamped at a time."""
PATIENCE = 120.0
"""Seconds for a body to arrive."""
PIECE = 1 << 18
"""Bytes of an answer that are sent at a time."""
BYTES_A_LINE = 512
"""Of a body: the length of a line with a long name. More than that on average is over the limit."""

_NAME = re.compile(r"[^/\\:*?\"<>|\x00-\x1f]{1,200}")


def body_limit(digests: int) -> int:
    """Bytes of a body with so many digests."""
    return max(4096, digests * BYTES_A_LINE)


def router(stamp: Stamper, aggregator: Aggregator, limit: int) -> APIRouter:
    """The routes. `stamp` gives tokens as records hold them; `limit` is of one batch's digests."""
    routes = APIRouter(tags=["Evidence records"])
    doors = asyncio.BoundedSemaphore(AT_ONCE)

    @routes.post(
        PATH,
        summary="Time-stamp many digests at once: an evidence record for each (RFC 4998)",
        description=_DESCRIPTION,
        operation_id="post_batch",
        response_class=StreamingResponse,
        responses=_ANSWERS,
        openapi_extra=_REQUEST,
    )
    async def many(request: Request) -> StreamingResponse:
        options = _options(request.query_params.multi_items())
        shape = _accepted(request.headers.getlist("accept"), (NDJSON, ZIP))
        if doors.locked():
            raise Unavailable(f"{AT_ONCE} batches are worked on already")
        async with doors:
            lines = await _received(request, Lines(limit, options.get("algorithm")))
            if shape == ZIP:
                _require_names(lines.ids)
            random = os.urandom if options.get("blinded") == "true" else None
            made = await run_in_threadpool(batch.stamped, lines.algorithm or "", bytes(lines.digests), stamp, random)
        answer = zipped(made, lines.ids) if shape == ZIP else batch.lines(made, lines.ids)
        return StreamingResponse(_gathered(answer), media_type=shape, headers=_facts(made, len(lines.ids), shape))

    @routes.post(
        CURRENT,
        summary="The evidence record of one digest, in a batch with others",
        description=_CURRENT,
        operation_id="post_current_batch",
        response_class=Response,
        responses=_ONE,
        openapi_extra=_REQUEST,
    )
    async def one(request: Request) -> Response:
        options = _options(request.query_params.multi_items(), frozenset({"algorithm"}))
        shape = _accepted(request.headers.getlist("accept"), (RECORD, JSON))
        lines = await _received(request, Lines(1, options.get("algorithm")))
        record = await aggregator.add(Digest(lines.algorithm or "", bytes(lines.digests)))
        if shape == RECORD:
            return Response(record, media_type=RECORD, headers={"Content-Disposition": 'attachment; filename="record.ers"'})
        return Response(b'{"record":"%s"}\n' % base64.b64encode(record), media_type=JSON)

    return routes


def _options(pairs: list[tuple[str, str]], known: frozenset[str] = frozenset({"algorithm", "blinded"})) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in pairs:
        if name not in known:
            raise Unacceptable(f"the query has an option that does not exist; there are {', '.join(sorted(known))}")
        if name in found:
            raise Unacceptable(f"the query gives {name} twice")
        found[name] = value
    if found.get("blinded", "false") not in ("true", "false"):
        raise Unacceptable("blinded is true or false")
    if found.get("algorithm", "sha256") not in DIGESTS:
        raise Unacceptable("algorithm is sha256, sha384, sha512, sha3_256, sha3_384 or sha3_512")
    return found


def _accepted(fields: list[str], shapes: tuple[str, str]) -> str:
    """RFC 9110 section 12.5.1: whichever of two shapes is preferred; the first for no preference."""
    found = preferred(",".join(fields), shapes)
    if found is None:
        raise NotAcceptable(f"no answer of an accepted media type, expected {' or '.join(shapes)}")
    return found


async def _received(request: Request, lines: Lines) -> Lines:
    """The body's lines, read as they arrive."""
    kinds = [kind.split(";")[0].strip().lower() for kind in request.headers.getlist("content-type")]
    if len(kinds) != 1 or kinds[0] not in TAKEN:
        raise UnsupportedMedia(f"content-type {NDJSON}, {JSON} or text/plain expected", f"{NDJSON}, {JSON}, text/plain")
    if any(coding.strip().lower() not in ("identity", "") for coding in request.headers.getlist("content-encoding")):
        raise Coded("the body is compressed (Content-Encoding): send it as it is")
    try:
        async with asyncio.timeout(PATIENCE):
            async for piece in request.stream():
                lines.feed(piece)
    except TimeoutError:
        raise TooLarge(f"the body did not arrive within {PATIENCE:.0f} s: send fewer digests at a time") from None
    except ClientDisconnect:
        raise Malformed("the client went away before the end of the body") from None
    lines.end()
    return lines


def _require_names(ids: Iterable[str]) -> None:
    """In a ZIP each id is a file's name."""
    seen: set[str] = set()
    for name in ids:
        if not _NAME.fullmatch(name) or name.startswith("."):
            raise Unacceptable("for a ZIP each id is the name of a file, without folders: 1 to 200 characters")
        if name.lower() in seen:
            raise Unacceptable("for a ZIP each id is another one")
        seen.add(name.lower())


def _facts(made: Batch, count: int, shape: str) -> dict[str, str]:
    name = "evidence.zip" if shape == ZIP else "evidence.jsonl"
    return {
        "Kakuin-Records": str(count),
        "Kakuin-Root": f"{made.tree.algorithm}:{made.tree.root.hex()}",
        "Kakuin-Time": made.token.gen_time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "Kakuin-Serial": str(made.token.serial),
        "Content-Disposition": f'attachment; filename="{name}"',
    }


async def _gathered(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """In larger pieces, each made in a thread."""

    def some() -> bytes:
        out = bytearray()
        for piece in pieces:
            out += piece
            if len(out) >= PIECE:
                break
        return bytes(out)

    while piece := await run_in_threadpool(some):
        yield piece


class _Sink(io.RawIOBase):
    """What a ZIP is written to: taken away as it grows."""

    def __init__(self) -> None:
        self.held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.held += data
        return len(data)

    def take(self) -> bytes:
        taken, self.held = bytes(self.held), bytearray()
        return taken


def zipped(made: Batch, ids: Iterable[str]) -> Iterator[bytes]:
    """A ZIP with a file `id.ers` for each document, in pieces."""
    sink = _Sink()
    when = _dos(made.token.gen_time)
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for name, record in zip(ids, made.records(), strict=True):
            archive.writestr(zipfile.ZipInfo(name + ".ers", when), record)
            yield sink.take()
    yield sink.take()


def _dos(moment: datetime) -> tuple[int, int, int, int, int, int]:
    return (moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second)


_BINARY = {"type": "string", "format": "binary"}
_LINE = {
    "type": "object",
    "required": ["digest"],
    "properties": {
        "id": {"type": "string", "maxLength": batch.LONGEST_ID, "description": "What the answer calls it. Without: the digest in hexadecimal."},
        "digest": {"type": "string", "description": "Hexadecimal or base64."},
        "algorithm": {"type": "string", "enum": ["sha256", "sha384", "sha512", "sha3_256", "sha3_384", "sha3_512"]},
    },
}
_REQUEST = {
    "requestBody": {
        "required": True,
        "content": {
            NDJSON: {"schema": _LINE},
            "text/plain": {"schema": {"type": "string", "description": "As `sha256sum` writes: digest, two spaces, name."}},
        },
    }
}
_DESCRIPTION = """\
Each line of the body is a JSON object `{"id", "digest", "algorithm"}`, or a digest in hexadecimal with a name behind it, as `sha256sum` writes
them. One token is issued over the root of a hash tree and recorded in the journal; then each document gets an evidence record of its own, which
needs no other to be verified.

The answer is streamed: JSON lines `{"id", "record"}` in the order of the request, or with `Accept: application/zip` a ZIP of `id.ers` files. All
digests are of one algorithm (`algorithm` in the query where the lines do not say). With `blinded=true` no record tells anything of the other
documents: for records that go to different people. No key is asked for."""
_CURRENT = """\
For devices that send many single requests: the answer comes when the batch that is open now closes, after a second or when it is full
(settings), and is the digest's own evidence record, DER, or `{"record": base64}` with `Accept: application/json`. One token is issued for all of
them. Records are blinded: none tells anything of the others. The body is one line as for `/v1/batches`. 503 with Retry-After when too many wait."""
_HEADERS = {
    name: {"description": what, "schema": {"type": "string"}}
    for name, what in (
        ("Kakuin-Records", "How many records follow."),
        ("Kakuin-Root", "Algorithm and root of the hash tree."),
        ("Kakuin-Time", "Of the token."),
        ("Kakuin-Serial", "Of the token."),
    )
}
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"description": "A line that is none; which one is told.", "content": {"application/problem+json": {}}},
    413: {"description": "More digests, or longer lines, than are taken.", "content": {"application/problem+json": {}}},
    415: {"description": "Another media type.", "content": {"application/problem+json": {}}},
    422: {"description": "An unknown or a second algorithm, or an unknown option.", "content": {"application/problem+json": {}}},
    503: {"description": "Too many at once, or the authority cannot stamp for now: Retry-After.", "content": {"application/problem+json": {}}},
}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "An evidence record for each digest.",
        "headers": _HEADERS,
        "content": {
            NDJSON: {"schema": {"type": "object", "properties": {"id": {"type": "string"}, "record": {"type": "string", "format": "byte"}}}},
            ZIP: {"schema": _BINARY},
        },
    },
    **_PROBLEMS,
}
_ONE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The evidence record.",
        "content": {
            RECORD: {"schema": _BINARY},
            JSON: {"schema": {"type": "object", "properties": {"record": {"type": "string", "format": "byte"}}}},
        },
    },
    **_PROBLEMS,
}
