"""The signature files of a container: CAdES over the one file or over a manifest, XAdES over any entries."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from trust.codecs.signed_data import SignedData, SignerInfo, signed_data
from trust.codecs.xml import Tree, parse
from trust.codecs.xml.names import DS, ds, split
from trust.errors import Malformed
from trust.model import Cert, Defect, Document, Evidence, Id, Reference, Scope, Signature, Stamp, StampKind
from verifier.formats import cades, xades
from verifier.formats.asic import hashchain
from verifier.formats.asic.layout import OPEN_DOCUMENT, SIMPLE, Layout
from verifier.formats.asic.manifest import NAMESPACES, Manifest, linked, references
from verifier.formats.cms_signers import Signed, matching, signers, unnamed
from verifier.formats.cms_stamps import document_id, matches
from verifier.formats.contents import of_evidence

MAX_SIGNATURE = 64 << 20
"""Bytes of one signature file."""
_CLAUSE = "EN 319 162-1 clause "


@dataclass(frozen=True)
class SignatureFile:
    """A signature file, read; of CAdES the level is named when the container's time-stamps are known."""

    name: str
    evidence: Evidence
    signed: SignedData | None = None
    found: tuple[Signed, ...] = ()

    @property
    def inside(self) -> frozenset[Id]:
        return of_evidence(self.evidence)

    def levelled(self, stamps: tuple[Stamp, ...]) -> Evidence:
        """Its evidence with the levels that time-stamps over this file raise (EN 319 162-1 clause 4.4.3.2, item 5)."""
        if self.signed is None:
            return self.evidence
        levels = [signature.level for signature in cades.levelled(self.signed, self.found, stamps)]
        return replace(self.evidence, signatures=tuple(replace(s, level=n) for s, n in zip(self.evidence.signatures, levels, strict=True)))


def signature_files(parts: Layout, manifests: Sequence[Manifest], certs: Iterable[Cert]) -> tuple[tuple[SignatureFile, ...], tuple[Defect, ...]]:
    """Every signature file that can be read, in the order of the container, and the others as defects."""
    found: list[SignatureFile] = []
    defects: list[Defect] = []
    given = tuple(certs)
    binary, all_files = frozenset(parts.cades), frozenset((*parts.cades, *parts.xades))
    for name in (n for n in parts.container.documents if n in all_files):
        try:
            data = parts.container.read(name, MAX_SIGNATURE)
            found.append(_cades(parts, manifests, name, data, given) if name in binary else _xades(parts, name, data, given))
        except Malformed as error:
            defects.append(Defect(_CLAUSE + "4.2.2", f"signature file cannot be read: {error}"))
    return tuple(found), tuple(defects)


# CAdES (clauses 4.3.3.2 and 4.4.3.2).


def _cades(parts: Layout, manifests: Sequence[Manifest], name: str, data: bytes, certs: tuple[Cert, ...]) -> SignatureFile:
    der = cades.der_of(data)
    if der is None:
        raise Malformed("not a CMS signature")
    signed = signed_data(der)
    candidates, lists = _content(parts, manifests, name)
    apart: tuple[Defect, ...] = ()
    if signed.content is not None:
        carried = Document.of(b"".join(signed.content_pieces()), "content of the signature itself")
        same = tuple(c for c in candidates if document_id(c) == document_id(carried))
        apart = (Defect(_CLAUSE + "4.2.2", "signature carries its own content", fatal=not same),)
        candidates = same or (carried,)

    def content_of(info: SignerInfo) -> Document | None:
        return matching(info, candidates)

    found = signers(signed, content_of, "signed file", certs=certs)
    signatures = tuple(_named(parts, one, lists, name, apart) for one in found)
    return SignatureFile(name, cades.gathered(parts.kind, signed, found, signatures), signed, found)


def _content(parts: Layout, manifests: Sequence[Manifest], name: str) -> tuple[tuple[Document, ...], dict[int, Manifest]]:
    """What a signature may sign: the file of ASiC-S, or the manifest that names it; and the manifests by their documents."""
    if parts.kind == SIMPLE:
        return tuple(parts.container.documents[n] for n in parts.data), {}
    usual = [m for m in manifests if not m.archive and not m.for_record]
    named = linked(usual, name) or (tuple(usual) if len(usual) == 1 else ())
    documents = {m.name: parts.container.documents[m.name] for m in named}
    return tuple(documents.values()), {id(documents[m.name]): m for m in named}


def _named(parts: Layout, one: Signed, lists: dict[int, Manifest], name: str, apart: tuple[Defect, ...]) -> Signature:
    """The signature with the files of its manifest as references."""
    signature = replace(one.signature, field=name)
    if one.master is not None:
        return signature
    signature = replace(signature, defects=(*signature.defects, *unnamed(signature), *apart))
    content = one.place.content
    if content is None:
        return signature
    top = replace(signature.references[0], name=content.name or "signed file", uri=content.name)
    listed = lists.get(id(content))
    if listed is None:
        return replace(signature, references=(top,))
    entries = references(parts, listed)
    odd = (
        () if listed.target == name else (Defect("EN 319 162-1 annex A.4", "manifest names another signature than this", fatal=False, refused=True),)
    )
    mechanisms = dict.fromkeys((*signature.mechanisms, *(r.digest.algorithm for r in entries if r.digest)))
    return replace(
        signature,
        references=(replace(top, scope=Scope.MANIFEST), *entries),
        defects=(*signature.defects, *listed.defects, *odd),
        mechanisms=tuple(mechanisms),
    )


# XAdES (clauses 4.3.3.2 and 4.4.3.1, OpenDocument part 3 clause 5).


def _xades(parts: Layout, name: str, data: bytes, certs: tuple[Cert, ...]) -> SignatureFile:
    def resolve(asked: str | None) -> Document | None:
        if asked is None:
            return parts.only if parts.kind == SIMPLE else None
        return parts.find(asked)

    tree = parse(data)
    evidence = xades.signatures(data, resolve, certs=certs, kind=parts.kind, tree=tree)
    odd = _frame_defects(tree, parts.kind)
    if not evidence.signatures and parts.kind != OPEN_DOCUMENT:
        raise Malformed("no signature in it")
    named = (replace(s, field=f"{name}: {s.field}" if s.field else name, defects=(*s.defects, *odd)) for s in evidence.signatures)
    signatures = tuple(_chained(parts, s) for s in named)
    # What stands in a signature file beside its signatures is shown to nobody.
    evidence = replace(evidence, signatures=signatures, uncovered=())
    return SignatureFile(name, replace(evidence, stamps=tuple(_raw_value(parts, s, evidence) for s in evidence.stamps)))


_ROOTS = frozenset(
    (
        *((namespace, "XAdESSignatures") for namespace in NAMESPACES),
        ("urn:oasis:names:tc:opendocument:xmlns:digitalsignature:1.0", "document-signatures"),
        ("urn:oasis:names:tc:opendocument:xmlns:container", "signatures"),
        (DS, "Signature"),
    )
)


def _frame_defects(tree: Tree, kind: str) -> tuple[Defect, ...]:
    """Clause 4.4.3.1, item 3: signatures stand in one of these elements, and nothing beside them. deviates: a single one may be the root itself."""
    root = tree.root
    alone = split(root.tag) == (DS, "Signature")
    strange = not alone and (any(c.tag != ds("Signature") or (c.tail or "").strip() for c in root.iterchildren("*")) or (root.text or "").strip())
    if kind == OPEN_DOCUMENT or (split(root.tag) in _ROOTS and not strange):
        return ()
    return (Defect(_CLAUSE + "4.4.3.1", "a signature file holds something else beside its signatures", fatal=False, refused=True),)


def _chained(parts: Layout, signature: Signature) -> Signature:
    """X-Road: a signature over a hash chain's result signs what the chain leads to."""
    results = [r for r in signature.references if r.intact and (r.uri or "").removeprefix("/") == hashchain.SIGNED_RESULT]
    more: tuple[Reference, ...] = ()
    if results:
        more = hashchain.reached(parts, hashchain.SIGNED_RESULT) or (Reference("hash chain", found=False, intact=False),)
    return replace(signature, references=(*signature.references, *more)) if more else signature


def is_message_log(parts: Layout) -> bool:
    """X-Road's message log: the message is a file of this name, signed as `/message.xml` or through a hash chain."""
    return "message.xml" in parts.data


def _raw_value(parts: Layout, stamp: Stamp, evidence: Evidence) -> Stamp:
    """X-Road stamps the octets of the signature value where EN 319 132-1 clause 5.3 has its canonical element: both bind the value."""
    if stamp.intact or stamp.kind is not StampKind.SIGNATURE or not is_message_log(parts):
        return stamp
    of = next((s for s in evidence.signatures if s.id == stamp.of), None)
    if of is None or not matches(stamp.token.imprint, (of.value,)):
        return stamp
    odd = Defect("EN 319 132-1 clause 5.3", "time-stamp over the octets of the signature value, not over its element", fatal=False)
    return replace(stamp, intact=True, found=True, covers=frozenset((of.id,)), defects=(*stamp.defects, odd))
