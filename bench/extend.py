"""The validation corpus extended, as a table: which levels were reached, what was refused and why, and what EU DSS says.

python -m bench.extend                 everything; needs ../shared
python -m bench.extend --refusals      each refusal too
"""

import argparse
import collections
import sys
import tempfile
from pathlib import Path

from tests.corpus_extending import Outcome, authority, cases, extended, harm, judged_by_dss


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--refusals", action="store_true", help="tell each file that was not raised, and why")
    parser.add_argument("--no-dss", action="store_true", help="leave EU DSS out")
    asked = parser.parse_args()
    pki = authority()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        outcomes = [extended(case, pki, folder) for case in cases()]
        made = [one for one in outcomes if one.level is not None]
        worse: dict[str, str] = {}
        agreed = 0
        if not asked.no_dss:
            for one, (before, after) in zip(made, judged_by_dss(made, pki, folder), strict=True):
                if why := harm(one, before, after):
                    worse[one.case.id] = why
                agreed += sorted(s["level"] for s in after.get("signatures", ()) if not s["counter_signature"]) == sorted(one.after)
    print(table(outcomes))
    if not asked.no_dss:
        print(f"\nEU DSS: {len(made) - len(worse)} of {len(made)} as intact as before; the same level for all signatures in {agreed}")
    for case, why in worse.items():
        print(f"  {case}: {why}")
    if asked.refusals:
        for one in outcomes:
            if one.level is None:
                print(f"{one.case.id}: {one.why[-1]}")
    return 1 if worse else 0


def table(outcomes: list[Outcome]) -> str:
    """A line a format: how many files, and how many reached what."""
    rows: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for one in outcomes:
        already = one.level is None and all("already" in why or "broken" in why for why in one.why[1:]) and "already" in one.why[-1]
        rows[one.case.format][one.level or ("already" if already else "refused")] += 1
    heads = ("B-LTA", "B-LT", "B-T", "already", "refused")
    lines = [f"{'format':14} {'files':>6} " + " ".join(f"{h:>8}" for h in heads)]
    for name, count in (*sorted(rows.items()), ("all", sum(rows.values(), collections.Counter()))):
        lines.append(f"{name:14} {sum(count.values()):6} " + " ".join(f"{count[h]:8}" for h in heads))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
