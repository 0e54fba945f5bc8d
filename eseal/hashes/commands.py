"""`kakuin seal` and `kakuin extend` with `--server URL --hash-only`: digests leave, and what comes back is put together here.

Our own verifier reads it before it is written.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from eseal.claims import NAMES as CLAIMS
from eseal.claims import claims_of
from eseal.extend_material import Known
from eseal.extend_service import Asked, Extender, Raised
from eseal.hashes.boxes import boxes, seal_box_at
from eseal.hashes.client import Made, There, digested, digests_for, highest, seal_hashes_at
from eseal.hashes.pdf import reached, seal_pdf_at
from eseal.hashes.sound import require_sound
from eseal.hashes.told import key_in, octets_in
from eseal.pdf_seal import OPTIONS, wished
from eseal.service import Runner, sha256_of, solid
from eseal.spec import Format, Level, Spec, choose, is_pdf, level_named
from trust.edge.spool import Spool
from trust.errors import Unacceptable
from trust.model import Digest, Document
from trust.ports import Clock

if TYPE_CHECKING:
    from datetime import datetime

HEAD = 4096


class Bench(Protocol):
    """A confined process here, and our own verifier in it; given by the composition."""

    @property
    def run(self) -> Runner: ...

    def examined(self, document: Document, detached: Sequence[Document] = (), known: Known | None = None) -> Mapping[str, Any]:
        """The brief report (docs/report.md), now, with what is known; without it trusting nobody. Raises Malformed or TooLarge for what cannot be
        judged."""


Font = Callable[[], Document | None]
"""Of visible seals, where the caller gives none."""


def sealed_at(
    there: There,
    documents: Sequence[Document],
    asked: Mapping[str, str | None],
    attached: Mapping[str, Document],
    bench: Bench,
    *,
    now: "datetime",
    font: Font,
    doing: Callable[[str], None] = lambda _: None,
) -> Made:
    """The seal and what is told of it; it reads the documents that were given. `doing` is told what is done from now on.

    Unacceptable, and there is no seal, where what came back is none of these documents.
    """
    pdf = len(documents) == 1 and _is_pades(documents[0], asked.get("format"))
    form = Format.PADES if pdf else (asked.get("format") or Format.CADES)
    if not pdf and (attached or asked.get("password") is not None):
        raise Unacceptable("an image, a font and a password go into a PDF, and this is sealed otherwise")
    before: Mapping[str, Any] | None = None
    detached: Sequence[Document] = ()
    if pdf:
        spec = _spec(documents[0], asked, attached, font)
        doing("looking for signatures")
        before = bench.examined(documents[0])
        doing("hashing")
        facts, made = seal_pdf_at(there, documents[0], spec, asked, bench.run)
    elif boxes(asked.get("format")):
        doing("hashing")
        facts, made = seal_box_at(there, documents, asked, digests_for(asked.get("digest")), now)
    else:
        doing("hashing")
        names = digests_for(asked.get("digest"))
        told = [digested(document, names) for document in documents]
        doing("waiting for the server")
        facts, made = seal_hashes_at(there, documents, told, asked)
        detached = documents
    doing("checking what was made")
    level = reached(facts)
    _require_allowed(level, asked, form)
    with Spool() as spool:
        require_sound(before, bench.examined(solid(made, spool), detached), level)
    return {**facts, "sha256": sha256_of(made).hex()}, made


def _require_allowed(level: Level, asked: Mapping[str, str | None], form: str) -> None:
    """Never silently weaker, whatever the server says."""
    wanted = asked.get("level") or highest(form, asked.get("serialization")) or Level.B_B
    least = level_named(asked.get("degrade") or wanted)
    if list(Level).index(level) < list(Level).index(least):
        raise Unacceptable(f"the server made {level}, asked for {wanted}; nothing was written")


def _is_pades(document: Document, form: str | None) -> bool:
    """Also where nothing was said, and it is a PDF."""
    return is_pdf(document.head(HEAD)) if form is None else form.lower() == Format.PADES


def _spec(document: Document, asked: Mapping[str, str | None], attached: Mapping[str, Document], font: Font) -> Spec:
    """What was asked for, as a whole, with letters to write it with."""
    said = {name: asked.get(name) for name in ("level", "packaging", "digest", "password", "degrade", "serialization", "mechanism", "components")}
    pdf = wished({name: asked.get(name) for name in OPTIONS}, **attached)
    if pdf.look is not None and pdf.look.letters and pdf.look.font is None:
        pdf = replace(pdf, look=replace(pdf.look, font=font()))
    more = {name: asked.get(name) for name in ("canonicalization", "addition")}
    return choose(document.head(HEAD), format=Format.PADES, claims=claims_of({name: asked.get(name) for name in CLAIMS}), pdf=pdf, **said, **more)


def extended_at(there: There, document: Document, asked: Asked, bench: Bench, clock: Clock, doing: Callable[[str], None] = lambda _: None) -> Raised:
    """The document raised or renewed here, with time-stamps over digests and status from there; examined before and after by our own verifier.

    Trusted is whom the caller trusts, and the root above the organisation's key there, whose lists are asked for too. Errors are those of
    Extender.extend() and of the server.
    """
    indexes = list[int]()

    def stamp(imprint: Digest) -> bytes:
        told = there.token(imprint)
        indexes.append(told["extension"] if isinstance(told.get("extension"), int) else -1)
        return octets_in(told.get("token"), "token")

    key = key_in(there.key({}))
    root = key.certificates[-1]
    own = there.status(key.certificates)  # a seal below B-LT carries none
    extender = Extender(
        stamp=stamp,
        status=there.status,
        record=lambda _kind, _body: indexes[-1] if indexes else -1,
        clock=clock,
        examine=bench.examined,
        run=bench.run,
        anchors=(root,),
    )
    given = asked.known
    known = Known(
        tuple(dict.fromkeys((*given.anchors, root))),
        (*given.certificates, *key.certificates, *own.certs),
        (*given.crls, *own.crls),
        (*given.ocsps, *own.ocsps),
    )
    return extender.extend(document, replace(asked, known=known), doing=doing)
