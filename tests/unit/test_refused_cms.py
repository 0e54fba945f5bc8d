"""CMS signatures and tokens that a clause refuses, each beside its lawful twin: values of attributes, and what the envelope holds."""

from collections.abc import Callable, Sequence

import pytest

from tests import pki
from tests.envelopes import (
    CONTENT_TIME_STAMP,
    COUNTER_SIGNATURE,
    DATA,
    MESSAGE_DIGEST,
    SIGNATURE_TIME_STAMP,
    SIGNED_DATA,
    SIGNING_CERTIFICATE_V2,
    algorithm,
    attribute,
    integer,
    octets,
    oid,
    seq,
    usual_attributes,
)
from tests.refused import accepted, world
from tests.unit.test_refused_files import CONTENT, token
from trust.algorithms import DIGESTS, OID_BY_SIGNATURE
from trust.codecs.asn1 import context, tlv
from trust.model import Digest

AA = "1.2.840.113549.1.9.16.2."
HINTS, IDENTIFIER, REFERENCE, POLICY, COMMITMENT, LOCATION = (AA + n for n in ("4", "7", "10", "15", "16", "17"))
MIME_TYPE, STORE, PROTECTION = "0.4.0.1733.2.1", "0.4.0.19122.1.3", "1.2.840.113549.1.9.52"
RULES = b"what this seal is for"


def utf8(text: str) -> bytes:
    return tlv(0x0C, text.encode())


def signed_by(
    party: pki.Party,
    attributes: Sequence[bytes],
    unsigned: Callable[[bytes], Sequence[bytes]] | None = None,
    *,
    version: int = 1,
    sid: bytes | None = None,
    digest: bytes | None = None,
) -> bytes:
    """A SignerInfo; `unsigned` makes unsigned attributes from its value."""
    body = b"".join(sorted(attributes))
    value = party.sign(tlv(0x31, body))
    extra = b"".join(unsigned(value)) if unsigned else b""
    return seq(
        integer(version),
        sid or seq(party.certificate.x509.issuer.public_bytes(), integer(party.serial)),
        digest or algorithm("sha256"),
        tlv(context(0), body),
        seq(oid(OID_BY_SIGNATURE[party.algorithm])),
        octets(value),
        tlv(context(1), extra) if extra else b"",
    )


def held() -> bytes:
    return b"".join(c.der for c in (world().signer.certificate, *world().signer.chain))


def message(info: bytes, *, version: int = 1, certificates: bytes = b"", lists: bytes = b"", digest: bytes | None = None) -> bytes:
    signed = seq(
        integer(version),
        tlv(0x31, digest or algorithm("sha256")),
        seq(oid(DATA), tlv(context(0), octets(CONTENT))),
        tlv(context(0), held() + certificates),
        tlv(context(1), lists) if lists else b"",
        tlv(0x31, info),
    )
    return seq(oid(SIGNED_DATA), tlv(context(0), signed))


def usual() -> list[bytes]:
    return usual_attributes(world().signer, CONTENT)


def more(*attributes: bytes) -> bytes:
    return message(signed_by(world().signer, [*usual(), *attributes]))


def beside(unsigned: Callable[[bytes], Sequence[bytes]], *attributes: bytes) -> bytes:
    return message(signed_by(world().signer, [*usual(), *attributes], unsigned))


def named(*ids: bytes, tail: bytes = b"") -> bytes:
    """With another signing-certificate-v2."""
    return message(signed_by(world().signer, [*usual()[:3], attribute(SIGNING_CERTIFICATE_V2, seq(seq(*ids), tail))]))


def own() -> bytes:
    return seq(octets(Digest.of("sha256", world().signer.certificate.der).value))


def policy(digest: bytes = Digest.of("sha256", RULES).value) -> bytes:
    return attribute(POLICY, seq(oid("1.2.3.4"), seq(algorithm("sha256"), octets(digest))))


def stored(text: bytes) -> bytes:
    return attribute(STORE, seq(oid("1.2.3.5"), octets(text)))


def protection(*parts: bytes) -> bytes:
    return attribute(PROTECTION, seq(algorithm("sha256"), *parts))


def scheme(number: int) -> bytes:
    return tlv(context(number), oid(OID_BY_SIGNATURE[world().signer.algorithm]))


ATTRIBUTES: dict[str, tuple[Callable[[], bytes], bool]] = {
    "hints": (lambda: more(attribute(HINTS, seq(utf8("notice"), oid(DATA)))), True),
    "hints in octets": (lambda: more(attribute(HINTS, seq(octets(b"notice"), oid(DATA)))), True),
    "hints that are none": (lambda: more(attribute(HINTS, integer(1))), False),
    "two hints": (lambda: more(attribute(HINTS, seq(oid(DATA))), attribute(HINTS, seq(utf8("notice"), oid(DATA)))), False),
    "identifier": (lambda: more(attribute(IDENTIFIER, octets(b"1"))), True),
    "two identifiers": (lambda: more(attribute(IDENTIFIER, octets(b"1")), attribute(IDENTIFIER, octets(b"2"))), False),
    "reference": (lambda: more(attribute(REFERENCE, seq(oid(DATA), octets(b"1"), octets(b"2")))), True),
    "reference to nothing": (lambda: more(attribute(REFERENCE, seq(oid(DATA)))), False),
    "media type": (lambda: more(attribute(MIME_TYPE, utf8("text/plain"))), True),
    "media type in octets": (lambda: more(attribute(MIME_TYPE, octets(b"text/plain"))), False),
    "commitment": (lambda: more(attribute(COMMITMENT, seq(oid("1.2.840.113549.1.9.16.6.1")))), True),
    "commitment to nothing": (lambda: more(attribute(COMMITMENT, seq())), False),
    "commitment on no terms": (lambda: more(attribute(COMMITMENT, seq(oid("1.2.840.113549.1.9.16.6.1"), seq()))), False),
    "place": (lambda: more(attribute(LOCATION, seq(tlv(context(0), utf8("JP")), tlv(context(1), utf8("Tokyo"))))), True),
    "place in another order": (lambda: more(attribute(LOCATION, seq(tlv(context(1), utf8("Tokyo")), tlv(context(0), utf8("JP"))))), False),
    "no place": (lambda: more(attribute(LOCATION, seq())), False),
    "policy": (lambda: more(policy()), True),
    "policy that is not known": (lambda: more(policy(b"\0")), True),
    "policy of another length": (lambda: more(policy(bytes(20))), False),
    "policy that is none": (lambda: more(attribute(POLICY, integer(1))), False),
    "protection": (lambda: more(protection(scheme(1))), True),
    "protection of nothing": (lambda: more(protection()), False),
    "protection of a MAC": (lambda: more(protection(scheme(2))), False),
    "protection and more": (lambda: more(protection(scheme(1), integer(1))), False),
    "unknown": (lambda: more(attribute("1.2.3.4", integer(1))), True),
    "certificate": (lambda: named(own()), True),
    "certificate and policy": (lambda: named(own(), tail=seq(seq(oid("1.2.3.4")))), True),
    "certificate and number": (lambda: named(own(), tail=integer(1)), False),
    "certificate and more": (lambda: named(own(), tail=seq(seq(oid("1.2.3.4"))) + seq()), False),
    "no certificate": (named, False),
    "certificates of later use": (lambda: more(attribute(AA + "23", seq(world().ca.certificate.der))), False),
}


@pytest.mark.parametrize("case", ATTRIBUTES)
def test_signed_attributes_are_of_their_types(case: str) -> None:
    """RFC 5652 section 5.3, RFC 2634, RFC 5035, RFC 6211, EN 319 122-1 clause 5.2."""
    made, lawful = ATTRIBUTES[case]
    assert accepted(made()) is lawful


def countersigned(value: bytes, *, typed: bool = False) -> bytes:
    content_type, time, _, certificate = usual()
    over = attribute(MESSAGE_DIGEST, octets(Digest.of("sha256", value).value))
    return signed_by(world().signer, [over, time, certificate, *([content_type] if typed else [])])


def stamp(data: bytes) -> bytes:
    return pki.token(world().tsu, Digest.of("sha256", data))


BESIDE: dict[str, tuple[Callable[[], bytes], bool]] = {
    "countersignature": (lambda: beside(lambda value: [attribute(COUNTER_SIGNATURE, countersigned(value))]), True),
    "countersignature of a type": (lambda: beside(lambda value: [attribute(COUNTER_SIGNATURE, countersigned(value, typed=True))]), False),
    "no countersignature": (lambda: beside(lambda _: [attribute(COUNTER_SIGNATURE)]), False),
    "time-stamp": (lambda: beside(lambda value: [attribute(SIGNATURE_TIME_STAMP, stamp(value))]), True),
    "no time-stamp": (lambda: beside(lambda _: [attribute(SIGNATURE_TIME_STAMP)]), False),
    "time-stamp that is none": (lambda: beside(lambda _: [attribute(SIGNATURE_TIME_STAMP, octets(b"token"))]), False),
    "time-stamp of the content": (lambda: more(attribute(CONTENT_TIME_STAMP, stamp(CONTENT))), True),
    "time-stamp of the content, not signed": (lambda: beside(lambda _: [attribute(CONTENT_TIME_STAMP, stamp(CONTENT))]), False),
    "commitment, not signed": (lambda: beside(lambda _: [attribute(COMMITMENT, seq(oid("1.2.3.4")))]), False),
    "policy": (lambda: beside(lambda _: [stored(RULES)], policy()), True),
    "another policy": (lambda: beside(lambda _: [stored(b"something else")], policy()), False),
    "policy of nobody": (lambda: beside(lambda _: [stored(RULES)]), False),
    "policy, signed": (lambda: more(policy(), stored(RULES)), False),
}


@pytest.mark.parametrize("case", BESIDE)
def test_unsigned_attributes_are_where_they_belong(case: str) -> None:
    """RFC 5652 section 11.4, EN 319 122-1 clauses 5.2.10 and 5.3."""
    made, lawful = BESIDE[case]
    assert accepted(made()) is lawful


def of_key(version: int) -> bytes:
    extensions = world().signer.certificate.x509.extensions
    identifier = next(e.value.digest for e in extensions if e.oid.dotted_string == "2.5.29.14")
    return message(signed_by(world().signer, usual(), version=3, sid=tlv(0x80, identifier)), version=version)


def plain(*, certificates: bytes = b"", lists: bytes = b"", digest: bytes | None = None) -> bytes:
    return message(signed_by(world().signer, usual()), certificates=certificates, lists=lists, digest=digest)


def digest_with(parameters: bytes) -> bytes:
    return seq(oid(DIGESTS["sha256"].oid), parameters)


ENVELOPES: dict[str, tuple[Callable[[], bytes], bool]] = {
    "key": (lambda: of_key(3), True),
    "key in a message of version 1": (lambda: of_key(1), False),
    "certificate that is none": (lambda: plain(certificates=seq(integer(1))), False),
    "number among certificates": (lambda: plain(certificates=integer(1)), False),
    "list": (lambda: plain(lists=world().crls()[0].der), True),
    "list that is none": (lambda: plain(lists=seq(integer(1))), False),
    "digest of the message": (lambda: plain(digest=digest_with(b"\x05\x00")), True),
    "digest of the message with parameters": (lambda: plain(digest=digest_with(octets(b"x"))), False),
    "digest of the signer": (lambda: message(signed_by(world().signer, usual(), digest=digest_with(b"\x05\x00"))), True),
    "digest of the signer with parameters": (lambda: message(signed_by(world().signer, usual(), digest=digest_with(octets(b"x")))), False),
}


@pytest.mark.parametrize("case", ENVELOPES)
def test_what_the_envelope_holds(case: str) -> None:
    """RFC 5652 sections 5.1 and 10.2, RFC 5754 section 2."""
    made, lawful = ENVELOPES[case]
    assert accepted(made()) is lawful


def answered(status: bytes) -> bytes:
    return seq(status, token())


ANSWERS: dict[str, tuple[Callable[[], bytes], bool]] = {
    "granted": (lambda: answered(seq(integer(0))), True),
    "granted with a word": (lambda: answered(seq(integer(0), seq(utf8("thank you")))), True),
    "granted with an older word": (lambda: answered(seq(integer(0), seq(tlv(0x13, b"thank you")))), True),
    "granted with a number": (lambda: answered(seq(integer(0), seq(integer(1)))), False),
    "granted and failed": (lambda: answered(seq(integer(0), tlv(3, b"\x00\x80"))), False),
    "rejected": (lambda: answered(seq(integer(2))), False),
    "name": (lambda: token(tail=tlv(context(0), tlv(0x82, b"tsa.example.test"))), True),
    "name that is none": (lambda: token(tail=tlv(context(0), integer(1))), False),
    "half a name": (lambda: token(tail=tlv(context(0), tlv(context(4), seq(tlv(0x31, seq(oid("2.5.4.3"))))))), False),
    "statement": (lambda: token(tail=statement(seq(seq(oid("0.4.0.19422.1.1"))))), True),
    "statement that is none": (lambda: token(tail=statement(octets(b"x"))), False),
}


def statement(value: bytes) -> bytes:
    return tlv(context(1), seq(oid("1.3.6.1.5.5.7.1.3"), octets(value)))


@pytest.mark.parametrize("case", ANSWERS)
def test_tokens_and_answers(case: str) -> None:
    """RFC 3161 section 2.4.2, EN 319 422 clause 9.1."""
    made, lawful = ANSWERS[case]
    assert [accepted(made(), CONTENT), accepted(made(), CONTENT)] == [lawful, lawful]
