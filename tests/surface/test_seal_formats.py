"""The formats that `kakuin seal` and `kakuin stamp` write, as an operator uses them: in confined processes, beside a served instance."""

import base64
import json
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


@pytest.mark.parametrize(
    ("format_", "options", "beside"),
    [
        ("cades", (), True),
        ("cades", ("--packaging", "attached"), False),
        ("jades", ("--packaging", "attached"), False),
        ("asic-e-cades", (), False),
        ("asic-e-xades", (), False),
    ],
    ids=["cades beside", "cades", "jades", "asic-e-cades", "asic-e-xades"],
)
def test_a_signature_is_added_to_what_is_signed(
    format_: str, options: tuple[str, ...], beside: bool, office: Office, documents: dict[str, Path], tmp_path: Path
) -> None:
    here = ("--instance", office.folder, "--format", format_)
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    content = (documents["csv"],) if beside else ()
    assert ended("seal", documents["csv"], *here, *options, "--level", "B-LTA", "-o", first)[0] == 0
    code, said, error = ended("seal", first, *content, *here, "--addition", "parallel", "--level", "B-LTA", "-o", second, "--json")
    assert code == 0, error
    detached = ("--detached", documents["csv"]) if beside else ()
    code, told, _ = ended("verify", second, *detached, "--trust", office.root, "--json")
    levels = [s["level"].rpartition("-")[2] for s in json.loads(told)["signatures"]]
    assert (code, levels, json.loads(said)["level"]) == (0, ["LTA", "LTA"], "B-LTA")
    # What is broken gets nothing added, and nothing is left behind.
    other = tmp_path / "other.csv"
    other.write_bytes(documents["csv"].read_bytes() + b"x")
    data = documents["csv"].read_bytes()
    inside = (data, base64.urlsafe_b64encode(data).rstrip(b"="))
    broken = second.read_bytes()
    for text in inside:
        broken = broken.replace(text, text[:1] + (b"x" if text[1:2] != b"x" else b"y") + text[2:])
    assert beside or broken != second.read_bytes()
    first.write_bytes(broken)
    code, _, error = ended("seal", first, *((other,) if beside else ()), *here, "--addition", "parallel", "-o", third)
    assert code == 65
    assert "no signature is added to what failed" in one_line(error)
    assert not third.exists()


@pytest.mark.parametrize("format_", ["cades", "jades", "xades"])
def test_a_signature_is_countersigned_and_both_are_raised(format_: str, office: Office, documents: dict[str, Path], tmp_path: Path) -> None:
    here = ("--instance", office.folder)
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    assert ended("seal", documents["csv"], *here, "--format", format_, "--packaging", "attached", "--level", "B-T", "-o", first)[0] == 0
    assert ended("seal", first, *here, "--format", format_, "--addition", "countersignature", "-o", second)[0] == 0
    assert ended("extend", second, *here, "-o", third)[0] == 0
    code, told, _ = ended("verify", third, "--trust", office.root, "--json")
    signatures = json.loads(told)["signatures"]
    assert (code, sorted(s["counter_signature"] for s in signatures)) == (0, [False, True])
    code, _, error = ended("seal", documents["csv"], *here, "--format", format_, "--addition", "countersignature", "-o", tmp_path / "no")
    assert code == 65, error
    assert not (tmp_path / "no").exists()
