"""The verdict for the whole file: what a reader may rely on, not only what a key signed."""

from dataclasses import replace

import pytest

from tests.stories import FORMATS, STORIES, come_true, fatal
from trust.model import Evidence, StampKind, Uncovered
from verifier.conclusion import conclude
from verifier.policy import load
from verifier.process import Context, Verdicts, validate
from verifier.verdict import EXIT_CODE, Conclusion, Indication, SubIndication, Verdict

WORLD = come_true(next(s for s in STORIES if s.name == "with an evidence record"))
CONTEXT = Context(WORLD.story.at, WORLD.anchors, load("strict"))
EVIDENCE = FORMATS["plain"](WORLD)
SOUND = validate(EVIDENCE, CONTEXT)
BROKEN = {"indication": Indication.FAILED, "sub_indication": SubIndication.HASH_FAILURE}
UNSURE = {"indication": Indication.INDETERMINATE, "sub_indication": SubIndication.TRY_LATER}


def concluded(verdicts: Verdicts = SOUND, evidence: Evidence = EVIDENCE) -> Verdict:
    return conclude(evidence, verdicts, CONTEXT)


def codes(verdict: Verdict) -> list[str]:
    return [r.code for r in verdict.reasons]


def alone(kind: StampKind) -> Verdicts:
    """Nothing but a stamp of that kind."""
    stamp = SOUND.stamps[0]
    return Verdicts((), (replace(stamp, stamp=replace(stamp.stamp, kind=kind)),), ())


def test_everything_passes() -> None:
    verdict = concluded()
    assert (verdict.conclusion, verdict.reasons) == (Conclusion.PASSED, ())
    assert (verdict.policy, verdict.validation_time) == ("strict", CONTEXT.time)
    assert (verdict.signatures, verdict.stamps, verdict.records) == SOUND
    assert verdict.evidence is EVIDENCE


def test_nothing_is_signed() -> None:
    verdict = concluded(Verdicts((), (), ()), Evidence("PDF"))
    assert (verdict.conclusion, codes(verdict)) == (Conclusion.NOTHING_SIGNED, ["nothing-signed"])


def test_nothing_is_signed_and_the_file_is_broken() -> None:
    verdict = concluded(Verdicts((), (), ()), Evidence("ASiC-E", defects=fatal("two mimetypes")))
    assert (verdict.conclusion, codes(verdict)) == (Conclusion.NOTHING_SIGNED, ["nothing-signed", "malformed"])


@pytest.mark.parametrize(
    ("change", "conclusion", "code"),
    [
        (BROKEN, Conclusion.FAILED, "signature-failed"),
        (UNSURE, Conclusion.INDETERMINATE, "signature-indeterminate"),
    ],
)
def test_one_signature_among_sound_ones(change: dict[str, object], conclusion: Conclusion, code: str) -> None:
    one = SOUND.signatures[0]
    other = replace(one, **change)  # type: ignore[arg-type]
    for order in ((one, other), (other, one)):
        verdict = concluded(SOUND._replace(signatures=order))
        assert (verdict.conclusion, codes(verdict)) == (conclusion, [code])
        assert verdict.reasons[0].detail == other.sub_indication


def test_a_countersignature_counts_as_a_signature() -> None:
    one = SOUND.signatures[0]
    counter = replace(one, signature=replace(one.signature, countersigns=one.signature.id), **BROKEN)  # type: ignore[arg-type]
    assert concluded(SOUND._replace(signatures=(one, counter))).conclusion is Conclusion.FAILED


def test_failed_goes_before_indeterminate_and_both_are_told() -> None:
    one = SOUND.signatures[0]
    verdict = concluded(SOUND._replace(signatures=(replace(one, **UNSURE), replace(one, **BROKEN))))  # type: ignore[arg-type]
    assert (verdict.conclusion, codes(verdict)) == (Conclusion.FAILED, ["signature-failed", "signature-indeterminate"])


def test_what_nothing_covers_is_never_a_pass() -> None:
    evidence = replace(EVIDENCE, uncovered=(Uncovered("page 2", "changed after the last signature"),))
    verdict = concluded(evidence=evidence)
    assert (verdict.conclusion, codes(verdict)) == (Conclusion.FAILED, ["not-covered"])
    assert (verdict.reasons[0].subject, verdict.reasons[0].detail) == ("page 2", "changed after the last signature")


def test_what_is_permitted_is_a_remark() -> None:
    evidence = replace(EVIDENCE, uncovered=(Uncovered("/form/Total", "filled in, as the signer allows", grave=False),))
    verdict = concluded(evidence=evidence)
    assert (verdict.conclusion, codes(verdict)) == (Conclusion.PASSED, ["permitted-change"])


def test_what_nothing_covers_beside_a_stamp_or_a_record() -> None:
    evidence = replace(EVIDENCE, uncovered=(Uncovered("note.txt", "no manifest names it"),))
    assert concluded(alone(StampKind.CONTAINER), evidence).conclusion is Conclusion.FAILED
    assert concluded(Verdicts((), (), SOUND.records), evidence).conclusion is Conclusion.FAILED


@pytest.mark.parametrize("kind", [StampKind.STANDALONE, StampKind.CONTAINER, StampKind.DOCUMENT])
def test_a_document_with_nothing_but_a_stamp(kind: StampKind) -> None:
    sound = alone(kind)
    assert concluded(sound).conclusion is Conclusion.PASSED
    for change, conclusion, code in ((BROKEN, Conclusion.FAILED, "stamp-failed"), (UNSURE, Conclusion.INDETERMINATE, "stamp-indeterminate")):
        verdict = concluded(sound._replace(stamps=(replace(sound.stamps[0], **change),)))  # type: ignore[arg-type]
        assert (verdict.conclusion, codes(verdict)) == (conclusion, [code])


def test_of_two_stamps_alone_both_must_pass() -> None:
    sound = alone(StampKind.CONTAINER)
    both = (sound.stamps[0], replace(sound.stamps[0], **UNSURE))  # type: ignore[arg-type]
    assert concluded(sound._replace(stamps=both)).conclusion is Conclusion.INDETERMINATE


def test_a_document_with_nothing_but_a_record() -> None:
    (record,) = SOUND.records
    assert concluded(Verdicts((), SOUND.stamps, (record,))).conclusion is Conclusion.PASSED
    for change, conclusion, code in ((BROKEN, Conclusion.FAILED, "record-failed"), (UNSURE, Conclusion.INDETERMINATE, "record-indeterminate")):
        verdict = concluded(Verdicts((), (), (replace(record, **change),)))  # type: ignore[arg-type]
        assert (verdict.conclusion, codes(verdict)) == (conclusion, [code])


def test_a_stamp_inside_of_a_signature_takes_nothing_from_it() -> None:
    for change in (BROKEN, UNSURE):
        stamps = (replace(SOUND.stamps[0], **change), *SOUND.stamps[1:])  # type: ignore[arg-type]
        verdict = concluded(SOUND._replace(stamps=stamps))
        assert (verdict.conclusion, codes(verdict)) == (Conclusion.PASSED, ["stamp-not-valid"])


def test_a_stamp_over_the_document_that_failed_is_never_a_pass() -> None:
    stamp = SOUND.stamps[0]
    document = replace(stamp, stamp=replace(stamp.stamp, kind=StampKind.DOCUMENT, of=None))
    assert concluded(SOUND._replace(stamps=(replace(document, **BROKEN),))).conclusion is Conclusion.FAILED  # type: ignore[arg-type]
    verdict = concluded(SOUND._replace(stamps=(replace(document, **UNSURE),)))  # type: ignore[arg-type]
    assert (verdict.conclusion, codes(verdict)) == (Conclusion.PASSED, ["stamp-not-valid"])


def test_a_record_beside_a_signature() -> None:
    (record,) = SOUND.records
    assert concluded(SOUND._replace(records=(replace(record, **BROKEN),))).conclusion is Conclusion.FAILED  # type: ignore[arg-type]
    verdict = concluded(SOUND._replace(records=(replace(record, **UNSURE),)))  # type: ignore[arg-type]
    assert (verdict.conclusion, codes(verdict)) == (Conclusion.PASSED, ["record-not-valid"])


def test_a_defect_of_the_file_is_told_by_its_signatures() -> None:
    evidence = replace(EVIDENCE, defects=fatal("two mimetypes"))
    verdicts = validate(evidence, CONTEXT)
    verdict = conclude(evidence, verdicts, CONTEXT)
    assert verdict.conclusion is Conclusion.FAILED
    assert verdict.signatures[0].sub_indication is SubIndication.FORMAT_FAILURE
    assert "malformed" not in codes(verdict)


def test_the_defect_of_a_file_with_only_a_record() -> None:
    evidence = replace(EVIDENCE, signatures=(), stamps=(), defects=fatal("two mimetypes"))
    verdict = concluded(Verdicts((), (), SOUND.records), evidence)
    assert (verdict.conclusion, codes(verdict)) == (Conclusion.FAILED, ["malformed"])


def test_every_conclusion_has_its_exit_code() -> None:
    assert EXIT_CODE == {Conclusion.PASSED: 0, Conclusion.FAILED: 1, Conclusion.INDETERMINATE: 3, Conclusion.NOTHING_SIGNED: 4}
