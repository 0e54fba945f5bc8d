"""One signature more in a JWS that is signed already: beside the others as general JSON, or over a signature's value in its `etsiU`.

Texts that are signed stay as they are.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from eseal.draft import Draft, assembled
from eseal.formats import jades
from eseal.formats.jades_extend import LARGEST, Sheet, opened, written
from eseal.levels import Means
from eseal.spec import Mechanism, Packaging, Serialization, Spec
from trust.codecs import jose
from trust.errors import Unacceptable
from trust.model import Document

_OWN = ("protected", "header", "signature")
"""Members of one signature (RFC 7515 section 7.2.1)."""


def parallel(document: Document, spec: Spec, means: Means, more: Sequence[Document] = ()) -> Draft:
    """RFC 7515 section 7.2.1: an entry more in `signatures`, over the payload that is inside, or over `more` by the mechanism of `spec`.

    Malformed for what is no JWS; Unacceptable where payload and further documents do not go together, or the payload is encoded in another way
    than this signature needs (RFC 7797 section 3: one way for all).
    """
    data = document.read(LARGEST)
    whole, entries, warnings = opened(data)
    first = entries[0][0]
    inside = first.content is not None and bool(first.content.text)
    if any(jws.b64 is not inside for jws, _ in entries):
        kind = "base64url inside" if inside else "unencoded apart"
        raise Unacceptable(f"signatures of a JWS share their payload, and a seal has it {kind}: this JWS has it in another way")
    if inside and more:
        raise Unacceptable(f"the payload is inside the JWS: one document expected, got {1 + len(more)}")
    if not inside and not more:
        raise Unacceptable("what the JWS is over stands apart from it: give it as further documents")
    content, *others = (_payload(first.content.text),) if inside and first.content is not None else more
    packaging = Packaging.ATTACHED if inside else Packaging.DETACHED
    own = replace(spec, addition=None, packaging=packaging, serialization=Serialization.GENERAL)
    made = jades.seal(content, own, means, others)
    new = json.loads(assembled(content, made.pieces, None, None).read(LARGEST))["signatures"]
    notes = () if "signatures" in whole else ("the JWS became general JSON, which has room for several signatures",)
    pieces = written(data, {**_general(whole), "signatures": [*_general(whole)["signatures"], *new]})
    return Draft(pieces, made.signature, made.stamps, notes or warnings)


def _payload(text: str) -> Document:
    """Unacceptable where its text is not the one that a signature made here is over (RFC 7515 section 2)."""
    found = jose.octets(text)
    if found.fault:
        raise Unacceptable(f"signatures of a JWS share the text of their payload, and this one breaks the format: {found.fault}")
    return Document.of(found.data)


def _general(whole: Mapping[str, Any]) -> dict[str, Any]:
    if "signatures" in whole:
        return dict(whole)
    entry = {name: whole[name] for name in _OWN if name in whole}
    return {**{name: value for name, value in whole.items() if name not in _OWN}, "signatures": [entry]}


def countersigned(document: Document, spec: Spec, means: Means, more: Sequence[Document] = ()) -> Draft:  # noqa: ARG001  # not of the content
    """TS 119 182-1 clause 5.3.2: `cSig`, a detached JWS over the value of the one signature.

    Unacceptable for a JWS with several, because nothing says which.
    """
    data = document.read(LARGEST)
    whole, entries, warnings = opened(data)
    if len(entries) != 1:
        raise Unacceptable(f"a countersignature is over one signature, got a JWS with {len(entries)}")
    [(jws, entry)] = entries
    own = replace(spec, addition=None, packaging=Packaging.DETACHED, mechanism=Mechanism.PAYLOAD, serialization=Serialization.FLATTENED)
    value = Document.of(jws.signature)
    made = jades.seal(value, own, means)
    Sheet(jws, entry).add("cSig", json.loads(assembled(value, made.pieces, None, None).read(LARGEST)))
    return Draft(written(data, whole), made.signature, made.stamps, warnings)
