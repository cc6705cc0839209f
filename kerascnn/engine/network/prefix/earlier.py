"""Earlier layers whose activations are stored: those of a later one are computed from them."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from kerascnn.engine.network.boundary import single_tensors
from kerascnn.engine.network.prefix.ways import Run

UP_TO = " up to "
"""In listings of the cache, between a network and the layer whose activations are stored."""

Read = Callable[[np.ndarray], np.ndarray]  # rows [B] to an earlier layer's activations of them


class Earlier:
    """An earlier layer of a frozen prefix.

    Args:
        prefix: The `Prefix` up to that layer.
        forward: From its activations to those of the later layer, in the same way.
    """

    def __init__(self, prefix: Any, forward: Run) -> None:
        self.prefix, self.forward = prefix, forward
        self.agrees: bool | None = None  # whether it gave a batch of the whole prefix bit for bit

    def compare(self, activations: np.ndarray, before: np.ndarray) -> None:
        """Notes whether a batch of the whole prefix's activations follows from the layer's."""
        again = self.forward(before).astype(activations.dtype)
        self.agrees = np.array_equal(activations, again)


def earlier_layers(model: Any, about: str, listed: set[str]) -> Iterator[tuple[str, Any, Any]]:
    """The layers of a frozen prefix whose activations are listed, the nearest to its end first.

    Args:
        about: What the cache calls the prefix: its network and last layer.
        listed: What the cache calls those that it has.

    Returns:
        For each layer what the cache calls it, and models up to it and from it on.
    """
    import keras

    network = about.rpartition(UP_TO)[0]
    for tensor, layer in reversed([*single_tensors(model)]):
        earlier = f"{network}{UP_TO}{layer}"
        if tensor is not model.output and earlier in listed:
            between = keras.Model(tensor, model.output)
            yield earlier, keras.Model(model.input, tensor), between
