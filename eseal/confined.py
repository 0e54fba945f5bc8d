"""What a confined process may ask for, and what is believed of what it hands back: it may be in a stranger's hands."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from eseal.draft import Base64, Draft, Span
from eseal.drafting import Signable
from eseal.spec import Level, Packaging, Spec
from trust.errors import Malformed, Unacceptable, Unavailable
from trust.model import Cert, Digest, Document
from trust.ports import Key, Stamper, Status, StatusSource

T = TypeVar("T")
LONGEST_WARNING = 200
"""Characters."""


def sound_draft(draft: Draft, document: Document) -> None:
    """Of a document that is extended: what was made is bytes and parts of it that exist. Unlike a seal's it may leave parts out; what that does to
    the signatures in it the verifier tells."""
    size = document.size or 0
    for piece in draft.pieces:
        if isinstance(piece, Span | Base64) and not 0 <= piece.start <= piece.stop <= size:
            raise Malformed("what was made names a part of the document that does not exist")
        if not isinstance(piece, Span | Base64 | bytes):
            raise Malformed("what was made is not bytes")
    if not all(isinstance(s, bytes) for s in draft.stamps) or not all(map(_sound_warning, draft.warnings)):
        raise Malformed("what was made is not well formed")


def sound(draft: Draft, document: Document, spec: Spec) -> None:
    """The confined process may be in a stranger's hands: what it hands back holds the document whole and in order, or not at all."""
    at = 0
    for piece in draft.pieces:
        if isinstance(piece, Span | Base64):
            if piece.start != at or piece.stop < at:
                raise Malformed("the seal that was made leaves out or repeats a part of the document")
            at = piece.stop
        elif not isinstance(piece, bytes):
            raise Malformed("the seal that was made is not bytes")
    if at != (0 if spec.packaging is Packaging.DETACHED or document.size is None else document.size):
        raise Malformed("the seal that was made does not hold the document")
    if not all(isinstance(s, bytes) for s in (draft.signature, *draft.stamps)) or not all(map(_sound_warning, draft.warnings)):
        raise Malformed("the seal that was made is not well formed")


def _sound_warning(text: object) -> bool:
    """A line that may stand in a header, a terminal or a log."""
    return isinstance(text, str) and text.isascii() and text.isprintable() and len(text) <= LONGEST_WARNING


def at_most(count: int, what: str, call: Callable[..., T]) -> Callable[..., T]:
    """Whoever holds the confined process cannot ask without end."""
    left = [count]

    def counted(*args: Any) -> T:
        if not left[0]:
            raise Unacceptable(f"one document gets at most {count} {what}")
        left[0] -= 1
        return call(*args)

    return counted


def signing(key: Key, signed: list[bytes], signable: Signable) -> Callable[[bytes], bytes]:
    """The key, for what the format signs alone; digests of what it signed are put into `signed`."""

    def sign(data: object) -> bytes:
        # Whoever holds the confined process cannot have a certificate, a token or a plain file signed.
        if not isinstance(data, bytes) or not data.startswith(signable.begins) or len(data) > signable.longest:
            raise Unacceptable(f"only {signable.what} are signed")
        signed.append(Digest.of("sha256", data).value)
        return key.sign(data)

    return sign


def stamping(stamp: Stamper, level: Level) -> Stamper:
    """The authority for a confined process, with the level in what it cannot do."""

    def stamped(imprint: object) -> bytes:
        if not isinstance(imprint, Digest):
            raise Malformed("a time-stamp is over a digest")
        try:
            return stamp(imprint)
        except Unavailable as error:
            raise Unavailable(f"{level} needs a time-stamp and the authority gives none: {error}") from error

    return stamped


def asking(status: StatusSource, level: Level) -> StatusSource:
    """The status service for a confined process, with the level in what it cannot do."""

    def asked(chain: Sequence[Cert]) -> Status:
        if not all(isinstance(c, Cert) for c in chain):
            raise Malformed("status is asked of certificates")
        try:
            return status(chain)
        except Unavailable as error:
            raise Unavailable(f"{level} needs revocation data and there is none: {error}") from error

    return asked


def noted(call: Callable[[Any], T], away: list[str]) -> Callable[[Any], T]:
    """Remember that it did not answer."""

    def asked(about: Any) -> T:
        try:
            return call(about)
        except Unavailable as error:
            away.append(str(error))
            raise

    return asked
