"""One door for all formats: bytes to Evidence. The format is recognised from the bytes, never from the name.

The readers stand in the order of READERS; the first that claims the first bytes reads the whole. A new format is one more line there, and one in
`cli.CONFINED`. A reader is imported when a file may be its own: whoever verifies one PDF does not wait for the libraries of XML.
What is no signature at all is Evidence without one. A signature that breaks its format is Evidence of that. Errors: Malformed for a file that
cannot be read and holds no sign of a signature, TooLarge (which says the limit), Locked for one that takes a password, nothing else.
"""

import functools
import importlib
from collections.abc import Iterable, Sequence
from types import MappingProxyType
from typing import cast

from trust.errors import KakuinError, Locked, Malformed, TooLarge
from trust.model import Cert, Defect, Document, Evidence
from verifier.conclusion import UNREADABLE
from verifier.formats import Reader

HEAD = 4096
"""Bytes that a reader may look at before it claims a document."""

READERS = ("pades", "ers", "tst", "cades", "xades", "asic", "jades", "cose")
"""Modules of verifier.formats, in the order of asking: an evidence record holds a time-stamp token near its beginning, a token is also a CMS, an XML
record is also XML."""

NEEDS = MappingProxyType({"pades": b"%PDF-", "xades": b"<", "asic": b"PK"})
"""Readers whose libraries are large, and bytes without which they claim nothing: only then they are asked."""

WHOLLY_SIGNATURES = ("ers", "cades", "cose")
"""Readers that claim nothing but signatures, stamps and records."""

MARKS: tuple[tuple[str, bytes], ...] = (
    ("pades", b"/ByteRange"),
    ("xades", b"http://www.w3.org/2000/09/xmldsig#"),
    ("asic", b"META-INF/"),
    ("cades", bytes.fromhex("06092a864886f70d010702a0")),
    ("tst", bytes.fromhex("060b2a864886f70d0109100104")),
)
"""Bytes that a signed file of the format holds, damaged or not: an entry of a PDF signature, a namespace, a folder, types of content."""


def read(document: Document, detached: Sequence[Document] = (), certs: Iterable[Cert] = ()) -> Evidence:
    """Everything that a document says for itself: its signatures, stamps and validation data.

    `detached` is the content that stands apart from its signature; `certs` are certificates given beside it: candidates for signers whose
    certificate the document does not carry, never trusted for that. A document without signatures is Evidence that holds none.
    """
    if document.size == 0:
        raise Malformed("file is empty")
    head = document.head(HEAD)
    if not head:
        raise Malformed("file is empty")
    given = tuple(certs)
    _refuse_request(head)
    reader = next((r for r in READERS if NEEDS.get(r, b"") in head and reader_of(r).claims(head)), None) or _marked(document)
    if reader is None:
        return Evidence("unsigned")
    try:
        return _guarded(reader_of(reader), document, detached, given)
    except Malformed as error:
        if not _is_signature(reader, document):
            raise
        return Evidence(UNREADABLE, defects=(Defect("EN 319 102-1 5.2.2", str(error)),))


def _refuse_request(head: bytes) -> None:
    """What asks for a time-stamp is neither signed nor a failed signature."""
    if head[:1] == b"\x30":
        from verifier.formats.tst import is_request

        if is_request(head):
            why = "it asks an authority for a time-stamp and proves nothing; verify the authority's answer, with the document beside it"
            raise Malformed(f"file is a time-stamp request (RFC 3161 TimeStampReq): {why}")


@functools.cache
def reader_of(name: str) -> Reader:
    """The module of that name in READERS."""
    return cast("Reader", importlib.import_module(f"verifier.formats.{name}"))


def _marked(document: Document) -> str | None:
    """The reader of what a damaged beginning hides: a file whose first bytes were changed was signed all the same."""
    return next((reader for reader, mark in MARKS if _holds(document, mark)), None)


def _is_signature(reader: str, document: Document) -> bool:
    """Whether what cannot be read is a signature, or holds one: then its format failed, and that is a verdict and no error."""
    marks = [mark for marked, mark in MARKS if marked == reader]
    return reader in WHOLLY_SIGNATURES or any(_holds(document, mark) for mark in marks)


def _holds(document: Document, mark: bytes) -> bool:
    before = b""
    for chunk in document.chunks():
        if mark in before + chunk:
            return True
        before = chunk[-len(mark) :]
    return False


def _guarded(reader: Reader, document: Document, detached: Sequence[Document], certs: tuple[Cert, ...]) -> Evidence:
    """A reader's errors, narrowed: what this installation cannot compute is as unreadable as what nobody can."""
    try:
        return reader.read(document, detached, certs)
    except (Malformed, TooLarge, Locked):
        raise
    except KakuinError as error:
        raise Malformed(str(error)) from error
    except RecursionError as error:
        raise Malformed("document is nested too deeply") from error
