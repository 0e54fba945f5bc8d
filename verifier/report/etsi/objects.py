"""TS 119 102-2 clause 4.4: the validation objects, what proves that each of them existed, and what each time-stamp proves of others."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from trust.codecs.asn1 import OCTET_STRING, OID, SEQUENCE, context, oid_content, tlv
from trust.errors import KakuinError
from trust.model import Cert, Crl, Digest, Document, Id, Ocsp, Reference, Signature
from verifier.report.etsi.xml import Element, bytes_element, digest_element, digest_parts, element, reference, time_element
from verifier.verdict import Indication, StampVerdict, Verdict

WHOLE_BYTES = 64 << 10
"""Objects up to this size stand in the report themselves; bigger ones, such as the lists of large authorities, by their digest."""
_TYPE = "urn:etsi:019102:validationObject:"
_BASIC = "1.3.6.1.5.5.7.48.1.1"
_SUCCESSFUL = tlv(0x0A, b"\0")
"""OCSPResponseStatus."""
POE_TYPE = "urn:etsi:019102:poetype:validation"
"""Clause 4.4.6: the proof was derived by validating."""


@dataclass(frozen=True, slots=True)
class Proof:
    """Clause 4.4.6: since when something is proved to exist, and by which object; None where only this validation saw it."""

    time: datetime
    by: str | None


@dataclass(frozen=True)
class Objects:
    """The validation objects of one verdict: their xs:IDs, and the proofs."""

    verdict: Verdict
    certs: tuple[Cert, ...]
    crls: tuple[Crl, ...]
    ocsps: tuple[Ocsp, ...]
    stamps: tuple[StampVerdict, ...]
    """Each token once."""
    names: Mapping[Id, str]
    """Id -> xs:ID, of everything that is an object."""
    data: Mapping[Reference, str]
    """Signed data -> xs:ID, where a digest of it is known."""
    proofs: Mapping[Id, Proof]

    def proof(self, thing: Id) -> Proof:
        return self.proofs.get(thing, Proof(self.verdict.validation_time, None))

    def name(self, thing: Id | None) -> str | None:
        return self.names.get(thing) if thing is not None else None


def objects_of(verdict: Verdict, given: Iterable[Crl | Ocsp]) -> Objects:
    """Everything that the file carries, the chains that were used, and of what was given beside the file the status that counted."""
    evidence = verdict.evidence
    stamps = {s.stamp.token.id: s for s in reversed(verdict.stamps)}
    tokens = [s.stamp.token for s in verdict.stamps]
    links = [link for v in verdict.signatures for link in v.chain] + [link for v in verdict.stamps for link in v.chain]
    used = {link.status for link in links}
    certs = {c for t in tokens for c in t.certs} | set(evidence.certs) | {link.cert for link in links}
    certs |= {s.signer for s in (*evidence.signatures, *(t.signature for t in tokens)) if s.signer is not None}
    more = [x for x in given if x.id in used]
    crls = {c for t in tokens for c in t.crls} | set(evidence.crls) | {x for x in more if isinstance(x, Crl)}
    ocsps = {o for t in tokens for o in t.ocsps} | set(evidence.ocsps) | {x for x in more if isinstance(x, Ocsp)}
    names = {c.id: f"C-{c.id.hex()}" for c in certs} | {c.id: f"CRL-{c.id.hex()}" for c in crls} | {o.id: f"OCSP-{o.id.hex()}" for o in ocsps}
    names |= {t: f"T-{t.hex()}" for t in stamps} | {r.record.id: f"ER-{r.record.id.hex()}" for r in verdict.records}
    return Objects(
        verdict,
        tuple(sorted(certs, key=lambda c: c.id)),
        tuple(sorted(crls, key=lambda c: c.id)),
        tuple(sorted(ocsps, key=lambda o: o.id)),
        tuple(sorted(stamps.values(), key=lambda s: (s.stamp.token.gen_time, s.stamp.token.id))),
        names,
        _data(verdict),
        _proofs(verdict, names),
    )


def _data(verdict: Verdict) -> dict[Reference, str]:
    """Signed data by what is signed: the same digest of the same name is one object."""
    found: dict[Reference, str] = {}
    for signature in verdict.evidence.signatures:
        for one in signature.references:
            if one.digest is not None and one not in found:
                found[one] = f"D-{len(found) + 1}"
    return found


def _proofs(verdict: Verdict, names: Mapping[Id, str]) -> dict[Id, Proof]:
    """The earliest proof of each thing that a time-stamp or evidence record which passes covers."""
    found: dict[Id, Proof] = {}
    for stamp in verdict.stamps:
        if stamp.indication is Indication.PASSED and stamp.stamp.intact:
            proof = Proof(stamp.stamp.token.gen_time, names[stamp.stamp.token.id])
            _prove(found, covered(verdict, stamp.stamp.covers), proof)
    times = {s.stamp.token.id: s.stamp.token.gen_time for s in verdict.stamps}
    for record in verdict.records:
        first = next((times[t] for t in record.record.tokens if t in times), None)
        if record.indication is Indication.PASSED and first is not None:
            _prove(found, record.record.covers, Proof(first, names[record.record.id]))
    return found


def _prove(found: dict[Id, Proof], things: Iterable[Id], proof: Proof) -> None:
    for thing in things:
        if thing not in found or proof.time < found[thing].time:
            found[thing] = proof


def covered(verdict: Verdict, things: Iterable[Id]) -> frozenset[Id]:
    """With what covered tokens carry inside (EN 319 102-1 clause 5.6.2.3.4)."""
    direct = frozenset(things)
    inside = (x.id for s in verdict.stamps if s.stamp.token.id in direct for x in (*s.stamp.token.certs, *s.stamp.token.crls, *s.stamp.token.ocsps))
    return direct | frozenset(inside)


def poe(name: str, proof: Proof) -> Element:
    """POEType."""
    by = reference("POEObject", proof.by) if proof.by else None
    return element(name, time_element("POETime", proof.time), element("TypeOfProof", POE_TYPE), by)


def object_list(objects: Objects, reports: Mapping[Id, Element]) -> Element | None:
    """SignatureValidationObjects. `reports`: of the time-stamps and evidence records that were validated. None where there is nothing."""
    made = list(_elements(objects, reports))
    return element("SignatureValidationObjects", *made) if made else None


def _elements(objects: Objects, reports: Mapping[Id, Element]) -> Iterator[Element]:
    for cert in objects.certs:
        yield _object(objects, cert.id, "certificate", _bytes(cert.der))
    for crl in objects.crls:
        yield _object(objects, crl.id, "CRL", _bytes(crl.der))
    for answer in objects.ocsps:
        yield _object(objects, answer.id, "OCSPResponse", _bytes(_response(answer)))
    for stamp in objects.stamps:
        token = stamp.stamp.token
        yield _object(objects, token.id, "timestamp", _bytes(token.der), _provided(objects, stamp), reports.get(token.id))
    for record in {r.record.id: r.record for r in objects.verdict.records}.values():
        yield _object(objects, record.id, "evidencerecord", digest_element(Digest("sha256", record.id)), None, reports.get(record.id))
    for one, name in objects.data.items():
        if one.digest is not None:
            content = element("ValidationObjectRepresentation", digest_element(one.digest))
            yield element("ValidationObject", element("ObjectType", _TYPE + "signedData"), content, attributes={"id": name})


def _object(objects: Objects, thing: Id, kind: str, content: Element, provided: Element | None = None, report: Element | None = None) -> Element:
    """Clause 4.4.2."""
    return element(
        "ValidationObject",
        element("ObjectType", _TYPE + kind),
        element("ValidationObjectRepresentation", content),
        poe("POE", objects.proof(thing)),
        provided,
        report,
        attributes={"id": objects.names[thing]},
    )


def _bytes(der: bytes) -> Element:
    return bytes_element("base64", der) if len(der) <= WHOLE_BYTES else digest_element(Digest.of("sha256", der))


def _response(answer: Ocsp) -> bytes:
    """RFC 6960 section 4.2.1: as an OCSPResponse, which is what others look for under this name."""
    inner = tlv(SEQUENCE, tlv(OID, oid_content(_BASIC)) + tlv(OCTET_STRING, answer.der))
    return tlv(SEQUENCE, _SUCCESSFUL + tlv(context(0), inner))


def _provided(objects: Objects, stamp: StampVerdict) -> Element | None:
    """Clause 4.4.7: what the time-stamp proves of others; only where it passes."""
    if stamp.indication is not Indication.PASSED or not stamp.stamp.intact:
        return None
    things = covered(objects.verdict, stamp.stamp.covers)
    names = sorted({objects.names[t] for t in things if t in objects.names and t != stamp.stamp.token.id})
    signatures = [s for s in objects.verdict.evidence.signatures if s.id in things]
    return element(
        "POEProvisioning",
        time_element("POETime", stamp.stamp.token.gen_time),
        *(reference("ValidationObject", name) for name in names),
        *(signature_reference("SignatureReference", s) for s in signatures),
    )


def signature_reference(name: str, signature: Signature) -> Element:
    """SignatureReferenceType, by the digest of the data to be signed."""
    method, value = digest_parts(signed_digest(signature))
    return element(name, element("DigestMethod", method.get("Algorithm")), element("DigestValue", value.text))


def signed_digest(signature: Signature) -> Digest:
    """EN 319 102-1 clause 4.2.7: the data to be signed representation. Schemes that hash for themselves get SHA-256 over the same bytes."""
    if isinstance(signature.signed, Digest):
        return signature.signed
    name = (signature.algorithm.digest if signature.algorithm else None) or "sha256"
    try:
        return Digest.of(name, signature.signed)
    except KakuinError:  # a function that this machine does not compute
        return Digest.of("sha256", signature.signed)


def whole_document(documents: Iterable[Document]) -> Digest | None:
    """Of the signed content, where there is one and its bytes are here."""
    found = tuple(documents)
    return found[0].digest("sha256") if len(found) == 1 else None
