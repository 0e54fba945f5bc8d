"""Two revisions being compared: what is judged by rules, what must be equal, what was found."""

import re
from dataclasses import dataclass
from typing import Any

import pikepdf

from trust.model import Uncovered
from verifier.formats.pdf.graph import Closure, Key, Revision, references, same_text, written
from verifier.formats.pdf.signatures import Lock


@dataclass(frozen=True, slots=True)
class Permission:
    """What the signers so far permit."""

    level: int | None
    """DocMDP: 1 nothing, 2 form filling and signing, 3 annotations too; None where no signer says."""
    locks: tuple[Lock, ...] = ()

    @property
    def filling(self) -> bool:
        return self.level != 1

    @property
    def annotations(self) -> bool:
        return self.level in {3, None}

    def locked(self, field: str) -> bool:
        return any(lock.locks(field) for lock in self.locks)


class Comparison:
    """Collects findings; values that must be equal are followed to their last object at the end, when it is known what is judged by rules."""

    def __init__(self, old: Revision, new: Revision, changed: frozenset[Key], permission: Permission, when: str) -> None:
        self.old = old
        self.new = new
        self.changed = changed
        self.permission = permission
        self._when = when
        self._judged: set[Key] = set()
        self._opaque: list[tuple[str, tuple[Key, ...]]] = []
        self._found: list[Uncovered] = []

    def judge(self, *values: Any) -> None:
        """Rules look at these objects: what leads to them goes no further."""
        # Rules look at dictionaries and arrays: a stream that stands where one should is nobody's annotation, but may be a page's content.
        found = (v for v in values if isinstance(v, pikepdf.Dictionary | pikepdf.Array) and not isinstance(v, pikepdf.Stream))
        self._judged.update(v.objgen for v in found if v.is_indirect)

    def forbid(self, name: str, why: str) -> None:
        self._found.append(Uncovered(name, f"{why} {self._when}"))

    def remark(self, name: str, why: str) -> None:
        """Something permitted."""
        self._found.append(Uncovered(name, f"{why} {self._when}", grave=False))

    def equal(self, name: str, before: Any, after: Any) -> None:
        """The two values must be the same, and so must everything below them."""
        text = written(after)
        if not same_text(written(before), text):
            if before is None:
                self.forbid(name, "added")
            elif after is None:
                self.forbid(name, "removed")
            elif not self.same_below(before, after):
                self.forbid(name, "changed")
            return
        self._opaque.append((name, references(text)))

    def same_below(self, before: Any, after: Any) -> bool:
        """Whether two different texts are the same value all the same: one direct, the other a reference to an equal object."""
        if isinstance(before, pikepdf.Stream) or isinstance(after, pikepdf.Stream):
            return False
        one, other = (v.unparse(resolved=True) if isinstance(v, pikepdf.Object) else written(v) for v in (before, after))
        return same_text(one, other) and not any(True for _ in self._closure().hits(references(other)))

    def unchanged(self, value: Any) -> bool:
        """Whether a value, the same in both by its text, leads to no changed object."""
        return not any(True for _ in self._closure().hits(references(written(value))))

    def same(self, before: Any, after: Any) -> bool:
        """Whether two values and everything below them are equal, judged at once."""
        return same_text(written(before), written(after)) and self.unchanged(after)

    def _closure(self) -> Closure:
        return Closure(self.old, self.new, self.changed, self._judged)

    def untouched(self, key: Key) -> bool:
        """Whether an object and everything below it are what they were."""
        closure = self._closure()
        return key not in self.changed and next(closure.hits(closure.below(key)), None) is None

    def follow(self, name: str, key: Key) -> None:
        """Everything below this object must be the same."""
        self._opaque.append((name, tuple(self._closure().below(key))))

    def conclude(self) -> list[Uncovered]:
        closure = self._closure()
        for name, roots in self._opaque if self.changed else ():
            if list(closure.hits(roots)):
                self.forbid(name, "changed")
        return self._found


def dictionary_of(value: Any) -> Any | None:
    return value if isinstance(value, pikepdf.Dictionary) else None


def array_of(value: Any) -> list[Any]:
    return list(value) if isinstance(value, pikepdf.Array) else []


def name_of(value: Any) -> str | None:
    return str(value) if isinstance(value, pikepdf.Name) else None


_ELSEWHERE = re.compile(
    r"/(N|D|R|A|S|F|V|G|AS|AP|JS|EF|UF|OC|CA|ca|BM|LW|BG|W|DW|SMask|Next|Contents|Annots|Kids|Resources|MediaBox|CropBox|Rotate|BBox|Matrix|Fields"
    r"|DR|DA|BaseFont|Encoding|Differences|Widths|FirstChar|LastChar|FontMatrix|CharProcs|Type|Subtype|BaseState|ON|OFF|OCGs|ColorSpace|ProcSet)"
)
"""What means nothing in a catalogue or a node of pages, but shows where the same object is a font, a state, an appearance or an action as well."""


def may_show(key: str, before: Any, after: Any) -> bool:
    """Whether a key that no standard knows at its place may matter all the same; makers' private ones hold plain values that lead nowhere."""
    return written(before) == written(after) or _ELSEWHERE.fullmatch(key) is not None or not all(_is_plain(v) for v in (before, after))


def _is_plain(value: Any) -> bool:
    if isinstance(value, pikepdf.Array):
        return not value.is_indirect and all(_is_plain(v) for v in list(value))
    return not isinstance(value, pikepdf.Dictionary | pikepdf.Stream)
