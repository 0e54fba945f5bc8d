"""The document security store: certificates and status that a PDF carries for long-term validation.

ISO 32000-2 clause 12.8.4.3, EN 319 142-1 clause 5.4.

Errors: none; what cannot be read is as good as absent.
"""

import base64
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pikepdf

from trust.codecs.cades import ValidationData
from trust.codecs.signed_data import cert, ocsp_response
from trust.errors import Malformed
from trust.model import Crl
from verifier.formats.pdf.file import reading

MAX_STREAM = 64 << 20
"""Bytes of one decoded stream: the largest public revocation lists are below 40 MB."""
MAX_ITEMS = 20_000
DECODED = frozenset({"/FlateDecode", "/ASCII85Decode", "/ASCIIHexDecode"})
"""Filters that are undone here."""


@dataclass(frozen=True, slots=True)
class Store:
    """A /DSS dictionary as it stood in one revision."""

    data: ValidationData = field(default_factory=ValidationData)
    stamps: tuple[tuple[str, bytes], ...] = ()
    """Tokens of VRI dictionaries (/TS), with the upper-case hexadecimal SHA-1 of the signature contents that names each dictionary."""
    present: bool = False


def store(pdf: pikepdf.Pdf) -> Store:
    """What the /DSS of this revision holds, VRI included."""
    root = pdf.Root.get("/DSS")
    if not isinstance(root, pikepdf.Dictionary):
        return Store()
    certs, crls, ocsps = (list(_streams(root.get(key))) for key in ("/Certs", "/CRLs", "/OCSPs"))
    stamps = []
    vri = root.get("/VRI")
    for name, entry in vri.items() if isinstance(vri, pikepdf.Dictionary) else ():
        if isinstance(entry, pikepdf.Dictionary):
            certs += _streams(entry.get("/Cert"))
            crls += _streams(entry.get("/CRL"))
            ocsps += _streams(entry.get("/OCSP"))
            token = _stream(entry.get("/TS"))
            if token is not None:
                stamps.append((name[1:].upper(), token))
    data = ValidationData(
        tuple(dict.fromkeys(cert(der) for der in certs)),
        tuple(dict.fromkeys(Crl(der) for der in crls)),
        tuple(dict.fromkeys(found for der in ocsps if (found := ocsp_response(der)))),
    )
    return Store(data, tuple(stamps), present=True)


def _streams(items: Any) -> Iterator[bytes]:
    """The streams of an array, or the one that stands where an array should."""
    if isinstance(items, pikepdf.Array):
        for position, item in enumerate(items):
            if position >= MAX_ITEMS:
                return
            found = _stream(item)
            if found is not None:
                yield found
    elif (found := _stream(items)) is not None:
        yield found


def _stream(item: Any) -> bytes | None:
    if not isinstance(item, pikepdf.Stream):
        return None
    try:
        data = decoded(item, MAX_STREAM)
    except Malformed:
        return None
    return data or None


def decoded(stream: Any, limit: int) -> bytes:
    """A stream's data, plain, /FlateDecode or as text around it, within a limit that holds before memory is spent. Malformed for anything else."""
    with reading("a stream is broken"):
        filters = stream.get("/Filter")
        names = [str(f) for f in filters] if isinstance(filters, pikepdf.Array) else [] if filters is None else [str(filters)]
        raw = stream.read_raw_bytes()
        if names and "/DecodeParms" in stream:
            raise Malformed("PDF stream is encoded in a way that is not expected here")
        for name in names:
            raw = _unfiltered(name, raw, limit)
    if len(raw) > limit:
        raise Malformed(f"PDF stream is over {limit} bytes")
    return bytes(raw)


def _unfiltered(name: str, raw: bytes, limit: int) -> bytes:
    if name == "/FlateDecode":
        return zlib.decompressobj().decompress(raw, limit + 1)
    if name == "/ASCII85Decode" and len(raw) <= 2 * limit:
        return base64.a85decode(raw.strip().removesuffix(b"~>"), ignorechars=b" \t\n\r\f\v\0")
    if name == "/ASCIIHexDecode" and len(raw) <= 4 * limit:
        digits = b"".join(raw.strip().removesuffix(b">").split())
        return bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode("ascii"))
    raise Malformed("PDF stream is encoded in a way that is not expected here")
