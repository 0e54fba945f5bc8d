"""Making certificates and CRLs (RFC 5280): values in, DER out. The issuer's key is asked for a signature and never read."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

from asn1crypto.core import GeneralizedTime
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.x509.oid import AuthorityInformationAccessOID, ObjectIdentifier

from trust.algorithms import DIGESTS, Algorithm, key_strength
from trust.errors import Unacceptable
from trust.model import Cert, Crl
from trust.pki.profiles import ANY_POLICY, REASONS, Profile
from trust.ports import Key

EXPIRED_CERTS_ON_CRL = ObjectIdentifier("2.5.29.60")
"""X.509 clause 9.5.2.7: entries stay on the list after the certificate's expiry, from this time on."""

_LEAST_RSA_BITS = 3072
_CURVES = {"secp256r1", "secp384r1", "secp521r1"}
_KEY_USAGES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
    *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who signs: a name, a public key, and a function that signs with its private half."""

    name: x509.Name
    public_key: PublicKeyTypes
    algorithm: Algorithm
    sign: Callable[[bytes], bytes]
    not_after: datetime | None = None
    """Of its certificate: nothing that it signs lives longer. None for a root that signs itself."""

    @classmethod
    def of(cls, key: Key) -> "Issuer":
        certificate = key.certificate
        return cls(certificate.x509.subject, certificate.x509.public_key(), key.algorithm, key.sign, certificate.not_after)

    @property
    def key_identifier(self) -> bytes:
        """RFC 5280 section 4.2.1.2 (1): SHA-1 of the public key's bits."""
        return x509.SubjectKeyIdentifier.from_public_key(_issuing(self.public_key)).digest


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where certificates say that their status and issuer are published."""

    base: str
    """Without a slash at its end."""

    def crl(self, issuer: str) -> str:
        return f"{self.base}/{issuer}.crl"

    def certificate(self, issuer: str) -> str:
        return f"{self.base}/{issuer}.cer"

    @property
    def ocsp(self) -> str:
        return f"{self.base}/ocsp"


@dataclass(frozen=True, slots=True)
class Validity:
    """From, to, and the end of the private key's use where the profile has one."""

    start: datetime
    end: datetime
    key_end: datetime | None = None


Certifiable = (
    ec.EllipticCurvePublicKey
    | rsa.RSAPublicKey
    | ed25519.Ed25519PublicKey
    | ed448.Ed448PublicKey
    | mldsa.MLDSA44PublicKey
    | mldsa.MLDSA65PublicKey
    | mldsa.MLDSA87PublicKey
)


def _certifiable(key: PublicKeyTypes) -> Certifiable:
    if isinstance(key, Certifiable):
        return key
    raise Unacceptable("key type is not one that is certified here: expected EC, RSA, EdDSA or ML-DSA")


def _issuing(key: PublicKeyTypes) -> ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey:
    if isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey):
        return key
    raise Unacceptable("key type is not one that issues here: expected EC, RSA or Ed25519")


def strong_enough(key: PublicKeyTypes) -> None:
    """Unacceptable for a public key that no verifier should be asked to accept in ten years."""
    family, bits = key_strength(_certifiable(key))
    if family == "rsa" and bits < _LEAST_RSA_BITS:
        raise Unacceptable(f"RSA key is at least {_LEAST_RSA_BITS} bits, got {bits}")
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name not in _CURVES:
        raise Unacceptable("EC key is on one of P-256, P-384, P-521")


def certificate(
    profile: Profile,
    subject: x509.Name,
    public_key: PublicKeyTypes,
    issuer: Issuer,
    *,
    serial: int,
    validity: Validity,
    addresses: Addresses,
    policy: str,
) -> Cert:
    """RFC 5280 section 4: a certificate of this profile. Self-signed where the issuer's key is the subject's."""
    strong_enough(public_key)
    key = _certifiable(public_key)
    self_signed = key == issuer.public_key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.name)
        .public_key(key)
        .serial_number(serial)
        .not_valid_before(validity.start)
        .not_valid_after(validity.end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.KeyUsage(**{name: name in profile.usages for name in _KEY_USAGES}), critical=True)
    )
    if not self_signed:
        builder = builder.add_extension(x509.AuthorityKeyIdentifier(issuer.key_identifier, None, None), critical=False)
    if profile.authority:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=profile.path_length), critical=True)
    if not self_signed:
        oid = ObjectIdentifier(policy if profile.policy else ANY_POLICY)
        builder = builder.add_extension(x509.CertificatePolicies([x509.PolicyInformation(oid, None)]), critical=False)
    if profile.purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(profile.purposes), critical=profile.purposes_critical)
    if validity.key_end is not None:
        builder = builder.add_extension(x509.PrivateKeyUsagePeriod(validity.start, validity.key_end), critical=False)
    if profile.no_check:
        builder = builder.add_extension(x509.OCSPNoCheck(), critical=False)
    for extension in _published(profile, addresses, self_signed=self_signed):
        builder = builder.add_extension(extension, critical=False)
    made = builder.sign(_face(issuer), _hash(issuer.algorithm))
    return Cert(made.public_bytes(serialization.Encoding.DER))


def _published(profile: Profile, addresses: Addresses, *, self_signed: bool) -> Iterable[x509.ExtensionType]:
    """CRL distribution point and authority information access. OCSP answers for the issuing authority alone: the root answers by its list."""
    if self_signed:
        return
    access = [x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, _uri(addresses.certificate(profile.issuer)))]
    if profile.status:
        if profile.issuer == "ca":
            access.insert(0, x509.AccessDescription(AuthorityInformationAccessOID.OCSP, _uri(addresses.ocsp)))
        yield x509.CRLDistributionPoints([x509.DistributionPoint([_uri(addresses.crl(profile.issuer))], None, None, None)])
    yield x509.AuthorityInformationAccess(access)


def _uri(address: str) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(address)


@dataclass(frozen=True, slots=True)
class Revoked:
    """An entry of a CRL."""

    serial: int
    time: datetime
    reason: str
    """A name in trust.pki.profiles.REASONS."""


def crl(issuer: Issuer, revoked: Iterable[Revoked], *, number: int, this_update: datetime, next_update: datetime, since: datetime) -> Crl:
    """RFC 5280 section 5: the complete list. `since`: from when on nothing that expired was dropped (the authority's beginning)."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.name)
        .last_update(this_update)
        .next_update(next_update)
        .add_extension(x509.AuthorityKeyIdentifier(issuer.key_identifier, None, None), critical=False)
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(x509.UnrecognizedExtension(EXPIRED_CERTS_ON_CRL, GeneralizedTime(since).dump()), critical=False)
    )
    for entry in revoked:
        row = x509.RevokedCertificateBuilder().serial_number(entry.serial).revocation_date(entry.time)
        flag = REASONS[entry.reason]
        if flag is not x509.ReasonFlags.unspecified:  # RFC 5280 section 5.3.1: absent instead
            row = row.add_extension(x509.CRLReason(flag), critical=False)
        builder = builder.add_revoked_certificate(row.build())
    return Crl(builder.sign(_face(issuer), _hash(issuer.algorithm)).public_bytes(serialization.Encoding.DER))


def _hash(algorithm: Algorithm) -> Any:
    """cryptography's hash for a builder; None for a scheme that hashes for itself."""
    face = DIGESTS[algorithm.digest].hash if algorithm.digest else None
    return face() if face else None


# cryptography's builders want its own private keys. These are private keys to it that only pass on what is to be signed, so that a key may lie in a
# file or in a module that never gives it out.


def _face(issuer: Issuer) -> Any:
    for kind, face in _FACES.items():
        if isinstance(issuer.public_key, kind):
            return face(issuer)
    raise Unacceptable("key type is not one that issues here")


class _Face:
    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer

    def public_key(self) -> Any:
        return self._issuer.public_key

    def sign(self, data: bytes, *_how: object) -> bytes:
        return self._issuer.sign(data)

    @property
    def key_size(self) -> int:
        return key_strength(self._issuer.public_key)[1]

    @property
    def curve(self) -> Any:
        return getattr(self._issuer.public_key, "curve", None)

    def _never(self, *_: object, **__: object) -> NoReturn:
        raise Unacceptable("a key gives out nothing but signatures")

    __copy__ = __deepcopy__ = decrypt = exchange = private_numbers = private_bytes = private_bytes_raw = _never


_FACES: dict[type, type[_Face]] = {
    public: type(f"_{private.__name__}Face", (_Face, private), {})
    for public, private in (
        (ec.EllipticCurvePublicKey, ec.EllipticCurvePrivateKey),
        (rsa.RSAPublicKey, rsa.RSAPrivateKey),
        (ed25519.Ed25519PublicKey, ed25519.Ed25519PrivateKey),
    )
}
