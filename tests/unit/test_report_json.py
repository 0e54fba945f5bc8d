"""The JSON report: its form is the published schema, and it says what the verdict says."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from tests import pki
from tests.schema import faults
from tests.verdicts import NOW, everything, office, signature, signature_verdict, stamp_verdict, subject_of, verdict
from trust.errors import Malformed, TooLarge
from trust.model import Cert, Claims, Document, Form, Scope, StampKind, Uncovered
from verifier.report import json as report_json
from verifier.report.json import OUTLINED, dumps, error_report, outline, pieces, report
from verifier.report.parties import party
from verifier.verdict import Conclusion, Indication, SubIndication

ROOT = Path(__file__).resolve().parents[2]
SCHEMA: dict[str, Any] = json.loads((ROOT / "verifier/report/report.schema.json").read_text("utf-8"))


def as_read(value: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(dumps(value))
    return made


@pytest.mark.parametrize("name", everything())
def test_every_report_is_as_the_schema_says(name: str) -> None:
    made = as_read(report(everything()[name], document=Document.of(b"%PDF", "notice.pdf"), anchors=1))
    assert list(faults(made, SCHEMA)) == []
    assert list(faults(as_read(report(everything()[name])), SCHEMA)) == []


@pytest.mark.parametrize("name", everything())
def test_an_outline_says_what_the_report_says(name: str) -> None:
    made, whole = outline(everything()[name]), report(everything()[name])
    for part, keys in OUTLINED.items():
        assert [tuple(one) for one in made[part]] == [keys] * len(whole[part])
        assert made[part] == [{key: one[key] for key in keys} for one in whole[part]]
    rest = made.keys() - OUTLINED.keys()
    assert rest == {"format", "conclusion", "reasons", "validation_time"}
    assert all(made[key] == whole[key] for key in rest)


def test_an_error_report_is_as_the_schema_says() -> None:
    for error, slug in (
        (Malformed("file is empty"), "malformed"),
        (TooLarge("over 5 bytes"), "too-large"),
        (RuntimeError("secret path"), "internal"),
    ):
        made = as_read(error_report(error))
        assert list(faults(made, SCHEMA)) == []
        assert made["error"]["type"] == slug
        assert "secret" not in made["error"]["text"]


def test_the_schema_check_can_fail() -> None:
    made = as_read(report(everything()["passed"]))
    made["signatures"][0]["indication"] = "PASSED"
    made["timestamps"][0]["time"] = "yesterday"
    del made["reasons"]
    made["extra"] = 1
    found = "\n".join(faults(made, SCHEMA))
    for place in ("$.signatures[0].indication", "$.timestamps[0].time", "reasons is missing", "extra is not in the schema"):
        assert place in found


def test_the_schema_names_every_member_of_the_enumerations() -> None:
    defs = SCHEMA["$defs"]
    assert set(defs["sub_indication"]["enum"]) == {*SubIndication, None}
    assert set(defs["step"]["properties"]["indication"]["enum"]) == {*Indication, None}
    assert set(defs["reference"]["properties"]["scope"]["enum"]) == set(Scope)
    assert set(defs["timestamp"]["properties"]["type"]["enum"]) == set(StampKind)
    assert set(defs["signature"]["properties"]["form"]["enum"]) == set(Form)
    assert set(SCHEMA["anyOf"][0]["properties"]["conclusion"]["enum"]) == set(Conclusion)
    assert re.search(SCHEMA["anyOf"][0]["properties"]["schema"]["pattern"], report_json.SCHEMA)


def test_a_signature_is_told_whole() -> None:
    stamp = stamp_verdict()
    [told] = report(verdict(Conclusion.PASSED, signature_verdict(stamp=stamp), stamps=(stamp,)))["signatures"]
    assert told["indication"] == "TOTAL-PASSED"
    assert told["signer"]["organization"] == "株式会社角印"
    assert told["signer"]["corporate_number"] == "9999999999999"
    assert told["signer"]["kind"] == "organisation"
    assert told["signer"]["sha256"] == office().signer.certificate.id.hex()
    assert int(told["signer"]["serial"], 16) == office().signer.serial
    assert told["best_signature_time"] == "2025-03-01T09:00:00Z"
    assert told["timestamps"] == [stamp.stamp.token.id.hex()]
    assert [link["trusted"] for link in told["chain"]] == [False, False, True]
    assert told["proves"] == {
        "origin": {"proved": True},
        "existence": {"proved": True, "since": "2025-03-01T09:00:00Z"},
        "intent": {"proved": False, "stated": []},
    }


def test_existence_is_proved_by_a_trusted_stamp_alone() -> None:
    doubtful = stamp_verdict(indication=Indication.INDETERMINATE, sub_indication=SubIndication.NO_CERTIFICATE_CHAIN_FOUND)
    [told] = report(verdict(Conclusion.PASSED, signature_verdict(stamp=doubtful), stamps=(doubtful,)))["signatures"]
    assert told["proves"]["existence"] == {"proved": False, "since": None}
    [told] = report(verdict(Conclusion.PASSED, signature_verdict()))["signatures"]
    assert told["proves"]["existence"] == {"proved": False, "since": None}
    # A signature that fails for another reason existed all the same.
    stamp = stamp_verdict()
    failed = signature_verdict(Indication.INDETERMINATE, SubIndication.TRY_LATER, stamp=stamp)
    [told] = report(verdict(Conclusion.INDETERMINATE, failed, stamps=(stamp,)))["signatures"]
    assert told["proves"]["existence"]["proved"]
    assert not told["proves"]["origin"]["proved"]


@pytest.mark.parametrize(
    ("commitments", "stated"),
    [
        (("1.2.840.113549.1.9.16.6.5",), ["approval"]),
        (("http://uri.etsi.org/01903/v1.2.2#ProofOfOrigin", "1.2.3"), ["origin", "other"]),
        ((), []),
    ],
)
def test_intent_is_what_the_signer_declared(commitments: tuple[str, ...], stated: list[str]) -> None:
    made = signature(claims=Claims(commitments=commitments))
    [told] = report(verdict(Conclusion.PASSED, signature_verdict(signature=made)))["signatures"]
    assert told["proves"]["intent"] == {"proved": bool(stated), "stated": stated}
    [told] = report(verdict(Conclusion.FAILED, signature_verdict(Indication.FAILED, SubIndication.HASH_FAILURE, signature=made)))["signatures"]
    assert told["proves"]["intent"]["proved"] is False


def test_a_person_who_signs_means_it() -> None:
    name = subject_of("角井 印子", None, None, (NameOID.GIVEN_NAME, "印子"), (NameOID.SURNAME, "角井"))
    cert = pki.signer(office().ca, subject=name).certificate
    [told] = report(verdict(Conclusion.PASSED, signature_verdict(signature=signature(signer=cert))))["signatures"]
    assert told["signer"]["kind"] == "person"
    assert told["proves"]["intent"]["proved"]


def test_an_organisations_name_alone_makes_no_seal() -> None:
    # An employee's certificate names the employer too.
    assert party(pki.signer(office().ca, subject=subject_of("A. Clerk", "Office")).certificate)["kind"] == "unknown"
    assert party(pki.signer(office().ca, subject=subject_of("Seal", "Office", "NTRJP-9999999999999")).certificate)["kind"] == "organisation"


@pytest.mark.parametrize(("qc_type", "kind"), [(1, "person"), (2, "organisation"), (3, "website")])
def test_what_the_issuer_certified_goes_before_what_the_subject_looks_like(qc_type: int, kind: str) -> None:
    # QCStatements { QcType { id-etsi-qct-esign | eseal | web } }
    statement = bytes.fromhex("3015 3013 0606 04008e460106 3009 0607 04008e46010600".replace(" ", ""))[:-1] + bytes([qc_type])
    extension = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.5.5.7.1.3"), statement)
    assert party(pki.signer(office().ca, extensions=((extension, False),)).certificate)["kind"] == kind


@pytest.mark.parametrize("identifier", ["NTRJP-9999999999998", "NTRJP-12", "VATDE-9999999999999", "NTRJP-９９９９９９９９９９９９９x"])
def test_a_corporate_number_is_told_only_when_its_check_digit_is_right(identifier: str) -> None:
    told = party(pki.signer(office().ca, subject=subject_of("Seal", "Office", identifier)).certificate)
    assert told["organization_identifier"] == identifier
    assert told["corporate_number"] is None


def test_a_broken_certificate_is_told_as_far_as_it_goes() -> None:
    for der in (b"", b"\x30\x03\x02\x01\x01", office().signer.certificate.der[:200], b"\x30\x80" * 50):
        told = party(Cert(der))
        assert told["sha256"] == Cert(der).id.hex()
        assert told["kind"] == "unknown"
        assert told["subject"] is None


def test_json_text_cannot_steer_a_terminal() -> None:
    hostile = "a\x1b[2Jb\x9b31mc\u202ed\u2028e\ud800f\x00\x7fg 角印"
    made = verdict(Conclusion.FAILED, signature_verdict(), uncovered=(Uncovered(hostile, hostile),))
    for indent in (None, 2):
        text = dumps(report(made, document=Document.of(b"x", hostile)), indent=indent)
        text.encode("utf-8")
        assert re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u2028\ud800]", text) is None
        assert "角印" in text
        assert json.loads(text)["uncovered"][0]["name"] == hostile


def test_the_same_verdict_gives_the_same_bytes() -> None:
    made = everything()["failed"]
    assert dumps(report(made, anchors=2)) == dumps(report(replace(made), anchors=2))
    assert report(made)["validation_time"] == NOW.isoformat().replace("+00:00", "Z")


def test_a_large_report_is_written_in_pieces_and_reads_the_same() -> None:
    uncovered = tuple(Uncovered(f"角印\u202e{n}", "why") for n in range(3000))
    value = report(verdict(Conclusion.FAILED, signature_verdict(), uncovered=uncovered))
    for only_ascii in (False, True):
        parts = list(pieces(value, indent=2, only_ascii=only_ascii))
        assert len(parts) > 2
        assert "".join(parts) == dumps(value, indent=2, only_ascii=only_ascii)
