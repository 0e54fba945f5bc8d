"""That what was in a document before is still there, no worse: told from two reports of our own verifier (docs/report.md), before and after."""

import logging
from collections.abc import Mapping
from typing import Any

from trust.errors import Unacceptable

_LOG = logging.getLogger("kakuin.eseal")
_ORDER = {"TOTAL-FAILED": 0, "FAILED": 0, "INDETERMINATE": 1, "TOTAL-PASSED": 2, "PASSED": 2}


def require_kept(before: Mapping[str, Any], after: Mapping[str, Any], done: str, doing: str) -> None:
    """Every signature, time-stamp and evidence record of `before` is in `after`, no worse. Unacceptable otherwise; `done` and `doing` are words for
    what was done in between."""
    reasons = "; ".join(str(r["text"]) for r in after["reasons"])
    found = {s["id"]: s for s in after["signatures"]}
    for one in before["signatures"]:
        now = found.get(one["id"])
        if now is None or now["intact"] < one["intact"] or _ORDER[now["indication"]] < _ORDER[one["indication"]]:
            _LOG.error("a signature of a document would be harmed: %s", reasons[:500])
            raise Unacceptable(
                f"{done}, a signature of the document would not be what it was, because another one covers what {doing} changes: "
                f"nothing was given out ({reasons[:200]})"
            )
    stamps = {s["imprint"]["value"] + s["serial"]: s for s in after["timestamps"]}
    for one in before["timestamps"]:
        now = stamps.get(one["imprint"]["value"] + one["serial"])
        if now is None or now["intact"] < one["intact"]:
            raise Unacceptable(f"{done}, a time-stamp of the document would not be intact any more: nothing was given out")
    records = {r["id"]: r["intact"] for r in after["evidence_records"]}
    if any(r["intact"] and not records.get(r["id"]) for r in before["evidence_records"]):
        raise Unacceptable(f"an evidence record protects the document as it is, and {done} it would not: renew the record instead")
