"""Digests of files in a line each, as `sha256sum` and its sisters, their `--tag` (BSD) form and `openssl dgst` write them. Pure.

The GNU coreutils manual ("cksum output modes") has the forms; a digest alone, or with its algorithm before it (`sha3_256:…`), is taken too.
"""

import re
from typing import NamedTuple

BY_LENGTH = {64: "sha256", 96: "sha384", 128: "sha512"}
"""Of which algorithm so many hexadecimal digits are, where nobody says."""

_LINE = re.compile(r"(\\)?(?:([A-Za-z0-9_-]{3,12}):)?([0-9A-Fa-f]{32,128})(?: [ *](.+)|[ \t]++\*?+([^ \t].*))?[ \t]*+", re.DOTALL)
_TAG = re.compile(r"(\\)?([A-Za-z0-9-]{3,12}) ?\((.+)\) ?= ?([0-9A-Fa-f]{32,128})[ \t]*+", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "\\": "\\"}


class Sum(NamedTuple):
    """One line."""

    algorithm: str
    """As it is called here; empty where the line does not say."""
    digits: str
    name: str
    """What the file is called; empty where the digest stands alone."""
    said: str
    """The same as it stands in the line: a name with a line feed is one line there."""


def parsed(line: str) -> Sum | None:
    """A line without its end; None for one of another kind."""
    if (found := _LINE.fullmatch(line)) is not None:
        escaped, algorithm, digits, exact, loose = found.groups("")
        said = exact or loose
    elif (found := _TAG.fullmatch(line)) is not None:
        escaped, algorithm, said, digits = found.groups("")
    else:
        return None
    if not escaped:
        return Sum(algorithm and called(algorithm), digits, said, said)
    name = _unescaped(said)
    return None if name is None else Sum(algorithm and called(algorithm), digits, name, said)


def called(algorithm: str) -> str:
    """SHA-256, SHA2-256, SHA256 as sha256; SHA3-256 as sha3_256."""
    name = algorithm.lower()
    return re.sub(r"^sha(?:2?-)", "sha", name).replace("-", "_")


def _unescaped(said: str) -> str | None:
    """None where something else is escaped than what the tools escape."""
    parts = re.split(r"\\(.?)", said, flags=re.DOTALL)
    if any(each not in _ESCAPED for each in parts[1::2]):
        return None
    return "".join(_ESCAPED[each] if at % 2 else each for at, each in enumerate(parts))
