"""What the API's description says of `POST /v1/seals`: parameters, bodies, answers and problems, as data."""

from collections.abc import Iterable
from typing import Any

from eseal.pdf_seal import LONGEST_NAME, LONGEST_QR, SHOWS, Certify
from eseal.spec import (
    DIGEST_CHOICES,
    LONGEST_TEXT,
    MEDIA_TYPE,
    Addition,
    Canonicalization,
    Commitment,
    Components,
    Level,
    Mechanism,
    Packaging,
    Serialization,
    formats,
)
from trust.errors import Conflict, Forbidden, KakuinError, Malformed, TooLarge, Unacceptable, Unauthorised, Unavailable, UnsupportedMedia

DESCRIPTION = """The body is the document itself, with its own `Content-Type`, or `multipart/form-data` with the document as the file `document`
and the options as fields of their own or as one JSON object in the field `options`. It is streamed, never held whole in memory.
Several files called `document` get one seal together, in a container (`asic-e-cades`).

The answer is the sealed document: the PDF with the seal in it, or a CMS file (`.p7s` beside the document, `.p7m` with it inside), an XML
or JSON signature, a container or a COSE message, as `format` says. Before it is
given out it is verified by this installation's own verifier and recorded in its journal. If the time-stamping authority, the status service or
the journal does not answer, the answer is a problem and no weaker seal. Only with `degrade` is it the highest level that can be had and is not
below the one named there; then `Kakuin-Level` says which, `Kakuin-Level-Asked` stands beside it, and the journal says so too.

```sh
curl -T contract.pdf -X POST -H "Authorization: Bearer $KAKUIN_API_KEY" -H "Content-Type: application/pdf" \\
     -OJ "http://localhost:8318/v1/seals?level=B-LTA"
curl -F document=@prices.csv -F level=B-T -H "Authorization: Bearer $KAKUIN_API_KEY" -o prices.csv.p7s http://localhost:8318/v1/seals
```
"""


def binary(*media_types: str) -> dict[str, Any]:
    return {media_type: {"schema": {"type": "string", "contentMediaType": media_type}} for media_type in dict.fromkeys(media_types)}


def _choice(values: Iterable[str]) -> dict[str, Any]:
    return {"type": "string", "enum": [str(v) for v in values]}


_TEXT = {"type": "string", "minLength": 1, "maxLength": LONGEST_TEXT}
_ON_PAPER: dict[str, tuple[dict[str, Any], str, str]] = {
    "visible": ({"enum": list(SHOWS)}, "what is shown on a page. `seal` is a square red one (角印). Default: nothing.", "seal+text"),
    "page": ({"pattern": "^([1-9][0-9]*|last)$"}, "page of a visible seal, from 1, or `last`. Default: 1.", "1"),
    "rect": (
        {"maxLength": 100},
        "left, bottom, right, top from the lower left corner of the page as shown, in points or with `mm` behind each. Default: free, bottom right.",
        "140mm,20mm,164mm,44mm",
    ),
    "field": ({}, "an empty signature field of the document.", "Approval"),
    "new_field": ({"maxLength": 100}, "name of a new field. Default: Seal1, Seal2, …", "Approval"),
    "certify": ({"enum": [str(c) for c in Certify]}, "certify (first seal only); what is allowed afterwards (DocMDP).", "forms"),
    "lock": ({}, "form fields that nobody may change afterwards: `all`, names with commas, or `all-but:` and names.", "Total,Date"),
    "qr": (
        {"maxLength": LONGEST_QR},
        "content of the QR code; `{sha256}` is the digest of the file as it was sent.",
        "https://example.jp/v/{sha256}",
    ),
    "seal_name": (
        {"maxLength": LONGEST_NAME},
        "characters of the red seal. Default: the certificate's name.",
        "株式会社角印商事",
    ),
}
_OPTIONS: dict[str, tuple[dict[str, Any], str, str]] = {
    "format": (
        _choice(formats()),
        "Envelope of the seal. Default: `pades` for PDF, `xades` for XML, `jades` for JSON, else `cades`: the bytes decide.",
        "pades",
    ),
    "level": (_choice(Level), "Baseline level. Default: the highest that format and packaging have here. Never weaker than asked.", "B-LTA"),
    "packaging": (_choice(Packaging), "Where the document is: `enveloped` in PDF and XML; else `detached` (default) or `attached`.", "enveloped"),
    "addition": (
        _choice(Addition),
        "The document is signed already and gets one signature more, beside or over the one there. Content that stands apart: as further files.",
        "parallel",
    ),
    "canonicalization": (_choice(Canonicalization), "XAdES only: the canonical form that is signed. Default: `exclusive`.", "1.1"),
    "components": (_choice(Components), "JAdES only: how unsigned components stand in `etsiU`. Default: `base64url`.", "clear"),
    "serialization": (_choice(Serialization), "JAdES only: how the JWS is written. `compact` is at B-B alone. Default: `flattened`.", "flattened"),
    "mechanism": (
        _choice(Mechanism),
        "Detached JAdES: by name and digest, by name, as payload left out, or as body of an HTTP message; then further files are fields of its head.",
        "uri-hash",
    ),
    "digest": (
        _choice(DIGEST_CHOICES),
        "Digest of the document and of the signature. Default: the one that belongs to the key. Refused where the format has no name for it.",
        "sha256",
    ),
    "degrade": (
        _choice(Level),
        "The lowest level that will do when the authority or the status service is away. Default: none, and then the answer is a problem.",
        "B-T",
    ),
    "reason": (_TEXT, "PDF only: why it is sealed.", "invoice for October"),
    "location": (_TEXT, "Where it is sealed.", "東京都千代田区"),
    "role": (_TEXT, "In which role the organisation seals, as it says itself. Not in COSE.", "会計管理者"),
    "policy": (
        {"type": "string", "maxLength": LONGEST_TEXT},
        "Signature policy: object identifier; in XAdES and JAdES also a URI, in XAdES also `implied`.",
        "1.2.392.200000.1",
    ),
    "policy_hash": (
        {"type": "string", "pattern": "^[A-Za-z0-9_-]+:[0-9A-Fa-f]+$"},
        "Hash of the policy's text; goes with `policy`.",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ),
    "policy_uri": ({"type": "string", "format": "uri"}, "Where the policy's text is to be had.", "https://example.go.jp/policy.pdf"),
    "description": (_TEXT, "CAdES, XAdES and most ASiC: what the document is, in words.", "日別の金額"),
    "mime_type": (
        {"type": "string"},
        "Media type of the document, where the seal says it. Default: that of the upload. Not in PDF.",
        "text/csv",
    ),
    "content_timestamp": (
        _choice(("true", "false")),
        "Sign a time-stamp over the document with it: it existed before the seal did.",
        "true",
    ),
    "commitment": (_choice(Commitment), "What the organisation says by sealing (意思). In a PDF not together with `reason`.", "approval"),
    "signing_time": (
        {"type": "string", "format": "date-time"},
        "Claimed time, with a zone. Default: now.",
        "2026-11-21T09:00:00+09:00",
    ),
    **{name: ({"type": "string", **schema}, f"PDF only: {text}", example) for name, (schema, text, example) in _ON_PAPER.items()},
    "organisation": (
        {"type": "string", "pattern": "^[0-9]{13}$"},
        "Corporate number (法人番号). Default: that of the API key; no other one is permitted.",
        "1234567890123",
    ),
}
_PASSWORD = {"type": "string", "writeOnly": True, "description": "Of an encrypted PDF. Never in the query, which servers log."}
PROPERTIES = {name: {**schema, "description": text} for name, (schema, text, _) in _OPTIONS.items()} | {"password": _PASSWORD}


def parameter(name: str, where: str, schema: dict[str, Any], description: str, example: Any) -> dict[str, Any]:
    return {"name": name, "in": where, "required": False, "schema": schema, "description": description, "example": example}


def idempotency_key(what: str) -> dict[str, Any]:
    """`what` is given again."""
    about = f"Up to 255 visible characters. The same key with the same request gets the same {what} for a day."
    return parameter("Idempotency-Key", "header", {"type": "string", "maxLength": 255}, about, "3f0c7a1e-6a55-4a0e-9b8a-2f1d6f6f2c11")


OPERATION: dict[str, Any] = {
    "parameters": [
        *(parameter(name, "query", schema, text, example) for name, (schema, text, example) in _OPTIONS.items()),
        idempotency_key("seal"),
        parameter(
            "Content-Disposition",
            "header",
            {"type": "string"},
            "The document's file name, where the body is the document itself.",
            'attachment; filename="contract.pdf"',
        ),
    ],
    "requestBody": {
        "required": True,
        "content": {
            **binary("application/pdf", "text/csv", "application/octet-stream"),
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["document"],
                    "properties": {
                        "document": {"type": "string", "contentMediaType": "application/octet-stream"},
                        "image": {"type": "string", "contentMediaType": "image/png", "description": "PNG or JPEG of a visible seal."},
                        "font": {"type": "string", "contentMediaType": "font/ttf", "description": "Of a visible seal. Default: the service's."},
                        "options": {"type": "object", "properties": PROPERTIES, "additionalProperties": False},
                        **PROPERTIES,
                    },
                },
                "example": {"document": "(file)", "options": {"level": "B-LTA", "commitment": "approval", "location": "東京都千代田区"}},
            },
        },
    },
    "security": [{"apiKey": []}],
}


def header(description: str, example: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}, "example": example}


def problem(kind: type[KakuinError], description: str, detail: str) -> dict[str, Any]:
    example = {"type": f"urn:kakuin:problem:{kind.slug}", "title": kind.title, "status": kind.status, "detail": detail}
    return {"description": description, "content": {"application/problem+json": {"example": example}}}


def problems(*kinds: tuple[type[KakuinError], str, str]) -> dict[Any, Any]:
    """Responses by their status: what kind of problem, when, and its detail for example."""
    return {kind.status: problem(kind, description, detail) for kind, description, detail in kinds}


UNKNOWN_KEY = (Unauthorised, "No API key, or one that is unknown, expired or revoked.", "the API key is unknown, expired or revoked")
REPEATED = (Conflict, "The Idempotency-Key was used for another request.", "the Idempotency-Key was used for another request")

RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The sealed document.",
        "content": binary(*(media_type for media_type, _ in MEDIA_TYPE.values())),
        "headers": {
            "Kakuin-Format": header("Envelope of the seal.", "pades"),
            "Kakuin-Level": header("Level of the seal: the one that was asked for, unless `degrade` let it be lower.", "B-LTA"),
            "Kakuin-Level-Asked": header("The level that was asked for; only where the seal is lower.", "B-LTA"),
            "Kakuin-Packaging": header("Where the document is.", "enveloped"),
            "Kakuin-Seal": header("Number of the seal: its entry in the journal.", "42"),
            "Link": header("Its receipt: that the entry is in the log.", '<../v1/log/receipts/42>; rel="https://c2sp.org/tlog-proof"'),
            "Kakuin-Time": header("When it was sealed.", "2026-11-21T09:00:00Z"),
            "Kakuin-Warning": header(
                "What people should know of this seal, with semicolons between: from when on verifiers refuse its key, a lower level, a form in the "
                "PDF. Absent where there is nothing.",
                "verifiers refuse RSA PKCS#1 v1.5 with 3072 bits from 2029-01-01 on (ETSI TS 119 312): give the organisation another key",
            ),
            "Repr-Digest": header("SHA-256 of the sealed document (RFC 9530).", "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"),
            "Content-Disposition": header("Name of the sealed document.", 'attachment; filename="contract.sealed.pdf"'),
        },
    },
    **problems(
        (Malformed, "The document or the form breaks its format, or is empty.", "the document is empty: 0 bytes arrived"),
        UNKNOWN_KEY,
        (Forbidden, "The API key is another organisation's.", "the API key is another organisation's"),
        REPEATED,
        (TooLarge, "The document is over the limit.", "body is over 268435456 bytes"),
        (UnsupportedMedia, "The body is no document and no form.", "of the multipart types only multipart/form-data is read here"),
        (
            Unacceptable,
            "A format, level, packaging or option that does not exist, or a document that may not be changed.",
            "jades has no place for a reason; it has commitment, content_timestamp, location, mime_type, policy and role",
        ),
        (
            Unavailable,
            "Something that the seal needs does not answer. Nothing was sealed.",
            "B-T needs a time-stamp and the authority gives none: it does not answer; nothing was sealed; try again later",
        ),
    ),
}
