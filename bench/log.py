"""What the Merkle log costs: growing, signing, proving and checking, over a journal of N entries.

    python bench/log.py [--entries 1000000]

One process, one core; nothing is compared with others, because the costs are to be read beside those of issuing: microseconds an entry.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine, insert, update

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from trust.edge.clock import now  # noqa: E402
from trust.edge.engine import connect, sqlite_url  # noqa: E402
from trust.log import examine, reading, tree  # noqa: E402
from trust.log.journal import leaf_hash  # noqa: E402
from trust.log.layout import ENTRIES, Tile  # noqa: E402
from trust.log.note import Kind, VerifierKey  # noqa: E402
from trust.log.page import entry_data  # noqa: E402
from trust.log.publish import Publisher  # noqa: E402
from trust.log.tables import ENTRY, METADATA, NEXT  # noqa: E402

PRIVATE = Ed25519PrivateKey.generate()
KEY = VerifierKey("bench.example/log", Kind.LOG, PRIVATE.public_key().public_bytes_raw())
PAGE = 20_000
REPEATS = 200


def fill(engine: Engine, first: int, count: int) -> None:
    """Events of 120 bytes, written at once."""
    for start in range(first, first + count, PAGE):
        rows = []
        for number in range(start, min(start + PAGE, first + count)):
            body = b'{"event": "bench", "number": %d, "filling": "%s"}' % (number, b"x" * 70)
            leaf = leaf_hash(entry_data("event", number, body))
            rows.append({"number": number, "kind": "event", "at": number, "body": body, "leaf": leaf, "unit": None, "serial": None})
        with engine.begin() as connection:
            connection.execute(insert(ENTRY), rows)
            if start == 0:
                connection.execute(insert(NEXT), {"name": "", "value": 0})
            connection.execute(update(NEXT).where(NEXT.c.name == "").values(value=rows[-1]["number"] + 1))


@contextmanager
def timed(what: str, count: int) -> Iterator[None]:
    begun, used = time.perf_counter(), time.process_time()
    yield
    seconds, used = time.perf_counter() - begun, time.process_time() - used
    print(f"{what:32} {seconds:8.2f} s  {used / count * 1e6:10.2f} us of processor time each")


def repeated(what: str, work: Callable[[int], object], indices: list[int]) -> None:
    with timed(what, len(indices)):
        for index in indices:
            work(index)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--entries", type=int, default=1_000_000)
    size = parser.parse_args().entries
    with tempfile.TemporaryDirectory() as folder:
        engine = connect(sqlite_url(Path(folder) / "log.sqlite"))
        METADATA.create_all(engine)
        fill(engine, 0, size)
        with timed("first checkpoint", size):
            Publisher(engine, KEY, PRIVATE.sign, now, timedelta()).publish()
        with timed("start over the whole table", size):
            again = Publisher(engine, KEY, PRIVATE.sign, now, timedelta())
            again.publish()
        fill(engine, size, 1000)
        with timed("checkpoint over 1000 more", 1000):
            published = again.publish()
        if published is None:
            raise SystemExit("no checkpoint was made")
        stored, indices = again.stored, [random.randrange(size) for _ in range(REPEATS)]
        repeated("receipt", lambda index: stored.receipt(reading.entry(engine, index), published), indices)
        repeated("consistency proof", lambda index: tree.consistency(stored.tiles, index + 1, published.size), indices)
        repeated("full tile", lambda index: stored.tile(Tile(0, index // 256), published.size), indices)
        repeated("full bundle", lambda index: stored.tile(Tile(ENTRIES, index // 256), published.size), indices)
        done = examine.Examined()
        with timed("check of the whole log", size):
            findings = list(examine.examined(reading.entries(engine), [(published.size, published.root, "")], examine.Examiner(), done))
        print(f"{done.frontier.size} entries, {len(findings)} findings")
        engine.dispose()


if __name__ == "__main__":
    main()
