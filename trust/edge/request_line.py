"""The first line of a request (RFC 9112 section 3), judged octet by octet before llhttp sees it, and told to it in one form.

llhttp lets through what is no HTTP (`POST /x RTSP/1.0`, two spaces, octets that no URI has) and refuses what is (minor versions to come). Here each
line is one of the grammar or is refused, and what is passed on is always `METHOD /path?query HTTP/1.x`, or `OPTIONS * HTTP/1.x`.
"""

import functools
import re
from http import HTTPStatus
from typing import NamedTuple

MAX_TARGET = 8192
"""Octets of a request target (RFC 9112 section 3 asks for at least 8000)."""
METHODS = frozenset((b"DELETE", b"GET", b"HEAD", b"OPTIONS", b"PATCH", b"POST", b"PUT", b"TRACE"))
"""Known, whether or not an address answers them: 405 where it does not. CONNECT and others' methods are implemented nowhere here."""

_PLAIN = rb"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]++|%[0-9A-Fa-f]{2})*+"
_QUERY = rb"(?:\?(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]++|%[0-9A-Fa-f]{2})*+)?"
HOST = rb"(?:\[(?:[0-9A-Fa-f:.]+|[vV][0-9A-Fa-f]+\.[A-Za-z0-9._~!$&'()*+,;=:-]+)\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::[0-9]{0,5})?"
"""`host [":" port]`, RFC 3986 section 3.2.2."""

_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([^\x00-\x20\x7f-\xff]+) HTTP/([0-9])\.([0-9])")
_ORIGIN = re.compile(rb"/" + _PLAIN + _QUERY)
_ABSOLUTE = re.compile(rb"(?i:https?)://(?!/|$|:|\?)" + HOST + rb"((?:/" + _PLAIN + rb")?)(" + _QUERY + rb")")
_START = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]*)(?: ([^\x00-\x20\x7f-\xff]*)[\x20-\x7e]{0,16})?")


class Refusal(NamedTuple):
    """A status, and words for it."""

    status: int
    why: str


_NO_LINE = Refusal(HTTPStatus.BAD_REQUEST, "this is not HTTP/1.1")
_NO_METHOD = Refusal(HTTPStatus.NOT_IMPLEMENTED, "the method is not implemented here")
_LONG = Refusal(HTTPStatus.REQUEST_URI_TOO_LONG, f"a request target has at most {MAX_TARGET} bytes")


@functools.lru_cache(maxsize=64)
def judged(line: bytes) -> bytes | Refusal:
    """The line for the parser, without its end; or what it has against it. `line`: what came before CRLF."""
    found = _LINE.fullmatch(line)
    if found is None:
        return _NO_LINE
    method, target, major, minor = found.groups()
    if major != b"1":
        # RFC 9110 section 15.6.6. Version 0.9 has no number on the wire.
        return Refusal(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "HTTP/1.1 is spoken here")
    if method not in METHODS:
        # RFC 9110 section 9.1
        return _NO_METHOD
    if len(target) > MAX_TARGET:
        return _LONG
    asked = _asked(method, target)
    if isinstance(asked, Refusal):
        return asked
    # RFC 9110 section 2.5: a higher minor version is taken for the highest that is known.
    return b"%b %b HTTP/1.%d" % (method, asked, minor != b"0")


def _asked(method: bytes, target: bytes) -> bytes | Refusal:
    """RFC 9112 section 3.2: the target in origin form, or `*`."""
    if _ORIGIN.fullmatch(target):
        return target
    if target == b"*":
        return target if method == b"OPTIONS" else Refusal(HTTPStatus.BAD_REQUEST, "the target * is for OPTIONS alone (RFC 9112 section 3.2.4)")
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is not None:
        path, query = absolute.groups()
        # Sections 3.2.2 and 3.2.4: its host counts, and not the field; without a path it is the root, or the server as a whole.
        return path + query if path else b"*" if method == b"OPTIONS" and not query else b"/" + query
    return Refusal(HTTPStatus.BAD_REQUEST, "the request target is no path and no http address (RFC 9112 section 3.2)")


def unfinished(start: bytes) -> Refusal | None:
    """What is against a line whose end has not come yet; None: it may still become one."""
    found = _START.fullmatch(start[:-1] if start.endswith(b"\r") else start)
    method, target = (b"", b"") if found is None else found.groups()
    if not method and target is not None:
        return _NO_LINE
    if len(target or b"") > MAX_TARGET:
        return _LONG if method in METHODS else _NO_METHOD
    return _NO_METHOD if len(method) > MAX_TARGET else None
