"""NIST PKITS: 246 paths with their lists, through the chain and revocation code. What differs stands in a table with its reason."""

import json
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest

from tests.conformance.paths import holds
from tests.shared import SHARED, needs_shared
from trust.model import Cert, Crl
from verifier.chains.policies import ANY_POLICY, Inputs

FOLDER = SHARED / "vectors" / "pkits"
AT = datetime(2020, 1, 1, tzinfo=UTC)

DIFFERENT = {
    "valid_dsa_parameter_inheritance_test5": "a DSA key that takes its parameters from its issuer (RFC 3279) is not read: nobody signs with one",
    "valid_crlissuer_test30": "the status of an indirect list's issuer stands on that very list: nobody vouches for himself (EN 319 102-1 5.2.6)",
}


def _cases() -> list[dict[str, Any]]:
    return list(json.loads((FOLDER / "pkits.json").read_text())) if FOLDER.is_dir() else []


@cache
def _cert(name: str) -> Cert:
    return Cert((FOLDER / "certs" / name).read_bytes())


@cache
def _crl(name: str) -> Crl:
    return Crl((FOLDER / "crls" / name).read_bytes())


@needs_shared
@pytest.mark.parametrize("case", _cases(), ids=lambda c: c["name"])
def test_pkits(case: dict[str, Any]) -> None:
    params = case.get("params") or {}
    got = holds(
        _cert(case["cert"]),
        map(_cert, case.get("other_certs", ())),
        [_cert("TrustAnchorRootCertificate.crt")],
        AT,
        crls=map(_crl, (*case.get("crls", ()), "TrustAnchorRootCRL.crl")),
        status_required=case.get("revocation", True),
        inputs=Inputs(
            frozenset(params.get("user_initial_policy_set", [ANY_POLICY])),
            explicit=params.get("initial_explicit_policy", False),
            inhibit_mapping=params.get("initial_policy_mapping_inhibit", False),
            inhibit_any=params.get("initial_any_policy_inhibit", False),
        ),
    )
    wanted = not case.get("error")
    assert got is (not wanted if case["name"] in DIFFERENT else wanted)


@needs_shared
def test_nothing_refused_by_pkits_is_accepted() -> None:
    """The differences are all on the side of refusal."""
    assert all(not case.get("error") for case in _cases() if case["name"] in DIFFERENT)
    assert {case["name"] for case in _cases()} >= set(DIFFERENT)
