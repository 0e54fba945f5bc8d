"""What worker processes count together: connections and what clients have used up, in memory that they share."""

import os
from collections.abc import Callable

import pytest

from trust.edge.operations.clients import Clients
from trust.edge.operations.commons import WAYS, Commons, Connections
from trust.edge.operations.guarded_http import Hall
from trust.edge.operations.limits import Buckets, KeyLimit, Rate
from trust.errors import TooMany

RATE = Rate(1.0, 3)


def now() -> float:
    return 1000.0


def elsewhere(work: Callable[[], object]) -> None:
    """In another process, which then ends."""
    child = os.fork()
    if not child:
        try:
            work()
        except BaseException:  # told by its exit code
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.fixture
def commons() -> Commons:
    return Commons(2, ("tsa", "keys"), 100)


def test_a_client_has_one_bucket_in_all_workers(commons: Commons) -> None:
    def spend() -> None:
        buckets = Buckets[str](RATE, now, shelf=commons.shelf("tsa"))
        assert buckets.take("a") and buckets.take("a")

    elsewhere(spend)
    buckets = Buckets[str](RATE, now, shelf=commons.shelf("tsa"))
    assert buckets.left("a").requests == 1
    assert [buckets.take("a") for _ in range(3)] == [True, False, False]
    assert buckets.take("b")
    assert Buckets[str](RATE, now, shelf=commons.shelf("keys")).take("a"), "another table"


def test_an_api_key_too(commons: Commons) -> None:
    limit = KeyLimit(Rate(30.0, 2), now, shelf=commons.shelf("keys"))
    elsewhere(lambda: KeyLimit(Rate(30.0, 2), now, shelf=commons.shelf("keys"))("one"))
    limit("one")
    with pytest.raises(TooMany):
        limit("one")


def test_memory_is_bounded_and_who_is_full_first_is_forgotten() -> None:
    time = [1000.0]
    buckets = Buckets[str](Rate(60.0, 1), lambda: time[0], shelf=Commons(2, ("tsa",), WAYS // 2).shelf("tsa"))
    for client in "abcd":
        assert buckets.take(client)
        time[0] += 1
    assert not any(buckets.take(client) for client in "abcd")
    assert buckets.take("e") and not buckets.take("e")
    assert buckets.take("a"), "forgotten"
    assert not buckets.take("d")


def test_what_nobody_counts_together_has_no_shelf(commons: Commons) -> None:
    assert commons.shelf("log") is None


def test_connections_are_counted_over_all_workers(commons: Commons) -> None:
    mine = commons.connections(0)

    def connect() -> None:
        theirs = commons.connections(1)
        theirs.add("a", 1)
        theirs.add("a", 1)
        theirs.add("b", 1)
        theirs.add("b", -1)

    elsewhere(connect)
    mine.add("a", 1)
    assert (mine.count, mine.of("a"), mine.of("b")) == (3, 3, 0)


def test_connections_of_a_worker_that_died_are_gone_when_it_is_there_again(commons: Commons) -> None:
    mine = commons.connections(0)
    mine.add("a", 1)
    elsewhere(lambda: commons.connections(1).add("a", 5))
    assert mine.of("a") == 6
    commons.connections(1)
    assert (mine.count, mine.of("a")) == (1, 1)


def hall(common: Connections, most: int = 5, each: int = 3, here: int = 100) -> Hall:
    return Hall(Clients(), most=most, each=each, common=common, here=here)


def test_the_operators_numbers_are_those_of_the_service(commons: Commons) -> None:
    first, second = hall(commons.connections(0)), hall(commons.connections(1))
    a = [each.enters("192.0.2.1") for each in (first, second, first, second)]
    assert a == ["192.0.2.1"] * 3 + [None]
    b = [each.enters("192.0.2.2") for each in (first, second, second)]
    assert b == ["192.0.2.2"] * 2 + [None]
    assert (first.connections, second.connections, first.refused, second.refused) == (3, 2, 0, 2)
    first.leaves("192.0.2.1")
    assert second.enters("192.0.2.1") == "192.0.2.1"


def test_no_process_has_more_than_it_has_files_for(commons: Commons) -> None:
    small = hall(commons.connections(0), here=1)
    assert small.enters("192.0.2.1") and small.enters("192.0.2.2") is None
