"""The page on which a browser tries a run's model: GET /, POST /look, POST /corrections."""

import asyncio
import base64
import hashlib
import re
from typing import TYPE_CHECKING, Any

from kerascnn.engine.data.decoding.images import ImageError
from kerascnn.engine.result.run import Result
from kerascnn.errors import InputError
from kerascnn.results.page import render
from kerascnn.results.serving.classifier import Classifier
from kerascnn.results.serving.corrections import Corrections
from kerascnn.results.serving.limits import BODY_BYTES
from kerascnn.results.serving.look import Looker
from kerascnn.runtime.commands import command

if TYPE_CHECKING:
    from starlette.responses import Response

NOT_STORED = {"Cache-Control": "no-store"}


def try_page(result: Result, corrections: Corrections) -> str:
    """The page, self-contained HTML."""
    return render(
        "try.html",
        result=result,
        labels=corrections.labels(),
        folder=str(corrections.folder),
        update=command("update", result.run_id[:8], "--data", str(corrections.folder)),
        body_bytes=BODY_BYTES,
    )


def content_policy(page: str) -> str:
    """A Content-Security-Policy that allows a page its own script and style and nothing else."""
    own = {
        tag: " ".join(f"'sha256-{_hashed(text)}'" for text in re.findall(_INSIDE.format(tag), page))
        for tag in ("script", "style")
    }
    return (
        f"default-src 'none'; script-src {own['script']}; style-src {own['style']}; "
        "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


_INSIDE = "(?s)<{0}>(.*?)</{0}>"


def _hashed(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def add_page(app: Any, classifier: Classifier, corrections: Corrections) -> None:
    """Adds the page and what it asks for to a FastAPI application."""
    from starlette.requests import Request
    from starlette.responses import HTMLResponse

    look = Looker(classifier)

    async def page(request: Request) -> "Response":
        html = await asyncio.to_thread(try_page, classifier.result, corrections)
        return HTMLResponse(html, headers=NOT_STORED)

    async def looked(request: Request) -> "Response":
        return await _answer(look, await request.body())

    async def corrected(request: Request) -> "Response":
        def save(image: bytes) -> dict[str, Any]:
            classifier.read(image)  # what cannot be read is of no use
            saved = corrections.save(image, request.query_params.get("label", ""))
            return {"saved": str(saved), "label": saved.parent.name}

        return await _answer(save, await request.body())

    for path, method, answer in (
        ("/", "GET", page),
        ("/look", "POST", looked),
        ("/corrections", "POST", corrected),
    ):
        app.router.add_route(path, answer, [method])


async def _answer(function: Any, image: bytes) -> "Response":
    """What a function returns for an image, as JSON; what is wrong with the image, in words."""
    from starlette.responses import JSONResponse

    try:
        return JSONResponse(await asyncio.to_thread(function, image), headers=NOT_STORED)
    except ImageError as error:
        return JSONResponse({"error": f"This file cannot be read: {error.reason}."}, 400)
    except InputError as error:
        return JSONResponse({"error": str(error)}, 400)
