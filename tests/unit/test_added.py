"""A signature more in what is signed already: both stand for our verifier, the first one's bytes are what they were."""

import io
import json
import zipfile
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from asn1crypto import cms
from lxml import etree

from eseal import drafting
from eseal.drafting import Holder
from eseal.service import Finding, Sealer, here
from eseal.spec import ADDED, Addition, Format, Level, choose
from tests import pki as office
from tests.pki import SIGNED, Party
from tests.sealing import CSV, lists, means, whole
from trust.errors import Malformed, Unacceptable
from trust.model import Document
from trust.ports import Status
from verifier.service import Verifier

PKI = office.pki()
OTHER = office.signer(PKI.ca)
FILE = Document.of(CSV, "料金.csv", "text/csv")
PAPER = Document.of(b"<a xml:lang='ja'><b/></a>", "sub/paper.xml", "application/xml")
KINDS: dict[str, tuple[dict[str, str], tuple[Document, ...], tuple[Document, ...]]] = {
    "cades-attached": ({"format": "cades", "packaging": "attached"}, (FILE,), ()),
    "cades-detached": ({"format": "cades", "packaging": "detached"}, (FILE,), (FILE,)),
    "jades-attached": ({"format": "jades", "packaging": "attached"}, (FILE,), ()),
    "jades-general": ({"format": "jades", "packaging": "attached", "serialization": "general"}, (FILE,), ()),
    "jades-clear": ({"format": "jades", "packaging": "attached", "components": "clear"}, (FILE,), ()),
    "jades-payload": ({"format": "jades", "packaging": "detached", "mechanism": "payload"}, (FILE,), (FILE,)),
    "jades-hash": ({"format": "jades", "packaging": "detached"}, (FILE, PAPER), (FILE, PAPER)),
    "asic-e-cades": ({"format": "asic-e-cades"}, (FILE, PAPER), ()),
    "asic-e-xades": ({"format": "asic-e-xades"}, (FILE, PAPER), ()),
    "xades-attached": ({"format": "xades", "packaging": "attached"}, (FILE,), ()),
    "xades-detached": ({"format": "xades", "packaging": "detached"}, (FILE,), (FILE,)),
    "xades-enveloped": ({"format": "xades", "packaging": "enveloped"}, (PAPER,), ()),
}
"""How it is sealed first, what is sealed, and what lies beside it."""
PARALLEL = [name for name in KINDS if not name.startswith("xades")]
COUNTERSIGNED = [name for name in KINDS if not name.startswith("asic")]


def sealed(name: str, level: str = "B-LTA") -> Document:
    options, documents, _ = KINDS[name]
    return _drafted(documents, PKI.signer, level=level, **options)


def added(name: str, document: Document, addition: str, level: str, *beside: Document, **more: Any) -> Document:
    options = {k: v for k, v in KINDS[name][0].items() if k in ("format", "mechanism", "components")}
    return _drafted((document, *(beside or KINDS[name][2])), OTHER, level=level, addition=addition, **{**options, **more})


def _drafted(documents: tuple[Document, ...], party: Party, **asked: Any) -> Document:
    given = means(PKI, party, status=lambda _: Status(crls=lists(PKI), certs=(PKI.root.certificate,)))
    first, *others = documents
    spec = choose(first.head(1024), **asked)
    made = drafting.draft(first, spec, Holder.of(party), SIGNED, *others, sign=party.sign, stamp=given.stamp, status=given.status)
    if len(others) and spec.addition is None:
        from eseal.dataset import joined

        return Document.of(whole(joined(documents), made), "sealed")
    return Document.of(whole(first, made), "sealed")


def judged(document: Document, beside: tuple[Document, ...]) -> Any:
    verifier = Verifier(lambda: SIGNED + timedelta(minutes=5), anchors=(PKI.root.certificate,))
    return verifier.verify(document, beside, crls=lists(PKI))


@pytest.mark.parametrize(("first", "second"), [("B-B", "B-B"), ("B-T", "B-LTA"), ("B-LTA", "B-T"), ("B-LTA", "B-LTA")])
@pytest.mark.parametrize("name", PARALLEL)
def test_a_parallel_signature_stands_beside_the_first(name: str, first: str, second: str) -> None:
    before = sealed(name, first)
    made = added(name, before, "parallel", second)
    old, new = judged(before, KINDS[name][2]), judged(made, KINDS[name][2])
    assert new.conclusion == "passed", new
    assert [s.signature.value for s in new.signatures if s.signature.signer == PKI.signer.certificate] == [s.signature.value for s in old.signatures]
    [other] = [s.signature for s in new.signatures if s.signature.signer == OTHER.certificate]
    assert other.countersigns is None and other.intact_references
    # Validation data that the first brought serves the second in CMS.
    assert other.level.rpartition("-")[2] in {"B-B": ("B",), "B-T": ("T", "LT"), "B-LTA": ("LTA",)}[second]
    assert new.evidence.uncovered == ()
    assert not [d for s in new.signatures for d in s.signature.defects]


@pytest.mark.parametrize(("first", "second"), [("B-B", "B-B"), ("B-B", "B-T"), ("B-LTA", "B-B"), ("B-LTA", "B-T")])
@pytest.mark.parametrize("name", COUNTERSIGNED)
def test_a_countersignature_is_over_the_first(name: str, first: str, second: str) -> None:
    before = sealed(name, first)
    made = added(name, before, "countersignature", second)
    old, new = judged(before, KINDS[name][2]), judged(made, KINDS[name][2])
    assert new.conclusion == "passed", new
    [master] = [s.signature for s in new.signatures if s.signature.countersigns is None]
    [counter] = [s.signature for s in new.signatures if s.signature.countersigns is not None]
    assert (master.value, master.level) == (old.signatures[0].signature.value, old.signatures[0].signature.level)
    assert (counter.countersigns, counter.signer) == (master.id, OTHER.certificate)
    assert counter.level.rpartition("-")[2] in (second[-1], "LT")
    assert counter.defects == () and counter.intact_references
    # Another value under it: it is no countersignature of that.
    again = _drafted(KINDS[name][1], OTHER, level="B-B", **KINDS[name][0])
    assert judged(again, KINDS[name][2]).signatures[0].signature.value != master.value


def test_a_second_signer_of_cms_is_listed_with_its_digest_and_certificates() -> None:
    made = added("cades-attached", sealed("cades-attached", "B-B"), "parallel", "B-B").read(1 << 20)
    data = cms.ContentInfo.load(made, strict=True)["content"]
    assert [i["sid"].chosen["serial_number"].native for i in data["signer_infos"]].count(OTHER.certificate.serial) == 1
    assert {c.chosen.dump() for c in data["certificates"]} >= {OTHER.certificate.der, PKI.signer.certificate.der}
    assert [a["algorithm"].native for a in data["digest_algorithms"]] == ["sha256"]
    counter = added("cades-attached", sealed("cades-attached", "B-B"), "countersignature", "B-B").read(1 << 20)
    [info] = cms.ContentInfo.load(counter, strict=True)["content"]["signer_infos"]
    [attribute] = [a for a in info["unsigned_attrs"] if a["type"].native == "counter_signature"]
    # RFC 5652 section 11.4: no content-type.
    assert "content_type" not in [a["type"].native for a in attribute["values"][0]["signed_attrs"]]


def test_a_container_keeps_every_file_and_gets_its_own_names() -> None:
    for name, fresh in (
        ("asic-e-cades", {"META-INF/ASiCManifest002.xml", "META-INF/signature002.p7s"}),
        ("asic-e-xades", {"META-INF/signatures002.xml"}),
    ):
        before = sealed(name, "B-T")
        made = added(name, before, "parallel", "B-T")
        with zipfile.ZipFile(io.BytesIO(before.read(1 << 20))) as old, zipfile.ZipFile(io.BytesIO(made.read(1 << 20))) as new:
            assert set(new.namelist()) - set(old.namelist()) == fresh
            assert all(new.read(n) == old.read(n) for n in old.namelist())
            assert new.namelist()[0] == "mimetype" and new.testzip() is None


def test_a_flattened_jws_becomes_general_and_keeps_its_texts() -> None:
    before = sealed("jades-clear", "B-T")
    old, new = (json.loads(d.read(1 << 20)) for d in (before, added("jades-clear", before, "parallel", "B-T")))
    assert new["payload"] == old["payload"]
    assert new["signatures"][0] == {name: old[name] for name in ("protected", "signature", "header")}
    assert set(new) == {"payload", "signatures"}


def test_the_countersigned_element_of_xml_is_named_by_its_id() -> None:
    root = etree.fromstring(added("xades-detached", sealed("xades-detached", "B-B"), "countersignature", "B-B").read(1 << 20))
    ds = "{http://www.w3.org/2000/09/xmldsig#}"
    master, counter = root, next(root.iter("{http://uri.etsi.org/01903/v1.3.2#}CounterSignature"))[0]
    reference = counter.find(f"{ds}SignedInfo/{ds}Reference")
    assert reference.get("URI") == f"#{master.find(f'{ds}SignatureValue').get('Id')}"
    assert reference.get("Type") == "http://uri.etsi.org/01903#CountersignedSignature"
    # What is countersigned is no data object that has a format.
    assert not list(counter.iter("{http://uri.etsi.org/01903/v1.3.2#}DataObjectFormat"))


@pytest.mark.parametrize(
    ("name", "document", "beside", "message"),
    [
        ("cades-attached", FILE, (), None),
        ("cades-detached", "cades-detached", (), "give it as one document more, got 0"),
        ("cades-attached", "cades-attached", (FILE,), "content is inside the CMS file: one document expected, got 2"),
        ("jades-attached", FILE, (), None),
        ("jades-payload", "jades-payload", (), "give it as further documents"),
        ("jades-attached", "jades-attached", (FILE,), "payload is inside the JWS: one document expected, got 2"),
        ("asic-e-cades", FILE, (), None),
        ("asic-e-cades", "asic-e-xades", (), "the container is asic-e-xades: name that format, got asic-e-cades"),
        ("asic-e-xades", "asic-e-cades", (), "the container is asic-e-cades: name that format, got asic-e-xades"),
        ("asic-e-xades", "asic-e-xades", (FILE,), "inside it: one document expected, got 2"),
    ],
    ids=["no CMS", "no content", "two contents", "no JWS", "no payload", "two payloads", "no container", "in XML", "in CMS", "beside a container"],
)
def test_what_cannot_get_a_parallel_signature_is_refused(name: str, document: Any, beside: tuple[Document, ...], message: str | None) -> None:
    given = sealed(document, "B-B") if isinstance(document, str) else document
    options = {k: v for k, v in KINDS[name][0].items() if k in ("format", "mechanism")}
    with pytest.raises((Malformed, Unacceptable), match=message):
        _drafted((given, *beside), OTHER, level="B-B", addition="parallel", **options)


def test_an_asic_s_container_and_an_unsigned_one_are_refused() -> None:
    simple = _drafted((FILE,), PKI.signer, level="B-B", format="asic-s-cades")
    with pytest.raises(Unacceptable, match="none by its mimetype"):
        _drafted((simple,), OTHER, level="B-B", addition="parallel", format="asic-e-cades")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as box:
        box.writestr("mimetype", "application/vnd.etsi.asic-e+zip")
        box.writestr("a.csv", CSV)
    with pytest.raises(Unacceptable, match="the container is not signed yet, got asic-e-xades"):
        _drafted((Document.of(packed.getvalue()),), OTHER, level="B-B", addition="parallel", format="asic-e-xades")


@pytest.mark.parametrize(("name", "what"), [("cades-attached", "a file with 2"), ("jades-attached", "a JWS with 2")])
def test_which_of_several_is_countersigned_nobody_can_tell(name: str, what: str) -> None:
    two = added(name, sealed(name, "B-B"), "parallel", "B-B")
    with pytest.raises(Unacceptable, match=f"over one signature, got {what}"):
        added(name, two, "countersignature", "B-B")


def test_a_value_without_an_id_cannot_be_referred_to() -> None:
    data = sealed("xades-detached", "B-B").read(1 << 20)
    root = etree.fromstring(data)
    name = root.find("{http://www.w3.org/2000/09/xmldsig#}SignatureValue").get("Id")
    with pytest.raises(Unacceptable, match="no Id of its own"):
        added("xades-detached", Document.of(data.replace(f' Id="{name}"'.encode(), b"")), "countersignature", "B-B")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "pades", "addition": "parallel"}, "parallel is offered in cades, jades, asic-e-cades and asic-e-xades, got pades"),
        ({"format": "cose", "addition": "countersignature"}, "countersignature is offered in cades, xades and jades, got cose"),
        ({"format": "cades", "addition": "countersignature", "level": "B-LT"}, "a countersignature is at B-B or B-T, got B-LT: extend raises both"),
        ({"format": "xades", "addition": "countersignature", "canonicalization": "1.1"}, "under exclusive canonicalization, got 1.1"),
        ({"format": "cades", "addition": "twice"}, "no addition has that name; there are parallel and countersignature"),
    ],
    ids=["pades", "cose", "level", "canonicalization", "name"],
)
def test_what_does_not_go_together_is_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(Unacceptable, match=message):
        choose(CSV, **options)  # type: ignore[arg-type]


def report(conclusion: str = "passed", *, intact: bool = True, indication: str = "TOTAL-PASSED", stamp: bool = True) -> dict[str, Any]:
    """As our verifier tells of a document with one signature and one time-stamp."""
    stamps = [{"imprint": {"value": "ab"}, "serial": "1", "intact": stamp}]
    signature = {"id": "s1", "intact": intact, "indication": indication}
    return {"conclusion": conclusion, "reasons": [{"text": "because"}], "signatures": [signature], "timestamps": stamps, "evidence_records": []}


@pytest.mark.parametrize(
    ("reports", "message"),
    [
        ((report("failed"), report()), "no signature is added to what failed: because"),
        ((report(), report(indication="INDETERMINATE")), "sealed, a signature of the document would not be what it was"),
        ((report(), report(intact=False)), "sealed, a signature of the document would not be what it was"),
        ((report(), {**report(), "signatures": []}), "sealed, a signature of the document would not be what it was"),
        ((report(), report(stamp=False)), "a time-stamp of the document would not be intact any more"),
        ((report(), {**report(), "timestamps": []}), "a time-stamp of the document would not be intact any more"),
        (None, "this service adds no signature"),
    ],
    ids=["failed before", "worse", "not intact", "gone", "stamp broken", "stamp gone", "no verifier"],
)
def test_what_was_there_must_be_what_it_was(reports: tuple[dict[str, Any], ...] | None, message: str) -> None:
    told, recorded = iter(reports or ()), []

    def record(kind: str, body: bytes) -> int:
        recorded.append(kind)
        return 0

    sealer = Sealer(
        keys=lambda _: OTHER,
        stamp=means(PKI).stamp,
        status=means(PKI).status,
        record=record,
        clock=lambda: SIGNED,
        check=lambda *_: Finding(True, "CAdES-BASELINE-B"),
        run=here,
        examine=(lambda *_: next(told)) if reports is not None else None,
    )
    before = sealed("cades-attached", "B-B")
    with pytest.raises(Unacceptable, match=message):
        sealer.seal(before, choose(b"\x30\x80", addition="parallel", level="B-B"), "1234567890123")
    assert recorded == []


def test_a_seal_that_was_added_is_recorded_as_such() -> None:
    recorded: list[dict[str, Any]] = []

    def record(kind: str, body: bytes) -> int:
        assert kind == "seal"
        recorded.append(json.loads(body))
        return 7

    given = means(PKI)
    sealer = Sealer(lambda _: OTHER, given.stamp, given.status, record, lambda: SIGNED, lambda *_: Finding(True, "CAdES-BASELINE-LT"), here)
    made = replace(sealer, examine=lambda *_: report()).seal(
        Document.of(sealed("cades-detached", "B-B").read(1 << 20), "prices.csv.p7s"),
        choose(b"\x30\x80", addition="countersignature", level="B-T"),
        "1234567890123",
    )
    assert (made.index, made.document.name, recorded[0]["addition"]) == (7, "prices.csv.sealed.p7s", "countersignature")


def test_defaults() -> None:
    assert choose(b"\x30\x80", addition="countersignature").level is Level.B_T
    assert choose(b"PK\3\4", addition="parallel").format is Format.ASIC_E_CADES
    assert {f for formats in ADDED.values() for f in formats} == {f for _, f in drafting.ADDING}
    assert {(a, f) for a in Addition for f in ADDED[a]} == set(drafting.ADDING)
