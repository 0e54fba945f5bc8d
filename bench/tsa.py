"""Time-stamp requests a second over loopback, each token recorded first, beside peers where they are installed.

    python bench/tsa.py [--seconds 3] [--runs 3] [--key p256] [--connections 32 64] [--certificates]

The server is pinned to the first core, the load to the others. Peers where they are on the PATH: `uts-server` (C, OpenSSL; records nothing, checks
nothing), and `openssl ts -reply` as a command, one process a token, as a floor. Medians of the runs, with their spread.
"""

import argparse
import asyncio
import os
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cryptography.hazmat.primitives import serialization

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from trust.codecs import tsp  # noqa: E402
from trust.model import Digest  # noqa: E402

POLICY = "1.3.6.1.4.1.32473.1.1"
WARM_UP = 0.5
"""Seconds."""


# The server: the authority and nothing else.


def serve(folder: str, port: int, key: str) -> None:
    import uvicorn

    from tests import pki
    from trust.edge.clock import now
    from trust.edge.engine import connect, sqlite_url
    from trust.edge.strict_http import StrictHttp
    from trust.log.journal import Journal
    from trust.log.tables import METADATA
    from tsa.api import Endpoint
    from tsa.issue import Unit
    from tsa.policy import Policy
    from tsa.service import Authority

    party = pki.unit(pki.authority(pki.root()), key=key)
    (Path(folder) / "unit.pem").write_bytes(party.certificate.x509.public_bytes(serialization.Encoding.PEM))
    (Path(folder) / "key.pem").write_bytes(
        party.private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    engine = connect(sqlite_url(Path(folder) / "bench.sqlite"))
    METADATA.create_all(engine)
    with Journal(engine, now) as journal:
        endpoint = Endpoint(Authority(Unit.of("bench", Policy(POLICY), party), journal, now))
        uvicorn.run(endpoint, port=port, http=StrictHttp, loop="uvloop", ws="none", access_log=False, log_level="error", server_header=False)


# The load: asyncio streams with keep-alive, requests prepared beforehand.


def request(path: str, cert_req: bool) -> bytes:
    body = tsp.encode_request(Digest("sha256", secrets.token_bytes(32)), nonce=secrets.randbits(64), cert_req=cert_req)
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/timestamp-query\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Client(asyncio.Protocol):
    """Sends the next request as soon as the answer to the last one is whole."""

    def __init__(self, prepared: list[bytes], took: list[float]) -> None:
        self.prepared = prepared
        self.took = took
        self.buffer = b""
        self.at = 0
        self.stopped = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        self.began = time.perf_counter()
        self.transport.write(self.prepared[self.at % len(self.prepared)])  # type: ignore[attr-defined]
        self.at += 1

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.buffer[:end].lower()
        length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        if len(self.buffer) < end + 4 + length:
            return
        if not head.startswith(b"http/1.1 200") or length < 300:
            raise RuntimeError(f"no token: {self.buffer[:200]!r}")
        self.buffer = self.buffer[end + 4 + length :]
        self.took.append(time.perf_counter() - self.began)
        if not self.stopped:
            self.send()


async def load(port: int, path: str, connections: int, seconds: float, cert_req: bool) -> tuple[float, float]:
    """Requests a second, and the 99th percentile of their time in milliseconds."""
    loop = asyncio.get_running_loop()
    took: list[float] = []
    prepared = [request(path, cert_req) for _ in range(256)]
    clients = []
    for _ in range(connections):
        _, client = await loop.create_connection(lambda: Client(prepared, took), "127.0.0.1", port)
        clients.append(client)
    await asyncio.sleep(WARM_UP)
    took.clear()
    began = time.perf_counter()
    await asyncio.sleep(seconds)
    count, elapsed = len(took), time.perf_counter() - began
    for client in clients:
        client.stopped = True
        client.transport.close()  # type: ignore[attr-defined]
    if not count:
        raise RuntimeError("nothing was answered")
    return count / elapsed, sorted(took)[int(count * 0.99) - 1] * 1000


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def pinned(command: list[str], **options: object) -> "subprocess.Popen[bytes]":
    pin = [shutil.which("taskset") or "", "-c", "0"] if shutil.which("taskset") else []
    return subprocess.Popen([*pin, *command], **options)  # type: ignore[call-overload,no-any-return]


def wait(port: int, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(400):
        if process.poll() is not None:
            raise RuntimeError("the server ended")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("the server did not start")


def measure(port: int, path: str, connections: int, arguments: argparse.Namespace) -> tuple[list[float], float]:
    import uvloop

    runs = [uvloop.run(load(port, path, connections, arguments.seconds, arguments.certificates)) for _ in range(arguments.runs)]
    return sorted(rate for rate, _ in runs), statistics.median(p99 for _, p99 in runs)


def told(name: str, connections: int, rates: list[float], p99: float) -> float:
    middle = statistics.median(rates)
    print(f"{name:34} {connections:3} connections  {middle:8.0f}/s  ({rates[0]:.0f} to {rates[-1]:.0f})  p99 {p99:6.1f} ms", flush=True)
    return middle


CONFIGURATION = """
[main]
listening_ports = 127.0.0.1:{port}
enable_keep_alive = yes
num_threads = 64
tcp_nodelay = 1
log_level = err
[tsa]
default_tsa = unit
[unit]
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


def kakuin(folder: Path, arguments: argparse.Namespace) -> dict[int, float]:
    port = free_port()
    process = pinned([sys.executable, __file__, "--serve", str(folder), str(port), arguments.key])
    try:
        wait(port, process)
        return {n: told(f"kakuin, {arguments.key}, SQLite first", n, *measure(port, "/tsa", n, arguments)) for n in arguments.connections}
    finally:
        process.terminate()
        process.wait()


def uts_server(folder: Path, arguments: argparse.Namespace, ours: dict[int, float]) -> None:
    if shutil.which("uts-server") is None:
        print("uts-server: not on the PATH, not measured")
        return
    for connections in arguments.connections:
        port = free_port()
        (folder / "peer.cnf").write_text(CONFIGURATION.format(folder=folder, port=port, policy=POLICY))
        process = pinned(["uts-server", "-c", str(folder / "peer.cnf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait(port, process)
            theirs = told(f"uts-server, {arguments.key}, no record", connections, *measure(port, "/", connections, arguments))
            print(f"{'':34} kakuin / uts-server: {ours[connections] / theirs:.2f}")
        finally:
            process.kill()
            process.wait()


def openssl_ts(folder: Path, arguments: argparse.Namespace) -> None:
    """One process a token: how OpenSSL's own authority is used from a script."""
    if shutil.which("openssl") is None:
        print("openssl: not on the PATH, not measured")
        return
    (folder / "openssl.cnf").write_text(CONFIGURATION.format(folder=folder, port=0, policy=POLICY))
    (folder / "q.tsq").write_bytes(tsp.encode_request(Digest("sha256", secrets.token_bytes(32)), nonce=1, cert_req=arguments.certificates))
    command = ["openssl", "ts", "-reply", "-queryfile", "q.tsq", "-config", "openssl.cnf", "-section", "unit", "-out", "r.tsr"]
    rates = []
    for _ in range(arguments.runs):
        count, began = 0, time.perf_counter()
        while time.perf_counter() - began < arguments.seconds:
            pinned(command, cwd=folder, stderr=subprocess.DEVNULL).wait()
            count += 1
        rates.append(count / (time.perf_counter() - began))
    if not (folder / "r.tsr").exists():
        print("openssl ts: made no token, not measured")
        return
    told(f"openssl ts -reply, {arguments.key}, no record", 1, sorted(rates), 1000 / statistics.median(rates))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--key", default="p256")
    parser.add_argument("--connections", type=int, nargs="+", default=[32, 64])
    parser.add_argument("--certificates", action="store_true", help="ask for the certificates in each token")
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        folder, port, key = arguments.serve
        serve(folder, int(port), key)
        return
    if len(os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(0, os.sched_getaffinity(0) - {0})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours = kakuin(folder, arguments)
        uts_server(folder, arguments, ours)
        openssl_ts(folder, arguments)


if __name__ == "__main__":
    main()
