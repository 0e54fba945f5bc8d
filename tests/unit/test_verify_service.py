"""The operation: what is asked, and that nothing but the question decides the answer."""

import io
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests import pki
from tests.verdicts import NOW, office
from trust.edge import source
from trust.edge.sandbox import Sandbox
from trust.edge.wire import Luggage, decode, encode
from trust.errors import Malformed, Unacceptable
from trust.model import Document
from verifier import service, shapes, sources
from verifier.policy import load
from verifier.service import Question, Verifier
from verifier.verdict import Conclusion


def test_a_document_without_signatures_is_nothing_signed() -> None:
    verdict = Verifier(lambda: NOW).verify(Document.of(b"Plain text, signed by nobody."))
    assert verdict.conclusion is Conclusion.NOTHING_SIGNED
    assert verdict.validation_time == NOW
    assert verdict.policy == "strict"


def test_an_empty_document_cannot_be_judged() -> None:
    with pytest.raises(Malformed, match="empty"):
        Verifier(lambda: NOW).verify(Document.of(b""))


def test_the_clock_is_read_only_when_no_time_is_given() -> None:
    def broken() -> datetime:
        raise AssertionError("the clock was read")

    at = datetime(2020, 1, 1, tzinfo=UTC)
    assert Verifier(broken).verify(Document.of(b"text"), at=at).validation_time == at
    with pytest.raises(AssertionError):
        Verifier(broken).verify(Document.of(b"text"))


def test_a_question_survives_the_way_into_another_process() -> None:
    asked = Verifier(lambda: NOW, load("eu"), (office().root.certificate,)).question(
        Document.of(b"text", "a.txt"), [Document.of(b"more", "b.txt")], crls=office().crls()
    )
    back = decode(encode(asked, Luggage()))
    assert isinstance(back, Question)
    assert back.anchors == asked.anchors
    assert back.policy == asked.policy
    assert back.crls == asked.crls
    assert service.answer(back) == service.answer(asked)
    assert decode(encode(service.answer(asked))) == service.answer(asked)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-06-01", datetime(2026, 6, 1, tzinfo=UTC)),
        ("2026-06-01T09:00:00+09:00", datetime(2026, 6, 1, tzinfo=UTC)),
        ("2026-06-01T00:00:00.250Z", datetime(2026, 6, 1, 0, 0, 0, 250_000, tzinfo=UTC)),
        ("2026-06-01 00:00Z", datetime(2026, 6, 1, tzinfo=UTC)),
        ("now", NOW),
    ],
)
def test_times_as_people_write_them(text: str, moment: datetime) -> None:
    assert sources.moment(text, lambda: NOW) == moment


@pytest.mark.parametrize("text", ["", "tomorrow", "2026-06-01T00:00:00", "2026-13-01", "20260601", "0001-01-01T00:00:00+09:00", "9" * 500, "\x1b[2J"])
def test_what_is_no_time_is_told_in_one_line(text: str) -> None:
    with pytest.raises(Unacceptable) as caught:
        sources.moment(text)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


def test_standard_input_of_any_size_is_a_document(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "SPOOL", 1000)
    for size in (1, 1000, 1001, 5000):
        document = sources.streamed(io.BytesIO(b"x" * size))
        assert document.size == size
        assert document.read(9999) == b"x" * size
        with document.open() as one, document.open() as two:
            one.read(10)
            assert two.tell() == 0
    with pytest.raises(Malformed, match="standard input is empty"):
        sources.streamed(io.BytesIO())


def test_a_spooled_document_leaves_no_file_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(source, "SPOOL", 10)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    document = sources.streamed(io.BytesIO(b"x" * 100))
    assert len(list(tmp_path.iterdir())) == 1
    del document
    assert not list(tmp_path.iterdir())


def test_a_strangers_file_is_judged_in_a_process_that_has_nothing_to_lose() -> None:
    token = Document.of(pki.token(office().tsu, pki.Digest.of("sha256", b"x")), "x.tst")
    asked = Verifier(lambda: NOW, anchors=(office().root.certificate,)).question(token, [Document.of(b"x", "x.txt")], at=pki.CHECKED)
    with Sandbox(["verifier.service"], jobs=1) as sandbox:
        made = sandbox.run("verifier.service:answer", asked)
        assert made == service.answer(asked)
        assert made["timestamps"][0]["intact"]
        assert sandbox.run("verifier.shapes:etsi_report", asked, returns=bytes) == shapes.etsi_report(asked)
        with pytest.raises(Malformed, match="empty"):
            sandbox.run("verifier.service:answer", replace(asked, document=Document.of(b"")))
