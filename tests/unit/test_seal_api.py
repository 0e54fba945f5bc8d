"""`POST /v1/seals`: what goes in, what comes out, and each refusal with its own problem."""

import asyncio
import base64
import dataclasses
import hashlib
import io
import json
import logging
import zipfile
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import Engine
from starlette.requests import ClientDisconnect

from eseal import openapi
from eseal.api import Options, router
from eseal.claims import NAMES
from eseal.demonstration import csv, pdf
from eseal.service import Finding, Sealer, here
from eseal.store import ApiKeys, Repeats
from tests import pki as office
from tests.pki import SIGNED
from tests.sealing import der_of, fields, lists, opened
from trust.edge.engine import bring_up, connect, sqlite_url
from trust.edge.web import application
from trust.errors import NotFound, Unavailable
from trust.model import Digest, Document
from trust.ports import Status

PKI = office.pki()
PDF, CSV = pdf(), csv()
NUMBER, OTHER = "1234567890123", "9876543210987"
LIMIT = 4 << 20


class Desk:
    """An application with one sealer, and what went through it."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.recorded: list[bytes] = []
        self.away = False
        self.folder = folder
        self.keys = ApiKeys(engine, lambda: SIGNED)
        self.key = self.keys.create(NUMBER)[0]
        sealer = Sealer(self._key, self._stamp, lambda _: Status(crls=lists(PKI)), self._record, lambda: SIGNED, self._check, here)
        seals = router(sealer, self.keys, Repeats(engine, lambda: SIGNED), LIMIT, folder)
        self.app: FastAPI = application("Kakuin", [seals], body_limit=1 << 20, limits={"/v1/seals": LIMIT})

    @staticmethod
    def _key(number: str) -> Any:
        if number != NUMBER:
            raise NotFound("no organisation has that number")
        return PKI.signer

    def _stamp(self, digest: Digest) -> bytes:
        if self.away:
            raise Unavailable("it does not answer")
        return office.token(PKI.tsu, digest)

    def _record(self, _: str, body: bytes) -> int:
        self.recorded.append(body)
        return len(self.recorded)

    def _check(self, sealed: Document, _detached: Sequence[Document], _signature: bytes) -> Finding:
        made = sealed.read(1 << 30)
        cades = "CAdES-BASELINE-LTA" if ARCHIVE_TIME_STAMP in made or b"ASiCArchiveManifest" in made else "CAdES-BASELINE-T"
        if self.away:
            return Finding(True, "CAdES-BASELINE-B")
        return Finding(True, "PAdES-BASELINE-LTA" if made.startswith(b"%PDF-") else cades)

    def post(self, content: Any = PDF, query: str = "", key: str | None = "", **options: Any) -> httpx.Response:
        headers = {"Content-Type": "application/pdf", **options.pop("headers", {})}
        if "files" in options:
            headers.pop("Content-Type")
            content = None
        if key is not None:
            headers["Authorization"] = f"Bearer {key or self.key}"
        return asyncio.run(self._post(content, query, {k: v for k, v in headers.items() if v}, options))

    async def _post(self, content: Any, query: str, headers: dict[str, str], options: dict[str, Any]) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://test") as client:
            return await client.post(f"/v1/seals{query}", content=content, headers=headers, **options)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    engine = connect(sqlite_url(tmp_path / "kakuin.db"))
    bring_up(engine)
    folder = tmp_path / "work"
    folder.mkdir()
    yield Desk(engine, folder)
    engine.dispose()
    assert list(folder.iterdir()) == []


def problem(answer: httpx.Response) -> tuple[int, str, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    said = answer.json()
    assert said["status"] == answer.status_code
    return answer.status_code, said["type"].removeprefix("urn:kakuin:problem:"), said["detail"]


def test_a_pdf_comes_back_sealed(desk: Desk) -> None:
    answer = desk.post(
        query="?level=B-LTA&location=%E6%9D%B1%E4%BA%AC", headers={"Content-Disposition": "attachment; filename*=UTF-8''%E5%A5%91%E7%B4%84.pdf"}
    )
    assert answer.status_code == 200, answer.text
    data = answer.content
    seal, stamp = fields(data)
    opened(der_of(seal.contents)).check(PKI.signer, seal.covered)
    assert stamp.kind == "/ETSI.RFC3161"
    assert str(seal.dictionary.Location) == "東京"
    headers = answer.headers
    assert (headers["kakuin-format"], headers["kakuin-level"], headers["kakuin-packaging"], headers["kakuin-seal"]) == (
        "pades",
        "B-LTA",
        "enveloped",
        "1",
    )
    assert headers["kakuin-time"] == "2025-03-01T09:00:00Z"
    assert headers["content-type"] == "application/pdf"
    assert headers["content-length"] == str(len(data))
    assert headers["repr-digest"] == f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"
    assert headers["content-disposition"] == "attachment; filename=\"__.sealed.pdf\"; filename*=UTF-8''%E5%A5%91%E7%B4%84.sealed.pdf"
    assert len(desk.recorded) == 1


@pytest.mark.parametrize(("query", "media_type"), [("", "application/pkcs7-signature"), ("?packaging=attached", "application/pkcs7-mime")])
def test_anything_else_comes_back_as_cms(desk: Desk, query: str, media_type: str) -> None:
    answer = desk.post(CSV, query, headers={"Content-Type": "text/csv"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == media_type
    cms = opened(answer.content)
    cms.check(PKI.signer, CSV)
    assert cms.content == (CSV if query else None)
    assert (answer.headers["kakuin-format"], answer.headers["kakuin-level"]) == ("cades", "B-LTA")


def test_a_form_with_options_as_fields_or_as_json(desk: Desk) -> None:
    for data in (
        {"level": "B-T", "packaging": "attached"},
        {"options": json.dumps({"level": "B-T", "packaging": "attached"})},
        {"options": '{"level": "B-T"}', "packaging": "attached"},
    ):
        answer = desk.post(files={"document": ("prices.csv", CSV, "text/csv")}, data=data)
        assert answer.status_code == 200, answer.text
        assert opened(answer.content).content == CSV
        assert 'filename="prices.csv.p7m"' in answer.headers["content-disposition"]
    files = {"document": ("prices.csv", CSV, "text/csv"), "options": ("o.json", b'{"packaging": "attached"}', "application/json")}
    assert desk.post(files=files).headers["kakuin-packaging"] == "attached"


def test_a_large_body_is_streamed(desk: Desk) -> None:
    async def slowly() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield bytes(100_000)

    answer = desk.post(slowly(), "?packaging=attached", headers={"Content-Type": "application/octet-stream"})
    assert answer.status_code == 200, answer.text
    assert opened(answer.content).content == bytes(3_000_000)


@pytest.mark.parametrize("authorization", [None, "Basic dXNlcjpw", "Bearer", "Bearer kakuin_0000000000000000_x", "kakuin_x"])
def test_without_a_key_nothing_is_read(desk: Desk, authorization: str | None) -> None:
    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("read")
        yield b""

    headers = {"Authorization": authorization} if authorization else {}
    answer = desk.post(never(), key=None, headers=headers)
    assert problem(answer)[:2] == (401, "unauthorised")
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_revoked_key_is_refused(desk: Desk) -> None:
    desk.keys.revoke(desk.key)
    assert problem(desk.post())[:2] == (401, "unauthorised")


def test_a_key_reaches_its_own_organisation_alone(desk: Desk) -> None:
    assert problem(desk.post(query=f"?organisation={OTHER}"))[:2] == (403, "forbidden")
    assert desk.post(query=f"?organisation={NUMBER}").status_code == 200
    assert problem(desk.post(key=desk.keys.create(OTHER)[0]))[:2] == (404, "not-found")


ARCHIVE_TIME_STAMP = bytes.fromhex("060604008d450204")
CSV_TYPE = {"Content-Type": "text/csv"}


@pytest.mark.parametrize(
    ("content", "query", "headers", "expected"),
    [
        (b"", "", {}, (400, "malformed", "the document is empty: 0 bytes arrived")),
        (PDF[:900], "", {}, (400, "malformed", "the PDF cannot be updated: could not read malformed pdf file")),
        (
            CSV,
            "?reason=so",
            CSV_TYPE,
            (
                422,
                "unacceptable",
                "cades has no place for a reason; it has commitment, content_timestamp, description, location, mime_type, policy and role",
            ),
        ),
        (CSV, "?level=high", CSV_TYPE, (422, "unacceptable", "no level has that name; there are B-B, B-T, B-LT and B-LTA")),
        (CSV, "?format=pades&packaging=detached", CSV_TYPE, (422, "unacceptable", "pades is enveloped, got detached")),
        (
            CSV,
            "?digest=sha512&format=cose",
            CSV_TYPE,
            (422, "unacceptable", "COSE has ecdsa with sha512 for keys on P-521 alone, this organisation's is on P-256"),
        ),
        (PDF, "?level=B-T&level=B-B", {}, (422, "unacceptable", "the query gives level twice")),
        (PDF, "?signing_time=yesterday", {}, (422, "unacceptable", "signing_time is not a time of RFC 3339")),
        (PDF, "?signing_time=2025-03-02T00:00:00Z", {}, (422, "unacceptable", "signing time lies in the future")),
        (CSV, "", {}, (415, "unsupported-media-type", "the Content-Type is application/pdf and the document is no PDF")),
        (PDF, "", {"Content-Encoding": "gzip"}, (415, "unsupported-media-type", "the body is compressed (Content-Encoding): send it as it is")),
        (bytes(LIMIT + 1), "", {}, (413, "too-large", f"body is over {LIMIT} bytes")),
    ],
)
def test_each_refusal_has_its_problem(desk: Desk, content: bytes, query: str, headers: dict[str, str], expected: tuple[int, str, str]) -> None:
    assert problem(desk.post(content, query, headers=headers)) == expected
    assert desk.recorded == []


def test_curls_default_type_is_explained(desk: Desk) -> None:
    status, kind, detail = problem(desk.post(headers={"Content-Type": "application/x-www-form-urlencoded"}))
    assert (status, kind) == (415, "unsupported-media-type")
    assert "send the document with its own Content-Type" in detail


def test_a_misspelt_option_never_makes_a_weaker_seal(desk: Desk) -> None:
    status, kind, detail = problem(desk.post(query="?levle=B-LTA"))
    assert (status, kind) == (422, "unacceptable")
    assert "level" in detail
    assert "levle" not in detail
    assert "a password never stands in an address" in problem(desk.post(query="?password=x"))[2]
    assert problem(desk.post(files={"document": ("a", PDF)}, data={"levle": "B-T"}))[:2] == (422, "unacceptable")


@pytest.mark.parametrize(
    ("files", "data", "status", "kind"),
    [
        ({"document": ("a", PDF), "other": ("b", PDF)}, {}, 422, "unacceptable"),
        ([("document", ("a", PDF)), ("document", ("a", PDF))], {}, 422, "unacceptable"),
        ({"options": ("o", b"{}")}, {}, 422, "unacceptable"),
        ({"document": ("a", b"")}, {}, 400, "malformed"),
        ({"document": ("a", PDF)}, {"options": "{"}, 400, "malformed"),
        ({"document": ("a", PDF)}, {"options": "[1]"}, 400, "malformed"),
        ({"document": ("a", PDF)}, {"options": "[" * 100_000}, 413, "too-large"),
        ({"document": ("a", PDF)}, {"options": "[" * 50_000}, 400, "malformed"),
        ({"document": ("a", PDF)}, {"options": '{"level": 3}'}, 422, "unacceptable"),
        ({"document": ("a", PDF)}, {"options": '{"level": "B-T", "level": "B-B"}'}, 422, "unacceptable"),
        ({"document": ("a", PDF)}, {"options": '{"level": "B-T"}', "level": "B-B"}, 422, "unacceptable"),
    ],
)
def test_forms_that_say_nothing_clear(desk: Desk, files: Any, data: dict[str, str], status: int, kind: str) -> None:
    assert problem(desk.post(files=files, data=data))[:2] == (status, kind)
    assert desk.recorded == []


def test_query_and_form_must_agree(desk: Desk) -> None:
    form = {"files": {"document": ("a.csv", CSV)}, "data": {"level": "B-T"}}
    assert desk.post(query="?level=B-T", **form).status_code == 200
    assert problem(desk.post(query="?level=B-B", **form)) == (422, "unacceptable", "query and form disagree about level")


def test_an_authority_that_is_away_is_no_weaker_seal(desk: Desk) -> None:
    desk.away = True
    answer = desk.post()
    why = "B-LTA needs a time-stamp and the authority gives none: it does not answer"
    less = "nothing was sealed; try again later, or say with degrade that less will do (B-B, B-T, B-LT)"
    assert problem(answer) == (503, "unavailable", f"{why}; {less}")
    assert answer.headers["retry-after"]
    assert desk.recorded == []


def test_a_lower_level_only_where_it_was_asked_for_and_it_says_so(desk: Desk) -> None:
    desk.away = True
    headers = {"Idempotency-Key": "order-18", "Content-Type": "text/csv"}
    answer = desk.post(CSV, "?level=B-LTA&degrade=B-B", headers=headers)
    assert answer.status_code == 200, answer.text
    told = {name: answer.headers.get(f"kakuin-{name}") for name in ("level", "level-asked", "warning")}
    assert (told["level"], told["level-asked"]) == ("B-B", "B-LTA")
    assert str(told["warning"]).startswith("sealed at B-B and not at B-LTA, as degrade allows: B-LTA needs a time-stamp")
    [entry] = map(json.loads, desk.recorded)
    assert (entry["level"], entry["asked"]) == ("B-B", "B-LTA")
    desk.away = False
    again = desk.post(CSV, "?level=B-LTA&degrade=B-B", headers=headers)
    assert {name: again.headers.get(f"kakuin-{name}") for name in told} == told and again.content == answer.content
    whole = desk.post(CSV, "?level=B-LTA&degrade=B-B", headers={"Content-Type": "text/csv"})
    assert whole.headers["kakuin-level"] == "B-LTA" and "kakuin-level-asked" not in whole.headers


def test_every_door_has_the_same_names() -> None:
    """What the command line, the API and its description call a choice; files and where things are apart."""
    from eseal.commands import seal

    here_alone = {"files", "instance", "passphrase_file", "password_file", "server", "api_key_file", "hash_only", "output", "as_json"}
    here_alone |= {"image", "font", "receipt"}  # over HTTP the field Prefer asks for a receipt
    commanded = {(parameter.name or "").rstrip("_") for parameter in seal.params} - here_alone
    options = {f.name for f in dataclasses.fields(Options)}
    assert commanded | {"password"} == options == set(openapi.PROPERTIES)
    assert set(NAMES) <= options


def test_the_same_idempotency_key_gets_the_same_seal(desk: Desk) -> None:
    again = {"Idempotency-Key": "order-17"}
    first, second, other = desk.post(headers=again), desk.post(headers=again), desk.post()
    assert first.content == second.content != other.content
    assert first.headers["kakuin-seal"] == second.headers["kakuin-seal"] == "1"
    assert first.headers["repr-digest"] == second.headers["repr-digest"]
    assert len(desk.recorded) == 2
    assert problem(desk.post(headers=again, query="?location=x"))[:2] == (409, "conflict")
    assert problem(desk.post(CSV, headers={**again, **CSV_TYPE}))[:2] == (409, "conflict")
    for wrong in ("a b", "x" * 256):
        assert problem(desk.post(headers={"Idempotency-Key": wrong}))[:2] == (400, "malformed")


def test_a_failure_is_not_remembered(desk: Desk) -> None:
    again = {"Idempotency-Key": "order-18"}
    desk.away = True
    assert desk.post(headers=again).status_code == 503
    desk.away = False
    assert desk.post(headers=again).status_code == 200


def test_an_api_key_never_reaches_the_log(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    desk.post()
    desk.post(PDF[:900])
    assert desk.key.split("_", 2)[2] not in caplog.text


def test_a_client_that_goes_away_leaves_nothing(desk: Desk) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield bytes(2 << 20)
        raise ClientDisconnect

    assert problem(desk.post(broken())) == (400, "malformed", "the client went away before the end of the body")
    assert desk.recorded == []


def test_the_description_says_what_the_door_does(desk: Desk) -> None:
    described = desk.app.openapi()
    operation = described["paths"]["/v1/seals"]["post"]
    assert operation["summary"] == "Seal a document for an organisation."
    assert set(operation["requestBody"]["content"]) == {"application/pdf", "text/csv", "application/octet-stream", "multipart/form-data"}
    assert {p["name"] for p in operation["parameters"]} >= {"format", "level", "packaging", "Idempotency-Key"}
    assert set(operation["responses"]) >= {"200", "400", "401", "403", "409", "413", "415", "422", "503"}
    for status, answer in operation["responses"].items():
        if status.isdigit() and int(status) >= 400:
            example = answer["content"]["application/problem+json"]["example"]
            assert str(example["status"]) == status
    assert operation["security"] == [{"apiKey": []}]
    form = operation["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    from eseal.api import Options

    assert set(form) - {"document", "options", "image", "font"} == set(Options.__dataclass_fields__)


def test_several_documents_become_one_container(desk: Desk) -> None:
    files, headers = [("document", ("a.csv", CSV)), ("document", ("b.csv", CSV + b"2"))], {"Idempotency-Key": "several"}
    answer = desk.post(files=files, headers=headers)
    assert (answer.status_code, answer.headers["kakuin-format"]) == (200, "asic-e-cades")
    assert 'filename="documents.asice"' in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as box:
        assert (box.read("a.csv"), box.read("b.csv")) == (CSV, CSV + b"2")
    # Again, by its key: the same bytes. With other documents: refused.
    assert desk.post(files=files, headers=headers).content == answer.content
    assert problem(desk.post(files=files[:1], headers=headers))[:2] == (409, "conflict")
    assert problem(desk.post(query="?format=cades", files=files)) == (
        422,
        "unacceptable",
        "cades seals one document at a time, got 2; several go into asic-e-cades or asic-e-xades or jades or xades",
    )
