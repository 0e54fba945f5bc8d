"""What a seal shall be: format, level, packaging, digest and claims, as frozen values, and the one table of what exists.

A `Spec` that cannot be met cannot be made: its constructor raises Unacceptable and names what there is instead.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar

from eseal.claims import IMPLIED, LONGEST_TEXT, NOTHING, Claims, Commitment, SignaturePolicy, commitment
from eseal.pdf_seal import PLAIN, PdfSeal
from trust.algorithms import DIGESTS
from trust.errors import Unacceptable

__all__ = [  # noqa: RUF022  # what is made here, then what eseal.claims has
    "Addition",
    "Canonicalization",
    "Components",
    "Format",
    "Level",
    "Mechanism",
    "Packaging",
    "Serialization",
    "Spec",
    "DIGEST_CHOICES",
    "FOR_SEVERAL",
    "MEDIA_TYPE",
    "IN_XML",
    "NO_HIGHER",
    "OFFERED",
    "SEVERAL",
    "choose",
    "default_format",
    "default_packaging",
    "formats",
    "is_json",
    "is_pdf",
    "is_xml",
    "level_named",
    "media_type",
    "packagings",
    "LONGEST_TEXT",
    "Claims",
    "Commitment",
    "SignaturePolicy",
    "commitment",
]


class Format(StrEnum):
    """The envelope of the seal, by the name that every door uses."""

    PADES = "pades"
    CADES = "cades"
    XADES = "xades"
    JADES = "jades"
    ASIC_S_CADES = "asic-s-cades"
    ASIC_S_XADES = "asic-s-xades"
    ASIC_E_CADES = "asic-e-cades"
    ASIC_E_XADES = "asic-e-xades"
    COSE = "cose"


class Level(StrEnum):
    """The baseline levels of EN 319 122-1, 132-1, 142-1 and TS 119 182-1, in rising order."""

    B_B = "B-B"
    """Signed."""
    B_T = "B-T"
    """And time-stamped."""
    B_LT = "B-LT"
    """And with the certificates and status that a verifier needs, inside."""
    B_LTA = "B-LTA"
    """And all of that under an archive time-stamp."""


class Packaging(StrEnum):
    """Where the document is, as seen from the signature."""

    ATTACHED = "attached"
    """The document is inside the signature, or in one container with it."""
    DETACHED = "detached"
    """The signature is a file of its own beside the document."""
    ENVELOPED = "enveloped"
    """The signature is inside the document."""


class Serialization(StrEnum):
    """How a JWS is written (RFC 7515 section 7)."""

    FLATTENED = "flattened"
    """A JSON object with its one signature."""
    GENERAL = "general"
    """A JSON object with a list of signatures."""
    COMPACT = "compact"
    """Three base64url texts with dots between them: fits into a header or a URL, and has no place for a time-stamp."""


class Mechanism(StrEnum):
    """How a JAdES signature refers to a document outside it (ETSI TS 119 182-1 clause 5.2.8)."""

    URI_HASH = "uri-hash"
    """By its name and digest: `sigD`, ObjectIdByURIHash."""
    PAYLOAD = "payload"
    """It is the payload, which is left out (RFC 7515 appendix F, unencoded by RFC 7797)."""
    URI = "uri"
    """By its name, and its bytes are the payload: `sigD`, ObjectIdByURI."""
    HTTP_HEADERS = "http-headers"
    """It is the body of an HTTP message, sealed with fields of its head: `sigD`, HttpHeaders. Each field is a document more, of the field's name."""


class Components(StrEnum):
    """How the unsigned components of a JAdES signature stand in `etsiU` (ETSI TS 119 182-1 clause 5.3.1)."""

    BASE64URL = "base64url"
    """Each as a text, over which an archive time-stamp needs no rule."""
    CLEAR = "clear"
    """Each as a JSON object; archive time-stamps are over its canonical form (RFC 8785)."""


class Addition(StrEnum):
    """What becomes of a document that is a signature or a container already: it stays, and gets one signature more."""

    PARALLEL = "parallel"
    """Beside those that are there, over the same content. Content that stands apart is given as further documents."""
    COUNTERSIGNATURE = "countersignature"
    """Over the signature that is there: its value."""


class Canonicalization(StrEnum):
    """The canonical form that an XML signature signs (XML Signature clause 6.5), without comments."""

    EXCLUSIVE = "exclusive"
    """Exclusive XML Canonicalization 1.0: what is signed does not depend on what stands around it."""
    C14N_1_0 = "1.0"
    """Canonical XML 1.0."""
    C14N_1_1 = "1.1"
    """Canonical XML 1.1: inherited `xml:id` left out, inherited `xml:base` joined."""


_ALL = tuple(Level)
OFFERED: Mapping[tuple[Format, Packaging], tuple[Level, ...]] = MappingProxyType(
    {
        (Format.PADES, Packaging.ENVELOPED): _ALL,
        (Format.CADES, Packaging.DETACHED): _ALL,
        (Format.CADES, Packaging.ATTACHED): _ALL,
        (Format.JADES, Packaging.DETACHED): _ALL,
        (Format.JADES, Packaging.ATTACHED): _ALL,
        (Format.COSE, Packaging.ATTACHED): (Level.B_B, Level.B_T),
        (Format.COSE, Packaging.DETACHED): (Level.B_B, Level.B_T),
        (Format.XADES, Packaging.ENVELOPED): _ALL,
        (Format.XADES, Packaging.DETACHED): _ALL,
        (Format.XADES, Packaging.ATTACHED): _ALL,
        (Format.ASIC_S_CADES, Packaging.ATTACHED): _ALL,
        (Format.ASIC_S_XADES, Packaging.ATTACHED): _ALL,
        (Format.ASIC_E_CADES, Packaging.ATTACHED): _ALL,
        (Format.ASIC_E_XADES, Packaging.ATTACHED): _ALL,
    }
)
"""Format and packaging -> the levels that exist; the first packaging of a format and the highest level are the default."""

NO_HIGHER: Mapping[Format, str] = MappingProxyType(
    {Format.COSE: ": RFC 9921 gives COSE time-stamps, and no standard a place for certificates with their status or for archive time-stamps"}
)
"""Why a format has no higher levels than it is offered at."""

MEDIA_TYPE: Mapping[tuple[Format, Packaging], tuple[str, str]] = MappingProxyType(
    {
        (Format.PADES, Packaging.ENVELOPED): ("application/pdf", ".pdf"),
        (Format.CADES, Packaging.DETACHED): ("application/pkcs7-signature", ".p7s"),
        (Format.CADES, Packaging.ATTACHED): ("application/pkcs7-mime", ".p7m"),
        (Format.JADES, Packaging.DETACHED): ("application/jose+json", ".jades.json"),
        (Format.JADES, Packaging.ATTACHED): ("application/jose+json", ".jades.json"),
        (Format.COSE, Packaging.ATTACHED): ("application/cose", ".cose"),
        (Format.COSE, Packaging.DETACHED): ("application/cose", ".cose"),
        (Format.XADES, Packaging.ENVELOPED): ("application/xml", ".xml"),
        (Format.XADES, Packaging.DETACHED): ("application/xml", ".xades.xml"),
        (Format.XADES, Packaging.ATTACHED): ("application/xml", ".xades.xml"),
        **{(kind, Packaging.ATTACHED): ("application/vnd.etsi.asic-s+zip", ".asics") for kind in (Format.ASIC_S_CADES, Format.ASIC_S_XADES)},
        **{(kind, Packaging.ATTACHED): ("application/vnd.etsi.asic-e+zip", ".asice") for kind in (Format.ASIC_E_CADES, Format.ASIC_E_XADES)},
    }
)
"""Media type of the result (RFC 8551 section 3.2 for CMS), and what its file name ends in."""

_SAID = frozenset({"location", "commitment", "role", "policy", "content_timestamp"})
"""What every format of ETSI has a place for."""
# EN 319 122-1 has no attribute for a free text reason: a commitment type says it in a form that machines read.
_IN_CMS = _SAID | {"mime_type", "description"}
_CLAIMS: Mapping[Format, frozenset[str]] = MappingProxyType(
    {
        # EN 319 142-1 clause 6.3: the PDF itself tells what it is.
        Format.PADES: _SAID | {"reason"},
        Format.CADES: _IN_CMS,
        Format.XADES: _IN_CMS,
        Format.JADES: _SAID | {"mime_type"},
        Format.COSE: frozenset({"content_timestamp", "mime_type"}),
        **dict.fromkeys((Format.ASIC_S_CADES, Format.ASIC_S_XADES, Format.ASIC_E_XADES), _IN_CMS),
        # EN 319 162-1 clause 4.4.3.2: what its CMS is of is a manifest, in which a description of the documents has no place.
        Format.ASIC_E_CADES: _IN_CMS - {"description"},
    }
)

SEVERAL = frozenset({Format.ASIC_E_CADES, Format.ASIC_E_XADES, Format.JADES, Format.XADES})
"""Formats that seal several documents at once."""
ADDED: Mapping[Addition, tuple[Format, ...]] = MappingProxyType(
    {
        Addition.PARALLEL: (Format.CADES, Format.JADES, Format.ASIC_E_CADES, Format.ASIC_E_XADES),
        Addition.COUNTERSIGNATURE: (Format.CADES, Format.XADES, Format.JADES),
    }
)
"""Formats in which a signature is added to what is signed already. PDF and enveloped XAdES need no word for it: their documents are sealed again."""
COUNTERSIGNED = (Level.B_B, Level.B_T)
"""Levels of a countersignature when it is made."""
IN_XML = frozenset({Format.XADES, Format.ASIC_S_XADES, Format.ASIC_E_XADES})
"""Formats whose signatures are XML."""
FOR_SEVERAL = Format.ASIC_E_CADES
"""Where none is named."""

DIGEST_CHOICES = ("sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512")
"""Digests that a caller may ask for. Which of them a key signs with in a format tells `eseal.suite`."""


@dataclass(frozen=True, slots=True)
class Spec:
    """One seal, as it was asked for and as it will be."""

    format: Format
    level: Level
    packaging: Packaging
    digest: str | None = None
    """hashlib's name; None: the one that belongs to the key."""
    claims: Claims = NOTHING
    password: str | None = field(default=None, repr=False)
    """Of an encrypted PDF."""
    serialization: Serialization = Serialization.FLATTENED
    """Of a JWS."""
    mechanism: Mechanism = Mechanism.URI_HASH
    """Of a detached JWS."""
    degrade: Level | None = None
    """The lowest level that will do where the authority or the status service is away; None: the level, or nothing."""
    pdf: PdfSeal = PLAIN
    """Of a PDF: field, look, certification."""
    components: Components = Components.BASE64URL
    """Of a JWS."""
    canonicalization: Canonicalization = Canonicalization.EXCLUSIVE
    """Of an XML signature."""
    addition: Addition | None = None
    """None: the document is sealed anew, whatever it is."""

    def __post_init__(self) -> None:
        levels = OFFERED.get((self.format, self.packaging))
        if levels is None:
            raise Unacceptable(f"{self.format} is {_names(packagings(self.format), 'or')}, got {self.packaging}")
        if self.level not in levels:
            raise Unacceptable(f"{self.format} is made at {_names(levels)}{NO_HIGHER[self.format]}, got {self.level}")
        if self.digest is not None and self.digest not in DIGESTS:
            raise Unacceptable("unknown digest algorithm")
        stated = self.claims.stated
        if excess := stated - _CLAIMS[self.format]:
            there_is = _names(sorted(_CLAIMS[self.format]) or ["none"])
            raise Unacceptable(f"{self.format} has no place for a {_names(sorted(excess))}; it has {there_is}")
        if self.format is Format.PADES and "reason" in stated and (other := stated & {"commitment", "policy"}):
            # EN 319 142-1 clause 6.3, requirement on the Reason entry.
            raise Unacceptable(f"a PDF seal states either a reason or a {min(other)}, not both (EN 319 142-1 clause 6.3)")
        self._check_policy()
        if self.degrade is not None and (self.degrade not in levels or self.degrade not in _ALL[: _ALL.index(self.level)]):
            lower = [level for level in levels if level in _ALL[: _ALL.index(self.level)]]
            raise Unacceptable(
                f"degrade is a level below {self.level}: {_names([str(v) for v in lower] or ['there is none'], 'or')}, got {self.degrade}"
            )
        if self.password is not None and self.format is not Format.PADES:
            raise Unacceptable("a password belongs to an encrypted PDF")
        if self.pdf != PLAIN and self.format is not Format.PADES:
            raise Unacceptable("a field, a look and a certification belong to a PDF")
        self._check_jws()

    def _check_policy(self) -> None:
        policy = self.claims.policy
        if policy is None:
            return
        if policy.id == IMPLIED and self.format not in IN_XML:
            raise Unacceptable(f"an implied policy is said in XAdES alone; name it with its hash in {self.format}")
        if policy.id != IMPLIED and not policy.is_oid and self.format not in (*IN_XML, Format.JADES):
            raise Unacceptable(f"{self.format} names a policy by its object identifier (EN 319 122-1 clause 5.2.9.1), got a URI")

    @property
    def levels(self) -> tuple[Level, ...]:
        """The one that was asked for, and below it those that the caller accepts."""
        if self.degrade is None:
            return (self.level,)
        below = [level for level in OFFERED[self.format, self.packaging] if _ALL.index(self.degrade) <= _ALL.index(level) < _ALL.index(self.level)]
        return (self.level, *reversed(below))

    def _check_jws(self) -> None:
        if self.serialization is not Serialization.FLATTENED and self.format is not Format.JADES:
            raise Unacceptable("a serialization belongs to jades")
        if self.serialization is Serialization.COMPACT and self.level is not Level.B_B:
            # RFC 7515 section 7.1: no unprotected header, in which ETSI TS 119 182-1 clause 5.3 has time-stamps.
            raise Unacceptable(f"compact jades is at B-B only: it has no place for a time-stamp, got {self.level}")
        if self.mechanism is not Mechanism.URI_HASH and (self.format, self.packaging) != (Format.JADES, Packaging.DETACHED):
            raise Unacceptable("a mechanism belongs to detached jades")
        if self.components is not Components.BASE64URL and (self.format is not Format.JADES or self.serialization is Serialization.COMPACT):
            raise Unacceptable("components belong to jades as a JSON object")
        if self.canonicalization is not Canonicalization.EXCLUSIVE and self.format not in IN_XML:
            raise Unacceptable("a canonicalization belongs to xades, asic-s-xades and asic-e-xades")
        if self.addition is not None and self.format not in ADDED[self.addition]:
            raise Unacceptable(f"{self.addition} is offered in {_names([str(f) for f in ADDED[self.addition]])}, got {self.format}")
        if self.addition is Addition.COUNTERSIGNATURE and self.canonicalization is not Canonicalization.EXCLUSIVE:
            raise Unacceptable(f"a countersignature is under exclusive canonicalization, got {self.canonicalization}")
        if self.addition is Addition.COUNTERSIGNATURE and self.level not in COUNTERSIGNED:
            raise Unacceptable(f"a countersignature is at {_names(COUNTERSIGNED, 'or')}, got {self.level}: extend raises both")


def formats() -> tuple[Format, ...]:
    """Those that are offered."""
    return tuple(dict.fromkeys(name for name, _ in OFFERED))


def packagings(format: Format) -> tuple[Packaging, ...]:  # noqa: A002  # the name that every door uses
    """Those that a format has; the first is its default."""
    return tuple(packaging for name, packaging in OFFERED if name is format)


def media_type(spec: Spec) -> tuple[str, str]:
    """Media type of the result, and what its file name ends in."""
    if spec.serialization is Serialization.COMPACT:
        return "application/jose", ".jws"  # RFC 7515 section 9.2.1
    return MEDIA_TYPE[spec.format, spec.packaging]


def _names(values: "tuple[str, ...] | list[str]", last: str = "and") -> str:
    texts = [str(v) for v in values]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} {last} {texts[-1]}"


def is_pdf(head: bytes) -> bool:
    """Whether a document with these first bytes is a PDF (ISO 32000-1 clause 7.5.2). Not wherever the words occur: a CMS with a PDF in it is none."""
    return head.removeprefix(b"\xef\xbb\xbf").lstrip(b"\0\t\n\f\r ").startswith(b"%PDF-")


_JSON = re.compile(rb'[ \t\r\n]*+(?:\{[ \t\r\n]*+["}]|\[[ \t\r\n]*+[\[{])')


def is_xml(head: bytes) -> bool:
    """Whether a document with these first bytes is markup that may envelop a seal: no document type, so far as they go, and no wider characters."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip(b"\t\n\r ")
    return text.startswith(b"<") and text[1:2] != b"\0" and b"<!DOCTYPE" not in text


def is_json(head: bytes) -> bool:
    """Whether a document with these first bytes is a JSON object, or an array of objects or arrays (RFC 8259)."""
    return _JSON.match(head) is not None


def default_format(head: bytes) -> Format:
    """The format that fits a document, recognised from its first bytes and never from its name. XML is what says so itself: HTML does not."""
    if is_pdf(head):
        return Format.PADES
    if is_json(head):
        return Format.JADES
    return Format.XADES if is_xml(head) and head.removeprefix(b"\xef\xbb\xbf").startswith(b"<?xml") else Format.CADES


def default_packaging(chosen: Format, head: bytes) -> Packaging:
    """The first that the format has; what is no XML cannot envelop XML's seal."""
    if chosen is Format.XADES and not is_xml(head):
        return Packaging.DETACHED
    return next(iter(packagings(chosen)), Packaging.DETACHED)


def choose(
    head: bytes,
    *,
    format: str | None = None,  # noqa: A002  # the name that every door uses
    level: str | None = None,
    packaging: str | None = None,
    digest: str | None = None,
    claims: Claims = NOTHING,
    password: str | None = None,
    serialization: str | None = None,
    mechanism: str | None = None,
    degrade: str | None = None,
    pdf: PdfSeal = PLAIN,
    components: str | None = None,
    canonicalization: str | None = None,
    addition: str | None = None,
) -> Spec:
    """The Spec for a document from what a caller said, with the defaults for what was not said: the format that fits, its first
    packaging, its highest level. Unacceptable for a name that does not exist or a combination that is not offered."""
    if format is None and addition is not None and head.startswith(b"PK"):
        format = Format.ASIC_E_CADES  # noqa: A001  # the name that every door uses
    chosen = default_format(head) if format is None else _member(Format, format, "format")
    packed = _member(Packaging, packaging, "packaging") if packaging is not None else default_packaging(chosen, head)
    levels = OFFERED.get((chosen, packed), _ALL)
    written = Serialization.FLATTENED if serialization is None else _member(Serialization, serialization, "serialization")
    referred = Mechanism.URI_HASH if mechanism is None else _member(Mechanism, mechanism, "mechanism")
    highest = Level.B_B if written is Serialization.COMPACT else levels[-1]
    if addition == Addition.COUNTERSIGNATURE:
        highest = COUNTERSIGNED[-1]
    wanted = highest if level is None else _member(Level, level, "level")
    if digest is not None:
        digest = digest_named(digest)
    lowest = None if degrade is None else _member(Level, degrade, "level")
    listed = Components.BASE64URL if components is None else _member(Components, components, "components")
    canonical = Canonicalization.EXCLUSIVE if canonicalization is None else _member(Canonicalization, canonicalization, "canonicalization")
    added = None if addition is None else _member(Addition, addition, "addition")
    return Spec(chosen, wanted, packed, digest, claims, password, written, referred, lowest, pdf, listed, canonical, added)


def digest_named(name: str) -> str:
    """hashlib's name of one of DIGEST_CHOICES, however it was spelled."""
    plain = {choice.replace("-", ""): choice.replace("-", "_") for choice in DIGEST_CHOICES}
    found = plain.get(name.lower().replace("-", "").replace("_", ""))
    if found is None:
        raise Unacceptable(f"digest is {_names(DIGEST_CHOICES, 'or')}")
    return found


def level_named(name: str) -> Level:
    """A level by its name."""
    return _member(Level, name, "level")


_E = TypeVar("_E", bound=StrEnum)


def _member(kind: type[_E], name: str, what: str) -> _E:
    for member in kind:
        if member.value.lower() == name.lower():
            return member
    raise Unacceptable(f"no {what} has that name; there are {_names([m.value for m in kind])}")
