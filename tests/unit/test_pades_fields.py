"""Named fields, what they ask for, certification and locks of PDF seals; and sealing in two halves."""

import io
from collections.abc import Callable
from typing import Any

import pikepdf
import pytest
from pikepdf import Array, Dictionary, Name, String

from eseal.formats import pades
from eseal.levels import Means
from eseal.pdf_seal import wished
from eseal.spec import Claims, choose
from tests.paper_seals import PKI, SECOND, form, picture, sealed
from tests.papers import pades_cms
from tests.sealing import blank_pdf, der_of, fields, means, opened, whole
from trust.errors import Malformed, TooLarge, Unacceptable, Unavailable
from trust.model import Digest, Document
from verifier.formats import pades as reader


def transforms(data: bytes) -> dict[str, tuple[Any, str, list[str]]]:
    """TransformMethod of the first signature -> /P, /Action and /Fields of its parameters."""
    first = fields(data)[0]
    found = {}
    for reference in first.dictionary.get("/Reference", ()):
        said = reference.TransformParams
        found[str(reference.TransformMethod)] = (said.get("/P"), str(said.get("/Action")), [str(f) for f in said.get("/Fields", ())])
    return found


def test_a_seal_goes_into_the_field_that_is_named() -> None:
    made = sealed(form(), field="Approval")
    [signed] = fields(made)
    assert signed.name == "Approval"
    with pikepdf.open(io.BytesIO(made)) as paper:
        assert len(paper.Root.AcroForm.Fields) == 2, "no field is added"
        assert [float(v) for v in paper.pages[1].obj.Annots[0].Rect] == [300, 100, 400, 200]


def test_a_new_field_gets_its_name_and_says_what_it_is() -> None:
    made = sealed(blank_pdf(), new_field="承認", visible="qr", page="2")
    [signed] = fields(made)
    assert signed.name == "承認"
    with pikepdf.open(io.BytesIO(made)) as paper:
        assert str(paper.pages[1].obj.Annots[0].TU) == "Example"
        assert "/Annots" not in paper.pages[0].obj


def _odd() -> bytes:
    with pikepdf.open(io.BytesIO(form())) as paper:
        paper.Root.AcroForm.Fields[1].T = String("承認\nB")
        made = io.BytesIO()
        paper.save(made)
    return made.getvalue()


WRONG: dict[str, tuple[Callable[[], bytes], dict[str, str], str]] = {
    "unknown": (form, {"field": "Aproval"}, "no signature field of that name; empty ones are: Approval"),
    "another kind": (form, {"field": "Total"}, "no signature field of that name; empty ones are: Approval"),
    "no form": (blank_pdf, {"field": "Approval"}, "no signature field of that name; it has no empty signature field"),
    "signed": (lambda: sealed(form(), field="Approval"), {"field": "Approval"}, "signed already; it has no empty signature field"),
    "taken": (form, {"new_field": "Total"}, "has a field of the name that the new one should get"),
    "certified after a seal": (lambda: sealed(form()), {"certify": "forms"}, "signed already: only its first seal can certify it"),
    "certified twice": (lambda: sealed(form(), certify="forms"), {"certify": "forms"}, "signed already"),
    "sealed though forbidden": (lambda: sealed(form(), certify="no-changes"), {}, "allows no changes after it"),
    "lock against the field's": (lambda: form(Lock=Dictionary(Action=Name.All)), {"field": "Approval", "lock": "all"}, "says itself"),
    "lock of no field": (form, {"lock": "Totall"}, "the PDF has no form field called Totall"),
    "lock of no kind": (lambda: form(Lock=Dictionary(Action=Name.Some)), {"field": "Approval"}, "a lock of a kind that is not known"),
    "name with line ends": (_odd, {"field": "X"}, r"empty ones are: 承認\?B"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_field_that_cannot_be_had_is_refused_and_the_others_are_told(name: str) -> None:
    make, said, why = WRONG[name]
    with pytest.raises(Unacceptable, match=why) as refused:
        sealed(make(), **said)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("said", "permission"), [("no-changes", 1), ("forms", 2), ("comments", 3)])
def test_a_certifying_seal_says_what_is_allowed(said: str, permission: int) -> None:
    made = sealed(form(), certify=said)
    assert transforms(made)["/DocMDP"][0] == permission
    with pikepdf.open(io.BytesIO(made)) as paper:
        assert paper.Root.Perms.DocMDP.objgen == paper.Root.AcroForm.Fields[2].V.objgen


@pytest.mark.parametrize(
    ("said", "action", "names"),
    [("all", "/Include", ["Total", "Approval", "Seal1"]), ("Total", "/Include", ["Total"]), ("all-but:Total,Date", "/Exclude", ["Total", "Date"])],
    ids=["all", "one", "all but"],
)
def test_a_lock_names_its_fields(said: str, action: str, names: list[str]) -> None:
    assert transforms(sealed(form(), lock=said))["/FieldMDP"] == (None, action, names)


def test_a_field_says_what_its_seal_locks() -> None:
    lock = Dictionary(Type=Name.SigFieldLock, Action=Name.Include, Fields=Array([String("Total")]), P=2)
    # With its /P, as Acrobat writes it.
    assert transforms(sealed(form(Lock=lock), field="Approval"))["/FieldMDP"] == (2, "/Include", ["Total"])


def test_what_was_locked_and_changed_all_the_same_is_told() -> None:
    made = sealed(form(), lock="Total")
    with pikepdf.open(io.BytesIO(made)) as paper:
        total = paper.Root.AcroForm.Fields[0]
        number, offset = total.objgen[0], len(made) + 1
    changed = b"%d 0 obj\n" % number + total_as("900") + b"\nendobj\n"
    start = offset + len(changed)
    previous = made[made.rindex(b"startxref") + 9 :].split()[0]
    with pikepdf.open(io.BytesIO(made)) as paper:
        root, size = paper.trailer.Root.objgen[0], int(paper.trailer.Size)
    table = b"xref\n%d 1\n%010d 00000 n \ntrailer\n<< /Size %d /Root %d 0 R /Prev %s >>\nstartxref\n%d\n%%%%EOF\n" % (
        number,
        offset,
        size,
        root,
        previous,
        start,
    )
    found = reader.read(Document.of(made + b"\n" + changed + table), ()).uncovered
    assert any(u.grave for u in found)


def total_as(value: str) -> bytes:
    return b"<< /Type /Annot /Subtype /Widget /F 4 /FT /Tx /T (Total) /V (%s) /DA (/Helv 12 Tf 0 g) /Rect [72 600 272 620] >>" % value.encode()


# Seed values.


def seeded(**entries: Any) -> bytes:
    return form(SV=Dictionary(Type=Name.SV, **entries))


MET: dict[str, tuple[Callable[[], bytes], dict[str, Any]]] = {
    "handler": (lambda: seeded(Ff=1, Filter=Name("/Adobe.PPKLite")), {}),
    "encoding": (lambda: seeded(Ff=2, SubFilter=Array([Name("/adbe.pkcs7.detached"), Name("/ETSI.CAdES.detached")])), {}),
    "version": (lambda: seeded(Ff=4, V=2), {}),
    "reason": (lambda: seeded(Ff=8, Reasons=Array([String("承認"), String("確認")])), {"claims": Claims("確認")}),
    "no reason": (lambda: seeded(Ff=8, Reasons=Array([String(".")])), {}),
    "a reason that is only proposed": (lambda: seeded(Reasons=Array([String("承認")])), {"claims": Claims("確認")}),
    "digest": (lambda: seeded(Ff=64, DigestMethod=Array([String("SHA256")])), {}),
    "revocation data": (lambda: seeded(Ff=32, AddRevInfo=True), {"level": "B-LT"}),
    "time-stamp": (lambda: seeded(TimeStamp=Dictionary(Ff=1, URL=String("http://tsa.example"))), {"level": "B-T"}),
    "certificate": (lambda: seeded(Cert=Dictionary(Ff=1, Subject=Array([String(PKI.signer.certificate.der)]))), {}),
    "issuer": (lambda: seeded(Cert=Dictionary(Ff=2, Issuer=Array([String(PKI.ca.certificate.der)]))), {}),
}
UNMET: dict[str, tuple[Callable[[], bytes], dict[str, Any], str]] = {
    "handler": (lambda: seeded(Ff=1, Filter=Name("/Entrust.PPKEF")), {}, "another signature handler"),
    "encoding": (lambda: seeded(Ff=2, SubFilter=Array([Name("/adbe.pkcs7.sha1")])), {}, "another encoding"),
    "version": (lambda: seeded(Ff=4, V=9), {}, "a later version"),
    "reason": (lambda: seeded(Ff=8, Reasons=Array([String("承認")])), {"claims": Claims("確認")}, "another reason"),
    "reason where there may be none": (lambda: seeded(Ff=8, Reasons=Array([])), {"claims": Claims("確認")}, "another reason"),
    "attestation": (lambda: seeded(Ff=16, LegalAttestation=Array([String("x")])), {}, "legal attestation"),
    "digest": (lambda: seeded(Ff=64, DigestMethod=Array([String("SHA512")])), {}, "another digest"),
    "revocation data": (lambda: seeded(Ff=32, AddRevInfo=True), {"level": "B-T"}, "B-LT"),
    "time-stamp": (lambda: seeded(TimeStamp=Dictionary(Ff=1, URL=String("http://tsa.example"))), {}, "B-T or above"),
    "certificate": (lambda: seeded(Cert=Dictionary(Ff=1, Subject=Array([String(SECOND.certificate.der)]))), {}, "another certificate"),
    "issuer": (lambda: seeded(Cert=Dictionary(Ff=2, Issuer=Array([String(SECOND.certificate.der)]))), {}, "another issuer"),
    "certificate, otherwise": (lambda: seeded(Cert=Dictionary(Ff=8, SubjectDN=Array([]))), {}, "a way that is not known"),
    "another certification": (lambda: seeded(MDP=Dictionary(P=2)), {"certify": "no-changes"}, "another kind of certification"),
    "not for certifying": (lambda: seeded(MDP=Dictionary(P=0)), {"certify": "forms"}, "not for certifying"),
    "certifying what is signed": (lambda: sealed(seeded(MDP=Dictionary(P=2))), {}, "signed already"),
}


@pytest.mark.parametrize("name", MET)
def test_what_a_field_asks_for_is_kept(name: str) -> None:
    make, said = MET[name]
    [signed] = fields(sealed(make(), field="Approval", **said))[:1]
    assert signed.name == "Approval"


@pytest.mark.parametrize("name", UNMET)
def test_what_a_field_asks_for_and_a_seal_is_not_is_refused(name: str) -> None:
    make, said, why = UNMET[name]
    with pytest.raises(Unacceptable, match=why):
        sealed(make(), field="Approval", **said)


def test_a_field_that_is_for_certifying_is_certified_in() -> None:
    assert transforms(sealed(seeded(MDP=Dictionary(P=2)), field="Approval"))["/DocMDP"][0] == 2


def test_an_encrypted_document_gets_a_visible_seal() -> None:
    made = blank_pdf(encryption=pikepdf.Encryption(owner="o", user="u", R=6))
    done = sealed(made, password="o", visible="image", image=picture("PNG"))
    with pikepdf.open(io.BytesIO(done), password="u") as paper:
        look = paper.pages[0].obj.Annots[0].AP.N
        assert len(look.Resources.XObject.Im.read_bytes()) == 120 * 120 * 3


# Two halves.


def waiting(key: Any = PKI.signer) -> Means:
    def never(*_: Any) -> Any:
        raise Unavailable("nothing is asked while a document is prepared")

    return Means(key, never, never, means(PKI).now)


def test_a_prepared_document_is_finished_elsewhere() -> None:
    class Silent(type(PKI.signer)):  # type: ignore[misc]
        def sign(self, data: bytes) -> bytes:
            raise AssertionError("the key is elsewhere")

    party = PKI.signer
    key = Silent(party.certificate, party.chain, party.algorithm, party.private)
    document = Document.of(form())
    spec = choose(document.head(1024), level="B-T", pdf=wished({"field": "Approval", "certify": "forms"}))
    made = pades.prepare(document, spec, waiting(key))
    data = document.read(1 << 20) + made.tail
    covered = data[: made.start] + data[made.stop :]
    assert made.imprint == Digest.of("sha256", covered)
    assert set(data[made.start + 1 : made.stop - 1]) == {ord("0")}
    draft = pades.finish(made, pades_cms(party, covered), b"value")
    [signed] = fields(whole(document, draft))
    opened(der_of(signed.contents)).check(party, signed.covered)
    [signature] = reader.read(Document.of(whole(document, draft)), ()).signatures
    assert signature.intact_references
    assert draft.signature == b"value"


def test_a_signature_that_does_not_fit_is_refused() -> None:
    document = Document.of(blank_pdf())
    made = pades.prepare(document, choose(document.head(1024), level="B-T"), waiting())
    assert made.room > 6 << 10, "a token goes there too"
    assert len(pades.finish(made, bytes(made.room), b"").pieces[1]) == len(made.tail)  # type: ignore[arg-type]
    with pytest.raises(TooLarge, match="kept free"):
        pades.finish(made, bytes(made.room + 1), b"")


def test_what_cannot_be_sealed_cannot_be_prepared() -> None:
    with pytest.raises(Malformed):
        pades.prepare(Document.of(b"no PDF"), choose(b"%PDF-"), waiting())
    with pytest.raises(Unacceptable, match="forbade"):
        pades.prepare(Document.of(sealed(form(), certify="no-changes")), choose(b"%PDF-"), waiting())
