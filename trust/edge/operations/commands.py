"""`kakuin serve`: a socket, one process or several, and the service until it is enough. Imports stand inside."""

import functools
import os
import socket
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from trust.edge import options
from trust.edge.exits import coded
from trust.errors import Unavailable

if TYPE_CHECKING:
    from trust.edge.clock.keeper import Timekeeper
    from trust.edge.instance import Instance
    from trust.edge.operations.commons import Commons
    from trust.edge.operations.tally import Tally
    from trust.edge.sandbox import Sandbox


class House(Protocol):
    """What serving needs of an installation."""

    tally: "Tally"
    commons: "Commons | None"
    """What all processes of the service count together."""
    worker: int
    """Which of them this is."""
    hurry: Callable[[], None]
    """What waits for company waits no longer."""

    @property
    def instance(self) -> "Instance": ...

    @property
    def sandbox(self) -> "Sandbox": ...

    @property
    def timekeeper(self) -> "Timekeeper | None": ...

    @property
    def shares(self) -> bool:
        """Other processes accept from the same socket."""

    def tally_of(self, handle: int | None = None) -> "Tally":
        """`handle`: of memory that all processes of the service share."""

    def application(self) -> Any:
        """Everything over HTTP, as ASGI."""

    def begins_to_end(self) -> None:
        """From now on health says that the service is ending."""


class Open(Protocol):
    """Opens an installation, as this one of so many processes."""

    def __call__(
        self, folder: Path, passphrase_file: Path | None = None, /, *, worker: int = 0, workers: int = 1
    ) -> AbstractContextManager[House]: ...


@click.command()
@options.instance
@options.passphrase_file
@click.option("--host", help="Address to listen on.  [default: the setting service.host]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on.  [default: the setting service.port]")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes that answer; more than one want PostgreSQL.")
@click.pass_obj
def serve(open_house: Open, instance: Path, passphrase_file: Path | None, host: str | None, port: int | None, workers: int) -> None:
    """Serve the authority (/tsa), the sealer (/v1/seals), the verifier (/v1/verifications) and the PKI (/pki) until Ctrl-C."""
    from trust.edge.settings import load

    everything = load(instance.absolute(), os.environ)
    settings = everything.service
    with listening(host or settings.host, settings.port if port is None else port) as listener:
        address = address_of(listener)
        said = functools.partial(click.echo, f"serving {instance} on {address} (its API: {address}/openapi.json); Ctrl-C ends it")
        opened = functools.partial(open_house, instance, passphrase_file)
        if workers == 1:
            with opened() as house:
                served(house, listener, said)
        else:
            from trust.edge.operations.assembly import commons_of

            _together(opened, listener, commons_of(everything, workers), said)


def _together(opened: Callable[..., AbstractContextManager[House]], listener: socket.socket, commons: "Commons", said: Callable[[], None]) -> None:
    """In several processes. Nothing is opened before they part."""
    from trust.edge.operations.tally import shared
    from trust.edge.workers import Workers

    workers = commons.workers
    counted = shared(workers)

    def work(number: int, ready: Callable[[], None]) -> int:
        def serve() -> None:
            with opened(worker=number, workers=workers) as house:
                house.tally, house.commons = house.tally_of(handle=counted), commons
                served(house, listener, ready)

        return coded(serve)

    code = Workers(workers, work, ready=said, tell=functools.partial(click.echo, err=True), ends=listener.close).run()
    if code:
        raise SystemExit(code)


def listening(host: str, port: int) -> socket.socket:
    """A taken port is told before anything else is done."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        why = (error.strerror or "it does not").lower()
        raise Unavailable(f"cannot listen on {host} port {port} ({why}): choose another with --port, or stop what listens there") from error
    return listener


def address_of(listener: socket.socket) -> str:
    """As a URL."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def served(house: House, listener: socket.socket, said: Callable[[], None]) -> None:
    """Until SIGINT or SIGTERM; requests in flight are answered first (trust.edge.operations.serving). `said`: called when requests are answered."""
    from trust.edge.operations.assembly import clients_of, hall_of, level_of
    from trust.edge.operations.serving import Ending, Server
    from trust.edge.settings import DEVELOPMENT_CLOCK
    from trust.edge.web import logging_to

    settings = house.instance.settings
    service = settings.service
    if settings.development_clock:
        click.echo(f"beware: {DEVELOPMENT_CLOCK}: nobody checks this machine's time, so time-stamps prove nothing", err=True)
    house.sandbox.start()
    with logging_to(sys.stderr, level=level_of(settings), requests=settings.operations.log_requests != "none"):
        application = house.application()
        if house.timekeeper is not None and not (clock := house.timekeeper.status()).good:
            click.echo(f"beware: {clock.why}: requests for time-stamps are refused; `kakuin clock` says what to do", err=True)
        common = house.commons.connections(house.worker) if house.commons is not None else None
        hall = hall_of(settings, clients_of(settings), house.tally, common)
        ending = Ending(service.notice_seconds, service.drain_seconds, shared=house.shares, begins=house.begins_to_end, hurry=house.hurry)
        Server(application, hall, ending, started=said).run(sockets=[listener])
    click.echo("stopped", err=True)
