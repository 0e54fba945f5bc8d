"""Every reader and codec that sees strangers' bytes, each with its seeds and its ways of changing them.

Here those of documents and of what is in them; `logs` has what is read of other logs, `talk` what peers and clients say, `writers` what becomes
of a document that is sealed or extended.
"""

import contextlib
import functools
from collections.abc import Sequence
from datetime import UTC, datetime

from tests.fuzz import logs, mutate, seeds, talk, writers
from tests.fuzz.target import DER, JSON, PDF, TEXT, XML, ZIP, Target
from trust.codecs import asn1, cades, cbor, cms, cose, ess, hashtree, jose, odd_certificates, stencil, tsp, xmlers
from trust.codecs.asn1 import Rules
from trust.codecs.container import container
from trust.codecs.signed_data import ocsp_response, signed_data
from trust.codecs.xml.c14n import METHODS, canonicalize
from trust.codecs.xml.names import ds
from trust.codecs.xml.nodes import NodeSet
from trust.codecs.xml.parse import parse
from trust.codecs.xml.transforms import apply, octets
from trust.codecs.xml.xpath_syntax import parse_xpath
from trust.errors import Locked, Malformed, Unacceptable
from trust.model import Cert, Crl, Document, Evidence, Ocsp
from verifier.bundle import Bundle
from verifier.chains import Finder, facts, readable
from verifier.chains.policies import valid_policies
from verifier.chains.rules import faults
from verifier.policy import load
from verifier.question import Question
from verifier.read import READERS, reader_of
from verifier.read import read as read_any
from verifier.report.json import dumps
from verifier.report.text import Style, render
from verifier.revocation.crl import crl_facts
from verifier.revocation.ocsp import ocsp_facts
from verifier.service import answer

for _name in READERS:
    reader_of(_name)  # imported now: a coverage-guided run instruments what is imported under it, and no input pays for it

CONTENT = Document.of(b"content that stands apart\n", "content.txt")
AT = datetime(2018, 6, 1, tzinfo=UTC)


# Codecs


def _asn1(data: bytes) -> None:
    for rules in Rules:
        try:
            asn1.der(asn1.parse(data, rules))
        except Malformed:
            continue


def _cms(data: bytes) -> None:
    signed = signed_data(data)
    for _ in signed.content_pieces():
        pass
    for info in signed.signers:
        cades.claims(info), cades.values(info), cades.hash_index(info) if info.signed else None
        ess.signer_of(info, signed.certs)
        cms.signature_id(info)
        for each in (ess.signing_certificates, cades.reference_digests):
            try:
                each(info)
            except Malformed:
                continue


def _certificate(data: bytes) -> None:
    cert = Cert(data)
    if not readable((cert,)):
        return
    known = facts(cert)
    faults((cert, cert, *_anchors()[:1]))  # twice: its names under its own constraints
    valid_policies([known, known])
    Finder((cert,), _anchors()).paths(cert)


def _stencil(data: bytes) -> None:
    """Read by what differs from a token that was learnt, or not at all: as the general reader reads it."""
    _learnt()
    found = stencil.read(data, ())
    assert found is None or found == cms.general_token(data), "the two readers differ"


@functools.cache
def _learnt() -> None:
    stencil._known.clear()
    for data in _bare_tokens()[: stencil.MOST_STENCILS]:
        with contextlib.suppress(Malformed):
            stencil.learn(cms.general_token(data), ())


def _odd_certificate(data: bytes) -> None:
    odd_certificates.public_key(data)
    odd_certificates.public_key(odd_certificates.repaired(data) or data)


def _crl(data: bytes) -> None:
    crl_facts(Crl(data))


def _ocsp(data: bytes) -> None:
    if (found := ocsp_response(data)) is not None:
        ocsp_facts(found)
    ocsp_facts(Ocsp.from_response(data))


def _c14n(data: bytes) -> None:
    tree = parse(data)
    some = list(tree.root.iter())
    for method in METHODS.values():
        canonicalize(NodeSet(tree), method)
        canonicalize(NodeSet(tree, some[len(some) // 2]).without(*some[-1:]), method)


def _transforms(data: bytes) -> None:
    """Every ds:Transforms of a document, over that document."""
    tree = parse(data)
    for found in list(tree.root.iter(ds("Transforms")))[:5]:
        octets(apply(list(found), NodeSet(tree)))


def _xpath(data: bytes) -> None:
    parse_xpath(data.decode("utf-8", "replace"))


def _jose(data: bytes) -> None:
    for jws in jose.serialization(data).signatures:
        for _ in jose.signing_input(jws, (b"payload",)):
            pass


def _cose(data: bytes) -> None:
    read = cose.message(data)
    for signature in read.signatures:
        for _ in cose.signed_structure(read, signature, 7, (b"payload",)):
            pass


def _zip(data: bytes) -> None:
    opened = container(Document.of(data))
    for document in opened.documents.values():
        document.digest("sha256")
        with document.open() as stream:
            stream.seek(1 << 16)
            stream.seek(0)
            stream.read(10)


# Readers, through the door that everyone uses, and the whole verifier behind them


def _read(data: bytes) -> Evidence:
    return read_any(Document.of(data, "file"), (CONTENT,))


@functools.cache
def _anchors() -> tuple[Cert, ...]:
    found = (Cert(der) for folder in ("forged/anchors", "corpus/anchors") for der in seeds.in_folder(folder, "*"))
    return readable(found)


_POLICIES = tuple(load(name) for name in ("strict", "eu", "archive"))


def _verify(data: bytes) -> None:
    policy = _POLICIES[len(data) % len(_POLICIES)]
    told = answer(Question(Document.of(data, "file"), AT, policy, _anchors(), (CONTENT,)))
    dumps(told)
    for language in ("en", "ja"):
        render(told, Style(language, 80))


# Seeds


def _some_of_all() -> tuple[bytes, ...]:
    kinds = (_pdfs(), _cms_files(), _xades(), _containers(), _jades(), _tokens(), _records(), _xml_records(), seeds.cose_messages())
    return tuple(dict.fromkeys(data for kind in kinds for data in kind[:: max(1, len(kind) // 25)]))


def _pdfs() -> tuple[bytes, ...]:
    return seeds.of_format("PAdES", limit=seeds.LARGEST_PDF)


def _cms_files() -> tuple[bytes, ...]:
    return seeds.of_format("CAdES")


def _xades() -> tuple[bytes, ...]:
    return seeds.of_format("XAdES", "DDOC", "XMLDSig")


def _jades() -> tuple[bytes, ...]:
    return seeds.of_format("JAdES")


def _containers() -> tuple[bytes, ...]:
    return seeds.of_format("ASiC*", "ODF*", "X-ROAD")


def _tokens() -> tuple[bytes, ...]:
    return seeds.of_format("TST")


def _records() -> tuple[bytes, ...]:
    return seeds.of_format("ERS")


def _xml_records() -> tuple[bytes, ...]:
    return seeds.of_format("XMLERS")


def _bare_tokens() -> tuple[bytes, ...]:
    found = []
    for data in _tokens():
        try:
            found.append(tsp.decode_response(data).token or data)
        except Malformed:
            found.append(data)
    return tuple(dict.fromkeys(found))


def _requests() -> tuple[bytes, ...]:
    digests = [(name, bytes(size)) for name, size in (("sha1", 20), ("sha256", 32), ("sha384", 48), ("sha512", 64), ("sha3_256", 32))]
    made = [tsp.encode_request(tsp.Digest(name, value)) for name, value in digests]
    full = tsp.encode_request(tsp.Digest("sha256", bytes(32)), nonce=1 << 63, policy="1.3.6.1.4.1.32473.1.1")
    extended = asn1.tlv(
        0x30, asn1.parse(full).content + asn1.tlv(0xA0, asn1.tlv(0x30, asn1.tlv(6, b"\x2a\x03") + b"\x01\x01\xff" + b"\x04\x02\x05\x00"))
    )
    return (*made, full, extended)


def _certificates() -> tuple[bytes, ...]:
    return (*seeds.in_folder("vectors/pkits/certs", "*.crt"), *seeds.in_folder("corpus/anchors", "*"), *seeds.in_folder("forged/anchors", "*"))


def _lists() -> tuple[bytes, ...]:
    return (*seeds.in_folder("vectors/pkits/crls", "*.crl"), *seeds.in_folder("forged/status", "*.crl"))


def _expressions() -> tuple[bytes, ...]:
    return (
        b"not(ancestor-or-self::ds:Signature)",
        b"count(ancestor-or-self::dsig:Signature | here()/ancestor::dsig:Signature[1]) > count(ancestor-or-self::dsig:Signature)",
        b"/a/b[@c='d' and position() = last() - 1]//text()[contains(., \"x\")] | id('e')/following-sibling::*[3]",
        b"string-length(normalize-space(concat(., 'x'))) * 2 div -3.5 mod 7 >= number(substring-before('1:2', ':'))",
        b"((((self::node()))))",
    )


def _bundles() -> tuple[bytes, ...]:
    anchors = _anchors()[:3]
    question = Question(Document.of(b"x"), AT, _POLICIES[0], anchors, certificates=anchors, records=(Document.of(b"record", "r.ers"),))
    return (Bundle.of(question).pack(), Bundle.of(Question(Document.of(b"x"), AT, _POLICIES[1])).pack())


def _fitting(random: mutate.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Whichever way fits the format."""
    ways = (
        PDF
        if data[:5] == b"%PDF-"
        else ZIP
        if data[:2] == b"PK"
        else DER
        if data[:1] == b"\x30"
        else XML
        if data[:1] in b"<\xef"
        else JSON
        if data[:1] in b"{e"
        else (mutate.octets,)
    )
    return random.choice(ways)(random, data, others)


TARGETS: dict[str, Target] = {
    "asn1": Target(_asn1, _cms_files, DER, inputs=500),
    "tsp-request": Target(tsp.decode_request, _requests, DER, inputs=20000),
    "tsp-response": Target(tsp.decode_response, _tokens, DER, inputs=10000),
    "token": Target(cms.token, _bare_tokens, DER, inputs=8000),
    "cms": Target(_cms, _cms_files, DER, inputs=5000),
    "certificate": Target(_certificate, _certificates, DER, inputs=3000),
    "stencil": Target(_stencil, _bare_tokens, (*DER, mutate.octets), inputs=8000),
    "odd-certificate": Target(_odd_certificate, _certificates, DER, inputs=4000),
    # verifier.revocation.status takes these two for unreadable.
    "crl": Target(_crl, _lists, DER, refuses=(IndexError, ValueError), inputs=3000),
    "ocsp": Target(_ocsp, seeds.ocsp_responses, DER, refuses=(IndexError, ValueError), inputs=3000),
    "xml": Target(parse, _xades, XML, inputs=2500),
    "c14n": Target(_c14n, _xades, XML, inputs=500),
    "transforms": Target(_transforms, seeds.signed_info, XML, refuses=(Unacceptable,), inputs=2500),
    "xpath": Target(_xpath, _expressions, TEXT, refuses=(Unacceptable,), inputs=8000),
    "jose": Target(_jose, _jades, JSON, inputs=2500),
    "cbor": Target(cbor.decode, seeds.cbor_items, (mutate.octets,), inputs=15000),
    "cose": Target(_cose, seeds.cose_messages, (mutate.octets,), inputs=10000),
    "zip": Target(_zip, _containers, ZIP, inputs=1500),
    "hashtree": Target(hashtree.evidence_record, _records, DER, inputs=6000),
    "xmlers": Target(xmlers.evidence_record, _xml_records, XML, inputs=2000),
    "bundle": Target(Bundle.unpack, _bundles, (mutate.member, mutate.text, mutate.octets), inputs=3000),
    "read-pades": Target(_read, _pdfs, PDF, inputs=200, refuses=(Locked,)),
    "read-cades": Target(_read, _cms_files, DER, inputs=1500),
    "read-xades": Target(_read, _xades, XML, inputs=600),
    "read-asic": Target(_read, _containers, ZIP, inputs=600),
    "read-jades": Target(_read, _jades, JSON, inputs=1500),
    "read-cose": Target(_read, seeds.cose_messages, (mutate.octets,), inputs=4000),
    "read-tst": Target(_read, _tokens, DER, inputs=4000),
    "read-ers": Target(_read, _records, DER, inputs=3000),
    "read-xmlers": Target(_read, _xml_records, XML, inputs=1500),
    "verify": Target(_verify, _some_of_all, (_fitting,), inputs=200, refuses=(Locked,)),
    **logs.TARGETS,
    **talk.TARGETS,
    **writers.TARGETS,
}
