"""Taking a unit's sequence of serials out of service, for every process on the database at once."""

from sqlalchemy import Engine, insert, select, update

from trust.edge.engine import refused, writing
from trust.log.page import FIRST_SERIAL
from trust.log.tables import NEXT


def stop(engine: Engine, unit: str) -> None:
    """From now on nobody issues under `unit`: its next number is turned negative, in the row that each token's transaction reads.

    It takes the same locks, in the same order, as the journal's writer. Durable when it returns; a second call changes nothing. Unavailable.
    """
    with refused(engine), writing(engine).begin() as connection:
        connection.execute(update(NEXT).where(NEXT.c.name == "").values(value=NEXT.c.value))
        found = connection.execute(select(NEXT.c.value).where(NEXT.c.name == unit)).scalar()
        if found is None:
            connection.execute(insert(NEXT), {"name": unit, "value": -FIRST_SERIAL})
        elif found > 0:
            connection.execute(update(NEXT).where(NEXT.c.name == unit).values(value=-found))
