"""Where the receipt of what was just issued is: a link in the head of the answer (RFC 8288). Pure.

A checkpoint covers an entry some moments after it was recorded, so a receipt cannot be a part of the answer that the entry is of. The answer names
its place; whoever wants both at once asks there, and says how long he waits (RFC 7240, `trust.log.handing`).
"""

import re
from urllib.parse import urljoin, urlsplit

RELATION = "https://c2sp.org/tlog-proof"
"""Relation type of a link from what was issued to its receipt."""
PATH = "/v1/log/receipts"
RECEIPT_AT = "receipt_at"
"""Among what a client is told of an answer: where the link leads. For its next question, and not for people."""

# Nothing is given back that was taken: whoever is asked could send what can be read in more ways than there is time.
_LINK = re.compile(r'<([^<>\s]*+)>((?:\s*+;\s*+[A-Za-z*]++\s*+(?:=\s*+(?:[^\s",;]++|"[^"]*+"))?+)*+)\s*+(?:,|$)')
_REL = re.compile(r';\s*+rel\s*+=\s*+(?:"([^"]*+)"|([^\s",;]++))')


def link(path: str, index: int) -> str:
    """A Link field of the answer at `path`: where the receipt of entry `index` is, relative, because a proxy may have put a path before ours."""
    return f'<{"../" * (path.count("/") - 1)}{PATH[1:]}/{index}>; rel="{RELATION}"'


def linked(field: str, asked: str) -> str | None:
    """The receipt's address in a Link field of the answer from the address `asked`; None where there is none at the same origin."""
    for found in _LINK.finditer(field[:4096]):
        said = _REL.search(found[2])
        if said is not None and RELATION in (said[1] or said[2] or "").split():
            try:
                there = urljoin(asked, found[1])
                return there if urlsplit(there)[:2] == urlsplit(asked)[:2] else None
            except ValueError:  # half an IPv6 address, say
                return None
    return None
