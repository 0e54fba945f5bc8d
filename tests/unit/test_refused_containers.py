"""Containers that a clause refuses, each beside its lawful twin: what the lists of files and the frames of signatures say must be so."""

import re
from collections.abc import Callable

import pytest

from tests import asic_maker, pki
from tests.refused import accepted, world
from tests.unit.test_refused_files import hashed, stamped
from tests.unit.test_refused_files import record as recorded
from trust.model import Digest

LISTED, SIGNED = "META-INF/manifest.xml", "META-INF/signatures001.xml"
MANIFEST, SIGNATURE = "META-INF/ASiCManifest001.xml", "META-INF/signature001.p7s"
ROOT = b"</asic:XAdESSignatures>"
Change = Callable[[bytes], bytes]


def stamper(imprint: Digest) -> bytes:
    return pki.token(world().tsu, imprint)


def typed(kind: bytes) -> Change:
    return lambda listed: listed.replace(b'"text/plain"', b'"' + kind + b'"', 1)


def before_end(more: bytes) -> Change:
    return lambda listed: listed.replace(b"</m:manifest>", more + b"</m:manifest>")


LISTS: dict[str, tuple[Change, bool]] = {
    "sound": (lambda listed: listed, True),
    "capitals": (typed(b"Text/Plain"), True),
    "parameter": (typed(b"text/plain;charset=UTF-8"), True),
    "octets": (typed(b"application/octet-stream"), True),
    "nothing": (typed(b""), True),
    "another type": (typed(b"application/pdf"), False),
    "twice": (before_end(b'<m:file-entry m:full-path="notice.txt" m:media-type="text/plain"/>'), False),
    "something else": (before_end(b"<m:note/>"), False),
}


@pytest.mark.parametrize("case", LISTS)
def test_the_list_of_files_says_what_the_signer_says(case: str) -> None:
    """EN 319 162-1 clause 4.4.3.1 beside EN 319 132-1 clause 5.2.4."""
    change, lawful = LISTS[case]
    made = asic_maker.extended_xades(world().signer)
    assert accepted(asic_maker.zipped({**made, LISTED: change(made[LISTED])})) is lawful


def test_types_of_a_signed_manifest_are_its_signers_too() -> None:
    for kind, lawful in (("text/plain", True), ("application/pdf", False)):
        made = asic_maker.extended_cades(world().signer)
        listed = made[MANIFEST].replace(b'URI="notice.txt"', b'URI="notice.txt" MimeType="text/plain"')
        other = asic_maker.plain_manifest(asic_maker.FILES).replace(b'"text/plain"', f'"{kind}"'.encode(), 1)
        box = {**made, MANIFEST: listed, SIGNATURE: asic_maker.cms(world().signer, listed), LISTED: other}
        assert accepted(asic_maker.zipped(box)) is lawful


FRAMES: dict[str, tuple[Change, bool]] = {
    "older namespace": (lambda signed: signed.replace(b"02918/v1.2.1#", b"02918/v1.1.1#"), True),
    "space": (lambda signed: signed.replace(ROOT, b"\n" + ROOT), True),
    "another root": (lambda signed: signed.replace(b"asic:XAdESSignatures", b"asic:Signatures"), False),
    "note": (lambda signed: signed.replace(ROOT, b"<asic:Note>1000 JPY</asic:Note>" + ROOT), False),
    "text": (lambda signed: signed.replace(ROOT, b"1000 JPY" + ROOT), False),
}


@pytest.mark.parametrize("case", FRAMES)
def test_a_signature_file_holds_signatures_alone(case: str) -> None:
    change, lawful = FRAMES[case]
    made = asic_maker.extended_xades(world().signer)
    assert accepted(asic_maker.zipped({**made, SIGNED: change(made[SIGNED])})) is lawful


def test_a_signature_file_holds_one_at_least() -> None:
    made = asic_maker.extended_xades(world().signer)
    for more in (b"", b"<x/>", b'<asic:XAdESSignatures xmlns:asic="http://uri.etsi.org/02918/v1.2.1#"/>'):
        assert not accepted(asic_maker.zipped({**made, "META-INF/signatures002.xml": more}))


def entry(listed: bytes) -> bytes:
    found = re.search(rb'<asic:DataObjectReference URI="notice.txt">.*?</asic:DataObjectReference>', listed)
    assert found is not None
    return found[0]


def doubled(name: bytes) -> Change:
    return lambda listed: listed.replace(entry(listed), entry(listed) + entry(listed).replace(b'"notice.txt"', name))


def covered(kind: bytes) -> Change:
    return lambda listed: listed.replace(b"application/pkcs7-signature", kind)


def extended(inside: bytes) -> Change:
    return lambda listed: listed.replace(
        b"</asic:ASiCManifest>", b"<asic:ASiCManifestExtensions>" + inside + b"</asic:ASiCManifestExtensions></asic:ASiCManifest>"
    )


def marked(flag: bytes) -> Change:
    return lambda listed: listed.replace(b'URI="notice.txt"', b'URI="notice.txt" Rootfile="' + flag + b'"')


MANIFESTS: dict[str, tuple[Change, bool]] = {
    "older name of CMS": (covered(b"application/x-pkcs7-signature"), True),
    "no kind": (lambda listed: listed.replace(b' MimeType="application/pkcs7-signature"', b""), True),
    "any kind": (covered(b"text/html"), True),
    "time-stamp": (covered(b"application/vnd.etsi.timestamp-token"), False),
    "XML": (covered(b"text/xml"), False),
    "twice": (doubled(b'"notice.txt"'), False),
    "twice, with a slash": (doubled(b'"/notice.txt"'), False),
    "twice, encoded": (doubled(b'"%6Eotice.txt"'), False),
    "root file": (marked(b"true"), True),
    "perhaps a root file": (marked(b"perhaps"), False),
    "extension": (extended(b'<asic:Extension Critical="false">x</asic:Extension>'), True),
    "critical extension": (extended(b'<asic:Extension Critical="1">x</asic:Extension>'), False),
    "extension of capitals": (extended(b'<asic:Extension Critical="TRUE">x</asic:Extension>'), False),
    "extension of no kind": (extended(b"<asic:Extension>x</asic:Extension>"), False),
    "no extension": (extended(b""), False),
    "rubbish in a digest": (lambda listed: listed.replace(b"<ds:DigestValue>", b"<ds:DigestValue>!", 1), False),
    "unused bits": (
        lambda listed: re.sub(rb"(.)=</ds:DigestValue>", lambda m: bytes((m[1][0] + 1,)) + b"=</ds:DigestValue>", listed, count=1),
        False,
    ),
    "no URI": (lambda listed: listed.replace(b' URI="notice.txt"', b""), False),
}


@pytest.mark.parametrize("case", MANIFESTS)
def test_a_manifest_says_what_is_so(case: str) -> None:
    """EN 319 162-1 annex A.4."""
    change, lawful = MANIFESTS[case]
    made = asic_maker.extended_cades(world().signer)
    listed = change(made[MANIFEST])
    assert accepted(asic_maker.zipped({**made, MANIFEST: listed, SIGNATURE: asic_maker.cms(world().signer, listed)})) is lawful


def test_a_time_stamp_of_several_files_has_a_manifest() -> None:
    """EN 319 162-1 clause 4.4.3.2."""
    made = asic_maker.extended_cades(world().signer)
    assert accepted(asic_maker.zipped(asic_maker.archived(made, stamper)))
    token = stamper(Digest.of("sha256", made["notice.txt"]))
    assert not accepted(asic_maker.zipped({**made, "META-INF/timestamp.tst": token}))


def test_a_stamp_over_a_manifest_that_calls_it_something_else_does_not_count() -> None:
    files = {"notice.txt": b"notice", "annex.txt": b"annex"}
    for kind, lawful in ((asic_maker.TOKEN_TYPE, True), ("application/pkcs7-signature", False)):
        listed = asic_maker.manifest("META-INF/timestamp.tst", files, kind=kind)
        box = {"mimetype": asic_maker.ASIC_E.encode(), **files, "META-INF/ASiCManifest.xml": listed}
        assert accepted(asic_maker.zipped({**box, "META-INF/timestamp.tst": stamper(Digest.of("sha256", listed))})) is lawful


def with_record(change: Change) -> bytes:
    files = {"notice.txt": b"notice", "annex.txt": b"annex"}
    listed = change(asic_maker.manifest("META-INF/evidencerecord.ers", files))
    values = sorted(hashed(data) for data in files.values())
    record = recorded(stamped(hashed(*values), [values])[0])
    made = {"mimetype": asic_maker.ASIC_E.encode(), **files, "META-INF/ASiCEvidenceRecordManifest001.xml": listed}
    return asic_maker.zipped({**made, "META-INF/evidencerecord.ers": record})


@pytest.mark.parametrize(
    ("change", "lawful"),
    [
        (lambda listed: listed.replace(b' MimeType="application/pkcs7-signature"', b""), True),
        (lambda listed: listed, False),
        (lambda listed: doubled(b'"notice.txt"')(listed.replace(b' MimeType="application/pkcs7-signature"', b"")), False),
    ],
    ids=["sound", "of a signature", "twice"],
)
def test_the_manifest_of_a_record_says_what_is_so(change: Change, lawful: bool) -> None:
    assert accepted(with_record(change)) is lawful
