"""What is asked wrongly on the command line: an exit code and a line that says what is wrong, before anything is recorded, and nothing is left.

What is wrong with documents themselves is in `test_bad_input.py`.
"""

from dataclasses import dataclass
from pathlib import Path

import pytest

import cli
from eseal.demonstration import pdf
from trust.edge.founding import Answers, make_instance
from trust.errors import KakuinError

pytestmark = pytest.mark.xdist_group("bad words")

USAGE, DATA, NO_INPUT, UNAVAILABLE, NO_OUTPUT, NO_RIGHT, CONFIG = 2, 65, 66, 69, 73, 77, 78
LONG = "x" * 300


@dataclass(frozen=True)
class Bad:
    words: str
    """`{here}` is a folder with the documents that are named below, {instance} an instance beside it."""
    code: int
    says: str

    @property
    def id(self) -> str:
        return self.words.replace("{instance}", "there").replace(" ", "-").replace("/", "_").replace(LONG, "long")


HERE = "--instance {instance}"
TABLE = [
    # files
    *(Bad(f"{command} nosuch {HERE}", NO_INPUT, "no such file: nosuch") for command in ("seal", "extend", "stamp", "verify")),
    Bad("inspect nosuch", NO_INPUT, "no such file: nosuch"),
    Bad(f"audit nosuch {HERE}", NO_INPUT, "no such file: nosuch"),
    *(Bad(f"{command} empty {HERE}", DATA, "empty is empty") for command in ("seal", "extend", "stamp", "verify")),
    *(Bad(f"{command} '' {HERE}", USAGE, "is empty") for command in ("seal", "extend", "stamp", "verify")),
    *(Bad(f"{command} nothing {HERE}", NO_INPUT, "folder nothing has no files") for command in ("seal", "verify")),
    *(Bad(f"{command} nothing {HERE}", NO_INPUT, "nothing is a folder, expected a file") for command in ("extend", "stamp")),
    Bad(f"seal a.csv a.csv {HERE}", DATA, "two documents have the same name in the container"),
    Bad(f"seal a.csv - {HERE}", DATA, "standard input is sealed by itself"),
    # what is written
    *(
        Bad(f"{command} -o nothing {HERE}", NO_OUTPUT, "nothing is a folder, expected a file")
        for command in ("seal a.csv", "stamp a.csv", "extend a.csv")
    ),
    *(Bad(f"{command} -o no/such {HERE}", CONFIG, "cannot write no/such: no such file or folder") for command in ("seal a.csv", "extend a.csv")),
    Bad(f"seal a.csv -o empty/x {HERE}", CONFIG, "cannot write empty/x: a part of the path is not a folder"),
    Bad(f"seal a.csv -o {LONG} {HERE}", CONFIG, "the name is too long"),
    Bad(f"seal there.csv {HERE}", NO_OUTPUT, "there.csv.p7s exists already: name another file with -o"),
    Bad(f"extend there.csv {HERE}", NO_OUTPUT, "there.extended.csv exists already: name another file with -o"),
    # choices
    Bad(f"seal a.csv --format foo {HERE}", DATA, "no format has that name; there are pades, cades"),
    Bad(f"seal a.csv --level B-X {HERE}", DATA, "no level has that name; there are B-B, B-T, B-LT and B-LTA"),
    Bad(f"seal a.csv --format cose --level B-LTA {HERE}", DATA, "no standard a place for certificates with their status"),
    Bad(f"seal a.csv --packaging enveloped {HERE}", DATA, "cades is detached or attached, got enveloped"),
    Bad(f"seal a.csv --digest md5 {HERE}", DATA, "digest is sha256, sha384"),
    Bad(f"seal a.csv --visible seal {HERE}", DATA, "belong to a PDF"),
    Bad(f"seal a.csv --addition parallel {HERE}", DATA, "a signature is added to a CMS file in DER, and this is none"),
    Bad(f"seal a.pdf --field nosuch {HERE}", DATA, "the PDF has no signature field of that name"),
    Bad(f"seal a.pdf --lock nosuch {HERE}", DATA, "the PDF has no form field called nosuch"),
    Bad(f"seal a.pdf --visible image --image a.csv {HERE}", DATA, "the image cannot be read: a PNG or JPEG file is expected"),
    Bad(f"seal a.pdf --password-file a.csv {HERE}", DATA, "a password was given, and the PDF is not encrypted"),
    Bad(f"seal a.csv --signing-time 2099-01-01T00:00:00Z {HERE}", DATA, "signing time lies in the future"),
    Bad(f"seal a.csv --organisation 123 {HERE}", DATA, "is 13 digits, got 3"),
    Bad(f"seal a.csv --nonsense {HERE}", USAGE, "No such option '--nonsense'"),
    Bad(f"extend a.csv --level B-B {HERE}", DATA, "extended to B-T, B-LT or B-LTA, got B-B"),
    *(Bad(f"extend a.csv --{what} a.csv {HERE}", DATA, "a.csv: ") for what in ("trust", "certificate", "crl", "ocsp")),
    Bad(f"verify a.csv --trust nothing {HERE}", NO_INPUT, "folder nothing has no certificates"),
    Bad("verify a.csv --at yesterday", DATA, "not a time: 'yesterday'"),
    Bad("verify a.csv --policy nosuch", NO_INPUT, "no policy 'nosuch': expected strict"),
    Bad("verify a.csv --bundle a.pdf", DATA, "not a bundle of kakuin"),
    Bad(f"audit {HERE} --from 2027-01-01 --to 2026-01-01", USAGE, "the period ends before it begins"),
    Bad("audit --export a.csv", DATA, "line 1 is no entry of an export"),
    # where
    *(
        Bad(f"{command} --instance nosuch", NO_INPUT, "there is no folder")
        for command in ("seal a.csv", "extend a.csv", "log list", "clock", "tsa list")
    ),
    Bad("audit --instance nosuch", NO_INPUT, "there is no instance in nosuch"),
    Bad(f"seal a.csv --passphrase-file nosuch {HERE}", CONFIG, "passphrase file nosuch does not exist"),
    *(Bad(f"{command} a.csv --server https://127.0.0.1:1", NO_RIGHT, "an API key is needed") for command in ("seal", "extend")),
    *(Bad(f"{command} a.csv --api-key-file key --server http://seal.example.jp", DATA, "in the clear") for command in ("seal", "extend")),
    *(Bad(f"{command} a.csv --api-key-file key --server https://127.0.0.1:1", UNAVAILABLE, "(no connection)") for command in ("seal", "extend")),
    Bad("stamp a.csv --server http://127.0.0.1:1", UNAVAILABLE, "does not answer (no connection)"),
    Bad(f"log show 999999 {HERE}", NO_INPUT, "there is no entry 999999"),
    Bad(f"tsa retire nosuch {HERE}", NO_INPUT, "there is no unit 'nosuch' here"),
    Bad(f"ca show zz {HERE}", USAGE, "a serial number is hexadecimal"),
    Bad(f"apikey create --days 0 {HERE}", DATA, "an API key lasts 1 to 1095 days, got 0"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("words")
    with make_instance(folder / "instance", Answers()):
        pass
    here = folder / "here"
    (here / "nothing").mkdir(parents=True)
    for name, data in (("a.csv", b"a,b\r\n"), ("a.pdf", pdf()), ("empty", b""), ("key", b"k"), ("there.csv", b"1"), ("there.csv.p7s", b"2")):
        (here / name).write_bytes(data)
    (here / "there.extended.csv").write_bytes(b"3")
    return folder


def left(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def every(kind: type[KakuinError]) -> list[type[KakuinError]]:
    return [kind, *(found for below in kind.__subclasses__() for found in every(below))]


def test_the_kind_of_an_error_is_said_in_japanese_too(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(place / "here")
    for language, said in (("ja_JP.UTF-8", "kakuin: 見つかりません: no such file: nosuch\n"), ("C", "kakuin: no such file: nosuch\n")):
        monkeypatch.setenv("LC_ALL", language)
        assert cli.main(["verify", "nosuch"]) == NO_INPUT
        assert capsys.readouterr().err == said
    kinds = [kind for kind in every(KakuinError) if "title" in vars(kind) and kind.__module__ == KakuinError.__module__]
    assert len({vars(kind)["japanese"] for kind in kinds}) == len({kind.title for kind in kinds}) == len(kinds) > 10


@pytest.mark.parametrize("bad", TABLE, ids=lambda bad: bad.id)
def test_it_is_said_in_one_line(place: Path, bad: Bad, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(place / "here")
    monkeypatch.delenv("KAKUIN_API_KEY", raising=False)
    words = ["" if word == "''" else word.format(instance=place / "instance") for word in bad.words.split()]
    before = left(place / "here")
    assert cli.main(words) == bad.code
    said = capsys.readouterr()
    assert (said.out, left(place / "here")) == ("", before)
    assert bad.says in said.err, said.err
    if bad.code != USAGE:
        assert said.err.startswith("kakuin: ") and said.err.count("\n") == 1
