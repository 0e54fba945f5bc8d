"""ASiC-S and ASiC-E with CAdES or XAdES (EN 319 162-1): documents and their seal in one ZIP. The documents are stored, and only named here."""

import base64
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from eseal.draft import Draft, Span
from eseal.formats import archive, cades
from eseal.formats.container import Entry
from eseal.formats.container import archive as zipped
from eseal.formats.xades.markup import CANONICAL
from eseal.formats.xades.signature import Part
from eseal.formats.xades.signature import sign as sign_xml
from eseal.levels import NEEDS, Means, digest_for, later, stamped
from eseal.spec import Format, Spec
from trust.algorithms import DIGESTS
from trust.errors import Malformed, Unacceptable
from trust.model import Digest, Document

MOST_DOCUMENTS = 40_000
"""Documents of one container: our own reader takes 50,000 entries."""
MOST_IN_XML = 19_000
"""Documents of one XAdES signature."""
LONGEST_NAME = 1024
"""Bytes of an entry's name."""
_NAMESPACE, _DS = "http://uri.etsi.org/02918/v1.2.1#", "http://www.w3.org/2000/09/xmldsig#"
_PACKAGE = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"
_META = "META-INF/"
SIMPLE_SIGNATURE, SIMPLE_SIGNATURES = _META + "signature.p7s", _META + "signatures.xml"
MANIFEST, SIGNATURE = _META + "ASiCManifest001.xml", _META + "signature001.p7s"
PACKAGE_MANIFEST, SIGNATURES = _META + "manifest.xml", _META + "signatures001.xml"
SIMPLE_TIME_STAMP = _META + "timestamp.tst"
ARCHIVE_MANIFEST, TIME_STAMP = _META + "ASiCArchiveManifest.xml", _META + "timestamp001.tst"
ANYTHING = "application/octet-stream"
XML_HEAD = f'<?xml version="1.0" encoding="UTF-8"?>\n<asic:XAdESSignatures xmlns:asic="{_NAMESPACE}">'.encode()
XML_TAIL = b"</asic:XAdESSignatures>"
SIGNATURE_TYPE, _TOKEN_TYPE, _MANIFEST_TYPE = "application/pkcs7-signature", "application/vnd.etsi.timestamp-token", "text/xml"
_MEDIA_TYPE = re.compile(r"[!-~]{1,127}/[!-~]{1,127}(?:; ?[!-:<-~]{1,200})*+")
_SIMPLE, _EXTENDED = b"application/vnd.etsi.asic-s+zip", b"application/vnd.etsi.asic-e+zip"
_MIMETYPE: Mapping[Format, bytes] = MappingProxyType(
    {Format.ASIC_S_CADES: _SIMPLE, Format.ASIC_S_XADES: _SIMPLE, Format.ASIC_E_CADES: _EXTENDED, Format.ASIC_E_XADES: _EXTENDED}
)
MOST: Mapping[Format, int] = MappingProxyType(
    # A reader of XAdES takes 20,000 references in a signature (verifier.formats.xades.structure), and one is to the signed properties.
    {Format.ASIC_S_CADES: 1, Format.ASIC_S_XADES: 1, Format.ASIC_E_CADES: MOST_DOCUMENTS, Format.ASIC_E_XADES: MOST_IN_XML}
)


def seal(document: Document, spec: Spec, means: Means, more: Sequence[Document] = ()) -> Draft:
    """EN 319 162-1 clauses 4.3.3.2 and 4.4.3.2, levels B-B to B-LTA. Each document is read twice: for its digest and for its checksum.

    Unacceptable for names that a container cannot have, for more documents than it holds, and what cades.seal and xades.seal refuse; Unavailable
    as there.
    """
    documents, most = (document, *more), MOST[spec.format]
    if len(documents) > most == 1:
        raise Unacceptable(f"ASiC-S holds one document, got {len(documents)}: several go into {spec.format.replace('-s-', '-e-')}")
    if len(documents) > most:
        raise Unacceptable(f"a container of {spec.format} holds at most {most} documents, got {len(documents)}")
    files = _files(documents, digest_for(means.key.algorithm, spec.digest), flat=most == 1)
    meta, value, stamps = _WRITERS[spec.format](files, spec, means)
    return Draft(_container(_MIMETYPE[spec.format], files, meta, means.now), value, stamps)


def stamped_box(document: Document, token: bytes, at: datetime) -> tuple[bytes | Span, ...]:
    """Clause 4.3.3.2: ASiC-S with a time-stamp over its one document, META-INF/timestamp.tst, and no signature. Unacceptable for a name that a
    container cannot have."""
    [file] = _files((document,), "sha256", flat=True)
    return _container(_SIMPLE, (file,), [(SIMPLE_TIME_STAMP, token)], at)


@dataclass(frozen=True, slots=True)
class Packed:
    """A container to be, whose signature was made elsewhere."""

    format: Format
    documents: tuple[Document, ...]
    meta: tuple[tuple[str, bytes], ...]
    """Files of META-INF: signature, and the manifest that it is over."""


def packed(box: Packed, at: datetime) -> tuple[bytes | Span, ...]:
    """The container, with what lists its documents where its format has that. Unacceptable for a name that a container cannot have."""
    files, mimetype = _files(box.documents, "sha256", flat=MOST[box.format] == 1), _MIMETYPE[box.format]
    listed = [(PACKAGE_MANIFEST, package_manifest(mimetype.decode(), files))] if box.format is Format.ASIC_E_XADES else []
    return _container(mimetype, files, [*listed, *box.meta], at)


@dataclass(frozen=True, slots=True)
class _File:
    """A document as an entry of the container."""

    name: str
    document: Document
    digest: Digest

    @property
    def media_type(self) -> str | None:
        """As it was said, where it is one."""
        said = self.document.media_type
        return said if said is not None and _MEDIA_TYPE.fullmatch(said) else None


@dataclass(frozen=True, slots=True)
class Listed:
    """What a manifest says of an entry."""

    name: str
    digest: Digest
    media_type: str | None = None


_Meta = list[tuple[str, bytes]]
_Made = tuple[_Meta, bytes, tuple[bytes, ...]]
"""Files of META-INF, signature value, tokens."""


def _simple(files: Sequence[_File], spec: Spec, means: Means) -> _Made:
    """Clause 4.3.3.2: META-INF/signature.p7s over the one document, archive time-stamp and all inside it."""
    made = cades.signed(files[0].document, spec, means, NEEDS[spec.level], attached=False)
    return [(SIMPLE_SIGNATURE, made.envelope.whole)], made.value, made.stamps


def _extended(files: Sequence[_File], spec: Spec, means: Means) -> _Made:
    """Clause 4.4.3.2: a signature over an ASiCManifest that lists the documents. The archive time-stamp is over an ASiCArchiveManifest (item 5):
    an attribute of the signature would not hash the documents anew."""
    needs, digest = NEEDS[spec.level], files[0].digest.algorithm
    listed = [Listed(f.name, f.digest, f.document.media_type) for f in files]
    made_manifest = manifest(SIGNATURE, SIGNATURE_TYPE, listed)
    made = cades.signed(Document.of(made_manifest), spec, means, replace(needs, archive=False), attached=False)
    meta = [(MANIFEST, made_manifest), (SIGNATURE, made.envelope.whole)]
    if not needs.archive:
        return meta, made.value, made.stamps
    everything = archive_manifest(listed, meta, digest)
    token = stamped(means.stamp, Digest.of(digest, everything))
    complete = archive.completed(token.der, later(token, made.held, means.status))
    return [*meta, (ARCHIVE_MANIFEST, everything), (TIME_STAMP, complete)], made.value, (*made.stamps, token.der)


def archive_manifest(documents: Sequence[Listed], meta: Sequence[tuple[str, bytes]], digest: str) -> bytes:
    """Item 5: what the archive time-stamp is over: the documents, their manifest and the signature, which are `meta`."""
    types = {MANIFEST: _MANIFEST_TYPE, SIGNATURE: SIGNATURE_TYPE}
    return manifest(TIME_STAMP, _TOKEN_TYPE, [*documents, *(Listed(name, Digest.of(digest, data), types[name]) for name, data in meta)])


def _simple_xml(files: Sequence[_File], spec: Spec, means: Means) -> _Made:
    """Clause 4.3.3.2: META-INF/signatures.xml over the one document, archive time-stamp and all inside it."""
    return _signed_xml(SIMPLE_SIGNATURES, files, spec, means)


def _extended_xml(files: Sequence[_File], spec: Spec, means: Means) -> _Made:
    """Clause 4.4.3.1: a reference to each document, archive time-stamp and all inside the signature; META-INF/manifest.xml lists what is here."""
    meta, value, stamps = _signed_xml(SIGNATURES, files, spec, means)
    return [(PACKAGE_MANIFEST, package_manifest(_MIMETYPE[spec.format].decode(), files)), *meta], value, stamps


def _signed_xml(name: str, files: Sequence[_File], spec: Spec, means: Means) -> _Made:
    """Annex A.5: a ds:Signature in asic:XAdESSignatures."""
    parts = [Part(quote(f.name), f.digest, f.document.chunks, f.media_type or ANYTHING) for f in files]
    made = sign_xml(parts, spec, means, around=(XML_HEAD, XML_TAIL), c14n=CANONICAL[spec.canonicalization])
    data = b"".join((XML_HEAD, *(p for p in made.pieces if isinstance(p, bytes)), XML_TAIL))
    return [(name, data)], made.value, tuple(t.der for t in made.stamps)


def package_manifest(mimetype: str, files: Sequence[_File]) -> bytes:
    """ISO/IEC 26300-3 clause 4, as EN 319 162-1 clause 4.4.3.1 has it: the container and each document with its media type."""
    listed = "".join(_file_entry(f.name, f.media_type or ANYTHING) for f in files)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<manifest:manifest xmlns:manifest="{_PACKAGE}" manifest:version="1.2">\n{_file_entry("/", mimetype)}{listed}</manifest:manifest>\n'
    ).encode()


def _file_entry(name: str, media_type: str) -> str:
    return f"<manifest:file-entry manifest:full-path={quoteattr(name)} manifest:media-type={quoteattr(media_type)}/>\n"


_WRITERS: Mapping[Format, Callable[[Sequence[_File], Spec, Means], _Made]] = MappingProxyType(
    {
        Format.ASIC_S_CADES: _simple,
        Format.ASIC_S_XADES: _simple_xml,
        Format.ASIC_E_CADES: _extended,
        Format.ASIC_E_XADES: _extended_xml,
    }
)


def _files(documents: Sequence[Document], digest: str, *, flat: bool) -> list[_File]:
    found: list[_File] = []
    taken: set[str] = set()
    for document in documents:
        name = entry_name(document.name, flat=flat)
        # Programs unpack into file systems that do not tell capitals apart.
        if name.casefold() in taken:
            raise Unacceptable(f"two documents have the same name in the container: {_shown(name)}")
        taken.add(name.casefold())
        made = document.digest(digest)
        if made is None or document.size is None:
            raise Malformed("only digests of this document are known")
        found.append(_File(name, document, made))
    return found


def entry_name(name: str | None, *, flat: bool) -> str:
    """The name of a document in a container: a relative path that every program unpacks to the same place; without folders where `flat`.

    Unacceptable for one that leads out of the folder, hides, or is the container's own.
    """
    given = name or "document"
    if flat:
        given = given.rpartition("/")[2]
    parts = given.split("/")
    odd = "\\" in given or ":" in parts[0] or any(part in ("", ".", "..") for part in parts) or not given.isprintable()
    own = parts[0].casefold() in ("meta-inf", "mimetype")
    if odd or own or len(given.encode("utf-8", "surrogatepass")) > LONGEST_NAME:
        raise Unacceptable(f"a document's name cannot stand in a container: {_shown(given)}")
    return given


def _shown(name: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in name[:80])


def manifest(target: str, target_type: str, listed: Sequence[Listed], root: str | None = None) -> bytes:
    """Annex A.4: ASiCManifest. `root` is the name of the archive manifest that this one prolongs (annex A.7)."""
    references = "".join(_reference(one, root) for one in listed)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<asic:ASiCManifest xmlns:asic="{_NAMESPACE}" xmlns:ds="{_DS}">'
        f'<asic:SigReference URI="{target}" MimeType="{target_type}"/>\n{references}</asic:ASiCManifest>\n'
    ).encode()


def _reference(listed: Listed, root: str | None) -> str:
    said = listed.media_type
    media_type = f" MimeType={quoteattr(said)}" if said is not None and _MEDIA_TYPE.fullmatch(said) else ""
    value = base64.b64encode(listed.digest.value).decode()
    first = ' Rootfile="true"' if listed.name == root else ""
    return (
        f'<asic:DataObjectReference URI="{quote(listed.name)}"{media_type}{first}>'
        f'<ds:DigestMethod Algorithm="{DIGESTS[listed.digest.algorithm].xml}"/><ds:DigestValue>{value}</ds:DigestValue></asic:DataObjectReference>\n'
    )


def _container(mimetype: bytes, files: Sequence[_File], meta: _Meta, at: datetime) -> tuple[bytes | Span, ...]:
    """Annex A.1: the media type first and stored, so that it can be told from the first bytes; the documents; META-INF."""
    entries = [Entry("mimetype", mimetype, zlib.crc32(mimetype))]
    start = 0
    for file in files:
        stop = start + (file.document.size or 0)
        entries.append(Entry(file.name, Span(start, stop), _crc(file.document)))
        start = stop
    entries += [Entry(name, data, zlib.crc32(data)) for name, data in meta]
    return zipped(entries, at)


def _crc(document: Document) -> int:
    found = 0
    for chunk in document.chunks():
        found = zlib.crc32(chunk, found)
    return found
