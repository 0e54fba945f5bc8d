"""X-Road's hash chains (namespace http://cyber.ee/hashchain): what one signature or time-stamp over a `…hashchainresult.xml` covers.

A result holds the root of a tree; the chain beside it leads from the container's files to that root. A step's hash is that of the DER of
SEQUENCE OF SEQUENCE { digestValue OCTET STRING, digestMethod UTF8String, transforms SEQUENCE {} }, in the order of its inputs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from trust.algorithms import DIGEST_BY_XML, hasher
from trust.codecs.asn1 import OCTET_STRING, SEQUENCE, UTF8, tlv
from trust.codecs.xml import parse
from trust.codecs.xml.names import DS, octets_of, split
from trust.errors import Malformed, Unacceptable
from trust.model import Digest, Reference
from verifier.formats.asic.layout import Layout

NAMESPACE = "http://cyber.ee/hashchain"
SIGNED_RESULT, STAMPED_RESULT = "sig-hashchainresult.xml", "ts-hashchainresult.xml"
FILES = frozenset(("sig-hashchain.xml", SIGNED_RESULT, "ts-hashchain.xml", STAMPED_RESULT))
MAX_STEPS = 200
_MAX_FILE = 1 << 20


@dataclass
class _Walk:
    parts: Layout
    steps: Mapping[str, Any]
    default: str
    """URI of the default digest method."""
    references: list[Reference] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)


def reached(parts: Layout, result: str) -> tuple[Reference, ...]:
    """The files that a result covers through its chain, each with whether it is as it was; empty where the chain does not lead to the root."""
    try:
        top = parse(parts.container.read(result, _MAX_FILE)).root
        if split(top.tag) != (NAMESPACE, "HashChainResult"):
            raise Malformed("hash chain result expected")
        root, method = _value(top, "")
        name, _, first = unquote(top.get("URI", "")).partition("#")
        chain = parse(parts.container.read(name.removeprefix("/"), _MAX_FILE)).root
        if split(chain.tag) != (NAMESPACE, "HashChain"):
            raise Malformed("hash chain expected")
        steps = {e.get("id", ""): e for e in chain if split(e.tag) == (NAMESPACE, "HashStep")}
        defaults = [e.get("Algorithm", "") for e in chain if split(e.tag) == (NAMESPACE, "DefaultDigestMethod")]
        walk = _Walk(parts, steps, defaults[0] if len(defaults) == 1 else "")
        if len(steps) > MAX_STEPS or _step(walk, first, method) != root:
            raise Malformed("hash chain does not lead to its result")
    except (Malformed, Unacceptable):
        return ()
    return tuple(walk.references)


def _step(walk: _Walk, name: str, method: str) -> bytes:
    """Each step once: a chain has no two ways to one step."""
    if name in walk.seen or name not in walk.steps:
        raise Malformed("hash chain names a step that is not there, or twice")
    walk.seen.add(name)
    inputs = []
    for element in walk.steps[name]:
        if not isinstance(element.tag, str):
            continue
        kind = split(element.tag)
        if any(split(child.tag)[1] == "Transforms" for child in element if isinstance(child.tag, str)):
            raise Malformed("hash chain with transforms is not read")
        if kind == (NAMESPACE, "StepRef"):
            value, uri = _step(walk, unquote(element.get("URI", "")).removeprefix("#"), walk.default), walk.default
        elif kind in ((NAMESPACE, "HashValue"), (NAMESPACE, "DataRef")):
            value, uri = _value(element, walk.default)
            if kind[1] == "DataRef":
                walk.references.append(_data(walk.parts, element.get("URI", ""), value, uri))
        else:
            raise Malformed("hash chain step has an unknown input")
        inputs.append(tlv(SEQUENCE, tlv(OCTET_STRING, value) + tlv(UTF8, uri.encode()) + tlv(SEQUENCE, b"")))
    running = hasher(_algorithm(method or walk.default))
    running.update(tlv(SEQUENCE, b"".join(inputs)))
    return bytes(running.digest())


def _value(element: Any, default: str) -> tuple[bytes, str]:
    values = [octets_of(e) for e in element if e.tag == f"{{{DS}}}DigestValue"]
    methods = [e.get("Algorithm", "") for e in element if e.tag == f"{{{DS}}}DigestMethod"]
    if len(values) != 1 or len(methods) > 1:
        raise Malformed("hash chain input has one digest")
    return values[0], methods[0] if methods else default


def _algorithm(uri: str) -> str:
    if uri not in DIGEST_BY_XML:
        raise Malformed("hash chain uses a digest method that is not known here")
    return DIGEST_BY_XML[uri].name


def _data(parts: Layout, uri: str, value: bytes, method: str) -> Reference:
    name = unquote(uri).removeprefix("/")
    document = parts.find(name)
    signed = Digest(_algorithm(method), value)
    made = None if document is None else document.digest(signed.algorithm)
    return Reference(name, document is not None, made == signed, digest=signed, uri=uri)
