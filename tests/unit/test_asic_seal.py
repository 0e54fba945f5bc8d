"""ASiC-S and ASiC-E with CAdES as they are written: read by zipfile and lxml, and judged by the verifier."""

import base64
import io
import zipfile
from datetime import timedelta
from typing import Any

import pytest
from lxml import etree

from eseal.dataset import joined
from eseal.draft import Draft, Span, assembled, size_of
from eseal.formats import asic
from eseal.formats.container import Entry, archive
from eseal.spec import SEVERAL, Format, Level, choose
from tests import pki as office
from tests.pki import SIGNED
from tests.sealing import CSV, imprint, lists, means, opened
from trust.errors import Malformed, Unacceptable, Unavailable
from trust.model import Digest, Document
from trust.ports import Status

PKI = office.pki()
PRICES = Document.of(CSV, "価格.csv", "text/csv")
DATASET = (PRICES, Document.of(b"<a/>", "sub/with space.xml", "text/xml"), Document.of(b"", "sub/empty"), Document.of(b"\0" * 70_000, "zeros.bin"))
KINDS = (Format.ASIC_S_CADES, Format.ASIC_S_XADES, Format.ASIC_E_CADES, Format.ASIC_E_XADES)
FORM = {kind: "XAdES" if kind.endswith("xades") else "CAdES" for kind in KINDS}
NAMESPACES = {"asic": "http://uri.etsi.org/02918/v1.2.1#", "ds": "http://www.w3.org/2000/09/xmldsig#"}


def draft(format_: str, level: str = "B-LTA", *documents: Document, **changes: Any) -> Draft:
    first, *more = documents or (PRICES,)
    given = {"status": lambda _: Status(crls=lists(PKI), certs=(PKI.root.certificate,)), **changes}
    return asic.seal(first, choose(CSV, format=format_, level=level), means(PKI, **given), more)


def made(format_: str, level: str = "B-LTA", *documents: Document, **changes: Any) -> bytes:
    return assembled(joined(documents or (PRICES,)), draft(format_, level, *documents, **changes).pieces, None, None).read(1 << 30)


def box(data: bytes) -> zipfile.ZipFile:
    found = zipfile.ZipFile(io.BytesIO(data))
    assert found.testzip() is None
    return found


def listed(data: bytes) -> dict[str, Digest]:
    """What a manifest names, with its digests."""
    root = etree.fromstring(data)
    return {
        entry.get("URI"): Digest("sha256", base64.b64decode(entry.findtext("ds:DigestValue", namespaces=NAMESPACES)))
        for entry in root.findall("asic:DataObjectReference", NAMESPACES)
    }


@pytest.mark.parametrize("format_", KINDS)
def test_the_type_stands_first_and_uncompressed(format_: Format) -> None:
    data = made(format_)
    kind = f"application/vnd.etsi.{format_.rpartition('-')[0]}+zip".encode()
    # Annex A.1: at offset 30 "mimetype", at 38 the type itself.
    assert data[30:38] == b"mimetype" and data[38 : 38 + len(kind)] == kind
    assert data[28:30] == b"\0\0"


def test_asic_s_holds_the_document_and_one_signature_over_it() -> None:
    found = box(made("asic-s-cades"))
    assert found.namelist() == ["mimetype", "価格.csv", "META-INF/signature.p7s"]
    assert found.read("価格.csv") == CSV
    opened(found.read("META-INF/signature.p7s")).check(PKI.signer, CSV)


def test_asic_e_signs_a_manifest_of_every_document() -> None:
    found = box(made("asic-e-cades", "B-LTA", *DATASET))
    manifest, signature = found.read("META-INF/ASiCManifest001.xml"), found.read("META-INF/signature001.p7s")
    opened(signature).check(PKI.signer, manifest)
    names = {"%E4%BE%A1%E6%A0%BC.csv": PRICES, "sub/with%20space.xml": DATASET[1], "sub/empty": DATASET[2], "zeros.bin": DATASET[3]}
    expected = {uri: Digest.of("sha256", d.read(1 << 20)) for uri, d in names.items()}
    assert listed(manifest) == expected
    assert [d.read(1 << 20) for d in DATASET] == [found.read(d.name or "") for d in DATASET]
    # The archive time-stamp is over a manifest of all of that, hashed anew.
    later = found.read("META-INF/ASiCArchiveManifest.xml")
    meta = ("META-INF/ASiCManifest001.xml", "META-INF/signature001.p7s")
    assert listed(later) == expected | {name: Digest.of("sha256", found.read(name)) for name in meta}
    assert imprint(found.read("META-INF/timestamp001.tst")) == Digest.of("sha256", later)
    assert etree.fromstring(later).find("asic:SigReference", NAMESPACES).get("URI") == "META-INF/timestamp001.tst"


def test_xades_in_a_container_refers_to_every_document() -> None:
    found = box(made("asic-e-xades", "B-LTA", *DATASET))
    meta = ["META-INF/manifest.xml", "META-INF/signatures001.xml"]
    assert found.namelist() == ["mimetype", *(d.name for d in DATASET), *meta]
    root = etree.fromstring(found.read(meta[1]))
    assert root.tag == "{http://uri.etsi.org/02918/v1.2.1#}XAdESSignatures"
    *references, properties = root.findall("ds:Signature/ds:SignedInfo/ds:Reference", NAMESPACES)
    said = {r.get("URI"): base64.b64decode(r.findtext("ds:DigestValue", namespaces=NAMESPACES)) for r in references}
    names = ("%E4%BE%A1%E6%A0%BC.csv", "sub/with%20space.xml", "sub/empty", "zeros.bin")
    assert said == {name: Digest.of("sha256", d.read(1 << 20)).value for name, d in zip(names, DATASET, strict=True)}
    assert properties.get("Type").endswith("#SignedProperties")
    entries = [tuple(e.attrib.values()) for e in etree.fromstring(found.read(meta[0]))]
    assert entries[0] == ("/", "application/vnd.etsi.asic-e+zip")
    assert entries[1:] == [(d.name, d.media_type or "application/octet-stream") for d in DATASET]


def test_asic_s_with_xades_holds_the_document_and_one_signature_over_it() -> None:
    found = box(made("asic-s-xades"))
    assert found.namelist() == ["mimetype", "価格.csv", "META-INF/signatures.xml"]
    assert found.read("価格.csv") == CSV


def test_a_time_stamp_alone() -> None:
    from verifier.service import Verifier

    token = office.token(PKI.tsu, Digest.of("sha256", CSV))
    data = assembled(PRICES, asic.stamped_box(PRICES, token, SIGNED), None, None).read(1 << 20)
    found = box(data)
    assert found.namelist() == ["mimetype", "価格.csv", "META-INF/timestamp.tst"]
    assert (found.read("価格.csv"), found.read("META-INF/timestamp.tst")) == (CSV, token)
    verifier = Verifier(lambda: SIGNED + timedelta(minutes=5), anchors=(PKI.root.certificate,))
    assert verifier.verify(Document.of(data), crls=lists(PKI)).conclusion == "passed"
    assert verifier.verify(Document.of(data.replace(CSV, CSV[::-1])), crls=lists(PKI)).conclusion == "failed"


@pytest.mark.parametrize(("format_", "most"), [("asic-e-cades", 40_000), ("asic-e-xades", 19_000)])
def test_more_documents_than_readers_take_are_refused(format_: str, most: int) -> None:
    one = Document.of(b"x", "x")
    with pytest.raises(Unacceptable, match=f"holds at most {most} documents, got {most + 1}"):
        made(format_, "B-B", *([one] * (most + 1)))


@pytest.mark.parametrize("format_", KINDS)
@pytest.mark.parametrize("level", list(Level))
def test_the_verifier_passes_it(format_: Format, level: Level) -> None:
    from verifier.service import Verifier

    documents = DATASET if format_ in SEVERAL else (PRICES,)
    data = Document.of(made(format_, level, *documents))
    below = {} if level in (Level.B_LT, Level.B_LTA) else {"crls": lists(PKI)}
    verifier = Verifier(lambda: SIGNED + timedelta(minutes=5), anchors=(PKI.root.certificate,))
    verdict = verifier.verify(data, **below)  # type: ignore[arg-type]
    assert verdict.conclusion == "passed", verdict
    assert [s.signature.level for s in verdict.signatures] == [f"{FORM[format_]}-BASELINE-{level.removeprefix('B-')}"]
    assert verdict.evidence.uncovered == () and verdict.evidence.defects == ()
    if level is Level.B_LTA:
        after = PKI.signer.certificate.not_after + timedelta(days=200)
        assert verifier.verify(data, at=after).conclusion == "passed"


def test_a_changed_document_is_found() -> None:
    from verifier.service import Verifier

    data = made("asic-e-cades", "B-LTA", *DATASET)
    at = data.index(CSV)
    forged = data[:at] + b"X" + data[at + 1 :]
    verdict = Verifier(lambda: SIGNED + timedelta(minutes=5), anchors=(PKI.root.certificate,)).verify(Document.of(forged))
    assert verdict.conclusion == "failed"


def test_documents_are_only_named_each_whole_and_in_order() -> None:
    pieces = draft("asic-e-cades", "B-B", *DATASET).pieces
    spans = [p for p in pieces if isinstance(p, Span)]
    sizes = [d.size or 0 for d in DATASET]
    assert spans == [Span(sum(sizes[:n]), sum(sizes[: n + 1])) for n in range(len(sizes))]


@pytest.mark.parametrize(
    "name", ["../x", "/x", "a//b", "a\\b", "C:x", "META-INF/x", "meta-inf/x", "mimetype", "a\nb", "a\u202eb", ".", "a/", "x" * 1100, "\ud800"]
)
def test_names_that_a_container_cannot_have(name: str) -> None:
    with pytest.raises(Unacceptable, match="cannot stand in a container"):
        asic.entry_name(name, flat=False)


def test_names() -> None:
    assert asic.entry_name(None, flat=False) == "document"
    assert asic.entry_name("a/b.csv", flat=True) == "b.csv"
    with pytest.raises(Unacceptable, match="two documents have the same name"):
        made("asic-e-cades", "B-B", Document.of(b"1", "a.csv"), Document.of(b"2", "A.csv"))


def test_what_asic_s_refuses() -> None:
    for format_, other in (("asic-s-cades", "asic-e-cades"), ("asic-s-xades", "asic-e-xades")):
        with pytest.raises(Unacceptable, match=f"ASiC-S holds one document, got 4: several go into {other}"):
            made(format_, "B-B", *DATASET)
    with pytest.raises(Malformed, match="only digests"):
        made("asic-e-cades", "B-B", Document("x", None, None, (Digest.of("sha256", b"x"),)))


def test_no_authority_no_seal() -> None:
    calls = []

    def once(digest: Digest) -> bytes:
        calls.append(digest)
        if len(calls) > 1:
            raise Unavailable("does not answer")
        return office.token(PKI.tsu, digest)

    with pytest.raises(Unavailable, match="does not answer"):
        made("asic-e-cades", "B-LTA", stamp=once)


def test_what_does_not_fit_is_written_as_zip64() -> None:
    """Sizes and offsets above 4 GiB and more than 65,535 entries, without writing them: Python's reader reads the directory alone."""
    size = 5 << 30
    pieces = archive([Entry("big", Span(0, size), 7), Entry("behind", b"x", 0x8CDC1683)], SIGNED)
    hole = Document("hole", size_of(pieces), lambda: _Sparse(pieces))  # type: ignore[arg-type,return-value]
    with zipfile.ZipFile(hole.open()) as found:
        big, behind = found.infolist()
        assert (big.file_size, big.compress_size, big.CRC, behind.file_size) == (size, size, 7, 1)
        assert behind.header_offset > size
        assert found.read("behind") == b"x"
    many = archive([Entry(f"{n}", b"", 0) for n in range(70_000)], SIGNED)
    assert len(zipfile.ZipFile(io.BytesIO(b"".join(p for p in many if isinstance(p, bytes)))).namelist()) == 70_000


class _Sparse(io.RawIOBase):
    """Pieces whose spans are zeros."""

    def __init__(self, pieces: tuple[bytes | Span, ...]) -> None:
        self._pieces, self._at = pieces, 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + (0, self._at, size_of(self._pieces))[whence]
        return self._at

    def read(self, count: int = -1) -> bytes:
        found, start = b"", 0
        stop = size_of(self._pieces) if count < 0 else self._at + count
        for piece in self._pieces:
            end = start + size_of((piece,))
            a, b = max(start, self._at), min(end, stop)
            if a < b:
                found += bytes(b - a) if isinstance(piece, Span) else piece[a - start : b - start]
            start = end
        self._at += len(found)
        return found


def test_documents_one_behind_the_other_read_as_one() -> None:
    opened_now: list[int] = []

    class Counted(io.BytesIO):
        def __init__(self, data: bytes) -> None:
            super().__init__(data)
            opened_now.append(1)

        def close(self) -> None:
            if not self.closed:
                opened_now.pop()
            super().close()

    parts = [b"abc", b"", b"defgh", b"i" * 1000]
    documents = [Document(str(n), len(p), lambda p=p: Counted(p)) for n, p in enumerate(parts)]  # type: ignore[misc]
    whole = joined(documents)
    assert whole.size == 1008
    assert whole.read(2000) == b"".join(parts)
    with whole.open() as stream:
        stream.seek(2)
        assert stream.read(4) == b"cdef"
        assert len(opened_now) == 1
    assert opened_now == []
    assert joined(documents[:1]) is documents[0]
    short = Document("short", 10, lambda: io.BytesIO(b"abc"))
    with pytest.raises(Malformed, match="became shorter"):
        joined([short, short]).read(100)
