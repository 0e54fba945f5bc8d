"""`kakuin log`, `monitor` and `witness` for the Merkle tree, from the command line and offline."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

import cli
from tests.unit.test_log_note import OTHER, WITNESS
from tests.unit.test_log_publish import AT
from trust.edge import keystore
from trust.edge.founding import make_instance
from trust.edge.instance import Instance
from trust.log import keys, note, witness
from trust.log.page import entry_data
from trust.log.tree import leaf_hash
from trust.model import Digest

TOKENS = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A demonstration with tokens, and a checkpoint from before the last two: `before`."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(keystore, "_SCRYPT_COST", 256)
        made = tmp_path_factory.mktemp("log") / "instance"
        make_instance(made).close()
        with cli.House(made) as house:
            stamp = house.authority.stamper()
            for n in range(TOKENS):
                (made / f"{n}.tst").write_bytes(stamp(Digest("sha256", bytes([n]) * 32)))
                if n == TOKENS - 3:
                    published = house.instance.publisher().publish(due=False)
                    assert published is not None
                    (made / "before").write_bytes(published.note)
        assert cli.main(["log", "checkpoint", "--instance", str(made), "-o", str(made / "now")]) == 0
        yield made


def said(capsys: pytest.CaptureFixture[str], *args: str | Path, code: int = 0) -> list[str]:
    capsys.readouterr()
    assert cli.main([str(a) for a in args]) == code
    captured = capsys.readouterr()
    return (captured.out or captured.err).splitlines()


def key(folder: Path) -> Path:
    return folder / "log" / "verifier-key"


def test_the_key_is_in_the_instance_and_named_after_the_service(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [line] = said(capsys, "log", "key", "--instance", folder)
    assert note.verifier_key(line).name == "127.0.0.1:8318/log" and key(folder).read_text() == f"{line}\n"
    [line] = said(capsys, "log", "init", "--instance", folder, code=73)
    assert "there is a key" in line
    checkpoint, _ = note.opened((folder / "now").read_bytes(), note.verifier_key(key(folder).read_text()))
    with Instance.open(folder) as instance:
        assert checkpoint.size == instance.journal.size()


def test_receipts_and_consistency_are_proven_and_verified(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    proof = tmp_path / "p"
    for n in range(TOKENS):
        assert said(capsys, "log", "prove", "inclusion", folder / f"{n}.tst", "--instance", folder, "-o", proof) == []
        [line] = said(capsys, "log", "verify", proof, folder / f"{n}.tst", "--key", key(folder))
        assert line.startswith("SHOWN: it is entry ") and "(token)" in line
        [line] = said(capsys, "log", "verify", proof, folder / f"{(n + 1) % TOKENS}.tst", "--key", key(folder), code=1)
        assert line.startswith("NOT SHOWN: the proof does not lead")
    said(capsys, "log", "prove", "inclusion", "0", "--instance", folder, "-o", proof)
    assert "(certificate)" in said(capsys, "log", "verify", proof, folder / "certificates" / "root.pem", "--key", key(folder))[0]
    said(capsys, "log", "prove", "consistency", folder / "before", "--instance", folder, "-o", proof)
    assert "begin with the" in said(capsys, "log", "verify", proof, folder / "before", "--key", key(folder))[0]
    assert said(capsys, "log", "verify", proof, folder / "now", "--key", key(folder), code=1)[0].startswith("NOT SHOWN")
    for time, says in ((1_763_700_000, "2025-11-21T04:40:00Z"), (1 << 62, f"{1 << 62} seconds since 1970")):
        old, new = proof.read_bytes().split(b"\n\n", 1)[0], note.parse_note((folder / "now").read_bytes())
        cosigned = new.with_signatures([note.signature(WITNESS, OTHER.sign, new.text, time)])
        (tmp_path / "cosigned").write_bytes(old + b"\n\n" + bytes(cosigned))
        args = ("log", "verify", tmp_path / "cosigned", folder / "before", "--key", key(folder), "--witness", str(WITNESS), "--quorum", "1")
        assert said(capsys, *args)[1] == f"  cosigned by {WITNESS.name} at {says}"
    assert said(capsys, "log", "verify", proof, folder / "before", "--key", key(folder), "--quorum", "1", code=1)[0].startswith("NOT SHOWN")


def test_a_whole_log_is_checked_wherever_it_lies(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    mirror, export = tmp_path / "mirror", tmp_path / "export.jsonl"
    said(capsys, "log", "mirror", mirror, "--instance", folder)
    said(capsys, "log", "export", "--instance", folder, "-o", export)
    kept = ("--checkpoint", folder / "before", "--checkpoint", folder / "now")
    lines = [
        said(capsys, "log", "check", "--instance", folder, *kept),
        said(capsys, "log", "check", "--log", mirror, "--key", key(folder), *kept),
        said(capsys, "log", "check", "--export", export, "--key", key(folder), *kept),
    ]
    assert lines[0] == lines[1] == lines[2] and lines[0][-1] == "nothing is wrong"
    assert said(capsys, "log", "check", "--log", mirror, code=2)
    state = tmp_path / "state"
    assert "0 findings" in said(capsys, "monitor", mirror, "--key", key(folder), "--state", state)[0]
    found = said(capsys, "monitor", mirror, "--key", key(folder), "--state", tmp_path / "other", "--watch", "Root CA", "--json", code=1)
    assert [(row["what"], row["index"]) for row in map(json.loads, found)] == [("unexpected", 0)]
    digest = json.loads(found[0])["detail"].rsplit(" ", 1)[1]
    args = ("monitor", mirror, "--key", key(folder), "--state", tmp_path / "third", "--watch", "Root CA", "--expect", digest)
    assert "0 findings" in said(capsys, *args)[0]
    # The beginning of a digest would expect nothing, and nobody would see that.
    assert "64 hexadecimal digits, got 16 characters" in said(capsys, *args[:-1], digest[:16], code=2)[-1]


@pytest.mark.parametrize("kind", ["altered", "dropped", "reordered"])
def test_one_entry_that_is_not_what_it_was_is_found(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, kind: str) -> None:
    """In the database, in an export and in a mirror: with nothing but the key and a checkpoint."""
    lines = [json.loads(line) for line in said(capsys, "log", "export", "--instance", folder)]
    if kind == "altered":  # with a leaf hash that is right again
        row = lines[2]
        body = b"0" * 40
        at = note.unbase64("AAAAAAAAAAA=", "time", 8)
        row.update(body="MDAw", leaf=leaf_hash(entry_data(row["kind"], int.from_bytes(at, "big"), body)).hex())
    elif kind == "dropped":
        del lines[2]
        for n, row in enumerate(lines):
            row["index"] = n
    else:
        lines[2], lines[3] = {**lines[3], "index": 2}, {**lines[2], "index": 3}
    export = tmp_path / "export.jsonl"
    export.write_text("".join(json.dumps(row) + "\n" for row in lines))
    args = ("log", "check", "--export", export, "--key", key(folder), "--checkpoint", folder / "now", "--json")
    found = [json.loads(line)["what"] for line in said(capsys, *args, code=1)]
    assert ("missing" if kind == "dropped" else "root") in found
    copy = shutil.copytree(folder, tmp_path / "copy")
    with sqlite3.connect(copy / "kakuin.db") as database:
        for verb in ("update", "delete"):
            database.execute(f"DROP TRIGGER journal_entry_no_{verb}")
        statements = {
            "altered": ["UPDATE journal_entry SET body = x'30' WHERE number = 2"],
            "dropped": ["DELETE FROM journal_entry WHERE number = 2"],
            "reordered": [f"UPDATE journal_entry SET number = {new} WHERE number = {old}" for old, new in ((2, -1), (3, 2), (-1, 3))],
        }[kind]
        for statement in statements:
            database.execute(statement)
    database.close()
    assert said(capsys, "log", "check", "--instance", copy, code=1)[-1].endswith(("finding", "findings"))


def test_diverging_checkpoints_are_found(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with Instance.open(folder) as instance:
        signing = keys.unlocked(folder / "log", instance.secret)
    text = note.parse_note((folder / "before").read_bytes()).text.splitlines()
    forged = "\n".join((*text[:2], "A" * 43 + "=")) + "\n"
    (tmp_path / "forged").write_bytes(bytes(note.Note(forged, (note.signature(signing.verifier, signing.sign, forged),))))
    found = said(capsys, "log", "check", "--instance", folder, "--checkpoint", tmp_path / "forged", "--checkpoint", folder / "before", code=1)
    assert found[0].startswith("root") and "forged" in found[0] and found[-1] == "1 finding"


def test_an_instance_whose_log_has_no_key_gets_one(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    shutil.rmtree(copy / "log")
    [line] = said(capsys, "log", "checkpoint", "--instance", copy, code=66)
    assert "`kakuin log init` makes it" in line
    [line] = said(capsys, "log", "init", "--instance", copy)
    assert key(copy).read_text() == f"{line}\n"


@pytest.mark.parametrize("origin", ["new.example/log", ""])
def test_a_log_that_goes_on_under_another_key(
    origin: str, folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an older backup was put back: what the old key signed is verified with it, and everything new is signed by the new one at once."""
    copy, proof = shutil.copytree(folder, tmp_path / "copy"), tmp_path / "before"
    said(capsys, "log", "prove", "inclusion", copy / "0.tst", "--instance", copy, "-o", proof)
    (copy / "log").rename(tmp_path / "log")
    old = tmp_path / "log" / "verifier-key"
    monkeypatch.setenv("KAKUIN_LOG_ORIGIN", origin)
    [made] = said(capsys, "log", "init", "--instance", copy)
    now = "\n".join(said(capsys, "log", "checkpoint", "--instance", copy)) + "\n"
    checkpoint, _ = note.opened(now.encode(), note.verifier_key(made))
    [*_, last] = said(capsys, "log", "list", "--instance", copy)
    assert last.split(maxsplit=3)[2:] == ["event", f"log-key key {made}"] and int(last.split()[0]) == checkpoint.size - 1
    for number, known, other in ((0, old, key(copy)), (1, key(copy), old)):
        assert said(capsys, "log", "verify", proof, copy / f"{number}.tst", "--key", known)[0].startswith("SHOWN")
        assert said(capsys, "log", "verify", proof, copy / f"{number}.tst", "--key", other, code=1)[0].startswith("NOT SHOWN")
        said(capsys, "log", "prove", "inclusion", copy / "1.tst", "--instance", copy, "-o", proof)
    found = said(capsys, "log", "check", "--instance", copy, code=1)
    assert {line.split(": ", 1)[1] for line in found[:-3]} == {
        f"it is not signed by {note.verifier_key(made).name}; a key that the log had before is named with --former"
    }
    assert said(capsys, "log", "check", "--instance", copy, "--former", old)[-1] == "nothing is wrong"


def test_a_log_keeps_its_name(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAKUIN_LOG_ORIGIN", "other.example/log")
    [line] = said(capsys, "log", "key", "--instance", folder, code=78)
    assert "a log keeps its name" in line


def test_a_witness_is_made_and_told_what_to_witness(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    secret = tmp_path / "passphrase"
    secret.write_text("a passphrase of a witness\n")
    where = ("--folder", tmp_path / "w")
    assert "passphrase" in said(capsys, "witness", "init", "w.example/1", *where, code=78)[0]
    [line] = said(capsys, "witness", "init", "w.example/1", *where, "--passphrase-file", secret)
    assert note.verifier_key(line).kind is note.Kind.WITNESS
    said(capsys, "witness", "add", key(folder), *where)
    assert said(capsys, "witness", "list", *where) == ["           0  127.0.0.1:8318/log"]
    assert said(capsys, "witness", "add", line, *where, code=65)


def test_what_a_witness_refused_is_told_and_written(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Two checkpoints of one size prove a lie; a wrong proof under an honest one proves nothing against the log."""
    secret, where = tmp_path / "passphrase", ("--folder", tmp_path / "w")
    secret.write_text("a passphrase of a witness\n")
    said(capsys, "witness", "init", "w.example/1", *where, "--passphrase-file", secret)
    said(capsys, "witness", "add", key(folder), *where)
    logs = witness.Logs(tmp_path / "w")
    serving = witness.Witness(logs, keys.unlocked(tmp_path / "w", b"a passphrase of a witness"), lambda: AT)
    before, now = (note.parse_note((folder / name).read_bytes()) for name in ("before", "now"))
    size = note.parse_checkpoint(before.text).size
    assert serving.add_checkpoint(bytes(witness.Asked(0, (), before))).status == 200
    assert serving.add_checkpoint(bytes(witness.Asked(size, (bytes(32),), now))).status == 422
    origin = note.parse_checkpoint(before.text).origin
    assert said(capsys, "witness", "list", *where, code=1) == [f"{size:>12}  {origin}  refused, without proof that it continues: 1 checkpoints"]
    with Instance.open(folder) as instance:
        signing = keys.unlocked(folder / "log", instance.secret)
    text = note.Checkpoint(origin, size, bytes(32)).text
    lie = note.Note(text, (note.signature(signing.verifier, signing.sign, text),))
    assert serving.add_checkpoint(bytes(witness.Asked(size, (), lie))).status == 422
    assert "CONTRADICTED ITSELF in 1 checkpoints" in said(capsys, "witness", "list", *where, code=1)[0]
    row = json.loads(said(capsys, "witness", "list", *where, "--json", code=1)[0])
    assert (row["contradictions"], row["unproven"]) == (1, 1)
    assert said(capsys, "witness", "evidence", origin, tmp_path / "e", *where) == [f"3 files in {tmp_path / 'e'}"]
    both = [(tmp_path / "e" / name).read_bytes() for name in ("contradiction-1.request", "contradiction-1.cosigned")]
    roots = {note.opened(data.partition(b"\n\n")[2] if data.startswith(b"old") else data, signing.verifier)[0].root for data in both}
    assert len(roots) == 2 and (tmp_path / "e" / "unproven-1.request").exists()
    assert "is not witnessed here" in said(capsys, "witness", "evidence", "x", tmp_path / "e", *where, code=66)[0]
    logs.engine.dispose()
