"""What the `sigD` of a JAdES signature names (ETSI TS 119 182-1 clause 5.2.8), and the payload that follows from it."""

import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from trust.codecs import jose
from trust.errors import Malformed, Unacceptable
from trust.model import Document

_ETSI = "http://uri.etsi.org/19182/"
BY_URI, BY_URI_HASH, HTTP_HEADERS = _ETSI + "ObjectIdByURI", _ETSI + "ObjectIdByURIHash", _ETSI + "HttpHeaders"
DIGESTS = MappingProxyType({"sha256": "S256", "sha384": "S384", "sha512": "S512"})
"""Clause 5.2.2.2, table 1."""
BODY = "digest"
"""The field that stands for the body of an HTTP message (RFC 3230)."""
MOST_FIELDS, LONGEST_FIELD = 200, 1 << 16
"""Fields of a message, and bytes of one's value: what servers take, and more."""
_FIELD = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}|\(request-target\)")
"""RFC 9110 section 5.1; and the pseudo-field of method and path."""


def by_uri(documents: Sequence[Document]) -> dict[str, Any]:
    """Clause 5.2.8.3.2: each by its name, as a URI reference; their bytes are the payload."""
    return _typed({"mId": BY_URI, "pars": names(documents)}, documents)


def by_uri_hash(documents: Sequence[Document], digest: str) -> dict[str, Any]:
    """Clause 5.2.8.3.3: each by its name and digest; the payload is empty. Malformed where the digest is not known."""
    if digest not in DIGESTS:
        raise Unacceptable(f"{digest} has no name in JAdES")
    found = [d.digest(digest) for d in documents]
    values = [jose.encoded(d.value) for d in found if d is not None]
    if len(values) < len(found):
        raise Malformed("only digests of this document are known, and not this one")
    return _typed({"mId": BY_URI_HASH, "pars": names(documents), "hashM": DIGESTS[digest], "hashV": values}, documents)


def by_fields(documents: Sequence[Document]) -> dict[str, Any]:
    """Clause 5.2.8.2: the names of fields of an HTTP message, and `digest` for its body."""
    return {"mId": HTTP_HEADERS, "pars": [*(_name(d) for d in documents[1:]), BODY]}


def names(documents: Sequence[Document]) -> list[str]:
    return [quote(d.name or "document", errors="replace") for d in documents]


def _typed(named: dict[str, Any], documents: Sequence[Document]) -> dict[str, Any]:
    types = [d.media_type for d in documents]
    # One content type for each file, or none (clause 5.2.8.1).
    return named if None in types else named | {"ctys": types}


# HTTP (clause 5.2.8.2): the body is the first document, and each other one is a field: its name and its value.


def require_fields(documents: Sequence[Document]) -> None:
    """Unacceptable for what cannot be fields of one HTTP message."""
    if len(documents) - 1 > MOST_FIELDS:
        raise Unacceptable(f"an HTTP message is sealed with at most {MOST_FIELDS} fields, got {len(documents) - 1}")
    given = [_name(d) for d in documents[1:]]
    if len(set(given)) < len(given) or BODY in given:
        raise Unacceptable(f"each field of an HTTP message is given once, and {BODY} follows from the body")
    for document in documents[1:]:
        _line(document)


def fields(documents: Sequence[Document]) -> bytes:
    """What is signed: a line for each field, and the body's SHA-256 (RFC 3230) as the field `digest`."""
    made = documents[0].digest("sha256")
    if made is None:
        raise Malformed("only digests of this document are known")
    return b"\n".join((*(_line(d) for d in documents[1:]), f"{BODY}: SHA-256=".encode() + b64encode(made.value)))


def archived_fields(documents: Sequence[Document]) -> Iterator[bytes]:
    """What an archive time-stamp hashes: the same, with the body itself in the place of its digest."""
    for document in documents[1:]:
        yield _line(document) + b"\n"
    yield from documents[0].chunks()


def _name(document: Document) -> str:
    name = (document.name or "").lower()
    if not _FIELD.fullmatch(name):
        raise Unacceptable("a document beside the body of an HTTP message has the name of a field, such as content-type")
    return name


def _line(document: Document) -> bytes:
    """The field's name in small letters and its value without blanks around it, on one line."""
    if (document.size or 0) > LONGEST_FIELD:
        raise Unacceptable(f"the value of an HTTP field is at most {LONGEST_FIELD} bytes, got {document.size}")
    value = document.read(LONGEST_FIELD).strip()
    if any((c < 0x20 and c != 0x09) or c == 0x7F for c in value):
        raise Unacceptable("the value of an HTTP field is one line without control characters (RFC 9110 section 5.5)")
    return _name(document).encode() + b": " + value
