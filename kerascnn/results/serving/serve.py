"""Serves the model of a run over HTTP, by MLflow's scoring server.

It listens on 127.0.0.1 only and refuses requests for other host names, so that a web page cannot
reach it by DNS rebinding.
"""

import asyncio
import os
import socket
from threading import BoundedSemaphore, Lock
from typing import TYPE_CHECKING, Any

from kerascnn.engine.data.preparation import Preparation
from kerascnn.engine.metrics.calibration import tempered
from kerascnn.engine.network.fastest import Fastest
from kerascnn.engine.network.ways import ways_to_predict
from kerascnn.engine.result import Result
from kerascnn.errors import InputError
from kerascnn.results.inference.images import read_images
from kerascnn.results.inference.predict import best_guesses
from kerascnn.runtime.backend import start_backend
from kerascnn.tracking.models import scoring_app

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

HOST = "127.0.0.1"
HOSTS = [HOST, "localhost"]
TABLES = ("application/json", "text/csv")  # read by MLflow's server itself
DECODED_AT_ONCE = 2  # requests; decoding the largest allowed image takes 2 GB
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
    listening: socket.socket, result: Result, *, top: int = 5, backend: str = "auto"
) -> None:
    """Answers requests until interrupted.

    Args:
        listening: From `listen`.
        top: Labels listed per prediction.
        backend: "tensorflow", "jax", "torch", or "auto": any.
    """
    import uvicorn

    from kerascnn.results.serving.limits import PromptHeaders

    app = make_app(result, top, backend)
    config = uvicorn.Config(app, log_level="warning", http=PromptHeaders, ws="none")
    uvicorn.Server(config).run(sockets=[listening])


def make_app(result: Result, top: int, backend: str) -> Any:
    """MLflow's scoring server, extended to take an image as the body."""
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.responses import JSONResponse

    from kerascnn.results.serving.limits import LimitedBodies

    answer = Classifier(result, top, backend)
    app = scoring_app(answer)

    @app.middleware("http")
    async def take_image(request: "Request", call_next: Any) -> "Response":
        kind = request.headers.get("content-type", "").partition(";")[0]
        if (request.method, request.url.path) != ("POST", "/invocations") or kind in TABLES:
            return await call_next(request)
        if kind == FORM:
            return JSONResponse({"error": NO_FORM}, status_code=415)
        try:
            images = [await request.body()]
            return JSONResponse({"predictions": await asyncio.to_thread(answer, images)})
        except InputError as error:
            return JSONResponse({"error": str(error)}, status_code=400)

    app.add_middleware(LimitedBodies)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=HOSTS)  # the last is the outermost
    return app


class Classifier:
    """A run's model as a callable that predicts encoded images."""

    def __init__(self, result: Result, top: int, backend: str) -> None:
        start_backend(backend)
        self._result, self._top = result, top
        engine = "backend" if result.training.prefix_engine == "backend" else "auto"
        self._model = Fastest(result.model, result.name, ways_to_predict(result.model, engine, 1))
        self._decoding, self._predicting = BoundedSemaphore(DECODED_AT_ONCE), Lock()

    def __call__(self, images: list[bytes]) -> list[dict[str, Any]]:
        """For each image its label, probability and `top`; thread-safe."""
        with self._decoding:
            pixels = read_images(images, self._result)
        windows = Preparation.of(self._result.training).windows(pixels)
        with self._predicting:
            probabilities = self._model.outputs(windows)  # one at a time: the same shape always
        probabilities = tempered(probabilities, self._result.temperature)
        guesses = [best_guesses(row, self._result.class_names, self._top) for row in probabilities]
        return [{**guess[0], "top": guess} for guess in guesses]
