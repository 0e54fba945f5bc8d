"""One batch of many documents, made by the command line and over HTTP: each record valid by our own reader, a sample and renewals in EU DSS.

The whole of it (10,000 documents, all of them here and 200 in EU DSS) is run by hand: docs/interop.md has the figures.
"""

import concurrent.futures
import hashlib
import io
import json
import subprocess
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.office import Office, run
from tests.services import program
from tests.shared import SHARED, needs_shared

pytestmark = pytest.mark.xdist_group("office")

COUNT, SAMPLE = 1000, 40


@pytest.fixture(scope="session")
def batch(office: Office, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("batch")
    for number in range(COUNT):
        document = folder / f"{number % 10}" / f"invoice {number}.txt"
        document.parent.mkdir(exist_ok=True)
        document.write_text(f"invoice {number}\n")
    run("stamp", "--batch", folder, "--instance", office.folder)
    return folder


def asked(documents: list[Path], office: Office) -> list[dict[str, Any]]:
    """EU DSS's answers about the records beside these documents."""
    jobs = [{"id": str(d), "file": f"{d}.ers", "detached": [str(d)], "trust": [str(office.root)]} for d in documents]
    text = "".join(json.dumps(job) + "\n" for job in jobs)
    done = subprocess.run([SHARED / "oracle" / "dss", "batch"], input=text, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def found(answer: dict[str, Any]) -> tuple[Any, ...]:
    [record] = answer["evidence_records"]
    return record["intact"], record["indication"], record["errors"], record["warnings"], len(record["timestamps"])


def test_every_record_of_a_batch_is_valid_here(batch: Path, office: Office) -> None:
    done = run("verify", batch, "--trust", office.root)
    assert done.stdout.decode().splitlines()[-1] == f"{COUNT} files: VALID {COUNT}"


@needs_shared
def test_eu_dss_finds_a_sample_valid(batch: Path, office: Office) -> None:
    documents = sorted(batch.glob("*/*.txt"))[:: COUNT // SAMPLE]
    answers = asked(documents, office)
    assert [found(answer) for answer in answers] == [(True, "PASSED", [], [], 1)] * SAMPLE


@needs_shared
def test_eu_dss_finds_blinded_and_renewed_records_valid_and_others_not(office: Office, tmp_path: Path) -> None:
    documents = [tmp_path / name for name in ("a", "b", "c")]
    for document in documents:
        document.write_text(document.name)
    run("stamp", "--batch", tmp_path, "--blinded", "--instance", office.folder)
    run("stamp", "--renew", tmp_path, "--instance", office.folder)
    run("stamp", "--renew", tmp_path, "--digest", "sha512", "--instance", office.folder)
    run("stamp", "--renew", tmp_path, "--instance", office.folder)
    assert run("verify", tmp_path, "--trust", office.root).stdout.decode().splitlines()[-1] == "3 files: VALID 3"
    documents[2].write_text("changed")
    answers = [found(answer) for answer in asked(documents, office)]
    assert answers[:2] == [(True, "PASSED", [], [], 4)] * 2
    assert answers[2][:2] == (False, "FAILED")


def test_sha256sum_and_curl_make_a_batch(office: Office, documents: dict[str, Path], tmp_path: Path) -> None:
    names = [path.name for path in documents.values()]
    folder = documents["csv"].parent
    sums = subprocess.run([program("sha256sum"), *names], cwd=folder, capture_output=True, check=True).stdout
    command = [program("curl"), "--silent", "--show-error", "--fail", "--data-binary", "@-", "-H", "Content-Type: text/plain"]
    zipped = subprocess.run(
        [*command, "-H", "Accept: application/zip", f"{office.url}/v1/batches"], input=sums, capture_output=True, check=True
    ).stdout
    with zipfile.ZipFile(io.BytesIO(zipped)) as archive:
        archive.extractall(tmp_path)
    for name in names:
        run("verify", tmp_path / f"{name}.ers", "--detached", folder / name, "--trust", office.root)


def test_devices_share_a_token(office: Office, tmp_path: Path) -> None:
    def send(number: int) -> bytes:
        body = hashlib.sha256(b"reading %d" % number).hexdigest().encode()
        request = urllib.request.Request(f"{office.url}/v1/batches/current", body, {"Content-Type": "text/plain"})
        with urllib.request.urlopen(request) as answer:
            return bytes(answer.read())

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        for number, record in enumerate(pool.map(send, range(24))):
            (tmp_path / f"{number}").write_bytes(b"reading %d" % number)
            (tmp_path / f"{number}.ers").write_bytes(record)
    assert run("verify", tmp_path, "--trust", office.root).stdout.decode().splitlines()[-1] == "24 files: VALID 24"
