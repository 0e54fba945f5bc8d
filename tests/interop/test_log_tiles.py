"""Somebody else's code reads our log: the client of the Tessera project (Go) verifies the checkpoint, a cosignature, and that a token is included."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.office import Office, run
from tests.services import REQUIRED
from tests.unit.test_log_publish import KEY
from trust.log.api import token_in

pytestmark = pytest.mark.xdist_group("office")
SOURCE = Path(__file__).parent / "tiles"


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client, built. Without Go it is not tested here; where Go is, its modules come from Go's own proxy or from its cache."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("go is not installed")
    built = tmp_path_factory.mktemp("tiles") / "tiles"
    environment = {**os.environ, "GOFLAGS": "-mod=readonly -buildvcs=false"}
    done = subprocess.run([go, "build", "-o", built, "."], cwd=SOURCE, env=environment, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode()[-400:]
        (pytest.fail if REQUIRED else pytest.skip)(f"the client cannot be built here: {said}")
    return built


@pytest.fixture(scope="module")
def stamped(office: Office, documents: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A token, and the receipt that the service gave for it."""
    folder = tmp_path_factory.mktemp("stamped")
    reply, token, proof = folder / "a.tsr", folder / "a.tst", folder / "a.tlog-proof"
    run("stamp", documents["csv"], "--server", office.url + "/tsa", "-o", reply)
    token.write_bytes(token_in(reply.read_bytes())[0])
    run("log", "prove", "inclusion", token, "--log", f"{office.url}/log", "--key", office.folder / "log" / "verifier-key", "-o", proof)
    return token, proof


def test_a_receipt_is_verified_offline(office: Office, stamped: tuple[Path, Path]) -> None:
    token, proof = stamped
    key = office.folder / "log" / "verifier-key"
    assert run("log", "verify", proof, token, "--key", key).stdout.startswith(b"SHOWN: it is entry ")
    done = run("log", "verify", proof, office.root, "--key", key, check=False)
    assert (done.returncode, done.stdout[:9]) == (1, b"NOT SHOWN")


def test_another_implementation_verifies_inclusion(office: Office, tiles: Path, stamped: tuple[Path, Path]) -> None:
    token, proof = stamped
    key = (office.folder / "log" / "verifier-key").read_text().strip()
    done = subprocess.run([tiles, f"{office.url}/log", key, "", token], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    index, size = map(int, done.stdout.split())
    assert f"\nindex {index}\n" in proof.read_text() and size > index
    wrong = subprocess.run([tiles, f"{office.url}/log", str(KEY), "", token], capture_output=True, check=False)
    assert wrong.returncode == 1
    other = subprocess.run([tiles, f"{office.url}/log", key, "", office.root], capture_output=True, check=False)
    assert (other.returncode, other.stderr) == (1, b"the token is not in the log\n")


def test_the_log_is_whole_after_all_that_the_other_tests_did(office: Office, tmp_path: Path) -> None:
    key = office.folder / "log" / "verifier-key"
    assert b"nothing is wrong" in run("log", "check", "--instance", office.folder).stdout
    assert b"nothing is wrong" in run("log", "check", "--log", f"{office.url}/log", "--key", key).stdout
    assert b" 0 findings" in run("monitor", f"{office.url}/log", "--key", key, "--state", tmp_path / "state").stdout
