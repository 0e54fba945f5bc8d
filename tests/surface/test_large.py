"""A file larger than the memory that any process takes for it: sealed and verified by the commands. `python -m bench.large` takes gigabytes."""

import os
import pty
import signal
import subprocess
from pathlib import Path

import pytest

from bench.large import KAKUIN, MIB, hole, paper, prepare, run

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


@pytest.mark.parametrize("words", [("seal", "large.bin", "-o", "sealed"), ("stamp", "large.bin")], ids=lambda words: words[0])
def test_an_interruption_leaves_nothing_behind(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Ctrl-C as soon as it is told how far the reading is, of a file that takes many times as long."""
    prepare(tmp_path)
    hole(tmp_path / "large.bin", 32_000 * MIB)
    before = sorted(p.name for p in tmp_path.iterdir())
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TMPDIR": str(tmp_path), "KAKUIN_INSTANCE": str(tmp_path / "instance")}
    process = subprocess.Popen([KAKUIN, *words], cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=theirs, start_new_session=True)
    os.close(theirs)
    seen = b""
    while b"% of" not in seen and (data := os.read(ours, 4096)):
        seen += data
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(60) == 130
    while data := _rest(ours):
        seen += data
    os.close(ours)
    assert seen.rstrip().endswith(b"kakuin: interrupted")
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def _rest(handle: int) -> bytes:
    try:
        return os.read(handle, 4096)
    except OSError:  # the terminal's other side was closed
        return b""
