"""The formats that `kakuin seal` and `kakuin stamp` write, as an operator uses them: in confined processes, beside a served instance."""

import zipfile
from pathlib import Path

import pytest

from tests.office import Office
from tests.surface.test_command_line import ended, lists, one_line

__all__ = ["lists"]
pytestmark = pytest.mark.xdist_group("office")


def test_a_document_and_its_time_stamp_are_one_file(
    office: Office,
    documents: dict[str, Path],
    lists: list[str | Path],  # the fixture
    tmp_path: Path,
) -> None:
    paper = tmp_path / "data.csv"
    paper.write_bytes(documents["csv"].read_bytes())
    for server in ((), ("--server", office.url + "/tsa")):
        box = tmp_path / "data.csv.asics"
        assert ended("stamp", paper, "--instance", office.folder, *server, "--format", "asic-s")[0] == 0
        with zipfile.ZipFile(box) as found:
            assert found.namelist() == ["mimetype", "data.csv", "META-INF/timestamp.tst"]
            assert found.read("data.csv") == paper.read_bytes()
        # Ours brings the status of its chain with it; what was asked of an address is kept as it came.
        assert ended("verify", box, "--trust", office.root)[0] == (3 if server else 0)
        assert ended("verify", box, "--trust", office.root, *lists)[0] == 0
        box.unlink()
    code, _, error = ended("stamp", "--batch", tmp_path, "--instance", office.folder, "--format", "asic-s")
    assert code == 2
    assert "--format asic-s goes with a FILE" in error
    bad = tmp_path / "mimetype"
    bad.write_bytes(b"x")
    code, _, error = ended("stamp", bad, "--instance", office.folder, "--format", "asic-s")
    assert code == 65
    assert "cannot stand in a container" in one_line(error)
    assert not (tmp_path / "mimetype.asics").exists()
