"""A byte changed anywhere in a sealed document fails it, and the report says which signature no longer covers what."""

import random
from pathlib import Path

import pytest

from tests.office import Office, run
from trust.errors import KakuinError
from trust.model import Document
from verifier import sources
from verifier.service import Verifier, judge
from verifier.verdict import Conclusion

pytestmark = pytest.mark.xdist_group("office")

SAMPLES = 250
"""Positions in each document, beside its first and last bytes."""


@pytest.fixture(scope="session")
def lists(office: Office, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("lists")
    for issuer in ("root", "ca"):
        run("ca", "crl", issuer, "--instance", office.folder, "-o", folder / issuer)
    return [folder / "root", folder / "ca"]


@pytest.fixture(scope="session")
def sealed(office: Office, documents: dict[str, Path]) -> dict[str, bytes]:
    pdf, csv = documents["pdf"], documents["csv"]
    return {
        **{f"pdf {level}": office.seal(pdf, level=level) for level in ("B-B", "B-T", "B-LTA")},
        **{f"csv {packaging}": office.seal(csv, level="B-T", packaging=packaging) for packaging in ("attached", "detached")},
    }


class Judge:
    """What the service says of changed bytes, without a process for each."""

    def __init__(self, office: Office, lists: list[Path]) -> None:
        from trust.edge.clock import now

        self.verifier = Verifier(now, anchors=sources.certificates([office.root]))
        self.crls = sources.crls(lists)

    def __call__(self, data: bytes, detached: bytes | None = None) -> Conclusion | str:
        beside = () if detached is None else (Document.of(detached, "dataset.csv"),)
        try:
            return judge(self.verifier.question(Document.of(data), beside, crls=self.crls)).conclusion
        except KakuinError as error:
            return str(error)


@pytest.fixture(scope="session")
def judged(office: Office, lists: list[Path]) -> Judge:
    return Judge(office, lists)


def places(data: bytes, within: tuple[int, int] | None = None) -> list[int]:
    """Positions whose bytes are changed: the ends, and a sample of what is between; the same in every run."""
    start, stop = within or (0, len(data))
    chance = random.Random(len(data) // 1000)
    return sorted({*range(start, start + 40), *range(stop - 40, stop), *(chance.randrange(start, stop) for _ in range(SAMPLES))})


def changed(data: bytes, at: int) -> bytes:
    return data[:at] + bytes((data[at] ^ 0x01,)) + data[at + 1 :]


def gap(data: bytes) -> tuple[int, int]:
    """Of the last signature of a PDF: its hexadecimal value, which is what the signature leaves out."""
    start = data.rindex(b"/Contents <") + len(b"/Contents <")
    return start, data.index(b">", start)


@pytest.mark.parametrize("level", ["B-B", "B-T", "B-LTA"])
def test_a_byte_of_a_pdf(level: str, sealed: dict[str, bytes], judged: Judge) -> None:
    data = sealed[f"pdf {level}"]
    assert judged(data) == Conclusion.PASSED
    start, stop = gap(data)
    wrong = {at: got for at in places(data) if not start <= at < stop and (got := judged(changed(data, at))) != Conclusion.FAILED}
    assert wrong == {}


@pytest.mark.parametrize("level", ["B-B", "B-T", "B-LTA"])
def test_a_byte_of_what_a_pdf_signature_leaves_out(level: str, sealed: dict[str, bytes], judged: Judge) -> None:
    """Its own value: there, a changed certificate may leave nobody to tell who signed, but nothing changed passes with another meaning."""
    data = sealed[f"pdf {level}"]
    wrong = {at: got for at in places(data, gap(data)) if (got := judged(changed(data, at))) not in (Conclusion.FAILED, Conclusion.INDETERMINATE)}
    # What no key signs and no verifier needs is a handful of bytes: the version number, the list of digest algorithms. At B-T it is also who the
    # token says stamped it: a change there takes the time-stamp away, which is told, and the seal stands without it.
    assert len(wrong) <= (0.1 if level == "B-T" else 0.03) * SAMPLES, wrong


def test_a_byte_of_a_dataset(sealed: dict[str, bytes], documents: dict[str, Path], judged: Judge) -> None:
    data = documents["csv"].read_bytes()
    assert judged(sealed["csv detached"], data) == Conclusion.PASSED
    assert {judged(sealed["csv detached"], changed(data, at)) for at in places(data)} == {Conclusion.FAILED}
    assert judged(sealed["csv detached"], data + b"\n") == Conclusion.FAILED
    assert judged(sealed["csv detached"], data[:-1]) == Conclusion.FAILED


def test_a_byte_of_a_dataset_inside_its_seal(sealed: dict[str, bytes], documents: dict[str, Path], judged: Judge) -> None:
    data, inside = sealed["csv attached"], documents["csv"].read_bytes()
    assert judged(data) == Conclusion.PASSED
    start = data.index(inside)
    assert {judged(changed(data, at)) for at in places(data, (start, start + len(inside)))} == {Conclusion.FAILED}


def test_the_command_says_which_signature_no_longer_covers_what(
    sealed: dict[str, bytes], documents: dict[str, Path], office: Office, tmp_path: Path
) -> None:
    pdf, csv, seal = tmp_path / "a.pdf", tmp_path / "dataset.csv", tmp_path / "dataset.csv.p7s"
    pdf.write_bytes(changed(sealed["pdf B-LTA"], 3000))
    done = run("verify", pdf, "--trust", office.root, check=False, env={"LC_ALL": "C.UTF-8"})
    said = done.stdout.decode()
    assert done.returncode == 1
    assert said.lstrip().startswith("NOT VALID") and "Seal1" in said and "HASH_FAILURE" in said
    csv.write_bytes(changed(documents["csv"].read_bytes(), 100))
    seal.write_bytes(sealed["csv detached"])
    done = run("verify", seal, "--detached", csv, "--trust", office.root, check=False, env={"LC_ALL": "C.UTF-8"})
    said = done.stdout.decode()
    assert done.returncode == 1
    assert said.lstrip().startswith("NOT VALID") and "HASH_FAILURE" in said and "detached content" in said


def test_a_signed_file_that_is_cut_short(sealed: dict[str, bytes], judged: Judge) -> None:
    for part in (0.3, 0.6, 0.9, 0.99):
        data = sealed["pdf B-LTA"][: int(len(sealed["pdf B-LTA"]) * part)]
        assert judged(data) != Conclusion.PASSED or data.rstrip().endswith(b"%%EOF")
