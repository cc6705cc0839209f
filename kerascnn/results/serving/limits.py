"""Limits of `serve` on requests: the size of the body, and the time to receive it."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 10.0
BODY_SECONDS = 60.0
BODY_BYTES = 64 * 2**20


class PromptHeaders(H11Protocol):
    """uvicorn's protocol; closes a connection if the headers do not arrive in time."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._begin_to_wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle and not self.cycle.response_complete:
            self._stop_waiting()  # the headers are complete
        elif self._deadline is None:
            self._begin_to_wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _begin_to_wait(self) -> None:
        self._deadline = self.loop.call_later(HEADER_SECONDS, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._deadline:
            self._deadline.cancel()
        self._deadline = None


class LimitedBodies:
    """An ASGI middleware that passes on complete bodies only, and refuses large or slow ones.

    Media types are passed on in lower case, because they are case-insensitive (RFC 9110, 8.3.1).

    Args:
        app: The application.
        body_bytes: The size limit of a body.
        body_seconds: The time limit for receiving one.
    """

    def __init__(
        self, app: Any, body_bytes: int = BODY_BYTES, body_seconds: float = BODY_SECONDS
    ) -> None:
        self._app, self._bytes, self._seconds = app, body_bytes, body_seconds

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            body = await self._body(scope, receive)
        except _RefusedError as refused:
            await refused.answer(scope, receive, send)
            return
        if body is not None:
            await self._app({**scope, "headers": _headers(scope)}, _replay(body, receive), send)

    async def _body(self, scope: Any, receive: Any) -> bytes | None:
        """The complete body; None if the client disconnected."""
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if int(announced) > self._bytes:  # h11 checks that it is a number
            raise self._too_large()
        body = bytearray()
        try:
            async with asyncio.timeout(self._seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    body += message.get("body", b"")
                    if len(body) > self._bytes:
                        raise self._too_large()
                    if not message.get("more_body"):
                        return bytes(body)
        except TimeoutError:
            raise _RefusedError(
                408, f"the body did not arrive within {self._seconds:g} s."
            ) from None

    def _too_large(self) -> "_RefusedError":
        limit = f"{self._bytes / 2**20:g} MiB"
        return _RefusedError(
            413, f"the request is larger than {limit}; send fewer or smaller images at once."
        )


class _RefusedError(Exception):
    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self._status = status

    async def answer(self, scope: Any, receive: Any, send: Any) -> None:
        from starlette.responses import JSONResponse

        closing = {"connection": "close"}  # the rest of the body may still arrive
        await JSONResponse({"error": str(self)}, self._status, closing)(scope, receive, send)


def _headers(scope: Any) -> list[tuple[bytes, bytes]]:
    return [
        (name, _lowered(value) if name == b"content-type" else value)
        for name, value in scope["headers"]
    ]


def _lowered(content_type: bytes) -> bytes:
    """Lower case, except for parameters such as a boundary, which are case-sensitive."""
    kind, separator, parameters = content_type.partition(b";")
    return kind.strip().lower() + separator + parameters


def _replay(body: bytes, receive: Any) -> Any:
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def next_message() -> Any:
        return next(messages, None) or await receive()

    return next_message
