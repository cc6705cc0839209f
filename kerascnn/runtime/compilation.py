"""Compiled functions, gradients and training steps on each backend."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from kerascnn.runtime.devices import device_name
from kerascnn.runtime.keras_internals import tensorflow_gradients

BATCH_SIZE = 32
"""Images per call of what runs before training, the same for all experiments: it is compiled once,
and rounds alike for every image. On two cores, 8 to 64 are equally fast (benchmarks/README.md)."""


def jit_compile() -> bool:
    """Whether training steps are compiled by XLA: always on JAX, on TensorFlow only on a GPU.

    On a CPU TensorFlow's XLA runs convolutions about ten times slower than its own kernels.
    """
    import keras

    backend = keras.config.backend()
    return backend == "jax" or (backend == "tensorflow" and "GPU" in device_name())


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiles a function of tensors; on PyTorch it is only run without gradients."""
    import keras

    if keras.config.backend() == "tensorflow":
        import tensorflow

        return tensorflow.function(function)
    if keras.config.backend() == "jax":
        import jax

        return jax.jit(function)
    import torch

    return torch.no_grad()(function)


@contextmanager
def uncompiled() -> Iterator[None]:
    """TensorFlow runs each operation alone in its block, for work that is done once.

    To trace and optimize a network takes longer than to run a few images through it.
    """
    import keras

    if keras.config.backend() != "tensorflow":
        yield
        return
    import tensorflow

    before = tensorflow.config.functions_run_eagerly()
    tensorflow.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tensorflow.config.run_functions_eagerly(before)


def gradient(function: Callable[..., Any]) -> Callable[..., Any]:
    """The gradient of a scalar function of tensors with respect to the first, as a function.

    What the function closes over is constant.
    """
    import keras

    if keras.config.backend() == "jax":
        import jax

        return jax.jit(jax.grad(function))

    def taped(first: Any, *others: Any) -> Any:
        import tensorflow

        with tensorflow.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(first)
            value = function(first, *others)
        return tape.gradient(value, first)

    def recorded(first: Any, *others: Any) -> Any:
        import torch

        first = first.detach().requires_grad_()
        with torch.enable_grad():
            return torch.autograd.grad(function(first, *others), first)[0]

    return taped if keras.config.backend() == "tensorflow" else recorded


@contextmanager
def fit_source(
    batches: Callable[[], Iterator[Any]], shapes: Sequence[tuple[int | None, ...]]
) -> Iterator[Callable[[], Any]]:
    """Yields a function that returns the input for each call of `Model.fit`.

    On TensorFlow that is one dataset for all arrays of these shapes, traced once, without
    autotuning: an epoch waits for the autotuner of Keras's own dataset to stop, which sleeps twice
    as long each time, up to as long as the epoch took (TensorFlow 2.21). On other backends it is
    the batches themselves.

    TensorFlow never frees a dataset's generator: what it refers to is released at the end, and so
    are the graphs of the training steps.

    Args:
        batches: Starts an epoch's batches of float32 arrays.
        shapes: The shapes of the arrays, None for an axis of any length.
    """
    import keras

    if keras.config.backend() != "tensorflow":
        yield batches
        return
    dataset, held = _dataset(tuple(map(tuple, shapes)))
    held.append(batches)
    try:
        with graphs_freed():
            yield lambda: dataset
    finally:
        held.clear()


@cache
def _dataset(shapes: tuple[tuple[int | None, ...], ...]) -> tuple[Any, list[Any]]:
    """A TensorFlow dataset of the batches that the function in the list starts."""
    import tensorflow

    held: list[Any] = []
    signature = tuple(tensorflow.TensorSpec(shape, tensorflow.float32) for shape in shapes)
    options = tensorflow.data.Options()
    options.autotune.enabled = False
    dataset = tensorflow.data.Dataset.from_generator(lambda: held[0](), output_signature=signature)
    return dataset.with_options(options), held


@contextmanager
def graphs_freed() -> Iterator[None]:
    """Frees, at its end, the graphs of the training steps that TensorFlow traces in its block.

    TensorFlow's registry of gradients keeps every `tf.custom_gradient`, and the graph that it was
    traced in, until the process ends. Each training step of Keras has one, which sums its gradients
    over replicas; once traced, it is no longer used.
    """
    import keras

    if keras.config.backend() != "tensorflow":
        yield
        return
    registered = tensorflow_gradients()
    before = set(registered)
    try:
        yield
    finally:
        for name in set(registered) - before:
            if name.startswith("CustomGradient-"):
                del registered[name]


def steps_in_one_call(trainer: Any) -> Callable[[Iterator[Any]], dict[str, Any]]:
    """A `train_function` for a compiled model on TensorFlow that takes stacks of batches.

    Keras's own, with `steps_per_execution`, asks Python for each batch. The arrays of a stack,
    inputs, targets and weights, are float32 [steps, B, ...].
    """
    import tensorflow

    def steps(*stacks: Any) -> dict[str, Any]:
        def step(number: Any) -> list[Any]:
            trainer.train_step(tuple(stack[number] for stack in stacks))
            return [number + 1]

        count = tensorflow.shape(stacks[0])[0]
        tensorflow.while_loop(lambda number: number < count, step, [0])
        return trainer.get_metrics_result()

    batch = trainer.input_shape, trainer.output_shape, (None,)
    signature = [tensorflow.TensorSpec((None, *shape), tensorflow.float32) for shape in batch]
    traced = tensorflow.function(steps, signature, autograph=False, jit_compile=jit_compile())
    return lambda batches: traced(*next(batches))


def assert_finite(numbers: Any, *message: Any) -> None:
    """Stops TensorFlow with this message where a number is not finite; XLA skips the check."""
    import tensorflow

    finite = tensorflow.reduce_all(tensorflow.math.is_finite(numbers))
    tensorflow.debugging.Assert(finite, message)
