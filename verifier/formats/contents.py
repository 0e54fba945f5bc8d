"""What is proved to have existed together with a thing, because it stands inside it: the identities that a stamp over it covers."""

from trust.codecs.cades import ValidationData
from trust.model import Evidence, Id, Token


def of_token(token: Token) -> frozenset[Id]:
    """The token, the authority's signature in it, and the certificates and status data that it carries."""
    return frozenset((token.id, token.signature.id)) | of_data(ValidationData(token.certs, token.crls, token.ocsps))


def of_data(data: ValidationData) -> frozenset[Id]:
    return frozenset(item.id for items in (data.certs, data.crls, data.ocsps) for item in items)


def of_evidence(evidence: Evidence) -> frozenset[Id]:
    """Everything that a signed file carries: its signatures, certificates, status data, tokens with what is in them, and records."""
    named = {signature.id for signature in evidence.signatures} | {record.id for record in evidence.records}
    data = ValidationData(tuple(evidence.certs), tuple(evidence.crls), tuple(evidence.ocsps))
    return frozenset(named).union(of_data(data), *(of_token(stamp.token) for stamp in evidence.stamps))
