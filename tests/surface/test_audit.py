"""`kakuin audit` over a real instance: its log, an export of it on another machine, tampering with either, and the sealed report."""

import contextlib
import json
import shutil
import sqlite3
import zipfile
from pathlib import Path

import pytest

from tests.office import run
from trust.edge.instance import DATABASE
from trust.log.page import entry_data
from trust.log.tables import ENTRY
from trust.log.tree import leaf_hash

STAMPED = 4


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An instance that stamped some files, its export, key, lists and a checkpoint that an auditor kept."""
    folder = tmp_path_factory.mktemp("audit")
    run("init", "--instance", folder / "instance")
    for n in range(STAMPED):
        (folder / f"{n}.txt").write_bytes(b"file %d" % n)
        run("stamp", folder / f"{n}.txt", "--instance", folder / "instance", "-o", folder / f"{n}.txt.tsr")
    run("log", "checkpoint", "--instance", folder / "instance", "-o", folder / "checkpoint")
    run("log", "export", "--instance", folder / "instance", "-o", folder / "export.jsonl")
    (folder / "key").write_bytes(run("log", "key", "--instance", folder / "instance").stdout)
    for issuer in ("root", "ca"):
        run("ca", "crl", issuer, "--instance", folder / "instance", "-o", folder / f"{issuer}.crl")
    return folder


def audited(*args: str | Path, code: int = 1) -> dict[str, dict[str, int]]:
    """The findings; a demonstration's clock is one in each token."""
    done = run("audit", *args, "--json", check=False)
    assert done.returncode == code, done.stdout.decode() + done.stderr.decode()
    found: dict[str, dict[str, int]] = json.loads(done.stdout)
    return found


def codes(found: dict[str, dict[str, int]]) -> dict[str, int]:
    return {code: each["count"] for code, each in found["findings"].items()}  # type: ignore[index,call-overload,attr-defined]


def elsewhere(home: Path) -> list[str | Path]:
    """What an auditor has who has nothing of the instance."""
    return ["--trust", home / "instance" / "anchors" / "root.pem", "--crl", home / "root.crl", "--crl", home / "ca.crl"]


def test_an_instance_and_its_export_are_found_the_same(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "instance", tmp_path / "instance")
    own = audited("--instance", tmp_path / "instance", "--checkpoint", home / "checkpoint")
    others = audited("--export", home / "export.jsonl", "--key", home / "key", "--checkpoint", home / "checkpoint", *elsewhere(home))
    assert codes(own) == codes(others) == {"development-clock": STAMPED}
    assert own["verdicts"] == others["verdicts"] == {"passed": STAMPED, "failed": 0, "indeterminate": 0, "unreadable": 0}
    assert own["log"]["root"] == others["log"]["root"]
    assert others["log"]["checkpoints"] == 1


def test_what_was_cut_off_at_the_end_is_missed_by_the_checkpoint(home: Path, tmp_path: Path) -> None:
    lines = (home / "export.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "cut.jsonl").write_text("".join(lines[:-1]))
    beside = ["--key", home / "key", "--checkpoint", home / "checkpoint", *elsewhere(home)]
    assert codes(audited("--export", tmp_path / "cut.jsonl", *beside)) == {"development-clock": STAMPED - 1, "log-missing": 1}
    # Without the checkpoint nobody can know, and the summary says so.
    done = run("audit", "--export", tmp_path / "cut.jsonl", *elsewhere(home), check=False)
    assert b"what was cut off at the end cannot be seen" in done.stdout


def test_an_entry_rewritten_with_its_hash_is_caught_by_the_root(home: Path, tmp_path: Path) -> None:
    """Somebody with the database puts one token in another's place, and its leaf hash with it."""
    shutil.copytree(home / "instance", tmp_path / "instance")
    with contextlib.closing(sqlite3.connect(tmp_path / "instance" / DATABASE)) as database, database:
        for (name,) in database.execute("select name from sqlite_master where type = 'trigger'").fetchall():
            database.execute(f"drop trigger {name}")  # whoever has the database has its rules too
        (number, at) = database.execute(f"select number, at from {ENTRY.name} where kind = 'token' and serial = 2").fetchone()
        (body,) = database.execute(f"select body from {ENTRY.name} where kind = 'token' and serial = 1").fetchone()
        leaf = leaf_hash(entry_data("token", at, body))
        database.execute(f"update {ENTRY.name} set body = ?, leaf = ? where number = ?", (body, leaf, number))
    found = codes(audited("--instance", tmp_path / "instance", "--checkpoint", home / "checkpoint"))
    assert found.pop("log-root") >= 1
    assert {"serial-twice": 1, "serial-gap": 1, "table-differs": 1}.items() <= found.items()


def test_files_beside_their_documents(home: Path, tmp_path: Path) -> None:
    for n in range(STAMPED):
        for name in (f"{n}.txt", f"{n}.txt.tsr"):
            shutil.copy(home / name, tmp_path / name)
    (tmp_path / "1.txt").write_bytes(b"changed")
    found = audited(tmp_path, *elsewhere(home))
    assert codes(found) == {"development-clock": STAMPED, "not-valid": 1}


def test_a_sealed_report(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "instance", tmp_path / "instance")
    sealed = tmp_path / "report.asice"
    done = run("audit", "--instance", tmp_path / "instance", "--seal", sealed, "--csv", tmp_path / "out.csv", check=False)
    assert done.returncode == 1
    assert run("verify", sealed, "--instance", tmp_path / "instance").stdout.startswith(b"VALID")
    with zipfile.ZipFile(sealed) as box:
        assert {"summary.txt", "summary.json", "tokens.csv"} <= set(box.namelist())
        assert box.read("tokens.csv") == (tmp_path / "out.csv").read_bytes()
        assert box.read("summary.txt") == done.stdout
        assert json.loads(box.read("summary.json"))["conclusion"] == "findings"


@pytest.mark.parametrize("kind", ["files", "list", "export"])
def test_a_sealed_report_of_whatever_is_audited(home: Path, tmp_path: Path, kind: str) -> None:
    """Each read apart from the key: with its documents, and with what a list names."""
    (tmp_path / "list").write_text("".join(f"{home / f'{n}.txt.tsr'}\n" for n in range(STAMPED)))
    (tmp_path / "expected").write_text("".join(f"{home / f'{n}.txt'}\n" for n in range(STAMPED)))
    what: dict[str, tuple[str | Path, ...]] = {
        "files": tuple(home / f"{n}.txt.tsr" for n in range(STAMPED)),
        "list": ("--list", tmp_path / "list"),
        "export": ("--export", home / "export.jsonl"),
    }
    beside = ["--expect", tmp_path / "expected", *elsewhere(home), "--json"]
    alone = json.loads(run("audit", *what[kind], *beside, check=False).stdout)
    done = run("audit", *what[kind], *beside, "--instance", home / "instance", "--seal", tmp_path / "r.asice", "--jsonl", tmp_path / "r", check=False)
    found = json.loads(done.stdout)
    assert {**found, "validation_time": ""} == {**alone, "validation_time": ""}, done.stderr
    assert json.loads((tmp_path / "r").read_text().splitlines()[0])["summary"] == found
    assert run("verify", tmp_path / "r.asice", "--instance", home / "instance").stdout.startswith(b"VALID")


def test_what_is_audited_is_read_in_no_process_that_seals(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cli import main
    from verifier.audit import auditor

    def never(*_: object) -> None:
        raise AssertionError("a time-stamp was read in the process that seals")

    monkeypatch.setattr(auditor.Auditor, "token", never)
    monkeypatch.setattr(auditor.Auditor, "judged", never)
    with contextlib.suppress(SystemExit):
        main(["audit", "--instance", str(home / "instance"), "--seal", str(tmp_path / "r.asice"), "--csv", str(tmp_path / "out.csv")])
    assert (tmp_path / "r.asice").exists() and len((tmp_path / "out.csv").read_text().splitlines()) > STAMPED
