"""Logs from elsewhere: a folder with a mirror, or an address. Each is a `trust.log.stored.Resource`.

The address is the operator's own to choose, so private networks are allowed; bytes and time are capped, and redirects are not followed.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import httpx

from trust import VERSION
from trust.edge.files import plainly, read_small, write_atomically
from trust.errors import Malformed, NotFound, TooLarge, Unavailable
from trust.log import layout, tree
from trust.log.layout import ENTRIES, MAX_BUNDLE, Tile
from trust.log.note import MAX_NOTE, Checkpoint
from trust.log.receipt import MAX_RECEIPT
from trust.log.stored import Resource

SECONDS = 20.0
"""For one answer."""


def limit_of(path: str) -> int:
    """Bytes that a resource may have."""
    if path == layout.CHECKPOINT:
        return MAX_NOTE
    return MAX_BUNDLE if path.startswith("tile/entries/") else tree.TILE_WIDTH * tree.HASH_SIZE


def folder(path: Path) -> Resource:
    """A mirror: files under the names of tlog-tiles. NotFound where there is none."""
    if not (path / layout.CHECKPOINT).is_file():
        raise NotFound(f"{path} has no {layout.CHECKPOINT}: it is no mirror of a log")
    return lambda name: read_small(path / name, "the log's", limit_of(name))


def address(url: str, transport: httpx.BaseTransport | None = None) -> Resource:
    """A log behind its prefix. Unavailable when it does not answer, NotFound where it has nothing."""
    client = httpx.Client(
        transport=transport, follow_redirects=False, timeout=SECONDS, headers={"User-Agent": f"kakuin/{VERSION}", "Accept-Encoding": "gzip, identity"}
    )
    prefix = url.rstrip("/")

    def get(name: str) -> bytes:
        where = f"{prefix}/{name}"
        try:
            with client.stream("GET", where) as answer:
                if answer.status_code == 404:
                    raise NotFound(f"{where} does not exist")
                if answer.status_code != 200:
                    raise Unavailable(f"{where} answered {answer.status_code}")
                return capped(answer, where, limit_of(name))
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise Unavailable(f"{where} does not answer ({type(error).__name__})") from error

    return get


def receipt_for(url: str, token: bytes, transport: httpx.BaseTransport | None = None) -> bytes:
    """The receipt of a time-stamp, from the service whose log is at `url`: as it answers, not verified."""
    where = f"{url.rstrip('/').removesuffix('/log')}/v1/log/receipts"
    with httpx.Client(transport=transport, follow_redirects=False, timeout=SECONDS, headers={"User-Agent": f"kakuin/{VERSION}"}) as client:
        try:
            with client.stream("POST", where, content=token, headers={"Content-Type": "application/timestamp-reply"}) as answer:
                if answer.status_code == 404:
                    raise NotFound(f"{where} does not know this time-stamp")
                if answer.status_code != 200:
                    raise Unavailable(f"{where} answered {answer.status_code}")
                return capped(answer, where, MAX_RECEIPT)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise Unavailable(f"{where} does not answer ({type(error).__name__})") from error


def capped(answer: httpx.Response, where: str, limit: int) -> bytes:
    body = bytearray()
    for chunk in answer.iter_bytes():
        body += chunk
        if len(body) > limit:
            raise TooLarge(f"{where} is over {limit} bytes")
    return bytes(body)


def named(place: str) -> Resource:
    """An address, or a folder."""
    return address(place) if place.startswith(("http://", "https://")) else folder(Path(place))


def tiles_of(resource: Resource) -> tree.Tiles:
    """Tiles through their paths: the full one where the partial one is gone, as C2SP tlog-tiles allows. The last one is remembered."""
    kept: dict[Tile, bytes] = {}

    def tiles(level: int, number: int, width: int) -> bytes:
        wanted = Tile(level, number, width)
        if wanted not in kept:
            if len(kept) > 256:
                kept.clear()
            kept[wanted] = fetched(resource, wanted)
        return kept[wanted]

    return tiles


def fetched(resource: Resource, wanted: Tile) -> bytes:
    """A tile or bundle; C2SP tlog-tiles, partial tiles: cut from the full one where a log has thrown the partial one away."""
    try:
        return resource(wanted.path)
    except NotFound:
        if wanted.full:
            raise
        whole = resource(Tile(wanted.level, wanted.number).path)
        if wanted.level == ENTRIES:
            return layout.bundle(layout.unbundled(whole, tree.TILE_WIDTH)[: wanted.width])
        return whole[: wanted.width * tree.HASH_SIZE]


def leaves_data(resource: Resource, first: int, size: int) -> Iterator[tuple[int, bytes]]:
    """Index and data of entries `first` up to, without, `size`, a bundle at a time."""
    for number in range(first // tree.TILE_WIDTH, -(-size // tree.TILE_WIDTH)):
        start = number * tree.TILE_WIDTH
        count = tree.width(0, number, size)
        entries = layout.unbundled(fetched(resource, Tile(ENTRIES, number, count)), count)
        for index, data in enumerate(entries, start):
            if index >= first:
                yield index, data


def mirror(resource: Resource, note: bytes, checkpoint: Checkpoint, target: Path, passing: Callable[[Iterable[Tile]], Iterable[Tile]] = iter) -> int:
    """Copy everything under a checkpoint into a folder, the checkpoint last; how many files were written. Full ones that are there stay.

    `passing`: lets tiles pass, and may count them.
    """
    written = 0
    for tile in passing(tiles_under(checkpoint.size)):
        path = target / tile.path
        if path.exists() and tile.full:
            continue
        _write(path, fetched(resource, tile))
        written += 1
    _write(target / layout.CHECKPOINT, note)
    return written + 1


def require_continued(resource: Resource, before: Checkpoint, now: Checkpoint) -> None:
    """Malformed where the log of `now` does not begin with that of `before`: it was rolled back, or shows another history."""
    if now.size < before.size:
        raise Malformed(f"the log shows {now.size} entries, and showed {before.size} before")
    proof = tree.consistency(tiles_of(resource), before.size, now.size)
    if not tree.extends(before.size, before.root, now.size, now.root, proof):
        raise Malformed(f"the log's first {before.size} entries are not those that it showed before: history was rewritten")


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise plainly(error, f"make {path.parent}") from error
    write_atomically(path, data)


def tiles_under(size: int) -> Iterator[Tile]:
    """Every tile and bundle of a tree of `size` leaves."""
    level = 0
    while (wide := size >> (tree.TILE_HEIGHT * level)) > 0:
        for number in range(-(-wide // tree.TILE_WIDTH)):
            width = tree.width(level, number, size)
            if level == 0:
                yield Tile(ENTRIES, number, width)
            yield Tile(level, number, width)
        level += 1
