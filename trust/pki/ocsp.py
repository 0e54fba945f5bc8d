"""OCSP (RFC 6960) with nonces (RFC 9654): requests in, strictly; answers out, signed by a delegated responder."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from asn1crypto import core, ocsp
from cryptography.x509 import ocsp as strict

from trust.algorithms import DIGEST_BY_OID as DIGESTS_BY_OID
from trust.algorithms import OID_BY_SIGNATURE, DigestAlgorithm, hasher
from trust.codecs.asn1 import BIT_STRING, ENUMERATED, OCTET_STRING, SEQUENCE, context, tlv
from trust.codecs.tst import NULL, generalized_time, identifier, integer
from trust.errors import Malformed, TooLarge
from trust.model import Cert
from trust.ports import Key

MOST_BYTES = 65_536
MOST_CERTIFICATES = 100
"""Asked about in one request. Clients ask about one, or about the few of a chain."""
NONCE_BYTES = range(1, 129)
"""RFC 9654 section 2.1."""

_TAKEN = {"sha1", "sha256", "sha384", "sha512"}
_PKCS1 = "rsa-pkcs1"


@dataclass(frozen=True, slots=True)
class CertId:
    """RFC 6960 section 4.1.1: which certificate is asked about, by hashes of its issuer's name and key."""

    algorithm: DigestAlgorithm | None
    """None for one that is not known here."""
    name_hash: bytes
    key_hash: bytes
    serial: int
    der: bytes
    """As it came: the answer repeats it."""

    def names(self, issuer: Cert) -> bool:
        if self.algorithm is None or self.algorithm.name not in _TAKEN:
            return False
        return (self.name_hash, self.key_hash) == issuer_hashes(issuer, self.algorithm.name)


@dataclass(frozen=True, slots=True)
class Request:
    ids: tuple[CertId, ...]
    nonce: bytes | None


@dataclass(frozen=True, slots=True)
class Answer:
    """About one certificate; `revoked_at` None means good, `known` false means that the issuer never issued it or is another's."""

    id: CertId
    known: bool
    revoked_at: datetime | None = None
    reason: str = "unspecified"


@functools.lru_cache(maxsize=64)
def issuer_hashes(issuer: Cert, algorithm: str) -> tuple[bytes, bytes]:
    name, key = hasher(algorithm), hasher(algorithm)
    name.update(issuer.subject)
    key.update(bytes(issuer.asn1.public_key["public_key"]))
    return name.digest(), key.digest()


@functools.lru_cache(maxsize=1024)
def identify(certificate: Cert, issuer: Cert) -> CertId:
    """With SHA-1, which every verifier knows and on which nothing rests here: the hashes only name an issuer."""
    name_hash, key_hash = issuer_hashes(issuer, "sha1")
    sha1 = DIGESTS_BY_OID["1.3.14.3.2.26"]
    algorithm = _sequence(identifier(sha1.oid), NULL)
    der = _sequence(algorithm, tlv(OCTET_STRING, name_hash), tlv(OCTET_STRING, key_hash), integer(certificate.serial))
    return CertId(sha1, name_hash, key_hash, certificate.serial, der)


def parse(der: bytes) -> Request:
    """RFC 6960 section 4.1. Malformed for anything but one strict DER request, TooLarge over the caps. A requestor's signature is not looked at."""
    if len(der) > MOST_BYTES:
        raise TooLarge(f"OCSP request is over {MOST_BYTES} bytes")
    try:
        strict.load_der_ocsp_request(der)  # strict DER; what asn1crypto takes for a request is looser
    except NotImplementedError:
        pass  # several certificates in one request, well formed
    except ValueError as error:
        raise Malformed("OCSP request is not DER as RFC 6960 section 4.1 says") from error
    try:
        tbs = ocsp.OCSPRequest.load(der)["tbs_request"]
        ids = tuple(_cert_id(single["req_cert"]) for single in tbs["request_list"])
        extensions = {e["extn_id"].native: e for e in tbs["request_extensions"] or ()}
        nonce = _nonce(extensions["nonce"]) if "nonce" in extensions else None
    except (ValueError, TypeError, KeyError) as error:
        raise Malformed("OCSP request is not as RFC 6960 section 4.1 says") from error
    if not ids:
        raise Malformed("OCSP request asks about nothing")
    if len(ids) > MOST_CERTIFICATES:
        raise TooLarge(f"OCSP request asks about at most {MOST_CERTIFICATES} certificates, got {len(ids)}")
    if any(e["critical"].native and name != "nonce" for name, e in extensions.items()):
        raise Malformed("OCSP request has a critical extension that is not known here")
    return Request(ids, nonce)


def _cert_id(value: Any) -> CertId:
    return CertId(
        DIGESTS_BY_OID.get(value["hash_algorithm"]["algorithm"].dotted),
        value["issuer_name_hash"].native,
        value["issuer_key_hash"].native,
        value["serial_number"].native,
        value.dump(),
    )


def _nonce(extension: Any) -> bytes:
    nonce = core.OctetString.load(extension["extn_value"].contents, strict=True).native
    if len(nonce) not in NONCE_BYTES:
        raise Malformed(f"OCSP nonce is 1 to 128 bytes (RFC 9654), got {len(nonce)}")
    return bytes(nonce)


def respond(
    answers: Sequence[Answer],
    key: Key,
    *,
    nonce: bytes | None,
    this_update: datetime,
    next_update: datetime,
    archive_cutoff: datetime,
) -> bytes:
    """A successful OCSPResponse (RFC 6960 section 4.2). `archive_cutoff`: since when answers are kept beyond a certificate's expiry.

    Written piece by piece: a seal asks for two of them, and asn1crypto needs longer for one than the rest of the seal does.
    """
    parts = [
        tlv(context(2), tlv(OCTET_STRING, issuer_hashes(key.certificate, "sha1")[1])),
        _moment(this_update),
        _sequence(*(_single(answer, this_update, next_update, archive_cutoff) for answer in answers)),
    ]
    if nonce is not None:
        parts.append(tlv(context(1), _sequence(_extension(_NONCE, tlv(OCTET_STRING, nonce)))))
    return _wrapped(_sequence(*parts), key)


def _single(answer: Answer, this_update: datetime, next_update: datetime, archive_cutoff: datetime) -> bytes:
    """SingleResponse."""
    times = _moment(this_update), tlv(context(0), _moment(next_update))
    if not answer.known:
        return _sequence(answer.id.der, _UNKNOWN, *times)
    cutoff = _extension(_ARCHIVE_CUTOFF, _moment(archive_cutoff))
    return _sequence(answer.id.der, _cert_status(answer), *times, tlv(context(1), _sequence(cutoff)))


def _cert_status(answer: Answer) -> bytes:
    if answer.revoked_at is None:
        return _GOOD
    reason = b"" if answer.reason == "unspecified" else tlv(context(0), tlv(ENUMERATED, bytes((_REASONS[answer.reason],))))
    return tlv(context(1), _moment(answer.revoked_at) + reason)


_GOOD, _UNKNOWN = b"\x80\0", b"\x82\0"
_NONCE, _ARCHIVE_CUTOFF, _BASIC = (f"1.3.6.1.5.5.7.48.1.{n}" for n in (2, 6, 1))
_REASONS = {
    # RFC 5280 section 5.3.1.
    "keyCompromise": 1,
    "cACompromise": 2,
    "affiliationChanged": 3,
    "superseded": 4,
    "cessationOfOperation": 5,
    "privilegeWithdrawn": 9,
}


def _sequence(*parts: bytes) -> bytes:
    return tlv(SEQUENCE, b"".join(parts))


def _extension(kind: str, value: bytes) -> bytes:
    return _sequence(identifier(kind), tlv(OCTET_STRING, value))


def _moment(time: datetime) -> bytes:
    """GeneralizedTime, to the second (RFC 5280 section 4.1.2.5.2)."""
    return generalized_time(time.astimezone(UTC), 0)


def _wrapped(data: bytes, key: Key) -> bytes:
    null = NULL if key.algorithm.scheme == _PKCS1 else b""
    algorithm = _sequence(identifier(OID_BY_SIGNATURE[key.algorithm]), null)
    certificates = tlv(context(0), _sequence(key.certificate.der))
    basic = _sequence(data, algorithm, tlv(BIT_STRING, b"\0" + key.sign(data)), certificates)
    inside = _sequence(identifier(_BASIC), tlv(OCTET_STRING, basic))
    return _sequence(tlv(ENUMERATED, b"\0"), tlv(context(0), inside))


def refusal(status: str) -> bytes:
    """An OCSPResponse without answers: `malformed_request`, `internal_error` or `try_later`."""
    response: bytes = ocsp.OCSPResponse({"response_status": status}).dump()
    return response
