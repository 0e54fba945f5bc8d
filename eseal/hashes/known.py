"""Hash-only sealing: documents of which digests are known and no byte (pure).

Detached signatures that name a document by its digest can be made so; of COSE a hash envelope (RFC 9995), and of PDF the CMS, over the digest of the
byte range that its holder has prepared. What needs the bytes is refused with the reason: an archive time-stamp of XAdES and JAdES is over the
documents' octets once more (EN 319 132-1 clause 5.5.2.2, TS 119 182-1 clause 5.3.6.3), that of CAdES over their digest (EN 319 122-1 clause 5.5.3).
`eseal.hashes.steps` makes those in a second step, for which the holder of the documents computes the digest.
"""

import base64
import binascii
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from eseal.dataset import joined
from eseal.levels import digest_for
from eseal.pdf_seal import PLAIN
from eseal.spec import DIGEST_CHOICES, Format, Level, Mechanism, Packaging, Spec
from trust.algorithms import DIGESTS, Algorithm
from trust.errors import Malformed, Unacceptable
from trust.model import Digest, Document

LEVELS: Mapping[Format, tuple[Level, ...]] = MappingProxyType(
    {
        Format.CADES: (Level.B_B, Level.B_T, Level.B_LT, Level.B_LTA),
        Format.XADES: (Level.B_B, Level.B_T, Level.B_LT),
        Format.JADES: (Level.B_B, Level.B_T, Level.B_LT),
        Format.PADES: (Level.B_B, Level.B_T),
        Format.COSE: (Level.B_B, Level.B_T),
    }
)
"""Formats that are made from digests, detached, and how far in one step; the highest is the default."""
_WHY: Mapping[Format, str] = MappingProxyType(
    {
        **dict.fromkeys(
            (Format.ASIC_S_CADES, Format.ASIC_S_XADES, Format.ASIC_E_CADES, Format.ASIC_E_XADES),
            "the container holds the documents, and `kakuin seal --hash-only` makes it where they are",
        ),
    }
)
JOURNAL = "sha256"
"""The digest by which the journal names a document, whatever the key signs."""
PATH, EXTENSIONS = "/v1/seals/hashes", "/v1/extensions/hashes"
MOST_DOCUMENTS = 1000
"""Of one request."""
LONGEST_NAME = 255
"""Characters of a document's name."""
_MEMBERS = frozenset({"name", "digests", "media_type"})
_NAMES: Mapping[str, str] = MappingProxyType({choice: choice.replace("sha3-", "sha3_") for choice in DIGEST_CHOICES})
_HEX = re.compile(r"[0-9A-Fa-f]+")
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}")


def known_by_digest(documents: Sequence[Document]) -> bool:
    """Whether there is one that nobody here can read."""
    return not all(d.readable for d in documents)


def drafted_from(documents: Sequence[Document]) -> Document:
    """What the pieces of a seal are parts of. Where digests alone are known it holds nothing, so that no piece can be a part of it."""
    return Document(None, None, io.BytesIO) if known_by_digest(documents) else joined(documents)


def require_known(documents: Sequence[Document], spec: Spec, algorithm: Algorithm) -> None:
    """That what is known of the documents is enough for this seal with this key. Unacceptable, with what is missing."""
    if not known_by_digest(documents):
        return
    if (why := _WHY.get(spec.format)) is not None:
        raise Unacceptable(f"{spec.format} is not made from digests: {why}; there are {', '.join(LEVELS)}, detached")
    if spec.format is Format.PADES:
        _require_outside(documents, spec)
    elif spec.packaging is not Packaging.DETACHED or spec.addition is not None:
        raise Unacceptable(
            f"from digests only a detached seal of its own is made, got {spec.addition or spec.packaging}: it needs the document's bytes"
        )
    if spec.mechanism is not Mechanism.URI_HASH:
        raise Unacceptable(f"from digests jades is made by {Mechanism.URI_HASH}, got {spec.mechanism}: it signs the document's bytes")
    if spec.level not in LEVELS[spec.format]:
        highest = LEVELS[spec.format][-1]
        raise Unacceptable(
            f"from digests {spec.format} is made up to {highest}, got {spec.level}: its archive time-stamp is over the document's bytes; "
            f"`kakuin extend` adds it where the document is"
        )
    if spec.claims.content_timestamp and len(documents) > 1:
        raise Unacceptable(f"a content time-stamp of several documents is over their bytes, and only digests are known; got {len(documents)}")
    for name in known_digests(digest_for(algorithm, spec.digest)):
        if any(d.digest(name) is None for d in documents):
            given = sorted({_plain(d.algorithm) for document in documents for d in document.known}) or ["none"]
            use = "the journal names a document by it" if name == JOURNAL and name != digest_for(algorithm, spec.digest) else "this key signs it"
            raise Unacceptable(f"a {_plain(name)} digest of each document is needed ({use}), got {', '.join(given)}")


def known_digests(signed: str) -> tuple[str, ...]:
    """Digests (hashlib's names) that are needed of each document, where the key signs this one: it first."""
    return tuple(dict.fromkeys((signed, JOURNAL)))


def _require_outside(documents: Sequence[Document], spec: Spec) -> None:
    """Of a PDF's seal what is in its CMS. What stands in the PDF, around it, whoever has the PDF writes."""
    if len(documents) > 1:
        raise Unacceptable(f"pades seals one document at a time, got {len(documents)}")
    claims = spec.claims
    said = {"reason": claims.reason, "location": claims.location, "signing_time": claims.signing_time, "password": spec.password}
    inside = sorted(name for name, value in said.items() if value is not None) + (["a field or a look"] if spec.pdf != PLAIN else [])
    if inside:
        raise Unacceptable(f"{', '.join(inside)}: that stands in the PDF itself, of which only the digest of the byte range is known; write it there")


def is_inner(documents: Sequence[Document], spec: Spec) -> bool:
    """Whether what is made is the CMS of a PDF, without the PDF."""
    return spec.format is Format.PADES and known_by_digest(documents)


def as_file(documents: Sequence[Document], spec: Spec) -> Spec:
    """By which the result is named and typed: the CMS of a PDF is a file like that of CAdES."""
    return replace(spec, format=Format.CADES, packaging=Packaging.DETACHED) if is_inner(documents, spec) else spec


def documents_in(value: Any) -> tuple[Document, ...]:
    """`documents` of a request, as pairs of names and values: name, digests, and a media type where it is said.

    Malformed for what is not so, Unacceptable for a digest that there is not or that has another length.
    """
    if not isinstance(value, list) or not value or _is_object(value):
        raise Malformed("documents is a list of objects, each with name and digests")
    if len(value) > MOST_DOCUMENTS:
        raise Unacceptable(f"one request is about at most {MOST_DOCUMENTS} documents, got {len(value)}")
    found = tuple(map(_document, value))
    if len({d.name for d in found}) < len(found):
        raise Unacceptable("of several documents each has a name of its own")
    return found


def _is_object(value: Any) -> bool:
    """An object as its pairs (json_pairs), not a list of values."""
    return isinstance(value, list) and bool(value) and all(isinstance(p, tuple) for p in value)


def _members(value: Any, what: str) -> dict[str, Any]:
    """Each name once."""
    if not _is_object(value):
        raise Malformed(f"{what} is a JSON object that is not empty")
    found = dict(value)
    if len(found) < len(value):
        raise Malformed(f"{what} gives a name twice")
    return found


def _document(value: Any) -> Document:
    said = _members(value, "each of documents")
    if not said.keys() <= _MEMBERS:
        raise Unacceptable(f"one of documents has a member that does not exist; there are {', '.join(sorted(_MEMBERS))}")
    name, media_type = said.get("name"), said.get("media_type")
    if not isinstance(name, str) or not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise Malformed(f"the name of a document is a text of 1 to {LONGEST_NAME} printable characters")
    if media_type is not None and not (isinstance(media_type, str) and _MEDIA_TYPE.fullmatch(media_type)):
        raise Malformed("the media_type of a document is type/subtype")
    return Document(name, None, None, digests_in(said.get("digests"), "digests"), media_type)


def digests_in(value: Any, what: str) -> tuple[Digest, ...]:
    """Of an object, as its pairs: names and values."""
    return tuple(_digest(each, text) for each, text in _members(value, what).items())


def _digest(name: str, text: Any) -> Digest:
    """In hexadecimal or, where it is not as long as that, base64 (RFC 4648 section 4)."""
    if name not in _NAMES:
        raise Unacceptable(f"digests are called {', '.join(_NAMES)}")
    size = DIGESTS[_NAMES[name]].size
    if not isinstance(text, str):
        raise Malformed(f"a {name} digest is a text, hexadecimal or base64")
    try:
        value = (
            bytes.fromhex(text) if _HEX.fullmatch(text) and len(text) % 2 == 0 and len(text) >= 2 * size else base64.b64decode(text, validate=True)
        )
    except (ValueError, binascii.Error) as error:
        raise Malformed(f"a {name} digest is a text, hexadecimal or base64") from error
    if len(value) != size:
        raise Unacceptable(f"{name} digest is {size} bytes, got {len(value)}")
    return Digest(_NAMES[name], value)


def _plain(name: str) -> str:
    return name.replace("_", "-")
