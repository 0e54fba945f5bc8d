"""Successors of keys and certificates: what they are called, what is kept, and what an interruption leaves."""

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import cli
from trust.codecs.cms import token
from trust.edge import files, keystore, renewal
from trust.edge.diagnosis import diagnose
from trust.edge.instance import Instance, held
from trust.errors import Conflict, KakuinError, Misconfigured, NotFound, Unacceptable, Unavailable
from trust.model import Digest
from trust.registry import DEMONSTRATION

SEAL = f"seal-{DEMONSTRATION}"
pytestmark = pytest.mark.usefixtures("cheap_keys")


def stamped(folder: Path) -> tuple[str, int]:
    """What identifies a new token (RFC 3161 section 2.4.2): the authority's name and the serial number."""
    with cli.House(folder) as house:
        made = token(house.authority.stamper()(Digest("sha256", bytes(32))))
    assert made.signature.signer is not None
    return made.signature.signer.x509.subject.rfc4514_string(), made.serial


def test_a_wrong_passphrase_leaves_no_key_that_nobody_can_open(folder: Path) -> None:
    before = sorted(path for path in folder.rglob("*.pem"))
    with Instance.open(folder, b"wrong horse battery") as wrong:
        for attempt in (lambda: wrong.renew("tsu"), lambda: wrong.add_unit("second"), lambda: wrong.add_organisation("架空町", "2010401059681")):
            with pytest.raises(Misconfigured, match=r"wrong passphrase for key .*ca\.pem"):
                attempt()
    assert sorted(path for path in folder.rglob("*.pem")) == before
    with Instance.open(folder) as right:
        right.renew("tsu")
        right.add_unit("second")
        right.add_organisation("架空町", "2010401059681")


def test_a_unit_gets_a_number_that_no_unit_had(folder: Path) -> None:
    seen = [stamped(folder), stamped(folder)]
    for number in (2, 3):
        with Instance.open(folder) as opened:
            old = opened.certificate("tsu")
            done = opened.renew("tsu")
            assert done.retired == old and opened.certificate("tsu") == done.certificate
            assert done.certificate.name == f"Kakuin Demonstration Time-Stamping Unit {number}"
            assert done.certificate.public_key != old.public_key
            assert opened.key("tsu").certificate == done.certificate
            kept = folder / "certificates" / "retired" / f"tsu-{old.serial:x}.pem"
            assert keystore.read_certificates(kept)[0] == old
            secret = folder / "keys" / "retired" / f"tsu-{old.serial:x}.pem"
            assert stat.S_IMODE(secret.stat().st_mode) == 0o600
            keystore.FileKey(keystore.read_key(secret, opened.secret), old, ())
            assert not opened.authority.is_revoked(old)
            # Behind it stands a list, where the last one was from before the certificate.
            last = [e for e in opened.journal.read() if e.kind == "event" and b'"renewal"' in e.body][-1]
            assert json.loads(last.body) == {
                "event": "renewal",
                "profile": "tsu",
                "retired": f"{old.serial:x}",
                "serial": f"{done.certificate.serial:x}",
            }
        seen += [stamped(folder), stamped(folder)]
    assert len(set(seen)) == 6
    assert [serial for _, serial in seen] == [1, 2] * 3


@pytest.mark.parametrize(
    ("name", "taken", "following"),
    [
        ("Unit 1", [], "Unit 2"),
        ("Unit 1", ["Unit 1", "Unit 7", "Other 9", "Unit 12x"], "Unit 8"),
        ("時刻認証", [], "時刻認証 2"),
        ("時刻認証", ["時刻認証 2"], "時刻認証 3"),
        ("Unit (a+b) 9", ["Unit (a+b) 9"], "Unit (a+b) 10"),
    ],
)
def test_names_of_units(name: str, taken: list[str], following: str) -> None:
    assert renewal.next_name(name, taken) == following


def test_a_responder_keeps_its_name_and_those_who_have_the_old_key_go_on(folder: Path) -> None:
    with Instance.open(folder) as running, Instance.open(folder) as other:
        chain = running.certificates(SEAL)
        before = running.authority.status(chain)
        old = running.certificate("ocsp")
        done = other.renew("ocsp")
        assert done.certificate.name == old.name and done.certificate != old
        assert old in before.certs
        assert old in running.authority.status(chain).certs, "a service that runs signs with the old key and sends its certificate"
        renewed = other.authority.status(chain)
        assert done.certificate in renewed.certs and old not in renewed.certs


def test_before_and_after_the_end(folder: Path) -> None:
    later = datetime.now(UTC) + timedelta(days=400)
    with Instance.open(folder, clock=lambda: later) as opened:
        assert opened.certificate("ocsp").not_after < later
        opened.authority.crl("ca")
        for name in ("tsu", "ocsp"):
            assert opened.renew(name).certificate.not_before == later.replace(microsecond=0)
        assert opened.authority.status(opened.certificates(SEAL)).ocsps
    wrong = {f.what: f.remedy for f in diagnose(folder, clock=lambda: later) if not f.ok}
    assert not {"certificate tsu", "certificate ocsp"} & wrong.keys()


def test_the_doctor_names_the_command(folder: Path) -> None:
    later = datetime.now(UTC) + timedelta(days=350)
    told = {f.what: f.remedy for f in diagnose(folder, clock=lambda: later)}
    for name in ("tsu", "ocsp"):
        assert f"`kakuin ca renew {name}`" in told[f"certificate {name}"]
    later += timedelta(days=7000)
    told = {f.what: f.remedy for f in diagnose(folder, clock=lambda: later)}
    assert f"`kakuin ca renew {SEAL}`" in told[f"certificate {SEAL}"]
    assert "new instance" in told["certificate ca"] and "new instance" in told["certificate root"]


def test_a_seal_is_renewed_as_long_as_it_was_not_revoked(folder: Path) -> None:
    with Instance.open(folder) as opened:
        first = opened.certificate(SEAL)
        second = opened.renew(SEAL).certificate
        assert second.subject == first.subject and second.public_key != first.public_key
        assert [o.certificate for o in opened.organisations] == [second]
        with pytest.raises(Conflict, match=rf"a seal here already, until .*kakuin ca renew {SEAL}"):
            opened.add_organisation("見本市", DEMONSTRATION)
        opened.authority.revoke(second.serial, "keyCompromise")
        told = {f.what: f.remedy for f in diagnose(folder) if not f.ok}
        assert "kakuin ca enrol" in told[f"status of {SEAL}"]
        with pytest.raises(Conflict, match="was revoked: `kakuin ca enrol`"):
            opened.renew(SEAL)
        third = opened.add_organisation("見本市", DEMONSTRATION)
        assert third.name == "見本市" and opened.key(SEAL).certificate == third.certificate
        assert opened.authority.is_revoked(second) and not opened.authority.is_revoked(first)
        assert len(list((folder / "certificates" / "retired").iterdir())) == 2
    assert not [f for f in diagnose(folder) if not f.ok]


def test_an_organisation_whose_seal_has_ended_is_enrolled_again(folder: Path) -> None:
    later = datetime.now(UTC) + timedelta(days=1097)
    with Instance.open(folder, clock=lambda: later) as opened:
        assert opened.add_organisation("見本市", DEMONSTRATION).certificate.not_after > later


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        ("ca", Unacceptable, "make a new instance"),
        ("root", Unacceptable, "make a new instance"),
        ("seal-1", NotFound, f"ocsp, {SEAL}, tsu can be renewed"),
        ("seal-../tsu", NotFound, "can be renewed"),
        ("../tsu", Unacceptable, "tsu, ocsp or seal-<number>"),
    ],
)
def test_what_has_no_successor(folder: Path, name: str, kind: type[KakuinError], says: str) -> None:
    with Instance.open(folder) as opened, pytest.raises(kind, match=says):
        opened.renew(name)
    assert not (folder / "keys" / "next").exists()


def test_one_at_a_time(folder: Path) -> None:
    with Instance.open(folder) as one, pytest.raises(Conflict, match="another process"), held(folder):
        one.renew("tsu")


class Cut(BaseException):
    """The power."""


STEPS = 8


@pytest.mark.parametrize("step", range(STEPS))
def test_an_interruption_is_made_good_by_the_next_call(folder: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """The power goes before the step: key, certificate issued, event, certificate file, old key kept, old certificate kept, two moves."""
    passed = 0

    def cut(real: Any) -> Any:
        def maybe(*args: Any, **kwargs: Any) -> Any:
            nonlocal passed
            passed += 1
            if passed > step:
                raise Cut
            return real(*args, **kwargs)

        return maybe

    with Instance.open(folder) as opened:
        old = opened.certificate("tsu")
        with monkeypatch.context() as patched, pytest.raises(Cut):
            patched.setattr(renewal, "write_key", cut(keystore.write_key))
            patched.setattr(renewal, "write_atomically", cut(files.write_atomically))
            patched.setattr(Path, "replace", _only_into_place(Path.replace, cut))
            patched.setattr(opened.journal, "append", cut(opened.journal.append))
            opened.renew("tsu")
    with Instance.open(folder) as opened:
        if step == STEPS - 1:
            with pytest.raises(Misconfigured, match="`kakuin ca renew tsu` finishes it"):
                opened.key("tsu")
            told = {f.what: f.remedy for f in diagnose(folder) if not f.ok}
            assert "kakuin ca renew tsu" in told["renewal of tsu"]
        else:
            assert opened.key("tsu").certificate == old, "until the last moment the old one works"
        done = opened.renew("tsu")
        assert done.retired == old and opened.key("tsu").certificate == done.certificate
        assert [p.name for p in (folder / "keys" / "retired").iterdir()] == [f"tsu-{old.serial:x}.pem"]
        assert not list((folder / "keys" / "next").iterdir()) and not list((folder / "certificates" / "next").iterdir())
        assert done.certificate in [i.certificate for i in opened.authority.certificates()]
    assert not [f for f in diagnose(folder) if not f.ok]
    assert stamped(folder)[1] == 1


def _only_into_place(real: Any, cut: Any) -> Any:
    """Moves out of the folders called next; other files are written through a temporary one, which is a move too."""
    counted = cut(real)
    return lambda self, target: counted(self, target) if self.parent.name == "next" and not self.name.startswith(".") else real(self, target)


def test_without_the_journal_everything_is_as_it_was(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise Unavailable("the journal does not answer")

    with Instance.open(folder) as opened:
        old = opened.certificate("tsu")
        with monkeypatch.context() as patched, pytest.raises(Unavailable):
            patched.setattr(opened.journal, "append", refuse)
            opened.renew("tsu")
        assert opened.key("tsu").certificate == old
        assert len(opened.authority.certificates()) == 5


def test_from_the_command_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["ca", "renew", "tsu", "--instance", str(folder)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("tsu: Kakuin Demonstration Time-Stamping Unit 2, certificate ")
    assert "keys/retired/tsu-" in said and "start `kakuin serve` again" in said
    assert cli.main(["ca", "renew", SEAL, "--instance", str(folder), "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    with Instance.open(folder) as opened:
        assert row["serial"] == f"{opened.certificate(SEAL).serial:x}" != row["retired"]
    assert cli.main(["ca", "renew", "root", "--instance", str(folder)]) == 65
    assert capsys.readouterr().err.count("\n") == 1
