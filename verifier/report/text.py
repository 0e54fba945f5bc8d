"""The report for people, from the JSON report: the verdict for the whole file first, then why, then what to do; then each signature.

Everything that came from the file passes through `printable`: nothing in it can steer the terminal.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import MAXYEAR, datetime, timedelta, timezone
from enum import StrEnum

from verifier.report.findings import FINDINGS, UNEXPLAINED, Finding, Words
from verifier.report.parties import Json
from verifier.report.plain import columns, folded, padded, printable
from verifier.report.texts import (
    ADVICE,
    CONCLUSIONS,
    LABELS,
    MEANINGS,
    OUTCOMES,
    PHRASES,
    REMARKS,
    STAMPS,
    SUMMARIES,
    reason_text,
    revocation_text,
    say,
)

WIDTH = 100
"""Columns where the terminal tells none; no line is longer however wide it is, because long lines are hard to read."""
NARROW = 40
JAPAN = timezone(timedelta(hours=9))
FIELDS = ("why", "todo", "not-covered", "who", "when", "covers", "proves", "notes", "chain", "checked")
SHOWN = 12
"""Items of one list that are shown; --json has all of them."""

MOST = 40
"""Signatures, time-stamps or evidence records that are shown one by one."""
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


class Paint(StrEnum):
    """SGR parameters (ECMA-48 section 8.3.117)."""

    GOOD = "1;32"
    BAD = "1;31"
    OPEN = "1;33"
    STRONG = "1"
    QUIET = "2"


PAINTS = {"passed": Paint.GOOD, "failed": Paint.BAD, "indeterminate": Paint.OPEN, "nothing_signed": Paint.OPEN}
SAID_ELSEWHERE = frozenset({"nothing-signed", "permitted-change"})
"""Reasons that another line of the report tells already."""
CONCLUSION_BY_INDICATION = {
    "TOTAL-PASSED": "passed",
    "PASSED": "passed",
    "TOTAL-FAILED": "failed",
    "FAILED": "failed",
    "INDETERMINATE": "indeterminate",
}


@dataclass(frozen=True, slots=True)
class Style:
    """How it is shown: `en` or `ja`, columns, colour."""

    language: str = "en"
    width: int = WIDTH
    colour: bool = False

    def paint(self, text: str, paint: Paint) -> str:
        return f"\x1b[{paint.value}m{text}\x1b[0m" if self.colour else text

    def say(self, words: Words, **filling: object) -> str:
        """The text in this language, its places filled with printable values."""
        return say(words, self.language).format(**{k: printable(str(v)) for k, v in filling.items()})

    @property
    def label_width(self) -> int:
        return max(columns(say(LABELS[key], self.language)) for key in FIELDS)

    def time(self, text: str) -> str:
        """An RFC 3339 time of the report for people: in UTC, in Japanese by Japan's clocks."""
        at = datetime.fromisoformat(text)
        fraction = f".{at.microsecond // 1000:03}" if at.microsecond >= 1000 else ""
        if self.language != "ja" or at.year == MAXYEAR:  # RFC 5280 section 4.1.2.5: no end; Japan is a year ahead then
            return f"{at:%Y-%m-%d %H:%M:%S}{fraction} UTC"
        at = at.astimezone(JAPAN)
        return f"{at.year}年{at.month}月{at.day}日 {at:%H:%M:%S}{fraction}（日本時間）"


def render(report: Json, style: Style | None = None) -> str:
    """The whole report, ending in a line feed. `report` is the JSON report, also one with an `error`."""
    style = style or Style()
    style = Style(style.language, max(NARROW, min(style.width, WIDTH)), style.colour)
    lines = _error(report, style) if "error" in report else _lines(report, style)
    return "\n".join(lines) + "\n"


def _lines(report: Json, style: Style) -> Iterator[str]:
    yield from _whole(report, style)
    stamps = {s["id"]: s for s in report["timestamps"]}
    for number, signature in _foremost(report["signatures"]):
        yield ""
        yield from _signature(signature, _title(signature, number, len(report["signatures"]), style), style)
    yield from _rest(report["signatures"], "signature", style)
    for number, stamp in _foremost(list(stamps.values())):
        yield ""
        yield from _stamp(stamp, style.say(LABELS["timestamp"]) + _counted(number, len(stamps), style), style)
    yield from _rest(list(stamps.values()), "timestamp", style)
    for number, record in _foremost(report["evidence_records"]):
        yield ""
        yield from _record(record, style.say(LABELS["record"]) + _counted(number, len(report["evidence_records"]), style), stamps, style)
    yield from _rest(report["evidence_records"], "record", style)
    yield ""
    moment = style.time(report["validation_time"])
    text = style.say(PHRASES["checked-at"], time=moment, policy=report["policy"], anchors=report["anchors"])
    yield from _field("checked", [text], style, indent=0)


def _foremost(judged: list[Json]) -> list[tuple[int, Json]]:
    """Those that are shown, with their numbers: all, or of very many the ones that do not pass before the others."""
    numbered = list(enumerate(judged, start=1))
    if len(numbered) <= MOST:
        return numbered
    return sorted(sorted(numbered, key=lambda one: _passed(one[1]))[:MOST], key=lambda one: one[0])


def _rest(judged: list[Json], label: str, style: Style) -> Iterator[str]:
    if len(judged) > MOST:
        yield ""
        yield style.say(LABELS[label]) + ": " + style.say(PHRASES["more"], count=len(judged) - MOST)


def _whole(report: Json, style: Style) -> Iterator[str]:
    """The verdict for the whole file, why, and what to do."""
    conclusion = report["conclusion"]
    word = say(CONCLUSIONS[conclusion], style.language)
    first, *more = folded(printable((report.get("file") or {}).get("name") or ""), style.width - columns(word) - 2)
    yield (style.paint(word, PAINTS[conclusion]) + "  " + first).rstrip()
    yield from (" " * (columns(word) + 2) + line for line in more)
    yield ""
    stamps_only = conclusion == "passed" and not report["signatures"]
    why = [style.say(SUMMARIES["passed-stamps" if stamps_only else conclusion])]
    why += [_reason(r, style) for r in report["reasons"] if r["code"] not in SAID_ELSEWHERE | REMARKS]
    yield from _field("why", _shown(why, style), style, indent=0)
    yield from _field("todo", _advice(report, style), style, indent=0)
    grave = [_uncovered(u, style) for u in report["uncovered"] if u["grave"]]
    yield from _field("not-covered", _shown(grave, style), style, indent=0)
    remarks = [_reason(r, style) for r in report["reasons"] if r["code"] in REMARKS - SAID_ELSEWHERE]
    remarks += [_uncovered(u, style) for u in report["uncovered"] if not u["grave"]]
    remarks += [printable(d["why"]) for d in report["defects"]]
    yield from _field("notes", _shown(remarks, style), style, indent=0)


def _reason(reason: Json, style: Style) -> str:
    if reason["code"] == "not-covered":  # what it is stands in a list of its own
        return printable(reason_text("not-covered", "", "", style.language))
    subject = style.time(reason["subject"]) if _TIME.fullmatch(reason["subject"]) else reason["subject"]
    return printable(reason_text(reason["code"], subject, reason["detail"], style.language))


def _advice(report: Json, style: Style) -> list[str]:
    """What to do, most general first, each thing once."""
    conclusion = report["conclusion"]
    advice = [style.say(ADVICE[conclusion])]
    judged = [*report["signatures"], *([] if report["signatures"] else [*report["timestamps"], *report["evidence_records"]])]
    if conclusion in ("failed", "indeterminate"):
        advice += [style.say(_finding(x).todo) for x in judged if CONCLUSION_BY_INDICATION[x["indication"]] == conclusion]
    if not report["anchors"] and judged:
        advice.append(style.say(ADVICE["nothing-trusted"]))
    return list(dict.fromkeys(advice))


def _finding(judged: Json) -> Finding:
    return FINDINGS.get(judged["sub_indication"] or "", UNEXPLAINED)


def _title(signature: Json, number: int, total: int, style: Style) -> str:
    seal = (signature["signer"] or {}).get("kind") == "organisation"
    key = "counter-signature" if signature["counter_signature"] else "seal" if seal else "signature"
    return style.say(LABELS[key]) + _counted(number, total, style)


def _counted(number: int, total: int, style: Style) -> str:
    return " " + style.say(LABELS["of"], n=number, total=total) if total > 1 else ""


def _verdict_lines(judged: Json, title: str, extra: str, style: Style) -> Iterator[str]:
    """`Seal 1 of 2: VALID  PAdES-BASELINE-LT`, with the standard's word for what was found."""
    conclusion = CONCLUSION_BY_INDICATION[judged["indication"]]
    colon = "：" if style.language == "ja" else ": "
    word = say(CONCLUSIONS[conclusion], style.language)
    technical = "  ".join(x for x in (printable(extra), judged["sub_indication"] or "") if x)
    head = style.paint(title, Paint.STRONG) + colon + style.paint(word, PAINTS[conclusion])
    if columns(title + colon + word + technical) + 2 <= style.width:
        yield head + "  " + technical
    else:
        yield head
        yield from ("  " + line for line in folded(technical, style.width - 2))


def _signature(signature: Json, title: str, style: Style) -> Iterator[str]:
    yield from _verdict_lines(signature, title, signature["level"], style)
    yield from _field("who", [_who(signature["signer"], _passed(signature), "unknown-signer", style)], style)
    yield from _field("when", _when(signature, style), style)
    yield from _field("covers", _covers(signature["covers"], style), style)
    yield from _field("why", _why(signature, style), style)
    yield from _field("proves", _proves(signature, style), style)
    yield from _field("chain", _chain(signature["chain"], style), style)
    notes = [_unmet(w, style) for w in signature["warnings"]] or _defects(signature)
    ends = (signature["signer"] or {}).get("not_after")
    if _passed(signature) and not signature["proves"]["existence"]["proved"] and ends:
        notes.append(style.say(PHRASES["ends"], time=style.time(ends)))
    yield from _field("notes", _shown(notes, style), style)


def _stamp(stamp: Json, title: str, style: Style) -> Iterator[str]:
    yield from _verdict_lines(stamp, title, style.say(STAMPS[stamp["type"]]), style)
    yield from _field("who", [_who(stamp["tsa"], _passed(stamp), "unknown-authority", style)], style)
    yield from _field("when", [style.time(stamp["time"])], style)
    yield from _field("covers", _covers(stamp["covers"], style) if stamp["covers"] else [], style)
    yield from _field("why", _why(stamp, style), style)
    if _passed(stamp):
        yield from _field("proves", [style.say(PHRASES["proved-existence"], time=style.time(stamp["time"]))], style)
    yield from _field("notes", _shown(_defects(stamp), style), style)


def _record(record: Json, title: str, stamps: Json, style: Style) -> Iterator[str]:
    yield from _verdict_lines(record, title, record["form"], style)
    times = [stamps[i] for i in record["timestamps"] if i in stamps]
    said = [
        style.say(PHRASES["stamped"], time=style.time(t["time"]), tsa=(t["tsa"] or {}).get("name") or style.say(PHRASES["unknown-authority"]))
        for t in times
    ]
    yield from _field("when", _shown(said, style), style)
    yield from _field("covers", _covers(record["covers"], style), style)
    yield from _field("why", _why(record, style), style)
    if _passed(record) and times:
        yield from _field("proves", [style.say(PHRASES["proved-existence"], time=style.time(times[0]["time"]))], style)
    yield from _field("notes", _shown(_defects(record), style), style)


def _defects(judged: Json) -> list[str]:
    return [printable(d["why"]) for d in judged["defects"]]


def _passed(judged: Json) -> bool:
    return CONCLUSION_BY_INDICATION[judged["indication"]] == "passed"


def _called(who: Json | None, style: Style, unknown: str = "unknown-signer") -> str:
    """One name for people: the organisation where a seal names one."""
    if not who:
        return style.say(PHRASES[unknown])
    return str((who["organization"] if who["kind"] == "organisation" else None) or who["name"] or who["subject"] or who["sha256"])


def _who(who: Json | None, confirmed: bool, unknown: str, style: Style) -> str:
    if not who:
        return style.say(PHRASES[unknown])
    parts = [_called(who, style)]
    if who["name"] and who["name"] not in parts:
        parts.append(who["name"])
    if who["organization"] and who["organization"] not in parts:
        parts.append(who["organization"])
    name = ", ".join(printable(p) for p in parts)
    if who["corporate_number"]:
        name += ", " + style.say(PHRASES["corporate-number"], number=who["corporate_number"])
    return name if confirmed else style.say(PHRASES["claimed-name"], name=name)


def _when(signature: Json, style: Style) -> list[str]:
    said = []
    since = signature["proves"]["existence"]["since"]
    if since:
        said.append(style.say(PHRASES["existed"], time=style.time(since)))
    if signature["claimed_time"]:
        said.append(style.say(PHRASES["claimed"], time=style.time(signature["claimed_time"])))
    return said or [style.say(PHRASES["no-time"])]


def _covers(references: list[Json], style: Style) -> list[str]:
    """What is covered: what is wrong first."""
    said = [
        style.say(PHRASES[r["scope"] if r["intact"] else "changed" if r["found"] else "not-found"], name=r["name"])
        for r in sorted(references, key=lambda r: bool(r["intact"]))
    ]
    return _shown(said, style) or [style.say(PHRASES["nothing-covered"])]


def _why(judged: Json, style: Style) -> list[str]:
    """Why it is not passed: the finding in plain words, then the requirement that was not met."""
    if _passed(judged):
        return []
    said = [style.say(_finding(judged).why)]
    failed = [s for s in judged["trace"] if not s["ok"] and s["indication"]]
    step = next((s for s in failed if s["sub_indication"] == judged["sub_indication"]), failed[-1] if failed else None)
    if step:
        about = f" [{step['about']}]" if step["about"] else ""
        said.append(_unmet(f"{step['what']}{about} ({step['clause']})", style))
    return said


def _unmet(requirement: str, style: Style) -> str:
    """A requirement that was not met; a broken rule of the format (clause 5.2.2) is told as the fact that it is."""
    return printable(requirement) if "(5.2.2, " in requirement else style.say(PHRASES["unmet"], what=requirement)


def _proves(signature: Json, style: Style) -> list[str]:
    proves, who = signature["proves"], _called(signature["signer"], style)
    origin = style.say(PHRASES["origin"], name=who) if proves["origin"]["proved"] else style.say(PHRASES["no-origin"])
    since = proves["existence"]["since"]
    existence = style.say(PHRASES["existence"], time=style.time(since)) if since else style.say(PHRASES["no-existence"])
    return [origin, existence, _intent(signature, who, style)]


def _intent(signature: Json, who: str, style: Style) -> str:
    intent = signature["proves"]["intent"]
    if intent["proved"] and intent["stated"]:
        between = "" if style.language == "ja" else ", "
        return style.say(PHRASES["intent"], name=who, what=between.join(style.say(MEANINGS[m]) for m in intent["stated"]))
    if intent["proved"]:
        return style.say(PHRASES["intent-person"], name=who)
    seal = (signature["signer"] or {}).get("kind") == "organisation" and _passed(signature)
    return style.say(PHRASES["no-intent-seal" if seal else "no-intent"])


def _chain(links: list[Json], style: Style) -> list[str]:
    said = []
    for link in links:
        trusted = say(PHRASES["trusted"], style.language) if link["trusted"] else ""
        facts = ", ".join(printable(x) for x in (trusted, revocation_text(link["revocation"], style.language)) if x)
        name = printable(link["name"] or link["subject"] or link["sha256"])
        said.append(name + (f" ({facts})" if facts else ""))
    return _shown(said, style)


def _uncovered(thing: Json, style: Style) -> str:
    return style.say(PHRASES["grave" if thing["grave"] else "permitted"], name=thing["name"], why=thing["why"])


def _shown(items: Iterable[str], style: Style) -> list[str]:
    """Not more than a screen of one kind."""
    said = list(dict.fromkeys(items))
    if len(said) <= SHOWN:
        return said
    return [*said[:SHOWN], style.say(PHRASES["more"], count=len(said) - SHOWN)]


def _field(label: str, items: list[str], style: Style, indent: int = 2) -> Iterator[str]:
    """A label and its items, each item on lines of its own beside it."""
    width = style.label_width
    margin = indent + width + 2
    head = " " * indent + style.paint(padded(say(LABELS[label], style.language), width), Paint.QUIET) + "  "
    for item in items:
        for line in folded(item, max(NARROW // 2, style.width - margin)):
            yield (head + line).rstrip()
            head = " " * margin


def _error(report: Json, style: Style) -> Iterator[str]:
    for line in folded(style.say(PHRASES["cannot-judge"], why=report["error"]["text"]), style.width):
        yield style.paint(line, Paint.BAD)


def in_short(report: Json, name: str, style: Style) -> str:
    """One file of many in a line: its verdict, its name, and why it is no pass."""
    outcome = "error" if "error" in report else report["conclusion"]
    word = padded(say(OUTCOMES[outcome], style.language), max(columns(say(w, style.language)) for w in OUTCOMES.values()))
    said = style.paint(word, PAINTS.get(outcome, Paint.BAD)) + "  " + printable(name)
    why = [_reason(r, style) for r in report.get("reasons", ()) if r["code"] not in REMARKS]
    if outcome == "error":
        why = [printable(report["error"]["text"])]
    elif outcome in ("passed", "nothing_signed"):
        why = []
    return said + "".join(f"\n    {line}" for reason in why[:SHOWN] for line in folded(reason, style.width - 4)) + "\n"


def summary(outcomes: Mapping[str, int], style: Style) -> str:
    """How many files ended how."""
    counts = ", ".join(f"{say(OUTCOMES[outcome], style.language)} {outcomes[outcome]}" for outcome in OUTCOMES if outcomes.get(outcome))
    return style.say(PHRASES["summary"], total=sum(outcomes.values()), counts=counts) + "\n"
