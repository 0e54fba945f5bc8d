"""What is sealed in a format that is checked beside the keys (`drafting.OPAQUE`) is read by the seal's own reader alone, whatever it holds."""

import functools
import io
import itertools
import zipfile
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from eseal import drafting
from eseal.claims import NOTHING, Claims
from eseal.demonstration import pdf
from eseal.draft import Draft, assembled
from eseal.drafting import Holder
from eseal.spec import OFFERED, Format, Mechanism, Packaging, Serialization, Spec, choose
from tests import pki
from tests.envelopes import octets, oid, seq
from trust.codecs import cbor, ers
from trust.codecs.cbor import Tag
from trust.model import Digest, Document
from trust.ports import Status
from verifier.policy import load
from verifier.question import Question
from verifier.read import HEAD, MARKS, READERS, reader_of
from verifier.service import finding

OFFICE = pki.pki()
READER = {Format.CADES: "cades", Format.XADES: "xades", Format.JADES: "jades"}
"""Of each opaque format, the one that is to read it."""
TST_INFO = oid("1.2.840.113549.1.9.16.1.4")


def drafted(document: Document, spec: Spec) -> Draft:
    sign, stamp = OFFICE.signer.sign, pki.stamper(OFFICE.tsu)
    return drafting.draft(document, spec, Holder.of(OFFICE.signer), pki.SIGNED, sign=sign, stamp=stamp, status=lambda _: Status())


def sealed(data: bytes, **options: str) -> bytes:
    document = Document.of(data, "a.bin")
    return assembled(document, drafted(document, choose(data, level="B-B", **options)).pieces, None, None).read(1 << 20)


@functools.cache
def token() -> bytes:
    return pki.stamper(OFFICE.tsu)(Digest.of("sha256", b"x"))


def _record() -> bytes:
    tree = ers.tree("sha256", Digest.of("sha256", b"x").value)
    return ers.record(tree, token(), 0)


def _packed() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("META-INF/signatures.xml", "<x/>")
    return made.getvalue()


CONTENTS: dict[str, Callable[[], bytes]] = {
    "pdf": lambda: sealed(pdf(), format="pades"),
    "header of a pdf": lambda: b"%PDF-1.7\n1 0 obj << /Type /Sig /ByteRange [0 1 2 3] /Contents <30> >> endobj\n",
    "zip": _packed,
    "asic": lambda: sealed(b"x", format="asic-e-xades"),
    "xades": lambda: sealed(b"x", format="xades", packaging="attached"),
    "cades": lambda: sealed(b"x", format="cades", packaging="attached"),
    "jades": lambda: sealed(b"x", format="jades", packaging="attached", serialization="general"),
    "jades-compact": lambda: sealed(b"x", format="jades", packaging="attached", serialization="compact"),
    "cose": lambda: sealed(b"x", format="cose", packaging="attached"),
    "time-stamp": token,
    "time-stamp response": lambda: seq(seq(b"\x02\x01\x00"), token()),
    "time-stamp refusal": lambda: seq(seq(b"\x02\x01\x02")),
    "type of a time-stamp": lambda: TST_INFO * 20,
    "request": lambda: seq(b"\x02\x01\x01", seq(seq(oid("2.16.840.1.101.3.4.2.1")), octets(bytes(32)))),
    "evidence record": _record,
    "xml evidence record": lambda: b'<EvidenceRecord xmlns="urn:ietf:params:xml:ns:ers" Version="1.0"/>',
    "marks": lambda: b" ".join(mark for _, mark in MARKS),
}
NAMES = ("a.bin", "%PDF-1.7 urn:ietf:params:xml:ns:ers EvidenceRecord PK\x03\x04.pdf")
WORDS = Claims(role="urn:ietf:params:xml:ns:ers EvidenceRecord", location="%PDF-1.7")
"""What whoever asks for the seal may say in it."""


def specs() -> Iterator[Spec]:
    for format_, packaging in OFFERED:
        if (format_, packaging) in drafting.OPAQUE:
            for shape, claims in itertools.product(_shapes(format_, packaging), (NOTHING, WORDS)):
                yield choose(b"", format=format_, level="B-B", packaging=packaging, claims=claims, **shape)


def _shapes(format_: Format, packaging: Packaging) -> tuple[dict[str, str], ...]:
    if format_ is not Format.JADES:
        return ({},)
    if packaging is Packaging.ATTACHED:
        return tuple({"serialization": s} for s in Serialization)
    return tuple({"mechanism": m} for m in Mechanism)


SPECS = tuple(specs())


def test_every_opaque_format_has_its_reader() -> None:
    assert {(s.format, s.packaging) for s in SPECS} == drafting.OPAQUE & OFFERED.keys()
    assert READER.keys() == {s.format for s in SPECS}
    assert set(READER.values()) <= set(READERS)


@pytest.mark.parametrize("before", [0, 7, 300, HEAD], ids=lambda n: f"behind {n}")
@pytest.mark.parametrize("content", CONTENTS)
def test_no_other_reader_claims_what_is_sealed(content: str, before: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The content stands at its beginning or further behind; in the seal it stands behind the seal's first bytes. All pass the check besides."""
    data = b"." * before + CONTENTS[content]()
    lists, at = OFFICE.crls(pki.SIGNED), pki.SIGNED + timedelta(seconds=5)
    for spec, name in itertools.product(SPECS, NAMES):
        document = Document.of(data, name)
        made = drafted(document, spec)
        whole = Document.of(assembled(document, made.pieces, None, None).read(1 << 20))
        beside = (document,) if spec.packaging is Packaging.DETACHED else ()
        question = Question(whole, at, load("strict"), (OFFICE.root.certificate,), beside, OFFICE.certs, lists)
        with monkeypatch.context() as patched:
            for other in set(READERS) - {READER[spec.format]}:
                patched.setattr(reader_of(other), "read", lambda *_, other=other: pytest.fail(f"{other} reads it"))
            passed, level, why, _ = finding(question, made.signature)
        assert (passed, why.strip()) == (True, "PASSED"), f"{spec.format} {spec.packaging} {level}"


def test_a_reader_that_would_parse_it_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what is not opaque: a COSE message that carries a PDF near its beginning."""
    message = cbor.encode(Tag(18, [b"", {}, b"%PDF-1.7", bytes(64)]))
    monkeypatch.setattr(reader_of("pades"), "read", lambda *_: pytest.fail("pades reads it"))
    with pytest.raises(pytest.fail.Exception, match="pades reads it"):
        finding(Question(Document.of(message), pki.SIGNED, load("strict"), ()), b"")
