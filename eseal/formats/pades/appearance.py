"""What a visible seal looks like: a figure, words, or both side by side, as one drawing."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType

from eseal.formats.pades import figures, pictures
from eseal.formats.pades.figures import Box, operands
from eseal.formats.pades.letters import Face, Program
from eseal.formats.pades.pictures import Picture
from eseal.pdf_seal import POINTS_A_MM, Figure, Look
from eseal.spec import Commitment
from trust.errors import Unacceptable
from trust.model import Digest

SIDE = 24 * POINTS_A_MM
"""Of a square seal: what Japanese organisations have engraved most often."""
BESIDE = 150.0
"""Points of width for words beside a figure."""
GAP = 6.0
JAPAN = timezone(timedelta(hours=9))

_ENGLISH: Mapping[str, str] = MappingProxyType({"time": "Time", "location": "Place", "reason": "Reason", "commitment": "Commitment", "role": "Role"})
_JAPANESE: Mapping[str, str] = MappingProxyType({"time": "日時", "location": "場所", "reason": "理由", "commitment": "意思", "role": "立場"})
_COMMITMENTS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "origin": ("proof of origin", "発行元の証明"),
        "receipt": ("proof of receipt", "受領の証明"),
        "delivery": ("proof of delivery", "送達の証明"),
        "sender": ("proof of sender", "送信者の証明"),
        "approval": ("approval", "承認"),
        "creation": ("proof of creation", "作成の証明"),
    }
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a seal says of itself, from its certificate and its claims."""

    name: str
    time: datetime
    document: Digest | None = None
    location: str | None = None
    reason: str | None = None
    commitment: Commitment | None = None
    role: str | None = None

    @property
    def japanese(self) -> bool:
        return any(ord(c) > 0x2E7F for text in (self.name, self.location, self.reason, self.role) if text for c in text)

    def lines(self) -> list[str]:
        """Name, time with its offset from UTC, and the claims, in Japanese where any of them is."""
        labels = _JAPANESE if self.japanese else _ENGLISH
        time = self.time.astimezone(JAPAN if self.japanese else UTC)
        said = {
            "time": f"{time:%Y-%m-%d %H:%M:%S} {'+09:00' if self.japanese else 'UTC'}",
            "location": self.location,
            "reason": self.reason,
            "commitment": _COMMITMENTS[self.commitment][self.japanese] if self.commitment is not None else None,
            "role": self.role,
        }
        return [self.name, *(f"{labels[name]}: {text}" for name, text in said.items() if text is not None)]


@dataclass(frozen=True, slots=True)
class Drawing:
    """Operators, and what they refer to as /F and /Im."""

    width: float
    height: float
    operators: bytes
    font: Program | None
    picture: Picture | None
    alternative: str
    """In words, for those who do not see it."""


def usual_size(look: Look, facts: Facts) -> tuple[float, float]:
    """Width and height in points where nobody says them."""
    plate = look.figure is Figure.SEAL and not figures.is_upright(look.name or facts.name)
    figure = 0.0 if look.figure is None else 2 * SIDE if plate else SIDE
    return figure + (GAP if figure and look.words else 0.0) + (BESIDE if look.words else 0.0), SIDE


def drawn(look: Look, facts: Facts, width: float, height: float) -> Drawing:
    """Unacceptable where there is no font, it lacks a letter, or the place is too small; Malformed for an image or font that cannot be read."""
    with contextlib.ExitStack() as opened:
        face = _face(look)
        if face is not None:
            opened.callback(face.close)
        return _drawn(look, facts, face, width, height)


def _drawn(look: Look, facts: Facts, face: Face | None, width: float, height: float) -> Drawing:
    name = look.name or facts.name
    picture = pictures.picture(look.image) if look.image is not None else None
    whole, parts = Box(0, 0, width, height), []
    beside = look.figure is not None and look.words
    share = min(height * (2 if look.figure is Figure.SEAL and not figures.is_upright(name) else 1), 0.45 * width) if beside else width
    place = Box(0, 0, share, height)
    if look.figure is Figure.SEAL and face is not None:
        parts.append(figures.seal(name, face, place))
    elif look.figure is Figure.QR:
        parts.append(figures.code(pictures.qr_modules(_coded(look, facts)), place))
    elif picture is not None:
        parts.append(_pasted(picture, place))
    if look.words and face is not None:
        room = Box(share + GAP, 0, width - share - GAP, height) if beside else whole.inset(2)
        parts.append(f"{figures.INK} rg\n" + figures.words(facts.lines(), face, room))
    operators = "\n".join(f"q\n{part}\nQ" for part in parts).encode("ascii")
    alternative = "; ".join(facts.lines() if look.words else [name])
    return Drawing(width, height, operators, face.program() if face is not None else None, picture, alternative)


def _face(look: Look) -> Face | None:
    if not look.letters:
        return None
    if look.font is None:
        raise Unacceptable("a visible seal with letters needs a font, and none is given and none is found on this machine")
    return Face(look.font)


def _coded(look: Look, facts: Facts) -> str:
    digest = facts.document.value.hex() if facts.document is not None else ""
    return (look.qr or "sha256:{sha256}").replace("{sha256}", digest)


def _pasted(picture: Picture, box: Box) -> str:
    """As large as it can be, in its own proportions, in the middle."""
    scale = min(box.width / picture.width, box.height / picture.height)
    width, height = scale * picture.width, scale * picture.height
    return f"{operands(width, 0, 0, height, box.left + (box.width - width) / 2, box.bottom + (box.height - height) / 2)} cm /Im Do"
