"""What a container is and which entry plays which part: EN 319 162-1 clauses 4.3.3, 4.4.3, annex A; ISO/IEC 26300-3 (OpenDocument) clause 4."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import unquote

from trust.codecs.container import STORED, Container
from trust.errors import TooLarge
from trust.model import Defect, Document, Uncovered

SIMPLE, EXTENDED, OPEN_DOCUMENT, PLAIN = "ASiC-S", "ASiC-E", "ODF", "ZIP"
_CLAUSE = "EN 319 162-1 clause "
_TYPES = {"application/vnd.etsi.asic-s+zip": SIMPLE, "application/vnd.etsi.asic-e+zip": EXTENDED}
_EXTENSIONS = {".asics": SIMPLE, ".scs": SIMPLE, ".asice": EXTENDED, ".sce": EXTENDED}
_OPEN_DOCUMENT = "application/vnd.oasis.opendocument."
_COMMENT = re.compile(rb"mimetype=([!-~]{1,200})")
_META = "META-INF/"
MANIFEST = "META-INF/manifest.xml"
MAX_SIGNATURE_FILES, MAX_TOKENS, MAX_RECORDS, MAX_MANIFESTS = 1000, 1000, 100, 2000
_MAX_TYPE = 512
"""Bytes of the mimetype entry."""


@dataclass(frozen=True)
class Layout:
    """A container with the parts that its entries play."""

    container: Container
    kind: str
    """`ASiC-S`, `ASiC-E`, `ODF`; `ZIP` for one that carries nothing signed."""
    xades: tuple[str, ...]
    cades: tuple[str, ...]
    tokens: tuple[str, ...]
    records: tuple[str, ...]
    manifests: tuple[str, ...]
    """ASiCManifest, ASiCArchiveManifest and ASiCEvidenceRecordManifest files."""
    data: tuple[str, ...]
    """Files for people: everything outside META-INF but the mimetype."""
    other: tuple[str, ...]
    """Further entries of META-INF."""
    defects: tuple[Defect, ...] = ()
    """Of the container, and so of every signature in it."""
    mistaken: tuple[Uncovered, ...] = ()
    """Where the container tells programs that it is something else than it is."""

    @property
    def only(self) -> Document | None:
        """The one data file of a container that has one."""
        return self.container.documents[self.data[0]] if len(self.data) == 1 else None

    def find(self, name: str) -> Document | None:
        """An entry by the name or URI of a reference. X-Road begins it with a slash; older Estonian programs write spaces as plus signs."""
        found = self.container.documents
        plain = unquote(name)
        tried = (name, name.removeprefix("/"), plain, plain.removeprefix("/"), unquote(name.replace("+", " ")), plain.replace("+", " "))
        return next((found[t] for t in tried if t in found), None)


def layout(container: Container, name: str | None = None) -> Layout:
    """The parts of a container, told from names as the standard fixes them.

    `name` is the container's own, whose extension tells its type where nothing inside does (clauses 4.3.3.1 and 4.4.3.1, item 1).
    """
    names = list(container.documents)
    meta = [n for n in names if n.startswith(_META)]
    data = tuple(n for n in names if not n.startswith(_META) and n != "mimetype")
    manifests = tuple(n for n in meta if n.endswith(".xml") and "Manifest" in n and "ASiC" in n)
    signatures = [n for n in meta if "signature" in n and n not in manifests]
    xades = tuple(n for n in signatures if n.endswith(".xml"))
    cades = tuple(n for n in signatures if n.endswith((".p7s", ".p7m")))
    tokens = tuple(n for n in meta if "timestamp" in n and n.endswith(".tst"))
    records = tuple(n for n in meta if "evidencerecord" in n and n.endswith((".xml", ".ers")) and n not in manifests)
    if len(xades) + len(cades) > MAX_SIGNATURE_FILES or len(tokens) > MAX_TOKENS or len(records) > MAX_RECORDS or len(manifests) > MAX_MANIFESTS:
        raise TooLarge(f"container has more than {MAX_SIGNATURE_FILES} signature files, {MAX_TOKENS} time-stamps or {MAX_RECORDS} records")
    used = {*manifests, *xades, *cades, *tokens, *records}
    other = tuple(n for n in meta if n not in used)
    declared, defects, mistaken = _declared(container)
    kind = _kind(declared, used - set(manifests), data, manifests, name or "")
    parts = Layout(container, kind, xades, cades, tokens, records, manifests, data, other)
    if kind == PLAIN:
        return parts
    if declared and kind != OPEN_DOCUMENT and declared not in _TYPES:
        # Clause 4.3.3.1 lets ASiC-S keep the type of its file there: programs then take the container for the file.
        mistaken.append(Uncovered("mimetype", f"says another type than that of the {kind} container that it is"))
    return replace(parts, defects=(*_faults(container), *defects, *_shape(parts)), mistaken=tuple(mistaken))


def _kind(declared: str, signed: set[str], data: tuple[str, ...], manifests: tuple[str, ...], name: str) -> str:
    if declared in _TYPES:
        return _TYPES[declared]
    if declared.startswith(_OPEN_DOCUMENT):
        return OPEN_DOCUMENT
    if not signed:
        return PLAIN
    hinted = next((kind for extension, kind in _EXTENSIONS.items() if name.lower().endswith(extension)), None)
    if hinted is not None and not declared:
        return hinted
    if any("ASiCManifest" in manifest for manifest in manifests):
        return EXTENDED
    return EXTENDED if sum("/" not in name for name in data) > 1 else SIMPLE


def _declared(container: Container) -> tuple[str, list[Defect], list[Uncovered]]:
    """Clause 4.3.3.1, items 1 and 2 and annex A.1: the type in the mimetype entry, or else in the container's comment."""
    defects: list[Defect] = []
    mistaken: list[Uncovered] = []
    found = _COMMENT.search(container.comment)
    comment = found[1].decode("ascii") if found else ""
    document = container.documents.get("mimetype")
    if document is None:
        return comment, defects, mistaken
    clause = _CLAUSE + "A.1"
    text = document.head(_MAX_TYPE + 1).decode("utf-8", "replace")
    declared = text.strip("\ufeff \t\r\n")
    entry = next(e for e in container.entries if e.name == "mimetype")
    if text != declared:
        defects.append(Defect(clause, "mimetype holds more than the media type", fatal=len(text) > _MAX_TYPE))
    if entry.offset != 0:
        defects.append(Defect(clause, "mimetype is not the first entry", fatal=False))
    if entry.method != STORED:
        defects.append(Defect(clause, "mimetype is compressed", fatal=False))
    if comment in _TYPES and declared in _TYPES and comment != declared:
        mistaken.append(Uncovered("mimetype", "says another type than the container's comment"))
    return declared, defects, mistaken


def _faults(container: Container) -> Iterator[Defect]:
    for fault in container.faults:
        named = f" ({_shown(fault.name)})" if fault.name else ""
        yield Defect("APPNOTE 6.3", fault.why + named, fatal=fault.grave)


def _shown(name: str) -> str:
    """An entry's name for a message: attackers' bytes are not echoed raw."""
    return "".join(c if c.isprintable() else "?" for c in name[:80])


def _shape(parts: Layout) -> Iterator[Defect]:
    """What each kind of container has to hold."""
    if parts.kind == SIMPLE and (len(parts.data) != 1 or "/" in parts.data[0]):
        yield Defect(_CLAUSE + "4.3.3.2", f"ASiC-S holds one file beside META-INF and mimetype, in its root; got {len(parts.data)}")
    if parts.kind != EXTENDED:
        return
    if not parts.data:
        yield Defect(_CLAUSE + "4.4.3", "ASiC-E holds no file beside META-INF and mimetype")
    if parts.xades and MANIFEST not in parts.other and not parts.manifests:
        yield Defect(_CLAUSE + "4.4.3.1", "ASiC-E with XAdES holds META-INF/manifest.xml, got none")
    if (parts.cades or parts.tokens) and not parts.manifests:
        yield Defect(_CLAUSE + "4.4.3.2", "ASiC-E with CAdES or time-stamps holds an ASiCManifest, got none")
