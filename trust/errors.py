"""The errors of the house: one small tree. An error means that the work could not be done; a verdict is never an error.

Each class carries its RFC 9457 problem slug, its HTTP status and its exit code (BSD sysexits), so that the doors translate without branching.
Messages are lower case, say expected and got, and never echo a stranger's bytes raw.
"""

from collections.abc import Mapping
from typing import ClassVar


class KakuinError(Exception):
    """The work could not be done; `str(error)` is one line a person can act on. The title says its kind in words, in English or Japanese."""

    slug: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"
    japanese: ClassVar[str] = "内部エラーです"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 70
    inward: bool = False
    """What it says names hosts or files of the installation: for its operator, and not for clients."""


class Malformed(KakuinError):
    """The bytes are not what their format's standard says."""

    slug = "malformed"
    title = "Malformed input"
    japanese = "入力の形式が正しくありません"
    status = 400
    exit_code = 65


class Altered(Malformed):
    """Bytes that were recorded here are not what was recorded: to who asks over HTTP that is a fault on this side."""

    slug = "altered"
    title = "Record altered"
    japanese = "記録が改変されています"
    status = 500


class Unacceptable(KakuinError):
    """Well formed, but asks for what is not offered: a level the format has not, an algorithm that is not allowed."""

    slug = "unacceptable"
    title = "Request cannot be met"
    japanese = "求められたとおりにはできません"
    status = 422
    exit_code = 65


class UnsupportedMedia(Unacceptable):
    """The media type is not one that this door reads. `accept`: those that are."""

    slug = "unsupported-media-type"
    title = "Unsupported media type"
    japanese = "この種類のデータは受け付けません"
    status = 415

    def __init__(self, why: str = "", accept: str = "") -> None:
        super().__init__(why)
        self.accept = accept

    @property
    def headers(self) -> Mapping[str, str]:
        """RFC 9110 sections 12.5.1 and 15.5.16: what would have been read."""
        return {"Accept": self.accept} if self.accept else {}


class Coded(UnsupportedMedia):
    """The body has a Content-Encoding."""

    @property
    def headers(self) -> Mapping[str, str]:
        """RFC 9110 section 12.5.3: no coding is read, and it was not the media type."""
        return {"Accept-Encoding": "identity"}


class Locked(Unacceptable):
    """Encrypted, and without the password that opens it: nothing can be said of what is inside, not even that it is wrong."""

    slug = "locked"
    title = "Password needed"
    japanese = "パスワードが必要です"


class NotAcceptable(Unacceptable):
    """No form of the answer is one that the client accepts."""

    slug = "not-acceptable"
    title = "No acceptable form of the answer"
    japanese = "受け取れる形式の回答がありません"
    status = 406


class Unauthorised(KakuinError):
    """No credential, or one that is unknown, expired or revoked."""

    slug = "unauthorised"
    title = "Credential missing or not accepted"
    japanese = "認証情報がないか、認められません"
    status = 401
    exit_code = 77


class Forbidden(KakuinError):
    """A sound credential that does not reach this far."""

    slug = "forbidden"
    title = "Not permitted"
    japanese = "許可されていません"
    status = 403
    exit_code = 77


class NotFound(KakuinError):
    """The thing named does not exist here."""

    slug = "not-found"
    title = "Not found"
    japanese = "見つかりません"
    status = 404
    exit_code = 66


class Conflict(KakuinError):
    """The thing exists already, or its state forbids the step."""

    slug = "conflict"
    title = "Conflict"
    japanese = "既にあるもの、または現在の状態と両立しません"
    status = 409
    exit_code = 73


class PreconditionFailed(KakuinError):
    """What there is is not in the state that was asked for (RFC 9110 section 15.5.13)."""

    slug = "precondition-failed"
    title = "Not in the state asked for"
    japanese = "求められた状態のものではありません"
    status = 412


class TooLarge(KakuinError):
    """More bytes, parts or nesting than the limit; the limit is named."""

    slug = "too-large"
    title = "Over the limit"
    japanese = "上限を超えています"
    status = 413
    exit_code = 65


class TooMany(KakuinError):
    """More requests than one client may make; the answer says when the next one is taken."""

    slug = "too-many-requests"
    title = "Too many requests"
    japanese = "要求が多すぎます"
    status = 429
    exit_code = 75

    def __init__(self, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.headers = {"Retry-After": "1"} if headers is None else headers
        """Of the answer: when to ask again."""


class Unavailable(KakuinError):
    """Something the work depends on does not answer; trying later may help."""

    slug = "unavailable"
    title = "Temporarily unavailable"
    japanese = "今は応答できません"
    status = 503
    exit_code = 69


class Misconfigured(KakuinError):
    """Settings, files or permissions of this installation are wrong; the message says which and what to do."""

    slug = "misconfigured"
    title = "Installation is not in order"
    japanese = "設定やファイルに問題があります"
    status = 500
    exit_code = 78
