"""An architecture as its checks see it: built for small images, with predictions that differ."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np

from kerascnn.engine.data.sources.download import NotAtHandError, without_downloads
from kerascnn.engine.network.build import HEAD, Built, build_network
from kerascnn.engine.network.freezing import frozen_variables, set_trainable
from kerascnn.engine.network.inference import to_numpy
from kerascnn.engine.network.unfreeze import select
from kerascnn.errors import InputError
from kerascnn.testing.checks import CheckError, Subject, random_images
from kerascnn.testing.predictions import Predictor, predictor

IMAGE_SIZES = (48, 96, 224)  # the first that the network accepts is used
CLASSES = 5
COUNT = 8  # images


class ArchitectureSubject(Subject):
    """An architecture, built for small images of five classes.

    Attributes:
        predict: From images to the network's probabilities [B, K].
    """

    kind = "architecture"
    predict: Predictor

    def make(self) -> Built:
        import keras

        keras.utils.set_random_seed(0)
        built = self.build()
        self.predict = predictor(built.model)
        _tell_apart(built.model, self.predict, self.images)
        return built

    def build(self) -> Built:
        """Builds the network at the first size that it accepts; weights at hand, from there."""
        sizes = [self.image_size] if self.image_size else IMAGE_SIZES
        for size in sizes:
            weights = self.bound.weights(size)
            try:
                with without_downloads() if weights and weights.at_hand else nullcontext():
                    built = build_network(self.bound, image_size=size, num_classes=CLASSES)
            except NotAtHandError as error:
                raise CheckError(f"its weights are said to be at hand, but {error}") from error
            except InputError as error:
                if size == sizes[-1] or "image_size" not in str(error):
                    raise
                continue
            self.image_size = size
            return built
        raise AssertionError

    @property
    def images(self) -> np.ndarray:
        """float32 [B, S, S, 3] in 0-255, some of each label."""
        assert self.image_size
        return random_images(COUNT, self.image_size, self.labels).astype(np.float32)

    @property
    def labels(self) -> np.ndarray:  # int [B]
        return np.arange(COUNT) % CLASSES

    @cached_property
    def predictions(self) -> np.ndarray:  # [B, K]
        return self.predict(self.images)

    @cached_property
    def spans(self) -> list[tuple[str, list[str]]]:
        """Blocks, each with the layers with weights that follow each other, from the input on."""
        names = [layer.name for layer in self.made.model.layers if layer.weights]
        grouped = groupby(names, self.made.block_of.__getitem__)
        return [(block, list(layers)) for block, layers in grouped]


def freeze(built: Built, blocks: int) -> Any:
    """Freezes all but the head and the last `blocks` blocks; returns the network itself."""
    unfreeze = f"last:{blocks}" if blocks else "head"
    set_trainable(built.model, select(built, unfreeze, 0).layers, "train")
    return built.model


def _tell_apart(model: Any, predict: Predictor, images: np.ndarray) -> None:
    """Draws the classifier's kernel if it is zero, and scales it until predictions differ.

    A network that predicts 1/K for everything would pass all checks that compare predictions.
    """
    head = [layer for layer in model.layers if layer.name.startswith(f"{HEAD}_")]
    kernels = [w for layer in head for w in layer.trainable_weights if len(w.shape) >= 2]
    rng = np.random.default_rng(0)
    for kernel in kernels:
        if not to_numpy(kernel.value).any():
            kernel.assign(rng.normal(0, kernel.shape[0] ** -0.5, kernel.shape))
    for _ in range(2):
        logs = np.log(np.maximum(predict(images), 1e-30))
        spread = (logs - logs.mean(axis=1, keepdims=True)).std(axis=0).mean()
        if kernels and np.isfinite(spread) and spread > 0:
            kernels[-1].assign(kernels[-1] * float(np.clip(1 / spread, 1e-3, 1e3)))


def unfrozen(model: Any) -> list[Any]:
    frozen = {id(variable) for variable in frozen_variables(model)}
    return [weight for weight in model.weights if id(weight) not in frozen]


@contextmanager
def kept(variables: Sequence[Any]) -> Iterator[None]:
    """Restores the variables' values at the end of the block."""
    values = [to_numpy(variable.value) for variable in variables]
    try:
        yield
    finally:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
