"""The web application: problems, limits, request ids, logs without secrets, headers."""

import io
import json
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request
from starlette.responses import Response, StreamingResponse

from trust import errors
from trust.edge.web import JsonLines, application, logging_to, request_id
from trust.errors import KakuinError, Malformed, Unauthorised, Unavailable

ROUTES = APIRouter()


@ROUTES.get("/fail/{kind}")
def fail(kind: str) -> None:
    raise getattr(errors, kind)("the line about it")


@ROUTES.get("/crash")
def crash() -> None:
    raise RuntimeError("the secret is swordfish")


@ROUTES.get("/typed/{number}")
def typed(number: int, q: int = 0) -> dict[str, int]:
    return {"number": number + q}


@ROUTES.post("/body")
@ROUTES.post("/documents/body")
async def body(request: Request) -> dict[str, Any]:
    size = 0
    async for part in request.stream():
        size += len(part)
    return {"size": size, "id": request_id()}


@ROUTES.post("/json")
def json_body(payload: dict[str, Any]) -> dict[str, Any]:
    return payload


@ROUTES.get("/broken-stream")
def broken_stream() -> StreamingResponse:
    async def parts() -> AsyncIterator[bytes]:
        yield b"some"
        raise RuntimeError

    return StreamingResponse(parts())


@ROUTES.get("/cached")
def cached() -> Response:
    return Response(b"x", headers={"Cache-Control": "public, max-age=60"})


@pytest.fixture
def app() -> FastAPI:
    return application("Test", [ROUTES], body_limit=100, limits={"/documents/": 1000})


class Client:
    """httpx over ASGI, synchronously."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app

    def __call__(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def go() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=True, client=("192.0.2.7", 5))
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.request(method, path, **more)

        return anyio.run(go)


@pytest.fixture
def call(app: FastAPI) -> Client:
    return Client(app)


def is_problem(answer: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["type"] == f"urn:kakuin:problem:{slug}"
    assert document["status"] == status
    assert document["title"]
    assert document["request_id"] == answer.headers["x-request-id"]
    return document


@pytest.mark.parametrize("kind", [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, KakuinError)], ids=lambda k: k.__name__)
def test_every_error_of_the_house_is_a_problem(call: Client, kind: type[KakuinError]) -> None:
    document = is_problem(call("GET", f"/fail/{kind.__name__}"), kind.status, kind.slug)
    assert document["detail"] == "the line about it"


def test_what_is_for_the_operator_is_in_the_log_alone(call: Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the database is, and of what it complains."""
    monkeypatch.setattr(Unavailable, "inward", True)
    answer = call("GET", f"/fail/{Unavailable.__name__}")
    document = is_problem(answer, Unavailable.status, Unavailable.slug)
    assert "detail" not in document and b"the line about it" not in answer.content
    assert "the line about it" in caplog.text


def test_the_kind_is_said_in_the_readers_language(call: Client) -> None:
    answer = call("GET", f"/fail/{Unavailable.__name__}", headers={"Accept-Language": "ja,en;q=0.5"})
    document = is_problem(answer, Unavailable.status, Unavailable.slug)
    assert (document["title"], answer.headers["vary"]) == (Unavailable.japanese, "Accept-Language")


def test_errors_tell_how_to_go_on(call: Client) -> None:
    assert call("GET", f"/fail/{Unauthorised.__name__}").headers["www-authenticate"].startswith("Bearer")
    assert int(call("GET", f"/fail/{Unavailable.__name__}").headers["retry-after"]) > 0


def test_what_does_not_exist_is_a_problem(call: Client) -> None:
    is_problem(call("GET", "/nowhere"), 404, "not-found")
    answer = call("DELETE", "/crash")
    is_problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, HEAD"
    is_problem(call("GET", "/docs"), 404, "not-found")


def test_an_unforeseen_error_tells_nothing_and_logs_its_place(call: Client, caplog: pytest.LogCaptureFixture) -> None:
    document = is_problem(call("GET", "/crash"), 500, "internal")
    lines = [JsonLines().format(record) for record in caplog.records]
    assert "swordfish" not in json.dumps(document) + "".join(lines)
    error = next(json.loads(line) for line in lines if "unforeseen" in line)
    assert any(place.startswith("test_web.py:") for place in error["where"])


@pytest.mark.parametrize("query", ["", "?q=halibut"])
def test_a_path_that_names_nothing_is_not_found(call: Client, query: str) -> None:
    document = is_problem(call("GET", f"/typed/swordfish{query}"), 404, "not-found")
    assert "swordfish" not in json.dumps(document) and "errors" not in document


def test_a_wrong_request_is_told_where_and_not_what(call: Client) -> None:
    document = is_problem(call("GET", "/typed/7?q=halibut"), 422, "unacceptable")
    assert [e["where"] for e in document["errors"]] == ["query.q"]
    assert "halibut" not in json.dumps(document)
    is_problem(call("POST", "/json", content=b"{", headers={"Content-Type": "application/json"}), 422, "unacceptable")


def test_a_body_over_the_limit_is_refused_by_its_length(call: Client) -> None:
    assert call("POST", "/body", content=b"x" * 100).json()["size"] == 100
    answer = call("POST", "/body", content=b"x" * 101)
    assert is_problem(answer, 413, "too-large")["detail"] == "body is over 100 bytes"
    assert answer.headers["connection"] == "close"


def test_a_body_that_says_it_is_too_long_is_never_read(call: Client) -> None:
    read: list[bool] = []

    async def parts() -> AsyncIterator[bytes]:
        read.append(True)
        yield b"x" * 101

    is_problem(call("POST", "/body", content=parts(), headers={"Content-Length": "101"}), 413, "too-large")
    assert not read


@pytest.mark.parametrize("path", ["/body", "/json"])
def test_a_body_without_length_is_counted_as_it_streams(call: Client, path: str) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 10_000:
            sent += 30
            yield b"[" * 30

    is_problem(call("POST", path, content=endless(), headers={"Content-Type": "application/json"}), 413, "too-large")


def test_a_length_that_lies_is_counted_too(app: FastAPI) -> None:
    """The server would have cut the body off at its stated length; nothing here relies on that."""
    answers: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"x" * 60, "more_body": True}

    async def send(message: Any) -> None:
        answers.append(message)

    scope = {"type": "http", "method": "POST", "path": "/body", "raw_path": b"/body", "query_string": b"", "headers": [(b"content-length", b"5")]}
    anyio.run(
        app, {**scope, "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "server": ("t", 80), "root_path": ""}, receive, send
    )
    assert answers[0]["status"] == 413


def test_the_longest_prefix_gives_the_limit(call: Client) -> None:
    assert call("POST", "/documents/body", content=b"x" * 1000).status_code == 200
    is_problem(call("POST", "/documents/body", content=b"x" * 1001), 413, "too-large")


def test_a_request_id_is_taken_over_or_made(call: Client) -> None:
    answer = call("POST", "/body", headers={"X-Request-Id": "order-2026.11_21"})
    assert answer.headers["x-request-id"] == answer.json()["id"] == "order-2026.11_21"
    for bad in ("short", "x" * 65, "has blank in it", 'quote"quote"'):
        made = call("POST", "/body", headers={"X-Request-Id": bad}).headers["x-request-id"]
        assert made != bad
        assert len(made) == 16
    assert request_id() is None


def test_headers_that_keep_browsers_out_of_trouble(call: Client, app: FastAPI) -> None:
    answer = call("GET", "/typed/1")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["cache-control"] == "no-store"
    assert "strict-transport-security" not in answer.headers
    assert call("GET", "/cached").headers["cache-control"] == "public, max-age=60"
    secure = Client(application("Test", [ROUTES], base_url="https://seal.example"))
    assert "max-age" in secure("GET", "/typed/1").headers["strict-transport-security"]


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    with logging_to(stream):
        yield stream


def test_one_line_of_json_a_request_without_secrets(call: Client, log: io.StringIO) -> None:
    call("POST", "/body?token=swordfish", content=b"halibut", headers={"Authorization": "Bearer swordfish", "X-Request-Id": "12345678"})
    lines = [json.loads(line) for line in log.getvalue().splitlines() if '"kakuin.access"' in line]
    assert len(lines) == 1
    line = lines[0]
    assert (line["method"], line["path"], line["status"], line["bytes_in"], line["client"]) == ("POST", "/body", 200, 7, "192.0.2.7")
    assert line["request_id"] == "12345678"
    assert line["bytes_out"] > 0
    assert line["ms"] >= 0
    assert line["time"].endswith("Z")
    assert "swordfish" not in log.getvalue()
    assert "halibut" not in log.getvalue()


def test_a_log_line_cannot_be_forged(call: Client, log: io.StringIO) -> None:
    call("GET", "/a%0A%7B%22level%22%3A%22info%22%7D" + "x" * 1000)
    assert all(json.loads(line)["logger"] for line in log.getvalue().splitlines())
    access = [line for line in map(json.loads, log.getvalue().splitlines()) if line["logger"] == "kakuin.access"]
    assert len(access) == 1
    assert len(access[0]["path"]) == 200


def test_an_exception_in_the_log_has_its_place_and_no_text(log: io.StringIO) -> None:
    try:
        raise Malformed("swordfish")
    except Malformed:
        logging.getLogger("kakuin.test").exception("it failed")
    line = json.loads(log.getvalue())
    assert line["error"] == "Malformed"
    assert line["where"][-1].startswith("test_web.py:")
    assert "swordfish" not in log.getvalue()


def test_an_answer_that_breaks_off_is_never_completed(call: Client) -> None:
    with pytest.raises(RuntimeError):
        call("GET", "/broken-stream")


def test_closing_is_called_at_the_end() -> None:
    closed: list[bool] = []
    app = application("Test", [], closing=lambda: closed.append(True))

    async def go() -> None:
        async with app.router.lifespan_context(app):
            assert not closed

    anyio.run(go)
    assert closed == [True]


def test_the_description_knows_problems(app: FastAPI) -> None:
    schema = app.openapi()
    assert schema["openapi"].startswith("3.1")
    assert schema["components"]["schemas"]["Problem"]["required"] == ["type", "title", "status"]
    assert "HTTPValidationError" not in json.dumps(schema)
    for methods in schema["paths"].values():
        for operation in methods.values():
            assert operation["responses"]["default"]["content"]["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}
