"""Conditional requests (RFC 9110 section 13): what is known already is not sent again, and who wants one certain state gets no other."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, NamedTuple

from fastapi import Depends, Header

from trust.errors import PreconditionFailed

_ENTITY_TAG = re.compile(r'(W/)?("[!\x23-\x7e\x80-\xff]*")')
"""Section 8.8.3. Lists are searched for them: a comma may stand inside one."""

_Field = Annotated[list[str] | None, Header()]


class Conditions(NamedTuple):
    """The fields, each with all its lines; empty where it was not sent."""

    if_match: tuple[str, ...] = ()
    if_none_match: tuple[str, ...] = ()
    if_modified_since: tuple[str, ...] = ()
    if_unmodified_since: tuple[str, ...] = ()


def _asked(
    if_match: _Field = None,
    if_none_match: _Field = None,
    if_modified_since: _Field = None,
    if_unmodified_since: _Field = None,
) -> Conditions:
    return Conditions(tuple(if_match or ()), tuple(if_none_match or ()), tuple(if_modified_since or ()), tuple(if_unmodified_since or ()))


Asked = Annotated[Conditions, Depends(_asked)]
"""For a route's parameter."""


def conditions(headers: Iterable[tuple[bytes, bytes]]) -> Conditions:
    """The same of an ASGI scope's."""
    found: dict[str, tuple[str, ...]] = {}
    for name, value in headers:
        if name.startswith(b"if-"):
            field = name.decode("latin-1").replace("-", "_")
            found[field] = (*found.get(field, ()), value.decode("latin-1").strip())
    return Conditions(*(found.get(field, ()) for field in Conditions._fields))


def is_known(asked: Conditions, tag: str, since: datetime | None = None) -> bool:
    """Section 13.2.2, for GET and HEAD of what exists: whether the client has it (304). PreconditionFailed where it asked for another state.

    `tag`: of the representation that would be sent, with its quotes, strong. `since`: when that was made, where it is told.
    """
    made = None if since is None else since.replace(microsecond=0)
    if asked.if_match:
        if not _names(asked.if_match, tag, weak=False):
            raise PreconditionFailed("If-Match names no state that this has")
    elif asked.if_unmodified_since and made is not None:
        unmodified = _date(asked.if_unmodified_since)
        if unmodified is not None and made > unmodified:
            raise PreconditionFailed("this is newer than If-Unmodified-Since says")
    if asked.if_none_match:
        return _names(asked.if_none_match, tag, weak=True)
    modified = _date(asked.if_modified_since) if made is not None else None
    return made is not None and modified is not None and made <= modified


def _names(lines: tuple[str, ...], tag: str, *, weak: bool) -> bool:
    """Section 8.8.3.2: a weak tag is never strongly equal; `*` is any."""
    said = ",".join(lines)
    return said.strip() == "*" or any(found == tag and (weak or not weakly) for weakly, found in _ENTITY_TAG.findall(said))


def _date(lines: tuple[str, ...]) -> datetime | None:
    """Section 5.6.7; None for what is no date, which is ignored (sections 13.1.3 and 13.1.4)."""
    if len(lines) != 1:
        return None
    try:
        read = parsedate_to_datetime(lines[0])
    except (ValueError, TypeError, OverflowError):
        return None
    return read if read.tzinfo is not None else read.replace(tzinfo=UTC)
