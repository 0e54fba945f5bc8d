"""XAdES (EN 319 132-1): enveloped in an XML document, or any file attached (enveloping) or detached, at B-B to B-LTA."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from urllib.parse import quote

from eseal.draft import Draft, Span
from eseal.formats.xades import enveloped
from eseal.formats.xades.markup import CANONICAL, algorithm
from eseal.formats.xades.signature import Held, Part, Signed, name_of, sign
from eseal.levels import Means, digest_for
from eseal.spec import Packaging, Spec
from trust.codecs.xml import MAX_BYTES, METHODS, NodeSet, canonicalize, parse
from trust.codecs.xml.names import BASE64, ENVELOPED, OBJECT_TYPE
from trust.errors import Malformed, TooLarge, Unacceptable
from trust.model import Digest, Document

MOST_ATTACHED = 7_000_000
"""Bytes of an attached document: readers of XML take at most 10 MB of text in one piece, and base64 needs a third more."""

MOST_REFERENCES = 19_000
"""Documents of a signature: readers take 20,000 references, and one is to the signed properties."""

_ANYTHING, _XML = "application/octet-stream", "application/xml"
_DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'


def seal(document: Document, spec: Spec, means: Means, more: Sequence[Document] = ()) -> Draft:
    """EN 319 132-1 clause 6; detached over several documents, each by a reference of its own.

    A detached document is read once, of any size; an attached one has at most MOST_ATTACHED bytes; an enveloping one is parsed: Malformed when it
    is no XML that this parser takes, Unacceptable when it leaves no place for a signature or has one that forbids another. Unacceptable for a key
    without an identifier in XML, Unavailable when the authority gives no token or status is not to be had.
    """
    if spec.packaging is not Packaging.DETACHED and any(d.size is None for d in (document, *more)):
        raise Malformed("only digests of this document are known")
    c14n = CANONICAL[spec.canonicalization]
    if spec.packaging is Packaging.DETACHED:
        return _detached((document, *more), spec, means, c14n)
    if more:
        raise Unacceptable(f"an {spec.packaging} xades seals one document, got {1 + len(more)}; several are sealed detached")
    return _PACKED[spec.packaging](document, spec, means, c14n)


def _detached(documents: Sequence[Document], spec: Spec, means: Means, c14n: str) -> Draft:
    """The octets as they are, XML or not: no transform."""
    if len(documents) > MOST_REFERENCES:
        raise Unacceptable(f"a xades signature is over at most {MOST_REFERENCES} documents, got {len(documents)}")
    names = [quote(d.name or "document", safe="" if len(documents) == 1 else "/") for d in documents]
    if len(set(names)) < len(names):
        raise Unacceptable("of several documents each has a name of its own")
    parts = [Part(name, _digest(d, spec, means), d.chunks, _media_type(d, _ANYTHING)) for name, d in zip(names, documents, strict=True)]
    return _drafted(sign(parts, spec, means, c14n=c14n))


def _attached(document: Document, spec: Spec, means: Means, c14n: str) -> Draft:
    """XML Signature clause 6.6.2: the document as base64 in a ds:Object, and what is signed are its octets."""
    if (document.size or 0) > MOST_ATTACHED:
        raise Unacceptable(f"an attached xades holds at most {MOST_ATTACHED} bytes, got {document.size}; seal it detached")
    digest, mime = _digest(document, spec, means), _media_type(document, _ANYTHING)
    bare = Part("", digest, document.chunks, mime, (algorithm("ds:Transform", BASE64),), OBJECT_TYPE)
    name = f"{name_of([bare], means)}-document"
    part = Part(f"#{name}", digest, document.chunks, mime, bare.transforms, bare.kind)
    return _drafted(sign([part], spec, means, held=Held(document, name, mime), c14n=c14n))


def _enveloped(document: Document, spec: Spec, means: Means, c14n: str) -> Draft:
    """XML Signature clause 6.6.4: the document without this signature, which is the document as it is now."""
    if (document.size or 0) > MAX_BYTES:
        raise TooLarge(f"an XML document is sealed inside itself up to {MAX_BYTES} bytes, got {document.size}: seal it detached")
    data = document.read(MAX_BYTES)
    tree = parse(data)
    at = enveloped.place(data, tree)
    octets = canonicalize(NodeSet(tree, comments=False), METHODS[c14n])
    transforms = (algorithm("ds:Transform", ENVELOPED), algorithm("ds:Transform", c14n))
    digest = Digest.of(digest_for(means.key.algorithm, spec.digest), octets)
    part = Part("", digest, lambda: (octets,), _media_type(document, _XML), transforms)
    before, after = data[:at], data[at:]
    made = sign([part], spec, means, around=(before, after), codec=enveloped.codec(tree), c14n=c14n)
    if enveloped.signatures(tree):
        enveloped.require_undisturbed(tree, parse(before + b"".join(p for p in made.pieces if isinstance(p, bytes)) + after))
    return Draft((Span(0, at), *made.pieces, Span(at, len(data))), made.value, tuple(t.der for t in made.stamps))


_PACKED: Mapping[Packaging, Callable[[Document, Spec, Means, str], Draft]] = MappingProxyType(
    {Packaging.ATTACHED: _attached, Packaging.ENVELOPED: _enveloped}
)


def _drafted(made: Signed) -> Draft:
    return Draft((_DECLARATION, *made.pieces), made.value, tuple(t.der for t in made.stamps))


def _digest(document: Document, spec: Spec, means: Means) -> Digest:
    found = document.digest(digest_for(means.key.algorithm, spec.digest))
    if found is None:
        raise Malformed("only digests of this document are known")
    return found


def _media_type(document: Document, otherwise: str) -> str:
    """As it was said, where it can be said in XML."""
    said = document.media_type
    return said if said and said.isprintable() else otherwise
