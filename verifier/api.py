"""The door to HTTP: `POST /v1/verifications`. A verdict is a result: whatever it says, the status is 200."""

import importlib.resources
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from trust.edge.upload import Received, Upload, receive
from trust.errors import KakuinError, Malformed, Unacceptable
from trust.language import from_header
from trust.model import Document
from verifier import service, shapes, sources
from verifier.policy import SHIPPED, Policy, load
from verifier.report.json import dumps
from verifier.report.parties import Json
from verifier.report.text import render
from verifier.service import Question, Verifier
from verifier.shapes import Shape

_T = TypeVar("_T")

LIMIT_BYTES = 256 << 20
MATERIAL_BYTES = 64 << 20
"""Of one file of certificates or status data."""

FILES = {
    "document": "What is to be verified: a signed PDF, a CMS, XML, JSON or COSE signature, a container, a time-stamp.",
    "detached": "Content that stands apart from its signature, by its file name. As many as there are.",
    "trust": "Trust anchors (PEM or DER) instead of those of this service.",
    "certificate": "Further certificates, not trusted for being sent.",
    "crl": "Certificate revocation lists.",
    "ocsp": "OCSP answers (DER).",
    "evidence_record": "Evidence records that stand beside the document (RFC 4998, RFC 6283).",
}
"""Parts of the form that are files."""
OPTIONS = {
    "at": "Validation time, RFC 3339 with its zone, or a date (its first instant in UTC). Without it: now.",
    "policy": f"Validation policy: {', '.join(SHIPPED)}. Without it: that of this service.",
}
"""Parts of the form, or parameters of the address, that are text."""
SECRET = {"password": "Of an encrypted PDF. Never in the address, which servers log."}
"""Parts of the form alone."""


def router(
    verifier: Verifier,
    answer: Callable[[Question], Json] = service.answer,
    *,
    etsi: Callable[[Question], bytes] = shapes.etsi_report,
    limit_bytes: int = LIMIT_BYTES,
) -> APIRouter:
    """The verifier's routes. `answer` and `etsi` read the stranger's file: in this process, or in one that has nothing to lose."""
    routes = APIRouter(tags=["verifier"])

    @routes.post(
        "/v1/verifications",
        summary="Verify a document",
        operation_id="verify",
        description=DESCRIPTION,
        response_class=Response,
        responses=_responses(),
        openapi_extra={"requestBody": _request_body()},
    )
    async def verify(
        request: Request,
        at: Annotated[str | None, Query(description=OPTIONS["at"], examples=["2026-06-01T09:00:00+09:00"])] = None,
        policy: Annotated[str | None, Query(description=OPTIONS["policy"], examples=["eu"])] = None,
    ) -> Response:
        shape = shapes.of_header(",".join(request.headers.getlist("accept")))
        _known(request.query_params.multi_items())
        with await receive(request.headers, request.stream(), limit_bytes) as upload:
            asked = await run_in_threadpool(_question, upload, verifier, _options(upload.fields, at, policy))
            if shape.made is None:
                return Response(await run_in_threadpool(etsi, asked), media_type=shape.media_type, headers=_VARIES)
            made = await run_in_threadpool(answer, asked)
        return await run_in_threadpool(_rendered, shape, shape.made, made, request.headers)

    @routes.get("/v1/verifications/schema", summary="JSON Schema of the report", operation_id="verification-schema", response_class=Response)
    async def schema() -> Response:
        return Response(_text("report.schema.json"), media_type="application/schema+json")

    return routes


DESCRIPTION = """
Send the document itself as the body, or `multipart/form-data` with a part `document` and whatever belongs to it. Nothing is fetched from the
network, and nothing is kept.

The answer is one verdict for the whole file (`conclusion`: `passed`, `failed`, `indeterminate`, `nothing_signed`), then each signature,
time-stamp and evidence record, with the trace of requirements (ETSI EN 319 102-1). **Every verdict is a `200`**; a problem (RFC 9457) means that the
file could not be judged.

`Accept` chooses the report's shape: `application/json` (the stable form, and what comes where nothing is asked for); for people `text/plain`,
`text/html` or `application/pdf`, in the language of `Accept-Language` (English or Japanese); `application/xml`, the ETSI validation report
(TS 119 102-2). Where none of them is accepted the answer is a `406`.

```sh
curl --data-binary @sealed.pdf -H 'Content-Type: application/pdf' https://…/v1/verifications
curl -F document=@dataset.csv.p7s -F detached=@dataset.csv -F trust=@root.pem https://…/v1/verifications
```
"""


def _options(fields: Mapping[str, str], at: str | None, policy: str | None) -> dict[str, str]:
    """From the form or the address, not from both."""
    if unknown := sorted(set(fields) - set(OPTIONS) - set(SECRET)):
        expected = f"expected the files {', '.join(FILES)} or the fields {', '.join((*OPTIONS, *SECRET))}"
        raise Unacceptable(f"field {unknown[0][:40]!a} of the form is not known, or should be a file: {expected}")
    given = {k: v for k, v in (("at", at), ("policy", policy)) if v is not None}
    if twice := sorted(set(given) & set(fields)):
        raise Unacceptable(f"{twice[0]} is given twice, in the address and in the form")
    return {**fields, **given}


def _known(query: Iterable[tuple[str, str]]) -> None:
    """Unacceptable for an option that does not exist, or stands twice: a slip of the pen must not change what is judged."""
    names = [name for name, _ in query]
    if SECRET.keys() & set(names):
        raise Unacceptable("a password never stands in an address, which servers log: send it as a part of a form")
    if unknown := sorted(set(names) - set(OPTIONS)):
        raise Unacceptable(f"option {unknown[0][:40]!a} of the address is not known, expected {' or '.join(OPTIONS)}")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise Unacceptable(f"{twice[0]} is given twice in the address")


def _question(upload: Upload, verifier: Verifier, options: Mapping[str, str]) -> Question:
    documents = _documents(upload.files)
    if len(documents["document"]) != 1:
        raise Unacceptable(f"one document is verified at a time, got {len(documents['document'])} parts called document")
    [document] = documents["document"]
    if document.size == 0:
        raise Malformed("document is empty")
    return verifier.question(
        document.opened_by(options.get("password")),
        documents["detached"],
        anchors=_material(documents["trust"], "trust", sources.certificates_in) if documents["trust"] else None,
        at=_moment(options.get("at")),
        policy=_policy(options.get("policy")),
        certificates=_material(documents["certificate"], "certificate", sources.certificates_in),
        crls=_material(documents["crl"], "crl", sources.crls_in),
        ocsps=_material(documents["ocsp"], "ocsp", sources.ocsps_in),
        records=documents["evidence_record"],
    )


def _documents(files: list[Received]) -> dict[str, list[Document]]:
    found: dict[str, list[Document]] = {name: [] for name in FILES}
    for file in files:
        name = file.field or "document"
        if name not in found:
            raise Unacceptable(f"file {name[:40]!a} of the form is not known, expected {', '.join(FILES)}")
        found[name].append(file.document)
    return found


def _material(documents: list[Document], name: str, parse: Callable[[bytes], list[_T]]) -> list[_T]:
    try:
        return [found for document in documents for found in parse(document.read(MATERIAL_BYTES))]
    except KakuinError as error:
        raise type(error)(f"{name}: {error}") from error


def _moment(text: str | None) -> datetime | None:
    try:
        return None if text is None else sources.moment(text)
    except Unacceptable as error:
        raise Unacceptable(f"at: {error}") from error


def _policy(name: str | None) -> Policy | None:
    """By its name alone: a policy's file is never opened for a client."""
    if name is None:
        return None
    if name not in SHIPPED:
        raise Unacceptable(f"policy: {name[:40]!a} is not known, expected {', '.join(SHIPPED)}")
    return load(name)


_VARIES = {"Vary": "Accept, Accept-Language"}


def _rendered(shape: Shape, render: Callable[[Json, str], bytes], made: Json, headers: Mapping[str, str]) -> Response:
    if not shape.for_people:
        return Response(dumps(made), media_type=shape.media_type, headers=_VARIES)
    language = from_header(headers.get("accept-language", ""))
    said = {**_VARIES, "Content-Language": language}
    if shape.media_type == "text/html":
        from verifier.report.html import POLICY

        said["Content-Security-Policy"] = f"{POLICY}; frame-ancestors 'none'; sandbox"
    charset = "; charset=utf-8" if shape.media_type.startswith("text/") else ""
    return Response(render(made, language), media_type=shape.media_type + charset, headers=said)


def _text(name: str) -> str:
    return importlib.resources.files("verifier").joinpath(f"report/{name}").read_text("utf-8")


def _responses() -> dict[int | str, dict[str, Any]]:
    report = _inlined(json.loads(_text("report.schema.json")))
    content = {
        "application/json": {"schema": report, "example": json.loads(_text("example.json"))},
        "text/plain": {"schema": {"type": "string"}, "example": render(json.loads(_text("example.json")))},
        "text/html": {"schema": {"type": "string"}},
        "application/pdf": {"schema": {"type": "string", "format": "binary"}},
        "application/xml": {"schema": {"type": "string"}},
    }
    return {200: {"description": "The verdict, whatever it is. (The example leaves out what is null.)", "content": content}}


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """The judged form of the report without references: in an OpenAPI document `#/$defs/…` would point elsewhere."""
    definitions = schema["$defs"]

    def inline(part: Any) -> Any:
        if isinstance(part, dict):
            if "$ref" in part:
                return {**inline(definitions[part["$ref"].removeprefix("#/$defs/")]), **{k: v for k, v in part.items() if k != "$ref"}}
            return {k: inline(v) for k, v in part.items()}
        return [inline(v) for v in part] if isinstance(part, list) else part

    judged: dict[str, Any] = inline(schema["anyOf"][0])
    return judged


def _request_body() -> dict[str, Any]:
    binary = {"type": "string", "format": "binary"}
    properties: dict[str, Any] = {
        name: {"type": "array", "items": binary, "description": what} if name != "document" else {**binary, "description": what}
        for name, what in FILES.items()
    }
    properties |= {name: {"type": "string", "description": what} for name, what in OPTIONS.items()}
    properties |= {name: {"type": "string", "writeOnly": True, "description": what} for name, what in SECRET.items()}
    whole = {"schema": binary}
    return {
        "required": True,
        "description": "The document itself, or a form.",
        "content": {
            "application/pdf": whole,
            "application/octet-stream": whole,
            "multipart/form-data": {"schema": {"type": "object", "required": ["document"], "properties": properties}},
        },
    }
