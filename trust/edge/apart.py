"""One long piece of work in a process of its own, whose caller holds keys afterwards and must not have read what strangers made.

For what is too long for a job of trust.edge.sandbox: the process is a fresh interpreter with a bare environment, reads its input from a pipe and from
the files that it is told, and writes into one folder. Where the kernel has Landlock it reaches nothing else: no other file, no TCP, no other process.
What it answers is JSON, and is believed no more than what it read.
"""

import contextlib
import ctypes
import importlib
import json
import os
import resource
import signal
import subprocess  # our own interpreter, no shell
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from trust import errors
from trust.edge.landlock import kept_to
from trust.edge.sandbox_child import code_places
from trust.errors import KakuinError, Malformed

MEMORY_BYTES = 4 << 30
"""Of address space: an audit takes some sixty megabytes of memory."""
MAX_OUTCOME = 64 << 20
TOLD, OUTCOME = "told.json", "outcome.json"

_BOOT = "import json, sys; p = json.loads(sys.argv[1]); sys.path[:] = p.pop('path'); from trust.edge.apart import work; work(**p)"
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38


def run(target: str, options: Mapping[str, Any], folder: Path, *, readable: Sequence[Path] = (), lines: Iterable[bytes] = ()) -> Any:
    """What `target` (`module:function`) answers when it is called with `options` (both JSON) in such a process.

    `folder`: where it may write, and where temporary files go; `readable`: files, and folders with all that is in them; `lines`: its standard input.
    A KakuinError of the work is raised here; Malformed where its process ended without an answer.
    """
    told = {"target": target, "options": options, "readable": [os.fsdecode(path.absolute()) for path in readable]}
    (folder / TOLD).write_text(json.dumps(told))  # a command line has no room for so many names
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-I", "-c", _BOOT, json.dumps({"path": sys.path, "folder": str(folder)})],
        env={"PATH": os.defpath, "LANG": "C.UTF-8", "HOME": "/nonexistent", "TMPDIR": str(folder), "SQLITE_TMPDIR": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    try:
        with contextlib.suppress(BrokenPipeError), process.stdin or contextlib.nullcontext():  # it ended early, and says why
            if process.stdin is not None:
                process.stdin.writelines(lines)
                process.stdin.flush()
        process.wait()
    finally:
        process.kill()  # nothing happens when it has ended
        process.wait()
    return _outcome(folder / OUTCOME, process.returncode)


def _outcome(path: Path, code: int) -> Any:
    try:
        with path.open("rb") as stream:
            said = json.loads(stream.read(MAX_OUTCOME))
        if "error" not in said:
            return said["answer"]
        name, text = map(str, said["error"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        raise Malformed(f"the process that read what was given ended without an answer ({how})") from error
    kind = getattr(errors, name, KakuinError)
    raise (kind if isinstance(kind, type) and issubclass(kind, KakuinError) else KakuinError)(text)


def work(folder: str) -> None:
    """In the process: import, give up what is not needed, and only then look at anything that was given."""
    here = Path(folder)
    told = json.loads((here / TOLD).read_text())
    module, _, name = told["target"].partition(":")
    function = getattr(importlib.import_module(module), name)
    _confine(here, map(Path, told["readable"]))
    try:
        said: dict[str, Any] = {"answer": function(told["options"], here)}
    except KakuinError as error:
        said = {"error": [type(error).__name__, str(error)]}
    (here / OUTCOME).write_text(json.dumps(said))


def _confine(folder: Path, readable: Iterable[Path]) -> None:
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for what, most in ((resource.RLIMIT_AS, MEMORY_BYTES), (resource.RLIMIT_CORE, 0)):
        _, hard = resource.getrlimit(what)
        ceiling = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (ceiling, ceiling))
    kept_to((*code_places(), *readable), folder)
