"""What a client believes of an authority's answer: everything that makes it another answer is noticed."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from tests import pki, tsu
from trust.codecs import tsp, tst
from trust.codecs.asn1 import tlv
from trust.codecs.tsp import Failure
from trust.errors import KakuinError, Malformed, Unacceptable, Unavailable
from trust.model import Digest
from tsa import client, issue
from tsa.client import RemoteStamper, ask, believe

ASKED = ask(tsu.DIGEST, 12345)
UNIT = tsu.unit()
URL = "https://tsa.example.test/tsa"


def answer(request: bytes, unit: issue.Unit = UNIT) -> bytes:
    return issue.respond(request, unit, datetime(2026, 11, 21, tzinfo=UTC), 7).der


def test_an_answer_to_the_request_is_believed() -> None:
    token = believe(answer(ASKED.der), ASKED)
    assert (token.imprint, token.nonce, token.serial) == (tsu.DIGEST, 12345, 7)


@pytest.mark.parametrize("key", ["p384", "rsa2048", "ed25519", "ml-dsa-65"])
def test_of_every_kind_of_key(key: str) -> None:
    assert believe(answer(ASKED.der, tsu.unit(key)), ASKED).serial == 7


OTHERS: dict[str, tuple[bytes, type[KakuinError], str]] = {
    "another digest": (answer(tsp.encode_request(Digest.of("sha256", b"other"), nonce=12345)), Unacceptable, "another digest"),
    "the digest by another algorithm": (
        answer(tsp.encode_request(Digest("sha3_256", tsu.DIGEST.value), nonce=12345)),
        Unacceptable,
        "another digest",
    ),
    "another nonce": (answer(tsp.encode_request(tsu.DIGEST, nonce=12346)), Unacceptable, "another nonce"),
    "no nonce": (answer(tsp.encode_request(tsu.DIGEST)), Unacceptable, "another nonce"),
    "no certificates": (answer(tsp.encode_request(tsu.DIGEST, nonce=12345, cert_req=False)), Malformed, "missing"),
    "granted without a token": (tlv(0x30, tlv(0x30, b"\x02\x01\x00")), Malformed, "sent none"),
    "granted with something else": (tsp.granted(tlv(0x30, b"\x05\x00")), Malformed, "."),
    "refused": (tsp.rejection(Failure.BAD_ALG, "no"), Unacceptable, "badAlg: no"),
    "not now": (tsp.rejection(Failure.TIME_NOT_AVAILABLE, "later"), Unavailable, "timeNotAvailable: later"),
    "broken": (tsp.rejection(Failure.SYSTEM_FAILURE, "x"), Unavailable, "systemFailure"),
    "waiting": (tlv(0x30, tlv(0x30, b"\x02\x01\x03")), Unacceptable, "status 3"),
    "a web page": (b"<!doctype html>", Malformed, "."),
    "nothing": (b"", Malformed, "."),
}


@pytest.mark.parametrize("name", OTHERS)
def test_any_other_answer_is_not(name: str) -> None:
    data, kind, words = OTHERS[name]
    with pytest.raises(kind, match=words) as caught:
        believe(data, ASKED)
    assert type(caught.value) is kind


def test_another_policy_is_not_believed() -> None:
    asked = ask(tsu.DIGEST, 1, "1.2.3.4.2")
    assert believe(answer(asked.der), asked).policy == "1.2.3.4.2"
    with pytest.raises(Unacceptable, match="another policy"):
        believe(answer(replace(asked, der=ask(tsu.DIGEST, 1).der).der), asked)


def forged(private: Any = None, reference: Any = None, purpose: Any = None, said: bytes = b"") -> bytes:
    """A token made without the authority's care: another key, another certificate bound, another purpose, another content signed."""
    party = tsu.party() if purpose is None else pki.certify("Seal", tsu.issuers()[1], purposes=purpose, purposes_critical=True)
    signer = tst.Signer.of(party.certificate, party.chain, party.algorithm)
    if reference is not None:
        other = tst.Signer.of(reference, (), party.algorithm)
        signer = replace(signer, before=other.before, after=other.after)
    request = tsp.decode_request(ASKED.der)
    info = tst.tst_info(
        policy=tst.identifier("1.2.3"),
        imprint=request.imprint,
        serial=1,
        gen_time=tst.generalized_time(tsu.NOW, 3),
        accuracy=b"",
        ordering=False,
        nonce=request.nonce,
        tail=b"",
    )
    attributes = signer.attributes(said or info)
    signature = replace(party, private=private or party.private).sign(attributes)
    return tsp.granted(signer.token(info, attributes, signature, certificates=True))


def test_the_forge_makes_sound_tokens_where_nothing_is_wrong() -> None:
    assert believe(forged(), ASKED).serial == 1


def test_another_keys_signature_is_not_believed() -> None:
    with pytest.raises(Malformed, match="does not verify"):
        believe(forged(private=pki.private_key("p256")), ASKED)


def test_a_certificate_that_is_not_bound_is_not_believed() -> None:
    with pytest.raises(Malformed):
        believe(forged(reference=tsu.party("p384").certificate), ASKED)


def test_a_signature_over_another_content_is_not_believed() -> None:
    with pytest.raises(Malformed, match="does not verify"):
        believe(forged(said=b"something else"), ASKED)


@pytest.mark.parametrize("purpose", [(), (ExtendedKeyUsageOID.CODE_SIGNING,), (ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.CODE_SIGNING)])
def test_a_certificate_for_other_purposes_is_not_believed(purpose: tuple[Any, ...]) -> None:
    with pytest.raises(Unacceptable, match="not for time-stamping"):
        believe(forged(purpose=purpose), ASKED)


SOUND = answer(ASKED.der)


@given(st.integers(0, len(SOUND) - 1), st.integers(1, 255))
def test_a_damaged_answer_is_an_error_or_the_same_token(at: int, mask: int) -> None:
    """Whatever bit flips: no other digest, nonce or serial is believed. (Chain certificates and the response's own status are not signed.)"""
    data = bytearray(SOUND)
    data[at] ^= mask
    try:
        token = believe(bytes(data), ASKED)
    except KakuinError:
        return
    assert (token.imprint, token.nonce, token.serial, token.gen_time) == (tsu.DIGEST, 12345, 7, datetime(2026, 11, 21, tzinfo=UTC))


def test_a_remote_stamper_sends_fresh_nonces_and_returns_the_token() -> None:
    sent: list[tuple[str, bytes, str]] = []

    def post(url: str, body: bytes, media_type: str) -> bytes:
        sent.append((url, body, media_type))
        return answer(body)

    stamp = RemoteStamper(URL, post)
    der = [stamp(tsu.DIGEST), stamp(tsu.DIGEST)]
    assert all(d[:1] == b"\x30" for d in der)
    assert {(url, media) for url, _, media in sent} == {(URL, "application/timestamp-query")}
    nonces = [tsp.decode_request(body).nonce for _, body, _ in sent]
    assert nonces[0] != nonces[1]
    assert all(tsp.decode_request(body).cert_req for _, body, _ in sent)


def test_an_old_answer_is_noticed() -> None:
    recorded: list[bytes] = []

    def replay(_url: str, body: bytes, _media: str) -> bytes:
        recorded.append(answer(body))
        return recorded[0]

    stamp = RemoteStamper(URL, replay)
    stamp(tsu.DIGEST)
    with pytest.raises(Unacceptable, match="may be an old one"):
        stamp(tsu.DIGEST)


@pytest.mark.parametrize(
    "url", ["https://tsa.example.test", "http://localhost:8080/tsa", "http://127.0.0.1/tsa", "http://127.9.9.9", "http://[::1]:80/tsa"]
)
def test_addresses_that_are_private(url: str) -> None:
    RemoteStamper(url, lambda *_: b"")


@pytest.mark.parametrize(
    "url",
    [
        "http://tsa.example.test/tsa",
        "http://10.0.0.1/",
        "http://localhost.evil.test/",
        "ftp://localhost/",
        "file:///etc/passwd",
        "tsa",
        "",
        "https://",
        "http://[::1",
    ],
)
def test_addresses_that_are_not(url: str) -> None:
    with pytest.raises(Unacceptable):
        RemoteStamper(url, lambda *_: b"")


def test_over_a_real_socket(tmp_path: Any) -> None:
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            assert self.headers["content-type"] == "application/timestamp-query"
            made = answer(body) if self.path == "/tsa" else bytes(tsp.MAX_RESPONSE + 1)
            self.send_response(200 if self.path in ("/tsa", "/big") else 404)
            self.end_headers()
            self.wfile.write(made)

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}"
        assert client.remote_stamper(base + "/tsa")(tsu.DIGEST)
        for path in ("/big", "/missing"):
            with pytest.raises(KakuinError):
                client.remote_stamper(base + path)(tsu.DIGEST)
        server.shutdown()
    with pytest.raises(Unavailable):
        client.remote_stamper(base + "/tsa")(tsu.DIGEST)
