"""Hash-only sealing in two steps, as a client does it that has none of our code: what is hashed, and what a wrong digest is worth."""

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from eseal.formats import cms
from eseal.hashes import api as hash_api
from eseal.hashes import steps as hash_steps
from eseal.hashes.known import PATH
from eseal.service import Finding
from eseal.spec import Format, Level, Packaging, Spec
from eseal.store import REPEAT_FOR, ApiKeys, Repeats
from tests.pki import SIGNED
from tests.sealing import CSV, imprint, lists, opened
from tests.unit.test_hashes import NUMBER, ONE, PKI, SHA256, Desk, checked, checked_inner, known, sealer
from trust.edge.sandbox import Sandbox
from trust.edge.web import application
from trust.errors import KakuinError, NotFound, Unacceptable, Unavailable
from trust.model import Cert, Digest, Document
from trust.ports import Status
from verifier.service import Verifier

RANGE = b"%PDF-1.7 all but the signature itself"
OF_RANGE = {"name": "contract.pdf", "digests": {"sha256": hashlib.sha256(RANGE).hexdigest()}}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.engine.dispose()


def first(desk: Desk, form: str, level: str = "B-LTA", documents: Sequence[Any] = (ONE,), **more: str) -> Any:
    answer = desk.post({"documents": list(documents), "format": form, "level": level, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def second(desk: Desk, told: Any, digest: bytes | str, **headers: str) -> httpx.Response:
    text = digest if isinstance(digest, str) else digest.hex()
    return step(desk, told["next"]["address"], {"imprint": {told["next"]["digest"]: text}}, **headers)


def step(desk: Desk, address: str, body: Any, **headers: str) -> httpx.Response:
    said = {"Content-Type": "application/json", "Authorization": f"Bearer {desk.key}", **headers}
    with httpx.Client(transport=desk.transport, base_url="http://test") as client:
        return client.post(address, content=body if isinstance(body, bytes) else json.dumps(body).encode(), headers=said)


def hashed(told: Any, *documents: bytes) -> bytes:
    """`(cat documents; base64 -d) | sha256sum`."""
    return hashlib.sha256(b"".join((*documents, base64.b64decode(told["next"]["then"])))).digest()


BOTH = [({}, "xades"), ({}, "jades"), ({"components": "clear"}, "jades"), ({"serialization": "general"}, "jades"), ({"digest": "sha512"}, "xades")]


@pytest.mark.parametrize(("more", "form"), BOTH, ids=["xades", "jades", "jades-clear", "jades-general", "xades-sha512"])
def test_an_archive_time_stamp_from_a_digest(desk: Desk, more: dict[str, str], form: str) -> None:
    one = {**ONE, "digests": {d: hashlib.new(d, CSV).hexdigest() for d in ("sha256", "sha512")}}
    told = first(desk, form, documents=[one], **more)
    assert (told["level"], told["asked_level"], told["format"], told["next"]["documents"]) == ("B-LT", "B-LTA", form, ["data.csv"])
    signature, document = base64.b64decode(told["signature"]), Document.of(CSV, "data.csv")
    assert checked(Document.of(signature), [document], b"").level.endswith("-BASELINE-LT")
    made = hashlib.new(told["next"]["digest"], CSV + base64.b64decode(told["next"]["then"])).digest()
    answer = second(desk, told, made)
    assert answer.status_code == 200, answer.text
    found = checked(Document.of(answer.content), [document], b"")
    assert (found.passed, found.level.rpartition("-")[2]) == (True, "LTA")
    assert answer.headers["kakuin-level"] == "B-LTA"
    assert all(intact(answer.content, document))
    # The second step is an entry of its own, and says what was told.
    seal, extension = desk.recorded
    assert (seal["level"], seal["hash_only"], extension["event"], extension["level"]) == ("B-LT", True, "extension", "B-LTA")
    assert (extension["seal"], extension["document"], extension["hash_only"]) == (7, SHA256, True)
    assert extension["imprint"] == f"{told['next']['digest']}:{made.hex()}"
    assert extension["extended"] == hashlib.sha256(answer.content).hexdigest()


def intact(sealed: bytes, *documents: Document) -> list[bool]:
    """Of each time-stamp."""
    from verifier.service import answer

    verifier = Verifier(lambda: SIGNED + timedelta(minutes=1), anchors=(PKI.root.certificate,))
    report = answer(verifier.question(Document.of(sealed), documents, crls=lists(PKI)))
    return [s["intact"] for s in report["timestamps"]]


@pytest.mark.parametrize("form", ["xades", "jades"])
def test_several_documents_are_hashed_in_their_order(desk: Desk, form: str) -> None:
    other = {"name": "b.csv", "digests": {"sha256": hashlib.sha256(b"other").hexdigest()}}
    told = first(desk, form, documents=[ONE, other])
    assert told["next"]["documents"] == ["data.csv", "b.csv"]
    answer = second(desk, told, hashed(told, CSV, b"other"))
    given = [Document.of(CSV, "data.csv"), Document.of(b"other", "b.csv")]
    assert checked(Document.of(answer.content), given, b"").level.endswith("-LTA")
    assert all(intact(answer.content, *given))


@pytest.mark.parametrize("form", ["xades", "jades"])
def test_a_wrong_digest_gives_a_time_stamp_that_is_broken(desk: Desk, form: str) -> None:
    told = first(desk, form)
    answer = second(desk, told, hashlib.sha256(b"something else").digest())
    # Here nobody can know; whoever has the document does.
    assert answer.status_code == 200
    assert intact(answer.content, Document.of(CSV, "data.csv")) == [True, False]
    assert not all(intact(answer.content, Document.of(CSV, "data.csv")))


def test_the_signature_of_a_pdf_from_the_digest_of_its_byte_range(desk: Desk) -> None:
    answer = desk.post({"documents": [OF_RANGE], "format": "pades", "role": "部長"})
    assert answer.status_code == 200, answer.text
    assert (answer.headers["kakuin-level"], answer.headers["content-type"]) == ("B-T", "application/pkcs7-signature")
    assert 'filename="contract.pdf.p7s"' in answer.headers["content-disposition"]
    found = opened(answer.content)
    found.check(PKI.signer, RANGE)
    # EN 319 142-1 clause 6.3: the PDF's /M says the time.
    assert "signing_time" not in found.signed
    assert set(found.unsigned) == {"signature_time_stamp_token"}
    assert not checked_inner(Document.of(answer.content), [Document.of(RANGE + b"1")], found.info["signature"].native).passed
    assert (desk.recorded[0]["document"], desk.recorded[0]["format"]) == (OF_RANGE["digests"]["sha256"], "pades")


def test_a_pdf_gets_values_and_a_document_time_stamp(desk: Desk) -> None:
    told = first(desk, "pades", "B-LT", [OF_RANGE])
    assert (told["level"], told["asked_level"], "next" in told) == ("B-T", "B-LT", False)
    values = told["values"]
    assert {Cert(base64.b64decode(c)) for c in values["certificates"]} >= {PKI.signer.certificate, PKI.ca.certificate, PKI.tsu.certificate}
    assert [base64.b64decode(c) for c in values["crls"]] == [c.der for c in lists(PKI)]
    told = first(desk, "pades", "B-LTA", [OF_RANGE])
    digest = hashlib.sha256(b"the next byte range").digest()
    answer = second(desk, told, digest)
    assert answer.status_code == 200, answer.text
    assert (answer.headers["kakuin-format"], answer.headers["kakuin-level"]) == ("pades", "B-LTA")
    given = answer.json()
    token = base64.b64decode(given["token"])
    assert imprint(token) == Digest("sha256", digest)
    assert len(token) <= told["next"]["room"]
    assert given["values"] == {"certificates": [], "crls": [], "ocsps": []}
    assert [e.get("level") for e in desk.recorded] == ["B-T", "B-T", "B-LTA"]


def test_a_container_gets_a_token_over_its_archive_manifest(desk: Desk) -> None:
    told = first(desk, "asic-e-cades")
    assert (told["level"], told["asked_level"], "values" in told) == ("B-LT", "B-LTA", False)
    assert checked(Document.of(base64.b64decode(told["signature"])), [Document.of(CSV)], b"").level == "CAdES-BASELINE-LT"
    assert imprint(base64.b64decode(second(desk, told, bytes(32)).json()["token"])) == Digest("sha256", bytes(32))


def test_the_same_digest_gets_the_same_answer_and_another_one_none(desk: Desk) -> None:
    told = first(desk, "xades")
    right = hashed(told, CSV)
    once, again = second(desk, told, right), second(desk, told, right)
    assert (once.status_code, once.content, len(desk.recorded)) == (200, again.content, 2)
    assert {k: v for k, v in once.headers.items() if k.startswith("kakuin")} == {k: v for k, v in again.headers.items() if k.startswith("kakuin")}
    other = second(desk, told, bytes(32))
    assert (other.status_code, other.json()["detail"]) == (409, "this second step was made with another digest: a seal has one")
    assert len(desk.recorded) == 2


def test_a_repeated_first_step_has_the_same_second_one(desk: Desk) -> None:
    bodies = [desk.post({"documents": [ONE], "format": "xades", "level": "B-LTA"}, Idempotency_Key="one").json() for _ in range(2)]
    assert bodies[0] == bodies[1]
    assert len(desk.recorded) == 1
    assert second(desk, bodies[1], hashed(bodies[1], CSV)).status_code == 200
    pdf = [desk.post({"documents": [OF_RANGE], "format": "pades"}, Idempotency_Key="two") for _ in range(2)]
    assert pdf[0].content == pdf[1].content
    assert pdf[0].headers["content-disposition"] == pdf[1].headers["content-disposition"]
    boxes = [desk.post({"documents": [ONE], "format": "asic-e-cades", "level": "B-LTA"}, Idempotency_Key="three").json() for _ in range(2)]
    assert boxes[0] == boxes[1]


def test_a_stranger_finds_nothing(desk: Desk) -> None:
    told = first(desk, "xades")
    keys = ApiKeys(desk.engine, lambda: SIGNED)
    for organisation in (NUMBER, "9876543210987"):
        stranger = keys.create(organisation)[0]
        answer = second(desk, told, bytes(32), Authorization=f"Bearer {stranger}")
        assert (answer.status_code, "no second step of that name" in answer.json()["detail"]) == (404, True)
    assert second(desk, told, bytes(32), Authorization="Bearer kakuin_x").status_code == 401
    assert step(desk, f"{PATH}/{'0' * 32}", {"imprint": {"sha256": "00" * 32}}).status_code == 404
    assert len(desk.recorded) == 1


def test_after_a_day_it_is_closed(desk: Desk) -> None:
    told = first(desk, "xades")
    now = [SIGNED + REPEAT_FOR - timedelta(seconds=1)]
    repeats = Repeats(desk.engine, lambda: now[0])
    desk.app = application("Kakuin", [hash_api.router(sealer(desk.recorded), ApiKeys(desk.engine, lambda: SIGNED), repeats)], body_limit=1 << 21)
    now[0] += timedelta(seconds=1)
    assert second(desk, told, bytes(32)).status_code == 404
    now[0] -= timedelta(seconds=1)
    assert second(desk, told, bytes(32)).status_code == 200


WRONG: dict[str, tuple[Any, int, str]] = {
    "no json": (b"{", 400, "the body is not a JSON object in UTF-8"),
    "nothing": ({}, 400, "the body is an object with imprint alone"),
    "more": ({"imprint": {"sha256": "00" * 32}, "level": "B-B"}, 400, "the body is an object with imprint alone"),
    "twice": (b'{"imprint": {"sha256": "aa"}, "imprint": {"sha256": "aa"}}', 400, "the body is an object with imprint alone"),
    "no object": ({"imprint": "00"}, 400, "imprint is a JSON object that is not empty"),
    "two": ({"imprint": {"sha256": "00" * 32, "sha512": "00" * 64}}, 422, "one digest is expected, got 2"),
    "short": ({"imprint": {"sha256": "00"}}, 400, "a sha256 digest is a text, hexadecimal or base64"),
    "other": ({"imprint": {"sha3-512": "00" * 64}}, 422, "a sha256 digest is awaited, got sha3-512"),
}


@pytest.mark.parametrize("case", WRONG)
def test_each_bad_second_step_has_its_problem(desk: Desk, case: str) -> None:
    told = first(desk, "jades")
    body, status, detail = WRONG[case]
    answer = step(desk, told["next"]["address"], body)
    assert (answer.status_code, answer.json()["detail"]) == (status, detail)
    assert len(desk.recorded) == 1
    # Nothing is used up.
    assert second(desk, told, bytes(32)).status_code == 200


def test_what_is_too_much_to_be_kept_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hash_api, "LARGEST_STATE", 1000)
    answer = desk.post({"documents": [ONE], "format": "xades", "level": "B-LTA"})
    assert (answer.status_code, "cannot be kept for a second step: 1000 bytes" in answer.json()["detail"]) == (413, True)


def test_the_key_is_described_for_who_prepares(desk: Desk) -> None:
    def asked(query: str) -> Any:
        with httpx.Client(transport=desk.transport, base_url="http://test") as client:
            return client.get(PATH + query, headers={"Authorization": f"Bearer {desk.key}"})

    told = asked("?format=pades&level=B-LTA").json()
    assert [Cert(base64.b64decode(c)) for c in told["certificates"]] == [PKI.signer.certificate, *PKI.signer.chain]
    assert base64.b64decode(told["algorithm"]) == cms.algorithm_identifier(PKI.signer.algorithm)
    assert (told["digest"], told["digests"], told["organisation"], told["warnings"]) == ("sha256", ["sha256"], NUMBER, [])
    assert told["room"] > len(base64.b64decode(first(desk, "pades", documents=[OF_RANGE])["signature"]))
    assert asked("?digest=sha512").json()["digests"] == ["sha512", "sha256"]
    assert "room" not in asked("?format=xades").json()
    assert asked("?organisation=9876543210987").status_code == 403
    assert asked("?levle=B-B").status_code == 422


def test_the_description_is_of_these_doors(desk: Desk) -> None:
    paths = desk.app.openapi()["paths"]
    operation = paths[PATH + "/{step}"]["post"]
    answer = step(desk, first(desk, "xades")["next"]["address"], operation["requestBody"]["content"]["application/json"]["example"])
    assert answer.status_code == 200, answer.text
    assert set(operation["responses"]) >= {"200", "400", "401", "403", "404", "409", "413", "415", "422", "503"}
    told = operation["responses"]["200"]["content"]["application/json"]["example"]
    assert set(told) == set(second(desk, first(desk, "pades", documents=[OF_RANGE]), bytes(32)).json())
    shown = paths[PATH]["post"]["responses"]["200"]["content"]["application/json"]["example"]
    assert (set(shown), set(shown["next"])) == (set(found := first(desk, "xades")), set(found["next"]))


def spec(form: Format, level: Level = Level.B_LTA, **more: Any) -> Spec:
    packaging = {Format.PADES: Packaging.ENVELOPED, Format.ASIC_E_CADES: Packaging.ATTACHED}.get(form, Packaging.DETACHED)
    return Spec(form, level, packaging, **more)


def away(_: Any) -> Any:
    raise Unavailable("it does not answer")


@pytest.mark.parametrize(("form", "level"), list(hash_steps.COURSES), ids=str)
def test_a_service_that_is_away_is_told_of(form: Format, level: Level) -> None:
    recorded: list[Any] = []
    with pytest.raises(Unavailable, match="needs a time-stamp and the authority gives none"):
        hash_steps.begin(replace(sealer(recorded), stamp=away), (known(),), spec(form, level), NUMBER)
    with pytest.raises(Unavailable, match="needs revocation data and there is none"):
        hash_steps.begin(replace(sealer(recorded), status=away), (known(),), spec(form, level), NUMBER)
    assert [e["level"] for e in recorded] == (["B-T"] if form is Format.PADES else [])
    opened = hash_steps.begin(sealer(), (known(),), spec(form, level), NUMBER).open
    if opened is not None:
        with pytest.raises(Unavailable, match="B-LTA needs a time-stamp"):
            hash_steps.finish(replace(sealer(recorded), stamp=away), opened, Digest("sha256", bytes(32)))
        assert "extension" not in [e.get("event") for e in recorded]


@pytest.mark.parametrize(("form", "level"), list(hash_steps.COURSES), ids=str)
def test_less_is_reached_only_where_that_was_allowed(form: Format, level: Level) -> None:
    made = hash_steps.begin(replace(sealer(), stamp=away), (known(),), spec(form, level, degrade=Level.B_B), NUMBER)
    assert (made.sealed.spec.level, made.sealed.asked, made.open, made.sealed.degraded) == (Level.B_B, level, None, True)
    made = hash_steps.begin(replace(sealer(), status=away), (known(),), spec(form, level, degrade=Level.B_T), NUMBER)
    assert (made.sealed.spec.level, made.open, made.found) == (Level.B_T, None, Status())
    assert any("B-T and not at" in w for w in made.sealed.warnings)


def test_what_does_not_pass_our_own_check_does_not_leave() -> None:
    opened = hash_steps.begin(sealer(), (known(),), spec(Format.XADES), NUMBER).open
    assert opened is not None
    recorded: list[Any] = []
    for finding in (Finding(passed=False, level="XAdES-BASELINE-LTA"), Finding(passed=True, level="XAdES-BASELINE-LT")):
        severe = replace(sealer(recorded), check=lambda *_, found=finding: found)
        with pytest.raises(KakuinError, match="did not pass our own verification"):
            hash_steps.finish(severe, opened, Digest("sha256", bytes(32)))
    with pytest.raises(Unacceptable, match="a sha256 digest is awaited, got sha512"):
        hash_steps.finish(sealer(recorded), opened, Digest("sha512", bytes(64)))
    assert recorded == []


def test_both_steps_run_in_the_confined_process() -> None:
    with Sandbox(("eseal.drafting", "eseal.hashes.archive", "eseal.formats.xades")) as confined:
        told = hash_steps.begin(sealer(run=confined.run), (known(),), spec(Format.XADES), NUMBER).open
        assert told is not None
        digest = Digest.of("sha256", CSV + told.awaited.then)
        made = hash_steps.finish(sealer(run=confined.run), told, digest)
    assert all(intact(made.data, Document.of(CSV, "data.csv")))


def test_an_organisation_without_a_key_gets_nothing() -> None:
    with pytest.raises(NotFound):
        hash_steps.begin(sealer(), (known(),), spec(Format.PADES), "9876543210987")
