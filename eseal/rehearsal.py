"""Seals for a rehearsal (`trust.edge.rehearsal`): every format once with all that a level has, on documents of our own."""

from dataclasses import replace

from eseal import drafting
from eseal.demonstration import csv, pdf
from eseal.draft import assembled
from eseal.drafting import Holder
from eseal.spec import OFFERED, Format, Level, Packaging, Spec, media_type
from trust.edge.rehearsal import Example, Rehearsed
from trust.model import Document

XML = b'<?xml version="1.0" encoding="UTF-8"?>\n<a xmlns="urn:rehearsal" b="1"><c>1</c></a>\n'
PAPER, PAGE = Spec(Format.PADES, Level.B_B, Packaging.ENVELOPED), Spec(Format.XADES, Level.B_B, Packaging.ENVELOPED)
"""The formats whose documents are parsed when they are sealed (`eseal.drafting.PARSING`)."""


def seals(rehearsed: Rehearsed) -> Rehearsed:
    """PAPER, PAGE, and every format and packaging at its highest level."""
    highest = (Spec(format_, levels[-1], packaging) for (format_, packaging), levels in OFFERED.items())
    return replace(rehearsed, examples=tuple(_sealed(rehearsed, spec) for spec in (PAPER, PAGE, *highest)))


def paper(rehearsed: Rehearsed) -> Rehearsed:
    """A PDF once more, whose code is then at hand; the examples stay those that there are."""
    _sealed(rehearsed, PAPER)
    return rehearsed


def page(rehearsed: Rehearsed) -> Rehearsed:
    """An XML document likewise."""
    _sealed(rehearsed, PAGE)
    return rehearsed


def _sealed(rehearsed: Rehearsed, spec: Spec) -> Example:
    office, key, document = rehearsed.office, rehearsed.office.seal, _document(spec)
    draft = drafting.draft(document, spec, Holder.of(key), office.time, sign=key.sign, stamp=rehearsed.stamp, status=office.status)
    apart = (document,) if spec.packaging is Packaging.DETACHED else ()
    return Example(assembled(document, draft.pieces, "example", media_type(spec)[0]), apart, draft.signature)


def _document(spec: Spec) -> Document:
    if spec.format is Format.PADES:
        return Document.of(pdf(), "notice.pdf", "application/pdf")
    return Document.of(*((XML, "a.xml", "application/xml") if spec.packaging is Packaging.ENVELOPED else (csv(), "prices.csv", "text/csv")))
