"""How fast `kakuin audit` is, and what memory it takes, beside others that verify time-stamps.

    python bench/audit.py [--tokens 20000] [--large 100000] [--runs 3] [--openssl 30]

export   an export of a log with so many tokens of one P-256 unit: each judged with its status, the log checked, a row written; a process each time
folder   the same tokens as files, a tenth of them
memory   the largest resident memory of that process for the tokens of the first figure, and for `--large` of them (1000000: the whole promise; its
         export takes 2.6 GB)

rfc3161-client (no status, no log, no rows) verifies the same tokens in one warm process; `openssl ts -verify` has a process for each.
"""

import argparse
import hashlib
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
KAKUIN = Path(sys.executable).parent / "kakuin"


def row(what: str, figure: str, beside: str = "", wanted: str = "") -> None:
    print(f"| {what} | {figure} | {beside} | {wanted} |", flush=True)


def spread(found: Sequence[float]) -> str:
    return f"{statistics.median(found):,.0f} ({min(found):,.0f} to {max(found):,.0f})"


class Made:
    """Authority, unit and tokens, without a service: what a log would hold."""

    def __init__(self, folder: Path) -> None:
        from tests import pki, tsu
        from tsa.events import serials
        from tsa.issue import Unit

        self.folder = folder
        self.root, self.ca = tsu.issuers()
        self.party = tsu.party("p256")
        self.unit = Unit.of(serials(self.party.certificate), tsu.POLICY, self.party)
        self.now = pki.SIGNED
        (folder / "root.cer").write_bytes(self.root.certificate.der)
        (folder / "ca.cer").write_bytes(self.ca.certificate.der)
        for name, issuer in (("root.crl", self.root), ("ca.crl", self.ca)):
            (folder / name).write_bytes(pki.crl(issuer, this_update=pki.SIGNED + pki.DAY).der)
        self.at = (pki.SIGNED + 2 * pki.DAY).isoformat()

    def tokens(self, count: int) -> Iterator[tuple[bytes, bytes, Any]]:
        """Response, token and time. Signed in earnest, and not checked after that, which would take longer: the audit does."""
        from trust.codecs import tsp
        from trust.model import Digest
        from tsa.issue import grant, read

        unit = replace(self.unit, check=lambda _signature, _attributes: True)
        for n in range(count):
            digest = hashlib.sha256(b"document %d" % n).digest()
            asked = read(tsp.encode_request(Digest("sha256", digest), cert_req=True, nonce=n << 32 | 1))
            moment = self.now + timedelta(milliseconds=n)
            made = grant(asked, unit, moment, n + 1)
            assert made.token is not None
            yield made.der, made.token, moment

    def export(self, count: int) -> Path:
        from trust.log.journal import Entry
        from trust.log.page import entry_data, microseconds
        from trust.log.reading import exported
        from trust.log.tree import leaf_hash

        path = self.folder / f"{count}.jsonl"
        clock = b'{"accuracy_us":1000000,"bound_us":900,"event":"clock","node":"a","reason":"state","sources":[],"state":"good","was":"starting"}'
        heads = [("certificate", self.ca.certificate.der), ("certificate", self.party.certificate.der), ("event", clock)]

        def entries() -> Iterator[tuple[str, bytes, Any, Any]]:
            for kind, body in heads:
                yield kind, body, self.now, None
            for serial, (_, token, moment) in enumerate(self.tokens(count), start=1):
                yield "token", token, moment, serial

        with path.open("w") as out:
            for index, (kind, body, moment, serial) in enumerate(entries()):
                leaf = leaf_hash(entry_data(kind, microseconds(moment), body))
                out.write(exported(Entry(index, kind, moment, body, leaf, serial and self.unit.name, serial)) + "\n")
        return path

    def files(self, count: int) -> Path:
        folder = self.folder / "tokens"
        folder.mkdir()
        for n, (response, _, _) in enumerate(self.tokens(count)):
            (folder / f"{n}.tsr").write_bytes(response)
        return folder

    def audited(self, *source: str | Path) -> tuple[float, float]:
        """Seconds of processor time, and MiB at most resident, of one process on one core."""
        beside = ["--trust", "root.cer", "--certificate", "ca.cer", "--crl", "root.crl", "--crl", "ca.crl", "--at", self.at, "--csv", "out.csv"]
        pinned = ["taskset", "-c", "0"] if shutil.which("taskset") else []
        process = subprocess.Popen([*pinned, str(KAKUIN), "audit", *map(str, source), *beside], cwd=self.folder, stdout=subprocess.PIPE)
        assert process.stdout is not None
        out = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"kakuin audit: exit {process.returncode}\n{out.decode()}")
        return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def peer(made: Made, count: int) -> float:
    """Tokens a second of processor time."""
    import rfc3161_client

    responses = [(response, b"document %d" % n) for n, (response, _, _) in enumerate(made.tokens(count))]
    verifier = rfc3161_client.VerifierBuilder().add_root_certificate(made.root.certificate.x509).build()
    began = time.process_time()
    for response, content in responses:
        verifier.verify_message(rfc3161_client.decode_timestamp_response(response), content)
    return count / (time.process_time() - began)


def openssl(made: Made, count: int) -> float:
    """The same, a process each."""
    from cryptography.hazmat.primitives.serialization import Encoding

    (made.folder / "root.pem").write_bytes(made.root.certificate.x509.public_bytes(Encoding.PEM))
    (made.folder / "ca.pem").write_bytes(made.ca.certificate.x509.public_bytes(Encoding.PEM))
    seconds = made.now.timestamp() + 86400
    digests = [hashlib.sha256(b"document %d" % n).hexdigest() for n in range(count)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for n, digest in enumerate(digests):
        command = ["openssl", "ts", "-verify", "-digest", digest, "-in", f"tokens/{n}.tsr", "-CAfile", "root.pem", "-untrusted", "ca.pem"]
        subprocess.run([*command, "-attime", f"{seconds:.0f}"], cwd=made.folder, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return count / (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=20_000)
    parser.add_argument("--large", type=int, default=100_000, help="0: leave it out")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--openssl", type=int, default=30, help="tokens for openssl; 0: leave it out")
    options = parser.parse_args()
    print("| what | kakuin audit | beside | wanted |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        made = Made(Path(folder))
        export, files = made.export(options.tokens), made.files(options.tokens // 10)
        of_export = [made.audited("--export", export) for _ in range(options.runs)]
        rates = [options.tokens / seconds for seconds, _ in of_export]
        theirs = [peer(made, options.tokens // 10) for _ in range(options.runs)]
        row(f"export of {options.tokens:,} tokens, /s of processor", spread(rates), f"rfc3161-client {spread(theirs)}", "5,000")
        of_folder = [made.audited(files) for _ in range(options.runs)]
        beside = ""
        if options.openssl and shutil.which("openssl"):
            beside = f"openssl ts -verify, a process each: {openssl(made, options.openssl):,.0f}"
        row(f"folder of {options.tokens // 10:,} tokens, /s of processor", spread([options.tokens / 10 / s for s, _ in of_folder]), beside)
        row(f"largest resident memory, {options.tokens:,} tokens, MiB", f"{max(m for _, m in of_export):.0f}")
        if options.large:
            seconds, memory = made.audited("--export", made.export(options.large))
            row(f"largest resident memory, {options.large:,} tokens, MiB ({options.large / seconds:,.0f}/s)", f"{memory:.0f}", "", "the same")


if __name__ == "__main__":
    main()
