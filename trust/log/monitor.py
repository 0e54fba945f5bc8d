"""Following a log from outside: each round everything that is new is read, and the tree that was seen before has to be the beginning of the new one.

The state is small: the last checkpoint, the frontier of its tree, and what `Examiner` remembers. It is written when a round is over, whole or not at
all.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from trust.edge.files import read_small, write_atomically
from trust.errors import KakuinError, Malformed, Misconfigured, NotFound
from trust.log import layout, tree
from trust.log.examine import Examined, Examiner, Finding, Seen, examined, kept, remembered
from trust.log.journal import Entry
from trust.log.layout import said_by
from trust.log.note import Checkpoint, VerifierKey, opened
from trust.log.page import moment
from trust.log.sources import leaves_data, tiles_of
from trust.log.stored import Resource
from trust.log.tree import EMPTY, Frontier, leaf_hash

MAX_STATE = 64 << 20
"""Bytes."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What is followed, and what is looked for."""

    key: VerifierKey
    witnesses: tuple[VerifierKey, ...] = ()
    quorum: int = 0
    """Of the witnesses, so many must have cosigned."""
    names: tuple[str, ...] = ()
    expected: tuple[str, ...] = ()
    """SHA-256 of certificates that are known, hexadecimal."""


@dataclass(frozen=True, slots=True)
class State:
    """As far as the log was read."""

    note: bytes = b""
    """The last checkpoint, for showing to others when the log changes its story."""
    frontier: Frontier = EMPTY
    seen: Seen | None = None


def load(path: Path, key: VerifierKey) -> State:
    """An empty one where there is no file. Misconfigured for a file that is none of ours, or another log's."""
    try:
        row = json.loads(read_small(path, "state", MAX_STATE))
    except NotFound:
        return State()
    except ValueError as error:
        raise Misconfigured(f"state {path} is not JSON") from error
    try:
        if row["key"] != str(key):
            raise Misconfigured(f"state {path} is of another log")
        frontier = Frontier(row["size"], tuple(bytes.fromhex(each) for each in row["frontier"]))
        return State(row["checkpoint"].encode(), frontier, remembered(row["seen"]))
    except (KeyError, TypeError, ValueError, AttributeError, Malformed) as error:
        raise Misconfigured(f"state {path} is none that a monitor wrote") from error


def save(path: Path, key: VerifierKey, state: State) -> None:
    """Durable when it returns."""
    row = {
        "key": str(key),
        "checkpoint": state.note.decode(),
        "size": state.frontier.size,
        "frontier": [each.hex() for each in state.frontier.hashes],
        "seen": kept(state.seen or Seen()),
    }
    write_atomically(path, json.dumps(row, ensure_ascii=False).encode(), mode=0o600)


class Round:
    """One look at a log: `findings()` to its end, then `state`."""

    def __init__(self, resource: Resource, watch: Watch, before: State, passing: Callable[[Iterable[Entry]], Iterable[Entry]] = iter) -> None:
        """`passing`: lets entries pass, and may count them."""
        self._resource = resource
        self._watch = watch
        self._before = before
        self._passing = passing
        self.state = before
        """What to go on from: the new one when the log is what it was, only longer."""
        self.size = before.frontier.size
        self.contradicting: bytes | None = None
        """A checkpoint that the log's key signed, and that does not continue the one in `before`: for showing both to others."""

    def findings(self) -> Iterator[Finding]:
        """Unavailable when the log does not answer: that is no finding."""
        note = self._resource(layout.CHECKPOINT)
        try:
            checkpoint, witnesses = opened(note, self._watch.key, self._watch.witnesses)
        except Malformed as error:
            yield Finding("checkpoint", str(error))
            return
        if len(witnesses) < self._watch.quorum:
            yield Finding(
                "checkpoint", f"{len(witnesses)} of {self._watch.quorum} witnesses have cosigned the checkpoint over {checkpoint.size} entries"
            )
        known = self._before.frontier
        if checkpoint.size < known.size:
            self.contradicting = note
            yield from self._rolled_back(checkpoint)
            return
        if checkpoint.size == known.size:
            if checkpoint.root != known.root():
                self.contradicting = note
                yield Finding("root", f"two checkpoints over {known.size} entries differ: the log shows different histories")
            return
        yield from self._new(note, checkpoint)

    def _rolled_back(self, checkpoint: Checkpoint) -> Iterator[Finding]:
        """It may be a backup that was put back, another history, or a cache that serves the checkpoint of a moment ago."""
        detail = f"the log shows {checkpoint.size} entries, and showed {self._before.frontier.size} before"
        yield Finding("missing", detail)

    def _new(self, note: bytes, checkpoint: Checkpoint) -> Iterator[Finding]:
        seen = remembered(kept(self._before.seen or Seen()))
        examiner = Examiner(seen, watched=self._watch.names, expected=self._watch.expected)
        done = Examined(self._before.frontier)
        entries = self._passing(entries_of(self._resource, self._before.frontier.size, checkpoint.size))
        found = list[Finding]()
        try:
            for finding in examined(entries, [(checkpoint.size, checkpoint.root, "that it shows now")], examiner, done):
                found.append(finding)
                yield finding
        except Malformed as error:
            yield Finding("unreadable", str(error))
            return
        if done.mismatch is None and not any(f.what in ("root", "missing") for f in found):
            self.state, self.size = State(note, done.frontier, seen), checkpoint.size
        else:
            yield from self._why(note, checkpoint)

    def _why(self, note: bytes, checkpoint: Checkpoint) -> Iterator[Finding]:
        """The entries are not those of the root. Was history rewritten, or does the log only serve other entries than it signed?"""
        old, tiles = self._before.frontier, tiles_of(self._resource)
        try:
            proof = tree.consistency(tiles, old.size, checkpoint.size)
        except KakuinError as error:
            yield Finding("root", f"no consistency proof from {old.size} to {checkpoint.size} entries can be made: {error}")
            return
        if not tree.extends(old.size, old.root(), checkpoint.size, checkpoint.root, proof):
            self.contradicting = note
            yield Finding("root", f"the first {old.size} entries are not those that were seen before: history was rewritten")
            return
        yield from differing(self._resource, tiles, old.size, checkpoint.size)


def differing(resource: Resource, tiles: tree.Tiles, first: int, size: int) -> Iterator[Finding]:
    """Entries that are not what the tree's own hashes say."""
    for index, data in leaves_data(resource, first, size):
        number, at = divmod(index, tree.TILE_WIDTH)
        hashes = tiles(0, number, tree.width(0, number, size))
        if hashes[at * tree.HASH_SIZE : (at + 1) * tree.HASH_SIZE] != leaf_hash(data):
            yield Finding("changed", "it is not what the tree has in its place", index)


def entries_of(resource: Resource, first: int, size: int) -> Iterator[Entry]:
    """The entries of a log's bundles, with the leaf hashes that they have."""
    for index, data in leaves_data(resource, first, size):
        said = said_by(data)
        try:
            at = moment(said.at)
        except OverflowError as error:
            raise Malformed(f"entry {index} has a time that is none") from error
        yield Entry(index, said.kind, at, said.body, leaf_hash(data))


def keep(state: Path, contradicting: bytes) -> Path:
    """Beside the state, whose last checkpoint is the other half of the proof. Durable when it returns; each once."""
    path = state.with_name(f"{state.name}.{hashlib.sha256(contradicting).hexdigest()[:16]}.checkpoint")
    if not path.exists():
        write_atomically(path, contradicting, mode=0o600)
    return path


def checkpoints_of(notes: Iterable[tuple[str, bytes]], key: VerifierKey, witnesses: Sequence[VerifierKey] = ()) -> list[tuple[Checkpoint, str]]:
    """Signed checkpoints that somebody kept, by size, each with the name it came under. Malformed for one that is not this log's."""
    found = [(opened(note, key, witnesses)[0], name) for name, note in notes]
    return sorted(found, key=lambda each: each[0].size)
