"""TS 119 102-2 clauses 4.2 and 4.3: one report for each signature; those of time-stamps and evidence records stand with their objects."""

from collections.abc import Iterable, Sequence
from urllib.parse import quote

from lxml import etree

from trust import VERSION
from trust.model import Cert, Crl, Document, Form, Ocsp, Reference, Scope, Signature
from trust.suites import Timetable
from verifier.report.etsi.attributes import attributes, signer_information
from verifier.report.etsi.crypto import WEAK, crypto_information
from verifier.report.etsi.objects import Objects, Proof, object_list, objects_of, poe, signed_digest, whole_document
from verifier.report.etsi.xml import DS, OWN, TSL, XADES, Element, bytes_element, digest_element, element, reference, time_element
from verifier.report.plain import printable
from verifier.report.texts import reason_text
from verifier.verdict import ChainLink, Indication, RecordVerdict, SignatureVerdict, StampVerdict, Step, SubIndication, Verdict

_URN = "urn:etsi:019102:"
MAIN = {
    Indication.PASSED: _URN + "mainindication:passed",
    Indication.FAILED: _URN + "mainindication:failed",
    Indication.INDETERMINATE: _URN + "mainindication:indeterminate",
}
TOTAL = {**MAIN, Indication.PASSED: _URN + "mainindication:total-passed", Indication.FAILED: _URN + "mainindication:total-failed"}
"""Clause 4.3.4.2: of a whole signature."""
NOTHING = "urn:cef:dss:mainindication:noSignatureFound"
"""The standard has no report without a signature; what EU DSS writes there, so that its readers know it."""
_APPLIED = _URN + "constraintStatus:applied"
_REVOKED = frozenset({SubIndication.REVOKED, SubIndication.REVOKED_NO_POE, SubIndication.REVOKED_CA_NO_POE})
_VALUE_AS_IT_STANDS = frozenset({Form.PADES, Form.CADES, Form.TOKEN})
"""Formats whose ECDSA values are DER, as they are held here."""
_CRL_REASONS = {"aa_compromise": "aACompromise", "ca_compromise": "cACompromise"}


def etsi(
    verdict: Verdict,
    *,
    document: Document | None = None,
    timetable: Timetable | None = None,
    given: Iterable[Crl | Ocsp] = (),
    validator: Cert | None = None,
) -> bytes:
    """The validation report as XML. `document` is what was judged, `timetable` that of the policy, `given` status data beside the file.

    `validator` is the certificate of whoever seals the report; without one the validator is named by its program.
    """
    objects = objects_of(verdict, given)
    parts = _Parts(objects, timetable, document)
    reports = {s.stamp.token.id: parts.stamp(s) for s in objects.stamps} | {r.record.id: parts.record(r) for r in verdict.records}
    signatures = [parts.signature(s, number) for number, s in enumerate(verdict.signatures, start=1)]
    root = element(
        "ValidationReport",
        *(signatures or [element("SignatureValidationReport", _status(NOTHING, None), parts.file())]),
        object_list(objects, reports),
        _validator(validator),
    )
    etree.cleanup_namespaces(root, keep_ns_prefixes=["XAdES", "ds", "tsl"])
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True))


class _Parts:
    """The parts of one report, over its objects."""

    def __init__(self, objects: Objects, timetable: Timetable | None, document: Document | None) -> None:
        self.objects, self.timetable, self.document = objects, timetable, document
        self.verdict = objects.verdict

    def signature(self, found: SignatureVerdict, number: int) -> Element:
        """Clause 4.3. The number keeps the identifiers of equal signatures apart."""
        signature = found.signature
        target = f"S-{number}-{signature.id.hex()}"
        by = self.objects.proof(signature.id)
        best = Proof(found.best_signature_time, by.by if by.time == found.best_signature_time else None)
        status = self._concluded(found.indication, found.sub_indication, target, signature, found.chain, found.trace, whole=True)
        return element(
            "SignatureValidationReport",
            _identifier(signature, target),
            self._constraints(found.trace),
            self._times(best),
            self._document(signature),
            attributes(self.objects, signature),
            signer_information(self.objects, signature.signer),
            _process(found.trace),
            status,
            self.file(),
        )

    def stamp(self, found: StampVerdict) -> Element:
        """Clause 4.4.8: a time-stamp is a signature too."""
        token = found.stamp.token
        target = self.objects.names[token.id]
        return element(
            "ValidationReport",
            _identifier(token.signature, None),
            self._constraints(found.trace),
            self._times(self.objects.proof(token.id)),
            signer_information(self.objects, token.signature.signer),
            self._concluded(found.indication, found.sub_indication, target, token.signature, found.chain, found.trace, whole=False),
        )

    def record(self, found: RecordVerdict) -> Element:
        return element(
            "ValidationReport",
            self._constraints(found.trace),
            self._times(self.objects.proof(found.record.id)),
            _status(MAIN[found.indication], found.sub_indication),
        )

    def file(self) -> Element:
        """What the standard has no place for, and no reader may miss: the verdict for the whole file, which can be worse than that of a signature."""
        verdict = self.verdict
        name = self.document.name if self.document is not None else None
        reasons = (
            element("Reason", reason_text(r.code, r.subject, r.detail, "en"), namespace=OWN, attributes={"code": r.code}) for r in verdict.reasons
        )
        content = element(
            "File",
            element("Name", name, namespace=OWN) if name else None,
            element("Conclusion", verdict.conclusion.value, namespace=OWN),
            *reasons,
            namespace=OWN,
        )
        return element("OtherInformation", content)

    def _constraints(self, trace: Sequence[Step]) -> Element:
        """Clause 4.3.5."""
        implied = element("SignaturePolicyIdentifier", element("SignaturePolicyImplied", namespace=XADES))
        policy = element("SignatureValidationPolicy", implied, element("PolicyName", self.verdict.policy))
        return element("ValidationConstraintsEvaluationReport", policy, *(_constraint(step) for step in trace))

    def _times(self, best: Proof) -> Element:
        """Clause 4.3.6."""
        return element("ValidationTimeInfo", time_element("ValidationTime", self.verdict.validation_time), poe("BestSignatureTime", best))

    def _document(self, signature: Signature) -> Element | None:
        """Clause 4.3.7: by its digest as it was signed, or computed where the signature holds its content."""
        signed: list[Reference] = [r for r in dict.fromkeys(signature.references) if r in self.objects.data]
        if signed and signed[0].digest is not None:
            names = [self.objects.data[r] for r in signed]
            return element("SignersDocument", digest_element(signed[0].digest), reference("SignersDocumentRepresentation", *names))
        digest = whole_document(self.verdict.evidence.documents)
        return element("SignersDocument", digest_element(digest)) if digest is not None else None

    def _concluded(
        self,
        indication: Indication,
        sub_indication: SubIndication | None,
        target: str,
        signature: Signature,
        chain: Sequence[ChainLink],
        trace: Sequence[Step],
        *,
        whole: bool,
    ) -> Element:
        """Clause 4.3.4, with the data that go with the status (clause 4.3.12)."""
        anchor = next((self.objects.names[link.cert.id] for link in chain if link.trusted), None)
        status = list(dict.fromkeys(n for n in (self.objects.name(link.status) for link in chain) if n))
        weak = sub_indication in WEAK
        parts = (
            reference("TrustAnchor", anchor) if anchor else None,
            self._chain(chain),
            *(reference("RelatedValidationObject", name) for name in status),
            self._revocation(chain) if sub_indication in _REVOKED else None,
            crypto_information(self.objects, signature, target, chain, trace, self.timetable) if weak else None,
        )
        data = element("AssociatedValidationReportData", *parts) if any(p is not None for p in parts) else None
        return _status((TOTAL if whole else MAIN)[indication], sub_indication, data)

    def _chain(self, chain: Sequence[ChainLink]) -> Element | None:
        if not chain:
            return None
        first, *rest = chain
        between = [link for link in rest if not link.trusted]
        anchor = next((link for link in chain if link.trusted), None)
        names = self.objects.names
        return element(
            "CertificateChain",
            reference("SigningCertificate", names[first.cert.id]),
            *(reference("IntermediateCertificate", names[link.cert.id]) for link in between),
            reference("TrustAnchor", names[anchor.cert.id]) if anchor else None,
        )

    def _revocation(self, chain: Sequence[ChainLink]) -> Element | None:
        """Clause 4.3.12.6: of the certificate that is revoked."""
        link = next((link for link in chain if link.revoked_at is not None), None)
        if link is None or link.revoked_at is None:
            return None
        source = self.objects.name(link.status)
        reason = _camel(link.reason) if link.reason else None
        return element(
            "RevocationStatusInformation",
            reference("ValidationObjectId", self.objects.names[link.cert.id]),
            time_element("RevocationTime", link.revoked_at),
            element("RevocationReason", _URN + "revocationReason:" + reason) if reason else None,
            reference("RevocationObject", source) if source else None,
        )


def _identifier(signature: Signature, target: str | None) -> Element:
    """Clause 4.3.3."""
    ecdsa = signature.algorithm is None or signature.algorithm.scheme in ("ecdsa", "dsa")
    as_it_stands = signature.form in _VALUE_AS_IT_STANDS or not ecdsa
    by_digest = bool(signature.references) and all(r.scope is Scope.DIGEST for r in signature.references)
    return element(
        "SignatureIdentifier",
        digest_element(signed_digest(signature)),
        bytes_element("SignatureValue", signature.value, DS) if as_it_stands else None,
        element("HashOnly", "false"),
        element("DocHashOnly", "true" if by_digest else "false"),
        element("OtherInformation", signature.field) if signature.field else None,
        attributes={"id": target} if target else {},
    )


def _constraint(step: Step) -> Element:
    """Clause 4.3.5.4: a requirement of the process, named by its clause, with its sentence."""
    sentence = step.what + (f" [{step.about}]" if step.about else "")
    parameter = element("ValidationConstraintParameter", element("Type", "urn:kakuin:requirement"), element("Value", sentence))
    warned = not step.ok and step.indication is None
    main = MAIN[Indication.PASSED if step.ok else _unmet(step)]
    return element(
        "ValidationConstraint",
        element("ValidationConstraintIdentifier", "urn:kakuin:clause:" + quote(printable(step.clause), safe="")),
        parameter,
        element("ConstraintStatus", element("Status", _APPLIED)),
        None if warned else _status(main, step.sub_indication, name="ValidationStatus"),
        element("Indications", "not met, and the policy only warns of it") if warned else None,
    )


def _unmet(step: Step) -> Indication:
    """A requirement whose failure concludes nothing by itself is left open."""
    return step.indication if step.indication in (Indication.FAILED, Indication.INDETERMINATE) else Indication.INDETERMINATE


def _status(main: str, sub_indication: SubIndication | None, data: Element | None = None, name: str = "SignatureValidationStatus") -> Element:
    """ValidationStatusType."""
    sub = element("SubIndication", _URN + "subindication:" + sub_indication.value) if sub_indication else None
    return element(name, element("MainIndication", main), sub, data)


def _process(trace: Sequence[Step]) -> Element:
    """Clause 4.3.11: how far the processes of EN 319 102-1 went."""
    clauses = [step.clause for step in trace]
    reached = "LTA" if any(c.startswith("5.6") for c in clauses) else "LTVM" if any(c.startswith("5.5") for c in clauses) else "Basic"
    return element("SignatureValidationProcess", element("SignatureValidationProcessID", _URN + "validationprocess:" + reached))


def _validator(cert: Cert | None) -> Element:
    """Clause 4.5."""
    identity = bytes_element("X509Certificate", cert.der, TSL) if cert else element("Other", f"kakuin {VERSION}", namespace=TSL)
    return element("SignatureValidator", element("DigitalId", identity))


def _camel(reason: str) -> str:
    """`key_compromise` -> `keyCompromise`, as RFC 5280 writes it."""
    first, *rest = reason.split("_")
    return _CRL_REASONS.get(reason) or first + "".join("CRL" if part == "crl" else part.title() for part in rest)
