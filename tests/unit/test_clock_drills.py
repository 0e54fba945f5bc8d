"""Clock drills (EN 319 421 clause 7.7): what goes wrong with the clock is a refusal at once and evidence in the journal, and ends by itself."""

import functools
import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests import tsu
from tests.clocks import MS, RULES, START, Clocks, Honest, Script, Server, seen, silent
from trust.codecs import tsp
from trust.codecs.tsp import Failure
from trust.edge.clock.keeper import Record, Source, Timekeeper, TimeNotAvailable
from trust.edge.clock.kernel import Kernel, KernelClock, _Timex, told
from trust.edge.clock.ntp import NtpServers, ask
from trust.errors import Unavailable
from trust.log.journal import Journal
from trust.log.reading import summary
from trust.timekeeping import SECOND, Leap, LeapMode, Observation, Rules, Silence, State
from tsa.service import Authority

REQUEST = tsp.encode_request(tsu.DIGEST)
ACCURACY_US = 1_000_000
WELL = seen(bound=20)


@dataclass
class Stand:
    """An authority whose clock is moved by hand."""

    clocks: Clocks
    keeper: Timekeeper
    authority: Authority
    journal: Journal

    def stamp(self) -> bytes:
        return self.authority.stamp(REQUEST)

    def issues(self) -> bool:
        """Whether a request is granted, with the clock's time in it; every refusal is timeNotAvailable."""
        response = self.stamp()
        if tsp.decode_response(response).granted:
            time = tsu.token(response).gen_time
            shown = datetime.fromtimestamp(self.clocks.shown.wall_ns / SECOND, UTC)
            assert abs(time - shown) <= timedelta(milliseconds=1)
            return True
        assert tsu.refused(response) is Failure.TIME_NOT_AVAILABLE
        return False

    def poll(self, seconds: float = 5) -> State:
        """One poll later."""
        self.clocks.go(seconds)
        return self.keeper.poll().state

    def events(self) -> list[dict[str, Any]]:
        found = (json.loads(entry.body) for entry in self.journal.read() if entry.kind == "event")
        return [event for event in found if event.get("event") == "clock"]

    def course(self) -> list[str]:
        """The states that the journal tells."""
        return [event["state"] for event in self.events() if event["reason"] == "state"]


class Stands:
    """Makes them, and closes them in the right order."""

    def __init__(self, folder: Path, exits: ExitStack) -> None:
        self._folder = folder
        self._exits = exits
        self._number = itertools.count()
        self.clocks = Clocks()

    def __call__(self, *sources: Source, rules: Rules = RULES, record: Record | None = None, evidence_seconds: float = 600) -> Stand:
        folder = self._folder / str(next(self._number))
        folder.mkdir()
        journal = self._exits.enter_context(tsu.journal(folder))
        keeper = Timekeeper(
            rules,
            sources,
            record or functools.partial(journal.append, "event"),
            poll_seconds=5,
            evidence_seconds=evidence_seconds,
            samples=self.clocks,
        )
        authority = Authority(tsu.unit(), journal, keeper.clock(ACCURACY_US))
        self._exits.callback(authority.close)
        return Stand(self.clocks, keeper, authority, journal)

    def scripted(self, *said: Any, **more: Any) -> tuple[Stand, Script]:
        script = Script(self.clocks, *(said or (WELL,)))
        return self(script, **more), script

    def server(self) -> Server:
        return self._exits.enter_context(Server(Honest(self.clocks)))


@pytest.fixture
def stands(tmp_path: Path) -> Iterator[Stands]:
    with ExitStack() as exits:
        yield Stands(tmp_path, exits)


# The machine's own clock.


def test_nothing_is_issued_before_the_first_look(stands: Stands) -> None:
    stand, _ = stands.scripted()
    assert not stand.issues()
    assert stand.keeper.status().state is State.STARTING
    assert stand.poll() is State.GOOD
    assert stand.issues()
    assert stand.course() == ["good"]


def test_drill_unsynchronised(stands: Stands) -> None:
    told = KernelClock(synchronised=True, max_error_us=20_000, estimated_error_us=300, tai_s=37)
    kernel = [told]
    stand = stands(Kernel(lambda: kernel[0], stands.clocks))
    stand.poll()
    assert stand.issues()
    kernel[0] = replace(told, synchronised=False)
    assert stand.poll() is State.UNSYNCHRONISED
    assert not stand.issues()
    kernel[0] = told
    assert stand.poll() is State.GOOD
    assert stand.issues()
    assert stand.course() == ["good", "unsynchronised", "good"]
    first, second, third = stand.events()
    assert first["sources"] == [{"source": "kernel", "offset_us": 0, "bound_us": 20_000, "estimated_error_us": 300, "tai_s": 37}]
    assert second["sources"] == [{"source": "kernel", "state": "unsynchronised", "why": "this machine's clock is not synchronised"}]
    assert (third["was"], third["bound_us"], third["accuracy_us"]) == ("unsynchronised", 20_000, 1_000_000)


def timex(**said: int) -> _Timex:
    found = _Timex()
    for name, value in {"maxerror": 20_000, "esterror": 300, "status": 0x2000, **said}.items():
        setattr(found, name, value)
    return found


@pytest.mark.parametrize(
    ("said", "bound_ms"),
    [({}, 20), ({"offset": -400_000_000}, 420), ({"offset": 400_000, "status": 0}, 420), ({"maxerror": 0, "esterror": 0}, 0)],
    ids=["nothing", "nanoseconds", "microseconds", "chrony-to-the-microsecond"],
)
def test_what_the_kernel_has_still_to_turn_the_clock_by_counts(said: dict[str, int], bound_ms: int) -> None:
    [seen] = Kernel(lambda: told(timex(**said), 0), Clocks())()
    assert isinstance(seen, Observation)
    assert seen.bound_ns == bound_ms * MS


def test_drill_a_daemon_that_does_not_work_the_bound_out(stands: Stands) -> None:
    """systemd-timesyncd writes that both errors are 0 while the kernel turns the clock by up to 0.4 seconds."""
    said = [timex(maxerror=0, esterror=0, status=0x2001)]
    stand = stands(Kernel(lambda: told(said[0], 0), stands.clocks))
    assert stand.poll() is State.UNSYNCHRONISED
    assert not stand.issues()
    said[0] = timex(status=0x2001)  # ntpd uses the kernel's loop too, and says how good it is
    assert stand.poll() is State.GOOD
    assert stand.issues()


def test_drill_the_bound_is_too_large(stands: Stands) -> None:
    stand, script = stands.scripted()
    stand.poll()
    assert stand.issues()
    script.said = (replace(WELL, bound_ns=SECOND + 1),)
    assert stand.poll() is State.IMPRECISE
    assert not stand.issues()
    script.said = (WELL,)
    stand.poll()
    assert stand.issues()
    assert stand.course() == ["good", "imprecise", "good"]


def test_the_bound_is_judged_at_each_token(stands: Stands) -> None:
    """A clock that is slewed between two polls goes out of accuracy in between."""
    stand, _ = stands.scripted()
    stand.poll()
    stand.clocks.slew_by(0.97)
    assert stand.issues()
    stand.clocks.slew_by(0.01)
    assert not stand.issues()


def test_each_unit_has_its_accuracy(stands: Stands) -> None:
    stand, _ = stands.scripted()
    stand.poll()
    fine, coarse = stand.keeper.clock(20_000), stand.keeper.clock(21_000)
    with pytest.raises(TimeNotAvailable, match="imprecise: the clock may be wrong by 20000 microseconds"):
        fine()
    assert coarse() == START + timedelta(seconds=5)


@pytest.mark.parametrize("by", [0.02, 3600, -0.02, -3600], ids=["little-forward", "forward", "little-back", "back"])
def test_drill_step(stands: Stands, by: float) -> None:
    stand, script = stands.scripted()
    stand.poll()
    assert stand.issues()
    stand.clocks.set_by(by)
    assert not stand.issues()  # at once, not at the next poll
    assert stand.poll() is State.STEPPED
    assert not stand.issues()
    assert script.asked[-1] is False
    assert stand.poll() is State.GOOD
    assert script.asked[-1] is True  # readings from after the step
    assert stand.issues()
    assert stand.course() == ["good", "stepped", "good"]
    assert stand.events()[1]["step_us"] == pytest.approx(by * 1e6)
    assert stand.events()[1]["why"] == "the clock was set"


def test_a_step_that_is_taken_back_is_seen_by_whoever_asked_in_between(stands: Stands) -> None:
    stand, _ = stands.scripted()
    stand.poll()
    stand.clocks.set_by(60)
    assert not stand.issues()
    stand.clocks.set_by(-60)
    assert stand.poll() is State.STEPPED
    assert stand.poll() is State.GOOD


def test_after_a_step_chrony_must_measure_again(stands: Stands) -> None:
    """chronyd goes on saying that all is well until its next measurement."""
    rules = replace(RULES, required=frozenset({"chrony"}))
    chrony = seen("chrony", "chrony", bound=20, mark=1)
    script = Script(stands.clocks, chrony)
    stand = stands(lambda anew: tuple(replace(one, sample=stands.clocks()) for one in script(anew)), rules=rules)  # type: ignore[arg-type]
    stand.poll()
    stand.clocks.set_by(-2)
    for _ in range(4):
        assert stand.poll() is State.STEPPED
        assert not stand.issues()
    script.said = (replace(chrony, mark=2),)
    assert stand.poll() is State.GOOD
    assert stand.issues()


def test_drill_the_poll_stands_still(stands: Stands) -> None:
    stand, _ = stands.scripted()
    stand.poll()
    stand.clocks.go(26)
    assert not stand.issues()
    assert stand.keeper.status().state is State.STALE
    assert stand.poll() is State.GOOD
    assert stand.issues()
    assert [(event["was"], event["state"]) for event in stand.events()] == [("starting", "good"), ("stale", "good")]


# Leap seconds.


def leaping(stands: Stands, leap: Leap, mode: LeapMode) -> tuple[Stand, Script]:
    stands.clocks = Clocks(datetime(2026, 12, 31, 23, 58, 30, tzinfo=UTC))
    stand, script = stands.scripted(replace(WELL, leap=leap), rules=replace(RULES, leap=mode, fresh_ns=300 * SECOND))
    stand.poll(1)
    assert stand.issues()
    return stand, script


def over_midnight(stand: Stand, script: Script, leap: Leap) -> None:
    """From half a minute before to half a minute after; the kernel does what was announced, and announces it no longer."""
    stand.poll(60 if leap is Leap.INSERT else 58)
    stand.clocks.go(0.9)
    stand.clocks.set_by(-1 if leap is Leap.INSERT else 1)
    script.said = (WELL,)


@pytest.mark.parametrize("leap", Leap, ids=str)
def test_drill_leap_second_pause(stands: Stands, leap: Leap) -> None:
    stand, script = leaping(stands, leap, LeapMode.PAUSE)
    stand.clocks.go(29.5)
    assert not stand.issues()  # from a minute before, without waiting for the poll
    assert stand.poll(0) is State.LEAP
    over_midnight(stand, script, leap)
    assert stand.poll(1) is State.LEAP
    assert not stand.issues()
    assert stand.poll(58) is State.LEAP
    assert stand.poll(3) is State.GOOD
    assert stand.issues()
    assert stand.course() == ["good", "leap-second", "good"]
    told = {event["leap"]["applied"]: event["at"] for event in stand.events() if "leap" in event}
    assert set(told) == {False, True}  # TIS-7.7.2-09: when the clock made its leap second is on record
    assert {event["leap"]["kind"] for event in stand.events() if "leap" in event} == {leap}
    assert {event["leap"]["at"] for event in stand.events() if "leap" in event} == {"2027-01-01T00:00:00+00:00"}


@pytest.mark.parametrize("leap", Leap, ids=str)
def test_drill_leap_second_stop(stands: Stands, leap: Leap) -> None:
    stand, script = leaping(stands, leap, LeapMode.STOP)
    stand.clocks.go(29.5)
    assert not stand.issues()
    over_midnight(stand, script, leap)
    for seconds in (1, 61, 3600):
        assert stand.poll(seconds) is State.STOPPED
        assert not stand.issues()
    again = stands(script)  # the service is started again
    again.poll()
    assert again.issues()


@pytest.mark.parametrize("leap", Leap, ids=str)
def test_drill_leap_second_none(stands: Stands, leap: Leap) -> None:
    stand, script = leaping(stands, leap, LeapMode.NONE)
    stand.poll(29)
    over_midnight(stand, script, leap)
    assert stand.issues()
    assert stand.poll(1) is State.GOOD
    assert stand.issues()
    assert stand.course() == ["good"]
    assert [event["reason"] for event in stand.events() if event.get("leap", {}).get("applied")] == ["leap"]


def test_a_second_that_nobody_announced_is_a_step(stands: Stands) -> None:
    stands.clocks = Clocks(datetime(2026, 12, 31, 23, 59, 58, tzinfo=UTC))
    stand, _ = stands.scripted()
    stand.poll(1)
    stand.clocks.go(1)
    stand.clocks.set_by(-1)
    assert not stand.issues()
    assert stand.poll(0) is State.STEPPED


# A quorum of NTP servers, over UDP.


def quorum(stands: Stands, *besides: Source, count: int = 3, needed: int = 2, rules: Rules = RULES) -> tuple[Stand, list[Server]]:
    servers = [stands.server() for _ in range(count)]
    patience = {server.place: server for server in servers}
    source = NtpServers(
        list(patience),
        64 * SECOND,
        samples=stands.clocks,
        question=lambda server, samples: ask(server, samples, timeout=patience[server].patience),
    )
    required = rules.required if besides else frozenset[str]()
    stand = stands(source, *besides, rules=replace(rules, required=required, servers=count, quorum=needed, fresh_ns=300 * SECOND))
    stand.poll()
    assert stand.issues()
    return stand, servers


def test_drill_the_sources_disagree(stands: Stands) -> None:
    stand, servers = quorum(stands)
    servers[0].answering = Honest(stands.clocks, offset_ns=3600 * SECOND)
    assert stand.poll(64) is State.GOOD  # one liar is outvoted, and named
    assert stand.issues()
    assert stand.keeper.status().known.outvoted == (f"ntp {servers[0].place}",)
    servers[1].answering = Honest(stands.clocks, offset_ns=-5 * SECOND)
    assert stand.poll(64) is State.DISAGREEING
    assert not stand.issues()
    servers[1].answering = Honest(stands.clocks)
    assert stand.poll(64) is State.GOOD
    assert stand.issues()
    assert stand.course() == ["good", "disagreeing", "good"]
    good, bad, _ = (event for event in stand.events() if event["reason"] == "state")
    assert {source["source"] for source in good["sources"]} == {f"ntp {server.place}" for server in servers}
    assert sorted(source["offset_us"] for source in bad["sources"]) == pytest.approx([-5_000_000, 0, 3_600_000_000], abs=1)
    assert good["quorum"] == "2 of 3"


def test_drill_servers_that_agree_on_another_time(stands: Stands) -> None:
    """The clock is off by more than is stated: nobody disagrees, and nothing is issued."""
    stand, servers = quorum(stands)
    for server in servers:
        server.answering = Honest(stands.clocks, offset_ns=1100 * MS)
    assert stand.poll(64) is State.IMPRECISE
    assert not stand.issues()


def test_drill_the_sources_are_gone(stands: Stands) -> None:
    stand, servers = quorum(stands)
    for server in servers[1:]:
        server.answering, server.patience = silent, 0.1
    assert stand.poll(64) is State.SILENT
    assert not stand.issues()
    for server in servers:
        server.answering, server.patience = Honest(stands.clocks), 30.0
    assert stand.poll(16) is State.GOOD  # those that were silent are asked again sooner
    assert stand.issues()
    assert stand.course() == ["good", "silent", "good"]
    assert [source.get("why") for source in stand.events()[1]["sources"]].count("no answer") == 2


@pytest.mark.parametrize(
    ("lie", "why"),
    [
        ({"stratum": 0, "reference": b"RATE"}, "the server refuses to answer (RATE)"),
        ({"leap": 3}, "the server is not synchronised"),
        ({"root_dispersion": 0x30000}, "the server may be wrong by 3000 ms itself"),
        ({"origin_xor": 1}, "no answer but 1 packets that are none"),
        ({"mode": 1}, "no answer but 1 packets that are none"),
        ({"held_ns": SECOND}, "no answer but 1 packets that are none"),
    ],
    ids=["kiss-of-death", "unsynchronised", "root-distance", "spoofed-origin", "mode", "held-too-long"],
)
def test_drill_bad_answers(stands: Stands, lie: dict[str, Any], why: str) -> None:
    stand, servers = quorum(stands)
    for server in servers[:2]:
        server.answering, server.patience = Honest(stands.clocks, **lie), 0.5
    assert stand.poll(64) is State.SILENT
    assert not stand.issues()
    assert [source.get("why") for source in stand.events()[-1]["sources"]].count(why) == 2
    for server in servers:
        server.answering, server.patience = Honest(stands.clocks), 30.0
    assert stand.poll(128) is State.GOOD
    assert stand.issues()


def test_after_a_step_the_servers_are_asked_again_at_once(stands: Stands) -> None:
    stand, servers = quorum(stands)
    for server in servers:
        server.answering = Honest(stands.clocks, offset_ns=-30 * SECOND)  # as it looks once the clock was put forward
    stand.clocks.set_by(30)
    assert not stand.issues()
    assert stand.poll() is State.STEPPED
    assert stand.poll() is State.IMPRECISE  # off by half a minute, says everybody
    assert not stand.issues()
    for server in servers:
        server.answering = Honest(stands.clocks)
    stand.clocks.set_by(-30)
    assert stand.poll() is State.STEPPED
    assert stand.poll() is State.GOOD
    assert stand.issues()


def test_a_machine_that_slept_asks_before_it_issues(stands: Stands) -> None:
    stand, _ = quorum(stands)
    stand.clocks.suspend(200)
    assert not stand.issues()
    for _ in range(2):
        stand.poll()
    assert stand.issues()
    assert "stepped" not in stand.course()


def test_what_is_issued_while_evidence_is_recorded_gets_its_own(stands: Stands) -> None:
    reasons: list[str] = []
    keeper: list[Timekeeper] = []

    def record(body: bytes) -> None:
        reasons.append(json.loads(body)["reason"])
        if reasons[-1] == "evidence" and len(reasons) == 2:
            keeper[0].reading(SECOND)

    stand, _ = stands.scripted(record=record, evidence_seconds=60)
    keeper.append(stand.keeper)
    stand.poll()
    assert stand.issues()
    for _ in range(24):
        stand.poll()
    assert reasons == ["state", "evidence", "evidence"]


def test_a_leap_second_that_servers_announce(stands: Stands) -> None:
    stands.clocks = Clocks(datetime(2026, 12, 31, 23, 58, 30, tzinfo=UTC))
    stand, servers = quorum(stands)
    for server in servers[:2]:
        server.answering = Honest(stands.clocks, leap=1)
    assert stand.keeper.status().known.leap is None
    assert stand.poll(64) is State.LEAP
    assert not stand.issues()


def test_after_the_leap_second_the_servers_are_asked_again_at_once(stands: Stands) -> None:
    """Answers from before it are a second away from the kernel's word after it."""
    stands.clocks = Clocks(datetime(2026, 12, 31, 23, 57, 50, tzinfo=UTC))
    server = stands.server()
    server.answering = Honest(stands.clocks, leap=1)
    script = Script(stands.clocks, replace(WELL, leap=Leap.INSERT))
    source = NtpServers([server.place], 600 * SECOND, samples=stands.clocks, question=lambda place, samples: ask(place, samples, timeout=30))
    stand = stands(script, source, rules=replace(RULES, servers=1, fresh_ns=300 * SECOND))
    stand.poll()
    assert stand.poll(120) is State.LEAP
    stand.clocks.go(5.9)
    stand.clocks.set_by(-1)
    script.said, server.answering = (WELL,), Honest(stands.clocks)
    assert stand.poll(1) is State.LEAP
    assert stand.poll(5) is State.LEAP
    assert stand.poll(60) is State.GOOD
    assert stand.issues()


@pytest.mark.parametrize("mode", [LeapMode.NONE, LeapMode.PAUSE], ids=str)
def test_a_leap_second_that_nobody_told_the_kernel(stands: Stands, mode: LeapMode) -> None:
    """What servers said before midnight is a second wrong after it, where the wall clock went by; and so is the kernel, which knows nothing of it."""
    stands.clocks = Clocks(datetime(2026, 12, 31, 23, 58, tzinfo=UTC))
    rules = replace(RULES, leap=mode, leap_window_ns=10 * SECOND)
    stand, servers = quorum(stands, Script(stands.clocks, WELL), rules=rules)
    for server in servers:
        server.answering = Honest(stands.clocks, leap=1)
    assert stand.poll(64) is State.GOOD
    assert stand.poll(50) is (State.GOOD if mode is LeapMode.NONE else State.LEAP)
    for server in servers:
        server.answering = Honest(stands.clocks, leap=1)  # their clocks are a little behind ours
    stand.clocks.go(6.2)
    assert not stand.issues()
    assert stand.poll(0.1) is State.SILENT
    assert not stand.issues()
    for server in servers:
        server.answering = Honest(stands.clocks, offset_ns=-SECOND)
    for seconds in (1, 2, 3, 4):
        stand.poll(seconds)
        stand.poll(0.1)
    assert stand.poll(1) is State.DISAGREEING
    assert not stand.issues()
    stand.clocks.set_by(-1)
    for server in servers:
        server.answering = Honest(stands.clocks)
    assert stand.poll() is State.STEPPED
    assert stand.poll() is State.GOOD
    assert stand.issues()


# Evidence.


def test_that_the_clock_is_good_is_on_record_before_anything_is_issued(stands: Stands) -> None:
    failing = [True]
    recorded: list[bytes] = []

    def record(body: bytes) -> None:
        if failing[0]:
            raise Unavailable("the disk is full")
        recorded.append(body)

    stand, script = stands.scripted(record=record)
    assert stand.poll() is State.UNRECORDED
    assert not stand.issues()
    failing[0] = False
    assert stand.poll() is State.GOOD
    assert stand.issues()
    failing[0] = True
    script.said = (Silence("kernel", "kernel", "it does not answer"),)
    assert stand.poll() is State.SILENT  # bad news counts at once
    assert not stand.issues()
    failing[0] = False
    script.said = (WELL,)
    assert stand.poll() is State.GOOD
    assert [json.loads(body)["state"] for body in recorded] == ["good", "silent", "good"]  # and is recorded as soon as it can be


def test_while_tokens_are_issued_the_readings_are_recorded(stands: Stands) -> None:
    stand, _ = stands.scripted(evidence_seconds=60)
    stand.poll()
    for _ in range(20):
        stand.poll()
    assert [event["reason"] for event in stand.events()] == ["state"]  # nothing rests on them
    for _ in range(3):
        assert stand.issues()
        for _ in range(12):
            stand.poll()
    assert [event["reason"] for event in stand.events()] == ["state", "evidence", "evidence", "evidence"]
    assert stand.issues()
    stand.poll(1)
    stand.keeper.close()
    assert [event["reason"] for event in stand.events()][-1] == "end"
    kinds = [entry.kind for entry in stand.journal.read()]
    assert (kinds[0], kinds[-1]) == ("event", "event")  # every token lies between two of them


def test_an_entry_is_canonical_small_and_names_its_process(stands: Stands) -> None:
    stand, _ = quorum(stands)
    other, _ = stands.scripted()
    other.poll()
    [entry] = [entry for entry in stand.journal.read() if entry.kind == "event"]
    said = json.loads(entry.body)
    assert entry.body == json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
    assert len(entry.body) < 1000
    assert said["node"] != other.events()[0]["node"]
    assert summary(entry).startswith("clock good within 0.00")


def test_a_refusal_names_no_source(stands: Stands) -> None:
    stand, servers = quorum(stands)
    for server in servers:
        server.answering = Honest(stands.clocks, leap=3)
    stand.poll(64)
    texts = " ".join(tsp.decode_response(stand.stamp()).texts)
    assert "time servers answer" in texts
    assert not any(server.place in texts for server in servers)


# The thread.


def test_the_thread_looks_by_itself_and_at_once_when_a_step_was_seen(stands: Stands) -> None:
    arrived = threading.Condition()
    states: list[str] = []

    def record(body: bytes) -> None:
        with arrived:
            states.append(json.loads(body)["state"])
            arrived.notify_all()

    script = Script(stands.clocks, WELL)
    keeper = Timekeeper(RULES, [script], record, poll_seconds=3600, evidence_seconds=600, samples=stands.clocks)
    keeper.begin()
    try:
        keeper.reading(SECOND)
        stands.clocks.set_by(1)
        with pytest.raises(TimeNotAvailable, match="stepped: the clock was set"):
            keeper.reading(SECOND)
        with arrived:
            assert arrived.wait_for(lambda: states == ["good", "stepped"], timeout=30)
    finally:
        keeper.close()


def test_a_source_that_breaks_does_not_end_the_watch(stands: Stands, caplog: pytest.LogCaptureFixture) -> None:
    looked = threading.Semaphore(0)
    broken = [False]

    def source(anew: bool) -> Any:
        looked.release()
        if broken[0]:
            raise ValueError("a fault of ours")
        return Script(stands.clocks, WELL)(anew)

    keeper = Timekeeper(RULES, [source], lambda _: None, poll_seconds=0.01, evidence_seconds=600, samples=stands.clocks)
    keeper.begin()
    try:
        broken[0] = True
        for _ in range(5):
            assert looked.acquire(timeout=30)
        stands.clocks.go(26)
        with pytest.raises(TimeNotAvailable, match="stale"):
            keeper.reading(SECOND)
        assert "could not look" in caplog.text
    finally:
        keeper.close()


def test_the_real_kernels_clocks_are_read_as_one() -> None:
    keeper = Timekeeper(RULES, [], lambda _: None, poll_seconds=5, evidence_seconds=600)
    assert keeper.status().state is State.STARTING
    from trust.edge.clock.kernel import kernel_clock, sample
    from trust.timekeeping import moved

    before, after = sample(), sample()
    assert after.boot_ns >= before.boot_ns
    assert after.raw_ns >= before.raw_ns
    assert moved(before, after, None, 10 * MS)[0] == 0
    found = kernel_clock()
    assert found is None or found.max_error_us >= 0
    [said] = Kernel()(False)
    assert isinstance(said, Silence) == (found is None or not found.synchronised)
