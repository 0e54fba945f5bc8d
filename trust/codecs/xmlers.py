"""RFC 6283: evidence records in XML."""

from collections.abc import Iterable
from typing import Any

from trust.algorithms import DIGEST_BY_XML
from trust.codecs.cades import ValidationData
from trust.codecs.hashtree import MAX_HASHES, RFC6283, ArchiveTimeStamp, Chain, EvidenceRecord, validation_value, within_caps
from trust.codecs.xml import Method, NodeSet, Tree, canonicalize, method_of, parse
from trust.codecs.xml.names import octets_of, split
from trust.codecs.xml.shape import Shape, Shapes, is_base64, misfit
from trust.errors import Malformed

NAMESPACE = "urn:ietf:params:xml:ns:ers"
_VERSION = "1.0"
_SHAPES: Shapes = {
    (NAMESPACE, name): shape
    for name, shape in {
        "EvidenceRecord": Shape.of("(EncryptionInformation,)?(SupportingInformationList,)?ArchiveTimeStampSequence,", "Version"),
        "SupportingInformationList": Shape.of("(SupportingInformation,)+"),
        "SupportingInformation": Shape.of(None, "Type!"),
        "ArchiveTimeStampSequence": Shape.of("(ArchiveTimeStampChain,)+"),
        "ArchiveTimeStampChain": Shape.of("DigestMethod,CanonicalizationMethod,(ArchiveTimeStamp,)+", "Order!"),
        "DigestMethod": Shape.of("", "Algorithm!", mixed=True),
        "CanonicalizationMethod": Shape.of("(e:InclusiveNamespaces,)?", "Algorithm!", mixed=True),
        "ArchiveTimeStamp": Shape.of("(HashTree,)?TimeStamp,(Attributes,)?", "Order!"),
        "Attributes": Shape.of("(Attribute,)+"),
        "Attribute": Shape.of(None, "Order!", "Type"),
        "HashTree": Shape.of("(Sequence,)+"),
        "Sequence": Shape.of("(DigestValue,)+", "Order!"),
        "DigestValue": Shape.of("", text=is_base64),
        "TimeStampToken": Shape.of("", "Type!", text=is_base64),
        "TimeStamp": Shape.of("TimeStampToken,(CryptographicInformationList,)?"),
        "CryptographicInformationList": Shape.of("(CryptographicInformation,)+"),
        "CryptographicInformation": Shape.of(None, "Order!", "Type!"),
    }.items()
}
"""The schema of RFC 6283 section 8; parameters that no algorithm here has are not let through."""


def claims(tree: Tree) -> bool:
    return split(tree.root.tag) == (NAMESPACE, "EvidenceRecord")


def evidence_record(data: bytes) -> EvidenceRecord:
    """RFC 6283 section 8. Malformed where it is not one, or uses a time-stamp other than RFC 3161's."""
    return record_of(parse(data))


def record_of(tree: Tree) -> EvidenceRecord:
    """The record that is the whole of a parsed document."""
    if not claims(tree):
        raise Malformed("XML evidence record: element EvidenceRecord expected")
    if tree.root.get("Version") != _VERSION:
        raise Malformed(f"XML evidence record: version {_VERSION} expected, got another")
    if (why := next(filter(None, (misfit(e, _SHAPES) for e in tree.root.iter("*"))), None)) is not None:
        raise Malformed(f"XML evidence record: {why}")
    if _children(tree.root, "EncryptionInformation"):
        raise Malformed("evidence record over encrypted data (RFC 6283 section 5) is not read")
    sequence = _one(tree.root, "ArchiveTimeStampSequence")
    elements = _ordered(_children(sequence, "ArchiveTimeStampChain"))
    data = ValidationData()
    chains: list[Chain] = []
    for place, element in enumerate(elements):
        method = method_of(_one(element, "CanonicalizationMethod"))
        if method is None:
            raise Malformed("XML evidence record: canonicalisation is not one that is known here")
        known = DIGEST_BY_XML.get(_one(element, "DigestMethod").get("Algorithm", ""))
        stamps = []
        for inner in _ordered(_children(element, "ArchiveTimeStamp")):
            stamps.append(_stamp(tree, inner, method, None if known is None else known.name))
            data |= _information(inner)
        # Section 4.2.2: the sequence with the chains before this one, and none after.
        earlier = canonicalize(NodeSet(tree, sequence).without(*elements[place:]), method) if place else b""
        chains.append(Chain(tuple(stamps), earlier, method))
        within_caps(chains)
    if not chains:
        raise Malformed("evidence record without an archive time-stamp")
    return EvidenceRecord(RFC6283, tuple(chains), data)


def _stamp(tree: Tree, element: Any, method: Method, algorithm: str | None) -> ArchiveTimeStamp:
    trees = _children(element, "HashTree")
    sequences = _ordered(_children(trees[0], "Sequence")) if trees else []
    groups = [tuple(octets_of(value) for value in _children(sequence, "DigestValue")) for sequence in sequences]
    if trees and (not groups or not groups[0] or sum(map(len, groups)) > MAX_HASHES):
        raise Malformed(f"evidence record: a reduced hash tree has 1 to {MAX_HASHES} values")
    stamp = _one(element, "TimeStamp")
    token = _one(stamp, "TimeStampToken")
    if token.get("Type") != "RFC3161":
        raise Malformed("XML evidence record: time-stamps of type RFC3161 expected")
    return ArchiveTimeStamp(algorithm, algorithm is not None, tuple(groups), octets_of(token), canonicalize(NodeSet(tree, stamp), method))


def _information(element: Any) -> ValidationData:
    """Section 3.1.3: CryptographicInformation of types CERT, CRL, OCSP, which are what they say; others are left out."""
    found = ValidationData()
    for listed in _children(_one(element, "TimeStamp"), "CryptographicInformationList"):
        for item in _ordered(_children(listed, "CryptographicInformation")):
            kind = item.get("Type")
            if kind not in _KINDS:
                continue
            held = validation_value(octets_of(item))
            if not getattr(held, _KINDS[kind]):
                raise Malformed("XML evidence record: cryptographic information is not of the type that it says")
            found |= held
    return found


_KINDS = {"CERT": "certs", "CRL": "crls", "OCSP": "ocsps"}


def _children(element: Any, name: str) -> list[Any]:
    return [child for child in element if isinstance(child.tag, str) and split(child.tag) == (NAMESPACE, name)]


def _one(element: Any, name: str) -> Any:
    found = _children(element, name)
    if len(found) != 1:
        raise Malformed(f"XML evidence record: one element {name} expected, got {len(found)}")
    return found[0]


def _ordered(elements: Iterable[Any]) -> list[Any]:
    """By their attribute Order, which counts from 1 without gaps (section 3.1.1)."""
    listed = list(elements)
    numbers = [element.get("Order", "") for element in listed]
    if not all(n.isascii() and n.isdigit() and len(n) < 10 for n in numbers) or sorted(map(int, numbers)) != list(range(1, len(listed) + 1)):
        raise Malformed("XML evidence record: Order counts from 1 without gaps")
    return sorted(listed, key=lambda element: int(element.get("Order")))
