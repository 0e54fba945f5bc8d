"""`kakuin extend`: raising and renewing from the command line."""

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from eseal.server_option import api_key, at_server
from trust.edge import options

if TYPE_CHECKING:
    from eseal.extend_material import Known
    from eseal.extend_service import Extender, Raised
    from eseal.hashes.commands import Bench
    from trust.model import Document

_FILE = click.Path(path_type=Path)


class House(Protocol):
    """What this command needs of an instance."""

    @property
    def extender(self) -> "Extender": ...

    def extender_online(self, *, allow_private: bool) -> "Extender":
        """One that fetches when it is asked to."""

    def known(self, trust: Sequence[Path], certificates: Sequence[Path], crls: Sequence[Path], ocsps: Sequence[Path]) -> "Known":
        """Files, and folders of files. Errors name the file."""

    def detached(self, paths: Sequence[Path]) -> "tuple[Document, ...]":
        """Documents of files, and of folders by their paths in them."""


class Open(Protocol):
    """What opens instances, and what there is without one."""

    def __call__(self, folder: Path, passphrase_file: Path | None, /) -> AbstractContextManager[House]: ...

    def bench(self) -> "AbstractContextManager[Bench]":
        """A confined process with our own verifier in it."""


def _beside(name: str, variable: str, text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(name, variable, multiple=True, type=_FILE, metavar="FILE_OR_DIR", help=text + " Repeatable.")


@click.command()
@click.argument("file", type=options.file_path)
@options.instance
@options.passphrase_file
@click.option("--level", metavar="LEVEL", default="B-LTA", show_default=True, help="B-T, B-LT or B-LTA; one that is at B-LTA already is renewed.")
@_beside("--detached", "detached", "Content that stands apart from its signature.")
@_beside("--trust", "trust", "Whom you trust besides this instance: certificates (PEM or DER).")
@_beside("--certificate", "certificates", "Further certificates, not trusted for being given.")
@_beside("--crl", "crls", "Certificate revocation lists.")
@_beside("--ocsp", "ocsps", "OCSP answers.")
@click.option("--online", is_flag=True, help="Fetch what is missing (status, issuers) where the certificates say that it is.")
@click.option("--allow-private-networks", is_flag=True, help="With --online: also from addresses of private networks.")
@click.option("--allow-indeterminate", is_flag=True, help="Also extend what is intact but cannot be concluded about; never what failed.")
@click.option("--password-file", type=click.Path(path_type=Path, dir_okay=False), help="File with the password of an encrypted PDF.")
@at_server("Extend")
@click.option("--hash-only", is_flag=True, help="With --server: send digests and certificates and no document, which is raised here.")
@options.output
@options.as_json
@click.pass_obj
def extend(
    open_house: Open,
    /,
    file: Path,
    instance: Path,
    passphrase_file: Path | None,
    level: str,
    detached: tuple[Path, ...],
    trust: tuple[Path, ...],
    certificates: tuple[Path, ...],
    crls: tuple[Path, ...],
    ocsps: tuple[Path, ...],
    online: bool,
    allow_private_networks: bool,
    allow_indeterminate: bool,
    password_file: Path | None,
    server: str | None,
    api_key_file: Path | None,
    hash_only: bool,
    output: Path | None,
    as_json: bool,
) -> None:
    """Raise the signatures of a document to a higher level, whoever made them, or renew their archive time-stamps.

    The document is verified before and after. What failed is refused; what cannot be concluded about too, unless --allow-indeterminate says
    otherwise. The result is written beside the document (contract.extended.pdf), or where -o says; with an error nothing is written.
    """
    if allow_private_networks and not online:
        raise click.UsageError("--allow-private-networks goes with --online: nothing is fetched otherwise")
    if allow_private_networks and server is not None:
        raise click.UsageError("--allow-private-networks is for the local instance: what a server may fetch, its operator says")
    if hash_only and (server is None or online):
        raise click.UsageError("--hash-only goes with --server, and not with --online: what is missing is given beside the document")
    from eseal.extend import Wanted
    from eseal.extend_service import Asked, extended_name
    from eseal.spec import level_named
    from trust.edge.keystore import text_in
    from trust.edge.progress import Progress, Reading, counted
    from trust.edge.source import document_of

    password = text_in(password_file, "password file") if password_file is not None else None
    wanted = Wanted(level_named(level), password)
    if output is not None:
        options.writable(output, replace=True)
    elif file.suffix:
        options.writable(file.with_name(extended_name(file.name, "")), replace=False)
    with open_house(instance, passphrase_file) as house, Progress() as progress:
        known = house.known(trust, certificates, crls, ocsps)
        given = (document_of(file), *house.detached(detached))
        doing = f"extending {given[0].name or 'standard input'}" + (f" at {server}" if server is not None else "")
        reading = Reading(given, progress, doing)
        document, *apart = reading.documents
        asked = Asked(wanted, tuple(apart), known, allow_indeterminate=allow_indeterminate, online=online)
        if server is not None and hash_only:
            from eseal.hashes.client import There
            from eseal.hashes.commands import extended_at
            from trust.edge.clock import now

            with open_house.bench() as bench:
                made = extended_at(There(server, api_key(api_key_file)), document, asked, bench, now, reading.phase)
            facts, chunks, name = _facts(made), iter(options.pieces(made.document.open())), made.document.name or "extended"
        elif server is not None:
            from eseal.extend_client import extend_at

            said = {
                "level": str(wanted.level),
                "online": "true" if online else None,
                "allow_indeterminate": "true" if allow_indeterminate else None,
                "password": password,
            }
            facts, chunks, name = extend_at(server, api_key(api_key_file), document, apart, known, said)
        else:
            extender = house.extender_online(allow_private=allow_private_networks) if online else house.extender
            made = extender.extend(document, asked, doing=reading.phase)
            facts, chunks, name = _facts(made), iter(options.pieces(made.document.open())), made.document.name or "extended"
        target = output or (options.STDIO if file == options.STDIO else file.with_name(name))
        options.written(counted(chunks, progress, f"writing {target}"), target, replace=output is not None)
    _say({"output": str(target), **facts}, as_json)


def _facts(made: "Raised") -> dict[str, Any]:
    return {
        "format": str(made.kind),
        "level": str(made.level),
        "before": list(made.before),
        "after": list(made.after),
        "conclusion": made.conclusion,
        "journal_index": made.index if made.index >= 0 else None,
        "sha256": made.sha256.hex(),
        "warnings": list(made.draft.warnings),
    }


def _say(facts: dict[str, Any], as_json: bool) -> None:
    """What was done; to standard error when the document itself goes to standard output."""
    import json

    told = f"extended {facts['format']} from {_listed(facts['before'])} to {_listed(facts['after'])} ({facts['conclusion']}): {facts['output']}"
    said = json.dumps(facts, ensure_ascii=False) if as_json else told
    for warning in facts["warnings"]:
        click.echo(f"warning: {warning}", err=True)
    click.echo(said, file=sys.stderr if facts["output"] == str(options.STDIO) else sys.stdout)


def _listed(levels: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(levels))
