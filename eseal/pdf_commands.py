"""What `kakuin seal` takes for PDF alone: look, place, field, certification and locks."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from eseal.pdf_seal import FILES, OPTIONS

if TYPE_CHECKING:
    from eseal.pdf_seal import PdfSeal
    from trust.model import Document

F = TypeVar("F", bound=Callable[..., Any])

_FILE = click.Path(path_type=Path, dir_okay=False)
_DECORATORS = (
    click.option(
        "--visible", metavar="LOOK", help="PDF: show the seal: seal (角印), text, image, qr, seal+text, image+text or qr+text. Default: not seen."
    ),
    click.option("--page", metavar="N", help="PDF: page of a visible seal, from 1, or last. Default: 1."),
    click.option(
        "--rect",
        metavar="L,B,R,T",
        help="PDF: left, bottom, right and top of a visible seal, from the page's lower left corner, in points, or with mm behind each. "
        "Default: a free place at the bottom right.",
    ),
    click.option("--field", metavar="NAME", help="PDF: an empty signature field of the document."),
    click.option("--new-field", metavar="NAME", help="PDF: name of a new one. Default: Seal1, Seal2, …"),
    click.option("--certify", metavar="WHAT", help="PDF: certify; after that allowed is: no-changes, forms (and signing) or comments."),
    click.option("--lock", metavar="FIELDS", help="PDF: form fields that nobody may change afterwards: all, names with commas, or all-but:names."),
    click.option("--seal-name", metavar="TEXT", help="PDF: characters of the red seal. Default: the organisation's name in its certificate."),
    click.option("--qr", metavar="TEXT", help="PDF: content of the QR code; {sha256} is the digest of the unsealed file. Default: sha256:{sha256}."),
    click.option("--image", type=_FILE, help="PDF: PNG or JPEG file of a visible seal."),
    click.option("--font", type=_FILE, help="PDF: TrueType or OpenType file for a visible seal. Default: the setting visible.font."),
)


def of_pdf(command: F) -> F:
    """The options, in this order."""
    for decorate in reversed(_DECORATORS):
        command = decorate(command)
    return command


def files_of(asked: dict[str, Any]) -> "dict[str, Document]":
    """The files among the options, taken out of them."""
    from trust.edge.source import document

    return {name: document(path) for name in FILES if (path := asked.pop(name)) is not None}


def pdf_seal_of(asked: dict[str, Any], files: "dict[str, Document]") -> "PdfSeal":
    """What is wished, taken out of the options."""
    from eseal.pdf_seal import wished

    return wished({name: asked.pop(name) for name in OPTIONS}, **files)
