"""A revision as a graph of objects, and which objects differ between two revisions.

The later file begins with the bytes of the earlier one, so that an object whose cross-reference entry is the same is the same; the
others are compared as qpdf writes them. Errors: Malformed, nothing else.
"""

import functools
import re
from collections.abc import Collection, Iterable, Iterator
from decimal import Decimal
from typing import Any

import pikepdf

from trust.errors import Malformed
from verifier.formats.pdf.file import reading

MAX_OBJECTS = 2_000_000
_REFERENCE = re.compile(rb"(?<![0-9A-Za-z.+-])(\d{1,10}) (\d{1,5}) R(?![0-9A-Za-z])")
_STRING = re.compile(rb"\((?:[^\\()]|\\.)*\)|<[0-9a-f]*>", re.DOTALL)

Key = tuple[int, int]
"""Object and generation number."""
Entry = tuple[int, int, int]
"""A cross-reference entry: 1 with an offset, or 2 with an object stream and an index in it."""


def written(value: Any) -> bytes:
    """A value as qpdf writes it, references unresolved: equal text is an equal value."""
    if isinstance(value, pikepdf.Object):
        return value.unparse()
    if isinstance(value, Decimal):
        return f"{value:f}".encode()  # a real number, which the next maker may write as an integer
    return repr(value).encode()


_NUMBER = re.compile(rb"\((?:[^\\()]|\\.)*\)|<[0-9a-f]*>|/[^\s/<>\[\]()]*|-?(?<!\d)\d++\.\d*+|-?\.\d++", re.DOTALL)


def normal(text: bytes) -> bytes:
    """Written text with real numbers rounded: 612.0 is 612, and 595.32001 what single precision makes of 595.32."""

    def rounded(found: re.Match[bytes]) -> bytes:
        token = found[0]
        if token[:1] in {b"(", b"<", b"/"}:
            return token
        number = float(token)
        # Thousandths of what is measured in points; of small factors (matrices, opacities) six digits.
        return (f"{number:.3f}".rstrip("0").rstrip(".") if abs(number) >= 1 else f"{number:.6g}").encode()

    return _NUMBER.sub(rounded, text)


def same_text(one: bytes, other: bytes) -> bool:
    return one == other or normal(one) == normal(other)


def references(text: bytes) -> tuple[Key, ...]:
    """The objects that a written value refers to; what looks like one inside a string is none."""
    if b" R" not in text:
        return ()
    return tuple((int(n), int(g)) for n, g in _REFERENCE.findall(_STRING.sub(b"", text) if b"(" in text or b"<" in text else text))


class Revision:
    """One revision, opened: its objects by number, what they refer to, and whether two revisions have the same object.

    `last` is the file as it is now. What an object refers to is read there where it stands there unchanged: once for all revisions, and with the
    references that led nowhere when it was signed, which qpdf leaves out of what it writes ("dangling references", filled by a later revision).
    """

    def __init__(self, pdf: pikepdf.Pdf, last: "Revision | None" = None) -> None:
        self.pdf = pdf
        self._last = last
        with reading("its cross-reference table is broken"):
            self.entries: dict[Key, Entry] = {key: _entry(entry) for key, entry in pdf.get_xref_table().items()}
        if len(self.entries) > MAX_OBJECTS:
            raise Malformed(f"PDF has more than {MAX_OBJECTS} objects")
        self._references: dict[Key, tuple[Key, ...]] = {}
        self.read: dict[str, Any] = {}
        """What a rule read of this revision, by the rule's word: it is compared twice, with the one before it and with the one after."""

    @property
    def shared(self) -> dict[str, Any]:
        """What all revisions of a file have in common, by the word of the rule that keeps it."""
        return self.read if self._last is None else self._last.read

    @functools.cached_property
    def lost(self) -> bool:
        """Whether an object of this revision is no longer there: then references to it are seen here only."""
        return self._last is not None and not self.entries.keys() <= self._last.entries.keys()

    def object(self, key: Key) -> Any:
        return self.pdf.get_object(*key)

    def text(self, key: Key) -> bytes:
        """An object as qpdf writes it; of a stream the dictionary."""
        value = self.object(key)
        if isinstance(value, pikepdf.Stream):
            return value.stream_dict.unparse()
        return value.unparse(resolved=True) if isinstance(value, pikepdf.Object) else repr(value).encode()

    def references_of(self, key: Key) -> tuple[Key, ...]:
        """What an object refers to, as far as it exists in this revision or in the last."""
        found = self._references.get(key)
        if found is None:
            if key not in self.entries:
                found = ()
            elif self._last is not None and self.same_place(self._last, key):
                found = self._last.references_of(key)
                if self.lost:
                    found = (*found, *references(self.text(key)))
            else:
                found = references(self.text(key))
            self._references[key] = found
        return found

    def same_place(self, other: "Revision", key: Key) -> bool:
        """Whether both have the object at the same place in the bytes."""
        mine, theirs = self.entries.get(key), other.entries.get(key)
        if mine is None or mine != theirs:
            return False
        return mine[0] != 2 or self.entries.get((mine[1], 0)) == other.entries.get((mine[1], 0))

    def same_content(self, other: "Revision", key: Key) -> bool:
        """Whether both have an equal object under this number, wherever it stands."""
        if (key in self.entries) != (key in other.entries) or not same_text(self.text(key), other.text(key)):
            return False
        mine, theirs = self.object(key), other.object(key)
        if isinstance(mine, pikepdf.Stream):
            return isinstance(theirs, pikepdf.Stream) and mine.read_raw_bytes() == theirs.read_raw_bytes()
        return not isinstance(theirs, pikepdf.Stream)


def _entry(entry: Any) -> Entry:
    if entry.type == 2:
        return 2, entry.obj_stream_number, entry.obj_stream_index
    return entry.type, entry.offset if entry.type == 1 else 0, 0


def affected(old: Revision, new: Revision) -> frozenset[Key]:
    """The objects that are added, removed or different."""
    with reading("an object is broken"):
        keys = old.entries.keys() | new.entries.keys()
        return frozenset(key for key in keys if not old.same_place(new, key) and not old.same_content(new, key))


class Closure:
    """Everything reachable from opaque values in either of two revisions, until it meets what is judged by rules of its own."""

    def __init__(self, old: Revision, new: Revision, changed: frozenset[Key], judged: Collection[Key]) -> None:
        self._old = old
        self._new = new
        self._changed = changed
        # Not copied: there are as many as fields, and as many closures.
        self._judged = judged
        self._seen: set[Key] = set()

    def hits(self, roots: Iterable[Key]) -> Iterator[Key]:
        """The changed objects below these roots that no earlier call has met."""
        stack = [key for key in roots if self._is_fresh(key)]
        self._seen.update(stack)
        while stack:
            key = stack.pop()
            if key in self._changed:
                yield key
            for below in self.below(key):
                if self._is_fresh(below):
                    self._seen.add(below)
                    stack.append(below)

    def _is_fresh(self, key: Key) -> bool:
        return key not in self._seen and key not in self._judged

    def below(self, key: Key) -> Iterable[Key]:
        found = self._new.references_of(key)
        return (*found, *self._old.references_of(key)) if self._old.lost or key in self._changed else found
