"""`kakuin clock`, the doctor's word on the clock, and the development clock, which stands in every token's policy."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

import cli
from tests import tsu
from tests.clocks import Honest, Server
from trust.codecs import cms, tsp
from trust.codecs.tsp import Failure
from trust.edge.clock import keeper
from trust.edge.clock.kernel import sample
from trust.edge.diagnosis import diagnose
from trust.edge.founding import Answers, make_instance
from trust.edge.settings import DEVELOPMENT_CLOCK, DEVELOPMENT_POLICY, Clock, Settings, combine
from trust.edge.units import UnitSettings
from trust.errors import Misconfigured
from trust.timekeeping import SECOND, LeapMode, State

BOTH = Clock(sources=("kernel", "chrony", "ntp"), chrony="/run/chrony/chronyd.sock", nts_required=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A demonstration."""
    make_instance(tmp_path / "i").close()
    return tmp_path / "i"


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Server]]:
    """Three honest NTP servers, which this instance asks."""
    with Server(Honest(sample)) as one, Server(Honest(sample)) as two, Server(Honest(sample)) as three:
        monkeypatch.setenv("KAKUIN_CLOCK_SOURCES", "ntp")
        monkeypatch.setenv("KAKUIN_CLOCK_NTP_SERVERS", ",".join(server.place for server in (one, two, three)))
        yield [one, two, three]


def run(*words: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(cli.kakuin, [str(word) for word in words], obj=cli.House)
    return done.exit_code, done.output


# The development clock.


def test_the_development_clock_stands_in_every_tokens_policy(folder: Path) -> None:
    with cli.House(folder) as house:
        assert house.timekeeper is None
        for asked, policy in ((None, DEVELOPMENT_POLICY), (DEVELOPMENT_POLICY, DEVELOPMENT_POLICY)):
            reply = tsp.decode_response(house.authority.stamp(tsp.encode_request(tsu.DIGEST, policy=asked)))
            assert cms.token(reply.token or b"").policy == policy
        wanted = tsp.encode_request(tsu.DIGEST, policy=Settings().tsa.policy)
        assert tsu.refused(house.authority.stamp(wanted)) is Failure.UNACCEPTED_POLICY


def test_init_chooses_by_whom_it_is_for() -> None:
    assert Answers().settings().clock.sources == (DEVELOPMENT_CLOCK,)
    office = Answers(organisation="見本市", number="1011101012007")
    assert office.settings().clock.sources == ("kernel",)
    assert replace(office, clock="chrony, ntp").settings().clock.sources == ("chrony", "ntp")


@pytest.mark.parametrize(
    ("clock", "told"),
    [
        (DEVELOPMENT_CLOCK, f"{DEVELOPMENT_CLOCK}: time-stamps prove nothing"),
        ("chrony", "chronyd does not answer: as long as that is so, requests for time-stamps are refused"),
    ],
)
def test_init_tells_an_office_what_its_clock_is_worth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: str, told: str) -> None:
    with Server() as server:
        monkeypatch.setenv("KAKUIN_CLOCK_CHRONY", server.place)
    secret = tmp_path / "passphrase"
    secret.write_text("correct horse battery staple\n")
    secret.chmod(0o600)
    named = ("--organisation", "見本市", "--corporate-number", "1011101012007", "--clock", clock, "--passphrase-file", secret)
    code, output = run("init", "--yes", "--instance", tmp_path / "i", *named)
    assert code == 0
    assert f"  beware       {told}" in output


def test_the_first_instances_settings_are_still_read() -> None:
    assert combine({"tsa": {"clock": DEVELOPMENT_CLOCK, "accuracy_ms": 500}}, {}, "file").development_clock
    with pytest.raises(Misconfigured, match=r"clock\.sources"):
        combine({"tsa": {"clock": "sundial"}}, {}, "file")


def test_the_development_clock_is_told(folder: Path) -> None:
    code, output = run("clock", "--instance", folder)
    assert code == 0
    assert DEVELOPMENT_CLOCK in output
    assert DEVELOPMENT_POLICY in output
    code, output = run("clock", "--instance", folder, "--json")
    assert json.loads(output) == {"state": DEVELOPMENT_CLOCK, "issues": True, "policy": DEVELOPMENT_POLICY, "history": []}


# Clocks for which somebody vouches.


def test_tokens_under_a_quorum_have_the_policy_and_the_journal_has_the_evidence(folder: Path, servers: list[Server]) -> None:
    with cli.House(folder) as house:
        reply = tsp.decode_response(house.authority.stamp(tsp.encode_request(tsu.DIGEST)))
        assert cms.token(reply.token or b"").policy == Settings().tsa.policy
        kinds = [entry.kind for entry in house.instance.journal.read()]
        assert kinds.index("token") == len(kinds) - 1
    code, output = run("clock", "--instance", folder, "--json")
    said = json.loads(output)
    assert (code, said["state"], said["issues"], said["accuracy_us"]) == (0, "good", True, 1_000_000)
    assert [source["source"] for source in said["sources"]] == [f"ntp {server.place}" for server in servers]
    [event] = said["history"]
    assert (event["event"], event["reason"], event["state"], event["quorum"]) == ("clock", "state", "good", "2 of 3")


def test_listing_units_looks_at_no_clock_and_records_nothing(folder: Path, servers: list[Server]) -> None:
    with cli.House(folder) as house:
        size = house.instance.journal.size()
    code, told = run("tsa", "list", "--instance", folder, "--json")
    assert code == 0 and json.loads(told)["fault"] is None
    with cli.House(folder) as house:
        assert house.instance.journal.size() == size
    assert all(server.questions.empty() for server in servers)


def test_what_is_wrong_is_told_with_what_to_do(folder: Path, servers: list[Server]) -> None:
    for server in servers[1:]:
        server.answering = Honest(sample, offset_ns=servers.index(server) * 3600 * SECOND)
    code, output = run("clock", "--instance", folder)
    assert code == 1
    assert "clock    disagreeing (of 3 time servers that answer no 2 agree); 1000 ms are stated" in output
    assert "tokens   are refused: timeNotAvailable" in output
    assert "to do    find the source that lies" in output
    [finding] = [finding for finding in diagnose(folder) if finding.what == "clock"]
    assert (finding.ok, finding.detail) == (False, "of 3 time servers that answer no 2 agree: no time-stamps are issued")
    servers[1].answering = Honest(sample)
    code, output = run("clock", "--instance", folder)
    assert code == 0
    assert f"source   ntp {servers[2].place}: off by +7" in output
    assert ", and most others contradict it" in output
    [finding] = [finding for finding in diagnose(folder) if finding.what == "clock"]
    assert finding.ok
    assert finding.detail.startswith("synchronised, wrong by ")


def test_sealing_without_a_time_stamp_asks_no_clock(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAKUIN_CLOCK_SOURCES", "ntp")

    def never(*_: object) -> None:
        pytest.fail("the clock was asked")

    monkeypatch.setattr(keeper.Timekeeper, "begin", never)
    with cli.House(folder) as house:
        assert house.sealer is not None
        assert "timekeeper" not in vars(house)


# Settings.


def test_what_settings_demand() -> None:
    rules = keeper.rules_of(Settings(clock=BOTH))
    assert rules.required == {"kernel", "chrony"}
    assert (rules.servers, rules.quorum, rules.leap) == (3, 2, LeapMode.PAUSE)
    assert len(keeper.sources_of(Settings(clock=BOTH))) == 3
    assert keeper.rules_of(Settings()).servers == 0
    assert keeper.rules_of(Settings(clock=replace(BOTH, ntp_quorum=3))).quorum == 3
    units = {"fine": UnitSettings(accuracy_us=50_000), "as-said": UnitSettings(), "coarse": UnitSettings(accuracy_us=5_000_000)}
    assert keeper.rules_of(Settings()).accuracy_ns == SECOND
    assert keeper.rules_of(Settings(units=units)).accuracy_ns == SECOND // 20  # what the finest unit states


@pytest.mark.parametrize(
    ("clock", "says"),
    [
        (replace(BOTH, ntp_quorum=4), "of 3 time servers 4 can never agree"),
        (replace(BOTH, chrony="127.0.0.1:323"), "only chrony tells, over its socket"),
        (replace(BOTH, sources=("kernel",)), "only chrony tells, over its socket"),
        (Clock(sources=(DEVELOPMENT_CLOCK,)), "nobody keeps the time"),
        (Clock(sources=("ntp",), ntp_servers=("a:70000",)), "a port is a number from 1 to 65535"),
    ],
    ids=["quorum", "nts-port", "nts-kernel", "development", "port"],
)
def test_settings_that_contradict_themselves(clock: Clock, says: str) -> None:
    with pytest.raises(Misconfigured, match=says):
        keeper.keeper_of(Settings(clock=clock), lambda _: None)


def test_every_state_that_refuses_has_its_remedy(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAKUIN_CLOCK_SOURCES", "chrony")
    with Server() as server:
        monkeypatch.setenv("KAKUIN_CLOCK_CHRONY", server.place)
    code, output = run("clock", "--instance", folder)
    assert code == 1
    assert f"source   chrony: {State.SILENT} (chronyd does not answer)" in output
    assert "to do    look at the network" in output
