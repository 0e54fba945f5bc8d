"""Fetching: what is missing is asked for where the certificates say, within rounds; what cannot be had is told and never an error."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.x509 import ocsp as x509_ocsp

from tests import pki
from tests.pki import CHECKED, CRL_URL, ISSUER_URL, OCSP_URL
from tests.verdicts import office
from trust.errors import KakuinError, Malformed, TooLarge, Unavailable
from trust.model import Cert, Document
from verifier import online, service
from verifier.bundle import Bundle
from verifier.online import REQUEST, informed, ocsp_request
from verifier.policy import load
from verifier.question import Question
from verifier.verdict import Conclusion

DAY_AFTER = CHECKED + pki.DAY
LISTS = office().crls()
ANSWER = pki.ocsp_response(office().tsu, office().ca)


class Web:
    """Addresses and what they answer, or raise."""

    def __init__(self, **changes: bytes | Exception) -> None:
        o = office()
        sound: dict[str, bytes | Exception] = {"crl": LISTS[1].der, "ocsp": ANSWER, "issuer": o.ca.certificate.der}
        answers = {**sound, **changes}
        self.answers = {CRL_URL: answers["crl"], OCSP_URL: answers["ocsp"], ISSUER_URL: answers["issuer"]}
        self.asked: list[str] = []
        self.posted: list[tuple[bytes, str]] = []

    def get(self, url: str) -> bytes:
        self.asked.append(url)
        found = self.answers.get(url, Unavailable(f"{url} answered 404"))
        if isinstance(found, Exception):
            raise found
        return found

    def post(self, url: str, body: bytes, media_type: str) -> bytes:
        self.posted.append((body, media_type))
        return self.get(url)


def question(**changes: Any) -> Question:
    """A token that carries nothing but its unit's certificate; the root's own list is at hand, which nobody can fetch from a bare root."""
    o = office()
    token = Document.of(pki.token(o.tsu, pki.Digest.of("sha256", b"x"), certificates=(o.tsu.certificate,)), "x.tst")
    asked = Question(token, DAY_AFTER, load("strict"), (o.root.certificate,), (Document.of(b"x", "x.txt"),), crls=(LISTS[0],))
    return replace(asked, **changes)


def conclusion(asked: Question) -> str:
    return service.judge(asked).conclusion


def test_issuer_and_status_are_fetched_and_the_verdict_follows() -> None:
    web, told = Web(), []
    asked = question()
    assert conclusion(asked) == Conclusion.INDETERMINATE
    known = informed(asked, web.get, web.post, told.append)
    assert conclusion(known) == Conclusion.PASSED
    assert known.certificates == (office().ca.certificate,)
    assert not known.unobtained
    assert web.asked == [ISSUER_URL, OCSP_URL], "an answer spares the list"
    assert told == [f"asking {ISSUER_URL}", f"asking {OCSP_URL}"]
    assert [media for _, media in web.posted] == [REQUEST]


def test_what_was_fetched_is_in_the_bundle() -> None:
    web = Web()
    known = informed(question(), web.get, web.post)
    again = Bundle.unpack(Bundle.of(known).pack()).question(known.document, known.detached)
    assert service.answer(again) == service.answer(known)
    assert service.answer(again)["conclusion"] == "passed"
    assert Bundle.of(known).digest != Bundle.of(question()).digest


def test_a_list_does_where_no_responder_answers() -> None:
    web = Web(ocsp=Unavailable(f"{OCSP_URL} answered 503"))
    known = informed(question(), web.get, web.post)
    assert conclusion(known) == Conclusion.PASSED
    assert CRL_URL in web.asked
    assert [(u.what, u.url) for u in known.unobtained] == [], "nothing is missing any more"


@pytest.mark.parametrize(
    "failure",
    [Unavailable("no route"), TooLarge("over 5 bytes"), Malformed("?"), b"", b"<html>not found</html>", b"\x30\x03\x0a\x01\x06"],
    ids=lambda f: str(f)[:12],
)
def test_what_cannot_be_had_is_told(failure: bytes | KakuinError) -> None:
    for changes, missing in (
        ({"issuer": failure}, [("issuer", ISSUER_URL)]),
        ({"ocsp": failure, "crl": failure}, [("ocsp", OCSP_URL), ("crl", CRL_URL)]),
    ):
        web = Web(**changes)  # type: ignore[arg-type]
        known = informed(question(), web.get, web.post)
        assert [(u.what, u.url) for u in known.unobtained] == missing
        assert all(u.about == office().tsu.certificate.id.hex() and u.why and "\n" not in u.why for u in known.unobtained)
        made = service.answer(known)
        assert made["conclusion"] == "indeterminate"
        assert [u["url"] for u in made["unobtained"]] == [url for _, url in missing]
        assert len(web.asked) == len(set(web.asked)), "asked again for what could not be had"


def test_another_authoritys_certificate_is_left_alone() -> None:
    stranger = pki.root("Somebody Else")
    web = Web(issuer=stranger.certificate.der)
    known = informed(question(), web.get, web.post)
    assert known.certificates == ()
    assert [u.why for u in known.unobtained] == ["answered with no certificate of the issuer"]


def test_of_many_issuers_only_those_of_the_name_are_taken() -> None:
    pem = b"".join(_pem(c) for c in (pki.root("Somebody Else").certificate, office().ca.certificate))
    web = Web(issuer=pem)
    assert informed(question(), web.get, web.post).certificates == (office().ca.certificate,)


def _pem(cert: Cert) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return cert.x509.public_bytes(Encoding.PEM)


def test_a_revocation_that_is_fetched_counts() -> None:
    revoked = pki.ocsp_response(office().tsu, office().ca, revoked_at=pki.SIGNED - pki.DAY)
    web = Web(ocsp=revoked)
    assert conclusion(informed(question(), web.get, web.post)) != Conclusion.PASSED


def test_status_that_is_too_old_is_fetched_anew() -> None:
    o = office()
    old = pki.ocsp(o.tsu, o.ca, this_update=pki.SIGNED - 30 * pki.DAY)
    web = Web()
    known = informed(question(certificates=(o.ca.certificate,), ocsps=(old,)), web.get, web.post)
    assert web.asked == [OCSP_URL]
    assert conclusion(known) == Conclusion.PASSED


@pytest.mark.parametrize(
    "change",
    [
        {"document": Document.of(b"signed by nobody")},
        {"detached": (Document.of(b"y", "x.txt"),)},
        {"certificates": (office().ca.certificate,), "crls": LISTS},
    ],
    ids=["nothing signed", "broken", "complete"],
)
def test_nothing_is_fetched_for_a_verdict_that_is_certain(change: dict[str, Any]) -> None:
    web = Web()
    asked = question(**change)
    assert informed(asked, web.get, web.post) == asked
    assert not web.asked


def test_rounds_end() -> None:
    """Each answer leads to the next address, for ever."""
    web = Web()
    served: list[str] = []

    def get(url: str) -> bytes:
        served.append(url)
        return LISTS[0].der if url.endswith(".crl") else office().ca.certificate.der

    informed(question(anchors=()), get, web.post)
    assert len(served) <= online.ROUNDS * 3


def test_the_request_is_what_libraries_read() -> None:
    o = office()
    read = x509_ocsp.load_der_ocsp_request(ocsp_request(o.tsu.certificate, o.ca.certificate))
    assert read.serial_number == o.tsu.certificate.serial
    built = x509_ocsp.OCSPRequestBuilder().add_certificate(o.tsu.certificate.x509, o.ca.certificate.x509, _sha1())
    assert built.build().public_bytes(_der()) == ocsp_request(o.tsu.certificate, o.ca.certificate)
    assert not list(read.extensions), "a nonce keeps caches from answering"


def _sha1() -> Any:
    from cryptography.hazmat.primitives.hashes import SHA1

    return SHA1()


def _der() -> Any:
    from cryptography.hazmat.primitives.serialization import Encoding

    return Encoding.DER


def test_the_parent_of_a_sandbox_can_do_the_fetching() -> None:
    from trust.edge.sandbox import Sandbox

    web = Web()
    calls: dict[str, Callable[..., Any]] = {"get": web.get, "post": web.post}
    with Sandbox(["verifier.online", "verifier.formats.tst"], jobs=1) as sandbox:
        made = sandbox.run("verifier.online:answer", question(), calls=calls, returns=dict)
        assert made["conclusion"] == "passed"
        web.answers = {}
        made = sandbox.run("verifier.online:answer", question(), calls=calls, returns=dict)
        assert [u["what"] for u in made["unobtained"]] == ["issuer"]
