"""The trace of requirements: what was asked, by which clause, and with what outcome. It is the detailed report."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

from verifier.policy import Level
from verifier.verdict import Indication, Step, SubIndication

FAILING = frozenset(
    {
        SubIndication.FORMAT_FAILURE,
        SubIndication.HASH_FAILURE,
        SubIndication.SIG_CRYPTO_FAILURE,
        SubIndication.REVOKED,
        SubIndication.EXPIRED,
        SubIndication.NOT_YET_VALID,
    }
)
"""EN 319 102-1 table 5: these conclude FAILED; every other sub-indication INDETERMINATE."""


@dataclass(frozen=True, slots=True)
class Status:
    """What a building block concludes."""

    indication: Indication
    sub_indication: SubIndication | None = None

    @classmethod
    def of(cls, sub_indication: SubIndication | None) -> "Status":
        if sub_indication is None:
            return PASSED
        return cls(Indication.FAILED if sub_indication in FAILING else Indication.INDETERMINATE, sub_indication)

    @property
    def passed(self) -> bool:
        return self.indication is Indication.PASSED


PASSED = Status(Indication.PASSED)


class Concluded(Exception):
    """A requirement was not met: the building block ends with this status. Never leaves the process."""

    def __init__(self, status: Status) -> None:
        super().__init__(str(status))
        self.status = status


@functools.lru_cache(maxsize=4096)
def _met(clause: str, what: str, about: str) -> Step:
    """Most requirements are met, and most files meet the same."""
    return Step(clause, what, True, about=about)


class Trace:
    """The steps of one validation, in the order in which they were taken."""

    def __init__(self, about: str = "") -> None:
        self.about = about
        self.steps: list[Step] = []
        self.warnings: list[str] = []

    def require(self, ok: bool, clause: str, sub_indication: SubIndication, what: str, level: Level = Level.FAIL) -> None:
        """Note the requirement; one that is not met and that the policy insists on concludes the block."""
        if ok:  # most are: a token's verdict is sixteen of these
            self.steps.append(_met(clause, what, self.about))
        elif not self.note(ok, clause, sub_indication, what, level):
            raise Concluded(Status.of(sub_indication))

    def note(self, ok: bool, clause: str, sub_indication: SubIndication | None, what: str, level: Level = Level.FAIL) -> bool:
        """Note the requirement, and whether to go on: it is met, or the policy does not insist."""
        if level is Level.IGNORE and not ok:
            return True
        if ok:
            self.steps.append(_met(clause, what, self.about))
            return True
        if level is Level.WARN:
            self.steps.append(Step(clause, what, False, about=self.about))
            self.warnings.append(f"{self.about}: {what} ({clause})" if self.about else f"{what} ({clause})")
            return True
        status = Status.of(sub_indication)
        self.steps.append(Step(clause, what, False, status.indication, status.sub_indication, self.about))
        return False

    def conclude(self, clause: str, what: str, status: Status) -> None:
        """The conclusion of a block, for the report."""
        self.steps.append(Step(clause, what, status.passed, status.indication, status.sub_indication, self.about))


def run(block: Callable[[], None]) -> Status:
    """The status of a building block: PASSED unless a requirement concluded it."""
    try:
        block()
    except Concluded as done:
        return done.status
    return PASSED
