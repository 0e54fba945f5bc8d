"""Chains, and the status of each certificate on them, from what the file holds, what was given beside it, and what this installation issued.

Nothing is judged here but whether an object is about a certificate and signed by whom it says: what it is worth is the verifier's to say, before
and after.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography import x509

from eseal.levels import joined
from trust.algorithms import DIGESTS, verify
from trust.codecs import asn1, identifiers
from trust.codecs.ess import certificate_identity
from trust.codecs.signed_data import cert as cert_of
from trust.errors import KakuinError, Malformed, Unavailable
from trust.model import Cert, Crl, Digest, Ocsp, Token
from trust.ports import Status, StatusSource

MOST_LINKS = 12
"""Certificates of one chain: above any real one."""
_NO_CHECK = "1.3.6.1.5.5.7.48.1.5"
_SHORT_TERM = "0.4.0.194121.2.1"
_EARLIEST = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Known:
    """What was given beside the file, or fetched for it."""

    anchors: tuple[Cert, ...] = ()
    """Certificates at which a chain ends."""
    certificates: tuple[Cert, ...] = ()
    crls: tuple[Crl, ...] = ()
    ocsps: tuple[Ocsp, ...] = ()


@dataclass
class Material:
    """All that can be had: `Known`, what a format adds from its file, and the status service."""

    known: Known
    status: StatusSource
    _certs: dict[Cert, None] = field(init=False)
    _crls: dict[Crl, None] = field(init=False)
    _ocsps: dict[Ocsp, None] = field(init=False)
    _answers: dict[Cert, Status] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._certs = dict.fromkeys((*self.known.certificates, *self.known.anchors))
        self._crls = dict.fromkeys(self.known.crls)
        self._ocsps = dict.fromkeys(self.known.ocsps)

    def add(self, certs: Iterable[Cert] = (), crls: Iterable[Crl] = (), ocsps: Iterable[Ocsp] = ()) -> None:
        """What the file carries."""
        self._certs.update(dict.fromkeys(certs))
        self._crls.update(dict.fromkeys(crls))
        self._ocsps.update(dict.fromkeys(ocsps))

    def add_token(self, token: Token) -> None:
        self.add(token.certs, token.crls, token.ocsps)

    def certs(self) -> tuple[Cert, ...]:
        return tuple(self._certs)

    def of(self, leaves: Iterable[Cert]) -> Status:
        """Each leaf's chain, and the status of everyone on it but the top. Unavailable, with the name, where some is not to be had."""
        found = Status()
        for leaf in dict.fromkeys(leaves):
            found = joined(found, self._of(leaf, ()))
        return found

    def of_token(self, token: Token) -> Status:
        """What a time-stamp's own validation needs. Unavailable also for one that does not say who made it."""
        self.add_token(token)
        if token.signature.signer is None:
            raise Unavailable(f"the certificate of the time-stamp of {token.gen_time:%Y-%m-%d} is not to be had: give it with the certificates")
        return self.of((token.signature.signer,))

    def chain(self, leaf: Cert) -> tuple[Cert, ...]:
        """From the leaf to a trust anchor, a self-signed certificate, or as far as issuers are known."""
        chain = [leaf]
        while chain[-1] not in self.known.anchors and not issued(chain[-1], chain[-1]) and len(chain) < MOST_LINKS:
            issuers = [c for c in self._certs if c not in chain and issued(c, chain[-1])]
            if not issuers:
                break
            # Of several with one name and key (cross-certificates) one that ends the chain.
            chain.append(next((c for c in issuers if c in self.known.anchors or issued(c, c)), issuers[0]))
        return tuple(chain)

    def _of(self, leaf: Cert, above: tuple[Cert, ...]) -> Status:
        chain = self.chain(leaf)
        found = Status(certs=chain)
        for member, issuer in zip(chain, (*chain[1:], None), strict=True):
            if member in self.known.anchors or issued(member, member) or _needs_none(member):
                continue
            if member not in self._answers:
                self._answers[member] = self._ask(member, issuer)
            answer = self._answers[member]
            found = joined(found, answer)
            for responder in (r for o in answer.ocsps if (r := self._responder(o, issuer)) is not None):
                if responder not in (*chain, *above):
                    found = joined(found, self._of_responder(responder, (*above, *chain)))
        return found

    def _of_responder(self, responder: Cert, above: tuple[Cert, ...]) -> Status:
        """Its chain, and its status where there is any: many say nothing of their own certificates, and what an answer is worth without it the
        verifier tells."""
        try:
            return self._of(responder, above)
        except Unavailable:
            return Status(certs=self.chain(responder))

    def _ask(self, member: Cert, issuer: Cert | None) -> Status:
        try:
            return self.status((member,))
        except Unavailable:
            pass  # issued by somebody else
        if issuer is None:
            raise Unavailable(f"the issuer of the certificate {_shown(member)} is not known here: give it with the certificates")
        found = self._about(member, issuer)
        if found is None:
            raise Unavailable(f"no revocation data for the certificate {_shown(member)}: give a list or an OCSP answer, or let it be fetched")
        return found

    def _about(self, member: Cert, issuer: Cert) -> Status | None:
        """The newest answer from before the certificate's end, because a list forgets who has expired; any other where there is no such."""
        answers = [(_updated(o), Status(ocsps=(o,))) for o in self._ocsps if _speaks_of(o, member, issuer) and self._responder(o, issuer)]
        lists = [(_issued_at(c), Status(crls=(c,))) for c in self._crls if _listed_by(c, issuer)]
        every = sorted((*answers, *lists), key=lambda one: one[0])
        timely = [one for one in every if one[0] <= member.not_after]
        return (timely or every[:1])[-1][1] if every else None

    def _responder(self, answer: Ocsp, issuer: Cert | None) -> Cert | None:
        """Whose key signed: a certificate of the answer, the issuer, or one that is known."""
        candidates = (*_carried(answer), *(() if issuer is None else (issuer,)), *self._certs)
        return next((c for c in candidates if _signed_by(answer.der, c)), None)


def _shown(cert: Cert) -> str:
    try:
        return asn1.printable(cert.name, 80)
    except Malformed:
        return f"{cert.id.hex()[:16]}"


def issued(issuer: Cert, subject: Cert) -> bool:
    """Whether names match and the signature holds."""
    try:
        return issuer.subject == subject.issuer and _signed_by(subject.der, issuer)
    except Malformed:
        return False


def _signed_by(der: bytes, signer: Cert) -> bool:
    """Whether a certificate, list or BasicOCSPResponse is signed by this certificate's key."""
    try:
        body, identifier, value, *_ = asn1.parse(der, asn1.Rules.BER).children
        key, algorithm = signer.public_key, identifiers.signature_algorithm(identifier)
        return key is not None and algorithm is not None and verify(key, algorithm, value.bits(), body.raw)
    except (KakuinError, ValueError):
        return False


def _needs_none(cert: Cert) -> bool:
    """RFC 6960 section 4.2.2.2.1 (id-pkix-ocsp-nocheck), EN 319 412-1 clause 5.2 (validity assured, short term)."""
    try:
        return any(e.oid.dotted_string in (_NO_CHECK, _SHORT_TERM) for e in cert.x509.extensions)
    except (Malformed, ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return False


def _issued_at(crl: Crl) -> datetime:
    return crl.x509.last_update_utc


def _listed_by(crl: Crl, issuer: Cert) -> bool:
    try:
        return crl.x509.issuer.public_bytes() == issuer.subject and _signed_by(crl.der, issuer)
    except (Malformed, ValueError):
        return False


def _answers_of(answer: Ocsp) -> Sequence[asn1.Node]:
    """The SingleResponses of a BasicOCSPResponse (RFC 6960 section 4.2.1)."""
    try:
        data = asn1.parse(answer.der, asn1.Rules.BER).children[0].children
        return next(n for n in data if n.tag == asn1.SEQUENCE).children
    except (Malformed, IndexError, StopIteration):
        return ()


def _speaks_of(answer: Ocsp, member: Cert, issuer: Cert) -> bool:
    """CertID (section 4.1.1): serial number, and the digests of the issuer's name and key."""
    identity = certificate_identity(member.der)
    return identity is not None and any(_names(one, identity[1], issuer) for one in _answers_of(answer))


def _names(single: asn1.Node, serial: int, issuer: Cert) -> bool:
    try:
        algorithm, name, key, number = single.children[0].children
        used = identifiers.digest_name(algorithm)
        if number.integer() != serial or used not in DIGESTS:
            return False
        bits = asn1.parse(issuer.der, asn1.Rules.BER).children[0].children
        public = next(n for n in bits[5:] if n.tag == asn1.SEQUENCE and len(n.children) == 2 and n.children[1].tag == asn1.BIT_STRING)
        return name.content == Digest.of(used, issuer.subject).value and key.content == Digest.of(used, public.children[1].bits()).value
    except (KakuinError, IndexError, ValueError, StopIteration):
        return False


def _updated(answer: Ocsp) -> datetime:
    """thisUpdate of its first SingleResponse."""
    try:
        return next(n for n in _answers_of(answer)[0].children if n.tag == asn1.GENERALIZED_TIME).time()
    except (Malformed, IndexError, StopIteration):
        return _EARLIEST


def _carried(answer: Ocsp) -> tuple[Cert, ...]:
    """certs [0] of a BasicOCSPResponse."""
    try:
        last = asn1.parse(answer.der, asn1.Rules.BER).children[-1]
        return tuple(cert_of(n.raw) for n in last.only(asn1.SEQUENCE).children) if last.tag == asn1.context(0) else ()
    except (Malformed, IndexError):
        return ()
