"""Hash-only sealing: what digests are enough for, what is refused and why, and that nothing but names and digests is asked of the client."""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eseal.api import json_pairs
from eseal.claims import Claims
from eseal.hashes import api as hash_api
from eseal.hashes import known as hashes
from eseal.hashes.boxes import seal_box_at
from eseal.hashes.client import BOXED, There, digested, digests_for, seal_hashes_at
from eseal.service import Finding, Sealer, here
from eseal.spec import OFFERED, SEVERAL, Format, Level, Mechanism, Packaging, Spec
from eseal.store import ApiKeys, Repeats
from tests import pki as office
from tests.asgi import Web
from tests.pki import SIGNED, Party, stamper
from tests.sealing import CSV, imprint, lists
from trust.algorithms import Algorithm
from trust.codecs import cbor, cose
from trust.edge.engine import bring_up, connect, sqlite_url
from trust.edge.sandbox import Sandbox
from trust.edge.web import application
from trust.errors import KakuinError, Malformed, NotFound, Unacceptable
from trust.model import Digest, Document
from trust.ports import Status
from verifier.service import Verifier, finding

PKI = office.pki()
NUMBER = "1234567890123"
MADE = [(form, level) for form, levels in hashes.LEVELS.items() if form is not Format.PADES for level in levels]
SHA256 = hashlib.sha256(CSV).hexdigest()
ONE = {"name": "data.csv", "digests": {"sha256": SHA256}}


def checked(sealed: Document, detached: Sequence[Document], _: bytes) -> Finding:
    """By the verifier, of the documents as they are given: by their digests, here."""
    verdict = Verifier(lambda: SIGNED + timedelta(minutes=1), anchors=(PKI.root.certificate,)).verify(sealed, detached=detached, crls=lists(PKI))
    return Finding(verdict.conclusion == "passed", verdict.signatures[0].signature.level, str(verdict.conclusion))


def checked_inner(sealed: Document, detached: Sequence[Document], signature: bytes) -> Finding:
    """Of the CMS of a PDF."""
    verifier = Verifier(lambda: SIGNED + timedelta(minutes=1), anchors=(PKI.root.certificate,))
    return Finding(*finding(verifier.question(sealed, detached, crls=lists(PKI), policy=verifier.policy.without_signing_time()), signature))


def known(data: bytes = CSV, name: str = "data.csv", digests: Sequence[str] = ("sha256",)) -> Document:
    return Document(name, None, None, tuple(Digest.of(d, data) for d in digests))


def sealer(recorded: list[Any] | None = None, key: Party | None = None, run: Any = here) -> Sealer:
    def record(_: str, body: bytes) -> int:
        if recorded is not None:
            recorded.append(json.loads(body))
        return 7

    def keys(number: str) -> Party:
        if number != NUMBER:
            raise NotFound("no organisation has that number")
        return key or PKI.signer

    return Sealer(keys, stamper(PKI.tsu), lambda _: Status(crls=lists(PKI)), record, lambda: SIGNED, checked, run, check_inner=checked_inner)


def detached(form: Format, level: Level, **more: Any) -> Spec:
    return Spec(form, level, Packaging.DETACHED, **more)


@pytest.mark.parametrize(("form", "level"), MADE, ids=str)
def test_a_seal_of_a_digest_holds_for_the_document(form: Format, level: Level) -> None:
    recorded: list[Any] = []
    made = sealer(recorded).seal(known(), detached(form, level), NUMBER)
    of_document = checked(made.document, [Document.of(CSV, "data.csv")], b"")
    assert (of_document.passed, of_document.level.rpartition("-")[2]) == (True, level.rpartition("-")[2])
    assert not checked(made.document, [Document.of(CSV + b"1", "data.csv")], b"").passed
    assert (recorded[0]["document"], recorded[0]["hash_only"]) == (SHA256, True)
    # What is sealed with the document at hand says nothing of it.
    again = list[Any]()
    sealer(again).seal(Document.of(CSV, "data.csv"), detached(form, level), NUMBER)
    assert "hash_only" not in again[0]


@pytest.mark.parametrize("form", [Format.XADES, Format.JADES])
def test_several_documents_under_one_signature(form: Format) -> None:
    made = sealer().seal(known(), detached(form, Level.B_T), NUMBER, [known(b"other", "b.csv")])
    assert checked(made.document, [Document.of(CSV, "data.csv"), Document.of(b"other", "b.csv")], b"").passed
    assert not checked(made.document, [Document.of(CSV, "data.csv"), Document.of(b"another", "b.csv")], b"").passed


def test_digests_cross_into_the_confined_process() -> None:
    with Sandbox(("eseal.drafting", "eseal.formats.xades")) as confined:
        made = sealer(run=confined.run).seal(known(), detached(Format.XADES, Level.B_T), NUMBER)
    assert checked(made.document, [Document.of(CSV, "data.csv")], b"").passed


@pytest.mark.parametrize("form", [Format.CADES, Format.XADES, Format.JADES])
def test_one_document_gets_a_content_time_stamp_of_its_digest(form: Format) -> None:
    spec = detached(form, Level.B_LT, claims=Claims(content_timestamp=True))
    made = sealer().seal(known(), spec, NUMBER)
    assert len(made.draft.stamps) == 2
    assert imprint(made.draft.stamps[0]) == Digest.of("sha256", CSV)
    assert checked(made.document, [Document.of(CSV, "data.csv")], b"").passed
    if form in SEVERAL:
        with pytest.raises(Unacceptable, match="a content time-stamp of several documents is over their bytes"):
            sealer().seal(known(), spec, NUMBER, [known(b"other", "b.csv")])


def test_of_cose_it_is_a_hash_envelope() -> None:
    """RFC 9995: the digest is the payload, and 259 says what kind of document it is of; RFC 9921: stamped first is that payload."""
    spec = detached(Format.COSE, Level.B_T, claims=Claims(content_timestamp=True, mime_type="text/csv"))
    made = sealer().seal(known(), spec, NUMBER)
    protected, _, payload, _ = cbor.decode(made.document.read(1 << 20)).value
    header = cbor.decode(protected)
    assert payload == hashlib.sha256(CSV).digest()
    assert (header[cose.PAYLOAD_HASH_ALG], header[cose.PREIMAGE_CONTENT_TYPE], cose.CONTENT_TYPE in header) == (-16, "text/csv", False)
    assert imprint(made.draft.stamps[0]) == Digest.of("sha256", payload)
    assert checked(made.document, [Document.of(CSV, "data.csv")], b"").passed
    with pytest.raises(Unacceptable, match="sha3"):
        sealer().seal(known(digests=["sha256", "sha3_256"]), replace(spec, digest="sha3_256"), NUMBER)


ELSEWHERE = [(f, packaging) for f, packaging in OFFERED if f not in hashes.LEVELS or (packaging is not Packaging.DETACHED and f is not Format.PADES)]


@pytest.mark.parametrize(("form", "packaging"), ELSEWHERE, ids=str)
def test_what_needs_the_bytes_is_refused(form: Format, packaging: Packaging) -> None:
    recorded: list[Any] = []
    with pytest.raises(Unacceptable, match="from digests"):
        sealer(recorded).seal(known(), Spec(form, Level.B_B, packaging), NUMBER)
    assert recorded == []


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (detached(Format.XADES, Level.B_LTA), "xades is made up to B-LT, got B-LTA: its archive time-stamp is over the document's bytes"),
        (detached(Format.JADES, Level.B_LTA), "jades is made up to B-LT, got B-LTA"),
        (detached(Format.JADES, Level.B_B, mechanism=Mechanism.PAYLOAD), "by uri-hash, got payload"),
        (detached(Format.JADES, Level.B_B, mechanism=Mechanism.HTTP_HEADERS), "by uri-hash, got http-headers"),
        (detached(Format.CADES, Level.B_B, digest="sha512"), r"a sha512 digest of each document is needed \(this key signs it\), got sha256"),
        (detached(Format.CADES, Level.B_B, digest="sha3_256"), r"a sha3-256 digest of each document is needed \(this key signs it\), got sha256"),
    ],
    ids=["xades-lta", "jades-lta", "payload", "http", "sha512", "sha3"],
)
def test_each_refusal_says_why(spec: Spec, why: str) -> None:
    with pytest.raises(Unacceptable, match=why):
        sealer().seal(known(), spec, NUMBER)


def test_the_digest_is_the_keys_and_the_journal_has_its_own() -> None:
    key = replace(office.signer(PKI.ca, key="p384"), algorithm=Algorithm("ecdsa", "sha384"))
    with pytest.raises(Unacceptable, match=r"a sha384 digest of each document is needed \(this key signs it\), got sha256"):
        sealer(key=key).seal(known(), detached(Format.CADES, Level.B_B), NUMBER)
    with pytest.raises(Unacceptable, match=r"a sha256 digest of each document is needed \(the journal names a document by it\), got sha384"):
        sealer(key=key).seal(known(digests=["sha384"]), detached(Format.CADES, Level.B_B), NUMBER)
    made = sealer(key=key).seal(known(digests=["sha256", "sha384"]), detached(Format.CADES, Level.B_B), NUMBER)
    assert checked(made.document, [Document.of(CSV, "data.csv")], b"").passed


class Desk:
    """The door with a real sealer behind it."""

    def __init__(self, folder: Path) -> None:
        self.engine = connect(sqlite_url(folder / "kakuin.db"))
        bring_up(self.engine)
        self.recorded: list[Any] = []
        keys = ApiKeys(self.engine, lambda: SIGNED)
        self.key = keys.create(NUMBER)[0]
        self.app = application("Kakuin", [hash_api.router(sealer(self.recorded), keys, Repeats(self.engine, lambda: SIGNED))], body_limit=1 << 21)
        self.asked: list[bytes] = []

    def post(self, content: bytes | Any, query: str = "", **headers: str) -> httpx.Response:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        said = {"Content-Type": "application/json", "Authorization": f"Bearer {self.key}", **{k.replace("_", "-"): v for k, v in headers.items()}}
        with httpx.Client(transport=self.transport, base_url="http://test") as client:
            return client.post(hashes.PATH + query, content=data, headers=said)

    @property
    def there(self) -> There:
        return There("https://test", self.key, self.transport)

    @property
    def transport(self) -> httpx.BaseTransport:
        heard, web = self.asked, Web(self.app)

        class Heard(httpx.BaseTransport):
            def handle_request(self, request: httpx.Request) -> httpx.Response:
                heard.append(request.read())
                return web.handle_request(request)

        return Heard()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.engine.dispose()


def test_digests_go_in_and_a_signature_comes_out(desk: Desk) -> None:
    answer = desk.post({"documents": [ONE]})
    assert answer.status_code == 200, answer.text
    head = answer.headers
    assert (head["kakuin-format"], head["kakuin-level"], head["kakuin-packaging"], head["kakuin-seal"]) == ("cades", "B-LTA", "detached", "7")
    assert head["content-type"] == "application/pkcs7-signature"
    assert 'filename="data.csv.p7s"' in head["content-disposition"]
    assert checked(Document.of(answer.content), [Document.of(CSV, "data.csv")], b"").passed


@pytest.mark.parametrize(("form", "level"), [("cades", "B-LTA"), ("xades", "B-LT"), ("JAdES", "B-LT")])
def test_the_highest_level_is_the_default(desk: Desk, form: str, level: str) -> None:
    answer = desk.post({"documents": [ONE], "format": form, "location": "東京"})
    assert (answer.status_code, answer.headers.get("kakuin-level")) == (200, level), answer.text


def test_base64_is_as_good_as_hexadecimal(desk: Desk) -> None:
    import base64

    text = base64.b64encode(bytes.fromhex(SHA256)).decode()
    answer = desk.post({"documents": [{"name": "data.csv", "digests": {"sha256": text}}], "level": "B-B"})
    assert answer.status_code == 200, answer.text
    assert desk.recorded[0]["document"] == SHA256


def test_the_same_key_gets_the_same_seal(desk: Desk) -> None:
    first, again = (desk.post({"documents": [ONE], "format": "xades"}, Idempotency_Key="one") for _ in range(2))
    assert (first.status_code, first.content, len(desk.recorded)) == (200, again.content, 1)
    assert first.headers["repr-digest"] == again.headers["repr-digest"]
    assert first.headers["kakuin-level"] == again.headers["kakuin-level"] == "B-LT"
    other = {"name": "data.csv", "digests": {"sha256": "00" * 32}}
    assert desk.post({"documents": [other], "format": "xades"}, Idempotency_Key="one").status_code == 409
    assert desk.post({"documents": [ONE]}, Idempotency_Key=" ").status_code == 400


THERE_ARE = "; there are cades, xades, jades, pades, cose, detached"
REFUSED: dict[str, tuple[Any, int, str]] = {
    "no json": (b"{", 400, "the body is not a JSON object in UTF-8"),
    "no utf-8": (b"\xff", 400, "the body is not a JSON object in UTF-8"),
    "deep": (b"[" * 200_000, 400, "the body is not a JSON object in UTF-8"),
    "no object": (b"[]", 400, "documents is expected once, got 0"),
    "twice": (b'{"documents": [], "documents": []}', 400, "documents is expected once, got 2"),
    "none": ({"documents": []}, 400, "documents is a list of objects, each with name and digests"),
    "an object": ({"documents": ONE}, 400, "documents is a list of objects, each with name and digests"),
    "texts": ({"documents": ["data.csv"]}, 400, "each of documents is a JSON object that is not empty"),
    "name twice": (b'{"documents": [{"name": "a", "name": "b"}]}', 400, "each of documents gives a name twice"),
    "no name": ({"documents": [{"digests": {"sha256": SHA256}}]}, 400, "the name of a document is a text of 1 to 255 printable characters"),
    "control": ({"documents": [{**ONE, "name": "a\nb"}]}, 400, "the name of a document is a text of 1 to 255 printable characters"),
    "surrogate": (b'{"documents": [{"name": "\\ud800"}]}', 400, "the name of a document is a text of 1 to 255 printable characters"),
    "no digests": ({"documents": [{"name": "a"}]}, 400, "digests is a JSON object that is not empty"),
    "number": ({"documents": [{"name": "a", "digests": {"sha256": 1}}]}, 400, "a sha256 digest is a text, hexadecimal or base64"),
    "neither": ({"documents": [{"name": "a", "digests": {"sha256": "*"}}]}, 400, "a sha256 digest is a text, hexadecimal or base64"),
    "short": ({"documents": [{"name": "a", "digests": {"sha256": "AAAA"}}]}, 422, "sha256 digest is 32 bytes, got 3"),
    "long": ({"documents": [{"name": "a", "digests": {"sha256": "00" * 48}}]}, 422, "sha256 digest is 32 bytes, got 48"),
    "sha1": (
        {"documents": [{"name": "a", "digests": {"sha1": "00" * 20}}]},
        422,
        "digests are called sha256, sha384, sha512, sha3-256, sha3-384, sha3-512",
    ),
    "member": ({"documents": [{**ONE, "bytes": ""}]}, 422, "one of documents has a member that does not exist; there are digests, media_type, name"),
    "same name": ({"documents": [ONE, ONE], "format": "xades"}, 422, "of several documents each has a name of its own"),
    "many": ({"documents": [ONE] * 1001}, 422, "one request is about at most 1000 documents, got 1001"),
    "several": (
        {"documents": [ONE, {**ONE, "name": "b"}]},
        422,
        "cades seals one document at a time, got 2; several go into asic-e-cades or asic-e-xades or jades or xades",
    ),
    "media type": ({"documents": [{**ONE, "media_type": "text"}]}, 400, "the media_type of a document is type/subtype"),
    "flag": ({"documents": [ONE], "content_timestamp": True}, 422, "option content_timestamp is a text"),
    "pdf": (
        {"documents": [ONE], "format": "pades", "reason": "x", "location": "y"},
        422,
        "location, reason: that stands in the PDF itself, of which only the digest of the byte range is known; write it there",
    ),
    "container": (
        {"documents": [ONE], "format": "asic-s-cades"},
        422,
        f"asic-s-cades is not made from digests: the container holds the documents, and `kakuin seal --hash-only` makes it where they are{THERE_ARE}",
    ),
    "attached": (
        {"documents": [ONE], "packaging": "attached"},
        422,
        "from digests only a detached seal of its own is made, got attached: it needs the document's bytes",
    ),
    "organisation": ({"documents": [ONE], "organisation": "9876543210987"}, 403, "the API key is another organisation's"),
    "large": (b" " * (hash_api.LARGEST + 1), 413, f"body is over {hash_api.LARGEST} bytes"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_each_bad_request_has_its_problem(desk: Desk, case: str) -> None:
    content, status, detail = REFUSED[case]
    answer = desk.post(content)
    assert (answer.status_code, answer.json()["detail"]) == (status, detail)
    assert desk.recorded == []


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "digests", "sha256", "sha3-512", "media_type", "x"]), inner),
    max_leaves=12,
)


@given(_JSON, st.sampled_from(["documents", "one", "digests", "value"]))
def test_whatever_is_said_of_documents_is_read_or_refused(value: Any, where: str) -> None:
    whole = {"documents": value, "one": [value], "digests": [{**ONE, "digests": value}], "value": [{**ONE, "digests": {"sha256": value}}]}[where]
    try:
        found = hashes.documents_in(dict(json_pairs(json.dumps({"documents": whole})))["documents"])
    except (Malformed, Unacceptable):
        return
    assert found and all(d.name and d.known and not d.readable for d in found)


def test_a_slip_of_the_pen_and_a_stranger_are_refused(desk: Desk) -> None:
    assert "an option that does not exist" in desk.post({"documents": [ONE], "levle": "B-B"}).json()["detail"]
    assert desk.post({"documents": [ONE]}, "?level=B-B").status_code == 422
    assert desk.post({"documents": [ONE]}, Authorization="Bearer kakuin_x").status_code == 401
    assert desk.post({"documents": [ONE]}, Content_Type="text/plain").status_code == 415
    assert desk.post({"documents": [ONE]}, Content_Encoding="gzip").status_code == 415
    assert desk.recorded == []


def test_the_description_is_of_this_door(desk: Desk) -> None:
    operation = desk.app.openapi()["paths"][hashes.PATH]["post"]
    body = operation["requestBody"]["content"]["application/json"]
    asked = body["schema"]["properties"]
    assert asked["format"]["enum"] == [*hashes.LEVELS, "asic-e-cades"]
    answer = desk.post(body["example"])
    assert answer.status_code == 200, answer.text
    assert set(operation["responses"]) >= {"200", "400", "401", "403", "409", "413", "415", "422", "503"}
    assert set(operation["responses"]["200"]["content"]) == {
        "application/pkcs7-signature",
        "application/xml",
        "application/jose+json",
        "application/cose",
        "application/json",
    }


def test_the_client_sends_no_byte_of_the_document(desk: Desk) -> None:
    document = digested(Document.of(CSV, "データ.csv"), digests_for(None))
    given = Document.of(CSV, "データ.csv")
    facts, made = seal_hashes_at(desk.there, [given], [document], {"format": "xades", "level": "B-LT"})
    assert checked(made, [given], b"").passed
    assert (facts["level"], made.name) == ("B-LT", "データ.csv.xades.xml")
    [sent] = desk.asked
    told = json.loads(sent)
    assert told == {
        "format": "xades",
        "level": "B-LT",
        "documents": [{"name": "データ.csv", "digests": {d: hashlib.new(d, CSV).hexdigest() for d in ("sha256", "sha384", "sha512")}}],
    }
    with pytest.raises(KakuinError, match="the server refused: asic-s-cades is not made from digests"):
        seal_hashes_at(desk.there, [given], [document], {"format": "asic-s-cades", "level": "B-T"})


def test_which_digests_the_client_makes() -> None:
    assert digests_for("SHA3-512") == ("sha256", "sha3_512")
    assert digests_for("sha256") == ("sha256",)
    with pytest.raises(Unacceptable, match="digest is sha256"):
        digests_for("md5")
    with pytest.raises(Malformed, match="the document is empty"):
        digested(Document.of(b"", "empty"), ("sha256",))


PACKED = [(form, level) for form in sorted(BOXED) for level in Level]


def packed_at(
    desk: Desk, documents: Sequence[Document], form: str, *, digest: str | None = None, **asked: str | None
) -> tuple[dict[str, Any], bytes]:
    said = {"format": form, "digest": digest, **asked}
    facts, made = seal_box_at(desk.there, documents, said, digests_for(digest), SIGNED)
    return facts, made.read(1 << 26)


@pytest.mark.parametrize(("form", "level"), PACKED, ids=str)
def test_a_container_is_made_where_the_documents_are(desk: Desk, form: Format, level: Level) -> None:
    documents = [Document.of(CSV, "日別.csv")] + ([Document.of(b"<a/>", "more/b.xml")] if form in SEVERAL else [])
    facts, box = packed_at(desk, documents, form, level=level, location="東京")
    assert (facts["format"], facts["level"]) == (form, level)
    found = checked(Document.of(box), [], b"")
    assert (found.passed, found.level.rpartition("-")[2]) == (True, level.rpartition("-")[2])
    with zipfile.ZipFile(io.BytesIO(box)) as opened:
        assert opened.testzip() is None
        assert opened.read("日別.csv") == CSV
    # No byte of a document is sent; with a manifest not even a name.
    sent = desk.asked[0]
    assert len(desk.asked) == 1 + (level == Level.B_LTA and form is not Format.ASIC_S_CADES)
    assert all(d.read(99) not in asked for d in documents for asked in desk.asked)
    assert (b"csv" in sent) is (form is not Format.ASIC_E_CADES)
    assert not checked(Document.of(box.replace(CSV, CSV[::-1])), [], b"").passed


def test_the_highest_level_of_a_container_is_its_default(desk: Desk) -> None:
    for form in sorted(BOXED):
        facts, box = packed_at(desk, [Document.of(CSV, "data.csv")], form.upper(), digest="sha3-256" if form is Format.ASIC_E_CADES else None)
        assert (facts["level"], checked(Document.of(box), [], b"").passed) == ("B-LTA", True)


def test_a_media_type_is_said_of_the_document(desk: Desk) -> None:
    _, box = packed_at(desk, [Document.of(CSV, "data.csv")], "asic-e-cades", level="B-B", mime_type="text/csv")
    with zipfile.ZipFile(io.BytesIO(box)) as opened:
        assert b'URI="data.csv" MimeType="text/csv"' in opened.read("META-INF/ASiCManifest001.xml")
    assert b"mime_type" not in desk.asked[0]


@pytest.mark.parametrize(
    ("form", "asked", "why"),
    [
        ("asic-e-xades", {"canonicalization": "1.0"}, "under exclusive canonicalization, got 1.0"),
        ("asic-e-cades", {"addition": "parallel"}, "sealed anew and under exclusive canonicalization, got parallel"),
        ("asic-e-cades", {"packaging": "detached"}, "asic-e-cades is attached, got detached"),
        ("asic-e-cades", {"description": "x"}, "has no place for a description"),
    ],
    ids=["canonical", "parallel", "detached", "description"],
)
def test_a_container_refuses_before_anything_is_sent(desk: Desk, form: str, asked: dict[str, str], why: str) -> None:
    with pytest.raises(Unacceptable, match=why):
        packed_at(desk, [Document.of(CSV, "data.csv")], form, **asked)
    with pytest.raises(Unacceptable, match="holds at most 1 documents, got 2"):
        packed_at(desk, [Document.of(CSV, "a"), Document.of(CSV, "b")], "asic-s-cades")
    with pytest.raises(Unacceptable, match="cannot stand in a container"):
        packed_at(desk, [Document.of(CSV, "../a")], "asic-e-cades")
    assert desk.asked == []
