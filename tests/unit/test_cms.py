"""trust.codecs.cms: signers, tokens, and which bytes the key signed."""

import hashlib
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import envelopes
from tests.envelopes import attribute, envelope, octets, oid, seq, signer_info, usual_attributes
from tests.pki import authority, root, signer, token, unit
from tests.pki import ocsp_response as answer
from tests.reading import fatal, intact
from trust.algorithms import verify
from trust.codecs import cms
from trust.codecs.asn1 import SET, Rules, context, parse, tlv
from trust.codecs.cades import claims, values
from trust.codecs.ess import identifies, signer_of
from trust.codecs.signed_data import ocsp_response, signed_data
from trust.codecs.signed_data import signer_info as read_signer_info
from trust.errors import Malformed
from trust.model import Digest, Document
from verifier.formats import cades

ROOT = root()
CA = authority(ROOT)
SEAL = signer(CA)
TSU = unit(CA)
CONTENT = b"content to be signed"
TOKEN = token(TSU, Digest.of("sha256", CONTENT), serial=77, nonce=2**64 + 1)


def test_a_sound_signature_verifies_over_its_signed_attributes() -> None:
    signed = signed_data(envelope([signer_info(SEAL, CONTENT)], certs=(SEAL.certificate, CA.certificate)))
    info = signed.signers[0]
    found, reference = signer_of(info, signed.certs)
    assert found == SEAL.certificate
    assert (reference.count, reference.digest_matches, reference.digest_algorithm) == (1, True, "sha256")
    assert info.algorithm is not None and info.signed_der is not None and found.public_key is not None
    assert verify(found.public_key, info.algorithm, info.value, info.signed_der)
    assert info.message_digest == Digest.of("sha256", CONTENT).value
    assert info.defects == ()


def test_ber_envelopes_are_read_like_der() -> None:
    der = envelope([signer_info(SEAL, CONTENT)], content=CONTENT, certs=(SEAL.certificate,))
    ber = signed_data(envelopes.indefinite(der))
    assert b"".join(ber.content_pieces()) == CONTENT
    assert ber.signers[0].signed_der == signed_data(der).signers[0].signed_der


def test_signed_attributes_in_another_order_are_hashed_as_der() -> None:
    """A maker who signed the unordered set made a broken signature (RFC 5652 section 5.4)."""
    listed = sorted(usual_attributes(SEAL, CONTENT), reverse=True)
    info = signed_data(envelope([signer_info(SEAL, CONTENT, attributes=listed, ordered=False)])).signers[0]
    assert info.signed_der == tlv(SET, b"".join(sorted(listed)))
    assert any("DER" in d.why and not d.fatal for d in info.defects)
    key = SEAL.certificate.public_key
    assert key is not None and info.algorithm is not None
    assert not verify(key, info.algorithm, info.value, info.signed_der)


def test_duplicate_attributes_are_defects() -> None:
    listed = usual_attributes(SEAL, CONTENT)
    info = signed_data(envelope([signer_info(SEAL, CONTENT, attributes=[*listed, listed[1]])])).signers[0]
    assert any("signing-time" in d.why and d.fatal for d in info.defects)
    twice = signed_data(envelope([signer_info(SEAL, CONTENT, attributes=[*listed, listed[2]])])).signers[0]
    assert twice.message_digest is None


def test_two_signing_certificate_attributes_are_counted() -> None:
    listed = [*usual_attributes(SEAL, CONTENT), attribute(envelopes.SIGNING_CERTIFICATE_V2, envelopes.ess_v2(TSU.certificate))]
    info = signed_data(envelope([signer_info(SEAL, CONTENT, attributes=listed)])).signers[0]
    _, reference = signer_of(info, (SEAL.certificate, TSU.certificate))
    assert reference.count == 2
    assert reference.digest_matches is False


def test_without_a_reference_the_signer_identifier_finds_the_certificate() -> None:
    info = signed_data(envelope([signer_info(SEAL, CONTENT, attributes=usual_attributes(SEAL, CONTENT)[:3])])).signers[0]
    found, reference = signer_of(info, (CA.certificate, SEAL.certificate))
    assert found == SEAL.certificate
    assert (reference.count, reference.digest_matches) == (0, None)
    assert not identifies(info, CA.certificate)


def test_an_injected_certificate_does_not_become_the_signer() -> None:
    info = signed_data(envelope([signer_info(SEAL, CONTENT)])).signers[0]
    assert signer_of(info, (TSU.certificate, CA.certificate))[0] is None


def test_contradicting_digest_algorithms_leave_no_algorithm() -> None:
    der = signer_info(SEAL, CONTENT).replace(envelopes.algorithm("sha256"), envelopes.algorithm("sha384"), 1)
    info = read_signer_info(parse(der, Rules.BER))
    assert info.algorithm is None
    assert any(d.clause == "RFC 5652 section 5.3" and d.fatal for d in info.defects)


def test_protected_algorithms_must_be_those_used() -> None:
    wrong = attribute("1.2.840.113549.1.9.52", seq(envelopes.algorithm("sha512")))
    right = attribute("1.2.840.113549.1.9.52", seq(envelopes.algorithm("sha256")))
    for extra, sound in ((wrong, False), (right, True)):
        info = signed_data(envelope([signer_info(SEAL, CONTENT, attributes=[*usual_attributes(SEAL, CONTENT), extra])])).signers[0]
        assert (info.algorithm is not None) is sound


def test_claims_are_read_and_unreadable_ones_left_out() -> None:
    policy = seq(
        oid("1.2.3.4"), seq(envelopes.algorithm("sha256"), octets(b"\x11" * 32)), seq(seq(oid("1.2.840.113549.1.9.16.5.1"), tlv(0x16, b"http://p")))
    )
    location = seq(tlv(0xA0, tlv(0x0C, b"JP")), tlv(0xA1, tlv(0x0C, "東京".encode())))
    role = seq(tlv(0xA0, seq(attribute("2.5.4.72", tlv(0x0C, b"clerk")))))
    listed = [
        *usual_attributes(SEAL, CONTENT),
        attribute("1.2.840.113549.1.9.16.2.15", policy),
        attribute("1.2.840.113549.1.9.16.2.16", seq(oid("1.2.840.113549.1.9.16.6.1"))),
        attribute("1.2.840.113549.1.9.16.2.17", location),
        attribute("1.2.840.113549.1.9.16.2.18", role),
        attribute("0.4.0.1733.2.1", tlv(0x0C, b"text/plain")),
    ]
    said = claims(signed_data(envelope([signer_info(SEAL, CONTENT, attributes=listed)])).signers[0])
    assert (said.policy, said.policy_uri, said.place, said.roles) == ("1.2.3.4", "http://p", "東京, JP", ("clerk",))
    assert said.policy_digest == Digest("sha256", b"\x11" * 32)
    assert said.commitments == ("1.2.840.113549.1.9.16.6.1",)
    assert said.content_type == "text/plain"
    broken = [
        *usual_attributes(SEAL, CONTENT)[:1],
        attribute("1.2.840.113549.1.9.5", octets(b"x")),
        attribute("1.2.840.113549.1.9.16.2.17", octets(b"")),
    ]
    none = claims(signed_data(envelope([signer_info(SEAL, CONTENT, attributes=broken)])).signers[0])
    assert (none.time, none.place) == (None, None)


def test_a_token_is_read_whole() -> None:
    found = cms.token(TOKEN)
    assert (found.serial, found.nonce, found.accuracy_us, found.policy) == (77, 2**64 + 1, 1_000_000, "1.2.3.4.1")
    assert found.imprint == Digest.of("sha256", CONTENT)
    assert found.signature.signer == TSU.certificate
    assert found.signature.intact_references
    assert set(found.certs) == {TSU.certificate, *TSU.chain}
    key = TSU.certificate.public_key
    assert key is not None and found.signature.algorithm is not None
    assert verify(key, found.signature.algorithm, found.signature.value, found.signature.signed)


def test_a_token_without_certificates_takes_candidates() -> None:
    bare = token(TSU, Digest.of("sha256", CONTENT), certificates=())
    assert cms.token(bare).signature.signer is None
    assert cms.token(bare, (CA.certificate, TSU.certificate)).signature.signer == TSU.certificate


def _with_tst(edit: "dict[bytes, bytes]") -> bytes:
    """The token with bytes of its TSTInfo exchanged for as many others."""
    data = TOKEN
    for old, new in edit.items():
        assert data.count(old) == 1 and len(old) == len(new)
        data = data.replace(old, new)
    return data


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        ({bytes.fromhex("02010106042a030401"): bytes.fromhex("02010206042a030401")}, "version"),
        ({b"20250301090000Z": b"20251301090000Z"}, "calendar"),
        ({b"20250301090000Z": b"2025030109000+Z"}, "GeneralizedTime"),
    ],
)
def test_a_tst_info_that_is_none_is_malformed(edit: "dict[bytes, bytes]", why: str) -> None:
    with pytest.raises(Malformed, match=why):
        cms.token(_with_tst(edit))


def test_a_changed_tst_info_is_no_longer_intact() -> None:
    assert not cms.token(_with_tst({b"20250301090000Z": b"20250301090001Z"})).signature.intact_references


def test_what_is_no_token_is_malformed() -> None:
    for data in (b"", b"\x30\0", envelope([signer_info(SEAL, CONTENT)], content=CONTENT), CONTENT, TOKEN[:-1], TOKEN + b"\0"):
        with pytest.raises(Malformed):
            cms.token(data)
    with pytest.raises(Malformed, match="over"):
        cms.token(b"\x30\x84\x7f\xff\xff\xff" + b"\0" * (cms.MAX_TOKEN + 1))


def test_two_signers_are_no_token() -> None:
    node = parse(TOKEN)
    inner = node.children[1].children[0]
    doubled = b"".join(n.raw for n in inner.children[:-1]) + tlv(SET, inner.children[-1].content * 2)
    with pytest.raises(Malformed, match="one signer"):
        cms.token(seq(node.children[0].raw, tlv(context(0), seq(doubled))))


def _tst(extensions: bytes, tsa: bytes = b"", more: Sequence[bytes] = (), unsigned: Sequence[bytes] = ()) -> bytes:
    """A token whose TSTInfo carries these extensions, signed by the unit."""
    imprint = seq(envelopes.algorithm("sha256"), octets(Digest.of("sha256", CONTENT).value))
    last = (tlv(0xA0, tlv(0xA4, tsa)) if tsa else b"") + (tlv(0xA1, extensions) if extensions else b"")
    body = seq(envelopes.integer(1), oid("1.2.3"), imprint, envelopes.integer(5), tlv(0x18, b"20250301090000Z"), last)
    listed = [
        attribute(envelopes.CONTENT_TYPE, oid(cms.TST_INFO)),
        attribute(envelopes.MESSAGE_DIGEST, octets(Digest.of("sha256", body).value)),
        attribute(envelopes.SIGNING_CERTIFICATE_V2, envelopes.ess_v2(TSU.certificate)),
        *more,
    ]
    info = signer_info(TSU, body, attributes=listed, unsigned=unsigned)
    return envelope([info], content=body, certs=(TSU.certificate,), content_type=cms.TST_INFO)


def test_an_unknown_critical_extension_of_a_token_is_a_fatal_defect() -> None:
    critical = cms.token(_tst(seq(oid("1.2.3.9"), b"\x01\x01\xff", octets(b"x"))))
    assert any("critical" in d.why and d.fatal for d in critical.signature.defects)
    assert critical.signature.intact_references
    assert cms.token(_tst(seq(oid("1.2.3.9"), octets(b"x")))).signature.defects == ()


def _turned(name: bytes) -> bytes:
    return seq(*reversed([n.raw for n in parse(name).children]))


@pytest.mark.parametrize(
    ("made", "refused"),
    [
        (lambda: _tst(b"", TSU.certificate.subject), False),
        (lambda: _tst(b"", _turned(TSU.certificate.subject)), False),
        (lambda: _tst(b"", CA.certificate.subject), True),
        (lambda: _tst(seq(oid("1.2.3.9"), octets(b"x")) + seq(oid("1.2.3.8"), octets(b"x"))), False),
        (lambda: _tst(seq(oid("1.2.3.9"), octets(b"x")) * 2), True),
        (lambda: _tst(b"", more=[attribute(envelopes.SIGNING_CERTIFICATE_V2, envelopes.ess_v2(TSU.certificate))]), True),
        (
            lambda: _tst(b"", more=[attribute(envelopes.SIGNING_CERTIFICATE, seq(seq(seq(octets(hashlib.sha1(TSU.certificate.der).digest())))))]),
            False,
        ),
        (lambda: _tst(b"", unsigned=[attribute(envelopes.SIGNING_CERTIFICATE_V2, envelopes.ess_v2(TSU.certificate))]), True),
        (lambda: _tst(b"", unsigned=[attribute("1.2.3.4", octets(b"x"))]), False),
    ],
    ids=["named", "turned", "another", "extensions", "extension-twice", "reference-twice", "both-references", "reference-unsigned", "unsigned"],
)
def test_a_token_names_its_unit_once(made: Callable[[], bytes], refused: bool) -> None:
    found = cms.token(made())
    assert intact(found.signature) and bool(fatal(found.signature)) is refused


_POLICY = attribute("1.2.840.113549.1.9.16.2.15", seq(oid("1.2.3"), seq(envelopes.algorithm("sha256"), octets(bytes(32)))))


@pytest.mark.parametrize(
    ("more", "unsigned", "refused"),
    [
        ([_POLICY], [], False),
        ([_POLICY, _POLICY], [], True),
        ([], [_POLICY], True),
        ([], [attribute(envelopes.MESSAGE_DIGEST, octets(bytes(32)))], True),
        ([], [attribute(envelopes.CONTENT_TYPE, oid(envelopes.DATA))], True),
        ([attribute(envelopes.COUNTER_SIGNATURE, seq())], [], True),
        ([attribute(envelopes.SIGNATURE_TIME_STAMP, seq())], [], True),
        ([attribute(envelopes.SIGNING_CERTIFICATE_V2, envelopes.ess_v2(SEAL.certificate))], [], True),
        ([attribute("1.2.3.4", octets(b"x"))], [attribute("1.2.3.4", octets(b"x"))], False),
    ],
    ids=["policy", "two-policies", "unsigned", "digest", "type", "counter", "stamp", "two-references", "unknown"],
)
def test_attributes_have_their_place(more: list[bytes], unsigned: list[bytes], refused: bool) -> None:
    info = signer_info(SEAL, CONTENT, attributes=[*usual_attributes(SEAL, CONTENT), *more], unsigned=unsigned)
    signature = cades.read(Document.of(envelope([info], content=CONTENT, certs=(SEAL.certificate,)))).signatures[0]
    assert intact(signature) and bool(fatal(signature)) is refused


def _reference(serial: int) -> bytes:
    named = seq(seq(tlv(0xA4, CA.certificate.subject)), envelopes.integer(serial))
    return attribute(envelopes.SIGNING_CERTIFICATE_V2, seq(seq(seq(octets(SEAL.certificate.id), named))))


@pytest.mark.parametrize(
    ("part", "value", "refused"),
    [
        (0, envelopes.integer(1), False),
        (0, envelopes.integer(3), True),
        (4, seq(oid("1.2.840.10045.4.3.2"), b"\x05\x00"), False),
        (4, seq(oid("1.2.840.10045.4.3.2"), octets(b"x")), True),
        (3, SEAL.serial, False),
        (3, SEAL.serial + 1, True),
    ],
    ids=["version", "version-of-key-ids", "null", "parameters", "serial", "serial-of-another"],
)
def test_a_signer_contradicts_himself_nowhere(part: int, value: Any, refused: bool) -> None:
    listed = usual_attributes(SEAL, CONTENT)
    info = signer_info(SEAL, CONTENT, attributes=[*listed[:3], _reference(value)] if part == 3 else listed)
    fields = [n.raw for n in parse(info).children]
    made = seq(*(value if part == n and part != 3 else raw for n, raw in enumerate(fields)))
    signature = cades.read(Document.of(envelope([made], content=CONTENT, certs=(SEAL.certificate,)))).signatures[0]
    assert intact(signature) and bool(fatal(signature)) is refused


def test_the_content_type_attribute_of_a_token_must_be_tst_info() -> None:
    body = parse(TOKEN).children[1].children[0].children[2].children[1].children[0].octets()
    info = signer_info(TSU, body)
    found = cms.token(envelope([info], content=body, certs=(TSU.certificate,), content_type=cms.TST_INFO))
    assert any(d.clause == "RFC 5652 section 11.1" and d.fatal for d in found.signature.defects)


def test_ocsp_answers_are_one_noun_bare_or_wrapped() -> None:
    whole = answer(SEAL, CA)
    basic = ocsp_response(whole)
    assert basic is not None
    assert ocsp_response(basic.der) == basic
    assert ocsp_response(b"\x30\x03\x0a\x01\x06") is None
    assert ocsp_response(b"junk") is None


def test_values_in_attributes_are_found() -> None:
    unsigned = [attribute("1.2.840.113549.1.9.16.2.23", seq(CA.certificate.der)), attribute("1.2.840.113549.1.9.16.2.24", seq(tlv(0xA0, seq())))]
    info = signed_data(envelope([signer_info(SEAL, CONTENT, unsigned=unsigned)])).signers[0]
    assert values(info).certs == (CA.certificate,)


def test_openssl_signs_and_we_read(tmp_path: Path) -> None:
    """An implementation that shares nothing with ours."""
    key, cert, data = tmp_path / "key.pem", tmp_path / "cert.pem", tmp_path / "data"
    data.write_bytes(CONTENT)
    subject = ["-subj", "/CN=Example"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, *subject], check=True, capture_output=True
    )
    for flags, tag in (
        ([], "cms"),
        (["-cades"], "cades"),
        (["-noattr"], "bare"),
        (["-keyopt", "rsa_padding_mode:pss"], "pss"),
        (["-keyid"], "keyid"),
    ):
        out = tmp_path / f"{tag}.der"
        run = ["openssl", "cms", "-sign", "-binary", "-in", data, "-signer", cert, "-inkey", key, "-outform", "DER", "-out", out, *flags]
        subprocess.run(run, check=True, capture_output=True)
        signed = signed_data(out.read_bytes())
        info = signed.signers[0]
        found, reference = signer_of(info, signed.certs)
        assert found is not None and found.public_key is not None and info.algorithm is not None
        assert reference.count == int(tag == "cades")
        over = info.signed_der if info.signed_der is not None else CONTENT
        assert verify(found.public_key, info.algorithm, info.value, over), tag


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(TOKEN) - 1), st.integers(1, 255))
def test_a_mutated_token_is_read_or_malformed(at: int, flip: int) -> None:
    data = bytearray(TOKEN)
    data[at] ^= flip
    try:
        cms.token(bytes(data))
    except Malformed:
        return
