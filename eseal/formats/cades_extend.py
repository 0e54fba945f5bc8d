"""CAdES and other CMS signatures raised (EN 319 122-1 clauses 5.3 to 5.5): unsigned attributes and validation data added, all else as it stands.

The content, each certificate and every field of a SignerInfo keep the encoding in which they came, BER or DER: only lengths around them are new.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from eseal.draft import Draft, Span, size_of
from eseal.extend import Extended, Tools, Wanted, digest_of
from eseal.formats import archive, cms
from eseal.formats.archive import UNSIGNED
from eseal.levels import joined
from trust.codecs import cades, ess
from trust.codecs.asn1 import OCTET_STRING, SEQUENCE, SET, Node, Rules, context, length_octets, parse, tlv
from trust.codecs.cms import digest_of as digest_of_pieces
from trust.codecs.cms import token
from trust.codecs.signed_data import Attribute, SignedData, SignerInfo, content_info, ocsp_response, signed_data, signer_info
from trust.codecs.tst import integer
from trust.errors import Malformed, Unacceptable
from trust.model import Cert, Digest, Document, Token
from trust.ports import Status

LARGEST = 8 << 30
"""Bytes of a CMS file, an attached content included: that is read where it lies."""
WHOLE = 1 << 16
"""Bytes from which on a content is named rather than copied."""
_STAMPS = (
    cades.SIGNATURE_TIME_STAMP,
    cades.ESC_TIME_STAMP,
    cades.REFERENCES_TIME_STAMP,
    cades.ARCHIVE_TIME_STAMP_V2,
    cades.ARCHIVE_TIME_STAMP_V3,
)
_ARCHIVES = (cades.ARCHIVE_TIME_STAMP_V2, cades.ARCHIVE_TIME_STAMP_V3)


def extend(document: Document, wanted: Wanted, tools: Tools, detached: Sequence[Document] = ()) -> Draft:
    """Each signer of the file to the level that is wanted; renewed where it has that level already.

    Malformed for what is no CMS, Unacceptable for one without its content, Unavailable when token or status is not to be had.
    """
    signed = signed_data(content_info(document, LARGEST))
    content = None if signed.content is not None else detached[0] if len(detached) == 1 else None
    sheet = raised(signed, content, wanted, tools)
    return Extended(written(signed, sheet), tuple(sheet.stamps)).draft()


def extended_bytes(data: bytes, content: Document | None, wanted: Wanted, tools: Tools) -> tuple[bytes, list[Token]]:
    """The same for a signature that lies in a container: the file, and the tokens that are new in it."""
    signed = signed_data(data)
    sheet = raised(signed, content, wanted, tools)
    return b"".join(p if isinstance(p, bytes) else data[p.start : p.stop] for p in written(signed, sheet)), sheet.stamps


@dataclass
class Signer:
    """A SignerInfo as it will be."""

    info: SignerInfo
    fields: list[bytes]
    """Every field before the unsigned attributes, as it came."""
    unsigned: list[bytes]
    """Attributes, each as it came or as it was made."""

    @classmethod
    def of(cls, info: SignerInfo) -> "Signer":
        children = info.node.children
        has = children[-1].tag == UNSIGNED
        return cls(info, [n.raw for n in (children[:-1] if has else children)], [n.raw for n in children[-1].children] if has else [])

    @property
    def value(self) -> bytes:
        """Of the signature, as it stands."""
        return self.info.node.children[len(self.fields) - 1].octets()

    @property
    def attributes(self) -> list[tuple[str, Node]]:
        """Type and SET of values of each unsigned attribute."""
        nodes = (parse(raw, Rules.BER).children for raw in self.unsigned)
        return [(kind.oid(), values) for kind, values in nodes]

    def tokens(self, *oids: str) -> Iterator[bytes]:
        yield from (value.raw for oid, values in self.attributes if oid in oids for value in values.children)

    def add(self, *made: bytes) -> None:
        insert(self.unsigned, made)


@dataclass
class Sheet:
    """A SignedData as it will be."""

    certificates: list[bytes]
    revocations: list[bytes]
    signers: list[Signer]
    stamps: list[Token] = field(default_factory=list)
    """Those that are new, in order of time."""
    digests: list[bytes] = field(default_factory=list)
    """Identifiers of digest algorithms that are new."""


def raised(signed: SignedData, content: Document | None, wanted: Wanted, tools: Tools) -> Sheet:
    if not signed.signers:
        raise Unacceptable("the CMS holds no signature")
    if signed.content is None and content is None and wanted.archive:
        raise Unacceptable("an archive time-stamp is over the signed content too: name it (detached)")
    sheet = Sheet(raw(signed.certificates), raw(signed.revocations), [Signer.of(info) for info in signed.signers])
    carried(signed, tools)
    for signer in sheet.signers:
        if not any(True for _ in signer.tokens(cades.SIGNATURE_TIME_STAMP)):
            made = tools.stamped(Digest.of(digest_of(signer.info.digest), signer.value))
            signer.add(cms.attribute(cms.SIGNATURE_TIME_STAMP, made.der))
            sheet.stamps.append(made)
    if wanted.status:
        _hold(sheet, _needed(sheet, tools))
    if wanted.archive:
        for signer in sheet.signers:
            archive_signer(sheet, signer, signed, content, tools)
    return sheet


def carried(signed: SignedData, tools: Tools) -> None:
    """What it carries, into the tools' material."""
    tools.material.add(signed.certs, signed.crls, signed.ocsps)
    for info in _every(signed.signers):
        held = cades.values(info)
        tools.material.add(held.certs, held.crls, held.ocsps)


def raw(node: Node | None) -> list[bytes]:
    return [] if node is None else [n.raw for n in node.children]


def insert(there: list[bytes], made: Iterable[bytes]) -> None:
    """Elements into a SET OF, each once: in DER's order where it has that order, else behind; what is there keeps its order, because older archive
    time-stamps hash it so."""
    new = [m for m in dict.fromkeys(made) if m not in there]
    in_order = there == sorted(there)
    there += new
    if in_order:
        there.sort()


def _every(infos: Iterable[SignerInfo]) -> Iterator[SignerInfo]:
    """Signers and those who countersigned them."""
    for info in infos:
        yield info
        for attribute in info.unsigned_of(cades.COUNTER_SIGNATURE):
            for value in attribute.values:
                try:
                    inner = signer_info(value)
                except Malformed:
                    continue
                yield from _every((inner,))


def _needed(sheet: Sheet, tools: Tools) -> Status:
    """Chains and status of every signer, counter-signer and time-stamp that is there."""
    material = tools.material
    tokens = [read for signer in sheet.signers for raw in signer.tokens(*_STAMPS) if (read := _token(raw, tools)) is not None]
    for one in tokens:
        material.add_token(one)
    leaves: list[Cert] = []
    for info in _every(s.info for s in sheet.signers):
        signer, _ = ess.signer_of(info, material.certs())
        if signer is None:
            raise Unacceptable("the certificate of a signer is not in the file: give it with the certificates")
        leaves.append(signer)
    found = material.of(leaves)
    for one in tokens:
        found = joined(found, material.of_token(one))
    return found


def _token(raw: bytes, tools: Tools) -> Token | None:
    try:
        return token(raw, tools.material.certs())
    except Malformed:
        return None  # the verifier told of it before


def _hold(sheet: Sheet, found: Status) -> None:
    """Clause 5.4: into SignedData. Where an archive time-stamp of version 2 is over that, into the newest archive token, which nothing is over yet
    (TS 101 733 clause 6.4.1, clause 5.5.1)."""
    older = [s for s in sheet.signers if any(oid == cades.ARCHIVE_TIME_STAMP_V2 for oid, _ in s.attributes)]
    if older:
        for signer in older:
            _complete_newest(signer, found)
        if len(older) < len(sheet.signers):
            raise Unacceptable("signatures of the file have archive time-stamps of version 2 beside others that have none: extend them apart")
        return
    insert(sheet.certificates, [c.der for c in found.certs])
    insert(sheet.revocations, cms.revocations(_beyond(found, sheet.revocations)))


def _beyond(found: Status, there: Sequence[bytes]) -> Status:
    """Without the OCSP answers that are there already in another wrapping."""
    held = set(signed_answers(there))
    return Status(found.crls, tuple(o for o in found.ocsps if o.der not in held), found.certs)


def signed_answers(revocations: Iterable[bytes]) -> Iterator[bytes]:
    """The BasicOCSPResponses among RevocationInfoChoices."""
    for raw in revocations:
        node = parse(raw, Rules.BER)
        if node.tag == context(1) and len(node.children) == 2 and (answer := ocsp_response(node.children[1].raw)):
            yield answer.der


def _complete_newest(signer: Signer, found: Status) -> None:
    """The newest archive token with validation data among its own."""
    held = [(at, oid, values.children) for at, (oid, values) in enumerate(signer.attributes) if oid in _ARCHIVES]
    times = [(token(values[0].raw).gen_time, at, oid, values) for at, oid, values in held if len(values) == 1]
    if not times:
        return
    _, at, oid, values = max(times, key=lambda one: one[0])
    signer.unsigned[at] = cms.attribute(oid, archive.completed(values[0].raw, found))


def archive_signer(sheet: Sheet, signer: Signer, signed: SignedData, content: Document | None, tools: Tools) -> None:
    """Clause 5.5: archive-time-stamp-v3, and what its own chain needs, as far as the file has not got it."""
    used = digest_of(signer.info.digest)
    kind = signed.encapsulated.children[0].raw
    pieces = signed.content_pieces() if content is None else content.chunks()
    hashed = digest_of_pieces(pieces, used)
    if hashed is None:
        raise Malformed("only digests of the content are known")
    values = [kind_and_value for raw in signer.unsigned for kind_and_value in _values(raw)]
    lists = (sheet.certificates, sheet.revocations, values)
    index = cms.sequence(
        cms.digest_identifier(used), *(cms.sequence(*(tlv(OCTET_STRING, Digest.of(used, i).value) for i in items)) for items in lists)
    )
    made = tools.stamped(Digest.of(used, kind + hashed.value + b"".join(signer.fields) + index))
    needed = tools.material.of_token(made)
    there = set(sheet.certificates)
    more = Status() if {c.der for c in needed.certs} <= there else needed
    signer.add(archive.attribute(made.der, index, more).der)
    sheet.stamps.append(made)


def _values(raw: bytes) -> Iterator[bytes]:
    """Clause 5.5.2: an attribute's type with each of its values."""
    attribute = parse(raw, Rules.BER)
    kind, values = attribute.children
    yield from cades.indexed_octets(Attribute(kind.oid(), tuple(values.children), attribute), 3)


def written(signed: SignedData, sheet: Sheet) -> tuple[bytes | Span, ...]:
    """RFC 5652 section 5.1, with the content where it stood."""
    encapsulated = signed.encapsulated
    size = encapsulated.stop - encapsulated.start
    held: bytes | Span = Span(encapsulated.start, encapsulated.stop) if size > WHOLE else encapsulated.raw
    listed = next(n for n in signed.node.children if n.tag == SET)
    named = {n.children[0].raw for n in listed.children if n.children}
    more = [d for d in dict.fromkeys(sheet.digests) if parse(d).children[0].raw not in named]
    algorithms = tlv(SET, b"".join((*(n.raw for n in listed.children), *more))) if more else listed.raw
    version = cms.version(sheet.revocations, signed.version)
    after = (tlv(context(0), b"".join(sheet.certificates)) if sheet.certificates else b"") + (
        tlv(context(1), b"".join(sheet.revocations)) if sheet.revocations else b""
    )
    infos = [cms.sequence(*s.fields, tlv(UNSIGNED, b"".join(s.unsigned)) if s.unsigned else b"") for s in sheet.signers]
    inner: tuple[bytes | Span, ...] = (integer(version) + algorithms, held, after + tlv(SET, b"".join(infos)))
    wrapped = _wrapped(context(0), _wrapped(SEQUENCE, inner))
    return _wrapped(SEQUENCE, (cms.oid(cms.SIGNED_DATA), *wrapped))


def _wrapped(tag: int, pieces: tuple[bytes | Span, ...]) -> tuple[bytes | Span, ...]:
    return (bytes((tag,)) + length_octets(size_of(pieces)), *pieces)
