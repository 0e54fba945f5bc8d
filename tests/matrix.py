"""Every seal that exists: format, packaging, level and writing by every kind of key, made through the service, with our verdict and EU DSS's.

The cells are read from the sealer's own tables: a format, packaging, level or choice that is added there is in the matrix by itself.
"""

import dataclasses
import functools
import itertools
import json
import subprocess
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed448, mldsa

from eseal.demonstration import csv, pdf
from eseal.service import Finding, Sealer, here
from eseal.spec import Format, Level, Packaging, Spec
from tests import pki as office
from tests.pki import SIGNED, Party, stamper
from tests.sealing import lists
from tests.shared import SHARED
from trust.algorithms import Algorithm
from trust.errors import KakuinError
from trust.model import Document
from trust.ports import Status
from verifier.policy import load
from verifier.question import Question
from verifier.service import answer, finding

DSS = SHARED / "oracle" / "dss"
NUMBER = "1234567890123"
PKI = office.pki()
LOOKED = SIGNED + timedelta(seconds=5)
"""When our verifier looks."""
XML = """<?xml version="1.0" encoding="UTF-8"?>
<n:通知 xmlns:n="urn:n" xml:lang="ja" xml:base="http://a.jp/">
 <額 単位="円">1000</額><!-- c --></n:通知>
"""
JSON = '{"通知": [1000, "円"]}\n'


# Keys: what a seal's key may be.


def _party(kind: str, algorithm: Algorithm | None = None, private: Any = None) -> Party:
    made = office.signer(PKI.ca, key=kind, private=private)
    return replace(made, algorithm=algorithm) if algorithm else made


KEYS = {
    "RSA 2048": lambda: _party("rsa2048"),
    "RSA 3072": lambda: _party("rsa3072"),
    "RSA 3072, PSS": lambda: _party("rsa3072").with_pss(),
    "P-256": lambda: _party("p256"),
    "P-384": lambda: _party("p384", Algorithm("ecdsa", "sha384")),
    "P-521": lambda: _party("p521", Algorithm("ecdsa", "sha512")),
    "Ed25519": lambda: _party("ed25519"),
    "Ed448": lambda: _party("ed448", Algorithm("ed448"), ed448.Ed448PrivateKey.generate()),
    "ML-DSA-44": lambda: _party("ml-dsa-44", Algorithm("ml-dsa-44"), mldsa.MLDSA44PrivateKey.generate()),
    "ML-DSA-65": lambda: _party("ml-dsa-65"),
    "ML-DSA-87": lambda: _party("ml-dsa-87", Algorithm("ml-dsa-87"), mldsa.MLDSA87PrivateKey.generate()),
}
USUAL = "P-256"


@functools.cache
def party(key: str) -> Party:
    return KEYS[key]()


# Cells: what there is, and what is refused before a document is looked at.

CHOICES: Mapping[str, type[StrEnum]] = {
    name: kind
    for name, kind in typing.get_type_hints(Spec).items()
    if isinstance(kind, type) and issubclass(kind, StrEnum) and name not in {"format", "packaging", "level"}
}
"""What a seal may be besides: the serialization of a JWS, and whatever comes."""
USUALLY = {f.name: f.default for f in dataclasses.fields(Spec) if f.name in CHOICES}


@dataclass(frozen=True)
class Shape:
    """Format, packaging and choices: a line of the matrix for each of its levels."""

    format: Format
    packaging: Packaging
    choices: tuple[tuple[str, StrEnum], ...] = ()
    """Where they are not the usual ones."""

    def spec(self, level: Level) -> Spec:
        return Spec(self.format, level, self.packaging, **dict(self.choices))  # type: ignore[arg-type]

    def __str__(self) -> str:
        return " ".join((self.format, self.packaging, *(value for _, value in self.choices)))


@dataclass(frozen=True)
class Cell:
    shape: Shape
    level: Level
    key: str

    @property
    def spec(self) -> Spec:
        return self.shape.spec(self.level)

    @property
    def id(self) -> str:
        return f"{self.shape} {self.level} {self.key}"


def shapes() -> Iterator[Shape]:
    """Each that can be said, whether or not it exists."""
    for form, packaging in itertools.product(Format, Packaging):
        for values in itertools.product(*CHOICES.values()):
            yield Shape(form, packaging, tuple((n, v) for n, v in zip(CHOICES, values, strict=True) if v != USUALLY[n]))


def there() -> tuple[list[tuple[Shape, Level]], dict[str, list[str]]]:
    """What exists; and each reason for which the rest does not, with what it is said of."""
    found, refused = list[tuple[Shape, Level]](), dict[str, list[str]]()
    for shape, level in itertools.product(shapes(), Level):
        try:
            shape.spec(level)
        except KakuinError as error:
            refused.setdefault(str(error), []).append(f"{shape} {level}")
        else:
            found.append((shape, level))
    return found, refused


def cells(*, all_keys: bool = False) -> list[Cell]:
    """Each format and packaging at each level by each kind of key; each other way of writing it by the usual one, or by all of them too."""
    return [Cell(shape, level, key) for shape, level in there()[0] for key in KEYS if all_keys or not shape.choices or key == USUAL]


# One cell.


@dataclass(frozen=True)
class Made:
    """What became of a cell."""

    cell: Cell
    refusal: str = ""
    """Why there is no seal."""
    level: str = ""
    """As our verifier found it, in a seal that passed."""
    sealed: Document | None = None
    detached: tuple[Document, ...] = ()
    why: str = ""
    """Why our verifier does not pass it."""


def subjects(shape: Shape) -> tuple[Document, ...]:
    """What is sealed: two documents where a container holds several."""
    if shape.format is Format.PADES:
        return (Document.of(_pdf(), "notice.pdf", "application/pdf"),)
    if shape.packaging is Packaging.ENVELOPED:
        text = JSON if shape.format is Format.JADES else XML
        return (Document.of(text.encode(), "notice.xml"),)
    table = Document.of(csv(), "prices.csv", "text/csv")
    if ("mechanism", "http-headers") in shape.choices:
        return (table, Document.of(b"text/csv", "Content-Type"), Document.of(b"post /v1/prices", "(request-target)"))
    return (table, Document.of(XML.encode(), "notice.xml")) if shape.format.startswith("asic-e") else (table,)


@functools.cache
def _pdf() -> bytes:
    return pdf()


def sealer(key: Party, check: Any = None) -> Sealer:
    """The service over an installation in memory, with our own verifier."""
    return Sealer(
        keys=lambda _: key,
        stamp=stamper(PKI.tsu),
        status=lambda _: Status(crls=lists(PKI), certs=(PKI.ca.certificate, PKI.root.certificate)),
        record=lambda _kind, _body: 0,
        clock=lambda: SIGNED,
        check=check or checked,
        run=here,
    )


def question(sealed: Document, detached: Sequence[Document]) -> Question:
    return Question(sealed, LOOKED, load("strict"), (PKI.root.certificate,), tuple(detached), crls=lists(PKI))


def checked(sealed: Document, detached: Sequence[Document], signature: bytes) -> Finding:
    return Finding(*finding(question(sealed, detached), signature))


def make(cell: Cell) -> Made:
    """Sealed through the service, and looked at once more by itself."""
    documents, findings = subjects(cell.shape), list[Finding]()

    def check(sealed: Document, detached: Sequence[Document], signature: bytes) -> Finding:
        findings.append(checked(sealed, detached, signature))
        return findings[-1]

    try:
        made = sealer(party(cell.key), check).seal(documents[0], cell.spec, NUMBER, documents[1:])
    except KakuinError as error:
        return Made(cell, refusal="" if findings else str(error), why=findings[-1].why if findings else "")
    sealed = Document.of(made.document.read(1 << 24), made.document.name or "sealed")
    detached = documents if cell.shape.packaging is Packaging.DETACHED else ()
    whole = answer(question(sealed, detached))
    why = "" if whole["conclusion"] == "passed" else json.dumps(whole["reasons"], ensure_ascii=False)
    return Made(cell, level=findings[-1].level, sealed=sealed, detached=detached, why=why)


# EU DSS.

DSS_FORM = {"pades": "PAdES", "cades": "CAdES", "xades": "XAdES", "jades": "JAdES"}


@dataclass(frozen=True)
class Stop:
    """Something that EU DSS 6.4 cannot judge."""

    what: str
    """Format, a choice, or how the name of a kind of key begins."""
    why: str
    """For people."""
    says: str
    """What it answers, in _against()'s words: `*` stands for the level, where the signature is intact."""


STOPS = (
    Stop("cose", "EU DSS knows no COSE", ""),
    Stop(
        "Ed25519",
        "EU DSS finds level and signature right; its timetable has no Ed25519",
        "*, intact, INDETERMINATE CRYPTO_CONSTRAINTS_FAILURE_NO_POE",
    ),
    Stop("Ed448", "EU DSS finds level and signature right; its timetable has no Ed448", "*, intact, INDETERMINATE CRYPTO_CONSTRAINTS_FAILURE_NO_POE"),
    Stop(
        "http-headers",
        "EU DSS finds the level right; fields of HTTP are given to it by a program, and its command here gives it files",
        "*, not intact, INDETERMINATE SIGNED_DATA_NOT_FOUND",
    ),
    Stop("ML-DSA", "EU DSS knows no ML-DSA", "0 signatures: IllegalArgumentException: Unsupported algorithm"),
)


def stop(cell: Cell) -> Stop | None:
    names = {str(cell.shape.format), *(str(value) for _, value in cell.shape.choices)}
    known = [s for s in STOPS if s.what in names or cell.key.startswith(s.what)]
    # What ends its work first is what it tells: a key that it cannot read, then content that it has not got, then its timetable.
    return next((s for what in ("cose", "ML-DSA", "http-headers") for s in known if s.what == what), known[0] if known else None)


def harm_by_dss(cell: Cell, said: str) -> str:
    """What it has against a seal that it can judge, or other than it always says of one that it cannot."""
    there_is = stop(cell)
    as_always = there_is is not None and said.startswith(there_is.says.replace("*", asked_level(cell)))
    return "" if as_always else said


def asked_level(cell: Cell) -> str:
    """The level as both verifiers write it."""
    form = cell.shape.format.rpartition("-")[2]
    return f"{DSS_FORM[form]}-BASELINE-{cell.level.removeprefix('B-')}" if form in DSS_FORM else f"COSE-{cell.level.removeprefix('B-')}"


def judged_by_dss(made: Sequence[Made], folder: Path) -> dict[str, str]:
    """By cell's id what EU DSS has against it; empty where it finds the same level, intact and TOTAL_PASSED. One JVM; COSE is not given to it."""
    (folder / "root.cer").write_bytes(PKI.root.certificate.der)
    crls = []
    for number, crl in enumerate(lists(PKI)):
        crls.append(str(folder / f"{number}.crl"))
        Path(crls[-1]).write_bytes(crl.der)
    jobs = []
    given = [one for one in made if one.sealed is not None and one.cell.shape.format is not Format.COSE]
    for number, one in enumerate(given):
        place = folder / str(number)
        place.mkdir()
        file = _written(one.sealed, place)
        job: dict[str, Any] = {"id": one.cell.id, "file": file, "trust": [str(folder / "root.cer")]}
        job["time"] = f"{SIGNED + timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}"
        if one.cell.level in (Level.B_B, Level.B_T):
            job["crls"] = crls
        if one.detached:
            job["detached"] = [{"file": _written(d, place), "name": d.name} for d in one.detached]
        jobs.append(job)
    lines = "".join(json.dumps(job) + "\n" for job in jobs)
    done = subprocess.run([DSS, "batch"], input=lines, capture_output=True, text=True, check=True)
    answers = {a["id"]: a for a in map(json.loads, done.stdout.splitlines())}
    return {one.cell.id: _against(one.cell, answers[one.cell.id]) for one in given}


def _written(document: Document | None, folder: Path) -> str:
    assert document is not None
    path = folder / (document.name or "sealed")
    path.write_bytes(document.read(1 << 24))
    return str(path)


def _against(cell: Cell, said: Mapping[str, Any]) -> str:
    signatures = said.get("signatures") or []
    if len(signatures) != 1:
        return f"{len(signatures)} signatures" + (f": {said['error']}"[:200] if said.get("error") else "")
    [one] = signatures
    found = (one["level"], one["intact"], one["indication"])
    if found == (asked_level(cell), True, "TOTAL_PASSED"):
        return ""
    return f"{one['level']}, {'intact' if one['intact'] else 'not intact'}, {one['indication']} {one.get('sub_indication') or ''}".rstrip()
