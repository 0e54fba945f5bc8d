"""The log as its resources: what the database holds, under the names of C2SP tlog-tiles. Nothing here writes.

`Resource` is how every reader of a log is given it: a path below the log's prefix for its bytes, be they in a database, a folder or behind an
address.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Engine, RowMapping, select

from trust.edge.engine import refused
from trust.errors import Altered, Misconfigured, NotFound
from trust.log import layout, tree
from trust.log.journal import Entry, entry_of
from trust.log.layout import ENTRIES, Tile
from trust.log.note import parse_note
from trust.log.page import LATEST, entry_data, microseconds, moment
from trust.log.receipt import Receipt, extra_of
from trust.log.tables import CHECKPOINT, ENTRY, NEXT, NODE

Resource = Callable[[str], bytes]
"""NotFound for what is not there, Unavailable when it cannot be asked."""


@dataclass(frozen=True, slots=True)
class Published:
    """A checkpoint that was signed."""

    size: int
    root: bytes
    at: datetime
    note: bytes
    """As it is served: with the log's signature and its witnesses' cosignatures."""
    cosigned: int
    """By how many witnesses."""


def published(row: RowMapping) -> Published:
    """A row of the table `CHECKPOINT`. Altered where a column holds what nobody records: SQLite keeps whatever it is given."""
    if not (isinstance(row["root"], bytes) and isinstance(row["note"], bytes) and isinstance(row["at"], int) and 0 <= row["at"] <= LATEST):
        raise Altered(f"the checkpoint over {row['size']} entries holds what no checkpoint has")
    return Published(row["size"], row["root"], moment(row["at"]), row["note"], row["cosigned"])


class Stored:
    """The log in a database. Thread-safe."""

    def __init__(self, engine: Engine, quorum: int = 0) -> None:
        """`quorum`: how many witnesses cosigned a checkpoint before it is shown."""
        self.engine = engine
        self._quorum = quorum

    def checkpoint(self) -> Published | None:
        """The newest that may be shown. Never an older one than before: checkpoints are only added, and cosignatures too."""
        return self._newest(self._quorum)

    def signed(self) -> Published | None:
        """The newest that was signed, shown or not."""
        return self._newest(0)

    def _newest(self, quorum: int) -> Published | None:
        query = select(CHECKPOINT).where(CHECKPOINT.c.cosigned >= quorum).order_by(CHECKPOINT.c.size.desc()).limit(1)
        with refused(self.engine), self.engine.connect() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else published(row)

    def checkpoints(self) -> Iterator[Published]:
        """All of them, in their order."""
        after = -1
        while True:
            query = select(CHECKPOINT).where(CHECKPOINT.c.size > after).order_by(CHECKPOINT.c.size).limit(1000)
            with refused(self.engine), self.engine.connect() as connection:
                rows = connection.execute(query).mappings().all()
            yield from map(published, rows)
            if not rows:
                return
            after = rows[-1]["size"]

    def tiles(self, level: int, number: int, width: int) -> bytes:
        """The hashes of a tile (`trust.log.tree.Tiles`). Misconfigured when one of them is missing."""
        first = number * tree.TILE_WIDTH
        if level == 0:
            query = select(ENTRY.c.leaf).where(ENTRY.c.number >= first, ENTRY.c.number < first + width).order_by(ENTRY.c.number)
        else:
            here = (NODE.c.level == level, NODE.c.number >= first, NODE.c.number < first + width)
            query = select(NODE.c.hash).where(*here).order_by(NODE.c.number)
        with refused(self.engine), self.engine.connect() as connection:
            hashes = connection.execute(query).scalars().all()
        if len(hashes) != width or any(len(each) != tree.HASH_SIZE for each in hashes):
            raise Misconfigured(f"the log is not whole: tile {number} of level {level} lacks hashes; `kakuin log check` tells more")
        return b"".join(hashes)

    def entries(self, number: int, width: int) -> list[Entry]:
        """Of a bundle."""
        first = number * tree.TILE_WIDTH
        query = select(ENTRY).where(ENTRY.c.number >= first, ENTRY.c.number < first + width).order_by(ENTRY.c.number)
        with refused(self.engine), self.engine.connect() as connection:
            found = [entry_of(row) for row in connection.execute(query).mappings()]
        if len(found) != width:
            raise Misconfigured(f"the log is not whole: bundle {number} lacks entries; `kakuin log check` tells more")
        return found

    def resource(self, path: str) -> bytes:
        """`Resource`: only what a checkpoint that may be shown covers."""
        newest = self.checkpoint()
        if newest is None:
            raise NotFound("the log has no checkpoint yet")
        return newest.note if path == layout.CHECKPOINT else self.tile(layout.tile_at(path), newest.size)

    def tile(self, tile: Tile, size: int) -> bytes:
        """NotFound where a tree of `size` entries does not reach."""
        if tree.width(max(tile.level, 0), tile.number, size) < tile.width:
            raise NotFound("the log does not reach so far")
        if tile.level != ENTRIES:
            return self.tiles(tile.level, tile.number, tile.width)
        return layout.bundle(map(data_of, self.entries(tile.number, tile.width)))

    def receipt(self, entry: Entry, checkpoint: Published) -> Receipt:
        """That `entry` is under `checkpoint`. Misconfigured when it is not: nothing is handed out that would not verify."""
        data = data_of(entry)
        path = tree.inclusion(self.tiles, entry.index, checkpoint.size)
        if not tree.includes(tree.leaf_hash(data), entry.index, checkpoint.size, path, checkpoint.root):
            raise Misconfigured(f"entry {entry.index} is not what the checkpoint over {checkpoint.size} entries was made of: `kakuin log check`")
        return Receipt(entry.index, path, parse_note(checkpoint.note), extra_of(entry.kind, data))

    def issued(self, unit: str, serial: int) -> Entry:
        """What `unit` issued under `serial`. NotFound."""
        return self._found([ENTRY.c.unit == unit, ENTRY.c.serial == serial], None)

    def token(self, der: bytes, serial: int) -> Entry:
        """The entry of this very token, which bears this serial. NotFound."""
        units = select(NEXT.c.name).where(NEXT.c.name != "")
        return self._found([ENTRY.c.unit.in_(units), ENTRY.c.serial == serial], der)

    def _found(self, clauses: list[ColumnElement[bool]], body: bytes | None) -> Entry:
        with refused(self.engine), self.engine.connect() as connection:
            found = map(entry_of, connection.execute(select(ENTRY).where(*clauses)).mappings().all())
        for entry in found:
            if body is None or entry.body == body:
                return entry
        raise NotFound("nothing of this kind was issued here")


def data_of(entry: Entry) -> bytes:
    """A leaf's data. Altered when the entry is not what was recorded."""
    if not entry.sound:
        raise Altered(f"entry {entry.index} was changed after it was recorded: its leaf hash is that of other data")
    return entry_data(entry.kind, microseconds(entry.at), entry.body)
