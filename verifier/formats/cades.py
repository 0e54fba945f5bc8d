"""CAdES and plain CMS signatures (EN 319 122-1, RFC 5652): attached, detached, parallel, counter-signed, with all their stamps.

Recognised from the bytes: a ContentInfo of type SignedData, bare, PEM or base64. RFC 3161 tokens are `verifier.formats.tst`.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from trust.codecs import asn1, cms
from trust.codecs.asn1 import Node, Rules
from trust.codecs.cades import EVIDENCE_RECORD, EXTERNAL_EVIDENCE_RECORD, ValidationData
from trust.codecs.signed_data import SignedData, SignerInfo, content_info, signed_data
from trust.errors import Malformed, TooLarge
from trust.model import Cert, Document, Evidence, Signature, Stamp, Uncovered
from verifier.formats.cms_levels import Archive, cades_level
from verifier.formats.cms_records import with_records
from verifier.formats.cms_signers import Signed, matching, signers
from verifier.formats.cms_stamps import document_id

MAX_CMS = 8 << 30
"""Bytes of a CMS file: attached content is read where it lies."""
MAX_ARMOURED = 256 << 20
"""Bytes of one in PEM or base64, which is unpacked in memory."""
_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
_ARMOUR = re.compile(rb"\s*-----BEGIN (?:CMS|PKCS7|PKCS #7 SIGNED DATA)-----([A-Za-z0-9+/=\s]*)-----END ")
_HEAD = 64


def claims(head: bytes) -> bool:
    """Whether a file that begins so is a SignedData."""
    return der_of(head, whole=False) is not None


def der_of(data: bytes, *, whole: bool = True) -> bytes | None:
    """The ContentInfo in these bytes, unarmoured where it is PEM or base64; None when there is none. Without `whole`, of a file's first bytes."""
    if data[:1] == b"\x30":
        return data if _SIGNED_DATA in data[:_HEAD] else None
    armoured = _ARMOUR.match(data if whole else data + b"-----END ")
    text = armoured[1] if armoured else data
    if not armoured and not re.match(rb"\s*MI[A-Za-z0-9+/]", data[:80]):
        return None
    text = re.sub(rb"\s+", b"", text)
    bare = text.rstrip(b"=")  # a small file is its own beginning, padding included
    try:
        found = base64.b64decode(text if whole else bare[: len(bare) // 4 * 4], validate=True)
    except binascii.Error:
        return None
    return found if found[:1] == b"\x30" and _SIGNED_DATA in found[:_HEAD] else None


def read(document: Document, detached: Sequence[Document] = (), certs: Iterable[Cert] = ()) -> Evidence:
    """The evidence in a CMS signature. `detached` holds the content where it is not inside; `certs` are further candidates for signers."""
    if document.head(1) == b"\x30":
        return evidence(content_info(document, MAX_CMS), detached, certs)
    if document.size is not None and document.size > MAX_ARMOURED:
        raise TooLarge(f"a CMS file in PEM or base64 is read up to {MAX_ARMOURED} bytes, got {document.size}: unpack it to DER")
    der = der_of(document.read(MAX_ARMOURED))
    if der is None:
        raise Malformed("not a CMS signature")
    return evidence(asn1.parse(der, Rules.BER), detached, certs)


def evidence(whole: Node, detached: Sequence[Document] = (), certs: Iterable[Cert] = ()) -> Evidence:
    """The evidence in a ContentInfo with SignedData."""
    signed = signed_data(whole)
    if not signed.signers:
        return Evidence("CMS", certs=frozenset(signed.certs), crls=frozenset(signed.crls), ocsps=frozenset(signed.ocsps))
    attached = signed.attached

    def content_of(info: SignerInfo) -> Document | None:
        return attached if attached is not None else matching(info, detached)

    name = "attached content" if attached is not None else "detached content"
    found = signers(signed, content_of, name, certs=certs)
    made = gathered("CMS", signed, found, levelled(signed, found), (attached,) if attached is not None else tuple(detached))
    made = replace(made, uncovered=_loose(found, detached))
    if not any(info.unsigned_of(EVIDENCE_RECORD, EXTERNAL_EVIDENCE_RECORD) for info in signed.signers):
        return made
    content = dict.fromkeys(one.place.content for one in found if one.master is None and one.place.content is not None)
    return with_records(made, whole, signed, tuple(content), certs)


def _loose(found: Sequence[Signed], detached: Sequence[Document]) -> tuple[Uncovered, ...]:
    """Files that were given as what is signed, and that no signature here signs."""
    contents = [one.place.content for one in found if one.master is None and one.place.content is not None]
    known = frozenset(i for content in contents for i in document_id(content))
    loose = [d for d in detached if not any(d is content for content in contents) and not (document_id(d) and document_id(d) <= known)]
    return tuple(Uncovered(d.name or "a file without a name", "given as signed content, and no signature covers it") for d in loose)


def levelled(signed: SignedData, found: Sequence[Signed], container_stamps: tuple[Stamp, ...] = ()) -> tuple[Signature, ...]:
    """The signatures with their levels."""
    archive = Archive(data_of(signed, found), tuple(s.place.info for s in found), container_stamps)
    return tuple(replace(s.signature, level=cades_level(s, archive)) for s in found)


def data_of(signed: SignedData, found: Sequence[Signed]) -> ValidationData:
    """Everything for validation that the SignedData, its attributes and its tokens carry."""
    data = ValidationData(signed.certs, signed.crls, signed.ocsps)
    for one in found:
        data |= one.data
        for stamp in one.stamps:
            data |= ValidationData(stamp.token.certs, stamp.token.crls, stamp.token.ocsps)
    return data


def gathered(
    kind: str, signed: SignedData, found: Sequence[Signed], signatures: tuple[Signature, ...], documents: tuple[Document, ...] = ()
) -> Evidence:
    """Evidence of these signers."""
    data = data_of(signed, found)
    return Evidence(
        kind,
        signatures,
        tuple(s for one in found for s in one.stamps),
        certs=frozenset(data.certs),
        crls=frozenset(data.crls),
        ocsps=frozenset(data.ocsps),
        documents=documents,
    )


def is_token(der: bytes) -> bool:
    """Whether a SignedData holds a TSTInfo: then it is `verifier.formats.tst` that reads it."""
    try:
        return signed_data(der).content_type == cms.TST_INFO
    except Malformed:
        return False
