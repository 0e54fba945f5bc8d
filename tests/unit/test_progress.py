"""What a person sees of a long seal."""

import io
import re
import time
from pathlib import Path

from trust.edge.progress import WORTH_TELLING, Progress, Reading, counted, passing
from trust.model import Document


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Told(Progress):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__(Terminal(), patience=60)
        self.texts: list[str] = []

    def tell(self, text: str) -> None:
        self.texts.append(text)


def test_reading_is_told_in_parts_of_all_documents_and_by_rounds() -> None:
    given = [Document.of(bytes(3 << 20), "a"), Document.of(bytes(1 << 20), "b", "text/csv")]
    with Told() as progress:
        first, second = Reading(given, progress, "sealing a and 1 more").documents
        assert (second.name, second.size, second.media_type) == ("b", 1 << 20, "text/csv")
        for _ in range(2):
            assert b"".join(first.chunks()) == bytes(3 << 20)
        with second.open() as stream:
            stream.seek(-5, io.SEEK_END)
            assert stream.read() == bytes(5)
    assert progress.texts[0] == "sealing a and 1 more"
    assert "sealing a and 1 more: 25 % of 4.2 MB read" in progress.texts
    assert progress.texts[-1] == "sealing a and 1 more: 50 % of 4.2 MB read, round 2"


def test_a_file_is_handed_on_as_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"data")
    with Told() as progress:
        [document] = Reading([Document("a", 4, lambda: path.open("rb"))], progress, "sealing").documents
        with document.open() as stream:
            assert stream.fileno() > 2
            assert stream.read() == b"data"
        assert stream.closed


def test_where_nobody_looks_documents_are_the_very_same() -> None:
    document = Document.of(b"data")
    with Progress(io.StringIO()) as progress:
        assert Reading([document], progress, "sealing").documents == (document,)


def test_a_phase_is_told_and_counts_anew() -> None:
    with Told() as progress:
        reading = Reading([Document.of(bytes(1 << 20), "a")], progress, "sealing a")
        [document] = reading.documents
        assert b"".join(document.chunks())
        reading.phase("checking what was made")
        assert progress.texts[-1] == "sealing a, checking what was made"
        with document.open() as stream:
            stream.read(1 << 19)
    assert progress.texts[-1] == "sealing a, checking what was made: 50 % of 1.0 MB read"


def test_what_is_written_is_told() -> None:
    with Told() as progress:
        assert list(counted([bytes(WORTH_TELLING), b"end"], progress, "writing a")) == [bytes(WORTH_TELLING), b"end"]
    assert progress.texts == ["writing a", "writing a: 8.4 MB", "writing a: 8.4 MB"]


def test_a_line_that_does_not_change_counts_seconds() -> None:
    seen = io.StringIO()
    terminal = Terminal()
    terminal.write = seen.write  # type: ignore[method-assign]
    with Progress(terminal, patience=0.01) as progress:
        progress.tell("checking")
        while "checking (" not in seen.getvalue():  # ends, or the test's own limit ends it
            time.sleep(0.01)
    assert re.search(r"checking \(\d+ s\)", seen.getvalue())


def test_what_goes_by_is_counted() -> None:
    with Told() as progress:
        assert list(passing(range(2500), progress, "entries")) == list(range(2500))
    assert progress.texts == ["1,000 entries", "2,000 entries"]
