"""Raising what is sealed already: document time-stamps and validation data by further updates."""

import itertools
from dataclasses import dataclass
from typing import Any

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import enumerate_sig_fields

from eseal.draft import Draft, Span
from eseal.extend import Tools, Wanted
from eseal.formats.pades.paper import MAX_FIELDS, Paper, Reading, content, dictionary, elements, entry, hold, written
from eseal.formats.pades.sealing import archive_stamp
from eseal.formats.pdf_cms import TOKEN_ROOM
from eseal.levels import joined
from trust.codecs import asn1, cades, ess
from trust.codecs import cms as codec
from trust.codecs.signed_data import SignerInfo, ocsp_response, signed_data
from trust.errors import Unacceptable
from trust.model import Cert, Crl, Document, Token
from trust.ports import Status

_IN_STORE, _IN_VRI = ("/Certs", "/CRLs", "/OCSPs"), ("/Cert", "/CRL", "/OCSP")
MOST_REVISIONS = 100
"""Of a document, whose validation data are looked at: the newest."""


def extended(document: Document, wanted: Wanted, tools: Tools, how: Reading) -> Draft:
    size, stamps = document.size or 0, list[Token]()
    with document.open() as base:
        paper = Paper(base, size, "sha256", wanted.password, how)
        with paper.reading() as reader:
            held = _held(reader, tools)
        if held.unstamped:
            stamps.append(archive_stamp(paper, Status(), tools.stamp, TOKEN_ROOM))
        if wanted.status:
            found = held.needed(tools)
            for token in stamps:
                found = joined(found, tools.material.of_token(token))
            if wanted.archive:
                archive = archive_stamp(paper, found, tools.stamp, TOKEN_ROOM)
                stamps.append(archive)
                needed = tools.material.of_token(archive)
                found = Status() if set(needed.certs) <= set(found.certs) else needed
            with paper.writing() as writer:
                if hold(writer, found):
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
        contents, covered = written(signature, "/Contents"), [int(n) for n in elements(signature, "/ByteRange")]
        if not isinstance(contents, generic.ByteStringObject | generic.TextStringObject) or len(covered) != 4:
            continue
        node = asn1.parse_head(contents.original_bytes if isinstance(contents, generic.TextStringObject) else bytes(contents), asn1.Rules.BER)
        if entry(signature, "/Type") == "/DocTimeStamp" or entry(signature, "/SubFilter") == "/ETSI.RFC3161":
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


def _carried(reader: PdfFileReader, tools: Tools) -> None:
    """The certificates, lists and answers of the /DSS (EN 319 142-1 clause 5.4.2), of its VRI dictionaries, and of the /DSS of earlier revisions:
    who updates a document may leave out what was there."""
    revisions = range(max(0, reader.xrefs.total_revisions - MOST_REVISIONS), reader.xrefs.total_revisions - 1)
    for root in (reader.root, *(_root_of(reader, number) for number in reversed(revisions))):
        store = dictionary(root, "/DSS")
        related = dictionary(store, "/VRI")
        named = list(itertools.islice(related, MAX_FIELDS)) if related is not None else []
        _take(store, _IN_STORE, tools)
        for name in named:
            _take(dictionary(related, name), _IN_VRI, tools)


def _root_of(reader: PdfFileReader, number: int) -> Any:
    """Of an earlier revision; None where that is not whole (the first section of a linearised file is none by itself)."""
    try:
        return reader.get_historical_root(number)
    except Exception:  # noqa: BLE001  # whatever a broken revision raises: what it carried helps nobody
        return None


def _take(holder: Any, names: tuple[str, str, str], tools: Tools) -> None:
    certs, crls, ocsps = ([d for d in map(content, elements(holder, name)) if d] for name in names)
    tools.material.add(map(Cert, certs), map(Crl, crls), [o for der in ocsps if (o := ocsp_response(der))])
