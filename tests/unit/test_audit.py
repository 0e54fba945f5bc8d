"""`kakuin audit`: each story is a log or a folder, what is found in it, and the exit code."""

import csv
import hashlib
import io
import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

import cli
from tests import auditing, pki
from tests.auditing import HEAD, OFFICE, SECOND, Line, clock, event, export, numbered, stamp, unit_name
from tests.envelopes import integer, seq
from tests.pki import DAY, SIGNED
from trust.edge.settings import DEVELOPMENT_POLICY
from trust.errors import Malformed
from trust.log.journal import Entry
from trust.model import Digest
from verifier.audit import auditor, rows, wording
from verifier.audit.clock import Clocks
from verifier.audit.expected import Expected, named_in
from verifier.audit.report import Rows
from verifier.audit.rows import COLUMNS, Row
from verifier.audit.serials import Gap, Serials
from verifier.audit.summary import render
from verifier.report.text import Style

OTHER = pki.pki().tsu
SECOND_UNIT = pki.unit(OFFICE.ca, "Example TSU 2")
SHORT = pki.unit(
    OFFICE.ca, "Example TSU 3", extensions=((x509.PrivateKeyUsagePeriod(pki.ISSUED.replace(tzinfo=None), SIGNED.replace(tzinfo=None)), False),)
)


def audited(folder: Path, capsys: pytest.CaptureFixture[str], *source: str | Path, code: int | None = None) -> dict[str, Any]:
    """The summary."""
    capsys.readouterr()
    got = cli.main(["audit", *map(str, source), *auditing.beside(folder), "--json"])
    out = capsys.readouterr()
    assert code is None or got == code, out.out + out.err
    found: dict[str, Any] = json.loads(out.out)
    return found


def codes(found: dict[str, Any]) -> dict[str, int]:
    return {code: each["count"] for code, each in found["findings"].items()}


def tokens(*serials: int, **more: Any) -> list[Line]:
    return [stamp(serial, **more) for serial in serials]


def revocation(party: pki.Party, since: datetime) -> Line:
    said = {"serial": f"{party.certificate.serial:x}", "time": since.isoformat(), "reason": "keyCompromise"}
    return Line("revocation", json.dumps(said).encode(), SIGNED + 5 * SECOND)


SOUND = [*HEAD, *tokens(1, 2, 3, 4, 5)]
STORIES: dict[str, tuple[list[Line], dict[str, int], int]] = {
    "nothing is wrong": (SOUND, {}, 0),
    "a number that nothing explains": ([*HEAD, *tokens(1, 2, 4)], {"serial-gap": 1}, 1),
    "the first number is missing": ([*HEAD, *tokens(2, 3)], {"serial-gap": 1}, 1),
    "a number declared void": (
        [*HEAD, *tokens(1, 2), event(2, event="serials-void", unit=unit_name(), first=3, last=4, why="holder ended"), *tokens(5)],
        {"gap-explained": 1},
        0,
    ),
    "declared void in two parts": (
        [
            *HEAD,
            *tokens(1),
            event(1, event="serials-void", unit=unit_name(), first=2, last=3, why="refused"),
            event(1, event="serials-void", unit=unit_name(), first=4, last=4, why="refused"),
            *tokens(5),
        ],
        {"gap-explained": 1},
        0,
    ),
    "void, and one more": (
        [*HEAD, *tokens(1), event(1, event="serials-void", unit=unit_name(), first=2, last=3, why="refused"), *tokens(5)],
        {"serial-gap": 1},
        1,
    ),
    "another unit's void": ([*HEAD, *tokens(1), event(1, event="serials-void", unit="tsu-0", first=2, last=2), *tokens(3)], {"serial-gap": 1}, 1),
    "a number twice": ([*HEAD, *tokens(1, 2), stamp(2, 3, over=auditing.imprint(9))], {"serial-twice": 1}, 1),
    "numbers in another order": ([*HEAD, *tokens(1), stamp(3, 2), stamp(2, 3), *tokens(4)], {"serial-order": 1}, 1),
    "times in another order": ([*HEAD, *tokens(1), stamp(2, 9), replace(stamp(3, 8), at=SIGNED + 9 * SECOND)], {"time-order": 1}, 1),
    "two units in turn": (
        [*HEAD, auditing.certificate(SECOND_UNIT), stamp(1), stamp(1, 2, unit=SECOND_UNIT), stamp(2, 2), stamp(2, 3, unit=SECOND_UNIT)],
        {},
        0,
    ),
    "the development clock": ([*HEAD, stamp(1, policy=DEVELOPMENT_POLICY)], {"development-clock": 1}, 1),
    "no word of the clock": ([*HEAD[:2], *tokens(1, 2)], {"clock-unknown": 2}, 1),
    "a clock that was not good": ([*HEAD, *tokens(1), clock(1, "stepped"), *tokens(2), clock(2), *tokens(3)], {"clock-not-good": 1}, 1),
    "one of two processes has a good clock": ([*HEAD, clock(0, "imprecise", "b"), *tokens(1)], {}, 0),
    "long after the goodbye": ([*HEAD, clock(0, reason="end"), stamp(1, 1), stamp(2, 3600)], {"clock-not-good": 1}, 1),
    "a certificate that is none": ([*HEAD, Line("certificate", b"0", SIGNED), *tokens(1)], {"log-unreadable": 1}, 1),
    "a state that no clock has": ([*HEAD[:2], clock(0, "=splendid"), *tokens(1)], {"clock-unknown": 1}, 1),
    "an event without sense": ([*HEAD, Line("event", b'{"event":"clock"}', SIGNED), *tokens(1)], {}, 0),
    "a unit that was retired": (
        [*HEAD, *tokens(1), event(1, event="unit-retired", unit=unit_name(), name="tsu"), *tokens(2)],
        {"unit-retired": 1},
        1,
    ),
    "a unit that was revoked": (
        [
            *HEAD,
            *tokens(1),
            Line("revocation", json.dumps({"serial": f"{OFFICE.tsu.certificate.serial:x}", "time": SIGNED.isoformat()}).encode(), SIGNED + SECOND),
            *tokens(2),
        ],
        {"unit-revoked": 1, "status-old": 1},
        1,
    ),
    "a unit that the log revokes and the lists do not": (
        [*HEAD, *tokens(1), revocation(OFFICE.tsu, SIGNED + 5 * SECOND)],
        {"status-old": 1},
        1,
    ),
    "a unit that was revoked after the time as of which is judged": ([*HEAD, *tokens(1), revocation(OFFICE.tsu, auditing.AT + SECOND)], {}, 0),
    "another unit that was revoked": ([*HEAD, *tokens(1), revocation(SECOND_UNIT, SIGNED)], {}, 0),
    "a unit that the log does not know": ([HEAD[0], clock(0), *tokens(1)], {"unit-unlisted": 1}, 1),
    "a key beyond its period": ([*HEAD, auditing.certificate(SHORT), stamp(1, unit=SHORT)], {"key-period": 1}, 1),
    "a time after its record": ([*HEAD, stamp(1, 20, late=timedelta(seconds=-1.5))], {"time-after-record": 1}, 1),
    "recorded late": ([*HEAD, stamp(1, late=timedelta(seconds=61))], {"recorded-late": 1}, 1),
    "another number in the table": ([*HEAD, replace(stamp(1), serial=7)], {"table-differs": 1}, 1),
    "no token at all": ([*HEAD, Line("token", b"\x30\x03\x02\x01\x00", SIGNED), *tokens(1)], {"unreadable": 1}, 1),
    "a token of nobody that is trusted": ([*HEAD, stamp(1, unit=OTHER)], {"unit-unlisted": 1}, 1),
    "a token without certificates": ([*HEAD, stamp(1, certificates=())], {}, 0),
}


@pytest.mark.parametrize("name", STORIES)
def test_what_is_found_in_a_log(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines, expected, code = STORIES[name]
    found = audited(tmp_path, capsys, "--export", export(tmp_path / "log.jsonl", numbered(lines)), code=code)
    assert codes(found) == {code: count for code, count in expected.items() if count}
    assert found["log"]["entries"] == len(lines) and found["log"]["root"] is not None
    assert found["tokens"] == sum(line.kind == "token" for line in lines)


def _without(entries: list[Entry], index: int) -> list[Entry]:
    return [e for e in entries if e.index != index]


def _swapped(entries: list[Entry], index: int) -> list[Entry]:
    return [*entries[:index], entries[index + 1], entries[index], *entries[index + 2 :]]


def _flipped(entries: list[Entry], index: int) -> list[Entry]:
    body = entries[index].body
    return [auditing.changed(e, body[:-1] + bytes((body[-1] ^ 1,))) if e.index == index else e for e in entries]


TAMPERED: dict[str, tuple[Callable[[list[Entry], int], list[Entry]], dict[str, int]]] = {
    "one dropped": (_without, {"serial-gap": 1, "log-missing": 3}),
    "two exchanged": (_swapped, {"serial-order": 1, "log-missing": 1, "log-order": 1, "log-time": 1}),
    "one changed": (_flipped, {"not-valid": 1, "log-changed": 1}),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_an_export_that_was_tampered_with(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tamper, expected = TAMPERED[name]
    found = audited(tmp_path, capsys, "--export", export(tmp_path / "log.jsonl", tamper(numbered(SOUND), 4)), code=1)
    assert codes(found) == expected


def test_a_part_of_a_log_is_audited_as_what_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the fifth entry on: no root, no first number, no list of units; and no clock, which is a finding."""
    found = audited(tmp_path, capsys, "--export", export(tmp_path / "log.jsonl", numbered(SOUND)[4:]), code=1)
    assert codes(found) == {"clock-unknown": 4}
    assert (found["log"]["root"], found["log"]["first"], found["units"][0]["first"]) == (None, 4, "2")


def test_a_period_follows_what_was_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = export(tmp_path / "log.jsonl", numbered([*HEAD, *tokens(1, 2, 4, 5, 6), clock(7, "stepped"), *tokens(8)]))
    since, until = ((SIGNED + n * SECOND).isoformat() for n in (4, 6))
    found = audited(tmp_path, capsys, "--export", path, "--from", since, "--to", until, code=1)
    assert (found["tokens"], found["skipped"], codes(found)) == (2, 4, {"serial-gap": 1})
    found = audited(tmp_path, capsys, "--export", path, "--from", (SIGNED + 5 * SECOND).isoformat(), "--to", until)
    assert found["tokens"] == 1


def test_a_period_is_told_of_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is missing in front of it is an earlier audit's finding, and a unit that rested is none of its units."""
    lines = [*HEAD, auditing.certificate(SECOND_UNIT), stamp(1, unit=SECOND_UNIT), *tokens(1, 3, 5), *tokens(7, 8)]
    since = (SIGNED + 6 * SECOND).isoformat()
    found = audited(tmp_path, capsys, "--export", export(tmp_path / "log.jsonl", numbered(lines)), "--from", since, code=1)
    assert found["findings"]["serial-gap"]["first"] == [f"{unit_name()} 6"]
    [unit] = found["units"]
    assert (unit["unit"], unit["tokens"], unit["first"], unit["last"], unit["missing"]) == (unit_name(), 2, "7", "8", "1")


PERIODS = {
    ("2025", "2026"): ("2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
    ("2025-04+09:00", "2026-04+09:00"): ("2025-03-31T15:00:00Z", "2026-03-31T15:00:00Z"),
    ("2025-03-01Z", "2025-03-02"): ("2025-03-01T00:00:00Z", "2025-03-02T00:00:00Z"),
    ("2025-03-01T09:00:00+09:00", "2025-03-02+09:00"): ("2025-03-01T00:00:00Z", "2025-03-01T15:00:00Z"),
}


@pytest.mark.parametrize("period", PERIODS, ids=" ".join)
def test_periods_as_people_write_them(period: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = export(tmp_path / "log.jsonl", numbered(SOUND))
    found = audited(tmp_path, capsys, "--export", path, "--from", period[0], "--to", period[1])
    assert tuple(found["period"].values()) == PERIODS[period]


@pytest.mark.parametrize("text", ["2025-13", "2025-02-30", "25-03", "2025-03-01T09:00", "2025/03/01", "2025-03-01+9", "２０２５", "0001+09:00", ""])
def test_what_is_no_period(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["audit", "--export", str(tmp_path / "log.jsonl"), "--from", text or " "]) == 2
    assert "time" in capsys.readouterr().err


def test_a_number_used_twice_across_the_beginning_of_a_period(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = export(tmp_path / "log.jsonl", numbered([*HEAD, *tokens(1, 3), stamp(3, 4, over=auditing.imprint(9)), stamp(2, 5)]))
    found = audited(tmp_path, capsys, "--export", path, "--from", (SIGNED + 4 * SECOND).isoformat(), code=1)
    assert codes(found) == {"serial-twice": 1, "serial-order": 1}


def test_a_row_says_what_the_summary_says_of_its_gap(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    void = event(2, event="serials-void", unit=unit_name(), first=2, last=3, why="refused")
    lines = tmp_path / "out.jsonl"
    path = export(tmp_path / "log.jsonl", numbered([*HEAD, *tokens(1), void, *tokens(4, 6)]))
    audited(tmp_path, capsys, "--export", path, "--jsonl", lines, code=1)
    read = [json.loads(line) for line in lines.read_text("utf-8").splitlines()[1:]]
    assert [(r["kind"], r.get("findings"), r.get("detail")) for r in read] == [
        ("token", None, None),
        ("token", ["gap-explained"], None),
        ("token", ["serial-gap"], None),
        ("gap-explained", ["gap-explained"], "2-3"),
        ("serial-gap", ["serial-gap"], "5"),
    ]


def test_a_row_says_what_is_not_met(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = tmp_path / "out.jsonl"
    audited(tmp_path, capsys, "--export", export(tmp_path / "log.jsonl", numbered([*HEAD, stamp(1, unit=OTHER)])), "--jsonl", lines, code=1)
    [row] = [json.loads(line) for line in lines.read_text("utf-8").splitlines()[1:]]
    assert row["verdict"] == "indeterminate" and re.fullmatch(r"not met: .{10,}", row["why"])


def test_a_time_before_all_times_is_no_entry(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = export(tmp_path / "log.jsonl", numbered(SOUND))
    path.write_text(path.read_text().replace("2025-03-01", "1925-03-01", 1))
    assert cli.main(["audit", "--export", str(path)]) == 65
    assert "line 1 is no entry" in capsys.readouterr().err


def test_names_that_are_no_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file name may hold any octets; reports stay text."""
    folder = folder_of(tmp_path / "tokens", {"a\udcff.tsr": b"0"})
    table, lines = tmp_path / "o.csv", tmp_path / "o.jsonl"
    found = audited(tmp_path, capsys, folder, "--csv", table, "--jsonl", lines, code=1)
    assert codes(found) == {"unreadable": 1}
    assert len(lines.read_text("utf-8").splitlines()) == 2 and "dcff" in table.read_text("utf-8-sig")


def test_expected_stamps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "paper.txt").write_bytes(b"document 3")
    (tmp_path / "unstamped.txt").write_bytes(b"nobody stamped this")
    digests = [hashlib.sha256(b"document %d" % n).hexdigest() for n in (1, 2, 99)]
    lines = [f"{digests[0]}  one.pdf", f"sha256:{digests[1].upper()}", f"{digests[2]} *lost.pdf", "paper.txt", "unstamped.txt"]
    (tmp_path / "expected").write_text("\n".join(lines) + "\n")
    path = export(tmp_path / "log.jsonl", numbered(SOUND))
    table = tmp_path / "out.csv"
    found = audited(tmp_path, capsys, "--export", path, "--expect", tmp_path / "expected", "--csv", table, code=1)
    assert found["expected"] == {"listed": 5, "missing": 2, "unlisted": 2}
    assert found["findings"]["missing"]["first"] == ["lost.pdf", "unstamped.txt"]
    read = list(csv.DictReader(io.StringIO(table.read_text("utf-8-sig"))))
    assert [(r["kind"], r["expected"]) for r in read] == [
        ("token", "one.pdf"),
        ("token", ""),
        ("token", "paper.txt"),
        ("token", ""),
        ("token", ""),
        ("missing", "lost.pdf"),
        ("missing", "unstamped.txt"),
    ]


def test_expected_as_other_tools_write_it(tmp_path: Path) -> None:
    known = [Digest.of("sha256", b"document %d" % n) for n in range(4)]
    (tmp_path / "b\udcff").write_bytes(b"document 3")
    lines = [f"SHA256 (a) = {known[0].value.hex()}", f"\\{known[1].value.hex()}  a\\nb", f"sha256:{known[2].value.hex()}  c\udcff", "b\udcff"]
    (tmp_path / "list").write_text("\n".join(lines), "utf-8", "surrogateescape")
    with Expected(tmp_path / "list") as expected:
        assert [expected.called(each) for each in known] == ["a", "a\nb", "c\\udcff", "b\\udcff"]
    assert list(named_in(tmp_path / "list")) == [tmp_path / "b\udcff"]


@pytest.mark.parametrize("line", ["zz", "", "ab" * 20, "md4:" + "0" * 64, "sha512:" + "0" * 64, "nul\0"], ids=range(6))
def test_a_line_that_expects_nothing_is_told_by_its_number(line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "expected").write_text("0" * 64 + "\n" + line + "\n")
    path = export(tmp_path / "log.jsonl", numbered(SOUND))
    assert cli.main(["audit", "--export", str(path), "--expect", str(tmp_path / "expected")]) in (65, 66)
    assert "expected, line 2: " in capsys.readouterr().err


def folder_of(path: Path, files: dict[str, bytes]) -> Path:
    path.mkdir()
    for name, data in files.items():
        (path / name).write_bytes(data)
    return path


def test_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    token = {n: stamp(n).body for n in (1, 2, 3, 5)}
    files = {
        "a.txt": b"document 1",
        "a.txt.tsr": seq(seq(integer(0)), token[1]),
        "b.txt": b"something else",
        "b.txt.tst": token[2],
        "c": token[5],
        "copy of c.tsr": seq(seq(integer(0)), token[5]),
        "broken.tsr": b"\x30\x03\x02\x01\x00",
        "empty.tsr": b"",
        "notes.txt": b"nothing of the kind",
        "twice": stamp(3, over=auditing.imprint(77)).body,
        "z": token[3],
    }
    table = tmp_path / "out.csv"
    found = audited(tmp_path, capsys, folder_of(tmp_path / "tokens", files), "--csv", table, code=1)
    assert codes(found) == {"not-valid": 1, "unreadable": 2, "serial-twice": 1, "gap-seen": 1, "copy": 1}
    assert (found["tokens"], found["skipped"], found["log"], found["clock"]) == (8, 3, None, None)
    read = {Path(r["file"]).name: r for r in csv.DictReader(io.StringIO(table.read_text("utf-8-sig")))}
    assert (read["a.txt.tsr"]["document"], read["b.txt.tst"]["document"], read["c"]["document"]) == ("matches", "differs", "")
    assert [r["serial"] for r in read.values() if r["kind"] == "token"] == ["", "", "1", "2", "3", "3", "5", "5"]


def test_times_of_files_are_held_against_their_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = folder_of(tmp_path / "tokens", {"1": stamp(1, 5).body, "2": stamp(2, 4).body})
    assert codes(audited(tmp_path, capsys, folder, code=1)) == {"time-order": 1}


def test_a_list_of_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder_of(tmp_path / "tokens", {"1.tsr": stamp(1).body, "2.tsr": stamp(2).body})
    (tmp_path / "list").write_text("tokens/1.tsr\ntokens/2.tsr\ntokens/3.tsr\n")
    found = audited(tmp_path, capsys, "--list", tmp_path / "list", code=1)
    assert (found["tokens"], codes(found)) == (3, {"unreadable": 1})


def test_a_pipe_on_a_list_is_not_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "2.tsr").write_bytes(stamp(2).body)
    os.mkfifo(tmp_path / "1.tsr")
    os.mkfifo(tmp_path / "other")
    (tmp_path / "list").write_text("1.tsr\n2.tsr\nother\n")
    found = audited(tmp_path, capsys, "--list", tmp_path / "list", code=1)
    assert codes(found) == {"unreadable": 2} and found["verdicts"]["passed"] == 1


def test_who_trusts_nobody_cannot_tell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = export(tmp_path / "log.jsonl", numbered(SOUND))
    assert cli.main(["audit", "--export", str(path), "--at", auditing.AT.isoformat()]) == 3
    assert capsys.readouterr().out.startswith("CANNOT TELL\n")


def test_a_table_that_spreadsheets_open(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = {"=cmd|calc!A0.tsr": stamp(1 << 80, 1).body, "@b.tsr": b"\x30", "ファイル.tsr": stamp(2).body}
    (tmp_path / "list").write_text("".join(f"{name}\n" for name in files))
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    table = tmp_path / "out.csv"
    audited(tmp_path, capsys, "--list", "list", "--csv", table, code=1)
    data = table.read_bytes()
    assert data.startswith(b"\xef\xbb\xbfkind,") and data.count(b"\r\n") == data.count(b"\n")
    read = list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))
    assert {len(line) for line in read} == {len(COLUMNS)}
    assert not any(cell.startswith(("=", "+", "-", "@", "\t")) for line in read for cell in line)
    assert "'=cmd|calc!A0.tsr" in {cell for line in read for cell in line}
    assert "0x100000000000000000000" in {cell for line in read for cell in line}


FOREIGN = ("file", "authority", "why", "expected", "detail", "clock")
"""Columns with words that others chose."""


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "＝1+1", "＋1", "－1", "＠x"], ids=range(10))
def test_no_cell_is_a_formula(text: str) -> None:
    for cell in rows.cells(Row(**dict.fromkeys(FOREIGN, text))):
        assert not str(cell or "").startswith(("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠"))


NUMBERS = (
    *("3-7", "0012", "2026-01-02", "2026/1/2", "1e5", "12:30", "1,000", "1.50", "(5)", "10%", "¥100"),
    *("R8.1.2", "1月2日", "令和8年1月2日", "７－９", "Mar-7", "1-jan-2026", "TRUE", "1234567890123456"),
    "12:30 pm",
    "1" * 400,
)


@pytest.mark.parametrize("text", NUMBERS, ids=range(len(NUMBERS)))
def test_no_cell_becomes_a_date_or_another_number(text: str) -> None:
    """A gap 3-7 that a spreadsheet shows as the seventh of March is no gap to whoever reads it."""
    found = dict(zip(COLUMNS, rows.cells(Row(**dict.fromkeys(FOREIGN, text))), strict=True))
    assert [found[name] for name in FOREIGN] == [f"'{text}"] * len(FOREIGN)


@pytest.mark.parametrize(("policy", "cell"), [("2.10", "'2.10"), ("1.2.3", "'1.2.3"), ("1.2.392.1", "1.2.392.1")], ids=["2", "3", "4"])
def test_a_policy_of_few_numbers_is_no_number(policy: str, cell: str) -> None:
    assert dict(zip(COLUMNS, rows.cells(Row(policy=policy)), strict=True))["policy"] == cell


@pytest.mark.parametrize("text", ["417", "0", "3.tst", "a-1", "tokens/2026-01-02", "請求書", "Example TSU 1", "entry 3", "may be"], ids=range(9))
def test_other_cells_stay_as_they_are(text: str) -> None:
    assert dict(zip(COLUMNS, rows.cells(Row(file=text, detail=text)), strict=True))["detail"] == text


def test_lines_of_json_with_the_summary_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = tmp_path / "out.jsonl"
    found = audited(tmp_path, capsys, "--export", export(tmp_path / "log.jsonl", numbered([*HEAD, *tokens(1, 3)])), "--jsonl", lines, code=1)
    head, *read = map(json.loads, lines.read_text("utf-8").splitlines())
    assert head == {"summary": found}
    assert [(r["kind"], r.get("serial"), r.get("findings")) for r in read] == [
        ("token", 1, None),
        ("token", 3, ["serial-gap"]),
        ("serial-gap", None, ["serial-gap"]),
    ]
    assert datetime.fromisoformat(read[0]["time"]) == SIGNED + SECOND


def test_a_table_that_is_piped_is_not_mixed_with_the_summary(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = export(tmp_path / "log.jsonl", numbered(SOUND))
    command = ["audit", "--export", str(path), *auditing.beside(tmp_path)]
    assert cli.main([*command, "--csv", "-"]) == 0
    out, told = capfd.readouterr()
    assert len(list(csv.reader(io.StringIO(out)))) == 6 and told.startswith("NOTHING IS WRONG\n")
    assert cli.main([*command, "--jsonl", "-", "--json"]) == 0
    out, told = capfd.readouterr()
    assert len([json.loads(line) for line in out.splitlines()]) == 6 and json.loads(told)["tokens"] == 5
    assert cli.main([*command, "--jsonl", "-", "--csv", "-"]) == 2


def test_who_names_the_wrong_folder_is_not_told_that_all_is_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "log.jsonl").touch()
    folder_of(tmp_path / "notes", {"a.txt": b"a"})
    assert audited(tmp_path, capsys, "--export", tmp_path / "log.jsonl", code=3)["conclusion"] == "indeterminate"
    assert audited(tmp_path, capsys, tmp_path / "notes", code=3)["tokens"] == 0
    whole = export(tmp_path / "whole.jsonl", numbered(SOUND))
    assert audited(tmp_path, capsys, "--export", whole, "--from", "2030", code=0)["tokens"] == 0


def test_what_ends_early_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = export(tmp_path / "log.jsonl", numbered(SOUND))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    taken: list[Row] = []

    def take(self: Rows, row: Row) -> None:
        taken.append(row)
        if len(taken) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(Rows, "take", take)
    before = {p.name for p in tmp_path.iterdir()}
    options = auditing.beside(tmp_path)
    assert cli.main(["audit", "--export", str(path), "--csv", str(tmp_path / "o.csv"), "--jsonl", str(tmp_path / "o.jsonl"), *options]) == 130
    assert {p.name for p in tmp_path.iterdir()} - before == {"root.cer", "ca.cer", "root.crl", "ca.crl"}
    assert not list(temporary.iterdir())


@pytest.mark.parametrize(
    "wrong",
    [
        ["x.tsr", "--export", "e"],
        ["x.tsr", "--key", "k"],
        ["--export", "e", "--checkpoint", "c"],
        ["x.tsr", "--seal", "s"],
        ["x.tsr", "--from", "2026-01-02", "--to", "2026-01-01"],
        ["x.tsr", "--from", "yesterday"],
    ],
    ids=["two sources", "a key of files", "a checkpoint without a key", "nobody seals", "no period", "no time"],
)
def test_usage(wrong: Sequence[str]) -> None:
    assert cli.main(["audit", *wrong]) == 2


def test_a_summary_in_both_languages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [*HEAD, *tokens(1, 3, 3), stamp(4, policy=DEVELOPMENT_POLICY)]
    (tmp_path / "expected").write_text("0" * 64 + "\n")
    found = audited(tmp_path, capsys, "--export", export(tmp_path / "log.jsonl", numbered(lines)), "--expect", tmp_path / "expected", code=1)
    english, japanese = (render(found, Style(language)) for language in ("en", "ja"))
    assert english.startswith("SOMETHING IS WRONG\n") and japanese.startswith("問題があります\n")
    assert "serial number used twice (serial-twice)" in english and "シリアル番号の重複 (serial-twice)" in japanese
    assert not re.search("[ぁ-ん一-龠]", english)
    assert max(map(len, english.splitlines())) <= 100


def test_every_code_has_words() -> None:
    """Found in the sources themselves."""
    folder = Path(auditor.__file__).parent
    said = set(
        re.findall(
            r'"((?:serial|time|clock|unit|key|table|recorded|gap|not|development)-[a-z-]+|unreadable|copy|missing)"',
            "".join((folder / name).read_text("utf-8") for name in ("auditor.py", "serials.py", "units.py")),
        )
    )
    assert said >= {"serial-twice", "unit-revoked", "clock-unknown", "copy"}
    assert said - set(wording.FINDINGS) <= {"time-stamp"}
    assert set(wording.FINDINGS) >= auditor.REMARKS
    assert auditor.DEVELOPMENT_POLICY == DEVELOPMENT_POLICY


# The pure parts


def test_gaps_are_filled_from_any_side() -> None:
    serials = Serials(from_one=True)
    for serial in (10, 5, 1, 9, 2, 3, 4):
        serials.take("u", serial, 0)
    assert list(serials.gaps()) == [Gap("u", 6, 8)]
    assert [serials.take("u", serial, 0) for serial in (7, 7, 6, 8, 8, 11)] == [
        ("serial-order",),
        ("serial-twice",),
        ("serial-order",),
        ("serial-order",),
        ("serial-twice",),
        (),
    ]
    assert not list(serials.gaps())


def test_what_is_remembered_of_gaps_is_bounded() -> None:
    serials = Serials(from_one=False, most=2)
    for serial in range(1, 20, 2):
        serials.take("u", serial, serial)
    assert (serials.scattered, len(list(serials.gaps())), serials.units["u"].lost) == (True, 2, 7)


def test_processes_are_forgotten_oldest_first() -> None:
    clocks = Clocks()
    for n in range(1000):
        clocks.take(n, n, {"node": str(n), "state": "good" if n == 0 else "stepped"})
    assert clocks.at(1000).state == "stepped"
    assert clocks.at(1000).index == 999


def test_an_expectation_is_met_by_any_of_a_files_digests(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    (tmp_path / "list").write_text("f\n")
    for algorithm in ("sha256", "sha384", "sha512"):
        with Expected(tmp_path / "list") as expected:
            assert [expected.called(Digest.of(algorithm, data)) for data in (b"y", b"x")] == [None, "f"]
            assert not list(expected.missing())
    with pytest.raises(Malformed):
        (tmp_path / "list").write_text("x" * 9000)
        Expected(tmp_path / "list")


def test_a_time_is_written_as_utc() -> None:
    assert rows.cells(Row(time=datetime(2026, 1, 1, tzinfo=UTC) + DAY / 2))[7] == "2026-01-01T12:00:00Z"
