"""`kakuin verify` where evidence records stand beside their documents, as `kakuin stamp --batch` writes them."""

from pathlib import Path

import pytest

import cli
from tests import pki
from tests.verdicts import office
from tsa import batch_folder
from tsa.batch_folder import Wanted
from verifier import bulk

AT = ("--at", "2025-03-03T00:00:00Z")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve documents with their records and the index; its time-stamps hold for whoever has the status lists."""
    monkeypatch.delenv("KAKUIN_INSTANCE", raising=False)
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    monkeypatch.chdir(tmp_path)
    for number in range(12):
        document = tmp_path / "files" / f"{number % 2}" / f"{number}.txt"
        document.parent.mkdir(parents=True, exist_ok=True)
        document.write_text(f"document {number}")
    batch_folder.run(Wanted(Path("files"), None, "sha256"), None, pki.stamper(office().tsu), lambda _: None)
    (tmp_path / "root.cer").write_bytes(office().root.certificate.der)
    for number, crl in enumerate(office().crls()):
        (tmp_path / f"{number}.crl").write_bytes(crl.der)
    return Path("files")


def test_whoever_writes_and_whoever_reads_mean_the_same_names() -> None:
    assert (bulk.RECORD, bulk.BATCH_INDEX) == (batch_folder.RECORD, batch_folder.INDEX)


def verify(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, list[str]]:
    code = cli.main(["verify", *args, "--trust", "root.cer", "--crl", "0.crl", "--crl", "1.crl", *AT])
    return code, capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("jobs", ["0", "2"])
def test_a_folder_of_pairs_is_verified_by_its_name(folder: Path, capsys: pytest.CaptureFixture[str], jobs: str) -> None:
    code, lines = verify(capsys, str(folder), "--jobs", jobs)
    assert code == 0 and lines[-1] == "12 files: VALID 12"
    assert sum("files/0/" in line for line in lines) == 6 and not any(".ers" in line or "kakuin-batch" in line for line in lines)


def test_a_document_that_was_changed_is_not_proved(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "1/5.txt").write_text("another")
    code, lines = verify(capsys, str(folder), "--jobs", "0")
    assert code == 1 and "VALID 11" in lines[-1]
    assert [line for line in lines if "1/5.txt" in line and not line.startswith("VALID")]


def test_a_record_without_its_document_is_a_file_of_its_own(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "1/5.txt").unlink()
    code, lines = verify(capsys, str(folder), "--jobs", "0")
    assert code != 0 and any("5.txt.ers" in line for line in lines)


def test_a_record_finds_the_document_beside_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(capsys, "files/0/4.txt.ers")[0] == 0
    assert verify(capsys, "files/0/4.txt.ers", "--detached", "files/0/2.txt")[0] == 1
    assert verify(capsys, "files/0/4.txt.ers", "files/0/2.txt.ers", "--jobs", "0") == (0, verify(capsys, "files/0/4.txt.ers", "files/0/2.txt.ers")[1])
    assert verify(capsys, "files/0/4.txt")[0] == 4  # the document alone: nothing is signed
