"""verifier.formats.cades: content, counter-signatures, stamps with what they cover, and the names of levels."""

import base64
import functools
import io
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eseal.formats import cades as writer
from eseal.spec import choose
from tests import envelopes
from tests.envelopes import (
    ARCHIVE_V2,
    ARCHIVE_V3,
    CONTENT_TIME_STAMP,
    COUNTER_SIGNATURE,
    SIGNATURE_TIME_STAMP,
    attribute,
    envelope,
    octets,
    oid,
    seq,
    signer_info,
    usual_attributes,
    value_of,
)
from tests.pki import authority, crl, pki, root, signer, token, unit
from tests.sealing import means
from trust import streams
from trust.algorithms import verify
from trust.codecs import asn1, signed_data
from trust.codecs.asn1 import SET, context, parse, tlv
from trust.errors import KakuinError, Malformed, TooLarge
from trust.model import Digest, Document, Evidence, Scope, Signature, Stamp, StampKind, identify
from verifier.formats import cades
from verifier.read import read

ROOT = root()
CA = authority(ROOT)
SEAL = signer(CA)
OTHER = signer(CA, "Another Seal")
TSU = unit(CA)
CERTS = (SEAL.certificate, CA.certificate, ROOT.certificate)
CONTENT = b"rows of a dataset\n" * 100


def stamp_over(*pieces: bytes) -> bytes:
    return token(TSU, Digest.of("sha256", b"".join(pieces)))


def intact(signature: Signature) -> bool:
    key = None if signature.signer is None else signature.signer.public_key
    if key is None or signature.algorithm is None:
        return False
    over = signature.signed
    if isinstance(over, Digest):
        return verify(key, signature.algorithm, signature.value, over.value, prehashed=True) and signature.intact_references
    return verify(key, signature.algorithm, signature.value, over) and signature.intact_references


LARGE = {
    "attached": envelope([signer_info(SEAL, CONTENT)], content=CONTENT, certs=CERTS),
    "changed": envelope([signer_info(SEAL, CONTENT)], content=CONTENT[:-1] + b"!", certs=CERTS),
    "in pieces": envelopes.indefinite(envelope([signer_info(SEAL, CONTENT)], content=CONTENT, certs=CERTS)),
    "without attributes": envelope([signer_info(SEAL, CONTENT, attributes=())], content=CONTENT, certs=CERTS),
    "countersigned": envelope([signer_info(SEAL, CONTENT), signer_info(OTHER, CONTENT)], content=CONTENT, certs=(*CERTS, OTHER.certificate)),
    "detached": envelope([signer_info(SEAL, CONTENT)], certs=CERTS),
    "cut off": envelope([signer_info(SEAL, CONTENT)], content=CONTENT, certs=CERTS)[:-50],
}


@pytest.mark.parametrize("der", LARGE.values(), ids=LARGE)
def test_a_large_file_is_read_where_it_lies_and_read_the_same(der: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def told() -> object:
        found = evidence(der, CONTENT)
        return found.signatures, found.stamps, found.uncovered, found.defects, found.certs, [d.digest("sha256") for d in found.documents]

    whole = told()
    monkeypatch.setattr(signed_data, "IN_MEMORY", 0)
    for name, value in (("BLOCK", 100), ("MOST_BLOCKS", 2), ("PIECE", 70)):
        monkeypatch.setattr(streams, name, value)
    monkeypatch.setattr(asn1, "LONG", 50)
    assert told() == whole


def test_no_content_of_a_large_file_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signed_data, "IN_MEMORY", 0)
    monkeypatch.setattr(Document, "read", lambda *_: pytest.fail("read as a whole"))
    assert all(intact(s) for s in evidence(LARGE["attached"]).signatures)


def test_what_is_too_large_is_said() -> None:
    der = LARGE["attached"]
    armoured = base64.b64encode(der)
    for size, head, why in ((cades.MAX_CMS + 1, der, "at most 8589934592 bytes is read"), (cades.MAX_ARMOURED + 1, armoured, "unpack it to DER")):
        opener = functools.partial(io.BytesIO, head)
        with pytest.raises(TooLarge, match=why):
            read(Document("large.p7m", size, opener))
    opener = functools.partial(io.BytesIO, der)
    with pytest.raises(TooLarge, match="at most 8,000,000,000 bytes here, got 8,000,000,001: seal it detached or in a container"):
        writer.seal(Document("large", 8_000_000_001, opener), choose(CONTENT, format="cades", packaging="attached"), means(pki()))


def evidence(der: bytes, *detached: bytes) -> Evidence:
    return read(Document.of(der), [Document.of(d) for d in detached])


def test_attached_content() -> None:
    found = evidence(envelope([signer_info(SEAL, CONTENT)], content=CONTENT, certs=CERTS))
    assert [s.level for s in found.signatures] == ["CAdES-BASELINE-B"]
    assert intact(found.signatures[0])
    assert found.kind == "CMS"
    assert found.documents[0].read(1 << 20) == CONTENT
    assert set(CERTS) <= found.certs


def test_changed_content_is_found_and_not_intact() -> None:
    reference = evidence(envelope([signer_info(SEAL, CONTENT)], content=CONTENT + b"x", certs=CERTS)).signatures[0].references[0]
    assert (reference.found, reference.intact) == (True, False)


def test_detached_content_is_matched_by_digest() -> None:
    der = envelope([signer_info(SEAL, CONTENT), signer_info(OTHER, b"second")], certs=(*CERTS, OTHER.certificate))
    found = evidence(der, b"unrelated", b"second", CONTENT)
    assert [intact(s) for s in found.signatures] == [True, True]
    alone = evidence(der, CONTENT)
    assert [intact(s) for s in alone.signatures] == [True, False]
    assert not evidence(der).signatures[0].references[0].found


def test_a_file_beside_a_signature_that_has_its_own_content() -> None:
    der = envelope([signer_info(SEAL, CONTENT)], content=CONTENT, certs=CERTS)
    assert [u.grave for u in evidence(der, b"another").uncovered] == [True]
    assert not evidence(der, CONTENT).uncovered and not evidence(der).uncovered
    apart = envelope([signer_info(SEAL, CONTENT)], certs=CERTS)
    assert len(evidence(apart, CONTENT, b"another").uncovered) == 1 and not evidence(apart, CONTENT).uncovered


def test_content_known_by_digest_alone() -> None:
    der = envelope([signer_info(SEAL, CONTENT)], certs=CERTS)
    known = Document("data.csv", None, None, (Digest.of("sha256", CONTENT),))
    reference = read(Document.of(der), [known]).signatures[0].references[0]
    assert (reference.intact, reference.scope) == (True, Scope.DIGEST)
    other = Document("data.csv", None, None, (Digest.of("sha512", CONTENT),))
    assert not read(Document.of(der), [other]).signatures[0].references[0].found


def test_signed_without_attributes_the_content_itself_is_signed() -> None:
    found = evidence(envelope([signer_info(SEAL, CONTENT, bare=True)], certs=CERTS), CONTENT)
    assert intact(found.signatures[0])
    assert found.signatures[0].level == "CMS-NOT-ETSI"
    assert not intact(evidence(envelope([signer_info(SEAL, CONTENT, bare=True)], certs=CERTS), CONTENT + b"x").signatures[0])


@pytest.mark.parametrize("wrap", [lambda d: b"-----BEGIN CMS-----\n" + base64.encodebytes(d) + b"-----END CMS-----\n", base64.encodebytes])
def test_armoured_signatures_are_read(wrap: "object") -> None:
    der = envelope([signer_info(SEAL, CONTENT)], content=CONTENT, certs=CERTS)
    assert intact(evidence(wrap(der)).signatures[0])  # type: ignore[operator]


@pytest.mark.parametrize("padding", [0, 1, 2])
def test_a_small_armoured_signature_is_recognised_by_all_of_its_text(padding: int) -> None:
    """It is shorter than what is looked at of a file, so that its padding is looked at too."""
    made = (envelope([signer_info(SEAL, CONTENT + bytes(size))], content=CONTENT + bytes(size), certs=CERTS[:1]) for size in range(1000))
    text = base64.b64encode(next(der for der in made if -len(der) % 3 == padding))
    assert text.count(b"=") == padding and len(text) < 4096
    assert cades.claims(text) and read(Document.of(text)).signatures
    assert cades.claims(b"-----BEGIN CMS-----\n" + text + b"\n-----END CMS-----\n")


def test_ber_signatures_are_read() -> None:
    der = envelope([signer_info(SEAL, CONTENT)], content=CONTENT, certs=CERTS)
    assert intact(evidence(envelopes.indefinite(der)).signatures[0])


def test_counter_signatures_follow_and_name_their_master() -> None:
    inner = signer_info(OTHER, CONTENT)
    grand = signer_info(TSU, value_of(inner), attributes=usual_attributes(TSU, value_of(inner))[1:])
    over = signer_info(SEAL, CONTENT)
    counter = signer_info(OTHER, value_of(over), attributes=usual_attributes(OTHER, value_of(over))[1:])
    second_counter = signer_info(TSU, value_of(counter), attributes=usual_attributes(TSU, value_of(counter))[1:])
    nested = _with_unsigned(counter, attribute(COUNTER_SIGNATURE, second_counter))
    der = envelope([_with_unsigned(over, attribute(COUNTER_SIGNATURE, nested))], content=CONTENT, certs=(*CERTS, OTHER.certificate, TSU.certificate))
    first, second, third = evidence(der).signatures
    assert [intact(s) for s in (first, second, third)] == [True, True, True]
    assert (second.countersigns, third.countersigns) == (first.id, second.id)
    assert second.references[0].scope is Scope.COUNTERSIGNED
    moved = envelope([_with_unsigned(over, attribute(COUNTER_SIGNATURE, grand))], content=CONTENT, certs=(*CERTS, TSU.certificate))
    assert not intact(evidence(moved).signatures[1]), "a counter-signature of another signature"


def _with_unsigned(info: bytes, *attributes: bytes) -> bytes:
    return seq(parse(info).content, tlv(context(1), b"".join(attributes)))


def test_an_unreadable_counter_signature_is_a_defect() -> None:
    der = envelope([_with_unsigned(signer_info(SEAL, CONTENT), attribute(COUNTER_SIGNATURE, octets(b"x")))], content=CONTENT, certs=CERTS)
    assert any("counter-signature" in d.why for d in evidence(der).signatures[0].defects)


def test_content_and_signature_time_stamps() -> None:
    listed = [*usual_attributes(SEAL, CONTENT), attribute(CONTENT_TIME_STAMP, stamp_over(CONTENT))]
    info = signer_info(SEAL, CONTENT, attributes=listed)
    der = envelope([_with_unsigned(info, attribute(SIGNATURE_TIME_STAMP, stamp_over(value_of(info))))], certs=CERTS)
    found = evidence(der, CONTENT)
    content, signature = found.stamps
    assert (content.kind, signature.kind) == (StampKind.CONTENT, StampKind.SIGNATURE)
    assert content.intact
    assert content.covers == {identify(CONTENT)}
    assert signature.covers >= {found.signatures[0].id, SEAL.certificate.id}
    assert found.signatures[0].level == "CAdES-BASELINE-T"
    missing = evidence(der).stamps[0]
    assert (missing.found, missing.intact, missing.covers) == (False, False, frozenset())


def test_a_stamp_of_another_signature_covers_nothing() -> None:
    info = signer_info(SEAL, CONTENT)
    der = envelope([_with_unsigned(info, attribute(SIGNATURE_TIME_STAMP, stamp_over(b"another")))], content=CONTENT, certs=CERTS)
    stamp = evidence(der).stamps[0]
    assert (stamp.found, stamp.intact, stamp.covers) == (True, False, frozenset())


def test_an_unreadable_stamp_is_a_remark() -> None:
    info = _with_unsigned(signer_info(SEAL, CONTENT), attribute(SIGNATURE_TIME_STAMP, seq()))
    found = evidence(envelope([info], content=CONTENT, certs=CERTS))
    assert found.stamps == ()
    assert any("cannot be read" in d.why and not d.fatal for d in found.signatures[0].defects)


STATUS = (crl(CA), crl(ROOT))


def _signed_fields(info: bytes) -> bytes:
    return parse(info).content


def _indexed(info: bytes, unsigned: Sequence[bytes], *, drop: Iterable[bytes] = (), invent: bool = False) -> bytes:
    """ATSHashIndexV3 over certificates, lists and unsigned attributes."""
    certs = [*CERTS, TSU.certificate]

    def digests(items: Iterable[bytes]) -> bytes:
        return seq(*(octets(Digest.of("sha256", i).value) for i in items if i not in drop), *([octets(b"\0" * 32)] if invent else []))

    values = [parse(a) for a in unsigned]
    attributes = [a.children[0].raw + v.raw for a in values for v in a.children[1].children]
    return seq(envelopes.algorithm("sha256"), digests(c.der for c in certs), digests(c.der for c in STATUS), digests(attributes))


def _lta(*, drop: Iterable[bytes] = (), invent: bool = False, content: bytes = CONTENT) -> bytes:
    """CAdES-BASELINE-LTA, made by the letter of EN 319 122-1 clause 5.5."""
    info = signer_info(SEAL, CONTENT)
    stamped = attribute(SIGNATURE_TIME_STAMP, stamp_over(value_of(info)))
    index = _indexed(info, [stamped], drop=drop, invent=invent)
    archive = stamp_over(oid(envelopes.DATA), Digest.of("sha256", CONTENT).value, _signed_fields(info), index)
    node = parse(archive)
    inner = node.children[1].children[0]
    holder = _with_unsigned(inner.children[-1].children[0].raw, attribute(envelopes.HASH_INDEX_V3, index))
    grown = seq(node.children[0].raw, tlv(context(0), seq(*(n.raw for n in inner.children[:-1]), tlv(SET, holder))))
    whole = _with_unsigned(info, stamped, attribute(ARCHIVE_V3, grown))
    return envelope([whole], content=content, certs=(*CERTS, TSU.certificate), crls=STATUS)


def test_archive_time_stamp_v3_covers_what_its_index_names() -> None:
    found = evidence(_lta())
    inner, archive = found.stamps
    assert found.signatures[0].level == "CAdES-BASELINE-LTA"
    assert archive.kind is StampKind.ARCHIVE
    assert archive.intact
    status = {c.id for c in (*CERTS, *STATUS, TSU.certificate)}
    assert archive.covers >= {found.signatures[0].id, inner.token.id, inner.token.signature.id, identify(CONTENT)} | status
    assert archive.defects == ()


def test_an_index_that_leaves_something_out_does_not_cover_it() -> None:
    archive = evidence(_lta(drop=[STATUS[0].der])).stamps[1]
    assert archive.intact
    assert STATUS[0].id not in archive.covers
    assert STATUS[1].id in archive.covers


def test_an_index_entry_without_its_object_is_told_and_covers_nothing() -> None:
    """EN 319 122-1 clause 5.5.2."""
    archive, sound = evidence(_lta(invent=True)).stamps[1], evidence(_lta()).stamps[1]
    assert any(d.clause.endswith("5.5.2") for d in archive.defects)
    assert len(archive.covers) == len(sound.covers)


def test_an_archive_stamp_over_other_content_covers_nothing() -> None:
    archive = evidence(_lta(content=CONTENT + b"x")).stamps[1]
    assert (archive.intact, archive.covers) == (False, frozenset())


@pytest.mark.parametrize("tagged", [True, False], ids=["2.2.1", "1.8.3"])
def test_archive_time_stamp_v2_in_both_readings(tagged: bool) -> None:
    """TS 101 733 annex K: with and without tag and length of the unsigned attributes."""
    info = signer_info(SEAL, CONTENT)
    stamped = attribute(SIGNATURE_TIME_STAMP, token(TSU, Digest.of("sha256", value_of(info))))
    certs, revocations = tlv(context(0), b"".join(c.der for c in CERTS)), tlv(context(1), STATUS[0].der)
    tail = tlv(context(1), stamped) if tagged else stamped
    pieces = (seq(oid(envelopes.DATA)), CONTENT, certs, revocations, _signed_fields(info), tail)
    archive = token(TSU, Digest.of("sha256", b"".join(pieces)), envelopes.SIGNED.replace(year=2026))
    der = envelope([_with_unsigned(info, stamped, attribute(ARCHIVE_V2, archive))], certs=CERTS, crls=STATUS[:1])
    found = evidence(der, CONTENT)
    late: Stamp = found.stamps[1]
    assert late.intact
    assert late.covers >= {found.signatures[0].id, found.stamps[0].token.id, STATUS[0].id, identify(CONTENT)}
    assert not evidence(der).stamps[1].found
    assert not evidence(der, CONTENT + b"x").stamps[1].intact


def test_levels_of_lesser_shapes() -> None:
    plain = [usual_attributes(SEAL, CONTENT)[i] for i in (0, 2)]
    by_sha1 = seq(seq(seq(envelopes.algorithm("sha1"), octets(Digest.of("sha1", SEAL.certificate.der).value))))
    for listed, level in (
        (plain, "CMS-NOT-ETSI"),
        ([*plain, usual_attributes(SEAL, CONTENT)[3]], "CAdES-BES"),
        ([*plain, attribute(envelopes.SIGNING_CERTIFICATE_V2, by_sha1)], "CMS-NOT-ETSI"),
    ):
        found = evidence(envelope([signer_info(SEAL, CONTENT, attributes=listed)], content=CONTENT, certs=CERTS))
        assert found.signatures[0].level == level
    without_signer = evidence(envelope([signer_info(SEAL, CONTENT)], content=CONTENT, certs=(CA.certificate,)))
    assert without_signer.signatures[0].level == "CAdES-BES"


def test_a_content_type_that_is_not_that_of_the_content_is_a_fatal_defect() -> None:
    der = envelope([signer_info(SEAL, CONTENT)], content=CONTENT, certs=CERTS, content_type="1.2.3.4")
    assert any(d.clause == "RFC 5652 section 11.1" and d.fatal for d in evidence(der).signatures[0].defects)


def test_a_certificate_bag_is_evidence_without_signatures() -> None:
    found = evidence(envelope([], certs=CERTS))
    assert found.signatures == ()
    assert found.certs == set(CERTS)


def _record(*objects: bytes) -> bytes:
    """An EvidenceRecord (RFC 4998) with one time-stamp, over one object or over a list of the digests of several."""
    digests = [Digest.of("sha256", o).value for o in objects]
    over = digests[0] if len(digests) == 1 else Digest.of("sha256", b"".join(sorted(digests))).value
    tree = b"" if len(digests) == 1 else tlv(0xA2, seq(*(octets(d) for d in sorted(digests))))
    stamp = token(TSU, Digest("sha256", over))
    return seq(envelopes.integer(1), seq(envelopes.algorithm("sha256")), seq(seq(seq(tree, stamp))))


INTERNAL, EXTERNAL = "1.2.840.113549.1.9.16.2.49", "1.2.840.113549.1.9.16.2.50"


def test_an_evidence_record_inside_proves_the_signature_before_it() -> None:
    info = signer_info(SEAL, CONTENT)
    stamped = attribute(SIGNATURE_TIME_STAMP, stamp_over(value_of(info)))
    before = envelope([_with_unsigned(info, stamped)], content=CONTENT, certs=CERTS)
    whole = envelope([_with_unsigned(info, stamped, attribute(INTERNAL, _record(before)))], content=CONTENT, certs=CERTS)
    found = evidence(whole)
    (record,) = found.records
    assert record.intact
    assert record.covers >= {found.signatures[0].id, found.stamps[0].token.id, SEAL.certificate.id}
    assert [s.kind for s in found.stamps] == [StampKind.SIGNATURE, StampKind.EVIDENCE_RECORD]
    other = envelope([_with_unsigned(info, stamped, attribute(INTERNAL, _record(b"something else")))], content=CONTENT, certs=CERTS)
    assert [(r.intact, r.covers) for r in evidence(other).records] == [(False, frozenset())]


def test_an_evidence_record_of_a_detached_signature_proves_the_content_too() -> None:
    info = signer_info(SEAL, CONTENT)
    before = envelope([info], certs=CERTS)
    whole = envelope([_with_unsigned(info, attribute(EXTERNAL, _record(before, CONTENT)))], certs=CERTS)
    assert [r.intact for r in evidence(whole, CONTENT).records] == [True]
    assert identify(CONTENT) in evidence(whole, CONTENT).records[0].covers
    assert [r.intact for r in evidence(whole, CONTENT + b"x").records] == [False]


def test_an_unreadable_evidence_record_is_a_remark() -> None:
    der = envelope([_with_unsigned(signer_info(SEAL, CONTENT), attribute(INTERNAL, seq()))], content=CONTENT, certs=CERTS)
    assert any("evidence record" in d.why and not d.fatal for d in evidence(der).defects)


def test_an_unknown_digest_algorithm_leaves_the_content_found_and_not_intact() -> None:
    known, unknown = envelopes.algorithm("sha256"), seq(oid("2.16.840.1.101.3.4.2.99"))
    der = envelope([signer_info(SEAL, CONTENT).replace(known, unknown, 1)], content=CONTENT, certs=CERTS)
    reference = evidence(der).signatures[0].references[0]
    assert (reference.found, reference.intact) == (True, False)


LTA = _lta()


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(LTA) - 1), st.integers(1, 255))
def test_a_mutated_signature_is_read_or_malformed(at: int, flip: int) -> None:
    data = bytearray(LTA)
    data[at] ^= flip
    try:
        found = cades.read(Document.of(bytes(data)))
    except Malformed:
        return
    for signature in found.signatures:
        try:
            intact(signature)
        except KakuinError:
            continue


def test_flipping_any_byte_of_the_signed_part_is_noticed() -> None:
    der = envelope([signer_info(SEAL, CONTENT)], content=CONTENT, certs=CERTS)
    start = der.index(CONTENT)
    for at in range(start, start + len(CONTENT), 97):
        data = bytearray(der)
        data[at] ^= 1
        assert not intact(evidence(bytes(data)).signatures[0])
