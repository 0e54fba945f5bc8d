"""`kakuin demo`: an invented organisation, two documents sealed and verified, and the service. Imports stand inside."""

import functools
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

from trust.edge import options
from trust.edge.operations import commands as service

if TYPE_CHECKING:
    from eseal.service import Sealer
    from eseal.store import ApiKeys
    from trust.model import Document


class House(service.House, Protocol):
    """What the demonstration needs of an installation."""

    @property
    def sealer(self) -> "Sealer": ...

    @property
    def api_keys(self) -> "ApiKeys": ...

    def organisation(self, number: str | None) -> str:
        """The corporate number, or the only organisation's."""

    def shown(self, document: "Document", detached: "Sequence[Document]") -> str:
        """The verdict on a document, as the terminal shows it."""


class Open(Protocol):
    """Opens an installation."""

    def __call__(self, folder: Path, /) -> AbstractContextManager[House]: ...


@click.command()
@click.option("--folder", type=options.folder_path, default="demo", show_default=True, help="Where the demonstration lies.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on.  [default: the setting service.port, 8318]")
@click.option("--serve/--no-serve", "serving", default=True, help="Leave the service running at the end.")
@click.pass_obj
def demo(open_house: Open, folder: Path, port: int | None, serving: bool) -> None:
    """Seal a PDF and a dataset for an invented organisation, verify both, then serve.

    What is there already is kept: a second run starts at once.
    """
    from trust.edge.files import told
    from trust.edge.founding import Answers, make_instance

    with told(f"make {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
    instance = folder / "instance"
    with make_instance(instance, Answers(port=port)) as made:
        wanted = made.settings.service
    listener = service.listening(wanted.host, wanted.port if port is None else port) if serving else None
    try:
        with open_house(instance) as house:
            _demonstrate(house, folder)
            if listener is not None:
                service.served(house, listener, functools.partial(click.echo, _try_next(folder, service.address_of(listener))))
    finally:
        if listener is not None:
            listener.close()


def _demonstrate(house: House, folder: Path) -> None:
    from eseal.demonstration import CSV_NAME, PDF_NAME, csv, pdf
    from eseal.spec import choose
    from trust.edge.files import write_atomically
    from trust.edge.source import document_of

    for name, draw, packaging in ((PDF_NAME, pdf, "enveloped"), (CSV_NAME, csv, "detached")):
        path = folder / name
        if not path.exists():
            write_atomically(path, draw())
        document = document_of(path)
        spec = choose(document.head(4096), level="B-LTA", packaging=packaging)
        ending = ".sealed.pdf" if name == PDF_NAME else ".csv.p7s"
        target = path.with_suffix(ending)
        if not target.exists():
            made = house.sealer.seal(document, spec, house.organisation(None))
            options.written(options.pieces(made.document.open()), target, replace=False)
            click.echo(f"sealed {path} at {made.spec.level}: {target}")
        detached = (document,) if name == CSV_NAME else ()
        given = f" --detached {path}" if detached else ""
        click.echo(f"\n$ kakuin verify {target}{given} --trust {folder / 'instance' / 'anchors'}")
        click.echo(house.shown(document_of(target), detached))
    key = folder / "api-key"
    if not key.exists():
        text, _ = house.api_keys.create(house.organisation(None), "demonstration")
        write_atomically(key, text.encode(), mode=0o600)


def _try_next(folder: Path, address: str) -> str:
    return f"""
serving on {address}; Ctrl-C ends it. Try, in another terminal, with a PDF of your own:

  curl --data-binary @yours.pdf -H "Authorization: Bearer $(cat {folder}/api-key)" -H "Content-Type: application/pdf" \\
       "{address}/v1/seals?level=B-LTA" -o sealed.pdf
  curl --data-binary @sealed.pdf -H "Content-Type: application/pdf" -H "Accept: text/plain" {address}/v1/verifications

The API is described at {address}/openapi.json"""
