"""Raising and renewing without sending the document, over HTTP: `POST /v1/extensions/hashes`.

A time-stamp over a digest and the status of certificates are the two effects that an extension has; all else is done where the document is. Whatever
is extended, and whether it is worth it, is the caller's to verify: nothing here is signed with an organisation's key.
"""

import json
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from eseal.api import recognised
from eseal.confined import asking, stamping
from eseal.extend_service import EVENT
from eseal.hashes import openapi
from eseal.hashes.api import IMPRINT, imprint_in, pairs_in, received
from eseal.hashes.known import EXTENSIONS
from eseal.hashes.told import octets_in, of_status, text, zulu
from eseal.levels import joined, material, stamped, token_chain
from eseal.service import Sealer
from eseal.spec import Level
from eseal.store import ApiKey, ApiKeys
from trust.codecs.signed_data import cert
from trust.errors import Malformed, TooLarge
from trust.model import Cert, Digest
from trust.ports import Status

CERTIFICATES = "certificates"
MOST_CERTIFICATES = 32
"""Of one request."""


def router(sealer: Sealer, keys: ApiKeys) -> APIRouter:
    """The route."""
    routes = APIRouter(tags=["seals"])

    @routes.post(
        EXTENSIONS,
        summary="What raises or renews a seal where its document is: a time-stamp over a digest, the status of certificates.",
        description=openapi.EXTEND_DESCRIPTION,
        response_class=JSONResponse,
        responses=openapi.EXTEND_RESPONSES,
        openapi_extra=openapi.EXTEND_OPERATION,
        operation_id="extendHashes",
    )
    async def extend_hashes(request: Request) -> JSONResponse:
        key = await run_in_threadpool(recognised, keys, request.headers.get("authorization"))
        imprint, certificates = _asked(await received(request))
        return JSONResponse(await run_in_threadpool(_answered, sealer, key, imprint, certificates))

    return routes


def _asked(data: bytes) -> tuple[Digest | None, tuple[Cert, ...]]:
    pairs = pairs_in(data)
    said = dict(pairs)
    if not said or len(said) < len(pairs) or not said.keys() <= {IMPRINT, CERTIFICATES}:
        raise Malformed(f"the body is an object with {IMPRINT}, {CERTIFICATES}, or both, each once")
    listed = said.get(CERTIFICATES, [])
    if not isinstance(listed, list):
        raise Malformed(f"{CERTIFICATES} is a list")
    if len(listed) > MOST_CERTIFICATES:
        raise TooLarge(f"one request asks about at most {MOST_CERTIFICATES} certificates, got {len(listed)}")
    return imprint_in(said[IMPRINT]) if IMPRINT in said else None, tuple(cert(octets_in(one, CERTIFICATES)) for one in listed)


def _answered(sealer: Sealer, key: ApiKey, imprint: Digest | None, certificates: Sequence[Cert]) -> dict[str, Any]:
    """Unavailable for a certificate whose status this installation does not know, and where the authority or the journal is away."""
    status, now, told = asking(sealer.status, Level.B_LT), sealer.clock(), dict[str, Any]()
    found = Status()
    for one in certificates:
        found = joined(found, status((one,)))
    if imprint is not None:
        token = stamped(stamping(sealer.stamp, Level.B_LTA), imprint)
        found = joined(found, material([token_chain(token)], status))
        entry = {
            "event": EVENT,
            "hash_only": True,
            "imprint": f"{imprint.algorithm}:{imprint.value.hex()}",
            "organisation": key.organisation,
            "stamps": [Digest.of("sha256", token.der).value.hex()],
            "time": now.isoformat(),
        }
        told["extension"] = sealer.record("event", json.dumps(entry, sort_keys=True, separators=(",", ":")).encode())
        told["token"] = text(token.der)
    return {**told, "time": zulu(now), "values": of_status(found)}
