"""Where mutation begins: small files of the corpora by kind. The same list in every process, so that a seeded run is the same run."""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from lxml import etree

from tests.shared import SHARED
from trust.codecs import cbor
from trust.codecs.cbor import Tag

LARGEST = 48 << 10
"""Bytes of a seed. Mutating megabytes of page content finds nothing in a reader."""
LARGEST_PDF = 160 << 10
MOST = 120
"""Seeds of a kind: more of them slow the first round and add no shape."""
_DSIG = "{http://www.w3.org/2000/09/xmldsig#}Signature"


def _rows() -> Iterator[tuple[str, Path]]:
    for corpus in ("corpus", "forged"):
        manifest = SHARED / corpus / "manifest.jsonl"
        if manifest.is_file():
            for line in manifest.open(encoding="utf-8"):
                row = json.loads(line)
                yield row["format"], SHARED / corpus / row["file"]


def _spread(paths: Iterable[Path], limit: int = LARGEST) -> tuple[bytes, ...]:
    """At most MOST different files, spread evenly over the names."""
    found = sorted({path for path in paths if path.is_file() and 0 < path.stat().st_size <= limit})
    step = max(1, -(-len(found) // MOST))
    return tuple(dict.fromkeys(path.read_bytes() for path in found[::step]))


@cache
def of_format(*kinds: str, limit: int = LARGEST) -> tuple[bytes, ...]:
    """Files whose format is one of these; a kind that ends in `*` is a beginning."""
    fits = re.compile("|".join(re.escape(kind[:-1]) + ".*" if kind.endswith("*") else re.escape(kind) for kind in kinds))
    return _spread((path for kind, path in _rows() if fits.fullmatch(kind)), limit)


@cache
def in_folder(folder: str, pattern: str) -> tuple[bytes, ...]:
    return _spread((SHARED / folder).glob(pattern))


@cache
def ocsp_responses() -> tuple[bytes, ...]:
    coded = (base64.b64decode(path.read_bytes()) for path in sorted((SHARED / "vectors/openssl-ocsp").glob("*.ors")))
    return (*coded, *in_folder("forged/status", "*.ocsp"))


@cache
def signed_info() -> tuple[bytes, ...]:
    """Documents beside their first signature's transforms, as `transforms` of the targets wants them."""
    found = []
    for data in of_format("XAdES", "XMLDSig"):
        try:
            if (signature := next(etree.fromstring(data).iter(_DSIG), None)) is not None:
                found.append(etree.tostring(signature, with_tail=False))
        except etree.XMLSyntaxError:
            continue
    return tuple(dict.fromkeys(found))


@cache
def cose_messages() -> tuple[bytes, ...]:
    """COSE has no corpus: messages in every shape, with certificates and tokens of the other corpora, and values that verify nothing."""
    certs = in_folder("forged/anchors", "*")[:3]
    tokens = of_format("TST")[:6]
    made: list[bytes] = []
    for alg, size in ((-7, 64), (-35, 96), (-8, 64), (-37, 256), (-257, 256), (-48, 2420)):
        for cert in certs or (b"\x30\x00",):
            named = [-16, hashlib.sha256(cert).digest()]
            header = cbor.encode({1: alg, 33: [cert], 34: named, 15: {6: 1425168000}, 3: "text/plain"})
            value = bytes(range(256)) * 10
            made.append(cbor.encode(Tag(18, [header, {}, b"temperature 21.5\n", value[:size]])))
            made.append(cbor.encode(Tag(18, [header, {270: tokens[0] if tokens else b"\x30\x00"}, None, value[:size]])))
            made.append(
                cbor.encode(Tag(98, [b"", {}, b"payload", [[header, {}, value[:size]], [header, {11: [header, {}, value[:size]]}, value[:size]]]]))
            )
    return tuple(dict.fromkeys(made))


@cache
def cbor_items() -> tuple[bytes, ...]:
    plain = (0, -1, 1 << 40, b"bytes", "text 印", [1, [2, [3]]], {1: 2, "k": [b"", None, True, False]}, Tag(24, b"\xa0"))
    return (
        *map(cbor.encode, plain),
        bytes.fromhex("9f018202039fff5f4101420203ff7f61616162ffbf616101ffff"),
        bytes.fromhex("f97e00fa7fc00000fb3ff0000000000000"),
        *cose_messages()[:6],
    )
