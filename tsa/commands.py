"""`kakuin stamp`: the authority from the command line; one document, many at once, and records renewed."""

import codecs
import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

from trust.edge import options

if TYPE_CHECKING:
    from trust.model import Digest, Document
    from trust.ports import Stamper
    from tsa.service import Authority


class House(Protocol):
    """What this command needs of an instance."""

    @property
    def authority(self) -> "Authority": ...

    def evidence(self, digest: "Digest") -> bytes:
        """A token with the status of its chain, as an evidence record holds it."""

    def completed(self, token: bytes) -> bytes:
        """A token of this installation with the status of its chain."""

    def receipt(self, issued: "bytes | int") -> bytes:
        """Of what this installation issued: a token, or the number of its entry."""


class Open(Protocol):
    """Opens an instance; what needs none is done without."""

    def __call__(self, folder: Path, passphrase_file: Path | None, /) -> AbstractContextManager[House]: ...

    def boxed(self, document: "Document", token: bytes, /) -> "Document":
        """An ASiC-S container of a document and the time-stamp over it."""


TOKEN, ASIC_S = "tst", "asic-s"
"""What is written: the token by itself, or the document and the token in one container."""


@click.command()
@click.argument("file", type=options.file_path, required=False)
@options.instance
@options.passphrase_file
@click.option(
    "--digest", "--algorithm", "digest", default="sha256", show_default=True, help="sha256, sha384, sha512, sha3_256, sha3_384 or sha3_512."
)
@click.option(
    "--format",
    "format_",
    type=click.Choice([TOKEN, ASIC_S]),
    default=TOKEN,
    show_default=True,
    help="The token by itself, or a container (EN 319 162-1) with document and token in it.",
)
@click.option("--server", metavar="URL", help="Address of a time-stamp authority (RFC 3161 over HTTP) to ask instead of the local instance.")
@click.option("--batch", type=options.file_path, metavar="DIR_OR_LIST", help="Stamp many files under one token: an evidence record for each.")
@click.option("--blinded", is_flag=True, help="With --batch: no record tells anything of the other files.")
@click.option("--renew", type=options.file_path, metavar="RECORD_OR_DIR", help="Renew evidence records (NAME.ers): all under one new token.")
@options.receipt
@options.output
@options.as_json
@click.pass_obj
def stamp(
    open_house: Open,
    file: Path | None,
    instance: Path,
    passphrase_file: Path | None,
    digest: str,
    format_: str,
    server: str | None,
    batch: Path | None,
    blinded: bool,
    renew: Path | None,
    receipt: Path | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Time-stamp a file (RFC 3161): proof that it existed, at the latest, now.

    FILE is the document; - is standard input. The token is written beside it (data.csv.tst), or where -o says. Verify it with
    `kakuin verify data.csv.tst --detached data.csv`. With --format asic-s document and token are one file (data.csv.asics).

    With --receipt, what shows that the time-stamp is in the authority's log is written too, as soon as a checkpoint of the log covers it:
    `kakuin log verify` checks it offline.

    With --batch, each file of a folder, or of a list with a name a line or as sha256sum writes it (- is standard input), gets an evidence record of
    its own (RFC 4998), data.csv.ers, beside it or in the folder of -o. What has a record is left alone; the same command goes on after an
    interruption. Of the index of a batch, records that were lost are made again.

    With --renew, records get a new time-stamp over the last one. With a --digest that is not their own, a new hash tree: the documents stand beside.
    """
    if [file, batch, renew].count(None) != 2:
        raise click.UsageError("name one of: a FILE, --batch DIR_OR_LIST, --renew RECORD_OR_DIR")
    if blinded and batch is None:
        raise click.UsageError("--blinded goes with --batch")
    if renew is not None and output is not None:
        raise click.UsageError("--renew replaces each record where it is: leave -o out")
    if file is None and format_ != TOKEN:
        raise click.UsageError(f"--format {format_} goes with a FILE: --batch and --renew write evidence records")
    if receipt is not None and (file is None or format_ != TOKEN):
        raise click.UsageError("--receipt goes with a FILE, and the token by itself: receipts are of tokens")
    if file is None:
        chosen = click.get_current_context().get_parameter_source("digest") is not click.core.ParameterSource.DEFAULT
        with _stamping(open_house, instance, passphrase_file, server) as (stamper, complete):
            if batch is not None:
                _batch(batch, output, digest, stamper, blinded=blinded, as_json=as_json)
            elif renew is not None:
                _renew(renew, digest if chosen else None, stamper, complete, as_json=as_json)
        return
    import io
    import json
    import sys

    from trust.codecs.cms import token
    from trust.edge.progress import Progress, Reading
    from trust.edge.source import document_of
    from trust.errors import Malformed, Unacceptable

    document = document_of(file)
    if output is not None:
        options.writable(output, replace=True)
    elif file != options.STDIO:
        options.writable(file.with_name(file.name + (".asics" if format_ == ASIC_S else ".tst")), replace=False)
    with Progress() as progress:
        [heard] = Reading((document,), progress, f"hashing {document.name or 'standard input'}").documents
        imprint = heard.digest(digest)
    if imprint is None:
        raise Malformed("the document cannot be read")
    proof: bytes | None = None
    if server is not None:
        from tsa.client import remote_stamper

        der, proof = (remote_stamper(server)(imprint), None) if receipt is None else _with_receipt(server, imprint)
    else:
        with open_house(instance, passphrase_file) as house:
            # In a container it stands for itself, as an evidence record does.
            der = house.authority.stamper()(imprint) if format_ == TOKEN else house.evidence(imprint)
            if receipt is not None:
                proof = house.receipt(der)
    made = token(der)
    if made.imprint != imprint:
        raise Unacceptable("the authority stamped something else")
    boxed = open_house.boxed(document, der) if format_ == ASIC_S else None
    name = boxed.name if boxed is not None and boxed.name else file.name + ".tst"
    target = output or (options.STDIO if file == options.STDIO else file.with_name(name))
    options.written(options.pieces(boxed.open() if boxed is not None else io.BytesIO(der)), target, replace=output is not None)
    if receipt is not None and proof is not None:
        options.written([proof], receipt, replace=True)
    signer = made.signature.signer
    facts = {
        "output": str(target),
        "time": made.gen_time.isoformat(),
        "serial": made.serial,
        "policy": made.policy,
        "authority": signer.name if signer else None,
        "digest": f"{imprint.algorithm}:{imprint.value.hex()}",
    }
    if receipt is not None:
        facts["receipt"] = str(receipt)
    said = json.dumps(facts, ensure_ascii=False) if as_json else f"stamped {made.gen_time:%Y-%m-%dT%H:%M:%S.%fZ}: {target}"
    click.echo(said, file=sys.stderr if target == options.STDIO else sys.stdout)


def _with_receipt(server: str, imprint: "Digest") -> tuple[bytes, bytes]:
    """A token from elsewhere, and its receipt. Nothing is written of the one without the other."""
    from trust.errors import Unacceptable
    from trust.log import handing
    from tsa.client import stamped_with_receipt

    der, address = stamped_with_receipt(server, imprint)
    if address is None:
        raise Unacceptable("the time-stamp authority names no receipt: it has no log, or is no Kakuin; without --receipt it stamps")
    found = handing.fetched(address)
    handing.require_token(found, der)
    return der, bytes(found)


@contextlib.contextmanager
def _stamping(
    open_house: Open, instance: Path, passphrase_file: Path | None, server: str | None
) -> "Iterator[tuple[Stamper, Callable[[bytes], bytes] | None]]":
    """What stamps, and what adds the status of this installation's own tokens; nobody's where another authority was named."""
    if server is not None:
        from tsa.client import remote_stamper

        yield remote_stamper(server), None
        return
    with open_house(instance, passphrase_file) as house:
        yield house.evidence, house.completed


def _batch(given: Path, output: Path | None, algorithm: str, stamper: "Stamper", *, blinded: bool, as_json: bool) -> None:
    import dataclasses
    import json
    import sys

    from trust.edge.progress import Progress
    from trust.edge.source import shown, unreadable
    from tsa import batch_folder

    wanted = batch_folder.Wanted(given, output, algorithm, blinded)
    try:
        lines = None if given.is_dir() else _lines(sys.stdin.buffer.read() if given == options.STDIO else given.read_bytes())
    except OSError as error:
        raise unreadable(given, error) from error
    try:
        with Progress() as progress:
            done = batch_folder.run(wanted, lines, stamper, progress.tell)
    except KeyboardInterrupt:
        click.echo("stopped: the same command goes on from here, and nothing is half written", err=True)
        raise
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(done), ensure_ascii=False))
        return
    if done.finished:
        click.echo(f"wrote {_counted(done.finished, 'record')} that an earlier batch lacked")
    if done.already:
        click.echo(f"left alone because of a record already there: {_counted(done.already, 'document')}")
    if done.empty:
        click.echo(f"left out because empty: {_counted(done.empty, 'file')}")
    if done.facts is None:
        click.echo(f"nothing to stamp in {shown(given)}")
    else:
        click.echo(f"stamped {_counted(done.stamped, 'document')} {done.facts['time']}: the index is {done.facts['index']}")


def _lines(data: bytes) -> list[str]:
    """Of a list. Names may hold what other tools take for ends of lines, and octets that are no text."""
    return data.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape").split("\n")


def _renew(given: Path, algorithm: str | None, stamper: "Stamper", complete: Callable[[bytes], bytes] | None, *, as_json: bool) -> None:
    import json

    from trust.edge.progress import Progress
    from tsa import batch_renewal

    with Progress() as progress:
        facts = batch_renewal.run(given, algorithm, stamper, complete, progress.tell)
    if as_json:
        click.echo(json.dumps(facts, ensure_ascii=False))
        return
    for each in facts["tokens"]:
        click.echo(f"renewed {_counted(each['records'], 'record')} with {each['algorithm']} {each['time']}")


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"
