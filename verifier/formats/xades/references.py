"""References resolved (XML Signature clause 4.4.3): the bytes that each digest is of, and what of the document they are.

Same-document references go by Id, empty URI and the two XPointers of clause 4.4.3.3; everything else is a companion's name, given to the caller's
function. Nothing is ever fetched.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from trust.codecs import asn1
from trust.codecs.xml import Method, NodeSet, Tree, canonicalize, id_of
from trust.codecs.xml.names import BASE64, COUNTERSIGNED_TYPE, ENVELOPED, FILTER2, MANIFEST_TYPE, OBJECT_TYPE, XPATH, digest_name, ds, octets_of
from trust.codecs.xml.transforms import MAX_TRANSFORMS, Bench, Data, apply, octets
from trust.codecs.xml.xpath import Budget
from trust.errors import Malformed, Unacceptable
from trust.model import Cert, Defect, Digest, Document, Reference, Scope
from verifier.formats.xades.structure import MAX_REFERENCES, SIGNED_PROPERTIES_TYPE, Frame

Resolve = Callable[[str | None], Document | None]
"""The companion of this name, percent-decoded; None as the name where the reference has no URI and the application knows. None: not there."""

MAX_COMPANION: Final = 64 << 20
"""Bytes of a companion that must be transformed, and so held whole."""
_XPOINTER_ROOT: Final = "#xpointer(/)"
_XPOINTER_ID: Final = re.compile(r"#xpointer\(\s*id\(\s*(?:'([^']*)'|\"([^\"]*)\")\s*\)\s*\)")


class Exhausted(Malformed):
    """The document as a whole asks for too much: never a matter of one reference alone."""


class _Absent(Malformed):
    """The companion was not given: nothing is wrong with the signature, and nothing is checked."""


class _Spoilt(Malformed):
    """What the reference leads to is there, and its transforms cannot be applied to it."""


class Missing(Unacceptable):
    """The data of a reference are not there."""


class Work(Bench):
    """How much one document may ask for: what bounds the time, because every reference and every stamp may canonicalise it anew."""

    FLOOR: Final = 96 << 20
    FACTOR: Final = 24
    ELEMENT: Final = 100
    """An element costs as much time as so many octets."""
    STEPS: Final = 1_000_000
    """Of XPath."""
    KEPT: Final = 16 << 20
    """Octets of canonical forms that are kept for the next who asks."""
    HASHING: Final = 8
    """How much faster octets are hashed than made."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.budget = Budget(self.STEPS)
        self.left = self.FLOOR + self.FACTOR * size
        self.kept: dict[tuple[Any, ...], bytes] = {}
        self.room = self.KEPT

    def canonical(self, nodes: NodeSet, method: Method) -> bytes:
        key = (nodes.tree, nodes.apex, nodes.comments, nodes.hidden, method)
        if nodes.chosen is None and key in self.kept:
            self.spend(len(self.kept[key]) // self.HASHING)
            return self.kept[key]
        made = canonicalize(nodes, method)
        self.spend(len(made) + self.ELEMENT * made.count(b"</"))
        if nodes.chosen is None and len(made) <= self.room:
            self.room -= len(made)
            self.kept[key] = made
        return made

    def spend(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise Exhausted("signatures ask for the same data over and over: more than the limit")


@dataclass(frozen=True, eq=False)
class Reach:
    """Where references may lead."""

    work: Work
    by_name: Resolve
    by_digest: Callable[[Digest], Document | None] | None = None
    """For companions that were renamed: what is signed is the content."""
    certs: tuple[Cert, ...] = ()
    """Candidates for signers, given beside the document."""
    untyped: bool = False
    """Makers of these files leave out what a reference is to (OpenDocument)."""


@dataclass(frozen=True, eq=False)
class Resolved:
    """A reference with what it is of."""

    element: Any
    reference: Reference
    type: str
    nodes: NodeSet | None = None
    """What of this document it covers, before canonicalisation; None for a companion."""
    target: Any | None = None
    """The element that the URI names; the root for the whole document."""
    document: Document | None = None
    data: Data | None = None
    """After the transforms: a node set where none of them made octets. None where there are no bytes."""
    text_only: bool = False
    """A base64 transform strips tags: attributes and structure are not covered."""
    defects: tuple[Defect, ...] = ()
    entries: tuple["Resolved", ...] = ()
    """Of a manifest."""
    absent: bool = False
    """It is to a companion that was not given."""
    entry: bool = False
    """It stands in a manifest."""

    @property
    def id(self) -> str | None:
        return id_of(self.element)

    def reaches(self, element: Any | None) -> bool:
        """Whether it was found and covers this element of the document whole."""
        return element is not None and self.reference.found and not self.text_only and self.nodes is not None and self.nodes.holds(element)

    @property
    def sound(self) -> bool:
        return self.reference.found and self.reference.intact

    def bytes_under(self, canonical: Callable[[NodeSet], bytes]) -> Iterable[bytes]:
        """EN 319 132-1 clause 5.5.2.2, 2): the reference's data, a node set canonicalised by the stamp's own method."""
        if isinstance(self.data, NodeSet):
            yield canonical(self.data)
        elif isinstance(self.data, bytes):
            yield self.data
        elif self.document is not None and self.document.readable:
            yield from self.document.chunks()
        else:
            raise Missing("data of a reference are not there")

    @property
    def available(self) -> bool:
        return self.data is not None or (self.document is not None and self.document.readable)


def resolve_all(frame: Frame, reach: Reach) -> tuple[Resolved, ...]:
    """The references of a signature in their order, manifests' entries inside them."""
    outside = sum(not _is_internal(r.get("URI")) for r in frame.references)
    alone = outside == 1
    resolved = []
    budget = MAX_REFERENCES
    for element in frame.references:
        one = _resolved(frame, element, reach, alone=alone)
        if one.type == MANIFEST_TYPE and one.target is not None and one.reaches(one.target):
            entries = list(one.target.iterchildren(ds("Reference")))
            budget -= len(entries)
            if budget < 0:
                raise Malformed(f"at most {MAX_REFERENCES} manifest entries expected in a signature")
            one = replace(one, entries=tuple(_resolved(frame, e, reach, alone=False, entry=True) for e in entries))
        resolved.append(one)
    return tuple(resolved)


def _is_internal(uri: str | None) -> bool:
    return uri is not None and (not uri or uri.startswith("#"))


def _resolved(frame: Frame, element: Any, reach: Reach, *, alone: bool, entry: bool = False) -> Resolved:
    uri, kind = element.get("URI"), element.get("Type", "")
    digest, flaws = _signed_digest(element)
    name = "whole document" if uri == "" else asn1.printable(uri or id_of(element) or "companion", 120)
    transforms = _transforms(element)
    try:
        if transforms is None:
            raise Malformed("reference has more than one ds:Transforms")
        if len(transforms) > MAX_TRANSFORMS:
            raise Unacceptable(f"at most {MAX_TRANSFORMS} transforms expected")
        if _is_internal(uri):
            found = _inside(_Asked(element, uri, "" if entry else kind, name, transforms), frame, reach.work)
        else:
            found = _outside(_Asked(element, uri, kind, name, transforms), digest, reach, alone=alone)
    except Exhausted:
        raise
    except (Malformed, Unacceptable) as error:
        # Not fatal: found and intact say it already (EN 319 102-1 clause 5.2.7: SIGNED_DATA_NOT_FOUND, HASH_FAILURE).
        lost = Reference(name, found=isinstance(error, _Spoilt), intact=False, digest=digest, uri=uri)
        why = Defect("XML Signature clause 4.4.3", str(error), fatal=False)
        return Resolved(element, lost, kind, defects=(*flaws, why), absent=isinstance(error, _Absent), entry=entry)
    made = _made_digest(found, digest, reach.work)
    # Of a companion known by other digests than the signed one nothing can be said.
    unknown = digest is not None and made is None and found.data is None
    reference = replace(found.reference, found=not unknown, intact=digest is not None and made == digest, digest=digest, uri=uri)
    return replace(found, reference=reference, defects=flaws)


def _signed_digest(element: Any) -> tuple[Digest | None, tuple[Defect, ...]]:
    methods, values = list(element.iterchildren(ds("DigestMethod"))), list(element.iterchildren(ds("DigestValue")))
    if len(methods) != 1 or len(values) != 1:
        return None, (Defect("XML Signature clause 4.4.3", "reference has not one ds:DigestMethod and one ds:DigestValue", fatal=False),)
    algorithm = digest_name(methods[0])
    if algorithm is None:
        return None, (Defect("XML Signature clause 4.4.3.5", "digest method is unknown here", fatal=False),)
    try:
        return Digest(algorithm, octets_of(values[0])), ()
    except Malformed:
        return None, (Defect("XML Signature clause 4.4.3.6", "ds:DigestValue is not base64", fatal=False),)


def _transforms(element: Any) -> list[Any] | None:
    holders = list(element.iterchildren(ds("Transforms")))
    if len(holders) > 1:
        return None
    return list(holders[0].iterchildren(ds("Transform"))) if holders else []


def _made_digest(found: Resolved, signed: Digest | None, work: Work) -> Digest | None:
    if signed is None:
        return None
    try:
        if found.data is None:
            return found.document.digest(signed.algorithm) if found.document is not None else None
        made = octets(found.data, work)
        if not made and found.nodes is not None:
            return None
        return Digest.of(signed.algorithm, made)
    except Exhausted:
        raise
    except (Malformed, Unacceptable):
        return None


@dataclass(frozen=True, eq=False)
class _Asked:
    """A ds:Reference as it stands."""

    element: Any
    uri: str | None
    kind: str
    name: str
    transforms: list[Any]


def _inside(asked: _Asked, frame: Frame, work: Work) -> Resolved:
    """Clause 4.4.3.3: a reference into this document. Bare names and the empty URI leave comments out, XPointers keep them."""
    tree = frame.tree
    target, comments = _target(tree, asked.uri or "")
    nodes = NodeSet(tree, None if target is None else target, comments)
    _refuse_foreign(frame, asked.kind, tree.root if target is None else target)
    covered: NodeSet | None = nodes
    data: Data = nodes
    text_only = False
    for transform in asked.transforms:
        algorithm = transform.get("Algorithm")
        if isinstance(data, bytes) and algorithm in _NARROWING:
            covered = None
        try:
            data = apply((transform,), data, work)
        except Exhausted:
            raise
        except (Malformed, Unacceptable) as error:
            raise _Spoilt(str(error)) from error
        if isinstance(data, bytes):
            text_only = text_only or algorithm == BASE64
        elif data.tree is tree:
            covered = data
    whole = (target is None or target is tree.root) and covered is not None and _but_signatures(covered)
    scope = (
        Scope.MANIFEST
        if asked.kind == MANIFEST_TYPE
        else Scope.COUNTERSIGNED
        if asked.kind == COUNTERSIGNED_TYPE
        else Scope.FULL
        if whole
        else Scope.PARTIAL
    )
    found = Reference(asked.name, found=True, intact=False, scope=scope)
    return Resolved(asked.element, found, asked.kind, covered, tree.root if target is None else target, data=data, text_only=text_only)


def _but_signatures(nodes: NodeSet) -> bool:
    """Whether nothing but signatures is left out: more signatures may stand beside."""
    return nodes.chosen is None and all(h.tag == ds("Signature") for h in nodes.hidden)


_NARROWING: Final = frozenset((XPATH, FILTER2, ENVELOPED, BASE64))
"""After octets these work on another document, parsed anew: what they leave of this one cannot be told, and so counts as nothing."""


def _target(tree: Tree, uri: str) -> tuple[Any | None, bool]:
    """(element, or None for the document; whether comments belong to the set)."""
    if not uri:
        return None, False
    if uri == _XPOINTER_ROOT:
        return None, True
    comments = uri.startswith("#xpointer(")
    if comments:
        match = _XPOINTER_ID.fullmatch(uri)
        if match is None:
            raise Unacceptable("xpointer is neither / nor one id()")
        name = match[1] or match[2] or ""
    else:
        name = _decoded(uri[1:])
    bearers = tree.by_id(name) or tree.by_id(uri[1:])
    if len(bearers) != 1:
        raise Malformed("reference names an id that no element bears" if not bearers else "reference names an id that several elements bear")
    return bearers[0], comments


def _refuse_foreign(frame: Frame, kind: str, target: Any) -> None:
    """A Type that speaks of a part of this signature may not lead to another's, nor to a copy elsewhere: so it is with wrapping."""
    if kind == SIGNED_PROPERTIES_TYPE[frame.namespace] and target is not frame.signed_properties:
        raise Malformed("reference of type SignedProperties leads elsewhere than to this signature's SignedProperties")
    if kind == OBJECT_TYPE and target not in frame.objects and not _own_property(frame, target):
        raise Malformed("reference of type Object leads elsewhere than to a ds:Object of this signature")
    if kind == MANIFEST_TYPE and not (target.tag == ds("Manifest") and target.getparent() in frame.objects):
        raise Malformed("reference of type Manifest leads elsewhere than to a ds:Manifest of this signature")


def _own_property(frame: Frame, target: Any) -> bool:
    """ds:KeyInfo, or ds:SignatureProperties or one of them, of this signature: makers give them the type Object too."""
    if target is frame.key_info:
        return target is not None
    return target.tag in (ds("SignatureProperties"), ds("SignatureProperty")) and any(o in target.iterancestors() for o in frame.objects)


def _outside(asked: _Asked, digest: Digest | None, reach: Reach, *, alone: bool) -> Resolved:
    """A companion; one that stands alone is meant by the only reference that leads outside, whatever it is called there."""
    uri = asked.uri
    document = reach.by_name(None) if uri is None else reach.by_name(_decoded(uri)) or reach.by_name(uri)
    if document is None and digest is not None and reach.by_digest is not None:
        document = reach.by_digest(digest)
    if document is None and alone and uri is not None:
        document = reach.by_name(None)
    if document is None:
        raise _Absent("companion that the reference names is not there")
    found = Reference(asked.name, found=True, intact=False, scope=Scope.FULL if document.readable else Scope.DIGEST)
    if not asked.transforms:
        return Resolved(asked.element, found, asked.kind, document=document)
    if not document.readable:
        raise Malformed("companion is to be transformed, and only its digest is known")
    if document.size is not None and document.size > MAX_COMPANION:
        raise Malformed(f"companion that is to be transformed is larger than {MAX_COMPANION} bytes")
    with document.open() as stream:
        octets_there = stream.read(MAX_COMPANION + 1)
    try:
        data = apply(asked.transforms, octets_there, reach.work)
    except Exhausted:
        raise
    except (Malformed, Unacceptable) as error:
        raise _Spoilt(str(error)) from error
    if any(t.get("Algorithm") in (XPATH, FILTER2) for t in asked.transforms):
        found = replace(found, scope=Scope.PARTIAL)
    return Resolved(asked.element, found, asked.kind, document=document, data=data)


def _decoded(uri: str) -> str:
    """RFC 3986 clause 2.1, UTF-8; the name itself where that fails."""
    try:
        return unquote_to_bytes(uri).decode()
    except UnicodeDecodeError:
        return uri


def companions(detached: Iterable[Document]) -> Resolve:
    """Companions by name, and the only one where a reference has no name."""
    given = tuple(detached)
    named: Mapping[str | None, Document] = {d.name: d for d in reversed(given)}

    def resolve(name: str | None) -> Document | None:
        if name is None:
            return given[0] if len(given) == 1 else None
        return named.get(name)

    return resolve


def by_content(detached: Iterable[Document]) -> Callable[[Digest], Document | None]:
    """Companions by what they hold."""
    given = tuple(detached)

    def find(digest: Digest) -> Document | None:
        for document in given:
            try:
                if document.digest(digest.algorithm) == digest:
                    return document
            except Unacceptable:
                return None
        return None

    return find
