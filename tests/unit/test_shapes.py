"""Which shape of a report a name or an Accept header asks for."""

import pytest

from trust.errors import NotAcceptable, Unacceptable
from verifier.shapes import SHAPES, of_header, of_name


@pytest.mark.parametrize("name", ["a.html", "a.PDF", "dir.d/x.xml", "通知.json", ".hidden.txt"])
def test_a_name_tells_by_its_ending(name: str) -> None:
    assert of_name(name).ending == name[name.rindex(".") :].lower()


@pytest.mark.parametrize("name", ["a", "a.doc", "html", ".html", "a.html/", "a.html.gz", ""])
def test_other_names_are_told_what_there_is(name: str) -> None:
    if name == "a.html/":
        assert of_name(name).ending == ".html"
        return
    with pytest.raises(Unacceptable, match=r"expected one of \.json, \.txt, \.html, \.pdf, \.xml"):
        of_name(name)


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
        ("application/*", "application/json"),
        ("application/*;q=0.5, application/pdf", "application/pdf"),
        ("application/*, application/json;q=0", "application/pdf"),
        ("text/*", "text/plain"),
        ("application/json;q=0.2, application/xml;q=0.3", "application/xml"),
        ("image/png, text/plain;q=0.001", "text/plain"),
        ("application/json; charset=utf-8 ; q=0.1, text/html;level=1;q=0.2", "text/html"),
        ("nonsense", "application/json"),
        ("text/plain;q=9", "text/plain"),
        ("text/plain;q=inf, text/html;q=nan, application/pdf;q=0.1", "application/pdf"),
        ("text/plain;q=-1", "application/json"),
        (", ".join(["image/png"] * 60 + ["text/html"]), ""),
        ("image/png", ""),
        ("*/*;q=0", ""),
        ("application/json;q=0", ""),
    ],
)
def test_a_header_tells_by_weight_and_specificity(accept: str, media_type: str) -> None:
    if media_type:
        assert of_header(accept).media_type == media_type
        return
    with pytest.raises(NotAcceptable, match="application/json, text/plain, text/html, application/pdf, application/xml"):
        of_header(accept)


def test_no_two_shapes_are_called_the_same() -> None:
    assert len({s.ending for s in SHAPES}) == len({s.media_type for s in SHAPES}) == len(SHAPES)
