"""One signature more in a CMS file that is signed already (RFC 5652): a signer beside the others, or one over a signer's value.

What is there keeps its encoding; certificates and status are added where they are missing.
"""

from collections.abc import Sequence
from dataclasses import replace

from eseal.draft import Draft
from eseal.extend import Tools
from eseal.extend_material import Known, Material
from eseal.formats import cades, cades_extend, cms
from eseal.formats.cades_extend import LARGEST, Sheet, Signer
from eseal.levels import NEEDS, Means, digest_for, signing_time, stamped
from eseal.spec import Spec
from trust.codecs.asn1 import SEQUENCE, context, tlv
from trust.codecs.cades import COUNTER_SIGNATURE
from trust.codecs.signed_data import SignedData, content_info, signed_data
from trust.errors import Malformed, Unacceptable
from trust.model import Digest, Document


def parallel(document: Document, spec: Spec, means: Means, more: Sequence[Document] = ()) -> Draft:
    """EN 319 122-1: a SignerInfo more, over the content that is inside, or the one in `more`, at the level of `spec`.

    Malformed for what is no CMS, Unacceptable for one that holds no signature, another content than data, or whose content is not here.
    """
    signed, sheet = _opened(document)
    if signed.content_type != cms.DATA:
        raise Unacceptable("a signature is added to a CMS over plain data, and this one is over something else")
    content = _content(signed, more)
    needs = NEEDS[spec.level]
    made = cades.signed(content, spec, means, replace(needs, archive=False), attached=False)
    own = signed_data(made.envelope.whole)
    signer = Signer.of(own.signers[0])
    cades_extend.insert(sheet.certificates, cades_extend.raw(own.certificates))
    cades_extend.insert(sheet.revocations, cades_extend.raw(own.revocations))
    sheet.digests.append(cms.digest_identifier(digest_for(means.key.algorithm, spec.digest)))
    sheet.signers.append(signer)
    if needs.archive:
        material = Material(Known(), means.status)
        material.add((*made.held.certs, means.key.certificate, *means.key.chain), made.held.crls, made.held.ocsps)
        cades_extend.archive_signer(sheet, signer, signed, None if signed.content is not None else content, Tools(means.stamp, material, means.now))
    return Draft(cades_extend.written(signed, sheet), made.value, (*made.stamps, *(t.der for t in sheet.stamps)))


def countersigned(document: Document, spec: Spec, means: Means, more: Sequence[Document] = ()) -> Draft:  # noqa: ARG001  # not of the content
    """RFC 5652 section 11.4, EN 319 122-1 clause 5.2.7: a countersignature attribute over the value of the one signature in the file.

    Unacceptable for a file with several signatures, because nothing says which.
    """
    signed, sheet = _opened(document)
    if len(sheet.signers) != 1:
        raise Unacceptable(f"a countersignature is over one signature, got a file with {len(sheet.signers)}")
    key, digest = means.key, digest_for(means.key.algorithm, spec.digest)
    over, at = Digest.of(digest, sheet.signers[0].value), signing_time(spec.claims.signing_time, means)
    attributes = cms.signed_attributes(over, key, cades.claimed(spec.claims, None), at, countersigning=True)
    value = key.sign(attributes)
    fields = cms.signer_fields(key, digest, attributes, value)
    token = stamped(means.stamp, Digest.of(digest, value)) if NEEDS[spec.level].stamp else None
    unsigned = tlv(context(1), cms.attribute(cms.SIGNATURE_TIME_STAMP, token.der)) if token else b""
    sheet.signers[0].add(cms.attribute(COUNTER_SIGNATURE, tlv(SEQUENCE, fields + unsigned)))
    cades_extend.insert(sheet.certificates, cms.certificates(key))
    return Draft(cades_extend.written(signed, sheet), value, (token.der,) if token else ())


def _opened(document: Document) -> tuple[SignedData, Sheet]:
    try:
        signed = signed_data(content_info(document, LARGEST))
    except Malformed as error:
        raise Malformed(f"a signature is added to a CMS file in DER, and this is none: {error}") from error
    if not signed.signers:
        raise Unacceptable("the CMS holds no signature")
    return signed, Sheet(cades_extend.raw(signed.certificates), cades_extend.raw(signed.revocations), [Signer.of(i) for i in signed.signers])


def _content(signed: SignedData, more: Sequence[Document]) -> Document:
    if (content := signed.attached) is not None:
        if more:
            raise Unacceptable(f"the content is inside the CMS file: one document expected, got {1 + len(more)}")
        return content
    if len(more) != 1:
        raise Unacceptable(f"the content stands apart from the CMS file: give it as one document more, got {len(more)}")
    if not more[0].readable:
        raise Malformed("only digests of this document are known")
    return more[0]
