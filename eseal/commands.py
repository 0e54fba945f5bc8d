"""`kakuin seal` and `kakuin apikey`: the sealer from the command line."""

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Protocol

import click

from eseal.pdf_commands import files_of, of_pdf, pdf_seal_of
from eseal.server_option import api_key, at_server
from trust.edge import options
from trust.errors import NotFound, Unacceptable
from trust.log.links import RECEIPT_AT

if TYPE_CHECKING:
    from eseal.hashes.commands import Bench
    from eseal.service import Sealer
    from eseal.spec import Spec
    from eseal.store import ApiKeys
    from trust.model import Document


class House(Protocol):
    """What these commands need of an instance."""

    @property
    def sealer(self) -> "Sealer": ...

    @property
    def api_keys(self) -> "ApiKeys": ...

    def organisation(self, number: str | None) -> str:
        """The corporate number, or the only organisation's."""

    def receipt(self, issued: "bytes | int") -> bytes:
        """Of the entry of a seal, by its number."""


class Open(Protocol):
    """What opens instances, and what there is without one."""

    def __call__(self, folder: Path, passphrase_file: Path | None, /) -> AbstractContextManager[House]: ...

    def bench(self) -> "AbstractContextManager[Bench]":
        """A confined process with our own verifier in it."""


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=options.file_path)
@options.instance
@options.passphrase_file
@click.option("--organisation", metavar="NUMBER", help="Corporate number (法人番号). Not needed where there is one organisation.")
@click.option(
    "--format",
    "format_",
    metavar="FORMAT",
    help="pades, xades, cades, jades, cose, asic-s-cades, asic-s-xades, asic-e-cades, asic-e-xades. Default: pades for PDF, xades for XML, "
    "jades for JSON, else cades.",
)
@click.option("--level", metavar="LEVEL", help="B-B, B-T, B-LT or B-LTA. Default: the highest that the format has.")
@click.option("--packaging", metavar="PACKAGING", help="enveloped (PDF and XML), detached or attached.")
@click.option(
    "--addition",
    metavar="NAME",
    help="FILE is signed already, and gets one signature more: parallel (beside those there) or countersignature (over the one there). "
    "Content that stands apart follows as further FILEs.",
)
@click.option("--canonicalization", metavar="NAME", help="Of XAdES: exclusive, 1.0 or 1.1. Default: exclusive.")
@click.option("--components", metavar="NAME", help="Of JAdES: how unsigned components stand, base64url or clear. Default: base64url.")
@click.option("--serialization", metavar="NAME", help="Of JAdES: flattened, general or compact (B-B only). Default: flattened.")
@click.option("--mechanism", metavar="NAME", help="Of detached JAdES: uri-hash (name and digest), uri, payload or http-headers. Default: uri-hash.")
@click.option("--digest", metavar="NAME", help="sha256, sha384, sha512, sha3-256, sha3-384 or sha3-512. Default: the one that belongs to the key.")
@click.option("--degrade", metavar="LEVEL", help="The lowest level that will do when the authority or the status service is away. Default: none.")
@click.option("--reason", help="Why it is sealed, in a sentence; signed with it.")
@click.option("--location", help="Where it is sealed; signed with it.")
@click.option("--role", help="In which role it is sealed; signed with it.")
@click.option("--commitment", metavar="TYPE", help="What sealing means: origin, receipt, delivery, sender, approval or creation.")
@click.option("--signing-time", metavar="TIME", help="Claimed time, with a zone: 2026-11-21T09:00:00+09:00. Default: now.")
@click.option("--policy", metavar="ID", help="Signature policy: object identifier; in XAdES and JAdES also a URI, in XAdES also implied.")
@click.option("--policy-hash", metavar="NAME:HEX", help="Hash of the policy's text, such as sha256:9f86…; goes with --policy.")
@click.option("--policy-uri", metavar="URI", help="Where the policy's text is to be had.")
@click.option("--description", help="What the document is, in words (CAdES, XAdES, ASiC); signed with it.")
@click.option("--mime-type", metavar="TYPE", help="Media type of the document; signed with it.")
@click.option("--content-timestamp", flag_value="true", help="Sign a time-stamp over the document with it: it existed before the seal did.")
@of_pdf
@click.option("--password-file", type=click.Path(path_type=Path, dir_okay=False), help="File with the password of an encrypted PDF.")
@at_server("Seal")
@click.option(
    "--hash-only",
    is_flag=True,
    help="With --server: send digests and no document. A PDF (pades) or a container is put together here; cades, xades or jades stand beside it.",
)
@options.receipt
@options.output
@options.as_json
@click.pass_obj
def seal(
    open_house: Open,
    /,
    files: tuple[Path, ...],
    instance: Path,
    passphrase_file: Path | None,
    server: str | None,
    api_key_file: Path | None,
    hash_only: bool,
    receipt: Path | None,
    output: Path | None,
    as_json: bool,
    password_file: Path | None,
    **asked: Any,
) -> None:
    """Seal a document, or several under one seal, for an organisation.

    FILE is the document; - is standard input. Several, or a folder, become one container (asic-e-cades; documents.asice). The sealed document is
    written beside it (contract.sealed.pdf; data.csv.p7s), or where -o says. What is written is at the level that was asked for and passed our own
    verifier; otherwise nothing is written. With --degrade it may be lower when a service is away, and says so. With --receipt, what shows that the
    seal is in the log of what was issued is written too, when a checkpoint of the log covers it: `kakuin log verify` checks it offline.
    """
    from eseal.spec import FOR_SEVERAL
    from trust.edge.keystore import text_in
    from trust.edge.progress import Progress, Reading

    file, document, *more = files[0], *_documents(files)
    if output is not None:
        options.writable(output, replace=True)
    asked["format"] = asked.pop("format_") or (FOR_SEVERAL if (more or file.is_dir()) and not asked["addition"] else None)
    attached = files_of(asked)
    if password_file is not None:
        asked["password"] = text_in(password_file, "password file")
    if hash_only and server is None:
        raise click.UsageError("--hash-only goes with --server: on the local instance nothing is sent")
    if hash_only and receipt is not None:
        raise click.UsageError("--receipt goes with a whole document, --hash-only sends none: `kakuin log prove inclusion` makes the receipt")
    if server is not None:
        key = api_key(api_key_file)
        if hash_only:
            facts, made_here = _hashed_at(open_house, server, key, (document, *more), asked, attached)
            _release(file, output, made_here.name or "sealed", options.pieces(made_here.open()), facts, as_json)
            return
        from eseal.client import seal_at

        _require_room(file, output, (document, *more), _spec(document, {n: v for n, v in asked.items() if n != "organisation"}, attached))
        with Progress() as progress:
            document, *more = Reading((document, *more), progress, f"sealing {_named(document, more)} at {server}").documents
            facts, chunks, name = seal_at(server, key, document, asked, attached, more=more)
        _release(file, output, name, chunks, facts, as_json, receipt)
        if receipt is not None:
            options.written([_receipt_of(facts)], receipt, replace=True)
        return
    with open_house(instance, passphrase_file) as house:
        number = house.organisation(asked.pop("organisation"))
        with Progress() as progress:
            reading = Reading((document, *more), progress, f"sealing {_named(document, more)}")
            document, *more = reading.documents
            spec = _spec(document, asked, attached)
            _require_room(file, output, (document, *more), spec)
            made = house.sealer.seal(document, spec, number, more, reading.phase)
        facts = {
            "format": str(made.spec.format),
            "level": str(made.spec.level),
            "packaging": str(made.spec.packaging),
            "organisation": made.organisation,
            "journal_index": made.index,
            "sha256": made.sha256.hex(),
            "warnings": list(made.warnings),
        }
        if made.degraded:
            facts["asked_level"] = str(made.asked)
        _release(file, output, made.document.name or "sealed", options.pieces(made.document.open()), facts, as_json, receipt)
        if receipt is not None:
            options.written([house.receipt(made.index)], receipt, replace=True)


def _receipt_of(facts: dict[str, Any]) -> bytes:
    """Of a seal that was made elsewhere: from where its server said, and of nothing else."""
    from trust.errors import Unavailable
    from trust.log import handing

    if not facts.get(RECEIPT_AT):
        raise Unavailable("it is sealed, and the server names no receipt: it has no log")
    found = handing.fetched(facts[RECEIPT_AT], facts["sha256"])
    handing.require_seal(found, facts["sha256"])
    return bytes(found)


def _hashed_at(
    open_house: Open, server: str, key: str, documents: "Sequence[Document]", asked: dict[str, Any], attached: "dict[str, Document]"
) -> "tuple[dict[str, Any], Document]":
    """Sealed there by digests that are made here."""
    from eseal.hashes.client import There
    from eseal.hashes.commands import sealed_at
    from trust.edge.clock import now
    from trust.edge.fonts import font
    from trust.edge.progress import Progress, Reading

    with Progress() as progress, open_house.bench() as bench:
        reading = Reading(documents, progress, f"sealing {_named(documents[0], documents[1:])} at {server}, by digests")
        return sealed_at(There(server, key), reading.documents, asked, attached, bench, now=now(), font=lambda: font(""), doing=reading.phase)


def _named(document: "Document", more: "Sequence[Document]") -> str:
    return (document.name or "standard input") + (f" and {len(more)} more" if more else "")


def _documents(files: "tuple[Path, ...]") -> "list[Document]":
    """One by its own name; of several and of folders each by its path, as far as that stays below where one stands."""
    from trust.edge.source import document_of, shown

    if len(files) == 1 and not files[0].is_dir():
        return [document_of(files[0])]
    found: list[Document] = []
    for file in files:
        if file == options.STDIO:
            raise Unacceptable("standard input is sealed by itself, not among other documents")
        above = Path() if not file.is_absolute() and ".." not in file.parts else file.parent
        inside = sorted(f for f in file.rglob("*") if f.is_file()) if file.is_dir() else [file]
        found += [document_of(f, f.relative_to(above).as_posix()) for f in inside]
    if not found:
        raise NotFound(f"{'folder' if len(files) == 1 else 'folders'} {', '.join(map(shown, files))} {'has' if len(files) == 1 else 'have'} no files")
    return found


def _spec(document: "Document", asked: dict[str, Any], attached: "dict[str, Document]") -> "Spec":
    from eseal.claims import NAMES, claims_of
    from eseal.spec import choose

    said = {name: asked.pop(name) for name in NAMES}
    return choose(document.head(4096), claims=claims_of(said), pdf=pdf_seal_of(asked, attached), **asked)


def _require_room(file: Path, output: Path | None, documents: "Sequence[Document]", spec: "Spec") -> None:
    """That the sealed document can be written, before it is sealed: what -o says was looked at before."""
    from eseal.service import name_of, sealed_name

    if output is None and file != options.STDIO:
        target = sealed_name(name_of(documents[:1] if spec.addition else documents), spec)
        options.writable(file.with_name(PurePath(target).name), replace=False)


def _release(file: Path, output: Path | None, name: str, chunks: Any, facts: dict[str, Any], as_json: bool, receipt: Path | None = None) -> None:
    """Write the sealed document; what was done goes to standard error when the document itself goes to standard output."""
    import json

    from trust.edge.progress import Progress, counted

    target = output or (options.STDIO if file == options.STDIO else file.with_name(PurePath(name).name))
    with Progress() as progress:
        options.written(counted(chunks, progress, f"writing {target}"), target, replace=output is not None)
    said_of = {name: value for name, value in facts.items() if name != RECEIPT_AT}
    facts = {"output": str(target), **said_of, **({"receipt": str(receipt)} if receipt is not None else {})}
    for warning in facts.get("warnings", ()):
        click.echo(f"warning: {warning}", err=True)
    lower = f" (asked for {facts['asked_level']})" if facts.get("asked_level") else ""
    said = json.dumps(facts, ensure_ascii=False) if as_json else f"sealed {facts['format']} {facts['level']}{lower}: {target}"
    click.echo(said, file=sys.stderr if target == options.STDIO else sys.stdout)


@click.group()
def apikey() -> None:
    """API keys of the sealing service: each for one organisation, shown once, expiring, revocable."""


@apikey.command()
@options.instance
@options.passphrase_file
@click.option("--organisation", metavar="NUMBER", help="Corporate number (法人番号). Not needed where there is one organisation.")
@click.option("--label", default="", help="What it is for, for your own list.")
@click.option("--days", type=int, default=365, show_default=True, help="Days that it lasts.")
@click.pass_obj
def create(open_house: Open, instance: Path, passphrase_file: Path | None, organisation: str | None, label: str, days: int) -> None:
    """Make a key and print it: this once, and never again."""
    with open_house(instance, passphrase_file) as house:
        text, made = house.api_keys.create(house.organisation(organisation), label, days)
    click.echo(f"API key {made.id} for {made.organisation}, until {made.expires:%Y-%m-%d}. It is shown this once:", err=True)
    click.echo(text)


@apikey.command(name="list")
@options.instance
@options.as_json
@click.pass_obj
def list_(open_house: Open, instance: Path, as_json: bool) -> None:
    """List the keys, without their secrets."""
    import dataclasses
    import json

    from trust.edge.clock import now

    with open_house(instance, None) as house:
        keys = house.api_keys.listed()
    for key in keys:
        state = key.state(now())
        if as_json:
            row = {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in dataclasses.asdict(key).items()}
            click.echo(json.dumps({**row, "state": state}, ensure_ascii=False))
        else:
            click.echo(f"{key.id}  {key.organisation}  {state:8}  until {key.expires:%Y-%m-%d}  {key.label}")


@apikey.command()
@click.argument("key")
@options.instance
@click.pass_obj
def revoke(open_house: Open, key: str, instance: Path) -> None:
    """Revoke a key, by its id."""
    with open_house(instance, None) as house:
        click.echo(f"API key {house.api_keys.revoke(key).id} is revoked")
