"""The order of effects of sealing, and what holds when each of them fails or lies."""

import contextlib
import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from eseal import drafting
from eseal.demonstration import csv, pdf
from eseal.draft import Draft, Span, assembled
from eseal.service import Finding, Sealer, here, sealed_name
from eseal.spec import OFFERED, Claims, Level, Packaging, Spec, choose
from tests import pki as office
from tests.pki import SIGNED
from tests.sealing import fields, lists, opened
from trust.edge.sandbox import Sandbox
from trust.errors import KakuinError, Malformed, NotFound, Unacceptable, Unavailable
from trust.model import Digest, Document
from trust.ports import Key, Status

PKI = office.pki()
PDF, CSV = pdf(), csv()
NUMBER = "1234567890123"


@dataclass
class World:
    """A sealer whose every effect is written down, in order."""

    done: list[str] = field(default_factory=list)
    recorded: list[dict[str, Any]] = field(default_factory=list)
    finding: Finding | None = None
    seen: list[tuple[bytes, tuple[bytes, ...], bytes]] = field(default_factory=list)
    level: str = "PAdES-BASELINE-LTA"
    stamp: Callable[[Digest], bytes] = field(default_factory=lambda: office.stamper(PKI.tsu))
    status: Callable[[Sequence[Any]], Status] = lambda _: Status(crls=lists(PKI))
    run: Any = here

    def _key(self, number: str) -> Key:
        if number != NUMBER:
            raise NotFound("no organisation has that number")
        return PKI.signer

    def _stamped(self, digest: Digest) -> bytes:
        self.done.append("stamp")
        return self.stamp(digest)

    def _asked(self, chain: Sequence[Any]) -> Status:
        self.done.append("status")
        return self.status(chain)

    def _checked(self, sealed: Document, detached: Sequence[Document], signature: bytes) -> Finding:
        self.done.append("check")
        self.seen.append((sealed.read(1 << 30), tuple(d.read(1 << 30) for d in detached), signature))
        return self.finding or Finding(True, self.level)

    def record(self, kind: str, body: bytes) -> int:
        assert kind == "seal"
        self.done.append("record")
        self.recorded.append(json.loads(body))
        return 41 + len(self.recorded)

    @property
    def sealer(self) -> Sealer:
        return Sealer(self._key, self._stamped, self._asked, self.record, lambda: SIGNED, self._checked, self.run)

    def seal(self, data: bytes = PDF, name: str = "notice.pdf", **asked: Any) -> Any:
        return self.sealer.seal(Document.of(data, name), choose(data[:1024], **asked), NUMBER)


def test_build_stamp_status_check_record_release() -> None:
    world = World()
    made = world.seal()
    assert world.done == ["stamp", "status", "status", "stamp", "check", "record"]
    assert (made.index, made.organisation, made.time, made.document.name) == (42, NUMBER, SIGNED, "notice.sealed.pdf")
    data = made.document.read(1 << 30)
    assert data.startswith(PDF)
    assert Digest.of("sha256", data).value == made.sha256
    assert world.seen == [(data, (), made.draft.signature)]
    assert made.document.media_type == "application/pdf"


def test_the_journal_gets_digests_and_never_the_document() -> None:
    world = World()
    made = world.seal(claims=Claims(reason="a secret reason"))
    [entry] = world.recorded
    assert entry["document"] == Digest.of("sha256", PDF).value.hex()
    assert entry["sealed"] == made.sha256.hex()
    assert entry["signature"] == Digest.of("sha256", made.draft.signature).value.hex()
    assert entry["stamps"] == [Digest.of("sha256", t).value.hex() for t in made.draft.stamps]
    assert entry["certificate"] == PKI.signer.certificate.id.hex()
    assert (entry["format"], entry["level"], entry["packaging"], entry["organisation"]) == ("pades", "B-LTA", "enveloped", NUMBER)
    assert len(entry["signed"]) == 1
    assert entry["time"] == SIGNED.isoformat()
    assert "secret" not in json.dumps(entry)
    assert "notice" not in json.dumps(entry)


def test_detached_content_is_given_to_the_check() -> None:
    world = World(level="CAdES-BASELINE-LTA")
    made = world.seal(CSV, "prices.csv")
    assert world.seen[0][1] == (CSV,)
    assert made.document.name == "prices.csv.p7s"
    world = World(level="CAdES-BASELINE-LTA")
    made = world.seal(CSV, "prices.csv", packaging="attached")
    assert world.seen[0][1] == ()
    assert made.document.name == "prices.csv.p7m"


@pytest.mark.parametrize("finding", [Finding(False, "PAdES-BASELINE-LTA", "a reason"), Finding(True, "PAdES-BASELINE-T"), Finding(True, "")])
def test_what_our_verifier_does_not_pass_at_the_level_asked_for_is_not_given_out(finding: Finding) -> None:
    world = World(finding=finding)
    with pytest.raises(KakuinError, match="did not pass our own verification at B-LTA"):
        world.seal()
    assert world.recorded == []


def test_what_our_verifier_cannot_read_is_not_given_out() -> None:
    world = World()

    def unread(_sealed: Document, _detached: Sequence[Document], _signature: bytes) -> Finding:
        raise Malformed("PDF is encrypted and needs a password")

    with pytest.raises(Unacceptable, match="our own verifier cannot read the document, so it is not given out: PDF is encrypted"):
        replace(world.sealer, check=unread).seal(Document.of(PDF), choose(PDF), NUMBER)
    assert world.recorded == []


def test_without_a_record_there_is_no_seal() -> None:
    world = World()

    def full(_kind: str, _body: bytes) -> int:
        raise Unavailable("the journal is full")

    with pytest.raises(Unavailable, match="the journal is full"):
        replace(world.sealer, record=full).seal(Document.of(PDF), choose(PDF), NUMBER)


@pytest.mark.parametrize(
    ("what", "message"), [("stamp", "B-LTA needs a time-stamp and the authority gives none: gone"), ("status", "B-LTA needs revocation data")]
)
def test_what_is_away_is_named(what: str, message: str) -> None:
    def away(_: object) -> Any:
        raise Unavailable("gone")

    world = World(**{what: away})
    with pytest.raises(Unavailable, match=message):
        world.seal()
    assert world.recorded == []


def test_an_organisation_without_a_key_and_an_empty_document() -> None:
    world = World()
    with pytest.raises(NotFound):
        world.sealer.seal(Document.of(PDF), choose(PDF), "9999999999999")
    with pytest.raises(Malformed, match="empty"):
        world.sealer.seal(Document.of(b""), choose(b""), NUMBER)
    assert world.done == []


def lying(change: Callable[[Draft], Draft]) -> Callable[..., Any]:
    """A confined process in a stranger's hands, which hands back something else than what it made."""

    def run(target: str, *args: Any, calls: Mapping[str, Callable[..., Any]] | None, returns: type[Any]) -> Any:
        return change(here(target, *args, calls=calls, returns=returns))

    return run


@pytest.mark.parametrize(
    "change",
    [
        lambda d: replace(d, pieces=(Span(0, len(PDF) - 1), *d.pieces[1:])),
        lambda d: replace(d, pieces=(Span(1, len(PDF)), *d.pieces[1:])),
        lambda d: replace(d, pieces=(d.pieces[0], d.pieces[0], *d.pieces[1:])),
        lambda d: replace(d, pieces=(Span(0, 1 << 40), *d.pieces[1:])),
        lambda d: replace(d, pieces=d.pieces[1:]),
        lambda d: replace(d, pieces=("text", *d.pieces)),
        lambda d: replace(d, signature="text"),
        lambda d: replace(d, warnings=(b"bytes",)),
        lambda d: replace(d, warnings=("one\r\nSet-Cookie: two",)),
        lambda d: replace(d, warnings=("角",)),
        lambda d: replace(d, warnings=("x" * 201,)),
    ],
)
def test_the_confined_process_is_not_believed(change: Callable[[Draft], Draft]) -> None:
    world = World(run=lying(change))
    with pytest.raises(Malformed, match="the seal that was made"):
        world.seal()
    assert world.recorded == []


def misusing(what: str, value: Any, times: int = 1) -> Callable[..., Any]:
    def run(_target: str, *_args: Any, calls: Mapping[str, Callable[..., Any]] | None, returns: type[Any]) -> Any:
        assert calls is not None
        for _ in range(times):
            calls[what](value)
        return returns((Span(0, len(PDF)), b""), b"")

    return run


@pytest.mark.parametrize(
    ("what", "value", "times", "error"),
    [
        ("sign", PKI.signer.certificate.asn1["tbs_certificate"].dump(), 1, Unacceptable),
        ("sign", b"a plain text", 1, Unacceptable),
        ("sign", b"", 1, Unacceptable),
        ("sign", b"\x31" + bytes(1 << 16), 1, Unacceptable),
        ("sign", "text", 1, Unacceptable),
        ("sign", b"\x31\x00", 3, Unacceptable),
        ("stamp", b"bytes", 1, Malformed),
        ("stamp", Digest.of("sha256", b""), 9, Unacceptable),
        ("status", (b"bytes",), 1, Malformed),
        ("status", (), 9, Unacceptable),
    ],
)
def test_the_confined_process_cannot_have_everything_signed(what: str, value: Any, times: int, error: type[Exception]) -> None:
    world = World(run=misusing(what, value, times))
    with pytest.raises(error):
        world.seal()
    assert world.recorded == []


def test_whatever_the_key_signed_is_in_the_record() -> None:
    def twice(target: str, *args: Any, calls: Mapping[str, Callable[..., Any]] | None, returns: type[Any]) -> Any:
        assert calls is not None
        calls["sign"](b"\x31\x00")
        return here(target, *args, calls=calls, returns=returns)

    world = World(run=twice)
    world.seal()
    assert Digest.of("sha256", b"\x31\x00").value.hex() in world.recorded[0]["signed"]
    assert len(world.recorded[0]["signed"]) == 2


def test_formats_that_parse_nothing_stay_in_this_process() -> None:
    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("ran elsewhere")

    assert World(run=never, level="CAdES-BASELINE-LTA").seal(CSV, "prices.csv")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(("eseal.drafting", "eseal.formats.pades")) as made:
        yield made


@pytest.mark.parametrize("level", ["B-B", "B-T", "B-LT", "B-LTA"])
def test_a_pdf_is_sealed_in_a_process_that_has_no_key(sandbox: Sandbox, level: str) -> None:
    world = World(run=sandbox.run, level=f"PAdES-BASELINE-{level.removeprefix('B-')}")
    made = world.seal(level=level)
    data = made.document.read(1 << 30)
    first = fields(data)[0]
    assert opened(first.contents[: _der_length(first.contents)]).signer == PKI.signer.certificate
    assert world.recorded[0]["level"] == level


def _der_length(data: bytes) -> int:
    return 4 + int.from_bytes(data[2:4], "big")


def test_errors_cross_from_the_confined_process(sandbox: Sandbox) -> None:
    with pytest.raises(Malformed, match="the PDF cannot be updated"):
        World(run=sandbox.run).seal(PDF[: len(PDF) // 2])

    def away(_: object) -> Any:
        raise Unavailable("gone")

    with pytest.raises(Unavailable, match="B-LTA needs a time-stamp and the authority gives none: gone"):
        World(run=sandbox.run, stamp=away).seal()


@pytest.mark.parametrize(
    ("asked", "size", "where"),
    [
        ({"format": "cades", "level": "B-B"}, 10, "here"),
        ({"format": "cades", "packaging": "attached", "level": "B-B"}, 10, "here"),
        ({"format": "cades", "packaging": "attached", "level": "B-B"}, 1 << 20, "apart"),  # large: with the limits of memory and time
        ({"format": "jades", "level": "B-B"}, 10, "here"),
        ({"format": "cose", "level": "B-B"}, 10, "apart"),  # what it carries may begin a PDF
        ({"format": "asic-e-cades", "level": "B-B"}, 10, "apart"),
        ({"format": "xades", "packaging": "detached", "level": "B-B"}, 10, "here"),
        ({"format": "xades", "packaging": "attached", "level": "B-B"}, 10, "here"),
    ],
    ids=lambda v: "-".join(v.values()) if isinstance(v, dict) else str(v),
)
def test_only_what_parses_nothing_of_a_document_is_checked_beside_the_keys(asked: dict[str, str], size: int, where: str) -> None:
    world, checked = World(), list[str]()

    def check(name: str, *_: object) -> Finding:
        checked.append(name)
        return Finding(True, "BASELINE-B COSE-B")

    found = {"check": functools.partial(check, "apart"), "check_here": functools.partial(check, "here")}
    with contextlib.suppress(KakuinError):  # what level was found is not the matter here
        replace(world.sealer, **found).seal(Document.of(bytes(size), "a.bin"), choose(b"", **asked), NUMBER)
    assert checked == [where]


def test_what_is_written_into_a_document_is_written_and_checked_apart() -> None:
    """Every format either parses a document, and does so in a confined process, or parses nothing of it; containers are checked apart too."""
    for format_, packaging in OFFERED:
        spec = Spec(format_, Level.B_B, packaging)
        enveloped = packaging is Packaging.ENVELOPED
        assert drafting.parses(spec) == enveloped
        assert drafting.is_opaque(spec) == (not enveloped and not format_.startswith("asic") and format_ != "cose")
    for addition, format_ in drafting.ADDING:  # what is signed already is parsed whatever it is
        spec = replace(choose(b"", format=format_, level="B-B"), addition=addition)
        assert drafting.parses(spec)
        assert not drafting.is_opaque(spec)


def test_a_large_document_reaches_the_check_as_a_file(sandbox: Sandbox, tmp_path: Path) -> None:
    import io

    import pikepdf

    paper = pikepdf.open(io.BytesIO(PDF))
    paper.Root.Ballast = paper.make_stream(bytes(range(256)) * (3 << 12))
    path = tmp_path / "large.pdf"
    paper.save(path, compress_streams=False)
    document = Document("large.pdf", path.stat().st_size, lambda: path.open("rb"))
    world = World()

    def check(sealed: Document, _detached: Sequence[Document], _signature: bytes) -> Finding:
        with sealed.open() as stream:
            assert stream.fileno() >= 0
        world.seen.append((sealed.read(1 << 30), (), b""))
        return Finding(True, "PAdES-BASELINE-LTA")

    made = replace(world.sealer, check=check, run=sandbox.run).seal(document, choose(PDF), NUMBER)
    assert world.seen[0][0] == made.document.read(1 << 30)


@pytest.mark.parametrize(
    ("name", "asked", "expected"),
    [
        ("contract.v2.pdf", {}, "contract.v2.sealed.pdf"),
        (None, {}, "document.sealed.pdf"),
        ("契約書.PDF", {}, "契約書.sealed.pdf"),
        ("a.csv", {"format": "cades"}, "a.csv.p7s"),
        ("a.csv", {"format": "cades", "packaging": "attached"}, "a.csv.p7m"),
    ],
)
def test_names(name: str | None, asked: dict[str, str], expected: str) -> None:
    assert sealed_name(name, choose(PDF, **asked)) == expected  # type: ignore[arg-type]


def test_every_offered_format_has_its_module() -> None:
    from eseal.spec import MEDIA_TYPE, OFFERED

    assert {f for f, _ in OFFERED} == set(drafting.MODULES)
    assert set(OFFERED) == set(MEDIA_TYPE)


def test_a_seal_can_be_laid_out_again() -> None:
    made = World().seal()
    again = assembled(Document.of(PDF), made.draft.pieces, None, None)
    assert Digest.of("sha256", again.read(1 << 30)).value == made.sha256
