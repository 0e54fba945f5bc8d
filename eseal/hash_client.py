"""Sealing at another Kakuin without sending the document: `POST /v1/seals/hashes` from the other side. Name and digests leave, no more."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx

from eseal.client import exchanged
from eseal.hashes import JOURNAL, PATH
from eseal.spec import digest_named
from trust.algorithms import hasher
from trust.errors import Malformed
from trust.model import Digest, Document

USUAL = ("sha256", "sha384", "sha512")
"""Which one the organisation's key signs its server knows: all that are common are made in one reading."""


def digested(document: Document, names: Sequence[str]) -> Document:
    """The document as others are told of it: its name and these digests, from one reading. Malformed for one that is empty."""
    running = {name: hasher(name) for name in names}
    empty = True
    for chunk in document.chunks():
        empty = False
        for one in running.values():
            one.update(chunk)
    if empty:
        raise Malformed("the document is empty")
    return Document(document.name, None, None, tuple(Digest(name, one.digest()) for name, one in running.items()))


def digests_for(asked: str | None) -> tuple[str, ...]:
    """Names (of hashlib) of what is computed: one that was asked for and the journal's, or all that are usual.

    Unacceptable for one that there is not."""
    if asked is None:
        return USUAL
    return tuple(dict.fromkeys((JOURNAL, digest_named(asked))))


def seal_hashes_at(
    server: str, api_key: str, documents: Sequence[Document], asked: Mapping[str, str | None], transport: httpx.BaseTransport | None = None
) -> tuple[dict[str, Any], Iterator[bytes], str]:
    """As eseal.client.seal_at(), of documents that were digested()."""
    listed = [
        {"name": d.name or "document", "digests": {known.algorithm.replace("_", "-"): known.value.hex() for known in d.known}} for d in documents
    ]
    body = {**{name: value for name, value in asked.items() if value is not None}, "documents": listed}
    return exchanged(server, PATH, api_key, lambda client, url: client.build_request("POST", url, json=body), transport)
