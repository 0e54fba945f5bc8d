"""Every evidence in every context that the process is held against: free of the verifier's modules, so that a changed one can be asked the same."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from types import ModuleType

from tests.pki import CHECKED, DAY, SIGNED
from tests.stories import FORMATS, LATER, RENEWED, STAMPED, STORIES, Story, come_true
from trust.model import Cert, Claims, Crl, Evidence, Ocsp


@dataclass(frozen=True)
class Situation:
    name: str
    evidence: Evidence
    at: datetime
    anchors: frozenset[Cert]
    policy: str
    given: Sequence[Crl | Ocsp]


def of(story: Story, policy: str | None = None) -> Situation:
    world = come_true(story)
    return Situation(story.name, FORMATS["plain"](world), story.at, world.anchors, policy or story.policy, world.given)


def _own(*tables: str) -> str:
    return "\n".join(('name = "own"', *tables, ""))


@cache
def all_of_them() -> tuple[Situation, ...]:
    named = {s.name: s for s in STORIES}
    sound, basic, timed = named["sound"], named["sound -B, status given"], named["sound -LT"]
    made = [of(story) for story in STORIES]
    here = of(sound)
    anchor = next(iter(here.anchors)).id.hex()
    for sunset in (RENEWED, CHECKED + 30 * DAY, SIGNED - DAY):
        made.append(replace(here, policy=_own("[sunset]", f"{anchor} = {sunset.isoformat()}")))
        made.append(replace(here, at=LATER, policy=_own("[sunset]", f"{anchor} = {sunset.isoformat()}")))
    for hours in (23, 25):
        made.append(of(replace(sound, claimed=SIGNED - DAY), _own("[time]", f"delay_hours = {hours}")))
        made.append(of(replace(basic, at=CHECKED + DAY), _own("[status]", f"max_age_hours = {hours}")))
    now = _own("[status]", 'freshness = "now"', 'embedded = "ignore"')
    made += [
        of(replace(timed, at=LATER), now),
        of(replace(timed, at=LATER, given=(LATER - DAY,)), now),
        of(replace(timed, at=CHECKED + 29 * DAY), now),
    ]
    policy = {"claims": Claims(time=SIGNED, policy="1.2.3")}
    for known in ("1.2.3", "1.2.4"):
        made.append(of(replace(sound, signature=policy), _own("[signature]", 'policy = "fail"', f'policies = ["{known}"]')))
    made.append(of(replace(timed, stamped=(STAMPED, STAMPED + 5 * DAY), at=CHECKED + 20 * DAY)))
    made.append(of(replace(named["renewed before the first unit expired"], archived=(STAMPED,))))
    return tuple(made)


def outcome(process: ModuleType, policy: ModuleType, situation: Situation) -> str:
    """All that the process says, as a text."""
    context = process.Context(
        situation.at,
        situation.anchors,
        policy.load(situation.policy),
        crls=[x for x in situation.given if isinstance(x, Crl)],
        ocsps=[x for x in situation.given if isinstance(x, Ocsp)],
    )
    verdicts = process.validate(situation.evidence, context)
    signatures = [f"{s.indication} {s.sub_indication} {s.best_signature_time}" for s in verdicts.signatures]
    others = [f"{v.indication} {v.sub_indication}" for v in (*verdicts.stamps, *verdicts.records)]
    return f"{situation.name}: {'; '.join(signatures + others)}"
