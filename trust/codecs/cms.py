"""CMS signatures and RFC 3161 tokens as nouns: what every reader of CMS, and every reader that meets a token, calls.

The envelope is `trust.codecs.signed_data`, who signed is `trust.codecs.ess`, what CAdES attributes say is `trust.codecs.cades`.
"""

import functools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from trust.algorithms import DIGESTS, hasher
from trust.codecs import asn1, cades, identifiers, stencil
from trust.codecs.asn1 import BOOLEAN, GENERALIZED_TIME, INTEGER, OCTET_STRING, OID, SEQUENCE, Node, Rules, context
from trust.codecs.cms_attributes import misshapen
from trust.codecs.cms_rules import contradicted, misnamed, misplaced, unbound, undeclared, unsound
from trust.codecs.ess import identifies, signer_of
from trust.codecs.signed_data import CONTENT_TYPE, DATA, SignerInfo, signed_data
from trust.errors import Malformed, Unacceptable
from trust.model import Cert, Claims, Defect, Digest, Form, Id, Reference, Signature, Token, identify

TST_INFO = "1.2.840.113549.1.9.16.1.4"
MAX_TOKEN = 4 << 20
"""Bytes: a token with a long chain and a large CRL inside stays under 1 MB."""


def signature_id(info: SignerInfo) -> Id:
    """Of the signature value with the signed attributes before it: what stamps over this signature cover."""
    return identify((info.signed_der or b"") + info.value)


def content_type_defects(info: SignerInfo, content_type: str) -> tuple[Defect, ...]:
    """RFC 5652 sections 5.3, 5.4 and 11.1: the content-type attribute is that of the content, and must be signed unless the content is plain data."""
    if info.signed_der is None:
        return () if content_type == DATA else (Defect("RFC 5652 section 5.3", "content that is not plain data is signed without attributes"),)
    named = info.one(CONTENT_TYPE)
    if named is None:
        return (Defect("RFC 5652 section 11.1", "content-type attribute is missing"),)
    if named.tag != OID or named.oid() != content_type:
        return (Defect("RFC 5652 section 11.1", "content-type attribute is not the type of the content"),)
    return ()


def signature(
    info: SignerInfo,
    candidates: Iterable[Cert],
    *,
    form: Form,
    level: str,
    content: Digest | bytes | None,
    references: tuple[Reference, ...],
    claims: Claims | None = None,
    defects: tuple[Defect, ...] = (),
    countersigns: Id | None = None,
    field: str | None = None,
) -> Signature:
    """A SignerInfo as the noun. `content` is what the key signed where there are no signed attributes: a digest, or bytes for EdDSA and ML-DSA."""
    signer, reference = signer_of(info, candidates)
    if signer is not None and not identifies(info, signer):
        defects = (*defects, Defect("RFC 5652 section 5.3", "the signer identifier names another certificate than the one that signed"))
    signed: bytes | Digest = info.signed_der if info.signed_der is not None else (content if content is not None else b"")
    digests = [info.digest, reference.digest_algorithm, *(r.digest.algorithm for r in references if r.digest)]
    return Signature(
        signature_id(info),
        form,
        level,
        info.value,
        signed,
        info.algorithm,
        signer,
        reference,
        references,
        claims if claims is not None else cades.claims(info),
        info.defects + defects + misplaced(info) + tuple(misshapen(info)) + contradicted(info, signer, reference),
        countersigns,
        field,
        tuple(dict.fromkeys(d for d in digests if d)),
    )


def content_reference(info: SignerInfo, name: str, digest: Digest | None) -> Reference:
    """The message-digest attribute held against the content's digest (None: the content was not found)."""
    signed = info.message_digest
    said = Digest(info.digest, signed) if signed is not None and info.digest else None
    return Reference(name, digest is not None, digest is not None and said is not None and digest == said, digest=said)


def digest_of(pieces: Iterable[bytes], algorithm: str | None) -> Digest | None:
    """None where the algorithm is unknown or not available here."""
    if algorithm is None:
        return None
    try:
        running = hasher(algorithm)
    except Unacceptable:
        return None
    for piece in pieces:
        running.update(piece)
    return Digest(algorithm, running.digest())


def token(der: bytes, certs: Iterable[Cert] = ()) -> Token:
    """RFC 3161 section 2.4.2: a TimeStampToken. `certs` are further candidates for its signer, after those that it carries.

    Malformed where the structure is not that of a token with one signer and a DER TSTInfo; what else is wrong is in `Token.signature.defects`.
    One that is written like another before it is read by what differs (`trust.codecs.stencil`).
    """
    given = tuple(certs)
    quickly = stencil.read(der, given)
    if quickly is not None:
        return quickly
    made = general_token(der, given)
    stencil.learn(made, given)
    return made


def general_token(der: bytes, certs: tuple[Cert, ...] = ()) -> Token:
    """The same, field by field, whatever its shape."""
    if len(der) > MAX_TOKEN:
        raise Malformed(f"time-stamp token is over {MAX_TOKEN} bytes")
    signed = signed_data(der)
    if signed.content_type != TST_INFO:
        raise Malformed(f"time-stamp token: content {TST_INFO} (TSTInfo) expected, got {signed.content_type}")
    if len(signed.signers) != 1:
        raise Malformed(f"time-stamp token: one signer expected, got {len(signed.signers)}")
    if signed.content is None or signed.content.tag not in (OCTET_STRING, OCTET_STRING | 0x20):
        raise Malformed("time-stamp token: TSTInfo is not inside")
    info = signed.signers[0]
    body = signed.content.octets()
    defects = content_type_defects(info, signed.content_type)
    if info.signed_der is None:
        raise Malformed("time-stamp token: signed attributes are missing")
    more = cades.values(info)
    carried = tuple(dict.fromkeys(signed.certs + more.certs))
    said = _tst_info(body)
    made = signature(
        info,
        (*carried, *certs),
        form=Form.TOKEN,
        level="RFC3161",
        content=None,
        references=(content_reference(info, "TSTInfo", digest_of((body,), info.digest)),),
        claims=Claims(time=said.gen_time),
        defects=defects + said.defects,
    )
    if odd := (*undeclared(signed, info), *unsound(body), *unbound(made.signer_reference), *misnamed(body, made.signer)):
        made = replace(made, defects=made.defects + odd)
    return Token(
        der,
        identify(der),
        said.gen_time,
        said.accuracy_us,
        said.ordering,
        said.policy,
        said.serial,
        said.nonce,
        said.imprint,
        made,
        carried,
        signed.crls + more.crls,
        signed.ocsps + more.ocsps,
        said.tsa,
    )


@dataclass(frozen=True, slots=True)
class _TstInfo:
    gen_time: datetime
    accuracy_us: int | None
    ordering: bool
    policy: str
    serial: int
    nonce: int | None
    imprint: Digest
    tsa: str | None
    defects: tuple[Defect, ...]


def _tst_info(body: bytes) -> _TstInfo:
    """RFC 3161 section 2.4.2, DER; an explicitly encoded default (`ordering` FALSE) is let through, because several authorities write it."""
    fields = asn1.parse(body).fields()
    defects: list[Defect] = []
    if (version := fields.take(INTEGER).small()) != 1:
        raise Malformed(f"TSTInfo: version 1 expected, got {version}")
    policy = fields.take(OID).oid()
    imprint = message_imprint(fields.take(SEQUENCE))
    serial = fields.take(INTEGER).integer()
    gen_time = fields.take(GENERALIZED_TIME)
    accuracy = fields.maybe(SEQUENCE)
    ordering = fields.maybe(BOOLEAN)
    nonce = fields.maybe(INTEGER)
    tsa = fields.maybe(context(0))
    extensions = fields.maybe(context(1))
    fields.done()
    for extension in [] if extensions is None else extensions.children:
        oid, critical, _ = _extension(extension)
        if critical:
            defects.append(Defect("RFC 3161 section 2.4.2", f"critical extension {oid} is unknown"))
    return _TstInfo(
        gen_time.time(),
        None if accuracy is None else _accuracy(accuracy.raw, accuracy.rules, accuracy.depth),
        ordering is not None and ordering.boolean(),
        policy,
        serial,
        None if nonce is None else nonce.integer(),
        imprint,
        None if tsa is None else (_general_name if tsa.stop - tsa.start <= _SHORT else _general_name.__wrapped__)(tsa.raw, tsa.rules, tsa.depth),
        tuple(defects),
    )


def message_imprint(node: Node) -> Digest:
    """MessageImprint: the value is as long as its algorithm's digest (RFC 3161 section 2.4.1). Malformed for an unknown algorithm."""
    fields = node.fields()
    algorithm, value = identifiers.digest_name(fields.take(SEQUENCE)), fields.take(OCTET_STRING).content
    fields.done()
    if algorithm is None:
        raise Malformed("message imprint: unknown digest algorithm")
    if len(value) != DIGESTS[algorithm].size:
        raise Malformed(f"message imprint: {algorithm} digest is {DIGESTS[algorithm].size} bytes, got {len(value)}")
    return Digest(algorithm, value)


def _extension(node: Node) -> tuple[str, bool, bytes]:
    fields = node.fields()
    oid, critical, value = fields.take(OID).oid(), fields.maybe(BOOLEAN), fields.take(OCTET_STRING).content
    fields.done()
    return oid, critical is not None and critical.boolean(), value


_SHORT = 1024
"""Bytes of an authority's name that is kept: the same in each of its tokens."""


@functools.lru_cache(maxsize=64)
def _accuracy(raw: bytes, rules: Rules, depth: int) -> int:
    """Microseconds: seconds, millis [0], micros [1]."""
    fields = asn1.parse_inner(raw, rules, depth).fields()
    total = 0
    for tag, unit in ((INTEGER, 1_000_000), (context(0) & ~0x20, 1_000), (context(1) & ~0x20, 1)):
        found = fields.maybe(tag)
        if found is not None:
            count = found.small()
            if count < 0 or (tag != INTEGER and count > 999):
                raise Malformed("TSTInfo: accuracy is negative or a part of it is over 999")
            total += count * unit
    fields.done()
    return total


@functools.lru_cache(maxsize=64)
def _general_name(raw: bytes, rules: Rules, depth: int) -> str | None:
    """For people: the common name of a directoryName, or the text of another kind of name."""
    try:
        name = asn1.parse_inner(raw, rules, depth).only()
        if name.tag != context(4):
            return asn1.printable(name.content.decode("utf-8", "replace"))
        pairs = [pair.children for rdn in name.only(SEQUENCE).children for pair in rdn.children]
        found = {kind.oid(): value.text() for kind, value in pairs}
    except (Malformed, ValueError):
        return None
    return asn1.printable(found.get("2.5.4.3") or found.get("2.5.4.10") or "") or None
