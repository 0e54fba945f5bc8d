"""How the service does: what each finding means, and that all of it is what the schema says."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import jsonschema
import pytest

from trust.edge.operations.description import description, schema
from trust.edge.operations.health import CertificateSeen, ClockSeen, Health, JournalSeen, Seen, UnitSeen, judge

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


def unit(name: str = "tsu", days: int = 300, fault: str | None = None, fallback: str | None = None) -> UnitSeen:
    return UnitSeen(name, "ecdsa with sha256", NOW + timedelta(days=days), fault, fallback)


WELL = Seen(
    NOW,
    ClockSeen("good", "", True, 4000, 1_000_000),
    JournalSeen(True, size=12, committed=NOW, serials={"tsu-1": 9}, checkpoint_size=12, checkpoint_at=NOW),
    (unit(),),
    (CertificateSeen("root", NOW + timedelta(days=7000)), CertificateSeen("tsu", NOW + timedelta(days=2000))),
    50 << 30,
    "seal.example/log",
    1.0,
)

Change = Callable[[Seen], Seen]
CASES: dict[str, tuple[Change, str, str]] = {
    "well": (lambda s: s, "pass", ""),
    "development-clock": (lambda s: replace(s, clock=None), "warn", "clock"),
    "clock": (lambda s: replace(s, clock=ClockSeen("stepped", "the clock was set", False, None, 1_000_000)), "fail", "clock"),
    "database": (lambda s: replace(s, journal=JournalSeen(False, why="it does not answer")), "fail", "database"),
    "not-recording": (lambda s: replace(s, journal=replace(s.journal, fault="disk full")), "fail", "journal"),
    "crowded": (lambda s: replace(s, journal=replace(s.journal, queue=6000)), "warn", "journal"),
    "stalled": (lambda s: replace(s, journal=replace(s.journal, busy=4.0)), "warn", "journal"),
    "overrun": (lambda s: replace(s, journal=replace(s.journal, queue=20_000)), "fail", "journal"),
    "no-log-key": (lambda s: replace(s, log=None), "warn", "log"),
    "lag": (lambda s: replace(s, journal=replace(s.journal, uncovered_at=NOW - timedelta(seconds=61))), "warn", "log"),
    "lag-of-a-slow-log": (lambda s: replace(s, interval=60.0, journal=replace(s.journal, uncovered_at=NOW - timedelta(seconds=61))), "pass", ""),
    "disk-low": (lambda s: replace(s, disk_free=1 << 30), "warn", "disk"),
    "disk-full": (lambda s: replace(s, disk_free=1 << 20), "fail", "disk"),
    "database-elsewhere": (lambda s: replace(s, disk_free=None), "pass", ""),
    "draining": (lambda s: replace(s, draining=True), "fail", "service"),
    "unit-failed": (lambda s: replace(s, units=(unit(fault="no key store"),)), "fail", "tokens"),
    "unit-over": (lambda s: replace(s, units=(unit(days=-1),)), "fail", "tokens"),
    "stood-in-for": (lambda s: replace(s, units=(unit(fault="x", fallback="b"), unit("b"))), "warn", "tokens"),
    "both-failed": (lambda s: replace(s, units=(unit(fault="x", fallback="b"), unit("b", fault="y", fallback="tsu"))), "fail", "tokens"),
    "second-failed": (lambda s: replace(s, units=(unit(), unit("b", fault="y"))), "warn", ""),
    "unit-ends": (lambda s: replace(s, units=(unit(days=29),)), "warn", ""),
    "certificate-ends": (lambda s: replace(s, certificates=(CertificateSeen("ocsp", NOW + timedelta(days=29)),)), "warn", ""),
    "certificate-unreadable": (lambda s: replace(s, certificates=(CertificateSeen("ocsp", None),)), "warn", ""),
    "certificate-over": (lambda s: replace(s, certificates=(CertificateSeen("ocsp", NOW - timedelta(days=1)),)), "warn", ""),
}


def of(name: str) -> Health:
    return judge(CASES[name][0](WELL))


@pytest.mark.parametrize("name", CASES)
def test_what_was_seen_means(name: str) -> None:
    _, level, check = CASES[name]
    found = of(name)
    assert found.level == level
    assert found.ready is (level != "fail")
    assert [key for key, each in found.checks.items() if each.level != "pass"] == ([check] if check else [])
    assert all(each.why for each in (*found.checks.values(), *found.units.values()) if each.level != "pass")


@pytest.mark.parametrize("name", CASES)
def test_it_is_as_the_schema_says(name: str) -> None:
    whole = json.loads(schema())
    for part in (whole["properties"]["checks"], whole["$defs"]["finding"]):
        assert part["type"] == "object"
    document = json.loads(json.dumps(of(name).document))
    jsonschema.Draft202012Validator(whole, format_checker=jsonschema.FormatChecker()).validate(document)
    known = whole["properties"]["checks"]["properties"]
    for check, said in document["checks"].items():
        assert set(said) <= {"status", "why", *known[check].get("properties", {})}, check


def test_the_active_unit_is_named() -> None:
    assert of("well").checks["tokens"].facts["active"] == "tsu"
    assert of("stood-in-for").checks["tokens"].facts["active"] == "b"
    assert of("both-failed").checks["tokens"].facts["active"] is None


def test_what_is_told_of_time() -> None:
    facts = judge(replace(WELL, journal=replace(WELL.journal, committed=NOW - timedelta(seconds=90)))).checks["journal"].facts
    assert facts["last_commit_age_seconds"] == 90.0 and facts["last_commit"] == "2026-11-21T08:58:30.000Z"
    assert of("unit-ends").units["tsu"].facts["days_left"] == 29


def test_openapi_has_them_without_references_that_lead_nowhere() -> None:
    from fastapi import FastAPI

    app = FastAPI()
    app.include_router(description())
    told = app.openapi()
    assert {"/health", "/health/live", "/health/ready", "/health/schema", "/metrics"} <= set(told["paths"])
    assert "#/$defs" not in json.dumps(told)
    health = told["paths"]["/health"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert health["properties"]["checks"]["properties"]["clock"]["properties"]["status"] == {"enum": ["pass", "warn", "fail"]}
