"""What is large, sealed and verified by the command line: time, and the most memory that any of its processes ever had.

python -m bench.large [file] [dataset] [added] [attached] [pdf] [long-pdf] [--gigabytes 5] [--files 10000] [--folder PLACE]

file        CAdES detached and ASiC-E over one file of many gigabytes, B-LTA
dataset     ASiC-E over ten thousand files, B-LTA
added       one signature more in such containers, and both renewed
attached    CAdES with a file of 1.2 GB inside: sealed, verified, renewed
pdf         a PDF of 300 MB, B-B and B-LTA
long-pdf    a PDF of 1.9 GB, near the largest that is sealed

Files are sparse where they can be; a sealed container is not: it needs its size twice in PLACE while it is checked.
"""

import argparse
import json
import os
import pty
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.verify import _below, _peak

KAKUIN = Path(sys.executable).with_name("kakuin")
MIB = 1 << 20


@dataclass(frozen=True)
class Done:
    seconds: float
    peak: int
    """Bytes: the largest of its processes."""
    out: str
    shown: str
    """What a person saw on standard error, the last line of progress included."""
    status: int


def run(*words: str | Path, folder: Path) -> Done:
    """One kakuin command, with a terminal on its standard error."""
    ours, theirs = pty.openpty()
    environment = {"KAKUIN_CONFINED_SECONDS": "300", **os.environ, "TMPDIR": str(folder), "KAKUIN_INSTANCE": str(folder / "instance")}
    begun = time.perf_counter()
    said, out, peak = bytearray(), folder / "standard-output", 0

    def listen() -> None:
        try:
            while data := os.read(ours, 4096):
                said.extend(data)
        except OSError:  # the terminal's other side was closed
            pass

    listener = threading.Thread(target=listen)
    with out.open("wb") as told_to:
        process = subprocess.Popen([KAKUIN, *map(str, words)], cwd=folder, stdout=told_to, stderr=theirs, env=environment)
        os.close(theirs)
        listener.start()
        while process.poll() is None:
            peak = max([peak, *map(_peak, [process.pid, *_below(process.pid)])])
            time.sleep(0.02)
    took = time.perf_counter() - begun
    listener.join()
    os.close(ours)
    return Done(took, peak, out.read_text(), _plain(said.decode(errors="replace")), process.returncode)


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)


def told(what: str, done: Done) -> bool:
    lines = [line for line in re.split(r"[\r\n]+", done.shown) if line.strip()]
    print(
        f"{what:46} {done.seconds:7.1f} s   {done.peak / MIB:6.0f} MiB   {len(lines)} looks of progress, such as: {lines[-2:-1] or lines}", flush=True
    )
    if done.status:
        print(f"  ended with {done.status}: {done.out[-600:]} {done.shown[-600:]}")
    return done.status == 0


def sealed_and_verified(what: str, folder: Path, given: list[str], sealed: str, *options: str, detached: bool = False) -> bool:
    """Seal `given`, verify `sealed`; both measured."""
    done = run("seal", *given, *options, "-o", sealed, folder=folder)
    if not told(f"{what}: seal", done):
        return False
    beside = ["--detached", given[0]] if detached else []
    lists = [word for name in ("root", "ca") for word in ("--crl", f"{name}.crl")]
    done = run("verify", sealed, *beside, "--trust", "instance/anchors", *lists, "--time-limit", "900", "--json", folder=folder)
    good = told(f"{what}: verify", done)
    if good:
        answer = json.loads(done.out)
        [one] = answer["signatures"]
        print(f"  {answer['conclusion']}, {one.get('level')}, {(folder / sealed).stat().st_size:,} bytes", flush=True)
        good = answer["conclusion"] == "passed"
    (folder / sealed).unlink()
    return good


def hole(path: Path, size: int) -> None:
    """A file of so many bytes, nearly all of them zero and not on the disk."""
    with path.open("wb") as made:
        made.seek(size - 7)
        made.write(b"the end")


def file(folder: Path, asked: argparse.Namespace) -> bool:
    path = folder / "large.bin"
    hole(path, asked.gigabytes << 30)
    kinds = (
        ("cades detached", "large.p7s", ("--format", "cades", "--packaging", "detached"), True),
        ("asic-e-cades", "large.asice", ("--format", "asic-e-cades"), False),
    )
    good = [
        sealed_and_verified(f"{asked.gigabytes} GB, {what} B-LTA", folder, ["large.bin"], name, *words, "--level", "B-LTA", detached=detached)
        for what, name, words, detached in kinds
    ]
    path.unlink()
    return all(good)


def _files(folder: Path, asked: argparse.Namespace) -> None:
    place = folder / "dataset"
    for number in range(asked.files):
        path = place / f"{number // 100:03}" / f"{number:05}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"number,square\n{number},{number * number}\n")


def dataset(folder: Path, asked: argparse.Namespace) -> bool:
    _files(folder, asked)
    return sealed_and_verified(f"{asked.files} files, asic-e-cades B-LTA", folder, ["dataset"], "dataset.asice", "--level", "B-LTA")


def added(folder: Path, asked: argparse.Namespace) -> bool:
    _files(folder, asked)
    return all(_added(folder, form, f"{asked.files} files, {form}") for form in ("asic-e-cades", "asic-e-xades"))


def _added(folder: Path, form: str, what: str) -> bool:
    steps = (
        ("sealed", ("seal", "dataset", "--format", form, "--level", "B-LTA", "-o", "one")),
        ("one signature more", ("seal", "one", "--format", form, "--addition", "parallel", "--level", "B-LTA", "-o", "two")),
        ("renewed", ("extend", "two", "-o", "three")),
        ("verified", ("verify", "three", "--trust", "instance/anchors", "--json")),
    )
    good = all(told(f"{what}: {name}", run(*words, folder=folder)) for name, words in steps)
    for name in ("one", "two", "three"):
        (folder / name).unlink(missing_ok=True)
    return good


def attached(folder: Path, _asked: argparse.Namespace) -> bool:
    hole(folder / "large.bin", 1200 * MIB)
    steps = (
        ("sealed", ("seal", "large.bin", "--format", "cades", "--packaging", "attached", "--level", "B-LTA", "-o", "one.p7m")),
        ("renewed", ("extend", "one.p7m", "-o", "two.p7m")),
        ("verified", ("verify", "two.p7m", "--trust", "instance/anchors")),
    )
    good = all(told(f"1.2 GB inside CAdES: {name}", run(*words, folder=folder)) for name, words in steps)
    for name in ("large.bin", "one.p7m", "two.p7m"):
        (folder / name).unlink(missing_ok=True)
    return good


def paper(path: Path, streams: int, size: int) -> None:
    """A PDF with so many streams of so many bytes beside its one page."""
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<<>>/Ballast[%s]>>" % b" ".join(b"%d 0 R" % (4 + n) for n in range(streams)),
    ]
    offsets = []
    with path.open("wb") as made:
        made.write(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
        for number in range(1, 4 + streams):
            offsets.append(made.tell())
            if number < 4:
                made.write(b"%d 0 obj\n%s\nendobj\n" % (number, objects[number - 1]))
                continue
            made.write(b"%d 0 obj\n<</Length %d>>\nstream\n" % (number, size))
            made.write(number.to_bytes(8, "big"))
            made.seek(size - 8, 1)  # a hole
            made.write(b"\nendstream\nendobj\n")
        start = made.tell()
        made.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(offsets) + 1))
        made.writelines(b"%010d 00000 n \n" % at for at in offsets)
        made.write(b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(offsets) + 1, start))


def pdf(folder: Path, _asked: argparse.Namespace) -> bool:
    paper(folder / "large.pdf", 30, 10 << 20)
    good = [sealed_and_verified(f"300 MB, pades {level}", folder, ["large.pdf"], "sealed.pdf", "--level", level) for level in ("B-B", "B-LTA")]
    (folder / "large.pdf").unlink()
    return all(good)


def long_pdf(folder: Path, _asked: argparse.Namespace) -> bool:
    paper(folder / "long.pdf", 18, 100 << 20)
    good = sealed_and_verified("1.9 GB, pades B-LTA", folder, ["long.pdf"], "sealed.pdf", "--level", "B-LTA")
    (folder / "long.pdf").unlink()
    return good


CASES: Mapping[str, Callable[[Path, argparse.Namespace], bool]] = {
    "file": file,
    "dataset": dataset,
    "added": added,
    "attached": attached,
    "pdf": pdf,
    "long-pdf": long_pdf,
}


def prepare(folder: Path) -> None:
    """An installation that gives each confined process the time that gigabytes take, and its lists as files."""
    done = run("init", "--instance", "instance", folder=folder)
    if done.status:
        raise SystemExit(done.out + done.shown)
    from cli import House

    with House(folder / "instance") as house:
        for name in ("root", "ca"):
            (folder / f"{name}.crl").write_bytes(house.instance.authority.crl(name).crl.der)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=[], choices=[[], *CASES], help="all of them where none is named")
    parser.add_argument("--gigabytes", type=int, default=5)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, help="where there is room")
    asked = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))  # what a person's shell has, or less
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        folder = Path(name)
        prepare(folder)
        good = [CASES[case](folder, asked) for case in asked.cases or CASES]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
