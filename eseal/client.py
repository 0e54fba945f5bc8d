"""Sealing at another Kakuin: `POST /v1/seals` from the other side, streamed both ways."""

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import httpx

from eseal.spec import is_pdf
from trust import VERSION
from trust.edge.upload import file_name
from trust.errors import KakuinError, Unacceptable, Unauthorised, Unavailable
from trust.model import Document

SECRET = frozenset({"password"})
PATIENCE = httpx.Timeout(connect=10.0, read=300.0, write=300.0, pool=10.0)
"""Seconds. Sealing a large document at B-LTA takes its server a while before the first byte comes back."""
LARGEST_PROBLEM = 1 << 16
SPOOL = 16 << 20
"""Bytes that are kept in memory; more goes to a temporary file."""
Requesting = Callable[[httpx.Client, httpx.URL, contextlib.ExitStack], httpx.Request]
"""A request to an address; what it opens is closed when it was answered."""


def seal_at(
    server: str,
    api_key: str,
    document: Document,
    asked: Mapping[str, str | None],
    attached: Mapping[str, Document] = MappingProxyType({}),
    transport: httpx.BaseTransport | None = None,
) -> tuple[dict[str, Any], Iterator[bytes], str]:
    """What the server says of the seal, the sealed document in pieces, and its name. The document is whole before the first piece is given.
    What is `attached` (the image and the font of a visible seal) and a password travel with the document in one form.

    Unauthorised without a key; the server's problems (RFC 9457) become errors of the same kind; Unavailable when it does not answer.
    """
    return exchanged(server, "/v1/seals", api_key, lambda client, url, opened: _request(client, url, document, asked, attached, opened), transport)


def exchanged(
    server: str, path: str, api_key: str, request_to: Requesting, transport: httpx.BaseTransport | None = None
) -> tuple[dict[str, Any], Iterator[bytes], str]:
    """What seal_at() gives, of the request that `request_to` makes."""
    if not api_key:
        raise Unauthorised("an API key is needed: --api-key-file FILE, or KAKUIN_API_KEY in the environment")
    url = httpx.URL(server.rstrip("/") + path)
    if url.scheme not in ("http", "https") or not url.host:
        raise Unacceptable("a server is an http or https address")
    spool = tempfile.SpooledTemporaryFile(SPOOL)  # noqa: SIM115  # closed when the last piece is given
    try:
        with contextlib.ExitStack() as opened, httpx.Client(timeout=PATIENCE, transport=transport, trust_env=False) as client:
            request = request_to(client, url, opened)
            request.headers["Authorization"] = f"Bearer {api_key}"
            request.headers["User-Agent"] = f"kakuin/{VERSION}"
            response = client.send(request, stream=True)
            opened.callback(response.close)
            if response.status_code != 200:
                raise _problem(response)
            for piece in response.iter_bytes():
                spool.write(piece)
            said = response.headers
    except httpx.HTTPError as error:
        spool.close()
        raise Unavailable(f"{url.host} does not answer ({type(error).__name__})") from error
    except BaseException:
        spool.close()
        raise
    if int(said.get("content-length", spool.tell())) != spool.tell() or spool.tell() == 0:
        spool.close()
        raise Unavailable(f"{url.host} sent a part of the sealed document only")
    facts: dict[str, Any] = {name: said.get(f"kakuin-{name}") for name in ("format", "level", "seal")}
    facts["warnings"] = [line for line in map(_line, said.get("kakuin-warning", "").split("; ")) if line]
    if asked_level := said.get("kakuin-level-asked"):
        facts["asked_level"] = _line(asked_level)
    return facts, _pieces(spool), file_name(said.get("content-disposition", "")) or "sealed"


def _request(
    client: httpx.Client,
    url: httpx.URL,
    document: Document,
    asked: Mapping[str, str | None],
    attached: Mapping[str, Document],
    opened: contextlib.ExitStack,
) -> httpx.Request:
    """The document as the body; in a form where files or secrets, which are no part of an address, go with it."""
    media_type = "application/pdf" if is_pdf(document.head(1024)) else "application/octet-stream"
    said = {name: value for name, value in asked.items() if value is not None}
    secrets = {name: said.pop(name) for name in SECRET & said.keys()}
    if attached or secrets:
        files = [(name, (file.name or name, opened.enter_context(file.open()), "application/octet-stream")) for name, file in attached.items()]
        whole = ("document", (document.name or "document", opened.enter_context(document.open()), media_type))
        return client.build_request("POST", url, params=said, data=secrets, files=[*files, whole])
    headers = {"Content-Type": media_type, "Content-Length": str(document.size)}
    if document.name:
        headers["Content-Disposition"] = "attachment; filename*=UTF-8''" + quote(document.name, safe="")
    return client.build_request("POST", url, params=said, headers=headers, content=document.chunks())


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
    kinds = {kind.status: kind for kind in every if kind.__module__ == KakuinError.__module__}
    return kinds.get(response.status_code, KakuinError)(f"the server refused: {line}")
