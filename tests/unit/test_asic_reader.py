"""verifier.formats.asic: which file of a container is signed by what, and what an attacker may not gain. Each attack beside its lawful twin."""

import functools
import hashlib
import io
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import pki
from tests.asic_maker import (
    ASIC_E,
    ASIC_S,
    FILES,
    archived,
    cms,
    extended_cades,
    extended_xades,
    manifest,
    open_document,
    plain_manifest,
    simple_cades,
    simple_stamp,
    zipped,
)
from tests.reading import fatal, intact, stamp_intact
from tests.shared import SHARED, needs_shared
from tests.xades_maker import detached
from trust.errors import Malformed, TooLarge
from trust.model import Digest, Document, Evidence, Scope, StampKind, identify
from verifier.formats import asic

Entries = dict[str, bytes]


@functools.cache
def world() -> pki.Pki:
    return pki.pki()


def read(entries: "Mapping[str, bytes] | bytes", name: str | None = None, **how: Any) -> Evidence:
    return asic.read(Document.of(entries if isinstance(entries, bytes) else zipped(entries, **how), name))


def grave(evidence: Evidence) -> list[str]:
    return [u.name for u in evidence.uncovered if u.grave]


def broken(evidence: Evidence) -> list[str]:
    return [d.why for d in evidence.defects if d.fatal]


MAKERS = {
    "ASiC-S with CAdES": (simple_cades, "ASiC-S"),
    "ASiC-E with CAdES": (extended_cades, "ASiC-E"),
    "ASiC-E with XAdES": (extended_xades, "ASiC-E"),
    "OpenDocument": (open_document, "ODF"),
}


@pytest.mark.parametrize("maker", MAKERS)
def test_a_sound_container(maker: str) -> None:
    make, kind = MAKERS[maker]
    entries = make(world().signer)
    evidence = read(entries)
    (signature,) = evidence.signatures
    assert evidence.kind == kind and intact(signature)
    assert not grave(evidence) and not evidence.defects
    assert signature.signer == world().signer.certificate and signature.field is not None and signature.field.startswith("META-INF/")
    assert {d.name for d in evidence.documents} == {n for n in entries if not n.startswith("META-INF/") and n != "mimetype"}


@pytest.mark.parametrize("maker", MAKERS)
def test_a_file_that_was_changed(maker: str) -> None:
    entries = MAKERS[maker][0](world().signer)
    name = next(n for n in entries if n != "mimetype" and not n.startswith("META-INF/"))
    evidence = read({**entries, name: b"changed"})
    assert not intact(evidence.signatures[0]) and name in grave(evidence)


@pytest.mark.parametrize("maker", MAKERS)
def test_a_file_that_nothing_signs(maker: str) -> None:
    entries = MAKERS[maker][0](world().signer)
    evidence = read({**entries, "added.txt": b"added later"})
    assert intact(evidence.signatures[0])
    assert "added.txt" in grave(evidence)
    further = read({**entries, "META-INF/application.xml": b"<x/>"})
    assert not grave(further) and not broken(further)  # a remark, and no alarm
    assert [u.name for u in further.uncovered] == ["META-INF/application.xml"]


def test_plain_zip_and_what_is_none() -> None:
    assert read({"a.txt": b"x"}).kind == "ZIP" and not read({"a.txt": b"x"}).uncovered
    with pytest.raises(Malformed):
        read(b"PK\3\4 and no more")


# The container.


def test_names_that_stand_twice_break_every_signature() -> None:
    entries = list(extended_cades(world().signer).items())
    with pytest.warns(UserWarning, match="Duplicate"):
        data = zipped([*entries, ("notice.txt", b"another notice")])
    assert any("twice" in why for why in broken(read(data)))
    assert not broken(read(zipped(entries)))


@pytest.mark.parametrize(
    ("added", "lawful"),
    [("NOTICE.TXT", False), ("Data/table one.csv", False), ("notice2.txt", True), ("cafe\u0301.txt", False), ("cafe.txt", True)],
)
def test_names_that_are_one_to_many_programs(added: str, lawful: bool) -> None:
    evidence = read(extended_cades(world().signer, {**FILES, "caf\u00e9.txt": b"x", added: b"another"}))
    assert intact(evidence.signatures[0]) and not grave(evidence)
    assert (not evidence.defects) is lawful and not broken(evidence)  # told, and each of them is signed
    loose = read({**extended_cades(world().signer, {**FILES, "caf\u00e9.txt": b"x"}), added: b"another"})
    assert grave(loose) == [added]


@pytest.mark.parametrize(("told", "lawful"), [("notice.txt", True), ("another.txt", False)])
def test_a_second_name_in_the_unicode_path(told: str, lawful: bool) -> None:
    body = b"\x01" + zlib.crc32(b"notice.txt").to_bytes(4, "little") + told.encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as box:
        for name, data in extended_cades(world().signer).items():
            info = zipfile.ZipInfo(name)
            info.extra = (0x7075).to_bytes(2, "little") + len(body).to_bytes(2, "little") + body if name == "notice.txt" else b""
            box.writestr(info, data)
    evidence = read(out.getvalue())
    assert intact(evidence.signatures[0]) and (not broken(evidence)) is lawful


@pytest.mark.parametrize("name", ["../notice.txt", "/notice.txt"])
def test_names_that_lead_out(name: str) -> None:
    assert broken(read({**extended_cades(world().signer), name: b"x"}))


@pytest.mark.parametrize(
    ("mimetype", "twin"),
    [("application/pdf", False), ("text/plain", False), (ASIC_E + "\n", True), (ASIC_E, True)],
)
def test_a_mimetype_that_says_something_else(mimetype: str, twin: bool) -> None:
    evidence = read(extended_cades(world().signer, mimetype=mimetype))
    assert intact(evidence.signatures[0])
    assert ("mimetype" in grave(evidence)) is not twin


def test_a_mimetype_of_the_other_kind() -> None:
    assert broken(read(extended_cades(world().signer, mimetype=ASIC_S)))
    assert broken(read(simple_cades(world().signer, mimetype=ASIC_E)))


def test_mimetype_and_comment_agree() -> None:
    entries = extended_cades(world().signer)
    assert "mimetype" in grave(read(entries, comment=b"mimetype=" + ASIC_S.encode()))
    assert not grave(read(entries, comment=b"mimetype=" + ASIC_E.encode()))


def test_a_mimetype_that_is_compressed_or_not_first_is_an_oddity() -> None:
    entries = extended_cades(world().signer)
    last = {n: entries[n] for n in (*(n for n in entries if n != "mimetype"), "mimetype")}
    evidence = read(last)
    assert intact(evidence.signatures[0]) and evidence.defects and not broken(evidence)


def test_the_kind_is_told_from_within_or_else_from_the_extension() -> None:
    entries = {n: d for n, d in simple_stamp(pki.stamper(world().tsu)).items() if n != "mimetype"}
    assert read(entries).kind == "ASiC-S" and read(entries, "x.asice").kind == "ASiC-E"
    assert read(entries, comment=b"mimetype=" + ASIC_S.encode(), name="x.asice").kind == "ASiC-S"


def test_asic_s_holds_one_file() -> None:
    two = {**simple_cades(world().signer), "second.txt": b"x"}
    assert broken(read(two)) and "second.txt" in grave(read(two))
    folder = simple_cades(world().signer, {"folder/notice.txt": b"a notice\n"})
    assert broken(read(folder))


def test_a_bomb() -> None:
    with pytest.raises(TooLarge):
        read({**extended_cades(world().signer), "zeros": bytes(200 << 20)})


def test_a_byte_flipped_in_a_stored_file() -> None:
    data = zipped(extended_cades(world().signer), method=zipfile.ZIP_STORED)
    assert data.count(b"a notice\n") == 1
    evidence = read(data.replace(b"a notice\n", b"a Notice\n"))
    assert [r.intact for r in evidence.signatures[0].references] == [True, False, True]
    assert any("checksum" in why for why in broken(evidence))


# Manifests.


def test_the_manifest_lists_what_is_signed() -> None:
    (signature,) = read(extended_cades(world().signer)).signatures
    assert [(r.name, r.scope, r.intact) for r in signature.references] == [
        ("META-INF/ASiCManifest001.xml", Scope.MANIFEST, True),
        ("notice.txt", Scope.FULL, True),
        ("data/table one.csv", Scope.FULL, True),
    ]


def test_a_manifest_that_was_changed() -> None:
    entries = extended_cades(world().signer)
    forged = manifest("META-INF/signature001.p7s", {**FILES, "added.txt": b"added"})
    evidence = read({**entries, "added.txt": b"added", "META-INF/ASiCManifest001.xml": forged})
    assert not intact(evidence.signatures[0]) and "added.txt" in grave(evidence)


def test_a_second_manifest_that_nothing_signs() -> None:
    entries = extended_cades(world().signer)
    second = manifest("META-INF/signature001.p7s", {"added.txt": b"added"})
    evidence = read({**entries, "added.txt": b"added", "META-INF/ASiCManifest002.xml": second})
    assert intact(evidence.signatures[0])
    assert {"added.txt", "META-INF/ASiCManifest002.xml"} <= set(grave(evidence))


def test_a_second_manifest_with_its_own_signature() -> None:
    first = extended_cades(world().signer)
    both = {**first, **extended_cades(pki.signer(world().ca, "Second"), {**FILES, "added.txt": b"added"}, number=2)}
    evidence = read(both)
    assert [intact(s) for s in evidence.signatures] == [True, True] and not grave(evidence)


def test_a_file_that_the_manifest_names_and_is_gone() -> None:
    entries = {n: d for n, d in extended_cades(world().signer).items() if n != "notice.txt"}
    (signature,) = read(entries).signatures
    assert [r.found for r in signature.references] == [True, False, True] and not intact(signature)


def test_a_critical_extension_of_the_manifest() -> None:
    for critical, why in (("true", True), ("false", False)):
        extension = f'<asic:ASiCManifestExtensions><asic:Extension Critical="{critical}"/></asic:ASiCManifestExtensions></asic:ASiCManifest>'
        listed = manifest("META-INF/signature001.p7s", FILES).replace(b"</asic:ASiCManifest>", extension.encode())
        entries = {**extended_cades(world().signer), "META-INF/ASiCManifest001.xml": listed}
        entries["META-INF/signature001.p7s"] = cms(world().signer, listed)
        (signature,) = read(entries).signatures
        assert any(d.fatal for d in signature.defects) is why


def _listed(listed: bytes) -> Evidence:
    """A sound signature over this manifest."""
    return read({**extended_cades(world().signer), "META-INF/ASiCManifest001.xml": listed, "META-INF/signature001.p7s": cms(world().signer, listed)})


@pytest.mark.parametrize(("count", "refused"), [(0, False), (1, False), (2, True)])
def test_one_root_file_at_most(count: int, refused: bool) -> None:
    listed = manifest("META-INF/signature001.p7s", FILES).replace(b"DataObjectReference URI", b'DataObjectReference Rootfile="true" URI', count)
    (signature,) = _listed(listed).signatures
    assert intact(signature) and bool(fatal(signature)) is refused


@pytest.mark.parametrize(("target", "refused"), [("META-INF/signature002.p7s", True), ("notice.txt", True), ("META-INF/signature001.p7s", False)])
def test_a_manifest_of_another_signature(target: str, refused: bool) -> None:
    (signature,) = _listed(manifest(target, FILES)).signatures
    assert bool(fatal(signature)) is refused


def test_manifests_that_changed_places() -> None:
    one, two = extended_cades(world().signer, {"notice.txt": b"x"}), extended_cades(world().signer, {"added.txt": b"y"}, number=2)
    both = {**one, **two}
    assert all(intact(s) and not fatal(s) for s in read(both).signatures) and not grave(read(both))
    first, second = "META-INF/ASiCManifest001.xml", "META-INF/ASiCManifest002.xml"
    exchanged = read({**both, first: both[second], second: both[first]})
    assert all(intact(s) for s in exchanged.signatures)  # a manifest is found by what it says, not by its own name
    swapped = {**both, "META-INF/signature001.p7s": both["META-INF/signature002.p7s"], "META-INF/signature002.p7s": both["META-INF/signature001.p7s"]}
    assert not any(intact(s) and not fatal(s) for s in read(swapped).signatures)


def test_a_manifest_of_a_record_that_is_not_there() -> None:
    listed = manifest("META-INF/evidencerecord001.ers", {"notice.txt": FILES["notice.txt"]})
    assert "META-INF/ASiCEvidenceRecordManifest001.xml" in grave(
        read({**extended_cades(world().signer), "META-INF/ASiCEvidenceRecordManifest001.xml": listed})
    )


@pytest.mark.parametrize("text", [b"bla", b"<x/>", b'<!DOCTYPE x [<!ENTITY e "e">]><x>&e;</x>'])
def test_a_manifest_that_cannot_be_read(text: bytes) -> None:
    evidence = read({**extended_cades(world().signer), "META-INF/ASiCManifest001.xml": text})
    assert broken(evidence) and not intact(evidence.signatures[0])


def test_manifests_are_asked_for_where_the_standard_asks() -> None:
    entries = extended_xades(world().signer)
    assert broken(read({n: d for n, d in entries.items() if n != "META-INF/manifest.xml"}))
    signed = extended_cades(world().signer)
    assert broken(read({n: d for n, d in signed.items() if "Manifest" not in n}))


# Signature files.


def test_a_signature_that_carries_its_own_content() -> None:
    from tests.envelopes import envelope, signer_info

    def attached(content: bytes) -> bytes:
        return envelope([signer_info(world().signer, content)], content=content, certs=(world().signer.certificate,))

    entries = simple_cades(world().signer)
    other = read({**entries, "META-INF/signature.p7s": attached(b"something else")})
    assert any(d.fatal for d in other.signatures[0].defects) and grave(other) == ["notice.txt"]
    same = read({**entries, "META-INF/signature.p7s": attached(b"a notice\n")})
    assert intact(same.signatures[0]) and not grave(same) and not any(d.fatal for d in same.signatures[0].defects)


def test_a_signature_file_that_cannot_be_read_is_no_silence() -> None:
    sound = extended_xades(world().signer)
    assert broken(read({**sound, "META-INF/signatures002.xml": b"<x"}))
    assert broken(read({**extended_cades(world().signer), "META-INF/signature002.p7s": b"0"}))


def test_a_reference_by_another_name() -> None:
    files = {"notice.txt": b"a notice\n"}
    other = detached(world().signer, {"other.txt": b"a notice\n"})
    entries = {"mimetype": ASIC_E.encode(), **files, "META-INF/manifest.xml": plain_manifest(files), "META-INF/signatures0.xml": other}
    assert not intact(read(entries).signatures[0])
    spaced = {"two words.txt": b"x"}
    plus = detached(world().signer, {"two+words.txt": b"x"})
    lawful = {"mimetype": ASIC_E.encode(), **spaced, "META-INF/manifest.xml": plain_manifest(spaced), "META-INF/signatures0.xml": plus}
    assert intact(read(lawful).signatures[0]) and not grave(read(lawful))


@pytest.mark.parametrize("left_out", ["content.xml", "META-INF/manifest.xml"])
def test_a_part_of_an_open_document_that_nothing_signs(left_out: str) -> None:
    evidence = read(open_document(world().signer, leave_out=(left_out,)))
    assert intact(evidence.signatures[0]) and left_out in grave(evidence)


def test_two_files_with_the_same_token_have_two_stamps() -> None:
    entries = simple_stamp(pki.stamper(world().tsu))
    twice = {**entries, "META-INF/timestamp2.tst": entries["META-INF/timestamp.tst"]}
    assert len(read(twice).stamps) == 2


# Time-stamps.


def test_a_time_stamp_over_the_one_file() -> None:
    evidence = read(simple_stamp(pki.stamper(world().tsu)))
    (stamp,) = evidence.stamps
    assert stamp_intact(stamp) and stamp.kind is StampKind.CONTAINER and not grave(evidence)
    assert identify(b"a notice\n") in stamp.covers
    changed = read({**simple_stamp(pki.stamper(world().tsu)), "notice.txt": b"changed"})
    assert not changed.stamps[0].intact and grave(changed) == ["notice.txt"]
    added = read({**simple_stamp(pki.stamper(world().tsu)), "more.txt": b"x"})
    assert not added.stamps[0].found and broken(added)


def test_an_archive_stamp_covers_signatures_and_what_is_in_them() -> None:
    w = world()
    signed = extended_cades(w.signer)
    once = archived(signed, pki.stamper(w.tsu))
    evidence = read(archived(once, pki.stamper(w.tsu, pki.CHECKED + 900 * pki.DAY), 2))
    (signature,) = evidence.signatures
    first, second = evidence.stamps
    assert stamp_intact(first) and stamp_intact(second) and not grave(evidence)
    assert first.kind is StampKind.ARCHIVE
    assert {signature.id, w.signer.certificate.id, w.root.certificate.id, *(identify(d) for d in FILES.values())} <= first.covers
    assert first.token.id in second.covers and first.token.id not in first.covers
    changed = {**once, "META-INF/signature001.p7s": cms(pki.signer(w.ca), once["META-INF/ASiCManifest001.xml"])}
    (stamp,) = read(changed).stamps
    assert not stamp.intact and not stamp.covers


def test_a_time_stamp_file_that_is_none() -> None:
    assert broken(read({**simple_stamp(pki.stamper(world().tsu)), "META-INF/timestamp002.tst": b"0\x03\x02\x01\x01"}))


def test_an_archive_stamp_that_fails_takes_nothing_from_the_signature() -> None:
    once = archived(extended_cades(world().signer), pki.stamper(world().tsu))
    other = pki.token(world().tsu, Digest("sha256", bytes(32)))
    evidence = read({**once, "META-INF/timestamp001.tst": other})
    assert intact(evidence.signatures[0]) and not evidence.stamps[0].intact and evidence.stamps[0].kind is StampKind.ARCHIVE
    assert not grave(evidence)


def test_more_than_any_lawful_container_has() -> None:
    entries = extended_cades(world().signer)
    with pytest.raises(TooLarge):
        read({**entries, **{f"META-INF/signature{n:05}.p7s": b"0" for n in range(1_001)}})
    listed = manifest("META-INF/x.p7s", {f"d/{n}": b"" for n in range(2_000)})
    with pytest.raises(TooLarge):
        read({**entries, **{f"META-INF/ASiCManifest{n:05}.xml": listed for n in range(100)}})


def test_two_archive_manifests_for_one_time_stamp() -> None:
    once = archived(extended_cades(world().signer), pki.stamper(world().tsu))
    other = manifest("META-INF/timestamp001.tst", {"added.txt": b"added"})
    evidence = read({**once, "added.txt": b"added", "META-INF/ASiCArchiveManifest000.xml": other})
    assert evidence.stamps[0].intact
    assert {"added.txt", "META-INF/ASiCArchiveManifest000.xml"} <= set(grave(evidence))


# Evidence records.


def test_a_record_over_the_files_of_its_manifest() -> None:
    from tests.unit.test_ers import asn1_record, first_tree

    w = world()
    leaves = [hashlib.sha256(d).digest() for d in FILES.values()]
    root, tree = first_tree(leaves)
    record = asn1_record([[(tree, pki.token(w.tsu, Digest("sha256", root)))]])
    listed = manifest("META-INF/evidencerecord001.ers", FILES, kind="application/octet-stream")
    entries = {
        "mimetype": ASIC_E.encode(),
        **FILES,
        "META-INF/ASiCEvidenceRecordManifest001.xml": listed,
        "META-INF/evidencerecord001.ers": record,
    }
    evidence = read(entries)
    assert evidence.records[0].intact and not grave(evidence)
    assert {identify(d) for d in FILES.values()} <= evidence.records[0].covers
    changed = read({**entries, "notice.txt": b"changed"})
    assert not changed.records[0].intact and set(FILES) <= set(grave(changed)) | {"data/table one.csv"}
    orphan = read({n: d for n, d in entries.items() if "Manifest" not in n})
    assert not orphan.records[0].intact


# X-Road (facts beside the project: its own hash chains and imprints).


def test_a_message_log_container() -> None:
    w = world()
    files = {"message.xml": b"<m/>"}
    signatures = detached(w.signer, {"/message.xml": b"<m/>"})
    plain = {"mimetype": ASIC_E.encode(), **files, "META-INF/manifest.xml": plain_manifest(files), "META-INF/signatures.xml": signatures}
    assert intact(read(plain).signatures[0]) and not grave(read(plain))
    batch = {**plain, **_batch(signatures)}
    evidence = read(batch)
    (stamp,) = evidence.stamps
    assert stamp_intact(stamp) and evidence.signatures[0].id in stamp.covers and not grave(evidence)
    for name, data in (("ts-hashchain.xml", _batch(b"other")["ts-hashchain.xml"]), ("META-INF/signatures.xml", signatures + b"\n")):
        changed = read({**batch, name: data})
        assert not changed.stamps[0].intact and not changed.stamps[0].covers


def test_a_message_signed_through_a_hash_chain() -> None:
    w = world()
    chain = _chain("sig", {"/message.xml": b"<m/>"}, b"others")
    files = {"message.xml": b"<m/>", **chain}
    signed = detached(w.signer, {"/sig-hashchainresult.xml": chain["sig-hashchainresult.xml"]})
    entries = {"mimetype": ASIC_E.encode(), **files, "META-INF/manifest.xml": plain_manifest(files), "META-INF/signatures.xml": signed}
    evidence = read(entries)
    assert intact(evidence.signatures[0]) and not grave(evidence)
    changed = read({**entries, "message.xml": b"<other/>"})
    assert not intact(changed.signatures[0]) and grave(changed) == ["message.xml"]
    swapped = read({**entries, "sig-hashchain.xml": _chain("sig", {"/message.xml": b"<other/>"}, b"others")["sig-hashchain.xml"]})
    assert not intact(swapped.signatures[0]) and grave(swapped) == ["message.xml"]


def _batch(signatures: bytes) -> Entries:
    made = _chain("ts", {"/META-INF/signatures.xml": signatures}, b"another message")
    result = made["ts-hashchainresult.xml"]
    listed = manifest("META-INF/timestamp.tst", {"ts-hashchainresult.xml": result}, kind="vnd.etsi.timestamp-token")
    token = pki.token(world().tsu, Digest("sha512", hashlib.sha512(result).digest()))
    return {**made, "META-INF/ASiCManifest.xml": listed.replace(b"/02918/", b"/2918/"), "META-INF/timestamp.tst": token}


def _chain(prefix: str, data: Entries, other: bytes) -> Entries:
    """Two leaves under one step: a file of the container, and the hash of something else."""
    import base64

    from tests.envelopes import octets, seq
    from trust.codecs.asn1 import UTF8, tlv

    method = "http://www.w3.org/2001/04/xmlenc#sha512"
    values = [(f'<DataRef URI="{uri}">', hashlib.sha512(d).digest(), "</DataRef>") for uri, d in data.items()]
    values.append(("<HashValue>", hashlib.sha512(other).digest(), "</HashValue>"))
    root = hashlib.sha512(seq(*(seq(octets(v), tlv(UTF8, method.encode()), seq()) for _, v, _ in values))).digest()
    inner = "".join(f"{a}<d:DigestValue>{base64.b64encode(v).decode()}</d:DigestValue>{b}" for a, v, b in values)
    names = 'xmlns="http://cyber.ee/hashchain" xmlns:d="http://www.w3.org/2000/09/xmldsig#"'
    step = f'<DefaultDigestMethod Algorithm="{method}"/><HashStep id="STEP0">{inner}</HashStep>'
    return {
        f"{prefix}-hashchain.xml": f"<HashChain {names}>{step}</HashChain>".encode(),
        f"{prefix}-hashchainresult.xml": (
            f'<HashChainResult URI="/{prefix}-hashchain.xml#STEP0" {names}><d:DigestMethod Algorithm="{method}"/>'
            f"<d:DigestValue>{base64.b64encode(root).decode()}</d:DigestValue></HashChainResult>"
        ).encode(),
    }


# Whatever the bytes are.


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 1 << 30), st.integers(0, 255), st.integers(0, 2))
def test_mutated_bytes_are_malformed_or_read(at: int, octet: int, how: int) -> None:
    source = _samples()[at % len(_samples())]
    at %= len(source)
    data = (source[:at] + bytes((octet,)) + source[at + 1 :], source[:at] + source[at + 1 :], source[:at])[how]
    try:
        read(data)
    except (Malformed, TooLarge):
        return


@functools.cache
def _samples() -> tuple[bytes, ...]:
    w = world()
    signed = archived(extended_cades(w.signer), pki.stamper(w.tsu))
    return tuple(zipped(e, method=zipfile.ZIP_STORED) for e in (signed, extended_xades(w.signer), simple_stamp(pki.stamper(w.tsu))))


# What others made.


def _containers(row: dict[str, Any]) -> bool:
    return row["format"].startswith(("ASiC", "ODF")) or (row["format"] == "X-ROAD" and row["file"].endswith(".asice"))


@needs_shared
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("corpus", "least", "floor"), [("corpus", 190, 0.99), ("forged", 30, 1.0)])
def test_what_others_made_is_read_as_they_and_dss_say(corpus: str, least: int, floor: float) -> None:
    from tests.reading import agreement

    found = agreement(SHARED / corpus, _containers, asic.read)
    assert found.files >= least
    assert found.falsely_intact == []
    assert found.of("intact") >= floor and found.of("signatures") >= floor and found.of("timestamps") >= floor, found.differing
    assert found.of("level") >= min(floor, 0.98), found.differing
