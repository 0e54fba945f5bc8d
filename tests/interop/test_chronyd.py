"""A real chronyd: what it says of the clock, over its port and its socket, with NTS; a drill in which it goes away. Always -x: it sets no clock."""

import functools
import getpass
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests import tsu
from tests.clocks import RULES
from tests.office import free_port
from tests.services import absent, program
from trust.codecs import tsp
from trust.codecs.tsp import Failure
from trust.edge.clock.chrony import Chrony
from trust.edge.clock.keeper import Timekeeper
from trust.edge.clock.ntp import NtpServers
from trust.timekeeping import SECOND, Observation, Silence, State
from tsa.service import Authority

PATIENCE = 60.0
"""Seconds that a chronyd may take to answer or to synchronise."""
CHRONY_ONLY = replace(RULES, required=frozenset({"chrony"}))


def until(done: Callable[[], bool], what: str) -> None:
    """Wait for what another process does."""
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@dataclass
class Chronyd:
    """One that is started and ended at will; `folder` is private to it, as it demands, and its name short, as sockets demand."""

    folder: Path
    name: str
    lines: tuple[str, ...]
    command_port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def socket(self) -> str:
        return str(self.folder / f"{self.name}.sock")

    @property
    def port(self) -> str:
        return f"127.0.0.1:{self.command_port}"

    def start(self) -> None:
        binary = shutil.which("chronyd", path=f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin")
        if binary is None:
            absent("chronyd")
            return
        settings = self.folder / f"{self.name}.conf"
        own = (f"pidfile {self.folder / self.name}.pid", f"bindcmdaddress {self.socket}", f"cmdport {self.command_port}", "bindcmdaddress 127.0.0.1")
        settings.write_text("\n".join((*self.lines, *own, "")))
        command = [binary, "-U", "-x", "-d", "-f", str(settings), "-u", getpass.getuser()]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: "does not answer" not in self.says(), f"chronyd {self.name} answers")

    def says(self) -> str:
        [said] = Chrony(self.port)(False)
        return said.why if isinstance(said, Silence) else ""

    def synchronised(self) -> None:
        until(lambda: not self.says(), f"chronyd {self.name} synchronises")

    def end(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait()
            self.process = None


class Chronyds:
    def __init__(self, folder: Path, exits: ExitStack) -> None:
        self._folder = folder
        self._exits = exits
        self.ntp_port = free_port()
        self.nts_port = free_port()

    def _made(self, name: str, *lines: str) -> Chronyd:
        made = Chronyd(self._folder, name, lines)
        self._exits.callback(made.end)
        made.start()
        return made

    def server(self, *lines: str) -> Chronyd:
        return self._made("s", f"port {self.ntp_port}", "bindaddress 127.0.0.1", "local stratum 2", "allow 127.0.0.0/8", *lines)

    def client(self, *lines: str, options: str = "") -> Chronyd:
        return self._made("c", "port 0", f"server localhost port {self.ntp_port} iburst minpoll 0 maxpoll 0 {options}", *lines)

    def certificate(self) -> tuple[Path, Path]:
        key, certificate = self._folder / "key.pem", self._folder / "certificate.pem"
        options = "-x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -addext subjectAltName=DNS:localhost -days 30"
        command = [program("openssl"), "req", *options.split(), "-keyout", key, "-out", certificate]
        subprocess.run(command, check=True, capture_output=True)
        return key, certificate


@pytest.fixture
def chronyds() -> Iterator[Chronyds]:
    folder = Path(tempfile.mkdtemp(prefix="kc-"))  # private to its owner
    with ExitStack() as exits:
        exits.callback(shutil.rmtree, folder)
        yield Chronyds(folder, exits)


def test_what_chronyd_says_is_what_chronyc_says(chronyds: Chronyds) -> None:
    chronyds.server()
    client = chronyds.client()
    client.synchronised()

    def tracking() -> list[str]:
        command = [program("chronyc"), "-h", "127.0.0.1", "-p", str(client.command_port), "-n", "-c", "tracking"]
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip().split(",")

    while True:  # it measures each second: ask again when it has measured in between
        before = tracking()
        [said] = Chrony(client.port)(False)
        after = tracking()
        if before[3] == after[3]:
            break
    assert isinstance(said, Observation)
    assert said.mark is not None
    assert said.mark // 1000 == int(before[3].replace(".", "")) // 1000
    assert (said.facts["reference"], said.facts["stratum"]) == (before[0], int(before[2]))
    assert said.facts["root_delay_us"] == int(float(before[10]) * 1e6)
    offsets = [float(row[4]) * 1e9 for row in (before, after)]
    assert min(offsets) - 1000 <= said.offset_ns <= max(offsets) + 1000
    assert abs(said.offset_ns) <= said.bound_ns + SECOND // 100


def test_one_that_follows_its_own_clock_vouches_for_nothing(chronyds: Chronyds) -> None:
    server = chronyds.server()
    until(lambda: server.says() == "chronyd follows its own clock", "chronyd says what it follows")


def test_nts_is_told_over_the_socket_alone(chronyds: Chronyds) -> None:
    key, certificate = chronyds.certificate()
    chronyds.server(f"ntsserverkey {key}", f"ntsservercert {certificate}", f"ntsport {chronyds.nts_port}")
    client = chronyds.client(f"ntstrustedcerts {certificate}", options=f"nts ntsport {chronyds.nts_port}")
    client.synchronised()
    [said] = Chrony(client.socket, nts_required=True)(False)
    assert isinstance(said, Observation)
    assert said.facts["nts"] is True
    [said] = Chrony(client.port, nts_required=True)(False)
    assert isinstance(said, Silence)
    assert said.state is State.UNSYNCHRONISED
    assert not list(Path(client.socket).parent.glob("kakuin.*"))


def test_a_source_without_nts_does_not_do_where_it_is_required(chronyds: Chronyds) -> None:
    chronyds.server()
    client = chronyds.client()
    client.synchronised()
    [said] = Chrony(client.socket, nts_required=True)(False)
    assert isinstance(said, Silence)
    assert said.why == "chronyd's source is not authenticated by NTS, and that is required"
    [said] = Chrony(client.socket)(False)
    assert isinstance(said, Observation)
    assert said.facts["nts"] is False


def test_drill_chronyd_ends_and_comes_back(chronyds: Chronyds, tmp_path: Path) -> None:
    chronyds.server()
    client = chronyds.client()
    client.synchronised()
    with tsu.journal(tmp_path) as journal:
        record = functools.partial(journal.append, "event")
        keeper = Timekeeper(CHRONY_ONLY, [Chrony(client.port)], record, poll_seconds=5, evidence_seconds=600)
        authority = Authority(tsu.unit(), journal, keeper.clock(1_000_000))
        request = tsp.encode_request(tsu.DIGEST)
        keeper.poll()
        assert tsu.token(authority.stamp(request)).serial == 1
        client.end()
        assert keeper.poll().state is State.SILENT
        assert tsu.refused(authority.stamp(request)) is Failure.TIME_NOT_AVAILABLE
        client.start()
        client.synchronised()
        assert keeper.poll().state is State.GOOD
        assert tsu.token(authority.stamp(request)).serial == 2
        authority.close()
        events = [json.loads(entry.body) for entry in journal.read() if entry.kind == "event"]
        assert [event["state"] for event in events if event.get("event") == "clock"] == ["good", "silent", "good"]


def test_chronyd_as_a_server_of_ours(chronyds: Chronyds) -> None:
    chronyds.server()
    source = NtpServers((f"127.0.0.1:{chronyds.ntp_port}",), 64 * SECOND)

    def asked() -> bool:
        nonlocal source
        [said] = source(True)
        if isinstance(said, Silence):
            source = NtpServers((f"127.0.0.1:{chronyds.ntp_port}",), 64 * SECOND)
            return False
        assert abs(said.offset_ns) <= said.bound_ns  # one machine, one clock
        assert said.facts["stratum"] == 2
        return True

    until(asked, "chronyd answers as a server")
