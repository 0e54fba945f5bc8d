"""Extending at another Kakuin: `POST /v1/extensions` from the other side."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx

from eseal.client import answered, body, form
from eseal.extend_material import Known
from trust.model import Document

PATH = "/v1/extensions"


def extend_at(
    server: str,
    api_key: str,
    document: Document,
    detached: Sequence[Document],
    known: Known,
    asked: Mapping[str, str | None],
    transport: httpx.BaseTransport | None = None,
) -> tuple[dict[str, Any], Iterator[bytes], str]:
    """What the server says of the extension, the extended document in pieces, and its name; `asked` are options by their names there.

    What is given beside the document goes with it in one form. Errors are those of eseal.client.seal_at().
    """
    beside = [("detached", d) for d in detached] + _files(known)
    files = [("document", document), *beside] if beside or asked.get("password") is not None else []

    def request(client: httpx.Client, url: httpx.URL) -> httpx.Request:
        return form(client, url, asked, files) if files else body(client, url, asked, document)

    got = answered(server, PATH, api_key, request, transport, document=True)
    facts = {
        "format": got.text("format"),
        "level": got.text("level"),
        "before": _listed(got.text("level-before")),
        "after": _listed(got.text("level-after")),
        "conclusion": got.text("conclusion"),
        **got.facts("extension"),
    }
    return facts, got.pieces, got.name or "extended"


def _files(known: Known) -> list[tuple[str, Document]]:
    """Each certificate, list and answer as a file."""
    ders = (
        *(("trust", c.der) for c in known.anchors),
        *(("certificate", c.der) for c in known.certificates),
        *(("crl", c.der) for c in known.crls),
        *(("ocsp", o.der) for o in known.ocsps),
    )
    return [(field, Document.of(der, f"{field}{number}.der")) for number, (field, der) in enumerate(ders)]


def _listed(text: str) -> list[str]:
    return [level for level in text.split(", ") if level]
