"""The ETSI validation report: valid against the schema of TS 119 102-2 v1.4.1 whatever was judged, and it says what the verdict says."""

import functools
import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from tests import pki
from tests.shared import SHARED, needs_shared
from tests.unit.test_report_text import HOSTILE
from tests.verdicts import NOW, everything, links, office, signature, signature_verdict, stamp_verdict, subject_of, verdict
from trust.errors import KakuinError
from trust.model import Claims, Digest, Document, Form, Reference, Uncovered
from trust.suites import FOREVER, Timetable
from verifier import bulk
from verifier.policy import load
from verifier.report.etsi import etsi
from verifier.report.etsi.crypto import WEAK
from verifier.report.etsi.xml import uri
from verifier.service import Question, Verifier, judge
from verifier.verdict import Conclusion, Indication, Reason, Step, SubIndication

NS = {"v": "http://uri.etsi.org/19102/v1.4.1#", "ds": "http://www.w3.org/2000/09/xmldsig#", "k": "urn:kakuin:report:1"}
LOCAL = {
    "xmldsig-core-schema.xsd": "xmldsig/xmldsig-core-schema.xsd",
    "xml.xsd": "xmldsig/xml.xsd",
    "XAdES.xsd": "xades/XAdES.xsd",
    "ts_119612v020201_201601xsd.xsd": "trusted-list-v2.1.1/ts_119612v020101_xsd.xsd",
}
"""The imports of the schemas by their last path segment."""


class _Local(etree.Resolver):
    """The copies beside the project, and never the network."""

    def resolve(self, url: str, _: str | None, context: Any) -> Any:
        name = url.rsplit("/", 1)[-1]
        assert name in LOCAL or Path(url).is_file(), f"{url} is not among the local copies"
        return self.resolve_filename(str(SHARED / "schemas" / LOCAL[name]) if name in LOCAL else url, context)


@functools.cache
def schema() -> etree.XMLSchema:
    parser = etree.XMLParser(no_network=True)
    parser.resolvers.add(_Local())
    return etree.XMLSchema(etree.parse(str(SHARED / "schemas/validation-report/1910202xmlSchema.xsd"), parser))


def parsed(made: bytes) -> Any:
    return etree.fromstring(made, etree.XMLParser(no_network=True, resolve_entities=False))


def check(made: bytes) -> Any:
    """The report as a tree; fails with what the schema says against it."""
    tree = parsed(made)
    assert schema().validate(tree), [f"{e.line}: {e.message}" for e in list(schema().error_log)[:3]]
    ids = set(tree.xpath("//@id"))
    assert len(ids) == len(tree.xpath("//@id"))
    referred = {name for names in tree.xpath("//@VOReference") for name in names.split()}
    assert referred <= ids
    return tree


def text(tree: Any, path: str) -> list[str]:
    return [found if isinstance(found, str) else found.text for found in tree.xpath(path, namespaces=NS)]


def told(tree: Any, path: str) -> str:
    [found] = text(tree, path)
    return found


@needs_shared
@pytest.mark.parametrize("name", everything())
def test_every_report_is_as_the_schema_says(name: str) -> None:
    check(etsi(everything()[name], document=Document.of(b"x", "通知書.pdf")))


@needs_shared
def test_a_broken_report_is_not() -> None:
    made = etsi(everything()["passed"])
    check(made)
    for broken in (
        made.replace(b"<HashOnly>false</HashOnly>", b"<HashOnly>perhaps</HashOnly>", 1),
        made.replace(b"MainIndication>", b"Indication>"),
        made.replace(b"<TypeOfProof>", b"<POETime>now</POETime><TypeOfProof>", 1),
    ):
        assert broken != made
        assert not schema().validate(parsed(broken))


def test_what_a_passed_signature_says() -> None:
    stamp = stamp_verdict()
    stamp = replace(stamp, stamp=replace(stamp.stamp, covers=stamp.stamp.covers | {office().ca.certificate.id}))
    claims = Claims(time=pki.SIGNED, place="東京", commitments=("1.2.840.113549.1.9.16.6.5",), roles=("clerk",), policy="1.2.3")
    found = signature_verdict(stamp=stamp, signature=signature(claims=claims))
    tree = parsed(etsi(verdict(Conclusion.PASSED, found, stamps=(stamp,))))
    one = "/v:ValidationReport/v:SignatureValidationReport"
    assert told(tree, f"{one}/v:SignatureValidationStatus/v:MainIndication") == "urn:etsi:019102:mainindication:total-passed"
    assert told(tree, f"{one}/v:ValidationTimeInfo/v:ValidationTime") == "2026-06-01T00:00:00Z"
    assert told(tree, f"{one}/v:ValidationTimeInfo/v:BestSignatureTime/v:POETime") == "2025-03-01T09:00:00Z"
    token = stamp.stamp.token.id.hex()
    assert told(tree, f"{one}/v:ValidationTimeInfo/v:BestSignatureTime/v:POEObject/@VOReference") == f"T-{token}"
    assert told(tree, f"{one}/v:SignerInformation/v:SignerCertificate/@VOReference") == f"C-{office().signer.certificate.id.hex()}"
    assert "株式会社角印" in told(tree, f"{one}/v:SignerInformation/v:Signer")
    assert told(tree, f"{one}/v:SignatureAttributes/v:SigningTime/v:Time") == "2025-03-01T09:00:00Z"
    assert told(tree, f"{one}/v:SignatureAttributes/v:SignatureProductionPlace/v:AddressString") == "東京"
    assert told(tree, f"{one}/v:SignatureAttributes//v:CommitmentTypeIdentifier") == "urn:oid:1.2.840.113549.1.9.16.6.5"
    assert told(tree, f"{one}/v:SignatureAttributes/v:SignatureTimeStamp/v:TimeStampValue") == "2025-03-01T09:00:00Z"
    chain = f"{one}/v:SignatureValidationStatus/v:AssociatedValidationReportData/v:CertificateChain"
    assert told(tree, f"{chain}/v:TrustAnchor/@VOReference") == f"C-{office().root.certificate.id.hex()}"
    assert told(tree, f"{one}/v:ValidationConstraintsEvaluationReport/v:SignatureValidationPolicy/v:PolicyName") == "strict"
    assert told(tree, "/v:ValidationReport/v:SignatureValidator//*[local-name() = 'Other']").startswith("kakuin ")
    # The time-stamp: an object with its own report, and what it proves of others.
    objects = "/v:ValidationReport/v:SignatureValidationObjects/v:ValidationObject"
    assert told(tree, f"{objects}[@id='T-{token}']/v:ValidationReport/v:SignatureValidationStatus/v:MainIndication").endswith(":passed")
    assert told(tree, f"{objects}[@id='T-{token}']/v:POEProvisioning/v:ValidationObject/@VOReference") == f"C-{office().ca.certificate.id.hex()}"
    assert len(text(tree, f"{objects}[@id='T-{token}']/v:POEProvisioning/v:SignatureReference/v:DigestValue")) == 1
    proved = f"{objects}[@id='C-{office().ca.certificate.id.hex()}']/v:POE"
    assert told(tree, f"{proved}/v:POETime") == "2025-03-01T09:00:00Z"
    assert told(tree, f"{proved}/v:POEObject/@VOReference") == f"T-{token}"
    unproved = f"{objects}[@id='C-{office().root.certificate.id.hex()}']/v:POE"
    assert told(tree, f"{unproved}/v:POETime") == "2026-06-01T00:00:00Z"
    assert text(tree, f"{unproved}/v:POEObject") == []


def test_a_doubtful_stamp_proves_nothing() -> None:
    stamp = stamp_verdict(indication=Indication.INDETERMINATE, sub_indication=SubIndication.NO_CERTIFICATE_CHAIN_FOUND)
    tree = parsed(etsi(verdict(Conclusion.PASSED, signature_verdict(stamp=stamp), stamps=(stamp,))))
    assert text(tree, "//v:POEProvisioning") == []
    assert text(tree, "//v:POEObject") == []


def test_the_verdict_for_the_whole_file_is_beside_every_signature() -> None:
    found = verdict(
        Conclusion.FAILED,
        signature_verdict(),
        signature_verdict(),
        uncovered=(Uncovered("page 2", "changed"),),
        reasons=(Reason("not-covered", "page 2", "changed"),),
    )
    tree = parsed(etsi(found))
    one = "/v:ValidationReport/v:SignatureValidationReport"
    assert set(text(tree, f"{one}/v:SignatureValidationStatus/v:MainIndication")) == {"urn:etsi:019102:mainindication:total-passed"}
    assert text(tree, f"{one}/v:OtherInformation/k:File/k:Conclusion") == ["failed", "failed"]
    assert text(tree, f"{one}/v:OtherInformation/k:File/k:Reason/@code") == ["not-covered", "not-covered"]


def test_a_file_without_signatures_says_so() -> None:
    tree = parsed(etsi(everything()["nothing_signed"]))
    assert told(tree, "//v:SignatureValidationReport/v:SignatureValidationStatus/v:MainIndication").endswith(":noSignatureFound")
    assert told(tree, "//k:Conclusion") == "nothing_signed"


@pytest.mark.parametrize(("clause", "process"), [("5.2.7", "Basic"), ("5.5.4 step 4", "LTVM"), ("5.6.3.4", "LTA")])
def test_the_process_is_the_one_that_was_reached(clause: str, process: str) -> None:
    trace = (Step("5.2.2", "the signature conforms to its format", True), Step(clause, "x", True))
    tree = parsed(etsi(verdict(Conclusion.PASSED, signature_verdict(trace=trace))))
    assert told(tree, "//v:SignatureValidationProcessID") == f"urn:etsi:019102:validationprocess:{process}"


def test_constraints_are_the_trace() -> None:
    sub = SubIndication.TRY_LATER
    trace = (
        Step("5.2.2", "the signature conforms to its format", True),
        Step("5.2.8", "there is one such reference", False),
        Step("5.2.6", "the status is fresh", False, Indication.INDETERMINATE, sub, "certificate of A"),
        Step("5.6.2.4 step 3", "the signature is proved to have existed before the control time", False, Indication.PASSED),
    )
    tree = parsed(etsi(verdict(Conclusion.INDETERMINATE, signature_verdict(Indication.INDETERMINATE, sub, trace=trace))))
    found = tree.xpath("//v:SignatureValidationReport//v:ValidationConstraint", namespaces=NS)
    assert [told(c, "v:ValidationConstraintIdentifier") for c in found][:2] == ["urn:kakuin:clause:5.2.2", "urn:kakuin:clause:5.2.8"]
    assert [text(c, "v:ValidationStatus/v:MainIndication") for c in found] == [
        ["urn:etsi:019102:mainindication:passed"],
        [],
        ["urn:etsi:019102:mainindication:indeterminate"],
        ["urn:etsi:019102:mainindication:indeterminate"],
    ]
    assert told(found[1], "v:Indications") == "not met, and the policy only warns of it"
    assert told(found[2], "v:ValidationStatus/v:SubIndication") == "urn:etsi:019102:subindication:TRY_LATER"
    assert told(found[2], "v:ValidationConstraintParameter/v:Value") == "the status is fresh [certificate of A]"


@needs_shared
def test_a_revocation_is_told_with_its_time_and_reason() -> None:
    revoked = replace(links()[0], revoked_at=datetime(2025, 4, 1, 12, tzinfo=UTC), reason="key_compromise")
    found = signature_verdict(Indication.INDETERMINATE, SubIndication.REVOKED_NO_POE, chain=(revoked, *links()[1:]))
    tree = check(etsi(verdict(Conclusion.INDETERMINATE, found)))
    told_of = "//v:SignatureValidationReport/v:SignatureValidationStatus/v:AssociatedValidationReportData/v:RevocationStatusInformation"
    assert told(tree, f"{told_of}/v:ValidationObjectId/@VOReference") == f"C-{office().signer.certificate.id.hex()}"
    assert told(tree, f"{told_of}/v:RevocationTime") == "2025-04-01T12:00:00Z"
    assert told(tree, f"{told_of}/v:RevocationReason") == "urn:etsi:019102:revocationReason:keyCompromise"


@needs_shared
@pytest.mark.parametrize("timetable", [True, False])
@pytest.mark.parametrize(
    ("what", "about", "target", "algorithm"),
    [
        ("the algorithms of the signature value are acceptable", "", "S-1-", "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"),
        ("the algorithms of the reference were acceptable at 2025-03-01T09:00:00Z", "", "S-1-", "http://www.w3.org/2001/04/xmlenc#sha256"),
        ("the algorithms of the certificate are acceptable", "certificate of {ca}", "C-{ca}", "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"),
        ("something that no table knows", "", "S-1-", "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"),
    ],
)
def test_a_weak_algorithm_is_named_with_its_object(what: str, about: str, target: str, algorithm: str, timetable: bool) -> None:
    """Clause 4.3.12.7: the information is mandatory with CRYPTO_CONSTRAINTS_FAILURE and its _NO_POE."""
    ca = office().ca.certificate
    ends = datetime(2026, 1, 1, tzinfo=UTC)
    table = Timetable("test", "", NOW, {"sha256": ends}, {"ecdsa": ((224, FOREVER),)}) if timetable else None
    for sub in (SubIndication.CRYPTO_CONSTRAINTS_FAILURE, SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE):
        step = Step("5.2.8.4", what, False, Indication.INDETERMINATE, sub, about.format(ca=ca.name))
        found = signature_verdict(Indication.INDETERMINATE, sub, trace=(step,), chain=links())
        tree = check(etsi(verdict(Conclusion.INDETERMINATE, found), timetable=table))
        crypto = "//v:SignatureValidationReport/v:SignatureValidationStatus/v:AssociatedValidationReportData/v:CryptoInformation"
        assert told(tree, f"{crypto}/v:ValidationObjectId/@VOReference").startswith(target.format(ca=ca.id.hex()))
        assert told(tree, f"{crypto}/v:Algorithm") == algorithm
        assert told(tree, f"{crypto}/v:SecureAlgorithm") == "false"
        assert text(tree, f"{crypto}/v:NotAfter") == (["2026-01-01T00:00:00Z"] if timetable else [])
    assert parsed(etsi(everything()["passed"], timetable=table)).xpath("//v:CryptoInformation", namespaces=NS) == []


@needs_shared
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_nothing_of_a_file_breaks_the_report() -> None:
    cert = pki.signer(office().ca, subject=subject_of(HOSTILE[:38], HOSTILE[:38])).certificate
    hostile = signature(
        signer=cert,
        field=HOSTILE + "]]><x/>",
        form=Form.XADES,
        references=(Reference(HOSTILE, True, True, digest=Digest("sha512_256", b"")), Reference("&" + HOSTILE, False, False)),
        claims=Claims(
            place=HOSTILE,
            reason=HOSTILE,
            contact=HOSTILE,
            roles=(HOSTILE,),
            commitments=(HOSTILE, "1.2.03", "http://x y"),
            policy=HOSTILE,
            content_type=HOSTILE,
        ),
    )
    trace = (Step(HOSTILE, HOSTILE, False, about=HOSTILE),)
    found = verdict(
        Conclusion.FAILED,
        signature_verdict(Indication.FAILED, SubIndication.HASH_FAILURE, signature=hostile, trace=trace),
        signature_verdict(signature=hostile),
        reasons=(Reason("malformed", HOSTILE, HOSTILE),),
    )
    tree = check(etsi(found, document=Document.of(b"x", HOSTILE)))
    assert "\\u{1b}" in "".join(tree.itertext())


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("1.2.840.10045", "urn:oid:1.2.840.10045"),
        ("http://uri.etsi.org/01903/v1.2.2#ProofOfOrigin", "http://uri.etsi.org/01903/v1.2.2#ProofOfOrigin"),
        ("no uri", "urn:kakuin:text:no%20uri"),
        ("http://a#b#c", "urn:kakuin:text:http%3A%2F%2Fa%23b%23c"),
        ("x:%zz", "urn:kakuin:text:x%3A%25zz"),
    ],
)
def test_identifiers_become_uris(given: str, made: str) -> None:
    assert uri(given) == made


def test_the_same_verdict_has_the_same_bytes() -> None:
    found = everything()
    assert etsi(found["countersigned"]) == etsi(found["countersigned"])
    assert etsi(found["countersigned"]) != etsi(found["passed"])


def sample() -> list[dict[str, Any]]:
    """Every file of the corpus in the world in which most passes, every tenth in the others, and every seventh of the forged ones."""
    found = []
    for corpus, worlds, step in (("corpus", ("then",), 1), ("corpus", ("bare", "now"), 10), ("forged", (), 7)):
        arguments = [sys.executable, SHARED / "oracle/corpus.py", "jobs", SHARED / corpus, *worlds]
        made = subprocess.run(arguments, capture_output=True, text=True, check=True)
        found += [json.loads(line) for line in made.stdout.splitlines()][::step]
    return found


@needs_shared
@pytest.mark.filterwarnings("ignore")
def test_reports_of_real_files_are_as_the_schema_says() -> None:
    verifier = Verifier(lambda: datetime(2026, 6, 1, tzinfo=UTC), load("eu"))
    count = weak = 0

    def made(question: Question) -> dict[str, Any]:
        nonlocal count, weak
        try:
            verdict = judge(question)
        except KakuinError:
            return {}
        given = (*question.crls, *question.ocsps)
        tree = check(etsi(verdict, document=question.document, timetable=question.policy.timetable, given=given))
        count += 1
        failed = [s for s in verdict.signatures if s.sub_indication in WEAK]
        path = "/v:ValidationReport/v:SignatureValidationReport/v:SignatureValidationStatus//v:CryptoInformation"
        assert len(tree.xpath(path, namespaces=NS)) == len(failed)
        weak += len(failed)
        return {}

    for answer in bulk.answers([json.dumps(job) for job in sample()], verifier, made):
        assert "error" not in answer, (answer["id"], answer["error"])
    assert count > 700
    assert weak > 20
