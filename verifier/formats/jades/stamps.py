"""The time-stamps of a JAdES signature, each held against the bytes it must cover: ETSI TS 119 182-1 clauses 5.2.6, 5.3.4, 5.3.6, annex A.1.5."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from trust.codecs import cms
from trust.codecs.jose import Jws
from trust.errors import Malformed
from trust.model import Cert, Defect, Id, Stamp, StampKind, Token
from verifier.formats.contents import of_data, of_token
from verifier.formats.jades.detached import Content
from verifier.formats.jades.unsigned import REFERENCES, Component, pki_object

_JCS = ("http://www.rfc-editor.org/rfc/rfc8785", "https://www.rfc-editor.org/rfc/rfc8785", "urn:ietf:rfc:8785")


@dataclass(frozen=True, slots=True)
class Place:
    """A signature with everything that a stamp in it may have to hash or cover."""

    jws: Jws
    content: Content
    id: Id
    carried: frozenset[Id]
    """Certificates of the protected header, and the signer's."""
    components: tuple[Component, ...]
    countersignatures: dict[int, frozenset[Id]]
    """What each `cSig` holds, by its position among the components."""
    candidates: tuple[Cert, ...]
    """For the signers of tokens."""


@dataclass(frozen=True, slots=True)
class Found:
    """The stamps of one signature."""

    stamps: tuple[Stamp, ...]
    defects: tuple[Defect, ...]
    single: bool
    """Each `sigTst` holds exactly one token (clause 6.3, requirement c)."""


def cost(jws: Jws, components: Iterable[Component]) -> tuple[int, int]:
    """How many time-stamps stand in a signature, and how many bytes of the file they hash, before any is read."""
    tokens = _listed(jws.header.get("adoTst"))
    before = len(jws.encoded_payload)
    octets = tokens * before
    for component in components:
        if component.name in _KINDS:
            tokens += (own := _listed(component.value))
            octets += own * before if component.name == "arcTst" else 0
        before += len(component.encoded or "")
    return tokens, octets


def _listed(container: object) -> int:
    entries = container.get("tstTokens") if isinstance(container, dict) else None
    return len(entries) if isinstance(entries, list) else 0


def stamps(place: Place) -> Found:
    """All stamps, in the order of the header."""
    made: list[Stamp] = []
    defects: list[Defect] = []
    single = True
    proved: frozenset[Id] = frozenset()  # what stands in the components before
    for token in _tokens("adoTst", place.jws.header.get("adoTst"), place, defects):
        proved |= of_token(token)
        pieces = None if place.content.stamped is None else place.content.stamped()
        made.append(_stamp(place, token, StampKind.CONTENT, pieces, place.content.ids))
    base = proved | place.carried | place.content.ids | {place.id}
    proved = frozenset()
    for at, component in enumerate(place.components):
        kind = _KINDS.get(component.name)
        if kind is not None:
            canonical = component.value.get("canonAlg") if isinstance(component.value, dict) else None
            tokens = _tokens(component.name, component.value, place, defects)
            single = single and (component.name != "sigTst" or len(tokens) == 1)
            made += [_stamp(place, token, kind[0], kind[1](place, at, canonical), kind[2](place, at, base, proved)) for token in tokens]
            proved = proved.union(*(of_token(token) for token in tokens))
        proved |= of_data(component.data) | place.countersignatures.get(at, frozenset())
    return Found(tuple(made), tuple(defects), single)


def _stamp(place: Place, token: Token, kind: StampKind, pieces: Iterable[bytes] | None, covers: frozenset[Id]) -> Stamp:
    made = None if pieces is None else cms.digest_of(pieces, token.imprint.algorithm)
    intact = made is not None and made == token.imprint
    return Stamp(token, kind, intact, covers if intact else frozenset(), place.id, found=pieces is not None)


def _tokens(name: str, container: object, place: Place, defects: list[Defect]) -> list[Token]:
    """Clause 5.4.3, tstContainer."""
    if container is None:
        return []
    entries = container.get("tstTokens") if isinstance(container, dict) else None
    found = []
    for entry in entries if isinstance(entries, list) else [None]:
        der = pki_object(entry)
        try:
            if der is None:
                raise Malformed("no DER in base64")
            found.append(cms.token(der, place.candidates))
        except Malformed as error:
            defects.append(Defect("ETSI TS 119 182-1 clause 5.4.3", f"{name}: time-stamp cannot be read: {error}", fatal=False, refused=True))
    return found


# Message imprints. `at` is the position of the stamp among the components; a component before it stands at a smaller one.

_Pieces = Iterator[bytes] | None


def _signature(place: Place, at: int, canonical: object) -> _Pieces:  # noqa: ARG001
    """Clause 5.3.4: the base64url-encoded JWS signature value."""
    return iter((place.jws.encoded_signature.encode("ascii"),))


def _archive(place: Place, at: int, canonical: object) -> _Pieces:
    """Clause 5.3.6.3: payload, protected header, signature value, with dots, then each component before, one after the other."""
    before = _each(place.components[:at], canonical)
    if place.content.stamped is None or before is None:
        return None
    header, value = place.jws.encoded_header.encode("ascii"), place.jws.encoded_signature.encode("ascii")
    return _chained(place.content.stamped(), (b"." + header + b"." + value + b".", *before))


def _signature_and_references(place: Place, at: int, canonical: object) -> _Pieces:
    """Annex A.1.5.1: the signature value, a dot, then sigTst and the references before it."""
    before = _each([c for c in place.components[:at] if c.name in ("sigTst", *REFERENCES)], canonical)
    return None if before is None else iter((place.jws.encoded_signature.encode("ascii") + b".", *before))


def _references(place: Place, at: int, canonical: object) -> _Pieces:  # noqa: ARG001
    """Annex A.1.5.2: all references."""
    found = _each([c for c in place.components if c.name in REFERENCES], canonical)
    return None if found is None else iter(found)


def _chained(*parts: Iterable[bytes]) -> Iterator[bytes]:
    for part in parts:
        yield from part


def _each(found: Sequence[Component], canonical: object) -> list[bytes] | None:
    """The octets of components: base64url as it stands, or canonical JSON (clause 5.3.6.3.1.2) where they stand in the clear."""
    if len({c.encoded is None for c in found}) > 1:
        return None
    made = [_clear(c, canonical) if c.encoded is None else c.encoded.encode("utf-8") for c in found]
    return None if any(m is None for m in made) else [m for m in made if m is not None]


def _clear(component: Component, canonical: object) -> bytes | None:
    """RFC 8785, without fractions, which no component has; None for another method, or where nothing is named."""
    if canonical not in _JCS or not component.name:
        return None
    if _has_fraction(component.value):
        return None
    ordered = _ordered({component.name: component.value})
    return json.dumps(ordered, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def _ordered(value: Any) -> Any:
    """RFC 8785 section 3.2.3: members by their names' UTF-16 code units."""
    if isinstance(value, dict):
        return {name: _ordered(value[name]) for name in sorted(value, key=lambda n: n.encode("utf-16-be"))}
    return [_ordered(entry) for entry in value] if isinstance(value, list) else value


def _has_fraction(value: Any) -> bool:
    if isinstance(value, dict | list):
        return any(_has_fraction(entry) for entry in (value.values() if isinstance(value, dict) else value))
    return isinstance(value, float)


# What each covers.


def _covers_signature(place: Place, at: int, base: frozenset[Id], proved: frozenset[Id]) -> frozenset[Id]:  # noqa: ARG001
    return base


def _covers_everything(place: Place, at: int, base: frozenset[Id], proved: frozenset[Id]) -> frozenset[Id]:  # noqa: ARG001
    return base | proved


def _covers_references(place: Place, at: int, base: frozenset[Id], proved: frozenset[Id]) -> frozenset[Id]:  # noqa: ARG001
    """What the references name by digest, of all that the signature carries."""
    wanted = frozenset(digest for c in place.components for digest in c.digests)
    groups = [place.candidates, *(g for c in place.components for g in (c.data.certs, c.data.crls, c.data.ocsps))]
    items = {item.id: item.der for group in groups for item in group}
    kinds = {digest.algorithm for digest in wanted}
    return frozenset(i for i, der in items.items() if any(cms.digest_of((der,), kind) in wanted for kind in kinds))


def _covers_signature_and_references(place: Place, at: int, base: frozenset[Id], proved: frozenset[Id]) -> frozenset[Id]:
    tokens = (t for c in place.components[:at] if c.name == "sigTst" for t in _tokens(c.name, c.value, place, []))
    return base.union(_covers_references(place, at, base, proved), *(of_token(t) for t in tokens))


_Imprint = Callable[[Place, int, object], _Pieces]
_Covers = Callable[[Place, int, frozenset[Id], frozenset[Id]], frozenset[Id]]
_KINDS: dict[str, tuple[StampKind, _Imprint, _Covers]] = {
    "sigTst": (StampKind.SIGNATURE, _signature, _covers_signature),
    "sigRTst": (StampKind.VALIDATION_DATA, _signature_and_references, _covers_signature_and_references),
    "rfsTst": (StampKind.REFERENCES, _references, _covers_references),
    "arcTst": (StampKind.ARCHIVE, _archive, _covers_everything),
}
