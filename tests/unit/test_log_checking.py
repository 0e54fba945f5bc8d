"""A whole log, checked: whatever is changed in its database or among its tiles is told, in plain words, and ends in exit code 1."""

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

import cli
from tests import asgi
from trust.edge import keystore, progress
from trust.edge.founding import make_instance
from trust.edge.instance import Instance
from trust.edge.web import application
from trust.log import keys, note
from trust.log.assembly import routes_of
from trust.model import Digest

TOKENS = 300


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An instance with more entries than a tile has; `now` is its newest checkpoint, over all of them, `mirror` a mirror of it."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(keystore, "_SCRYPT_COST", 256)
        made = tmp_path_factory.mktemp("checked") / "instance"
        make_instance(made).close()
        with cli.House(made) as house:
            stamp = house.authority.stamper()
            for n in range(TOKENS):
                stamp(Digest("sha256", n.to_bytes(32, "big")))
                if n in (TOKENS // 2, TOKENS - 1):
                    house.instance.publisher().publish(due=False)
        assert cli.main(["log", "checkpoint", "--instance", str(made), "-o", str(made / "now")]) == 0
        assert cli.main(["log", "mirror", "--instance", str(made), str(made / "mirror")]) == 0
        yield made


def said(capsys: pytest.CaptureFixture[str], *args: str | Path, code: int) -> list[str]:
    capsys.readouterr()
    assert cli.main([str(a) for a in args]) == code
    captured = capsys.readouterr()
    return (captured.out or captured.err).splitlines()


NEWEST = "(SELECT max(size) FROM log_checkpoint)"
LAST = "(SELECT max(number) FROM journal_entry)"
FEWER = "UPDATE journal_next SET value = value - 1 WHERE name = ''"
TABLES: dict[str, tuple[str, str]] = {
    "a body": ("UPDATE journal_entry SET body = x'30' WHERE number = 200", "changed       entry 200: it was changed after it was recorded"),
    "a leaf": ("UPDATE journal_entry SET leaf = zeroblob(32) WHERE number = 200", "changed       entry 200: it was changed after it was recorded"),
    "a time": ("UPDATE journal_entry SET at = at + 1 WHERE number = 200", "changed       entry 200: it was changed after it was recorded"),
    "a time that is none": (f"UPDATE journal_entry SET at = {(1 << 63) - 1} WHERE number = 200", "unreadable    entry 200 holds what no entry has"),
    "a time before all times": ("UPDATE journal_entry SET at = -5 WHERE number = 200", "unreadable    entry 200 holds what no entry has"),
    "a kind of no alphabet": ("UPDATE journal_entry SET kind = '印' WHERE number = 200", "unreadable    entry 200 holds what no entry has"),
    "a body of another type": ("UPDATE journal_entry SET body = 'text' WHERE number = 200", "unreadable    entry 200 holds what no entry has"),
    "a token without its number": (
        "UPDATE journal_entry SET unit = NULL, serial = NULL WHERE number = 200",
        "changed       entry 200: the table's row of",
    ),
    "a certificate with a number": ("UPDATE journal_entry SET unit = 'x', serial = 5 WHERE number = 0", "changed       entry 0: the table's row of"),
    "the end": (f"DELETE FROM journal_entry WHERE number = {LAST}", "missing       the checkpoint of"),
    "the end with its checkpoint": (
        f"DELETE FROM journal_entry WHERE number = {LAST}; DELETE FROM log_checkpoint WHERE size = {NEWEST}",
        "missing       the next entry is to have number",
    ),
    "the end with its checkpoint and the next number": (
        f"DELETE FROM journal_entry WHERE number = {LAST}; DELETE FROM log_checkpoint WHERE size = {NEWEST}; {FEWER}",
        "serial-gap    the next serial number of unit tsu-",
    ),
    "the next number": ("UPDATE journal_next SET value = value + 1 WHERE name = ''", "missing       the next entry is to have number"),
    "the next serial number": ("UPDATE journal_next SET value = value + 1 WHERE name <> ''", "serial-gap    the next serial number of unit tsu-"),
    "a serial number once more": ("UPDATE journal_next SET value = value - 1 WHERE name <> ''", "serial-twice  the next serial number of unit tsu-"),
    "a hash": ("UPDATE log_node SET hash = zeroblob(32)", "changed       hash 0 of level 1, of which tiles and proofs are made, is not that"),
    "no hash": ("DELETE FROM log_node", "changed       hash 0 of level 1, of which tiles and proofs are made, is missing"),
    "a hash too many": (
        "INSERT INTO log_node VALUES (1, 7, zeroblob(32))",
        "changed       hash 7 of level 1, of which tiles and proofs are made, is not",
    ),
    "a root": (f"UPDATE log_checkpoint SET root = zeroblob(32) WHERE size = {NEWEST}", "checkpoint    the checkpoint over"),
    "a note of another type": (f"UPDATE log_checkpoint SET note = 'text' WHERE size = {NEWEST}", "unreadable    the checkpoint over"),
    "witnesses that there were not": (f"UPDATE log_checkpoint SET cosigned = 1 WHERE size = {NEWEST}", "checkpoint    the checkpoint over"),
}


@pytest.mark.parametrize("name", TABLES)
def test_what_is_changed_in_a_database_is_told(name: str, folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    statements, words = TABLES[name]
    copy = shutil.copytree(folder, tmp_path / "copy")
    database = sqlite3.connect(copy / "kakuin.db")
    database.executescript(f"DROP TRIGGER journal_entry_no_update; DROP TRIGGER journal_entry_no_delete; {statements};")
    database.close()
    lines = said(capsys, "log", "check", "--instance", copy, code=1)
    assert any(line.startswith(words) for line in lines[:-3]), lines


def test_nothing_is_wrong_with_what_nobody_changed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    count, compared, verdict = said(capsys, "log", "check", "--instance", folder, code=0)
    size = count.split()[0]
    assert (compared, verdict) == (f"compared with checkpoints over up to {size} entries", "nothing is wrong")


def test_a_unit_that_was_taken_out_of_service_is_no_finding(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Its next number is kept as a negative one (tsa.store:stop)."""
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert cli.main(["tsa", "create", "second", "--instance", str(copy)]) == 0
    assert cli.main(["tsa", "rollover", "tsu", "--instance", str(copy)]) == 0
    assert cli.main(["tsa", "retire", "second", "--instance", str(copy)]) == 0
    assert said(capsys, "log", "check", "--instance", copy, code=0)[-1] == "nothing is wrong"


@pytest.mark.parametrize("name", ["check", "check --log", "monitor"])
def test_a_person_is_told_how_far_it_is(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts: list[str] = []
    monkeypatch.setattr(progress.Progress, "tell", lambda _, text: texts.append(text))
    monkeypatch.setattr(progress.passing, "__defaults__", (100,))
    key = ("--key", folder / "log" / "verifier-key")
    args: dict[str, tuple[str | Path, ...]] = {
        "check": ("log", "check", "--instance", folder),
        "check --log": ("log", "check", "--log", folder / "mirror", *key),
        "monitor": ("monitor", folder / "mirror", *key, "--state", tmp_path / "state"),
    }
    said(capsys, *args[name], code=0)
    assert texts == ["100 entries", "200 entries", "300 entries"]


@pytest.mark.parametrize("what", ["bit", "short", "long", "gone"])
@pytest.mark.parametrize("path", ["tile/0/000", "tile/0/001.p/", "tile/1/000.p/1", "tile/entries/000", "tile/entries/001.p/"])
def test_what_is_changed_among_the_tiles_is_told(path: str, what: str, folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    copy = shutil.copytree(folder / "mirror", tmp_path / "copy")
    [file] = [each for each in copy.rglob("*") if each.is_file() and each.relative_to(copy).as_posix().startswith(path)]
    data = file.read_bytes()
    changed = {"bit": data[:-1] + bytes([data[-1] ^ 1]), "short": data[:-1], "long": data + b"\0"}
    if what == "gone":
        file.unlink()
    else:
        file.write_bytes(changed[what])
    args = ("log", "check", "--log", copy, "--key", folder / "log" / "verifier-key")
    assert said(capsys, *args, code=1)[-1].endswith(("finding", "findings"))


def test_an_altered_entry_is_named_where_only_its_bundle_is_altered(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    copy = shutil.copytree(folder / "mirror", tmp_path / "copy")
    for number, (name, index) in enumerate((("tile/entries/000", 255), ("tile/0/000", 255)), 1):
        data = (folder / "mirror" / name).read_bytes()
        (copy / name).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        lines = said(capsys, "log", "check", "--log", copy, "--key", folder / "log" / "verifier-key", code=1)
        assert f"changed       entry {index}: it is not what the tree has in its place" in lines, number
        assert not any("level 1" in line for line in lines)
        (copy / name).write_bytes(data)


def test_without_a_checkpoint_nobody_vouches_for_an_export(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    lines = said(capsys, "log", "export", "--instance", folder, code=0)
    export = tmp_path / "export"
    export.write_text("\n".join(lines[:-1]) + "\n")
    key = ("--key", folder / "log" / "verifier-key")
    for args in ((), key):
        assert said(capsys, "log", "check", "--export", export, *args, code=0)[1].startswith("compared with no checkpoint: what was cut off")
    assert said(capsys, "log", "check", "--export", export, *key, "--checkpoint", folder / "now", code=1)[0].startswith("missing")
    words = "unreadable    line 8 is no entry of an export; what follows was not looked at"
    for odd in ("{}", lines[7].replace('"index": 7', '"index": "7"'), lines[7].replace('"index": 7', '"index": 6, "index": 7')):
        assert odd != lines[7]
        export.write_text("\n".join([*lines[:7], odd, *lines[7:]]) + "\n")
        assert said(capsys, "log", "check", "--export", export, code=1)[0] == words


def test_a_log_may_throw_partial_tiles_away_once_they_are_full(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """C2SP tlog-tiles, partial tiles: then the full ones are read, by checks, monitors and mirrors of an older checkpoint."""
    copy, key = shutil.copytree(folder / "mirror", tmp_path / "copy"), ("--key", folder / "log" / "verifier-key")
    database = sqlite3.connect(folder / "kakuin.db")
    size, older = database.execute("SELECT size, note FROM log_checkpoint WHERE size > 100 ORDER BY size").fetchone()
    database.close()
    (copy / "checkpoint").write_bytes(older)
    assert said(capsys, "log", "check", "--log", copy, *key, code=0)[0].startswith(f"{size} entries, ")
    assert said(capsys, "monitor", copy, *key, "--state", tmp_path / "state", code=0) == [f"{size} entries, {size} new, 0 findings"]
    assert said(capsys, "log", "mirror", tmp_path / "second", "--log", copy, *key, code=0) == [
        f"{size} entries in {tmp_path / 'second'}, 3 files written"
    ]
    assert said(capsys, "log", "check", "--log", tmp_path / "second", *key, code=0)[-1] == "nothing is wrong"


def test_a_mirror_never_takes_back_what_it_has(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    copy, key = shutil.copytree(folder / "mirror", tmp_path / "copy"), ("--key", folder / "log" / "verifier-key")
    database = sqlite3.connect(folder / "kakuin.db")
    size, older = database.execute("SELECT size, note FROM log_checkpoint WHERE size > 100 ORDER BY size").fetchone()
    database.close()
    (copy / "checkpoint").write_bytes(older)
    second = shutil.copytree(folder / "mirror", tmp_path / "second")
    before = (second / "checkpoint").read_bytes()
    [line] = said(capsys, "log", "mirror", second, "--log", copy, *key, code=65)
    assert f"the log shows {size} entries, and showed " in line and (second / "checkpoint").read_bytes() == before
    assert "files written" in said(capsys, "log", "mirror", copy, "--log", folder / "mirror", *key, code=0)[0]


def test_a_monitor_keeps_the_checkpoint_that_does_not_continue_the_one_before(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    copy, state = shutil.copytree(folder / "mirror", tmp_path / "copy"), tmp_path / "state"
    args = ("monitor", copy, "--key", folder / "log" / "verifier-key", "--state", state)
    said(capsys, *args, code=0)
    before = state.read_bytes()
    with Instance.open(folder) as instance:
        signing = keys.unlocked(folder / "log", instance.secret)
    size = note.opened((copy / "checkpoint").read_bytes(), signing.verifier)[0].size
    for forged in (note.Checkpoint(signing.verifier.name, size, bytes(32)), note.Checkpoint(signing.verifier.name, 5, bytes(32))):
        shown = bytes(note.Note(forged.text, (note.signature(signing.verifier, signing.sign, forged.text),)))
        (copy / "checkpoint").write_bytes(shown)
        for _ in range(2):
            said(capsys, *args, code=1)
        assert [each for each in tmp_path.glob("state.*.checkpoint") if each.read_bytes() == shown]
    assert len(list(tmp_path.glob("state*"))) == 3 and state.read_bytes() == before


@pytest.mark.parametrize("statement", ["UPDATE journal_entry SET body = x'30' WHERE number = 3", "UPDATE journal_entry SET at = -5 WHERE number = 3"])
def test_who_asks_is_not_blamed_for_a_damaged_database(statement: str, folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    database = sqlite3.connect(copy / "kakuin.db")
    database.executescript(f"DROP TRIGGER journal_entry_no_update; {statement};")
    database.close()
    with cli.House(copy) as house:
        routes, _ = routes_of(house.instance)
        client = asgi.client(application("log", (routes,)))
        for path, status in (("/log/tile/entries/000", 500), ("/v1/log/receipts/3", 500), ("/v1/log/receipts/4", 200), ("/log/tile/0/000", 200)):
            assert client.get(path).status_code == status
