"""Text on paper: every character in a face that has it, measured as it is drawn, and never a byte of PDF from outside."""

import io
import re

import pikepdf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trust.paper import drawable, fonts, shown, width


def runs(operators: bytes) -> list[tuple[str, str]]:
    """Face and text of each run."""
    found = re.findall(rb"/(\w+) [\d.]+ Tf (?:0 Tr|2 Tr [\d.]+ w) <([0-9a-f]*)> Tj", operators)
    return [(face.decode(), bytes.fromhex(text.decode()).decode("cp1252" if face.startswith(b"Latin") else "utf-16-be")) for face, text in found]


@pytest.mark.parametrize(
    ("text", "faces"),
    [
        ("Seal", ["Latin"]),
        ("Zoë’s €5", ["Latin"]),
        ("角印 Kakuin です。", ["Japan", "Latin", "Japan"]),
        ("髙﨑", ["Japan"]),
        ("Дмитрий", ["Japan"]),
        ("서울", ["Korea"]),
        ("们", ["China"]),
        ("😀", ["Latin"]),
        ("مرحبا", ["Latin"]),
    ],
)
def test_each_script_has_its_face(text: str, faces: list[str]) -> None:
    found = runs(shown(text, 10, 0, 0))
    assert [face for face, _ in found] == faces
    assert "".join(part for _, part in found) == drawable(text)


def test_what_no_face_has_is_written_out() -> None:
    assert drawable("a😀") == "a\\u{1f600}"
    assert drawable("e\u0301") == "é"
    assert drawable("\u202e\x1b\n") == "\\u{202e}\\u{1b}\\u{a}"


def test_bold_latin_has_its_own_face_and_kanji_an_outline() -> None:
    drawn = shown("A角", 10, 1, 2, bold=True)
    assert drawn == b"BT 1.00 2.00 Td /LatinBold 10 Tf 0 Tr <41> Tj /Japan 10 Tf 2 Tr 0.30 w <89d2> Tj ET"


def test_widths_are_those_of_the_faces() -> None:
    assert width("A", 1000) == 667
    assert width("A", 1000, bold=True) == 722
    assert width("Ä", 1000) == 667
    assert width("~}", 1000) == 584 + 334
    assert width("角印", 10) == 20
    assert width("ｱ", 10) == 5


@given(st.text(max_size=40))
def test_nothing_but_operators_of_ours_is_drawn(text: str) -> None:
    drawn = shown(text, 9.5, 1, 2)
    assert re.fullmatch(rb"BT [-\d.]+ [-\d.]+ Td(?: /\w+ [\d.]+ Tf 0 Tr <[0-9a-f]*> Tj)* ET", drawn)
    assert "".join(part for _, part in runs(drawn)) == drawable(text)
    assert width(drawable(text), 10) >= 0


def test_the_faces_are_fonts_of_a_sound_pdf() -> None:
    paper = pikepdf.new()
    page = pikepdf.Dictionary(
        Type=pikepdf.Name.Page,
        MediaBox=[0, 0, 100, 100],
        Resources=pikepdf.Dictionary(Font=fonts(paper)),
        Contents=paper.make_stream(shown("角印 A", 10, 0, 0)),
    )
    paper.pages.append(pikepdf.Page(paper.make_indirect(page)))
    made = io.BytesIO()
    paper.save(made)
    read = pikepdf.open(made)
    assert read.check_pdf_syntax() == []
    named = set(read.pages[0].Resources.Font.keys())
    assert {"/Latin", "/LatinBold", "/Japan", "/Korea", "/China", "/Taiwan"} == named
