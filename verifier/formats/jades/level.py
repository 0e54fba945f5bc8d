"""The level of a JAdES signature: ETSI TS 119 182-1 clause 6, under the names and by the rules of EU DSS, so that reports can be compared."""

from collections.abc import Sequence
from dataclasses import dataclass

from trust.codecs.cades import ValidationData
from trust.model import Cert, Evidence, StampKind
from verifier.formats import validation_data
from verifier.formats.jades.header import Shape
from verifier.formats.jades.stamps import Found
from verifier.formats.jades.unsigned import REFERENCES, Component

_NOT_IN_LT = frozenset((*REFERENCES, "sigRTst", "rfsTst"))
_VALUES = frozenset(("xVals", "axVals", "tstVD", "anyValData"))


@dataclass(frozen=True, slots=True)
class Signed:
    """All that decides the level of one signature."""

    shape: Shape
    components: tuple[Component, ...]
    found: Found
    signer: Cert | None
    data: ValidationData
    countersignatures: Sequence[Evidence]


def level(of: Signed) -> str:
    if not _baseline(of):
        return "JSON-NOT-ETSI"
    if not _stamped(of):
        return "JAdES-BASELINE-B"
    if not _long_term(of):
        return "JAdES-BASELINE-T"
    archived = any(stamp.kind is StampKind.ARCHIVE for stamp in of.found.stamps)
    return "JAdES-BASELINE-LTA" if archived else "JAdES-BASELINE-LT"


def _baseline(of: Signed) -> bool:
    """Clause 6.3: the header; a policy store (`sigPSt`) at most once, and only beside the policy's digest."""
    stores = sum(component.name == "sigPSt" for component in of.components)
    return of.shape.holds and stores <= (1 if of.shape.policy_with_hash else 0)


def _stamped(of: Signed) -> bool:
    """Clause 6.3, requirements c and d: one token in each `sigTst`, made while the signer's certificate was valid."""
    times = [stamp.token.gen_time for stamp in of.found.stamps if stamp.kind is StampKind.SIGNATURE]
    return bool(times) and of.found.single and validation_data.in_time(of.signer, times)


def _long_term(of: Signed) -> bool:
    """Clause 6.3: no references, and status data for every chain but that of the last archive time-stamp."""
    if any(component.name in _NOT_IN_LT for component in of.components):
        return False
    tokens = [stamp.token for stamp in of.found.stamps]
    archives = [stamp.token for stamp in of.found.stamps if stamp.kind is StampKind.ARCHIVE]
    earlier = [token for token in tokens if not archives or token is not archives[-1]]
    data, certs = of.data, list(of.data.certs)
    for token in tokens:
        data |= ValidationData(token.certs, token.crls, token.ocsps)
    for token in earlier:
        certs += token.certs
    for evidence in of.countersignatures:
        data |= ValidationData(tuple(evidence.certs), tuple(evidence.crls), tuple(evidence.ocsps))
        certs += evidence.certs
    if certs and all(validation_data.self_issued(cert) for cert in certs):
        return any(c.name in _VALUES and c.data.certs for c in of.components)
    if not (data.crls or data.ocsps):
        return False
    ends = [cert for cert in (of.signer, *(token.signature.signer for token in earlier)) if cert is not None]
    return validation_data.complete(ends, data.certs, data.crls, data.ocsps)
