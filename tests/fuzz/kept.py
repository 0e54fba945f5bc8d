"""What must be true of a document to which a signature or a level was added, told by our own reader from before and after.

As `eseal.kept` in the product, without a judgement on certificates: a mutant's are anybody's.
"""

from collections.abc import Sequence

from eseal.confined import sound_draft
from eseal.draft import Draft, assembled
from tests.pki import Party
from trust.algorithms import verify
from trust.codecs.cms import token
from trust.errors import Locked, Malformed, TooLarge
from trust.model import Digest, Document, Evidence, Token
from verifier.conclusion import UNREADABLE
from verifier.read import read

LARGEST = 64 << 20
COVERED = frozenset({"XML", "ASiC-S", "ASiC-E", "ODF"})
"""Where a signature may be over the place of another one: it is broken by what is added there, and the service refuses then (`eseal.kept`)."""


def kept(document: Document, made: Draft, beside: Sequence[Document], sealer: Party | None = None) -> None:
    """AssertionError unless `made` holds what the document held, and what was added is sound; `sealer` is who signed, None where a level rose."""
    sound_draft(made, document)
    result = Document.of(assembled(document, made.pieces, None, None).read(LARGEST), "file")
    try:
        before = read(document, beside)
    except (Malformed, TooLarge, Locked):
        return  # the service asks our own verifier first
    if before.kind in (UNREADABLE, "unsigned"):
        return  # that no reader of ours takes it for signed the service asks too: a JWS with an empty header
    if before.kind == "PDF" and any(s.field is None for s in before.signatures):
        return  # what no form names was found where a broken file was put together again, which the next update mends
    try:
        after = read(result, beside)
    except (Malformed, Locked) as error:
        raise AssertionError(f"what was made of a {before.kind} cannot be read: {error}") from error
    assert after.kind == before.kind or not before.signatures, f"a {before.kind} became {after.kind}"
    _signatures(before, after)
    _stamps(before, after, made)
    if sealer is not None:
        _sealed(before, after, made, sealer)


def _signatures(before: Evidence, after: Evidence) -> None:
    now = {(s.id, s.value, s.signed): s for s in after.signatures}
    for one in before.signatures:
        if before.kind == "PDF" and not one.intact_references:
            continue  # what failed the service does not add to; readers of broken files differ about what is in them
        assert any(one.id == s.id for s in after.signatures), "a signature is gone"
        same = now.get((one.id, one.value, one.signed))
        assert same is not None, "what a key signed changed"
        if before.kind not in COVERED:
            assert same.intact_references >= one.intact_references, "what a signature refers to changed"


def _stamps(before: Evidence, after: Evidence, made: Draft) -> None:
    now = {_named(s.token): s.intact for s in sorted(after.stamps, key=lambda s: s.intact)}
    for stamp in (s for s in before.stamps if s.intact):
        assert _named(stamp.token) in now, "a time-stamp is gone"
        if before.kind not in COVERED:
            assert now[_named(stamp.token)], "a time-stamp broke"
    if _sound(before) and _sound(after):  # what failed the service does not extend: an archive time-stamp over what is broken is as broken
        new = [_named(token(der)) for der in made.stamps]
        assert now.keys() >= set(new), "a time-stamp that was made is not found"
        assert all(now[name] for name in new), "a time-stamp that was made does not hold"


def _sound(evidence: Evidence) -> bool:
    """Nothing of it is broken, as far as that shows without a judgement on who signed."""
    defects = [*evidence.defects, *(d for one in (*evidence.signatures, *evidence.stamps) for d in one.defects)]
    return all(s.value and s.intact_references for s in evidence.signatures) and not any(d.fatal or d.refused for d in defects)


def _named(token: Token) -> tuple[Digest, int]:
    """Also where validation data were put among its own."""
    return token.imprint, token.serial


def _sealed(before: Evidence, after: Evidence, made: Draft, sealer: Party) -> None:
    there = {s.id for s in before.signatures}
    new = [s for s in after.signatures if s.id not in there and s.value]  # a dictionary without a signature has the name of what lies around it
    assert [s.value for s in new] == [made.signature], "not the one signature more that was made"
    assert new[0].signer == sealer.certificate and new[0].signer_reference.digest_matches, "another one is told as the signer"
    assert new[0].intact_references, "the seal is not over what is there"
    public, signed = sealer.certificate.public_key, new[0].signed
    assert public is not None and isinstance(signed, bytes) and verify(public, sealer.algorithm, new[0].value, signed), "the seal does not hold"
