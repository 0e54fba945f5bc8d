"""Evidence records renewed from the command line (RFC 4998 section 5.2): many under one new token, each file replaced whole.

A record is renewed only where it holds: a renewal over one that does not would make it look better than it is.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trust.codecs import cms, ers_renewal, hashtree
from trust.codecs.ers_renewal import Renewable, Which
from trust.edge.files import read_small, write_atomically
from trust.edge.source import shown
from trust.errors import KakuinError, NotFound, Unacceptable
from trust.ports import Stamper
from tsa import batch
from tsa.batch_folder import LARGEST, RECORD, Tell, digest_of

Complete = Callable[[bytes], bytes]
"""A token -> the same with the status of its chain, before the renewal covers it. Raises where that is not to be had."""


@dataclass(frozen=True, slots=True)
class _One:
    path: Path
    record: Renewable
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
    known: dict[bytes, bytes] = {}
    made = []
    for number, path in enumerate(paths, start=1):
        tell(f"reading {number:,} of {len(paths):,}: {path.name}")
        try:
            made.append(_one(path, algorithm, complete, known))
        except KakuinError as error:
            raise type(error)(f"{shown(path)}: {error}") from error
    facts: dict[str, Any] = {"renewed": len(made), "tokens": []}
    for name in sorted({each.algorithm for each in made}):
        facts["tokens"].append(_renew([each for each in made if each.algorithm == name], name, stamp, tell))
    return facts


def _one(path: Path, algorithm: str | None, complete: Complete | None, known: dict[bytes, bytes]) -> _One:
    record = ers_renewal.renewable(read_small(path, "evidence record", LARGEST))
    name = algorithm or record.algorithm
    document = path.with_name(path.name.removesuffix(RECORD))
    _require_sound(record, document if document != path and document.is_file() else None)
    if complete is not None:
        record = _completed(record, complete, known)
    if name == record.algorithm:
        return _One(path, record, "time-stamp", name, (ers_renewal.over_stamp(record),))
    if document == path or not document.is_file():
        raise NotFound(f"a new digest algorithm needs the document beside it, {shown(document)}")
    return _One(path, record, "hash tree", name, ers_renewal.over_data(record, name, [digest_of(document, name)]))


def _require_sound(record: Renewable, document: Path | None) -> None:
    imprints = [cms.token(stamp.token).imprint for chain in record.parsed.chains for stamp in chain.stamps]
    objects: Sequence[hashtree.DataObject] = () if document is None else [lambda name, _: digest_of(document, name)]
    judged = hashtree.judge(record.parsed, imprints, objects)
    if not all(each.intact and each.linked is not False and all(each.objects) for each in judged):
        raise Unacceptable("the record does not hold, so it is not renewed: see `kakuin verify`")


def _completed(record: Renewable, complete: Complete, known: dict[bytes, bytes]) -> Renewable:
    """With the status of its last token's chain; untouched where that cannot be had, as with another authority's."""
    der = record.last.der
    if der not in known:
        try:
            known[der] = complete(der)
        except KakuinError:
            known[der] = der
    return record if known[der] == der else ers_renewal.completed(record, known[der])


def _renew(records: Iterable[_One], algorithm: str, stamp: Stamper, tell: Tell) -> dict[str, Any]:
    group = list(records)
    nodes = b"".join(ers_renewal.node_of(algorithm, each.values) for each in group)
    tree, places = batch.planted(algorithm, nodes)
    tell(f"stamping {len(group):,} records")
    token = batch.over(tree, stamp)
    for number, each in enumerate(group):
        tell(f"writing {number + 1:,} of {len(group):,}: {each.path.name}")
        lists = ers_renewal.lists_of(tree, number if places is None else places[number], each.values)
        write_atomically(each.path, ers_renewal.renewed(each.record, each.which, algorithm, lists, token.der))
    return {"algorithm": algorithm, "records": len(group), "time": token.gen_time.isoformat(), "serial": token.serial}
