"""trust.codecs.container: ZIPs that every program reads alike, and the others. Each trap stands beside a lawful twin."""

import hashlib
import io
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.asic_maker import zipped
from tests.shared import SHARED, needs_shared
from trust.codecs import container
from trust.codecs.container import Container
from trust.errors import Malformed, TooLarge
from trust.model import Document

ENTRIES = {"mimetype": b"text/plain", "a.txt": b"abc" * 1000, "folder/b.bin": bytes(range(256)), "empty": b""}


def opened(data: bytes) -> Container:
    return container.container(Document.of(data))


def contents(box: Container) -> dict[str, bytes]:
    return {name: b"".join(document.chunks()) for name, document in box.documents.items()}


def grave(box: Container) -> list[str]:
    return [f.why for f in box.faults if f.grave]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("streamed", [False, True])
def test_entries_as_zipfile_wrote_them(method: int, streamed: bool) -> None:
    out: Any = io.BytesIO() if not streamed else _Unseekable()
    with zipfile.ZipFile(out, "w", method) as box:
        for name, data in ENTRIES.items():
            box.writestr(name, data)
        box.writestr("folder/", b"")
        box.comment = b"mimetype=text/plain"
    made = opened(out.getvalue())
    assert contents(made) == ENTRIES and not made.faults and not made.damaged
    assert made.comment == b"mimetype=text/plain" and made.entries[0].name == "mimetype"
    assert made.documents["a.txt"].digest("sha256").value == hashlib.sha256(ENTRIES["a.txt"]).digest()  # type: ignore[union-attr]


class _Unseekable(io.RawIOBase):
    """Makes zipfile put sizes after the data."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.data += data
        return len(data)

    def getvalue(self) -> bytes:
        return bytes(self.data)


def test_seeking_in_an_entry() -> None:
    with opened(zipped(ENTRIES)).documents["a.txt"].open() as stream:
        assert stream.read(4) == b"abca"
        assert stream.seek(2998) == 2998 and stream.read() == b"bc"
        assert stream.seek(0) == 0 and stream.read(3) == b"abc"
        assert stream.seek(-3, io.SEEK_END) == 2997 and stream.read(9) == b"abc"


def test_zip64() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as box, box.open("big", "w", force_zip64=True) as entry:
        entry.write(b"x" * 70_000)
    made = opened(out.getvalue())
    assert contents(made) == {"big": b"x" * 70_000} and not made.faults


@pytest.mark.parametrize("data", [b"", b"PK\3\4", b"%PDF-1.7", zipped(ENTRIES)[:-1], zipped(ENTRIES) + b"\0", zipped(ENTRIES)[4:]])
def test_what_is_no_container(data: bytes) -> None:
    with pytest.raises(Malformed):
        opened(data)


def test_a_name_that_stands_twice() -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        data = zipped([("a.txt", b"one"), ("a.txt", b"two")])
    assert grave(opened(data)) == ["the same name twice"]
    assert not grave(opened(zipped([("a.txt", b"one"), ("A.txt", b"two")])))


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x", "C:/x", "a/./b", "a//b", "a\x01b", "..\\x", "\\x"])
def test_names_that_lead_elsewhere(name: str) -> None:
    assert grave(opened(zipped([(name, b"")])))


@pytest.mark.parametrize("name", ["a..b", ".hidden", "folder/a b.txt", "日本語.txt", "a+b%20.txt", "x:y"])
def test_names_that_are_only_unusual(name: str) -> None:
    assert not opened(zipped([(name, b"")])).faults


def test_a_name_in_an_old_code_page_with_its_unicode_path() -> None:
    old = "ÄÖ.txt".encode("cp437")
    data = zipped([("AO.txt", b"x")]).replace(b"AO.txt", b"??.txt")
    path = struct.pack("<BI", 1, zlib.crc32(old)) + "ÄÖ.txt".encode()
    extra = struct.pack("<HH", 0x7075, len(path)) + path
    assert opened(data.replace(b"??.txt", old)).entries[0].name == "ÄÖ.txt"
    at = data.index(b"PK\1\2")
    central = bytearray(data[at:].replace(b"??.txt", old + extra))
    central[30:32] = struct.pack("<H", len(extra))
    end = central.index(b"PK\5\6")
    central[end + 12 : end + 16] = struct.pack("<I", end)
    assert opened(data[:at].replace(b"??.txt", old) + bytes(central)).entries[0].name == "ÄÖ.txt"


# Two readings of one file.


@pytest.mark.parametrize("offset", [6, 8, 14, 18, 22])
def test_local_headers_must_tell_the_same(offset: int) -> None:
    data = bytearray(zipped([("a.txt", b"abc")], method=zipfile.ZIP_STORED))
    data[offset] ^= 0x08 if offset == 6 else 0x01
    assert grave(opened(bytes(data)))


def test_a_local_name_that_differs() -> None:
    data = zipped([("a.txt", b"abc")])
    assert grave(opened(data.replace(b"a.txt", b"b.txt", 1)))


def test_an_entry_that_the_directory_does_not_name() -> None:
    hidden, shown = zipped([("a.txt", b"hidden")], method=0), zipped([("a.txt", b"shown")], method=0)
    body = hidden[: hidden.index(b"PK\1\2")]
    at = shown.index(b"PK\1\2")
    central = bytearray(shown[at:])
    central[42:46] = struct.pack("<I", len(body))
    end = central.index(b"PK\5\6")
    central[end + 16 : end + 20] = struct.pack("<I", len(body) + at)
    box = opened(body + shown[:at] + bytes(central))
    assert contents(box) == {"a.txt": b"shown"}
    assert grave(box) == ["an entry that the directory does not name"]


def test_bytes_in_front() -> None:
    shown = zipped([("a.txt", b"shown")])
    with pytest.raises(Malformed):
        opened(b"MZ" * 50 + shown)
    at = shown.index(b"PK\1\2")
    central = bytearray(shown[at:])
    central[42:46] = struct.pack("<I", 100)
    end = central.index(b"PK\5\6")
    central[end + 16 : end + 20] = struct.pack("<I", 100 + at)
    assert grave(opened(b"MZ" * 50 + shown[:at] + bytes(central)))


def test_two_directories() -> None:
    inner = zipped([("a.txt", b"inner")])
    outer = zipped([("b.txt", b"outer")])
    start = outer.index(b"PK\1\2")
    inner_at = inner.index(b"PK\1\2")
    directory, end = bytearray(inner[inner_at : inner.index(b"PK\5\6")]), bytearray(inner[inner.index(b"PK\5\6") :])
    comment_start = len(outer)
    end[16:20] = struct.pack("<I", comment_start)
    data = bytearray(outer + bytes(directory) + bytes(end))
    data[len(outer) - 2 : len(outer)] = struct.pack("<H", len(directory) + len(end))
    assert start < len(outer)
    assert "two directories" in grave(opened(bytes(data)))
    assert not opened(zipped([("b.txt", b"outer")], comment=b"PK\5\6" + bytes(18))).faults  # a comment that only looks like one


def test_overlapping_entries() -> None:
    data = zipped([("a", b"x" * 40), ("b", b"y" * 40)], method=0)
    second = data.index(b"PK\3\4", 4)
    at = data.rindex(b"PK\1\2")
    broken = bytearray(data)
    broken[at + 42 : at + 46] = struct.pack("<I", second - 10)
    with pytest.raises(Malformed):
        opened(bytes(broken))


# Bombs, and what no program can unpack.


def test_a_bomb_and_a_file_that_packs_well() -> None:
    with pytest.raises(TooLarge):
        opened(zipped([("zeros", bytes(200 << 20))]))
    assert not opened(zipped([("zeros", bytes(20 << 20))])).faults


def test_a_directory_that_lies_about_sizes() -> None:
    data = bytearray(zipped([("a", b"abc" * 100)]))
    at = data.index(b"PK\1\2")
    for size in (100, 299, 301, 10_000):
        data[at + 24 : at + 28] = data[22:26] = struct.pack("<I", size)
        with pytest.raises(Malformed):
            contents(opened(bytes(data)))


def test_a_checksum_that_is_wrong_is_told_once_read() -> None:
    data = zipped([("a", b"abcdef")], method=0)
    box = opened(data.replace(b"abcdef", b"abcdeX"))
    assert not box.damaged and contents(box) == {"a": b"abcdeX"} and box.damaged == {"a"}


@pytest.mark.parametrize(("offset", "value"), [(8, 1), (10, 14), (10, 99), (34, 1)])
def test_entries_that_are_encrypted_or_packed_otherwise(offset: int, value: int) -> None:
    data = bytearray(zipped([("a", b"abc")]))
    data[data.index(b"PK\1\2") + offset] = value
    with pytest.raises(Malformed):
        opened(bytes(data))


def test_a_symbolic_link() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as box:
        info = zipfile.ZipInfo("link")
        info.external_attr = 0o120777 << 16
        box.writestr(info, b"/etc/passwd")
    with pytest.raises(Malformed, match="link"):
        opened(out.getvalue())


def test_a_large_entry_is_never_held(tmp_path: Path) -> None:
    path = tmp_path / "big.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as box, box.open("big", "w") as entry:
        for n in range(600):
            entry.write(hashlib.sha512(str(n).encode()).digest() * 1600)
    document = Document("big.zip", path.stat().st_size, lambda: path.open("rb"))
    sizes = [len(chunk) for chunk in container.container(document).documents["big"].chunks()]
    assert sum(sizes) == 600 * 64 * 1600 and max(sizes) <= Document.CHUNK


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 1 << 30), st.integers(0, 255), st.integers(0, 2))
def test_mutated_bytes_are_malformed_or_read(at: int, octet: int, how: int) -> None:
    source = _SAMPLES[at % len(_SAMPLES)]
    at %= len(source)
    data = (source[:at] + bytes((octet,)) + source[at + 1 :], source[:at] + source[at + 1 :], source[:at])[how]
    try:
        contents(opened(data))
    except (Malformed, TooLarge):
        return


_SAMPLES = (zipped(ENTRIES), zipped(ENTRIES, method=zipfile.ZIP_STORED, comment=b"mimetype=x"))


@needs_shared
@pytest.mark.filterwarnings("ignore")
def test_real_containers_have_one_reading() -> None:
    count = 0
    for folder in ("corpus/files", "forged/files"):
        for path in sorted((SHARED / folder).rglob("*")):
            if not path.is_file() or path.open("rb").read(4) != b"PK\3\4":
                continue
            box = container.container(Document(path.name, path.stat().st_size, lambda p=path: p.open("rb")))  # type: ignore[misc]
            read = contents(box)
            assert not box.damaged, path.name
            assert path.name == "dot.asice" or not box.faults, path.name
            count += 1
            if path.name != "false-zip-comment.odp":  # zipfile takes the comment for the directory
                with zipfile.ZipFile(path) as peer:
                    assert sorted(hashlib.sha256(d).digest() for d in read.values()) == sorted(
                        hashlib.sha256(peer.read(i)).digest() for i in peer.infolist() if not i.is_dir()
                    )
    assert count > 180
