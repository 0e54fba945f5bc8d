"""What a log must not contain is found, entry by entry; what it may is let be."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests import pki, tsu
from trust.codecs import tsp
from trust.errors import Malformed
from trust.log import examine, exported
from trust.log.examine import Examined, Examiner, Finding, Seen, examined, kept, remembered
from trust.log.journal import Entry
from trust.log.page import entry_data, microseconds
from trust.log.reading import exported as line_of
from trust.log.tree import leaf_hash, root_of
from trust.model import Digest
from tsa import issue

AT = datetime(2026, 11, 21, 1, 2, 3, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def entry(index: int, kind: str, body: bytes, at: datetime = AT, unit: str | None = None, serial: int | None = None) -> Entry:
    return Entry(index, kind, at, body, leaf_hash(entry_data(kind, microseconds(at), body)), unit, serial)


def token(serial: int, at: datetime = tsu.NOW, key: str = "p256") -> bytes:
    request = issue.accept(tsp.encode_request(Digest("sha256", bytes(32))), tsu.POLICY)
    return issue.grant(request, tsu.unit(key), at, serial).token or b""


def found(*entries: Entry, examiner: Examiner | None = None) -> list[tuple[str, int | None]]:
    return [(f.what, f.index) for f in examined(entries, (), examiner or Examiner(), Examined())]


EVENT = b'{"event": "x"}'


def clock(index: int, after: int, step: int = 0) -> Entry:
    """A clock says that it was set by so many seconds; 0: that it is good."""
    said = {"event": "clock", "state": "stepped", "step_us": step * 1_000_000} if step else {"event": "clock", "state": "good"}
    return entry(index, "event", json.dumps(said).encode(), AT + after * SECOND)


GOOD = clock(0, 0)
CERTIFICATE = tsu.issuers()[1].certificate.der

CASES: dict[str, tuple[list[Entry], list[tuple[str, int | None]]]] = {
    "nothing": ([], []),
    "one of each": (
        [
            entry(0, "certificate", CERTIFICATE),
            entry(1, "token", token(1), unit="tsu", serial=1),
            entry(2, "seal", b"{}"),
            entry(3, "revocation", b"{}"),
            entry(4, "event", EVENT),
        ],
        [],
    ),
    "a serial number twice": ([entry(n, "token", token(serial)) for n, serial in enumerate((1, 2, 2, 3))], [("serial-twice", 2)]),
    "a serial number that went back": ([entry(n, "token", token(serial)) for n, serial in enumerate((1, 2, 1))], [("serial-twice", 2)]),
    "a gap": ([entry(n, "token", token(serial)) for n, serial in enumerate((1, 4, 5))], [("serial-gap", 1)]),
    "a beginning that is none": ([entry(0, "token", token(7))], [("serial-gap", 0)]),
    "two units, each with its numbers": (
        [entry(n, "token", token(s, key=k)) for n, (s, k) in enumerate(((1, "p256"), (1, "ed25519"), (2, "p256")))],
        [],
    ),
    "a token before its predecessor": ([entry(0, "token", token(1)), entry(1, "token", token(2, tsu.NOW - SECOND))], [("time", 1)]),
    "a time that went back": ([entry(0, "event", EVENT), entry(1, "event", EVENT, AT - SECOND), entry(2, "event", EVENT)], [("time", 1)]),
    "a clock that was put forward and set right": ([GOOD, clock(1, 3600, 3600), clock(2, 1, -3600), clock(3, 2)], []),
    "a clock that was put back and set right": ([GOOD, clock(1, -3, -3), clock(2, -2), clock(3, 0, 3), clock(4, 1)], [("time", 2)]),
    "a clock that was put back and set right, and was not good meanwhile": ([GOOD, clock(1, -3, -3), clock(2, 0, 3), clock(3, 1)], []),
    "a clock that was set back by less than its entry goes back": ([GOOD, clock(1, -3, -1)], [("time", 1)]),
    "a clock that was put forward, and time went back": ([GOOD, clock(1, -3, 3)], [("time", 1)]),
    "a token from before a clock was set back": ([GOOD, clock(1, -3, -3), entry(2, "token", token(1), AT - 2 * SECOND)], [("time", 2)]),
    "a number that is missing": ([entry(0, "event", EVENT), entry(2, "event", EVENT)], [("missing", 2)]),
    "entries that changed places": ([entry(1, "event", EVENT), entry(0, "event", EVENT)], [("missing", 1), ("order", 0)]),
    "another body": ([replace(entry(0, "event", EVENT), body=b"{}")], [("changed", 0)]),
    "another time": ([replace(entry(0, "event", EVENT), at=AT + SECOND)], [("changed", 0)]),
    "another number in the table": ([entry(0, "token", token(1), unit="tsu", serial=2)], [("changed", 0)]),
    "another unit in the table": (
        [entry(0, "token", token(1), unit="tsu", serial=1), entry(1, "token", token(2), unit="other", serial=2)],
        [("changed", 1)],
    ),
    "a kind that is none": ([entry(0, "tokens", b"")], [("kind", 0)]),
    "no JSON": ([entry(0, "seal", b"{"), entry(1, "event", b"[]"), entry(2, "revocation", b"\xff")], [("unreadable", n) for n in range(3)]),
    "no token": ([entry(0, "token", b"x"), entry(1, "token", CERTIFICATE), entry(2, "certificate", b"x")], [("unreadable", n) for n in range(3)]),
    "a certificate twice": ([entry(0, "certificate", CERTIFICATE), entry(1, "certificate", CERTIFICATE)], [("serial-twice", 1)]),
}


@pytest.mark.parametrize("name", CASES)
def test_entries(name: str) -> None:
    entries, findings = CASES[name]
    assert found(*entries) == findings


def test_names_that_are_watched() -> None:
    certificate = pki.unit(tsu.issuers()[1]).certificate
    entries = [entry(0, "certificate", certificate.der), entry(1, "certificate", CERTIFICATE)]
    assert found(*entries, examiner=Examiner(watched=[certificate.name.upper()])) == [("unexpected", 0)]
    assert found(*entries, examiner=Examiner(watched=[certificate.name], expected=[certificate.id.hex().upper()])) == []
    assert found(*entries, examiner=Examiner(watched=["nobody"])) == []


def test_roots_are_compared_at_their_sizes() -> None:
    entries = [entry(n, "event", json.dumps({"n": n}).encode()) for n in range(9)]
    leaves = [e.leaf for e in entries]
    right = [(size, root_of(leaves[:size]), "kept") for size in (0, 1, 4, 4, 9)]
    done = Examined()
    assert list(examined(entries, right, Examiner(), done)) == [] and done.frontier.root() == root_of(leaves)
    wrong = [*right[:3], (4, bytes(32), "forged"), *right[4:], (12, bytes(32), "later")]
    findings = list(examined(entries, wrong, Examiner(), Examined()))
    assert [(f.what, "forged" in f.detail, "later" in f.detail) for f in findings] == [("root", True, False), ("missing", False, True)]


def test_what_was_seen_can_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examine, "PAGE", 2)
    entries = [entry(0, "certificate", CERTIFICATE), *(entry(n, "token", token(n)) for n in (1, 2)), entry(3, "token", token(5))]
    seen, done = Seen(), Examined()
    assert list(examined(entries[:2], (), Examiner(seen), done)) == []
    again = remembered(json.loads(json.dumps(kept(seen))))
    assert again == seen
    rest: list[Finding] = list(examined(entries[2:], (), Examiner(again), done))
    assert [(f.what, f.index) for f in rest] == [("serial-gap", 3)]
    assert done.frontier.root() == root_of(e.leaf for e in entries)


def test_an_export_is_read_as_it_was_written(tmp_path: Path) -> None:
    entries = [entry(0, "event", EVENT), entry(1, "token", token(1), unit="tsu", serial=1)]
    path = tmp_path / "export.jsonl"
    path.write_text("".join(line_of(each) + "\n" for each in entries))
    assert list(exported.entries(path)) == entries


NO_EXPORT = {
    "empty": "",
    "no JSON": "x",
    "a list": "[]",
    "an empty object": "{}",
    "a text for a number": '{"index": "x"}',
    "deep": "[" * 2000,
    "long": '"' + "x" * 200_000 + '"',
}


@pytest.mark.parametrize("name", NO_EXPORT)
def test_what_is_no_export(tmp_path: Path, name: str) -> None:
    path = tmp_path / "export.jsonl"
    path.write_text(NO_EXPORT[name] + "\n")
    with pytest.raises(Malformed, match="line 1"):
        list(exported.entries(path))
