"""ASiC containers whose signature is made elsewhere: the documents stay here, and so does the manifest; only digests are sent.

ASiC-S holds a detached signature as it comes (EN 319 162-1 clause 4.3.3.2). In ASiC-E with CAdES the signature is over an ASiCManifest, which is
made here, so that not even the names of the documents leave (clause 4.4.3.2); with XAdES it refers to each document (clause 4.4.3.1). Under
exclusive canonicalisation an XML signature is the same wherever it stands, so that it is put into asic:XAdESSignatures (annex A.5) here.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

import httpx

from eseal.claims import NAMES as CLAIMS
from eseal.claims import claims_of
from eseal.dataset import joined
from eseal.draft import assembled
from eseal.formats.asic import (
    MANIFEST,
    MOST,
    SIGNATURE,
    SIGNATURE_TYPE,
    SIGNATURES,
    SIMPLE_SIGNATURE,
    SIMPLE_SIGNATURES,
    XML_HEAD,
    XML_TAIL,
    Listed,
    Packed,
    entry_name,
    manifest,
    packed,
)
from eseal.hash_client import digested, seal_hashes_at
from eseal.service import name_of, sealed_name, typed
from eseal.spec import Canonicalization, Format, Level, Spec, choose, media_type
from trust.errors import Malformed, Unacceptable
from trust.model import Document

HIGHEST: Mapping[Format, Level] = MappingProxyType(
    {Format.ASIC_S_CADES: Level.B_LTA, Format.ASIC_S_XADES: Level.B_LT, Format.ASIC_E_CADES: Level.B_LT, Format.ASIC_E_XADES: Level.B_LT}
)
"""What can be made from digests; also the default."""
_INSIDE: Mapping[Format, Format] = MappingProxyType(
    {
        Format.ASIC_S_CADES: Format.CADES,
        Format.ASIC_S_XADES: Format.XADES,
        Format.ASIC_E_CADES: Format.CADES,
        Format.ASIC_E_XADES: Format.XADES,
    }
)
"""The signature that is asked for."""
LARGEST = 1 << 26
"""Bytes of a signature."""
_DECLARED = b"?>\n"


def boxes(form: str | None) -> bool:
    """Whether this is a container's format."""
    return form is not None and form.lower() in set(HIGHEST)


def spec_of(asked: Mapping[str, str | None]) -> Spec:
    """What was asked for, as a whole. Unacceptable for what a container has not, or has not from digests."""
    form = Format(str(asked["format"]).lower())
    spec = choose(
        b"",
        format=form,
        level=asked.get("level") or HIGHEST[form],
        packaging=asked.get("packaging"),
        digest=asked.get("digest"),
        claims=claims_of({name: asked.get(name) for name in CLAIMS}),
        serialization=asked.get("serialization"),
        mechanism=asked.get("mechanism"),
        degrade=asked.get("degrade"),
        components=asked.get("components"),
        canonicalization=asked.get("canonicalization"),
        addition=asked.get("addition"),
    )
    order = list(Level)
    if order.index(spec.level) > order.index(HIGHEST[form]):
        raise Unacceptable(f"from digests {form} is made up to {HIGHEST[form]}, got {spec.level}; `kakuin extend` adds the archive time-stamp")
    if spec.canonicalization is not Canonicalization.EXCLUSIVE or spec.addition is not None:
        raise Unacceptable(f"from digests {form} is sealed anew and under exclusive canonicalization, got {spec.addition or spec.canonicalization}")
    return spec


def seal_box_at(
    server: str,
    api_key: str,
    documents: Sequence[Document],
    asked: Mapping[str, str | None],
    names: Sequence[str],
    at: datetime,
    transport: httpx.BaseTransport | None = None,
) -> tuple[dict[str, Any], Iterator[bytes], str]:
    """As eseal.client.seal_at(): a container of documents, of which the server is told digests (`names`, of hashlib) alone.

    `at` is the time of its entries. Each document is read for its digests, for its checksum, and when the container is written.
    """
    spec = spec_of(asked)
    if len(documents) > MOST[spec.format]:
        raise Unacceptable(f"{spec.format} holds at most {MOST[spec.format]} documents, got {len(documents)}")
    flat = MOST[spec.format] == 1
    given = [_named(d, names, entry_name(d.name, flat=flat)) for d in typed(tuple(documents), spec)]
    sent = {**asked, "format": str(_INSIDE[spec.format]), "level": str(spec.level), "packaging": None}
    signed, meta = [Document(d.name, None, None, d.known) for d in given], list[tuple[str, bytes]]()
    if spec.format is Format.ASIC_E_CADES:
        listed = [Listed(d.name or "", found, d.media_type) for d in given if (found := d.digest(names[-1] if spec.digest else names[0]))]
        meta.append((MANIFEST, manifest(SIGNATURE, SIGNATURE_TYPE, listed)))
        signed, sent = [digested(Document.of(meta[0][1], MANIFEST.rpartition("/")[2]), names)], {**sent, "mime_type": None}
    facts, pieces, _ = seal_hashes_at(server, api_key, signed, sent, transport)
    meta.append(_held(spec.format, b"".join(pieces)))
    made = assembled(joined(given), packed(Packed(spec.format, tuple(given), tuple(meta)), at), None, media_type(spec)[0])
    return {**facts, "format": str(spec.format)}, made.chunks(), sealed_name(name_of(documents), spec)


def _named(document: Document, names: Sequence[str], name: str) -> Document:
    """The document by its name in the container, with these digests from one reading."""
    return Document(name, document.size, document.open, digested(document, names).known, document.media_type)


def _held(form: Format, signature: bytes) -> tuple[str, bytes]:
    """The file of META-INF that holds a signature."""
    if len(signature) > LARGEST:
        raise Malformed(f"the server's signature is over {LARGEST} bytes")
    if _INSIDE[form] is Format.CADES:
        return (SIMPLE_SIGNATURE if form is Format.ASIC_S_CADES else SIGNATURE), signature
    declaration, _, element = signature.partition(_DECLARED)
    if not declaration.startswith(b"<?xml ") or not element.startswith(b"<ds:Signature "):
        raise Malformed("the server's answer is not an XML signature")
    return (SIMPLE_SIGNATURES if form is Format.ASIC_S_XADES else SIGNATURES), XML_HEAD + element + XML_TAIL
