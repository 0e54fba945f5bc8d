"""Where the verifier and EU DSS, or the makers of the files, do not agree: each disagreement has a cause that somebody looked at.

python -m bench.verdicts --write          docs/verdicts.md, from bench/verdicts.toml and the tables of tests/conformance
python -m bench.verdicts WRONG            the disagreements in this file (`bench/corpus.py --wrong`) by cause; exit 1 for one without
"""

import argparse
import collections
import json
import sys
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "bench" / "verdicts.toml"
PAGE = ROOT / "docs" / "verdicts.md"
SIDES = {
    "dss": "EU DSS departs from the clause, as we read it",
    "makers": "The makers' tests have another set-up",
    "open": "Both are lawful, or the same fault is told elsewhere",
    "ours": "Limits of ours",
}
ALWAYS = ("FALSE", "PASSED")
"""Figures that need a cause under every policy."""


@dataclass(frozen=True)
class Cause:
    id: str
    side: str
    title: str
    clause: str
    why: str
    figures: Sequence[str]
    corpus: Sequence[str] = ()
    forged: Sequence[str] = ()
    policies: Sequence[str] = field(default=("eu",))

    def explains(self, wrong: dict[str, Any]) -> bool:
        rows = {"corpus": self.corpus, "forged": self.forged}.get(wrong["corpus"], ())
        return (
            wrong["policy"] in self.policies
            and any(fnmatchcase(wrong["figure"], pattern) for pattern in self.figures)
            and any(fnmatchcase(wrong["id"], pattern) for pattern in rows)
        )


def causes() -> tuple[Cause, ...]:
    made = tuple(Cause(**told) for told in tomllib.loads(TABLE.read_text("utf-8"))["cause"])
    if unknown := {c.side for c in made} - set(SIDES):
        raise ValueError(f"sides are {', '.join(SIDES)}, got {unknown}")
    return made


def grouped(wrong: Iterable[dict[str, Any]], known: Sequence[Cause]) -> tuple[dict[str, list[dict[str, Any]]], list[dict[str, Any]]]:
    """(disagreements by cause, those without)."""
    by_cause: dict[str, list[dict[str, Any]]] = collections.defaultdict(list)
    rest = []
    for each in wrong:
        cause = next((c for c in known if c.explains(each)), None)
        if cause is not None:
            by_cause[cause.id].append(each)
        elif each["policy"] == "eu" or each["figure"].startswith(ALWAYS):
            rest.append(each)
    return by_cause, rest


def told(by_cause: dict[str, list[dict[str, Any]]], known: Sequence[Cause]) -> str:
    lines = []
    for cause in known:
        if found := by_cause.get(cause.id):
            rows = {each["id"] for each in found}
            lines.append(f"  {cause.side:6} {len(found):4} of {len(rows):3} rows  {cause.title}")
    return "\n".join(lines)


def unexplained(each: dict[str, Any]) -> str:
    place = f"{each['figure']}: {each['id']} ({each['world']})"
    return f"{place} is in no cause of bench/verdicts.toml: ours {_short(each['ours'])}, reference {_short(each['reference'])}"


def stale(by_cause: dict[str, list[dict[str, Any]]], known: Sequence[Cause], corpus: str, policy: str) -> list[str]:
    """Patterns of rows that explain nothing any more: the page would tell what is no longer so."""
    lines = []
    for cause in known:
        if policy not in cause.policies:
            continue
        found = {each["id"] for each in by_cause.get(cause.id, ())}
        empty = [pattern for pattern in getattr(cause, corpus, ()) if not any(fnmatchcase(row, pattern) for row in found)]
        lines += [f"cause {cause.id} of bench/verdicts.toml: nothing disagrees any more in {pattern}" for pattern in empty]
    return lines


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) < 200 else text[:200] + "…"


# The page


def page(known: Sequence[Cause]) -> str:
    from tests.conformance import test_limbo, test_pkits

    lines = [
        "# Where verdicts differ",
        "",
        "<!-- made by `python -m bench.verdicts --write` from bench/verdicts.toml and tests/conformance; change those -->",
        "",
        "Two corpora are verified in worlds that fix anchors, time and status, beside EU DSS 6.4 and what the makers of the files assert:",
        "1,728 jobs over files of public projects, and 1,495 over files with one known defect each. Every disagreement has one of the causes below;",
        "CI fails for one that has none, and for a cause that explains nothing any more:",
        "",
        "```text",
        ".venv/bin/python bench/corpus.py --policy eu --policy strict --at-least bench/figures.toml",
        "```",
        "",
        "**Passed where EU DSS does not: nothing.** False valid, false intact: nothing. EU DSS is the reference, not the truth: where we think",
        "that it departs from the standard, the clause is named.",
    ]
    for side, heading in SIDES.items():
        lines += ["", f"## {heading}", "", "| cause | clause | what differs | files |", "|---|---|---|---|"]
        lines += [f"| {c.title} | {c.clause} | {c.why} | {_files(c)} |" for c in known if c.side == side]
    lines += [
        "",
        "## Path validation vectors",
        "",
        "NIST PKITS (246 cases), x509-limbo (those that are not about servers of the web) and OpenSSL's OCSP answers run through the chain and",
        "revocation code in `tests/conformance`. PKITS: nothing that it refuses is accepted. OpenSSL's OCSP vectors: no difference. What differs:",
        "",
        "| vector | reason |",
        "|---|---|",
    ]
    by_reason: dict[str, list[str]] = collections.defaultdict(list)
    for table in (test_pkits.DIFFERENT, test_limbo.DIFFERENT):
        for name, reason in table.items():
            by_reason[reason].append(name)
    lines += [f"| {', '.join(f'`{name}`' for name in names)} | {reason} |" for reason, names in by_reason.items()]
    return "\n".join(lines) + "\n"


def _files(cause: Cause) -> str:
    return "<br>".join(f"`{pattern}`" for pattern in (*cause.corpus, *cause.forged))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wrong", type=Path, nargs="?")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    known = causes()
    if options.write:
        PAGE.write_text(page(known), "utf-8")
        return 0
    if options.wrong is None:
        parser.error("a file of disagreements, or --write")
    by_cause, rest = grouped(map(json.loads, options.wrong.open(encoding="utf-8")), known)
    print(told(by_cause, known))
    for each in rest:
        print(unexplained(each))
    return 1 if rest else 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
