"""Whether what a server signed from digests, and what was put together of it here, is a seal of these documents: by our own verifier's reports.

Whom to trust is no question here, and below B-LT no status is there. What is asked is that the new signature and everything new over it is intact,
which no server can say that has not seen the documents, and that the level is the one that was asked for.
"""

from collections.abc import Mapping
from typing import Any

from eseal.kept import require_kept
from eseal.spec import Level
from trust.errors import Unacceptable


def require_sound(before: Mapping[str, Any] | None, after: Mapping[str, Any], level: Level) -> None:
    """`before` is the report on what was sealed, where that may hold signatures. Unacceptable for anything else than one new intact signature."""
    known = {s["id"] for s in before["signatures"]} if before else set()
    tokens = {_name(s) for s in before["timestamps"]} if before else set()
    new = [s for s in after["signatures"] if s["id"] not in known]
    if len(new) != 1 or not new[0]["intact"] or new[0]["indication"] == "TOTAL-FAILED":
        raise Unacceptable("what the server signed is not a signature of these documents, so nothing was written")
    if not all(s["intact"] and s["indication"] != "FAILED" for s in after["timestamps"] if _name(s) not in tokens):
        raise Unacceptable("a time-stamp from the server is not one of these documents, so nothing was written")
    if not str(new[0]["level"]).endswith((f"-BASELINE-{level.removeprefix('B-')}", f"COSE-{level.removeprefix('B-')}")):
        raise Unacceptable(f"what was made with the server's answers is {str(new[0]['level'])[:40]}, expected {level}; nothing was written")
    if before is not None and before["signatures"]:
        require_kept(before, after, "sealed", "sealing")
    elif after["conclusion"] == "failed":
        reasons = "; ".join(str(r["text"]) for r in after["reasons"])
        raise Unacceptable(f"what was made with the server's answers does not pass our own verifier, so nothing was written: {reasons[:200]}")


def _name(stamp: Mapping[str, Any]) -> str:
    return f"{stamp['imprint']['value']}{stamp['serial']}"
