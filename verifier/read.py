"""One door for all formats: bytes to Evidence. The format is recognised from the bytes, never from the name.

The readers stand in the order of READERS; the first that claims the first bytes reads the whole. A new format is one more line there.
Errors: Malformed (and TooLarge, which says the limit), nothing else.
"""

from collections.abc import Iterable, Sequence

from trust.errors import KakuinError, Malformed, TooLarge
from trust.model import Cert, Document, Evidence
from verifier.formats import Reader, asic, cades, cose, ers, jades, pades, tst, xades

HEAD = 4096
"""Bytes that a reader may look at before it claims a document."""

READERS: tuple[Reader, ...] = (pades, ers, tst, cades, xades, asic, jades, cose)
"""In the order of asking: an evidence record holds a time-stamp token near its beginning, a token is also a CMS, an XML record is also XML."""


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
    for reader in READERS:
        if reader.claims(head):
            return _guarded(reader, document, detached, given)
    return Evidence("unsigned")


def _guarded(reader: Reader, document: Document, detached: Sequence[Document], certs: tuple[Cert, ...]) -> Evidence:
    """A reader's errors, narrowed: what this installation cannot compute is as unreadable as what nobody can."""
    try:
        return reader.read(document, detached, certs)
    except (Malformed, TooLarge):
        raise
    except KakuinError as error:
        raise Malformed(str(error)) from error
    except RecursionError as error:
        raise Malformed("document is nested too deeply") from error
