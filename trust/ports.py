"""Effects, as the smallest interfaces there are: pure code is handed these and never reaches for a clock, key, file or socket itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from trust.algorithms import Algorithm
from trust.model import Cert, Crl, Digest, Ocsp

Clock = Callable[[], datetime]
"""Now, as aware UTC. The only source of time.

The clock of time-stamps vouches for what it says: it raises Unavailable while it cannot, and the request is refused with timeNotAvailable."""

Stamper = Callable[[Digest], bytes]
"""Digest of what is to be stamped -> DER TimeStampToken (a CMS ContentInfo, RFC 3161 section 2.4.2).

The caller checks the token's imprint. Raises Unavailable when the authority does not answer, Unacceptable when it refuses."""


@dataclass(frozen=True, slots=True)
class Status:
    """Revocation data for some chain."""

    crls: tuple[Crl, ...] = ()
    ocsps: tuple[Ocsp, ...] = ()
    certs: tuple[Cert, ...] = ()
    """Certificates of the signers of those answers, and of their chains."""


StatusSource = Callable[[Sequence[Cert]], Status]
"""A chain, end entity first -> its revocation data, fresh. Raises Unavailable when a certificate that needs an answer gets none."""


class Key(Protocol):
    """A private key that can be used and never be read."""

    @property
    def certificate(self) -> Cert: ...

    @property
    def chain(self) -> tuple[Cert, ...]:
        """Issuers, nearest first; the root may be missing."""

    @property
    def algorithm(self) -> Algorithm: ...

    def sign(self, data: bytes) -> bytes:
        """The signature over `data` (hashed inside), ECDSA as DER. Thread-safe. Raises Unavailable when the key store does not answer."""


class SealKey(Key, Protocol):
    """A key whose signatures may hash with one digest or another: which one is the caller's choice, document by document."""

    def under(self, digest: str) -> Key:
        """The same key, signing with this digest (hashlib's name); itself where its scheme hashes for itself. Unacceptable when it cannot."""


SureOf = Callable[[Sequence[bytes], Sequence[bytes]], Sequence[bool]]
"""Signatures of one key, and the octets that each is over -> of which it is sure that they hold. The others are to be checked otherwise."""
