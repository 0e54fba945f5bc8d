"""Extending over HTTP: `POST /v1/extensions`. It only translates; the operation is `eseal.extend_service.Extender.extend`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool

from eseal.api import IDEMPOTENCY_KEY, document_headers, json_pairs, options_in, placed, recognised, request_digest, streamed
from eseal.draft import assembled
from eseal.extend import MEDIA_TYPE, Kind, Wanted
from eseal.extend_material import Known
from eseal.extend_openapi import DESCRIPTION, OPERATION, RESPONSES
from eseal.extend_service import Asked, Extender, Raised, extended_name
from eseal.service import sha256_of
from eseal.spec import Level, level_named
from eseal.store import ApiKey, ApiKeys, Repeats
from trust.edge import wire
from trust.edge.upload import Upload, receive
from trust.errors import Malformed, Unacceptable
from trust.model import Document

DOCUMENT, DETACHED, OPTIONS = "document", "detached", "options"
BESIDE = ("trust", "certificate", "crl", "ocsp")
"""Fields with files that are given beside the document."""
LARGEST_BESIDE = 32 << 20
"""Bytes of one of them."""
_NAMES = frozenset({"level", "password", "online", "allow_indeterminate"})
_TRUTH = {"true": True, "false": False}

Read = Callable[[Mapping[str, Sequence[bytes]]], Known]
"""Files by the names of BESIDE -> what they hold. Raises Malformed for what is no certificate, list or answer."""


@dataclass(frozen=True, slots=True)
class _Door:
    extender: Extender
    keys: ApiKeys
    repeats: Repeats
    read: Read


def router(extender: Extender, keys: ApiKeys, repeats: Repeats, read: Read, limit_bytes: int) -> APIRouter:
    """The route. `limit_bytes` is of a request's body."""
    routes = APIRouter(tags=["seals"])
    door = _Door(extender, keys, repeats, read)

    @routes.post(
        "/v1/extensions",
        summary="Raise the signatures of a document to a higher level, or renew their archive time-stamps.",
        description=DESCRIPTION,
        response_class=StreamingResponse,
        responses=RESPONSES,
        openapi_extra=OPERATION,
        operation_id="extend",
    )
    async def extend(request: Request) -> StreamingResponse:
        key = await run_in_threadpool(recognised, keys, request.headers.get("authorization"))
        said = _options(request.query_params.multi_items(), "query")
        upload = await receive(request.headers, request.stream(), limit_bytes, None)
        try:
            made = await run_in_threadpool(_extend, door, key, request.headers.get("idempotency-key"), upload, said)
            return _answer(made, upload)
        except BaseException:
            upload.close()
            raise

    return routes


def _options(pairs: "list[tuple[str, Any]]", where: str) -> dict[str, str]:
    """In JSON a truth value is one."""
    return options_in(((name, str(value).lower() if isinstance(value, bool) else value) for name, value in pairs), where, _NAMES)


def _truth(said: Mapping[str, str], name: str) -> bool:
    value = said.get(name, "false").lower()
    if value not in _TRUTH:
        raise Unacceptable(f"{name} is true or false")
    return _TRUTH[value]


def _extend(door: _Door, key: ApiKey, repeat: str | None, upload: Upload, query: Mapping[str, str]) -> Raised:
    document, detached, beside, said = _request(upload, query)
    asked = Asked(
        Wanted(level_named(said.get("level", Level.B_LTA)), said.get("password")),
        tuple(detached),
        door.read(beside),
        allow_indeterminate=_truth(said, "allow_indeterminate"),
        online=_truth(said, "online"),
    )
    if repeat is None:
        return door.extender.extend(document, asked, key.organisation)
    if not IDEMPOTENCY_KEY.fullmatch(repeat):
        raise Malformed("an Idempotency-Key is 1 to 255 visible characters")
    name = request_digest("extension", key.organisation, repeat)
    about = [part for d in (document, *detached) for part in (sha256_of(d).hex(), d.name)]
    given = [sha256_of(Document.of(data)).hex() for field in BESIDE for data in (field.encode(), *beside[field])]
    request = request_digest(*about, *given, *(f"{k}={v}" for k, v in sorted(said.items())))
    found = door.repeats.find(name, request)
    if found is None:
        made = door.extender.extend(document, asked, key.organisation)
        kept = (made.draft, made.kind.value, made.level.value, made.before, made.after, made.conclusion, made.time, made.index, made.sha256)
        found = door.repeats.keep(name, request, wire.encode(kept))
    draft, kind, level, before, after, conclusion, time, index, sha256 = wire.decode(found)
    media_type, ending = MEDIA_TYPE[Kind(kind)]
    again = assembled(document, draft.pieces, extended_name(document.name, ending), document.media_type or media_type)
    return Raised(again, Kind(kind), Level(level), tuple(before), tuple(after), conclusion, time, index, sha256, draft, key.organisation)


def _request(upload: Upload, query: Mapping[str, str]) -> tuple[Document, list[Document], dict[str, list[bytes]], dict[str, str]]:
    """The document, its detached content, what is given beside it, and the options of query and form together."""
    said = dict(query)
    form: list[tuple[str, Any]] = [(name, text) for name, text in upload.fields.items() if name != OPTIONS]
    if OPTIONS in upload.fields:
        form += json_pairs(upload.fields[OPTIONS])
    documents: list[Document] = []
    detached: list[Document] = []
    beside: dict[str, list[bytes]] = {name: [] for name in BESIDE}
    for received in upload.files:
        if received.field in ("", DOCUMENT):
            documents.append(received.document)
        elif received.field == DETACHED:
            detached.append(placed(received))
        elif received.field in beside:
            beside[received.field].append(received.document.read(LARGEST_BESIDE))
        else:
            raise Unacceptable(f"a file of the form is called none of {', '.join((DOCUMENT, DETACHED, *BESIDE))}")
    for name, value in _options(form, "form").items():
        if said.setdefault(name, value) != value:
            raise Unacceptable(f"query and form disagree about {name}")
    if len(documents) != 1:
        raise Unacceptable(f"one file called {DOCUMENT} is expected, got {len(documents)}")
    return documents[0], detached, beside, said


def _answer(made: Raised, upload: Upload) -> StreamingResponse:
    headers = {
        **document_headers(made.document, made.sha256, "extended"),
        "Kakuin-Format": made.kind,
        "Kakuin-Level": made.level,
        "Kakuin-Level-Before": ", ".join(made.before),
        "Kakuin-Level-After": ", ".join(made.after),
        "Kakuin-Conclusion": made.conclusion,
        "Kakuin-Extension": str(made.index),
        "Kakuin-Time": made.time.isoformat(timespec="seconds").replace("+00:00", "Z"),
    }
    if made.draft.warnings:
        headers["Kakuin-Warning"] = "; ".join(made.draft.warnings)
    content = streamed(made.document, upload)
    return StreamingResponse(content, media_type=made.document.media_type, headers=headers, background=BackgroundTask(upload.close))
