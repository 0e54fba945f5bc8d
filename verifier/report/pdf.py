"""The report as a PDF for people: A4, in English or Japanese, the verdict first. Drawn by hand, so that the same report is the same bytes."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pikepdf
from pikepdf import Array, Dictionary, Name

from trust.paper import MIN_VERSION, drawable, fonts, shown, width
from verifier.report.parties import Json
from verifier.report.plain import folded
from verifier.report.texts import CONCLUSIONS, LABELS, PHRASES, say
from verifier.report.told import Field, Part, Told, told

WIDTH, HEIGHT, MARGIN = 595.28, 841.89, 54.0
"""A4 and its margins, in points."""
TOP, BOTTOM = HEIGHT - MARGIN, MARGIN + 20
COLUMN = WIDTH - 2 * MARGIN
LABEL = 92.0
"""From a label to what stands beside it."""
SIZE, SMALL = 9.5, 8.0
LEADING = 1.5

Colour = tuple[float, float, float]
INK, SOFT, LINE = (0.1, 0.12, 0.14), (0.35, 0.38, 0.42), (0.8, 0.82, 0.84)
RED = (0.7, 0.12, 0.12)
TONES: dict[str, tuple[Colour, Colour]] = {
    "passed": ((0.09, 0.41, 0.23), (0.9, 0.95, 0.92)),
    "failed": (RED, (0.99, 0.92, 0.92)),
    "indeterminate": ((0.54, 0.33, 0.0), (0.99, 0.95, 0.86)),
    "nothing_signed": ((0.3, 0.34, 0.38), (0.93, 0.94, 0.95)),
}
"""Colour and tint of a verdict."""
_SIGNS: dict[str, Sequence[Sequence[tuple[float, float]]]] = {
    "passed": (((-0.42, 0.0), (-0.12, -0.3), (0.42, 0.28)),),
    "failed": (((-0.32, -0.32), (0.32, 0.32)), ((-0.32, 0.32), (0.32, -0.32))),
    "nothing_signed": (((-0.36, 0.0), (0.36, 0.0)),),
}
"""Strokes inside of a circle of radius 1; what cannot be told has a question mark."""


def render(report: Json, language: str = "en") -> bytes:
    """The document. `report` is the JSON report of a file that could be judged."""
    said = told(report, language)
    sheets = _Sheets()
    _banner(sheets, said)
    for one in said.fields:
        items = one.items[1:] if one.key == "why" else one.items  # its first item is the banner's
        if items:
            _section(sheets, one, items, said)
    for group in said.groups:
        for part in group.parts:
            _part(sheets, part, said)
        if group.rest:
            sheets.space(8)
            sheets.paragraph(group.rest, colour=SOFT)
    _facts(sheets, said)
    return _document(sheets.pages, said)


@dataclass
class _Sheets:
    """Pages that fill from the top; a new one begins where something does not fit."""

    pages: list[list[bytes]] = field(default_factory=lambda: [[]])
    y: float = TOP

    def draw(self, operators: bytes) -> None:
        self.pages[-1].append(operators)

    def space(self, points: float) -> None:
        self.y -= points

    def need(self, points: float) -> None:
        """Whether it fits is known before: what belongs together stays together."""
        if self.y - points < BOTTOM and self.pages[-1]:
            self.pages.append([])
            self.y = TOP

    def line(self, text: str, size: float, x: float, colour: Colour = INK, *, bold: bool = False) -> None:
        """One line at the current place, which does not move."""
        self.draw(b" ".join((b"q", _colour(colour), shown(text, size, x, self.y - size, bold=bold), b"Q")))

    def paragraph(self, text: str, x: float = MARGIN, size: float = SIZE, colour: Colour = INK, *, bold: bool = False) -> None:
        for line in _folded(text, WIDTH - MARGIN - x, size, bold=bold):
            self.need(size * LEADING)
            self.line(line, size, x, colour, bold=bold)
            self.y -= size * LEADING

    def rule(self) -> None:
        self.draw(f"q {_rgb(LINE)} RG 0.6 w {MARGIN} {self.y:.2f} m {WIDTH - MARGIN:.2f} {self.y:.2f} l S Q".encode())


def _folded(text: str, room: float, size: float, *, bold: bool = False) -> list[str]:
    measure: Callable[[str], float] = lambda run: width(run, size, bold=bold)  # noqa: E731
    return folded(drawable(text), room, measure)


def _rgb(colour: Colour) -> str:
    return " ".join(f"{part:g}" for part in colour)


def _colour(colour: Colour) -> bytes:
    """For text and areas, and for the outline that makes text bold."""
    return f"{_rgb(colour)} rg {_rgb(colour)} RG".encode()


def _box(x: float, y: float, across: float, up: float, fill: Colour) -> bytes:
    return f"q {_rgb(fill)} rg {x:.2f} {y:.2f} {across:.2f} {up:.2f} re f Q".encode()


def _circle(x: float, y: float, radius: float, fill: Colour) -> bytes:
    """Four Bézier curves."""
    k = radius * 0.5523
    curves = (
        f"{x + radius:.2f} {y:.2f} m",
        *(
            " ".join(f"{x + dx:.2f} {y + dy:.2f}" for dx, dy in points) + " c"
            for points in (
                ((radius, k), (k, radius), (0, radius)),
                ((-k, radius), (-radius, k), (-radius, 0)),
                ((-radius, -k), (-k, -radius), (0, -radius)),
                ((k, -radius), (radius, -k), (radius, 0)),
            )
        ),
    )
    return f"q {_rgb(fill)} rg {' '.join(curves)} f Q".encode()


def _sign(conclusion: str, x: float, y: float, radius: float) -> bytes:
    """The verdict without words: never told by colour alone."""
    tone, tint = TONES[conclusion]
    drawn = [_circle(x, y, radius, tone)]
    if conclusion not in _SIGNS:
        size = radius * 1.4
        drawn.append(b" ".join((b"q", _colour(tint), shown("?", size, x - width("?", size, bold=True) / 2, y - size * 0.36, bold=True), b"Q")))
        return b"\n".join(drawn)
    for stroke in _SIGNS[conclusion]:
        path = " ".join(f"{x + dx * radius:.2f} {y + dy * radius:.2f} {'m' if n == 0 else 'l'}" for n, (dx, dy) in enumerate(stroke))
        drawn.append(f"q {_rgb(tint)} RG {radius * 0.2:.2f} w 1 J 1 j {path} S Q".encode())
    return b"\n".join(drawn)


def _banner(sheets: _Sheets, said: Told) -> None:
    tone, tint = TONES[said.conclusion]
    sheets.line("角印", SIZE, MARGIN, RED, bold=True)
    sheets.line(f"Kakuin · {say(LABELS['report'], said.language)}", SIZE, MARGIN + 2.3 * SIZE, SOFT)
    sheets.space(22)
    x, room = MARGIN + 64, COLUMN - 64 - 16
    name = _folded(said.name or say(PHRASES["nameless"], said.language), room, 12, bold=True)
    lead = _folded(next((f.items[0] for f in said.fields if f.key == "why"), ""), room, 10)
    high = 16 + 22 * 1.35 + 4 + len(name) * 12 * 1.45 + 3 + len(lead) * 10 * LEADING + 12
    bottom = sheets.y - high
    sheets.draw(_box(MARGIN, bottom, COLUMN, high, tint))
    sheets.draw(_box(MARGIN, bottom, 5, high, tone))
    sheets.draw(_sign(said.conclusion, MARGIN + 35, sheets.y - 16 - 14, 17))
    sheets.space(16)
    sheets.line(say(CONCLUSIONS[said.conclusion], said.language), 22, x, tone, bold=True)
    sheets.space(22 * 1.35 + 4)
    for text in name:
        sheets.line(text, 12, x, bold=True)
        sheets.space(12 * 1.45)
    sheets.space(3)
    for text in lead:
        sheets.line(text, 10, x)
        sheets.space(10 * LEADING)
    sheets.y = bottom - 4


def _section(sheets: _Sheets, one: Field, items: Sequence[str], said: Told) -> None:
    colour = RED if one.key == "not-covered" else SOFT
    sheets.space(9)
    _labelled(sheets, say(LABELS[one.key], said.language), items, colour=colour, bold=True)


def _labelled(sheets: _Sheets, label: str, items: Sequence[str], *, size: float = SIZE, colour: Colour = SOFT, bold: bool = False) -> None:
    """A label, and each item on lines of its own beside it."""
    sheets.need(size * LEADING)
    sheets.line(label, size, MARGIN, colour, bold=bold)
    for number, item in enumerate(items):
        if number:
            sheets.space(1.5)
        sheets.paragraph(item, MARGIN + LABEL, size)


def _part(sheets: _Sheets, part: Part, said: Told) -> None:
    sheets.need(90)
    sheets.space(16)
    sheets.rule()
    sheets.space(12)
    tone, _ = TONES[part.conclusion]
    sheets.line(part.title, 13, MARGIN, bold=True)
    x = MARGIN + width(drawable(part.title), 13, bold=True) + 14
    sheets.draw(_sign(part.conclusion, x + 5, sheets.y - 9.2, 5.5))
    word = shown(say(CONCLUSIONS[part.conclusion], said.language), 10.5, x + 15, sheets.y - 13, bold=True)
    sheets.draw(b" ".join((b"q", _colour(tone), word, b"Q")))
    sheets.space(13 * 1.5)
    sheets.paragraph(part.technical, size=SMALL, colour=SOFT)
    sheets.space(4)
    for one in part.fields:
        sheets.space(3)
        _labelled(sheets, say(LABELS[one.key], said.language), one.items)


def _facts(sheets: _Sheets, said: Told) -> None:
    """When and how it was verified, what identifies the file, and what this paper is."""
    sheets.need(90)
    sheets.space(16)
    sheets.rule()
    sheets.space(10)
    for label, value in ((say(LABELS["checked"], said.language), said.checked), *said.facts):
        _labelled(sheets, label, (value,), size=SMALL)
        sheets.space(1)
    sheets.space(6)
    sheets.paragraph(say(PHRASES["not-proof"], said.language), size=SMALL, colour=SOFT)


def _document(pages: Sequence[Sequence[bytes]], said: Told) -> bytes:
    paper = pikepdf.new()
    used = fonts(paper)
    name = _folded(said.name, COLUMN - 90, SMALL)[0]
    for number, operators in enumerate(pages, start=1):
        counted = say(LABELS["page"], said.language).format(n=number, total=len(pages))
        foot = (
            b" ".join((b"q", _colour(SOFT), shown(name, SMALL, MARGIN, MARGIN - 6), b"Q")),
            b" ".join((b"q", _colour(SOFT), shown(counted, SMALL, WIDTH - MARGIN - width(counted, SMALL), MARGIN - 6), b"Q")),
        )
        page = Dictionary(
            Type=Name.Page,
            MediaBox=Array([0, 0, WIDTH, HEIGHT]),
            Resources=Dictionary(Font=used),
            Contents=paper.make_stream(b"\n".join((*operators, *foot))),
        )
        paper.pages.append(pikepdf.Page(paper.make_indirect(page)))
    paper.Root.Lang = pikepdf.String(said.language)
    paper.Root.ViewerPreferences = Dictionary(DisplayDocTitle=True)
    word = say(CONCLUSIONS[said.conclusion], said.language)
    paper.docinfo["/Title"] = f"{word} · {said.name or say(PHRASES['nameless'], said.language)}"
    paper.docinfo["/Creator"] = "Kakuin"
    made = io.BytesIO()
    paper.save(made, deterministic_id=True, compress_streams=True, min_version=MIN_VERSION)
    return made.getvalue()
