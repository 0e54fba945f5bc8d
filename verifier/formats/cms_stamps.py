"""The time-stamps in a CMS signature's attributes, each held against the bytes that it must cover.

EN 319 122-1 clauses 5.2.8, 5.3, 5.5 and annex A.1.5; TS 101 733 clause 6.4.1 for archive time-stamps of version 2.

Fields are hashed as they stand in the file, tag and length included. Errors: none; a token that cannot be read becomes a Defect of the signature.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from trust.codecs import asn1, cades
from trust.codecs.asn1 import context
from trust.codecs.cades import ValidationData
from trust.codecs.cms import digest_of, signature_id, token
from trust.codecs.signed_data import Attribute, SignedData, SignerInfo, ocsp_response, signed_data, signer_info
from trust.errors import Malformed, Unacceptable
from trust.model import Cert, Defect, Digest, Document, Id, Stamp, StampKind, Token

MAX_STAMPS = 500
"""Tokens of one signature."""

Pieces = Iterable[bytes]


@dataclass(frozen=True, slots=True)
class Place:
    """A signer in its SignedData, with what it signs: everything that a stamp over it may have to hash."""

    signed: SignedData
    info: SignerInfo
    content: Document | None
    """None: the signed content was not found."""
    signer: Cert | None
    certs: tuple[Cert, ...]
    """Candidates for the signers of tokens."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A stamp with the attribute that holds it."""

    oid: str
    stamp: Stamp
    index: "cades.HashIndex | None" = None


@dataclass(frozen=True, slots=True)
class _Found:
    """A token in its attribute, before it is judged by its imprint."""

    attribute: Attribute
    token: Token
    signer: SignerInfo


def stamps(place: Place) -> tuple[tuple[Placed, ...], tuple[Defect, ...]]:
    """All stamps of a signer, in the order of the file, and the tokens that cannot be read, as defects."""
    found: list[_Found] = []
    defects: list[Defect] = []
    for attribute in (*place.info.signed_of(cades.CONTENT_TIME_STAMP), *place.info.unsigned_of(*_KINDS)):
        if not attribute.values:
            defects.append(Defect("EN 319 122-1 clause 5.3", "time-stamp attribute is empty", fatal=False, refused=True))
        for value in attribute.values:
            if len(found) >= MAX_STAMPS:
                raise Malformed(f"CMS: more than {MAX_STAMPS} time-stamps in one signature")
            try:
                found.append(_Found(attribute, token(value.raw, place.certs), signed_data(value).signers[0]))
            except Malformed as error:
                defects.append(Defect("EN 319 122-1 clause 5.3", f"time-stamp cannot be read: {error}", fatal=False, refused=True))
    return tuple(_placed(place, f, found) for f in found), tuple(defects)


def _placed(place: Place, found: _Found, others: list[_Found]) -> Placed:
    kind, judge = _KINDS[found.attribute.oid]
    matched, covers, defects = judge(place, found, others)
    stamp = Stamp(
        found.token, kind, bool(matched), covers if matched else frozenset(), signature_id(place.info), found=matched is not None, defects=defects
    )
    index = None
    if found.attribute.oid == cades.ARCHIVE_TIME_STAMP_V3:
        index = _index(found)
    return Placed(found.attribute.oid, stamp, index)


_Judged = tuple[bool | None, frozenset[Id], tuple[Defect, ...]]
"""Whether the imprint matches (None: its data were not found), what it then covers, and what is odd about it."""


def matches(imprint: Digest, pieces: Pieces) -> bool:
    """Whether the imprint is the digest of these pieces; False where the algorithm is not available here."""
    made = digest_of(pieces, imprint.algorithm)
    return made is not None and made == imprint


def document_digest(document: Document | None, algorithm: str | None) -> Digest | None:
    """None where the document is not there, or the digest is unknown or not available."""
    if document is None or algorithm is None:
        return None
    try:
        return document.digest(algorithm)
    except Unacceptable:
        return None


def document_id(document: Document | None) -> frozenset[Id]:
    """The identity of a document: its SHA-256, where it can be known."""
    found = document_digest(document, "sha256")
    return frozenset() if found is None else frozenset((Id(found.value),))


def _content(place: Place, found: _Found, _: list[_Found]) -> _Judged:
    """Clause 5.2.8: over the content octets, without tag and length."""
    made = document_digest(place.content, found.token.imprint.algorithm)
    return (None if made is None else made == found.token.imprint), document_id(place.content), ()


def _signature(place: Place, found: _Found, _: list[_Found]) -> _Judged:
    """Clause 5.3: over the signature value."""
    return matches(found.token.imprint, (place.info.value,)), _signature_ids(place), ()


def _signature_ids(place: Place) -> frozenset[Id]:
    """The signature, and the certificate that its signed attributes name by digest."""
    signer = () if place.signer is None else (place.signer.id,)
    return frozenset((signature_id(place.info), *signer))


def _attribute_bytes(info: SignerInfo, *oids: str) -> Iterator[bytes]:
    """attrType and attrValues of these unsigned attributes, without the outer SEQUENCE, by type in the order given (annex A.1.5.1, NOTE 2)."""
    for oid in oids:
        for attribute in info.unsigned_of(oid):
            yield from (n.raw for n in attribute.node.children)


def _complete(place: Place, found: _Found, others: list[_Found]) -> _Judged:
    """Annex A.1.5.1, CAdES-C-timestamp: over the signature value, the signature time-stamps and the references."""
    pieces = (place.info.value, *_attribute_bytes(place.info, cades.SIGNATURE_TIME_STAMP, cades.CERTIFICATE_REFS, cades.REVOCATION_REFS))
    tokens = (t for f in others if f.attribute.oid == cades.SIGNATURE_TIME_STAMP for t in _token_ids(f.token))
    return matches(found.token.imprint, pieces), _signature_ids(place) | _referenced(place, others) | frozenset(tokens), ()


def _references(place: Place, found: _Found, others: list[_Found]) -> _Judged:
    """Annex A.1.5.2: over the references alone."""
    return matches(found.token.imprint, _attribute_bytes(place.info, cades.CERTIFICATE_REFS, cades.REVOCATION_REFS)), _referenced(place, others), ()


def _referenced(place: Place, others: list[_Found]) -> frozenset[Id]:
    """The validation data of this file that the references name by digest."""
    wanted = cades.reference_digests(place.info)
    kinds = {d.algorithm for d in wanted}
    data = _all_data(place, others)
    return frozenset(item.id for item in (*data.certs, *data.crls, *data.ocsps) for kind in kinds if digest_of((item.der,), kind) in wanted)


def _all_data(place: Place, others: Iterable[_Found]) -> ValidationData:
    """Every certificate, CRL and OCSP answer in the SignedData, its attributes and the tokens named."""
    data = ValidationData(place.signed.certs, place.signed.crls, place.signed.ocsps) | cades.values(place.info)
    for found in others:
        data |= ValidationData(found.token.certs, found.token.crls, found.token.ocsps)
    return data


def _token_ids(held: Token) -> Iterator[Id]:
    """A token proves itself, its signature, and what it carries."""
    yield from (held.id, held.signature.id)
    yield from (item.id for items in (held.certs, held.crls, held.ocsps) for item in items)


def _archive_v2(place: Place, found: _Found, others: list[_Found]) -> _Judged:
    """TS 101 733 clause 6.4.1: over everything, later archive time-stamps left out.

    Version 2.2.1 hashes tag and length of the unsigned attributes, version 1.8.3 did not; its annex K tells verifiers to try both.
    """
    if place.signed.content is None and (place.content is None or not place.content.readable):
        return None, frozenset(), ()
    earlier = [f for f in others if f.attribute.oid not in _ARCHIVES or f.token.gen_time < found.token.gen_time]
    kept = [a for a in place.info.unsigned if a.oid not in _ARCHIVES or any(f.attribute is a for f in earlier)]
    unsigned = b"".join(a.node.raw for a in kept)
    imprint = found.token.imprint
    intact = any(matches(imprint, _everything(place, tail)) for tail in (asn1.tlv(context(1), unsigned), unsigned))
    data = _all_data(place, earlier)
    covered = {item.id for items in (data.certs, data.crls, data.ocsps) for item in items}
    covered |= {t for f in earlier if f is not found for t in _token_ids(f.token)}
    return intact, frozenset(covered) | _signature_ids(place) | document_id(place.content) | frozenset(_countersignature_ids(place.info.unsigned)), ()


def _everything(place: Place, unsigned: bytes) -> Iterator[bytes]:
    yield from place.signed.encapsulated.runs()
    if place.signed.content is None and place.content is not None:
        yield from place.content.chunks()
    yield from (n.raw for n in (place.signed.certificates, place.signed.revocations) if n is not None)
    yield from (n.raw for n in signed_fields(place.info))
    yield unsigned


def signed_fields(info: SignerInfo) -> "list[asn1.Node]":
    """version, sid, digestAlgorithm, signedAttrs, signatureAlgorithm, signature: every field but unsignedAttrs [1]."""
    children = info.node.children
    return children[:-1] if children[-1].tag == context(1) else children


def _index(found: _Found) -> "cades.HashIndex | None":
    try:
        return cades.hash_index(found.signer)
    except Malformed:
        return None


def _archive_v3(place: Place, found: _Found, others: list[_Found]) -> _Judged:
    """EN 319 122-1 clause 5.5.3: over the content type, the content's digest, the signer's fields and the hash index, which names the rest."""
    index = _index(found)
    if index is None:
        return False, frozenset(), (Defect("EN 319 122-1 clause 5.5.2", "archive time-stamp has no hash index that can be read"),)
    imprint = found.token.imprint
    content = document_digest(place.content, imprint.algorithm)
    if content is None:
        return None, frozenset(), ()
    fields = b"".join(n.raw for n in signed_fields(place.info))
    pieces = (place.signed.encapsulated.children[0].raw, content.value, fields, asn1.der(index.node))
    covers, missing = _indexed(place, index, others)
    # deviates: clause 5.5.2 calls the whole index invalid then. What the imprint does hold is proved all the same, and only that is
    # covered: a remark, as EU DSS has it, because makers index answers in encodings that they do not keep.
    why = f"{missing} entries of the hash index name nothing that is here"
    defects = () if not missing else (Defect("EN 319 122-1 clause 5.5.2", why, fatal=False),)
    return matches(imprint, pieces), covers | _signature_ids(place) | document_id(place.content), defects


def _indexed(place: Place, index: cades.HashIndex, others: list[_Found]) -> tuple[frozenset[Id], int]:
    """What the index names, and how many of its entries name nothing in the file.

    deviates: validation data outside SignedData count as found, because EU DSS writes and accepts them; each is still named by its digest.
    """
    wanted = {*index.certs, *index.crls, *index.attributes}
    data = _all_data(place, others)
    covers: set[Id] = set()
    seen: set[bytes] = set()

    def note(octets: bytes, *ids: Id) -> None:
        made = digest_of((octets,), index.algorithm)
        if made is not None and made.value in wanted:
            seen.add(made.value)
            covers.update(ids)

    for item in (*data.certs, *data.crls, *data.ocsps):
        note(item.der, item.id)
    for other in place.signed.attribute_certs:
        note(other)
    for node in [] if place.signed.revocations is None else place.signed.revocations.children:
        note(node.raw, *_revocation_ids(node))
    for attribute in place.info.unsigned:
        for position, octets in enumerate(cades.indexed_octets(attribute, index.version)):
            note(octets, *_attribute_ids(attribute, position if index.version >= 3 else None, others))
    return frozenset(covers), len(wanted - seen)


def _revocation_ids(node: asn1.Node) -> Iterator[Id]:
    """The OCSP answer inside an OtherRevocationInfoFormat."""
    if node.tag == context(1) and len(node.children) == 2 and (found := ocsp_response(node.children[1].raw)):
        yield found.id


def _countersignature_ids(attributes: Iterable[Attribute]) -> Iterator[Id]:
    for attribute in attributes:
        for value in attribute.values if attribute.oid == cades.COUNTER_SIGNATURE else ():
            try:
                info = signer_info(value)
            except Malformed:
                continue
            yield signature_id(info)
            yield from _countersignature_ids(info.unsigned)


def _attribute_ids(attribute: Attribute, position: int | None, others: list[_Found]) -> Iterator[Id]:
    """What an unsigned attribute (or one value of it) holds: tokens, counter-signatures, validation data."""
    values = attribute.values if position is None else attribute.values[position : position + 1]
    raws = {v.raw for v in values}
    for found in others:
        if found.attribute is attribute and found.token.der in raws:
            yield from _token_ids(found.token)
    data = cades.values_of(attribute)
    yield from (item.id for items in (data.certs, data.crls, data.ocsps) for item in items)
    yield from _countersignature_ids((Attribute(attribute.oid, values, attribute.node),))


_ARCHIVES = (cades.ARCHIVE_TIME_STAMP_V2, cades.ARCHIVE_TIME_STAMP_V3)
_KINDS: dict[str, tuple[StampKind, Callable[[Place, _Found, list[_Found]], _Judged]]] = {
    cades.CONTENT_TIME_STAMP: (StampKind.CONTENT, _content),
    cades.SIGNATURE_TIME_STAMP: (StampKind.SIGNATURE, _signature),
    cades.ESC_TIME_STAMP: (StampKind.VALIDATION_DATA, _complete),
    cades.REFERENCES_TIME_STAMP: (StampKind.REFERENCES, _references),
    cades.ARCHIVE_TIME_STAMP_V2: (StampKind.ARCHIVE, _archive_v2),
    cades.ARCHIVE_TIME_STAMP_V3: (StampKind.ARCHIVE, _archive_v3),
}
