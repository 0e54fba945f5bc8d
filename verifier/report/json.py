"""The stable JSON report: a verdict as a value that programs read, and from which every other report is made.

Its form is verifier/report/report.schema.json, and docs/report.md says what may change in it and what not.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from trust import VERSION
from trust.errors import KakuinError
from trust.model import Defect, Digest, Document, Id, Record, Reference, Signature, Token
from verifier.report.parties import Json, instant, party
from verifier.report.texts import reason_text
from verifier.verdict import ChainLink, Indication, RecordVerdict, SignatureVerdict, StampVerdict, Step, SubIndication, Verdict

SCHEMA = "1.0"
"""Version of the form: the first number rises when a reader of the old form would misread the new one, the second when fields are added."""

WHOLE_SIGNATURE = {Indication.PASSED: "TOTAL-PASSED", Indication.FAILED: "TOTAL-FAILED", Indication.INDETERMINATE: "INDETERMINATE"}
"""EN 319 102-1 clause 5.1.2: how the status of a whole signature is written."""

COMMITMENTS = {
    **{f"1.2.840.113549.1.9.16.6.{n}": word for n, word in enumerate(("origin", "receipt", "delivery", "sender", "approval", "creation"), start=1)},
    **{
        f"http://uri.etsi.org/01903/v1.2.2#ProofOf{word.title()}": word
        for word in ("origin", "receipt", "delivery", "sender", "approval", "creation")
    },
}
"""EN 319 122-1 clause 5.2.3 and EN 319 132-1 clause 5.2.3: what a signer may declare to mean."""


def report(
    verdict: Verdict, *, document: Document | None = None, anchors: int = 0, bundle: str | None = None, unobtained: Sequence[Json] = ()
) -> Json:
    """A verdict as JSON values. `anchors` is how many certificates were trusted; `document` is what was judged; `bundle` is the digest of
    everything else that the verdict depends on (verifier.bundle); `unobtained` is what was asked for and could not be had.
    """
    stamps = {s.stamp.token.id: s for s in verdict.stamps}
    return {
        **heading(),
        **({"file": described(document)} if document is not None else {}),
        "format": verdict.evidence.kind,
        "conclusion": verdict.conclusion.value,
        "reasons": [
            {"code": r.code, "text": reason_text(r.code, r.subject, r.detail, "en"), "subject": r.subject, "detail": r.detail}
            for r in verdict.reasons
        ],
        "validation_time": instant(verdict.validation_time),
        "policy": verdict.policy,
        "anchors": anchors,
        "bundle": bundle,
        "signatures": [_signature(s, verdict, stamps) for s in verdict.signatures],
        "timestamps": [_stamp(s) for s in verdict.stamps],
        "evidence_records": [_record(r) for r in verdict.records],
        "uncovered": [{"name": u.name, "why": u.why, "grave": u.grave} for u in verdict.evidence.uncovered],
        "defects": _defects(verdict.evidence.defects),
        "unobtained": list(unobtained),
    }


OUTLINED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "signatures": ("id", "level", "intact", "indication", "sub_indication", "counter_signature", "signer"),
        "timestamps": ("imprint", "serial", "intact", "indication"),
        "evidence_records": ("id", "intact"),
    }
)
"""What outline() says of each."""


def outline(verdict: Verdict) -> Json:
    """The same without the lists of what is covered: ten thousand files are told of one signature at a time, and forgotten."""
    stamps = {s.stamp.token.id: s for s in verdict.stamps}
    told: Mapping[str, Iterator[Json]] = {
        "signatures": (_signature(s, verdict, stamps) for s in verdict.signatures),
        "timestamps": map(_stamp, verdict.stamps),
        "evidence_records": map(_record, verdict.records),
    }
    plain = report(replace(verdict, signatures=(), stamps=(), records=()))
    short = {name: [{key: one[key] for key in keys} for one in told[name]] for name, keys in OUTLINED.items()}
    return {name: plain[name] for name in ("format", "conclusion", "reasons", "validation_time")} | short


def heading() -> Json:
    return {"schema": SCHEMA, "engine": f"kakuin {VERSION}"}


def error_report(error: Exception) -> Json:
    """Where the file cannot be judged at all: what went wrong, and nothing else."""
    if isinstance(error, KakuinError):
        return {**heading(), "error": {"type": error.slug, "text": str(error)}}
    return {**heading(), "error": {"type": "internal", "text": f"internal error ({type(error).__name__})"}}


def described(document: Document) -> Json:
    digest = document.digest("sha256")
    return {"name": document.name, "size": document.size, "sha256": digest.value.hex() if digest else None}


_PIECE = 1 << 16
"""Characters."""

# In JSON text a character outside ASCII can only stand in a string, so it may always be written as \uXXXX.
# Controls (C1), format and direction characters, line separators, halves of pairs.
_HARMFUL = re.compile("[\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\uffff]")


def dumps(value: Mapping[str, Any], *, indent: int | None = None, only_ascii: bool = False) -> str:
    """JSON text in which names stay readable and nothing can steer a terminal."""
    separators = (",", ":") if indent is None else None
    text = json.dumps(value, ensure_ascii=only_ascii, indent=indent, separators=separators, allow_nan=False)
    return _harmless(text)


def pieces(value: Mapping[str, Any], *, indent: int, only_ascii: bool = False) -> Iterator[str]:
    """The same text in pieces: of a container with ten thousand files it has eleven megabytes, and six times that while it is one."""
    held, size = list[str](), 0
    for piece in json.JSONEncoder(ensure_ascii=only_ascii, indent=indent, allow_nan=False).iterencode(value):
        held.append(piece)
        size += len(piece)
        if size > _PIECE:
            yield _harmless("".join(held))
            held, size = [], 0
    yield _harmless("".join(held))


def _harmless(text: str) -> str:
    return _HARMFUL.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def _signature(found: SignatureVerdict, verdict: Verdict, stamps: Mapping[Id, StampVerdict]) -> Json:
    signature = found.signature
    claims = signature.claims
    return {
        "id": signature.id.hex(),
        "name": signature.field,
        "form": signature.form.value,
        "level": signature.level,
        "counter_signature": signature.countersigns is not None,
        "countersigns": signature.countersigns.hex() if signature.countersigns else None,
        "indication": WHOLE_SIGNATURE[found.indication],
        "sub_indication": _sub(found.sub_indication),
        "intact": found.intact,
        "value_intact": found.value_intact,
        "algorithm": _algorithm(signature),
        "signer": party(signature.signer) if signature.signer else None,
        "claimed_time": instant(claims.time) if claims.time else None,
        "best_signature_time": instant(found.best_signature_time),
        "claims": {
            "place": claims.place,
            "reason": claims.reason,
            "contact": claims.contact,
            "roles": list(claims.roles),
            "commitments": list(claims.commitments),
            "content_type": claims.content_type,
            "signature_policy": claims.policy,
            "signature_policy_digest": _digest(claims.policy_digest) if claims.policy_digest else None,
            "signature_policy_uri": claims.policy_uri,
        },
        "covers": _references(signature.references),
        "proves": _proves(found, verdict, stamps),
        "timestamps": [i.hex() for i in found.stamps],
        "chain": _chain(found.chain),
        "warnings": list(found.warnings),
        "defects": _defects(signature.defects),
        "trace": _trace(found.trace),
    }


def _stamp(found: StampVerdict) -> Json:
    stamp, token = found.stamp, found.stamp.token
    return {
        "id": token.id.hex(),
        "type": stamp.kind.value,
        "time": instant(token.gen_time),
        "accuracy_us": token.accuracy_us,
        "indication": found.indication.value,
        "sub_indication": _sub(found.sub_indication),
        "intact": found.intact,
        "of": stamp.of.hex() if stamp.of else None,
        "tsa": _authority(token),
        "policy": token.policy,
        "serial": format(token.serial, "x"),
        "imprint": _digest(token.imprint),
        "algorithm": _algorithm(token.signature),
        "covers": _references(stamp.references),
        "chain": _chain(found.chain),
        "defects": _defects(stamp.defects),
        "trace": _trace(found.trace),
    }


def _authority(token: Token) -> Json | None:
    """Who stamped, by the certificate and never by the name that TSTInfo claims."""
    return party(token.signature.signer) if token.signature.signer else None


def _record(found: RecordVerdict) -> Json:
    record: Record = found.record
    return {
        "id": record.id.hex(),
        "form": record.form,
        "indication": found.indication.value,
        "sub_indication": _sub(found.sub_indication),
        "intact": record.intact,
        "covers": _references(record.references),
        "timestamps": [i.hex() for i in record.tokens],
        "defects": _defects(record.defects),
        "trace": _trace(found.trace),
    }


def _proves(found: SignatureVerdict, verdict: Verdict, stamps: Mapping[Id, StampVerdict]) -> Json:
    """Which of origin, existence and intent this signature proves.

    Origin: who it comes from, when the signature passes. Existence: since when at the latest, when a stamp that passes says so, whatever
    becomes of the signature. Intent: what the signer meant, when the signature passes and says so, or is a person's own.
    """
    passed = found.indication is Indication.PASSED
    trusted = [stamps[i] for i in found.stamps if i in stamps and stamps[i].indication is Indication.PASSED]
    proved_time = found.best_signature_time < verdict.validation_time and bool(trusted)
    person = party(found.signature.signer)["kind"] == "person" if found.signature.signer else False
    meant = sorted({COMMITMENTS.get(c, "other") for c in found.signature.claims.commitments})
    return {
        "origin": {"proved": passed},
        "existence": {"proved": proved_time, "since": instant(found.best_signature_time) if proved_time else None},
        "intent": {"proved": passed and (bool(meant) or person), "stated": meant},
    }


def _references(references: Iterable[Reference]) -> list[Json]:
    return [
        {
            "name": r.name,
            "scope": r.scope.value,
            "found": r.found,
            "intact": r.intact,
            "digest": _digest(r.digest) if r.digest else None,
            "uri": r.uri,
        }
        for r in references
    ]


def _chain(links: Sequence[ChainLink]) -> list[Json]:
    return [{**party(link.cert), "trusted": link.trusted, "revocation": link.revocation} for link in links]


def _algorithm(signature: Signature) -> Json | None:
    if signature.algorithm is None:
        return None
    return {"scheme": signature.algorithm.scheme, "digest": signature.algorithm.digest}


def _digest(digest: Digest) -> Json:
    return {"algorithm": digest.algorithm, "value": digest.value.hex()}


def _sub(sub_indication: SubIndication | None) -> str | None:
    return sub_indication.value if sub_indication else None


def _defects(defects: Iterable[Defect]) -> list[Json]:
    return [{"clause": d.clause, "why": d.why, "fatal": d.fatal} for d in defects]


def _trace(steps: Iterable[Step]) -> list[Json]:
    return [
        {
            "clause": s.clause,
            "what": s.what,
            "ok": s.ok,
            "indication": s.indication.value if s.indication else None,
            "sub_indication": _sub(s.sub_indication),
            "about": s.about,
        }
        for s in steps
    ]
