"""A receipt comes with a time-stamp or a seal on request: from the command line and over HTTP, here and at a server; checked offline."""

import hashlib
import http.client
import json
from pathlib import Path

import pytest

from tests import tsu
from tests.office import Office, run
from trust.codecs import tsp

pytestmark = pytest.mark.xdist_group("office")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    found = tmp_path / "data.csv"
    found.write_text("a,b\n1,2\n")
    return found


@pytest.fixture
def key(office: Office, tmp_path: Path) -> Path:
    """The log's."""
    found = tmp_path / "log.key"
    found.write_bytes(run("log", "key", "--instance", office.folder).stdout)
    return found


def shown(receipt: Path, what: Path, key: Path) -> str:
    return run("log", "verify", receipt, what, "--key", key).stdout.decode()


@pytest.mark.parametrize("there", [False, True], ids=["here", "at a server"])
def test_a_time_stamp_comes_with_its_receipt(office: Office, data: Path, key: Path, tmp_path: Path, *, there: bool) -> None:
    where = ("--server", f"{office.url}/tsa") if there else ("--instance", office.folder)
    said = json.loads(run("stamp", data, *where, "--receipt", tmp_path / "r", "--json").stdout)
    assert said["receipt"] == str(tmp_path / "r")
    assert " (token) of " in shown(tmp_path / "r", data.with_name("data.csv.tst"), key)


@pytest.mark.parametrize("there", [False, True], ids=["here", "at a server"])
def test_a_seal_comes_with_its_receipt(office: Office, data: Path, key: Path, tmp_path: Path, *, there: bool) -> None:
    where = ("--server", office.url) if there else ("--instance", office.folder)
    env = {"KAKUIN_API_KEY": office.api_key()} if there else {}
    said = json.loads(run("seal", data, *where, "--level", "B-B", "--receipt", tmp_path / "r", "--json", env=env).stdout)
    assert said["receipt"] == str(tmp_path / "r")
    assert f"it is entry {said['journal_index']} (seal) of " in shown(tmp_path / "r", Path(said["output"]), key)


@pytest.mark.parametrize("args", [("--batch", "x"), ("data.csv", "--format", "asic-s")], ids=["of a batch", "of a container"])
def test_what_has_no_receipt_of_its_own_is_refused(tmp_path: Path, args: tuple[str, ...]) -> None:
    done = run("stamp", *args, "--receipt", tmp_path / "r", check=False)
    assert done.returncode == 2 and b"--receipt" in done.stderr


ASKED = tsp.encode_request(tsu.DIGEST, nonce=7)


def post(office: Office, path: str, request: bytes, **fields: str) -> tuple[http.client.HTTPResponse, bytes]:
    wire = http.client.HTTPConnection("127.0.0.1", office.port, timeout=30)
    wire.request("POST", path, request, {"Content-Type": "application/timestamp-query", **fields})
    answer = wire.getresponse()
    body = answer.read()
    wire.close()
    return answer, body


@pytest.mark.parametrize("path", ["/tsa", "/tsa/tsu"])
def test_7240_8288_the_answer_names_its_receipt_where_that_is_preferred(office: Office, key: Path, tmp_path: Path, path: str) -> None:
    from trust.log.links import linked

    answer, body = post(office, path, ASKED, Prefer="respond-async, Receipt")
    assert answer.status == 200 and answer.getheader("content-type") == "application/timestamp-reply"
    assert answer.getheader("preference-applied") == "receipt"
    place = linked(answer.getheader("link", ""), f"{office.url}{path}")
    assert place is not None
    wire = http.client.HTTPConnection("127.0.0.1", office.port, timeout=40)
    wire.request("GET", place.removeprefix(office.url), headers={"Prefer": "wait=30"})
    found = wire.getresponse()
    (tmp_path / "r").write_bytes(found.read())
    wire.close()
    (tmp_path / "t").write_bytes(tsu.token(body).der)
    assert found.status == 200 and " (token) of " in shown(tmp_path / "r", tmp_path / "t", key)


@pytest.mark.parametrize(
    ("request_", "fields"),
    [(ASKED, {}), (ASKED, {"Prefer": "wait=3"}), (b"no request", {"Prefer": "receipt"})],
    ids=["without the preference", "with another", "of a refusal"],
)
def test_else_the_answer_is_as_ever(office: Office, request_: bytes, fields: dict[str, str]) -> None:
    answer, _ = post(office, "/tsa", request_, **fields)
    assert answer.status == 200 and answer.getheader("link") is None and answer.getheader("preference-applied") is None


DIGEST = hashlib.sha256(b"x").hexdigest()
SEALING: dict[str, tuple[str, bytes, str]] = {
    "a document": ("/v1/seals?level=B-B", b"x", "text/csv"),
    "a digest": (
        "/v1/seals/hashes",
        json.dumps({"documents": [{"name": "x.csv", "digests": {"sha256": DIGEST}}], "level": "B-B"}).encode(),
        "application/json",
    ),
}


@pytest.mark.parametrize("name", SEALING)
def test_8288_each_seals_answer_links_to_its_receipt(office: Office, name: str) -> None:
    from trust.log.links import linked

    path, body, kind = SEALING[name]
    answer, data = post(office, path, body, **{"Content-Type": kind, "Authorization": f"Bearer {office.api_key()}"})
    assert answer.status == 200, data
    asked = f"{office.url}{path}"
    assert linked(answer.getheader("link", ""), asked) == f"{office.url}/v1/log/receipts/{answer.getheader('kakuin-seal')}"
