"""The documents that `make run` seals: the same each time, readable, and what they say they are."""

import csv
import io

import pikepdf

from eseal import demonstration
from eseal.spec import Format, choose


def test_the_pdf_is_the_same_each_time_and_sound() -> None:
    data = demonstration.pdf()
    assert data == demonstration.pdf()
    paper = pikepdf.open(io.BytesIO(data))
    assert len(paper.pages) == 3
    assert choose(data).format is Format.PADES
    assert str(paper.docinfo["/Title"]).startswith("電子角印")


def test_the_pdf_shows_both_languages() -> None:
    paper = pikepdf.open(io.BytesIO(demonstration.pdf()))
    shown = b"".join(page.Contents.read_bytes() for page in paper.pages)
    for text, encoding in (
        ("Notice of electronic sealing", "cp1252"),
        ("電子角印の取扱いについて（通知）", "utf-16-be"),
        ("証明書の交付", "utf-16-be"),
    ):
        assert text.encode(encoding).hex().encode() in shown


def test_every_text_is_in_its_font() -> None:
    """A kanji in Helvetica would be a box; a Latin letter beyond Windows-1252 an error while drawing."""
    for page in (*demonstration._PAGES, demonstration._annex()):
        for line in page:
            cells = line.text.split("\t")
            assert len(cells) in {1, *demonstration._STOPS}
            assert all(cell.isascii() or not any(c.isascii() and c.isalpha() for c in cell) or "A" in cell for cell in cells)


def test_the_dataset_is_what_japanese_offices_publish() -> None:
    data = demonstration.csv()
    assert data.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    assert rows[0] == ["品目コード", "品目名", "単価（円）", "適用開始日"]
    assert len(rows) > 5
    assert all(len(row) == 4 and row[2].isdigit() for row in rows[1:])
    assert data.endswith(b"\r\n")
    assert choose(data).format is Format.CADES
