"""Hash-only sealing from the other side: every format and level, with servers that answer rightly, wrongly, or not."""

import base64
import contextlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eseal.demonstration import pdf
from eseal.hashes import api as hash_api
from eseal.hashes.client import BOXED, Next, There, facts_of, highest
from eseal.hashes.commands import sealed_at
from eseal.hashes.known import PATH
from eseal.hashes.sound import require_sound
from eseal.hashes.told import key_in, status_in
from eseal.service import here
from eseal.spec import Level
from eseal.store import ApiKeys, Repeats
from tests import pki as office
from tests.pki import SIGNED
from tests.sealing import CSV, fields, opened
from tests.unit.test_hashes import PKI, Desk, checked, sealer
from trust.algorithms import Algorithm
from trust.edge.web import application
from trust.errors import KakuinError, Malformed, Unacceptable, Unavailable
from trust.model import Digest, Document
from verifier.service import Verifier, brief

PAPER = pdf()
NOTHING: dict[str, str | None] = {}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.engine.dispose()


class Here:
    """eseal.hashes.commands.Bench in this very process, as of the day of sealing."""

    run = staticmethod(here)

    def examined(self, document: Document, detached: Sequence[Document] = ()) -> Mapping[str, Any]:
        return brief(Verifier(lambda: SIGNED + timedelta(minutes=1)).question(document, detached))


def sealed(there: There, documents: Sequence[Document], asked: Mapping[str, str | None], **attached: Document) -> tuple[dict[str, Any], bytes]:
    facts, made = sealed_at(there, documents, asked, attached, Here(), now=SIGNED, font=lambda: None)
    return facts, made.read(1 << 26)


Change = Callable[[str, Any], Any]


class Liar(httpx.BaseTransport):
    """The desk, whose answers in JSON are changed on their way: `change` gets the path and the object."""

    def __init__(self, desk: Desk, change: Change) -> None:
        self._desk, self._change = desk.transport, change

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._desk.handle_request(request)
        body = answer.read()
        if answer.headers["content-type"] != "application/json":
            return httpx.Response(answer.status_code, headers=answer.headers, content=body)
        told = self._change(request.url.path, json.loads(body))
        return told if isinstance(told, httpx.Response) else httpx.Response(200, json=told)

    def there(self, desk: Desk) -> There:
        return There("https://test", desk.key, self)


DETACHED = [*((form, level) for form in ("cades", "xades", "jades") for level in Level), ("cose", Level.B_B), ("cose", Level.B_T)]


@pytest.mark.parametrize(("form", "level"), DETACHED, ids=str)
def test_a_detached_signature_at_each_level(desk: Desk, form: str, level: Level) -> None:
    document = Document.of(CSV, "日別.csv")
    facts, made = sealed(desk.there, [document], {"format": form, "level": level})
    found = checked(Document.of(made), [document], b"")
    assert (found.passed, found.level.rpartition("-")[2]) == (True, level.rpartition("-")[2])
    assert (facts["format"], facts["level"], facts["packaging"], facts["warnings"]) == (form, level, "detached", [])
    assert all(CSV not in sent for sent in desk.asked)


@pytest.mark.parametrize("level", Level)
def test_a_pdf_at_each_level(desk: Desk, level: Level) -> None:
    facts, made = sealed(desk.there, [Document.of(PAPER, "契約.pdf")], {"level": level, "reason": "x", "location": "東京", "role": "部長"})
    assert made.startswith(PAPER)
    found = checked(Document.of(made), [], b"")
    assert (found.passed, found.level) == (True, f"PAdES-BASELINE-{level.removeprefix('B-')}")
    assert (facts["format"], facts["level"], facts["packaging"], "asked_level" in facts) == ("pades", level, "enveloped", False)
    seal = fields(made)[0]
    assert (str(seal.dictionary.Reason), str(seal.dictionary.Location)) == ("x", "東京")
    opened(seal.contents.rstrip(b"\0")).check(PKI.signer, seal.covered)
    # Key, signature, and at B-LTA the document time-stamp; nothing of the paper in any of them.
    assert len(desk.asked) == (3 if level is Level.B_LTA else 2)
    assert all(b"x" not in json.loads(sent).values() for sent in desk.asked[1:])
    assert "reason" not in json.loads(desk.asked[1])
    assert json.loads(desk.asked[1])["documents"][0]["digests"] == {"sha256": Digest.of("sha256", seal.covered).value.hex()}


def test_a_visible_seal_in_a_document_that_is_sealed_already(desk: Desk) -> None:
    _, once = sealed(desk.there, [Document.of(PAPER, "a.pdf")], {"level": "B-LTA"})
    look: dict[str, str | None] = {"visible": "qr", "page": "1", "rect": "100,100,160,160", "new_field": "Office", "level": "B-LTA"}
    _, twice = sealed(desk.there, [Document.of(once, "a.pdf")], look)
    verdict = Verifier(lambda: SIGNED + timedelta(minutes=1), anchors=(PKI.root.certificate,)).verify(Document.of(twice))
    assert (verdict.conclusion, len(verdict.signatures), len(verdict.stamps)) == ("passed", 2, 4)
    assert "Office" in [f.name for f in fields(twice)]


def test_another_digest_than_sha256(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    key = replace(office.signer(PKI.ca, key="p384"), algorithm=Algorithm("ecdsa", "sha384"))
    repeats = Repeats(desk.engine, lambda: SIGNED)
    desk.app = application("Kakuin", [hash_api.router(sealer(desk.recorded, key), ApiKeys(desk.engine, lambda: SIGNED), repeats)], body_limit=1 << 21)
    _, made = sealed(desk.there, [Document.of(PAPER, "a.pdf")], {"level": "B-LTA"})
    assert checked(Document.of(made), [], b"").passed
    covered = fields(made)[0].covered
    told = json.loads(desk.asked[1])["documents"][0]["digests"]
    assert told == {name: Digest.of(name, covered).value.hex() for name in ("sha384", "sha256")}
    assert desk.recorded[0]["document"] == told["sha256"]
    desk.engine.dispose()


def test_the_pdf_is_read_in_the_confined_process(desk: Desk) -> None:
    from verifier.bench import Bench

    with Bench(("eseal.drafting", "eseal.formats.pades", "verifier.formats.pades", "verifier.service")) as bench:
        document, told = Document.of(PAPER, "a.pdf"), list[str]()
        _, made = sealed_at(desk.there, [document], {"level": "B-LTA"}, {}, bench, now=SIGNED, font=lambda: None, doing=told.append)
    assert checked(made, [], b"").passed
    assert told == ["looking for signatures", "hashing", "checking what was made"]


def test_the_highest_level_is_the_default() -> None:
    assert [highest(form) for form in (None, "cades", "xades", "JAdES", "pades")] == ["B-LTA"] * 5
    assert highest("jades", "compact") is None
    assert highest("cose") == "B-T"
    assert {highest(form) for form in BOXED} == {"B-LTA"}
    assert highest("nothing") is None


def test_a_container_at_b_lta_with_each_digest(desk: Desk) -> None:
    for digest in ("sha256", "sha512"):
        facts, box = sealed(desk.there, [Document.of(CSV, "a.csv"), Document.of(b"b", "b")], {"format": "asic-e-cades", "digest": digest})
        assert (facts["level"], facts["packaging"], checked(Document.of(box), [], b"").passed) == ("B-LTA", "attached", True)
        with zipfile.ZipFile(io.BytesIO(box)) as opened_box:
            assert {"META-INF/ASiCArchiveManifest.xml", "META-INF/timestamp001.tst"} < set(opened_box.namelist())


# Servers that answer something else.


class Deaf(httpx.BaseTransport):
    """A server that signs other digests than those that it was told."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk.transport

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        body = request.read()
        if b"documents" in body:
            asked = json.loads(body)
            for each in asked["documents"]:
                each["digests"] = {name: Digest.of(name, b"another").value.hex() for name in each["digests"]}
            headers = {k: v for k, v in request.headers.items() if k != "content-length"}
            request = httpx.Request(request.method, request.url, headers=headers, content=json.dumps(asked).encode())
        return self._desk.handle_request(request)


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("form", ["pades", "cades", "xades", "jades", "asic-s-cades", "asic-s-xades", "asic-e-cades", "asic-e-xades"])
def test_a_signature_of_something_else_is_not_written(desk: Desk, form: str, level: Level) -> None:
    document = Document.of(PAPER, "a.pdf") if form == "pades" else Document.of(CSV, "data.csv")
    with pytest.raises((Unacceptable, Malformed), match="nothing was written"):
        sealed(replace(desk.there, transport=Deaf(desk)), [document], {"format": form, "level": level})


class Weaker(httpx.BaseTransport):
    """A server that makes less than it was asked for, and says so or not."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk.transport

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        body = request.read()
        if b"documents" in body:
            asked = {k: v for k, v in json.loads(body).items() if k != "degrade"} | {"level": "B-B"}
            headers = {k: v for k, v in request.headers.items() if k != "content-length"}
            request = httpx.Request(request.method, request.url, headers=headers, content=json.dumps(asked).encode())
        return self._desk.handle_request(request)


@pytest.mark.parametrize("form", ["cades", "cose", "asic-s-cades", "asic-s-xades"])
def test_less_than_was_asked_for_is_not_written(desk: Desk, form: str) -> None:
    there = replace(desk.there, transport=Weaker(desk))
    document = Document.of(CSV, "data.csv")
    with pytest.raises((Unacceptable, Malformed), match="the server made B-B, asked for B-T; nothing was written"):
        sealed(there, [document], {"format": form, "level": "B-T"})
    assert sealed(there, [document], {"format": form, "level": "B-T", "degrade": "B-B"})[0]["level"] == "B-B"


def test_a_second_step_that_is_not_offered_is_missed(desk: Desk) -> None:
    liar = Liar(desk, lambda _, told: {k: v for k, v in told.items() if k != "next"})
    for form in ("xades", "jades", "asic-e-cades", "pades"):
        document = Document.of(PAPER, "a.pdf") if form == "pades" else Document.of(CSV, "data.csv")
        with pytest.raises(Unacceptable, match=r"the server made B-L?T, asked for B-LTA; nothing was written"):
            sealed(liar.there(desk), [document], {"format": form, "level": "B-LTA"})


@pytest.mark.parametrize("form", ["xades", "jades"])
def test_octets_of_something_else_make_a_broken_time_stamp(desk: Desk, form: str) -> None:
    def change(_: str, told: Any) -> Any:
        if "next" in told:
            told["next"]["then"] = base64.b64encode(b"something else").decode()
        return told

    with pytest.raises(Unacceptable, match="a time-stamp from the server is not one of these documents, so nothing was written"):
        sealed(Liar(desk, change).there(desk), [Document.of(CSV, "data.csv")], {"format": form, "level": "B-LTA"})


@pytest.mark.parametrize("form", ["pades", "asic-e-cades"])
def test_a_token_over_something_else_is_not_used(desk: Desk, form: str) -> None:
    def change(_: str, told: Any) -> Any:
        if "token" in told:
            told["token"] = base64.b64encode(office.token(PKI.tsu, Digest.of("sha256", b"another"), SIGNED)).decode()
        return told

    document = Document.of(PAPER, "a.pdf") if form == "pades" else Document.of(CSV, "data.csv")
    with pytest.raises(Unavailable, match="over something else than what was asked for"):
        sealed(Liar(desk, change).there(desk), [document], {"format": form, "level": "B-LTA"})


NEXT = {"address": f"{PATH}/{'0' * 32}", "digest": "sha256", "documents": ["data.csv"], "then": "", "room": 100}
STRANGE: dict[str, tuple[Any, str]] = {
    "a text": ("x", "has no second step"),
    "elsewhere": ({**NEXT, "address": "http://elsewhere/v1"}, "is none of this version"),
    "above": ({**NEXT, "address": f"{PATH}/../../x"}, "is none of this version"),
    "much room": ({**NEXT, "room": 1 << 30}, "is none of this version"),
    "no room": ({**NEXT, "room": "1"}, "is none of this version"),
    "documents": ({**NEXT, "documents": ["other.csv"]}, "is of other documents"),
    "no documents": ({k: v for k, v in NEXT.items() if k != "documents"}, "documents is a list"),
    "digest": ({**NEXT, "digest": "md5"}, "digest is sha256"),
    "then": ({**NEXT, "then": "*"}, "then is base64"),
}


@pytest.mark.parametrize("case", STRANGE)
def test_a_second_step_that_makes_no_sense_is_not_taken(case: str) -> None:
    value, why = STRANGE[case]
    with pytest.raises((Malformed, Unacceptable), match=why):
        Next.of(value, [Document.of(CSV, "data.csv")])
    assert Next.of(NEXT, [Document.of(CSV, "data.csv")]).imprint([Document.of(CSV)]) == Digest.of("sha256", CSV)


@pytest.mark.parametrize("told", [b"{", b"[]", b"\xff"], ids=["no json", "no object", "no text"])
def test_an_answer_that_is_no_object_is_malformed(told: bytes) -> None:
    there = There("https://test", "key", httpx.MockTransport(lambda _: httpx.Response(200, content=told)))
    with pytest.raises(Malformed, match="the server's answer"):
        there.key({})


_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.sampled_from(["MAA=", "B-LT", f"{PATH}/{'0' * 32}", "sha256"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(NEXT)), inner),
    max_leaves=6,
)
_ANSWER = st.dictionaries(
    st.sampled_from([*NEXT, "certificates", "crls", "ocsps", "algorithm", "time", "format", "level", "asked_level", "seal", "warnings"]), _VALUE
)


@given(_ANSWER | _VALUE)
def test_whatever_a_server_answers_is_read_or_refused(told: Any) -> None:
    for read in (status_in, lambda value: Next.of(value, [Document.of(CSV, "data.csv")])):
        with contextlib.suppress(KakuinError):
            read(told)
    if isinstance(told, dict):
        assert set(facts_of(told)) >= {"format", "level", "packaging", "journal_index", "warnings"}
        with contextlib.suppress(KakuinError):
            key_in(told)


@pytest.mark.parametrize("name", ["certificates", "algorithm", "time"])
def test_a_key_that_is_not_described_is_not_prepared_for(desk: Desk, name: str) -> None:
    def change(_: str, told: Any) -> Any:
        return {k: v for k, v in told.items() if k != name}

    with pytest.raises(Malformed):
        sealed(Liar(desk, change).there(desk), [Document.of(PAPER, "a.pdf")], {"level": "B-B"})


class Dying(Liar):
    """Every second step is refused as unavailable."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path != PATH:
            return httpx.Response(503, json={"detail": "B-LTA needs a time-stamp"})
        return super().handle_request(request)


@pytest.mark.parametrize("form", ["xades", "jades", "asic-e-cades"])
def test_where_the_second_step_fails_less_is_kept_only_if_that_will_do(desk: Desk, form: str) -> None:
    there = Dying(desk, lambda _, told: told).there(desk)
    given = [Document.of(CSV, "data.csv")]
    with pytest.raises(Unavailable, match="B-LTA needs a time-stamp"):
        sealed(there, given, {"format": form, "level": "B-LTA"})
    facts, made = sealed(there, given, {"format": form, "level": "B-LTA", "degrade": "B-T"})
    assert (facts["level"], facts["asked_level"]) == ("B-LT", "B-LTA")
    assert ["as degrade allows" in w for w in facts["warnings"]] == [True]
    assert checked(Document.of(made), () if form.startswith("asic") else given, b"").level.endswith("-LT")


def test_a_pdf_whose_second_step_fails_is_not_sealed(desk: Desk) -> None:
    with pytest.raises(Unavailable, match="B-LTA needs a time-stamp"):
        sealed(Dying(desk, lambda _, told: told).there(desk), [Document.of(PAPER, "a.pdf")], NOTHING)


@pytest.mark.parametrize(("gone", "degrade", "reached"), [("stamp", "B-B", "B-B"), ("status", "B-T", "B-T")], ids=["no stamp", "no status"])
def test_a_pdf_gets_less_only_where_that_was_allowed(tmp_path: Path, gone: str, degrade: str, reached: str) -> None:
    def away(_: Any) -> Any:
        raise Unavailable("it does not answer")

    desk = Desk(tmp_path)
    less = replace(sealer(desk.recorded), **{gone: away})
    doors = [hash_api.router(less, ApiKeys(desk.engine, lambda: SIGNED), Repeats(desk.engine, lambda: SIGNED))]
    desk.app = application("Kakuin", doors, body_limit=1 << 21)
    document = Document.of(PAPER, "a.pdf")
    with pytest.raises(Unavailable, match="needs"):
        sealed(desk.there, [document], {"level": "B-LTA"})
    facts, made = sealed(desk.there, [document], {"level": "B-LTA", "degrade": degrade})
    assert (facts["level"], facts["asked_level"], len(facts["warnings"])) == (reached, "B-LTA", 1)
    assert checked(Document.of(made), [], b"").level == f"PAdES-BASELINE-{reached.removeprefix('B-')}"
    desk.engine.dispose()


def test_what_is_no_pdf_tells_the_server_nothing(desk: Desk) -> None:
    with pytest.raises(KakuinError):
        sealed(desk.there, [Document.of(b"%PDF-1.7 no more", "a.pdf")], NOTHING)
    assert [json.loads(sent) for sent in desk.asked if sent] == []
    assert desk.recorded == []


def test_each_thing_that_is_no_sound_seal() -> None:
    signature = {"id": "1", "intact": True, "indication": "INDETERMINATE", "level": "XAdES-BASELINE-LT"}
    stamp = {"imprint": {"value": "00"}, "serial": "1", "intact": True, "indication": "INDETERMINATE"}
    good = {"conclusion": "indeterminate", "reasons": [], "signatures": [signature], "timestamps": [stamp], "evidence_records": []}
    require_sound(None, good, Level.B_LT)
    empty = {**good, "signatures": [], "timestamps": []}
    require_sound(empty, good, Level.B_LT)
    for bad in (
        {**good, "signatures": []},
        {**good, "signatures": [signature, {**signature, "id": "2"}]},
        {**good, "signatures": [{**signature, "intact": False}]},
        {**good, "signatures": [{**signature, "indication": "TOTAL-FAILED"}]},
        {**good, "timestamps": [{**stamp, "intact": False}]},
        {**good, "timestamps": [{**stamp, "indication": "FAILED"}]},
        {**good, "conclusion": "failed", "reasons": [{"text": "something is shown"}]},
    ):
        with pytest.raises(Unacceptable, match="nothing was written"):
            require_sound(None, bad, Level.B_LT)
    with pytest.raises(Unacceptable, match="is XAdES-BASELINE-LT, expected B-LTA"):
        require_sound(None, good, Level.B_LTA)
    with pytest.raises(Unacceptable, match="not a signature of these documents"):
        require_sound(good, good, Level.B_LT)


def test_a_stranger_and_a_stopped_server_are_told_apart(desk: Desk) -> None:
    with pytest.raises(KakuinError, match="the API key is unknown"):
        sealed(replace(desk.there, api_key="kakuin_x"), [Document.of(PAPER, "a.pdf")], NOTHING)
    with pytest.raises(KakuinError, match="an API key is needed"):
        sealed(replace(desk.there, api_key=""), [Document.of(PAPER, "a.pdf")], NOTHING)
