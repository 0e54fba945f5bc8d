"""The gate: limits for each class, addresses for operators, ids and counts, called as ASGI."""

import json
import logging
import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.test_health import NOW, WELL, unit
from trust.codecs import tsp
from trust.codecs.tsp import Failure
from trust.edge.operations import gate as gates
from trust.edge.operations import metrics
from trust.edge.operations.clients import Clients
from trust.edge.operations.gate import Gate, Over
from trust.edge.operations.health import ClockSeen, JournalSeen, Seen
from trust.edge.operations.limits import rate
from trust.edge.operations.tally import Tally
from trust.edge.operations.watch import Watch

Message = MutableMapping[str, Any]
STRANGER, OPERATOR, PROXY = "198.51.100.9", "127.0.0.1", "10.0.0.1"


@dataclass(frozen=True)
class Said:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class House:
    """A gate before an application that answers what it is told to, and a service that does as `seen` says."""

    limits: dict[str, str] = field(default_factory=dict)
    proxies: tuple[str, ...] = (PROXY,)
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()
    seen: Seen = WELL
    alive: bool = True
    reached: list[str] = field(default_factory=list)
    looks: int = 0

    def __post_init__(self) -> None:
        self.tally = Tally(
            metrics.catalogue(
                routes=gates.CLASSES,
                units=("tsu",),
                failures=("badAlg",),
                formats=("pades",),
                kinds=("PDF",),
                levels=("B-T",),
                conclusions=("passed",),
            )
        )
        self.watch = Watch(
            self._look,
            now=lambda: NOW,
            clock=lambda: self.seen.clock,
            units=lambda: self.seen.units,
            certificates=lambda: self.seen.certificates,
            disk=Path("/"),
            log="seal.example/log",
            interval=1.0,
        )
        self.gate = Gate(
            self._application,
            clients=Clients(proxies=self.proxies, operators=["127.0.0.0/8"], unlimited=["192.0.2.0/24"]),
            limits={name: made for name, text in self.limits.items() if (made := rate(text)) is not None},
            remembered=100,
            stamping=lambda path: path in ("/tsa", "/tsa/certificates"),
            over=Over(tsp.rejection(Failure.SYSTEM_FAILURE, "too many requests: try again later"), b"application/timestamp-reply"),
            watch=self.watch,
            tally=self.tally,
            schema=b"{}",
            alive=lambda: self.alive,
        )

    def _look(self) -> JournalSeen:
        self.looks += 1
        return self.seen.journal

    async def _application(self, scope: Message, receive: Any, send: Any) -> None:
        self.reached.append(f"{scope['client'][0]} {scope['path']}")
        await send({"type": "http.response.start", "status": self.status, "headers": list(self.headers)})
        await send({"type": "http.response.body", "body": b"reached"})

    async def call(self, path: str, method: str = "GET", *, peer: str = STRANGER, **headers: str) -> Said:
        sent: list[Message] = []
        raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        scope = {"type": "http", "method": method, "path": path, "headers": raw, "client": (peer, 4711), "query_string": b""}

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        await self.gate(scope, receive, send)
        told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Said(sent[0]["status"], told, b"".join(m.get("body", b"") for m in sent[1:]))

    def asks(self, path: str, method: str = "GET", *, peer: str = STRANGER, **headers: str) -> Said:
        async def alone() -> Said:
            return await self.call(path, method, peer=peer, **headers)

        return anyio.run(alone)

    def counted(self, name: str) -> dict[tuple[str, ...], float]:
        return {each.values: each.cells[0] for each in self.tally.readings() if each.series.name == name and each.cells[0]}


# Limits.


def test_rest_over_the_limit_is_a_problem_that_says_when() -> None:
    house = House({"verifications": "1/h burst 2"})
    first, second, third = (house.asks("/v1/verifications", "POST", x_request_id="a-request-of-mine") for _ in range(3))
    assert (first.status, second.status, third.status) == (200, 200, 429)
    assert (first.headers["ratelimit"], second.headers["ratelimit"]) == ('"client";r=1;t=3600', '"client";r=0;t=7200')
    assert first.headers["ratelimit-policy"] == '"client";q=2;w=7200'
    assert third.headers["content-type"] == "application/problem+json" and int(third.headers["retry-after"]) in range(3590, 3601)
    assert third.json["type"] == "urn:kakuin:problem:too-many-requests" and third.json["status"] == 429
    assert third.json["request_id"] == third.headers["x-request-id"] == "a-request-of-mine"
    assert len(house.reached) == 2
    assert house.counted(metrics.LIMITED) == {("verifications",): 1.0}
    assert house.counted(metrics.HTTP) == {("verifications", "200"): 2.0, ("verifications", "429"): 1.0}


def test_a_time_stamp_request_over_the_limit_is_refused_in_the_protocol() -> None:
    house = House({"tsa": "1/h burst 1"})
    assert house.asks("/tsa", "POST").body == b"reached"
    over = house.asks("/tsa", "POST")
    assert over.status == 200 and over.headers["content-type"] == "application/timestamp-reply"
    assert int(over.headers["retry-after"]) in range(3590, 3601) and over.headers["x-request-id"]
    assert tsp.decode_response(over.body).reason == "systemFailure: too many requests: try again later"
    assert len(house.reached) == 1
    assert house.asks("/tsa/certificates").status == 200  # reading costs nothing


def test_classes_and_clients_have_limits_of_their_own() -> None:
    house = House({"log": "1/h burst 1", "pki": "1/h burst 1"})
    assert [house.asks(path).status for path in ("/log/checkpoint", "/v1/log/receipts", "/pki/root.crl", "/openapi.json")] == [200, 429, 200, 200]
    assert house.asks("/log/checkpoint", peer="198.51.100.10").status == 200


def test_a_network_is_one_client_and_some_have_no_limit() -> None:
    house = House({"log": "1/h burst 1"})
    assert [house.asks("/log/checkpoint", peer=f"2001:db8::{n}").status for n in (1, 2)] == [200, 429]
    assert [house.asks("/log/checkpoint", peer="192.0.2.1").status for _ in range(3)] == [200] * 3


def test_a_key_that_is_not_recognised_counts_against_the_address() -> None:
    house = House({"seals": "1/h burst 2"})
    assert [house.asks("/v1/seals", "POST").status for _ in range(5)] == [200] * 5  # its key is counted where it is recognised
    house.status = 401
    assert [house.asks("/v1/seals", "POST").status for _ in range(3)] == [401, 401, 429]
    house.status = 200
    assert house.asks("/v1/seals", "POST").status == 429


def test_behind_a_proxy_each_client_has_its_own(caplog: pytest.LogCaptureFixture) -> None:
    house = House({"log": "1/h burst 1"})
    statuses = [house.asks("/log/x", peer=PROXY, x_forwarded_for=client).status for client in ("203.0.113.1", "203.0.113.2", "203.0.113.1")]
    assert statuses == [200, 200, 429]
    assert house.reached == ["203.0.113.1 /log/x", "203.0.113.2 /log/x"]
    assert not caplog.records


def test_a_proxy_that_is_not_trusted_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    house = House({"log": "1/h burst 1"}, proxies=())
    assert [house.asks("/log/x", peer=PROXY, x_forwarded_for=f"203.0.113.{n}").status for n in (1, 2, 3)] == [200, 429, 429]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


# Operators.


def test_health_has_details_for_operators_alone() -> None:
    house = House()
    full = house.asks("/health", peer=OPERATOR)
    assert full.status == 200 and full.json["checks"]["clock"]["bound_us"] == 4000 and full.headers["cache-control"] == "no-store"
    for asked in (house.asks("/health"), house.asks("/health/ready", peer=OPERATOR), house.asks("/health/live")):
        assert (asked.status, asked.json) == (200, {"status": "pass"})


@pytest.mark.parametrize("field_name", ["x_forwarded_for", "forwarded", "x_real_ip", "via"])
def test_who_speaks_for_somebody_else_is_a_stranger(field_name: str) -> None:
    house = House()
    said: dict[str, str] = {field_name: "127.0.0.1"}
    assert house.asks("/health", peer=OPERATOR, **said).json == {"status": "pass"}
    assert house.asks("/metrics", peer=OPERATOR, **said).status == 403


def test_an_operator_behind_a_trusted_proxy() -> None:
    house = House()
    assert "checks" in house.asks("/health", peer=PROXY, x_forwarded_for="127.0.0.9").json
    assert house.asks("/health", peer=PROXY, x_forwarded_for="127.0.0.1, 203.0.113.1").json == {"status": "pass"}


def test_not_ready_is_503() -> None:
    house = House(seen=replace(WELL, clock=ClockSeen("stepped", "the clock was set", False, None, 1_000_000)))
    assert house.asks("/health", peer=OPERATOR).json["checks"]["clock"]["why"] == "the clock was set"
    for path in ("/health", "/health/ready"):
        asked = house.asks(path)
        assert (asked.status, asked.json) == (503, {"status": "fail"})
    assert house.asks("/health/live").status == 200
    house.alive = False
    assert house.asks("/health/live").status == 503


def test_ending_is_told_at_once_whatever_was_found_a_moment_ago() -> None:
    house = House()
    assert house.asks("/health/ready").status == 200
    house.watch.draining = True
    assert house.asks("/health/ready").status == 503
    assert house.asks("/health", peer=OPERATOR).json["draining"] is True


def test_who_asks_often_costs_one_look() -> None:
    house = House()

    async def often() -> None:
        for _ in range(20):
            assert (await house.call("/health")).status == 200

    anyio.run(often)
    assert house.looks <= 2  # one, unless the machine took a second for it


def test_metrics_are_for_operators() -> None:
    house = House({"tsa": "1/s burst 100"}, seen=replace(WELL, units=(unit(fault="x", fallback="b"), unit("b"))))
    house.headers = ((b"kakuin-format", b"pades"), (b"kakuin-level", b"B-T"))
    house.asks("/v1/seals", "POST")
    house.status, house.headers = 503, ()
    house.asks("/v1/seals", "POST")
    assert house.asks("/metrics").status == 403
    told = house.asks("/metrics", peer=OPERATOR)
    assert told.status == 200 and told.headers["content-type"].startswith("text/plain")
    found = {(s.name, *s.labels.values()): s.value for f in text_string_to_metric_families(told.body.decode()) for s in f.samples}
    assert found["kakuin_seals_total", "pades", "B-T", "done"] == 1.0 and found["kakuin_seals_total", "other", "other", "failed"] == 1.0
    assert found["kakuin_tsa_tokens_total", "tsu-1"] == 8.0
    assert found["kakuin_clock_bound_seconds",] == 0.004 and found["kakuin_clock_state", "good"] == 1.0
    assert found["kakuin_ready",] == 1.0 and found["kakuin_check", "tokens"] == 1.0
    assert found["kakuin_unit_failed", "tsu"] == 1.0 and found["kakuin_unit_failed", "b"] == 0.0
    assert found["kakuin_certificate_expiry_timestamp_seconds", "root"] == datetime(2046, 1, 20, 9, tzinfo=UTC).timestamp()
    assert found["kakuin_http_requests_total", "operations", "403"] == 1.0
    assert found["kakuin_http_request_seconds_count", "seals"] == 2.0


@pytest.mark.parametrize("page", ["operator.md", "operator.ja.md"])
def test_every_metric_that_operators_read_of_is_told(page: str) -> None:
    named = set(re.findall(r"\bkakuin_(?!sealed)[a-z_]+\*?", (Path(__file__).parents[2] / "docs" / page).read_text("utf-8")))
    told = House().asks("/metrics", peer=OPERATOR).body.decode()
    there = set(re.findall(r"^# TYPE (\S+)", told, re.MULTILINE)) | {
        f"{name}_bucket" for name in re.findall(r"^# TYPE (\S+) histogram", told, re.MULTILINE)
    }
    assert len(named) > 15
    assert [name for name in sorted(named) if not any(each == name or (name.endswith("*") and each.startswith(name[:-1])) for each in there)] == []


def test_open_metrics_is_spoken_where_it_is_asked_for() -> None:
    told = House().asks("/metrics", peer=OPERATOR, accept="application/openmetrics-text; version=1.0.0")
    assert told.headers["content-type"].startswith("application/openmetrics-text") and told.body.endswith(b"# EOF\n")


def test_operators_addresses_are_read_and_nothing_else_lies_there() -> None:
    house = House()
    assert house.asks("/health", "POST").status == 405 and house.asks("/metrics", "DELETE").headers["allow"] == "GET, HEAD"
    house.status = 404
    assert house.asks("/health/other").status == 404 and house.reached == [f"{STRANGER} /health/other"]


def test_a_database_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    from trust.edge.operations import watch

    monkeypatch.setattr(watch, "PATIENCE", 0.05)
    house, answered = House(), threading.Event()

    def hangs() -> JournalSeen:
        answered.wait(30)
        return WELL.journal

    house.watch._journal = hangs

    async def asked() -> tuple[Said, Said]:
        first = await house.call("/health", peer=OPERATOR)
        answered.set()
        house.watch._found = None
        monkeypatch.setattr(watch, "PATIENCE", 30.0)
        return first, await house.call("/health", peer=OPERATOR)

    first, second = anyio.run(asked)
    assert first.status == 503 and "has not answered" in first.json["checks"]["database"]["why"]
    assert second.status == 200


def test_a_fault_of_ours_is_told_as_not_ready(caplog: pytest.LogCaptureFixture) -> None:
    house = House()

    def broken() -> JournalSeen:
        raise RuntimeError("a fault of ours")

    house.watch._journal = broken
    for path in ("/health", "/health/ready", "/metrics"):
        asked = house.asks(path, peer=OPERATOR)
        assert (asked.status, asked.json) == (503, {"status": "fail"})
    assert house.asks("/health/live").status == 200
    assert {record.getMessage() for record in caplog.records} == {"how the service does cannot be told"}


def test_other_answers_of_the_authority_bear_an_id_and_are_counted() -> None:
    house = House(status=405)
    assert house.asks("/tsa", "GET", x_request_id="12345678").headers["x-request-id"] == "12345678"
    assert house.asks("/tsa", "GET", x_request_id="no id at all").headers["x-request-id"] != "no id at all"
    assert house.counted(metrics.HTTP) == {("tsa", "405"): 2.0}
