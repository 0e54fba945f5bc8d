"""Sealing and extending at another Kakuin: `POST /v1/seals` and `/v1/extensions` from the other side, streamed both ways."""

import base64
import contextlib
import hashlib
import io
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, BinaryIO
from urllib.parse import quote

import httpx

from eseal.spec import is_pdf
from trust import VERSION
from trust.edge.fetch import loopback, why
from trust.edge.upload import MOST_PARTS, file_name
from trust.errors import KakuinError, TooLarge, Unacceptable, Unauthorised, Unavailable
from trust.log.links import RECEIPT_AT, linked
from trust.model import Document
from trust.streams import Lent

SECRET = frozenset({"password"})
PATIENCE = httpx.Timeout(connect=10.0, read=300.0, write=300.0, pool=10.0)
"""Seconds. Sealing a large document at B-LTA takes its server a while before the first byte comes back."""
LARGEST_PROBLEM = 1 << 16
SPOOL = 16 << 20
"""Bytes that are kept in memory; more goes to a temporary file."""
_SHA_256 = "sha-256=:"
Requesting = Callable[[httpx.Client, httpx.URL], httpx.Request]
"""A request to an address."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A document that a server answered with, whole and with the digest that the server says."""

    said: Mapping[str, str]
    """Fields of the answer's head, in lower case."""
    sha256: str
    name: str | None
    pieces: Iterator[bytes]
    """Of the document; to be read to the end, or closed."""

    def text(self, name: str) -> str:
        """A field `Kakuin-NAME`, fit for a terminal; empty where it is not there."""
        return _line(self.said.get(f"kakuin-{name}", ""))

    def facts(self, index: str) -> dict[str, Any]:
        """What every answer says; the number of the journal's entry is in the field `index`."""
        number = self.text(index)
        warnings = [line for line in self.text("warning").split("; ") if line]
        return {"journal_index": int(number) if number.isascii() and number.isdecimal() else None, "sha256": self.sha256, "warnings": warnings}


def seal_at(
    server: str,
    api_key: str,
    document: Document,
    asked: Mapping[str, str | None],
    attached: Mapping[str, Document] = MappingProxyType({}),
    transport: httpx.BaseTransport | None = None,
    *,
    more: Sequence[Document] = (),
) -> tuple[dict[str, Any], Iterator[bytes], str]:
    """What the server says of the seal, the sealed document in pieces, and its name. The document is whole before the first piece is given.
    What is `attached` (the image and the font of a visible seal), a password, and `more` documents under the same seal travel with it in one form.

    Unauthorised without a key; the server's problems (RFC 9457) become errors of the same kind; Unavailable when it does not answer.
    """
    files = [*attached.items(), *(("document", d) for d in (document, *more))] if attached or more or _secret(asked) else []

    def request(client: httpx.Client, url: httpx.URL) -> httpx.Request:
        return form(client, url, asked, files) if files else body(client, url, asked, document)

    return exchanged(server, "/v1/seals", api_key, request, transport, document=True)


def exchanged(
    server: str, path: str, api_key: str, request_to: Requesting, transport: httpx.BaseTransport | None = None, *, document: bool = False
) -> tuple[dict[str, Any], Iterator[bytes], str]:
    """What seal_at() gives, of the request that `request_to` makes."""
    got = answered(server, path, api_key, request_to, transport, document=document)
    facts: dict[str, Any] = {name: got.text(name) for name in ("format", "level", "packaging")} | got.facts("seal")
    if there := linked(got.said.get("link", ""), str(_address(server, path))):
        facts[RECEIPT_AT] = there
    if asked_level := got.text("level-asked"):
        facts["asked_level"] = asked_level
    return facts, got.pieces, got.name or "sealed"


def answered(
    server: str, path: str, api_key: str, request_to: Requesting, transport: httpx.BaseTransport | None = None, *, document: bool = False
) -> Answered:
    """What comes back; where it is a `document`, the answer says what was done and the digest of what was made. Errors are those of seal_at()."""
    if not api_key:
        raise Unauthorised("an API key is needed: --api-key-file FILE, or KAKUIN_API_KEY in the environment")
    url = _address(server, path)
    spool, running = tempfile.SpooledTemporaryFile(SPOOL), hashlib.sha256()  # noqa: SIM115  # closed when the last piece is given
    try:
        with contextlib.ExitStack() as opened, httpx.Client(timeout=PATIENCE, transport=transport, trust_env=False) as client:
            request = request_to(client, url)
            request.headers["Authorization"] = f"Bearer {api_key}"
            request.headers["User-Agent"] = f"kakuin/{VERSION}"
            response = client.send(request, stream=True)
            opened.callback(response.close)
            if response.status_code != 200:
                raise _problem(response)
            for piece in response.iter_bytes():
                running.update(piece)
                spool.write(piece)
            said = response.headers
        if document and not ("kakuin-format" in said and said.get("repr-digest", "").startswith(_SHA_256)):
            raise Unavailable(f"what answers at {url.host} is no such service: it says nothing of a seal")
        if int(said.get("content-length", spool.tell())) != spool.tell() or spool.tell() == 0:
            raise Unavailable(f"{url.host} sent a part of the document only")
        if said.get("repr-digest", "").startswith(_SHA_256) and said["repr-digest"] != f"{_SHA_256}{base64.b64encode(running.digest()).decode()}:":
            raise Unavailable(f"{url.host} sent something else than what it made: the digest of what arrived is not the one it says")
    except httpx.HTTPError as error:
        spool.close()
        raise Unavailable(f"{url.host} does not answer ({why(error)})") from error
    except BaseException:
        spool.close()
        raise
    return Answered(said, running.hexdigest(), file_name(said.get("content-disposition", "")), _pieces(spool))


def _address(server: str, path: str) -> httpx.URL:
    """Unacceptable for what is none."""
    try:
        url = httpx.URL(server.rstrip("/") + path)
    except httpx.InvalidURL:
        url = httpx.URL()
    if (url.scheme == "https" and url.host) or (url.scheme == "http" and loopback(url.host)):
        return url
    raise Unacceptable("a server's address begins with https:// (http:// on this machine only): an API key is not sent in the clear")


def _secret(asked: Mapping[str, str | None]) -> bool:
    return any(asked.get(name) is not None for name in SECRET)


def body(client: httpx.Client, url: httpx.URL, asked: Mapping[str, str | None], document: Document) -> httpx.Request:
    """The document as the body, and what is asked in the address."""
    media_type = "application/pdf" if is_pdf(document.head(1024)) else "application/octet-stream"
    headers = {"Content-Type": media_type, "Content-Length": str(document.size)}
    if document.name:
        headers["Content-Disposition"] = "attachment; filename*=UTF-8''" + quote(document.name, safe="")
    said = {name: value for name, value in asked.items() if value is not None}
    return client.build_request("POST", url, params=said, headers=headers, content=document.chunks())


def form(client: httpx.Client, url: httpx.URL, asked: Mapping[str, str | None], files: Sequence[tuple[str, Document]]) -> httpx.Request:
    """Several files, each by the name of its field; secrets, which are no part of an address, go with them."""
    if len(files) + len(SECRET) > MOST_PARTS:
        raise TooLarge(f"a server takes at most {MOST_PARTS - len(SECRET)} files in one request, got {len(files)}")
    said = {name: value for name, value in asked.items() if value is not None}
    secrets = {name: said.pop(name) for name in SECRET & said.keys()}
    parts = [(field, (file.name or field, _stream(file), _media_type(file))) for field, file in files]
    return client.build_request("POST", url, params=said, data=secrets, files=parts)


def _media_type(file: Document) -> str:
    return "application/pdf" if is_pdf(file.head(1024)) else "application/octet-stream"


def _stream(file: Document) -> BinaryIO:
    return io.BufferedReader(Lent(file.open, file.size or 0))


def _pieces(spool: Any) -> Iterator[bytes]:
    with contextlib.closing(spool):
        spool.seek(0)
        while piece := spool.read(Document.CHUNK):
            yield piece


def _line(text: str) -> str:
    """Fit for a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _problem(response: httpx.Response) -> KakuinError:
    """The error that the server's problem stands for, by its HTTP status; its detail, made fit for a terminal."""
    body = b""
    for piece in response.iter_bytes():
        body += piece
        if len(body) > LARGEST_PROBLEM:
            break
    try:
        detail = str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        detail = response.reason_phrase or "no reason given"
    line = _line(detail[:500])
    every: list[type[KakuinError]] = [*KakuinError.__subclasses__(), *Unacceptable.__subclasses__()]
    # Of the kernel alone: what other rooms derive from them needs more to be made.
    kinds = {kind.status: kind for kind in reversed(every) if kind.__module__ == KakuinError.__module__}
    return kinds.get(response.status_code, KakuinError)(f"the server refused: {line}")
