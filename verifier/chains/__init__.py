"""Which chains hold? The one timeless question about certificates: names, signatures and RFC 5280's rules, within a budget.

Validity at a date, revocation, freshness and proofs of existence are the process's (EN 319 102-1). A stranger's certificates can be made so that
the number of paths through them is exponential, so the search is capped in depth, in chains and in signature checks.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from trust.model import Cert
from verifier.chains.certificate import Facts, facts, is_key_and_name, public_key, readable, signed_by
from verifier.chains.rules import Fault, faults

__all__ = [
    "MAX_CHAINS",
    "MAX_CHECKS",
    "MAX_DEPTH",
    "Facts",
    "Fault",
    "Finder",
    "Path",
    "facts",
    "is_key_and_name",
    "public_key",
    "readable",
    "signed_by",
]

MAX_DEPTH = 12
"""Certificates in a chain, anchor included: the deepest real hierarchies have 5."""
MAX_CHAINS = 16
"""Chains to an anchor for one certificate: cross-certified authorities give 2 to 4."""
MAX_CHECKS = 256
"""Signature checks for one certificate's chains, about 20 ms."""


@dataclass(frozen=True)
class Path:
    """A chain whose signatures and names fit, end entity first, anchor last. One certificate where the end entity is itself an anchor."""

    certs: tuple[Cert, ...]

    @property
    def leaf(self) -> Cert:
        return self.certs[0]

    @property
    def anchor(self) -> Cert:
        return self.certs[-1]

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What keeps it from holding whenever it is looked at; empty where it holds."""
        return faults(self.certs)


class Finder:
    """The chains through one pool of certificates to one set of anchors. Not a value, but a memo of pure answers."""

    def __init__(self, pool: Iterable[Cert], anchors: Iterable[Cert]) -> None:
        self.anchors = readable(anchors)
        self._anchor_names: dict[bytes, list[Cert]] = defaultdict(list)
        for anchor in self.anchors:
            self._anchor_names[facts(anchor).subject_key].append(anchor)
        self._by_subject: dict[bytes, list[Cert]] = defaultdict(list)
        for cert in sorted(readable(pool), key=lambda c: c.id):  # a pool is a set: its order may not decide which chain is found
            self._by_subject[facts(cert).subject_key].append(cert)
        self._found: dict[Cert, tuple[Path, ...]] = {}
        self._by_key_hash: dict[bytes, list[Cert]] | None = None

    def anchor_of(self, cert: Cert) -> Cert | None:
        """The anchor that this certificate is, by name and key."""
        return next((a for a in self._anchor_names.get(facts(cert).subject_key, ()) if is_key_and_name(a, cert)), None)

    def named(self, subject_key: bytes) -> tuple[Cert, ...]:
        """Certificates of this name (`Facts.subject_key`), anchors first."""
        anchors = self._anchor_names.get(subject_key, [])
        return (*anchors, *(c for c in self._by_subject.get(subject_key, ()) if c not in anchors))

    def with_key_hash(self, sha1: bytes) -> tuple[Cert, ...]:
        """Certificates whose key has this SHA-1 (RFC 6960 section 4.2.1, KeyHash), anchors first."""
        if self._by_key_hash is None:
            self._by_key_hash = defaultdict(list)
            for cert in dict.fromkeys((*self.anchors, *(c for certs in self._by_subject.values() for c in certs))):
                self._by_key_hash[hashlib.sha1(facts(cert).key_bits, usedforsecurity=False).digest()].append(cert)
        return tuple(self._by_key_hash.get(sha1, ()))

    def paths(self, leaf: Cert) -> tuple[Path, ...]:
        """Chains from the certificate to an anchor, those that hold first, then the shorter ones; none where there is none within the budget."""
        if leaf not in self._found:
            found: list[Path] = []
            if readable((leaf,)):
                self._search((leaf,), found, [MAX_CHECKS])
            found.sort(key=lambda p: (bool(p.faults), len(p.certs)))
            self._found[leaf] = tuple(found)
        return self._found[leaf]

    def _search(self, chain: tuple[Cert, ...], found: list[Path], budget: list[int]) -> None:
        """Depth first: anchors before others, the issuer whose key identifier is named before others of its name."""
        if self.anchor_of(chain[-1]):
            found.append(Path(chain))
            return
        if len(chain) >= MAX_DEPTH:
            return
        for issuer in self._issuers(chain[-1]):
            if len(found) >= MAX_CHAINS or budget[0] <= 0:
                return
            if any(is_key_and_name(issuer, c) for c in chain):
                continue
            budget[0] -= 1
            if signed_by(chain[-1], issuer):
                self._search((*chain, issuer), found, budget)

    def _issuers(self, cert: Cert) -> list[Cert]:
        own = facts(cert)
        wanted = own.authority_key_identifier
        candidates = list(self.named(own.issuer_key))
        candidates.sort(key=lambda c: (self.anchor_of(c) is None, wanted is not None and facts(c).key_identifier != wanted))
        return candidates
