"""Hash-only sealing over HTTP: `POST /v1/seals/hashes`. It only translates; the operation is `eseal.service.Sealer.seal`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from eseal import hash_openapi as openapi
from eseal.api import IDEMPOTENCY_KEY, Options, json_pairs, options_in, recognised, request_digest, seal_headers
from eseal.draft import assembled
from eseal.hashes import LEVELS, PATH, documents_in, drafted_from
from eseal.service import Sealed, Sealer, name_of, sealed_name
from eseal.spec import Format, Packaging, Serialization, Spec, level_named, media_type
from eseal.store import ApiKey, ApiKeys, Repeats
from trust.edge import wire
from trust.errors import Forbidden, Malformed, TooLarge, Unacceptable, UnsupportedMedia
from trust.model import Document

DOCUMENTS = "documents"
LARGEST = 1 << 20
"""Bytes of a request: a thousand documents with three digests each."""


def router(sealer: Sealer, keys: ApiKeys, repeats: Repeats) -> APIRouter:
    """The route."""
    routes = APIRouter(tags=["seals"])

    @routes.post(
        PATH,
        summary="Seal documents of which only digests are sent.",
        description=openapi.DESCRIPTION,
        response_class=Response,
        responses=openapi.RESPONSES,
        openapi_extra=openapi.OPERATION,
        operation_id="sealHashes",
    )
    async def seal_hashes(request: Request) -> Response:
        key = await run_in_threadpool(recognised, keys, request.headers.get("authorization"))
        if request.query_params:
            raise Unacceptable("options of a hash-only seal are members of the JSON object, not of the query")
        asked = _Asked.of(await _received(request))
        sealed = await run_in_threadpool(_seal, _Door(sealer, repeats), key, request.headers.get("idempotency-key"), asked)
        made = sealed.document
        return Response(made.read(1 << 26), media_type=made.media_type, headers=seal_headers(sealed))

    return routes


@dataclass(frozen=True, slots=True)
class _Door:
    sealer: Sealer
    repeats: Repeats


@dataclass(frozen=True, slots=True)
class _Asked:
    documents: tuple[Document, ...]
    options: Options

    @classmethod
    def of(cls, data: bytes) -> "_Asked":
        try:
            pairs = json_pairs(data.decode())
        except (UnicodeDecodeError, Malformed) as error:
            raise Malformed("the body is not a JSON object in UTF-8") from error
        listed = [value for name, value in pairs if name == DOCUMENTS]
        if len(listed) != 1:
            raise Malformed(f"{DOCUMENTS} is expected once, got {len(listed)}")
        return cls(documents_in(listed[0]), Options(**options_in([p for p in pairs if p[0] != DOCUMENTS], "request")))

    @property
    def spec(self) -> Spec:
        """Detached and at the highest level that digests allow, where nothing else was said."""
        options = self.options
        form = options.format or Format.CADES
        named: Mapping[str, Any] = {str(f): levels[-1] for f, levels in LEVELS.items()}
        level = options.level or (named.get(form.lower()) if (options.serialization or "").lower() != Serialization.COMPACT else None)
        packaging = options.packaging or (Packaging.DETACHED if form.lower() in named else None)
        return replace(options, format=form, level=level, packaging=packaging).spec(b"", {})


async def _received(request: Request) -> bytes:
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise UnsupportedMedia("content-type application/json expected")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMedia("the body is compressed (Content-Encoding): send it as it is")
    data = bytearray()
    try:
        async for part in request.stream():
            data += part
            if len(data) > LARGEST:
                raise TooLarge(f"body is over {LARGEST} bytes")
    except ClientDisconnect:
        raise Malformed("the client went away before the end of the body") from None
    return bytes(data)


def _seal(door: _Door, key: ApiKey, repeat: str | None, asked: _Asked) -> Sealed:
    if asked.options.organisation not in (None, key.organisation):
        raise Forbidden("the API key is another organisation's")
    spec, documents = asked.spec, asked.documents
    if repeat is None:
        return door.sealer.seal(documents[0], spec, key.organisation, documents[1:])
    if not IDEMPOTENCY_KEY.fullmatch(repeat):
        raise Malformed("an Idempotency-Key is 1 to 255 visible characters")
    name = request_digest("hashes", key.organisation, repeat)
    request = request_digest(*_told(documents), repr(spec))
    found = door.repeats.find(name, request)
    if found is None:
        sealed = door.sealer.seal(documents[0], spec, key.organisation, documents[1:])
        answer = (sealed.draft, sealed.time, sealed.index, sealed.sha256, sealed.signed, str(sealed.spec.level))
        found = door.repeats.keep(name, request, wire.encode(answer))
    draft, time, index, sha256, signed, level = wire.decode(found)
    reached = replace(spec, level=level_named(level), degrade=None)
    made = assembled(drafted_from(documents), draft.pieces, sealed_name(name_of(documents), reached), media_type(reached)[0])
    return Sealed(made, reached, key.organisation, time, index, sha256, draft, signed, spec.level)


def _told(documents: Sequence[Document]) -> list[str | None]:
    """All that a request says of its documents."""
    told: list[str | None] = []
    for document in documents:
        told += [
            document.name,
            document.media_type,
            *(f"{d.algorithm}:{d.value.hex()}" for d in sorted(document.known, key=lambda d: d.algorithm)),
            "",
        ]
    return told
