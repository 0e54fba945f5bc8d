"""Batches: many digests under one time-stamp, an evidence record for each (RFC 4998).

What is given is lines: JSON objects, or digests as `sha256sum` writes them (trust.codecs.sums). They are read as they arrive, in constant time and
memory a line; what is kept of each is its digest, in flat bytes, and its name.
"""

import base64
import binascii
import codecs
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from trust.algorithms import DIGESTS
from trust.codecs import cms, ers, sums
from trust.codecs.jose import unique
from trust.errors import KakuinError, Malformed, TooLarge, Unacceptable
from trust.model import Digest, Token
from trust.ports import Stamper

LONGEST_LINE = 2048
"""Bytes."""
LONGEST_ID = 255
"""Characters."""
_KEYS = frozenset({"id", "digest", "algorithm"})


@dataclass(frozen=True, slots=True)
class Line:
    """One document."""

    id: str
    digest: Digest


def line(text: str, algorithm: str | None = None) -> Line:
    """A line of either kind; `algorithm` is that of digests that do not name theirs. Malformed or Unacceptable for anything else."""
    if text.lstrip()[:1] == "{":
        return _json(text, algorithm)
    found = sums.parsed(text.removesuffix("\r"))
    if found is None:
        raise Malformed('expected a hexadecimal digest, with a name behind it or alone, or {"id": …, "digest": …, "algorithm": …}')
    named = found.algorithm or algorithm or sums.BY_LENGTH.get(len(found.digits))
    if named is None:
        raise Malformed(f"digest is of sha256, sha384 or sha512, got {len(found.digits)} hexadecimal digits")
    return Line(_id(found.said or found.digits.lower()), _digest(named, found.digits))


def _json(text: str, algorithm: str | None) -> Line:
    try:
        found = json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError):
        raise Malformed("line is not JSON") from None
    if not isinstance(found, dict) or not found.keys() <= _KEYS or not all(type(value) is str for value in found.values()) or "digest" not in found:
        raise Malformed('expected {"id": text, "digest": hexadecimal or base64, "algorithm": text}; id and algorithm may be left out')
    digest = _digest(found.get("algorithm", algorithm or sums.BY_LENGTH.get(len(found["digest"]), "sha256")), found["digest"])
    return Line(_id(found.get("id", digest.value.hex())), digest)


def _id(text: str) -> str:
    if not 0 < len(text) <= LONGEST_ID or not text.isprintable():
        raise Malformed(f"an id is 1 to {LONGEST_ID} printable characters")
    return text


def _digest(algorithm: str, text: str) -> Digest:
    """Hexadecimal or base64, of the algorithm's length."""
    name = algorithm.lower().replace("sha-", "sha").replace("-", "_")
    if name not in DIGESTS:
        raise Unacceptable(f"unknown digest algorithm {algorithm[:40]!r}")
    size = DIGESTS[name].size
    try:
        value = bytes.fromhex(text) if len(text) == 2 * size else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise Malformed("digest is neither hexadecimal nor base64") from None
    if len(value) != size:
        raise Malformed(f"{name} digest is {size} bytes, got {len(value)}")
    return Digest(name, value)


@dataclass
class Lines:
    """Lines as they arrive in pieces. Every error names the line; one algorithm for all, because they stand in one tree."""

    limit: int
    """Digests."""
    algorithm: str | None = None
    ids: list[str] = field(default_factory=list)
    digests: bytearray = field(default_factory=bytearray)
    _said: str | None = None
    _rest: bytes = b""
    _count: int = 0

    def __post_init__(self) -> None:
        self._said = self.algorithm

    def feed(self, data: bytes) -> None:
        whole, *last = (self._rest + data).rsplit(b"\n", 1)
        if not last:
            self._rest = whole
        else:
            [self._rest] = last
            for each in whole.split(b"\n"):
                self._take(each)
        if len(self._rest) > LONGEST_LINE:
            raise TooLarge(f"line {self._count + 1}: a line is at most {LONGEST_LINE} bytes")

    def end(self) -> None:
        """Malformed where there was no digest at all."""
        self._take(self._rest)
        self._rest = b""
        if not self.ids:
            raise Malformed("one or more digests expected, got none")

    def _take(self, data: bytes) -> None:
        self._count += 1
        if not data.strip():
            return
        try:
            if len(data) > LONGEST_LINE:
                raise TooLarge(f"a line is at most {LONGEST_LINE} bytes")
            found = line(data.removeprefix(codecs.BOM_UTF8 if self._count == 1 else b"").decode(), self._said)
            if found.digest.algorithm != (self.algorithm or found.digest.algorithm):
                raise Unacceptable(f"a batch has one digest algorithm, expected {self.algorithm}, got {found.digest.algorithm}")
            if len(self.ids) == self.limit:
                raise TooLarge(f"a batch has at most {self.limit} digests")
        except UnicodeDecodeError:
            raise Malformed(f"line {self._count}: not UTF-8") from None
        except KakuinError as error:
            raise type(error)(f"line {self._count}: {error}") from None
        self.algorithm = found.digest.algorithm
        self.ids.append(found.id)
        self.digests += found.digest.value


@dataclass(frozen=True)
class Batch:
    """Digests under one token."""

    tree: ers.Tree
    token: Token
    places: Sequence[int] | None = None
    """Of each document its leaf, where some were given twice."""

    def records(self) -> Iterator[bytes]:
        """The evidence record of each document, in the order in which they were given."""
        made = ers.records(self.tree, self.token.der)
        if self.places is None:
            yield from made
            return
        highest = -1
        for place in self.places:
            if place > highest:
                highest = place
                yield next(made)
            else:
                yield ers.record(self.tree, self.token.der, place)


Random = Callable[[int], bytes]
"""Number of bytes -> that many that nobody can guess."""


def planted(algorithm: str, digests: bytes, random: Random | None = None) -> "tuple[ers.Tree, Sequence[int] | None]":
    """The tree over digests that stand side by side, and their leaves where some stand twice; blinded where `random` is given."""
    if random is not None:
        return ers.tree(algorithm, digests, random(len(digests))), None
    if algorithm not in DIGESTS:
        raise Unacceptable(f"unknown digest algorithm {algorithm[:40]!r}")
    flat, places = ers.distinct(DIGESTS[algorithm].size, digests)
    return ers.tree(algorithm, flat), places


def stamped(algorithm: str, digests: bytes, stamp: Stamper, random: Random | None = None) -> Batch:
    """One token over all of them. With `random`, no record tells anything of another document. Errors as those of the stamper."""
    tree, places = planted(algorithm, digests, random)
    return Batch(tree, over(tree, stamp), places)


def over(tree: ers.Tree, stamp: Stamper) -> Token:
    """The token over a tree's root. Unacceptable where the authority stamped something else."""
    imprint = Digest(tree.algorithm, tree.root)
    token = cms.token(stamp(imprint))
    if token.imprint != imprint:
        raise Unacceptable("the authority stamped something else")
    return token


def lines(batch: Batch, ids: Iterable[str]) -> Iterator[bytes]:
    """One JSON object a line: `{"id": …, "record": base64}`."""
    for name, record in zip(ids, batch.records(), strict=True):
        yield b'{"id":%s,"record":"%s"}\n' % (json.dumps(name, ensure_ascii=False).encode("utf-8", "replace"), base64.b64encode(record))
