"""What the references of a signature are of (XML Signature clause 4.4.3), as an archive time-stamp hashes it (EN 319 132-1 clause 5.5.2.2)."""

import re
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import unquote_to_bytes

from trust.codecs.xml import Method, NodeSet, Tree
from trust.codecs.xml.names import digest_name, ds, octets_of
from trust.codecs.xml.transforms import Bench, apply
from trust.errors import Malformed, Unacceptable
from trust.model import Digest, Document

MOST_TRANSFORMED = 64 << 20
"""Bytes of a file beside the signature that transforms are applied to."""
_POINTER = re.compile(r"#xpointer\(\s*id\(\s*(?:'([^']*)'|\"([^\"]*)\")\s*\)\s*\)")


def octets_of_reference(reference: Any, tree: Tree, detached: Sequence[Document], method: Method, bench: Bench) -> Iterable[bytes]:
    """After its transforms; a node set under `method`. Unacceptable where the data are not here, or a transform is not offered."""
    uri = reference.get("URI")
    transforms = list(reference.iterfind(f"{ds('Transforms')}/{ds('Transform')}"))
    if uri is not None and (not uri or uri.startswith("#")):
        found = apply(transforms, _inside(tree, uri), bench)
    else:
        document = _beside(reference, uri, detached)
        if not transforms:
            return document.chunks()
        found = apply(transforms, document.read(MOST_TRANSFORMED), bench)
    return (found if isinstance(found, bytes) else bench.canonical(found, method),)


def _inside(tree: Tree, uri: str) -> NodeSet:
    """The empty URI and bare names leave comments out, XPointers keep them."""
    if uri in ("", "#xpointer(/)"):
        return NodeSet(tree, comments=bool(uri))
    pointer = _POINTER.fullmatch(uri)
    name = (pointer[1] or pointer[2] or "") if pointer else _plain(uri[1:])
    bearers = tree.by_id(name) or tree.by_id(uri[1:])
    if len(bearers) != 1:
        raise Unacceptable("a reference of the signature names an id that not exactly one element bears")
    return NodeSet(tree, bearers[0], comments=pointer is not None)


def _beside(reference: Any, uri: str | None, detached: Sequence[Document]) -> Document:
    """By its name, or else by what it holds, or else the only one."""
    names = () if uri is None else (_plain(uri), uri)
    found = next((d for d in detached if d.name in names), None) or _by_digest(reference, detached)
    if found is None and len(detached) == 1:
        found = detached[0]
    if found is None or not found.readable:
        raise Unacceptable("an archive time-stamp is over the signed files too, and one is not here: name it (detached)")
    return found


def _by_digest(reference: Any, detached: Sequence[Document]) -> Document | None:
    used, value = digest_name(reference.find(ds("DigestMethod"))), reference.find(ds("DigestValue"))
    if used is None or value is None:
        return None
    try:
        said = Digest(used, octets_of(value))
    except Malformed:
        return None
    return next((d for d in detached if d.digest(used) == said), None)


def _plain(uri: str) -> str:
    try:
        return unquote_to_bytes(uri).decode()
    except UnicodeDecodeError as error:
        raise Malformed("a reference of the signature is no URI") from error
