"""A folder or a list of documents stamped together: `NAME.ers` for each `NAME`, under one token, and an index of the batch.

The order of effects, so that nothing is ever half done: all documents are hashed; one token is issued; the index is written, durably, under a hidden
name, and from it alone every record can be made again; each record appears whole under its name; the index gets its name. Whatever ends this in
between, the same command goes on: before the token nothing was written, after it the index tells what is missing.
"""

import base64
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trust.algorithms import DIGESTS, hasher
from trust.codecs import cms, ers_renewal, sums
from trust.edge.files import read_small, sync_folder, told
from trust.edge.options import written
from trust.edge.source import shown
from trust.errors import Conflict, KakuinError, Malformed, NotFound, Unacceptable
from trust.ports import Stamper
from tsa import batch
from tsa.batch import Random

RECORD = ".ers"
INDEX = "kakuin-batch-"
"""How the names of indexes begin; those of batches that are not finished have a dot before."""
FORM = "kakuin batch 1"
LARGEST = 64 << 20
"""Bytes of one record."""
SEED = 32
"""Bytes from which the blinds of a batch are made."""
CHUNK = 1 << 20
MOST_NAMED = 3
"""Files that an error names."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Item:
    """A document, and where its record goes."""

    name: str
    record: Path
    path: Path | None
    """None where its digest was given."""
    digest: bytes = b""


@dataclass(frozen=True, slots=True)
class Done:
    """What a run came to."""

    stamped: int = 0
    already: int = 0
    """Documents that had a record."""
    empty: int = 0
    """Files without content, which were left out."""
    finished: int = 0
    """Records that an earlier batch lacked: it was interrupted, or they were lost."""
    facts: "dict[str, Any] | None" = None
    """Of the token, where one was issued."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for."""

    given: Path
    output: Path | None
    algorithm: str
    blinded: bool = False

    @property
    def home(self) -> Path:
        """Where the index lies."""
        return self.output or (self.given if self.given.is_dir() else Path() if str(self.given) == "-" else self.given.parent)


def run(wanted: Wanted, lines: Iterable[str] | None, stamp: Stamper, tell: Tell) -> Done:
    """Stamp what has no record yet; `lines` is the list where it is no folder. Of the index of a batch, make the records again that are missing.

    NotFound for what cannot be read, and then nothing is stamped; Conflict where two documents would have one record.
    """
    if wanted.algorithm not in DIGESTS:
        raise Unacceptable(f"unknown digest algorithm {wanted.algorithm[:40]!r}")
    if wanted.output is not None:
        with told(f"make {shown(wanted.output)}"):
            wanted.output.mkdir(parents=True, exist_ok=True)
    if lines is not None and wanted.given.name.startswith(INDEX):
        if wanted.output is not None:
            raise Unacceptable("an index says where its records are: leave -o out")
        return Done(finished=_remade(wanted.given, tell))
    finished = sum(_finish(part, tell) for part in sorted(wanted.home.glob(f".{INDEX}*")))
    found = list(_listed(wanted, lines) if lines is not None else _under(wanted))
    items = [item for item in found if not item.record.exists()]
    _require_apart(items)
    hashed, empty = _hashed(items, wanted.algorithm, tell)
    already = len(found) - len(items)
    if not hashed:
        return Done(0, already, empty, finished)
    tell(f"stamping {len(hashed):,} documents")
    seed = secrets.token_bytes(SEED) if wanted.blinded else b""
    made = batch.stamped(wanted.algorithm, b"".join(item.digest for item in hashed), stamp, _random(seed))
    index = wanted.home / f"{INDEX}{made.token.gen_time:%Y%m%dT%H%M%SZ}-{made.tree.root.hex()[:8]}.jsonl"
    part = index.with_name("." + index.name)
    facts = _facts(made, len(hashed))
    written(_index(facts, made, seed, hashed, wanted.home), part, replace=True)
    _write(zip((item.record for item in hashed), made.records(), strict=True), len(hashed), tell)
    _name(part)
    return Done(len(hashed), already, empty, finished, {**facts, "index": str(index)})


def _random(seed: bytes) -> Random | None:
    return (lambda size: hashlib.shake_256(seed).digest(size)) if seed else None


# What is to be stamped.


def _under(wanted: Wanted) -> Iterator[Item]:
    """Each file under the folder, but hidden ones, records and indexes."""
    for folder, folders, names in os.walk(wanted.given, onerror=_raise):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(folder, name)
            if not name.startswith((".", INDEX)) and not name.endswith(RECORD) and path.is_file():
                inside = path.relative_to(wanted.given)
                yield Item(str(inside), (wanted.output or wanted.given) / (str(inside) + RECORD), path)


def _raise(error: OSError) -> None:
    raise NotFound(f"cannot read folder {shown(Path(error.filename))}: {(error.strerror or 'input/output error').lower()}") from error


def _listed(wanted: Wanted, lines: Iterable[str]) -> Iterator[Item]:
    """A name a line; or as `sha256sum` writes them, and then the file itself is not needed."""
    for number, text in enumerate(lines, start=1):
        line = text.removesuffix("\n").removesuffix("\r")
        if not line.strip():
            continue
        digest = _digest_in(line, number, wanted.algorithm)
        name = digest[0] if digest is not None else line
        path = Path(name)
        if "\0" in name or path.name in ("", "..") or (wanted.output is not None and ".." in path.parts):
            raise Malformed(f"line {number} of the list: the name of a file expected, below the current folder where -o is given")
        inside = path.relative_to(path.anchor) if wanted.output is not None else path
        record = (wanted.output or Path()) / (str(inside) + RECORD)
        yield Item(name, record, path) if digest is None else Item(name, record, None, digest[1])


def _digest_in(line: str, number: int, algorithm: str) -> tuple[str, bytes] | None:
    """The name of a file and its digest; None for a name alone, which may look like a digest. Unacceptable for one of another algorithm."""
    found = sums.parsed(line)
    if found is None or not found.name or not (found.algorithm or len(found.digits) in sums.BY_LENGTH):
        return None
    size = DIGESTS[algorithm].size
    if found.algorithm not in ("", algorithm) or len(found.digits) != 2 * size:
        other = found.algorithm or sums.BY_LENGTH[len(found.digits)]
        raise Unacceptable(f"line {number} of the list: expected a digest of {algorithm}, got one of {other[:40]!r}: name it with --digest")
    return found.name, bytes.fromhex(found.digits)


def _require_apart(items: Iterable[Item]) -> None:
    seen: dict[Path, Item] = {}
    for item in items:
        other = seen.setdefault(item.record, item)
        if (other.name, other.digest) != (item.name, item.digest):
            raise Conflict(f"{shown(Path(item.name))} and {shown(Path(other.name))} would have one record, {shown(item.record)}")


def _hashed(items: list[Item], algorithm: str, tell: Tell) -> tuple[list[Item], int]:
    """With their digests, without the empty ones; how many those are. NotFound names the first that cannot be read."""
    found: list[Item] = []
    unreadable: list[str] = []
    empty = 0
    for number, item in enumerate(items, start=1):
        tell(f"hashing {number:,} of {len(items):,}: {item.name}")
        if item.path is None:
            found.append(item)
            continue
        try:
            digest = digest_of(item.path, algorithm)
        except OSError as error:
            unreadable.append(f"{shown(item.path)} ({(error.strerror or 'input/output error').lower()})")
            continue
        empty += not digest
        if digest:
            found.append(Item(item.name, item.record, item.path, digest))
    if unreadable:
        more = f" and {len(unreadable) - MOST_NAMED} more" if len(unreadable) > MOST_NAMED else ""
        raise NotFound(f"cannot read {', '.join(unreadable[:MOST_NAMED])}{more}: nothing was stamped")
    return found, empty


def digest_of(path: Path, algorithm: str) -> bytes:
    """Empty for an empty file. Conflict for one that changes while it is read."""
    running = hasher(algorithm)
    with path.open("rb") as stream:
        before = os.fstat(stream.fileno())
        while piece := stream.read(CHUNK):
            running.update(piece)
        after = os.fstat(stream.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise Conflict(f"{shown(path)} changed while it was read: nothing was stamped")
    return bytes(running.digest()) if before.st_size else b""


# Records and index.


def _facts(made: batch.Batch, count: int) -> dict[str, Any]:
    token = made.token
    return {
        "documents": count,
        "algorithm": made.tree.algorithm,
        "root": made.tree.root.hex(),
        "time": token.gen_time.isoformat(),
        "serial": token.serial,
        "authority": token.signature.signer.name if token.signature.signer else None,
    }


def _index(facts: dict[str, Any], made: batch.Batch, seed: bytes, items: Iterable[Item], home: Path) -> Iterator[bytes]:
    """The token with what it is over, then a line for each document; `blinds` is what its records must not tell."""
    secret = {"blinds": base64.b64encode(seed).decode()} if seed else {}
    yield _line({"format": FORM, **facts, **secret, "token": base64.b64encode(made.token.der).decode()})
    for item in items:
        yield _line({"name": item.name, "record": _relative(item.record, home), "digest": item.digest.hex()})


def _line(values: dict[str, Any]) -> bytes:
    return json.dumps(values).encode() + b"\n"


def _relative(path: Path, home: Path) -> str:
    return str(path.relative_to(home)) if path.is_relative_to(home) else str(path.absolute())


def _finish(part: Path, tell: Tell) -> int:
    """An interrupted batch is one no more; how many records it still lacked."""
    count = _remade(part, tell)
    _name(part)
    return count


def _remade(index: Path, tell: Tell) -> int:
    """Write the records that a batch lacks, with the token that its index holds; how many those were."""
    try:
        with index.open("rb") as stream:
            head = json.loads(stream.readline())
            lines = [json.loads(line) for line in stream]
        seed = base64.b64decode(head.get("blinds", ""))
        records = [index.parent / line["record"] for line in lines]
        tree, places = batch.planted(head["algorithm"], b"".join(bytes.fromhex(line["digest"]) for line in lines), _random(seed))
        token = cms.token(base64.b64decode(head["token"]))
        if head["format"] != FORM or token.imprint.value != tree.root or not all(path.name.endswith(RECORD) for path in records):
            raise Malformed("its token is over other documents, or it names what is no record")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, KakuinError) as error:
        raise Malformed(f"{shown(index)} is no index of a batch: move it away, and its documents are stamped anew") from error
    written_now = 0

    def missing() -> Iterator[tuple[Path, bytes]]:
        nonlocal written_now
        for path, record in zip(records, batch.Batch(tree, token, places).records(), strict=True):
            if not _has(path, record):
                written_now += 1
                yield path, record

    _write(missing(), len(records), tell)
    return written_now


def _has(path: Path, record: bytes) -> bool:
    """Whether the record is there, or one that was renewed since and is longer. After a power cut a file may be there without its content."""
    try:
        there = read_small(path, "evidence record", LARGEST)
        return there == record or (len(there) > len(record) and ers_renewal.renewable(there) is not None)
    except KakuinError:
        return False


def _write(records: Iterable[tuple[Path, bytes]], count: int, tell: Tell) -> None:
    for number, (path, record) in enumerate(records, start=1):
        tell(f"writing {number:,} of {count:,}: {path.name}")
        with told(f"write {shown(path)}"):
            path.parent.mkdir(parents=True, exist_ok=True)
            hidden = path.with_name(f".{path.name}.part")
            hidden.write_bytes(record)
            hidden.replace(path)
    os.sync()  # once for all of them: the index says what there should be, until it has its name


def _name(part: Path) -> None:
    with told(f"write {shown(part)}"):
        part.replace(part.with_name(part.name[1:]))
        sync_folder(part.parent)
