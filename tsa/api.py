"""The authority over HTTP (RFC 3161 section 3.4, RFC 9110), as a bare ASGI endpoint: a framework's route costs half of the rate.

What the protocol can say is said in the protocol: every TimeStampResp, refusals included, is HTTP 200. What never became a request of the
protocol is an HTTP error with an RFC 9457 problem: another method (405), another media type or a coded body (415), and a body over the
limit (413: it is not read, so nothing can be said of what it asks; the limit is far above any request that could be granted).
"""

import asyncio
import contextlib
import functools
import hashlib
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from fastapi import APIRouter, Response
from starlette.concurrency import run_in_threadpool

from trust.codecs.tsp import MAX_REQUEST
from trust.edge.conditions import conditions, is_known
from trust.edge.preferences import RECEIPT, preferences
from trust.edge.strict_http import Answer, Take
from trust.errors import Coded, KakuinError, NotFound, PreconditionFailed, TooLarge, UnsupportedMedia
from trust.log.links import link
from tsa.service import Authority
from tsa.watching import Nobody, Watch

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

QUERY = b"application/timestamp-query"
REPLY = b"application/timestamp-reply"
_REPLY_FIELDS = b"content-type: %b\r\n" % REPLY
PEM = b"application/pem-certificate-chain"
Index = Callable[[bytes], int]
"""The number of the log's entry that a TimeStampResp is of. NotFound for a refusal."""

PROBLEM = "application/problem+json"
_PROBLEMS = {413: "Over the limit of a request.", 415: "Another media type, or a coded body."}

DRAINED = 8 << 20
"""Bytes of a refused body that are read and thrown away."""
PATIENCE = 1.0
"""Seconds that the next of them may take."""

_LOG = logging.getLogger("kakuin.tsa")


class _MethodNotAllowed(KakuinError):
    """The method is not one that this address answers."""

    slug = "method-not-allowed"
    title = "Method not allowed"
    status = 405


class Endpoint:
    """`POST {path}`: a TimeStampReq for a TimeStampResp. `GET {path}/certificates`: the unit's certificate and its issuers, as PEM.

    `{path}/{unit}` and `{path}/{unit}/certificates` are the same for one unit.
    """

    def __init__(
        self, authority: Authority, *, path: str = "/tsa", limit: int = MAX_REQUEST, watch: Watch | None = None, index: Index | None = None
    ) -> None:
        """`index`: where there is a log; whoever prefers so is told with the answer where its receipt is."""
        self.path = path
        self._index = index
        self._watch: Watch = watch or Nobody()
        self._authority = authority
        self._limit = limit
        """Bytes of a body."""
        units = {f"{path}/{name}": name for name in authority.names}
        self._stamping: dict[str, str | None] = {path: None, **units}
        """Paths, with the unit that each asks for."""
        self._certificates: dict[str, str | None] = {f"{at}/certificates": name for at, name in self._stamping.items()}

    def serves(self, path: str) -> bool:
        return path in self._stamping or path in self._certificates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _other(scope, receive, send)
            return
        path, method = scope["path"], scope["method"]
        if path in self._stamping:
            if method == "POST":
                await self._stamp(scope, receive, send, self._stamping[path])
            else:
                await _other_method(send, method, b"OPTIONS, POST", "send a time-stamp request with POST")
        elif path in self._certificates:
            if method in ("GET", "HEAD"):
                await _known(scope, send, PEM, self._authority.pem(self._certificates[path]))
            else:
                await _other_method(send, method, b"GET, HEAD, OPTIONS", "certificates are read with GET")
        else:
            await _problem(send, NotFound("nothing is served at this address"))

    def direct(self, scope: Scope) -> Take | None:
        """trust.edge.strict_http: further requests with the head of this one, which is whole and well formed."""
        if scope["path"] not in self._stamping or scope["method"] != "POST":
            return None
        try:
            self._require_query(scope["headers"])
        except KakuinError:
            return None
        return functools.partial(self._take, scope, self._stamping[scope["path"]])

    def _take(self, scope: Scope, unit: str | None, body: bytes, answer: Answer) -> bool:
        self._authority.stamp_then(body, unit, functools.partial(self._taken, scope, unit, time.perf_counter(), answer))
        return True

    def _taken(self, scope: Scope, unit: str | None, begun: float, answer: Answer, der: bytes) -> None:
        more = self._watch.answered(scope, unit, der, time.perf_counter() - begun)
        answer(_REPLY_FIELDS + b"".join(b"%b: %b\r\n" % field for field in more) if more else _REPLY_FIELDS, der)

    async def _stamp(self, scope: Scope, receive: Receive, send: Send, unit: str | None) -> None:
        incoming = _Incoming(receive)
        try:
            body = await self._body(scope["headers"], incoming)
        except KakuinError as error:
            # The body may not be read to its end, so the connection cannot be used again.
            headers = ((b"connection", b"close"), *_said(error), *self._watch.problem(scope, error))
            await _problem(send, error, headers, None if _waits(scope["headers"]) else incoming)
            return
        if body is None:
            return
        begun = time.perf_counter()
        der = await self._authority.stamp_soon(body, unit)
        headers = self._watch.answered(scope, unit, der, time.perf_counter() - begun)
        await _answer(send, REPLY, der, headers=(*headers, *await self._receipt(scope, der)))

    async def _receipt(self, scope: Scope, der: bytes) -> tuple[tuple[bytes, bytes], ...]:
        """RFC 7240, RFC 8288: where the receipt is. The answer itself is that of RFC 3161, to the octet."""
        if self._index is None or not any(name == b"prefer" for name, _ in scope["headers"]):
            return ()
        if RECEIPT not in preferences(value.decode("latin-1") for name, value in scope["headers"] if name == b"prefer"):
            return ()
        try:
            index = await run_in_threadpool(self._index, der)
        except KakuinError:
            return ()  # a refusal; or a log that cannot be read just now, which is no reason to withhold a token that was recorded
        return ((b"link", link(scope["path"], index).encode()), (b"preference-applied", RECEIPT.encode()))

    async def _body(self, headers: Iterable[tuple[bytes, bytes]], incoming: "_Incoming") -> bytes | None:
        """The whole body, whatever its framing; None when the client has gone."""
        self._require_query(headers)
        message = await incoming.next()
        body: bytes = message.get("body", b"")
        if message["type"] == "http.request" and incoming.ended:
            if len(body) > self._limit:
                raise self._too_large
            return body
        pieces, size = [body], len(body)
        while not incoming.ended:
            if size > self._limit:
                raise self._too_large
            message = await incoming.next()
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
        if message["type"] != "http.request":
            return None
        if size > self._limit:
            raise self._too_large
        return b"".join(pieces)

    def _require_query(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """RFC 9110 section 8.3.1: type and subtype in any case, parameters of no meaning here. One Content-Type, no coding."""
        kinds = 0
        for name, value in headers:
            if name == b"content-type":
                kinds += 1
                if value != QUERY and value.split(b";", 1)[0].strip().lower() != QUERY:
                    raise UnsupportedMedia(f"content-type {QUERY.decode()} expected", QUERY.decode())
            elif name == b"content-length":
                if int(value) > self._limit:
                    raise self._too_large
            elif name == b"content-encoding" and value.strip().lower() not in (b"identity", b""):
                raise Coded("no content-encoding is read here")
        if kinds != 1:
            raise UnsupportedMedia(f"one content-type {QUERY.decode()} expected, got {kinds}", QUERY.decode())

    @property
    def _too_large(self) -> TooLarge:
        return TooLarge(f"a time-stamp request is at most {self._limit} bytes")


def description(path: str = "/tsa") -> APIRouter:
    """The endpoint as `/openapi.json` tells it. `front` answers before the application is asked, so these routes answer nothing."""
    binary, text = {"type": "string", "format": "binary"}, {"type": "string"}
    problems: dict[int | str, dict[str, Any]] = {status: {"description": what, "content": {PROBLEM: {}}} for status, what in _PROBLEMS.items()}
    router = APIRouter(tags=["Time-stamps"])

    @router.post(
        path,
        summary="Time-stamp a digest (RFC 3161)",
        description="A TimeStampReq for a TimeStampResp, both DER (RFC 3161 section 3.4). A refusal is an answer too: HTTP 200, and its "
        "PKIFailureInfo says why. Every token is in the journal before it is answered. No key is asked for. With `Prefer: receipt` (RFC 7240) the "
        "answer has a Link to its receipt in the log, which may be asked for at once.",
        operation_id="post_time_stamp",
        response_class=Response,
        responses={200: {"description": "A TimeStampResp, refusals included.", "content": {REPLY.decode(): {"schema": binary}}}, **problems},
        openapi_extra={"requestBody": {"required": True, "content": {QUERY.decode(): {"schema": binary}}}},
    )
    def _stamp() -> None:
        raise NotFound("nothing is served at this address")

    router.add_api_route(
        f"{path}/{{unit}}",
        _stamp,
        methods=["POST"],
        summary="Time-stamp a digest with one unit of several (RFC 3161)",
        description="The same; `unit` is a name that `kakuin tsa list` prints. Without it a unit that offers the requested policy answers.",
        operation_id="post_unit_time_stamp",
        response_class=Response,
        responses={200: {"description": "A TimeStampResp, refusals included.", "content": {REPLY.decode(): {"schema": binary}}}, **problems},
        openapi_extra={
            "requestBody": {"required": True, "content": {QUERY.decode(): {"schema": binary}}},
            "parameters": [{"name": "unit", "in": "path", "required": True, "schema": text}],
        },
    )

    @router.get(
        f"{path}/certificates",
        summary="The certificates of the time-stamping unit",
        description="That of the unit in service, then its issuers' without the root.",
        operation_id="get_time_stamp_certificates",
        response_class=Response,
        responses={200: {"description": "Certificates, PEM.", "content": {PEM.decode(): {"schema": text}}}},
    )
    def _certificates() -> None:
        raise NotFound("nothing is served at this address")

    return router


class Front:
    """The endpoint's addresses first, everything else to the application; `OPTIONS *` asks for neither (RFC 9110 section 9.3.7)."""

    def __init__(self, endpoint: Endpoint, application: Application) -> None:
        self._endpoint = endpoint
        self._application = application
        self.direct = endpoint.direct

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._endpoint.serves(scope["path"]):
            await self._endpoint(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] == "*" and scope["method"] == "OPTIONS":
            await _other_method(send, "OPTIONS", b"DELETE, GET, HEAD, OPTIONS, POST, PUT", "")
        else:
            await self._application(scope, receive, send)


def front(endpoint: Endpoint, application: Application) -> Front:
    """Both as one application."""
    return Front(endpoint, application)


def _said(error: KakuinError) -> tuple[tuple[bytes, bytes], ...]:
    """Fields of the error's own."""
    return tuple((name.lower().encode(), value.encode()) for name, value in error.headers.items()) if isinstance(error, UnsupportedMedia) else ()


def _waits(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """RFC 9110 section 10.1.1: a client that sends nothing before it is asked to."""
    return any(name == b"expect" for name, _ in headers)


class _Incoming:
    """The messages of a request's body, and whether the last of them has come."""

    __slots__ = ("_receive", "ended")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.ended = False

    async def next(self) -> Message:
        message = await self._receive()
        self.ended = message["type"] != "http.request" or not message.get("more_body", False)
        return message


async def _drain(incoming: _Incoming) -> None:
    """Throw away what a refused client is still sending: one that is cut off while it sends never reads why."""
    thrown = 0
    with contextlib.suppress(TimeoutError):
        while not incoming.ended and thrown < DRAINED:
            message = await asyncio.wait_for(incoming.next(), PATIENCE)
            thrown += len(message.get("body", b""))


async def _other(scope: Scope, receive: Receive, send: Send) -> None:
    """On its own, the endpoint has nothing to start or stop, and no websocket."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1002})
        return
    while scope["type"] == "lifespan":
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _other_method(send: Send, method: str, allowed: bytes, why: str) -> None:
    """RFC 9110 sections 9.3.7 and 15.5.6: OPTIONS is told which methods there are, and so is one that is not among them."""
    if method == "OPTIONS":
        await send({"type": "http.response.start", "status": 204, "headers": [(b"allow", allowed)]})
        await send({"type": "http.response.body", "body": b""})
        return
    await _problem(send, _MethodNotAllowed(why), ((b"allow", allowed),))


async def _problem(send: Send, error: KakuinError, headers: tuple[tuple[bytes, bytes], ...] = (), incoming: "_Incoming | None" = None) -> None:
    """RFC 9457. With `incoming`, what the client still sends is thrown away once the answer is on its way."""
    _LOG.info("refused with HTTP %d: %s", error.status, error)
    document = {"type": f"urn:kakuin:problem:{error.slug}", "title": error.title, "status": error.status, "detail": str(error)}
    body = json.dumps(document).encode()
    headers = ((b"cache-control", b"no-store"), *headers)  # some of them may be kept otherwise (RFC 9110 section 15.1)
    if incoming is None:
        await _answer(send, PROBLEM.encode(), body, status=error.status, headers=headers)
        return
    await _start(send, PROBLEM.encode(), body, error.status, headers)
    await send({"type": "http.response.body", "body": body, "more_body": True})
    await _drain(incoming)
    await send({"type": "http.response.body", "body": b""})


async def _answer(send: Send, media_type: bytes, body: bytes, *, status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
    await _start(send, media_type, body, status, headers)
    await send({"type": "http.response.body", "body": body})


async def _known(scope: Scope, send: Send, media_type: bytes, body: bytes) -> None:
    """RFC 9110 section 13, RFC 9111 section 5.2.2.4: what may be kept, and is asked for by its digest each time: a rollover counts at once."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    fields = ((b"etag", tag.encode()), (b"cache-control", b"no-cache"))
    try:
        known = is_known(conditions(scope["headers"]), tag)
    except PreconditionFailed as error:
        await _problem(send, error)
        return
    if known:
        await send({"type": "http.response.start", "status": 304, "headers": fields})
        await send({"type": "http.response.body", "body": b""})
        return
    await _answer(send, media_type, body, headers=fields)


async def _start(send: Send, media_type: bytes, body: bytes, status: int, headers: tuple[tuple[bytes, bytes], ...]) -> None:
    start = [(b"content-type", media_type), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": start})
