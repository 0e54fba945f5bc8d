"""ASiC manifests: EN 319 162-1 annex A.4. They list files with their digests, and name the signature, time-stamp or record that covers the list."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from trust.codecs.xml import parse
from trust.codecs.xml.names import DS, digest_name, octets_of, split
from trust.codecs.xml.shape import Shape, Shapes, is_base64, misfit
from trust.errors import Malformed, TooLarge, Unacceptable
from trust.model import Defect, Digest, Document, Reference, Scope
from verifier.formats.asic.layout import Layout

MAX_MANIFEST = 32 << 20
"""Bytes: 600 for each of 50,000 files."""
MAX_LISTED = 100_000
"""Entries of all manifests of a container: 10,000 files, archived nine times."""
NAMESPACES = frozenset(("http://uri.etsi.org/02918/v1.2.1#", "http://uri.etsi.org/02918/v1.1.1#", "http://uri.etsi.org/2918/v1.2.1#"))
"""The last is X-Road's."""
_CLAUSE = "EN 319 162-1 annex A.4"
_METHOD, _VALUE = f"{{{DS}}}DigestMethod", f"{{{DS}}}DigestValue"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that a manifest names."""

    uri: str
    name: str
    """Percent-decoded."""
    digest: Digest | None
    media_type: str | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """One manifest file."""

    name: str
    """Of the container entry."""
    target: str
    """What SigReference names, percent-decoded."""
    entries: tuple[Entry, ...]
    defects: tuple[Defect, ...] = ()

    @property
    def archive(self) -> bool:
        return "ASiCArchiveManifest" in self.name

    @property
    def for_record(self) -> bool:
        return "ASiCEvidenceRecordManifest" in self.name


def manifests(parts: Layout) -> tuple[tuple[Manifest, ...], tuple[Defect, ...]]:
    """All that can be read, and what cannot, as defects."""
    found: list[Manifest] = []
    defects: list[Defect] = []
    for name in parts.manifests:
        try:
            found.append(manifest(name, parts.container.read(name, MAX_MANIFEST)))
        except Malformed as error:
            defects.append(Defect(_CLAUSE, f"manifest cannot be read: {error}"))
        if sum(len(m.entries) for m in found) > MAX_LISTED:
            raise TooLarge(f"manifests of the container name more than {MAX_LISTED} files")
    return tuple(found), tuple(defects)


def manifest(name: str, data: bytes) -> Manifest:
    """Malformed where the root is no ASiCManifest."""
    root = parse(data).root
    namespace, local = split(root.tag)
    if local != "ASiCManifest" or namespace not in NAMESPACES:
        raise Malformed("element ASiCManifest expected")
    targets = [unquote(child.get("URI", "")) for child in root.iterchildren(f"{{{namespace}}}SigReference")]
    if len(targets) != 1:
        raise Malformed(f"one element SigReference expected, got {len(targets)}")
    entries = tuple(_entry(child) for child in root.iterchildren(f"{{{namespace}}}DataObjectReference"))
    return Manifest(name, targets[0].removeprefix("/"), entries, (*_critical(root), *_strays(root), *_mistaken(targets[0], root, entries)))


def _entry(element: Any) -> Entry:
    uri = element.get("URI", "")
    methods, values = element.findall(_METHOD), element.findall(_VALUE)
    algorithm = digest_name(methods[0]) if len(methods) == 1 else None
    try:
        digest = Digest(algorithm, octets_of(values[0])) if algorithm and len(values) == 1 else None
    except Malformed:
        digest = None
    return Entry(uri, unquote(uri), digest, element.get("MimeType") or None)


_MODELS = {
    "ASiCManifest": Shape.of("SigReference,(DataObjectReference,)*(ASiCManifestExtensions,)?", "Id"),
    "SigReference": Shape.of("(DataObjectReference,)*", "Id", "URI!", "MimeType"),
    "DataObjectReference": Shape.of("ds:DigestMethod,ds:DigestValue,(DataObjectReferenceExtensions,)?", "Id", "URI!", "MimeType", "Rootfile"),
    "ASiCManifestExtensions": Shape.of("(Extension,)+"),
    "DataObjectReferenceExtensions": Shape.of("(Extension,)+"),
    "Extension": Shape.of(None, "Critical!"),
}
_SHAPES: Shapes = {
    **{(namespace, name): shape for namespace in NAMESPACES for name, shape in _MODELS.items()},
    (DS, "DigestMethod"): Shape.of("", "Algorithm!", mixed=True),
    (DS, "DigestValue"): Shape.of("", text=is_base64),
}
"""The schema of EN 319 162-1 annex A.4; files that are listed inside of SigReference are listed nowhere, and that is told elsewhere."""


def _strays(root: Any) -> list[Defect]:
    why = next(filter(None, (misfit(element, _SHAPES) for element in root.iter("*"))), None)
    return [] if why is None else [Defect(_CLAUSE, why, fatal=False, refused=True)]


_KINDS = {"application/pkcs7-signature": ".p7s", "application/x-pkcs7-signature": ".p7s", "application/vnd.etsi.timestamp-token": ".tst"}
_XML = frozenset(("application/xml", "text/xml"))
"""Media types of what covers a manifest. deviates: others say nothing here, because makers write whatever they like."""


def _mistaken(target: str, root: Any, entries: Sequence[Entry]) -> list[Defect]:
    """What a manifest says of the file that covers it is so, and it lists each file once."""
    kind = next(iter(root.iterchildren("{*}SigReference"))).get("MimeType", "").strip().lower()
    found = []
    if (kind in _KINDS and not target.endswith(_KINDS[kind])) or (kind in _XML and target.endswith((".p7s", ".tst"))):
        found.append("manifest says that it is covered by another kind of file than it names")
    names = [entry.name.removeprefix("/") for entry in entries]
    if len(set(names)) < len(names):
        found.append("manifest lists a file twice")
    return [Defect(_CLAUSE, why, fatal=False, refused=True) for why in found]


def _critical(root: Any) -> list[Defect]:
    """No extension of manifests is defined, so none that must be understood is; and one file at most is the one to begin with."""
    marked = [
        e for e in root.iter() if isinstance(e.tag, str) and split(e.tag)[1] == "Extension" and e.get("Critical", "false").strip() in ("true", "1")
    ]
    flags = [e.get(name) for e in root.iter("*") for name in ("Critical", "Rootfile") if e.get(name) is not None]
    if any(flag.strip() not in ("true", "false", "1", "0") for flag in flags):
        return [Defect(_CLAUSE, "manifest has a flag that is neither true nor false", fatal=False, refused=True)]
    roots = [e for e in root.iterchildren("{*}DataObjectReference") if e.get("Rootfile", "false").strip() in ("true", "1")]
    if len(roots) > 1:
        return [Defect(_CLAUSE, "manifest has more than one root file", fatal=False, refused=True)]
    return [Defect(_CLAUSE, "manifest has a critical extension that is not understood here")] if marked else []


def references(parts: Layout, of: Manifest) -> tuple[Reference, ...]:
    """Each entry held against the file that it names."""
    return tuple(reference(parts.find(entry.name) or parts.find(entry.uri), entry) for entry in of.entries)


def reference(document: Document | None, entry: Entry) -> Reference:
    try:
        made = None if document is None or entry.digest is None else document.digest(entry.digest.algorithm)
    except Unacceptable:
        made = None
    return Reference(
        entry.name, document is not None, made is not None and made == entry.digest, Scope.FULL, entry.digest, entry.uri, entry.media_type
    )


def linked(found: Sequence[Manifest], name: str) -> tuple[Manifest, ...]:
    """The manifests that name this signature, time-stamp or record."""
    return tuple(m for m in found if m.target == name)
