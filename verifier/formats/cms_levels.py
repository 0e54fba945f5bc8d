"""The names of levels for CMS and CAdES: which shape the attributes have (EN 319 122-1 clause 6.3, EN 319 122-2). No judgement.

The names and what each asks for are those of EU DSS, which the market reads reports by; where it asks for more than the clause, it says so here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from trust.codecs import cades
from trust.codecs.cades import ValidationData
from trust.codecs.ess import SIGNING_CERTIFICATE, SIGNING_CERTIFICATE_V2, signing_certificates
from trust.codecs.signed_data import CONTENT_TYPE, DATA, MESSAGE_DIGEST, SIGNING_TIME, SignerInfo
from trust.model import Cert, Stamp, StampKind
from verifier.formats import validation_data
from verifier.formats.cms_signers import Signed

_ONCE_AT_MOST = (
    SIGNING_TIME,
    cades.COMMITMENT_TYPE,
    cades.CONTENT_HINTS,
    cades.MIME_TYPE,
    cades.SIGNER_LOCATION,
    cades.SIGNATURE_POLICY,
    "1.2.840.113549.1.9.16.2.10",  # content-reference
    "1.2.840.113549.1.9.16.2.7",  # content-identifier
)
_ONCE_UNSIGNED = (
    cades.SIGNATURE_POLICY_STORE,
    cades.CERTIFICATE_REFS,
    cades.REVOCATION_REFS,
    cades.ATTRIBUTE_CERTIFICATE_REFS,
    cades.ATTRIBUTE_REVOCATION_REFS,
    cades.CERTIFICATE_VALUES,
    cades.REVOCATION_VALUES,
)
_NOT_IN_BASELINE_LT = (
    cades.CERTIFICATE_VALUES,
    cades.CERTIFICATE_REFS,
    cades.REVOCATION_VALUES,
    cades.REVOCATION_REFS,
    cades.REFERENCES_TIME_STAMP,
)


@dataclass(frozen=True, slots=True)
class Archive:
    """What the whole file knows beside the signer: all validation data, and the other signers."""

    data: ValidationData
    others: tuple[SignerInfo, ...] = ()
    container_stamps: tuple[Stamp, ...] = ()
    """Stamps over the container in which the signature lies (ASiC)."""


def cades_level(here: Signed, archive: Archive) -> str:
    """`CMS-NOT-ETSI`, `CAdES-BES`, … `CAdES-BASELINE-LTA`."""
    info = here.place.info
    counter = here.master is not None
    if not is_bes(info, counter=counter) or not extended_bes(info):
        return "CMS-NOT-ETSI"
    baseline = baseline_b(here) and _one_signing_time(info) and _policy_store_fits(here)
    if not has_t(here):
        return "CAdES-BASELINE-B" if baseline else "CAdES-EPES" if info.signed_of(cades.SIGNATURE_POLICY) else "CAdES-BES"
    complete = has_validation_data(here, archive)
    records = _has_evidence_record(here, archive)
    archives = [p for p in here.placed if p.stamp.kind is StampKind.ARCHIVE]
    if baseline and complete and not info.unsigned_of(*_NOT_IN_BASELINE_LT):
        v3 = any(p.oid == cades.ARCHIVE_TIME_STAMP_V3 for p in archives) or bool(archive.container_stamps)
        return "CAdES-ERS" if records else "CAdES-BASELINE-LTA" if v3 else "CAdES-BASELINE-LT"
    archived = bool(archives) or bool(archive.container_stamps)
    if _has_references(here, archive):
        stamped = len(info.unsigned_of(cades.ESC_TIME_STAMP, cades.REFERENCES_TIME_STAMP)) == 1
        if complete and (records or archived or stamped):
            return "CAdES-ERS" if records else "CAdES-A" if archived else "CAdES-XL"
        return "CAdES-X" if stamped else "CAdES-C"
    if complete:
        return "CAdES-ERS" if records else "CAdES-A" if archived else "CAdES-LT"
    return "CAdES-BASELINE-T" if baseline else "CAdES-T"


def is_bes(info: SignerInfo, *, counter: bool = False) -> bool:
    """EN 319 122-2 clause 5.2: content-type (not in a counter-signature), message-digest and one signing-certificate attribute."""
    types = _count(info, CONTENT_TYPE)
    return (
        (types == 1 or (counter and types == 0))
        and _count(info, MESSAGE_DIGEST) == 1
        and _count(info, SIGNING_CERTIFICATE, SIGNING_CERTIFICATE_V2) == 1
        and len(info.signed_of(cades.SIGNER_ATTRIBUTES, cades.SIGNER_ATTRIBUTES_V2)) <= 1
    )


def extended_bes(info: SignerInfo) -> bool:
    """EN 319 122-2 clause 5.2: attributes that stand at most once, and the signing-certificate attribute of the version that fits its digest."""
    return (
        all(len(info.signed_of(oid)) <= 1 for oid in _ONCE_AT_MOST)
        and all(len(info.unsigned_of(oid)) <= 1 for oid in _ONCE_UNSIGNED)
        and fitting_version(info)
    )


def baseline_b(here: Signed) -> bool:
    """EN 319 122-1 clause 6.3, rows and requirements (a), (f), (h), (i) that CAdES and PAdES share; signing-time is theirs to ask for."""
    info, signed = here.place.info, here.place.signed
    content_type = info.one(CONTENT_TYPE)
    return (
        bool(signed.certs)
        and here.signature.signer in signed.certs
        and (content_type is None or content_type.oid() == DATA)
        and len(info.signed_of(cades.SIGNATURE_POLICY)) <= 1
        and fitting_version(info)
    )


def fitting_version(info: SignerInfo) -> bool:
    """Requirements (h) and (i): signing-certificate for SHA-1, signing-certificate-v2 for every other digest."""
    firsts = [ids[0] for ids in signing_certificates(info) if ids]
    if not firsts or firsts[0].digest is None:
        return True
    return bool(info.signed_of(SIGNING_CERTIFICATE if firsts[0].digest.algorithm == "sha1" else SIGNING_CERTIFICATE_V2))


def _count(info: SignerInfo, *oids: str) -> int:
    return sum(bool(a.values) for a in info.signed_of(*oids))


def _one_signing_time(info: SignerInfo) -> bool:
    return _count(info, SIGNING_TIME) == 1


def _policy_store_fits(here: Signed) -> bool:
    """Requirement (k): a signature-policy-store only beside a policy with its digest."""
    return not here.place.info.unsigned_of(cades.SIGNATURE_POLICY_STORE) or here.signature.claims.policy_digest is not None


def has_t(here: Signed) -> bool:
    """Requirement (m): signature time-stamps, all made before the signing certificate expired."""
    moments = [p.stamp.token.gen_time for p in here.placed if p.stamp.kind is StampKind.SIGNATURE]
    return bool(moments) and validation_data.in_time(here.signature.signer, moments)


def has_validation_data(here: Signed, archive: Archive) -> bool:
    """Status of every certificate on the chains of the signer and of every stamp but the last archive stamp.

    Where all certificates are self-issued there is no status to carry: then the SignedData must hold the authorities' certificates.
    """
    early = but_last_archive([p.stamp for p in here.placed])
    leaves = [c for c in (here.signature.signer, *(s.token.signature.signer for s in early)) if c is not None]
    return carries_status(leaves, archive.data, early, here.place.signed.certs)


def carries_status(leaves: Sequence[Cert], data: ValidationData, stamps: Sequence[Stamp], carried: Sequence[Cert]) -> bool:
    certs = set(data.certs) | {c for s in stamps for c in s.token.certs}
    if certs and all(validation_data.self_issued(c) for c in certs):
        return bool(stamps) and all(set(s.token.certs) & set(carried) for s in stamps)
    return bool(data.crls or data.ocsps) and validation_data.complete(leaves, certs, data.crls, data.ocsps)


def but_last_archive(stamps: Sequence[Stamp]) -> list[Stamp]:
    """All stamps but the newest archive or document stamp."""
    archives = [s for s in stamps if s.kind in {StampKind.ARCHIVE, StampKind.DOCUMENT, StampKind.CONTAINER}]
    last = max(archives, key=lambda s: s.token.gen_time, default=None)
    return [s for s in stamps if s is not last]


def _has_references(here: Signed, archive: Archive) -> bool:
    """EN 319 122-2 clause 5.5: complete-certificate-references once, and complete-revocation-references unless every certificate is self-issued."""
    info = here.place.info
    certs, revocations = len(info.unsigned_of(cades.CERTIFICATE_REFS)), len(info.unsigned_of(cades.REVOCATION_REFS))
    return certs == 1 and (revocations == 1 or (revocations == 0 and all(validation_data.self_issued(c) for c in archive.data.certs)))


def _has_evidence_record(here: Signed, archive: Archive) -> bool:
    """RFC 5126 annex A: an internal evidence record in an attached signature, an external one in a detached one, at any signer."""
    fitting = cades.EXTERNAL_EVIDENCE_RECORD if here.place.signed.content is None else cades.EVIDENCE_RECORD
    other = cades.EVIDENCE_RECORD if here.place.signed.content is None else cades.EXTERNAL_EVIDENCE_RECORD
    return any(info.unsigned_of(fitting) and not info.unsigned_of(other) for info in archive.others)
