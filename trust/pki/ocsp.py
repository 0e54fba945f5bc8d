"""OCSP (RFC 6960) with nonces (RFC 9654): requests in, strictly; answers out, signed by a delegated responder."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from asn1crypto import core, ocsp
from asn1crypto import x509 as asn1_x509
from cryptography.x509 import ocsp as strict

from trust.algorithms import DIGEST_BY_OID as DIGESTS_BY_OID
from trust.algorithms import OID_BY_SIGNATURE, DigestAlgorithm, hasher
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
    value: Any
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


def issuer_hashes(issuer: Cert, algorithm: str) -> tuple[bytes, bytes]:
    name, key = hasher(algorithm), hasher(algorithm)
    name.update(issuer.subject)
    key.update(bytes(issuer.asn1.public_key["public_key"]))
    return name.digest(), key.digest()


def identify(certificate: Cert, issuer: Cert) -> CertId:
    """With SHA-1, which every verifier knows and on which nothing rests here: the hashes only name an issuer."""
    name_hash, key_hash = issuer_hashes(issuer, "sha1")
    value = ocsp.CertId(
        {
            "hash_algorithm": {"algorithm": "sha1"},
            "issuer_name_hash": name_hash,
            "issuer_key_hash": key_hash,
            "serial_number": certificate.serial,
        }
    )
    return CertId(DIGESTS_BY_OID["1.3.14.3.2.26"], name_hash, key_hash, certificate.serial, value)


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
        value,
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
    """A successful OCSPResponse (RFC 6960 section 4.2). `archive_cutoff`: since when answers are kept beyond a certificate's expiry."""
    data = ocsp.ResponseData(
        {
            "responder_id": ocsp.ResponderId(name="by_key", value=issuer_hashes(key.certificate, "sha1")[1]),
            "produced_at": this_update,
            "responses": [_single(answer, this_update, next_update, archive_cutoff) for answer in answers],
            "response_extensions": None if nonce is None else [{"extn_id": "nonce", "extn_value": core.OctetString(nonce)}],
        }
    )
    return _wrapped(data, key)


def _single(answer: Answer, this_update: datetime, next_update: datetime, archive_cutoff: datetime) -> ocsp.SingleResponse:
    if not answer.known:
        status = ocsp.CertStatus(name="unknown", value=ocsp.StatusUnknown())
    elif answer.revoked_at is None:
        status = ocsp.CertStatus(name="good", value=ocsp.StatusGood())
    else:
        reason = None if answer.reason == "unspecified" else _REASON_NAMES[answer.reason]
        status = ocsp.CertStatus(name="revoked", value=ocsp.RevokedInfo({"revocation_time": answer.revoked_at, "revocation_reason": reason}))
    extensions = [{"extn_id": "archive_cutoff", "extn_value": core.GeneralizedTime(archive_cutoff.astimezone(UTC))}] if answer.known else None
    return ocsp.SingleResponse(
        {
            "cert_id": answer.id.value,
            "cert_status": status,
            "this_update": this_update,
            "next_update": next_update,
            "single_extensions": extensions,
        }
    )


_REASON_NAMES = {
    "keyCompromise": "key_compromise",
    "cACompromise": "ca_compromise",
    "affiliationChanged": "affiliation_changed",
    "superseded": "superseded",
    "cessationOfOperation": "cessation_of_operation",
    "privilegeWithdrawn": "privilege_withdrawn",
}


def _wrapped(data: ocsp.ResponseData, key: Key) -> bytes:
    algorithm: dict[str, Any] = {"algorithm": OID_BY_SIGNATURE[key.algorithm]}
    if key.algorithm.scheme == _PKCS1:
        algorithm["parameters"] = core.Null()
    basic = ocsp.BasicOCSPResponse(
        {
            "tbs_response_data": data,
            "signature_algorithm": algorithm,
            "signature": key.sign(data.dump()),
            "certs": [asn1_x509.Certificate.load(key.certificate.der)],
        }
    )
    response: bytes = ocsp.OCSPResponse(
        {
            "response_status": "successful",
            "response_bytes": {"response_type": "basic_ocsp_response", "response": core.ParsableOctetString(basic.dump())},
        }
    ).dump()
    return response


def refusal(status: str) -> bytes:
    """An OCSPResponse without answers: `malformed_request`, `internal_error` or `try_later`."""
    response: bytes = ocsp.OCSPResponse({"response_status": status}).dump()
    return response
