"""PostgreSQL's password is in a file, and never in an address or an error."""

from pathlib import Path

import pytest
from sqlalchemy import text

from tests import postgres
from trust.edge.engine import connect, refused
from trust.errors import Misconfigured, Unavailable

PASSWORD = "swordfish é"


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
