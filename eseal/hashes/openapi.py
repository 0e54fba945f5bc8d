"""What the API's description says of `/v1/seals/hashes`, as data."""

from typing import Any

from eseal.hashes.known import LEVELS, LONGEST_NAME, MOST_DOCUMENTS
from eseal.hashes.steps import COURSES
from eseal.openapi import PROPERTIES, binary, idempotency_key, parameter, problems
from eseal.openapi import RESPONSES as OF_SEALS
from eseal.spec import DIGEST_CHOICES, MEDIA_TYPE, Format, Packaging
from trust.errors import Conflict, Forbidden, Malformed, NotFound, TooLarge, Unacceptable, Unauthorised, Unavailable, UnsupportedMedia

DESCRIPTION = """For those who may not send the document: digests go in, and a signature comes out.
Detached `cades` (default; to B-LTA), `xades` and `jades` (several documents too; to B-LT) and `cose` (a hash envelope, RFC 9995; to B-T) take one
step, and the answer is the signature, to be kept beside the document. So does `pades` to B-T: the document is the digest of the byte range of a PDF
that you have prepared, and the answer is what goes into `/Contents`; reason, place, time and look stand in the PDF, and you write them.

What is stamped over the documents once more takes two. The answer is then JSON: a `signature` (base64) at the `level` that digests suffice for,
checked and recorded as any other, for `pades` from B-LT on the `values` of its `/DSS`, and `next`:

- `xades` and `jades` at B-LTA: hash the octets of the `documents`, in that order, one behind the other, and behind them the octets `then` (base64),
  with `digest`; send the result to `address`, and the answer is the signature at B-LTA.
- `pades` at B-LTA: put `values` into the `/DSS` and a document time-stamp with `room` bytes of `/Contents` behind it, send the digest of its byte
  range to `address`, and the answer is the token and the `values` that it needs in the `/DSS`.
- `asic-e-cades` at B-LTA: the document is an ASiCManifest. List it, `signature` and the documents in an ASiCArchiveManifest, and send its digest.

Everything else needs the bytes and is refused with the reason. Of each document the digest that the organisation's key signs is needed (`GET` says
which), and SHA-256, by which the journal names it. Digests are hexadecimal or base64. The service sees no more than that: it signs what it is told,
verifies the signature against the digests, and records it. The options are those of `POST /v1/seals`.

```sh
curl -H "Authorization: Bearer $KAKUIN_API_KEY" -H "Content-Type: application/json" -o data.csv.p7s http://localhost:8318/v1/seals/hashes \\
     -d '{"documents": [{"name": "data.csv", "digests": {"sha256": "'$(sha256sum < data.csv | cut -c1-64)'"}}], "level": "B-LTA"}'
```
"""

STEP_DESCRIPTION = """`address` of the first step's `next`, within a day and by the same API key. The service stamps the digest that it is told and
cannot know what it is of: with a wrong one the archive time-stamp is broken, so verify the result. The same digest again gets the same answer.

```sh
(cat data.csv; jq -r .next.then first.json | base64 -d) | sha256sum
```
"""

KEY_DESCRIPTION = """What whoever prepares something to be signed needs to know before: which digests (`digests`), the certificate and its issuers
(base64 of DER), the algorithm (an AlgorithmIdentifier, likewise), the service's time, and for `pades` how many bytes of `/Contents` the signature
needs.
"""

FORMATS = [str(f) for f in dict.fromkeys((*LEVELS, *(f for f, _ in COURSES)))]
_NOT_HERE = frozenset(
    {
        "addition",
        "mechanism",
        "components",
        "password",
        "visible",
        "page",
        "rect",
        "field",
        "new_field",
        "certify",
        "lock",
        "qr",
        "seal_name",
        "reason",
    }
)
"""Options of what digests do not make, or that have one value here."""
_DIGESTS: dict[str, Any] = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": False,
    "properties": {name: {"type": "string"} for name in DIGEST_CHOICES},
    "description": "Hexadecimal or base64.",
}
_ONE = {"sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}
_DOCUMENT: dict[str, Any] = {
    "type": "object",
    "required": ["name", "digests"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME, "description": "Its file name, which XAdES and JAdES sign."},
        "digests": _DIGESTS,
        "media_type": {"type": "string", "description": "Said in the seal."},
    },
}
_EXAMPLE = {
    "documents": [{"name": "data.csv", "digests": _ONE}],
    "format": "cades",
    "level": "B-LTA",
}

OPERATION: dict[str, Any] = {
    "parameters": [idempotency_key("seal")],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["documents"],
                    "additionalProperties": False,
                    "properties": {
                        "documents": {"type": "array", "minItems": 1, "maxItems": MOST_DOCUMENTS, "items": _DOCUMENT},
                        **{name: schema for name, schema in PROPERTIES.items() if name not in _NOT_HERE},
                        "format": {"type": "string", "enum": FORMATS, "default": "cades"},
                        "packaging": {"type": "string", "enum": [str(p) for p in Packaging], "description": "As the format has it: the default."},
                    },
                },
                "example": _EXAMPLE,
            }
        },
    },
    "security": [{"apiKey": []}],
}

_VALUES = {"certificates": ["MIIC…"], "crls": ["MIIB…"], "ocsps": ["MIIE…"]}
_FIRST_EXAMPLE = {
    "format": "xades",
    "level": "B-LT",
    "asked_level": "B-LTA",
    "seal": 42,
    "time": "2026-11-21T09:00:00Z",
    "warnings": [],
    "signature": "PD94…",
    "next": {
        "address": "/v1/seals/hashes/5f0c7a1e6a554a0e9b8a2f1d6f6f2c11",
        "digest": "sha256",
        "documents": ["data.csv"],
        "then": "PHhh…",
        "room": 2300,
    },
}
_LAST_EXAMPLE = {"format": "pades", "level": "B-LTA", "seal": 43, "time": "2026-11-21T09:00:02Z", "warnings": [], "token": "MIII…", "values": _VALUES}
_KEY_EXAMPLE = {
    "organisation": "1234567890123",
    "certificates": ["MIIC…"],
    "algorithm": "MAoGCCqGSM49BAMC",
    "digest": "sha256",
    "digests": ["sha256"],
    "time": "2026-11-21T09:00:00Z",
    "warnings": [],
    "room": 8192,
}

RESPONSES: dict[int | str, dict[str, Any]] = {
    **OF_SEALS,
    200: {
        **OF_SEALS[200],
        "description": "The signature; for what takes two steps an object with it.",
        "content": {
            **binary(*(MEDIA_TYPE[form, Packaging.DETACHED][0] for form in LEVELS if form is not Format.PADES)),
            "application/json": {"example": _FIRST_EXAMPLE},
        },
    },
    **problems(
        (Malformed, "The body is not the JSON object that is expected.", "documents is expected once, got 0"),
        (TooLarge, "The body is over the limit.", "body is over 1048576 bytes"),
        (UnsupportedMedia, "The body is no JSON.", "content-type application/json expected"),
        (
            Unacceptable,
            "A digest of the wrong kind or length, or a seal that needs the document's bytes.",
            "a sha384 digest of each document is needed (this key signs it), got sha256",
        ),
    ),
}

_SHARED = (Malformed.status, Unauthorised.status, Forbidden.status, Unacceptable.status, Unavailable.status)
STEP_OPERATION: dict[str, Any] = {
    "parameters": [
        {"name": "step", "in": "path", "required": True, "schema": {"type": "string"}, "description": "As `next` of the first step says."}
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["imprint"],
                    "additionalProperties": False,
                    "properties": {"imprint": {**_DIGESTS, "maxProperties": 1}},
                },
                "example": {"imprint": _ONE},
            }
        },
    },
    "security": [{"apiKey": []}],
}
STEP_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        **OF_SEALS[200],
        "description": "`xades`, `jades`: the signature at B-LTA. Others: an object with the time-stamp token.",
        "content": {
            **binary(*(MEDIA_TYPE[form, Packaging.DETACHED][0] for form in (Format.XADES, Format.JADES))),
            "application/json": {"example": _LAST_EXAMPLE},
        },
    },
    **{status: RESPONSES[status] for status in (*_SHARED, TooLarge.status, UnsupportedMedia.status)},
    **problems(
        (
            NotFound,
            "No such step, another API key's, or a day has passed.",
            "this API key has no second step of that name open; it stays open for a day",
        ),
        (Conflict, "It was made with another digest.", "this second step was made with another digest: a seal has one"),
    ),
}
KEY_OPERATION: dict[str, Any] = {
    "parameters": [
        parameter(name, "query", {k: v for k, v in PROPERTIES[name].items() if k != "description"}, PROPERTIES[name]["description"], example)
        for name, example in (("format", "pades"), ("level", "B-LTA"), ("digest", "sha256"), ("content_timestamp", "true"))
    ],
    "security": [{"apiKey": []}],
}
KEY_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The key.", "content": {"application/json": {"example": _KEY_EXAMPLE}}},
    **{status: RESPONSES[status] for status in _SHARED},
}

EXTEND_DESCRIPTION = """For those who may not send the document that shall be raised or renewed: `certificates` (base64 of DER) are answered with
their status, `imprint` with a time-stamp token over it and the status of the token's own chain. Where they go, and what is hashed, tells the format:
in a PDF `values` go into the `/DSS` and the token into a document time-stamp behind them. Verify what you extend before and after: `kakuin extend
--hash-only` does all of that.
"""
EXTEND_OPERATION: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "minProperties": 1,
                    "additionalProperties": False,
                    "properties": {
                        "imprint": {**_DIGESTS, "maxProperties": 1},
                        "certificates": {"type": "array", "maxItems": 32, "items": {"type": "string"}},
                    },
                },
                "example": {"imprint": _ONE},
            }
        },
    },
    "security": [{"apiKey": []}],
}
EXTEND_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Values, and the token where one was asked for.",
        "content": {"application/json": {"example": {"extension": 44, "token": "MIII…", "time": "2026-11-21T09:00:02Z", "values": _VALUES}}},
    },
    **{status: RESPONSES[status] for status in (*_SHARED, TooLarge.status, UnsupportedMedia.status)},
}
