"""Answering a time-stamp request, as a function of its arguments (RFC 3161 section 2.4, EN 319 422).

`accept` reads a request and refuses what the policy does not offer; `grant` makes the token. They are two steps, because the service
puts the serial, the time and the record between them. Every refusal is a `Refused`, which becomes a TimeStampResp.
"""

import functools
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID

from trust import algorithms
from trust.algorithms import DIGEST_BY_OID, Algorithm
from trust.codecs import tsp, tst
from trust.codecs.tsp import Failure, Request
from trust.errors import KakuinError, Malformed, Misconfigured, Unacceptable, Unavailable
from trust.model import utc
from trust.ports import Key, SureOf
from tsa.policy import Policy

SERIAL_BITS = 160
"""RFC 3161 section 2.4.2: what a user of tokens must be able to hold."""


class Refused(Unacceptable):
    """The request is refused, for a reason that PKIFailureInfo names."""

    def __init__(self, failure: Failure, why: str) -> None:
        super().__init__(f"{failure.label}: {why}")
        self.failure = failure
        self.why = why

    @property
    def der(self) -> bytes:
        """TimeStampResp."""
        return tsp.rejection(self.failure, self.why)


class UnitFailed(Refused):
    """The unit cannot issue, whatever is asked of it: another one may. `why` is for the operator, not for strangers."""

    def __init__(self, why: str) -> None:
        super().__init__(Failure.SYSTEM_FAILURE, why)

    @property
    def der(self) -> bytes:
        return tsp.rejection(self.failure, "trying again later may help")


class Stopped(UnitFailed):
    """The unit was retired or rolled over, or its certificate was revoked: it never issues again."""


class Response(NamedTuple):
    """An answer: DER TimeStampResp, with the token where there is one and the failure where there is none."""

    der: bytes
    token: bytes | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Unit:
    """A time-stamping unit (EN 319 421 clause 3.1): one key under one policy, with everything that its tokens share made ready."""

    name: str
    """Names its sequence of serial numbers: never reused for another key."""
    policy: Policy
    key: Key
    public_key: PublicKeyTypes
    begins: datetime
    ends: datetime
    """The last moment at which it issues: of its certificate, or before it of its private key's usage period."""
    signer: tst.Signer
    policies: dict[str, bytes]
    """Accepted policies, with their DER."""
    accuracy: bytes
    tail: bytes
    digits: int
    check: Callable[[bytes, bytes], bool]
    """Whether a signature (first) over octets (second) is one of this unit."""
    sure_of: SureOf | None
    """The same for many at once, where that is quicker."""

    @classmethod
    def of(cls, name: str, policy: Policy, key: Key, sure_of: Callable[[PublicKeyTypes, Algorithm], SureOf | None] | None = None) -> "Unit":
        """Misconfigured for a certificate with which no verifier would take a token (RFC 3161 section 2.3).

        `sure_of`: checks many signatures of such a key at once, if it can; what it is not sure of is checked one by one."""
        certificate = key.certificate
        public_key = certificate.public_key
        if public_key is None or not algorithms.fits(key.algorithm, public_key):
            raise Misconfigured(f"unit {name}: {key.algorithm} is no algorithm for the key of its certificate")
        _require_timestamping(name, certificate.x509)
        begins, ends = _period(certificate.x509)
        return cls(
            name=name,
            policy=policy,
            key=key,
            public_key=public_key,
            begins=begins,
            ends=ends,
            signer=tst.Signer.of(certificate, key.chain, key.algorithm),
            policies={oid: tst.identifier(oid) for oid in policy.accepted},
            accuracy=tst.accuracy(policy.accuracy_us),
            tail=(tst.directory_name(certificate.subject) if policy.names_unit else b"") + (tst.qualified_statement() if policy.qualified else b""),
            digits=policy.digits,
            check=algorithms.checker(public_key, key.algorithm),
            sure_of=None if sure_of is None else sure_of(public_key, key.algorithm),
        )


def _require_timestamping(name: str, certificate: x509.Certificate) -> None:
    """RFC 3161 section 2.3: extendedKeyUsage is there, critical, and timeStamping is its only purpose."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        raise Misconfigured(f"unit {name}: its certificate has no extendedKeyUsage") from None
    if not found.critical or list(found.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:
        raise Misconfigured(f"unit {name}: extendedKeyUsage of its certificate is not critical with timeStamping alone")


def _period(certificate: x509.Certificate) -> tuple[datetime, datetime]:
    """When the unit may sign. EN 319 421 TIS-7.6.7-06, TIS-7.7.1-09: within the private key's usage period, where the certificate states one."""
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    try:
        usage = certificate.extensions.get_extension_for_class(x509.PrivateKeyUsagePeriod).value
    except x509.ExtensionNotFound:
        return begins, ends
    if usage.not_before is not None:
        begins = max(begins, usage.not_before.replace(tzinfo=UTC))
    if usage.not_after is not None:
        ends = min(ends, usage.not_after.replace(tzinfo=UTC))
    return begins, ends


def read(request: bytes) -> Request:
    """RFC 3161 section 2.4.1: what the request says. Raises Refused for what is no TimeStampReq."""
    try:
        return tsp.decode_request(request)
    except Malformed as error:
        raise Refused(Failure.BAD_DATA_FORMAT, str(error)) from error


def accept(request: bytes, policy: Policy) -> Request:
    """RFC 3161 section 2.4.1: the request, if this policy offers what it asks for. Raises Refused."""
    asked = read(request)
    judge(asked, policy)
    return asked


def judge(asked: Request, policy: Policy) -> None:
    """RFC 3161 section 2.4.1: whether this policy offers what is asked for. Raises Refused."""
    if asked.version != 1:
        raise Refused(Failure.BAD_REQUEST, "version 1 expected")
    digest = DIGEST_BY_OID.get(asked.digest)
    if digest is None or digest.name not in policy.digests:
        raise Refused(Failure.BAD_ALG, f"digest algorithm is not among {_listed(policy.digests)}")
    if asked.parameters:
        raise Refused(Failure.BAD_ALG, f"{digest.name} takes no parameters")
    if len(asked.value) != digest.size:
        raise Refused(Failure.BAD_DATA_FORMAT, f"{digest.name} digest is {digest.size} bytes, got {len(asked.value)}")
    if asked.policy is not None and asked.policy != policy.oid and asked.policy not in policy.also:
        raise Refused(Failure.UNACCEPTED_POLICY, f"policy is not among {_listed(policy.accepted)}")
    if asked.nonce is not None and len(asked.nonce) > policy.max_nonce:
        raise Refused(Failure.BAD_REQUEST, f"nonce is at most {policy.max_nonce} bytes, got {len(asked.nonce)}")
    if asked.extensions:
        # RFC 3161 section 2.4.1: an extension that is not recognised, critical or not, is refused; none is recognised here.
        raise Refused(Failure.UNACCEPTED_EXTENSION, "no extension is supported")


@functools.lru_cache(maxsize=64)
def _listed(names: frozenset[str]) -> str:
    return " ".join(sorted(names))


def grant(asked: Request, unit: Unit, now: datetime, serial: int) -> Response:
    """RFC 3161 section 2.4.2: the token for an accepted request. `now` is aware UTC, `serial` is used for no other token of the unit.

    The nonce, the imprint and the policy are those of the request, octet for octet (a negative nonce too: the standard bounds an INTEGER
    nowhere, and asks for the same value). The signature is checked with the unit's public key, so that no fault of memory, library or key
    store leaves the house as a token. Raises Refused; UnitFailed where another unit might do better.
    """
    return _granted(asked, unit, _drafted(asked, unit, utc(now), serial))


def grant_all(asked: Sequence[Request], unit: Unit, now: datetime, first: int) -> list[Response | KakuinError]:
    """`grant` for several, with the serials from `first` on; up to the first that fails, with its error, and nothing for those after it.

    One kind of work after the other: what signing, checking and writing each keep in the processor's caches is a part of their time.
    """
    now = utc(now)
    failed: KakuinError | None = None
    drafts: list[_Draft] = []
    signatures: list[bytes] = []
    try:
        for serial, each in enumerate(asked, first):
            drafts.append(_drafted(each, unit, now, serial))
    except KakuinError as error:
        failed = error
    try:
        for _, attributes in drafts:
            signatures.append(_signed(unit, attributes))
    except KakuinError as error:
        failed = error
    sound = 0
    try:
        for signature, (_, attributes), sure in zip(signatures, drafts, _sure(unit, signatures, drafts), strict=False):
            if not sure:
                _require_signature(unit, signature, attributes)
            sound += 1
    except KakuinError as error:
        failed = error
    granted: list[Response | KakuinError] = [_written(asked[at], unit, drafts[at], signatures[at]) for at in range(sound)]
    return granted if failed is None else [*granted, failed]


_Draft = tuple[bytes, bytes]
"""TSTInfo, and the signed attributes over it."""


def _granted(asked: Request, unit: Unit, draft: _Draft) -> Response:
    signature = _signed(unit, draft[1])
    _require_signature(unit, signature, draft[1])
    return _written(asked, unit, draft, signature)


def _drafted(asked: Request, unit: Unit, now: datetime, serial: int) -> _Draft:
    if not unit.begins <= now <= unit.ends:
        raise UnitFailed(f"unit {unit.name} is outside the period in which it may issue")
    if not 0 < serial < 1 << SERIAL_BITS:
        raise UnitFailed(f"unit {unit.name} has no serial number left")
    info = tst.tst_info(
        policy=unit.policies[asked.policy or unit.policy.oid],
        imprint=asked.imprint,
        serial=serial,
        gen_time=tst.generalized_time(now, unit.digits),
        accuracy=unit.accuracy,
        ordering=unit.policy.ordering,
        nonce=asked.nonce,
        tail=unit.tail,
    )
    return info, unit.signer.attributes(info)


def _signed(unit: Unit, attributes: bytes) -> bytes:
    try:
        return unit.key.sign(attributes)
    except Unavailable as error:
        raise UnitFailed(f"unit {unit.name}: {error}") from error


def _require_signature(unit: Unit, signature: bytes, attributes: bytes) -> None:
    if not unit.check(signature, attributes):
        raise UnitFailed(f"unit {unit.name}: its signature does not verify")


def _sure(unit: Unit, signatures: Sequence[bytes], drafts: Sequence[_Draft]) -> Iterable[bool]:
    """Of which signatures it is known already that they verify."""
    return itertools.repeat(False) if unit.sure_of is None else unit.sure_of(signatures, [attributes for _, attributes in drafts])


def _written(asked: Request, unit: Unit, draft: _Draft, signature: bytes) -> Response:
    info, attributes = draft
    token = unit.signer.token(info, attributes, signature, certificates=asked.cert_req)
    return Response(tsp.granted(token), token)


def refusal(error: KakuinError) -> Response:
    """Any error as the answer of the protocol: what went wrong inside is a systemFailure, and not described to strangers."""
    if not isinstance(error, Refused):
        why = "trying again later may help" if isinstance(error, Unavailable) else "the request could not be handled"
        error = Refused(Failure.SYSTEM_FAILURE, why)
    return Response(error.der, None, error.failure)


def respond(request: bytes, unit: Unit, now: datetime, serial: int) -> Response:
    """The whole of it: one request, one answer, never an error."""
    try:
        return grant(accept(request, unit.policy), unit, now, serial)
    except KakuinError as error:
        return refusal(error)
