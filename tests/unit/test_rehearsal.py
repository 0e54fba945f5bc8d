"""What the service's confined processes do before the first document: our own seals, judged as recipients judge them."""

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import cli
from eseal.spec import OFFERED
from tests import pki
from trust.edge.rehearsal import Rehearsed
from trust.edge.sandbox_child import rehearse
from verifier.chains.certificate import _signed_by

SPKI = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def test_every_format_is_rehearsed_and_passes() -> None:
    made = rehearse(cli.REHEARSAL)
    assert isinstance(made, Rehearsed)
    kinds = [example.document.media_type for example in made.examples]
    assert kinds[:2] == ["application/pdf", "application/xml"]  # what is done again
    assert len(kinds) == 2 + len(OFFERED)


def test_what_is_done_again_needs_nothing_but_what_was_made() -> None:
    made = rehearse(cli.REHEARSAL)
    assert rehearse(cli.REHEARSED_AGAIN, made) is made


def test_the_rehearsals_keys_are_new_each_time_and_nobody_trusts_them() -> None:
    one, other = rehearse(cli.REHEARSAL[:1]), rehearse(cli.REHEARSAL[:1])
    assert isinstance(one, Rehearsed)
    assert isinstance(other, Rehearsed)
    assert one.office.anchor != other.office.anchor
    assert "PRIVATE" not in repr(one)


def test_chains_of_the_installation_are_known_before_they_are_met() -> None:
    root = pki.root("Rehearsed Root")
    ca = pki.authority(root)
    seal = pki.signer(ca)
    known = [party.certificate for party in (seal, ca, root)]
    before = _signed_by.cache_info().misses
    rehearse(cli.REHEARSAL, *known, pki.crl(root), pki.crl(ca))
    learnt = _signed_by.cache_info().misses
    assert learnt > before
    for cert, issuer in zip(known, [*known[1:], root.certificate], strict=True):
        assert _signed_by(cert, issuer.x509.public_key().public_bytes(*SPKI))
    assert _signed_by.cache_info().misses == learnt
