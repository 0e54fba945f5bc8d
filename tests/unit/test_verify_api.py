"""The verifier over HTTP: every verdict is a 200, and what is not a verdict is a problem of the right kind."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tests.schema import faults
from tests.verdicts import NOW, everything, office
from trust.edge.web import application
from trust.errors import Malformed, TooLarge, Unavailable
from verifier.api import FILES, OPTIONS, SECRET, router
from verifier.report.etsi import etsi
from verifier.report.json import report
from verifier.service import Question, Verifier
from verifier.shapes import SHAPES
from verifier.verdict import Conclusion

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 200_000
PATH = "/v1/verifications"


def pem(der: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"


class Asked:
    """What the door asks, and the answer that it gets."""

    def __init__(self) -> None:
        self.name = "passed"
        self.error: Exception | None = None
        self.questions: list[Question] = []
        self.bodies: list[bytes] = []
        self.etsi: list[Question] = []

    def in_xml(self, question: Question) -> bytes:
        self.etsi.append(question)
        return etsi(everything()[self.name], document=question.document)

    def __call__(self, question: Question) -> dict[str, Any]:
        self.questions.append(question)
        self.bodies.append(question.document.read(10 * LIMIT))
        if self.error:
            raise self.error
        return report(everything()[self.name], document=question.document, anchors=len(question.anchors))


@pytest.fixture
def asked() -> Asked:
    return Asked()


class Client:
    """Requests to the application, without a network."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def get(self, path: str) -> httpx.Response:
        return self._request("GET", path)

    def post(self, path: str, content: bytes | Iterable[bytes] | None = None, **more: Any) -> httpx.Response:
        sent = content if content is None or isinstance(content, bytes) else _pieces(content)
        return self._request("POST", path, content=sent, **more)

    def _request(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.request(method, path, **more)

        return asyncio.run(ask())


async def _pieces(content: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in content:
        yield piece


@pytest.fixture
def client(asked: Asked) -> Client:
    verifier = Verifier(lambda: NOW, anchors=(office().root.certificate,))
    return Client(application("test", [router(verifier, asked, etsi=asked.in_xml, limit_bytes=LIMIT)], limits={PATH: 2 * LIMIT}))


def problem(response: Any, status: int, slug: str) -> str:
    assert response.headers["content-type"] == "application/problem+json", response.text
    told = response.json()
    assert (response.status_code, told["status"], told["type"].rsplit(":", 1)[-1]) == (status, status, slug)
    assert "\n" not in told["detail"]
    return str(told["detail"])


@pytest.mark.parametrize("name", everything())
def test_every_verdict_is_a_200(client: Client, asked: Asked, name: str) -> None:
    asked.name = name
    response = client.post(PATH, content=b"%PDF", headers={"Content-Type": "application/pdf"})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert list(faults(response.json(), json.loads((ROOT / "verifier/report/report.schema.json").read_text()))) == []
    assert response.json()["conclusion"] in list(Conclusion)


def test_the_body_is_the_document(client: Client, asked: Asked) -> None:
    body = b"%PDF" + bytes(150_000)
    client.post(PATH, content=iter([body[:70_000], body[70_000:]]), headers={"Content-Disposition": 'attachment; filename="a.pdf"'})
    [question] = asked.questions
    assert asked.bodies == [body]
    assert question.document.name == "a.pdf"
    assert question.at == NOW
    assert question.policy.name == "strict"
    assert question.anchors == (office().root.certificate,)


def test_a_form_brings_everything_that_a_verdict_depends_on(client: Client, asked: Asked) -> None:
    o = office()
    files = [
        ("document", ("data.csv.p7s", b"p7s")),
        ("detached", ("data.csv", b"a,b")),
        ("detached", ("more.csv", b"c,d")),
        ("trust", ("ca.pem", pem(o.ca.certificate.der) + pem(o.root.certificate.der))),
        ("certificate", ("signer.cer", o.signer.certificate.der)),
        ("crl", ("list.crl", o.crls()[1].der)),
        ("evidence_record", ("record.ers", b"record")),
    ]
    response = client.post(PATH, files=files, data={"at": "2025-06-01T09:00:00+09:00", "policy": "eu"})
    assert response.status_code == 200, response.text
    [question] = asked.questions
    assert question.document.name == "data.csv.p7s"
    assert [d.name for d in question.detached] == ["data.csv", "more.csv"]
    assert question.anchors == (o.ca.certificate, o.root.certificate)
    assert question.certificates == (o.signer.certificate,)
    assert len(question.crls) == 1
    assert [d.name for d in question.records] == ["record.ers"]
    assert question.at.isoformat() == "2025-06-01T00:00:00+00:00"
    assert question.policy.name == "eu"


def test_time_and_policy_can_stand_in_the_address(client: Client, asked: Asked) -> None:
    client.post(PATH, params={"at": "2025-06-01", "policy": "japan"}, content=b"x")
    [question] = asked.questions
    assert (question.at.isoformat(), question.policy.name) == ("2025-06-01T00:00:00+00:00", "japan")


@pytest.mark.parametrize(
    ("accept", "language", "content_type", "beginning"),
    [
        ("text/plain", "", "text/plain; charset=utf-8", "VALID"),
        ("text/plain", "ja-JP,en;q=0.8", "text/plain; charset=utf-8", "有効"),
        ("text/plain", "fr, en;q=0.5, ja;q=0.4", "text/plain; charset=utf-8", "VALID"),
        ("text/plain", "fr", "text/plain; charset=utf-8", "VALID"),
        ("text/*;q=0.9, application/json;q=0.5", "ja", "text/plain; charset=utf-8", "有効"),
        ("*/*", "ja", "application/json", "{"),
        ("text/html, */*;q=0.8", "ja", "text/html; charset=utf-8", '<!DOCTYPE html>\n<html lang="ja">'),
        ("text/html", "", "text/html; charset=utf-8", '<!DOCTYPE html>\n<html lang="en">'),
        ("application/pdf", "", "application/pdf", "%PDF-"),
        ("application/xml", "ja", "application/xml", "<?xml version='1.0' encoding='UTF-8'?>\n<ValidationReport "),
        ("application/json, text/plain;q=0.5", "", "application/json", "{"),
        ("text/plain;q=zero, \x7f;;;", "", "application/json", "{"),
    ],
)
def test_people_get_text_in_their_language(client: Client, accept: str, language: str, content_type: str, beginning: str) -> None:
    response = client.post(PATH, content=b"x", headers={"Accept": accept, "Accept-Language": language})
    assert response.status_code == 200
    assert response.headers["content-type"] == content_type
    assert response.text.startswith(beginning)
    assert "\x1b" not in response.text or content_type == "application/pdf"
    assert "accept" in response.headers["vary"].lower()


def test_the_page_comes_with_a_policy_that_allows_its_own_style_alone(client: Client) -> None:
    response = client.post(PATH, content=b"x", headers={"Accept": "text/html"})
    [policy] = response.headers.get_list("content-security-policy")
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "'unsafe" not in policy and policy.endswith("; frame-ancestors 'none'; sandbox")
    digest = base64.b64encode(hashlib.sha256(response.text.split("<style>")[1].split("</style>")[0].encode()).digest()).decode()
    assert digest in policy
    assert "style-src" not in client.post(PATH, content=b"x").headers["content-security-policy"]


def test_the_etsi_report_is_made_where_strangers_files_are_read(client: Client, asked: Asked) -> None:
    made = client.post(PATH, params={"at": "2025-06-01"}, content=b"x", headers={"Accept": "application/xml"})
    assert "mainindication:total-passed" in made.text
    [question] = asked.etsi
    assert question.at.isoformat() == "2025-06-01T00:00:00+00:00"
    assert asked.questions == []


@pytest.mark.parametrize(
    ("send", "status", "slug", "why"),
    [
        (lambda c: c.post(PATH, content=b"x", headers={"Accept": "image/png"}), 406, "not-acceptable", "application/pdf"),
        (lambda c: c.post(PATH, content=b""), 400, "malformed", "document is empty"),
        (lambda c: c.post(PATH, files={"document": ("a", b"")}), 400, "malformed", "document is empty"),
        (lambda c: c.post(PATH, content=bytes(LIMIT + 1)), 413, "too-large", str(LIMIT)),
        (lambda c: c.post(PATH, content=iter([bytes(LIMIT), b"x"])), 413, "too-large", str(LIMIT)),
        (lambda c: c.post(PATH, data={"document": "x"}), 415, "unsupported-media-type", "x-www-form-urlencoded"),
        (lambda c: c.post(PATH, content=b"x", headers={"Content-Type": "multipart/mixed; boundary=x"}), 415, "unsupported-media-type", "multipart"),
        (lambda c: c.post(PATH, content=b"--x\r\n", headers={"Content-Type": "multipart/form-data; boundary=x"}), 400, "malformed", "multipart"),
        (lambda c: c.post(PATH, files={"detached": ("a", b"x")}), 422, "unacceptable", "one document"),
        (lambda c: c.post(PATH, files=[("document", ("a", b"x")), ("document", ("b", b"y"))]), 422, "unacceptable", "got 2"),
        (lambda c: c.post(PATH, files={"document": ("a", b"x"), "trsut": ("b", b"y")}), 422, "unacceptable", "trsut"),
        (lambda c: c.post(PATH, files={"document": ("a", b"x")}, data={"level": "LTA"}), 422, "unacceptable", "level"),
        (lambda c: c.post(PATH, files={"document": ("a", b"x"), "trust": ("b", b"y")}), 400, "malformed", "trust: "),
        (lambda c: c.post(PATH, files={"document": ("a", b"x"), "crl": ("b", b"y")}), 400, "malformed", "crl: "),
        (lambda c: c.post(PATH, params={"at": "tomorrow"}, content=b"x"), 422, "unacceptable", "at: not a time"),
        (lambda c: c.post(PATH, params={"policy": "lenient"}, content=b"x"), 422, "unacceptable", "strict, eu"),
        (lambda c: c.post(PATH, params={"policy": "eu"}, files={"document": ("a", b"x")}, data={"policy": "eu"}), 422, "unacceptable", "twice"),
        (
            lambda c: c.post(PATH, params={"polcy": "eu"}, content=b"x"),
            422,
            "unacceptable",
            "option 'polcy' of the address is not known, expected at or policy",
        ),
        (lambda c: c.post(PATH + "?at=2026-01-01&at=2026-01-02", content=b"x"), 422, "unacceptable", "at is given twice in the address"),
    ],
)
def test_what_is_no_verdict_is_a_problem(client: Client, asked: Asked, send: Callable[[Client], Any], status: int, slug: str, why: str) -> None:
    assert why in problem(send(client), status, slug)
    assert not asked.questions


def test_a_policy_file_is_never_opened_for_a_client(client: Client, tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text('name = "mine"\n')
    for name in (str(tmp_path / "p.toml"), 'name = "mine"\n', "now"):
        problem(client.post(PATH, params={"policy": name}, content=b"x"), 422, "unacceptable")
    problem(client.post(PATH, params={"at": "now"}, content=b"x"), 422, "unacceptable")


@pytest.mark.parametrize(
    ("error", "status", "slug"),
    [
        (Malformed("PDF: no cross-reference table"), 400, "malformed"),
        (TooLarge("work on this input needs more memory than is allowed"), 413, "too-large"),
        (Unavailable("busy"), 503, "unavailable"),
        (ZeroDivisionError("secret"), 500, "internal"),
    ],
)
def test_a_document_that_cannot_be_judged_is_a_problem(client: Client, asked: Asked, error: Exception, status: int, slug: str) -> None:
    asked.error = error
    assert "secret" not in problem(client.post(PATH, content=b"x"), status, slug)


def without_nulls(value: Any) -> Any:
    """FastAPI leaves members that are null out of its description."""
    if isinstance(value, dict):
        return {k: without_nulls(v) for k, v in value.items() if v is not None}
    return [without_nulls(v) for v in value] if isinstance(value, list) else value


def test_the_description_is_whole(client: Client) -> None:
    described = client.get("/openapi.json").json()
    operation = described["paths"][PATH]["post"]
    answer = operation["responses"]["200"]["content"]
    schema = answer["application/json"]["schema"]
    assert "$ref" not in json.dumps(schema)
    example = json.loads((ROOT / "verifier/report/example.json").read_text())
    assert list(faults(example, schema)) == []
    assert answer["application/json"]["example"] == without_nulls(example)
    assert answer["text/plain"]["example"].startswith("VALID")
    assert set(answer) == {shape.media_type for shape in SHAPES}
    properties = operation["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    assert set(properties) == set(FILES) | set(OPTIONS) | set(SECRET)
    assert {p["name"] for p in operation["parameters"]} == set(OPTIONS)
    assert client.get(PATH + "/schema").json() == json.loads((ROOT / "verifier/report/report.schema.json").read_text())


def test_the_published_example_is_a_report_as_we_write_it() -> None:
    example = json.loads((ROOT / "verifier/report/example.json").read_text())
    written = report(everything()["passed"], anchors=1)
    assert {*written, "file"} == set(example)
    assert set(written["signatures"][0]) == set(example["signatures"][0])
    assert set(written["timestamps"][0]) == set(example["timestamps"][0])
