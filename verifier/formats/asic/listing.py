"""META-INF/manifest.xml beside XAdES (EN 319 162-1 clause 4.4.3.1; OpenDocument part 3 clause 4): nothing signs it, and programs go by it.

What it says must not contradict the container: it names files that are there, each once, and the container as what it is. A file that it leaves
out is none of its matters, and the container's type is not held against it in ASiC-S, where makers write the other one.
"""

from collections.abc import Iterator
from typing import Any

from trust.codecs.xml import parse
from trust.codecs.xml.names import split
from trust.errors import Malformed
from trust.model import Uncovered
from verifier.formats.asic.layout import EXTENDED, MANIFEST, SIMPLE, Layout

MAX_LISTING = 32 << 20
"""Bytes."""
_NAMESPACE = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"
_TYPE = {SIMPLE: "application/vnd.etsi.asic-s+zip", EXTENDED: "application/vnd.etsi.asic-e+zip"}


def contradictions(parts: Layout) -> tuple[Uncovered, ...]:
    """What of the listing is not so; an OpenDocument's own is judged as a part of it."""
    if parts.kind not in _TYPE or MANIFEST not in parts.other:
        return ()
    try:
        root = parse(parts.container.read(MANIFEST, MAX_LISTING)).root
    except Malformed:
        return (Uncovered(MANIFEST, "the list of files cannot be read"),)
    if split(root.tag) != (_NAMESPACE, "manifest"):
        return (Uncovered(MANIFEST, "the list of files cannot be read"),)
    return tuple(Uncovered(MANIFEST, why) for why in dict.fromkeys(_lies(parts, root)))


def _lies(parts: Layout, root: Any) -> Iterator[str]:
    said: dict[str, str] = {}
    for entry in root.iterchildren(f"{{{_NAMESPACE}}}file-entry"):
        path, kind = (entry.get(f"{{{_NAMESPACE}}}{name}") for name in ("full-path", "media-type"))
        if path is None:
            continue  # written without its namespace: nobody reads it
        if said.setdefault(path, kind or "") != (kind or ""):
            yield "the list of files names one of them twice, with two types"
        if path == "/":
            if parts.kind == EXTENDED and kind and kind != _TYPE[EXTENDED]:
                yield "the list of files says another type than that of the container"
        elif not path.endswith("/") and parts.find(path) is None:
            yield "the list of files names one that is not there"
        if any(split(child.tag)[1] == "encryption-data" for child in entry.iterchildren("*")):
            yield "the list of files calls one encrypted"
