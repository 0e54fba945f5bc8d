"""The nouns. Every reader turns its bytes into these, and the process of EN 319 102-1 knows nothing else.

Values are frozen; identity is the SHA-256 of the bytes; times are aware UTC. Big documents are never held whole.
"""

import copy
import functools
import hashlib
import io
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import BinaryIO, NewType, TypeVar

from asn1crypto import crl as asn1_crl
from asn1crypto import ocsp as asn1_ocsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.utils import CryptographyDeprecationWarning

from trust.algorithms import Algorithm, hasher
from trust.codecs import odd_certificates
from trust.errors import Malformed, TooLarge

# Strangers' certificates are odd (serial numbers of zero, names over 64 characters): what follows is for the process to say, not for standard error.
warnings.filterwarnings("ignore", category=CryptographyDeprecationWarning)
warnings.filterwarnings("ignore", message="Attribute's length must be", category=UserWarning)

Id = NewType("Id", bytes)
"""SHA-256 of an object's bytes."""


def identify(data: bytes) -> Id:
    return Id(hashlib.sha256(data).digest())


@dataclass(frozen=True, slots=True)
class Digest:
    """A digest value with its algorithm (hashlib's name)."""

    algorithm: str
    value: bytes

    @classmethod
    def of(cls, algorithm: str, data: bytes) -> "Digest":
        h = hasher(algorithm)
        h.update(data)
        return cls(algorithm, h.digest())


class _Der:
    """An object that is its DER bytes: equal, hashed and identified by them."""

    __slots__ = ("__dict__", "der")

    def __init__(self, der: bytes) -> None:
        self.der = der

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Der) and type(other) is type(self) and other.der == self.der

    def __hash__(self) -> int:
        return hash(self.der)

    @functools.cached_property
    def id(self) -> Id:
        return identify(self.der)


def _repaired_face(der: bytes) -> x509.Certificate | None:
    try:
        repaired = odd_certificates.repaired(der)
        return x509.load_der_x509_certificate(repaired) if repaired else None
    except (ValueError, x509.InvalidVersion):
        return None


def _name(face: x509.Certificate, which: str) -> x509.Name:
    """The subject or issuer, which cryptography reads only when asked, and refuses in other ways than the rest."""
    try:
        return face.subject if which == "subject" else face.issuer
    except (ValueError, TypeError) as error:
        raise Malformed(f"certificate has no valid {which}") from error


class Cert(_Der):
    """An X.509 certificate. Its two faces are made on demand: a face that cannot be made raises Malformed."""

    @functools.cached_property
    def x509(self) -> x509.Certificate:
        """cryptography's face."""
        try:
            return x509.load_der_x509_certificate(self.der)
        except (ValueError, x509.InvalidVersion) as error:
            face = _repaired_face(self.der)
            if face is None:
                raise Malformed("certificate is not valid DER X.509") from error
            return face

    @functools.cached_property
    def asn1(self) -> asn1_x509.Certificate:
        """asn1crypto's face: for what the other does not show. BER is let through here, so never the only check."""
        try:
            return asn1_x509.Certificate.load(self.der)
        except (ValueError, TypeError) as error:
            raise Malformed("certificate is not valid X.509") from error

    @functools.cached_property
    def subject(self) -> bytes:
        """DER Name."""
        return _name(self.x509, "subject").public_bytes()

    @functools.cached_property
    def issuer(self) -> bytes:
        """DER Name."""
        return _name(self.x509, "issuer").public_bytes()

    @functools.cached_property
    def serial(self) -> int:
        return int(self.asn1["tbs_certificate"]["serial_number"].native)

    @functools.cached_property
    def not_before(self) -> datetime:
        return self.x509.not_valid_before_utc

    @functools.cached_property
    def not_after(self) -> datetime:
        return self.x509.not_valid_after_utc

    @functools.cached_property
    def public_key(self) -> PublicKeyTypes | None:
        """None where the key's type is not known here."""
        try:
            return self.x509.public_key()
        except Exception:  # noqa: BLE001  # UnsupportedAlgorithm, ValueError and others, by key type: a stranger's key proves nothing
            return odd_certificates.public_key(self.der)

    @functools.cached_property
    def name(self) -> str:
        """For people: the common name, or else the organisation, or else the whole subject (RFC 4514)."""
        for oid in (x509.NameOID.COMMON_NAME, x509.NameOID.ORGANIZATION_NAME):
            found = _name(self.x509, "subject").get_attributes_for_oid(oid)
            if found:
                return str(found[0].value)
        return _name(self.x509, "subject").rfc4514_string()

    def __repr__(self) -> str:
        return f"Cert({self.id.hex()[:12]})"


class Crl(_Der):
    """A certificate revocation list (RFC 5280 section 5)."""

    @functools.cached_property
    def asn1(self) -> asn1_crl.CertificateList:
        try:
            return asn1_crl.CertificateList.load(self.der)
        except (ValueError, TypeError) as error:
            raise Malformed("not a certificate revocation list") from error

    @functools.cached_property
    def x509(self) -> x509.CertificateRevocationList:
        try:
            return x509.load_der_x509_crl(self.der)
        except (ValueError, x509.InvalidVersion) as error:
            raise Malformed("not a DER certificate revocation list") from error


class Ocsp(_Der):
    """A BasicOCSPResponse (RFC 6960 section 4.2.1), unwrapped from its OCSPResponse where it came in one, so that its identity is one."""

    @classmethod
    def from_response(cls, der: bytes) -> "Ocsp":
        """From a successful OCSPResponse; Malformed for any other."""
        try:
            response = asn1_ocsp.OCSPResponse.load(der)
            if response["response_status"].native != "successful":
                raise Malformed("OCSP response is not successful")
            return cls(response["response_bytes"]["response"].contents)
        except (ValueError, TypeError, KeyError) as error:
            raise Malformed("not an OCSP response") from error

    @functools.cached_property
    def asn1(self) -> asn1_ocsp.BasicOCSPResponse:
        try:
            return asn1_ocsp.BasicOCSPResponse.load(self.der)
        except (ValueError, TypeError) as error:
            raise Malformed("not a BasicOCSPResponse") from error


class Document:
    """A named run of bytes that can be read more than once, or of which only digests are known. Digests are computed once."""

    CHUNK = 1 << 18

    def __init__(
        self,
        name: str | None,
        size: int | None,
        opener: Callable[[], BinaryIO] | None,
        digests: tuple[Digest, ...] = (),
        media_type: str | None = None,
        hashed: Callable[[str], bytes] | None = None,
        password: str | None = None,
    ) -> None:
        """`hashed` makes a digest of the bytes, by its algorithm's name, where there is a shorter way than reading them all; `password` opens what is
        encrypted."""
        self.name = name
        self.size = size
        """Bytes; None when only digests are known."""
        self.media_type = media_type
        self.password = password
        self._opener = opener
        self._hashed = hashed
        self._digests: dict[str, bytes] = {d.algorithm: d.value for d in digests}

    @classmethod
    def of(cls, data: bytes, name: str | None = None, media_type: str | None = None) -> "Document":
        return cls(name, len(data), lambda: io.BytesIO(data), media_type=media_type)

    def opened_by(self, password: str | None) -> "Document":
        """The same with a password, where there is one."""
        if password is None:
            return self
        one = copy.copy(self)
        one.password = password
        return one

    @property
    def readable(self) -> bool:
        return self._opener is not None

    @property
    def known(self) -> tuple[Digest, ...]:
        """The digests that were given or computed so far."""
        return tuple(Digest(name, value) for name, value in list(self._digests.items()))

    def open(self) -> BinaryIO:
        """A fresh seekable stream at its beginning; the caller closes it."""
        if self._opener is None:
            raise Malformed("only digests of this document are known")
        return self._opener()

    def head(self, count: int) -> bytes:
        with self.open() as stream:
            return stream.read(count)

    def read(self, limit: int) -> bytes:
        """All bytes, TooLarge above `limit`."""
        with self.open() as stream:
            # No more than there is: a stream takes memory for all that it is asked for.
            data = stream.read(min(limit, self.size) + 1 if self.size is not None else limit + 1)
        if len(data) > limit:
            raise TooLarge(f"document is over {limit} bytes")
        return data

    def chunks(self) -> Iterator[bytes]:
        with self.open() as stream:
            while chunk := stream.read(self.CHUNK):
                yield chunk

    def digest(self, algorithm: str) -> Digest | None:
        """None when the bytes are not there and this digest is not among the known ones."""
        if algorithm not in self._digests:
            if self._opener is None:
                return None
            self._digests[algorithm] = (self._hashed or self._read_through)(algorithm)
        return Digest(algorithm, self._digests[algorithm])

    def _read_through(self, algorithm: str) -> bytes:
        h = hasher(algorithm)
        for chunk in self.chunks():
            h.update(chunk)
        return bytes(h.digest())


class Form(StrEnum):
    """The envelope of a signature."""

    PADES = "PAdES"
    CADES = "CAdES"
    XADES = "XAdES"
    JADES = "JAdES"
    COSE = "COSE"
    TOKEN = "RFC3161"


class Scope(StrEnum):
    """How much of a thing a reference covers."""

    FULL = "full"
    PARTIAL = "partial"
    DIGEST = "digest"
    """Only a digest was given: the thing itself was not seen."""
    MANIFEST = "manifest"
    """A list of further references, which stand beside this one."""
    COUNTERSIGNED = "countersigned"


@dataclass(frozen=True, slots=True)
class Reference:
    """A thing that a signature covers, and whether it is there and unchanged (EN 319 102-1 clause 5.2.7)."""

    name: str
    """For people: a file name, an XML Id, `revision 2 of 3`."""
    found: bool
    intact: bool
    """The signed digest matches the data; False where it was not found."""
    scope: Scope = Scope.FULL
    digest: Digest | None = None
    """As signed."""
    uri: str | None = None
    media_type: str | None = None
    """What the signer says that it is."""


@dataclass(frozen=True, slots=True)
class SignerReference:
    """What the signed attributes say of the signing certificate (ESSCertID(v2), SigningCertificate(V2), x5t#S256)."""

    count: int
    """How many such attributes (or elements) there are: 1 in a sound signature."""
    digest_matches: bool | None = None
    """The first reference's digest is that of `Signature.signer`; None when there is no reference."""
    issuer_serial_matches: bool | None = None
    """None where the reference carries no issuer and serial."""
    digest_algorithm: str | None = None


@dataclass(frozen=True, slots=True)
class Defect:
    """A rule of the format that the bytes break (EN 319 102-1 clause 5.2.2), as a fact; the process decides what follows."""

    clause: str
    why: str
    fatal: bool = True
    """False: an oddity to report, known from sound files of real makers."""
    refused: bool = False
    """Of what is not fatal: nobody may accept it (clause 5.2.8), though it leaves no doubt about what is signed and by whom."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What the signer says, signed but not proved."""

    time: datetime | None = None
    place: str | None = None
    commitments: tuple[str, ...] = ()
    """OIDs or URIs of commitment types."""
    roles: tuple[str, ...] = ()
    policy: str | None = None
    """Identifier of the signature policy; `implied` where it says so."""
    policy_digest: Digest | None = None
    policy_uri: str | None = None
    reason: str | None = None
    contact: str | None = None
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature, whatever envelope it came in."""

    id: Id
    """Of the bytes that are this signature (CMS: SignerInfo's signature and signed attributes; XML: SignedInfo and value; …): what a Stamp covers."""
    form: Form
    level: str
    """`PAdES-BASELINE-LTA`, `CAdES-BASELINE-B`, `XAdES-C`, `PKCS7-B`, … or `…-NOT-ETSI`: the shape that was found, no judgement."""
    value: bytes
    """ECDSA and DSA always as DER."""
    signed: bytes | Digest
    """What the key signed; a Digest (under algorithm.digest) where it is the document itself, signed without attributes."""
    algorithm: Algorithm | None
    """None where the identifier is unknown here."""
    signer: Cert | None
    """Found through the signing-certificate reference, or else through the signer identifier."""
    signer_reference: SignerReference
    references: tuple[Reference, ...]
    claims: Claims = Claims()
    defects: tuple[Defect, ...] = ()
    countersigns: Id | None = None
    """The signature that this one countersigns."""
    field: str | None = None
    """Name for people and reports: PDF field, XML Id, container entry."""
    mechanisms: tuple[str, ...] = ()
    """Further digest algorithms that the signature rests on (references, message digest)."""
    key: bytes | None = None
    """SubjectPublicKeyInfo (DER) of a bare key that stands where a certificate should (ds:KeyValue): it shows integrity and names nobody."""

    @property
    def intact_references(self) -> bool:
        return bool(self.references) and all(r.found and r.intact for r in self.references)


@dataclass(frozen=True, slots=True)
class Token:
    """An RFC 3161 TimeStampToken: TSTInfo and the one signature over it."""

    der: bytes
    """The ContentInfo."""
    id: Id
    gen_time: datetime
    accuracy_us: int | None
    """Microseconds; None when absent."""
    ordering: bool
    policy: str
    serial: int
    nonce: int | None
    imprint: Digest
    signature: Signature
    certs: tuple[Cert, ...] = ()
    crls: tuple[Crl, ...] = ()
    ocsps: tuple[Ocsp, ...] = ()
    tsa: str | None = None


class StampKind(StrEnum):
    """Where a token stands."""

    CONTENT = "content"
    SIGNATURE = "signature"
    REFERENCES = "references"
    """Over references to validation data only (CAdES type D, XAdES RefsOnlyTimeStamp)."""
    VALIDATION_DATA = "validation-data"
    """Over signature and references (CAdES type C ESC, XAdES SigAndRefsTimeStamp)."""
    ARCHIVE = "archive"
    DOCUMENT = "document"
    """PDF DocTimeStamp."""
    CONTAINER = "container"
    """ASiC time-stamp over a file or manifest."""
    EVIDENCE_RECORD = "evidence-record"
    STANDALONE = "standalone"


@dataclass(frozen=True, slots=True)
class Stamp:
    """A token in its place."""

    token: Token
    kind: StampKind
    intact: bool
    """The imprint matches the bytes that it must cover."""
    covers: frozenset[Id]
    """What it therefore proves to have existed: ids of signatures, certificates, CRLs, OCSP answers, tokens, documents. Empty unless intact."""
    of: Id | None = None
    """The signature in which it sits; None for one that stands in the document or container itself."""
    found: bool = True
    """The data that it must cover were there."""
    references: tuple[Reference, ...] = ()
    """For reports: what it covers, in words."""
    defects: tuple[Defect, ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """An evidence record (RFC 4998, RFC 6283): a chain of archive time-stamps, each among `Evidence.stamps` with kind EVIDENCE_RECORD."""

    id: Id
    form: str
    """`RFC4998` or `RFC6283`."""
    intact: bool
    """Every reference found and every hash tree, renewal and imprint consistent."""
    references: tuple[Reference, ...]
    tokens: tuple[Id, ...]
    """Its tokens, oldest first."""
    covers: frozenset[Id]
    """What the whole chain proves to have existed at the first token's time."""
    defects: tuple[Defect, ...] = ()


@dataclass(frozen=True, slots=True)
class Uncovered:
    """Something shown or opened today that no signature covers."""

    name: str
    """`page 2`, `note.txt`, `/form/Total`."""
    why: str
    grave: bool = True
    """False: permitted by the signer or harmless; a remark, no alarm."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that a file has to say for itself."""

    kind: str
    """`PDF`, `CMS`, `XML`, `JWS`, `COSE`, `ASiC-S`, `ASiC-E`, `ODF`, `TST`, `ERS`, …"""
    signatures: tuple[Signature, ...] = ()
    """Counter-signatures included, each after the one that it countersigns; in the order of the file."""
    stamps: tuple[Stamp, ...] = ()
    """All stamps, wherever they sit."""
    records: tuple[Record, ...] = ()
    certs: frozenset[Cert] = frozenset()
    crls: frozenset[Crl] = frozenset()
    ocsps: frozenset[Ocsp] = frozenset()
    uncovered: tuple[Uncovered, ...] = ()
    defects: tuple[Defect, ...] = ()
    documents: tuple[Document, ...] = field(default=(), compare=False)
    """The original data, for people who want it back."""

    def __or__(self, other: "Evidence") -> "Evidence":
        """Both, under the kind of the left."""
        return Evidence(
            self.kind,
            _joined(self.signatures, other.signatures),
            _joined(self.stamps, other.stamps),
            _joined(self.records, other.records),
            self.certs | other.certs,
            self.crls | other.crls,
            self.ocsps | other.ocsps,
            _joined(self.uncovered, other.uncovered),
            _joined(self.defects, other.defects),
            self.documents + other.documents,
        )


_T = TypeVar("_T")


def _joined(left: tuple[_T, ...], right: tuple[_T, ...]) -> tuple[_T, ...]:
    return left + tuple(x for x in right if x not in left)


def utc(moment: datetime) -> datetime:
    """Aware UTC; a naive time is refused, because nobody knows what it means."""
    if moment.tzinfo is None:
        raise Malformed("time has no zone")
    return moment.astimezone(UTC)
