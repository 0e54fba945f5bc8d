"""What kinds of certificates there are: data, from which trust.pki.issue makes extensions."""

from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from trust.errors import Malformed
from trust.model import Cert
from trust.registry import corporate_number, organization_identifier

ORGANIZATION_IDENTIFIER = ObjectIdentifier("2.5.4.97")
ANY_POLICY = "2.5.29.32.0"
_LONGEST = 64
"""Characters of a name: ub-organization-name and ub-common-name of RFC 5280 appendix A."""


@dataclass(frozen=True, slots=True)
class Subject:
    """EN 319 412-3 clause 4.2.1: a legal person's names; the identifier is that of its 法人番号."""

    common_name: str
    organization: str
    number: str | None
    """法人番号, whose check digit is looked at; None for an organisation outside the registry."""
    country: str = "JP"
    unit: str | None = None

    @classmethod
    def of(cls, certificate: Cert) -> "Subject":
        """The subject of a certificate that was issued here."""

        def value(oid: ObjectIdentifier) -> str | None:
            found = certificate.x509.subject.get_attributes_for_oid(oid)
            return str(found[0].value) if found else None

        identifier = value(ORGANIZATION_IDENTIFIER)
        return cls(
            value(NameOID.COMMON_NAME) or "",
            value(NameOID.ORGANIZATION_NAME) or "",
            None if identifier is None else identifier.rpartition("-")[2],
            value(NameOID.COUNTRY_NAME) or "",
            value(NameOID.ORGANIZATIONAL_UNIT_NAME),
        )

    def name(self) -> x509.Name:
        """Malformed where a part is empty, too long or no 法人番号."""
        parts = [(NameOID.COUNTRY_NAME, self.country), (NameOID.ORGANIZATION_NAME, self.organization)]
        if self.number is not None:
            parts.append((ORGANIZATION_IDENTIFIER, organization_identifier(corporate_number(self.number))))
        if self.unit is not None:
            parts.append((NameOID.ORGANIZATIONAL_UNIT_NAME, self.unit))
        parts.append((NameOID.COMMON_NAME, self.common_name))
        for oid, value in parts:
            what = {NameOID.COUNTRY_NAME: "country", NameOID.COMMON_NAME: "common name"}.get(oid, "name")
            if not value.strip() or not value.isprintable():
                raise Malformed(f"{what} is empty or has control characters")
            if len(value) > _LONGEST:
                raise Malformed(f"{what} is at most {_LONGEST} characters, got {len(value)}")
        if not (len(self.country) == 2 and self.country.isascii() and self.country.isupper()):
            raise Malformed("country is two capital letters (ISO 3166-1)")
        # The library counts bytes where RFC 5280 counts characters, which would leave a Japanese name 21 of its 64: so its own check is off.
        return x509.Name([x509.NameAttribute(oid, value, _validate=False) for oid, value in parts])


@dataclass(frozen=True, slots=True)
class Profile:
    """A kind of certificate."""

    name: str
    issuer: str
    """Name of the key that signs it: `root` or `ca`."""
    days_setting: str
    """The setting that says how long it is valid: see trust.edge.settings.Pki."""
    usages: frozenset[str]
    """KeyUsage, always critical: names of cryptography's parameters."""
    path_length: int | None = None
    """For an authority: how many authorities may stand below it. None: not an authority."""
    purposes: tuple[ObjectIdentifier, ...] = ()
    """ExtendedKeyUsage."""
    purposes_critical: bool = False
    key_days_setting: str | None = None
    """PrivateKeyUsagePeriod."""
    policy: bool = True
    """Carries the policy of the settings; otherwise an authority carries anyPolicy."""
    status: bool = True
    """Tells where its revocation status is published."""
    no_check: bool = False
    """RFC 6960 section 4.2.2.2.1: clients need not ask about the responder itself."""

    @property
    def authority(self) -> bool:
        return self.path_length is not None


_AUTHORITY = frozenset({"key_cert_sign", "crl_sign"})

# qcStatements stand in none of them: no service that this software runs is qualified because of it, and a certificate that says so lies.
PROFILES: dict[str, Profile] = {
    p.name: p
    for p in (
        Profile("root", "root", "root_days", _AUTHORITY, path_length=1, policy=False, status=False),
        Profile("ca", "root", "ca_days", _AUTHORITY, path_length=0, policy=False),
        # RFC 3161 section 2.3: timeStamping alone, and critical. EN 319 421 TIS-7.6.7-04: the key ends before the certificate.
        Profile(
            "tsu",
            "ca",
            "tsu_days",
            frozenset({"digital_signature"}),
            purposes=(ExtendedKeyUsageOID.TIME_STAMPING,),
            purposes_critical=True,
            key_days_setting="tsu_key_days",
        ),
        # EN 319 412-2 clause 4.3.2 type B. No ExtendedKeyUsage: `openssl cms -verify` refuses all but e-mail, and no Japanese one is published.
        Profile("seal", "ca", "seal_days", frozenset({"digital_signature", "content_commitment"})),
        Profile(
            "ocsp", "ca", "ocsp_days", frozenset({"digital_signature"}), purposes=(ExtendedKeyUsageOID.OCSP_SIGNING,), status=False, no_check=True
        ),
    )
}

REASONS: dict[str, x509.ReasonFlags] = {
    flag.value: flag
    for flag in (
        x509.ReasonFlags.unspecified,
        x509.ReasonFlags.key_compromise,
        x509.ReasonFlags.ca_compromise,
        x509.ReasonFlags.affiliation_changed,
        x509.ReasonFlags.superseded,
        x509.ReasonFlags.cessation_of_operation,
        x509.ReasonFlags.privilege_withdrawn,
    )
}
"""RFC 5280 section 5.3.1, by its own names. No certificateHold: a seal that comes back to life leaves nobody able to say what held in between."""
