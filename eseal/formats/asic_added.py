"""One signature more in an ASiC-E container that is signed already (EN 319 162-1 clause 4.4): over the same files, in a signature file of its own.

All files of the container keep the bytes in which they came.
"""

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import quote

from eseal.draft import Draft
from eseal.extend import Tools
from eseal.extend_material import Known, Material
from eseal.formats import asic, asic_extend, cades
from eseal.formats.asic import ANYTHING, XML_HEAD, XML_TAIL, Listed
from eseal.formats.asic_extend import Box
from eseal.formats.container_extend import opened, rebuilt
from eseal.formats.xades.markup import CANONICAL
from eseal.formats.xades.signature import Part, sign
from eseal.levels import NEEDS, Means, digest_for
from eseal.spec import Format, Spec
from trust.errors import Malformed, Unacceptable
from trust.model import Digest, Document

_MIMETYPE = b"application/vnd.etsi.asic-e+zip"
_LONGEST_MIMETYPE = 512
_LARGEST_MANIFEST = 32 << 20


def parallel(document: Document, spec: Spec, means: Means, more: Sequence[Document] = ()) -> Draft:
    """Malformed for what is no container; Unacceptable for one that is not ASiC-E, holds signatures of the other kind, or is read differently by
    programs; Unavailable as for a seal. Nothing stands apart of a container, so that there is no `more`."""
    if more:
        raise Unacceptable(f"all that a container's signatures are over is inside it: one document expected, got {1 + len(more)}")
    found = opened(document)
    box = Box(found, tuple(found.documents.values()))
    names = list(box.data())
    _require(box, names, spec)
    if spec.format is Format.ASIC_E_XADES:
        value, stamps = _xades(box, names, spec, means)
    else:
        value, stamps = _cades(box, names, spec, means)
    stamps = (*stamps, *(t.der for t in box.stamps))
    return Draft(rebuilt(document, found, box.changed, box.added, means.now), value, stamps)


def _require(box: Box, names: Sequence[str], spec: Spec) -> None:
    if "mimetype" not in box.found.documents or box.found.read("mimetype", _LONGEST_MIMETYPE).strip() != _MIMETYPE:
        raise Unacceptable("a signature is added to ASiC-E containers; this is none by its mimetype")
    held = {Format.ASIC_E_XADES: box.names(asic_extend.XADES), Format.ASIC_E_CADES: box.names(asic_extend.CADES)}
    if not held[spec.format]:
        other = next((kind for kind, files in held.items() if files), None)
        told = "is not signed yet" if other is None else f"is {other}: name that format"
        raise Unacceptable(f"the container {told}, got {spec.format}")
    most = asic.MOST[spec.format]
    if not 0 < len(names) <= most:
        raise Unacceptable(f"a container with 1 to {most} documents expected, got {len(names)}")


def _digest(box: Box, name: str, spec: Spec, means: Means) -> Digest:
    found = box.found.documents[name].digest(digest_for(means.key.algorithm, spec.digest))
    if found is None:
        raise Malformed("container entry has no content")
    return found


def _xades(box: Box, names: Sequence[str], spec: Spec, means: Means) -> tuple[bytes, tuple[bytes, ...]]:
    """Clause 4.4.3.1: a signature file more, archive time-stamp and all inside it."""
    parts = [Part(quote(n), _digest(box, n, spec, means), box.found.documents[n].chunks, ANYTHING) for n in names]
    made = sign(parts, spec, means, around=(XML_HEAD, XML_TAIL), c14n=CANONICAL[spec.canonicalization])
    data = b"".join((XML_HEAD, *(p for p in made.pieces if isinstance(p, bytes)), XML_TAIL))
    box.added.append((box.free("signatures", ".xml"), data))
    return made.value, tuple(t.der for t in made.stamps)


def _cades(box: Box, names: Sequence[str], spec: Spec, means: Means) -> tuple[bytes, tuple[bytes, ...]]:
    """Clause 4.4.3.2: a manifest and a signature more; at B-LTA an archive manifest over everything, which prolongs the one before."""
    needs, signature, manifest = NEEDS[spec.level], box.free("signature", ".p7s"), box.free("ASiCManifest", ".xml")
    listed = [Listed(n, _digest(box, n, spec, means)) for n in names]
    stated = asic.manifest(signature, asic.SIGNATURE_TYPE, listed)
    made = cades.signed(Document.of(stated), spec, means, replace(needs, archive=False), attached=False)
    box.added += [(manifest, stated), (signature, made.envelope.whole)]
    if needs.archive:
        before = {name for one in box.names(asic_extend.ARCHIVE) for name in asic_extend.references(box.found.read(one, _LARGEST_MANIFEST))}
        material = Material(Known(), means.status)
        material.add(made.held.certs, made.held.crls, made.held.ocsps)
        material.add((means.key.certificate, *means.key.chain))
        asic_extend.archived(box, before, Tools(means.stamp, material, means.now))
    return made.value, made.stamps
