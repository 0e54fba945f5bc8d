"""The certification authority: profiles as OpenSSL sees them, revocation lists, OCSP, status without a network, and its routes."""

import base64
import contextlib
import functools
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import anyio
import httpx
import pytest
from asn1crypto import core
from asn1crypto import ocsp as asn1_ocsp
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import ocsp as x509_ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from tests.services import program
from trust.algorithms import verify
from trust.commands import ca
from trust.edge.engine import bring_up, connect, sqlite_url
from trust.edge.keystore import FileKey, PrivateKey, algorithm_of, generate, pem_of, sign
from trust.edge.web import application
from trust.errors import Conflict, Malformed, NotFound, Unacceptable, Unavailable
from trust.model import Cert, Ocsp
from trust.pki.api import router
from trust.pki.issue import EXPIRED_CERTS_ON_CRL, Addresses, Issuer
from trust.pki.profiles import PROFILES, Subject
from trust.pki.service import CertificateAuthority, Issued, Published, Terms
from trust.pki.store import CertificateStore
from trust.ports import Key
from trust.registry import DEMONSTRATION

START = datetime(2026, 11, 21, 3, 4, 5, 678900, tzinfo=UTC)
OFFICE = Subject("市民課", "見本市役所", "8040001079502")


@dataclass
class Diary:
    """A journal that remembers, and can be told to fail."""

    entries: list[tuple[str, bytes]] = field(default_factory=list)
    fails: bool = False

    def append(self, kind: str, body: bytes) -> int:
        if self.fails:
            raise Unavailable("the journal does not answer")
        self.entries.append((kind, body))
        return len(self.entries) - 1


@dataclass
class World:
    """An authority with its keys in memory, a database in a file and a clock that is moved by hand."""

    folder: Path
    key_type: str = "p256"
    now: datetime = START
    journal: Diary = field(default_factory=Diary)
    away: set[str] = field(default_factory=set)
    private: dict[str, PrivateKey] = field(default_factory=dict)
    chains: dict[str, tuple[Cert, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.engine = connect(sqlite_url(self.folder / "pki.db"))
        bring_up(self.engine)
        self.store = CertificateStore(self.engine)
        days = {"root_days": 7305, "ca_days": 3653, "tsu_days": 2192, "tsu_key_days": 366, "seal_days": 1096, "ocsp_days": 366}
        self.terms = Terms(
            Addresses("http://pki.example"),
            "1.3.6.1.4.1.32473.2.1",
            days,
            {"root": timedelta(days=90), "ca": timedelta(hours=72)},
            timedelta(hours=1),
        )
        self.ca = self.authority()
        for name in ("root", "ca", "ocsp"):
            self.enrol(name, name)

    def authority(self, store: CertificateStore | None = None) -> CertificateAuthority:
        """Another one, as another process has it."""
        certificates = {"certificate": lambda name: self.chains[name][0], "key": self.key}
        return CertificateAuthority(store or self.store, self.journal, lambda: self.now, terms=self.terms, **certificates)

    def key(self, name: str) -> Key:
        if name in self.away:
            raise NotFound(f"key {name} is in the safe")
        certificate, *chain = self.chains[name]
        return FileKey(self.private[name], certificate, tuple(chain))

    def enrol(self, name: str, profile: str, subject: Subject = OFFICE) -> Cert:
        self.private[name] = private = generate(self.key_type)
        if profile == "root":
            algorithm = algorithm_of(private.public_key())
            issuer = Issuer(subject.name(), private.public_key(), algorithm, functools.partial(sign, private, algorithm))
            self.chains[name] = (self.ca.found(subject, issuer),)
        else:
            self.chains[name] = (self.ca.issue(profile, subject, private.public_key()), *self.chains[PROFILES[profile].issuer])
        return self.chains[name][0]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def openssl(*args: object, stdin: bytes | None = None, check: bool = True) -> str:
    done = subprocess.run([program("openssl"), *map(str, args)], input=stdin, capture_output=True)
    said = done.stdout.decode("utf-8", "replace") + done.stderr.decode("utf-8", "replace")
    assert not check or done.returncode == 0, said
    return said


def text(cert: Cert) -> str:
    return " ".join(openssl("x509", "-noout", "-text", "-inform", "DER", "-nameopt", "utf8,sep_comma_plus_space", stdin=cert.der).split())


def extension(cert: Cert, kind: type[Any]) -> Any:
    return cert.x509.extensions.get_extension_for_class(kind)


# --- profiles -----------------------------------------------------------------------------------------------------------------------------


def test_the_time_stamping_unit(world: World) -> None:
    """RFC 3161 section 2.3, EN 319 421 TIS-7.6.7-04."""
    unit = world.enrol("tsu", "tsu")
    said = text(unit)
    assert "X509v3 Key Usage: critical Digital Signature X509v3" in said
    assert "X509v3 Extended Key Usage: critical Time Stamping X509v3" in said
    assert "Private Key Usage Period: Not Before: Nov 21 03:04:05 2026 GMT, Not After: Nov 22 03:04:05 2027 GMT" in said
    assert list(extension(unit, x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.TIME_STAMPING]
    assert extension(unit, x509.PrivateKeyUsagePeriod).value.not_after < unit.not_after.replace(tzinfo=None)
    assert (unit.not_before, unit.not_after) == (START.replace(microsecond=0), START.replace(microsecond=0) + timedelta(days=2192, seconds=-1))


def test_the_seal(world: World) -> None:
    """EN 319 412-3 clause 4.2.1: C, O, organizationIdentifier, CN; and no statement that would be a lie."""
    seal = world.enrol("seal", "seal")
    said = text(seal)
    assert "Subject: C=JP, O=見本市役所, organizationIdentifier=NTRJP-8040001079502, CN=市民課" in said
    assert "X509v3 Key Usage: critical Digital Signature, Non Repudiation" in said
    assert "Extended Key Usage" not in said
    assert "URI:http://pki.example/ca.crl" in said
    assert "OCSP - URI:http://pki.example/ocsp" in said
    assert "CA Issuers - URI:http://pki.example/ca.cer" in said
    assert "Policy: 1.3.6.1.4.1.32473.2.1" in said
    oids = {e.oid.dotted_string for e in seal.x509.extensions}
    assert "1.3.6.1.5.5.7.1.3" not in oids
    assert "2.5.29.19" not in oids


def test_the_authorities(world: World) -> None:
    root, ca = world.chains["root"][0], world.chains["ca"][0]
    assert extension(root, x509.BasicConstraints) == x509.Extension(x509.BasicConstraints.oid, True, x509.BasicConstraints(True, 1))
    assert extension(ca, x509.BasicConstraints) == x509.Extension(x509.BasicConstraints.oid, True, x509.BasicConstraints(True, 0))
    assert root.subject == root.issuer
    assert {e.oid.dotted_string for e in root.x509.extensions} == {"2.5.29.14", "2.5.29.15", "2.5.29.19"}
    said = text(ca)
    assert "URI:http://pki.example/root.crl" in said
    assert "CA Issuers - URI:http://pki.example/root.cer" in said
    assert "OCSP - URI" not in said
    assert "Certificate Sign, CRL Sign" in said
    assert "Policy: X509v3 Any Policy" in said


def test_the_responder_need_not_be_asked_about(world: World) -> None:
    responder = world.chains["ocsp"][0]
    assert list(extension(responder, x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.OCSP_SIGNING]
    assert extension(responder, x509.OCSPNoCheck)
    with pytest.raises(x509.ExtensionNotFound):
        extension(responder, x509.CRLDistributionPoints)


@pytest.mark.parametrize("profile", PROFILES)
def test_key_identifiers_link_issuer_and_subject(world: World, profile: str) -> None:
    made = world.enrol("new", profile) if profile not in {"root", "ca", "ocsp"} else world.chains[profile][0]
    assert extension(made, x509.SubjectKeyIdentifier).value == x509.SubjectKeyIdentifier.from_public_key(made.x509.public_key())  # type: ignore[arg-type]
    if profile != "root":
        issuer = world.chains[PROFILES[profile].issuer][0]
        assert extension(made, x509.AuthorityKeyIdentifier).value.key_identifier == extension(issuer, x509.SubjectKeyIdentifier).value.digest
        made.x509.verify_directly_issued_by(issuer.x509)


@pytest.mark.parametrize("key_type", ["p256", "p384", "rsa3072", "ed25519"])
def test_openssl_accepts_the_chain_for_its_purpose(tmp_path: Path, key_type: str) -> None:
    world = World(tmp_path, key_type)
    world.enrol("tsu", "tsu")
    world.enrol("seal", "seal")
    for name, purpose in (("tsu", "timestampsign"), ("seal", "smimesign"), ("ocsp", "ocsphelper")):
        leaf, ca, root = world.chains[name]
        for file, certificates in (("leaf", (leaf,)), ("ca", (ca,)), ("root", (root,))):
            (tmp_path / file).write_bytes(pem_of(certificates))
        crls = [openssl("crl", "-inform", "DER", stdin=world.ca.crl(issuer).crl.der) for issuer in ("root", "ca")]
        (tmp_path / "crls").write_text("".join(crls))
        at = int(START.timestamp()) + 60
        common = ("-attime", at, "-x509_strict", "-CRLfile", tmp_path / "crls", "-crl_check_all", "-CAfile", tmp_path / "root")
        openssl("verify", *common, "-untrusted", tmp_path / "ca", "-purpose", purpose, tmp_path / "leaf")


def test_serials_are_random_and_long(world: World) -> None:
    serials = {world.enrol(f"s{n}", "seal").serial for n in range(20)}
    assert len(serials) == 20
    assert max(serials).bit_length() > 120
    assert all(0 < serial < 1 << 128 for serial in serials)


def test_nothing_outlives_its_issuer(world: World) -> None:
    world.now = START + timedelta(days=3653 - 100)
    assert world.enrol("late", "seal").not_after == world.chains["ca"][0].not_after
    with pytest.raises(Unacceptable, match=r"pki\.tsu_key_days"):
        world.enrol("late-tsu", "tsu")
    world.now = START + timedelta(days=3653)
    with pytest.raises(Unavailable, match="expired"):
        world.enrol("too-late", "seal")


@pytest.mark.parametrize(
    ("subject", "says"),
    [
        (replace(OFFICE, number="8040001079503"), "13 digits|check digit"),
        (replace(OFFICE, number="1040001079502"), "wrong check digit"),
        (replace(OFFICE, organization=" "), "empty"),
        (replace(OFFICE, common_name="a\nb"), "control characters"),
        (replace(OFFICE, organization="角" * 65), "at most 64 characters, got 65"),
        (replace(OFFICE, country="Japan"), "two capital letters"),
    ],
)
def test_bad_subjects_are_refused_before_anything_is_recorded(world: World, subject: Subject, says: str) -> None:
    before = len(world.journal.entries)
    with pytest.raises(Malformed, match=says):
        world.enrol("bad", "seal", subject)
    assert len(world.journal.entries) == before


def test_a_long_japanese_name_counts_characters(world: World) -> None:
    made = world.enrol("long", "seal", Subject("角" * 64, "角" * 64, DEMONSTRATION))
    assert made.name == "角" * 64
    assert "CN=" + "角" * 64 in text(made)


def test_weak_keys_and_unknown_profiles_are_refused(world: World) -> None:
    with pytest.raises(Unacceptable, match="at least 3072 bits, got 2048"):
        world.ca.issue("seal", OFFICE, rsa.generate_private_key(65537, 2048).public_key())
    with pytest.raises(Unacceptable, match="P-256, P-384, P-521"):
        world.ca.issue("seal", OFFICE, ec.generate_private_key(ec.SECP256K1()).public_key())
    for profile in ("root", "person"):
        with pytest.raises(Unacceptable, match="profile is one of ca, tsu, seal, ocsp"):
            world.ca.issue(profile, OFFICE, generate("p256").public_key())


def test_a_request_proves_its_key_and_nothing_else(world: World) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    claimed = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Somebody Else")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(claimed).add_extension(x509.BasicConstraints(True, None), critical=True)
    request = builder.sign(private, hashes.SHA256())
    made = world.ca.issue("seal", OFFICE, request)
    assert made.x509.public_key() == private.public_key()
    assert made.name == "市民課"
    assert "2.5.29.19" not in {e.oid.dotted_string for e in made.x509.extensions}
    der = bytearray(request.public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    with pytest.raises(Malformed, match="not signed by the key"):
        world.ca.issue("seal", OFFICE, x509.load_der_x509_csr(bytes(der)))


# --- the journal first --------------------------------------------------------------------------------------------------------------------


def test_everything_is_recorded_before_it_is_released(world: World) -> None:
    seal = world.enrol("seal", "seal")
    assert world.journal.entries[-1] == ("certificate", seal.der)
    world.ca.revoke(seal.serial, "superseded")
    kinds = [kind for kind, _ in world.journal.entries]
    assert kinds[-2:] == ["revocation", "event"]
    assert f"{seal.serial:x}".encode() in world.journal.entries[-2][1]


def test_without_the_journal_nothing_is_issued_or_revoked(world: World) -> None:
    seal = world.enrol("seal", "seal")
    count = len(world.ca.certificates())
    world.journal.fails = True
    with pytest.raises(Unavailable):
        world.enrol("other", "seal")
    with pytest.raises(Unavailable):
        world.ca.revoke(seal.serial, "superseded")
    with pytest.raises(Unavailable):
        world.ca.crl("ca")
    assert len(world.ca.certificates()) == count
    assert world.ca.certificates()[-1].revoked_at is None
    assert world.store.newest_crl(_id(world, "ca")) is None


def _id(world: World, issuer: str) -> bytes:
    return extension(world.chains[issuer][0], x509.SubjectKeyIdentifier).value.digest  # type: ignore[no-any-return]


# --- revocation lists ---------------------------------------------------------------------------------------------------------------------


def test_a_list_as_openssl_sees_it(world: World) -> None:
    seal = world.enrol("seal", "seal")
    world.now += timedelta(days=2)
    world.ca.revoke(seal.serial, "keyCompromise", START + timedelta(days=1))
    listed = world.ca.crl("ca").crl
    said = " ".join(openssl("crl", "-inform", "DER", "-noout", "-text", stdin=listed.der).split())
    assert f"{seal.serial:X}" in said
    assert "Revocation Date: Nov 22 03:04:05 2026 GMT" in said
    assert "Key Compromise" in said
    assert "Last Update: Nov 23 03:04:05 2026 GMT Next Update: Nov 26 03:04:05 2026 GMT" in said
    assert "X509v3 CRL Number: 1" in said
    (world.folder / "ca.pem").write_bytes(pem_of((world.chains["ca"][0],)))
    assert "verify OK" in openssl("crl", "-inform", "DER", "-noout", "-CAfile", world.folder / "ca.pem", stdin=listed.der)


def test_a_list_says_that_expired_certificates_stay_on_it(world: World) -> None:
    """X.509 clause 9.5.2.7: without it a fresh list proves nothing about a certificate that expired."""
    seal = world.enrol("seal", "seal")
    world.ca.revoke(seal.serial, "unspecified")
    world.now = START + timedelta(days=2000)
    listed = world.ca.crl("ca").crl.x509
    found = listed.extensions.get_extension_for_oid(EXPIRED_CERTS_ON_CRL)
    assert core.GeneralizedTime.load(found.value.value).native == START.replace(microsecond=0)
    assert not found.critical
    entry = listed.get_revoked_certificate_by_serial_number(seal.serial)
    assert entry is not None
    assert not list(entry.extensions)


def test_a_list_is_kept_until_half_of_its_life(world: World) -> None:
    first = world.ca.crl("ca")
    world.now += timedelta(hours=35)
    assert world.ca.crl("ca") == first
    world.now += timedelta(hours=2)
    second = world.ca.crl("ca")
    assert (second.number, second.this_update) == (2, world.now.replace(microsecond=0))
    assert world.authority().crl("ca") == second
    assert world.ca.crl("root").number == 1


def test_a_list_from_before_a_certificate_is_followed_by_another(world: World) -> None:
    """Until there is one, nobody can tell that the certificate was not revoked, and a seal below B-LT is not given out."""
    first = world.ca.crl("ca")
    world.now += timedelta(minutes=1)
    seal = world.enrol("seal", "seal")
    assert world.ca.crl("ca") == first
    second = world.ca.crl("ca", after=seal.not_before)
    assert second.number == first.number + 1 and second.this_update >= seal.not_before
    assert world.ca.crl("ca", after=seal.not_before) == second == world.ca.crl("ca")


def test_a_revocation_is_on_the_next_list_at_once(world: World) -> None:
    seal = world.enrol("seal", "seal")
    assert world.ca.crl("ca").number == 1
    world.ca.revoke(seal.serial, "privilegeWithdrawn")
    second = world.ca.crl("ca")
    assert second.number == 2
    assert second.crl.x509.get_revoked_certificate_by_serial_number(seal.serial) is not None


def test_a_crash_between_revocation_and_list_is_made_good(world: World) -> None:
    seal = world.enrol("seal", "seal")
    world.ca.crl("ca")
    world.store.revoke(_id(world, "ca"), seal.serial, START, "superseded")
    assert world.ca.crl("ca").crl.x509.get_revoked_certificate_by_serial_number(seal.serial) is not None


def test_two_processes_never_give_one_number_to_two_lists(world: World) -> None:
    """Another process publishes between the reading of the last number and the insertion of the next."""
    other = world.authority()

    class Racing(CertificateStore):
        raced = False

        def add_crl(self, issuer: bytes, published: Published) -> None:
            if not self.raced:
                self.raced = True
                other.crl("ca")
            super().add_crl(issuer, published)

    racing = world.authority(Racing(world.engine))
    assert racing.crl("ca") == other.crl("ca")
    assert racing.crl("ca").number == 1


def test_a_root_in_the_safe(world: World) -> None:
    listed = world.ca.crl("root")
    world.away.add("root")
    world.now += timedelta(days=89)
    assert world.ca.crl("root") == listed
    world.now += timedelta(days=2)
    with pytest.raises(Unavailable, match="key is not at hand"):
        world.ca.crl("root")
    with pytest.raises(NotFound, match="in the safe"):
        world.enrol("ca2", "ca")


def test_what_cannot_be_revoked(world: World) -> None:
    seal = world.enrol("seal", "seal")
    with pytest.raises(NotFound, match="no certificate with serial number 3e7"):
        world.ca.revoke(999, "superseded")
    with pytest.raises(Unacceptable, match="reason is one of unspecified, keyCompromise"):
        world.ca.revoke(seal.serial, "certificateHold")
    for moment in (START - timedelta(days=1), START + timedelta(days=1)):
        with pytest.raises(Unacceptable, match="time of revocation"):
            world.ca.revoke(seal.serial, "superseded", moment)
    with pytest.raises(Unacceptable, match="root cannot revoke itself"):
        world.ca.revoke(world.chains["root"][0].serial, "superseded")
    world.ca.revoke(seal.serial, "superseded")
    with pytest.raises(Conflict, match="was revoked already"):
        world.ca.revoke(seal.serial, "keyCompromise")
    assert world.ca.certificates()[-1].reason == "superseded"


def test_the_issuing_authority_itself_can_be_revoked(world: World) -> None:
    ca = world.chains["ca"][0]
    world.ca.revoke(ca.serial, "cACompromise")
    listed = world.ca.crl("root").crl.x509
    assert listed.get_revoked_certificate_by_serial_number(ca.serial) is not None
    assert len(world.ca.crl("ca").crl.x509) == 0


# --- OCSP ---------------------------------------------------------------------------------------------------------------------------------


def asked(cert: Cert, issuer: Cert, algorithm: hashes.HashAlgorithm | None = None, nonce: bytes | None = None) -> bytes:
    builder = x509_ocsp.OCSPRequestBuilder().add_certificate(cert.x509, issuer.x509, algorithm or hashes.SHA1())
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(serialization.Encoding.DER)


def answered(world: World, request: bytes) -> x509_ocsp.OCSPResponse:
    return x509_ocsp.load_der_ocsp_response(world.ca.ocsp(request))


@pytest.mark.parametrize("algorithm", [hashes.SHA1(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()], ids=lambda a: a.name)
def test_good_and_then_revoked(world: World, algorithm: hashes.HashAlgorithm) -> None:
    seal, ca = world.enrol("seal", "seal"), world.chains["ca"][0]
    good = answered(world, asked(seal, ca, algorithm))
    assert good.response_status == x509_ocsp.OCSPResponseStatus.SUCCESSFUL
    assert good.certificate_status == x509_ocsp.OCSPCertStatus.GOOD
    assert good.serial_number == seal.serial
    assert good.this_update_utc == START.replace(microsecond=0)
    assert good.next_update_utc == START.replace(microsecond=0) + timedelta(hours=1)
    assert [c.serial_number for c in good.certificates] == [world.chains["ocsp"][0].serial]
    responder = world.chains["ocsp"][0]
    assert responder.public_key is not None
    assert verify(responder.public_key, world.key("ocsp").algorithm, good.signature, good.tbs_response_bytes)
    world.now += timedelta(days=1)
    world.ca.revoke(seal.serial, "keyCompromise")
    revoked = answered(world, asked(seal, ca, algorithm))
    assert revoked.certificate_status == x509_ocsp.OCSPCertStatus.REVOKED
    assert revoked.revocation_time_utc == world.now.replace(microsecond=0)
    assert revoked.revocation_reason == x509.ReasonFlags.key_compromise


def test_an_unspecified_reason_is_absent(world: World) -> None:
    seal = world.enrol("seal", "seal")
    world.ca.revoke(seal.serial, "unspecified")
    assert answered(world, asked(seal, world.chains["ca"][0])).revocation_reason is None


def test_what_was_never_issued_is_unknown(world: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nor does the responder speak of certificates of the root, whose word it has not."""
    root, ca = world.chains["root"][0], world.chains["ca"][0]
    other = World(tmp_path_factory.mktemp("other"))
    stranger = other.enrol("seal", "seal")
    for cert, issuer in ((stranger, ca), (stranger, other.chains["ca"][0]), (ca, root), (root, root)):
        answer = answered(world, asked(cert, issuer))
        assert answer.certificate_status == x509_ocsp.OCSPCertStatus.UNKNOWN, cert
    for field_name in ("issuer_key_hash", "issuer_name_hash"):
        half = asn1_ocsp.OCSPRequest.load(asked(world.enrol("half", "seal"), ca))
        half["tbs_request"]["request_list"][0]["req_cert"][field_name] = bytes(20)
        assert answered(world, half.dump()).certificate_status == x509_ocsp.OCSPCertStatus.UNKNOWN, field_name
    weird = asn1_ocsp.OCSPRequest.load(asked(world.enrol("seal", "seal"), ca))
    weird["tbs_request"]["request_list"][0]["req_cert"]["hash_algorithm"]["algorithm"] = "1.2.3.4"
    assert answered(world, weird.dump()).certificate_status == x509_ocsp.OCSPCertStatus.UNKNOWN


@pytest.mark.parametrize("length", [1, 16, 32, 128])
def test_a_nonce_comes_back(world: World, length: int) -> None:
    nonce = bytes(range(length))
    answer = answered(world, asked(world.enrol("seal", "seal"), world.chains["ca"][0], nonce=nonce))
    assert answer.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == nonce


@pytest.mark.parametrize("length", [0, 129])
def test_a_nonce_out_of_bounds_is_malformed(world: World, length: int) -> None:
    answer = answered(world, asked(world.enrol("seal", "seal"), world.chains["ca"][0], nonce=bytes(length)))
    assert answer.response_status == x509_ocsp.OCSPResponseStatus.MALFORMED_REQUEST


def several(certs: Sequence[tuple[Cert, Cert]]) -> bytes:
    requests = [asn1_ocsp.OCSPRequest.load(asked(*pair))["tbs_request"]["request_list"][0] for pair in certs]
    der: bytes = asn1_ocsp.OCSPRequest({"tbs_request": {"request_list": requests}}).dump()
    return der


def test_several_certificates_in_one_request(world: World) -> None:
    ca = world.chains["ca"][0]
    one, two = world.enrol("one", "seal"), world.enrol("two", "seal")
    world.ca.revoke(two.serial, "superseded")
    answer = answered(world, several([(one, ca), (two, ca), (ca, world.chains["root"][0])]))
    assert [r.certificate_status.name for r in answer.responses] == ["GOOD", "REVOKED", "UNKNOWN"]
    assert [r.serial_number for r in answer.responses] == [one.serial, two.serial, ca.serial]


def test_requests_that_are_none(world: World) -> None:
    good = asked(world.enrol("seal", "seal"), world.chains["ca"][0])
    empty = asn1_ocsp.OCSPRequest({"tbs_request": {"request_list": []}}).dump()
    pair = (world.chains["ocsp"][0], world.chains["ca"][0])
    critical = asn1_ocsp.OCSPRequest.load(good)
    critical["tbs_request"]["request_extensions"] = [{"extn_id": "1.2.3.4", "critical": True, "extn_value": core.ParsableOctetString(b"\x05\x00")}]
    loose_nonce = asked(*pair, nonce=b"ab").replace(b"\x04\x02ab", b"\x02\x02ab")
    indefinite = b"\x30\x80" + good[2:] + b"\x00\x00"
    for bad in (
        b"",
        b"0",
        b"\x30\x00",
        good[:-1],
        good + b"\x00",
        indefinite,
        empty,
        b"\x30" * 70_000,
        several([pair] * 101),
        critical.dump(),
        loose_nonce,
    ):
        answer = x509_ocsp.load_der_ocsp_response(world.ca.ocsp(bad))
        assert answer.response_status == x509_ocsp.OCSPResponseStatus.MALFORMED_REQUEST, bad[:80]


def test_every_mutated_request_gets_an_answer(world: World) -> None:
    good = asked(world.enrol("seal", "seal"), world.chains["ca"][0], nonce=bytes(16))
    for at in range(len(good)):
        for bit in (1, 0x80):
            bad = bytearray(good)
            bad[at] ^= bit
            assert x509_ocsp.load_der_ocsp_response(world.ca.ocsp(bytes(bad))).response_status in {
                x509_ocsp.OCSPResponseStatus.SUCCESSFUL,
                x509_ocsp.OCSPResponseStatus.MALFORMED_REQUEST,
            }


def test_a_database_that_is_away_means_try_later(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    request = asked(world.enrol("seal", "seal"), world.chains["ca"][0])

    def away(*_: object) -> Issued | None:
        raise Unavailable("database does not answer")

    monkeypatch.setattr(world.store, "find", away)
    assert answered(world, request).response_status == x509_ocsp.OCSPResponseStatus.TRY_LATER


@pytest.mark.parametrize("key_type", ["p256", "rsa3072", "ed25519"])
def test_openssl_accepts_our_answers(tmp_path: Path, key_type: str) -> None:
    world = World(tmp_path, key_type, now=datetime.now(UTC))
    seal = world.enrol("seal", "seal")
    leaf, ca, root = world.chains["seal"]
    for name, certificates in (("leaf", (leaf,)), ("ca", (ca,)), ("root", (root,))):
        (tmp_path / name).write_bytes(pem_of(certificates))
    openssl("ocsp", "-issuer", tmp_path / "ca", "-cert", tmp_path / "leaf", "-reqout", tmp_path / "request")
    for state in ("good", "revoked"):
        (tmp_path / "answer").write_bytes(world.ca.ocsp((tmp_path / "request").read_bytes()))
        files = (
            "-no_nonce",
            "-reqin",
            tmp_path / "request",
            "-respin",
            tmp_path / "answer",
            "-CAfile",
            tmp_path / "root",
            "-verify_other",
            tmp_path / "ca",
        )
        said = openssl("ocsp", "-no_nonce", *files, "-issuer", tmp_path / "ca", "-cert", tmp_path / "leaf")
        assert "Response verify OK" in said
        assert f"{tmp_path / 'leaf'}: {state}" in said
        assert "Nonce" not in said
        if state == "good":
            world.ca.revoke(seal.serial, "superseded")


# --- status without a network -------------------------------------------------------------------------------------------------------------


def test_status_of_a_chain(world: World) -> None:
    seal = world.enrol("seal", "seal")
    leaf, ca, root = world.chains["seal"]
    status = world.ca.status([leaf, ca, root])
    # The issuing authority's list outlives the responder of the answer beside it.
    assert [c.x509.issuer for c in status.crls] == [ca.x509.subject, root.x509.subject]
    assert world.chains["ocsp"][0].not_after < ca.not_after
    assert len(status.ocsps) == 1
    assert status.certs == (world.chains["ocsp"][0], ca, root)
    single = status.ocsps[0].asn1["tbs_response_data"]["responses"][0]
    assert single["cert_id"]["serial_number"].native == seal.serial
    assert single["cert_status"].name == "good"
    assert single["single_extensions"][0]["extn_id"].native == "archive_cutoff"
    assert status.ocsps[0] == Ocsp(status.ocsps[0].der)


def test_an_answer_serves_its_second_unless_something_changes(world: World) -> None:
    """RFC 6960 section 4.2.2.1: times of whole seconds. A revocation, by whatever process, is told at once all the same."""
    world.enrol("seal", "seal")
    chain = world.chains["seal"]
    (first,) = world.ca.status(chain).ocsps
    world.now = world.now.replace(microsecond=999_999)
    assert world.ca.status(chain).ocsps[0] is first
    world.now += timedelta(microseconds=1)
    (second,) = world.ca.status(chain).ocsps
    assert second != first
    world.authority().revoke(chain[0].serial, "superseded")
    (told,) = world.ca.status(chain).ocsps
    assert told.asn1["tbs_response_data"]["responses"][0]["cert_status"].name == "revoked"


def test_status_needs_a_list_in_force(world: World) -> None:
    world.enrol("seal", "seal")
    world.ca.status(world.chains["seal"])
    world.away.add("ca")
    world.now += timedelta(hours=71)
    assert world.ca.status(world.chains["seal"]).crls
    world.now += timedelta(hours=2)
    with pytest.raises(Unavailable, match="list of ca has to be renewed"):
        world.ca.status(world.chains["seal"])


def test_status_of_a_stranger_is_not_made_up(world: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = World(tmp_path_factory.mktemp("other"))
    other.enrol("seal", "seal")
    with pytest.raises(Unavailable, match="was not issued here"):
        world.ca.status(other.chains["seal"])


# --- routes -------------------------------------------------------------------------------------------------------------------------------


@dataclass
class Web:
    world: World

    def __post_init__(self) -> None:
        self.app = application("PKI", [router(self.world.ca, lambda: self.world.now)])

    def __call__(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def go() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://pki") as client:
                return await client.request(method, path, **more)

        return anyio.run(go)


@pytest.fixture
def web(world: World) -> Web:
    return Web(world)


def test_lists_and_certificates_over_http(web: Web) -> None:
    for issuer in ("root", "ca"):
        answer = web("GET", f"/pki/{issuer}.crl")
        assert answer.headers["content-type"] == "application/pkix-crl"
        assert answer.content == web.world.ca.crl(issuer).crl.der
        assert answer.headers["cache-control"].startswith("public, max-age=3600")
        again = web("GET", f"/pki/{issuer}.crl", headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert web("HEAD", f"/pki/{issuer}.crl").headers["content-length"] == str(len(answer.content))
        certificate = web("GET", f"/pki/{issuer}.cer")
        assert certificate.headers["content-type"] == "application/pkix-cert"
        assert certificate.content == web.world.chains[issuer][0].der
    for path in ("tsu.cer", "nosuch.cer", "nosuch.crl", "CA.crl", "root.key"):
        assert web("GET", f"/pki/{path}").status_code == 404


def test_a_cached_list_never_outlives_its_successor(web: Web) -> None:
    web("GET", "/pki/ca.crl")
    web.world.now += timedelta(hours=35, minutes=59, seconds=30)
    assert web("GET", "/pki/ca.crl").headers["cache-control"].startswith("public, max-age=29")


def test_ocsp_over_http(web: Web) -> None:
    world = web.world
    request = asked(world.enrol("seal", "seal"), world.chains["ca"][0])
    posted = web("POST", "/pki/ocsp", content=request, headers={"Content-Type": "application/ocsp-request"})
    assert posted.headers["content-type"] == "application/ocsp-response"
    assert x509_ocsp.load_der_ocsp_response(posted.content).certificate_status == x509_ocsp.OCSPCertStatus.GOOD
    encoded = base64.b64encode(request).decode()
    for path in (encoded, quote(encoded, safe=""), encoded.rstrip("=")):
        got = web("GET", f"/pki/ocsp/{path}")
        assert x509_ocsp.load_der_ocsp_response(got.content).certificate_status == x509_ocsp.OCSPCertStatus.GOOD


def test_ocsp_over_http_gone_wrong(web: Web) -> None:
    assert web("POST", "/pki/ocsp", content=b"x", headers={"Content-Type": "text/plain"}).status_code == 415
    answer = web("POST", "/pki/ocsp", content=b"x", headers={"Content-Type": "application/OCSP-request; q=1"})
    assert x509_ocsp.load_der_ocsp_response(answer.content).response_status == x509_ocsp.OCSPResponseStatus.MALFORMED_REQUEST
    answer = web("POST", "/pki/ocsp", content=b"x" * 100_000, headers={"Content-Type": "application/ocsp-request"})
    assert x509_ocsp.load_der_ocsp_response(answer.content).response_status == x509_ocsp.OCSPResponseStatus.MALFORMED_REQUEST
    assert web("GET", "/pki/ocsp/!!!").status_code == 400
    assert web("GET", "/pki/ocsp/" + "A" * 5000).status_code == 404


def test_the_routes_are_described(web: Web) -> None:
    schema = web.app.openapi()
    assert set(schema["paths"]) == {"/pki/{issuer}.crl", "/pki/{issuer}.cer", "/pki/ocsp", "/pki/ocsp/{encoded}"}
    for methods in schema["paths"].values():
        for operation in methods.values():
            assert operation["summary"]
            assert "application/" in str(operation["responses"]["200"])


def test_object_identifiers_are_the_standards() -> None:
    assert ObjectIdentifier("2.5.29.60") == EXPIRED_CERTS_ON_CRL


def test_a_number_is_listed_as_it_is_written_everywhere_else(tmp_path: Path) -> None:
    """Without leading zeros, as in the journal and in reports: whoever looks a number of the list up there finds it."""
    listed = SimpleNamespace(certificate=SimpleNamespace(serial=0xABC, not_after=START, name="見本市役所"), profile="seal", revoked_at=None)
    house = SimpleNamespace(instance=SimpleNamespace(authority=SimpleNamespace(certificates=lambda: [listed])))
    said = CliRunner().invoke(ca, ["list", "--instance", str(tmp_path)], obj=lambda *_: contextlib.nullcontext(house))
    assert said.output.split() == ["abc", "seal", "until", "2026-11-21", "good", "見本市役所"]
