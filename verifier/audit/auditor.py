"""One token after the other, held against anchors, its log and those before it. Pure: the source feeds it, and rows go where `emit` puts them."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from trust.errors import KakuinError
from trust.model import Cert, Digest, Document, Id, Token, identify
from verifier.audit.clock import DEVELOPMENT, GOOD, UNKNOWN, Clocks, event
from verifier.audit.rows import Row
from verifier.audit.serials import MOST_UNITS, Serials, microseconds
from verifier.audit.units import Units
from verifier.formats import tst
from verifier.report.plain import printable
from verifier.verdict import Conclusion, Verdict

if TYPE_CHECKING:  # the log's modules bring a database along, which an audit of files does not wait for
    from trust.log.examine import Finding
    from trust.log.journal import Entry

DEVELOPMENT_POLICY = "1.3.6.1.4.1.32473.1.999"
"""Policy of tokens whose time nobody vouches for (trust.edge.settings; a test holds both equal)."""
LATE = timedelta(seconds=60)
"""From the time in a token to its record: the authority signs and records in one step, of some thirty milliseconds."""
SLACK_US = 1_000_000
"""By which a token's time may be after its record where it states no accuracy."""
EXAMPLES = 10
"""Findings of a kind that the summary names; the rows name all."""

REMARKS = frozenset({"gap-explained", "gap-seen", "copy"})
"""Told, and no finding."""

Judge = Callable[[bytes, Document | None], Verdict]
"""A token and the document beside it (None: everything but the imprint is judged). Malformed for what is no token."""


@dataclass
class Totals:
    """What the summary counts; it grows with units and kinds of findings, never with tokens."""

    tokens: int = 0
    skipped: int = 0
    """Files that are no tokens, or entries outside of the period."""
    first: datetime | None = None
    last: datetime | None = None
    """Times in tokens."""
    verdicts: Counter[str] = field(default_factory=Counter)
    clocks: Counter[str] = field(default_factory=Counter)
    oldest_evidence_us: int = 0
    """The longest time from the word of a clock to a token that rests on it."""
    findings: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    authorities: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By unit: its name, and the SHA-256 of its certificate."""
    unstamped: int = 0
    unlisted: int = 0
    """Tokens over something that is not on the list."""

    def note(self, code: str, where: str) -> None:
        self.findings[code] += 1
        known = self.examples.setdefault(code, [])
        if len(known) < EXAMPLES:
            known.append(where)

    @property
    def grave(self) -> int:
        return sum(count for code, count in self.findings.items() if code not in REMARKS)


class Auditor:
    """Not thread-safe. Of a log: `entry` for each entry; of a folder: `judged` for each file, then `in_order` for each row."""

    def __init__(
        self,
        judging: Callable[[Iterable[Cert]], Judge],
        emit: Callable[[Row], None],
        expected: Callable[[Digest], str | None],
        *,
        log: bool,
        whole: bool = False,
        certificates: Sequence[Cert] = (),
        since: datetime | None = None,
        until: datetime | None = None,
        at: datetime | None = None,
    ) -> None:
        """`judging` makes a judge that knows these certificates besides; `expected` says what a list calls a digest; `whole`: the log is there from
        its first entry; `certificates`: candidates for signers, beside those of the log; `at`: as of when it is judged."""
        self.totals = Totals()
        self.serials = Serials(from_one=log and whole)
        self.units = Units()
        self.clocks = Clocks()
        self.entries = 0
        self._whole = whole
        self._judging, self._emit, self._expected = judging, emit, expected
        self._judge = judging(())
        self._certificates = tuple(certificates)
        self._since, self._until, self._at = since, until, at
        self._passed: dict[str, Cert] = {}
        """By unit, where a token of it was found valid."""

    # A log

    def token(self, entry: "Entry") -> "Iterator[Finding]":
        """An entry that holds a token: its row. What is wrong with it stands there; nothing is left for the log's own findings."""
        if not self._within(entry.at):
            self._outside(entry)
            return
        row = Row(index=entry.index, recorded=entry.at)
        verdict = self._read(entry.body, None, row)
        at = microseconds(entry.at)
        odd: list[str] = [*row.findings]
        if verdict is not None:
            token = verdict.evidence.stamps[0].token
            if entry.serial is not None and entry.serial != token.serial:
                odd.append("table-differs")
            odd += self.units.odd(row.unit, token.signature.signer, token.gen_time, listed=self._whole)
            odd += self._numbered(row, token)
            odd += self._clock(row, at)
            if microseconds(token.gen_time) > at + (token.accuracy_us or SLACK_US):
                odd.append("time-after-record")
            elif entry.at - token.gen_time > LATE:
                odd.append("recorded-late")
        row.findings = tuple(odd)
        self.tell(row)
        yield from ()

    def other(self, entry: "Entry") -> None:
        """Any other entry: what it says of units and clocks."""
        if entry.kind == "certificate":
            if self.units.certificate(Cert(entry.body)):
                self._judge = self._judging(self.units.certificates.values())
        elif entry.kind == "revocation":
            self.units.revocation(entry.index, entry.body)
        elif entry.kind == "event":
            said = event(entry.body)
            if said.get("event") == "clock":
                self.clocks.take(entry.index, microseconds(entry.at), said)
            else:
                self.units.event(entry.index, said)

    def _within(self, at: datetime) -> bool:
        return (self._since is None or at >= self._since) and (self._until is None or at < self._until)

    def _outside(self, entry: "Entry") -> None:
        """Before the period its number is what the first of the period follows; after it nothing is looked at."""
        self.totals.skipped += 1
        if self._until is not None and entry.at >= self._until:
            return
        row = Row()
        try:
            token = tst.token_of(entry.body, (*self._certificates, *self.units.certificates.values()))
        except (KakuinError, RecursionError):
            return
        _fill(row, token)
        self.serials.precede(row.unit, token.serial, microseconds(token.gen_time))

    def _numbered(self, row: Row, token: Token) -> tuple[str, ...]:
        """What is odd about its number and time; a gap in front of it that was declared void is called so at once."""
        odd = self.serials.take(row.unit, token.serial, microseconds(token.gen_time))
        gap = self.serials.newest_gap(row.unit) if "serial-gap" in odd else None
        if gap is None or gap[1] != token.serial - 1 or self.units.explained(row.unit, *gap) is None:
            return odd
        return tuple("gap-explained" if code == "serial-gap" else code for code in odd)

    def _clock(self, row: Row, at: int) -> tuple[str, ...]:
        if row.policy == DEVELOPMENT_POLICY:
            row.clock = DEVELOPMENT
            return ()
        said = self.clocks.at(at)
        row.clock, row.clock_bound_us = said.state, said.bound_us
        row.clock_entry = said.index if said.index >= 0 else None
        if said.state == GOOD:
            self.totals.oldest_evidence_us = max(self.totals.oldest_evidence_us, at - said.at)
            return ()
        return ("clock-unknown",) if said.state == UNKNOWN else ("clock-not-good",)

    # Files

    def judged(self, name: str, data: bytes, document: Document | None) -> tuple[Row, Id] | None:
        """A file that holds a token: its row, which has no place among others yet, and the token's digest; None outside of the period."""
        row = Row(file=name)
        verdict = self._read(data, document, row)
        if verdict is None:
            return row, identify(data)
        token = verdict.evidence.stamps[0].token
        if not self._within(token.gen_time):
            self.totals.skipped += 1
            return None
        row.findings += self.units.odd(row.unit, token.signature.signer, token.gen_time, listed=False)
        return row, token.id

    def unread(self, name: str, why: str) -> None:
        """A file that should hold a token and cannot be read at all."""
        self.tell(Row(file=name, verdict="unreadable", why=why, findings=("unreadable",)))

    def in_order(self, row: Row, *, copy: bool) -> None:
        """The rows of files by unit, number and time. `copy`: the same token as in the row before."""
        if copy:
            row.findings = (*row.findings, "copy")
        elif row.serial is not None and row.time is not None:
            odd = self.serials.take(row.unit, row.serial, microseconds(row.time))
            row.findings += tuple(code for code in odd if code != "serial-gap")
        self.tell(row)

    # Both

    def _read(self, data: bytes, document: Document | None, row: Row) -> Verdict | None:
        """The verdict, in the row; None where there is no token to judge."""
        try:
            verdict = self._judge(data, document)
        except (KakuinError, RecursionError) as error:
            row.verdict, row.why, row.findings = "unreadable", str(error), ("unreadable",)
            return None
        token = verdict.evidence.stamps[0].token
        _fill(row, token)
        row.verdict = verdict.conclusion.value
        if verdict.conclusion is Conclusion.PASSED and token.signature.signer is not None and len(self._passed) < MOST_UNITS:
            self._passed.setdefault(row.unit, token.signature.signer)
        found = verdict.stamps[0]
        if verdict.conclusion is not Conclusion.PASSED:
            row.sub_indication = str(found.sub_indication or "")
            unmet = "; ".join(dict.fromkeys(step.what for step in found.trace if not step.ok and step.indication is not None))
            row.why = unmet and f"not met: {unmet}"  # a requirement by itself reads as if it held
            if verdict.conclusion is Conclusion.FAILED:
                row.findings = ("not-valid",)
        if document is not None:
            row.document = "matches" if found.stamp.intact else "differs"
        if token.policy == DEVELOPMENT_POLICY:
            row.findings += ("development-clock",)
        listed = self._expected(token.imprint)
        row.expected = listed or ""
        self.totals.unlisted += listed is None
        return verdict

    def tell(self, row: Row) -> None:
        """A row that is complete: counted, and let go."""
        totals = self.totals
        totals.tokens += 1
        totals.verdicts[row.verdict] += 1
        if row.clock:
            totals.clocks[row.clock] += 1
        if row.time is not None:
            totals.first = row.time if totals.first is None else min(totals.first, row.time)
            totals.last = row.time if totals.last is None else max(totals.last, row.time)
            if row.unit not in totals.authorities and len(totals.authorities) < len(self.serials.units) + 1:
                totals.authorities[row.unit] = (row.authority, row.certificate)
        for code in row.findings:
            if code not in ("serial-gap", "gap-explained"):  # told once it is known whether it stays one
                totals.note(code, _where(row))
        self._emit(row)

    def finding(self, finding: "Finding") -> None:
        """Of the log itself."""
        code = f"log-{finding.what}"
        where = f"entry {finding.index}: {finding.detail}" if finding.index is not None else finding.detail
        self.totals.note(code, where)
        self._emit(Row(code, (code,), finding.index, detail=finding.detail))

    def finish(self, missing: Iterable[tuple[str, str]], *, log: bool) -> None:
        """What is known only at the end: gaps that stayed, and what was expected and never came (name and digest)."""
        for gap in self.serials.gaps():
            entry = self.units.explained(gap.unit, gap.first, gap.last)
            code = "gap-seen" if not log else "serial-gap" if entry is None else "gap-explained"
            numbers = f"{gap.first}" if gap.count == 1 else f"{gap.first}-{gap.last}"
            why = "" if entry is None else f" (entry {entry})"
            self.totals.note(code, f"{gap.unit} {numbers}{why}")
            self._emit(Row(code, (code,), entry, unit=gap.unit, detail=numbers))
        for unit, signer in self._passed.items():
            revoked = self.units.revoked(signer)
            if revoked is not None and self._at is not None and revoked.since <= self._at:
                said = f"{revoked.since.isoformat()} {printable(revoked.reason)}".strip()
                self.totals.note("status-old", f"entry {revoked.index}: {unit} {said}")
                self._emit(Row("status-old", ("status-old",), revoked.index, unit=unit, detail=said))
        for name, digest in missing:
            self.totals.note("missing", name or digest)
            self.totals.unstamped += 1
            self._emit(Row("missing", ("missing",), expected=name, detail=digest))


def _fill(row: Row, token: Token) -> None:
    """What the token says."""
    signer = token.signature.signer
    row.serial, row.time, row.accuracy_us, row.policy, row.nonce = token.serial, token.gen_time, token.accuracy_us, token.policy, token.nonce
    row.digest, row.imprint = token.imprint.algorithm, token.imprint.value.hex()
    if signer is not None:
        row.unit, row.certificate, row.authority = _named(signer)
    else:
        row.unit = "unknown"


def _named(signer: Cert) -> tuple[str, str, str]:
    """The unit as the journal calls it, the digest of its certificate, and its name."""
    known = _NAMES.get(signer.id)
    if known is None:
        if len(_NAMES) >= _MOST_NAMES:
            _NAMES.clear()
        try:
            name = signer.name
        except KakuinError:
            name = ""
        known = _NAMES[signer.id] = (f"tsu-{signer.id.hex()[:16]}", signer.id.hex(), name)
    return known


_NAMES: dict[bytes, tuple[str, str, str]] = {}
_MOST_NAMES = 1_000


def _where(row: Row) -> str:
    place = row.file or (f"entry {row.index}" if row.index is not None else "")
    return f"{place}: {row.unit} {row.serial}" if row.serial is not None else place
