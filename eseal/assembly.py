"""The sealer's parts as an instance's settings want them, and what of them others ask for: time-stamps with their status, and in a container."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from eseal.store import ApiKeys
from trust.errors import NotFound
from trust.registry import corporate_number

if TYPE_CHECKING:
    from eseal.service import Check
    from trust.edge.instance import Instance
    from trust.edge.operations.limits import Shelf
    from trust.model import Document
    from trust.ports import StatusSource


def api_keys_of(instance: "Instance", shelf: "Shelf[str] | None" = None) -> ApiKeys:
    """`shelf`: of what keys have used up, where several processes count together."""
    return ApiKeys(instance.engine, instance.clock, _admit(instance, shelf))


def _admit(instance: "Instance", shelf: "Shelf[str] | None") -> Callable[[str], None]:
    """How much one API key may ask."""
    from trust.edge.operations.limits import KeyLimit, rate

    said = instance.settings.limits
    found = rate(said.seals)
    return (lambda _: None) if found is None else KeyLimit(found, time.monotonic, said.clients, shelf)


def font_of(instance: "Instance") -> "Document | None":
    """Of visible seals, where none comes with the document."""
    from trust.edge.fonts import font

    return font(instance.settings.visible.font)


def found(check: "Callable[[Document, Sequence[Document], bytes], tuple[Any, ...]]") -> "Check":
    """A verifier's word on what was sealed, as the sealer wants it."""
    from eseal.service import Finding

    def finding(sealed: "Document", detached: Sequence["Document"], signature: bytes) -> Finding:
        passed, level, why, exposed = check(sealed, detached, signature)
        return Finding(bool(passed), str(level), str(why), tuple(map(str, exposed)))

    return finding


def organisation(instance: "Instance", number: str | None) -> str:
    """The corporate number as it was given, or the only organisation's."""
    there = instance.organisations
    if number is not None:
        return corporate_number(number)
    if len(there) != 1:
        names = ", ".join(f"{o.number} ({o.name})" for o in there)
        raise NotFound(
            f"several organisations have a seal here, name one with --organisation: {names}" if there else "no organisation has a seal here"
        )
    return there[0].number


def completed(token: bytes, status: "StatusSource") -> bytes:
    """A token with the status of its chain beside its signature."""
    from eseal.formats import archive
    from eseal.levels import material, token_chain
    from trust.codecs import cms

    return archive.completed(token, material([token_chain(cms.token(token))], status))


def boxed(document: "Document", token: bytes) -> "Document":
    """An ASiC-S container of a document and the time-stamp over it; it reads the document that was given."""
    from eseal.draft import assembled
    from eseal.formats.asic import stamped_box
    from eseal.spec import MEDIA_TYPE, Format, Packaging
    from trust.codecs.cms import token as token_of

    media_type, ending = MEDIA_TYPE[Format.ASIC_S_CADES, Packaging.ATTACHED]
    pieces = stamped_box(document, token, token_of(token).gen_time)
    return assembled(document, pieces, (document.name or "document") + ending, media_type)
