"""API keys and repeated requests in the database. Rows stay in here; times are microseconds since 1970 UTC.

A key is `kakuin_<id>_<secret>`. The id finds the row; the secret is 256 random bits, of which only the SHA-256 is kept: a slow password
hash protects secrets that people choose and can be guessed, and would only make each request slow here.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import BigInteger, Column, Engine, LargeBinary, String, delete
from sqlmodel import Field, Session, SQLModel, col, select

from trust.edge.engine import refused, writing
from trust.errors import Conflict, NotFound, Unacceptable, Unauthorised
from trust.ports import Clock

PREFIX = "kakuin"
_ID_BYTES, _SECRET_BYTES = 8, 32
_SHAPE = re.compile(r"kakuin_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
DEFAULT_DAYS, LONGEST_DAYS = 365, 3 * 365
"""Days that a key lasts: a year when nobody says otherwise, never for ever."""
LONGEST_LABEL = 80
_ORGANISATION = re.compile(r"[0-9]{13}")
LAST_USED_PRECISION = timedelta(minutes=1)
"""Uses within a minute are written as one, so that reading is not a write for each request."""
REPEAT_FOR = timedelta(days=1)
"""How long the same Idempotency-Key gets the same seal."""
LARGEST_ANSWER = 1 << 20
"""Bytes of a remembered seal, the document itself not counted."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _number(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _moment(number: int | None) -> datetime | None:
    return None if number is None else _EPOCH + timedelta(microseconds=number)


class _KeyRow(SQLModel, table=True):
    __tablename__ = "api_key"

    id: str = Field(sa_column=Column(String(20), primary_key=True))
    digest: bytes = Field(sa_column=Column(LargeBinary(32), nullable=False))
    organisation: str = Field(sa_column=Column(String(13), nullable=False, index=True))
    label: str = Field(sa_column=Column(String(80), nullable=False))
    created: int = Field(sa_column=Column(BigInteger, nullable=False))
    expires: int = Field(sa_column=Column(BigInteger, nullable=False))
    revoked: int | None = Field(default=None, sa_column=Column(BigInteger))
    last_used: int | None = Field(default=None, sa_column=Column(BigInteger))


class _RepeatRow(SQLModel, table=True):
    __tablename__ = "seal_repeat"

    key: bytes = Field(sa_column=Column(LargeBinary(32), primary_key=True))
    request: bytes = Field(sa_column=Column(LargeBinary(32), nullable=False))
    answer: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    expires: int = Field(sa_column=Column(BigInteger, nullable=False, index=True))


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What may be known of a key: all but its secret."""

    id: str
    organisation: str
    """Corporate number, 13 digits."""
    label: str
    created: datetime
    expires: datetime
    revoked: datetime | None
    last_used: datetime | None

    def state(self, now: datetime) -> str:
        """`revoked`, `expired` or `active`."""
        return "revoked" if self.revoked else "expired" if self.expires <= now else "active"


class ApiKeys:
    """API keys, each for one organisation. Thread-safe; what a method did is durable when it returns."""

    def __init__(self, engine: Engine, clock: Clock, admit: Callable[[str], None] = lambda _: None) -> None:
        """`admit` is called with the id of each key that was recognised, and raises where that asks too much."""
        self._engine = engine
        self._clock = clock
        self._admit = admit

    def create(self, organisation: str, label: str = "", days: int = DEFAULT_DAYS) -> tuple[str, ApiKey]:
        """A new key: its text, which is shown this once and kept nowhere, and what is kept of it. Unacceptable for what no key can be."""
        if not _ORGANISATION.fullmatch(organisation):
            raise Unacceptable("an API key belongs to a corporate number of 13 digits")
        if not 1 <= days <= LONGEST_DAYS:
            raise Unacceptable(f"an API key lasts 1 to {LONGEST_DAYS} days, got {days}")
        if len(label) > LONGEST_LABEL or not label.isprintable():
            raise Unacceptable(f"a label is up to {LONGEST_LABEL} printable characters")
        name, secret, now = secrets.token_hex(_ID_BYTES), secrets.token_urlsafe(_SECRET_BYTES), self._clock()
        row = _KeyRow(
            id=name,
            digest=_hashed(secret),
            organisation=organisation,
            label=label,
            created=_number(now),
            expires=_number(now + timedelta(days=days)),
        )
        made = _shown(row)
        with refused(self._engine), Session(writing(self._engine)) as session:
            session.add(row)
            session.commit()
        return f"{PREFIX}_{name}_{secret}", made

    def recognise(self, text: str) -> ApiKey:
        """The key that this text is. Unauthorised, with one message for whatever is wrong with it, so that nobody learns which ids exist."""
        shape = _SHAPE.fullmatch(text)
        now = self._clock()
        with refused(self._engine), Session(self._engine) as session:
            row = session.get(_KeyRow, shape[1]) if shape else None
            # Without a row the same work is done over nothing: the time it takes says nothing either.
            same = hmac.compare_digest(row.digest if row else bytes(32), _hashed(shape[2] if shape else text))
            if row is None or not same or row.revoked is not None or row.expires <= _number(now):
                raise Unauthorised("the API key is unknown, expired or revoked")
            found = _shown(row)
        if found.last_used is None or now - found.last_used >= LAST_USED_PRECISION:
            self._used(found.id, now)
        self._admit(found.id)
        return found

    def _used(self, name: str, now: datetime) -> None:
        with refused(self._engine), Session(writing(self._engine)) as session:
            row = session.get(_KeyRow, name)
            if row is not None:
                row.last_used = _number(now)
                session.add(row)
                session.commit()

    def listed(self, organisation: str | None = None) -> tuple[ApiKey, ...]:
        """All keys, or those of one organisation; oldest first, revoked and expired ones too."""
        query = select(_KeyRow).order_by(col(_KeyRow.created), col(_KeyRow.id))
        if organisation is not None:
            query = query.where(col(_KeyRow.organisation) == organisation)
        with refused(self._engine), Session(self._engine) as session:
            return tuple(_shown(row) for row in session.exec(query))

    def revoke(self, name: str) -> ApiKey:
        """By its id (or by its whole text, which people paste). From now on it is refused; revoking it again changes nothing. NotFound."""
        shape = _SHAPE.fullmatch(name)
        with refused(self._engine), Session(writing(self._engine)) as session:
            row = session.get(_KeyRow, shape[1] if shape else name)
            if row is None:
                raise NotFound("no API key has that id")
            if row.revoked is None:
                row.revoked = _number(self._clock())
                session.add(row)
                session.commit()
                session.refresh(row)
            return _shown(row)


def _hashed(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _shown(row: _KeyRow) -> ApiKey:
    return ApiKey(
        row.id,
        row.organisation,
        row.label,
        _EPOCH + timedelta(microseconds=row.created),
        _EPOCH + timedelta(microseconds=row.expires),
        _moment(row.revoked),
        _moment(row.last_used),
    )


class Repeats:
    """Seals by Idempotency-Key, so that a client that lost an answer gets the same one again. What is kept is what a seal adds to its
    document, never the document."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def find(self, key: bytes, request: bytes) -> bytes | None:
        """The answer that was given to this key (a SHA-256) for this request (likewise). Conflict when the key was used for another one."""
        with refused(self._engine), Session(self._engine) as session:
            row = session.get(_RepeatRow, key)
            if row is None or row.expires <= _number(self._clock()):
                return None
            if not hmac.compare_digest(row.request, request):
                raise Conflict("the Idempotency-Key was used for another request")
            return row.answer

    def keep(self, key: bytes, request: bytes, answer: bytes, most: int = LARGEST_ANSWER) -> bytes:
        """Remember an answer; the one that was there first, if two requests with one key ran at once. Larger ones than `most` bytes are not kept."""
        now = _number(self._clock())
        if len(answer) > most:
            return answer
        with refused(self._engine), Session(writing(self._engine)) as session:
            session.execute(delete(_RepeatRow).where(col(_RepeatRow.expires) <= now))
            there = session.get(_RepeatRow, key)
            if there is None:
                session.add(_RepeatRow(key=key, request=request, answer=answer, expires=now + REPEAT_FOR // timedelta(microseconds=1)))
            session.commit()
        return self.find(key, request) or answer
