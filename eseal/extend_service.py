"""Extending, in the order of its effects: examine, build, examine again, record, release.

What failed is never archived, and what leaves is what came with something behind or beside it: every signature and time-stamp that was there is
still there, no worse than before, and each signature has the level that was asked for; otherwise nothing leaves and nothing is recorded.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import PurePath
from typing import Any, Protocol

from eseal.confined import at_most, sound_draft, stamping
from eseal.draft import Draft, assembled
from eseal.extend import MEDIA_TYPE, RANK, Kind, Wanted
from eseal.extend_material import Known, issued
from eseal.kept import require_kept
from eseal.service import Record, Runner, sha256_of, solid
from eseal.spec import Level
from trust.edge.spool import Spool
from trust.errors import KakuinError, Malformed, TooLarge, Unacceptable, Unavailable
from trust.model import Cert, Digest, Document
from trust.ports import Clock, Stamper, Status, StatusSource

_LOG = logging.getLogger("kakuin.eseal")

MOST_STAMPS, MOST_QUESTIONS = 64, 128
"""Calls that one extension may make: two stamps a signature; status of each certificate that is met."""
EVENT = "extension"
"""Of the journal's kind `event`: no key of an organisation signed anything."""

LEVELS: Mapping[str, int] = {
    **dict.fromkeys(("BASELINE-B", "BES", "EPES", "B", "C-BES"), RANK[Level.B_B]),
    **dict.fromkeys(("BASELINE-T", "T", "C", "X"), RANK[Level.B_T]),
    **dict.fromkeys(("BASELINE-LT", "LT", "XL"), RANK[Level.B_LT]),
    **dict.fromkeys(("BASELINE-LTA", "LTA", "A", "ERS", "LTV"), RANK[Level.B_LTA]),
}
"""What a verifier calls a shape, without its format in front -> rank of the level that it has reached (EN 319 122-2, EN 319 132-2: the older)."""

UNNAMED = frozenset({"PAdES-BES", "PAdES-EPES"})
"""Shapes for which EN 319 142-2 has no name of their own when a document time-stamp follows: the next name is PAdES-LTV."""

NEVER = frozenset({"SIGNED_DATA_NOT_FOUND", "REVOKED_NO_POE", "REVOKED_CA_NO_POE", "NOT_YET_VALID", "FORMAT_FAILURE", "HASH_FAILURE"})
"""Sub-indications that stay a refusal whatever the caller allows: the document is missing, or there is a word against the signature."""


class Examine(Protocol):
    """Our own verifier, given by the composition: its JSON report (docs/report.md) on a document at the present time.

    It judges with `known`, and fetches nothing. Raises Malformed or TooLarge for what cannot be judged.
    """

    def __call__(self, document: Document, detached: Sequence[Document], known: Known) -> Mapping[str, Any]: ...


class Look(Protocol):
    """What is missing for a verdict on a document, fetched where its certificates say that it is: `known` with that. Raises what Examine raises."""

    def __call__(self, document: Document, detached: Sequence[Document], known: Known) -> Known: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """One extension, with what the caller gives beside the document."""

    wanted: Wanted
    detached: tuple[Document, ...] = ()
    """Content that stands apart from its signature."""
    known: Known = field(default_factory=Known)
    """Anchors: none means this installation's own."""
    allow_indeterminate: bool = False
    """Also what the verifier cannot conclude about (no trust anchor, no status, no proof of the time), if it is intact."""
    online: bool = False
    """Fetch status and issuers that are missing, where the service is allowed to."""


@dataclass(frozen=True, slots=True)
class Raised:
    """An extended document, checked and recorded. It reads the document that was given, and lives as long as that one does."""

    document: Document
    kind: Kind
    level: Level
    before: tuple[str, ...]
    """The levels that were found, as the verifier names them, in the order of the file."""
    after: tuple[str, ...]
    conclusion: str
    """Of our own verifier about the result."""
    time: datetime
    index: int
    """Of the entry in the journal."""
    sha256: bytes
    draft: Draft
    organisation: str | None = None


@dataclass(frozen=True, slots=True)
class Extender:
    """Extends documents. Thread-safe."""

    stamp: Stamper
    status: StatusSource
    record: Record
    clock: Clock
    examine: Examine
    run: Runner
    look: Look | None = None
    """None: nothing is ever fetched."""
    anchors: tuple[Cert, ...] = field(default=())
    """This installation's, and where a caller names none."""

    def extend(self, document: Document, asked: Asked, organisation: str | None = None, doing: Callable[[str], None] = lambda _: None) -> Raised:
        """The document with every signature in it at the level that was asked for, or renewed. `doing` is told what is done next.

        Unacceptable for what failed or cannot be concluded about, with the reason, and for what has no such level; Unavailable when authority, status
        or journal are away; Malformed or TooLarge for what cannot be read.
        """
        if document.size == 0:
            raise Malformed("the document is empty")
        document = document.opened_by(asked.wanted.password)
        known = replace(asked.known, anchors=asked.known.anchors or self.anchors)
        if asked.online:
            if self.look is None:
                raise Unacceptable("this service fetches nothing: give certificates, lists and OCSP answers with the document")
            known = self.look(document, asked.detached, known)
        doing("checking what is there")
        before = _Report(self.examine(document, asked.detached, known))
        kind = _admitted(before, asked)
        now = self.clock()
        doing("adding to it")
        draft = self._draft(document, kind, asked, known, now)
        media_type, ending = MEDIA_TYPE[kind]
        name = extended_name(document.name, ending)
        made = assembled(document, draft.pieces, name, document.media_type or media_type).opened_by(asked.wanted.password)
        doing("checking what was made")
        with Spool() as spool:
            try:
                after = _Report(self.examine(solid(made, spool), asked.detached, known))
            except (Malformed, TooLarge) as error:
                raise Unacceptable(f"extended, the document cannot be read by our own verifier, so it is not given out: {error}") from error
        draft = _compared(before, after, asked.wanted, known, draft)
        doing("recording it")
        result = Raised(made, kind, asked.wanted.level, before.levels, after.levels, after.conclusion, now, -1, sha256_of(made), draft, organisation)
        return replace(result, index=self._recorded(document, result))

    def _draft(self, document: Document, kind: Kind, asked: Asked, known: Known, now: datetime) -> Draft:
        calls: dict[str, Callable[..., Any]] = {
            "stamp": at_most(MOST_STAMPS, "time-stamps", stamping(self.stamp, asked.wanted.level)),
            "status": at_most(MOST_QUESTIONS, "status questions", self._own_status),
        }
        made = self.run("eseal.extend:draft", document, kind, asked.wanted, known, now, *asked.detached, calls=calls, returns=Draft)
        sound_draft(made, document)
        if not made.stamps and all(isinstance(p, bytes) is False or not p for p in made.pieces):
            raise Unacceptable(f"the document holds all that {asked.wanted.level} needs already")
        return made

    def _own_status(self, chain: Sequence[Cert]) -> Status:
        if not all(isinstance(c, Cert) for c in chain):
            raise Malformed("status is asked of certificates")
        return self.status(chain)

    def _recorded(self, document: Document, made: Raised) -> int:
        entry: dict[str, Any] = {
            "event": EVENT,
            "after": list(made.after),
            "before": list(made.before),
            "conclusion": made.conclusion,
            "document": sha256_of(document).hex(),
            "extended": made.sha256.hex(),
            "format": made.kind,
            "level": made.level,
            "stamps": [Digest.of("sha256", token).value.hex() for token in made.draft.stamps],
            "time": made.time.isoformat(),
        }
        if made.organisation is not None:
            entry["organisation"] = made.organisation
        return self.record("event", json.dumps(entry, sort_keys=True, separators=(",", ":")).encode())


def extended_name(name: str | None, ending: str) -> str:
    """`contract.sealed.pdf` -> `contract.sealed.extended.pdf`; what was extended before keeps its name."""
    given = PurePath(name or "document" + ending)
    suffix = given.suffix or ending
    stem = given.stem if given.suffix else given.name
    return f"{stem}{suffix}" if stem.endswith(".extended") else f"{stem}.extended{suffix}"


class _Report:
    """A JSON report, as far as it is needed here."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self.told = told
        self.kind = str(told["format"])
        self.conclusion = str(told["conclusion"])
        self.reasons = "; ".join(str(r["text"]) for r in told["reasons"])
        self.signatures: Sequence[Mapping[str, Any]] = told["signatures"]
        self.stamps: Sequence[Mapping[str, Any]] = told["timestamps"]
        self.records: Sequence[Mapping[str, Any]] = told["evidence_records"]
        self.at = str(told["validation_time"])

    @property
    def levels(self) -> tuple[str, ...]:
        """Of the signatures that stand by themselves; a counter-signature is raised with the one that it countersigns."""
        return tuple(str(s["level"]) for s in self.signatures if not s["counter_signature"])


def rank(level: str) -> int | None:
    """Of a level by a verifier's name: `PAdES-BASELINE-LT`, `PKCS7-T`, `CAdES-A`, `COSE-B`; None for what is no AdES signature."""
    return LEVELS.get(level.partition("-")[2])


def _reached(level: str, *, stamped: bool) -> int:
    """The rank, where every time-stamp of the document is intact and all signatures have one."""
    if stamped and level in UNNAMED:
        return RANK[Level.B_T]
    return rank(level) or 0


def _admitted(report: _Report, asked: Asked) -> Kind:
    """What may be extended. Unacceptable with the reason."""
    if report.conclusion == "failed":
        raise Unacceptable(f"what failed is not extended: {report.reasons}")
    if not report.signatures:
        raise Unacceptable("there is no signature in the document to extend")
    if report.kind not in set(Kind):
        raise Unacceptable(f"signatures in {report.kind[:20]} are not extended; there are {', '.join(Kind)}")
    for one in report.signatures:
        sub = one["sub_indication"]
        if not one["intact"] or one["indication"] == "TOTAL-FAILED" or sub in NEVER:
            raise Unacceptable(f"a signature that is not intact is not extended: {one['indication']} {sub or ''}".rstrip() + f"; {report.reasons}")
        if rank(one["level"]) is None and not one["counter_signature"]:
            raise Unacceptable(f"a signature of the document is no AdES signature ({one['level']}): it has no level to be raised from")
    broken = [s for s in report.stamps if not s["intact"] or s["indication"] == "FAILED"]
    if broken:
        raise Unacceptable(f"a time-stamp of the document is broken, and more on top of it would prove nothing: {report.reasons}")
    if report.conclusion != "passed" and not asked.allow_indeterminate:
        why = f"the verifier cannot conclude about the document: {report.reasons}"
        raise Unacceptable(f"{why}; name whom you trust and what status there is, or allow what is indeterminate")
    late = [s for s in report.signatures if rank(s["level"]) == RANK[Level.B_B] and _ended(s, report.at)]
    if late:
        end = late[0]["signer"]["not_after"][:10]
        why = f"the certificate of a signer ended on {end}, and no time-stamp tells that the signature is older"
        raise Unacceptable(f"{why}: one that is made now cannot tell it any more (EN 319 122-1 clause 6.3)")
    reached = [r for level in report.levels if (r := rank(level)) is not None]
    if asked.wanted.level is not Level.B_LTA and min(reached) >= RANK[asked.wanted.level]:
        raise Unacceptable(f"the document is at {', '.join(dict.fromkeys(report.levels))} already, asked for {asked.wanted.level}")
    return Kind(report.kind)


def _ended(signature: Mapping[str, Any], at: str) -> bool:
    """Whether the signer's certificate ended before `at`, a time of the report as text in UTC."""
    signer = signature["signer"]
    return not signature["counter_signature"] and signer is not None and bool(signer["not_after"]) and signer["not_after"] < at


NO_ROOT = "a trust anchor is no root: to whoever does not trust it the status of its own issuer is missing, and the level looks like B-T"


def _compared(before: _Report, after: _Report, wanted: Wanted, known: Known, draft: Draft) -> Draft:
    """Nothing that was there is worse than it was, and everything has the level; the draft with what is to be said of that. KakuinError where the
    fault is ours.

    A chain ends at a trust anchor (EN 319 102-1 clause 5.2.6.4), also at one that issued not itself: no status above it is needed, and a level told
    from the shape of the document alone cannot know that.
    """
    require_kept(before.told, after.told, "extended", "extending")
    if len(after.signatures) != len(before.signatures) or not all(s["intact"] for s in after.stamps):
        _LOG.error("an extension did not pass the check: %s", after.reasons[:500])
        raise KakuinError("extended, the document did not pass our own verification, so it is not given out; nothing was recorded")
    if before.conclusion == "passed" and after.conclusion != "passed":
        _LOG.error("an extension did not pass the check: %s", after.reasons[:500])
        raise KakuinError(f"extended, the document did not pass our own verification, so it is not given out: {after.reasons[:200]}")
    short = [level for level in after.levels if _reached(level, stamped=bool(after.stamps)) < RANK[wanted.level]]
    if short and wanted.status and not all(issued(a, a) for a in known.anchors) and all((rank(level) or 0) >= RANK[Level.B_T] for level in short):
        return replace(draft, warnings=(*draft.warnings, NO_ROOT))
    if short:
        missing = f"the document would be at {', '.join(dict.fromkeys(short))} only, asked for {wanted.level}"
        raise Unavailable(f"{missing}: certificates or status are missing that nobody gave")
    return draft
