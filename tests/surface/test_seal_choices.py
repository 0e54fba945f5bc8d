"""What a seal says, its digest, and what happens when the authority is away: as an operator meets it, in confined processes."""

import hashlib
import json
from pathlib import Path

import pytest

from tests.office import Office
from tests.surface.test_command_line import ended, one_line

pytestmark = pytest.mark.xdist_group("office")

POLICY = b"the rules"


@pytest.mark.parametrize(("form", "document"), [("pades", "pdf"), ("cades", "csv"), ("xades", "csv"), ("asic-e-xades", "csv")])
def test_what_is_said_is_sealed_and_told(form: str, document: str, office: Office, documents: dict[str, Path], tmp_path: Path) -> None:
    sealed, digest = tmp_path / "sealed", hashlib.sha256(POLICY).hexdigest()
    said = ["--role", "会計管理者", "--location", "東京", "--commitment", "receipt", "--content-timestamp", "--digest", "sha3-256"]
    said += ["--policy", "1.2.392.200000.1", "--policy-hash", f"sha256:{digest}", "--policy-uri", "https://example.go.jp/policy.pdf"]
    code, _, error = ended("seal", documents[document], "--instance", office.folder, "--format", form, "--level", "B-LT", *said, "-o", sealed)
    assert code == 0, error
    beside = ("--detached", documents[document]) if form in ("cades", "xades") else ()
    code, told, _ = ended("verify", sealed, "--trust", office.root, "--json", *beside)
    assert code == 0, told
    [signature] = json.loads(told)["signatures"]
    claims = signature["claims"]
    assert (claims["roles"], claims["place"]) == (["会計管理者"], "東京")
    assert claims["signature_policy"].removeprefix("urn:oid:") == "1.2.392.200000.1"
    assert claims["signature_policy_digest"] == {"algorithm": "sha256", "value": digest}
    assert signature["proves"]["intent"] == {"proved": True, "stated": ["receipt"]}
    assert signature["algorithm"]["digest"] == "sha3_256"
    assert any(stamp["type"] == "content" and stamp["intact"] for stamp in json.loads(told)["timestamps"])


def test_without_an_authority_there_is_no_seal_unless_less_will_do(documents: dict[str, Path], tmp_path: Path) -> None:
    folder, sealed = tmp_path / "instance", tmp_path / "sealed.p7s"
    here = ("--instance", folder)
    assert ended("init", *here, "--yes", "--seal-key", "rsa3072")[0] == 0
    code, listed, _ = ended("ca", "list", *here, "--json")
    unit = next(row["serial"] for row in map(json.loads, listed.splitlines()) if row["profile"] == "tsu")
    assert ended("ca", "revoke", unit, *here)[0] == 0
    code, _, error = ended("seal", documents["csv"], *here, "-o", sealed)
    assert code == 69
    last = error.splitlines()[-1]  # before it the unit says why it fails
    assert last.startswith("kakuin: B-LTA needs a time-stamp and the authority gives none: no unit can issue now, and `kakuin tsa list` says why")
    assert last.endswith("nothing was sealed; try again later, or say with degrade that less will do (B-B, B-T, B-LT)")
    assert not sealed.exists()
    code, told, warned = ended("seal", documents["csv"], *here, "--degrade", "B-B", "--json", "-o", sealed)
    assert code == 0, warned
    facts = json.loads(told)
    assert (facts["level"], facts["asked_level"]) == ("B-B", "B-LTA")
    assert [w.split(" ", 3)[:3] for w in facts["warnings"]] == [["sealed", "at", "B-B"], ["verifiers", "refuse", "RSA"]]
    assert all(f"warning: {w}" in warned for w in facts["warnings"])
    code, _, refused = ended("seal", documents["csv"], *here, "--level", "B-T", "--degrade", "B-T")
    assert code == 65 and "degrade is a level below B-T: B-B" in one_line(refused)
