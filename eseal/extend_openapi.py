"""What the API's description says of `POST /v1/extensions`, as data."""

from typing import Any

from eseal.extend import MEDIA_TYPE
from eseal.openapi import REPEATED, UNKNOWN_KEY, binary, header, idempotency_key, parameter, problems
from eseal.spec import Level
from trust.errors import Malformed, TooLarge, Unacceptable, Unavailable

DESCRIPTION = """Whoever made the signatures: PDF (also `adbe.*`), CMS and CAdES, XAdES, JAdES, COSE (to B-T), ASiC and OpenDocument. The body is the
document itself, or `multipart/form-data` with the document as the file `document`, the content of detached signatures as files `detached`, whom to
trust besides this service as files `trust`, and what helps to verify as files `certificate`, `crl` and `ocsp`; options as in the query.

The document is verified before and after. What failed is refused, always; what cannot be concluded about is refused unless
`allow_indeterminate` says otherwise. No byte that a signature or a time-stamp covers is changed. A document at B-LTA is renewed: the status of its
newest archive time-stamp is added, and a new archive time-stamp over everything.

```sh
curl -T contract.pdf -X POST -H "Authorization: Bearer $KAKUIN_API_KEY" -OJ "http://localhost:8318/v1/extensions?level=B-LTA"
curl -F document=@data.csv.p7s -F detached=@data.csv -F trust=@their-root.pem -F crl=@their.crl \\
     -H "Authorization: Bearer $KAKUIN_API_KEY" -o data.extended.p7s http://localhost:8318/v1/extensions
```
"""

_FILES = {"type": "array", "items": {"type": "string", "contentMediaType": "application/octet-stream"}}
_FLAG: dict[str, Any] = {"type": "boolean", "default": False}
_LEVEL = {"type": "string", "enum": [str(level) for level in Level if level is not Level.B_B], "default": "B-LTA"}
_OPTIONS: dict[str, tuple[dict[str, Any], str, Any]] = {
    "level": (_LEVEL, "Level that every signature of the document has afterwards.", "B-LTA"),
    "allow_indeterminate": (_FLAG, "Also what is intact but cannot be concluded about; never what failed.", False),
    "online": (_FLAG, "Fetch status and issuers that are missing, where the operator lets the service fetch.", False),
}
_PASSWORD = {"type": "string", "writeOnly": True, "description": "Of an encrypted PDF. Never in the query, which servers log."}
_PROPERTIES = {name: {**schema, "description": text} for name, (schema, text, _) in _OPTIONS.items()} | {"password": _PASSWORD}

OPERATION: dict[str, Any] = {
    "parameters": [
        *(parameter(name, "query", schema, text, example) for name, (schema, text, example) in _OPTIONS.items()),
        idempotency_key("document"),
    ],
    "requestBody": {
        "required": True,
        "content": {
            **binary("application/pdf", "application/octet-stream"),
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["document"],
                    "properties": {
                        "document": {"type": "string", "contentMediaType": "application/octet-stream"},
                        **dict.fromkeys(("detached", "trust", "certificate", "crl", "ocsp"), _FILES),
                        "options": {"type": "object", "properties": _PROPERTIES, "additionalProperties": False},
                        **_PROPERTIES,
                    },
                },
                "example": {"document": "(file)", "detached": ["(file)"], "options": {"level": "B-LTA"}},
            },
        },
    },
    "security": [{"apiKey": []}],
}

RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The extended document.",
        "content": binary(*(media_type for media_type, _ in MEDIA_TYPE.values())),
        "headers": {
            "Kakuin-Format": header("What the document is: PDF, CMS, XML, JWS, COSE, ASiC-S, ASiC-E or ODF.", "PDF"),
            "Kakuin-Level": header("Level that was asked for.", "B-LTA"),
            "Kakuin-Level-Before": header("Levels of its signatures before, as the verifier names them.", "PAdES-BASELINE-T"),
            "Kakuin-Level-After": header("And after.", "PAdES-BASELINE-LTA"),
            "Kakuin-Conclusion": header("Of our verifier about the extended document.", "passed"),
            "Kakuin-Extension": header("Its entry in the journal.", "43"),
            "Kakuin-Time": header("When it was extended.", "2026-11-21T09:00:00Z"),
            "Kakuin-Warning": header("What people should know; absent where there is nothing.", "a compact JWS has no place for time-stamps: …"),
            "Repr-Digest": header("SHA-256 of the extended document (RFC 9530).", "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"),
            "Content-Disposition": header("Name of the extended document.", 'attachment; filename="contract.extended.pdf"'),
        },
    },
    **problems(
        (Malformed, "The document or the form breaks its format, or is empty.", "the document is empty"),
        UNKNOWN_KEY,
        REPEATED,
        (TooLarge, "The document is over the limit.", "body is over 268435456 bytes"),
        (
            Unacceptable,
            "Nothing signed, a signature that failed or cannot be concluded about, or a level that there is not.",
            "what failed is not extended: A signature is not valid. The content is not what was signed.",
        ),
        (
            Unavailable,
            "A time-stamp or status that the level needs is not to be had. Nothing was extended.",
            "no revocation data for the certificate Example Seal: give a list or an OCSP answer, or let it be fetched",
        ),
    ),
}
