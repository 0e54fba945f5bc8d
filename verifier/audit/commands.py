"""`kakuin audit` from the command line. Imports stand inside, so that `kakuin --help` costs nothing."""

import contextlib
import heapq
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from trust.edge import options
from trust.errors import NotFound

if TYPE_CHECKING:
    from trust.edge.instance import Instance
    from trust.log.examine import Finding, Root
    from trust.log.journal import Entry
    from trust.model import Crl, Document
    from verifier.audit.work import About
    from verifier.report.parties import Json

_FILE = click.Path(path_type=Path)
_PLAIN = click.Path(path_type=Path, dir_okay=False)


class House(Protocol):
    """What an audit needs of an instance: its log, and its seal for the report."""

    @property
    def instance(self) -> "Instance": ...

    def seal_files(self, documents: "Sequence[Document]", organisation: str | None) -> "Document":
        """All of them under one seal."""


Open = Callable[[Path, Path | None], AbstractContextManager[House]]


def _several(name: str, variable: str, metavar: str, text: str, kind: Any = _FILE) -> Callable[..., Any]:
    return click.option(name, variable, multiple=True, type=kind, metavar=metavar, help=text + " Repeatable.")


@click.command()
@click.argument("files", nargs=-1, type=_FILE, metavar="[FILE_OR_DIR]…")
@click.option("--list", "listed", type=_PLAIN, metavar="LIST", help="Files with time-stamps: a name a line, from the list's folder on.")
@click.option("--export", type=_PLAIN, metavar="FILE", help="What `kakuin log export` wrote, instead of files: nothing of the instance is needed.")
@click.option(
    "--instance", type=options.folder_path, envvar="KAKUIN_INSTANCE", metavar="DIR", help="The instance whose log is audited, or that seals."
)
@click.option(
    "--from",
    "since",
    metavar="TIME",
    help="Recorded then or later (of files: stamped): a time (2026-06-01T09:00:00+09:00), or the first moment of a day, "
    "a month or a year (2026-06-01, 2026-06+09:00; UTC where no zone is named).",
)
@click.option("--to", "until", metavar="TIME", help="... before: likewise, so that `--from 2026-06 --to 2026-07` is June.")
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
    A million time-stamps take the memory of a few. Nothing is fetched. - is standard output; the summary then goes to standard error.

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
    piped = [table, lines, sealed].count(options.STDIO)
    if piped > 1:
        raise click.UsageError("one of --csv, --jsonl and --seal can go to standard output")
    from trust.edge.clock import now
    from trust.edge.progress import Progress
    from verifier import sources
    from verifier.audit.report import Report
    from verifier.audit.summary import EXIT, render
    from verifier.audit.work import About, working
    from verifier.terminal import Output

    warnings.filterwarnings("ignore", module=r"cryptography|trust|verifier|asn1crypto")
    begins, ends = options.moment(since) if since else None, options.moment(until) if until else None
    if begins is not None and ends is not None and begins >= ends:
        raise click.UsageError("the period ends before it begins")
    if missing := [path for path in files if not os.path.lexists(path)]:
        raise NotFound(f"no such file: {sources.shown(missing[0])}")
    if not by_files and export is None:
        instance = instance or Path(options.DEFAULT_INSTANCE)
    if instance is not None and not (instance / "anchors").is_dir():
        raise NotFound(f"there is no instance in {sources.shown(instance)} (no folder anchors): `kakuin init` makes one, --instance names it")
    about = About(
        trust=_named(trust if trust or instance is None else (instance / "anchors",)),
        certificates=_named(certificates),
        crls=_named(crls),
        ocsps=_named(ocsps),
        policy=policy or "",
        at=(sources.moment(at, now) if at else now()).isoformat(),
        since=begins.isoformat() if begins is not None else None,
        until=ends.isoformat() if ends is not None else None,
        expect=str(expect) if expect is not None else None,
    )
    proofs = _Proofs(key, checkpoints)
    with Progress() as progress, Report(table=table, lines=lines, sealed=sealed is not None) as report:
        if sealed is not None:
            found = _apart(open_house, about, files, listed, export, instance, proofs, report.folder, rows=lines is not None)
        elif by_files:
            with contextlib.closing(report.rows()) as rows, working(about, rows.take, progress) as work:
                found = work.files(files, listed)
        else:
            with (
                _log(open_house, export, instance, proofs) as log,
                contextlib.closing(report.rows()) as rows,
                working(about, rows.take, progress, log.lists) as work,
            ):
                found = work.log(log.kind, log.name, log.entries, log.roots, log.wrong)
        with Output(None, progress) as out:
            if piped:
                out.stream = sys.stderr
            said = render(found, out.style())
            documents = report.finish(found, render(found, _plain(out.style().language)))
            if sealed is not None and instance is not None:
                progress.tell("sealing the report")
                with open_house(instance, passphrase_file) as house:
                    document = house.seal_files(documents, organisation)
                    options.written(options.pieces(document.open()), sealed, replace=True)
            if as_json:
                out.write_json(found, indent=2)
            else:
                out.write(said)
    return EXIT[found["conclusion"]]


def _named(paths: "Iterable[Path]") -> tuple[str, ...]:
    return tuple(map(str, paths))


def _plain(language: str) -> Any:
    from verifier.report.text import Style

    return Style(language)


@dataclass(frozen=True, slots=True)
class _Proofs:
    """What an auditor has of the log from elsewhere."""

    key: str | None
    checkpoints: tuple[Path, ...]

    def all(self) -> "list[Root]":
        """Where no instance says a key."""
        from trust.log.proving import key_of

        return self.roots(key_of(self.key)) if self.key is not None else []

    def roots(self, key: Any) -> "list[Root]":
        from trust.edge.files import read_small
        from trust.log import checking, monitor

        kept = [(str(path), read_small(path, "checkpoint")) for path in self.checkpoints]
        return checking.roots_of(monitor.checkpoints_of(kept, key))


@dataclass(frozen=True, slots=True)
class _Log:
    """A log to be audited."""

    kind: str
    name: str
    entries: "Iterable[Entry]"
    roots: "Iterable[Root]"
    wrong: "list[Finding]"
    """Of its own checkpoints: filled while the roots are read."""
    lists: "tuple[Crl, ...]" = ()


@contextlib.contextmanager
def _log(open_house: Open, export: Path | None, instance: Path | None, proofs: _Proofs) -> "Iterator[_Log]":
    """That of an export, or an instance's own. Its time-stamps are looked at by whoever reads the entries, and not here."""
    from trust.log import exported
    from trust.log.proving import key_of

    if export is not None:
        yield _Log("export", str(export), exported.entries(export), proofs.all(), [])
        return
    from trust.errors import KakuinError
    from trust.log import checking, reading
    from trust.log.stored import Stored

    folder = instance or Path(options.DEFAULT_INSTANCE)
    with open_house(folder, None) as house:
        own = house.instance
        lists: tuple[Crl, ...] = ()
        try:
            lists = tuple(own.authority.crl(issuer).crl for issuer in ("root", "ca"))
        except KakuinError as error:
            click.echo(f"beware: the instance has no status list in force ({error}): name one with --crl", err=True)
        stored = Stored(own.engine)
        key = key_of(proofs.key) if proofs.key is not None else own.log_key
        wrong: list[Finding] = []
        roots = heapq.merge(checking.signed_roots(stored, (key,), wrong), proofs.roots(key))
        yield _Log("instance", str(folder), reading.entries(own.engine), roots, wrong, lists)


def _apart(
    open_house: Open,
    about: "About",
    files: tuple[Path, ...],
    listed: Path | None,
    export: Path | None,
    instance: Path | None,
    proofs: _Proofs,
    folder: Path,
    *,
    rows: bool,
) -> "Json":
    """The same in a process that ends before a key is opened in this one: whoever made the time-stamps made what is read there (trust.edge.apart)."""
    from trust.edge.apart import run
    from trust.log import reading
    from verifier.audit.work import kept

    def told(kind: str, name: str, about: "About") -> dict[str, Any]:
        return {"kind": kind, "name": name, "about": asdict(about), "files": _named(files), "listed": listed and str(listed), "lines": rows}

    target = "verifier.audit.work:apart"
    if files or listed is not None:
        return dict(run(target, told("files", "", about), folder, readable=(*about.files, *_read_beside(about, files, listed))))
    beside = (*about.files, *_read_beside(about, (), None))
    if export is not None:
        kept(folder, proofs.all(), [])
        return dict(run(target, told("export", str(export), about), folder, readable=beside, lines=_raw(export)))
    with _log(open_house, None, instance, proofs) as log:
        kept(folder, log.roots, log.wrong)
        names = []
        for number, each in enumerate(log.lists):
            names.append(str(folder / f"{number}.crl"))
            Path(names[-1]).write_bytes(each.der)
        about = replace(about, crls=(*about.crls, *names))
        lines = (reading.exported(entry).encode() + b"\n" for entry in log.entries)
        return dict(run(target, told(log.kind, log.name, about), folder, readable=beside, lines=lines))


def _raw(path: Path) -> "Iterable[bytes]":
    from trust.edge.source import size_of

    size_of(path)
    return options.pieces(path.open("rb"))


def _read_beside(about: "About", files: tuple[Path, ...], listed: Path | None) -> "Iterator[Path]":
    """Files that are read because others name them: lists name files, and a time-stamp's document stands beside it."""
    from verifier.audit.expected import named_in
    from verifier.audit.sources import ENDINGS, token_files

    stamps = (path for path in (*files, *(token_files((), listed) if listed is not None else ())))
    if listed is not None:
        yield listed
    for path in stamps:
        yield path
        if path.suffix.lower() in ENDINGS:
            yield path.with_suffix("")
    if about.expect is not None:
        yield from named_in(Path(about.expect))
