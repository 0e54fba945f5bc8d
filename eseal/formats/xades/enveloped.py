"""Where an enveloped signature goes in an XML document whose bytes stay as they are."""

import re
from collections.abc import Iterator
from typing import Any

from lxml import etree

from trust.codecs.xml import NodeSet, Tree
from trust.codecs.xml.names import ds
from trust.codecs.xml.transforms import Bench, apply, octets
from trust.errors import Malformed, Unacceptable

MOST_REFERENCES = 50
"""Of signatures that are there already, to the whole document: each is resolved twice."""

_END_TAG = re.compile(rb"</[^<>]*>\Z")
ENCODINGS = re.compile(r"utf-8|us-ascii|iso-8859-\d+|windows-125\d|shift_jis|windows-31j|cp932|euc-jp", re.IGNORECASE)
"""In which the octets of markup are those of ASCII, and occur nowhere inside another character."""
_POINTER = re.compile(r"#xpointer\(\s*id\(\s*['\"]([^'\"]*)['\"]\s*\)\s*\)")
_WHOLE = ("", "#xpointer(/)")


def place(data: bytes, tree: Tree) -> int:
    """The offset of the document element's end tag. Unacceptable where there is no room for a signature, or no telling."""
    root = tree.root
    if root.tag == ds("Signature"):
        raise Unacceptable("the document is itself a signature: seal it detached or attached")
    if not ENCODINGS.fullmatch(root.getroottree().docinfo.encoding or "utf-8"):
        raise Unacceptable("an enveloped seal needs a document in UTF-8 (or ISO 8859, Shift_JIS, EUC-JP); seal it detached or attached")
    stop = len(data.rstrip())
    for node in list(tree.epilog())[::-1]:
        start = data.rfind(b"<!--" if node.tag is etree.Comment else b"<?", 0, stop)
        if start < 0 or (node.tag is etree.PI and "<?" in (node.text or "")):
            raise Unacceptable("what follows the document element leaves no telling where it ends; seal it detached or attached")
        stop = len(data[:start].rstrip())
    found = _END_TAG.search(data, max(0, data.rfind(b"<", 0, stop)), stop)
    if found is None:
        raise Unacceptable("the document element is empty: there is nothing to envelop the seal in; seal it detached or attached")
    return found.start()


def codec(tree: Tree) -> str:
    """One in which text may be written so that the document's own encoding reads the same."""
    return "utf-8" if (tree.root.getroottree().docinfo.encoding or "utf-8").lower() == "utf-8" else "ascii"


def signatures(tree: Tree) -> list[Any]:
    return list(tree.root.iter(ds("Signature")))


def require_undisturbed(before: Tree, after: Tree) -> None:
    """Unacceptable when something that a signature of the document covers is not surely the same with one more signature in it."""
    count, benches = 0, (Bench(), Bench())
    for old, new in zip(signatures(before), signatures(after), strict=False):
        for one, other in zip(_to_the_root(old, before), _to_the_root(new, after), strict=True):
            count += 1
            found = _data(one, before, benches[0]) if count <= MOST_REFERENCES else None
            if found is None or found != _data(other, after, benches[1]):
                raise Unacceptable("the document is signed already, and that signature forbids an enveloped one more; seal it detached or attached")


def _to_the_root(signature: Any, tree: Tree) -> Iterator[Any]:
    """References in whose data something at the document element's end would stand."""
    for reference in signature.iterfind(f"{ds('SignedInfo')}/{ds('Reference')}"):
        if _apex(reference, tree) is not False:
            yield reference


def _apex(reference: Any, tree: Tree) -> Any:
    """None for the whole document, the document element, or False for anything else."""
    uri = reference.get("URI")
    if uri in _WHOLE:
        return None
    if uri is None or not uri.startswith("#"):
        return False
    pointer = _POINTER.fullmatch(uri)
    named = tree.by_id(pointer[1] if pointer else uri[1:])
    return tree.root if tree.root in named else False


def _data(reference: Any, tree: Tree, bench: Bench) -> bytes | None:
    """What the reference is of; None where that cannot be told."""
    transforms = reference.iterfind(f"{ds('Transforms')}/{ds('Transform')}")
    nodes = NodeSet(tree, _apex(reference, tree), comments="xpointer" in reference.get("URI", ""))
    try:
        return octets(apply(transforms, nodes, bench), bench)
    except (Malformed, Unacceptable):
        return None
