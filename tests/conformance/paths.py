"""Path validation of RFC 5280 section 6 put together from the verifier's parts: chains, validity at a time, revocation data."""

from collections.abc import Iterable
from datetime import datetime

from trust.model import Cert, Crl, Evidence, Ocsp
from verifier.chains import Path, facts
from verifier.chains.policies import Inputs, valid_policies
from verifier.policy import load
from verifier.process import Context
from verifier.process.chain import is_fresh, latest_answer, needs_status, usable_answers
from verifier.process.context import Case, Moment, Purpose

POLICY = load('name = "path"\nstatus.freshness = "now"\n')
PROFILE_ONLY = "subject_key_identifier"
"""A duty of whoever issues certificates (section 4.2.1.2), on which path validation does not depend."""


def holds(
    leaf: Cert,
    pool: Iterable[Cert],
    anchors: Iterable[Cert],
    at: datetime,
    *,
    crls: Iterable[Crl] = (),
    ocsps: Iterable[Ocsp] = (),
    status_required: bool = True,
    inputs: Inputs = Inputs(),  # noqa: B008  # frozen
) -> bool:
    """Whether some chain is valid at the time."""
    evidence = Evidence("path", certs=frozenset({leaf, *pool}), crls=frozenset(crls), ocsps=frozenset(ocsps))
    case = Case(evidence, Context(at, tuple(anchors), POLICY))
    return any(_holds(case, path, inputs, status_required=status_required) for path in case.finder(Purpose.SIGNER).paths(leaf))


def _holds(case: Case, path: Path, inputs: Inputs, *, status_required: bool) -> bool:
    if any(fault.rule != PROFILE_ONLY for fault in path.faults):
        return False
    below = path.certs[:-1]
    if valid_policies([facts(c) for c in reversed(below)], inputs) is None:
        return False
    if not all(facts(c).not_before <= case.now <= facts(c).not_after for c in below):
        return False
    return all(_good(case, path, index, status_required=status_required) for index in range(len(below)))


def _good(case: Case, path: Path, index: int, *, status_required: bool) -> bool:
    if not needs_status(case, path.certs[index], Purpose.SIGNER, index):
        return True
    usable = usable_answers(case, path, index, Purpose.SIGNER, Moment(case.now))
    if not usable:
        return not status_required
    latest = latest_answer(usable)
    return not latest.revoked and is_fresh(case, latest, case.now)
