"""The signers of a SignedData as evidence: signatures with their counter-signatures, stamps and validation data. CAdES and PAdES both come here."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from trust.codecs import cades
from trust.codecs.asn1 import OCTET_STRING
from trust.codecs.cades import ValidationData
from trust.codecs.cms import content_reference, content_type_defects, signature
from trust.codecs.cms_rules import undeclared
from trust.codecs.ess import signer_of
from trust.codecs.signed_data import CONTENT_TYPE, SignedData, SignerInfo, signer_info
from trust.errors import Malformed
from trust.model import Cert, Defect, Digest, Document, Form, Reference, Scope, Signature, Stamp
from verifier.formats.cms_stamps import Place, Placed, document_digest, stamps
from verifier.formats.policy_text import exchanged
from verifier.formats.policy_text import unnamed as unnamed_policy

MAX_SIGNATURES = 2_000
"""Signers and counter-signers of one file."""
MAX_MESSAGE = 64 << 20
"""Bytes of content that is signed without attributes by a scheme that hashes for itself (EdDSA, ML-DSA): it must be held whole."""


@dataclass(frozen=True, slots=True)
class Signed:
    """One signer, read; a counter-signer knows its master."""

    place: Place
    signature: Signature
    placed: tuple[Placed, ...]
    data: ValidationData
    master: "Signed | None" = None

    @property
    def stamps(self) -> tuple[Stamp, ...]:
        return tuple(p.stamp for p in self.placed)


def unnamed(signature: Signature) -> tuple[Defect, ...]:
    """EN 319 122-1 clause 5.2.2, for containers and dictionaries that hold CAdES and nothing less: plain CMS need not name its certificate."""
    why = "a signature of this kind names the certificate that made it"
    return () if signature.signer_reference.count else (Defect("EN 319 122-1 clause 5.2.2", why, fatal=False, refused=True),)


def signers(
    signed: SignedData,
    content_of: Callable[[SignerInfo], Document | None],
    name: str,
    *,
    form: Form = Form.CADES,
    certs: Iterable[Cert] = (),
) -> tuple[Signed, ...]:
    """Every signer, each followed by its counter-signers. Levels are still to be named."""
    found: list[Signed] = []
    for info in signed.signers:
        _add(found, signed, info, content_of(info), name, form, tuple(certs), None)
    return tuple(found)


def _add(
    found: list[Signed],
    signed: SignedData,
    info: SignerInfo,
    content: Document | None,
    name: str,
    form: Form,
    certs: tuple[Cert, ...],
    master: Signed | None,
) -> None:
    if len(found) >= MAX_SIGNATURES:
        raise Malformed(f"CMS: more than {MAX_SIGNATURES} signatures")
    data = cades.values(info)
    candidates = tuple(dict.fromkeys((*signed.certs, *data.certs, *certs)))
    place = Place(signed, info, content, signer_of(info, candidates)[0], candidates)
    placed, stamp_defects = stamps(place)
    made = signature(
        info,
        candidates,
        form=form,
        level="",
        content=_unattributed(info, content),
        references=(_reference(info, content, name, master),),
        defects=stamp_defects
        + (undeclared(signed, info) if master is None else ())
        + _policy_defects(info)
        + (content_type_defects(info, signed.content_type) if master is None else _counter_defects(info)),
        countersigns=None if master is None else master.signature.id,
    )
    here = Signed(place, made, placed, data, master)
    position = len(found)
    found.append(here)
    for attribute in info.unsigned_of(cades.COUNTER_SIGNATURE):
        for value in attribute.values:
            try:
                counter = signer_info(value)
            except Malformed as error:
                broken = Defect("RFC 5652 section 11.4", f"counter-signature cannot be read: {error}")
                here = replace(here, signature=replace(here.signature, defects=(*here.signature.defects, broken)))
                found[position] = here
                continue
            _add(found, signed, counter, Document.of(info.value), "signature value", form, certs, here)


def _counter_defects(info: SignerInfo) -> tuple[Defect, ...]:
    if info.signed_of(CONTENT_TYPE):
        return (Defect("RFC 5652 section 11.4", "counter-signature has a content-type attribute", fatal=False, refused=True),)
    return ()


def _policy_defects(info: SignerInfo) -> tuple[Defect, ...]:
    """EN 319 122-1 clause 5.2.10: a signature-policy-store stands beside a policy that is named, and holds its text."""
    clause = "EN 319 122-1 clause 5.2.10"
    stores = [value for attribute in info.unsigned_of(cades.SIGNATURE_POLICY_STORE) for value in attribute.values]
    if not stores:
        return ()
    said = cades.claims(info)
    if said.policy in (None, "implied"):
        return (unnamed_policy(clause),)
    texts = [part.octets() for value in stores for part in value.children[1:2] if part.tag in (OCTET_STRING, OCTET_STRING | 0x20)]
    return tuple(d for text in texts for d in exchanged(said.policy_digest, text, clause))


def _reference(info: SignerInfo, content: Document | None, name: str, master: Signed | None) -> Reference:
    """What the signer covers: by message-digest, or (without signed attributes) by the value itself."""
    digest = document_digest(content, info.digest)
    scope = Scope.COUNTERSIGNED if master is not None else Scope.FULL if content is None or content.readable else Scope.DIGEST
    if info.signed_der is not None:
        # Content that is here and was hashed with what nobody here knows was found all the same.
        found = content is not None and (digest is not None or content.readable)
        return replace(content_reference(info, name, digest), scope=scope, found=found)
    return Reference(name, content is not None, content is not None, scope, digest)


def _unattributed(info: SignerInfo, content: Document | None) -> Digest | bytes | None:
    """What the key signed where there are no signed attributes (RFC 5652 section 5.4): None when it is not there."""
    if info.signed_der is not None or content is None:
        return None
    if info.algorithm is not None and info.algorithm.digest is None:
        return content.read(MAX_MESSAGE) if content.readable else None
    return document_digest(content, info.digest)


def matching(info: SignerInfo, detached: Sequence[Document]) -> Document | None:
    """The detached document that a signer means: the one whose digest is signed, or the only one there is."""
    said = info.message_digest
    if said is not None and info.digest is not None:
        for document in detached:
            if document_digest(document, info.digest) == Digest(info.digest, said):
                return document
    return detached[0] if len(detached) == 1 else None
