"""Evidence records written: what our reader, which shares no code with the writer's trees, finds in them; and renewals of ours and of others'."""

import functools
import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import pki
from tests.reading import stamp_intact
from trust.algorithms import DIGESTS
from trust.codecs import asn1, ers, ers_renewal, hashtree, identifiers
from trust.errors import Malformed, Unacceptable
from trust.model import Digest, Document, Evidence, identify
from verifier.formats import ers as reader

COUNTS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 511, 512, 513, 1023, 1025, 1300)
"""Around powers of two, and around the subtrees that are written at once."""
LATER, MUCH_LATER = pki.CHECKED + 400 * pki.DAY, pki.CHECKED + 900 * pki.DAY


@functools.cache
def unit() -> pki.Party:
    return pki.pki().tsu


def token(name: str, value: bytes, when: object = pki.SIGNED) -> bytes:
    return pki.token(unit(), Digest(name, value), when)  # type: ignore[arg-type]


def digest(name: str, number: int) -> bytes:
    return hashlib.new(name, str(number).encode()).digest()


def digests(name: str, count: int) -> list[bytes]:
    return [digest(name, number) for number in range(count)]


def proved(record: bytes, root: bytes, name: str, value: bytes) -> bool:
    [judged] = hashtree.judge(hashtree.evidence_record(record), [Digest(name, root)], [lambda *_: value])
    return judged.intact and judged.linked is True and judged.objects == (True,)


@pytest.mark.parametrize("blinded", [False, True], ids=["plain", "blinded"])
@pytest.mark.parametrize("count", COUNTS)
def test_each_document_has_a_record_that_leads_to_the_root(count: int, blinded: bool) -> None:
    leaves = digests("sha256", count)
    tree = ers.tree("sha256", b"".join(leaves), hashlib.shake_256(b"blinds").digest(32 * count) if blinded else b"")
    stamp = token("sha256", tree.root)
    made = list(ers.records(tree, stamp))
    assert len(tree) == len(made) == count
    for at, (record, leaf) in enumerate(zip(made, leaves, strict=True)):
        assert proved(record, tree.root, "sha256", leaf)
        assert not proved(record, tree.root, "sha256", digest("sha256", -1))
        assert record == ers.record(tree, stamp, at)


@pytest.mark.parametrize("name", ["sha256", "sha384", "sha512", "sha3_256", "sha3_384", "sha3_512"])
def test_every_digest_algorithm_that_is_stamped(name: str) -> None:
    leaves = digests(name, 5)
    tree = ers.tree(name, b"".join(leaves))
    made = token(name, tree.root)
    for record, leaf in zip(ers.records(tree, made), leaves, strict=True):
        assert proved(record, tree.root, name, leaf)
        asn1.parse(record)  # DER
        assert hashtree.evidence_record(record).chains[0].stamps[0].algorithm == name


@given(st.integers(2, 40), st.integers(0, 39))
@settings(max_examples=60, deadline=None)
def test_the_first_list_holds_the_document_and_no_neighbour(count: int, at: int) -> None:
    """RFC 4998 section 4.2.1: a data group of one. With a neighbour in it, EU DSS warns of objects that it was not given."""
    leaves = digests("sha256", count)
    first, *above = ers.reduced(ers.tree("sha256", b"".join(leaves)), at % count)
    assert first == (leaves[at % count],)
    assert above and all(len(group) == 1 for group in above)


def test_one_document_needs_no_tree() -> None:
    """RFC 4998 section 4.1: reducedHashtree is optional."""
    tree = ers.tree("sha256", digest("sha256", 1))
    [record] = ers.records(tree, token("sha256", tree.root))
    assert tree.root == digest("sha256", 1)
    assert hashtree.evidence_record(record).chains[0].stamps[0].tree == ()


def test_digests_that_were_given_twice() -> None:
    one, two, three = digests("sha256", 3)
    flat, places = ers.distinct(32, one + two + one + three + two)
    assert flat == one + two + three and places is not None and list(places) == [0, 1, 0, 2, 1]
    assert ers.distinct(32, one + two) == (one + two, None)


def test_a_blinded_record_tells_nothing_of_its_neighbours() -> None:
    leaves = digests("sha256", 6)
    tree = ers.tree("sha256", b"".join(leaves), hashlib.shake_256(b"x").digest(6 * 32))
    for at in range(6):
        shown = {value for group in ers.reduced(tree, at) for value in group}
        assert shown & set(leaves) == {leaves[at]}


@pytest.mark.parametrize(
    ("name", "flat", "blinds", "error"),
    [
        ("sha256", b"", b"", Malformed),
        ("sha256", bytes(33), b"", Malformed),
        ("sha256", bytes(64), bytes(32), Malformed),
        ("sha1000", bytes(64), b"", Unacceptable),
    ],
    ids=["none", "a part", "too few blinds", "an unknown algorithm"],
)
def test_what_makes_no_tree(name: str, flat: bytes, blinds: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        ers.tree(name, flat, blinds)


# Renewal.


def first_records(count: int, name: str = "sha256") -> list[bytes]:
    tree = ers.tree(name, b"".join(digests(name, count)))
    return list(ers.records(tree, token(name, tree.root)))


def read(record: bytes, *numbers: int) -> Evidence:
    return reader.read(Document.of(record), [Document.of(str(number).encode(), str(number)) for number in numbers])


def holds(evidence: Evidence) -> bool:
    return evidence.records[0].intact and all(stamp_intact(stamp) for stamp in evidence.stamps)


def restamped(records: Sequence[bytes], when: object = LATER) -> list[bytes]:
    """Records of several batches under one new token."""
    known = [ers_renewal.renewable(record) for record in records]
    flat, places = ers.distinct(32, b"".join(ers_renewal.over_stamp(each) for each in known))
    tree = ers.tree("sha256", flat)
    made = token("sha256", tree.root, when)
    return [ers_renewal.renewed(each, "time-stamp", "sha256", ers.reduced(tree, places[at] if places else at), made) for at, each in enumerate(known)]


def rehashed(records: Sequence[bytes], groups: Sequence[Sequence[int]], name: str = "sha512") -> list[bytes]:
    known = [ers_renewal.renewable(record) for record in records]
    values = [ers_renewal.over_data(each, name, [digest(name, n) for n in group]) for each, group in zip(known, groups, strict=True)]
    tree = ers.tree(name, b"".join(ers_renewal.node_of(name, group) for group in values))
    made = token(name, tree.root, MUCH_LATER)
    lists = [ers_renewal.lists_of(tree, at, group) for at, group in enumerate(values)]
    return [ers_renewal.renewed(each, "hash tree", name, lists[at], made) for at, each in enumerate(known)]


def test_a_batch_is_renewed_with_one_token_and_no_tree() -> None:
    again = restamped(first_records(5))
    assert hashtree.evidence_record(again[0]).chains[0].stamps[1].tree == ()
    for number, record in enumerate(again):
        evidence = read(record, number)
        assert holds(evidence) and len(evidence.stamps) == 2
        assert evidence.stamps[0].token.id in evidence.stamps[1].covers
        assert not holds(read(record, number + 1000))


def test_records_of_several_batches_are_renewed_together() -> None:
    other = ers.tree("sha256", b"".join(digest("sha256", n) for n in (7, 8, 9)))
    records = [*first_records(3), *ers.records(other, token("sha256", other.root, pki.SIGNED + pki.DAY))]
    for number, record in zip((0, 1, 2, 7, 8, 9), restamped(records), strict=True):
        assert holds(read(record, number))


def test_the_hash_tree_is_renewed_with_another_algorithm() -> None:
    again = rehashed(restamped(first_records(3)), [(0,), (1,), (2,)])
    for number, record in enumerate(again):
        evidence = read(record, number)
        assert holds(evidence) and [s.token.imprint.algorithm for s in evidence.stamps] == ["sha256", "sha256", "sha512"]
        assert {evidence.stamps[0].token.id, evidence.stamps[1].token.id, identify(str(number).encode())} <= evidence.stamps[2].covers
        assert not holds(read(record, 1000))
        assert [identifiers.digest_name(node) for node in asn1.parse(record).children[1].children] == ["sha256", "sha512"]
    # ... and that chain is renewed in turn.
    known = ers_renewal.renewable(again[0])
    made = token("sha512", ers_renewal.over_stamp(known), MUCH_LATER + pki.DAY)
    assert holds(read(ers_renewal.renewed(known, "time-stamp", "sha512", (), made), 0))


def test_a_record_of_several_documents_is_renewed() -> None:
    """A data group (RFC 4998 section 4.2), as others make them."""
    from tests.envelopes import algorithm, integer, octets, seq

    leaves = sorted(digests("sha256", 3))
    made = token("sha256", hashlib.sha256(b"".join(leaves)).digest())
    stamp = seq(asn1.tlv(asn1.context(2), seq(*(octets(v) for v in leaves))), made)
    group = seq(integer(1), seq(algorithm("sha256")), seq(seq(stamp)))
    assert holds(read(group, 0, 1, 2))
    for record, numbers in zip(rehashed([group, *first_records(2)], [(0, 1, 2), (0,), (1,)]), [(0, 1, 2), (0,), (1,)], strict=True):
        assert holds(read(record, *numbers))


def test_a_renewal_over_something_else_does_not_hold() -> None:
    one, two = first_records(2)[0], restamped(first_records(3))[0]
    known = ers_renewal.renewable(one)
    foreign = token("sha256", ers_renewal.over_stamp(ers_renewal.renewable(two)), LATER)
    assert not holds(read(ers_renewal.renewed(known, "time-stamp", "sha256", (), foreign), 0))


@pytest.mark.parametrize(("which", "name"), [("time-stamp", "sha512"), ("hash tree", "sha256")])
def test_a_chain_has_one_algorithm_and_a_new_one_another(which: ers_renewal.Which, name: str) -> None:
    """RFC 4998 section 5.2."""
    known = ers_renewal.renewable(first_records(1)[0])
    with pytest.raises(Unacceptable, match="do not go together"):
        ers_renewal.renewed(known, which, name, (), token(name, bytes(DIGESTS[name].size)))


def test_validation_data_come_into_the_token_before_it_is_renewed() -> None:
    from eseal.formats.archive import completed
    from trust.ports import Status

    world = pki.pki()
    known = ers_renewal.renewable(first_records(2)[1])
    fuller = ers_renewal.completed(known, completed(known.last.der, Status(certs=(world.root.certificate,))))
    assert world.root.certificate in fuller.last.certs and world.root.certificate not in known.last.certs
    [again] = restamped([fuller.der])
    assert holds(read(again, 1))
    with pytest.raises(Malformed, match="same time-stamp"):
        ers_renewal.completed(known, token("sha256", bytes(32)))


@pytest.mark.parametrize("data", [b"", b"0\x00", b"<EvidenceRecord/>"], ids=["nothing", "empty", "XML"])
def test_what_is_no_record_is_not_renewed(data: bytes) -> None:
    with pytest.raises(Malformed):
        ers_renewal.renewable(data)
