"""The report for people on a terminal: the verdict for the whole file first, then why, then what to do; then each signature.

Everything that came from the file passes through `printable`: nothing in it can steer the terminal.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from verifier.report.findings import Words
from verifier.report.parties import Json
from verifier.report.plain import columns, folded, padded, printable
from verifier.report.texts import CONCLUSIONS, LABELS, OUTCOMES, PHRASES, REMARKS, say
from verifier.report.told import SHOWN, Field, Part, Told, Voice, reason, told

WIDTH = 100
"""Columns where the terminal tells none; no line is longer however wide it is, because long lines are hard to read."""
NARROW = 40
FIELDS = ("why", "todo", "not-covered", "who", "when", "covers", "says", "proves", "notes", "chain", "checked")


class Paint(StrEnum):
    """SGR parameters (ECMA-48 section 8.3.117)."""

    GOOD = "1;32"
    BAD = "1;31"
    OPEN = "1;33"
    STRONG = "1"
    QUIET = "2"


PAINTS = {"passed": Paint.GOOD, "failed": Paint.BAD, "indeterminate": Paint.OPEN, "nothing_signed": Paint.OPEN}


@dataclass(frozen=True, slots=True)
class Style:
    """How it is shown: `en` or `ja`, columns, colour."""

    language: str = "en"
    width: int = WIDTH
    colour: bool = False

    def paint(self, text: str, paint: Paint) -> str:
        return f"\x1b[{paint.value}m{text}\x1b[0m" if self.colour else text

    def say(self, words: Words, **filling: object) -> str:
        """The text in this language, its places filled with printable values."""
        return self.voice.say(words, **filling)

    @property
    def voice(self) -> Voice:
        return Voice(self.language)

    @property
    def label_width(self) -> int:
        return max(columns(say(LABELS[key], self.language)) for key in FIELDS)


def render(report: Json, style: Style | None = None) -> str:
    """The whole report, ending in a line feed. `report` is the JSON report, also one with an `error`."""
    style = style or Style()
    style = Style(style.language, max(NARROW, min(style.width, WIDTH)), style.colour)
    lines = _error(report, style) if "error" in report else _lines(told(report, style.language), style)
    return "\n".join(lines) + "\n"


def _lines(report: Told, style: Style) -> Iterator[str]:
    word = say(CONCLUSIONS[report.conclusion], style.language)
    first, *more = folded(report.name, style.width - columns(word) - 2)
    yield (style.paint(word, PAINTS[report.conclusion]) + "  " + first).rstrip()
    yield from (" " * (columns(word) + 2) + line for line in more)
    yield ""
    for field in report.fields:
        yield from _field(field, style, indent=0)
    for group in report.groups:
        for part in group.parts:
            yield ""
            yield from _part(part, style)
        if group.rest:
            yield ""
            yield group.rest
    yield ""
    yield from _field(Field("checked", (report.checked,)), style, indent=0)


def _part(part: Part, style: Style) -> Iterator[str]:
    """`Seal 1 of 2: VALID  PAdES-BASELINE-LT`, with the standard's word for what was found; then its fields."""
    colon = "：" if style.language == "ja" else ": "
    word = say(CONCLUSIONS[part.conclusion], style.language)
    head = style.paint(part.title, Paint.STRONG) + colon + style.paint(word, PAINTS[part.conclusion])
    if columns(part.title + colon + word + part.technical) + 2 <= style.width:
        yield head + "  " + part.technical
    else:
        yield head
        yield from ("  " + line for line in folded(part.technical, style.width - 2))
    for field in part.fields:
        yield from _field(field, style)


def _field(field: Field, style: Style, indent: int = 2) -> Iterator[str]:
    """A label and its items, each item on lines of its own beside it."""
    width = style.label_width
    margin = indent + width + 2
    head = " " * indent + style.paint(padded(say(LABELS[field.key], style.language), width), Paint.QUIET) + "  "
    for item in field.items:
        for line in folded(item, max(NARROW // 2, style.width - margin)):
            yield (head + line).rstrip()
            head = " " * margin


def _error(report: Json, style: Style) -> Iterator[str]:
    for line in folded(style.say(PHRASES["cannot-judge"], why=report["error"]["text"]), style.width):
        yield style.paint(line, Paint.BAD)


def in_short(report: Json, name: str, style: Style) -> str:
    """One file of many in a line: its verdict, its name, and why it is no pass."""
    outcome = "error" if "error" in report else report["conclusion"]
    word = padded(say(OUTCOMES[outcome], style.language), max(columns(say(w, style.language)) for w in OUTCOMES.values()))
    said = style.paint(word, PAINTS.get(outcome, Paint.BAD)) + "  " + printable(name)
    why = [reason(r, style.voice) for r in report.get("reasons", ()) if r["code"] not in REMARKS]
    if outcome == "error":
        why = [printable(report["error"]["text"])]
    elif outcome in ("passed", "nothing_signed"):
        why = []
    return said + "".join(f"\n    {line}" for reason in why[:SHOWN] for line in folded(reason, style.width - 4)) + "\n"


def summary(outcomes: Mapping[str, int], style: Style) -> str:
    """How many files ended how."""
    counts = style.voice.joined(f"{say(OUTCOMES[outcome], style.language)} {outcomes[outcome]}" for outcome in OUTCOMES if outcomes.get(outcome))
    return style.say(PHRASES["summary"], total=sum(outcomes.values()), counts=counts) + "\n"
