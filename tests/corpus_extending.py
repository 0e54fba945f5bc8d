"""The validation corpus extended: files of others raised as far as their own revocation data go, and EU DSS's word on each before and after."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from eseal.extend_material import Known
from tests import pki as office
from tests.extending import Desk
from tests.pki import Pki
from tests.shared import SHARED
from trust.errors import KakuinError
from trust.model import Cert, Digest, Document

CORPUS = SHARED / "corpus"
DSS = SHARED / "oracle" / "dss"
LEVELS = ("B-LTA", "B-LT", "B-T")
"""In the order of trying."""


@dataclass(frozen=True)
class Case:
    """A file that its makers call intact, in the world a day after the newest time in it, with the topmost certificates that it carries trusted."""

    id: str
    format: str
    file: Path
    detached: tuple[tuple[Path, str], ...]
    at: datetime
    trust: tuple[Path, ...]
    certificates: tuple[Path, ...]

    def documents(self) -> tuple[Document, ...]:
        return tuple(Document.of(path.read_bytes(), name) for path, name in self.detached)


@dataclass(frozen=True)
class Outcome:
    case: Case
    level: str | None
    """None: it was refused at every level."""
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    stamps: int = 0
    why: tuple[str, ...] = ()
    """Each refusal."""
    file: Path | None = None


def cases() -> Iterator[Case]:
    """Each file once."""
    with (CORPUS / "worlds.jsonl").open() as lines:
        worlds = {w["id"]: w for w in map(json.loads, lines) if w["world"] == "then"}
    seen = set()
    with (CORPUS / "manifest.jsonl").open() as lines:
        for row in map(json.loads, lines):
            beside = tuple(row.get("detached") or ())
            world = worlds.get(row["id"])
            if "AdES" not in row["format"] or row["expected"].get("intact") is not True or world is None or (row["file"], beside) in seen:
                continue
            seen.add((row["file"], beside))
            context = row.get("context") or {}
            names = context.get("detached_names") or [None] * len(beside)
            detached = tuple((CORPUS / path, name or Path(path).name) for path, name in zip(beside, names, strict=True))
            trust = tuple(CORPUS / path for path in world["trust"])
            more = tuple(CORPUS / path for path in context.get("extra_certificates") or ())
            yield Case(row["id"], row["format"], CORPUS / row["file"], detached, datetime.fromisoformat(world["time"]), trust, more)


def authority() -> Pki:
    """An installation's, as if it had always been there: the corpus's files are of twenty years."""
    kept = {"not_before": datetime(1999, 1, 1, tzinfo=UTC), "not_after": office.DIED}
    top = office.root(**kept)
    ca = office.authority(top, **kept)
    return Pki(top, ca, office.signer(ca, **kept), office.unit(ca, **kept), office.responder(ca, **kept))


def extended(case: Case, pki: Pki, folder: Path) -> Outcome:
    """To the highest level for which there is all that it needs."""
    document = Document.of(case.file.read_bytes(), case.file.name)
    certs = [tuple(Cert(path.read_bytes()) for path in paths) for paths in (case.trust, case.certificates)]
    why = []
    for level in LEVELS:
        try:
            made = Desk(pki, case.at, policy="archive").extend(document, level, *case.documents(), known=Known(*certs), allow_indeterminate=True)
        except KakuinError as error:
            why.append(str(error))
            continue
        file = folder / f"{Digest.of('sha256', case.id.encode()).value[:8].hex()}-{case.file.name}"
        with file.open("wb") as out:
            out.writelines(made.document.chunks())
        return Outcome(case, level, made.before, made.after, len(made.draft.stamps), tuple(why), file)
    return Outcome(case, None, why=tuple(why))


def judged_by_dss(outcomes: Sequence[Outcome], pki: Pki, folder: Path) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """EU DSS's answers on each file as it came and as it was extended, in the same world."""
    root = folder / "root.cer"
    root.write_bytes(pki.root.certificate.der)
    jobs = []
    for number, one in enumerate(outcomes):
        for name, file in (("before", one.case.file), ("after", one.file)):
            at = (one.case.at + timedelta(minutes=1)).isoformat().replace("+00:00", "Z")
            trust = [*map(str, one.case.trust), str(root)]
            beside = [{"file": str(path), "name": name} for path, name in one.case.detached]
            jobs.append({"id": f"{name} {number}", "file": str(file), "time": at, "trust": trust, "detached": beside})
    lines = "".join(json.dumps(job) + "\n" for job in jobs)
    done = subprocess.run([DSS, "batch"], input=lines, capture_output=True, text=True, check=True)
    answers = {a["id"]: a for a in map(json.loads, done.stdout.splitlines())}
    return [(answers[f"before {n}"], answers[f"after {n}"]) for n in range(len(outcomes))]


def harm(one: Outcome, before: dict[str, Any], after: dict[str, Any]) -> str:
    """What EU DSS finds worse than it was; empty where nothing is."""
    if "signatures" not in after:
        return "cannot be read"
    if [s["intact"] for s in after["signatures"]] != [s["intact"] for s in before["signatures"]]:
        return "signatures are not intact as they were"
    broken = sum(not t["intact"] for t in before["timestamps"])
    if sum(not t["intact"] for t in after["timestamps"]) > broken:
        return "a time-stamp is not intact"
    if len(after["timestamps"]) != len(before["timestamps"]) + one.stamps:
        return f"{len(before['timestamps'])} time-stamps and {one.stamps} more expected, got {len(after['timestamps'])}"
    return ""
