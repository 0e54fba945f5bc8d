"""HTTP/1.1 on the wire, stricter than uvicorn's protocol over llhttp: what RFC 9110 and RFC 9112 ask of a server and those two leave open.

llhttp refuses what smuggles requests past a proxy (two lengths, a length beside chunks, bare line ends, folded lines, bad chunk sizes). Here is
the rest: Host, versions, transfer codings that are not known, sizes of a head, slow heads, upgrades that are not wanted, expectations, and the
order of answers when a connection breaks behind requests that are still being answered.

A client that asks the same thing again and again sends the same head again, octet for octet. Where the application takes whole bodies (`direct`), a
head that this connection has seen pass every rule is recognised by comparison, and neither it nor its answer goes through the parser and ASGI again.
"""

import gc
import json
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, NamedTuple

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from trust.errors import Malformed

MAX_TARGET = 8192
"""Octets of a request target (RFC 9112 section 3 asks for at least 8000)."""
MAX_HEAD = 32_768
"""Octets of a head: target, names and values."""
MAX_FIELDS = 100
"""Header fields."""
HEAD_SECONDS = 20.0
"""For a head, from the connection or its first octet to its empty line; at most twice that."""

MAX_KNOWN = 4
"""Heads that a connection remembers: of one client they differ in Content-Length by an octet or two."""
MAX_KNOWN_HEAD = 1024
"""Octets of a head that is remembered."""
_WITHOUT_EFFECT = frozenset((b"host", b"user-agent", b"accept", b"accept-encoding", b"accept-language", b"content-type", b"content-length"))
"""Fields of a head that may be remembered: none that says something of this one request, of a proxy, or of the connection."""

Answer = Callable[[bytes, bytes], None]
"""Sends 200 with these fields (whole lines) and this body. Called once, on the event loop."""
Take = Callable[[bytes, Answer], bool]
"""What an application's `direct` gives for the scope of a POST that passed: takes the body of another one with the same head, from the same
client, and answers it in its time. False, and nothing done: ask by ASGI."""

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::[0-9]{0,5})?")
_UPGRADE = re.compile(rb"(?i)\r\nupgrade[ \t]*:")
_IGNORED = b"\r\nignored:"
_END = b"\r\n\r\n"


def collect_seldom() -> None:
    """For a process that serves: Python looks for cycles of garbage after so many objects more, not after 700 (a tenth of the authority's time)."""
    gc.set_threshold(100_000, 50, 100)


class _Known(NamedTuple):
    """A head that was seen."""

    length: int
    """Its Content-Length."""
    take: Take


class _Refused(Exception):
    """Raised in a callback, to stop the parser."""


class StrictHttp(HttpToolsProtocol):
    """uvicorn's protocol, with a refusal for what follows none of the two standards."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._between = True
        """No head has begun: what comes next is one."""
        self._fed = 0
        """Octets since a head may have begun."""
        self._since = self.loop.time()
        """When the head began that has not ended; for a new connection, when it was made. In the loop's seconds."""
        self._watch: Any = None
        """Looks at that now and then: a timer for each request would cost more than its head."""
        self._host = b""
        """The last Host that was one."""
        self._refusal: tuple[int, str] | None = None
        """Of this connection; nothing is read after it."""
        self._begun = 0
        """Heads that have begun."""
        self._waiting = False
        """The refusal stands behind answers that are not given yet."""
        self._direct: Callable[[Any], Take | None] | None = getattr(self.config.app, "direct", None)
        self._known: dict[bytes, _Known] = {}
        self._answering = False
        """A request with a known head is being answered."""
        self._held = b""
        """What came behind it."""
        self._ended = False
        """And nothing more will."""
        self._last = False
        """The connection ends with that answer."""
        self._answered_at = 0.0
        """When the last such answer was given, in the loop's seconds."""
        self._dated: tuple[object, bytes] = (None, b"")
        """The server's own fields as it keeps them, and as the beginning of an answer."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._watch = self.loop.call_later(HEAD_SECONDS, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        """A connection whose head does not come is ended."""
        waits = self._begun == 0 or self._in_head()
        if waits and self.loop.time() - self._since >= HEAD_SECONDS and self._refusal is None:
            self._watch = None
            self._refusal = (HTTPStatus.REQUEST_TIMEOUT, f"the head of a request did not come within {HEAD_SECONDS:g} seconds")
            self.send_400_response("")
            return
        self._watch = self.loop.call_later(HEAD_SECONDS, self._look)

    def data_received(self, data: bytes) -> None:
        if self._is_over():
            return
        if self._answering:
            self._held += data
            self.flow.pause_reading()
            return
        if self._known and self._between and self._is_known(data):
            return
        begins = self._between
        if begins:
            self._fed = 0
            if b"pgrade" in data or b"PGRADE" in data:
                data = _without_upgrade(data)
        self._fed += len(data)
        first = self._begun + self._between
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._say((HTTPStatus.BAD_REQUEST, "no upgrade is made here"))
        except httptools.HttpParserInvalidMethodError:
            self._say(_unknown_method(data if self._begun <= first else b""))
        except httptools.HttpParserError:
            self._say(self._broken())
        if self._is_over() or self._fed > MAX_HEAD + MAX_TARGET:
            self._settle()
        elif begins and self._between and self._direct is not None and self._begun == first:
            self._remember(data)

    # Known heads.

    def _remember(self, data: bytes) -> None:
        """`data` was one whole request. Its head is remembered if nothing in it concerns this one request or the connection."""
        scope, newest = self.scope, self.cycle
        end = data.find(_END) + len(_END)
        if self._direct is None or scope["method"] != "POST" or len(self._known) >= MAX_KNOWN or end > MAX_KNOWN_HEAD:
            return
        lengths = [value for name, value in self.headers if name == b"content-length"]
        plain = all(name in _WITHOUT_EFFECT for name, _ in self.headers)
        if not plain or not newest.keep_alive or self.limit_concurrency is not None or lengths != [b"%d" % (len(data) - end)]:
            return
        take = self._direct(scope)
        if take is not None:
            self._known[data[:end]] = _Known(len(data) - end, take)

    def _is_known(self, data: bytes) -> bool:
        """One whole request with a head that was seen, when nothing else is being answered. The parser stands between two messages, and stays."""
        end = data.find(_END) + len(_END)
        known = self._known.get(data[:end])
        if known is None or len(data) - end != known.length or not self.cycle.response_complete or self.flow.write_paused:
            return False
        self._answering = True
        self._begun += 1
        if self.transport.is_closing() or not known.take(data[end:], self._answer):
            self._answering = False
            self._begun -= 1
            return False
        return True

    def _answer(self, fields: bytes, body: bytes) -> None:
        self._answering = False
        if self.transport.is_closing():
            return
        own, begin = self._dated
        if own is not self.server_state.default_headers:
            own = self.server_state.default_headers
            begin = STATUS_LINE[HTTPStatus.OK] + b"".join(b"%s: %s\r\n" % field for field in self.server_state.default_headers)
            self._dated = own, begin
        close = b"connection: close\r\n" if self._last else b""
        self.transport.write(b"%b%b%bcontent-length: %d\r\n\r\n%b" % (begin, fields, close, len(body), body))
        self.server_state.total_requests += 1
        self._answered_at = self.loop.time()
        if self._last:
            self.transport.close()
        elif self._held or self._ended:
            self._go_on()

    def _go_on(self) -> None:
        """With what came while a known request was answered."""
        data, self._held = self._held, b""
        self.flow.resume_reading()
        if data:
            self.data_received(data)
        if self._ended and not self._answering:
            self._ended = False
            if not self.eof_received():
                self.transport.close()

    def timeout_keep_alive_handler(self) -> None:
        """Answers to known heads do not set a timer each: it is looked at here whether there were any."""
        rest = self._answered_at + self.timeout_keep_alive - self.loop.time()
        if not self._answering and rest <= 0:
            super().timeout_keep_alive_handler()
        elif not self.transport.is_closing():
            rest = self.timeout_keep_alive if self._answering else rest
            self.timeout_keep_alive_task = self.loop.call_later(rest, self.timeout_keep_alive_handler)

    def shutdown(self) -> None:
        if self._answering:
            self._last = True
        else:
            super().shutdown()

    # Everything else.

    def _is_over(self) -> bool:
        return self._refusal is not None

    def _settle(self) -> None:
        """After a piece that may have been one too many."""
        if self._in_head():
            self._say((HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"the head of a request has at most {MAX_HEAD} bytes"))
        if self._refusal is not None:
            self.send_400_response("")

    def _say(self, refusal: tuple[int, str]) -> None:
        """The first one counts: a refusal of ours is what made the parser fail."""
        if self._refusal is None:
            self._refusal = refusal

    def eof_received(self) -> bool | None:  # type: ignore[override]  # asyncio's own signature
        """RFC 9112 section 9.6: who has asked, and sends no more, still gets the answer; who has not asked to the end is told so (section 8)."""
        newest: Any = self.cycle
        if self._refusal is not None:
            return True
        if self._answering:
            self._ended = True
            return True
        if not self._between:
            self._refusal = (HTTPStatus.BAD_REQUEST, "the request is incomplete")
            self.send_400_response("")
            return True
        if newest is not None and not newest.response_complete:
            newest.keep_alive = False
            return True
        return None

    def _in_head(self) -> bool:
        scope: Any = self.scope
        return not self._between and scope is not None and "path" not in scope

    def _broken(self) -> tuple[int, str]:
        if self._in_head() and self.parser.get_method() == b"CONNECT":
            return HTTPStatus.NOT_IMPLEMENTED, "no tunnel is made here"
        return HTTPStatus.BAD_REQUEST, "this is not HTTP/1.1"

    def on_message_begin(self) -> None:
        self._between = False
        self._begun += 1
        self._since = self.loop.time()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._refusal = self._wrong()
        if self._refusal is not None:
            raise _Refused
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._between = True
        super().on_message_complete()

    def _wrong(self) -> tuple[int, str] | None:
        """What the head has against it: status and words."""
        if len(self.url) > MAX_TARGET:
            return HTTPStatus.REQUEST_URI_TOO_LONG, f"a request target has at most {MAX_TARGET} bytes"
        if len(self.headers) > MAX_FIELDS or (self._fed > MAX_HEAD and sum(len(n) + len(v) for n, v in self.headers) > MAX_HEAD):
            return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"a request has at most {MAX_FIELDS} header fields, and {MAX_HEAD} bytes of them"
        if b"#" in self.url:
            return HTTPStatus.BAD_REQUEST, "a request target has no fragment (RFC 9112 section 3.2)"
        version = self.parser.get_http_version()
        if version not in ("1.1", "1.0"):
            return HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "HTTP/1.1 is spoken here"
        hosts = 0
        for name, value in self.headers:
            if name == b"host":
                hosts += 1
                if value != self._host and not _HOST.fullmatch(value):
                    return HTTPStatus.BAD_REQUEST, "the Host field is not a host and a port (RFC 9112 section 3.2)"
                self._host = value
            elif name == b"transfer-encoding":
                if version == "1.0":
                    return HTTPStatus.BAD_REQUEST, "HTTP/1.0 has no Transfer-Encoding (RFC 9112 section 6.1)"
                if value.strip().lower() != b"chunked":
                    return HTTPStatus.NOT_IMPLEMENTED, "chunked is the only transfer coding here"
            elif name == b"expect":
                if version == "1.0":
                    self.expect_100_continue = False  # RFC 9110 section 10.1.1: ignored
                elif value.strip().lower() != b"100-continue":
                    return HTTPStatus.EXPECTATION_FAILED, "100-continue is the only expectation here"
        if hosts > 1 or (hosts == 0 and version == "1.1"):
            return HTTPStatus.BAD_REQUEST, f"one Host field expected, got {hosts} (RFC 9112 section 3.2)"
        return None

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # uvicorn's words
        """RFC 9112 section 9.3.2: answers come in the order of their requests, so that this one waits for those before it.

        Where the body of the newest request is what broke, its answer is this one.
        """
        newest: Any = self.cycle
        if newest is not None and newest.response_started and newest.more_body:
            self.transport.close()  # it was answered before its body came
            return
        if newest is not None and newest.more_body:
            newest.disconnected = True
            newest.message_event.set()
            if self.pipeline and self.pipeline[0][0] is newest:
                self.pipeline.popleft()
                newest.response_complete = True  # by the refusal
                self._waiting = True
                return
        elif newest is not None and not newest.response_complete:
            newest.keep_alive = True  # the connection ends after the refusal
            self._waiting = True
            return
        self._refuse()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._waiting and not self.pipeline and not self.transport.is_closing() and self.cycle.response_complete:
            self._refuse()

    def _refuse(self) -> None:
        status, why = self._refusal or (HTTPStatus.BAD_REQUEST, "this is not HTTP/1.1")
        self._waiting = False
        self.logger.info("refused with HTTP %d: %s", status, why)
        phrase = HTTPStatus(status).phrase
        slug = Malformed.slug if status == HTTPStatus.BAD_REQUEST else phrase.lower().replace(" ", "-")
        problem = {"type": f"urn:kakuin:problem:{slug}", "title": phrase.capitalize(), "status": int(status), "detail": why}
        body = json.dumps(problem).encode()
        lines = [STATUS_LINE[status], *(b"%s: %s\r\n" % (name, value) for name, value in self.server_state.default_headers)]
        lines.append(b"content-type: application/problem+json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body))
        self.transport.write(b"".join((*lines, body)))
        self.transport.close()


def _without_upgrade(data: bytes) -> bytes:
    """RFC 9110 section 7.8: an upgrade may be ignored. llhttp would take the body for another protocol's, so the field gets another name.

    Java's HttpClient asks for h2c with each first request, bodies included. Only the head at the beginning of `data` is looked at.
    """
    end = data.find(_END)
    return data if end < 0 else _UPGRADE.sub(_IGNORED, data[: end + 2]) + data[end + 2 :]


def _unknown_method(data: bytes) -> tuple[int, str]:
    """RFC 9110 section 9.1: a method that is not known is not implemented; what is no method is no request."""
    first, space, _ = data.lstrip(b"\r\n")[:64].partition(b" ")
    if space and _TOKEN.fullmatch(first):
        return HTTPStatus.NOT_IMPLEMENTED, "the method is not known here"
    return HTTPStatus.BAD_REQUEST, "this is not HTTP/1.1"
