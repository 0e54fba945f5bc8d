"""What a unit of the authority accepts and says: EN 319 421 asks that it be stated, EN 319 422 clauses 5 and 6 bound it."""

from dataclasses import dataclass

from trust.algorithms import DIGESTS
from trust.errors import Misconfigured

DIGESTS_OFFERED = frozenset({"sha256", "sha384", "sha512", "sha3_256", "sha3_384", "sha3_512"})
"""Digests whose collisions are out of reach (ETSI TS 119 312 clause 5): weaker ones are refused with badAlg."""
MICROSECOND_DIGITS = 6
"""Digits of a second that the clock has, and the most that a genTime states."""


@dataclass(frozen=True, slots=True)
class Policy:
    """One time-stamp policy as a unit applies it."""

    oid: str
    """The policy of tokens whose request names none (RFC 3161 section 2.4.1, reqPolicy)."""
    also: frozenset[str] = frozenset()
    """Further policies that a request may name."""
    digests: frozenset[str] = DIGESTS_OFFERED
    """Of messageImprint, by hashlib's names."""
    accuracy_us: int = 1_000_000
    """Microseconds: the most by which genTime may differ from UTC. EN 319 422 clause 5.2.2: one second or better."""
    ordering: bool = False
    """Whether tokens can be ordered by genTime alone. EN 319 422 clause 5.2.2: absent or false."""
    names_unit: bool = True
    """TSTInfo.tsa is the subject of the unit's certificate."""
    qualified: bool = False
    """Whether tokens carry esi4-qtstStatement-1 (EN 319 422 clause 9.1). It is a claim in law: only the operator can make it."""
    max_nonce: int = 1024
    """Octets. The standard sets no bound, so this only keeps a token from being made large by its requester."""

    def __post_init__(self) -> None:
        if unknown := self.digests - DIGESTS.keys():
            raise Misconfigured(f"digest algorithms of the time-stamp policy: {', '.join(sorted(unknown))} unknown")
        if not self.digests:
            raise Misconfigured("time-stamp policy accepts no digest algorithm")
        if self.accuracy_us < 1:
            raise Misconfigured(f"accuracy of the time-stamp policy is at least one microsecond, got {self.accuracy_us}")
        if self.max_nonce < 20:
            raise Misconfigured(f"the time-stamp policy takes nonces of at least 20 octets, got a limit of {self.max_nonce}")

    @property
    def accepted(self) -> frozenset[str]:
        return self.also | {self.oid}

    @property
    def digits(self) -> int:
        """Digits of the second in genTime. EN 319 422 clause 5.2.2: a precision that supports the accuracy.

        What is cut off is at most a thousandth of the accuracy (or a microsecond), so that it does not eat into it.
        """
        digits = 0
        while digits < MICROSECOND_DIGITS and 1_000 * 10 ** (MICROSECOND_DIGITS - digits) > self.accuracy_us:
            digits += 1
        return digits
