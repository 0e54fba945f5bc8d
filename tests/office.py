"""A real office: an instance made by `kakuin init` and served by `kakuin serve`, as an operator would, in a folder that goes away."""

import functools
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

KAKUIN = Path(sys.executable).with_name("kakuin")
PATIENCE = 30.0
"""Seconds that a server may take to start."""


def run(*args: str | Path, stdin: bytes | None = None, check: bool = True, env: dict[str, str] | None = None) -> "subprocess.CompletedProcess[bytes]":
    """One kakuin command; its output in the error when it fails."""
    done = subprocess.run(
        [KAKUIN, *map(str, args)], input=stdin, capture_output=True, check=False, env={**os.environ, "NO_COLOR": "1", **(env or {})}
    )
    if check and done.returncode:
        message = f"kakuin {' '.join(map(str, args))} ended with {done.returncode}\n{done.stdout.decode()}\n{done.stderr.decode()}"
        raise AssertionError(message)
    return done


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Office:
    folder: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = None
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.folder / "serve.log"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def root(self) -> Path:
        return self.folder / "anchors" / "root.pem"

    @classmethod
    def create(cls, folder: Path, *more: str) -> "Office":
        """`more`: of `kakuin init`."""
        port = free_port()
        run("init", "--instance", folder, "--base-url", f"http://127.0.0.1:{port}", *more)
        return cls(folder, port)

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [KAKUIN, "serve", "--instance", self.folder, "--port", str(self.port)], stdout=log, stderr=log, env={**os.environ, "NO_COLOR": "1"}
            )
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError("kakuin serve ended: " + self.log.read_text())
            try:
                urllib.request.urlopen(self.url + "/pki/root.crl", timeout=2).read()
                return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.05)
        raise AssertionError("kakuin serve did not answer: " + self.log.read_text())

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(15)
            self.process = None

    def kill(self) -> None:
        """What a power cut does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(15)
            self.process = None

    def seal(self, *files: Path, **asked: str) -> bytes:
        """By the service, which is warm: a command starts anew for each. What is `asked` has the names of the API."""
        from eseal.client import seal_at
        from trust.edge.source import document_of

        first, *more = map(document_of, files)
        return b"".join(seal_at(self.url, self._key, first, asked, more=more)[1])

    @functools.cached_property
    def _key(self) -> str:
        return self.api_key()

    def api_key(self) -> str:
        return run("apikey", "create", "--instance", self.folder).stdout.decode().strip().splitlines()[-1]
