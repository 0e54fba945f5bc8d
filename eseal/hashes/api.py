"""Hash-only sealing over HTTP: `/v1/seals/hashes`. It only translates; the operations are those of `eseal.hashes.steps`."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from eseal.api import IDEMPOTENCY_KEY, Options, json_pairs, options_in, recognised, request_digest, seal_headers
from eseal.draft import Draft, assembled
from eseal.hashes import openapi
from eseal.hashes.known import LEVELS, PATH, as_file, digests_in, documents_in, drafted_from
from eseal.hashes.steps import COURSES, End, First, Last, Open, begin, finish
from eseal.hashes.steps import LARGEST as LARGEST_SIGNATURE
from eseal.hashes.told import STEP, of_first, of_key, of_last
from eseal.service import Sealed, Sealer, name_of, sealed_name, sha256_of, suited
from eseal.spec import Format, Level, Packaging, Serialization, Spec, level_named, media_type
from eseal.store import ApiKey, ApiKeys, Repeats
from trust.edge import wire
from trust.errors import Coded, Conflict, Forbidden, Malformed, NotFound, TooLarge, Unacceptable, UnsupportedMedia
from trust.log.links import link
from trust.model import Digest, Document
from trust.ports import Status

DOCUMENTS, IMPRINT = "documents", "imprint"
LARGEST = 1 << 20
"""Bytes of a request: a thousand documents with three digests each."""
LARGEST_STATE = 8 << 20
"""Bytes of what a second step goes on from: a signature over a thousand documents has some 3 MB."""
_STATE = request_digest("state")


def router(sealer: Sealer, keys: ApiKeys, repeats: Repeats) -> APIRouter:
    """The routes."""
    routes, door = APIRouter(tags=["seals"]), _Door(sealer, repeats)

    @routes.get(
        PATH,
        summary="The key of an organisation, for who prepares what it shall sign.",
        description=openapi.KEY_DESCRIPTION,
        response_class=JSONResponse,
        responses=openapi.KEY_RESPONSES,
        openapi_extra=openapi.KEY_OPERATION,
        operation_id="sealKey",
    )
    async def seal_key(request: Request) -> JSONResponse:
        key = await run_in_threadpool(recognised, keys, request.headers.get("authorization"))
        options = Options(**options_in(request.query_params.multi_items(), "query"))
        return JSONResponse(await run_in_threadpool(_described, sealer, key, options))

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
        asked = _Asked.of(await received(request))
        return await run_in_threadpool(_seal, door, key, request.headers.get("idempotency-key"), asked)

    @routes.post(
        STEP,
        summary="The second step of a hash-only seal: the digest that an archive time-stamp is over.",
        description=openapi.STEP_DESCRIPTION,
        response_class=Response,
        responses=openapi.STEP_RESPONSES,
        openapi_extra=openapi.STEP_OPERATION,
        operation_id="finishHashes",
    )
    async def finish_hashes(step: str, request: Request) -> Response:
        key = await run_in_threadpool(recognised, keys, request.headers.get("authorization"))
        imprint = _imprint(await received(request))
        return await run_in_threadpool(_finish, door, key, step, imprint)

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
        pairs = pairs_in(data)
        listed = [value for name, value in pairs if name == DOCUMENTS]
        if len(listed) != 1:
            raise Malformed(f"{DOCUMENTS} is expected once, got {len(listed)}")
        return cls(documents_in(listed[0]), Options(**options_in([p for p in pairs if p[0] != DOCUMENTS], "request")))

    @property
    def spec(self) -> Spec:
        """Detached and at the highest level that digests allow in one step, where nothing else was said."""
        options = self.options
        form = options.format or Format.CADES
        named: Mapping[str, Any] = {str(f): levels[-1] for f, levels in LEVELS.items()}
        level = options.level or (named.get(form.lower()) if (options.serialization or "").lower() != Serialization.COMPACT else None)
        packaging = options.packaging or (Packaging.DETACHED if form.lower() in named and form.lower() != Format.PADES else None)
        return replace(options, format=form, level=level, packaging=packaging).spec(b"", {})


def pairs_in(data: bytes) -> list[tuple[str, Any]]:
    """The members of a body."""
    try:
        return json_pairs(data.decode())
    except (UnicodeDecodeError, Malformed) as error:
        raise Malformed("the body is not a JSON object in UTF-8") from error


async def received(request: Request) -> bytes:
    """The body of a request in JSON. UnsupportedMedia and TooLarge for what is none."""
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise UnsupportedMedia("content-type application/json expected", "application/json")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Coded("the body is compressed (Content-Encoding): send it as it is")
    data = bytearray()
    try:
        async for part in request.stream():
            data += part
            if len(data) > LARGEST:
                raise TooLarge(f"body is over {LARGEST} bytes")
    except ClientDisconnect:
        raise Malformed("the client went away before the end of the body") from None
    return bytes(data)


def _described(sealer: Sealer, key: ApiKey, options: Options) -> dict[str, Any]:
    _require_own(key, options)
    spec = replace(options, format=options.format or Format.CADES).spec(b"", {})
    chosen, warnings = suited(sealer.keys(key.organisation), spec)
    return of_key(chosen, spec, key.organisation, warnings, sealer.clock())


def _require_own(key: ApiKey, options: Options) -> None:
    if options.organisation not in (None, key.organisation):
        raise Forbidden("the API key is another organisation's")


def _seal(door: _Door, key: ApiKey, repeat: str | None, asked: _Asked) -> Response:
    _require_own(key, asked.options)
    spec, documents = asked.spec, asked.documents
    if repeat is not None and not IDEMPOTENCY_KEY.fullmatch(repeat):
        raise Malformed("an Idempotency-Key is 1 to 255 visible characters")
    name, request = request_digest("hashes", key.organisation, repeat), request_digest(*_told(documents), repr(spec))
    if repeat is None or (found := door.repeats.find(name, request)) is None:
        first = begin(door.sealer, documents, spec, key.organisation)
        step = _opened(door, key, first)
        if repeat is None:
            return _answer(first, spec, step)
        sealed = first.sealed
        kept = (sealed.draft, sealed.time, sealed.index, sealed.sha256, sealed.signed, str(sealed.spec.level), first.found, step)
        found = door.repeats.keep(name, request, wire.encode(kept), LARGEST_STATE)
    draft, time, index, sha256, signed, level, *more = wire.decode(found)
    values, step = more or (Status(), None)  # the version before this one had one step
    opened = None if step is None else _found(door, key, step)
    reached = _reached(spec, level_named(level))
    shown = as_file(documents, reached)
    made = assembled(drafted_from(documents), draft.pieces, sealed_name(name_of(documents), shown), media_type(shown)[0])
    return _answer(First(Sealed(made, reached, key.organisation, time, index, sha256, draft, signed, spec.level), values, opened), spec, step)


def _reached(spec: Spec, level: Level) -> Spec:
    """What an earlier request got."""
    course = COURSES.get((spec.format, spec.level))
    if course is None or course.base is spec.format:
        return replace(spec, level=level, degrade=None)
    return replace(spec, format=course.base, packaging=Packaging.DETACHED, level=level, degrade=None)


def _answer(first: First, asked: Spec, step: str | None) -> Response:
    """The signature, or where there is more to it an object with it."""
    made = first.sealed.document
    if (asked.format, asked.level) in COURSES:
        return JSONResponse(of_first(first, asked, step), headers=_said(asked, first.sealed.spec.level, PATH, first.sealed.index))
    return Response(made.read(LARGEST_SIGNATURE), media_type=made.media_type, headers=seal_headers(first.sealed, PATH))


def _said(asked: Spec, level: Level, path: str, index: int) -> dict[str, str]:
    """In the head, where whoever counts what is made looks for it, and whoever wants its receipt."""
    return {"Kakuin-Format": asked.format, "Kakuin-Level": level, "Link": link(path, index)}


def _found(door: _Door, key: ApiKey, step: str) -> Open | None:
    """What a second step of this API key goes on from; None where there is none of that name, or no more."""
    state = door.repeats.find(request_digest("open hashes", key.id, step), _STATE)
    if state is None:
        return None
    opened: Open = wire.decode(state)
    return opened


def _opened(door: _Door, key: ApiKey, first: First) -> str | None:
    """The name of the second step, under which this API key finds what it goes on from, for as long as an Idempotency-Key is remembered."""
    if first.open is None:
        return None
    step, state = secrets.token_hex(16), wire.encode(first.open)
    if len(state) > LARGEST_STATE:
        raise TooLarge(f"a signature over so much cannot be kept for a second step: {LARGEST_STATE} bytes, got {len(state)}; seal fewer at once")
    door.repeats.keep(request_digest("open hashes", key.id, step), _STATE, state, LARGEST_STATE)
    return step


def _imprint(data: bytes) -> Digest:
    pairs = pairs_in(data)
    if [name for name, _ in pairs] != [IMPRINT]:
        raise Malformed(f"the body is an object with {IMPRINT} alone")
    return imprint_in(pairs[0][1])


def imprint_in(value: Any) -> Digest:
    """One digest by its name, as its pair. Malformed for what is none, Unacceptable for several."""
    found = digests_in(value, IMPRINT)
    if len(found) != 1:
        raise Unacceptable(f"one digest is expected, got {len(found)}")
    return found[0]


def _finish(door: _Door, key: ApiKey, step: str, imprint: Digest) -> Response:
    opened = _found(door, key, step)
    if opened is None:
        raise NotFound("this API key has no second step of that name open; it stays open for a day")
    name, request = request_digest("finished hashes", key.id, step), request_digest(imprint.algorithm, imprint.value.hex())
    try:
        found = door.repeats.find(name, request)
        if found is None:
            found = door.repeats.keep(name, request, wire.encode(finish(door.sealer, opened, imprint)), LARGEST_STATE)
    except Conflict as error:
        raise Conflict("this second step was made with another digest: a seal has one") from error
    last: Last = wire.decode(found)
    if opened.end is End.TOKEN:
        return JSONResponse(of_last(last, opened.spec), headers=_said(opened.spec, opened.spec.level, f"{PATH}/{step}", last.index))
    spec = replace(opened.spec, degrade=None)
    made = Document.of(last.data, sealed_name(name_of(opened.documents), spec))
    made.media_type = media_type(spec)[0]
    sealed = Sealed(made, spec, key.organisation, last.time, last.index, sha256_of(made), Draft((), b"", warnings=last.warnings), ())
    return Response(last.data, media_type=made.media_type, headers=seal_headers(sealed, f"{PATH}/{step}"))


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
