"""What changed after a PDF was signed, and whether its signers permitted it (ISO 32000-2 clauses 12.8.2.2 and 12.8.2.4, EN 319 142-1 clause 5.4).

Each signed revision is held against the next, the last against the file as it is: what is opened today. Values are of two kinds.
Some are judged by rules (catalogue, page tree, annotations, form); everything else, from page contents to fonts and actions, must
be equal down to its last object. Nothing that can be reached from the trailer is left out. Errors: Malformed, nothing else.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pikepdf

from trust.codecs.asn1 import printable
from trust.errors import Malformed
from trust.model import Uncovered
from verifier.formats.pdf.annotations import Annotations
from verifier.formats.pdf.comparison import Comparison, Permission, dictionary_of, may_show
from verifier.formats.pdf.file import Bytes, Revisions, reading
from verifier.formats.pdf.forms import Forms
from verifier.formats.pdf.graph import Revision, affected, written
from verifier.formats.pdf.increments import disagreements
from verifier.formats.pdf.pages import Pages, nodes_of
from verifier.formats.pdf.signatures import SignatureDictionary
from verifier.formats.pdf.store import decoded
from verifier.formats.pdf.structure import Structure

_HARMLESS_IN_CATALOGUE = frozenset(
    # Who made it, that it is tagged, validation data: nothing of it is shown. Tags have rules of their own.
    {"/Type", "/Metadata", "/Extensions", "/Version", "/DSS", "/StructTreeRoot", "/MarkInfo", "/PieceInfo", "/Lang", "/LastModified", "/Legal"}
)
_DESCRIBING = frozenset({"/StructTreeRoot", "/MarkInfo", "/PieceInfo", "/Lang", "/Legal"})
"""What may change unless no change at all is permitted."""
_KNOWN_IN_CATALOGUE = frozenset(
    # ISO 32000-2 table 29: what opens, what is shown, what runs. Keys beyond it mean nothing to readers.
    {"/Names", "/Dests", "/Outlines", "/OpenAction", "/AA", "/URI", "/OCProperties", "/PageMode", "/PageLayout", "/ViewerPreferences", "/PageLabels"}
    | {"/Threads", "/OutputIntents", "/Collection", "/Requirements", "/NeedsRendering", "/AF", "/DPartRoot", "/SpiderInfo"}
)
_HARMLESS_IN_TRAILER = frozenset(
    {"/Root", "/Info", "/Prev", "/Size", "/ID", "/XRefStm", "/Type", "/W", "/Index", "/Filter", "/Length", "/DecodeParms"}
)
_TOLD = ("/Title", "/Author", "/Subject", "/Keywords")
"""What the information dictionary says of the document itself (ISO 32000-2 table 349)."""
WINDOW = 1 << 20
_XMP_TITLE = re.compile(rb"<dc:title\b[^>]{0,1000}>")
_XMP_TITLE_LENGTH = 100_000
_TAG = re.compile(rb"<[^<>]{0,1000}>")


Visit = Callable[[int, pikepdf.Pdf], None]


def changes(data: Bytes, revisions: Revisions, dictionaries: Sequence[SignatureDictionary], visit: Visit) -> tuple[Uncovered, ...]:
    """Everything that no signature covers and every change that an earlier signer did not permit; remarks (not grave) for what was permitted.

    `visit` is shown each signed revision, in order: it is open then, and no longer afterwards.
    """
    sound = [d for d in dictionaries if d.sound]
    ends = sorted({d.end for d in sound})
    if not ends:
        return ()
    tail = data.slice(ends[-1], min(data.size, ends[-1] + WINDOW)).strip(b"\0\t\n\f\r ")
    steps = [*ends, data.size] if tail else ends
    found: list[Uncovered] = []
    last = Revision(revisions.whole)
    old = _revision(revisions, ends[0], last, visit)
    for number, (start, end) in enumerate(pairwise(steps), 1):
        new = last if end == data.size and end not in ends else _revision(revisions, end, last, visit)
        if old is None or new is None:
            found.append(Uncovered(f"revision {number}", "it is not a PDF of its own, so that nobody can tell what changed after it was signed"))
        else:
            signed = frozenset(k for d in sound if d.end == end for k in ((d.key,) if d.key is not None else d.fields))
            step = _Step(data, start, end, f"after revision {number} was signed", _permission([d for d in sound if d.end <= start]), signed)
            with reading("a later revision is broken"):
                found += step.compare(old, new)
        old = new
    return tuple(dict.fromkeys(found))


def _revision(revisions: Revisions, end: int, last: Revision, visit: Visit) -> Revision | None:
    """None where the file up to there is no PDF of its own."""
    try:
        pdf = revisions.at(end)
        visit(end, pdf)
        return last if pdf is revisions.whole else Revision(pdf, last)
    except Malformed:
        return None


def _permission(signed: Sequence[SignatureDictionary]) -> Permission:
    """The strictest of what the signers so far permit; None where none of them says anything."""
    levels = [level for d in signed for level in (d.doc_mdp, d.lock_level) if level is not None]
    return Permission(min(levels, default=None), tuple(lock for d in signed for lock in d.locks))


def _shows_title(root: Any) -> bool:
    preferences = dictionary_of(root.get("/ViewerPreferences"))
    return preferences is not None and preferences.get("/DisplayDocTitle") is True


def _named(pdf: pikepdf.Pdf) -> str:
    """The title in the information dictionary."""
    information = dictionary_of(pdf.trailer.get("/Info"))
    title = information.get("/Title") if information is not None else None
    return " ".join(str(title).split()) if isinstance(title, pikepdf.String) else ""


def _described(pdf: pikepdf.Pdf) -> str:
    """The title in the metadata stream."""
    stream = pdf.Root.get("/Metadata")
    try:
        data = decoded(stream, WINDOW) if isinstance(stream, pikepdf.Stream) else b""
    except Malformed:
        return "?"
    found = _XMP_TITLE.search(data)
    end = -1 if found is None else data.find(b"</dc:title", found.end(), found.end() + _XMP_TITLE_LENGTH)
    return "" if found is None or end < 0 else " ".join(_TAG.sub(b" ", data[found.end() : end]).decode("utf-8", "replace").split())


@dataclass(frozen=True, slots=True)
class _Step:
    """From one revision to the next."""

    data: Bytes
    start: int
    end: int
    when: str
    permission: Permission
    signed: frozenset[Any]
    """Signature dictionaries that end the revision, by object number or by the name of their field."""

    def compare(self, old: Revision, new: Revision) -> list[Uncovered]:
        comparison = Comparison(old, new, affected(old, new), self.permission, self.when)
        self._trailer(comparison)
        self._catalogue(comparison)
        return comparison.conclude() + list(disagreements(self.data, self.start, self.end, old, new, self.when))

    def _trailer(self, comparison: Comparison) -> None:
        """/Encrypt decides how everything reads. Keys that no standard knows show nothing, but what they keep pointing at must stay as it is.

        Programs that add validation data write down when they did, in /Info; what it says of the document is another matter.
        """
        before, after = comparison.old.pdf.trailer, comparison.new.pdf.trailer
        if not self.permission.filling:
            was, now = (dictionary_of(t.get("/Info")) or pikepdf.Dictionary() for t in (before, after))
            for key in _TOLD:
                comparison.equal(f"document {key}", was.get(key), now.get(key))
        if any(_shows_title(r.pdf.Root) for r in (comparison.old, comparison.new)):
            self._title(comparison)
        comparison.equal("trailer /Encrypt", before.get("/Encrypt"), after.get("/Encrypt"))
        for key in sorted(set(before.keys()) & set(after.keys()) - _HARMLESS_IN_TRAILER):
            if written(before.get(key)) == written(after.get(key)):
                comparison.equal(f"trailer {key}", before.get(key), after.get(key))

    def _title(self, comparison: Comparison) -> None:
        """The title stands above the document, in the bar of its window: one that comes after signing is nobody's."""
        for titles in (_named, _described):
            was, now = (titles(r.pdf) for r in (comparison.old, comparison.new))
            if now and now != was:
                comparison.forbid("document /Title", "changed")

    def _catalogue(self, comparison: Comparison) -> None:
        before, after = comparison.old.pdf.Root, comparison.new.pdf.Root
        comparison.judge(before, after)
        comparison.judge(*nodes_of(before.get("/Pages")), *nodes_of(after.get("/Pages")))
        form = Forms(comparison, self.signed)
        form.compare(dictionary_of(before.get("/AcroForm")), dictionary_of(after.get("/AcroForm")))
        Pages(comparison, Annotations(comparison, form.widgets, form.fresh)).compare(before.get("/Pages"), after.get("/Pages"))
        self._permissions(comparison, before.get("/Perms"), after.get("/Perms"))
        Structure(comparison).compare(before.get("/StructTreeRoot"), after.get("/StructTreeRoot"))
        harmless = _HARMLESS_IN_CATALOGUE if self.permission.filling else _HARMLESS_IN_CATALOGUE - _DESCRIBING
        for key in sorted((set(before.keys()) | set(after.keys())) - harmless - {"/AcroForm", "/Pages", "/Perms"}):
            if key in _KNOWN_IN_CATALOGUE | _DESCRIBING or may_show(key, before.get(key), after.get(key)):
                comparison.equal(f"document {key}", before.get(key), after.get(key))
            else:
                comparison.remark(f"document {printable(key)}", "changed")

    def _permissions(self, comparison: Comparison, before: Any, after: Any) -> None:
        """/Perms: a certification stays what it is, and is made by signing alone; usage rights (/UR3) may go."""
        was, now = dictionary_of(before), dictionary_of(after)
        if was is not None and "/DocMDP" in was:
            comparison.equal("certification", was.get("/DocMDP"), None if now is None else now.get("/DocMDP"))
        elif now is not None and "/DocMDP" in now:
            made = now.get("/DocMDP")
            if not (isinstance(made, pikepdf.Dictionary) and made.is_indirect and made.objgen in self.signed):
                comparison.forbid("certification", "added")
