"""One audit, from where its time-stamps come from to its summary: in the process that was asked, or in one that is kept apart from keys."""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trust.edge.clock import now
from trust.edge.progress import Progress
from trust.errors import KakuinError
from trust.log import exported
from trust.log.examine import Examined, Examiner, Finding, continued, examined
from trust.model import Crl, Document
from verifier import sources
from verifier.audit.auditor import Auditor
from verifier.audit.expected import Expected
from verifier.audit.report import Rows
from verifier.audit.rows import Row
from verifier.audit.sources import Shelf, document_of, peeked, token_files, token_in
from verifier.audit.summary import Asked, Log, summary
from verifier.bundle import engine
from verifier.service import DEFAULT_POLICY, Verifier

if TYPE_CHECKING:
    from trust.log.examine import Root
    from trust.log.journal import Entry
    from trust.model import Cert
    from verifier.audit.auditor import Judge
    from verifier.question import Question
    from verifier.report.parties import Json

TELL = 500
"""Rows between two looks at how fast it goes."""
ROOTS, WRONG = "roots.jsonl", "wrong.jsonl"
"""What is known of the log besides its entries, where another process reads these."""


@dataclass(frozen=True, slots=True)
class Period:
    since: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True)
class About:
    """By what is judged, as somebody names it: files and folders."""

    trust: tuple[str, ...]
    certificates: tuple[str, ...]
    crls: tuple[str, ...]
    ocsps: tuple[str, ...]
    policy: str
    at: str
    """ISO 8601."""
    since: str | None
    until: str | None
    expect: str | None

    @property
    def period(self) -> Period:
        return Period(*(None if each is None else datetime.fromisoformat(each) for each in (self.since, self.until)))

    @property
    def files(self) -> "tuple[Path, ...]":
        """All that it names."""
        named = (*self.trust, *self.certificates, *self.crls, *self.ocsps, self.policy, *([self.expect] if self.expect else []))
        return tuple(map(Path, named))


@contextlib.contextmanager
def working(about: About, take: Callable[[Row], None], progress: Progress, lists: tuple[Crl, ...] = ()) -> "Iterator[Work]":
    """An audit that can begin. `lists`: the instance's own."""

    def paths(names: Iterable[str]) -> list[Path]:
        return [Path(name) for name in names]

    verifier = Verifier(now, sources.policy(about.policy or DEFAULT_POLICY), sources.certificates(paths(about.trust)))
    question = verifier.question(
        Document.of(b""),
        at=datetime.fromisoformat(about.at),
        certificates=sources.certificates(paths(about.certificates)),
        crls=sources.crls(paths(about.crls)),
        ocsps=sources.ocsps(paths(about.ocsps)),
    )
    with Expected(Path(about.expect) if about.expect else None) as expected:
        yield Work(verifier, question, about.period, expected, take, progress, lists)


class Work:
    """One audit."""

    def __init__(
        self,
        verifier: Verifier,
        about: "Question",
        period: Period,
        expected: Expected,
        take: Callable[[Row], None],
        progress: Progress,
        lists: tuple[Crl, ...] = (),
    ) -> None:
        self._verifier, self._about, self._period = verifier, about, period
        self._expected, self._take, self._progress = expected, take, progress
        self._lists = lists

    def files(self, paths: tuple[Path, ...], listed: Path | None) -> "Json":
        """The summary of files; rows have gone where they shall."""
        auditor = self._auditor(log=False)
        with contextlib.closing(Shelf()) as shelf:
            for path in self._told(token_files(paths, listed), "files"):
                try:
                    data = token_in(path)
                except KakuinError as error:
                    auditor.unread(str(path), str(error))
                    continue
                if data is None:
                    auditor.totals.skipped += 1
                elif (judged := auditor.judged(str(path), data, document_of(path))) is not None:
                    shelf.put(*judged)
            for row, copy in shelf.rows():
                auditor.in_order(row, copy=copy)
        name = ", ".join(map(str, (*paths, *([listed] if listed else []))))
        return self._summary("files", name, auditor, None)

    def log(self, kind: str, name: str, entries: "Iterable[Entry]", roots: "Iterable[Root]", wrong: "Iterable[Finding]" = ()) -> "Json":
        """The summary of a log. Every entry in its order: the log is checked, and time-stamps are judged, in one pass."""
        first, stream = peeked(entries)
        whole = first is None or first.index == 0
        auditor = self._auditor(log=True, whole=whole)
        examiner = Examiner(tokens=auditor.token)
        done, counted = Examined(), _Counted(roots)
        passing = self._told(noting(stream, auditor), "entries")
        findings = examined(passing, counted, examiner, done) if whole else continued(passing, examiner)
        for finding in findings:
            auditor.finding(finding)
        entries_seen = auditor.entries
        root = done.frontier.root().hex() if whole else None
        for finding in wrong:
            auditor.finding(finding)
        return self._summary(kind, name, auditor, Log(entries_seen, 0 if first is None else first.index, root, counted.count if whole else 0))

    def _summary(self, kind: str, name: str, auditor: Auditor, log: Log | None) -> "Json":
        auditor.finish(self._expected.missing(), log=log is not None)
        return summary(self._asked(kind, name), auditor, log, self._expected.listed if self._expected.there else None)

    def _asked(self, kind: str, name: str) -> "Asked":
        about, period = self._about, self._period
        return Asked(kind, name, period.since, period.until, about.at, about.policy.name, len(about.anchors), engine().version)

    def _auditor(self, *, log: bool, whole: bool = False) -> "Auditor":
        return Auditor(
            self._judging,
            self._take,
            self._expected.called,
            log=log,
            whole=whole,
            certificates=self._about.certificates,
            since=self._period.since,
            until=self._period.until,
            at=self._about.at,
        )

    def _judging(self, certificates: "Iterable[Cert]") -> "Judge":
        about = self._about
        return self._verifier.token_judge(
            at=about.at,
            policy=about.policy,
            certificates=tuple(dict.fromkeys((*about.certificates, *certificates))),
            crls=(*about.crls, *self._lists),
            ocsps=about.ocsps,
        )

    def _told(self, things: "Iterable[Any]", what: str) -> "Iterator[Any]":
        """Each thing, and now and then a word about how many there were."""
        began = time.monotonic()
        for count, thing in enumerate(things, start=1):
            if count % TELL == 0:
                self._progress.tell(f"{count:,} {what}, {count / max(time.monotonic() - began, 1e-9):,.0f} a second")
            yield thing


def noting(entries: "Iterable[Entry]", auditor: "Auditor") -> "Iterator[Entry]":
    """What entries other than tokens say is known before the tokens behind them are looked at."""
    for entry in entries:
        auditor.entries += 1
        if entry.kind != "token":
            auditor.other(entry)
        yield entry


class _Counted:
    """Roots, counted as they go by."""

    def __init__(self, roots: "Iterable[Root]") -> None:
        self._roots = roots
        self.count = 0

    def __iter__(self) -> "Iterator[Root]":
        for root in self._roots:
            self.count += 1
            yield root


def apart(options: dict[str, Any], folder: Path) -> "Json":
    """trust.edge.apart: an audit whose caller holds keys afterwards. Its rows and tables are files in `folder`, a log comes as an export through
    standard input, and what is known of it besides lies in the folder.
    """
    said: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in options["about"].items()}
    with (
        Progress() as progress,
        contextlib.closing(Rows(folder, csv=True, lines=options["lines"])) as rows,
        working(About(**said), rows.take, progress) as made,
    ):
        if options["kind"] == "files":
            return made.files(tuple(map(Path, options["files"])), Path(options["listed"]) if options["listed"] else None)
        entries = exported.lines(sys.stdin.buffer)
        return made.log(options["kind"], options["name"], entries, _roots(folder / ROOTS), _wrong(folder / WRONG))


def kept(folder: Path, roots: "Iterable[Root]", wrong: list[Finding]) -> None:
    """What `apart` is told of a log besides its entries. `wrong` is what `roots` found on the way."""
    with (folder / ROOTS).open("w") as out:
        out.writelines(json.dumps([size, root.hex(), who]) + "\n" for size, root, who in roots)
    with (folder / WRONG).open("w") as out:
        out.writelines(json.dumps(asdict(finding)) + "\n" for finding in wrong)


def _roots(path: Path) -> "Iterator[Root]":
    with path.open() as stream:
        for line in stream:
            size, root, who = json.loads(line)
            yield size, bytes.fromhex(root), who


def _wrong(path: Path) -> Iterator[Finding]:
    with path.open() as stream:
        yield from (Finding(**json.loads(line)) for line in stream)
