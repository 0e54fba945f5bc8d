"""Types of COSE header parameters: RFC 9052 section 3.1, RFC 9360, RFC 9596, RFC 9597 and RFC 8392, RFC 9995. A text, a number or a map of another
type is read by one program and skipped by another."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from trust.codecs import cose
from trust.codecs.cbor import Tag
from trust.model import Defect
from verifier.formats.validation_data import readable

_MEDIA_TYPE: Final = re.compile(r"[^\s/]+/\S(?:.*\S)?", re.DOTALL)
_CONTENT_FORMATS: Final = 1 << 16
"""CoAP's numbers of media types (RFC 7252 section 12.3)."""
_URI: Final = 32
"""The tag of a URI (RFC 8949 section 3.4.5.3)."""


def _octets(value: object) -> bool:
    return isinstance(value, bytes)


def _text(value: object) -> bool:
    return isinstance(value, str)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _media_type(value: object) -> bool:
    if isinstance(value, str):
        return _MEDIA_TYPE.fullmatch(value) is not None
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _CONTENT_FORMATS


def _uri(value: object) -> bool:
    """deviates: a text without the tag of a URI, as makers write it."""
    return _text(value.value) if isinstance(value, Tag) and value.number == _URI else _text(value)


def _certificates(value: object) -> bool:
    listed = value if isinstance(value, list) else [value]
    return bool(listed) and all(isinstance(der, bytes) and readable(der) is not None for der in listed)


_CLAIMS: Final[Mapping[int, Callable[[object], bool]]] = {1: _text, 2: _text, 4: _number, 5: _number, 6: _number, 7: _octets}
"""iss, sub, exp, nbf, iat, cti."""


def _claims(value: object) -> bool:
    return isinstance(value, dict) and all(fits(value[label]) for label, fits in _CLAIMS.items() if label in value)


_SHAPES: Final[Mapping[int, Callable[[object], bool]]] = {
    cose.CONTENT_TYPE: _media_type,
    cose.KID: _octets,
    cose.IV: _octets,
    cose.PARTIAL_IV: _octets,
    cose.CLAIMS: _claims,
    cose.TYP: _media_type,
    cose.X5BAG: _certificates,
    cose.X5U: _uri,
    cose.PREIMAGE_CONTENT_TYPE: _media_type,
    cose.PAYLOAD_LOCATION: _text,
}


def misshapen(protected: Mapping[Any, Any], unprotected: Mapping[Any, Any]) -> Iterator[Defect]:
    """What the headers of one layer say in other types than theirs, or without what it belongs to."""
    for header in (protected, unprotected):
        for label, fits in _SHAPES.items():
            if label in header and not fits(header[label]):
                yield _refused("RFC 9052 section 3.1", f"label {label} is not of its type")
    both = {*protected, *unprotected}
    if cose.IV in both and cose.PARTIAL_IV in both:
        yield _refused("RFC 9052 section 3.1", "an initialisation vector stands there whole and in part")
    if cose.PAYLOAD_HASH_ALG not in both and not both.isdisjoint((cose.PREIMAGE_CONTENT_TYPE, cose.PAYLOAD_LOCATION)):
        yield _refused("RFC 9995 section 3", "what is said of hashed content stands beside content that is not")


def _refused(clause: str, why: str) -> Defect:
    return Defect(clause, why, fatal=False, refused=True)
