"""What the API's description says of `POST /v1/seals/hashes`, as data."""

from typing import Any

from eseal.hashes import LEVELS, LONGEST_NAME, MOST_DOCUMENTS
from eseal.openapi import PROPERTIES, binary, parameter, problem
from eseal.openapi import RESPONSES as OF_SEALS
from eseal.spec import DIGEST_CHOICES, MEDIA_TYPE, Packaging
from trust.errors import Malformed, TooLarge, Unacceptable, UnsupportedMedia

DESCRIPTION = """For those who may not send the document: digests go in, and a detached signature comes out, to be kept beside the document.
Formats are `cades` (default; to B-LTA), `xades` and `jades` (to B-LT: their archive time-stamps are over the document's bytes), the last two for
several documents too. Everything else needs the bytes and is refused with the reason.

Of each document the digest that the organisation's key signs is needed (a refusal says which), and SHA-256, by which the journal names it. Digests
are hexadecimal or base64. The service sees no more than that: it signs what it is told, verifies the signature against the digests, and records it.
The options are those of `POST /v1/seals`.

```sh
curl -H "Authorization: Bearer $KAKUIN_API_KEY" -H "Content-Type: application/json" -o data.csv.p7s http://localhost:8318/v1/seals/hashes \\
     -d '{"documents": [{"name": "data.csv", "digests": {"sha256": "'$(sha256sum < data.csv | cut -c1-64)'"}}], "level": "B-LTA"}'
```
"""

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
_DOCUMENT: dict[str, Any] = {
    "type": "object",
    "required": ["name", "digests"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME, "description": "Its file name, which XAdES and JAdES sign."},
        "digests": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": False,
            "properties": {name: {"type": "string"} for name in DIGEST_CHOICES},
            "description": "Hexadecimal or base64.",
        },
        "media_type": {"type": "string", "description": "Said in the seal."},
    },
}
_EXAMPLE = {
    "documents": [{"name": "data.csv", "digests": {"sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}}],
    "format": "cades",
    "level": "B-LTA",
}

OPERATION: dict[str, Any] = {
    "parameters": [
        parameter(
            "Idempotency-Key",
            "header",
            {"type": "string", "maxLength": 255},
            "Up to 255 visible characters. The same key with the same request gets the same seal for a day.",
            "3f0c7a1e-6a55-4a0e-9b8a-2f1d6f6f2c11",
        )
    ],
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
                        "format": {"type": "string", "enum": [str(f) for f in LEVELS], "default": "cades"},
                        "packaging": {"type": "string", "enum": ["detached"], "default": "detached"},
                    },
                },
                "example": _EXAMPLE,
            }
        },
    },
    "security": [{"apiKey": []}],
}

RESPONSES: dict[int | str, dict[str, Any]] = {
    **OF_SEALS,
    200: {
        **OF_SEALS[200],
        "description": "The detached signature.",
        "content": binary(*(MEDIA_TYPE[form, Packaging.DETACHED][0] for form in LEVELS)),
    },
    **{
        kind.status: problem(kind, description, detail)
        for kind, description, detail in (
            (Malformed, "The body is not the JSON object that is expected.", "documents is expected once, got 0"),
            (TooLarge, "The body is over the limit.", "body is over 1048576 bytes"),
            (UnsupportedMedia, "The body is no JSON.", "content-type application/json expected"),
            (
                Unacceptable,
                "A digest of the wrong kind or length, or a seal that needs the document's bytes.",
                "a sha384 digest of each document is needed (this key signs it), got sha256",
            ),
        )
    },
}
