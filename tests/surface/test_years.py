"""Years later: a sealed file by itself, without network or lists, when certificates have ended one after the other."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from tests.office import Office, run

pytestmark = pytest.mark.xdist_group("office")


@pytest.fixture(scope="module")
def sealed(office: Office, documents: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("years") / "notice.sealed.pdf"
    run("seal", documents["pdf"], "--instance", office.folder, "--level", "B-LTA", "-o", out)
    return out


def conclusion(office: Office, sealed: Path, policy: str, ended: str, days: int) -> str:
    """So many days after the end of that certificate."""
    certificate = x509.load_pem_x509_certificates((office.folder / "certificates" / f"{ended}.pem").read_bytes())[0]
    at = (certificate.not_valid_after_utc + timedelta(days=days)).isoformat()
    done = run("verify", sealed, "--trust", office.root, "--policy", policy, "--at", at, "--json", check=False)
    return str(json.loads(done.stdout)["conclusion"])


@pytest.mark.parametrize("policy", ["strict", "eu", "japan", "archive"])
def test_a_seal_with_archive_time_stamp_outlives_responder_and_seal(office: Office, sealed: Path, policy: str) -> None:
    """The responder's certificate ends first: from then on the issuer's list, which the file carries too, is what tells of the time-stamping unit."""
    assert conclusion(office, sealed, policy, "ocsp", 1) == "passed"
    assert conclusion(office, sealed, policy, "tsu", -1) == "passed"


def test_it_ends_with_the_time_stamping_unit(office: Office, sealed: Path) -> None:
    assert conclusion(office, sealed, "strict", "tsu", 1) == "indeterminate"


def test_it_stays_small(sealed: Path, documents: dict[str, Path]) -> None:
    """Seal, two time-stamps, five certificates, two answers and two lists."""
    assert sealed.stat().st_size - documents["pdf"].stat().st_size < 40_000
