"""API keys: shown once, kept as hashes, refused when they should be; and repeated requests."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, inspect

from eseal.store import LARGEST_ANSWER, LONGEST_DAYS, ApiKeys, Repeats, _KeyRow, _RepeatRow
from trust.edge.engine import bring_up, connect, sqlite_url
from trust.errors import Conflict, NotFound, TooMany, Unacceptable, Unauthorised

NOW = datetime(2026, 11, 21, 9, 0, 0, 123456, tzinfo=UTC)
NUMBER, OTHER = "1234567890123", "9876543210987"


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = connect(sqlite_url(tmp_path / "kakuin.db"))
    bring_up(made)
    yield made
    made.dispose()


@pytest.fixture
def keys(engine: Engine, clock: Clock) -> ApiKeys:
    return ApiKeys(engine, clock)


def test_a_key_is_recognised_as_its_organisations(keys: ApiKeys) -> None:
    text, made = keys.create(NUMBER, "invoices", 30)
    assert text.startswith(f"kakuin_{made.id}_")
    assert (made.organisation, made.label, made.created, made.expires) == (NUMBER, "invoices", NOW, NOW + timedelta(days=30))
    found = keys.recognise(text)
    assert (found.id, found.organisation) == (made.id, NUMBER)


def test_the_secret_is_nowhere_on_the_disk(keys: ApiKeys, engine: Engine, tmp_path: Path) -> None:
    text, _ = keys.create(NUMBER)
    secret = text.split("_", 2)[2]
    engine.dispose()
    for path in tmp_path.iterdir():
        assert secret.encode() not in path.read_bytes()


def test_two_keys_have_nothing_in_common(keys: ApiKeys) -> None:
    texts = {keys.create(NUMBER)[0] for _ in range(20)}
    assert len({t.split("_")[1] for t in texts}) == len({t.split("_", 2)[2] for t in texts}) == 20


def test_whatever_is_wrong_the_answer_is_the_same(keys: ApiKeys, clock: Clock) -> None:
    text, made = keys.create(NUMBER, days=1)
    other, _ = keys.create(NUMBER)
    revoked, gone = keys.create(NUMBER)
    keys.revoke(gone.id)
    wrong = [
        "",
        "kakuin",
        text[:-1],
        text + "A",
        text[:-2] + ("AA" if not text.endswith("AA") else "BB"),
        f"kakuin_{made.id}_{other.split('_', 2)[2]}",
        f"kakuin_{'0' * 16}_{text.split('_', 2)[2]}",
        text.upper(),
        "kakuin_' or 1=1 --_x",
        "\ud800",
        revoked,
    ]
    messages = set()
    for guess in wrong:
        with pytest.raises(Unauthorised) as caught:
            keys.recognise(guess)
        messages.add(str(caught.value))
    clock.advance(days=1)
    with pytest.raises(Unauthorised) as caught:
        keys.recognise(text)
    messages.add(str(caught.value))
    assert messages == {"the API key is unknown, expired or revoked"}


def test_a_key_lives_until_its_last_microsecond(keys: ApiKeys, clock: Clock) -> None:
    text, made = keys.create(NUMBER, days=1)
    clock.now = made.expires - timedelta(microseconds=1)
    assert keys.recognise(text).state(clock.now) == "active"
    assert made.state(made.expires) == "expired"


def test_revoking(keys: ApiKeys, clock: Clock) -> None:
    text, made = keys.create(NUMBER)
    clock.advance(hours=1)
    assert keys.revoke(text).revoked == NOW + timedelta(hours=1)
    clock.advance(hours=1)
    assert keys.revoke(made.id).revoked == NOW + timedelta(hours=1)
    assert keys.listed()[0].state(clock.now) == "revoked"
    with pytest.raises(NotFound):
        keys.revoke("0" * 16)


def test_the_last_use_is_kept_to_the_minute(keys: ApiKeys, clock: Clock) -> None:
    text, _ = keys.create(NUMBER)
    assert keys.listed()[0].last_used is None
    keys.recognise(text)
    clock.advance(seconds=59)
    keys.recognise(text)
    assert keys.listed()[0].last_used == NOW
    clock.advance(seconds=1)
    keys.recognise(text)
    assert keys.listed()[0].last_used == NOW + timedelta(minutes=1)


def test_listing_is_by_organisation(keys: ApiKeys, clock: Clock) -> None:
    first = keys.create(NUMBER, "a")[1]
    clock.advance(seconds=1)
    second = keys.create(OTHER, "b")[1]
    assert keys.listed() == (first, second)
    assert keys.listed(OTHER) == (second,)


@pytest.mark.parametrize(
    ("organisation", "label", "days"),
    [
        ("123", "", 1),
        (NUMBER, "", 0),
        (NUMBER, "", LONGEST_DAYS + 1),
        (NUMBER, "x" * 81, 1),
        (NUMBER, "a\nb", 1),
        ("１２３４５６７８９０１２3", "", 1),
    ],
)
def test_what_no_key_can_be(keys: ApiKeys, organisation: str, label: str, days: int) -> None:
    with pytest.raises(Unacceptable):
        keys.create(organisation, label, days)
    assert keys.listed() == ()


def test_keys_survive_a_restart(keys: ApiKeys, engine: Engine, clock: Clock, tmp_path: Path) -> None:
    text, _ = keys.create(NUMBER)
    engine.dispose()
    again = connect(sqlite_url(tmp_path / "kakuin.db"))
    assert ApiKeys(again, clock).recognise(text).organisation == NUMBER
    again.dispose()


def test_the_migration_makes_what_the_models_say(engine: Engine) -> None:
    seen = inspect(engine)
    for row in (_KeyRow, _RepeatRow):
        table = row.__table__  # type: ignore[attr-defined]
        found = {c["name"]: (str(c["type"]), c["nullable"], bool(c["primary_key"])) for c in seen.get_columns(table.name)}
        assert found == {c.name: (str(c.type.compile(engine.dialect)), c.nullable, c.primary_key) for c in table.columns}
        assert {tuple(i["column_names"]) for i in seen.get_indexes(table.name)} == {(c.name,) for c in table.columns if c.index}


def test_the_same_request_gets_the_same_answer_for_a_day(engine: Engine, clock: Clock) -> None:
    repeats = Repeats(engine, clock)
    key, request = bytes(32), b"\1" * 32
    assert repeats.find(key, request) is None
    assert repeats.keep(key, request, b"answer") == b"answer"
    assert repeats.find(key, request) == b"answer"
    assert repeats.keep(key, request, b"a later one") == b"answer"
    with pytest.raises(Conflict, match="another request"):
        repeats.find(key, b"\2" * 32)
    clock.advance(days=1)
    assert repeats.find(key, request) is None
    assert repeats.keep(key, b"\2" * 32, b"new") == b"new"


def test_old_answers_are_forgotten(engine: Engine, clock: Clock, tmp_path: Path) -> None:
    repeats = Repeats(engine, clock)
    for n in range(5):
        repeats.keep(bytes([n] * 32), bytes(32), b"x")
        clock.advance(hours=13)
    with sqlite3.connect(tmp_path / "kakuin.db") as database:
        assert database.execute("select count(*) from seal_repeat").fetchone() == (2,)
    database.close()


def test_an_answer_that_is_too_large_is_not_kept(engine: Engine, clock: Clock) -> None:
    repeats = Repeats(engine, clock)
    large = bytes(LARGEST_ANSWER + 1)
    assert repeats.keep(bytes(32), bytes(32), large) == large
    assert repeats.find(bytes(32), bytes(32)) is None


def test_each_key_that_is_recognised_is_admitted_or_not(engine: Engine, clock: Clock) -> None:
    seen: list[str] = []

    def admit(key: str) -> None:
        seen.append(key)
        if len(seen) > 1:
            raise TooMany("enough")

    keys = ApiKeys(engine, clock, admit)
    text, key = keys.create(NUMBER)
    with pytest.raises(Unauthorised):
        keys.recognise(text[:-1] + ("a" if text[-1] != "a" else "b"))
    assert keys.recognise(text).id == key.id
    with pytest.raises(TooMany):
        keys.recognise(text)
    assert seen == [key.id, key.id]
