"""Sealing, in the order of its effects: build, stamp, status, check, record, release.

Nothing leaves that our own verifier does not pass at the level that was asked for, and nothing that is not in the journal. A crash before the
journal's entry leaves nothing behind but a signature and a token that nobody has; a crash after it leaves an entry for a document that nobody got.
"""

import copy
import importlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePath
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

from eseal import drafting
from eseal import suite as suites
from eseal.confined import LONGEST_WARNING, asking, at_most, noted, signing, sound, sound_draft, stamping
from eseal.draft import Draft, assembled
from eseal.drafting import Holder
from eseal.extend_material import Known
from eseal.hashes.known import as_file, drafted_from, is_inner, known_by_digest, require_known
from eseal.kept import require_kept
from eseal.spec import OFFERED, SEVERAL, Level, Packaging, Spec, media_type
from trust.edge.spool import IN_MEMORY, Spool
from trust.errors import KakuinError, Malformed, TooLarge, Unacceptable, Unavailable
from trust.model import Digest, Document
from trust.ports import Clock, Key, SealKey, Stamper, StatusSource
from trust.suites import shipped

T = TypeVar("T")
_LOG = logging.getLogger("kakuin.eseal")

MOST_SIGNATURES, MOST_STAMPS, MOST_QUESTIONS = 2, 6, 8
"""Calls that one seal may make: a signature once more for want of room, likewise the stamps before, after and over it; status of each chain."""
DATASET = "documents"
"""What a container of several documents is called: `documents.asice`."""
LEVELS = tuple(Level)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a verifier says of one signature in a file."""

    passed: bool
    level: str
    """As the verifier found it: `PAdES-BASELINE-LTA`."""
    why: str = ""
    """For people, where it did not pass."""
    exposed: tuple[str, ...] = ()
    """What the file shows today that no signature in it covers."""


class Check(Protocol):
    """Our own verifier, given by the composition: its verdict on the signature with the value `signature` in `sealed`.

    It decides at the present time with this installation's anchors and status lists (a seal below B-LT carries none of its own), and
    fetches nothing.
    """

    def __call__(self, sealed: Document, detached: Sequence[Document], signature: bytes) -> Finding: ...


class Runner(Protocol):
    """Runs `module:function` with `args`, and with `calls` as keyword arguments: trust.edge.sandbox.Sandbox.run, or here()."""

    def __call__(self, target: str, *args: Any, calls: Mapping[str, Callable[..., Any]] | None, returns: type[T]) -> T: ...


Record = Callable[[str, bytes], int]
"""The journal's append: kind and body -> index, durable when it returns. Raises Unavailable."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed document, checked and recorded. It reads the document that was given, and lives as long as that one does."""

    document: Document
    spec: Spec
    organisation: str
    time: datetime
    index: int
    """Of the entry in the journal: the seal's number."""
    sha256: bytes
    """Of the sealed document."""
    draft: Draft
    signed: tuple[bytes, ...]
    """SHA-256 of everything that the key signed for it: one, or two when room was short, or more when a level was tried in vain."""
    asked: Level | None = None
    """The level that was asked for; another one than `spec.level` only where the caller said that less would do."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """For people."""
        return self.draft.warnings

    @property
    def degraded(self) -> bool:
        """Lower than it was asked for."""
        return self.asked not in (None, self.spec.level)


@dataclass(frozen=True, slots=True)
class Sealer:
    """Seals documents for organisations. Thread-safe."""

    keys: Callable[[str], SealKey]
    """Corporate number -> the organisation's seal key; NotFound for one that has none."""
    stamp: Stamper
    status: StatusSource
    record: Record
    clock: Clock
    check: Check
    run: Runner
    font: Callable[[], Document | None] = lambda: None
    """Of visible seals, where the caller gives none."""
    check_inner: Check | None = None
    """The same of a CMS that will stand in a PDF: it asks for no signing-time, which the PDF has. None: as any other."""
    check_here: Check | None = None
    """The same in this process, for small files of which nothing is parsed that was not written here (`drafting.is_opaque`). None: as any other."""
    examine: Callable[[Document, Sequence[Document], Known], Mapping[str, Any]] | None = None
    """Our own verifier's report on a document, as `eseal.extend_service.Examine` has it: for what is signed already."""

    def seal(
        self, document: Document, spec: Spec, organisation: str, more: Sequence[Document] = (), doing: Callable[[str], None] = lambda _: None
    ) -> Sealed:
        """Seal a document for an organisation; with `more` of them under one seal where the format has a place for several. `doing` is told what
        is done when it takes another look at everything.

        The answer is at the level that was asked for, or there is none: Unavailable when the authority, the status service or the journal is away,
        Unacceptable or Malformed when the document cannot be sealed so, NotFound for an organisation without a key. Only where `spec.degrade` says
        that less will do is it lower, and then `Sealed.asked` and a warning tell.
        """
        documents = typed((document.opened_by(spec.password), *more), spec)
        if more and spec.addition is None and spec.format not in SEVERAL:
            raise Unacceptable(f"{spec.format} seals one document at a time, got {len(documents)}; several go into {' or '.join(sorted(SEVERAL))}")
        subject = drafted_from(documents)
        if subject.size == 0:
            raise Malformed("the document is empty")
        spec = self._lettered(spec)
        asked, now, signed = spec.level, self.clock(), list[bytes]()
        key, cautions = suited(self.keys(organisation), spec)
        require_known(documents, spec, key.algorithm)
        draft, spec = self._reached(documents, spec, key, now, signed)
        draft = replace(draft, warnings=(*draft.warnings, *cautions))
        if spec.addition is None:
            sound(draft, subject, spec)
        else:
            sound_draft(draft, documents[0])
        shown, name = as_file(documents, spec), name_of(documents[:1] if spec.addition else documents)
        sealed = assembled(subject, draft.pieces, sealed_name(name, shown), media_type(shown)[0]).opened_by(spec.password)
        doing("checking what was made")
        self._checked(sealed, documents, spec, draft)
        doing("recording it")
        made = Sealed(sealed, spec, organisation, now, -1, sha256_of(sealed), draft, tuple(signed), asked)
        return replace(made, index=self._recorded(made, documents, key))

    def _reached(self, documents: Sequence[Document], spec: Spec, key: Key, now: datetime, signed: list[bytes]) -> tuple[Draft, Spec]:
        """A draft at the level that was asked for; else at the highest that the caller said would do. Only a service that is away lowers it."""
        why = ""
        for level in spec.levels:
            away: list[str] = []
            try:
                at = replace(spec, level=level, degrade=None)
                draft = self._draft(documents, at, key, now, signed, away)
            except Unavailable as error:
                if not away:
                    raise  # something else does not answer: a seal with less in it would not help
                why = why or str(error)
                if level is spec.levels[-1]:
                    raise Unavailable(f"{error}; {_what_to_do(spec)}") from error
                continue
            return (replace(draft, warnings=(*draft.warnings, lowered(spec.level, level, why))) if why else draft), at
        raise Unacceptable(f"{spec.format} has no level")

    def _lettered(self, spec: Spec) -> Spec:
        """With this installation's font, where a visible seal has letters and brings none."""
        look = spec.pdf.look
        if look is None or not look.letters or look.font is not None:
            return spec
        return replace(spec, pdf=replace(spec.pdf, look=replace(look, font=self.font())))

    def _draft(self, documents: Sequence[Document], spec: Spec, key: Key, now: datetime, signed: list[bytes], away: list[str]) -> Draft:
        calls = {
            "sign": at_most(MOST_SIGNATURES, "signatures", signing(key, signed, drafting.SIGNABLE[spec.format])),
            "stamp": at_most(MOST_STAMPS, "time-stamps", noted(stamping(self.stamp, spec.level), away)),
            "status": at_most(MOST_QUESTIONS, "status questions", noted(asking(self.status, spec.level), away)),
        }
        run = self.run if drafting.parses(spec) else here
        return run("eseal.drafting:draft", documents[0], spec, Holder.of(key), now, *documents[1:], calls=calls, returns=Draft)

    def _checked(self, sealed: Document, documents: Sequence[Document], spec: Spec, draft: Draft) -> None:
        inner = is_inner(documents, spec)
        with Spool() as spool, Spool() as other:
            try:
                apart = documents[1:] if spec.addition is not None else documents if spec.packaging is Packaging.DETACHED or inner else ()
                made = solid(sealed, spool)
                finding = self._check_of(made, spec, inner=inner)(made, apart, draft.signature)
                if spec.addition is not None:
                    self._kept(documents[0], made, apart)
                if finding.exposed and not inner and (spec.packaging is Packaging.ENVELOPED or spec.addition is not None):
                    # A document that others signed: what it showed before is theirs, what it shows since is ours.
                    before = self.check(solid(documents[0], other), apart, b"").exposed
                    if fresh := [what for what in finding.exposed if what not in before]:
                        raise Unacceptable(f"the seal would show what earlier signatures of the document do not allow, so it is not made: {fresh[0]}")
            except (Malformed, TooLarge) as error:
                raise Unacceptable(f"the seal was made, but our own verifier cannot read the document, so it is not given out: {error}") from error
        if finding.passed and finding.level.endswith(_INNER[spec.level] if inner else _shapes(spec)):
            return
        _LOG.error("a seal did not pass the check: level %s, found %s, %s", spec.level, finding.level[:60], finding.why[:500])
        raise KakuinError(f"the seal was made and did not pass our own verification at {spec.level}, so it is not given out; nothing was recorded")

    def _check_of(self, made: Document, spec: Spec, *, inner: bool) -> Check:
        if inner:
            return self.check_inner or self.check
        small = made.size is not None and made.size <= IN_MEMORY
        return self.check_here if self.check_here is not None and small and drafting.is_opaque(spec) else self.check

    def _kept(self, before: Document, after: Document, apart: Sequence[Document]) -> None:
        """What was signed before is, and was not broken: a seal beside a broken one is no sound document."""
        if self.examine is None:
            raise Unacceptable("this service adds no signature to what is signed already")
        old = self.examine(before, apart, Known())
        if old["conclusion"] == "failed":
            reasons = "; ".join(str(r["text"]) for r in old["reasons"])
            raise Unacceptable(f"no signature is added to what failed: {reasons[:300]}")
        require_kept(old, self.examine(after, apart, Known()), "sealed", "sealing")

    def _recorded(self, made: Sealed, documents: Sequence[Document], key: Key) -> int:
        # Digests, never the document: what an entry reveals is decided on privacy.
        entry: dict[str, Any] = {
            "certificate": key.certificate.id.hex(),
            "document": fingerprint(documents).hex(),
            "format": made.spec.format,
            "level": made.spec.level,
            "organisation": made.organisation,
            "packaging": made.spec.packaging,
            "sealed": made.sha256.hex(),
            "signature": Digest.of("sha256", made.draft.signature).value.hex(),
            "signed": [digest.hex() for digest in made.signed],
            "stamps": [Digest.of("sha256", token).value.hex() for token in made.draft.stamps],
            "time": made.time.isoformat(),
        }
        if len(documents) > 1:
            entry["documents"] = len(documents)
        if known_by_digest(documents):
            entry["hash_only"] = True  # `document` is then what the caller said
        if made.spec.addition is not None:
            entry["addition"] = made.spec.addition
        if made.asked not in (None, made.spec.level):
            entry["asked"] = made.asked
        return self.record("seal", json.dumps(entry, sort_keys=True, separators=(",", ":")).encode())


def suited(key: SealKey, spec: Spec) -> tuple[Key, tuple[str, ...]]:
    """The key under the digest that was asked for, and warnings of when verifiers stop accepting what it makes.

    Unacceptable where the format has no name for it."""
    public = key.certificate.public_key
    if public is None:
        raise Malformed("the seal certificate holds a key that cannot be read")
    chosen = suites.suite(spec.format, key.algorithm, public, spec.digest)
    return (key if chosen.algorithm == key.algorithm else key.under(chosen.digest)), suites.warnings(chosen, public, shipped())


def typed(documents: tuple[Document, ...], spec: Spec) -> tuple[Document, ...]:
    """With the media type that the caller says. Unacceptable for several documents, of which each has its own."""
    said = spec.claims.mime_type
    if said is None:
        return documents
    if len(documents) > 1:
        raise Unacceptable(f"a mime type is that of one document, got {len(documents)} documents")
    one = copy.copy(documents[0])
    one.media_type = said
    return (one,)


_INNER: Mapping[Level, tuple[str, ...]] = MappingProxyType({Level.B_B: ("CAdES-BES", "CAdES-EPES"), Level.B_T: ("CAdES-T",)})
"""What a verifier calls the CMS of a PDF, without the PDF: the signing-time that EN 319 122-1 clause 6.3 wants stands in the PDF."""


def _shapes(spec: Spec) -> tuple[str, ...]:
    """What a verifier may call the seal's level: the one asked for. In a file of others validation data may be there already, and it is more."""
    enough = LEVELS[LEVELS.index(spec.level) :] if spec.addition is not None else (spec.level,)
    return tuple(f"{shape}{level.removeprefix('B-')}" for level in enough for shape in ("-BASELINE-", "COSE-"))


def _what_to_do(spec: Spec) -> str:
    lower = [level for level in OFFERED[spec.format, spec.packaging] if LEVELS.index(level) < LEVELS.index(spec.levels[-1])]
    if not lower or spec.claims.content_timestamp:
        return "nothing was sealed; try again later"
    return f"nothing was sealed; try again later, or say with degrade that less will do ({', '.join(lower)})"


def lowered(asked: Level, reached: Level, why: str) -> str:
    """The warning of a level that is lower than it was asked for."""
    said = f"sealed at {reached} and not at {asked}, as degrade allows: {why}".encode("ascii", "replace").decode()
    line = "".join(c if c.isprintable() else "?" for c in said).replace(";", ",")  # which parts one warning from the next in a header
    return line if len(line) <= LONGEST_WARNING else f"{line[: LONGEST_WARNING - 4]} ..."


def here(target: str, *args: Any, calls: Mapping[str, Callable[..., Any]] | None, returns: type[T]) -> T:
    """Runner in this very process: for documents that are the caller's own, and for formats that parse nothing."""
    module, _, name = target.partition(":")
    made = getattr(importlib.import_module(module), name)(*args, **(calls or {}))
    if not isinstance(made, returns):
        raise Malformed(f"{name} made a {type(made).__name__}")
    return made


def name_of(documents: Sequence[Document]) -> str | None:
    """What is sealed, for the name of the result."""
    return documents[0].name if len(documents) == 1 else DATASET


def sealed_name(name: str | None, spec: Spec) -> str:
    """`contract.pdf` -> `contract.sealed.pdf`; `data.csv` -> `data.csv.p7s`."""
    ending = media_type(spec)[1]
    given = name or "document"
    if spec.addition is not None:
        return f"{PurePath(given).stem}.sealed{PurePath(given).suffix or ending}"
    return f"{PurePath(given).stem}.sealed{ending}" if spec.packaging is Packaging.ENVELOPED else given + ending


def solid(sealed: Document, spool: Spool) -> Document:
    """The same as a file of its own where it is large: the verifier works in another process, and a file is all that it has to be handed."""
    if sealed.size is not None and sealed.size <= IN_MEMORY:
        return sealed
    for chunk in sealed.chunks():
        spool.add(chunk)
        if spool.full:
            spool.flush()
    return spool.document(sealed.name, sealed.media_type).opened_by(sealed.password)


def fingerprint(documents: Sequence[Document]) -> bytes:
    """SHA-256 of a document; of several, that of their SHA-256 values one behind the other."""
    found = [sha256_of(d) for d in documents]
    return found[0] if len(found) == 1 else Digest.of("sha256", b"".join(found)).value


def sha256_of(document: Document) -> bytes:
    """Malformed where only other digests are known."""
    found = document.digest("sha256")
    if found is None:
        raise Malformed("only digests of this document are known")
    return found.value
