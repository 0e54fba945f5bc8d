"""A time-stamping authority in a temporary folder: unit, journal and service, over the PKI of tests.pki."""

import functools
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization

from tests import pki
from trust.codecs import cms, tsp
from trust.edge.engine import connect, sqlite_url
from trust.log.journal import Journal
from trust.log.tables import METADATA
from trust.model import Digest, Token
from tsa.issue import Unit
from tsa.policy import Policy
from tsa.service import Authority

POLICY = Policy("1.2.3.4.1", also=frozenset({"1.2.3.4.2"}))
NOW = datetime(2026, 11, 21, 9, 30, 15, 120_000, tzinfo=UTC)
DIGEST = Digest.of("sha256", b"hello")


def clock() -> datetime:
    return datetime.now(UTC)


@functools.lru_cache(maxsize=1)
def issuers() -> tuple[pki.Party, pki.Party]:
    """Root and issuing authority."""
    root = pki.root()
    return root, pki.authority(root)


@functools.lru_cache(maxsize=16)
def _party(key: str) -> pki.Party:
    return pki.unit(issuers()[1], key=key)


def party(key: str = "p256") -> pki.Party:
    """A unit's key and certificate: one for each kind of key."""
    return _party(key)


def unit(key: str = "p256", policy: Policy = POLICY, name: str = "tsu", holder: Any = None) -> Unit:
    return Unit.of(name, policy, holder or party(key))


def engine(folder: Path) -> Any:
    made = connect(sqlite_url(folder / "journal.sqlite"))
    METADATA.create_all(made)
    return made


def journal(folder: Path) -> Journal:
    return Journal(engine(folder), clock)


def authority(folder: Path, key: str = "p256", **options: Any) -> tuple[Authority, Journal]:
    log = journal(folder)
    return Authority(unit(key, **options), log, clock), log


def token(response: bytes, key: str = "p256") -> Token:
    """The token of a granted response, as the verifier's codec reads it; fails for a refusal."""
    reply = tsp.decode_response(response)
    assert reply.granted and reply.token is not None, reply.reason
    return cms.token(reply.token, [party(key).certificate])


def refused(response: bytes) -> tsp.Failure:
    """The one failure of a refusal; fails for anything else."""
    reply = tsp.decode_response(response)
    assert reply.status == tsp.Status.REJECTION and reply.token is None
    [bit] = reply.failures
    assert reply.texts and all(text.isprintable() for text in reply.texts)
    return tsp.Failure(bit)


def pem(party: pki.Party) -> bytes:
    return party.certificate.x509.public_bytes(serialization.Encoding.PEM)
