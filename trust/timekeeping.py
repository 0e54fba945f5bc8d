"""Whether this machine's clock may stand in a time-stamp: a function of what sources said of it (EN 319 421 clauses 7.7.1 and 7.7.2).

Everything is an interval: a source says that UTC minus this machine's clock is `offset_ns`, give or take `bound_ns`. `assess` finds the interval in
which the truth must lie while enough sources are right, at each poll; `at` carries it to the moment of one token, and is the last word. Between the
two, three clocks of the kernel are compared (`Sample`): CLOCK_BOOTTIME runs on when somebody sets the wall clock, so a step shows in the very next
token; CLOCK_MONOTONIC_RAW is not even slewed, so whatever the wall clock was turned by since the poll is known and counts as error.

Nothing here reads a clock or asks a source. Times are nanoseconds; those of the wall clock since 1970 UTC.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

SECOND = 1_000_000_000
DRIFT_PPM = 100
"""Parts per million by which the oscillator that nothing disciplines may be wrong: twice what crystals of computers are sold with."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Fact = str | int | bool | None


class State(StrEnum):
    """Of the clock. Only under GOOD is anything issued."""

    GOOD = "good"
    STARTING = "starting"
    UNSYNCHRONISED = "unsynchronised"
    SILENT = "silent"
    DISAGREEING = "disagreeing"
    IMPRECISE = "imprecise"
    STEPPED = "stepped"
    LEAP = "leap-second"
    STOPPED = "stopped"
    STALE = "stale"
    UNRECORDED = "unrecorded"


REMEDIES: Mapping[State, str] = MappingProxyType(
    {
        State.STARTING: "wait for the first readings",
        State.UNSYNCHRONISED: "run chrony (or another NTP daemon) and wait until it has synchronised: `chronyc tracking`",
        State.SILENT: "look at the network and at the servers' names; wait, or name others (clock.ntp_servers, clock.chrony)",
        State.DISAGREEING: "find the source that lies: compare the offsets below with a source that you trust",
        State.IMPRECISE: "use nearer time servers, or state less accuracy (tsa.accuracy_ms)",
        State.STEPPED: "find out who set the clock; issuing goes on by itself once fresh readings agree",
        State.LEAP: "wait: issuing goes on by itself after the leap second",
        State.STOPPED: "check the clock after the leap second, then start the service again",
        State.STALE: "look at the service's log: it has stopped looking at its clock",
        State.UNRECORDED: "mend the database: what vouches for the clock is recorded before anything is issued",
    }
)


class Leap(StrEnum):
    """What a source announces."""

    INSERT = "insert"
    DELETE = "delete"


class LeapMode(StrEnum):
    """EN 319 421 TIS-7.7.2-07: what is done about it."""

    NONE = "none"
    PAUSE = "pause"
    STOP = "stop"


class Sample(NamedTuple):
    """Three clocks of the kernel, read as one."""

    wall_ns: int
    """CLOCK_REALTIME: what stands in tokens."""
    boot_ns: int
    """CLOCK_BOOTTIME: never set, slewed with the wall clock, goes on during suspend. How old something is, is told by this one."""
    raw_ns: int
    """CLOCK_MONOTONIC_RAW: the bare oscillator."""
    spread_ns: int = 0
    """How long reading them took: by so much they may not belong together."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What one source said of this machine's clock."""

    source: str
    kind: str
    """kernel, chrony or ntp."""
    offset_ns: int
    """UTC minus this machine's clock."""
    bound_ns: int
    """The most by which the offset is wrong."""
    sample: Sample
    """When it held."""
    mark: int | None = None
    """Names the measurement behind it: the same mark, the same measurement. None: taken at this very moment."""
    leap: Leap | None = None
    facts: Mapping[str, Fact] = field(default_factory=lambda: MappingProxyType({}))
    """What else it said, for those who audit."""


@dataclass(frozen=True, slots=True)
class Silence:
    """A source that does not vouch, and why: in words that name no address, because requesters read them."""

    source: str
    kind: str
    why: str
    state: State = State.SILENT


Said = Observation | Silence


@dataclass(frozen=True, slots=True)
class Rules:
    """What is demanded."""

    required: frozenset[str]
    """Kinds that must vouch, each of its sources: of kernel and chrony."""
    servers: int
    """NTP servers that are asked."""
    quorum: int
    """How many of them must agree."""
    accuracy_ns: int
    step_ns: int
    leap: LeapMode
    leap_window_ns: int
    """Before and after a leap second."""
    fresh_ns: int
    """How old an assessment may be."""
    fresh_ntp_ns: int
    """How old an NTP server's answer may be."""


@dataclass(frozen=True, slots=True)
class PendingLeap:
    """A leap second that was announced."""

    kind: Leap
    at_ns: int
    """The midnight (UTC) before which it is put in or left out."""

    @property
    def turn_ns(self) -> int:
        """What it does to the wall clock."""
        return -SECOND if self.kind is Leap.INSERT else SECOND

    @property
    def due_ns(self) -> int:
        """What the wall clock shows when it has to be made."""
        return self.at_ns - max(0, self.turn_ns)


@dataclass(frozen=True, slots=True)
class Assessment:
    """What is known of the clock since one poll."""

    state: State
    why: str
    sample: Sample
    low_ns: int = 0
    high_ns: int = 0
    """UTC minus the clock lies between these two."""
    leap: PendingLeap | None = None
    said: tuple[Said, ...] = ()
    outvoted: tuple[str, ...] = ()
    """NTP servers that contradict the quorum."""
    step_ns: int = 0
    """By how much the clock was set since the poll before, if it was."""
    leapt: bool = False
    """The wall clock has made the leap second that is pending."""

    @property
    def bound_ns(self) -> int:
        """The most by which the clock is wrong."""
        return max(abs(self.low_ns), abs(self.high_ns))


@dataclass(frozen=True, slots=True)
class Reading:
    """The time, and the most by which it is wrong."""

    wall_ns: int
    bound_ns: int

    @property
    def now(self) -> datetime:
        """Aware UTC."""
        return moment(self.wall_ns)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no time can be given."""

    state: State
    why: str
    step_ns: int = 0


def moment(wall_ns: int) -> datetime:
    """Aware UTC, to the microsecond."""
    return _EPOCH + timedelta(microseconds=wall_ns // 1000)


def moved(before: Sample, after: Sample, leap: PendingLeap | None, step_ns: int) -> tuple[int, int]:
    """By how much the wall clock was set between two samples (0: it was not), and by how much it was turned against the bare oscillator.

    A leap second that was announced for a moment between them (two seconds either way) is neither.
    """
    doubt = before.spread_ns + after.spread_ns
    set_by = (after.wall_ns - before.wall_ns) - (after.boot_ns - before.boot_ns)
    turned = (after.wall_ns - before.wall_ns) - (after.raw_ns - before.raw_ns)
    if leap is not None and before.wall_ns - 2 * SECOND <= leap.at_ns <= after.wall_ns + 2 * SECOND and abs(set_by - leap.turn_ns) <= step_ns + doubt:
        set_by, turned = set_by - leap.turn_ns, turned - leap.turn_ns
    return (set_by if abs(set_by) > step_ns + doubt else 0), turned


def _leapt(before: Sample, after: Sample, leap: PendingLeap, step_ns: int) -> bool:
    """Whether the wall clock made its leap second between two samples."""
    return moved(before, after, None, step_ns)[0] != 0 and moved(before, after, leap, step_ns)[0] == 0


def carried(seen: Observation, sample: Sample, leap: PendingLeap | None, step_ns: int) -> tuple[int, int]:
    """The interval of an observation, at a later moment: the clock was turned since, and the oscillator drifted."""
    _, turned = moved(seen.sample, sample, leap, step_ns)
    offset = seen.offset_ns - turned
    bound = seen.bound_ns + drifted(sample.boot_ns - seen.sample.boot_ns) + seen.sample.spread_ns + sample.spread_ns
    return offset - bound, offset + bound


def _missed(before: Sample, after: Sample, leap: PendingLeap | None, step_ns: int) -> bool:
    """Whether the wall clock went by its leap second between two samples: UTC made it, or those who announced it were wrong."""
    return leap is not None and before.wall_ns < leap.due_ns <= after.wall_ns and not _leapt(before, after, leap, step_ns)


def drifted(age_ns: int) -> int:
    """What the oscillator may have gone astray in that time, rounded up."""
    return -(-abs(age_ns) * DRIFT_PPM // 1_000_000)


def agreed(intervals: Sequence[tuple[int, int]], quorum: int) -> tuple[int, int] | None:
    """The interval in which the truth lies if at least `quorum` of these hold it; None when no point lies in so many.

    Marzullo's sweep over the end points. All points that lie in enough intervals are taken, not only those in the most: fewer liars than that are
    no reason to be surer.
    """
    edges = sorted([(low, 0) for low, _ in intervals] + [(high, 1) for _, high in intervals])  # of equal points the beginnings come first
    covering, low, high = 0, None, None
    for point, ends in edges:
        if ends:
            if covering >= quorum:
                high = point
            covering -= 1
        else:
            covering += 1
            if covering >= quorum and low is None:
                low = point
    return None if low is None or high is None else (low, high)


def next_leap(said: Iterable[Said], rules: Rules, wall_ns: int) -> PendingLeap | None:
    """The leap second that is announced: by the kernel for the end of the day, by chrony or a quorum of servers for the end of the month.

    RFC 5905 section 7.3: the indicator speaks of the last minute of the current month. The kernel acts at the end of the day (adjtimex(2)).
    """
    seen = [s for s in said if isinstance(s, Observation) and s.leap is not None]
    day = datetime.fromtimestamp(wall_ns // SECOND, UTC).replace(hour=0, minute=0, second=0)
    month = day.replace(day=1) + timedelta(days=31)
    ends = {"kernel": day + timedelta(days=1)}
    for kind, needed in (("kernel", 1), ("chrony", 1), ("ntp", rules.quorum)):
        for leap in Leap:
            if sum(s.kind == kind and s.leap is leap for s in seen) >= needed:
                at = ends.get(kind, month.replace(day=1))
                return PendingLeap(leap, int(at.timestamp()) * SECOND)
    return None


def assess(
    said: Sequence[Said], sample: Sample, rules: Rules, *, before: Assessment | None = None, old: frozenset[tuple[str, int]] = frozenset()
) -> Assessment:
    """What the sources' last words mean at the moment `sample`. `old` names measurements from before a step, which count no longer."""
    leap = next_leap(said, rules, sample.wall_ns)
    if before is not None and before.leap is not None and abs(sample.wall_ns - before.leap.at_ns) <= rules.leap_window_ns:
        leap = before.leap  # it is being handled: what is announced now is the next one
    applied = before is not None and leap is not None and leap == before.leap and (before.leapt or _leapt(before.sample, sample, leap, rules.step_ns))
    heard = tuple(_still(s, sample, rules, old, None if applied else leap) for s in said)
    blank = Assessment(State.GOOD, "", sample, leap=leap, leapt=applied, said=heard)
    for silent in heard:
        if isinstance(silent, Silence) and silent.kind in rules.required:
            return replace(blank, state=silent.state, why=silent.why)
    spans = {s.source: carried(s, sample, leap, rules.step_ns) for s in heard if isinstance(s, Observation)}
    kinds = {s.source: s.kind for s in heard}
    if missing := rules.required - {kinds[source] for source in spans}:
        return replace(blank, state=State.SILENT, why=f"nothing is known from {', '.join(sorted(missing))}")
    held = [span for source, span in spans.items() if kinds[source] in rules.required]
    if rules.servers:
        servers = {source: span for source, span in spans.items() if kinds[source] == "ntp"}
        if len(servers) < rules.quorum:
            why = f"{len(servers)} of {rules.servers} time servers answer, and {rules.quorum} must agree"
            return replace(blank, state=State.SILENT, why=why)
        common = agreed(list(servers.values()), rules.quorum)
        if common is None:
            why = f"of {len(servers)} time servers that answer no {rules.quorum} agree"
            return replace(blank, state=State.DISAGREEING, why=why)
        blank = replace(blank, outvoted=tuple(source for source, (low, high) in servers.items() if high < common[0] or common[1] < low))
        held.append(common)
    return _judged(blank, held, rules)


def _still(said: Said, sample: Sample, rules: Rules, old: frozenset[tuple[str, int]], leap: PendingLeap | None) -> Said:
    if not isinstance(said, Observation):
        return said
    if said.mark is not None and (said.source, said.mark) in old:
        return Silence(said.source, said.kind, f"{said.kind} has not measured since the clock was set", State.STEPPED)
    if _missed(said.sample, sample, leap, rules.step_ns):
        return Silence(said.source, said.kind, "it was not asked since the leap second")
    age = sample.boot_ns - said.sample.boot_ns
    if said.kind == "ntp" and not 0 <= age <= rules.fresh_ntp_ns:
        return Silence(said.source, said.kind, "its last answer is too old")
    return said


def _judged(blank: Assessment, held: Sequence[tuple[int, int]], rules: Rules) -> Assessment:
    low, high = max(span[0] for span in held), min(span[1] for span in held)
    if low > high:
        return replace(blank, state=State.DISAGREEING, why="the sources of time contradict one another")
    found = replace(blank, low_ns=low, high_ns=high)
    if found.bound_ns > rules.accuracy_ns:
        return replace(found, state=State.IMPRECISE, why=_imprecise(found.bound_ns, rules.accuracy_ns))
    if in_window(blank.leap, blank.sample.wall_ns, rules):
        return replace(found, state=State.LEAP, why="a leap second is near")
    return found


def in_window(leap: PendingLeap | None, wall_ns: int, rules: Rules) -> bool:
    """Whether a leap second is so near that nothing is issued."""
    return leap is not None and rules.leap is not LeapMode.NONE and abs(wall_ns - leap.at_ns) <= rules.leap_window_ns


def at(known: Assessment, sample: Sample, rules: Rules, accuracy_ns: int) -> Reading | Refusal:
    """The time at the moment `sample`, for a token that states `accuracy_ns`; or why there is none. EN 319 421 TIS-7.7.1-07: the last word."""
    if known.state is not State.GOOD:
        return Refusal(known.state, known.why)
    age = sample.boot_ns - known.sample.boot_ns
    if not 0 <= age <= rules.fresh_ns:
        return Refusal(State.STALE, "the clock was not looked at for too long")
    step, turned = moved(known.sample, sample, known.leap, rules.step_ns)
    if step:
        return Refusal(State.STEPPED, "the clock was set", step)
    if known.leap is not None and in_window(known.leap, sample.wall_ns, rules):
        return Refusal(State.LEAP, "a leap second is near")
    bound = known.bound_ns + abs(turned) + drifted(age) + known.sample.spread_ns + sample.spread_ns
    if not known.leapt and _missed(known.sample, sample, known.leap, rules.step_ns):
        bound += SECOND
    if bound > accuracy_ns:
        return Refusal(State.IMPRECISE, _imprecise(bound, accuracy_ns))
    return Reading(sample.wall_ns, bound)


@dataclass(frozen=True, slots=True)
class Lease:
    """What `at` would grant until the next poll, worked out beforehand for one accuracy, so that a token costs some comparisons. It is the
    stricter of the two; where it does not hold, `at` has the last word."""

    known: Assessment
    set_ns: int
    raw_ns: int
    fresh_ns: int
    step_ns: int
    slack_ns: int
    """By so much may the clock be turned in doubt or in fact; below 0 nothing is granted."""
    before_ns: int | None
    """Of the wall clock: from then on a leap second is near."""

    @classmethod
    def of(cls, known: Assessment, rules: Rules, accuracy_ns: int) -> "Lease":
        sample = known.sample
        slack = accuracy_ns - known.bound_ns - drifted(rules.fresh_ns) - sample.spread_ns if known.state is State.GOOD else -1
        before = None if known.leap is None else known.leap.at_ns - max(rules.leap_window_ns, 5 * SECOND)
        return cls(known, sample.wall_ns - sample.boot_ns, sample.wall_ns - sample.raw_ns, rules.fresh_ns, rules.step_ns, slack, before)

    def holds(self, sample: Sample) -> bool:
        """Whether `at` would say the same."""
        wall, boot, raw, spread = sample
        return (
            abs(wall - raw - self.raw_ns) + spread <= self.slack_ns
            and abs(wall - boot - self.set_ns) <= self.step_ns
            and 0 <= boot - self.known.sample.boot_ns <= self.fresh_ns
            and (self.before_ns is None or wall < self.before_ns)
        )


def _imprecise(bound_ns: int, accuracy_ns: int) -> str:
    return f"the clock may be wrong by {-(-bound_ns // 1000)} microseconds, and {accuracy_ns // 1000} are stated"
