"""RFC 3161 time-stamps on their own: a TimeStampToken, or a whole TimeStampResp, beside the document (or the digest) that it stamps."""

from collections.abc import Iterable, Sequence

from trust.codecs import asn1, cms, stencil, tsp
from trust.codecs.asn1 import INTEGER, SEQUENCE, Rules
from trust.errors import Malformed
from trust.model import Cert, Document, Evidence, Reference, Scope, Stamp, StampKind, Token
from verifier.formats.cms_stamps import document_digest, document_id

_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
_TST_INFO = bytes.fromhex("060b2a864886f70d0109100104")
_WORDS = (asn1.UTF8, asn1.PRINTABLE, asn1.T61, asn1.IA5, asn1.VISIBLE, asn1.UNIVERSAL, asn1.BMP)
"""Of PKIFreeText. deviates: strings of other types than UTF8String, in which older authorities write."""
_GRANTED = (0, 1)
"""PKIStatus granted and grantedWithMods."""


def claims(head: bytes) -> bool:
    """A SignedData whose content type is TSTInfo, bare or after a PKIStatusInfo; a refusal has no token and is told apart by its shape."""
    if head[:1] != b"\x30":
        return False
    return (_SIGNED_DATA in head[:300] and _TST_INFO in head[:400] and _is_over_time(head)) or _is_refusal(head)


def _is_over_time(head: bytes) -> bool:
    """Whether what is signed is a TSTInfo, and not something that holds one: a file may be a time-stamp, and be signed itself. True where that cannot
    be told, because a damaged token is still one."""
    try:
        at = _inside(head, 0)
        if head[at] == SEQUENCE:  # TimeStampResp: behind its PKIStatusInfo
            at = _inside(head, _behind(head, at))
        at = _behind(head, at)  # contentType
        signed = _inside(head, _inside(head, at))
        kind = _inside(head, _behind(head, _behind(head, signed)))  # behind version and digestAlgorithms
        return head[at] != asn1.context(0) or head[kind] != asn1.OID or head.startswith(_TST_INFO, kind)
    except (IndexError, ValueError):
        return True


def _inside(head: bytes, at: int) -> int:
    """Where the content of the value at `at` begins, whatever its length."""
    return at + 2 + (head[at + 1] & 0x7F if head[at + 1] > 0x80 else 0)


def _behind(head: bytes, at: int) -> int:
    """Where the value at `at` ends. ValueError for an indefinite length."""
    if head[at + 1] == 0x80:
        raise ValueError("its end is not told at its beginning")
    begin = _inside(head, at)
    return begin + (head[at + 1] if head[at + 1] < 0x80 else int.from_bytes(head[at + 2 : begin], "big"))


def _is_refusal(head: bytes) -> bool:
    """SEQUENCE { SEQUENCE { INTEGER 2..5, … } } and nothing after it."""
    try:
        status = asn1.parse_head(head, Rules.BER).only(SEQUENCE)
        return len(head) < 300 and status.children[0].tag == INTEGER and 2 <= status.children[0].small() <= 5
    except (Malformed, IndexError):
        return False


def is_request(head: bytes) -> bool:
    """A TimeStampReq (RFC 3161 section 2.4.1), which lies beside tokens and looks like an evidence record to who looks no further."""
    at = 2 + (head[1] & 0x7F if len(head) > 1 and head[1] > 0x80 else 0)
    if head[at : at + 1] != b"\x02":  # it begins with its version: what does not, needs no further look
        return False
    try:
        tsp.decode_request(head)
    except Malformed:
        return False
    return True


def read(document: Document, detached: Sequence[Document] = (), certs: Iterable[Cert] = ()) -> Evidence:
    """The token, held against the document that it stamps: the one of `detached` whose digest it has, or the only one."""
    return beside(token_of(document.read(cms.MAX_TOKEN), certs), detached)


def beside(token: Token, detached: Sequence[Document]) -> Evidence:
    """A token that was read, beside what it may stamp."""
    stamp = standing(token, detached)
    return Evidence(
        "TST", (), (stamp,), certs=frozenset(token.certs), crls=frozenset(token.crls), ocsps=frozenset(token.ocsps), documents=tuple(detached)
    )


def token_of(data: bytes, certs: Iterable[Cert] = ()) -> Token:
    """The token in a TimeStampResp, or the token itself. Malformed for a refusal: it stamps nothing."""
    given = tuple(certs)
    if (quickly := stencil.read(_bare(data), given)) is not None:
        return quickly
    node = asn1.parse(data, Rules.BER).expect(SEQUENCE)
    first = node.children[0] if node.children else node
    if first.tag != SEQUENCE:
        return cms.token(data, given)
    fields = first.fields()
    status = fields.take(INTEGER).small()
    if status not in _GRANTED:
        raise Malformed(f"time-stamp response is a refusal (status {status}) and holds no token")
    texts = fields.maybe(SEQUENCE)
    if (texts is not None and not all(text.tag in _WORDS for text in texts.children)) or fields.rest():
        # RFC 3161 section 2.4.2: what failed is told where no token is.
        raise Malformed("time-stamp response says that it was granted, and something else")
    if len(node.children) != 2:
        raise Malformed("time-stamp response holds no token")
    return cms.token(node.children[1].raw, given)


def _bare(data: bytes) -> bytes:
    """Without the `SEQUENCE { SEQUENCE { INTEGER 0 or 1 } …` of a plain TimeStampResp around it, where the lengths fit."""
    if data[:1] != b"\x30" or data[1:2] not in _LONG:
        return data
    at = 4 if data[1] == 0x82 else 3
    if data[at : at + 5] not in _PLAINLY_GRANTED or int.from_bytes(data[2:at], "big") != len(data) - at or data[2] < (1 if at == 4 else 0x80):
        return data
    return data[at + 5 :]


_LONG = (b"\x81", b"\x82")
_PLAINLY_GRANTED = (bytes.fromhex("3003020100"), bytes.fromhex("3003020101"))


def standing(token: Token, documents: Sequence[Document], kind: StampKind = StampKind.STANDALONE) -> Stamp:
    """A token over a whole document."""
    imprint = token.imprint
    digests = [(d, document_digest(d, imprint.algorithm)) for d in documents]
    matched = next((d for d, made in digests if made == imprint), None)
    seen = matched if matched is not None else digests[0][0] if len(digests) == 1 and digests[0][1] is not None else None
    scope = Scope.FULL if seen is None or seen.readable else Scope.DIGEST
    reference = Reference((seen and seen.name) or "document", seen is not None, matched is not None, scope, imprint)
    covers = document_id(matched) if matched is not None else frozenset()
    return Stamp(token, kind, matched is not None, covers, found=seen is not None, references=(reference,))
