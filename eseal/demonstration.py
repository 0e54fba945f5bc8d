"""Two documents to try the seal on, drawn here and always the same: a PDF of three pages in English and Japanese, and a CSV dataset.

Everything in them is invented.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pikepdf
from pikepdf import Array, Dictionary, Name

from trust.paper import MIN_VERSION, fonts, shown

WIDTH, HEIGHT, MARGIN, LEADING = 595, 842, 64, 1.55
"""A4 in points; leading as a multiple of the size."""
_STOPS = {3: (0, 52, 250), 6: (0, 48, 118, 158, 182, 330)}
"""Where cells begin, in points from the margin, by their number in the line."""

PDF_NAME, CSV_NAME = "notice.pdf", "prices.csv"


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    """Cells are parted by tabs."""
    size: float = 11
    gap: float = 0
    """Points before it."""
    rule: bool = False
    """A line under it."""


_PAGES: tuple[tuple[_Line, ...], ...] = (
    (
        _Line("Notice of electronic sealing", 22),
        _Line("電子角印の取扱いについて（通知）", 18, 2),
        _Line("Demonstration document of Kakuin: the organisations and prices in it are invented.", 9, 6, rule=True),
        _Line("1. Purpose", 13, 18),
        _Line("From this month on, documents that leave this office carry the organisation's"),
        _Line("electronic seal in place of the square seal (kakuin) on paper. The seal says which"),
        _Line("organisation issued the document, and that not a bit of it has changed since."),
        _Line("１．目的", 13, 14),
        _Line("今月より、当機関が発行する文書には、紙の角印に代えて電子的な角印（ｅシール）を付します。"),
        _Line("ｅシールは、文書の発行元と、発行後に一字も改変されていないことを示します。"),
        _Line("2. How to verify", 13, 18),
        _Line("Anyone may verify the seal, without asking us, with the certificate of our root:"),
        _Line("kakuin verify notice.sealed.pdf --trust anchors/root.pem"),
        _Line("２．検証の方法", 13, 14),
        _Line("受け取った方は、当機関に問い合わせることなく、ルート証明書を用いて検証できます。"),
    ),
    (
        _Line("3. What the seal holds", 13),
        _Line("The seal holds the certificate of the organisation with its number, a time-stamp", gap=4),
        _Line("of an authority, and everything that a verifier needs to judge both many years from now."),
        _Line("３．角印に含まれるもの", 13, 14),
        _Line("発行者の証明書（法人番号を含む）、時刻認証局のタイムスタンプ、"),
        _Line("および将来の検証に必要な失効情報が、文書の中に格納されます。"),
        _Line("4. Levels", 13, 18),
        _Line("B-B\tsealed\t署名のみ", gap=4),
        _Line("B-T\tand time-stamped\t署名＋タイムスタンプ"),
        _Line("B-LT\tand with status inside\t＋検証情報"),
        _Line("B-LTA\tand under an archive time-stamp\t＋アーカイブタイムスタンプ"),
    ),
)

_PRICES: tuple[tuple[str, str, str, int, str], ...] = (
    ("A-101", "証明書の交付", "certificate, per copy", 300, "2026-04-01"),
    ("A-102", "証明書の郵送", "certificate by post", 520, "2026-04-01"),
    ("B-201", "登記簿の閲覧", "reading of the register", 450, "2026-04-01"),
    ("B-202", "登記簿の謄本", "copy of the register", 600, "2026-07-01"),
    ("C-301", "図面の複写（A4）", "plan, A4", 80, "2026-04-01"),
    ("C-302", "図面の複写（A1）", "plan, A1", 740, "2026-10-01"),
    ("D-401", "データセットの提供", "dataset, per year", 12_000, "2026-04-01"),
    ("D-402", "データセットの更新", "dataset, update", 3_500, "2026-10-01"),
)


def pdf() -> bytes:
    """Three A4 pages, byte for byte the same each time."""
    paper = pikepdf.new()
    used = fonts(paper)
    for number, lines in enumerate((*_PAGES, _annex()), start=1):
        content = b"\n".join(_drawn(lines, number))
        page = Dictionary(
            Type=Name.Page,
            MediaBox=Array([0, 0, WIDTH, HEIGHT]),
            Resources=Dictionary(Font=used),
            Contents=paper.make_stream(content),
        )
        paper.pages.append(pikepdf.Page(paper.make_indirect(page)))
    paper.Root.Lang = "ja"
    paper.docinfo["/Title"] = "電子角印の取扱いについて（通知）"
    paper.docinfo["/Author"] = "Kakuin"
    made = io.BytesIO()
    paper.save(made, deterministic_id=True, compress_streams=True, min_version=MIN_VERSION)
    return made.getvalue()


def csv() -> bytes:
    """A dataset as Japanese offices publish it: UTF-8 with byte order mark, CRLF, headers in Japanese."""
    rows = ["品目コード,品目名,単価（円）,適用開始日"]
    rows += [f"{code},{name},{price},{since}" for code, name, _, price, since in _PRICES]
    return "\ufeff".encode() + "".join(row + "\r\n" for row in rows).encode()


def _annex() -> Sequence[_Line]:
    head = (_Line("Annex: prices in force", 16), _Line("別紙　適用単価表", 14, 2, rule=True), _Line("", 6))
    return (*head, *(_Line(f"{code}\t{since}\t{price:,}\t円\t{name}\t{english}", 10, 3) for code, name, english, price, since in _PRICES))


def _drawn(lines: Sequence[_Line], page: int) -> Iterator[bytes]:
    """The content stream of one page: text from top to bottom, a square seal's frame in the corner, the page's number."""
    y = HEIGHT - MARGIN - 12.0
    for line in lines:
        y -= line.gap + line.size * LEADING
        cells = line.text.split("\t")
        for cell, stop in zip(cells, _STOPS.get(len(cells), (0,)), strict=True):
            yield shown(cell, line.size, MARGIN + stop, y)
        if line.rule:
            y -= 8
            yield f"0.6 w {MARGIN} {y:.1f} m {WIDTH - MARGIN} {y:.1f} l S".encode()
    x, side = WIDTH - MARGIN - 52, 52
    yield f"q 0.75 0.1 0.1 RG 0.75 0.1 0.1 rg 2.4 w {x} {MARGIN} {side} {side} re S".encode()
    yield shown("角", 22, x + 3, MARGIN + 17)
    yield shown("印", 22, x + 27, MARGIN + 17) + b" Q"
    yield shown(f"{page} / 3", 9, WIDTH / 2 - 10, MARGIN / 2)
