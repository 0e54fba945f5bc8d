"""HTTP/1.1 on the wire, stricter than uvicorn's protocol over llhttp: what RFC 9110 and RFC 9112 ask of a server and those two leave open.

llhttp refuses what smuggles requests past a proxy (two lengths, a length beside chunks, bare line ends, folded lines, bad chunk sizes). It gets its
octets a line, a head or a body at a time, so that the first line of each request is judged before it (`trust.edge.request_line`). Here is the rest:
Host, transfer codings that are not known, sizes of a head, of trailers and of what stands around chunks, slow heads, upgrades that are not wanted,
expectations, and the order of answers when a connection breaks behind requests that are still being answered.

A client that asks the same thing again and again sends the same head again, octet for octet. Where the application takes whole bodies (`direct`), a
head that this connection has seen pass every rule is recognised by comparison, and neither it nor its answer goes through the parser and ASGI again.
"""

import gc
import json
import re
from collections.abc import Callable, MutableMapping
from http import HTTPStatus
from typing import Any, NamedTuple

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from trust.edge.request_line import HOST, MAX_TARGET, Refusal, judged, unfinished
from trust.errors import Malformed

MAX_HEAD = 32_768
"""Octets of a head: target, names and values."""
MAX_AROUND = 8
"""Octets that may stand around each octet of data in chunks, beside as many as in a head: sizes, extensions, trailers. A chunk of one has five."""
MAX_FIELDS = 100
"""Header fields."""
HEAD_SECONDS = 20.0
"""For a head, from the connection or its first octet to its empty line; at most twice that."""

LINGER_SECONDS = 1.0
"""For what a client still sends after a refusal."""

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

_HOST = re.compile(HOST)
_UPGRADE = re.compile(rb"(?i)(?<![^\n])upgrade:")
_IGNORED = b"ignored:"
_LARGE = (HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"a request has at most {MAX_FIELDS} header fields, and {MAX_HEAD} bytes of them")
_AROUND = (HTTPStatus.BAD_REQUEST, "there is more around the chunks of the body than in them (RFC 9112 section 7.1.1)")
_LINE_END = b"\r\n"
_EMPTY = re.compile(rb"(?:\r\n)+")
_TABS = re.compile(rb"\t(?=\r\n)")
"""RFC 9112 section 5.1: what stands after a value is not of it. llhttp lets no tab stand behind a transfer coding."""
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
        self._line: bytes | None = b""
        """What has come of a request's first line; None behind it."""
        self._bare = False
        """The newest request is HEAD: whatever is answered has no body (RFC 9110 section 9.3.2)."""
        self._begun_line = b""
        """What has come of a later line of the head."""
        self._seen = b""
        """The last octets of chunks, where their end is looked for."""
        self._fed = 0
        """Octets of the newest head."""
        self._rest: int | None = None
        """Octets of the body that are still to come; None in a head, and for chunks."""
        self._around = 0
        """Octets of chunks beside their data; below zero while there is more data than these."""
        self._since = self.loop.time()
        """When the head began that has not ended; for a new connection, when it was made. In the loop's seconds."""
        self._watch: Any = None
        """Looks at that now and then: a timer for each request would cost more than its head."""
        self._host = b""
        """The last Host that was one."""
        self._refusal: tuple[int, str] | None = None
        """Of this connection; nothing is read after it."""
        self._asked_last = False
        """The newest request is the last one of this connection; nothing is read after it either."""
        self._begun = 0
        """Heads that have begun."""
        self._waiting = False
        """The refusal stands behind answers that are not given yet."""
        self._current: Any = None
        """The cycle that is being answered, or was last."""
        self._direct: Callable[[Any], Take | None] | None = getattr(self.config.app, "direct", None)
        self._known: dict[bytes, _Known] = {}
        self._answering = False
        """A request with a known head is being answered."""
        self._held = b""
        """What came behind it."""
        self._ended = False
        """And nothing more will."""
        self._silent = False
        """The client has said that it sends no more."""
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
        if self._current is not None and self._current is not self.cycle:  # uvicorn tells the newest one
            self._current.disconnected = True
            self._current.message_event.set()
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
        begins, first = self._between, self._begun + 1
        self._unset_keepalive_if_required()
        rest = data
        try:
            while rest and not self._is_over():
                rest = self._read(rest)
        except httptools.HttpParserUpgrade:
            self._say((HTTPStatus.BAD_REQUEST, "no upgrade is made here"))
        except httptools.HttpParserError:
            self._say((HTTPStatus.BAD_REQUEST, "this is not HTTP/1.1"))
        if self._refusal is not None:
            self.send_400_response("")
        elif begins and self._between and self._direct is not None and self._begun == first:
            self._remember(data)

    def _read(self, data: bytes) -> bytes:
        """Of what came, no more than ends one line, one head or one body; what is left. So each message begins at its own first octet."""
        if self._line is not None:
            return self._read_line(data)
        if self._rest is not None:
            piece, rest = data[: self._rest], data[self._rest :]
            self._rest -= len(piece)
            self.parser.feed_data(piece)
            return rest
        if self._in_head():
            return self._read_head(data)
        size = self._end_in(data)
        self._around += size
        self.parser.feed_data(data[:size])
        if self._around > MAX_HEAD:
            self._say(_AROUND)
        return data[size:]

    def _read_line(self, data: bytes) -> bytes:
        """The first line, and with it the whole lines that are there of its head."""
        if self._line:
            data = self._line + data
        if data.startswith(_LINE_END):  # RFC 9112 section 2.2: empty lines before it
            data = _EMPTY.sub(b"", data, 1)
            self._between, self._line = True, b""
        if not data:
            self._wait()
            return b""
        if self._between:
            self._between, self._since, self._rest, self._around = False, self.loop.time(), None, 0
        end = data.find(b"\n")
        self._bare = data.startswith(b"HEAD ")
        line = judged(data[: end - 1]) if end > 0 and data[end - 1] == 0x0D else unfinished(data)
        if line is None:
            self._line, self._fed = data, len(data)
            return b""
        if isinstance(line, Refusal):
            self._say(line)
            return b""
        stop = data.find(_END, end - 1)
        self._line, self._begun_line, self._seen, self._fed = None, b"", b"", 0
        size = data.rfind(b"\n") + 1 if stop < 0 else stop + len(_END)
        self._feed(line + data[end - 1 : size], size)
        return data[size:]

    def _read_head(self, data: bytes) -> bytes:
        """Whole lines, up to its end; what is there of the last one waits for the rest: `_feed` looks at lines."""
        data = self._begun_line + data
        if data.startswith(_LINE_END):
            size = len(_LINE_END)
        else:
            stop = data.find(_END)
            size = data.rfind(b"\n") + 1 if stop < 0 else stop + len(_END)
        if size:
            self._begun_line = b""
            self._feed(data[:size], size)
            return data[size:]
        self._begun_line = data
        if self._fed + len(data) > MAX_HEAD + MAX_TARGET:
            self._say(_LARGE)
        return b""

    def _wait(self) -> None:
        """Nothing has come that counts: an idle connection is closed in its time."""
        newest: Any = self.cycle
        if newest is not None and newest.response_complete and self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def _end_in(self, data: bytes) -> int:
        """How much of it may end a body in chunks; all of it, where nothing does."""
        before = len(self._seen)
        seen = self._seen + data
        end = seen.find(_END)
        self._seen = seen[-3:] if end < 0 else b""
        return len(data) if end < 0 else end + len(_END) - before

    def _feed(self, lines: bytes, size: int) -> None:
        """Whole lines of a head to the parser, which would stumble over some that are lawful. `size`: of them, as they came."""
        self._fed += size
        if b"\t\r\n" in lines:
            lines = _TABS.sub(b" ", lines)
        self.parser.feed_data(_without_upgrade(lines) if b"pgrade" in lines or b"PGRADE" in lines else lines)
        if self._fed > MAX_HEAD + MAX_TARGET and self._in_head():
            self._say(_LARGE)

    # Known heads.

    def _remember(self, data: bytes) -> None:
        """`data` was one whole request. Its head is remembered if nothing in it concerns this one request or the connection."""
        scope, newest = self.scope, self.cycle
        end = data.find(_END) + len(_END)
        if self._direct is None or scope["method"] != "POST" or len(self._known) >= MAX_KNOWN or end > MAX_KNOWN_HEAD:
            return
        lengths = [value for name, value in scope["headers"] if name == b"content-length"]
        plain = all(name in _WITHOUT_EFFECT for name, _ in scope["headers"])
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
        return self._refusal is not None or self._asked_last

    def _say(self, refusal: tuple[int, str]) -> None:
        """The first one counts: a refusal of ours is what made the parser fail."""
        if self._refusal is None:
            self._refusal = refusal

    def eof_received(self) -> bool | None:  # type: ignore[override]  # asyncio's own signature
        """RFC 9112 section 9.6: who has asked, and sends no more, still gets the answer; who has not asked to the end is told so (section 8)."""
        newest: Any = self.cycle
        self._silent = True
        if self._refusal is not None:
            return True if self._waiting else None
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
        return not self._between and (self._line is not None or "path" not in scope)

    def on_message_begin(self) -> None:
        self._begun += 1
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._refusal = self._wrong()
        if self._refusal is not None:
            raise _Refused
        super().on_headers_complete()
        if not self.pipeline:
            self._current = self.cycle
        if self.parser.get_http_version() == "1.0":
            _without_chunks(self.cycle)
        # RFC 9110 section 6.5.1: trailers are no header fields. They are thrown away: what follows goes into a list that nobody reads.
        self.headers = []

    def on_body(self, body: bytes) -> None:
        self._around -= (1 + MAX_AROUND) * len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._around > MAX_HEAD:
            self._say(_AROUND)
            raise _Refused
        self._between, self._line = True, b""
        self._asked_last = not self.cycle.keep_alive  # RFC 9112 section 9.6: what follows is no request
        super().on_message_complete()

    def _wrong(self) -> tuple[int, str] | None:
        """What the head has against it: status and words."""
        if len(self.headers) > MAX_FIELDS or (self._fed > MAX_HEAD and sum(len(n) + len(v) for n, v in self.headers) > MAX_HEAD):
            return _LARGE
        version = self.parser.get_http_version()
        hosts = 0
        self._rest = 0
        for name, value in self.headers:
            if name == b"host":
                hosts += 1
                if value != self._host and not _HOST.fullmatch(value.strip(b" \t")):
                    return HTTPStatus.BAD_REQUEST, "the Host field is not a host and a port (RFC 9112 section 3.2)"
                self._host = value
            elif name == b"transfer-encoding":
                if version == "1.0":
                    return HTTPStatus.BAD_REQUEST, "HTTP/1.0 has no Transfer-Encoding (RFC 9112 section 6.1)"
                self._rest = None
                *others, last = (coding.strip().lower() for coding in value.split(b","))
                if last != b"chunked":
                    return HTTPStatus.BAD_REQUEST, "chunked is the last transfer coding of a request (RFC 9112 section 6.3)"
                if others:
                    return HTTPStatus.NOT_IMPLEMENTED, "chunked is the only transfer coding here"
            elif name == b"content-length":
                self._rest = int(value)
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
        begins = bool(self.pipeline)  # the next one that waits, now
        if begins:
            self._current = self.pipeline[-1][0]
        super().on_response_complete()
        if self._waiting and not begins and not self.transport.is_closing() and self.cycle.response_complete:
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
        self.transport.write(b"".join(lines) if self._bare else b"".join((*lines, body)))
        self._part()

    def _part(self) -> None:
        """RFC 9112 section 9.6: the end, in stages. Who still sends when a connection is closed has it reset, and never reads why."""
        try:
            in_stages = not self._silent and self.transport.can_write_eof()
        except NotImplementedError:  # what asyncio.WriteTransport answers for a transport that does not say
            in_stages = False
        if not in_stages:
            self.transport.close()
            return
        self.transport.write_eof()
        self.flow.resume_reading()  # it is thrown away
        self.loop.call_later(LINGER_SECONDS, self.transport.close)


def _without_chunks(cycle: Any) -> None:
    """RFC 9112 section 6.1: HTTP/1.0 knows no transfer codings. An answer whose length is not told ends with its connection (section 6.3)."""
    send, measured = cycle.send, True

    async def sending(message: MutableMapping[str, Any]) -> None:
        nonlocal measured
        if message["type"] == "http.response.start":
            measured = any(name.lower() == b"content-length" for name, _ in message.get("headers", ()))
            if not measured:
                cycle.chunked_encoding = False
        elif not measured:
            cycle.expected_content_length += len(message.get("body", b""))
        await send(message)

    cycle.send = sending


def _without_upgrade(lines: bytes) -> bytes:
    """RFC 9110 section 7.8: an upgrade may be ignored. llhttp would take the body for another protocol's, so the field gets another name.

    Java's HttpClient asks for h2c with each first request, bodies included.
    """
    return _UPGRADE.sub(_IGNORED, lines)
