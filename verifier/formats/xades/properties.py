"""What the signer says in the SignedProperties (EN 319 132-1 clause 5.2): claims, signed but not proved."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from trust.codecs import asn1
from trust.codecs.xml.names import octets_of, split, text_of
from trust.errors import Malformed
from trust.model import Claims, Defect
from verifier.formats.policy_text import exchanged, unnamed
from verifier.formats.xades.signer import digest_of
from verifier.formats.xades.structure import Frame

MAX_ROLES: Final = 50


def claims(frame: Frame) -> Claims:
    """Of signed properties only: the caller has seen that a reference covers them."""
    policy = _first(frame.signed_property("SignaturePolicyIdentifier"))
    identifier = _descend(policy, "SignaturePolicyId")
    implied = _descend(policy, "SignaturePolicyImplied") is not None
    return Claims(
        time=_time(_first(frame.signed_property("SigningTime"))),
        place=_place(_first(frame.signed_property("SignatureProductionPlace", "SignatureProductionPlaceV2"))),
        commitments=_commitments(frame),
        roles=_roles(frame),
        policy="implied" if implied else _text(_descend(identifier, "SigPolicyId", "Identifier")),
        policy_digest=digest_of(_descend(identifier, "SigPolicyHash")),
        policy_uri=_text(_descend(identifier, "SigPolicyQualifiers", "SigPolicyQualifier", "SPURI")),
        content_type=_content_type(frame),
    )


def _first(elements: tuple[Any, ...]) -> Any | None:
    return elements[0] if elements else None


def _descend(element: Any | None, *names: str) -> Any | None:
    """The first child of this name, and so on down."""
    for name in names:
        if element is None:
            return None
        element = next((c for c in element.iterchildren("*") if split(c.tag)[1] == name), None)
    return element


def _text(element: Any | None) -> str | None:
    if element is None:
        return None
    return asn1.printable(text_of(element).strip()) or None


def _time(element: Any | None) -> datetime | None:
    """xsd:dateTime; one without a zone is taken as UTC, and 24:00:00 as the next midnight (XML Schema part 2 clause 3.2.7)."""
    text = _text(element)
    if text is None:
        return None
    extra = timedelta(0)
    if "T24:00:00" in text:
        text, extra = text.replace("T24:00:00", "T00:00:00"), timedelta(days=1)
    try:
        moment = datetime.fromisoformat(text)
        return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)) + extra
    except (ValueError, OverflowError):
        return None


def _place(element: Any | None) -> str | None:
    if element is None:
        return None
    parts = [_text(c) for c in element.iterchildren("*")]
    return ", ".join(p for p in parts if p) or None


def _commitments(frame: Frame) -> tuple[str, ...]:
    found = [_text(_descend(c, "CommitmentTypeId", "Identifier")) for c in frame.data_property("CommitmentTypeIndication")[:MAX_ROLES]]
    return tuple(f for f in found if f)


def _roles(frame: Frame) -> tuple[str, ...]:
    found = []
    for role in frame.signed_property("SignerRole", "SignerRoleV2"):
        claimed = _descend(role, "ClaimedRoles")
        if claimed is not None:
            found += [_text(c) for c in claimed.iterchildren("*")]
    return tuple(f for f in found[:MAX_ROLES] if f)


def _content_type(frame: Frame) -> str | None:
    types = [_text(_descend(f, "MimeType")) for f in frame.data_property("DataObjectFormat")[:MAX_ROLES]]
    return next((t for t in types if t), None)


_STORE = "EN 319 132-1 clause 5.2.10"


def policy_defects(frame: Frame) -> tuple[Defect, ...]:
    """A SignaturePolicyStore stands beside a policy that the signer names, and holds the text of the signed digest, where no transform stands
    between them."""
    stores = frame.unsigned_property("SignaturePolicyStore")
    if not stores:
        return ()
    identifier = _descend(_first(frame.signed_property("SignaturePolicyIdentifier")), "SignaturePolicyId")
    if identifier is None:
        return (unnamed(_STORE),)
    said = digest_of(_descend(identifier, "SigPolicyHash"))
    if _descend(identifier, "Transforms") is not None:
        return ()
    texts = [_descend(store, "SignaturePolicyDocument") for store in stores]
    try:
        return tuple(d for text in texts if text is not None for d in exchanged(said, octets_of(text), _STORE))
    except Malformed:
        return (Defect(_STORE, "the signature policy that stands beside is not base64", fatal=False, refused=True),)
