"""What an audit found, in short: as JSON values, and from these as text for people. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from verifier.audit import wording
from verifier.audit.auditor import REMARKS, Auditor
from verifier.report.findings import Words
from verifier.report.parties import Json, instant
from verifier.report.plain import columns, folded, padded, printable
from verifier.report.text import NARROW, WIDTH, Paint, Style
from verifier.report.texts import say

FORM = "1.0"
"""Version of the JSON form, as that of reports (docs/report.md)."""
MOST_UNITS = 20
"""Units that are named; the rows name all."""
EXIT = {"clean": 0, "findings": 1, "indeterminate": 3}
_PAINTS = {"clean": Paint.GOOD, "findings": Paint.BAD, "indeterminate": Paint.OPEN}


@dataclass(frozen=True, slots=True)
class Asked:
    """What was audited, and by what it was judged."""

    source: str
    """`export`, `instance` or `files`."""
    name: str
    since: datetime | None
    until: datetime | None
    at: datetime
    policy: str
    anchors: int
    engine: str


@dataclass(frozen=True, slots=True)
class Log:
    """How far the log itself was checked."""

    entries: int
    first: int
    root: str | None
    """Hexadecimal; None where the log is not there from its beginning."""
    roots: int
    """Signed checkpoints that it was compared with."""


def summary(asked: Asked, auditor: Auditor, log: Log | None, listed: int | None) -> Json:
    """`listed`: how many stamps were expected; None without a list."""
    totals, serials = auditor.totals, auditor.serials
    nothing = not totals.tokens and (log is None or not log.entries)  # a wrong folder is not in order
    unsure = totals.verdicts["indeterminate"] or serials.scattered or nothing
    return {
        "audit": FORM,
        "engine": asked.engine,
        "conclusion": "findings" if totals.grave else "indeterminate" if unsure else "clean",
        "source": {"kind": asked.source, "name": asked.name},
        "period": {"from": _instant(asked.since), "to": _instant(asked.until)},
        "validation_time": instant(asked.at),
        "policy": asked.policy,
        "anchors": asked.anchors,
        "tokens": totals.tokens,
        "skipped": totals.skipped,
        "first_time": _instant(totals.first),
        "last_time": _instant(totals.last),
        "verdicts": {name: totals.verdicts[name] for name in wording.VERDICTS},
        "units": [
            {
                "unit": unit,
                "name": totals.authorities.get(unit, ("", ""))[0],
                "certificate": totals.authorities.get(unit, ("", ""))[1],
                "tokens": known.tokens,
                "first": str(known.least),
                "last": str(known.last),
                "missing": str(sum(last - first + 1 for first, last in known.missing) + known.lost),
            }
            for unit, known in serials.units.items()
            if known.tokens
        ],
        "scattered": serials.scattered,
        "clock": None
        if log is None
        else {"states": dict(sorted(totals.clocks.items())), "oldest_evidence_s": -(-totals.oldest_evidence_us // 1_000_000)},
        "log": None if log is None else {"entries": log.entries, "first": log.first, "root": log.root, "checkpoints": log.roots},
        "expected": None if listed is None else {"listed": listed, "missing": totals.unstamped, "unlisted": totals.unlisted},
        "findings": {
            code: {"count": totals.findings[code], "remark": code in REMARKS, "first": totals.examples[code]}
            for code in sorted(totals.findings, key=_place)
        },
    }


_ORDER = {code: at for at, code in enumerate(wording.FINDINGS)}


def _place(code: str) -> tuple[int, str]:
    return _ORDER.get(code, len(_ORDER)), code


def _instant(moment: datetime | None) -> str | None:
    return None if moment is None else instant(moment)


def render(found: Json, style: Style | None = None) -> str:
    """The conclusion first, then what was looked at, then what is wrong; it ends in a line feed."""
    style = style or Style()
    style = Style(style.language, max(NARROW, min(style.width, WIDTH)), style.colour)
    lines = [style.paint(say(wording.HEADS[found["conclusion"]], style.language), _PAINTS[found["conclusion"]]), ""]
    width = max(columns(say(label, style.language)) for label in wording.LABELS.values())
    for label, texts in _fields(found, style):
        head = style.paint(padded(say(wording.LABELS[label], style.language), width), Paint.QUIET) + "  "
        for text in texts:
            for line in folded(text, max(NARROW // 2, style.width - width - 2)):
                lines.append((head + line).rstrip())
                head = " " * (width + 2)
    return "\n".join(lines) + "\n"


def _fields(found: Json, style: Style) -> Iterator[tuple[str, Sequence[str]]]:
    told = wording.PHRASES

    def phrase(key: str, /, **filling: object) -> str:
        return style.say(told[key], **filling)

    yield "source", [phrase(f"source-{found['source']['kind']}", name=found["source"]["name"])]
    since, until = found["period"]["from"], found["period"]["to"]
    blank = phrase("open")
    yield "period", [phrase("period", since=since or blank, until=until or blank) if since or until else phrase("all")]
    tokens = [phrase("tokens", count=f"{found['tokens']:,}", first=found["first_time"], last=found["last_time"])]
    if not found["first_time"]:
        tokens = [f"{found['tokens']:,}" if found["tokens"] else phrase("no-tokens")]
    yield "tokens", [*tokens, *([phrase("skipped", count=f"{found['skipped']:,}")] if found["skipped"] else [])]
    yield "verdicts", [style.voice.joined(style.say(words, count=f"{found['verdicts'][name]:,}") for name, words in wording.VERDICTS.items())]
    yield "units", list(_units(found, style))
    yield "clock", list(_clock(found, style))
    if (log := found["log"]) is not None:
        name = "log-part" if log["root"] is None else "log-whole"
        yield (
            "log",
            [
                phrase(name, entries=f"{log['entries']:,}", first=log["first"], root=log["root"]),
                phrase("log-roots", count=log["checkpoints"]) if log["checkpoints"] else phrase("log-no-roots"),
            ],
        )
    if (expected := found["expected"]) is not None:
        more = [phrase("unlisted", count=f"{expected['unlisted']:,}")] if expected["unlisted"] else []
        yield "expected", [phrase("expected", listed=f"{expected['listed']:,}", missing=f"{expected['missing']:,}"), *more]
    for label, remark in (("findings", False), ("remarks", True)):
        if texts := list(_findings(found, style, remark=remark)):
            yield label, texts
    judged = {"at": found["validation_time"], "policy": found["policy"], "anchors": found["anchors"], "engine": found["engine"]}
    yield "judged", [phrase("judged", **judged), *([] if found["anchors"] else [phrase("no-anchors")])]


def _units(found: Json, style: Style) -> Iterator[str]:
    for unit in found["units"][:MOST_UNITS]:
        shown = {"name": unit["name"] or "?", "unit": unit["unit"], "count": f"{unit['tokens']:,}"}
        yield style.say(wording.PHRASES["unit"], **shown, first=unit["first"], last=unit["last"], missing=unit["missing"])
    if len(found["units"]) > MOST_UNITS:
        yield style.say(wording.PHRASES["more-units"], count=len(found["units"]) - MOST_UNITS)
    if found["scattered"]:
        yield style.say(wording.PHRASES["scattered"])
    if not found["units"]:
        yield style.say(wording.PHRASES["no-tokens"])


def _clock(found: Json, style: Style) -> Iterator[str]:
    clock = found["clock"]
    if clock is None:
        yield style.say(wording.PHRASES["no-clock"])
        return
    yield style.voice.joined(style.say(wording.PHRASES["clock"], state=state, count=f"{count:,}") for state, count in clock["states"].items()) or "-"
    if clock["oldest_evidence_s"]:
        yield style.say(wording.PHRASES["clock-age"], seconds=f"{clock['oldest_evidence_s']:,}")


def _findings(found: Json, style: Style, *, remark: bool) -> Iterator[str]:
    for code, each in found["findings"].items():
        if each["remark"] is not remark:
            continue
        yield f"{each['count']:,}  {say(wording.FINDINGS.get(code, Words(code, code)), style.language)} ({code})"
        for where in each["first"]:
            yield f"    {printable(where)}"
        if each["count"] > len(each["first"]):
            yield "    " + style.say(wording.PHRASES["more"], count=f"{each['count'] - len(each['first']):,}")
