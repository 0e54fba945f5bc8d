"""`kakuin seal` and `kakuin extend` at a server do what they do here."""

import json
from pathlib import Path

import pytest

from tests.office import Office, run
from tests.surface.test_command_line import ended, one_line

pytestmark = pytest.mark.xdist_group("office")


@pytest.fixture(scope="module")
def key(office: Office) -> dict[str, str]:
    return {"KAKUIN_API_KEY": office.api_key()}


def test_a_folder_is_sealed_with_its_paths(office: Office, key: dict[str, str], tmp_path: Path) -> None:
    for name in ("one", "二"):
        (tmp_path / "dataset" / name).mkdir(parents=True)
        (tmp_path / "dataset" / name / "same.csv").write_text(name)
    made = tmp_path / "made.asice"
    code, told, error = ended("seal", tmp_path / "dataset", "--server", office.url, "--json", "-o", made, env=key)
    assert code == 0, error
    there = json.loads(told)
    code, told, error = ended("seal", tmp_path / "dataset", "--instance", office.folder, "--json", "-o", tmp_path / "here.asice")
    assert code == 0, error
    assert set(there) - {"receipt_at"} == set(json.loads(told)) - {"organisation"}  # a server has addresses
    code, told, _ = ended("verify", made, "--trust", office.root, "--json")
    assert code == 0
    [signature] = json.loads(told)["signatures"]
    assert {"dataset/one/same.csv", "dataset/二/same.csv"} <= {r["name"] for r in signature["covers"]}


def test_a_seal_is_raised_there(office: Office, key: dict[str, str], documents: dict[str, Path], tmp_path: Path) -> None:
    there = ("--server", office.url)
    sealed, raised = tmp_path / "sealed.p7s", tmp_path / "raised.p7s"
    run("seal", documents["csv"], "--instance", office.folder, "--level", "B-B", "--packaging", "detached", "-o", sealed)
    code, _, error = ended("extend", sealed, *there, "--level", "B-T", "-o", raised, env=key)
    assert (code, raised.exists()) == (65, False)
    assert one_line(error).startswith("kakuin: the server refused: ")
    beside = ("--detached", documents["csv"], "--trust", office.root, "--certificate", office.folder / "anchors")
    code, told, error = ended("extend", sealed, *there, *beside, "--json", "-o", raised, env=key)
    assert code == 0, error
    facts = json.loads(told)
    assert (facts["before"], facts["after"], facts["output"]) == (["CAdES-BASELINE-B"], ["CAdES-BASELINE-LTA"], str(raised))
    assert isinstance(facts["journal_index"], int) and facts["warnings"] == []
    assert ended("verify", raised, "--detached", documents["csv"], "--trust", office.root)[0] == 0
    code, told, error = ended("extend", raised, "--instance", office.folder, *beside, "--json", "-o", tmp_path / "here.p7s")
    assert code == 0, error
    assert set(json.loads(told)) == set(facts)


def test_a_document_in_one_piece_is_named_by_the_server(office: Office, key: dict[str, str], documents: dict[str, Path], tmp_path: Path) -> None:
    sealed = tmp_path / "契約書.pdf"
    run("seal", documents["pdf"], "--instance", office.folder, "--level", "B-B", "-o", sealed)
    code, said, error = ended("extend", sealed, "--server", office.url, "--level", "B-LT", env=key)
    assert code == 0, error
    made = tmp_path / "契約書.extended.pdf"
    assert said == f"extended PDF from PAdES-BASELINE-B to PAdES-BASELINE-LT (passed): {made}\n"
    assert ended("verify", made, "--trust", office.root)[0] == 0


def test_what_cannot_be_written_is_not_sealed_there(office: Office, key: dict[str, str], documents: dict[str, Path], tmp_path: Path) -> None:
    document = tmp_path / "data.csv"
    document.write_bytes(documents["csv"].read_bytes())
    (tmp_path / "data.csv.p7s").write_bytes(b"mine")
    last = json.loads(run("log", "list", "--instance", office.folder, "--json").stdout.splitlines()[-1])
    code, _, error = ended("seal", document, "--server", office.url, env=key)
    assert code == 73 and "data.csv.p7s exists already" in one_line(error)
    assert json.loads(run("log", "list", "--instance", office.folder, "--json").stdout.splitlines()[-1]) == last
    assert (tmp_path / "data.csv.p7s").read_bytes() == b"mine"


def test_what_does_not_go_there_is_said(office: Office, documents: dict[str, Path], tmp_path: Path) -> None:
    given = ("extend", documents["csv"], "-o", tmp_path / "never")
    code, _, error = ended(*given, "--server", office.url, "--online", "--allow-private-networks")
    assert code == 2 and "what a server may fetch, its operator says" in error
    assert ended(*given, "--server", office.url)[0] == 77
    for address in ("ftp://there", "there", "http://", "http://seal.example.jp", "http://[::1", "https://"):
        code, _, error = ended(*given, "--server", address, env={"KAKUIN_API_KEY": "k"})
        assert code == 65 and "begins with https:// (http:// on this machine only)" in one_line(error)
    code, _, error = ended(*given, "--server", "http://127.0.0.1:1", env={"KAKUIN_API_KEY": "k"})
    assert code == 69 and "127.0.0.1 does not answer (no connection)" in one_line(error)
    assert list(tmp_path.iterdir()) == []
