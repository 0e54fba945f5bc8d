"""Namespaces and algorithm identifiers of XML Signature and XAdES, and what their elements say about algorithms and octets."""

import base64
import binascii
import functools
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from lxml import etree

from trust.algorithms import DIGEST_BY_XML, DIGESTS, SIGNATURE_BY_XML, Algorithm
from trust.errors import Malformed

DS: Final = "http://www.w3.org/2000/09/xmldsig#"
XML: Final = "http://www.w3.org/XML/1998/namespace"
EXC: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"
FILTER2: Final = "http://www.w3.org/2002/06/xmldsig-filter2"
PSS: Final = "http://www.w3.org/2007/05/xmldsig-more#"
XADES_111: Final = "http://uri.etsi.org/01903/v1.1.1#"
XADES_122: Final = "http://uri.etsi.org/01903/v1.2.2#"
XADES_132: Final = "http://uri.etsi.org/01903/v1.3.2#"
XADES_141: Final = "http://uri.etsi.org/01903/v1.4.1#"
XADES_ER: Final = "http://uri.etsi.org/19132/v1.1.1#"

ENVELOPED: Final = DS + "enveloped-signature"
BASE64: Final = DS + "base64"
XPATH: Final = "http://www.w3.org/TR/1999/REC-xpath-19991116"

MANIFEST_TYPE: Final = DS + "Manifest"
OBJECT_TYPE: Final = DS + "Object"
COUNTERSIGNED_TYPE: Final = "http://uri.etsi.org/01903#CountersignedSignature"

RSA_PSS: Final = PSS + "rsa-pss"
_STRING: Final = etree.XPath("string()")
_MGF1: Final = PSS + "MGF1"


def ds(name: str) -> str:
    """The name in the XML Signature namespace, as lxml writes it."""
    return f"{{{DS}}}{name}"


def split(tag: Any) -> tuple[str, str]:
    """(namespace, local name) of an element's tag; ("", "") for a comment or processing instruction."""
    if not isinstance(tag, str):
        return "", ""
    return _known(tag) if len(tag) <= _LONGEST_KNOWN else _cut(tag)


_LONGEST_KNOWN: Final = 200
"""Characters of a name that is remembered with its parts."""


def _cut(tag: str) -> tuple[str, str]:
    if tag[:1] == "{":
        space, _, local = tag[1:].partition("}")
        return space, local
    return "", tag


_known: Final = functools.lru_cache(maxsize=4096)(_cut)


def local(element: Any) -> str:
    return split(element.tag)[1]


def text_of(element: Any) -> str:
    """The character data directly and indirectly inside, comments and processing instructions left out."""
    return str(_STRING(element)) if len(element) else element.text or ""


def octets_of(element: Any) -> bytes:
    """The octets that an element of type base64Binary holds; Malformed where it is not base64 (XML Schema part 2 clause 3.2.16)."""
    return decode(text_of(element))


_SPACE = str.maketrans("", "", " \t\r\n")


def decode(text: str) -> bytes:
    """Base64 with white space anywhere (RFC 2045), strict otherwise; Malformed for anything else."""
    packed = text.translate(_SPACE)
    try:
        return base64.b64decode(packed.encode("ascii"), validate=True)
    except (ValueError, binascii.Error) as error:
        raise Malformed("not base64 where XML asks for it") from error


def sloppy(element: Any) -> bool:
    """Whether base64 has unused last bits that are not zero, which base64Binary does not allow: two texts for the same octets."""
    return base64.b64encode(octets_of(element)).decode("ascii") != text_of(element).translate(_SPACE)


def digest_name(element: Any) -> str | None:
    """hashlib's name of the algorithm that a ds:DigestMethod element names; None where it is unknown here."""
    if element is None:
        return None
    known = DIGEST_BY_XML.get(element.get("Algorithm", ""))
    return known.name if known else None


def signature_algorithm(method: Any) -> Algorithm | None:
    """What a ds:SignatureMethod element names, parameters included; None where it is unknown here (HMAC too: it proves no origin)."""
    uri = method.get("Algorithm", "")
    if uri == RSA_PSS:
        return _pss(method)
    return SIGNATURE_BY_XML.get(uri)


def _pss(method: Any) -> Algorithm | None:
    """RFC 9231 section 2.3.9: SHA-256 and MGF1 of the same digest by default, the salt as long as the digest, the trailer field 1."""
    digest, mgf, salt = "sha256", None, None
    params = method.find(f"{{{PSS}}}RSAPSSParams")
    if params is not None:
        if len({child.tag for child in params.iterchildren("*")}) < len(list(params.iterchildren("*"))):
            return None  # one of two is believed by one program and the other by another
        for child in params.iterchildren("*"):
            match local(child):
                case "DigestMethod":
                    named = digest_name(child)
                    if named is None:
                        return None
                    digest = named
                case "MaskGenerationFunction":
                    if child.get("Algorithm") != _MGF1:
                        return None
                    inner = child.find(ds("DigestMethod"))
                    mgf = digest_name(inner) if inner is not None else "sha256"
                    if mgf is None:
                        return None
                case "SaltLength":
                    salt = number(text_of(child), 1024)
                    if salt is None:
                        return None
                case "TrailerField":
                    if text_of(child).strip() != "1":
                        return None
                case _:
                    return None
    return Algorithm("rsa-pss", digest, mgf or digest, DIGESTS[digest].size if salt is None else salt)


def number(text: str, limit: int) -> int | None:
    """A non-negative decimal integer up to `limit`; None for anything else."""
    text = text.strip()
    if not text.isascii() or not text.isdigit() or len(text) > 20:
        return None
    value = int(text)
    return value if value <= limit else None


def der_signature(algorithm: Algorithm | None, value: bytes) -> bytes:
    """XML Signature's r and s, side by side (RFC 6931 section 2.3.6, XML Signature 1.1 clause 6.4.1), as DER; other schemes unchanged."""
    if algorithm is None or algorithm.scheme not in ("ecdsa", "dsa") or len(value) < 2 or len(value) % 2:
        return value
    half = len(value) // 2
    return encode_dss_signature(int.from_bytes(value[:half]), int.from_bytes(value[half:]))
