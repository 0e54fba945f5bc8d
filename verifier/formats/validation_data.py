"""Whether a file carries the status of every certificate it needs: what makes a level -LT rather than -T.

The shape only (EN 319 122-1 clause 6.3, EN 319 142-1 clause 6.3): names and numbers are held against one another, nothing is verified
or judged. Every reader that names levels may use it. Errors: none; what cannot be read is as good as absent.
"""

import functools
from collections.abc import Iterable, Sequence

from cryptography import x509

from trust.codecs import asn1
from trust.codecs.asn1 import SEQUENCE, Rules, context
from trust.codecs.ess import certificate_identity
from trust.errors import Malformed
from trust.model import Cert, Crl, Ocsp

MAX_CHAIN = 12
"""Links: above any real chain."""
_OCSP_NO_CHECK = "1.3.6.1.5.5.7.48.1.5"
_SHORT_TERM = "0.4.0.194121.2.1"


def complete(chains_of: Iterable[Cert], certs: Iterable[Cert], crls: Iterable[Crl], ocsps: Iterable[Ocsp]) -> bool:
    """Whether each certificate on the chains of these, up to a self-issued one or the end, has a CRL of its issuer or an OCSP answer about it."""
    pool = tuple(dict.fromkeys((*certs, *chains_of)))
    lists = frozenset(name for crl in crls if (name := _crl_issuer(crl.der)) is not None)
    answers = frozenset(number for ocsp in ocsps for number in _ocsp_serials(ocsp.der))
    return all(_has_status(link, lists, answers) for leaf in chains_of for link in chain(leaf, pool))


def chain(leaf: Cert, pool: Sequence[Cert]) -> tuple[Cert, ...]:
    """The certificates from the leaf upwards that need a status: a self-issued one ends it and is not among them."""
    links: list[Cert] = []
    at: Cert | None = leaf
    while at is not None and at not in links and len(links) < MAX_CHAIN:
        if self_issued(at):
            break
        links.append(at)
        at = next((c for c in pool if issued(at, c)), None)
    return tuple(links)


def self_issued(cert: Cert) -> bool:
    return issued(cert, cert)


def issued(child: Cert, parent: Cert) -> bool:
    """Whether the parent's name and key are those of the child's issuer."""
    return _issued(child.der, parent.der)


@functools.lru_cache(maxsize=4096)
def _issued(child: bytes, parent: bytes) -> bool:
    try:
        one, other = x509.load_der_x509_certificate(child), x509.load_der_x509_certificate(parent)
        if one.issuer != other.subject:
            return False
        one.verify_directly_issued_by(other)
    except Exception:  # noqa: BLE001  # ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm: none of them is an issuer
        return False
    return True


def _has_status(cert: Cert, lists: frozenset[bytes], answers: frozenset[int]) -> bool:
    identity = certificate_identity(cert.der)
    return identity is not None and (identity[0] in lists or identity[1] in answers or _needs_none(cert.der))


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


def _crl_issuer(der: bytes) -> bytes | None:
    try:
        fields = asn1.parse(der, Rules.BER).fields().take(SEQUENCE).fields()
        fields.maybe(asn1.INTEGER)
        fields.take(SEQUENCE)
        return fields.take(SEQUENCE).raw
    except Malformed:
        return None


def _ocsp_serials(der: bytes) -> frozenset[int]:
    """The serial numbers that a BasicOCSPResponse answers about."""
    try:
        data = asn1.parse(der, Rules.BER).fields().take(SEQUENCE).children
        answers = next(n for n in data if n.tag == SEQUENCE)
        return frozenset(single.children[0].children[-1].integer() for single in answers.children)
    except (Malformed, IndexError, StopIteration):
        return frozenset()
