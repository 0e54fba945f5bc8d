"""Elements of the validation report: names, values and references, each made so that the schema takes it whatever a file holds."""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from lxml import etree

from trust.algorithms import DIGESTS
from trust.model import Digest
from verifier.report.parties import instant
from verifier.report.plain import printable

VR = "http://uri.etsi.org/19102/v1.4.1#"
XADES = "http://uri.etsi.org/01903/v1.3.2#"
DS = "http://www.w3.org/2000/09/xmldsig#"
TSL = "http://uri.etsi.org/02231/v2#"
OWN = "urn:kakuin:report:1"
"""What TS 119 102-2 leaves open stands in elements of our own."""
NAMESPACES = {None: VR, "XAdES": XADES, "ds": DS, "tsl": TSL, "kakuin": OWN}

_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]{0,38})){1,40}")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}:[A-Za-z0-9._~:/?&=+,;@!$'()*-]{1,500}(#[A-Za-z0-9._~:/?&=+,;@!$'()*-]{0,200})?")
_NONE: Mapping[str, str] = MappingProxyType({})

Element = Any
"""lxml is untyped."""
Content = Element | str | None


def element(name: str, *content: Content, namespace: str = VR, attributes: Mapping[str, str] = _NONE) -> Element:
    """An element with its children or its text; None is left out. Text from a file has been made printable by the caller or is so here."""
    made = etree.Element(f"{{{namespace}}}{name}", attrib=dict(attributes), nsmap=NAMESPACES)
    for part in content:
        if isinstance(part, str):
            made.text = printable(part, 4000)
        elif part is not None:
            made.append(part)
    return made


def bytes_element(name: str, value: bytes, namespace: str = VR) -> Element:
    """xs:base64Binary."""
    made = etree.Element(f"{{{namespace}}}{name}", nsmap=NAMESPACES)
    made.text = b64encode(value).decode("ascii")
    return made


def time_element(name: str, moment: datetime) -> Element:
    """xs:dateTime."""
    return element(name, instant(moment))


def reference(name: str, *targets: str) -> Element:
    """VOReferenceType: to validation objects, or to signature identifiers, by their xs:ID."""
    return element(name, attributes={"VOReference": " ".join(targets)})


def digest_parts(digest: Digest) -> Sequence[Element]:
    """ds:DigestMethod and ds:DigestValue."""
    method = element("DigestMethod", namespace=DS, attributes={"Algorithm": digest_uri(digest.algorithm)})
    return (method, bytes_element("DigestValue", digest.value, DS))


def digest_element(digest: Digest) -> Element:
    return element("DigestAlgAndValue", *digest_parts(digest))


def digest_uri(name: str) -> str:
    """The XML identifier, or the OID's where a function has none (SHA-512/256)."""
    known = DIGESTS.get(name)
    return (known.xml or f"urn:oid:{known.oid}") if known else uri(name)


def uri(text: str) -> str:
    """xs:anyURI: an OID as its URN (RFC 3061), a URI as it is, and anything else quoted in one of ours."""
    if _OID.fullmatch(text):
        return f"urn:oid:{text}"
    return text if _URI.fullmatch(text) else "urn:kakuin:text:" + quote(printable(text), safe="")
