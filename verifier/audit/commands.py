"""`kakuin audit` from the command line. Imports stand inside, so that `kakuin --help` costs nothing."""

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from trust.edge import options
from trust.errors import NotFound

if TYPE_CHECKING:
    from trust.edge.instance import Instance
    from trust.edge.progress import Progress
    from trust.log.examine import Root
    from trust.log.journal import Entry
    from trust.model import Cert, Crl, Document
    from verifier.audit.auditor import Auditor, Judge
    from verifier.audit.expected import Expected
    from verifier.audit.report import Report
    from verifier.audit.summary import Asked, Log
    from verifier.question import Question
    from verifier.service import Verifier

TELL = 500
"""Rows between two looks at how fast it goes."""
_FILE = click.Path(path_type=Path)
_PLAIN = click.Path(path_type=Path, dir_okay=False)


class House(Protocol):
    """What an audit needs of an instance: its log, and its seal for the report."""

    @property
    def instance(self) -> "Instance": ...

    def seal_files(self, documents: "Sequence[Document]", organisation: str | None) -> "Document":
        """All of them under one seal."""


Open = Callable[[Path, Path | None], AbstractContextManager[House]]


@dataclass(frozen=True, slots=True)
class _Source:
    """What is audited: one of the three."""

    files: tuple[Path, ...]
    listed: Path | None
    export: Path | None
    instance: Path | None


@dataclass(frozen=True, slots=True)
class _Period:
    since: datetime | None
    until: datetime | None


def _several(name: str, variable: str, metavar: str, text: str, kind: Any = _FILE) -> Callable[..., Any]:
    return click.option(name, variable, multiple=True, type=kind, metavar=metavar, help=text + " Repeatable.")


@click.command()
@click.argument("files", nargs=-1, type=_FILE, metavar="[FILE_OR_DIR]…")
@click.option("--list", "listed", type=_PLAIN, metavar="LIST", help="Files with time-stamps: a name a line, from the list's folder on.")
@click.option("--export", type=_PLAIN, metavar="FILE", help="What `kakuin log export` wrote, instead of files: nothing of the instance is needed.")
@click.option(
    "--instance", type=options.folder_path, envvar="KAKUIN_INSTANCE", metavar="DIR", help="The instance whose log is audited, or that seals."
)
@click.option("--from", "since", metavar="TIME", help="Recorded then or later (of files: stamped): 2026-06-01T09:00:00+09:00, or a date (UTC).")
@click.option("--to", "until", metavar="TIME", help="... before: a time, or a date (its beginning in UTC).")
@click.option("--expect", type=_PLAIN, metavar="LIST", help="What should be time-stamped: digests as sha256sum writes them, or names of files.")
@_several("--trust", "trust", "CERT_OR_DIR", "Whom you trust: certificates (PEM or DER), or folders of them.")
@_several("--certificate", "certificates", "FILE_OR_DIR", "Further certificates, not trusted for being given.")
@_several("--crl", "crls", "FILE", "A certificate revocation list.")
@_several("--ocsp", "ocsps", "FILE", "An OCSP answer.")
@click.option("--policy", metavar="NAME_OR_FILE", help="Validation policy: strict (the default), eu, japan, archive, or a TOML file.")
@click.option("--at", metavar="TIME", help="Judge as of this time instead of now.")
@click.option("--key", metavar="KEY", help="The log's verifier key, or a file with it.  [default: the instance's]")
@_several("--checkpoint", "checkpoints", "FILE", "A checkpoint of the log that you kept.", _PLAIN)
@click.option("--csv", "table", type=_FILE, metavar="FILE", help="Write a row for each time-stamp and finding, for spreadsheets.")
@click.option("--jsonl", "lines", type=_FILE, metavar="FILE", help="Write the same as JSON, one a line; the first line is the summary.")
@click.option("--seal", "sealed", type=_FILE, metavar="FILE", help="Write summary and table as one sealed container (ASiC-E).")
@click.option("--organisation", metavar="NUMBER", help="Who seals. Not needed where there is one organisation.")
@options.passphrase_file
@options.as_json
@click.pass_obj
def audit(
    open_house: Open,
    files: tuple[Path, ...],
    listed: Path | None,
    export: Path | None,
    instance: Path | None,
    since: str | None,
    until: str | None,
    expect: Path | None,
    trust: tuple[Path, ...],
    certificates: tuple[Path, ...],
    crls: tuple[Path, ...],
    ocsps: tuple[Path, ...],
    policy: str | None,
    at: str | None,
    key: str | None,
    checkpoints: tuple[Path, ...],
    table: Path | None,
    lines: Path | None,
    sealed: Path | None,
    organisation: str | None,
    passphrase_file: Path | None,
    as_json: bool,
) -> int:
    """Audit time-stamps: each of them judged, and all of them as a sequence.

    They come from an instance's log, from an export of one, or from files and folders. Told are gaps, doubles and reversals of serial numbers and
    times, what vouched for the clock, units that should not have issued, what is missing of a list, and whether the log is what was signed.
    A million time-stamps take the memory of a few. Nothing is fetched.

    Exit codes: 0 nothing is wrong, 1 something is, 3 cannot tell.
    """
    by_files = bool(files) or listed is not None
    if by_files and export is not None:
        raise click.UsageError("name files or an export, not both")
    if checkpoints and (by_files or (key is None and export is not None)):
        raise click.UsageError("--checkpoint goes with a log, and with an export also --key")
    if key is not None and by_files:
        raise click.UsageError("--key is a log's: files have none")
    if sealed is not None and instance is None and (by_files or export is not None):
        raise click.UsageError("--seal needs --instance: who shall seal")
    from trust.edge.clock import now
    from trust.edge.progress import Progress
    from verifier import sources
    from verifier.audit.expected import Expected
    from verifier.audit.report import Report
    from verifier.audit.summary import EXIT, render
    from verifier.service import DEFAULT_POLICY, Verifier
    from verifier.terminal import Output

    warnings.filterwarnings("ignore", module=r"cryptography|trust|verifier|asn1crypto")
    period = _Period(options.moment(since) if since else None, options.moment(until) if until else None)
    if period.since is not None and period.until is not None and period.since >= period.until:
        raise click.UsageError("the period ends before it begins")
    if missing := [path for path in files if not os.path.lexists(path)]:
        raise NotFound(f"no such file: {sources.shown(missing[0])}")
    if not by_files and export is None:
        instance = instance or Path(options.DEFAULT_INSTANCE)
    if instance is not None and not (instance / "anchors").is_dir():
        raise NotFound(f"there is no instance in {sources.shown(instance)} (no folder anchors): `kakuin init` makes one, --instance names it")
    source = _Source(files, listed, export, instance)
    anchors = sources.certificates(trust) if trust or instance is None else sources.certificates([instance / "anchors"])
    verifier = Verifier(now, sources.policy(policy or DEFAULT_POLICY), anchors)
    moment = sources.moment(at, now) if at else now()
    about = verifier.question(
        _nothing(), at=moment, certificates=sources.certificates(certificates), crls=sources.crls(crls), ocsps=sources.ocsps(ocsps)
    )
    with Progress() as progress, Expected(expect) as expected, Report(table=table, lines=lines, sealed=sealed is not None) as report:
        work = _Work(verifier, about, period, expected, report, progress)
        found = work.run(open_house, source, _Proofs(key, checkpoints))
        with Output(None, progress) as out:
            style = out.style()
            documents = report.finish(found, render(found, _plain(style.language)))
            if sealed is not None and instance is not None:
                progress.tell("sealing the report")
                with open_house(instance, passphrase_file) as house:
                    document = house.seal_files(documents, organisation)
                    options.written(options.pieces(document.open()), sealed, replace=True)
            if as_json:
                out.write_json(found, indent=2)
            else:
                out.write(render(found, style))
    return EXIT[found["conclusion"]]


def _plain(language: str) -> Any:
    from verifier.report.text import Style

    return Style(language)


def _nothing() -> "Document":
    from trust.model import Document

    return Document.of(b"")


@dataclass(frozen=True, slots=True)
class _Proofs:
    """What an auditor has of the log from elsewhere."""

    key: str | None
    checkpoints: tuple[Path, ...]

    def roots(self, key: Any) -> "list[Root]":
        from trust.edge.files import read_small
        from trust.log import monitor
        from trust.log.proving import roots_of

        kept = [(str(path), read_small(path, "checkpoint")) for path in self.checkpoints]
        return roots_of(monitor.checkpoints_of(kept, key))


class _Work:
    """One audit."""

    def __init__(
        self, verifier: "Verifier", about: "Question", period: _Period, expected: "Expected", report: "Report", progress: "Progress"
    ) -> None:
        self._verifier, self._about, self._period = verifier, about, period
        self._expected, self._report, self._progress = expected, report, progress
        self._lists: tuple[Crl, ...] = ()
        """The instance's own."""

    def run(self, open_house: Open, source: _Source, proofs: _Proofs) -> dict[str, Any]:
        """The summary; rows have gone to the report."""
        from verifier.audit.summary import summary

        log: Log | None = None
        if source.files or source.listed is not None:
            auditor = self._files(source.files, source.listed)
            kind, name = "files", ", ".join(map(str, (*source.files, *([source.listed] if source.listed else []))))
        elif source.export is not None:
            auditor, log = self._export(source.export, proofs)
            kind, name = "export", str(source.export)
        else:
            folder = source.instance or Path(options.DEFAULT_INSTANCE)
            auditor, log = self._instance(open_house, folder, proofs)
            kind, name = "instance", str(folder)
        auditor.finish(self._expected.missing(), log=log is not None)
        return summary(self._asked(kind, name), auditor, log, self._expected.listed if self._expected.there else None)

    def _asked(self, kind: str, name: str) -> "Asked":
        from verifier.audit.summary import Asked
        from verifier.bundle import engine

        about, period = self._about, self._period
        return Asked(kind, name, period.since, period.until, about.at, about.policy.name, len(about.anchors), engine().version)

    def _auditor(self, *, log: bool, whole: bool = False) -> "Auditor":
        from verifier.audit.auditor import Auditor

        return Auditor(
            self._judging,
            self._report.take,
            self._expected.called,
            log=log,
            whole=whole,
            certificates=self._about.certificates,
            since=self._period.since,
            until=self._period.until,
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

    def _files(self, paths: tuple[Path, ...], listed: Path | None) -> "Auditor":
        import contextlib

        from trust.errors import KakuinError
        from verifier.audit.sources import Shelf, document_of, token_files, token_in

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
        return auditor

    def _export(self, path: Path, proofs: _Proofs) -> "tuple[Auditor, Log]":
        from trust.log import exported
        from trust.log.proving import key_of

        roots = proofs.roots(key_of(proofs.key)) if proofs.key is not None else []
        return self._log(exported.entries(path), roots)

    def _instance(self, open_house: Open, folder: Path, proofs: _Proofs) -> "tuple[Auditor, Log]":
        import heapq

        from trust.errors import KakuinError
        from trust.log import reading
        from trust.log.examine import Finding
        from trust.log.proving import Place, key_of, signed_roots
        from trust.log.stored import Stored

        with open_house(folder, None) as house:
            instance = house.instance
            try:
                self._lists = tuple(instance.authority.crl(issuer).crl for issuer in ("root", "ca"))
            except KakuinError as error:
                click.echo(f"beware: the instance has no status list in force ({error}): name one with --crl", err=True)
            stored = Stored(instance.engine)
            key = key_of(proofs.key) if proofs.key is not None else instance.log_key
            wrong: list[Finding] = []
            roots = heapq.merge(signed_roots(Place(stored.resource, key, stored), wrong), proofs.roots(key))
            auditor, log = self._log(reading.entries(instance.engine), roots)
        for finding in wrong:
            auditor.finding(finding)
        return auditor, log

    def _log(self, entries: "Iterable[Entry]", roots: "Iterable[Root]") -> "tuple[Auditor, Log]":
        """Every entry in its order: the log is checked, and time-stamps are judged, in one pass."""
        from trust.log.examine import Examined, Examiner, continued, examined
        from verifier.audit.sources import peeked
        from verifier.audit.summary import Log

        first, stream = peeked(entries)
        whole = first is None or first.index == 0
        auditor = self._auditor(log=True, whole=whole)
        examiner = Examiner(tokens=auditor.token)
        done, counted = Examined(), _Counted(roots)
        passing = self._told(_noting(stream, auditor), "entries")
        findings = examined(passing, counted, examiner, done) if whole else continued(passing, examiner)
        for finding in findings:
            auditor.finding(finding)
        entries_seen = auditor.entries
        root = done.frontier.root().hex() if whole else None
        return auditor, Log(entries_seen, 0 if first is None else first.index, root, counted.count if whole else 0)

    def _told(self, things: "Iterable[Any]", what: str) -> "Iterator[Any]":
        """Each thing, and now and then a word about how many there were."""
        import time

        began = time.monotonic()
        for count, thing in enumerate(things, start=1):
            if count % TELL == 0:
                self._progress.tell(f"{count:,} {what}, {count / max(time.monotonic() - began, 1e-9):,.0f} a second")
            yield thing


def _noting(entries: "Iterable[Entry]", auditor: "Auditor") -> "Iterator[Entry]":
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
