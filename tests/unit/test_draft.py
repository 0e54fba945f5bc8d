"""Documents in pieces: what is read is what was laid down, wherever one seeks."""

import base64
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eseal.draft import Appended, Base64, Span, assembled, size_of
from trust.errors import Malformed
from trust.model import Document

BASE = bytes(range(200))
PIECES = st.lists(
    st.one_of(st.binary(max_size=20), st.tuples(st.integers(0, 200), st.integers(0, 200)).map(lambda t: Span(min(t), max(t)))), max_size=6
)


def laid(pieces: list[bytes | Span]) -> bytes:
    return b"".join(BASE[p.start : p.stop] if isinstance(p, Span) else p for p in pieces)


@given(PIECES, st.integers(0, 300), st.integers(0, 300))
def test_a_rope_reads_as_its_pieces(pieces: list[bytes | Span], at: int, count: int) -> None:
    whole = laid(pieces)
    made = assembled(Document.of(BASE), pieces, "x", None)
    assert made.size == size_of(pieces) == len(whole)
    assert made.read(1 << 20) == whole
    with made.open() as stream:
        stream.seek(at)
        assert stream.read(count) == whole[at : at + count]
        assert stream.seek(-min(3, len(whole)), io.SEEK_END) == len(whole) - min(3, len(whole))
        assert stream.read() == whole[-3:]


def test_a_document_that_shrinks_is_noticed() -> None:
    document = Document("x", 200, lambda: io.BytesIO(BASE[:100]))
    with pytest.raises(Malformed, match="shorter"):
        assembled(document, (b"a", Span(0, 200)), None, None).read(1 << 20)


def test_two_readers_do_not_disturb_each_other() -> None:
    made = assembled(Document.of(BASE), (b"ab", Span(0, 200), b"cd"), None, None)
    with made.open() as one, made.open() as two:
        one.read(50)
        assert two.read(4) == b"ab\x00\x01"
        assert one.read(1) == BASE[48:49]


def test_what_is_appended_stands_behind_the_document_and_never_in_it() -> None:
    paper = Appended(io.BytesIO(BASE), len(BASE))
    stream = io.BufferedRandom(paper)
    stream.seek(0, io.SEEK_END)
    stream.write(b"tail")
    stream.seek(198)
    assert stream.read() == BASE[198:] + b"tail"
    stream.seek(201)
    stream.write(b"A")
    stream.flush()
    assert paper.tail == b"tAil"
    stream.seek(10)
    with pytest.raises(OSError, match="never written"):
        stream.write(b"x")
        stream.flush()
    assert paper.truncate(202) == 202
    assert paper.tail == b"tA"


@pytest.mark.parametrize("start_stop", [(0, 200), (0, 199), (1, 198), (7, 8), (5, 5)])
@pytest.mark.parametrize("url", [False, True])
def test_a_document_stands_in_text_as_base64_wherever_it_is_read(start_stop: tuple[int, int], url: bool) -> None:
    start, stop = start_stop
    text = base64.urlsafe_b64encode(BASE[start:stop]).rstrip(b"=") if url else base64.b64encode(BASE[start:stop])
    pieces = (b"<", Base64(start, stop, url), b">")
    made = assembled(Document.of(BASE), pieces, None, None)
    assert made.size == len(text) + 2
    assert made.read(1 << 20) == b"<" + text + b">"
    for at in range(0, len(text), 3):
        with made.open() as stream:
            stream.seek(1 + at)
            assert stream.read(5) == (text + b">")[at : at + 5]


def test_a_document_that_shrinks_is_noticed_in_base64() -> None:
    document = Document("x", 200, lambda: io.BytesIO(BASE[:100]))
    with pytest.raises(Malformed, match="shorter"):
        assembled(document, (b"a", Base64(0, 200)), None, None).read(1 << 20)
