"""Runs a model over many inputs in batches of one shape."""

from collections.abc import Callable
from typing import Any

import numpy as np

from kerascnn.runtime.compilation import compiled, jit_compile
from kerascnn.runtime.keras_internals import functional_graph

OnProgress = Callable[[int, int], None]


class Forward:
    """A model in inference mode, traced once for all calls.

    Args:
        model: With one input and one output. A functional one may be compiled and trained between
            calls, another one must not be compiled.
    """

    def __init__(self, model: Any) -> None:
        import keras

        self.model = keras.Model(model.input, model.output) if functional_graph(model) else model
        self.model.compile(jit_compile=jit_compile())
        self.model.make_predict_function()  # now, or each thread would make one

    def __call__(
        self,
        inputs: Any,
        batch_size: int,
        progress: OnProgress = lambda done, total: None,
        place: Callable[[np.ndarray], Any] = lambda batch: batch,
    ) -> np.ndarray:
        """Returns the model's outputs for inputs [N, ...], uint8 or float: float32 [N, ...].

        The inputs are an array, or anything that a slice indexes like one; `place` may spread a
        batch of them over several devices.
        """
        from keras import ops

        def run(batch: np.ndarray) -> np.ndarray:
            return ops.convert_to_numpy(self.model.predict_on_batch(place(batch)))

        return in_batches(run, inputs, batch_size, progress)


def in_batches(
    run: Callable[[np.ndarray], np.ndarray],
    inputs: Any,
    batch_size: int,
    progress: OnProgress = lambda done, total: None,
) -> np.ndarray:
    """Joins the float32 outputs of `run` for inputs [N, ...], in batches all of one size.

    The last one is filled with copies.
    """
    parts = []
    for start in range(0, len(inputs), batch_size):
        batch = np.asarray(inputs[start : start + batch_size], np.float32)
        filled = np.resize(batch, (batch_size, *batch.shape[1:]))
        parts.append(run(filled)[: len(batch)].astype(np.float32))
        progress(start + len(batch), len(inputs))
    return np.concatenate(parts)


def run_once(model: Any, inputs: np.ndarray) -> np.ndarray:
    """The model's outputs for one batch, float32, compiled only if that is faster."""
    import keras
    from keras import ops

    images = ops.convert_to_tensor(np.asarray(inputs, np.float32))
    if keras.config.backend() == "jax":  # it compiles each operation that runs alone
        variables = model.trainable_variables, model.non_trainable_variables
        weights = [[variable.value for variable in some] for some in variables]

        def call(*arguments: Any) -> Any:
            return model.stateless_call(*arguments, training=False)[0]

        return to_numpy(compiled(call)(*weights, images)).astype(np.float32)
    return to_numpy(model(images, training=False)).astype(np.float32)


def to_numpy(tensor: Any) -> np.ndarray:
    """A copy of a backend tensor on the host."""
    from keras import ops

    return np.array(ops.convert_to_numpy(tensor))
