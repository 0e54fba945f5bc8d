"""Fetching, when it was asked for: what the process says is missing is looked up where the certificates say that it is.

The core asks (verifier.want), callables answer: this module opens no connection itself. Whatever comes back is a stranger's, proves nothing by having
been fetched, and becomes part of the question, so that a bundle holds it and the same verdict can be reached again without a network.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from trust.codecs import asn1
from trust.errors import KakuinError, Malformed
from trust.model import Cert, Crl, Ocsp
from verifier import service, sources
from verifier.chains import facts, readable
from verifier.process import Context
from verifier.question import Question, Unobtained
from verifier.report.parties import Json
from verifier.verdict import Conclusion
from verifier.want import Want, What, wants

Get = Callable[[str], bytes]
"""Address -> the body of a good answer. Raises Unavailable or TooLarge."""
Post = Callable[[str, bytes, str], bytes]
"""Address, body, media type -> the same."""
Tell = Callable[[str], None]

ROUNDS = 3
"""An issuer, the issuer's issuer, and the status of both: what takes more is no path that people use."""
MAX_ADDRESSES = 4
"""For one thing: makers name one or two (http and a mirror)."""
MAX_ISSUERS = 8
"""Certificates taken from one answer: a certs-only CMS holds an authority's few keys of one name."""
REQUEST = "application/ocsp-request"


def answer(question: Question, get: Get, post: Post) -> Json:
    """The JSON report, with what could be fetched. For the sandbox, where `get` and `post` are the parent's."""
    return service.answer(informed(question, get, post))


def informed(question: Question, get: Get, post: Post, tell: Tell = lambda _: None) -> Question:
    """The question with what was missing, as far as it can be had, and with what could not be had.

    Nothing is fetched for a file whose verdict is certain without: more status never makes a broken signature sound. Raises what
    `verifier.service.judge` raises; a fetch that fails raises nothing.
    """
    evidence = service.gathered(question)
    errand = _Errand(get, post, tell)
    for _ in range(ROUNDS):
        if service.judge(question).conclusion is not Conclusion.INDETERMINATE:
            break
        context = Context(question.at, question.anchors, question.policy, question.certificates, question.crls, question.ocsps)
        had = errand.round(wants(evidence, context))
        if not had:
            break
        question = replace(
            question,
            certificates=(*question.certificates, *(x for x in had if isinstance(x, Cert))),
            crls=(*question.crls, *(x for x in had if isinstance(x, Crl))),
            ocsps=(*question.ocsps, *(x for x in had if isinstance(x, Ocsp))),
            bundle=None,
        )
    return replace(question, unobtained=(*question.unobtained, *errand.unobtained))


@dataclass
class _Errand:
    """What was asked for so far: nothing is asked for twice."""

    get: Get
    post: Post
    tell: Tell
    asked: set[Want] = field(default_factory=set)
    failures: dict[Want, list[Unobtained]] = field(default_factory=dict)
    served: set[tuple[bool, Cert]] = field(default_factory=set)

    def round(self, wanted: tuple[Want, ...]) -> list[Cert | Crl | Ocsp]:
        """What could be had of it. Of status, an OCSP answer spares the list."""
        found: dict[Cert | Crl | Ocsp, None] = {}
        answered: set[Cert] = set()
        for want in wanted:
            if want in self.asked or want.about in answered:
                continue
            self.asked.add(want)
            had = self._first(want)
            found.update(dict.fromkeys(had))
            if had and want.what is not What.ISSUER:
                answered.add(want.about)
            if had:
                self.served.add((want.what is What.ISSUER, want.about))
        return list(found)

    def _first(self, want: Want) -> "list[Cert] | list[Crl] | list[Ocsp]":
        """From the first address that answers with what was wanted."""
        failed = self.failures.setdefault(want, [])
        for url in want.urls[:MAX_ADDRESSES]:
            shown = ascii(url)[1:-1][:200]
            self.tell(f"asking {shown}")
            try:
                return self._fetched(want, url)
            except KakuinError as error:
                failed.append(Unobtained(want.what.value, want.about.id.hex(), shown, str(error)))
        return []

    def _fetched(self, want: Want, url: str) -> "list[Cert] | list[Crl] | list[Ocsp]":
        if want.what is What.CRL:
            return sources.crls_in(self.get(url))
        if want.what is What.ISSUER:
            return _issuers(want.about, self.get(url))
        if want.issuer is None:
            raise Malformed("an OCSP answer was wanted without an issuer")
        return sources.ocsps_in(self.post(url, ocsp_request(want.about, want.issuer), REQUEST))

    @property
    def unobtained(self) -> Iterator[Unobtained]:
        """What is still missing: where a list did for an answer, or a later address for an earlier one, nothing is."""
        for want, failed in self.failures.items():
            if (want.what is What.ISSUER, want.about) not in self.served:
                yield from failed


def ocsp_request(cert: Cert, issuer: Cert) -> bytes:
    """An OCSPRequest about one certificate (RFC 6960 section 4.1.1, in the profile of RFC 5019: SHA-1 to name the issuer, no nonce, unsigned)."""
    own, above = facts(cert), facts(issuer)
    sha1 = asn1.tlv(asn1.SEQUENCE, asn1.tlv(asn1.OID, asn1.oid_content("1.3.14.3.2.26")) + asn1.tlv(asn1.NULL, b""))
    hashes = (hashlib.sha1(data, usedforsecurity=False).digest() for data in (own.issuer, above.key_bits))
    identifier = sha1 + b"".join(asn1.tlv(asn1.OCTET_STRING, digest) for digest in hashes) + asn1.tlv(asn1.INTEGER, own.serial)
    request = asn1.tlv(asn1.SEQUENCE, asn1.tlv(asn1.SEQUENCE, identifier))
    return asn1.tlv(asn1.SEQUENCE, asn1.tlv(asn1.SEQUENCE, asn1.tlv(asn1.SEQUENCE, request)))


def _issuers(cert: Cert, data: bytes) -> list[Cert]:
    """Certificates of the wanted name, of whatever else came along."""
    name = facts(cert).issuer_key
    found = [c for c in readable(sources.certificates_in(data)) if facts(c).subject_key == name]
    if not found:
        raise Malformed("answered with no certificate of the issuer")
    return found[:MAX_ISSUERS]
