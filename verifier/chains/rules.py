"""RFC 5280 section 6.1 without time and status: what keeps a chain of certificates from holding, whenever it is looked at."""

import functools
from dataclasses import dataclass, replace

from trust.errors import Malformed
from trust.model import Cert
from verifier.chains import certificate as f
from verifier.chains.names import NameConstraints, constraints_of, names_of
from verifier.chains.policies import policies_hold


@dataclass(frozen=True, slots=True)
class Fault:
    """A rule that a certificate of a chain breaks."""

    index: int
    """Of the certificate, end entity 0."""
    clause: str
    why: str
    rule: str = ""
    """The field of verifier.policy.CertificateRules that says how hard it is; empty: always refused."""


@functools.lru_cache(maxsize=4096)
def faults(chain: tuple[Cert, ...]) -> tuple[Fault, ...]:
    """All faults of a chain, end entity first, anchor last: of that only name, key and constraints count (section 6.1.1 d, RFC 5937)."""
    below_anchor = chain[:-1]
    found: list[Fault] = []
    for index, cert in enumerate(below_anchor):
        found += _of_any(index, f.facts(cert))
        if index:
            found += _of_authority(index, f.facts(cert), below_anchor)
    found += _of_anchor(chain)
    found += _of_names(chain)
    if not policies_hold([f.facts(c) for c in reversed(below_anchor)]):
        found.append(Fault(0, "RFC 5280 6.1.3 (f)", "the chain requires a certificate policy and none is valid along it", "certificate_policies"))
    return tuple(sorted(found, key=lambda fault: fault.index))


def _of_any(index: int, cert: f.Facts) -> list[Fault]:
    found = [Fault(index, "RFC 5280 4", why) for why in cert.defects]
    found += [Fault(index, "RFC 5280 6.1.5 (f)", f"unknown critical extension {oid}") for oid in cert.unknown_critical]
    return found


def _of_authority(index: int, cert: f.Facts, chain: tuple[Cert, ...]) -> list[Fault]:
    """Sections 6.1.4 (k) to (n)."""
    found: list[Fault] = []
    if not cert.ca:
        found.append(Fault(index, "RFC 5280 6.1.4 (k)", "the issuer is no certification authority"))
    found += _of_length(index, cert, chain)
    if cert.key_usage is not None and "key_cert_sign" not in cert.key_usage:
        found.append(Fault(index, "RFC 5280 6.1.4 (n)", "the issuer's key usage does not allow signing certificates"))
    if cert.key_identifier is None:
        found.append(Fault(index, "RFC 5280 4.2.1.2", "the issuer has no subject key identifier", "subject_key_identifier"))
    for oid, what in ((f.NO_CHECK, "id-pkix-ocsp-nocheck"), (f.NO_REV_AVAIL, "noRevAvail")):
        if cert.has(oid):
            found.append(Fault(index, "RFC 6960 4.2.2.2.1, RFC 9608 4", f"an authority has {what}", "forbidden_extensions"))
    return found


def _of_length(index: int, cert: f.Facts, chain: tuple[Cert, ...]) -> list[Fault]:
    below = sum(not f.facts(c).self_issued for c in chain[1:index])
    if cert.path_length is None or below <= cert.path_length:
        return []
    return [Fault(index, "RFC 5280 6.1.4 (l), (m)", f"at most {cert.path_length} authorities are allowed below the issuer, got {below}")]


def _of_anchor(chain: tuple[Cert, ...]) -> list[Fault]:
    """RFC 5937 section 3: a constraint that an anchor's certificate states is meant to be obeyed. Told of the authority below it."""
    if len(chain) < 2:
        return []
    return [replace(fault, index=len(chain) - 2) for fault in _of_length(len(chain) - 1, f.facts(chain[-1]), chain)]


def _of_names(chain: tuple[Cert, ...]) -> list[Fault]:
    """Sections 6.1.3 (b), (c) and 6.1.4 (g): names against the constraints of every authority above."""
    found: list[Fault] = []
    constraints: list[NameConstraints] = []
    for index in range(len(chain) - 1, -1, -1):
        cert = f.facts(chain[index])
        try:
            if constraints and (index == 0 or not cert.self_issued):
                names = names_of(cert)
                if not all(c.allow(names) for c in constraints):
                    found.append(Fault(index, "RFC 5280 6.1.3 (b), (c)", "a name is outside what an authority above may certify", "name_constraints"))
            if index and f.NAME_CONSTRAINTS in cert.extensions:
                constraints.append(constraints_of(cert))
        except (Malformed, IndexError, ValueError):
            found.append(Fault(index, "RFC 5280 4.2.1.10", "names or name constraints cannot be read", "name_constraints"))
    return found
