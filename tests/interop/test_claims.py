"""EU DSS on what seals say, and on the digests and keys that they may be made with."""

import json
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from eseal.claims import Claims, Commitment, SignaturePolicy
from eseal.service import Finding, Sealer, here
from eseal.spec import OFFERED, Format, Level, Packaging, Spec, packagings
from tests import pki as office
from tests.pki import SIGNED, Party, stamper
from tests.sealing import CSV, blank_pdf, lists
from tests.shared import SHARED, needs_shared
from trust.algorithms import Algorithm
from trust.model import Digest, Document
from trust.ports import Status
from verifier.service import Verifier

PKI = office.pki()
POLICY = SignaturePolicy("1.2.392.200000.1", Digest.of("sha256", b"policy"), "https://example.go.jp/policy.pdf")
CLAIMS = Claims(location="東京", commitment=Commitment.APPROVAL, role="会計管理者", policy=POLICY, content_timestamp=True)
KEYS: dict[str, Party] = {
    "p256": PKI.signer,
    "p521": replace(office.signer(PKI.ca, key="p521"), algorithm=Algorithm("ecdsa", "sha512")),
    "rsa": office.signer(PKI.ca, key="rsa3072"),
    "pss": office.signer(PKI.ca, key="rsa3072").with_pss(),
}
XML_WITHOUT = {("rsa", digest) for digest in ("sha3_256", "sha3_384", "sha3_512")}
"""RFC 9231 has no RSA PKCS#1 v1.5 with SHA3."""


def _check(sealed: Document, detached: Any, _: bytes) -> Finding:
    verdict = Verifier(lambda: SIGNED + timedelta(minutes=1), anchors=(PKI.root.certificate,)).verify(sealed, detached=detached, crls=lists(PKI))
    return Finding(verdict.conclusion == "passed", verdict.signatures[0].signature.level)


def _document(form: Format) -> Document:
    if form is Format.PADES:
        return Document.of(blank_pdf(), "notice.pdf")
    return Document.of(b"<a><b/></a>", "notice.xml") if form is Format.XADES else Document.of(CSV, "data.csv")


class Batch:
    """Seals, and what EU DSS says of them all at once."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.jobs = folder, list[dict[str, Any]]()
        self.expected = dict[str, tuple[str, bool, str]]()
        (folder / "root.cer").write_bytes(PKI.root.certificate.der)
        for n, crl in enumerate(lists(PKI)):
            (folder / f"{n}.crl").write_bytes(crl.der)

    def add(self, name: str, spec: Spec, key: Party) -> None:
        given = _document(spec.format)
        sealer = Sealer(lambda _: key, stamper(PKI.tsu), lambda _: Status(crls=lists(PKI)), lambda *_: 1, lambda: SIGNED, _check, here)
        file = self.folder / name
        file.write_bytes(sealer.seal(given, spec, "1234567890123").document.read(1 << 26))
        job: dict[str, Any] = {"id": name, "file": str(file), "trust": [str(self.folder / "root.cer")]}
        job["time"] = f"{SIGNED + timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}"
        if spec.level in (Level.B_B, Level.B_T):
            job["crls"] = [str(self.folder / f"{n}.crl") for n in range(len(lists(PKI)))]
        if spec.packaging is Packaging.DETACHED:
            beside = self.folder / f"{name}.d"
            beside.mkdir()
            (beside / str(given.name)).write_bytes(given.read(1 << 26))
            job["detached"] = [str(beside / str(given.name))]
        self.jobs.append(job)
        kind = {"pades": "PAdES", "cades": "CAdES", "xades": "XAdES", "jades": "JAdES"}[spec.format.rpartition("-")[2]]
        self.expected[name] = (f"{kind}-BASELINE-{spec.level.removeprefix('B-')}", True, "TOTAL_PASSED")

    def answers(self) -> dict[str, tuple[str, bool, str]]:
        asked = "".join(json.dumps(j) + "\n" for j in self.jobs)
        done = subprocess.run([SHARED / "oracle" / "dss", "batch"], input=asked, capture_output=True, text=True, check=True)
        found = {a["id"]: a["signatures"] for a in map(json.loads, done.stdout.splitlines())}
        return {name: next(((s["level"], s["intact"], s["indication"]) for s in one), ("", False, "")) for name, one in found.items()}


@needs_shared
def test_eu_dss_reads_what_seals_say(tmp_path: Path) -> None:
    batch = Batch(tmp_path)
    for form, packaging in OFFERED:
        if form is Format.COSE:
            continue
        levels = OFFERED[form, packaging]
        for level in (levels[0], levels[-1]):
            described = form in (Format.CADES, Format.XADES, Format.ASIC_S_CADES)
            said = replace(CLAIMS, description="日別の金額" if described else None, mime_type=None if form is Format.PADES else "text/csv")
            batch.add(f"{form}.{packaging}.{level}", Spec(form, level, packaging, claims=said), PKI.signer)
    assert batch.answers() == batch.expected


@needs_shared
def test_eu_dss_accepts_each_digest(tmp_path: Path) -> None:
    batch = Batch(tmp_path)
    for kind, key in KEYS.items():
        for form in (Format.PADES, Format.CADES, Format.XADES):
            for digest in ("sha256", "sha384", "sha512", "sha3_256", "sha3_384", "sha3_512"):
                if form is not Format.XADES or (kind, digest) not in XML_WITHOUT:
                    batch.add(f"{kind}.{form}.{digest}", Spec(form, Level.B_T, packagings(form)[0], digest), key)
    for kind, digest in (("p256", "sha256"), ("p521", "sha512"), ("rsa", "sha384"), ("pss", "sha512")):
        batch.add(f"{kind}.jades.{digest}", Spec(Format.JADES, Level.B_T, Packaging.ATTACHED, digest), KEYS[kind])
    assert batch.answers() == batch.expected
