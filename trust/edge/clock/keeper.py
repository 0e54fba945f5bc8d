"""The keeper of the authority's time: looks at the sources, answers for every token, and writes what it knows into the journal.

**Record, then release.** That the clock is good is in the journal, durably, before the first token is issued on the strength of it; that it is no
longer good counts at once, and is recorded then. While tokens are issued the readings are recorded every so often, and once more at the end: so the
entries around a token show on what its time rested.
"""

import logging
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from trust.edge.clock.evidence import body
from trust.edge.clock.kernel import sample
from trust.edge.settings import CHRONY_CLOCK, DEVELOPMENT_CLOCK, KERNEL_CLOCK, NTP_CLOCK, Settings
from trust.errors import KakuinError, Misconfigured, Unavailable
from trust.ports import Clock
from trust.timekeeping import (
    SECOND,
    Assessment,
    LeapMode,
    Lease,
    Observation,
    PendingLeap,
    Reading,
    Refusal,
    Rules,
    Said,
    Sample,
    State,
    assess,
    at,
    in_window,
    moment,
    moved,
)

Source = Callable[[bool], Sequence[Said]]
"""What one source, or several of one kind, says now. True: the clock was set, so measure anew rather than repeat. Never raises."""
Record = Callable[[bytes], object]
"""Makes a journal entry of kind `event`, durable when it returns. Raises KakuinError."""

POLLS_MISSED = 3
"""So many polls may be missing before what is known is too old ..."""
GRACE_NS = 10 * SECOND
"""... and that much more, for servers that take their time."""
OWED = 100
"""Bad news that could not be recorded and wait for the journal; more than these is the same news."""
NEAR_NS, NEAR_POLL = 5 * SECOND, 0.25
"""Around a leap second the clock is looked at so often (seconds), that its exact time is known: EN 319 421 TIS-7.7.2-09."""

_LOG = logging.getLogger("kakuin.clock")


class TimeNotAvailable(Unavailable):
    """Nobody vouches for the time. Its words go to requesters, and name no source."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.state}: {refusal.why}")
        self.state = refusal.state


@dataclass(frozen=True, slots=True)
class Status:
    """For those who watch."""

    state: State
    why: str
    bound_us: int | None
    """The most by which the clock is wrong now, in microseconds; None where nobody knows."""
    accuracy_us: int
    known: Assessment

    @property
    def good(self) -> bool:
        return self.state is State.GOOD


class Timekeeper:
    """Thread-safe. One for an installation's process; close() at the end, before the journal."""

    def __init__(
        self,
        rules: Rules,
        sources: Sequence[Source],
        record: Record,
        *,
        poll_seconds: float,
        evidence_seconds: float,
        samples: Callable[[], Sample] = sample,
    ) -> None:
        self._rules = rules
        self._sources = tuple(sources)
        self._record = record
        self._poll_seconds = poll_seconds
        self._evidence_ns = int(evidence_seconds * SECOND)
        self._sample = samples
        self._node = secrets.token_hex(4)
        self._known = Assessment(State.STARTING, "the clock was not looked at yet", samples())
        self._polling = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        # Set by whoever asks for the time, read by the poll.
        self._asked = False
        self._suspected_ns = 0
        # The poll's own.
        self._stopped = False
        self._anew = False
        self._old: frozenset[tuple[str, int]] = frozenset()
        self._recorded_ns = 0
        self._owed: list[bytes] = []

    def begin(self) -> None:
        """Look for the first time, then again and again, in a thread. What is not good is told by reading()."""
        if self._thread is None:
            self.poll()
            self._thread = threading.Thread(target=self._run, name="clock", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Look no more. The last readings are recorded if anything rested on them."""
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        with self._polling:
            if self._asked and self._known.sample.boot_ns > self._recorded_ns:
                self._write(self._known, "end", self._known.state)

    def reading(self, accuracy_ns: int) -> Reading:
        """The time and its bound, for a token that states this accuracy; TimeNotAvailable. Microseconds, no waiting."""
        found = at(self._known, self._sample(), self._rules, accuracy_ns)
        if isinstance(found, Reading):
            self._asked = True
            return found
        self._refused(found)
        raise TimeNotAvailable(found)

    def _refused(self, found: Refusal) -> None:
        if found.state is State.STEPPED and found.step_ns:
            self._suspected_ns = found.step_ns  # even if it is put back before the poll sees it
            self._wake.set()
        elif found.state is State.LEAP and self._rules.leap is LeapMode.STOP:
            self._stopped = True

    def clock(self, accuracy_us: int) -> Clock:
        """The clock of a unit whose tokens state this accuracy, in microseconds.

        A thousandth of it is kept back for the digits that genTime leaves out (tsa.policy:Policy.digits).
        """
        accuracy_ns = accuracy_us * 999
        lease = Lease.of(self._known, self._rules, accuracy_ns)

        def read() -> datetime:
            nonlocal lease
            known, sample = self._known, self._sample()
            if lease.known is not known:
                lease = Lease.of(known, self._rules, accuracy_ns)
            if lease.holds(sample):
                self._asked = True
                return moment(sample.wall_ns)
            return self.reading(accuracy_ns).now

        return read

    def status(self) -> Status:
        """The state and the bound at this moment."""
        known, accuracy = self._known, self._rules.accuracy_ns
        found = at(known, self._sample(), self._rules, accuracy)
        if isinstance(found, Reading):
            return Status(State.GOOD, "", -(-found.bound_ns // 1000), accuracy // 1000, known)
        unknown = known.high_ns == known.low_ns == 0 or found.state in (State.STALE, State.STEPPED)
        return Status(found.state, found.why, None if unknown else -(-known.bound_ns // 1000), accuracy // 1000, known)

    def poll(self) -> Assessment:
        """Look now."""
        with self._polling:
            self._publish(self._look())
            return self._known

    def look(self) -> Status:
        """The same once and for nobody: nothing is recorded or logged."""
        with self._polling:
            self._known = self._look()
            return self.status()

    def _look(self) -> Assessment:
        before = self._known
        anew, self._anew = self._anew, False
        said = [one for source in self._sources for one in source(anew)]
        now = self._sample()
        step = self._suspected_ns
        if before.state is not State.STARTING:
            seen, turned = moved(before.sample, now, before.leap, self._rules.step_ns)
            step = step or seen
            self._anew = abs(turned) > SECOND  # also after a suspension, in which the bare oscillator stands still
        marks = {(one.source, one.mark) for one in said if isinstance(one, Observation) and one.mark is not None}
        self._old = frozenset(marks if step else marks & self._old)
        found = assess(said, now, self._rules, before=before, old=self._old)
        if step:
            # Whatever the sources say was perhaps measured before: the next poll asks them anew.
            self._suspected_ns, self._anew = 0, True
            found = replace(found, state=State.STEPPED, why="the clock was set", step_ns=step)
        if before.leap is not None and _crossed(before.leap, before.sample, now, self._rules):
            self._anew = True  # answers from before it are a second away from those after it
        if self._rules.leap is LeapMode.STOP and in_window(found.leap, now.wall_ns, self._rules):
            self._stopped = True
        if self._stopped:
            found = replace(found, state=State.STOPPED, why="stopped at a leap second, until the service is started again")
        return found

    def _publish(self, found: Assessment) -> None:
        before = self._known
        stale = before.state is State.GOOD and found.sample.boot_ns - before.sample.boot_ns > self._rules.fresh_ns
        was = State.STALE if stale else before.state
        reason = "state" if found.state is not was else "leap" if (found.leap, found.leapt) != (before.leap, before.leapt) else ""
        if not reason and self._asked and found.sample.boot_ns - self._recorded_ns >= self._evidence_ns:
            reason = "evidence"
        if found.state is State.GOOD and was is not State.GOOD:
            if self._write(found, reason, was):
                self._known = found
            else:
                self._known = replace(found, state=State.UNRECORDED, why="the journal could not record the clock's state")
        else:
            self._known = found
            if reason:
                self._write(found, reason, was)
        if reason == "state":
            log = _LOG.info if found.state is State.GOOD else _LOG.warning
            log("clock: %s%s (was %s)", found.state, f": {found.why}" if found.why else "", was)

    def _write(self, found: Assessment, reason: str, was: State) -> bool:
        entry = body(found, self._rules, reason, was, self._node)
        asked, self._asked = self._asked, False  # what is issued while this is recorded wants the next one
        try:
            while self._owed:
                self._record(self._owed[0])
                self._owed.pop(0)
            self._record(entry)
        except KakuinError as error:
            _LOG.warning("clock: not recorded: %s", error)
            self._asked |= asked
            if reason == "state" and found.state is not State.GOOD and len(self._owed) < OWED:
                self._owed.append(entry)
            return False
        self._recorded_ns = found.sample.boot_ns
        return True

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait(self._pause())
            self._wake.clear()
            if self._closing.is_set():
                return
            try:
                self.poll()
            except Exception:  # noqa: BLE001  # what is known goes stale, and then nothing is issued; the next poll may work
                _LOG.exception("clock: could not look")

    def _pause(self) -> float:
        leap = self._known.leap
        near = leap is not None and abs(self._sample().wall_ns - leap.at_ns) <= NEAR_NS
        return min(self._poll_seconds, NEAR_POLL) if near else self._poll_seconds


def _crossed(leap: PendingLeap, before: Sample, now: Sample, rules: Rules) -> bool:
    """Whether between two polls a leap second ended, made or not, or the seconds after it in which clocks of servers may still differ by it."""
    ends = (leap.due_ns, leap.due_ns + min(NEAR_NS, rules.leap_window_ns))
    return any(before.wall_ns < end <= now.wall_ns for end in ends)


def rules_of(settings: Settings) -> Rules:
    """What these settings demand. Misconfigured."""
    said = settings.clock
    finer = [unit.accuracy_us for unit in settings.units.values() if unit.accuracy_us]
    servers = len(said.ntp_servers) if NTP_CLOCK in said.sources else 0
    if said.ntp_quorum > len(said.ntp_servers):
        raise Misconfigured(f"clock.ntp_quorum: of {len(said.ntp_servers)} time servers {said.ntp_quorum} can never agree")
    if said.nts_required and not (CHRONY_CLOCK in said.sources and said.chrony.startswith("/")):
        raise Misconfigured("clock.nts_required: only chrony tells, over its socket: set clock.sources and the path in clock.chrony")
    return Rules(
        required=frozenset(said.sources) & {KERNEL_CLOCK, CHRONY_CLOCK},
        servers=servers,
        quorum=said.ntp_quorum or servers // 2 + 1,
        accuracy_ns=min([settings.tsa.accuracy_ms * 1000, *finer]) * 1000,
        step_ns=int(said.step_ms * 1_000_000),
        leap=LeapMode(said.leap),
        leap_window_ns=said.leap_seconds * SECOND,
        fresh_ns=int(POLLS_MISSED * said.poll_seconds * SECOND) + GRACE_NS,
        fresh_ntp_ns=int(POLLS_MISSED * said.ntp_poll_seconds * SECOND) + GRACE_NS,
    )


def sources_of(settings: Settings) -> list[Source]:
    """Those that these settings name."""
    said = settings.clock
    found: list[Source] = []
    if KERNEL_CLOCK in said.sources:
        from trust.edge.clock.kernel import Kernel

        found.append(Kernel())
    if CHRONY_CLOCK in said.sources:
        from trust.edge.clock.chrony import Chrony

        found.append(Chrony(said.chrony, nts_required=said.nts_required))
    if NTP_CLOCK in said.sources:
        from trust.edge.clock.ntp import NtpServers

        found.append(NtpServers(said.ntp_servers, int(said.ntp_poll_seconds * SECOND)))
    return found


def looked(settings: Settings) -> Status:
    """One look, which is recorded nowhere. Misconfigured."""
    return keeper_of(settings, lambda _: None).look()


def keeper_of(settings: Settings, record: Record) -> Timekeeper:
    """The keeper that these settings ask for, not begun. Misconfigured; the development clock has no keeper."""
    if settings.development_clock:
        raise Misconfigured(f"{DEVELOPMENT_CLOCK}: nobody keeps the time")
    clock = settings.clock
    return Timekeeper(rules_of(settings), sources_of(settings), record, poll_seconds=clock.poll_seconds, evidence_seconds=clock.evidence_minutes * 60)
