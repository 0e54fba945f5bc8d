"""A public key infrastructure in memory, in milliseconds. What a caller does not say is sound: keyword arguments state only the defect."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from asn1crypto import algos, cms, tsp
from asn1crypto import core as asn1_core
from asn1crypto import crl as asn1_crl
from asn1crypto import ocsp as asn1_ocsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa
from cryptography.x509 import ocsp as x509_ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from trust.algorithms import DIGESTS, OID_BY_SIGNATURE, Algorithm, pss, under
from trust.model import Cert, Crl, Digest, Ocsp
from trust.ports import Stamper

BORN = datetime(2020, 1, 1, tzinfo=UTC)
"""When roots and authorities begin."""
ISSUED = datetime(2024, 1, 1, tzinfo=UTC)
"""When certificates of signers, units and responders begin."""
SIGNED = datetime(2025, 3, 1, 9, 0, tzinfo=UTC)
"""When things are signed and stamped."""
CHECKED = datetime(2025, 3, 2, 9, 0, tzinfo=UTC)
"""When status is asked: thisUpdate of lists and answers."""
ENDED = datetime(2027, 1, 1, tzinfo=UTC)
"""When the signer's certificate ends."""
UNIT_ENDED = datetime(2030, 1, 1, tzinfo=UTC)
"""When the timestamping unit's certificate ends."""
DIED = datetime(2045, 1, 1, tzinfo=UTC)
"""When roots and authorities end."""
DAY = timedelta(days=1)

CRL_URL = "http://pki.example.test/ca.crl"
OCSP_URL = "http://pki.example.test/ocsp"
ISSUER_URL = "http://pki.example.test/ca.cer"
TSA_POLICY = "1.2.3.4.1"

_USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip


def usage(*names: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{name: name in names for name in _USAGES})


@functools.lru_cache(maxsize=64)
def _rsa(bits: int, number: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def private_key(kind: str, number: int = 0) -> Any:
    """`p256`, `p384`, `p521`, `ed25519`, `ml-dsa-65`: a fresh one. `rsa2048` and so on: from a small stock, because they are slow to make."""
    if kind.startswith("rsa"):
        return _rsa(int(kind.removeprefix("rsa")), number)
    curves: dict[str, type[ec.EllipticCurve]] = {"p256": ec.SECP256R1, "p384": ec.SECP384R1, "p521": ec.SECP521R1}
    if kind in curves:
        return ec.generate_private_key(curves[kind]())
    return {"ed25519": ed25519.Ed25519PrivateKey.generate, "ml-dsa-65": mldsa.MLDSA65PrivateKey.generate}[kind]()


def usual_algorithm(private: Any, digest: str = "sha256") -> Algorithm:
    match private:
        case rsa.RSAPrivateKey():
            return Algorithm("rsa-pkcs1", digest)
        case ec.EllipticCurvePrivateKey():
            return Algorithm("ecdsa", digest)
        case ed25519.Ed25519PrivateKey():
            return Algorithm("ed25519")
    return Algorithm("ml-dsa-65")


@dataclass(frozen=True)
class Party:
    """Who holds a key and a certificate: trust.ports.Key."""

    certificate: Cert
    chain: tuple[Cert, ...]
    algorithm: Algorithm
    private: Any

    def sign(self, data: bytes) -> bytes:
        face = DIGESTS[self.algorithm.digest].hash() if self.algorithm.digest else None  # type: ignore[misc]
        match self.algorithm.scheme:
            case "rsa-pkcs1":
                return self.private.sign(data, padding.PKCS1v15(), face)
            case "rsa-pss":
                return self.private.sign(data, padding.PSS(padding.MGF1(face), self.algorithm.salt), face)
            case "ecdsa":
                return self.private.sign(data, ec.ECDSA(face))
        return self.private.sign(data)

    @property
    def name(self) -> x509.Name:
        return self.certificate.x509.subject

    @property
    def serial(self) -> int:
        return self.certificate.x509.serial_number

    def under(self, digest: str) -> "Party":
        """trust.ports.SealKey."""
        return replace(self, algorithm=under(self.algorithm, digest))

    def with_pss(self, digest: str = "sha256") -> "Party":
        return replace(self, algorithm=pss(digest))


def _hash(private: Any, digest: str) -> Any:
    return None if isinstance(private, ed25519.Ed25519PrivateKey | mldsa.MLDSA65PrivateKey) else DIGESTS[digest].hash()  # type: ignore[misc]


def _with_sha1(signed: Any, signing: Any) -> bytes:
    """The same certificate or list, signed with SHA-1 as of old: the library refuses to."""
    algorithm = usual_algorithm(signing, "sha1")
    identifier = algos.SignedDigestAlgorithm({"algorithm": OID_BY_SIGNATURE[algorithm]})
    tbs = signed["tbs_certificate" if isinstance(signed, asn1_x509.Certificate) else "tbs_cert_list"]
    tbs["signature"] = identifier
    signed["signature_algorithm"] = identifier
    value = Party(Cert(b""), (), algorithm, signing).sign(tbs.dump(force=True))
    signed["signature_value" if isinstance(signed, asn1_x509.Certificate) else "signature"] = value
    return signed.dump()


_serials = iter(range(1_000_001, 1 << 40))


def name_of(common: str, organisation: str = "Example", country: str = "JP") -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, country),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def certify(
    common: str,
    issuer: Party | None,
    *,
    key: str = "p256",
    private: Any = None,
    digest: str = "sha256",
    not_before: datetime = ISSUED,
    not_after: datetime = ENDED,
    key_usage: Sequence[str] | None = ("digital_signature", "content_commitment"),
    ca: bool | None = False,
    path_length: int | None = None,
    purposes: Sequence[x509.ObjectIdentifier] = (),
    purposes_critical: bool = False,
    extensions: Iterable[tuple[x509.ExtensionType, bool]] = (),
    status_urls: bool = True,
    key_identifiers: bool = True,
    serial: int | None = None,
    subject: x509.Name | None = None,
    issuer_name: x509.Name | None = None,
    signed_by: Any = None,
) -> Party:
    """A certificate for `common` by `issuer`, self-signed without one.

    `signed_by` is a private key that signs instead of the issuer's; `issuer_name` a name that stands instead of the issuer's;
    `ca=None` leaves basicConstraints out, `key_usage=None` keyUsage.
    """
    private = private or private_key(key)
    subject = subject or name_of(common)
    signing = signed_by or (issuer.private if issuer else private)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer_name or (issuer.name if issuer else subject))
        .public_key(private.public_key())
        .serial_number(serial or next(_serials))
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=path_length), critical=True)
    if key_usage is not None:
        builder = builder.add_extension(usage(*key_usage), critical=True)
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=purposes_critical)
    if key_identifiers:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        holder = issuer.private.public_key() if issuer else private.public_key()
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(holder), critical=False)
    if status_urls and issuer:
        builder = builder.add_extension(
            x509.AuthorityInformationAccess(
                [
                    x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(OCSP_URL)),
                    x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier(ISSUER_URL)),
                ]
            ),
            critical=False,
        )
        builder = builder.add_extension(
            x509.CRLDistributionPoints([x509.DistributionPoint([x509.UniformResourceIdentifier(CRL_URL)], None, None, None)]), critical=False
        )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    signed = builder.sign(signing, _hash(signing, "sha256" if digest == "sha1" else digest)).public_bytes(serialization.Encoding.DER)
    made = Cert(_with_sha1(asn1_x509.Certificate.load(signed), signing) if digest == "sha1" else signed)
    chain = (issuer.certificate, *issuer.chain) if issuer else ()
    return Party(made, chain, usual_algorithm(private, digest), private)


def root(common: str = "Example Root CA", **defects: Any) -> Party:
    return certify(common, None, **{"not_before": BORN, "not_after": DIED, "key_usage": ("key_cert_sign", "crl_sign"), "ca": True, **defects})


def authority(issuer: Party, common: str = "Example Issuing CA", **defects: Any) -> Party:
    return certify(common, issuer, **{"not_before": BORN, "not_after": DIED, "key_usage": ("key_cert_sign", "crl_sign"), "ca": True, **defects})


def signer(issuer: Party, common: str = "Example Seal", **defects: Any) -> Party:
    return certify(common, issuer, **defects)


def unit(issuer: Party, common: str = "Example TSU 1", **defects: Any) -> Party:
    """A timestamping unit: the one extended key usage, critical (RFC 3161 section 2.3)."""
    sound = {
        "purposes": (ExtendedKeyUsageOID.TIME_STAMPING,),
        "purposes_critical": True,
        "key_usage": ("digital_signature",),
        "not_after": UNIT_ENDED,
    }
    return certify(common, issuer, **{**sound, **defects})


def responder(issuer: Party, common: str = "Example OCSP", *, no_check: bool = True, **defects: Any) -> Party:
    """A delegated OCSP responder (RFC 6960 section 4.2.2.2)."""
    sound = {
        "purposes": (ExtendedKeyUsageOID.OCSP_SIGNING,),
        "key_usage": ("digital_signature",),
        "extensions": ((x509.OCSPNoCheck(), False),) if no_check else (),
        "not_after": UNIT_ENDED,
    }
    return certify(common, issuer, **{**sound, **defects})


Revoked = Mapping[int, datetime | tuple[datetime, x509.ReasonFlags]]
"""Serial -> when, or when and why."""


def crl(
    issuer: Party,
    revoked: Revoked | None = None,
    *,
    this_update: datetime = CHECKED,
    next_update: datetime | None = None,
    number: int | None = 1,
    extensions: Iterable[tuple[x509.ExtensionType, bool]] = (),
    issuer_name: x509.Name | None = None,
    signed_by: Any = None,
    entry_extensions: Iterable[tuple[x509.ExtensionType, bool]] = (),
    digest: str = "sha256",
) -> Crl:
    """A list by `issuer`, thirty days to the next one."""
    signing = signed_by or issuer.private
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer_name or issuer.name)
        .last_update(this_update)
        .next_update(next_update or this_update + 30 * DAY)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.private.public_key()), critical=False)
    )
    if number is not None:
        builder = builder.add_extension(x509.CRLNumber(number), critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    for serial, told in (revoked or {}).items():
        when, why = told if isinstance(told, tuple) else (told, None)
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(when)
        if why:
            entry = entry.add_extension(x509.CRLReason(why), critical=False)
        for extension, critical in entry_extensions:
            entry = entry.add_extension(extension, critical)
        builder = builder.add_revoked_certificate(entry.build())
    signed = builder.sign(signing, _hash(signing, "sha256" if digest == "sha1" else digest)).public_bytes(serialization.Encoding.DER)
    return Crl(_with_sha1(asn1_crl.CertificateList.load(signed), signing) if digest == "sha1" else signed)


def ocsp_response(
    about: Party,
    issuer: Party,
    answerer: Party | None = None,
    *,
    status: x509_ocsp.OCSPCertStatus = x509_ocsp.OCSPCertStatus.GOOD,
    revoked_at: datetime | None = None,
    reason: x509.ReasonFlags | None = None,
    this_update: datetime = CHECKED,
    next_update: datetime | None = None,
    no_next_update: bool = False,
    produced_at: datetime | None = None,
    by_key: bool = True,
    certificates: Sequence[Cert] | None = None,
    extensions: Iterable[tuple[x509.ExtensionType, bool]] = (),
    cert_id_digest: str = "sha1",
    signed_by: Any = None,
    digest: str = "sha256",
) -> bytes:
    """OCSPResponse about `about`; by the issuer itself unless `answerer` is given. `revoked_at` makes it a revocation."""
    answerer = answerer or issuer
    signing = signed_by or answerer.private
    if revoked_at is not None:
        status = x509_ocsp.OCSPCertStatus.REVOKED
    builder = (
        x509_ocsp.OCSPResponseBuilder()
        .add_response(
            about.certificate.x509,
            issuer.certificate.x509,
            DIGESTS[cert_id_digest].hash(),  # type: ignore[misc]
            status,
            this_update,
            None if no_next_update else (next_update or this_update + 7 * DAY),
            revoked_at,
            reason,
        )
        .responder_id(x509_ocsp.OCSPResponderEncoding.HASH if by_key else x509_ocsp.OCSPResponderEncoding.NAME, answerer.certificate.x509)
    )
    given = certificates if certificates is not None else (() if answerer is issuer else (answerer.certificate,))
    if given:
        builder = builder.certificates([c.x509 for c in given])
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    made = builder.sign(answerer.private, _hash(answerer.private, "sha256" if digest == "sha1" else digest)).public_bytes(serialization.Encoding.DER)
    # The library writes the real time as producedAt, and does not sign with SHA-1; here no clock is read.
    response = asn1_ocsp.OCSPResponse.load(made)
    basic = response["response_bytes"]["response"].parsed
    data = basic["tbs_response_data"]
    data["produced_at"] = produced_at or this_update
    basic["tbs_response_data"] = asn1_ocsp.ResponseData.load(data.dump())
    if digest == "sha1":
        basic["signature_algorithm"] = algos.SignedDigestAlgorithm({"algorithm": OID_BY_SIGNATURE[usual_algorithm(signing, "sha1")]})
    basic["signature"] = replace(answerer, private=signing, algorithm=usual_algorithm(signing, digest)).sign(data.dump())
    return asn1_ocsp.OCSPResponse(
        {"response_status": "successful", "response_bytes": {"response_type": "basic_ocsp_response", "response": basic.copy()}}
    ).dump()


def ocsp(about: Party, issuer: Party, answerer: Party | None = None, **defects: Any) -> Ocsp:
    """The same as a BasicOCSPResponse."""
    return Ocsp.from_response(ocsp_response(about, issuer, answerer, **defects))


def token(
    tsu: Party,
    imprint: Digest,
    when: datetime = SIGNED,
    *,
    serial: int = 1,
    policy: str = TSA_POLICY,
    certificates: Sequence[Cert] | None = None,
    nonce: int | None = None,
    references: Sequence[Cert] | None = None,
    crls: Sequence[Crl] = (),
) -> bytes:
    """A TimeStampToken (RFC 3161 section 2.4.2), in DER, with ESSCertIDv2 (RFC 5816) of `references` (the unit itself)."""
    tst: dict[str, Any] = {
        "version": "v1",
        "policy": policy,
        "message_imprint": {"hash_algorithm": {"algorithm": DIGESTS[imprint.algorithm].oid}, "hashed_message": imprint.value},
        "serial_number": serial,
        "gen_time": when,
        "accuracy": {"seconds": 1},
    }
    if nonce is not None:
        tst["nonce"] = nonce
    content = tsp.TSTInfo(tst).dump()
    ids = [tsp.ESSCertIDv2({"cert_hash": c.id}) for c in (references if references is not None else (tsu.certificate,))]
    digest = tsu.algorithm.digest or "sha512"
    signed = cms.CMSAttributes(
        [
            cms.CMSAttribute({"type": "content_type", "values": ["tst_info"]}),
            cms.CMSAttribute({"type": "message_digest", "values": [Digest.of(digest, content).value]}),
            cms.CMSAttribute({"type": "signing_certificate_v2", "values": [tsp.SigningCertificateV2({"certs": ids})]}),
        ]
    )
    given = certificates if certificates is not None else (tsu.certificate, *tsu.chain)
    data: dict[str, Any] = {
        "version": "v3",
        "digest_algorithms": [{"algorithm": DIGESTS[digest].oid}],
        "encap_content_info": {"content_type": "tst_info", "content": asn1_core.ParsableOctetString(content)},
        "certificates": [asn1_x509.Certificate.load(c.der) for c in given],
        "signer_infos": [
            {
                "version": "v1",
                "sid": cms.SignerIdentifier(
                    "issuer_and_serial_number", {"issuer": tsu.certificate.asn1.issuer, "serial_number": tsu.certificate.asn1.serial_number}
                ),
                "digest_algorithm": {"algorithm": DIGESTS[digest].oid},
                "signed_attrs": signed,
                "signature_algorithm": algos.SignedDigestAlgorithm({"algorithm": OID_BY_SIGNATURE[tsu.algorithm]}),
                "signature": tsu.sign(signed.dump()),
            }
        ],
    }
    if crls:
        data["crls"] = [c.asn1 for c in crls]
    return cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(data)}).dump()


def stamper(tsu: Party, when: datetime = SIGNED, **defects: Any) -> Stamper:
    """trust.ports.Stamper of a unit whose clock stands at `when`."""
    return lambda imprint: token(tsu, imprint, when, **defects)


@dataclass(frozen=True)
class Pki:
    """One of everything, sound."""

    root: Party
    ca: Party
    signer: Party
    tsu: Party
    responder: Party

    def crls(self, at: datetime = CHECKED, revoked: Revoked | None = None, root_revoked: Revoked | None = None) -> tuple[Crl, Crl]:
        """The lists of the root and of the issuing authority."""
        return crl(self.root, root_revoked, this_update=at), crl(self.ca, revoked, this_update=at)

    @property
    def certs(self) -> frozenset[Cert]:
        return frozenset(p.certificate for p in (self.root, self.ca, self.signer, self.tsu, self.responder))


def pki(**signer_defects: Any) -> Pki:
    """Root, issuing CA, signer, timestamping unit and OCSP responder; keyword arguments go to the signer's certificate."""
    top = root()
    ca = authority(top)
    return Pki(top, ca, signer(ca, **signer_defects), unit(ca), responder(ca))
