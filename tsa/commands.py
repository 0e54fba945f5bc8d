"""`kakuin stamp`: the authority from the command line."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

from trust.edge import options

if TYPE_CHECKING:
    from tsa.service import Authority


class House(Protocol):
    """What this command needs of an instance."""

    @property
    def authority(self) -> "Authority": ...


Open = Callable[[Path, Path | None], AbstractContextManager[House]]


@click.command()
@click.argument("file", type=options.file_path)
@options.instance
@options.passphrase_file
@click.option("--digest", default="sha256", show_default=True, help="sha256, sha384, sha512, sha3_256, sha3_384 or sha3_512.")
@click.option("--server", metavar="URL", help="Address of a time-stamp authority (RFC 3161 over HTTP) to ask instead of the local instance.")
@options.output
@options.as_json
@click.pass_obj
def stamp(
    open_house: Open, file: Path, instance: Path, passphrase_file: Path | None, digest: str, server: str | None, output: Path | None, as_json: bool
) -> None:
    """Time-stamp a file (RFC 3161): proof that it existed, at the latest, now.

    FILE is the document; - is standard input. The token is written beside it (data.csv.tst), or where -o says. Verify it with
    `kakuin verify data.csv.tst --detached data.csv`.
    """
    import io
    import json
    import sys

    from trust.codecs.cms import token
    from trust.edge.progress import Progress
    from trust.edge.source import document_of
    from trust.errors import Malformed, Unacceptable

    document = document_of(file)
    with Progress() as progress:
        progress.tell(f"hashing {document.name or 'standard input'}")
        imprint = document.digest(digest)
    if imprint is None:
        raise Malformed("the document cannot be read")
    if server is not None:
        from tsa.client import remote_stamper

        der = remote_stamper(server)(imprint)
    else:
        with open_house(instance, passphrase_file) as house:
            der = house.authority.stamper()(imprint)
    made = token(der)
    if made.imprint != imprint:
        raise Unacceptable("the authority stamped something else")
    target = output or (options.STDIO if file == options.STDIO else file.with_name(file.name + ".tst"))
    options.written(options.pieces(io.BytesIO(der)), target, replace=output is not None)
    signer = made.signature.signer
    facts = {
        "output": str(target),
        "time": made.gen_time.isoformat(),
        "serial": made.serial,
        "policy": made.policy,
        "authority": signer.name if signer else None,
        "digest": f"{imprint.algorithm}:{imprint.value.hex()}",
    }
    said = json.dumps(facts, ensure_ascii=False) if as_json else f"stamped {made.gen_time:%Y-%m-%dT%H:%M:%S.%fZ}: {target}"
    click.echo(said, file=sys.stderr if target == options.STDIO else sys.stdout)
