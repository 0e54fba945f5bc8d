"""Many tokens against the same trust: what they share is judged once, and nothing that is one token's own."""

import threading
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from tests import pki
from tests.envelopes import integer, seq
from tests.pki import CHECKED, DAY, ISSUED, SIGNED, UNIT_ENDED
from trust.errors import KakuinError, Malformed
from trust.model import Cert, Crl, Digest
from verifier import service
from verifier.policy import load
from verifier.process.context import LIGHT, Context, Recent
from verifier.service import Verifier
from verifier.verdict import Conclusion, Verdict

OFFICE = pki.pki()
OTHER = pki.pki()
STRANGER = pki.unit(pki.authority(pki.root("Unknown Root")))
SECOND = pki.unit(OFFICE.ca, "Example TSU 2")
DIGEST = Digest.of("sha256", b"a dataset")


def _flipped(data: bytes) -> bytes:
    """The signature value, which ends a token, changed."""
    return data[:-1] + bytes((data[-1] ^ 1,))


REVOKING = pki.crl(OFFICE.ca, {OFFICE.tsu.certificate.serial: SIGNED + DAY}, this_update=SIGNED + 2 * DAY, number=9)
TOKENS: dict[str, bytes] = {
    "sound": pki.token(OFFICE.tsu, DIGEST),
    "sound, another serial": pki.token(OFFICE.tsu, DIGEST, serial=1 << 80, nonce=5),
    "when the status was fresh": pki.token(OFFICE.tsu, DIGEST, CHECKED + 29 * DAY),
    "when the status was stale": pki.token(OFFICE.tsu, DIGEST, CHECKED + 30 * DAY),
    "long after the status": pki.token(OFFICE.tsu, DIGEST, CHECKED + 400 * DAY),
    "before the unit's certificate": pki.token(OFFICE.tsu, DIGEST, ISSUED - DAY),
    "after the unit's certificate": pki.token(OFFICE.tsu, DIGEST, UNIT_ENDED + DAY),
    "at the end of time": pki.token(OFFICE.tsu, DIGEST, datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    "over something else": pki.token(OFFICE.tsu, Digest.of("sha256", b"something else")),
    "another digest": pki.token(OFFICE.tsu, Digest.of("sha512", b"a dataset")),
    "signature changed": _flipped(pki.token(OFFICE.tsu, DIGEST)),
    "carries its revocation": pki.token(OFFICE.tsu, DIGEST, crls=(REVOKING,)),
    "a second unit": pki.token(SECOND, DIGEST),
    "a unit of another root": pki.token(OTHER.tsu, DIGEST),
    "a unit of nobody": pki.token(STRANGER, DIGEST),
    "no certificates": pki.token(OFFICE.tsu, DIGEST, certificates=()),
    "the unit alone": pki.token(OFFICE.tsu, DIGEST, certificates=(OFFICE.tsu.certificate,)),
    "a seal's certificate": pki.token(OFFICE.signer, DIGEST),
    "names another unit": pki.token(OFFICE.tsu, DIGEST, references=(SECOND.certificate,)),
    "a refusal": seq(seq(integer(2))),
    "nothing": b"",
    "cut off": pki.token(OFFICE.tsu, DIGEST)[:-40],
}
LISTS = (*OFFICE.crls(CHECKED), *OTHER.crls(CHECKED))
REVOKED = (pki.crl(OFFICE.root, this_update=CHECKED), pki.crl(OFFICE.ca, {OFFICE.tsu.certificate.serial: SIGNED + DAY}, this_update=CHECKED))
ANCHORS = (OFFICE.root.certificate, OTHER.root.certificate)
WORLDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "eu": {"policy": load("eu")},
    "archive": {"policy": load("archive")},
    "fresh now": {"policy": load('name = "own"\n[status]\nfreshness = "now"\n')},
    "revoked": {"crls": REVOKED},
    "no status": {"crls": ()},
    "another anchor": {"anchors": (OTHER.root.certificate,)},
    "no anchor": {"anchors": ()},
    "given certificates": {"certificates": (OFFICE.tsu.certificate, OFFICE.ca.certificate)},
    "a year later": {"at": CHECKED + 420 * DAY},
    "before the status": {"at": SIGNED + DAY / 2},
    "after the units": {"at": UNIT_ENDED + 10 * DAY},
}
VERIFIER = Verifier(lambda: CHECKED + DAY, load("strict"), ANCHORS)


def told(found: Verdict | KakuinError) -> object:
    """All that a report would say; an error by its class and text."""
    return found if isinstance(found, Verdict) else (type(found), str(found))


def alone(world: dict[str, Any], data: bytes, monkeypatch: pytest.MonkeyPatch) -> object:
    """Judged with nothing remembered."""
    monkeypatch.setattr(service, "_recent", deque(maxlen=0))
    return told(next(VERIFIER.tokens([(data, DIGEST)], **{"crls": LISTS, **world})))


@pytest.mark.parametrize("name", WORLDS)
def test_in_bulk_as_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In either order, with whatever was remembered before: the same verdict, the same trace."""
    world = WORLDS[name]
    expected = [alone(world, data, monkeypatch) for data in TOKENS.values()]
    monkeypatch.setattr(service, "_recent", deque(maxlen=4))
    pairs = [(data, DIGEST) for data in TOKENS.values()]
    for again in (pairs, pairs[::-1], pairs):
        found = [told(v) for v in VERIFIER.tokens(iter(again), **{"crls": LISTS, **world})]
        assert found == (expected if again is pairs else expected[::-1])


def test_worlds_in_turn_are_not_mistaken_for_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = {(w, t): alone(world, data, monkeypatch) for w, world in WORLDS.items() for t, data in TOKENS.items()}
    monkeypatch.setattr(service, "_recent", deque(maxlen=4))
    for t, data in TOKENS.items():
        for w, world in WORLDS.items():
            assert told(next(VERIFIER.tokens([(data, DIGEST)], **{"crls": LISTS, **world}))) == expected[w, t], (w, t)


def conclusions(tokens: Sequence[str], **world: Any) -> list[str]:
    found = VERIFIER.tokens([(TOKENS[t], DIGEST) for t in tokens], **{"crls": LISTS, **world})
    return [v.conclusion.value if isinstance(v, Verdict) else type(v).__name__ for v in found]


def test_each_token_has_its_own_look() -> None:
    names = [
        "sound",
        "signature changed",
        "sound",
        "over something else",
        "when the status was fresh",
        "when the status was stale",
        "a refusal",
        "sound",
    ]
    assert conclusions(names) == ["passed", "failed", "passed", "failed", "passed", "passed", "Malformed", "passed"]
    late = CHECKED + 420 * DAY
    assert conclusions(names, at=late) == ["passed", "failed", "passed", "failed", "passed", "indeterminate", "Malformed", "passed"]


def test_the_time_is_read_once() -> None:
    moments = iter([CHECKED + DAY])
    verifier = Verifier(lambda: next(moments), load("strict"), ANCHORS)
    found = list(verifier.tokens([(TOKENS["sound"], DIGEST)] * 3, crls=LISTS))
    assert {v.validation_time for v in found if isinstance(v, Verdict)} == {CHECKED + DAY}


def test_a_list_without_an_end_is_fresh_for_ever() -> None:
    """RFC 5280 section 4.1.2.5's 99991231235959Z, seen in lists too: no calendar goes as far back as forward from it."""
    end = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    lists: tuple[Crl, ...] = tuple(pki.crl(p, this_update=CHECKED, next_update=end) for p in (OFFICE.root, OFFICE.ca))
    (found,) = VERIFIER.tokens([(TOKENS["long after the status"], DIGEST)], crls=lists, at=CHECKED + 420 * DAY)
    assert isinstance(found, Verdict)
    assert found.conclusion is Conclusion.PASSED


def test_what_is_remembered_is_bounded() -> None:
    asked: list[int] = []
    recent = Recent(2)

    def answer(question: int) -> int:
        def made() -> int:
            asked.append(question)
            return question

        return recent.once(question, made)

    assert [answer(q) for q in (1, 2, 1, 3, 1, 2)] == [1, 2, 1, 3, 1, 2]
    assert asked == [1, 2, 3, 2]


def test_what_is_remembered_is_everybodys() -> None:
    """A service asks in many threads at once, and more than is kept."""
    recent, errors = Recent(3), list[BaseException]()
    together = threading.Barrier(8)

    def ask() -> None:
        together.wait()
        try:
            for turn in range(3000):
                number = turn % 7
                assert recent.once(frozenset({number}), lambda: [number]) == [number]  # noqa: B023  # called at once
        except BaseException as error:  # told below
            errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


def test_what_is_heavy_is_not_remembered() -> None:
    context = Context(CHECKED, (), load("strict"))
    made: list[int] = []

    def answer() -> int:
        made.append(1)
        return len(made)

    heavy, light = frozenset({Cert(bytes(LIGHT + 1))}), frozenset({Cert(b"light")})
    assert [context.once("a", heavy, answer), context.once("a", heavy, answer)] == [1, 2]
    assert [context.once("a", light, answer), context.once("a", light, answer), context.once("b", light, answer)] == [3, 3, 4]


def test_an_answer_of_which_a_part_is_missing_is_malformed() -> None:
    """RFC 6960 section 4.1.1: CertID has four parts."""
    from trust.codecs.asn1 import Rules, parse
    from verifier.revocation.ocsp import _single

    with pytest.raises(Malformed):
        _single(parse(seq(seq(seq(integer(1)))), Rules.BER))
