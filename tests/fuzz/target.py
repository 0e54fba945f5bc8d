"""What a target is: something that reads strangers' bytes, where mutation begins, and how inputs are changed."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.fuzz import mutate

Mutations = tuple[mutate.Mutate, ...]

DER: Mutations = (mutate.tlv, mutate.tlv, mutate.octets)
TEXT: Mutations = (mutate.text, mutate.text, mutate.octets)
XML: Mutations = (mutate.element, mutate.element, mutate.element, mutate.text, mutate.octets)
JSON: Mutations = (mutate.member_of_json, mutate.member_of_json, mutate.text, mutate.octets)
ZIP: Mutations = (mutate.member, mutate.member, mutate.member, mutate.octets)
PDF: Mutations = (mutate.text, mutate.envelope, mutate.revision, mutate.revision, mutate.stream, mutate.octets)


@dataclass(frozen=True)
class Target:
    run: Callable[[bytes], object]
    seeds: Callable[[], tuple[bytes, ...]]
    mutations: Mutations
    refuses: tuple[type[Exception], ...] = ()
    """What may escape beside Malformed and TooLarge."""
    inputs: int = 1000
    """Of the short run among the tests: a few seconds."""


def each(data: bytes, *reads: Callable[[bytes], object], refuses: tuple[type[Exception], ...]) -> None:
    """Several readers over the same bytes: what one refuses the others still see."""
    for read in reads:
        try:
            read(data)
        except refuses:
            continue
