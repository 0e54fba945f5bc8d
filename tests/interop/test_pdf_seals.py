"""Visible, named, certifying and locking seals of PDF, held against EU DSS, pyHanko's command and pdfsig."""

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from tests.matrix import DSS
from tests.office import Office, run
from tests.paper_seals import PAPERS, PKI, japanese_font
from tests.pki import SIGNED
from tests.sealing import lists
from tests.services import program
from tests.shared import needs_shared

pytestmark = pytest.mark.xdist_group("office")

CHOICES = {
    "seal and words": ("--visible", "seal+text", "--location", "東京都"),
    "code, certified": ("--visible", "qr", "--certify", "forms"),
    "certified, no changes": ("--certify", "no-changes"),
    "all locked": ("--lock", "all", "--visible", "text"),
}


@needs_shared
def test_eu_dss_passes_every_kind(tmp_path: Path) -> None:
    (tmp_path / "root.cer").write_bytes(PKI.root.certificate.der)
    crls = []
    for number, crl in enumerate(lists(PKI)):
        (tmp_path / f"{number}.crl").write_bytes(crl.der)
        crls.append(str(tmp_path / f"{number}.crl"))
    jobs = []
    for number, (name, make) in enumerate(PAPERS.items()):
        (tmp_path / f"{number}.pdf").write_bytes(make())
        job = {"id": name, "file": str(tmp_path / f"{number}.pdf"), "trust": [str(tmp_path / "root.cer")], "crls": crls}
        jobs.append({**job, "time": f"{SIGNED + timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}"})
    asked = "".join(json.dumps(job) + "\n" for job in jobs)
    done = subprocess.run([DSS, "batch"], input=asked, capture_output=True, text=True, check=True)
    answers = {a["id"]: a["signatures"] for a in map(json.loads, done.stdout.splitlines())}
    assert {name: [(s["intact"], s["indication"]) for s in answers[name]] for name in PAPERS} == {
        name: [(True, "TOTAL_PASSED")] * (2 if ", then" in name or "twice" in name else 1) for name in PAPERS
    }
    assert not [s["errors"] for signatures in answers.values() for s in signatures if s.get("errors")]


@pytest.mark.parametrize("name", CHOICES)
def test_pyhanko_and_pdfsig_pass_what_the_command_makes(name: str, office: Office, documents: dict[str, Path], tmp_path: Path) -> None:
    japanese_font()
    made = tmp_path / "made.pdf"
    run("seal", documents["pdf"], "--instance", office.folder, *CHOICES[name], "-o", made)
    pyhanko = Path(sys.executable).with_name("pyhanko")
    command = [pyhanko, "sign", "adesverify", "--executive-summary", "--trust-replace", "--trust", office.root, made]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "INVALID" not in done.stdout
    done = subprocess.run([program("pdfsig"), made], capture_output=True, text=True, check=False, env={"HOME": str(tmp_path)})
    assert done.stdout.count("Signature Validation: Signature is Valid.") == 1, done.stdout
