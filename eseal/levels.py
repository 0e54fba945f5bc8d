"""Levels are one idea: what B-T, B-LT and B-LTA need beyond a signature is decided here, and a format only knows where to put it."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from eseal.spec import Level
from trust.algorithms import Algorithm
from trust.codecs import cms
from trust.errors import Malformed, Misconfigured, Unacceptable, Unavailable
from trust.model import Cert, Digest, Token
from trust.ports import Key, Stamper, Status, StatusSource


@dataclass(frozen=True, slots=True)
class Needs:
    """Beyond the signature."""

    stamp: bool = False
    """A time-stamp over the signature value."""
    status: bool = False
    """Certificates and revocation data of the signer's chain and of each time-stamp's."""
    archive: bool = False
    """A time-stamp over all of that."""


NEEDS: Mapping[Level, Needs] = MappingProxyType(
    {
        Level.B_B: Needs(),
        Level.B_T: Needs(stamp=True),
        Level.B_LT: Needs(stamp=True, status=True),
        Level.B_LTA: Needs(stamp=True, status=True, archive=True),
    }
)


@dataclass(frozen=True, slots=True)
class Means:
    """What a seal is made with: the effects, and the moment."""

    key: Key
    stamp: Stamper
    status: StatusSource
    now: datetime


_OWN_DIGEST: Mapping[str, str] = MappingProxyType(
    # RFC 8419 section 3.1 for Ed25519; RFC 9882 section 3.3 lets ML-DSA have SHA-512 at every strength.
    {"ed25519": "sha512", "ed448": "sha512", "ml-dsa-44": "sha512", "ml-dsa-65": "sha512", "ml-dsa-87": "sha512"}
)


def digest_for(algorithm: Algorithm, asked: str | None) -> str:
    """The digest that goes with a key's algorithm: its own, because a verifier expects one for content and signature alike (RFC 5754), and where
    it has none what was asked for.

    Unacceptable when the algorithm has another one: `eseal.suite` chooses the two together, before anything is made.
    """
    own = algorithm.digest or asked or _OWN_DIGEST.get(algorithm.scheme)
    if own is None:
        raise Unacceptable(f"{algorithm} keys cannot seal in this format")
    if asked is not None and asked != own:
        raise Unacceptable(f"this organisation's key signs with {own}, got {asked}")
    return own


def signing_time(claimed: datetime | None, means: Means) -> datetime:
    """The time that the seal states: now, or the claimed one, never in the future and always in the certificate's period.

    Unacceptable for a claim that cannot be true, Misconfigured when the certificate does not hold now.
    """
    certificate, now = means.key.certificate, means.now
    if not certificate.not_before <= now <= certificate.not_after:
        period = f"{certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d}"
        raise Misconfigured(f"the seal certificate holds from {period}, and it is {now:%Y-%m-%d}: renew it")
    if claimed is None:
        return now
    if claimed > now:
        raise Unacceptable("signing time lies in the future")
    if claimed < certificate.not_before:
        raise Unacceptable(f"signing time lies before the seal certificate begins ({certificate.not_before:%Y-%m-%d})")
    return claimed


def stamped(stamp: Stamper, imprint: Digest) -> Token:
    """A token over `imprint`, held against it before it is used: a Stamper's answer is a stranger's bytes.

    Unavailable when there is none or it is not what was asked for.
    """
    der = stamp(imprint)
    try:
        token = cms.token(der)
    except Malformed as error:
        raise Unavailable("the timestamp authority's answer is not a token") from error
    if token.imprint != imprint:
        raise Unavailable("the timestamp authority's token is over something else than what was asked for")
    if token.signature.signer is None:
        raise Unavailable("the timestamp authority's token does not carry its certificate")
    return token


def chain_of(signer: Cert, pool: Sequence[Cert]) -> tuple[Cert, ...]:
    """`signer` and its issuers among `pool`, nearest first, as far as they are there: names match and signatures hold."""
    chain = [signer]
    while chain[-1].subject != chain[-1].issuer:
        issuer = next((c for c in pool if c not in chain and _issued(c, chain[-1])), None)
        if issuer is None:
            break
        chain.append(issuer)
    return tuple(chain)


@functools.lru_cache(maxsize=256)
def _issued(issuer: Cert, subject: Cert) -> bool:
    """A fact about two certificates, which stays one: the chains of a seal are the same ones each time."""
    if issuer.subject != subject.issuer:
        return False
    try:
        subject.x509.verify_directly_issued_by(issuer.x509)
    except Exception:  # noqa: BLE001  # InvalidSignature, TypeError, ValueError, UnsupportedAlgorithm: not its issuer
        return False
    return True


def token_chain(token: Token, known: Sequence[Cert] = ()) -> tuple[Cert, ...]:
    """The unit's certificate and its issuers, from the token and from what is `known` here."""
    if token.signature.signer is None:
        return ()
    return chain_of(token.signature.signer, (*token.certs, *known))


def joined(left: Status, right: Status) -> Status:
    """Both, each object once, in order."""
    return Status(
        tuple(dict.fromkeys(left.crls + right.crls)),
        tuple(dict.fromkeys(left.ocsps + right.ocsps)),
        tuple(dict.fromkeys(left.certs + right.certs)),
    )


def without(some: Status, known: Status) -> Status:
    """What is not known already."""
    certs, crls, ocsps = set(known.certs), set(known.crls), set(known.ocsps)
    return Status(
        tuple(x for x in some.crls if x not in crls),
        tuple(x for x in some.ocsps if x not in ocsps),
        tuple(x for x in some.certs if x not in certs),
    )


def material(chains: Sequence[Sequence[Cert]], status: StatusSource) -> Status:
    """All that a verifier needs for these chains, themselves included. Unavailable when some status is not to be had."""
    found = Status()
    for chain in dict.fromkeys(tuple(c) for c in chains):
        found = joined(found, joined(Status(certs=chain), status(chain)))
    return found


def gathered(key: Key, token: Token, status: StatusSource) -> Status:
    """What B-LT holds: of the signer's chain and of that of the time-stamp over the signature."""
    return material([(key.certificate, *key.chain), token_chain(token, key.chain)], status)


def later(archive: Token, found: Status, status: StatusSource) -> Status:
    """What an archive time-stamp's own chain needs and is not `found` yet: nothing, nearly always, because the same unit stamped both times."""
    chain = token_chain(archive, found.certs)
    return Status() if set(chain) <= set(found.certs) else material([chain], status)
