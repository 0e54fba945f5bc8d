"""The text of a signature policy that stands beside a signature (EN 319 132-1 clause 5.2.10, TS 119 182-1 clause 5.3.3)."""

from trust.errors import Unacceptable
from trust.model import Defect, Digest


def exchanged(said: Digest | None, text: bytes, clause: str) -> tuple[Defect, ...]:
    """Whether the text is another than the signer's digest says. A policy in ASN.1 is hashed by rules of its own and not compared."""
    if said is None or text[:1] == b"\x30":
        return ()
    try:
        if Digest.of(said.algorithm, text) == said:
            return ()
    except Unacceptable:
        return ()
    return (Defect(clause, "the signature policy that stands beside is not the one that was signed", fatal=False, refused=True),)
