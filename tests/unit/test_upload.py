"""Documents as they arrive: whole, in order, within limits, and gone afterwards."""

import asyncio
import errno
import gc
import io
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trust.edge import spool as spools
from trust.edge.spool import IN_MEMORY, Spool
from trust.edge.upload import LARGEST_FIELD, MOST_PARTS, Upload, file_name, receive
from trust.errors import KakuinError, Malformed, TooLarge, Unacceptable, Unavailable, UnsupportedMedia

LIMIT = 8 << 20


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


def taken(headers: dict[str, str], data: bytes, *, size: int = 65_536, limit: int = LIMIT, folder: Path | None = None) -> Upload:
    return asyncio.run(receive(headers, pieces(data, size), limit, folder))


def form(*parts: tuple[str, bytes], boundary: str = "xyz") -> bytes:
    """Each part: its headers after `Content-Disposition: form-data;`, and its body."""
    made = b"".join(b"--%s\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % (boundary.encode(), head.encode(), body) for head, body in parts)
    return made + f"--{boundary}--\r\n".encode()


FORM = {"content-type": "multipart/form-data; boundary=xyz"}


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.mark.parametrize("size", [1, 1000, IN_MEMORY, IN_MEMORY + 1, 3 * IN_MEMORY + 7])
def test_a_body_is_the_document(size: int) -> None:
    data = (b"0123456789" * (size // 10 + 1))[:size]
    with taken({"content-type": "text/csv; charset=utf-8", "content-disposition": 'attachment; filename="a.csv"'}, data) as upload:
        [received] = upload.files
        document = received.document
        assert (received.field, document.name, document.media_type, document.size) == ("", "a.csv", "text/csv", size)
        assert document.read(LIMIT) == data
        with document.open() as one, document.open() as two:
            assert one.read(10) == data[:10]
            assert two.read(3) == data[:3]
            two.seek(-2, io.SEEK_END)
            assert (one.read(5), two.read()) == (data[10:15], data[-2:])


def test_large_documents_are_files_and_small_ones_are_not() -> None:
    with taken({}, bytes(10 * 1000)) as upload, pytest.raises(OSError, match="fileno"):
        upload.files[0].document.open().fileno()
    with taken({}, bytes(2 * IN_MEMORY)) as upload, upload.files[0].document.open() as stream:
        assert os.fstat(stream.fileno()).st_nlink == 0  # no name: nothing is left behind by a crash either


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    gc.collect()  # what earlier tests left is none of this one's business
    before = open_files()
    with taken({}, bytes(2 * IN_MEMORY), folder=tmp_path) as upload:
        assert upload.files[0].document.size == 2 * IN_MEMORY
        assert list(tmp_path.iterdir()) == []
    for headers, data in (({}, bytes(LIMIT + 1)), (FORM, form(('name="a"; filename="a"', bytes(2 * IN_MEMORY)))[:-10])):
        with pytest.raises(KakuinError):
            taken(headers, data, folder=tmp_path)
    gc.collect()
    assert list(tmp_path.iterdir()) == []
    assert open_files() == before


def test_the_limit_is_met_while_the_bytes_arrive() -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1000
            yield bytes(1000)

    with pytest.raises(TooLarge, match="over 5000 bytes"):
        asyncio.run(receive({}, endless(), 5000))
    assert sent == 6000
    with pytest.raises(TooLarge, match="got 5001"):
        taken({"content-length": "5001"}, b"", limit=5000)
    with taken({"content-length": "5000"}, bytes(5000), limit=5000) as upload:
        assert upload.files[0].document.size == 5000


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"content-type": "application/x-www-form-urlencoded"}, "holds no document"),
        ({"content-type": "multipart/mixed; boundary=x"}, "only multipart/form-data"),
        ({"content-type": "application/pdf", "content-encoding": "gzip"}, "compressed"),
    ],
)
def test_what_is_no_document(headers: dict[str, str], message: str) -> None:
    with pytest.raises(UnsupportedMedia, match=message):
        taken(headers, b"x")


@pytest.mark.parametrize("size", [1, 7, 64, 65_536])
def test_a_form_has_files_and_fields(size: int) -> None:
    data = form(
        ('name="document"; filename="契約書.pdf"\r\nContent-Type: application/pdf', b"%PDF-1.7\r\n--xy\r\n"),
        ('name="level"', b"B-LTA"),
        ('name="location"', "東京".encode()),
    )
    with taken(FORM, data, size=size) as upload:
        [received] = upload.files
        assert (received.field, received.document.name, received.document.media_type) == ("document", "契約書.pdf", "application/pdf")
        assert received.document.read(100) == b"%PDF-1.7\r\n--xy\r\n"
        assert upload.fields == {"level": "B-LTA", "location": "東京"}


def test_several_files_of_a_form() -> None:
    data = form(*((f'name="detached"; filename="{n}"', bytes([n]) * (IN_MEMORY * n)) for n in range(3)))
    with taken(FORM, data) as upload:
        assert [r.document.read(LIMIT) for r in upload.files] == [bytes([n]) * (IN_MEMORY * n) for n in range(3)]


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (b"", Malformed, "ends before"),
        (b"no boundary at all", Malformed, "breaks its format|ends before"),
        (form(('name="a"', b"1"))[:-6], Malformed, "ends before|breaks"),
        (form(('filename="a"', b"1")), Malformed, "no name"),
        (form(('name="a"', b"1"), ('name="a"', b"2")), Unacceptable, "twice"),
        (form(('name="a"', b"\xff")), Malformed, "UTF-8"),
        (form(('name="a"', bytes(LARGEST_FIELD + 1))), TooLarge, "field"),
        (form(*[('name="a"; filename="b"', b"")] * (MOST_PARTS + 1)), TooLarge, "parts"),
        (form(('name="a"\r\nX: ' + "y" * 9000, b"1")), Malformed, "breaks"),
    ],
)
def test_broken_forms(data: bytes, error: type[KakuinError], message: str) -> None:
    with pytest.raises(error, match=message):
        taken(FORM, data)


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=" + "b" * 71])
def test_a_form_names_its_boundary(kind: str) -> None:
    with pytest.raises(Malformed, match="boundary"):
        taken({"content-type": kind}, form(('name="a"', b"1")))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_form_or_malformed(junk: bytes) -> None:
    for data in (junk, b"--xyz\r\n" + junk, form(('name="a"; filename="b"', junk))):
        try:
            taken(FORM, data, size=13).close()
        except KakuinError:
            continue


@pytest.mark.parametrize(
    ("disposition", "expected"),
    [
        ("", None),
        ("attachment", None),
        ('attachment; filename="a.pdf"', "a.pdf"),
        ("attachment; filename=a.pdf", "a.pdf"),
        ("attachment; filename=\"x.pdf\"; filename*=UTF-8''%E5%A5%91%E7%B4%84.pdf", "契約.pdf"),
        ("attachment; filename*=utf-8'ja'%E5%A5%91.pdf", "契.pdf"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ('attachment; filename="C:\\\\temp\\\\a.pdf"', "a.pdf"),
        ("attachment; filename*=UTF-8''%2e%2e%2f%2e%2e", None),
        ("attachment; filename*=UTF-8''a%0d%0aX: b.pdf", "aX:"),
        ('attachment; filename=".."', None),
        (f'attachment; filename="{"a" * 300}.pdf"', "a" * 196 + ".pdf"),
    ],
)
def test_names_of_files(disposition: str, expected: str | None) -> None:
    assert file_name(disposition) == expected


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a.csv", "a.csv"),
        ("one/二/a.csv", "one/二/a.csv"),
        ("../../etc/./x", "etc/x"),
        ("/abs//x\\y", "abs/x/y"),
        ("d/" * 40 + "x", "d/" * 19 + "x"),
        ("a/..", None),
    ],
    ids=["no folder", "folders", "leading up", "absolute", "deep", "nothing"],
)
def test_folders_of_a_file_in_a_form(name: str, path: str | None) -> None:
    escaped = name.replace("\\", "\\\\")
    with taken(FORM, form((f'name="document"; filename="{escaped}"', b"x"))) as upload:
        [received] = upload.files
        assert received.path == path
        assert received.document.name == (None if path is None else path.rpartition("/")[2])


def test_a_full_disk_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def write(self, _: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(spools.tempfile, "TemporaryFile", lambda **_: Full())
    with pytest.raises(Unavailable, match="no room for the document: the disk is full"):
        taken({}, bytes(2 * IN_MEMORY))
    spool = Spool()
    spool.add(b"x")
    with pytest.raises(Unavailable):
        spool.flush()
