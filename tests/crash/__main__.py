"""The whole drill: `python -m tests.crash --kills 100 --engine postgresql --nodes 2`."""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.crash.drill import kills


def main(args: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description="kill -9 at random moments under load")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--nodes", type=int, default=1, help="processes that issue, on one database")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seed", type=int, default=20261121)
    asked = parser.parse_args(args)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kakuin-crash-") as folder:
        found = kills(Path(folder), asked.engine, asked.kills, nodes=asked.nodes, clients=asked.clients, tell=print, seed=asked.seed)
    print(
        f"{asked.engine}, {asked.nodes} nodes, {asked.kills} kills in {time.monotonic() - begun:.0f} s: {found.tokens} tokens in the journal, "
        f"each of the {found.tokens - found.unheld} that clients hold among them; {found.unheld} recorded whose answers were cut off; "
        f"{found.voids} serials declared void; no serial twice, no gap unexplained, no client without an answer"
    )


if __name__ == "__main__":
    main()
