"""The web application around the services' routes: problems, request ids, limits, logs and headers, decided once.

Every error is an RFC 9457 problem; a body is counted as it streams in and cut off at its limit; one line of JSON per request says what happened and
never what was in it.
"""

import contextlib
import contextvars
import json
import logging
import re
import secrets
import sys
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, TextIO

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from trust import VERSION
from trust.errors import KakuinError, TooLarge, TooMany, Unacceptable, UnsupportedMedia
from trust.language import DEFAULT, from_header

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

PROBLEM = "application/problem+json"
PROBLEM_TYPE = "urn:kakuin:problem:"
REQUEST_ID = "X-Request-Id"

_ACCESS = logging.getLogger("kakuin.access")
_ERRORS = logging.getLogger("kakuin.error")
_CURRENT: contextvars.ContextVar[str | None] = contextvars.ContextVar("request_id", default=None)
_TAKEN_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_LONGEST_PATH = 200
"""Characters of a path in the log."""

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; sandbox"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_PRIVATE = (b"cache-control", b"no-store")
"""Unless the route says otherwise."""


def request_id() -> str | None:
    """Of the request that is being answered; for logs."""
    return _CURRENT.get()


def accepted_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The id that a request brings along, where it is one, or a new one; what is logged from here on for this request bears it."""
    asked = next((value for name, value in headers if name == b"x-request-id"), b"").decode("latin-1")
    chosen = asked if _TAKEN_ID.fullmatch(asked) else secrets.token_hex(8)
    _CURRENT.set(chosen)
    return chosen


def problem(error: KakuinError, language: str = DEFAULT) -> Response:
    """RFC 9457 section 3: the error's type, title, status and one line, and the request's id; the title in the reader's language."""
    headers = error.headers if isinstance(error, TooMany | UnsupportedMedia) else {}
    title = error.japanese if language == "ja" else error.title
    if error.inward:
        _ERRORS.error("%s", error)
    return _problem(error.slug, title, error.status, None if error.inward else str(error), {}, {**headers, "Vary": "Accept-Language"})


def _language(request: Request) -> str:
    return from_header(request.headers.get("accept-language", ""))


def _problem(slug: str, title: str, status: int, detail: str | None, more: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    document = {"type": PROBLEM_TYPE + slug, "title": title, "status": status, "detail": detail, "request_id": request_id(), **more}
    body = json.dumps({name: value for name, value in document.items() if value is not None}, ensure_ascii=False).encode()
    extra = dict(headers or {})
    if status == HTTPStatus.UNAUTHORIZED:
        extra.setdefault("WWW-Authenticate", 'Bearer realm="kakuin"')
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        extra.setdefault("Retry-After", "5")
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        extra.setdefault("Connection", "close")  # the rest of the body is not read
    return Response(body, status, extra, PROBLEM)


def application(
    title: str,
    routers: Sequence[APIRouter],
    *,
    description: str = "",
    base_url: str = "",
    body_limit: int = 1 << 20,
    limits: Mapping[str, int] | None = None,
    closing: Callable[[], None] | None = None,
) -> FastAPI:
    """The application of these routers.

    `body_limit`: bytes of a request's body; `limits`: other limits for paths that begin so, the longest wins. `base_url`: where others reach it.
    `closing` is called once when the server has answered its last request.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        if closing is not None:
            closing()

    app = _application(title, description, base_url, lifespan)
    for router in routers:
        app.include_router(router)
    app.add_exception_handler(KakuinError, _known)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    # What is added last is outermost, and inside Starlette's own handler of last resort, which therefore never has anything to do.
    app.add_middleware(_Door, body_limit=body_limit, limits=dict(limits or {}), secure=base_url.startswith("https:"))
    return app


def _application(title: str, description: str, base_url: str, lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]]) -> FastAPI:
    app = FastAPI(
        title=title,
        description=description,
        version=VERSION,
        servers=[{"url": base_url}] if base_url else None,
        lifespan=lifespan,
        docs_url=None,  # its page loads scripts from a stranger's server
        redoc_url=None,
        redirect_slashes=False,
        responses={"default": {"description": "Any error, as a problem (RFC 9457).", "content": {PROBLEM: {"schema": _PROBLEM_REFERENCE}}}},
    )
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _described(made())
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend its description
    return app


_PROBLEM_REFERENCE = {"$ref": "#/components/schemas/Problem"}
_PROBLEM_SCHEMA = {
    "type": "object",
    "title": "Problem",
    "description": "What went wrong (RFC 9457).",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {
            "type": "string",
            "format": "uri",
            "description": "Which kind of problem: stable, for programs.",
            "example": PROBLEM_TYPE + "too-large",
        },
        "title": {"type": "string", "description": "The kind in words.", "example": TooLarge.title},
        "status": {"type": "integer", "description": "The HTTP status.", "example": TooLarge.status},
        "detail": {"type": "string", "description": "This occurrence, in one line.", "example": "body is over 1048576 bytes"},
        "request_id": {"type": "string", "description": "What to quote when asking the operator.", "example": "0f9d8f6f7c0a4b3d"},
        "errors": {
            "type": "array",
            "description": "Which parts of the request are wrong.",
            "items": {"type": "object", "properties": {"where": {"type": "string"}, "expected": {"type": "string"}}},
        },
    },
}
_BEARER = {"type": "http", "scheme": "bearer", "description": "An API key of an organisation (`kakuin apikey create`)."}


def _described(schema: dict[str, Any]) -> dict[str, Any]:
    """Problems instead of the framework's own shape of errors, and the one way to authenticate."""
    components = schema.setdefault("components", {})
    schemas = {n: s for n, s in components.get("schemas", {}).items() if n not in {"HTTPValidationError", "ValidationError"}}
    components["schemas"] = {**schemas, "Problem": _PROBLEM_SCHEMA}
    components.setdefault("securitySchemes", {}).setdefault("apiKey", _BEARER)
    for methods in schema.get("paths", {}).values():
        for operation in methods.values():
            for status, answer in operation.get("responses", {}).items():
                if status == "422" and "HTTPValidationError" in json.dumps(answer):
                    answer.update({"description": Unacceptable.title, "content": {PROBLEM: {"schema": _PROBLEM_REFERENCE}}})
                for media_type, content in answer.get("content", {}).items():
                    if media_type == PROBLEM:
                        content.setdefault("schema", _PROBLEM_REFERENCE)
    return schema


async def _known(request: Request, error: Exception) -> Response:
    return problem(error, _language(request)) if isinstance(error, KakuinError) else _unforeseen(error)


_HTTP_SLUGS = {404: "not-found", 405: "method-not-allowed", 400: "malformed"}


async def _http(request: Request, error: Exception) -> Response:
    """Of the framework: no such path, no such method, a body that cannot be read."""
    if not isinstance(error, HTTPException):
        return _unforeseen(error)
    if isinstance(error.__cause__, KakuinError):  # the limit was met while the framework read the body
        return problem(error.__cause__, _language(request))
    status = HTTPStatus(error.status_code)
    details = {404: "there is nothing at this address", 405: "the method is not one that this address answers"}
    return _problem(
        _HTTP_SLUGS.get(status, status.phrase.lower().replace(" ", "-")),
        status.phrase.capitalize(),
        status,
        details.get(status, str(error.detail).lower()),
        {},
        _with_head(error.headers),
    )


def _with_head(headers: Mapping[str, str] | None) -> Mapping[str, str] | None:
    """RFC 9110 section 10.2.1: what is read with GET is asked for with HEAD too."""
    allowed = (headers or {}).get("Allow", "").split(", ")
    return {**(headers or {}), "Allow": ", ".join(sorted({*allowed, "HEAD"}))} if "GET" in allowed else headers


async def _invalid(request: Request, error: Exception) -> Response:
    """Which parts are wrong and what is expected there; what was sent is not repeated. A path that no resource can have is one that there is not."""
    if not isinstance(error, RequestValidationError):
        return _unforeseen(error)
    if any(e["loc"][:1] == ("path",) for e in error.errors()):  # RFC 9110 section 15.5.5: such an address names nothing, whatever else was sent
        return await _http(request, HTTPException(404))
    wrong = [{"where": ".".join(str(part) for part in e["loc"])[:100], "expected": str(e["msg"]).lower()[:200]} for e in error.errors()[:20]]
    return _problem(Unacceptable.slug, Unacceptable.title, Unacceptable.status, "the request has parts that are missing or wrong", {"errors": wrong})


def _unforeseen(error: BaseException) -> Response:
    """A fault of ours: its place goes into the log, nothing into the answer."""
    frames = [f"{f.filename.rpartition('/')[2]}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__)[-8:]]
    _ERRORS.error("unforeseen %s", type(error).__name__, extra={"where": frames})
    return _problem(KakuinError.slug, KakuinError.title, KakuinError.status, "this was not foreseen; the log has more under this request's id", {})


class _Door:
    """What every request goes through, as bare ASGI: it must not hold a body, and it costs microseconds."""

    def __init__(self, app: Application, *, body_limit: int, limits: Mapping[str, int], secure: bool) -> None:
        self._app = app
        self._limit = body_limit
        self._limits = sorted(limits.items(), key=lambda item: -len(item[0]))
        self._headers = (*_HEADERS, (b"strict-transport-security", b"max-age=31536000")) if secure else _HEADERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headless = scope["method"] == "HEAD"
        passage = _Passage(scope, receive, _bare(send) if headless else send, self._limit_of(scope["path"]), self._headers)
        token = _CURRENT.set(passage.id)
        try:
            # RFC 9110 section 9.3.2: HEAD is GET without the content, at every address.
            await passage.run(self._app, {**scope, "method": "GET"} if headless else scope)
        finally:
            _CURRENT.reset(token)

    def _limit_of(self, path: str) -> int:
        return next((limit for prefix, limit in self._limits if path.startswith(prefix)), self._limit)


def _bare(send: Send) -> Send:
    """An answer without its content."""

    async def sending(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return sending


class _Passage:
    """One request on its way in and its answer on its way out."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limit: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._limit = limit
        self._headers = headers
        self._said = {name: value for name, value in scope["headers"] if name in (b"x-request-id", b"content-length", b"accept-language")}
        asked = self._said.get(b"x-request-id", b"").decode("latin-1")
        self.id = asked if _TAKEN_ID.fullmatch(asked) else secrets.token_hex(8)
        self._in = self._out = 0
        self._status: int | None = None

    async def run(self, app: Application, scope: Scope) -> None:
        """`scope`: as the application gets it."""
        begun = time.monotonic()
        try:
            length = self._said.get(b"content-length", b"")
            if length.isdigit() and int(length[:20]) > self._limit:
                await self._answer(problem(self._too_large(), self._language()))
            else:
                await app(scope, self.receive, self.send)
        except Exception as error:  # the last handler: a fault of ours, or the limit met in a route that let it through
            answer = problem(error, self._language()) if isinstance(error, KakuinError) else _unforeseen(error)
            if self._status is not None:
                raise  # the answer has begun: the server breaks the connection, so that nobody takes the part for the whole
            await self._answer(answer)
        finally:
            self._log(time.monotonic() - begun)

    def _language(self) -> str:
        return from_header(self._said.get(b"accept-language", b"").decode("latin-1"))

    async def _answer(self, answer: Response) -> None:
        await answer(self._scope, self.receive, self.send)

    def _too_large(self) -> TooLarge:
        return TooLarge(f"body is over {self._limit} bytes")

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._in += len(message.get("body", b""))
            if self._in > self._limit:
                raise self._too_large()
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = list(message.get("headers", ()))
            there = {name.lower() for name, _ in headers}
            ours = (*self._headers, _PRIVATE, (REQUEST_ID.lower().encode(), self.id.encode()))
            message = {**message, "headers": headers + [(n, v) for n, v in ours if n not in there]}
        elif message["type"] == "http.response.body":
            self._out += len(message.get("body", b""))
        await self._send(message)

    def _log(self, seconds: float) -> None:
        client = self._scope.get("client")
        facts = {
            "method": self._scope["method"],
            "path": self._scope["path"][:_LONGEST_PATH],
            "status": self._status,
            "bytes_in": self._in,
            "bytes_out": self._out,
            "ms": round(seconds * 1000, 2),
            "client": client[0] if client else None,
        }
        _ACCESS.info("request", extra=facts)


_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class JsonLines(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, request id, and what the caller added. Line ends cannot be forged in it."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": request_id(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _PLAIN}
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            frames = traceback.extract_tb(error.__traceback__)[-8:]
            line["error"] = type(error).__name__
            line["where"] = [f"{f.filename.rpartition('/')[2]}:{f.lineno}" for f in frames]
        return json.dumps({name: value for name, value in line.items() if value is not None}, ensure_ascii=False, default=repr)


_TALKATIVE = ("httpx", "httpcore", "uvicorn.access")
"""They write addresses with their queries, and a query can hold a secret."""


@contextlib.contextmanager
def logging_to(stream: TextIO = sys.stderr, *, level: int = logging.INFO, requests: bool = True) -> Iterator[None]:
    """Every logger of this process writes JSON lines to `stream`, the server's own included, until the context ends. `requests`: a line for each."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    before, root.handlers = root.handlers, [handler]
    levels = {root: level, **{logging.getLogger(name): max(level, logging.WARNING) for name in _TALKATIVE}}
    levels |= {} if requests else {_ACCESS: logging.CRITICAL}
    levels_before = {logger: logger.level for logger in levels}
    for logger, chosen in levels.items():
        logger.setLevel(chosen)
    try:
        yield
    finally:
        root.handlers = before
        for logger, chosen in levels_before.items():
            logger.setLevel(chosen)
