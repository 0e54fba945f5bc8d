"""The order of effects: a token that leaves is recorded, a refusal takes no serial, and what fails is a refusal."""

import asyncio
import itertools
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from tests import pki, tsu
from tests.unit.test_journal import Held, impatient
from trust.codecs import cms, tsp
from trust.codecs.tsp import Failure
from trust.errors import KakuinError, Unacceptable, Unavailable
from trust.log.journal import Journal
from trust.log.page import Made
from trust.model import Digest
from tsa import issue
from tsa.issue import Refused
from tsa.refusals import Refusals
from tsa.service import Authority, _Issuer

REQUEST = tsp.encode_request(tsu.DIGEST, nonce=5)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = tsu.engine(tmp_path)
    yield made
    made.dispose()


@pytest.fixture
def journal(engine: Engine) -> Iterator[Journal]:
    with Journal(engine, tsu.clock) as made:
        yield made


@pytest.fixture
def authority(journal: Journal) -> Authority:
    return Authority(tsu.unit(), journal, tsu.clock)


def many(authority: Authority, count: int) -> list[bytes]:
    async def ask() -> list[bytes]:
        return await asyncio.gather(*(authority.stamp_soon(REQUEST) for _ in range(count)))

    return asyncio.run(ask())


def test_the_token_that_leaves_is_the_one_recorded(authority: Authority, journal: Journal) -> None:
    token = tsu.token(authority.stamp(REQUEST))
    entry = journal.find("tsu", token.serial)
    assert entry is not None
    assert (entry.body, entry.kind, entry.index, entry.sound) == (token.der, "token", 0, True)


def test_serials_are_consecutive_over_restarts(engine: Engine) -> None:
    serials = []
    for _ in range(3):
        with Journal(engine, tsu.clock) as journal:
            authority = Authority(tsu.unit(), journal, tsu.clock)
            serials += [tsu.token(authority.stamp(REQUEST)).serial for _ in range(4)]
    assert serials == list(range(1, 13))


def test_refusals_take_no_serial_and_leave_no_entry(authority: Authority, journal: Journal) -> None:
    bad = tsp.encode_request(Digest("sha1", bytes(20)))
    assert tsu.token(authority.stamp(REQUEST)).serial == 1
    assert tsu.refused(authority.stamp(bad)) == Failure.BAD_ALG
    assert tsu.refused(asyncio.run(authority.stamp_soon(bad))) == Failure.BAD_ALG
    assert tsu.refused(authority.stamp(b"")) == Failure.BAD_DATA_FORMAT
    assert tsu.token(authority.stamp(REQUEST)).serial == 2
    assert journal.size() == 2


def test_many_at_once_are_answered_from_the_journal(authority: Authority, journal: Journal) -> None:
    tokens = [tsu.token(response) for response in many(authority, 200)]
    assert sorted(token.serial for token in tokens) == list(range(1, 201))
    recorded = {entry.serial: entry.body for entry in journal.read()}
    assert recorded == {token.serial: token.der for token in tokens}
    times = [cms.token(recorded[serial]).gen_time for serial in sorted(s for s in recorded if s)]
    assert times == sorted(times)


def test_threads_and_loops_share_one_sequence(authority: Authority) -> None:
    got: list[bytes] = []

    def work() -> None:
        got.extend(authority.stamp(REQUEST) for _ in range(10))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    got += many(authority, 20)
    got += many(authority, 20)  # another event loop
    for thread in threads:
        thread.join()
    assert sorted(tsu.token(response).serial for response in got) == list(range(1, 81))


def test_two_units_have_each_their_own_sequence(journal: Journal) -> None:
    one, other = (Authority(tsu.unit(key, name=name), journal, tsu.clock) for key, name in (("p256", "one"), ("p384", "other")))
    serials = [
        (tsu.token(a.stamp(REQUEST), key).serial) for a, key in ((one, "p256"), (other, "p384"), (one, "p256"), (one, "p256"), (other, "p384"))
    ]
    assert serials == [1, 1, 2, 3, 2]
    other.close()


def test_the_event_loop_goes_on_while_the_disk_is_slow(authority: Authority, tmp_path: Path) -> None:
    async def ask() -> bytes:
        with Held(tmp_path):
            answer = asyncio.ensure_future(authority.stamp_soon(REQUEST))
            for _ in range(100):  # a loop that waits for the disk never gets there
                await asyncio.sleep(0.001)
            assert not answer.done(), "answered while it could not be recorded"
        return await answer

    assert tsu.token(asyncio.run(ask())).serial == 1


def test_without_a_record_there_is_no_token(engine: Engine, tmp_path: Path) -> None:
    impatient(engine)
    with Journal(engine, tsu.clock) as journal:
        authority = Authority(tsu.unit(), journal, tsu.clock)
        assert tsu.token(authority.stamp(REQUEST)).serial == 1
        with Held(tmp_path):
            assert tsu.refused(authority.stamp(REQUEST)) == Failure.SYSTEM_FAILURE
            assert [tsu.refused(response) for response in many(authority, 20)] == [Failure.SYSTEM_FAILURE] * 20
            with pytest.raises(Unavailable):
                authority.stamper()(tsu.DIGEST)
        assert tsu.token(authority.stamp(REQUEST)).serial == 2, "no gap: nothing was issued under the numbers between"
        assert journal.size() == 2


def test_a_commit_that_fails_after_signing_gives_no_token_and_its_serial_again(engine: Engine) -> None:
    with Journal(engine, tsu.clock) as journal:
        authority = Authority(tsu.unit(), journal, tsu.clock)
        failing = [True]

        @event.listens_for(engine, "commit")
        def fail(_connection: object) -> None:
            if failing[0]:
                raise OSError(5, "input/output error")

        assert tsu.refused(authority.stamp(REQUEST)) == Failure.SYSTEM_FAILURE
        failing[0] = False
        assert tsu.token(authority.stamp(REQUEST)).serial == 1


def test_a_closed_journal_is_a_refusal(engine: Engine) -> None:
    journal = Journal(engine, tsu.clock)
    authority = Authority(tsu.unit(), journal, tsu.clock)
    journal.close()
    assert tsu.refused(authority.stamp(REQUEST)) == Failure.SYSTEM_FAILURE
    assert tsu.refused(asyncio.run(authority.stamp_soon(REQUEST))) == Failure.SYSTEM_FAILURE


def test_a_clock_that_is_not_good_is_a_refusal_and_takes_no_serial(journal: Journal) -> None:
    good = [False]

    def clock() -> datetime:
        if not good[0]:
            raise Unavailable("the clock is not synchronised")
        return tsu.NOW

    for key in ("p256", "rsa2048"):
        good[0] = False
        authority = Authority(tsu.unit(key, name=key), journal, clock)
        assert tsu.refused(authority.stamp(REQUEST)) == Failure.TIME_NOT_AVAILABLE
        assert {tsu.refused(response) for response in many(authority, 5)} == {Failure.TIME_NOT_AVAILABLE}
        good[0] = True
        assert tsu.token(authority.stamp(REQUEST), key).serial == 1
        authority.close()


def test_a_slow_key_signs_in_threads_and_its_times_rise_with_its_serials(journal: Journal) -> None:
    seconds = itertools.count()
    party = tsu.party("rsa2048")
    names: set[str] = set()

    class Watched(pki.Party):
        def sign(self, data: bytes) -> bytes:
            names.add(threading.current_thread().name)
            return super().sign(data)

    holder = Watched(party.certificate, party.chain, party.algorithm, party.private)
    authority = Authority(tsu.unit(holder=holder), journal, lambda: tsu.NOW + timedelta(seconds=next(seconds)))
    tokens = sorted((tsu.token(response, "rsa2048") for response in many(authority, 40)), key=lambda token: token.serial)
    assert [token.serial for token in tokens] == list(range(1, 41))
    times = [token.gen_time for token in tokens]
    assert times == sorted(times)
    assert all(name.startswith("sign") for name in names)
    authority.close()


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 2, 7, 8, 33, 100])
def test_waves_grow_and_their_tokens_stand_in_the_order_of_their_serials(threads: int, count: int) -> None:
    issuer = _Issuer(tsu.unit("ed25519"), tsu.clock, threads, 1)
    for _ in range(4):
        made = issuer.make(5, [issue.read(tsp.encode_request(tsu.DIGEST, nonce=at)) for at in range(count)])
        tokens = [tsu.token(tsp.granted(one.body), "ed25519") for one in made if isinstance(one, Made)]
        assert [(token.serial, token.nonce) for token in tokens] == [(5 + at, at) for at in range(count)]
        assert [token.gen_time for token in tokens] == sorted(token.gen_time for token in tokens)
    issuer.close()


def test_where_times_tell_the_order_each_token_has_its_own() -> None:
    seconds = itertools.count()
    unit = tsu.unit("ed25519", policy=replace(tsu.POLICY, ordering=True))
    issuer = _Issuer(unit, lambda: tsu.NOW + timedelta(seconds=next(seconds)), 2, 32)
    made = issuer.make(1, [issue.read(REQUEST)] * 12)
    times = [tsu.token(tsp.granted(one.body), "ed25519").gen_time for one in made if isinstance(one, Made)]
    assert len(set(times)) == 12
    assert times == sorted(times)
    issuer.close()


@pytest.mark.parametrize("ordering", [False, True], ids=["accuracy", "ordering"])
def test_a_clock_that_was_set_back_by_less_than_a_step_is_waited_for(ordering: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """clock.step_ms lets so small a step pass; times rise with serials all the same."""
    shown = [tsu.NOW]
    monkeypatch.setattr("time.sleep", lambda seconds: shown.__setitem__(0, shown[0] + timedelta(seconds=seconds)))
    issuer = _Issuer(tsu.unit("ed25519", policy=replace(tsu.POLICY, ordering=ordering)), lambda: shown[0], 1, 1)

    def made(serial: int) -> Made | KakuinError:
        return issuer.make(serial, [issue.read(REQUEST)])[0]

    def time_of(one: Made | KakuinError) -> datetime:
        assert isinstance(one, Made)
        return tsu.token(tsp.granted(one.body), "ed25519").gen_time

    before = time_of(made(1))
    shown[0] -= timedelta(milliseconds=8)
    assert time_of(made(2)) >= before
    shown[0] -= timedelta(seconds=1)  # a leap second that is passed by (clock.leap none), or a clock that nobody keeps
    last = made(3)
    if ordering:
        assert isinstance(last, Refused)
        assert last.failure is Failure.TIME_NOT_AVAILABLE
    else:
        assert time_of(last) < before
    issuer.close()


@pytest.mark.parametrize("key", ["p256", "rsa2048"])
def test_signatures_that_fail_leave_no_gap(journal: Journal, key: str) -> None:
    calls = itertools.count()
    party = tsu.party(key)

    class Shaky(pki.Party):
        def sign(self, data: bytes) -> bytes:
            if next(calls) in {2, 30, 70}:  # far apart: what threads have in hand when one fails comes between
                raise Unavailable("the key store does not answer")
            return super().sign(data)

    authority = Authority(tsu.unit(key, holder=Shaky(party.certificate, party.chain, party.algorithm, party.private)), journal, tsu.clock)
    answers = many(authority, 60)
    granted = [answer for answer in answers if tsp.decode_response(answer).granted]
    assert 57 <= len(granted) < 60
    assert sorted(tsu.token(answer, key).serial for answer in granted) == list(range(1, len(granted) + 1))
    assert {tsu.refused(answer) for answer in answers if answer not in granted} == {Failure.SYSTEM_FAILURE}
    assert len([entry for entry in journal.read() if entry.kind == "token"]) == len(granted)
    authority.close()


def test_a_client_that_has_gone_harms_nobody(authority: Authority, journal: Journal, tmp_path: Path) -> None:
    async def ask() -> bytes:
        with Held(tmp_path):
            gone = [asyncio.ensure_future(authority.stamp_soon(REQUEST)) for _ in range(5)]
            stays = asyncio.ensure_future(authority.stamp_soon(REQUEST))
            await asyncio.sleep(0.02)
            for one in gone:
                one.cancel()
        answer = await stays
        assert [type(e) for e in await asyncio.gather(*gone, return_exceptions=True)] == [asyncio.CancelledError] * 5
        return answer

    assert tsu.token(asyncio.run(ask())).serial == 6
    assert journal.size() == 6, "recorded though nobody took them: allowed"


def test_an_event_loop_that_has_ended_harms_nobody(authority: Authority, tmp_path: Path) -> None:
    async def leave() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(authority.stamp_soon(REQUEST), 0.01)

    with Held(tmp_path):
        asyncio.run(leave())
    assert tsu.token(authority.stamp(REQUEST)).serial == 2


def test_the_stamper_gives_a_token_over_the_digest(authority: Authority, journal: Journal) -> None:
    digest = Digest.of("sha512", b"a seal's signature value")
    der = authority.stamper()(digest)
    token = cms.token(der)
    assert token.imprint == digest
    assert token.certs, "with certificates, so that the seal carries what a verifier needs"
    [entry] = journal.read()
    assert entry.body == der


def test_the_stamper_refuses_what_the_policy_does(authority: Authority) -> None:
    with pytest.raises(Unacceptable, match="badAlg") as caught:
        authority.stamper()(Digest("sha1", bytes(20)))
    assert isinstance(caught.value, Refused)


def test_the_certificates_are_the_units_first_and_not_the_root(authority: Authority) -> None:
    assert authority.certificates == (tsu.party().certificate, tsu.issuers()[1].certificate)
    assert authority.pem() == tsu.pem(tsu.party()) + tsu.pem(tsu.issuers()[1])


def test_gen_time_is_read_for_each_token_after_its_request(authority: Authority) -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    token = tsu.token(authority.stamp(REQUEST))
    assert before <= token.gen_time <= datetime.now(UTC)


def test_refusals_are_in_the_log_and_do_not_fill_it(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    noted = Refusals(lambda: now)
    caplog.set_level("INFO", "kakuin.tsa")
    unsynchronised, weak = Refused(Failure.TIME_NOT_AVAILABLE, "the clock is not synchronised"), Refused(Failure.BAD_ALG, "md5 is not offered")
    for _ in range(1000):
        assert tsp.decode_response(noted.answer(unsynchronised)).failures == {Failure.TIME_NOT_AVAILABLE}
    noted.answer(weak)
    noted.answer(Unavailable("the journal does not answer"))
    now = 10.0
    noted.answer(unsynchronised)
    noted.answer(weak)
    noted.answer(weak)
    noted.close()
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "refused: timeNotAvailable: the clock is not synchronised"),
        ("INFO", "refused: badAlg: md5 is not offered"),
        ("WARNING", "refused: the journal does not answer"),
        ("WARNING", "refused: timeNotAvailable: the clock is not synchronised (999 more since the last line)"),
        ("INFO", "refused: badAlg: md5 is not offered"),
        ("INFO", "refused: 1 more (badAlg)"),
    ]


def test_every_refusal_of_the_authority_is_noted(authority: Authority, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "kakuin.tsa")
    authority.stamp(b"no request")
    many(authority, 2)
    assert [record.getMessage().split(":")[:2] for record in caplog.records] == [["refused", " badDataFormat"]]
