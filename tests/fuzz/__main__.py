"""Fuzz one target, coverage-guided where `atheris` is installed (`pip install atheris`; wheels for Linux on x86-64 only), else by own mutations.

    python -m tests.fuzz TARGET --seconds N [--findings DIR] [--corpus DIR] [--plain]
    python -m tests.fuzz TARGET --replay FILE…
    python -m tests.fuzz --list

Every finding is tried again in a fresh process without instrumentation, which slows code several times; only what stands then counts. Exit 1 for any.
"""

import argparse
import hashlib
import importlib.util
import logging
import subprocess
import sys
import warnings
from pathlib import Path

LIBRARIES = {"picture": ("PIL",), "font": ("fontTools.ttLib", "fontTools.cffLib", "fontTools.misc")}
"""In whose code the ways of an input differ, where there is little of ours; it takes a minute to instrument them."""
SLOWED = 6
"""Times that instrumented code is slower, about: a candidate for `slow` under atheris, to be tried again without."""


def guided(name: str, seconds: int, findings: Path, corpus: Path) -> None:
    """Does not return: libFuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=["trust", "verifier", "tsa", "eseal", *LIBRARIES.get(name, ())]):
        from tests.fuzz.targets import TARGETS
    from random import Random

    from tests.fuzz.limits import SECONDS, tried

    target = TARGETS[name]
    seeds = target.seeds()
    for data in seeds:
        (corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)

    def one(data: bytes) -> None:
        if found := tried(target.run, data, target.refuses, SECONDS * SLOWED):
            keep(findings, found.what, found.detail, data)

    def changed(data: bytes, size: int, number: int) -> bytes:
        random = Random(number)
        if not data or random.random() < 0.3:
            return bytes(atheris.Mutate(data, size))
        return random.choice(target.mutations)(random, data, seeds)[:size]

    longest = max(map(len, seeds)) * 2
    options = [f"-max_total_time={seconds}", f"-max_len={longest}", "-rss_limit_mb=4096", "-timeout=60", "-print_final_stats=1", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={findings}/", str(corpus)], one, custom_mutator=changed)
    atheris.Fuzz()


def plain(name: str, seconds: int, findings: Path) -> None:
    from tests.fuzz.drive import driven
    from tests.fuzz.targets import TARGETS

    done, found = driven(TARGETS[name], 1, seconds=seconds)
    print(f"stat::number_of_executed_units: {done}")
    for each in found.values():
        keep(findings, each.what, each.detail, each.data)


def keep(folder: Path, what: str, detail: str, data: bytes) -> None:
    """The smallest input of each fault."""
    named = folder / hashlib.sha256(what.encode()).hexdigest()[:16]
    if not named.exists() or named.stat().st_size > len(data):
        named.write_bytes(data)
        named.with_suffix(".txt").write_text(f"{what}\n{detail}")


def replay(name: str, files: list[Path]) -> int:
    from tests.fuzz.limits import tried
    from tests.fuzz.targets import TARGETS

    target, wrong = TARGETS[name], 0
    for seed in target.seeds()[:3]:
        tried(target.run, seed, target.refuses)  # caches that every process fills once are not the input's cost
    for file in files:
        if found := tried(target.run, file.read_bytes(), target.refuses):
            wrong += 1
            print(f"{name}: {file}: {found.what}\n{found.detail}")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", nargs="?")
    parser.add_argument("--list", action="store_true", help="the targets")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"), help="folder for inputs that broke something")
    parser.add_argument("--corpus", type=Path, help="folder for inputs that reached new code (atheris), kept for the next run")
    parser.add_argument("--plain", action="store_true", help="own mutations even where atheris is installed")
    parser.add_argument("--replay", type=Path, nargs="+", metavar="FILE")
    parser.add_argument("--engine", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable()
    if options.list or not options.target:
        from tests.fuzz.targets import TARGETS

        print("\n".join(TARGETS))
        return 0
    if options.replay:
        return min(1, replay(options.target, options.replay))
    findings = options.findings / options.target
    corpus = options.corpus or findings / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    findings.mkdir(parents=True, exist_ok=True)
    coverage = importlib.util.find_spec("atheris") is not None and not options.plain
    if options.engine:
        guided(options.target, options.seconds, findings, corpus) if coverage else plain(options.target, options.seconds, findings)
        return 0
    again = [sys.executable, "-m", "tests.fuzz", options.target]
    engine = subprocess.run(
        [*again, "--engine", "--seconds", str(options.seconds), "--findings", options.findings, "--corpus", corpus, *(["--plain"] * options.plain)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    told = [line for line in engine.stdout.splitlines() if "number_of_executed_units" in line]
    count = int(told[-1].split()[-1]) if told else 0
    print(f"{options.target}: {count} executions in {options.seconds} s, {'coverage-guided' if coverage else 'own mutations'}", flush=True)
    if not count:
        print(engine.stdout[-3000:])
        return 1
    inputs = [path for path in sorted(findings.iterdir()) if path.is_file() and path.suffix != ".txt"]
    return subprocess.run([*again, "--replay", *inputs]).returncode if inputs else 0


if __name__ == "__main__":
    sys.exit(main())
