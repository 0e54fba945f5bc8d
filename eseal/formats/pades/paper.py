"""A PDF and the updates behind it, through pyHanko's reader and incremental writer; what stands in it, its references followed."""

import contextlib
import io
import logging
from collections.abc import Iterator
from enum import Enum
from typing import Any, BinaryIO

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.crypt import AuthStatus
from pyhanko.pdf_utils.crypt.permissions import StandardPermissions
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.pdf_utils.reader import PdfFileReader

from eseal.draft import Appended
from eseal.formats import cms
from trust.algorithms import hasher
from trust.codecs.asn1 import printable
from trust.errors import KakuinError, Malformed, TooLarge, Unacceptable
from trust.model import Digest, Document
from trust.ports import Status

BUFFER = 1 << 16
MAX_FIELDS = 10_000

logging.getLogger("pyhanko").setLevel(logging.CRITICAL)  # it would log strangers' bytes


class Reading(Enum):
    """How a PDF is read."""

    STRICT = "strict"
    LENIENT = "lenient"


class Writer(IncrementalPdfFileWriter):
    """An incremental update that leaves the document's own metadata alone: pyHanko would set its name and the wall clock's time into them."""

    def _update_meta(self) -> None:
        pass


class Paper:
    """The document and the updates behind it. The document's own bytes are hashed once, however many updates are signed."""

    def __init__(self, base: BinaryIO, size: int, digest: str, password: str | None, how: Reading) -> None:
        self.digest = digest
        self._base, self._size, self._password, self._how = base, size, password, how
        self._appended = Appended(base, size)
        self._hash: Any = None
        base.seek(size - 1)
        if base.read(1) not in (b"\n", b"\r"):
            self.fill(size, b"\n")  # or the first new object would stand in the comment that %%EOF is

    @property
    def tail(self) -> bytearray:
        return self._appended.tail

    @contextlib.contextmanager
    def reading(self) -> Iterator[PdfFileReader]:
        """The newest revision."""
        stream = io.BufferedRandom(self._appended, BUFFER)
        try:
            reader = PdfFileReader(stream, strict=self._how is Reading.STRICT)
            _unlock(reader, self._password)
            yield reader
        finally:
            stream.detach()

    @contextlib.contextmanager
    def writing(self) -> Iterator[Writer]:
        """A further update."""
        with self.reading() as reader:
            yield Writer(reader.stream, prev=reader)

    def imprint(self, start: int, stop: int) -> Digest:
        """Of everything but the bytes `start` to `stop`, which lie in the tail."""
        if self._hash is None:
            self._hash = hasher(self.digest)
            self._base.seek(0)
            while chunk := self._base.read(Document.CHUNK):
                self._hash.update(chunk)
        return self._without(self._hash.copy(), self.digest, start, stop)

    def imprint_by(self, digest: str, start: int, stop: int) -> Digest:
        """The same by another digest, for which the document is read once more."""
        if digest == self.digest:
            return self.imprint(start, stop)
        found = hasher(digest)
        self._base.seek(0)
        while chunk := self._base.read(Document.CHUNK):
            found.update(chunk)
        return self._without(found, digest, start, stop)

    def _without(self, running: Any, digest: str, start: int, stop: int) -> Digest:
        view = memoryview(self.tail)
        running.update(view[: start - self._size])
        running.update(view[stop - self._size :])
        view.release()
        return Digest(digest, running.digest())

    def fill(self, at: int, data: bytes) -> None:
        self.tail[at - self._size : at - self._size + len(data)] = data


def _unlock(reader: PdfFileReader, password: str | None) -> None:
    if not reader.encrypted:
        if password is not None:
            raise Unacceptable("a password was given, and the PDF is not encrypted")
        return
    if password is None:
        raise Unacceptable("the PDF is encrypted: sealing it needs its password")
    if reader.security_handler.pdf_mac_enabled:
        raise Unacceptable("the PDF is protected by an integrity code of its own (ISO/TS 32004), which a seal would break")
    opened = reader.decrypt(password)
    if opened.status is AuthStatus.FAILED:
        raise Unacceptable("the password does not open this PDF")
    allowed = StandardPermissions.ALLOW_FORM_FILLING | StandardPermissions.ALLOW_ANNOTS_FORM_FILLING | StandardPermissions.ALLOW_MODIFICATION_GENERIC
    if opened.status is AuthStatus.USER and isinstance(opened.permission_flags, StandardPermissions) and not opened.permission_flags & allowed:
        raise Unacceptable("the password opens this PDF for reading only: sealing it needs its owner's password")


@contextlib.contextmanager
def plainly() -> Iterator[None]:
    """pyHanko answers a stranger's file with any exception there is (PdfReadError, ValueError, zlib.error, AttributeError, …): here it is one of
    ours, in one line."""
    try:
        yield
    except (KakuinError, MemoryError):
        raise
    except RecursionError as error:
        raise TooLarge("the PDF is nested too deeply") from error
    except PdfError as error:
        raise Malformed(f"the PDF cannot be updated: {printable(str(error), 160).rstrip('.').lower()}") from error
    except Exception as error:
        raise Malformed(f"the PDF cannot be updated: it breaks its format ({type(error).__name__})") from error


def entry(parent: Any, key: str) -> Any:
    """What stands under a key, its reference followed; None where there is nothing. (pyHanko's `get` is dict's: it follows none.)"""
    return parent[key] if isinstance(parent, generic.DictionaryObject) and key in parent else None


def dictionary(parent: Any, key: str) -> Any:
    found = entry(parent, key)
    return found if isinstance(found, generic.DictionaryObject) else None


def elements(parent: Any, key: str) -> Iterator[Any]:
    """Of an array under a key, their references followed."""
    found = entry(parent, key)
    if isinstance(found, generic.ArrayObject):
        yield from (found[index] for index in range(min(len(found), MAX_FIELDS)))


def written(parent: Any, key: str) -> Any:
    """What stands under a key as it is written: a signature is never encrypted (ISO 32000-1 clause 7.6.1)."""
    if not isinstance(parent, generic.DictionaryObject) or key not in parent:
        return None
    found = parent.raw_get(key, decrypt=generic.EncryptedObjAccess.RAW)
    return found.get_object() if isinstance(found, generic.IndirectObject) else found


def hold(writer: Writer, found: Status) -> bool:
    """EN 319 142-1 clause 5.4.2: certificates, CRLs and OCSP answers into the document's /DSS, beside those that it holds already; whether any are
    new."""
    if found == Status():
        return False
    count = 0
    store = dictionary(writer.root, "/DSS")
    if store is None:
        store = generic.DictionaryObject()
        writer.root[pdf_name("/DSS")] = writer.add_object(store)
        writer.update_root()
    for name, objects in (
        ("/Certs", [c.der for c in found.certs]),
        ("/CRLs", [c.der for c in found.crls]),
        ("/OCSPs", [cms.ocsp_response(o) for o in found.ocsps]),
    ):
        there = entry(store, name)
        kept = list(there) if isinstance(there, generic.ArrayObject) else []
        held = {content(item) for item in kept}
        new = [der for der in objects if der not in held]
        count += len(new)
        kept += [writer.add_object(generic.StreamObject(stream_data=der)) for der in new]
        if kept:
            store[pdf_name(name)] = generic.ArrayObject(kept)
    writer.update_container(store)
    return count > 0


def content(item: Any) -> bytes | None:
    """Of a stream that the document holds; None where it is broken, which is no reason to refuse a seal."""
    try:
        stream = item.get_object()
        return bytes(stream.data) if isinstance(stream, generic.StreamObject) else None
    except Exception:  # noqa: BLE001  # whatever a broken filter raises
        return None
