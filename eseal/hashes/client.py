"""Sealing and extending at another Kakuin without sending the document: `/v1/seals/hashes` and `/v1/extensions/hashes` from the other side.

Names, digests and certificates leave, no more.
"""

import contextlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from eseal.client import Requesting, exchanged
from eseal.hashes.known import EXTENSIONS, JOURNAL, LEVELS, PATH
from eseal.hashes.steps import COURSES
from eseal.hashes.told import listed_in, octets_in, status_in, text
from eseal.service import name_of
from eseal.spec import MEDIA_TYPE, Format, Level, Packaging, Serialization, digest_named, level_named
from trust.algorithms import hasher
from trust.errors import Malformed, Unavailable
from trust.model import Cert, Digest, Document
from trust.ports import Status

USUAL = ("sha256", "sha384", "sha512")
"""Which one the organisation's key signs its server knows: all that are common are made in one reading."""
LARGEST = 96 << 20
"""Bytes of an answer."""
MOST_ROOM = 1 << 20
"""Bytes of /Contents that a server may ask for."""
_ADDRESS = re.compile(re.escape(PATH) + r"/[0-9a-f]{32}")
Exchanged = tuple[dict[str, Any], Iterator[bytes], str]
"""What eseal.client.exchanged() gives."""
BOXED = frozenset({Format.ASIC_S_CADES, Format.ASIC_S_XADES, Format.ASIC_E_CADES, Format.ASIC_E_XADES})
"""Containers, which are made here around a signature from there, at each level."""
_RANK = {level: rank for rank, level in enumerate(Level)}

Made = tuple[dict[str, Any], Document]
"""What the server says, and the result."""


def digested(document: Document, names: Sequence[str]) -> Document:
    """The document as others are told of it: its name and these digests, from one reading. Malformed for one that is empty."""
    running = {name: hasher(name) for name in names}
    empty = True
    for chunk in document.chunks():
        empty = False
        for one in running.values():
            one.update(chunk)
    if empty:
        raise Malformed("the document is empty")
    return Document(document.name, None, None, tuple(Digest(name, one.digest()) for name, one in running.items()))


def digests_for(asked: str | None) -> tuple[str, ...]:
    """Names (of hashlib) of what is computed: one that was asked for and the journal's, or all that are usual.

    Unacceptable for one that there is not."""
    if asked is None:
        return USUAL
    return tuple(dict.fromkeys((JOURNAL, digest_named(asked))))


def highest(form: str | None, serialization: str | None = None) -> str | None:
    """The level that is asked for where none was named: the highest that there is. None where that is the server's to say."""
    name = (form or Format.CADES).lower()
    if (serialization or "").lower() == Serialization.COMPACT or name not in set(Format):
        return None
    known = LEVELS.get(Format(name), () if Format(name) not in BOXED else tuple(Level))
    return next((str(level) for level in reversed(Level) if (name, level) in COURSES or level in known), None)


@dataclass(frozen=True, slots=True)
class Next:
    """What a second step awaits, as the server tells it."""

    address: str
    digest: str
    """hashlib's name."""
    then: bytes
    room: int

    @classmethod
    def of(cls, value: Any, documents: Sequence[Document]) -> "Next":
        """Malformed for what makes no sense, or speaks of other documents than these."""
        if not isinstance(value, dict):
            raise Malformed("the server's answer has no second step")
        address, room = value.get("address"), value.get("room")
        if not isinstance(address, str) or not _ADDRESS.fullmatch(address) or not isinstance(room, int) or not 0 < room <= MOST_ROOM:
            raise Malformed("the server's second step is none of this version")
        if listed_in(value, "documents") != [d.name or "document" for d in documents]:
            raise Malformed("the server's second step is of other documents")
        return cls(address, digest_named(str(value.get("digest"))), octets_in(value.get("then"), "then"), room)

    def imprint(self, documents: Iterable[Document]) -> Digest:
        """Of the documents' octets, in their order, and what follows them."""
        running = hasher(self.digest)
        for document in documents:
            for chunk in document.chunks():
                running.update(chunk)
        running.update(self.then)
        return Digest(self.digest, running.digest())


@dataclass(frozen=True, slots=True)
class There:
    """Another Kakuin, and who asks it. Errors of each method are those of eseal.client.seal_at()."""

    server: str
    api_key: str
    transport: httpx.BaseTransport | None = None

    def key(self, asked: Mapping[str, str | None]) -> dict[str, Any]:
        """What is to be known of the organisation's key."""
        said = {name: value for name in ("format", "level", "digest", "content_timestamp", "organisation") if (value := asked.get(name)) is not None}
        return _object(self._answered(PATH, lambda client, url: client.build_request("GET", url, params=said)))

    def first(self, documents: Sequence[Document], asked: Mapping[str, str | None]) -> Made:
        """The first step, where its answer is a signature."""
        return _file(self._posted(PATH, _first_body(documents, asked)))

    def first_told(self, documents: Sequence[Document], asked: Mapping[str, str | None]) -> dict[str, Any]:
        """The first step, where its answer is an object."""
        return _object(self._posted(PATH, _first_body(documents, asked)))

    def last(self, due: Next, imprint: Digest) -> Made:
        """The second step, where its answer is a signature."""
        return _file(self._posted(due.address, {"imprint": _told((imprint,))}))

    def last_told(self, due: Next, imprint: Digest) -> dict[str, Any]:
        """The second step, where its answer is an object."""
        return _object(self._posted(due.address, {"imprint": _told((imprint,))}))

    def token(self, imprint: Digest) -> dict[str, Any]:
        """A time-stamp over a digest."""
        return _object(self._posted(EXTENSIONS, {"imprint": _told((imprint,))}))

    def status(self, chain: Sequence[Cert]) -> Status:
        """trust.ports.StatusSource of what the server's installation issued; Unavailable for anything else."""
        told = _object(self._posted(EXTENSIONS, {"certificates": [text(c.der) for c in chain]}))
        return status_in(told.get("values"))

    def _posted(self, path: str, body: Mapping[str, Any]) -> Exchanged:
        return self._answered(path, lambda client, url: client.build_request("POST", url, json=body))

    def _answered(self, path: str, request: Requesting) -> Exchanged:
        return exchanged(self.server, path, self.api_key, request, self.transport)


def _read(answer: Exchanged) -> bytes:
    data = bytearray()
    with contextlib.closing(answer[1]) as pieces:  # type: ignore[type-var]
        for piece in pieces:
            data += piece
            if len(data) > LARGEST:
                raise Malformed(f"the server's answer is over {LARGEST} bytes")
    return bytes(data)


def _file(answer: Exchanged) -> Made:
    return answer[0], Document.of(_read(answer), answer[2])


def _object(answer: Exchanged) -> dict[str, Any]:
    try:
        told = json.loads(_read(answer))
    except (ValueError, RecursionError) as error:
        raise Malformed("the server's answer is not JSON") from error
    if not isinstance(told, dict):
        raise Malformed("the server's answer is no object")
    return told


def _first_body(documents: Sequence[Document], asked: Mapping[str, str | None]) -> dict[str, Any]:
    listed = [{"name": d.name or "document", "digests": _told(d.known)} for d in documents]
    return {**{name: value for name, value in asked.items() if value is not None}, "documents": listed}


def _told(digests: Iterable[Digest]) -> dict[str, str]:
    return {d.algorithm.replace("_", "-"): d.value.hex() for d in digests}


def facts_of(told: Mapping[str, Any]) -> dict[str, Any]:
    """What eseal.client.seal_at() tells, from an object."""
    index, said = told.get("seal"), told.get("warnings")
    warnings = said if isinstance(said, list) else []
    facts: dict[str, Any] = {"format": shown(told.get("format")), "level": shown(told.get("level")), "packaging": str(Packaging.DETACHED)}
    facts |= {"journal_index": index if isinstance(index, int) else None, "warnings": list(map(shown, warnings))}
    lower = told.get("asked_level") not in (None, told.get("level"))
    return {**facts, "asked_level": shown(told["asked_level"])} if lower else facts


def shown(text: Any) -> str:
    """Fit for a terminal."""
    return "".join(c if c.isprintable() else "?" for c in str(text)[:500])


def seal_hashes_at(there: There, documents: Sequence[Document], told: Sequence[Document], asked: Mapping[str, str | None]) -> Made:
    """As eseal.client.seal_at(), of `documents` that were digested() as `told`, in as many steps as the level takes; for the second one they are read
    once more. Where only that one fails and `degrade` allows what the first one gave, that is the result, and a warning says so."""
    asked = {**asked, "level": asked.get("level") or highest(asked.get("format"), asked.get("serialization"))}
    form, level = (asked.get("format") or Format.CADES).lower(), asked["level"]
    if level is None or (form, level_named(level)) not in COURSES:
        return there.first(told, asked)
    first = there.first_told(told, asked)
    signature = Document.of(octets_in(first.get("signature"), "signature"), signature_name(told, form))
    if "next" not in first:
        return facts_of(first), signature
    due = Next.of(first["next"], told)
    try:
        facts, made = there.last(due, due.imprint(documents))
    except Unavailable as error:
        return short(first, asked, error), signature
    return {**facts, "warnings": [*facts_of(first)["warnings"], *facts["warnings"]]}, made


def short(first: Mapping[str, Any], asked: Mapping[str, str | None], error: Unavailable) -> dict[str, Any]:
    """What is told of a seal whose second step failed. That failure where the caller did not say that less will do."""
    reached, least = level_named(str(first.get("level"))), asked.get("degrade")
    if least is None or _RANK[level_named(least)] > _RANK[reached]:
        raise error
    facts = facts_of(first)
    return {**facts, "warnings": [*facts["warnings"], f"sealed at {reached} and not at {asked.get('level')}, as degrade allows: {error}"]}


def signature_name(documents: Sequence[Document], form: str) -> str:
    """As the server names a detached signature."""
    return (name_of(documents) or "document") + MEDIA_TYPE[Format(form), Packaging.DETACHED][1]
