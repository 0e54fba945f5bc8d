"""What tests of the journal share."""

from concurrent.futures import Future
from typing import Any

from trust.errors import KakuinError
from trust.log.journal import Issuer, Journal


def issue(journal: Journal, issuer: Issuer, matter: object) -> "Future[tuple[int, int]]":
    """Index and serial."""
    future: Future[tuple[int, int]] = Future()

    def settle(index: int, answer: Any, error: KakuinError | None) -> None:
        future.set_exception(error) if error else future.set_result((index, answer))

    journal.issue(issuer, matter, settle)
    return future
