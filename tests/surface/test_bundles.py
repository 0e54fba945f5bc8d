"""Status over real HTTP, bundles, and the same bytes of the report years later: with the office's own seals."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.office import Office, run

pytestmark = pytest.mark.xdist_group("office")

ROOT = Path(__file__).resolve().parents[2]
LATER = """
import sys
from datetime import datetime, UTC
import trust.edge.clock
trust.edge.clock.now = lambda: datetime(2046, 1, 1, tzinfo=UTC)
import socket
def nothing(*_, **__): raise AssertionError("a connection was opened")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = nothing
import cli
sys.exit(cli.main(sys.argv[1:]))
"""
"""`kakuin` in another year, on a machine without a network."""


def ended(*args: str | Path) -> tuple[int, str, str]:
    done = run(*args, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.fixture(scope="module")
def sealed(office: Office, documents: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A CSV at B-T, which carries no status, and a PDF at B-LTA, which carries everything."""
    folder = tmp_path_factory.mktemp("bundles")
    made = {"csv": folder / "dataset.csv.p7s", "pdf": folder / "notice.sealed.pdf"}
    made["csv"].write_bytes(office.seal(documents["csv"], level="B-T"))
    made["pdf"].write_bytes(office.seal(documents["pdf"]))
    return made


def test_what_cannot_be_told_offline_is_valid_online(office: Office, documents: dict[str, Path], sealed: dict[str, Path], tmp_path: Path) -> None:
    wanted = ("verify", sealed["csv"], "--detached", documents["csv"], "--trust", office.root)
    assert ended(*wanted)[0] == 3
    code, out, err = ended(*wanted, "--online", "--allow-private-networks", "--json", "--save-bundle", tmp_path / "b.zip")
    assert (code, err) == (0, "")
    made = json.loads(out)
    assert made["conclusion"] == "passed" and made["unobtained"] == []
    code, text, _ = ended(*wanted, "--online", "--allow-private-networks")
    assert code == 0 and text.startswith("VALID")
    # What was fetched is in the bundle: the same bytes without the network, in another year.
    again = later(tmp_path, "verify", sealed["csv"], "--detached", documents["csv"], "--bundle", tmp_path / "b.zip", "--json")
    assert again == (0, out)


def test_private_networks_are_left_alone_unless_allowed(office: Office, documents: dict[str, Path], sealed: dict[str, Path]) -> None:
    code, out, err = ended("verify", sealed["csv"], "--detached", documents["csv"], "--trust", office.root, "--online", "--json")
    assert code == 3
    missing = json.loads(out)["unobtained"]
    assert missing and all("private network" in m["why"] for m in missing)
    assert len(err.splitlines()) == len(missing) and all(line.startswith("could not be had: ") for line in err.splitlines())
    assert "Traceback" not in err


def test_a_server_that_is_gone_is_told(documents: dict[str, Path], tmp_path: Path) -> None:
    gone = Office.create(tmp_path / "instance")
    run("seal", documents["csv"], "--instance", gone.folder, "--level", "B-T", "-o", tmp_path / "x.p7s")
    wanted = ("verify", tmp_path / "x.p7s", "--detached", documents["csv"], "--trust", gone.root, "--online", "--allow-private-networks", "--json")
    code, out, err = ended(*wanted)
    assert code == 3
    assert {m["what"] for m in json.loads(out)["unobtained"]} == {"ocsp", "crl"}
    assert "does not answer" in err


def test_many_files_online_have_a_bundle_each(office: Office, documents: dict[str, Path], sealed: dict[str, Path], tmp_path: Path) -> None:
    wanted = ("verify", sealed["csv"], sealed["pdf"], "--detached", documents["csv"], "--trust", office.root, "--json", "--online")
    code, out, _ = ended(*wanted, "--allow-private-networks", "--save-bundle", tmp_path / "bundles", "--jobs", "1")
    reports = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and len(reports) == 2
    assert {p.name for p in (tmp_path / "bundles").iterdir()} == {f"{r['bundle']}.zip" for r in reports}
    one = tmp_path / "bundles" / f"{reports[0]['bundle']}.zip"
    same = later(tmp_path, "verify", sealed["csv"], sealed["csv"], "--detached", documents["csv"], "--bundle", one, "--json", "--jobs", "1")
    assert same == (0, out.splitlines()[0] + "\n" + out.splitlines()[0] + "\n")


def test_the_service_fetches_only_where_its_operator_lets_it(office: Office, documents: dict[str, Path], tmp_path: Path) -> None:
    """Another office's seal, verified by a service that trusts that office and has none of its status."""
    import httpx

    (tmp_path / "x.p7s").write_bytes(office.seal(documents["csv"], level="B-T"))
    other = Office.create(tmp_path / "instance")
    form = [
        ("document", ("x.p7s", (tmp_path / "x.p7s").read_bytes())),
        ("detached", ("dataset.csv", documents["csv"].read_bytes())),
        ("trust", ("root.pem", office.root.read_bytes())),
    ]
    found = {}
    for settings in ("", "online = true\n", "online = true\nallow_private_networks = true\n"):
        text = (other.folder / "kakuin.toml").read_text()
        (other.folder / "kakuin.toml").write_text(text.replace("\n[verifier]\n", f"\n[verifier]\n{settings}"))
        other.start()
        try:
            found[settings] = httpx.post(f"{other.url}/v1/verifications", files=form, timeout=60, trust_env=False).raise_for_status().json()
        finally:
            other.stop()
            (other.folder / "kakuin.toml").write_text(text)
    offline, public, everywhere = found.values()
    assert (offline["conclusion"], offline["unobtained"]) == ("indeterminate", [])
    assert public["conclusion"] == "indeterminate" and all("private network" in m["why"] for m in public["unobtained"])
    assert public["unobtained"]
    assert (everywhere["conclusion"], everywhere["unobtained"]) == ("passed", [])


def later(folder: Path, *args: str | Path, seed: str = "4", language: str = "ja_JP.UTF-8", zone: str = "Asia/Tokyo") -> tuple[int, str]:
    """Exit code and output of kakuin with another clock, locale, time zone, hash seed and working folder."""
    elsewhere = folder / f"elsewhere {seed}"
    elsewhere.mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHONHASHSEED": seed, "LC_ALL": language, "TZ": zone, "PYTHONPATH": str(ROOT), "COLUMNS": "40"}
    environment.pop("KAKUIN_INSTANCE", None)
    done = subprocess.run([sys.executable, "-c", LATER, *map(str, args)], capture_output=True, env=environment, cwd=elsewhere, check=False)
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return done.returncode, done.stdout.decode()


def test_the_same_bytes_years_later_somewhere_else(office: Office, sealed: dict[str, Path], tmp_path: Path) -> None:
    bundle = tmp_path / "notice.bundle.zip"
    code, report, _ = ended("verify", sealed["pdf"], "--trust", office.root, "--json", "--save-bundle", bundle)
    assert code == 0
    for seed, language, zone in (("0", "C", "UTC"), ("1", "ja_JP.UTF-8", "Asia/Tokyo"), ("12345", "en_US.UTF-8", "America/New_York")):
        again = later(tmp_path, "verify", sealed["pdf"], "--bundle", bundle, "--json", seed=seed, language=language, zone=zone)
        assert again == (0, report)
    assert bundle.stat().st_size < 1 << 20
    # Without the bundle the clock counts, and says so.
    _, without = later(tmp_path, "verify", sealed["pdf"], "--trust", office.root, "--json")
    assert json.loads(without)["bundle"] != json.loads(report)["bundle"]


def test_a_bundle_that_was_changed_is_refused(office: Office, sealed: dict[str, Path], tmp_path: Path) -> None:
    bundle = tmp_path / "b.zip"
    run("verify", sealed["pdf"], "--trust", office.root, "--save-bundle", bundle)
    data = bytearray(bundle.read_bytes())
    data[len(data) // 2] ^= 1
    bundle.write_bytes(data)
    code, out, err = ended("verify", sealed["pdf"], "--bundle", bundle)
    assert (code, out) == (65, "")
    assert err.startswith(f"kakuin: {bundle}: ") and err.count("\n") == 1
    assert ended("verify", sealed["pdf"], "--bundle", tmp_path / "missing")[0] == 66
    assert ended("verify", sealed["pdf"], "--bundle", tmp_path)[0] == 66


def test_a_bundle_of_another_engine_is_used_with_a_warning(
    office: Office, sealed: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import cli
    from verifier import bundle

    file = tmp_path / "old.zip"
    monkeypatch.setattr(bundle, "engine", lambda: bundle.Engine("kakuin 0.0.1", "ab" * 32))
    assert cli.main(["verify", str(sealed["pdf"]), "--trust", str(office.root), "--save-bundle", str(file), "--json"]) == 0
    before = json.loads(capsys.readouterr().out)
    monkeypatch.undo()
    assert cli.main(["verify", str(sealed["pdf"]), "--bundle", str(file), "--json"]) == 0
    out, err = capsys.readouterr()
    assert err.startswith("beware: this bundle was made by kakuin 0.0.1") and err.count("\n") == 1
    assert json.loads(out)["bundle"] == before["bundle"], "the report names the bundle that it was made from"


def test_a_report_can_be_sealed_by_whoever_made_it(office: Office, sealed: dict[str, Path], tmp_path: Path) -> None:
    run("verify", sealed["pdf"], "--trust", office.root, "--json", "-o", tmp_path / "report.json")
    run("seal", tmp_path / "report.json", "--instance", office.folder, "-o", tmp_path / "report.json.p7s")
    code, out, _ = ended(
        "verify", tmp_path / "report.json.p7s", "--detached", tmp_path / "report.json", "--trust", office.root, "--online", "--allow-private-networks"
    )
    assert code == 0 and out.startswith("VALID")
