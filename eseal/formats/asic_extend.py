"""ASiC and OpenDocument raised (EN 319 162-1 clauses 4.3, 4.4 and annex A.7): signatures inside extended, or a new ASiCArchiveManifest over them.

All other files of the container keep the bytes in which they came; the signed documents are read, never copied.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import unquote

from eseal.draft import Draft
from eseal.extend import Extended, Tools, Wanted
from eseal.formats import archive, asic, cades_extend
from eseal.formats.asic import Listed
from eseal.formats.container_extend import opened, rebuilt
from eseal.formats.xades import extend as xades
from eseal.spec import Level
from trust.codecs import cms
from trust.codecs.container import Container
from trust.codecs.signed_data import signed_data
from trust.codecs.xml import parse
from trust.codecs.xml.names import local
from trust.errors import Malformed, Unacceptable
from trust.model import Digest, Document, Token

LARGEST = 64 << 20
"""Bytes of a file of META-INF."""
MOST_SIGNATURES = 100
_META = "META-INF/"
_LATEST = "ASiCArchiveManifest.xml"
CADES = re.compile(r"META-INF/[^/]*signature[^/]*\.p7s", re.IGNORECASE)
XADES = re.compile(r"META-INF/[^/]*signatures[^/]*\.xml", re.IGNORECASE)
MANIFEST = re.compile(r"META-INF/[^/]*ASiCManifest[^/]*\.xml", re.IGNORECASE)
ARCHIVE = re.compile(r"META-INF/[^/]*ASiCArchiveManifest[^/]*\.xml", re.IGNORECASE)
TOKEN = re.compile(r"META-INF/[^/]*timestamp[^/]*\.tst", re.IGNORECASE)
_TYPES = ((CADES, "application/pkcs7-signature"), (TOKEN, "application/vnd.etsi.timestamp-token"), (MANIFEST, "text/xml"), (ARCHIVE, "text/xml"))


def extend(document: Document, wanted: Wanted, tools: Tools, detached: Sequence[Document] = ()) -> Draft:  # noqa: ARG001  # nothing stands apart
    """Each signature of the container to the level that is wanted; renewed where it has that level already.

    Malformed for what is no container, Unacceptable for one that programs read differently or that an evidence record protects, Unavailable when
    token or status is not to be had.
    """
    found = opened(document)
    box = Box(found, tuple(found.documents.values()))
    for name in box.names(XADES):
        made, stamps = xades.extended_bytes(box.read(name), box.documents, wanted, tools)
        box.change(name, made, stamps)
    if box.names(CADES):
        (_manifested if box.names(MANIFEST) else _simple)(box, wanted, tools)
    if not box.names(CADES) and not box.names(XADES):
        raise Unacceptable("there is no signature in the container that is extended")
    return Extended(rebuilt(document, found, box.changed, box.added, tools.now), tuple(box.stamps)).draft()


@dataclass
class Box:
    """A container as it will be."""

    found: Container
    documents: tuple[Document, ...]
    """What signatures in it may be over."""
    changed: dict[str, bytes | None] = field(default_factory=dict)
    added: list[tuple[str, bytes]] = field(default_factory=list)
    stamps: list[Token] = field(default_factory=list)

    def names(self, pattern: re.Pattern[str]) -> list[str]:
        found = [name for name in self.found.documents if pattern.fullmatch(name)]
        if len(found) > MOST_SIGNATURES:
            raise Unacceptable(f"at most {MOST_SIGNATURES} files of one kind in META-INF expected, got {len(found)}")
        return found

    def read(self, name: str) -> bytes:
        """As it is now."""
        made = self.changed.get(name)
        return self.found.read(name, LARGEST) if made is None else made

    def change(self, name: str, data: bytes, stamps: Sequence[Token] = ()) -> None:
        if data != self.read(name):
            self.changed[name] = data
        self.stamps += stamps

    def data(self) -> Iterator[str]:
        """The files that are nobody's but the signers'."""
        return (name for name in self.found.documents if not name.startswith(_META) and name != "mimetype")

    def free(self, stem: str, ending: str) -> str:
        """The first of stem001, stem002, … that is not taken."""
        taken = {name.casefold() for name in (*self.found.documents, *(n for n, _ in self.added))}
        return next(name for n in range(1, 1000) if (name := f"{_META}{stem}{n:03}{ending}").casefold() not in taken)

    def digest(self, name: str, algorithm: str) -> Digest:
        if self.changed.get(name) is not None or name not in self.found.documents:
            return Digest.of(algorithm, self.read(name) if name in self.found.documents else dict(self.added)[name])
        made = self.found.documents[name].digest(algorithm)
        if made is None:
            raise Malformed("container entry has no content")
        return made


def _simple(box: Box, wanted: Wanted, tools: Tools) -> None:
    """Clause 4.3.3.2: the signature is over the one file, and everything is inside it."""
    data = [box.found.documents[name] for name in box.data()]
    for name in box.names(CADES):
        made, stamps = cades_extend.extended_bytes(box.read(name), data[0] if len(data) == 1 else None, wanted, tools)
        box.change(name, made, stamps)


def _manifested(box: Box, wanted: Wanted, tools: Tools) -> None:
    """Clause 4.4.3.2: signatures to B-LT at most; then an archive manifest. What an earlier archive manifest lists stays as it is."""
    listed = {name for manifest in box.names(ARCHIVE) for name in references(box.read(manifest))}
    inside = replace(wanted, level=Level.B_LT) if wanted.archive else wanted
    for name in box.names(CADES):
        # The status of a time-stamp beside a signature often stands in the signature.
        cades_extend.carried(signed_data(box.read(name)), tools)
    for name in box.names(CADES):
        if name not in listed:
            made, stamps = cades_extend.extended_bytes(box.read(name), None, inside, tools)
            box.change(name, made, stamps)
        elif not wanted.archive:
            raise Unacceptable("signatures of the container are archived already: they are renewed with B-LTA")
    if wanted.archive:
        archived(box, listed, tools)


def references(manifest: bytes) -> Iterator[str]:
    """Names of the files that a manifest lists."""
    for node in parse(manifest).root.iter():
        if local(node) == "DataObjectReference" and (uri := node.get("URI")):
            yield unquote(str(uri)).removeprefix("/")


def archived(box: Box, listed: set[str], tools: Tools) -> None:
    """Annex A.7: the newest time-stamps get what their own validation needs; the last manifest its number; the new one is over everything."""
    for name in box.names(TOKEN):
        if name not in listed:
            held = cms.token(box.read(name), tools.material.certs())
            box.change(name, archive.completed(held.der, tools.material.of_token(held)))
    root = _renumbered(box)
    target = box.free("timestamp", ".tst")
    names = [*box.data(), *(n for p in (MANIFEST, CADES, ARCHIVE, TOKEN) for n in box.names(p) if box.changed.get(n, b"") is not None)]
    names += [name for name, _ in box.added]
    entries = [Listed(name, box.digest(name, "sha256"), _type(name)) for name in names]
    manifest = asic.manifest(target, "application/vnd.etsi.timestamp-token", entries, root=root)
    token = tools.stamped(Digest.of("sha256", manifest))
    needed = tools.material.of_token(token)
    box.stamps.append(token)
    box.added += [(_META + _LATEST, manifest), (target, archive.completed(token.der, needed))]


def _renumbered(box: Box) -> str | None:
    """The last archive manifest under a name of its own: the newest one is ASiCArchiveManifest.xml."""
    last = next((name for name in box.names(ARCHIVE) if name.casefold() == (_META + _LATEST).casefold()), None)
    if last is None:
        return None
    data, name = box.read(last), box.free("ASiCArchiveManifest", ".xml")
    box.changed[last] = None
    box.added.append((name, data))
    return name


def _type(name: str) -> str | None:
    return next((media_type for pattern, media_type in _TYPES if pattern.fullmatch(name)), None)
