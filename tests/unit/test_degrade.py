"""Never silently weaker: with the authority or the status service away there is no seal, or the one that the caller said would do, and it says so."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from eseal.claims import Claims
from eseal.service import Finding, Sealed, Sealer, here
from eseal.spec import Level, choose
from tests import pki as office
from tests.pki import SIGNED, Party
from tests.sealing import CSV, blank_pdf, lists
from trust.errors import Unacceptable, Unavailable
from trust.model import Cert, Digest, Document
from trust.ports import Status
from verifier.service import Verifier

PKI = office.pki()
FORMATS = ("cades", "xades", "jades", "asic-e-cades", "asic-s-xades")


@dataclass
class Office:
    """A sealer whose authority and status service come and go, and that checks by our own verifier."""

    authority: bool = True
    service: bool = True
    key: Party = PKI.signer
    recorded: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def stamp(self, imprint: Digest) -> bytes:
        self.asked.append("stamp")
        if not self.authority:
            raise Unavailable("it does not answer")
        return office.stamper(PKI.tsu)(imprint)

    def status(self, _: Sequence[Cert]) -> Status:
        self.asked.append("status")
        if not self.service:
            raise Unavailable("the OCSP responder does not answer")
        return Status(crls=lists(PKI))

    def record(self, _: str, body: bytes) -> int:
        self.recorded.append(json.loads(body))
        return len(self.recorded)

    def check(self, sealed: Document, detached: Sequence[Document], _: bytes) -> Finding:
        verifier = Verifier(lambda: SIGNED + timedelta(minutes=5), anchors=(PKI.root.certificate,))
        verdict = verifier.verify(sealed, detached=detached, crls=lists(PKI))
        return Finding(verdict.conclusion == "passed", verdict.signatures[0].signature.level)

    def seal(self, **asked: Any) -> Sealed:
        sealer = Sealer(lambda _: self.key, self.stamp, self.status, self.record, lambda: SIGNED, self.check, here)
        return sealer.seal(Document.of(CSV, "prices.csv"), choose(CSV, **asked), "1234567890123")


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("level", [Level.B_T, Level.B_LT, Level.B_LTA])
def test_without_an_authority_there_is_no_seal(form: str, level: Level) -> None:
    away = Office(authority=False)
    with pytest.raises(
        Unavailable, match=f"{level} needs a time-stamp and the authority gives none: it does not answer; nothing was sealed; try again"
    ):
        away.seal(format=form, level=level)
    assert away.recorded == []


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("level", [Level.B_LT, Level.B_LTA])
def test_without_status_there_is_no_seal(form: str, level: Level) -> None:
    away = Office(service=False)
    with pytest.raises(Unavailable, match=rf"{level} needs revocation data and there is none: the OCSP responder .*less will do \(B-B, B-T"):
        away.seal(format=form, level=level)
    assert away.recorded == []


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("away", "degrade", "reached"),
    [
        ({"service": False}, "B-T", Level.B_T),
        ({"service": False}, "B-B", Level.B_T),
        ({"authority": False}, "B-B", Level.B_B),
        ({"authority": False, "service": False}, "B-B", Level.B_B),
    ],
    ids=["status-away-B-T", "status-away-B-B", "authority-away", "both-away"],
)
def test_the_highest_level_that_the_caller_lets_be(form: str, away: dict[str, bool], degrade: str, reached: Level) -> None:
    place = Office(**away)
    made = place.seal(format=form, level="B-LTA", degrade=degrade)
    assert (made.spec.level, made.asked, made.degraded) == (reached, Level.B_LTA, True)
    [warning] = made.warnings
    assert warning.startswith(f"sealed at {reached} and not at B-LTA, as degrade allows: B-LTA needs ")
    [entry] = place.recorded
    assert (entry["level"], entry["asked"]) == (reached, "B-LTA")


def test_what_is_there_is_not_lowered() -> None:
    place = Office()
    made = place.seal(level="B-LTA", degrade="B-B")
    assert (made.spec.level, made.degraded, made.warnings) == (Level.B_LTA, False, ())
    assert "asked" not in place.recorded[0]
    assert place.seal(level="B-T").asked is Level.B_T


def test_below_what_the_caller_lets_be_there_is_no_seal() -> None:
    place = Office(authority=False)
    with pytest.raises(Unavailable, match=r"B-T needs a time-stamp .*less will do \(B-B\)"):
        place.seal(level="B-LTA", degrade="B-T")
    assert place.recorded == []


def test_a_time_stamp_that_is_signed_with_the_document_is_not_left_out() -> None:
    place = Office(authority=False)
    with pytest.raises(Unavailable, match=r"the authority gives none: it does not answer; nothing was sealed; try again later$"):
        place.seal(level="B-T", degrade="B-B", claims=Claims(content_timestamp=True))
    assert place.recorded == []


def test_a_key_that_is_away_lowers_nothing() -> None:
    place = Office()

    class Away(Party):
        def sign(self, data: bytes) -> bytes:
            raise Unavailable("token 'first': DeviceRemoved")

    place.key = Away(PKI.signer.certificate, PKI.signer.chain, PKI.signer.algorithm, None)
    with pytest.raises(Unavailable, match=r"^token 'first': DeviceRemoved$"):
        place.seal(level="B-LTA", degrade="B-B")
    assert place.asked == [] and place.recorded == []


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"level": "B-T", "degrade": "B-T"}, "degrade is a level below B-T: B-B, got B-T"),
        ({"level": "B-T", "degrade": "B-LTA"}, "degrade is a level below B-T: B-B, got B-LTA"),
        ({"level": "B-B", "degrade": "B-B"}, "degrade is a level below B-B: there is none, got B-B"),
        ({"level": "B-T", "degrade": "less"}, "no level has that name"),
    ],
)
def test_degrade_is_a_level_below(asked: dict[str, str], message: str) -> None:
    with pytest.raises(Unacceptable, match=message):
        choose(CSV, **asked)  # type: ignore[arg-type]


@pytest.mark.parametrize("digest", ["sha384", "sha3-256"])
@pytest.mark.parametrize("form", ["cades", "xades"])
def test_the_digest_that_was_asked_for_is_that_of_signature_and_content(form: str, digest: str) -> None:
    made = Office().seal(format=form, level="B-B", digest=digest)
    found = Verifier(lambda: SIGNED + timedelta(minutes=5)).verify(made.document, detached=(Document.of(CSV, "prices.csv"),)).signatures[0]
    name = digest.replace("-", "_")
    assert found.signature.algorithm is not None and found.signature.algorithm.digest == name
    assert {r.digest.algorithm for r in found.signature.references if r.digest} == {name}


def test_a_key_whose_days_are_counted_warns() -> None:
    place = Office(key=office.signer(PKI.ca, key="rsa3072"))
    assert place.seal(level="B-B").warnings == (
        "verifiers refuse RSA PKCS#1 v1.5 with 3072 bits from 2029-01-01 on (ETSI TS 119 312): give the organisation another key",
    )


def test_large_tokens_before_and_after_the_signature_find_room_in_a_pdf() -> None:
    """The two before the archive's are asked for twice: how long they are is known after the first time."""
    large = office.unit(PKI.ca, key="ml-dsa-65")
    asked: list[Digest] = []

    class Large(Office):
        def stamp(self, imprint: Digest) -> bytes:
            asked.append(imprint)
            return office.token(large, imprint)

        def seal(self, **asked: Any) -> Sealed:
            sealer = Sealer(lambda _: self.key, self.stamp, self.status, self.record, lambda: SIGNED, self.check, here)
            return sealer.seal(Document.of(blank_pdf(), "a.pdf"), choose(b"%PDF-", **asked), "1234567890123")

    made = Large().seal(level="B-LTA", claims=Claims(content_timestamp=True))
    assert len(made.draft.stamps) == 3 and len(asked) == 5
