"""JAdES (ETSI TS 119 182-1) over anything: in JSON or compact, the document inside, left out, or named by its digest."""

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from eseal.claims import Claims, Commitment
from eseal.draft import Base64, Draft, Piece
from eseal.formats import jades_named
from eseal.formats.cms import ocsp_response
from eseal.formats.halves import written
from eseal.levels import NEEDS, Means, digest_for, later, material, signing_time, stamped, token_chain
from eseal.spec import Components, Mechanism, Packaging, Serialization, Spec
from trust.algorithms import SIGNATURE_BY_JWA, Algorithm, hasher
from trust.codecs import jose
from trust.errors import Malformed, TooLarge, Unacceptable
from trust.model import Cert, Digest, Document, Token
from trust.ports import Key, Status

LARGEST = 64 << 20
"""Bytes of a payload: the key signs it whole, and a reader holds it whole."""

_JCS = "http://www.rfc-editor.org/rfc/rfc8785"
_NAMES = {algorithm: name for name, algorithm in reversed(SIGNATURE_BY_JWA.items())} | {Algorithm("ed448"): "EdDSA"}
"""The first that has the algorithm: `EdDSA` (RFC 8037), which every library knows, before the `Ed25519` and `Ed448` of RFC 9864."""
_POLICY_DIGESTS = MappingProxyType({**jades_named.DIGESTS, "sha3_256": "S3-256", "sha3_384": "S3-384", "sha3_512": "S3-512"})
_COMMITMENTS = MappingProxyType(
    # EN 319 132-1 clause 5.2.3, which clause 5.2.3 refers to.
    {commitment: f"http://uri.etsi.org/01903/v1.2.2#ProofOf{commitment.value.capitalize()}" for commitment in Commitment}
)
_TYPES = MappingProxyType({Serialization.COMPACT: "jose", Serialization.FLATTENED: "jose+json", Serialization.GENERAL: "jose+json"})
"""RFC 7515 section 4.1.9, without `application/`."""


def seal(document: Document, spec: Spec, means: Means, more: Sequence[Document] = ()) -> Draft:
    """ETSI TS 119 182-1 clause 6, levels B-B to B-LTA; over several documents where `sigD` names them.

    Unacceptable for several that it does not name, two of one name, and a key without a name in JOSE; TooLarge for a payload that nobody could
    read; Unavailable when token or status is not to be had.
    """
    content = _Content((document, *more), spec)
    key, needs, digest = means.key, NEEDS[spec.level], digest_for(means.key.algorithm, spec.digest)
    before = _stamped_before(content, means, digest) if spec.claims.content_timestamp else None
    header = jose.encoded(_json(_header(content, means, digest, before))).encode("ascii")
    value = key.sign(b"".join((header, b".", *content.payload())))
    signature = jose.encoded(written(key, value)).encode("ascii")
    unsigned: list[str] = []
    stamps: list[Token] = []
    if needs.stamp:
        # Clause 5.3.4: over the base64url text of the value.
        stamps.append(stamped(means.stamp, Digest.of(digest, signature)))
        unsigned.append(_time_stamp("sigTst", stamps[0]))
    if needs.status:
        own = material([(key.certificate, *key.chain)], means.status)
        unit = material([token_chain(t, (*key.chain, *own.certs)) for t in (stamps[0], before) if t is not None], means.status)
        unsigned += [_component(name, value) for name, value in values(own).items()]
        unsigned += _time_stamp_values(_beyond(unit, own))
        if needs.archive:
            stamps.append(stamped(means.stamp, _archived(content, header, signature, unsigned, digest)))
            unsigned.append(_archive_stamp(stamps[1], spec.components))
            unsigned += _time_stamp_values(later(stamps[1], Status(certs=(*own.certs, *unit.certs)), means.status))
    pieces = _written(content, header, signature, unsigned)
    return Draft(pieces, value, tuple(t.der for t in (before, *stamps) if t is not None))


def _stamped_before(content: "_Content", means: Means, digest: str) -> Token:
    """Clause 5.2.6: a token over the payload as it is signed, or over what `sigD` names."""
    if content.by_hash and len(content.documents) == 1 and (known := content.documents[0].digest(digest)) is not None:
        return stamped(means.stamp, known)
    running = hasher(digest)
    for chunk in content.archived():
        running.update(chunk)
    return stamped(means.stamp, Digest(digest, running.digest()))


@dataclass(frozen=True, slots=True)
class _Content:
    """The documents as this signature has them: one, or several that it names."""

    documents: tuple[Document, ...]
    spec: Spec

    def __post_init__(self) -> None:
        if not self.by_hash and not all(d.readable and d.size is not None for d in self.documents):
            raise Malformed("only digests of this document are known")
        if self.by_http:
            jades_named.require_fields(self.documents)
        elif self.named:
            if len({d.name for d in self.documents}) < len(self.documents):
                raise Unacceptable("of several documents each has a name of its own")
        elif len(self.documents) > 1:
            raise Unacceptable(f"jades names several documents detached by {Mechanism.URI_HASH}; as a payload it seals one at a time")
        if not self.by_hash and not self.by_http and self.size > LARGEST:
            raise TooLarge(f"as the payload of a JWS a document is at most {LARGEST >> 20} MiB; detached by {Mechanism.URI_HASH} it has no limit")

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(d.size or 0 for d in self.documents)

    @property
    def attached(self) -> bool:
        return self.spec.packaging is Packaging.ATTACHED

    @property
    def by_hash(self) -> bool:
        return not self.attached and self.spec.mechanism is Mechanism.URI_HASH

    @property
    def by_http(self) -> bool:
        return not self.attached and self.spec.mechanism is Mechanism.HTTP_HEADERS

    @property
    def named(self) -> bool:
        """Whether `sigD` says what is signed."""
        return not self.attached and self.spec.mechanism is not Mechanism.PAYLOAD

    def reference(self, digest: str) -> dict[str, Any]:
        """`sigD`."""
        if self.by_http:
            return jades_named.by_fields(self.documents)
        return jades_named.by_uri_hash(self.documents, digest) if self.by_hash else jades_named.by_uri(self.documents)

    def payload(self) -> Iterable[bytes]:
        """As it stands in the signing input: clause 5.2.8.3.3 has none where `sigD` holds the digest; RFC 7797 section 3 leaves it as it is
        where `b64` is false."""
        if self.by_http:
            return (jades_named.fields(self.documents),)
        return () if self.by_hash else self.archived()

    def archived(self) -> Iterator[bytes]:
        """Clause 5.3.6.3: what an archive time-stamp hashes in the payload's place."""
        if self.by_http:
            return jades_named.archived_fields(self.documents)
        chunks = (chunk for document in self.documents for chunk in document.chunks())
        return jose.encoded_chunks(chunks) if self.attached else chunks


# The protected header.


def _header(content: _Content, means: Means, digest: str, before: Token | None) -> dict[str, Any]:
    """Clauses 5.1 and 5.2. The claimed time is `iat`: since 2025-07-15 no new signature has `sigT` (clause 5.2.1)."""
    key, spec, media_type = means.key, content.spec, content.documents[0].media_type
    chain = [c for c in (key.certificate, *key.chain) if c.subject != c.issuer or c == key.certificate]
    header: dict[str, Any] = {
        "alg": _algorithm(key),
        "typ": _TYPES[spec.serialization],
        "iat": int(signing_time(spec.claims.signing_time, means).timestamp()),
        "x5t#S256": jose.encoded(Digest.of("sha256", key.certificate.der).value),
        "x5c": [text(c.der) for c in chain],
    }
    if media_type is not None and not content.named:
        header["cty"] = media_type
    if not content.attached:
        # RFC 7797 section 6 and clause 5.2.8.1: a reader that does not know these would check something else. Unencoded also beside sigD, where
        # it makes the digest that of the file itself (clause 5.2.8.3.3).
        header |= {"crit": ["b64", "sigD"] if content.named else ["b64"], "b64": False}
    if content.named:
        header["sigD"] = content.reference(digest)
    return header | _claimed(spec.claims) | ({} if before is None else {"adoTst": {"tstTokens": [{"val": text(before.der)}]}})


def _claimed(claims: Claims) -> dict[str, Any]:
    """Clauses 5.2.3 to 5.2.7."""
    header: dict[str, Any] = {}
    if claims.commitment is not None:
        header["srCms"] = [{"commId": {"id": _COMMITMENTS[claims.commitment]}}]
    if claims.location is not None:
        header["sigPl"] = {"addressLocality": claims.location}
    if claims.role is not None:
        # Clause 5.2.5: claimed, which nobody certified.
        header["srAts"] = {"claimed": [{"mediaType": "text/plain", "encoding": "binary", "qVals": [claims.role]}]}
    if (policy := claims.policy) is not None and policy.digest is not None:
        named = {"id": {"id": policy.as_uri}, "digAlg": _POLICY_DIGESTS[policy.digest.algorithm], "digVal": jose.encoded(policy.digest.value)}
        header["sigPId"] = named if policy.uri is None else named | {"sigPQuals": [{"spURI": policy.uri}]}
    return header


def _algorithm(key: Key) -> str:
    """RFC 7518 section 3.1. An ECDSA name is that of a curve too (section 3.4)."""
    name = _NAMES.get(key.algorithm)
    if name is None:
        raise Unacceptable(f"{key.algorithm} has no name in JOSE")
    bits, size = jose.curve_bits(name), getattr(key.certificate.public_key, "key_size", None)
    if bits is not None and bits != size:
        raise Unacceptable(f"{name} is for keys of {bits} bits (RFC 7518 section 3.4), this organisation's has {size}")
    return name


# The unsigned header: each component is a base64url text, so that what an archive time-stamp hashes is what stands in the file (clause 5.3.1); only
# where the caller wants them in the clear they are written as objects, and hashed in their canonical form.


def _component(name: str, value: Any) -> str:
    return jose.encoded(_json({name: value}))


def _time_stamp(name: str, token: Token) -> str:
    """Clause 5.4.3, tstContainer."""
    return _component(name, {"tstTokens": [{"val": text(token.der)}]})


def _archive_stamp(token: Token, form: Components) -> str:
    """Clause 5.3.6.2: over components in the clear it says by which rule they are hashed."""
    rule = {"canonAlg": _JCS} if form is Components.CLEAR else {}
    return _component("arcTst", rule | {"tstTokens": [{"val": text(token.der)}]})


def _hashed(unsigned: Iterable[str], form: Components) -> bytes:
    """Clauses 5.3.1 and 5.3.6.3: the texts, or the objects by RFC 8785, which for ASCII without numbers is sorted names and no blanks."""
    if form is Components.BASE64URL:
        return "".join(unsigned).encode("ascii")
    return b"".join(json.dumps(_opened(one), sort_keys=True, separators=(",", ":")).encode("ascii") for one in unsigned)


def _opened(component: str) -> Any:
    return json.loads(jose.octets(component).data)


def values(found: Status) -> dict[str, Any]:
    """Clauses 5.3.5.1 and 5.3.5.2: certificates, and status; what is empty is left out."""
    status = {"crlVals": _objects(c.der for c in found.crls), "ocspVals": _objects(ocsp_response(o) for o in found.ocsps)}
    values = {"xVals": [{"x509Cert": held} for held in _objects(c.der for c in found.certs)], "rVals": {k: v for k, v in status.items() if v}}
    return {name: value for name, value in values.items() if value}


def _time_stamp_values(found: Status) -> list[str]:
    """Clause 5.3.6.1: what the chain of a time-stamp's unit needs."""
    return [_component("tstVD", held)] if (held := values(found)) else []


def _objects(ders: Iterable[bytes]) -> list[dict[str, str]]:
    """Clause 5.4.1, pkiOb."""
    return [{"val": text(der)} for der in ders]


def _beyond(found: Status, there: Status) -> Status:
    """Of what was `found`, what is not `there` already."""

    def new(left: Iterable[Any], right: Iterable[Any]) -> tuple[Any, ...]:
        held = set(right)
        return tuple(item for item in left if item not in held)

    certs: tuple[Cert, ...] = new(found.certs, there.certs)
    return Status(new(found.crls, there.crls), new(found.ocsps, there.ocsps), certs)


def _archived(content: _Content, header: bytes, signature: bytes, unsigned: Iterable[str], digest: str) -> Digest:
    """Clause 5.3.6.3: payload, header and value with dots, then every component so far."""
    running = hasher(digest)
    for chunk in content.archived():
        running.update(chunk)
    running.update(b"." + header + b"." + signature + b"." + _hashed(unsigned, content.spec.components))
    return Digest(digest, running.digest())


# RFC 7515 section 7.


def _written(content: _Content, header: bytes, signature: bytes, unsigned: list[str]) -> tuple[Piece, ...]:
    payload: tuple[Piece, ...] = (Base64(0, content.size, url=True),) if content.attached else ()
    if content.spec.serialization is Serialization.COMPACT:
        return (header + b".", *payload, b"." + signature)
    own: dict[str, Any] = {"protected": header.decode("ascii"), "signature": signature.decode("ascii")}
    if unsigned:
        own["header"] = {"etsiU": unsigned if content.spec.components is Components.BASE64URL else [_opened(one) for one in unsigned]}
    rest = _json(own if content.spec.serialization is Serialization.FLATTENED else {"signatures": [own]})
    return (b'{"payload":"', *payload, b'",' + rest[1:]) if payload else (rest,)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def text(der: bytes) -> str:
    """Base64 of RFC 4648 section 4, which `x5c` and pkiOb have."""
    return b64encode(der).decode("ascii")
