"""A snapshot of everything that a verdict depends on beside the documents themselves, in a file that is named by its content.

The digest of a bundle is the SHA-256 of its first member, `bundle.json`, which lists every other member by SHA-256: reports name it, and
`kakuin verify --bundle` asks the same question again, offline, for the same bytes of the JSON report. The file is a ZIP that any program opens, and
has one form only: members in a fixed order, stored, without times. A file of another form is refused, so that a bundle cannot be changed at all.

What stands in one: docs/bundles.md.
"""

import dataclasses
import functools
import hashlib
import importlib.resources
import json
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from trust import VERSION
from trust.errors import Malformed, TooLarge
from trust.model import Cert, Crl, Document, Ocsp, utc
from verifier.policy import Policy, load
from verifier.question import Question, Unobtained

FORM = "kakuin bundle 1"
MANIFEST, POLICY = "bundle.json", "policy.toml"
MAX_BYTES = 512 << 20
"""Of a bundle. A typical one has some 100 kB; a few national lists of revoked certificates make 50 MB."""
MAX_MEMBERS = 20_000
"""All trust services of all trusted lists are some 4,000."""
ENDINGS = {"anchors": "cer", "certificates": "cer", "crls": "crl", "ocsps": "ocsp", "evidence_records": "ers"}
"""Folder -> ending of the files in it, in their order."""

_Der = TypeVar("_Der", Cert, Crl, Ocsp)


@dataclass(frozen=True, slots=True)
class Engine:
    """What came to the verdict."""

    version: str
    timetables: str
    """SHA-256 of trust/suites.toml, in hexadecimal: which algorithm is believed until when."""


@functools.cache
def engine() -> Engine:
    """This one."""
    return Engine(f"kakuin {VERSION}", _sha256(importlib.resources.files("trust").joinpath("suites.toml").read_bytes()))


@dataclass(frozen=True)
class Bundle:
    engine: Engine
    at: datetime
    """The validation time."""
    policy: str
    """TOML, with everything said: what a later engine takes for granted changes nothing."""
    anchors: tuple[Cert, ...] = ()
    """These and the next three: each once, in the order of their digests."""
    certificates: tuple[Cert, ...] = ()
    crls: tuple[Crl, ...] = ()
    ocsps: tuple[Ocsp, ...] = ()
    records: tuple[Document, ...] = ()
    """Evidence records beside the document, in the order in which they were given."""
    unobtained: tuple[Unobtained, ...] = ()

    @classmethod
    def of(cls, question: Question) -> "Bundle":
        """What this question depends on, judged by this engine."""
        return cls(
            engine(),
            question.at,
            policy_text(question.policy),
            ordered(question.anchors),
            ordered(question.certificates),
            ordered(question.crls),
            ordered(question.ocsps),
            question.records,
            question.unobtained,
        )

    def question(self, document: Document, detached: Sequence[Document] = ()) -> Question:
        """The question of this bundle about a document. Malformed where this engine does not know the policy's words."""
        return Question(
            document,
            self.at,
            load(self.policy),
            self.anchors,
            tuple(detached),
            self.certificates,
            self.crls,
            self.ocsps,
            self.records,
            self.unobtained,
            self.digest,
        )

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of `bundle.json`, in hexadecimal."""
        return _sha256(self._manifest)

    @functools.cached_property
    def _manifest(self) -> bytes:
        told: dict[str, Any] = {
            "form": FORM,
            "engine": dataclasses.asdict(self.engine),
            "validation_time": utc(self.at).isoformat(),
            "policy": _sha256(self.policy.encode()),
            **{folder: [found.id.hex() for found in getattr(self, folder)] for folder in ("anchors", "certificates", "crls", "ocsps")},
            "evidence_records": [{"name": r.name, "sha256": _content(r)} for r in self.records],
            "unobtained": [dataclasses.asdict(u) for u in self.unobtained],
        }
        return json.dumps(told, sort_keys=True, indent=1).encode() + b"\n"

    def pack(self) -> bytes:
        """The file. TooLarge over the limits."""
        members = list(self._members())
        size = sum(len(data) for _, data in members)
        if size > MAX_BYTES or len(members) > MAX_MEMBERS:
            raise TooLarge(f"a bundle has at most {MAX_BYTES >> 20} MiB in {MAX_MEMBERS} members, got {size >> 20} MiB in {len(members)}")
        return _zip(members)

    def _members(self) -> Iterator[tuple[str, bytes]]:
        yield MANIFEST, self._manifest
        yield POLICY, self.policy.encode()
        for folder in ("anchors", "certificates", "crls", "ocsps"):
            for found in getattr(self, folder):
                yield f"{folder}/{found.id.hex()}.{ENDINGS[folder]}", found.der
        for digest, record in {_content(r): r for r in self.records}.items():
            yield f"evidence_records/{digest}.{ENDINGS['evidence_records']}", record.read(MAX_BYTES)

    @classmethod
    def unpack(cls, data: bytes) -> "Bundle":
        """The bundle in these bytes. Malformed for anything that pack() would not have written."""
        if len(data) > MAX_BYTES:
            raise TooLarge(f"a bundle has at most {MAX_BYTES >> 20} MiB")
        members = dict(_unzip(data))
        try:
            made = cls._read(json.loads(members[MANIFEST]), members)
        except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise Malformed("not a bundle of kakuin, or one that was changed") from error
        if _zip(list(made._members())) != data:
            raise Malformed("bundle was changed since it was made: its members are not those that it lists")
        return made

    @classmethod
    def _read(cls, told: Mapping[str, Any], members: Mapping[str, bytes]) -> "Bundle":
        """KeyError, ValueError and TypeError for what is no manifest; whether all of it belongs together, the caller finds by packing it again."""
        if told["form"] != FORM:
            raise Malformed(f"bundle is of a form that is not known here, expected {FORM!r}")

        def member(folder: str, digest: str) -> bytes:
            return members[f"{folder}/{digest}.{ENDINGS[folder]}"]

        return cls(
            Engine(**{name: _text(value) for name, value in told["engine"].items()}),
            utc(datetime.fromisoformat(told["validation_time"])),
            members[POLICY].decode(),
            ordered(Cert(member("anchors", d)) for d in told["anchors"]),
            ordered(Cert(member("certificates", d)) for d in told["certificates"]),
            ordered(Crl(member("crls", d)) for d in told["crls"]),
            ordered(Ocsp(member("ocsps", d)) for d in told["ocsps"]),
            tuple(Document.of(member("evidence_records", r["sha256"]), _name(r["name"])) for r in told["evidence_records"]),
            tuple(Unobtained(**{name: _text(value) for name, value in u.items()}) for u in told["unobtained"]),
        )


def ordered(found: Iterable[_Der]) -> tuple[_Der, ...]:
    """Each once, in the order of their digests: nothing depends on the order in which they were given."""
    return tuple(sorted(set(found), key=lambda one: one.id))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _content(record: Document) -> str:
    found = record.digest("sha256")
    if found is None:
        raise Malformed("an evidence record is known by its digest alone")
    return found.value.hex()


def _name(value: object) -> str | None:
    return None if value is None else _text(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


# The policy


@functools.lru_cache(maxsize=64)
def policy_text(policy: Policy) -> str:
    """The policy as TOML that says everything, defaults included; `load` makes the same policy of it."""
    return "\n".join(_toml("", policy)) + "\n"


def _toml(table: str, value: Any) -> Iterator[str]:
    fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    tables = {k: v for k, v in fields.items() if dataclasses.is_dataclass(v) or isinstance(v, Mapping)}
    if table:
        yield f"[{table}]"
    # What is None is absent: TOML has no word for it, and it is the default of every field that knows it.
    yield from (f"{k} = {_toml_value(v)}" for k, v in fields.items() if k not in tables and v is not None)
    for name, inner in tables.items():
        yield ""
        if isinstance(inner, Mapping):
            yield f"[{name}]"
            yield from (f"{_toml_value(k)} = {_toml_value(v)}" for k, v in sorted(inner.items()))
        else:
            yield from _toml(name, inner)


def _toml_value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case StrEnum():
            return _toml_value(str(value.value))
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case datetime():
            return utc(value).isoformat()
        case tuple():
            return f"[{', '.join(map(_toml_value, value))}]"
    return repr(value)


# The container: PKWARE's APPNOTE 6.3, as little of it as there is. Written here, because the bytes may never depend on a library's version.

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_VERSION, _FIRST_OF_1980 = 20, 0x21


def _zip(members: Sequence[tuple[str, bytes]]) -> bytes:
    parts: list[bytes] = []
    directory: list[bytes] = []
    at = 0
    for name, data in members:
        encoded = name.encode("ascii")
        sizes = (zlib.crc32(data), len(data), len(data))
        local = _LOCAL.pack(b"PK\x03\x04", _VERSION, 0, 0, 0, _FIRST_OF_1980, *sizes, len(encoded), 0) + encoded
        directory.append(_CENTRAL.pack(b"PK\x01\x02", _VERSION, _VERSION, 0, 0, 0, _FIRST_OF_1980, *sizes, len(encoded), 0, 0, 0, 0, 0, at) + encoded)
        parts += [local, data]
        at += len(local) + len(data)
    size = sum(map(len, directory))
    return b"".join([*parts, *directory, _END.pack(b"PK\x05\x06", 0, 0, len(members), len(members), size, at, 0)])


def _unzip(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The members, from the front; what is odd about the rest shows when they are packed again."""
    at = count = 0
    while data[at : at + 4] == b"PK\x03\x04":
        count += 1
        if count > MAX_MEMBERS:
            raise TooLarge(f"a bundle has at most {MAX_MEMBERS} members")
        if len(data) - at < _LOCAL.size:
            raise Malformed("bundle is cut off")
        *_, size, name_size, extra = _LOCAL.unpack_from(data, at)
        start = at + _LOCAL.size + name_size + extra
        if start + size > len(data):
            raise Malformed("bundle is cut off")
        yield data[at + _LOCAL.size : start - extra].decode("ascii", "replace"), data[start : start + size]
        at = start + size
    if not count:
        raise Malformed("not a bundle of kakuin: expected a ZIP that kakuin made")
