"""A ds:Signature from its parts (XML Signature, EN 319 132-1), at any level, wherever it will stand.

Under exclusive canonicalisation what is signed is the same everywhere, so that the signature is made by itself; under the inclusive ones it is made
at its place, with what it inherits there: declarations, xml:lang, xml:base.
"""

import base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from lxml import etree

from eseal.draft import Base64, Piece
from eseal.formats.xades import properties
from eseal.formats.xades.markup import EXCLUSIVE, algorithm, b64, digest_method, digested, element, values
from eseal.levels import NEEDS, Means, digest_for, later, material, signing_time, stamped, token_chain, without
from eseal.spec import Spec
from trust.algorithms import DIGESTS, XML_BY_SIGNATURE, Algorithm, hasher
from trust.codecs.xml import METHODS, NodeSet, Tree, canonicalize, parse
from trust.codecs.xml.names import DS, PSS, RSA_PSS, XADES_132, ds
from trust.errors import Malformed, Unacceptable
from trust.model import Cert, Digest, Document, Token
from trust.ports import Status

_SIGNED_PROPERTIES = "http://uri.etsi.org/01903#SignedProperties"
_PLACEHOLDER = "\x00"
"""In a text that is not parsed: where the document's own octets go."""


def _own_parser() -> etree.XMLParser:
    """For what was written here, of any size."""
    return etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)


@dataclass(frozen=True, slots=True)
class Part:
    """What a reference is of."""

    uri: str
    digest: Digest
    octets: Callable[[], Iterable[bytes]]
    """What the digest is of, again: an archive time-stamp covers it too."""
    mime: str
    """Empty: it is no data object that has a format."""
    transforms: tuple[str, ...] = ()
    """Elements."""
    kind: str | None = None
    """The reference's Type."""


@dataclass(frozen=True, slots=True)
class Held:
    """A document inside the signature, in a ds:Object, as base64."""

    document: Document
    name: str
    mime: str


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature that has been made."""

    pieces: tuple[Piece, ...]
    """Without an XML declaration."""
    value: bytes
    """As the key gave it: ECDSA's is DER here and r, s in the XML."""
    stamps: tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class _Sheet:
    """A signature as far as it has been written."""

    name: str
    c14n: str
    around: tuple[bytes, bytes]
    """What stands before and after it, where that matters."""
    codec: str
    key_info: str
    properties: str
    held: Held | None
    signed_info: str = ""
    value: str = ""
    unsigned: tuple[str, ...] = ()

    def with_property(self, *made: str) -> "_Sheet":
        return replace(self, unsigned=(*self.unsigned, *made))

    def text(self, content: str = "") -> bytes:
        """`content` is that of the ds:Object that holds a document."""
        later = element("xades:UnsignedProperties", element("xades:UnsignedSignatureProperties", *self.unsigned)) if self.unsigned else ""
        qualifying = element("xades:QualifyingProperties", self.properties, later, Target=f"#{self.name}")
        held = self.held
        inside = (
            self.signed_info,
            element("ds:SignatureValue", self.value, Id=f"{self.name}-value"),
            self.key_info,
            element("ds:Object", content, Id=held.name, MimeType=held.mime, Encoding=f"{DS}base64") if held else "",
            element("ds:Object", qualifying),
        )
        made = f'<ds:Signature xmlns:ds="{DS}" xmlns:xades="{XADES_132}" Id="{self.name}">{"".join(inside)}</ds:Signature>'
        return made.encode(self.codec, "xmlcharrefreplace")

    def pieces(self) -> tuple[Piece, ...]:
        if self.held is None:
            return (self.text(),)
        before, _, after = self.text(_PLACEHOLDER).partition(_PLACEHOLDER.encode())
        return before, Base64(0, self.held.document.size or 0), after

    def opened(self) -> "_Opened":
        """Parsed where it will stand, or by itself where that makes no difference."""
        if self.c14n == EXCLUSIVE:
            return _Opened(None, etree.fromstring(self.text(), _own_parser()), self.c14n)
        before, after = self.around
        tree = parse(before + self.text() + after)
        return _Opened(tree, tree.root[-1] if before else tree.root, self.c14n)


@dataclass(frozen=True, slots=True)
class _Opened:
    """A sheet's elements in their canonical form."""

    tree: Tree | None
    """None: the signature stands by itself."""
    signature: Any
    c14n: str

    def canonical(self, node: Any) -> bytes:
        if self.tree is None:
            # Of elements that inherit nothing, and that nobody else wrote; the check reads them by a canonicalisation of its own.
            return bytes(etree.tostring(node, method="c14n", exclusive=True, with_comments=False))
        return canonicalize(NodeSet(self.tree, node), METHODS[self.c14n])

    def child(self, name: str) -> bytes:
        return self.canonical(self.signature.find(ds(name)))

    def objects(self) -> list[Any]:
        """Those that hold no qualifying properties."""
        return list(self.signature.findall(ds("Object")))[:-1]

    def signed_properties(self) -> bytes:
        return self.canonical(self.signature.find(f"{ds('Object')}/{{{XADES_132}}}QualifyingProperties/{{{XADES_132}}}SignedProperties"))

    def unsigned(self) -> Iterator[bytes]:
        yield from map(self.canonical, self.signature.find(f".//{{{XADES_132}}}UnsignedSignatureProperties"))


def sign(
    parts: Sequence[Part],
    spec: Spec,
    means: Means,
    *,
    held: Held | None = None,
    around: tuple[bytes, bytes] = (b"", b""),
    codec: str = "utf-8",
    c14n: str = EXCLUSIVE,
) -> Signed:
    """A signature over `parts`, at the level of `spec`.

    `around` is the document before and after it, and `codec` one that the document's encoding agrees with. Unacceptable for a key without an
    identifier in XML, Unavailable when token or status is not to be had.
    """
    key, digest = means.key, digest_for(means.key.algorithm, spec.digest)
    at = signing_time(spec.claims.signing_time, means)
    name = name_of(parts, means)
    formats = [(f"{name}-r{i}", part.mime) for i, part in enumerate(parts) if part.mime]
    before = _stamped_before(parts, digest, means) if spec.claims.content_timestamp else None
    first = properties.content_stamp(f"{name}-content", c14n, before) if before else ""
    said = properties.signed_properties(f"{name}-properties", key.certificate, digest, at, spec.claims, formats, first)
    sheet = _Sheet(name, c14n, around, codec, _key_info((key.certificate, *key.chain)), said, held)
    own = sheet.opened().signed_properties()
    sheet = replace(sheet, signed_info=_signed_info(sheet, parts, Digest.of(digest, own), key.algorithm))
    value = key.sign(sheet.opened().child("SignedInfo"))
    sheet = replace(sheet, value=b64(_raw(value, key.algorithm, key.certificate)))
    sheet, stamps = _raised(sheet, parts, own, spec, means, before)
    return Signed(sheet.pieces(), value, stamps if before is None else (before, *stamps))


def _stamped_before(parts: Sequence[Part], digest: str, means: Means) -> Token:
    """EN 319 132-1 clause 5.2.8.1: a token over the data of each reference, one behind the other."""
    if len(parts) == 1 and parts[0].digest.algorithm == digest:
        return stamped(means.stamp, parts[0].digest)
    running = hasher(digest)
    for part in parts:
        for chunk in part.octets():
            running.update(chunk)
    return stamped(means.stamp, Digest(digest, running.digest()))


def name_of(parts: Sequence[Part], means: Means) -> str:
    """An Id that no other signature in the document has, without chance: of what is signed, by whom and when."""
    told = b"".join((*(p.digest.value for p in parts), means.key.certificate.der, means.now.isoformat().encode()))
    return f"seal-{Digest.of('sha256', told).value[:12].hex()}"


def _key_info(chain: Sequence[Cert]) -> str:
    """The signer's certificates; a self-signed root is left to those who trust it."""
    shown = [c for c in chain if c.subject != c.issuer or c == chain[0]]
    return element("ds:KeyInfo", element("ds:X509Data", values("ds:X509Certificate", dict.fromkeys(c.der for c in shown))))


def _signed_info(sheet: _Sheet, parts: Sequence[Part], own: Digest, signing: Algorithm) -> str:
    references = [
        element("ds:Reference", _transforms(p.transforms), digested(p.digest), Id=f"{sheet.name}-r{i}", Type=p.kind, URI=p.uri)
        for i, p in enumerate(parts)
    ]
    to_properties = element(
        "ds:Reference",
        _transforms((algorithm("ds:Transform", sheet.c14n),)),
        digested(own),
        Type=_SIGNED_PROPERTIES,
        URI=f"#{sheet.name}-properties",
    )
    return element("ds:SignedInfo", algorithm("ds:CanonicalizationMethod", sheet.c14n), signature_method(signing), *references, to_properties)


def _transforms(transforms: Sequence[str]) -> str:
    return element("ds:Transforms", *transforms) if transforms else ""


def signature_method(signing: Algorithm) -> str:
    """RFC 9231 section 2.3: by one identifier where there is one, RSASSA-PSS otherwise with its parameters (section 2.3.9)."""
    uri = XML_BY_SIGNATURE.get(signing)
    if uri is not None:
        return algorithm("ds:SignatureMethod", uri)
    if signing.scheme == "rsa-pss" and signing.digest in DIGESTS and signing.salt is not None:
        mask = element("pss:MaskGenerationFunction", digest_method(signing.mgf_digest or signing.digest), Algorithm=f"{PSS}MGF1")
        salt, trailer = element("pss:SaltLength", str(signing.salt)), element("pss:TrailerField", "1")
        named = element("pss:RSAPSSParams", digest_method(signing.digest), mask, salt, trailer)
        return algorithm("ds:SignatureMethod", RSA_PSS, named.replace(">", f' xmlns:pss="{PSS}">', 1))
    raise Unacceptable(f"{signing} has no identifier in XML")


def _raw(value: bytes, signing: Algorithm, certificate: Cert) -> bytes:
    """XML Signature 1.1 clause 6.4.3: r and s side by side, each as long as the group's order."""
    if signing.scheme != "ecdsa":
        return value
    public = certificate.public_key
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise Malformed("seal certificate holds another kind of key than its algorithm says")
    size = (public.curve.key_size + 7) // 8
    r, s = decode_dss_signature(value)
    return r.to_bytes(size) + s.to_bytes(size)


def _raised(sheet: _Sheet, parts: Sequence[Part], own: bytes, spec: Spec, means: Means, before: Token | None) -> tuple[_Sheet, tuple[Token, ...]]:
    """With the unsigned properties that the level needs (EN 319 132-1 clause 6.3), and the tokens in them; `before` is that over the content."""
    needs, key, digest = NEEDS[spec.level], means.key, digest_for(means.key.algorithm, spec.digest)
    if not needs.stamp:
        return sheet, ()
    over, name = sheet.opened().child("SignatureValue"), f"{sheet.name}-stamp"
    token = stamped(means.stamp, Digest.of(digest, over))
    sheet = sheet.with_property(properties.signature_stamp(name, sheet.c14n, token))
    if not needs.status:
        return sheet, (token,)
    found = material([(key.certificate, *key.chain)], means.status)
    units = [token_chain(t, key.chain) for t in (token, before) if t is not None]
    of_stamp = without(material(units, means.status), found)
    sheet = sheet.with_property(*properties.validation_values(found))
    if of_stamp != Status():
        sheet = sheet.with_property(properties.stamp_validation(name, of_stamp))
    if not needs.archive:
        return sheet, (token,)
    archive = stamped(means.stamp, _archived(sheet, parts, own, digest))
    name = f"{sheet.name}-archive"
    sheet = sheet.with_property(properties.archive_stamp(name, sheet.c14n, archive))
    known = Status(found.crls + of_stamp.crls, found.ocsps + of_stamp.ocsps, found.certs + of_stamp.certs)
    rest = without(later(archive, known, means.status), known)
    if rest != Status():
        sheet = sheet.with_property(properties.stamp_validation(name, rest))
    return sheet, (token, archive)


def _archived(sheet: _Sheet, parts: Sequence[Part], own: bytes, digest: str) -> Digest:
    """Clause 5.5.2.2: the data of each reference, ds:SignedInfo, ds:SignatureValue, ds:KeyInfo, the unsigned properties, the other ds:Objects."""
    running, opened = hasher(digest), sheet.opened()
    for part in parts:
        for chunk in part.octets():
            running.update(chunk)
    running.update(own)
    for name in ("SignedInfo", "SignatureValue", "KeyInfo"):
        running.update(opened.child(name))
    for octets in opened.unsigned():
        running.update(octets)
    for holder in opened.objects():
        for octets in _filled(opened.canonical(holder), sheet.held):
            running.update(octets)
    return Digest(digest, running.digest())


def _filled(canonical: bytes, held: Held | None) -> Iterator[bytes]:
    """A ds:Object's canonical form with the document in it, which was not there when it was parsed."""
    end = b"</ds:Object>"
    yield canonical.removesuffix(end)
    if held is not None:
        yield from _base64(held.document)
    yield end


def _base64(document: Document) -> Iterator[bytes]:
    rest = b""
    for chunk in document.chunks():
        data = rest + chunk
        whole = len(data) - len(data) % 3
        rest = data[whole:]
        yield base64.b64encode(data[:whole])
    yield base64.b64encode(rest)
