"""The signature and the document time-stamp, each as an update of its own."""

import io
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import SigSeedSubFilter, enumerate_sig_fields
from pyhanko.sign.signers.cms_embedder import PdfCMSEmbedder, SigObjSetup
from pyhanko.sign.signers.constants import ESIC_EXTENSION_1
from pyhanko.sign.signers.pdf_byterange import DocumentTimestamp, PdfSignedData, SignatureObject

from eseal.draft import Draft, Span
from eseal.formats import pdf_cms
from eseal.formats.pades.fields import field_name
from eseal.formats.pades.paper import MAX_FIELDS, Paper, Reading, Writer, dictionary, elements, entry, hold
from eseal.formats.pades.plan import Plan, planned
from eseal.formats.pdf_cms import SLACK, Made
from eseal.levels import NEEDS, Means, digest_for, gathered, joined, later, signing_time, stamped
from eseal.spec import Spec
from trust.errors import Malformed, TooLarge, Unacceptable
from trust.model import Digest, Document, Token
from trust.ports import Stamper, Status


def sealed(document: Document, spec: Spec, means: Means, how: Reading) -> Draft:
    needs, key, size = NEEDS[spec.level], means.key, document.size or 0
    digest = digest_for(key.algorithm, spec.digest)
    with document.open() as base:
        paper = Paper(base, size, digest, spec.password, how)
        with paper.reading() as reader:
            warnings = admit(reader)
            plan = planned(reader, document, spec, means, digest)
        made = _sign(paper, spec, means, plan)
        token, before, stamps = made.token, made.before, list(made.stamps)
        if token and needs.status:
            found = gathered(key, token, means.status)
            if before is not None:
                found = joined(found, later(before, found, means.status))
            if needs.archive:
                archive = archive_stamp(paper, found, means.stamp, len(token.der) + SLACK)
                stamps.append(archive)
                found = later(archive, found, means.status)
            if found != Status():
                with paper.writing() as writer:
                    hold(writer, found)
                    writer.write_in_place()
        return Draft((Span(0, size), bytes(paper.tail)), made.value, tuple(t.der for t in stamps), warnings)


def admit(reader: PdfFileReader) -> tuple[str, ...]:
    """Whether this document may get a signature (ISO 32000-1 clause 12.8.2); Unacceptable when its signers forbade it. Warnings for people."""
    root = reader.root
    if dictionary(root, "/Pages") is None:
        raise Malformed("the PDF has no pages")
    certified = dictionary(dictionary(root, "/Perms"), "/DocMDP")
    signed = [(certified, None)] if certified is not None else []
    for _, value, field in itertools.islice(enumerate_sig_fields(reader, filled_status=True), MAX_FIELDS):
        signed.append((value.get_object() if value is not None else None, dictionary(field.get_object(), "/Lock")))
    for signature, lock in signed:
        if _forbids(signature) or entry(lock, "/P") == 1:
            raise Unacceptable("a signature of the PDF allows no changes after it (DocMDP with P=1): its signer forbade further seals")
    form = dictionary(root, "/AcroForm")
    warnings = []
    if entry(form, "/XFA") is not None:
        warnings.append("the PDF has an XFA form: readers that show XFA may show something else than what was sealed")
    if entry(form, "/NeedAppearances"):
        warnings.append("the PDF asked its readers to draw its form fields anew: sealed, they stay as they are drawn in it")
    return tuple(warnings)


def _forbids(signature: Any) -> bool:
    """Whether a signature dictionary's DocMDP (or FieldMDP, as Acrobat writes it) allows no changes: /P is 1 (its default is 2)."""
    return any(entry(dictionary(reference, "/TransformParams"), "/P") == 1 for reference in elements(signature, "/Reference"))


@dataclass(frozen=True, slots=True)
class Prepared:
    """A PDF with room for a signature: what is to be signed, and all that it takes to put the signature in."""

    size: int
    """Bytes of the document as it was given: `tail` comes behind them."""
    tail: bytes
    start: int
    stop: int
    """Where /Contents stand in the whole, angle brackets included."""
    imprint: Digest
    """Of the byte range: of everything else."""
    warnings: tuple[str, ...] = ()

    @property
    def room(self) -> int:
        """Bytes that fit."""
        return (self.stop - self.start - 2) // 2


def prepared(document: Document, spec: Spec, means: Means, how: Reading) -> Prepared:
    """ISO 32000-1 clause 12.8.1: the update with everything but the signature. Of `means` the time and the certificate are used, never the key."""
    size, digest = document.size or 0, digest_for(means.key.algorithm, spec.digest)
    with document.open() as base:
        paper = Paper(base, size, digest, spec.password, how)
        with paper.reading() as reader:
            warnings = admit(reader)
            plan = planned(reader, document, spec, means, digest)
        field = signature_field(spec, means, plan, lambda _: b"")
        with paper.writing() as writer:
            start, stop = reserve(writer, plan, field.placeholder(field.room))
        return Prepared(size, bytes(paper.tail), start, stop, paper.imprint(start, stop), warnings)


def finished(made: Prepared, contents: bytes) -> bytes:
    """The tail with a CMS over `made.imprint` in it. TooLarge where it does not fit."""
    if len(contents) > made.room:
        raise TooLarge(f"the signature has {len(contents)} bytes, and {made.room} were kept free")
    at = made.start + 1 - made.size
    digits = contents.hex().upper().encode()
    return made.tail[:at] + digits + made.tail[at + len(digits) :]


def _sign(paper: Paper, spec: Spec, means: Means, plan: Plan) -> Made:
    """The update with the signature."""
    made: list[Made] = []

    def contents(imprint: Digest) -> bytes:
        made.append(pdf_cms.made(imprint, spec, means))
        return made[-1].contents

    revise(paper, signature_field(spec, means, plan, contents), Status())
    return made[-1]


def signature_field(spec: Spec, means: Means, plan: Plan, contents: Callable[[Digest], bytes]) -> "Field":
    """The field of a signature (EN 319 142-1 clause 6.3: time, place and reason stand in the PDF), with room for what pdf_cms makes."""
    at = signing_time(spec.claims.signing_time, means)

    def placeholder(room: int) -> PdfSignedData:
        return SignatureObject(at, SigSeedSubFilter.PADES, location=spec.claims.location, reason=spec.claims.reason, bytes_reserved=2 * room)

    return Field(plan, placeholder, contents, pdf_cms.room(spec, means.key))


def archive_stamp(paper: Paper, found: Status, stamp: Stamper, room: int) -> Token:
    """EN 319 142-1 clause 5.4: the validation data and, over them and all before, a document time-stamp, in one update."""
    made: list[Token] = []

    def contents(imprint: Digest) -> bytes:
        made.append(stamped(stamp, imprint))
        return made[-1].der

    revise(paper, Field(None, lambda room: DocumentTimestamp(bytes_reserved=2 * room), contents, room), found)
    return made[-1]


@dataclass(frozen=True, slots=True)
class Field:
    """A signature to be, and its field."""

    plan: Plan | None
    """None: the field of a document time-stamp, Timestamp1, which nobody sees."""
    placeholder: Callable[[int], PdfSignedData]
    """Its dictionary with so many bytes of /Contents."""
    contents: Callable[[Digest], bytes]
    """What goes there, from the digest of the byte range."""
    room: int
    """Bytes that it will need, as far as is known."""


def revise(paper: Paper, field: Field, found: Status) -> None:
    """One update with a signature field and validation data; made anew with more room when the contents do not fit at first."""
    room, before = field.room, len(paper.tail)
    for _ in range(2):
        data = field.placeholder(room)
        with paper.writing() as writer:
            hold(writer, found)
            start, stop = reserve(writer, field.plan, data)
        made = field.contents(paper.imprint(start, stop))
        if 2 * len(made) <= stop - start - 2:
            paper.fill(start + 1, made.hex().upper().encode())
            return
        room = len(made) + 256  # the next token may be a little longer
        del paper.tail[before:]
    raise Malformed("the signature did not fit into the room that it asked for")


def reserve(writer: Writer, plan: Plan | None, data: PdfSignedData) -> tuple[int, int]:
    """Write the update with a field that holds `data`; the offsets between which its /Contents stand, angle brackets included."""
    if plan is None:
        embedder = PdfCMSEmbedder().write_cms(field_name(writer.root, "Timestamp"), writer)
        next(embedder)
        embedder.send(SigObjSetup(sig_placeholder=data))
    else:
        plan.put(writer, data)
    if writer.output_version < (2, 0):
        writer.register_extension(ESIC_EXTENSION_1)  # EN 319 142-1 clause 5.6
        writer.update_root()
    writer.digest_aware_write = True
    writer.write_in_place()
    stream = writer.prev.stream
    start, stop = data.contents.offsets
    data.byte_range.fill_offsets(stream, start, stop, stream.seek(0, io.SEEK_END))
    return int(start), int(stop)
