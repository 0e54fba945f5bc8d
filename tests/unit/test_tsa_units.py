"""Several units in one authority: who answers, who stands in, what stops one, and what the command line does with them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import cli
from tests import pki, tsu
from trust.codecs import cms, tsp
from trust.codecs.tsp import Failure
from trust.edge.instance import Instance
from trust.edge.settings import combine
from trust.edge.units import UnitSettings, key_name, read_units, table, unit_name
from trust.errors import Conflict, KakuinError, Misconfigured, NotFound, Unacceptable, Unavailable
from trust.log.journal import Journal
from tsa import store, units
from tsa.issue import Unit, UnitFailed
from tsa.policy import Policy
from tsa.service import Authority, _Issuer
from tsa.units import Place

REQUEST = tsp.encode_request(tsu.DIGEST)
FIRST, SECOND = "1.2.3.4.1", "1.2.3.4.9"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with tsu.journal(tmp_path) as made:
        yield made


def unit(name: str, key: str, policy: str, holder: Any = None) -> Unit:
    return tsu.unit(key, Policy(policy), name, holder)


def said(response: bytes) -> tuple[str, int]:
    """Policy and serial of the token."""
    reply = tsp.decode_response(response)
    assert reply.granted and reply.token is not None, reply.reason
    token = cms.token(reply.token)
    assert token.policy is not None
    return token.policy, token.serial


def events(journal: Journal) -> list[dict[str, str]]:
    """Once those that are on their way are there."""
    journal.append("event", b"{}")
    return [json.loads(entry.body) for entry in journal.read() if entry.kind == "event" and entry.body != b"{}"]


def test_a_request_goes_to_the_unit_that_it_names_or_that_offers_its_policy(journal: Journal) -> None:
    """RFC 3161 section 2.4.1, reqPolicy."""
    authority = Authority([Place("one", unit("u1", "p256", FIRST)), Place("two", unit("u2", "p384", SECOND))], journal, tsu.clock)
    assert said(authority.stamp(REQUEST)) == (FIRST, 1)
    assert said(authority.stamp(REQUEST, "two")) == (SECOND, 1)
    assert said(authority.stamp(tsp.encode_request(tsu.DIGEST, policy=SECOND))) == (SECOND, 2)
    assert said(authority.stamp(tsp.encode_request(tsu.DIGEST, policy=FIRST))) == (FIRST, 2)
    assert tsu.refused(authority.stamp(tsp.encode_request(tsu.DIGEST, policy="1.2.3"))) == Failure.UNACCEPTED_POLICY
    assert tsu.refused(authority.stamp(tsp.encode_request(tsu.DIGEST, policy=FIRST), "two")) == Failure.UNACCEPTED_POLICY
    assert [state.name for state in authority.states] == list(authority.names) == ["one", "two"]
    authority.close()


def test_each_unit_counts_for_itself_over_restarts(tmp_path: Path) -> None:
    for expected in (1, 2, 3):
        with tsu.journal(tmp_path) as journal:
            authority = Authority([Place("one", unit("u1", "p256", FIRST)), Place("two", unit("u2", "ed25519", SECOND))], journal, tsu.clock)
            assert said(authority.stamp(REQUEST, "one")) == (FIRST, expected)
            assert said(authority.stamp(REQUEST, "two")) == (SECOND, expected)
            authority.close()


class Shaky(pki.Party):
    """A key store that comes and goes."""

    away: list[bool] = []  # noqa: RUF012  # shared on purpose: the test switches it

    def sign(self, data: bytes) -> bytes:
        if self.away[-1]:
            raise Unavailable("the token is away")
        return super().sign(data)


def shaky() -> Shaky:
    party = tsu.party("p256")
    return Shaky(party.certificate, party.chain, party.algorithm, party.private)


def test_another_unit_stands_in_while_one_cannot_and_it_is_tried_again(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Shaky, "away", [False])
    first, second = unit("u1", "p256", FIRST, shaky()), unit("u2", "p384", SECOND)
    authority = Authority([Place("one", first, fallback="two"), Place("two", second)], journal, tsu.clock)
    assert said(authority.stamp(REQUEST)) == (FIRST, 1)
    Shaky.away.append(True)
    assert [said(authority.stamp(REQUEST)) for _ in range(3)] == [(SECOND, 1), (SECOND, 2), (SECOND, 3)]
    assert authority.states[0].fault == "unit u1: the token is away"
    Shaky.away.append(False)
    assert said(authority.stamp(REQUEST)) == (SECOND, 4), "it is left alone for a while"
    monkeypatch.setattr(units.Desk, "tries", lambda self, now: True)
    assert said(authority.stamp(REQUEST)) == (FIRST, 2)
    assert authority.states[0].fault is None
    assert events(journal) == [
        {"event": "unit-failed", "name": "one", "unit": "u1", "why": "unit u1: the token is away"},
        {"event": "unit-recovered", "name": "one", "unit": "u1"},
    ]
    authority.close()


def test_a_stand_in_gives_nothing_that_was_not_asked_for(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Shaky, "away", [True])
    first, second = unit("u1", "p256", FIRST, shaky()), unit("u2", "p384", SECOND)
    authority = Authority([Place("one", first, fallback="two"), Place("two", second, fallback="one")], journal, tsu.clock)
    assert tsu.refused(authority.stamp(tsp.encode_request(tsu.DIGEST, policy=FIRST))) == Failure.UNACCEPTED_POLICY
    assert said(authority.stamp(REQUEST)) == (SECOND, 1)
    authority.close()


def test_when_all_fail_the_client_is_told(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Shaky, "away", [True])
    places = [Place("one", unit("u1", "p256", FIRST, shaky()), fallback="two")]
    party = tsu.party("p384")
    second = Shaky(party.certificate, party.chain, party.algorithm, party.private)
    authority = Authority([*places, Place("two", unit("u2", "p384", SECOND, second), fallback="one")], journal, tsu.clock)
    for _ in range(2):
        response = authority.stamp(REQUEST)
        assert tsu.refused(response) == Failure.SYSTEM_FAILURE
        assert "token is away" not in tsp.decode_response(response).reason
    authority.close()


def test_a_key_store_that_is_away_is_asked_twice_for_a_whole_batch(tmp_path: Path) -> None:
    """It may take seconds to say so, and the database is locked meanwhile."""
    calls: list[int] = []

    class Slow(pki.Party):
        def sign(self, data: bytes) -> bytes:
            calls.append(1)
            raise Unavailable("the token is away")

    party = tsu.party("p256")
    issuer = _Issuer(unit("u1", "p256", FIRST, Slow(party.certificate, party.chain, party.algorithm, party.private)), tsu.clock, 1, 32)
    made = issuer.make(1, [tsp.decode_request(REQUEST)] * 256)
    assert len(made) == 256 and all(isinstance(outcome, UnitFailed) for outcome in made)
    assert len(calls) == 2


def test_a_successor_that_cannot_be_opened_is_a_fault_like_others(tmp_path: Path) -> None:
    def broken() -> Unit:
        raise Misconfigured("the key is damaged")

    with tsu.journal(tmp_path) as journal:
        engine = tsu.engine(tmp_path)
        places = [Place("one", unit("u1", "p256", FIRST), fallback="two", reopen=broken), Place("two", unit("u2", "p384", SECOND))]
        authority = Authority(places, journal, tsu.clock)
        store.stop(engine, "u1")
        assert said(authority.stamp(REQUEST)) == (SECOND, 1)
        assert authority.states[0].fault == "unit u1: its successor cannot be opened: the key is damaged"
        authority.close()
        engine.dispose()


def test_a_revoked_certificate_stops_its_unit(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    revoked: list[str] = []
    place = Place("one", unit("u1", "p256", FIRST), standing=lambda unit: revoked[0] if revoked else None)
    authority = Authority([place], journal, tsu.clock)
    assert said(authority.stamp(REQUEST)) == (FIRST, 1)
    revoked.append("its certificate was revoked")
    monkeypatch.setattr("tsa.service.STANDING_SECONDS", 0.0)
    assert tsu.refused(authority.stamp(REQUEST)) == Failure.SYSTEM_FAILURE
    assert authority.states[0].fault == "unit u1: its certificate was revoked"
    authority.close()


def test_a_standing_that_cannot_be_told_is_a_refusal(journal: Journal) -> None:
    def away(unit: Unit) -> str | None:
        raise Unavailable("the database does not answer")

    authority = Authority([Place("one", unit("u1", "p256", FIRST), standing=away)], journal, tsu.clock)
    assert tsu.refused(authority.stamp(REQUEST)) == Failure.SYSTEM_FAILURE
    authority.close()


def test_a_stopped_unit_issues_nowhere_and_its_successor_is_taken_up(tmp_path: Path) -> None:
    successor = unit("u2", "p384", FIRST)
    with tsu.journal(tmp_path) as journal:
        engine = tsu.engine(tmp_path)
        now = [unit("u1", "p256", FIRST)]
        authority = Authority([Place("one", now[0], reopen=lambda: now[-1])], journal, tsu.clock)
        assert said(authority.stamp(REQUEST)) == (FIRST, 1)
        store.stop(engine, "u1")
        store.stop(engine, "u1")
        assert tsu.refused(authority.stamp(REQUEST)) == Failure.SYSTEM_FAILURE
        assert authority.states[0].fault == "unit u1 was taken out of service"
        authority.close()
    with tsu.journal(tmp_path) as journal:
        authority = Authority([Place("one", now[0], reopen=lambda: now[-1])], journal, tsu.clock)
        now.append(successor)
        assert said(authority.stamp(REQUEST)) == (FIRST, 1), "the first request after it is answered by the new key"
        assert [state.unit for state in authority.states] == ["u2"]
        assert events(journal)[-1] == {"event": "unit-replaced", "name": "one", "retired": "u1", "unit": "u2"}
        authority.close()
        engine.dispose()


def test_a_unit_that_never_issued_can_be_stopped(tmp_path: Path) -> None:
    with tsu.journal(tmp_path) as journal:
        engine = tsu.engine(tmp_path)
        store.stop(engine, "u1")
        authority = Authority(unit("u1", "p256", FIRST), journal, tsu.clock)
        assert tsu.refused(authority.stamp(REQUEST)) == Failure.SYSTEM_FAILURE
        authority.close()
        engine.dispose()


def test_places_that_do_not_fit_together_are_told(journal: Journal) -> None:
    one, two = unit("u1", "p256", FIRST), unit("u2", "p384", SECOND)
    for places in (
        [],
        [Place("x", one), Place("x", two)],
        [Place("x", one), Place("y", one)],
        [Place("x", one, fallback="z"), Place("y", two)],
        [Place("x", one, fallback="x")],
    ):
        with pytest.raises(Misconfigured):
            Authority(places, journal, tsu.clock)


# Settings.


def test_settings_of_units_are_read_and_written() -> None:
    chosen = UnitSettings(policy="1.2.3", policies=("1.2.4",), hashes=("sha512",), accuracy_us=500, qualified=True, key_type="rsa4096", padding="pss")
    text = table("archive", chosen)
    import tomllib

    assert combine(tomllib.loads(text), {}, "f").units == {"archive": chosen}


@pytest.mark.parametrize(
    ("tables", "says"),
    [
        ({"A": {}}, "expected a name of small letters"),
        ({"certificates": {}}, "expected a name of small letters"),
        ({"a": 1}, "unit.a is a table"),
        ({"a": {"polcy": "1.2"}}, "unit.a.polcy: unknown setting"),
        ({"a": {"policy": 1}}, "unit.a.policy: expected text, got int"),
        ({"a": {"policy": "1.x"}}, "unit.a.policy: expected an object identifier"),
        ({"a": {"policies": ["x"]}}, "unit.a.policies: expected object identifiers"),
        ({"a": {"hashes": ["md5"]}}, "unit.a.hashes: expected some of sha256"),
        ({"a": {"accuracy_us": -1}}, "unit.a.accuracy_us: expected a number"),
        ({"a": {"key_type": "dsa"}}, "unit.a.key_type: expected one of p256"),
        ({"a": {"padding": "oaep"}}, "unit.a.padding: expected one of pkcs1, pss"),
        ({"a": {"padding": "pss", "key_type": "p256"}}, "unit.a.padding: expected pkcs1"),
        ({"a": {"fallback": "a"}}, "unit.a.fallback: expected another unit"),
        ({"a": {"fallback": "b"}}, "unit.a.fallback: expected another unit"),
        ({"a": {"pkcs11_token": "t"}}, "unit.a.pkcs11_module: expected the path"),
        ({"a": {"pkcs11_module": "x.so", "pkcs11_token": "t"}}, "unit.a.pkcs11_module: expected an absolute path"),
        ({"a": {"pkcs11_module": "/x.so"}}, "unit.a.pkcs11_token: expected the token's label"),
        ({"a": {"pkcs11_module": "/x.so", "pkcs11_token": "t"}}, "unit.a.pkcs11_pin_file: expected either"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_with_a_unit_is_named(tables: dict[str, Any], says: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        read_units(tables, "f")
    assert says in str(caught.value)


def test_keys_of_units_have_names_of_their_own() -> None:
    for name in ("tsu", "archive", "a-b"):
        assert unit_name(key_name(name)) == name
    assert unit_name("seal-1") is None and unit_name("ocsp") is None


# The command line, and a service that runs.


def run(folder: Path, *arguments: str) -> str:
    done = CliRunner().invoke(cli.kakuin, ["tsa", *arguments, "--instance", str(folder)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_units_are_made_listed_rolled_over_and_retired(folder: Path) -> None:
    run(folder, "create", "archive", "--key-type", "ml-dsa-65", "--policy", SECOND)
    run(folder, "create", "second")
    rows = [json.loads(line) for line in run(folder, "list", "--json").splitlines()]
    assert [(row["name"], row["path"], row["algorithm"], row["fault"]) for row in rows] == [
        ("tsu", "/tsa", "ecdsa with sha256", None),
        ("archive", "/tsa/archive", "ml-dsa-65", None),
        ("second", "/tsa/second", "ecdsa with sha256", None),
    ]
    with cli.House(folder) as house:
        reply = tsp.decode_response(house.authority.stamp(REQUEST, "archive"))
        assert reply.granted
        old = house.instance.certificate("tsu-archive")
        assert old.name == "Kakuin Demonstration Time-Stamping Unit archive 1"
        # Another process rolls the unit over while this one runs.
        run(folder, "rollover", "archive")
        serial = said(house.authority.stamp(REQUEST, "archive"))[1]
        assert serial == 1, "a new unit counts from one"
        assert house.authority.certificates_of("archive")[0].name == "Kakuin Demonstration Time-Stamping Unit archive 2"
    run(folder, "retire", "archive")
    with cli.House(folder) as house:
        assert house.authority.names == ("tsu", "second")
        found = [json.loads(entry.body)["event"] for entry in house.instance.journal.read() if entry.kind == "event" and b"unit-" in entry.body]
        assert found == ["unit-created", "unit-created", "unit-rolled-over", "unit-replaced", "unit-retired"]
    assert sorted(path.name for path in (folder / "keys").glob("tsu*.pem")) == ["tsu-second.pem", "tsu.pem"]
    assert len(list((folder / "keys" / "retired").glob("tsu-archive-*.pem"))) == 2


def test_a_service_that_runs_refuses_under_a_revoked_certificate(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tsa.service.STANDING_SECONDS", 0.0)
    with cli.House(folder) as house:
        assert tsp.decode_response(house.authority.stamp(REQUEST)).granted
        with Instance.open(folder) as other:
            other.authority.revoke(other.certificate("tsu").serial, "superseded")
        assert tsu.refused(house.authority.stamp(REQUEST)) == Failure.SYSTEM_FAILURE
    assert json.loads(run(folder, "list", "--json"))["fault"] == "its certificate was revoked"


def test_what_cannot_be_is_told_before_anything_is_made(folder: Path) -> None:
    with Instance.open(folder) as opened:
        for name, error in (("tsu", Conflict), ("Bad", Unacceptable), ("certificates", Unacceptable)):
            with pytest.raises(error):
                opened.add_unit(name)
        with pytest.raises(Conflict):
            opened.remove_unit("tsu")
        with pytest.raises(NotFound):
            opened.remove_unit("nobody")
        assert opened.units == ("tsu",)
    run(folder, "create", "there")
    before = (folder / "kakuin.toml").read_bytes()
    for arguments in (("there", "--key-type", "p384"), ("new", "--key-type", "dsa"), ("Bad", "--policy", "1.2.3"), ("new", "--policy", "x")):
        done = CliRunner().invoke(cli.kakuin, ["tsa", "create", *arguments, "--instance", str(folder)])
        assert isinstance(done.exception, KakuinError), arguments
    assert (folder / "kakuin.toml").read_bytes() == before


@pytest.mark.parametrize(
    ("key_type", "padding", "algorithm"),
    [
        ("p256", "pkcs1", "ecdsa with sha256"),
        ("p384", "pkcs1", "ecdsa with sha384"),
        ("p521", "pkcs1", "ecdsa with sha512"),
        ("rsa3072", "pkcs1", "rsa-pkcs1 with sha256"),
        ("rsa3072", "pss", "rsa-pss with sha256"),
        ("ed25519", "pkcs1", "ed25519"),
        ("ml-dsa-44", "pkcs1", "ml-dsa-44"),
        ("ml-dsa-65", "pkcs1", "ml-dsa-65"),
        ("ml-dsa-87", "pkcs1", "ml-dsa-87"),
    ],
)
def test_every_kind_of_key_is_certified_and_makes_tokens(folder: Path, key_type: str, padding: str, algorithm: str) -> None:
    settings = folder / "kakuin.toml"
    settings.write_text(settings.read_text() + f'\n[unit.x]\nkey_type = "{key_type}"\npadding = "{padding}"\n')
    run(folder, "create", "x")
    with cli.House(folder) as house:
        assert house.authority.states[1].algorithm == algorithm
        assert said(house.authority.stamp(REQUEST, "x"))[1] == 1
