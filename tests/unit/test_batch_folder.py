"""`kakuin stamp --batch` and `--renew` over folders: whole or not at all, and gone on with after whatever interrupted them."""

import hashlib
import json
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests import pki
from tests.reading import stamp_intact
from tests.services import program
from trust.codecs import cms
from trust.errors import Conflict, KakuinError, Malformed, NotFound, Unacceptable, Unavailable
from trust.model import Digest, Document, Evidence
from tsa import batch, batch_folder, batch_renewal, commands
from tsa.batch_folder import Done, Wanted
from verifier.formats import ers

UNIT = pki.pki().tsu
STAMP = pki.stamper(UNIT)
LATER, MUCH_LATER = pki.stamper(UNIT, pki.CHECKED + 400 * pki.DAY), pki.stamper(UNIT, pki.CHECKED + 900 * pki.DAY)


def silent(_: str) -> None:
    return


def refuse(_: Digest) -> bytes:
    raise Unavailable("the clock is not synchronised")


def never(_: Digest) -> bytes:
    raise AssertionError("nothing was to be stamped")


def folder(path: Path, *names: str) -> Path:
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(name, errors="surrogateescape")
    return path


def stamped(
    given: Path,
    output: Path | None = None,
    *,
    algorithm: str = "sha256",
    blinded: bool = False,
    stamp: Any = STAMP,
    tell: Callable[[str], None] = silent,
) -> Done:
    return batch_folder.run(Wanted(given, output, algorithm, blinded), None, stamp, tell)


def listed(lines: Sequence[str], output: Path | None, stamp: Any = STAMP, algorithm: str = "sha256") -> Done:
    return batch_folder.run(Wanted(Path("-"), output, algorithm), lines, stamp, silent)


def evidence(document: Path, record: Path | None = None) -> Evidence:
    record = record or document.with_name(document.name + ".ers")
    return ers.read(Document.of(record.read_bytes()), [Document.of(document.read_bytes(), document.name)])


def proved(document: Path, record: Path | None = None) -> bool:
    found = evidence(document, record)
    return found.records[0].intact and all(stamp_intact(stamp) for stamp in found.stamps)


def files(path: Path) -> list[str]:
    return sorted(str(p.relative_to(path)) for p in path.rglob("*") if p.is_file())


def test_each_file_has_its_record_beside_it_and_the_batch_an_index(tmp_path: Path) -> None:
    folder(tmp_path, "a.pdf", "deep/er/b.csv", ".hidden", ".git/config", "収支.txt")
    done = stamped(tmp_path)
    assert (done.stamped, done.already, done.empty, done.finished) == (3, 0, 0, 0) and done.facts is not None
    assert all(proved(tmp_path / name) for name in ("a.pdf", "deep/er/b.csv", "収支.txt"))
    index = Path(done.facts["index"])
    head, *lines = (json.loads(line) for line in index.read_bytes().splitlines())
    assert head["documents"] == 3 and head["root"] == done.facts["root"] and "blinds" not in head
    assert {line["name"]: line["digest"] for line in lines}["a.pdf"] == hashlib.sha256(b"a.pdf").hexdigest()
    expected = {".git/config", ".hidden", "a.pdf", "a.pdf.ers", "deep/er/b.csv", "deep/er/b.csv.ers", index.name, "収支.txt", "収支.txt.ers"}
    assert set(files(tmp_path)) == expected


def test_what_has_a_record_is_left_alone(tmp_path: Path) -> None:
    stamped(folder(tmp_path, "a", "b"))
    before = (tmp_path / "a.ers").read_bytes()
    assert stamped(tmp_path, stamp=never) == Done(0, 2, 0, 0, None)
    folder(tmp_path, "c")
    again = stamped(tmp_path)
    assert (again.stamped, again.already) == (1, 2)
    assert proved(tmp_path / "c") and (tmp_path / "a.ers").read_bytes() == before


def test_records_in_a_folder_of_their_own(tmp_path: Path) -> None:
    source, out = folder(tmp_path / "in", "a", "x/b"), tmp_path / "out"
    done = stamped(source, out)
    assert done.facts is not None and Path(done.facts["index"]).parent == out
    assert files(source) == ["a", "x/b"] and proved(source / "x/b", out / "x/b.ers")


def test_a_list_of_names_and_of_digests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder(tmp_path, "a b.txt", "c"))
    gone = hashlib.sha256(b"gone").hexdigest()
    assert listed(["a b.txt\n", "\n", f"{gone}  gone.bin\n", "c\r\n"], Path("out")).stamped == 3
    assert proved(Path("a b.txt"), Path("out/a b.txt.ers"))
    (tmp_path / "gone.bin").write_bytes(b"gone")
    assert proved(Path("gone.bin"), Path("out/gone.bin.ers"))
    assert files(tmp_path / "out")[:3] == ["a b.txt.ers", "c.ers", "gone.bin.ers"]


def test_names_on_lists_are_those_of_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["a\nb", "a\\b", "a\u2028b", "a\x0cb", " a ", "*a", "a\udcff"]
    monkeypatch.chdir(folder(tmp_path, *names))
    for tag in ([], ["--tag"]):
        sums = subprocess.run([program("sha256sum"), *tag, "--", *names], capture_output=True, check=True).stdout
        lines = commands._lines(b"\xef\xbb\xbf" + sums.replace(b"\n", b"\r\n"))
        out = Path(f"out{len(tag)}")
        assert listed(lines, out).stamped == len(names)
        assert all(proved(Path(name), out / f"{name}.ers") for name in names)


@pytest.mark.parametrize(
    ("lines", "error", "says"),
    [
        (["../../etc/passwd"], Malformed, "line 1 of the list"),
        (["a", "a\0b"], Malformed, "line 2 of the list"),
        (["none"], NotFound, r"none \(no such file or directory\): nothing was stamped"),
        (["none1", "none2", "none3", "none4", "none5"], NotFound, "none3 .* and 2 more"),
        (["a", "./x/../x"], Malformed, "line 2"),
        ([f"{'0' * 64}  a", "a", f"{'1' * 64}  ./a"], Conflict, "would have one record"),
        ([f"{'0' * 64}  a", f"{'1' * 64}  a"], Conflict, "would have one record"),
        (["a", f"{'0' * 128}  b"], Unacceptable, "line 2 of the list: expected a digest of sha256, got one of 'sha512'"),
        ([f"SHA3-256 (b) = {'0' * 64}"], Unacceptable, "line 1 of the list: expected a digest of sha256, got one of 'sha3_256'"),
        ([f"MD5 (b) = {'0' * 32}"], Unacceptable, "line 1 of the list: expected a digest of sha256, got one of 'md5'"),
    ],
    ids=["above", "nul", "missing", "many missing", "dots", "twice", "changed", "length", "tag", "weak"],
)
def test_a_list_with_an_error_stamps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str], error: type[KakuinError], says: str
) -> None:
    monkeypatch.chdir(folder(tmp_path, "a"))
    with pytest.raises(error, match=says):
        listed(lines, Path("out"), never)
    assert files(tmp_path) == ["a"]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder(tmp_path, "a", "x/b"))
    with pytest.raises(NotFound, match=r"x \(is a directory\): nothing was stamped"):
        listed(["a", "x"], Path("out"), never)


def test_empty_files_are_left_out(tmp_path: Path) -> None:
    (folder(tmp_path, "a") / "empty").touch()
    done = stamped(tmp_path)
    assert (done.stamped, done.empty) == (1, 1) and not (tmp_path / "empty.ers").exists()


def test_a_file_that_changes_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder(tmp_path, "a")
    monkeypatch.setattr(batch_folder, "CHUNK", 1)
    real = hashlib.new("sha256")

    class Meddler:
        def update(self, piece: bytes) -> None:
            real.update(piece)
            with (tmp_path / "a").open("ab") as stream:
                stream.write(b"!" * (len((tmp_path / "a").read_bytes()) < 5))

        def digest(self) -> bytes:
            return real.digest()

    monkeypatch.setattr(batch_folder, "hasher", lambda _: Meddler())
    with pytest.raises(Conflict, match="changed while it was read"):
        stamped(tmp_path, stamp=never)


def test_an_authority_that_refuses_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        stamped(folder(tmp_path, "a", "b"), stamp=refuse)
    assert files(tmp_path) == ["a", "b"]


@pytest.mark.parametrize("blinded", [False, True], ids=["plain", "blinded"])
@pytest.mark.parametrize("stage", ["hashing 3", "stamping", "writing 1", "writing 3", "writing 5"])
def test_an_interruption_is_gone_on_with(tmp_path: Path, stage: str, blinded: bool) -> None:
    folder(tmp_path, *"abcde")

    def interrupt(text: str) -> None:
        if text.startswith(stage):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stamped(tmp_path, blinded=blinded, tell=interrupt)
    assert all(proved(tmp_path / name.removesuffix(".ers")) for name in files(tmp_path) if re.fullmatch(r"[a-e]\.ers", name))
    issued = stage.startswith("writing")
    done = stamped(tmp_path, blinded=blinded, stamp=never if issued else STAMP)
    assert (done.finished > 0, done.stamped) == (issued, 0 if issued else 5)
    assert all(proved(tmp_path / name) for name in "abcde")
    assert len({evidence(tmp_path / name).stamps[0].token.id for name in "abcde"}) == 1
    assert not [name for name in files(tmp_path) if name.startswith(".")]


def test_a_record_that_a_power_cut_emptied_is_written_again(tmp_path: Path) -> None:
    done = stamped(folder(tmp_path, "a", "b", "c"))
    assert done.facts is not None
    index = Path(done.facts["index"])
    index.rename(index.with_name("." + index.name))
    (tmp_path / "b.ers").write_bytes(b"")
    assert stamped(tmp_path, stamp=never).finished == 1 and proved(tmp_path / "b")


def test_a_lost_record_is_made_again_from_the_index(tmp_path: Path) -> None:
    done = stamped(folder(tmp_path, "a", "b", "x/c"), blinded=True)
    assert done.facts is not None
    index = Path(done.facts["index"])
    before = (tmp_path / "x/c.ers").read_bytes()
    (tmp_path / "x/c.ers").unlink()
    (tmp_path / "b.ers").write_bytes(b"\0" * len((tmp_path / "b.ers").read_bytes()))
    again = batch_folder.run(Wanted(index, None, "sha256"), [], never, silent)
    assert again == Done(finished=2) and (tmp_path / "x/c.ers").read_bytes() == before and proved(tmp_path / "b")
    with pytest.raises(Unacceptable, match="leave -o out"):
        batch_folder.run(Wanted(index, tmp_path / "out", "sha256"), [], never, silent)


def test_an_index_names_records_and_nothing_else(tmp_path: Path) -> None:
    done = stamped(folder(tmp_path, "a"))
    assert done.facts is not None
    index = Path(done.facts["index"])
    index.write_text(index.read_text().replace('"a.ers"', '"b"'))
    with pytest.raises(Malformed, match="no index of a batch"):
        batch_folder.run(Wanted(index, None, "sha256"), [], never, silent)
    assert not (tmp_path / "b").exists()


def test_a_record_that_was_renewed_is_not_written_over(tmp_path: Path) -> None:
    done = stamped(folder(tmp_path, "a", "b"))
    assert done.facts is not None
    index = Path(done.facts["index"])
    index.rename(index.with_name("." + index.name))
    batch_renewal.run(tmp_path / "a.ers", None, LATER, None, silent)
    renewed = (tmp_path / "a.ers").read_bytes()
    (tmp_path / "b.ers").unlink()
    assert stamped(tmp_path, stamp=never).finished == 1
    assert (tmp_path / "a.ers").read_bytes() == renewed


def test_missing_records_are_made_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A million of them take eight gigabytes."""
    done = stamped(folder(tmp_path, *"abcde"))
    assert done.facts is not None
    for name in "abcde":
        (tmp_path / f"{name}.ers").unlink()
    there: list[int] = []
    real = batch.Batch.records

    def records(made: batch.Batch) -> Iterator[bytes]:
        for record in real(made):
            there.append(len(list(tmp_path.glob("?.ers"))))
            yield record

    monkeypatch.setattr(batch.Batch, "records", records)
    assert batch_folder.run(Wanted(Path(done.facts["index"]), None, "sha256"), [], never, silent).finished == 5
    assert there == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("change", [b"", b"{}\n", b"hello", b"[]\n"], ids=["empty", "no head", "no JSON", "a list"])
def test_an_index_that_is_none_is_told(tmp_path: Path, change: bytes) -> None:
    (folder(tmp_path, "a") / ".kakuin-batch-x.jsonl").write_bytes(change)
    with pytest.raises(Malformed, match="no index of a batch"):
        stamped(tmp_path, stamp=never)


def test_blinded_records_show_no_neighbour(tmp_path: Path) -> None:
    stamped(folder(tmp_path, "a", "b"), blinded=True)
    assert hashlib.sha256(b"b").digest() not in (tmp_path / "a.ers").read_bytes() and proved(tmp_path / "a")


# Renewal.


def renewed(path: Path, algorithm: str | None = None, stamp: Any = LATER, complete: Any = None) -> dict[str, Any]:
    return batch_renewal.run(path, algorithm, stamp, complete, silent)


def test_records_are_renewed_under_one_token(tmp_path: Path) -> None:
    stamped(folder(tmp_path, "a", "x/b"))
    stamped(folder(tmp_path, "c"))
    assert renewed(tmp_path)["renewed"] == 3
    found = [evidence(tmp_path / name) for name in ("a", "x/b", "c")]
    assert all(proved(tmp_path / name) for name in ("a", "x/b", "c"))
    assert len({each.stamps[1].token.id for each in found}) == 1 and len({each.stamps[0].token.id for each in found}) == 2


def test_another_digest_renews_the_hash_tree_and_needs_the_documents(tmp_path: Path) -> None:
    stamped(folder(tmp_path, "a", "b"))
    renewed(tmp_path / "a.ers")
    facts = renewed(tmp_path, "sha512", MUCH_LATER)
    assert facts["tokens"][0]["algorithm"] == "sha512"
    assert proved(tmp_path / "a") and proved(tmp_path / "b")
    assert [s.token.imprint.algorithm for s in evidence(tmp_path / "a").stamps] == ["sha256", "sha256", "sha512"]
    (tmp_path / "b").unlink()
    with pytest.raises(NotFound, match="needs the document beside it"):
        renewed(tmp_path, "sha3_256", never)


def test_a_record_that_does_not_hold_is_not_renewed(tmp_path: Path) -> None:
    stamped(folder(tmp_path, "a", "b"))
    (tmp_path / "b").write_text("changed")
    before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
    with pytest.raises(Unacceptable, match=r"b\.ers: the record does not hold"):
        renewed(tmp_path, stamp=never)
    assert {name: (tmp_path / name).read_bytes() for name in files(tmp_path)} == before


def test_the_status_of_the_old_token_comes_in_first(tmp_path: Path) -> None:
    from eseal.formats.archive import completed
    from trust.ports import Status

    stamped(folder(tmp_path, "a", "b"))
    asked: list[bytes] = []

    def complete(der: bytes) -> bytes:
        asked.append(der)
        return completed(der, Status(certs=(pki.pki().root.certificate,)))

    renewed(tmp_path, complete=complete)
    assert len(asked) == 1 and proved(tmp_path / "a") and len(evidence(tmp_path / "a").stamps[0].token.certs) > len(cms.token(asked[0]).certs)
    # ... and where it is not to be had, as with another authority's token, the renewal goes without.
    assert renewed(tmp_path, stamp=MUCH_LATER, complete=refuse)["renewed"] == 2 and proved(tmp_path / "b")


def test_a_record_that_changes_before_it_is_written_is_left(tmp_path: Path) -> None:
    stamped(folder(tmp_path, "a", "b", "c"))
    other = (tmp_path / "c.ers").read_bytes()

    def meddling(digest: Digest) -> bytes:
        (tmp_path / "b.ers").write_bytes(other)
        return LATER(digest)

    with pytest.raises(Conflict, match=r"b\.ers changed meanwhile .*1 of 3"):
        batch_renewal.run(tmp_path, None, meddling, None, silent)
    assert (tmp_path / "b.ers").read_bytes() == other
    assert [len(evidence(tmp_path / name).stamps) for name in "ac"] == [2, 2] and proved(tmp_path / "a") and proved(tmp_path / "c")


def test_a_folder_without_records(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no evidence records"):
        renewed(tmp_path)
