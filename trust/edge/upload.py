"""Documents as they arrive over HTTP: streamed to a file without a name, so that whatever happens, a crash included, nothing is left behind.

A body is the document itself, or multipart/form-data (RFC 7578) with files and options. Limits are checked while the bytes arrive.
"""

import re
from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from urllib.parse import unquote_to_bytes

from python_multipart import multipart
from python_multipart.exceptions import FormParserError
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from trust.edge.spool import Spool
from trust.errors import Coded, Malformed, TooLarge, Unacceptable, UnsupportedMedia
from trust.model import Document

MOST_PARTS = 1_100
"""Of a multipart body: a thousand documents and their options."""
LARGEST_FIELD = 1 << 16
"""Bytes of a part that is no file."""
LONGEST_NAME = 200
"""Characters of a file's name."""
DEEPEST = 20
"""Folders that a file's path may have before it."""
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,60}/[a-z0-9!#$&^_.+-]{1,80}")
_EXTENDED = re.compile(r"filename\*\s*=\s*([A-Za-z0-9-]+)'[^']*'([^;\s]+)")
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Received:
    """One file of an upload."""

    field: str
    """Name of the multipart field; empty for a body that is the document itself."""
    document: Document
    path: str | None = None
    """Its name with the folders before it, as far as it was sent with any: what tells apart the files of a dataset."""


@dataclass(slots=True)
class Upload:
    """What a request brought; `with upload:` gives its files back to the system."""

    files: list[Received] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)
    spools: list[Spool] = field(default_factory=list)

    def __enter__(self) -> "Upload":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        for spool in self.spools:
            spool.close()


async def receive(headers: Mapping[str, str], body: AsyncIterable[bytes], limit_bytes: int, folder: Path | None = None) -> Upload:
    """The upload that a request's body is; the caller closes it. `headers` are looked up in lower case.

    UnsupportedMedia for a body that is neither a document nor multipart/form-data, TooLarge above `limit_bytes` altogether, Malformed for a broken
    multipart body, Unavailable when there is no room.
    """
    kind, options = multipart.parse_options_header(headers.get("content-type", ""))
    media_type = kind.decode("latin-1")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise Coded("the body is compressed (Content-Encoding): send it as it is")
    if media_type == _FORM:
        raise UnsupportedMedia(f"{_FORM} holds no document: send the document with its own Content-Type, or multipart/form-data")
    if media_type.startswith("multipart/") and media_type != "multipart/form-data":
        raise UnsupportedMedia("of the multipart types only multipart/form-data is read here")
    declared = headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit_bytes:
        raise TooLarge(f"body is over {limit_bytes} bytes, got {int(declared)}")
    upload = Upload()
    try:
        if media_type == "multipart/form-data":
            form = _Form(upload, folder)
            await _form(form, options.get(b"boundary", b""), body, limit_bytes)
        else:
            spool = Spool(folder)
            upload.spools.append(spool)
            async for chunk in _limited(body, limit_bytes):
                spool.add(chunk)
                if spool.full:
                    await run_in_threadpool(spool.flush)
            disposition = headers.get("content-disposition", "").encode("latin-1", "replace").decode("utf-8", "replace")
            upload.files.append(Received("", spool.document(file_name(disposition), _sound_type(media_type))))
    except ClientDisconnect as error:
        upload.close()
        raise Malformed("the client went away before the end of the body") from error
    except BaseException:
        upload.close()
        raise
    return upload


async def _limited(body: AsyncIterable[bytes], limit_bytes: int) -> AsyncIterable[bytes]:
    size = 0
    async for chunk in body:
        size += len(chunk)
        if size > limit_bytes:
            raise TooLarge(f"body is over {limit_bytes} bytes")
        yield chunk


async def _form(form: "_Form", boundary: bytes, body: AsyncIterable[bytes], limit_bytes: int) -> None:
    if not 0 < len(boundary) <= 70:
        raise Malformed("multipart/form-data without a boundary")
    parser = multipart.MultipartParser(
        boundary,
        {
            "on_part_begin": form.begin,
            "on_header_field": form.header_name,
            "on_header_value": form.header_value,
            "on_header_end": form.header_end,
            "on_headers_finished": form.headers_end,
            "on_part_data": form.data,
            "on_part_end": form.end,
            "on_end": form.finish,
        },
    )
    try:
        async for chunk in _limited(body, limit_bytes):
            parser.write(chunk)
            if form.spool is not None and form.spool.full:
                await run_in_threadpool(form.spool.flush)
        parser.finalize()
    except FormParserError as error:
        raise Malformed("multipart/form-data breaks its format (RFC 7578)") from error
    if not form.finished:
        raise Malformed("multipart/form-data ends before its last boundary")


class _Form:
    """The callbacks of the multipart parser: files go to spools, other parts are text."""

    def __init__(self, upload: Upload, folder: Path | None) -> None:
        self._upload = upload
        self._folder = folder
        self._parts = 0
        self._headers: dict[str, str] = {}
        self._name = self._value = b""
        self._field = ""
        self._text = bytearray()
        self.spool: Spool | None = None
        self.finished = False

    def begin(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise TooLarge(f"multipart/form-data has over {MOST_PARTS} parts")
        self._headers, self._name, self._value, self.spool = {}, b"", b"", None
        self._text.clear()

    def header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        self._headers[self._name.decode("latin-1").lower()] = self._value.decode("utf-8", "replace")
        self._name = self._value = b""

    def headers_end(self) -> None:
        disposition = self._headers.get("content-disposition", "")
        _, options = multipart.parse_options_header(disposition.encode("utf-8").decode("latin-1"))
        if b"name" not in options:
            raise Malformed("a part of the form has no name")
        self._field = options[b"name"].decode("utf-8", "replace")
        if b"filename" in options or _EXTENDED.search(disposition):
            self.spool = Spool(self._folder)
            self._upload.spools.append(self.spool)

    def data(self, data: bytes, start: int, end: int) -> None:
        if self.spool is not None:
            self.spool.add(memoryview(data)[start:end])
            return
        self._text += data[start:end]
        if len(self._text) > LARGEST_FIELD:
            raise TooLarge(f"a field of the form is over {LARGEST_FIELD} bytes")

    def end(self) -> None:
        if self.spool is not None:
            kind, _ = multipart.parse_options_header(self._headers.get("content-type", "").encode("ascii", "replace").decode())
            path = _file_path(self._headers["content-disposition"])
            document = self.spool.document(path.rpartition("/")[2] or None, _sound_type(kind.decode("latin-1")))
            self._upload.files.append(Received(self._field, document, path or None))
            self.spool = None
            return
        if self._field in self._upload.fields:
            raise Unacceptable("a field of the form is given twice")
        try:
            self._upload.fields[self._field] = self._text.decode()
        except UnicodeDecodeError as error:
            raise Malformed("a field of the form is not UTF-8") from error

    def finish(self) -> None:
        self.finished = True


def _sound_type(media_type: str) -> str | None:
    """None for what is none, or says nothing."""
    return media_type if _MEDIA_TYPE.fullmatch(media_type) and media_type != "application/octet-stream" else None


def file_name(disposition: str) -> str | None:
    """The file's name in a Content-Disposition (RFC 6266; `filename*` before `filename`), without folders and control characters; None without."""
    return _file_path(disposition).rpartition("/")[2] or None


def _file_path(disposition: str) -> str:
    """The same with its folders, below wherever it will stand: no segment of it is empty or leads up."""
    extended = _EXTENDED.search(disposition)
    if extended and extended[1].lower() == "utf-8":
        name = unquote_to_bytes(extended[2]).decode("utf-8", "replace")
    else:
        _, options = multipart.parse_options_header(disposition.encode("utf-8", "surrogateescape").decode("latin-1"))
        name = options.get(b"filename", b"").decode("utf-8", "replace")
    parts = ["".join(c for c in part.strip(". ") if c.isprintable())[-LONGEST_NAME:] for part in re.split(r"[/\\]", name)]
    if not parts[-1]:
        return ""
    return "/".join(part for part in parts[-DEEPEST:] if part)
