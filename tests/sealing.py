"""What the sealer's tests share: means to seal with, and a reading of what was made that shares no code with what made it (asn1crypto, qpdf)."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pikepdf
from asn1crypto import cms, tsp

from eseal.draft import Draft, assembled
from eseal.levels import Means
from tests.pki import SIGNED, Party, Pki, stamper
from trust.algorithms import verify
from trust.codecs import asn1
from trust.model import Cert, Crl, Digest, Document
from trust.ports import Status

CSV = "日付,金額\r\n2025-03-01,300\r\n".encode()


_LISTS: dict[bytes, tuple[Crl, ...]] = {}


def lists(pki: Pki) -> tuple[Crl, ...]:
    """Of the day; the same ones each time."""
    return _LISTS.setdefault(pki.root.certificate.der, pki.crls(SIGNED))


def means(pki: Pki, party: Party | None = None, now: datetime = SIGNED, **changes: Any) -> Means:
    """Everything sound: a stamp a moment after `now`, lists of the day."""
    given = {"key": party or pki.signer, "stamp": stamper(pki.tsu), "status": lambda _: Status(crls=lists(pki)), "now": now}
    return Means(**{**given, **changes})


def blank_pdf(**save: Any) -> bytes:
    paper = pikepdf.new()
    paper.add_blank_page()
    paper.add_blank_page()
    made = io.BytesIO()
    paper.save(made, **save)
    return made.getvalue()


def whole(document: Document, draft: Draft) -> bytes:
    return assembled(document, draft.pieces, None, None).read(1 << 30)


@dataclass(frozen=True)
class Opened:
    """A CMS, checked by hand."""

    info: Any
    content: bytes | None
    certs: tuple[Cert, ...]
    signed: dict[str, Any]
    unsigned: dict[str, Any]

    @property
    def signer(self) -> Cert:
        sid = self.info["sid"].chosen
        return next(c for c in self.certs if c.asn1.serial_number == sid["serial_number"].native and c.asn1.issuer == sid["issuer"])

    def check(self, party: Party, content: bytes) -> None:
        """RFC 5652 section 5.6: the digest is the content's, and the key signed the attributes."""
        digest = self.info["digest_algorithm"]["algorithm"].native
        assert self.signer == party.certificate
        assert self.signed["message_digest"] == Digest.of(digest, content).value
        encoded = self.info["signed_attrs"].dump()
        attributes = b"\x31" + encoded[1:]
        assert cms.CMSAttributes.load(attributes, strict=True).dump() == attributes
        assert list(self.info["signed_attrs"]) and _sorted(attributes)
        public = party.certificate.public_key
        assert public is not None
        assert verify(public, party.algorithm, self.info["signature"].native, attributes)
        assert not verify(public, party.algorithm, self.info["signature"].native, attributes + b"\0")


def _sorted(attributes: bytes) -> bool:
    """X.690 clause 11.6, over the encodings as they stand."""
    found = [a.dump() for a in cms.CMSAttributes.load(attributes)]
    return found == sorted(found)


def opened(der: bytes) -> Opened:
    """Strict: nothing before or after."""
    data = cms.ContentInfo.load(der, strict=True)["content"]
    [info] = data["signer_infos"]
    content = data["encap_content_info"]["content"].native
    certs = tuple(Cert(c.chosen.dump()) for c in data["certificates"])
    return Opened(info, content, certs, _attributes(info["signed_attrs"]), _attributes(info["unsigned_attrs"]))


def _attributes(found: Any) -> dict[str, Any]:
    if not found:
        return {}
    names = [a["type"].native for a in found]
    assert len(names) == len(set(names))
    assert all(len(a["values"]) == 1 for a in found)
    # Kinds that it has no name for (an archive time-stamp) stay bytes.
    return {a["type"].native: a["values"][0].dump() if "." in a["type"].native else a["values"][0].native for a in found}


def imprint(token: bytes) -> Digest:
    """Of a TimeStampToken."""
    info = cms.ContentInfo.load(token)["content"]["encap_content_info"]["content"].parsed
    assert isinstance(info, tsp.TSTInfo)
    found = info["message_imprint"]
    return Digest(found["hash_algorithm"]["algorithm"].native, found["hashed_message"].native)


@dataclass(frozen=True)
class Field:
    """A signature in a PDF, as qpdf reads it."""

    name: str
    kind: str
    contents: bytes
    covered: bytes
    dictionary: Any
    paper: pikepdf.Pdf
    """Keeps the dictionary alive."""


def fields(data: bytes) -> list[Field]:
    """In the order of the form, each with the bytes that its range covers."""
    paper = pikepdf.open(io.BytesIO(data))
    found = []
    for field in paper.Root.AcroForm.Fields:
        value = field.get("/V")
        if not isinstance(value, pikepdf.Dictionary) or "/ByteRange" not in value or value.ByteRange[0] != 0 or len(bytes(value.Contents)) < 8:
            continue
        a, b, c, d = (int(n) for n in value.ByteRange)
        assert data[b : b + 1] == b"<" and data[c - 1 : c] == b">"
        found.append(Field(str(field.T), str(value.SubFilter), bytes(value.Contents), data[a : a + b] + data[c : c + d], value, paper))
    return found


def der_of(contents: bytes) -> bytes:
    """Without the padding that /Contents has. Not by `dump()` of what asn1crypto loaded: a length that ends in 0x80 looks indefinite to it, and
    it encodes anew."""
    return asn1.parse_head(contents).raw


def store(data: bytes) -> dict[str, list[bytes]]:
    """The document security store."""
    with pikepdf.open(io.BytesIO(data)) as paper:
        held = paper.Root.DSS
        return {key: [bytes(s.read_bytes()) for s in held[key]] for key in ("/Certs", "/CRLs", "/OCSPs") if key in held}


def chain(party: Party) -> Sequence[Cert]:
    return (party.certificate, *party.chain)
