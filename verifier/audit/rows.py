"""One row a token, as values and as lines of a table or of JSON. Of 1.x: columns may be added at the end. Pure."""

import csv
import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TextIO

from verifier.report.plain import printable

COLUMNS = (
    "kind", "findings", "index", "recorded", "file", "unit", "serial", "time", "accuracy_us", "policy", "digest", "imprint", "nonce", "authority",
    "certificate", "verdict", "sub_indication", "why", "document", "expected", "clock", "clock_entry", "clock_bound_us", "detail",
)  # fmt: skip
MARK = "\ufeff"
"""By which Excel knows UTF-8."""
LONGEST_NUMBER = 15
"""Digits that a spreadsheet keeps of a number; longer ones are written as text (`_PLAIN`)."""
MAX_CELL = 32_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""How a formula may begin; a Japanese Excel takes the full-width ones too."""
_NUMBER = re.compile(
    r"(?i)[rhstm]?[\d\s.,:;/()%$¥￥＄％．，：／－‐‑–—+\-e年月日時分秒令和平成昭大正明治元午前後]+(?:[ap]m?)?"
    r"|[\d\s.,/-]*(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}[\d\s.,/-]*|true|false"
)
"""What may become a number or a date, in the spreadsheets of both languages: 0012, 3-7, 1e5, 2026-01-02, R8.1.2, 1月2日, Mar-7."""
_PLAIN = re.compile(r"0|[1-9][0-9]{0,14}")
"""A number that stays what it is."""


@dataclass(slots=True)
class Row:
    """`token`, or a finding that is no token's: its code is the kind."""

    kind: str = "token"
    findings: tuple[str, ...] = ()
    index: int | None = None
    """Of the log's entry."""
    recorded: datetime | None = None
    file: str = ""
    unit: str = ""
    serial: int | None = None
    time: datetime | None = None
    accuracy_us: int | None = None
    policy: str = ""
    digest: str = ""
    imprint: str = ""
    nonce: int | None = None
    authority: str = ""
    certificate: str = ""
    """SHA-256 of the unit's, hexadecimal."""
    verdict: str = ""
    """passed, failed, indeterminate; unreadable."""
    sub_indication: str = ""
    why: str = ""
    document: str = ""
    """`matches` or `differs`, where it is there."""
    expected: str = ""
    """What the list of expected stamps calls it."""
    clock: str = ""
    clock_entry: int | None = None
    clock_bound_us: int | None = None
    detail: str = ""


def cells(row: Row) -> tuple[object, ...]:
    """In the order of the columns; nothing that a token or a file name says becomes a formula, a date or another number."""
    return (
        row.kind,
        " ".join(row.findings),
        row.index,
        _time(row.recorded),
        row.file and _text(row.file),
        row.unit,
        _number(row.serial),
        _time(row.time),
        row.accuracy_us,
        row.policy if row.policy.count(".") > 2 else _text(row.policy),
        row.digest,
        row.imprint and f"{row.digest}:{row.imprint}",
        _number(row.nonce),
        row.authority and _text(row.authority),
        row.certificate and f"sha256:{row.certificate}",
        row.verdict,
        row.sub_indication,
        row.why and _text(row.why),
        row.document,
        row.expected and _text(row.expected),
        row.clock and _text(row.clock),
        row.clock_entry,
        row.clock_bound_us,
        row.detail and _text(row.detail),
    )


class Table:
    """RFC 4180, as a spreadsheet opens it: CRLF, and the mark of UTF-8 before the heading."""

    def __init__(self, stream: TextIO) -> None:
        stream.write(MARK)
        self._writer = csv.writer(stream)
        self._writer.writerow(COLUMNS)

    def add(self, row: Row) -> None:
        self._writer.writerow(cells(row))


def json_line(row: Row) -> str:
    """What is known of it; numbers of more than 15 digits, which JSON's readers round, as text."""
    said: dict[str, Any] = {name: value for name in COLUMNS if (value := getattr(row, name)) not in (None, "", ())}
    for name in ("recorded", "time"):
        if name in said:
            said[name] = _time(said[name])
    for name in ("serial", "nonce"):
        if name in said and abs(said[name]) >= 10**LONGEST_NUMBER:
            said[name] = str(said[name])
    return json.dumps(said, ensure_ascii=False) + "\n"


def _time(moment: datetime | None) -> str:
    return "" if moment is None else moment.isoformat().replace("+00:00", "Z")


def _number(value: int | None) -> str:
    """Beyond 15 digits as hexadecimal, so that no spreadsheet rounds it."""
    return "" if value is None else str(value) if 0 <= value < 10**LONGEST_NUMBER else f"{'minus ' if value < 0 else ''}0x{abs(value):x}"


def _text(text: str) -> str:
    if not (text.isascii() and text.isprintable() and len(text) < 300):
        text = printable(text[:MAX_CELL], MAX_CELL)
    return f"'{text}" if text.startswith(_FORMULA) or (_NUMBER.fullmatch(text) and not _PLAIN.fullmatch(text)) else text
