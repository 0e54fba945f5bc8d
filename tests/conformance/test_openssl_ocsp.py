"""OpenSSL's vectors for OCSP answers: direct and delegated, sound and broken in every field."""

import base64
import json
import re
from datetime import datetime
from typing import Any

import pytest

from tests.conformance.paths import holds
from tests.shared import SHARED, needs_shared
from trust.errors import Malformed
from trust.model import Cert, Ocsp

FOLDER = SHARED / "vectors" / "openssl-ocsp"


def _cases() -> list[dict[str, Any]]:
    return list(json.loads((FOLDER / "openssl-ocsp.json").read_text())) if FOLDER.is_dir() else []


def _certs(name: str) -> list[Cert]:
    """All of a file; the first is the one that it is named for."""
    found = re.findall(r"-----BEGIN CERTIFICATE-----(.*?)-----END", (FOLDER / name).read_text(), re.DOTALL)
    return [Cert(base64.b64decode(body)) for body in found]


def _ocsp(name: str) -> Ocsp:
    try:
        return Ocsp.from_response(base64.b64decode((FOLDER / name).read_text()))
    except Malformed:
        return Ocsp(b"")


@needs_shared
@pytest.mark.parametrize("case", _cases(), ids=lambda c: c["name"])
def test_openssl_ocsp(case: dict[str, Any]) -> None:
    """Where a case must succeed, it has answers about the end entity alone; where one must fail, the broken answer must not be believed."""
    wanted = not case.get("error")
    root = _certs(case["root"])[:1]
    got = holds(
        _certs(case["cert"])[0],
        [c for name in case.get("other_certs", ()) for c in _certs(name)],
        root,
        datetime.fromisoformat(case["moment"]),
        ocsps=[_ocsp(name) for name in case.get("ocsps", ())],
        status_required=not wanted,
    )
    assert got is wanted
