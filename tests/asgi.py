"""A web application as a transport of httpx: clients talk to it without a socket."""

import anyio
import httpx
from fastapi import FastAPI


class Web(httpx.BaseTransport):
    """Each request in an event loop of its own."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        async def ask() -> httpx.Response:
            asked = httpx.Request(request.method, request.url, headers=request.headers, content=request.read())
            answer = await httpx.ASGITransport(self._app).handle_async_request(asked)
            raw = b"".join([part async for part in answer.aiter_raw()])
            return httpx.Response(answer.status_code, headers=answer.headers, stream=httpx.ByteStream(raw))

        return anyio.run(ask)


def client(app: FastAPI) -> httpx.Client:
    return httpx.Client(transport=Web(app), base_url="http://test")
