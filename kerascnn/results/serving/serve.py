"""Serves the model of a run over HTTP: by MLflow's scoring protocol, and as a page for browsers.

It listens on 127.0.0.1 only, and refuses requests for other host names, so that a web page cannot
reach it by DNS rebinding, and those that a web page elsewhere sends.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerascnn.engine.result.run import Result
from kerascnn.errors import InputError
from kerascnn.results.known.caution import Caution
from kerascnn.results.serving.classifier import Classifier
from kerascnn.results.serving.corrections import Corrections
from kerascnn.tracking.models import scoring_app

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

HOST = "127.0.0.1"
HOSTS = [HOST, "localhost"]
TABLES = ("application/json", "text/csv")  # read by MLflow's server itself
FORM = "multipart/form-data"
NO_FORM = "expected the bytes of an image, not a form; use `curl --data-binary @IMAGE`."


def listen(port: int) -> socket.socket:
    """Opens a port on 127.0.0.1; 0 takes any free one.

    Raises:
        InputError: It is in use.
    """
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise InputError(
            f"cannot listen on port {port} of {HOST}: {reason}; choose another with --port."
        ) from error


def serve_run(
    listening: socket.socket,
    result: Result,
    *,
    top: int = 5,
    backend: str = "auto",
    corrections: Path | None = None,
    caution: Caution | None = None,
    warned: Callable[[str], None] = lambda message: None,
) -> None:
    """Answers requests until interrupted.

    Args:
        listening: From `listen`.
        top: Labels listed per prediction.
        backend: "tensorflow", "jax", "torch", or "auto": any.
        corrections: The folder for images that the page saves under their right labels; default
            `corrections_folder`.
        caution: What else is said of an image; default nothing.
        warned: Receives a warning, at the first request, if OpenVINO cannot run the network;
            default none.
    """
    import uvicorn

    from kerascnn.results.serving.limits import PromptHeaders

    folder = (corrections or corrections_folder(result)).absolute()
    app = make_app(result, top, backend, folder, caution, warned)
    config = uvicorn.Config(app, log_level="warning", http=PromptHeaders, ws="none")
    uvicorn.Server(config).run(sockets=[listening])


def corrections_folder(result: Result) -> Path:
    """NAME-corrections in the working directory, after the experiment's name."""
    return Path(f"{result.name}-corrections")


def make_app(
    result: Result,
    top: int,
    backend: str,
    corrections: Path,
    caution: Caution | None = None,
    warned: Callable[[str], None] = lambda message: None,
) -> Any:
    """MLflow's scoring server, extended to take an image as the body and to answer a browser."""
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from kerascnn.results.serving.guard import SameOrigin
    from kerascnn.results.serving.limits import LimitedBodies
    from kerascnn.results.serving.page import add_page, content_policy, try_page

    classifier = Classifier(result, top, backend, caution, warned)
    saved = Corrections(corrections, result.class_names)
    app = scoring_app(classifier)
    _take_images(app, classifier)
    add_page(app, classifier, saved)
    policy = {"Content-Security-Policy": content_policy(try_page(result, saved))}
    app.add_middleware(LimitedBodies)
    app.add_middleware(SameOrigin, headers=policy)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=HOSTS)  # the last is the outermost
    return app


def _take_images(app: Any, classifier: Classifier) -> None:
    """Lets /invocations take the bytes of an image."""
    from starlette.responses import JSONResponse

    @app.middleware("http")
    async def take_image(request: "Request", call_next: Any) -> "Response":
        kind = request.headers.get("content-type", "").partition(";")[0]
        if (request.method, request.url.path) != ("POST", "/invocations") or kind in TABLES:
            return await call_next(request)
        if kind == FORM:
            return JSONResponse({"error": NO_FORM}, status_code=415)
        try:
            images = [await request.body()]
            return JSONResponse({"predictions": await asyncio.to_thread(classifier, images)})
        except InputError as error:
            return JSONResponse({"error": str(error)}, status_code=400)
