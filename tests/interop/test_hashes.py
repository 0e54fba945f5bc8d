"""EU DSS on seals that were made from digests, with the documents given."""

import json
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from eseal import hashes
from eseal.claims import Claims
from eseal.hash_boxes import HIGHEST
from eseal.spec import SEVERAL, Format, Level, Packaging, Spec
from tests.pki import SIGNED
from tests.sealing import CSV, lists
from tests.shared import SHARED, needs_shared
from tests.unit.test_hashes import NUMBER, PKI, Desk, known, packed_at, sealer
from trust.model import Document


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.engine.dispose()


_KIND = {Format.CADES: "CAdES", Format.XADES: "XAdES", Format.JADES: "JAdES"}
_LISTS_GIVEN = (Level.B_B, Level.B_T)


@needs_shared
def test_eu_dss_accepts_what_was_made_from_digests(desk: Desk, tmp_path: Path) -> None:
    document = tmp_path / "data.csv"
    document.write_bytes(CSV)
    (tmp_path / "root.cer").write_bytes(PKI.root.certificate.der)
    crls = [tmp_path / f"{n}.crl" for n in range(len(lists(PKI)))]
    for file, crl in zip(crls, lists(PKI), strict=True):
        file.write_bytes(crl.der)
    jobs, expected = [], {}
    for form, levels in hashes.LEVELS.items():
        for level in levels:
            name = f"{form}.{level}"
            stamped = Claims(content_timestamp=form is Format.CADES)
            made = sealer().seal(known(), Spec(form, level, Packaging.DETACHED, claims=stamped), NUMBER)
            (tmp_path / name).write_bytes(made.document.read(1 << 26))
            job = {"id": name, "file": str(tmp_path / name), "trust": [str(tmp_path / "root.cer")], "detached": [str(document)]}
            job["time"] = f"{SIGNED + timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}"
            jobs.append(job | ({"crls": [str(c) for c in crls]} if level in _LISTS_GIVEN else {}))
            expected[name] = (f"{_KIND[form]}-BASELINE-{level.removeprefix('B-')}", True, "TOTAL_PASSED")
    for form, highest in HIGHEST.items():
        name = f"{form}.{highest}"
        given = [Document.of(CSV, "data.csv")] + ([Document.of(b"<b/>", "folder/b.xml")] if form in SEVERAL else [])
        _, box = packed_at(desk, given, form)
        (tmp_path / name).write_bytes(box)
        at = f"{SIGNED + timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}"
        jobs.append({"id": name, "file": str(tmp_path / name), "trust": [str(tmp_path / "root.cer")], "time": at})
        expected[name] = (f"{'CAdES' if form.endswith('-cades') else 'XAdES'}-BASELINE-{highest.removeprefix('B-')}", True, "TOTAL_PASSED")
    asked = "".join(json.dumps(job) + "\n" for job in jobs)
    done = subprocess.run([SHARED / "oracle" / "dss", "batch"], input=asked, capture_output=True, text=True, check=True)
    found = {a["id"]: [(s["level"], s["intact"], s["indication"]) for s in a["signatures"]] for a in map(json.loads, done.stdout.splitlines())}
    assert found == {name: [one] for name, one in expected.items()}
