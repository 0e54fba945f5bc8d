"""Attacks on signed PDFs by their bytes: what programs read differently from each other, and what stands where no signature covers it."""

import re
import zlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests import papers
from tests.papers import CONTENTS, FONT, FORM, PAGE, PAGES, TEXT, Paper, look, pades_cms, stream, text_field
from tests.unit.test_pdf_attacks import suspicion
from tests.unit.test_pdf_changes import CERTIFIED, NEW, OTHER, PLAIN, SEAL, SIGNED, TSU, alarms, drawn, filled

Story = Callable[[], Paper]
ZIPPED = "/Subtype /Form /BBox [0 0 200 20] /Resources << /Font << /Helv 5 0 R >> >>"
EVIL = b"4 0 obj\n" + drawn("The price is 900 yen") + b"\nendobj\n"


def appended(more: bytes, made: Paper = SIGNED) -> Paper:
    return replace(made, data=made.data + more)


def update(objects: bytes, table: str, trailer: str = "", made: Paper = SIGNED, *, start: int | None = None) -> Paper:
    """An update written by hand. `table` may name offsets from its beginning as {n}."""
    base = len(made.data)
    table = re.sub(r"\{(-?\d+)\}", lambda m: f"{base + int(m[1]):010d}", table)
    at = base + len(objects)
    tail = f"xref\n{table}trailer\n<< /Size 200 /Root 1 0 R /Prev {made.start} {trailer} >>\nstartxref\n{at if start is None else start}\n%%EOF\n"
    return replace(made, data=made.data + objects + tail.encode(), start=at)


def body_of(number: int, made: Paper = SIGNED) -> bytes:
    return made.bodies[number]


def twice(number: int, old: bytes, new: bytes) -> Paper:
    """A dictionary in which a key stands twice: programs take the first or the last."""
    body = body_of(number)
    assert old in body
    return SIGNED.saved({number: body.replace(old, new + b" " + old), 80: drawn("900")})


def hybrid(*, hidden: bool) -> Paper:
    """A table and a cross-reference stream of the same update that disagree about the page's content."""
    objects = EVIL
    rows = bytes((1,)) + len(SIGNED.data).to_bytes(4, "big") + b"\0"
    xref = b"<< /Type /XRef /Size 200 /W [1 4 1] /Index [4 1] /Length %d >>\nstream\n" % len(rows) + rows + b"\nendstream"
    at = len(SIGNED.data) + len(objects)
    objects += b"150 0 obj\n" + xref + b"\nendobj\n"
    old = SIGNED.data.index(b"\n4 0 obj") + 1
    entry = "0000000000 00000 f \n" if hidden else f"{old:010d} 00000 n \n"
    return update(objects, f"4 1\n{entry}150 1\n{at:010d} 00000 n \n", f"/XRefStm {at}")


def two_of_one_number(*, last: bool) -> Paper:
    """Two objects with one number in one update; the table leads to the harmless one."""
    same = b"4 0 obj\n" + body_of(CONTENTS) + b"\nendobj\n"
    objects, at = (same + EVIL, 0) if not last else (EVIL + same, len(EVIL))
    return update(objects, f"4 1\n{{{at}}} 00000 n \n")


def unlisted_beside() -> Paper:
    """An object that no table lists, beside one that is."""
    harmless = b"90 0 obj\n(x)\nendobj\n"
    return update(harmless + EVIL, "90 1\n{0} 00000 n \n")


def object_stream(numbers: dict[int, bytes], made: Paper = SIGNED) -> Paper:
    """An update with these objects in an object stream, and a cross-reference stream."""
    bodies = b" ".join(numbers.values())
    heads, at = [], 0
    for number, body in numbers.items():
        heads.append(b"%d %d" % (number, at))
        at += len(body) + 1
    head = b" ".join(heads) + b" "
    held = stream(head + bodies, f"/Type /ObjStm /N {len(numbers)} /First {len(head)}")
    base = len(made.data)
    objects = b"160 0 obj\n" + held + b"\nendobj\n"
    start = base + len(objects)
    rows = {160: (1, base, 0), 161: (1, start, 0)} | {n: (2, 160, i) for i, n in enumerate(numbers)}
    index = " ".join(f"{n} 1" for n in sorted(rows))
    data = b"".join(bytes((rows[n][0],)) + rows[n][1].to_bytes(4, "big") + bytes((rows[n][2],)) for n in sorted(rows))
    entries = f"/Type /XRef /Size 200 /Root 1 0 R /Prev {made.start} /W [1 4 1] /Index [{index}]"
    tail = b"161 0 obj\n" + stream(data, entries) + b"\nendobj\nstartxref\n%d\n%%%%EOF\n" % start
    return replace(made, data=made.data + objects + tail, start=start)


def offset_into() -> Paper:
    """The table leads into the middle of another object that was signed."""
    inner = b"4 0 obj\n" + drawn("900") + b"\nendobj\n"
    signed = PLAIN.saved({70: stream(inner)}).signed(SEAL)
    return update(b"", f"4 1\n{signed.data.index(inner):010d} 00000 n \n", made=signed)


def generation() -> Paper:
    """The page's content under another generation, to which the page leads."""
    page = body_of(PAGE).replace(b"4 0 R", b"4 1 R")
    objects = b"4 1 obj\n" + drawn("900") + b"\nendobj\n"
    at = len(objects)
    return update(objects + b"3 0 obj\n" + page + b"\nendobj\n", f"3 2\n{{{at}}} 00000 n \n{{0}} 00001 n \n")


def generation_of_the_entry() -> Paper:
    """The entry says another generation than the object."""
    return update(EVIL, "4 1\n{0} 00001 n \n")


def ranged(change: Callable[[int, int, int, int], tuple[int, ...]], made: Paper = SIGNED) -> Paper:
    """The byte range written otherwise, before signing: what is signed is what it says."""
    found = re.search(rb"/ByteRange \[(\d+) (\d+) (\d+) (\d+)\s*\]", made.data)
    assert found is not None
    numbers = " ".join(str(n) for n in change(*(int(found[i]) for i in range(1, 5))))
    text = f"/ByteRange [{numbers}".encode().ljust(len(found[0]) - 1) + b"]"
    data = made.data[: found.start()] + text[: len(found[0])] + made.data[found.end() :]
    return replace(made, data=data)


def in_dictionary(old: bytes, new: bytes) -> Paper:
    """The signature dictionary is written again in an update."""
    at = SIGNED.data.rindex(b"<< /Type /Sig")
    body = SIGNED.data[at : SIGNED.data.index(b"endobj", at)].strip()
    assert old in body
    return SIGNED.saved({NEW - 2: body.replace(old, new)})


def unsigned_key(key: bytes) -> Paper:
    """The string that the byte range leaves out is signed as the value of another key than /Contents."""

    def made(over: bytes) -> bytes:
        return pades_cms(SEAL, over)

    prepared = papers.paper()
    signed_with = prepared.signed(SEAL, cms=made)
    at = signed_with.data.rindex(b"/Contents <")
    swapped = signed_with.data[:at] + key.ljust(9) + signed_with.data[at + 9 :]
    # Signed again over these bytes.
    gap = swapped.index(b"<", at)
    end = swapped.index(b">", gap) + 1
    value = made(swapped[:gap] + swapped[end:]).hex().encode().ljust(papers.ROOM, b"0")
    return replace(signed_with, data=swapped[: gap + 1] + value + swapped[end - 1 :])


def comment_in_the_gap() -> Paper:
    at = SIGNED.data.rindex(b"/Contents <") + len(b"/Contents <")
    data = bytearray(SIGNED.data)
    data[at + papers.ROOM - 40 : at + papers.ROOM] = b"%" + b"0" * 39
    return replace(SIGNED, data=bytes(data))


def stuffed() -> Paper:
    at = SIGNED.data.rindex(b"/Contents <") + len(b"/Contents <")
    data = bytearray(SIGNED.data)
    data[at + papers.ROOM - 8 : at + papers.ROOM] = b"deadbeef"
    return replace(SIGNED, data=bytes(data))


def lost_field(note: str = "") -> Paper:
    """The second signature's field is taken out of the form; what follows its byte range pretends to be usage rights."""
    both = SIGNED.signed(OTHER, "Sig2", entries=note)
    return both.rearranged(fields=SIGNED.fields, annotations=SIGNED.annotations)


def usage_rights(*, named: bool) -> Paper:
    """A signature of usage rights (/Perms /UR3), or one that only pretends."""
    number = PLAIN.fresh
    reference = "/Reference [<< /Type /SigRef /TransformMethod /UR3 /TransformParams << /Type /TransformParams /V /2.2 >> >>]"
    gap = f"/ByteRange [0 {'*' * 30}] /Contents <{'0' * papers.ROOM}>"
    body = f"<< /Type /Sig /Filter /Adobe.PPKLite /SubFilter /adbe.pkcs7.detached {gap} {reference} >>".encode()
    catalogue = f"/Perms << /UR3 {number} 0 R >>" if named else ""
    ready = PLAIN.rearranged({number: body}, catalogue=catalogue).filled(lambda over: pades_cms(OTHER, over))
    return ready.signed(SEAL)


def tiny_numbers() -> Paper:
    """A matrix whose small numbers are others."""
    font = "<< /Type /Font /Subtype /Type3 /FontBBox [0 0 1 1] /FontMatrix [%s 0 0 0.001 0 0] /CharProcs << >> /FirstChar 0 /LastChar 0 >>"
    signed = PLAIN.saved({FONT: (font % "0.001").encode()}).signed(SEAL)
    return signed.saved({FONT: (font % "0.0014").encode()})


def raw_look(length: int | None, after: bytes = b"") -> Paper:
    """The text field is filled, and the stream of its appearance says this length; `after` stands behind its first end."""
    drawn_text = b"BT /Helv 12 Tf 0 g 2 6 Td (1000) Tj ET"
    field = b"7 0 obj\n" + text_field("1000") + b"\nendobj\n"
    says = len(drawn_text) if length is None else length
    head = f"8 0 obj\n<< /Type /XObject {ZIPPED} /Length {says} >>\nstream\n".encode()
    return update(field + head + drawn_text + b"\nendstream\n" + after + b"endobj\n", f"7 2\n{{0}} 00000 n \n{{{len(field)}}} 00000 n \n")


def zipped(data: bytes, entries: str = "") -> bytes:
    return stream(zlib.compress(data), f"/Filter /FlateDecode {entries}")


def hybrid_that_agrees() -> Paper:
    objects = b"90 0 obj\n(x)\nendobj\n"
    at = len(SIGNED.data) + len(objects)
    rows = bytes((1,)) + len(SIGNED.data).to_bytes(4, "big") + b"\0"
    objects += b"150 0 obj\n" + stream(rows, "/Type /XRef /Size 200 /W [1 4 1] /Index [90 1]") + b"\nendobj\n"
    return update(objects, f"90 1\n{{0}} 00000 n \n150 1\n{at:010d} 00000 n \n", f"/XRefStm {at}")


BYTES: dict[str, Story] = {
    "key twice: contents of a page, the old last": lambda: twice(PAGE, b"/Contents 4 0 R", b"/Contents 80 0 R"),
    "key twice: contents of a page, the old first": lambda: SIGNED.saved(
        {PAGE: body_of(PAGE).replace(b"/Contents 4 0 R", b"/Contents 4 0 R /Contents 80 0 R"), 80: drawn("900")}
    ),
    "key twice: box": lambda: twice(PAGE, b"/MediaBox [0 0 595 842]", b"/MediaBox [0 0 595 400]"),
    "key twice: kids": lambda: twice(PAGES, b"/Kids [3 0 R 9 0 R]", b"/Kids [9 0 R 3 0 R]"),
    "key twice: fields": lambda: SIGNED.saved({FORM: SIGNED.bodies[FORM].replace(b"/Fields", b"/Fields [] /Fields")}),
    "key twice: value": lambda: SIGNED.saved({TEXT: body_of(TEXT).replace(b"/V ()", b"/V (900) /V ()")}),
    "key twice, written otherwise": lambda: twice(PAGE, b"/Contents 4 0 R", b"/#43ontents 80 0 R"),
    "key twice in the trailer": lambda: SIGNED.saved({}, trailer="/Root 9 0 R"),
    "key twice in the signature": lambda: PLAIN.signed(SEAL, entries="/Reason (yes) /Reason (no)"),
    "table and stream disagree": lambda: hybrid(hidden=False),
    "stream of a hybrid update": lambda: hybrid(hidden=True),
    "two objects of one number, the other last": lambda: two_of_one_number(last=False),
    "object that no table lists, beside one": unlisted_beside,
    "object in an object stream": lambda: object_stream({PAGE: body_of(PAGE).replace(b"595 842", b"595 400")}),
    "offset into another object": offset_into,
    "another generation": generation,
    "generation of the entry": generation_of_the_entry,
    "catalogue exchanged": lambda: update(
        b"90 0 obj\n<< /Type /Catalog /Pages 91 0 R /AcroForm 6 0 R >>\nendobj\n91 0 obj\n<< /Type /Pages /Kids [9 0 R 3 0 R] /Count 2 >>\nendobj\n",
        f"90 2\n{{0}} 00000 n \n{{{len(b'90 0 obj') + 66}}} 00000 n \n",
        "/Root 90 0 R",
    ),
    "trailer without its root": lambda: replace(SIGNED, data=SIGNED.data + b"trailer\n<< /Size 5 >>\nstartxref\n0\n%%EOF\n"),
    "loop of tables": lambda: update(EVIL, "4 1\n{0} 00000 n \n", f"/Prev {len(SIGNED.data) + len(EVIL)}"),
    "startxref into nothing": lambda: update(EVIL, "4 1\n{0} 00000 n \n", start=3),
    "startxref back to the signed table": lambda: update(EVIL, "4 1\n{0} 00000 n \n", start=SIGNED.start),
    "text after the end": lambda: appended(b"this is a page of another kind %%EOF\n"),
    "archive after the end": lambda: appended(b"PK\x03\x04" + bytes(40) + b"\n%%EOF\n"),
    "objects after the end, without a table": lambda: appended(EVIL + b"%%EOF\n"),
    "update cut off": lambda: appended(EVIL + b"xref\n4 1\n"),
    "byte range from one": lambda: ranged(lambda a, b, c, d: (1, b - 1, c, d)),
    "byte range that ends early": lambda: ranged(lambda a, b, c, d: (a, b, c, d - 20)),
    "byte range of one part": lambda: ranged(lambda a, b, c, d: (a, b)),
    "byte range of three parts": lambda: ranged(lambda a, b, c, d: (a, 10, 20, b - 20, c, d)),
    "byte range that overlaps": lambda: ranged(lambda a, b, c, d: (a, b, b - 10, d + c - b + 10)),
    "byte range that is negative": lambda: ranged(lambda a, b, c, d: (a, -b, c, d)),
    "byte range too long": lambda: ranged(lambda a, b, c, d: (a, b, c, d + 99)),
    "byte range with a gap too large": lambda: ranged(lambda a, b, c, d: (a, b - 12, c, d)),
    "byte range of an update": lambda: in_dictionary(b"/ByteRange [0", b"/ByteRange [0 0 0 0] /Old [0"),
    "contents of an update": lambda: in_dictionary(b"/Contents <", b"/Contents <00> /Old <"),
    "no contents": lambda: unsigned_key(b"/Content"),
    "contents of another key": lambda: unsigned_key(b"/Cert"),
    "comment in the gap": comment_in_the_gap,
    "something else in the gap": stuffed,
    "signature that the form lost": lost_field,
    "signature that the form lost, which names usage rights": lambda: lost_field("/Reason (/TransformMethod /UR3)"),
    "signature that the form lost, whose transform is no name": lambda: lost_field("/Reference [<< /TransformMethod [/UR3] >>]"),
    "small numbers": tiny_numbers,
    "decoy of the whole form": lambda: SIGNED.saved({1: body_of(1).replace(b"/AcroForm 6 0 R", b"/AcroForm << /Fields [] >>")}),
    "no form any more": lambda: SIGNED.saved({1: body_of(1).replace(b"/AcroForm 6 0 R", b"")}),
    "encryption added": lambda: SIGNED.saved({}, trailer="/Encrypt << /Filter /Standard /V 1 /R 2 /O () /U () /P -4 >>"),
    "length of a stream too small": lambda: raw_look(0),
    "length of a stream too large": lambda: raw_look(9999),
    "stream behind the end of a stream": lambda: raw_look(None, b"BT /Helv 12 Tf 0 g 2 6 Td (9000) Tj ET\nendstream\n"),
    "words behind an object": lambda: update(b"90 0 obj\n(x) (y)\nendobj\n", "90 1\n{0} 00000 n \n"),
    "appearance in another file": lambda: filled(SIGNED, "1000", look("1000", entries="/F (other.bin)")),
    "signature of another type": lambda: PLAIN.signed(SEAL, type_="/Catalog"),
    "signature that calls itself a time-stamp": lambda: PLAIN.signed(SEAL, type_="/DocTimeStamp"),
    "validation data that is the page": lambda: SIGNED.rearranged({4: drawn("900")}, catalogue="/DSS << /Certs [4 0 R] >>"),
    "header exchanged by what stands before": lambda: replace(SIGNED, data=b"GIF89a" + SIGNED.data),
}

LAWFUL: dict[str, Story] = {
    "objects in an object stream": lambda: object_stream({PAGE: body_of(PAGE), 90: b"(unused)"}),
    "saved twice": lambda: filled(filled(SIGNED, "1"), "2"),
    "object written twice in two updates": lambda: SIGNED.saved({FONT: body_of(FONT)}).saved({FONT: body_of(FONT)}),
    "white space after the end": lambda: appended(b"\r\n\r\n"),
    "end of file twice": lambda: appended(b"%%EOF\n"),
    "stream that holds objects of its own": lambda: SIGNED.saved({90: stream(EVIL)}),
    "compressed": lambda: filled(SIGNED, "1000", zipped(b"BT /Helv 12 Tf 2 6 Td (1000) Tj ET", ZIPPED)),
    "usage rights": lambda: usage_rights(named=True),
    "appearance of a plain length": lambda: raw_look(None),
    "an object that is another": lambda: update(b"90 0 obj\n5 0 R\nendobj\n", "90 1\n{0} 00000 n \n"),
    "length that is an object": lambda: SIGNED.saved({90: b"<< /Length 91 0 R >>\nstream\nabc\nendstream", 91: b"3"}),
    "empty update": lambda: SIGNED.saved({}),
    "hybrid that agrees": hybrid_that_agrees,
    "store, time-stamp, signature": lambda: CERTIFIED.stored(()).stamped(TSU).signed(OTHER, "Sig2").stored(()).stamped(TSU, "Stamp2"),
}


@pytest.mark.parametrize("name", BYTES)
def test_attacks(name: str) -> None:
    assert suspicion(BYTES[name]()) != []


@pytest.mark.parametrize("name", LAWFUL)
def test_lawful_twins(name: str) -> None:
    assert alarms(LAWFUL[name]()) == []


BUSY = (
    *(once * 200_000 for once in (b"%", b"[", b"<<", b"(", b"/", b"<", b"1 0 obj ")),
    *(b"90 0 obj\n<< /A " + once * 100_000 for once in (b"%", b"% ", b"%\n", b"(", b"[", b"<00")),
    b"xref 0 9999999999 ",
)


@pytest.mark.parametrize("number", range(len(BUSY)))
def test_bytes_made_to_keep_a_reader_busy_are_told(number: int) -> None:
    """Nested, endless and repeated beginnings: each is read once, or given up."""
    assert suspicion(appended(BUSY[number] + b"\n%%EOF\n")) != []
