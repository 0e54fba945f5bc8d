"""What a verification is given as files: documents, trusted certificates, status data, policies, times. Every error names the file.

Nothing here is judged, and nothing is fetched.
"""

import base64
import binascii
import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, TypeVar

from trust.edge import source
from trust.edge.source import document, shown, size_of, unreadable
from trust.errors import KakuinError, Malformed, NotFound, TooLarge, Unacceptable
from trust.model import Cert, Crl, Digest, Document, Ocsp, utc
from trust.ports import Clock
from verifier.policy import SHIPPED, Policy, load

LIMIT = 64 << 20
"""Bytes of one file of certificates or status data; the largest CRLs in use have about 30 MB."""
POLICY_LIMIT = 256 << 10
"""Bytes; a policy that says everything has about 3 kB."""
CERTIFICATE_NAMES = frozenset({".cer", ".crt", ".der", ".pem", ".p7b", ".p7c"})
"""Of a folder, only files called so are certificates; the others are left alone."""

__all__ = [
    "certificates", "certificates_in", "crls", "crls_in", "detached", "detached_files", "document", "given", "given_in",
    "known_by_digest", "moment", "ocsps", "ocsps_in", "opened", "policy", "shown", "streamed",
]  # fmt: skip

_T = TypeVar("_T")
_BEGIN, _END = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,64})-----"), b"-----END "
_CERTIFICATE_LABELS = frozenset({b"CERTIFICATE", b"X509 CERTIFICATE", b"TRUSTED CERTIFICATE"})
_PKCS7_LABELS = frozenset({b"PKCS7", b"CMS", b"PKCS #7 SIGNED DATA"})


def streamed(stream: BinaryIO, name: str = "standard input") -> Document:
    """All of a stream as a document; what is large stands in a temporary file that goes away with the document."""
    return source.streamed(stream, name, name)


def detached(paths: Iterable[Path]) -> tuple[Document, ...]:
    """The content of detached signatures: files, and each file under a folder by its path in it."""
    return opened(detached_files(paths))


def detached_files(paths: Iterable[Path]) -> tuple[tuple[Path, str | None], ...]:
    """The same as files that nobody has opened yet: path, and name where it is not the file's own."""
    found: list[tuple[Path, str | None]] = []
    for path in paths:
        if path.is_dir():
            inside = [f for f in sorted(path.rglob("*")) if f.is_file()]
            if not inside:
                raise NotFound(f"folder {shown(path)} has no files")
            found += ((f, f.relative_to(path).as_posix()) for f in inside)
        else:
            found.append((path, None))
    return tuple(found)


def opened(files: Iterable[tuple[Path, str | None]]) -> tuple[Document, ...]:
    """Documents of files, by path and name."""
    return tuple(document(path, name) for path, name in files)


def known_by_digest(algorithm: str, value: str, name: str | None = None) -> Document:
    """A document of which only a digest is known: `SHA256` or `sha256` or `SHA3-256`, base64."""
    try:
        digest = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed("digest of a detached document is not base64") from error
    return Document(name, None, None, (Digest(algorithm.lower().replace("sha-", "sha").replace("-", "_").replace("/", "_"), digest),))


def certificates(paths: Iterable[Path]) -> tuple[Cert, ...]:
    """Each certificate of files and folders, once: PEM (as many as there are), DER, or the certificates of a PKCS #7.

    Of a folder, files are read by their names' ending, without descending. NotFound where a path is missing or a folder holds none;
    Malformed where a file is no certificate.
    """
    found: dict[Cert, None] = {}
    for path in paths:
        inside = _certificate_files(path) if path.is_dir() else [path]
        for file in inside:
            found.update(dict.fromkeys(_read(file, certificates_in)))
    return tuple(found)


def crls(paths: Iterable[Path]) -> tuple[Crl, ...]:
    """Certificate revocation lists, PEM or DER."""
    return tuple(crl for path in paths for crl in _read(path, crls_in))


def ocsps(paths: Iterable[Path]) -> tuple[Ocsp, ...]:
    """OCSP responses, or basic responses, in DER."""
    return tuple(ocsp for path in paths for ocsp in _read(path, ocsps_in))


Given = tuple[tuple[Cert, ...], tuple[Cert, ...], tuple[Crl, ...], tuple[Ocsp, ...]]
"""Anchors, certificates, lists and answers."""


def given(trust: Iterable[Path], certs: Iterable[Path], lists: Iterable[Path], answers: Iterable[Path]) -> Given:
    """What is given beside a document as files, and folders of files."""
    return (
        certificates(trust),
        certificates(certs),
        crls(path for path, _ in detached_files(lists)),
        ocsps(path for path, _ in detached_files(answers)),
    )


def given_in(files: Mapping[str, Sequence[bytes]]) -> Given:
    """The same as bytes, by the names of the fields that they came in."""

    def each(name: str, read: Callable[[bytes], list[_T]]) -> tuple[_T, ...]:
        try:
            return tuple(found for data in files.get(name, ()) for found in read(data))
        except KakuinError as error:
            raise type(error)(f"{name}: {error}") from error

    return each("trust", certificates_in), each("certificate", certificates_in), each("crl", crls_in), each("ocsp", ocsps_in)


def moment(text: str, clock: Clock | None = None) -> datetime:
    """A time as people write it: RFC 3339 with its zone, a date alone (its first instant in UTC), or `now`. Unacceptable for anything else."""
    if text == "now" and clock is not None:
        return clock()
    wanted = "expected 2026-06-01T09:00:00+09:00 or 2026-06-01"
    try:
        parsed = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise Unacceptable(f"not a time: {text[:40]!r} ({wanted})") from error
    if parsed.tzinfo is None:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text.strip()) is None:
            raise Unacceptable(f"time has no zone: {text[:40]!r} ({wanted})")
        return parsed.replace(tzinfo=UTC)
    try:
        return utc(parsed)
    except OverflowError as error:
        raise Unacceptable(f"time is out of range: {text[:40]!r}") from error


def _certificate_files(folder: Path) -> list[Path]:
    try:
        inside = sorted(f for f in folder.iterdir() if f.suffix.lower() in CERTIFICATE_NAMES and f.is_file())
    except OSError as error:
        raise unreadable(folder, error) from error
    if not inside:
        raise NotFound(f"folder {shown(folder)} has no certificates (files called {' '.join(sorted(CERTIFICATE_NAMES))})")
    return inside


def _read(path: Path, parse: Callable[[bytes], Sequence[_T]]) -> tuple[_T, ...]:
    """A file's objects; parsed once as long as the file does not change, because every job of a batch names the same few."""
    if size_of(path) > LIMIT:
        raise TooLarge(f"{shown(path)} is over {LIMIT >> 20} MiB")
    stat = path.stat()
    try:
        return _parsed(path, stat.st_mtime_ns, stat.st_size, parse)
    except OSError as error:
        raise unreadable(path, error) from error
    except KakuinError as error:
        raise type(error)(f"{shown(path)}: {error}") from error


@functools.lru_cache(maxsize=4096)
def _parsed(path: Path, _mtime_ns: int, _size: int, parse: Callable[[bytes], Sequence[_T]]) -> tuple[_T, ...]:
    return tuple(parse(path.read_bytes()))


def _blocks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Label and DER of each PEM block (RFC 7468), in order. Each octet is looked at once, however many blocks begin and never end."""
    end = 0
    for begin in _BEGIN.finditer(data):
        if end < begin.end():
            end = data.find(_END, begin.end())
        if end < 0:
            return
        if not data.startswith(_END + begin[1] + b"-----", end):
            raise Malformed("PEM block does not end as it begins")
        try:
            yield begin[1], base64.b64decode(b"".join(data[begin.end() : end].split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise Malformed("PEM block is not base64") from error


def certificates_in(data: bytes) -> list[Cert]:
    """Each certificate in PEM, DER or PKCS #7 bytes; Malformed where there is none, or one that cannot be read."""
    found: list[Cert] = []
    if b"-----BEGIN " in data:
        for label, der in _blocks(data):
            if label in _CERTIFICATE_LABELS:
                found.append(_certificate(der))
            elif label in _PKCS7_LABELS:
                found += _pkcs7(der)
    elif data:
        found += _pkcs7(data) if b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02" in data[:24] else [_certificate(data)]
    if not found:
        raise Malformed("expected a certificate (PEM or DER), got none")
    return found


def _certificate(der: bytes) -> Cert:
    cert = Cert(der)
    _ = cert.subject, cert.issuer  # Malformed here rather than in the middle of a verification
    return cert


def _pkcs7(der: bytes) -> list[Cert]:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
    from cryptography.x509 import InvalidVersion

    try:
        return [Cert(c.public_bytes(Encoding.DER)) for c in pkcs7.load_der_pkcs7_certificates(der)]
    except (ValueError, InvalidVersion, UnsupportedAlgorithm) as error:
        raise Malformed("expected certificates in a PKCS #7, got something else") from error


def crls_in(data: bytes) -> list[Crl]:
    """Each list in PEM or DER bytes."""
    ders = [der for label, der in _blocks(data) if label == b"X509 CRL"] if b"-----BEGIN " in data else [data]
    found = [Crl(der) for der in ders]
    for crl in found:
        _ = crl.x509
    if not found:
        raise Malformed("expected a certificate revocation list (PEM or DER), got none")
    return found


def ocsps_in(data: bytes) -> list[Ocsp]:
    """The answer in DER bytes: a whole response or the basic one in it."""
    try:
        return [Ocsp.from_response(data)]
    except Malformed:
        basic = Ocsp(data)
        try:
            _ = basic.asn1["tbs_response_data"].native
        except (Malformed, ValueError, TypeError, LookupError) as error:
            raise Malformed("expected an OCSP response in DER, got something else") from error
        return [basic]


def policy(name: str) -> Policy:
    """A shipped policy by its name, or one from a TOML file. NotFound for neither, Malformed for a file that is no policy."""
    if name in SHIPPED:
        return load(name)
    path = Path(name)
    if not path.is_file():
        raise NotFound(f"no policy {name[:80]!r}: expected {', '.join(SHIPPED)} or a TOML file")
    if size_of(path) > POLICY_LIMIT:
        raise TooLarge(f"{shown(path)} is over {POLICY_LIMIT >> 10} KiB")
    try:
        # A text always has a line feed: that is how `load` tells it from a name.
        return load(path.read_text("utf-8") + "\n")
    except UnicodeDecodeError as error:
        raise Malformed(f"{shown(path)}: policy is not UTF-8") from error
    except OSError as error:
        raise unreadable(path, error) from error
    except KakuinError as error:
        raise type(error)(f"{shown(path)}: {error}") from error
