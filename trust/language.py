"""Which language a reader wants, as the environment or an HTTP header says."""

import re
from collections.abc import Mapping

LANGUAGES = ("en", "ja")
"""As RFC 5646 has them."""
DEFAULT = "en"
_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")
_RANGE = re.compile(r"\s*([A-Za-z]{1,8}|\*)(?:-[A-Za-z0-9-]{1,60})?\s*(?:;\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)\s*)?")
_MOST_RANGES = 50


def from_environment(environment: Mapping[str, str]) -> str:
    """POSIX XBD section 8.2: the first of LC_ALL, LC_MESSAGES and LANG that is set."""
    locale = next((environment[v] for v in _VARIABLES if environment.get(v)), "")
    language = re.split(r"[_.@-]", locale)[0].lower()
    return language if language in LANGUAGES else DEFAULT


def from_header(accept_language: str) -> str:
    """RFC 9110 section 12.5.4: the language with the greatest weight of those that there are; what cannot be read is passed over."""
    wanted: dict[str, float] = {}
    for part in accept_language.split(",", _MOST_RANGES)[:_MOST_RANGES]:
        found = _RANGE.fullmatch(part)
        if found:
            language = found[1].lower()
            for known in LANGUAGES if language == "*" else (language,):
                wanted.setdefault(known, float(found[2] or 1))
    known_ones = {language: weight for language, weight in wanted.items() if language in LANGUAGES and weight > 0}
    return max(known_ones, key=lambda language: known_ones[language]) if known_ones else DEFAULT
