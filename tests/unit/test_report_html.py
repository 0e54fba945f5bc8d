"""The HTML page: it says what the text report says, loads and runs nothing, and a file can put no markup into it."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from tests import pki
from tests.unit.test_report_text import HOSTILE
from tests.verdicts import everything, office, signature, signature_verdict, stamp_verdict, subject_of, verdict
from trust.model import Claims, Defect, Document, Reference, Uncovered
from verifier.report import html, texts
from verifier.report.json import report
from verifier.report.told import Field, told
from verifier.verdict import Conclusion, Indication, Reason, Step, SubIndication

INJECTION = "</title></style><script>alert(1)</script><img src=x onerror=alert(1)>\"'&lt;"
_STRUCTURE = "html head meta title style body main header section article footer div p b h1 h2 ul li dl dt dd span svg circle path"
ELEMENTS = {*_STRUCTURE.split(), *["details", "summary", "table", "thead", "tbody", "tr", "th", "td"]}
VOID = {"meta"}


class Page(HTMLParser):
    """What a browser makes of it."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.style = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.style += data
        else:
            self.text += data


def page(name: str, language: str) -> Page:
    return Page(html.render(report(everything()[name], document=Document.of(b"x", "通知書.pdf"), anchors=1), language))


@pytest.mark.parametrize("language", texts.LANGUAGES)
@pytest.mark.parametrize("name", everything())
def test_the_page_says_everything_that_the_report_tells(name: str, language: str) -> None:
    made = report(everything()[name], document=Document.of(b"x", "通知書.pdf"), anchors=1)
    found = Page(html.render(made, language))
    assert found.open == []
    assert found.seen[0] == ("html", {"lang": language})
    said = told(made, language)
    fields: list[Field] = [*said.fields, *(f for g in said.groups for p in g.parts for f in p.fields)]
    for item in (i for f in fields for i in f.items):
        assert item in found.text
    for part in (p for g in said.groups for p in g.parts):
        assert part.title in found.text and all(c.what in found.text and c.clause in found.text for c in part.checks)
    assert said.checked in found.text
    assert made["file"]["sha256"] in found.text


@pytest.mark.parametrize("language", texts.LANGUAGES)
def test_the_verdict_comes_first_then_why_then_what_to_do(language: str) -> None:
    found = page("failed", language).text
    body = found[found.index("角印") :]
    order = [body.index(texts.say(words, language)) for words in (texts.CONCLUSIONS["failed"], texts.LABELS["why"], texts.LABELS["todo"])]
    order.append(body.index(texts.say(texts.LABELS["seal"], language), order[-1]))
    assert order == sorted(order)


def test_the_page_loads_and_runs_nothing() -> None:
    source = html.render(report(everything()["failed"], document=Document.of(b"x", "a.pdf")), "en")
    found = Page(source)
    assert {tag for tag, _ in found.seen} <= ELEMENTS
    for tag, attributes in found.seen:
        assert not {a for a in attributes if a.startswith("on")} | ({"src", "href", "style", "action"} & set(attributes)), tag
    assert "url(" not in found.style and "@import" not in found.style
    assert "http:" not in source and "https:" not in source


def test_the_policy_allows_the_page_its_own_style_and_nothing_else() -> None:
    found = page("passed", "en")
    [stated] = [a["content"] for t, a in found.seen if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"]
    assert stated == html.POLICY
    digest = base64.b64encode(hashlib.sha256(found.style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in html.POLICY
    assert html.POLICY.startswith("default-src 'none'; ")
    assert "unsafe" not in html.POLICY


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("text", [INJECTION, HOSTILE])
@pytest.mark.parametrize("language", texts.LANGUAGES)
def test_nothing_in_a_file_becomes_markup(text: str, language: str) -> None:
    cert = pki.signer(office().ca, subject=subject_of(text[:38], text[:38])).certificate
    stamp = stamp_verdict()
    hostile = signature(
        signer=cert,
        level=text,
        field=text,
        references=(Reference(text, True, True), Reference(text, False, False)),
        claims=Claims(place=text, commitments=(text,)),
        defects=(Defect(text, text),),
    )
    found = verdict(
        Conclusion.FAILED,
        signature_verdict(
            Indication.FAILED,
            SubIndication.HASH_FAILURE,
            signature=hostile,
            stamp=stamp,
            trace=(Step(text, text, False, about=text),),
            warnings=(text,),
        ),
        stamps=(stamp,),
        reasons=(Reason("not-covered", text, text), Reason(text, text, text)),
        uncovered=(Uncovered(text, text), Uncovered(text, text, grave=False)),
        kind=text,
    )
    source = html.render(report(found, document=Document.of(b"x", text)), language)
    sound = html.render(report(everything()["failed"], document=Document.of(b"x", "a.pdf")), language)
    made = Page(source)
    assert {tag for tag, _ in made.seen} <= ELEMENTS
    assert {name for _, attributes in made.seen for name in attributes} <= {name for _, attributes in Page(sound).seen for name in attributes} | {
        "scope"
    }
    assert made.style == Page(sound).style
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]", source)
    assert ("<script>alert(1)</script>" if text == INJECTION else "\\u{1b}") in made.text, "the hostile text was not shown at all"


def test_markup_and_text_are_told_apart_by_type() -> None:
    assert html.tag("p", "<b>", html.tag("b", "&")) == "<p>&lt;b&gt;<b>&amp;</b></p>"
    assert html.tag("p", css='"x') == '<p class="&quot;x"></p>'
