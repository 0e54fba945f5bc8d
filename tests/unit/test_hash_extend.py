"""Raising and renewing without sending the document: the door with its two effects, and what is made with them where the document is."""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from eseal.demonstration import pdf
from eseal.extend import Wanted
from eseal.extend_material import Known
from eseal.extend_service import Asked
from eseal.hashes import api as hash_api
from eseal.hashes import extend_api as hash_extend_api
from eseal.hashes.client import There
from eseal.hashes.commands import extended_at
from eseal.hashes.known import EXTENSIONS
from eseal.service import here
from eseal.spec import Level
from eseal.store import ApiKeys, Repeats
from tests import pki as office
from tests.pki import SIGNED
from tests.sealing import CSV, imprint, lists
from tests.unit.test_hash_client import Liar, sealed
from tests.unit.test_hashes import NUMBER, PKI, Desk, checked, sealer
from trust.edge.web import application
from trust.errors import KakuinError, Unacceptable, Unavailable
from trust.model import Cert, Digest, Document
from trust.ports import Status
from verifier.service import Verifier, brief

STRANGER = office.root("Other Root")


def status(chain: Sequence[Cert]) -> Status:
    """Of this installation's certificates alone."""
    ours = (PKI.root.certificate, PKI.ca.certificate)
    if any(c.issuer not in [o.subject for o in ours] for c in chain):
        raise Unavailable("certificate was not issued here: its status is not known here")
    return Status(crls=lists(PKI), certs=ours)


def extending_desk(folder: Path) -> Desk:
    """The doors to sealing and to extending."""
    made = Desk(folder)
    keys = ApiKeys(made.engine, lambda: SIGNED)
    sealing = replace(sealer(made.recorded), status=status)
    doors = [hash_api.router(sealing, keys, Repeats(made.engine, lambda: SIGNED)), hash_extend_api.router(sealing, keys)]
    made.app = application("Kakuin", doors, body_limit=1 << 21)
    return made


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = extending_desk(tmp_path)
    yield made
    made.engine.dispose()


class Here:
    """eseal.hashes.commands.Bench in this very process, a little after the day of sealing."""

    run = staticmethod(here)

    def examined(self, document: Document, detached: Sequence[Document] = (), known: Known | None = None) -> Mapping[str, Any]:
        question = Verifier(lambda: SIGNED + timedelta(minutes=1)).question(document, detached)
        if known is not None:
            question = replace(question, anchors=known.anchors, certificates=known.certificates, crls=known.crls, ocsps=known.ocsps)
        return brief(question)


def ask(desk: Desk, body: Any, **headers: str) -> httpx.Response:
    said = {"Content-Type": "application/json", "Authorization": f"Bearer {desk.key}", **headers}
    with httpx.Client(transport=desk.transport, base_url="http://test") as client:
        return client.post(EXTENSIONS, content=body if isinstance(body, bytes) else json.dumps(body).encode(), headers=said)


def text(cert: Cert) -> str:
    return base64.b64encode(cert.der).decode()


def test_a_token_over_a_digest_with_what_it_needs(desk: Desk) -> None:
    told = ask(desk, {"imprint": {"sha512": "ab" * 64}}).json()
    token = base64.b64decode(told["token"])
    assert imprint(token) == Digest("sha512", b"\xab" * 64)
    assert {Cert(base64.b64decode(c)) for c in told["values"]["certificates"]} >= {PKI.tsu.certificate, PKI.root.certificate}
    assert [base64.b64decode(c) for c in told["values"]["crls"]] == [c.der for c in lists(PKI)]
    [entry] = desk.recorded
    assert (entry["event"], entry["hash_only"], entry["imprint"], entry["organisation"]) == ("extension", True, "sha512:" + "ab" * 64, NUMBER)
    assert entry["stamps"] == [Digest.of("sha256", token).value.hex()]


def test_the_status_of_certificates_is_recorded_nowhere(desk: Desk) -> None:
    told = ask(desk, {"certificates": [text(PKI.signer.certificate), text(PKI.tsu.certificate)]}).json()
    assert "token" not in told
    assert [base64.b64decode(c) for c in told["values"]["crls"]] == [c.der for c in lists(PKI)]
    assert desk.recorded == []
    assert desk.there.status((PKI.signer.certificate,)).crls == lists(PKI)


REFUSED: dict[str, tuple[Any, int, str]] = {
    "nothing": ({}, 400, "the body is an object with imprint, certificates, or both, each once"),
    "no object": (b"[]", 400, "the body is an object with imprint, certificates, or both, each once"),
    "more": ({"imprint": {"sha256": "00" * 32}, "level": "B-T"}, 400, "the body is an object with imprint, certificates, or both, each once"),
    "twice": (b'{"certificates": [], "certificates": []}', 400, "the body is an object with imprint, certificates, or both, each once"),
    "no list": ({"certificates": "x"}, 400, "certificates is a list"),
    "no base64": ({"certificates": ["*"]}, 400, "certificates is base64"),
    "no text": ({"certificates": [1]}, 400, "certificates is base64"),
    "many": ({"certificates": ["AA=="] * 33}, 413, "one request asks about at most 32 certificates, got 33"),
    "sha1": ({"imprint": {"sha1": "00" * 20}}, 422, "digests are called sha256, sha384, sha512, sha3-256, sha3-384, sha3-512"),
    "stranger": (
        {"certificates": [text(STRANGER.certificate)], "imprint": {"sha256": "00" * 32}},
        503,
        "B-LT needs revocation data and there is none: certificate was not issued here: its status is not known here",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_each_bad_request_has_its_problem(desk: Desk, case: str) -> None:
    body, status_code, detail = REFUSED[case]
    answer = ask(desk, body)
    assert (answer.status_code, answer.json()["detail"]) == (status_code, detail)
    assert desk.recorded == []


def test_what_is_no_certificate_is_malformed(desk: Desk) -> None:
    assert ask(desk, {"certificates": ["AAAA"]}).status_code in (400, 422, 503)
    assert ask(desk, {"imprint": {"sha256": "00" * 32}}, Authorization="Bearer kakuin_x").status_code == 401
    assert ask(desk, b"x", **{"Content-Type": "text/plain"}).status_code == 415
    assert desk.recorded == []


def test_the_description_is_of_this_door(desk: Desk) -> None:
    operation = desk.app.openapi()["paths"][EXTENSIONS]["post"]
    answer = ask(desk, operation["requestBody"]["content"]["application/json"]["example"])
    assert set(answer.json()) == set(operation["responses"]["200"]["content"]["application/json"]["example"])
    assert set(operation["responses"]) >= {"200", "400", "401", "403", "413", "415", "422", "503"}


def raised(there: There, data: bytes, level: Level = Level.B_LTA, detached: Sequence[Document] = (), **more: Any) -> Any:
    made = extended_at(there, Document.of(data, "a"), Asked(Wanted(level), tuple(detached), **more), Here(), lambda: SIGNED)
    return made, made.document.read(1 << 26)


FORMS = ["pades", "cades", "xades", "jades", "asic-s-cades", "asic-s-xades", "asic-e-cades", "asic-e-xades"]


@pytest.mark.parametrize("form", FORMS)
def test_what_was_made_from_digests_is_renewed_so(desk: Desk, form: str) -> None:
    document = Document.of(pdf(), "a.pdf") if form == "pades" else Document.of(CSV, "data.csv")
    _, data = sealed(desk.there, [document], {"format": form, "level": "B-LTA"})
    before = len(desk.asked)
    beside = [document] if form in ("cades", "xades", "jades") else []
    made, renewed = raised(desk.there, data, detached=beside)
    assert made.after == made.before and made.conclusion == "passed"
    # One archive time-stamp more, which is intact.
    reports = [Here().examined(Document.of(d), beside) for d in (data, renewed)]
    assert [len(r["timestamps"]) for r in reports] == [2, 3]
    assert all(s["intact"] for s in reports[1]["timestamps"])
    assert checked(Document.of(renewed), beside, b"").passed
    assert (made.index, desk.recorded[-1]["event"]) == (7, "extension")
    # Digests and certificates are sent, and no byte of the document.
    assert all(set(json.loads(sent)) <= {"imprint", "certificates"} for sent in desk.asked[before:] if sent)


@pytest.mark.parametrize("level", [Level.B_T, Level.B_LT, Level.B_LTA])
@pytest.mark.parametrize("form", ["pades", "xades"])
def test_a_seal_is_raised_to_each_level(desk: Desk, form: str, level: Level) -> None:
    document = Document.of(pdf(), "a.pdf") if form == "pades" else Document.of(CSV, "data.csv")
    _, data = sealed(desk.there, [document], {"format": form, "level": "B-B"})
    beside = [] if form == "pades" else [document]
    made, _ = raised(desk.there, data, level, beside)
    assert (made.before[0][-1], made.after[0].rpartition("-")[2]) == ("B", level.removeprefix("B-"))


def test_what_failed_is_not_archived(desk: Desk) -> None:
    document = Document.of(CSV, "data.csv")
    _, data = sealed(desk.there, [document], {"format": "cades", "level": "B-LT"})
    with pytest.raises(Unacceptable, match="what failed is not extended"):
        raised(desk.there, data, detached=[Document.of(CSV + b"1", "data.csv")])
    assert [e.get("event") for e in desk.recorded] == [None]


def test_a_token_over_something_else_is_not_used(desk: Desk) -> None:
    document = Document.of(CSV, "data.csv")
    _, data = sealed(desk.there, [document], {"format": "cades", "level": "B-LT"})
    other = base64.b64encode(office.token(PKI.tsu, Digest.of("sha256", b"another"), SIGNED)).decode()
    liar = Liar(desk, lambda path, told: {**told, "token": other} if path == EXTENSIONS and "token" in told else told)
    with pytest.raises(Unavailable, match="over something else than what was asked for"):
        raised(liar.there(desk), data, detached=[document])


def test_whoever_has_no_key_gets_nothing(desk: Desk) -> None:
    _, data = sealed(desk.there, [Document.of(CSV, "data.csv")], {"format": "asic-s-cades", "level": "B-LT"})
    with pytest.raises(KakuinError, match="the API key is unknown"):
        raised(replace(desk.there, api_key="kakuin_x"), data)
