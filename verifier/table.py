"""The answers for many files as a table for spreadsheets: RFC 4180, in UTF-8 with the mark by which Excel knows it."""

import csv
import io
from collections.abc import Iterator
from typing import Any

from verifier.report.parties import Json
from verifier.report.plain import printable

COLUMNS = (
    "file", "conclusion", "reasons", "format", "signatures", "signers", "organizations", "corporate_numbers", "levels", "indications",
    "best_signature_time", "timestamps", "not_covered", "size", "sha256", "validation_time", "policy", "bundle", "engine", "error",
)  # fmt: skip
"""Of 1.x: columns may be added at the end."""
BETWEEN = " | "
"""Several values in one cell."""
MAX_CELL = 32_000
"""Characters: Excel takes 32,767."""
MARK = "\ufeff"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def heading() -> str:
    return MARK + _line(COLUMNS)


def row(report: Json, name: str) -> str:
    """One file's line."""
    return _line(_cell(v) for v in _values(report, name))


def _values(report: Json, name: str) -> Iterator[Any]:
    file = report.get("file") or {}
    signatures = report.get("signatures", [])
    signers = [s["signer"] or {} for s in signatures]
    yield from (name, report.get("conclusion", "error"))
    yield [r["text"] for r in report.get("reasons", [])]
    yield from (report.get("format"), len(signatures) if signatures or "format" in report else None)
    yield from ([s.get(key) for s in signers] for key in ("name", "organization", "corporate_number"))
    yield [s["level"] for s in signatures]
    yield [" ".join(x for x in (s["indication"], s["sub_indication"]) if x) for s in signatures]
    yield [s["best_signature_time"] for s in signatures]
    yield [t["time"] for t in report.get("timestamps", [])]
    yield [u["name"] for u in report.get("uncovered", []) if u["grave"]]
    yield from (file.get(key) for key in ("size", "sha256"))
    yield from (report.get(key) for key in ("validation_time", "policy", "bundle", "engine"))
    yield (report.get("error") or {}).get("text")


def _cell(value: Any) -> str:
    """As text; what a file says of itself never becomes a formula of the spreadsheet."""
    text = BETWEEN.join(str(v) if v is not None else "" for v in value) if isinstance(value, list) else "" if value is None else str(value)
    text = printable(text)[:MAX_CELL]
    return f"'{text}" if text.startswith(_FORMULA) else text


def _line(cells: Any) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue()
