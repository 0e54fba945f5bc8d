"""TS 119 102-2 clause 4.3.12.7: which algorithm of which object was not acceptable, where the status says that one was not."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from trust.algorithms import OID_BY_SIGNATURE, RSASSA_PSS_OID, XML_BY_SIGNATURE, Algorithm
from trust.model import Signature
from trust.suites import FOREVER, NEVER, Timetable
from verifier.chains import facts, readable
from verifier.process.chain import facts_name
from verifier.report.etsi.objects import Objects
from verifier.report.etsi.xml import Element, digest_uri, element, reference, time_element, uri
from verifier.verdict import ChainLink, Step, SubIndication

WEAK = frozenset({SubIndication.CRYPTO_CONSTRAINTS_FAILURE, SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE})
_TOLD = re.compile(r"the algorithms of the (.+?) (?:are acceptable|were acceptable at .*)")
"""How verifier.process says it (verifier.report.wording has the same templates, which a test holds against its sources)."""
UNKNOWN = "urn:kakuin:algorithm:unknown"


@dataclass(frozen=True, slots=True)
class _Use:
    """An algorithm in its place."""

    target: str
    """xs:ID of the object or signature."""
    what: str
    """As the process calls it: `signature value`, `certificate`, `status`, …"""
    about: str
    algorithm: str
    """URI."""
    until: datetime | None
    """None where no timetable is at hand."""


def crypto_information(
    objects: Objects, signature: Signature, target: str, chain: Sequence[ChainLink], trace: Sequence[Step], timetable: Timetable | None
) -> Element:
    """CryptoInformation of the algorithm that concluded the status: the one that the trace names, or else the one that ends first."""
    uses = list(_uses(objects, signature, target, chain, timetable))
    step = next((s for s in reversed(trace) if not s.ok and s.sub_indication in WEAK), None)
    named = _TOLD.fullmatch(step.what) if step else None
    meant = [u for u in uses if named and step and u.what == named[1] and (not u.about or u.about == step.about)]
    found = min(meant or uses, key=lambda u: u.until or FOREVER)
    ends = found.until if found.until not in (None, NEVER, FOREVER) else None
    return element(
        "CryptoInformation",
        reference("ValidationObjectId", found.target),
        element("Algorithm", found.algorithm),
        element("SecureAlgorithm", "false"),
        time_element("NotAfter", ends) if ends else None,
    )


def _uses(objects: Objects, signature: Signature, target: str, chain: Sequence[ChainLink], timetable: Timetable | None) -> Iterator[_Use]:
    signer = signature.signer
    bits = facts(signer).bits if signer is not None and readable((signer,)) else 0
    until = timetable.until(signature.algorithm, bits) if timetable else None
    yield _Use(target, "signature value", "", algorithm_uri(signature.algorithm), until)
    named = signature.signer_reference.digest_algorithm
    for what, names in (
        ("signed attribute", {named} if named else set()),
        ("reference", {r.digest.algorithm for r in signature.references if r.digest} | set(signature.mechanisms) - {named}),
    ):
        for name in sorted(names):
            yield _Use(target, what, "", digest_uri(name), timetable.until_digest(name) if timetable else None)
    for link, issuer in zip(chain, [*chain[1:], None], strict=True):
        yield from _of_link(objects, link, issuer, timetable)


def _of_link(objects: Objects, link: ChainLink, issuer: ChainLink | None, timetable: Timetable | None) -> Iterator[_Use]:
    """A certificate under its issuer's key, and the status that counted for it."""
    about = f"certificate of {facts_name(link.cert)}"
    if link.trusted or not readable((link.cert,)):
        return
    algorithm = facts(link.cert).algorithm
    bits = facts(issuer.cert).bits if issuer is not None and readable((issuer.cert,)) else 0
    until = timetable.until(algorithm, bits) if timetable and issuer is not None else None
    yield _Use(objects.names[link.cert.id], "certificate", about, algorithm_uri(algorithm), until)
    status = objects.name(link.status)
    if status is not None:
        # Which key signed it, and with what, is the process's knowledge: the object is named, and its algorithm stands in it.
        for what in ("status", "status signer's certificate"):
            yield _Use(status, what, about, UNKNOWN, None)


def algorithm_uri(algorithm: Algorithm | None) -> str:
    """The XML identifier, or else the OID's URN."""
    if algorithm is None:
        return UNKNOWN
    known = XML_BY_SIGNATURE.get(algorithm)
    if known is None and algorithm.scheme == "rsa-pss":
        return f"urn:oid:{RSASSA_PSS_OID}"
    return known or uri(OID_BY_SIGNATURE.get(algorithm, str(algorithm)))
