"""Time-stamps and evidence records over files of a container: EN 319 162-1 clauses 4.3.3.2 and 4.4.3.2, annexes A.4 and A.7."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from trust.codecs import cms
from trust.errors import Malformed
from trust.model import Cert, Defect, Document, Evidence, Id, Record, Reference, Scope, Stamp, StampKind, Token
from verifier.formats import ers, tst
from verifier.formats.asic import hashchain
from verifier.formats.asic.layout import SIMPLE, Layout
from verifier.formats.asic.manifest import Manifest, linked, references
from verifier.formats.cms_stamps import document_digest, document_id
from verifier.formats.contents import of_token
from verifier.formats.ers import Subject

_CLAUSE = "EN 319 162-1 clause 4.2.2"

Inside = Callable[[str], frozenset[Id]]
"""What is proved with an entry: its own identity, and those of what stands in it."""


def inside(parts: Layout, held: Mapping[str, frozenset[Id]]) -> Inside:
    def of(name: str) -> frozenset[Id]:
        return document_id(parts.find(name)) | held.get(name.removeprefix("/"), frozenset())

    return of


@dataclass(frozen=True, slots=True)
class TokenFile:
    """A time-stamp file of the container."""

    name: str
    token: Token


@dataclass(frozen=True, slots=True)
class Placed:
    """A time-stamp over files of the container, with the names of those that it covers."""

    stamp: Stamp
    names: frozenset[str]
    manifest: str | None = None


def token_files(parts: Layout, certs: Iterable[Cert]) -> tuple[tuple[TokenFile, ...], tuple[Defect, ...]]:
    found: list[TokenFile] = []
    defects: list[Defect] = []
    given = tuple(certs)
    for name in parts.tokens:
        try:
            found.append(TokenFile(name, tst.token_of(parts.container.read(name, cms.MAX_TOKEN), given)))
        except Malformed as error:
            defects.append(Defect(_CLAUSE, f"time-stamp file cannot be read: {error}"))
    return tuple(found), tuple(defects)


def placed(parts: Layout, manifests: Sequence[Manifest], file: TokenFile, of: Inside) -> Placed:
    """A time-stamp over the manifest that names it, or else over the one file."""
    named = [m for m in linked(manifests, file.name) if not m.for_record]
    if not named:
        stamp = tst.standing(file.token, () if parts.only is None else (parts.only,), StampKind.CONTAINER)
        name = parts.data[0] if parts.only is not None else ""
        return Placed(replace(stamp, covers=of(name) if stamp.intact else frozenset()), frozenset((name,) if stamp.found else ()))
    chosen = next((m for m in named if _imprinted(parts, file.token, m.name)), named[0])
    if not _imprinted(parts, file.token, chosen.name) and (chained := _chained(parts, file.token, of)) is not None:
        return replace(chained, manifest=chosen.name)
    entries = references(parts, chosen)
    imprinted = _imprinted(parts, file.token, chosen.name)
    intact = imprinted and bool(entries) and all(r.found and r.intact for r in entries)
    top = Reference(chosen.name, True, imprinted, Scope.MANIFEST, file.token.imprint)
    covers = frozenset[Id]().union(of(chosen.name), *(of(r.name) for r in entries)) if intact else frozenset[Id]()
    found = not imprinted or all(r.found for r in entries)
    # One over signatures and time-stamps prolongs them; one over files states something of them.
    names = _names(parts, entries)
    prolongs = chosen.archive or not names.isdisjoint((*parts.cades, *parts.xades, *parts.tokens, *parts.records))
    kind = StampKind.ARCHIVE if prolongs else StampKind.CONTAINER
    stamp = Stamp(file.token, kind, intact, covers, None, found, (top, *entries), chosen.defects)
    return Placed(stamp, names, chosen.name)


def _names(parts: Layout, entries: Sequence[Reference]) -> frozenset[str]:
    documents = (parts.find(r.name) for r in entries)
    return frozenset(d.name for d in documents if d is not None and d.name is not None)


def _imprinted(parts: Layout, token: Token, name: str) -> bool:
    return document_digest(parts.find(name), token.imprint.algorithm) == token.imprint


def _chained(parts: Layout, token: Token, of: Inside) -> Placed | None:
    """X-Road: the imprint is of the hash chain's result itself, not of the manifest; the chain leads to the signatures."""
    if not _imprinted(parts, token, hashchain.STAMPED_RESULT):
        return None
    entries = hashchain.reached(parts, hashchain.STAMPED_RESULT)
    intact = bool(entries) and all(r.found and r.intact for r in entries)
    top = Reference(hashchain.STAMPED_RESULT, True, True, Scope.MANIFEST, token.imprint)
    covers = frozenset[Id]().union(of(hashchain.STAMPED_RESULT), *(of(r.name) for r in entries)) if intact else frozenset[Id]()
    odd = Defect("EN 319 162-1 annex A.4", "time-stamp over a hash chain's result, not over the manifest that names it", fatal=False)
    stamp = Stamp(token, StampKind.CONTAINER, intact, covers, None, intact, (top, *entries), (odd,))
    return Placed(stamp, _names(parts, entries))


def of_tokens(files: Sequence[TokenFile]) -> dict[str, frozenset[Id]]:
    return {file.name: of_token(file.token) for file in files}


# Evidence records.


def recorded(parts: Layout, manifests: Sequence[Manifest], of: Inside) -> tuple[tuple[Evidence, ...], tuple[Defect, ...]]:
    """Each evidence record over the files that its manifest names, or over the one file of ASiC-S."""
    found: list[Evidence] = []
    defects: list[Defect] = []
    for name in parts.records:
        try:
            found.append(_record(parts, manifests, name, of))
        except Malformed as error:
            defects.append(Defect(_CLAUSE, f"evidence record cannot be read: {error}"))
    return tuple(found), tuple(defects)


def _record(parts: Layout, manifests: Sequence[Manifest], name: str, of: Inside) -> Evidence:
    named = [m for m in linked(manifests, name) if m.for_record] if parts.kind != SIMPLE else []
    document = parts.container.documents[name]
    if not named:
        # Only in ASiC-S is it clear without a manifest what a record is over.
        only = (_subject(parts.only, of),) if parts.kind == SIMPLE and parts.only is not None else ()
        return ers.of_record(document, only)
    listed = references(parts, named[0])
    files = [(r, parts.find(r.name)) for r in listed]
    evidence = ers.of_record(document, [_subject(f, of) for _, f in files if f is not None])
    return _agreeing(evidence, listed, named[0])


def _subject(document: Document, of: Inside) -> Subject:
    known = ers.subject(document)
    return replace(known, ids=lambda: of(document.name or ""), uri=document.name)


def _agreeing(evidence: Evidence, listed: Sequence[Reference], manifest: Manifest) -> Evidence:
    """Annex A.4: a manifest's digests are those of the record's first tree, and of the files; what it names must be there."""
    record = evidence.records[0]
    by_name = {r.name: r for r in record.references}
    merged: list[Reference] = []
    for entry in listed:
        in_tree = by_name.get(entry.name)
        same = in_tree is None or in_tree.digest is None or entry.digest is None or in_tree.digest.algorithm == entry.digest.algorithm
        merged.append(replace(entry, intact=entry.intact and in_tree is not None and in_tree.intact and same))
    sound = record.intact and bool(merged) and all(r.found and r.intact for r in merged)
    kept = Record(record.id, record.form, sound, tuple(merged), record.tokens, record.covers if sound else frozenset(), manifest.defects)
    return replace(evidence, records=(kept,))
