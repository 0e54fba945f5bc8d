"""`kakuin verify` and `kakuin inspect`: exit codes, one clear line for each thing that is wrong, and nothing but the report on standard output."""

import base64
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import cli
from tests import pki
from tests.schema import faults
from tests.verdicts import everything, office
from trust.edge.progress import ERASE, Progress
from verifier import service
from verifier.service import Question
from verifier.terminal import style
from verifier.verdict import EXIT_CODE, Conclusion, Verdict

ROOT = Path(__file__).resolve().parents[2]
IN_THIS_PROCESS = ("--jobs", "0")
"""Where hand-made verdicts are. What worker processes do with many files: test_many.py."""
SCHEMA = json.loads((ROOT / "verifier/report/report.schema.json").read_text("utf-8"))


@pytest.fixture(autouse=True)
def _plain_world(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KAKUIN_INSTANCE", "LC_ALL", "LC_MESSAGES", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "en_US.UTF-8")


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[Question]:
    """Hand-made verdicts: the name of the file says which."""
    asked: list[Question] = []

    def judge(question: Question) -> Verdict:
        asked.append(question)
        return everything()[Path(question.document.name or "passed").stem]

    monkeypatch.setattr(service, "judge", judge)
    return asked


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name in everything():
        (tmp_path / f"{name}.pdf").write_bytes(b"%PDF")
    return tmp_path


@pytest.fixture
def folder(files: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files' folder, and in it."""
    monkeypatch.chdir(files)
    return files


def pem(der: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"


def run(capsys: pytest.CaptureFixture[str], *args: str | Path) -> tuple[int, str, str]:
    code = cli.main([str(a) for a in args])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize("name", everything())
def test_the_exit_code_is_the_verdict(capsys: pytest.CaptureFixture[str], judged: list[Question], files: Path, name: str) -> None:
    conclusion = everything()[name].conclusion
    for options in ((), ("--json",)):
        code, out, err = run(capsys, "verify", files / f"{name}.pdf", *options)
        assert code == EXIT_CODE[conclusion]
        assert out and not err
    assert {Conclusion.PASSED: 0, Conclusion.FAILED: 1, Conclusion.INDETERMINATE: 3, Conclusion.NOTHING_SIGNED: 4} == EXIT_CODE


def test_text_and_json(capsys: pytest.CaptureFixture[str], judged: list[Question], files: Path) -> None:
    _, text, _ = run(capsys, "verify", files / "passed.pdf")
    assert text.startswith("VALID  passed.pdf\n")
    assert "\x1b" not in text, "colours where there is no terminal"
    _, made, _ = run(capsys, "verify", files / "passed.pdf", "--json")
    assert list(faults(json.loads(made), SCHEMA)) == []


def test_japanese_by_locale(capsys: pytest.CaptureFixture[str], judged: list[Question], files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "ja_JP.UTF-8")
    assert run(capsys, "verify", files / "passed.pdf")[1].startswith("有効")
    _, made, _ = run(capsys, "verify", files / "passed.pdf", "--json")
    assert "有効" not in made, "the JSON report does not depend on who reads it"
    monkeypatch.setenv("LC_ALL", "C")
    assert run(capsys, "verify", files / "passed.pdf")[1].startswith("VALID")


def test_the_options_reach_the_question(capsys: pytest.CaptureFixture[str], judged: list[Question], files: Path) -> None:
    o = office()
    (files / "root.pem").write_bytes(pem(o.root.certificate.der))
    (files / "ca.cer").write_bytes(o.ca.certificate.der)
    (files / "list.crl").write_bytes(o.crls()[0].der)
    (files / "answer.ocsp").write_bytes(pki.ocsp_response(o.signer, o.ca))
    (files / "data.csv").write_bytes(b"a,b")
    args = ["--trust", files / "root.pem", "--trust", files / "ca.cer", "--at", "2025-06-01", "--policy", "eu", "--detached", files / "data.csv"]
    run(
        capsys, "verify", files / "passed.pdf", *args, "--crl", files / "list.crl", "--ocsp", files / "answer.ocsp", "--certificate", files / "ca.cer"
    )
    [question] = judged
    assert question.anchors == (o.root.certificate, o.ca.certificate)
    assert question.at.isoformat() == "2025-06-01T00:00:00+00:00"
    assert question.policy.name == "eu"
    assert [d.name for d in question.detached] == ["data.csv"]
    assert (len(question.crls), len(question.ocsps), question.certificates) == (1, 1, (o.ca.certificate,))


def test_without_trust_the_instances_anchors_count(
    capsys: pytest.CaptureFixture[str], judged: list[Question], files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = tmp_path / "instance"
    (instance / "anchors").mkdir(parents=True)
    (instance / "anchors" / "root.pem").write_bytes(pem(office().root.certificate.der))
    (files / "ca.cer").write_bytes(office().ca.certificate.der)
    run(capsys, "verify", files / "passed.pdf", "--instance", instance)
    monkeypatch.setenv("KAKUIN_INSTANCE", str(instance))
    run(capsys, "verify", files / "passed.pdf")
    run(capsys, "verify", files / "passed.pdf", "--trust", files / "ca.cer")
    assert [q.anchors for q in judged] == [(office().root.certificate,), (office().root.certificate,), (office().ca.certificate,)]
    code, _, err = run(capsys, "verify", files / "passed.pdf", "--instance", tmp_path / "nowhere")
    assert (code, err.count("\n")) == (66, 1)
    assert "is no instance" in err


def test_without_any_trust_the_report_says_so(capsys: pytest.CaptureFixture[str], judged: list[Question], files: Path) -> None:
    _, out, _ = run(capsys, "verify", files / "indeterminate.pdf")
    assert judged[0].anchors == ()
    assert "Say whom you trust" in out
    assert "--trust FILE" in out


@pytest.mark.parametrize(
    ("args", "code", "why"),
    [
        ((), 2, "name a file to verify"),
        (("passed.pdf", "--batch", "-"), 2, "--batch names the files itself"),
        (("-", "-"), 2, "only once"),
        (("--batch", "-", "--at", "2026-01-01"), 2, "each job names its own"),
        (("passed.pdf", "--nonsense"), 2, "--nonsense"),
        (("missing.pdf",), 66, "no such file: missing.pdf"),
        (("empty.pdf",), 65, "empty.pdf is empty"),
        (("nothing",), 66, "folder nothing has no files"),
        (("passed.pdf", "--at", "tomorrow"), 65, "not a time: 'tomorrow'"),
        (("passed.pdf", "--at", "2026-06-01T00:00:00"), 65, "no zone"),
        (("passed.pdf", "--policy", "lenient"), 66, "no policy 'lenient': expected strict, eu, japan, archive or a TOML file"),
        (("passed.pdf", "--trust", "missing.pem"), 66, "no such file: missing.pem"),
        (("passed.pdf", "--trust", "nothing"), 66, "folder nothing has no certificates"),
        (("passed.pdf", "--trust", "passed.pdf"), 65, "passed.pdf: certificate is not valid"),
        (("passed.pdf", "--detached", "missing.csv"), 66, "no such file: missing.csv"),
        (("passed.pdf", "--detached", "nothing"), 66, "folder nothing has no files"),
        (("passed.pdf", "-o", "nothing"), 73, "is a folder"),
        (("--batch", "missing.jsonl"), 66, "cannot read missing.jsonl"),
        (("bad\x1b[2Jname.pdf",), 66, "no such file: 'bad\\x1b[2Jname.pdf'"),
    ],
)
def test_what_is_wrong_is_one_clear_line(
    capsys: pytest.CaptureFixture[str],
    judged: list[Question],
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
    args: tuple[str, ...],
    code: int,
    why: str,
) -> None:
    monkeypatch.chdir(files)
    (files / "empty.pdf").touch()
    (files / "nothing").mkdir()
    got, out, err = run(capsys, "verify", *args)
    assert (got, out) == (code, "")
    lines = [line for line in err.splitlines() if not line.startswith(("Usage:", "Try "))]
    assert len([line for line in lines if line]) == 1, err
    assert why in err
    assert "Traceback" not in err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_told(capsys: pytest.CaptureFixture[str], files: Path) -> None:
    (files / "passed.pdf").chmod(0)
    code, _, err = run(capsys, "verify", files / "passed.pdf")
    assert code == 66
    assert "permission denied" in err


def test_several_files_are_told_in_short_and_the_worst_decides(capsys: pytest.CaptureFixture[str], judged: list[Question], files: Path) -> None:
    (files / "empty.pdf").touch()
    code, out, err = run(capsys, "verify", files, *IN_THIS_PROCESS)
    assert code == 1
    lines = out.splitlines()
    assert any(line.startswith("NOT VALID       ") and line.endswith("failed.pdf") for line in lines)
    assert any(line.startswith("NOT JUDGED") and line.endswith("empty.pdf") for line in lines)
    assert lines[-1] == "9 files: VALID 3, NOT VALID 2, CANNOT TELL 2, NOTHING SIGNED 1, NOT JUDGED 1"
    assert not err
    assert len({q.at for q in judged}) == 1, "the files were judged at different times"
    code, out, err = run(capsys, "verify", files / "passed.pdf", files / "nothing_signed.pdf", "--json", *IN_THIS_PROCESS)
    assert code == 4
    reports = [json.loads(line) for line in out.splitlines()]
    assert [r["conclusion"] for r in reports] == ["passed", "nothing_signed"]
    assert [r["file"]["name"] for r in reports] == [str(files / "passed.pdf"), str(files / "nothing_signed.pdf")]
    assert "2 files" in err


def test_an_output_file_is_whole_or_untouched(capsys: pytest.CaptureFixture[str], judged: list[Question], files: Path) -> None:
    target = files / "report.json"
    assert run(capsys, "verify", files / "passed.pdf", "--json", "-o", target)[:2] == (0, "")
    assert json.loads(target.read_text())["conclusion"] == "passed"
    before = target.read_text()
    assert run(capsys, "verify", files / "missing.pdf", "--json", "-o", target)[0] == 66
    assert target.read_text() == before
    assert run(capsys, "verify", files / "passed.pdf", "-o", "-")[1].startswith("VALID")


def test_standard_input(capsys: pytest.CaptureFixture[str], judged: list[Question], monkeypatch: pytest.MonkeyPatch) -> None:
    class Stdin:
        buffer = io.BytesIO(b"%PDF-1.7")

    monkeypatch.setattr(service, "judge", lambda q: (judged.append(q), everything()["passed"])[1])
    monkeypatch.setattr(sys, "stdin", Stdin())
    code, out, _ = run(capsys, "verify", "-")
    assert (code, out.splitlines()[0]) == (0, "VALID  standard input")
    assert judged[0].document.read(99) == b"%PDF-1.7"


def test_a_pipe_is_read_like_standard_input(capsys: pytest.CaptureFixture[str], judged: list[Question], tmp_path: Path) -> None:
    pipe = tmp_path / "passed"
    os.mkfifo(pipe)
    writer = subprocess.Popen([sys.executable, "-c", "import sys; open(sys.argv[1], 'wb').write(b'%PDF')", str(pipe)])
    assert run(capsys, "verify", pipe)[0] == 0
    assert writer.wait(10) == 0
    assert judged[0].document.read(9) == b"%PDF"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", "euc-jp"])
def test_json_stays_json_in_every_encoding(judged: list[Question], files: Path, monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    name = "é角\U0001f58b"
    target = files / name / "passed.pdf"
    target.parent.mkdir()
    target.write_bytes(b"%PDF")
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding, write_through=True))
    assert cli.main(["verify", str(target), "--json", str(target), *IN_THIS_PROCESS]) == 0
    shown = [json.loads(line) for line in raw.getvalue().decode(encoding).splitlines()]
    assert [s["file"]["name"] for s in shown] == [str(target)] * 2
    raw.seek(0)
    raw.truncate()
    assert cli.main(["verify", str(target), str(target), *IN_THIS_PROCESS]) == 0, "text in another encoding"


def test_a_file_name_that_is_no_text_is_shown_and_reported(
    capsysbinary: pytest.CaptureFixture[bytes], judged: list[Question], tmp_path: Path
) -> None:
    odd = os.fsdecode(bytes(tmp_path) + b"/\xff\x1b[31m/passed.pdf")
    Path(odd).parent.mkdir()
    Path(odd).write_bytes(b"%PDF")
    for options in ((), ("--json",)):
        assert cli.main(["verify", odd, odd, *options, *IN_THIS_PROCESS]) == 0
        out, _ = capsysbinary.readouterr()
        assert b"\x1b" not in out and b"\xff" not in out
        assert b"dcff" in out


def test_a_batch_answers_every_job(capsys: pytest.CaptureFixture[str], judged: list[Question], files: Path) -> None:
    jobs = files / "jobs.jsonl"
    lines: list[Any] = [{"id": n, "world": "w", "file": str(files / f"{n}.pdf")} for n in everything()]
    jobs.write_text("".join(json.dumps(job) + "\n" for job in [*lines, {"id": "missing", "file": "missing.pdf"}]) + "not json\n")
    code, out, err = run(capsys, "verify", "--batch", jobs)
    answers = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert [a.get("id") for a in answers] == [*everything(), "missing", None]
    assert [a["conclusion"] for a in answers[:-2]] == [v.conclusion for v in everything().values()]
    assert all("ms" in a and not list(faults(a, SCHEMA)) for a in answers)
    assert [a["error"]["type"] for a in answers[-2:]] == ["not-found", "malformed"]


def test_inspect_shows_and_does_not_judge(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "token.tst").write_bytes(pki.token(office().tsu, pki.Digest.of("sha256", b"x")))
    code, out, err = run(capsys, "inspect", tmp_path / "token.tst")
    assert (code, err) == (0, "")
    assert "timestamps (1)" in out
    assert "2025-03-01T09:00:00Z" in out
    assert not any(word in out.lower() for word in ("passed", "valid ", "indeterminate", "trusted"))
    code, out, _ = run(capsys, "inspect", tmp_path / "token.tst", "--json")
    shown = json.loads(out)
    assert shown["timestamps"][0]["tsa"]["name"] == "Example TSU 1"
    assert "indication" not in out and "conclusion" not in out
    assert run(capsys, "inspect", tmp_path / "missing")[0] == 66


def test_inspect_of_nothing_signed_says_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("hello")
    code, out, _ = run(capsys, "inspect", tmp_path / "note.txt")
    assert code == 0
    assert "no signature" in out


def test_what_libraries_think_of_odd_certificates_stays_off_the_terminal(tmp_path: Path) -> None:
    # A negative serial number: cryptography warns about it on standard error.
    cert = pki.signer(office().ca, serial=0x7F0F0F0F).certificate
    odd = cert.der.replace(bytes.fromhex("02047f0f0f0f"), bytes.fromhex("02048f0f0f0f"))
    assert odd != cert.der
    (tmp_path / "root.pem").write_bytes(pem(odd))
    (tmp_path / "note.txt").write_text("hello")
    command = [Path(sys.executable).with_name("kakuin"), "verify", tmp_path / "note.txt", "--trust", tmp_path / "root.pem"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (4, "")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert style(Terminal(), {}).colour
    assert not style(Terminal(), {"NO_COLOR": "1"}).colour
    assert style(Terminal(), {"NO_COLOR": ""}).colour
    assert not style(Terminal(), {"TERM": "dumb"}).colour
    assert not style(io.StringIO(), {}).colour


def test_progress_speaks_after_a_second_to_people_only() -> None:
    shown = Terminal()
    with Progress(shown, patience=0.02) as progress:
        progress.tell("verifying \x1b[2Ja.pdf" + "角" * 100)
        time.sleep(0.2)
        with progress.hidden():
            assert shown.getvalue().endswith(ERASE)
    said = shown.getvalue()
    assert "verifying" in said
    assert "\x1b[2J" not in said
    assert said.endswith(ERASE)
    for quiet, pause in ((io.StringIO(), 0.1), (Terminal(), 0.0)):
        with Progress(quiet, patience=0.02) as progress:
            progress.tell("verifying")
            time.sleep(pause)
        assert quiet.getvalue() == ""


def test_the_report_is_written_in_every_shape_beside_the_terminal(capsys: pytest.CaptureFixture[str], judged: list[Question], folder: Path) -> None:
    reports = [folder / f"out{ending}" for ending in (".html", ".pdf", ".xml", ".json", ".txt")]
    code, out, err = run(capsys, "verify", "failed.pdf", *(x for r in reports for x in ("--report", r)))
    assert (code, err) == (1, "")
    assert out.startswith("NOT VALID")
    beginnings = (b"<!DOCTYPE html>", b"%PDF-", b"<?xml", b"{", b"NOT VALID")
    assert all(r.read_bytes().startswith(b) for r, b in zip(reports, beginnings, strict=True))
    assert list(faults(json.loads(reports[3].read_text()), SCHEMA)) == []
    assert 'xmlns="http://uri.etsi.org/19102/v1.4.1#"' in reports[2].read_text()


def test_reports_for_people_are_in_their_language(
    capsys: pytest.CaptureFixture[str], judged: list[Question], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANG", "ja_JP.UTF-8")
    code, _, _ = run(capsys, "verify", "passed.pdf", "--report", "r.HTML", "--report", "r.txt", "--json", "-o", "r.json")
    assert code == 0
    assert '<html lang="ja">' in (folder / "r.HTML").read_text("utf-8")
    assert (folder / "r.txt").read_text("utf-8").startswith("有効")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("passed.pdf", "--report", "out.doc"), "expected one of .json, .txt, .html, .pdf, .xml"),
        (("passed.pdf", "--report", "out"), "'out' has an ending that is not known"),
        (("passed.pdf", "--report", "-"), "has an ending that is not known"),
        (("passed.pdf", "failed.pdf", "--report", "out.html"), "--report goes with one file"),
        ((".", "--report", "out.html"), "--report goes with one file"),
        (("--batch", "jobs", "--report", "out.html"), "--report goes with one file"),
    ],
)
def test_a_report_that_cannot_be_written_is_told_before_any_work(
    capsys: pytest.CaptureFixture[str], judged: list[Question], folder: Path, arguments: tuple[str, ...], why: str
) -> None:
    code, out, err = run(capsys, "verify", *arguments)
    assert (code, out, judged) == (2, "", [])
    assert why.replace("'", "") in " ".join(err.split())
    assert not list(folder.glob("out*"))


def test_a_report_that_is_a_folder_is_one_line(capsys: pytest.CaptureFixture[str], judged: list[Question], folder: Path) -> None:
    (folder / "out.html").mkdir()
    code, _, err = run(capsys, "verify", "passed.pdf", "--report", "out.html")
    assert code == 73
    assert err.count("\n") == 1 and "is a folder" in err
