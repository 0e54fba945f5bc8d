"""The names of levels for PDF signatures (EN 319 142-1 clause 6.3, EN 319 142-2 clauses 4 and 5), as EU DSS names them. No judgement.

PKCS7-… are signatures of the sub-filters of ISO 32000-1, PDF-NOT-ETSI is whatever has the shape of neither.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from trust.codecs import cades
from trust.codecs.cades import ValidationData
from trust.codecs.signed_data import CONTENT_TYPE, DATA, SIGNING_TIME
from trust.model import Cert, Id, Stamp, StampKind
from verifier.formats import validation_data
from verifier.formats.cms_levels import baseline_b, carries_status, is_bes
from verifier.formats.cms_signers import Signed
from verifier.formats.pdf.signatures import SignatureDictionary

_PKCS7 = ("/adbe.pkcs7.detached", "/adbe.pkcs7.sha1")
_CADES = "/ETSI.CAdES.detached"


@dataclass(frozen=True, slots=True)
class Later:
    """A document time-stamp after the signature."""

    stamp: Stamp
    inside: frozenset[Id]
    """What lies inside its byte range."""
    after_store: bool
    """A /DSS stood in the file when it was made."""


@dataclass(frozen=True, slots=True)
class Around:
    """What the file holds around a signature."""

    data: ValidationData
    """All validation data of the file."""
    documents: tuple[Later, ...]
    has_store: bool
    """A /DSS stands in the file now."""


def pades_level(dictionary: SignatureDictionary, here: Signed, around: Around) -> str:
    """`PAdES-BASELINE-LTA`, `PKCS7-T`, …"""
    if dictionary.sub_filter in _PKCS7:
        return "PKCS7-" + _extension(here, around) if _is_pkcs7(dictionary, here) else "PDF-NOT-ETSI"
    if not _is_bes(dictionary, here):
        return "PDF-NOT-ETSI"
    if _is_baseline(dictionary, here):
        return "PAdES-BASELINE-" + _extension(here, around)
    if _has_long_term(here, around) and _archived(here, around):
        return "PAdES-LTV"
    policy = here.place.info.signed_of(cades.SIGNATURE_POLICY)
    return "PAdES-EPES" if policy and not dictionary.reason else "PAdES-BES"


def _extension(here: Signed, around: Around) -> str:
    """B, T, LT or LTA."""
    stamped = any(s.kind is StampKind.SIGNATURE for s in here.stamps) or bool(around.documents)
    if not stamped:
        return "B"
    if not _has_long_term(here, around):
        return "T"
    return "LTA" if _archived(here, around) else "LT"


def _is_pkcs7(dictionary: SignatureDictionary, here: Signed) -> bool:
    """ISO 32000-1 clause 12.8.3.3: the signer's certificate inside, a digest or (sha1) 20 bytes of content."""
    if here.signature.signer not in (*here.place.signed.certs, *here.data.certs):
        return False
    if dictionary.sub_filter == "/adbe.pkcs7.sha1":
        return sum(map(len, here.place.signed.content_pieces())) == 20
    return here.place.info.message_digest is not None and here.place.signed.content is None


def _is_bes(dictionary: SignatureDictionary, here: Signed) -> bool:
    """EN 319 142-2 clause 4.2."""
    info, signed = here.place.info, here.place.signed
    content_type = info.one(CONTENT_TYPE)
    return (
        is_bes(info)
        and len(signed.signers) == 1
        and signed.content is None
        and dictionary.filter is not None
        and bool(dictionary.contents)
        and content_type is not None
        and content_type.oid() == DATA
        and not (dictionary.reason and here.signature.claims.commitments)
        and dictionary.sub_filter == _CADES
    )


def _is_baseline(dictionary: SignatureDictionary, here: Signed) -> bool:
    """EN 319 142-1 clause 6.3: /M instead of signing-time; no /Reason beside a commitment or a policy."""
    info = here.place.info
    return (
        baseline_b(here)
        and not info.signed_of(SIGNING_TIME)
        and dictionary.time is not None
        and not (dictionary.reason and (here.signature.claims.commitments or here.signature.claims.policy))
    )


def _leaves(here: Signed, stamps: Sequence[Stamp]) -> list[Cert]:
    return [c for c in (here.signature.signer, *(s.token.signature.signer for s in stamps)) if c is not None]


def _early(here: Signed, around: Around) -> list[Stamp]:
    """All stamps but the newest document time-stamp, which nothing can have carried the status of yet; a lone one counts."""
    others = [s for s in here.stamps if s.kind is not StampKind.DOCUMENT]
    ordered = sorted(around.documents, key=lambda d: d.stamp.token.gen_time)
    archives = [d.stamp for d in ordered]
    covering = any(a.token.id in d.inside for a in archives for d in ordered)
    return others + (archives[:-1] if others or covering else archives)


def _has_long_term(here: Signed, around: Around) -> bool:
    """Status for every certificate, in a /DSS unless all of them are self-issued."""
    early = _early(here, around)
    if not carries_status(_leaves(here, early), around.data, early, ()):
        return False
    certs = {*around.data.certs, *(c for s in early for c in s.token.certs)}
    return around.has_store or all(validation_data.self_issued(c) for c in certs)


def _archived(here: Signed, around: Around) -> bool:
    """A document time-stamp over the validation data: one for each certificate that needs a status."""
    return any(later.after_store and _covers_status(here, around, later.inside) for later in around.documents)


def _covers_status(here: Signed, around: Around, inside: frozenset[Id]) -> bool:
    crls = tuple(c for c in around.data.crls if c.id in inside)
    ocsps = tuple(o for o in around.data.ocsps if o.id in inside)
    if not around.data.crls and not around.data.ocsps:
        return any(c.id in inside for c in around.data.certs)
    return validation_data.complete(_leaves(here, _early(here, around)), around.data.certs, crls, ocsps)
