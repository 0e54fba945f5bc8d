"""XAdES as it is written, held by libxml2, ETSI's schemas, xmlsec1 and the verifier's reader."""

import base64
import hashlib
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from lxml import etree

from eseal.draft import Base64, Draft, Span
from eseal.formats import xades
from eseal.formats.xades.enveloped import MOST_REFERENCES
from eseal.formats.xades.markup import CANONICAL
from eseal.spec import Canonicalization, Claims, Commitment, Level, Packaging, choose
from tests import pki as office
from tests import xades_maker as maker
from tests.pki import SIGNED, Party
from tests.sealing import CSV, imprint, lists, means, whole
from tests.services import program
from tests.shared import SHARED, needs_shared
from trust.algorithms import DIGESTS, Algorithm, verify
from trust.errors import Malformed, Unacceptable, Unavailable
from trust.model import Cert, Digest, Document, Evidence
from trust.ports import Status
from verifier.formats import xades as reader

DS, X132, X141 = f"{{{maker.DS}}}", f"{{{maker.X132}}}", f"{{{maker.X141}}}"
NOTICE = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<?format draft?><n:お知らせ xmlns:n="urn:example:notice" xmlns="urn:example" xmlns:other="urn:other"'
    ' xml:lang="ja" xml:base="https://example.jp/a/" Id="whole">\r\n <額 単位="円">1,000 &amp; &#x9;</額><other:x/><!-- 注 --><![CDATA[<&]]>\n'
    "</n:お知らせ >\n<!-- </n> -->\n<?end </x> ?>\n"
).encode()
XML = Document.of(NOTICE, "お知らせ.xml")
FILE = Document.of(CSV, "料金 2025.csv", "text/csv")
DOCUMENTS = {Packaging.ENVELOPED: XML, Packaging.DETACHED: FILE, Packaging.ATTACHED: FILE}
PKI = office.pki()
KINDS: dict[str, Party] = {
    "p256": PKI.signer,
    "p384": replace(office.signer(PKI.ca, key="p384"), algorithm=Algorithm("ecdsa", "sha384")),
    "p521": replace(office.signer(PKI.ca, key="p521"), algorithm=Algorithm("ecdsa", "sha512")),
    "rsa": office.signer(PKI.ca, key="rsa2048"),
    "pss": office.signer(PKI.ca, key="rsa2048").with_pss(),
    "pss-sha512": office.signer(PKI.ca, key="rsa2048").with_pss("sha512"),
    "pss-salt": replace(office.signer(PKI.ca, key="rsa2048"), algorithm=Algorithm("rsa-pss", "sha256", "sha256", 20)),
    "ed25519": office.signer(PKI.ca, key="ed25519"),
}
INCLUSIVE, INCLUSIVE_11, EXCLUSIVE = (
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
    "http://www.w3.org/2006/12/xml-c14n11",
    "http://www.w3.org/2001/10/xml-exc-c14n#",
)


def sealed(packaging: Packaging, level: str = "B-B", *, c14n: str = EXCLUSIVE, party: Party | None = None, **said: Any) -> tuple[bytes, Draft]:
    document = DOCUMENTS[packaging]
    canonical = next(name for name, uri in CANONICAL.items() if uri == c14n)
    spec = choose(NOTICE, format="xades", packaging=packaging, level=level, claims=Claims(**said), canonicalization=canonical)
    draft = xades.seal(document, spec, means(PKI, party))
    return whole(document, draft), draft


def enveloped(data: bytes) -> bytes:
    document = Document.of(data)
    return whole(document, xades.seal(document, choose(data, format="xades", packaging="enveloped", level="B-B"), means(PKI)))


def read(data: bytes, packaging: Packaging) -> Evidence:
    return reader.read(Document.of(data), (FILE,) if packaging is Packaging.DETACHED else ())


def the_signature(data: bytes) -> Any:
    [found] = etree.fromstring(data).iter(f"{DS}Signature")
    return found


def octets(node: Any, path: str) -> bytes:
    return base64.b64decode(node.find(path).text)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("packaging", Packaging)
def test_every_kind_of_key_signs_what_the_standard_says(kind: str, packaging: Packaging) -> None:
    party = KINDS[kind]
    made, draft = sealed(packaging, party=party)
    signature = the_signature(made)
    info = signature.find(f"{DS}SignedInfo")
    data, properties = info.findall(f"{DS}Reference")
    digest = party.algorithm.digest or "sha512"
    for reference, expected in (
        (data, maker.c14n(etree.fromstring(NOTICE).getroottree()) if packaging is Packaging.ENVELOPED else CSV),
        (properties, maker.c14n(signature.find(f".//{X132}SignedProperties"))),
    ):
        assert reference.find(f"{DS}DigestMethod").get("Algorithm") == DIGESTS[digest].xml
        assert octets(reference, f"{DS}DigestValue") == hashlib.new(digest, expected).digest()
    value = octets(signature, f"{DS}SignatureValue")
    if party.algorithm.scheme == "ecdsa":
        assert len(value) == {"p256": 64, "p384": 96, "p521": 132}[kind]
        half = len(value) // 2
        value = encode_dss_signature(int.from_bytes(value[:half]), int.from_bytes(value[half:]))
    public = party.certificate.public_key
    assert public is not None
    assert value == draft.signature
    assert verify(public, party.algorithm, value, maker.c14n(info))
    [found] = read(made, packaging).signatures
    assert (found.level, found.algorithm, found.value) == ("XAdES-BASELINE-B", party.algorithm, value)
    assert found.intact_references
    assert found.signer_reference.digest_matches
    assert found.defects == ()


@pytest.mark.parametrize("c14n", [INCLUSIVE, INCLUSIVE_11, EXCLUSIVE])
@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("packaging", Packaging)
def test_the_reader_of_the_verifier_agrees(packaging: Packaging, level: Level, c14n: str) -> None:
    made, draft = sealed(packaging, level, c14n=c14n, location="東京 & <京都>", commitment=Commitment.APPROVAL, role="会計課")
    evidence = read(made, packaging)
    [signature] = evidence.signatures
    assert signature.level == f"XAdES-BASELINE-{level.removeprefix('B-')}"
    assert signature.intact_references
    assert signature.defects == ()
    assert signature.claims.time == SIGNED
    assert signature.claims.place == "東京 & <京都>"
    assert signature.claims.roles == ("会計課",)
    assert signature.claims.commitments == ("http://uri.etsi.org/01903/v1.2.2#ProofOfApproval",)
    assert signature.claims.content_type == ("application/xml" if packaging is Packaging.ENVELOPED else "text/csv")
    assert [s.token.der for s in evidence.stamps] == list(draft.stamps)
    assert len(draft.stamps) == {"B-B": 0, "B-T": 1, "B-LT": 1, "B-LTA": 2}[level]
    assert all(s.intact for s in evidence.stamps)
    assert evidence.uncovered == ()
    if packaging is Packaging.ATTACHED:
        [inside] = evidence.documents
        assert inside.read(1 << 20) == CSV


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("packaging", Packaging)
@needs_shared
def test_it_is_valid_by_the_schemas_of_etsi(schema: Any, packaging: Packaging, level: Level) -> None:
    made, _ = sealed(packaging, level, location="東京", commitment=Commitment.ORIGIN, role="a > b")
    alone = etree.fromstring(etree.tostring(the_signature(made), with_tail=False))
    assert schema.validate(alone), schema.error_log
    alone.find(f".//{X132}SigningTime").text = "yesterday"
    assert not schema.validate(alone)


@pytest.fixture(scope="module")
def schema() -> Any:
    """XAdES 1.4.1 with 1.3.2 and XML Signature, nothing fetched."""
    local = {"xmldsig-core-schema.xsd": "xmldsig/xmldsig-core-schema.xsd", "1913201-XAdES01903v132.xsd": "xades/XAdES01903v132-202407.xsd"}

    class Near(etree.Resolver):
        def resolve(self, url: str, public_id: str, context: Any) -> Any:
            name = url.rsplit("/", 1)[-1]
            return self.resolve_filename(str(SHARED / "schemas" / local[name]), context) if name in local else None

    parser = etree.XMLParser(load_dtd=False, no_network=True)
    parser.resolvers.add(Near())
    return etree.XMLSchema(etree.parse(str(SHARED / "schemas/xades/XAdES01903v141-202407.xsd"), parser))


@pytest.mark.parametrize("c14n", [INCLUSIVE, INCLUSIVE_11, EXCLUSIVE])
@pytest.mark.parametrize("packaging", [Packaging.ENVELOPED, Packaging.ATTACHED])
@pytest.mark.parametrize("kind", ["p256", "p384", "p521", "rsa"])
def test_xmlsec1_agrees(kind: str, packaging: Packaging, c14n: str, tmp_path: Path) -> None:
    made, _ = sealed(packaging, c14n=c14n, party=KINDS[kind])
    (tmp_path / "root.cer").write_bytes(PKI.root.certificate.der)
    command = [program("xmlsec1"), "--verify", "--trusted-der", tmp_path / "root.cer", "--verification-time", f"{SIGNED:%Y-%m-%d %H:%M:%S}"]
    command += ["--id-attr:Id", "SignedProperties", "--id-attr:Id", "Object", tmp_path / "made.xml"]
    content = (b"1,000", b"9,000") if packaging is Packaging.ENVELOPED else (base64.b64encode(CSV[:6]), base64.b64encode(b"z" + CSV[1:6]))
    changed = made.replace(*content, 1)
    assert changed != made
    for data, accepted in ((made, True), (changed, False)):
        (tmp_path / "made.xml").write_bytes(data)
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={"TZ": "UTC"})
        assert (done.returncode == 0) == accepted, done.stderr


def test_the_time_stamp_is_over_the_signature_value_element() -> None:
    made, draft = sealed(Packaging.DETACHED, "B-T")
    value = maker.c14n(the_signature(made).find(f"{DS}SignatureValue"))
    [token] = draft.stamps
    assert imprint(token) == Digest.of("sha256", value)
    assert octets(the_signature(made), f".//{X132}SignatureTimeStamp/{X132}EncapsulatedTimeStamp") == token


@pytest.mark.parametrize("packaging", Packaging)
def test_the_archive_time_stamp_is_over_everything_before_it(packaging: Packaging) -> None:
    made, draft = sealed(packaging, "B-LTA")
    signature = the_signature(made)
    stamp = signature.find(f".//{X141}ArchiveTimeStamp")
    assert octets(stamp, f"{X132}EncapsulatedTimeStamp") == draft.stamps[1]
    holder = stamp.getparent()
    for later in (*stamp.itersiblings(), stamp):
        holder.remove(later)
    data = maker.c14n(etree.fromstring(NOTICE).getroottree()) if packaging is Packaging.ENVELOPED else CSV
    assert imprint(draft.stamps[1]) == Digest.of("sha256", maker.archive_octets(signature, [data]))


def test_what_validates_the_stamp_is_named_as_the_stamps() -> None:
    made, _ = sealed(Packaging.DETACHED, "B-LTA")
    signature = the_signature(made)
    own = {base64.b64decode(e.text) for e in signature.find(f".//{X132}UnsignedSignatureProperties/{X132}CertificateValues")}
    assert own == {c.der for c in (PKI.signer.certificate, *PKI.signer.chain)}
    data = signature.find(f".//{X141}TimeStampValidationData")
    assert data.get("URI") == f"#{signature.find(f'.//{X132}SignatureTimeStamp').get('Id')}"
    assert octets(data, f".//{X132}EncapsulatedX509Certificate") == PKI.tsu.certificate.der
    values = [base64.b64decode(e.text) for e in signature.iter(f"{X132}EncapsulatedCRLValue")]
    assert sorted(values) == sorted(c.der for c in lists(PKI))


def test_a_stamp_of_another_unit_brings_its_own_chain() -> None:
    """The archive time-stamp's unit was unknown until it stamped: what validates it comes after it."""
    other = office.pki()
    row = iter([office.stamper(PKI.tsu), office.stamper(other.tsu)])

    def stamp(digest: Digest) -> bytes:
        return next(row)(digest)

    asked: list[Cert] = []

    def status(chain: Any) -> Status:
        asked.append(chain[0])
        return Status(crls=lists(other if chain[0] == other.tsu.certificate else PKI))

    spec = choose(CSV, format="xades", packaging="detached")
    made = whole(FILE, xades.seal(FILE, spec, means(PKI, stamp=stamp, status=status)))
    signature = the_signature(made)
    names = [etree.QName(e).localname for e in signature.find(f".//{X132}UnsignedSignatureProperties")]
    assert names[-2:] == ["ArchiveTimeStamp", "TimeStampValidationData"]
    last = signature.findall(f".//{X141}TimeStampValidationData")[-1]
    assert last.get("URI") == f"#{signature.find(f'.//{X141}ArchiveTimeStamp').get('Id')}"
    assert other.tsu.certificate.der in {base64.b64decode(e.text) for e in last.iter(f"{X132}EncapsulatedX509Certificate")}
    assert asked == [PKI.signer.certificate, PKI.tsu.certificate, other.tsu.certificate]


def test_the_documents_bytes_stay_as_they_are() -> None:
    made, draft = sealed(Packaging.ENVELOPED, "B-LTA")
    end = NOTICE.index("</n:お知らせ ".encode())
    first, signature, last = draft.pieces
    assert (first, last) == (Span(0, end), Span(end, len(NOTICE)))
    assert isinstance(signature, bytes)
    assert made == NOTICE[:end] + signature + NOTICE[end:]


def test_an_attached_document_is_only_named() -> None:
    made, draft = sealed(Packaging.ATTACHED)
    assert Base64(0, len(CSV)) in draft.pieces
    holder = the_signature(made).find(f"{DS}Object")
    assert base64.b64decode(holder.text) == CSV
    assert holder.get("Id", "").startswith(the_signature(made).get("Id"))
    assert holder.get("MimeType") == "text/csv"


def test_a_detached_document_of_any_size_is_read_in_pieces() -> None:
    import io

    class Counted(io.BytesIO):
        most = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            Counted.most = max(Counted.most, len(data))
            return data

    document = Document("big.bin", 3_000_000, lambda: Counted(bytes(3_000_000)))
    draft = xades.seal(document, choose(b"", format="xades"), means(PKI))
    assert Counted.most <= Document.CHUNK
    [signature] = reader.read(Document.of(whole(document, draft)), (document,)).signatures
    assert signature.level == "XAdES-BASELINE-LTA"
    assert signature.intact_references


@pytest.mark.parametrize(
    "paper",
    [
        b"<a> </a>",
        b"\xef\xbb\xbf<a>x</a>",
        b"<a>x</a\n>\n\n",
        b"<a><b/></a><!-- </a> --><?x </a>?>",
        '<?xml version="1.0" encoding="Shift_JIS"?><通知>表示ソ</通知>'.encode("cp932"),
        '<?xml version="1.0" encoding="EUC-JP"?><通知>表示</通知>'.encode("euc-jp"),
        '<?xml version="1.0" encoding="ISO-8859-1"?><é>ü</é>'.encode("latin-1"),
        b'<ds:a xmlns:ds="urn:not-it" xmlns:xades="urn:nor-this"><xades:b/></ds:a>',
        b'<a xmlns="http://www.w3.org/2000/09/xmldsig#" Id="seal">x</a>',
    ],
)
def test_any_shape_of_document_envelops_a_seal(paper: bytes) -> None:
    document = Document.of(paper)
    spec = choose(paper, format="xades", packaging="enveloped", level="B-LTA", claims=Claims(location="東京"))
    for canonical in Canonicalization:
        made = whole(document, xades.seal(document, replace(spec, canonicalization=canonical), means(PKI)))
        evidence = reader.read(Document.of(made), ())
        [signature] = evidence.signatures
        assert (signature.level, signature.defects, signature.claims.place) == ("XAdES-BASELINE-LTA", (), "東京")
        assert signature.intact_references
        assert all(s.intact for s in evidence.stamps)


@pytest.mark.parametrize(
    ("paper", "error", "message"),
    [
        (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', Malformed, "document type declarations are not read"),
        (b"<a>&x;</a>", Malformed, "not a well-formed"),
        (b"<a>", Malformed, "not a well-formed"),
        (b"a,b\n1,2\n", Malformed, "not a well-formed"),
        (b"<a>" * 220 + b"x" + b"</a>" * 220, Malformed, "deep"),
        (b"<a/>", Unacceptable, "empty"),
        (b"<a/><!-- x -->", Unacceptable, "empty"),
        (b"<a>x</a><?x <?y?>", Unacceptable, "no telling"),
        ('<?xml version="1.0" encoding="UTF-16"?><a>x</a>'.encode("utf-16"), Unacceptable, "UTF-8"),
        (maker.detached(PKI.signer, {"x": b"x"}), Unacceptable, "itself a signature"),
    ],
)
def test_what_cannot_envelop_a_seal_is_refused(paper: bytes, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        enveloped(paper)


def test_a_second_seal_never_breaks_the_first() -> None:
    with pytest.raises(Unacceptable, match="signed already"):
        enveloped(enveloped(NOTICE))
    by_id = maker.enveloped(PKI.signer, paper=maker.PAPER, uri="#paper")
    with pytest.raises(Unacceptable, match="signed already"):
        enveloped(by_id)


def test_a_second_seal_is_made_where_the_first_allows_it() -> None:
    without = maker.transform(
        "http://www.w3.org/TR/1999/REC-xpath-19991116", f'<ds:XPath xmlns:ds="{maker.DS}">not(ancestor-or-self::ds:Signature)</ds:XPath>'
    )
    made = maker.signature(PKI.signer, [maker.Made("", maker.c14n(etree.fromstring(maker.PAPER)), without + maker.EXCLUSIVE)])
    twice = enveloped(maker.inserted(maker.PAPER, made))
    one, other = reader.read(Document.of(twice), ()).signatures
    assert one.intact_references
    assert other.intact_references
    part = b'<a><b Id="b">x</b></a>'
    own = maker.signature(PKI.signer, [maker.Made("#b", b'<b Id="b">x</b>', maker.EXCLUSIVE)])
    assert len(reader.read(Document.of(enveloped(maker.inserted(part, own))), ()).signatures) == 2


def test_a_second_seal_is_refused_where_nobody_can_tell() -> None:
    made = maker.signature(PKI.signer, [maker.Made("", b"x", maker.transform("http://www.w3.org/TR/1999/REC-xslt-19991116"))])
    with pytest.raises(Unacceptable, match="signed already"):
        enveloped(maker.inserted(maker.PAPER, made))


def test_a_document_full_of_signatures_is_refused_before_it_is_worked_through() -> None:
    reference = b'<Reference URI=""><Transforms/></Reference>'
    paper = b'<a><Signature xmlns="%s"><SignedInfo>%s</SignedInfo></Signature></a>' % (maker.DS.encode(), reference * (MOST_REFERENCES + 1))
    with pytest.raises(Unacceptable, match="signed already"):
        enveloped(paper)


def test_a_name_stands_percent_encoded_in_the_uri() -> None:
    made, _ = sealed(Packaging.DETACHED)
    reference = the_signature(made).find(f"{DS}SignedInfo/{DS}Reference")
    assert reference.get("URI") == "%E6%96%99%E9%87%91%202025.csv"
    assert reference.find(f"{DS}Transforms") is None
    nameless = Document.of(CSV)
    made = whole(nameless, xades.seal(nameless, choose(CSV, format="xades", level="B-B"), means(PKI)))
    assert the_signature(made).find(f"{DS}SignedInfo/{DS}Reference").get("URI") == "document"


@pytest.mark.parametrize("said", ['text/x; a="<&>"', "text/plain\x01", "", None])
def test_a_media_type_is_written_as_it_was_said_or_not_at_all(said: str | None) -> None:
    document = Document.of(CSV, "x", said)
    made = whole(document, xades.seal(document, choose(CSV, format="xades", packaging="attached", level="B-B"), means(PKI)))
    mime = the_signature(made).find(f".//{X132}MimeType").text
    assert mime == (said if said and "\x01" not in said else "application/octet-stream")
    assert the_signature(made).find(f"{DS}Object").get("MimeType") == mime


def test_too_much_for_one_text_is_refused() -> None:
    document = Document("x", xades.MOST_ATTACHED + 1, lambda: pytest.fail("read"))
    with pytest.raises(Unacceptable, match="detached"):
        xades.seal(document, choose(CSV, format="xades", packaging="attached"), means(PKI))


def test_the_largest_attached_document_is_read_again() -> None:
    document = Document.of(bytes(xades.MOST_ATTACHED), "zeros")
    made = whole_of(document, "attached")
    [signature] = reader.read(Document.of(made), ()).signatures
    assert signature.intact_references


def whole_of(document: Document, packaging: str) -> bytes:
    return whole(document, xades.seal(document, choose(CSV, format="xades", packaging=packaging, level="B-B"), means(PKI)))


def test_a_key_without_an_identifier_in_xml_is_refused() -> None:
    party = office.signer(PKI.ca, key="ml-dsa-65")
    with pytest.raises(Unacceptable, match="no identifier in XML"):
        sealed(Packaging.DETACHED, party=party)


def test_a_canonical_form_is_one_of_three_without_comments() -> None:
    with pytest.raises(Unacceptable, match=r"no canonicalization has that name; there are exclusive, 1\.0 and 1\.1"):
        choose(NOTICE, format="xades", canonicalization="exclusive-with-comments")
    with pytest.raises(Unacceptable, match="belongs to xades"):
        choose(CSV, format="cades", canonicalization="1.1")


@pytest.mark.parametrize("c14n", [INCLUSIVE, INCLUSIVE_11, EXCLUSIVE])
def test_several_documents_have_a_reference_each(c14n: str) -> None:
    others = (Document.of(NOTICE, "sub/お知らせ.xml", "application/xml"), Document.of(b"", "empty"))
    canonical = next(name for name, uri in CANONICAL.items() if uri == c14n)
    spec = choose(CSV, format="xades", packaging="detached", level="B-LTA", canonicalization=canonical)
    made = whole(FILE, xades.seal(FILE, spec, means(PKI), others))
    info = the_signature(made).find(f"{DS}SignedInfo")
    assert [r.get("URI") for r in info.findall(f"{DS}Reference")][:-1] == [quote(d.name or "") for d in (FILE, *others)]
    evidence = reader.read(Document.of(made), (*others, FILE))
    [signature] = evidence.signatures
    assert (signature.level, signature.intact_references, signature.defects) == ("XAdES-BASELINE-LTA", True, ())
    assert all(s.intact for s in evidence.stamps)
    # One of them changed, or two in each other's place: not the same any more.
    for wrong in ((others[0], Document.of(b"x", "empty"), FILE), (others[0], FILE)):
        [signature] = reader.read(Document.of(made), wrong).signatures
        assert not signature.intact_references


def test_several_documents_are_sealed_detached_under_names_of_their_own() -> None:
    for packaging in (Packaging.ENVELOPED, Packaging.ATTACHED):
        with pytest.raises(Unacceptable, match=f"an {packaging} xades seals one document, got 2"):
            xades.seal(XML, choose(NOTICE, format="xades", packaging=packaging), means(PKI), (FILE,))
    detached = choose(CSV, format="xades", packaging="detached")
    with pytest.raises(Unacceptable, match="a name of its own"):
        xades.seal(FILE, detached, means(PKI), (FILE,))
    with pytest.raises(Unacceptable, match="at most 19000 documents, got 19001"):
        xades.seal(FILE, detached, means(PKI), [FILE] * 19_000)


def test_only_a_document_that_can_be_read_is_sealed() -> None:
    known = Document("x", None, None, (Digest.of("sha256", b"x"),))
    with pytest.raises(Malformed, match="only digests"):
        xades.seal(known, choose(CSV, format="xades"), means(PKI))


def test_a_token_over_something_else_is_not_used() -> None:
    other = office.token(PKI.tsu, Digest.of("sha256", b"something else"))
    with pytest.raises(Unavailable, match="over something else"):
        xades.seal(FILE, choose(CSV, format="xades"), means(PKI, stamp=lambda _: other))


def test_two_seals_have_two_names() -> None:
    spec = choose(CSV, format="xades", level="B-B")
    names = {
        the_signature(whole(FILE, xades.seal(FILE, spec, means(PKI, party, SIGNED + timedelta(microseconds=n))))).get("Id")
        for n in (0, 1)
        for party in (PKI.signer, KINDS["rsa"])
    }
    assert len(names) == 4
