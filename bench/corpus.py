"""The verifier's figures over a validation corpus, beside EU DSS and the makers of the files: one command, and floors under which CI fails.

    python bench/corpus.py [corpus|forged]… [--policy eu]… [--format PAdES]… [--at-least bench/figures.toml] [--answers FILE] [--wrong FILE]

Jobs go through `kakuin verify --batch -` as anybody's would; `corpus.py compare` of the oracle beside the corpora counts. Nothing touches a network.
Every disagreement with EU DSS or the makers needs a cause in bench/verdicts.toml, which docs/verdicts.md tells: exit 1 for one without.
"""

import argparse
import collections
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.verdicts import causes, grouped, stale, told, unexplained  # noqa: E402

SHARED = ROOT.parent / "shared"
KAKUIN = Path(sys.executable).with_name("kakuin")
RATE = re.compile(r"^ *([0-9.]+) % +\d+ of +(\d+)  (.+)$")
COUNT = re.compile(r"^ *(\d+)  (FALSE VALID|FALSE INTACT|PASSED WHERE .+)$")


def answered(corpus: Path, formats: list[str], policy: str, answers: Path) -> None:
    """Every job of the corpus (of these formats, if any are named), answered by one warm process."""
    oracle = [sys.executable, SHARED / "oracle" / "corpus.py", "jobs", corpus]
    jobs = subprocess.run(oracle, capture_output=True, text=True, check=True).stdout.splitlines(keepends=True)
    if formats:
        named = {r["id"] for r in rows(corpus) if any(f in r["format"] for f in formats)}
        jobs = [line for line in jobs if json.loads(line)["id"] in named]
    with answers.open("w", encoding="utf-8") as out:
        subprocess.run([KAKUIN, "verify", "--batch", "-", "--policy", policy], input="".join(jobs), stdout=out, text=True, check=True)


def rows(corpus: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (corpus / "manifest.jsonl").open(encoding="utf-8")]


def compared(corpus: Path, answers: Path) -> tuple[str, list[dict[str, Any]]]:
    """The oracle's figures, and every disagreement."""
    done = subprocess.run(
        [sys.executable, SHARED / "oracle" / "corpus.py", "compare", corpus, answers, "--list"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout, [json.loads(line) for line in done.stderr.splitlines()]


def figures(printed: str) -> dict[str, float]:
    """Rates in percent (of figures that count anything), and counts."""
    found: dict[str, float] = {}
    for line in printed.splitlines():
        if rate := RATE.match(line):
            if int(rate[2]):
                found[rate[3]] = float(rate[1])
        elif count := COUNT.match(line):
            found[count[2]] = float(count[1])
    return found


def fallen(found: dict[str, float], floors: dict[str, dict[str, float]]) -> list[str]:
    """What is worse than it may be; a figure that is not there at all is worse than any."""
    wrong = []
    for figure, least in floors.get("at_least", {}).items():
        if found.get(figure, -1.0) < least:
            wrong.append(f"{figure}: at least {least} % expected, got {found.get(figure)}")
    for figure, most in floors.get("at_most", {}).items():
        if found.get(figure, float("inf")) > most:
            wrong.append(f"{figure}: at most {most:g} expected, got {found.get(figure)}")
    return wrong


def ours(corpus: Path, answers: Path) -> str:
    """What the oracle does not count: files that could not be judged, defects, and where the time goes."""
    kinds = {r["id"]: r["format"] for r in rows(corpus)}
    errors: collections.Counter[str] = collections.Counter()
    spent: dict[str, list[float]] = collections.defaultdict(list)
    slowest: list[tuple[float, str]] = []
    for line in answers.open(encoding="utf-8"):
        answer = json.loads(line)
        spent[kinds[answer["id"]]].append(answer["ms"])
        slowest.append((answer["ms"], f"{answer['id']} ({answer.get('world')})"))
        if "error" in answer:
            errors[answer["error"]["type"]] += 1
    lines = ["not judged: " + (", ".join(f"{kind} {count}" for kind, count in errors.most_common()) or "none")]
    total = sum(map(sum, spent.values()))
    count = sum(map(len, spent.values()))
    lines.append(f"{count} jobs in {total / 1000:.1f} s: {1000 * count / max(total, 1e-9):.0f} a second; the slowest:")
    lines += [f"  {ms:8.0f} ms  {name}" for ms, name in sorted(slowest, reverse=True)[:5]]
    lines.append("median ms by format: " + ", ".join(f"{k} {sorted(v)[len(v) // 2]:.1f}" for k, v in sorted(spent.items())))
    return "\n".join(lines)


def by_format(corpus: Path, wrong: list[dict[str, Any]]) -> str:
    kinds = {r["id"]: r["format"] for r in rows(corpus)}
    counted = collections.Counter((str(w["figure"]).split(",")[0], kinds[str(w["id"])]) for w in wrong)
    table: dict[str, list[str]] = collections.defaultdict(list)
    for (figure, kind), count in sorted(counted.items(), key=lambda item: -item[1]):
        table[figure].append(f"{kind} {count}")
    return "\n".join(f"  {figure}: {', '.join(each)}" for figure, each in sorted(table.items()))


def measure(name: str, policy: str, options: argparse.Namespace, floors: dict[str, dict[str, dict[str, dict[str, float]]]]) -> list[str]:
    corpus = SHARED / name
    with tempfile.TemporaryDirectory() as folder:
        answers = options.answers or Path(folder) / "answers.jsonl"
        answered(corpus, options.format, policy, answers)
        printed, wrong = compared(corpus, answers)
        print(f"== {name}, policy {policy}")
        print(printed, end="")
        print(ours(corpus, answers))
    if wrong:
        print("disagreements, by figure and format:\n" + by_format(corpus, wrong))
    wrong = [{"corpus": name, "policy": policy, **w} for w in wrong]
    if options.wrong:
        with options.wrong.open("a", encoding="utf-8") as out:
            out.writelines(json.dumps(w, ensure_ascii=False) + "\n" for w in wrong)
    return [
        f"{name}, {policy}: {line}"
        for line in (*fallen(figures(printed), floors.get(name, {}).get(policy, {})), *explained(wrong, name, policy, options))
    ]


def explained(wrong: list[dict[str, Any]], name: str, policy: str, options: argparse.Namespace) -> list[str]:
    """Prints the disagreements by cause; what has none, and causes that are none any more."""
    known = causes()
    by_cause, rest = grouped(wrong, known)
    if by_cause:
        print("disagreements, by cause (docs/verdicts.md):\n" + told(by_cause, known))
    return [*map(unexplained, rest), *([] if options.format else stale(by_cause, known, name, policy))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="*", default=["corpus", "forged"], help="folders of ../shared (default: both)")
    parser.add_argument("--policy", action="append", help="validation policies (default: eu)")
    parser.add_argument("--format", action="append", default=[], help="only formats whose name contains this")
    parser.add_argument("--at-least", type=Path, help="floors (TOML): exit 1 when a figure is worse")
    parser.add_argument("--answers", type=Path, help="keep the answers there")
    parser.add_argument("--wrong", type=Path, help="write every disagreement there, one JSON a line")
    options = parser.parse_args()
    if not SHARED.is_dir():
        raise SystemExit(f"no corpora: {SHARED} is not here")
    if options.wrong:
        options.wrong.unlink(missing_ok=True)
    floors = tomllib.loads(options.at_least.read_text("utf-8")) if options.at_least else {}
    worse = [line for name in options.corpora for policy in options.policy or ["eu"] for line in measure(name, policy, options, floors)]
    for line in worse:
        print("FALLEN  " + line)
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
