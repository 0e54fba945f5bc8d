"""What an archive time-stamp of JAdES hashes in the payload's place (ETSI TS 119 182-1 clauses 5.2.8, 5.3.6.3): of the JWS, or of files given."""

from collections.abc import Iterator, Sequence
from urllib.parse import unquote

from trust.codecs import jose
from trust.codecs.jose import Jws
from trust.errors import Unacceptable
from trust.model import Document

_BY_URI = ("http://uri.etsi.org/19182/ObjectIdByURI", "http://uri.etsi.org/19182/ObjectIdByURIHash")
_HTTP_HEADERS = "http://uri.etsi.org/19182/HttpHeaders"
_LONGEST_FIELD = 1 << 16
"""Bytes of the value of a field of HTTP."""


def archived_payload(jws: Jws, detached: Sequence[Document]) -> Iterator[bytes]:
    """Unacceptable where a file is not here, or `sigD` says something that is not known here."""
    if jws.content is not None and jws.content.text:
        return iter((jws.content.octets,))
    said = jws.header.get("sigD")
    if said is None:
        if len(detached) != 1:
            raise _missing()
        return _octets(jws, detached)
    names = said.get("pars") if isinstance(said, dict) else None
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        raise Unacceptable("sigD of the signature names nothing")
    if said.get("mId") in _BY_URI:
        return _octets(jws, [_named(name, names, detached) for name in names])
    if said.get("mId") == _HTTP_HEADERS:
        return _fields(names, detached)
    raise Unacceptable("sigD of the signature uses a mechanism that is not known here")


def _missing() -> Unacceptable:
    return Unacceptable("an archive time-stamp is over the signed files too, and one is not here: name it (detached)")


def _octets(jws: Jws, documents: Sequence[Document]) -> Iterator[bytes]:
    """Clause 5.2.8.3.2: each as it is, or as base64url where b64 is not false."""
    for document in documents:
        if not document.readable:
            raise _missing()
        yield from jose.encoded_chunks(document.chunks()) if jws.b64 else document.chunks()


def _named(name: str, names: Sequence[str], detached: Sequence[Document]) -> Document:
    """By its name, by the last part of it, or the only one."""
    if len(names) == 1 and len(detached) == 1:
        return detached[0]
    found = [d for d in detached if d.name in (name, unquote(name))] or [d for d in detached if d.name and _tail(d.name) == _tail(name)]
    if len(found) != 1:
        raise _missing()
    return found[0]


def _tail(name: str) -> str:
    return unquote(name).replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]


def _fields(names: Sequence[str], detached: Sequence[Document]) -> Iterator[bytes]:
    """Clause 5.2.8.2: fields of HTTP, each in a file of its name; where `digest` is named, the body itself stands in its place."""
    listed = {name.lower() for name in names}
    given = {d.name.lower(): d for d in detached if d.name is not None and d.readable}
    others = [d for d in detached if d.readable and (d.name is None or d.name.lower() not in listed)]
    for at, name in enumerate(map(str.lower, names)):
        if at:
            yield b"\n"
        if name == "digest" and len(others) == 1:
            yield from others[0].chunks()
        elif name in given:
            yield name.encode() + b": " + given[name].read(_LONGEST_FIELD).strip()
        else:
            raise _missing()
