"""Many files in one warm process: a job a line in, an answer a line out, in the order of the jobs. A file that breaks one job never ends the batch.

Certificates, status data and policies that jobs name again and again are read once (verifier.sources).
"""

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trust.codecs.jose import unique
from trust.errors import KakuinError, Malformed, NotFound, TooLarge
from trust.model import Document
from verifier import sources
from verifier.report.json import error_report
from verifier.report.parties import Json
from verifier.service import Question, Verifier
from verifier.verdict import EXIT_CODE, Conclusion

_LOG = logging.getLogger("kakuin.verifier")

Answer = Callable[[Question], Json]
"""`verifier.service.answer`, here or in another process."""

MAX_LINE = 8 << 20
"""Characters of one job: 50,000 detached files are named in that."""


@dataclass(frozen=True, slots=True)
class Job:
    """One line of a batch."""

    file: str
    id: object = None
    world: object = None
    """Handed back with the answer, both."""
    detached: tuple[object, ...] = ()
    """Each a path, or {file, name}, or {digest (base64), algorithm, name}."""
    trust: tuple[str, ...] | None = None
    """Certificates and folders of them; None: the verifier's own anchors."""
    certificates: tuple[str, ...] = ()
    crls: tuple[str, ...] = ()
    ocsps: tuple[str, ...] = ()
    evidence_records: tuple[str, ...] = ()
    time: str | None = None
    policy: str | None = None


_LISTS = ("trust", "certificates", "crls", "ocsps", "evidence_records")


def parse(line: str) -> Job:
    """A job from its line of JSON. Malformed names the key that is wrong; a key that is not known is wrong too, because it may matter."""
    if len(line) > MAX_LINE:
        raise TooLarge(f"job is over {MAX_LINE} characters")
    try:
        value = json.loads(line, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise Malformed("job is not JSON") from error
    if not isinstance(value, dict):
        raise Malformed(f"job is an object, got {type(value).__name__}")
    known = set(Job.__dataclass_fields__)
    if unknown := sorted(set(value) - known):
        raise Malformed(f"job has an unknown key {unknown[0][:40]!r}, expected {' '.join(sorted(known))}")
    made: dict[str, Any] = {k: v for k, v in value.items() if v is not None}
    for key in ("file", "time", "policy"):
        if not isinstance(made.get(key, ""), str):
            raise Malformed(f"job: {key} is a text, got {type(made[key]).__name__}")
    for key in _LISTS:
        if key in made:
            made[key] = _texts(key, made[key])
    if "detached" in made:
        if not isinstance(made["detached"], list):
            raise Malformed(f"job: detached is a list, got {type(made['detached']).__name__}")
        made["detached"] = tuple(made["detached"])
    if not made.get("file"):
        raise Malformed("job: file is missing")
    return Job(**made)


def _texts(key: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise Malformed(f"job: {key} is a list of texts")
    return tuple(value)


def question(job: Job, verifier: Verifier) -> Question:
    """What a job asks. Errors name the file or the key."""
    return verifier.question(
        _document(_path(job.file)),
        [d for item in job.detached for d in _detached(item)],
        anchors=sources.certificates(map(_path, job.trust)) if job.trust is not None else None,
        at=sources.moment(job.time, verifier.clock) if job.time is not None else None,
        policy=sources.policy(job.policy) if job.policy is not None else None,
        certificates=sources.certificates(map(_path, job.certificates)),
        crls=sources.crls(map(_path, job.crls)),
        ocsps=sources.ocsps(map(_path, job.ocsps)),
        records=[sources.document(_path(r)) for r in job.evidence_records],
    )


SMALL = 1 << 20
"""Bytes of a file that is opened once, and then read from memory: recognising and reading it takes four looks."""


def _document(path: Path) -> Document:
    """As `sources.document`, with the same errors."""
    try:
        with path.open("rb") as stream:
            data = stream.read(SMALL + 1)
    except (OSError, ValueError):
        return sources.document(path)
    if not data or len(data) > SMALL:
        return sources.document(path)
    return Document.of(data, path.name)


def _path(text: str) -> Path:
    if "\0" in text:
        raise NotFound("no such file: its name has a zero byte")
    return Path(text)


def _detached(item: object) -> tuple[Document, ...]:
    match item:
        case str():
            return sources.detached([_path(item)])
        case {"file": str(path), **more}:
            name = more.get("name")
            if name is None:
                return sources.detached([_path(path)])
            return (sources.document(_path(path), _name(name)),)
        case {"digest": str(digest), "algorithm": str(algorithm), **more}:
            name = more.get("name")
            return (sources.known_by_digest(algorithm, digest, None if name is None else _name(name)),)
    raise Malformed("job: detached has a path, {file, name} or {digest, algorithm, name} for each document")


def _name(value: object) -> str:
    if not isinstance(value, str):
        raise Malformed(f"job: name of a detached document is a text, got {type(value).__name__}")
    return value


def answers(lines: Iterable[str], verifier: Verifier, answer: Answer, stopwatch: Callable[[], float] = time.perf_counter) -> Iterator[Json]:
    """The answer to each job, as soon as it is there: the JSON report, with the job's `id` and `world` and the milliseconds that it took.

    Empty lines are skipped. `stopwatch` counts seconds.
    """
    for line in lines:
        if not line.strip():
            continue
        began = stopwatch()
        named: Json = {}

        def work(line: str = line, named: Json = named) -> Json:
            job = parse(line)
            named.update((k, v) for k, v in (("id", job.id), ("world", job.world)) if v is not None)
            return answer(question(job, verifier))

        made = guarded(work)
        yield {**named, **made, "ms": round((stopwatch() - began) * 1000, 3)}


def named(line: str) -> Json:
    """The `id` and `world` of a job, as far as its line can be read."""
    try:
        job = parse(line)
    except KakuinError:
        return {}
    return {k: v for k, v in (("id", job.id), ("world", job.world)) if v is not None}


def guarded(work: Callable[[], Json]) -> Json:
    """A report, whatever happens: the next file gets its turn."""
    try:
        return work()
    except KakuinError as error:
        return error_report(error)
    except MemoryError:
        return error_report(TooLarge("work on this file needs more memory than is allowed"))
    except Exception as error:  # noqa: BLE001  # a defect of ours: told in the log, and never the end of the others
        _LOG.exception("a file could not be judged because of a defect")
        return error_report(error)


RECORD = ".ers"
"""How an evidence record is called that stands beside its document: NAME.ers beside NAME."""
BATCH_INDEX = "kakuin-batch-"
"""How the names of the indexes begin that `kakuin stamp --batch` leaves: they are about documents, and are none."""


def beside(document: Path) -> Path | None:
    """The evidence record that stands beside a document."""
    record = document.with_name(document.name + RECORD)
    return record if record.is_file() else None


def proved(record: Path) -> Path | None:
    """The document beside which an evidence record stands."""
    document = record.with_name(record.name.removesuffix(RECORD))
    return document if document != record and document.is_file() else None


def files(paths: Iterable[Path]) -> Iterator[Path]:
    """Each file, those under folders in the order of their names. NotFound for a folder without files.

    Of a folder, hidden files are left out, indexes of batches, and evidence records that stand beside their documents: they are read with them.
    """
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = False
        for inside in _under(path):
            found = True
            yield inside
        if not found:
            raise NotFound(f"folder {sources.shown(path)} has no files")


def _under(folder: Path) -> Iterator[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise NotFound(f"cannot read folder {sources.shown(folder)}: {(error.strerror or 'input/output error').lower()}") from error
    for entry in entries:
        if entry.name.startswith((".", BATCH_INDEX)) or (entry.name.endswith(RECORD) and proved(entry) is not None):
            continue
        if entry.is_dir() and not entry.is_symlink():
            yield from _under(entry)
        elif entry.is_file():
            yield entry


def loads(made: bytes) -> Json:
    """A report that another process wrote. Malformed for anything else."""
    try:
        report = json.loads(made)
    except (ValueError, RecursionError) as error:
        raise Malformed("a process for reading files answered nothing that is understood") from error
    if not isinstance(report, dict):
        raise Malformed("a process for reading files answered with no report")
    return report


SEVERITY = ("failed", "error", "indeterminate", "nothing_signed", "passed")
"""The worst first: the verdict for a whole set is that of its worst file."""
ERROR_EXIT = 65
"""EX_DATAERR: some file of a set could not be judged, and none failed."""


def outcome(made: Json) -> str:
    """failed, error, indeterminate, nothing_signed or passed."""
    return "error" if "error" in made else str(made["conclusion"])


def exit_code(outcomes: Counter[str]) -> int:
    """One code for a set of files, by its worst."""
    worst = next((o for o in SEVERITY if outcomes[o]), "passed")
    return ERROR_EXIT if worst == "error" else EXIT_CODE[Conclusion(worst)]
