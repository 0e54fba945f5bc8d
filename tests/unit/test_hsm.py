"""Keys behind PKCS#11, in SoftHSM: made, found, used, lost and found again."""

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pkcs11
import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

import cli
from eseal.spec import choose
from tests import pki, tsu
from tests.services import absent, program
from trust.algorithms import verify
from trust.codecs import cms, tsp
from trust.edge import hsm, keystore
from trust.edge.diagnosis import diagnose
from trust.edge.founding import make_instance
from trust.edge.hsm import TokenKey, label_of, make_key, module, token_key
from trust.edge.keystore import encoded
from trust.edge.units import UnitSettings
from trust.errors import Misconfigured, NotFound, Unacceptable, Unavailable
from trust.model import Cert, Document
from tsa import units
from verifier.service import Verifier

LIBRARIES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so")
PIN = "31415926"
VARIABLE = "KAKUIN_TEST_PIN"

pytestmark = pytest.mark.xdist_group("softhsm")


@pytest.fixture(scope="module")
def library() -> str:
    found = next((path for path in LIBRARIES if Path(path).exists()), None)
    return found if found is not None else absent("softhsm2 (libsofthsm2.so)")


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory, library: str) -> Iterator[Path]:
    """The folder of two tokens, `first` and `second`. The module reads its settings once, so they are the same for all tests here."""
    folder = tmp_path_factory.mktemp("softhsm")
    kept = folder / "tokens"
    kept.mkdir()
    conf = folder / "softhsm2.conf"
    conf.write_text(f"directories.tokendir = {kept}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SOFTHSM2_CONF", str(conf))
        patched.setenv(VARIABLE, PIN)
        patched.setattr(hsm, "_MODULES", {})
        for label in ("first", "second"):
            init = ["--init-token", "--free", "--label", label, "--so-pin", "2718", "--pin", PIN]
            subprocess.run([program("softhsm2-util"), *init], check=True, capture_output=True)
        if library in pkcs11._loaded:
            pkcs11._loaded[library].reinitialize()
        yield kept


def settings(library: str, token: str = "first", **more: str) -> UnitSettings:
    return UnitSettings(pkcs11_module=library, pkcs11_token=token, **{"pkcs11_pin_variable": VARIABLE, **more})


def certified(public: PublicKeyTypes) -> Cert:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Unit")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(public).serial_number(1)  # type: ignore[arg-type]
    made = builder.not_valid_before(datetime(2026, 1, 1, tzinfo=UTC)).not_valid_after(datetime(2027, 1, 1, tzinfo=UTC))
    return Cert(made.sign(pki.private_key("p256"), hashes.SHA256()).public_bytes(serialization.Encoding.DER))


def made(library: str, name: str, key_type: str = "p256", **more: str) -> tuple[TokenKey, PublicKeyTypes]:
    unit = settings(library, **more)
    public = make_key(unit, name, key_type)
    return token_key(unit, name, certified(public), ()), public


@pytest.mark.parametrize(
    ("key_type", "padding", "algorithm"),
    [
        ("p256", "pkcs1", "ecdsa with sha256"),
        ("p384", "pkcs1", "ecdsa with sha384"),
        ("p521", "pkcs1", "ecdsa with sha512"),
        ("rsa3072", "pkcs1", "rsa-pkcs1 with sha256"),
        ("rsa3072", "pss", "rsa-pss with sha256"),
        ("ed25519", "pkcs1", "ed25519"),
    ],
)
@pytest.mark.usefixtures("tokens")
def test_each_kind_of_key_is_made_and_signs(library: str, key_type: str, padding: str, algorithm: str) -> None:
    key, public = made(library, f"kind-{key_type}", key_type, padding=padding)
    assert str(key.algorithm) == algorithm
    for data in (b"", b"data", bytes(1000)):
        value = key.sign(data)
        assert verify(public, key.algorithm, value, data) and not verify(public, key.algorithm, value, data + b"x")


@pytest.mark.parametrize("bits", [2048, 4096])
@pytest.mark.usefixtures("tokens")
def test_a_key_of_a_ceremony_is_used(library: str, bits: int) -> None:
    """Made in the token by other means, under the label that the settings name, and both under one identifier."""
    label = f"ceremony-{bits}"

    def ceremony(session: pkcs11.Session) -> PublicKeyTypes | None:
        public, _ = session.generate_keypair(pkcs11.KeyType.RSA, bits, store=True, label=label, id=b"\x01")
        return hsm._public(public)

    public = module(library).call("first", lambda: PIN, ceremony, hsm.MAKING_SECONDS)
    assert public is not None
    unit = settings(library, pkcs11_key=label)
    assert label_of(unit, "x") == label
    if bits == 4096:
        assert encoded(make_key(unit, "x", "rsa4096")) == encoded(public)
    else:
        with pytest.raises(Unacceptable, match="of type rsa2048 waits in the token, and rsa3072 is wanted"):
            make_key(unit, "x", "rsa3072")
    key = token_key(unit, "x", certified(public), ())
    assert verify(public, key.algorithm, key.sign(b"x"), b"x")


@pytest.mark.usefixtures("tokens")
def test_a_key_never_leaves_its_token(library: str) -> None:
    made(library, "kept")

    def attributes(session: pkcs11.Session) -> list[bool]:
        [key] = hsm._found(session, {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY, pkcs11.Attribute.LABEL: "kakuin-kept"})
        return [key[pkcs11.Attribute.SENSITIVE], key[pkcs11.Attribute.EXTRACTABLE], key[pkcs11.Attribute.PRIVATE]]

    assert module(library).call("first", lambda: PIN, attributes) == [True, False, True]


@pytest.mark.usefixtures("tokens")
def test_a_key_without_a_certificate_is_taken_and_one_with_is_not(library: str) -> None:
    """After an interruption, and at a roll-over."""
    unit = settings(library)
    first = make_key(unit, "rolled", "p256")
    assert encoded(make_key(unit, "rolled", "p256")) == encoded(first)
    second = make_key(unit, "rolled", "p256", frozenset({encoded(first)}))
    assert encoded(second) != encoded(first)
    for public in (first, second):
        key = token_key(unit, "rolled", certified(public), ())
        assert verify(public, key.algorithm, key.sign(b"x"), b"x"), "two pairs of one label are told apart by their certificates"


@pytest.mark.usefixtures("tokens")
def test_many_threads_share_the_one_session(library: str) -> None:
    """Sessions in several threads crash python-pkcs11."""
    key, public = made(library, "threads")
    wrong: list[int] = []

    def work(number: int) -> None:
        for at in range(20):
            data = b"%d %d" % (number, at)
            if not verify(public, key.algorithm, key.sign(data), data):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len({t.name for t in threading.enumerate() if t.name == "pkcs11"}) == 1


@pytest.mark.usefixtures("tokens")
@pytest.mark.parametrize(
    "error", [pkcs11.SessionHandleInvalid, pkcs11.SessionClosed, pkcs11.DeviceError, pkcs11.UserNotLoggedIn], ids=lambda e: e.__name__
)
def test_a_lost_session_is_opened_again(library: str, monkeypatch: pytest.MonkeyPatch, error: type[pkcs11.PKCS11Error]) -> None:
    key, public = made(library, "lost")
    key.sign(b"x")
    sessions: list[object] = []
    signature = hsm._signature

    def lost_twice(handle: object, *how: object) -> bytes:
        sessions.append(module(library)._sessions["first"])
        if len(sessions) < 3:
            raise error
        return signature(handle, *how)  # type: ignore[arg-type]

    monkeypatch.setattr(hsm, "_signature", lost_twice)
    assert verify(public, key.algorithm, key.sign(b"x"), b"x")
    assert len({id(session) for session in sessions}) == 3, "each attempt has a session of its own"


def test_a_token_that_is_away_is_unavailable_and_used_when_it_is_back(library: str, tokens: Path, tmp_path: Path) -> None:
    key, public = made(library, "away")
    shutil.move(tokens, tmp_path / "elsewhere")
    tokens.mkdir()
    module(library).call("first", lambda: PIN, lambda _: module(library)._drop())
    with pytest.raises(Unavailable, match="token 'first'"):
        key.sign(b"x")
    tokens.rmdir()
    shutil.move(tmp_path / "elsewhere", tokens)
    assert verify(public, key.algorithm, key.sign(b"x"), b"x")


@pytest.mark.usefixtures("tokens")
def test_a_wrong_pin_is_tried_once(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three wrong ones lock many tokens."""
    key, public = made(library, "pin")
    asked = module(library)
    asked.call("first", lambda: PIN, lambda _: asked._drop())
    monkeypatch.setenv(VARIABLE, "wrong")
    with pytest.raises(Unavailable, match="does not take the PIN"):
        key.sign(b"x")
    for _ in range(5):
        with pytest.raises(Unavailable, match="it is not tried again") as caught:
            key.sign(b"x")
        assert "wrong" not in str(caught.value)
    monkeypatch.setenv(VARIABLE, PIN)
    assert verify(public, key.algorithm, key.sign(b"x"), b"x")


@pytest.mark.usefixtures("tokens")
def test_a_module_that_hangs_is_told_at_once(library: str) -> None:
    asked = module(library)
    go_on = threading.Event()
    with pytest.raises(Unavailable, match="did not answer within"):
        asked.call("first", lambda: PIN, lambda _: go_on.wait(), 0.01)
    with pytest.raises(Unavailable, match="hangs"):
        asked.call("first", lambda: PIN, lambda _: None)
    go_on.set()
    late = asked._late
    assert late is not None
    late.result(20)
    asked.call("first", lambda: PIN, lambda _: None)


@pytest.mark.usefixtures("tokens")
def test_what_is_not_there_is_told(library: str, tmp_path: Path) -> None:
    _, public = made(library, "there")
    elsewhere = token_key(settings(library, pkcs11_key="nothing"), "x", certified(public), ())
    with pytest.raises(Unavailable, match="no key pair 'nothing'"):
        elsewhere.sign(b"x")
    with pytest.raises(Unavailable, match="NoSuchToken"):
        token_key(settings(library, "third"), "x", certified(public), ()).sign(b"x")
    with pytest.raises(Unavailable, match="cannot be loaded"):
        token_key(settings(str(tmp_path / "none.so")), "x", certified(public), ()).sign(b"x")
    with pytest.raises(Unacceptable, match="behind PKCS#11"):
        make_key(settings(library), "x", "ml-dsa-65")
    with pytest.raises(Misconfigured, match="not made behind PKCS#11"):
        token_key(settings(library), "x", certified(pki.private_key("ml-dsa-65").public_key()), ())
    with pytest.raises(NotFound):
        module(library).call("first", lambda: PIN, partial(hsm._private, label="nothing", public=b""))


def test_the_pin_comes_from_a_file_or_the_environment(tmp_path: Path) -> None:
    (tmp_path / "pin").write_text("1234\n")
    assert UnitSettings(pkcs11_pin_file=str(tmp_path / "pin")).pin({}) == "1234"
    assert UnitSettings(pkcs11_pin_variable="P").pin({"P": "5678"}) == "5678"
    for unit in (UnitSettings(pkcs11_pin_file=str(tmp_path / "none")), UnitSettings(pkcs11_pin_variable="P")):
        with pytest.raises(Misconfigured):
            unit.pin({})


# Units.


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(keystore, "_SCRYPT_COST", 256)
    make_instance(tmp_path / "instance").close()
    return tmp_path / "instance"


@pytest.mark.usefixtures("tokens")
def test_a_unit_in_a_token_with_one_in_another_that_stands_in(library: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "kakuin.toml"
    common = f'pkcs11_module = "{library}"\npkcs11_pin_variable = "{VARIABLE}"\n'
    tables = f'[unit.vault]\nfallback = "spare"\npkcs11_token = "first"\n{common}[unit.spare]\npkcs11_token = "second"\nkey_type = "p384"\n{common}'
    path.write_text(path.read_text() + "\n" + tables)

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(cli.kakuin, ["tsa", *arguments, "--instance", str(folder)], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    assert {f.what for f in diagnose(folder, None) if not f.ok} >= {"unit vault", "unit spare"}
    run("create", "vault")
    run("create", "spare")
    assert [f.detail for f in diagnose(folder, None) if f.what == "key tsu-vault"] == ["is in its token, and belongs to its certificate"]
    assert not list((folder / "keys").glob("tsu-*.pem")), "no key in a file"
    request = tsp.encode_request(tsu.DIGEST)

    def signer(house: cli.House) -> str:
        return said_by(house.authority.stamp(request, "vault")).removeprefix("Kakuin Demonstration Time-Stamping Unit ")

    with cli.House(folder) as house:
        assert signer(house) == "vault 1"
        run("rollover", "vault")
        assert signer(house) == "vault 2", "the service takes up the new key in the token"
        with monkeypatch.context() as without:
            without.setattr(hsm.Module, "_session", _gone(hsm.Module._session))
            assert [signer(house) for _ in range(3)] == ["spare 1"] * 3
            faults = {row["name"]: row["fault"] for row in map(json.loads, run("list", "--json").splitlines())}
            assert faults == {"tsu": None, "spare": None, "vault": "token 'first': DeviceRemoved"}
            assert house.authority.states[-1].fault == f"unit {house.authority.states[-1].unit}: token 'first': DeviceRemoved"
        monkeypatch.setattr(units.Desk, "tries", lambda self, now: True)
        assert signer(house) == "vault 2"
        said = [json.loads(entry.body)["event"] for entry in house.instance.journal.read() if entry.kind == "event" and b'"unit-' in entry.body]
        assert said[:4] == ["unit-created", "unit-created", "unit-rolled-over", "unit-replaced"] and "unit-failed" in said
    run("retire", "vault")
    # The unit of /tsa moves from its file into a token.
    path.write_text(path.read_text() + f'[unit.tsu]\npkcs11_token = "second"\n{common}')
    run("rollover", "tsu")
    assert not (folder / "keys" / "tsu.pem").exists()
    with cli.House(folder) as house:
        assert said_by(house.authority.stamp(request)).endswith("Time-Stamping Unit 2")
    assert all(f.ok for f in diagnose(folder, None) if f.what.startswith(("key tsu", "certificate tsu", "status of tsu")))


def said_by(response: bytes) -> str:
    reply = tsp.decode_response(response)
    assert reply.token is not None, reply.reason
    found = cms.token(reply.token).signature.signer
    assert found is not None
    return found.name


def _gone(session: object) -> object:
    def gone(self: hsm.Module, token: str, pin: object) -> object:
        if token == "first":
            raise pkcs11.DeviceRemoved
        return session(self, token, pin)  # type: ignore[operator]

    return gone


@pytest.mark.usefixtures("tokens")
def test_an_organisation_seals_with_a_key_in_a_token(library: str, tmp_path: Path) -> None:
    """`[organisation.NUMBER]` says where it is; the same key signs with whichever digest is asked for."""
    folder = tmp_path / "instance"
    make_instance(folder).close()
    number = "1000012160145"
    with (folder / "kakuin.toml").open("a") as said:
        said.write(f'\n[organisation.{number}]\npkcs11_module = "{library}"\npkcs11_token = "first"\npkcs11_pin_variable = "{VARIABLE}"\n')
    enrol = ["ca", "enrol", "--organisation", "Office", "--corporate-number", number, "--instance", str(folder)]
    done = CliRunner().invoke(cli.kakuin, enrol, obj=cli.House, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert not (folder / "keys" / f"seal-{number}.pem").exists()
    with cli.House(folder) as house:
        assert isinstance(house.instance.key(f"seal-{number}"), TokenKey)
        for digest in (None, "sha384", "sha3-256"):
            made = house.sealer.seal(Document.of(b"a,b\n", "a.csv"), choose(b"", level="B-LT", packaging="attached", digest=digest), number)
            assert Verifier(house.instance.clock, anchors=house.verifier.anchors).verify(made.document).conclusion == "passed"


@pytest.mark.usefixtures("tokens")
def test_an_rsa_key_in_a_token_signs_with_sha2_alone(library: str) -> None:
    for padding in ("pkcs1", "pss"):
        key, public = made(library, f"digests-{padding}", "rsa3072", padding=padding)
        other = key.under("sha512")
        assert other.algorithm.digest == "sha512" and key.algorithm.digest == "sha256"
        assert verify(public, other.algorithm, other.sign(b"x"), b"x") and verify(public, key.algorithm, key.sign(b"x"), b"x")
        with pytest.raises(Unacceptable, match="this key in its token signs with one of sha256, sha384, sha512"):
            key.under("sha3_256")
