"""What revocation lists (RFC 5280 section 6.3) and OCSP answers (RFC 6960) say of a certificate: timeless facts; the process decides.

An `Answer` is made only of data whose signature verifies with the key of someone who may speak of the certificate. Whether it is old, too
old, from the wrong side of an expiry or from a responder who is revoked himself depends on a time, so it is not asked here.
"""

from verifier.revocation.answer import Answer, Authority, has_information, unusable
from verifier.revocation.crl import CrlFacts, crl_facts
from verifier.revocation.ocsp import OcspFacts, ocsp_facts
from verifier.revocation.status import Sources, answers

__all__ = ["Answer", "Authority", "CrlFacts", "OcspFacts", "Sources", "answers", "crl_facts", "has_information", "ocsp_facts", "unusable"]
