"""Runs a whole trained network over images, on the fastest engine at hand."""

from collections.abc import Callable
from typing import Any

from kerascnn.engine.network.fastest import Fastest
from kerascnn.engine.network.ways import ways_to_predict

WORTH_IMAGES = 32
"""On fewer images the backend is as fast as OpenVINO, which compiles the network first."""


def predictor(
    model: Any,
    images: int,
    batch_size: int,
    prefix_engine: str = "auto",
    about: str = "a run",
    warned: Callable[[str], None] = lambda message: None,
) -> Fastest:
    """What computes a model's probabilities: `predictor(...).outputs(images)`.

    Args:
        model: From images [N, S, S, 3] to probabilities [N, K].
        images: How many there will be.
        batch_size: Images that the backend computes at once.
        prefix_engine: As in `[training]`: "backend" keeps to the backend.
        about: What listings of the cache call the model.
        warned: Receives a warning if OpenVINO cannot be used where it should be.
    """
    stays = prefix_engine == "backend" or images < WORTH_IMAGES
    engine, width = "backend" if stays else "auto", min(batch_size, images)
    return Fastest(model, about, ways_to_predict(model, engine, width), warned=warned)
