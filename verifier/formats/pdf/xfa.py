"""The data of XFA forms (ISO 32000-1 clause 12.7.8): what some readers show in place of the fields of the form.

Whoever fills such a form writes each value twice. Elements and attributes stay what they are; what an element says may become the value that the
field of its name has. Errors: none outside; what cannot be read was changed.
"""

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pikepdf

from trust.errors import Malformed
from verifier.formats.pdf.fields import Field, squeezed, value_text
from verifier.formats.pdf.store import decoded

MAX_PACKET = 16 << 20
MAX_ELEMENTS = 200_000
_PIECE = re.compile(rb"<(/?)([^\s<>/!?]++)([^<>]*+)>|(<[!?][^<>]*+>)|([^<>]++)")
_NAMED = re.compile(rb"\sname\s*=\s*[\"']([^\"']*)[\"']")
_PASSING = re.compile(rb"\s(?:checksum|timeStamp|uuid)\s*=\s*(?:\"[^\"]*\"|'[^']*')")
"""Attributes that say when a packet was written, and over what."""
_INDEX = re.compile(r"\[\d+\]")


@dataclass(slots=True)
class _Packet:
    frame: list[bytes] = field(default_factory=list)
    """Elements with their attributes, in order."""
    labels: list[tuple[str, ...]] = field(default_factory=list)
    """Of each element, what it and those around it are called."""
    texts: list[str] = field(default_factory=list)
    """Of each element, what it says, white space left out."""


def only_filled(name: str, before: Any, after: Any, fields: Iterable[Field]) -> bool:
    """Whether a packet differs from what it was in values alone, each that of the field of its name.

    `form`, in which a program keeps how far it has come, grows with what is filled in: there every new word is the value of some field.
    """
    try:
        was, now = (_read(packet) for packet in (before, after))
        if name == "form":
            return {t for t in now.texts if t} - set(was.texts) <= {value for _, value in _values(fields)}
        changed = [i for i, (old, new) in enumerate(zip(was.texts, now.texts, strict=True)) if old != new]
        values = _values(fields) if changed else frozenset()
    except (Malformed, ValueError):
        return False
    return was.frame == now.frame and all(any((label, now.texts[i]) in values for label in now.labels[i]) for i in changed)


def _values(fields: Iterable[Field]) -> frozenset[tuple[str, str]]:
    return frozenset((_INDEX.sub("", f.name.rpartition(".")[2]), squeezed(value_text(f.value))) for f in fields)


def _read(packet: Any) -> _Packet:
    """Malformed for what is no row of elements and texts."""
    if not isinstance(packet, pikepdf.Stream):
        raise Malformed("packet is no stream")
    data, read, at = decoded(packet, MAX_PACKET), _Packet(), 0
    stack: list[int] = []
    for piece in _PIECE.finditer(data):
        if piece.start() != at or len(read.texts) > MAX_ELEMENTS:
            break
        at = piece.end()
        closing, tag, attributes, other, text = piece.groups()
        if text is not None:
            said = squeezed(html.unescape(text.decode("utf-8", "replace")))
            if said and not stack:
                raise Malformed("packet says something outside of its elements")
            if said:
                read.texts[stack[-1]] += said
        elif other is not None:
            read.frame.append(other)
        elif closing:
            read.frame.append(b"/")
            stack = stack[:-1]
        else:
            empty = attributes.endswith(b"/")
            _open(read, stack, tag, attributes.removesuffix(b"/"))
            if empty:
                read.frame.append(b"/")
                stack.pop()
    if at != len(data):
        raise Malformed("packet is no XML")
    return read


def _open(read: _Packet, stack: list[int], tag: bytes, attributes: bytes) -> None:
    named = _NAMED.search(attributes)
    own = [tag.rpartition(b":")[2], *([named[1]] if named is not None else [])]
    around = read.labels[stack[-1]] if stack else ()
    read.frame.append(tag + b" ".join(_PASSING.sub(b"", attributes).split()))
    read.labels.append((*around, *(name.decode("utf-8", "replace") for name in own)))
    read.texts.append("")
    stack.append(len(read.texts) - 1)
