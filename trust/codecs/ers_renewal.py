"""Evidence records renewed (RFC 4998 section 5.2): a new archive time-stamp before the last one, or its digest algorithm, can no longer be relied on.

*Time-stamp renewal* covers the last time-stamp and needs the record alone. *Hash-tree renewal* begins a chain with another digest algorithm: it
covers everything before, and the documents again, so it needs them. Either way many records share one new token, through a tree over their values.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from trust.algorithms import hasher
from trust.codecs import asn1, cms, ers, identifiers
from trust.codecs.asn1 import INTEGER, SEQUENCE, Node, Rules, context, tlv
from trust.codecs.hashtree import EvidenceRecord, evidence_record
from trust.errors import Malformed, Unacceptable
from trust.model import Token

Which = Literal["time-stamp", "hash tree"]


@dataclass(frozen=True, slots=True)
class Renewable:
    """A record that is to be renewed."""

    der: bytes
    parsed: EvidenceRecord
    last: Token
    """Of its last archive time-stamp."""

    @property
    def algorithm(self) -> str:
        """The digest of its last chain. Unacceptable for one that is not known here."""
        found = self.parsed.chains[-1].stamps[0]
        name = found.algorithm if found.algorithm or not found.known else self.last.imprint.algorithm
        if name is None:
            raise Unacceptable("evidence record: its digest algorithm is not known here")
        return name


def renewable(der: bytes) -> Renewable:
    """An EvidenceRecord of RFC 4998 as others or we wrote it. Malformed where it is none."""
    parsed = evidence_record(der)
    return Renewable(der, parsed, cms.token(parsed.chains[-1].stamps[-1].token))


def over_stamp(record: Renewable) -> bytes:
    """Time-stamp renewal: the hash of the content of the last archive time-stamp's timeStamp field, under the chain's own algorithm."""
    return _hash(record.algorithm, record.parsed.chains[-1].stamps[-1].renewed)


def over_data(record: Renewable, algorithm: str, digests: Sequence[bytes]) -> tuple[bytes, ...]:
    """Hash-tree renewal, steps 2 to 4: for each document H(H(document) H(all chains before)), in this order. `digests`: H of the documents."""
    chains = _hash(algorithm, tlv(SEQUENCE, b"".join(node.raw for node in _parts(record.der)[-1].children)))
    return tuple(_hash(algorithm, digest, chains) for digest in digests)


def node_of(algorithm: str, group: Sequence[bytes]) -> bytes:
    """RFC 4998 section 4.2: what stands in the tree for the values of one record: the value, or the hash of several, sorted and concatenated."""
    return group[0] if len(group) == 1 else _hash(algorithm, *sorted(group))


def lists_of(tree: ers.Tree, index: int, group: Sequence[bytes]) -> tuple[tuple[bytes, ...], ...]:
    """The reduced hash tree of these values, whose `node_of` is leaf `index`."""
    if len(group) == 1:
        return ers.reduced(tree, index)
    return (tuple(sorted(group)), *((value,) for value in ers.beside(tree, index)))


def renewed(record: Renewable, which: Which, algorithm: str, lists: Sequence[Sequence[bytes]], token: bytes) -> bytes:
    """The record with one more archive time-stamp: in its last chain, or in a new one.

    A record is never changed otherwise; what is not DER of it is kept as it is. Unacceptable where the chain's algorithm is another, or a new
    chain's the same as before.
    """
    if (which == "time-stamp") != (algorithm == record.algorithm):
        raise Unacceptable(f"evidence record: {which} renewal and {algorithm} do not go together, its last chain has {record.algorithm}")
    made = ers.archive_time_stamp(algorithm, lists, token)
    parts = _parts(record.der)
    chains = [node.raw for node in parts[-1].children]
    if which == "time-stamp":
        chains[-1] = tlv(SEQUENCE, b"".join(node.raw for node in parts[-1].children[-1].children) + made)
    else:
        chains.append(tlv(SEQUENCE, made))
    heads = [node.raw for node in parts[:-1]]
    heads[1] = _algorithms(parts[1], algorithm)
    return tlv(SEQUENCE, b"".join(heads) + tlv(SEQUENCE, b"".join(chains)))


def completed(record: Renewable, token: bytes) -> Renewable:
    """The record with its last token replaced by the same with more validation data beside its signature, which must happen before the renewal
    covers it (RFC 4998 section 5.2). Malformed for another token."""
    if cms.token(token).signature.value != record.last.signature.value:
        raise Malformed("evidence record: the same time-stamp with more data expected, got another")
    parts = _parts(record.der)
    chains = [node.raw for node in parts[-1].children]
    stamps = [node.raw for node in parts[-1].children[-1].children]
    last = parts[-1].children[-1].children[-1]
    stamps[-1] = tlv(SEQUENCE, b"".join(node.raw for node in last.children[:-1]) + token)
    chains[-1] = tlv(SEQUENCE, b"".join(stamps))
    return renewable(tlv(SEQUENCE, b"".join(node.raw for node in parts[:-1]) + tlv(SEQUENCE, b"".join(chains))))


def _algorithms(node: Node, algorithm: str) -> bytes:
    """RFC 4998 section 3.1: digestAlgorithms names each algorithm of the record."""
    if algorithm in (identifiers.digest_name(child) for child in node.children):
        return node.raw
    return tlv(SEQUENCE, b"".join(child.raw for child in node.children) + ers.algorithm(algorithm))


def _parts(der: bytes) -> tuple[Node, ...]:
    """version, digestAlgorithms, cryptoInfos and the like where they stand, archiveTimeStampSequence."""
    parts = tuple(asn1.parse(der, Rules.BER).expect(SEQUENCE).children)
    if len(parts) < 3 or parts[0].tag != INTEGER or parts[-1].tag != SEQUENCE or context(1) in {node.tag for node in parts}:
        raise Malformed("evidence record: version, digestAlgorithms and archiveTimeStampSequence expected, without encryption")
    return parts


def _hash(algorithm: str, *parts: bytes) -> bytes:
    running = hasher(algorithm)
    for part in parts:
        running.update(part)
    return bytes(running.digest())
