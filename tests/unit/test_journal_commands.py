"""`kakuin log`: what it shows is what was recorded, and it writes nothing."""

import base64
import hashlib
import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import cli
from trust.codecs.cms import token
from trust.edge import keystore
from trust.edge.founding import make_instance
from trust.edge.instance import Instance
from trust.errors import Unacceptable
from trust.log import reading
from trust.log.journal import Entry
from trust.log.reading import Selection
from trust.model import Cert, Digest

TOKENS = 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A demonstration with tokens, a renewed responder and a revoked certificate."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(keystore, "_SCRYPT_COST", 256)
        made = tmp_path_factory.mktemp("journal") / "instance"
        with make_instance(made) as instance:
            old = instance.renew("ocsp").retired
            instance.authority.revoke(old.serial, "superseded")
        with cli.House(made) as house:
            stamp = house.authority.stamper()
            for n in range(TOKENS):
                stamp(Digest("sha256", bytes([n]) * 32))
            house.instance.journal.append(
                "seal", json.dumps({"organisation": "8040001079502", "level": "B", "sealed": "ab", "signed": ["cd"]}).encode()
            )
        yield made


def said(capsys: pytest.CaptureFixture[str], *args: str | Path, code: int = 0) -> list[str]:
    assert cli.main([str(a) for a in args]) == code
    captured = capsys.readouterr()
    return (captured.out if code == 0 else captured.err).splitlines()


def rows(lines: list[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines]


def test_everything_in_order(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "log", "list", "--instance", folder)
    assert [int(line.split()[0]) for line in lines] == list(range(len(lines)))
    kinds = [line.split()[2] for line in lines]
    assert kinds == ["certificate"] * 5 + ["event"] * 2 + ["certificate", "event", "revocation", "event"] + ["token"] * TOKENS + ["seal"]
    text = "\n".join(lines)
    for part in ("Time-Stamping Unit 1", "renewal", "superseded", "crl", "8040001079502 B ab"):
        assert part in text
    assert lines[-2].endswith(f" {TOKENS}")


def test_a_selection(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = rows(said(capsys, "log", "list", "--instance", folder, "--json"))
    found = rows(said(capsys, "log", "list", "--instance", folder, "--json", "--kind", "seal", "--kind", "revocation"))
    assert [r["kind"] for r in found] == ["revocation", "seal"]
    assert rows(said(capsys, "log", "list", "--instance", folder, "--json", "--last", "3")) == whole[-3:]
    first, second = whole[-3]["at"], whole[-2]["at"]
    period = rows(said(capsys, "log", "list", "--instance", folder, "--json", "--from", first, "--to", second))
    assert [r["at"] for r in period] == [r["at"] for r in whole if first <= r["at"] < second] != []
    today = f"{datetime.now(UTC) - timedelta(days=2):%Y-%m-%d}"
    assert said(capsys, "log", "list", "--instance", folder, "--to", today) == []
    assert len(said(capsys, "log", "list", "--instance", folder, "--from", today)) == len(whole)


def test_an_entry_is_shown_and_written(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    [entry] = rows(said(capsys, "log", "export", "--instance", folder, "--kind", "token"))[:1]
    lines = dict(line.split(None, 1) for line in said(capsys, "log", "show", str(entry["index"]), "--instance", folder))
    assert (lines["kind"], lines["number"], lines["imprint"]) == ("token", "1", "00" * 32)
    assert said(capsys, "log", "show", str(entry["index"]), "--instance", folder, "-o", tmp_path / "t.tst") == []
    assert token((tmp_path / "t.tst").read_bytes()).serial == 1
    lines = dict(line.split(None, 1) for line in said(capsys, "log", "show", "0", "--instance", folder))
    assert "Root CA" in lines["subject"]
    [line] = said(capsys, "log", "show", "99999", "--instance", folder, code=66)
    assert "the journal has entries 0 to " in line


def test_the_export_is_whole_and_can_be_checked(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    found = rows(said(capsys, "log", "export", "--instance", folder))
    assert said(capsys, "log", "export", "--instance", folder, "-o", tmp_path / "journal.jsonl") == []
    assert rows((tmp_path / "journal.jsonl").read_text().splitlines()) == found
    assert [r["index"] for r in found] == list(range(len(found)))
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    for row in found:
        at = (datetime.fromisoformat(row["at"]) - epoch) // timedelta(microseconds=1)
        data = row["kind"].encode() + b"\n" + at.to_bytes(8, "big") + base64.b64decode(row["body"])
        assert hashlib.sha256(b"\0" + data).hexdigest() == row["leaf"]
    with Instance.open(folder) as instance:
        issued = {i.certificate for i in instance.authority.certificates()}
    assert {Cert(base64.b64decode(r["body"])) for r in found if r["kind"] == "certificate"} == issued
    assert [r["serial"] for r in found if r["unit"]] == list(range(1, TOKENS + 1))


def test_tokens_are_counted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counted = {row["kind"]: row for row in rows(said(capsys, "log", "count", "--instance", folder, "--json"))}
    assert {kind: row["entries"] for kind, row in counted.items()} == {"certificate": 6, "event": 4, "revocation": 1, "seal": 1, "token": TOKENS}
    assert (counted["token"]["first"], counted["token"]["last"]) == (1, TOKENS)
    [line] = said(capsys, "log", "count", "--instance", folder, "--kind", "token")
    assert line.split()[:2] == ["token", str(TOKENS)] and line.endswith(f"serial numbers 1 to {TOKENS}")
    assert said(capsys, "log", "count", "--instance", folder, "--to", "2020-01-01") == []


def test_pages_follow_each_other(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Instance.open(folder) as instance:
        whole = list(reading.entries(instance.engine))
        for size in (1, 3, len(whole), len(whole) + 1):
            monkeypatch.setattr(reading, "PAGE", size)
            assert list(reading.entries(instance.engine)) == whole
            assert [e.kind for e in reading.entries(instance.engine, Selection(kinds=("token",)))] == ["token"] * TOKENS


def test_a_changed_entry_is_told(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    import shutil

    copy = shutil.copytree(folder, tmp_path / "instance")
    with sqlite3.connect(copy / "kakuin.db") as database:
        database.execute("DROP TRIGGER journal_entry_no_update")
        database.execute("UPDATE journal_entry SET body = CAST(replace(body, 'superseded', 'keyCompromise') AS BLOB) WHERE kind = 'revocation'")
    database.close()
    [line] = said(capsys, "log", "export", "--instance", copy, "-o", tmp_path / "out", code=65)
    assert "was changed after it was recorded" in line
    assert not (tmp_path / "out").exists()
    index = next(r["index"] for r in rows(said(capsys, "log", "list", "--instance", copy, "--json")) if r["kind"] == "revocation")
    said(capsys, "log", "show", str(index), "--instance", copy, code=65)


def test_reading_writes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def size() -> int:
        with Instance.open(folder) as instance:
            return instance.journal.size()

    before = size()
    for command in (["list"], ["export"], ["count"], ["show", "0"]):
        said(capsys, "log", *command, "--instance", folder)
    assert size() == before


@pytest.mark.parametrize("period", [("2026-06-01", "2026-06-01"), ("2026-06-02", "2026-06-01")])
def test_a_period_that_is_none(folder: Path, capsys: pytest.CaptureFixture[str], period: tuple[str, str]) -> None:
    [line] = said(capsys, "log", "list", "--instance", folder, "--from", period[0], "--to", period[1], code=65)
    assert "ends before it begins" in line
    with pytest.raises(Unacceptable, match="journal kind is one of"):
        Selection(kinds=("tokens",))


@pytest.mark.parametrize("time", ["yesterday", "2026-06-01T09:00:00", "20260601", "0001-01-01T00:00:00+14:00"])
def test_a_time_that_is_none(folder: Path, capsys: pytest.CaptureFixture[str], time: str) -> None:
    assert any("time" in line for line in said(capsys, "log", "list", "--instance", folder, "--from", time, code=2))


def test_bodies_that_cannot_be_read_are_shown_as_such() -> None:
    for kind in ("token", "certificate", "seal", "revocation", "event"):
        entry = Entry(0, kind, datetime(2026, 1, 1, tzinfo=UTC), b"\xff\x00", b"", "unit", 1)
        assert dict(reading.said(entry)) == {"unreadable": "2 bytes"}
        assert reading.summary(entry)
