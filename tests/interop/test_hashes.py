"""EU DSS on seals that were made from digests, put together by the client, with the documents given."""

import hashlib
import json
import subprocess
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from eseal.hashes.client import BOXED
from eseal.spec import SEVERAL, Format, Level
from tests.paper_seals import picture
from tests.pki import SIGNED
from tests.sealing import CSV, lists
from tests.shared import SHARED, needs_shared
from tests.unit.test_hash_client import PAPER, sealed
from tests.unit.test_hash_extend import extending_desk, raised
from tests.unit.test_hashes import PKI, Desk
from trust.model import Document


@pytest.fixture
def extending(tmp_path: Path) -> Iterator[Desk]:
    made = extending_desk(tmp_path)
    yield made
    made.engine.dispose()


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
_DETACHED = (Format.CADES, Format.XADES, Format.JADES)


@needs_shared
def test_eu_dss_accepts_what_was_made_from_digests(desk: Desk, tmp_path: Path) -> None:
    files: dict[str, bytes] = {}
    expected = {}
    for form, kind in _KIND.items():
        for level in Level:
            given = _documents(form)
            stamped = {} if len(given) > 1 and kind == "XAdES" else {"content_timestamp": "true"}
            look = {"visible": "image", "level": level} if form is Format.PADES else {}
            image = {"image": picture("PNG")} if look else {}
            name = f"{form}.{level}"
            _, files[name] = sealed(desk.there, given, {"format": form, "level": level, **stamped, **look}, **image)
            expected[name] = [(f"{kind}-BASELINE-{level.removeprefix('B-')}", True, "TOTAL_PASSED")]
    assert _judged(tmp_path, files) == expected


@needs_shared
def test_eu_dss_accepts_what_was_renewed_from_digests(extending: Desk, tmp_path: Path) -> None:
    files: dict[str, bytes] = {}
    for form in _KIND:
        given = _documents(form)
        beside = given if form in _DETACHED else []
        files[f"{form}.once"] = raised(extending.there, sealed(extending.there, given, {"format": form, "level": "B-B"})[1], detached=beside)[1]
        files[f"{form}.twice"] = raised(extending.there, files[f"{form}.once"], detached=beside)[1]
    found = _judged(tmp_path, files)
    assert found == {name: [(f"{_KIND[Format(name.partition('.')[0])]}-BASELINE-LTA", True, "TOTAL_PASSED")] for name in files}


@pytest.mark.filterwarnings("ignore:::cwt")
def test_cwt_accepts_a_hash_envelope(desk: Desk) -> None:
    import cwt
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = PKI.signer.certificate.x509.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    _, data = sealed(desk.there, [Document.of(CSV, "data.csv")], {"format": "cose", "content_timestamp": "true"})
    key = cwt.COSEKey.from_pem(public, kid="01", alg="ES256")
    assert cwt.COSE.new().decode(data, [key]) == hashlib.sha256(CSV).digest()


def _documents(form: Format) -> list[Document]:
    if form is Format.PADES:
        return [Document.of(PAPER, "a.pdf")]
    more = [Document.of(b"<b/>", "folder/b.xml")] if form in BOXED and form in SEVERAL else []
    return [Document.of(CSV, "data.csv"), *more]


def _judged(folder: Path, files: Mapping[str, bytes]) -> dict[str, list[tuple[str, bool, str]]]:
    """What EU DSS says of each signature: level, intact, indication."""
    document = folder / "data.csv"
    document.write_bytes(CSV)
    (folder / "root.cer").write_bytes(PKI.root.certificate.der)
    crls = [folder / f"{n}.crl" for n in range(len(lists(PKI)))]
    for file, crl in zip(crls, lists(PKI), strict=True):
        file.write_bytes(crl.der)
    jobs, at = [], f"{SIGNED + timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}"
    for name, data in files.items():
        (folder / name).write_bytes(data)
        job = {"id": name, "file": str(folder / name), "trust": [str(folder / "root.cer")], "time": at}
        form, _, level = name.partition(".")
        beside = {"detached": [str(document)]} if form in _DETACHED else {}
        jobs.append(job | beside | ({"crls": [str(c) for c in crls]} if level in (Level.B_B, Level.B_T) else {}))
    asked = "".join(json.dumps(job) + "\n" for job in jobs)
    done = subprocess.run([SHARED / "oracle" / "dss", "batch"], input=asked, capture_output=True, text=True, check=True)
    return {a["id"]: [(s["level"], s["intact"], s["indication"]) for s in a["signatures"]] for a in map(json.loads, done.stdout.splitlines())}
