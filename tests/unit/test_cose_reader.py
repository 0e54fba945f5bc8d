"""verifier.formats.cose: what is read, what is covered, and what an attacker may not gain. Each attack stands beside its lawful twin."""

import functools
import hashlib
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import pki
from tests.jades_maker import raw
from tests.reading import counted, fatal, intact, stamp_intact
from trust.algorithms import SIGNATURE_BY_COSE
from trust.codecs import cbor
from trust.codecs.cbor import Tag
from trust.errors import Malformed, TooLarge
from trust.model import Digest, Document, Evidence, Form, Scope, Signature, StampKind, identify
from verifier.formats import cose
from verifier.read import read as read_any

TEXT = b"temperature 21.5\n"


@functools.cache
def world() -> pki.Pki:
    return pki.pki()


def name_of(party: pki.Party) -> int:
    return next(n for n, a in SIGNATURE_BY_COSE.items() if a == party.algorithm)


def head(party: pki.Party, **changed: Any) -> dict[Any, Any]:
    """alg, x5chain, x5t, CWT claims; `label_N=None` leaves a label out."""
    made: dict[Any, Any] = {
        1: name_of(party),
        33: [party.certificate.der, *(c.der for c in party.chain)],
        34: [-16, party.certificate.id],
        15: {6: int(pki.SIGNED.timestamp())},
    }
    made |= {int(k.removeprefix("label_").replace("m", "-")): v for k, v in changed.items()}
    return {k: v for k, v in made.items() if v is not None}


def sign1(
    party: pki.Party,
    payload: bytes = TEXT,
    protected: dict[Any, Any] | None = None,
    unprotected: Mapping[Any, Any] | None = None,
    *,
    detached: bool = False,
    tag: bool = True,
) -> bytes:
    body = cbor.encode(head(party) if protected is None else protected)
    value = raw(party, party.sign(cbor.encode(["Signature1", body, b"", payload])))
    message = [body, dict(unprotected or {}), None if detached else payload, value]
    return cbor.encode(Tag(18, message) if tag else message)


def read(data: bytes, *files: Document, certs: Any = ()) -> Evidence:
    return cose.read(Document.of(data), files, certs)


def only(evidence: Evidence) -> Signature:
    (signature,) = evidence.signatures
    return signature


# Messages and keys.


@pytest.mark.parametrize("kind", ["rsa2048-pss", "rsa2048", "p256", "ed25519", "ml-dsa-65"])
def test_every_key(kind: str) -> None:
    party = pki.signer(world().ca, key=kind.removesuffix("-pss"))
    party = party.with_pss() if kind.endswith("-pss") else party
    signature = only(read(sign1(party)))
    assert intact(signature) and not signature.defects
    assert signature.form is Form.COSE and signature.level == "COSE-B"
    assert signature.signer == party.certificate and signature.claims.time == pki.SIGNED
    assert not intact(only(read(sign1(party).replace(TEXT, b"temperature 99.5\n"))))


@pytest.mark.filterwarnings("ignore")
def test_what_cwt_makes() -> None:
    cwt = pytest.importorskip("cwt")
    party = world().signer
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    pem = party.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key = cwt.COSEKey.from_pem(pem, kid="01", alg="ES256")
    sender = cwt.COSE.new()
    chain = [party.certificate.der, *(c.der for c in party.chain)]
    made = sender.encode_and_sign(TEXT, key, protected={1: -7, 33: chain}, unprotected={4: b"01"})
    signature = only(read(made))
    assert intact(signature) and signature.signer == party.certificate
    signer = cwt.Signer.new(cose_key=key, protected={1: -7, 33: chain}, unprotected={4: b"01"})
    several = sender.encode_and_sign(TEXT, signers=[signer], protected={3: "text/plain"})
    assert intact(only(read(several))) and only(read(several)).claims.content_type == "text/plain"


def test_a_message_is_recognised_from_its_bytes() -> None:
    data = sign1(world().signer)
    for made in (data, sign1(world().signer, tag=False), b"\xd9\xd9\xf7" + data, b"\xd8\x3d" + data):
        assert read_any(Document.of(made)).kind == "COSE" and intact(only(read(made)))
    for other in (b"\x84", b"\x84\x01\x02\x03", b"{}", b"PK\3\4", b"\xd2"):
        assert not cose.claims(other) or other == b"\xd2"


def test_several_signers() -> None:
    parties = world().signer, pki.signer(world().ca, key="ed25519")
    assert [intact(s) for s in read(_several(parties)).signatures] == [True, True]
    broken = read(_several(parties, forge=1))
    assert [intact(s) for s in broken.signatures] == [True, False]


def _several(parties: Any, forge: int = -1, stamp: bool = False) -> bytes:
    body = cbor.encode({3: "text/plain"})
    signatures = []
    for number, party in enumerate(parties):
        own = cbor.encode(head(party))
        over = cbor.encode(["Signature", body, own, b"", b"other" if number == forge else TEXT])
        signatures.append([own, {}, raw(party, party.sign(over))])
    token = {270: pki.token(world().tsu, Digest("sha256", hashlib.sha256(cbor.encode(signatures)).digest()))} if stamp else {}
    return cbor.encode(Tag(98, [body, token, TEXT, signatures]))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xd2",
        b"\xd2\x83\x40\xa0\x40",
        b"\xd2\x84\x40\xa0\x40\x01",
        b"\xd2\x84\x41\x01\xa0\x40\x40",
        b"\xd1\x84\x40\xa0\x40\x40",
        b"\xd2\x84\x40\xa0\x40\x40\x00",
        b"\xd8\x62\x84\x40\xa0\x40\x80",
    ],
)
def test_what_is_no_message(data: bytes) -> None:
    with pytest.raises(Malformed):
        read(data)


# CBOR.


@pytest.mark.parametrize(
    ("hex_", "value"),
    [
        ("1bffffffffffffffff", (1 << 64) - 1),
        ("3903e7", -1000),
        ("5f42010243030405ff", bytes((1, 2, 3, 4, 5))),
        ("7f657374726561646d696e67ff", "streaming"),
        ("9f018202039f0405ffff", [1, [2, 3], [4, 5]]),
        ("bf61610161629f0203ffff", {"a": 1, "b": [2, 3]}),
        ("fb3ff199999999999a", 1.1),
        ("f93c00", 1.0),
        ("c11a514b67b0", Tag(1, 1363896240)),
        ("f7", cbor.UNDEFINED),
    ],
)
def test_cbor_of_the_standard(hex_: str, value: Any) -> None:
    assert cbor.decode(bytes.fromhex(hex_)) == value  # RFC 8949 appendix A


@pytest.mark.parametrize(
    "hex_", ["", "18", "1c", "ff", "a201020103", "5f4101", "5f6161ff", "61ff", "0000", "f818", "82" * 40, "9bffffffffffffffff", "a1f401"]
)
def test_cbor_that_is_none(hex_: str) -> None:
    with pytest.raises(Malformed):
        cbor.decode(bytes.fromhex(hex_))


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.integers(-(1 << 64), (1 << 64) - 1) | st.binary(max_size=300) | st.text(max_size=40) | st.booleans() | st.none(),
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.integers(-9, 300) | st.text(max_size=5), inner, max_size=5),
        max_leaves=20,
    )
)
def test_what_is_written_is_read(value: Any) -> None:
    assert cbor.decode(cbor.encode(value)) == value


# Headers: attacks, each with its twin.


@pytest.mark.parametrize("name", [5, -25, "ES256", None, True])
def test_an_algorithm_that_is_no_signature(name: Any) -> None:
    signature = only(read(sign1(world().signer, protected=head(world().signer, label_1=name))))
    assert signature.algorithm is None and fatal(signature)


def test_alg_in_the_unprotected_header_counts_for_nothing() -> None:
    signature = only(read(sign1(world().signer, protected=head(world().signer, label_1=None), unprotected={1: -7})))
    assert signature.algorithm is None and fatal(signature)


def test_an_algorithm_names_its_curve() -> None:
    party = pki.signer(world().ca, key="p384")
    assert not fatal(only(read(sign1(party, protected=head(party, label_1=-7)))))
    assert fatal(only(read(sign1(party, protected=head(party, label_1=-9)))))


@pytest.mark.parametrize(
    ("more", "refused"),
    [
        ({"label_2": [99], "label_99": 1}, True),
        ({"label_2": [3], "label_3": "text/plain"}, False),
        ({"label_2": [3]}, True),
        ({"label_2": []}, True),
        ({"label_2": 3, "label_3": "text/plain"}, True),
        ({"label_99": 1}, False),
        ({"label_263": {1: "JP"}}, False),
        ({"label_2": [267], "label_267": {}}, True),
    ],
)
def test_parameters_that_must_be_understood(more: dict[str, Any], refused: bool) -> None:
    signature = only(read(sign1(world().signer, protected=head(world().signer, **more))))
    assert intact(signature) and bool(fatal(signature)) is refused


@pytest.mark.parametrize(
    ("protected", "unprotected", "refused"),
    [
        ({"label_33": lambda w: w.signer.certificate.der}, {}, False),
        ({"label_33": lambda w: [w.signer.certificate.der]}, {}, False),
        ({"label_33": lambda w: [w.signer.certificate.der, w.root.certificate.der, w.ca.certificate.der]}, {}, True),
        ({"label_33": lambda w: [w.ca.certificate.der, w.signer.certificate.der]}, {}, True),
        ({"label_33": lambda w: [w.signer.certificate.der, b"\x30\x00"]}, {}, True),
        ({}, {34: lambda w: [-16, w.signer.certificate.id]}, True),  # in both headers
        ({"label_34": lambda _: None}, {34: lambda w: [-16, w.signer.certificate.id]}, False),
        ({"label_34": lambda _: None}, {34: lambda w: [-16, w.ca.certificate.id]}, True),
        ({"label_33": lambda _: None}, {33: lambda w: [w.signer.certificate.der, w.ca.certificate.der]}, False),
        ({"label_33": lambda _: None}, {33: lambda w: [w.ca.certificate.der, w.signer.certificate.der]}, True),
        ({"label_270": lambda w: pki.token(w.tsu, Digest("sha256", bytes(32)))}, {}, True),
        ({"label_2": lambda _: [True]}, {}, True),
    ],
)
def test_whatever_names_the_signer_names_the_same_one(protected: dict[str, Any], unprotected: dict[int, Any], refused: bool) -> None:
    w = world()
    made = head(w.signer, **{k: v(w) for k, v in protected.items()})
    signature = only(read(sign1(w.signer, protected=made, unprotected={k: v(w) for k, v in unprotected.items()})))
    assert intact(signature) and bool(fatal(signature)) is refused


@pytest.mark.parametrize("tags", [(18, 18), (98, 18), (18, 98), (17,), (16,), (61,), (61, 55799, 18), (55799, 55799, 18), (61, 61, 18), (18, 61)])
def test_tags_have_their_order(tags: tuple[int, ...]) -> None:
    message = cbor.decode(sign1(world().signer, tag=False))
    for tag in reversed(tags):
        message = Tag(tag, message)
    with pytest.raises(Malformed):
        read(cbor.encode(message))


@pytest.mark.parametrize("tags", [(), (18,), (61, 18), (55799, 18), (55799, 61, 18), (55799,)])
def test_tags_that_may_stand_around(tags: tuple[int, ...]) -> None:
    message = cbor.decode(sign1(world().signer, tag=False))
    for tag in reversed(tags):
        message = Tag(tag, message)
    assert intact(only(read(cbor.encode(message))))


def test_a_tag_inside_the_array_of_signatures() -> None:
    body, unprotected, payload, (one,) = cbor.decode(_several((world().signer,))).value
    assert intact(only(read(cbor.encode(Tag(98, [body, unprotected, payload, [one]])))))
    with pytest.raises(Malformed):
        read(cbor.encode(Tag(98, [body, unprotected, payload, [Tag(18, one)]])))


def test_labels_have_their_place() -> None:
    for unprotected in ({2: [3]}, {258: -16}, {269: b""}, {33: world().signer.certificate.der}):
        assert fatal(only(read(sign1(world().signer, unprotected=unprotected))))
    assert not fatal(only(read(sign1(world().signer, unprotected={4: b"kid"}))))


def test_a_label_that_stands_twice() -> None:
    body = cbor.encode(head(world().signer))
    doubled = bytes((body[0] + 1,)) + body[1:] + cbor.encode(1) + cbor.encode(-8)
    value = raw(world().signer, world().signer.sign(cbor.encode(["Signature1", doubled, b"", TEXT])))
    with pytest.raises(Malformed, match="twice"):
        read(cbor.encode(Tag(18, [doubled, {}, TEXT, value])))


def test_a_der_value_is_not_that_of_cose() -> None:
    party = world().signer
    body = cbor.encode(head(party))
    der = party.sign(cbor.encode(["Signature1", body, b"", TEXT]))
    assert not intact(only(read(cbor.encode(Tag(18, [body, {}, TEXT, der])))))


def test_who_signed() -> None:
    party, other = world().signer, pki.signer(world().ca, "Somebody Else")
    protected = only(read(sign1(party, protected=head(party, label_34=None))))
    assert protected.signer_reference.count == 1 and protected.signer_reference.digest_matches and protected.level == "COSE-B"
    loose = only(read(sign1(party, protected=head(party, label_33=None, label_34=None), unprotected={33: party.certificate.der})))
    assert loose.signer == party.certificate and loose.signer_reference.count == 0 and loose.level == "COSE-NOT-ETSI"
    named = only(read(sign1(party, protected=head(party, label_33=None), unprotected={33: [other.certificate.der, party.certificate.der]})))
    assert named.signer == party.certificate and named.signer_reference.digest_matches
    swapped = only(read(sign1(party, protected=head(party, label_33=None), unprotected={33: other.certificate.der})))
    assert swapped.signer_reference.digest_matches is False
    given_ = only(read(sign1(party, protected=head(party, label_33=None)), certs=(other.certificate, party.certificate)))
    assert given_.signer == party.certificate and intact(given_)


# Content.


def test_detached_content() -> None:
    data = sign1(world().signer, detached=True)
    assert intact(only(read(data, Document.of(TEXT, "reading.txt"))))
    assert not intact(only(read(data, Document.of(b"other", "reading.txt"))))
    assert not only(read(data)).references[0].found
    beside = read(sign1(world().signer), Document.of(b"other", "other.txt"))
    assert [u.name for u in beside.uncovered if u.grave] == ["other.txt"]
    assert not read(sign1(world().signer), Document.of(TEXT, "same.txt")).uncovered


def test_long_content_is_never_held(tmp_path: Any) -> None:
    path, party = tmp_path / "big", world().signer
    path.write_bytes(bytes(range(256)) * 120_000)
    data = sign1(party, path.read_bytes(), detached=True)
    document = Document("big", path.stat().st_size, lambda: path.open("rb"))
    with counted(document) as sizes:
        signature = only(read(data, document))
    assert isinstance(signature.signed, Digest) and intact(signature) and max(sizes) <= Document.CHUNK


def test_a_hash_envelope() -> None:
    party = world().signer
    data = sign1(party, hashlib.sha256(TEXT).digest(), protected=head(party, label_258=-16, label_259="text/plain"))
    found = read(data, Document.of(TEXT, "reading.txt"))
    assert intact(only(found)) and not found.uncovered
    other = read(data, Document.of(b"other", "reading.txt"))
    assert not intact(only(other)) and other.uncovered
    assert only(read(data)).references[0].scope is Scope.DIGEST and not only(read(data)).references[0].found
    unknown = sign1(party, hashlib.sha256(TEXT).digest(), protected=head(party, label_258=-999))
    assert fatal(only(read(unknown)))


# Time-stamps (RFC 9921).


def test_a_stamp_after_signing_is_over_the_encoded_signature() -> None:
    vector = bytes.fromhex(
        "8eb33e4ca31d1c465ab05aac34cc6b23d58fef5c083106c4d25a91aef0b0117e2af9a291aa32e14ab834dc56ed2a223444547e01f11d3b0916e5a4c345cacb36"
    )
    assert hashlib.sha256(cbor.encode(vector)).hexdigest() == "44c2419d131d53d55584b5dd33b788c24e551c6d44b1afc8b2b85e6954763b4e"  # section 3.1.1
    party, plain = world().signer, sign1(world().signer)
    field = cbor.encode(cbor.decode(plain).value[3])
    sound, bare = (hashlib.sha256(f).digest() for f in (field, field[2:]))
    for imprint, right in ((sound, True), (bare, False)):
        evidence = read(_with(plain, 270, pki.token(world().tsu, Digest("sha256", imprint))))
        (stamp,) = evidence.stamps
        assert stamp_intact(stamp) is right and stamp.kind is StampKind.SIGNATURE
        assert only(evidence).level == ("COSE-T" if right else "COSE-B")
        assert ({only(evidence).id, party.certificate.id, identify(TEXT)} <= stamp.covers) is right


def _with(message: bytes, label: int, value: Any) -> bytes:
    body, unprotected, payload, signature = cbor.decode(message).value
    return cbor.encode(Tag(18, [body, {**unprotected, label: value}, payload, signature]))


def test_a_stamp_before_signing_is_over_the_payload() -> None:
    w = world()
    sound = pki.token(w.tsu, Digest("sha256", hashlib.sha256(TEXT).digest()))
    evidence = read(sign1(w.signer, protected=head(w.signer, label_269=sound)))
    (stamp,) = evidence.stamps
    assert stamp_intact(stamp) and stamp.kind is StampKind.CONTENT and stamp.covers == {identify(TEXT)}
    framed = pki.token(w.tsu, Digest("sha256", hashlib.sha256(cbor.encode(TEXT)).digest()))
    assert not read(sign1(w.signer, protected=head(w.signer, label_269=framed))).stamps[0].intact


def test_one_stamp_over_several_signatures() -> None:
    evidence = read(_several((world().signer, pki.signer(world().ca, key="ed25519")), stamp=True))
    (stamp,) = evidence.stamps
    assert stamp_intact(stamp) and {s.id for s in evidence.signatures} <= stamp.covers
    assert [s.level for s in evidence.signatures] == ["COSE-T", "COSE-T"]


def test_a_stamp_that_cannot_be_read_is_refused() -> None:
    for value in (b"\x30\x00", 5):
        signature = only(read(_with(sign1(world().signer), 270, value)))
        assert intact(signature) and any(d.refused for d in signature.defects)


# Whatever the bytes are.


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 1 << 30), st.integers(0, 255), st.integers(0, 2))
def test_mutated_bytes_are_malformed_or_read(at: int, octet: int, how: int) -> None:
    source = _samples()[at % len(_samples())]
    at %= len(source)
    data = (source[:at] + bytes((octet,)) + source[at + 1 :], source[:at] + source[at + 1 :], source[:at])[how]
    try:
        read(data, Document.of(TEXT, "x"))
    except (Malformed, TooLarge):
        return


@functools.cache
def _samples() -> tuple[bytes, ...]:
    party = world().signer
    plain = sign1(party)
    stamped = _with(plain, 270, pki.token(world().tsu, Digest("sha256", hashlib.sha256(b"x").digest())))
    return stamped, _several((party, pki.signer(world().ca, key="ed25519")), stamp=True), sign1(party, detached=True)
