"""The text of a signature policy beside a signature: EN 319 132-1 clause 5.2.10, EN 319 122-1 clause 5.2.9, TS 119 182-1 clause 5.3.3."""

from collections.abc import Iterator

from trust.codecs import asn1
from trust.codecs.asn1 import SEQUENCE, Rules
from trust.errors import Malformed, Unacceptable
from trust.model import Defect, Digest


def exchanged(said: Digest | None, text: bytes, clause: str) -> tuple[Defect, ...]:
    """Whether the text is another than the signer's digest says."""
    if said is None:
        return ()
    try:
        if any(Digest.of(said.algorithm, octets) == said for octets in _hashed(text)):
            return ()
    except Unacceptable:
        return ()
    return (Defect(clause, "the signature policy that stands beside is not the one that was signed", fatal=False, refused=True),)


def unnamed(clause: str) -> Defect:
    """A text beside a signature that names no policy."""
    return Defect(clause, "a signature policy stands beside, and the signer names none", fatal=False, refused=True)


def _hashed(text: bytes) -> Iterator[bytes]:
    """As it stands; and of a policy in ASN.1 (TR 102 272) the fields before its own hash, or signPolicyInfo alone."""
    yield text
    if text[:1] != bytes((SEQUENCE,)):
        return
    try:
        parts = [node.raw for node in asn1.parse(text, Rules.BER).children]
    except Malformed:
        return
    yield b"".join(parts[:2])
    yield from parts[1:2]
