"""A PDF prepared and put together by pyHanko, which has none of our code, with what `/v1/seals/hashes` answers."""

import asyncio
import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from asn1crypto import cms, crl, ocsp, x509
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko.sign.signers import ExternalSigner, PdfSignatureMetadata, PdfSigner, PdfTimeStamper
from pyhanko.sign.timestamps import TimeStamper
from pyhanko.sign.validation.dss import DocumentSecurityStore
from pyhanko_certvalidator.registry import SimpleCertificateStore

from eseal.hashes.known import PATH
from tests.sealing import blank_pdf
from tests.unit.test_hashes import Desk, checked
from trust.model import Document


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.engine.dispose()


class Told(TimeStamper):
    """Time-stamps of the second step."""

    def __init__(self, desk: Desk, step: dict[str, Any]) -> None:
        super().__init__()
        self._desk, self._step = desk, step
        self.values: dict[str, list[str]] = {}

    async def async_dummy_response(self, _: str) -> cms.ContentInfo:
        raise AssertionError("the room is known")

    async def async_timestamp(self, message_digest: bytes, md_algorithm: str) -> cms.ContentInfo:
        assert md_algorithm == self._step["digest"]
        said = {"imprint": {md_algorithm: message_digest.hex()}}
        told = await asyncio.to_thread(ask, self._desk, "POST", self._step["address"], json=said)
        self.values = told["values"]
        return cms.ContentInfo.load(base64.b64decode(told["token"]))


def ask(desk: Desk, method: str, path: str, **more: Any) -> Any:
    with httpx.Client(transport=desk.transport, base_url="http://test", headers={"Authorization": f"Bearer {desk.key}"}) as client:
        answer = client.request(method, path, **more)
    assert answer.status_code == 200, answer.text
    return answer.json()


def held(writer: IncrementalPdfFileWriter, values: dict[str, list[str]]) -> None:
    certs, crls, ocsps = ([base64.b64decode(v) for v in values[name]] for name in ("certificates", "crls", "ocsps"))
    DocumentSecurityStore.supply_dss_in_writer(
        writer,
        None,
        certs=[x509.Certificate.load(d) for d in certs],
        crls=[crl.CertificateList.load(d) for d in crls],
        ocsps=[ocsp.OCSPResponse.load(d) for d in ocsps],
    )


def test_what_pyhanko_prepares_is_sealed_from_its_digests(desk: Desk) -> None:
    key = ask(desk, "GET", PATH, params={"format": "pades", "level": "B-LTA"})
    certificates = [x509.Certificate.load(base64.b64decode(c)) for c in key["certificates"]]
    registry = SimpleCertificateStore()
    registry.register_multiple(certificates[1:])
    signer = PdfSigner(
        PdfSignatureMetadata(field_name="Office", md_algorithm=key["digest"], subfilter=SigSeedSubFilter.PADES, reason="請求"),
        ExternalSigner(certificates[0], registry, bytes(256)),
    )
    paper = IncrementalPdfFileWriter(io.BytesIO(blank_pdf()))
    prepared, _, stream = asyncio.run(signer.async_digest_doc_for_signing(paper, bytes_reserved=2 * key["room"]))
    told = {"name": "contract.pdf", "digests": {key["digest"]: prepared.document_digest.hex()}}
    first = ask(desk, "POST", PATH, json={"format": "pades", "level": "B-LTA", "documents": [told]})
    prepared.fill_with_cms(stream, base64.b64decode(first["signature"]))
    again = IncrementalPdfFileWriter(stream)
    held(again, first["values"])
    stamper = Told(desk, first["next"])
    made = asyncio.run(
        PdfTimeStamper(stamper).async_timestamp_pdf(again, first["next"]["digest"], bytes_reserved=2 * first["next"]["room"], output=io.BytesIO())
    )
    found = checked(Document.of(made.getvalue(), "contract.pdf"), [], b"")
    assert (found.passed, found.level) == (True, "PAdES-BASELINE-LTA")
    assert stamper.values == {"certificates": [], "crls": [], "ocsps": []}
    # Another document's digest makes no signature of this one.
    other = {"name": "contract.pdf", "digests": {key["digest"]: "00" * len(prepared.document_digest)}}
    wrong = ask(desk, "POST", PATH, json={"format": "pades", "level": "B-LT", "documents": [other]})
    prepared.fill_with_cms(stream, base64.b64decode(wrong["signature"]))
    stream.seek(0)
    assert not checked(Document.of(stream.read(), "contract.pdf"), [], b"").passed
