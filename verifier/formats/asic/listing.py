"""META-INF/manifest.xml beside XAdES (EN 319 162-1 clause 4.4.3.1; OpenDocument part 3 clause 4): nothing signs it, and programs go by it.

What it says must not contradict the container: it names files that are there, each once, and the container as what it is. A file that it leaves
out is none of its matters, and the container's type is not held against it in ASiC-S, where makers write the other one.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from trust.codecs.xml import parse
from trust.codecs.xml.names import split
from trust.errors import Malformed
from trust.model import Reference, Uncovered
from verifier.formats.asic.layout import EXTENDED, MANIFEST, SIMPLE, Layout

MAX_LISTING = 32 << 20
"""Bytes."""
_NAMESPACE = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"
_TYPE = {SIMPLE: "application/vnd.etsi.asic-s+zip", EXTENDED: "application/vnd.etsi.asic-e+zip"}


def contradictions(parts: Layout, signed: Iterable[Reference] = ()) -> tuple[Uncovered, ...]:
    """What of the listing is not so; an OpenDocument's own is judged as a part of it. `signed`: references, with what signers say of their files."""
    if parts.kind not in _TYPE or MANIFEST not in parts.other:
        return ()
    try:
        root = parse(parts.container.read(MANIFEST, MAX_LISTING)).root
    except Malformed:
        return (Uncovered(MANIFEST, "the list of files cannot be read"),)
    if split(root.tag) != (_NAMESPACE, "manifest"):
        return (Uncovered(MANIFEST, "the list of files cannot be read"),)
    return tuple(Uncovered(MANIFEST, why) for why in dict.fromkeys((*_lies(parts, root), *_others(parts, root, signed))))


_UNTOLD = frozenset(("", "application/octet-stream"))
"""Types that say nothing of a file."""


def _others(parts: Layout, root: Any, signed: Iterable[Reference]) -> Iterator[str]:
    """EN 319 162-1 clause 4.4.3.1, EN 319 132-1 clause 5.2.4: a file is of the type that its signers state."""
    stated: dict[str, set[str]] = {}
    for reference in signed:
        document = parts.find(reference.name) or parts.find(reference.uri or "")
        if reference.media_type and document is not None and document.name is not None:
            stated.setdefault(document.name, set()).add(_plain(reference.media_type))
    for entry in root.iterchildren(f"{{{_NAMESPACE}}}file-entry"):
        path, kind = (entry.get(f"{{{_NAMESPACE}}}{name}") for name in ("full-path", "media-type"))
        document = None if path is None else parts.find(path)
        said = stated.get(document.name or "", set()) - _UNTOLD if document is not None else set()
        if said and _plain(kind or "") not in said | _UNTOLD:
            yield "the list of files says another type of a file than its signer"


def _plain(kind: str) -> str:
    """RFC 6838: without parameters, in lower case."""
    return kind.partition(";")[0].strip().lower()


def _lies(parts: Layout, root: Any) -> Iterator[str]:
    said: set[str] = set()
    if any(split(child.tag) != (_NAMESPACE, "file-entry") for child in root.iterchildren("*")):
        yield "the list of files holds something else"
    for entry in root.iterchildren(f"{{{_NAMESPACE}}}file-entry"):
        path, kind = (entry.get(f"{{{_NAMESPACE}}}{name}") for name in ("full-path", "media-type"))
        if path is None:
            continue  # written without its namespace: nobody reads it
        if path in said:
            yield "the list of files names one of them twice"
        said.add(path)
        if path == "/":
            if parts.kind == EXTENDED and kind and kind != _TYPE[EXTENDED]:
                yield "the list of files says another type than that of the container"
        elif not path.endswith("/") and parts.find(path) is None:
            yield "the list of files names one that is not there"
        if any(split(child.tag)[1] == "encryption-data" for child in entry.iterchildren("*")):
            yield "the list of files calls one encrypted"
