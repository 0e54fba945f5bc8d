"""What the pages show of a command's output is what the command prints: the commands are taken from the page, and run."""

import os
import re
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

import cli
from eseal import demonstration
from tests.unit.test_docs import DOCS, ROOT, blocks

SECRET = "a passphrase for the documentation\n"
PAGES = (DOCS / "operator.md", DOCS / "operator.ja.md")
ELSEWHERE = ("serve", "clock", "monitor")
"""What waits, asks this machine's clock, or reads another's log: tests of their own hold it."""
MACHINE = re.compile(r"WRONG|to do:|\d+ things? to mend|beware")
"""Lines that depend on the machine."""


class Shown(NamedTuple):
    words: tuple[str, ...]
    """Behind `kakuin`."""
    lines: tuple[str, ...]
    """What the page shows of the output."""


def transcripts(page: Path) -> Iterator[Shown]:
    for block in blocks(page, "console"):
        for part in re.split(r"^\$ ", re.sub(r"\\\n\s*", "", block), flags=re.MULTILINE)[1:]:
            command, *lines = part.splitlines()
            if command.startswith("kakuin ") and "|" not in command and "&&" not in command:
                yield Shown(tuple(shlex.split(command)[1:]), tuple(line for line in lines if line not in ("", "…")))


def shape(line: str) -> str:
    """Without what differs from run to run: digests and serial numbers, times, counts, sizes, and columns."""
    for varies, kept in (
        (r"[0-9a-f]{14,}", "HEX"),
        (r"\+[0-9a-f]{8}\+\S+", "+KEY"),
        (r"-[0-9a-f]{8}\.", "-HEX."),
        (r"\d[\d.,:TZ+-]*", "N"),
        (r"\s+", " "),
    ):
        line = re.sub(varies, kept, line)
    return line.strip()


class Office:
    """A folder in which the commands of a page are run one after the other, with the page's paths led into it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secret = folder / "passphrase"
        self.secret.write_text(SECRET)
        self.enrolled = ""
        self.key = ""

    def here(self, words: tuple[str, ...]) -> list[str]:
        """The page's words for this folder, as of now."""
        paths = {
            "/var/lib/kakuin/office": "office",
            "/var/lib/kakuin/witness": "witness",
            "/etc/kakuin/passphrase": "passphrase",
            "/srv/archive/2026-11": "archive",
            "verifier-key": "office/log/verifier-key",
        }
        said = [paths.get(word, word) for word in words]
        for option in ("--from", "--to"):
            if option in said:
                del said[(at := said.index(option)) : at + 2]
        if "--since" in said:
            said[said.index("--since") + 1] = datetime.now(UTC).isoformat()
        if said[:2] == ["ca", "revoke"]:
            said[2] = self.enrolled
        return said

    def run(self, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> str:
        code = cli.main(self.here(words))
        printed = capsys.readouterr()
        assert code == 0 or words[0] == "doctor", f"{words}: {printed.err}"
        out = printed.out.replace(str(self.folder) + "/", "")
        if words[:2] == ("ca", "enrol"):
            self.enrolled = re.findall(r"certificate ([0-9a-f]+)", out)[0]
        return out + printed.err


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    for variable in [v for v in os.environ if v.startswith("KAKUIN_") or v in ("LANG", "LC_ALL", "LC_MESSAGES")]:
        monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path)
    for name, value in (("INSTANCE", "office"), ("PASSPHRASE_FILE", "passphrase"), ("CLOCK_SOURCES", "unsafe-development-clock")):
        monkeypatch.setenv(f"KAKUIN_{name}", value)
    return Office(tmp_path)


BEFORE = {
    ("apikey", "list"): [("apikey", "create", "--organisation", "8040001079502", "--label", "文書管理システム", "--days", "365")],
    ("log", "verify"): [
        ("stamp", "data.csv", "-o", "notice.tst"),
        ("log", "checkpoint", "-o", "kept"),
        ("log", "prove", "inclusion", "notice.tst", "-o", "notice.tlog-proof"),
    ],
    ("log", "count"): [("stamp", "data.csv", "-o", "counted.tst")],
    ("witness", "list"): [("witness", "add", "verifier-key", "--folder", "witness")],
}
"""What has to happen before a command shows what the page shows; on the page it stands in front, without output."""


def test_both_operator_pages_show_the_same() -> None:
    english, japanese = (list(transcripts(page)) for page in PAGES)
    assert english == japanese


def test_operators_see_what_their_page_shows(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    (office.folder / "data.csv").write_text("a,b\n")
    (office.folder / "archive").mkdir()
    for name in ("41.pdf", "42.pdf"):
        (office.folder / "archive" / name).write_text(name)
    done = 0
    for words, lines in transcripts(PAGES[0]):
        if not lines or words[0] in ELSEWHERE:
            continue
        for earlier in BEFORE.get(words[:2], ()):
            office.run(earlier, capsys)
        printed = {shape(line) for line in office.run(words, capsys).splitlines()}
        shown = [line.replace("/var/lib/kakuin/", "").replace("/srv/archive/2026-11", "archive") for line in lines if not MACHINE.search(line)]
        assert [line for line in shown if shape(line) not in printed] == [], f"kakuin {shlex.join(words)} prints {sorted(printed)}"
        done += 1
    assert done >= 14


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", ROOT / "README.ja.md", DOCS / "recipient.md", DOCS / "recipient.ja.md"], ids=lambda page: page.stem
)
def test_readers_see_what_their_page_shows(page: Path, office: Office, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`kakuin verify` as the first page and the recipients' show it, of what `make run` seals."""
    assert cli.main(["init"]) == 0
    (office.folder / "notice.pdf").write_bytes(demonstration.pdf())
    (office.folder / "prices.csv").write_bytes(demonstration.csv())
    assert cli.main(["seal", "notice.pdf"]) == 0
    assert cli.main(["seal", "prices.csv"]) == 0
    (office.folder / "notice.pdf").write_bytes((office.folder / "notice.sealed.pdf").read_bytes())
    if page.stem.endswith(".ja"):
        monkeypatch.setenv("LANG", "ja_JP.UTF-8")
    capsys.readouterr()
    done = 0
    for words, lines in transcripts(page):
        if words[0] != "verify" or len(lines) == 0:
            continue
        files = [word.removeprefix("demo/") for word in words]
        files[files.index("--trust") + 1] = "office/anchors"
        assert cli.main(files) == 0
        printed = {shape(line) for line in capsys.readouterr().out.splitlines()}
        ours = [line for line in lines if not re.match(r"sealed demo/|serving |  …", line)]
        assert [line for line in ours if shape(line) not in printed] == [], f"{page.name}: kakuin {shlex.join(words)} prints {sorted(printed)}"
        done += 1
    assert done >= 1


def test_an_output_that_is_stale_is_noticed() -> None:
    assert shape("tsu: Unit 2, certificate 6b0f4c8e0a2d41d7b9b8b1d6a1f0c3e5, until 2033-10-25") == shape(
        "tsu: Unit 7, certificate ffffffffffffffff, until 2032-01-01"
    )
    assert shape("VALID  notice.pdf") != shape("NOT VALID  notice.pdf") and shape("sealed 3 files") != shape("stamped 3 files")
