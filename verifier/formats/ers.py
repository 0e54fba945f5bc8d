"""Evidence records (RFC 4998, RFC 6283): standalone with the documents they prove, and beside a signed file."""

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from trust.codecs import cms, hashtree, xmlers
from trust.codecs.cades import ValidationData
from trust.codecs.hashtree import DataObject, EvidenceRecord, Judged
from trust.codecs.xml import Method, NodeSet, canonicalize, looks_like_xml, parse
from trust.codecs.xml.parse import MAX_BYTES
from trust.errors import Malformed, Unacceptable
from trust.model import Cert, Digest, Document, Evidence, Id, Record, Reference, Scope, Stamp, StampKind, Token, identify
from verifier.formats.contents import of_evidence, of_token

MAX_RECORD = 256 << 20
"""Bytes of one record."""
_HEAD = 4096
_ROOT = re.compile(rb"[^<]{0,8}(?:\s++|<\?(?:[^?]|\?(?!>))*+\?>|<!--(?:[^-]|-(?!->))*+-->)*+<(?:[^\s<>/:]++:)?EvidenceRecord[\s/>]")
"""The first element of an XML document, behind its byte order mark, declaration and comments."""


def claims(head: bytes) -> bool:
    """An XML evidence record's root element, or a DER sequence that begins with version 1 and a list of algorithm identifiers."""
    if head[:1] != b"\x30" and looks_like_xml(head):
        text = head.replace(b"\0", b"")  # UTF-16
        return xmlers.NAMESPACE.encode() in text and _ROOT.match(text) is not None
    return _begins_as_record(head)


def _begins_as_record(head: bytes) -> bool:
    """SEQUENCE { INTEGER 1, SEQUENCE { SEQUENCE { OID…: nothing else that is signed begins so (SignedData is inside a ContentInfo)."""
    if head[:1] != b"\x30" or len(head) < 2:
        return False
    at = 2 + (head[1] & 0x7F if head[1] > 0x80 else 0)
    if head[at : at + 4] != b"\x02\x01\x01\x30":
        return False
    at += 5 + (head[at + 4] & 0x7F if len(head) > at + 4 and head[at + 4] > 0x80 else 0)
    return head[at : at + 1] == b"\x30"


@dataclass(frozen=True)
class Subject:
    """A data object that a record is to prove."""

    name: str
    digest: DataObject
    ids: Callable[[], frozenset[Id]]
    """Identities that are proved with it: its own, and of what stands in it."""
    scope: Scope = Scope.FULL
    uri: str | None = None


def subject(document: Document) -> Subject:
    """A document as a data object; XML is canonicalised first where the record says how (RFC 6283 section 3.1.1)."""

    @functools.cache
    def digest(algorithm: str, method: Method | None) -> bytes | None:
        if method is not None and document.readable and (document.size or 0) <= MAX_BYTES and looks_like_xml(document.head(_HEAD)):
            try:
                return Digest.of(algorithm, canonicalize(NodeSet(parse(document.read(MAX_BYTES))), method)).value
            except Malformed:
                pass  # looks like XML and is none: the octets as they are
        try:
            found = document.digest(algorithm)
        except Unacceptable:
            return None
        return None if found is None else found.value

    def ids() -> frozenset[Id]:
        known = document.digest("sha256")
        return frozenset() if known is None else frozenset((Id(known.value),))

    return Subject(document.name or "data object", digest, ids, Scope.FULL if document.readable else Scope.DIGEST)


def read(document: Document, detached: Sequence[Document] = (), certs: Iterable[Cert] = ()) -> Evidence:
    """A record with the documents that it is to prove; `certs` are candidates for the signers of its time-stamps.

    Malformed for what is no record, TooLarge above MAX_RECORD.
    """
    return replace(of_record(document, [subject(given) for given in detached], certs), documents=tuple(detached))


def of_record(document: Document, subjects: Sequence[Subject], certs: Iterable[Cert] = ()) -> Evidence:
    """A record held against its data objects."""
    data = document.read(MAX_RECORD)
    record = xmlers.evidence_record(data) if looks_like_xml(data[:_HEAD]) else hashtree.evidence_record(data)
    return proved(record, identify(data), subjects, certs)


def beside(signed: Evidence, document: Document, detached: Sequence[Document], records: Sequence[Document]) -> Evidence:
    """Evidence of a signed file together with detached records over it. A record that proves the file proves all that stands in it."""
    inside = of_evidence(signed)
    whole = subject(document)
    file = Subject(document.name or "file", whole.digest, lambda: whole.ids() | inside, whole.scope)
    for given in records:
        # Its first list may hold the detached content too: what it does not hold is the signature's to prove.
        found = of_record(given, [file, *(subject(d) for d in detached)])
        named = {r.name for r in found.records[0].references if r.intact}
        kept = [file, *(subject(d) for d in detached if (d.name or "data object") in named)]
        signed |= replace(of_record(given, kept), kind=signed.kind)
    return signed


def proved(record: EvidenceRecord, identity: Id, subjects: Sequence[Subject], certs: Iterable[Cert] = ()) -> Evidence:
    """RFC 4998 sections 4.3 and 5.3, RFC 6283 sections 3.3 and 4.3: the record, its stamps, and what each of them covers."""
    stamps = [stamp for chain in record.chains for stamp in chain.stamps]
    carried = (*record.data.certs, *certs)
    tokens = [cms.token(stamp.token, carried) for stamp in stamps]
    judged = _in_order(tokens, hashtree.judge(record, [token.imprint for token in tokens], [each.digest for each in subjects]))
    firsts = [j for j, place in zip(judged, _places(record), strict=True) if place == 0]
    held = [all(j.objects[at] for j in firsts if j.objects) and any(j.objects for j in firsts) for at in range(len(subjects))]
    references = tuple(_reference(record, each, inside=inside) for each, inside in zip(subjects, held, strict=True))
    made = _stamps(record, tokens, judged, subjects)
    data = _all(record, tokens)
    sound = bool(subjects) and all(held) and all(j.intact and j.linked for j in judged)
    covers = frozenset[Id]().union(*(each.ids() for each in subjects)) if sound else frozenset[Id]()
    entry = Record(identity, record.form, sound, references or (Reference("data object", False, False),), tuple(t.id for t in tokens), covers)
    return Evidence("ERS", (), made, (entry,), frozenset(data.certs), frozenset(data.crls), frozenset(data.ocsps))


def _in_order(tokens: Sequence[Token], judged: Sequence[Judged]) -> tuple[Judged, ...]:
    """RFC 4998 section 5.1, RFC 6283 section 4.1.2: ascending by time; what is renewed before it was made was not."""
    before = (tokens[0], *tokens)
    return tuple(
        j if earlier.gen_time <= token.gen_time else replace(j, linked=False) for j, token, earlier in zip(judged, tokens, before, strict=False)
    )


def _places(record: EvidenceRecord) -> Iterator[int]:
    return (place for chain in record.chains for place in range(len(chain.stamps)))


def _reference(record: EvidenceRecord, each: Subject, *, inside: bool) -> Reference:
    """Whether the object is among the leaves of each chain, under that chain's own digest."""
    stamp = record.chains[0].stamps[0]
    value = None if stamp.algorithm is None else each.digest(stamp.algorithm, record.chains[0].canonical)
    digest = None if value is None or stamp.algorithm is None else Digest(stamp.algorithm, value)
    return Reference(each.name, True, inside, each.scope, digest, each.uri)


def _stamps(record: EvidenceRecord, tokens: Sequence[Token], judged: Sequence[Judged], subjects: Sequence[Subject]) -> tuple[Stamp, ...]:
    """Each archive time-stamp covers the one before it in its chain; the first of a chain the data and every chain before."""
    made: list[Stamp] = []
    for at, (token, verdict, place) in enumerate(zip(tokens, judged, _places(record), strict=True)):
        sound = verdict.intact and verdict.linked is not False
        if place:
            covers = of_token(tokens[at - 1])
        else:
            present = (each.ids() for each, inside in zip(subjects, verdict.objects, strict=False) if inside)
            covers = frozenset[Id]().union(*present, *(of_token(t) for t in tokens[:at] if verdict.linked))
        made.append(Stamp(token, StampKind.EVIDENCE_RECORD, sound, covers if sound else frozenset()))
    return tuple(made)


def _all(record: EvidenceRecord, tokens: Sequence[Token]) -> ValidationData:
    data = record.data
    for token in tokens:
        data |= ValidationData(token.certs, token.crls, token.ocsps)
    return data
