"""Time-stamps for a rehearsal (`trust.edge.rehearsal`): of a unit that nobody believes, in no journal."""

import itertools

from trust.codecs import tsp
from trust.edge import rehearsal
from trust.edge.rehearsal import POLICY, Rehearsed
from trust.errors import KakuinError
from trust.model import Cert, Crl, Digest
from tsa import issue
from tsa.issue import Unit
from tsa.policy import Policy


def office(*known: Cert | Crl) -> Rehearsed:
    """An office whose unit stamps, and what is `known` of the installation."""
    made = rehearsal.office()
    unit, serials = Unit.of("rehearsal", Policy(POLICY), made.unit), itertools.count(1)

    def stamp(digest: Digest) -> bytes:
        (answer,) = issue.grant_all((issue.read(tsp.encode_request(digest)),), unit, made.time, next(serials))
        if isinstance(answer, KakuinError):
            raise answer
        return answer.token or b""

    return Rehearsed(made, stamp, known=known)
