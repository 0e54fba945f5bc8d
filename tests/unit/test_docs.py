"""The documentation says what is: links resolve, commands parse, settings are all there, clauses name functions and tests that exist."""

import ast
import functools
import importlib
import os
import re
import shlex
import sqlite3
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click
import pytest

import cli
from tests.stories import FORMATS, STORIES
from trust.edge import exits, settings
from trust.edge.founding import Answers, make_instance
from trust.edge.settings import SECTIONS
from trust.edge.units import UnitSettings

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = {page.relative_to(ROOT).as_posix(): page for page in (ROOT / "README.md", ROOT / "README.ja.md", *sorted(DOCS.glob("*.md")))}
PAIRS = [(page, pair) for page in PAGES.values() if (pair := page.with_name(f"{page.stem}.ja.md")).exists()]
OPERATOR = (DOCS / "operator.md", DOCS / "operator.ja.md")
STANDARDS = DOCS / "standards.md"

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECRET = b"a passphrase for the documentation\n"


def text(page: Path) -> str:
    return page.read_text("utf-8")


def blocks(page: Path, *languages: str) -> list[str]:
    return [body for language, body in FENCE.findall(text(page)) if not languages or language in languages]


def headings(page: Path) -> list[int]:
    """The level of each, in order."""
    return [len(line) - len(line.lstrip("#")) for line in FENCE.sub("", text(page)).splitlines() if re.match(r"#+ ", line)]


# Links.


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    lines = (line.lstrip("# ") for line in FENCE.sub("", text(page)).splitlines() if re.match(r"#+ ", line))
    return {re.sub(r"[^\w\- ]", "", line.lower()).strip().replace(" ", "-") for line in lines}


@pytest.mark.parametrize("name", PAGES)
def test_every_relative_link_resolves(name: str) -> None:
    page = PAGES[name]
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text(page))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists() and found.is_relative_to(ROOT), f"{name}: {target}"
        assert not anchor or anchor in anchors(found), f"{name}: {target}"


# Commands.


def commands(page: Path) -> Iterator[list[str]]:
    """Each `kakuin …` of a fenced block, as words: up to a pipe, a redirection or the end of the command."""
    for block in blocks(page):
        for line in re.sub(r"\\\n\s*", "", block).splitlines():
            if found := re.match(r"(?:\$ )?(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?kakuin(?= |$)(.*)", line):
                lexer = shlex.shlex(found[1], posix=True, punctuation_chars="|<>;&")
                lexer.whitespace_split = True
                words = list(lexer)
                ends = [i for i, word in enumerate(words) if set(word) <= set("|<>;&")]
                yield words[: ends[0]] if ends else words


def parsed(command: click.Command, words: list[str], parent: click.Context | None = None) -> click.Command:
    """The command that these words call; UsageError where its options and arguments are not such. Nothing is run."""
    context = command.make_context(command.name, list(words), parent=parent)
    if isinstance(command, click.Group):
        # What a group leaves over is the name of a command with its words.
        name, found, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        assert found is not None, name
        return parsed(found, rest, context)
    return command


@pytest.mark.parametrize("name", PAGES)
def test_every_command_line_parses(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in [v for v in os.environ if v.startswith("KAKUIN_")]:
        monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path)
    for words in commands(PAGES[name]):
        if "--help" in words or "--version" in words:
            continue
        try:
            parsed(cli.kakuin, words)
        except click.UsageError as error:
            pytest.fail(f"{name}: kakuin {shlex.join(words)}: {error.format_message()}")


def test_command_lines_that_are_wrong_are_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```console\n$ kakuin verify a.pdf --trust root.pem | head\nnot kakuin\nKAKUIN_X=1 kakuin ca \\\n  crl root > out\n```\n")
    assert list(commands(page)) == [["verify", "a.pdf", "--trust", "root.pem"], ["ca", "crl", "root"]]
    for wrong in (["verfy", "x"], ["verify", "x", "--trusted", "y"], ["ca", "crl", "leaf"], ["ca"], ["seal"]):
        with pytest.raises(click.UsageError):
            parsed(cli.kakuin, wrong)


# Languages.


def test_the_pages_for_people_are_there_in_both_languages() -> None:
    assert {english.stem for english, _ in PAIRS} >= {"README", "operator", "recipient", "auditor"}


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0].stem)
def test_both_languages_have_the_same_sections(pair: tuple[Path, Path]) -> None:
    english, japanese = pair
    assert headings(english) == headings(japanese)


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0].stem)
def test_both_languages_name_the_same_commands(pair: tuple[Path, Path]) -> None:
    shape = [[[w for w in words if w.startswith("-")] for words in commands(page)] for page in pair]
    assert shape[0] == shape[1]


@pytest.mark.parametrize(("page", "language"), [(DOCS / "recipient.md", "en"), (DOCS / "recipient.ja.md", "ja")], ids=("en", "ja"))
def test_recipients_read_the_words_that_the_tool_prints(page: Path, language: str) -> None:
    from verifier.report.texts import OUTCOMES

    for words in OUTCOMES.values():
        assert getattr(words, language) in text(page)


@pytest.mark.parametrize(("page", "language"), [(DOCS / "recipient.md", "en"), (DOCS / "recipient.ja.md", "ja")], ids=("en", "ja"))
def test_reasons_for_recipients_are_those_that_the_tool_gives(page: Path, language: str) -> None:
    """The first column of the second table: what is looked up there has to be found there."""
    from verifier.report.findings import FINDINGS
    from verifier.report.texts import REASONS

    given = [getattr(words, language) for words in (*REASONS.values(), *(f.why for f in FINDINGS.values()))]
    second = re.findall(r"^\|---\|---\|---\|\n((?:\|.*\n)+)", text(page), re.MULTILINE)[1]
    reasons = [line.split(" | ")[0].removeprefix("| ") for line in second.splitlines()]
    assert len(reasons) >= 8
    assert [r for r in reasons if not any(r in words for words in given)] == []


@pytest.mark.parametrize(("page", "language"), [(DOCS / "recipient.md", "en"), (DOCS / "recipient.ja.md", "ja")], ids=("en", "ja"))
def test_exit_codes_for_scripts_are_those_of_the_verdicts(page: Path, language: str) -> None:
    from trust.errors import Malformed, NotFound
    from verifier.report.texts import CONCLUSIONS
    from verifier.verdict import EXIT_CODE

    told = {int(code): words for code, words in re.findall(r"^\| (\d+) \| (.+) \|$", text(page), re.MULTILINE)}
    assert {code: told[code] for code in EXIT_CODE.values()} == {code: getattr(CONCLUSIONS[name], language) for name, code in EXIT_CODE.items()}
    assert set(told) == {*EXIT_CODE.values(), exits.USAGE, Malformed.exit_code, NotFound.exit_code}


# Operators.


@pytest.mark.parametrize("page", OPERATOR, ids=lambda page: page.stem)
def test_every_setting_is_told_with_its_default(page: Path) -> None:
    told = dict(re.findall(r"^\| `([a-z]+\.[a-z_]+)` \| `(.*?)` \|", text(page), re.MULTILINE))
    there = {f"{section}.{known.name}": settings._toml(known.default) for section, kind in SECTIONS.items() for known in fields(kind)}
    assert told == there


@pytest.mark.parametrize("page", OPERATOR, ids=lambda page: page.stem)
def test_every_setting_of_a_unit_is_told_with_its_default(page: Path) -> None:
    told = dict(re.findall(r"^\| `([a-z0-9_]+)` \| `(\S*?)` \|", text(page), re.MULTILINE))
    there = {known.name: settings._toml(known.default) for known in fields(UnitSettings)}
    assert {name: told.get(name) for name in there} == there


@pytest.fixture
def instance(tmp_path: Path) -> Path:
    """A demonstration with one token issued, and its passphrase in a file beside it."""
    secret = tmp_path / "passphrase"
    secret.write_bytes(SECRET)
    with make_instance(tmp_path / "office", Answers(), SECRET.strip()) as made:
        folder = made.folder
    stamped(folder, secret)
    return folder


def stamped(folder: Path, secret: Path) -> int:
    """The serial number of a new token."""
    from trust.codecs.cms import token
    from trust.model import Digest

    with cli.House(folder, secret) as house:
        return token(house.authority.stamper()(Digest("sha256", bytes(32)))).serial


@pytest.mark.parametrize("page", OPERATOR, ids=lambda page: page.stem)
def test_what_is_done_after_restoring_an_old_database_keeps_serials_apart(page: Path, instance: Path) -> None:
    [statement] = re.findall(r'sqlite3 \S+ "(UPDATE .*?)"', text(page))
    with sqlite3.connect(instance / "kakuin.db") as database:
        database.execute(statement)
    database.close()
    assert stamped(instance, instance.parent / "passphrase") > 1_000_000


@pytest.mark.parametrize("page", OPERATOR, ids=lambda page: page.stem)
def test_the_unit_is_renewed_as_the_page_says(page: Path, instance: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "$ kakuin ca renew tsu --instance office\ntsu: Kakuin Time-Stamping Unit 2, certificate " in text(page)
    secret = instance.parent / "passphrase"
    before = stamped(instance, secret)
    assert cli.main(["ca", "renew", "tsu", "--instance", str(instance), "--passphrase-file", str(secret)]) == 0
    said = [re.sub(r"[0-9a-f]{16,}|\d{4}-\d\d-\d\d| Demonstration", "", line) for line in capsys.readouterr().out.splitlines()]
    shown = [re.sub(r"[0-9a-f]{16,}|\d{4}-\d\d-\d\d", "", line) for line in text(page).splitlines()]
    assert said == [line for line in shown if line in said]
    assert before == 2
    assert stamped(instance, secret) == 1  # a unit of its own, under a name of its own


# Dependencies.


def test_every_dependency_is_told_and_none_is_stale() -> None:
    project = tomllib.loads(text(ROOT / "pyproject.toml"))["project"]
    asked = {
        word
        for given in (project["dependencies"], *project["optional-dependencies"].values())
        for line in given
        if (word := re.split(r"[<>=\[; ]", line)[0])
    }
    told = {
        name
        for line in text(DOCS / "dependencies.md").splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`([^`]+)`", line.split(" | ")[0])
    }
    assert asked - told - {"kakuin"} == set()  # kakuin[eight]: itself
    assert told - asked == {"pyhanko-certvalidator", "libcrypto_mb", "eight", "libcrypto-mb12"}, "not asked for by itself; its line says why"


# The house.


def test_every_room_of_the_house_is_there() -> None:
    """The first column of the page's table, and each path that the page gives with a folder."""
    page = text(DOCS / "architecture.md")
    named = set(re.findall(r"`((?:trust|tsa|eseal|verifier|tests)/[a-z0-9_/]*(?:\.\w+)?)`", page)) | set(
        re.findall(r"(?:trust|tsa|eseal|verifier)/[a-z0-9_/]+\.py", page)
    )
    assert len(named) > 40
    assert sorted(name for name in named if not (ROOT / name).exists() and not (ROOT / f"{name}.py").exists()) == []


# Standards.


def rows(page: Path) -> list[list[str]]:
    """The cells of the tables whose last columns are function and test."""
    found: list[list[str]] = []
    inside = False
    for line in text(page).splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")] if line.startswith("|") else []
        if not cells:
            inside = False
        elif cells[-2:] == ["function", "test"]:
            inside = True
        elif inside and set(line) - set("|- "):
            found.append(cells)
    return found


def exists(path: str) -> bool:
    """`module:function`, `module:Class.method`, or `module:table`."""
    module, _, name = path.partition(":")
    try:
        functools.reduce(getattr, name.split("."), importlib.import_module(module))
    except (ImportError, AttributeError):
        return False
    return True


@functools.cache
def names_of_tests(path: Path) -> frozenset[str]:
    return frozenset(node.name for node in ast.walk(ast.parse(text(path))) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"))


def is_test(path: str) -> bool:
    """As pytest names it; of those with parameters, a story with its format."""
    file, _, name = path.partition("::")
    name, _, story = name.partition("[")
    told = not story or story.removesuffix("]") in {f"{f}-{s.name}" for s in STORIES for f in FORMATS if s.tellable(f)}
    return told and (ROOT / file).is_file() and name in names_of_tests(ROOT / file)


def test_each_clause_names_functions_and_tests_that_exist() -> None:
    found = rows(STANDARDS)
    assert len(found) > 100
    for clause, asked, function, test in found:
        named, tested = re.findall(r"`([^`]+)`", function), re.findall(r"`([^`]+)`", test)
        assert clause and asked and named and tested, clause
        assert [f for f in named if not exists(f)] == [], clause
        assert [t for t in tested if not is_test(t)] == [], clause


def test_names_that_do_not_exist_are_noticed() -> None:
    assert exists("tsa.issue:accept") and exists("verifier.chains:Finder") and not exists("tsa.issue:accepted") and not exists("tsa.issued:accept")
    assert exists("trust.pki.service:CertificateAuthority.revoke") and not exists("trust.pki.service:CertificateAuthority.unrevoke")
    here = "tests/unit/test_docs.py"
    assert (
        is_test(f"{here}::test_every_relative_link_resolves") and not is_test(f"{here}::test_nothing") and not is_test("tests/none.py::test_nothing")
    )
