"""An instance: made once, opened often, damaged in many ways, and what the doctor says of each."""

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from tests.services import program
from trust.edge import engine as database
from trust.edge import founding, instance
from trust.edge.diagnosis import Finding, diagnose
from trust.edge.engine import bring_up, connect, newest_revision, refused, revision, sqlite_url, writing
from trust.edge.files import write_atomically
from trust.edge.founding import DEMONSTRATION_NAME, Answers, make_instance
from trust.edge.instance import Instance
from trust.edge.settings import DEVELOPMENT_CLOCK, FILE, KERNEL_CLOCK
from trust.errors import Conflict, KakuinError, Malformed, Misconfigured, NotFound, Unavailable
from trust.pki.store import CertificateRow, CrlRow
from trust.registry import DEMONSTRATION

OFFICE = Answers("見本市", "8040001079502", base_url="https://seal.example")
SECRET = b"correct horse battery"
pytestmark = pytest.mark.usefixtures("cheap_keys")


@pytest.fixture
def demonstration(folder: Path) -> Iterator[Instance]:
    with Instance.open(folder) as opened:
        yield opened


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and "kakuin.db" not in p.name}


# --- making -------------------------------------------------------------------------------------------------------------------------------


def test_a_demonstration_needs_no_answer_and_is_called_so(pattern: Path) -> None:
    with Instance.open(pattern) as made:
        assert made.demonstration
        assert made.key_names == ("ca", "ocsp", "root", f"seal-{DEMONSTRATION}", "tsu")
        (organisation,) = made.organisations
        assert (organisation.number, organisation.name) == (DEMONSTRATION, DEMONSTRATION_NAME)
        assert "not a real organisation" in organisation.name
        assert "架空" in organisation.name
        assert made.settings.clock.sources == (DEVELOPMENT_CLOCK,)
        assert "Demonstration" in made.certificate("root").name
        assert made.anchors == pattern / "anchors"
        kinds = [entry.kind for entry in made.journal.read()]
        assert kinds == ["certificate"] * 5 + ["event"] * 2


def test_secrets_are_private_and_anchors_are_not(pattern: Path) -> None:
    modes = {str(p.relative_to(pattern)): stat.S_IMODE(p.stat().st_mode) for p in pattern.rglob("*")}
    for name, mode in modes.items():
        secret = name.startswith(("keys", "kakuin.", "log/key"))
        assert not (mode & 0o077) if secret else mode & 0o044, (name, oct(mode))
    assert not [name for name in modes if name.startswith(".")]


def test_openssl_trusts_what_hangs_on_the_anchor(pattern: Path) -> None:
    for name in ("tsu", f"seal-{DEMONSTRATION}", "ocsp"):
        file = pattern / "certificates" / f"{name}.pem"
        done = subprocess.run(
            [program("openssl"), "verify", "-x509_strict", "-CAfile", pattern / "anchors" / "root.pem", "-untrusted", file, file], capture_output=True
        )
        assert done.returncode == 0, done.stderr


def test_a_real_organisation_needs_a_passphrase(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="need a passphrase"):
        make_instance(tmp_path / "i", OFFICE)
    assert not (tmp_path / "i" / FILE).exists()
    with make_instance(tmp_path / "i", OFFICE, SECRET) as made:
        assert made.new
        assert not made.demonstration
        assert made.settings.clock.sources == (KERNEL_CLOCK,)
        assert not (made.folder / "keys" / "passphrase").exists()
        assert "http://seal.example/pki/ca.crl" in str(made.certificate("tsu").x509.extensions)
    with Instance.open(tmp_path / "i", SECRET) as opened:
        assert opened.key("tsu").certificate == opened.certificate("tsu")
    with Instance.open(tmp_path / "i") as locked:
        assert [o.name for o in locked.organisations] == ["見本市"]
        with pytest.raises(Misconfigured, match="need their passphrase"):
            locked.key("tsu")
    with Instance.open(tmp_path / "i", b"wrong horse battery") as wrong, pytest.raises(Misconfigured, match="wrong passphrase"):
        wrong.key("tsu")


@pytest.mark.parametrize(
    ("base_url", "pki_url", "written"),
    [
        ("", "", "http://127.0.0.1:8318/pki"),
        ("http://seal.example:8318/a", "", "http://seal.example:8318/a/pki"),
        ("https://seal.example", "", "http://seal.example/pki"),
        ("https://seal.example/office", "", "http://seal.example/office/pki"),
        ("https://seal.example:8443", "http://pki.example", "http://pki.example"),
        ("https://seal.example", "https://pki.example", "https://pki.example"),
    ],
)
def test_where_certificates_say_that_their_status_is(base_url: str, pki_url: str, written: str) -> None:
    """RFC 5280 section 8: over plain HTTP, unless somebody wants it otherwise."""
    assert Answers(base_url=base_url, pki_url=pki_url).settings().pki_url == written


def test_policies_and_addresses_are_in_the_first_certificates(tmp_path: Path) -> None:
    answers = Answers(pki_url="http://pki.example", tsa_policy="1.2.392.1", certificate_policy="1.2.392.2")
    with make_instance(tmp_path / "i", answers) as made:
        extensions = str(made.certificate("tsu").x509.extensions)
        assert "http://pki.example/ca.crl" in extensions and "1.2.392.2" in extensions
        assert made.settings.tsa.policy == "1.2.392.1"
    with Instance.open(tmp_path / "i") as opened:
        assert (opened.settings.pki.policy, opened.settings.pki_url) == ("1.2.392.2", "http://pki.example")


def test_the_environment_counts_from_the_first_certificate_on(tmp_path: Path) -> None:
    environ = {"KAKUIN_PKI_BASE_URL": "http://pki.example", "KAKUIN_PKI_KEY_TYPE": "p384", "KAKUIN_DATABASE_URL": f"sqlite:///{tmp_path}/other.db"}
    with make_instance(tmp_path / "i", Answers(), environ=environ) as made:
        assert "http://pki.example/ca.crl" in str(made.certificate("tsu").x509.extensions)
        assert made.key("tsu").algorithm.digest == "sha384"
        assert len(made.authority.certificates()) == 5
    assert (tmp_path / "other.db").exists() and not (tmp_path / "i" / "kakuin.db").exists()
    assert "pki.example" not in (tmp_path / "i" / FILE).read_text() and "other.db" not in (tmp_path / "i" / FILE).read_text()
    with pytest.raises(Misconfigured, match="environment variable KAKUIN_PKI_POLICY"):
        make_instance(tmp_path / "j", Answers(), environ={"KAKUIN_PKI_POLICY": "x"})


def test_an_operator_of_its_own(tmp_path: Path) -> None:
    answers = replace(OFFICE, operator="見本センター", operator_number="7000012050002")
    with make_instance(tmp_path / "i", answers, SECRET) as made:
        assert "NTRJP-7000012050002" in made.certificate("tsu").x509.subject.rfc4514_string()
        assert "NTRJP-8040001079502" in made.certificate("seal-8040001079502").x509.subject.rfc4514_string()


def test_a_second_create_changes_nothing(folder: Path) -> None:
    before = everything(folder)
    with make_instance(folder, OFFICE, SECRET) as again:
        assert not again.new
        assert again.demonstration
    assert everything(folder) == before


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        (Answers(number="1111111111111"), Malformed),
        (Answers(organisation=" "), Malformed),
        (Answers(organisation="x" * 65), Malformed),
        (Answers(base_url="seal.example"), Misconfigured),
        (Answers(key_type="rsa512"), Misconfigured),
        (Answers(port=99999), Misconfigured),
        (Answers(base_url="https://seal.example:8443"), Misconfigured),
        (Answers(pki_url="ftp://seal.example"), Misconfigured),
        (Answers(tsa_policy="policy"), Misconfigured),
        (Answers(certificate_policy="1.2.03"), Misconfigured),
        (Answers(database_url="mysql://x"), Misconfigured),
    ],
)
def test_a_wrong_answer_leaves_nothing_that_counts(tmp_path: Path, answers: Answers, kind: type[KakuinError]) -> None:
    with pytest.raises(kind) as caught:
        make_instance(tmp_path / "i", answers, SECRET)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "i" / FILE).exists()
    with make_instance(tmp_path / "i") as made:
        assert made.new


STEPS = ("generate", "write_key", "pem_of", "write_atomically", "bring_up", "_move", "sync_folder")


@pytest.mark.parametrize("step", STEPS)
def test_an_interrupted_create_is_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """The power goes at each use of each step in turn; the next run makes a whole instance every time."""
    using = [module for module in (founding, instance) if hasattr(module, step)]
    real: Callable[..., Any] = getattr(using[0], step)
    interruptions = 0
    for last in (0, 3):
        folder = tmp_path / f"i{last}"
        calls = iter(range(100))

        def step_or_death(*args: Any, last: int = last, calls: Iterator[int] = calls, **more: Any) -> Any:
            if next(calls) == last:
                raise KeyboardInterrupt
            return real(*args, **more)

        with monkeypatch.context() as patched:
            for module in using:
                patched.setattr(module, step, step_or_death)
            try:
                make_instance(folder).close()
            except KeyboardInterrupt:
                interruptions += 1
        with make_instance(folder) as made:
            assert made.key("tsu").sign(b"x")
            assert made.authority.status([made.certificate("tsu")]).ocsps
            assert {p.name for p in folder.iterdir()} == {"kakuin.toml", "kakuin.db", "keys", "certificates", "anchors", "log", *sidecars(folder)}
    assert interruptions


def sidecars(folder: Path) -> set[str]:
    return {p.name for p in folder.glob("kakuin.db-*")}


def test_a_move_that_was_interrupted_is_finished_with_the_same_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "i"
    rename = Path.rename
    moved = 0

    def some(self: Path, target: Path) -> Path:
        nonlocal moved
        if self.parent.name == ".kakuin-new":
            moved += 1
            if moved == 3:
                raise KeyboardInterrupt
        return rename(self, target)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Path, "rename", some)
        make_instance(folder)
    before = (folder / "keys" / "root.pem").read_bytes()
    with make_instance(folder, OFFICE, None) as made:
        assert made.new
        assert made.demonstration
        assert (folder / "keys" / "root.pem").read_bytes() == before


def test_two_at_once_do_not_make_two(tmp_path: Path) -> None:
    folder = tmp_path / "i"
    made: list[bool] = []
    refusals: list[str] = []

    def one() -> None:
        try:
            with make_instance(folder) as instance:
                made.append(instance.new)
        except Conflict as error:
            refusals.append(str(error))

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made.count(True) == 1
    assert len(made) + len(refusals) == 3


def test_places_where_no_instance_can_be_made(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="there is no folder"):
        make_instance(tmp_path / "absent" / "i")
    (tmp_path / "file").write_text("x")
    with pytest.raises(Conflict, match="is not a folder"):
        make_instance(tmp_path / "file")
    (tmp_path / "rest" / "keys").mkdir(parents=True)
    with pytest.raises(Conflict, match=r"has keys but no kakuin\.toml"):
        make_instance(tmp_path / "rest")
    (tmp_path / "busy").mkdir()
    (tmp_path / "busy" / "notes.txt").write_text("other files are let be")
    with make_instance(tmp_path / "busy") as made:
        assert made.new


def test_a_read_only_disk_is_one_line(tmp_path: Path) -> None:
    """/proc and /sys refuse writing even to root."""
    for place in (Path("/proc/i"), Path("/sys/kernel/i")):
        with pytest.raises(Misconfigured, match="cannot make") as caught:
            make_instance(place)
        assert "\n" not in str(caught.value)
    if os.geteuid() != 0:
        tmp_path.chmod(0o500)
        with pytest.raises(Misconfigured, match="permission denied"):
            make_instance(tmp_path / "i")
        tmp_path.chmod(0o700)


# --- opening ------------------------------------------------------------------------------------------------------------------------------


def test_what_cannot_be_opened(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="kakuin init"):
        Instance.open(tmp_path / "absent")
    with pytest.raises(NotFound, match="there is no instance"):
        Instance.open(tmp_path)
    (folder / "kakuin.db").rename(tmp_path / "elsewhere")
    with pytest.raises(Misconfigured, match="is missing: restore it"):
        Instance.open(folder)
    (folder / "kakuin.db").write_bytes(b"no database" * 100)
    with pytest.raises(Misconfigured, match="is damaged"):
        Instance.open(folder)


def test_key_names_are_no_paths(demonstration: Instance) -> None:
    for name in ("../keys/root", "root/", "", "tsu.pem", "seal-1/../../x", "absent"):
        with pytest.raises(NotFound):
            demonstration.key(name)


def test_a_key_is_unlocked_once(demonstration: Instance) -> None:
    assert demonstration.key("tsu") is demonstration.key("tsu")
    assert [c.name for c in demonstration.key("tsu").chain] == ["Kakuin Demonstration Issuing CA", "Kakuin Demonstration Root CA"]


def test_an_organisation_is_added_later(demonstration: Instance) -> None:
    made = demonstration.add_organisation("見本町", "8040-0010-79502")
    assert made.key_name == "seal-8040001079502"
    assert [o.name for o in demonstration.organisations] == ["見本町", DEMONSTRATION_NAME]
    assert demonstration.key(made.key_name).certificate == made.certificate
    with pytest.raises(Conflict, match="has a seal here already"):
        demonstration.add_organisation("見本町", "8040001079502")
    for name, number in (("", "2010401059681"), ("x", "2010401059682"), ("x" * 65, "2010401059681")):
        with pytest.raises(Malformed):
            demonstration.add_organisation(name, number)
    assert len(demonstration.organisations) == 2
    assert not (demonstration.folder / "keys" / "seal-2010401059681.pem").exists()


def test_an_organisation_whose_certificate_was_not_issued_keeps_its_key(demonstration: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise Unavailable("the journal does not answer")

    with monkeypatch.context() as patched, pytest.raises(Unavailable):
        patched.setattr(demonstration.authority, "issue", refuse)
        demonstration.add_organisation("見本町", "8040001079502")
    key = (demonstration.folder / "keys" / "seal-8040001079502.pem").read_bytes()
    demonstration.add_organisation("見本町", "8040001079502")
    assert (demonstration.folder / "keys" / "seal-8040001079502.pem").read_bytes() == key


def test_the_environment_overrides_the_settings(folder: Path) -> None:
    with Instance.open(folder, environ={"KAKUIN_SERVICE_PORT": "9"}) as opened:
        assert opened.settings.service.port == 9


# --- the database -------------------------------------------------------------------------------------------------------------------------


def test_the_schema_is_that_of_the_rows(demonstration: Instance) -> None:
    names = {"certificate", "crl"}
    with demonstration.engine.connect() as connection:
        only = {"include_object": lambda _o, name, kind, _r, _c: kind != "table" or name in names}
        context = MigrationContext.configure(connection, opts=only)
        assert compare_metadata(context, CertificateRow.metadata) == []
    assert {CertificateRow.__tablename__, CrlRow.__tablename__} == names


def test_the_newest_revision_is_alembics_head() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == newest_revision()


def test_sqlite_is_durable_and_keeps_its_references(demonstration: Instance) -> None:
    with demonstration.engine.connect() as connection:
        said = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert said == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}


def test_a_writer_that_reads_first_is_not_thrown_out(tmp_path: Path) -> None:
    """Two transactions read and then write: with a plain BEGIN the second fails at once, whatever its patience."""
    engine = connect(sqlite_url(tmp_path / "x.db"))
    with engine.begin() as connection:
        connection.execute(text("create table n (v integer)"))
        connection.execute(text("insert into n values (0)"))

    def count() -> None:
        for _ in range(20):
            with writing(engine).begin() as connection:
                value = connection.execute(text("select v from n")).scalar_one()
                connection.execute(text("update n set v = :v"), {"v": value + 1})

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with engine.connect() as connection:
        assert connection.execute(text("select v from n")).scalar_one() == 80
    engine.dispose()


def test_an_older_schema_is_brought_up_and_said(folder: Path) -> None:
    db = folder / "kakuin.db"
    db.unlink()
    with sqlite3.connect(db) as old:
        old.execute("create table alembic_version (version_num varchar(32) not null)")
        old.execute("insert into alembic_version values ('0001')")
        old.execute("create table certificate (id integer)")
        old.execute("create table crl (id integer)")
    old.close()
    with Instance.open(folder) as opened:
        assert opened.migrated_from == "0001"
        assert revision(opened.engine) == newest_revision()
    with Instance.open(folder) as again:
        assert again.migrated_from is None


def test_a_migration_happens_whole_or_not_at_all(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "x.db") as old:
        old.execute("create table crl (in_the_way integer)")
    old.close()
    engine = connect(sqlite_url(tmp_path / "x.db"))
    with pytest.raises(Unavailable, match="already exists"):
        bring_up(engine)
    with engine.connect() as connection:
        tables = {row[0] for row in connection.exec_driver_sql("select name from sqlite_master where type = 'table'")}
    assert tables == {"crl"}
    engine.dispose()


def test_several_processes_may_bring_it_up_at_once(tmp_path: Path) -> None:
    failures: list[BaseException] = []

    def one() -> None:
        engine = connect(sqlite_url(tmp_path / "x.db"))
        try:
            bring_up(engine)
        except BaseException as error:
            failures.append(error)
        finally:
            engine.dispose()

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    engine = connect(sqlite_url(tmp_path / "x.db"))
    assert revision(engine) == newest_revision()
    engine.dispose()


def test_a_newer_schema_is_not_touched(folder: Path) -> None:
    with sqlite3.connect(folder / "kakuin.db") as newer:
        newer.execute("update alembic_version set version_num = '9999'")
    newer.close()
    with pytest.raises(Misconfigured, match=r"newer kakuin \(schema 9999"):
        Instance.open(folder)


def test_addresses_of_databases_that_are_none() -> None:
    with pytest.raises(Misconfigured, match=r"database\.url"):
        connect("nonsense")
    with pytest.raises(Misconfigured, match=r"database\.url"):
        connect("mysql://x/y")
    assert connect("postgresql://u@h/d").dialect.name == "postgresql"
    with pytest.raises(Misconfigured, match="holds a password") as caught:
        connect("postgresql://u:swordfish@h/d")
    assert "swordfish" not in str(caught.value)


def test_what_the_database_refuses_is_one_line_without_its_password(tmp_path: Path) -> None:
    engine = connect(sqlite_url(tmp_path))
    with pytest.raises(Misconfigured, match="cannot be opened") as caught:
        revision(engine)
    assert "\n" not in str(caught.value)
    engine.dispose()
    error = OperationalError("select secret", {}, Exception("server closed the connection\nunexpectedly"))
    with pytest.raises(Unavailable) as caught_line, refused(connect(sqlite_url(tmp_path / "x"))):
        raise error
    assert str(caught_line.value).endswith("does not answer: server closed the connection")


def test_files_are_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f"
    write_atomically(path, b"old")

    def die(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(Misconfigured, match="the disk is full"):
        patched.setattr(os, "fsync", die)
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


# --- the doctor ---------------------------------------------------------------------------------------------------------------------------


def wrong(findings: list[Finding]) -> dict[str, str]:
    return {f.what: f.detail for f in findings if not f.ok}


def test_a_sound_instance_has_nothing_wrong(folder: Path) -> None:
    findings = diagnose(folder)
    assert wrong(findings) == {}
    looked_at = {f.what for f in findings}
    assert {"settings", "permissions", "database", "key tsu", "certificate tsu", "list of ca", "clock", "disk", "port"} <= looked_at


def spoil_nothing(folder: Path) -> None:
    shutil.rmtree(folder)


def spoil_settings(folder: Path) -> None:
    (folder / FILE).write_text("[service]\nport = 'x'")


def spoil_permissions(folder: Path) -> None:
    (folder / "keys" / "tsu.pem").chmod(0o644)


def spoil_database(folder: Path) -> None:
    (folder / "kakuin.db").unlink()


def spoil_pages(folder: Path) -> None:
    data = bytearray((folder / "kakuin.db").read_bytes())
    data[4096 + 100 : 4096 * 3] = bytes(4096 * 2 - 100)
    (folder / "kakuin.db").write_bytes(data)


def spoil_schema(folder: Path) -> None:
    with sqlite3.connect(folder / "kakuin.db") as newer:
        newer.execute("update alembic_version set version_num = '9999'")
    newer.close()


def spoil_key(folder: Path) -> None:
    shutil.copy(folder / "keys" / "ocsp.pem", folder / "keys" / "tsu.pem")


def spoil_certificate(folder: Path) -> None:
    (folder / "certificates" / "tsu.pem").unlink()


def lose_key(folder: Path) -> None:
    (folder / "keys" / "ca.pem").unlink()


def lose_anchor(folder: Path) -> None:
    (folder / "anchors" / "root.pem").unlink()


def change_passphrase(folder: Path) -> None:
    (folder / "keys" / "passphrase").write_text("wrong horse battery")


@pytest.mark.parametrize(
    ("spoil", "what", "says"),
    [
        (spoil_nothing, "folder", "there is no folder"),
        (spoil_settings, "settings", "service.port: expected a whole number"),
        (spoil_permissions, "permissions", "keys/tsu.pem"),
        (spoil_database, "database", "is missing"),
        (spoil_pages, "database", "damaged"),
        (spoil_schema, "database", "newer kakuin"),
        (spoil_key, "key tsu", "does not belong to its certificate"),
        (spoil_certificate, "certificate tsu", "does not exist"),
        (lose_key, "key ca", "is missing"),
        (lose_anchor, "anchor", "is missing"),
        (change_passphrase, "key tsu", "wrong passphrase"),
    ],
)
def test_each_fault_is_found_with_its_remedy(folder: Path, spoil: Callable[[Path], None], what: str, says: str) -> None:
    spoil(folder)
    findings = diagnose(folder)
    assert says in wrong(findings)[what]
    assert all(f.remedy for f in findings if not f.ok)


@pytest.mark.parametrize(
    ("days", "what", "says"),
    [
        (-1, "certificate root", "begins in the future"),
        (4, "list of ca", "ran out"),
        (340, "certificate tsu", "the private key's use ends in 25 days"),
        (367, "certificate tsu", "the private key's use ended"),
        (1090, f"certificate seal-{DEMONSTRATION}", "the certificate ends in"),
        (7305, "certificate root", "the certificate ended"),
    ],
)
def test_time_makes_faults_too(folder: Path, days: int, what: str, says: str) -> None:
    findings = diagnose(folder, clock=lambda: datetime.now(UTC) + timedelta(days=days))
    assert says in wrong(findings)[what]


def test_the_doctor_changes_nothing(folder: Path) -> None:
    before = everything(folder)
    diagnose(folder)
    assert everything(folder) == before


def test_keys_are_not_tried_without_their_passphrase(tmp_path: Path) -> None:
    make_instance(tmp_path / "i", replace(OFFICE, clock=DEVELOPMENT_CLOCK), SECRET).close()
    findings = diagnose(tmp_path / "i")
    assert wrong(findings) == {}
    assert "passphrase" in {f.what for f in findings}
    assert not {f.what for f in findings if f.what.startswith("key ")}
    assert wrong(diagnose(tmp_path / "i", b"wrong horse battery"))["key ca"].startswith("wrong passphrase")
    assert wrong(diagnose(tmp_path / "i", SECRET)) == {}


def test_a_passphrase_beside_real_keys_is_a_fault(tmp_path: Path) -> None:
    make_instance(tmp_path / "i", replace(OFFICE, clock=DEVELOPMENT_CLOCK), SECRET).close()
    file = tmp_path / "i" / "keys" / "passphrase"
    file.write_bytes(SECRET)
    file.chmod(0o600)
    assert "beside the keys" in wrong(diagnose(tmp_path / "i"))["passphrase"]


def test_opening_is_quick(folder: Path) -> None:
    """The library that migrates is not imported where there is nothing to migrate."""
    code = """
import sys
from pathlib import Path
from trust.edge.founding import make_instance
from trust.edge.instance import Instance
Instance.open(Path(sys.argv[1])).key("tsu")
print(sorted(m for m in sys.modules if m in {"alembic", "fastapi", "sqlmodel", "pyhanko"}))
"""
    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True, cwd=Path(__file__).resolve().parents[2])
    assert done.stdout.strip() == "[]"
