"""A file larger than the memory that any process takes for it: sealed and verified by the commands. `python -m bench.large` takes gigabytes."""

from pathlib import Path

import pytest

from bench.large import MIB, hole, paper, prepare, run

MOST = 150 * MIB


@pytest.mark.parametrize("format_", ["asic-e-cades", "cades"])
def test_memory_stays_below_the_file(tmp_path: Path, format_: str) -> None:
    prepare(tmp_path)
    hole(tmp_path / "large.bin", 256 * MIB)
    sealed = run("seal", "large.bin", "--format", format_, "--level", "B-LTA", "-o", "sealed", folder=tmp_path)
    assert sealed.status == 0, sealed.shown
    beside = ["--detached", "large.bin"] if format_ == "cades" else []
    verified = run("verify", "sealed", *beside, "--trust", "instance/anchors", folder=tmp_path)
    assert verified.status == 0, verified.out
    assert max(sealed.peak, verified.peak) < MOST
    assert min(sealed.peak, verified.peak) > 10 * MIB
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ca.crl", "instance", "large.bin", "root.crl", "sealed", "standard-output"]


def test_memory_stays_below_a_pdf(tmp_path: Path) -> None:
    """Neither what writes the update nor what reads the whole holds or maps the file."""
    prepare(tmp_path)
    paper(tmp_path / "large.pdf", 24, 10 * MIB)
    sealed = run("seal", "large.pdf", "--level", "B-LTA", "-o", "sealed.pdf", folder=tmp_path)
    assert sealed.status == 0, sealed.shown
    verified = run("verify", "sealed.pdf", "--trust", "instance/anchors", folder=tmp_path)
    assert verified.status == 0, verified.out
    assert max(sealed.peak, verified.peak) < MOST
