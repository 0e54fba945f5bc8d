"""How a field is to be drawn: /DA, /MK, /BS, /Border (ISO 32000-2 clauses 12.5.6.19 and 12.7.4.3). Makers write the same in several ways.

Errors: none; what cannot be read is another.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pikepdf

from verifier.formats.pdf.comparison import array_of, dictionary_of
from verifier.formats.pdf.drawing import rgb

_TOKEN = re.compile(r"/[^\s/\[\]()<>{}%]+|[^\s/\[\]()<>{}%]+")
_COLOURS = {"g": 1, "rg": 3, "k": 4}
SHADE = 0.011
"""By which one number of a colour may differ: makers keep three digits, or one of 256 steps."""
_SIGNS = frozenset("3456789lnuH")
"""Codes of the dingbats that a check box or radio button is marked with: which of them it is says nothing."""
_THICK = 3.0
"""Points."""
DARK = 0.5
LEGIBLE = 4.0
"""Points."""


@dataclass(frozen=True, slots=True)
class DefaultAppearance:
    font: str
    size: float
    colour: tuple[float, ...] = (0.0, 0.0, 0.0)


def default_appearance(value: Any) -> DefaultAppearance | None:
    """What /DA sets: font, size and colour, in either order. None for what sets anything else, or sets it twice."""
    if not isinstance(value, pikepdf.String):
        return None
    operands: list[str] = []
    found: dict[str, list[str]] = {}
    for token in _TOKEN.findall(str(value)):
        if not token[0].isalpha():
            operands.append(token)
            continue
        kind = "colour" if token in _COLOURS else token
        if kind in found or kind not in {"Tf", "colour"} or len(operands) != _COLOURS.get(token, 2):
            return None
        found[kind], operands = operands, []
    try:
        name, size = found["Tf"]
        return DefaultAppearance(name, float(size), rgb([float(o) for o in found.get("colour", ["0"])]))
    except (KeyError, ValueError):
        return None


def same_default(old: DefaultAppearance | None, new: DefaultAppearance | None, *, any_font: bool = False) -> bool:
    """Whether two set the same; `any_font` where the font of the old one was nowhere, so that it could only be another."""
    if old is None or new is None:
        return False
    return (any_font or old.font == new.font) and abs(old.size - new.size) < 0.005 and _near(old.colour, new.colour)


def is_plain_default(new: DefaultAppearance | None) -> bool:
    """Whether a /DA that came where there was none draws what people can read."""
    return new is not None and max(new.colour) <= DARK and (new.size == 0 or new.size >= LEGIBLE)


def same_look(old: Any, new: Any, same: Callable[[Any, Any], bool], *, captions: bool) -> bool:
    """/MK: the same colours and the same turn, by what readers make of it. A background or border may go: what is drawn brings its own.

    `captions` says whether what stands in /CA is read by people, as on a push button, or only chooses the sign of a check box.
    """
    was, now = (dictionary_of(v) or {} for v in (old, new))
    for key in {*_keys(was), *_keys(now)}:
        before, after = was.get(key), now.get(key)
        if key in {"/BC", "/BG"}:
            if after is not None and not _near(_colour(before), _colour(after)):
                return False
        elif key == "/CA" and not captions:
            if after is not None and str(after) not in _SIGNS:
                return False
        elif not same(before, after) and not (key == "/R" and before is None and after == 0):
            return False
    return True


def same_border(old: Any, new: Any, *, coloured: bool) -> bool:
    """/BS: what is left out is a solid line of one point, and a thin one is as good as another. Without a colour (/BC of /MK) none is drawn."""
    was, now = (dictionary_of(v) or {} for v in (old, new))
    if not {*_keys(was), *_keys(now)} <= {"/Type", "/W", "/S", "/D"}:
        return False
    widths = [_number(b.get("/W", 1)) for b in (was, now)]
    styles = [str(b.get("/S", "/S")) for b in (was, now)]
    return (widths[0] == widths[1] or 0 <= widths[1] <= _THICK) and (styles[0] == styles[1] or not coloured)


def _keys(value: Any) -> "list[str]":
    return list(value.keys())


def _colour(value: Any) -> tuple[float, ...]:
    try:
        return tuple(float(v) for v in array_of(value))
    except (TypeError, ValueError):
        return ()


def _near(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return len(one) == len(other) and all(abs(a - b) <= SHADE for a, b in zip(one, other, strict=True))


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return -1.0
