"""EU DSS on seals that were made from digests, put together by the client, with the documents given."""

import json
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from eseal.hash_boxes import HIGHEST
from eseal.spec import SEVERAL, Format, Level
from tests.paper_seals import picture
from tests.pki import SIGNED
from tests.sealing import CSV, lists
from tests.shared import SHARED, needs_shared
from tests.unit.test_hash_client import PAPER, sealed
from tests.unit.test_hashes import PKI, Desk
from trust.model import Document


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.engine.dispose()


_KIND = {
    Format.PADES: "PAdES",
    Format.CADES: "CAdES",
    Format.XADES: "XAdES",
    Format.JADES: "JAdES",
    Format.ASIC_S_CADES: "CAdES",
    Format.ASIC_E_CADES: "CAdES",
    Format.ASIC_S_XADES: "XAdES",
    Format.ASIC_E_XADES: "XAdES",
}
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
    for form, kind in _KIND.items():
        for level in Level:
            name = f"{form}.{level}"
            given = [Document.of(PAPER, "a.pdf")] if form is Format.PADES else [Document.of(CSV, "data.csv")]
            if form in HIGHEST and form in SEVERAL:
                given.append(Document.of(b"<b/>", "folder/b.xml"))
            stamped = {} if len(given) > 1 and kind == "XAdES" else {"content_timestamp": "true"}
            look = {"visible": "image", "level": level} if form is Format.PADES else {}
            image = {"image": picture("PNG")} if look else {}
            _, made = sealed(desk.there, given, {"format": form, "level": level, **stamped, **look}, **image)
            (tmp_path / name).write_bytes(made)
            job = {"id": name, "file": str(tmp_path / name), "trust": [str(tmp_path / "root.cer")]}
            job["time"] = f"{SIGNED + timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}"
            beside = {"detached": [str(document)]} if form in (Format.CADES, Format.XADES, Format.JADES) else {}
            jobs.append(job | beside | ({"crls": [str(c) for c in crls]} if level in _LISTS_GIVEN else {}))
            expected[name] = (f"{kind}-BASELINE-{level.removeprefix('B-')}", True, "TOTAL_PASSED")
    asked = "".join(json.dumps(job) + "\n" for job in jobs)
    done = subprocess.run([SHARED / "oracle" / "dss", "batch"], input=asked, capture_output=True, text=True, check=True)
    found = {a["id"]: [(s["level"], s["intact"], s["indication"]) for s in a["signatures"]] for a in map(json.loads, done.stdout.splitlines())}
    assert found == {name: [one] for name, one in expected.items()}
