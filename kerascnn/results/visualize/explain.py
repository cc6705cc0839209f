"""Traces images through the network of a run: kernels, feature maps, Grad-CAM, probabilities."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn.engine.data.decoding.images import ImageLike
from kerascnn.engine.data.decoding.preparation import Centred
from kerascnn.engine.network.explain.computed import (
    Parts,
    convolution_parts,
    feature_maps,
    first_kernels,
)
from kerascnn.engine.network.explain.grad_cam import grad_cam, heat_place
from kerascnn.engine.network.explain.maps import map_shape
from kerascnn.engine.network.inference import Forward
from kerascnn.engine.result.run import Result
from kerascnn.results.find import find_run
from kerascnn.results.inference.images import image_names, listed_images, read_images
from kerascnn.runtime.arguments import as_list
from kerascnn.runtime.backend import select_backend, start_backend
from kerascnn.runtime.keras_internals import last_calls
from kerascnn.runtime.process import contained
from kerascnn.runtime.screen import screen
from kerascnn.runtime.text import abbreviated

SHOWN_LAYERS = 4


@dataclass(frozen=True)
class Explained:
    """An image traced through a network.

    Args:
        name: Of the image.
        image: As the network sees it, uint8 [S, S, 3].
        probabilities: float32 [K].
        class_names: K names.
        heat: Grad-CAM for the most probable class, 0 to 1, float32 [h, w].
        heat_layer: The layer of the Grad-CAM.
        kernels: Kernels of the first convolution, float32 [kh, kw, C_in, C_out].
        maps: Feature maps of each chosen layer, float32 [h, w, C].
        filter: Layer and index of the filter that is decomposed; None if no layer is a convolution
            over all channels, as in a transformer.
        parts: The terms of its sum, or None.
    """

    name: str
    image: np.ndarray
    probabilities: np.ndarray
    class_names: Sequence[str]
    heat: np.ndarray
    heat_layer: str
    kernels: np.ndarray
    maps: dict[str, np.ndarray]
    filter: tuple[str, int] | None
    parts: Parts | None

    @property
    def headline(self) -> str:
        """Such as "rose.jpg: rose, 97.1%"."""
        best = int(self.probabilities.argmax())
        return f"{self.name}: {self.class_names[best]}, {self.probabilities[best]:.1%}"

    def __repr__(self) -> str:
        return screen(self.headline, [("maps of", abbreviated(list(self.maps)))])


@contained()
def explain_images(
    run: str | Result,
    images: ImageLike | Iterable[ImageLike],
    layers: str | Iterable[str] = (),
    *,
    backend: str = "auto",
) -> list[Explained]:
    """Traces images through the network of a run.

    Args:
        run: A run's id, a unique prefix of one, "last", or a result.
        images: One image or several, as for `predict_images`, but no folders.
        layers: Names of layers to show feature maps of; the first convolution among them has a
            filter decomposed. Default some layers, from the first convolution to the last maps.
        backend: "tensorflow", "jax", "torch", or "auto": any.

    Raises:
        InputError: No such run or layer, a network without convolutions, or unreadable images.
    """
    given, layers = listed_images(images), as_list(layers, str, "layers")
    select_backend(backend)
    result = find_run(run)
    pixels = Centred(read_images(given, result), result.training.image_size)[:]
    start_backend(backend)
    model = result.model
    probabilities = Forward(model)(pixels, min(len(pixels), result.training.images_at_once))
    heats = grad_cam(model, pixels, probabilities.argmax(1))
    shared: dict[str, Any] = {
        "class_names": result.class_names,
        "heat_layer": heat_place(model),
        "kernels": first_kernels(model),
    }
    return [
        Explained(
            name=Path(name).name,
            image=image,
            probabilities=row,
            heat=heat,
            maps=feature_maps(model, image, layers or _some_layers(model)),
            **_taken_apart(model, image, layers),
            **shared,
        )
        for name, image, row, heat in zip(
            image_names(given), pixels, probabilities, heats, strict=True
        )
    ]


def _some_layers(model: Any) -> list[str]:
    """For each size of feature maps the last layer after the first weights, thinned out."""
    by_side: dict[int, str] = {}
    weighted = False
    for name, node in last_calls(model).items():
        weighted = weighted or bool(getattr(node.operation, "weights", ()))
        side, *_ = map_shape(node)
        if weighted and side > 1 and not _pools(node.operation):
            by_side[side] = name
    names = list(by_side.values())
    places = np.linspace(0, len(names) - 1, min(SHOWN_LAYERS, len(names))).round().astype(int)
    return [names[place] for place in places]


def _pools(operation: Any) -> bool:
    return any(word in type(operation).__name__ for word in ("Pool", "Padding"))


def _taken_apart(model: Any, image: np.ndarray, layers: Sequence[str]) -> dict[str, Any]:
    """The filter with the strongest response, in the first of the layers that has filters."""
    from keras.layers import Conv2D

    every = [o.name for o in model.operations if type(o) is Conv2D and o.groups == 1]
    if not every:
        return {"filter": None, "parts": None}
    layer = next((name for name in layers if name in every), every[0])
    answers = feature_maps(model, image, [layer])[layer].std((0, 1))
    strongest = int(answers.argmax())
    return {
        "filter": (layer, strongest),
        "parts": convolution_parts(model, image, layer, strongest),
    }
