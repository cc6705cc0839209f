"""Runs a whole trained network over images, on the fastest engine at hand."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerascnn.engine.network.outputs import Outputs, Said, with_outputs
from kerascnn.engine.network.prefix.fastest import Fastest
from kerascnn.engine.network.prefix.ways import ways_to_predict

WORTH_IMAGES = 32
"""On fewer images the backend is as fast as OpenVINO, which compiles the network first."""


def predictor(
    model: Any,
    images: int,
    batch_size: int,
    prefix_engine: str = "auto",
    about: str = "a run",
    warned: Callable[[str], None] = lambda message: None,
    sections: Sequence[int] = (),
) -> Fastest:
    """What computes a model's outputs: `predictor(...).outputs(images)`.

    Args:
        model: From images [N, S, S, 3] to outputs [N, K].
        images: How many there will be.
        batch_size: Images that the backend computes at once.
        prefix_engine: As in `[training]`: "backend" keeps to the backend.
        about: What listings of the cache call the model.
        warned: Receives a warning if OpenVINO cannot be used where it should be.
        sections: As of `Fastest`.
    """
    stays = prefix_engine == "backend" or images < WORTH_IMAGES
    engine, width = "backend" if stays else "auto", min(batch_size, images)
    ways = ways_to_predict(model, engine, width)
    return Fastest(model, about, ways, sections=sections, warned=warned)


@dataclass(frozen=True)
class Answering:
    """A trained network that gives all its outputs for images."""

    outputs: Outputs
    fastest: Fastest

    def __call__(self, images: Any, digests: np.ndarray | None = None) -> Said:
        """What it says of images [N, S, S, 3], indexed like an array; `digests` as of `Fastest`."""
        return self.outputs.said(self.fastest.outputs(images, digests))


def answering(
    network: Any,
    images: int,
    batch_size: int,
    prefix_engine: str,
    about: str,
    warned: Callable[[str], None] = lambda message: None,
) -> Answering:
    """As `predictor`, of a network or an ensemble's, with its features."""
    outputs = with_outputs(network)
    sections = (outputs.probabilities,)
    fastest = predictor(outputs.model, images, batch_size, prefix_engine, about, warned, sections)
    return Answering(outputs, fastest)
