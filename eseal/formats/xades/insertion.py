"""Text into an XML document whose other bytes stay as they are: where each element's tags stand, told from the bytes themselves."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lxml import etree

from eseal.formats.xades.enveloped import ENCODINGS
from trust.codecs.xml import Tree
from trust.errors import Malformed, Unacceptable

_MARKUP = re.compile(
    rb"<!--.*?-->|<\?.*?\?>|<!\[CDATA\[.*?\]\]>|(?P<close></[^>]*>)"
    rb"|(?P<open><[^>\"'/]*+(?:\"[^\"]*\"|'[^']*'|/(?!>)|[^>\"'/])*+(?P<empty>/)?>)",
    re.DOTALL,
)
"""Of a document that was parsed before, without a document type, in an encoding whose markup has the octets of ASCII."""


@dataclass(frozen=True, slots=True)
class Tags:
    """Where an element stands, as offsets."""

    start: int
    inside: int
    """Behind its start tag."""
    end: int
    """Where its end tag begins; of an empty-element tag, its slash."""
    empty: bool


@dataclass(frozen=True, slots=True)
class Edit:
    """Bytes that come into the document, in the place of `start` to `stop`."""

    start: int
    stop: int
    text: bytes


def tags(data: bytes, tree: Tree, wanted: Iterable[Any]) -> dict[Any, Tags]:
    """Those of the elements that are wanted. Unacceptable in an encoding in which that cannot be told."""
    if not ENCODINGS.fullmatch(tree.root.getroottree().docinfo.encoding or "utf-8"):
        raise Unacceptable("a XML document is extended in UTF-8 (or ISO 8859, Shift_JIS, EUC-JP)")
    asked = set(wanted)
    elements = tree.root.iter(etree.Element)
    found: dict[Any, Tags] = {}
    opened: list[tuple[Any, int, int]] = []
    for mark in _MARKUP.finditer(data):
        if mark["open"]:
            element = next(elements, None)
            if element is None:
                raise Malformed("xml document has tags that its parser did not see")
            if mark["empty"]:
                if element in asked:
                    found[element] = Tags(mark.start(), mark.end(), mark.start("empty"), empty=True)
            else:
                opened.append((element, mark.start(), mark.end()))
        elif mark["close"]:
            if not opened:
                raise Malformed("xml document has tags that its parser did not see")
            element, start, inside = opened.pop()
            if element in asked:
                found[element] = Tags(start, inside, mark.start(), empty=False)
    if opened or next(elements, None) is not None or len(found) != len(asked):
        raise Malformed("xml document has tags that its parser did not see")
    return found


def name_at(data: bytes, at: Tags) -> bytes:
    """An element's name as it is written, prefix included."""
    found = re.match(rb"<([^\s/>]+)", data[at.start : at.inside])
    if found is None:
        raise Malformed("xml element has no name")
    return found[1]


def appended(data: bytes, at: Tags, text: bytes) -> Edit:
    """As the last of an element's children."""
    if at.empty:
        return Edit(at.end, at.inside, b">" + text + b"</" + name_at(data, at) + b">")
    return Edit(at.end, at.end, text)


def edited(data: bytes, edits: Sequence[Edit]) -> bytes:
    made, reached = [], 0
    for edit in sorted(edits, key=lambda e: e.start):
        made += [data[reached : edit.start], edit.text]
        reached = edit.stop
    return b"".join((*made, data[reached:]))
