"""Limits: a bucket a client, in bounded memory, and who a client is."""

import pytest

from trust.edge.operations.clients import Clients, wrong_networks
from trust.edge.operations.limits import Buckets, KeyLimit, Rate, rate, wrong_rate
from trust.errors import TooMany


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


# Rates.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("10/s burst 100", Rate(0.1, 100)),
        ("60/min burst 1", Rate(1.0, 1)),
        ("0.5/h burst 3", Rate(7200.0, 3)),
    ],
    ids=["none", "second", "minute", "hour"],
)
def test_a_rate_is_read(text: str, expected: Rate | None) -> None:
    assert rate(text) == expected
    assert wrong_rate(text) is None


@pytest.mark.parametrize("text", ["10", "10/s", "0/s burst 1", "1/s burst 0", "-1/s burst 1", "1/day burst 1", "1/s burst 1 ", "1e9/s burst 1"])
def test_what_is_no_rate_is_told(text: str) -> None:
    assert wrong_rate(text)
    with pytest.raises(ValueError, match="burst"):
        rate(text)


# Buckets.


def test_so_many_at_once_and_then_one_in_each_interval() -> None:
    time = Time()
    buckets: Buckets[str] = Buckets(Rate(0.5, 3), time)
    assert [buckets.take("a") for _ in range(4)] == [True, True, True, False]
    assert buckets.left("a").wait == pytest.approx(0.5)
    time.now += 0.5
    assert [buckets.take("a") for _ in range(2)] == [True, False]
    time.now += 100
    assert [buckets.take("a") for _ in range(4)] == [True, True, True, False]  # it never holds more than the burst


def test_clients_do_not_take_from_one_another() -> None:
    buckets: Buckets[str] = Buckets(Rate(1.0, 1), Time())
    assert buckets.take("a") and not buckets.take("a") and buckets.take("b")


def test_one_who_is_refused_does_not_wait_longer_for_asking() -> None:
    time = Time()
    buckets: Buckets[str] = Buckets(Rate(1.0, 1), time)
    assert buckets.take("a")
    for _ in range(50):
        assert not buckets.take("a")
    assert buckets.left("a").wait == pytest.approx(1.0)


def test_memory_is_bounded_and_the_one_that_asked_longest_ago_goes() -> None:
    buckets: Buckets[str] = Buckets(Rate(60.0, 1), Time(), most=3)
    for client in ("a", "b", "c", "d"):
        assert buckets.take(client)
    assert len(buckets) == 3
    assert not buckets.take("d") and not buckets.take("b") and buckets.take("a")


def test_what_is_left_is_told_in_fields() -> None:
    time = Time()
    buckets: Buckets[str] = Buckets(Rate(0.1, 10), time)
    assert buckets.left("a").requests == 10
    for _ in range(4):
        buckets.take("a")
    assert dict(buckets.left("a").headers) == {b"ratelimit-policy": b'"client";q=10;w=1', b"ratelimit": b'"client";r=6;t=1'}
    for _ in range(6):
        buckets.take("a")
    assert dict(buckets.left("a").headers)[b"retry-after"] == b"1"
    assert buckets.left("a").requests == 0


def test_an_api_key_has_its_own() -> None:
    limit = KeyLimit(Rate(30.0, 2), Time())
    limit("one")
    limit("one")
    limit("two")
    with pytest.raises(TooMany, match="30 s") as refused:
        limit("one")
    assert refused.value.headers["retry-after"] == "30"


# Clients.


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("not an address", "not an address"),
        ("", ""),
    ],
    ids=["v4", "v6", "mapped", "zone", "words", "none"],
)
def test_a_client_is_an_address_or_a_network(address: str, key: str) -> None:
    client = Clients().of(address)
    assert client.key == key
    assert client.limited and not client.proxy and not client.operator


def test_networks_say_what_a_client_may() -> None:
    clients = Clients(proxies=["10.0.0.1"], operators=["127.0.0.0/8", "::1"], unlimited=["192.0.2.0/24"])
    assert clients.of("10.0.0.1").proxy and not clients.of("10.0.0.2").proxy
    assert clients.of("127.1.2.3").operator and clients.of("::1").operator and clients.of("::ffff:127.0.0.1").operator
    assert not clients.of("192.0.2.200").limited and clients.of("192.0.3.1").limited


HOPS = [
    ("none", [], "10.0.0.1"),
    ("one", [b"198.51.100.9"], "198.51.100.9"),
    ("forged", [b"203.0.113.1, 198.51.100.9"], "198.51.100.9"),
    ("two-proxies", [b"203.0.113.1, 198.51.100.9, 10.0.0.2"], "198.51.100.9"),
    ("two-fields", [b"203.0.113.1", b"198.51.100.9"], "198.51.100.9"),
    ("port", [b"198.51.100.9:4711"], "198.51.100.9"),
    ("brackets", [b"[2001:db8::9]:4711"], "2001:db8::9"),
    ("bare-v6", [b"2001:db8::9"], "2001:db8::9"),
    ("words", [b"198.51.100.9, unknown"], "10.0.0.1"),
    ("empty", [b""], "10.0.0.1"),
    ("loopback", [b"127.0.0.1, 198.51.100.9"], "198.51.100.9"),
]


@pytest.mark.parametrize(("fields", "expected"), [each[1:] for each in HOPS], ids=[each[0] for each in HOPS])
def test_behind_a_trusted_proxy_the_nearest_stranger_asks(fields: list[bytes], expected: str) -> None:
    clients = Clients(proxies=["10.0.0.0/24"], operators=["127.0.0.1"])
    headers = [(b"host", b"x"), *((b"x-forwarded-for", value) for value in fields)]
    assert clients.asking("10.0.0.1", headers).address == expected


def test_nobody_else_is_believed() -> None:
    clients = Clients(operators=["127.0.0.1"])
    assert clients.asking("198.51.100.9", [(b"x-forwarded-for", b"127.0.0.1")]).address == "198.51.100.9"


@pytest.mark.parametrize(
    ("values", "right"), [(("192.0.2.0/24", "::1"), True), (("192.0.2.1/24",), False), (("localhost",), False)], ids=["right", "host-bits", "name"]
)
def test_settings_name_networks(values: tuple[str, ...], right: bool) -> None:
    assert (wrong_networks(values) is None) is right
