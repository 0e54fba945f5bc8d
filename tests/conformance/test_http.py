"""RFC 9110 and RFC 9112 against `kakuin serve` over a socket: octets in, and what comes back, clause by clause."""

import asyncio
import json
import re
import socket
import time
from dataclasses import dataclass
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from tests import tsu
from tests.office import Office
from trust.codecs import tsp
from trust.edge import strict_http
from trust.edge.request_line import MAX_TARGET
from trust.edge.strict_http import MAX_FIELDS, MAX_HEAD, StrictHttp
from trust.errors import TooLarge
from trust.model import Digest

pytestmark = pytest.mark.xdist_group("office")

QUERY = tsp.encode_request(tsu.DIGEST, nonce=5)
TYPE = b"Content-Type: application/timestamp-query\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(QUERY)
HOST = b"Host: tsa\r\n"
LINE = b"POST /tsa HTTP/1.1\r\n"
CODED = b"Transfer-Encoding: chunked\r\n"
WHOLE = LINE + HOST + TYPE + LENGTH + b"\r\n" + QUERY
LAST = b"GET /tsa/certificates HTTP/1.1\r\nHost: tsa\r\nConnection: close\r\n\r\n"
"""Whatever is still open ends after it; its answer shows that the connection was good."""


def chunk(data: bytes, extension: bytes = b"") -> bytes:
    return b"%x%s\r\n%s\r\n" % (len(data), extension, data)


def chunked(*pieces: bytes, coding: bytes = CODED, line: bytes = LINE) -> bytes:
    return line + HOST + TYPE + coding + b"\r\n" + b"".join(pieces)


BODY = chunk(QUERY) + b"0\r\n\r\n"


def head(more: bytes = b"", *, line: bytes = LINE, host: bytes = HOST, kind: bytes = TYPE) -> bytes:
    return line + host + kind + more + LENGTH + b"\r\n" + QUERY


@dataclass(frozen=True)
class Answer:
    status: int
    fields: dict[str, str]
    body: bytes


def ask(office: Office, sent: bytes, *, half: bool = False) -> tuple[list[Answer], bool]:
    """The answers to `sent`, followed by a request that ends the connection; and whether that one was answered too."""
    with socket.create_connection(("127.0.0.1", office.port), 10) as wire:
        try:
            wire.sendall(sent if half else sent + LAST)
            if half:
                wire.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it was refused before all of it was sent
        data = b""
        while True:
            try:
                piece = wire.recv(65536)
            except ConnectionResetError:
                break
            if not piece:
                break
            data += piece
    found = answers(data)
    went_on = bool(found) and found[-1].fields.get("content-type") == "application/pem-certificate-chain"
    return (found[:-1] if went_on else found), went_on


def answers(data: bytes) -> list[Answer]:
    found = []
    while data:
        top, _, data = data.partition(b"\r\n\r\n")
        status, *lines = top.decode("latin-1").split("\r\n")
        match = re.fullmatch(r"HTTP/1\.1 (\d{3}) [ -~]*", status)
        assert match, status
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        size = 0 if match[1] in ("100", "204") else int(fields["content-length"])
        found.append(Answer(int(match[1]), fields, data[:size]))
        data = data[size:]
    return found


GRANTED: dict[str, bytes] = {
    "9110 8.3.1 the media type in capitals": head(kind=b"CONTENT-TYPE: APPLICATION/TIMESTAMP-QUERY\r\n"),
    "9110 8.3.1 the media type with parameters": head(kind=b'Content-Type: application/timestamp-query ; charset="a;b"; x=y\r\n'),
    "9110 8.4 the identity coding": head(b"Content-Encoding: identity\r\n"),
    "9110 8.4 no coding": head(b"Content-Encoding:\r\n"),
    "9110 2.5 a minor version to come": head(line=b"POST /tsa HTTP/1.2\r\n"),
    "9110 5.6.6 a parameter that is none": head(kind=b"Content-Type: application/timestamp-query; ;\r\n"),
    "9110 5.5 octets over 127 in a value": head(b"X: \xe3\x81\x82\xff\t\r\n"),
    "9110 4.2.3 a path with escapes": head(line=b"POST /%74s%61 HTTP/1.1\r\n"),
    "9112 2.2 empty lines before the request": b"\r\n\r\n" + WHOLE,
    "9112 3.2.2 the scheme in capitals": head(line=b"POST HTTP://elsewhere.example:8318/tsa?x HTTP/1.1\r\n"),
    "9112 3.2.2 an IPv6 address in the target": head(line=b"POST http://[::1]/tsa HTTP/1.1\r\n"),
    "9112 5.1 spaces and tabs around a length": LINE + HOST + TYPE + b"Content-Length:\t %d \t\r\n\r\n" % len(QUERY) + QUERY,
    "9110 7.8 an upgrade is ignored": head(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"),
    "9110 12.5.1 what is accepted does not matter": head(b"Accept: text/html\r\n"),
    "9112 2.2 an empty line before the request": b"\r\n" + WHOLE,
    "9112 3.2.2 the absolute form": head(line=b"POST http://elsewhere.example/tsa HTTP/1.1\r\n"),
    "9112 3.2.1 a query": head(line=b"POST /tsa?x=1 HTTP/1.1\r\n"),
    "9112 3.2 a host with a port": head(host=b"Host: tsa.example:8318\r\n"),
    "9112 3.2 an IPv6 address": head(host=b"Host: [::1]:8318\r\n"),
    "3986 3.2.2 an address of a version to come": head(host=b"Host: [v7.a:b]:8318\r\n"),
    "9112 5.1 tabs around a host": head(host=b"Host:\t tsa\t\r\n"),
    "9112 6.2 zeros before the length": LINE + HOST + TYPE + b"Content-Length: 000%d\r\n\r\n" % len(QUERY) + QUERY,
    "9112 7.1 one chunk": chunked(BODY),
    "9112 7.1 a chunk for each octet": chunked(*(chunk(bytes((octet,))) for octet in QUERY), b"0\r\n\r\n"),
    "9112 7.1 sizes in capitals, with zeros": chunked(b"00%X\r\n" % len(QUERY) + QUERY + b"\r\n000\r\n\r\n"),
    "9112 7.1.1 chunk extensions": chunked(chunk(QUERY, b';a=b;c="d;e"') + b"0;z\r\n\r\n"),
    "9112 7.1.2 trailers": chunked(chunk(QUERY) + b"0\r\nX: y\r\nZ: w\r\n\r\n"),
    "9110 6.5.1 trailers are no header fields": chunked(
        chunk(QUERY) + b"0\r\nContent-Type: text/plain\r\nContent-Encoding: gzip\r\nHost: x\r\nExpect: y\r\n\r\n"
    ),
    "9112 7.1 line ends in the data": chunked(chunk(QUERY[:9]) + chunk(QUERY[9:], b';a="b"') + b"0\r\n\r\n"),
    "9112 5.1 a tab after the coding": chunked(BODY, coding=b"Transfer-Encoding:\tchunked\t\r\n"),
    "9112 7.1 the coding in any case": chunked(BODY, coding=b"transfer-encoding: CHUNKED\r\n"),
}


@pytest.mark.parametrize("name", GRANTED)
def test_a_request_in_each_lawful_form_is_granted(office: Office, name: str) -> None:
    found, went_on = ask(office, GRANTED[name])
    assert [answer.status for answer in found] == [200] and went_on
    assert found[0].fields["content-type"] == "application/timestamp-reply" and "date" in found[0].fields
    assert tsp.decode_response(found[0].body).granted


TWICE = b"GET /tsa/certificates HTTP/1.1\r\nHost: smuggled\r\n\r\n"

REFUSED: dict[str, tuple[int, bytes]] = {
    "9112 6.3 two lengths": (400, LINE + HOST + TYPE + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n" + TWICE),
    "9112 6.3 one length twice": (400, LINE + HOST + TYPE + LENGTH + LENGTH + b"\r\n" + QUERY + TWICE),
    "9112 6.3 a list of lengths": (400, LINE + HOST + TYPE + b"Content-Length: 3, 3\r\n\r\n" + TWICE),
    "9112 6.3 a length and chunks": (400, LINE + HOST + TYPE + LENGTH + CODED + b"\r\n" + BODY + TWICE),
    "9112 6.3 chunks and a length": (400, LINE + HOST + TYPE + CODED + LENGTH + b"\r\n" + BODY + TWICE),
    "9112 6.2 a length with a sign": (400, LINE + HOST + TYPE + b"Content-Length: +3\r\n\r\nabc"),
    "9112 6.2 a negative length": (400, LINE + HOST + TYPE + b"Content-Length: -1\r\n\r\n"),
    "9112 6.2 a hexadecimal length": (400, LINE + HOST + TYPE + b"Content-Length: 0x10\r\n\r\n" + bytes(16)),
    "9112 6.2 no digits": (400, LINE + HOST + TYPE + b"Content-Length:\r\n\r\n"),
    "9112 6.2 a length over 64 bits": (400, LINE + HOST + TYPE + b"Content-Length: 99999999999999999999\r\n\r\n"),
    "9112 6.1 chunked twice": (400, chunked(BODY, coding=CODED + CODED)),
    "9112 6.1 chunked, chunked": (400, chunked(BODY, coding=b"Transfer-Encoding: chunked, chunked\r\n")),
    "9112 6.1 another coding": (501, chunked(BODY, coding=b"Transfer-Encoding: gzip, chunked\r\n")),
    **{
        f"9112 6.3 the last coding is {coding}": (400, chunked(BODY, coding=b"Transfer-Encoding: %b\r\n" % coding.encode()))
        for coding in ("xchunked", "chunked, identity", "chunked, gzip", "gzip", "identity", "chunked;a=b", '"chunked"', "chunked chunked")
    },
    "7.1.1 extensions without end": (400, chunked(b"1;" + b"x" * 2 * MAX_HEAD + b"\r\na\r\n0\r\n\r\n")),
    "7.1.1 many extensions": (400, chunked((b"1;" + b"x" * 3000 + b"\r\na\r\n") * 20 + b"0\r\n\r\n")),
    "7.1.2 trailers without end": (400, chunked(chunk(QUERY) + b"0\r\n" + b"X: y\r\n" * MAX_HEAD + b"\r\n")),
    "9112 6.1 a control octet in the coding": (400, chunked(BODY, coding=b"Transfer-Encoding: \x0bchunked\r\n")),
    "9112 6.1 chunks in HTTP/1.0": (400, chunked(BODY, line=b"POST /tsa HTTP/1.0\r\n")),
    "9112 7.1 no size": (400, chunked(b"\r\n" + QUERY + b"\r\n0\r\n\r\n")),
    "9112 7.1 a size that is no number": (400, chunked(b"zz\r\n" + QUERY + b"\r\n0\r\n\r\n")),
    "9112 7.1 a size with 0x": (400, chunked(b"0x5\r\nabcde\r\n0\r\n\r\n")),
    "9112 7.1 a negative size": (400, chunked(b"-5\r\nabcde\r\n0\r\n\r\n")),
    "9112 7.1 a size over 64 bits": (400, chunked(b"fffffffffffffffff\r\nabcde\r\n0\r\n\r\n")),
    "9112 7.1 a space before the size": (400, chunked(b" 5\r\nabcde\r\n0\r\n\r\n")),
    "9112 7.1 a space after the size": (400, chunked(b"5 \r\nabcde\r\n0\r\n\r\n")),
    "9112 7.1 data longer than its size": (400, chunked(b"4\r\nabcde\r\n0\r\n\r\n")),
    "9112 7.1 no line end after the data": (400, chunked(b"5\r\nabcde0\r\n\r\n")),
    "9112 7.1 bare line ends": (400, chunked(b"5\nabcde\n0\n\n")),
    "9112 7.1.1 an extension that ends in a bare line end": (400, chunked(b"5;a\nabcde\r\n0\r\n\r\n")),
    "9112 6.5 a length among the trailers": (400, chunked(chunk(QUERY) + b"0\r\nContent-Length: 5\r\n\r\n")),
    "9112 2.2 bare line ends": (400, WHOLE.replace(b"\r\n", b"\n", 5)),
    "9112 2.2 a bare carriage return": (400, head(b"X: a\rb\r\n")),
    "9110 5.5 NUL in a value": (400, head(b"X: a\x00b\r\n")),
    "9110 5.5 a control octet in a value": (400, head(b"X: a\x01b\r\n")),
    "9112 5.2 a folded line": (400, head(b"X: a\r\n b\r\n")),
    "9112 5.2 a folded media type": (400, head(kind=b"Content-Type:\r\n application/timestamp-query\r\n")),
    "9112 2.2 a space before the first field": (400, LINE + b" X: y\r\n" + HOST + TYPE + LENGTH + b"\r\n" + QUERY),
    "9112 5.1 a space before the colon": (400, head(b"X : y\r\n")),
    "9112 5.1 an upgrade with a space before the colon": (400, head(b"Upgrade : h2c\r\n")),
    "9112 5.1 a length with a space before the colon": (400, LINE + HOST + TYPE + b"Content-Length : 3\r\n\r\nabc"),
    "9112 5 no colon": (400, head(b"Xyz\r\n")),
    "9112 5 no name": (400, head(b": y\r\n")),
    "9112 3.2 no host": (400, head(host=b"")),
    "9112 3.2 two hosts": (400, head(host=HOST + HOST)),
    "9112 3.2 a host that is none": (400, head(host=b"Host: a b\r\n")),
    "9112 3.2 a host with a path": (400, head(host=b"Host: tsa/x\r\n")),
    "9112 3.2 a host with somebody before it": (400, head(host=b"Host: user@tsa\r\n")),
    "9112 3.2 a fragment": (400, head(line=b"POST /tsa#x HTTP/1.1\r\n")),
    "9112 3.2 octets over 127 in the target": (400, head(line=b"POST /ts\xc3\xa9 HTTP/1.1\r\n")),
    "9112 3.2.2 somebody before the host of an absolute form": (400, head(line=b"POST http://user@tsa/tsa HTTP/1.1\r\n")),
    "9112 3.2.2 another scheme": (400, head(line=b"POST ftp://tsa/tsa HTTP/1.1\r\n")),
    "9112 3.2.3 the authority form": (400, head(line=b"POST tsa:80 HTTP/1.1\r\n")),
    **{f"9112 3.2.4 * of {method}": (400, head(line=method.encode() + b" * HTTP/1.1\r\n")) for method in ("GET", "POST", "PUT")},
    **{
        f"9112 3.2 {what}": (400, head(line=b"POST " + target + b" HTTP/1.1\r\n"))
        for what, target in {
            "no path": b"tsa",
            "an escape that is none": b"/tsa%zz",
            "an escape cut short": b"/tsa?%2",
            "quotes": b'/tsa?a="b"',
            "angle brackets": b"/tsa?<a>",
            "braces": b"/tsa?{a}",
            "brackets": b"/tsa?a[]",
            "a backslash": b"/tsa\\",
            "a bar": b"/tsa?a|b",
            "a caret": b"/tsa^",
            "DEL": b"/tsa\x7f",
            "NUL": b"/tsa\x00",
        }.items()
    },
    "9112 3 two spaces before the target": (400, head(line=b"POST  /tsa HTTP/1.1\r\n")),
    "9112 3 two spaces after the target": (400, head(line=b"POST /tsa  HTTP/1.1\r\n")),
    "9112 3 no version": (400, head(line=b"POST /tsa\r\n")),
    "9112 3 a space before the method": (400, head(line=b" POST /tsa HTTP/1.1\r\n")),
    "9112 3 no end of the line": (400, b"POST /tsa HTTP/1.1" + b" " * 40),
    **{
        f"9112 2.3 {name}": (400, head(line=b"POST /tsa " + name.encode() + b"\r\n"))
        for name in ("RTSP/1.0", "ICE/1.0", "HTTPS/1.1", "HTTP/11", "HTTP/1.10", "HTTP/01.1", "HTTP/1", "HTTP/1,1", "HTTP/x.y")
    },
    "9112 3.2.2 an absolute form without a host": (400, head(line=b"POST http:///tsa HTTP/1.1\r\n")),
    "9112 3 a tab for a space": (400, head(line=b"POST\t/tsa HTTP/1.1\r\n")),
    "9112 3 a space at the end": (400, head(line=b"POST /tsa HTTP/1.1 \r\n")),
    "9112 2.3 the protocol in small letters": (400, head(line=b"POST /tsa http/1.1\r\n")),
    **{f"9110 15.6.6 HTTP/{v}": (505, head(line=b"POST /tsa HTTP/%b\r\n" % v.encode())) for v in ("2.0", "2.1", "3.0", "9.9", "0.9", "0.0")},
    "1945 4.1 a request of HTTP/0.9": (400, b"GET /tsa/certificates\r\n"),
    "9113 3.4 the preface of HTTP/2": (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "a TLS client": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50)),
    "9110 9.1 an unknown method": (501, b"FOO /tsa HTTP/1.1\r\n" + HOST + b"\r\n"),
    "9112 3 a method of 100 octets": (501, b"X" * 100 + b" /tsa HTTP/1.1\r\n" + HOST + b"\r\n"),
    "9112 3 a method without end": (501, b"X" * 2 * MAX_TARGET),
    "9110 9.1 a method of others": (501, b"PROPFIND /tsa HTTP/1.1\r\n" + HOST + b"\r\n"),
    "9110 9.1 what is no method": (400, b"P@ST /tsa HTTP/1.1\r\n" + HOST + b"\r\n"),
    "9110 9.1 methods are case-sensitive": (501, head(line=b"post /tsa HTTP/1.1\r\n")),
    "9110 9.3.6 CONNECT": (501, b"CONNECT tsa:80 HTTP/1.1\r\n" + HOST + b"\r\n"),
    "9110 10.1.1 another expectation": (417, head(b"Expect: miracles\r\n")),
    "9110 15.5.15 a long target": (414, head(line=b"POST /tsa?" + b"a" * MAX_TARGET + b" HTTP/1.1\r\n")),
    "6585 5 a long field": (431, head(b"X: " + b"a" * (MAX_HEAD + 1) + b"\r\n")),
    "6585 5 many fields": (431, head(b"X: y\r\n" * MAX_FIELDS)),
    "6585 5 a head without an end": (431, LINE + b"X: " + b"a" * (MAX_HEAD + MAX_TARGET)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_http_is_refused_once_and_the_connection_ends(office: Office, name: str) -> None:
    status, sent = REFUSED[name]
    found, went_on = ask(office, sent)
    assert [answer.status for answer in found] == [status] and not went_on
    assert found[0].fields["connection"] == "close" and found[0].fields["content-type"] == "application/problem+json" and "date" in found[0].fields
    assert json.loads(found[0].body)["status"] == status


ANSWERED: dict[str, tuple[int, dict[str, str], bytes]] = {
    "9110 9.3.1 GET": (405, {"allow": "OPTIONS, POST"}, b"GET /tsa HTTP/1.1\r\n" + HOST + b"\r\n"),
    "9110 9.3.4 PUT, whose body is read": (405, {"allow": "OPTIONS, POST"}, head(line=b"PUT /tsa HTTP/1.1\r\n")),
    "9110 9.3.5 DELETE": (405, {"allow": "OPTIONS, POST"}, b"DELETE /tsa HTTP/1.1\r\n" + HOST + b"\r\n"),
    "9110 9.3.7 OPTIONS": (204, {"allow": "OPTIONS, POST"}, b"OPTIONS /tsa HTTP/1.1\r\n" + HOST + b"\r\n"),
    "9110 9.3.7 OPTIONS of the server": (204, {}, b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n"),
    "9112 3.2.4 OPTIONS of the server in absolute form": (204, {}, b"OPTIONS http://tsa HTTP/1.1\r\n" + HOST + b"\r\n"),
    "9112 3.2.2 OPTIONS in absolute form": (204, {"allow": "OPTIONS, POST"}, b"OPTIONS http://tsa/tsa HTTP/1.1\r\n" + HOST + b"\r\n"),
    "9110 9.3.8 TRACE": (405, {"allow": "OPTIONS, POST"}, b"TRACE /tsa HTTP/1.1\r\n" + HOST + b"\r\n"),
    "9110 15.5.5 another path": (404, {}, head(line=b"POST /nothing HTTP/1.1\r\n")),
    "9110 15.5.5 a unit that is not there": (404, {}, head(line=b"POST /tsa/nobody HTTP/1.1\r\n")),
    "9112 6.3 no length is no body": (200, {"content-type": "application/timestamp-reply"}, LINE + HOST + TYPE + b"\r\n"),
    "3161 3.4 an empty body": (200, {"content-type": "application/timestamp-reply"}, LINE + HOST + TYPE + b"Content-Length: 0\r\n\r\n"),
}


@pytest.mark.parametrize("name", ANSWERED)
def test_other_requests_have_their_status_and_the_connection_stays(office: Office, name: str) -> None:
    status, fields, sent = ANSWERED[name]
    found, went_on = ask(office, sent)
    assert [answer.status for answer in found] == [status] and went_on
    assert {field: found[0].fields[field] for field in fields} == fields
    assert status != 204 or "content-length" not in found[0].fields


CLOSING: dict[str, tuple[int, bytes]] = {
    "9110 15.5.16 another media type": (415, head(kind=b"Content-Type: text/plain\r\n")),
    "9110 15.5.16 no media type": (415, head(kind=b"")),
    "9110 8.3 two media types": (415, head(kind=TYPE + TYPE)),
    "9110 8.3 a list of media types": (415, head(kind=b"Content-Type: application/timestamp-query, text/plain\r\n")),
    "9110 8.4 a coded body": (415, head(b"Content-Encoding: gzip\r\n")),
    "9110 15.5.14 a large body": (413, LINE + HOST + TYPE + b"Content-Length: 70000\r\n\r\n" + bytes(70000)),
    "9110 15.5.14 large chunks": (413, chunked(chunk(bytes(70000)) + b"0\r\n\r\n")),
}


@pytest.mark.parametrize("name", CLOSING)
def test_a_body_that_is_not_wanted_ends_the_connection(office: Office, name: str) -> None:
    status, sent = CLOSING[name]
    found, went_on = ask(office, sent + WHOLE)
    assert [answer.status for answer in found] == [status] and not went_on
    assert found[0].fields["connection"] == "close"
    coded = b"Content-Encoding" in sent
    assert found[0].fields.get("accept") == ("application/timestamp-query" if status == 415 and not coded else None)
    assert found[0].fields.get("accept-encoding") == ("identity" if coded else None), "9110 12.5.3, 15.5.16"


def test_9110_9_3_2_head_has_no_body(office: Office) -> None:
    with socket.create_connection(("127.0.0.1", office.port), 10) as wire, wire.makefile("rb") as file:
        wire.sendall(b"HEAD /tsa HTTP/1.1\r\nHost: tsa\r\nConnection: close\r\n\r\n")
        top, _, rest = file.read().partition(b"\r\n\r\n")
    assert top.startswith(b"HTTP/1.1 405 ") and rest == b""


READ = ("/health/live", "/health", "/openapi.json", "/log/checkpoint", "/log/key", "/log/tile/0/000.p/1", "/v1/log/receipts/0", "/pki/root.crl")


@pytest.mark.parametrize("path", READ)
def test_9110_9_3_2_what_is_read_with_get_is_there_for_head(office: Office, path: str) -> None:
    ask(office, b"GET /v1/log/receipts/0 HTTP/1.1\r\nHost: tsa\r\nPrefer: wait=20\r\n\r\n")  # from then on there is a checkpoint
    found = {}
    for method in ("GET", "HEAD"):
        with socket.create_connection(("127.0.0.1", office.port), 30) as wire, wire.makefile("rb") as file:
            wire.sendall(f"{method} {path} HTTP/1.1\r\nHost: tsa\r\nConnection: close\r\n\r\n".encode())
            top, _, rest = file.read().partition(b"\r\n\r\n")
        found[method] = top.split(b"\r\n")[0], b"\r\ncontent-length: " in top, bool(rest)
    assert found == {"GET": (b"HTTP/1.1 200 OK", True, True), "HEAD": (b"HTTP/1.1 200 OK", True, False)}


@pytest.mark.parametrize("path", ["/log/key", "/openapi.json", "/pki/root.crl", "/v1/log/receipts/0"])
def test_9110_10_2_1_what_is_allowed_is_told(office: Office, path: str) -> None:
    found, _ = ask(office, f"DELETE {path} HTTP/1.1\r\nHost: tsa\r\n\r\n".encode())
    assert found[0].status == 405 and {"GET", "HEAD"} <= set(found[0].fields["allow"].split(", "))


@pytest.mark.parametrize("path", ["/tsa/certificates", "/log/key", "/pki/root.crl", "/pki/ca.cer"])
def test_9110_13_conditions_are_judged(office: Office, path: str) -> None:
    def answered(method: str = "GET", condition: str = "") -> Answer:
        with socket.create_connection(("127.0.0.1", office.port), 30) as wire, wire.makefile("rb") as file:
            wire.sendall(f"{method} {path} HTTP/1.1\r\nHost: tsa\r\n{condition}Connection: close\r\n\r\n".encode())
            top, _, rest = file.read().partition(b"\r\n\r\n")
        status, *lines = top.decode().split("\r\n")
        return Answer(int(status.split()[1]), dict(line.split(": ", 1) for line in lines), rest)

    whole = answered()
    tag = whole.fields["etag"]
    for method in ("GET", "HEAD"):
        for condition in (f"If-None-Match: {tag}\r\n", "If-None-Match: *\r\n", f'If-None-Match: "x"\r\nIf-None-Match: W/{tag}\r\n'):
            known = answered(method, condition)
            assert known.status == 304 and known.body == b"" and "content-length" not in known.fields, condition
            assert {known.fields[name] == whole.fields[name] for name in ("etag", "cache-control")} == {True}, "9110 15.4.5"
        assert answered(method, 'If-Match: "x"\r\n').status == 412
    assert answered(condition=f"If-Match: {tag}\r\n").body == answered(condition='If-None-Match: "x"\r\n').body == whole.body
    if "last-modified" in whole.fields:
        assert answered(condition=f"If-Modified-Since: {whole.fields['last-modified']}\r\n").status == 304
        assert answered(condition="If-Unmodified-Since: Sat, 01 Jan 2000 00:00:00 GMT\r\n").status == 412


BATCH = (
    b"POST /v1/batches HTTP/1.%d\r\nHost: tsa\r\nContent-Type: text/plain\r\n%bContent-Length: 66\r\nConnection: close\r\n\r\n" + b"5a" * 32 + b" x"
)


def batch(office: Office, fields: bytes = b"", *, minor: int = 1) -> tuple[bytes, bytes]:
    """Head and body of the answer to a list of one digest."""
    with socket.create_connection(("127.0.0.1", office.port), 30) as wire, wire.makefile("rb") as file:
        wire.sendall(BATCH % (minor, fields))
        top, _, rest = file.read().partition(b"\r\n\r\n")
    return top.lower(), rest


def test_9112_6_1_http_1_0_gets_no_chunks(office: Office) -> None:
    """What is made while it is sent ends with the connection."""
    top, rest = batch(office, minor=0)
    assert top.startswith(b"http/1.1 200 ") and b"\r\nconnection: close" in top
    assert b"transfer-encoding" not in top and b"content-length" not in top
    assert json.loads(rest)["id"] == "x"
    assert b"\r\ntransfer-encoding: chunked" in batch(office)[0]


PREFERRED: dict[str, tuple[int, bytes, bytes]] = {
    "the greatest weight": (200, b"application/x-ndjson", b"Accept: application/zip;q=0.1, application/x-ndjson\r\n"),
    "not what has none": (200, b"application/x-ndjson", b"Accept: application/*, application/zip;q=0\r\n"),
    "what is left": (200, b"application/zip", b"Accept: application/x-ndjson;q=0, */*;q=0.5\r\n"),
    "two lines": (200, b"application/zip", b"Accept: text/html\r\nAccept: application/zip\r\n"),
    "nothing": (406, b"application/problem+json", b"Accept: */*;q=0\r\n"),
    "nothing of two": (406, b"application/problem+json", b"Accept: application/zip;q=0.0\r\n"),
}


@pytest.mark.parametrize("name", PREFERRED)
def test_9110_12_5_1_the_answer_comes_in_the_form_that_is_preferred(office: Office, name: str) -> None:
    status, kind, fields = PREFERRED[name]
    top, _ = batch(office, fields)
    assert top.startswith(b"http/1.1 %d " % status) and b"\r\ncontent-type: " + kind in top


@pytest.mark.parametrize(
    ("fields", "status"), [(b"Content-Type: text/plain\r\n", 415), (b"Content-Encoding:\r\n", 200)], ids=["two types", "no coding"]
)
def test_9110_8_3_and_8_4_lists_of_digests_have_one_type_and_no_coding(office: Office, fields: bytes, status: int) -> None:
    assert batch(office, fields)[0].startswith(b"http/1.1 %d " % status)


def test_9110_12_5_4_a_body_over_the_limit_is_refused_in_the_language_of_its_reader(office: Office) -> None:
    top = b"POST /v1/log/receipts HTTP/1.1\r\nHost: tsa\r\nAccept-Language: ja\r\nContent-Length: 99000000\r\n\r\n"
    found, _ = ask(office, top)
    assert found[0].status == 413 and found[0].fields["vary"] == "Accept-Language"
    assert json.loads(found[0].body)["title"] == TooLarge.japanese


ELSEWHERE = {"/v1/batches": "application/x-ndjson, application/json, text/plain", "/pki/ocsp": "application/ocsp-request"}


@pytest.mark.parametrize("path", ELSEWHERE)
def test_9110_15_5_16_other_addresses_say_what_they_read_too(office: Office, path: str) -> None:
    found, _ = ask(office, f"POST {path} HTTP/1.1\r\nHost: tsa\r\nContent-Type: image/png\r\nContent-Length: 1\r\n\r\nx".encode())
    assert (found[0].status, found[0].fields["accept"]) == (415, ELSEWHERE[path])


@pytest.mark.parametrize(
    "refused",
    [b"HEAD * HTTP/1.1\r\nHost: tsa\r\n\r\n", b"HEAD /tsa HTTP/1.1\r\n\r\n", b"HEAD /tsa HTTP/1.1\r\nHost: tsa\r\nX : y\r\n\r\n"],
    ids=["for its target", "for its host", "for a field"],
)
def test_9110_9_3_2_head_has_no_body_when_it_is_refused_either(office: Office, refused: bytes) -> None:
    with socket.create_connection(("127.0.0.1", office.port), 10) as wire, wire.makefile("rb") as file:
        wire.sendall(refused)
        top, _, rest = file.read().partition(b"\r\n\r\n")
    assert top.startswith(b"HTTP/1.1 400 ") and b"\r\ncontent-length: " in top and rest == b""


def test_9112_9_3_2_requests_in_one_packet_are_answered_in_order(office: Office) -> None:
    found, went_on = ask(office, WHOLE + TWICE.replace(b"/certificates", b"") + WHOLE)
    assert [answer.status for answer in found] == [200, 405, 200] and went_on


@pytest.mark.parametrize(
    "garbage", [b"garbage\r\n\r\n", QUERY, b"\x00", b"POST /tsa HTTP/1.1\r\nHost: a b\r\n\r\n"], ids=["words", "a request", "NUL", "a bad host"]
)
def test_9112_9_3_2_what_stands_before_garbage_is_answered_first(office: Office, garbage: bytes) -> None:
    found, went_on = ask(office, WHOLE + WHOLE + garbage)
    assert [answer.status for answer in found] == [200, 200, 400] and not went_on
    assert all(tsp.decode_response(answer.body).granted for answer in found[:2])


@pytest.mark.parametrize("before", [1, 2, 5])
def test_9112_9_3_2_a_body_that_breaks_is_refused_in_its_turn(office: Office, before: int) -> None:
    """Of several that wait, the last one has to be answered too, and not only begun (found by fuzzing, `http`)."""
    found, went_on = ask(office, WHOLE * before + chunked(b"zz\r\n"))
    assert [answer.status for answer in found] == [200] * before + [400] and not went_on


def test_9112_3_each_request_of_a_packet_is_judged_from_its_first_octet(office: Office) -> None:
    """Wherever it begins: behind a length, behind chunks, behind empty lines."""
    wrong = b"POST  /tsa HTTP/1.1\r\n" + HOST + TYPE + LENGTH + b"\r\n" + QUERY
    for before in (WHOLE, chunked(BODY), WHOLE + b"\r\n", chunked(chunk(b"\r\n\r\n") + b"0\r\nX: y\r\n\r\n")):
        found, went_on = ask(office, before + wrong)
        assert [answer.status for answer in found] == [200, 400] and not went_on


PIECES = {
    "chunks and trailers": chunked(chunk(QUERY) + b"0\r\nX: y\r\n\r\n"),
    "after an empty line": b"\r\n" + WHOLE,
    "another form": head(line=b"POST http://tsa/tsa HTTP/1.3\r\n"),
    "an upgrade": head(b"Connection: Upgrade\r\nUpgrade: h2c\r\n"),
    "tabs": chunked(BODY, coding=b"Transfer-Encoding:\tchunked\t\r\n"),
}


@pytest.mark.parametrize("name", PIECES)
def test_9112_3_in_whatever_pieces_it_comes(office: Office, name: str) -> None:
    whole = PIECES[name]
    line, end = whole.index(b"\r\n", 2), whole.index(b"\r\n\r\n")
    for cut in (1, 2, 5, 18, line + 1, end + 1, end + 3, len(whole) - 1):
        with socket.create_connection(("127.0.0.1", office.port), 10) as wire, wire.makefile("rb") as file:
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wire.sendall(whole[:cut])
            time.sleep(0.01)  # so that they come apart, most likely; the answer is the same if they do not
            wire.sendall(whole[cut:] + LAST)
            first, last = answers(file.read())
        assert tsp.decode_response(first.body).granted and last.status == 200, cut


AFTER_THE_LAST = {
    "a request": WHOLE,
    "an empty line": b"\r\n",
    "the start of a line": b"GET /ts",
    "a line that is none": b"junk\r\n\r\n",
    "an unknown method": b"FOO / HTTP/1.1\r\nHost: tsa\r\n\r\n",
    "a field that is none": b"GET / HTTP/1.1\r\nX : y\r\n\r\n",
    "NUL": b"\x00",
    "the body once more": QUERY,
}


@pytest.mark.parametrize("name", AFTER_THE_LAST)
@pytest.mark.parametrize("last", [head(b"Connection: close\r\n"), head(line=b"POST /tsa HTTP/1.0\r\n")], ids=["close", "HTTP/1.0"])
def test_9112_9_6_nothing_is_read_after_close(office: Office, last: bytes, name: str) -> None:
    found, went_on = ask(office, last + AFTER_THE_LAST[name])
    assert [answer.status for answer in found] == [200] and not went_on
    assert found[0].fields["connection"] == "close"


def test_9112_9_6_who_still_sends_reads_why_it_is_refused(office: Office) -> None:
    """The end comes in stages: no reset takes the answer away."""
    sent = LINE + b"X : y\r\n\r\n" + bytes(8 << 20)
    with socket.create_connection(("127.0.0.1", office.port), 10) as wire, wire.makefile("rb") as file:
        wire.sendall(sent)
        [only] = answers(file.read())
    assert only.status == 400 and only.fields["connection"] == "close"


def test_9112_9_6_who_has_asked_and_sends_no_more_is_answered(office: Office) -> None:
    found, _ = ask(office, WHOLE, half=True)
    assert [answer.status for answer in found] == [200] and tsp.decode_response(found[0].body).granted


@pytest.mark.parametrize("part", [LINE + HOST, WHOLE[:-3], chunked(chunk(QUERY))], ids=["in the head", "in the body", "in the chunks"])
def test_9112_8_who_breaks_off_is_told(office: Office, part: bytes) -> None:
    found, _ = ask(office, part, half=True)
    assert [answer.status for answer in found] == [400]


def test_9112_9_3_http_1_0_ends_after_its_answer(office: Office) -> None:
    found, went_on = ask(office, head(line=b"POST /tsa HTTP/1.0\r\n", host=b""))
    assert [answer.status for answer in found] == [200] and not went_on
    assert found[0].fields["connection"] == "close" and tsp.decode_response(found[0].body).granted


def test_9110_10_1_1_who_waits_is_told_to_go_on(office: Office) -> None:
    with socket.create_connection(("127.0.0.1", office.port), 10) as wire, wire.makefile("rb") as file:
        wire.sendall(LINE + HOST + TYPE + b"Expect: 100-Continue\r\n" + LENGTH + b"\r\n")
        assert file.readline() == b"HTTP/1.1 100 Continue\r\n" and file.readline() == b"\r\n"
        wire.sendall(QUERY + LAST)
        first, last = answers(file.read())
    assert tsp.decode_response(first.body).granted and last.status == 200


def test_9110_10_1_1_who_waits_for_what_is_refused_is_told_that(office: Office) -> None:
    with socket.create_connection(("127.0.0.1", office.port), 10) as wire, wire.makefile("rb") as file:
        wire.sendall(LINE + HOST + b"Content-Type: text/plain\r\nExpect: 100-continue\r\n" + LENGTH + b"\r\n")
        [only] = answers(file.read())
    assert only.status == 415


def test_9110_10_1_1_http_1_0_has_no_expectations(office: Office) -> None:
    found, _ = ask(office, head(b"Expect: 100-continue\r\n", line=b"POST /tsa HTTP/1.0\r\n"))
    assert [answer.status for answer in found] == [200]


@pytest.mark.parametrize("name", ["a length", *PIECES])
def test_a_request_in_single_octets(office: Office, name: str) -> None:
    with socket.create_connection(("127.0.0.1", office.port), 10) as wire, wire.makefile("rb") as file:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in PIECES.get(name, WHOLE):
            wire.sendall(bytes((octet,)))
        wire.sendall(LAST)
        first, last = answers(file.read())
    assert tsp.decode_response(first.body).granted and last.status == 200


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


def test_who_has_gone_is_answered_no_more_with_others_waiting_behind() -> None:
    """Nothing is written to a connection that is no more: the server would log a defect for each client that breaks off."""

    async def go() -> tuple[bytes, list[str]]:
        asked, gone, told = asyncio.Event(), asyncio.Event(), list[str]()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            asked.set()
            await gone.wait()
            told.append((await receive())["type"])
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})

        config = uvicorn.Config(app, http=StrictHttp, lifespan="off", log_config=None)
        config.load()
        state = ServerState()
        transport, protocol = Transport(), StrictHttp(config, state, {})
        protocol.connection_made(transport)
        protocol.data_received(LAST.replace(b"close", b"keep-alive") * 3)
        await asked.wait()
        transport.close()
        protocol.connection_lost(ConnectionResetError())
        gone.set()
        await asyncio.gather(*state.tasks)
        return transport.written, told

    written, told = asyncio.run(go())
    assert written == b"" and told == ["http.disconnect"]


@pytest.mark.parametrize("part", [b"", LINE, LINE + HOST], ids=["nothing", "a line", "two lines"])
def test_9110_15_5_9_a_head_that_does_not_come_ends_the_connection(monkeypatch: pytest.MonkeyPatch, part: bytes) -> None:
    """Without waiting: the look that comes after HEAD_SECONDS is made at once."""

    async def look() -> Transport:
        config = uvicorn.Config(lambda *_: None, http=StrictHttp, lifespan="off", log_config=None)
        config.load()
        transport, protocol = Transport(), StrictHttp(config, ServerState(), {})
        protocol.connection_made(transport)
        if part:
            protocol.data_received(part)
        protocol._look()
        assert not transport.written, "it is not late yet"
        monkeypatch.setattr(strict_http, "HEAD_SECONDS", 0.0)
        protocol._look()
        protocol.connection_lost(None)
        return transport

    done = asyncio.run(look())
    assert done.closed and [answer.status for answer in answers(done.written)] == [408]


def test_an_upgrade_is_taken_out_of_the_head_alone(office: Office) -> None:
    """A body may have such a line."""
    digest = Digest("sha256", b"\r\n\r\nUpgrade: h2c\r\nUpgrade:xxxx\r\n")
    query = tsp.encode_request(digest, nonce=6)
    found, went_on = ask(office, LINE + HOST + TYPE + b"Upgrade: h2c\r\nConnection: upgrade\r\nContent-Length: %d\r\n\r\n" % len(query) + query)
    assert [answer.status for answer in found] == [200] and went_on
    assert digest.value in found[0].body
