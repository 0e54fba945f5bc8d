"""chronyd's command protocol: packets as bytes, and a chronyd that is absent or lies. (A real one: tests/interop/test_chronyd.py.)"""

import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.clocks import Clocks, Server
from trust.codecs import chrony
from trust.edge.clock.chrony import Chrony
from trust.errors import Malformed, Unacceptable
from trust.timekeeping import SECOND, Leap, Observation, Silence, State

SEQUENCE = 0xC0FFEE
HEAD = struct.Struct("!BBxxHHH6xI8x")
TRACKING = struct.Struct("!I16sH2xHHIII9I")


def word(coefficient: int, exponent: int) -> int:
    """candm.h, Float."""
    return (exponent & 0x7F) << 25 | coefficient & 0x1FFFFFF


def head(command: int, reply: int, status: int = 0, sequence: int = SEQUENCE, version: int = 6) -> bytes:
    return HEAD.pack(version, 2, command, reply, status, sequence)


def tracking(reference: int = 0x7F000001, leap: int = 0, sequence: int = SEQUENCE, **more: int) -> bytes:
    correction, delay, dispersion = word(-3 << 20, -9), word(1 << 20, -9), word(1 << 20, -10)
    floats = (correction, 0, 0, 0, 0, 0, delay, dispersion, 0)
    return head(33, 5, sequence=sequence, **more) + TRACKING.pack(reference, bytes(16), 1, 3, leap, 0, 1_795_272_793, 517_424_757, *floats)


def test_a_question_is_as_long_as_its_answer() -> None:
    """chronyd answers nothing else, so that nobody is flooded through it."""
    for command, size in ((chrony.TRACKING, 104), (chrony.SOURCE_COUNT, 32), (chrony.SOURCE, 76), (chrony.AUTHENTICATION, 52)):
        packet = chrony.question(command, SEQUENCE)
        assert packet.startswith(bytes((6, 1, 0, 0)) + command.to_bytes(2, "big"))
        assert packet[8:12] == SEQUENCE.to_bytes(4, "big")
        assert len(packet) >= size


def test_tracking_is_read() -> None:
    told = chrony.tracking(tracking(leap=2), SEQUENCE)
    assert (told.reference, told.stratum, told.leap) == (0x7F000001, 3, 2)
    assert told.updated_ns == 1_795_272_793_517_424_757
    assert told.correction_ns == round(-3 * 2**-14 * 1e9)
    assert (told.root_delay_ns, told.root_dispersion_ns) == (round(2**-14 * 1e9), round(2**-15 * 1e9))
    assert told.bound_ns == told.root_dispersion_ns + -(-told.root_delay_ns // 2)


@pytest.mark.parametrize(
    ("packet", "error", "says"),
    [
        (b"", Malformed, "28 bytes or more, got 0"),
        (tracking()[:-1], Malformed, "no such report"),
        (tracking(sequence=SEQUENCE + 1), Malformed, "another question"),
        (tracking(version=5), Malformed, "another question"),
        (head(14, 2) + bytes(80), Malformed, "another question"),
        (head(33, 3) + bytes(80), Malformed, "no such report"),
        (head(33, 1, 2), Unacceptable, "not permitted"),
        (head(33, 1, 77), Unacceptable, "status 77"),
    ],
    ids=["empty", "short", "sequence", "version", "command", "reply", "denied", "status"],
)
def test_what_is_wrong_is_refused(packet: bytes, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        chrony.tracking(packet, SEQUENCE)


@given(st.binary(max_size=200) | st.binary(min_size=76, max_size=80).map(lambda data: head(33, 5) + data))
def test_nothing_but_our_errors_comes_of_any_bytes(packet: bytes) -> None:
    try:
        chrony.tracking(packet, SEQUENCE)
    except (Malformed, Unacceptable):
        return
    assert len(packet) >= 104


def replying(**said: int) -> Server:
    """A chronyd that answers each question for tracking so."""
    return Server(lambda question: (tracking(sequence=int.from_bytes(question[8:12], "big"), **said),))


def test_one_that_is_synchronised_vouches() -> None:
    clocks = Clocks()
    with replying(leap=1) as server:
        [said] = Chrony(server.place, samples=clocks)(False)
    assert isinstance(said, Observation)
    assert (said.source, said.kind, said.leap, said.mark) == ("chrony", "chrony", Leap.INSERT, 1_795_272_793_517_424_757)
    assert said.offset_ns < 0 < said.bound_ns < SECOND // 1000
    assert said.facts["nts"] is None


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"leap": 3}, "chronyd is not synchronised"),
        ({"reference": 0}, "chronyd is not synchronised"),
        ({"reference": 0x7F7F0101}, "chronyd follows its own clock"),
    ],
    ids=["leap", "nobody", "local"],
)
def test_one_that_is_not_vouches_for_nothing(said: dict[str, int], why: str) -> None:
    with replying(**said) as server:
        [told] = Chrony(server.place)(False)
    assert isinstance(told, Silence)
    assert (told.state, told.why) == (State.UNSYNCHRONISED, why)


def test_one_that_answers_something_else_is_silent() -> None:
    with Server(lambda _: (b"\x1b[2J",)) as server:
        [told] = Chrony(server.place)(False)
    assert isinstance(told, Silence)
    assert (told.state, told.why) == (State.SILENT, "chrony's answer has 28 bytes or more, got 4")


def test_one_that_is_not_there_is_silent(tmp_path: Path) -> None:
    with Server() as server:
        gone = server.place
    for place in (gone, str(tmp_path / "no.sock"), str(tmp_path / "no" / "folder.sock")):
        [told] = Chrony(place)(False)
        assert isinstance(told, Silence)
        assert told.why == "chronyd does not answer"
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_closed_to_this_user_is_told(tmp_path: Path) -> None:
    closed = tmp_path / "chrony"
    closed.mkdir(mode=0)
    user = os.geteuid()
    if user == 0:  # to whom nothing is closed
        os.seteuid(65_534)
    try:
        [told] = Chrony(str(closed / "chronyd.sock"))(False)
    finally:
        os.seteuid(user)
    assert isinstance(told, Silence)
    assert told.why == "chronyd's socket is not open to this user"
