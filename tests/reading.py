"""What readers are held to: the crypto facts of what they found, and their agreement with makers and EU DSS on the corpora."""

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from trust.algorithms import verify
from trust.errors import KakuinError, Malformed, TooLarge
from trust.model import Defect, Digest, Document, Evidence, Signature, Stamp


def value_intact(signature: Signature) -> bool:
    """The value verifies with the signer's key."""
    key = None if signature.signer is None else signature.signer.public_key
    if key is None or signature.algorithm is None:
        return False
    try:
        if isinstance(signature.signed, Digest):
            return verify(key, signature.algorithm, signature.value, signature.signed.value, prehashed=True)
        return verify(key, signature.algorithm, signature.value, signature.signed)
    except KakuinError:
        return False


def intact(signature: Signature) -> bool:
    """The value verifies, and every reference is found and matches."""
    return value_intact(signature) and signature.intact_references


def stamp_intact(stamp: Stamp) -> bool:
    return stamp.intact and intact(stamp.token.signature)


def fatal(signature: Signature) -> tuple[Defect, ...]:
    """What keeps it from passing, whatever the policy."""
    return tuple(d for d in signature.defects if d.fatal or d.refused)


@contextmanager
def counted(document: Document) -> Iterator[list[int]]:
    """The sizes of all reads from a document: [0] when there was none."""
    sizes = [0]
    opener = document._opener
    assert opener is not None

    def opened() -> BinaryIO:
        stream = opener()
        read = stream.read

        def counting(size: int = -1) -> bytes:
            data = read(size)
            sizes.append(len(data))
            return data

        return _Counting(stream, counting)  # type: ignore[return-value]

    document._opener = opened
    try:
        yield sizes
    finally:
        document._opener = opener


class _Counting:
    def __init__(self, stream: BinaryIO, read: Callable[[int], bytes]) -> None:
        self._stream = stream
        self.read = read

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __enter__(self) -> "_Counting":
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()


# Agreement on a corpus.


@dataclass
class Agreement:
    """How often a reader says what makers and EU DSS say."""

    files: int = 0
    right: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    falsely_intact: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)

    def of(self, figure: str) -> float:
        return self.right[figure] / self.asked[figure] if self.asked[figure] else 1.0

    def count(self, figure: str, got: int, asked: int, name: str) -> None:
        self.right[figure] += got
        self.asked[figure] += asked
        if got < asked:
            self.differing.append(f"{figure}: {name}")


Read = Callable[[Document, tuple[Document, ...]], Evidence]


def agreement(corpus: Path, wanted: Callable[[dict[str, Any]], bool], read: Read) -> Agreement:
    """Each file of the corpus once, held against the first world of it."""
    rows = {r["id"]: r for r in map(json.loads, (corpus / "manifest.jsonl").read_text("utf-8").splitlines())}
    found, seen = Agreement(), set()
    for world in map(json.loads, (corpus / "worlds.jsonl").read_text("utf-8").splitlines()):
        row = rows[world["id"]]
        if world["id"] not in seen and wanted(row):
            seen.add(world["id"])
            _hold(found, corpus, row, world["dss"], read)
    return found


def _hold(found: Agreement, corpus: Path, row: dict[str, Any], dss: dict[str, Any], read: Read) -> None:
    found.files += 1
    name = Path(row["file"]).name
    try:
        evidence = read(file(corpus / row["file"]), companions(corpus, row))
    except (Malformed, TooLarge):
        evidence = Evidence("none")
    signatures = [intact(s) for s in evidence.signatures]
    stamps = [stamp_intact(t) for t in evidence.stamps]
    records = [r.intact for r in evidence.records]
    part = _part(row["format"])
    mine = {"signatures": signatures, "timestamps": stamps, "evidence_records": records}[part]
    theirs = [bool(x.get("intact")) for x in dss.get(part) or []]
    expected = row["expected"].get("intact")
    if expected is False and any(mine) and not any(theirs):
        found.falsely_intact.append(name)
    if row["expected"].get("rejected") and any(mine) and not any(theirs):
        found.falsely_intact.append(name)
    if expected is not None and _as_wanted(theirs, expected):
        found.count("intact", int(_as_wanted(mine, expected)), 1, name)
    for figure, count in (("signatures", len(signatures)), ("timestamps", len(stamps))):
        if isinstance(row["expected"].get(figure), int):
            found.count(figure, int(count == row["expected"][figure]), 1, name)
    if "error" not in dss:
        levels = [s.get("level") for s in dss["signatures"]]
        found.count("level", _shared([s.level for s in evidence.signatures], levels), len(levels), name)
        found.count("intact as DSS", _shared(signatures, [s["intact"] for s in dss["signatures"]]), len(levels), name)


def _part(form: str) -> str:
    if form == "TST" or form.endswith("+TST"):
        return "timestamps"
    return "evidence_records" if form in ("ERS", "XMLERS") or form.endswith("+ERS") else "signatures"


def _shared(ours: list[Any], theirs: list[Any]) -> int:
    return sum((Counter(ours) & Counter(theirs)).values())


def _as_wanted(have: list[bool], want: Any) -> bool:
    if isinstance(want, list):
        known = [w for w in want if w is not None]
        return len(have) == len(want) and _shared(have, known) == len(known)
    return bool(have) and all(have) if want else not any(have)


def file(path: Path, name: str | None = None) -> Document:
    return Document(name or path.name, path.stat().st_size, lambda: path.open("rb"))


def companions(corpus: Path, row: dict[str, Any]) -> tuple[Document, ...]:
    """The content given beside a file: files, under the names that the row gives them, and digests."""
    context = row.get("context") or {}
    names = context.get("detached_names") or []
    found = [file(corpus / p, names[i] if i < len(names) else None) for i, p in enumerate(row["detached"] or [])]
    for other in context.get("detached_other") or []:
        if isinstance(other, dict) and len(other.get("digest_algorithm", "")) in (4, 6) and "digest_value" in other:
            digest = Digest(other["digest_algorithm"].lower(), base64.b64decode(other["digest_value"]))
            found.append(Document(other.get("name"), None, None, (digest,)))
    return tuple(found)
