"""A command imports what its file needs and nothing else: whoever verifies one PDF does not wait for the libraries of XML."""

import subprocess
import sys
from pathlib import Path

import pytest

import cli
from verifier import read

ROOT = Path(__file__).resolve().parents[2]
VERIFY = "import sys, cli; cli.main(['verify', sys.argv[1]]); print('\\n' + ' '.join(sys.modules))"
STARTS = {
    "pades": b"%PDF-1.7\n",
    "xades": b"<?xml version='1.0'?><a xmlns='urn:x'/>",
    "asic": b"PK\x05\x06" + bytes(18),
    "jades": b'{"a": 1}',
    "cades": b"\x30\x80\x06\x09" + bytes.fromhex("2a864886f70d010702") + bytes(40),
}
HEAVY = {"pikepdf": {"pades"}, "lxml": {"xades", "asic", "jades", "cades"}, "httpx": set(), "fastapi": set(), "sqlmodel": set(), "pyhanko": set()}


@pytest.mark.parametrize("reader", STARTS)
def test_a_file_costs_the_imports_of_its_own_reader(tmp_path: Path, reader: str) -> None:
    (tmp_path / "file").write_bytes(STARTS[reader])
    done = subprocess.run([sys.executable, "-c", VERIFY, tmp_path / "file"], capture_output=True, text=True, cwd=ROOT, check=True)
    imported = set(done.stdout.splitlines()[-1].split())
    assert f"verifier.formats.{reader}" in imported, done.stdout
    for library, readers in HEAVY.items():
        assert library not in imported or reader in readers, f"{library} for {reader}"


def test_the_confined_process_has_every_reader_before_the_first_file() -> None:
    """Imports made there once are not made again for every document."""
    assert {f"verifier.formats.{name}" for name in read.READERS} <= set(cli.CONFINED)


@pytest.mark.parametrize("name", read.READERS)
def test_a_reader_claims_nothing_without_the_bytes_that_it_is_said_to_need(name: str) -> None:
    reader = read.reader_of(name)
    needed = read.NEEDS.get(name, b"")
    assert name not in read.NEEDS or reader.claims(STARTS[name])
    for start in [*STARTS.values(), b"\xff\xfe<\x00a\x00/\x00>\x00", b"\x00\x00\x00<", b"PK\x03\x04", b" \n%PDF-2.0", b"hello", b"\x84\x40\xa0"]:
        assert needed in start or not reader.claims(start)
