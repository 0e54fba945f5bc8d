"""A countersignature in an XML signature that is there (EN 319 132-1 clause 5.2.7.2): inserted as an unsigned property, over ds:SignatureValue."""

from collections.abc import Sequence

from eseal.draft import Draft
from eseal.formats.xades.extend import METHOD, Sheet, declared, pieces
from eseal.formats.xades.markup import EXCLUSIVE, algorithm, element
from eseal.formats.xades.signature import Part, sign
from eseal.levels import Means, digest_for
from eseal.spec import Spec
from trust.codecs.xml import MAX_BYTES, NodeSet
from trust.codecs.xml.names import COUNTERSIGNED_TYPE, ds
from trust.codecs.xml.transforms import Bench
from trust.errors import Unacceptable
from trust.model import Digest, Document


def countersigned(document: Document, spec: Spec, means: Means, more: Sequence[Document] = ()) -> Draft:  # noqa: ARG001  # not of the content
    """Malformed for what is no XML that our parser takes; Unacceptable for a document with another number of XAdES signatures than one, because
    nothing says which, and for a signature whose value has no Id to refer to."""
    data = document.read(MAX_BYTES)
    sheet = Sheet(data)
    if len(sheet.places) != 1:
        raise Unacceptable(f"a countersignature is over one signature, got a document with {len(sheet.places)}")
    [place] = sheet.places
    value = place.signature.find(ds("SignatureValue"))
    name = None if value is None else value.get("Id")
    if name is None or place.tree.by_id(name) != (value,):
        raise Unacceptable("the signature's ds:SignatureValue has no Id of its own, so that a countersignature cannot refer to it")
    octets = Bench().canonical(NodeSet(place.tree, value, comments=False), METHOD)
    over = Digest.of(digest_for(means.key.algorithm, spec.digest), octets)
    # Clause 5.2.4: what is countersigned is no data object that has a format.
    part = Part(f"#{name}", over, lambda: (octets,), "", (algorithm("ds:Transform", EXCLUSIVE),), COUNTERSIGNED_TYPE)
    made = sign([part], spec, means, codec="ascii")
    text = b"".join(p for p in made.pieces if isinstance(p, bytes)).decode("ascii")
    sheet.insert([declared(element("xades:CounterSignature", text))])
    return Draft(pieces(data, sheet.data), made.value, tuple(t.der for t in made.stamps))
