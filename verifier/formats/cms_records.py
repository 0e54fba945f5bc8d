"""Evidence records inside CMS signatures (RFC 4998 appendix A, TS 119 122-3): each proves the signature as it was before the record was put in.

That is the ContentInfo without the attribute that holds the record and those that came later; a detached signature's record proves
its content as well. TS 119 122-3 wants the DER of it, RFC 4998 the encoding as it stood: both are tried. Errors: none; a record that
cannot be read is a remark.
"""

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from trust.codecs import asn1, cades, cms, hashtree
from trust.codecs.asn1 import SET, Node, context
from trust.codecs.hashtree import EvidenceRecord
from trust.codecs.signed_data import Attribute, SignedData, SignerInfo
from trust.errors import KakuinError, TooLarge
from trust.model import Cert, Defect, Document, Evidence, Id, identify
from verifier.formats.contents import of_evidence

_ATTRIBUTES = (cades.EVIDENCE_RECORD, cades.EXTERNAL_EVIDENCE_RECORD)
MAX_RECORDS = 100
MAX_CMS = 256 << 20
"""Bytes of a file that has records inside: they are over the whole of it, which is put together in memory."""


def with_records(found: Evidence, whole: Node, signed: SignedData, content: Sequence[Document], certs: Iterable[Cert]) -> Evidence:
    """The evidence of a CMS signature together with the records inside it. `content` is what the signature is detached from."""
    if len(whole.data) > MAX_CMS:
        raise TooLarge(f"a CMS file with evidence records inside is read up to {MAX_CMS} bytes, got {len(whole.data)}")
    inside = of_evidence(found)
    given = tuple(certs)
    for info in signed.signers:
        records, defects = _records(info)
        for position, (attribute, der, record) in enumerate(records):
            earlier = {id(a) for a, _, _ in records[:position] if a is not attribute}
            kept = [a for a in info.unsigned if a.oid not in _ATTRIBUTES or id(a) in earlier]
            proved = _proved(record, der, _variants(whole, info, kept), content if signed.content is None else (), inside, given)
            # Parallel records of one hash tree share their token: each has its own stamp all the same.
            found = replace(found | proved, stamps=found.stamps + proved.stamps)
        found = replace(found, defects=(*found.defects, *defects))
    return found


def _records(info: SignerInfo) -> tuple[list[tuple[Attribute, bytes, EvidenceRecord]], tuple[Defect, ...]]:
    """The records of a signer, oldest first by their first time-stamps."""
    found: list[tuple[Attribute, bytes, EvidenceRecord]] = []
    defects: list[Defect] = []
    for attribute in info.unsigned_of(*_ATTRIBUTES):
        for value in attribute.values[:MAX_RECORDS]:
            try:
                record = hashtree.evidence_record(value.raw)
                cms.token(record.chains[0].stamps[0].token)
                found.append((attribute, value.raw, record))
            except (KakuinError, IndexError) as error:
                defects.append(Defect("RFC 4998 appendix A", f"evidence record cannot be read: {error}", fatal=False, refused=True))
    found.sort(key=lambda each: cms.token(each[2].chains[0].stamps[0].token).gen_time)
    return found, tuple(defects)


def _proved(
    record: EvidenceRecord, der: bytes, variants: Iterable[bytes], content: Sequence[Document], inside: frozenset[Id], certs: tuple[Cert, ...]
) -> Evidence:
    """The record held against the signature in each encoding; the first that it proves, or else the first."""
    from verifier.formats import ers  # it needs the libraries of XML: only files with records wait for them

    made: Evidence | None = None
    for variant in variants:
        signature = ers.subject(Document.of(variant, "signature"))
        whole = ers.Subject("signature", signature.digest, lambda: inside)
        tried = ers.proved(record, identify(der), [whole, *(ers.subject(d) for d in content)], certs)
        if made is None or tried.records[0].intact:
            made = tried
        if tried.records[0].intact:
            break
    return made if made is not None else Evidence("ERS")


def _variants(whole: Node, info: SignerInfo, kept: Sequence[Attribute]) -> Iterator[bytes]:
    """The ContentInfo with only these unsigned attributes at one signer: as it is encoded, and as DER."""
    attributes = b"".join(a.node.raw for a in kept)
    children = [n.raw for n in info.node.children if n.tag != context(1)]
    last = info.node.children[-1]
    if attributes:
        children.append(_like(last, attributes))
    shortened = _like(info.node, b"".join(children))
    rebuilt = _replaced(whole, info.node, shortened)
    yield rebuilt
    in_der = _der(asn1.parse(rebuilt, asn1.Rules.BER))
    if in_der != rebuilt:
        yield in_der


def _like(node: Node, content: bytes) -> bytes:
    """Content under a node's tag, with an open length where the node has one."""
    if node.stop != node.end:
        return bytes((node.tag, 0x80)) + content + b"\0\0"
    return asn1.tlv(node.tag, content)


def _replaced(node: Node, old: Node, new: bytes) -> bytes:
    """The encoding of a value with one value below it exchanged."""
    if node.start == old.start and node.stop == old.stop:
        return new
    if not (node.start <= old.start and old.stop <= node.stop):
        return node.raw
    return _like(node, b"".join(_replaced(child, old, new) for child in node.children))


def _der(whole: Node) -> bytes:
    """DER of a ContentInfo with SignedData: certificates [0], crls [1] and attributes are sets under implicit tags, sorted like every set."""
    kind, wrapped = whole.children
    parts = []
    for child in wrapped.children[0].children:
        if child.tag in {context(0), context(1)}:
            parts.append(bytes((child.tag,)) + asn1.der(child, SET)[1:])
        elif child.tag == SET and child.children and child.children[0].tag == asn1.SEQUENCE and len(child.children[0].children) > 2:
            parts.append(asn1.tlv(SET, b"".join(sorted(_signer_der(signer) for signer in child.children))))
        else:
            parts.append(asn1.der(child))
    return asn1.tlv(asn1.SEQUENCE, kind.raw + asn1.tlv(context(0), asn1.tlv(asn1.SEQUENCE, b"".join(parts))))


def _signer_der(node: Node) -> bytes:
    """Of many signers with records the same ones are encoded for each record: small ones once."""
    return _short_signer(node.raw, node.rules, node.depth) if node.stop - node.start <= _KEPT else _encoded(node)


_KEPT = 1 << 16
"""Bytes of a signer whose DER is kept."""


@functools.lru_cache(maxsize=128)
def _short_signer(raw: bytes, rules: asn1.Rules, depth: int) -> bytes:
    return _encoded(asn1.parse_inner(raw, rules, depth))


def _encoded(node: Node) -> bytes:
    parts = [bytes((n.tag,)) + asn1.der(n, SET)[1:] if n.tag in {context(0), context(1)} else asn1.der(n) for n in node.children]
    return asn1.tlv(asn1.SEQUENCE, b"".join(parts))
