"""Many files: by several processes, in order, as a table, and gone on with after an early end."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import cli
from tests import pki
from tests.schema import faults
from tests.verdicts import office
from trust.errors import Conflict
from trust.model import Document
from verifier import bulk, service, table
from verifier.hand import File, Setup, working
from verifier.many import Rate
from verifier.question import Question
from verifier.resume import Run, State

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "verifier/report/report.schema.json").read_text("utf-8"))
AT = ("--at", "2025-03-03T00:00:00Z")


@pytest.fixture(autouse=True)
def _plain_world(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KAKUIN_INSTANCE", "LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "en_US.UTF-8")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve files: tokens over each other, text that nobody signed, and one that is no file of any kind."""
    files = tmp_path / "files"
    (files / "deep").mkdir(parents=True)
    for n in range(8):
        (files / f"{n}.tst").write_bytes(pki.token(office().tsu, pki.Digest.of("sha256", b"%d" % n)))
    for n in range(3):
        (files / "deep" / f"text {n}.txt").write_text(f"nobody signed this {n}")
    (files / "empty").touch()
    (tmp_path / "root.cer").write_bytes(office().root.certificate.der)
    monkeypatch.chdir(tmp_path)
    return files


def run(capsys: pytest.CaptureFixture[str], *args: str | Path) -> tuple[int, str, str]:
    code = cli.main(["verify", *map(str, args)])
    out, err = capsys.readouterr()
    return code, out, err


def reports(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_it_makes_no_difference_who_did_the_work(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    wanted = ("files", "--json", "--trust", "root.cer", *AT)
    alone, by_one, by_three = (run(capsys, *wanted, "--jobs", n) for n in ("0", "1", "3"))
    assert alone == by_one == by_three
    code, out, err = alone
    names = [r["file"]["name"] for r in reports(out) if "file" in r]
    assert names == [f"files/{n}.tst" for n in range(8)] + [f"files/deep/text {n}.txt" for n in range(3)]
    assert len(reports(out)) == 12
    assert all(not list(faults(r, SCHEMA)) for r in reports(out))
    assert len({r["bundle"] for r in reports(out) if "bundle" in r}) == 1
    assert code == bulk.ERROR_EXIT
    assert "12 files" in err


def test_processes_are_the_default(capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def judge(_: Question) -> None:
        raise AssertionError("judged in this process")

    monkeypatch.setattr(service, "judge", judge)
    _, out, _ = run(capsys, "files", "--json", "--trust", "root.cer")
    assert not any("internal" in line for line in out.splitlines())


def test_file_names_that_are_no_text_reach_the_workers(capsysbinary: pytest.CaptureFixture[bytes], tmp_path: Path) -> None:
    odd = os.fsdecode(bytes(tmp_path) + b"/\xff\x1b[31m.txt")
    Path(odd).write_text("nobody signed this")
    assert cli.main(["verify", odd, odd, "--json", "--jobs", "1"]) == 4
    out, _ = capsysbinary.readouterr()
    assert b"\x1b" not in out and b"\xff" not in out and out.count(b"dcff") == 2


def test_standard_input_and_pipes_among_many(capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stdin:
        buffer = io.BytesIO((folder / "0.tst").read_bytes())

    os.mkfifo(folder / "pipe")
    writer = subprocess.Popen([sys.executable, "-c", "import sys; open(sys.argv[1], 'wb').write(b'text')", str(folder / "pipe")])
    monkeypatch.setattr(sys, "stdin", Stdin())
    _, out, _ = run(capsys, "-", "files/pipe", "files/1.tst", "--json", "--jobs", "1", "--trust", "root.cer", *AT)
    assert writer.wait(10) == 0
    assert [(r["file"]["name"], r["format"]) for r in reports(out)] == [("standard input", "TST"), ("files/pipe", "unsigned"), ("files/1.tst", "TST")]


def test_detached_content_is_shared(capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path) -> None:
    (tmp_path / "3.dat").write_bytes(b"3")
    _, out, _ = run(capsys, "files/2.tst", "files/3.tst", "--detached", "3.dat", "--json", "--jobs", "1", "--trust", "root.cer", *AT)
    assert [r["timestamps"][0]["intact"] for r in reports(out)] == [False, True]


def test_a_batch_by_several_processes_is_the_same_batch(capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path) -> None:
    jobs = [{"id": n, "world": "w", "file": f"files/{n}.tst", "time": "2025-03-03", "trust": ["root.cer"]} for n in range(8)]
    (tmp_path / "jobs").write_text("".join(json.dumps(j) + "\n" for j in [*jobs, {"id": "x", "file": "missing"}]) + "no json\n\n")

    def answers(*options: str) -> list[dict[str, Any]]:
        code, out, _ = run(capsys, "--batch", "jobs", *options)
        assert code == 0
        made = reports(out)
        assert all(isinstance(m.pop("ms"), float) for m in made)
        return made

    assert answers() == answers("--jobs", "2")
    assert [m.get("id") for m in answers("--jobs", "2")] == [*range(8), "x", None]


def test_a_batch_answers_before_the_next_job_is_written(folder: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.entry", "verify", "--batch", "-", "--jobs", "2"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    for n in range(3):
        process.stdin.write(json.dumps({"id": n, "file": f"files/{n}.tst"}) + "\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["id"] == n
    process.stdin.close()
    assert process.wait(10) == 0
    process.stdout.close()


def test_a_file_that_takes_too_long_costs_its_own_answer(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with (folder / "2 heavy").open("wb") as heavy:
        heavy.truncate(1 << 30)  # a gigabyte to look through, and no place on the disk
    _, out, _ = run(capsys, "files", "--json", "--jobs", "1", "--time-limit", "0.1", "--trust", "root.cer", *AT)
    made = reports(out)
    assert len(made) == 13
    errors = [r["error"] for r in made if "error" in r]
    assert {"type": "too-large", "text": "work on this file took over 0.1 seconds of processor time"} in errors
    assert len(errors) == 2, "the other files were judged"


def test_the_table(capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path) -> None:
    (folder / "=cmd()|x.txt").write_text("nobody signed this")
    code, out, _ = run(capsys, "files", "--csv", "table.csv", "--jobs", "1", "--trust", "root.cer", *AT)
    raw = (tmp_path / "table.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf") and raw.count(b"\r\n") == 14
    rows = list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"), newline="")))
    assert list(rows[0]) == list(table.COLUMNS)
    by_name = {r["file"]: r for r in rows}
    assert by_name["files/0.tst"]["conclusion"] == "indeterminate"
    assert by_name["files/0.tst"]["timestamps"] == "2025-03-01T09:00:00Z"
    assert by_name["files/empty"]["error"] == "files/empty is empty"
    assert by_name["files/deep/text 0.txt"]["signatures"] == "0"
    assert "13 files" in out and code == 65
    single = run(capsys, "files/=cmd()|x.txt", "--csv", "one.csv", "--jobs", "1")
    assert single[0] == 4 and (tmp_path / "one.csv").exists(), "one file can have a table too"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "=HYPERLINK(1)"])
def test_no_name_becomes_a_formula(text: str) -> None:
    row = next(csv.reader([table.row({"conclusion": "passed"}, text)]))
    assert not row[0].startswith(("=", "+", "-", "@", "\t"))
    assert len(next(csv.reader([table.row({"conclusion": "passed"}, "x" * 50_000)]))[0]) <= 32_767


def test_a_run_is_gone_on_with(capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path) -> None:
    wanted = ("files", "--json", "--trust", "root.cer", "--jobs", "1", "--resume", "state")
    whole = run(capsys, *wanted)
    lines = (tmp_path / "state").read_bytes().splitlines(keepends=True)
    assert len(lines) == 1 + 11 + 1, "the run, eleven answers (the file that could not be judged is tried again), the end"
    torn = b"".join(lines[:6]) + lines[6][:100]
    (tmp_path / "state").write_bytes(torn)
    code, out, err = run(capsys, *wanted)
    assert (code, out) == whole[:2], "with the same time, so with the same bytes"
    assert err.startswith("going on with the run of ") and ": 5 files were answered" in err
    assert (tmp_path / "state").read_bytes().splitlines()[-1] == lines[-1].rstrip()


def test_what_was_answered_is_not_verified_again(capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path) -> None:
    wanted = ("files", "--json", "--trust", "root.cer", "--jobs", "0", "--resume", "state", *AT)
    run(capsys, *wanted)
    (folder / "3.tst").write_bytes(pki.token(office().tsu, pki.Digest.of("sha256", b"changed")))
    (folder / "new.txt").write_text("nobody signed this either")
    judged: list[str | None] = []
    before = service.judge
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service, "judge", lambda q: (judged.append(q.document.name), before(q))[1])
        _, out, _ = run(capsys, *wanted)
    assert judged == ["files/3.tst", "files/new.txt"]
    assert len(reports(out)) == 13
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service, "judge", lambda q: (judged.append(q.document.name), before(q))[1])
        judged.clear()
        run(capsys, *wanted, "--policy", "eu")
        assert len(judged) == 12, "another policy, another run"


def test_a_run_that_came_to_its_end_is_not_gone_on_with_at_another_time(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    wanted = ("files", "--json", "--jobs", "0", "--resume", "state")
    first = run(capsys, *wanted)
    second = run(capsys, *wanted)
    assert "going on" not in first[2] + second[2]
    assert reports(first[1])[0]["validation_time"] != reports(second[1])[0]["validation_time"]


def test_a_file_that_is_no_state_is_left_as_it_is(capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path) -> None:
    for content in (b"my notes", b"my notes\n", b'{"a": 1}\n', b"\x00" * 100, b"[]\n"):
        (tmp_path / "notes").write_bytes(content)
        code, out, err = run(capsys, "files", "--jobs", "0", "--resume", "notes")
        assert code == 73 and "is not the state of a run" in err and err.count("\n") == 1 and not out
        assert (tmp_path / "notes").read_bytes() == content
    with State(tmp_path / "state"), pytest.raises(Conflict, match="another run writes"):
        State(tmp_path / "state")


def test_runs_differ_by_their_detached_content_and_by_fetching() -> None:
    at = pki.CHECKED
    one, other = Document.of(b"1", "a"), Document.of(b"2", "a")
    ids = {Run.of("b", at, (d,), online=o).id for d in (one, other) for o in (True, False)} | {Run.of("c", at, (one,), online=True).id}
    assert len(ids) == 5


def test_ctrl_c_leaves_whole_lines_and_a_state_to_go_on_from(folder: Path, tmp_path: Path) -> None:
    made = 300  # some megabytes of answers: many times what a pipe holds, so that the run waits for its reader when it is interrupted
    for n in range(1000, 1000 + made):
        (folder / f"{n}.tst").write_bytes(pki.token(office().tsu, pki.Digest.of("sha256", b"x"), serial=n))
    command = [sys.executable, "-m", "tests.entry", "verify", "files", "--json", "--jobs", "1", "--resume", "state", "--trust", "root.cer"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (tmp_path / "err").open("wb+") as told:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=told, env=environment) as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            process.send_signal(signal.SIGINT)
            written = first + process.stdout.read()
        told.seek(0)
        err = told.read()
    assert process.returncode == 130, err
    assert b"Traceback" not in err and b"the same command goes on from here" in err
    assert written.endswith(b"\n")
    some = [json.loads(line) for line in written.splitlines()]
    assert 0 < len(some) < made + 12
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert done.returncode == 65
    assert b"going on with the run" in done.stderr
    every = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(every) == made + 12
    assert every[: len(some)] == some


def test_chains_and_status_are_worked_out_once_for_all_files(folder: Path) -> None:
    """A hand keeps what it has learnt: certificates that many files carry are read once."""
    from verifier.chains.certificate import facts

    facts.cache_clear()
    o = office()
    work = working(Setup(Question(Document.of(b""), pki.CHECKED, service.load("strict"), (o.root.certificate,), crls=o.crls())))
    for n in range(8):
        work(File(folder / f"{n}.tst", f"{n}"))
    assert facts.cache_info().misses <= 6


def test_progress_tells_rate_and_remaining_time() -> None:
    seconds = iter([0.0, 10.0, 20.0, 30.0, 0.0, 0.0, 4000.0])
    rate = Rate(1000, lambda: next(seconds))
    assert rate.told(100, kept=False) == "100 of 1,000 files, 10.0 a second, about 90 s left"
    assert rate.told(101, kept=True) == "101 of 1,000 files, 5.0 a second, about 3 min left"
    assert rate.told(1000, kept=False) == "1,000 of 1,000 files, 33.3 a second, about 0 s left"
    unknown = Rate(None, lambda: next(seconds))
    assert unknown.told(5, kept=False) == "5 files"
    assert unknown.told(5, kept=False) == "5 files, 0.0 a second"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--batch", "jobs", "--csv", "x"), "--batch"),
        (("--batch", "jobs", "--resume", "x"), "--batch"),
        (("--batch", "jobs", "--bundle", "x"), "--batch"),
        (("files", "--bundle", "x", "--trust", "root.cer"), "leave all of that out"),
        (("files", "--bundle", "x", "--online"), "leave all of that out"),
        (("files", "--bundle", "x", "--save-bundle", "y"), "leave all of that out"),
        (("files", "--allow-private-networks"), "--online"),
        (("files", "--jobs", "-1"), "--jobs"),
        (("files", "--time-limit", "0"), "--time-limit"),
    ],
)
def test_what_does_not_go_together_is_told(capsys: pytest.CaptureFixture[str], folder: Path, options: tuple[str, ...], why: str) -> None:
    code, _, err = run(capsys, *options)
    assert code == 2 and why in err
