"""Both engines, one suite: an SQLite file, and a PostgreSQL of the tests' own."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests import postgres
from trust.edge.engine import bring_up, connect, sqlite_url


@pytest.fixture(scope="session")
def cluster() -> Iterator[postgres.Cluster]:
    with postgres.cluster() as made:
        yield made


@pytest.fixture(scope="session")
def template(cluster: postgres.Cluster) -> str:
    """Name of a database with all tables, of which each test gets a copy."""
    url = cluster.database()
    made = connect(url)
    bring_up(made)
    made.dispose()
    return str(made.url.database)


@dataclass
class Database:
    """An empty installation's database, and as many engines on it as a test has processes."""

    name: str
    url: str
    engines: list[Engine] = field(default_factory=list)

    def engine(self) -> Engine:
        made = connect(self.url)
        self.engines.append(made)
        return made

    def close(self) -> None:
        for engine in self.engines:
            engine.dispose()


Make = Callable[[], Database]


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        url = sqlite_url(tmp_path / "store.sqlite")
    else:
        url = request.getfixturevalue("cluster").database(request.getfixturevalue("template"))
    made = Database(request.param, url)
    with contextlib.closing(made):
        bring_up(made.engine())
        yield made


@pytest.fixture
def engine(database: Database) -> Engine:
    return database.engines[0]
