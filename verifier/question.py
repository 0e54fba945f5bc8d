"""What a verdict depends on, as one value."""

from dataclasses import dataclass
from datetime import datetime

from trust.model import Cert, Crl, Document, Ocsp
from verifier.policy import Policy


@dataclass(frozen=True, slots=True)
class Unobtained:
    """Something that would have helped, and could not be had when it was asked for."""

    what: str
    """`crl`, `ocsp` or `issuer`, as in verifier.want."""
    about: str
    """SHA-256 of the certificate, in hexadecimal."""
    url: str
    """Where it was asked for: printable ASCII, shortened."""
    why: str


@dataclass(frozen=True, slots=True)
class Question:
    """Everything that a verdict depends on: the same question has the same answer, today and in twenty years."""

    document: Document
    at: datetime
    """The validation time."""
    policy: Policy
    anchors: tuple[Cert, ...] = ()
    detached: tuple[Document, ...] = ()
    """Content that stands apart from its signature."""
    certificates: tuple[Cert, ...] = ()
    """Further certificates, not trusted for being here."""
    crls: tuple[Crl, ...] = ()
    ocsps: tuple[Ocsp, ...] = ()
    records: tuple[Document, ...] = ()
    """Evidence records that stand beside the document."""
    unobtained: tuple[Unobtained, ...] = ()
    bundle: str | None = None
    """Digest of the bundle (verifier.bundle) that all of this came from; None: the report names the one that this would make."""
