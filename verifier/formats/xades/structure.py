"""Where the parts of a ds:Signature stand (XML Signature clause 4, EN 319 132-1 clause 4.3): found once, by place and never by search.

Whatever stands elsewhere is not part of the signature, however it is called: that is what signature wrapping lives on.
"""

import functools
from dataclasses import dataclass, field, replace
from typing import Any, Final

from trust.algorithms import Algorithm
from trust.codecs.xml import Method, NodeSet, Tree, canonicalize, id_of, method_of
from trust.codecs.xml.names import (
    XADES_111,
    XADES_122,
    XADES_132,
    XADES_141,
    der_signature,
    ds,
    octets_of,
    signature_algorithm,
    sloppy,
    split,
)
from trust.errors import Malformed
from trust.model import Defect, Id, identify

NAMESPACES: Final = (XADES_132, XADES_122, XADES_111)
"""Of QualifyingProperties; 1.4.1 adds properties and has no container of its own."""
SIGNED_PROPERTIES_TYPE: Final = {
    XADES_132: "http://uri.etsi.org/01903#SignedProperties",
    XADES_122: "http://uri.etsi.org/01903/v1.2.2#SignedProperties",
    XADES_111: "http://uri.etsi.org/01903/v1.1.1#SignedProperties",
}
MAX_SIGNATURES: Final = 500
MAX_REFERENCES: Final = 20_000
"""Of one signature, manifests included: a dataset of ten thousand files with room."""
MAX_PROPERTIES: Final = 2_000


@dataclass(frozen=True, eq=False)
class Frame:
    """One ds:Signature and its parts. What is missing or doubled is a Defect, and the part is None."""

    tree: Tree
    element: Any
    signed_info: Any | None
    method: Method | None
    """Canonicalisation of SignedInfo; None where unknown."""
    algorithm: Algorithm | None
    digest_uri: str
    signature_value: Any | None
    key_info: Any | None
    references: tuple[Any, ...]
    objects: tuple[Any, ...]
    namespace: str = XADES_132
    qualifying: Any | None = None
    signed_properties: Any | None = None
    master: "Frame | None" = None
    """The signature in whose CounterSignature property this one stands."""
    defects: tuple[Defect, ...] = ()
    signed: bytes = field(default=b"", repr=False)
    """SignedInfo in its canonical form."""
    value: bytes = field(default=b"", repr=False)
    raw_value: bytes = field(default=b"", repr=False)

    @property
    def id(self) -> Id:
        """Of SignedInfo and the signature value: what stamps over this signature cover."""
        return identify(self.signed + self.raw_value)

    @property
    def name(self) -> str | None:
        return id_of(self.element)

    def x(self, name: str) -> str:
        """The name in the XAdES namespace that this signature uses."""
        return f"{{{self.namespace}}}{name}"

    def signed_property(self, *names: str) -> tuple[Any, ...]:
        """SignedSignatureProperties of these names, or of version 1.4.1."""
        return tuple(element for name, element in self._signature_properties if name in names)

    def data_property(self, *names: str) -> tuple[Any, ...]:
        """SignedDataObjectProperties of these names."""
        return tuple(element for name, element in self._data_properties if name in names)

    @functools.cached_property
    def _signature_properties(self) -> tuple[tuple[str, Any], ...]:
        return self._properties("SignedSignatureProperties")

    @functools.cached_property
    def _data_properties(self) -> tuple[tuple[str, Any], ...]:
        return self._properties("SignedDataObjectProperties")

    @functools.cached_property
    def unsigned(self) -> tuple[Any, ...]:
        """UnsignedSignatureProperties in their order."""
        if self.qualifying is None:
            return ()
        holders = [h for u in _children(self.qualifying, self.x("UnsignedProperties")) for h in _children(u, self.x("UnsignedSignatureProperties"))]
        found = tuple(p for h in holders for p in h.iterchildren("*"))
        if len(found) > MAX_PROPERTIES:
            raise Malformed(f"at most {MAX_PROPERTIES} unsigned properties expected in a signature")
        return found

    def unsigned_property(self, *names: str) -> tuple[Any, ...]:
        """Unsigned properties of these names in this signature's XAdES namespace or that of 1.4.1."""
        return tuple(p for p in self.unsigned if self.is_property(p, *names))

    def is_property(self, element: Any, *names: str) -> bool:
        space, name = split(element.tag)
        return name in names and space in (self.namespace, XADES_141)

    def _properties(self, group: str) -> tuple[tuple[str, Any], ...]:
        """Those of a group of signed properties that are in this signature's XAdES namespace or that of 1.4.1, by their local names."""
        if self.signed_properties is None:
            return ()
        found = ((split(c.tag), c) for g in _children(self.signed_properties, self.x(group)) for c in g.iterchildren("*"))
        return tuple((name, element) for (space, name), element in found if space in (self.namespace, XADES_141))


def _children(element: Any, tag: str) -> list[Any]:
    return list(element.iterchildren(tag))


def find(tree: Tree) -> list[Any]:
    """The ds:Signature elements that are signatures of this document, in order; counter-signatures in their property are found from there.

    One that stands among the qualifying properties of another (a signed assertion of a role, an XML time-stamp) is that property's business.
    """
    found = [element for element in tree.root.iter(ds("Signature")) if not _inside_properties(element)]
    if len(found) > MAX_SIGNATURES:
        raise Malformed(f"at most {MAX_SIGNATURES} signatures expected in a document, got {len(found)}")
    return found


def _inside_properties(element: Any) -> bool:
    qualified = False
    for ancestor in element.iterancestors("*"):
        if ancestor.tag == ds("Signature"):
            return qualified
        qualified = qualified or split(ancestor.tag)[0] in (*NAMESPACES, XADES_141)
    return False


def counter_signatures(frame: Frame) -> list[Any]:
    """EN 319 132-1 clause 5.2.7.2: the ds:Signature in each CounterSignature property."""
    return [s for p in frame.unsigned_property("CounterSignature") for s in _children(p, ds("Signature"))]


class _Parts:
    """Children by name, with what is missing or doubled written down."""

    def __init__(self) -> None:
        self.defects: list[Defect] = []

    def one(self, parent: Any | None, name: str, *, optional: bool = False) -> Any | None:
        found = [] if parent is None else _children(parent, ds(name))
        if len(found) == 1 or (not found and optional):
            return found[0] if found else None
        if parent is not None:
            self.add("XML Signature clause 4.1", f"one ds:{name} expected, got {len(found)}")
        return None

    def add(self, clause: str, why: str, *, fatal: bool = True) -> None:
        self.defects.append(Defect(clause, why, fatal))

    def refuse(self, clause: str, why: str) -> None:
        self.defects.append(Defect(clause, why, fatal=False, refused=True))


def frame(tree: Tree, element: Any, master: Frame | None = None) -> Frame:
    """The parts of one ds:Signature."""
    parts = _Parts()
    signed_info = parts.one(element, "SignedInfo")
    value_element = parts.one(element, "SignatureValue")
    key_info = parts.one(element, "KeyInfo", optional=True)
    c14n, scheme = parts.one(signed_info, "CanonicalizationMethod"), parts.one(signed_info, "SignatureMethod")
    references = tuple(_children(signed_info, ds("Reference"))) if signed_info is not None else ()
    if len(references) > MAX_REFERENCES:
        raise Malformed(f"at most {MAX_REFERENCES} references expected in a signature, got {len(references)}")
    if signed_info is not None and not references:
        parts.add("XML Signature clause 4.4", "ds:SignedInfo has no ds:Reference")
    if sum(r.get("URI") is None for r in references) > 1:
        parts.refuse("XML Signature clause 4.4.3.1", "more than one reference does not say to what it is")
    method = method_of(c14n) if c14n is not None else None
    if c14n is not None and method is None:
        parts.add("XML Signature clause 4.4.1", "canonicalization of ds:SignedInfo is not one that is applied here")
    algorithm = signature_algorithm(scheme) if scheme is not None else None
    if scheme is not None and algorithm is None:
        parts.add("XML Signature clause 4.4.2", "signature method is unknown here, or proves no origin")
    raw = b""
    if value_element is not None:
        try:
            raw = octets_of(value_element)
            if sloppy(value_element):
                parts.refuse("XML Schema part 2 clause 3.2.16", "ds:SignatureValue has unused bits that are not zero")
        except Malformed:
            parts.add("XML Signature clause 4.2", "ds:SignatureValue is not base64")
    signed = canonicalize(NodeSet(tree, signed_info), method) if signed_info is not None and method is not None else b""
    bare = Frame(
        tree,
        element,
        signed_info,
        method,
        algorithm,
        scheme.get("Algorithm", "") if scheme is not None else "",
        value_element,
        key_info,
        references,
        tuple(_children(element, ds("Object"))),
        master=master,
        signed=signed,
        value=der_signature(algorithm, raw),
        raw_value=raw,
    )
    return _qualified(bare, parts)


_SINGLE: Final = (
    ("SigningTime",),
    ("SigningCertificate", "SigningCertificateV2"),
    ("SignaturePolicyIdentifier",),
    ("SignatureProductionPlace", "SignatureProductionPlaceV2"),
    ("SignerRole", "SignerRoleV2"),
)
"""Signed properties that say one thing (EN 319 132-1 clause 5.2, TS 101 903 clause 7.2): of two, programs believe one or the other."""


def _once(qualifying: Any, namespace: str, parts: _Parts) -> None:
    clause, space = "EN 319 132-1 clause 4.3.4", f"{{{namespace}}}"
    for group in ("SignedSignatureProperties", "SignedDataObjectProperties"):
        holders = [g for s in _children(qualifying, f"{space}SignedProperties") for g in _children(s, space + group)]
        if len(holders) > 1:
            parts.add(clause, f"at most one {group} expected, got {len(holders)}")
        for names in _SINGLE if group == "SignedSignatureProperties" else ():
            count = sum(split(c.tag)[1] in names for g in holders for c in g.iterchildren("*"))
            if count > 1:
                parts.refuse(clause, f"at most one {names[0]} expected, got {count}")


def _qualified(bare: Frame, parts: _Parts) -> Frame:
    """EN 319 132-1 clause 4.3: QualifyingProperties is a child of a ds:Object of this signature and its Target names this signature."""
    found = [q for o in bare.objects for q in o.iterchildren("*") if split(q.tag)[1] == "QualifyingProperties" and split(q.tag)[0] in NAMESPACES]
    if len(found) > 1:
        parts.add("EN 319 132-1 clause 4.4.1", f"one QualifyingProperties expected in a signature, got {len(found)}")
    if not found:
        return replace(bare, defects=tuple(parts.defects))
    qualifying = found[0]
    namespace = split(qualifying.tag)[0]
    target, own = qualifying.get("Target"), bare.name
    if target is None:
        parts.add("EN 319 132-1 clause 4.3.1", "QualifyingProperties has no Target", fatal=namespace == XADES_132)
    elif own is None or target != f"#{own}":
        # deviates: makers of older versions have left the # out, and others mistaken capitals; harmless where no other element bears that name.
        meant = (
            own is not None
            and (namespace != XADES_132 or target.startswith("#"))
            and target.removeprefix("#").lower() == own.lower()
            and not set(bare.tree.by_id(target.removeprefix("#"))) - {bare.element}
        )
        parts.add("EN 319 132-1 clause 4.3.1", "Target of QualifyingProperties is not this signature's Id", fatal=not meant)
    elif len(bare.tree.by_id(own)) > 1:
        parts.add("EN 319 132-1 clause 4.3.1", "Id of the signature is borne by more than one element")
    _once(qualifying, namespace, parts)
    signed = _children(qualifying, f"{{{namespace}}}SignedProperties")
    unsigned = _children(qualifying, f"{{{namespace}}}UnsignedProperties")
    for name, elements in (("SignedProperties", signed), ("UnsignedProperties", unsigned)):
        if len(elements) > 1:
            parts.add("EN 319 132-1 clause 4.3.2", f"at most one {name} expected, got {len(elements)}")
    return replace(
        bare,
        namespace=namespace,
        qualifying=qualifying,
        signed_properties=signed[0] if len(signed) == 1 else None,
        defects=tuple(parts.defects),
    )
