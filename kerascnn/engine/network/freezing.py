"""Setting what trains, and proving afterwards that nothing else has changed."""

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from kerascnn.errors import RunError
from kerascnn.runtime.keras_internals import nested_layers, optimized_variables


def set_trainable(model: Any, layers: frozenset[str], batchnorm: str) -> None:
    """Makes the named layers trainable and no others.

    Args:
        model: A functional model.
        layers: Names of layers.
        batchnorm: "train", or "frozen": BatchNorm keeps its statistics and scales everywhere,
            for batch statistics of few images undo what was pretrained.
    """
    from keras.layers import BatchNormalization

    for layer in model.layers:
        layer.trainable = layer.name in layers
    for layer in nested_layers(model):
        if batchnorm == "frozen" and isinstance(layer, BatchNormalization):
            layer.trainable = False


def trainable_layers(model: Any) -> list[str]:
    """The names of the layers that have weights to train, from the input on."""
    return [layer.name for layer in model.layers if layer.trainable_weights]


def count_trainable(model: Any) -> int:
    """The number of weights that train."""
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


def frozen_variables(model: Any) -> list[Any]:
    """All variables that a stage must leave as they are, BatchNorm statistics included.

    The statistics of a trainable BatchNorm and the state of random generators are not among them.
    """
    frozen = (layer for layer in nested_layers(model) if not layer.trainable)
    return list({id(variable): variable for layer in frozen for variable in layer.weights}.values())


def digest(variables: Iterable[Any]) -> str:
    """SHA-256 of the variables' names, shapes and values."""
    sha256 = hashlib.sha256()
    for variable in variables:
        value = np.ascontiguousarray(variable.numpy())
        sha256.update(f"{variable.path} {value.shape} {value.dtype}".encode())
        sha256.update(value.tobytes())
    return sha256.hexdigest()


def check_frozen(before: str, model: Any, stage: str) -> None:
    """Raises RunError unless the frozen variables are what they were."""
    if digest(frozen_variables(model)) != before:
        raise RunError(
            f'stage "{stage}": frozen weights or BatchNorm statistics have changed; the result '
            "would be wrong. Please report this with the experiment."
        )


def check_optimizer(optimizer: Any, model: Any, stage: str) -> None:
    """Raises RunError unless the optimizer's variables are exactly the trainable ones."""
    trained = {id(variable) for variable in optimized_variables(optimizer)}
    wanted = {id(variable) for variable in model.trainable_variables}
    if trained != wanted:
        raise RunError(
            f'stage "{stage}": the optimizer holds {len(trained)} variables, and '
            f"{len(wanted)} are trainable; the stage would train something else than it says."
        )
