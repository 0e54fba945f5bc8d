"""XML as text, for signatures: elements written in one way, with every character that means something escaped."""

import base64
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from eseal.spec import Canonicalization
from trust.algorithms import DIGESTS
from trust.errors import Unacceptable
from trust.model import Digest

EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
"""Exclusive XML Canonicalization 1.0: what is signed does not depend on what stands around it."""

CANONICAL: Mapping[Canonicalization, str] = MappingProxyType(
    {
        Canonicalization.EXCLUSIVE: EXCLUSIVE,
        Canonicalization.C14N_1_0: "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
        Canonicalization.C14N_1_1: "http://www.w3.org/2006/12/xml-c14n11",
    }
)
_MARKS = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
_ESCAPES = str.maketrans(_MARKS)


def escaped(text: str) -> str:
    return text.translate(_ESCAPES)


def element(name: str, *inside: str, **attributes: str | None) -> str:
    """An element with these contents, which are XML already; attributes are text, and left out where None."""
    said = "".join(f' {key}="{escaped(value)}"' for key, value in attributes.items() if value is not None)
    return f"<{name}{said}>{''.join(inside)}</{name}>"


def b64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def algorithm(name: str, uri: str, *inside: str) -> str:
    """ds:Transform, ds:DigestMethod and their like."""
    return element(name, *inside, Algorithm=uri)


def digest_method(name: str) -> str:
    known = DIGESTS[name]
    if not known.xml:
        raise Unacceptable(f"{name} has no identifier in XML")
    return algorithm("ds:DigestMethod", known.xml)


def digested(digest: Digest) -> str:
    """ds:DigestMethod and ds:DigestValue."""
    return digest_method(digest.algorithm) + element("ds:DigestValue", b64(digest.value))


def values(name: str, ders: Iterable[bytes]) -> str:
    """Elements of this name, one for each encoded object."""
    return "".join(element(name, b64(der)) for der in ders)
