"""What fuzzing found, one test each, made anew by the tests' own makers."""

import pytest

from tests import pki
from trust.errors import Malformed
from trust.model import Crl


def test_a_list_of_an_unknown_version_is_malformed() -> None:
    """cryptography has an exception of its own for it (found by `read-jades`: crlVals of a JSON signature)."""
    der = pki.crl(pki.root()).der
    version = der.index(b"\x02\x01\x01\x30")
    assert Crl(der).x509.last_update_utc
    with pytest.raises(Malformed):
        Crl(der[:version] + b"\x02\x01\x36" + der[version + 3 :]).x509  # noqa: B018
