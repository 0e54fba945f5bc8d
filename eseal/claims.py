"""What a seal says of itself and of its document, as frozen values: signed, and proved by nothing but the signer's word."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum

from trust.algorithms import DIGESTS
from trust.errors import Unacceptable
from trust.model import Digest

LONGEST_TEXT = 500
"""Characters of a reason or a location: a sentence, no document."""
IMPLIED = "implied"
"""The signature policy follows from what is signed and the circumstances, and has no name of its own."""

_OID = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]{0,38})){1,30}")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}:[!-~]{1,480}")
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}(?:; ?[!-:<-~]{1,200})*+")
_HASHES = ("sha256", "sha384", "sha512", "sha3_256", "sha3_384", "sha3_512")


class Commitment(StrEnum):
    """What the organisation says by sealing (意思): the commitment types of EN 319 122-1 clause 5.2.3."""

    ORIGIN = "origin"
    RECEIPT = "receipt"
    DELIVERY = "delivery"
    SENDER = "sender"
    APPROVAL = "approval"
    CREATION = "creation"


@dataclass(frozen=True, slots=True)
class SignaturePolicy:
    """The rules under which the organisation seals, by name and digest of their text; or that the circumstances imply them."""

    id: str
    """An object identifier, a URI, or `implied`."""
    digest: Digest | None = None
    """Of the policy's text. None where the policy is implied."""
    uri: str | None = None
    """Where the text is to be had."""

    def __post_init__(self) -> None:
        if self.id == IMPLIED:
            if self.digest is not None or self.uri is not None:
                raise Unacceptable("an implied policy has neither a hash nor an address")
            return
        if not self.is_oid and not _URI.fullmatch(self.id):
            raise Unacceptable(f"a policy is an object identifier such as 1.2.392.1, a URI, or {IMPLIED}")
        if self.digest is None:
            # EN 319 122-1 clause 5.2.9.1, EN 319 132-1 clause 5.2.9: whoever reads the name must know that it has the same text before it.
            raise Unacceptable("a policy is named with the hash of its text: policy_hash is sha256:HEX of the file")
        if self.uri is not None and not _URI.fullmatch(self.uri):
            raise Unacceptable("the address of a policy is a URI")

    @property
    def is_oid(self) -> bool:
        return _OID.fullmatch(self.id) is not None

    @property
    def as_uri(self) -> str:
        """RFC 3061 for an object identifier."""
        return f"urn:oid:{self.id}" if self.is_oid else self.id


@dataclass(frozen=True, slots=True)
class Claims:
    """What the seal says, signed but not proved by it."""

    reason: str | None = None
    location: str | None = None
    commitment: Commitment | None = None
    signing_time: datetime | None = None
    """Aware UTC; None: the moment of sealing."""
    role: str | None = None
    """In which the organisation seals, as it says itself."""
    policy: SignaturePolicy | None = None
    description: str | None = None
    """What the document is, in words."""
    mime_type: str | None = None
    """Media type of the document; None: as the document came."""
    content_timestamp: bool = False
    """A time-stamp over the document is signed with it: it existed before the seal did."""

    def __post_init__(self) -> None:
        for name in ("reason", "location", "role", "description"):
            text = getattr(self, name)
            if text is None:
                continue
            if not 0 < len(text) <= LONGEST_TEXT:
                raise Unacceptable(f"{name} is 1 to {LONGEST_TEXT} characters, got {len(text)}")
            if not text.isprintable():
                raise Unacceptable(f"{name} has control characters or line ends")
        if self.signing_time is not None and self.signing_time.tzinfo is None:
            raise Unacceptable("signing time has no zone")
        if self.mime_type is not None and not _MEDIA_TYPE.fullmatch(self.mime_type):
            raise Unacceptable("mime type is a media type such as text/csv")

    @property
    def stated(self) -> frozenset[str]:
        """Names of what is said, but for the time, which each format has a place for."""
        return frozenset(f.name for f in fields(self) if f.name != "signing_time" and getattr(self, f.name) not in (None, False))


NOTHING = Claims()


def claims_of(said: Mapping[str, str | None]) -> Claims:
    """What a caller said, as texts under the names that every door uses; other names are passed over. Unacceptable."""
    policy, digest, uri = said.get("policy"), said.get("policy_hash"), said.get("policy_uri")
    if policy is None and (digest or uri):
        raise Unacceptable("policy_hash and policy_uri belong to a policy, which is not named")
    return Claims(
        said.get("reason"),
        said.get("location"),
        commitment(said.get("commitment")),
        _moment(said.get("signing_time")),
        said.get("role"),
        None if policy is None else SignaturePolicy(policy, None if digest is None else _digest(digest), uri),
        said.get("description"),
        said.get("mime_type"),
        _flag("content_timestamp", said.get("content_timestamp")),
    )


NAMES = (
    *("reason", "location", "role", "commitment", "signing_time"),
    *("policy", "policy_hash", "policy_uri", "description", "mime_type", "content_timestamp"),
)
"""What claims_of() reads."""


def commitment(name: str | None) -> Commitment | None:
    """A commitment type by its name."""
    if name is None:
        return None
    for member in Commitment:
        if member.value == name.lower():
            return member
    raise Unacceptable(f"no commitment has that name; there are {', '.join([*Commitment][:-1])} and {[*Commitment][-1]}")


def _moment(text: str | None) -> datetime | None:
    try:
        return None if text is None else datetime.fromisoformat(text)
    except ValueError as error:
        raise Unacceptable("signing_time is not a time of RFC 3339") from error


def _digest(text: str) -> Digest:
    """`sha256:` and hexadecimal digits."""
    name, _, digits = text.partition(":")
    name = name.lower().replace("sha3-", "sha3_").replace("-", "")
    if name not in _HASHES:
        raise Unacceptable(f"policy_hash begins with one of {', '.join(_HASHES)} and a colon")
    try:
        value = bytes.fromhex(digits)
    except ValueError as error:
        raise Unacceptable("policy_hash is hexadecimal behind its colon") from error
    if len(value) != DIGESTS[name].size:
        raise Unacceptable(f"{name} digest is {DIGESTS[name].size} bytes, got {len(value)}")
    return Digest(name, value)


def _flag(name: str, text: str | None) -> bool:
    if text is None or text.lower() == "false":
        return False
    if text.lower() == "true":
        return True
    raise Unacceptable(f"{name} is true or false")
