"""The PDF for people: it says what the report tells, on pages of A4, in both languages, whatever a file holds."""

import io
from dataclasses import replace

import pikepdf
import pytest

from tests.unit.test_paper import runs
from tests.unit.test_report_text import HOSTILE
from tests.verdicts import everything, signature, signature_verdict, verdict
from trust.model import Document, Reference
from trust.paper import drawable, width
from verifier.report import pdf, texts
from verifier.report.json import report
from verifier.report.told import told
from verifier.verdict import Conclusion, Indication, Reason, SubIndication


def pages(data: bytes) -> list[str]:
    """The text of each page, white space left out: where lines break is the layout's."""
    paper = pikepdf.open(io.BytesIO(data))
    return ["".join("".join(text for _, text in runs(page.Contents.read_bytes())).split()) for page in paper.pages]


def body(data: bytes) -> str:
    """All pages, their two foot lines left out."""
    contents = (page.Contents.read_bytes().split(b"BT ") for page in pikepdf.open(io.BytesIO(data)).pages)
    return "".join("".join(text for part in parts[:-2] for _, text in runs(part)) for parts in contents).replace(" ", "")


def squeezed(text: str) -> str:
    return "".join(drawable(text).split())


@pytest.mark.parametrize("language", texts.LANGUAGES)
@pytest.mark.parametrize("name", everything())
def test_the_pdf_says_everything_that_the_report_tells(name: str, language: str) -> None:
    made = report(everything()[name], document=Document.of(b"x", "通知書.pdf"), anchors=1)
    data = pdf.render(made, language)
    page = body(data)
    said = told(made, language)
    fields = [*said.fields, *(f for g in said.groups for p in g.parts for f in p.fields)]
    for text in [i for f in fields for i in f.items] + [p.title for g in said.groups for p in g.parts] + [said.checked, "通知書.pdf"]:
        assert squeezed(text) in page
    assert squeezed(texts.say(texts.CONCLUSIONS[said.conclusion], language)) in page
    paper = pikepdf.open(io.BytesIO(data))
    assert paper.check_pdf_syntax() == []
    assert str(paper.Root.Lang) == language
    assert str(paper.docinfo["/Title"]).endswith("通知書.pdf")


def test_the_same_report_has_the_same_bytes() -> None:
    made = report(everything()["passed"], anchors=1)
    assert pdf.render(made, "ja") == pdf.render(made, "ja")
    assert pdf.render(made, "ja") != pdf.render(made, "en")


def test_long_reports_go_on_over_pages_and_inside_of_their_margins() -> None:
    references = tuple(Reference(f"file-{n}.txt", found=True, intact=True) for n in range(12))
    many = [signature_verdict(signature=signature(references=references)) for _ in range(12)]
    data = pdf.render(report(verdict(Conclusion.PASSED, *many), document=Document.of(b"x", "a" * 250 + ".pdf")), "en")
    found = pages(data)
    assert len(found) > 4
    assert "Seal12of12" in "".join(found)
    for number, text in enumerate(found, start=1):
        assert text.endswith(f"page{number}of{len(found)}")
    for page in pikepdf.open(io.BytesIO(data)).pages:
        for line in page.Contents.read_bytes().split(b"BT ")[1:]:
            x, y = (float(n) for n in line.split()[:2])
            text = "".join(part for _, part in runs(line))
            size = float(line.split(b" Tf")[0].split()[-1])
            assert x >= pdf.MARGIN - 0.1
            assert pdf.MARGIN - 10 <= y <= pdf.HEIGHT - pdf.MARGIN
            assert x + width(text, size) <= pdf.WIDTH - pdf.MARGIN + 1


@pytest.mark.parametrize("language", texts.LANGUAGES)
def test_nothing_of_a_file_becomes_an_operator(language: str) -> None:
    text = "> Tj ET Q /JavaScript (" + HOSTILE
    hostile = signature(level=text, field=text, references=(Reference(text, True, True),))
    found = signature_verdict(Indication.FAILED, SubIndication.HASH_FAILURE, signature=hostile)
    made = report(replace(verdict(Conclusion.FAILED, found, reasons=(Reason(text, text, text),)), policy=text), document=Document.of(b"x", text))
    data = pdf.render(made, language)
    paper = pikepdf.open(io.BytesIO(data))
    assert paper.check_pdf_syntax() == []
    drawn = b"".join(page.Contents.read_bytes() for page in paper.pages)
    assert b"JavaScript" not in drawn
    operators = {str(i.operator) for page in paper.pages for i in pikepdf.parse_content_stream(page)}
    assert operators <= {"q", "Q", "BT", "ET", "Td", "Tf", "Tr", "Tj", "rg", "RG", "re", "f", "w", "m", "l", "c", "S", "J", "j"}
    assert squeezed("\\u{1b}") in "".join(pages(data)), "the hostile text was not shown at all"
