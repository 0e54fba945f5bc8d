"""`kakuin monitor` and `kakuin witness`: looking after the logs of others."""

import re
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import click

from trust.edge import options
from trust.log.proving import key_of, quorum_option, told, witness_option

Open = Callable[[Path, Path | None], AbstractContextManager[Any]]

WITNESS = "kakuin-witness"
folder_option = click.option("--folder", type=options.folder_path, default=WITNESS, show_default=True, help="Where the witness lies.")


def _digests(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    for each in given:
        if re.fullmatch(r"[0-9A-Fa-f]{64}", each) is None:
            raise click.BadParameter(f"expected a SHA-256 of 64 hexadecimal digits, got {len(each)} characters")
    return given


@click.command()
@click.argument("place", metavar="URL")
@click.option("--key", "key", metavar="KEY", required=True, help="The log's verifier key, or a file with it.")
@click.option("--state", "state", type=click.Path(path_type=Path, dir_okay=False), required=True, help="File that remembers what was seen.")
@witness_option
@quorum_option
@click.option("--watch", "names", multiple=True, metavar="NAME", help="Report certificates for this name; several times.")
@click.option("--expect", "expected", multiple=True, callback=_digests, metavar="SHA256", help="... but not this one, by its SHA-256; several times.")
@click.option("--every", type=click.FloatRange(1), metavar="SECONDS", help="Go on until Ctrl-C, a round each SECONDS.  [default: one round]")
@options.as_json
@click.pass_context
def monitor(
    ctx: click.Context,
    place: str,
    key: str,
    state: Path,
    witnesses: tuple[str, ...],
    quorum: int,
    names: tuple[str, ...],
    expected: tuple[str, ...],
    every: float | None,
    as_json: bool,
) -> None:
    """Follow a log (an address, or a mirror's folder): that it only grows, and holds nothing that it must not.

    Reported are another history than before, serial numbers that are missing or used twice, times that go back, entries that
    cannot be read, and certificates for names that you watch. A checkpoint that does not continue the one before is kept beside the
    state: the log has signed both. Exit codes: 0 nothing was found, 1 something was.
    """
    from trust.errors import NotFound, Unavailable
    from trust.log.monitor import Watch, load

    watch = Watch(key_of(key), tuple(map(key_of, witnesses)), quorum, names, expected)
    before = load(state, watch.key)
    found = 0
    while True:
        try:
            before, count = _round(place, watch, before, state, as_json=as_json)
            found += count
        except (Unavailable, NotFound) as error:
            if every is None:
                raise
            click.echo(f"kakuin: {error}", err=True)  # it is followed as long as somebody wants it to be
        if every is None:
            break
        threading.Event().wait(every)
    ctx.exit(1 if found else 0)


def _round(place: str, watch: Any, before: Any, state: Path, *, as_json: bool) -> tuple[Any, int]:
    from trust.edge.progress import Progress, passing
    from trust.log import sources
    from trust.log.monitor import Round, keep, save

    with Progress() as progress:
        looked = Round(sources.named(place), watch, before, lambda entries: passing(entries, progress, "entries"))
        count = told(looked.findings(), progress, as_json=as_json)
    if looked.contradicting is not None:
        click.echo(f"kakuin: the checkpoint that it shows is kept in {keep(state, looked.contradicting)}", err=True)
    if looked.state is not before:
        save(state, watch.key, looked.state)
    if not as_json:
        click.echo(f"{looked.size} entries, {looked.size - before.frontier.size} new, {count} finding{'' if count == 1 else 's'}")
    return looked.state, count


@click.group()
def witness() -> None:
    """Cosign the checkpoints of others' logs, as long as each continues the one before (C2SP tlog-witness)."""


@witness.command(name="init")
@click.argument("name")
@folder_option
@click.option("--key-type", type=click.Choice(["ed25519", "ml-dsa-44"]), default="ed25519", show_default=True, help="What it signs with.")
@options.passphrase_file
def witness_init(name: str, folder: Path, key_type: str, passphrase_file: Path | None) -> None:
    """Make a witness called NAME (such as witness.example.jp/1), and print its verifier key.

    Cosignatures of ML-DSA-44 withstand quantum computers, and are newer: not each log and client knows them yet.
    """
    from trust.edge.keystore import passphrase
    from trust.errors import Misconfigured
    from trust.log.note import COSIGNING
    from trust.log.witness import create

    secret = passphrase(passphrase_file)
    if secret is None:
        raise Misconfigured("the key needs a passphrase: --passphrase-file FILE, or KAKUIN_PASSPHRASE_FILE in the environment")
    [kind] = [kind for kind in COSIGNING if kind.algorithm.scheme == key_type]
    click.echo(str(create(folder, name, secret, kind)))


@witness.command(name="add")
@click.argument("key")
@folder_option
def witness_add(key: str, folder: Path) -> None:
    """Witness the log with this verifier KEY (or a file with it) from now on."""
    from trust.log.witness import Logs

    found = key_of(key)
    Logs(folder).add(found)
    click.echo(f"{found.name} is witnessed")


@witness.command(name="list")
@folder_option
@options.as_json
@click.pass_context
def witness_list(ctx: click.Context, folder: Path, as_json: bool) -> None:
    """List the logs, with the size that was cosigned last, and what was refused.

    A log CONTRADICTED ITSELF when it signed two roots of one size: that is proven, whoever sent them. A checkpoint without proof may be of
    another history, or somebody sent one of the log's with a wrong proof. `kakuin witness evidence` writes both. Exit codes: 0 there was
    neither, 1 there was.
    """
    import json

    from trust.log.witness import Logs

    wrong = 0
    for each in Logs(folder).all():
        wrong += each.contradictions + each.unproven
        if as_json:
            refused = {"contradictions": each.contradictions, "unproven": each.unproven}
            click.echo(json.dumps({"origin": each.key.name, "size": each.size, "root": each.root.hex(), **refused}))
            continue
        click.echo(
            f"{each.size:>12}  {each.key.name}"
            + (f"  CONTRADICTED ITSELF in {each.contradictions} checkpoints" if each.contradictions else "")
            + (f"  refused, without proof that it continues: {each.unproven} checkpoints" if each.unproven else "")
        )
    ctx.exit(1 if wrong else 0)


@witness.command(name="evidence")
@click.argument("origin")
@click.argument("target", type=options.folder_path, metavar="FOLDER")
@folder_option
def witness_evidence(origin: str, target: Path, folder: Path) -> None:
    """Write what was refused of the log ORIGIN into FOLDER, for showing to others.

    contradiction-N.request is what was asked, and contradiction-N.cosigned the checkpoint of the same size that was cosigned before: the log
    has signed both. unproven-N.request came without a proof.
    """
    from trust.edge.files import told as named
    from trust.edge.files import write_atomically
    from trust.errors import NotFound
    from trust.log.witness import Logs

    logs = Logs(folder)
    if logs.find(origin) is None:
        raise NotFound(f"{ascii(origin)[1:-1]} is not witnessed here")
    found = dict[str, bytes]()
    for number, (request, cosigned) in enumerate(logs.contradictions(origin), 1):
        found |= {f"contradiction-{number}.request": request} | ({f"contradiction-{number}.cosigned": cosigned} if cosigned else {})
    found |= {f"unproven-{number}.request": request for number, request in enumerate(logs.unproven(origin), 1)}
    with named(f"make {target}"):
        target.mkdir(parents=True, exist_ok=True)
    for name, data in found.items():
        write_atomically(target / name, data)
    click.echo(f"{len(found)} files in {target}")


@witness.command(name="serve")
@folder_option
@options.passphrase_file
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8319, show_default=True, help="Port to listen on.")
def witness_serve(folder: Path, passphrase_file: Path | None, host: str, port: int) -> None:
    """Answer POST /add-checkpoint until Ctrl-C."""
    import sys

    import uvicorn

    from trust.edge.clock import now
    from trust.edge.keystore import passphrase
    from trust.edge.web import application, logging_to
    from trust.errors import Misconfigured
    from trust.log import keys
    from trust.log.witness import MAX_REQUEST, Logs, Witness
    from trust.log.witness_api import router

    secret = passphrase(passphrase_file)
    if secret is None:
        raise Misconfigured("the key needs its passphrase: --passphrase-file FILE, or KAKUIN_PASSPHRASE_FILE in the environment")
    serving = Witness(Logs(folder), keys.unlocked(folder, secret), now)
    web = application("Kakuin witness", (router(serving),), description="Cosigns checkpoints (C2SP tlog-witness).", body_limit=MAX_REQUEST)
    click.echo(f"witness {keys.verifier(folder)} on http://{host}:{port}; Ctrl-C ends it")
    config = uvicorn.Config(
        web, host=host, port=port, http="httptools", loop="uvloop", ws="none", access_log=False, log_config=None, server_header=False
    )
    with logging_to(sys.stderr):
        uvicorn.Server(config).run()
