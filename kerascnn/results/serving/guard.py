"""Keeps web pages elsewhere from using the server through the browser of its user."""

from collections.abc import Mapping
from typing import Any

SAFE_METHODS = ("GET", "HEAD")
OTHER_PAGE = "refused: a web page elsewhere sent this request; only the page at {} may."
ON_ALL = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class SameOrigin:
    """An ASGI middleware that refuses what the page of another origin sends, before its body.

    Browsers name the origin of a page in every request but GET and HEAD; programs such as curl
    name none (https://fetch.spec.whatwg.org/#origin-header). The `Host` is verified before.

    Args:
        app: The application.
        headers: Added to every response, besides `ON_ALL`.
    """

    def __init__(self, app: Any, headers: Mapping[str, str]) -> None:
        self._app = app
        self._headers = [
            (name.lower().encode(), value.encode()) for name, value in {**ON_ALL, **headers}.items()
        ]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        from starlette.responses import JSONResponse

        async def protected(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *self._headers]}
            await send(message)

        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        app, here = self._app, _origin(scope)
        if scope["method"] not in SAFE_METHODS and _header(scope, b"origin") not in (None, here):
            closing = {"connection": "close"}  # the body is not read
            app = JSONResponse({"error": OTHER_PAGE.format(here)}, 403, closing)
        await app(scope, receive, protected)


def _origin(scope: Any) -> str:
    return f"http://{_header(scope, b'host')}"


def _header(scope: Any, name: bytes) -> str | None:
    value = dict(scope["headers"]).get(name)
    return None if value is None else value.decode("latin-1")
