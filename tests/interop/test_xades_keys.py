"""EU DSS on XAdES by every kind of key that it accepts, in every packaging, at every level and under every canonicalisation."""

import json
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from eseal.formats import xades
from eseal.spec import Claims, Commitment, Level, Packaging, choose
from tests import pki as office
from tests.pki import SIGNED, Party
from tests.sealing import CSV, lists, means, whole
from tests.shared import SHARED, needs_shared
from trust.algorithms import Algorithm
from trust.model import Document

PKI = office.pki()
# Its timetable has no Ed25519 yet: intact, and never passed.
KINDS: dict[str, Party] = {
    "p256": PKI.signer,
    "p384": replace(office.signer(PKI.ca, key="p384"), algorithm=Algorithm("ecdsa", "sha384")),
    "p521": replace(office.signer(PKI.ca, key="p521"), algorithm=Algorithm("ecdsa", "sha512")),
    "rsa": office.signer(PKI.ca, key="rsa3072"),
    "pss": office.signer(PKI.ca, key="rsa3072").with_pss(),
}
NOTICE = b'<?xml version="1.0"?>\n<n:a xmlns:n="urn:n" xmlns="urn:d" xml:lang="ja" xml:base="http://a.jp/"><b Id="b"/>\r\n <!-- c --></n:a><?p?>\n'


@needs_shared
def test_eu_dss_passes_each_at_its_level(tmp_path: Path) -> None:
    (tmp_path / "root.cer").write_bytes(PKI.root.certificate.der)
    (tmp_path / "data.csv").write_bytes(CSV)
    crls = [tmp_path / f"{n}.crl" for n, _ in enumerate(lists(PKI))]
    for path, crl in zip(crls, lists(PKI), strict=True):
        path.write_bytes(crl.der)
    jobs: list[dict[str, Any]] = []
    expected = {}
    for kind, c14n in (*((k, "exclusive") for k in KINDS), ("p256", "1.0"), ("p256", "1.1")):
        for packaging in Packaging:
            for level in Level:
                name = f"{kind}.{c14n}.{packaging}.{level}"
                file = tmp_path / f"{name}.xml"
                file.write_bytes(_sealed(KINDS[kind], packaging, level, c14n))
                job: dict[str, Any] = {"id": name, "file": str(file), "trust": [str(tmp_path / "root.cer")]}
                job["time"] = f"{SIGNED + timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}"
                if level in (Level.B_B, Level.B_T):
                    job["crls"] = [str(c) for c in crls]
                if packaging is Packaging.DETACHED:
                    job["detached"] = [str(tmp_path / "data.csv")]
                jobs.append(job)
                expected[name] = (f"XAdES-BASELINE-{level.removeprefix('B-')}", True, "TOTAL_PASSED")
    asked = "".join(json.dumps(j) + "\n" for j in jobs)
    done = subprocess.run([SHARED / "oracle" / "dss", "batch"], input=asked, capture_output=True, text=True, check=True)
    answers = {a["id"]: a["signatures"] for a in map(json.loads, done.stdout.splitlines())}
    found = {name: tuple((s["level"], s["intact"], s["indication"]) for s in signatures) for name, signatures in answers.items()}
    assert found == {name: (verdict,) for name, verdict in expected.items()}


def _sealed(party: Party, packaging: Packaging, level: Level, c14n: str) -> bytes:
    document = Document.of(NOTICE, "notice.xml") if packaging is Packaging.ENVELOPED else Document.of(CSV, "data.csv", "text/csv")
    claims = Claims(location="東京", commitment=Commitment.APPROVAL)
    spec = choose(NOTICE, format="xades", level=level, packaging=packaging, canonicalization=c14n, claims=claims)
    return whole(document, xades.seal(document, spec, means(PKI, party)))
