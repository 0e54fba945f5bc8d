"""A witness over HTTP (C2SP tlog-witness): `POST /add-checkpoint`, and `GET /<SHA-256 of the origin>/checkpoint` for monitors."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from starlette.concurrency import run_in_threadpool

from trust.errors import TooLarge
from trust.log.witness import MAX_REQUEST, TEXT, Witness


def router(witness: Witness) -> APIRouter:
    """The routes. Nobody is asked who they are: the log's signature says it."""
    api = APIRouter(tags=["The witness"])

    @api.post(
        "/add-checkpoint",
        summary="Have a checkpoint cosigned",
        response_class=Response,
        responses={
            200: {"content": {TEXT: {"schema": {"type": "string"}}}, "description": "The cosignature, a line of a signed note."},
            400: {"description": "No request, or its old size is over that of the checkpoint."},
            403: {"description": "The checkpoint is not signed by the log's key."},
            404: {"description": "This log is not witnessed here."},
            409: {"description": "Another size was cosigned last: the body says which (text/x.tlog.size)."},
            422: {"description": "The checkpoint does not continue what was cosigned before."},
        },
        openapi_extra={"requestBody": {"required": True, "content": {TEXT: {"schema": {"type": "string"}}}}},
        operation_id="add_checkpoint",
    )
    async def add_checkpoint(request: Request) -> Response:
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > MAX_REQUEST:
                raise TooLarge(f"a request is at most {MAX_REQUEST} bytes")
        answer = await run_in_threadpool(witness.add_checkpoint, bytes(body))
        # As it stands: Starlette would put a charset behind text/x.tlog.size, and there are logs that then do not know it.
        return Response(answer.body, answer.status, {"Content-Type": answer.media_type})

    @api.get(
        "/{origin}/checkpoint",
        summary="The checkpoint of a log that was cosigned last",
        response_class=Response,
        responses={200: {"content": {TEXT: {"schema": {"type": "string"}}}, "description": "A signed note."}},
        operation_id="get_witnessed_checkpoint",
    )
    def checkpoint(origin: Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="SHA-256 of the log's origin, hexadecimal.")]) -> Response:
        return Response(witness.logs.checkpoint(origin), media_type=TEXT, headers={"Cache-Control": "public, max-age=60"})

    return api
