"""PAdES (EN 319 142-1) by incremental updates: what was there stays byte for byte, earlier signatures with it.

The only module that knows pyHanko, of which it uses the reader, the fields and the incremental writer. The CMS is `eseal.formats.cms`, the
tokens and the status are what the caller's ports give: nothing here opens a connection, and no clock is read.
"""

import contextlib
import io
import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, BinaryIO

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.crypt import AuthStatus
from pyhanko.pdf_utils.crypt.permissions import StandardPermissions
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.misc import PdfError, PdfStrictReadError
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import SigSeedSubFilter, enumerate_sig_fields
from pyhanko.sign.signers.cms_embedder import PdfCMSEmbedder, SigObjSetup
from pyhanko.sign.signers.constants import ESIC_EXTENSION_1
from pyhanko.sign.signers.pdf_byterange import DocumentTimestamp, PdfSignedData, SignatureObject

from eseal.draft import Appended, Draft, Span, assembled
from eseal.extend import Tools, Wanted
from eseal.formats import cms
from eseal.formats.unchanged import require_unchanged
from eseal.levels import NEEDS, Means, digest_for, gathered, joined, later, signing_time, stamped
from eseal.spec import Spec
from trust.algorithms import DIGESTS, hasher
from trust.codecs import asn1, cades, ess
from trust.codecs import cms as codec
from trust.codecs.asn1 import printable
from trust.codecs.signed_data import SignerInfo, ocsp_response, signed_data
from trust.errors import KakuinError, Malformed, TooLarge, Unacceptable
from trust.model import Cert, Crl, Digest, Document, Token
from trust.ports import Stamper, Status

TOKEN_ROOM = 6 << 10
"""Bytes kept free for a token before it is known: several times a P-256 token with its chain. One that is larger costs a second round."""
SLACK = 64
"""Bytes by which the next token of a unit may be longer than the last. What nothing signs (the padding of /Contents) stays short."""
BUFFER = 1 << 16
MAX_FIELDS = 10_000

logging.getLogger("pyhanko").setLevel(logging.CRITICAL)  # it would log strangers' bytes


class _Writer(IncrementalPdfFileWriter):
    """An incremental update that leaves the document's own metadata alone: pyHanko would set its name and the wall clock's time into them."""

    def _update_meta(self) -> None:
        pass


def seal(document: Document, spec: Spec, means: Means) -> Draft:
    """EN 319 142-1 clause 6, levels B-B to B-LTA: one update for the signature, and one for the validation data and the document time-stamp.

    Malformed for what is no PDF or cannot be updated, Unacceptable for one that may not be changed, Unavailable when token or status is
    not to be had.
    """
    if document.size is None:
        raise Malformed("only digests of this document are known")
    with _plainly():
        try:
            made = _sealed(document, spec, means, Reading.STRICT)
        except PdfStrictReadError:
            # Real files of real makers break the format in small ways; an independent reader has the last word.
            made = _sealed(document, spec, means, Reading.LENIENT)
        require_unchanged(document, assembled(document, made.pieces, None, None), spec.password)
        return made


class Reading(Enum):
    """How a PDF is read."""

    STRICT = "strict"
    LENIENT = "lenient"


def extend(document: Document, wanted: Wanted, tools: Tools, detached: Sequence[Document] = ()) -> Draft:  # noqa: ARG001  # a PDF holds its content
    """EN 319 142-1 clauses 5.4 and 6, and annex A for `adbe` signatures: by updates behind the file's end alone. A document time-stamp where a
    signature has none of any kind, then validation data, and the next document time-stamp over them.

    Malformed for what is no PDF or cannot be updated, Unacceptable without its password, Unavailable when token or status is not to be had.
    """
    if document.size is None:
        raise Malformed("only digests of this document are known")
    with _plainly():
        try:
            made = _extended(document, wanted, tools, Reading.STRICT)
        except PdfStrictReadError:
            made = _extended(document, wanted, tools, Reading.LENIENT)
        require_unchanged(document, assembled(document, made.pieces, None, None), wanted.password)
        return made


def _extended(document: Document, wanted: Wanted, tools: Tools, how: Reading) -> Draft:
    size, stamps = document.size or 0, list[Token]()
    with document.open() as base:
        paper = _Paper(base, size, "sha256", wanted.password, how)
        with paper.reading() as reader:
            held = _held(reader, tools)
        if held.unstamped:
            stamps.append(_archive(paper, Status(), tools.stamp, TOKEN_ROOM))
        if wanted.status:
            found = held.needed(tools)
            for token in stamps:
                found = joined(found, tools.material.of_token(token))
            if wanted.archive:
                archive = _archive(paper, found, tools.stamp, TOKEN_ROOM)
                stamps.append(archive)
                needed = tools.material.of_token(archive)
                found = Status() if set(needed.certs) <= set(found.certs) else needed
            with paper.writing() as writer:
                if _hold(writer, found):
                    writer.write_in_place()
        # No update, no line feed either: the file is what it was.
        tail = bytes(paper.tail) if len(paper.tail) > 1 else b""
        return Draft((Span(0, size), tail), b"", tuple(t.der for t in stamps))


@dataclass(frozen=True, slots=True)
class _Held:
    """What the signatures of a PDF are."""

    signers: tuple[SignerInfo, ...]
    tokens: tuple[Token, ...]
    unstamped: bool
    """A signature has neither a time-stamp in it nor a document time-stamp after it."""

    def needed(self, tools: Tools) -> Status:
        leaves = [ess.signer_of(info, tools.material.certs())[0] for info in self.signers]
        if None in leaves:
            raise Unacceptable("the certificate of a signer is not in the PDF: give it with the certificates")
        found = tools.material.of(leaf for leaf in leaves if leaf is not None)
        for token in self.tokens:
            found = joined(found, tools.material.of_token(token))
        return found


def _held(reader: PdfFileReader, tools: Tools) -> _Held:
    """The signatures and document time-stamps, and into the tools' material what they and the /DSS carry."""
    material = tools.material
    signers: list[SignerInfo] = []
    tokens: list[Token] = []
    unstamped: list[int] = []
    """Ends of the byte ranges of signatures without a time-stamp."""
    stamped_to = 0
    _carried(reader, tools)
    for _, value, _ in itertools.islice(enumerate_sig_fields(reader, filled_status=True), MAX_FIELDS):
        signature = value.get_object() if value is not None else None
        contents, covered = _written(signature, "/Contents"), [int(n) for n in _elements(signature, "/ByteRange")]
        if not isinstance(contents, generic.ByteStringObject | generic.TextStringObject) or len(covered) != 4:
            continue
        node = asn1.parse_head(contents.original_bytes if isinstance(contents, generic.TextStringObject) else bytes(contents), asn1.Rules.BER)
        if _entry(signature, "/Type") == "/DocTimeStamp" or _entry(signature, "/SubFilter") == "/ETSI.RFC3161":
            tokens.append(codec.token(node.raw, material.certs()))
            stamped_to = max(stamped_to, covered[2] + covered[3])
            continue
        signed = signed_data(node.raw)
        material.add(signed.certs, signed.crls, signed.ocsps)
        for info in signed.signers:
            values = cades.values(info)
            material.add(values.certs, values.crls, values.ocsps)
            inside = [v.raw for a in info.unsigned_of(cades.SIGNATURE_TIME_STAMP) for v in a.values]
            tokens += [codec.token(der, material.certs()) for der in inside]
            signers.append(info)
            if not inside:
                unstamped.append(covered[2] + covered[3])
    for token in tokens:
        material.add_token(token)
    return _Held(tuple(signers), tuple(tokens), any(end > stamped_to for end in unstamped))


def _written(parent: Any, key: str) -> Any:
    """What stands under a key as it is written: a signature is never encrypted (ISO 32000-1 clause 7.6.1)."""
    if not isinstance(parent, generic.DictionaryObject) or key not in parent:
        return None
    found = parent.raw_get(key, decrypt=generic.EncryptedObjAccess.RAW)
    return found.get_object() if isinstance(found, generic.IndirectObject) else found


def _carried(reader: PdfFileReader, tools: Tools) -> None:
    """The certificates, lists and answers of the /DSS."""
    store = _dictionary(reader.root, "/DSS")
    certs, crls, ocsps = ([d for d in map(_content, _elements(store, entry)) if d] for entry in ("/Certs", "/CRLs", "/OCSPs"))
    tools.material.add(map(Cert, certs), map(Crl, crls), [o for der in ocsps if (o := ocsp_response(der))])


def _sealed(document: Document, spec: Spec, means: Means, how: Reading) -> Draft:
    needs, key, size = NEEDS[spec.level], means.key, document.size or 0
    digest = digest_for(key.algorithm, spec.digest)
    with document.open() as base:
        paper = _Paper(base, size, digest, spec.password, how)
        with paper.reading() as reader:
            warnings = _admit(reader)
        value, token = _sign(paper, spec, means)
        stamps = [token] if token else []
        if token and needs.status:
            found = gathered(key, token, means.status)
            if needs.archive:
                archive = _archive(paper, found, means.stamp, len(token.der) + SLACK)
                stamps.append(archive)
                found = later(archive, found, means.status)
            if found != Status():
                with paper.writing() as writer:
                    _hold(writer, found)
                    writer.write_in_place()
        return Draft((Span(0, size), bytes(paper.tail)), value, tuple(t.der for t in stamps), warnings)


@contextlib.contextmanager
def _plainly() -> Iterator[None]:
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


class _Paper:
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
    def writing(self) -> Iterator[_Writer]:
        """A further update."""
        with self.reading() as reader:
            yield _Writer(reader.stream, prev=reader)

    def imprint(self, start: int, stop: int) -> Digest:
        """Of everything but the bytes `start` to `stop`, which lie in the tail."""
        if self._hash is None:
            self._hash = hasher(self.digest)
            self._base.seek(0)
            while chunk := self._base.read(Document.CHUNK):
                self._hash.update(chunk)
        found = self._hash.copy()
        view = memoryview(self.tail)
        found.update(view[: start - self._size])
        found.update(view[stop - self._size :])
        view.release()
        return Digest(self.digest, found.digest())

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
    entry = reader.decrypt(password)
    if entry.status is AuthStatus.FAILED:
        raise Unacceptable("the password does not open this PDF")
    allowed = StandardPermissions.ALLOW_FORM_FILLING | StandardPermissions.ALLOW_ANNOTS_FORM_FILLING | StandardPermissions.ALLOW_MODIFICATION_GENERIC
    if entry.status is AuthStatus.USER and isinstance(entry.permission_flags, StandardPermissions) and not entry.permission_flags & allowed:
        raise Unacceptable("the password opens this PDF for reading only: sealing it needs its owner's password")


def _admit(reader: PdfFileReader) -> tuple[str, ...]:
    """Whether this document may get a signature (ISO 32000-1 clause 12.8.2); Unacceptable when its signers forbade it. Warnings for people."""
    root = reader.root
    if _dictionary(root, "/Pages") is None:
        raise Malformed("the PDF has no pages")
    certified = _dictionary(_dictionary(root, "/Perms"), "/DocMDP")
    signed = [(certified, None)] if certified is not None else []
    for _, value, field in itertools.islice(enumerate_sig_fields(reader, filled_status=True), MAX_FIELDS):
        signed.append((value.get_object() if value is not None else None, _dictionary(field.get_object(), "/Lock")))
    for signature, lock in signed:
        if _forbids(signature) or _entry(lock, "/P") == 1:
            raise Unacceptable("a signature of the PDF allows no changes after it (DocMDP with P=1): its signer forbade further seals")
    form = _dictionary(root, "/AcroForm")
    warnings = []
    if _entry(form, "/XFA") is not None:
        warnings.append("the PDF has an XFA form: readers that show XFA may show something else than what was sealed")
    if _entry(form, "/NeedAppearances"):
        warnings.append("the PDF asked its readers to draw its form fields anew: sealed, they stay as they are drawn in it")
    return tuple(warnings)


def _entry(parent: Any, key: str) -> Any:
    """What stands under a key, its reference followed; None where there is nothing. (pyHanko's `get` is dict's: it follows none.)"""
    return parent[key] if isinstance(parent, generic.DictionaryObject) and key in parent else None


def _dictionary(parent: Any, key: str) -> Any:
    found = _entry(parent, key)
    return found if isinstance(found, generic.DictionaryObject) else None


def _elements(parent: Any, key: str) -> Iterator[Any]:
    """Of an array under a key, their references followed."""
    found = _entry(parent, key)
    if isinstance(found, generic.ArrayObject):
        yield from (found[index] for index in range(min(len(found), MAX_FIELDS)))


def _forbids(signature: Any) -> bool:
    """Whether a signature dictionary's DocMDP (or FieldMDP, as Acrobat writes it) allows no changes: /P is 1 (its default is 2)."""
    return any(_entry(_dictionary(reference, "/TransformParams"), "/P") == 1 for reference in _elements(signature, "/Reference"))


def _sign(paper: _Paper, spec: Spec, means: Means) -> tuple[bytes, Token | None]:
    """The update with the signature, its value, and the time-stamp over that."""
    key, stamp = means.key, means.stamp if NEEDS[spec.level].stamp else None
    at = signing_time(spec.claims.signing_time, means)
    claims = [cms.commitment_type(spec.claims.commitment)] if spec.claims.commitment is not None else []

    def signed(content: Digest) -> bytes:
        return cms.signed_attributes(content, key, claims)

    def envelope(attributes: bytes, value: bytes, token: bytes | None) -> bytes:
        fields = cms.signer_fields(key, paper.digest, attributes, value)
        stamp_over = [cms.attribute(cms.SIGNATURE_TIME_STAMP, token)] if token is not None else []
        return cms.envelope(paper.digest, fields, cms.certificates(key), unsigned=stamp_over).whole

    made: list[tuple[bytes, Token | None]] = []

    def contents(imprint: Digest) -> bytes:
        value = key.sign(signed(imprint))
        token = stamped(stamp, Digest.of(paper.digest, value)) if stamp else None
        made.append((value, token))
        return envelope(signed(imprint), value, token.der if token else None)

    def placeholder(room: int) -> PdfSignedData:
        return SignatureObject(at, SigSeedSubFilter.PADES, location=spec.claims.location, reason=spec.claims.reason, bytes_reserved=2 * room)

    blank = Digest(paper.digest, bytes(DIGESTS[paper.digest].size))
    longest = bytes(cms.longest_signature(key.algorithm, key.certificate.public_key))
    room = len(envelope(signed(blank), longest, bytes(TOKEN_ROOM) if stamp else None))
    _revise(paper, _Field("Seal", placeholder, contents, room), Status())
    return made[-1]


def _archive(paper: _Paper, found: Status, stamp: Stamper, room: int) -> Token:
    """EN 319 142-1 clause 5.4: the validation data and, over them and all before, a document time-stamp, in one update."""
    made: list[Token] = []

    def contents(imprint: Digest) -> bytes:
        made.append(stamped(stamp, imprint))
        return made[-1].der

    _revise(paper, _Field("Timestamp", lambda room: DocumentTimestamp(bytes_reserved=2 * room), contents, room), found)
    return made[-1]


@dataclass(frozen=True, slots=True)
class _Field:
    """A signature field to be: Seal1, or Timestamp1."""

    stem: str
    placeholder: Callable[[int], PdfSignedData]
    """Its dictionary with so many bytes of /Contents."""
    contents: Callable[[Digest], bytes]
    """What goes there, from the digest of the byte range."""
    room: int
    """Bytes that it will need, as far as is known."""


def _revise(paper: _Paper, field: _Field, found: Status) -> None:
    """One update with a signature field and validation data; made anew with more room when the contents do not fit at first."""
    room, before = field.room, len(paper.tail)
    for _ in range(2):
        data = field.placeholder(room)
        with paper.writing() as writer:
            _hold(writer, found)
            start, stop = _place(writer, field.stem, data)
        made = field.contents(paper.imprint(start, stop))
        if 2 * len(made) <= stop - start - 2:
            paper.fill(start + 1, made.hex().upper().encode())
            return
        room = len(made) + 256  # the next token may be a little longer
        del paper.tail[before:]
    raise Malformed("the signature did not fit into the room that it asked for")


def _place(writer: _Writer, stem: str, data: PdfSignedData) -> tuple[int, int]:
    """Write the update with an invisible field that holds `data`; the offsets between which its /Contents stand, angle brackets included."""
    embedder = PdfCMSEmbedder().write_cms(_field_name(writer, stem), writer)
    next(embedder)
    embedder.send(SigObjSetup(sig_placeholder=data))
    if writer.output_version < (2, 0):
        writer.register_extension(ESIC_EXTENSION_1)  # EN 319 142-1 clause 5.6
        writer.update_root()
    writer.digest_aware_write = True
    writer.write_in_place()
    stream = writer.prev.stream
    start, stop = data.contents.offsets
    data.byte_range.fill_offsets(stream, start, stop, stream.seek(0, io.SEEK_END))
    return int(start), int(stop)


def _field_name(writer: _Writer, stem: str) -> str:
    """The first of Seal1, Seal2, … that is free."""
    taken = {str(_entry(field, "/T")) for field in _elements(_dictionary(writer.root, "/AcroForm"), "/Fields")}
    return next(name for name in (f"{stem}{n}" for n in itertools.count(1)) if name not in taken)


def _hold(writer: _Writer, found: Status) -> bool:
    """EN 319 142-1 clause 5.4.2: certificates, CRLs and OCSP answers into the document's /DSS, beside those that it holds already; whether any are
    new."""
    if found == Status():
        return False
    count = 0
    store = _dictionary(writer.root, "/DSS")
    if store is None:
        store = generic.DictionaryObject()
        writer.root[pdf_name("/DSS")] = writer.add_object(store)
        writer.update_root()
    for entry, objects in (
        ("/Certs", [c.der for c in found.certs]),
        ("/CRLs", [c.der for c in found.crls]),
        ("/OCSPs", [cms.ocsp_response(o) for o in found.ocsps]),
    ):
        there = _entry(store, entry)
        kept = list(there) if isinstance(there, generic.ArrayObject) else []
        held = {_content(item) for item in kept}
        new = [der for der in objects if der not in held]
        count += len(new)
        kept += [writer.add_object(generic.StreamObject(stream_data=der)) for der in new]
        if kept:
            store[pdf_name(entry)] = generic.ArrayObject(kept)
    writer.update_container(store)
    return count > 0


def _content(item: Any) -> bytes | None:
    """Of a stream that the document holds; None where it is broken, which is no reason to refuse a seal."""
    try:
        stream = item.get_object()
        return bytes(stream.data) if isinstance(stream, generic.StreamObject) else None
    except Exception:  # noqa: BLE001  # whatever a broken filter raises
        return None
