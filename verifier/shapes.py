"""The shapes that a report comes in: which there are, what names them, and how each is made. The doors choose, and know no more."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath

from trust.errors import NotAcceptable, Unacceptable
from trust.model import Crl, Ocsp
from verifier.question import Question
from verifier.report.json import dumps
from verifier.report.parties import Json
from verifier.report.plain import printable

MOST_RANGES = 50
"""Media ranges of one Accept header that are looked at."""


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
    """RFC 9110 section 12.5.1: the shape with the greatest weight, each by the most specific range that names it. NotAcceptable where none is wanted.

    What cannot be read is passed over, and nothing readable is taken as no preference.
    """
    ranges = _ranges(accept) or {"*/*": 1.0}
    weights = [(_weight(shape, ranges), shape) for shape in SHAPES]
    best, found = max(weights, key=lambda pair: pair[0])
    if best <= 0:
        raise NotAcceptable(f"no report of an accepted media type, expected one of {', '.join(s.media_type for s in SHAPES)}")
    return found


def _ranges(accept: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for part in accept.lower().split(",")[:MOST_RANGES]:
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        weight = next((p.removeprefix("q=") for p in parameters if p.startswith("q=")), "1")
        if "/" in kind and weight.replace(".", "", 1).isdecimal():
            found.setdefault(kind, min(1.0, float(weight)))
    return found


def _weight(shape: Shape, ranges: dict[str, float]) -> float:
    family = shape.media_type.split("/")[0] + "/*"
    return next((ranges[name] for name in (shape.media_type, family, "*/*") if name in ranges), 0.0)


def etsi_report(question: Question) -> bytes:
    """The ETSI validation report: judged, and made from the verdict itself. What runs in the sandbox, where the file is a stranger's."""
    from verifier.report.etsi import etsi
    from verifier.service import judge

    given: list[Crl | Ocsp] = [*question.crls, *question.ocsps]
    return etsi(judge(question), document=question.document, timetable=question.policy.timetable, given=given)


def shaped(shape: Shape, question: Question, made: Json, language: str) -> bytes:
    """The report of this question in this shape; `made` is its JSON report."""
    return etsi_report(question) if shape.made is None else shape.made(made, language)
