"""The log over HTTP: static, cacheable resources as C2SP tlog-tiles lays them out, and receipts. No credential is asked for.

Full tiles never change and may be kept for ever; where the tree ends they are short, and so is the time that they and the checkpoint may be kept.
"""

import asyncio
import gzip
import hashlib
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from trust.codecs import cms, tsp
from trust.edge.conditions import Asked, Conditions, is_known
from trust.edge.preferences import preferences, waits
from trust.errors import KakuinError, Malformed, NotFound, TooLarge, Unavailable
from trust.log import layout, reading
from trust.log.journal import Entry
from trust.log.layout import ENTRIES
from trust.log.note import VerifierKey
from trust.log.page import MAX_BODY
from trust.log.publish import Publisher
from trust.log.receipt import MEDIA_TYPE, SUFFIX, sealed_digest
from trust.log.stored import Stored

FOREVER = "public, max-age=31536000, immutable, no-transform"
SHORTLY = "public, max-age=60, no-transform"
"""Of partial tiles: they stay right, and are soon of no use."""
FRESH = "public, max-age=2, no-transform"
TILE = "application/octet-stream"

USUAL_WAIT, LONGEST_WAIT = 2.0, 30.0
"""Seconds for a checkpoint that covers an entry; whoever asks is told to come again after that. The longer one for clients that prefer to wait."""
Prefer = Annotated[list[str] | None, Header(description="`wait=N`: seconds to wait for the checkpoint, at most 30 (RFC 7240).")]
SealedDigest = Annotated[
    str | None, Query(pattern="^[0-9a-f]{64}$", description="SHA-256 of the sealed file: shows who has it, where the log does not serve its entries.")
]

_BINARY = {"type": "string", "format": "binary"}
_TEXT = {"type": "string"}
_MAX_REQUEST = MAX_BODY + 1024


def router(stored: Stored, publisher: Publisher, key: VerifierKey, *, entries: bool = True) -> APIRouter:
    """Routes under /log and /v1/log. Without `entries` only hashes are served, and receipts to whoever has the token or the sealed file."""
    api = APIRouter(tags=["The log"])

    async def receipt(find: Callable[[], Entry], prefer: list[str] | None) -> Response:
        """Waiting for a checkpoint costs no thread: those are few, and others need them."""
        entry = await run_in_threadpool(find)
        waited, longest = 0.0, waits(preferences(prefer or ()), LONGEST_WAIT, USUAL_WAIT)
        while (newest := await run_in_threadpool(publisher.covering, entry.index, stored)) is None:
            if waited >= longest:
                raise Unavailable(f"entry {entry.index} is not under a checkpoint yet")
            await asyncio.sleep(publisher.pause)
            waited += publisher.pause
        proof = await run_in_threadpool(stored.receipt, entry, newest)
        headers = {
            "Cache-Control": "no-store",
            "Content-Disposition": f'attachment; filename="{entry.index}{SUFFIX}"',
            "Kakuin-Log-Index": str(entry.index),
        }
        return Response(bytes(proof), media_type=MEDIA_TYPE, headers=headers)

    def readable(index: int, sha256: str | None) -> Entry:
        entry = reading.entry(stored.engine, index)
        if not entries and entry.kind != "token" and (sha256 is None or sealed_digest(entry.body) != sha256):
            raise NotFound("this log serves hashes, and not its entries")
        return entry

    @api.get(
        "/log/checkpoint",
        summary="The log's newest checkpoint (C2SP tlog-checkpoint)",
        description="Origin, size and root of the log, signed by its key and by the witnesses that cosigned it.",
        response_class=Response,
        responses={200: {"content": {MEDIA_TYPE: {"schema": _TEXT}}, "description": "A signed note."}},
        operation_id="get_log_checkpoint",
    )
    def checkpoint(asked: Asked) -> Response:
        return _cacheable(stored.resource(layout.CHECKPOINT), MEDIA_TYPE, FRESH, asked)

    @api.get(
        "/log/key",
        summary="The log's verifier key (C2SP signed-note)",
        description="For comparing with the one that you were given by another way: whoever changes the log can change this answer too.",
        response_class=Response,
        responses={200: {"content": {MEDIA_TYPE: {"schema": _TEXT}}, "description": "NAME+ID+KEY, one line."}},
        operation_id="get_log_key",
    )
    def verifier(asked: Asked) -> Response:
        return _cacheable(f"{key}\n".encode(), MEDIA_TYPE, SHORTLY, asked)

    @api.get(
        "/log/tile/{name:path}",
        summary="A tile of hashes, or a bundle of entries (C2SP tlog-tiles)",
        description="`<level>/<number>[.p/<width>]`, or `entries/<number>[.p/<width>]`: what the newest checkpoint covers.",
        response_class=Response,
        responses={200: {"content": {TILE: {"schema": _BINARY}}, "description": "Hashes of 32 bytes, or entries, each behind its length."}},
        operation_id="get_log_tile",
    )
    def tile(
        name: Annotated[str, Path(max_length=80)],
        asked: Asked,
        accept_encoding: Annotated[str, Header()] = "",
    ) -> Response:
        wanted = layout.tile_at(f"tile/{name}")
        if wanted.level == ENTRIES and not entries:
            raise NotFound("this log serves hashes, and not its entries")
        newest = stored.checkpoint()
        if newest is None:
            raise NotFound("the log has no checkpoint yet")
        caching = FOREVER if wanted.full else SHORTLY
        return _cacheable(stored.tile(wanted, newest.size), TILE, caching, asked, accept_encoding if wanted.level == ENTRIES else None)

    @api.get(
        "/v1/log/receipts/{index}",
        summary="A receipt: that an entry is in the log (C2SP tlog-proof)",
        description="The inclusion proof and the checkpoint that it leads to, to be verified offline: `kakuin log verify`. A seal's answer names its "
        "entry (`Kakuin-Seal`).",
        response_class=Response,
        responses={200: {"content": {MEDIA_TYPE: {"schema": _TEXT}}, "description": "A tlog-proof."}},
        operation_id="get_receipt",
    )
    async def by_index(index: Annotated[int, Path(ge=0, le=(1 << 63) - 1)], sha256: SealedDigest = None, prefer: Prefer = None) -> Response:
        return await receipt(lambda: readable(index, sha256), prefer)

    @api.get(
        "/v1/log/receipts",
        summary="A time-stamp's receipt by its unit and serial number",
        response_class=Response,
        responses={200: {"content": {MEDIA_TYPE: {"schema": _TEXT}}, "description": "A tlog-proof."}},
        operation_id="find_receipt",
    )
    async def by_serial(
        unit: Annotated[str, Query(max_length=80)], serial: Annotated[int, Query(ge=0, le=(1 << 63) - 1)], prefer: Prefer = None
    ) -> Response:
        return await receipt(lambda: stored.issued(unit, serial), prefer)

    @api.post(
        "/v1/log/receipts",
        summary="A time-stamp's receipt for the token itself",
        description="The token, or the whole TimeStampResp as it was answered, DER.",
        response_class=Response,
        responses={200: {"content": {MEDIA_TYPE: {"schema": _TEXT}}, "description": "A tlog-proof."}},
        openapi_extra={"requestBody": {"required": True, "content": {"application/timestamp-reply": {"schema": _BINARY}}}},
        operation_id="post_receipt",
    )
    async def by_token(request: Request, prefer: Prefer = None) -> Response:
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > _MAX_REQUEST:
                raise TooLarge(f"a time-stamp is at most {_MAX_REQUEST} bytes")

        return await receipt(lambda: stored.token(*token_in(bytes(body))), prefer)

    return api


def absent() -> APIRouter:
    """In the place of the log where it has no key."""
    api = APIRouter()

    @api.get("/log/{rest:path}", include_in_schema=False)
    @api.get("/v1/log/{rest:path}", include_in_schema=False)
    def none(rest: str) -> None:  # noqa: ARG001
        raise NotFound("the log of this installation has no key yet: `kakuin log init` makes it")

    return api


def token_in(data: bytes) -> tuple[bytes, int]:
    """A TimeStampToken, out of its TimeStampResp where it stands in one, and its serial number. Malformed."""
    der = data
    try:
        reply = tsp.decode_response(data)
    except KakuinError:
        pass
    else:
        if reply.token is None:
            raise Malformed("the answer is a refusal and has no time-stamp")
        der = reply.token
    serial = cms.token(der).serial
    if serial >= 1 << 63:
        raise NotFound("nothing of this kind was issued here")
    return der, serial


def _cacheable(body: bytes, media_type: str, caching: str, asked: Conditions, accepted: str | None = None) -> Response:
    """RFC 9111, RFC 9110 section 8.8.3: by the content's digest. `accepted`: Accept-Encoding, where the content is packed for whoever reads that.

    C2SP tlog-tiles: bundles should be. RFC 9110 section 8.8.3.3: another coding is another representation.
    """
    packed = accepted is not None and any(_names_gzip(each) for each in accepted.split(","))
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}{"-gzip" if packed else ""}"'
    headers = {"ETag": tag, "Cache-Control": caching} | ({} if accepted is None else {"Vary": "Accept-Encoding"})
    if is_known(asked, tag):
        return Response(status_code=304, headers=headers)
    if packed:
        return Response(gzip.compress(body, 5, mtime=0), media_type=media_type, headers=headers | {"Content-Encoding": "gzip"})
    return Response(body, media_type=media_type, headers=headers)


def _names_gzip(coding: str) -> bool:
    name, _, quality = coding.strip().lower().partition(";")
    return name.strip() == "gzip" and quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
