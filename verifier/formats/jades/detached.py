"""What a JAdES signature signs: RFC 7515's payload, inside or detached, and the `sigD` header (ETSI TS 119 182-1 clause 5.2.8).

A detached file is found by its name. A file that is not what was signed under its own name is a broken reference, even where it is
what was signed under another one: files that changed places are no longer what the signer saw.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from trust.codecs import cms, jose
from trust.codecs.jose import Jws
from trust.errors import Malformed
from trust.model import Defect, Digest, Document, Id, Reference, Scope

HTTP_HEADERS = "http://uri.etsi.org/19182/HttpHeaders"
OBJECT_ID_BY_URI = "http://uri.etsi.org/19182/ObjectIdByURI"
OBJECT_ID_BY_URI_HASH = "http://uri.etsi.org/19182/ObjectIdByURIHash"

_HTTP_DIGESTS = {"sha-256": "sha256", "sha-384": "sha384", "sha-512": "sha512"}
_CLAUSE = "ETSI TS 119 182-1 clause 5.2.8"
_HEADER_LIMIT = 1 << 16
"""Bytes of one HTTP header field's value."""

Pieces = Callable[[], Iterator[bytes]]


@dataclass(frozen=True)
class Content:
    """What one signature signs, as far as it is here."""

    payload: Pieces | None
    """As it stands in the signing input; None where it was not found."""
    stamped: Pieces | None
    """Clause 5.3.6.3 and 5.2.6: what content and archive time-stamps hash in the payload's place."""
    size: int
    """Of the payload in bytes, as far as it is known."""
    references: tuple[Reference, ...]
    documents: tuple[Document, ...]
    """What is covered, in the order of the references."""
    defects: tuple[Defect, ...] = ()

    @property
    def ids(self) -> frozenset[Id]:
        """Of the documents whose content is fixed by an intact reference."""
        digests = (document.digest("sha256") for document in self.documents)
        return frozenset(Id(d.value) for d in digests if d is not None)


def content(jws: Jws, given: Sequence[Document]) -> Content:
    """Clause 5.2.8 and RFC 7515 appendix F: the payload of this signature, from itself or from the files that were given."""
    mechanism = jws.header.get("sigD")
    inside = jws.payload()
    if inside is not None and jws.content is not None:
        octets = jws.content.octets
        document = Document.of(inside.data, media_type=_media_type(jws.header.get("cty")))
        defects = [Defect(_CLAUSE, "sigD stands beside a payload")] if mechanism is not None else []
        defects += [Defect("RFC 7515 section 2", f"payload: {inside.fault}")] if inside.fault else []
        return Content(_once(octets), _once(octets), len(octets), (Reference("payload", True, True),), (document,), tuple(defects))
    if mechanism is None:
        return _plain(jws, given)
    entries = mechanism if isinstance(mechanism, dict) else {}
    names = entries.get("pars")
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        return _nothing("sigD names nothing", Defect(_CLAUSE, "sigD has no list of names in pars"))
    if (flaw := _sig_d_flaw(entries, names)) is not None:
        return _nothing("sigD", flaw)
    method = entries.get("mId")
    if method == OBJECT_ID_BY_URI:
        return _by_uri(jws, names, given)
    if method == OBJECT_ID_BY_URI_HASH:
        return _by_hash(jws, names, entries, given)
    if method == HTTP_HEADERS:
        return _by_headers(names, given)
    return _nothing("sigD", Defect(_CLAUSE, "sigD uses a mechanism that is not known here"))


def _sig_d_flaw(entries: dict[str, Any], names: list[str]) -> Defect | None:
    """Clause 5.2.8.1: `ctys` speaks of each name, and digests are in the one encoding that they have (RFC 7515 section 2)."""
    types, hashes = entries.get("ctys"), entries.get("hashV")
    if types is not None and (not isinstance(types, list) or len(types) != len(names) or not all(isinstance(t, str) for t in types)):
        return Defect(_CLAUSE + ".1", "sigD has not one content type for each name")
    method = entries.get("mId")
    if method != OBJECT_ID_BY_URI_HASH and ("hashM" in entries or "hashV" in entries):
        return Defect(_CLAUSE, "sigD has digests, and its mechanism uses none")
    if isinstance(hashes, list) and any(isinstance(h, str) and jose.sloppy(h) for h in hashes):
        return Defect("RFC 7515 section 2", "sigD has a digest in sloppy base64url")
    return None


def _nothing(name: str, *defects: Defect) -> Content:
    return Content(None, None, 0, (Reference(name, False, False),), (), defects)


def _once(data: bytes) -> Pieces:
    return lambda: iter((data,))


def _media_type(cty: object) -> str | None:
    """RFC 7515 section 4.1.10: `application/` may be left out."""
    if not isinstance(cty, str) or not cty:
        return None
    return cty if "/" in cty else f"application/{cty}"


def _octets(document: Document, *, b64: bool) -> Iterator[bytes]:
    return jose.encoded_chunks(document.chunks()) if b64 else document.chunks()


def _joined(documents: Sequence[Document], *, b64: bool) -> Pieces:
    """Clause 5.2.8.3.2: each object's octets, base64url one by one where b64 is not false, one after the other."""
    return lambda: (piece for document in documents for piece in _octets(document, b64=b64))


def _size(documents: Sequence[Document]) -> int:
    return sum(d.size or 0 for d in documents) * 4 // 3 + 4


def _plain(jws: Jws, given: Sequence[Document]) -> Content:
    """RFC 7515 appendix F: the payload is one file, known from elsewhere."""
    readable = [d for d in given if d.readable]
    if len(readable) != 1 or len(given) != 1:
        return _nothing("payload")
    pieces = _joined(readable, b64=jws.b64)
    reference = Reference(readable[0].name or "payload", True, True)
    return Content(pieces, pieces, _size(readable), (reference,), (readable[0],))


def matched(names: Sequence[str], given: Sequence[Document]) -> list[Document | None]:
    """For each name the file that bears it: as written, percent-decoded, or the last part of its path where that is the only such one.

    One name and one file belong together whatever the file is called: it was given as the signed content.
    """
    if len(names) == 1 and len(given) == 1:
        return [given[0]]
    found = [next((d for d in given if d.name is not None and d.name in (name, unquote(name))), None) for name in names]
    tails = [_tail(name) for name in names]
    taken = [d for d in found if d is not None]
    for at, tail in enumerate(tails):
        if found[at] is None and tails.count(tail) == 1:
            alike = [d for d in given if d not in taken and d.name is not None and _tail(d.name) == tail]
            found[at] = alike[0] if len(alike) == 1 else None
    return found


def _tail(name: str) -> str:
    return unquote(name).replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]


def _by_uri(jws: Jws, names: list[str], given: Sequence[Document]) -> Content:
    """Clause 5.2.8.3.2: the payload is the files' contents in the order of their names."""
    found = matched(names, given)
    here = [d for d in found if d is not None and d.readable]
    references = tuple(Reference(n, d is not None and d.readable, d is not None and d.readable, uri=n) for n, d in zip(names, found, strict=True))
    if len(here) != len(names):
        return Content(None, None, 0, references, tuple(here))
    pieces = _joined(here, b64=jws.b64)
    return Content(pieces, pieces, _size(here), references, tuple(here))


def _by_hash(jws: Jws, names: list[str], entries: dict[str, Any], given: Sequence[Document]) -> Content:
    """Clause 5.2.8.3.3: the payload is empty; sigD, which is signed, holds each file's digest."""
    hashes, algorithm = entries.get("hashV"), jose.digest_name(entries.get("hashM"))
    if not isinstance(hashes, list) or len(hashes) != len(names) or not all(isinstance(h, str) for h in hashes):
        return _nothing("sigD", Defect(_CLAUSE + ".3.3", "sigD has not one digest for each name"))
    if len(set(names)) != len(names):
        return _nothing("sigD", Defect(_CLAUSE + ".3.3", "sigD names a file twice"))
    signed = [_digest(algorithm, value) for value in hashes]
    defects = () if algorithm else (Defect(_CLAUSE + ".3.3", "sigD uses a digest algorithm that is not known here"),)
    found = _by_digest(matched(names, given), signed, given, b64=jws.b64)
    references = []
    for name, document, digest in zip(names, found, signed, strict=True):
        actual = None if document is None or digest is None else hashed(document, digest.algorithm, b64=jws.b64)
        scope = Scope.FULL if document is None or document.readable else Scope.DIGEST
        references.append(Reference(name, document is not None and actual is not None, actual is not None and actual == digest, scope, digest, name))
    here = tuple(d for d, r in zip(found, references, strict=True) if d is not None and r.intact)
    whole = len(here) == len(names) and all(d.readable for d in here)
    return Content(_once(b""), _joined(here, b64=jws.b64) if whole else None, 0, tuple(references), here, defects)


def _digest(algorithm: str | None, value: str) -> Digest | None:
    try:
        return Digest(algorithm, jose.pki_octets(value)) if algorithm else None
    except Malformed:
        return None


def _by_digest(found: list[Document | None], signed: Sequence[Digest | None], given: Sequence[Document], *, b64: bool) -> list[Document | None]:
    """A name that no file bears may still be that of a file without a signed name, which its digest tells: files get renamed on the way."""
    spare = [d for d in given if d not in found]
    for at, digest in enumerate(signed):
        if found[at] is None and digest is not None:
            found[at] = next((d for d in spare if hashed(d, digest.algorithm, b64=b64) == digest), None)
    return found


def hashed(document: Document, algorithm: str, *, b64: bool) -> Digest | None:
    """The digest of a file's octets as sigD has it; one that was given as a digest is taken as it is."""
    if not document.readable:
        return document.digest(algorithm)
    return cms.digest_of(_octets(document, b64=b64), algorithm)


def _by_headers(names: list[str], given: Sequence[Document]) -> Content:
    """Clause 5.2.8.2: the payload is header fields of an HTTP message, each given as a file with the field's name; `digest` stands for the body.

    Where there is no file named `digest`, the one other file is the body and its SHA-256 the field.
    """
    fields = {d.name.lower(): d for d in given if d.name is not None and d.readable}
    listed = {n.lower() for n in names}
    others = [d for d in given if d.readable and (d.name is None or d.name.lower() not in listed)]
    body = others[0] if len(others) == 1 else None
    lines: list[bytes] = []
    stamped: list[Pieces] = []
    references: list[Reference] = []
    for name in names:
        value = _field(name, fields, body)
        references.append(Reference(name, value is not None, value is not None, uri=name))
        if value is None:
            continue
        line = name.lower().encode("utf-8") + b": " + value
        lines.append(line)
        stamped.append(body.chunks if name.lower() == "digest" and body is not None else _once(line))
        if name.lower() == "digest" and body is not None:
            references.append(_body_reference(value, body))
    documents = tuple(fields[n] for n in listed if n in fields) + ((body,) if body else ())
    if not all(r.found for r in references):
        return Content(None, None, 0, tuple(references), documents)
    octets = b"\n".join(lines)
    return Content(_once(octets), lambda: _separated(stamped), len(octets), tuple(references), documents)


def _field(name: str, fields: dict[str, Document], body: Document | None) -> bytes | None:
    document = fields.get(name.lower())
    if document is not None:
        return document.read(_HEADER_LIMIT).strip()
    if name.lower() != "digest" or body is None:
        return None
    digest = body.digest("sha256")
    return None if digest is None else b"SHA-256=" + _base64(digest.value)


def _base64(data: bytes) -> bytes:
    return jose.encoded(data).replace("-", "+").replace("_", "/").encode("ascii") + b"=" * (-len(data) % 3)


def _body_reference(value: bytes, body: Document) -> Reference:
    """RFC 3230: `algorithm=base64`, one or several; the body must match one that is known here, and none may differ."""
    verdicts, signed = [], None
    for part in value.decode("latin-1").split(","):
        name, _, text = part.strip().partition("=")
        algorithm = _HTTP_DIGESTS.get(name.lower())
        if algorithm is not None:
            signed = _digest(algorithm, text)
            verdicts.append(signed is not None and body.digest(algorithm) == signed)
    return Reference(body.name or "body", True, bool(verdicts) and all(verdicts), digest=signed)


def _separated(parts: Sequence[Pieces]) -> Iterator[bytes]:
    for at, part in enumerate(parts):
        if at:
            yield b"\n"
        yield from part()
