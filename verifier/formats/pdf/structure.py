"""The logical structure of two revisions (ISO 32000-2 clause 14.7): what is read aloud, searched and copied in place of what is drawn.

A field that is added joins the structure, so that elements may be added and lists of children may grow. What elements say stays what it is.
"""

import re
from typing import Any

import pikepdf

from trust.codecs.asn1 import printable
from verifier.formats.pdf.comparison import Comparison, array_of, dictionary_of, name_of
from verifier.formats.pdf.graph import written

_ROOT = "document /StructTreeRoot"
_MEANINGS = ("/ClassMap", "/Namespaces", "/PronunciationLexicon")
_STANDARD = re.compile(
    r"/(Document|DocumentFragment|Part|Art|Sect|Div|Aside|BlockQuote|Caption|TOCI?|Index|NonStruct|Private|P|H[1-6]?|Title|FENote|Sub|Em|Strong|L|LI|Lbl"
    r"|LBody|Table|TR|TH|TD|THead|TBody|TFoot|Span|Quote|Note|Reference|BibEntry|Code|Link|Annot|Ruby|R[BTP]|Warichu|W[TP]|Figure|Formula|Form|Artifact)"
)
"""Standard structure types (ISO 32000-2 clause 14.8.4)."""
_WORDS = ("/ActualText", "/E", "/Alt", "/PhoneticAlphabet", "/Phoneme")
_GROWING = frozenset({"/K", "/Type", "/Pg"})


class Structure:
    """Compares structure trees. Of their elements only those that changed are looked at: there may be as many as words."""

    def __init__(self, comparison: Comparison) -> None:
        self._comparison = comparison

    def compare(self, before: Any, after: Any) -> None:
        was, now = dictionary_of(before), dictionary_of(after)
        if was is not None and now is None:
            self._comparison.forbid(_ROOT, "removed")
        elif was is not None and now is not None:
            for name in _MEANINGS:
                self._comparison.equal(f"{_ROOT} {name}", was.get(name), now.get(name))
            self._roles(dictionary_of(was.get("/RoleMap")), dictionary_of(now.get("/RoleMap")))
            self._children(was, now)
        for key in sorted(self._comparison.changed):
            self._element(*(r.object(key) if key in r.entries else None for r in (self._comparison.old, self._comparison.new)))

    def _roles(self, was: Any | None, now: Any | None) -> None:
        """Roles may be added, each as what it was without: itself, where it is one of the standard's."""
        for role in sorted((set() if was is None else set(was.keys())) | (set() if now is None else set(now.keys()))):
            old, new = (None if m is None else name_of(m.get(role)) for m in (was, now))
            if old != new and not (old is None and (not _STANDARD.fullmatch(role) or new == role)):
                self._comparison.forbid(f"{_ROOT} /RoleMap", "changed")

    def _element(self, before: Any, after: Any) -> None:
        old, new = (e if _is_element(e) else None for e in (before, after))
        if old is not None and new is None:
            self._comparison.forbid(_ROOT, "changed")
        elif new is not None and old is None:
            if _speaks(new):
                self._comparison.forbid(_ROOT, "changed")
        elif old is not None and new is not None:
            for key in sorted((set(old.keys()) | set(new.keys())) - _GROWING):
                if written(old.get(key)) != written(new.get(key)):
                    self._comparison.forbid(f"{_ROOT} {printable(key)}", "changed")
            self._children(old, new)

    def _children(self, old: Any, new: Any) -> None:
        """The children of before come first among those of now."""
        was, now = (_kids(e) for e in (old, new))
        left = iter(now)
        if not all(kid in left for kid in was):
            self._comparison.forbid(f"{_ROOT} /K", "changed")


def _is_element(value: Any) -> bool:
    node = None if isinstance(value, pikepdf.Stream) else dictionary_of(value)
    return node is not None and name_of(node.get("/S")) is not None and dictionary_of(node.get("/P")) is not None


def _speaks(element: Any) -> bool:
    """Whether a new element has words of its own for something else than an annotation or field."""
    if not any(key in element for key in _WORDS):
        return False
    items = element.get("/K")
    kids = array_of(items) if isinstance(items, pikepdf.Array) else [items]
    return not all((node := dictionary_of(kid)) is not None and name_of(node.get("/Type")) == "/OBJR" for kid in kids)


def _kids(element: Any) -> list[bytes]:
    items = element.get("/K")
    if items is None:
        return []
    return [
        written(kid) if not _indirect(kid) else b"%d %d R" % kid.objgen for kid in (array_of(items) if isinstance(items, pikepdf.Array) else [items])
    ]


def _indirect(value: Any) -> bool:
    return isinstance(value, pikepdf.Object) and value.is_indirect
