"""EN 319 102-1 by stories: each is a file's whole life, and the verdict that a clause demands."""

import random
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from tests import pki, stories
from tests.pki import CHECKED, DAY, SIGNED
from tests.stories import DECADES, FORMATS, LATER, RENEWED, STORIES, Story, come_true
from trust.errors import Malformed
from trust.model import Cert, Crl, Evidence, Ocsp, StampKind, identify
from verifier.conclusion import conclude
from verifier.policy import load
from verifier.process import Context, Verdicts, validate
from verifier.process.context import Moment
from verifier.process.trace import FAILING
from verifier.revocation import crl_facts
from verifier.verdict import Indication, SubIndication
from verifier.want import wants


def context_of(world: stories.World) -> Context:
    given: Sequence[Crl | Ocsp] = world.given
    return Context(
        world.story.at,
        world.anchors,
        load(world.story.policy),
        crls=[x for x in given if isinstance(x, Crl)],
        ocsps=[x for x in given if isinstance(x, Ocsp)],
    )


def told(story: Story, format_: str = "plain") -> tuple[Evidence, Verdicts]:
    world = come_true(story)
    evidence = FORMATS[format_](world)
    return evidence, validate(evidence, context_of(world))


def named(name: str) -> Story:
    return next(s for s in STORIES if s.name == name)


@pytest.mark.parametrize(("format_", "story"), [(f, s) for s in STORIES for f in FORMATS if s.tellable(f)], ids=lambda x: getattr(x, "name", x))
def test_story(format_: str, story: Story) -> None:
    _, verdicts = told(story, format_)
    signature = verdicts.signatures[0]
    assert signature.sub_indication == story.verdict, [s for s in signature.trace if not s.ok]
    wanted = Indication.PASSED if story.verdict is None else Indication.FAILED if story.verdict in FAILING else Indication.INDETERMINATE
    assert signature.indication is wanted


@pytest.mark.parametrize("story", STORIES, ids=lambda s: s.name)
def test_what_is_remembered_between_times_changes_no_verdict(story: Story) -> None:
    """A thousand questions at a thousand times share what does not change between them: each answer is that of one who remembers nothing."""
    world = come_true(story)
    evidence = FORMATS["plain"](world)
    remembering = context_of(world)
    turns = {story.at, LATER, RENEWED, DECADES, *world_turns(evidence, remembering)}
    times = sorted({at + step for at in turns for step in (timedelta(0), -timedelta.resolution, timedelta.resolution)})
    random.Random(story.name).shuffle(times)
    for at in (*times, *times[:5]):
        assert validate(evidence, remembering.at(at)) == validate(evidence, replace(context_of(world), time=at)), at


def world_turns(evidence: Evidence, context: Context) -> set[datetime]:
    """Times at which something in this world begins or ends."""
    certs = {*evidence.certs, *context.anchors, *(s.signer for s in evidence.signatures if s.signer is not None)}
    found = {time for cert in certs for time in (cert.not_before, cert.not_after)}
    for one in (*evidence.crls, *(c for c in context.crls if isinstance(c, Crl))):
        found |= {crl_facts(one).this_update + timedelta(hours=hours) for hours in (0, 24)}
        found |= {entry.revocation_date_utc for entry in x509.load_der_x509_crl(one.der)}
    return found


def test_a_moment_tells_how_far_its_answers_go() -> None:
    at, day = CHECKED, timedelta(days=1)
    moment = Moment(at)
    assert moment.reaches(at)
    assert not moment.passes(at)
    assert (moment.since, moment.until) == (at, at + timedelta.resolution)
    moment = Moment(at)
    assert [moment.reaches(at - day), moment.passes(at - 2 * day), moment.reaches(at + 3 * day), moment.passes(at + 2 * day)] == [
        True,
        True,
        False,
        False,
    ]
    assert (moment.since, moment.until) == (at - day, at + 2 * day + timedelta.resolution)
    assert not moment.passes(datetime.max.replace(tzinfo=UTC))
    inside, outside = Moment(at), Moment(at + 3 * day)
    assert inside.within(moment.since, moment.until)
    assert (inside.since, inside.until) == (moment.since, moment.until)  # what rests on it goes no further
    assert not outside.within(moment.since, moment.until)
    assert not Moment(moment.until).within(moment.since, moment.until)
    assert Moment(moment.since).within(moment.since, moment.until)


def test_names_of_stories_are_unique() -> None:
    assert len({s.name for s in STORIES}) == len(STORIES)


def test_an_old_file_is_valid_by_its_renewal_alone() -> None:
    """The signer and the first unit have expired: with the renewal it passes at its first stamp's time, without it it does not."""
    _, renewed = told(named("renewed before the first unit expired"))
    assert renewed.signatures[0].indication is Indication.PASSED
    assert renewed.signatures[0].best_signature_time == stories.STAMPED
    assert [s.indication for s in renewed.stamps] == [Indication.PASSED] * 3
    _, bare = told(named("not renewed"))
    assert bare.signatures[0].indication is Indication.INDETERMINATE
    assert bare.signatures[0].best_signature_time == DECADES


def test_best_signature_time_is_the_earliest_valid_stamp() -> None:
    _, verdicts = told(replace(named("sound"), stamped=(stories.STAMPED + 5 * DAY, stories.STAMPED), archived=(), at=CHECKED + 6 * DAY))
    assert verdicts.signatures[0].best_signature_time == stories.STAMPED


def test_without_a_stamp_the_best_signature_time_is_now() -> None:
    _, verdicts = told(named("sound -B, status given"))
    assert verdicts.signatures[0].best_signature_time == CHECKED + DAY


def test_a_broken_stamp_proves_nothing() -> None:
    _, verdicts = told(named("the stamp's imprint does not match"))
    assert verdicts.stamps[0].sub_indication is SubIndication.HASH_FAILURE
    assert not verdicts.stamps[0].intact
    assert verdicts.signatures[0].best_signature_time == LATER


def test_stamp_verdicts_name_their_fault() -> None:
    faults = {
        "the unit is of another root": SubIndication.NO_CERTIFICATE_CHAIN_FOUND,
        "the unit is no unit": SubIndication.CHAIN_CONSTRAINTS_FAILURE,
        "the unit's purpose is not critical": SubIndication.CHAIN_CONSTRAINTS_FAILURE,
        "the unit is an authority": SubIndication.CHAIN_CONSTRAINTS_FAILURE,
        "the unit revoked for compromise": SubIndication.REVOKED_NO_POE,
        "the unit was not valid when it stamped": SubIndication.NOT_YET_VALID,
    }
    for name, sub in faults.items():
        _, verdicts = told(replace(named(name), given=(LATER - DAY,)))
        assert verdicts.stamps[0].sub_indication is sub, name


def test_the_chain_is_told_with_its_status() -> None:
    _, verdicts = told(named("sound"))
    links = verdicts.signatures[0].chain
    assert [link.cert.name for link in links] == ["Example Seal", "Example Issuing CA", "Example Root CA"]
    assert [link.trusted for link in links] == [False, False, True]
    assert links[0].revocation == "good, CRL of 2025-03-02"
    assert links[2].revocation == "not needed"
    _, revoked = told(named("revoked before signing"))
    assert revoked.signatures[0].chain[0].revocation == "revoked 2025-02-28 (unspecified), CRL of 2025-03-02"
    _, none = told(named("no status of the signer"))
    assert none.signatures[0].chain[0].revocation == "not checked"


def test_a_failed_requirement_stands_in_the_trace_with_its_clause() -> None:
    _, verdicts = told(named("the document was changed"))
    failed = [s for s in verdicts.signatures[0].trace if s.sub_indication is SubIndication.HASH_FAILURE]
    assert [s.clause for s in failed] == ["5.2.7"]
    assert not verdicts.signatures[0].intact
    assert verdicts.signatures[0].value_intact


def test_a_warning_is_no_failure_and_is_told() -> None:
    _, verdicts = told(named("a key for encipherment, eu"))
    assert verdicts.signatures[0].indication is Indication.PASSED
    assert any("key usage" in warning for warning in verdicts.signatures[0].warnings)


def test_record_verdicts() -> None:
    _, sound = told(named("an evidence record outlives everything"))
    assert sound.records[0].indication is Indication.PASSED
    _, changed = told(named("the record's data was changed"))
    assert changed.records[0].sub_indication is SubIndication.HASH_FAILURE
    _, missing = told(named("a token of the record is missing"))
    assert missing.records[0].sub_indication is SubIndication.FORMAT_FAILURE
    _, old = told(named("the record was not renewed"))
    assert old.records[0].sub_indication is SubIndication.OUT_OF_BOUNDS_NOT_REVOKED


def test_a_record_whose_data_is_missing_or_changed_proves_nothing() -> None:
    story = named("an evidence record outlives everything")
    for found, sub in ((True, SubIndication.HASH_FAILURE), (False, SubIndication.SIGNED_DATA_NOT_FOUND)):
        world = come_true(story)
        evidence = FORMATS["plain"](world)
        reference = replace(evidence.records[0].references[0], found=found, intact=False)
        broken = replace(evidence, records=(replace(evidence.records[0], references=(reference,)),))
        verdicts = validate(broken, context_of(world))
        assert verdicts.records[0].sub_indication is sub
        assert verdicts.signatures[0].indication is Indication.INDETERMINATE


def test_a_countersignature_has_rules_of_its_own() -> None:
    """eu: RevocationIssuerNotExpired is not asked of countersignatures."""
    story = replace(named("sound"), policy="eu", ocsp="sound", list_signer=False, archived=(), stamped=(), at=LATER - 400 * DAY)
    world = come_true(story)
    evidence = FORMATS["plain"](world)
    counter = replace(evidence.signatures[0], countersigns=identify(b"master"))
    verdicts = validate(replace(evidence, signatures=(counter,)), context_of(world))
    assert verdicts.signatures[0].indication is Indication.PASSED


def test_the_same_evidence_has_the_same_verdict() -> None:
    world = come_true(named("renewed before the first unit expired"))
    evidence = FORMATS["plain"](world)
    assert validate(evidence, context_of(world)) == validate(evidence, context_of(world))


def test_a_time_without_zone_is_refused() -> None:
    world = come_true(named("sound"))
    with pytest.raises(Malformed, match="zone"):
        validate(FORMATS["plain"](world), replace(context_of(world), time=datetime(2025, 3, 3)))


def test_nothing_signed_has_no_verdicts() -> None:
    world = come_true(named("sound"))
    assert validate(Evidence("PDF"), context_of(world)) == Verdicts((), (), ())


def test_an_anchor_that_signs_itself_needs_no_status() -> None:
    alone = pki.certify("Alone", None, ca=False)
    world = replace(come_true(replace(named("sound -B, status given"))), signer=alone, anchors=frozenset({alone.certificate}), carried=(), given=())
    verdicts = validate(FORMATS["plain"](world), context_of(world))
    assert verdicts.signatures[0].indication is Indication.PASSED


def test_an_anchor_serves_only_the_purposes_that_the_policy_gives_it() -> None:
    world = come_true(named("sound"))
    fingerprint = next(iter(world.anchors)).id.hex()
    for field, refused in (("signer", True), ("unit", False)):
        policy = load(f'name = "own"\n[{field}]\nanchors = ["{"0" * 64}"]\n')
        verdict = validate(FORMATS["plain"](world), replace(context_of(world), policy=policy)).signatures[0]
        assert (verdict.sub_indication is SubIndication.NO_CERTIFICATE_CHAIN_FOUND) is refused, field
    policy = load(f'name = "own"\n[signer]\nanchors = ["{fingerprint.upper()}"]\n')
    assert validate(FORMATS["plain"](world), replace(context_of(world), policy=policy)).signatures[0].indication is Indication.PASSED


def test_an_anchor_after_its_sunset() -> None:
    """Clause 5.2.6.4 step 1 a): what was proved before the sunset stands, what is new does not."""
    world = come_true(named("sound"))
    fingerprint = next(iter(world.anchors)).id.hex()
    for sunset, wanted in ((RENEWED, None), (SIGNED - DAY, SubIndication.NO_CERTIFICATE_CHAIN_FOUND_NO_POE)):
        policy = load(f'name = "own"\n[sunset]\n{fingerprint} = {sunset.isoformat()}\n')
        verdict = validate(FORMATS["plain"](world), replace(context_of(world), policy=policy)).signatures[0]
        assert verdict.sub_indication is wanted


def test_freshness_now_asks_for_status_of_today() -> None:
    policy = 'name = "own"\n[status]\nfreshness = "now"\nembedded = "ignore"\n'
    world = come_true(replace(named("sound -LT"), at=LATER))
    old = validate(FORMATS["plain"](world), replace(context_of(world), policy=load(policy)))
    assert old.stamps[0].sub_indication is SubIndication.TRY_LATER
    world = come_true(replace(named("sound -LT"), at=LATER, given=(LATER - DAY,)))
    fresh = validate(FORMATS["plain"](world), replace(context_of(world), policy=load(policy)))
    assert fresh.stamps[0].indication is Indication.PASSED


def test_status_may_be_no_older_than_the_policy_says() -> None:
    world = come_true(replace(named("sound -B, status given"), at=CHECKED + 3 * DAY))
    for hours, sub in ((24, SubIndication.TRY_LATER), (96, None)):
        policy = load(f'name = "own"\n[status]\nmax_age_hours = {hours}\n')
        verdict = validate(FORMATS["plain"](world), replace(context_of(world), policy=policy)).signatures[0]
        assert verdict.sub_indication is sub


def test_a_stamp_that_came_too_late_for_the_policy() -> None:
    """Clause 5.5.4 step 5."""
    world = come_true(replace(named("sound"), claimed=SIGNED - DAY))
    for hours, sub in ((23, SubIndication.SIG_CONSTRAINTS_FAILURE), (25, None)):
        policy = load(f'name = "own"\n[time]\ndelay_hours = {hours}\n')
        verdict = validate(FORMATS["plain"](world), replace(context_of(world), policy=policy)).signatures[0]
        assert verdict.sub_indication is sub


def test_an_explicit_signature_policy_must_be_known_where_the_policy_says_so() -> None:
    story = replace(named("sound"), signature={"claims": replace(stories.Claims(time=SIGNED), policy="1.2.3")})
    world = come_true(story)
    for known, sub in (("1.2.4", SubIndication.SIGNATURE_POLICY_NOT_AVAILABLE), ("1.2.3", None)):
        policy = load(f'name = "own"\n[signature]\npolicy = "fail"\npolicies = ["{known}"]\n')
        verdict = validate(FORMATS["plain"](world), replace(context_of(world), policy=policy)).signatures[0]
        assert verdict.sub_indication is sub


def test_forecasts_of_the_catalogue_are_a_matter_of_policy() -> None:
    """RSA PKCS#1 v1.5 ends with 2028 in TS 119 312 of 2024: strict holds to it, eu warns."""
    story = Story("rsa", "TS 119 312", None, signer={"key": "rsa3072", "not_after": DECADES}, stamped=(), archived=(), status=(),
                  given=(RENEWED,), at=RENEWED + DAY)  # fmt: skip
    for policy, sub in (("strict", SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE), ("eu", None)):
        _, verdicts = told(replace(story, policy=policy))
        assert verdicts.signatures[0].sub_indication is sub


def crowd(evidence: Evidence, count: int) -> Evidence:
    """So many signatures of one signer, each with stamps of its own."""
    signatures, stamps = [], []
    one = evidence.signatures[0]
    for n in range(count):
        own = identify(n.to_bytes(4, "big"))
        signatures.append(replace(one, id=own))
        for stamp in evidence.stamps:
            token = replace(stamp.token, id=identify(stamp.token.id + own))
            stamps.append(replace(stamp, of=own, covers=(stamp.covers - {one.id}) | {own}, token=token))
    return replace(evidence, signatures=tuple(signatures), stamps=tuple(stamps))


def test_many_signatures_take_time_in_proportion() -> None:
    """Hostile files hold as many as they like: no signature may look at every other's stamps."""
    world = come_true(named("sound -LT"))
    evidence = FORMATS["plain"](world)
    took = []
    for count in (200, 1600):
        many = crowd(evidence, count)
        start = time.process_time()
        verdicts = validate(many, context_of(world))
        took.append(time.process_time() - start)
        assert all(s.indication is Indication.PASSED for s in verdicts.signatures)
        assert len(verdicts.signatures) == len(verdicts.stamps) == count
    assert took[1] < 30 * took[0]


def test_whatever_the_bytes_there_is_a_verdict() -> None:
    """Certificates, lists and answers with changed bytes: refused or not, never an error; and the sound file passes beside them."""
    chance = random.Random(20260601)

    def changed(data: bytes) -> bytes:
        made = bytearray(data)
        for _ in range(chance.choice((1, 1, 2, 5))):
            at = chance.randrange(len(made))
            match chance.randrange(3):
                case 0:
                    made[at] ^= 1 << chance.randrange(8)
                case 1:
                    del made[at : at + chance.randrange(1, 9)]
                case _:
                    made[at:at] = chance.randbytes(chance.randrange(1, 5))
            made = made or bytearray(b"0")
        return bytes(made)

    worlds = [
        come_true(named(name)) for name in ("sound", "status by OCSP of a delegate", "a name outside its authority's", "revoked after stamping")
    ]
    for _ in range(400):
        world = chance.choice(worlds)
        evidence = FORMATS["plain"](world)
        certs = {c: Cert(changed(c.der)) if chance.random() < 0.3 else c for c in evidence.certs}
        signature = replace(evidence.signatures[0], signer=certs[world.signer.certificate])
        damaged = replace(
            evidence,
            signatures=(signature,),
            certs=frozenset(certs.values()),
            crls=frozenset(Crl(changed(c.der)) if chance.random() < 0.3 else c for c in evidence.crls),
            ocsps=frozenset(Ocsp(changed(o.der)) if chance.random() < 0.3 else o for o in evidence.ocsps),
        )
        context = replace(context_of(world), policy=load(chance.choice(("strict", "eu"))))
        verdicts = validate(damaged, context)
        if signature.signer != world.signer.certificate:
            assert verdicts.signatures[0].indication is not Indication.PASSED
        wants(damaged, context)
        conclude(damaged, verdicts, context)


def test_stamps_of_one_second_are_taken_outermost_first() -> None:
    story = replace(named("renewed before the first unit expired"), archived=(stories.STAMPED,))
    _, verdicts = told(story)
    assert verdicts.signatures[0].indication is Indication.PASSED
    assert [s.stamp.kind for s in verdicts.stamps] == [StampKind.SIGNATURE, StampKind.ARCHIVE, StampKind.ARCHIVE]
