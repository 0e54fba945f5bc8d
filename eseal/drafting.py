"""The one way into the formats: plain values and callables only, so that it runs as well in a confined process that has no key."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import NoReturn

from eseal.draft import Draft
from eseal.formats.pdf_cms import Answer
from eseal.levels import Means
from eseal.spec import Addition, Format, Packaging, Spec
from trust.algorithms import Algorithm
from trust.errors import Unacceptable
from trust.model import Cert, Digest, Document
from trust.ports import Key, Stamper, StatusSource

MODULES: Mapping[Format, str] = MappingProxyType(
    {
        Format.PADES: "eseal.formats.pades",
        Format.CADES: "eseal.formats.cades",
        Format.XADES: "eseal.formats.xades",
        Format.JADES: "eseal.formats.jades",
        Format.COSE: "eseal.formats.cose",
        Format.ASIC_S_CADES: "eseal.formats.asic",
        Format.ASIC_S_XADES: "eseal.formats.asic",
        Format.ASIC_E_CADES: "eseal.formats.asic",
        Format.ASIC_E_XADES: "eseal.formats.asic",
    }
)
"""Each has seal(document, spec, means) -> Draft; those of spec.SEVERAL take more documents after that."""

ADDING: Mapping[tuple[Addition, Format], str] = MappingProxyType(
    {
        (Addition.PARALLEL, Format.CADES): "eseal.formats.cades_added:parallel",
        (Addition.PARALLEL, Format.JADES): "eseal.formats.jades_added:parallel",
        (Addition.PARALLEL, Format.ASIC_E_CADES): "eseal.formats.asic_added:parallel",
        (Addition.PARALLEL, Format.ASIC_E_XADES): "eseal.formats.asic_added:parallel",
        (Addition.COUNTERSIGNATURE, Format.CADES): "eseal.formats.cades_added:countersigned",
        (Addition.COUNTERSIGNATURE, Format.XADES): "eseal.formats.xades.countersigned:countersigned",
        (Addition.COUNTERSIGNATURE, Format.JADES): "eseal.formats.jades_added:countersigned",
    }
)
"""Each takes what seal() does; the further documents are content that stands apart."""

FROM_DIGESTS: Mapping[Format, str] = MappingProxyType({Format.PADES: "eseal.formats.pdf_cms"})
"""Likewise, of what is made from digests by other means than from the document."""

PARSING = frozenset({(Format.PADES, packaging) for packaging in Packaging} | {(Format.XADES, Packaging.ENVELOPED)})
"""What is written into the document, which is parsed for it and may be hostile: that runs apart from the keys."""

OPAQUE = frozenset((format_, packaging) for format_ in (Format.CADES, Format.XADES, Format.JADES) for packaging in Packaging) - PARSING
"""Where a document is octets to be hashed or carried, to whoever writes a seal and to whoever reads it: neither parses them. Containers are not among
them: what is in one may be read for its name. Nor is COSE: a PDF may begin behind other bytes, so that what a message carries could make the verifier
take it for one; DER, XML and JSON are told by how they begin."""


def is_opaque(spec: Spec) -> bool:
    """Whether whoever checks a seal parses nothing but what was written here."""
    return spec.addition is None and (spec.format, spec.packaging) in OPAQUE


def parses(spec: Spec) -> bool:
    """Whether the document is parsed: what is signed already always is."""
    return spec.addition is not None or (spec.format, spec.packaging) in PARSING


@dataclass(frozen=True, slots=True)
class Signable:
    """What a key signs for a format, so far as it can be told without parsing it."""

    what: str
    """For people."""
    begins: bytes
    longest: int
    """Bytes."""


_ATTRIBUTES = Signable("signed attributes", b"\x31", 1 << 16)
"""A SET OF."""

SIGNABLE: Mapping[Format, Signable] = MappingProxyType(
    {
        **dict.fromkeys(Format, _ATTRIBUTES),
        **dict.fromkeys((Format.XADES, Format.ASIC_S_XADES, Format.ASIC_E_XADES), Signable("ds:SignedInfo elements", b"<ds:SignedInfo ", 1 << 24)),
        # RFC 7515 section 5.1: the base64url of `{"`, and the payload.
        Format.JADES: Signable("JWS signing inputs", b"eyJ", 1 << 27),
        # RFC 9052 section 4.4: an array of four and its first element, and the payload.
        Format.COSE: Signable("COSE signature structures", b"\x84\x6aSignature1", 1 << 26),
    }
)


@dataclass(frozen=True, slots=True)
class Holder:
    """What of a key may be known outside its process."""

    certificate: Cert
    chain: tuple[Cert, ...]
    algorithm: Algorithm

    @classmethod
    def of(cls, key: Key) -> "Holder":
        return cls(key.certificate, tuple(key.chain), key.algorithm)


@dataclass(frozen=True, slots=True)
class _Proxy:
    """trust.ports.Key whose private half is somebody else's."""

    holder: Holder
    signing: Callable[[bytes], bytes]

    @property
    def certificate(self) -> Cert:
        return self.holder.certificate

    @property
    def chain(self) -> tuple[Cert, ...]:
        return self.holder.chain

    @property
    def algorithm(self) -> Algorithm:
        return self.holder.algorithm

    def sign(self, data: bytes) -> bytes:
        return self.signing(data)


def draft(
    document: Document,
    spec: Spec,
    holder: Holder,
    now: datetime,
    *more: Document,
    sign: Callable[[bytes], bytes],
    stamp: Stamper,
    status: StatusSource,
) -> Draft:
    """The seal that `spec` asks for over a document and, where its format takes several, `more` of them; neither checked nor recorded.

    Errors are the format's and the callables'.
    """
    means = Means(_Proxy(holder, sign), stamp, status, now)
    if spec.addition is not None:
        module, name = ADDING[spec.addition, spec.format].split(":")
        added: Draft = getattr(importlib.import_module(module), name)(document, spec, means, more)
        return added
    modules = MODULES if document.readable else {**MODULES, **FROM_DIGESTS}
    seal = importlib.import_module(modules[spec.format]).seal
    made: Draft = seal(document, spec, means, more) if more else seal(document, spec, means)
    return made


def elsewhere(
    document: Document, spec: Spec, holder: Holder, now: datetime, *, sign: Callable[[tuple[Digest, ...]], Answer], finish: Callable[[Digest], Answer]
) -> Draft:
    """A PDF with the seal that `spec` asks for, whose CMS and document time-stamp come from a sealer that is told digests alone."""
    means = Means(_Proxy(holder, _nobody), _nobody, _nobody, now)
    made: Draft = importlib.import_module(MODULES[Format.PADES]).seal_elsewhere(document, spec, means, sign, finish)
    return made


def _nobody(_: object) -> NoReturn:
    raise Unacceptable("here is no key, no authority and no status service")
