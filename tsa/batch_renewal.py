"""Evidence records renewed from the command line (RFC 4998 section 5.2): many under one new token, each file replaced whole.

A record is renewed only where it holds: a renewal over one that does not would make it look better than it is. Each is read twice, to be judged and
to be written, so that a million of them take the memory of their digests.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trust.codecs import cms, ers_renewal, hashtree
from trust.codecs.ers_renewal import Renewable, Which
from trust.edge.files import read_small, write_atomically
from trust.edge.source import shown
from trust.errors import Conflict, KakuinError, NotFound, Unacceptable
from trust.model import Id, identify
from trust.ports import Stamper
from tsa import batch
from tsa.batch_folder import LARGEST, RECORD, Tell, digest_of

Complete = Callable[[bytes], bytes]
"""A token -> the same with the status of its chain, before the renewal covers it. Raises where that is not to be had."""


@dataclass(frozen=True, slots=True)
class _One:
    path: Path
    id: Id
    """Of the file's content when it was judged."""
    which: Which
    algorithm: str
    values: tuple[bytes, ...]
    """What the new archive time-stamp covers."""


def run(given: Path, algorithm: str | None, stamp: Stamper, complete: Complete | None, tell: Tell) -> dict[str, Any]:
    """Renew a record, or each under a folder. With an `algorithm` that is not a record's own, its hash tree: the document stands beside the record.

    One token for each digest algorithm. Errors name the file, and then nothing was renewed.
    """
    paths = sorted(given.rglob(f"*{RECORD}")) if given.is_dir() else [given]
    if not paths:
        raise NotFound(f"folder {shown(given)} has no evidence records (files called *{RECORD})")
    completing = _Completing(complete, {})
    made = []
    for number, path in enumerate(paths, start=1):
        tell(f"reading {number:,} of {len(paths):,}: {path.name}")
        try:
            made.append(_one(path, algorithm, completing))
        except KakuinError as error:
            raise type(error)(f"{shown(path)}: {error}") from error
    facts: dict[str, Any] = {"renewed": len(made), "tokens": []}
    for name in sorted({each.algorithm for each in made}):
        facts["tokens"].append(_renew([each for each in made if each.algorithm == name], name, stamp, completing, tell))
    return facts


@dataclass(frozen=True, slots=True)
class _Completing:
    """Puts the status of its last token's chain into a record."""

    complete: Complete | None
    known: dict[Id, bytes]
    """Tokens as they were completed, by what they were."""

    def completed(self, record: Renewable) -> Renewable:
        """Untouched where status cannot be had, as with another authority's."""
        if self.complete is None:
            return record
        der = record.last.der
        name = identify(der)
        if name not in self.known:
            try:
                self.known[name] = self.complete(der)
            except KakuinError:
                self.known[name] = der
        return record if self.known[name] == der else ers_renewal.completed(record, self.known[name])


def _read(path: Path) -> tuple[Renewable, Id]:
    """As it stands, and its content's digest."""
    data = read_small(path, "evidence record", LARGEST)
    return ers_renewal.renewable(data), identify(data)


def _one(path: Path, algorithm: str | None, completing: _Completing) -> _One:
    found, content = _read(path)
    name = algorithm or found.algorithm
    document = path.with_name(path.name.removesuffix(RECORD))
    _require_sound(found, document if document != path and document.is_file() else None)
    record = completing.completed(found)
    if name == record.algorithm:
        return _One(path, content, "time-stamp", name, (ers_renewal.over_stamp(record),))
    if document == path or not document.is_file():
        raise NotFound(f"a new digest algorithm needs the document beside it, {shown(document)}")
    return _One(path, content, "hash tree", name, ers_renewal.over_data(record, name, [digest_of(document, name)]))


def _require_sound(record: Renewable, document: Path | None) -> None:
    imprints = [cms.token(stamp.token).imprint for chain in record.parsed.chains for stamp in chain.stamps]
    objects: Sequence[hashtree.DataObject] = () if document is None else [lambda name, _: digest_of(document, name)]
    judged = hashtree.judge(record.parsed, imprints, objects)
    if not all(each.intact and each.linked is not False and all(each.objects) for each in judged):
        raise Unacceptable("the record does not hold, so it is not renewed: see `kakuin verify`")


def _renew(records: Iterable[_One], algorithm: str, stamp: Stamper, completing: _Completing, tell: Tell) -> dict[str, Any]:
    group = list(records)
    nodes = b"".join(ers_renewal.node_of(algorithm, each.values) for each in group)
    tree, places = batch.planted(algorithm, nodes)
    tell(f"stamping {len(group):,} records")
    token = batch.over(tree, stamp)
    changed: list[Path] = []
    for number, each in enumerate(group):
        tell(f"writing {number + 1:,} of {len(group):,}: {each.path.name}")
        lists = ers_renewal.lists_of(tree, number if places is None else places[number], each.values)
        found, content = _read(each.path)
        if content != each.id:
            changed.append(each.path)
            continue
        write_atomically(each.path, ers_renewal.renewed(completing.completed(found), each.which, algorithm, lists, token.der))
    if changed:
        raise Conflict(f"{shown(changed[0])} changed meanwhile and was left as it is ({len(changed)} of {len(group)}); the others were renewed")
    return {"algorithm": algorithm, "records": len(group), "time": token.gen_time.isoformat(), "serial": token.serial}
