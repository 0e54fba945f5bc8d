"""The authority's public face: lists, issuers' certificates and OCSP over plain HTTP, as certificates point to them. No credential is asked for."""

import base64
import binascii
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request, Response
from starlette.concurrency import run_in_threadpool

from trust.edge.conditions import Asked, Conditions, is_known
from trust.errors import Malformed, UnsupportedMedia
from trust.pki.ocsp import MOST_BYTES
from trust.pki.service import CertificateAuthority
from trust.ports import Clock

CRL = "application/pkix-crl"
CERTIFICATE = "application/pkix-cert"
OCSP_REQUEST = "application/ocsp-request"
OCSP_RESPONSE = "application/ocsp-response"

_LONGEST_CACHING = timedelta(hours=1)
"""A revocation makes a new list at once, and caches should not hide it for long."""

IssuerName = Annotated[Literal["root", "ca"], Path(description="`root`, or `ca`: the issuing authority below it.")]
_OF_DER = {"type": "string", "format": "binary"}


def router(ca: CertificateAuthority, clock: Clock) -> APIRouter:
    """Routes under /pki. Plain HTTP is right for them: everything they give out is signed (RFC 5280 section 8)."""
    api = APIRouter(prefix="/pki", tags=["Certificates and their status"])

    @api.get(
        "/{issuer}.crl",
        summary="The certificate revocation list in force (RFC 5280)",
        response_class=Response,
        responses={200: {"content": {CRL: {"schema": _OF_DER}}, "description": "The complete list, DER."}},
        operation_id="get_crl",
    )
    def crl(issuer: IssuerName, asked: Asked) -> Response:
        published = ca.crl(issuer)
        half = published.this_update + (published.next_update - published.this_update) / 2
        return _cacheable(
            published.crl.der,
            CRL,
            tag=published.crl.id.hex(),
            asked=asked,
            now=clock(),
            until=min(half, clock() + _LONGEST_CACHING),
            since=published.this_update,
        )

    @api.get(
        "/{issuer}.cer",
        summary="An authority's certificate (RFC 5280 section 4.2.2.1)",
        response_class=Response,
        responses={200: {"content": {CERTIFICATE: {"schema": _OF_DER}}, "description": "One certificate, DER."}},
        operation_id="get_issuer_certificate",
    )
    def certificate(issuer: IssuerName, asked: Asked) -> Response:
        found = ca.certificate(issuer)
        return _cacheable(
            found.der,
            CERTIFICATE,
            tag=found.id.hex(),
            asked=asked,
            now=clock(),
            until=clock() + _LONGEST_CACHING,
            since=found.not_before,
        )

    @api.post(
        "/ocsp",
        summary="Certificate status (RFC 6960)",
        response_class=Response,
        responses={200: {"content": {OCSP_RESPONSE: {"schema": _OF_DER}}, "description": "An OCSPResponse, refusals included."}},
        openapi_extra={"requestBody": {"required": True, "content": {OCSP_REQUEST: {"schema": _OF_DER}}}},
        operation_id="post_ocsp",
    )
    async def ocsp(request: Request) -> Response:
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != OCSP_REQUEST:
            raise UnsupportedMedia(f"media type is {OCSP_REQUEST}", OCSP_REQUEST)
        body = await _capped(request)
        return Response(await run_in_threadpool(ca.ocsp, body), media_type=OCSP_RESPONSE, headers={"Cache-Control": "no-store"})

    @api.get(
        "/ocsp/{encoded:path}",
        summary="Certificate status by GET (RFC 6960 appendix A.1)",
        response_class=Response,
        responses={200: {"content": {OCSP_RESPONSE: {"schema": _OF_DER}}, "description": "An OCSPResponse, refusals included."}},
        operation_id="get_ocsp",
    )
    def ocsp_get(encoded: Annotated[str, Path(description="The DER request in base64, percent-encoded.", max_length=4096)]) -> Response:
        try:
            # Clients differ: some leave the padding or the slashes unescaped, and proxies turn + into a blank.
            request = base64.b64decode(encoded.replace(" ", "+") + "=" * (-len(encoded) % 4), validate=True)
        except (binascii.Error, ValueError) as error:
            raise Malformed("OCSP request in the path is not base64") from error
        return Response(ca.ocsp(request), media_type=OCSP_RESPONSE, headers={"Cache-Control": "no-store"})

    return api


async def _capped(request: Request) -> bytes:
    """The body, cut off just above what the service would refuse as too large."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            break
    return bytes(body)


def _cacheable(body: bytes, media_type: str, *, tag: str, asked: Conditions, now: datetime, until: datetime, since: datetime) -> Response:
    """RFC 9111: may be kept until the next one is due, and is asked for by its content's digest after that."""
    headers = {
        "ETag": f'"{tag}"',
        "Last-Modified": format_datetime(since, usegmt=True),
        "Cache-Control": f"public, max-age={max(int((until - now).total_seconds()), 0)}, no-transform",
    }
    if is_known(asked, headers["ETag"], since):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media_type, headers=headers)
