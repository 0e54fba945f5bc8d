"""The command line as a user meets it: exit codes, one clear line for bad input, nothing half-written."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.office import KAKUIN, Office, run

pytestmark = pytest.mark.xdist_group("office")


@pytest.fixture(scope="session")
def sealed_pdf(office: Office, documents: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sealed") / "notice.sealed.pdf"
    run("seal", documents["pdf"], "--instance", office.folder, "-o", out)
    return out


@pytest.fixture(scope="session")
def sealed_csv(office: Office, documents: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sealed") / "dataset.csv.p7s"
    run("seal", documents["csv"], "--instance", office.folder, "--level", "B-T", "-o", out)
    return out


@pytest.fixture(scope="session")
def lists(office: Office, tmp_path_factory: pytest.TempPathFactory) -> list[str | Path]:
    """The status lists, as options for `verify`: below B-LT a seal carries none."""
    folder = tmp_path_factory.mktemp("lists")
    options: list[str | Path] = []
    for issuer in ("root", "ca"):
        run("ca", "crl", issuer, "--instance", office.folder, "-o", folder / f"{issuer}.crl")
        options += ["--crl", folder / f"{issuer}.crl"]
    return options


def ended(*args: str | Path, stdin: bytes | None = None, env: dict[str, str] | None = None) -> tuple[int, str, str]:
    done = run(*args, stdin=stdin, check=False, env=env)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def one_line(stderr: str) -> str:
    """The one line of an error; a traceback is none."""
    assert stderr.startswith("kakuin: ") and stderr.count("\n") == 1, stderr
    return stderr


def test_exit_codes(office: Office, documents: dict[str, Path], sealed_pdf: Path, sealed_csv: Path, lists: list[str | Path], tmp_path: Path) -> None:
    trust = ("--trust", office.root)
    assert ended("verify", sealed_pdf, *trust)[0] == 0
    assert ended("verify", sealed_pdf)[0] == 3
    assert ended("verify", sealed_csv, "--detached", documents["csv"], *trust)[0] == 3
    assert ended("verify", sealed_csv, "--detached", documents["csv"], *trust, *lists)[0] == 0
    assert ended("verify", sealed_csv, "--detached", documents["pdf"], *trust, *lists)[0] == 1
    assert ended("verify", documents["pdf"], *trust)[0] == 4
    assert ended("verify", documents["csv"], *trust)[0] == 4
    assert ended("verify")[0] == 2
    assert ended("verify", sealed_pdf, "--no-such-option")[0] == 2
    assert ended("no-such-command")[0] == 2


def test_a_verdict_comes_first_and_in_the_readers_language(office: Office, sealed_pdf: Path) -> None:
    _, english, _ = ended("verify", sealed_pdf, "--trust", office.root, env={"LC_ALL": "C.UTF-8"})
    _, japanese, _ = ended("verify", sealed_pdf, "--trust", office.root, env={"LC_ALL": "ja_JP.UTF-8"})
    assert english.lstrip().startswith("VALID")
    assert re.search(r"[ぁ-ん]", japanese.splitlines()[0] + japanese.splitlines()[2])
    assert "\x1b" not in english


def test_standard_input_and_output(office: Office, documents: dict[str, Path]) -> None:
    done = run("seal", "-", "--instance", office.folder, "-o", "-", stdin=documents["pdf"].read_bytes())
    assert done.stdout.startswith(b"%PDF-") and b"sealed pades B-LTA" in done.stderr
    assert ended("verify", "-", "--trust", office.root, stdin=done.stdout)[0] == 0


def test_a_stamp_is_made_and_verified(office: Office, documents: dict[str, Path], lists: list[str | Path], tmp_path: Path) -> None:
    out = tmp_path / "dataset.tst"
    code, said, _ = ended("stamp", documents["csv"], "--instance", office.folder, "-o", out, "--json")
    assert code == 0 and json.loads(said)["output"] == str(out)
    assert ended("verify", out, "--detached", documents["csv"], "--trust", office.root, *lists)[0] == 0
    assert ended("verify", out, "--detached", documents["pdf"], "--trust", office.root, *lists)[0] == 1
    assert ended("stamp", documents["csv"], "--server", office.url + "/tsa", "-o", tmp_path / "remote.tst")[0] == 0


def test_sealing_at_a_server(office: Office, documents: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "remote.pdf"
    key = {"KAKUIN_API_KEY": office.api_key()}
    assert ended("seal", documents["pdf"], "--server", office.url, "--level", "B-LT", "-o", out, env=key)[0] == 0
    assert ended("verify", out, "--trust", office.root)[0] == 0
    code, _, error = ended("seal", documents["pdf"], "--server", office.url, "-o", tmp_path / "no.pdf", env={"KAKUIN_API_KEY": "kakuin_wrong"})
    assert code == 77 and "API key" in one_line(error)
    code, _, error = ended("seal", documents["pdf"], "--server", "http://127.0.0.1:1", "-o", tmp_path / "no.pdf", env=key)
    assert code == 69 and "does not answer" in one_line(error)
    assert not (tmp_path / "no.pdf").exists()


BAD_FILES = {
    "empty": (b"", 65, "empty"),
    "truncated": (None, 65, "PDF"),
    "header-only": (b"%PDF-1.7\n", 65, "PDF"),
    "garbage-pdf": (b"%PDF-1.7\n" + bytes(range(256)) * 40, 65, "PDF"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_document_is_one_clear_line_and_leaves_nothing(name: str, office: Office, documents: dict[str, Path], tmp_path: Path) -> None:
    data, code, word = BAD_FILES[name]
    bad = tmp_path / "bad.pdf"
    bad.write_bytes(documents["pdf"].read_bytes()[:1500] if data is None else data)
    out = tmp_path / "out.pdf"
    found, _, error = ended("seal", bad, "--instance", office.folder, "-o", out)
    assert found == code and word in one_line(error)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.pdf"]


def test_what_is_not_there_or_cannot_be(office: Office, documents: dict[str, Path], tmp_path: Path) -> None:
    here = ("--instance", office.folder)
    assert "no such file" in one_line(ended("verify", tmp_path / "none.pdf")[2])
    assert "folder" in one_line(ended("seal", tmp_path, *here)[2])
    assert ended("verify", tmp_path)[0] == 66
    code, _, error = ended("seal", documents["csv"], *here, "--format", "cades", "--level", "B-LTX")
    assert code == 65 and "B-LTA" in one_line(error)
    code, _, error = ended("seal", documents["csv"], *here, "--format", "pades")
    assert code == 65 and "PDF" in one_line(error)
    code, _, error = ended("seal", documents["csv"], *here, "--organisation", "8040001079502", "-o", tmp_path / "x")
    assert code == 66
    code, _, error = ended("verify", documents["pdf"], "--at", "yesterday")
    assert code in (2, 65) and "time" in error
    code, _, error = ended("seal", documents["csv"], *here, "-o", tmp_path / "none" / "x.p7s")
    assert code == 78 and "no such file or folder" in one_line(error)
    code, _, error = ended("seal", documents["csv"], "--instance", tmp_path / "nowhere")
    assert code == 66 and "kakuin init" in one_line(error)


def test_nothing_is_overwritten_unasked(office: Office, documents: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(documents["csv"].read_bytes())
    (tmp_path / "a.csv.p7s").write_text("mine")
    code, _, error = ended("seal", tmp_path / "a.csv", "--instance", office.folder)
    assert code == 73 and "exists already" in one_line(error)
    assert (tmp_path / "a.csv.p7s").read_text() == "mine"


def test_init_asks_nothing_without_a_terminal_and_twice_harms_nothing(tmp_path: Path) -> None:
    first = ended("init", "--instance", tmp_path / "i", "--json")
    assert first[0] == 0 and json.loads(first[1])["new"] is True
    before = {p: p.read_bytes() for p in sorted((tmp_path / "i").rglob("*.pem"))}
    second = ended("init", "--instance", tmp_path / "i", "--json")
    assert second[0] == 0 and json.loads(second[1])["new"] is False
    assert {p: p.read_bytes() for p in sorted((tmp_path / "i").rglob("*.pem"))} == before
    assert (tmp_path / "i" / "anchors" / "root.pem").read_text().startswith("-----BEGIN CERTIFICATE-----")
    assert ended("doctor", "--instance", tmp_path / "i")[0] in (0, 1)


def test_keys_need_their_passphrase(tmp_path: Path, documents: dict[str, Path]) -> None:
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text("correct horse battery staple\n")
    wrong.write_text("something else entirely\n")
    folder = ("--instance", tmp_path / "i")
    named = ("--organisation", "角印株式会社", "--corporate-number", "8040001079502", "--clock", "unsafe-development-clock")
    code, _, error = ended("init", *folder, *named)
    assert code == 78 and "passphrase" in one_line(error)
    code, _, error = ended("init", *folder, "--organisation", "X", "--corporate-number", "8040001079503", "--passphrase-file", right)
    assert code == 65 and "check digit" in one_line(error)
    assert ended("init", *folder, *named, "--passphrase-file", right)[0] == 0
    code, _, error = ended("seal", documents["csv"], *folder, "--passphrase-file", wrong, "-o", tmp_path / "x")
    assert code == 78 and "passphrase" in one_line(error)
    code, _, error = ended("seal", documents["csv"], *folder, "-o", tmp_path / "x")
    assert code == 78 and "--passphrase-file" in one_line(error)
    assert not (tmp_path / "x").exists()
    code, _, _ = ended("seal", documents["csv"], *folder, "-o", tmp_path / "x", env={"KAKUIN_PASSPHRASE_FILE": str(right)})
    assert code == 0


def test_a_taken_port_is_told(office: Office) -> None:
    code, _, error = ended("serve", "--instance", office.folder, "--port", str(office.port))
    assert code == 69 and f"port {office.port}" in one_line(error) and "--port" in error


def test_ctrl_c_ends_the_service_cleanly(tmp_path: Path) -> None:
    import signal

    made = Office.create(tmp_path / "i")
    made.start()
    assert made.process is not None
    made.process.send_signal(signal.SIGINT)
    assert made.process.wait(15) == 0
    assert "Traceback" not in made.log.read_text()


def test_the_overview_is_quick_and_imports_nothing_heavy() -> None:
    probe = (
        "import sys, cli; cli.main(['--help']); print(sorted(m for m in sys.modules if m.split('.')[0] in "
        + repr({"fastapi", "pydantic", "sqlmodel", "sqlalchemy", "cryptography", "asn1crypto", "pikepdf", "pyhanko", "lxml", "uvicorn", "httpx"})
        + "))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    for name in ("init", "serve", "seal", "verify", "stamp", "inspect", "ca", "doctor"):
        assert re.search(rf"^  {name} ", done.stdout, re.MULTILINE)


def test_version_and_completion() -> None:
    assert re.fullmatch(r"kakuin, version \d+\.\d+\.\d+\n", ended("--version")[1])
    for shell in ("bash", "zsh", "fish"):
        assert "_KAKUIN_COMPLETE" in ended("completion", shell)[1]
    env = {**os.environ, "_KAKUIN_COMPLETE": "bash_complete", "COMP_WORDS": "kakuin ve", "COMP_CWORD": "1"}
    assert "verify" in subprocess.run([KAKUIN], env=env, capture_output=True, text=True, check=False).stdout


def test_a_reader_that_goes_away_is_no_error(office: Office) -> None:
    done = subprocess.run(f"{KAKUIN} ca list --instance {office.folder} | true", shell=True, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
