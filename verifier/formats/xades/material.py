"""Validation data in the unsigned properties (EN 319 132-1 clause 5.4 and annex A): certificates, lists, answers, and references to them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from trust.codecs.ess import certificate_identity
from trust.codecs.signed_data import cert, ocsp_response
from trust.codecs.xml.names import octets_of, split
from trust.errors import Malformed, Unacceptable
from trust.model import Cert, Crl, Digest, Id, Ocsp, Token
from verifier.formats.xades.signer import digest_of

MAX_ITEMS: Final = 5_000
"""Encapsulated objects in one property: a long-lived file holds some hundreds."""


@dataclass(frozen=True)
class Material:
    """What a property or a whole signature carries."""

    certs: tuple[Cert, ...] = ()
    crls: tuple[Crl, ...] = ()
    ocsps: tuple[Ocsp, ...] = ()
    responses: tuple[tuple[bytes, Ocsp], ...] = ()
    """As they stand in the file: references are digests of the whole OCSPResponse."""

    @classmethod
    def united(cls, parts: Iterable["Material"]) -> "Material":
        """All of them, each object once, in the order of the file; one pass, because a file may have thousands."""
        certs: dict[Cert, None] = {}
        crls: dict[Crl, None] = {}
        ocsps: dict[Ocsp, None] = {}
        responses: dict[tuple[bytes, Ocsp], None] = {}
        for part in parts:
            certs.update(dict.fromkeys(part.certs))
            crls.update(dict.fromkeys(part.crls))
            ocsps.update(dict.fromkeys(part.ocsps))
            responses.update(dict.fromkeys(part.responses))
        return cls(tuple(certs), tuple(crls), tuple(ocsps), tuple(responses))

    @property
    def ids(self) -> frozenset[Id]:
        return frozenset(x.id for x in (*self.certs, *self.crls, *self.ocsps))


def of_token(token: Token) -> Material:
    return Material(token.certs, token.crls, token.ocsps)


def token_ids(token: Token) -> frozenset[Id]:
    """A token and all that is inside it."""
    return frozenset((token.id,)) | of_token(token).ids


def encapsulated(element: Any) -> Material:
    """Every EncapsulatedX509Certificate, EncapsulatedCRLValue and EncapsulatedOCSPValue in a property; what cannot be read is left out."""
    certs: list[Cert] = []
    crls: list[Crl] = []
    responses: list[tuple[bytes, Ocsp]] = []
    for count, (name, der) in enumerate(_values(element)):
        if count >= MAX_ITEMS:
            raise Malformed(f"at most {MAX_ITEMS} objects expected in one property")
        match name:
            case "EncapsulatedX509Certificate":
                if certificate_identity(der) is not None:
                    certs.append(cert(der))
            case "EncapsulatedCRLValue":
                if der[:1] == b"\x30":
                    crls.append(Crl(der))
            case _:
                answer = ocsp_response(der)
                if answer is not None:
                    responses.append((der, answer))
    return Material(tuple(certs), tuple(crls), tuple(o for _, o in responses), tuple(responses))


_VALUES: Final = frozenset(("EncapsulatedX509Certificate", "EncapsulatedCRLValue", "EncapsulatedOCSPValue"))


def _values(element: Any) -> Iterable[tuple[str, bytes]]:
    for inner in element.iter():
        name = split(inner.tag)[1]
        if name in _VALUES:
            try:
                yield name, octets_of(inner)
            except Malformed:
                continue


def referenced(element: Any, pool: Material) -> frozenset[Id]:
    """The certificates, lists and answers whose digests stand in CompleteCertificateRefs(V2), CompleteRevocationRefs and their like."""
    wanted: dict[str, set[bytes]] = {}
    for count, inner in enumerate(e for e in element.iter() if split(e.tag)[1] in ("CertDigest", "DigestAlgAndValue")):
        if count >= MAX_ITEMS:
            raise Malformed(f"at most {MAX_ITEMS} references expected in one property")
        digest = digest_of(inner)
        if digest is not None:
            wanted.setdefault(digest.algorithm, set()).add(digest.value)
    objects: list[tuple[bytes, Id]] = [(x.der, x.id) for x in (*pool.certs, *pool.crls, *pool.ocsps)]
    objects += [(der, ocsp.id) for der, ocsp in pool.responses]
    return frozenset(found for der, found in objects for algorithm, values in wanted.items() if _digest(algorithm, der) in values)


def _digest(algorithm: str, der: bytes) -> bytes | None:
    try:
        return Digest.of(algorithm, der).value
    except Unacceptable:
        return None
