"""What is counted: cells of shared memory, one row for each process."""

import os

import pytest
from prometheus_client.parser import text_string_to_metric_families

from trust.edge.operations.metrics import counted
from trust.edge.operations.tally import CELLS, Reading, Series, Tally, shared

COUNTER = Series("asked", "Asked.", (("unit", ("a", "b", "other")),))
SECONDS = Series("seconds", "Seconds.", (), (0.1, 1.0))
THERE = Series("there", "There.", gauge=True)
SERIES = (COUNTER, SECONDS, THERE)


def read(tally: Tally) -> dict[tuple[str, ...], tuple[float, ...]]:
    return {(each.series.name, *each.values): each.cells for each in tally.readings()}


def test_everything_is_counted_where_it_belongs() -> None:
    tally = Tally(SERIES)
    tally.count("asked", "a")
    tally.counter("asked", "a")()
    tally.count("asked", "a stranger's word")
    observe = tally.meter("seconds")
    for seconds in (0.05, 0.1, 0.5, 7.0):
        observe(seconds)
    tally.set("there", to=5)
    tally.gauge("there")(3)
    assert read(tally) == {
        ("asked", "a"): (2.0,),
        ("asked", "b"): (0.0,),
        ("asked", "other"): (1.0,),
        ("seconds",): (2.0, 1.0, 1.0, 7.65),
        ("there",): (3.0,),
    }


def test_a_label_without_other_takes_no_other_value() -> None:
    tally = Tally([Series("x", "X.", (("route", ("tsa",)),))])
    with pytest.raises(KeyError):
        tally.count("x", "log")


def test_processes_are_added_up() -> None:
    handle = shared(3)
    first = Tally(SERIES, rows=3, row=0, handle=handle)
    first.count("asked", "b")
    first.set("there", to=2)
    child = os.fork()
    if not child:
        second = Tally(SERIES, rows=3, row=1, handle=handle)
        second.count("asked", "b", by=4)
        second.set("there", to=1)
        os._exit(0)
    os.waitpid(child, 0)
    assert read(first)["asked", "b"] == (5.0,)
    assert read(first)["there",] == (3.0,)


def test_who_takes_the_place_of_one_that_died_goes_on_counting() -> None:
    handle = shared(2)
    one, two = (Tally(SERIES, rows=2, row=row, handle=handle) for row in range(2))
    two.count("asked", "a", by=7)
    two.set("there", to=9)
    again = Tally(SERIES, rows=2, row=1, handle=handle)
    assert read(again)["asked", "a"] == read(one)["asked", "a"] == (7.0,)
    assert read(one)["there",] == (0.0,)  # its connections died with it


def test_a_process_with_another_catalogue_is_left_out() -> None:
    handle = shared(2)
    one = Tally(SERIES, rows=2, row=0, handle=handle)
    other = Tally((SECONDS, COUNTER), rows=2, row=1, handle=handle)
    one.count("asked", "a")
    other.count("asked", "a", by=10)
    assert read(one)["asked", "a"] == (1.0,)
    assert read(other)["asked", "a"] == (10.0,)


def test_a_catalogue_that_has_no_room_counts_alone() -> None:
    wide = Series("wide", "Wide.", (("n", tuple(map(str, range(CELLS)))),))
    handle = shared(2)
    one, two = (Tally([wide], rows=2, row=row, handle=handle) for row in range(2))
    one.count("wide", "0")
    assert read(one)["wide", "0"] == (1.0,) and read(two)["wide", "0"] == (0.0,)


def test_histograms_are_cumulative_in_the_exposition() -> None:
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.registry import Collector

    class One(Collector):
        def collect(self):  # type: ignore[no-untyped-def]
            yield from counted([Reading(SECONDS, (), (2.0, 1.0, 1.0, 7.65)), Reading(COUNTER, ("a",), (3.0,)), Reading(COUNTER, ("b",), (0.0,))])

    registry = CollectorRegistry()
    registry.register(One())
    found = {(s.name, *s.labels.values()): s.value for f in text_string_to_metric_families(generate_latest(registry).decode()) for s in f.samples}
    assert found == {
        ("seconds_bucket", "0.1"): 2.0,
        ("seconds_bucket", "1.0"): 3.0,
        ("seconds_bucket", "+Inf"): 4.0,
        ("seconds_count",): 4.0,
        ("seconds_sum",): 7.65,
        ("asked_total", "a"): 3.0,
    }
