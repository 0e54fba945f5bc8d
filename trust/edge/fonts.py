"""The font of visible seals: the operator's, or one of those that Debian's packages bring."""

from pathlib import Path

from trust.edge.source import document
from trust.model import Document

_OPENTYPE, _TRUETYPE = Path("/usr/share/fonts/opentype"), Path("/usr/share/fonts/truetype")
USUAL = (
    _OPENTYPE / "noto/NotoSerifCJK-Bold.ttc",
    _OPENTYPE / "noto/NotoSerifCJK-Regular.ttc",
    _OPENTYPE / "ipaexfont-mincho/ipaexm.ttf",
    _OPENTYPE / "noto/NotoSansCJK-Bold.ttc",
    _OPENTYPE / "noto/NotoSansCJK-Regular.ttc",
    _OPENTYPE / "ipaexfont-gothic/ipaexg.ttf",
    _OPENTYPE / "ipafont-mincho/ipam.ttf",
    _TRUETYPE / "dejavu/DejaVuSerif-Bold.ttf",
    _TRUETYPE / "dejavu/DejaVuSans.ttf",
    _TRUETYPE / "liberation/LiberationSerif-Bold.ttf",
)
"""fonts-noto-cjk, fonts-ipaexfont and fonts-ipafont-mincho, which have Japanese; then fonts for Latin letters alone."""


def font(chosen: str) -> Document | None:
    """The file at `chosen`, NotFound when it is not there; where that is empty the first of USUAL that there is."""
    if chosen:
        return document(Path(chosen))
    found = next((path for path in USUAL if path.is_file()), None)
    return document(found) if found is not None else None
