"""HTTP/1.1 on the wire, stricter than uvicorn's protocol over llhttp: what RFC 9110 and RFC 9112 ask of a server and those two leave open.

llhttp refuses what smuggles requests past a proxy (two lengths, a length beside chunks, bare line ends, folded lines, bad chunk sizes). Here is
the rest: Host, versions, transfer codings that are not known, sizes of a head, slow heads, upgrades that are not wanted, expectations, and the
order of answers when a connection breaks behind requests that are still being answered.
"""

import json
import re
from http import HTTPStatus
from typing import Any

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

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::[0-9]{0,5})?")
_UPGRADE = re.compile(rb"(?i)\r\nupgrade[ \t]*:")
_IGNORED = b"\r\nignored:"
_END = b"\r\n\r\n"


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
        if self._between:
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
