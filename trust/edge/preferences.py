"""What a client would rather have (RFC 7240, Prefer): a preference is followed, or as if it had not been said. Never an error."""

import re
from collections.abc import Iterable

RECEIPT = "receipt"
"""Of ours: the answer shall name the place of its receipt (`trust.log.receipt`)."""
WAIT = "wait"
"""Seconds that the client waits for the answer (section 4.3)."""
MOST = 16
"""Preferences that are looked at."""

# Nothing is given back that was taken: a field that can be read in many ways would be tried in all of them.
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_VALUE = rf'(?:{_WORD}|"(?:[^"\\]|\\.)*+")'
_PARAMETERS = rf"(?:\s*+;\s*+(?:{_WORD}\s*+(?:=\s*+{_VALUE})?+)?+)*+"
_ONE = re.compile(rf"\s*+({_WORD})\s*+(?:=\s*+({_VALUE}|))?+{_PARAMETERS}\s*+(?:,|$)|\s*+(?:,|$)")


def preferences(fields: Iterable[str]) -> dict[str, str]:
    """Names in small letters, and values, of all Prefer fields in their order: of one that comes twice the first counts (section 2)."""
    text, at, found, looked = ",".join(fields), 0, dict[str, str](), 0
    while at < len(text) and looked < MOST:
        match = _ONE.match(text, at)
        if match is None:
            break  # what cannot be read says nothing, and nor does what follows
        if match[1]:
            found.setdefault(match[1].lower(), (match[2] or "").strip('"'))
        at, looked = match.end(), looked + 1
    return found


def waits(preferred: dict[str, str], most: float, usual: float) -> float:
    """Seconds: as the client prefers, up to `most`; else as usual."""
    said = preferred.get(WAIT, "")
    return min(float(said), most) if re.fullmatch(r"[0-9]{1,6}", said) else usual
