"""CMS signatures made by hand for readers to read: sound unless a keyword says otherwise. Nothing here is shared with the sealer."""

from collections.abc import Iterable, Sequence

from tests.pki import SIGNED, Party
from trust.algorithms import DIGESTS, OID_BY_SIGNATURE
from trust.codecs.asn1 import OCTET_STRING, OID, SEQUENCE, SET, context, oid_content, parse, tlv
from trust.codecs.signed_data import signer_info as read_signer_info
from trust.model import Cert, Crl, Digest, Ocsp

DATA = "1.2.840.113549.1.7.1"
SIGNED_DATA = "1.2.840.113549.1.7.2"
CONTENT_TYPE = "1.2.840.113549.1.9.3"
MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
SIGNING_TIME = "1.2.840.113549.1.9.5"
COUNTER_SIGNATURE = "1.2.840.113549.1.9.6"
SIGNING_CERTIFICATE = "1.2.840.113549.1.9.16.2.12"
SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47"
SIGNATURE_TIME_STAMP = "1.2.840.113549.1.9.16.2.14"
CONTENT_TIME_STAMP = "1.2.840.113549.1.9.16.2.20"
ARCHIVE_V2 = "1.2.840.113549.1.9.16.2.48"
ARCHIVE_V3 = "0.4.0.1733.2.4"
HASH_INDEX_V3 = "0.4.0.19122.1.5"


def oid(dotted: str) -> bytes:
    return tlv(OID, oid_content(dotted))


def seq(*parts: bytes) -> bytes:
    return tlv(SEQUENCE, b"".join(parts))


def octets(data: bytes) -> bytes:
    return tlv(OCTET_STRING, data)


def integer(number: int) -> bytes:
    return tlv(2, number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True))


def attribute(dotted: str, *values: bytes) -> bytes:
    return seq(oid(dotted), tlv(SET, b"".join(values)))


def algorithm(name: str) -> bytes:
    return seq(oid(DIGESTS[name].oid))


def ess_v2(cert: Cert) -> bytes:
    """SigningCertificateV2 with one ESSCertIDv2 (SHA-256 by default)."""
    return seq(seq(seq(octets(Digest.of("sha256", cert.der).value))))


def usual_attributes(party: Party, content: bytes, digest: str = "sha256") -> list[bytes]:
    time = SIGNED.strftime("%y%m%d%H%M%SZ").encode()
    return [
        attribute(CONTENT_TYPE, oid(DATA)),
        attribute(SIGNING_TIME, tlv(0x17, time)),
        attribute(MESSAGE_DIGEST, octets(Digest.of(digest, content).value)),
        attribute(SIGNING_CERTIFICATE_V2, ess_v2(party.certificate)),
    ]


def signer_info(
    party: Party,
    content: bytes,
    *,
    digest: str = "sha256",
    attributes: Sequence[bytes] | None = None,
    unsigned: Iterable[bytes] = (),
    bare: bool = False,
    ordered: bool = True,
) -> bytes:
    """`attributes` replaces the usual four; `bare` signs the content itself; without `ordered` the set is signed and written as it stands."""
    listed = list(usual_attributes(party, content, digest) if attributes is None else attributes)
    body = b"".join(sorted(listed) if ordered else listed)
    value = party.sign(content if bare else tlv(SET, body))
    extra = b"".join(unsigned)
    return seq(
        integer(1),
        seq(party.certificate.x509.issuer.public_bytes(), integer(party.serial)),
        algorithm(digest),
        b"" if bare else tlv(context(0), body),
        seq(oid(OID_BY_SIGNATURE[party.algorithm])),
        octets(value),
        tlv(context(1), extra) if extra else b"",
    )


def value_of(info: bytes) -> bytes:
    """The signature value of a SignerInfo made here."""
    return read_signer_info(parse(info)).value


def envelope(
    infos: Sequence[bytes],
    *,
    content: bytes | None = None,
    certs: Iterable[Cert] = (),
    crls: Iterable[Crl] = (),
    ocsps: Iterable[Ocsp] = (),
    content_type: str = DATA,
    digest: str = "sha256",
) -> bytes:
    """A ContentInfo; detached where there is no content."""
    inside = tlv(context(0), octets(content)) if content is not None else b""
    held = b"".join(c.der for c in certs)
    status = b"".join(c.der for c in crls) + b"".join(tlv(context(1), oid("1.3.6.1.5.5.7.48.1.1") + o.der) for o in ocsps)
    signed = seq(
        integer(1 if content_type == DATA else 3),
        tlv(SET, algorithm(digest)),
        seq(oid(content_type), inside),
        tlv(context(0), held) if held else b"",
        tlv(context(1), status) if status else b"",
        tlv(SET, b"".join(infos)),
    )
    return seq(oid(SIGNED_DATA), tlv(context(0), signed))


def indefinite(der: bytes) -> bytes:
    """The same value as BER: every constructed length left open, every octet string of the content in two pieces."""
    outer = parse(der)
    kind, wrapped = outer.children
    inner = wrapped.children[0]
    parts = b"".join(_split(k.raw) if i == 2 else k.raw for i, k in enumerate(inner.children))
    return b"\x30\x80" + kind.raw + b"\xa0\x80" + b"\x30\x80" + parts + b"\0\0" * 3


def _split(encapsulated: bytes) -> bytes:
    kind, *content = parse(encapsulated).children
    if not content:
        return encapsulated
    data = content[0].children[0].content
    half = len(data) // 2
    return b"\x30\x80" + kind.raw + b"\xa0\x80" + b"\x24\x80" + octets(data[:half]) + octets(data[half:]) + b"\0\0" * 3
