"""A few seconds of every fuzz target, the same inputs each time."""

import random as randoms

import pytest

from eseal.draft import Draft, Span
from tests import pki
from tests.envelopes import envelope, signer_info, value_of
from tests.fuzz import mutate
from tests.fuzz.drive import driven, mutants
from tests.fuzz.kept import kept
from tests.fuzz.limits import tried
from tests.fuzz.targets import TARGETS, Target
from tests.shared import needs_shared
from trust.errors import Malformed, TooLarge
from trust.model import Digest, Document

pytestmark = [needs_shared, pytest.mark.filterwarnings("ignore")]
NUMBER = 20261121
SHAPED = ("cms", "xml", "read-asic", "read-pades", "certificate", "seal-pades", "extend-jades", "picture", "font")


@pytest.mark.parametrize("name", TARGETS)
def test_only_malformed_escapes(name: str) -> None:
    target = TARGETS[name]
    done, findings = driven(target, NUMBER, inputs=target.inputs)
    assert done == target.inputs
    assert not findings, "\n\n".join(f"{f.what} ({len(f.data)} bytes)\n{f.detail}" for f in findings.values())


@pytest.mark.parametrize("name", ["cms", "xml", "read-asic", "read-pades"])
def test_a_number_decides_the_inputs(name: str) -> None:
    one, other, third = (mutants(TARGETS[name], number) for number in (5, 5, 6))
    first = [next(one) for _ in range(20)]
    assert first == [next(other) for _ in range(20)] != [next(third) for _ in range(20)]


@pytest.mark.parametrize("name", [*SHAPED, "export", "renewal", "wire"])
def test_mutants_keep_their_shape(name: str) -> None:
    """A mutation that every first check refuses tests nothing: a part of the mutants is read."""
    target = TARGETS[name]
    source, read = mutants(target, NUMBER), 0
    for _ in range(60):
        try:
            target.run(next(source))
            read += 1
        except (Malformed, TooLarge, *target.refuses):
            continue
    assert read >= 10


def test_what_breaks_the_rules_is_found() -> None:
    """The measure measures."""

    def wild(data: bytes) -> None:
        raise KeyError(len(data))

    def slow(_data: bytes) -> None:
        sum(range(10**7))

    def fat(_data: bytes) -> None:
        bytearray(b"\1") * (300 << 20)

    def tame(_data: bytes) -> None:
        raise Malformed("no")

    assert tried(tame, b"") is None
    found = tried(wild, b"x")
    assert found is not None and found.what.startswith("KeyError at tests/fuzz/test_targets.py:")
    assert tried(wild, b"x", (KeyError,)) is None
    found = tried(slow, b"", seconds=0.01)
    assert found is not None and found.what == "slow"
    found = tried(fat, b"")
    assert found is not None and found.what == "memory"
    done, findings = driven(Target(wild, lambda: (b"seed",), (mutate.octets,)), 1, inputs=50)
    assert done == 50 and len(findings) == 1


def test_what_harms_a_signature_is_found() -> None:
    """So does that of what is made."""
    party = pki.signer(pki.authority(pki.root()))
    info = signer_info(party, b"content")
    sealed = envelope([info], content=b"content", certs=(party.certificate,))
    value, stamp = value_of(info), pki.token(pki.unit(pki.authority(pki.root())), Digest.of("sha256", b"x"))
    kept(Document.of(sealed), Draft((Span(0, len(sealed)),), b""), ())
    for made, why in (
        (Draft((b"x",), b""), "became unsigned"),
        (Draft((sealed[:-1],), b""), "became unreadable"),
        (Draft((sealed.replace(value, value[:-1] + bytes((value[-1] ^ 1,))),), b""), "gone"),
        (Draft((sealed.replace(b"content", b"CONTENT"),), b""), "refers to changed"),
        (Draft((sealed,), b"", (stamp,)), "not found"),
    ):
        with pytest.raises(AssertionError, match=why):
            kept(Document.of(sealed), made, ())
    with pytest.raises(AssertionError, match="not the one signature more"):
        kept(Document.of(sealed), Draft((sealed,), b"x"), (), party)


def test_a_changed_node_keeps_the_lengths_around_it() -> None:
    nested = bytes.fromhex("300c0201053007300502010904 00".replace(" ", ""))
    random = randoms.Random(1)
    whole = [mutate.tlv(random, nested, [nested]) for _ in range(200)]
    assert sum(m[1] == len(m) - 2 for m in whole if 2 <= len(m) < 130) > 120
    assert len(set(whole)) > 50
