"""What tests of the journal share."""

from collections.abc import Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any

from trust.errors import KakuinError, Unacceptable
from trust.log.journal import Issuer, Journal
from trust.log.page import Made

AT = datetime(2026, 11, 21, 1, 2, 3, 456_789, tzinfo=UTC)


def issue(journal: Journal, issuer: Issuer, matter: object) -> "Future[tuple[int, int]]":
    """Index and serial."""
    future: Future[tuple[int, int]] = Future()

    def settle(index: int, answer: Any, error: KakuinError | None) -> None:
        future.set_exception(error) if error else future.set_result((index, answer))

    journal.issue(issuer, matter, settle)
    return future


class Counter:
    """An issuer: makes `unit serial matter`; refuses what is called bad, and breaks over what is called broken."""

    kind = "token"

    def __init__(self, unit: str = "unit") -> None:
        self.unit = unit

    def ready(self) -> datetime:
        return AT

    def make(self, first: int, requests: Sequence[Any], at: datetime | None = None) -> list[Made | KakuinError]:
        made: list[Made | KakuinError] = []
        serial = first
        for matter in requests:
            if matter == "broken":
                raise RuntimeError("a fault of ours")
            if matter == "bad" or first < 1:
                made.append(Unacceptable("bad"))
                continue
            made.append(Made(f"{self.unit} {serial} {matter}".encode(), serial))
            serial += 1
        return made
