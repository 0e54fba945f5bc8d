"""What the report tells people, before it has a shape: the verdict for the whole file, why, what to do, then each signature, in one language.

Terminal, HTML page and PDF are three shapes of this value. Made from the JSON report; every text of it is one printable line.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import MAXYEAR, datetime, timedelta, timezone
from typing import NamedTuple

from trust.model import Scope
from verifier.report.findings import FINDINGS, TRUST, UNEXPLAINED, Finding, Words
from verifier.report.parties import Json
from verifier.report.plain import printable
from verifier.report.texts import (
    ADVICE,
    CONCLUSIONS,
    LABELS,
    MEANINGS,
    PHRASES,
    REMARKS,
    STAMPS,
    SUMMARIES,
    reason_text,
    revocation_text,
    say,
)
from verifier.report.wording import is_fact, reworded

JAPAN = timezone(timedelta(hours=9))
SHOWN = 12
"""Items of one list that are shown; the JSON report has all of them."""
MOST = 40
"""Signatures, time-stamps or evidence records that are shown one by one."""
MOST_CHECKS = 300
"""Requirements of one signature that are listed."""
SAID_ELSEWHERE = frozenset({"nothing-signed", "permitted-change"})
"""Reasons that another line of the report tells already."""
CONCLUSION_BY_INDICATION = {
    "TOTAL-PASSED": "passed",
    "PASSED": "passed",
    "TOTAL-FAILED": "failed",
    "FAILED": "failed",
    "INDETERMINATE": "indeterminate",
}
_REVISION = re.compile(r"revision \d+ of \d+")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


class Field(NamedTuple):
    """A label and what stands beside it."""

    key: str
    """Of texts.LABELS."""
    items: tuple[str, ...]


class Check(NamedTuple):
    """A requirement that was looked at."""

    ok: bool
    what: str
    clause: str


@dataclass(frozen=True, slots=True)
class Part:
    """One signature, time-stamp or evidence record."""

    title: str
    conclusion: str
    """`passed`, `failed` or `indeterminate`."""
    technical: str
    """Level or kind, and the standard's word for what was found."""
    fields: tuple[Field, ...]
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """What is of one kind; `rest` says how many of it are not shown."""

    parts: tuple[Part, ...]
    rest: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """The whole report in words."""

    language: str
    name: str
    """Of the file; may be empty."""
    conclusion: str
    fields: tuple[Field, ...]
    groups: tuple[Group, ...]
    checked: str
    """When, by which policy, and against how many anchors."""
    facts: tuple[tuple[str, str], ...]
    """Label and value of what identifies the file and this report, for the shapes with room for it."""


@dataclass(frozen=True, slots=True)
class Voice:
    """How things are said: `en` or `ja`."""

    language: str = "en"

    def say(self, words: Words, **filling: object) -> str:
        """The text in this language, its places filled with printable values."""
        return say(words, self.language).format(**{k: printable(str(v)) for k, v in filling.items()})

    def time(self, text: str) -> str:
        """An RFC 3339 time of the report for people: in UTC, in Japanese by Japan's clocks."""
        at = datetime.fromisoformat(text)
        fraction = f".{at.microsecond // 1000:03}" if at.microsecond >= 1000 else ""
        if self.language != "ja" or at.year == MAXYEAR:  # RFC 5280 section 4.1.2.5: no end; Japan is a year ahead then
            return f"{at:%Y-%m-%d %H:%M:%S}{fraction} UTC"
        at = at.astimezone(JAPAN)
        return f"{at.year}年{at.month}月{at.day}日 {at:%H:%M:%S}{fraction}（日本時間）"

    def worded(self, text: str) -> str:
        """A requirement, a defect or the name of a thing, as readers and process wrote it, in this language where it is known."""
        return printable(_TIME.sub(lambda found: self.time(found.group()), reworded(text, self.language)))

    def joined(self, texts: Iterable[str]) -> str:
        return ("、" if self.language == "ja" else ", ").join(texts)


def told(report: Json, language: str = "en") -> Told:
    """`report` is the JSON report of a file that could be judged."""
    voice = Voice(language)
    stamps = {s["id"]: s for s in report["timestamps"]}
    signatures, records = report["signatures"], report["evidence_records"]
    groups = (
        Group(
            tuple(_signature(s, _title(s, n, len(signatures), voice), voice) for n, s in _foremost(signatures)), _rest(signatures, "signature", voice)
        ),
        Group(
            tuple(_stamp(s, voice.say(LABELS["timestamp"]) + _counted(n, len(stamps), voice), voice) for n, s in _foremost(list(stamps.values()))),
            _rest(list(stamps.values()), "timestamp", voice),
        ),
        Group(
            tuple(_record(r, voice.say(LABELS["record"]) + _counted(n, len(records), voice), stamps, voice) for n, r in _foremost(records)),
            _rest(records, "record", voice),
        ),
    )
    moment = voice.time(report["validation_time"])
    return Told(
        language=language,
        name=printable((report.get("file") or {}).get("name") or ""),
        conclusion=report["conclusion"],
        fields=_fields(_whole(report, voice)),
        groups=tuple(g for g in groups if g.parts),
        checked=voice.say(PHRASES["checked-at"], time=moment, policy=report["policy"], anchors=report["anchors"]),
        facts=tuple(_facts(report, voice)),
    )


def _fields(given: Iterable[tuple[str, list[str]]]) -> tuple[Field, ...]:
    return tuple(Field(key, tuple(items)) for key, items in given if items)


def _foremost(judged: list[Json]) -> list[tuple[int, Json]]:
    """Those that are shown, with their numbers: all, or of very many the ones that do not pass before the others."""
    numbered = list(enumerate(judged, start=1))
    if len(numbered) <= MOST:
        return numbered
    return sorted(sorted(numbered, key=lambda one: _passed(one[1]))[:MOST], key=lambda one: one[0])


def _rest(judged: list[Json], label: str, voice: Voice) -> str:
    if len(judged) <= MOST:
        return ""
    colon = "：" if voice.language == "ja" else ": "
    return voice.say(LABELS[label]) + colon + voice.say(PHRASES["more"], count=len(judged) - MOST)


def _facts(report: Json, voice: Voice) -> Iterator[tuple[str, str]]:
    file = report.get("file") or {}
    if file.get("size") is not None:
        yield voice.say(LABELS["size"]), voice.say(PHRASES["bytes"], count=f"{file['size']:,}")
    if file.get("sha256"):
        yield "SHA-256", printable(file["sha256"])
    yield voice.say(LABELS["format"]), printable(report["format"])
    yield voice.say(LABELS["engine"]), printable(report["engine"])
    if report.get("bundle"):
        yield voice.say(LABELS["bundle"]), printable(report["bundle"])
    for missing in report.get("unobtained") or ():
        yield voice.say(LABELS["unobtained"]), voice.say(PHRASES["unobtained"], what=missing["what"], url=missing["url"], why=missing["why"])


def _whole(report: Json, voice: Voice) -> Iterator[tuple[str, list[str]]]:
    """Why the file is concluded as it is, and what to do."""
    conclusion = report["conclusion"]
    stamps_only = conclusion == "passed" and not report["signatures"]
    why = [voice.say(SUMMARIES["passed-stamps" if stamps_only else conclusion])]
    why += [reason(r, voice) for r in report["reasons"] if r["code"] not in SAID_ELSEWHERE | REMARKS]
    yield "why", _shown(why, voice)
    yield "todo", _advice(report, voice)
    yield "not-covered", _shown([_uncovered(u, voice) for u in report["uncovered"] if u["grave"]], voice)
    remarks = [reason(r, voice) for r in report["reasons"] if r["code"] in REMARKS - SAID_ELSEWHERE]
    remarks += [_uncovered(u, voice) for u in report["uncovered"] if not u["grave"]]
    remarks += [voice.worded(d["why"]) for d in report["defects"]]
    yield "notes", _shown(remarks, voice)


def reason(given: Json, voice: Voice) -> str:
    """Of the whole file's verdict."""
    if given["code"] == "not-covered":  # what it is stands in a list of its own
        return printable(reason_text("not-covered", "", "", voice.language))
    detail = given["detail"] if given["detail"] in FINDINGS else voice.worded(given["detail"])
    return printable(reason_text(given["code"], voice.worded(given["subject"]), detail, voice.language))


def _advice(report: Json, voice: Voice) -> list[str]:
    """What to do, most general first, each thing once."""
    conclusion = report["conclusion"]
    advice = [voice.say(ADVICE[conclusion])]
    judged = [*report["signatures"], *([] if report["signatures"] else [*report["timestamps"], *report["evidence_records"]])]
    if conclusion in ("failed", "indeterminate"):
        advice += [voice.say(_finding(x).todo) for x in judged if CONCLUSION_BY_INDICATION[x["indication"]] == conclusion]
    if not report["anchors"] and judged:
        # One advice about whom to trust: where nobody is named, this one.
        advice = [a for a in advice if a != voice.say(TRUST)] + [voice.say(ADVICE["nothing-trusted"])]
    return list(dict.fromkeys(advice))


def _finding(judged: Json) -> Finding:
    return FINDINGS.get(judged["sub_indication"] or "", UNEXPLAINED)


def _title(signature: Json, number: int, total: int, voice: Voice) -> str:
    seal = (signature["signer"] or {}).get("kind") == "organisation"
    key = "counter-signature" if signature["counter_signature"] else "seal" if seal else "signature"
    return voice.say(LABELS[key]) + _counted(number, total, voice)


def _counted(number: int, total: int, voice: Voice) -> str:
    return " " + voice.say(LABELS["of"], n=number, total=total) if total > 1 else ""


def _part(judged: Json, title: str, extra: str, fields: Iterable[tuple[str, list[str]]], voice: Voice) -> Part:
    technical = "  ".join(x for x in (printable(extra), judged["sub_indication"] or "") if x)
    checks = tuple(Check(s["ok"], _step(s, voice), printable(s["clause"])) for s in judged["trace"][:MOST_CHECKS])
    return Part(title, CONCLUSION_BY_INDICATION[judged["indication"]], technical, _fields(fields), checks)


def _signature(signature: Json, title: str, voice: Voice) -> Part:
    notes = _warnings(signature, voice) or _defects(signature, voice)
    ends = (signature["signer"] or {}).get("not_after")
    if _passed(signature) and not signature["proves"]["existence"]["proved"] and ends:
        notes.append(voice.say(PHRASES["ends"], time=voice.time(ends)))
    fields = (
        ("who", [_who(signature["signer"], _passed(signature), "unknown-signer", voice)]),
        ("when", _when(signature, voice)),
        ("covers", _covers(signature["covers"], voice)),
        ("says", _says(signature["claims"], voice)),
        ("why", _why(signature, voice)),
        ("proves", _proves(signature, voice)),
        ("chain", _chain(signature["chain"], voice)),
        ("notes", _shown(notes, voice)),
    )
    return _part(signature, title, signature["level"], fields, voice)


def _stamp(stamp: Json, title: str, voice: Voice) -> Part:
    fields = (
        ("who", [_who(stamp["tsa"], _passed(stamp), "unknown-authority", voice)]),
        ("when", [voice.time(stamp["time"])]),
        ("covers", _covers(stamp["covers"], voice) if stamp["covers"] else []),
        ("why", _why(stamp, voice)),
        ("proves", [voice.say(PHRASES["proved-existence"], time=voice.time(stamp["time"]))] if _passed(stamp) else []),
        ("notes", _shown(_defects(stamp, voice), voice)),
    )
    return _part(stamp, title, voice.say(STAMPS[stamp["type"]]), fields, voice)


def _record(record: Json, title: str, stamps: Json, voice: Voice) -> Part:
    times = [stamps[i] for i in record["timestamps"] if i in stamps]
    said = [
        voice.say(PHRASES["stamped"], time=voice.time(t["time"]), tsa=(t["tsa"] or {}).get("name") or voice.say(PHRASES["unknown-authority"]))
        for t in times
    ]
    existed = _passed(record) and bool(times)
    fields = (
        ("when", _shown(said, voice)),
        ("covers", _covers(record["covers"], voice)),
        ("why", _why(record, voice)),
        ("proves", [voice.say(PHRASES["proved-existence"], time=voice.time(times[0]["time"]))] if existed else []),
        ("notes", _shown(_defects(record, voice), voice)),
    )
    return _part(record, title, record["form"], fields, voice)


def _defects(judged: Json, voice: Voice) -> list[str]:
    return [voice.worded(d["why"]) for d in judged["defects"]]


def _passed(judged: Json) -> bool:
    return CONCLUSION_BY_INDICATION[judged["indication"]] == "passed"


def _called(who: Json | None, voice: Voice, unknown: str = "unknown-signer") -> str:
    """One name for people: the organisation where a seal names one."""
    if not who:
        return voice.say(PHRASES[unknown])
    return str((who["organization"] if who["kind"] == "organisation" else None) or who["name"] or who["subject"] or who["sha256"])


def _who(who: Json | None, confirmed: bool, unknown: str, voice: Voice) -> str:
    if not who:
        return voice.say(PHRASES[unknown])
    parts = [_called(who, voice)]
    if who["name"] and who["name"] not in parts:
        parts.append(who["name"])
    if who["organization"] and who["organization"] not in parts:
        parts.append(who["organization"])
    said = [printable(p) for p in parts]
    if who["corporate_number"]:
        said.append(voice.say(PHRASES["corporate-number"], number=who["corporate_number"]))
    name = voice.joined(said)
    return name if confirmed else voice.say(PHRASES["claimed-name"], name=name)


def _when(signature: Json, voice: Voice) -> list[str]:
    said = []
    since = signature["proves"]["existence"]["since"]
    if since:
        said.append(voice.say(PHRASES["existed"], time=voice.time(since)))
    if signature["claimed_time"]:
        said.append(voice.say(PHRASES["claimed"], time=voice.time(signature["claimed_time"])))
    return said or [voice.say(PHRASES["no-time"])]


def _says(claims: Json, voice: Voice) -> list[str]:
    """Place, reason, roles and policy in the signer's own words; the commitments are under what is proved."""
    policy = claims["signature_policy"]
    told = [("said-reason", claims["reason"]), ("said-place", claims["place"]), *(("said-role", role) for role in claims["roles"])]
    told.append(("said-policy", None if policy == "implied" else policy))
    said = [voice.say(PHRASES[what], text=printable(text)) for what, text in told if text]
    return [*_shown(said, voice), voice.say(PHRASES["said"])] if said else []


def _covers(references: list[Json], voice: Voice) -> list[str]:
    """What is covered: what is wrong first."""
    said = [voice.say(PHRASES[_scope(r)], name=voice.worded(r["name"])) for r in sorted(references, key=lambda r: bool(r["intact"]))]
    return _shown(said, voice) or [voice.say(PHRASES["nothing-covered"])]


def _scope(reference: Json) -> str:
    """What to say of it: of a PDF that was added to (seals, time-stamps, status) not that a part is signed, but which state of it."""
    if not reference["intact"]:
        return "changed" if reference["found"] else "not-found"
    return "revision" if reference["scope"] == Scope.PARTIAL and _REVISION.fullmatch(reference["name"]) else str(reference["scope"])


def _why(judged: Json, voice: Voice) -> list[str]:
    """Why it is not passed: the finding in plain words, then the requirement that was not met."""
    if _passed(judged):
        return []
    said = [voice.say(_finding(judged).why)]
    failed = [s for s in judged["trace"] if not s["ok"] and s["indication"]]
    step = next((s for s in failed if s["sub_indication"] == judged["sub_indication"]), failed[-1] if failed else None)
    return [*said, _unmet(step, voice)] if step else said


def _step(step: Json, voice: Voice) -> str:
    """What was looked at, and of which object."""
    about = f" [{voice.worded(step['about'])}]" if step["about"] else ""
    return voice.worded(step["what"]) + about


def _unmet(step: Json, voice: Voice) -> str:
    """A requirement that was not met; a broken rule is told as the fact that it is."""
    what = f"{_step(step, voice)} ({printable(step['clause'])})"
    return what if is_fact(step["what"]) or step["clause"].startswith("5.2.2, ") else voice.say(PHRASES["unmet"], what=what)


def _warnings(signature: Json, voice: Voice) -> list[str]:
    """What the policy only warns of: steps of the trace that are not met and conclude nothing."""
    return [_unmet(s, voice) for s in signature["trace"] if not s["ok"] and not s["indication"]]


def _proves(signature: Json, voice: Voice) -> list[str]:
    proves, who = signature["proves"], _called(signature["signer"], voice)
    origin = voice.say(PHRASES["origin"], name=who) if proves["origin"]["proved"] else voice.say(PHRASES["no-origin"])
    since = proves["existence"]["since"]
    existence = voice.say(PHRASES["existence"], time=voice.time(since)) if since else voice.say(PHRASES["no-existence"])
    return [origin, existence, _intent(signature, who, voice)]


def _intent(signature: Json, who: str, voice: Voice) -> str:
    intent = signature["proves"]["intent"]
    if intent["proved"] and intent["stated"]:
        between = "" if voice.language == "ja" else ", "
        return voice.say(PHRASES["intent"], name=who, what=between.join(voice.say(MEANINGS[m]) for m in intent["stated"]))
    if intent["proved"]:
        return voice.say(PHRASES["intent-person"], name=who)
    seal = (signature["signer"] or {}).get("kind") == "organisation" and _passed(signature)
    return voice.say(PHRASES["no-intent-seal" if seal else "no-intent"])


def _chain(links: list[Json], voice: Voice) -> list[str]:
    said = []
    for link in links:
        trusted = say(PHRASES["trusted"], voice.language) if link["trusted"] else ""
        facts = voice.joined(printable(x) for x in (trusted, revocation_text(link["revocation"], voice.language)) if x)
        name = printable(link["name"] or link["subject"] or link["sha256"])
        told_of = f"：{facts}" if voice.language == "ja" else f" ({facts})"
        said.append(name + told_of if facts else name)
    return _shown(said, voice)


def _uncovered(thing: Json, voice: Voice) -> str:
    return voice.say(PHRASES["grave" if thing["grave"] else "permitted"], name=voice.worded(thing["name"]), why=voice.worded(thing["why"]))


def _shown(items: Iterable[str], voice: Voice) -> list[str]:
    """Not more than a screen of one kind."""
    said = list(dict.fromkeys(items))
    if len(said) <= SHOWN:
        return said
    return [*said[:SHOWN], voice.say(PHRASES["more"], count=len(said) - SHOWN)]


def verdict_word(conclusion: str, language: str) -> str:
    return say(CONCLUSIONS[conclusion], language)
