"""The door to the command line: `kakuin verify` and `kakuin inspect`. Imports stand inside, so that `kakuin --help` costs nothing."""

import io
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from trust.edge.progress import Progress
    from trust.model import Cert, Document
    from verifier.bundle import Bundle
    from verifier.hand import Hands, Wishes
    from verifier.service import Question, Verifier
    from verifier.shapes import Shape
    from verifier.terminal import Output

STDIN = "-"
_FILE = click.Path(path_type=Path)
_Command = TypeVar("_Command", bound=Callable[..., Any])


def _beside(name: str, variable: str, metavar: str, text: str) -> Callable[[_Command], _Command]:
    """An option that may be given again and again."""
    return click.option(name, variable, multiple=True, type=_FILE, metavar=metavar, help=text + " Repeatable.")


_detached = _beside("--detached", "detached", "FILE_OR_DIR", "Content that stands apart from its signature.")
_password = click.option(
    "--password-file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="File with the password of an encrypted PDF."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print the stable JSON report (docs/report.md), one a line for several files.")
_output = click.option("-o", "--output", type=_FILE, metavar="FILE", help="Write there instead of to standard output.")


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE_OR_DIR]…")
@_detached
@_beside("--trust", "trust", "CERT_OR_DIR", "Whom you trust: certificates (PEM or DER), or folders of them.")
@click.option("--at", metavar="TIME", help="Verify as of this time instead of now: 2026-06-01T09:00:00+09:00, or 2026-06-01 (UTC).")
@click.option("--policy", metavar="NAME_OR_FILE", help="Validation policy: strict (the default), eu, japan, archive, or a TOML file.")
@_beside("--crl", "crls", "FILE", "A certificate revocation list given beside the files.")
@_beside("--ocsp", "ocsps", "FILE", "An OCSP answer given beside the files.")
@_beside("--certificate", "certificates", "FILE_OR_DIR", "Further certificates, not trusted for being given.")
@click.option("--online", is_flag=True, help="Fetch what is missing (status, issuers) where the certificates say that it is.")
@click.option("--allow-private-networks", is_flag=True, help="With --online: also from addresses of private networks.")
@click.option("--bundle", type=_FILE, metavar="BUNDLE", help="Verify with what is in this bundle and nothing else, offline: the same report again.")
@click.option("--save-bundle", type=_FILE, metavar="FILE_OR_DIR", help="Write the bundle: all that the verdict rests on.")
@click.option("--batch", metavar="JOBS", help="Jobs, one JSON object a line (- for standard input); one JSON answer a line.")
@click.option("--jobs", type=click.IntRange(0, 256), metavar="N", help="Many files: processes that share the work; 0: none.  [default: processors]")
@click.option("--time-limit", type=click.FloatRange(0.1, 86_400), default=60.0, metavar="SECONDS", help="... for one file.  [default: 60]")
@click.option("--csv", type=_FILE, metavar="FILE", help="Many files: also write a table for spreadsheets.")
@click.option("--resume", type=_FILE, metavar="STATE", help="Many files: keep answers in STATE, and go on from it after an early end.")
@click.option("--instance", type=_FILE, envvar="KAKUIN_INSTANCE", metavar="DIR", help="Trust this instance's anchors when no --trust is given.")
@click.option("--report", "reports", multiple=True, metavar="FILE", help="Also write the report: .html .pdf .xml (ETSI) .json .txt. Repeatable.")
@_password
@_json
@_output
def verify(
    files: tuple[str, ...],
    detached: tuple[Path, ...],
    trust: tuple[Path, ...],
    at: str | None,
    policy: str | None,
    crls: tuple[Path, ...],
    ocsps: tuple[Path, ...],
    certificates: tuple[Path, ...],
    online: bool,
    allow_private_networks: bool,
    bundle: Path | None,
    save_bundle: Path | None,
    batch: str | None,
    jobs: int | None,
    time_limit: float,
    csv: Path | None,
    resume: Path | None,
    instance: Path | None,
    reports: tuple[str, ...],
    password_file: Path | None,
    output: Path | None,
    as_json: bool,
) -> int:
    """Verify files: one verdict for the whole file, then why, then what to do; then who signed what, and when.

    FILE may be - for standard input; of a folder, every file is verified. Nothing is fetched from the network unless --online says so.

    Exit codes: 0 passed, 1 failed, 3 cannot tell, 4 nothing signed; for several files the worst of theirs.
    """
    if bool(files) == (batch is not None):
        raise click.UsageError("--batch names the files itself: leave FILE out" if files else "name a file to verify, or jobs with --batch")
    if "" in files:
        raise click.UsageError("the name of a file is empty")
    if files.count(STDIN) > 1:
        raise click.UsageError("standard input (-) can be read only once")
    if batch is not None and (detached or crls or ocsps or certificates or at or bundle or save_bundle or online or csv or resume):
        raise click.UsageError("with --batch each job names its own detached files, status, certificates and time, and JSON lines are the answer")
    if bundle is not None and (trust or crls or ocsps or certificates or at or policy or online or save_bundle):
        raise click.UsageError("--bundle says whom to trust, with what status, when and by which policy: leave all of that out")
    single = len(files) == 1 and not Path(files[0]).is_dir() and not (csv or resume)
    if password_file is not None and not single:
        raise click.UsageError("--password-file goes with one file")
    if reports and not single:
        raise click.UsageError("--report goes with one file; for several, --json writes a report a line")
    if allow_private_networks and not online:
        raise click.UsageError("--allow-private-networks goes with --online: nothing is fetched otherwise")
    from trust.edge.clock import now
    from trust.edge.progress import Progress, Reading
    from verifier import sources
    from verifier.hand import NOTHING, Hands, Network, Wishes
    from verifier.service import DEFAULT_POLICY, Verifier
    from verifier.terminal import Output

    _quiet()
    shapes = _shapes(reports)
    verifier = Verifier(now, sources.policy(policy or DEFAULT_POLICY), _anchors(trust, instance) if bundle is None else ())
    hands = Hands(jobs, time_limit)
    wishes = Wishes(as_json, csv, resume, save_bundle, Network(allow_private_networks) if online else None)
    with Progress() as progress, Output(output, progress) as out:
        if batch is not None:
            return _batch(batch, verifier, hands, out, progress)
        contents = sources.detached_files(detached or _beside_record(files))
        replayed = _bundle(bundle).question(NOTHING) if bundle is not None else None
        moment = sources.moment(at, now) if at else None
        more, lists, responses = sources.certificates(certificates), sources.crls(crls), sources.ocsps(ocsps)

        def ask(otherwise: datetime | None = None) -> "Question":
            """About no document yet; at the time that was named, or `otherwise`, or now."""
            return replayed or verifier.question(NOTHING, at=moment or otherwise, certificates=more, crls=lists, ocsps=responses)

        if single:
            # Read by this very process: how far it is can be told.
            given = (_document(files[0]).opened_by(_secret(password_file)), *sources.opened(contents))
            document, *apart = Reading(given, progress, f"verifying {files[0]}").documents
            return _one(replace(ask(), document=document, detached=tuple(apart)), wishes, shapes, out, progress)
        from verifier import many

        return many.run(files, ask, contents, hands, wishes, out, progress)


@click.command()
@click.argument("file")
@_detached
@_password
@_json
@_output
def inspect(file: str, detached: tuple[Path, ...], password_file: Path | None, output: Path | None, as_json: bool) -> int:
    """Show what a file carries, without judging it: signatures, time-stamps, certificates, status data, and what they cover."""
    from trust.edge.progress import Progress, Reading
    from verifier import sources
    from verifier.read import read
    from verifier.report.inspection import inspection, outline
    from verifier.terminal import Output

    _quiet()
    with Progress() as progress, Output(output, progress) as out:
        given = (_document(file).opened_by(_secret(password_file)), *sources.detached(detached))
        document, *apart = Reading(given, progress, f"reading {file}").documents
        structure = inspection(read(document, tuple(apart)), document)
        if as_json:
            out.write_json(structure, indent=2)
        else:
            out.write(outline(structure))
    return 0


def _secret(file: Path | None) -> str | None:
    from trust.edge.keystore import text_in

    return None if file is None else text_in(file, "password file")


def _quiet() -> None:
    """Libraries warn on standard error of oddities in certificates; the report is where such things are said."""
    warnings.filterwarnings("ignore", module=r"cryptography|trust|verifier|asn1crypto")


def _document(file: str) -> "Document":
    from verifier import sources

    if file == STDIN:
        return sources.streamed(sys.stdin.buffer)
    if Path(file).is_fifo():  # `kakuin verify <(curl …)`
        with Path(file).open("rb") as stream:
            return sources.streamed(stream, file)
    return sources.document(Path(file))


def _beside_record(files: tuple[str, ...]) -> tuple[Path, ...]:
    """For one evidence record called NAME.ers: NAME beside it, where it is there."""
    from verifier import bulk

    document = bulk.proved(Path(files[0])) if len(files) == 1 and files[0].endswith(bulk.RECORD) else None
    return () if document is None else (document,)


def _anchors(trust: tuple[Path, ...], instance: Path | None) -> "tuple[Cert, ...]":
    """Those that were named, or else the instance's own; none at all where neither is given, which the report says."""
    from trust.errors import NotFound
    from verifier import sources

    if trust or instance is None:
        return sources.certificates(trust)
    if not (instance / "anchors").is_dir():
        raise NotFound(f"{sources.shown(instance)} is no instance: it has no folder anchors (kakuin init makes one)")
    return sources.certificates([instance / "anchors"])


def _bundle(path: Path) -> "Bundle":
    """A bundle's file; where another engine made it, that is said, because its report will not be the same bytes."""
    from trust.edge.files import read_small
    from trust.errors import KakuinError, NotFound
    from verifier import bundle, sources
    from verifier.report.plain import printable

    if path.is_dir():
        raise NotFound(f"{sources.shown(path)} is a folder, expected a bundle")
    try:
        found = bundle.Bundle.unpack(read_small(path, "bundle", bundle.MAX_BYTES))
    except KakuinError as error:
        raise type(error)(f"{sources.shown(path)}: {error}") from error
    if found.engine != bundle.engine():
        other = f"by {found.engine.version}" if found.engine.version != bundle.engine().version else "with other timetables of algorithms"
        told = f"beware: this bundle was made {other}, and this is {bundle.engine().version}: the verdict may differ, and the report will"
        click.echo(printable(told), err=True)
    return found


def _shapes(reports: tuple[str, ...]) -> "list[tuple[Path, Shape]]":
    """Where the report goes besides, by the endings of the names; a wrong one is a mistake of usage, and told before any work."""
    from trust.errors import Unacceptable
    from verifier import shapes

    try:
        return [(Path(name), shapes.of_name(name)) for name in reports]
    except Unacceptable as error:
        raise click.BadParameter(str(error), param_hint="--report") from error


def _one(question: "Question", wishes: "Wishes", shapes: "list[tuple[Path, Shape]]", out: "Output", progress: "Progress") -> int:
    from verifier.report.text import render
    from verifier.service import answer
    from verifier.verdict import EXIT_CODE, Conclusion

    if wishes.network is not None:
        from trust.edge.fetch import Fetcher
        from verifier.online import informed

        fetcher = Fetcher(allow_private=wishes.network.allow_private)
        question = informed(question, fetcher.get, fetcher.post, progress.tell)
    made = answer(question)
    if wishes.save_bundle is not None:
        from verifier.bundle import Bundle
        from verifier.hand import save

        save(Bundle.of(question), wishes.save_bundle)
    for path, shape in shapes:
        from trust.edge.options import written
        from verifier.shapes import shaped

        progress.tell(f"writing {path}")
        written([shaped(shape, question, made, out.style().language)], path, replace=True)
    if wishes.as_json:
        out.write_json(made, indent=2)
    else:
        out.write(render(made, out.style()))
    for missing in question.unobtained:
        click.echo(f"could not be had: {missing.what}: {missing.why}", err=True)
    return EXIT_CODE[Conclusion(made["conclusion"])]


def _batch(jobs: str, verifier: "Verifier", hands: "Hands", out: "Output", progress: "Progress") -> int:
    """The answers tell of each job; the exit code tells that all of them were answered."""
    from trust.errors import NotFound
    from verifier import many, sources
    from verifier.hand import NOTHING, Setup

    try:
        source = sys.stdin.buffer if jobs == STDIN else Path(jobs).open("rb")  # noqa: SIM115  # closed below
    except OSError as error:
        raise NotFound(f"cannot read {sources.shown(Path(jobs))}: {(error.strerror or 'input/output error').lower()}") from error
    with io.TextIOWrapper(source, "utf-8", "replace") as stream:
        return many.batch(stream, Setup(verifier.question(NOTHING)), hands, out, progress)
