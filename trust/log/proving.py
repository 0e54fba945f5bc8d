"""`kakuin log` for the Merkle tree: check, prove, verify, mirror, and the log's key. Everything but `init` and `checkpoint` only reads.

A log is an instance's own (`--instance`), or lies behind an address or in a folder with a mirror (`--log`), and then its key has to be given.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click

from trust.edge import options

if TYPE_CHECKING:
    from trust.edge.instance import Instance
    from trust.edge.progress import Progress
    from trust.log.examine import Finding
    from trust.log.note import Note, VerifierKey
    from trust.log.stored import Resource, Stored


class House(Protocol):
    """What these commands need of an instance."""

    @property
    def instance(self) -> "Instance": ...


Open = Callable[[Path, Path | None], AbstractContextManager[House]]
F = TypeVar("F", bound=Callable[..., Any])

key_option = click.option("--key", "key", metavar="KEY", help="The log's verifier key, or a file with it.  [default: the instance's]")
witness_option = click.option("--witness", "witnesses", metavar="KEY", multiple=True, help="A witness's verifier key, or a file; several times.")
quorum_option = click.option("--quorum", type=click.IntRange(0), default=0, show_default=True, help="So many of the witnesses must have cosigned.")


def place_options(function: F) -> F:
    """Which log."""
    for option in (key_option, click.option("--log", "place", metavar="PLACE", help="A log's address, or a folder with a mirror."), options.instance):
        function = option(function)
    return function


@dataclass(frozen=True, slots=True)
class Place:
    """A log, wherever it lies."""

    resource: "Resource"
    key: "VerifierKey"
    stored: "Stored | None"
    """Where it is the instance's own."""


@contextmanager
def opened(open_house: Open, instance: Path, place: str | None, key: str | None) -> "Iterator[Place]":
    """UsageError where a log of others has no key given."""
    from trust.log import sources
    from trust.log.stored import Stored

    if place is not None:
        if key is None:
            raise click.UsageError("--log needs --key: a log does not vouch for itself")
        yield Place(sources.named(place), key_of(key), None)
        return
    with open_house(instance, None) as house:
        stored = Stored(house.instance.engine)
        yield Place(stored.resource, key_of(key) if key else house.instance.log_key, stored)


def key_of(text: str) -> "VerifierKey":
    """A verifier key as it is given: itself, or the name of a file."""
    from trust.edge.files import read_small
    from trust.errors import Malformed
    from trust.log.note import verifier_key

    if "+" not in text:
        try:
            text = read_small(Path(text), "verifier key", 4096).decode()
        except UnicodeDecodeError as error:
            raise Malformed("the verifier key is not UTF-8") from error
    return verifier_key(text)


def told(findings: "Iterable[Finding]", progress: "Progress", *, as_json: bool) -> int:
    """Print each; how many there were."""
    import json
    from dataclasses import asdict

    count = 0
    for finding in findings:
        count += 1
        where = "" if finding.index is None else f"entry {finding.index}: "
        with progress.hidden():
            click.echo(json.dumps(asdict(finding), ensure_ascii=False) if as_json else f"{finding.what:12}  {where}{finding.detail}")
    return count


@click.command()
@place_options
@click.option("--export", "export", type=options.file_path, help="Check a file that `kakuin log export` wrote, without the instance.")
@click.option("--checkpoint", "checkpoints", type=click.Path(path_type=Path, dir_okay=False), multiple=True, help="A checkpoint that you kept.")
@click.option("--former", "former", metavar="KEY", multiple=True, help="A verifier key that the instance's log had before; several times.")
@options.as_json
@click.pass_context
def check(
    ctx: click.Context,
    instance: Path,
    place: str | None,
    key: str | None,
    export: Path | None,
    checkpoints: tuple[Path, ...],
    former: tuple[str, ...],
    as_json: bool,
) -> None:
    """Check a whole log: what each entry says, their order, serial numbers, and the roots that were signed.

    The tree is made anew of the entries themselves, and compared with every checkpoint that was signed, and with those that you
    kept (--checkpoint, several times). Exit codes: 0 nothing is wrong, 1 something is.
    """
    import functools

    from trust.edge.files import read_small
    from trust.edge.progress import Progress
    from trust.edge.progress import passing as progressing
    from trust.log import checking, exported, monitor
    from trust.log.examine import Examined

    kept = [(str(path), read_small(path, "checkpoint")) for path in checkpoints]
    done = Examined()
    if export is not None and key is None and kept:
        raise click.UsageError("--checkpoint needs --key")
    with Progress() as progress:
        passing = functools.partial(progressing, progress=progress, what="entries")
        if export is not None:
            mine = checking.roots_of(monitor.checkpoints_of(kept, key_of(key))) if key else []
            count = told(checking.of_export(passing(exported.entries(export)), mine, done), progress, as_json=as_json)
        else:
            with opened(ctx.obj, instance, place, key) as log:
                mine = checking.roots_of(monitor.checkpoints_of(kept, log.key))
                keys = (log.key, *map(key_of, former))
                of_instance, of_others = checking.of_instance, checking.of_others
                of = of_instance(log.stored, keys, mine, done, passing) if log.stored else of_others(log.resource, log.key, mine, done, passing)
                count = told(of, progress, as_json=as_json)
    if not as_json:
        click.echo(f"{done.frontier.size} entries, root {done.frontier.root().hex()}")
        click.echo(
            "compared with no checkpoint: what was cut off at the end is not seen, nor a log made anew; give one that you kept (--checkpoint)"
            if done.covered is None
            else f"compared with checkpoints over up to {done.covered} entries"
        )
        click.echo("nothing is wrong" if not count else f"{count} finding{'s' if count > 1 else ''}")
    ctx.exit(1 if count else 0)


@click.group()
def prove() -> None:
    """Make proofs: that an entry is in the log, or that the log of today begins with that of yesterday."""


@prove.command()
@click.argument("entry", metavar="NUMBER|FILE")
@place_options
@options.output
@click.pass_obj
def inclusion(open_house: Open, entry: str, instance: Path, place: str | None, key: str | None, output: Path | None) -> None:
    """Write the receipt of an entry (C2SP tlog-proof): by its number, or by a time-stamp's file.

    From an address (--log) a time-stamp's receipt is asked for and verified; everything else is made of the log's tiles here.
    """
    from trust.log import tree
    from trust.log.note import opened as note_opened
    from trust.log.note import parse_note
    from trust.log.receipt import Receipt, extra_of
    from trust.log.sources import leaves_data, tiles_of

    if place is not None and key is not None and place.startswith("http") and not entry.isdigit():
        options.written([_asked_for(place, Path(entry), key_of(key))], output or options.STDIO, replace=True)
        return
    with opened(open_house, instance, place, key) as log:
        index = int(entry) if entry.isdigit() else _index_of(log, Path(entry))
        note = log.resource("checkpoint")
        checkpoint, _ = note_opened(note, log.key)
        path = tree.inclusion(log.stored.tiles if log.stored else tiles_of(log.resource), index, checkpoint.size)
        data = next(data for at, data in leaves_data(log.resource, index, checkpoint.size) if at == index)
        require_shown(tree.includes(tree.leaf_hash(data), index, checkpoint.size, path, checkpoint.root), f"entry {index}")
        proof = Receipt(index, path, parse_note(note), extra_of(data.partition(b"\n")[0].decode("ascii"), data))
    options.written([bytes(proof)], output or options.STDIO, replace=True)


def _asked_for(url: str, path: Path, key: "VerifierKey") -> bytes:
    from trust.edge.files import read_small
    from trust.log import receipt, sources
    from trust.log.api import token_in

    token, _ = token_in(read_small(path, "time-stamp"))
    found = sources.receipt_for(url, token)
    receipt.verify(receipt.parse_receipt(found), token, key)
    return found


def _index_of(log: Place, path: Path) -> int:
    from trust.edge.files import read_small
    from trust.log.api import token_in

    if log.stored is None:
        raise click.UsageError("a mirror does not know whose entry a time-stamp is: give the entry's number")
    return log.stored.token(*token_in(read_small(path, "time-stamp"))).index


def require_shown(shown: bool, what: str) -> None:  # the outcome of a proof is what it is called for
    """Malformed where a log does not show what it says: nothing is written that would not verify."""
    from trust.errors import Malformed

    if not shown:
        raise Malformed(f"{what} is not what the checkpoint was made of: `kakuin log check` tells more")


@prove.command()
@click.argument("old", type=click.Path(path_type=Path, dir_okay=False), metavar="CHECKPOINT")
@place_options
@options.output
@click.pass_obj
def consistency(open_house: Open, old: Path, instance: Path, place: str | None, key: str | None, output: Path | None) -> None:
    """Write the proof that the log of today begins with the one of CHECKPOINT, in the form that witnesses are asked in."""
    from trust.edge.files import read_small
    from trust.log import tree
    from trust.log.note import opened as note_opened
    from trust.log.note import parse_note
    from trust.log.sources import tiles_of
    from trust.log.witness import Asked

    with opened(open_house, instance, place, key) as log:
        before, _ = note_opened(read_small(old, "checkpoint"), log.key)
        note = log.resource("checkpoint")
        now, _ = note_opened(note, log.key)
        proof = tree.consistency(log.stored.tiles if log.stored else tiles_of(log.resource), before.size, now.size)
        require_shown(tree.extends(before.size, before.root, now.size, now.root, proof), f"the tree of {before.size} entries")
    options.written([bytes(Asked(before.size, proof, parse_note(note)))], output or options.STDIO, replace=True)


@click.command()
@click.argument("proof", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("content", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")
@click.option("--key", "key", metavar="KEY", required=True, help="The log's verifier key, or a file with it.")
@witness_option
@quorum_option
@click.pass_context
def verify(ctx: click.Context, proof: Path, content: Path, key: str, witnesses: tuple[str, ...], quorum: int) -> None:
    """Verify a proof offline: a receipt for the time-stamp, sealed file or certificate FILE, or a consistency proof from the checkpoint FILE.

    Exit codes: 0 it is shown, 1 it is not.
    """
    from trust.errors import KakuinError

    try:
        click.echo(_shown(proof, content, key_of(key), tuple(map(key_of, witnesses)), quorum))
    except KakuinError as error:
        click.echo(f"NOT SHOWN: {error}")
        ctx.exit(1)


def _shown(proof: Path, content: Path, key: "VerifierKey", witnesses: "tuple[VerifierKey, ...]", quorum: int) -> str:
    from trust.edge.files import read_small
    from trust.errors import Malformed
    from trust.log import note, receipt, tree
    from trust.log.layout import said_by
    from trust.log.page import moment
    from trust.log.witness import parse_asked

    data = read_small(proof, "proof")
    if data.startswith(b"old "):
        asked = parse_asked(data)
        signed = asked.note
        new, cosigners = note.opened(bytes(signed), key, witnesses)
        old, _ = note.opened(read_small(content, "checkpoint"), key)
        if asked.old != old.size or not tree.extends(old.size, old.root, new.size, new.root, asked.proof):
            raise Malformed("the proof does not show that the new tree begins with the old one")
        said = f"SHOWN: the {new.size} entries of {new.origin} begin with the {old.size} of the older checkpoint"
    else:
        parsed = receipt.parse_receipt(data)
        kind = said_by(parsed.extra or b"").kind
        shown = receipt.verify(parsed, _held(kind, read_small(content, "file", 1 << 30)), key, witnesses)
        signed, new, cosigners = parsed.note, shown.checkpoint, shown.witnesses
        said = f"SHOWN: it is entry {parsed.index} ({kind}) of {new.origin}, recorded {moment(shown.said.at).isoformat()}, under {new.size} entries"
    if len(cosigners) < quorum:
        raise Malformed(f"{quorum} witnesses have to cosign the checkpoint, {len(cosigners)} did")
    return said + "".join(f"\n  cosigned by {witness.name} at {_when(signed, witness)}" for witness in cosigners)


def _when(signed: "Note", witness: "VerifierKey") -> str:
    """What the witness's clock said."""
    from datetime import UTC, datetime

    from trust.log.note import cosigned_at

    time = next(cosigned_at(line) for line in signed.signatures if (line.name, line.id) == (witness.name, witness.id))
    try:
        return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%dT%H:%M:%SZ}"
    except (ValueError, OverflowError, OSError):  # after the year 9999
        return f"{time} seconds since 1970"


def _held(kind: str, data: bytes) -> bytes:
    """What the entry has as its body, of the file that somebody has."""
    from trust.log.api import token_in

    if kind == "token":
        return token_in(data)[0]
    if kind == "certificate" and data.startswith(b"-----BEGIN"):
        from cryptography import x509
        from cryptography.hazmat.primitives.serialization import Encoding

        return x509.load_pem_x509_certificate(data).public_bytes(Encoding.DER)
    return data


@click.command()
@place_options
@options.passphrase_file
@options.output
@click.pass_obj
def checkpoint(open_house: Open, instance: Path, passphrase_file: Path | None, place: str | None, key: str | None, output: Path | None) -> None:
    """Write a checkpoint: of the instance's own log one over all that it has now, signed; of another's log the one that it shows, verified."""
    from trust.errors import NotFound
    from trust.log.note import opened as note_opened

    if place is None:
        with open_house(instance, passphrase_file) as house:
            made = house.instance.publisher().publish(due=False)
        if made is None:
            raise NotFound("the log is empty")
        note = made.note
    else:
        with opened(open_house, instance, place, key) as log:
            note = log.resource("checkpoint")
            note_opened(note, log.key)
    options.written([note], output or options.STDIO, replace=True)


@click.command()
@options.instance
@click.pass_obj
def key(open_house: Open, instance: Path) -> None:
    """Print the log's verifier key: give it to whoever shall check the log, and not by the way that the log goes."""
    with open_house(instance, None) as house:
        click.echo(str(house.instance.log_key))


@click.command()
@options.instance
@options.passphrase_file
@click.pass_obj
def init(open_house: Open, instance: Path, passphrase_file: Path | None) -> None:
    """Make the log's key in an instance that has none. Its name is the setting log.origin, for good; the key becomes an entry of the log."""
    import json

    with open_house(instance, passphrase_file) as house:
        made = str(house.instance.found_log())
        house.instance.journal.append("event", json.dumps({"event": "log-key", "key": made}, sort_keys=True).encode())
        click.echo(made)


@click.command()
@click.argument("target", type=options.folder_path, metavar="FOLDER")
@place_options
@click.pass_obj
def mirror(open_house: Open, target: Path, instance: Path, place: str | None, key: str | None) -> None:
    """Copy a log into a folder, as static files that any web server can serve (C2SP tlog-tiles). A second run adds what is new.

    It writes nothing where the log does not begin with what the folder has: the folder's checkpoint is proof of that then.
    """
    from trust.edge.files import read_small
    from trust.edge.progress import Progress, passing
    from trust.log import layout, sources
    from trust.log.note import opened as note_opened

    with opened(open_house, instance, place, key) as log:
        note = log.resource("checkpoint")
        shown, _ = note_opened(note, log.key)
        kept = target / layout.CHECKPOINT
        if kept.exists():
            sources.require_continued(log.resource, note_opened(read_small(kept, "checkpoint"), log.key)[0], shown)
        with Progress() as progress:
            files = sources.mirror(log.resource, note, shown, target, lambda tiles: passing(tiles, progress, "tiles", 10))
        click.echo(f"{shown.size} entries in {target}, {files} files written")


COMMANDS: tuple[click.Command, ...] = (check, prove, verify, checkpoint, key, init, mirror)
