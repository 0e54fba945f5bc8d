"""Policies as data: what is missing is the strict default, what is unknown is an error."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from trust.errors import Malformed, NotFound
from verifier.policy import SHIPPED, CertificateRules, Freshness, Level, Policy, Responder, load, timetables


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_policies_load_under_their_names(name: str) -> None:
    policy = load(name)
    assert policy.name == name
    assert policy.description.strip()
    assert policy.timetable.name in timetables()


def test_what_a_policy_does_not_say_is_strict() -> None:
    assert dataclasses.replace(load('name = "bare"\n'), name="strict", description=load("strict").description) == load("strict")


def test_strict_leaves_nothing_out() -> None:
    """Every constraint fails but those of which the standard itself asks no more than a warning."""
    lenient = {"issuer_serial", "structure", "policy", "subject_key_identifier"}
    policy = load("strict")
    for part in (policy.signature, policy.time, policy.status, policy.algorithms, policy.signer, policy.unit, policy.responder, policy.countersigner):
        for field in dataclasses.fields(part):
            value = getattr(part, field.name)
            if isinstance(value, Level):
                assert value is (Level.WARN if field.name in lenient else Level.FAIL), field.name
    assert policy.status.responder is Responder.ISSUER
    assert policy.status.freshness is Freshness.AT_USE


def test_eu_says_what_the_default_policy_of_dss_says() -> None:
    """Its constraint.xml, element by element; the two deviations are told in the file."""
    eu = load("eu")
    assert (eu.algorithms.timetable, eu.algorithms.forecasts) == ("ts-119-312", Level.WARN)
    assert eu.signature.signing_certificate_reference is Level.WARN
    assert eu.signature.signing_time is Level.FAIL
    assert eu.signature.signing_time_in_certificate is Level.FAIL
    assert eu.time.coherence is Level.WARN
    assert eu.status.freshness is Freshness.IGNORE
    assert (eu.signer.status, eu.signer.issuer_status, eu.signer.status_issuer_valid) == (Level.FAIL,) * 3
    assert (eu.unit.status, eu.unit.issuer_status, eu.unit.purpose) == (Level.FAIL, Level.WARN, Level.FAIL)
    assert (eu.signer.key_usage, eu.signer.key_usages) == (Level.WARN, ("content_commitment",))
    assert eu.signer.subject_key_identifier is Level.FAIL
    assert eu.signer.name_constraints is Level.FAIL
    assert eu.signature.one_signing_certificate_reference is Level.FAIL


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "unknown key 'x'"),
        ("description = 'a'", "key 'name' is missing"),
        ("name = 1", "str expected"),
        ("name = 'a'\n[signer]\nstatu = 'fail'\n", "policy.signer: unknown key 'statu'"),
        ("name = 'a'\n[signer]\nstatus = 'maybe'\n", "one of fail, warn, ignore expected, got 'maybe'"),
        ("name = 'a'\nsigner = 3\n", "policy.signer: a table expected"),
        ("name = 'a'\n[status]\nfreshness = 24\n", "one of now, at-use, ignore expected"),
        ("name = 'a'\n[status]\nmax_age_hours = -1\n", "float expected, got -1"),
        ("name = 'a'\n[status]\nmax_age_hours = inf\n", "float expected"),
        ("name = 'a'\n[status]\nmax_age_hours = true\n", "float expected"),
        ("name = 'a'\n[time]\nordered_accuracy = 1\n", "bool expected"),
        ("name = 'a'\n[signer]\nkey_usages = 'all'\n", "a list of texts expected"),
        ("name = 'a'\n[sunset]\nabc = 2020-01-01\n", "a date and time with its zone expected"),
        ("name = 'a'\n[algorithms]\ntimetable = 'none'\n", "unknown timetable 'none'"),
        ("name = 'a\n", "not TOML"),
        pytest.param("name = " + "1" * 5000 + "\n", "not TOML", id="a number of 5000 digits"),
        pytest.param("name = " + "[" * 5000 + "\n", "not TOML", id="nested 5000 times"),
    ],
)
def test_a_policy_that_is_none(text: str, message: str) -> None:
    with pytest.raises(Malformed, match=message):
        load(text)


def test_a_name_that_is_not_shipped() -> None:
    with pytest.raises(NotFound, match="unknown policy 'stricter', one of strict, eu, japan, archive expected"):
        load("stricter")


def test_values() -> None:
    policy = load(
        """name = "own"
        status.max_age_hours = 24
        unit.anchors = ["aa", "bb"]
        sunset.AB = 2030-01-01T09:00:00+09:00
        time.delay_hours = 1.5
        """
    )
    assert policy.status.max_age_hours == 24.0
    assert policy.unit.anchors == ("aa", "bb")
    assert policy.signer == CertificateRules()
    assert policy.sunset == {"ab": datetime(2030, 1, 1, tzinfo=UTC)}
    assert policy.time.delay_hours == 1.5


def test_how_old_status_may_be() -> None:
    week = timedelta(days=7)
    assert load("strict").max_age(week) == week
    assert load("strict").max_age(None) == timedelta(0)
    assert load("eu").max_age(week) is None
    assert load('name = "own"\n[status]\nmax_age_hours = 1\n').max_age(week) == timedelta(hours=1)


def test_a_policy_can_be_compared_and_kept_as_a_key() -> None:
    assert {load("eu"): 1}[load("eu")] == 1
    assert isinstance(hash(Policy("x")), int)
