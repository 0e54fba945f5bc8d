"""PDFs that their readers open with a password: sealed, raised and verified with it, in confined processes, here and at a server."""

import io
import json
from pathlib import Path

import httpx
import pikepdf
import pytest

from tests.office import Office, run
from tests.surface.test_command_line import ended, one_line

pytestmark = pytest.mark.xdist_group("office")

PASSWORD = "四月の会議"


@pytest.fixture
def locked(documents: dict[str, Path], tmp_path: Path) -> tuple[Path, Path]:
    """A PDF and the file with its password."""
    made, secret = tmp_path / "locked.pdf", tmp_path / "secret"
    with pikepdf.open(documents["pdf"]) as paper:
        paper.save(made, encryption=pikepdf.Encryption(owner="owner", user=PASSWORD, R=6))
    secret.write_text(PASSWORD + "\n")
    return made, secret


def test_it_is_sealed_raised_and_verified(office: Office, locked: tuple[Path, Path], tmp_path: Path) -> None:
    document, secret = locked
    here, opened = ("--instance", office.folder), ("--password-file", secret)
    sealed, raised = tmp_path / "sealed.pdf", tmp_path / "raised.pdf"
    run("seal", document, *here, *opened, "--level", "B-T", "-o", sealed)
    run("extend", sealed, *here, *opened, "-o", raised)
    code, told, _ = ended("verify", raised, "--trust", office.root, *opened, "--json")
    assert (code, json.loads(told)["signatures"][0]["level"]) == (0, "PAdES-BASELINE-LTA")
    assert PASSWORD not in told
    assert "Seal1" in run("inspect", raised, *opened).stdout.decode()
    wrong = tmp_path / "wrong"
    wrong.write_text("guess")
    for beside, why in (((), "it is read with its password alone"), (("--password-file", wrong), "the password does not open it")):
        code, told, error = ended("verify", raised, "--trust", office.root, *beside)
        assert (code, told) == (65, "") and why in one_line(error)  # an error and no verdict: what cannot be read was not found wrong
    wrong.write_bytes(b"\xff\xfe")
    code, _, error = ended("verify", raised, "--password-file", wrong)
    assert code == 78 and "is not text in UTF-8" in one_line(error)
    code, _, error = ended("extend", sealed, *here)
    assert code == 65 and "it is read with its password alone" in one_line(error)


def test_over_http_the_password_is_a_part_of_the_form(office: Office, locked: tuple[Path, Path], tmp_path: Path) -> None:
    document, secret = locked
    key, sealed = {"KAKUIN_API_KEY": office.api_key()}, tmp_path / "sealed.pdf"
    code, _, error = ended("seal", document, "--server", office.url, "--password-file", secret, "--level", "B-LT", "-o", sealed, env=key)
    assert code == 0, error
    code, _, error = ended("extend", sealed, "--server", office.url, "--password-file", secret, "-o", tmp_path / "raised.pdf", env=key)
    assert code == 0, error
    with httpx.Client(base_url=office.url) as client:
        files = {"document": ("sealed.pdf", io.BytesIO(sealed.read_bytes()))}
        assert client.post("/v1/verifications", files=files, data={"password": PASSWORD}).json()["conclusion"] == "passed"
        for data, why in (({}, "it is read with its password alone"), ({"password": "guess"}, "the password does not open it")):
            files = {"document": ("sealed.pdf", io.BytesIO(sealed.read_bytes()))}
            problem = client.post("/v1/verifications", files=files, data=data)
            assert (problem.status_code, problem.json()["type"]) == (422, "urn:kakuin:problem:locked")
            assert why in problem.json()["detail"]
        refused = client.post("/v1/verifications?password=x", content=b"x")
        assert refused.status_code == 422 and "never stands in an address" in refused.json()["detail"]
