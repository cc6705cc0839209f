"""The values of variables, and the state of random generators."""

import hashlib
import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from kerascnn.engine.network.inference import to_numpy
from kerascnn.engine.training.checkpoints import State
from kerascnn.errors import RunError
from kerascnn.runtime.keras_internals import seed_generator


def optimizer_variables(optimizer: Any) -> list[Any]:
    """All variables: Nadam has one that `optimizer.variables` omits (Keras 3.15)."""
    import keras

    inner = getattr(optimizer, "inner_optimizer", optimizer)
    listed = optimizer.variables
    known = {id(variable) for variable in listed}
    beside = [v for v in vars(inner).values() if isinstance(v, keras.Variable)]
    return listed + [variable for variable in beside if id(variable) not in known]


def network_variables(model: Any, layers: Iterable[str]) -> list[Any]:
    """Weights and statistics of the named layers, and the generator state of all layers."""
    named = set(layers)
    weights = [v for layer in model.layers if layer.name in named for v in layer.weights]
    known = {id(variable) for variable in model.weights}
    return weights + [variable for variable in model.variables if id(variable) not in known]


def values(variables: Iterable[Any]) -> list[np.ndarray]:
    return [to_numpy(variable.value) for variable in variables]


def assign(variables: Sequence[Any], arrays: Sequence[np.ndarray]) -> None:
    """Assigns arrays to variables; raises RunError unless number, shapes and dtypes match."""
    wanted = [(tuple(v.shape), str(v.dtype)) for v in variables]
    came = [(array.shape, str(array.dtype)) for array in arrays]
    if wanted != came:
        raise RunError(
            f"the {len(came)} arrays of the checkpoint do not match the {len(wanted)} variables of "
            "this stage in number, shape or dtype."
        )
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


@contextmanager
def frozen_restored(trainer: Any) -> Iterator[None]:
    """An exception in its block leaves a trainer's frozen variables as they were.

    JAX would lose them, as a step has taken their memory; those that train are in checkpoints.
    """
    import keras

    if keras.config.backend() != "jax":
        yield
        return
    frozen = list(trainer.non_trainable_variables)
    before = values(frozen)
    try:
        yield
    except Exception:
        assign(frozen, before)
        raise


def check_finite(arrays: Iterable[np.ndarray], what: str) -> None:
    """Raises RunError if a number is NaN or infinite."""
    for array in arrays:
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise RunError(f"{what} contains numbers that are not finite.")


def sha256(arrays: Iterable[np.ndarray]) -> str:
    """SHA-256 of the dtypes, shapes and values of arrays."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def random_state() -> State:
    """The state of the global generators of Python, NumPy, PyTorch and Keras.

    Dropout on PyTorch draws from PyTorch's; Keras uses none of TensorFlow or JAX.
    """
    import keras

    state = {"python": random.getstate(), "numpy": np.random.get_state(legacy=False)}
    if keras.config.backend() == "torch":
        import torch

        state["torch"] = torch.get_rng_state().numpy()
        state["cuda"] = [one.numpy() for one in torch.cuda.get_rng_state_all()]
    if generator := seed_generator():
        state["keras"] = to_numpy(generator.state.value)
    return state


def set_random_state(state: State) -> None:
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    np.random.set_state(state["numpy"])
    if "torch" in state:
        import torch

        torch.set_rng_state(torch.from_numpy(state["torch"]))
        here = state["cuda"][: torch.cuda.device_count()]  # of the one GPU, in a process of its own
        torch.cuda.set_rng_state_all([torch.from_numpy(one) for one in here])
    if "keras" in state:
        seed_generator(create=True).state.assign(state["keras"])
