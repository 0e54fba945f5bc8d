"""The rules of the clock, as functions: intervals, agreement, steps, leap seconds, freshness."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.clocks import MS, RULES, Clocks, nanoseconds, seen
from trust.timekeeping import (
    REMEDIES,
    SECOND,
    Assessment,
    Leap,
    LeapMode,
    Lease,
    PendingLeap,
    Reading,
    Refusal,
    Rules,
    Silence,
    State,
    agreed,
    assess,
    at,
    carried,
    drifted,
    moment,
    moved,
)

NTP = replace(RULES, required=frozenset(), servers=3, quorum=2)
MIDNIGHT = nanoseconds(datetime(2026, 12, 1, tzinfo=UTC))


def good(clocks: Clocks, rules: Rules = RULES, **more: object) -> Assessment:
    found = assess([replace(seen(**more), sample=clocks())], clocks(), rules)  # type: ignore[arg-type]
    assert found.state is State.GOOD, found
    return found


def refused(found: Reading | Refusal) -> State:
    assert isinstance(found, Refusal)
    assert found.why
    assert found.why == found.why[0].lower() + found.why[1:]
    return found.state


def granted(found: Reading | Refusal) -> Reading:
    assert isinstance(found, Reading), found
    return found


# Agreement.


@pytest.mark.parametrize(
    ("intervals", "quorum", "common"),
    [
        ([(0, 2)], 1, (0, 2)),
        ([(0, 2), (1, 3)], 2, (1, 2)),
        ([(0, 2), (2, 3)], 2, (2, 2)),
        ([(0, 2), (3, 4)], 2, None),
        ([(0, 2), (3, 4)], 1, (0, 4)),
        ([(0, 4), (1, 5), (9, 10)], 2, (1, 4)),
        ([(0, 10), (1, 2), (8, 9)], 2, (1, 9)),
        ([(0, 10), (1, 2), (8, 9)], 3, None),
        ([(0, 1), (0, 1), (0, 1)], 3, (0, 1)),
        ([], 1, None),
    ],
    ids=["one", "overlap", "touch", "apart", "one-suffices", "liar", "wide-bridges-two", "not-all-three", "same", "nobody"],
)
def test_the_interval_in_which_enough_sources_agree(intervals: list[tuple[int, int]], quorum: int, common: tuple[int, int] | None) -> None:
    assert agreed(intervals, quorum) == common


INTERVALS = st.lists(st.tuples(st.integers(-20, 20), st.integers(0, 8)).map(lambda pair: (pair[0] - pair[1], pair[0] + pair[1])), max_size=6)


@given(INTERVALS, st.integers(1, 6))
def test_agreement_is_what_counting_at_every_point_says(intervals: list[tuple[int, int]], quorum: int) -> None:
    points = [p for p in range(-30, 31) if sum(low <= p <= high for low, high in intervals) >= quorum]
    assert agreed(intervals, quorum) == ((points[0], points[-1]) if points else None)


@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(0, 30)), min_size=3, max_size=3), st.integers(-40, 40))
def test_while_two_of_three_servers_are_right_the_bound_holds_the_truth(servers: list[tuple[int, int]], truth: int) -> None:
    clocks = Clocks()
    said = [replace(seen(f"ntp {n}", "ntp", offset, bound), sample=clocks()) for n, (offset, bound) in enumerate(servers)]
    right = sum(abs(offset - truth) <= bound for offset, bound in servers)
    found = assess(said, clocks(), NTP)
    if right >= 2:
        assert found.state is State.GOOD
        assert abs(truth * MS) <= found.bound_ns
    elif found.state is State.GOOD:
        assert [agreed([(o - b, o + b) for o, b in servers], 2)] != [None]


# Bounds.


def test_the_bound_grows_with_age_and_with_what_the_clock_was_turned_by() -> None:
    clocks = Clocks()
    known = good(clocks, bound=5)
    assert granted(at(known, clocks(), RULES, SECOND)).bound_ns == 5 * MS
    clocks.go(10)
    assert granted(at(known, clocks(), RULES, SECOND)).bound_ns == 6 * MS  # 100 ppm of 10 s
    clocks.slew_by(-0.25)
    assert granted(at(known, clocks(), RULES, SECOND)).bound_ns == pytest.approx(256 * MS, abs=MS)
    assert drifted(1) == 1


def test_a_reading_says_the_time_and_not_more_than_it_knows() -> None:
    clocks = Clocks()
    known = good(clocks, offset=-30, bound=2)
    reading = granted(at(known, clocks(), RULES, 32 * MS))
    assert reading.now == moment(clocks().wall_ns)
    assert reading.bound_ns == 32 * MS  # the clock is not corrected: what it is off by counts
    assert refused(at(known, clocks(), RULES, 32 * MS - 1)) is State.IMPRECISE


def test_reading_the_clocks_took_time_and_that_is_doubt() -> None:
    clocks = Clocks()
    known = good(clocks, bound=1)
    torn = clocks()._replace(wall_ns=clocks().wall_ns + 15 * MS, spread_ns=20 * MS)
    assert granted(at(known, torn, RULES, SECOND)).bound_ns == 36 * MS
    assert refused(at(known, torn._replace(spread_ns=0), RULES, SECOND)) is State.STEPPED


def test_too_large_a_bound_is_refused_at_the_poll() -> None:
    clocks = Clocks()
    found = assess([replace(seen(bound=1000.001), sample=clocks())], clocks(), RULES)
    assert found.state is State.IMPRECISE
    assert found.why == "the clock may be wrong by 1000001 microseconds, and 1000000 are stated"
    assert assess([replace(seen(bound=1000), sample=clocks())], clocks(), RULES).state is State.GOOD


# Sources.


def test_all_that_are_required_must_vouch() -> None:
    clocks = Clocks()
    both = replace(RULES, required=frozenset({"kernel", "chrony"}))
    kernel = replace(seen(), sample=clocks())
    assert assess([], clocks(), RULES).state is State.SILENT
    assert assess([kernel], clocks(), both).state is State.SILENT
    silence = Silence("chrony", "chrony", "chronyd is not synchronised", State.UNSYNCHRONISED)
    found = assess([kernel, silence], clocks(), both)
    assert (found.state, found.why) == (State.UNSYNCHRONISED, "chronyd is not synchronised")
    assert assess([kernel, replace(seen("chrony", "chrony"), sample=clocks())], clocks(), both).state is State.GOOD


def test_the_required_and_the_quorum_must_meet() -> None:
    clocks = Clocks()
    rules = replace(NTP, required=frozenset({"kernel"}))
    for offset, state in ((0, State.GOOD), (2, State.GOOD), (3, State.DISAGREEING), (-500, State.DISAGREEING)):
        said = [seen(bound=1), *(seen(f"ntp {n}", "ntp", offset, 1) for n in range(3))]
        assert assess([replace(one, sample=clocks()) for one in said], clocks(), rules).state is state, offset


def test_a_liar_is_outvoted_and_named_and_two_are_a_refusal() -> None:
    clocks = Clocks()

    def told(*offsets: float) -> Assessment:
        return assess([replace(seen(f"ntp {n}", "ntp", o, 5), sample=clocks()) for n, o in enumerate(offsets)], clocks(), NTP)

    found = told(0, 1, 3600_000)
    assert (found.state, found.outvoted) == (State.GOOD, ("ntp 2",))
    assert found.bound_ns == 5 * MS
    assert told(0, 3600_000, -3600_000).state is State.DISAGREEING
    assert told(0).state is State.SILENT  # one of three says nothing against, and not enough for


def test_an_old_answer_counts_no_longer() -> None:
    clocks = Clocks()
    said = [replace(seen(f"ntp {n}", "ntp", 0, 5), sample=clocks()) for n in range(3)]
    clocks.go(800)
    found = assess(said, clocks(), NTP)
    assert found.state is State.GOOD
    assert found.bound_ns == 85 * MS  # five, and 100 ppm of 800 s
    clocks.go(1)
    found = assess(said, clocks(), NTP)
    assert found.state is State.SILENT
    assert {one.why for one in found.said if isinstance(one, Silence)} == {"its last answer is too old"}


def test_an_observation_is_carried_over_a_slew() -> None:
    clocks = Clocks()
    one = replace(seen("ntp", "ntp", 40, 1), sample=clocks())
    clocks.slew_by(0.04)
    assert carried(one, clocks(), None, 10 * MS) == (-MS - drifted(40 * MS), MS + drifted(40 * MS))


# Steps and age.


@pytest.mark.parametrize("by", [0.011, 1, 86_400, -0.011, -1, -86_400])
def test_a_step_is_seen_at_once(by: float) -> None:
    clocks = Clocks()
    known = good(clocks)
    clocks.go(1)
    clocks.set_by(by)
    found = at(known, clocks(), RULES, SECOND)
    assert refused(found) is State.STEPPED
    assert isinstance(found, Refusal)
    assert found.step_ns == round(by * SECOND)


def test_what_is_no_step() -> None:
    clocks = Clocks()
    known = good(clocks)
    clocks.go(5)
    clocks.set_by(0.009)
    clocks.slew_by(0.5)
    assert granted(at(known, clocks(), RULES, SECOND)).bound_ns > 509 * MS


def test_measurements_from_before_the_step_count_no_longer() -> None:
    clocks = Clocks()
    rules = replace(RULES, required=frozenset({"chrony"}))
    one = replace(seen("chrony", "chrony", mark=7), sample=clocks())
    assert assess([one], clocks(), rules, old=frozenset({("chrony", 7)})).state is State.STEPPED
    assert assess([replace(one, mark=8)], clocks(), rules, old=frozenset({("chrony", 7)})).state is State.GOOD


def test_what_is_known_goes_stale() -> None:
    clocks = Clocks()
    known = good(clocks)
    clocks.go(25)
    granted(at(known, clocks(), RULES, SECOND))
    clocks.go(0.001)
    assert refused(at(known, clocks(), RULES, SECOND)) is State.STALE
    clocks.go(-30)
    assert refused(at(known, clocks(), RULES, SECOND)) is State.STALE


def test_whatever_state_is_not_good_refuses() -> None:
    clocks = Clocks()
    for state in set(State) - {State.GOOD}:
        assert refused(at(replace(good(clocks), state=state, why="so it is"), clocks(), RULES, SECOND)) is state
        assert REMEDIES[state]


LEAPS = st.sampled_from([None, *Leap])
WAY = st.tuples(st.sampled_from(["go", "set_by", "slew_by"]), st.integers(-100_000, 100_000).map(lambda n: n / 1000))


@given(
    st.lists(WAY, max_size=4),
    st.sampled_from([0, 20, 900]),
    st.sampled_from([25, 500, 1000]),
    st.sampled_from([None, *Leap]),
    st.sampled_from(list(LeapMode)),
)
def test_a_lease_grants_nothing_that_the_rules_would_refuse(
    way: list[tuple[str, float]], bound: int, accuracy: int, leap: Leap | None, mode: LeapMode
) -> None:
    clocks = Clocks()
    clocks.shown = clocks.shown._replace(wall_ns=MIDNIGHT - 90 * SECOND)
    rules = replace(RULES, leap=mode)
    known = assess([replace(seen(bound=bound, leap=leap), sample=clocks())], clocks(), rules)
    lease = Lease.of(known, rules, accuracy * MS)
    for step, seconds in way:
        getattr(clocks, step)(seconds)
        if lease.holds(clocks()):
            granted(at(known, clocks(), rules, accuracy * MS))


def test_a_lease_holds_while_all_is_well() -> None:
    clocks = Clocks()
    lease = Lease.of(good(clocks), RULES, 100 * MS)
    for _ in range(5):
        assert lease.holds(clocks())
        clocks.go(5)
        clocks.slew_by(0.001)


# Leap seconds.


def pending(
    kind: Leap = Leap.INSERT, source: str = "kernel", mode: LeapMode = LeapMode.PAUSE, seconds: float = -120
) -> tuple[Clocks, Rules, Assessment]:
    clocks = Clocks()
    clocks.shown = clocks.shown._replace(wall_ns=MIDNIGHT + round(seconds * SECOND))
    rules = replace(RULES, required=frozenset({source}), leap=mode)
    return clocks, rules, good(clocks, rules, source=source, kind=source, leap=kind)


def test_when_the_announced_leap_second_is() -> None:
    for source, when, at_ns in (
        ("kernel", datetime(2026, 11, 21, 9, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC)),
        ("chrony", datetime(2026, 11, 21, 9, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)),
        ("chrony", datetime(2026, 12, 31, 23, 58, 59, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
        ("chrony", datetime(2028, 2, 29, tzinfo=UTC), datetime(2028, 3, 1, tzinfo=UTC)),
    ):
        clocks = Clocks(when)
        rules = replace(RULES, required=frozenset({source}))
        assert good(clocks, rules, source=source, kind=source, leap=Leap.INSERT).leap == PendingLeap(Leap.INSERT, nanoseconds(at_ns))


def test_one_server_of_three_announces_nothing() -> None:
    clocks = Clocks()
    for count, leap in ((1, None), (2, Leap.DELETE)):
        said = [replace(seen(f"ntp {n}", "ntp", leap=Leap.DELETE if n < count else None), sample=clocks()) for n in range(3)]
        found = assess(said, clocks(), NTP).leap
        assert (found.kind if found else None) is leap


@pytest.mark.parametrize("kind", Leap, ids=str)
@pytest.mark.parametrize("mode", [LeapMode.PAUSE, LeapMode.STOP], ids=str)
def test_nothing_is_issued_around_a_leap_second(kind: Leap, mode: LeapMode) -> None:
    clocks, rules, known = pending(kind, mode=mode)
    clocks.go(59.999)
    known = replace(known, sample=clocks())
    granted(at(known, clocks(), rules, SECOND))
    clocks.go(0.002)
    assert refused(at(known, clocks(), rules, SECOND)) is State.LEAP
    assert assess(known.said, clocks(), rules, before=known).state is State.LEAP


@pytest.mark.parametrize("kind", Leap, ids=str)
def test_in_mode_none_the_leap_second_is_no_step(kind: Leap) -> None:
    clocks, rules, known = pending(kind, mode=LeapMode.NONE, seconds=-1.5)
    clocks.go(1.5 if kind is Leap.INSERT else 0.5)
    clocks.set_by(-1 if kind is Leap.INSERT else 1)
    assert granted(at(known, clocks(), rules, SECOND)).bound_ns < 2 * MS
    after = assess([replace(seen(), sample=clocks())], clocks(), rules, before=known)
    assert (after.state, after.leapt) == (State.GOOD, True)
    clocks.set_by(1 if kind is Leap.INSERT else -1)
    assert refused(at(after, clocks(), rules, SECOND)) is State.STEPPED


@pytest.mark.parametrize("by", [1, -2, -0.5])
def test_another_step_at_midnight_is_one(by: float) -> None:
    clocks, rules, known = pending(Leap.INSERT, mode=LeapMode.NONE, seconds=-1)
    clocks.go(1)
    clocks.set_by(by)
    assert refused(at(known, clocks(), rules, SECOND)) is State.STEPPED


def test_a_second_back_is_a_step_where_no_leap_second_was_announced() -> None:
    clocks, rules, known = pending(Leap.INSERT, mode=LeapMode.NONE, seconds=-7200)
    clocks.set_by(-1)
    assert refused(at(known, clocks(), rules, SECOND)) is State.STEPPED
    clocks = Clocks()
    clocks.shown = clocks.shown._replace(wall_ns=MIDNIGHT)
    known = good(clocks)
    clocks.set_by(-1)
    assert refused(at(known, clocks(), RULES, SECOND)) is State.STEPPED


def test_the_pause_ends_by_itself() -> None:
    clocks, rules, known = _in_the_window()
    for seconds, state in ((60, State.LEAP), (30.001, State.GOOD)):
        clocks.go(seconds)
        known = assess([replace(seen(), sample=clocks())], clocks(), rules, before=known)  # announced no longer
        assert known.state is state
    assert known.leap is None


def _in_the_window() -> tuple[Clocks, Rules, Assessment]:
    clocks = Clocks()
    clocks.shown = clocks.shown._replace(wall_ns=MIDNIGHT - 30 * SECOND)
    known = assess([replace(seen(leap=Leap.INSERT), sample=clocks())], clocks(), RULES)
    assert known.state is State.LEAP
    return clocks, RULES, known


def test_moved_is_exact() -> None:
    for by, slewed in itertools.product((0.0, 3.0, -3.0), (0.0, 0.2, -0.2)):
        clocks = Clocks()
        before = clocks()
        clocks.go(7)
        clocks.set_by(by)
        clocks.slew_by(slewed)
        assert moved(before, clocks(), None, 10 * MS) == (round(by * SECOND), round(by * SECOND) + round(slewed * SECOND))
