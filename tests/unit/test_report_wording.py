"""A Japanese report is Japanese throughout: every requirement that the process states has its translation, found in the sources themselves."""

import ast
import string
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.verdicts import signature_verdict, verdict
from verifier.report.json import report
from verifier.report.refusals import REFUSALS
from verifier.report.text import Style, render
from verifier.report.wording import CRL_REASONS, FACTS, LONGEST, REQUIREMENTS, THINGS, is_fact, reworded
from verifier.verdict import Conclusion, Indication, Step, SubIndication

ROOT = Path(__file__).resolve().parents[2]
STATED_AT = {"require": 3, "note": 3, "conclude": 1, "Problem": 4}
"""Calls by name -> which argument is the text."""
TABLES = {"REQUIREMENTS": REQUIREMENTS, "FACTS": FACTS, "THINGS": THINGS, "REFUSALS": REFUSALS}
EVERY = [(f"{name}: {key}", key, ja) for name, table in TABLES.items() for key, ja in table.items()]


def template(node: ast.expr) -> str | None:
    """A text of the sources with `{}` where it is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return None


def texts(node: ast.expr) -> Iterator[str]:
    """Also of `a if x else b`."""
    for part in (node.body, node.orelse) if isinstance(node, ast.IfExp) else (node,):
        if (text := template(part)) is not None:
            yield text


def stated(path: Path) -> Iterator[str]:
    """What a module of the process requires: arguments of the trace's calls, and what is called `why` on its way there."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id if isinstance(node.func, ast.Name) else ""
            at = STATED_AT.get(name)
            if at is not None and len(node.args) > at:
                yield from texts(node.args[at])
            if name == "append" and node.args and isinstance(node.args[0], ast.Tuple) and len(node.args[0].elts) == 5:
                yield from texts(node.args[0].elts[2])
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "why" for t in node.targets):
            yield from texts(node.value)


PROCESS = sorted({text for path in (ROOT / "verifier/process").glob("*.py") if path.name != "trace.py" for text in stated(path)})


def faults() -> set[str]:
    """What verifier/chains says of certificates: the third argument of Fault, and defects of one certificate."""
    found: set[str] = set()
    for path in (ROOT / "verifier/chains").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Fault":
                found |= set(texts(node.args[2]))
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "defects.append":
                found |= set(texts(node.args[0]))
    return found


def uncovered() -> set[str]:
    """What readers say of things that no signature covers: the second argument of Uncovered, of forbid() and remark()."""
    found: set[str] = set()
    for path in (ROOT / "verifier/formats").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and len(node.args) > 1:
                name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id if isinstance(node.func, ast.Name) else ""
                if name in ("Uncovered", "forbid", "remark"):
                    found |= set(texts(node.args[1]))
    return found - {"{} {}"}  # forbid() and remark() themselves


def refusals() -> set[str]:
    """What readers of evidence records refuse: a report of the document that has one says it."""
    found: set[str] = set()
    for name in ("hashtree", "xmlers"):
        for node in ast.walk(ast.parse((ROOT / f"trust/codecs/{name}.py").read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Malformed":
                found |= set(texts(node.args[0]))
    return found


def test_the_sources_are_read_at_all() -> None:
    assert len(PROCESS) > 45
    assert "the certificate is not revoked" in PROCESS
    assert "extended key usage is timeStamping" in PROCESS
    assert "the algorithms of the {} are acceptable" in PROCESS
    assert len(faults()) > 10
    assert len(refusals()) > 12
    assert "filled in" in uncovered() and "no signature covers this element" in uncovered()


@pytest.mark.parametrize("text", PROCESS)
def test_every_requirement_of_the_process_has_its_translation(text: str) -> None:
    assert text in REQUIREMENTS or text in FACTS


@pytest.mark.parametrize("text", sorted(faults()))
def test_every_fault_of_a_chain_has_its_translation(text: str) -> None:
    assert text in FACTS


@pytest.mark.parametrize("text", sorted(uncovered()))
def test_everything_that_no_signature_covers_is_told_in_both_languages(text: str) -> None:
    assert text in FACTS or reworded(text.replace("{}", "7"), "ja") != text.replace("{}", "7")


@pytest.mark.parametrize("text", sorted(refusals()))
def test_every_refusal_of_an_evidence_record_has_its_translation(text: str) -> None:
    assert text in REFUSALS


def test_a_refusal_is_told_inside_the_sentence_that_brings_it() -> None:
    why = "evidence record cannot be read: XML evidence record: Sequence lacks an attribute that its schema has"
    told = reworded(why, "ja")
    assert told == "証拠レコードを読み取れない：XML 形式の証拠レコード：Sequence に必要な属性がない"


@pytest.mark.parametrize(("key", "ja"), [pair for _, *pair in EVERY], ids=[name for name, *_ in EVERY])
def test_every_translation_is_japanese_and_fills_in_the_same_values(key: str, ja: str) -> None:
    wanted = [str(n) for n in range(key.count("{}"))]
    assert sorted(name for _, name, _, _ in string.Formatter().parse(ja) if name is not None) == wanted
    assert any(unicodedata.east_asian_width(c) == "W" for c in ja)
    filled = key.replace("{}", "X")
    assert reworded(filled, "en") == filled
    assert reworded(filled, "ja") == ja.format(*["X"] * len(wanted))


@pytest.mark.parametrize(
    ("english", "japanese"),
    [
        ("the digest of the signed data matches: revision 1 of 3", "署名の対象のハッシュ値が一致すること：第1版（全3版）"),
        ("the algorithms of the status signer's certificate are acceptable", "失効情報の署名者の証明書の暗号方式が認められていること"),
        ("filled, though locked, after revision 2 was signed", "第2版の署名後にロックされているのに入力された"),
        ("3 removed after revision 1 was signed", "第1版の署名後に3 件削除された"),
        ("page 2 Link annotation", "2ページの注釈（Link）"),
        ("the best signature time is before the revocation", "証明された署名時刻が失効より前であること"),
        ("certificate of Example {0} CA", "証明書：Example {0} CA"),
        ("通知書.pdf", "通知書.pdf"),
        ("", ""),
        ("{}", "{}"),
        ("the signed data is found: {}", "署名の対象があること：{}"),
    ],
)
def test_values_inside_of_texts_are_translated_too(english: str, japanese: str) -> None:
    assert reworded(english, "ja") == japanese


def test_hostile_names_are_looked_up_in_bounded_time() -> None:
    nested = "certificate of " * 5000
    assert reworded(nested, "ja").count("証明書：") <= 4
    assert len(reworded("x" * 10**6, "ja")) == LONGEST


def test_facts_are_told_as_facts_and_requirements_as_requirements() -> None:
    assert is_fact("the issuer is no certification authority")
    assert is_fact("unknown critical extension 1.2.3")
    assert not is_fact("the certificate is not revoked")
    assert not is_fact("the signed data is found: page 2 removed"), "a file's name makes no fact of a requirement"


@pytest.mark.parametrize("text", sorted(REQUIREMENTS))
def test_a_japanese_report_tells_the_requirement_in_japanese(text: str) -> None:
    filled = text.replace("{}", "7")
    trace = (Step("5.2.6", filled, False, Indication.INDETERMINATE, SubIndication.TRY_LATER, "certificate of 7"),)
    made = report(verdict(Conclusion.INDETERMINATE, signature_verdict(Indication.INDETERMINATE, SubIndication.TRY_LATER, trace=trace)), anchors=1)
    shown = "".join(render(made, Style("ja")).split())
    assert "".join(f"満たされていない要件：{REQUIREMENTS[text].format('7', '7')}[証明書：7](5.2.6)".split()) in shown


def test_every_reason_of_a_revocation_has_its_word() -> None:
    from cryptography.x509 import ReasonFlags

    assert set(CRL_REASONS) == {flag.name for flag in ReasonFlags}
