"""What of a file that a clause refuses, and of its lawful twin, is asked: whether it may be relied on without a second look."""

import functools

from tests import pki
from trust.errors import KakuinError
from trust.model import Document
from verifier.policy import load
from verifier.service import Verifier

AT = pki.CHECKED + pki.DAY


@functools.cache
def world() -> pki.Pki:
    return pki.pki()


def passes(data: bytes, *detached: bytes | Document, policy: str = "eu") -> bool:
    """Whether the conclusion is a pass, at a time when everybody's certificate is valid and status is fresh."""
    verifier = Verifier(lambda: AT, load(policy), (world().root.certificate,))
    given = [d if isinstance(d, Document) else Document.of(d) for d in detached]
    try:
        return verifier.verify(Document.of(data), given, crls=world().crls()).conclusion == "passed"
    except KakuinError:
        return False


def accepted(data: bytes, *detached: bytes | Document) -> bool:
    """The same under `eu` and under `strict`, which must agree."""
    found = {passes(data, *detached, policy=policy) for policy in ("eu", "strict")}
    assert len(found) == 1, "the two policies differ"
    return found.pop()
