"""What a seal can be: the table, its defaults and its refusals."""

from datetime import datetime

import pytest

from eseal.spec import LONGEST_TEXT, MEDIA_TYPE, OFFERED, Claims, Commitment, Format, Level, Packaging, Spec, choose, commitment, is_pdf, packagings
from trust.errors import Unacceptable

PDF = b"%PDF-1.7\n"
OTHER = b"a,b\r\n"


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (PDF, (Format.PADES, Level.B_LTA, Packaging.ENVELOPED)),
        (b"\xef\xbb\xbf\n" + PDF, (Format.PADES, Level.B_LTA, Packaging.ENVELOPED)),
        (OTHER, (Format.CADES, Level.B_LTA, Packaging.DETACHED)),
        (b"\x30\x82\x01\x00 a CMS with a " + PDF, (Format.CADES, Level.B_LTA, Packaging.DETACHED)),
        (b' {"a": 1}', (Format.JADES, Level.B_LTA, Packaging.DETACHED)),
        (b'[\n  {"a": 1}]', (Format.JADES, Level.B_LTA, Packaging.DETACHED)),
        (b"{\\rtf1 a text}", (Format.CADES, Level.B_LTA, Packaging.DETACHED)),
        (b"[section]\nkey=1\n", (Format.CADES, Level.B_LTA, Packaging.DETACHED)),
        (b"", (Format.CADES, Level.B_LTA, Packaging.DETACHED)),
    ],
)
def test_the_bytes_decide_the_default(head: bytes, expected: tuple[Format, Level, Packaging]) -> None:
    spec = choose(head)
    assert (spec.format, spec.level, spec.packaging) == expected


def test_the_default_level_is_the_highest_offered() -> None:
    assert all(choose(PDF, format=f, packaging=p).level is levels[-1] for (f, p), levels in OFFERED.items())


@pytest.mark.parametrize(("format_", "packaging"), OFFERED)
def test_each_offer_can_be_asked_for(format_: Format, packaging: Packaging) -> None:
    for level in OFFERED[format_, packaging]:
        assert choose(OTHER, format=format_, packaging=packaging, level=level) == Spec(format_, level, packaging)
    assert (format_, packaging) in MEDIA_TYPE


def test_names_are_read_in_any_case() -> None:
    assert choose(OTHER, format="PAdES", level="b-lta").format is Format.PADES
    assert choose(OTHER, digest="SHA-384").digest == "sha384"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"format": "docx"}, "no format has that name"),
        ({"level": "B-X"}, "no level has that name; there are B-B, B-T, B-LT and B-LTA"),
        ({"packaging": "enveloped"}, "cades is detached or attached, got enveloped"),
        ({"format": "pades", "packaging": "detached"}, "pades is enveloped, got detached"),
        ({"packaging": "wrapped"}, "no packaging has that name"),
        ({"digest": "md5"}, "digest is sha256, sha384, sha512, sha3-256, sha3-384 or sha3-512"),
        ({"password": "x"}, "a password belongs to an encrypted PDF"),
        (
            {"claims": Claims(reason="so")},
            "cades has no place for a reason; it has commitment, content_timestamp, description, location, mime_type, policy and role",
        ),
        ({"format": "pades", "claims": Claims(reason="so", commitment=Commitment.APPROVAL)}, "either a reason or a commitment"),
    ],
)
def test_what_is_not_offered_is_refused_with_what_is(asked: dict[str, str], message: str) -> None:
    with pytest.raises(Unacceptable, match=message):
        choose(OTHER, **asked)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("head", "format_", "packaging"),
    [
        (b'<?xml version="1.0"?>\n<a>', Format.XADES, Packaging.ENVELOPED),
        (b'\xef\xbb\xbf<?xml version="1.0"?><a>', Format.XADES, Packaging.ENVELOPED),
        (b'<?xml version="1.0"?><!DOCTYPE a><a>', Format.CADES, Packaging.DETACHED),
        (b"<html><body>", Format.CADES, Packaging.DETACHED),
        ('<?xml version="1.0"?><a>'.encode("utf-16"), Format.CADES, Packaging.DETACHED),
    ],
)
def test_xml_is_what_says_that_it_is(head: bytes, format_: Format, packaging: Packaging) -> None:
    assert (choose(head).format, choose(head).packaging) == (format_, packaging)


@pytest.mark.parametrize(
    ("head", "packaging"),
    [(b" <a>", Packaging.ENVELOPED), (b"a,b", Packaging.DETACHED), (b"<!DOCTYPE html><html>", Packaging.DETACHED), (b"<\0a\0", Packaging.DETACHED)],
)
def test_what_is_no_xml_envelops_no_xades(head: bytes, packaging: Packaging) -> None:
    assert choose(head, format="xades").packaging is packaging


def test_every_format_that_has_a_name_is_offered() -> None:
    assert all(packagings(f) for f in Format)


@pytest.mark.parametrize("text", ["", "a" * (LONGEST_TEXT + 1), "two\nlines", "\x00", "\u202e"])
def test_a_text_is_a_sentence(text: str) -> None:
    with pytest.raises(Unacceptable):
        Claims(reason=text)
    with pytest.raises(Unacceptable):
        Claims(location=text)


def test_a_claimed_time_has_a_zone() -> None:
    with pytest.raises(Unacceptable, match="zone"):
        Claims(signing_time=datetime(2025, 1, 1))


def test_commitments_have_names() -> None:
    assert commitment("approval") is Commitment.APPROVAL
    assert commitment(None) is None
    with pytest.raises(Unacceptable, match="origin, receipt, delivery, sender, approval and creation"):
        commitment("love")


def test_a_password_is_not_shown() -> None:
    assert "hunter2" not in repr(choose(PDF, password="hunter2"))


def test_a_pdf_is_known_by_its_beginning() -> None:
    assert is_pdf(b"\r\n %PDF-2.0")
    assert not is_pdf(b"see %PDF-2.0")
