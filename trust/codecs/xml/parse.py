"""The hardened parser: bytes -> a tree of bounded size, or Malformed. No DTD, no entities, no XInclude, never a network."""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from lxml import etree

from trust.codecs.xml.names import XML, split
from trust.errors import Malformed

MAX_BYTES: Final = 64 << 20
"""One text is at most 10 MB besides (libxml2 without huge_tree): larger data belongs beside the signature, not in it."""
MAX_MARKUP: Final = 1_000_000
"""`<` characters, and `=` characters: what bounds the tree's memory (about 120 bytes a node or attribute) before it is built."""
MAX_DEPTH: Final = 200
MAX_ATTRIBUTES: Final = 1_000
"""On one element: canonicalisation sorts them."""

MAX_NAMESPACES: Final = 256
"""In scope at once: every element looks at all of them."""

_PROLOG_ITEM: Final = re.compile(r"\s+|<\?.*?\?>|<!--.*?-->", re.DOTALL)
_HEAD: Final = 1 << 16
_BOMS: Final = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def _parser() -> Any:
    # A parser carries its errors and may not be shared between threads: one each call costs a microsecond.
    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        remove_blank_text=False,
        remove_comments=False,
        remove_pis=False,
        strip_cdata=True,
        collect_ids=False,
        recover=False,
    )


@dataclass(frozen=True, eq=False)
class Tree:
    """A parsed document, and its elements by Id."""

    root: Any
    elements: int
    ids: dict[str, tuple[Any, ...]] = field(repr=False)
    """Every element that bears an attribute called `Id` in any capitals, `xml:id` and `wsu:Id` included: who bears one twice is ambiguous."""

    def by_id(self, name: str) -> tuple[Any, ...]:
        return self.ids.get(name, ())

    def prolog(self) -> Iterator[Any]:
        """Comments and processing instructions before the root, in document order."""
        return iter(list(self.root.itersiblings(preceding=True))[::-1])

    def epilog(self) -> Iterator[Any]:
        return iter(list(self.root.itersiblings()))


def looks_like_xml(head: bytes) -> bool:
    """Whether the first bytes begin an XML document: `<` after a byte order mark and white space."""
    text = head
    for bom, _ in _BOMS:
        if head.startswith(bom):
            text = head[len(bom) :]
    text = text.replace(b"\x00", b"").lstrip(b" \t\r\n")
    return re.match(rb"<[?!A-Za-z_\x80-\xff]", text) is not None


def _refuse_doctype(data: bytes) -> None:
    """A document type declaration is where entities, defaults and fetches come from: refused before libxml2 sees it."""
    encoding = next((name for bom, name in _BOMS if data.startswith(bom)), None)
    if encoding is None:
        encoding = "utf-16-le" if data[1:2] == b"\x00" else "utf-16-be" if data[:1] == b"\x00" else "latin-1"
    for size in (_HEAD, len(data)):
        head = data[:size].decode(encoding, "replace").lstrip("\ufeff")
        at = 0
        while item := _PROLOG_ITEM.match(head, at):
            at = item.end()
        if head.startswith("<!D", at):
            raise Malformed("document type declarations are not read")
        if head[at : at + 4] not in ("<!--", "") and not head.startswith("<?", at):
            return


def parse(data: bytes) -> Tree:
    """The document in `data`; Malformed when it is not well-formed, over the limits, or declares a document type."""
    if len(data) > MAX_BYTES:
        raise Malformed(f"xml document of at most {MAX_BYTES} bytes expected, got {len(data)}")
    if not data:
        raise Malformed("xml document is empty")
    for mark in (b"<", b"="):
        if (count := data.count(mark)) > MAX_MARKUP:
            raise Malformed(f"at most {MAX_MARKUP} characters {mark.decode()} expected in an xml document, got {count}")
    _refuse_doctype(data)
    parser = _parser()
    try:
        root = etree.fromstring(data, parser)
    except (etree.LxmlError, ValueError, LookupError) as error:
        over = any(entry.message.startswith("Excessive depth") for entry in parser.error_log)
        raise Malformed("xml document is nested too deeply" if over else "not a well-formed xml document") from error
    # lxml looks at the last entry alone: a warning after it hides an error of namespaces (one attribute twice under two prefixes).
    if any(entry.level >= etree.ErrorLevels.ERROR for entry in parser.error_log):
        raise Malformed("not a namespace-well-formed xml document")
    if root is None or root.getroottree().docinfo.internalDTD is not None:
        raise Malformed("document type declarations are not read")
    return indexed(root)


def indexed(root: Any) -> Tree:
    ids: dict[str, list[Any]] = {}
    count = depth = declared = 0
    for event, element in etree.iterwalk(root, events=("start", "end", "start-ns", "end-ns")):
        if event == "end":
            depth -= 1
            continue
        if event != "start":
            declared += 1 if event == "start-ns" else -1
            if declared > MAX_NAMESPACES:
                raise Malformed(f"at most {MAX_NAMESPACES} namespaces in scope expected in an xml document")
            continue
        depth += 1
        count += 1
        if depth > MAX_DEPTH:
            raise Malformed(f"xml elements nested at most {MAX_DEPTH} deep expected")
        attributes = element.attrib
        if not attributes:
            continue
        if len(attributes) > MAX_ATTRIBUTES:
            raise Malformed(f"at most {MAX_ATTRIBUTES} attributes on one element expected, got {len(attributes)}")
        seen = set()
        for name, value in attributes.items():
            if name[-2:].lower() == "id" and split(name)[1].lower() == "id" and value not in seen:
                seen.add(value)
                ids.setdefault(value, []).append(element)
    return Tree(root, count, {name: tuple(bearers) for name, bearers in ids.items()})


def id_of(element: Any) -> str | None:
    """The element's Id: `Id` before its other spellings."""
    for name in ("Id", "ID", "id", f"{{{XML}}}id"):
        if (value := element.get(name)) is not None:
            return str(value)
    return next((str(v) for n, v in element.attrib.items() if split(n)[1].lower() == "id"), None)
