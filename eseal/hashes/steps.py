"""Hash-only sealing in two steps, for what is stamped over the documents once more: a signature first, then what its holder computed with it.

The first step is a seal as any other, checked and recorded, at the level that digests suffice for, and with it what the second one needs: of XAdES
and JAdES the octets that an archive time-stamp hashes behind the documents, of PDF the values of its /DSS. In the second one the service is told one
digest and cannot know what it is of. It stamps it, as it stamps any digest, puts the token where the level wants it, and records what it was told.
Whether that was the right digest only a verifier that has the documents can tell; with a wrong one the archive time-stamp is broken and no level is
gained.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from eseal.confined import asking, at_most, stamping
from eseal.draft import Draft, assembled
from eseal.extend_service import EVENT
from eseal.formats import pdf_cms
from eseal.hashes.archive import Awaited
from eseal.levels import digest_for, later, material, stamped, token_chain
from eseal.service import Sealed, Sealer, fingerprint, lowered, name_of, sealed_name, sha256_of, suited
from eseal.spec import Format, Level, Packaging, Spec, media_type
from trust.codecs import cms
from trust.errors import KakuinError, Unacceptable, Unavailable
from trust.model import Cert, Digest, Document
from trust.ports import Status

MOST_STAMPS, MOST_QUESTIONS = 1, 8
LARGEST = 1 << 26
"""Bytes of a signature."""
_RANK = {level: rank for rank, level in enumerate(Level)}


class End(StrEnum):
    """What the second step gives."""

    SIGNATURE = "signature"
    """The signature of the first one, with the archive time-stamp in it."""
    TOKEN = "token"
    """A time-stamp token, which goes into the PDF or the container."""


@dataclass(frozen=True, slots=True)
class Course:
    """How a level is reached from digests."""

    base: Format
    level: Level
    """Format and level of the first step."""
    end: End | None
    """None: one step, and values with it."""


COURSES: Mapping[tuple[Format, Level], Course] = MappingProxyType(
    {
        (Format.XADES, Level.B_LTA): Course(Format.XADES, Level.B_LT, End.SIGNATURE),
        (Format.JADES, Level.B_LTA): Course(Format.JADES, Level.B_LT, End.SIGNATURE),
        # EN 319 162-1 clause 4.4.3.2 item 5: over an ASiCArchiveManifest, beside the signature.
        (Format.ASIC_E_CADES, Level.B_LTA): Course(Format.CADES, Level.B_LT, End.TOKEN),
        # EN 319 142-1 clauses 5.4.2 and 5.4.3: the /DSS and the document time-stamp stand in the PDF.
        (Format.PADES, Level.B_LT): Course(Format.PADES, Level.B_T, None),
        (Format.PADES, Level.B_LTA): Course(Format.PADES, Level.B_T, End.TOKEN),
    }
)


@dataclass(frozen=True, slots=True)
class Open:
    """What the second step goes on from."""

    spec: Spec
    """As it was asked for."""
    organisation: str
    end: End
    index: int
    """Of the first step's entry in the journal."""
    data: bytes
    """The signature so far."""
    value: bytes
    documents: tuple[Document, ...]
    awaited: Awaited
    certs: tuple[Cert, ...]
    """Whose status is in it already."""
    room: int
    """Bytes that the token may have."""


@dataclass(frozen=True, slots=True)
class First:
    """A seal, and what is still to come."""

    sealed: Sealed
    found: Status = field(default_factory=Status)
    """Of a PDF: for its /DSS."""
    open: Open | None = None
    """None: nothing is to come, or less than was asked for was reached."""


@dataclass(frozen=True, slots=True)
class Last:
    """The second step."""

    data: bytes
    """Signature or token."""
    found: Status
    """Of a token: what its own validation needs beside it."""
    time: datetime
    index: int
    warnings: tuple[str, ...] = ()


def begin(sealer: Sealer, documents: Sequence[Document], spec: Spec, organisation: str) -> First:
    """The first step; for what takes one the whole. Errors as of Sealer.seal."""
    course = COURSES.get((spec.format, spec.level))
    if course is None:
        return First(sealer.seal(documents[0], spec, organisation, documents[1:]))
    key, _ = suited(sealer.keys(organisation), spec)
    sealed = sealer.seal(documents[0], _base(spec, course), organisation, documents[1:])
    sealed = replace(sealed, asked=spec.level)
    if sealed.spec.level is not course.level:
        return First(sealed)
    chains = [(key.certificate, *key.chain), *(token_chain(cms.token(t), key.chain) for t in sealed.draft.stamps)]
    try:
        found = material(chains, asking(sealer.status, spec.level)) if spec.format is Format.PADES else Status()
    except Unavailable as error:
        if spec.degrade is None or _RANK[spec.degrade] > _RANK[course.level]:
            raise
        warning = lowered(spec.level, course.level, str(error))
        return First(replace(sealed, draft=replace(sealed.draft, warnings=(*sealed.draft.warnings, warning))))
    if course.end is None:
        return First(replace(sealed, asked=None), found)
    data = sealed.document.read(LARGEST)
    if course.end is End.SIGNATURE:
        due = sealer.run("eseal.hashes.archive:awaited", spec.format, data, calls=None, returns=Awaited)
    else:
        due = Awaited(digest_for(key.algorithm, spec.digest), b"")
    certs = tuple(dict.fromkeys(c for chain in chains for c in chain))
    room = max((len(t) for t in sealed.draft.stamps), default=pdf_cms.TOKEN_ROOM) + pdf_cms.SLACK
    opened = Open(spec, organisation, course.end, sealed.index, data, sealed.draft.signature, tuple(documents), due, certs, room)
    return First(sealed, found, opened)


def _base(spec: Spec, course: Course) -> Spec:
    """What is asked for in the first step; less than that only where the caller said so."""
    below = spec.degrade if spec.degrade is not None and _RANK[spec.degrade] < _RANK[course.level] else None
    packaging = spec.packaging if course.base is Format.PADES else Packaging.DETACHED
    return replace(spec, format=course.base, level=course.level, packaging=packaging, degrade=below)


def finish(sealer: Sealer, opened: Open, imprint: Digest) -> Last:
    """The second step. Unacceptable for another digest than the awaited one, Unavailable when authority, status or journal are away."""
    if imprint.algorithm != opened.awaited.digest:
        raise Unacceptable(f"a {opened.awaited.digest.replace('_', '-')} digest is awaited, got {imprint.algorithm.replace('_', '-')}")
    return _ENDS[opened.end](sealer, opened, imprint)


def _token(sealer: Sealer, opened: Open, imprint: Digest) -> Last:
    level, now = opened.spec.level, sealer.clock()
    token = stamped(stamping(sealer.stamp, level), imprint)
    found = later(token, Status(certs=opened.certs), asking(sealer.status, level))
    return Last(token.der, found, now, _recorded(sealer, opened, imprint, Draft((), b"", (token.der,)), {"time": now.isoformat()}))


def _signature(sealer: Sealer, opened: Open, imprint: Digest) -> Last:
    spec, now = opened.spec, sealer.clock()
    calls: dict[str, Callable[..., Any]] = {
        "stamp": at_most(MOST_STAMPS, "time-stamps", stamping(sealer.stamp, spec.level)),
        "status": at_most(MOST_QUESTIONS, "status questions", asking(sealer.status, spec.level)),
    }
    draft = sealer.run("eseal.hashes.archive:archived", spec.format, opened.data, imprint, now, calls=calls, returns=Draft)
    if not all(isinstance(p, bytes) for p in draft.pieces):
        raise KakuinError("what was made is not bytes")
    made = assembled(Document.of(opened.data), draft.pieces, sealed_name(name_of(opened.documents), spec), media_type(spec)[0])
    finding = sealer.check(made, opened.documents, opened.value)
    if not (finding.passed and finding.level.endswith("-BASELINE-LTA")):
        raise KakuinError(f"the seal was raised and did not pass our own verification at {spec.level}, so it is not given out; nothing was recorded")
    more = {"time": now.isoformat(), "extended": sha256_of(made).hex()}
    return Last(made.read(LARGEST), Status(), now, _recorded(sealer, opened, imprint, draft, more))


_ENDS: Mapping[End, Callable[[Sealer, Open, Digest], Last]] = MappingProxyType({End.TOKEN: _token, End.SIGNATURE: _signature})


def _recorded(sealer: Sealer, opened: Open, imprint: Digest, draft: Draft, more: Mapping[str, str]) -> int:
    """As an extension, of which the imprint is what the caller said."""
    entry: dict[str, Any] = {
        "event": EVENT,
        "document": fingerprint(opened.documents).hex(),
        "format": opened.spec.format,
        "hash_only": True,
        "imprint": f"{imprint.algorithm}:{imprint.value.hex()}",
        "level": opened.spec.level,
        "organisation": opened.organisation,
        "seal": opened.index,
        "stamps": [Digest.of("sha256", token).value.hex() for token in draft.stamps],
        **more,
    }
    return sealer.record("event", json.dumps(entry, sort_keys=True, separators=(",", ":")).encode())
