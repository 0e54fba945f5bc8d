"""Sealing without sending the document, as somebody does whose office is elsewhere."""

import hashlib
import json
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.office import KAKUIN, Office
from tests.surface.test_command_line import ended, one_line

pytestmark = pytest.mark.xdist_group("office")


@pytest.fixture(scope="module")
def key(office: Office) -> dict[str, str]:
    return {"KAKUIN_API_KEY": office.api_key()}


MADE = [("cades", "B-LTA", ".p7s"), ("xades", "B-LTA", ".xades.xml"), ("jades", "B-LTA", ".jades.json"), ("cose", "B-T", ".cose")]


@pytest.mark.parametrize(("form", "level", "name"), MADE)
def test_a_signature_comes_back_for_digests(
    form: str, level: str, name: str, office: Office, key: dict[str, str], documents: dict[str, Path], tmp_path: Path
) -> None:
    there = ("--server", office.url, "--hash-only")
    document = tmp_path / "dataset.csv"
    document.write_bytes(documents["csv"].read_bytes())
    said = () if form == "cose" else ("--location", "東京")
    code, told, error = ended("seal", document, *there, "--format", form, *said, "--json", env=key)
    assert code == 0, error
    facts = json.loads(told)
    made = tmp_path / f"dataset.csv{name}"
    assert (facts["format"], facts["level"], facts["output"]) == (form, level, str(made))
    # At B-T there is no status in it.
    assert ended("verify", made, "--detached", document, "--trust", office.root)[0] == (3 if form == "cose" else 0)
    assert ended("verify", made, "--detached", documents["pdf"], "--trust", office.root)[0] == 1
    if form == "cose":
        return
    # What was archived from digests is renewed where the document is.
    raised = tmp_path / "raised"
    assert ended("extend", made, "--instance", office.folder, "--detached", document, "-o", raised)[::2] == (0, "")
    assert ended("verify", raised, "--detached", document, "--trust", office.root)[0] == 0


def test_a_pdf_is_sealed_where_it_is(office: Office, key: dict[str, str], documents: dict[str, Path], tmp_path: Path) -> None:
    there = ("--server", office.url, "--hash-only", "--json")
    contract = tmp_path / "contract.pdf"
    contract.write_bytes(documents["pdf"].read_bytes())
    look = ("--visible", "seal+text", "--reason", "請求", "--location", "東京", "--new-field", "Office")
    code, told, error = ended("seal", contract, *there, *look, env=key)
    assert code == 0, error
    facts, made = json.loads(told), tmp_path / "contract.sealed.pdf"
    assert (facts["format"], facts["level"], facts["packaging"], facts["output"]) == ("pades", "B-LTA", "enveloped", str(made))
    assert facts["sha256"] == hashlib.sha256(made.read_bytes()).hexdigest()
    code, told, error = ended("verify", made, "--trust", office.root, "--json")
    report = json.loads(told)
    assert (code, report["conclusion"], report["signatures"][0]["level"]) == (0, "passed", "PAdES-BASELINE-LTA"), error
    assert len(report["timestamps"]) == 2
    # Again, over the first one; and a digest that its server's key does not sign with by itself.
    code, told, error = ended("seal", made, *there, "--digest", "sha512", "--level", "B-LT", "-o", tmp_path / "twice.pdf", env=key)
    assert code == 0, error
    report = json.loads(ended("verify", tmp_path / "twice.pdf", "--trust", office.root, "--json")[1])
    assert [s["level"] for s in report["signatures"]] == ["PAdES-BASELINE-LTA", "PAdES-BASELINE-LT"]
    assert report["conclusion"] == "passed"


def test_a_seal_is_raised_and_renewed_where_it_is(office: Office, key: dict[str, str], documents: dict[str, Path], tmp_path: Path) -> None:
    there = ("--server", office.url, "--hash-only", "--json")
    sealed, raised, renewed = (tmp_path / name for name in ("sealed.pdf", "raised.pdf", "renewed.pdf"))
    assert ended("seal", documents["pdf"], *there, "--level", "B-T", "-o", sealed, env=key)[0] == 0
    code, told, error = ended("extend", sealed, *there, "-o", raised, env=key)
    assert code == 0, error
    facts = json.loads(told)
    assert (facts["before"], facts["after"], facts["conclusion"]) == (["PAdES-BASELINE-T"], ["PAdES-BASELINE-LTA"], "passed")
    assert isinstance(facts["journal_index"], int)
    code, told, error = ended("extend", raised, *there, "-o", renewed, env=key)
    assert code == 0, error
    report = json.loads(ended("verify", renewed, "--trust", office.root, "--json")[1])
    assert (report["conclusion"], len(report["timestamps"])) == ("passed", 3)
    # What was changed is told before anything is stamped.
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(raised.read_bytes().replace(b"/MediaBox", b"/MediaBax", 1))
    code, _, error = ended("extend", broken, *there, "-o", tmp_path / "never.pdf", env=key)
    assert (code, (tmp_path / "never.pdf").exists()) == (65, False)
    code, _, error = ended("extend", raised, "--hash-only", "--instance", office.folder)
    assert code == 2 and "--hash-only goes with --server" in error


def test_several_files_and_standard_input(office: Office, key: dict[str, str], documents: dict[str, Path], tmp_path: Path) -> None:
    there = ("--server", office.url, "--hash-only")
    made = tmp_path / "both.xml"
    code, _, error = ended("seal", documents["csv"], documents["pdf"], *there, "--format", "xades", "-o", made, env=key)
    assert code == 0, error
    beside = ("--detached", documents["csv"], "--detached", documents["pdf"])
    assert ended("verify", made, *beside, "--trust", office.root)[0] == 0
    made = tmp_path / "piped.p7s"
    code, _, error = ended("seal", "-", *there, "--digest", "sha512", "-o", made, stdin=documents["csv"].read_bytes(), env=key)
    assert code == 0, error
    assert ended("verify", made, "--detached", documents["csv"], "--trust", office.root)[0] == 0


@pytest.mark.parametrize("form", ["asic-s-cades", "asic-s-xades", "asic-e-cades", "asic-e-xades"])
def test_a_container_is_made_here(form: str, office: Office, key: dict[str, str], documents: dict[str, Path], tmp_path: Path) -> None:
    made = tmp_path / "made"
    given = [documents["csv"]] + ([documents["pdf"]] if "-e-" in form else [])
    code, _, error = ended("seal", *given, "--server", office.url, "--hash-only", "--format", form, "-o", made, env=key)
    assert code == 0, error
    assert ended("verify", made, "--trust", office.root)[0] == 0


def test_a_folder_becomes_a_container(office: Office, key: dict[str, str], documents: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "dataset"
    folder.mkdir()
    for file in documents.values():
        (folder / file.name).write_bytes(file.read_bytes())
    made = tmp_path / "made.asice"
    code, told, error = ended("seal", folder, "--server", office.url, "--hash-only", "--json", "-o", made, env=key)
    assert code == 0, error
    assert json.loads(told)["format"] == "asic-e-cades"
    assert ended("verify", made, "--trust", office.root)[0] == 0


@pytest.mark.parametrize("form", ["pades", "xades", "asic-e-cades"])
def test_an_interruption_while_the_server_thinks_leaves_nothing(form: str, documents: dict[str, Path], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        document = documents["pdf" if form == "pades" else "csv"]
        command = [KAKUIN, "seal", document, "--server", address, "--hash-only", "--format", form, "-o", tmp_path / "never"]
        environment = {**os.environ, "NO_COLOR": "1", "KAKUIN_API_KEY": "kakuin_x"}
        running = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        try:
            silent.settimeout(60)
            connection, _ = silent.accept()
            with connection:
                assert connection.recv(1 << 16).split(b" ")[0] in (b"GET", b"POST")
                os.killpg(running.pid, signal.SIGINT)
                _, error = running.communicate(timeout=60)
        finally:
            running.kill()
            running.wait()
    assert (running.returncode, error.strip()) == (130, b"kakuin: interrupted")
    assert list(tmp_path.iterdir()) == []


def test_each_refusal_is_one_clear_line(office: Office, key: dict[str, str], documents: dict[str, Path], tmp_path: Path) -> None:
    there = ("--server", office.url, "--hash-only", "-o", tmp_path / "never")
    code, _, error = ended("seal", documents["csv"], "--hash-only", "--instance", office.folder)
    assert code == 2 and "--hash-only goes with --server" in error
    code, _, error = ended("seal", documents["csv"], *there, "--format", "pades", env=key)
    assert code == 65 and "the PDF cannot be updated" in one_line(error)
    code, _, error = ended("seal", documents["csv"], *there, "--format", "cose", "--level", "B-LT", env=key)
    assert code == 65 and "cose" in one_line(error)
    code, _, error = ended("seal", documents["csv"], *there, "--font", documents["csv"], env=key)
    assert code == 65 and "an image, a font and a password go into a PDF" in one_line(error)
    code, _, error = ended("seal", documents["pdf"], *there, "--server", "http://127.0.0.1:1", env=key)
    assert code == 69 and "does not answer" in one_line(error)
    code, _, error = ended("seal", documents["csv"], *there, "--digest", "md5", env=key)
    assert code == 65 and "digest is sha256" in one_line(error)
    assert list(tmp_path.iterdir()) == []
