"""Whether what a field shows is its value (ISO 32000-2 clauses 12.7.4.3 and 12.7.5): what is drawn is what people read."""

from collections.abc import Mapping
from typing import Any

import pikepdf

from trust.errors import Malformed
from verifier.formats.pdf.comparison import Comparison, array_of, dictionary_of, name_of
from verifier.formats.pdf.fields import Field, displayed, listed, rich_text, same_number, squeezed, states, texts, value_text
from verifier.formats.pdf.words import words

_PUSH_BUTTON = 1 << 16
_PASSWORD = 1 << 13
_COMBO = 1 << 17


class Shown:
    """Judges appearances of the fields of two revisions. `fonts` are those of the form, for appearances that bring none."""

    def __init__(self, comparison: Comparison, fonts: Mapping[str, Any], *, redrawn: bool) -> None:
        self._comparison = comparison
        self._fonts = fonts
        self._redrawn = redrawn

    def agrees(self, old: Field, new: Field, different: set[str]) -> bool:
        """Whether what is drawn is the value that the field has now."""
        if not self._details_agree(new, different):
            return False
        if new.kind == "/Btn":
            return not new.flags & _PUSH_BUTTON and "/AP" not in different and _state_agrees(new)
        if different & {"/AP", "/AS"}:
            # A value that stays must have looked like itself before: else the signer saw something else ("shadow" forms).
            return self.reads(new) and ("/V" in different or self.reads(old))
        # The picture stays, the value does not: readers that draw the old picture show what is no longer the value, or nothing yet.
        return "/V" not in different or self.reads(new) or (self._redrawn and self._words(new) == "")

    def contradicts(self, field: Field) -> bool:
        """Whether a text is drawn that can be read, and is not the value."""
        return field.kind in {"/Tx", "/Ch"} and self._words(field) is not None and not self.reads(field)

    def reads(self, field: Field) -> bool:
        """Whether the value can be read in the appearance, or there is none: then readers draw the value."""
        if "/AP" not in field.node:
            return True
        shown = self._words(field)
        if shown is None:
            return False
        try:
            value = value_text(field.value)
        except Malformed:
            return False
        if field.kind == "/Ch":
            whole = squeezed("".join(displayed(field)))
            return shown == whole or (not field.flags & _COMBO and bool(shown) and shown in squeezed("".join(listed(field))))
        if field.flags & _PASSWORD:
            return len(shown) <= len(value) and set(shown) <= {"*", "•"}
        return shown == squeezed(value) or same_number(shown, squeezed(value))

    def _words(self, field: Field) -> str | None:
        appearance = dictionary_of(field.node.get("/AP"))
        normal = appearance.get("/N") if appearance is not None else None
        if appearance is None or not isinstance(normal, pikepdf.Stream) or set(appearance.keys()) - {"/N"} or "/OC" in field.node:
            return None
        return words(normal, self._familiar, self._fonts)

    def _familiar(self, font: Any) -> bool:
        return bool(font.is_indirect and font.objgen not in self._comparison.changed and self._comparison.unchanged(font))

    def _details_agree(self, field: Field, different: set[str]) -> bool:
        """/RV, which some readers draw in place of the value, and /I, which marks the chosen options, must say what the value says."""
        try:
            if "/RV" in field.node and different & {"/RV", "/V"} and squeezed(rich_text(field.node.get("/RV"))) != squeezed(value_text(field.value)):
                return False
        except Malformed:
            return False
        if "/I" not in field.node or not different & {"/I", "/V"}:
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
