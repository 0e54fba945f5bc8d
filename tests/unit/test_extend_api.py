"""`POST /v1/extensions`: what goes in, what comes out, and each refusal with its own problem."""

import asyncio
import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from eseal.extend_api import router
from eseal.extend_material import Known
from eseal.store import ApiKeys, Repeats
from tests.extending import Desk
from tests.pki import SIGNED
from tests.sealing import CSV
from tests.unit.test_extend import LATER, PKI, bytes_of, sealed
from trust.edge.engine import bring_up, connect, sqlite_url
from trust.edge.web import application
from trust.model import Document
from verifier import sources
from verifier.read import read

NUMBER = "1234567890123"
LIMIT = 4 << 20


def known_in(files: Mapping[str, Sequence[bytes]]) -> Known:
    trusted = tuple(c for data in files["trust"] for c in sources.certificates_in(data))
    return Known(trusted, (), tuple(c for data in files["crl"] for c in sources.crls_in(data)))


class Door:
    """An application with one extender, and what it recorded."""

    def __init__(self, engine: Engine) -> None:
        self.desk = Desk(PKI, LATER)
        keys = ApiKeys(engine, lambda: SIGNED)
        self.key = keys.create(NUMBER)[0]
        routes = router(self.desk.extender(), keys, Repeats(engine, lambda: SIGNED), known_in, LIMIT)
        self.app = application("Kakuin", [routes], body_limit=1 << 20, limits={"/v1/extensions": LIMIT})

    def post(self, query: str = "", key: str | None = "", headers: Mapping[str, str] | None = None, **body: Any) -> httpx.Response:
        asked = dict(headers or {}) | ({} if key is None else {"Authorization": f"Bearer {key or self.key}"})
        return asyncio.run(self._post(query, asked, body))

    async def _post(self, query: str, headers: dict[str, str], body: dict[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://kakuin.test") as client:
            return await client.post("/v1/extensions" + query, headers=headers, **body)


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    engine = connect(sqlite_url(tmp_path / "kakuin.db"))
    bring_up(engine)
    yield Door(engine)
    engine.dispose()


PDF = bytes_of(sealed("pades", "B-B")[0])
P7S = bytes_of(sealed("cades-detached", "B-B")[0])


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"].startswith("application/problem+json")
    return answer.status_code, answer.json()["detail"]


def test_a_pdf_comes_back_at_the_level_that_was_asked_for(door: Door) -> None:
    headers = {"Content-Type": "application/pdf", "Content-Disposition": 'attachment; filename="contract.pdf"'}
    answer = door.post("?level=B-LTA", headers=headers, content=PDF)
    assert answer.status_code == 200, answer.text
    assert answer.content.startswith(PDF)
    assert read(Document.of(answer.content)).signatures[0].level == "PAdES-BASELINE-LTA"
    told = {name: answer.headers[f"kakuin-{name}"] for name in ("format", "level", "level-before", "level-after", "conclusion", "extension")}
    assert told == {
        "format": "PDF",
        "level": "B-LTA",
        "level-before": "PAdES-BASELINE-B",
        "level-after": "PAdES-BASELINE-LTA",
        "conclusion": "passed",
        "extension": "0",
    }
    assert 'filename="contract.extended.pdf"' in answer.headers["content-disposition"]
    assert answer.headers["repr-digest"] == f"sha-256=:{base64.b64encode(hashlib.sha256(answer.content).digest()).decode()}:"


def test_a_form_brings_the_content_and_what_helps_to_verify(door: Door) -> None:
    files = [("document", ("data.csv.p7s", P7S)), ("detached", ("data.csv", CSV))]
    files += [("trust", ("root.cer", PKI.root.certificate.der)), ("crl", ("ca.crl", PKI.crls(LATER)[1].der))]
    answer = door.post(files=files, data={"options": '{"level": "B-LT", "allow_indeterminate": true}'})
    assert answer.status_code == 200, answer.text
    assert answer.headers["kakuin-level-after"] == "CAdES-BASELINE-LT"


@pytest.mark.parametrize(
    ("query", "files", "data", "status", "why"),
    [
        ("?level=B-B", [("document", PDF)], {}, 422, "got B-B"),
        ("?level=B-X", [("document", PDF)], {}, 422, "no level has that name"),
        ("?password=x", [("document", PDF)], {}, 422, "a password never stands in an address"),
        ("?online=perhaps", [("document", PDF)], {}, 422, "online is true or false"),
        ("?online=true", [("document", PDF)], {}, 422, "fetches nothing"),
        ("", [("document", P7S)], {}, 422, "SIGNED_DATA_NOT_FOUND"),
        ("", [("document", CSV)], {}, 422, "no signature"),
        ("", [("detached", CSV)], {}, 422, "one file called document"),
        ("", [("document", PDF), ("other", CSV)], {}, 422, "is called none of"),
        ("", [("document", PDF), ("trust", CSV)], {}, 400, "certificate"),
        ("?level=B-T", [("document", PDF)], {"level": "B-LT"}, 422, "disagree about level"),
    ],
    ids=["level", "unknown-level", "secret", "truth", "online", "missing", "unsigned", "no-document", "field", "trust", "disagree"],
)
def test_each_refusal_has_its_problem_and_nothing_is_recorded(
    door: Door, query: str, files: list[tuple[str, bytes]], data: dict[str, str], status: int, why: str
) -> None:
    code, detail = problem(door.post(query, files=[(name, ("file", content)) for name, content in files], data=data))
    assert (code, why in detail) == (status, True), detail
    assert door.desk.recorded == []


def test_without_a_key_nobody_extends(door: Door) -> None:
    assert problem(door.post(key=None, content=PDF))[0] == 401
    assert problem(door.post(key="kakuin_nonsense", content=PDF))[0] == 401


def test_a_repeated_request_gets_the_same_document_once(door: Door) -> None:
    headers = {"Content-Type": "application/pdf", "Idempotency-Key": "once"}
    first, second = (door.post("?level=B-T", headers=headers, content=PDF) for _ in range(2))
    assert (first.status_code, second.content) == (200, first.content)
    assert first.headers["kakuin-extension"] == second.headers["kakuin-extension"]
    assert len(door.desk.recorded) == 1
    assert problem(door.post("?level=B-LT", headers=headers, content=PDF))[0] == 409
