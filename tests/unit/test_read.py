"""verifier.read: one door, the format known from the bytes; and the readers of CMS and PDF over the corpus, whose figures may not fall."""

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.envelopes import envelope, signer_info
from tests.papers import paper
from tests.pki import authority, root, signer, token, unit
from tests.shared import SHARED, needs_shared
from tests.unit.test_pdf_reader import intact
from trust.errors import Locked, Malformed, TooLarge
from trust.model import Digest, Document, Evidence
from verifier.read import read

CA = authority(root())
SEAL = signer(CA)
CONTENT = b"a,b\n1,2\n"
KINDS = {
    "PDF": paper().signed(SEAL).data,
    "CMS": envelope([signer_info(SEAL, CONTENT)], content=CONTENT, certs=(SEAL.certificate,)),
    "TST": token(unit(CA), Digest.of("sha256", CONTENT)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_format_is_known_from_the_bytes(kind: str) -> None:
    assert read(Document.of(KINDS[kind], "misleading.xml")).kind == kind


@pytest.mark.parametrize("data", [CONTENT, b"plain text", b"\xff\xd8\xff\xe0", b"\x30", "日本語".encode()])
def test_what_is_not_signed_is_evidence_of_nothing(data: bytes) -> None:
    found = read(Document.of(data))
    assert (found.signatures, found.stamps, found.records) == ((), (), ())


def test_an_empty_file_is_told_as_such() -> None:
    with pytest.raises(Malformed, match="empty"):
        read(Document.of(b""))
    with pytest.raises(Malformed, match="empty"):
        read(Document("spooled", None, lambda: io.BytesIO(b"")))


# The corpus: other makers' files, held against what they assert and against EU DSS in the world without anchors.

READ_HERE = ("PAdES", "CAdES", "TST")


def _rows() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    corpus = SHARED / "corpus"
    worlds = {}
    for line in (corpus / "worlds.jsonl").read_text().splitlines():
        world = json.loads(line)
        worlds.setdefault(world["id"], world["dss"])
    for line in (corpus / "manifest.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["format"] in READ_HERE and row["id"] in worlds:
            yield row, worlds[row["id"]]


def _document(path: Path, name: str | None = None) -> Document:
    return Document(name or path.name, path.stat().st_size, lambda: path.open("rb"))


def _evidence(row: dict[str, Any]) -> Evidence | None:
    corpus = SHARED / "corpus"
    detached = [_document(corpus / d) for d in row["detached"] or []]
    for other in (row.get("context") or {}).get("detached_other") or []:
        if isinstance(other, dict) and "digest_value" in other:
            digest = Digest(other["digest_algorithm"].lower(), base64.b64decode(other["digest_value"]))
            detached.append(Document(other.get("name"), None, None, (digest,)))
    try:
        return read(_document(corpus / row["file"]), detached)
    except (Malformed, TooLarge, Locked):
        return None


class Figures:
    """Right of all."""

    def __init__(self) -> None:
        self.right: dict[str, int] = {}
        self.all: dict[str, int] = {}
        self.wrong: list[str] = []

    def count(self, figure: str, right: bool, what: str) -> None:
        self.all[figure] = self.all.get(figure, 0) + 1
        self.right[figure] = self.right.get(figure, 0) + right
        if not right:
            self.wrong.append(f"{figure}: {what}")

    def __getitem__(self, figure: str) -> float:
        return self.right[figure] / self.all[figure]


def _as_wanted(have: list[bool], want: Any) -> bool:
    if isinstance(want, list):
        known = [w for w in want if w is not None]
        return len(have) == len(want) and all(have.count(w) >= known.count(w) for w in known)
    return bool(have) and all(have) if want else not any(have)


@needs_shared
def test_the_corpus_of_cms_and_pdf() -> None:
    """Floors under what was measured; nobody's broken signature is intact."""
    figures = Figures()
    for row, dss in _rows():
        found = _evidence(row)
        name, expected = row["id"], row["expected"]
        signatures = () if found is None else found.signatures
        stamps = () if found is None else found.stamps
        ours = [intact(s) for s in signatures] if row["format"] != "TST" else [t.intact and intact(t.token.signature) for t in stamps]
        theirs = [x["intact"] for x in dss.get("signatures" if row["format"] != "TST" else "timestamps", [])]
        want = expected.get("intact")
        if want is not None and _as_wanted(theirs, want):
            figures.count("intact where makers and DSS agree", _as_wanted(ours, want), name)
        if want is False and not any(theirs):
            figures.count("false intact", not any(ours), name)
        if isinstance(expected.get("signatures"), int):
            figures.count("signatures", len(signatures) == expected["signatures"], name)
        if "error" in dss:
            figures.count("refused by DSS", not any(ours), name)
            continue
        levels = sorted(s.level for s in signatures)
        for level in {s["level"] for s in dss["signatures"]}:
            figures.count("level", levels.count(level) >= [s["level"] for s in dss["signatures"]].count(level), f"{name} {level} {levels}")
    print(*(f"{right} of {figures.all[f]} {f}" for f, right in figures.right.items()), *figures.wrong, sep="\n")
    assert figures["false intact"] == 1
    assert figures["refused by DSS"] == 1
    assert figures["intact where makers and DSS agree"] >= 0.995
    assert figures["signatures"] >= 0.98
    assert figures["level"] >= 0.98
    assert figures.all["level"] > 150


LAWFUL_IN_THE_CORPUS = 60
"""PDFs of a dozen makers that EU DSS calls intact and unchanged: at least as many must raise no alarm here."""
SUSPECTED = {
    "dss:DSS917CorruptedTest": "the second signature was edited: its dictionary is not that of its revision, and its makers call it broken",
    "dss:ITextDSS2236HideDisableValidationsTest": "shadow attack",
    "pyhanko:test_diff_analysis.test-anomalous-coverage.tail-uncovered.pdf": "its end is uncovered, and its makers refuse it",
    "dss:PAdESLevelBWithAnnotAddedTest": "free text was added that shows words nobody signed",
    "dss:PAdESWithSpoofingAttackTest": "the signature dictionary was exchanged",
    "dss:PAdESWithVRITimeTest": "a field was filled in although the signature locks all fields",
}


@needs_shared
def test_lawful_pdfs_of_other_makers_raise_no_alarm() -> None:
    calm = 0
    for row, dss in _rows():
        if row["format"] != "PAdES" or "error" in dss or not row["expected"].get("intact"):
            continue
        found = _evidence(row)
        grave = [u for u in found.uncovered if u.grave] if found is not None else ["unreadable"]
        expected = row["expected"]
        hostile = (
            expected.get("pdf_modifications_detected") is True
            or expected.get("pdf_modifications") == ["OTHER"]
            or "FAILED" in str(expected.get("indication"))
        )
        hostile = hostile or row["id"] == "dss:ITextDSS2236ReplaceTest"
        if row["id"] in SUSPECTED:
            assert grave, row["id"]
        elif not hostile:
            assert grave == [], (row["id"], grave)
            calm += 1
    print(calm, "lawful PDFs without alarm")
    assert calm >= LAWFUL_IN_THE_CORPUS


@needs_shared
def test_forged_twins_of_cms_and_pdf_are_read() -> None:
    forged = SHARED / "forged"
    seen = 0
    for line in (forged / "manifest.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["format"] in READ_HERE:
            found = read(_document(forged / row["file"]), [_document(forged / d) for d in row["detached"] or []])
            assert found.signatures or found.stamps, row["id"]
            seen += 1
    assert seen > 50
