"""JAdES raised (ETSI TS 119 182-1 clause 5.3): components appended to `etsiU`, in the form that those there have; nothing that is signed is touched.

A compact JWS has no place for them and becomes flattened JSON: the same three texts under their names.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eseal.draft import Draft, Piece, Span
from eseal.extend import Extended, Tools, Wanted, digest_of
from eseal.formats import jades
from eseal.formats.jades_payload import archived_payload
from eseal.levels import joined, without
from trust.algorithms import hasher
from trust.codecs import jose
from trust.codecs.cms import token
from trust.codecs.jose import Jws
from trust.codecs.signed_data import cert, ocsp_response
from trust.errors import Malformed, Unacceptable
from trust.model import Cert, Crl, Digest, Document, Ocsp, Token
from trust.ports import Status

LARGEST = 128 << 20
"""Bytes of a JWS."""
_JCS = "http://www.rfc-editor.org/rfc/rfc8785"
_STAMPS = ("sigTst", "sigRTst", "rfsTst", "arcTst")
_SEVERAL_REFERENCES = "sigX5ts"


def extend(document: Document, wanted: Wanted, tools: Tools, detached: Sequence[Document] = ()) -> Draft:
    """Each signature of the JWS to the level that is wanted; renewed where it has that level already.

    Malformed for what is no JWS, Unacceptable for one without its content, Unavailable when token or status is not to be had.
    """
    data = document.read(LARGEST)
    whole, entries, warnings = opened(data)
    sheets = [Sheet(jws, entry) for jws, entry in entries]
    stamps: list[Token] = []
    for sheet in sheets:
        stamps += _raised(sheet, wanted, tools, detached)
    return Extended(written(data, whole), tuple(stamps), warnings).draft()


def opened(data: bytes) -> tuple[dict[str, Any], list[tuple[Jws, dict[str, Any]]], tuple[str, ...]]:
    """The object that will be written, and each signature with the member of it that holds its headers."""
    if data.lstrip(b" \t\r\n")[:1] != b"{":
        of = jose.serialization(data)
        header, payload, signature = data.decode().rstrip("\r\n").split(".")
        whole = {**({"payload": payload} if payload else {}), "protected": header, "signature": signature}
        return whole, [(of.signatures[0], whole)], ("a compact JWS has no place for time-stamps: it became flattened JSON",)
    whole = jose.parse(data)
    of = jose.from_json(whole)
    members = [e for e in whole["signatures"] if e.get("signature") is not None] if of.kind == "general" else [whole]
    if of.kind == "none" or not of.signatures:
        raise Unacceptable("the JSON holds no signature")
    return whole, list(zip(of.signatures, members, strict=True)), ()


def written(data: bytes, whole: Mapping[str, Any]) -> tuple[Piece, ...]:
    """The payload by name where it stands in the document as it will in the result."""
    text = json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()
    payload = whole.get("payload")
    known = payload.encode() if isinstance(payload, str) and len(payload) > 1 << 16 and payload.isascii() and '"' not in payload else b""
    old, new = (data.find(known), text.find(known)) if known else (-1, -1)
    if old < 0 or new < 0:
        return (text,)
    return text[:new], Span(old, old + len(known)), text[new + len(known) :]


@dataclass
class Sheet:
    """A signature with its components so far."""

    jws: Jws
    entry: dict[str, Any]
    listed: list[Any] = field(init=False)

    def __post_init__(self) -> None:
        header = self.entry.setdefault("header", {})
        listed = header.setdefault("etsiU", []) if isinstance(header, dict) else None
        if not isinstance(listed, list):
            raise Malformed("etsiU of the JWS is no array")
        if not all(isinstance(e, dict) or (isinstance(e, str) and e.isascii()) for e in listed):
            raise Malformed("etsiU of the JWS has a component that is neither base64url nor an object")
        self.listed = listed

    @property
    def clear(self) -> bool:
        """Whether components stand as objects; a new list has base64url texts (clause 5.3.1), over which an archive time-stamp needs no rule."""
        return any(isinstance(e, dict) for e in self.listed)

    def add(self, name: str, value: Any) -> None:
        one = {name: value}
        self.listed.append(one if self.clear else jose.encoded(_json(one)))

    def components(self) -> Iterator[tuple[str, Any]]:
        for entry in self.listed:
            one = entry if isinstance(entry, dict) else _decoded(entry)
            yield from one.items()

    def has(self, name: str) -> bool:
        return any(n == name for n, _ in self.components())

    def tokens(self, *names: str) -> Iterator[bytes]:
        for name, value in self.components():
            if name in names and isinstance(value, dict):
                for held in _list(value.get("tstTokens")):
                    if (der := _octets(held)) is not None:
                        yield der

    def digest(self) -> str:
        made = jose.algorithm(self.jws.header.get("alg"), self.jws.signature)
        return digest_of(made.digest if made else None)


def _decoded(entry: object) -> dict[str, Any]:
    try:
        value = jose.parse(jose.octets(entry).data) if isinstance(entry, str) else {}
    except Malformed:
        return {}
    return value if isinstance(value, dict) else {}


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _list(value: object) -> list[Any]:
    """The empty one for what is none: the verifier told of it before."""
    return value if isinstance(value, list) else []


def _octets(held: object) -> bytes | None:
    """Clause 5.4.1, pkiOb."""
    try:
        return jose.pki_octets(held.get("val")) if isinstance(held, dict) else None
    except Malformed:
        return None


def _raised(sheet: Sheet, wanted: Wanted, tools: Tools, detached: Sequence[Document]) -> list[Token]:
    _collect(sheet, tools)
    stamps: list[Token] = []
    signature = sheet.jws.encoded_signature.encode("ascii")
    if not sheet.has("sigTst"):
        # Clause 5.3.4: over the base64url text of the value.
        stamps.append(tools.stamped(Digest.of(sheet.digest(), signature)))
        sheet.add("sigTst", _container(stamps[-1]))
    if wanted.status:
        _hold(sheet, tools)
    if wanted.archive:
        stamps.append(_archive(sheet, _imprint(sheet, detached), tools))
    return stamps


def _archive(sheet: Sheet, imprint: Digest, tools: Tools) -> Token:
    """Clause 5.3.6, and what the new time-stamp's own chain needs, as far as it is not there."""
    made = tools.stamped(imprint)
    rest = without(tools.material.of_token(made), _there(sheet, tools))
    sheet.add("arcTst", {**({"canonAlg": _JCS} if sheet.clear else {}), **_container(made)})
    if rest.certs:
        sheet.add("tstVD", jades.values(rest))
    return made


def awaited(data: bytes) -> tuple[str, bytes]:
    """Of the one signature over files that are elsewhere: by which digest its archive time-stamp is made, and what that hashes behind those files
    (clause 5.3.6.3)."""
    [sheet] = [Sheet(jws, entry) for jws, entry in opened(data)[1]]
    return sheet.digest(), b"".join(_behind(sheet))


def archived(data: bytes, imprint: Digest, tools: Tools) -> tuple[bytes, list[Token]]:
    """With an archive time-stamp over `imprint`, which whoever has the files computed."""
    whole, entries, _ = opened(data)
    [sheet] = [Sheet(jws, entry) for jws, entry in entries]
    _collect(sheet, tools)
    made = _archive(sheet, imprint, tools)
    return _json(whole), [made]


def _container(made: Token) -> dict[str, Any]:
    """Clause 5.4.3, tstContainer."""
    return {"tstTokens": [{"val": jades.text(made.der)}]}


# Validation data.


def _collect(sheet: Sheet, tools: Tools) -> None:
    tools.material.add(_chain(sheet.jws))
    held = _held(sheet)
    tools.material.add(held.certs, held.crls, held.ocsps)
    for der in sheet.tokens(*_STAMPS):
        if (found := _token(der, tools)) is not None:
            tools.material.add_token(found)
    for counter in _counters(sheet):
        tools.material.add(_chain(counter))


def _chain(jws: Jws) -> list[Cert]:
    """x5c."""
    listed = jws.header.get("x5c", jws.unprotected.get("x5c"))
    return [cert(der) for entry in _list(listed) if (der := _octets({"val": entry})) is not None]


def _held(sheet: Sheet) -> Status:
    """Clauses 5.3.5 and 5.3.6.1: what the components hold."""
    certs: list[Cert] = []
    crls: list[Crl] = []
    ocsps: list[Ocsp] = []

    def read(values: Any, status: Any) -> None:
        named = (one.get("x509Cert") for one in _list(values) if isinstance(one, dict))
        certs.extend(cert(der) for one in named if (der := _octets(one)) is not None)
        if isinstance(status, dict):
            crls.extend(Crl(der) for one in _list(status.get("crlVals")) if (der := _octets(one)) is not None)
            found = (ocsp_response(der) for one in _list(status.get("ocspVals")) if (der := _octets(one)) is not None)
            ocsps.extend(o for o in found if o is not None)

    for name, value in sheet.components():
        if name in ("xVals", "axVals"):
            read(value, None)
        elif name in ("rVals", "arVals"):
            read(None, value)
        elif name in ("tstVD", "anyValData") and isinstance(value, dict):
            read(value.get("xVals"), value.get("rVals"))
    return Status(tuple(crls), tuple(ocsps), tuple(certs))


def _token(der: bytes, tools: Tools) -> Token | None:
    try:
        return token(der, tools.material.certs())
    except Malformed:
        return None  # the verifier told of it before


def _counters(sheet: Sheet) -> Iterator[Jws]:
    """Clause 5.3.2."""
    for name, value in sheet.components():
        if name == "cSig":
            try:
                yield from (jose.compact(value) if isinstance(value, str) else jose.from_json(value)).signatures
            except Malformed:
                continue


def _signer(jws: Jws, tools: Tools) -> Cert:
    """Clause 5.1.7 and 5.2.2: by the digest that the header names, or else the first of x5c."""
    digest = None
    named = jws.header.get("x5t#S256")
    several = jws.header.get(_SEVERAL_REFERENCES)
    try:
        if isinstance(named, str):
            digest = Digest("sha256", jose.octets(named).data)
        else:
            digest = jose.digest_of(several[0] if isinstance(several, list) and several else jws.header.get("x5t#o"))
    except Malformed:
        digest = None
    known = tools.material.certs()
    found = next((c for c in known if digest is not None and Digest.of(digest.algorithm, c.der) == digest), None) or next(iter(_chain(jws)), None)
    if found is None:
        raise Unacceptable("the certificate of a signer is not in the JWS: give it with the certificates")
    return found


def _hold(sheet: Sheet, tools: Tools) -> None:
    """Clause 5.3.5: of signers in xVals and rVals, where these are not there yet; all else in tstVD (clause 5.3.6.1)."""
    there = _there(sheet, tools)
    own = without(tools.material.of([_signer(jws, tools) for jws in (sheet.jws, *_counters(sheet))]), there)
    direct = Status(() if sheet.has("rVals") else own.crls, () if sheet.has("rVals") else own.ocsps, () if sheet.has("xVals") else own.certs)
    for name, value in jades.values(direct).items():
        sheet.add(name, value)
    there = joined(there, direct)
    rest = without(own, there)
    for der in list(sheet.tokens(*_STAMPS)):
        if (found := _token(der, tools)) is not None:
            rest = joined(rest, without(tools.material.of_token(found), there))
    if rest != Status():
        sheet.add("tstVD", jades.values(rest))


def _there(sheet: Sheet, tools: Tools) -> Status:
    """What its components and the tokens in them hold."""
    made = _held(sheet)
    for der in sheet.tokens(*_STAMPS):
        if (found := _token(der, tools)) is not None:
            made = joined(made, Status(found.crls, found.ocsps, found.certs))
    return made


# Clause 5.3.6.3.


def _imprint(sheet: Sheet, detached: Sequence[Document]) -> Digest:
    """Payload, header and value with dots, then every component so far."""
    used = sheet.digest()
    running = hasher(used)
    for piece in archived_payload(sheet.jws, detached):
        running.update(piece)
    for octets in _behind(sheet):
        running.update(octets)
    return Digest(used, running.digest())


def _behind(sheet: Sheet) -> Iterator[bytes]:
    """What follows the payload."""
    if sheet.clear and any(isinstance(e, str) for e in sheet.listed):
        raise Unacceptable("etsiU has components of both forms: an archive time-stamp over them has no rule (clause 5.3.1)")
    yield f".{sheet.jws.encoded_header}.{sheet.jws.encoded_signature}.".encode("ascii")
    for entry in sheet.listed:
        if isinstance(entry, str):
            yield entry.encode("ascii")
        else:
            yield from (_canonical({name: value}) for name, value in entry.items())


def _canonical(value: Any) -> bytes:
    """RFC 8785, without fractions, which no component has."""
    return _json(_ordered(value))


def _ordered(value: Any) -> Any:
    if isinstance(value, float):
        raise Unacceptable("a component of etsiU holds a fraction, which is not canonicalised here")
    if isinstance(value, dict):
        return {name: _ordered(value[name]) for name in sorted(value, key=lambda n: n.encode("utf-16-be"))}
    return [_ordered(entry) for entry in value] if isinstance(value, list) else value
