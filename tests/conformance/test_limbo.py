"""x509-limbo: the cases that are about paths in general, through the chain code. What differs stands in a table with its reason.

`webpki::` cases are about server names of the web and are left out, but for those of GENERAL.
"""

import base64
import json
import lzma
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.conformance.paths import holds
from tests.shared import SHARED, needs_shared
from trust.model import Cert, Crl

FILE = SHARED / "vectors" / "x509-limbo" / "limbo.json.xz"

GENERAL = frozenset({"webpki::explicit-curve"})
PROFILE = "a duty of whoever issues certificates, that protects nobody who validates: real certificates break it"
ANCHOR = "an anchor is a name and a key (RFC 5280 section 6.1.1 d); its certificate's own form is for whoever chose it"
SERVER = "about server certificates of the web: names, purposes and a limit that the caller sets"
DIFFERENT = {
    "crl::crlnumber-missing": PROFILE,
    "crl::crlnumber-critical": PROFILE,
    "pathlen::max-chain-depth-0-exhausted": SERVER,
    "pathlen::max-chain-depth-1-exhausted": SERVER,
    "rfc5280::aki::critical-aki": ANCHOR,
    "rfc5280::aki::leaf-missing-aki": PROFILE,
    "rfc5280::aki::intermediate-missing-aki": PROFILE,
    "rfc5280::aki::cross-signed-root-missing-aki": ANCHOR,
    "rfc5280::eku::ee-wrong-eku": SERVER,
    "rfc5280::eku::ee-eku-empty": SERVER,
    "rfc5280::nc::permitted-dns-match-noncritical": ANCHOR,
    "rfc5280::nc::not-allowed-in-ee-noncritical": PROFILE,
    "rfc5280::nc::not-allowed-in-ee-critical": PROFILE,
    "rfc5280::pc::ica-noncritical-pc": PROFILE,
    "rfc5280::san::malformed": SERVER,
    "rfc5280::san::noncritical-with-empty-subject": PROFILE,
    "rfc5280::san::underscore-dns": SERVER,
    "rfc5280::san::ip-in-dns": SERVER,
    "rfc5280::serial::too-long": PROFILE,
    "rfc5280::serial::zero": PROFILE,
    "rfc5280::serial::negative": PROFILE,
    "rfc5280::ski::critical-ski": ANCHOR,
    "rfc5280::ski::root-missing-ski": ANCHOR,
    "rfc5280::ski::intermediate-missing-ski": "a matter of policy here: eu refuses it, as EU DSS does",
    "rfc5280::validity::expired-root": ANCHOR,
    "rfc5280::validity::notafter-fractional": "ambiguous, as the case says: here the end is the second's beginning",
    "rfc5280::ca-empty-subject": ANCHOR,
    "rfc5280::unknown-critical-extension-root": ANCHOR,
    "rfc5280::root-missing-basic-constraints": ANCHOR,
    "rfc5280::root-non-critical-basic-constraints": ANCHOR,
    "rfc5280::root-inconsistent-ca-extensions": ANCHOR,
    "rfc5280::leaf-ku-keycertsign": PROFILE,
    "rfc5280::ee-critical-aia-invalid": PROFILE,
    "rfc5280::ca-as-leaf-wrong-san": SERVER,
}


def _cases() -> list[dict[str, Any]]:
    if not FILE.is_file():
        return []
    with lzma.open(FILE) as stream:
        cases = json.load(stream)["testcases"]
    return [c for c in cases if not c["id"].startswith("webpki::") or c["id"] in GENERAL]


def _der(pem: str) -> bytes:
    return base64.b64decode(re.sub(r"-----[^-]+-----|\s", "", pem))


@needs_shared
@pytest.mark.parametrize("case", _cases(), ids=lambda c: c["id"])
def test_limbo(case: dict[str, Any]) -> None:
    crls = [Crl(_der(c)) for c in case.get("crls") or ()]
    got = holds(
        Cert(_der(case["peer_certificate"])),
        [Cert(_der(c)) for c in case["untrusted_intermediates"]],
        [Cert(_der(c)) for c in case["trusted_certs"]],
        datetime.fromisoformat(case["validation_time"]) if case["validation_time"] else datetime(2026, 11, 20, tzinfo=UTC),
        crls=crls,
        status_required=bool(crls),
    )
    wanted = case["expected_result"] == "SUCCESS"
    assert got is (not wanted if case["id"] in DIFFERENT else wanted), case["description"]
