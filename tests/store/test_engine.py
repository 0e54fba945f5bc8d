"""What is asked often is asked of the driver; PostgreSQL's password is in a file, and never in an address or an error."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, bindparam, insert, literal_column, select, text

from tests import pki, postgres
from tests.store.conftest import Database
from trust.edge.engine import Lookup, connect, refused
from trust.errors import Misconfigured, Unavailable
from trust.log.tables import NEXT
from trust.pki.service import Issued, Published
from trust.pki.store import CertificateStore

PASSWORD = "swordfish é"
AT = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture
def guarded(cluster: postgres.Cluster) -> str:
    """The address of a user who has to give a password."""
    cluster.sql("drop role if exists guarded")
    cluster.sql(f"create role guarded login superuser password '{PASSWORD}'")
    rules = cluster.folder / "data" / "pg_hba.conf"
    rules.write_text("local all guarded scram-sha-256\nlocal all all trust\n")
    cluster.sql("select pg_reload_conf()")
    return cluster.url("postgres").replace(f"{postgres.USER}@", "guarded@")


def asked(url: str, file: Path | None) -> object:
    engine = connect(url, file)
    try:
        with refused(engine), engine.connect() as connection:
            return connection.execute(text("select current_user")).scalar()
    finally:
        engine.dispose()


def test_the_password_is_read_from_its_file(guarded: str, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    assert asked(guarded, file) == "guarded"
    file.write_text("another\n")  # read for each connection
    with pytest.raises(Unavailable) as caught:
        asked(guarded, file)
    assert "another" not in str(caught.value)
    file.unlink()
    with pytest.raises(Misconfigured, match="password_file"):
        asked(guarded, file)


def test_libpq_finds_it_by_itself(guarded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster: postgres.Cluster) -> None:
    file = tmp_path / "pgpass"
    file.write_text(f"{cluster.folder}:*:*:guarded:{PASSWORD}\n")
    file.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(file))
    assert asked(guarded, None) == "guarded"


def test_a_session_asks_for_its_settings_by_itself(cluster: postgres.Cluster) -> None:
    """Not in the first packet, of which a pooler between knows nothing, and refuses it (PgBouncer: unsupported startup parameter)."""
    engine = connect(cluster.url("postgres"))
    query = text("select setting, source from pg_settings where name = 'lock_timeout'")
    with engine.connect() as connection:
        assert connection.execute(query).one() == ("10000", "session")
        connection.rollback()
        assert connection.execute(query).one() == ("10000", "session")
    engine.dispose()
    said = connect(cluster.url("postgres") + "&options=-c lock_timeout=7")
    with said.connect() as connection:
        assert connection.execute(query).one() == ("7", "client")
    said.dispose()


VALUE = select(NEXT.c.value, NEXT.c.name).where(NEXT.c.name == bindparam("name")).limit(1)


def test_a_lookup_sees_what_others_committed_and_leaves_no_transaction_behind(database: Database, engine: Engine) -> None:
    lookup = Lookup(engine, VALUE)
    other = database.engine()
    assert lookup.rows(name="unit") == []
    with other.begin() as connection:
        connection.execute(insert(NEXT), {"name": "unit", "value": 7})
    assert [tuple(row) for row in lookup.rows(name="unit")] == [(7, "unit")]
    assert lookup.rows(name="' or ''='") == []  # a value, never a part of the statement
    for number in range(20):  # more than the pool has
        with other.begin() as connection:
            connection.execute(NEXT.update().where(NEXT.c.name == "unit").values(value=number))
        assert lookup.rows(name="unit")[0][0] == number


def test_a_lookup_in_a_database_that_is_away_is_told_in_one_line(tmp_path: Path) -> None:
    engine = connect(f"postgresql://kakuin@/none?host={tmp_path}")
    with pytest.raises(Unavailable, match="does not answer") as caught, refused(engine):
        Lookup(engine, VALUE).rows(name="unit")
    assert caught.value.inward, "it names a host"
    engine.dispose()


def test_what_the_database_says_no_with_is_told_without_the_values(engine: Engine) -> None:
    lookup = Lookup(engine, select(literal_column("no_such_column")).select_from(NEXT).where(NEXT.c.name == bindparam("name")))
    with pytest.raises(Unavailable) as caught, refused(engine):
        lookup.rows(name=PASSWORD)
    assert "no_such_column" in str(caught.value)
    assert PASSWORD not in str(caught.value)
    assert Lookup(engine, VALUE).rows(name="unit") == []  # the next one has a connection that works


def test_certificates_and_lists_are_found_as_they_stand(database: Database, engine: Engine) -> None:
    root = pki.root()
    ca = pki.authority(root)
    issuer, store, other = b"\x01\x02", CertificateStore(engine), CertificateStore(database.engine())
    assert store.find(issuer, ca.certificate.serial) is None
    assert store.list_of(issuer) == (None, 0)
    store.add(Issued(ca.certificate, "ca", issuer))
    assert store.find(issuer, ca.certificate.serial) == Issued(ca.certificate, "ca", issuer)
    listed = pki.crl(root)
    for number in (1, 2):
        other.add_crl(issuer, Published(listed, number, number - 1, AT, AT))
        assert store.list_of(issuer) == (Published(listed, number, number - 1, AT, AT), 0)
    other.revoke(issuer, ca.certificate.serial, AT, "superseded")
    assert store.find(issuer, ca.certificate.serial) == Issued(ca.certificate, "ca", issuer, AT, "superseded")
    assert store.list_of(issuer)[1] == 1
