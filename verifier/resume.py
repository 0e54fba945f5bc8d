"""A run over many files that can be gone on with: its answers, a line each as soon as they are there, so that a run that ended early need not begin
again.

A line that says which run begins (`run`: the bundle, the detached content and whether anything is fetched), the reports of its files, and a line that
says that it came to its end. Another run with the same file begins anew, unless it is the same run. A torn last line is cut off.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from trust.edge.files import told
from trust.errors import Conflict, Malformed
from trust.model import Document, utc
from verifier.report.json import dumps
from verifier.report.parties import Json
from verifier.sources import shown

FORM = 1


@dataclass(frozen=True, slots=True)
class Run:
    """What all answers of a run have in common."""

    id: str
    at: datetime

    @classmethod
    def of(cls, bundle: str, at: datetime, detached: Iterable[Document], *, online: bool) -> "Run":
        contents = [(d.name, found.value.hex() if (found := d.digest("sha256")) else None) for d in detached]
        return cls(hashlib.sha256(json.dumps([bundle, contents, online]).encode()).hexdigest(), at)


class State:
    """The file of a run, open for this process alone. `with State(path) as state:`, then begin()."""

    def __init__(self, path: Path) -> None:
        """Conflict where another run writes to it, or it is something else."""
        self._path = path
        self._known: dict[str, tuple[str, int, int]] = {}  # name -> digest, and where its report stands
        self._run: Run | None = None
        self._finished = False
        with told(f"write {shown(path)}"):
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            self._stream: BinaryIO = os.fdopen(handle, "r+b")
        try:
            fcntl.flock(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._stream.close()
            raise Conflict(f"another run writes to {shown(path)}") from error
        try:
            self._load()
        except BaseException:
            self._stream.close()
            raise

    def __enter__(self) -> "State":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None and self._run is not None:
            self._write({"resume": FORM, "finished": True})
        with told(f"write {shown(self._path)}"):
            os.fsync(self._stream.fileno())
            self._stream.close()

    @property
    def at(self) -> datetime | None:
        """The validation time of a run that has not come to its end: whoever goes on with it keeps it."""
        return self._run.at if self._run is not None and not self._finished else None

    def begin(self, run: Run) -> int:
        """From here on, answers are of this run. How many of them are there already."""
        if self._run != run:
            self._known.clear()
            self._write({"resume": FORM, "run": run.id, "validation_time": utc(run.at).isoformat()})
            self._run = run
        return len(self._known)

    def answer(self, name: str, path: Path) -> Json | None:
        """The report on a file of this name and content, when this run has it. None for a file that cannot be read now."""
        if name not in self._known:
            return None
        known, at, length = self._known[name]
        try:
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError:
            return None
        if digest != known:
            return None
        self._stream.seek(at)
        found: Json = json.loads(self._stream.read(length))
        return found

    def add(self, made: Json) -> None:
        """A report, in the file when this returns. What could not be judged is tried again next time."""
        if "error" not in made:
            self._write(made)

    def _write(self, line: Mapping[str, Any]) -> None:
        with told(f"write {shown(self._path)}"):
            self._stream.seek(0, os.SEEK_END)
            self._stream.write(dumps(line, only_ascii=True).encode() + b"\n")
            self._stream.flush()

    def _load(self) -> None:
        at = 0
        for line in self._stream:
            if not line.endswith(b"\n"):
                if self._run is None:
                    raise self._foreign()
                self._stream.truncate(at)  # torn: the run ended in the middle of it
                break
            self._take(line, at)
            at += len(line)

    def _take(self, line: bytes, at: int) -> None:
        try:
            found = json.loads(line)
            if found.get("resume") == FORM and "run" in found:
                run = Run(str(found["run"]), utc(datetime.fromisoformat(found["validation_time"])))
                if run != self._run:
                    self._known.clear()
                self._run, self._finished = run, False
            elif self._run is None:
                raise self._foreign()
            elif found.get("finished") is True:
                self._finished = True
            else:
                self._known[str(found["file"]["name"])] = (str(found["file"]["sha256"]), at, len(line))
                self._finished = False
        except (ValueError, LookupError, TypeError, AttributeError, Malformed) as error:
            raise self._foreign() from error

    def _foreign(self) -> Conflict:
        return Conflict(f"{shown(self._path)} is not the state of a run of kakuin verify: name another file with --resume")
