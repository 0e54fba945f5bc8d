"""The service as curl meets it: the README's first screen, and each kind of bad request with its problem."""

import json
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.office import Office, run
from tests.services import program
from tests.shared import SHARED, needs_shared

pytestmark = pytest.mark.xdist_group("office")

PDF, JSON = {"Content-Type": "application/pdf"}, {"Accept": "application/json"}


@pytest.fixture(scope="session")
def bearer(office: Office) -> dict[str, str]:
    return {"Authorization": f"Bearer {office.api_key()}"}


def post(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


def problem(answer: tuple[int, dict[str, str], bytes]) -> tuple[int, str]:
    """Status and slug of an RFC 9457 problem."""
    status, headers, body = answer
    assert {k.lower(): v for k, v in headers.items()}["content-type"].startswith("application/problem+json"), body[:300]
    said: dict[str, Any] = json.loads(body)
    assert said["status"] == status and said["title"] and said["detail"]
    return status, said["type"].removeprefix("urn:kakuin:problem:")


def curl(*args: str | Path) -> bytes:
    return subprocess.run([program("curl"), "--silent", "--show-error", "--fail", *args], capture_output=True, check=True).stdout


def test_curl_alone_seals_and_verifies(office: Office, documents: dict[str, Path], bearer: dict[str, str], tmp_path: Path) -> None:
    sealed = tmp_path / "sealed.pdf"
    authorization = f"Authorization: {bearer['Authorization']}"
    pdf = ("-H", "Content-Type: application/pdf")
    curl("--data-binary", f"@{documents['pdf']}", "-H", authorization, *pdf, f"{office.url}/v1/seals?level=B-LTA", "-o", sealed)
    said = curl("--data-binary", f"@{sealed}", *pdf, "-H", "Accept: text/plain", f"{office.url}/v1/verifications").decode()
    assert said.lstrip().startswith("VALID") and "PAdES-BASELINE-LTA" in said
    said = curl("-F", f"document=@{sealed}", f"{office.url}/v1/verifications").decode()
    assert json.loads(said)["conclusion"] == "passed"
    # Multipart, and a detached seal of the dataset.
    detached = tmp_path / "dataset.csv.p7s"
    curl("-F", f"document=@{documents['csv']}", "-F", "level=B-T", "-H", authorization, f"{office.url}/v1/seals", "-o", detached)
    both = ("-F", f"document=@{detached}", "-F", f"detached=@{documents['csv']}")
    assert json.loads(curl(*both, f"{office.url}/v1/verifications"))["conclusion"] == "passed"


@needs_shared
def test_ten_unsigned_and_ten_signed_pdfs_of_others(office: Office, bearer: dict[str, str], tmp_path: Path) -> None:
    """Our seal holds on each of them; what the file as a whole is worth depends on the signatures that it had."""
    signed, unsigned = _pdfs()
    sealed_of_signed = [post(f"{office.url}/v1/seals?level=B-LTA", data, {**PDF, **bearer}) for data in signed[:25]]
    refused = [problem(answer) for answer in sealed_of_signed if answer[0] != 200]
    assert set(refused) <= {(422, "unacceptable")}  # their signers forbade further seals
    held = [answer[2] for answer in sealed_of_signed if answer[0] == 200]
    assert len(held) >= 10 and len(unsigned) == 10
    for sealed in held:
        answer = json.loads(post(f"{office.url}/v1/verifications", sealed, PDF)[2])
        ours = [s for s in answer["signatures"] if s["indication"] == "TOTAL-PASSED"]
        assert len(ours) == 1 and ours[0]["level"] == "PAdES-BASELINE-LTA"
    for data in unsigned:
        status, _, sealed = post(f"{office.url}/v1/seals", data, {**PDF, **bearer})
        assert status == 200
        assert json.loads(post(f"{office.url}/v1/verifications", sealed, PDF)[2])["conclusion"] == "passed"


def _pdfs() -> tuple[list[bytes], list[bytes]]:
    """Signed PDFs of many makers that can be sealed, and unsigned ones: the corpus's own, and others' before they were signed."""
    import io

    import pikepdf

    signed, unsigned = [], []
    for row in map(json.loads, (SHARED / "corpus" / "manifest.jsonl").read_text().splitlines()):
        path = SHARED / "corpus" / row["file"]
        if row["format"] != "PAdES" or row["expected"].get("rejected") or not row["expected"].get("intact"):
            continue
        data = path.read_bytes()
        if data not in signed and b"/Encrypt" not in data and b"/DocMDP" not in data:
            signed.append(data)
    for data in signed:
        with pikepdf.open(io.BytesIO(data)) as pdf:
            if "/AcroForm" in pdf.Root:
                del pdf.Root["/AcroForm"]
            for page in pdf.pages:
                if "/Annots" in page:
                    del page["/Annots"]
            out = io.BytesIO()
            pdf.save(out)
            unsigned.append(out.getvalue())
        if len(unsigned) == 10:
            break
    return signed, unsigned


def test_bad_requests_for_seals(office: Office, documents: dict[str, Path], bearer: dict[str, str]) -> None:
    seals, pdf, csv = f"{office.url}/v1/seals", documents["pdf"].read_bytes(), documents["csv"].read_bytes()
    assert problem(post(seals, pdf, PDF)) == (401, "unauthorised")
    assert problem(post(seals, pdf, {**PDF, "Authorization": "Bearer kakuin_0123456789abcdef_" + "A" * 43})) == (401, "unauthorised")
    assert problem(post(seals, b"", {**PDF, **bearer}))[0] in (400, 415)
    assert problem(post(seals + "?level=B-Z", pdf, {**PDF, **bearer})) == (422, "unacceptable")
    assert problem(post(seals + "?format=cades&level=B-B&packaging=enveloped", csv, {"Content-Type": "text/csv", **bearer})) == (422, "unacceptable")
    assert problem(post(seals + "?colour=red", pdf, {**PDF, **bearer}))[0] in (400, 422)
    assert problem(post(seals, pdf[:2000], {**PDF, **bearer}))[0] in (400, 422)
    assert problem(post(seals, b"x=1", {"Content-Type": "application/x-www-form-urlencoded", **bearer})) == (415, "unsupported-media-type")


def test_bad_requests_for_verifications(office: Office, documents: dict[str, Path]) -> None:
    verifications, pdf = f"{office.url}/v1/verifications", documents["pdf"].read_bytes()
    assert problem(post(verifications, b"", PDF))[0] == 400
    assert problem(post(verifications, b"x=1", {"Content-Type": "application/x-www-form-urlencoded"})) == (415, "unsupported-media-type")
    assert problem(post(verifications + "?at=noon", pdf, PDF))[0] in (400, 422)
    assert problem(post(verifications + "?policy=lenient", pdf, PDF))[0] in (404, 422)
    status, _, body = post(verifications, pdf, PDF)
    assert status == 200 and json.loads(body)["conclusion"] == "nothing_signed"


def test_bad_requests_for_stamps(office: Office) -> None:
    tsa, query = f"{office.url}/tsa", {"Content-Type": "application/timestamp-query"}
    assert problem(post(tsa, b"x", PDF)) == (415, "unsupported-media-type")
    assert problem(post(tsa, bytes(1 << 20), query)) == (413, "too-large")
    status, headers, body = post(tsa, b"no request at all", query)
    assert status == 200 and headers["content-type"] == "application/timestamp-reply" and body[:1] == b"\x30"


def test_a_body_over_the_limit_is_refused_while_it_arrives(tmp_path: Path) -> None:
    made = Office.create(tmp_path / "i")
    settings = made.folder / "kakuin.toml"
    settings.write_text(settings.read_text().replace("# document_limit_bytes = 268435456", "document_limit_bytes = 100000"))
    made.start()
    try:
        key = {"Authorization": f"Bearer {made.api_key()}"}
        for path in ("/v1/seals", "/v1/verifications"):
            assert problem(post(made.url + path, b"%PDF-" + bytes(200_000), {**PDF, **key})) == (413, "too-large")
    finally:
        made.stop()


def test_unknown_addresses_and_methods(office: Office) -> None:
    assert problem(post(office.url + "/nowhere", b"x", PDF)) == (404, "not-found")
    assert problem(post(office.url + "/pki/root.crl", b"x", PDF))[0] == 405


def test_the_description_is_openapi_31_and_names_every_operation(office: Office) -> None:
    described = json.loads(urllib.request.urlopen(office.url + "/openapi.json").read())
    assert described["openapi"].startswith("3.1")
    assert {"/v1/seals", "/v1/verifications", "/tsa", "/tsa/certificates"} <= set(described["paths"])
    for path, operations in described["paths"].items():
        for name, operation in operations.items():
            assert operation.get("summary") and operation.get("operationId"), (path, name)


def test_no_secret_is_in_the_log(office: Office, documents: dict[str, Path], bearer: dict[str, str]) -> None:
    post(f"{office.url}/v1/seals", documents["csv"].read_bytes(), {"Content-Type": "text/csv", **bearer})
    deadline = time.monotonic() + 10
    while '"path": "/v1/seals"' not in (logged := office.log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)  # the line is written when the answer is out
    assert bearer["Authorization"].split("_", 2)[2] not in logged
    assert (office.folder / "keys" / "passphrase").read_text().strip() not in logged
    assert '"path": "/v1/seals"' in logged


def test_seals_are_in_the_journal_before_they_are_out(office: Office, documents: dict[str, Path], tmp_path: Path) -> None:
    import hashlib
    import sqlite3

    out = tmp_path / "x.pdf"
    said = json.loads(run("seal", documents["pdf"], "--instance", office.folder, "-o", out, "--json").stdout)
    with sqlite3.connect(f"file:{office.folder / 'kakuin.db'}?mode=ro", uri=True) as database:
        [(kind, body)] = database.execute("select kind, body from journal_entry where number = ?", (said["journal_index"],)).fetchall()
    database.close()
    assert kind == "seal" and json.loads(body)["sealed"] == hashlib.sha256(out.read_bytes()).hexdigest() == said["sha256"]
