"""ASiC containers whose signature is made elsewhere: the documents stay here, and so does the manifest; only digests are sent.

ASiC-S holds a detached signature as it comes (EN 319 162-1 clause 4.3.3.2). In ASiC-E with CAdES the signature is over an ASiCManifest, which is
made here, so that not even the names of the documents leave (clause 4.4.3.2); with XAdES it refers to each document (clause 4.4.3.1). Under
exclusive canonicalisation an XML signature is the same wherever it stands, so that it is put into asic:XAdESSignatures (annex A.5) here.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from eseal.claims import NAMES as CLAIMS
from eseal.claims import claims_of
from eseal.dataset import joined
from eseal.draft import assembled
from eseal.formats import archive
from eseal.formats.asic import (
    ARCHIVE_MANIFEST,
    MANIFEST,
    MOST,
    SIGNATURE,
    SIGNATURE_TYPE,
    SIGNATURES,
    SIMPLE_SIGNATURE,
    SIMPLE_SIGNATURES,
    TIME_STAMP,
    XML_HEAD,
    XML_TAIL,
    Listed,
    Packed,
    archive_manifest,
    entry_name,
    manifest,
    packed,
)
from eseal.hashes.client import BOXED, Made, Next, There, digested, digests_for, facts_of, highest, seal_hashes_at, short
from eseal.hashes.told import octets_in, status_in
from eseal.levels import stamped
from eseal.service import name_of, sealed_name, typed
from eseal.spec import Canonicalization, Format, Level, Spec, choose, media_type
from trust.errors import Malformed, Unacceptable, Unavailable
from trust.model import Digest, Document

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
_Meta = list[tuple[str, bytes]]
"""Files of META-INF."""


def boxes(form: str | None) -> bool:
    """Whether this is a container's format."""
    return form is not None and form.lower() in BOXED


def spec_of(asked: Mapping[str, str | None]) -> Spec:
    """What was asked for, as a whole. Unacceptable for what a container has not, or has not from digests."""
    form = Format(str(asked["format"]).lower())
    spec = choose(
        b"",
        format=form,
        level=asked.get("level") or highest(form),
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
    if spec.canonicalization is not Canonicalization.EXCLUSIVE or spec.addition is not None:
        raise Unacceptable(f"from digests {form} is sealed anew and under exclusive canonicalization, got {spec.addition or spec.canonicalization}")
    return spec


def seal_box_at(there: There, documents: Sequence[Document], asked: Mapping[str, str | None], names: Sequence[str], at: datetime) -> Made:
    """As eseal.client.seal_at(): a container of documents, of which the server is told digests (`names`, of hashlib) alone.

    `at` is the time of its entries. Each document is read for its digests, for its checksum, and when the container is written; at B-LTA with XAdES
    once more.
    """
    spec = spec_of(asked)
    if len(documents) > MOST[spec.format]:
        raise Unacceptable(f"{spec.format} holds at most {MOST[spec.format]} documents, got {len(documents)}")
    flat = MOST[spec.format] == 1
    given = [_named(d, names, entry_name(d.name, flat=flat)) for d in typed(tuple(documents), spec)]
    sent = {**asked, "format": str(_INSIDE[spec.format]), "level": str(spec.level), "packaging": None}
    signed, meta = [Document(d.name, None, None, d.known) for d in given], _Meta()
    if spec.format is Format.ASIC_E_CADES:
        facts, meta = _manifested(there, given, sent, names[-1] if spec.digest else names[0])
    else:
        facts, signature = seal_hashes_at(there, given, signed, sent)
        meta.append(_held(spec.format, signature.read(LARGEST)))
    pieces = packed(Packed(spec.format, tuple(given), tuple(meta)), at)
    made = assembled(joined(given), pieces, sealed_name(name_of(documents), spec), media_type(spec)[0])
    return {**facts, "format": str(spec.format), "packaging": str(spec.packaging)}, made


def _manifested(
    there: There, given: Sequence[Document], sent: Mapping[str, str | None], digest: str
) -> tuple[dict[str, Any], list[tuple[str, bytes]]]:
    """EN 319 162-1 clause 4.4.3.2: what the server is told of is the manifest, and at B-LTA then the archive manifest. What it said, and META-INF."""
    listed = [Listed(d.name or "", found, d.media_type) for d in given if (found := d.digest(digest))]
    document = Document.of(manifest(SIGNATURE, SIGNATURE_TYPE, listed), MANIFEST.rpartition("/")[2])
    told, sent = digested(document, digests_for(sent.get("digest"))), {**sent, "mime_type": None}
    meta = [(MANIFEST, document.read(LARGEST))]
    if sent["level"] != Level.B_LTA:
        facts, signature = seal_hashes_at(there, [document], [told], sent)
        return facts, [*meta, _held(Format.ASIC_E_CADES, signature.read(LARGEST))]
    first = there.first_told([told], {**sent, "format": str(Format.ASIC_E_CADES)})
    meta.append(_held(Format.ASIC_E_CADES, octets_in(first.get("signature"), "signature")))
    if "next" not in first:
        return facts_of(first), meta
    due = Next.of(first["next"], [told])
    everything = archive_manifest(listed, meta, digest)
    try:
        last = there.last_told(due, Digest.of(due.digest, everything))
    except Unavailable as error:
        return short(first, sent, error), meta
    token = stamped(lambda _: octets_in(last.get("token"), "token"), Digest.of(due.digest, everything))
    facts = {**facts_of(last), "warnings": [*facts_of(first)["warnings"], *facts_of(last)["warnings"]]}
    return facts, [*meta, (ARCHIVE_MANIFEST, everything), (TIME_STAMP, archive.completed(token.der, status_in(last.get("values"))))]


def _named(document: Document, names: Sequence[str], name: str) -> Document:
    """The document by its name in the container, with these digests from one reading."""
    return Document(name, document.size, document.open, digested(document, names).known, document.media_type)


def _held(form: Format, signature: bytes) -> tuple[str, bytes]:
    """The file of META-INF that holds a signature."""
    if _INSIDE[form] is Format.CADES:
        return (SIMPLE_SIGNATURE if form is Format.ASIC_S_CADES else SIGNATURE), signature
    declaration, _, element = signature.partition(_DECLARED)
    if not declaration.startswith(b"<?xml ") or not element.startswith(b"<ds:Signature "):
        raise Malformed("the server's answer is not an XML signature")
    return (SIMPLE_SIGNATURES if form is Format.ASIC_S_XADES else SIGNATURES), XML_HEAD + element + XML_TAIL
