"""The container reader: signature files, time-stamps and records put together, and what of the container they leave open."""

from collections.abc import Iterable, Sequence

from trust.codecs.container import Container, container
from trust.codecs.container import claims as zip_claims
from trust.model import Cert, Defect, Document, Evidence, Record, Reference, Scope, Uncovered
from verifier.formats.asic import hashchain
from verifier.formats.asic.layout import EXTENDED, MANIFEST, OPEN_DOCUMENT, PLAIN, SIMPLE, Layout, layout
from verifier.formats.asic.listing import contradictions
from verifier.formats.asic.manifest import Manifest, manifests
from verifier.formats.asic.signed import SignatureFile, signature_files
from verifier.formats.asic.stamped import Placed, inside, of_tokens, placed, recorded, token_files


def claims(head: bytes) -> bool:
    """Any ZIP container."""
    return zip_claims(head)


def read(document: Document, detached: Sequence[Document] = (), certs: Iterable[Cert] = ()) -> Evidence:
    """The evidence of a container: everything that it signs is inside. Malformed for what is no ZIP, TooLarge for a bomb."""
    del detached
    box = container(document)
    parts = layout(box, document.name)
    given = tuple(certs)
    documents = tuple(box.documents[name] for name in parts.data)
    if parts.kind == PLAIN:
        return Evidence(PLAIN, documents=documents)
    lists, bad_lists = manifests(parts)
    files, bad_files = signature_files(parts, lists, given)
    tokens, bad_tokens = token_files(parts, given)
    held = {file.name: file.inside for file in files} | of_tokens(tokens)
    of = inside(parts, held)
    stamps = tuple(placed(parts, lists, token, of) for token in tokens)
    records, bad_records = recorded(parts, lists, of)
    read_files = [file.levelled(tuple(p.stamp for p in stamps if file.name in p.names)) for file in files]
    carried = [Evidence(parts.kind, certs=frozenset(t.certs), crls=frozenset(t.crls), ocsps=frozenset(t.ocsps)) for t in (f.token for f in tokens)]
    everything = (*read_files, *carried, *records)
    return Evidence(
        parts.kind,
        tuple(s for e in everything for s in e.signatures),
        (*(p.stamp for p in stamps), *(s for e in everything for s in e.stamps)),
        tuple(r for e in everything for r in e.records),
        frozenset(c for e in everything for c in e.certs),
        frozenset(c for e in everything for c in e.crls),
        frozenset(o for e in everything for o in e.ocsps),
        (
            *parts.mistaken,
            *contradictions(parts, (r for f in files for s in f.evidence.signatures for r in s.references)),
            *_uncovered(parts, lists, files, stamps, [r for e in records for r in e.records]),
        ),
        (*parts.defects, *bad_lists, *bad_files, *bad_tokens, *bad_records, *_unlisted(parts, lists), *_damaged(box)),
        documents,
    )


def _unlisted(parts: Layout, lists: Sequence[Manifest]) -> tuple[Defect, ...]:
    """EN 319 162-1 clause 4.4.3.2: a time-stamp of ASiC-E covers the manifest that names it."""
    named = {m.target for m in lists}
    loose = parts.kind == EXTENDED and any(token not in named for token in parts.tokens)
    return (Defect("EN 319 162-1 clause 4.4.3.2", "a time-stamp that no manifest names"),) if loose else ()


def _damaged(box: Container) -> tuple[Defect, ...]:
    """Files whose checksum is wrong, of those that were read: other programs refuse to unpack them."""
    return tuple(Defect("APPNOTE 4.4.7", "checksum of an entry is wrong") for _ in sorted(box.damaged))


def _uncovered(
    parts: Layout, lists: Sequence[Manifest], files: Sequence[SignatureFile], stamps: Sequence[Placed], records: Sequence[Record]
) -> tuple[Uncovered, ...]:
    """Files that are opened from the container and that nothing covers: no signature, or where there is none no time-stamp or record."""
    signed = {name for file in files for s in file.evidence.signatures if s.countersigns is None for name in _whole(parts, s.references)}
    by_others = {name for p in stamps if p.stamp.intact for name in p.names}
    by_others |= {name for r in records if r.intact for name in _whole(parts, r.references)}
    any_signature = any(file.evidence.signatures for file in files)
    if not any_signature and not stamps and not records:
        return ()
    covered = signed if any_signature else by_others
    why = "no signature covers it" if any_signature else "no time-stamp or evidence record covers it"
    found = [Uncovered(n, why, grave=n not in hashchain.FILES) for n in parts.data if n not in covered]
    # The list of a time-stamp that fails adds no file, and the time-stamp's own verdict tells of it.
    known = (
        signed
        | by_others
        | {m.name for m in lists if m.for_record and (parts.kind == SIMPLE or m.target in parts.records)}
        | {p.manifest for p in stamps}
    )
    found += [Uncovered(m.name, "a manifest that no signature or time-stamp covers") for m in lists if m.name not in known]
    if parts.kind == OPEN_DOCUMENT:
        # ISO/IEC 26300-3 clause 5: the manifest tells programs what the package holds, and which parts are encrypted.
        found += [Uncovered(n, why) for n in parts.other if n == MANIFEST and n not in signed and any_signature]
    found += [Uncovered(n, why, grave=False) for n in parts.other if n != MANIFEST and n not in known]
    return tuple(found)


def _whole(parts: Layout, references: Iterable[Reference]) -> Iterable[str]:
    """Names of entries that these references cover as they are. What follows a list that was changed is nobody's."""
    for reference in references:
        if reference.scope is Scope.MANIFEST and not reference.intact:
            return
        if reference.found and reference.intact and reference.scope in (Scope.FULL, Scope.MANIFEST):
            for asked in (reference.name, reference.uri):
                document = None if asked is None else parts.find(asked)
                if document is not None and document.name is not None:
                    yield document.name
