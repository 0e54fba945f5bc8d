"""Signature containers made for tests with zipfile and the other makers. Keyword arguments state only the defect."""

import base64
import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from tests.envelopes import envelope, signer_info
from tests.pki import Party
from tests.xades_maker import detached
from trust.model import Digest
from trust.ports import Stamper

ASIC_S, ASIC_E = "application/vnd.etsi.asic-s+zip", "application/vnd.etsi.asic-e+zip"
OPEN_DOCUMENT = "application/vnd.oasis.opendocument.text"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
FILES = {"notice.txt": b"a notice\n", "data/table one.csv": b"a,b\n1,2\n"}
TOKEN_TYPE = "application/vnd.etsi.timestamp-token"

Entries = Mapping[str, bytes]


def zipped(entries: Entries | Sequence[tuple[str, bytes]], *, method: int = zipfile.ZIP_DEFLATED, comment: bytes = b"") -> bytes:
    """A ZIP in the order given; `mimetype` is stored."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as box:
        for name, data in entries.items() if isinstance(entries, Mapping) else entries:
            info = zipfile.ZipInfo(name, (2025, 3, 1, 9, 0, 0))
            info.compress_type = zipfile.ZIP_STORED if name == "mimetype" else method
            box.writestr(info, data)
        box.comment = comment
    return out.getvalue()


def manifest(target: str, files: Entries, *, kind: str = "application/pkcs7-signature", digests: Entries | None = None) -> bytes:
    """An ASiCManifest; `digests` are of other contents than the files'."""
    listed = "".join(
        f'<asic:DataObjectReference URI="{quote(name)}"><ds:DigestMethod Algorithm="{SHA256}"/><ds:DigestValue>'
        f"{base64.b64encode(hashlib.sha256((digests or files)[name]).digest()).decode()}</ds:DigestValue></asic:DataObjectReference>"
        for name in files
    )
    return (
        '<asic:ASiCManifest xmlns:asic="http://uri.etsi.org/02918/v1.2.1#" xmlns:ds="http://www.w3.org/2000/09/xmldsig#">'
        f'<asic:SigReference URI="{quote(target)}" MimeType="{kind}"/>{listed}</asic:ASiCManifest>'
    ).encode()


def plain_manifest(files: Entries, kind: str = ASIC_E) -> bytes:
    """META-INF/manifest.xml."""
    listed = "".join(f'<m:file-entry m:full-path="{name}" m:media-type="text/plain"/>' for name in files)
    return (
        f'<m:manifest xmlns:m="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"><m:file-entry m:full-path="/" m:media-type="{kind}"/>'
        f"{listed}</m:manifest>"
    ).encode()


def cms(party: Party, content: bytes) -> bytes:
    return envelope([signer_info(party, content)], certs=(party.certificate, *party.chain))


def simple_cades(party: Party, files: Entries | None = None, *, mimetype: str = ASIC_S) -> dict[str, bytes]:
    files = files or {"notice.txt": FILES["notice.txt"]}
    return {"mimetype": mimetype.encode(), **files, "META-INF/signature.p7s": cms(party, next(iter(files.values())))}


def extended_cades(party: Party, files: Entries | None = None, *, number: int = 1, mimetype: str = ASIC_E) -> dict[str, bytes]:
    files = FILES if files is None else files
    name = f"META-INF/signature{number:03}.p7s"
    listed = manifest(name, files)
    return {"mimetype": mimetype.encode(), **files, f"META-INF/ASiCManifest{number:03}.xml": listed, name: cms(party, listed)}


def extended_xades(party: Party, files: Entries | None = None) -> dict[str, bytes]:
    files = FILES if files is None else files
    signed = detached(party, {quote(name): data for name, data in files.items()})
    wrapped = b'<asic:XAdESSignatures xmlns:asic="http://uri.etsi.org/02918/v1.2.1#">' + signed + b"</asic:XAdESSignatures>"
    return {"mimetype": ASIC_E.encode(), **files, "META-INF/manifest.xml": plain_manifest(files), "META-INF/signatures001.xml": wrapped}


def simple_stamp(stamper: Stamper, files: Entries | None = None) -> dict[str, bytes]:
    files = files or {"notice.txt": FILES["notice.txt"]}
    token = stamper(Digest.of("sha256", next(iter(files.values()))))
    return {"mimetype": ASIC_S.encode(), **files, "META-INF/timestamp.tst": token}


def archived(entries: Entries, stamper: Stamper, number: int = 1) -> dict[str, bytes]:
    """With an archive time-stamp over everything but the mimetype."""
    token_name = f"META-INF/timestamp{number:03}.tst"
    covered = {name: data for name, data in entries.items() if name != "mimetype"}
    listed = manifest(token_name, covered, kind=TOKEN_TYPE)
    return {**entries, f"META-INF/ASiCArchiveManifest{number:03}.xml": listed, token_name: stamper(Digest.of("sha256", listed))}


def open_document(party: Party, files: Entries | None = None, *, leave_out: Sequence[str] = ()) -> dict[str, bytes]:
    files = {"content.xml": b"<c/>", "styles.xml": b"<s/>"} if files is None else files
    signed = {"mimetype": OPEN_DOCUMENT.encode(), **files, "META-INF/manifest.xml": plain_manifest(files, OPEN_DOCUMENT)}
    chosen = {name: data for name, data in signed.items() if name not in leave_out}
    body = detached(party, chosen)
    wrapped = b'<document-signatures xmlns="urn:oasis:names:tc:opendocument:xmlns:digitalsignature:1.0">' + body + b"</document-signatures>"
    return {**signed, "META-INF/documentsignatures.xml": wrapped}
