"""Many files: what `kakuin verify` does with more than one. Answers come in the order of the files, each written whole as soon as it is there."""

import contextlib
import io
import queue
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import click

from trust.edge import crew
from trust.edge.crew import Crew
from trust.edge.files import told
from trust.edge.options import written
from trust.edge.progress import Progress
from trust.edge.wire import Luggage, encode
from trust.errors import KakuinError
from verifier import bulk, sources, table
from verifier.bundle import Bundle
from verifier.hand import ALONE, FETCHING, File, Hands, Line, Setup, Wishes, save, working
from verifier.question import Question
from verifier.report.json import error_report
from verifier.report.parties import Json
from verifier.report.text import in_short, summary
from verifier.resume import Run, State
from verifier.terminal import Output

STDIN = "-"
IDLE = 0.01
"""Seconds to wait for the next job of a batch before looking at the answers again."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A file whose answer an earlier run of the same kind has."""

    name: str
    answer: Json


@dataclass
class Results:
    """Where answers go."""

    out: Output
    as_json: bool
    state: State | None = None
    table: BinaryIO | None = None
    outcomes: Counter[str] = field(default_factory=Counter)

    def take(self, name: str, made: Json, *, kept: bool) -> None:
        self.outcomes[bulk.outcome(made)] += 1
        if self.as_json:
            self.out.write_json(made)
        else:
            self.out.write(in_short(made, name, self.out.style()))
        if self.table is not None:
            self.table.write(table.row(made, name).encode("utf-8", "backslashreplace"))
        if self.state is not None and not kept:
            self.state.add(made)


Ask = Callable[[datetime | None], Question]
"""The question that all files share, about none yet; at this time, unless another was named."""


def run(
    files: Sequence[str], ask: Ask, detached: tuple[tuple[Path, str | None], ...], hands: Hands, wishes: Wishes, out: Output, progress: Progress
) -> int:
    """One time for all of the files: that of the run which is gone on with, where there is one."""
    with State(wishes.resume) if wishes.resume is not None else contextlib.nullcontext() as state, spreadsheet(wishes.csv) as rows:
        question = ask(state.at if state is not None else None)
        network = wishes.network
        if network is not None and wishes.save_bundle is not None:
            with told(f"make {sources.shown(wishes.save_bundle)}"):
                wishes.save_bundle.mkdir(parents=True, exist_ok=True)
            network = replace(network, bundles=wishes.save_bundle)
        elif wishes.save_bundle is not None:
            save(Bundle.of(question), wishes.save_bundle)
        if state is not None:
            digest = question.bundle or Bundle.of(question).digest
            kept = state.begin(Run.of(digest, question.at, sources.opened(detached), online=network is not None))
            if kept:
                click.echo(f"going on with the run of {question.at:%Y-%m-%d %H:%M:%SZ}: {kept} files were answered", err=True)
        return verify(files, Setup(question, detached, network), hands, Results(out, wishes.as_json, state, rows), progress)


def verify(files: Sequence[str], setup: Setup, hands: Hands, results: Results, progress: Progress) -> int:
    """Each file's answer as soon as it and those before it are there, then how many of each. The exit code is the worst of theirs."""
    rate = Rate(_count(files) if progress.seen else None)
    interrupts = Interrupts()
    try:
        with _spooling() as spool, contextlib.closing(_answers(_tasks(files, spool, results.state), setup, hands)) as answers:
            for task, made in answers:
                with interrupts.held():
                    results.take(task.name, made, kept=isinstance(task, Kept))
                progress.tell(rate.told(results.outcomes.total(), kept=isinstance(task, Kept)))
    except KeyboardInterrupt:
        with progress.hidden():
            again = "the same command goes on from here" if results.state is not None else "with --resume STATE a run can be gone on with"
            click.echo(f"stopped after {results.outcomes.total()} files ({again})", err=True)
        raise
    total = summary(results.outcomes, results.out.style())
    if results.as_json:
        click.echo(total, nl=False, err=True)
    else:
        results.out.write(total)
    return bulk.exit_code(results.outcomes)


def batch(stream: io.TextIOBase, setup: Setup, hands: Hands, out: Output, progress: Progress) -> int:
    """A job a line in, an answer a line out, in order; in this process unless a number of others was named.

    The exit code tells that all of them were answered.
    """
    hands = replace(hands, jobs=hands.jobs or ALONE)
    rate, interrupts = Rate(None), Interrupts()
    lines = (Line(text) for text in stream if text.strip()) if hands.jobs == ALONE else _coming(stream)
    with contextlib.closing(_answers(lines, setup, hands)) as answers:
        for count, (_, made) in enumerate(answers, start=1):
            with interrupts.held():
                out.write_json(made)
            progress.tell(rate.told(count, kept=False))
    return 0


def _answers(tasks: Iterable[File | Line | Kept | None], setup: Setup, hands: Hands) -> Generator[tuple[Any, Json], None, None]:
    if hands.jobs == ALONE:
        work = working(setup)
        for task in tasks:
            if task is not None:
                yield task, task.answer if isinstance(task, Kept) else work(task)
        return
    workers = crew.processors() if hands.jobs is None else hands.jobs
    waiting = FETCHING if setup.network else 0.0
    data = encode(setup, Luggage())
    with Crew[File | Line | Kept]("verifier.hand:hand", data, workers=workers, seconds=hands.seconds, waiting=waiting) as working_crew:
        for task, made in working_crew.answers(tasks, _encoded):
            yield task, task.answer if isinstance(task, Kept) else _report(task, made)


def _encoded(task: File | Line | Kept) -> bytes | None:
    return None if isinstance(task, Kept) else task.encoded()


def _report(task: File | Line, made: bytes | KakuinError) -> Json:
    if isinstance(made, KakuinError):
        return {**bulk.named(task.text), **error_report(made)} if isinstance(task, Line) else error_report(made)
    return bulk.loads(made)


def _tasks(files: Sequence[str], spool: Callable[[BinaryIO], Path], state: State | None) -> Iterator[File | Kept]:
    for file in files:
        if file == STDIN:
            yield File(spool(sys.stdin.buffer), "standard input")
        elif Path(file).is_fifo():  # `kakuin verify <(curl …) <(curl …)`: only this process has it
            with Path(file).open("rb") as stream:
                yield File(spool(stream), file)
        else:
            for path in bulk.files([Path(file)]):
                made = state.answer(str(path), path) if state is not None else None
                record = bulk.beside(path) if Path(file).is_dir() else None
                yield Kept(str(path), made) if made is not None else File(path, str(path), record)


def _count(files: Sequence[str]) -> int | None:
    """How many there will be; None where only the end will tell."""
    try:
        return sum(1 for file in files for _ in bulk.files([Path(file)]))
    except KakuinError:
        return None


@contextlib.contextmanager
def _spooling() -> Iterator[Callable[[BinaryIO], Path]]:
    """Streams as files, for as long as the work takes."""
    with contextlib.ExitStack() as kept:

        def spool(stream: BinaryIO) -> Path:
            file = kept.enter_context(tempfile.NamedTemporaryFile(prefix="kakuin-"))
            shutil.copyfileobj(stream, file)
            file.flush()
            return Path(file.name)

        yield spool


def _coming(stream: io.TextIOBase) -> Iterator[Line | None]:
    """The jobs as they arrive, and None while there is none: whoever writes the next only after an answer gets that answer."""
    arrived: queue.Queue[str | None] = queue.Queue(maxsize=1000)

    def read() -> None:
        with contextlib.suppress(ValueError):  # closed while it was read
            for text in stream:
                arrived.put(text)
        arrived.put(None)

    threading.Thread(target=read, daemon=True).start()
    while True:
        try:
            text = arrived.get(timeout=IDLE)
        except queue.Empty:
            yield None
            continue
        if text is None:
            return
        if text.strip():
            yield Line(text)


@contextlib.contextmanager
def spreadsheet(path: Path | None) -> Iterator[BinaryIO | None]:
    """Where the rows of a table go: a file that is there whole when everything went well."""
    if path is None:
        yield None
        return
    with tempfile.TemporaryFile() as rows:
        rows.write(table.heading().encode())
        yield rows
        rows.seek(0)
        written(iter(lambda: rows.read(1 << 20), b""), path, replace=True)


class Interrupts:
    """Ctrl-C, kept waiting while an answer is written, so that what was written is whole. A second one does not wait."""

    def __init__(self) -> None:
        self._caught = False

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGINT, self._catch)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
        if self._caught:
            raise KeyboardInterrupt

    def _catch(self, *_: object) -> None:
        if self._caught:
            raise KeyboardInterrupt
        self._caught = True


class Rate:
    """How fast it goes, and for how long still."""

    def __init__(self, total: int | None, stopwatch: Callable[[], float] = time.monotonic) -> None:
        self._total, self._stopwatch = total, stopwatch
        self._began = stopwatch()
        self._kept = 0

    def told(self, done: int, *, kept: bool) -> str:
        """`812 of 1,728 files, 45.2 a second, about 20 s left`; files that were answered before say nothing about speed."""
        self._kept += kept
        seconds = self._stopwatch() - self._began
        speed = (done - self._kept) / seconds if seconds > 0 else 0.0
        text = f"{done:,} files" if self._total is None else f"{done:,} of {self._total:,} files"
        if speed > 0:
            text += f", {speed:.1f} a second"
            if self._total is not None:
                text += f", about {_span((self._total - done) / speed)} left"
        return text


def _span(seconds: float) -> str:
    whole = max(round(seconds), 0)
    if whole < 100:
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 6000 else f"{whole / 3600:.1f} h"
