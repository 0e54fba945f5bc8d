"""Bundles: one form, named by its content, and the same question out of them as went in."""

import dataclasses
import io
import json
import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests import pki
from tests.verdicts import NOW, office
from trust.errors import Malformed, TooLarge
from trust.model import Document
from verifier import bundle, service
from verifier.bundle import Bundle, policy_text
from verifier.policy import SHIPPED, Policy, StatusRules, load
from verifier.question import Question, Unobtained

TOKEN = Document.of(pki.token(office().tsu, pki.Digest.of("sha256", b"x")), "x.tst")
LISTS, ANSWER = office().crls(), pki.ocsp(office().signer, office().ca)
DETACHED = (Document.of(b"x", "x.txt"),)


def question(**changes: Any) -> Question:
    o = office()
    asked = Question(
        TOKEN,
        pki.CHECKED + timedelta(microseconds=5),
        load("strict"),
        (o.root.certificate,),
        DETACHED,
        (o.ca.certificate, o.tsu.certificate),
        LISTS,
        (ANSWER,),
        (Document.of(b"an evidence record", "記録.ers"),),
        (Unobtained("crl", "ab" * 32, "http://a.test/x.crl", "http://a.test/x.crl answered 404"),),
    )
    return replace(asked, **changes)


def test_the_question_comes_back_as_it_went_in() -> None:
    asked = question()
    made = Bundle.of(asked)
    back = Bundle.unpack(made.pack())
    assert back.digest == made.digest
    assert back.engine == bundle.engine()
    again = back.question(TOKEN, DETACHED)
    for field in ("at", "policy", "anchors", "crls", "ocsps", "certificates", "unobtained", "detached"):
        value, before = getattr(again, field), getattr(asked, field)
        assert set(value) == set(before) if field in ("crls", "certificates") else value == before, field
    assert [(r.name, r.read(99)) for r in again.records] == [("記録.ers", b"an evidence record")]
    assert again.bundle == made.digest


def test_the_report_names_the_bundle_and_is_the_same_out_of_it() -> None:
    asked = question(records=())
    made = service.answer(asked)
    assert made["bundle"] == Bundle.of(asked).digest
    assert made["unobtained"] == [dataclasses.asdict(u) for u in asked.unobtained]
    again = Bundle.unpack(Bundle.of(asked).pack()).question(TOKEN, DETACHED)
    assert json.dumps(service.answer(again)) == json.dumps(made)


def test_order_and_repetition_change_nothing() -> None:
    asked = question()
    other = replace(asked, crls=(*reversed(asked.crls), *asked.crls), certificates=asked.certificates[::-1], anchors=asked.anchors * 3)
    assert Bundle.of(other).pack() == Bundle.of(asked).pack()
    assert service.answer(replace(other, records=())) == service.answer(replace(asked, records=()))


@pytest.mark.parametrize(
    "change",
    [
        {"at": NOW},
        {"policy": load("eu")},
        {"anchors": ()},
        {"anchors": (office().ca.certificate,)},
        {"certificates": ()},
        {"crls": ()},
        {"ocsps": ()},
        {"records": ()},
        {"records": (Document.of(b"an evidence record", "another name"),)},
        {"unobtained": ()},
    ],
    ids=lambda c: next(iter(c)),
)
def test_whatever_a_verdict_depends_on_is_in_the_digest(change: dict[str, Any]) -> None:
    assert Bundle.of(question(**change)).digest != Bundle.of(question()).digest


def test_the_documents_themselves_are_not_in_it() -> None:
    """One bundle for a whole folder of files; which file a report is about, the report says itself."""
    assert Bundle.of(question(document=Document.of(b"another"), detached=())).digest == Bundle.of(question()).digest


def test_any_zip_program_opens_it() -> None:
    made = Bundle.of(question())
    with zipfile.ZipFile(io.BytesIO(made.pack())) as box:
        assert box.testzip() is None
        names = box.namelist()
        assert names[:2] == ["bundle.json", "policy.toml"]
        assert [n.split("/")[0] for n in names[2:]] == ["anchors", "certificates", "certificates", "crls", "crls", "ocsps", "evidence_records"]
        assert bundle._sha256(box.read("bundle.json")) == made.digest
        told = json.loads(box.read("bundle.json"))
        assert told["engine"]["version"].startswith("kakuin ")
        assert all(info.date_time == (1980, 1, 1, 0, 0, 0) for info in box.infolist())


def test_a_bundle_that_was_changed_anywhere_is_refused() -> None:
    data = Bundle.of(question(crls=(), ocsps=())).pack()
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 0x01
        with pytest.raises(Malformed):
            Bundle.unpack(bytes(changed))
    for cut in (0, 1, 10, 29, 30, 45, len(data) // 2, len(data) - 1):
        with pytest.raises(Malformed):
            Bundle.unpack(data[:cut])
    for longer in (data + b"\0", b"\0" + data, data + data):
        with pytest.raises(Malformed):
            Bundle.unpack(longer)


def _remade(**told: Any) -> bytes:
    """A bundle as somebody else might write it: everything fits together but for what `told` says."""
    made = Bundle.of(question())
    members = list(made._members())
    manifest = {**json.loads(members[0][1]), **told}
    members[0] = ("bundle.json", json.dumps(manifest, sort_keys=True, indent=1).encode() + b"\n")
    return bundle._zip(members)


@pytest.mark.parametrize(
    "told",
    [
        {"form": "kakuin bundle 2"},
        {"form": None},
        {"anchors": []},
        {"anchors": ["00" * 32]},
        {"anchors": 5},
        {"anchors": ["../../etc/passwd"]},
        {"crls": [c.id.hex() for c in sorted(LISTS, key=lambda c: c.id, reverse=True)]},
        {"engine": {"version": 5, "timetables": ""}},
        {"engine": {"version": "x", "timetables": "", "more": ""}},
        {"validation_time": "2026-01-01T00:00:00"},
        {"validation_time": "2026-01-01T00:00:00Z"},
        {"validation_time": "yesterday"},
        {"policy": "00" * 32},
        {"evidence_records": [{"name": 5, "sha256": "00" * 32}]},
        {"unobtained": [{}]},
        {"unobtained": [5]},
        {"surprise": 1},
    ],
    ids=lambda t: next(iter(t)),
)
def test_a_manifest_of_another_form_is_refused(told: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        Bundle.unpack(_remade(**told))
    assert Bundle.unpack(_remade()).digest == Bundle.of(question()).digest


def test_what_is_no_bundle_at_all_is_refused() -> None:
    box = io.BytesIO()
    with zipfile.ZipFile(box, "w") as written:
        written.writestr("bundle.json", b"[" * 100_000)
    for data in (b"", b"%PDF-1.7", b"PK\x03\x04", box.getvalue(), bundle._zip([("bundle.json", b"{}")]), bundle._zip([("x", b"")] * 30_000)):
        with pytest.raises((Malformed, TooLarge)):
            Bundle.unpack(data)


def test_limits_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Bundle.of(question())
    data = made.pack()
    monkeypatch.setattr(bundle, "MAX_BYTES", 2000)
    for work in (made.pack, lambda: Bundle.unpack(data)):
        with pytest.raises(TooLarge, match="at most"):
            work()


@pytest.mark.parametrize("name", SHIPPED)
def test_a_policy_in_full_is_the_same_policy(name: str) -> None:
    assert load(policy_text(load(name))) == load(name)
    assert "None" not in policy_text(load(name))


def test_an_odd_policy_in_full_is_the_same_policy() -> None:
    odd = Policy(
        'a "quoted" \\ name\x7f\x01\n\U0001f58b',
        status=StatusRules(max_age_hours=0.1),
        signer=replace(load("strict").signer, anchors=("ab" * 32,), key_usages=()),
        sunset={"cd" * 32: datetime(2026, 1, 1, 1, 2, 3, 4, tzinfo=UTC)},
    )
    again = load(policy_text(odd))
    assert again == odd
    assert again.sunset == odd.sunset


def test_defaults_are_written_out() -> None:
    """What a later engine takes for granted changes nothing."""
    text = policy_text(load('name = "mine"'))
    for field in dataclasses.fields(StatusRules):
        assert field.name == "max_age_hours" or f"\n{field.name} = " in text
