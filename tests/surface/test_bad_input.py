"""What must not be sealed or extended, by format: one line that says why, through the service and on the command line, and nothing is left behind.

The same document goes through both doors of an installation whose formats are parsed in confined processes.
"""

import io
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pikepdf
import pytest
from sqlalchemy import func, select

import cli
from eseal.demonstration import pdf
from eseal.spec import choose
from tests.asgi import client
from trust.edge import exits
from trust.edge.founding import Answers, make_instance
from trust.log.tables import ENTRY
from trust.model import Document

pytestmark = pytest.mark.xdist_group("bad input")

DEEP = 1 << 20
"""Bytes of nesting."""
EXIT = 65
"""EX_DATAERR: of all that is wrong with a document or what is asked of it."""
CSV = b"a,b\r\n1,2\r\n"
ASIC_E = b"application/vnd.etsi.asic-e+zip"
XML = b'<?xml version="1.0"?>\n<notice><amount>1000</amount></notice>\n'
LAUGHS = b'<!DOCTYPE a [<!ENTITY a "lol">' + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9)) + b"]><a>&j;</a>"


@dataclass(frozen=True)
class Bad:
    """A document that is refused."""

    format: str
    what: str
    make: Callable[["World"], bytes]
    says: str
    """A part of the one line."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Of sealing."""
    status: int = 400
    name: str = "document"
    extend: bool = False
    """Extended instead of sealed."""

    @property
    def id(self) -> str:
        return f"{'extend' if self.extend else 'seal'}-{self.format}-{self.what}".replace(" ", "-")


class World:
    """An installation, its application, and what it holds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with make_instance(folder / "instance", Answers()):
            pass
        self.house = cli.House(folder / "instance")
        self.house.sandbox.start()
        self.number = self.house.organisation(None)
        self.key = self.house.api_keys.create(self.number, "tests")[0]
        self.web = client(self.house.application())

    def sealed(self, data: bytes, **asked: str) -> bytes:
        document = Document.of(data, "document")
        return self.house.sealer.seal(document, choose(data[:1024], **asked), self.number).document.read(1 << 24)  # type: ignore[arg-type]

    def post(self, bad: Bad, data: bytes) -> httpx.Response:
        query = {"level": "B-LTA"} if bad.extend else {"format": bad.format, **bad.options}
        headers = {"Authorization": f"Bearer {self.key}", "Content-Disposition": f'attachment; filename="{bad.name}"'}
        path = "/v1/extensions" if bad.extend else "/v1/seals"
        return self.web.post(path, params=query, content=data, headers={**headers, "Content-Type": "application/octet-stream"})

    def recorded(self) -> int:
        """Seals and extensions."""
        with self.house.instance.engine.connect() as connection:
            return connection.execute(select(func.count()).select_from(ENTRY).where(ENTRY.c.kind.in_(("seal", "extension", "extend")))).scalar_one()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("bad"))
    with made.house:
        yield made


class _Shared:
    """The installation that is open already, for the command line."""

    def __init__(self, house: cli.House) -> None:
        self.house = house

    def __call__(self, *_: object) -> "_Shared":
        return self

    def __enter__(self) -> cli.House:
        return self.house

    def __exit__(self, *_: object) -> None: ...


def container(*entries: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as box:
        for name, data in entries:
            box.writestr(name, data)
    return made.getvalue()


def twice_named(world: World) -> bytes:
    """A container with an entry more, of the name of one that is there."""
    made = io.BytesIO(world.sealed(CSV, format="asic-e-cades", level="B-B"))
    with zipfile.ZipFile(made, "a") as box, pytest.warns(UserWarning, match="Duplicate name"):
        box.writestr("document", b"another")
    return made.getvalue()


def bomb(world: World) -> bytes:
    made = io.BytesIO(world.sealed(CSV, format="asic-e-cades", level="B-B"))
    with zipfile.ZipFile(made, "a", zipfile.ZIP_DEFLATED) as box:
        box.writestr("bomb", bytes(300 << 20))
    return made.getvalue()


def replaced(data: bytes, old: bytes, new: bytes) -> bytes:
    assert old in data
    return data.replace(old, new, 1)


def twice_said(world: World) -> bytes:
    """RFC 7515 section 4: the header parameter names are unique."""
    return replaced(world.sealed(CSV, format="jades", packaging="attached", level="B-B"), b'"payload"', b'"payload":"eA","payload"')


def paper(first: bytes) -> bytes:
    """A PDF of one page with this in its catalogue."""
    made = b"%PDF-1.7\n"
    offsets = []
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Resources<<>>>>"
    for number, body in enumerate((b"<</Type/Catalog/Pages 2 0 R" + first + b">>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>", page), start=1):
        offsets.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % at for at in offsets)
    return made + b"xref\n0 4\n0000000000 65535 f \n%strailer\n<</Size 4/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (table, len(made))


def deep_pdf(_: World) -> bytes:
    return paper(b"/Deep " + b"[" * (DEEP // 2) + b"]" * (DEEP // 2))


def locked(world: World) -> bytes:
    """Its maker allows no change any more (DocMDP with P 1)."""
    answer = world.web.post(
        "/v1/seals",
        params={"level": "B-B", "certify": "no-changes"},
        content=pdf(),
        headers={"Authorization": f"Bearer {world.key}", "Content-Type": "application/pdf"},
    )
    assert answer.status_code == 200, answer.text
    return answer.content


def encrypted(_: World) -> bytes:
    made = io.BytesIO()
    with pikepdf.open(io.BytesIO(pdf())) as paper_:
        paper_.save(made, encryption=pikepdf.Encryption(user="secret", owner="secret"))
    return made.getvalue()


ENVELOPED = {"packaging": "enveloped"}
NO_DTD, NONE = "document type declarations are not read", "there is no signature in the document to extend"
BROKEN = "what failed is not extended: The file breaks the rules of its format: EN 319 102-1 5.2.2"
SEALING = [
    Bad("pades", "of a table", lambda _: CSV, "the PDF cannot be updated: illegal pdf header"),
    Bad("pades", "of nothing", lambda _: b"", "empty"),
    Bad("pades", "cut off", lambda _: pdf()[:2000], "the PDF cannot be updated: eof marker not found"),
    Bad("pades", "of its first line", lambda _: b"%PDF-1.7\n", "the PDF cannot be updated"),
    Bad("pades", "nested deeply", deep_pdf, "the PDF is nested too deeply", status=413),
    Bad("pades", "locked", locked, "allows no changes after it (DocMDP with P=1)", status=422),
    Bad("pades", "encrypted", encrypted, "sealing it needs its password", status=422),
    Bad("pades", "attached", lambda _: pdf(), "pades is enveloped, got attached", {"packaging": "attached"}, status=422),
    Bad("xades", "of a table", lambda _: CSV, "not a well-formed xml document", ENVELOPED),
    Bad("xades", "cut off", lambda _: XML[:-5], "not a well-formed xml document", ENVELOPED),
    Bad("xades", "with entities", lambda _: LAUGHS, NO_DTD, ENVELOPED),
    Bad("xades", "with an external entity", lambda _: b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>', NO_DTD, ENVELOPED),
    Bad("xades", "with an external document type", lambda _: b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><a/>', NO_DTD, ENVELOPED),
    Bad("xades", "nested deeply", lambda _: b"<a>" * (DEEP // 7) + b"</a>" * (DEEP // 7), "xml document is nested too deeply", ENVELOPED),
    Bad("cades", "of nothing", lambda _: b"", "empty"),
    Bad("cades", "with a role of no length", lambda _: CSV, "role is 1 to 500 characters, got 0", {"role": ""}, status=422),
    Bad(
        "jades", "compact with a time-stamp", lambda _: CSV, "compact jades is at B-B only", {"serialization": "compact", "level": "B-T"}, status=422
    ),
    Bad("jades", "of nothing", lambda _: b"", "empty"),
    Bad("cose", "enveloped", lambda _: CSV, "cose is attached or detached, got enveloped", ENVELOPED, status=422),
    Bad("cose", "of nothing", lambda _: b"", "empty"),
    *(
        Bad(f"asic-{kind}", "named as the container's own", lambda _: CSV, "cannot stand in a container: mimetype", name="mimetype", status=422)
        for kind in ("s-cades", "s-xades", "e-cades", "e-xades")
    ),
    Bad("docx", "which is no format", lambda _: CSV, "no format has that name; there are pades, cades", status=422),
]
EXTENDING = [
    Bad("pades", "that nobody signed", lambda _: pdf(), NONE, extend=True, status=422),
    Bad("pades", "cut off", lambda w: w.sealed(pdf(), format="pades", level="B-B")[:-900], "PDF is cut off", extend=True),
    Bad(
        "cades",
        "cut off",
        lambda w: w.sealed(CSV, format="cades", packaging="attached", level="B-B")[:-9],
        f"{BROKEN} (ASN.1: value",
        extend=True,
        status=422,
    ),
    Bad("cades", "nested deeply", lambda _: b"\x30\x80" * (DEEP // 2), NONE, extend=True, status=422),
    Bad("xades", "with entities", lambda w: LAUGHS + w.sealed(XML, format="xades", level="B-B"), f"{BROKEN} ({NO_DTD}", extend=True, status=422),
    Bad("xades", "nested deeply", lambda _: b'<?xml version="1.0"?>' + b"<a>" * (DEEP // 3), "xml document is nested too deeply", extend=True),
    Bad("jades", "with a name twice", twice_said, "JSON object has the same member twice", extend=True),
    Bad("jades", "nested deeply", lambda _: b'{"payload":' + b"[" * DEEP, "JSON is nested deeper than 32", extend=True),
    Bad("cose", "nested deeply", lambda _: b"\xd2\x84" + b"\x81" * DEEP, f"{BROKEN} (CBOR: nested deeper than 16", extend=True, status=422),
    Bad("cose", "with too long a length", lambda _: b"\xd2\x84\x5b" + b"\xff" * 8, f"{BROKEN} (CBOR: data ends inside", extend=True, status=422),
    Bad("asic-e-cades", "with a name twice", twice_named, "what failed is not extended", extend=True, status=422),
    Bad("asic-e-cades", "with a bomb", bomb, "container unpacks to more than 200 times its size", extend=True, status=413),
    Bad(
        "asic-e-cades",
        "cut off",
        lambda w: w.sealed(CSV, format="asic-e-cades", level="B-B")[:-30],
        f"{BROKEN} (not a container",
        extend=True,
        status=422,
    ),
    Bad("asic-e-cades", "without a signature", lambda _: container(("mimetype", ASIC_E), ("a", CSV)), NONE, extend=True, status=422),
    Bad("none", "of a table", lambda _: CSV, NONE, extend=True, status=422),
]
TABLE = [*SEALING, *EXTENDING]


def left(world: World) -> tuple[int, tuple[str, ...]]:
    """What there is of seals, and of files outside of the installation."""
    return world.recorded(), tuple(sorted(str(p) for p in world.folder.rglob("*") if "instance" not in p.parts))


@pytest.mark.parametrize("bad", TABLE, ids=lambda bad: bad.id)
def test_it_is_refused_in_one_line_and_nothing_is_left(
    world: World, bad: Bad, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    data = bad.make(world)
    monkeypatch.setattr(tempfile, "tempdir", str(world.folder))
    before = left(world)
    answer = world.post(bad, data)
    told = answer.json()
    assert (answer.status_code, answer.headers["content-type"], told["status"]) == (bad.status, "application/problem+json", bad.status), told
    assert bad.says in told["detail"], told
    assert one_line(told["detail"])
    assert left(world) == before

    path = tmp_path / bad.name
    path.write_bytes(data)
    monkeypatch.setattr(cli, "House", _Shared(world.house))
    words = ["--level", "B-LTA"] if bad.extend else ["--format", bad.format, *(w for k, v in bad.options.items() for w in (f"--{k}", v))]
    status = cli.main(["extend" if bad.extend else "seal", str(path), *words])
    said = capsys.readouterr()
    assert (status, said.out) == (EXIT, ""), said.err
    assert said.err.startswith("kakuin: ") and one_line(said.err.removesuffix("\n"))
    assert bad.says in said.err
    assert (left(world), list(tmp_path.iterdir())) == (before, [path])


@pytest.mark.parametrize(
    ("query", "says"), [("colour=red", "an option that does not exist"), ("level=B-B&level=B-T", "gives level twice"), ("level=B-X", "level")]
)
def test_an_unknown_option_is_refused_and_nothing_is_left(world: World, query: str, says: str) -> None:
    before = left(world)
    answer = world.web.post(f"/v1/seals?{query}", content=CSV, headers={"Authorization": f"Bearer {world.key}"})
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert says in answer.json()["detail"] and one_line(answer.json()["detail"].replace("\n", " ")[:399])
    assert left(world) == before


def test_an_unknown_option_of_the_command_is_bad_usage(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(CSV)
    assert cli.main(["seal", str(tmp_path / "a.csv"), "--colour", "red"]) == exits.USAGE
    assert "No such option" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


def one_line(text: str) -> bool:
    return bool(text) and text.isprintable() and len(text) < 400
