"""What a file carries, without a word of judgement: its signatures, time-stamps, certificates, status data, and what they cover."""

from collections.abc import Iterable, Iterator
from typing import Any

from trust.model import Cert, Crl, Document, Evidence, Ocsp, Reference, Signature, Stamp
from verifier.report.json import described, heading
from verifier.report.parties import Json, attempt, instant, party, readable
from verifier.report.plain import columns, printable


def inspection(evidence: Evidence, document: Document | None = None) -> Json:
    """The evidence as JSON values."""
    return {
        **heading(),
        **({"file": described(document)} if document is not None else {}),
        "format": evidence.kind,
        "signatures": [_signature(s) for s in evidence.signatures],
        "timestamps": [_stamp(s) for s in evidence.stamps],
        "evidence_records": [
            {"id": r.id.hex(), "form": r.form, "timestamps": [t.hex() for t in r.tokens], "covers": _references(r.references)}
            for r in evidence.records
        ],
        "certificates": [party(c) for c in _sorted_certs(evidence.certs)],
        "crls": [_crl(c) for c in sorted(evidence.crls, key=lambda c: c.id)],
        "ocsps": [_ocsp(o) for o in sorted(evidence.ocsps, key=lambda o: o.id)],
        "uncovered": [{"name": u.name, "why": u.why} for u in evidence.uncovered],
        "defects": [{"clause": d.clause, "why": d.why} for d in evidence.defects],
        "documents": [{"name": d.name, "size": d.size, "media_type": d.media_type} for d in evidence.documents],
    }


def _signature(signature: Signature) -> Json:
    claims = signature.claims
    return {
        "id": signature.id.hex(),
        "name": signature.field,
        "level": signature.level,
        "countersigns": signature.countersigns.hex() if signature.countersigns else None,
        "algorithm": " ".join(x for x in (signature.algorithm.scheme, signature.algorithm.digest) if x) if signature.algorithm else None,
        "signer": party(signature.signer) if signature.signer else None,
        "claimed_time": instant(claims.time) if claims.time else None,
        "claims": {
            k: v for k, v in (("place", claims.place), ("reason", claims.reason), ("contact", claims.contact), ("policy", claims.policy)) if v
        },
        "roles": list(claims.roles),
        "commitments": list(claims.commitments),
        "covers": _references(signature.references),
        "defects": [{"clause": d.clause, "why": d.why} for d in signature.defects],
    }


def _stamp(stamp: Stamp) -> Json:
    token = stamp.token
    return {
        "id": token.id.hex(),
        "type": stamp.kind.value,
        "time": instant(token.gen_time),
        "tsa": party(token.signature.signer) if token.signature.signer else None,
        "policy": token.policy,
        "serial": format(token.serial, "x"),
        "imprint": token.imprint.algorithm,
        "of": stamp.of.hex() if stamp.of else None,
        "covers": _references(stamp.references),
    }


def _references(references: Iterable[Reference]) -> list[Json]:
    return [{"name": r.name, "scope": r.scope.value, "found": r.found, "digest": r.digest.algorithm if r.digest else None} for r in references]


def _sorted_certs(certs: Iterable[Cert]) -> list[Cert]:
    return sorted(certs, key=lambda c: (attempt(lambda: c.name) or "", c.id))


def _crl(crl: Crl) -> Json:
    return {
        "sha256": crl.id.hex(),
        "issuer": attempt(lambda: readable(crl.x509.issuer)),
        "this_update": attempt(lambda: instant(crl.x509.last_update_utc)),
        "next_update": attempt(lambda: instant(crl.x509.next_update_utc) if crl.x509.next_update_utc else None),
    }


def _ocsp(ocsp: Ocsp) -> Json:
    return {
        "sha256": ocsp.id.hex(),
        "produced_at": attempt(lambda: instant(ocsp.asn1["tbs_response_data"]["produced_at"].native)),
        "answers": attempt(lambda: len(ocsp.asn1["tbs_response_data"]["responses"])),
    }


def outline(structure: Json) -> str:
    """The inspection as an indented list for a terminal."""
    return "".join(line + "\n" for line in _outline(structure))


_PARTS = ("signatures", "timestamps", "evidence_records", "certificates", "crls", "ocsps", "documents", "uncovered", "defects")


def _outline(structure: Json) -> Iterator[str]:
    name = (structure.get("file") or {}).get("name")
    yield f"{printable(structure['format'])}  {printable(name or '')}".rstrip()
    for part in _PARTS:
        if structure[part]:
            yield f"{part.replace('_', ' ')} ({len(structure[part])})"
            for item in structure[part]:
                yield from _item(item)
    if not any(structure[p] for p in ("signatures", "timestamps", "evidence_records")):
        yield "no signature, time-stamp or evidence record"


def _item(item: Json) -> Iterator[str]:
    """One object: its first telling value as the head, the others beneath."""
    shown = {k: text for k, v in item.items() if k not in ("id", "sha256") and (text := _value(v))}
    width = max((columns(k) for k in shown), default=0)
    for number, (key, text) in enumerate(shown.items()):
        yield f"  {'-' if number == 0 else ' '} {key.replace('_', ' '):<{width}}  {text}"


def _value(value: Any) -> str:
    match value:
        case None | "" | [] | {}:
            return ""
        case dict():
            if "sha256" in value:
                return ", ".join(printable(x) for x in (value["subject"] or value["sha256"], value["corporate_number"]) if x)
            return ", ".join(f"{key}: {text}" for key, inner in value.items() if (text := _value(inner)))
        case list():
            return "; ".join(_brief(inner) for inner in value[:20]) + (f"; and {len(value) - 20} more" if len(value) > 20 else "")
    return printable(str(value))


def _brief(value: Any) -> str:
    if isinstance(value, dict) and "scope" in value:
        return f"{printable(value['name'])} ({value['scope']}{'' if value['found'] else ', not found'})"
    return _value(value)
