"""Runs a whole trained network over images, on the fastest engine at hand."""

from typing import Any

from kerascnn.engine.network.fastest import Fastest
from kerascnn.engine.network.ways import ways_to_predict

WORTH_IMAGES = 32
"""On fewer images the backend is as fast as OpenVINO, which compiles the network first."""


def predictor(
    model: Any, images: int, batch_size: int, prefix_engine: str = "auto", about: str = "a run"
) -> Fastest:
    """What computes a model's probabilities: `predictor(...).outputs(images)`.

    Args:
        model: From images [N, S, S, 3] to probabilities [N, K].
        images: How many there will be.
        batch_size: Images that the backend computes at once.
        prefix_engine: As in `[training]`: "backend" keeps to the backend.
        about: What listings of the cache call the model.
    """
    stays = prefix_engine == "backend" or images < WORTH_IMAGES
    engine, width = "backend" if stays else "auto", min(batch_size, images)
    return Fastest(model, about, ways_to_predict(model, engine, width))
