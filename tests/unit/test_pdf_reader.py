"""verifier.formats.pades: what PDF signatures cover, and the names of their levels."""

import io
import re
from collections.abc import Callable

import pikepdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import papers
from tests.papers import Paper, pades_cms, paper, shown, stream
from tests.pki import authority, crl, root, signer, unit
from trust import streams
from trust.algorithms import verify
from trust.codecs.asn1 import OCTET_STRING, tlv
from trust.errors import Locked, Malformed
from trust.model import Digest, Document, Evidence, Scope, Signature, StampKind
from verifier.formats import pades
from verifier.formats.pdf import file
from verifier.read import read

ROOT = root()
CA = authority(ROOT)
SEAL = signer(CA)
OTHER = signer(CA, "Another Seal")
OLD = signer(CA, "Old Seal", key="rsa2048")
TSU = unit(CA)
STATUS = (crl(CA), crl(ROOT))
PLAIN = paper()
SIGNED = PLAIN.signed(SEAL)


def evidence(made: "Paper | bytes") -> Evidence:
    return read(Document.of(made if isinstance(made, bytes) else made.data))


def intact(signature: Signature) -> bool:
    key = None if signature.signer is None else signature.signer.public_key
    if key is None or signature.algorithm is None:
        return False
    over = signature.signed
    if isinstance(over, Digest):
        return verify(key, signature.algorithm, signature.value, over.value, prehashed=True) and signature.intact_references
    return verify(key, signature.algorithm, signature.value, over) and signature.intact_references


def test_a_signature_over_the_whole_file() -> None:
    found = evidence(SIGNED)
    (signature,) = found.signatures
    assert intact(signature)
    assert (found.kind, signature.level, signature.field) == ("PDF", "PAdES-BASELINE-B", "Sig1")
    assert signature.references[0].scope is Scope.FULL
    assert signature.references[0].name == "revision 1 of 1"
    assert (signature.defects, found.uncovered) == ((), ())
    assert signature.claims.time == papers.SIGNED
    assert found.documents[0].read(1 << 20) == SIGNED.data


def test_revisions_are_numbered() -> None:
    found = evidence(SIGNED.signed(OTHER, "Sig2"))
    assert [s.references[0].name for s in found.signatures] == ["revision 1 of 2", "revision 2 of 2"]
    assert [s.references[0].scope for s in found.signatures] == [Scope.PARTIAL, Scope.FULL]


@pytest.mark.parametrize("needle", [b"100 yen", b"/MediaBox", b"Second page", b"%%EOF"])
def test_a_changed_byte_of_the_signed_part_is_noticed(needle: bytes) -> None:
    data = bytearray(SIGNED.data)
    data[SIGNED.data.index(needle) + 1] ^= 1
    assert not any(intact(s) for s in evidence(bytes(data)).signatures)


def test_the_long_term_levels() -> None:
    chain = (SEAL.certificate, CA.certificate, ROOT.certificate)
    stamp = papers.attribute_stamp(TSU)
    t = PLAIN.signed(SEAL, cms=lambda over: papers.pades_cms_stamped(SEAL, over, stamp))
    lt = t.stored(chain, STATUS)
    lta = lt.stamped(TSU)
    for made, level in ((SIGNED, "B"), (t, "T"), (lt, "LT"), (lta, "LTA")):
        found = evidence(made)
        assert found.signatures[0].level == f"PAdES-BASELINE-{level}"
        assert found.uncovered == ()
    inner, archive = found.stamps
    assert (inner.kind, archive.kind) == (StampKind.SIGNATURE, StampKind.DOCUMENT)
    assert archive.covers >= {found.signatures[0].id, inner.token.id, *(c.id for c in chain), *(c.id for c in STATUS)}
    assert found.crls >= set(STATUS)


def test_status_of_only_some_certificates_is_no_long_term_level() -> None:
    stamp = papers.attribute_stamp(TSU)
    made = PLAIN.signed(SEAL, cms=lambda over: papers.pades_cms_stamped(SEAL, over, stamp)).stored((ROOT.certificate,), STATUS[:1])
    assert evidence(made).signatures[0].level == "PAdES-BASELINE-T"


def test_a_document_stamp_covers_only_what_came_before() -> None:
    found = evidence(SIGNED.stamped(TSU).stored((), STATUS).signed(OTHER, "Sig2"))
    (stamp,) = found.stamps
    assert stamp.intact
    assert found.signatures[0].id in stamp.covers
    assert found.signatures[1].id not in stamp.covers
    assert not {c.id for c in STATUS} & stamp.covers


def test_a_document_stamp_over_other_bytes_covers_nothing() -> None:
    copied = re.search(rb"/Contents <([0-9a-f]+)>", PLAIN.stamped(TSU).data)
    assert copied is not None
    made = SIGNED.stamped(TSU, cms_=copied[1])
    (stamp,) = evidence(made).stamps
    assert (stamp.found, stamp.intact, stamp.covers) == (True, False, frozenset())


def _sha1(data: bytes) -> bytes:
    return Digest.of("sha1", data).value


def test_pkcs7_of_both_kinds_and_bare_rsa() -> None:
    detached = PLAIN.signed(SEAL, sub_filter="adbe.pkcs7.detached")
    assert evidence(detached).signatures[0].level == "PKCS7-B"
    hashed = PLAIN.signed(OLD, sub_filter="adbe.pkcs7.sha1", cms=lambda o: pades_cms(OLD, _sha1(o), content=_sha1(o)))
    assert evidence(hashed).signatures[0].level == "PKCS7-B"
    assert intact(evidence(hashed).signatures[0])
    held = f"/Cert <{OLD.certificate.der.hex()}>"
    bare = PLAIN.signed(OLD, sub_filter="adbe.x509.rsa_sha1", entries=held, cms=lambda o: tlv(OCTET_STRING, OLD.sign(o)))
    (signature,) = evidence(bare).signatures
    assert intact(signature)
    assert signature.signer == OLD.certificate


def test_a_pkcs7_sha1_signature_over_another_digest_is_not_intact() -> None:
    wrong = PLAIN.signed(SEAL, sub_filter="adbe.pkcs7.sha1", cms=lambda _: pades_cms(SEAL, b"\x01" * 20, content=b"\x01" * 20))
    assert not intact(evidence(wrong).signatures[0])


def test_content_inside_a_detached_signature_is_refused() -> None:
    (signature,) = evidence(PLAIN.signed(SEAL, cms=lambda o: pades_cms(SEAL, o, content=o))).signatures
    assert not intact(signature)
    assert any("encapsulates" in d.why and d.fatal for d in signature.defects)


def test_what_is_no_signature_is_there_and_proves_nothing() -> None:
    (signature,) = evidence(PLAIN.signed(SEAL, cms=lambda _: b"\x30\x03\x02\x01\x01")).signatures
    assert not intact(signature)
    assert any("cannot be read" in d.why and d.fatal for d in signature.defects)


def test_unsigned_pdfs_are_evidence_of_nothing() -> None:
    found = evidence(PLAIN)
    assert (found.kind, found.signatures, found.stamps, found.uncovered) == ("PDF", (), (), ())


def test_a_pdf_inside_another_format_is_not_a_pdf() -> None:
    for head in (b"PK\x03\x04", b"\x30\x82\x01\x00", b"<a>", b"{"):
        assert not pades.claims(head + SIGNED.data)
    assert pades.claims(b"\r\n" + SIGNED.data)


BROKEN = {"head": b"%PDF-1.7", "eof": b"%PDF-1.7\n%%EOF", "truncated": SIGNED.data[:300], "zeros": b"%PDF-1.7\n" + b"\0" * 5000}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_broken_files_are_malformed(data: bytes) -> None:
    with pytest.raises(Malformed, match=r"PDF (cannot be read|is cut off)"):
        evidence(data)


def _encrypted(user: str) -> bytes:
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(PLAIN.data)) as pdf:
        pdf.save(out, encryption=pikepdf.Encryption(owner="owner", user=user, R=6))
    return out.getvalue()


def test_encrypted_files_are_read_when_anybody_may_open_them() -> None:
    assert evidence(_encrypted("")).kind == "PDF"
    locked = Document.of(_encrypted("secret"))
    for document, why in ((locked, "it is read with its password alone"), (locked.opened_by("guess"), "the password does not open it")):
        with pytest.raises(Locked, match=why):
            read(document)
    assert read(locked.opened_by("secret")).kind == "PDF"


IN_BLOCKS = {"one": SIGNED, "two": SIGNED.signed(OTHER, "Sig2"), "archived": SIGNED.signed(OTHER, "Sig2").stamped(TSU), "cut off": SIGNED.data[:-300]}


@pytest.mark.parametrize("made", IN_BLOCKS.values(), ids=IN_BLOCKS)
def test_a_large_file_is_read_in_blocks_and_read_the_same(made: "Paper | bytes", monkeypatch: pytest.MonkeyPatch) -> None:
    def told() -> object:
        try:
            found = evidence(made)
        except Malformed as error:
            return str(error)
        return found.signatures, found.stamps, found.uncovered, [d.digest("sha256") for d in found.documents]

    whole = told()
    monkeypatch.setattr(file, "MAX_COPY", 0)
    monkeypatch.setattr(file, "BLOCK", 200)
    monkeypatch.setattr(streams, "BLOCK", 200)
    monkeypatch.setattr(streams, "MOST_BLOCKS", 3)
    monkeypatch.setattr(streams, "PIECE", 300)
    assert told() == whole


@given(st.binary(max_size=40), st.binary(min_size=1, max_size=3), st.integers(0, 45), st.integers(0, 45))
def test_blocks_are_searched_as_bytes_are(data: bytes, needle: bytes, start: int, end: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(file, "MAX_COPY", 0)
        patch.setattr(file, "BLOCK", 7)
        patch.setattr(streams, "BLOCK", 7)
        patch.setattr(streams, "PIECE", 5)
        held, begin = file.Bytes(Document.of(data)), min(start, len(data))
        assert held.slice(start, end) == data[start:end]
        assert held.find(needle, begin, end) == data.find(needle, begin, end)
        assert held.rfind(needle, begin, end) == data.rfind(needle, begin, end)
        assert held.is_blank(begin, len(data)) == (not data[begin:].strip(b"\0\t\n\f\r "))
        assert held.window([(0, begin), (begin, len(data))]).read() == data
        pattern = re.compile(re.escape(needle[:1]) + rb"[^" + re.escape(needle[:1]) + rb"]{0,3}")
        assert [m[0] for m in held.matches(pattern, 4)] == [m[0] for m in pattern.finditer(data)]


def test_a_file_that_becomes_shorter_is_malformed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "MAX_COPY", 0)
    held = file.Bytes(Document("a.pdf", len(SIGNED.data) + 9, lambda: io.BytesIO(SIGNED.data)))
    with pytest.raises(Malformed, match="became shorter"):
        held.document([(0, held.size)], "signed bytes").digest("sha256")


# Universal forgery and wrapping: the dictionary lies about what it covers.

RANGE = re.search(rb"/ByteRange \[0 (\d+) (\d+) (\d+) *\]", SIGNED.data)


def _ranged(edit: Callable[[int, int, int], str]) -> bytes:
    """SIGNED with another /ByteRange of the same length; given are the gap's start and end and the bytes after it."""
    assert RANGE is not None
    text = edit(int(RANGE[1]), int(RANGE[2]), int(RANGE[3])).encode()
    assert len(text) <= len(RANGE[0])
    return SIGNED.data.replace(RANGE[0], text.ljust(len(RANGE[0])), 1)


FORGERIES: dict[str, Callable[[int, int, int], str]] = {
    "null": lambda a, b, c: "/ByteRange null",
    "missing": lambda a, b, c: "",
    "empty": lambda a, b, c: "/ByteRange []",
    "nothing": lambda a, b, c: "/ByteRange [0 0 0 0]",
    "one range": lambda a, b, c: f"/ByteRange [0 {a}]",
    "odd": lambda a, b, c: f"/ByteRange [0 {a} {b}]",
    "negative": lambda a, b, c: f"/ByteRange [0 -1 {b} {c}]",
    "not from the first byte": lambda a, b, c: f"/ByteRange [1 {a} {b} {c}]",
    "wide gap before": lambda a, b, c: f"/ByteRange [0 {a - 5} {b} {c}]",
    "wide gap after": lambda a, b, c: f"/ByteRange [0 {a} {b + 5} {c - 5}]",
    "overlapping": lambda a, b, c: f"/ByteRange [0 {b} {a} {c}]",
    "over the end": lambda a, b, c: f"/ByteRange [0 {a} {b} 99999]",
    "first part only": lambda a, b, c: f"/ByteRange [0 {a} {b} 0]",
    "strings": lambda a, b, c: "/ByteRange [(x) (y)]",
}


@pytest.mark.parametrize("name", FORGERIES)
def test_universal_forgery_by_byte_range(name: str) -> None:
    found = evidence(_ranged(FORGERIES[name]))
    assert not any(intact(s) for s in found.signatures)
    assert all(any(d.fatal for d in s.defects) for s in found.signatures)


@pytest.mark.parametrize("contents", [b"<>", b"null", b"<00>", b"<3080>", b"(abc)"])
def test_universal_forgery_by_contents(contents: bytes) -> None:
    found = re.search(rb"/Contents <[0-9a-f]+>", SIGNED.data)
    assert found is not None
    data = SIGNED.data.replace(found[0], (b"/Contents " + contents).ljust(len(found[0])))
    assert not any(intact(s) for s in evidence(data).signatures)


def test_signature_wrapping() -> None:
    """What was signed after the gap is moved to the end, and the room between is filled: the digest still matches."""
    assert RANGE is not None
    start, after, count = (int(RANGE[i]) for i in (1, 2, 3))
    body = b">>\nendobj\n4 0 obj\n" + stream(shown("The price is 900 yen")) + b"\nendobj\n98 0 obj\n<< /Rest 1 "

    def over(data: bytes) -> bytes:
        moved = data[: start + papers.ROOM + 2] + b"\n" + body + data[start + papers.ROOM + 2 :]
        return moved.replace(RANGE[0], f"/ByteRange [0 {start} {after + 1 + len(body)} {count}]".encode().ljust(len(RANGE[0])))

    # The wrapper signs its own ranges, so that nothing but the place of the gap gives it away.
    wrapped = over(SIGNED.data)
    covered = wrapped[:start] + wrapped[after + 1 + len(body) :]
    value = pades_cms(SEAL, covered).hex().encode().ljust(papers.ROOM, b"0")
    (signature,) = evidence(wrapped[: start + 1] + value + wrapped[start + 1 + papers.ROOM :]).signatures
    assert not intact(signature)
    assert any("one hexadecimal string" in d.why and d.fatal for d in signature.defects)


def test_the_string_left_out_must_be_the_contents_of_this_dictionary() -> None:
    second = SIGNED.signed(OTHER, "Sig2")
    first, other = re.findall(rb"/ByteRange \[0 \d+ \d+ \d+ *\]", second.data)
    found = evidence(second.data.replace(other, first.ljust(len(other))))
    assert [intact(s) for s in found.signatures].count(True) <= 1
    assert any("not /Contents" in d.why for s in found.signatures for d in s.defects)


def test_padding_may_be_zeros_only() -> None:
    (signature,) = evidence(PLAIN.signed(SEAL, cms=lambda over: pades_cms(SEAL, over) + b"hidden")).signatures
    assert any("padded" in d.why and not d.fatal for d in signature.defects)


def test_twenty_signatures_are_all_read_and_raise_no_alarm() -> None:
    made = PLAIN
    for number in range(20):
        made = made.signed(SEAL if number % 2 else OTHER, f"Sig{number}")
    found = evidence(made)
    assert len(found.signatures) == 20
    assert [u for u in found.uncovered if u.grave] == []


WHITE = b"\0\t\n\f\r "
"""ISO 32000-2 clause 7.2.3: what may follow the end of a revision and is nothing."""


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(SIGNED.data) - 1), st.binary(min_size=1, max_size=6), st.booleans())
def test_mutated_files_are_read_or_malformed(at: int, junk: bytes, cut: bool) -> None:
    end = at + len(junk)
    data = SIGNED.data[:at] + junk + (b"" if cut else SIGNED.data[end:])
    try:
        found = evidence(data)
    except Malformed:
        return
    assert RANGE is not None
    outside = end <= int(RANGE[1]) or at >= int(RANGE[2])
    if outside and SIGNED.data[at:end] != junk and data.rstrip(WHITE) != SIGNED.data.rstrip(WHITE):
        assert not any(intact(s) for s in found.signatures)
