"""Raising what exists: from its level to a higher one, and the renewal of an archive time-stamp, for seals of ours and signatures of others.

What a signature needs is decided here and in `eseal.extend_material`; a format only knows where to put it. Nothing here has a key: what is added to
a signature is time-stamps, certificates and status, and no byte that a signature or a time-stamp covers is written anew.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from eseal.draft import Draft, Piece
from eseal.extend_material import Known, Material
from eseal.levels import stamped
from eseal.spec import Level
from trust.errors import Unacceptable
from trust.model import Digest, Document, Token
from trust.ports import Stamper, StatusSource

RANK: Mapping[Level, int] = MappingProxyType({level: rank for rank, level in enumerate(Level)})
_DIGESTS = ("sha256", "sha384", "sha512")


class Kind(StrEnum):
    """What is extended, as our own reader names it (`Evidence.kind`)."""

    PDF = "PDF"
    CMS = "CMS"
    XML = "XML"
    JWS = "JWS"
    COSE = "COSE"
    ASIC_S = "ASiC-S"
    ASIC_E = "ASiC-E"
    ODF = "ODF"


MODULES: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.PDF: "eseal.formats.pades",
        Kind.CMS: "eseal.formats.cades_extend",
        Kind.XML: "eseal.formats.xades.extend",
        Kind.JWS: "eseal.formats.jades_extend",
        Kind.COSE: "eseal.formats.cose_extend",
        Kind.ASIC_S: "eseal.formats.asic_extend",
        Kind.ASIC_E: "eseal.formats.asic_extend",
        Kind.ODF: "eseal.formats.asic_extend",
    }
)
"""Each has extend(document, wanted, tools, detached) -> Draft."""

MEDIA_TYPE: Mapping[Kind, tuple[str, str]] = MappingProxyType(
    {
        Kind.PDF: ("application/pdf", ".pdf"),
        Kind.CMS: ("application/pkcs7-signature", ".p7s"),
        Kind.XML: ("application/xml", ".xml"),
        Kind.JWS: ("application/jose+json", ".json"),
        Kind.COSE: ("application/cose", ".cose"),
        Kind.ASIC_S: ("application/vnd.etsi.asic-s+zip", ".asics"),
        Kind.ASIC_E: ("application/vnd.etsi.asic-e+zip", ".asice"),
        Kind.ODF: ("application/vnd.oasis.opendocument.text", ".odt"),
    }
)
"""Media type of the result, and its ending where the document had no name."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One extension, as it was asked for."""

    level: Level
    password: str | None = field(default=None, repr=False)
    """Of an encrypted PDF."""

    def __post_init__(self) -> None:
        if self.level is Level.B_B:
            raise Unacceptable("a signature is extended to B-T, B-LT or B-LTA, got B-B")

    @property
    def status(self) -> bool:
        return RANK[self.level] >= RANK[Level.B_LT]

    @property
    def archive(self) -> bool:
        return self.level is Level.B_LTA


@dataclass(frozen=True, slots=True)
class Tools:
    """What an extension is made with: the effects, and the moment."""

    stamp: Stamper
    material: Material
    now: datetime

    def stamped(self, imprint: Digest) -> Token:
        """A token over `imprint`, held against it. Unavailable when there is none."""
        return stamped(self.stamp, imprint)


def digest_of(*used: str | None) -> str:
    """The digest of a new time-stamp: that of the signature where it is one of SHA-2, else SHA-256; never an older one again."""
    return next((name for name in used if name in _DIGESTS), "sha256")


@dataclass(frozen=True, slots=True)
class Extended:
    """What a format makes, before the pieces are put into a Draft."""

    pieces: tuple[Piece, ...]
    stamps: tuple[Token, ...]
    warnings: tuple[str, ...] = ()

    def draft(self) -> Draft:
        return Draft(self.pieces, b"", tuple(t.der for t in self.stamps), self.warnings)


def draft(
    document: Document,
    kind: Kind,
    wanted: Wanted,
    known: Known,
    now: datetime,
    *detached: Document,
    stamp: Stamper,
    status: StatusSource,
) -> Draft:
    """The document at the level that is `wanted`; neither checked nor recorded. For the confined process: it parses a stranger's file.

    `detached` is the content that stands apart. Unacceptable where the format has no such level or place, Unavailable when the authority gives no
    token or there is no status for a certificate. Other errors are the format's.
    """
    extend: Callable[[Document, Wanted, Tools, Sequence[Document]], Draft] = importlib.import_module(MODULES[kind]).extend
    return extend(document, wanted, Tools(stamp, Material(known, status), now), detached)
