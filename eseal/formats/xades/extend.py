"""XAdES raised (EN 319 132-1 clauses 5.3 to 5.5): unsigned properties inserted into the document's own bytes, with the declarations that they need.

Nothing is serialised anew. An inserted element declares its own prefixes, so that the canonical form of what stands around it is what it was.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from eseal.draft import Draft, Piece, Span
from eseal.extend import Extended, Tools, Wanted, digest_of
from eseal.formats.xades import properties
from eseal.formats.xades.covered import octets_of_reference
from eseal.formats.xades.insertion import Edit, appended, edited, tags
from eseal.formats.xades.markup import EXCLUSIVE, element
from eseal.levels import joined, without
from trust.algorithms import hasher
from trust.codecs.cms import token
from trust.codecs.signed_data import cert, ocsp_response
from trust.codecs.xml import MAX_BYTES, METHODS, NodeSet, Tree, parse
from trust.codecs.xml.names import DS, XADES_132, XADES_141, digest_name, ds, octets_of, signature_algorithm, split
from trust.codecs.xml.transforms import Bench
from trust.errors import Malformed, Unacceptable
from trust.model import Cert, Crl, Digest, Document, Ocsp, Token
from trust.ports import Status

_STAMPS = ("SignatureTimeStamp", "SigAndRefsTimeStamp", "RefsOnlyTimeStamp", "SigAndRefsTimeStampV2", "RefsOnlyTimeStampV2", "ArchiveTimeStamp")
METHOD = METHODS[EXCLUSIVE]
_STEP = 1 << 14
"""Bytes that are compared at a time."""


def extend(document: Document, wanted: Wanted, tools: Tools, detached: Sequence[Document] = ()) -> Draft:
    """Each XAdES signature of the document to the level that is wanted; renewed where it has that level already.

    Malformed for what is no XML that our parser takes, Unacceptable for a signature without a place for unsigned properties or without its files,
    Unavailable when token or status is not to be had.
    """
    data = document.read(MAX_BYTES)
    made, stamps = extended_bytes(data, detached, wanted, tools)
    return Extended(pieces(data, made), tuple(stamps)).draft()


def extended_bytes(data: bytes, detached: Sequence[Document], wanted: Wanted, tools: Tools) -> tuple[bytes, list[Token]]:
    """The document extended, and the tokens that are new in it."""
    sheet = Sheet(data)
    _collect(sheet, tools)
    stamps = _stamped(sheet, tools)
    if wanted.status:
        _hold(sheet, tools)
    if wanted.archive:
        stamps += _archived(sheet, lambda place: _imprint(place, detached), tools)
    return sheet.data, stamps


def awaited(data: bytes) -> tuple[str, bytes]:
    """Of the one signature over files that are elsewhere: by which digest its archive time-stamp is made, and what that hashes behind those files
    (clause 5.5.2.2), which come first in the order of their references. Unacceptable where others stand between them."""
    [place] = Sheet(data).places
    bench, octets = Bench(), list[bytes]()
    for reference in _needed(place, "SignedInfo").iterfind(ds("Reference")):
        if (uri := reference.get("URI")) and uri.startswith("#"):
            octets += octets_of_reference(reference, place.tree, (), METHOD, bench)
        elif octets or not uri:
            raise Unacceptable("the references of the signature to files elsewhere are not its first ones")
    return place.digest(), b"".join((*octets, *_inside(place, bench)))


def archived(data: bytes, imprint: Digest, tools: Tools) -> tuple[bytes, list[Token]]:
    """With an archive time-stamp over `imprint`, which whoever has the files computed."""
    sheet = Sheet(data)
    _collect(sheet, tools)
    stamps = _archived(sheet, lambda _: imprint, tools)
    return sheet.data, stamps


def pieces(old: bytes, new: bytes) -> tuple[Piece, ...]:
    """The document by name as far as the first insertion, where it is long."""
    before = 0
    while before < len(old) and old[before : before + _STEP] == new[before : before + _STEP]:
        before += _STEP
    before = min(before, len(old))
    return Span(0, before), new[before:]


@dataclass(frozen=True, eq=False)
class _Place:
    """A signature of the document as it stands now."""

    tree: Tree
    signature: Any
    qualifying: Any

    @property
    def unsigned(self) -> list[Any]:
        """Its unsigned properties, in their order."""
        return list(self.qualifying.iterfind(f"{{{XADES_132}}}UnsignedProperties/{{{XADES_132}}}UnsignedSignatureProperties/*"))

    def stamps(self) -> Iterator[tuple[Any, bytes]]:
        """Time-stamp properties, and the tokens in them."""
        for prop in self.unsigned:
            if split(prop.tag)[0] in (XADES_132, XADES_141) and split(prop.tag)[1] in _STAMPS:
                for held in prop.iterchildren(f"{{{XADES_132}}}EncapsulatedTimeStamp"):
                    yield prop, octets_of(held)

    def has(self, name: str) -> bool:
        return any(split(p.tag)[1] == name for p in self.unsigned)

    def digest(self) -> str:
        """Of a new time-stamp."""
        method = self.signature.find(f"{ds('SignedInfo')}/{ds('SignatureMethod')}")
        used = None if method is None else signature_algorithm(method)
        return digest_of(used.digest if used else None)


@dataclass
class Sheet:
    """The document so far. Nobody keeps a place over an insertion: of a large document there is one tree at a time."""

    data: bytes
    places: list[_Place] = field(init=False)

    def __post_init__(self) -> None:
        self._read()
        if not self.places:
            raise Unacceptable("there is no XAdES signature (namespace 1.3.2) in the document with a place for unsigned properties")

    def _read(self) -> None:
        tree = parse(self.data)
        found = ((s, _qualifying(s)) for s in tree.root.iter(ds("Signature")) if next(s.iterancestors(ds("Signature")), None) is None)
        self.places = [_Place(tree, s, q) for s, q in found if q is not None]

    def insert(self, texts: Sequence[str]) -> None:
        """Properties at the end of those of each signature."""
        if any(texts):
            self.data = edited(self.data, self._edits(texts))
            self.places = []
            self._read()

    def _edits(self, texts: Sequence[str]) -> list[Edit]:
        places = [(place, text) for place, text in zip(self.places, texts, strict=True) if text]
        at = {place: _holder(place) for place, _ in places}
        known = tags(self.data, self.places[0].tree, (holder for holder, _, _ in at.values()))
        edits = []
        for place, text in places:
            holder, wrapping, first = at[place]
            made = _wrapped(text, wrapping).encode("ascii", "xmlcharrefreplace")  # a stranger's Id has whatever letters
            where = known[holder]
            edits.append(Edit(where.inside, where.inside, made) if first and not where.empty else appended(self.data, where, made))
        return edits

    def name(self, place: _Place, stem: str) -> str:
        """An Id that is free, without chance: of the signature, and counted."""
        value = Digest.of("sha256", (place.signature.findtext(ds("SignatureValue")) or "").encode()).value[:8].hex()
        return next(name for n in range(1, 1000) if not place.tree.by_id(name := f"{stem}-{value}-{n}"))


def _qualifying(signature: Any) -> Any | None:
    return next(iter(signature.iterfind(f"{ds('Object')}/{{{XADES_132}}}QualifyingProperties")), None)


def _holder(place: _Place) -> tuple[Any, tuple[str, ...], bool]:
    """The element into which properties go, the elements that are still missing around them, and whether they come first in it."""
    above = place.qualifying.find(f"{{{XADES_132}}}UnsignedProperties")
    if above is None:
        return place.qualifying, ("UnsignedProperties", "UnsignedSignatureProperties"), False
    found = above.find(f"{{{XADES_132}}}UnsignedSignatureProperties")
    return (above, ("UnsignedSignatureProperties",), True) if found is None else (found, (), False)


def _wrapped(text: str, missing: Iterable[str]) -> str:
    for name in reversed(tuple(missing)):
        text = declared(element(f"xades:{name}", text))
    return text


def declared(text: str) -> str:
    """A property with the declarations of its prefixes: what stands around it may have others."""
    return re.sub(r"^<([\w:]+)", rf'<\1 xmlns:xades="{XADES_132}" xmlns:ds="{DS}"', text, count=1)


def _stamped(sheet: Sheet, tools: Tools) -> list[Token]:
    """Clause 5.3: over ds:SignatureValue, where there is none yet."""
    stamps: list[Token] = []

    def stamped(place: _Place) -> str:
        if place.has("SignatureTimeStamp"):
            return ""
        octets = Bench().canonical(NodeSet(place.tree, _needed(place, "SignatureValue")), METHOD)
        stamps.append(tools.stamped(Digest.of(place.digest(), octets)))
        return declared(properties.signature_stamp(sheet.name(place, "stamp"), EXCLUSIVE, stamps[-1]))

    sheet.insert([stamped(place) for place in sheet.places])
    return stamps


def _needed(place: _Place, name: str) -> Any:
    found = place.signature.find(ds(name))
    if found is None:
        raise Unacceptable(f"the signature has no ds:{name}")
    return found


# Validation data.


def _all(node: Any, *names: str) -> Iterator[bytes]:
    for found in node.iter():
        if split(found.tag)[1] in names:
            try:
                yield octets_of(found)
            except Malformed:
                continue  # the verifier told of it before


def _collect(sheet: Sheet, tools: Tools) -> None:
    """What all signatures carry, into the tools' material."""
    for place in sheet.places:
        _collect_of(place, tools)


def _collect_of(place: _Place, tools: Tools) -> None:
    """What the signature carries, into the tools' material."""
    tools.material.add(_certs(place.signature), *_status(place.signature))
    for _, der in place.stamps():
        if (found := _token(der, tools)) is not None:
            tools.material.add_token(found)


def _certs(node: Any) -> list[Cert]:
    return [cert(der) for der in _all(node, "X509Certificate", "EncapsulatedX509Certificate")]


def _status(node: Any) -> tuple[list[Crl], list[Ocsp]]:
    lists = [Crl(der) for der in _all(node, "X509CRL", "EncapsulatedCRLValue")]
    answers = [o for der in _all(node, "EncapsulatedOCSPValue") if (o := ocsp_response(der)) is not None]
    return lists, answers


def _token(der: bytes, tools: Tools) -> Token | None:
    try:
        return token(der, tools.material.certs())
    except Malformed:
        return None


def _signers(place: _Place, tools: Tools) -> Iterator[Cert]:
    """Of the signature and of those that countersign it."""
    for signature in (place.signature, *place.signature.iter(ds("Signature"))):
        if (found := _signer(signature, tools)) is None:
            raise Unacceptable("the certificate of a signer is not in the document: give it with the certificates")
        yield found


def _signer(signature: Any, tools: Tools) -> Cert | None:
    """The certificate that the signed properties name by its digest, or else the one in ds:KeyInfo that issued none of the others there."""
    named = signature.find(f"{ds('Object')}/{{{XADES_132}}}QualifyingProperties/{{{XADES_132}}}SignedProperties")
    for digest in () if named is None else named.iter(f"{{{XADES_132}}}CertDigest"):
        method, value = digest.find(ds("DigestMethod")), digest.find(ds("DigestValue"))
        try:
            if value is not None and (used := digest_name(method)) is not None:
                said = octets_of(value)
                return next((c for c in tools.material.certs() if Digest.of(used, c.der).value == said), None)
        except Malformed:
            continue
    info = signature.find(ds("KeyInfo"))
    held = [] if info is None else _certs(info)
    return next((c for c in held if not any(o.issuer == c.subject for o in held if o != c)), None)


def _hold(sheet: Sheet, tools: Tools) -> None:
    """Clauses 5.4 and 5.5.1: of signers in CertificateValues and RevocationValues, where these do not stand there yet; of time-stamps, and what is
    missing otherwise, in TimeStampValidationData."""

    def held(place: _Place) -> str:
        there = _there(place, tools)
        own = without(tools.material.of(_signers(place, tools)), there)
        made: list[str] = []
        direct = Status(() if place.has("RevocationValues") else own.crls, () if place.has("RevocationValues") else own.ocsps, own.certs)
        if place.has("CertificateValues"):
            direct = Status(direct.crls, direct.ocsps)
        made += map(declared, properties.validation_values(direct))
        there = joined(there, direct)
        rest = without(own, there)
        for prop, der in place.stamps():
            if (found := _token(der, tools)) is None:
                continue
            rest = joined(rest, without(tools.material.of_token(found), there))
            if rest != Status():
                made.append(declared(properties.stamp_validation(prop.get("Id"), rest)))
                there, rest = joined(there, rest), Status()
        return "".join(made)

    sheet.insert([held(place) for place in sheet.places])


def _there(place: _Place, tools: Tools) -> Status:
    """What its unsigned properties and the tokens in them hold."""
    held = [Status(tuple(lists), tuple(answers), tuple(_certs(p))) for p in place.unsigned for lists, answers in (_status(p),)]
    tokens = [found for _, der in place.stamps() if (found := _token(der, tools)) is not None]
    held += [Status(t.crls, t.ocsps, t.certs) for t in tokens]
    made = Status()
    for one in held:
        made = joined(made, one)
    return made


def _archived(sheet: Sheet, imprint: Callable[[_Place], Digest], tools: Tools) -> list[Token]:
    """Clause 5.5.2, and what the new time-stamp's own chain needs, as far as the document has not got it."""
    stamps: list[Token] = []

    def archived_by(place: _Place) -> str:
        made, name = tools.stamped(imprint(place)), sheet.name(place, "archive")
        stamps.append(made)
        text = declared(properties.archive_stamp(name, EXCLUSIVE, made))
        rest = without(tools.material.of_token(made), _there(place, tools))
        return text + declared(properties.stamp_validation(name, rest)) if rest.certs else text

    sheet.insert([archived_by(place) for place in sheet.places])
    return stamps


def _imprint(place: _Place, detached: Sequence[Document]) -> Digest:
    """Clause 5.5.2.2: the data of each reference, ds:SignedInfo, ds:SignatureValue, ds:KeyInfo, the unsigned properties, the other ds:Objects."""
    used, bench = place.digest(), Bench()
    running = hasher(used)
    for reference in _needed(place, "SignedInfo").iterfind(ds("Reference")):
        for chunk in octets_of_reference(reference, place.tree, detached, METHOD, bench):
            running.update(chunk)
    for octets in _inside(place, bench):
        running.update(octets)
    return Digest(used, running.digest())


def _inside(place: _Place, bench: Bench) -> Iterator[bytes]:
    """What stands in the signature itself, in the order of the clause."""
    parts = [_needed(place, "SignedInfo"), _needed(place, "SignatureValue"), place.signature.find(ds("KeyInfo")), *place.unsigned]
    parts += [o for o in place.signature.iterfind(ds("Object")) if o is not place.qualifying.getparent()]
    for part in parts:
        if part is not None:
            yield bench.canonical(NodeSet(place.tree, part), METHOD)
