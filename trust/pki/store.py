"""Certificates and CRLs in the database. Rows never leave this module."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Engine, LargeBinary, Text, UniqueConstraint, and_, bindparam, inspect, sql
from sqlalchemy.exc import IntegrityError
from sqlmodel import BigInteger, Field, Session, SQLModel, col, func, select
from sqlmodel.sql.expression import SelectOfScalar

from trust.edge.engine import Lookup, refused, writing
from trust.errors import Conflict, NotFound
from trust.model import Cert, Crl
from trust.pki.service import Issued, Published


class CertificateRow(SQLModel, table=True):
    """Times are Unix seconds, serials hexadecimal (they have 128 bits), issuers the hexadecimal identifier of their key."""

    __tablename__ = "certificate"
    __table_args__ = (UniqueConstraint("issuer", "serial"),)

    id: int | None = Field(default=None, primary_key=True)
    issuer: str = Field(max_length=64)
    serial: str = Field(max_length=40)
    profile: str = Field(max_length=20)
    subject: str = Field(sa_type=Text)
    not_before: int = Field(sa_type=BigInteger)
    not_after: int = Field(sa_type=BigInteger)
    der: bytes = Field(sa_type=LargeBinary)
    revoked_at: int | None = Field(default=None, sa_type=BigInteger)
    reason: str | None = Field(default=None, max_length=30)


class CrlRow(SQLModel, table=True):
    __tablename__ = "crl"
    __table_args__ = (UniqueConstraint("issuer", "number"),)

    id: int | None = Field(default=None, primary_key=True)
    issuer: str = Field(max_length=64)
    number: int = Field(sa_type=BigInteger)
    entries: int
    this_update: int = Field(sa_type=BigInteger)
    next_update: int = Field(sa_type=BigInteger)
    der: bytes = Field(sa_type=LargeBinary)


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _issued(row: CertificateRow) -> Issued:
    return _told(row.der, row.profile, row.issuer, row.revoked_at, row.reason)


def _told(der: bytes, profile: str, issuer: str, revoked_at: int | None, reason: str | None) -> Issued:
    return Issued(Cert(bytes(der)), profile, bytes.fromhex(issuer), None if revoked_at is None else _time(revoked_at), reason)


# Asked for each seal, four to twelve times: see Lookup.
_CERTIFICATES, _LISTS = inspect(CertificateRow).local_table, inspect(CrlRow).local_table
_FIND = sql.select(*(_CERTIFICATES.c[name] for name in ("der", "profile", "issuer", "revoked_at", "reason"))).where(
    _CERTIFICATES.c.issuer == bindparam("issuer"), _CERTIFICATES.c.serial == bindparam("serial")
)
_REVOKED = (
    sql.select(func.count()).select_from(_CERTIFICATES).where(_CERTIFICATES.c.issuer == bindparam("issuer"), _CERTIFICATES.c.revoked_at.is_not(None))
)
_NEWEST = (
    sql.select(*(_LISTS.c[name] for name in ("id", "number", "entries", "this_update", "next_update")), _REVOKED.scalar_subquery().label("revoked"))
    .where(_LISTS.c.issuer == bindparam("issuer"))
    .order_by(_LISTS.c.number.desc())
    .limit(1)
)
_LIST = sql.select(_LISTS.c.der).where(_LISTS.c.id == bindparam("id"))


class CertificateStore:
    """`trust.pki.service.Store` on SQLAlchemy."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._find, self._newest, self._count, self._list = (Lookup(engine, statement) for statement in (_FIND, _NEWEST, _REVOKED, _LIST))
        self._lists: dict[bytes, tuple[int, Crl]] = {}
        """Of each issuer, the newest that was asked for."""

    def add(self, issued: Issued) -> None:
        certificate = issued.certificate
        row = CertificateRow(
            issuer=issued.issuer.hex(),
            serial=f"{certificate.serial:x}",
            profile=issued.profile,
            subject=certificate.x509.subject.rfc4514_string(),
            not_before=int(certificate.not_before.timestamp()),
            not_after=int(certificate.not_after.timestamp()),
            der=certificate.der,
        )
        with refused(self._engine), Session(writing(self._engine)) as session:
            session.add(row)
            try:
                session.commit()
            except IntegrityError as error:
                raise Conflict("a certificate with this serial number exists already") from error

    def find(self, issuer: bytes, serial: int) -> Issued | None:
        with refused(self._engine):
            rows = self._find.rows(issuer=issuer.hex(), serial=f"{serial:x}")
        return _told(*rows[0]) if rows else None

    def with_serial(self, serial: int) -> Sequence[Issued]:
        with refused(self._engine), Session(self._engine) as session:
            return [_issued(row) for row in session.exec(select(CertificateRow).where(CertificateRow.serial == f"{serial:x}"))]

    def all(self) -> Sequence[Issued]:
        with refused(self._engine), Session(self._engine) as session:
            return [_issued(row) for row in session.exec(select(CertificateRow).order_by(col(CertificateRow.id)))]

    def revoke(self, issuer: bytes, serial: int, time: datetime, reason: str) -> None:
        with refused(self._engine), Session(writing(self._engine)) as session:
            row = session.exec(_one(issuer, serial).with_for_update()).first()
            if row is None:
                raise NotFound("no certificate with this serial number was issued here")
            if row.revoked_at is not None:
                raise Conflict(f"certificate was revoked already, at {_time(row.revoked_at).isoformat()}")
            row.revoked_at, row.reason = int(time.timestamp()), reason
            session.add(row)
            session.commit()

    def revoked(self, issuer: bytes) -> Sequence[Issued]:
        with refused(self._engine), Session(self._engine) as session:
            return [_issued(row) for row in session.exec(select(CertificateRow).where(_revoked(issuer)).order_by(col(CertificateRow.id)))]

    def newest_crl(self, issuer: bytes) -> Published | None:
        return self.list_of(issuer)[0]

    def list_of(self, issuer: bytes) -> tuple[Published | None, int]:
        with refused(self._engine):
            rows = self._newest.rows(issuer=issuer.hex())
            if not rows:
                return None, self._count.rows(issuer=issuer.hex())[0][0]
            key, number, entries, this_update, next_update, revoked = rows[0]
            known = self._lists.get(issuer)
            if known is None or known[0] != key:
                # A list that is there is never changed: its bytes, and what was read in them, are kept.
                known = self._lists[issuer] = key, Crl(bytes(self._list.rows(id=key)[0][0]))
        return Published(known[1], number, entries, _time(this_update), _time(next_update)), revoked

    def add_crl(self, issuer: bytes, published: Published) -> None:
        row = CrlRow(
            issuer=issuer.hex(),
            number=published.number,
            entries=published.entries,
            this_update=int(published.this_update.timestamp()),
            next_update=int(published.next_update.timestamp()),
            der=published.crl.der,
        )
        with refused(self._engine), Session(writing(self._engine)) as session:
            session.add(row)
            try:
                session.commit()
            except IntegrityError as error:
                raise Conflict(f"CRL number {published.number} is taken") from error


def _one(issuer: bytes, serial: int) -> SelectOfScalar[CertificateRow]:
    return select(CertificateRow).where(CertificateRow.issuer == issuer.hex(), CertificateRow.serial == f"{serial:x}")


def _revoked(issuer: bytes) -> ColumnElement[bool]:
    return and_(col(CertificateRow.issuer) == issuer.hex(), col(CertificateRow.revoked_at).is_not(None))
