"""The drills of `python -m tests.crash`, short: a few kills on each engine, a database that goes and comes back, a disk that fills up."""

import contextlib
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests import postgres
from tests.crash import server
from tests.crash.__main__ import main
from tests.crash.drill import STARTS, Load, Node, drill, examine
from trust.edge.engine import sqlite_url


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("engine", "nodes", "count"), [("sqlite", 2, 3), ("postgresql", 2, 3)])
def test_killed_at_any_moment(engine: str, nodes: int, count: int, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--engine", engine, "--nodes", str(nodes), "--kills", str(count), "--clients", "6"])
    said = capsys.readouterr().out
    found = re.search(r"(\d+) tokens in the journal, .*; (\d+) recorded whose answers were cut off", said)
    assert found is not None, said
    assert int(found[1])
    assert int(found[2]) <= count * 6, "recorded, and lost on the way: at most one for each client and kill"
    assert "no serial twice, no gap unexplained, no client without an answer" in said


@pytest.mark.timeout(240)
def test_the_database_gone_and_back_under_load(tmp_path: Path) -> None:
    """Every request is answered while it is away, with a refusal; tokens come again without a restart."""
    with drill(tmp_path, "postgresql", 2) as made:
        assert made.cluster is not None
        load = Load(lambda number: made.nodes[number % 2], 4)
        try:
            load.until(10)
            made.cluster.stop(how="immediate")
            load.until(0, refusals=4)
            made.cluster.start()
            load.until(20)
            assert all(node.runs for node in made.nodes)
        finally:
            load.wanted = False
        load.end()
        assert load.cut == 0, "a refusal is an answer"
        examine(made.url, load.tokens)


class Confined(Node):
    """A node that sees a small disk of its own where its database is."""

    def __init__(self, folder: Path, disk: Path) -> None:
        super().__init__(folder, sqlite_url(disk / "journal.sqlite"))
        self._disk = disk

    def command(self) -> list[str]:
        mount = f'mount -t tmpfs -o size=4m tmpfs "{self._disk}" && exec "$@"'
        return ["unshare", *([] if os.geteuid() == 0 else ["--map-root-user"]), "--mount", "sh", "-c", mount, "sh", *super().command()]

    @property
    def disk(self) -> Path:
        """As the node sees it."""
        assert self.process is not None
        return Path(f"/proc/{self.process.pid}/root{self._disk}")


def may_mount(folder: Path) -> bool:
    if shutil.which("unshare") is None:
        return False
    probe = ["unshare", *([] if os.geteuid() == 0 else ["--map-root-user"]), "--mount", "mount", "-t", "tmpfs", "tmpfs", str(folder)]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


def filled(disk: Path, load: Load) -> None:
    """Until requests are refused for a while; then there is room again."""
    ballast = disk / "ballast"
    deadline = time.monotonic() + STARTS
    while load.refusals < 8:  # the database finds free pages for a while
        assert time.monotonic() < deadline, "the disk did not fill up"
        with contextlib.suppress(OSError), ballast.open("ab", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        time.sleep(0.02)
    ballast.unlink()


@pytest.mark.timeout(240)
def test_postgresqls_disk_that_fills_up_and_is_cleared(tmp_path: Path) -> None:
    """ENOSPC where the database's tables lie: refusals from every node as long as it lasts, tokens afterwards, and nobody was restarted."""
    if not postgres.has_disks():
        pytest.skip("nothing may be mounted here")
    with drill(tmp_path, "postgresql", 2, disk=24 << 20) as made:
        assert made.cluster is not None
        server_process = made.cluster.process
        load = Load(lambda number: made.nodes[number % 2], 4)
        try:
            load.until(10)
            filled(made.cluster.disk, load)
            load.until(20)
            assert all(node.runs for node in made.nodes)
            assert server_process is not None and server_process.poll() is None
        finally:
            load.wanted = False
        load.end()
        assert load.cut == 0
        for node in made.nodes:
            node.kill()
        examine(made.url, load.tokens)


@pytest.mark.timeout(180)
def test_a_disk_that_fills_up_and_is_cleared(tmp_path: Path) -> None:
    """ENOSPC itself. Refusals as long as it lasts, tokens afterwards, without a restart."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if not may_mount(disk):
        pytest.skip("nothing may be mounted here; tests/unit/test_journal.py fills a database by its own limit")
    server.found(tmp_path)
    node = Confined(tmp_path, disk)
    with contextlib.ExitStack() as stack:
        stack.callback(node.kill)
        node.start()
        load = Load(lambda _: node, 4)
        try:
            load.until(5)
            filled(node.disk, load)
            load.until(20)
            assert node.runs
        finally:
            load.wanted = False
        load.end()
        assert load.cut == 0
        for name in ("journal.sqlite", "journal.sqlite-wal"):  # nobody writes any more; SQLite itself would not find its way there
            shutil.copy(node.disk / name, tmp_path / name)
        examine(sqlite_url(tmp_path / "journal.sqlite"), load.tokens)
