"""What fuzzing found, one test each, made anew by the tests' own makers."""

import pytest

from tests import pki
from tests.envelopes import SIGNING_CERTIFICATE_V2, attribute, envelope, seq, signer_info, usual_attributes
from trust.codecs.ess import signer_of
from trust.codecs.signed_data import signed_data
from trust.errors import Malformed
from trust.model import Crl, Document
from verifier.read import read


def test_a_list_of_an_unknown_version_is_malformed() -> None:
    """cryptography has an exception of its own for it (found by `read-jades`: crlVals of a JSON signature)."""
    der = pki.crl(pki.root()).der
    version = der.index(b"\x02\x01\x01\x30")
    assert Crl(der).x509.last_update_utc
    with pytest.raises(Malformed):
        Crl(der[:version] + b"\x02\x01\x36" + der[version + 3 :]).x509  # noqa: B018


def test_an_empty_reference_to_the_signing_certificate_refers_to_nothing() -> None:
    """ESSCertIDv2 is a SEQUENCE of at least a digest (RFC 5035 section 4; found by `read-cose`: a token in a COSE header)."""
    party = pki.signer(pki.authority(pki.root()))
    attributes = [*usual_attributes(party, b"content")[:3], attribute(SIGNING_CERTIFICATE_V2, seq(seq(seq())))]
    data = envelope([signer_info(party, b"content", attributes=attributes)], content=b"content", certs=(party.certificate,))
    found = signed_data(data)
    assert signer_of(found.signers[0], found.certs)[1].digest_matches is not True
    assert read(Document.of(data)).signatures[0].signer_reference.digest_matches is not True
