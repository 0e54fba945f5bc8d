"""The door to the command line: `kakuin verify` and `kakuin inspect`. Imports stand inside, so that `kakuin --help` costs nothing."""

import functools
import io
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from trust.model import Cert, Document
    from verifier.report.parties import Json
    from verifier.service import Question, Verifier
    from verifier.terminal import Output, Progress

STDIN = "-"
_FILE = click.Path(path_type=Path)
_Command = TypeVar("_Command", bound=Callable[..., Any])


def _beside(name: str, variable: str, metavar: str, text: str) -> Callable[[_Command], _Command]:
    """An option that may be given again and again."""
    return click.option(name, variable, multiple=True, type=_FILE, metavar=metavar, help=text + " Repeatable.")


_detached = _beside("--detached", "detached", "FILE_OR_DIR", "Content that stands apart from its signature.")
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
@click.option("--batch", metavar="JOBS", help="Jobs, one JSON object a line (- for standard input); one JSON answer a line.")
@click.option("--instance", type=_FILE, envvar="KAKUIN_INSTANCE", metavar="DIR", help="Trust this instance's anchors when no --trust is given.")
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
    batch: str | None,
    instance: Path | None,
    output: Path | None,
    as_json: bool,
) -> int:
    """Verify files: one verdict for the whole file, then why, then what to do; then who signed what, and when.

    FILE may be - for standard input; of a folder, every file is verified. Nothing is fetched from the network.

    Exit codes: 0 passed, 1 failed, 3 cannot tell, 4 nothing signed; for several files the worst of theirs.
    """
    if bool(files) == (batch is not None):
        raise click.UsageError("--batch names the files itself: leave FILE out" if files else "name a file to verify, or jobs with --batch")
    if files.count(STDIN) > 1:
        raise click.UsageError("standard input (-) can be read only once")
    if batch is not None and (detached or crls or ocsps or certificates or at):
        raise click.UsageError("with --batch each job names its own detached files, status, certificates and time")
    from trust.edge.clock import now
    from verifier import sources
    from verifier.service import DEFAULT_POLICY, Verifier
    from verifier.terminal import Output, Progress

    _quiet()
    verifier = Verifier(now, sources.policy(policy or DEFAULT_POLICY), _anchors(trust, instance))
    with Progress() as progress, Output(output, progress) as out:
        if batch is not None:
            return _batch(batch, verifier, out, progress)
        moment = sources.moment(at, now) if at else now()  # one time for all of them
        contents, more = sources.detached(detached), sources.certificates(certificates)
        lists, responses = sources.crls(crls), sources.ocsps(ocsps)

        def ask(document: "Document") -> "Question":
            return verifier.question(document, contents, at=moment, certificates=more, crls=lists, ocsps=responses)

        if len(files) == 1 and not Path(files[0]).is_dir():
            progress.tell(f"verifying {files[0]}")
            return _one(ask(_document(files[0])), out, as_json=as_json)
        return _many(files, ask, out, progress, as_json=as_json)


@click.command()
@click.argument("file")
@_detached
@_json
@_output
def inspect(file: str, detached: tuple[Path, ...], output: Path | None, as_json: bool) -> int:
    """Show what a file carries, without judging it: signatures, time-stamps, certificates, status data, and what they cover."""
    from verifier import sources
    from verifier.read import read
    from verifier.report.inspection import inspection, outline
    from verifier.terminal import Output, Progress

    _quiet()
    with Progress() as progress, Output(output, progress) as out:
        progress.tell(f"reading {file}")
        document = _document(file)
        structure = inspection(read(document, sources.detached(detached)), document)
        if as_json:
            out.write_json(structure, indent=2)
        else:
            out.write(outline(structure))
    return 0


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


def _anchors(trust: tuple[Path, ...], instance: Path | None) -> "tuple[Cert, ...]":
    """Those that were named, or else the instance's own; none at all where neither is given, which the report says."""
    from trust.errors import NotFound
    from verifier import sources

    if trust or instance is None:
        return sources.certificates(trust)
    if not (instance / "anchors").is_dir():
        raise NotFound(f"{sources.shown(instance)} is no instance: it has no folder anchors (kakuin init makes one)")
    return sources.certificates([instance / "anchors"])


def _one(question: "Question", out: "Output", *, as_json: bool) -> int:
    from verifier.report.text import render
    from verifier.service import answer
    from verifier.verdict import EXIT_CODE, Conclusion

    made = answer(question)
    if as_json:
        out.write_json(made, indent=2)
    else:
        out.write(render(made, out.style()))
    return EXIT_CODE[Conclusion(made["conclusion"])]


def _many(files: Iterable[str], ask: "Callable[[Document], Question]", out: "Output", progress: "Progress", *, as_json: bool) -> int:
    """Each file's answer as soon as it is there, then how many of each."""
    from verifier import bulk
    from verifier.report.text import in_short, summary
    from verifier.service import answer

    outcomes: Counter[str] = Counter()
    for name, made in _answers(files, lambda document: answer(ask(document))):
        outcomes[bulk.outcome(made)] += 1
        progress.tell(f"{outcomes.total()} files verified, now after {name}")
        if as_json:
            out.write_json(made)
        else:
            out.write(in_short(made, name, out.style()))
    if as_json:
        click.echo(summary(outcomes, out.style()), nl=False, err=True)
    else:
        out.write(summary(outcomes, out.style()))
    return bulk.exit_code(outcomes)


def _answers(files: Iterable[str], answer: "Callable[[Document], Json]") -> "Iterator[tuple[str, Json]]":
    from verifier import bulk

    for file in files:
        if file == STDIN:
            yield file, bulk.guarded(lambda: answer(_document(STDIN)))
            continue
        for path in bulk.files([Path(file)]):
            yield str(path), bulk.guarded(functools.partial(_judged, path, answer))


def _judged(path: Path, answer: "Callable[[Document], Json]") -> "Json":
    from verifier import sources

    return answer(sources.document(path, str(path)))


def _batch(jobs: str, verifier: "Verifier", out: "Output", progress: "Progress") -> int:
    """The answers tell of each job; the exit code tells that all of them were answered."""
    from trust.errors import NotFound
    from verifier import bulk, sources
    from verifier.service import answer

    try:
        source = sys.stdin.buffer if jobs == STDIN else Path(jobs).open("rb")  # noqa: SIM115  # closed below
    except OSError as error:
        raise NotFound(f"cannot read {sources.shown(Path(jobs))}: {(error.strerror or 'input/output error').lower()}") from error
    with io.TextIOWrapper(source, "utf-8", "replace") as stream:
        for count, made in enumerate(bulk.answers(stream, verifier, answer), start=1):
            progress.tell(f"{count} jobs answered")
            out.write_json(made)
    return 0
