"""The predictions of a network, and whether they are the same as others."""

from collections.abc import Callable
from typing import Any

import numpy as np

from kerascnn.engine.network.inference import Forward, to_numpy
from kerascnn.testing.checks import CheckError

CLOSE = 1e-4  # allowed difference of probabilities on one backend
BATCH_SIZE = 8

Predictor = Callable[[np.ndarray], np.ndarray]


def predictor(model: Any) -> Predictor:
    """The model in inference mode, compiled on JAX, where single operations are slow."""
    import keras
    from keras import ops

    if keras.config.backend() == "jax":
        forward = Forward(model)
        return lambda images: forward(images, min(len(images), BATCH_SIZE))
    return lambda images: to_numpy(model(ops.convert_to_tensor(images), training=False))


def same(found: np.ndarray, expected: np.ndarray, where: str, close: float) -> None:
    distance = abs(found - expected).max()
    if not distance <= close:
        raise CheckError(f"{where} probabilities differ by up to {distance:.2g}")
