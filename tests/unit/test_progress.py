"""What a person sees of a long seal."""

import io
from pathlib import Path

from trust.edge.progress import Progress, Reading
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
