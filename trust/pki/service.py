"""The certification authority: issue, revoke, and say what stands. It is given its store, journal, clock and keys."""

import json
import secrets
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from trust.errors import Conflict, KakuinError, Malformed, NotFound, TooLarge, Unacceptable, Unavailable
from trust.model import Cert, Crl, Ocsp, utc
from trust.pki.issue import Addresses, Issuer, Revoked, Validity, certificate, crl
from trust.pki.ocsp import Answer, CertId, identify, parse, refusal, respond
from trust.pki.profiles import PROFILES, REASONS, Profile, Subject
from trust.ports import Clock, Key, Status

_ATTEMPTS = 5
"""To publish a list, when others publish at the same time."""


class Journal(Protocol):
    def append(self, kind: str, body: bytes) -> int:
        """The entry's index; durable when it returns. Raises Unavailable, and then nothing may be released."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate of ours and what became of it."""

    certificate: Cert
    profile: str
    issuer: bytes
    """Key identifier of the issuer."""
    revoked_at: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """A list, and the number of its entries: a list with fewer entries than there are revocations is out of date."""

    crl: Crl
    number: int
    entries: int
    this_update: datetime
    next_update: datetime


class Store(Protocol):
    """What was issued and what became of it. Every change is durable when it returns; safe in threads and across processes. Raises Unavailable."""

    def add(self, issued: Issued) -> None:
        """Conflict when the issuer used the serial number before."""

    def find(self, issuer: bytes, serial: int) -> Issued | None: ...

    def with_serial(self, serial: int) -> Sequence[Issued]:
        """Of whatever issuer."""

    def all(self) -> Sequence[Issued]:
        """In the order in which they were issued."""

    def revoke(self, issuer: bytes, serial: int, time: datetime, reason: str) -> None:
        """NotFound, or Conflict when it was revoked before: a revocation is never changed."""

    def revoked(self, issuer: bytes) -> Sequence[Issued]: ...

    def newest_crl(self, issuer: bytes) -> Published | None: ...

    def list_of(self, issuer: bytes) -> tuple[Published | None, int]:
        """The newest list, and how many certificates are revoked: what tells whether it is complete."""

    def add_crl(self, issuer: bytes, published: Published) -> None:
        """Conflict when the number is taken."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What the settings say about certificates."""

    addresses: Addresses
    policy: str
    days: Mapping[str, int]
    """By the names that the profiles use."""
    crl_life: Mapping[str, timedelta]
    """By issuer: from a list to the next. A new one is made when half of it has passed."""
    ocsp_life: timedelta


class CertificateAuthority:
    """A root and an issuing authority below it. Thread-safe; several may work on one store."""

    def __init__(
        self, store: Store, journal: Journal, clock: Clock, *, key: Callable[[str], Key], certificate: Callable[[str], Cert], terms: Terms
    ) -> None:
        """`key`: by name, `root`, `ca` or `ocsp`; raises NotFound for one that is not at hand, such as a root that lies in a safe, or Misconfigured
        for one that cannot be unlocked. `certificate`: of `root` or `ca`; needs no key."""
        self._store = store
        self._journal = journal
        self._clock = clock
        self._key = key
        self._certificate = certificate
        self._terms = terms
        self._answered: tuple[datetime | None, dict[Hashable, Ocsp]] = None, {}
        """Answers of one second."""

    def found(self, subject: Subject, root: Issuer) -> Cert:
        """Issue the root's own certificate: the beginning of an installation."""
        return self._issued(PROFILES["root"], subject.name(), root.public_key, root)

    def issue(self, profile: str, subject: Subject, public_key: PublicKeyTypes | x509.CertificateSigningRequest) -> Cert:
        """Issue a certificate for this subject and key. It is in the journal and the store before it is returned.

        Of a PKCS#10 request only the key is taken, and that its holder has the private half is checked; who the subject is, is not for it to say.
        Unacceptable for an unknown profile or a weak key, Malformed for a bad subject or request, Unavailable when it cannot be recorded.
        """
        if profile not in PROFILES or profile == "root":
            raise Unacceptable(f"profile is one of {', '.join(p for p in PROFILES if p != 'root')}, got {profile[:20]!r}")
        kind = PROFILES[profile]
        return self._issued(kind, subject.name(), _certified(public_key), Issuer.of(self._key(kind.issuer)))

    def succeed(self, profile: str, subject: Subject, public_key: PublicKeyTypes, retired: Cert) -> Cert:
        """Issue a certificate that takes the place of `retired`, which stays as it is; the journal says which follows which. Errors as of issue()."""
        made = self.issue(profile, subject, public_key)
        body = {"event": "renewal", "profile": profile, "retired": f"{retired.serial:x}", "serial": f"{made.serial:x}"}
        self._journal.append("event", json.dumps(body, sort_keys=True).encode())
        return made

    def _issued(self, profile: Profile, subject: x509.Name, public_key: PublicKeyTypes, issuer: Issuer) -> Cert:
        made = certificate(
            profile,
            subject,
            public_key,
            issuer,
            serial=secrets.randbits(128) or 1,
            validity=self._validity(profile, issuer.not_after),
            addresses=self._terms.addresses,
            policy=self._terms.policy,
        )
        self._journal.append("certificate", made.der)
        self._store.add(Issued(made, profile.name, issuer.key_identifier))
        return made

    def _validity(self, profile: Profile, issuer_end: datetime | None) -> Validity:
        """To the second. The end is the last second of validity, and never later than the issuer's (shell model)."""
        start = self._now()
        end = start + timedelta(days=self._terms.days[profile.days_setting]) - timedelta(seconds=1)
        if issuer_end is not None:
            end = min(end, issuer_end)
        if end <= start:
            raise Unavailable("the issuing certificate has expired: nothing can be issued under it")
        if profile.key_days_setting is None:
            return Validity(start, end)
        key_end = start + timedelta(days=self._terms.days[profile.key_days_setting])
        if key_end >= end:
            raise Unacceptable("a private key's use ends before its certificate does (EN 319 421 TIS-7.6.7-04): look at pki.tsu_key_days")
        return Validity(start, end, key_end)

    def revoke(self, serial: int, reason: str, time: datetime | None = None) -> Issued:
        """Revoke for good. The journal has it first; when this returns, a new list is published and OCSP says it.

        `time`: since when, if earlier than now. `reason`: a name of RFC 5280 section 5.3.1. NotFound, Conflict, Unacceptable.
        """
        if reason not in REASONS:
            raise Unacceptable(f"reason is one of {', '.join(REASONS)}, got {reason[:30]!r}")
        found = self._store.with_serial(serial)
        if not found:
            raise NotFound(f"no certificate with serial number {serial:x} was issued here")
        if found[0].revoked_at is not None:
            raise Conflict(f"certificate {serial:x} was revoked already, at {found[0].revoked_at.isoformat()}")
        if found[0].profile == "root":
            raise Unacceptable("a root cannot revoke itself: tell those who trust it to remove it")
        now = self._now()
        since = now if time is None else utc(time).replace(microsecond=0)
        if not found[0].certificate.not_before <= since <= now:
            raise Unacceptable("time of revocation lies between the certificate's beginning and now")
        entry = {"issuer": found[0].issuer.hex(), "serial": f"{serial:x}", "time": since.isoformat(), "reason": reason}
        self._journal.append("revocation", json.dumps(entry, sort_keys=True).encode())
        self._store.revoke(found[0].issuer, serial, since, reason)
        self.crl(PROFILES[found[0].profile].issuer)
        return Issued(found[0].certificate, found[0].profile, found[0].issuer, since, reason)

    def is_revoked(self, certificate: Cert) -> bool:
        """Of a certificate of ours."""
        return any(i.revoked_at is not None for i in self._store.with_serial(certificate.serial) if i.certificate == certificate)

    def certificates(self) -> Sequence[Issued]:
        """Everything issued, oldest first."""
        return self._store.all()

    def certificate(self, issuer: str) -> Cert:
        """The certificate of `root` or `ca`."""
        if issuer not in {"root", "ca"}:
            raise NotFound(f"issuer is root or ca, got {issuer[:20]!r}")
        return self._certificate(issuer)

    def crl(self, issuer: str, *, after: datetime | None = None) -> Published:
        """The list in force of `root` or `ca`: a new one where a revocation is not on the last, half of its life has passed, or it is not from
        `after` this time. A list from before a certificate was issued tells a verifier nothing about it.

        Unavailable when the last has run out, or lacks a revocation, and the issuer's key is not at hand.
        """
        identifier = key_identifier(self.certificate(issuer))
        for _ in range(_ATTEMPTS):
            newest, revoked = self._store.list_of(identifier)
            now = self._now()
            complete = newest is not None and newest.entries == revoked
            late = newest is not None and after is not None and newest.this_update < after
            if newest is not None and complete and not late and now < newest.this_update + (newest.next_update - newest.this_update) / 2:
                return newest
            try:
                key = self._key(issuer)
            except KakuinError as error:
                if newest is not None and complete and now < newest.next_update:
                    return newest
                raise Unavailable(f"the list of {issuer} has to be renewed, and its key is not at hand") from error
            made = self._list(issuer, key, newest, now)
            body = {"event": "crl", "issuer": identifier.hex(), "number": made.number, "sha256": made.crl.id.hex()}
            self._journal.append("event", json.dumps(body, sort_keys=True).encode())
            try:
                self._store.add_crl(identifier, made)
            except Conflict:
                continue  # another process took the number: its list may be all that is wanted
            return made
        raise Unavailable("others publish lists at the same time, try again")

    def _list(self, issuer: str, key: Key, newest: Published | None, now: datetime) -> Published:
        number = 1 if newest is None else newest.number + 1
        next_update = now + self._terms.crl_life[issuer]
        entries = [
            Revoked(e.certificate.serial, e.revoked_at, e.reason or "unspecified")
            for e in self._store.revoked(key_identifier(key.certificate))
            if e.revoked_at is not None
        ]
        since = key.certificate.not_before
        made = crl(Issuer.of(key), entries, number=number, this_update=now, next_update=next_update, since=since)
        return Published(made, number, len(entries), now, next_update)

    def ocsp(self, der: bytes) -> bytes:
        """Answer an OCSPRequest (RFC 6960) with an OCSPResponse, both DER. Refusals are answers too; nothing is raised for a bad request.

        Answers for what the issuing authority issued; everything else is unknown here, the authority's own certificate included, about which only
        the root's list speaks with the root's word.
        """
        try:
            request = parse(der)
        except (Malformed, TooLarge):
            return refusal("malformed_request")
        try:
            return self._answer(request.ids, request.nonce)
        except Unavailable:
            return refusal("try_later")

    def _answer(self, ids: Sequence[CertId], nonce: bytes | None) -> bytes:
        authority, now = self.certificate("ca"), self._now()
        return self._respond([self._standing(cert_id, authority) for cert_id in ids], nonce, now)

    def _respond(self, answers: Sequence[Answer], nonce: bytes | None, now: datetime) -> bytes:
        return respond(
            answers,
            self._key("ocsp"),
            nonce=nonce,
            this_update=now,
            next_update=now + self._terms.ocsp_life,
            archive_cutoff=self.certificate("ca").not_before,
        )

    def _answer_about(self, member: Cert, authority: Cert) -> Ocsp:
        """An answer speaks of a whole second: asked again within it, while nothing has changed, the same one is given."""
        now, responder = self._now(), self._key("ocsp").certificate
        standing = self._standing(identify(member, authority), authority)
        asked = (member, authority, responder, standing.known, standing.revoked_at, standing.reason)
        since, given = self._answered
        if since != now:
            self._answered = since, given = now, {}
        if asked not in given:
            given[asked] = Ocsp.from_response(self._respond([standing], None, now))
        return given[asked]

    def _standing(self, cert_id: CertId, authority: Cert) -> Answer:
        found = self._store.find(key_identifier(authority), cert_id.serial) if cert_id.names(authority) else None
        if found is None:
            return Answer(cert_id, known=False)
        return Answer(cert_id, known=True, revoked_at=found.revoked_at, reason=found.reason or "unspecified")

    def status(self, chain: Sequence[Cert]) -> Status:
        """`trust.ports.StatusSource` for certificates of ours, without a network: OCSP and list below the issuing authority, the root's list above.

        Both, because each has what the other lacks: the answer is of this moment, the list outlives the responder. What is sealed with the answer
        alone cannot be confirmed once the responder's certificate has ended: its newest time-stamp has nothing later that proves its own
        status, the responder's certificate included (EN 319 102-1 clause 5.2.6, REVOCATION_OUT_OF_BOUNDS_NO_POE). A list is signed by the issuer.

        Unavailable for a certificate that somebody else issued, or when a list has run out and cannot be renewed.
        """
        authority, root = self.certificate("ca"), self.certificate("root")
        crls: list[Crl] = []
        answers: list[Ocsp] = []
        certs: list[Cert] = []
        for member in chain:
            if member == root:
                continue
            if member.issuer == authority.subject and self._is_ours(member, authority):
                answers.append(self._answer_about(member, authority))
                crls.append(self.crl("ca").crl)
                certs += [self._key("ocsp").certificate, authority]
            elif member.issuer == root.subject and self._is_ours(member, root):
                crls.append(self.crl("root").crl)
                certs.append(root)
            else:
                raise Unavailable(f"certificate {member.serial:x} was not issued here: its status is not known here")
        return Status(tuple(dict.fromkeys(crls)), tuple(dict.fromkeys(answers)), tuple(dict.fromkeys(certs)))

    def _is_ours(self, member: Cert, issuer: Cert) -> bool:
        found = self._store.find(key_identifier(issuer), member.serial)
        return found is not None and found.certificate == member

    def _now(self) -> datetime:
        """To the second, as certificates and lists have it."""
        return self._clock().replace(microsecond=0)


def key_identifier(authority: Cert) -> bytes:
    """Of an authority: what names it in the store."""
    return authority.x509.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest


def _certified(key: PublicKeyTypes | x509.CertificateSigningRequest) -> PublicKeyTypes:
    if not isinstance(key, x509.CertificateSigningRequest):
        return key
    if not key.is_signature_valid:
        raise Malformed("the request is not signed by the key that it asks a certificate for")
    return key.public_key()
