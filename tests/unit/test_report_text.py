"""The report for people: both languages say everything, nothing of the file steers the terminal, and no line is too long."""

import ast
import string
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import pki
from tests.verdicts import everything, office, signature, signature_verdict, stamp_verdict, subject_of, verdict
from trust.errors import Malformed
from trust.model import Claims, Defect, Digest, Document, Reference, Scope, StampKind, Uncovered
from verifier.report import findings, texts
from verifier.report.findings import FINDINGS, Words
from verifier.report.json import COMMITMENTS, error_report, report
from verifier.report.plain import MARKS, columns, folded, printable
from verifier.report.text import Style, render
from verifier.report.told import MOST, Voice, told
from verifier.verdict import Conclusion, Indication, Reason, Step, SubIndication

ROOT = Path(__file__).resolve().parents[2]
REASON_MAKERS = {"Reason", "_of_signature", "_of_stamp", "_of_record"}
TABLES = {
    name: table
    for name, table in vars(texts).items()
    if isinstance(table, dict) and name.isupper() and all(isinstance(w, Words) for w in table.values())
}
EVERY_TEXT = [(f"{name}.{key}", words) for name, table in TABLES.items() for key, words in table.items()] + [
    (f"FINDINGS.{key}.{part}", words) for key, finding in FINDINGS.items() for part, words in zip(("why", "todo"), finding, strict=True)
]


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize(("name", "words"), EVERY_TEXT, ids=[name for name, _ in EVERY_TEXT])
def test_every_text_is_there_in_both_languages(name: str, words: Words) -> None:
    assert words.en.strip() and words.ja.strip()
    assert words.en.isascii() or any(c in words.en for c in "“”")
    assert places(words.en) == places(words.ja)
    if not places(words.ja) or len(words.ja) > 20:
        assert any(unicodedata.east_asian_width(c) == "W" for c in words.ja), "no Japanese in it"


def test_every_finding_of_the_standard_has_its_words() -> None:
    assert set(FINDINGS) == set(SubIndication)
    assert len({f.why for f in FINDINGS.values()}) == len(FINDINGS), "two findings say the same"
    assert set(texts.CONCLUSIONS) == set(Conclusion) == set(texts.ADVICE) - {"nothing-trusted"}
    assert set(texts.STAMPS) == set(StampKind)
    assert set(texts.MEANINGS) == {*COMMITMENTS.values(), "other"}
    assert set(Scope) <= set(texts.PHRASES)


def test_every_reason_that_is_given_has_its_words() -> None:
    """The codes stand in verifier/conclusion.py, as the first argument of Reason and of the functions that make one."""
    tree = ast.parse((ROOT / "verifier" / "conclusion.py").read_text("utf-8"))
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id in REASON_MAKERS]
    codes = {n.args[0].value for n in calls if n.args and isinstance(n.args[0], ast.Constant)}
    assert len(codes) > 5
    assert codes == set(texts.REASONS)
    assert set(texts.REMARKS) < codes


@pytest.mark.parametrize("language", texts.LANGUAGES)
@pytest.mark.parametrize("width", [40, 80, 100, 300])
@pytest.mark.parametrize("name", everything())
def test_every_report_can_be_shown(name: str, width: int, language: str) -> None:
    made = report(everything()[name], document=Document.of(b"x", "通知書.pdf"), anchors=1)
    shown = render(made, Style(language, width))
    first = shown.splitlines()[0]
    assert first.startswith(texts.say(texts.CONCLUSIONS[made["conclusion"]], language))
    assert first.endswith("通知書.pdf")
    assert max(columns(line) for line in shown.splitlines()) <= max(width, 40)
    assert "{" not in shown
    assert shown.endswith("\n") and "\x1b" not in shown


def test_the_verdict_comes_first_then_why_then_what_to_do() -> None:
    shown = render(report(everything()["failed"], anchors=1))
    order = [
        shown.index(x) for x in ("NOT VALID", "Why ", "A signature is not valid", "To do", "Seal 1 of 2", "Seal 2 of 2", "Time-stamp", "Checked")
    ]
    assert order == sorted(order)
    assert "it was changed afterwards" in shown


@pytest.mark.parametrize(
    ("name", "en", "ja"),
    [
        ("revision 1 of 2", "revision 1 of 2 (as it was then)", "第1版（全2版）、その時点の内容"),
        ("signed.xml", "signed.xml (not the whole file)", "signed.xml（ファイルの一部）"),
    ],
)
def test_a_state_of_a_pdf_is_not_told_as_a_part_of_it(name: str, en: str, ja: str) -> None:
    covered = signature(references=(Reference(name, found=True, intact=True, scope=Scope.PARTIAL),))
    made = report(verdict(Conclusion.PASSED, signature_verdict(signature=covered)), anchors=1)
    assert f"Covers    {en}\n" in render(made) and f"対象      {ja}\n" in render(made, Style("ja"))


@pytest.mark.parametrize("language", texts.LANGUAGES)
def test_whom_to_trust_is_advised_once(language: str) -> None:
    unknown = verdict(Conclusion.INDETERMINATE, signature_verdict(Indication.INDETERMINATE, SubIndication.NO_CERTIFICATE_CHAIN_FOUND))
    advice = texts.say(texts.ADVICE["nothing-trusted"], language), texts.say(FINDINGS["NO_CERTIFICATE_CHAIN_FOUND"].todo, language)
    for anchors, said in ((0, advice[0]), (1, advice[1])):
        shown = told(report(unknown, anchors=anchors), language).fields
        assert [item for field in shown if field.key == "todo" for item in field.items if item in advice] == [said]


def test_a_reason_in_japanese_is_a_sentence() -> None:
    for subject, detail in (("", ""), ("Seal1", ""), ("Seal1", "HASH_FAILURE"), ("", "odd")):
        assert texts.reason_text("signature-failed", subject, detail, "ja").endswith("。")


def test_what_each_signature_proves_is_said_in_words() -> None:
    stamp = stamp_verdict()
    approved = signature(claims=Claims(commitments=("1.2.840.113549.1.9.16.6.5",)))
    made = report(verdict(Conclusion.PASSED, signature_verdict(stamp=stamp, signature=approved), stamps=(stamp,)), anchors=1)
    shown = render(made)
    assert "origin: it comes from 株式会社角印" in shown
    assert "existence: it existed in this form on 2025-03-01 09:00:00 UTC" in shown
    assert "intent: 株式会社角印 meant “I approve of this”" in shown
    japanese = render(made, Style("ja"))
    assert "2025年3月1日 18:00:00（日本時間）" in japanese
    assert "「承認すること」" in japanese
    plain = render(report(everything()["passed"], anchors=1), Style(width=300))
    assert "not that a person agreed to it" in " ".join(plain.split())


def test_what_the_signer_says_is_told_as_his_own_words() -> None:
    said = Claims(place="東京", reason="invoice", roles=("会計管理者",), policy="1.2.392.200000.1", policy_digest=Digest("sha256", bytes(32)))
    made = report(verdict(Conclusion.PASSED, signature_verdict(signature=signature(claims=said))), anchors=1)
    shown = " ".join(render(made, Style(width=300)).split())
    assert "Says reason: invoice place: 東京 role: 会計管理者 signature policy: 1.2.392.200000.1 these are the signer's own words" in shown
    assert "記載" in render(made, Style("ja")) and "立場：会計管理者" in render(made, Style("ja"))
    assert made["signatures"][0]["claims"]["signature_policy_digest"] == {"algorithm": "sha256", "value": "00" * 32}
    silent = report(verdict(Conclusion.PASSED, signature_verdict(signature=signature(claims=Claims(policy="implied")))), anchors=1)
    assert "Says" not in render(silent)


def test_how_long_a_signature_without_a_stamp_can_be_confirmed_is_said() -> None:
    bare = render(report(verdict(Conclusion.PASSED, signature_verdict()), anchors=1), Style(width=300))
    assert "only until 2027-01-01 00:00:00 UTC" in " ".join(bare.split())
    assert "only until" not in render(report(everything()["passed"], anchors=1))
    assert "only until" not in render(report(everything()["failed"], anchors=1))


@pytest.mark.parametrize(
    ("text", "en", "ja"),
    [
        ("2026-06-01T00:00:00Z", "2026-06-01 00:00:00 UTC", "2026年6月1日 09:00:00（日本時間）"),
        ("2026-06-01T23:59:59.161999Z", "2026-06-01 23:59:59.161 UTC", "2026年6月2日 08:59:59.161（日本時間）"),
        ("9999-12-31T23:59:59Z", "9999-12-31 23:59:59 UTC", "9999-12-31 23:59:59 UTC"),
    ],
)
def test_times_for_people(text: str, en: str, ja: str) -> None:
    assert (Voice("en").time(text), Voice("ja").time(text)) == (en, ja)


def test_an_unconfirmed_name_is_never_told_as_a_fact() -> None:
    shown = " ".join(render(report(everything()["indeterminate"], anchors=1)).split())
    assert "as the certificate says; not confirmed" in shown
    assert "origin: not proved" in shown


def test_requirements_that_were_not_met_are_told_as_such() -> None:
    shown = " ".join(render(report(everything()["failed"])).split())
    assert "not met: the signed digests are those of the data [notice.pdf] (5.2.7)" in shown
    warned = (
        Step("5.2.8", "there is one such reference", False),
        Step("5.2.2, RFC 5652 section 5.3", "signed attributes are not DER encoded", False),
    )
    shown = " ".join(render(report(verdict(Conclusion.PASSED, signature_verdict(trace=warned)))).split())
    assert "not met: there is one such reference (5.2.8) signed attributes are not DER encoded" in shown


def test_nothing_trusted_is_said_with_what_to_do() -> None:
    made = everything()["indeterminate"]
    assert "trusted certificates: 0" in render(report(made))
    assert "Say whom you trust" in render(report(made))
    assert "信頼する認証局を指定してください" in render(report(made), Style("ja"))
    assert "Say whom you trust" not in render(report(made, anchors=1))
    assert "Say whom you trust" not in render(report(everything()["nothing_signed"]))


def test_colour_is_only_there_when_asked_for() -> None:
    made = report(everything()["failed"])
    coloured = render(made, Style(colour=True))
    assert "\x1b[1;31mNOT VALID\x1b[0m" in coloured
    plain = render(made)
    for code in ("1;31", "1;32", "1", "2", "0"):
        coloured = coloured.replace(f"\x1b[{code}m", "")
    assert coloured == plain


def test_long_lists_are_cut_with_a_count() -> None:
    references = tuple(Reference(f"file-{n}.txt", found=True, intact=n != 77) for n in range(100))
    shown = render(report(verdict(Conclusion.PASSED, signature_verdict(signature=signature(references=references)))))
    assert "and 88 more" in shown
    assert "file-77.txt: CHANGED since it was signed" in shown, "what is wrong comes first"


def test_of_very_many_signatures_those_that_fail_are_shown() -> None:
    many = [signature_verdict() for _ in range(100)]
    many[70] = signature_verdict(Indication.FAILED, SubIndication.HASH_FAILURE)
    shown = render(report(verdict(Conclusion.FAILED, *many)))
    assert shown.count(" of 100: ") == MOST
    assert "Seal 71 of 100: NOT VALID" in shown
    assert "and 60 more" in shown


@pytest.mark.parametrize(
    ("found", "en", "ja"),
    [
        ("good, CRL of 2025-03-02", "not revoked, revocation list of 2025-03-02", "失効なし（2025-03-02 の失効リスト）"),
        (
            "revoked 2025-04-01 (key_compromise), OCSP answer of 2025-05-01",
            "REVOKED on 2025-04-01 (key compromise), OCSP answer of 2025-05-01",
            "2025-04-01 に失効（鍵の危殆化、2025-05-01 のOCSP応答）",
        ),
        ("not checked", "revocation not known", "失効の有無は不明"),
        ("not needed", "", ""),
        ("something else {x}", "something else {x}", "something else {x}"),
    ],
)
def test_revocation_is_told_in_both_languages(found: str, en: str, ja: str) -> None:
    assert (texts.revocation_text(found, "en"), texts.revocation_text(found, "ja")) == (en, ja)


def test_an_error_is_one_clear_line() -> None:
    assert render(error_report(Malformed("file is empty"))) == "The file could not be judged: file is empty\n"
    assert render(error_report(Malformed("file is empty")), Style("ja")).startswith("ファイルを判定できませんでした")


HOSTILE = "x\x1b[2J\x1b]0;owned\x07\x9b31m\r\nVALID\x08\u202egpj.exe\u2066\ufeff\x7f\ud800" + "y\u0301" * 3 + "z" + "\u0336" * 500


def hostile_reports() -> list[str]:
    """HOSTILE in every place that a file can fill."""
    cert = pki.signer(office().ca, subject=subject_of(HOSTILE[:38], HOSTILE[:38])).certificate
    hostile = signature(
        signer=cert,
        level=HOSTILE,
        field=HOSTILE,
        references=(Reference(HOSTILE, True, True), Reference(HOSTILE + "2", False, False), Reference(HOSTILE + "3", True, False)),
        claims=Claims(place=HOSTILE, reason=HOSTILE, contact=HOSTILE, roles=(HOSTILE,), commitments=(HOSTILE,), policy=HOSTILE),
        defects=(Defect(HOSTILE, HOSTILE),),
    )
    stamp = stamp_verdict()
    stamp = replace(stamp, stamp=replace(stamp.stamp, references=(Reference(HOSTILE, True, True),), defects=(Defect(HOSTILE, HOSTILE),)))
    found = [
        verdict(
            conclusion,
            signature_verdict(
                indication, sub, signature=hostile, trace=(Step(HOSTILE, HOSTILE, False, about=HOSTILE),), warnings=(HOSTILE,), stamp=stamp
            ),
            stamps=(stamp,),
            reasons=(Reason("not-covered", HOSTILE, HOSTILE), Reason(HOSTILE, HOSTILE, HOSTILE)),
            uncovered=(Uncovered(HOSTILE, HOSTILE), Uncovered(HOSTILE, HOSTILE, grave=False)),
            kind=HOSTILE,
        )
        for conclusion, indication, sub in (
            (Conclusion.PASSED, Indication.PASSED, None),
            (Conclusion.FAILED, Indication.FAILED, SubIndication.HASH_FAILURE),
        )
    ]
    return [
        render(report(v, document=Document.of(b"x", HOSTILE), anchors=n), Style(language, 90))
        for v in found
        for language in texts.LANGUAGES
        for n in (0, 1)
    ] + [render(error_report(Malformed(HOSTILE)))]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_nothing_in_a_file_steers_the_terminal() -> None:
    for shown in hostile_reports():
        harmful = {c for c in shown if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")}
        assert not harmful
        assert "\\u{1b}" in shown, "the hostile text was not shown at all: the test tests nothing"
        assert "\u0336" * (MARKS + 1) not in shown
        # A line of the file's own making would begin at the margin.
        assert sum(line.startswith(("VALID", "有効")) for line in shown.splitlines()) <= 1


@given(st.text())
def test_printable_text_is_one_line_of_visible_characters(text: str) -> None:
    shown = printable(text)
    assert not {c for c in shown if unicodedata.category(c)[0] in "CZ"} - {" "}
    assert len(shown.splitlines()) <= 1


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("C", "Z", "M")) | st.just(" ")), st.integers(20, 100))
def test_folding_loses_nothing_and_keeps_the_width(text: str, width: int) -> None:
    lines = folded(text, width)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(columns(line) <= width for line in lines)


def test_japanese_lines_break_between_characters_and_never_before_a_full_stop() -> None:
    lines = folded("あいうえおかきくけこさしすせそたちつてと。なにぬねの", 40)
    assert lines == ["あいうえおかきくけこさしすせそたちつて", "と。なにぬねの"]
    assert folded("あいうえおかきくけこさしすせそたちつ（て）。と", 40) == ["あいうえおかきくけこさしすせそたちつ", "（て）。と"]
    assert folded("seal（角印）です、verified.", 10) == ["seal（角", "印）です、", "verified."]
    assert folded("x" * 25, 10) == ["x" * 10, "x" * 10, "x" * 5]
    assert columns("角印 seal") == 9


def test_words_of_the_tables_are_one_type() -> None:
    assert texts.Words is findings.Words


def test_the_documentation_lists_every_reason() -> None:
    documented = (ROOT / "docs/report.md").read_text("utf-8")
    table = documented[documented.index("| code |") : documented.index("## What a signature proves")]
    codes = {line.split("`")[1] for line in table.splitlines() if line.startswith("| `")}
    assert codes == set(texts.REASONS)
    for conclusion, words in texts.CONCLUSIONS.items():
        assert f"| `{conclusion}` | {words.en} · {words.ja} |" in documented
