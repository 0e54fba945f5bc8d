"""What the process is missing, as values: the core asks, the edge answers (within its caps, or not at all)."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from trust.codecs import asn1
from trust.codecs.asn1 import Node, Rules
from trust.errors import Malformed
from trust.model import Cert, Evidence
from verifier.chains import facts, readable
from verifier.chains.certificate import AUTHORITY_INFORMATION_ACCESS, CA_ISSUERS, CRL_DISTRIBUTION_POINTS, OCSP_ACCESS
from verifier.process.chain import is_fresh, latest_answer, needs_status, usable_answers
from verifier.process.context import Case, Context, Moment, Purpose

MAX_WANTS = 64
"""A file can name as many addresses as it likes; nobody has to go to all of them."""


class What(StrEnum):
    ISSUER = "issuer"
    """The certificate of who issued `about`: DER, PEM or a certs-only CMS."""
    CRL = "crl"
    OCSP = "ocsp"
    """An answer about `about`, to a request made with `issuer`."""


@dataclass(frozen=True, slots=True)
class Want:
    """One thing that would help, and where its maker says that it is."""

    what: What
    about: Cert
    urls: tuple[str, ...]
    issuer: Cert | None = None


def wants(evidence: Evidence, context: Context) -> tuple[Want, ...]:
    """What is missing, or older than the policy allows now, for the certificates of signers and of timestamping units: without duplicates, at most
    MAX_WANTS."""
    case = Case(evidence, context)
    found: dict[Want, None] = {}
    for cert, purpose in _used(evidence):
        for want in _for(case, cert, purpose):
            found.setdefault(want)
    return tuple(found)[:MAX_WANTS]


def _used(evidence: Evidence) -> list[tuple[Cert, Purpose]]:
    signers = [(s.signer, Purpose.COUNTERSIGNER if s.countersigns else Purpose.SIGNER) for s in evidence.signatures]
    units = [(s.token.signature.signer, Purpose.UNIT) for s in evidence.stamps]
    return [(cert, purpose) for cert, purpose in dict.fromkeys([*signers, *units]) if cert is not None and readable((cert,))]


def _for(case: Case, cert: Cert, purpose: Purpose) -> Iterable[Want]:
    finder = case.finder(purpose)
    paths = finder.paths(cert)
    if not paths:
        yield from _issuer_wanted(case, cert, purpose)
        return
    path = paths[0]
    for index, member in enumerate(path.certs[:-1]):
        answers = usable_answers(case, path, index, purpose, Moment(case.now))
        if needs_status(case, member, purpose, index) and not (answers and is_fresh(case, latest_answer(answers), case.now)):
            issuer = path.certs[index + 1]
            if urls := _access(member, OCSP_ACCESS):
                yield Want(What.OCSP, member, urls, issuer)
            if urls := _points(member):
                yield Want(What.CRL, member, urls, issuer)


def _issuer_wanted(case: Case, cert: Cert, purpose: Purpose) -> Iterable[Want]:
    """Up the certificates that are there, to the last one whose issuer is not."""
    seen: set[Cert] = set()
    current: Cert | None = cert
    while current is not None and current not in seen:
        seen.add(current)
        own = facts(current)
        if own.self_issued:
            return
        above = [c for c in case.finder(purpose).named(own.issuer_key) if c not in seen]
        if not above and (urls := _access(current, CA_ISSUERS)):
            yield Want(What.ISSUER, current, urls)
        current = above[0] if above else None


def _access(cert: Cert, method: str) -> tuple[str, ...]:
    """AuthorityInfoAccess, RFC 5280 section 4.2.2.1: addresses of one method."""
    extension = facts(cert).extensions.get(AUTHORITY_INFORMATION_ACCESS)
    if extension is None:
        return ()
    try:
        pairs = [node.children for node in asn1.parse(extension[1], Rules.BER).children]
        return _web(location for kind, location in pairs if kind.oid() == method)
    except (Malformed, ValueError):
        return ()


def _points(cert: Cert) -> tuple[str, ...]:
    """CRLDistributionPoints, RFC 5280 section 4.2.1.13: addresses of full names."""
    extension = facts(cert).extensions.get(CRL_DISTRIBUTION_POINTS)
    if extension is None:
        return ()
    try:
        names: list[Node] = []
        for point in asn1.parse(extension[1], Rules.BER).children:
            name = point.fields().maybe(asn1.context(0))
            if name is not None and name.only().tag == asn1.context(0):
                names += name.only().children
        return _web(names)
    except (Malformed, ValueError):
        return ()


def _web(names: Iterable[Node]) -> tuple[str, ...]:
    """http and https only: what else a certificate names, nobody fetches."""
    found = [n.content.decode("ascii", "replace") for n in names if n.tag == 0x86]
    return tuple(dict.fromkeys(u for u in found if u.lower().startswith(("http://", "https://")) and u.isprintable() and len(u) <= 2048))
