"""Asking a time-stamp authority elsewhere (RFC 3161): what is sent, and what is believed of the answer.

The answer comes from a stranger over a network. It is believed when it is a token over exactly this digest, with exactly this nonce, signed by
a certificate that it carries and that is for time-stamping. Whether that certificate is anybody's whom one trusts is the verifier's question.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from trust import algorithms
from trust.codecs import cms, tsp
from trust.codecs.tsp import Failure
from trust.errors import Malformed, Unacceptable, Unavailable
from trust.model import Cert, Digest, Token
from trust.ports import Stamper

QUERY = "application/timestamp-query"
NONCE_BITS = 64
SECONDS = 20.0
"""For one answer. Authorities with hardware keys take a second or two when they are busy."""
_PASSING = frozenset({Failure.TIME_NOT_AVAILABLE, Failure.SYSTEM_FAILURE})

Post = Callable[[str, bytes, str], bytes]
"""Address, body and media type -> the body of a 200 answer. Raises Unavailable or TooLarge."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, and what its answer must therefore say."""

    der: bytes
    digest: Digest
    nonce: int
    policy: str | None = None


def ask(digest: Digest, nonce: int, policy: str | None = None) -> Asked:
    """RFC 3161 section 2.4.1: a request that wants the certificates too."""
    return Asked(tsp.encode_request(digest, nonce=nonce, policy=policy, cert_req=True), digest, nonce, policy)


def believe(answer: bytes, asked: Asked) -> Token:
    """RFC 3161 section 2.2: the token of an answer that is one to this request.

    Unavailable where the authority says that it cannot for now; Unacceptable where it refuses, or where the token is another's; Malformed where
    the answer is not what the standard says.
    """
    reply = tsp.decode_response(answer)
    if not reply.granted:
        why = f"the time-stamp authority refused: {reply.reason}"
        raise Unavailable(why) if reply.failures & _PASSING else Unacceptable(why)
    if reply.token is None:
        raise Malformed("the time-stamp authority granted a token and sent none")
    token = cms.token(reply.token)
    if token.imprint != asked.digest:
        raise Unacceptable("the time-stamp authority stamped another digest")
    if token.nonce != asked.nonce:
        raise Unacceptable("the time-stamp authority's token has another nonce: it may be an old one")
    if asked.policy is not None and token.policy != asked.policy:
        raise Unacceptable(f"the time-stamp authority's token has another policy: expected {asked.policy}, got {token.policy}")
    _require_signed(token)
    return token


def _require_signed(token: Token) -> None:
    signature = token.signature
    if any(defect.fatal for defect in signature.defects):
        raise Malformed(f"time-stamp token: {next(d.why for d in signature.defects if d.fatal)}")
    signer = signature.signer
    if signer is None:
        raise Malformed("time-stamp token: the certificate of its signer was asked for and is missing")
    if signature.signer_reference.count != 1 or not signature.signer_reference.digest_matches:
        raise Malformed("time-stamp token: its signer is not bound by one signing-certificate attribute (RFC 3161 section 2.4.2)")
    if not _for_timestamping(signer):
        raise Unacceptable("time-stamp token: its signer's certificate is not for time-stamping (RFC 3161 section 2.3)")
    if signature.algorithm is None or signer.public_key is None or not isinstance(signature.signed, bytes):
        raise Unacceptable("time-stamp token: its signature algorithm is not known here")
    if not signature.intact_references or not algorithms.verify(signer.public_key, signature.algorithm, signature.value, signature.signed):
        raise Malformed("time-stamp token: its signature does not verify")


def _for_timestamping(signer: Cert) -> bool:
    """Critical, and nothing else."""
    try:
        found = signer.x509.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return False
    return found.critical and list(found.value) == [ExtendedKeyUsageOID.TIME_STAMPING]


@dataclass(frozen=True, slots=True)
class RemoteStamper:
    """trust.ports.Stamper over an authority at `url`. Raises Unavailable, Unacceptable or Malformed as `believe` does, TooLarge as `post` does."""

    url: str
    post: Post
    policy: str | None = None
    nonce: Callable[[int], int] = secrets.randbits

    def __post_init__(self) -> None:
        _require_private(self.url)

    def __call__(self, digest: Digest) -> bytes:
        asked = ask(digest, self.nonce(NONCE_BITS), self.policy)
        return believe(self.post(self.url, asked.der, QUERY), asked).der


def remote_stamper(url: str, policy: str | None = None) -> Stamper:
    """Over the network: no redirects, the answer capped in size and time. Unacceptable for an address that is neither https nor loopback."""
    from trust.edge.fetch import Fetcher

    def post(address: str, body: bytes, media_type: str) -> bytes:
        # The address is the operator's own, so it may be in a private network. A new fetcher each time: nothing is remembered.
        return Fetcher(max_bytes=tsp.MAX_RESPONSE, seconds=SECONDS, redirects=0, allow_private=True).post(address, body, media_type)

    return RemoteStamper(url, post, policy)


def stamped_with_receipt(url: str, digest: Digest) -> tuple[bytes, str | None]:
    """A token as a RemoteStamper gets it, and the address of its receipt; None where the authority names none."""
    from trust.edge.fetch import Fetcher
    from trust.edge.preferences import RECEIPT
    from trust.log.links import linked

    links: list[str] = []

    def post(address: str, body: bytes, media_type: str) -> bytes:
        asking = Fetcher(
            max_bytes=tsp.MAX_RESPONSE,
            seconds=SECONDS,
            redirects=0,
            allow_private=True,
            fields={"Prefer": RECEIPT},
            heard=lambda said: links.append(said.get("link", "")),
        )
        return asking.post(address, body, media_type)

    token = RemoteStamper(url, post)(digest)
    return token, linked(links[-1], url) if links else None


def _require_private(url: str) -> None:
    """What is asked of an authority tells what somebody is about to sign: it goes over https, or does not leave the machine."""
    from trust.edge.fetch import loopback

    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        raise Unacceptable("the time-stamp authority's address is none") from None
    if host and (parts.scheme == "https" or (parts.scheme == "http" and loopback(host))):
        return
    raise Unacceptable("the time-stamp authority's address begins with https:// (http:// on this machine only)")
