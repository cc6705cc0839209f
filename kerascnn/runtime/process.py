"""Effects on the process, and how they are undone.

A notebook or a server continues after a run: its environment, random generators, Keras and backend
settings and loggers are then what they were before.
"""

import gc
import os
import random
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from importlib.util import find_spec
from threading import RLock
from typing import Any, Generic, TypeVar

from kerascnn.runtime.keras_internals import (
    disable_tensorflow_determinism,
    keras_state,
    set_keras_state,
    set_tensorflow_seed,
    tensorflow_is_deterministic,
    tensorflow_seed,
)

T = TypeVar("T")

_one_at_a_time = RLock()
_open: list[ExitStack] = []
_aside = False  # whether objects are set aside


@contextmanager
def contained() -> Iterator[None]:
    """Undoes the effects of its block on the process; decorates every public function that has any.

    Blocks may be nested. Those of different threads wait for each other: they would otherwise share
    a random seed and a dtype policy, and change each other's results.
    """
    import numpy as np

    with _one_at_a_time, ExitStack() as effects:
        autologging = sys.modules.get("mlflow.utils.autologging_utils")
        if autologging and not _open:  # it wraps `Model.fit`, and would log a run a second time
            effects.enter_context(autologging.disable_autologging())
        effects.callback(random.setstate, random.getstate())
        effects.callback(np.random.set_state, np.random.get_state())
        _open.append(effects)
        try:
            yield
        finally:
            _open.pop()


def put_back(undo: Callable[..., Any], *arguments: Any) -> None:
    """Registers how to undo an effect; without `contained`, as in the command line, it stays."""
    if _open:
        _open[-1].callback(undo, *arguments)


def kept(function: Callable[..., T]) -> Callable[..., T]:
    """Calls a function once for the same arguments in the outermost block of `contained`.

    For what cannot change meanwhile, such as the code of modules that are imported. Without a block
    it is called every time.
    """
    results: dict[tuple[Any, ...], T] = {}

    @wraps(function)
    def once(*arguments: Any) -> T:
        if not _open:
            return function(*arguments)
        if not results:
            _open[0].callback(results.clear)
        if arguments not in results:
            results[arguments] = function(*arguments)
        return results[arguments]

    return once


class Recent(Generic[T]):
    """The things that were put last, by key, to the end of all blocks of `contained`.

    Without a block, nothing is kept. Whoever takes a thing puts it back when it is as it was: after
    a failure it may be in any state.
    """

    def __init__(self, last: int) -> None:
        self._last = last
        self._things: OrderedDict[str, T] = OrderedDict()

    def take(self, key: str) -> T | None:
        return self._things.pop(key, None)

    def put(self, key: str, thing: T) -> None:
        if not _open:
            return
        if not self._things:
            _open[0].callback(self._things.clear)
        self._things[key] = thing
        if len(self._things) > self._last:
            self._things.popitem(last=False)


def set_objects_aside() -> None:
    """Leaves the objects of this moment out of garbage collections, to the end of all blocks.

    A pass over all of TensorFlow takes 0.2 s. The end collects what the blocks have released: Keras
    models are large, and reference cycles.
    """
    global _aside
    if not _aside:
        _aside = True
        gc.freeze()
        if _open:
            _open[0].callback(_take_back)


def _take_back() -> None:
    global _aside
    _aside = False
    gc.unfreeze()
    gc.collect()


def set_variable(name: str, value: str, *, unless_set: bool = False) -> None:
    """Sets an environment variable until the end of the block of `contained`."""
    before = os.environ.get(name)
    if before == value or (unless_set and before is not None):
        return
    put_back(restore_variable, name, before)
    os.environ[name] = value


def restore_variable(name: str, value: str | None) -> None:
    """Sets an environment variable, or removes it (None)."""
    os.environ.pop(name, None)
    if value is not None:
        os.environ[name] = value


def keep_backend_settings() -> None:
    """Registers how to restore the settings of Keras and of its backend; call it before a change.

    Keras's own state (dtype policy, seed, device distribution, numbers in layer names) is kept as a
    whole: `clear_session` replaces it.
    """
    import keras

    put_back(set_keras_state, keras_state())
    put_back(keras.config.set_floatx, keras.config.floatx())
    put_back(keras.config.set_image_data_format, keras.config.image_data_format())
    if find_spec("tensorflow"):  # Keras seeds it on every backend
        put_back(set_tensorflow_seed, tensorflow_seed())
        if not tensorflow_is_deterministic():
            put_back(disable_tensorflow_determinism)
    if keras.config.backend() == "torch":
        _keep_torch()


def _keep_torch() -> None:
    import torch

    put_back(
        lambda enabled, warn_only: torch.use_deterministic_algorithms(enabled, warn_only=warn_only),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    put_back(torch.set_rng_state, torch.get_rng_state())
    if torch.cuda.is_available():
        put_back(torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all())
