"""JAdES over what `sigD` names by URI or by fields of HTTP, and with its unsigned components in the clear: recomputed by hand, and judged."""

import base64
import hashlib
import json
from typing import Any

import pytest

from eseal.formats import jades
from eseal.spec import Level, Serialization, choose
from tests import pki as office
from tests.pki import SIGNED
from tests.sealing import CSV, imprint, lists, means, whole
from trust.algorithms import verify
from trust.errors import Unacceptable
from trust.model import Document
from verifier.policy import load
from verifier.service import Question, finding

PKI = office.pki()
BODY = Document.of(CSV, "料金.csv", "text/csv")
FIELDS = (
    Document.of(b" text/csv \r\n", "Content-Type"),
    Document.of(b"post /v1/prices", "(request-target)"),
    Document.of("2026年".encode(), "X-Title"),
)
OTHER = Document.of(b"\x00\xff", "sub/two.bin")
MEANT: dict[str, tuple[tuple[Document, ...], tuple[Document, ...]]] = {
    "http-headers": ((BODY, *FIELDS), (*FIELDS, BODY)),
    "uri": ((BODY, OTHER), (OTHER, BODY)),
    "uri-hash": ((BODY, OTHER), (OTHER, BODY)),
}
"""Mechanism -> what is sealed, and what lies beside the seal when it is verified."""


def plain(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def sealed(mechanism: str, level: str = "B-B", **more: Any) -> tuple[dict[str, Any], bytes]:
    """The JWS, and its signature value."""
    first, *others = MEANT[mechanism][0]
    draft = jades.seal(first, choose(CSV, format="jades", level=level, mechanism=mechanism, **more), means(PKI), others)
    return json.loads(whole(first, draft)), draft.signature


def judged(jws: dict[str, Any], value: bytes, level: str, beside: tuple[Document, ...]) -> tuple[bool, str]:
    given = () if "LT" in level else lists(PKI)
    data = Document.of(json.dumps(jws).encode())
    return finding(Question(data, SIGNED.replace(hour=12), load("strict"), (PKI.root.certificate,), beside, crls=given), value)[:2]


def signed_lines() -> bytes:
    digest = base64.b64encode(hashlib.sha256(CSV).digest()).decode()
    return f"content-type: text/csv\n(request-target): post /v1/prices\nx-title: 2026年\ndigest: SHA-256={digest}".encode()


@pytest.mark.parametrize("components", ["base64url", "clear"])
@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("mechanism", MEANT)
def test_our_verifier_passes_each_at_its_level(mechanism: str, level: Level, components: str) -> None:
    jws, value = sealed(mechanism, level, components=components)
    assert judged(jws, value, level, MEANT[mechanism][1]) == (True, f"JAdES-BASELINE-{level.removeprefix('B-')}")
    entries = jws.get("header", {}).get("etsiU", [])
    assert all(isinstance(e, dict if components == "clear" else str) for e in entries)
    assert len(entries) == {"B-B": 0, "B-T": 1, "B-LT": 4, "B-LTA": 5}[level]


@pytest.mark.parametrize("serialization", [Serialization.FLATTENED, Serialization.COMPACT])
def test_fields_of_http_are_signed_line_by_line(serialization: Serialization) -> None:
    first, *others = MEANT["http-headers"][0]
    draft = jades.seal(first, choose(CSV, format="jades", level="B-B", mechanism="http-headers", serialization=serialization), means(PKI), others)
    data = whole(first, draft)
    protected = data.split(b".")[0].decode() if serialization is Serialization.COMPACT else json.loads(data)["protected"]
    header = json.loads(plain(protected))
    assert header["sigD"] == {
        "mId": "http://uri.etsi.org/19182/HttpHeaders",
        "pars": ["content-type", "(request-target)", "x-title", "digest"],
    }
    assert (header["b64"], header["crit"], "cty" in header) == (False, ["b64", "sigD"], False)
    public = PKI.signer.certificate.public_key
    assert public is not None
    assert verify(public, PKI.signer.algorithm, draft.signature, protected.encode() + b"." + signed_lines())


def test_documents_by_uri_are_the_payload_one_behind_the_other() -> None:
    jws, value = sealed("uri")
    header = json.loads(plain(jws["protected"]))
    assert header["sigD"] == {"mId": "http://uri.etsi.org/19182/ObjectIdByURI", "pars": ["%E6%96%99%E9%87%91.csv", "sub/two.bin"]}
    assert (header["b64"], header["crit"]) == (False, ["b64", "sigD"])
    public = PKI.signer.certificate.public_key
    assert public is not None
    assert verify(public, PKI.signer.algorithm, value, jws["protected"].encode() + b"." + CSV + b"\x00\xff")


@pytest.mark.parametrize("mechanism", MEANT)
def test_a_changed_document_or_field_is_found(mechanism: str) -> None:
    jws, value = sealed(mechanism, "B-LTA")
    beside = MEANT[mechanism][1]
    for n, document in enumerate(beside):
        changed = (*beside[:n], Document.of(document.read(1 << 20) + b"x", document.name), *beside[n + 1 :])
        assert not judged(jws, value, "B-LTA", changed)[0]
        assert not judged(jws, value, "B-LTA", (*beside[:n], *beside[n + 1 :]))[0]


@pytest.mark.parametrize("components", ["base64url", "clear"])
def test_an_archive_stamp_is_over_the_body_itself_and_the_components_by_their_rule(components: str) -> None:
    jws, _ = sealed("http-headers", "B-LTA", components=components)
    *before, last = jws["header"]["etsiU"]
    if components == "clear":
        # RFC 8785: sorted names, no blanks.
        octets = "".join(json.dumps(e, sort_keys=True, separators=(",", ":")) for e in before)
        archive = last["arcTst"]
        assert archive["canonAlg"] == "http://www.rfc-editor.org/rfc/rfc8785"
    else:
        octets = "".join(before)
        archive = json.loads(plain(last))["arcTst"]
        assert set(archive) == {"tstTokens"}
    payload = signed_lines().rpartition(b"\n")[0] + b"\n" + CSV
    expected = b".".join((payload, jws["protected"].encode(), jws["signature"].encode(), octets.encode()))
    assert imprint(base64.b64decode(archive["tstTokens"][0]["val"])).value == hashlib.sha256(expected).digest()


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (Document.of(b"x", "two words"), "has the name of a field"),
        (Document.of(b"x", None), "has the name of a field"),
        (Document.of(b"a\r\nInjected: b", "x-title"), "one line without control characters"),
        (Document.of(b"a\0", "x-title"), "one line without control characters"),
        (Document.of(b"x" * 70_000, "x-title"), "at most 65536 bytes, got 70000"),
        (Document.of(b"x", "Digest"), "digest follows from the body"),
        (Document.of(b"x", "CONTENT-TYPE"), "each field of an HTTP message is given once"),
    ],
    ids=["name", "nameless", "line", "control", "long", "digest", "twice"],
)
def test_what_cannot_be_a_field_is_refused(field: Document, message: str) -> None:
    spec = choose(CSV, format="jades", mechanism="http-headers")
    with pytest.raises(Unacceptable, match=message):
        jades.seal(BODY, spec, means(PKI), (FIELDS[0], field))
    with pytest.raises(Unacceptable, match="at most 200 fields, got 201"):
        jades.seal(BODY, spec, means(PKI), [Document.of(b"x", f"x-{n}") for n in range(201)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "cades", "components": "clear"}, "components belong to jades as a JSON object"),
        ({"format": "jades", "serialization": "compact", "components": "clear"}, "components belong to jades as a JSON object"),
        ({"format": "jades", "components": "plain"}, "no components has that name; there are base64url and clear"),
        ({"format": "jades", "packaging": "attached", "mechanism": "http-headers"}, "a mechanism belongs to detached jades"),
    ],
    ids=["cades", "compact", "name", "attached"],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(Unacceptable, match=message):
        choose(CSV, **options)  # type: ignore[arg-type]
