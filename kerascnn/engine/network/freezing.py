"""Sets the trainable layers, and proves that nothing else has changed."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from kerascnn.errors import RunError
from kerascnn.runtime.keras_internals import nested_layers, optimized_variables

_read: dict[int, tuple[Any, bytes]] | None = None  # by id, in the block of `read_once`


def set_trainable(model: Any, layers: frozenset[str], batchnorm: str) -> None:
    """Makes only the named layers of a functional model trainable.

    With `batchnorm` "frozen", not "train", BatchNorm keeps its statistics and scales in all layers,
    because batch statistics of few images spoil pretrained features.
    """
    from keras.layers import BatchNormalization

    for layer in model.layers:
        layer.trainable = layer.name in layers
    for layer in nested_layers(model):
        if batchnorm == "frozen" and isinstance(layer, BatchNormalization):
            layer.trainable = False


def trainable_layers(model: Any) -> list[str]:
    """The names of the layers with trainable weights, from the input on."""
    return [layer.name for layer in model.layers if layer.trainable_weights]


def count_trainable(model: Any) -> int:
    """The number of trainable weights."""
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


def frozen_variables(model: Any) -> list[Any]:
    """All variables that a stage must not change, BatchNorm statistics included.

    Excludes the statistics of a trainable BatchNorm and the state of random generators.
    """
    frozen = (layer for layer in nested_layers(model) if not layer.trainable)
    return list({id(variable): variable for layer in frozen for variable in layer.weights}.values())


def digest(variables: Iterable[Any]) -> str:
    """SHA-256 of the variables' names, shapes and values."""
    return hashlib.sha256(b"".join(map(_digest, variables))).hexdigest()


def _digest(variable: Any) -> bytes:
    if _read and id(variable) in _read:
        return _read[id(variable)][1]
    value = np.ascontiguousarray(variable.numpy())
    sha256 = hashlib.sha256(f"{variable.path} {value.shape} {value.dtype}".encode())
    sha256.update(value.tobytes())
    if _read is not None:
        _read[id(variable)] = variable, sha256.digest()
    return sha256.digest()


@contextmanager
def read_once() -> Iterator[None]:
    """In its block, which changes no variable, `digest` reads each once."""
    global _read
    _read = {}
    try:
        yield
    finally:
        _read = None


def check_frozen(before: str, model: Any, stage: str) -> None:
    """Raises RunError unless the frozen variables are unchanged."""
    if digest(frozen_variables(model)) != before:
        raise RunError(
            f'stage "{stage}": frozen weights or BatchNorm statistics have changed, so the result '
            "would be wrong. Please report this bug with the experiment."
        )


def check_optimizer(optimizer: Any, trainable: Iterable[Any], stage: str) -> None:
    """Raises RunError unless the optimizer covers exactly the trainable weights."""
    trained = {id(variable) for variable in optimized_variables(optimizer)}
    wanted = {id(variable) for variable in trainable}
    if trained != wanted:
        raise RunError(
            f'stage "{stage}": the optimizer covers {len(trained)} variables, not the '
            f"{len(wanted)} trainable ones. Please report this bug with the experiment."
        )
