"""A log as an instance's settings want it: its routes, and who signs and cosigns its checkpoints in the background."""

from typing import TYPE_CHECKING, Protocol

from trust.errors import NotFound
from trust.log import api
from trust.log.cosign import Cosigners, peer
from trust.log.stored import Stored

if TYPE_CHECKING:
    from fastapi import APIRouter

    from trust.edge.instance import Instance


class Worker(Protocol):
    """A thread of its own."""

    def start(self) -> None: ...

    def close(self) -> None: ...


def routes_of(instance: "Instance") -> "tuple[APIRouter, tuple[Worker, ...]]":
    """The routes, and whoever has to be started, by one process for all; where the log has no key, routes that say so."""
    said = instance.settings.log
    try:
        publisher = instance.publisher()
    except NotFound:
        return api.absent(), ()
    cosigners = Cosigners(instance.engine, tuple(map(peer, said.witnesses)), said.interval_ms / 1000, alongside=instance.journal.alongside)
    router = api.router(Stored(instance.engine, said.quorum), publisher, instance.log_key, entries=said.entries)
    return router, (publisher, cosigners)
