"""Receipts: that an entry is in the log, to be checked offline (C2SP tlog-proof). Pure.

The `extra` line of ours is the leaf's data as far as its holder cannot know it: for a token or a certificate its kind and time, since the body is
what the holder has; for everything else the whole entry, which says digests of what the holder has.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from trust.errors import Malformed
from trust.log.layout import Said, said_by
from trust.log.note import Checkpoint, Note, VerifierKey, number, opened, parse_note, unbase64
from trust.log.tree import HASH_SIZE, MAX_PROOF, includes, leaf_hash

MEDIA_TYPE = "text/plain; charset=utf-8"
SUFFIX = ".tlog-proof"
MAX_RECEIPT = 1 << 18
"""Bytes."""
_FIRST = "c2sp.org/tlog-proof@v1"
HELD = frozenset({"token", "certificate"})
"""Kinds whose entry has the thing itself as its body."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The proof and what is needed for it."""

    index: int
    path: tuple[bytes, ...]
    note: Note
    """The checkpoint that the path leads to."""
    extra: bytes | None = None

    def __bytes__(self) -> bytes:
        lines = [_FIRST]
        if self.extra is not None:
            lines.append(f"extra {base64.b64encode(self.extra).decode()}")
        lines += [f"index {self.index}", *(base64.b64encode(each).decode() for each in self.path), ""]
        return "".join(f"{line}\n" for line in lines).encode() + bytes(self.note)


def extra_of(kind: str, data: bytes) -> bytes:
    """What a receipt tells of a leaf's data."""
    return data[: len(kind) + 1 + 8] if kind in HELD else data


def parse_receipt(data: bytes) -> Receipt:
    """C2SP tlog-proof, format. Nothing is verified."""
    if len(data) > MAX_RECEIPT:
        raise Malformed(f"a receipt is at most {MAX_RECEIPT} bytes, got {len(data)}")
    head, gap, note = data.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise Malformed("a receipt's proof is ASCII") from error
    if not gap or lines.pop(0) != _FIRST:
        raise Malformed(f"a receipt begins with {_FIRST}")
    extra = None
    if lines and lines[0].startswith("extra "):
        extra = unbase64(lines.pop(0).removeprefix("extra "), "the extra data of a receipt")
    if not lines or not lines[0].startswith("index "):
        raise Malformed("a receipt says the index of its entry")
    index = number(lines.pop(0).removeprefix("index "), "the index of a receipt")
    if len(lines) > MAX_PROOF:
        raise Malformed(f"a proof has at most {MAX_PROOF} hashes, got {len(lines)}")
    path = tuple(unbase64(line, "a hash of the proof", HASH_SIZE) for line in lines)
    return Receipt(index, path, parse_note(note), extra)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a receipt shows, when it holds."""

    checkpoint: Checkpoint
    said: Said
    witnesses: tuple[VerifierKey, ...]


def verify(receipt: Receipt, content: bytes, log: VerifierKey, witnesses: Sequence[VerifierKey] = ()) -> Shown:
    """That what `content` is stands in the log: a token or certificate (DER), or for a seal the sealed file.

    Malformed, saying why, when it is not shown.
    """
    checkpoint, cosigners = opened(bytes(receipt.note), log, witnesses)
    data = leaf_data(receipt, content)
    if not includes(leaf_hash(data), receipt.index, checkpoint.size, receipt.path, checkpoint.root):
        raise Malformed(f"the proof does not lead from this to the log's root: it is not entry {receipt.index}")
    return Shown(checkpoint, said_by(data), cosigners)


def leaf_data(receipt: Receipt, content: bytes) -> bytes:
    """The leaf's data, of the receipt's extra line and of what the holder has. Malformed where the two do not belong together."""
    if receipt.extra is None:
        raise Malformed("the receipt has no extra line, which says kind and time of the entry")
    told = said_by(receipt.extra)
    if told.kind in HELD:
        if told.body:
            raise Malformed(f"the receipt of a {told.kind} does not bring its body")
        return receipt.extra + content
    if told.kind == "seal":
        digest = hashlib.sha256(content).hexdigest()
        if sealed_digest(told.body) != digest:
            raise Malformed("the entry is of another sealed file")
    elif content != told.body:
        raise Malformed(f"the entry is of another {told.kind}")
    return receipt.extra


def sealed_digest(body: bytes) -> str | None:
    """SHA-256 of the sealed file, hexadecimal, as a seal's entry says it."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return None
    found = said.get("sealed") if isinstance(said, dict) else None
    return found if isinstance(found, str) else None
