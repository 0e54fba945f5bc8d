"""Whether what a field shows is its value (ISO 32000-2 clauses 12.7.4.3 and 12.7.5): what is drawn is what people read."""

import re
from collections.abc import Mapping
from typing import Any

import pikepdf

from trust.errors import Malformed
from verifier.formats.pdf.appearance import painted, shown, written_in
from verifier.formats.pdf.buttons import shows_states
from verifier.formats.pdf.comparison import Comparison, array_of, dictionary_of, name_of
from verifier.formats.pdf.drawing import box_of, extent
from verifier.formats.pdf.fields import Field, as_drawn, displayed, listed, rich_text, same_number, squeezed, states, texts, value_text
from verifier.formats.pdf.masks import masked
from verifier.formats.pdf.styles import default_appearance
from verifier.formats.pdf.words import Setting, Words, words

PUSH_BUTTON = 1 << 16
_PASSWORD = 1 << 13
_COMBO = 1 << 17
_COMB = 1 << 24
_TICK = 3
"""Letters in a button."""
_LARGE = 100.0
"""Points."""


_HIDING = re.compile(
    r"display|visibility|opacity|position|letter-spacing|text-indent|margin|font-size\s*:\s*(-|[0-3]?(\.\d*)?\s*[a-z;\"'])"
    r"|color\s*:\s*(white|transparent|#f[\da-f]{0,2}f|#f[\da-f]f[\da-f]f[\da-f]|rgb)"
)
"""Styles of rich text by which letters are not seen."""


class Shown:
    """Judges appearances of the fields of two revisions. `fonts` are those of the form, for appearances that bring none, `default` its /DA."""

    def __init__(self, comparison: Comparison, fonts: Mapping[str, Any], *, default: Any = None, redrawn: bool) -> None:
        self._comparison = comparison
        self._fonts = fonts
        self._default = default
        self._redrawn = redrawn

    def agrees(self, old: Field, new: Field, different: set[str]) -> bool:
        """Whether what is drawn is the value that the field has now."""
        if not self._details_agree(new, different):
            return False
        if new.kind == "/Btn":
            drawn = "/AP" not in different or self._redraws(old, new, different)
            return drawn and not new.flags & PUSH_BUTTON and _state_agrees(new) and not _tells(old.node, new.node)
        if different & {"/AP", "/AS"}:
            # A value that stays must have looked like itself before: else the signer saw something else ("shadow" forms).
            return self.reads(new) and ("/V" in different or self.reads(old))
        # The picture stays, the value does not: readers that draw the old picture show what is no longer the value, or nothing yet.
        return "/V" not in different or self.reads(new) or (self._redrawn and self._text(new) == "")

    def _redraws(self, old: Field, new: Field, different: set[str]) -> bool:
        """Whether a button was drawn anew with the same states, each as what it means."""
        was, now = ((dictionary_of(f.node.get("/AP")) or pikepdf.Dictionary()) for f in (old, new))
        pointed = all(key not in now or self._comparison.same(was.get(key), now.get(key)) for key in ("/R", "/D"))
        before = [old] if "/V" not in different else []
        return pointed and states(old) == states(new) and all(shows_states(f.node, self._familiar) for f in (*before, new))

    def contradicts(self, field: Field) -> bool:
        """Whether a text is drawn that can be read, and is not the value."""
        return field.kind in {"/Tx", "/Ch"} and self._words(field) is not None and not self.reads(field)

    def reads(self, field: Field) -> bool:
        """Whether the value can be read in the appearance, or there is none: then readers draw the value."""
        if "/AP" not in field.node:
            return True
        seen = self._words(field)
        if seen is None:
            return False
        try:
            value = value_text(field.value)
        except Malformed:
            return False
        if field.kind == "/Ch":
            return self._chooses(field, seen)
        if field.flags & _PASSWORD and squeezed(seen.text) != squeezed(value):
            return len(seen.text) <= len(value) and set(seen.text) <= {"*", "•"}
        text, wanted = squeezed(seen.text), squeezed(value)
        if text == wanted or same_number(text, wanted) or masked(field, text, wanted):
            return True
        lines = [squeezed(line) for line, _ in seen.lines]
        return text in as_drawn(wanted) or _wrapped(lines, wanted)

    def _chooses(self, field: Field, seen: Words) -> bool:
        """A choice shows the option that is its value; a list may show others beside it, but marks none of them in its place."""
        text, chosen = squeezed(seen.text), [c for d in displayed(field) if (c := squeezed(d))]
        if text == "".join(chosen) or text in as_drawn("".join(chosen)):
            return True
        if field.flags & _COMBO:
            return _is_spelt(text, "".join(chosen), squeezed("".join(texts(field.value))))
        options = [squeezed(o) for o in listed(field)]
        if not text or text not in "".join(options):
            return False
        lines = [(squeezed(line), ground) for line, ground in seen.lines if line]
        if not all(line in options for line, _ in lines):
            return len(lines) == 1 and all(c in text for c in chosen)
        if not set(chosen) <= {line for line, _ in lines}:
            return False
        # A bar of another colour than the whole lies behind what is chosen, or nowhere.
        barred = [line for line, ground in lines if ground != seen.ground]
        return not barred or sorted(barred) == sorted(chosen)

    def _text(self, field: Field) -> str | None:
        seen = self._words(field)
        return None if seen is None else seen.text

    def _words(self, field: Field) -> Words | None:
        appearance = dictionary_of(field.node.get("/AP"))
        normal = appearance.get("/N") if appearance is not None else None
        if appearance is None or not isinstance(normal, pikepdf.Stream) or set(appearance.keys()) - {"/N"} or "/OC" in field.node:
            return None
        return words(normal, self._familiar, self._fonts, self._setting(field))

    def _setting(self, field: Field) -> Setting:
        try:
            rectangle = box_of(field.node.get("/Rect"))
        except (TypeError, ValueError):
            rectangle = None
        style = dictionary_of(field.node.get("/MK"))
        turn = 0 if style is None else style.get("/R", 0)
        given = default_appearance(field.default_appearance or self._default)
        size = 0.0 if given is None else given.size
        return Setting(rectangle, turn if isinstance(turn, int) else 0, size, comb=bool(field.flags & _COMB))

    def _familiar(self, font: Any) -> bool:
        return bool(font.is_indirect and font.objgen not in self._comparison.changed and self._comparison.unchanged(font))

    def _details_agree(self, field: Field, different: set[str]) -> bool:
        """/RV, which some readers draw in place of the value, and /I, which marks the chosen options, must say what the value says."""
        try:
            if "/RV" in different and _HIDING.search(value_text(field.node.get("/RV")).lower()):
                return False
            if "/RV" in field.node and different & {"/RV", "/V"} and squeezed(rich_text(field.node.get("/RV"))) != squeezed(value_text(field.value)):
                return False
        except Malformed:
            return False
        if not array_of(field.node.get("/I")) or not different & {"/I", "/V"}:
            return True
        options = array_of(field.options)
        chosen = [options[i] for i in array_of(field.node.get("/I")) if isinstance(i, int) and 0 <= i < len(options)]
        return sorted(next(texts(option), "") for option in chosen) == sorted(texts(field.value))


def _state_agrees(field: Field) -> bool:
    """A button that has the value as one of its states is in it; any other is off."""
    state = name_of(field.node.get("/AS")) or "/Off"
    value = name_of(field.value)
    own = states(field)
    if value in own or not own:
        return state in ({value} if own else {"/Off", value})
    return state == "/Off"


def _tells(old: Any, new: Any) -> bool:
    """Whether another state of a button says more than that it is on: words, or a drawing as large as words."""
    if name_of(old.get("/AS")) == name_of(new.get("/AS")):
        return False
    try:
        more = painted(shown(new)) - painted(shown(old))
        return sum(map(written_in, shown(new))) > _TICK or (bool(more) and extent(new.get("/Rect")) > _LARGE)
    except Malformed:
        return True


def _is_spelt(text: str, display: str, value: str) -> bool:
    """Whether a maker showed the value where its display text differs from it in capitals alone."""
    return text == value and value.casefold() == display.casefold()


def _wrapped(lines: list[str], wanted: str) -> bool:
    """Whether the lines, each from left to right, are those of a value that runs the other way."""
    rest = wanted
    for line in lines:
        if line not in as_drawn(rest[: len(line)]):
            return False
        rest = rest[len(line) :]
    return not rest
