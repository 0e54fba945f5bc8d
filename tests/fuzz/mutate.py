"""Mutations that keep enough of a format's shape to get past its first check. Deterministic: everything follows from the Random that is given."""

import base64
import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import deepcopy
from random import Random
from typing import Any

from lxml import etree

Mutate = Callable[[Random, bytes, Sequence[bytes]], bytes]
"""(random, seed, other seeds) -> mutant."""

_ODD = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
MAX = 1 << 20
"""Bytes of a mutant."""


def octets(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """A few edits that know nothing of the format."""
    made = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 4, 8))):
        at = random.randrange(len(made) + 1)
        match random.randrange(8):
            case 0 if at < len(made):
                made[at] ^= 1 << random.randrange(8)
            case 1 if at < len(made):
                made[at] = random.randrange(256)
            case 2:
                del made[at : at + random.choice((1, 2, 4, 16, 256))]
            case 3:
                made[at:at] = random.randbytes(random.choice((1, 2, 4, 16)))
            case 4:
                made[at:at] = made[at : at + random.choice((2, 8, 64, 1024))] * random.choice((1, 2, 50))
            case 5:
                odd, size = random.choice(_ODD), random.choice((1, 2, 4))
                made[at : at + size] = (odd & ((1 << 8 * size) - 1)).to_bytes(size, random.choice(("big", "little")))
            case 6:
                other = random.choice(others)
                start = random.randrange(len(other) + 1)
                made[at : at + random.choice((0, 16, 256))] = other[start : start + random.choice((4, 64, 1024))]
            case 7 if random.random() < 0.3:
                del made[at:]
            case _:
                pass
    return bytes(made[:MAX])


# DER: nodes are changed, the lengths around them follow.


def _head(data: bytes, at: int, end: int) -> tuple[int, int, int] | None:
    """(end of the tag, beginning of the content, its end); None for what is no definite TLV of one-byte tag."""
    if at + 2 > end or data[at] & 0x1F == 0x1F:
        return None
    length, start = data[at + 1], at + 2
    if length >= 0x80:
        size = length & 0x7F
        if not 0 < size <= 4 or start + size > end:
            return None
        length = int.from_bytes(data[start : start + size], "big")
        start += size
    return (at + 1, start, start + length) if start + length <= end else None


def _children(data: bytes, start: int, end: int) -> list[tuple[int, int, int]] | None:
    """(beginning, beginning of the content, end) of each, where the content is nothing but TLVs."""
    found, at = [], start
    while at < end:
        head = _head(data, at, end)
        if head is None:
            return None
        found.append((at, head[1], head[2]))
        at = head[2]
    return found


def _length(count: int) -> bytes:
    if count < 0x80:
        return bytes([count])
    body = count.to_bytes((count.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(body)]) + body


def tlv(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """One node of a DER object changed, taken away, doubled, nested or exchanged for one of another object."""

    def walk(data: bytes, at: int, start: int, end: int, depth: int) -> bytes:
        inside = _children(data, start, end) if data[at] & 0x20 or data[at] in (0x04, 0x03) or depth == 0 else None
        if inside and (depth < 2 or random.random() < 0.85):
            chosen = random.randrange(len(inside))
            parts = [data[a:e] for a, _, e in inside]
            parts[chosen : chosen + 1] = [walk(data, *inside[chosen], depth + 1)]
            if random.random() < 0.1:
                random.shuffle(parts)
            content = b"".join(parts)
            return data[at : at + 1] + _length(len(content)) + content
        return _changed(random, data[at], data[start:end], others)

    head = _head(data, 0, len(data))
    return walk(data, 0, head[1], head[2], 0)[:MAX] if head else octets(random, data, others)


def _changed(random: Random, tag: int, content: bytes, others: Sequence[bytes]) -> bytes:
    node = bytes([tag]) + _length(len(content)) + content
    match random.randrange(9):
        case 0:
            return b""
        case 1:
            return node * random.choice((2, 3, 40))
        case 2:
            return bytes([random.choice((0x02, 0x03, 0x04, 0x05, 0x06, 0x0C, 0x13, 0x17, 0x18, 0x30, 0x31, 0xA0, 0xA1, 0x80, 0x84))]) + node[1:]
        case 3:
            other = _node_of(random, random.choice(others))
            return other or node
        case 4:
            for _ in range(random.choice((1, 3, 60, 1200))):
                node = bytes([random.choice((0x30, 0x31, 0xA0))]) + _length(len(node)) + node
            return node
        case 5:
            return bytes([tag, 0])
        case 6:
            content = random.choice((b"\0", b"\xff", b"\x80", b"99991231235959Z", b"20000229000000.1Z", b"\0" * 40, b"\xff" * 200, b"\x2a\x80\x01"))
        case 7:
            content = content + random.randbytes(1)
        case _:
            content = octets(random, content, others) if content else b"\1"
    return bytes([tag]) + _length(len(content)) + content


def _node_of(random: Random, data: bytes) -> bytes | None:
    at, end = 0, len(data)
    for _ in range(random.randrange(1, 9)):
        head = _head(data, at, end)
        if head is None:
            return None
        inside = _children(data, head[1], head[2])
        if not inside:
            break
        at, _, end = random.choice(inside)
    return data[at:end]


# Text: tokens are changed. XML, JSON, PDF and what is like them.

_TOKENS = re.compile(rb"<[^<>]{0,400}>|\"[^\"]{0,2000}\"|/[A-Za-z0-9.]+|[A-Za-z0-9_.:#-]+|\s+|.", re.DOTALL)
_WORDS = re.compile(rb"[\w#:/.-]{3,60}")


def text(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    tokens = _TOKENS.findall(data[:MAX])
    for _ in range(random.choice((1, 1, 2, 3, 6))):
        if not tokens:
            return data
        at = random.randrange(len(tokens))
        span = random.choice((1, 1, 1, 3, 12))
        match random.randrange(7):
            case 0:
                del tokens[at : at + span]
            case 1:
                tokens[at:at] = tokens[at : at + span] * random.choice((1, 1, 30))
            case 2:
                to = random.randrange(len(tokens))
                tokens[at], tokens[to] = tokens[to], tokens[at]
            case 3:
                words = _WORDS.findall(random.choice(others)[: 1 << 16])
                tokens[at] = random.choice(words) if words else b""
            case 4:
                tokens[at] = random.choice(
                    (b"0", b"-1", b"99999999999999999999", b"1e999", b'""', b"null", b"[", b"{", b"<a>", b"<!--", b"]]>", b"&#0;", b"\xff")
                )
            case 5:
                tokens[at] = octets(random, tokens[at], others)
            case _:
                words = [i for i, token in enumerate(tokens[:4000]) if len(token) > 2]
                if words:
                    tokens[at] = tokens[random.choice(words)]
    return b"".join(tokens)[:MAX]


# Wrapped: what lies inside is changed, the wrapping stays sound.


def member(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """A ZIP of which one entry is changed in a way of its own format, renamed, doubled or left out."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [(info, archive.open(info).read(MAX)) for info in archive.infolist()[:50]]
    except Exception:  # the standard library's reader is no example: IndexError, RuntimeError, struct.error …
        return octets(random, data, others)
    if not entries:
        return octets(random, data, others)
    at = random.randrange(len(entries))
    info, inside = entries[at]
    match random.randrange(8):
        case 0:
            del entries[at]
        case 1:
            entries.append((info, octets(random, inside, others)))
        case 2:
            named = zipfile.ZipInfo(
                random.choice((random.choice(entries)[0].filename, info.filename + "x", "META-INF/" + info.filename, "../" + info.filename, ""))
            )
            entries[at] = (named, inside)
        case _:
            change = tlv if inside[:1] == b"\x30" else element if inside[:1] in (b"<", b"\xef") else octets
            entries[at] = (info, change(random, inside, others))
    made = io.BytesIO()
    try:
        with zipfile.ZipFile(made, "w") as archive:
            for info, inside in entries:
                archive.NameToInfo.pop(info.filename, None)
                archive.writestr(zipfile.ZipInfo(info.filename), inside, random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))
    except (ValueError, struct.error, zipfile.LargeZipFile):  # a name that cannot be written
        return octets(random, data, others)
    return made.getvalue()[:MAX]


_CONTENTS = re.compile(rb"/Contents\s*<([0-9A-Fa-f]+)>")
_FLATE = re.compile(rb"(stream\r?\n)(.*?)(\r?\nendstream)", re.DOTALL)


def envelope(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """A PDF of which the CMS in a signature dictionary is changed; its place stays."""
    found = list(_CONTENTS.finditer(data))
    if not found:
        return text(random, data, others)
    chosen = random.choice(found)
    room = len(chosen[1])
    cms = bytes.fromhex(chosen[1][: room & ~1].decode())
    made = tlv(random, cms, [cms]).hex().encode()[:room].ljust(room, b"0")
    return data[: chosen.start(1)] + made + data[chosen.end(1) :]


def revision(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """A PDF to which an incremental update is added: an object of it written again, changed."""
    objects = list(re.finditer(rb"\n(\d{1,6}) 0 obj\b(.{1,4000}?)endobj", data, re.DOTALL))
    last = data.rfind(b"startxref")
    if not objects or last < 0:
        return text(random, data, others)
    chosen = random.choice(objects)
    body = text(random, chosen[2], [m[2] for m in objects])
    start = len(data) + 1
    root = re.search(rb"/Root\s+\d+ \d+ R", data[-4096:]) or re.search(rb"/Root\s+\d+ \d+ R", data)
    sizes = [int(found) for found in re.findall(rb"/Size\s+(\d{1,9})", data)]
    size = b"/Size %d" % random.choice((max(sizes), max(sizes), max(sizes), sizes[0])) if sizes else None  # too small a one is refused
    made = b"\n" + chosen[1] + b" 0 obj" + body + b"endobj\n"
    previous = re.match(rb"startxref\s+(\d+)", data[last : last + 40])
    trailer = b" ".join(filter(None, (root and root[0], size, previous and b"/Prev " + previous[1])))
    table = b"xref\n%s 1\n%010d 00000 n \ntrailer << %s >>\nstartxref\n%d\n%%%%EOF\n" % (chosen[1], start, trailer, len(data) + len(made))
    return (data + made + table)[:MAX]


def stream(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """A PDF of which a compressed stream (an object stream, a cross-reference stream, a page) is changed inside."""
    found = list(_FLATE.finditer(data))
    if not found:
        return octets(random, data, others)
    chosen = random.choice(found)
    try:
        inside = zlib.decompressobj().decompress(chosen[2], 1 << 20)
    except zlib.error:
        return octets(random, data, others)
    packed = zlib.compress(random.choice((text, octets))(random, inside, others))
    return (data[: chosen.start(2)] + packed + data[chosen.end(2) :])[:MAX]


# Trees: XML and JSON stay well-formed.


def element(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """XML of which elements or attributes are changed, taken away, doubled, moved, or exchanged for another document's."""
    try:
        root = etree.fromstring(data, _PARSER)
        other = etree.fromstring(random.choice(others), _PARSER)
    except (etree.XMLSyntaxError, ValueError):
        return text(random, data, others)
    for _ in range(random.choice((1, 1, 2, 4))):
        nodes = [node for node in root.iter() if isinstance(node.tag, str)][:5000]
        with suppress(ValueError):  # the parser takes names, of several colons say, that the tree does not let one set
            _edited(random, root, random.choice(nodes), nodes, list(other.iter(etree.Element)))
    return etree.tostring(root.getroottree(), encoding="utf-8")[:MAX]


_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
_VALUES = (
    "",
    "#",
    "#x",
    "x",
    "urn:x",
    "-1",
    "99999999999",
    "2020-01-01T00:00:00Z",
    "9999-99-99",
    "#xpointer(/)",
    "#xpointer(id('x'))",
    "AA==",
    "a/../b",
    "%00",
)


def _edited(random: Random, root: Any, node: Any, nodes: Sequence[Any], strange: Sequence[Any]) -> None:
    parent = node.getparent()
    match random.randrange(10):
        case 0 if parent is not None:
            parent.remove(node)
        case 1 if parent is not None:
            for _ in range(random.choice((1, 1, 20))):
                parent.insert(random.randrange(len(parent) + 1), deepcopy(node))
        case 2 if parent is not None:
            to = random.choice(nodes)
            if to is not node and node not in to.iterancestors():
                to.append(node)
        case 3 if node.attrib:
            node.set(random.choice(list(node.attrib)), random.choice((*_VALUES, *(v for n in nodes[:50] for v in n.attrib.values()))))
        case 4 if node.attrib:
            del node.attrib[random.choice(list(node.attrib))]
        case 5:
            node.append(deepcopy(random.choice(strange)))
        case 6:
            node.tag = random.choice(nodes).tag
        case 7:
            node.set(random.choice(("Id", "ID", "URI", "Algorithm", "Encoding", "Type", "Target")), random.choice(_VALUES))
        case 8:
            inner = random.choice(nodes)
            for _ in range(random.choice((1, 10, 300))):
                inner = etree.SubElement(inner, random.choice(nodes).tag)
        case _:
            node.text = _value(random, node.text or "")


def _value(random: Random, value: str) -> str:
    """A text of XML or JSON: where it is base64 of DER, the DER is changed."""
    alphabet = value.replace("-", "+").replace("_", "/")
    if value.lstrip()[:1] == "M" and random.random() < 0.8:
        try:
            der = base64.b64decode("".join(alphabet.split()) + "==", validate=False)
        except ValueError:
            return random.choice(_VALUES)
        made = base64.b64encode(tlv(random, der, [der])).decode()
        return made.replace("+", "-").replace("/", "_").rstrip("=") if "-" in value or "_" in value else made
    at = random.randrange(len(value) + 1)
    return random.choice((value[:at] + value[at + 1 :], value[:at] + random.choice("a0=/ \n.") + value[at:], random.choice(_VALUES), value * 2))


def member_of_json(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """JSON (or a compact JWS, whose header is JSON in base64url) of which values are changed in their kind or their place."""
    parts = data.split(b".")
    if len(parts) == 3 and data[:1] == b"e":
        at = random.choice((0, 0, 0, 1, 2))
        return b".".join((*parts[:at], _packed(random, parts[at], others), *parts[at + 1 :]))
    try:
        whole = json.loads(data)
    except (ValueError, RecursionError):
        return text(random, data, others)
    for _ in range(random.choice((1, 1, 2, 4))):
        whole = _with_change(random, whole, others)
    return json.dumps(whole, ensure_ascii=random.random() < 0.9).encode("utf-8", "surrogatepass")[:MAX]


def _packed(random: Random, part: bytes, others: Sequence[bytes]) -> bytes:
    """base64url of JSON, changed inside; octets where it is not that."""
    try:
        inside = base64.urlsafe_b64decode(part + b"==")
        json.loads(inside)
    except (ValueError, RecursionError):
        return octets(random, part, others)
    return base64.urlsafe_b64encode(member_of_json(random, inside, [inside])).rstrip(b"=")


def _with_change(random: Random, value: Any, others: Sequence[bytes]) -> Any:
    if isinstance(value, dict) and value and random.random() < 0.9:
        key = random.choice(list(value))
        match random.randrange(12):
            case 0:
                return {k: v for k, v in value.items() if k != key}
            case 1:
                return {(random.choice(("x", "", "crit", "alg", "sigD", "etsiU")) if k == key else k): v for k, v in value.items()}
            case 2:
                return {
                    **value,
                    random.choice(("crit", "b64", "sigD", "etsiU", "x5c", "header", "signatures", "payload")): value[random.choice(list(value))],
                }
            case _:
                return {**value, key: _with_change(random, value[key], others)}
    if isinstance(value, list) and value and random.random() < 0.9:
        at = random.randrange(len(value))
        match random.randrange(8):
            case 0:
                return value[:at] + value[at + 1 :]
            case 1:
                return value + [value[at]] * random.choice((1, 50))
            case _:
                return [*value[:at], _with_change(random, value[at], others), *value[at + 1 :]]
    if isinstance(value, str) and random.random() < 0.7:
        return _packed(random, value.encode("utf-8", "replace"), others).decode("latin-1") if value[:2] == "ey" else _value(random, value)
    return random.choice((None, True, 0, -1, 1e308, 10**40, "", "x", [], {}, [[]], {"x": []}, [value], {"": value}, "\ud800"))
