"""Evidence records as hash trees: RFC 4998 (ASN.1) read here, RFC 6283 (XML) in `trust.codecs.xmlers`, and one computation for both.

A record proves data objects through a sequence of chains of archive time-stamps: inside a chain each covers the time-stamp before it,
and the first of a new chain covers the data and all chains before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trust.algorithms import DIGESTS, hasher
from trust.codecs import asn1, identifiers
from trust.codecs.asn1 import INTEGER, OCTET_STRING, OID, SEQUENCE, SET, Node, Rules, context
from trust.codecs.cades import ValidationData
from trust.codecs.signed_data import cert, ocsp_response
from trust.codecs.xml import Method
from trust.errors import Malformed, Unacceptable
from trust.model import Cert, Crl, Digest, Ocsp

MAX_STAMPS = 1000
"""Archive time-stamps of one record: renewed yearly, a thousand years."""
MAX_CHAINS = 50
"""Hash-tree renewals: one for each digest algorithm that went out of use."""
MAX_HASHES = 1_000_000
"""Values of one reduced hash tree."""

NO_DATA = ValidationData()
RFC4998 = "RFC4998"
RFC6283 = "RFC6283"


@dataclass(frozen=True, slots=True)
class ArchiveTimeStamp:
    """RFC 4998 section 4.1, RFC 6283 section 3.1.2."""

    algorithm: str | None
    """The digest that it names itself; None where it names none (RFC 4998: then that of its token)."""
    known: bool
    """Whether what it names is known here."""
    tree: tuple[tuple[bytes, ...], ...]
    """The reduced hash tree, from the leaves up; empty where the token covers one hash directly."""
    token: bytes
    """DER TimeStampToken."""
    renewed: bytes
    """What the next archive time-stamp of the chain hashes."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Archive time-stamps made with one digest algorithm."""

    stamps: tuple[ArchiveTimeStamp, ...]
    earlier: bytes
    """The octets of all chains before it, as this chain hashes them."""
    canonical: Method | None = None
    """RFC 6283: how XML data objects become octets."""


@dataclass(frozen=True, slots=True)
class EvidenceRecord:
    """A parsed record."""

    form: str
    chains: tuple[Chain, ...]
    data: ValidationData = NO_DATA
    """Certificates and status data that stand beside the time-stamps."""


DataObject = Callable[[str, Method | None], bytes | None]
"""A data object: the digest of its octets under an algorithm; None where that cannot be known."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One archive time-stamp held against what it must cover."""

    intact: bool
    """Its token carries the root of its hash tree."""
    linked: bool | None
    """What came before is in the tree: the time-stamp before it or, for the first of a chain, the chains before with the same data objects.

    True for the very first; None where it cannot be told, because no data object is known (RFC 4998 binds the chains through the data).
    """
    objects: tuple[bool, ...] = ()
    """For the first of a chain: which data objects are in the tree."""


def judge(record: EvidenceRecord, imprints: Sequence[Digest], objects: Sequence[DataObject]) -> tuple[Judged, ...]:
    """RFC 4998 sections 4.3 and 5.3, RFC 6283 sections 3.3 and 4.3. `imprints` are those of the tokens, in the order of the record."""
    made: list[Judged] = []
    rest = iter(imprints)
    at_first: tuple[bool, ...] = ()  # which data objects the first chain holds
    for chain in record.chains:
        first: str | None = None
        for place, stamp in enumerate(chain.stamps):
            imprint = next(rest)
            algorithm = (stamp.algorithm or imprint.algorithm) if stamp.known else None
            first = algorithm if place == 0 else first
            # RFC 4998 section 5.2: all archive time-stamps of a chain use one algorithm.
            if algorithm is None or algorithm != first:
                made.append(Judged(intact=False, linked=False))
                continue
            try:
                if place:
                    made.append(_renewed(stamp, chain.stamps[place - 1], _Hash(algorithm), imprint))
                else:
                    made.append(_first_of(record.form, chain, _Hash(algorithm), imprint, objects, at_first))
                    at_first = at_first or made[-1].objects
            except Unacceptable:
                made.append(Judged(intact=False, linked=False))
    return tuple(made)


@dataclass(frozen=True, slots=True)
class _Hash:
    algorithm: str

    def __call__(self, *parts: bytes) -> bytes:
        running = hasher(self.algorithm)
        for part in parts:
            running.update(part)
        return bytes(running.digest())


def _renewed(stamp: ArchiveTimeStamp, before: ArchiveTimeStamp, digest: _Hash, imprint: Digest) -> Judged:
    """RFC 4998 section 5.2, time-stamp renewal: the tree holds the hash of the time-stamp before."""
    value = digest(before.renewed)
    tree = stamp.tree or ((value,),)
    return Judged(_carries(imprint, tree, digest), value in tree[0])


def _first_of(form: str, chain: Chain, digest: _Hash, imprint: Digest, objects: Sequence[DataObject], at_first: Sequence[bool]) -> Judged:
    """The initial archive time-stamp, and hash-tree renewal (RFC 4998 section 5.2): the tree holds the data objects, and the chains before."""
    tree = chain.stamps[0].tree
    before = digest(chain.earlier) if chain.earlier else None
    values = [_leaf(form, each(digest.algorithm, chain.canonical), before, digest) for each in objects]
    whole = before if form == RFC6283 else None
    if not tree and whole is not None:
        tree = ((*(options[0] for options in values if options), whole),)
    elif not tree:
        # Without a tree the token covers the one data object itself (RFC 4998 section 4.1).
        tree = ((imprint.value,),) if any(imprint.value in options for options in values) else ((),)
    leaves = frozenset(tree[0])
    found = tuple(any(option in leaves for option in options) for options in values)
    present = [option for options in values for option in options if option in leaves]
    # RFC 4998 section 4.3, RFC 6283 section 3.3: of a group of data objects the first list holds all and nothing else.
    if len(objects) > 1 and all(found) and leaves - {whole} > set(present):
        found = (False,) * len(found)
    kept = all(inside for inside, before in zip(found, at_first, strict=False) if before)
    if not chain.earlier:
        linked: bool | None = True
    elif whole is not None:
        linked = whole in leaves and kept
    else:
        linked = kept if any(at_first) else None
    # deviates: in XML a group may hold an object twice though it was given once, as EU DSS writes and reads it.
    alike = frozenset(v for v in present if form == RFC6283 or present.count(v) > 1)
    return Judged(_carries(imprint, tree, digest, alike), linked, found)


def _carries(imprint: Digest, tree: Sequence[Sequence[bytes]], digest: _Hash, alike: frozenset[bytes] = frozenset()) -> bool:
    """Whether the imprint is the root. `alike`: values of several data objects, which may stand beside themselves."""
    sizes = {len(value) for group in tree for value in group}
    if any(len(set(group)) < len(group) for group in tree) and not alike.issuperset(v for group in tree for v in group if group.count(v) > 1):
        return False  # a value beside itself is hashed twice by one reader and once by another
    # What has another length is no hash value of the tree's algorithm: two of them could be told apart in several ways.
    return imprint.algorithm == digest.algorithm and sizes == {DIGESTS[digest.algorithm].size} and imprint.value == _root(tree, digest)


def _leaf(form: str, value: bytes | None, before: bytes | None, digest: _Hash) -> tuple[bytes, ...]:
    """What stands for a data object among the leaves; several where makers differ. `before` is the hash of the chains before.

    RFC 4998 section 5.2, step 4: the hash of its hash and that of the chains before, in this order; figure 4 there has them sorted, and
    both bind the same two things. RFC 6283 section 4.2.2 lets the two stand side by side.
    """
    if value is None:
        return ()
    if form == RFC6283 or before is None:
        return (value,)
    return (digest(value, before), digest(*sorted((value, before))))


def _root(tree: Sequence[Sequence[bytes]], digest: _Hash) -> bytes:
    """RFC 4998 section 4.3: sorted, joined and hashed, list by list; a first list of one value is that value."""
    above: tuple[bytes, ...] = ()
    for group in tree:
        values = (*group, *above)
        above = values if len(values) == 1 else (digest(*sorted(values)),)
    return above[0] if above else b""


# RFC 4998 section 3.1, 4.1, 5.1.


def evidence_record(der: bytes) -> EvidenceRecord:
    """An EvidenceRecord in ASN.1. Malformed where it is not one."""
    fields = asn1.parse(der, Rules.BER).fields()
    if (version := fields.take(INTEGER).small()) != 1:
        raise Malformed(f"evidence record: version 1 expected, got {version}")
    named = [identifiers.algorithm_identifier(node)[0] for node in fields.take(SEQUENCE).children]
    if not named or len(set(named)) < len(named):
        raise Malformed("evidence record: digest algorithms, each once, expected")
    infos = fields.maybe(context(0))
    if fields.maybe(context(1)) is not None:
        raise Malformed("evidence record over encrypted data (RFC 4998 section 6) is not read")
    sequence = fields.take(SEQUENCE)
    fields.done()
    chains: list[Chain] = []
    for node in sequence.children:
        earlier = asn1.tlv(SEQUENCE, b"".join(n.raw for n in sequence.children[: len(chains)])) if chains else b""
        stamps = tuple(_archive_time_stamp(n) for n in node.expect(SEQUENCE).children)
        chains.append(Chain(stamps, earlier))
        within_caps(chains)
    if not chains:
        raise Malformed("evidence record without an archive time-stamp")
    used = {DIGESTS[stamp.algorithm].oid for chain in chains for stamp in chain.stamps if stamp.algorithm is not None}
    if not used <= set(named):
        raise Malformed("evidence record: an archive time-stamp uses a digest that the record does not name")
    return EvidenceRecord(RFC4998, tuple(chains), ValidationData() if infos is None else _crypto_infos(infos))


def within_caps(chains: Sequence[Chain]) -> None:
    """Malformed for an empty chain, and for more than any record has."""
    count = sum(len(chain.stamps) for chain in chains)
    if not chains[-1].stamps or count > MAX_STAMPS or len(chains) > MAX_CHAINS:
        raise Malformed(f"evidence record: up to {MAX_CHAINS} chains of 1 to {MAX_STAMPS} archive time-stamps expected, got {len(chains)} of {count}")


def _archive_time_stamp(node: Node) -> ArchiveTimeStamp:
    fields = node.fields()
    named = fields.maybe(context(0))
    attributes = fields.maybe(context(1))
    reduced = fields.maybe(context(2))
    token = fields.take(SEQUENCE)
    fields.done()
    algorithm = None if named is None else _implicit_digest(named)
    groups = [] if reduced is None else [group.expect(SEQUENCE).children for group in reduced.children]
    tree = [tuple(leaf.expect(OCTET_STRING).octets() for leaf in group) for group in groups]
    if attributes is not None:
        _attributes(attributes)
    if reduced is not None and (not tree or not all(tree) or sum(map(len, tree)) > MAX_HASHES):
        raise Malformed(f"evidence record: a reduced hash tree has 1 to {MAX_HASHES} values")
    return ArchiveTimeStamp(algorithm, named is None or algorithm is not None, tuple(tree), token.raw, token.raw)


def _implicit_digest(node: Node) -> str | None:
    """`digestAlgorithm [0] AlgorithmIdentifier` under an implicit tag."""
    return identifiers.digest_name(asn1.parse(asn1.tlv(SEQUENCE, node.content), Rules.BER))


def _crypto_infos(node: Node) -> ValidationData:
    """Attributes of any type whose values are certificates, lists or OCSP answers: the types are not registered, the values tell."""
    found = ValidationData()
    for values in _attributes(node):
        for value in values:
            found |= validation_value(value.raw)
    return found


def _attributes(node: Node) -> list[list[Node]]:
    """The values of each Attribute (RFC 5652 section 5.3), of which there is one at least."""
    found = []
    for attribute in node.children:
        fields = attribute.expect(SEQUENCE).fields()
        fields.take(OID).oid()
        found.append(fields.take(SET).children)
        fields.done()
    if not found or not all(found):
        raise Malformed("evidence record: attributes are one or more, each with a value")
    return found


def validation_value(der: bytes) -> ValidationData:
    """One piece of validation data of unknown kind; empty where it is none."""
    certs: tuple[Cert, ...] = ()
    crls: tuple[Crl, ...] = ()
    ocsps: tuple[Ocsp, ...] = ()
    try:
        made = cert(der)
        made.x509  # noqa: B018  # readable, or not a certificate
        certs = (made,)
    except Malformed:
        try:
            listed = Crl(der)
            listed.x509  # noqa: B018
            crls = (listed,)
        except Malformed:
            answer = ocsp_response(der)
            ocsps = () if answer is None else (answer,)
    return ValidationData(certs, crls, ocsps)
