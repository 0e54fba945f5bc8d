"""Checkpoints: the journal's table, signed again and again as a Merkle tree.

`Publisher.publish` reads the leaf hashes of the entries that are durable and were not in the tree yet, lets the tree grow by them, signs the root,
and records it before anybody sees it. It takes no part in issuing; its few rows are written beside entries, in the transactions of the process's
journal (`Journal.alongside`), because under load there is no gap between these for a writer of its own.

**Fail closed.** A publisher makes the tree from the table's first entry on when it starts, and compares it with checkpoints that it passes, its own
and other processes'. Where they differ, history was rewritten: it signs nothing any more, until somebody looks (`kakuin log check`) and starts it
anew. Entries below the last checkpoint that are changed while it runs are found by the next start, by the proofs (each is verified before it leaves),
by `kakuin log check` and by whoever monitors the log.

**The crash story.** A signature that was made and not recorded was seen by nobody, and the next one is over a tree that begins with the same entries:
entries are durable before they are read here (SQLite shows a transaction to others after it was flushed, and so does PostgreSQL).
"""

import functools
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Engine, insert, select
from sqlalchemy.exc import IntegrityError

from trust.edge.engine import refused, writing
from trust.errors import KakuinError, Misconfigured, Unavailable
from trust.log.note import Checkpoint, Note, Sign, VerifierKey, signature
from trust.log.page import Write, microseconds
from trust.log.stored import Published, Stored
from trust.log.tables import CHECKPOINT, ENTRY, NEXT, NODE
from trust.log.tree import EMPTY, HASH_SIZE, Node
from trust.ports import Clock

PAGE = 4096
"""Leaf hashes read at a time: some milliseconds of work."""
NODES = 500
"""Hashes over tiles written in one transaction, during which the journal's writer waits."""
MILESTONES = 64
"""Checkpoints that are compared at the start."""

_LOG = logging.getLogger("kakuin.log")


class Rewritten(Misconfigured):
    """The journal is not what was signed before; unlike a disk or a database that is away, this does not mend itself."""


class Publisher:
    """Makes the checkpoints of one log. Thread-safe; several processes may publish over one database."""

    def __init__(
        self, engine: Engine, key: VerifierKey, sign: Sign, clock: Clock, interval: timedelta, alongside: Callable[[Write], None] | None = None
    ) -> None:
        """`interval`: at most one checkpoint in this time, whatever the number of processes. `alongside`: that of the process's journal; without it
        each checkpoint is a transaction of its own, which waits for the journals' writers."""
        self.stored = Stored(engine)
        self._engine = engine
        self._write = alongside or functools.partial(alone, engine)
        self._key = key
        self._sign = sign
        self._clock = clock
        self._interval = interval
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._frontier = EMPTY
        self._broken: Rewritten | None = None
        self._thread: threading.Thread | None = None

    def publish(self, *, due: bool = True) -> Published | None:
        """The newest checkpoint: a new one where entries came since the last, and the interval has passed or `due` is false.

        None for an empty log. Rewritten, and from then on always, when the table is not what was signed before.
        """
        with self._lock:
            if self._broken is not None:
                raise self._broken
            try:
                return self._publish(due=due)
            except Rewritten as error:
                self._broken = error
                _LOG.error("log: no checkpoint is signed any more: %s", error)  # its line says all
                raise

    def _publish(self, *, due: bool) -> Published | None:
        newest, size = self.stored.signed(), self._size()
        if newest is not None:
            self._pass(newest, size)
            if size == newest.size or (due and self._clock() - newest.at < self._interval):
                return newest
        if size == 0:
            return None
        self._grow(size)
        made = Checkpoint(self._key.name, size, self._frontier.root())
        note = bytes(Note(made.text, (signature(self._key, self._sign, made.text),)))
        return self._record(Published(size, made.root, self._clock(), note, 0))

    def _pass(self, newest: Published, there: int) -> None:
        """Let the tree grow to the last checkpoint, and compare."""
        if there < newest.size:
            raise Rewritten(f"the journal has {there} entries, and a checkpoint over {newest.size} was signed: restore it from a newer backup")
        if self._frontier.size < newest.size:
            for size, root in self._passed(self._frontier.size, newest):
                self._grow(size)
                if self._frontier.root() != root:
                    raise Rewritten(f"the journal's first {size} entries are not those that were signed: history was rewritten")
        elif self._frontier.size == newest.size and self._frontier.root() != newest.root:
            raise Rewritten(f"two checkpoints over {newest.size} entries differ: another process publishes another history")

    def _passed(self, after: int, newest: Published) -> Iterator[tuple[int, bytes]]:
        """Sizes and roots to compare with on the way: some, so that the place of a difference is known roughly, and the last."""
        span = max(1, (newest.size - after) // MILESTONES)
        reached = after
        while reached < newest.size:
            query = select(CHECKPOINT.c.size, CHECKPOINT.c.root).where(CHECKPOINT.c.size >= min(reached + span, newest.size))
            with refused(self._engine), self._engine.connect() as connection:
                row = connection.execute(query.order_by(CHECKPOINT.c.size).limit(1)).one()
            reached = int(row[0])
            yield reached, row[1]

    def _size(self) -> int:
        with refused(self._engine), self._engine.connect() as connection:
            return int(connection.execute(select(NEXT.c.value).where(NEXT.c.name == "")).scalar() or 0)

    def _grow(self, size: int) -> None:
        """Take in the entries up to, without, `size`, and record the tiles that became full."""
        while self._frontier.size < size:
            first = self._frontier.size
            query = select(ENTRY.c.number, ENTRY.c.leaf).where(ENTRY.c.number >= first, ENTRY.c.number < min(first + PAGE, size))
            with refused(self._engine), self._engine.connect() as connection:
                rows = connection.execute(query.order_by(ENTRY.c.number)).all()
            expected = range(first, min(first + PAGE, size))
            if [row[0] for row in rows] != list(expected) or any(len(row[1]) != HASH_SIZE for row in rows):
                raise Rewritten(f"the journal is not whole: entries {first} to {expected[-1]} have gaps")
            grown, full = self._frontier.grown(row[1] for row in rows)
            for nodes in _portions(full):
                self._store(nodes)
            self._frontier = grown  # last: after a failure the same entries are read again

    def _store(self, nodes: Sequence[Node]) -> None:
        def work(connection: Connection) -> None:
            new = [node for node in nodes if not self._known(connection, node)]
            if new:
                connection.execute(insert(NODE), [{"level": n.level, "number": n.number, "hash": n.hash} for n in new])

        try:
            self._write(work)
        except Unavailable as error:
            if not isinstance(error.__cause__, IntegrityError):
                raise
            self._write(work)  # another process wrote the same in between: it is there now, and compared

    def _known(self, connection: Connection, node: Node) -> bool:
        here = select(NODE.c.hash).where(NODE.c.level == node.level, NODE.c.number == node.number)
        found = connection.execute(here).scalar()
        if found is not None and found != node.hash:
            raise Rewritten(f"hash {node.number} of level {node.level} is not what the journal's entries give: history was rewritten")
        return found is not None

    def _record(self, made: Published) -> Published:
        row = {"size": made.size, "root": made.root, "at": microseconds(made.at), "note": made.note, "cosigned": 0}
        try:
            self._write(lambda connection: _insert(connection, row))
        except Unavailable as error:
            if not isinstance(error.__cause__, IntegrityError):
                raise
            newest = self.stored.signed()  # another process was quicker by a moment
            if newest is None or (newest.size == made.size and newest.root != made.root):
                raise Rewritten(f"two checkpoints over {made.size} entries differ: another process publishes another history") from error
            return newest
        return made

    def covering(self, index: int, stored: Stored) -> Published | None:
        """A checkpoint over this entry that `stored` shows: a new one where it is due. None while there is none; then ask again after `pause`."""
        self.publish()
        newest = stored.checkpoint()
        return newest if newest is not None and newest.size > index else None

    @property
    def pause(self) -> float:
        """Seconds: a part of the interval."""
        return max(0.01, min(self._interval.total_seconds() / 4, 0.25))

    # In the background.

    def start(self) -> None:
        """Publish as long as the process lives, in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Publish no more."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(max(self._interval.total_seconds(), 0.05)):
            try:
                self.publish()
            except Rewritten:
                return  # it was told; restarting is for somebody who has looked
            except KakuinError as error:
                _LOG.warning("log: no checkpoint this time: %s", error)


def alone(engine: Engine, work: Write) -> None:
    """Write in a transaction of its own."""
    with refused(engine), writing(engine).begin() as connection:
        work(connection)


def _insert(connection: Connection, row: Mapping[str, Any]) -> None:
    connection.execute(insert(CHECKPOINT), row)


def _portions(nodes: Sequence[Node]) -> Iterator[Sequence[Node]]:
    """In portions of NODES."""
    return (nodes[at : at + NODES] for at in range(0, len(nodes), NODES))
