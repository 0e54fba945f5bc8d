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

from sqlalchemy import BigInteger, Column, LargeBinary, MetaData, String, Table, Text, func, insert, select, update

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
"""Requests that are kept for one log: who has the log's key could fill the disk otherwise."""

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
EVIDENCE = Table(
    "evidence",
    METADATA,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("origin", String(200), nullable=False, index=True),
    Column("at", BigInteger, nullable=False),
    Column("request", LargeBinary, nullable=False),
)
"""Requests with a log's signature that contradict what it signed before: proof of its misbehaviour. `at` is seconds since 1970 UTC."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request gets: HTTP status, media type, body."""

    status: int
    body: bytes
    media_type: str = TEXT


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
    evidence: int
    """Requests that are proof of misbehaviour."""


def create(folder: Path, name: str, secret: bytes) -> VerifierKey:
    """Make a witness: its key and its database. Conflict when there is one."""
    made = keys.make(folder, name, Kind.WITNESS, secret)
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
            told = select(EVIDENCE.c.origin, func.count()).group_by(EVIDENCE.c.origin)
            evidence: dict[str, int] = {row[0]: row[1] for row in connection.execute(told)}
            rows = connection.execute(select(WITNESSED).order_by(WITNESSED.c.origin)).mappings().all()
        return [Witnessed(verifier_key(r["key"]), r["size"], r["root"], r["note"], evidence.get(r["origin"], 0)) for r in rows]

    def find(self, origin: str) -> Witnessed | None:
        return next((each for each in self.all() if each.key.name == origin), None)

    def checkpoint(self, digest: str) -> bytes:
        """C2SP tlog-witness, monitor retrieval: by the SHA-256 of a log's origin, hexadecimal. NotFound."""
        for each in self.all():
            if each.note is not None and hashlib.sha256(each.key.name.encode()).hexdigest() == digest:
                return each.note
        raise NotFound("no checkpoint of this log was cosigned here")

    def evidence(self, origin: str) -> Sequence[bytes]:
        """The requests that were kept, oldest first."""
        query = select(EVIDENCE.c.request).where(EVIDENCE.c.origin == origin).order_by(EVIDENCE.c.at)
        with refused(self.engine), self.engine.connect() as connection:
            return connection.execute(query).scalars().all()

    def keep_evidence(self, origin: str, request: bytes, at: int) -> None:
        with refused(self.engine), writing(self.engine).begin() as connection:
            digest = hashlib.sha256(request).digest()
            there = connection.execute(select(func.count()).select_from(EVIDENCE).where(EVIDENCE.c.origin == origin)).scalar_one()
            if there < MOST_EVIDENCE and connection.execute(select(EVIDENCE.c.at).where(EVIDENCE.c.digest == digest)).first() is None:
                connection.execute(insert(EVIDENCE), {"digest": digest, "origin": origin, "at": at, "request": request})

    def advance(self, log: VerifierKey, asked: Asked, new: Checkpoint, note: bytes) -> Answer | None:
        """Compare with what was cosigned last and take its place, in one transaction; the refusal where it cannot."""
        with refused(self.engine), writing(self.engine).begin() as connection:
            row = connection.execute(select(WITNESSED.c.size, WITNESSED.c.root).where(WITNESSED.c.origin == log.name)).one()
            size, root = int(row[0]), bytes(row[1])
            if asked.old != size:
                return Answer(409, f"{size}\n".encode(), SIZE)
            if new.size == 0 and new.root != EMPTY_ROOT:
                return Answer(422, b"the root of an empty tree is another\n")
            if not extends(size, root, new.size, new.root, asked.proof):
                return Answer(422, b"the proof does not show that the new tree begins with the old one\n")
            # On every database the row is ours only if it is still as it was read.
            here = update(WITNESSED).where(WITNESSED.c.origin == log.name, WITNESSED.c.size == size, WITNESSED.c.root == root)
            if connection.execute(here.values(size=new.size, root=new.root, note=note)).rowcount != 1:
                raise Conflict("another request was quicker")
        return None


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
        return self._cosigned(log.key, asked, new, body)

    def _cosigned(self, log: VerifierKey, asked: Asked, new: Checkpoint, body: bytes) -> Answer:
        time = int(self._clock().timestamp())
        line = signature(self._key.verifier, self._key.sign, asked.note.text, time)
        theirs = tuple(s for s in asked.note.signatures if (s.name, s.id) == (log.name, log.id))
        try:
            refusal = self.logs.advance(log, asked, new, bytes(Note(asked.note.text, (*theirs, line))))
        except Conflict:
            return self._cosigned(log, asked, new, body)
        if refusal is None:
            return Answer(200, str(line).encode())
        if refusal.status == 422:
            self.logs.keep_evidence(log.name, body, time)
        return refusal
