"""PAdES (EN 319 142-1) by incremental updates: what was there stays byte for byte, earlier signatures with it.

The only package that knows pyHanko, of which it uses the reader, the fields and the incremental writer. The CMS is `eseal.formats.cms`, the
tokens and the status are what the caller's ports give: nothing here opens a connection, and no clock is read.
"""

import contextlib
from collections.abc import Iterator, Sequence

from pyhanko.pdf_utils.misc import PdfStrictReadError

from eseal.draft import Draft, Span, assembled
from eseal.extend import Tools, Wanted
from eseal.formats.pades.elsewhere import Finish, Sign, sealed_elsewhere
from eseal.formats.pades.extending import extended
from eseal.formats.pades.paper import Reading, plainly
from eseal.formats.pades.sealing import Prepared, finished, prepared, sealed
from eseal.formats.unchanged import require_unchanged
from eseal.levels import Means
from eseal.spec import Spec
from trust.errors import Malformed, TooLarge
from trust.model import Document

LARGEST = 2_000_000_000
"""Bytes: below 2 GiB, which is as far as our own reader goes, with room for many updates."""

__all__ = ["Prepared", "extend", "finish", "prepare", "seal", "seal_elsewhere"]


def seal(document: Document, spec: Spec, means: Means) -> Draft:
    """EN 319 142-1 clause 6, levels B-B to B-LTA: one update for the signature, and one for the validation data and the document time-stamp.

    Malformed for what is no PDF or cannot be updated, Unacceptable for one that may not be changed, Unavailable when token or status is
    not to be had.
    """
    with _readable(document):
        try:
            made = sealed(document, spec, means, Reading.STRICT)
        except PdfStrictReadError:
            # Real files of real makers break the format in small ways; an independent reader has the last word.
            made = sealed(document, spec, means, Reading.LENIENT)
        require_unchanged(document, assembled(document, made.pieces, None, None), spec.password)
        return made


def prepare(document: Document, spec: Spec, means: Means) -> Prepared:
    """The first half of sealing where the key is: the PDF with room for a signature, and the digest that is to be signed. Errors as of `seal`.

    Of `means` the time and the key's certificate, chain and algorithm are used, nothing is signed and no port is called.
    """
    with _readable(document):
        try:
            made = prepared(document, spec, means, Reading.STRICT)
        except PdfStrictReadError:
            made = prepared(document, spec, means, Reading.LENIENT)
        pieces = (Span(0, made.size), made.tail)
        require_unchanged(document, assembled(document, pieces, None, None), spec.password)
        return made


def finish(made: Prepared, contents: bytes, value: bytes) -> Draft:
    """The second half: a CMS over `made.imprint` in its place; `value` is the signature in it. TooLarge where it does not fit.

    Pure: what is in `contents` the verifier tells. Higher levels than B-T are `extend`'s.
    """
    return Draft((Span(0, made.size), finished(made, contents)), value, warnings=made.warnings)


def seal_elsewhere(document: Document, spec: Spec, means: Means, sign: Sign, finish: Finish) -> Draft:
    """As `seal`, by a sealer that is told digests alone: `sign` gives the CMS over a byte range, `finish` the document time-stamp. Each may be asked
    twice, when what it gave did not fit at first. Errors as of `seal`, and theirs."""
    with _readable(document):
        try:
            made = sealed_elsewhere(document, spec, means, Reading.STRICT, sign, finish)
        except PdfStrictReadError:
            made = sealed_elsewhere(document, spec, means, Reading.LENIENT, sign, finish)
        require_unchanged(document, assembled(document, made.pieces, None, None), spec.password)
        return made


def extend(document: Document, wanted: Wanted, tools: Tools, detached: Sequence[Document] = ()) -> Draft:  # noqa: ARG001  # a PDF holds its content
    """EN 319 142-1 clauses 5.4 and 6, and annex A for `adbe` signatures: by updates behind the file's end alone. A document time-stamp where a
    signature has none of any kind, then validation data, and the next document time-stamp over them.

    Malformed for what is no PDF or cannot be updated, Unacceptable without its password, Unavailable when token or status is not to be had.
    """
    with _readable(document):
        try:
            made = extended(document, wanted, tools, Reading.STRICT)
        except PdfStrictReadError:
            made = extended(document, wanted, tools, Reading.LENIENT)
        require_unchanged(document, assembled(document, made.pieces, None, None), wanted.password)
        return made


@contextlib.contextmanager
def _readable(document: Document) -> Iterator[None]:
    if document.size is None:
        raise Malformed("only digests of this document are known")
    if document.size > LARGEST:
        raise TooLarge(f"a PDF of at most {LARGEST:,} bytes is sealed, got {document.size:,}: our own verifier reads no larger one")
    with plainly():
        yield
