"""Where rows go while an audit runs, and the files that are there whole at its end, or not at all."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TextIO

from trust.edge.options import pieces, written
from trust.model import Document
from verifier.audit.rows import Row, Table, json_line
from verifier.report.parties import Json

SUMMARY_TEXT, SUMMARY_JSON, TOKENS = "summary.txt", "summary.json", "tokens.csv"
"""Names of the files in a sealed report."""
LINES = "rows.jsonl"


class Rows:
    """Rows as files in a folder, each as it comes. close() at the end."""

    def __init__(self, folder: Path, *, csv: bool, lines: bool) -> None:
        self._folder = folder
        self._csv = self._opened(TOKENS) if csv else None
        self._json = self._opened(LINES) if lines else None
        self._table = None if self._csv is None else Table(self._csv)

    def take(self, row: Row) -> None:
        if self._table is not None:
            self._table.add(row)
        if self._json is not None:
            self._json.write(json_line(row))

    def _opened(self, name: str) -> TextIO:
        # What is no character (a file name may hold such octets) is written out.
        return (self._folder / name).open("w", encoding="utf-8", errors="backslashreplace", newline="", buffering=1 << 18)

    def close(self) -> None:
        for stream in (self._csv, self._json):
            if stream is not None:
                stream.close()


class Report:
    """`with Report(…) as report:`; the rows go into its folder, and `finish` once all is known. What is left early leaves nothing behind."""

    def __init__(self, *, table: Path | None, lines: Path | None, sealed: bool) -> None:
        """`table` and `lines`: where the CSV and the JSON lines shall be."""
        self._table, self._lines, self._sealed = table, lines, sealed
        self._temporary = tempfile.TemporaryDirectory(prefix="kakuin-")
        self.folder = Path(self._temporary.name)

    def rows(self) -> Rows:
        """Those that are wanted."""
        return Rows(self.folder, csv=self._table is not None or self._sealed, lines=self._lines is not None)

    def __enter__(self) -> "Report":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._temporary.cleanup()

    def finish(self, summary: Json, text: str) -> list[Document]:
        """The table and the lines where they shall be, the summary at the head of the lines; and what is to be sealed."""
        head = (json.dumps({"summary": summary}, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
        if self._lines is not None:
            written(_joined(head, self.folder / LINES), self._lines, replace=True)
        table = self.folder / TOKENS
        if not table.exists():
            return []
        if self._table is not None:
            written(pieces(table.open("rb")), self._table, replace=True)
        return [
            Document.of(text.encode(), SUMMARY_TEXT),
            Document.of((json.dumps(summary, ensure_ascii=False, indent=2) + "\n").encode("utf-8", "backslashreplace"), SUMMARY_JSON),
            Document(TOKENS, table.stat().st_size, lambda: table.open("rb")),
        ]


def _joined(head: bytes, path: Path) -> Iterator[bytes]:
    yield head
    yield from pieces(path.open("rb"))
