"""What is read of logs that are others': notes, checkpoints, receipts, requests to a witness, tiles and bundles, and exports."""

import functools
import io
from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import ed25519

from tests.fuzz import seeds
from tests.fuzz.mutate import MAX, Random, member_of_json, octets, text, tlv
from tests.fuzz.target import TEXT, Target, each
from trust.codecs import tsp
from trust.errors import Malformed, NotFound
from trust.log import exported, layout, reading, tree
from trust.log.examine import Examined, Examiner, continued, examined
from trust.log.journal import Entry
from trust.log.layout import Tile, bundle, said_by, tile_at, unbundled
from trust.log.monitor import differing, entries_of
from trust.log.note import Checkpoint, Kind, Note, VerifierKey, opened, parse_checkpoint, parse_note, signature, signature_lines, verifier_key
from trust.log.page import entry_data, microseconds
from trust.log.receipt import Receipt, extra_of, parse_receipt, verify
from trust.log.tree import EMPTY, HASH_SIZE, Frontier, leaf_hash
from trust.log.witness import Asked, parse_asked
from trust.model import Cert
from trust.timekeeping import State
from verifier.audit import work
from verifier.audit.auditor import Auditor
from verifier.audit.rows import Row, cells, json_line
from verifier.audit.sources import peeked
from verifier.policy import load
from verifier.service import Verifier

AT = datetime(2018, 6, 1, tzinfo=UTC)
_LOG = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
"""Always the same one, and its signatures with it: the seeds of every run are the same."""
_WITNESS = ed25519.Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
LOG = VerifierKey("log.example/tsa", Kind.LOG, _LOG.public_key().public_bytes_raw())
WITNESS = VerifierKey("witness.example", Kind.WITNESS, _WITNESS.public_key().public_bytes_raw())
CONTENT = b"a time-stamp token"


def _note(data: bytes) -> None:
    said = data.decode("utf-8", "replace")

    def whole(data: bytes) -> None:
        note = parse_note(data)
        assert parse_note(bytes(note)) == note
        checkpoint = parse_checkpoint(note.text)
        assert parse_checkpoint(checkpoint.text) == checkpoint

    each(
        data,
        whole,
        lambda data: opened(data, LOG, (WITNESS,)),
        lambda _: signature_lines(said),
        lambda _: verifier_key(said[:4096]),
        refuses=(Malformed,),
    )


def _receipt(data: bytes) -> None:
    receipt = parse_receipt(data)
    assert parse_receipt(bytes(receipt)) == receipt
    verify(receipt, CONTENT, LOG, (WITNESS,))


def _witness(data: bytes) -> None:
    asked = parse_asked(data)
    assert parse_asked(bytes(asked)) == asked
    new = parse_checkpoint(asked.note.text)
    for old in (asked.old, 1, new.size):
        tree.extends(old, new.root, new.size, new.root, asked.proof)
    asked.note.signed_by((LOG,))


def _tiles(data: bytes) -> None:
    """The first two octets say how many entries there shall be; the rest is the bundle, the tile over it and a path."""
    count, rest = 1 + int.from_bytes(data[:2], "big") % 300, data[2:]
    found = unbundled(rest, count)[: tree.TILE_WIDTH]
    hashes = b"".join(map(leaf_hash, found))

    def resource(path: str) -> bytes:
        return rest if tile_at(path).level == layout.ENTRIES else hashes

    for leaf in found:
        each(leaf, said_by, refuses=(Malformed,))
    size = min(len(found), tree.TILE_WIDTH)
    frontier = EMPTY.grown(map(leaf_hash, found))[0]
    for _ in examined(entries_of(resource, 0, size), [(size, frontier.root(), "of the log")], Examiner(watched=("example",)), Examined()):
        pass
    for _ in differing(resource, lambda *_: hashes, 0, size):
        pass


def _path(data: bytes) -> None:
    path = data.decode("utf-8", "replace")
    assert tile_at(path).path == path


def _export(data: bytes) -> None:
    """Line for line, as `log verify` and `audit --export` read it."""
    entries = list(exported.lines(io.BytesIO(data)))
    for found in entries:
        reading.listed(found), reading.summary(found)
    first, stream = peeked(iter(entries))
    whole = first is None or first.index == 0
    auditor = _auditor(whole)
    passing, examiner = work.noting(stream, auditor), Examiner(tokens=auditor.token)
    for finding in examined(passing, (), examiner, Examined()) if whole else continued(passing, examiner):
        auditor.finding(finding)
    auditor.finish((), log=True)


def _auditor(whole: bool) -> Auditor:
    verifier = Verifier(lambda: AT, load("archive"), _anchors())
    return Auditor(
        lambda certificates: verifier.token_judge(at=AT, policy=load("archive"), certificates=tuple(certificates)),
        _shown,
        lambda _: "",
        log=True,
        whole=whole,
    )


def _shown(row: Row) -> None:
    cells(row), json_line(row)


@functools.cache
def _anchors() -> tuple[Cert, ...]:
    return tuple(Cert(der) for der in seeds.in_folder("forged/anchors", "*")[:6])


# Seeds


def _signed(said: str, *, cosigned: bool = True) -> Note:
    lines = [signature(LOG, _LOG.sign, said)]
    if cosigned:
        lines.append(signature(WITNESS, _WITNESS.sign, said, 1_700_000_000))
    return Note(said, tuple(lines))


def _tree_of(leaves: list[bytes]) -> tuple[Frontier, tree.Tiles]:
    """For at most a tile."""
    hashes = b"".join(map(leaf_hash, leaves))
    return EMPTY.grown(map(leaf_hash, leaves))[0], lambda _level, _number, width: hashes[: width * HASH_SIZE]


@functools.cache
def notes() -> tuple[bytes, ...]:
    checkpoint = Checkpoint(LOG.name, 7, bytes(range(32)), ("extension one", "two"))
    plain = Note("text\nof two lines\n", (signature(LOG, _LOG.sign, "text\nof two lines\n"),))
    made = [_signed(checkpoint.text), _signed(Checkpoint(LOG.name, 0, tree.EMPTY_ROOT).text, cosigned=False), plain]
    lines = "".join(str(line) for line in made[0].signatures)
    return (*map(bytes, made), lines.encode(), str(LOG).encode(), str(WITNESS).encode())


@functools.cache
def _receipts() -> tuple[bytes, ...]:
    leaves = [b"event\n" + bytes(7) + b"\1{}", b"token\n" + bytes(7) + b"\2" + CONTENT, b"seal\n" + bytes(7) + b'\3{"sealed": "00"}']
    frontier, tiles = _tree_of(leaves)
    note = _signed(Checkpoint(LOG.name, len(leaves), frontier.root()).text)
    made = [
        Receipt(i, tree.inclusion(tiles, i, len(leaves)), note, extra_of(leaf.partition(b"\n")[0].decode(), leaf)) for i, leaf in enumerate(leaves)
    ]
    return (*map(bytes, made), bytes(Receipt(0, made[0].path, note)))


@functools.cache
def _requests() -> tuple[bytes, ...]:
    leaves = [b"event\n" + bytes(8) + b"%d" % number for number in range(11)]
    made = []
    for old, new in ((0, 3), (3, 11), (8, 11), (11, 11)):
        frontier, tiles = _tree_of(leaves[:new])
        made.append(bytes(Asked(old, tree.consistency(tiles, old, new), _signed(Checkpoint(LOG.name, new, frontier.root()).text, cosigned=False))))
    return tuple(made)


@functools.cache
def _entries() -> tuple[Entry, ...]:
    """Certificates, tokens and events of the corpora."""
    bodies = [("certificate", der, None, None) for der in seeds.in_folder("forged/anchors", "*")[:4]]
    for data in seeds.of_format("TST")[:12]:
        try:
            bodies.append(("token", tsp.decode_response(data).token or data, "tsu-0000", len(bodies)))
        except Malformed:
            bodies.append(("token", data, "tsu-0000", None))
    said = (
        ("event", b'{"event": "clock", "node": "a", "state": "%s", "bound_us": 900, "reason": "state"}' % State.GOOD.encode()),
        ("event", b'{"event": "serials-void", "unit": "tsu-0000", "first": 20, "last": 31}'),
        ("event", b'{"event": "unit-retired", "unit": "tsu-0000"}'),
        ("revocation", b'{"serial": "1f", "time": "2018-01-01T00:00:00+00:00", "reason": "keyCompromise"}'),
        ("seal", b'{"organisation": "7000012050002", "level": "B-LTA", "sealed": "00"}'),
    )
    made = []
    for index, (kind, body, unit, serial) in enumerate((*bodies, *((kind, body, None, None) for kind, body in said))):
        at = datetime(2018, 1, 1, 0, 0, index, tzinfo=UTC)
        made.append(Entry(index, kind, at, body, leaf_hash(entry_data(kind, microseconds(at), body)), unit, serial))
    return tuple(made)


@functools.cache
def _bundles() -> tuple[bytes, ...]:
    leaves = [entry_data(e.kind, microseconds(e.at), e.body) for e in _entries()]
    small = [leaf for leaf in leaves if len(leaf) < 300]
    return tuple((len(part) - 1).to_bytes(2, "big") + bundle(part) for part in (leaves, small, leaves[:1], leaves[3:7]))


@functools.cache
def _exports() -> tuple[bytes, ...]:
    lines = [reading.exported(each).encode() + b"\n" for each in _entries()]
    return (b"".join(lines), b"".join(lines[:6]), b"".join(lines[10:]), *lines[::3])


def _paths() -> tuple[bytes, ...]:
    tiles = (Tile(0, 0), Tile(0, 1234567, 17), Tile(3, 1), Tile(layout.ENTRIES, 1000, 255))
    return tuple(tile.path.encode() for tile in tiles)


# Mutations


def entry(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """A bundle of which one entry is changed, taken away or doubled; the lengths follow."""
    try:
        found = unbundled(data[2:], 1 + int.from_bytes(data[:2], "big"))
    except Malformed:
        return octets(random, data, others)
    at = random.randrange(len(found))
    match random.randrange(5):
        case 0 if len(found) > 1:
            del found[at]
        case 1:
            found[at:at] = found[at : at + 1] * random.choice((1, 20))
        case _:
            head, _, body = found[at].partition(b"\n")
            change = tlv if body[8:9] == b"\x30" else text
            found[at] = (head + b"\n" + body[:8] + change(random, body[8:] or b"0", [body[8:] or b"0"]))[: layout.MAX_ENTRY]
    return (len(found) - 1).to_bytes(2, "big") + bundle(found)


def line(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Lines of JSON of which one is changed inside, moved, taken away or doubled."""
    lines = data.splitlines(keepends=True)
    if not lines:
        return octets(random, data, others)
    at = random.randrange(len(lines))
    match random.randrange(6):
        case 0:
            del lines[at]
        case 1:
            lines.insert(random.randrange(len(lines) + 1), lines[at])
        case _:
            lines[at] = member_of_json(random, lines[at], [lines[at]]) + b"\n"
    return b"".join(lines)[:MAX]


TARGETS: dict[str, Target] = {
    "note": Target(_note, notes, TEXT, inputs=20000),
    "receipt": Target(_receipt, _receipts, TEXT, inputs=20000),
    "witness": Target(_witness, _requests, TEXT, inputs=20000),
    "tiles": Target(_tiles, _bundles, (entry, entry, octets), inputs=3000),
    "tile-path": Target(_path, _paths, TEXT, refuses=(NotFound,), inputs=10000),
    "export": Target(_export, _exports, (line, line, line, *TEXT), inputs=2500),
}
