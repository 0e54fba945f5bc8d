"""Time-stamp requests a second over loopback, beside peers that take turns with us on the same core.

    python bench/tsa.py [--seconds 2] [--runs 5] [--key p256] [--connections 32 64] [--certificates]
    python bench/tsa.py --key rsa3072          beside the rate of the raw signature
    python bench/tsa.py --postgresql           recorded on a PostgreSQL of the bench's own too, which works on the load's cores

Of ours there are three: the authority and nothing else, recorded on SQLite first and with the journal off (a measuring mode that the product has
not), and `kakuin serve` as an operator starts it. Every server is pinned to the first core and the load to the others; one works at a time.
Beside requests a second by the wall stands the processor time that the server spent on each (user and system, all threads): where a machine has other
work, that is the figure to compare. Where libcrypto_mb is installed (or in LD_LIBRARY_PATH) our server checks its signatures with it, as the service
does; the first line tells.
Peers where they are on the PATH: `uts-server` (C, OpenSSL; records nothing, checks nothing; it dies now and then and is started again), sigstore's
`timestamp-server` (Go; records nothing), and `openssl ts -reply`, one process a token, as a floor. Medians of the runs, with their spread.
"""

import argparse
import contextlib
import itertools
import os
import secrets
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.load import Load, flat_out, paced  # noqa: E402
from tests import postgres  # noqa: E402
from trust.codecs import tsp  # noqa: E402
from trust.edge.founding import Answers, make_instance  # noqa: E402
from trust.model import Digest  # noqa: E402

KAKUIN = Path(sys.executable).with_name("kakuin")
POLICY = "1.3.6.1.4.1.32473.1.1"
UNLIMITED = {"KAKUIN_OPERATIONS_LOG_REQUESTS": "none", "KAKUIN_LIMITS_TSA": "", "KAKUIN_LIMITS_UNLIMITED": "127.0.0.0/8"}
"""Settings of the service that is measured."""
STARTS = 20
"""Attempts to start a server: the C peer corrupts its heap in one start of some twenty, and worse on some machines."""


# Our server: the authority and nothing else.


def serve(folder: Path, port: int, record: str) -> None:
    import uvicorn

    from trust.edge.clock import now
    from trust.edge.eight import sure_of
    from trust.edge.engine import connect, sqlite_url
    from trust.edge.strict_http import StrictHttp, collect_seldom
    from trust.log.journal import Journal
    from trust.log.tables import METADATA
    from tsa.api import Endpoint
    from tsa.issue import Unit
    from tsa.policy import Policy
    from tsa.service import Authority

    collect_seldom()
    engine = connect(record if record.startswith("postgresql") else sqlite_url(folder / "bench.sqlite"))
    METADATA.create_all(engine)
    made = unrecorded() if record == "unrecorded" else Journal
    with made(engine, now) as journal:
        endpoint = Endpoint(Authority(Unit.of("bench", Policy(POLICY), party(folder), sure_of), journal, now))
        uvicorn.run(endpoint, port=port, http=StrictHttp, loop="uvloop", ws="none", access_log=False, log_level="error", server_header=False)


def unrecorded() -> type:
    """A journal that keeps nothing, to measure what keeping costs. It is here and not in the product, which has no way to issue without a record."""
    from trust.log import journal
    from trust.log import page as page_module

    class Unrecorded(journal.Journal):
        serial = 1

        def _record(self, batch):  # type: ignore[no-untyped-def]
            page = page_module.Page(0, 0)
            for issuer, requests in page_module.grouped(batch):
                made = issuer.make(self.serial, [request.matter for request in requests])
                self.serial += len(made)
                page.outcomes += [page_module.Outcome(request, 0, one.answer, None) for request, one in zip(requests, made, strict=True)]
            return page.outcomes

    return Unrecorded


# Servers.

CONFIGURATION = """
[oids]
unit_policy = {policy}
[main]
listening_ports = 127.0.0.1:{port}
enable_keep_alive = yes
num_threads = 80
tcp_nodelay = 1
log_level = err
log_to_syslog = no
[tsa]
default_tsa = tsa
dir = {folder}
serial = $dir/serial
signer_cert = $dir/unit.pem
signer_key = $dir/key.pem
default_policy = {policy}
digests = sha256
signer_digest = sha256
ess_cert_id_alg = sha256
accuracy = secs:1
clock_precision_digits = 3
tsa_name = yes
"""
"""Of OpenSSL's `ts` command and of uts-server alike: the same key, certificate, digest and accuracy."""


def _ours(record: str) -> Callable[[Path, int], list[str]]:
    return lambda folder, port: [sys.executable, __file__, "--serve", str(folder), str(port), record]


def _whole(folder: Path, port: int) -> list[str]:
    """What an operator starts, with everything that stands before the authority; without limits and lines for each request, which no peer has."""
    return [str(KAKUIN), "serve", "--instance", str(folder / "instance"), "--port", str(port)]


def _uts(folder: Path, port: int) -> list[str]:
    (folder / "peer.cnf").write_text(CONFIGURATION.format(folder=folder, port=port, policy=POLICY))
    return ["uts-server", "-c", str(folder / "peer.cnf")]


def _sigstore(_: Path, port: int) -> list[str]:
    options = ["--timestamp-signer", "memory", "--disable-ntp-monitoring", "--host", "127.0.0.1", "--port", str(port), "--log-type", "prod"]
    return ["timestamp-server", "serve", *options]


@dataclass
class Server:
    """Runs when it is asked to, and is started again when it has died."""

    name: str
    command: Callable[[Path, int], list[str]]
    path: str
    folder: Path
    ours: bool = False
    port: int = 0
    process: "subprocess.Popen[bytes] | None" = None
    died: int = 0
    runs: dict[int, list[tuple[Load, float]]] = field(default_factory=dict)

    def start(self) -> None:
        for _ in range(STARTS):
            if self.process is not None and self.process.poll() is None:
                return
            self.died += self.process is not None
            self.port = free_port()
            command = self.command(self.folder, self.port)
            quiet = None if "--serve" in command else subprocess.DEVNULL
            self.process = pinned(command, stdout=quiet, stderr=quiet, env={**os.environ, **UNLIMITED})
            wait(self.port, self.process)
        if self.process is None or self.process.poll() is not None:
            raise RuntimeError(f"{self.name} does not start")

    def spent(self) -> float:
        """Seconds of processor time so far, of the process with all its threads."""
        assert self.process is not None
        parts = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """MiB of resident memory."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def measure(self, connections: int, arguments: argparse.Namespace) -> None:
        import uvloop

        for _ in range(STARTS):
            self.start()
            try:
                found = uvloop.run(flat_out(self.port, self.path, connections, arguments.seconds, arguments.certificates, self.spent))
            except (OSError, ConnectionError):  # it died in between
                self.stop()
                continue
            self.runs.setdefault(connections, []).append(found)
            return
        raise RuntimeError(f"{self.name} does not last for {arguments.seconds} seconds")

    def rate(self, connections: int) -> float:
        return statistics.median(load.rate for load, _ in self.runs[connections])

    def cost(self, connections: int) -> float:
        return statistics.median(cost for _, cost in self.runs[connections])

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def pinned(command: list[str], **options: object) -> "subprocess.Popen[bytes]":
    pin = [shutil.which("taskset") or "", "-c", "0"] if shutil.which("taskset") else []
    return subprocess.Popen([*pin, *command], **options)  # type: ignore[call-overload,no-any-return]


def wait(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Until it answers, has died, or seems to hang, and then it is made to die."""
    for _ in range(200):
        if process.poll() is not None:
            return
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 10) as probe:
            probe.sendall(b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n")
            if probe.recv(1):
                return
        time.sleep(0.05)
    process.kill()
    process.wait()


# The parts of a run.


def made_party(folder: Path, key: str) -> None:
    """A unit of the kind that is measured, for every server that takes one: the certificate, its key, and its issuers' certificates."""
    from tests import pki

    made = pki.unit(pki.authority(pki.root()), key=key)
    (folder / "unit.pem").write_bytes(made.certificate.x509.public_bytes(serialization.Encoding.PEM))
    (folder / "chain.pem").write_bytes(b"".join(c.x509.public_bytes(serialization.Encoding.PEM) for c in made.chain))
    (folder / "key.pem").write_bytes(
        made.private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def party(folder: Path):  # type: ignore[no-untyped-def]  # trust.ports.Key
    """The same, read by our server as the service reads its own."""
    from cryptography import x509

    from trust.edge.keystore import FileKey
    from trust.model import Cert

    certificates = [Cert(c.public_bytes(serialization.Encoding.DER)) for c in x509.load_pem_x509_certificates((folder / "unit.pem").read_bytes())]
    chain = [Cert(c.public_bytes(serialization.Encoding.DER)) for c in x509.load_pem_x509_certificates((folder / "chain.pem").read_bytes())]
    private = serialization.load_pem_private_key((folder / "key.pem").read_bytes(), None, unsafe_skip_rsa_key_validation=True)
    return FileKey(private, certificates[0], tuple(chain))


def eight() -> bool:
    """Whether signatures are checked eight at a time here."""
    from trust.algorithms import Algorithm
    from trust.edge.eight import sure_of

    return sure_of(ec.generate_private_key(ec.SECP256R1()).public_key(), Algorithm("ecdsa", "sha256")) is not None


def raw_signatures(seconds: float) -> float:
    """RSA-3072 signatures with PKCS #1 a second of processor time, by the library that the authority signs with."""
    key = rsa.generate_private_key(65537, 3072)
    count, began = 0, time.process_time()
    while time.process_time() - began < seconds:
        key.sign(b"attributes", padding.PKCS1v15(), hashes.SHA256())
        count += 1
    return count / (time.process_time() - began)


def openssl_ts(folder: Path, arguments: argparse.Namespace) -> None:
    """One process a token: how OpenSSL's own authority is used from a script."""
    if shutil.which("openssl") is None:
        print("openssl: not on the PATH, not measured")
        return
    (folder / "openssl.cnf").write_text(CONFIGURATION.format(folder=folder, port=0, policy=POLICY))
    (folder / "q.tsq").write_bytes(tsp.encode_request(Digest("sha256", secrets.token_bytes(32)), nonce=1, cert_req=arguments.certificates))
    command = ["openssl", "ts", "-reply", "-queryfile", "q.tsq", "-config", "openssl.cnf", "-section", "tsa", "-out", "r.tsr"]
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < arguments.seconds:
        pinned(command, cwd=folder, stderr=subprocess.DEVNULL).wait()
        count += 1
    rate = count / (time.perf_counter() - began)
    print(f"openssl ts -reply, a process each: {rate:.0f}/s" if (folder / "r.tsr").exists() else "openssl ts: made no token, not measured")


def bytes_each(folder: Path) -> float:
    """Bytes on the disk for each entry, everything folded into the database's file."""
    with sqlite3.connect(folder / "bench.sqlite") as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        entries = database.execute("select count(*) from journal_entry").fetchone()[0]
    return (folder / "bench.sqlite").stat().st_size / max(1, entries)


def servers(folder: Path, key: str, database: str | None = None) -> list[Server]:
    """Ours, and those peers that are on the PATH and know this type of key. `database`: the address of a PostgreSQL on which to record too."""
    folders = {name: folder / name for name in ("recorded", "unrecorded", "peer")}
    made_party(folder, key)
    for each in folders.values():
        shutil.copytree(folder, each, ignore=shutil.ignore_patterns(*folders))
    found = [
        Server("kakuin, recorded first", _ours("recorded"), "/tsa", folders["recorded"], ours=True),
        Server("kakuin, journal off", _ours("unrecorded"), "/tsa", folders["unrecorded"], ours=True),
        Server("kakuin serve, recorded", _whole, "/tsa", folder, ours=True),
    ]
    make_instance(folder / "instance", Answers(key_type=key)).close()
    if database is not None:
        found.append(Server("kakuin, on PostgreSQL", _ours(database), "/tsa", folders["recorded"], ours=True))
    for program, server in (
        ("uts-server", Server("uts-server", _uts, "/", folders["peer"])),
        ("timestamp-server", Server("sigstore timestamp-server", _sigstore, "/api/v1/timestamp", folders["peer"])),
    ):
        if shutil.which(program) is None:
            print(f"{program}: not on the PATH, not measured")
        elif key == "p256" or program == "uts-server":
            found.append(server)
    return found


def table(found: list[Server], connections: int) -> None:
    print(f"\n{connections} connections: answers/s, median (spread); processor time each, median (spread); time to answer, median and p99")
    for server in found:
        rates = sorted(load.rate for load, _ in server.runs[connections])
        costs = sorted(cost for _, cost in server.runs[connections])
        waits = [statistics.median(getattr(load, name) for load, _ in server.runs[connections]) for name in ("p50", "p99")]
        print(
            f"  {server.name:28} {server.rate(connections):7.0f}/s ({rates[0]:.0f} to {rates[-1]:.0f})   "
            f"{server.cost(connections):6.1f} us ({costs[0]:.1f} to {costs[-1]:.1f})   {waits[0]:.1f} ms, {waits[1]:.1f} ms"
        )
    for ours, peer in itertools.product(found, found):
        if ours.ours and not peer.ours:
            wall = statistics.median(
                mine.rate / other.rate for (mine, _), (other, _) in zip(ours.runs[connections], peer.runs[connections], strict=True)
            )
            used = statistics.median(other / mine for (_, mine), (_, other) in zip(ours.runs[connections], peer.runs[connections], strict=True))
            print(f"  {ours.name} / {peer.name}: {wall:.2f} by the wall, {used:.2f} by processor time (medians of the runs' ratios)")


def half_load(ours: Server, connections: int, arguments: argparse.Namespace) -> None:
    import uvloop

    rate = ours.rate(connections) / 2
    ours.start()
    found = uvloop.run(paced(ours.port, ours.path, connections, arguments.seconds, arguments.certificates, rate))
    print(f"\nat half load ({rate:.0f}/s asked, {found.rate:.0f}/s answered): median {found.p50:.1f} ms, p99 {found.p99:.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--key", default="p256")
    parser.add_argument("--connections", type=int, nargs="+", default=[32, 64])
    parser.add_argument("--certificates", action="store_true", help="ask for the certificates in each token")
    parser.add_argument("--postgresql", action="store_true", help="record on a PostgreSQL too")
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--raw", type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        folder, port, record = arguments.serve
        serve(Path(folder), int(port), record)
        return
    if arguments.raw:
        print(raw_signatures(arguments.raw))
        return
    if len(os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(0, os.sched_getaffinity(0) - {0})
    print(f"signatures of ours are checked {'eight at a time' if eight() else 'one by one'}")
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        cluster = stack.enter_context(postgres.cluster()) if arguments.postgresql else None
        run(Path(name), arguments, cluster)


def run(folder: Path, arguments: argparse.Namespace, cluster: "postgres.Cluster | None") -> None:
    found = servers(folder, arguments.key, None if cluster is None else cluster.database())
    raw: list[float] = []
    try:
        for _ in range(arguments.runs):
            for connections in arguments.connections:
                for server in found:
                    server.measure(connections, arguments)
            if arguments.key == "rsa3072":
                made = pinned([sys.executable, __file__, "--raw", str(arguments.seconds)], stdout=subprocess.PIPE)
                raw.append(float(made.communicate()[0]))
        for connections in arguments.connections:
            table(found, connections)
        if raw:
            rate = statistics.median(raw)
            ours = [server for server in found if server.ours]
            shares = [f"{1e6 / server.cost(n) / rate:.3f} ({server.name}, {n} connections)" for server in ours for n in arguments.connections]
            print(f"\nraw RSA-3072 signatures: {rate:.0f} a second of processor time; of that, in tokens: {', '.join(shares)}")
        half_load(found[0], arguments.connections[-1], arguments)
        print("memory: " + ", ".join(f"{server.name} {server.memory():.0f} MiB" for server in found))
        print("started again because they died: " + (", ".join(f"{s.name} {s.died} times" for s in found if s.died) or "none"))
    finally:
        for server in found:
            server.stop()
    print(f"the journal on the disk: {bytes_each(found[0].folder):.0f} bytes a token")
    openssl_ts(folder, arguments)


if __name__ == "__main__":
    main()
