"""Which chains hold: names, signatures and RFC 5280's rules, within a budget."""

import time
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from tests import pki
from trust.codecs import asn1
from trust.model import Cert
from verifier.chains import MAX_CHAINS, MAX_DEPTH, Finder, facts, readable
from verifier.chains.certificate import name_key, public_key
from verifier.chains.names import NameConstraints, constraints_of, names_of
from verifier.chains.policies import Inputs, valid_policies


def why(leaf: pki.Party, top: pki.Party, *others: pki.Party) -> list[str]:
    """The clauses that the best chain breaks."""
    found = Finder([p.certificate for p in others], [top.certificate]).paths(leaf.certificate)
    assert found, "no chain at all"
    return [fault.clause for fault in found[0].faults]


def test_a_sound_chain() -> None:
    p = pki.pki()
    (path,) = Finder(p.certs, [p.root.certificate]).paths(p.signer.certificate)
    assert path.certs == (p.signer.certificate, p.ca.certificate, p.root.certificate)
    assert path.leaf == p.signer.certificate
    assert path.anchor == p.root.certificate
    assert path.faults == ()


def test_without_an_anchor_there_is_no_chain() -> None:
    p = pki.pki()
    assert Finder(p.certs, []).paths(p.signer.certificate) == ()
    assert Finder(p.certs, [pki.root("Other").certificate]).paths(p.signer.certificate) == ()


def test_without_the_authority_there_is_no_chain() -> None:
    p = pki.pki()
    assert Finder([p.signer.certificate], [p.root.certificate]).paths(p.signer.certificate) == ()


def test_an_anchor_is_its_own_chain() -> None:
    p = pki.pki()
    (path,) = Finder(p.certs, [p.signer.certificate]).paths(p.signer.certificate)
    assert path.certs == (p.signer.certificate,)


def test_an_anchor_is_a_key_and_a_name_not_bytes() -> None:
    """RFC 5280 section 6.1.1 (d): the same authority under a cross-certificate is the anchor too."""
    p = pki.pki()
    again = pki.root(private=p.root.private, not_after=pki.DIED + pki.DAY)
    (path,) = Finder([p.ca.certificate], [again.certificate]).paths(p.signer.certificate)
    assert path.anchor == again.certificate
    renamed = pki.root("Renamed", private=p.root.private)
    assert Finder([p.ca.certificate], [renamed.certificate]).paths(p.signer.certificate) == ()


def test_a_signature_of_somebody_else() -> None:
    p = pki.pki()
    forged = pki.signer(p.ca, signed_by=pki.private_key("p256"))
    assert Finder(p.certs, [p.root.certificate]).paths(forged.certificate) == ()


UNKNOWN = (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5.6"), b"\x05\x00"), True)


@pytest.mark.parametrize(
    ("who", "defects", "clauses"),
    [
        ("ca", {"ca": False}, ["RFC 5280 6.1.4 (k)"]),
        ("ca", {"ca": None}, ["RFC 5280 6.1.4 (k)"]),
        ("ca", {"key_usage": ("crl_sign",)}, ["RFC 5280 6.1.4 (n)"]),
        ("ca", {"key_usage": None}, []),
        ("ca", {"extensions": (UNKNOWN,)}, ["RFC 5280 6.1.5 (f)"]),
        ("ca", {"extensions": ((UNKNOWN[0], False),)}, []),
        ("ca", {"key_identifiers": False}, ["RFC 5280 4.2.1.2"]),
        ("ca", {"extensions": ((x509.OCSPNoCheck(), False),)}, ["RFC 6960 4.2.2.2.1, RFC 9608 4"]),
        ("ca", {"path_length": 0}, []),
        ("root", {"path_length": 0}, ["RFC 5280 6.1.4 (l), (m)"]),
        ("root", {"path_length": 1}, []),
        ("signer", {"extensions": (UNKNOWN,)}, ["RFC 5280 6.1.5 (f)"]),
        ("signer", {"key_usage": ("key_encipherment",)}, []),
    ],
)
def test_rules(who: str, defects: dict[str, Any], clauses: list[str]) -> None:
    given = {name: defects if name == who else {} for name in ("root", "ca", "signer")}
    top = pki.root(**given["root"])
    ca = pki.authority(top, **given["ca"])
    assert why(pki.signer(ca, **given["signer"]), top, ca) == clauses


def test_path_length_counts_authorities_that_are_not_self_issued() -> None:
    top = pki.root(path_length=1)
    one = pki.authority(top, "One")
    rolled = pki.authority(one, "One")
    assert why(pki.signer(rolled), top, one, rolled) == []
    two = pki.authority(one, "Two")
    assert why(pki.signer(two), top, one, two) == ["RFC 5280 6.1.4 (l), (m)"]


def test_extensions_of_the_japanese_register_may_be_critical() -> None:
    top = pki.root()
    oids = [f"1.2.392.100300.1.1.{n}" for n in (1, 2, 3)]
    extensions = [(x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), b"\x30\x00"), True) for oid in oids]
    assert why(pki.signer(top, extensions=extensions), top) == []


def directory(name: x509.Name) -> x509.DirectoryName:
    return x509.DirectoryName(name)


def constrained(permitted: list[x509.GeneralName] | None, excluded: list[x509.GeneralName] | None, *names: x509.GeneralName) -> list[str]:
    top = pki.root()
    ca = pki.authority(top, extensions=((x509.NameConstraints(permitted, excluded), True),))
    extensions = ((x509.SubjectAlternativeName(names), False),) if names else ()
    return why(pki.signer(ca, extensions=extensions), top, ca)


OUTSIDE = ["RFC 5280 6.1.3 (b), (c)"]
EXAMPLE = x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "JP"), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "EXAMPLE ")])
DNS, MAIL, URI = x509.DNSName, x509.RFC822Name, x509.UniformResourceIdentifier


@pytest.mark.parametrize(
    ("permitted", "excluded", "name", "clauses"),
    [
        ([directory(EXAMPLE)], None, None, []),
        (None, [directory(EXAMPLE)], None, OUTSIDE),
        ([directory(pki.name_of("x", "Somebody"))], None, None, OUTSIDE),
        ([DNS("example.jp")], None, DNS("a.example.jp"), []),
        ([DNS("example.jp")], None, DNS("badexample.jp"), OUTSIDE),
        ([DNS("example.jp")], None, DNS("EXAMPLE.jp"), []),
        (None, [DNS("example.jp")], DNS("a.example.jp"), OUTSIDE),
        ([MAIL("example.jp")], None, MAIL("a@example.jp"), []),
        ([MAIL("example.jp")], None, MAIL("a@b.example.jp"), OUTSIDE),
        ([MAIL(".example.jp")], None, MAIL("a@b.example.jp"), []),
        ([MAIL("a@example.jp")], None, MAIL("b@example.jp"), OUTSIDE),
        ([URI(".example.jp")], None, URI("https://b.example.jp/x"), []),
        ([URI("example.jp")], None, URI("https://192.0.2.1/x"), OUTSIDE),
        ([DNS("example.jp")], None, MAIL("a@elsewhere.jp"), []),
    ],
)
def test_name_constraints(permitted: Any, excluded: Any, name: x509.GeneralName | None, clauses: list[str]) -> None:
    assert constrained(permitted, excluded, *([name] if name else [])) == clauses


def test_addresses_are_constrained_by_their_mask() -> None:
    import ipaddress

    net = x509.IPAddress(ipaddress.ip_network("192.0.2.0/24"))
    assert constrained([net], None, x509.IPAddress(ipaddress.ip_address("192.0.2.9"))) == []
    assert constrained([net], None, x509.IPAddress(ipaddress.ip_address("198.51.100.9"))) == OUTSIDE


def test_constraints_that_cannot_be_compared_permit_nothing() -> None:
    other = x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x0c\x01a")
    assert constrained([other], None, other) == OUTSIDE
    assert constrained(None, [other], other) == OUTSIDE
    assert constrained([other], None) == []


def test_names_are_compared_without_case_and_spaces() -> None:
    """RFC 5280 section 7.1: and whatever the type of string."""
    one = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Example  Root CA")])
    other = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, " example root ca ", x509.name._ASN1Type.PrintableString)])
    assert name_key(one.public_bytes()) == name_key(other.public_bytes())
    third = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Example Root CB")])
    assert name_key(one.public_bytes()) != name_key(third.public_bytes())
    assert name_key(b"no name") != name_key(b"no other")


def test_an_issuer_with_its_name_in_other_letters() -> None:
    top = pki.root()
    odd = x509.Name([x509.NameAttribute(a.oid, str(a.value).upper()) for a in top.name])
    assert why(pki.signer(top, issuer_name=odd), top) == []


def policies(*oids: str) -> tuple[x509.ExtensionType, bool]:
    return x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier(o), None) for o in oids]), False


def test_a_required_policy_must_be_valid_along_the_chain() -> None:
    required = (x509.PolicyConstraints(require_explicit_policy=0, inhibit_policy_mapping=None), True)
    top = pki.root()
    for ca_policies, signer_policies, clauses in (
        (("1.2.3",), ("1.2.3",), []),
        (("1.2.3",), ("1.2.4",), ["RFC 5280 6.1.3 (f)"]),
        (("2.5.29.32.0",), ("1.2.4",), []),
        (("1.2.3",), ("2.5.29.32.0",), []),
    ):
        ca = pki.authority(top, extensions=(policies(*ca_policies), required))
        assert why(pki.signer(ca, extensions=(policies(*signer_policies),)), top, ca) == clauses
    ca = pki.authority(top, extensions=(policies("1.2.3"), required))
    assert why(pki.signer(ca), top, ca) == ["RFC 5280 6.1.3 (f)"]


def test_policies_are_mapped() -> None:
    from verifier.chains.certificate import POLICY_MAPPINGS

    mapping = x509.UnrecognizedExtension(x509.ObjectIdentifier(POLICY_MAPPINGS), bytes.fromhex("300a3008" + "06022a03" + "06022a04"))
    top = pki.root()
    ca = pki.authority(top, extensions=(policies("1.2.3"), (mapping, True)))
    leaf = pki.signer(ca, extensions=(policies("1.2.4"),))
    chain = [facts(ca.certificate), facts(leaf.certificate)]
    assert valid_policies(chain, Inputs(initial=frozenset({"1.2.3"}), explicit=True))
    assert valid_policies(chain, Inputs(initial=frozenset({"1.2.3"}), explicit=True, inhibit_mapping=True)) is None


def test_facts_of_a_certificate_that_is_none() -> None:
    assert readable([Cert(b""), Cert(b"\x30\x03\x02\x01\x01"), Cert(b"\xff" * 40)]) == ()
    assert Finder([Cert(b"junk")], [Cert(b"junk too")]).paths(Cert(b"\x30\x00")) == ()


@pytest.mark.parametrize("named", [True, False])
def test_a_curve_has_a_name(*, named: bool) -> None:
    """RFC 5480 section 2.1.1."""
    tbs, algorithm, value = asn1.parse(pki.pki().ca.certificate.der).children
    spki = next(n for n in tbs.children if n.constructed and n.children[-1].tag == asn1.BIT_STRING)
    kind, curve = spki.children[0].children
    spelled = _seq(_seq(kind.raw, curve.raw if named else _seq(b"\x02\x01\x01")), spki.children[1].raw)
    made = Cert(_seq(_seq(*(spelled if n is spki else n.raw for n in tbs.children)), algorithm.raw, value.raw))
    assert ("elliptic curve is spelled out" in facts(made).defects) is not named


def _seq(*parts: bytes) -> bytes:
    return asn1.tlv(asn1.SEQUENCE, b"".join(parts))


def test_an_extension_that_stands_there_twice() -> None:
    p = pki.pki()
    der = p.signer.certificate.der
    usage = p.signer.certificate.x509.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage
    from asn1crypto import x509 as asn1_x509

    twice = asn1_x509.Certificate.load(der)
    extensions = twice["tbs_certificate"]["extensions"]
    extensions.append(extensions[1].copy())
    twice["tbs_certificate"]["extensions"] = extensions
    tbs = twice["tbs_certificate"].dump(force=True)
    twice["signature_value"] = p.ca.sign(tbs)
    changed = Cert(twice.dump(force=True))
    (path,) = Finder(p.certs, [p.root.certificate]).paths(changed)
    assert [f.why for f in path.faults if "twice" in f.why]


def test_an_rsa_modulus_that_reads_as_negative() -> None:
    """Estonian identity cards of one generation: the leading zero octet is missing."""
    key = pki.private_key("rsa2048").public_key()
    sound = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    numbers = key.public_numbers()
    modulus = numbers.n.to_bytes(256, "big")
    assert modulus[0] >= 0x80
    from trust.codecs import asn1

    content = asn1.tlv(asn1.INTEGER, modulus) + asn1.tlv(asn1.INTEGER, numbers.e.to_bytes(3, "big"))
    identifier = asn1.parse(sound).children[0].raw
    odd = asn1.tlv(asn1.SEQUENCE, identifier + asn1.tlv(asn1.BIT_STRING, b"\0" + asn1.tlv(asn1.SEQUENCE, content)))
    read = public_key(odd)
    assert read is not None
    assert read.public_numbers() == numbers  # type: ignore[union-attr]
    assert public_key(sound[:-5]) is None


def test_the_budget_holds_against_certificates_made_to_exhaust_it() -> None:
    """Authorities that all certify one another have exponentially many paths between them."""
    keys = [pki.private_key("p256") for _ in range(9)]
    parties = [pki.root(f"A{n}", private=k) for n, k in enumerate(keys)]
    crossed = [
        pki.authority(issuer, f"A{n}", private=keys[n]).certificate for n in range(len(keys)) for issuer in parties if issuer is not parties[n]
    ]
    leaf = pki.signer(parties[0])
    start = time.perf_counter()
    assert Finder(crossed, [pki.root("Elsewhere").certificate]).paths(leaf.certificate) == ()
    found = Finder(crossed, [parties[-1].certificate]).paths(leaf.certificate)
    assert time.perf_counter() - start < 2
    assert 0 < len(found) <= MAX_CHAINS
    assert all(len(p.certs) <= MAX_DEPTH for p in found)


def test_of_several_chains_the_one_that_holds_comes_first() -> None:
    top, other = pki.root(), pki.root("Other Root")
    key = pki.private_key("p256")
    bad = pki.authority(top, private=key, key_usage=("crl_sign",))
    good = pki.authority(other, private=key)
    leaf = pki.signer(good)
    found = Finder([bad.certificate, good.certificate], [top.certificate, other.certificate]).paths(leaf.certificate)
    assert [p.anchor for p in found] == [other.certificate, top.certificate]
    assert [bool(p.faults) for p in found] == [False, True]


def test_constraints_with_more_names_than_anyone_has() -> None:
    assert NameConstraints((), ()).allow(((0x82, b"a"),) * 3)
    p = pki.pki()
    assert len(names_of(facts(p.signer.certificate))) == 1
    with pytest.raises(KeyError):
        constraints_of(facts(p.signer.certificate))
