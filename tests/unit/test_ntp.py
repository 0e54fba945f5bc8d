"""NTP: one question, one answer judged strictly; servers that lie, forge, refuse or say nothing."""

import secrets
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.clocks import MS, Clocks, Honest, Server, silent
from trust.codecs import ntp
from trust.edge.clock.ntp import BANNED_NS, RETRY_NS, NtpServers, address, ask
from trust.errors import KakuinError, Malformed, Misconfigured, Unacceptable, Unavailable
from trust.timekeeping import SECOND, Leap, Observation, Silence

COOKIE = 0x0123456789ABCDEF


def packet(clocks: Clocks | None = None, cookie: int = COOKIE, **said: Any) -> bytes:
    return Honest(clocks or Clocks(), **said)(ntp.question(cookie))[0]


def read(data: bytes, near: int | None = None) -> ntp.Answer:
    return ntp.answer(data, COOKIE, Clocks().shown.wall_ns if near is None else near)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        yield made


# The codec.


def test_the_question_says_nothing_but_its_cookie() -> None:
    assert ntp.question(COOKIE) == bytes.fromhex("230000200000000000000000" + "00" * 28 + "0123456789abcdef")


def test_an_answer_is_read() -> None:
    clocks = Clocks()
    found = read(packet(clocks, offset_ns=7 * MS, held_ns=2 * MS, root_delay=0x8000, root_dispersion=0x4000, leap=1, stratum=3))
    assert (found.leap, found.stratum, found.reference) == (1, 3, b"NICT")
    assert (found.root_delay_ns, found.root_dispersion_ns, found.root_distance_ns) == (SECOND // 2, SECOND // 4, SECOND // 2)
    assert (found.received_ns, found.sent_ns) == (clocks.shown.wall_ns + 7 * MS, clocks.shown.wall_ns + 9 * MS)


def test_the_era_is_the_one_nearest_to_this_machines_time() -> None:
    for years in (-60, 0, 12, 60):  # NTP's first era ends in 2036
        clocks = Clocks()
        clocks.go(years * 365 * 86_400)
        assert read(packet(clocks), clocks.shown.wall_ns).received_ns == clocks.shown.wall_ns


@pytest.mark.parametrize(
    ("said", "error", "says"),
    [
        ({"mode": 3}, Malformed, "mode 4"),
        ({"mode": 5}, Malformed, "mode 4"),
        ({"version": 3}, Malformed, "version 4"),
        ({"origin_xor": 1}, Malformed, "another question"),
        ({"origin_xor": 1, "stratum": 0, "reference": b"DENY"}, Malformed, "another question"),
        ({"stratum": 0, "reference": b"RATE"}, ntp.KissOfDeath, "RATE"),
        ({"stratum": 0, "reference": b"RSTR"}, ntp.KissOfDeath, "RSTR"),
        ({"stratum": 0, "leap": 3, "reference": bytes(4)}, Unacceptable, "not synchronised"),
        ({"stratum": 0, "leap": 3, "reference": b"INIT"}, Unacceptable, "not synchronised"),
        ({"stratum": 0, "reference": b"\x1b[2J"}, Unacceptable, "not synchronised"),
        ({"stratum": 16}, Unacceptable, "not synchronised"),
        ({"leap": 3}, Unacceptable, "not synchronised"),
        ({"held_ns": -1000}, Malformed, "sent before"),
        ({"referred_ns": SECOND}, Malformed, "reference lies after"),
        ({"root_dispersion": 0x18001}, Unacceptable, "wrong by 1500 ms"),
        ({"root_delay": 0x7FFFFFFF}, Unacceptable, "wrong by"),
    ],
    ids=[
        "client",
        "broadcast",
        "version",
        "origin",
        "forged-kiss",
        "kiss",
        "kiss-for-good",
        "chronyd-starting",
        "ntpd-starting",
        "kiss-bytes",
        "stratum",
        "alarm",
        "held",
        "reference",
        "dispersion",
        "delay",
    ],
)
def test_what_is_wrong_is_refused(said: dict[str, Any], error: type[KakuinError], says: str) -> None:
    with pytest.raises(error, match=says):
        read(packet(**said))


@pytest.mark.parametrize("size", [0, 1, 47, 49, 68])
def test_an_answer_has_its_size(size: int) -> None:
    with pytest.raises(Malformed, match=f"48 bytes, got {size}"):
        read(packet().ljust(size, b"\0")[:size])


@pytest.mark.parametrize("place", [16, 32, 40], ids=["reference", "receive", "transmit"])
def test_timestamps_are_there(place: int) -> None:
    data = packet()
    with pytest.raises(Malformed, match="lacks a timestamp"):
        read(data[:place] + bytes(8) + data[place + 8 :])


@given(st.binary(min_size=48, max_size=48) | st.tuples(st.integers(0, 47), st.integers(0, 255)))
def test_nothing_but_our_errors_comes_of_any_bytes(given_: Any) -> None:
    data = given_
    if isinstance(data, tuple):
        place, octet = data
        data = packet()[:place] + bytes([octet]) + packet()[place + 1 :]
    try:
        found = read(data)
    except (Malformed, Unacceptable):
        return
    assert found.root_distance_ns <= ntp.MAX_DISTANCE_NS
    assert found.received_ns <= found.sent_ns


@given(st.integers(-(10**12), 10**12), st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_the_bound_holds_whatever_the_path(offset: int, out: int, held: int, back: int) -> None:
    """However lopsided the way there and back."""
    asked = Clocks().shown.wall_ns
    received = asked + offset + out
    found = ntp.Answer(0, 1, b"NICT", 0, 0, received, received + held)
    measured, bound = ntp.measured(found, asked, out + held + back)
    assert abs(measured - offset) <= bound <= (out + back) // 2 + 2


def test_a_server_cannot_have_had_the_question_for_longer_than_the_answer_took() -> None:
    with pytest.raises(Malformed, match="for longer"):
        ntp.measured(ntp.Answer(0, 1, b"NICT", 0, 0, 0, 11), 0, 10)


# Over UDP.


def test_an_honest_server_is_measured(server: Server) -> None:
    clocks = Clocks()
    server.answering = Honest(clocks, offset_ns=25 * MS, leap=2, root_dispersion=66)
    found = ask(server.place, clocks)
    assert found.offset_ns == pytest.approx(25 * MS, abs=2)
    assert found.bound_ns == pytest.approx(66 * SECOND / 65536, abs=2)
    assert (found.leap, found.kind, found.source) == (Leap.DELETE, "ntp", f"ntp {server.place}")
    assert found.facts["stratum"] == 1
    ask(server.place, clocks)
    assert server.questions.get()[40:] != server.questions.get()[40:]


def test_what_is_forged_is_waited_past(server: Server) -> None:
    clocks = Clocks()

    def answering(question: bytes) -> list[bytes]:
        lies = [Honest(clocks, offset_ns=10**12, origin_xor=1)(question)[0], secrets.token_bytes(48), b"", bytes(400)]
        lies.append(Honest(clocks, stratum=0, reference=b"DENY", origin_xor=1 << 63)(question)[0])
        return [*lies, Honest(clocks, offset_ns=3 * MS)(question)[0]]

    server.answering = answering
    assert ask(server.place, clocks).offset_ns == pytest.approx(3 * MS, abs=2)


def test_only_forged_answers_are_none(server: Server) -> None:
    server.answering = Honest(Clocks(), origin_xor=1)
    with pytest.raises(Unavailable, match="no answer but 1 packets that are none"):
        ask(server.place, Clocks(), timeout=0.2)


def test_a_clock_that_was_set_meanwhile_measures_nothing(server: Server) -> None:
    clocks = Clocks()

    def answering(question: bytes) -> list[bytes]:
        clocks.set_by(5)
        return list(Honest(clocks)(question))

    server.answering = answering
    with pytest.raises(Unavailable, match="was set while"):
        ask(server.place, clocks)


def test_names_that_lead_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(Unavailable, match="name is not known"):
        ask("no-such-host.invalid", Clocks())


@pytest.mark.parametrize(
    ("server", "place"),
    [
        ("ntp.nict.jp", ("ntp.nict.jp", 123)),
        ("ntp.nict.jp:1123", ("ntp.nict.jp", 1123)),
        ("[::1]:1123", ("::1", 1123)),
        ("[2001:db8::1]", ("2001:db8::1", 123)),
        ("192.0.2.1", ("192.0.2.1", 123)),
    ],
)
def test_addresses(server: str, place: tuple[str, int]) -> None:
    assert address(server) == place


@pytest.mark.parametrize("server", ["a:0", "a:65536", "a:x", "a:"])
def test_addresses_that_are_none(server: str) -> None:
    with pytest.raises(Misconfigured, match="port"):
        address(server)


# Several servers, each in its time.


class Answers:
    """What servers say, by name: an offset in milliseconds, or an error."""

    def __init__(self, clocks: Clocks, **said: float | KakuinError) -> None:
        self.clocks = clocks
        self.said = said
        self.asked: list[str] = []

    def __call__(self, server: str, samples: Any) -> Observation:
        self.asked.append(server)
        told = self.said[server]
        if isinstance(told, KakuinError):
            raise told
        return Observation(f"ntp {server}", "ntp", round(told * MS), MS, samples(), mark=samples().boot_ns)

    def last(self) -> set[str]:
        asked, self.asked = self.asked, []
        return set(asked)


def test_each_server_is_asked_in_its_time_and_its_answer_kept_in_between() -> None:
    clocks = Clocks()
    answers = Answers(clocks, a=1, b=Unavailable("no answer"))
    servers = NtpServers(("a", "b"), 256 * SECOND, samples=clocks, question=answers)
    first = {one.source: one for one in servers(False)}
    assert isinstance(first["ntp a"], Observation)
    assert isinstance(first["ntp b"], Silence)
    assert answers.last() == {"a", "b"}
    clocks.go(RETRY_NS / SECOND - 1)
    assert {one.source: one for one in servers(False)} == first
    assert answers.last() == set()
    answers.said["b"] = 2
    clocks.go(1)
    assert all(isinstance(one, Observation) for one in servers(False))
    assert answers.last() == {"b"}  # who was silent is asked again soon
    servers(True)
    assert answers.last() == {"a", "b"}  # after a step, everybody at once
    answers.said["a"] = Unavailable("no answer")
    clocks.go(256)
    assert any(isinstance(one, Silence) for one in servers(False))  # and its last answer is not repeated


def test_a_kiss_of_death_is_obeyed() -> None:
    clocks = Clocks()
    answers = Answers(clocks, a=ntp.KissOfDeath("RATE"), b=ntp.KissOfDeath("DENY"))
    servers = NtpServers(("a", "b"), 256 * SECOND, samples=clocks, question=answers)
    assert {one.why for one in servers(False) if isinstance(one, Silence)} == {
        "the server refuses to answer (RATE)",
        "the server refuses to answer (DENY)",
    }
    assert sorted(answers.last()) == ["a", "b"]  # once each: a refusal is not tried again
    clocks.go(511)
    servers(True)
    assert answers.last() == set()
    clocks.go(1)
    answers.said["a"] = 1
    servers(False)
    assert answers.last() == {"a"}
    clocks.go(511)
    servers(False)
    assert answers.last() == set()  # it goes on being asked half as often
    clocks.go(BANNED_NS / SECOND)
    servers(False)
    assert answers.last() == {"a", "b"}


def test_a_server_that_asked_for_less_is_of_use_again_once_it_answers() -> None:
    """RFC 5905 section 7.4: less with each RATE. What is asked so seldom that every answer is too old would never vouch again."""
    clocks, every = Clocks(), 256
    answers = Answers(clocks, a=ntp.KissOfDeath("RATE"))
    servers = NtpServers(("a",), every * SECOND, samples=clocks, question=answers)
    for waits in (2, 4, 8):
        servers(False)
        assert answers.last() == {"a"}
        clocks.go(waits * every - 1)
        servers(False)
        assert answers.last() == set()
        clocks.go(1)
    answers.said["a"] = 1
    servers(False)
    assert answers.last() == {"a"}
    clocks.go(2 * every)
    servers(False)
    assert answers.last() == {"a"}


def test_servers_that_do_not_answer_are_silent(server: Server) -> None:
    server.answering = silent
    said = NtpServers((server.place,), SECOND, question=lambda name, samples: ask(name, samples, timeout=0.05))(False)
    assert [(one.source, one.why) for one in said if isinstance(one, Silence)] == [(f"ntp {server.place}", "no answer")]
