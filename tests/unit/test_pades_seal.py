"""PAdES as it is written, read by qpdf and asn1crypto, and by the verifier's reader."""

import io
import socket
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pikepdf
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pikepdf import Array, Dictionary, Encryption, Name, Permissions

from eseal.demonstration import pdf
from eseal.draft import Span
from eseal.formats import pades, pdf_cms, unchanged
from eseal.spec import Claims, Commitment, choose
from tests import pki as office
from tests.pki import SIGNED, Party
from tests.sealing import blank_pdf, der_of, fields, imprint, lists, means, opened, store, whole
from tests.shared import SHARED, needs_shared
from trust.algorithms import Algorithm
from trust.errors import KakuinError, Malformed, TooLarge, Unacceptable, Unavailable
from trust.model import Cert, Digest, Document, Ocsp
from trust.ports import Status

PKI = office.pki()
PDF = pdf()
KINDS: dict[str, Party] = {
    "p256": PKI.signer,
    "p384": replace(office.signer(PKI.ca, key="p384"), algorithm=Algorithm("ecdsa", "sha384")),
    "rsa": office.signer(PKI.ca, key="rsa2048"),
    "pss": office.signer(PKI.ca, key="rsa2048").with_pss(),
    "ed25519": office.signer(PKI.ca, key="ed25519"),
}
LEVELS = ("B-B", "B-T", "B-LT", "B-LTA")


def sealed(data: bytes, level: str = "B-LTA", party: Party | None = None, spec: dict[str, Any] | None = None, **changes: Any) -> bytes:
    document = Document.of(data)
    return whole(document, pades.seal(document, choose(data[:1024], level=level, **(spec or {})), means(PKI, party, **changes)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("level", LEVELS)
def test_every_level_with_every_kind_of_key(level: str, kind: str) -> None:
    party = KINDS[kind]
    made = sealed(PDF, level, party)
    assert made.startswith(PDF)
    first, *others = fields(made)
    assert (first.name, first.kind) == ("Seal1", "/ETSI.CAdES.detached")
    cms = opened(der_of(first.contents))
    cms.check(party, first.covered)
    # EN 319 142-1 clause 6.3: the time is the PDF's, and no attribute's.
    assert str(first.dictionary.M) == "D:20250301090000Z"
    assert "signing_time" not in cms.signed
    assert ("signature_time_stamp_token" in cms.unsigned) == (level != "B-B")
    root = first.paper.Root
    assert ("/DSS" in root) == (level in {"B-LT", "B-LTA"})
    assert root.Extensions.ESIC.ExtensionLevel == 1
    if level in {"B-LT", "B-LTA"}:
        held = store(made)
        assert set(held["/CRLs"]) == {c.der for c in lists(PKI)}
        assert set(held["/Certs"]) == {c.der for c in (party.certificate, PKI.ca.certificate, PKI.root.certificate, PKI.tsu.certificate)}
    assert [o.kind for o in others] == (["/ETSI.RFC3161"] if level == "B-LTA" else [])
    for stamp in others:
        assert imprint(der_of(stamp.contents)) == Digest.of(cms.info["digest_algorithm"]["algorithm"].native, stamp.covered)
        assert stamp.dictionary.ByteRange[-1] + stamp.dictionary.ByteRange[-2] == len(made)


def test_the_reader_of_the_verifier_agrees() -> None:
    from verifier.formats import pades as reader

    for level in LEVELS:
        evidence = reader.read(Document.of(sealed(PDF, level)), ())
        [signature] = evidence.signatures
        assert signature.level == f"PAdES-BASELINE-{level.removeprefix('B-')}"
        assert signature.intact_references
        assert signature.defects == ()
        assert evidence.uncovered == ()
        assert all(stamp.intact for stamp in evidence.stamps)
        assert len(evidence.stamps) == LEVELS.index(level) - (level in {"B-LT", "B-LTA"}) if level != "B-B" else not evidence.stamps


def test_the_document_is_only_named() -> None:
    document = Document.of(PDF)
    draft = pades.seal(document, choose(PDF), means(PKI))
    assert draft.pieces[0] == Span(0, len(PDF))
    assert len(draft.pieces) == 2
    assert len(draft.stamps) == 2


def test_the_documents_own_words_about_itself_stay() -> None:
    before, after = pikepdf.open(io.BytesIO(PDF)), pikepdf.open(io.BytesIO(sealed(PDF)))
    assert dict(before.docinfo.items()) == dict(after.docinfo.items())
    assert len(after.pages) == 3
    assert after.check_pdf_syntax() == [] if hasattr(after, "check_pdf_syntax") else True


def test_claims_are_stated_where_pades_wants_them() -> None:
    made = sealed(PDF, "B-B", spec={"claims": Claims("承認のため", "東京", signing_time=SIGNED - timedelta(days=1))})
    [field] = fields(made)
    assert (str(field.dictionary.Reason), str(field.dictionary.Location)) == ("承認のため", "東京")
    assert str(field.dictionary.M) == "D:20250228090000Z"
    made = sealed(PDF, "B-B", spec={"claims": Claims(commitment=Commitment.APPROVAL)})
    [field] = fields(made)
    assert "/Reason" not in field.dictionary
    assert opened(der_of(field.contents)).signed["commitment_type"]


def test_earlier_signatures_stay_what_they_were() -> None:
    second = office.signer(PKI.ca, "Second Seal")
    once = sealed(PDF, "B-LTA")
    before = fields(once)
    twice = sealed(once, "B-LTA", second)
    assert twice.startswith(once)
    after = fields(twice)
    assert [f.name for f in after] == ["Seal1", "Timestamp1", "Seal2", "Timestamp2"]
    assert [(f.contents, f.covered) for f in after[:2]] == [(f.contents, f.covered) for f in before]
    opened(der_of(after[2].contents)).check(second, after[2].covered)
    # What the store held already is not put there twice.
    assert len(store(twice)["/CRLs"]) == 2
    assert len(store(twice)["/Certs"]) == 5


@pytest.mark.parametrize("save", [{"object_stream_mode": pikepdf.ObjectStreamMode.generate}, {"linearize": True}, {"min_version": "2.0"}, {}])
def test_every_shape_of_file(save: dict[str, Any]) -> None:
    made = sealed(blank_pdf(**save))
    assert len(pikepdf.open(io.BytesIO(made)).pages) == 2
    opened(der_of(fields(made)[0].contents)).check(PKI.signer, fields(made)[0].covered)


def test_a_file_that_ends_without_a_line_end() -> None:
    data = PDF.rstrip()
    made = sealed(data)
    assert made.startswith(data + b"\n")
    assert fields(made)[0].name == "Seal1"


def test_a_seal_takes_nobodys_number() -> None:
    """ISO 32000-1 table 15: /Size is one above the largest number, and new objects are numbered from there (found by `extend-pades`). Where it is too
    small, the seal would stand in the place of what pages refer to."""
    paper = pikepdf.new()
    paper.add_blank_page()
    shapes = {f"/X{n}": paper.make_stream(b"0 0 %d 10 re f" % n, Type=Name.XObject, Subtype=Name.Form, BBox=[0, 0, 9, 9]) for n in range(6)}
    paper.pages[0].Resources = Dictionary(XObject=Dictionary(shapes))
    paper.pages[0].Contents = paper.make_stream(b"".join(b"%s Do " % name.encode() for name in shapes))
    out = io.BytesIO()
    paper.save(out, object_stream_mode=pikepdf.ObjectStreamMode.disable)
    data = out.getvalue()
    assert b"/Size 11 " in data and sealed(data, "B-B").startswith(data)
    for small in range(2, 9):
        with pytest.raises(Malformed, match="an update would change what it shows"):
            sealed(data.replace(b"/Size 11 ", b"/Size %d " % small), "B-B")


def test_a_form_that_is_there_is_kept() -> None:
    paper = pikepdf.open(io.BytesIO(PDF))
    field = paper.make_indirect(Dictionary(FT=Name.Tx, T=pikepdf.String("Seal1"), V=pikepdf.String("taken"), Kids=Array([])))
    paper.Root.AcroForm = Dictionary(Fields=Array([field]), NeedAppearances=True, XFA=paper.make_stream(b"<x/>"))
    out = io.BytesIO()
    paper.save(out)
    document = Document.of(out.getvalue())
    draft = pades.seal(document, choose(PDF), means(PKI))
    assert [f.name for f in fields(whole(document, draft))] == ["Seal2", "Timestamp1"]
    assert len(draft.warnings) == 2
    assert "XFA" in draft.warnings[0]


def certified(permission: int | None, where: str) -> bytes:
    """As another maker signs with restrictions; only the shape matters here."""
    paper = pikepdf.open(io.BytesIO(PDF))
    parameters = Dictionary(Type=Name.TransformParams, V=Name("/1.2"))
    if permission is not None:
        parameters.P = permission
    method = Name.FieldMDP if where == "field" else Name.DocMDP
    reference = Dictionary(Type=Name.SigRef, TransformMethod=method, TransformParams=parameters)
    value = paper.make_indirect(
        Dictionary(Type=Name.Sig, Filter=Name("/Adobe.PPKLite"), Contents=pikepdf.String(b"\0"), ByteRange=Array([0, 1, 2, 3]))
    )
    if where != "lock":
        value.Reference = Array([reference])
    field = paper.make_indirect(Dictionary(FT=Name.Sig, T=pikepdf.String("Theirs"), V=value))
    if where == "lock":
        field.Lock = Dictionary(Type=Name.SigFieldLock, Action=Name.All, P=permission)
    paper.Root.AcroForm = Dictionary(Fields=Array([field]), SigFlags=3)
    if where == "perms":
        paper.Root.Perms = Dictionary(DocMDP=value)
    out = io.BytesIO()
    paper.save(out)
    return out.getvalue()


@pytest.mark.parametrize("where", ["perms", "document", "field", "lock"])
def test_a_document_whose_signer_forbade_changes_is_refused(where: str) -> None:
    with pytest.raises(Unacceptable, match="allows no changes"):
        sealed(certified(1, where))
    for permission in (2, 3) if where == "lock" else (2, 3, None):
        assert fields(sealed(certified(permission, where), "B-B"))[-1].name == "Seal1"


def encrypted(**options: Any) -> bytes:
    paper = pikepdf.open(io.BytesIO(PDF))
    out = io.BytesIO()
    paper.save(out, encryption=Encryption(**options))
    return out.getvalue()


@pytest.mark.parametrize("strength", [{"R": 6}, {"R": 4}, {"R": 3, "aes": False, "metadata": False}])
def test_an_encrypted_document_needs_its_password(strength: dict[str, Any]) -> None:
    data = encrypted(owner="owner", user="user", **strength)
    with pytest.raises(Unacceptable, match="encrypted: sealing it needs its password"):
        sealed(data)
    with pytest.raises(Unacceptable, match="does not open"):
        sealed(data, spec={"password": "wrong"})
    for password in ("owner", "user"):
        made = sealed(data, spec={"password": password})
        paper = pikepdf.open(io.BytesIO(made), password="user")
        assert len(paper.pages) == 3
        value = paper.Root.AcroForm.Fields[0].V
        a, b, c, d = (int(n) for n in value.ByteRange)
        opened(der_of(bytes.fromhex(made[b + 1 : c - 1].decode()))).check(PKI.signer, made[a : a + b] + made[c : c + d])


def test_a_password_for_reading_is_not_one_for_sealing() -> None:
    nothing = Permissions(modify_annotation=False, modify_form=False, modify_other=False, modify_assembly=False)
    data = encrypted(owner="owner", user="user", R=6, allow=nothing)
    with pytest.raises(Unacceptable, match="for reading only"):
        sealed(data, spec={"password": "user"})
    assert sealed(data, "B-B", spec={"password": "owner"})


def test_a_document_under_an_integrity_code_is_left_alone() -> None:
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.pdf_utils.writer import copy_into_new_writer

    writer = copy_into_new_writer(PdfFileReader(io.BytesIO(PDF)))
    writer.encrypt("owner", "user", pdf_mac=True)
    out = io.BytesIO()
    writer.write(out)
    with pytest.raises(Unacceptable, match="ISO/TS 32004"):
        sealed(out.getvalue(), spec={"password": "owner"})


def test_a_pdf_that_our_own_reader_would_not_read_is_refused_at_once() -> None:
    def never() -> Any:
        raise AssertionError("read")

    with pytest.raises(TooLarge, match="at most 2,000,000,000 bytes is sealed, got 2,000,000,001"):
        pades.seal(Document("a.pdf", 2_000_000_001, never), choose(PDF), means(PKI))


def test_a_password_that_is_not_needed_is_a_mistake() -> None:
    with pytest.raises(Unacceptable, match="not encrypted"):
        sealed(PDF, spec={"password": "x"})


def test_a_token_larger_than_thought_gets_its_room() -> None:
    stock = [office.authority(PKI.root, f"CA {n}").certificate for n in range(20)]
    signed: list[bytes] = []

    class Watched(Party):
        def sign(self, data: bytes) -> bytes:
            signed.append(data)
            return super().sign(data)

    key = Watched(PKI.signer.certificate, PKI.signer.chain, PKI.signer.algorithm, PKI.signer.private)
    stamp = office.stamper(PKI.tsu, certificates=[PKI.tsu.certificate, *PKI.tsu.chain, *stock])
    document = Document.of(PDF)
    draft = pades.seal(document, choose(PDF), means(PKI, key, stamp=stamp))
    assert len(draft.stamps[0]) > pdf_cms.TOKEN_ROOM
    assert len(signed) == 2
    first, second = fields(whole(document, draft))
    opened(der_of(first.contents)).check(PKI.signer, first.covered)
    assert imprint(der_of(second.contents)) == Digest.of("sha256", second.covered)
    assert draft.signature == opened(der_of(first.contents)).info["signature"].native


def test_status_is_asked_for_both_chains_and_each_once() -> None:
    asked: list[tuple[Cert, ...]] = []

    def status(chain: Any) -> Status:
        asked.append(tuple(chain))
        return Status(crls=lists(PKI))

    sealed(PDF, "B-LTA", status=status)
    assert asked == [(PKI.signer.certificate, *PKI.signer.chain), (PKI.tsu.certificate, *PKI.tsu.chain)]


def test_answers_of_a_responder_are_held_as_responses() -> None:
    answer = office.ocsp_response(PKI.signer, PKI.ca, PKI.responder)
    given = Status(ocsps=(Ocsp.from_response(answer),), certs=(PKI.responder.certificate,), crls=lists(PKI))
    held = store(sealed(PDF, "B-LT", status=lambda _: given))
    assert [Ocsp.from_response(o) for o in held["/OCSPs"]] == [Ocsp.from_response(answer)]
    assert PKI.responder.certificate.der in held["/Certs"]


def test_an_archive_stamp_of_another_unit_brings_its_own_data() -> None:
    other = office.unit(PKI.ca, "Example TSU 2")
    units = iter((PKI.tsu, other))
    made = sealed(PDF, "B-LTA", stamp=lambda d: office.token(next(units), d))
    assert other.certificate.der in store(made)["/Certs"]
    assert [f.name for f in fields(made)] == ["Seal1", "Timestamp1"]
    assert made.count(b"%%EOF") == PDF.count(b"%%EOF") + 3


@pytest.mark.parametrize("what", ["stamp", "status"])
def test_what_is_away_is_said_and_nothing_weaker_is_made(what: str) -> None:
    def away(_: object) -> Any:
        raise Unavailable("gone")

    with pytest.raises(Unavailable, match="gone"):
        sealed(PDF, "B-LTA", **{what: away})


def test_a_token_over_something_else_is_not_used() -> None:
    answers = iter((None, Digest.of("sha256", b"something else")))

    def stamp(digest: Digest) -> bytes:
        return office.token(PKI.tsu, next(answers) or digest)

    with pytest.raises(Unavailable, match="over something else"):
        sealed(PDF, "B-LTA", stamp=stamp)


def test_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def no(*_: object, **__: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket, "socket", no)
    monkeypatch.setattr(socket, "create_connection", no)
    monkeypatch.setattr(socket, "getaddrinfo", no)
    assert sealed(PDF, "B-LTA")


@pytest.mark.parametrize(
    "data", [b"", b"%PDF-", b"%PDF-1.7\n%%EOF", PDF[:-1000], PDF[: len(PDF) // 2], PDF.replace(b"/Pages", b"/Pagus"), b"x" + PDF]
)
def test_what_is_no_pdf_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed) as caught:
        sealed(data, spec={"format": "pades"})
    message = str(caught.value)
    assert message.isprintable()
    assert message[0].islower() or message.startswith(("the PDF", "PDF"))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, len(PDF) - 1), st.binary(min_size=1, max_size=40), st.booleans())
def test_mutations_are_sealed_or_refused_and_nothing_else(at: int, junk: bytes, insert: bool) -> None:
    data = PDF[:at] + junk + PDF[at if insert else at + len(junk) :]
    try:
        made = sealed(data, "B-LT", spec={"format": "pades"})
    except KakuinError:
        return
    assert made.startswith(data)
    # A file that no independent reader can read gets no seal; one that can be read shows the same afterwards.
    assert shown(made) == shown(data) is not None


def shown(data: bytes) -> list[bytes] | None:
    """What an independent reader finds on the pages; None where it cannot read the file."""
    try:
        with pikepdf.open(io.BytesIO(data)) as paper:
            return [unchanged._content(page.obj) for page in paper.pages]
    except pikepdf.PdfError:
        return None


def corpus(*names: str) -> list[Any]:
    folder = SHARED / "corpus" / "files" / "dss" / "dss-pades" / "validation"
    return [pytest.param(folder / name, id=name) for name in names]


@needs_shared
@pytest.mark.parametrize(
    "path",
    corpus(
        "PAdES-LT.pdf",  # hybrid cross-references
        "DSS-2821.pdf",  # breaks the format a little
        "hello_signed_INCSAVE_signed.pdf",
        "Signature-P-FR_CS-5.pdf",
        "DSS-2601.pdf",  # an XFA form
    ),
)
def test_real_files_of_other_makers(path: Any) -> None:
    data = path.read_bytes()
    made = sealed(data)
    assert made.startswith(data)
    names = {f.name: f for f in fields(made)}
    ours = next(f for name, f in names.items() if name.startswith("Seal"))
    opened(der_of(ours.contents)).check(PKI.signer, ours.covered)
    for before in fields(data):
        assert names[before.name].contents == before.contents
        assert names[before.name].covered == before.covered
    assert shown(made) == shown(data) is not None


@needs_shared
@pytest.mark.parametrize("path", corpus("pades_infinite_loop.pdf", "pdf-signed-corrupted.pdf", "siwa.pdf", "pdf-spoofing-attack.pdf"))
def test_broken_files_are_refused_in_one_line(path: Any) -> None:
    with pytest.raises(Malformed, match="the PDF cannot be updated"):
        sealed(path.read_bytes())
