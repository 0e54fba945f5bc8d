"""Batches: a job a line in, an answer a line out, in order, whatever a file does."""

import base64
import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.verdicts import NOW, everything, office
from trust.errors import KakuinError, Malformed, NotFound, TooLarge
from verifier import bulk, sources
from verifier.report.json import report
from verifier.service import Question, Verifier
from verifier.verdict import Conclusion


def pem(der: bytes) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(der).decode()}-----END CERTIFICATE-----\n"


@pytest.fixture
def verifier() -> Verifier:
    return Verifier(lambda: NOW)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.pdf").write_bytes(b"a")
    (tmp_path / "b.txt").write_bytes(b"bb")
    (tmp_path / "root.pem").write_text(pem(office().root.certificate.der) + pem(office().ca.certificate.der))
    (tmp_path / "list.crl").write_bytes(office().crls()[0].der)
    return tmp_path


def asked(folder: Path, verifier: Verifier, job: dict[str, Any]) -> Question:
    """The question that one job leads to."""
    found: list[Question] = []

    def answer(question: Question) -> dict[str, Any]:
        found.append(question)
        return {"conclusion": "passed"}

    [made] = bulk.answers([json.dumps({"file": str(folder / "a.pdf"), **job})], verifier, answer)
    assert "error" not in made, made
    return found[0]


def refused(folder: Path, verifier: Verifier, line: str) -> dict[str, Any]:
    def answer(question: Question) -> dict[str, Any]:
        raise AssertionError("was asked")

    [made] = bulk.answers([line], verifier, answer)
    return made


def test_a_job_says_everything_that_its_verdict_depends_on(folder: Path, verifier: Verifier) -> None:
    question = asked(
        folder,
        verifier,
        {
            "id": "x",
            "world": "then",
            "trust": [str(folder / "root.pem")],
            "certificates": [str(folder / "root.pem")],
            "crls": [str(folder / "list.crl")],
            "time": "2025-03-01T18:00:00+09:00",
            "policy": "eu",
            "detached": [
                str(folder / "b.txt"),
                {"file": str(folder / "b.txt"), "name": "other.txt"},
                {"digest": base64.b64encode(hashlib.sha256(b"bb").digest()).decode(), "algorithm": "SHA256", "name": "known"},
            ],
            "evidence_records": [str(folder / "b.txt")],
        },
    )
    assert question.document.read(9) == b"a"
    assert question.anchors == (office().root.certificate, office().ca.certificate)
    assert question.certificates == question.anchors
    assert question.crls == (office().crls()[0],) or len(question.crls) == 1
    assert question.at == datetime(2025, 3, 1, 9, tzinfo=UTC)
    assert question.policy.name == "eu"
    assert [d.name for d in question.detached] == ["b.txt", "other.txt", "known"]
    known = question.detached[2]
    assert not known.readable
    digest = known.digest("sha256")
    assert digest is not None and digest.value == hashlib.sha256(b"bb").digest()
    assert [d.read(9) for d in question.records] == [b"bb"]


def test_what_a_job_does_not_say_is_the_verifiers(folder: Path) -> None:
    question = asked(folder, Verifier(lambda: NOW, anchors=(office().root.certificate,)), {})
    assert question.at == NOW
    assert question.policy.name == "strict"
    assert question.anchors == (office().root.certificate,)
    # No anchors at all is something that a job can say.
    assert asked(folder, Verifier(lambda: NOW, anchors=(office().root.certificate,)), {"trust": []}).anchors == ()


@pytest.mark.parametrize(
    ("line", "slug", "why"),
    [
        ("not json", "malformed", "not JSON"),
        ("[" * 100_000, "malformed", "not JSON"),
        ("[]", "malformed", "object, got list"),
        ('{"file": "F", "trust": [], "trust": ["F"]}', "malformed", "same member twice"),
        ("{}", "malformed", "file is missing"),
        ('{"file": 5}', "malformed", "file is a text, got int"),
        ('{"file": "F", "trust": "x"}', "malformed", "trust is a list of texts"),
        ('{"file": "F", "crls": [5]}', "malformed", "crls is a list of texts"),
        ('{"file": "F", "detached": "x"}', "malformed", "detached is a list"),
        ('{"file": "F", "detached": [5]}', "malformed", "{file, name}"),
        ('{"file": "F", "detached": [{"digest": "!", "algorithm": "SHA256"}]}', "malformed", "not base64"),
        ('{"file": "F", "detached": [{"file": "F", "name": 5}]}', "malformed", "name of a detached document"),
        ('{"file": "F", "tmie": "2026-01-01"}', "malformed", "unknown key 'tmie'"),
        ('{"file": "F", "time": "yesterday"}', "unacceptable", "not a time"),
        ('{"file": "F", "time": "2026-01-01T00:00:00"}', "unacceptable", "no zone"),
        ('{"file": "F", "policy": "lenient"}', "not-found", "no policy 'lenient'"),
        ('{"file": "nowhere.pdf"}', "not-found", "no such file: nowhere.pdf"),
        ('{"file": "a\\u0000b"}', "not-found", "zero byte"),
        ('{"file": "F", "trust": ["nowhere.pem"]}', "not-found", "no such file: nowhere.pem"),
        ('{"file": "F", "trust": ["F"]}', "malformed", "a.pdf: "),
    ],
)
def test_a_broken_job_is_told_what_is_wrong(folder: Path, verifier: Verifier, line: str, slug: str, why: str) -> None:
    made = refused(folder, verifier, line.replace('"F"', json.dumps(str(folder / "a.pdf"))))
    assert made["error"]["type"] == slug
    assert why in made["error"]["text"]
    assert "\n" not in made["error"]["text"]
    assert "ms" in made


def test_no_file_ends_the_batch(folder: Path, verifier: Verifier, caplog: pytest.LogCaptureFixture) -> None:
    failures: dict[str, Callable[[], Exception]] = {
        "malformed": lambda: Malformed("broken"),
        "large": lambda: TooLarge("over 5 bytes"),
        "defect": lambda: ZeroDivisionError("a secret of the document"),
        "deep": RecursionError,
        "memory": MemoryError,
    }

    def answer(question: Question) -> dict[str, Any]:
        name = question.at.strftime("%d")
        if int(name) <= len(failures):
            raise list(failures.values())[int(name) - 1]()
        return report(everything()["passed"])

    lines = [json.dumps({"id": n, "file": str(folder / "a.pdf"), "time": f"2026-01-0{n}"}) for n in range(1, 8)]
    with caplog.at_level(logging.CRITICAL):
        made = list(bulk.answers([lines[0], "\n", *lines[1:]], verifier, answer))
    assert [m["id"] for m in made] == [1, 2, 3, 4, 5, 6, 7]
    assert [bulk.outcome(m) for m in made] == ["error"] * 5 + ["passed"] * 2
    assert [m["error"]["type"] for m in made[:5]] == ["malformed", "too-large", "internal", "internal", "too-large"]
    assert not any("secret" in json.dumps(m) for m in made)


def test_answers_come_as_soon_as_they_are_there(folder: Path, verifier: Verifier) -> None:
    read = []

    def lines() -> Any:
        for n in range(3):
            read.append(n)
            yield json.dumps({"id": n, "world": "bare", "file": str(folder / "a.pdf")})

    seconds = iter([0.0, 0.25, 1.0, 1.5, 2.0, 2.0])
    answers = bulk.answers(lines(), verifier, lambda q: {"conclusion": "passed"}, lambda: next(seconds))
    assert next(answers) == {"id": 0, "world": "bare", "conclusion": "passed", "ms": 250.0}
    assert read == [0], "the second job was read before the first was answered"
    assert [a["ms"] for a in answers] == [500.0, 0.0]


def test_files_that_jobs_share_are_read_once(folder: Path, verifier: Verifier, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[bytes] = []

    def counted(data: bytes) -> list[Any]:
        parsed.append(data)
        return [office().root.certificate]

    monkeypatch.setattr(sources, "certificates_in", counted)
    for _ in range(3):
        asked(folder, verifier, {"trust": [str(folder / "root.pem")]})
    assert len(parsed) == 1
    (folder / "root.pem").write_text("changed since, and longer than before" * 100)
    asked(folder, verifier, {"trust": [str(folder / "root.pem")]})
    assert len(parsed) == 2, "a changed file was not read again"


def test_folders_are_walked_in_order(tmp_path: Path) -> None:
    for name in ("b/2.pdf", "b/1.pdf", "a.pdf", ".hidden/x.pdf", "b/.secret"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    found = [p.relative_to(tmp_path).as_posix() for p in bulk.files([tmp_path])]
    assert found == ["a.pdf", "b/1.pdf", "b/2.pdf"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound, match="has no files"):
        list(bulk.files([tmp_path / "empty"]))


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ({"passed": 3}, 0),
        ({"passed": 3, "nothing_signed": 1}, 4),
        ({"passed": 3, "nothing_signed": 1, "indeterminate": 1}, 3),
        ({"passed": 3, "indeterminate": 1, "error": 1}, 65),
        ({"passed": 3, "error": 1, "failed": 1, "indeterminate": 5}, 1),
    ],
)
def test_a_set_is_as_good_as_its_worst_file(outcomes: dict[str, int], code: int) -> None:
    assert bulk.exit_code(Counter(outcomes)) == code
    assert set(bulk.SEVERITY) == {*Conclusion, "error"}


def test_certificates_are_read_from_files_and_folders(folder: Path) -> None:
    root, ca = office().root.certificate, office().ca.certificate
    (folder / "ca.cer").write_bytes(ca.der)
    (folder / "notes.txt").write_text("no certificate")
    assert set(sources.certificates([folder])) == {root, ca}
    assert sources.certificates([folder / "ca.cer", folder / "root.pem"]) == (ca, root)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "bad.pem: expected a certificate"),
        (b"hello", "bad.pem: certificate is not valid DER X.509"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "bad.pem: certificate is not valid"),
        (b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n", "bad.pem: PEM block is not base64"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "bad.pem: expected a certificate"),
    ],
)
def test_a_file_that_is_no_certificate_is_named(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "bad.pem").write_bytes(content)
    for path in (tmp_path, tmp_path / "bad.pem"):
        with pytest.raises(Malformed) as caught:
            sources.certificates([path])
        assert why in str(caught.value)


def test_folders_and_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    cases: list[tuple[Callable[[], object], str]] = [
        (lambda: sources.certificates([tmp_path]), "has no certificates"),
        (lambda: sources.certificates([tmp_path / "x"]), "no such file"),
        (lambda: sources.detached([tmp_path]), "has no files"),
        (lambda: sources.document(tmp_path), "is a folder, expected a file"),
        (lambda: sources.crls([tmp_path / "x"]), "no such file"),
        (lambda: sources.policy(str(tmp_path)), "no policy"),
    ]
    for work, why in cases:
        with pytest.raises(NotFound) as caught:
            work()
        assert why in str(caught.value)


def test_detached_folders_name_their_files_by_path(tmp_path: Path) -> None:
    (tmp_path / "META-INF").mkdir()
    (tmp_path / "META-INF" / "a.xml").write_bytes(b"x")
    (tmp_path / "b.txt").write_bytes(b"y")
    assert [d.name for d in sources.detached([tmp_path])] == ["META-INF/a.xml", "b.txt"]


def test_a_policy_file_is_read_and_its_faults_are_named(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('name = "mine"')
    assert sources.policy(str(tmp_path / "mine.toml")).name == "mine"
    (tmp_path / "bad.toml").write_text('name = "x"\nlenient = true\n')
    with pytest.raises(KakuinError, match=r"bad\.toml: .*lenient"):
        sources.policy(str(tmp_path / "bad.toml"))


def test_a_small_file_is_opened_once_and_a_large_one_is_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "SMALL", 100)
    for name, size in (("small", 100), ("large", 101)):
        (tmp_path / name).write_bytes(b"x" * size)
    asked = {name: bulk.question(bulk.Job(str(tmp_path / name)), Verifier(lambda: NOW)).document for name in ("small", "large")}
    for name in asked:
        (tmp_path / name).unlink()
    assert (asked["small"].name, asked["small"].size, asked["small"].read(200)) == ("small", 100, b"x" * 100)
    assert asked["large"].size == 101
    with pytest.raises(FileNotFoundError):
        asked["large"].read(200)
