"""The gate in front of everything: who asks, whether it is too much, and the addresses for those who operate the service.

Bare ASGI, and for time-stamps a call that only looks: it costs less than the proxy middleware whose place it takes. What is over a client's limit is
answered here and reaches nothing: as a problem with 429, and a time-stamp request in its own protocol (`over`), because clients of RFC 3161 read
HTTP errors as a broken server, and every refusal of this authority is a TimeStampResp.
"""

import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from trust.edge.operations import metrics
from trust.edge.operations.clients import FORWARDED, Client, Clients
from trust.edge.operations.limits import Buckets, Rate, Shelf
from trust.edge.operations.tally import Tally
from trust.edge.operations.watch import Watch
from trust.edge.strict_http import Take
from trust.edge.web import PROBLEM, PROBLEM_TYPE, REQUEST_ID, accepted_id
from trust.errors import TooMany

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = tuple[tuple[bytes, bytes], ...]

TSA, OPERATIONS, REST = "tsa", "operations", "rest"
ROUTES: Mapping[str, str] = {
    "/v1/batches": "batches",
    "/v1/seals": "seals",
    "/v1/extensions": "seals",
    "/v1/verifications": "verifications",
    "/log/": "log",
    "/v1/log/": "log",
    "/pki/": "pki",
    "/health": OPERATIONS,
    "/metrics": OPERATIONS,
}
"""How a path begins, and its class; the authority's paths are `TSA`, whatever is left is `REST`."""
CLASSES = (TSA, *dict.fromkeys(ROUTES.values()), REST)

BEHIND_KEYS = frozenset({"seals"})
"""Their clients are API keys, which are counted where they are recognised; an address is counted for keys that are not."""

MADE: Mapping[str, str] = {"/v1/seals": metrics.SEALS, "/v1/extensions": metrics.EXTENSIONS}
"""Their answers say in their heads what was made."""

HEALTH, LIVE, READY, SCHEMA, METRICS = "/health", "/health/live", "/health/ready", "/health/schema", "/metrics"

_LOG = logging.getLogger("kakuin.operations")
_NO_STORE = (b"cache-control", b"no-store")


@dataclass(frozen=True, slots=True)
class Over:
    """What a time-stamp request over the limit is answered with."""

    body: bytes
    media_type: bytes


class Gate:
    """For one event loop."""

    def __init__(
        self,
        application: Application,
        *,
        clients: Clients,
        limits: Mapping[str, Rate],
        remembered: int,
        stamping: Callable[[str], bool],
        over: Over,
        watch: Watch,
        tally: Tally,
        schema: bytes,
        alive: Callable[[], bool] = lambda: True,
        shelf: Callable[[str], Shelf[str] | None] = lambda _: None,
    ) -> None:
        """`limits`: of each class that has one, for `remembered` clients at most. `stamping`: whether a path is the authority's. `alive`: whether
        the process can work at all. `shelf`: of a class, where several processes count together."""
        self._application = application
        self._clients = clients
        self._buckets: dict[str, Buckets[str]] = {name: Buckets(rate, time.monotonic, remembered, shelf(name)) for name, rate in limits.items()}
        self._stamping = stamping
        self._over = over
        self._watch = watch
        self._tally = tally
        self._schema = schema
        self._alive = alive
        self._seconds = {name: tally.meter(metrics.HTTP_SECONDS, name) for name in CLASSES}
        self._told_of_proxy = False

    def direct(self, scope: Scope) -> Take | None:
        """trust.edge.strict_http: for clients of the authority that no proxy speaks for, each of whose requests counts against the limit here too."""
        inner: Callable[[Scope], Take | None] | None = getattr(self._application, "direct", None)
        peer = scope["client"]
        client = self._clients.of(peer[0] if peer else "")
        if inner is None or client.proxy or not self._stamping(scope["path"]):
            return None
        take, bucket = inner(scope), self._buckets.get(TSA)
        if take is None or bucket is None or not client.limited:
            return take
        within, counted = take, bucket
        return lambda body, answer: counted.take(client.key) and within(body, answer)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return self._application(scope, receive, send)
        path = scope["path"]
        peer = scope["client"]
        client = self._clients.of(peer[0] if peer else "")
        behind = False
        if client.proxy:
            client = self._clients.asking(client.address, scope["headers"])
            scope["client"] = (client.address, 0)
            behind = not client.proxy
        if self._stamping(path):
            bucket = self._buckets.get(TSA)
            if scope["method"] == "POST":
                if bucket is None or not client.limited or bucket.take(client.key):
                    return self._application(scope, receive, send)
                return self._refuse_stamp(scope, send, bucket, client)
            return self._counted(scope, receive, send, TSA)
        name = next((name for start, name in ROUTES.items() if path.startswith(start)), REST)
        if name == OPERATIONS:
            # A proxy that is not trusted speaks for somebody else, wherever it stands.
            operator = client.operator and (behind or not any(name in FORWARDED for name, _ in scope["headers"]))
            return self._operations(scope, receive, send, operator=operator)
        if not behind:
            self._notice_proxy(scope, client)
        return self._limited(scope, receive, send, name, client)

    # Limits.

    async def _limited(self, scope: Scope, receive: Receive, send: Send, name: str, client: Client) -> None:
        bucket = self._buckets.get(name)
        if bucket is None or not client.limited:
            await self._passing(scope, receive, send, name)
        elif name in BEHIND_KEYS:
            if bucket.left(client.key).wait > 0:
                await self._refuse(scope, send, name, bucket, client)
            elif await self._passing(scope, receive, send, name) == 401:
                bucket.take(client.key)
        elif bucket.take(client.key):
            await self._passing(scope, receive, send, name, bucket.left(client.key).headers)
        else:
            await self._refuse(scope, send, name, bucket, client)

    async def _counted(self, scope: Scope, receive: Receive, send: Send, name: str) -> None:
        number = accepted_id(scope["headers"])
        await self._passing(scope, receive, send, name, ((REQUEST_ID.lower().encode(), number.encode()),))

    async def _passing(self, scope: Scope, receive: Receive, send: Send, name: str, more: Headers = ()) -> int:
        """To the application; its status, which is counted."""
        status = 500
        made = next((series for start, series in MADE.items() if scope["path"].startswith(start)), None) if scope["method"] == "POST" else None
        begun = time.perf_counter()

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if made is not None:
                    self._count_made(made, status, message.get("headers", ()))
                if more:
                    message = {**message, "headers": [*message.get("headers", ()), *more]}
            await send(message)

        try:
            await self._application(scope, receive, sending)
        finally:
            self._tally.count(metrics.HTTP, name, str(status))
            self._seconds[name](time.perf_counter() - begun)
        return status

    def _count_made(self, series: str, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        said = {name.lower(): value.decode("latin-1") for name, value in headers}
        outcome = "done" if status < 400 else "refused" if status < 500 else "failed"
        self._tally.count(series, said.get(b"kakuin-format", ""), said.get(b"kakuin-level", ""), outcome)

    async def _refuse(self, scope: Scope, send: Send, name: str, bucket: Buckets[str], client: Client) -> None:
        """RFC 9457, RFC 6585 section 4."""
        left, number = bucket.left(client.key), accepted_id(scope["headers"])
        self._tally.count(metrics.LIMITED, name)
        self._tally.count(metrics.HTTP, name, "429")
        problem = {
            "type": PROBLEM_TYPE + TooMany.slug,
            "title": TooMany.title,
            "status": TooMany.status,
            "detail": f"more requests than one client may make: the next one in {left.seconds} s",
            "request_id": number,
        }
        headers = (*left.headers, (REQUEST_ID.lower().encode(), number.encode()), _NO_STORE, (b"connection", b"close"))
        await _answer(send, TooMany.status, PROBLEM.encode(), json.dumps(problem).encode(), headers)

    async def _refuse_stamp(self, scope: Scope, send: Send, bucket: Buckets[str], client: Client) -> None:
        left, number = bucket.left(client.key), accepted_id(scope["headers"])
        self._tally.count(metrics.LIMITED, TSA)
        headers = (*left.headers, (b"retry-after", b"%d" % left.seconds), (REQUEST_ID.lower().encode(), number.encode()), _NO_STORE)
        await _answer(send, 200, self._over.media_type, self._over.body, tuple(dict(headers).items()))

    def _notice_proxy(self, scope: Scope, client: Client) -> None:
        """All who come through a proxy that is not trusted are one client: somebody should know."""
        if not self._told_of_proxy and any(name == b"x-forwarded-for" for name, _ in scope["headers"]):
            self._told_of_proxy = True
            _LOG.warning("x-forwarded-for is not believed: who sends it is not among service.trusted_proxies", extra={"client": client.address})

    # For operators.

    async def _operations(self, scope: Scope, receive: Receive, send: Send, *, operator: bool) -> None:
        path, method = scope["path"], scope["method"]
        if path not in (HEALTH, LIVE, READY, SCHEMA, METRICS):
            await self._passing(scope, receive, send, REST)
            return
        if method not in ("GET", "HEAD"):
            status, body = 405, _problem("method-not-allowed", "Method not allowed", 405, "this is read with GET")
            await self._told(send, status, PROBLEM, body, ((b"allow", b"GET, HEAD"),))
            return
        try:
            await self._told_of(path, scope, send, operator=operator)
        except Exception:  # noqa: BLE001  # who watches is told in any case
            _LOG.exception("how the service does cannot be told")
            await self._told(send, 503, "application/json", _status("fail"))

    async def _told_of(self, path: str, scope: Scope, send: Send, *, operator: bool) -> None:
        if path == LIVE:
            alive = self._alive()
            await self._told(send, 200 if alive else 503, "application/json", _status("pass" if alive else "fail"))
        elif path == SCHEMA:
            await self._told(send, 200, "application/schema+json", self._schema)
        elif path == METRICS:
            await self._metrics(scope, send, operator=operator)
        else:
            health = await self._watch.health()
            details = operator and path == HEALTH
            body = json.dumps(health.document, ensure_ascii=False).encode() if details else _status("pass" if health.ready else "fail")
            await self._told(send, 200 if health.ready else 503, "application/json", body)

    async def _metrics(self, scope: Scope, send: Send, *, operator: bool) -> None:
        if not operator:
            detail = "metrics are for the networks of operations.networks"
            await self._told(send, 403, PROBLEM, _problem("forbidden", "Not permitted", 403, detail))
            return
        accept = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"accept"), "")
        body, media_type = metrics.written(self._tally, await self._watch.health(), accept)
        await self._told(send, 200, media_type, body)

    async def _told(self, send: Send, status: int, media_type: str, body: bytes, more: Headers = ()) -> None:
        self._tally.count(metrics.HTTP, OPERATIONS, str(status))
        await _answer(send, status, media_type.encode(), body, (_NO_STORE, (b"x-content-type-options", b"nosniff"), *more))


def _status(word: str) -> bytes:
    return b'{"status":"%s"}' % word.encode()


def _problem(slug: str, title: str, status: int, detail: str) -> bytes:
    return json.dumps({"type": PROBLEM_TYPE + slug, "title": title, "status": status, "detail": detail}).encode()


async def _answer(send: Send, status: int, media_type: bytes, body: bytes, headers: Headers) -> None:
    start = [(b"content-type", media_type), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body})
