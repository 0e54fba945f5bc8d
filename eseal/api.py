"""The sealer over HTTP: `POST /v1/seals`. It only translates; the operation is `eseal.service.Sealer.seal`."""

import base64
import copy
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool

from eseal import openapi
from eseal.claims import NAMES as CLAIMS
from eseal.claims import claims_of
from eseal.dataset import joined
from eseal.draft import Draft, assembled
from eseal.pdf_seal import FILES, wished
from eseal.pdf_seal import OPTIONS as ON_PAPER
from eseal.service import Sealed, Sealer, name_of, sealed_name
from eseal.spec import FOR_SEVERAL, Spec, choose, is_pdf, level_named, media_type
from eseal.store import ApiKey, ApiKeys, Repeats
from trust.edge import wire
from trust.edge.upload import Received, Upload, receive
from trust.errors import Forbidden, Malformed, Unacceptable, Unauthorised, UnsupportedMedia
from trust.log.links import link
from trust.model import Document

HEAD = 1024
"""Bytes by which a document is recognised."""
_BEARER = re.compile(r"[Bb]earer +(\S+)")
IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")
DOCUMENT, OPTIONS = "document", "options"


@dataclass(frozen=True, slots=True)
class Options:
    """What a request says beside its document, each by the name that the query, the form and the JSON of `options` share."""

    format: str | None = None
    level: str | None = None
    packaging: str | None = None
    addition: str | None = None
    canonicalization: str | None = None
    components: str | None = None
    digest: str | None = None
    reason: str | None = None
    location: str | None = None
    role: str | None = None
    commitment: str | None = None
    signing_time: str | None = None
    policy: str | None = None
    policy_hash: str | None = None
    policy_uri: str | None = None
    description: str | None = None
    mime_type: str | None = None
    content_timestamp: str | None = None
    degrade: str | None = None
    organisation: str | None = None
    password: str | None = None
    serialization: str | None = None
    mechanism: str | None = None
    visible: str | None = None
    page: str | None = None
    rect: str | None = None
    field: str | None = None
    new_field: str | None = None
    certify: str | None = None
    lock: str | None = None
    qr: str | None = None
    seal_name: str | None = None

    def spec(self, head: bytes, attached: Mapping[str, Document]) -> Spec:
        """Unacceptable for what is not offered."""
        claims = claims_of({name: getattr(self, name) for name in CLAIMS})
        return choose(
            head,
            format=self.format,
            level=self.level,
            packaging=self.packaging,
            addition=self.addition,
            canonicalization=self.canonicalization,
            components=self.components,
            digest=self.digest,
            claims=claims,
            password=self.password,
            serialization=self.serialization,
            mechanism=self.mechanism,
            degrade=self.degrade,
            pdf=wished({name: getattr(self, name) for name in ON_PAPER}, image=attached.get("image"), font=attached.get("font")),
        )


_NAMES = frozenset(f.name for f in fields(Options))
_SECRET = frozenset({"password"})


def router(sealer: Sealer, keys: ApiKeys, repeats: Repeats, limit_bytes: int, folder: Path | None = None) -> APIRouter:
    """The routes. `limit_bytes` is of a request's body; `folder` is where large documents lie while they are worked on."""
    routes = APIRouter(tags=["seals"])

    @routes.post(
        "/v1/seals",
        summary="Seal a document for an organisation.",
        description=openapi.DESCRIPTION,
        response_class=StreamingResponse,
        responses=openapi.RESPONSES,
        openapi_extra=openapi.OPERATION,
        operation_id="seal",
    )
    async def seal(request: Request) -> StreamingResponse:
        key = await run_in_threadpool(recognised, keys, request.headers.get("authorization"))
        options = options_in(request.query_params.multi_items(), "query")
        upload = await receive(request.headers, request.stream(), limit_bytes, folder)
        try:
            job = _Job(sealer, repeats, key, request.headers.get("idempotency-key"))
            return _answer(await run_in_threadpool(_seal, job, upload, options), upload)
        except BaseException:
            upload.close()
            raise

    return routes


@dataclass(frozen=True, slots=True)
class _Job:
    sealer: Sealer
    repeats: Repeats
    key: ApiKey
    idempotency_key: str | None


def recognised(keys: ApiKeys, authorization: str | None) -> ApiKey:
    """Unauthorised for none, or one that is unknown, expired or revoked."""
    found = _BEARER.fullmatch(authorization.strip()) if authorization else None
    if found is None:
        raise Unauthorised("an API key is needed: Authorization: Bearer kakuin_…")
    return keys.recognise(found[1])


def options_in(pairs: "Iterable[tuple[str, Any]]", where: str, names: frozenset[str] = _NAMES) -> dict[str, str]:
    """Unacceptable for one that does not exist: a slip of the pen must not make a seal weaker than was meant."""
    found: dict[str, str] = {}
    for name, value in pairs:
        if where == "query" and name in _SECRET:
            raise Unacceptable(f"a {name} never stands in an address, which servers log: send it as a part of a form")
        if name not in names:
            raise Unacceptable(f"the {where} has an option that does not exist; there are {', '.join(sorted(names - _SECRET))}")
        if name in found:
            raise Unacceptable(f"the {where} gives {name} twice")
        if not isinstance(value, str):
            raise Unacceptable(f"option {name} is a text")
        found[name] = value
    return found


def _seal(job: _Job, upload: Upload, query: Mapping[str, str]) -> Sealed:
    documents, options, attached = _request(upload, query)
    if options.organisation not in (None, job.key.organisation):
        raise Forbidden("the API key is another organisation's")
    heads = [document.head(HEAD) for document in documents]
    if not all(heads):
        raise Malformed("the document is empty: 0 bytes arrived")
    if any(d.media_type == "application/pdf" and not is_pdf(head) for d, head in zip(documents, heads, strict=True)):
        raise UnsupportedMedia("the Content-Type is application/pdf and the document is no PDF")
    if len(documents) > 1 and options.format is None and options.addition is None:
        options = replace(options, format=FOR_SEVERAL)
    spec = options.spec(heads[0], attached)
    if job.idempotency_key is None:
        return job.sealer.seal(documents[0], spec, job.key.organisation, documents[1:])
    return _once(job, documents, spec, attached)


def _request(upload: Upload, query: Mapping[str, str]) -> tuple[list[Document], Options, dict[str, Document]]:
    """The documents, the options of query and form together, and the files that options are: image and font of a visible seal."""
    said = dict(query)
    form = [(name, text) for name, text in upload.fields.items() if name != OPTIONS]
    if OPTIONS in upload.fields:
        form += json_pairs(upload.fields[OPTIONS])
    documents, attached = [], dict[str, Document]()
    several = sum(received.field in ("", DOCUMENT) for received in upload.files) > 1
    for received in upload.files:
        if received.field == OPTIONS:
            form += json_pairs(_text(received.document))
        elif received.field in ("", DOCUMENT):
            documents.append(placed(received) if several else received.document)
        elif received.field in FILES:
            if attached.setdefault(received.field, received.document) is not received.document:
                raise Unacceptable(f"the form gives {received.field} twice")
        else:
            raise Unacceptable(f"a file of the form is called {DOCUMENT}, {OPTIONS} or, for a visible seal, {' or '.join(FILES)}")
    for name, value in options_in(form, "form").items():
        if said.setdefault(name, value) != value:
            raise Unacceptable(f"query and form disagree about {name}")
    if not documents:
        raise Unacceptable(f"a file called {DOCUMENT} is expected, got none")
    return documents, Options(**said), attached


def placed(received: Received) -> Document:
    """A file of a dataset, by its name with the folders before it."""
    one = copy.copy(received.document)
    one.name = received.path or one.name
    return one


def _text(document: Document) -> str:
    try:
        return document.read(1 << 16).decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"{OPTIONS} is not UTF-8") from error


def json_pairs(text: str) -> list[tuple[str, Any]]:
    """The members of a JSON object; a name given twice is seen."""
    try:
        # Pairs, not a dict: a name given twice must be seen.
        pairs = json.loads(text, object_pairs_hook=list)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"{OPTIONS} is not JSON") from error
    if not isinstance(pairs, list) or not all(isinstance(p, tuple) for p in pairs):
        raise Malformed(f"{OPTIONS} is not a JSON object")
    return pairs


def _once(job: _Job, documents: Sequence[Document], spec: Spec, attached: Mapping[str, Document]) -> Sealed:
    """The seal that this Idempotency-Key got before, or a new one that it will get from now on."""
    if not IDEMPOTENCY_KEY.fullmatch(job.idempotency_key or ""):
        raise Malformed("an Idempotency-Key is 1 to 255 visible characters")
    key = request_digest(job.key.organisation, job.idempotency_key)
    about = [part for d in documents for part in (_sha256(d), d.name, d.media_type)]
    about += [part for name in FILES if name in attached for part in (name, _sha256(attached[name]))]
    request = request_digest(*about, repr(spec), spec.password)
    found = job.repeats.find(key, request)
    if found is None:
        sealed = job.sealer.seal(documents[0], spec, job.key.organisation, documents[1:])
        answer = (sealed.draft, sealed.time, sealed.index, sealed.sha256, sealed.signed, str(sealed.spec.level))
        found = job.repeats.keep(key, request, wire.encode(answer))
    draft, time, index, sha256, signed, *level = wire.decode(found)  # the version before this one remembered no level: it was the one asked for
    reached = replace(spec, level=level_named(level[0]), degrade=None) if level else spec
    return replace(_again(documents, reached, job.key.organisation, draft, time, index, sha256, signed), asked=spec.level)


def _again(  # the remembered fields, in order
    documents: Sequence[Document],
    spec: Spec,
    organisation: str,
    draft: Draft,
    time: datetime,
    index: int,
    sha256: bytes,
    signed: tuple[bytes, ...],
) -> Sealed:
    made = assembled(joined(documents), draft.pieces, sealed_name(name_of(documents), spec), media_type(spec)[0])
    return Sealed(made, spec, organisation, time, index, sha256, draft, signed)


def _sha256(document: Document) -> str:
    found = document.digest("sha256")
    return found.value.hex() if found else ""


def request_digest(*parts: str | None) -> bytes:
    """Of what a request says, for comparing."""
    return hashlib.sha256(json.dumps(parts).encode()).digest()


def document_headers(made: Document, sha256: bytes, otherwise: str) -> dict[str, str]:
    """Name (RFC 6266), length and digest (RFC 9530) of a document that is answered."""
    name = made.name or otherwise
    plain = re.sub(r"[^ !#$%&\'()+,.0-9;=@A-Z\[\]^_`a-z{}~-]", "_", name)
    return {
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}",
        "Content-Length": str(made.size),
        "Repr-Digest": f"sha-256=:{base64.b64encode(sha256).decode()}:",
    }


def _answer(sealed: Sealed, upload: Upload) -> StreamingResponse:
    made = sealed.document
    content = streamed(made, upload)
    return StreamingResponse(content, media_type=made.media_type, headers=seal_headers(sealed), background=BackgroundTask(upload.close))


def seal_headers(sealed: Sealed, path: str = "/v1/seals") -> dict[str, str]:
    """What an answer at `path` says of the seal in it."""
    made, spec = sealed.document, sealed.spec
    headers = {
        **document_headers(made, sealed.sha256, "sealed"),
        "Kakuin-Format": spec.format,
        "Kakuin-Level": spec.level,
        "Kakuin-Packaging": spec.packaging,
        "Kakuin-Seal": str(sealed.index),
        "Link": link(path, sealed.index),
        "Kakuin-Time": sealed.time.isoformat(timespec="seconds").replace("+00:00", "Z"),
    }
    if sealed.degraded:
        headers["Kakuin-Level-Asked"] = str(sealed.asked)
    if sealed.warnings:
        headers["Kakuin-Warning"] = "; ".join(sealed.warnings)
    return headers


def streamed(made: Document, upload: Upload) -> Iterator[bytes]:
    """The sealed document; however the sending ends, the upload under it is given back."""
    with closing(upload):
        yield from made.chunks()
