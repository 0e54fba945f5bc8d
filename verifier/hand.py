"""One of the hands that verify many files: what all files share, told once; then a task in, the JSON report out.

The same in a worker process (trust.edge.crew) and without one, so that it makes no difference who did the work.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from trust.edge.wire import decode, encode
from trust.errors import Malformed
from trust.model import Document
from verifier import bulk, service, sources
from verifier.bundle import Bundle
from verifier.question import Question
from verifier.report.json import dumps
from verifier.report.parties import Json

NOTHING = Document.of(b"")
"""The document of a question that is about none yet."""
ALONE = 0
"""As a number of jobs: in this process, where nothing protects the other files from one that crashes its reader."""
FETCHING = 120.0
"""Seconds by the wall clock that fetching for one file may take, its reading included."""


@dataclass(frozen=True, slots=True)
class Network:
    """Fetching was asked for."""

    allow_private: bool = False
    bundles: Path | None = None
    """Folder into which each file's bundle is written: what was fetched for it is in none but its own."""


@dataclass(frozen=True, slots=True)
class Hands:
    """Who does the work."""

    jobs: int | None = None
    """Processes; None: as many as there are processors. ALONE: none beside this one."""
    seconds: float = 60.0
    """Of processor time for one file, four times that by the wall clock."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What else was asked for."""

    as_json: bool = False
    csv: Path | None = None
    resume: Path | None = None
    save_bundle: Path | None = None
    network: Network | None = None


@dataclass(frozen=True, slots=True)
class Setup:
    """What all files share."""

    question: Question
    """About NOTHING."""
    detached: tuple[tuple[Path, str | None], ...] = ()
    """Detached content: path and name."""
    network: Network | None = None


@dataclass(frozen=True, slots=True)
class File:
    path: Path
    name: str
    """As the report calls it."""
    record: Path | None = None
    """An evidence record that stands beside it."""

    def encoded(self) -> bytes:
        return encode(("file", self.path, self.name, self.record))


@dataclass(frozen=True, slots=True)
class Line:
    """A job of a batch, as it stands."""

    text: str

    def encoded(self) -> bytes:
        return encode(("job", self.text))


def hand(setup: bytes) -> Callable[[bytes], bytes]:
    """For a Crew: `setup` is an encoded Setup, tasks are encoded Files and Lines, answers are JSON."""
    work = working(decode(setup))

    def handle(task: bytes) -> bytes:
        match decode(task):
            case ("file", Path() as path, str(name), Path() | None as record):
                made = work(File(path, name, record))
            case ("job", str(text)):
                made = work(Line(text))
            case _:
                raise Malformed("task is not understood")
        return dumps(made, only_ascii=True).encode()

    return handle


def working(setup: Setup) -> Callable[[File | Line], Json]:
    """What answers each task: certificates, lists and policies that many tasks name are read once."""
    template = replace(setup.question, detached=sources.opened(setup.detached))
    ask = functools.partial(_answered, network=setup.network, fetch=_Fetching(setup.network)) if setup.network else service.answer

    def work(task: File | Line) -> Json:
        if isinstance(task, Line):
            return next(bulk.answers([task.text], _verifier(template), ask))
        return bulk.guarded(lambda: ask(_about(task, template)))

    return work


def _about(task: File, template: Question) -> Question:
    """With what stands beside it: a document's evidence record, or the document of a record that was named itself."""
    records = () if task.record is None else (sources.document(task.record),)
    document = bulk.proved(task.path) if task.name.endswith(bulk.RECORD) and not template.detached else None
    detached = template.detached if document is None else (sources.document(document),)
    return replace(template, document=sources.document(task.path, task.name), detached=detached, records=(*template.records, *records))


def _verifier(template: Question) -> service.Verifier:
    from trust.edge.clock import now

    return service.Verifier(now, template.policy, template.anchors)


class _Fetching:
    """One client for all files of this hand: what it has fetched once it has."""

    def __init__(self, network: Network | None) -> None:
        from trust.edge.fetch import Fetcher

        self.fetcher = Fetcher(allow_private=network is not None and network.allow_private)


def _answered(question: Question, network: Network, fetch: _Fetching) -> Json:
    from verifier.online import informed

    fetch.fetcher.renew()
    known = informed(question, fetch.fetcher.get, fetch.fetcher.post)
    if network.bundles is not None:
        save(Bundle.of(known), network.bundles)
    return service.answer(known)


def save(bundle: Bundle, path: Path) -> Path:
    """Write a bundle to a file, or under its digest into a folder."""
    from trust.edge.files import write_atomically

    target = path / f"{bundle.digest}.zip" if path.is_dir() else path
    write_atomically(target, bundle.pack())
    return target
