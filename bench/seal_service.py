"""Seals through the service, as a client sees them: latency of one at a time, and seals a second of several callers. See `bench.seal --service`."""

import http.client
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from eseal.spec import Format, Level, Packaging
from trust.edge.founding import Answers, make_instance

PAUSE = 0.1
"""Seconds between seals of one caller who is alone: nobody seals without a breath."""
ROWS: Sequence[tuple[Format, Packaging, Level]] = (
    (Format.CADES, Packaging.DETACHED, Level.B_B),
    (Format.CADES, Packaging.DETACHED, Level.B_LTA),
    (Format.JADES, Packaging.ATTACHED, Level.B_B),
    (Format.XADES, Packaging.DETACHED, Level.B_B),
    (Format.XADES, Packaging.ENVELOPED, Level.B_B),
    (Format.XADES, Packaging.ENVELOPED, Level.B_LTA),
    (Format.ASIC_E_XADES, Packaging.ATTACHED, Level.B_B),
    (Format.PADES, Packaging.ENVELOPED, Level.B_B),
    (Format.PADES, Packaging.ENVELOPED, Level.B_LTA),
)


@dataclass(frozen=True, slots=True)
class Served:
    """`kakuin serve`, and who may seal there."""

    port: int
    key: str

    def seal(self, connection: http.client.HTTPConnection, row: tuple[Format, Packaging, Level], data: bytes, media_type: str) -> float:
        """Seconds until the sealed document is there."""
        format_, packaging, level = row
        asked = urlencode({"format": format_, "packaging": packaging, "level": level})
        said = {"Authorization": f"Bearer {self.key}", "Content-Type": media_type}
        begun = time.perf_counter()
        connection.request("POST", f"/v1/seals?{asked}", data, said)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"the service answered {answer.status}: {body[:200]!r}")
        return time.perf_counter() - begun

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)


@contextmanager
def serving() -> Iterator[Served]:
    """A service of its own, with an API key, until the block ends."""
    from cli import House

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "instance"
        with make_instance(folder, Answers()):
            pass
        with House(folder) as house:
            key, _ = house.api_keys.create(house.organisation(None))
        command = [sys.executable, "-c", "import sys; from cli import main; sys.exit(main(sys.argv[1:]))", "serve", "--instance", str(folder)]
        unlimited = {**os.environ, "KAKUIN_LIMITS_SEALS": ""}
        process = subprocess.Popen([*command, "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=unlimited)
        try:
            if process.stdout is None or not (said := process.stdout.readline()):
                raise RuntimeError("the service did not start")
            yield Served(int(said.partition("http://")[2].partition(":")[2].partition(" ")[0].rstrip("/")), key)
        finally:
            process.terminate()
            process.wait(30)


def alone(one: Callable[[], float], times: int) -> list[float]:
    """Milliseconds of each."""
    took = []
    for turn in range(times + 3):
        time.sleep(PAUSE)
        seconds = one()
        if turn >= 3:
            took.append(seconds * 1000)
    return took


def together(served: Served, row: tuple[Format, Packaging, Level], given: tuple[bytes, str], callers: int, seconds: float) -> tuple[float, float]:
    """Seals a second, and the median of milliseconds that one waits."""
    took: list[float] = []
    stop = time.perf_counter() + seconds

    def call() -> None:
        connection = served.connection()
        while time.perf_counter() < stop:
            took.append(served.seal(connection, row, *given) * 1000)
        connection.close()

    threads = [threading.Thread(target=call) for _ in range(callers)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(took) / (time.perf_counter() - begun), statistics.median(took)


def measured(document_of: Callable[[Format, Packaging], tuple[bytes, str]], only: str, times: int, callers: int) -> Iterator[str]:
    """A line for each row whose name has `only` in it."""
    with serving() as served:
        time.sleep(1)  # until its processes are ready
        for row in ROWS:
            name = " ".join(row)
            if only not in name:
                continue
            given, connection = document_of(row[0], row[1]), served.connection()
            took = sorted(alone(lambda row=row, given=given, connection=connection: served.seal(connection, row, *given), times))
            connection.close()
            rate, wait = together(served, row, given, callers, 2.0)
            tail = took[min(len(took) - 1, len(took) * 9 // 10)]
            yield f"{name:34} alone {statistics.median(took):6.1f} ms (p90 {tail:.1f})   {callers} callers {rate:6.0f}/s, {wait:.0f} ms each"
