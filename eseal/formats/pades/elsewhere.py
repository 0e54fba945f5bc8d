"""A PDF sealed where it is, by a key that is elsewhere: what leaves is digests of it, and what comes back is put into it (EN 319 142-1 clause 6)."""

from collections.abc import Callable

from eseal.draft import Draft, Span
from eseal.formats.pades.paper import Paper, Reading, hold
from eseal.formats.pades.plan import planned
from eseal.formats.pades.sealing import Field, admit, archive_stamp, reserve, signature_field
from eseal.formats.pdf_cms import Answer
from eseal.levels import Means, digest_for
from eseal.spec import Spec
from trust.errors import Malformed
from trust.model import Digest, Document
from trust.ports import Status

NAMED = "sha256"
"""The digest by which the sealer's journal names what it signed, whatever the key signs."""
Sign = Callable[[tuple[Digest, ...]], Answer]
"""Digests of a byte range, that which the key signs first -> the CMS over it."""
Finish = Callable[[Digest], Answer]
"""Digest of the byte range of a document time-stamp -> the token."""


def sealed_elsewhere(document: Document, spec: Spec, means: Means, how: Reading, sign: Sign, finish: Finish) -> Draft:
    """The update with the signature, and what the level wants behind it. Of `means` the time and what may be known of the key are used."""
    size, digest = document.size or 0, digest_for(means.key.algorithm, spec.digest)
    with document.open() as base:
        paper = Paper(base, size, digest, spec.password, how)
        with paper.reading() as reader:
            warnings = admit(reader)
            plan = planned(reader, document, spec, means, digest)
        answer = _signed(paper, signature_field(spec, means, plan, lambda _: b""), sign)
        found, stamps = answer.found, list[Answer]()

        def stamp(imprint: Digest) -> bytes:
            stamps.append(finish(imprint))
            return stamps[-1].contents

        if not answer.last:
            archive_stamp(paper, found, stamp, answer.room)
            found = stamps[-1].found
        if found != Status():
            with paper.writing() as writer:
                if hold(writer, found):
                    writer.write_in_place()
        return Draft((Span(0, size), bytes(paper.tail)), answer.value, tuple(s.contents for s in stamps), warnings)


def _signed(paper: Paper, field: Field, sign: Sign) -> Answer:
    """The update with what the sealer answers for its byte range; made anew, and signed anew, where that does not fit at first."""
    room, before, names = field.room, len(paper.tail), tuple(dict.fromkeys((paper.digest, NAMED)))
    for _ in range(2):
        with paper.writing() as writer:
            start, stop = reserve(writer, field.plan, field.placeholder(room))
        answer = sign(tuple(paper.imprint_by(name, start, stop) for name in names))
        if 2 * len(answer.contents) <= stop - start - 2:
            paper.fill(start + 1, answer.contents.hex().upper().encode())
            return answer
        room = len(answer.contents) + 256  # the next token may be a little longer
        del paper.tail[before:]
    raise Malformed("the signature did not fit into the room that it asked for")
