"""A whole log is checked on both engines: nothing is wrong with what the journal recorded, and what lies beside the entries is looked at."""

from datetime import timedelta

from sqlalchemy import Engine, delete, update

from tests.journals import AT
from tests.store.conftest import Database
from tests.unit.test_log_publish import KEY, PRIVATE
from trust.log.checking import of_instance
from trust.log.examine import Examined
from trust.log.journal import Journal
from trust.log.publish import Publisher
from trust.log.stored import Stored
from trust.log.tables import NEXT, NODE


def findings(engine: Engine) -> list[str]:
    return [f.what for f in of_instance(Stored(engine), (KEY,), (), Examined())]


def test_what_lies_beside_the_entries_is_looked_at(database: Database) -> None:
    engine = database.engine()
    with Journal(engine, lambda: AT) as journal:
        for future in [journal.append_soon("event", b'{"event":"x"}') for _ in range(300)]:
            future.result(60)
        Publisher(engine, KEY, PRIVATE.sign, lambda: AT, timedelta()).publish()
        assert findings(engine) == []
    with engine.begin() as connection:
        connection.execute(update(NEXT).values(value=NEXT.c.value + 1))
        connection.execute(delete(NODE))
    assert findings(engine) == ["missing", "changed"]
