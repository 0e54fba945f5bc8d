"""Signed notes, checkpoints and cosignatures (C2SP signed-note, tlog-checkpoint, tlog-cosignature), with Ed25519; of witnesses ML-DSA-44 too. Pure.

A note is a text, an empty line, and a line for each signature. A checkpoint is a note that says a log's origin, its size and its root.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa

from trust import algorithms
from trust.algorithms import Algorithm
from trust.errors import Malformed, Unacceptable
from trust.log.tree import HASH_SIZE, MAX_SIZE

MAX_NOTE = 1 << 17
"""Bytes. C2SP signed-note, format: 16 signatures at least, each of up to nearly 5 kB (ML-DSA-87), which are 7 kB in base64."""
MAX_SIGNATURES = 64
_MAX_NAME = 200
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
_DASH = "\u2014 "

Sign = Callable[[bytes], bytes]


class Kind(IntEnum):
    """C2SP signed-note, signature types."""

    LOG = 0x01
    """Ed25519 over the text."""
    WITNESS = 0x04
    """Ed25519 over the time and the text: a cosignature."""
    WITNESS_ML_DSA = 0x06
    """ML-DSA-44 over the witness's name, the time, and the checkpoint's origin, size and root: a cosignature."""

    @property
    def algorithm(self) -> Algorithm:
        """Named as key types are (`trust.edge.keystore`)."""
        return _ML_DSA if self is Kind.WITNESS_ML_DSA else _ED25519

    @property
    def sizes(self) -> tuple[int, int]:
        """Bytes of a public key, and of a signature."""
        return (1312, 2420) if self is Kind.WITNESS_ML_DSA else (32, 64)


_ED25519, _ML_DSA = Algorithm("ed25519"), Algorithm("ml-dsa-44")
COSIGNING = frozenset({Kind.WITNESS, Kind.WITNESS_ML_DSA})


def unbase64(text: str, what: str, size: int | None = None) -> bytes:
    """Standard base64, written in the one way there is (RFC 4648 section 4)."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed(f"{what} is not base64") from error
    if base64.b64encode(data).decode() != text:
        raise Malformed(f"{what} is not base64 as it is written in one way only")
    if size is not None and len(data) != size:
        raise Malformed(f"{what} is {size} bytes, got {len(data)}")
    return data


def number(text: str, what: str) -> int:
    """Decimal without leading zeroes, up to 2**63 - 1."""
    if _NUMBER.fullmatch(text) is None or int(text) > MAX_SIZE:
        raise Malformed(f"{what} is a decimal number without leading zeroes")
    return int(text)


def name_fault(name: str) -> str | None:
    """What is wrong with the name of a key that is to be known here; None where nothing is."""
    if not _lawful(name) or len(name) > _MAX_NAME or not name.isprintable():
        return f"1 to {_MAX_NAME} visible characters without spaces and without +"
    return None


def _lawful(name: str) -> bool:
    """C2SP signed-note, format: what key names must be; a stranger may have one that is never shown to anybody."""
    return name != "" and "+" not in name and not any(c.isspace() for c in name)


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key under its name: what whoever checks a log or a witness is given beforehand."""

    name: str
    kind: Kind
    public: bytes
    """As `Kind.sizes` says."""

    def __post_init__(self) -> None:
        if fault := name_fault(self.name):
            raise Malformed(f"the name of a key is {fault}")
        if len(self.public) != self.kind.sizes[0]:
            raise Malformed(f"a public key of {self.kind.algorithm.scheme} is {self.kind.sizes[0]} bytes, got {len(self.public)}")
        if self.kind is Kind.WITNESS_ML_DSA:
            _short(self.name)

    @property
    def id(self) -> bytes:
        """Four bytes, which stand in each of its signatures."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(bytes([self.kind]) + self.public).decode()}"

    def verifies(self, value: bytes, signed: bytes) -> bool:
        read = mldsa.MLDSA44PublicKey if self.kind is Kind.WITNESS_ML_DSA else ed25519.Ed25519PublicKey
        try:
            key = read.from_public_bytes(self.public)
        except ValueError:
            return False
        return algorithms.verify(key, self.kind.algorithm, value, signed)


def verifier_key(text: str) -> VerifierKey:
    """`<name>+<id in hexadecimal>+<base64 of type and key>`."""
    parts = text.strip().split("+", 2)
    if len(parts) != 3:
        raise Malformed("a verifier key is NAME+ID+KEY")
    coded = unbase64(parts[2], "the key of a verifier key")
    if not coded or coded[0] not in set(Kind):
        raise Malformed(f"the type of a verifier key is one of {', '.join(str(int(k)) for k in Kind)}, got {coded[0] if coded else 'none'}")
    key = VerifierKey(parts[0], Kind(coded[0]), coded[1:])
    if parts[1] != key.id.hex():
        raise Malformed(f"the identifier of the verifier key is {key.id.hex()}, got another")
    return key


@dataclass(frozen=True, slots=True)
class Signature:
    """One line under a note."""

    name: str
    id: bytes
    value: bytes

    def __str__(self) -> str:
        return f"{_DASH}{self.name} {base64.b64encode(self.id + self.value).decode()}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A text, which ends with a line feed, and what stands under it."""

    text: str
    signatures: tuple[Signature, ...]

    def __bytes__(self) -> bytes:
        return (self.text + "\n" + "".join(map(str, self.signatures))).encode()

    def signed_by(self, keys: Iterable[VerifierKey]) -> tuple[VerifierKey, ...]:
        """Those of the keys whose signature stands here and holds. Malformed where one stands here and does not: such a note is refused whole."""
        found = []
        for key in dict.fromkeys(keys):
            theirs = [s for s in self.signatures if s.name == key.name and s.id == key.id]
            if not all(_holds(key, self.text, s.value) for s in theirs):
                raise Malformed(f"a signature under the note says that it is by {ascii(key.name)[1:-1]}, and does not verify")
            if theirs:
                found.append(key)
        return tuple(found)

    def with_signatures(self, more: Iterable[Signature]) -> "Note":
        """With these below the others, each once."""
        return Note(self.text, tuple(dict.fromkeys((*self.signatures, *more))))


def _holds(key: VerifierKey, text: str, value: bytes) -> bool:
    if key.kind is Kind.LOG:
        return key.verifies(value, text.encode())
    time = int.from_bytes(value[:8], "big")
    return len(value) == 8 + key.kind.sizes[1] and 0 < time <= MAX_SIZE and key.verifies(value[8:], _cosigned(key, text, time))


def _cosigned(key: VerifierKey, text: str, time: int) -> bytes:
    """C2SP tlog-cosignature, signed messages. `time` is in seconds since 1970 UTC. Malformed where no such message can be of this text."""
    if key.kind is Kind.WITNESS:
        return f"cosignature/v1\ntime {time}\n{text}".encode()
    checkpoint = parse_checkpoint(text)
    whole = (0).to_bytes(8, "big") + checkpoint.size.to_bytes(8, "big") + checkpoint.root
    return b"subtree/v1\n\0" + _short(key.name) + time.to_bytes(8, "big") + _short(checkpoint.origin) + whole


def _short(name: str) -> bytes:
    """RFC 8446 section 3.4: a vector of 1 to 255 bytes."""
    data = name.encode()
    if len(data) > 255:
        raise Malformed(f"a name under a cosignature of ML-DSA is at most 255 bytes, got {len(data)}")
    return bytes([len(data)]) + data


def cosigned_at(signature: Signature) -> int:
    """Of a cosignature that holds: its time, in seconds since 1970 UTC."""
    return int.from_bytes(signature.value[:8], "big")


def signature(key: VerifierKey, sign: Sign, text: str, time: int | None = None) -> Signature:
    """Over a note's text; with `time`, in seconds since 1970 UTC, a cosignature."""
    if (time is None) != (key.kind is Kind.LOG):
        raise Unacceptable("a cosignature has a time, a log's signature has none")
    if time is None:
        return Signature(key.name, key.id, sign(text.encode()))
    return Signature(key.name, key.id, time.to_bytes(8, "big") + sign(_cosigned(key, text, time)))


def signature_lines(text: str) -> tuple[Signature, ...]:
    """Lines of signatures, as they stand under a note and as a witness answers."""
    lines = text.split("\n")
    if lines.pop() or not lines:
        raise Malformed("signatures are lines, each with its line feed")
    if len(lines) > MAX_SIGNATURES:
        raise Malformed(f"a note has at most {MAX_SIGNATURES} signatures, got {len(lines)}")
    return tuple(map(_signature, lines))


def _signature(line: str) -> Signature:
    parts = line.removeprefix(_DASH).split(" ")
    if not line.startswith(_DASH) or len(parts) != 2 or not _lawful(parts[0]):
        raise Malformed("a signature is a dash (U+2014), a name and base64")
    coded = unbase64(parts[1], "a signature")
    if len(coded) < 5:
        raise Malformed(f"a signature is over 4 bytes, got {len(coded)}")
    return Signature(parts[0], coded[:4], coded[4:])


def parse_note(data: bytes) -> Note:
    """C2SP signed-note, format. Nothing is verified."""
    if len(data) > MAX_NOTE:
        raise Malformed(f"a note is at most {MAX_NOTE} bytes, got {len(data)}")
    try:
        whole = data.decode()
    except UnicodeDecodeError as error:
        raise Malformed("a note is UTF-8") from error
    if any(c < " " and c != "\n" for c in whole):
        raise Malformed("a note has no control characters but line feeds")
    text, gap, signatures = whole.rpartition("\n\n")
    if not gap:
        raise Malformed("a note is a text, an empty line and signatures")
    return Note(text + "\n", signature_lines(signatures))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of itself: C2SP tlog-checkpoint, note text."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        lines = (self.origin, str(self.size), base64.b64encode(self.root).decode(), *self.extensions)
        return "".join(f"{line}\n" for line in lines)


def parse_checkpoint(text: str) -> Checkpoint:
    """Of a note's text."""
    lines = text.split("\n")
    if lines.pop() or len(lines) < 3 or not all(lines):
        raise Malformed("a checkpoint is three lines or more: origin, size, root")
    root = unbase64(lines[2], "the root of a checkpoint", HASH_SIZE)
    return Checkpoint(lines[0], number(lines[1], "the size of a checkpoint"), root, tuple(lines[3:]))


def opened(data: bytes, log: VerifierKey, witnesses: Sequence[VerifierKey] = ()) -> tuple[Checkpoint, tuple[VerifierKey, ...]]:
    """A checkpoint of the log with this key, and those of the witnesses that cosigned it. Malformed when it is not the log's."""
    note = parse_note(data)
    signers = note.signed_by((log, *witnesses))
    checkpoint = parse_checkpoint(note.text)
    if log not in signers:
        raise Malformed(f"the checkpoint is not signed by {ascii(log.name)[1:-1]}")
    if checkpoint.origin != log.name:
        raise Malformed(f"the checkpoint's origin is {ascii(log.name)[1:-1]}, got another")
    return checkpoint, tuple(key for key in signers if key != log)
