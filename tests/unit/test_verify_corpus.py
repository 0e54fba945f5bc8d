"""The whole verifier on real files: whatever is in them, there is a report, as the schema says, that can be shown in both languages."""

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pikepdf
import pytest

from bench.corpus import fallen, figures
from tests.schema import faults
from tests.shared import SHARED, needs_shared
from trust.errors import Malformed, TooLarge
from verifier import bulk, service, shapes
from verifier.policy import load
from verifier.report.json import dumps
from verifier.report.plain import columns
from verifier.report.text import Style, render
from verifier.report.texts import LANGUAGES
from verifier.service import Verifier

ROOT = Path(__file__).resolve().parents[2]
SCHEMA: dict[str, Any] = json.loads((ROOT / "verifier/report/report.schema.json").read_text("utf-8"))
pytestmark = [needs_shared, pytest.mark.filterwarnings("ignore")]


def answers(world: str) -> Iterator[dict[str, Any]]:
    from datetime import UTC, datetime

    made = subprocess.run([sys.executable, SHARED / "oracle/corpus.py", "jobs", SHARED / "corpus", world], capture_output=True, text=True, check=True)
    verifier = Verifier(lambda: datetime(2026, 6, 1, tzinfo=UTC), load("eu"))
    return bulk.answers(made.stdout.splitlines(), verifier, service.answer)


def test_every_file_of_the_corpus_has_a_report() -> None:
    count = 0
    for answer in answers("then"):
        count += 1
        told = json.loads(dumps(answer))
        assert list(faults(told, SCHEMA)) == [], answer["id"]
        for language in LANGUAGES:
            shown = render(told, Style(language, 80))
            assert "\x1b" not in shown and "\r" not in shown, answer["id"]
            assert max(columns(line) for line in shown.splitlines()) <= 80 or "error" in told, answer["id"]
        if "error" in told:
            assert told["error"]["type"] in (Malformed.slug, TooLarge.slug), (answer["id"], told["error"])
    assert count > 500


def test_every_tenth_file_of_the_corpus_has_its_page_and_its_paper() -> None:
    count = 0
    for answer in islice(answers("then"), 0, None, 10):
        if "error" in answer:
            continue
        count += 1
        for language in LANGUAGES:
            page = shapes.of_name("a.html").made
            paper = shapes.of_name("a.pdf").made
            assert page and paper
            assert page(answer, language).endswith(b"</html>\n"), answer["id"]
            assert pikepdf.open(io.BytesIO(paper(answer, language))).check_pdf_syntax() == [], answer["id"]
    assert count > 50


def test_no_file_of_the_corpus_is_trusted_without_anchors() -> None:
    for answer in answers("bare"):
        assert answer.get("conclusion") != "passed", answer["id"]
        assert all(s["indication"] != "TOTAL-PASSED" for s in answer.get("signatures", ())), answer["id"]
        assert all(not link["trusted"] for s in answer.get("signatures", ()) for link in s["chain"])


def test_figures_that_fall_are_told() -> None:
    found = figures(" 98.50 %    197 of   200  intact as DSS\n  0.00 %      0 of     0  answered\n                2  FALSE VALID\n")
    assert found == {"intact as DSS": 98.5, "FALSE VALID": 2.0}
    assert fallen(found, {"at_least": {"intact as DSS": 98.5}, "at_most": {"FALSE VALID": 2}}) == []
    assert len(fallen(found, {"at_least": {"intact as DSS": 98.51, "level as DSS": 1.0}, "at_most": {"FALSE VALID": 0, "FALSE INTACT": 0}})) == 4
