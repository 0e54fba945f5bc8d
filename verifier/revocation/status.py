"""The answers that a pool of lists and OCSP responses holds about a certificate in a chain."""

import functools
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from trust.codecs import asn1
from trust.codecs.asn1 import Rules
from trust.errors import Malformed
from trust.model import Cert, Crl, Digest, Id, Ocsp
from verifier.chains import Facts, Finder, Path, facts, is_key_and_name, readable, signed_by
from verifier.chains.certificate import CRL_DISTRIBUTION_POINTS, OCSP_SIGNING, name_key, verifies
from verifier.revocation.answer import Answer, Authority
from verifier.revocation.crl import ALL_REASONS, CrlFacts, Entry, crl_facts, point_names, reason_flags
from verifier.revocation.ocsp import OcspFacts, Single, ocsp_facts

MAX_SOURCES = 64
"""Lists, and answers, that are looked at for one certificate: the newest first."""


class Sources:
    """A pool of revocation data, indexed. Data that cannot be read is no data.

    What the caller gives is always looked at; of what a file carries, the newest MAX_SOURCES for one certificate: a file must not be able to
    hide the caller's list behind a thousand of its own.
    """

    def __init__(self, carried: Iterable[Crl | Ocsp], given: Iterable[Crl | Ocsp] = ()) -> None:
        self._crls: dict[bytes, list[tuple[Crl, CrlFacts]]] = defaultdict(list)
        self._ocsps: dict[bytes, list[tuple[Ocsp, OcspFacts, Single]]] = defaultdict(list)
        carried, given = frozenset(carried), frozenset(given)
        self.carried = frozenset(c.id for c in carried)
        self.given = frozenset(g.id for g in given)
        for source in sorted({*carried, *given}, key=lambda s: s.id):
            if isinstance(source, Crl):
                if known := _read_crl(source):
                    self._crls[known.issuer_key].append((source, known))
            elif answer := _read_ocsp(source):
                for single in answer.singles:
                    self._ocsps[single.serial].append((source, answer, single))
        for lists in self._crls.values():
            lists.sort(key=lambda pair: pair[1].this_update, reverse=True)
        for singles in self._ocsps.values():
            singles.sort(key=lambda triple: triple[2].this_update, reverse=True)

    def lists_of(self, issuer_key: bytes) -> list[tuple[Crl, CrlFacts]]:
        found = self._crls.get(issuer_key, [])
        return found if len(found) <= MAX_SOURCES else [pair for n, pair in enumerate(found) if n < MAX_SOURCES or pair[0].id in self.given]

    def answers_about(self, serial: bytes) -> list[tuple[Ocsp, OcspFacts, Single]]:
        found = self._ocsps.get(serial, [])
        return found if len(found) <= MAX_SOURCES else [triple for n, triple in enumerate(found) if n < MAX_SOURCES or triple[0].id in self.given]

    @functools.cached_property
    def carried_certs(self) -> dict[Id, frozenset[Id]]:
        """OCSP answer -> the certificates inside of it."""
        return {ocsp.id: frozenset(c.id for c in answer.certs) for triples in self._ocsps.values() for ocsp, answer, _ in triples}

    @property
    def certs(self) -> frozenset[Cert]:
        """Certificates that OCSP answers carry."""
        return frozenset(c for triples in self._ocsps.values() for _, answer, _ in triples for c in answer.certs)


@functools.lru_cache(maxsize=4096)
def _read_crl(crl: Crl) -> CrlFacts | None:
    try:
        return crl_facts(crl)
    except (Malformed, IndexError, ValueError):
        return None


@functools.lru_cache(maxsize=4096)
def _read_ocsp(ocsp: Ocsp) -> OcspFacts | None:
    try:
        return ocsp_facts(ocsp)
    except (Malformed, IndexError, ValueError):
        return None


def answers(path: Path, index: int, sources: Sources, finder: Finder) -> tuple[Answer, ...]:
    """What the sources say of `path.certs[index]`, newest first; nothing about an anchor."""
    if index + 1 >= len(path.certs):
        return ()
    cert, issuer = path.certs[index], path.certs[index + 1]
    found = [*_from_ocsp(path, index, sources, finder), *_from_lists(cert, issuer, path, sources, finder)]
    return tuple(sorted(found, key=lambda a: (a.produced, a.revoked), reverse=True))


# OCSP


def _from_ocsp(path: Path, index: int, sources: Sources, finder: Finder) -> list[Answer]:
    found = []
    cert = path.certs[index]
    own, above = facts(cert), facts(path.certs[index + 1])
    for ocsp, answer, single in sources.answers_about(own.serial):
        if not single.known or not single.concerns(own, above) or answer.unknown_critical or single.unknown_critical:
            continue
        signer = _responder(ocsp, answer, path, index, finder)
        if signer is None:
            continue
        matches = None if single.cert_hash is None else Digest.of(single.cert_hash[0], cert.der).value == single.cert_hash[1]
        found.append(
            Answer(
                source=ocsp,
                signer=signer[0],
                authority=signer[1],
                algorithm=answer.algorithm,
                this_update=single.this_update,
                next_update=single.next_update,
                produced=answer.produced_at,
                revoked_at=single.revoked_at,
                reason=single.reason,
                knows_since=single.archive_cutoff,
                certificate_hash_matches=matches,
            )
        )
    return found


def _responder(ocsp: Ocsp, answer: OcspFacts, path: Path, index: int, finder: Finder) -> tuple[Cert, Authority] | None:
    """RFC 6960 section 4.2.2.2: the issuer itself, or one whom it (or an authority above it) certified for OCSP, or an anchor."""
    issuer = path.certs[index + 1]
    if answer.is_responder(issuer) and _signed(ocsp, issuer):
        return issuer, Authority.ISSUER
    best: tuple[Cert, Authority] | None = None
    for candidate in _candidates(answer, finder):
        if not answer.is_responder(candidate):
            continue
        authority = _authority(candidate, path, index, finder)
        if authority is None or not _signed(ocsp, candidate):
            continue
        if authority is not Authority.CHAIN:
            return candidate, authority
        best = best or (candidate, authority)
    return best


def _candidates(answer: OcspFacts, finder: Finder) -> list[Cert]:
    carried = list(readable(answer.certs))[:16]
    if answer.responder_name is not None:
        return [*carried, *(c for c in finder.named(answer.responder_name)[:16] if c not in carried)]
    return [*carried, *(c for c in finder.with_key_hash(answer.responder_key or b"")[:16] if c not in carried)]


@functools.lru_cache(maxsize=4096)
def _signed(ocsp: Ocsp, signer: Cert) -> bool:
    answer = ocsp_facts(ocsp)
    return verifies(facts(signer).key, answer.algorithm, answer.value, answer.tbs)


def _authority(candidate: Cert, path: Path, index: int, finder: Finder) -> Authority | None:
    issuer = path.certs[index + 1]
    if is_key_and_name(candidate, issuer):
        return Authority.ISSUER
    if finder.anchor_of(candidate):
        return Authority.ANCHOR
    own = facts(candidate)
    if own.purposes is None or OCSP_SIGNING not in own.purposes or own.defects or own.unknown_critical:
        return None
    if own.key_usage is not None and not own.key_usage & {"digital_signature", "content_commitment"}:
        return None
    for above, authority in zip(path.certs[index + 1 :], [Authority.DELEGATE] + [Authority.CHAIN] * len(path.certs), strict=False):
        if own.issuer_key == facts(above).subject_key and signed_by(candidate, above):
            return authority
    return None


# Lists


@dataclass(frozen=True, slots=True)
class _Scoped:
    """A list that may speak of the certificate, for some reasons."""

    crl: Crl
    known: CrlFacts
    signer: Cert
    authority: Authority
    reasons: frozenset[str]
    entry: Entry | None


def _from_lists(cert: Cert, issuer: Cert, path: Path, sources: Sources, finder: Finder) -> list[Answer]:
    own = facts(cert)
    scoped: list[_Scoped] = []
    for name in dict.fromkeys((own.issuer_key, *(point.issuer for point in _points(own) if point.issuer))):
        for crl, known in sources.lists_of(name):
            try:
                one = _scoped(cert, issuer, path, (crl, known), finder)
            except (Malformed, IndexError, ValueError):
                continue
            if one:
                scoped.append(one)
    complete = [s for s in scoped if s.known.base is None]
    deltas = [s for s in scoped if s.known.base is not None]
    found = [_answer(s) for s in complete if s.reasons >= ALL_REASONS or s.entry]
    found += [a for s in complete if (a := _with_delta(s, deltas))]
    partial = [s for s in complete if not s.reasons >= ALL_REASONS and not s.entry]
    if partial and frozenset().union(*(s.reasons for s in partial)) >= ALL_REASONS:
        # Section 6.3.3 (l): lists of different reasons together; as old as the oldest of them.
        newest = _newest_by_reasons(partial)
        oldest = min(newest, key=lambda s: s.known.this_update)
        found.append(replace(_answer(oldest), others=tuple(s.crl.id for s in newest if s is not oldest)))
    return found


def _newest_by_reasons(partial: list[_Scoped]) -> list[_Scoped]:
    chosen: dict[frozenset[str], _Scoped] = {}
    for one in partial:
        chosen.setdefault(one.reasons, one)
    return list(chosen.values())


def _answer(scoped: _Scoped) -> Answer:
    entry = scoped.entry if scoped.entry and scoped.entry.reason != "remove_from_crl" else None
    return Answer(
        source=scoped.crl,
        signer=scoped.signer,
        authority=scoped.authority,
        algorithm=scoped.known.algorithm,
        this_update=scoped.known.this_update,
        next_update=scoped.known.next_update,
        produced=scoped.known.this_update,
        revoked_at=entry.revoked_at if entry else None,
        reason=entry.reason if entry else "unspecified",
        knows_since=scoped.known.knows_since,
    )


def _with_delta(base: _Scoped, deltas: list[_Scoped]) -> Answer | None:
    """Section 5.2.4: a complete list brought up to date by the newest delta that fits it."""
    for delta in deltas:
        b, d = base.known, delta.known
        if b.number is None or d.number is None or d.base is None or not d.base <= b.number < d.number:
            continue
        if b.point != d.point or b.authority_key != d.authority_key or base.reasons != delta.reasons or not delta.reasons >= ALL_REASONS:
            continue
        if delta.entry and delta.entry.reason != "remove_from_crl":
            told = delta
        elif delta.entry:
            told = replace(base, entry=None)
        else:
            told = base
        answer = _answer(replace(told, crl=delta.crl, known=d))
        return replace(answer, knows_since=b.knows_since, others=(base.crl.id,))
    return None


def _scoped(cert: Cert, issuer: Cert, path: Path, listed: tuple[Crl, CrlFacts], finder: Finder) -> _Scoped | None:
    """Section 6.3.3 (b) to (g)."""
    crl, known = listed
    own = facts(cert)
    if known.unknown_critical or not known.same_algorithms:
        return None
    reasons = _covered(own, known)
    if not reasons:
        return None
    signer = _list_signer(crl, known, issuer, path, finder)
    if signer is None:
        return None
    return _Scoped(crl, known, signer[0], signer[1], reasons, known.entry(own.serial, own.issuer_key))


@dataclass(frozen=True, slots=True)
class DistributionPoint:
    """One of a certificate's cRLDistributionPoints (section 4.2.1.13)."""

    names: frozenset[bytes] | None
    reasons: frozenset[str]
    issuer: bytes | None
    """cRLIssuer, folded."""


def _points(cert: Facts) -> tuple[DistributionPoint, ...]:
    extension = cert.extensions.get(CRL_DISTRIBUTION_POINTS)
    if extension is None:
        return ()
    try:
        return _read_points(extension[1], cert.issuer)
    except (Malformed, IndexError, ValueError):
        return ()


@functools.lru_cache(maxsize=4096)
def _read_points(value: bytes, issuer: bytes) -> tuple[DistributionPoint, ...]:
    found = []
    for node in asn1.parse(value, Rules.BER).expect(asn1.SEQUENCE).children:
        fields = node.fields()
        name, reasons, crl_issuer = fields.maybe(asn1.context(0)), fields.maybe(0x81), fields.maybe(asn1.context(2))
        directory = [n for n in crl_issuer.children if n.tag == asn1.context(4)] if crl_issuer else []
        named = name_key(directory[0].only().raw) if directory else None
        base = directory[0].only().raw if directory else issuer
        found.append(
            DistributionPoint(point_names(name.only(), base) if name else None, reason_flags(reasons.content) if reasons else ALL_REASONS, named)
        )
    return tuple(found)


def _covered(cert: Facts, known: CrlFacts) -> frozenset[str]:
    """The reasons for which this list is the certificate's (section 6.3.3 (b) and (d)); none where it is another's."""
    point = known.point
    if point is None:
        return _told(cert, known, None)
    if point.attributes or (point.users and cert.ca) or (point.authorities and not cert.ca):
        return frozenset()
    return _told(cert, known, point.names) & point.reasons


def _told(cert: Facts, known: CrlFacts, names: frozenset[bytes] | None) -> frozenset[str]:
    """Over the certificate's distribution points, and the implied one of its issuer."""
    found: frozenset[str] = frozenset()
    own_points = _points(cert)
    for point in own_points:
        by = point.issuer or cert.issuer_key
        if by != known.issuer_key or (point.issuer and not (known.point and known.point.indirect)):
            continue
        if names is None or (point.names or frozenset({by})) & names:
            found |= point.reasons
    if known.issuer_key == cert.issuer_key and (names is None or known.issuer_key in names):
        # A list of the issuer that is not bound to a point of others is about all that it issued.
        found |= ALL_REASONS
    return found


def _list_signer(crl: Crl, known: CrlFacts, issuer: Cert, path: Path, finder: Finder) -> tuple[Cert, Authority] | None:
    """The issuer in the chain; or another key of the same name, or the named issuer of indirect lists, under the same anchor."""
    above = facts(issuer)
    if known.issuer_key == above.subject_key and _may_sign_lists(above) and _verified(crl, issuer):
        return issuer, Authority.ISSUER
    for candidate in finder.named(known.issuer_key)[:16]:
        own = facts(candidate)
        if own.defects or own.unknown_critical or not _may_sign_lists(own) or not _verified(crl, candidate):
            continue
        if own.spki == above.spki and own.subject_key == above.subject_key:
            return issuer, Authority.ISSUER
        if any(is_key_and_name(p.anchor, path.anchor) and not p.faults for p in finder.paths(candidate)):
            return candidate, Authority.DELEGATE
    return None


def _may_sign_lists(cert: Facts) -> bool:
    return cert.key_usage is None or "crl_sign" in cert.key_usage


@functools.lru_cache(maxsize=4096)
def _verified(crl: Crl, signer: Cert) -> bool:
    known = crl_facts(crl)
    return verifies(facts(signer).key, known.algorithm, known.value, known.tbs)
