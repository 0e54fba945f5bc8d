"""The database: one engine for an installation, and its schema.

SQLite in the instance's folder (write-ahead log, flushed at every commit), or PostgreSQL for several nodes. The schema's history is in
trust/edge/migrations/versions: one line of revisions, each file named by its four-digit number.
"""

import contextlib
import functools
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Dialect, Engine, Executable, PoolProxiedConnection, Select, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, NoSuchModuleError, OperationalError, SQLAlchemyError

from trust.errors import KakuinError, Misconfigured, Unavailable

BUSY_MS = 10_000
"""How long a writer waits for another before it gives up. Commits take about ten milliseconds on a slow disk."""

_SERVER = {
    "lock_timeout": BUSY_MS,
    "idle_in_transaction_session_timeout": 60_000,
    "tcp_keepalives_idle": 10,
    "tcp_keepalives_interval": 5,
    "tcp_keepalives_count": 3,
}
"""What each session asks of PostgreSQL (milliseconds, seconds): the locks of a node that is gone without a word are free again in half a minute. By
itself, because PgBouncer refuses `options`; where the address has these, they count instead."""
_CLIENT: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "application_name": "kakuin",
}
"""... and of libpq: a server that is gone is known to be gone, so that those who wait are told. Whatever the address says itself counts instead."""

SILENCE = 15.0
"""Seconds in which PostgreSQL says nothing, after which a statement is given up: more than any wait for a lock. A server that hangs keeps its
connections, and no keepalive tells. What became of the statement, the database knows when it is back."""

Value = str | int | bytes | None
_IMMEDIATE = "kakuin_immediate"
_WAL = "-wal"
_BEGIN, _BEGIN_IMMEDIATE = text("BEGIN"), text("BEGIN IMMEDIATE")
_MIGRATION_LOCK = 0x6B616B75696E  # "kakuin", the number of PostgreSQL's advisory lock


def connect(url: str, password_file: Path | None = None, *, silence: float = SILENCE) -> Engine:
    """An engine. Misconfigured for an address that is none, or whose driver is not installed. Nothing is opened yet.

    `silence`: for how many seconds PostgreSQL may say nothing before a statement is given up, and its connection with it.

    PostgreSQL's password is in `password_file`, or where libpq looks for it (PGPASSFILE, PGPASSWORD, ~/.pgpass): never in the address, which is
    printed and logged. The file is read for each connection.
    """
    try:
        parsed = make_url(url)
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        if parsed.get_backend_name() == "sqlite":
            return _sqlite(create_engine(parsed, connect_args={"timeout": BUSY_MS / 1000}))
        return _postgresql(parsed, password_file, silence)
    except ModuleNotFoundError as error:
        raise Misconfigured(f"database.url needs the Python package {error.name}, which is not installed") from error
    except (ArgumentError, NoSuchModuleError) as error:
        raise Misconfigured("database.url is not one that is known here: expected sqlite:///… or postgresql://…") from error


def _postgresql(url: URL, password_file: Path | None, silence: float) -> Engine:
    if url.password is not None:
        raise Misconfigured("database.url holds a password: put it into a file (database.password_file), or where PGPASSFILE says")
    said = {name: value for name, value in _CLIENT.items() if name not in url.query}
    engine = create_engine(url, pool_pre_ping=True, connect_args=said)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        """Lists of octets: as texts, in which each octet of an entry stands in hexadecimal, entries take a tenth longer."""
        from psycopg.types.array import ListBinaryDumper

        connection.adapters.register_dumper(list, ListBinaryDumper)
        if "options" not in url.query:
            connection.execute("; ".join(f"set {name} = {value}" for name, value in _SERVER.items()))
            connection.commit()

    @event.listens_for(engine, "do_connect")
    def opened(_dialect: object, _record: object, _args: object, parameters: dict[str, Any]) -> Any:
        from trust.edge.impatient import Impatient

        if password_file is not None:
            from trust.edge.keystore import secret_in

            parameters["password"] = secret_in(password_file, "database.password_file").decode("utf-8", "surrogateescape")
        made = Impatient.connect(**parameters)
        made.silence = silence
        return made

    return engine


@contextlib.contextmanager
def unhurried(connection: Connection, silence: float = math.inf) -> Iterator[None]:
    """For statements that go through whole tables, as long as that takes; or for those that take no time at all: so many seconds."""
    driver: Any = connection.connection.dbapi_connection
    before = getattr(driver, "silence", None)
    if before is not None:
        driver.silence = min(silence, before) if silence < math.inf else silence
    try:
        yield
    finally:
        if before is not None:
            driver.silence = before


def _sqlite(engine: Engine) -> Engine:
    files = _Files(engine.url.database or "")

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # BEGIN is ours: the driver's own would leave schema changes outside
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()
        files.opened()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        files.check(connection.info)
        if not connection.get_execution_options().get(_IMMEDIATE):
            driven(connection, _BEGIN)
        else:
            driven(connection, _BEGIN_IMMEDIATE)
            files.begun(connection.info)

    return engine


class _Files:
    """An SQLite database and its write-ahead log, as they were opened. Where somebody deletes or replaces them, what is committed from then on lies
    in files without a name, and nobody finds it again."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._database: object = None
        self._gone = False
        """For good: another connection might find other files in their place."""

    def opened(self) -> None:
        """By one connection more."""
        if self._database is None:
            self._database = _file(self._path)

    def check(self, known: dict[Any, Any]) -> None:
        """`known`: what a connection remembers. Misconfigured."""
        self._gone |= self._database != _file(self._path) or (_WAL in known and known[_WAL] != _file(self._path + _WAL))
        if self._gone:
            raise Misconfigured(f"database {self._path} was deleted or replaced while it was open: look at it, then start again what has it open")

    def begun(self, known: dict[Any, Any]) -> None:
        """A transaction that writes: from now on the log is there as long as the connection."""
        if _WAL not in known:
            known[_WAL] = _file(self._path + _WAL)


def _file(path: str) -> object:
    try:
        found = os.stat(path)  # noqa: PTH116  # for each transaction: a Path takes as long again
    except OSError:
        return None
    return found.st_dev, found.st_ino


def writing(engine: Engine) -> Engine:
    """The same engine and pool, for transactions that read and then write.

    On SQLite they take the write lock at their beginning: a transaction that reads first and finds the file changed when it comes to write fails at
    once, whatever its patience. On PostgreSQL nothing changes.
    """
    return engine.execution_options(**{_IMMEDIATE: True})


class _Driven:
    """A statement as the driver takes it. Columns come as the driver has them: for integers, texts and bytes the same."""

    def __init__(self, statement: Executable, dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)  # type: ignore[attr-defined]  # every statement that there is can
        self._statement = str(compiled)
        self._fixed: dict[str, Any] = compiled.params
        self._places: Sequence[str] | None = getattr(compiled, "positiontup", None)
        self._dialect = dialect

    def rows(self, connection: PoolProxiedConnection, values: Mapping[str, Value]) -> list[Any]:
        """SQLAlchemy's errors, as its own Connection raises them. None where the statement gives no rows."""
        given: Any = {**self._fixed, **values}
        if self._places is not None:
            given = tuple(given[name] for name in self._places)
        driver: Any = self._dialect.loaded_dbapi
        cursor = connection.cursor()
        try:
            cursor.execute(self._statement, given)
            return list(cursor.fetchall()) if cursor.description else []
        except driver.Error as error:
            raise DBAPIError.instance(self._statement, given, error, driver.Error, hide_parameters=True, dialect=self._dialect) from error
        finally:
            cursor.close()


_driven = functools.lru_cache(maxsize=256)(_Driven)


def driven(connection: Connection, statement: Executable, **values: Value) -> list[Any]:
    """The rows of a statement in the connection's transaction, asked of the driver itself: a tenth of the time of the same by `execute`, for
    statements that are executed for every entry."""
    return _driven(statement, connection.dialect).rows(connection.connection, values)


class Lookup:
    """A query that every seal asks several times, by itself. On SQLite one statement sees one moment without a transaction of its own."""

    def __init__(self, engine: Engine, statement: Select[Any]) -> None:
        self._engine = engine
        self._statement = statement

    def rows(self, **values: Value) -> list[Any]:
        driver: Any = self._engine.dialect.loaded_dbapi
        try:
            connection = self._engine.raw_connection()
        except driver.Error as error:  # which SQLAlchemy gives as its own, elsewhere
            raise DBAPIError.instance(None, None, error, driver.Error, dialect=self._engine.dialect) from error
        try:
            return _driven(self._statement, self._engine.dialect).rows(connection, values)
        except SQLAlchemyError:
            connection.invalidate()  # what it is good for now, nobody knows
            raise
        finally:
            connection.close()  # into the pool, which ends the transaction that a driver may have begun


def newest_revision() -> str:
    """The revision that this version of the code works with, from the files' names: Alembic itself costs a second fifth of the start."""
    folder = resources.files("trust.edge") / "migrations" / "versions"
    return max(m[1] for entry in folder.iterdir() if (m := re.fullmatch(r"(\d{4})_\w+\.py", entry.name)))


def revision(engine: Engine) -> str | None:
    """The database's revision; None for an empty one. Unavailable when it does not answer, Misconfigured when it is no database."""
    with refused(engine), engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found = connection.execute(text("select version_num from alembic_version")).scalar()
        return None if found is None else str(found)


def bring_up(engine: Engine) -> str | None:
    """Make the schema that of this version; the revision that was there before, if it was an older one, for telling.

    One transaction: it happens whole or not at all, and a second process waits for the first. Misconfigured when the database is newer than the code.
    """
    before, newest = revision(engine), newest_revision()
    if before == newest:
        return None
    if before is not None and before > newest:
        raise Misconfigured(f"the database was written by a newer kakuin (schema {before}, this one knows {newest}): upgrade kakuin")
    with refused(engine), writing(engine).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
        with unhurried(connection):
            _upgrade(connection)
    return before


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(resources.files("trust.edge") / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


class Damaged(Misconfigured):
    """What is written to it from now on damages it further."""


class refused:  # noqa: N801  # reads as a word: `with refused(engine):`
    """A context that turns what the database says no with into one line, without the address, which may hold a password."""

    def __init__(self, engine: Engine) -> None:
        self._name = str(engine.url.database) if engine.dialect.name == "sqlite" else f"{engine.url.host or 'localhost'}/{engine.url.database}"

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, SQLAlchemyError):
            told = self._told(error)
            told.inward = True
            raise told from error

    def _told(self, error: SQLAlchemyError) -> KakuinError:
        said = str(getattr(error, "orig", None) or error).splitlines()[0].lower() if str(error) else type(error).__name__
        if isinstance(error, OperationalError) and "unable to open" in said:
            return Misconfigured(f"database {self._name} cannot be opened: look at the folder and its permissions")
        if isinstance(error, OperationalError) and "readonly" in said:
            return Misconfigured(f"database {self._name} cannot be written: the file or its disk is read-only")
        if isinstance(error, OperationalError):
            return Unavailable(f"database {self._name} does not answer: {said}")
        if isinstance(error, DatabaseError) and ("not a database" in said or "malformed" in said):
            return Damaged(f"database {self._name} is damaged ({said}): restore it from a backup")
        return Unavailable(f"database {self._name} refused: {said}")


def sqlite_url(path: Path) -> str:
    return f"sqlite:///{path}"
