"""The journal's tables. Their history is in trust/edge/migrations; a test holds the two against each other."""

from sqlalchemy import DDL, BigInteger, Column, Integer, LargeBinary, MetaData, String, Table, UniqueConstraint, event

METADATA = MetaData()

ENTRY = Table(
    "journal_entry",
    METADATA,
    # INTEGER on SQLite, so that it is the row's own address: appending is writing at the end of the file.
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("kind", String(20), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("leaf", LargeBinary(32), nullable=False),
    Column("unit", String(80)),
    Column("serial", BigInteger),
    # The database itself forbids a serial used twice. Serials rise, so this index too is written at its end.
    UniqueConstraint("unit", "serial", name="journal_entry_serial"),
)
"""Entries, numbered from 0 without gaps. `at` is microseconds since 1970 UTC; `unit` and `serial` are None where nothing is numbered."""

NEXT = Table(
    "journal_next",
    METADATA,
    Column("name", String(80), primary_key=True),
    Column("value", BigInteger, nullable=False),
    Column("at", BigInteger),
)
"""The next number: of the entries under the name "", of each unit's serials under the unit's name. `at` is the time at which numbers were given last,
in microseconds since 1970 UTC; of serials where several processes take them (`trust.log.turns`)."""

TURN = Table(
    "journal_turn",
    METADATA,
    Column("unit", String(80), primary_key=True),
    Column("first", BigInteger, primary_key=True, autoincrement=False),
    Column("last", BigInteger, nullable=False),
    Column("holder", BigInteger, nullable=False),
)
"""Serials that a process has taken, and neither recorded nor given back yet (`trust.log.turns`). `holder` names its session."""

NODE = Table(
    "log_node",
    METADATA,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary(32), nullable=False),
)
"""The hashes over full tiles: row `number` of level L >= 1 is the Merkle tree hash of entries number * 256**L and the 256**L - 1 after it. Level 0 is
the entries' own leaf hashes. All of it can be computed again from these."""

CHECKPOINT = Table(
    "log_checkpoint",
    METADATA,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("root", LargeBinary(32), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("note", LargeBinary, nullable=False),
    Column("cosigned", Integer, nullable=False),
)
"""Every checkpoint that was signed. `at` is microseconds since 1970 UTC; `note` is the signed note, with as many of the witnesses' cosignatures as
`cosigned` says."""

APPEND_ONLY = tuple(
    f"CREATE TRIGGER journal_entry_no_{verb.lower()} BEFORE {verb} ON journal_entry BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END"
    for verb in ("UPDATE", "DELETE")
)
"""SQLite: against accidents. Against intent there are the leaf hashes. (PostgreSQL's are in migration 0005.)"""

for statement in APPEND_ONLY:
    event.listen(ENTRY, "after_create", DDL(statement).execute_if(dialect="sqlite"))  # type: ignore[no-untyped-call]
