"""ASiC-S and ASiC-E with CAdES (EN 319 162-1): documents and their seal in one ZIP. The documents are stored, and only named here."""

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
from eseal.levels import NEEDS, Means, digest_for, later, stamped
from eseal.spec import Format, Spec
from trust.algorithms import DIGESTS
from trust.errors import Malformed, Unacceptable
from trust.model import Digest, Document

MOST_DOCUMENTS = 40_000
"""Documents of one container: our own reader takes 50,000 entries."""
LONGEST_NAME = 1024
"""Bytes of an entry's name."""
_NAMESPACE, _DS = "http://uri.etsi.org/02918/v1.2.1#", "http://www.w3.org/2000/09/xmldsig#"
_META = "META-INF/"
SIMPLE_SIGNATURE = _META + "signature.p7s"
MANIFEST, SIGNATURE = _META + "ASiCManifest001.xml", _META + "signature001.p7s"
ARCHIVE_MANIFEST, TIME_STAMP = _META + "ASiCArchiveManifest.xml", _META + "timestamp001.tst"
_SIGNATURE_TYPE, _TOKEN_TYPE, _MANIFEST_TYPE = "application/pkcs7-signature", "application/vnd.etsi.timestamp-token", "text/xml"
_MEDIA_TYPE = re.compile(r"[!-~]{1,127}/[!-~]{1,127}(?:; ?[!-~]{1,200})*")
_MIMETYPE: Mapping[Format, bytes] = MappingProxyType(
    {Format.ASIC_S_CADES: b"application/vnd.etsi.asic-s+zip", Format.ASIC_E_CADES: b"application/vnd.etsi.asic-e+zip"}
)


def seal(document: Document, spec: Spec, means: Means, more: Sequence[Document] = ()) -> Draft:
    """EN 319 162-1 clauses 4.3.3.2 and 4.4.3.2, levels B-B to B-LTA. Each document is read twice: for its digest and for its checksum.

    Unacceptable for names that a container cannot have, for several documents in ASiC-S, and what cades.seal refuses; Unavailable as there.
    """
    documents = (document, *more)
    if spec.format is Format.ASIC_S_CADES and more:
        raise Unacceptable(f"ASiC-S holds one document, got {len(documents)}: several go into asic-e-cades")
    if len(documents) > MOST_DOCUMENTS:
        raise Unacceptable(f"a container holds at most {MOST_DOCUMENTS} documents, got {len(documents)}")
    files = _files(documents, digest_for(means.key.algorithm, spec.digest), flat=spec.format is Format.ASIC_S_CADES)
    meta, value, stamps = _WRITERS[spec.format](files, spec, means)
    return Draft(_container(_MIMETYPE[spec.format], files, meta, means.now), value, stamps)


@dataclass(frozen=True, slots=True)
class _File:
    """A document as an entry of the container."""

    name: str
    document: Document
    digest: Digest


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
    made_manifest = manifest(SIGNATURE, _SIGNATURE_TYPE, listed)
    made = cades.signed(Document.of(made_manifest), spec, means, replace(needs, archive=False), attached=False)
    meta = [(MANIFEST, made_manifest), (SIGNATURE, made.envelope.whole)]
    if not needs.archive:
        return meta, made.value, made.stamps
    types = {MANIFEST: _MANIFEST_TYPE, SIGNATURE: _SIGNATURE_TYPE}
    listed += [Listed(name, Digest.of(digest, data), types[name]) for name, data in meta]
    everything = manifest(TIME_STAMP, _TOKEN_TYPE, listed)
    token = stamped(means.stamp, Digest.of(digest, everything))
    complete = archive.completed(token.der, later(token, made.held, means.status))
    return [*meta, (ARCHIVE_MANIFEST, everything), (TIME_STAMP, complete)], made.value, (*made.stamps, token.der)


_WRITERS: Mapping[Format, Callable[[Sequence[_File], Spec, Means], _Made]] = MappingProxyType(
    {Format.ASIC_S_CADES: _simple, Format.ASIC_E_CADES: _extended}
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
