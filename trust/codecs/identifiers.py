"""AlgorithmIdentifier: which digest or signature a stranger's ASN.1 names (RFC 5280 section 4.1.1.2, RFC 4055, RFC 5754, BSI TR-03111).

What is not known here is None, for the reader to say so. Errors: Malformed, nothing else.
"""

import functools

from trust.algorithms import DIGEST_BY_OID, DIGESTS, RSASSA_PSS_OID, SCHEME_BY_KEY_OID, SIGNATURE_BY_OID, Algorithm
from trust.codecs.asn1 import INTEGER, NULL, OID, SEQUENCE, Node, Rules, context, parse, tlv
from trust.errors import Malformed

_MGF1 = "1.2.840.113549.1.1.8"


def algorithm_identifier(node: Node) -> tuple[str, Node | None]:
    """AlgorithmIdentifier: the identifier and its parameters."""
    fields = node.fields()
    name = fields.take(OID).oid()
    parameters = fields.maybe(*(n.tag for n in node.children[1:2]))
    fields.done()
    return name, parameters


def digest_name(node: Node) -> str | None:
    """The digest of an AlgorithmIdentifier; None for one that is not known here."""
    return _digest_name(node.raw, node.rules)


@functools.lru_cache(maxsize=256)
def _digest_name(raw: bytes, rules: Rules) -> str | None:
    known = DIGEST_BY_OID.get(algorithm_identifier(parse(raw, rules))[0])
    return known.name if known else None


# BSI TR-03111 ecdsa-plain-…: the value is r and s side by side, which `ecdsa_der` makes the DER that everything else here expects.
_PLAIN_ECDSA = "0.4.0.127.0.7.1.1.4.1."
_PLAIN_DIGESTS = ("sha1", "sha224", "sha256", "sha384", "sha512", "ripemd160", "sha3_224", "sha3_256", "sha3_384", "sha3_512")
PLAIN_ECDSA = {_PLAIN_ECDSA + str(n): Algorithm("ecdsa", digest) for n, digest in enumerate(_PLAIN_DIGESTS, 1)}


def is_plain_ecdsa(node: Node) -> bool:
    """Whether an AlgorithmIdentifier is one of those."""
    return _is_plain_ecdsa(node.raw, node.rules)


@functools.lru_cache(maxsize=256)
def _is_plain_ecdsa(raw: bytes, rules: Rules) -> bool:
    return algorithm_identifier(parse(raw, rules))[0] in PLAIN_ECDSA


def ecdsa_der(value: bytes) -> bytes:
    """r and s side by side -> DER Ecdsa-Sig-Value. Malformed unless both halves are as long."""
    if not value or len(value) % 2 or len(value) > 256:
        raise Malformed(f"plain ECDSA signature is two numbers of the same length, got {len(value)} bytes")
    half = len(value) // 2
    numbers = (int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big"))
    return tlv(SEQUENCE, b"".join(tlv(INTEGER, n.to_bytes(n.bit_length() // 8 + 1, "big")) for n in numbers))


def signature_algorithm(node: Node, digest: str | None = None) -> Algorithm | None:
    """The signature algorithm of an AlgorithmIdentifier; None for one that is not known here.

    Where the identifier names only a type of key (rsaEncryption: RFC 5652 lets it), the digest is the given one.
    """
    return _signature_algorithm(node.raw, node.rules, digest)


@functools.lru_cache(maxsize=256)
def _signature_algorithm(raw: bytes, rules: Rules, digest: str | None) -> Algorithm | None:
    name, parameters = algorithm_identifier(parse(raw, rules))
    if name == RSASSA_PSS_OID:
        return _pss(parameters)
    if name in SCHEME_BY_KEY_OID:
        return Algorithm(SCHEME_BY_KEY_OID[name], digest) if digest else None
    return SIGNATURE_BY_OID.get(name) or PLAIN_ECDSA.get(name)


def _pss(parameters: Node | None) -> Algorithm | None:
    """RFC 4055 section 3.1: hashAlgorithm [0], maskGenAlgorithm [1], saltLength [2], trailerField [3]; SHA-1, MGF1 with SHA-1, 20, 1 by default."""
    digest: str | None = "sha1"
    mask: str | None = "sha1"
    salt, trailer = 20, 1
    if parameters is not None and parameters.tag != NULL:
        fields = parameters.fields()
        if (found := fields.maybe(context(0))) is not None:
            digest = digest_name(found.only())
        if (found := fields.maybe(context(1))) is not None:
            function, inner = algorithm_identifier(found.only())
            mask = digest_name(inner) if function == _MGF1 and inner is not None else None
        if (found := fields.maybe(context(2))) is not None:
            salt = found.only(INTEGER).small()
        if (found := fields.maybe(context(3))) is not None:
            trailer = found.only(INTEGER).small()
        fields.done()
    if digest is None or mask is None or trailer != 1 or not 0 <= salt <= 512 or DIGESTS[digest].hash is None:
        return None
    return Algorithm("rsa-pss", digest, mask, salt)
