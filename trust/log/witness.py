"""A witness (C2SP tlog-witness): cosigns another log's checkpoints as long as each continues the one before, and never one that does not.

**State.** What was cosigned last is in a database of the witness's own, flushed at every commit. A cosignature leaves after its commit, and the old
size is compared in the transaction that writes the new one: two requests at once, or a death at any moment, cannot make it cosign two histories.
A witness whose database is lost or put back from a backup must not go on under its key.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import BigInteger, Column, Connection, LargeBinary, MetaData, String, Table, Text, delete, func, insert, select, update

from trust.edge.engine import connect, refused, sqlite_url, writing
from trust.errors import Conflict, Malformed, Misconfigured, NotFound, Unacceptable
from trust.log import keys
from trust.log.keys import NoteKey
from trust.log.note import MAX_NOTE, Checkpoint, Kind, Note, VerifierKey, number, parse_checkpoint, parse_note, signature, unbase64, verifier_key
from trust.log.tree import EMPTY_ROOT, HASH_SIZE, MAX_PROOF, extends
from trust.ports import Clock

DATABASE = "witness.db"
MAX_REQUEST = MAX_NOTE + (MAX_PROOF + 1) * 64
"""Bytes."""
SIZE = "text/x.tlog.size"
TEXT = "text/plain; charset=utf-8"
MOST_EVIDENCE = 100
"""Requests of each sort that are kept for one log: the disk is not theirs to fill."""

METADATA = MetaData()
WITNESSED = Table(
    "witnessed",
    METADATA,
    Column("origin", String(200), primary_key=True),
    Column("key", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary(HASH_SIZE), nullable=False),
    Column("note", LargeBinary),
)
"""The logs that are witnessed, each with what was cosigned last; `note` is None, and `size` 0, where nothing was."""
UNPROVEN = Table(
    "evidence",
    METADATA,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("origin", String(200), nullable=False, index=True),
    Column("at", BigInteger, nullable=False),
    Column("request", LargeBinary, nullable=False),
)
"""The newest requests that did not show that their checkpoint continues what was cosigned: of a log with two histories, or of anybody who sent a
checkpoint of the log with a wrong proof. `digest` is that of the checkpoint's text; `at` is seconds since 1970 UTC."""
CONTRADICTION = Table(
    "contradiction",
    METADATA,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("origin", String(200), nullable=False, index=True),
    Column("at", BigInteger, nullable=False),
    Column("request", LargeBinary, nullable=False),
    Column("cosigned", LargeBinary),
)
"""The same of checkpoints that the log cannot have signed and be honest, whoever sent them: another root of the size that was cosigned (`cosigned` is
that checkpoint), or of an empty tree. Both halves are signed by the log."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request gets: HTTP status, media type, body."""

    status: int
    body: bytes
    media_type: str = TEXT


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a checkpoint is not cosigned, and where its request is kept."""

    answer: Answer
    kept: Table | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """C2SP tlog-witness, add-checkpoint: the request."""

    old: int
    proof: tuple[bytes, ...]
    note: Note

    def __bytes__(self) -> bytes:
        lines = [f"old {self.old}", *(base64.b64encode(each).decode() for each in self.proof), ""]
        return "".join(f"{line}\n" for line in lines).encode() + bytes(self.note)


def parse_asked(data: bytes) -> Asked:
    """Malformed for what is no request."""
    if len(data) > MAX_REQUEST:
        raise Malformed(f"a request is at most {MAX_REQUEST} bytes")
    head, gap, note = data.partition(b"\n\n")
    try:
        first, *lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise Malformed("a proof is ASCII") from error
    if not gap or not first.startswith("old "):
        raise Malformed("a request is the old size, a proof, an empty line and a checkpoint")
    if len(lines) > MAX_PROOF:
        raise Malformed(f"a proof has at most {MAX_PROOF} hashes, got {len(lines)}")
    proof = tuple(unbase64(line, "a hash of the proof", HASH_SIZE) for line in lines)
    return Asked(number(first.removeprefix("old "), "the old size"), proof, parse_note(note))


@dataclass(frozen=True, slots=True)
class Witnessed:
    """A log, and what of it was cosigned last."""

    key: VerifierKey
    size: int
    root: bytes
    note: bytes | None
    contradictions: int
    """Checkpoints that prove that the log has two histories."""
    unproven: int
    """Checkpoints that came without a proof that they continue the history."""


def create(folder: Path, name: str, secret: bytes, kind: Kind = Kind.WITNESS) -> VerifierKey:
    """Make a witness: its key and its database. Conflict when there is one."""
    made = keys.make(folder, name, kind, secret)
    engine = connect(sqlite_url(folder / DATABASE))
    with refused(engine):
        METADATA.create_all(engine)
    engine.dispose()
    return made


class Logs:
    """The logs of a witness: which, and what of them was cosigned. Thread-safe; no key is needed."""

    def __init__(self, folder: Path) -> None:
        if not (folder / DATABASE).exists():
            raise Misconfigured(f"there is no {DATABASE} in {folder}: a witness without it must not go on, make a new one with `kakuin witness init`")
        self.engine = connect(sqlite_url(folder / DATABASE))
        with refused(self.engine):
            CONTRADICTION.create(self.engine, checkfirst=True)  # witnesses were made before it was

    def add(self, key: VerifierKey) -> None:
        """Witness this log from now on. Conflict when one of its name is witnessed."""
        if key.kind is not Kind.LOG:
            raise Unacceptable("a log's key is of type 1, got a witness's")
        with refused(self.engine), writing(self.engine).begin() as connection:
            if connection.execute(select(WITNESSED.c.origin).where(WITNESSED.c.origin == key.name)).first() is not None:
                raise Conflict(f"{key.name} is witnessed already, and keeps its key")
            connection.execute(insert(WITNESSED), {"origin": key.name, "key": str(key), "size": 0, "root": EMPTY_ROOT, "note": None})

    def all(self) -> Sequence[Witnessed]:
        with refused(self.engine), self.engine.connect() as connection:
            contradictions, unproven = (_counted(connection, table) for table in (CONTRADICTION, UNPROVEN))
            rows = connection.execute(select(WITNESSED).order_by(WITNESSED.c.origin)).mappings().all()
        return [
            Witnessed(verifier_key(r["key"]), r["size"], r["root"], r["note"], contradictions.get(r["origin"], 0), unproven.get(r["origin"], 0))
            for r in rows
        ]

    def find(self, origin: str) -> Witnessed | None:
        return next((each for each in self.all() if each.key.name == origin), None)

    def checkpoint(self, digest: str) -> bytes:
        """C2SP tlog-witness, monitor retrieval: by the SHA-256 of a log's origin, hexadecimal. NotFound."""
        for each in self.all():
            if each.note is not None and hashlib.sha256(each.key.name.encode()).hexdigest() == digest:
                return each.note
        raise NotFound("no checkpoint of this log was cosigned here")

    def contradictions(self, origin: str) -> Sequence[tuple[bytes, bytes | None]]:
        """What proves that this log has two histories, oldest first: each request, and the checkpoint that was cosigned then."""
        query = select(CONTRADICTION.c.request, CONTRADICTION.c.cosigned).where(CONTRADICTION.c.origin == origin).order_by(CONTRADICTION.c.at)
        with refused(self.engine), self.engine.connect() as connection:
            return [(row[0], row[1]) for row in connection.execute(query)]

    def unproven(self, origin: str) -> Sequence[bytes]:
        """The requests without proof that were kept, oldest first."""
        query = select(UNPROVEN.c.request).where(UNPROVEN.c.origin == origin).order_by(UNPROVEN.c.at)
        with refused(self.engine), self.engine.connect() as connection:
            return connection.execute(query).scalars().all()

    def advance(self, log: VerifierKey, asked: Asked, new: Checkpoint, note: bytes, time: int) -> Answer | None:
        """Compare with what was cosigned last and take its place, in one transaction; the refusal where it cannot, and then what proves it is kept.

        `time`: seconds since 1970 UTC.
        """
        with refused(self.engine), writing(self.engine).begin() as connection:
            mine = WITNESSED.c.origin == log.name
            row = connection.execute(select(WITNESSED.c.size, WITNESSED.c.root, WITNESSED.c.note).where(mine)).one()
            size, root = int(row[0]), bytes(row[1])
            if (found := refusal(size, root, asked, new)) is not None:
                if found.kept is not None:
                    _keep(connection, found.kept, log.name, asked, time, row[2])
                return found.answer
            # On every database the row is ours only if it is still as it was read.
            here = update(WITNESSED).where(mine, WITNESSED.c.size == size, WITNESSED.c.root == root)
            if connection.execute(here.values(size=new.size, root=new.root, note=note)).rowcount != 1:
                raise Conflict("another request was quicker")
        return None


def refusal(size: int, root: bytes, asked: Asked, new: Checkpoint) -> Refusal | None:
    """C2SP tlog-witness, add-checkpoint: why this is not cosigned after a tree of this size and root. None where it is. Pure."""
    lies = (new.size == size and new.root != root) or (new.size == 0 and new.root != EMPTY_ROOT)
    if asked.old != size:
        return Refusal(Answer(409, f"{size}\n".encode(), SIZE), CONTRADICTION if lies else None)
    if lies:
        return Refusal(Answer(422, b"the log has signed another root of this size\n"), CONTRADICTION)
    if not extends(size, root, new.size, new.root, asked.proof):
        # What was cosigned already, or begins with nothing, continues it in any case: then it is the proof alone that is wrong.
        doubtful = UNPROVEN if new.size > size > 0 else None
        return Refusal(Answer(422, b"the proof does not show that the new tree begins with the old one\n"), doubtful)
    return None


def _counted(connection: Connection, table: Table) -> dict[str, int]:
    return {row[0]: row[1] for row in connection.execute(select(table.c.origin, func.count()).group_by(table.c.origin))}


def _keep(connection: Connection, table: Table, origin: str, asked: Asked, time: int, cosigned: bytes | None) -> None:
    """Each checkpoint once. Of what proves something the first, of what anybody can send the newest."""
    digest = hashlib.sha256(asked.note.text.encode()).digest()
    if connection.execute(select(table.c.at).where(table.c.digest == digest)).first() is not None:
        return
    kept = connection.execute(select(table.c.digest).where(table.c.origin == origin).order_by(table.c.at)).scalars().all()
    if len(kept) >= MOST_EVIDENCE:
        if table is CONTRADICTION:
            return
        connection.execute(delete(table).where(table.c.digest == kept[0]))
    row = {"digest": digest, "origin": origin, "at": time, "request": bytes(asked)}
    connection.execute(insert(table), {**row, "cosigned": cosigned} if table is CONTRADICTION else row)


class Witness:
    """Cosigns. Thread-safe."""

    def __init__(self, logs: Logs, key: NoteKey, clock: Clock) -> None:
        self.logs = logs
        self._key = key
        self._clock = clock

    def add_checkpoint(self, body: bytes) -> Answer:
        """C2SP tlog-witness, add-checkpoint. Unavailable when the state cannot be written: then nothing was cosigned."""
        try:
            asked = parse_asked(body)
            new = parse_checkpoint(asked.note.text)
        except Malformed as error:
            return Answer(400, f"{error}\n".encode())
        log = self.logs.find(new.origin)
        if log is None:
            return Answer(404, b"this log is not witnessed here\n")
        try:
            signed = bool(asked.note.signed_by((log.key,)))
        except Malformed:
            signed = False
        if not signed:
            return Answer(403, b"the checkpoint is not signed by the log's key\n")
        if asked.old > new.size:
            return Answer(400, b"the old size is over that of the checkpoint\n")
        return self._cosigned(log.key, asked, new)

    def _cosigned(self, log: VerifierKey, asked: Asked, new: Checkpoint) -> Answer:
        time = int(self._clock().timestamp())
        line = signature(self._key.verifier, self._key.sign, asked.note.text, time)
        theirs = tuple(s for s in asked.note.signatures if (s.name, s.id) == (log.name, log.id))
        try:
            refused_with = self.logs.advance(log, asked, new, bytes(Note(asked.note.text, (*theirs, line))), time)
        except Conflict:
            return self._cosigned(log, asked, new)
        return Answer(200, str(line).encode()) if refused_with is None else refused_with
