"""The matrix of what is sealed: every format, packaging, level and writing by every kind of key, our verdict beside EU DSS's.

python -m bench.matrix                 everything; EU DSS where ../shared is
python -m bench.matrix --all-keys      each way of writing by every kind of key too, not only each format and packaging
python -m bench.matrix --only jades    what has that in its name
python -m bench.matrix --write         into docs/interop.md
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from eseal.spec import Level
from tests.matrix import DSS, KEYS, Cell, Made, asked_level, cells, harm_by_dss, judged_by_dss, make, stop, there

PAGE = Path(__file__).parents[1] / "docs" / "interop.md"
BEGIN, END = "<!-- matrix: python -m bench.matrix --write -->", "<!-- end of matrix -->"


@dataclass(frozen=True)
class Outcome:
    """A cell with both verdicts."""

    made: Made
    dss: str | None = None
    """What EU DSS has against it, empty for nothing; None: it was not asked."""

    @property
    def ours(self) -> str:
        """What speaks against the seal; empty where it passes at its level."""
        wrong = f"found {self.made.level}" if self.made.sealed is not None and self.made.level != asked_level(self.made.cell) else ""
        return self.made.why or wrong

    @property
    def harm(self) -> str:
        """What should not be: a seal that does not pass, or that EU DSS, who knows its kind, does not find the same."""
        theirs = harm_by_dss(self.made.cell, self.dss or "")
        return self.ours or (theirs and f"EU DSS: {theirs}")


def outcomes(chosen: Sequence[Cell]) -> list[Outcome]:
    made = [make(cell) for cell in chosen]
    if not DSS.exists():
        return [Outcome(one) for one in made]
    with tempfile.TemporaryDirectory() as folder:
        said = judged_by_dss(made, Path(folder))
    return [Outcome(one, said.get(one.cell.id)) for one in made]


class Notes:
    """Reasons by the letter that stands for them."""

    def __init__(self) -> None:
        self.letters: dict[str, str] = {}

    def __call__(self, reason: str) -> str:
        number = len(self.letters)
        return self.letters.setdefault(reason, (chr(96 + number // 26) if number >= 26 else "") + chr(97 + number % 26))


def mark(one: Outcome, notes: Notes) -> str:
    """Our verdict and EU DSS's; a letter for a reason."""
    if one.made.refusal:
        return f"({notes('refused: ' + one.made.refusal)})"
    ours = "✓" if not one.ours else f"✗({notes('our verifier: ' + one.ours)})"
    known = stop(one.made.cell)
    if known and not harm_by_dss(one.made.cell, one.dss or ""):
        return f"{ours} ({notes(known.why)})"
    theirs = "" if one.dss is None else " ✓" if not one.dss else f" ✗({notes('EU DSS: ' + one.dss)})"
    return ours + theirs


def table(found: Sequence[Outcome]) -> str:
    """A line for each format, packaging and level, with levels of the same marks in one."""
    notes = Notes()
    by_row: dict[str, dict[Level, dict[str, str]]] = {}
    for one in found:
        cell = one.made.cell
        by_row.setdefault(str(cell.shape), {}).setdefault(cell.level, {})[cell.key] = mark(one, notes)
    keys = [key for key in KEYS if any(key in row for rows in by_row.values() for row in rows.values())]
    lines = [f"| seal | level | {' | '.join(keys)} |", "|---" * (len(keys) + 2) + "|"]
    for shape, levels in by_row.items():
        for names, marks in _together(levels):
            lines.append(f"| {shape} | {names} | {' | '.join(marks.get(key, ' ') for key in keys)} |")
    reasons = [f"({letter}) {reason}" for reason, letter in notes.letters.items()]
    return "\n".join(lines) + "\n\n" + "\n".join(f"- {reason}" for reason in reasons)


def _together(levels: Mapping[Level, dict[str, str]]) -> list[tuple[str, dict[str, str]]]:
    runs: list[tuple[list[Level], dict[str, str]]] = []
    for level, marks in levels.items():
        if runs and runs[-1][1] == marks:
            runs[-1][0].append(level)
        else:
            runs.append(([level], marks))
    return [(" ".join(names), marks) for names, marks in runs]


def absent() -> str:
    """What cannot be asked for, by its reason."""
    return "\n".join(f"- {why}: {_few(what)}" for why, what in there()[1].items())


def _few(names: Sequence[str]) -> str:
    return f"{names[0]}" if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def summary(found: Sequence[Outcome]) -> str:
    sealed = [one for one in found if not one.made.refusal]
    asked = [one for one in sealed if one.dss is not None and stop(one.made.cell) is None]
    text = f"{len(found)} cells: {len(found) - len(sealed)} refused, {sum(not one.ours for one in sealed)} of {len(sealed)} seals pass our verifier"
    return (
        text
        + (f", {sum(not one.dss for one in asked)} of the {len(asked)} that EU DSS can judge pass there" if asked else "")
        + " at the level asked for"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="cells whose name has this in it")
    parser.add_argument("--all-keys", action="store_true", help="each way of writing by every kind of key too")
    parser.add_argument("--write", action="store_true", help="into docs/interop.md")
    asked = parser.parse_args()
    begun = time.perf_counter()
    found = outcomes([cell for cell in cells(all_keys=asked.all_keys) if asked.only in cell.id])
    text = f"{summary(found)}.\n\n{table(found)}\n\nWhat cannot be asked for:\n\n{absent()}\n"
    print(text)
    print(f"{time.perf_counter() - begun:.0f} s")
    wrong = [one for one in found if one.harm]
    for one in wrong:
        print(f"WRONG {one.made.cell.id}: {one.harm}")
    if asked.write:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{rest.partition(END)[2]}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
