"""Text for a terminal that somebody else's bytes may stand in: made harmless, measured in columns, folded.

A file's names and subjects are its maker's to choose. Nothing of them reaches a terminal but printable characters.
"""

import unicodedata
from collections.abc import Callable

LIMIT = 300
"""Characters of one foreign text; a name is shorter, and a wall of text hides the verdict."""
MARKS = 4
"""Combining marks on one character: enough for every script, too few to paint over the lines around."""

_HARMFUL = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Controls, format and direction characters, halves of pairs, private and unassigned ones, line and paragraph separators."""
_NOT_FIRST = frozenset("、。，．・：；？！）］｝」』】〕〉》’”ーぁぃぅぇぉっゃゅょァィゥェォッャュョ,.:;?!)]}")
"""Never at the beginning of a line (JIS X 4051, 行頭禁則)."""
_NOT_LAST = frozenset("（［｛「『【〔〈《“‘([{")
"""Never at the end of one (行末禁則)."""


def printable(text: str, limit: int = LIMIT) -> str:
    """One line of `text` in which every character can be seen: the others stand as `\\u{1b}`; longer than `limit` ends in `…`."""
    out: list[str] = []
    marks = 0
    for character in text[:limit]:
        category = unicodedata.category(character)
        if category in _HARMFUL:
            out.append(f"\\u{{{ord(character):x}}}")
        elif category == "Zs":
            out.append(" ")
        elif category in ("Mn", "Me"):
            marks += 1
            if marks <= MARKS:
                out.append(character)
            continue
        else:
            out.append(character)
        marks = 0
    return "".join(out) + ("…" if len(text) > limit else "")


def columns(text: str) -> int:
    """Columns of a terminal that `text` takes: wide and full-width characters two, combining marks none (UAX #11)."""
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def padded(text: str, width: int) -> str:
    """`text` with blanks up to `width` columns."""
    return text + " " * max(0, width - columns(text))


def folded(text: str, width: float, measure: Callable[[str], float] = columns) -> list[str]:
    """`text` in lines of at most `width` (columns, or what `measure` tells): at blanks, between wide characters, inside of words too long."""
    lines: list[str] = []
    line = ""
    used: float = 0
    for piece in _pieces(text):
        size = measure(piece)
        if used + size <= width:
            line += piece
            used += size
            continue
        if line.strip():
            lines.append(line.rstrip())
        line = "" if piece == " " else piece
        used = measure(line)
        while used > width:
            head = _fitting(line, width, measure)
            lines.append(line[:head])
            line = line[head:]
            used = measure(line)
    if line.strip() or not lines:
        lines.append(line.rstrip())
    return lines


def _pieces(text: str) -> list[str]:
    """What a line may break between: blanks, wide characters with what must not be parted from them, and runs of everything else."""
    pieces: list[str] = []
    joined = False
    for character in text:
        wide = unicodedata.east_asian_width(character) in ("W", "F")
        last = pieces[-1][-1] if pieces and pieces[-1] != " " else ""
        if last and character != " " and (character in _NOT_FIRST or last in _NOT_LAST or (joined and not wide)):
            pieces[-1] += character
        else:
            pieces.append(character)
        joined = character != " " and not wide
    return pieces


def _fitting(text: str, width: float, measure: Callable[[str], float]) -> int:
    """How many characters of `text` fit in `width`; at least one."""
    used: float = 0
    for count, character in enumerate(text):
        used += measure(character)
        if used > width and count:
            return count
    return len(text)
