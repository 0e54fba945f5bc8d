"""Evidence records: hash trees, renewals of stamps and of trees, in ASN.1 and in XML; and records beside signed files."""

import base64
import codecs
import functools
import hashlib
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from tests import pki
from tests.envelopes import algorithm, integer, octets, seq
from tests.reading import stamp_intact
from tests.shared import SHARED, needs_shared
from trust.codecs.asn1 import context, tlv
from trust.errors import Malformed, TooLarge
from trust.model import Digest, Document, Evidence, StampKind, identify
from verifier.formats import ers, jades

Tree = Sequence[Sequence[bytes]]
Stamped = tuple[Tree, bytes]
ONE, TWO, THREE = Document.of(b"one", "one.txt"), Document.of(b"two", "two.txt"), Document.of(b"three", "three.txt")
LATER = pki.CHECKED + 400 * pki.DAY
MUCH_LATER = pki.CHECKED + 900 * pki.DAY


@functools.cache
def world() -> pki.Pki:
    return pki.pki()


def sha(*parts: bytes, name: str = "sha256") -> bytes:
    return hashlib.new(name, b"".join(parts)).digest()


def first_tree(leaves: Sequence[bytes], others: Sequence[Sequence[bytes]] = (), name: str = "sha256") -> tuple[bytes, list[list[bytes]]]:
    """The root and the reduced tree: the leaves as one data group, then each list of further hashes."""
    value = leaves[0] if len(leaves) == 1 else sha(*sorted(leaves), name=name)
    for group in others:
        value = sha(*sorted((*group, value)), name=name)
    return value, [list(leaves), *map(list, others)]


def asn1_record(chains: Sequence[Sequence[Stamped]], name: str = "sha256") -> bytes:
    """An EvidenceRecord of these chains of (tree, token); an empty tree is left out."""
    made = []
    for chain in chains:
        stamps = []
        for tree, token in chain:
            groups = b"".join(seq(*(octets(v) for v in group)) for group in tree)
            named = tlv(context(0), algorithm(name)[2:])
            stamps.append(seq(named, tlv(context(2), groups) if tree else b"", token))
        made.append(seq(*stamps))
    return seq(integer(1), seq(algorithm(name)), seq(*made))


def token(value: bytes, when: Any = pki.SIGNED, name: str = "sha256") -> bytes:
    return pki.token(world().tsu, Digest(name, value), when)


def read(data: bytes, *files: Document) -> Evidence:
    return ers.read(Document.of(data), files)


def proves(evidence: Evidence) -> bool:
    return evidence.records[0].intact and all(stamp_intact(s) for s in evidence.stamps)


# RFC 4998.


def simple(*files: Document, others: Sequence[Sequence[bytes]] = ()) -> tuple[Stamped, bytes]:
    root, tree = first_tree([sha(f.read(9)) for f in files], others)
    made = token(root)
    return (tree, made), made


def test_one_object_with_and_without_a_tree() -> None:
    bare = asn1_record([[((), token(sha(b"one")))]])
    evidence = read(bare, ONE)
    assert proves(evidence) and evidence.records[0].form == "RFC4998"
    assert evidence.records[0].covers == {identify(b"one")} and evidence.stamps[0].kind is StampKind.EVIDENCE_RECORD
    assert not proves(read(bare, TWO)) and not read(bare, TWO).stamps[0].intact
    in_tree, _ = simple(ONE, others=[[sha(b"x"), sha(b"y")], [sha(b"z")]])
    assert proves(read(asn1_record([[in_tree]]), ONE))
    assert not proves(read(asn1_record([[in_tree]]), TWO))


def test_a_group_of_objects() -> None:
    group, _ = simple(ONE, TWO, others=[[sha(b"x")]])
    record = asn1_record([[group]])
    assert proves(read(record, ONE, TWO)) and proves(read(record, TWO))
    found = read(record, ONE, THREE)
    assert not found.records[0].intact and [r.intact for r in found.records[0].references] == [True, False]
    assert not read(record).records[0].intact  # nothing was given, so nothing is proved


def test_a_tree_that_does_not_lead_to_the_token() -> None:
    (tree, made), _ = simple(ONE, TWO)
    for wrong in ([[*tree[0], sha(b"added")]], [*tree, [sha(b"more")]]):
        evidence = read(asn1_record([[(wrong, made)]]), ONE)
        assert not evidence.stamps[0].intact and not evidence.records[0].intact and not evidence.stamps[0].covers


def test_a_digest_given_instead_of_the_object() -> None:
    (stamped, _) = simple(ONE)
    assert proves(read(asn1_record([[stamped]]), Document("one.txt", None, None, (Digest("sha256", sha(b"one")),))))
    assert not proves(read(asn1_record([[stamped]]), Document("one.txt", None, None, (Digest("sha512", bytes(64)),))))


def renewed(first: Stamped, *, over: bytes | None = None) -> Stamped:
    root, tree = first_tree([sha(first[1] if over is None else over)], [[sha(b"other renewals")]])
    return tree, token(root, LATER)


def test_renewal_of_a_stamp() -> None:
    first, made = simple(ONE)
    evidence = read(asn1_record([[first, renewed(first)]]), ONE)
    assert proves(evidence)
    older, newer = evidence.stamps
    assert older.token.id in newer.covers and older.covers == {identify(b"one")}
    assert evidence.records[0].tokens == (older.token.id, newer.token.id)
    foreign = read(asn1_record([[first, renewed(first, over=token(sha(b"two")))]]), ONE)
    assert foreign.stamps[0].intact and not foreign.stamps[1].intact and not foreign.records[0].intact
    assert made == first[1]


def rehashed(chains: list[list[Stamped]], *files: Document, swap: bool = False, name: str = "sha512") -> list[Stamped]:
    """Hash-tree renewal: H(H(d) H(chains before)) for each object (section 5.2, step 4)."""
    whole = sha(_sequence(chains), name=name)
    leaves = [sha(*((whole, sha(f.read(9), name=name)) if swap else (sha(f.read(9), name=name), whole)), name=name) for f in files]
    root, tree = first_tree(leaves, [[sha(b"x", name=name)]], name)
    return [(tree, token(root, MUCH_LATER, name))]


def _sequence(chains: list[list[Stamped]]) -> bytes:
    from trust.codecs.asn1 import parse

    return parse(asn1_record(chains)).children[2].raw


def mixed(first: list[Stamped], second: list[Stamped]) -> bytes:
    """Two chains with a digest of their own each."""
    one, two = (asn1_record([c], name=n) for c, n in ((first, "sha256"), (second, "sha512")))
    from trust.codecs.asn1 import parse

    inner = b"".join(parse(r).children[2].children[0].raw for r in (one, two))
    return seq(integer(1), seq(algorithm("sha256"), algorithm("sha512")), seq(inner))


def test_renewal_of_the_hash_tree() -> None:
    first, _ = simple(ONE, TWO)
    chain = [first, renewed(first)]
    again = rehashed([chain], ONE, TWO)
    evidence = read(mixed(chain, again), ONE, TWO)
    assert proves(evidence)
    assert {evidence.stamps[0].token.id, evidence.stamps[1].token.id, identify(b"one")} <= evidence.stamps[2].covers
    assert proves(read(mixed(chain, again), TWO))


def test_a_renewed_tree_that_lost_an_object_or_the_chain() -> None:
    first, _ = simple(ONE, TWO)
    chain = [first]
    lost = read(mixed(chain, rehashed([chain], ONE)), ONE, TWO)
    assert not lost.records[0].intact and not lost.stamps[1].intact
    elsewhere, _ = simple(ONE, THREE)
    other_chain = read(mixed(chain, rehashed([[elsewhere]], ONE, TWO)), ONE, TWO)
    assert not other_chain.records[0].intact and not other_chain.stamps[1].covers


def test_one_algorithm_in_a_chain() -> None:
    first, _ = simple(ONE)
    stronger = seq(
        tlv(context(0), algorithm("sha512")[2:]),
        tlv(context(2), seq(octets(sha(first[1], name="sha512")))),
        token(sha(first[1], name="sha512"), LATER, "sha512"),
    )
    record = asn1_record([[first]])
    from trust.codecs.asn1 import parse

    chain = parse(record).children[2].children[0]
    made = seq(integer(1), seq(algorithm("sha256"), algorithm("sha512")), seq(seq(b"".join(c.raw for c in chain.children), stronger)))
    assert not read(made, ONE).stamps[1].intact


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"0\x00",
        seq(integer(2), seq(algorithm("sha256")), seq()),
        seq(integer(1), seq(algorithm("sha256")), seq()),
        seq(integer(1), seq(), seq(seq())),
    ],
)
def test_what_is_no_record(data: bytes) -> None:
    with pytest.raises(Malformed):
        read(data, ONE)


def test_records_are_told_from_other_asn1() -> None:
    first, made = simple(ONE)
    assert ers.claims(asn1_record([[first]])[:64]) and ers.claims(xml_record([[first]])[:4096])
    assert not ers.claims(made) and not ers.claims(b"<x/>") and not ers.claims(world().signer.certificate.der)
    whole = xml_record([[first]])
    for before in (codecs.BOM_UTF8, b"<?xml version='1.0'?>\n<!-- - a record - --><?x ?y?>\n"):
        assert ers.claims(before + whole[whole.index(b"<EvidenceRecord") :])
    assert ers.claims(whole[whole.index(b"<EvidenceRecord") :].decode().encode("utf-16"))
    # A document that holds a record, or speaks of one, may be signed itself.
    assert not ers.claims(b"<x>" + whole + b"</x>") and not ers.claims(b"<!-- %s --><x/>" % whole.replace(b"--", b"")[:2000])


# RFC 6283.

NS = "urn:ietf:params:xml:ns:ers"
C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
_URI = {"sha256": "http://www.w3.org/2001/04/xmlenc#sha256", "sha512": "http://www.w3.org/2001/04/xmlenc#sha512"}


def xml_record(chains: Sequence[Sequence[Stamped]], names: Sequence[str] = ("sha256", "sha512"), order: Sequence[int] | None = None) -> bytes:
    return etree.tostring(_xml(chains, names, order))


def _xml(chains: Sequence[Sequence[Stamped]], names: Sequence[str], order: Sequence[int] | None = None) -> Any:
    root = etree.Element(f"{{{NS}}}EvidenceRecord", nsmap={None: NS}, Version="1.0")
    sequence = etree.SubElement(root, f"{{{NS}}}ArchiveTimeStampSequence")
    for number, (chain, name) in enumerate(zip(chains, names, strict=False), start=1):
        element = etree.SubElement(sequence, f"{{{NS}}}ArchiveTimeStampChain", Order=str(order[number - 1] if order else number))
        etree.SubElement(element, f"{{{NS}}}DigestMethod", Algorithm=_URI[name])
        etree.SubElement(element, f"{{{NS}}}CanonicalizationMethod", Algorithm=C14N)
        for place, (tree, made) in enumerate(chain, start=1):
            ats = etree.SubElement(element, f"{{{NS}}}ArchiveTimeStamp", Order=str(place))
            if tree:
                hashes = etree.SubElement(ats, f"{{{NS}}}HashTree")
                for at, group in enumerate(tree, start=1):
                    listed = etree.SubElement(hashes, f"{{{NS}}}Sequence", Order=str(at))
                    for value in group:
                        etree.SubElement(listed, f"{{{NS}}}DigestValue").text = base64.b64encode(value).decode()
            stamp = etree.SubElement(ats, f"{{{NS}}}TimeStamp")
            etree.SubElement(stamp, f"{{{NS}}}TimeStampToken", Type="RFC3161").text = base64.b64encode(made).decode()
    return root


def _octets(chains: Sequence[Sequence[Stamped]], path: str, names: Sequence[str] = ("sha256", "sha512")) -> bytes:
    found = _xml(chains, names).find(path, {"e": NS})
    # Read again as a document of its own: libxml2's canonical form of a subtree in memory loses its default namespace.
    made: bytes = etree.tostring(etree.fromstring(etree.tostring(found)), method="c14n")
    return made


def test_xml_renewals() -> None:
    first, _ = simple(ONE, TWO)
    stamp = _octets([[first]], ".//e:TimeStamp")
    again_root, again_tree = first_tree([sha(stamp)], [[sha(b"x")]])
    chain = [first, (again_tree, token(again_root, LATER))]
    assert proves(read(xml_record([chain]), ONE, TWO))
    whole = sha(_octets([chain], ".//e:ArchiveTimeStampSequence"), name="sha512")
    root, tree = first_tree([sha(b"one", name="sha512"), sha(b"two", name="sha512"), whole], name="sha512")
    second = [(tree, token(root, MUCH_LATER, "sha512"))]
    evidence = read(xml_record([chain, second]), ONE, TWO)
    assert proves(evidence) and evidence.records[0].form == "RFC6283"
    assert {s.token.id for s in evidence.stamps[:2]} <= evidence.stamps[2].covers
    lost_root, lost_tree = first_tree([sha(b"one", name="sha512"), sha(b"two", name="sha512")], name="sha512")
    lost = read(xml_record([chain, [(lost_tree, token(lost_root, MUCH_LATER, "sha512"))]]), ONE, TWO)
    assert not lost.records[0].intact and not lost.stamps[2].covers


def test_xml_objects_are_canonicalised() -> None:
    canonical = b'<a xmlns="urn:x" b="1" c="2"></a>'
    record = xml_record([[((), token(sha(canonical)))]])
    assert proves(read(record, Document.of(b'<?xml version="1.0"?>\n<a   c="2" b="1" xmlns="urn:x"/>', "a.xml")))
    assert not proves(read(record, Document.of(b'<a c="3" b="1" xmlns="urn:x"/>', "a.xml")))


@pytest.mark.parametrize("order", [[2], [0], [1, 1], [1, 3]])
def test_xml_order_counts_from_one(order: list[int]) -> None:
    first, _ = simple(ONE)
    with pytest.raises(Malformed):
        read(xml_record([[first]] * len(order), order=order), ONE)


def test_xml_chains_in_another_order_of_the_text() -> None:
    first, _ = simple(ONE)
    root = _xml([[first]], ("sha256",))
    stamp = root.find(".//{*}ArchiveTimeStampChain")
    assert stamp is not None
    assert proves(read(etree.tostring(root), ONE))


# Beside a signed file.


def test_a_record_beside_a_signed_file() -> None:
    from tests.jades_maker import compact

    signed = compact(world().signer, b"a notice\n")
    document = Document.of(signed, "notice.jws")
    record = asn1_record([[((), token(sha(signed)))]])
    evidence = ers.beside(jades.read(document), document, (), [Document.of(record, "notice.ers")])
    assert evidence.kind == "JWS" and evidence.records[0].intact
    assert {evidence.signatures[0].id, world().signer.certificate.id} <= evidence.records[0].covers
    assert evidence.signatures[0].id in evidence.stamps[0].covers
    other = ers.beside(jades.read(document), document, (), [Document.of(asn1_record([[((), token(sha(b"x")))]]))])
    assert not other.records[0].intact and not other.records[0].covers and not other.stamps[0].covers


# Whatever the bytes are.


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 1 << 30), st.integers(0, 255), st.integers(0, 2))
def test_mutated_bytes_are_malformed_or_read(at: int, octet: int, how: int) -> None:
    source = _samples()[at % len(_samples())]
    at %= len(source)
    data = (source[:at] + bytes((octet,)) + source[at + 1 :], source[:at] + source[at + 1 :], source[:at])[how]
    try:
        evidence = read(data, ONE, TWO)
    except (Malformed, TooLarge):
        return
    assert len(evidence.records) == 1


@functools.cache
def _samples() -> tuple[bytes, ...]:
    first, _ = simple(ONE, TWO)
    chain = [first, renewed(first)]
    return mixed(chain, rehashed([chain], ONE, TWO)), xml_record([chain])


# What others made.


@needs_shared
@pytest.mark.filterwarnings("ignore")
def test_what_others_made_is_read_as_they_and_dss_say() -> None:
    from tests.reading import agreement

    found = agreement(SHARED / "corpus", lambda row: row["format"] in ("ERS", "XMLERS"), ers.read)
    assert found.files >= 38 and found.falsely_intact == []
    assert found.of("intact") == 1 and found.of("timestamps") == 1, found.differing
