"""The verifier's speed and memory, each figure beside a peer in the same run where there is one.

    python bench/verify.py [cold] [warm] [tokens] [signatures] [container] [--dss PATH] [--pyhanko PATH] [--runs 5] [--gigabytes 5]

cold        one PAdES B-LTA, a process each time: `kakuin verify`, `pyhanko sign adesverify`, EU DSS; interleaved, medians
warm        files a second of processor time, one process each, by family of formats: the corpus beside the project, EU DSS in one warm JVM
tokens      RFC 3161 tokens of one unit verified one after the other on one core, and what memory grows by; rfc3161-client beside it
signatures  a PDF with 5 to 80 signatures (B-T), and whether it takes twice as long for twice as many
container   an ASiC-S of many gigabytes: time, and the largest resident memory of any of its processes

`--dss` is a program that takes `validate FILE --trust CERT` and `batch` (jobs on standard input), such as oracle/dss beside the corpora.
"""

import argparse
import collections
import gc
import hashlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
sys.path.insert(0, str(ROOT))

BIN = Path(sys.executable).parent
KAKUIN = BIN / "kakuin"
CORE = "0"


def pinned(command: Sequence[str | Path]) -> list[str]:
    """On one core, where that can be said."""
    return [*([shutil.which("taskset") or "", "-c", CORE] if shutil.which("taskset") else []), *map(str, command)]


def row(what: str, ours: float, unit: str, peer: str = "", theirs: float | None = None, wanted: str = "") -> None:
    """A line of the table: the figure, the peer's, and ours as a part of theirs."""
    beside = f"{peer} {theirs:.4g} {unit}, ratio {ours / theirs:.3g}" if theirs else peer
    print(f"| {what} | {ours:.4g} {unit} | {beside} | {wanted} |", flush=True)


# One PDF, a process each time


def cold(folder: Path, options: argparse.Namespace) -> None:
    from eseal.demonstration import pdf

    instance, paper = folder / "instance", folder / "paper.pdf"
    paper.write_bytes(pdf())
    quiet: dict[str, Any] = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    subprocess.run([KAKUIN, "init", "--instance", instance], **quiet)
    subprocess.run([KAKUIN, "seal", paper, "--instance", instance, "--level", "B-LTA", "-o", folder / "sealed.pdf"], **quiet)
    root = next((instance / "anchors").glob("*.pem"))
    commands: dict[str, list[Any]] = {"kakuin": [KAKUIN, "verify", "sealed.pdf", "--trust", root]}
    if options.pyhanko.exists():
        commands["pyhanko"] = [options.pyhanko, "sign", "adesverify", "--executive-summary", "--trust-replace", "--trust", root, "sealed.pdf"]
    if options.dss:
        commands["EU DSS"] = [options.dss, "validate", "sealed.pdf", "--trust", root]
    took: dict[str, list[float]] = collections.defaultdict(list)
    for turn in range(options.runs + 1):
        for name, command in commands.items():
            began = time.perf_counter()
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
            if turn:  # the first fills the disk's cache
                took[name].append(time.perf_counter() - began)
            if name == "kakuin" and done.returncode:
                raise SystemExit(f"kakuin verify: exit {done.returncode}\n{done.stdout}{done.stderr}")
    ours = statistics.median(took["kakuin"])
    for name, wanted in (("pyhanko", "below 1"), ("EU DSS", "below 0.25")):
        if name in took:
            what = f"cold, one PAdES B-LTA ({len(took[name])} runs, medians; {_spread(took['kakuin'])})"
            row(what, ours, "s", f"{name} ({_spread(took[name])})", statistics.median(took[name]), wanted)
        else:
            row("cold, one PAdES B-LTA", ours, "s", f"{name} is absent", wanted=wanted)


# The corpus, one warm process


FAMILIES = ("PAdES", "CAdES", "XAdES", "JAdES", "ASiC", "ERS", "TST")


def family(kind: str) -> str:
    """ASiC-E+XAdES is ASiC; XMLERS is ERS; what is rare is `other`."""
    kind = "ASiC" if kind.startswith(("ASiC", "ODF", "X-ROAD")) else kind.replace("XMLERS", "ERS").replace("DDOC", "XAdES")
    return kind if kind in FAMILIES else "other"


def jobs(corpus: str, world: str) -> list[str]:
    listed = [sys.executable, SHARED / "oracle" / "corpus.py", "jobs", SHARED / corpus, world]
    return subprocess.run(listed, capture_output=True, text=True, check=True).stdout.splitlines(keepends=True)


class Batch:
    """One warm process on one core: a job in, an answer out."""

    def __init__(self, command: Sequence[str | Path]) -> None:
        self._process = subprocess.Popen(pinned(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def __call__(self, job: str) -> float:
        """Milliseconds."""
        assert self._process.stdin and self._process.stdout
        began = time.perf_counter()
        self._process.stdin.write(job)
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"no answer for {job[:200]}")
        return 1000 * (time.perf_counter() - began)

    def processor(self) -> float:
        """Seconds of processor time so far: what other work there is on the machine does not count."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        self._process.communicate()


def warm(_folder: Path, options: argparse.Namespace) -> None:
    """The peers take turns, file by file, so that whatever else the machine does, it does to both; rates are of processor time."""
    if not SHARED.is_dir():
        print("| warm | not measured: no corpora beside the project | | |")
        return
    kinds = {r["id"]: r["format"] for r in map(json.loads, (SHARED / "corpus" / "manifest.jsonl").open(encoding="utf-8"))}
    first, measured = jobs("forged", "then"), jobs("corpus", "then")  # other files first: code is warm, no answer is
    commands: dict[str, list[Any]] = {"kakuin": [KAKUIN, "verify", "--batch", "-", "--policy", "eu"]}
    if options.dss:
        commands["EU DSS"] = [options.dss, "batch"]
    peers = {name: Batch(command) for name, command in commands.items()}
    spent: dict[str, dict[str, list[float]]] = {name: collections.defaultdict(list) for name in peers}
    busy: dict[str, dict[str, float]] = {name: {} for name in peers}
    for job in first[:: max(1, len(first) // options.warm_up)]:
        for ask in peers.values():
            ask(job)
    by_family: dict[str, list[str]] = collections.defaultdict(list)
    for job in measured:
        by_family[family(kinds[json.loads(job)["id"]])].append(job)
    for each, found in by_family.items():
        before = {name: peer.processor() for name, peer in peers.items()}
        for job in found[:: -(-len(found) // options.files)]:
            for name, ask in peers.items():
                spent[name][each].append(ask(job))
        for name, peer in peers.items():
            busy[name][each] = peer.processor() - before[name]
    for peer in peers.values():
        peer.close()
    for each in (*FAMILIES, "other", "all"):
        chosen = [kind for kind in by_family if each in (kind, "all")]
        if not chosen:
            continue
        taken = {name: [ms for kind in chosen for ms in spent[name][kind]] for name in peers}
        rates = {name: len(taken[name]) / sum(busy[name][kind] for kind in chosen) for name in peers}
        middle = ", ".join(f"{name} {statistics.median(ms):.1f}" for name, ms in taken.items())
        what = f"warm, {each} ({len(taken['kakuin'])} files; medians in ms: {middle})"
        row(what, rates["kakuin"], "/s of processor", "EU DSS" if "EU DSS" in rates else "EU DSS is absent", rates.get("EU DSS"), "above 1")


# Tokens


def tokens(folder: Path, options: argparse.Namespace) -> None:
    import rfc3161_client

    from tests import pki, tsu
    from trust.codecs import tsp
    from trust.model import Digest
    from verifier.policy import load
    from verifier.service import Verifier
    from verifier.verdict import Verdict

    authority, log = tsu.authority(folder)
    data = [b"document %d" % i for i in range(options.tokens)]
    replies = [authority.stamp(tsp.encode_request(Digest.of("sha256", d), cert_req=True)) for d in data]
    log.close()
    root, _ = tsu.issuers()
    now = tsu.clock()
    lists = [pki.crl(issuer, this_update=now) for issuer in tsu.issuers()]
    verifier = Verifier(tsu.clock, load("strict"), (root.certificate,))

    def ours() -> bool:
        pairs = ((reply, Digest.of("sha256", content)) for reply, content in zip(replies, data, strict=True))
        return all(isinstance(found, Verdict) and found.conclusion == "passed" for found in verifier.tokens(pairs, crls=lists))

    peer = rfc3161_client.VerifierBuilder().add_root_certificate(root.certificate.x509).build()

    def theirs() -> bool:
        return all(peer.verify_message(rfc3161_client.decode_timestamp_response(r), c) for r, c in zip(replies, data, strict=True))

    def spent(check: Callable[[], bool]) -> float:
        began = time.process_time()
        if not check():
            raise SystemExit("a token of our own does not pass")
        return time.process_time() - began

    gc.collect()
    gc.freeze()  # what the benchmark itself has loaded is no work of either
    spent(ours), spent(theirs)
    before = _resident()
    turns = [(spent(ours), spent(theirs)) for _ in range(options.runs)]
    grown = _resident() - before
    mine, peers = ([len(replies) / seconds for seconds in found] for found in zip(*turns, strict=True))
    what = f"RFC 3161 tokens, P-256, whole verdict with status, one core ({len(replies)}, {options.runs} turns: {_spread(mine)})"
    row(what, statistics.median(mine), "/s of processor", f"rfc3161-client, without status ({_spread(peers)})", statistics.median(peers), "5000/s")
    row(f"memory that {options.runs} times as many leave behind", grown / (1 << 20), "MiB", "", None, "constant")


def _spread(found: Sequence[float]) -> str:
    """From the least to the most."""
    return f"{min(found):.4g} to {max(found):.4g}"


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


# Many signatures in one PDF


def signatures(_folder: Path, _options: argparse.Namespace) -> None:
    from eseal.demonstration import pdf
    from eseal.formats import pades
    from eseal.spec import choose
    from tests import pki
    from tests.sealing import means, whole
    from trust.model import Document
    from verifier.policy import load
    from verifier.service import Verifier, answer

    office = pki.pki()
    verifier = Verifier(lambda: pki.CHECKED, load("strict"), (office.root.certificate,))
    took: dict[int, float] = {}
    data = pdf()
    for count in range(1, 81):
        document = Document.of(data)
        data = whole(document, pades.seal(document, choose(data[:1024], level="B-T"), means(office)))
        if count in (5, 10, 20, 40, 80):
            runs = []
            for _ in range(5):
                began = time.process_time()
                found = answer(verifier.question(Document.of(data), crls=office.crls(pki.SIGNED + pki.DAY)))
                runs.append(time.process_time() - began)
            if len(found["signatures"]) != count or found["conclusion"] != "passed":
                raise SystemExit(f"{count} signatures: {found['conclusion']}, {found['reasons']}")
            took[count] = statistics.median(runs)
    for count, seconds in took.items():
        row(f"PDF with {count} signatures, B-T ({1000 * seconds / count:.1f} ms each)", seconds, "s", "", None, "20: below 2 s")
    for count in (20, 80):
        row(f"{count} signatures over twice {count // 2} (1: linear)", took[count] / (2 * took[count // 2]), "", "", None, "about 1")


# A very large container


class Sparse:
    """A file that zeros are not written into."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")

    def write(self, data: bytes) -> int:
        if len(data) > 4096 and not any(data[:16]) and data.count(0) == len(data):
            self._file.seek(len(data), os.SEEK_CUR)
        else:
            self._file.write(data)
        return len(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def container(folder: Path, options: argparse.Namespace) -> None:
    from tests import pki
    from tests.asic_maker import ASIC_S
    from tests.envelopes import MESSAGE_DIGEST, attribute, envelope, octets, signer_info, usual_attributes

    office = pki.pki()
    size, block = options.gigabytes << 30, bytes(1 << 20)
    hashed = hashlib.sha256()
    for _ in range(size // len(block)):
        hashed.update(block)
    usual = usual_attributes(office.signer, b"")
    usual[2] = attribute(MESSAGE_DIGEST, octets(hashed.digest()))
    signed = envelope([signer_info(office.signer, b"", attributes=usual)], certs=(office.signer.certificate, office.ca.certificate))
    path = folder / "large.asics"
    made = Sparse(path)
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as box:  # type: ignore[call-overload]
        box.writestr("mimetype", ASIC_S)
        with box.open("data.bin", "w", force_zip64=True) as entry:
            for _ in range(size // len(block)):
                entry.write(block)
        box.writestr("META-INF/signature.p7s", signed)
    made.truncate(max(made.tell(), path.stat().st_size))
    made.close()
    (folder / "root.cer").write_bytes(office.root.certificate.der)
    lists = office.crls(pki.SIGNED + pki.DAY)
    for name, found in zip(("root.crl", "ca.crl"), lists, strict=True):
        (folder / name).write_bytes(found.der)
    began = time.perf_counter()
    at = (pki.SIGNED + 2 * pki.DAY).isoformat()
    command = [KAKUIN, "verify", path, "--trust", "root.cer", "--crl", "root.crl", "--crl", "ca.crl", "--at", at, "--time-limit", "600", "--json"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    peak = 0
    while process.poll() is None:
        peak = max([peak, *map(_peak, [process.pid, *_below(process.pid)])])
        time.sleep(0.02)
    out, err = process.communicate()
    took = time.perf_counter() - began
    told = json.loads(out) if out else {"conclusion": err.decode()}
    row(f"ASiC-S of {options.gigabytes} GB ({told['conclusion']}): the largest process", peak / (1 << 20), "MiB", "", None, "below 150 MiB")
    row(f"ASiC-S of {options.gigabytes} GB: time", took, "s")


def _below(pid: int) -> Iterable[int]:
    """The process's descendants."""
    try:
        children = [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return
    for child in children:
        yield child
        yield from _below(child)


def _peak(pid: int) -> int:
    """VmHWM: the most that was ever resident."""
    try:
        found = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    except OSError:
        return 0
    return int(found[0].split()[1]) << 10 if found else 0


PARTS: dict[str, Callable[[Path, argparse.Namespace], None]] = {
    "cold": cold,
    "warm": warm,
    "tokens": tokens,
    "signatures": signatures,
    "container": container,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--dss", type=Path, help="EU DSS on the command line")
    parser.add_argument("--pyhanko", type=Path, default=BIN / "pyhanko")
    parser.add_argument("--runs", type=int, default=5, help="of each cold command")
    parser.add_argument("--files", type=int, default=50, help="warm: at most so many of a family")
    parser.add_argument("--warm-up", type=int, default=150, help="warm: other files before")
    parser.add_argument("--tokens", type=int, default=5000)
    parser.add_argument("--gigabytes", type=int, default=5)
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"parts are {', '.join(PARTS)}, got {', '.join(sorted(unknown))}")
    if options.dss:
        options.dss = options.dss.resolve()
    print("| what | kakuin | beside | wanted |\n|---|---|---|---|")
    for name in options.parts or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            PARTS[name](Path(folder), options)


if __name__ == "__main__":
    main()
