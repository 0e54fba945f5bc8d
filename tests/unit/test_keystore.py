"""Keys in files: encrypted, private, whole or absent; passphrases that leave no trace."""

import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519

from tests import pki
from tests.services import program
from trust.algorithms import Algorithm, verify
from trust.edge.keystore import (
    KEY_TYPES,
    FileKey,
    PrivateKey,
    encoded,
    generate,
    passphrase,
    pem_of,
    read_certificates,
    read_key,
    write_key,
)
from trust.errors import Conflict, Misconfigured, NotFound, Unacceptable
from trust.model import Cert

SECRET = b"correct horse battery"


def certified(private: PrivateKey) -> Cert:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Signer")])
    day = datetime(2026, 1, 1, tzinfo=UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(day)
        .not_valid_after(day + timedelta(days=1))
        .sign(private, None if isinstance(private, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    )
    return Cert(made.public_bytes(serialization.Encoding.DER))


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_a_key_comes_back_and_signs(key_type: str, tmp_path: Path) -> None:
    private = generate(key_type)
    path = tmp_path / "k.pem"
    write_key(path, private, SECRET)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert [p.name for p in tmp_path.iterdir()] == ["k.pem"]
    key = FileKey(read_key(path, SECRET), certified(private), ())
    assert verify(private.public_key(), key.algorithm, key.sign(b"data"), b"data")
    assert not verify(private.public_key(), key.algorithm, key.sign(b"data"), b"other")


def test_algorithms_follow_the_key() -> None:
    chosen = {"p256": Algorithm("ecdsa", "sha256"), "p384": Algorithm("ecdsa", "sha384"), "ed25519": Algorithm("ed25519")}
    for key_type, algorithm in chosen.items():
        private = generate(key_type)
        assert FileKey(private, certified(private), ()).algorithm == algorithm


def test_openssl_reads_our_keys(tmp_path: Path) -> None:
    private = generate("p256")
    write_key(tmp_path / "k.pem", private, SECRET)
    (tmp_path / "pass").write_bytes(SECRET)
    done = subprocess.run(
        [program("openssl"), "pkey", "-in", tmp_path / "k.pem", "-passin", f"file:{tmp_path / 'pass'}", "-pubout", "-outform", "DER"],
        capture_output=True,
        check=True,
    )
    assert done.stdout == encoded(private.public_key())
    parsed = subprocess.run([program("openssl"), "asn1parse", "-in", tmp_path / "k.pem"], capture_output=True, check=True).stdout
    assert b":scrypt" in parsed
    assert b":4000" in parsed
    assert b":aes-256-cbc" in parsed


def test_two_files_of_one_key_share_nothing(tmp_path: Path) -> None:
    private = generate("ed25519")
    write_key(tmp_path / "1", private, SECRET)
    write_key(tmp_path / "2", private, SECRET)
    one, two = ((tmp_path / name).read_bytes().splitlines() for name in "12")
    assert one[2] != two[2]
    assert one[3] != two[3]


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "k.pem"
    write_key(path, generate("p256"), SECRET)
    before = path.read_bytes()
    with pytest.raises(Conflict, match="exists already"):
        write_key(path, generate("p256"), SECRET)
    assert path.read_bytes() == before


def test_a_wrong_passphrase_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "k.pem"
    write_key(path, generate("p256"), SECRET)
    with pytest.raises(Misconfigured, match="wrong passphrase") as caught:
        read_key(path, b"wrong horse battery")
    assert "\n" not in str(caught.value)
    assert "horse" not in str(caught.value)


def test_files_that_are_no_key_of_ours(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        read_key(tmp_path / "absent.pem", SECRET)
    plain = ec.generate_private_key(ec.SECP256R1())
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    (tmp_path / "plain.pem").write_bytes(plain.private_bytes(*form, serialization.NoEncryption()))
    with pytest.raises(Misconfigured, match="not encrypted"):
        read_key(tmp_path / "plain.pem", SECRET)
    (tmp_path / "rubbish.pem").write_bytes(b"rubbish")
    with pytest.raises(Misconfigured, match="not an encrypted PKCS#8 private key"):
        read_key(tmp_path / "rubbish.pem", SECRET)
    other = dsa.generate_private_key(1024)
    (tmp_path / "dsa.pem").write_bytes(other.private_bytes(*form, serialization.BestAvailableEncryption(SECRET)))
    with pytest.raises(Misconfigured, match="type"):
        read_key(tmp_path / "dsa.pem", SECRET)
    with pytest.raises(Misconfigured):
        read_key(tmp_path, SECRET)


def test_short_passphrases_and_unknown_types_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="at least 8 bytes, got 5"):
        write_key(tmp_path / "k.pem", generate("p256"), b"short")
    assert not list(tmp_path.iterdir())
    with pytest.raises(Unacceptable, match="p256, p384, rsa3072, ed25519"):
        generate("rsa1024")


def test_a_key_belongs_to_its_certificate() -> None:
    with pytest.raises(Misconfigured, match="does not belong"):
        FileKey(generate("p256"), certified(generate("p256")), ())


def test_a_disk_that_refuses_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Misconfigured, match="a part of the path is not a folder"):
        write_key(tmp_path / "file" / "k.pem", generate("p256"), SECRET)
    with pytest.raises(Misconfigured, match="no such file or folder"):
        write_key(tmp_path / "absent" / "k.pem", generate("p256"), SECRET)


def test_the_passphrase_leaves_the_environment(tmp_path: Path) -> None:
    environ = {"KAKUIN_PASSPHRASE": "from the environment"}
    assert passphrase(None, environ) == b"from the environment"
    assert not environ
    assert passphrase(None, environ) is None
    file = tmp_path / "pass"
    file.write_bytes(b" from a file \r\n")
    environ = {"KAKUIN_PASSPHRASE_FILE": str(file), "KAKUIN_PASSPHRASE": "x"}
    assert passphrase(None, environ) == b" from a file "
    assert environ == {"KAKUIN_PASSPHRASE_FILE": str(file)}
    other = tmp_path / "other"
    other.write_bytes(b"nearest")
    assert passphrase(other, environ) == b"nearest"


def test_a_passphrase_file_that_gives_none(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="does not exist"):
        passphrase(tmp_path / "absent", {})
    (tmp_path / "empty").write_bytes(b"\n")
    with pytest.raises(Misconfigured, match="is empty"):
        passphrase(tmp_path / "empty", {})
    (tmp_path / "huge").write_bytes(b"x" * 5000)
    with pytest.raises(Misconfigured, match="over 4096 bytes"):
        passphrase(tmp_path / "huge", {})
    with pytest.raises(Misconfigured, match="folder"):
        passphrase(tmp_path, {})


def test_certificates_keep_their_order(tmp_path: Path) -> None:
    both = (certified(generate("p256")), certified(generate("p256")))
    (tmp_path / "c.pem").write_bytes(pem_of(both))
    assert read_certificates(tmp_path / "c.pem") == both
    (tmp_path / "none.pem").write_bytes(b"")
    with pytest.raises(Misconfigured, match="no PEM certificate"):
        read_certificates(tmp_path / "none.pem")


def test_certificates_are_kept_until_their_file_is_another(tmp_path: Path) -> None:
    first, second = pki.root("First").certificate, pki.root("Second").certificate
    path = tmp_path / "root.pem"
    path.write_bytes(pem_of((first,)))
    assert read_certificates(path) == (first,)
    assert read_certificates(path)[0] is read_certificates(path)[0]
    successor = tmp_path / "new.pem"
    successor.write_bytes(pem_of((second, first)))
    successor.replace(path)
    assert read_certificates(path) == (second, first)
    path.unlink()
    with pytest.raises((NotFound, Misconfigured)):
        read_certificates(path)
