"""Work whose caller holds keys afterwards: it reads what it is told, writes into one folder, and reaches nothing else."""

import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from trust.edge import landlock
from trust.edge.apart import OUTCOME, run
from trust.errors import Conflict, KakuinError, Malformed

needs_landlock = pytest.mark.skipif(landlock.version() < 4, reason="the kernel has no Landlock with TCP")


def tried(options: dict[str, Any], folder: Path) -> dict[str, str]:
    """What of this is possible there."""
    found = {}

    def attempt(name: str, what: Any) -> None:
        try:
            what()
        except OSError as error:
            found[name] = type(error).__name__
        else:
            found[name] = "done"

    attempt("told", lambda: Path(options["told"]).read_bytes())
    attempt("within", (Path(options["folder"]) / "a").read_bytes)
    attempt("secret", lambda: Path(options["secret"]).read_bytes())
    attempt("write", lambda: (folder / "new").write_bytes(b"x"))
    attempt("write elsewhere", lambda: (Path(options["folder"]) / "new").write_bytes(b"x"))
    attempt("link", lambda: (folder / "link").symlink_to(options["secret"]))
    attempt("connect", lambda: socket.create_connection(("127.0.0.1", options["port"]), 5).close())
    attempt("signal", lambda: os.kill(options["parent"], 0))
    return found


def answers(options: dict[str, Any], _folder: Path) -> Any:
    return {"options": options, "lines": sys.stdin.read().split(), "secret": os.environ.get("KAKUIN_PASSPHRASE"), "names": sorted(os.environ)}


def refuses(_options: dict[str, Any], _folder: Path) -> Any:
    raise Conflict("this was refused")


def dies(_options: dict[str, Any], _folder: Path) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def breaks(_options: dict[str, Any], _folder: Path) -> Any:
    raise ValueError("not foreseen")


HERE = "tests.unit.test_apart"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def test_it_is_told_its_options_and_its_input_and_nothing_of_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAKUIN_PASSPHRASE", "secret")
    found = run(f"{HERE}:answers", {"a": [1]}, folder, lines=[b"one\n", b"two\n"])
    assert (found["options"], found["lines"], found["secret"]) == ({"a": [1]}, ["one", "two"], None)
    assert "KAKUIN_PASSPHRASE" not in found["names"] and "TMPDIR" in found["names"]


@needs_landlock
def test_it_reaches_nothing_else(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "shown").mkdir()
    for name in ("told", "secret", "shown/a"):
        (tmp_path / name).write_bytes(b"x")
    with socket.create_server(("127.0.0.1", 0)) as server:
        options = {
            "told": str(tmp_path / "told"),
            "secret": str(tmp_path / "secret"),
            "folder": str(tmp_path / "shown"),
            "port": server.getsockname()[1],
            "parent": os.getpid(),
        }
        found = run(f"{HERE}:tried", options, folder, readable=(tmp_path / "told", tmp_path / "shown", tmp_path / "absent"))
    refused = "PermissionError"
    closed = refused if landlock.version() >= 6 else "done"
    assert found == {
        "told": "done",
        "within": "done",
        "secret": refused,
        "write": "done",
        "write elsewhere": refused,
        "link": refused,
        "connect": refused,
        "signal": closed,
    }


def test_a_refusal_is_raised_here(folder: Path) -> None:
    with pytest.raises(Conflict, match="this was refused"):
        run(f"{HERE}:refuses", {}, folder)


@pytest.mark.parametrize("target", ["dies", "breaks", "nowhere"])
def test_one_that_ends_without_an_answer_is_told(folder: Path, target: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Malformed, match="ended without an answer"):
        run(f"{HERE}:{target}", {}, folder, lines=[b"x" * 1000] * 1000)


SAID = (b"", b"{}", b"[]", b'{"error": []}', b'{"error": ["SystemExit", "x"]}', b"[" * 9999)


@pytest.mark.parametrize("said", SAID, ids=lambda said: repr(said[:20]))
def test_what_it_says_is_believed_no_more_than_what_it_read(folder: Path, said: bytes) -> None:
    from trust.edge import apart

    (folder / OUTCOME).write_bytes(said)
    with pytest.raises(KakuinError):
        apart._outcome(folder / OUTCOME, 0)
