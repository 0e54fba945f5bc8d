"""The shapes that a report comes in: which there are, what names them, and how each is made. The doors choose, and know no more."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath

from trust.errors import NotAcceptable, Unacceptable
from trust.media import preferred
from trust.model import Crl, Ocsp
from verifier.question import Question
from verifier.report.json import dumps
from verifier.report.parties import Json
from verifier.report.plain import printable


@dataclass(frozen=True, slots=True)
class Shape:
    """One of them. Those for people have a language."""

    ending: str
    media_type: str
    for_people: bool
    made: Callable[[Json, str], bytes] | None
    """From the JSON report; None for the one that is made from the verdict itself."""


def _json(made: Json, _: str) -> bytes:
    return (dumps(made, indent=2) + "\n").encode()


def _text(made: Json, language: str) -> bytes:
    from verifier.report.text import Style, render

    return render(made, Style(language)).encode("utf-8", "backslashreplace")


def _html(made: Json, language: str) -> bytes:
    from verifier.report.html import render

    return render(made, language).encode("utf-8", "backslashreplace")


def _pdf(made: Json, language: str) -> bytes:
    from verifier.report.pdf import render

    return render(made, language)


SHAPES = (
    Shape(".json", "application/json", for_people=False, made=_json),
    Shape(".txt", "text/plain", for_people=True, made=_text),
    Shape(".html", "text/html", for_people=True, made=_html),
    Shape(".pdf", "application/pdf", for_people=True, made=_pdf),
    Shape(".xml", "application/xml", for_people=False, made=None),
)
"""In the order of preference where a client does not mind."""


def of_name(name: str) -> Shape:
    """By the ending of a file's name; Unacceptable for another."""
    ending = PurePath(name).suffix.lower()
    found = next((s for s in SHAPES if s.ending == ending), None)
    if found is None:
        known = ", ".join(s.ending for s in SHAPES)
        raise Unacceptable(f"report {printable(name)} has an ending that is not known, expected one of {known}")
    return found


def of_header(accept: str) -> Shape:
    """The shape that a client would rather have. NotAcceptable where none is wanted."""
    shapes = {shape.media_type: shape for shape in SHAPES}
    best = preferred(accept, tuple(shapes))
    if best is None:
        raise NotAcceptable(f"no report of an accepted media type, expected one of {', '.join(shapes)}")
    return shapes[best]


def etsi_report(question: Question) -> bytes:
    """The ETSI validation report: judged, and made from the verdict itself. What runs in the sandbox, where the file is a stranger's."""
    from verifier.report.etsi import etsi
    from verifier.service import judge

    given: list[Crl | Ocsp] = [*question.crls, *question.ocsps]
    return etsi(judge(question), document=question.document, timetable=question.policy.timetable, given=given)


def shaped(shape: Shape, question: Question, made: Json, language: str) -> bytes:
    """The report of this question in this shape; `made` is its JSON report."""
    return etsi_report(question) if shape.made is None else shape.made(made, language)
