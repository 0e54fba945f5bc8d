"""Two workers beside one: `kakuin serve --workers N` over loopback, on an SQLite file or a PostgreSQL of the bench's own.

    python bench/workers.py [--seconds 4] [--runs 3] [--engine postgresql] [--key rsa3072] [--connections 32]

One worker is pinned to the first core, two to the first two; the load and the database take what is left, so that on a machine of two cores only a
key whose signature costs much more than everything else (rsa3072) shows the ratio. Beside requests a second by the wall stands the processor time
that the workers spent on each. The runs take turns; medians, with their spread.
"""

import argparse
import asyncio
import contextlib
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.load import flat_out  # noqa: E402
from bench.tsa import KAKUIN, UNLIMITED  # noqa: E402
from tests import postgres  # noqa: E402
from tests.office import free_port  # noqa: E402

UNIT = "measured"


class Service:
    def __init__(self, instance: Path, workers: int) -> None:
        self.port = free_port()
        cores = ",".join(str(core) for core in range(workers))
        command = ["taskset", "-c", cores, KAKUIN, "serve", "--instance", instance, "--port", str(self.port), "--workers", str(workers)]
        environment = {**os.environ, **UNLIMITED}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True)
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        assert "serving" in said, said

    def processor(self) -> float:
        """Seconds, of the workers' processes and their threads."""
        ticks = 0
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for process in (str(self.process.pid), *children):
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def run(instance: Path, workers: int, connections: int, seconds: float) -> tuple[float, float]:
    """Requests a second, and microseconds of the workers' processor time for each."""
    service = Service(instance, workers)
    try:
        seen, each = asyncio.run(flat_out(service.port, f"/tsa/{UNIT}", connections, seconds, False, service.processor))
        return seen.rate, each
    finally:
        service.end()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), default="postgresql")
    parser.add_argument("--key", default="rsa3072")
    parser.add_argument("--connections", type=int, default=32)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kakuin-workers-"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        more = ["--database", stack.enter_context(postgres.cluster()).database()] if asked.engine == "postgresql" else []
        instance = folder / "instance"
        for command in (["init", "--yes", *more], ["tsa", "create", UNIT, "--key-type", asked.key]):
            subprocess.run([KAKUIN, *command, "--instance", instance], check=True, stdout=subprocess.DEVNULL)
        found: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
        for _ in range(asked.runs):
            for workers, rows in found.items():
                rows.append(run(instance, workers, asked.connections, asked.seconds))
    medians = {}
    for workers, rows in found.items():
        rates = [rate for rate, _ in rows]
        medians[workers] = statistics.median(rates)
        spent = statistics.median(each for _, each in rows)
        spread = f"{min(rates):,.0f} to {max(rates):,.0f}"
        print(f"{asked.engine}, {asked.key}, {workers} workers: {medians[workers]:,.0f}/s ({spread}), {spent:,.0f} us each")
    print(f"two workers are {medians[2] / medians[1]:.2f} times one (wanted: 1.8)")


if __name__ == "__main__":
    main()
