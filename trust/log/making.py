"""What a batch asks of issuers, made outside of the transaction that records it: for serials that were taken before (`trust.log.turns`). Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from trust.errors import KakuinError
from trust.log.page import Issuer, Made, Request, grouped
from trust.log.turns import Turn


@dataclass(frozen=True, slots=True)
class Making:
    """What an issuer made of its requests, from the serial `first` on."""

    issuer: Issuer
    requests: list[Request]
    first: int
    outcomes: Sequence[Made | KakuinError]


def split(batch: list[Request]) -> tuple[list[Request], list[tuple[Issuer, list[Request]]]]:
    """Plain entries, and requests by issuer."""
    plain: list[Request] = []
    asked: list[tuple[Issuer, list[Request]]] = []
    for issuer, requests in grouped(batch):
        if issuer is None:
            plain += requests
        else:
            asked.append((issuer, requests))
    return plain, asked


def counted(asked: Sequence[tuple[Issuer, list[Request]]]) -> dict[str, int]:
    """How many serials of each unit; two issuers may work for one, while a unit is opened anew."""
    wanted: dict[str, int] = {}
    for issuer, requests in asked:
        wanted[issuer.unit] = wanted.get(issuer.unit, 0) + len(requests)
    return wanted


def clocks(asked: Sequence[tuple[Issuer, list[Request]]]) -> Mapping[str, Callable[[], datetime]]:
    """The clock of each unit."""
    return {issuer.unit: issuer.ready for issuer, _ in asked}


def made_of(asked: Sequence[tuple[Issuer, list[Request]]], taken: Mapping[str, Turn | int], at: Mapping[str, datetime]) -> list[Making]:
    """Have it made, under the serials that were taken and with their time."""
    made: list[Making] = []
    following: dict[str, int] = {}
    for issuer, requests in asked:
        turn = taken[issuer.unit]
        first = following.get(issuer.unit, turn.first if isinstance(turn, Turn) else turn)
        outcomes = issuer.make(first, [request.matter for request in requests], at.get(issuer.unit))
        made.append(Making(issuer, requests, first, outcomes))
        following[issuer.unit] = first + sum(isinstance(one, Made) for one in outcomes)
    return made
