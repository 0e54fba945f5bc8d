"""PDF signatures and document time-stamps (ISO 32000-2 clause 12.8, EN 319 142-1).

What each covers, what the file carries to validate it, what changed later. Sub-filters: ETSI.CAdES.detached, adbe.pkcs7.detached,
adbe.pkcs7.sha1, adbe.x509.rsa_sha1, ETSI.RFC3161. Errors: Malformed, and Locked for a file that takes a password; nothing else.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import pikepdf
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from trust.algorithms import Algorithm
from trust.codecs import asn1, identifiers
from trust.codecs.asn1 import OCTET_STRING, SEQUENCE, Rules
from trust.codecs.cades import ValidationData
from trust.codecs.cms import token
from trust.codecs.signed_data import SignedData, cert, signed_data
from trust.errors import Malformed
from trust.model import (
    Cert,
    Claims,
    Defect,
    Digest,
    Document,
    Evidence,
    Form,
    Id,
    Reference,
    Scope,
    Signature,
    SignerReference,
    Stamp,
    StampKind,
    Uncovered,
    identify,
)
from verifier.formats.cms_signers import Signed, signers, unnamed
from verifier.formats.cms_stamps import document_digest, document_id
from verifier.formats.pades_levels import Around, Later, pades_level
from verifier.formats.pdf.changes import changes
from verifier.formats.pdf.file import Bytes, Revisions, is_pdf, reading
from verifier.formats.pdf.signatures import SignatureDictionary, signature_dictionaries
from verifier.formats.pdf.store import Store, store
from verifier.formats.pdf.strays import strays, tail

_END_WITHIN = 4096
"""Bytes from the end in which `%%EOF` is looked for."""
_PADES = "EN 319 142-1 clause 4"


def claims(head: bytes) -> bool:
    return is_pdf(head)


@dataclass(frozen=True, slots=True)
class Item:
    """A signature or document time-stamp of the file, read."""

    dictionary: SignatureDictionary
    signature: Signature | None
    signed: Signed | None
    stamps: tuple[Stamp, ...]
    data: ValidationData
    inside: frozenset[Id] = frozenset()
    """Of a document time-stamp: what lies inside its byte range, whether its imprint matches or not."""

    @property
    def ids(self) -> frozenset[Id]:
        """What a later document time-stamp proves of it: itself, its tokens, and all that they carry."""
        own = () if self.signature is None else (self.signature.id,)
        tokens = (i for s in self.stamps for i in (s.token.id, s.token.signature.id))
        return frozenset((*own, *tokens, *data_ids(self.data)))


def data_ids(data: ValidationData) -> Iterable[Id]:
    return (item.id for items in (data.certs, data.crls, data.ocsps) for item in items)


def read(document: Document, detached: Sequence[Document] = (), certs: Iterable[Cert] = ()) -> Evidence:
    """The evidence in a PDF; one without signatures is Evidence that holds none. `detached` is not looked at: a PDF signs itself."""
    del detached
    data = Bytes(document)
    revisions = Revisions(data)
    dictionaries = signature_dictionaries(revisions.whole, data)
    if not dictionaries:
        if any(strays(data, ())):
            raise Malformed("a signature stands in the file, and its structure does not lead to it")
        if data.rfind(b"%%EOF", max(0, data.size - _END_WITHIN), data.size) < 0:
            raise Malformed("PDF is cut off: it has no end-of-file marker, and no signature that is whole")
        return Evidence("PDF")
    with reading("its validation data are broken"):
        last = store(revisions.whole)
    stores: dict[int, Store] = {}
    as_signed = dict(enumerate(dictionaries))

    def visit(end: int, pdf: pikepdf.Pdf) -> None:
        stores[end] = _store_of(pdf) if end < data.size else last
        for position, dictionary in enumerate(dictionaries):
            if dictionary.end == end:
                as_signed[position] = _as_signed(dictionary, pdf, revisions.whole)

    changed = changes(data, revisions, dictionaries, visit)
    dictionaries = tuple(as_signed.values())
    everything = _all_data([last, *stores.values()])
    given = (*everything.certs, *certs)
    ends = _revision_ends(dictionaries, data)
    items: list[Item] = []
    remarks: list[Defect] = []
    for dictionary in dictionaries:
        before = stores.get(dictionary.end, last)
        item = _item(dictionary, data, ends, given, tuple(items), before)
        if item is not None:
            items.append(item)
        else:
            remarks.append(
                Defect("ISO 32000-2 clause 12.8.5", f"{_field(dictionary)}: a time-stamp in a dictionary of /Type /Sig is none", fatal=False)
            )
    vri = [s for one in [*stores.values(), last] for s in one.stamps]
    items = [_with_vri_stamps(item, vri, given) for item in items]
    uncovered = (*changed, *_hidden(dictionaries), *strays(data, dictionaries), *tail(data))
    return replace(_evidence(data, items, everything, stores, last), uncovered=uncovered, defects=tuple(remarks))


def _hidden(dictionaries: Sequence[SignatureDictionary]) -> tuple[Uncovered, ...]:
    """What stands in the one place of a PDF that its signature leaves out, beside the signature itself."""
    return tuple(
        Uncovered(", ".join(d.fields) or "/Contents", "the room for the signature holds something beside it") for d in dictionaries if _is_stuffed(d)
    )


def _is_stuffed(dictionary: SignatureDictionary) -> bool:
    try:
        return bool(_padded(dictionary.contents)[1])
    except Malformed:
        return False


def _store_of(pdf: pikepdf.Pdf) -> Store:
    """The validation store of an earlier revision; empty where it cannot be read."""
    try:
        with reading("an earlier revision is broken"):
            return store(pdf)
    except Malformed:
        return Store()


def _as_signed(dictionary: SignatureDictionary, signed: pikepdf.Pdf, today: pikepdf.Pdf) -> SignatureDictionary:
    """The signature dictionary of today must be the one of the revision that it ends: people are shown its reason, its place and its time."""
    if not dictionary.sound or dictionary.key is None:
        return dictionary
    try:
        with reading("an earlier revision is broken"):
            then, now = (p.get_object(*dictionary.key) for p in (signed, today))
            if isinstance(then, pikepdf.Dictionary) and then.unparse(resolved=True) == now.unparse(resolved=True):
                return dictionary
    except Malformed:
        return dictionary
    changed = Defect("ISO 32000-2 clause 12.8.1", "signature dictionary is not the one that was signed")
    return replace(dictionary, defects=(*dictionary.defects, changed))


def _all_data(stores: Sequence[Store]) -> ValidationData:
    found = ValidationData()
    for one in stores:
        found |= one.data
    return ValidationData(tuple(dict.fromkeys(found.certs)), tuple(dict.fromkeys(found.crls)), tuple(dict.fromkeys(found.ocsps)))


def _revision_ends(dictionaries: Sequence[SignatureDictionary], data: Bytes) -> tuple[int, ...]:
    """The ends of the revisions that are signed, and of the last one."""
    ends = {d.end for d in dictionaries if d.end}
    if not any(_is_whole(end, data) for end in ends):
        ends.add(data.size)
    return tuple(sorted(ends))


def _is_whole(end: int, data: Bytes) -> bool:
    """Whether nothing but white space follows."""
    return data.size - end < 1024 and not data.slice(end, data.size).strip(b"\0\t\n\f\r ")


def _item(
    dictionary: SignatureDictionary, data: Bytes, ends: tuple[int, ...], certs: tuple[Cert, ...], earlier: tuple[Item, ...], before: Store
) -> Item | None:
    """None for what claims to be a signature but is a token in the wrong type of dictionary: EU DSS passes over it as well."""
    content = data.document(dictionary.ranges, "signed bytes") if dictionary.ranges else None
    number = ends.index(dictionary.end) + 1 if dictionary.end in ends else 0
    whole = dictionary.sound and _is_whole(dictionary.end, data)
    name = f"revision {number} of {len(ends)}" if dictionary.sound else "no whole revision"
    reference = Reference(name, content is not None, False, Scope.FULL if whole else Scope.PARTIAL)
    try:
        if dictionary.sub_filter == "/ETSI.RFC3161":
            if dictionary.type == "/Sig":
                return None
            return _document_stamp(dictionary, content, reference, certs, earlier, before)
        if dictionary.sub_filter == "/adbe.x509.rsa_sha1":
            return _bare(dictionary, content, reference)
        return _cms(dictionary, content, reference, certs)
    except Malformed as error:
        return _unreadable(dictionary, reference, str(error))


def _padded(contents: bytes) -> tuple[bytes, tuple[Defect, ...]]:
    """The value in /Contents, and whether anything but zeros pads it."""
    node = asn1.parse_head(contents, Rules.BER).expect(SEQUENCE, OCTET_STRING)
    if contents[node.stop :].strip(b"\0"):
        return node.raw, (Defect("ISO 32000-2 clause 12.8.3.3", "/Contents is padded with something else than zeros", fatal=False),)
    return node.raw, ()


def _cms(dictionary: SignatureDictionary, content: Document | None, reference: Reference, certs: tuple[Cert, ...]) -> Item:
    """A CMS signature over the bytes, or (adbe.pkcs7.sha1) over their SHA-1, which is its content."""
    raw, padding = _padded(dictionary.contents)
    signed = signed_data(raw)
    if not signed.signers:
        raise Malformed("CMS has no signer")
    hashed = dictionary.sub_filter == "/adbe.pkcs7.sha1"
    over = Document.of(b"".join(signed.content_pieces())) if hashed and signed.content is not None else content
    found = signers(signed, lambda _: over, reference.name, form=Form.PADES, certs=certs)[0]
    signature = found.signature
    if dictionary.sub_filter == "/ETSI.CAdES.detached":
        signature = replace(signature, defects=signature.defects + unnamed(signature))
    own = signature.references[0]
    # Content inside a detached signature is what other verifiers would hash: whatever the bytes say, the signature is not over them alone.
    alone = hashed or signed.content is None
    references: tuple[Reference, ...] = (replace(own, scope=reference.scope, intact=own.intact and dictionary.sound and alone),)
    if hashed:
        made = document_digest(content, "sha1")
        said = Digest("sha1", b"".join(signed.content_pieces()))
        references = (
            replace(own, name="digest of the signed bytes", scope=Scope.DIGEST),
            replace(reference, intact=dictionary.sound and made == said, digest=said),
        )
    signature = replace(
        signature,
        references=references,
        claims=_claims(dictionary, signature.claims),
        defects=(*signature.defects, *padding, *dictionary.defects, *_shape(dictionary, signed, hashed=hashed)),
        field=_field(dictionary),
        mechanisms=tuple(dict.fromkeys((*signature.mechanisms, *(("sha1",) if hashed else ())))),
    )
    found = replace(found, signature=signature)
    data = ValidationData(signed.certs, signed.crls, signed.ocsps) | found.data
    for stamp in found.stamps:
        data |= ValidationData(stamp.token.certs, stamp.token.crls, stamp.token.ocsps)
    return Item(dictionary, signature, found, found.stamps, data)


def _shape(dictionary: SignatureDictionary, signed: SignedData, *, hashed: bool) -> Iterable[Defect]:
    """EN 319 142-1 clause 4.1 and ISO 32000-2 clause 12.8.3.3: one signer, nothing encapsulated but in adbe.pkcs7.sha1."""
    if len(signed.signers) > 1:
        yield Defect(_PADES, f"one signer expected, got {len(signed.signers)}: only the first is read", fatal=False)
    if signed.content is not None and not hashed:
        yield Defect(_PADES, "detached signature encapsulates content")
    if dictionary.sub_filter is None:
        yield Defect("ISO 32000-2 clause 12.8.1", "signature dictionary has no /SubFilter", fatal=False)


def _claims(dictionary: SignatureDictionary, inner: Claims) -> Claims:
    return replace(
        inner,
        time=dictionary.time or inner.time,
        place=dictionary.place or inner.place,
        reason=dictionary.reason,
        contact=dictionary.contact,
    )


def _field(dictionary: SignatureDictionary) -> str | None:
    return ", ".join(dictionary.fields) or None


def _document_stamp(
    dictionary: SignatureDictionary, content: Document | None, reference: Reference, certs: tuple[Cert, ...], earlier: tuple[Item, ...], before: Store
) -> Item:
    """A document time-stamp covers everything inside its byte range: earlier signatures and stamps, and the store of that revision."""
    raw, padding = _padded(dictionary.contents)
    held = token(raw, certs)
    made = document_digest(content, held.imprint.algorithm)
    intact = dictionary.sound and made == held.imprint
    start = dictionary.ranges[0][1] if dictionary.sound else 0
    before_it = (i for item in earlier if 0 < item.dictionary.end <= start for i in item.ids)
    inside = frozenset((*before_it, *data_ids(before.data)))
    defects = (*padding, *dictionary.defects)
    stamp = Stamp(
        held,
        StampKind.DOCUMENT,
        intact,
        inside | document_id(content) if intact else frozenset(),
        found=content is not None,
        references=(replace(reference, intact=intact, digest=held.imprint),),
        defects=defects,
    )
    return Item(dictionary, None, None, (stamp,), ValidationData(held.certs, held.crls, held.ocsps), inside)


def _bare(dictionary: SignatureDictionary, content: Document | None, reference: Reference) -> Item:
    """adbe.x509.rsa_sha1: /Contents is an OCTET STRING with a PKCS #1 signature, /Cert the signer's certificate and its chain."""
    raw, padding = _padded(dictionary.contents)
    value = asn1.parse(raw, Rules.BER).expect(OCTET_STRING).octets()
    chain = tuple(cert(der) for der in dictionary.cert)
    signer = chain[0] if chain else None
    digest = _hashed_with(signer, value)
    made = document_digest(content, digest)
    signature = Signature(
        identify(value),
        Form.PADES,
        "PDF-NOT-ETSI",
        value,
        made if made is not None else b"",
        Algorithm("rsa-pkcs1", digest),
        signer,
        SignerReference(0),
        (replace(reference, intact=dictionary.sound and made is not None, digest=made),),
        _claims(dictionary, Claims()),
        (*padding, *dictionary.defects),
        field=_field(dictionary),
        mechanisms=(digest,),
    )
    return Item(dictionary, signature, None, (), ValidationData(certs=chain))


def _hashed_with(signer: Cert | None, value: bytes) -> str:
    """The digest algorithm that only the signature value names; SHA-1 where it cannot be recovered."""
    key = None if signer is None else signer.public_key
    if isinstance(key, rsa.RSAPublicKey):
        try:
            info = asn1.parse(key.recover_data_from_signature(value, padding.PKCS1v15(), None), Rules.BER)
            return identifiers.digest_name(info.fields().take(SEQUENCE)) or "sha1"
        except (InvalidSignature, ValueError, Malformed):
            return "sha1"
    return "sha1"


def _unreadable(dictionary: SignatureDictionary, reference: Reference, why: str) -> Item:
    """A signature dictionary whose /Contents is no signature: it is there, and proves nothing."""
    broken = Signature(
        identify(dictionary.contents + repr((dictionary.ranges, dictionary.fields)).encode()),
        Form.PADES,
        "PDF-NOT-ETSI",
        b"",
        b"",
        None,
        None,
        SignerReference(0),
        (reference,),
        _claims(dictionary, Claims()),
        (Defect(_PADES, f"signature cannot be read: {why}"), *dictionary.defects),
        field=_field(dictionary),
    )
    return Item(dictionary, broken, None, (), ValidationData())


def _with_vri_stamps(item: Item, vri: Sequence[tuple[str, bytes]], certs: tuple[Cert, ...]) -> Item:
    """EN 319 142-1 clause 5.4.2.3: /TS of the VRI dictionary that the SHA-1 of /Contents names holds a time-stamp over the signature."""
    if item.signed is None:
        return item
    made = document_digest(Document.of(item.dictionary.contents), "sha1")
    value = Document.of(item.signed.place.info.value)
    stamps = []
    for der in dict.fromkeys(der for name, der in vri if made is not None and name == made.value.hex().upper()):
        try:
            held = token(der, (*item.data.certs, *certs))
        except Malformed:
            continue
        intact = document_digest(value, held.imprint.algorithm) == held.imprint
        covers = frozenset((item.signed.signature.id,)) if intact else frozenset()
        stamps.append(Stamp(held, StampKind.SIGNATURE, intact, covers, item.signed.signature.id))
    data = item.data
    for stamp in stamps:
        data |= ValidationData(stamp.token.certs, stamp.token.crls, stamp.token.ocsps)
    return replace(item, stamps=(*item.stamps, *stamps), data=data)


def _around(item: Item, items: Sequence[Item], everything: ValidationData, stores: dict[int, Store], last: Store) -> Around:
    """What stands after a signature."""
    later = [i for i in items if i.signature is None and i.dictionary.end >= item.dictionary.end]
    placed = tuple(Later(s, i.inside, stores.get(i.dictionary.end, last).present) for i in later for s in i.stamps)
    return Around(everything, placed, has_store=last.present)


def _evidence(data: Bytes, items: Sequence[Item], everything: ValidationData, stores: dict[int, Store], last: Store) -> Evidence:
    for item in items:
        everything |= item.data
    signatures = []
    for item in items:
        if item.signature is not None and item.signed is not None:
            level = pades_level(item.dictionary, item.signed, _around(item, items, everything, stores, last))
            signatures.append(replace(item.signature, level=level))
        elif item.signature is not None:
            signatures.append(item.signature)
    ends = sorted({i.dictionary.end for i in items if i.dictionary.sound})
    return Evidence(
        "PDF",
        tuple(signatures),
        tuple(s for item in items for s in item.stamps),
        certs=frozenset(everything.certs),
        crls=frozenset(everything.crls),
        ocsps=frozenset(everything.ocsps),
        documents=tuple(data.document([(0, end)], f"revision ending at byte {end}") for end in ends),
    )
