"""Visible seals, fields and passwords of PDF over HTTP and from the command line to a server; and what a sealer does not give out."""

import base64
import hashlib
import io
import json
from collections.abc import Sequence
from typing import Any

import httpx
import pikepdf
import pytest

from eseal.client import seal_at
from eseal.extend_client import extend_at
from eseal.extend_material import Known
from eseal.pdf_seal import wished
from eseal.service import Finding
from eseal.spec import choose
from tests.paper_seals import form, picture
from tests.sealing import blank_pdf, fields
from tests.unit.test_pades_visible import small_font
from tests.unit.test_seal_api import Desk, desk, problem  # noqa: F401  # a fixture
from tests.unit.test_seal_service import World
from trust.errors import Unacceptable, Unavailable
from trust.model import Document

IMAGE = picture("PNG").read(1 << 20)
FONT = small_font("Exampletim: 0123456789-UTC+T").read(1 << 20)


def sent(**files: bytes) -> list[tuple[str, tuple[str, bytes, str]]]:
    return [(name, (f"{name}.bin", data, "application/pdf" if name == "document" else "application/octet-stream")) for name, data in files.items()]


def test_an_image_and_a_font_are_parts_of_the_form(desk: Desk) -> None:  # noqa: F811
    answer = desk.post(files=sent(document=blank_pdf(), image=IMAGE, font=FONT), data={"visible": "image+text", "page": "2"})
    assert answer.status_code == 200, answer.text
    with pikepdf.open(io.BytesIO(answer.content)) as paper:
        resources = paper.pages[1].obj.Annots[0].AP.N.Resources
        assert "/Im" in resources.XObject and "/F" in resources.Font


def test_options_in_json_do_the_same(desk: Desk) -> None:  # noqa: F811
    options = {"options": json.dumps({"field": "Approval", "certify": "forms", "visible": "qr"})}
    answer = desk.post(files=sent(document=form()), data=options)
    assert answer.status_code == 200, answer.text
    assert fields(answer.content)[0].name == "Approval"


def test_a_password_is_a_part_of_the_form(desk: Desk) -> None:  # noqa: F811
    locked = blank_pdf(encryption=pikepdf.Encryption(owner="o", user="u", R=6))
    answer = desk.post(files=sent(document=locked), data={"password": "o"})
    assert answer.status_code == 200, answer.text
    assert problem(desk.post(locked, "?password=o"))[0] == 422
    assert problem(desk.post(files=sent(document=locked)))[2] == "the PDF is encrypted: sealing it needs its password"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("?visible=stamp", "a visible seal shows text, seal, image, qr"),
        ("?visible=image", "needs one, as PNG or JPEG"),
        ("?field=Approval", "it has no empty signature field"),
        ("?visible=qr&page=7", "the PDF has"),
        ("?visible=qr&rect=0,0,9000,9000", "not on the page"),
    ],
)
def test_what_cannot_be_is_a_problem_and_nothing_is_recorded(desk: Desk, query: str, said: str) -> None:  # noqa: F811
    status, _, detail = problem(desk.post(blank_pdf(), query))
    assert status == 422
    assert said in detail
    assert desk.recorded == []


def test_the_same_key_with_another_image_is_another_request(desk: Desk) -> None:  # noqa: F811
    headers = {"Idempotency-Key": "one"}
    once = desk.post(files=sent(document=blank_pdf(), image=IMAGE), data={"visible": "image"}, headers=headers)
    again = desk.post(files=sent(document=blank_pdf(), image=IMAGE), data={"visible": "image"}, headers=headers)
    other = picture("JPEG", "RGB").read(1 << 20)
    changed = desk.post(files=sent(document=blank_pdf(), image=other), data={"visible": "image"}, headers=headers)
    assert once.content == again.content
    assert len(desk.recorded) == 1
    assert problem(changed)[0] == 409


_DIGEST = base64.b64encode(hashlib.sha256(b"%PDF-sealed").digest()).decode()
MADE = {"kakuin-format": "pades", "kakuin-level": "B-LTA", "repr-digest": f"sha-256=:{_DIGEST}:"}


def test_files_and_secrets_go_to_a_server_in_a_form() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        request.read()
        seen.append(request)
        return httpx.Response(200, content=b"%PDF-sealed", headers=MADE)

    def asked(said: dict[str, str | None], **attached: Document) -> httpx.Request:
        _, pieces, _ = seal_at("https://there", "key", Document.of(b"%PDF-1.7 x", "a.pdf"), said, attached, httpx.MockTransport(answer))
        assert b"".join(pieces) == b"%PDF-sealed"
        return seen[-1]

    plain = asked({"level": "B-T", "visible": None})
    assert (plain.content, str(plain.url)) == (b"%PDF-1.7 x", "https://there/v1/seals?level=B-T")
    whole = asked({"visible": "image", "password": "secret"}, image=Document.of(IMAGE, "ring.png"))
    assert whole.headers["content-type"].startswith("multipart/form-data")
    assert "secret" not in str(whole.url)
    for part in (b'name="password"', b"secret", b'name="image"; filename="ring.png"', IMAGE, b'name="document"; filename="a.pdf"'):
        assert part in whole.content


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({**MADE, "repr-digest": f"sha-256=:{'A' * 43}=:"}, "the digest of what arrived is not the one it says"),
        ({}, "what answers at there is no such service"),
    ],
    ids=["another digest", "another service"],
)
def test_what_comes_back_is_what_the_server_made(said: dict[str, str], why: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        request.read()
        return httpx.Response(200, content=b"%PDF-sealed", headers=said)

    with pytest.raises(Unavailable, match=why):
        seal_at("https://there", "key", Document.of(b"x"), {}, {}, httpx.MockTransport(answer))
    with pytest.raises(Unavailable, match=why):
        extend_at("https://there", "key", Document.of(b"x"), (), Known(), {}, httpx.MockTransport(answer))


class Exposing(World):
    """A verifier for which the sealed document shows more than signatures cover."""

    before: tuple[str, ...] = ()

    def _checked(self, sealed: Document, detached: Sequence[Document], signature: bytes) -> Finding:
        shown = ("page 1 signature field: added over what the page showed", "page 2: of old") if signature else self.before
        return Finding(bool(signature), self.level, "", shown)


@pytest.mark.parametrize("before", [(), ("page 2: of old",)], ids=["nothing before", "something before"])
def test_a_seal_that_earlier_signatures_do_not_allow_is_not_given_out(before: tuple[str, ...]) -> None:
    world = Exposing()
    world.before = before
    with pytest.raises(Unacceptable, match="earlier signatures of the document do not allow"):
        world.seal(blank_pdf())
    assert world.recorded == []


def test_what_was_shown_before_is_not_the_seals() -> None:
    world = Exposing()
    world.before = ("page 1 signature field: added over what the page showed", "page 2: of old")
    assert world.seal(blank_pdf()).index == 42


def test_letters_are_of_the_installations_font_unless_the_caller_brings_one() -> None:
    given: list[Any] = []

    def font() -> Document:
        given.append(1)
        return Document.of(FONT)

    from dataclasses import replace

    sealer = replace(World().sealer, font=font)
    data = blank_pdf()
    for said, files, calls in (({"visible": "text"}, {}, 1), ({"visible": "text"}, {"font": Document.of(FONT)}, 1), ({"visible": "qr"}, {}, 1)):
        sealer.seal(Document.of(data), choose(data, pdf=wished(said, **files)), "1234567890123")
        assert len(given) == calls
