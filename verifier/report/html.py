"""The report as one HTML page: nothing is loaded, nothing runs, it prints well, and follows the reader's light or dark.

The page is built from elements that escape what they are given (a template language would be a dependency for one page). What comes from the file was
made printable before, so that it can neither leave its place nor reorder what stands around it.
"""

import base64
import hashlib
import html
import importlib.resources
from collections.abc import Iterator

from verifier.report.parties import Json
from verifier.report.texts import CONCLUSIONS, LABELS, PHRASES, say
from verifier.report.told import Check, Field, Part, Told, told


class Html(str):
    """Text that is markup already: the only kind that is not escaped."""

    __slots__ = ()


def _text(content: str) -> Html:
    return content if isinstance(content, Html) else Html(html.escape(content, quote=True))


def tag(name: str, *content: str, css: str = "", attributes: tuple[tuple[str, str], ...] = ()) -> Html:
    """An element; its content is escaped unless it is made of elements."""
    given = (("class", css), *attributes) if css else attributes
    opened = "".join(f' {key}="{html.escape(value, quote=True)}"' for key, value in given)
    return Html(f"<{name}{opened}>{''.join(map(_text, content))}</{name}>")


_STYLE = importlib.resources.files("verifier").joinpath("report/page.css").read_text("utf-8")
POLICY = (
    "default-src 'none'; "
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'"
)
"""Content Security Policy: the page's own style, and nothing else."""

_SIGNS = {
    "passed": "M7 12.5l3.5 3.5L17 9",
    "failed": "M8 8l8 8M16 8l-8 8",
    "indeterminate": "M9.2 9.4a2.8 2.8 0 1 1 4 2.5c-.8.4-1.2.9-1.2 1.7v.5M12 16.9v.2",
    "nothing_signed": "M8 12h8",
}
"""One stroke a verdict, in a circle of 24 by 24: never told by colour alone."""


def render(report: Json, language: str = "en") -> str:
    """The page. `report` is the JSON report of a file that could be judged."""
    return page(told(report, language))


def page(report: Told) -> str:
    head = tag(
        "head",
        Html('<meta charset="utf-8">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{html.escape(POLICY, quote=True)}">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'),
        tag("title", _title(report)),
        Html(f"<style>{_STYLE}</style>"),
    )
    body = tag("body", tag("main", *_sections(report)), css=report.conclusion)
    return "<!DOCTYPE html>\n" + tag("html", head, body, attributes=(("lang", report.language),)) + "\n"


def _title(report: Told) -> str:
    word = say(CONCLUSIONS[report.conclusion], report.language)
    return f"{word} · {report.name or say(PHRASES['nameless'], report.language)}"


def _label(key: str, report: Told) -> str:
    return say(LABELS[key], report.language)


def _sections(report: Told) -> Iterator[Html]:
    yield tag("p", tag("b", "角印"), " Kakuin · ", _label("report", report), css="brand")
    yield _banner(report)
    for field in report.fields:
        items = field.items[1:] if field.key == "why" else field.items  # its first item is the banner's
        if items:
            yield tag("section", tag("h2", _label(field.key, report)), _list(items), css=f"of {field.key}")
    for group in report.groups:
        for part in group.parts:
            yield _part(part, report)
        if group.rest:
            yield tag("p", group.rest, css="rest")
    yield _foot(report)


def _banner(report: Told) -> Html:
    lead = next((f.items[0] for f in report.fields if f.key == "why"), "")
    name = report.name or say(PHRASES["nameless"], report.language)
    return tag(
        "header",
        _sign(report.conclusion),
        tag("div", tag("h1", say(CONCLUSIONS[report.conclusion], report.language)), tag("p", name, css="name"), tag("p", lead, css="lead")),
        css=f"banner {report.conclusion}",
    )


def _sign(conclusion: str) -> Html:
    return Html(
        '<svg viewBox="0 0 24 24" aria-hidden="true"><circle cx="12" cy="12" r="11"/>'
        f'<path d="{_SIGNS[conclusion]}" fill="none" stroke-width="2.2" stroke-linecap="round" stroke-linejoin="round"/></svg>'
    )


def _list(items: tuple[str, ...]) -> Html:
    return tag("p", items[0]) if len(items) == 1 else tag("ul", *(tag("li", item) for item in items))


def _part(part: Part, report: Told) -> Html:
    word = say(CONCLUSIONS[part.conclusion], report.language)
    head = tag("h2", part.title, tag("span", _sign(part.conclusion), word, css=f"badge {part.conclusion}"))
    rows = (piece for field in part.fields for piece in _row(field, report))
    details = (_checks(part.checks, report),) if part.checks else ()
    return tag("article", head, tag("p", part.technical, css="technical"), tag("dl", *rows), *details)


def _row(field: Field, report: Told) -> tuple[Html, Html]:
    return tag("dt", _label(field.key, report)), tag("dd", *(tag("p", item) for item in field.items), css=field.key)


def _checks(checks: tuple[Check, ...], report: Told) -> Html:
    """The trace, for who wants to know; it starts folded."""
    head = tag("tr", *(tag("th", _label(key, report), attributes=(("scope", "col"),)) for key in ("outcome", "requirement", "clause")))
    words = {True: _label("met", report), False: _label("unmet", report)}
    rows = (tag("tr", *(tag("td", cell) for cell in (words[c.ok], c.what, c.clause)), css="" if c.ok else "unmet") for c in checks)
    summary = say(LABELS["checks"], report.language).format(count=len(checks))
    return tag("details", tag("summary", summary), tag("table", tag("thead", head), tag("tbody", *rows)))


def _foot(report: Told) -> Html:
    facts = (piece for label, value in report.facts for piece in (tag("dt", label), tag("dd", value)))
    checked = (tag("dt", _label("checked", report)), tag("dd", report.checked))
    return tag("footer", tag("dl", *checked, *facts), tag("p", say(PHRASES["not-proof"], report.language)))
