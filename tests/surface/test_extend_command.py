"""`kakuin extend` as an operator uses it: in confined processes, beside a served instance."""

import json
from pathlib import Path

import pytest

from tests.office import Office, run
from tests.surface.test_command_line import ended, one_line

pytestmark = pytest.mark.xdist_group("office")


def test_a_seal_is_raised_and_renewed(office: Office, documents: dict[str, Path], tmp_path: Path) -> None:
    here = ("--instance", office.folder)
    sealed, raised, renewed = (tmp_path / f"{name}.pdf" for name in ("sealed", "raised", "renewed"))
    run("seal", documents["pdf"], *here, "--level", "B-B", "-o", sealed)
    code, said, _ = ended("extend", sealed, *here, "--level", "B-LT", "-o", raised, "--json")
    told = json.loads(said)
    assert code == 0
    assert (told["before"], told["after"], told["conclusion"]) == (["PAdES-BASELINE-B"], ["PAdES-BASELINE-LT"], "passed")
    assert raised.read_bytes().startswith(sealed.read_bytes())
    assert ended("extend", raised, *here, "-o", renewed)[0] == 0
    assert ended("verify", renewed, "--trust", office.root)[0] == 0
    code, _, error = ended("extend", renewed, *here, "--level", "B-T", "-o", tmp_path / "no.pdf")
    assert code == 65
    assert "at PAdES-BASELINE-LTA already" in one_line(error)
    assert not (tmp_path / "no.pdf").exists()


def test_a_detached_one_needs_its_content(office: Office, documents: dict[str, Path], tmp_path: Path) -> None:
    here = ("--instance", office.folder)
    sealed = tmp_path / "data.csv.p7s"
    run("seal", documents["csv"], *here, "--level", "B-T", "--packaging", "detached", "-o", sealed)
    code, _, error = ended("extend", sealed, *here, "--allow-indeterminate")
    assert code == 65
    assert "SIGNED_DATA_NOT_FOUND" in one_line(error)
    assert [p.name for p in tmp_path.iterdir()] == ["data.csv.p7s"]
    code, said, _ = ended("extend", sealed, *here, "--detached", documents["csv"])
    assert code == 0, said
    assert ended("verify", tmp_path / "data.csv.extended.p7s", "--detached", documents["csv"], "--trust", office.root)[0] == 0


def test_what_is_no_signature_is_one_clear_line(office: Office, documents: dict[str, Path]) -> None:
    code, _, error = ended("extend", documents["csv"], "--instance", office.folder)
    assert code == 65
    assert "no signature" in one_line(error)
    assert ended("extend", documents["csv"], "--instance", office.folder, "--allow-private-networks")[0] == 2
