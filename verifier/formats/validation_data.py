"""Whether a file carries the status of every certificate it needs: what makes a level -LT rather than -T.

The shape only (EN 319 122-1 clause 6.3, EN 319 142-1 clause 6.3): whether answers exist, not what they say. Every reader that names
levels may use it. Errors: none; what cannot be read is as good as absent.
"""

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar, TypeVarTuple

from trust.algorithms import verify
from trust.codecs import asn1, identifiers
from trust.codecs.asn1 import SEQUENCE, Rules, context
from trust.codecs.ess import certificate_identity, same_name
from trust.codecs.signed_data import cert as cert_of
from trust.errors import KakuinError, Malformed
from trust.model import Cert, Crl, Ocsp

MAX_CHAIN = 12
"""Links: above any real chain."""
REMEMBERED = 64 << 10
"""Bytes of a list or an answer about which something is remembered: the lists of a small authority, and all answers."""
_OCSP_NO_CHECK = "1.3.6.1.5.5.7.48.1.5"
_SHORT_TERM = "0.4.0.194121.2.1"


_Rest = TypeVarTuple("_Rest")
_Answer = TypeVar("_Answer")


def _remembered(question: Callable[[bytes, *_Rest], _Answer]) -> Callable[[bytes, *_Rest], _Answer]:
    """The last thousand answers to a pure question about small DER: the same lists and chains stand in file after file."""
    known = functools.lru_cache(maxsize=1024)(question)

    def asked(der: bytes, *rest: *_Rest) -> _Answer:
        return known(der, *rest) if len(der) <= REMEMBERED else question(der, *rest)

    return asked


def in_time(signer: Cert | None, moments: Iterable[datetime]) -> bool:
    """Whether the time-stamps of a signature are older than the end of its signer's certificate, as far as that tells one."""
    try:
        return signer is None or all(moment < signer.not_after for moment in moments)
    except Malformed:
        return True  # told of where the certificate is judged; that one of its signers is nobody is no reason to read no file


def complete(chains_of: Iterable[Cert], certs: Iterable[Cert], crls: Iterable[Crl], ocsps: Iterable[Ocsp]) -> bool:
    """Whether each certificate on these chains, up to a self-issued one, has a CRL that its issuer signed or a signed OCSP answer about it."""
    leaves = tuple(chains_of)
    pool = tuple(dict.fromkeys((*certs, *leaves)))
    given = _Given(pool, tuple(crls), tuple(ocsps))
    return all(given.has_status(link) for leaf in leaves for link in chain(leaf, pool))


@dataclass(frozen=True, slots=True)
class _Given:
    pool: tuple[Cert, ...]
    crls: tuple[Crl, ...]
    ocsps: tuple[Ocsp, ...]

    def has_status(self, cert: Cert) -> bool:
        if _needs_none(cert.der):
            return True
        identity = certificate_identity(cert.der)
        issuer = issuer_of(cert, self.pool)
        if identity is None or issuer is None:
            return False
        name, serial, _ = identity
        if any(_crl_issuer(crl.der) == name and signed_by(crl.der, issuer) for crl in self.crls):
            return True
        return any(serial in _ocsp_serials(o.der) and self._responder(o) is not None for o in self.ocsps)

    def _responder(self, ocsp: Ocsp) -> Cert | None:
        """Whose key signed the answer: one of the certificates inside, or of the pool."""
        return next((c for c in (*_ocsp_certs(ocsp.der), *self.pool) if signed_by(ocsp.der, c)), None)


def signed_by(der: bytes, signer: Cert) -> bool:
    """Whether a certificate, CRL or BasicOCSPResponse is signed by this certificate's key."""
    return _signed_by(der, signer)


@_remembered
def _signed_by(der: bytes, signer: Cert) -> bool:
    key = signer.public_key
    try:
        body, algorithm_id, value, *_ = asn1.parse(der, Rules.BER).children
        algorithm = identifiers.signature_algorithm(algorithm_id)
        return key is not None and algorithm is not None and verify(key, algorithm, value.bits(), body.raw)
    except (KakuinError, ValueError):
        return False


@_remembered
def _ocsp_certs(der: bytes) -> tuple[Cert, ...]:
    """certs [0] of a BasicOCSPResponse."""
    try:
        last = asn1.parse(der, Rules.BER).children[-1]
        return tuple(cert_of(n.raw) for n in last.only(SEQUENCE).children) if last.tag == context(0) else ()
    except (Malformed, IndexError):
        return ()


def chain(leaf: Cert, pool: Sequence[Cert]) -> tuple[Cert, ...]:
    """The certificates from the leaf upwards that need a status: a self-issued one ends it and is not among them."""
    links: list[Cert] = []
    at: Cert | None = leaf
    while at is not None and at not in links and len(links) < MAX_CHAIN:
        if self_issued(at):
            break
        links.append(at)
        at = issuer_of(at, pool)
    return tuple(links)


def readable(der: bytes) -> Cert | None:
    """A certificate; None where it cannot be read."""
    try:
        cert = cert_of(der)
        cert.subject, cert.issuer, cert.serial  # noqa: B018  # both faces are made now or never
    except (KakuinError, ValueError, TypeError):
        return None
    return cert


def issuer_of(child: Cert, pool: Sequence[Cert]) -> Cert | None:
    """Of several certificates with the issuer's name and key (cross-certificates), the self-issued one: it needs no status."""
    found = [c for c in pool if issued(child, c)]
    return next((c for c in found if self_issued(c)), found[0] if found else None)


def self_issued(cert: Cert) -> bool:
    return issued(cert, cert)


def issued(child: Cert, parent: Cert) -> bool:
    """Whether the parent's name and key are those of the child's issuer."""
    return _issued(child.der, parent.der)


@functools.lru_cache(maxsize=4096)
def _issued(child: bytes, parent: bytes) -> bool:
    one, other = certificate_identity(child), cert_of(parent)
    try:
        return one is not None and same_name(one[0], other.subject) and signed_by(child, other)
    except (Malformed, ValueError):
        return False


@functools.lru_cache(maxsize=1024)
def _needs_none(der: bytes) -> bool:
    """RFC 6960 section 4.2.2.2.1 (id-pkix-ocsp-nocheck) and EN 319 412-1 clause 5.2 (validity assured, short term)."""
    try:
        tbs = asn1.parse(der, Rules.BER).fields().take(SEQUENCE).fields()
        extras = [n for n in tbs.rest() if n.tag == context(3)]
        names = {extension.children[0].oid() for n in extras for extension in n.only(SEQUENCE).children}
    except (Malformed, IndexError):
        return False
    return bool(names & {_OCSP_NO_CHECK, _SHORT_TERM})


@_remembered
def _crl_issuer(der: bytes) -> bytes | None:
    try:
        fields = asn1.parse(der, Rules.BER).fields().take(SEQUENCE).fields()
        fields.maybe(asn1.INTEGER)
        fields.take(SEQUENCE)
        return fields.take(SEQUENCE).raw
    except Malformed:
        return None


@_remembered
def _ocsp_serials(der: bytes) -> frozenset[int]:
    """The serial numbers that a BasicOCSPResponse answers about."""
    try:
        data = asn1.parse(der, Rules.BER).fields().take(SEQUENCE).children
        answers = next(n for n in data if n.tag == SEQUENCE)
        return frozenset(single.children[0].children[-1].integer() for single in answers.children)
    except (Malformed, IndexError, StopIteration):
        return frozenset()
