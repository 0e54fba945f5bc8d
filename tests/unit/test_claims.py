"""What a seal says: read from texts, refused where a format has no place for it, and found again by our verifier in every format that has one."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from eseal.claims import IMPLIED, NAMES, NOTHING, Claims, Commitment, SignaturePolicy, claims_of
from eseal.service import here, typed
from eseal.spec import OFFERED, Format, Level, Packaging, Spec, choose
from tests import pki as office
from tests.pki import SIGNED
from tests.sealing import CSV, blank_pdf, lists, means, opened, whole
from trust.errors import Unacceptable
from trust.model import Digest, Document, StampKind
from verifier.service import Verifier
from verifier.verdict import Verdict

PKI = office.pki()
TEXT = b"the policy"
HASH = Digest.of("sha256", TEXT)
POLICY = SignaturePolicy("1.2.392.200000.1", HASH, "https://example.go.jp/policy.pdf")
FULL = Claims(location="東京", commitment=Commitment.APPROVAL, role="会計管理者", policy=POLICY, content_timestamp=True)
COMMITMENTS = {"1.2.840.113549.1.9.16.6.5", "http://uri.etsi.org/01903/v1.2.2#ProofOfApproval"}
SAYING = [pair for pair in OFFERED if pair[0] is not Format.COSE]


def document(form: Format) -> Document:
    if form is Format.PADES:
        return Document.of(blank_pdf(), "notice.pdf")
    return Document.of(b"<a><b/></a>", "notice.xml") if form is Format.XADES else Document.of(CSV, "prices.csv")


def sealed(form: Format, packaging: Packaging, level: Level, claims: Claims) -> tuple[Document, Verdict]:
    """What was made of a document, and what our verifier says of it."""
    from eseal import drafting
    from eseal.drafting import Holder

    given, using = document(form), means(PKI)
    spec = Spec(form, level, packaging, claims=claims)
    calls = {"sign": using.key.sign, "stamp": using.stamp, "status": using.status}
    made = here("eseal.drafting:draft", typed((given,), spec)[0], spec, Holder.of(using.key), SIGNED, calls=calls, returns=drafting.Draft)
    found = Document.of(whole(given, made), "sealed")
    verifier = Verifier(lambda: SIGNED + timedelta(minutes=5), anchors=(PKI.root.certificate,))
    return found, verifier.verify(found, detached=(given,) if packaging is Packaging.DETACHED else (), crls=lists(PKI))


@pytest.mark.parametrize(("form", "packaging"), SAYING)
@pytest.mark.parametrize("level", [Level.B_B, Level.B_LTA])
def test_all_that_is_said_is_read_again(form: Format, packaging: Packaging, level: Level) -> None:
    _, verdict = sealed(form, packaging, level, FULL)
    assert verdict.conclusion == "passed", verdict
    [found] = verdict.signatures
    assert found.signature.level.endswith("B" if level is Level.B_B else "LTA")
    claims = found.signature.claims
    assert (claims.place, claims.roles) == ("東京", ("会計管理者",))
    assert set(claims.commitments) <= COMMITMENTS and len(claims.commitments) == 1
    assert (claims.policy or "").removeprefix("urn:oid:") == POLICY.id
    assert (claims.policy_digest, claims.policy_uri) == (HASH, POLICY.uri)
    assert found.signature.defects == ()
    [content] = [s for s in verdict.stamps if s.stamp.kind is StampKind.CONTENT]
    assert content.intact and content.indication == "PASSED"


@pytest.mark.parametrize("form", [Format.CADES, Format.XADES, Format.ASIC_S_CADES, Format.ASIC_S_XADES, Format.JADES, Format.COSE])
def test_a_media_type_is_that_of_the_document(form: Format) -> None:
    packaging = Packaging.ATTACHED
    _, verdict = sealed(form, packaging, Level.B_B, Claims(mime_type="text/csv; charset=utf-8"))
    assert verdict.signatures[0].signature.claims.content_type == "text/csv; charset=utf-8"


def test_a_description_stands_in_content_hints() -> None:
    found, verdict = sealed(Format.CADES, Packaging.ATTACHED, Level.B_B, Claims(description="日別の金額"))
    assert verdict.signatures[0].signature.claims.content_type == "日別の金額"
    hints = opened(found.read(1 << 20)).signed["1.2.840.113549.1.9.16.2.4"]
    assert "日別の金額".encode() in hints and bytes.fromhex("06092a864886f70d010701") in hints


def test_a_description_stands_in_xades_beside_the_media_type() -> None:
    found, _ = sealed(Format.XADES, Packaging.ATTACHED, Level.B_B, Claims(description="日別の<金額>"))
    text = found.read(1 << 20).decode()
    assert "<xades:Description>日別の&lt;金額&gt;</xades:Description><xades:MimeType>" in text


@pytest.mark.parametrize("form", [Format.XADES, Format.ASIC_S_XADES])
def test_a_policy_may_be_implied_in_xades(form: Format) -> None:
    _, verdict = sealed(form, Packaging.ATTACHED, Level.B_B, Claims(policy=SignaturePolicy(IMPLIED)))
    assert verdict.conclusion == "passed" and verdict.signatures[0].signature.claims.policy == IMPLIED


@pytest.mark.parametrize("form", [Format.XADES, Format.JADES])
def test_a_policy_may_have_a_uri(form: Format) -> None:
    policy = SignaturePolicy("https://example.go.jp/policy", Digest.of("sha3_384", TEXT))
    _, verdict = sealed(form, Packaging.ATTACHED, Level.B_B, Claims(policy=policy))
    claims = verdict.signatures[0].signature.claims
    assert (claims.policy, claims.policy_digest, claims.policy_uri) == (policy.id, policy.digest, None)


@pytest.mark.parametrize(
    ("form", "said", "message"),
    [
        ("cose", {"role": "r"}, "cose has no place for a role; it has content_timestamp and mime_type"),
        ("cose", {"location": "l"}, "cose has no place for a location"),
        ("cose", {"policy": "1.2.3", "policy_hash": "sha256:" + "00" * 32}, "cose has no place for a policy"),
        ("pades", {"mime_type": "text/csv"}, "pades has no place for a mime_type"),
        ("asic-e-cades", {"description": "d"}, "asic-e-cades has no place for a description"),
        ("jades", {"description": "d"}, "jades has no place for a description"),
        ("cades", {"policy": "implied"}, "an implied policy is said in XAdES alone"),
        ("pades", {"policy": "https://x.jp/p", "policy_hash": "sha256:" + "00" * 32}, "pades names a policy by its object identifier"),
        ("pades", {"policy": "1.2.3", "policy_hash": "sha256:" + "00" * 32, "reason": "so"}, "either a reason or a policy, not both"),
    ],
)
def test_what_a_format_has_no_place_for_is_refused_with_the_reason(form: str, said: dict[str, str], message: str) -> None:
    with pytest.raises(Unacceptable, match=message):
        choose(b"", format=form, claims=claims_of(said))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"policy": "my policy"}, "a policy is an object identifier such as"),
        ({"policy": "1.2.3"}, "a policy is named with the hash of its text"),
        ({"policy_hash": "sha256:00"}, "belong to a policy, which is not named"),
        ({"policy_uri": "https://x.jp"}, "belong to a policy, which is not named"),
        ({"policy": "1.2.3", "policy_hash": "md5:00"}, "policy_hash begins with one of sha256"),
        ({"policy": "1.2.3", "policy_hash": "sha256:xyz"}, "policy_hash is hexadecimal"),
        ({"policy": "1.2.3", "policy_hash": "sha256:00"}, "sha256 digest is 32 bytes, got 1"),
        ({"policy": "1.2.3", "policy_hash": "sha256:" + "00" * 32, "policy_uri": "not a uri"}, "the address of a policy is a URI"),
        ({"policy": "implied", "policy_uri": "https://x.jp"}, "an implied policy has neither a hash nor an address"),
        ({"mime_type": "text"}, "mime type is a media type such as text/csv"),
        ({"mime_type": "text/csv\r\nX: y"}, "mime type is a media type such as text/csv"),
        ({"description": "two\nlines"}, "description has control characters"),
        ({"content_timestamp": "maybe"}, "content_timestamp is true or false"),
        ({"signing_time": "2026-01-01T00:00:00"}, "signing time has no zone"),
        ({"signing_time": "noon"}, "signing_time is not a time of RFC 3339"),
        ({"commitment": "love"}, "no commitment has that name; there are origin,"),
    ],
)
def test_what_cannot_be_said_is_refused(said: dict[str, str], message: str) -> None:
    with pytest.raises(Unacceptable, match=message):
        claims_of(said)


def test_claims_are_read_from_texts() -> None:
    said: dict[str, Any] = {
        "reason": None,
        "location": "東京",
        "commitment": "Approval",
        "content_timestamp": "TRUE",
        "role": "r",
        "description": "d",
    }
    said |= {"policy": POLICY.id, "policy_hash": f"SHA-256:{HASH.value.hex()}", "policy_uri": POLICY.uri, "mime_type": "text/csv"}
    made = claims_of(said | {"signing_time": "2026-01-01T09:00:00+09:00"})
    assert made == Claims(None, "東京", Commitment.APPROVAL, datetime(2026, 1, 1, tzinfo=UTC), "r", POLICY, "d", "text/csv", content_timestamp=True)
    assert made.stated == {"location", "commitment", "role", "policy", "description", "mime_type", "content_timestamp"}
    assert claims_of({}) == claims_of(dict.fromkeys(NAMES)) == NOTHING and NOTHING.stated == frozenset()


def test_a_media_type_is_of_one_document() -> None:
    spec = choose(b"", format="asic-e-cades", claims=Claims(mime_type="text/csv"))
    with pytest.raises(Unacceptable, match="a mime type is that of one document, got 2 documents"):
        typed((Document.of(b"a"), Document.of(b"b")), spec)
    given = Document.of(b"a", "a.csv", "text/plain")
    [one] = typed((given,), spec)
    assert (one.media_type, given.media_type) == ("text/csv", "text/plain")
