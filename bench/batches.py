"""Digests of one batch turned into evidence records, a second of processor time, beside Bouncy Castle's writer where its jars and a JDK are.

    python bench/batches.py [--count 1000000] [--runs 5] [--bouncy-castle FOLDER_OF_JARS] [--peer-count 2000]

Each run is from digests in flat bytes to every record as DER, one after the other: doubles found, the tree, the reduced trees, the records. The one
token is real and made outside of the clock. One processor; medians of the runs, with their spread. EU DSS reads evidence records and makes none;
Bouncy Castle makes them, in time that grows with the square of their number: it is given fewer.
"""

import argparse
import hashlib
import os
import resource
import shutil
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests import pki  # noqa: E402
from trust.codecs import tsp  # noqa: E402
from trust.model import Digest  # noqa: E402
from tsa import batch  # noqa: E402

FLOOR = 200_000
"""Records a second of processor time: what was asked for."""


@dataclass(frozen=True)
class Run:
    seconds: float
    count: int
    size: int

    @property
    def rate(self) -> float:
        return self.count / self.seconds


def unit() -> pki.Party:
    return pki.unit(pki.authority(pki.root()))


def ours(count: int, algorithm: str, tsu: pki.Party, *, blinded: bool) -> Run:
    digests = hashlib.shake_256(b"kakuin").digest(count * hashlib.new(algorithm).digest_size)
    spent = 0.0

    def stamp(imprint: Digest) -> bytes:
        nonlocal spent
        began = time.process_time()
        made = pki.token(tsu, imprint, datetime.now(UTC))
        spent = time.process_time() - began
        return made

    began = time.process_time()
    made = batch.stamped(algorithm, digests, stamp, os.urandom if blinded else None)
    records = size = 0
    for record in made.records():
        records += 1
        size += len(record)
    return Run(time.process_time() - began - spent, records, size)


def bouncy_castle(jars: Path, count: int, tsu: pki.Party) -> Run:
    command = ["java", "-XX:+UseSerialGC", "-Xmx3g", "-cp", f"{jars}/*", str(ROOT / "bench/Batches.java"), "make", str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            if process.stdin is None or process.stdout is None:
                raise RuntimeError("no pipes")
            [length] = struct.unpack(">I", process.stdout.read(4))
            asked = tsp.decode_request(process.stdout.read(length))
            answer = tsp.granted(pki.token(tsu, Digest("sha256", asked.value), datetime.now(UTC)))
            process.stdin.write(struct.pack(">I", len(answer)) + answer)
            process.stdin.flush()
            told = process.stdout.read()[2:].decode().split()
        finally:
            process.kill()
    nanoseconds, records, size = (int(part) for part in told)
    return Run(nanoseconds / 1e9, records, size)


def told(name: str, runs: Iterator[Run]) -> float:
    made = list(runs)
    rates = sorted(run.rate for run in made)
    middle = statistics.median(rates)
    each = made[0].size / made[0].count
    print(f"{name:38} {made[0].count:>9,} records  {middle:9,.0f}/s  ({rates[0]:,.0f} to {rates[-1]:,.0f})  {each:6.0f} bytes each", flush=True)
    return middle


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--bouncy-castle", type=Path, metavar="FOLDER_OF_JARS", help="With bcprov, bcpkix and bcutil.")
    parser.add_argument("--peer-count", type=int, default=2_000)
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    tsu = unit()
    found = {}
    for algorithm, blinded in (("sha256", False), ("sha256", True), ("sha512", False)):
        name = f"kakuin, {algorithm}{', blinded' if blinded else ''}"
        found[name] = told(name, (ours(arguments.count, algorithm, tsu, blinded=blinded) for _ in range(arguments.runs)))
    print(f"{'':38} memory at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB")
    if arguments.bouncy_castle is None or shutil.which("java") is None:
        print("Bouncy Castle: no jars named (--bouncy-castle), or no java: not measured")
    else:
        same = told("kakuin, sha256, as many as the peer", (ours(arguments.peer_count, "sha256", tsu, blinded=False) for _ in range(arguments.runs)))
        peer = told("Bouncy Castle, sha256", (bouncy_castle(arguments.bouncy_castle, arguments.peer_count, tsu) for _ in range(arguments.runs)))
        print(f"{'':38} kakuin / Bouncy Castle: {same / peer:.1f}")
    print("EU DSS: reads evidence records and makes none")
    return 0 if min(found.values()) >= FLOOR else 1


if __name__ == "__main__":
    sys.exit(main())
