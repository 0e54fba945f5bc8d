"""trust.streams: bytes that lie somewhere, as if they were in memory or a file."""

import io
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trust import streams
from trust.errors import Malformed
from trust.streams import Blocks, Lent, Window


class Counted:
    """Opens bytes, and knows how many streams of it are open."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.streams: list[BinaryIO] = []

    def __call__(self) -> BinaryIO:
        self.streams.append(io.BytesIO(self.data))
        return self.streams[-1]

    @property
    def open(self) -> int:
        return sum(not stream.closed for stream in self.streams)


def test_what_is_lent_is_open_while_it_is_read() -> None:
    source = Counted(bytes(range(100)))
    stream = io.BufferedReader(Lent(source, 100), 16)
    assert source.streams == []
    assert stream.read(10) == source.data[:10]
    assert source.open == 1
    assert stream.read() == source.data[10:]
    assert (source.open, len(source.streams)) == (0, 1)
    assert stream.seek(0) == 0
    assert stream.read(5) == source.data[:5]
    stream.close()
    assert source.open == 0


@given(st.binary(max_size=60), st.integers(-70, 70), st.integers(-70, 70))
def test_blocks_are_as_bytes_are(data: bytes, start: int, end: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("BLOCK", 8), ("MOST_BLOCKS", 2), ("PIECE", 3)):
            patch.setattr(streams, name, value)
        source = Counted(data)
        blocks = Blocks(source, len(data))
        assert (len(blocks), blocks[start:end], blocks[:], blocks[start:]) == (len(data), data[start:end], data, data[start:])
        assert [blocks[at] for at in range(len(data))] == list(data)
        assert b"".join(blocks.run(0, len(data))) == data
        if 0 <= start <= len(data):
            assert blocks.startswith(data[start : start + 4], start)
            assert not blocks.startswith(data[start : start + 4] + b"!" * 60, start)
        for at in (-1, len(data)):
            with pytest.raises(IndexError):
                blocks[at]
        assert source.open == 0


def test_a_window_shows_ranges_one_after_the_other() -> None:
    blocks = Blocks(Counted(b"0123456789"), 10)
    assert io.BufferedReader(Window(blocks, [(7, 9), (0, 0), (1, 3)])).read() == b"7812"


def test_what_becomes_shorter_is_malformed() -> None:
    with pytest.raises(Malformed, match="became shorter"):
        Blocks(Counted(b"abc"), 5)[0:5]
