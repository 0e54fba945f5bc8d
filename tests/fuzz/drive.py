"""The project's own driver: mutants of the seeds, and of mutants, in an order that a number decides."""

import time
from collections.abc import Iterator
from itertools import count
from random import Random

from tests.fuzz.limits import Finding, tried
from tests.fuzz.targets import Target


def mutants(target: Target, number: int) -> Iterator[bytes]:
    """Without end: first the seeds themselves, then one to three changes on top of one another."""
    found = target.seeds()
    if not found:
        raise LookupError("no seeds: the corpora are not here")
    random = Random(number)
    if number == 0:
        yield from found
    while True:
        data = random.choice(found)
        for _ in range(random.choice((1, 1, 1, 2, 3))):
            if not data:
                break
            data = random.choice(target.mutations)(random, data, found)
        yield data


def driven(target: Target, number: int, inputs: int | None = None, seconds: float | None = None) -> tuple[int, dict[str, Finding]]:
    """(executions, findings by fault: the smallest input of each)."""
    until = None if seconds is None else time.monotonic() + seconds
    findings: dict[str, Finding] = {}
    for done, data in zip(count(), mutants(target, number), strict=False):
        if (inputs is not None and done >= inputs) or (until is not None and time.monotonic() > until):
            return done, findings
        found = tried(target.run, data, target.refuses)
        if found and (found.what not in findings or len(found.data) < len(findings[found.what].data)):
            findings[found.what] = found
    raise AssertionError
