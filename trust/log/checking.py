"""A whole log looked at, wherever it lies: entries and roots (`examine`), and everything that lies beside them and proofs are made of.

What is served is compared with what the entries give: the tiles of hashes, and in an instance's database also the numbers that come next, the columns
that no leaf covers, and the witnesses that a checkpoint is said to have.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import and_, or_, select

from trust.edge.engine import refused
from trust.errors import KakuinError, Malformed, NotFound, TooLarge, Unavailable
from trust.log import examine, layout, monitor, reading, sources, tree
from trust.log.examine import Examined, Examiner, Finding, Root, Seen
from trust.log.journal import Entry
from trust.log.layout import Tile
from trust.log.note import Checkpoint, VerifierKey, opened, parse_note
from trust.log.stored import Resource, Stored
from trust.log.tables import ENTRY, NEXT, NODE, TURN

UNIT = "tsu-"
"""Before the beginning of its certificate's digest: what the tables call a unit."""
MOST_TOLD = 100
"""Findings of one sort about a table."""


Passing = Callable[[Iterable[Entry]], Iterable[Entry]]
"""Lets entries pass, and may count them."""


def roots_of(checkpoints: Iterable[tuple[Checkpoint, str]]) -> list[Root]:
    """Of checkpoints that somebody kept."""
    return [(checkpoint.size, checkpoint.root, f"in {name}") for checkpoint, name in checkpoints]


def of_export(entries: Iterable[Entry], mine: Sequence[Root], done: Examined) -> Iterator[Finding]:
    """An export: it is vouched for by the roots alone."""
    try:
        yield from examine.examined(entries, mine, Examiner(), done)
    except Malformed as error:
        yield Finding("unreadable", f"{error}; what follows was not looked at")


def of_others(resource: Resource, key: VerifierKey, mine: Sequence[Root], done: Examined, passing: Passing = iter) -> Iterator[Finding]:
    """A log behind an address or in a folder: entries, roots and tiles."""
    try:
        newest, _ = opened(resource(layout.CHECKPOINT), key)
    except Malformed as error:
        yield Finding("checkpoint", str(error))
        return
    roots = heapq.merge([(newest.size, newest.root, "that it shows")], mine)
    try:
        yield from examine.examined(passing(monitor.entries_of(resource, 0, newest.size)), roots, Examiner(), done)
    except (Malformed, NotFound, TooLarge) as error:
        yield Finding("unreadable", f"{error}; what follows was not looked at")
        return
    yield from _tiles(resource, newest.size, done)


def _tiles(resource: Resource, size: int, done: Examined) -> Iterator[Finding]:
    """Every tile, from below: its hashes are those that the entries give, or at least those of the tile under it, of which it was told then."""
    under: dict[int, bytes] = {}
    above: dict[int, bytes] = {}
    for tile in sources.tiles_under(size):
        if tile.level == layout.ENTRIES:
            continue
        if tile.number == 0:
            under, above = above, {}
        try:
            data = sources.tiles_of(resource)(tile.level, tile.number, tile.width)
        except Unavailable:
            raise
        except KakuinError as error:
            yield Finding("unreadable", str(error))
            continue
        if len(data) != tile.width * tree.HASH_SIZE:
            yield Finding("changed", f"{tile.path} is {tile.width * tree.HASH_SIZE} bytes, got {len(data)}")
            continue
        hashes = [data[at : at + tree.HASH_SIZE] for at in range(0, len(data), tree.HASH_SIZE)]
        if tile.full:
            above[tile.number] = tree.root_of(hashes)
        yield from _of_entries(resource, tile, size, hashes, done) if tile.level == 0 else _of_tiles(tile, hashes, under, done.nodes)


def _of_entries(resource: Resource, tile: Tile, size: int, hashes: Sequence[bytes], done: Examined) -> Iterator[Finding]:
    """Entries are read again only where they are not what their tile says."""
    if tile.full:
        expected = done.nodes.get((1, tile.number))
    else:  # the tree's end
        expected = tree.Frontier(tile.width, done.frontier.hashes[-tile.width.bit_count() :]).root() if done.frontier.size == size else None
    if tree.root_of(hashes) != expected:
        first = tile.number * tree.TILE_WIDTH
        yield from monitor.differing(resource, sources.tiles_of(resource), first, min(first + tree.TILE_WIDTH, size))


def _of_tiles(tile: Tile, hashes: Sequence[bytes], under: Mapping[int, bytes], nodes: Mapping[tuple[int, int], bytes]) -> Iterator[Finding]:
    for number, found in enumerate(hashes, tile.number * tree.TILE_WIDTH):
        if found not in (nodes.get((tile.level, number)), under.get(number)):
            yield Finding("changed", f"hash {number} in the tiles of level {tile.level} is not that of what lies under it")


# An instance's own.


def of_instance(stored: Stored, keys: Sequence[VerifierKey], mine: Sequence[Root], done: Examined, passing: Passing = iter) -> Iterator[Finding]:
    """The database: entries, roots, and the tables beside them. More may be recorded meanwhile: what is compared with entries is read first."""
    examiner, wrong = Examiner(), list[Finding]()
    before = _numbers(stored)
    try:
        newest = stored.signed()
        size = 0 if newest is None else newest.size
        nodes = _recorded(stored)
        signed = signed_roots(stored, keys, wrong, size)
        yield from examine.examined(passing(reading.entries(stored.engine)), heapq.merge(signed, mine), examiner, done)
    except Malformed as error:
        yield Finding("unreadable", f"{error}; what follows was not looked at")
        return
    yield from wrong
    yield from _numbered(stored)
    yield from _counted(before, _numbers(stored), done.frontier.size, examiner.seen)
    yield from _nodes(nodes, done.nodes, size)


def signed_roots(stored: Stored, keys: Sequence[VerifierKey], wrong: list[Finding], most: int = tree.MAX_SIZE) -> Iterator[Root]:
    """Of the instance's own checkpoints over up to `most` entries, each verified with one of the keys: the log's, and those that it had before."""
    for each in stored.checkpoints():
        if each.size > most:
            return
        try:
            lines = parse_note(each.note).signatures
            key = next((key for key in keys if (key.name, key.id) in {(line.name, line.id) for line in lines}), None)
            if key is None:
                raise Malformed(f"it is not signed by {ascii(keys[0].name)[1:-1]}; a key that the log had before is named with --former")
            said, _ = opened(each.note, key)
            if (said.size, said.root) != (each.size, each.root):
                raise Malformed("it says another size or root than the table")
            if each.cosigned > len(lines) - 1:
                raise Malformed(f"the table says that {each.cosigned} witnesses cosigned it, and there are fewer signatures")
        except Malformed as error:
            wrong.append(Finding("checkpoint", f"the checkpoint over {each.size} entries: {error}"))
            continue
        yield said.size, said.root, f"of {each.at:%Y-%m-%dT%H:%M:%SZ}"


_Numbers = tuple[dict[str, int], dict[str, int]]
"""What comes next, by name; the last serial that a process has taken and neither recorded nor given back, by unit."""


def _numbers(stored: Stored) -> _Numbers:
    with refused(stored.engine), stored.engine.connect() as connection:
        # That of a unit that was taken out of service is negative.
        following: dict[str, Any] = {row[0]: abs(row[1]) for row in connection.execute(select(NEXT.c.name, NEXT.c.value))}
        taken = {row[0]: row[1] for row in connection.execute(select(TURN.c.unit, TURN.c.last).order_by(TURN.c.last))}
    return following, taken


def _counted(before: _Numbers, after: _Numbers, size: int, seen: Seen) -> Iterator[Finding]:
    """That numbers go on where the entries end. The entries were read between `before` and `after`."""
    (following, taken), (later, _) = before, after
    if not following.get("", 0) <= size <= later.get("", 0):
        yield Finding("missing", f"the next entry is to have number {later.get('', 0)}, and {size} are there")
    lasts = {sequence.name or f"{UNIT}{unit}": sequence.last for unit, sequence in seen.units.items()}
    for unit in sorted({*following, *lasts} - {""}):
        last = lasts.get(unit, 0)
        if following.get(unit, 1) - 1 > max(last, taken.get(unit, 0)):
            yield Finding("serial-gap", f"the next serial number of unit {unit} is to be {following[unit]}, and the last that is there is {last}")
        elif later.get(unit, 1) <= last:
            yield Finding("serial-twice", f"the next serial number of unit {unit} is to be {later.get(unit, 1)}, and {last} is there")


def _numbered(stored: Stored) -> Iterator[Finding]:
    """That tokens alone bear unit and serial number: no leaf covers these columns."""
    bare = or_(ENTRY.c.unit.is_(None), ENTRY.c.serial.is_(None))
    bearing = or_(ENTRY.c.unit.is_not(None), ENTRY.c.serial.is_not(None))
    wrong = or_(and_(ENTRY.c.kind == "token", bare), and_(ENTRY.c.kind != "token", bearing))
    with refused(stored.engine), stored.engine.connect() as connection:
        rows = connection.execute(select(ENTRY.c.number, ENTRY.c.kind).where(wrong).order_by(ENTRY.c.number).limit(MOST_TOLD)).all()
    for number, kind in rows:
        says = "has no unit or serial number" if kind == "token" else "has a unit or a serial number, as only time-stamps have"
        yield Finding("changed", f"the table's row of this {kind} {says}", number)


_Nodes = Mapping[tuple[int, int], bytes]


def _recorded(stored: Stored) -> _Nodes:
    with refused(stored.engine), stored.engine.connect() as connection:
        return {(row[0], row[1]): row[2] for row in connection.execute(select(NODE.c.level, NODE.c.number, NODE.c.hash))}


def _nodes(recorded: _Nodes, nodes: _Nodes, size: int) -> Iterator[Finding]:
    """The hashes over full tiles: those under the newest checkpoint are there, and all that are there are right."""
    wrong = [place for place, found in recorded.items() if nodes.get(place) != found]
    absent = [place for place in nodes if (place[1] + 1) << (tree.TILE_HEIGHT * place[0]) <= size and place not in recorded]
    for places, says in ((wrong, "is not that of the entries under it"), (absent, "is missing")):
        for level, number in sorted(places)[:MOST_TOLD]:
            yield Finding("changed", f"hash {number} of level {level}, of which tiles and proofs are made, {says}")
