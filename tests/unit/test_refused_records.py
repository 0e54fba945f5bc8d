"""Evidence records that a clause refuses, each beside its lawful twin: lists, groups, what stands beside (RFC 4998, RFC 6283)."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from lxml import etree

from tests import pki
from tests.envelopes import algorithm, attribute, integer, octets, oid, seq
from tests.refused import accepted, world
from tests.unit.test_refused_files import FIRST, NS, ONE, RENEWED, TWO, beneath, hashed, in_xml, record, stamped
from tests.xades_maker import b64
from trust.codecs.asn1 import context, tlv
from trust.model import Digest

SECOND, THIRD = hashed(TWO), hashed(b"three")


def root(*lists: Sequence[bytes]) -> bytes:
    above: tuple[bytes, ...] = ()
    for each in lists:
        values = (*each, *above)
        above = values if len(values) == 1 else (hashed(*sorted(values)),)
    return above[0]


def listed(*lists: Sequence[bytes]) -> bytes:
    return record(stamped(root(*lists), lists)[0])


PAIR, ALL = sorted((FIRST, SECOND)), sorted((FIRST, SECOND, THIRD))
LISTS: dict[str, tuple[Callable[[], bytes], Sequence[bytes], bool]] = {
    "neighbours": (lambda: listed(PAIR), (ONE,), True),
    "group": (lambda: listed(PAIR), (ONE, TWO), True),
    "group and neighbours": (lambda: listed(PAIR, [THIRD]), (ONE, TWO), True),
    "group that is not whole": (lambda: listed(ALL), (ONE, TWO), False),
    "twice": (lambda: listed([FIRST, FIRST]), (ONE,), False),
    "twice and one": (lambda: record(stamped(FIRST, [[FIRST, FIRST]])[0]), (ONE,), False),
    "twice above": (lambda: listed([FIRST], [SECOND, SECOND]), (ONE,), False),
    "two alike": (lambda: listed([FIRST, FIRST]), (ONE, ONE), True),
}


@pytest.mark.parametrize("case", LISTS)
def test_lists_of_hash_values(case: str) -> None:
    """RFC 4998 sections 4.2 and 4.3."""
    made, documents, lawful = LISTS[case]
    assert accepted(made(), *documents) is lawful


def renewed_with(objects: Sequence[bytes], first: Sequence[bytes] = (FIRST,)) -> bytes:
    """Hash-tree renewal of a record over `first` for these data objects."""

    def longer(*parts: bytes) -> bytes:
        return Digest.of("sha512", b"".join(parts)).value

    before, _ = stamped(root(first), [first] if len(first) > 1 else ())
    chains = longer(seq(seq(before)))
    values = sorted(longer(longer(each), chains) for each in objects)
    token = pki.token(world().tsu, Digest("sha512", values[0] if len(values) == 1 else longer(*values)), RENEWED)
    tree = tlv(context(2), seq(*map(octets, values)))
    made = seq(tlv(context(0), algorithm("sha512")[2:]), tree, token)
    return seq(integer(1), seq(algorithm("sha256"), algorithm("sha512")), seq(seq(before), seq(made)))


@pytest.mark.parametrize(
    ("objects", "first", "given", "lawful"),
    [
        ((ONE,), (FIRST,), (ONE,), True),
        ((ONE, TWO), PAIR, (ONE, TWO), True),
        ((ONE, TWO, b"three"), PAIR, (ONE, TWO), False),
        ((ONE, TWO), (FIRST,), (ONE, TWO), False),
        ((ONE,), PAIR, (ONE, TWO), False),
    ],
    ids=["one", "group", "group that grew", "one that became two", "group that shrank"],
)
def test_a_group_is_hashed_anew_as_it_was(objects: Sequence[bytes], first: Sequence[bytes], given: Sequence[bytes], lawful: bool) -> None:
    """RFC 4998 section 5.2."""
    assert accepted(renewed_with(objects, first), *given) is lawful


def informed(*attributes: bytes) -> bytes:
    return record(stamped(FIRST)[0], infos=tlv(context(0), b"".join(attributes)))


INFORMATION: dict[str, tuple[Callable[[], bytes], bool]] = {
    "certificate": (lambda: informed(attribute("1.2.3.4", world().ca.certificate.der)), True),
    "of another kind": (lambda: informed(attribute("1.2.3.4", octets(b"x"))), True),
    "no value": (lambda: informed(attribute("1.2.3.4")), False),
    "no set": (lambda: informed(seq(oid("1.2.3.4"))), False),
    "no type": (lambda: informed(seq(integer(1), tlv(0x31, octets(b"x")))), False),
    "attribute that is none": (lambda: record(stamped(FIRST, attributes=tlv(context(1), integer(1)))[0]), False),
}


@pytest.mark.parametrize("case", INFORMATION)
def test_attributes_are_attributes(case: str) -> None:
    made, lawful = INFORMATION[case]
    assert accepted(made(), ONE) is lawful


def cryptographic(*texts: str, **changed: str | None) -> Callable[[Any], None]:
    def edit(made: Any) -> None:
        held = etree.SubElement(made.find(beneath("TimeStamp")), f"{{{NS}}}CryptographicInformationList")
        for number, text in enumerate(texts, start=1):
            said = {"Order": str(number), "Type": "CERT", **changed}
            etree.SubElement(held, f"{{{NS}}}CryptographicInformation", {k: v for k, v in said.items() if v is not None}).text = text

    return edit


def within(name: str, tag: str, inner: str = "", **attributes: str) -> Callable[[Any], None]:
    def edit(made: Any) -> None:
        new = etree.SubElement(made.find(beneath(name)), f"{{{NS}}}{tag}")
        if inner:
            etree.SubElement(new, f"{{{NS}}}{inner}", attributes)

    return edit


def cert() -> str:
    return b64(world().ca.certificate.der)


XML: dict[str, tuple[Callable[[], Callable[[Any], None]], bool]] = {
    "certificate": (lambda: cryptographic(cert()), True),
    "two": (lambda: cryptographic(cert(), b64(world().root.certificate.der)), True),
    "list": (lambda: cryptographic(b64(world().crls()[0].der), Type="CRL"), True),
    "of another kind": (lambda: cryptographic("AAAA", Type="SCVP"), True),
    "list that is a certificate": (lambda: cryptographic(cert(), Type="CRL"), False),
    "rubbish": (lambda: cryptographic("!"), False),
    "octets": (lambda: cryptographic("AAAA"), False),
    "without kind": (lambda: cryptographic(cert(), Type=None), False),
    "without order": (lambda: cryptographic(cert(), Order=None), False),
    "in another order": (lambda: cryptographic(cert(), Order="2"), False),
    "attribute": (lambda: within("ArchiveTimeStamp", "Attributes", "Attribute", Order="1"), True),
    "attribute without order": (lambda: within("ArchiveTimeStamp", "Attributes", "Attribute"), False),
    "no attribute": (lambda: within("ArchiveTimeStamp", "Attributes"), False),
    "in a token": (lambda: within("TimeStampToken", "Note"), False),
    "in a digest": (lambda: within("DigestValue", "Note"), False),
    "parameter of the digest": (lambda: within("DigestMethod", "Note"), False),
    "parameter of the form": (lambda: within("CanonicalizationMethod", "Note"), False),
}


@pytest.mark.parametrize("case", XML)
def test_xml_records_hold_what_they_say(case: str) -> None:
    """RFC 6283 sections 3.1.3 and 8."""
    edit, lawful = XML[case]
    assert accepted(in_xml(edit()), ONE) is lawful


FORM = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"


@pytest.mark.parametrize(
    ("form", "lawful"),
    [(FORM, True), (FORM + "#WithComments", True), ("http://www.w3.org/2001/10/xml-exc-c14n#", True), ("urn:example:form", False), ("", False)],
)
def test_forms_of_xml(form: str, lawful: bool) -> None:
    assert accepted(in_xml(lambda made: made.find(beneath("CanonicalizationMethod")).set("Algorithm", form)), ONE) is lawful
