"""COSE messages that a clause refuses, each beside its lawful twin: types of headers, and counter-signatures over messages and signatures."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests import pki
from tests.jades_maker import raw
from tests.refused import accepted, world
from tests.unit.test_cose_reader import name_of
from trust.codecs import cbor
from trust.codecs.cbor import Tag
from trust.model import Document
from verifier.formats import cose

TEXT = b"temperature 21.5\n"
Parts = list[Any]


def head(party: pki.Party) -> dict[Any, Any]:
    chain = [party.certificate.der, *(c.der for c in party.chain)]
    return {1: name_of(party), 33: chain, 34: [-16, party.certificate.id], 15: {6: int(pki.SIGNED.timestamp())}}


def signed(protected: dict[Any, Any] | None = None, beside: Callable[[bytes, bytes], dict[Any, Any]] | None = None) -> bytes:
    """COSE_Sign1; `beside` makes the unprotected header from the protected one's octets and the signature."""
    party = world().signer
    body = cbor.encode({**head(party), **(protected or {})})
    value = raw(party, party.sign(cbor.encode(["Signature1", body, b"", TEXT])))
    return cbor.encode(Tag(18, [body, beside(body, value) if beside else {}, TEXT, value]))


HEADERS: dict[str, tuple[dict[Any, Any], bool]] = {
    "content type": ({3: "text/plain; charset=utf-8"}, True),
    "number of one": ({3: 0}, True),
    "number of none": ({3: -1}, False),
    "octets": ({3: b"text/plain"}, False),
    "no subtype": ({3: "text"}, False),
    "space around": ({3: " text/plain"}, False),
    "key": ({4: b"1"}, True),
    "key as text": ({4: "1"}, False),
    "vector as number": ({5: 1}, False),
    "vector twice": ({5: b"1", 6: b"2"}, False),
    "type": ({16: "application/example"}, True),
    "type as octets": ({16: b"application/example"}, False),
    "issuer": ({15: {6: int(pki.SIGNED.timestamp()), 1: "sensor"}}, True),
    "issuer as number": ({15: {6: int(pki.SIGNED.timestamp()), 1: 7}}, False),
    "bag": ({32: []}, False),
    "bag of rubbish": ({32: [b"x"]}, False),
    "address": ({35: Tag(32, "https://pki.example.test/")}, True),
    "address as text": ({35: "https://pki.example.test/"}, True),
    "address as number": ({35: 5}, False),
    "content that is not hashed": ({259: "text/plain"}, False),
    "place of what is not hashed": ({260: "https://example.test/"}, False),
    "unknown": ({-70_000: 5}, True),
}


@pytest.mark.parametrize("case", HEADERS)
def test_headers_are_of_their_types(case: str) -> None:
    """RFC 9052 section 3.1, RFC 9360, RFC 9596, RFC 9597, RFC 9995."""
    changed, lawful = HEADERS[case]
    assert accepted(signed(changed)) is lawful


def counter(party: pki.Party, context: str, over: Sequence[Any], *, broken: bool = False) -> Parts:
    """COSE_Countersignature over the protected header, the payload and what else is signed."""
    protected = cbor.encode(head(party))
    first, *rest = over
    value = raw(party, party.sign(cbor.encode([context, first, protected, b"", *rest])))
    return [protected, {}, value[:-1] + bytes((value[-1] ^ broken,))]


def witness() -> pki.Party:
    return pki.signer(world().ca, "Example Witness")


def later(body: bytes, value: bytes, *, broken: bool = False) -> Parts:
    """RFC 9338 section 3.3: over the signature too."""
    return counter(witness(), "CounterSignatureV2", (body, TEXT, [value]), broken=broken)


def nested(body: bytes, value: bytes, *, broken: bool) -> Parts:
    made = later(body, value)
    made[1] = {11: counter(world().signer, "CounterSignature", (made[0], made[2]), broken=broken)}
    return made


def foreign(body: bytes, value: bytes) -> Parts:
    stranger = pki.signer(pki.authority(pki.root("Another Root")))
    return counter(stranger, "CounterSignatureV2", (body, TEXT, [value]))


COUNTERS: dict[str, tuple[Callable[[bytes, bytes], dict[Any, Any]], bool]] = {
    "one": (lambda body, value: {11: later(body, value)}, True),
    "two": (lambda body, value: {11: [later(body, value), later(body, value)]}, True),
    "broken": (lambda body, value: {11: later(body, value, broken=True)}, False),
    "one of two broken": (lambda body, value: {11: [later(body, value), later(body, value, broken=True)]}, False),
    "over another payload": (lambda body, value: {11: counter(witness(), "CounterSignatureV2", (body, b"other", [value]))}, False),
    "not over the signature": (lambda body, _: {11: counter(witness(), "CounterSignature", (body, TEXT))}, False),
    "nobody's": (lambda body, value: {11: foreign(body, value)}, False),
    "rubbish": (lambda *_: {11: b"rubbish"}, False),
    "none": (lambda *_: {11: []}, False),
    "countersigned": (lambda body, value: {11: nested(body, value, broken=False)}, True),
    "countersigned badly": (lambda body, value: {11: nested(body, value, broken=True)}, False),
    "older": (lambda body, _: {7: counter(witness(), "CounterSignature", (body, TEXT))}, True),
    "older, broken": (lambda body, _: {7: counter(witness(), "CounterSignature", (body, TEXT), broken=True)}, False),
    "abbreviated": (lambda *_: {12: bytes(64)}, False),
    "older, abbreviated": (lambda *_: {9: bytes(64)}, False),
}


@pytest.mark.parametrize("case", COUNTERS)
def test_counter_signatures_are_judged(case: str) -> None:
    beside, lawful = COUNTERS[case]
    assert accepted(signed(beside=beside)) is lawful


def test_a_counter_signature_stands_under_no_signature() -> None:
    assert not accepted(signed({11: [b"", {}, b"x"]}))


@pytest.mark.parametrize("broken", [False, True])
@pytest.mark.parametrize("place", ["message", "signature"])
def test_counter_signatures_in_a_message_of_several(place: str, broken: bool) -> None:
    party, body = world().signer, cbor.encode({3: "text/plain"})
    own = cbor.encode(head(party))
    value = raw(party, party.sign(cbor.encode(["Signature", body, own, b"", TEXT])))
    over = (body, TEXT) if place == "message" else (own, value)
    held = {11: counter(witness(), "CounterSignature", over, broken=broken)}
    made = cbor.encode(Tag(98, [body, held if place == "message" else {}, TEXT, [[own, held if place == "signature" else {}, value]]]))
    assert accepted(made) is not broken


def test_counter_signatures_are_told_apart() -> None:
    evidence = cose.read(Document.of(signed(beside=lambda body, value: {11: nested(body, value, broken=False)})))
    first, second, third = evidence.signatures
    assert (first.countersigns, second.countersigns, third.countersigns) == (None, first.id, second.id)
    assert [s.field for s in evidence.signatures] == [
        "signature 1",
        "counter-signature of message",
        "counter-signature of counter-signature of message",
    ]
    assert second.signer is not None and second.signer in evidence.certs
