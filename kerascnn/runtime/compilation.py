"""Compiled functions, gradients and training steps, with what each backend has for them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from kerascnn.runtime.devices import device_name
from kerascnn.runtime.keras_internals import tensorflow_gradients


def jit_compile() -> bool:
    """Whether training steps go through XLA: on JAX always, on TensorFlow where a GPU is.

    On a CPU TensorFlow's XLA runs convolutions about ten times slower than its own kernels.
    """
    import keras

    backend = keras.config.backend()
    return backend == "jax" or (backend == "tensorflow" and "GPU" in device_name())


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiles a function of tensors with what the backend has: nothing on PyTorch."""
    import keras

    if keras.config.backend() == "tensorflow":
        import tensorflow

        return tensorflow.function(function)
    if keras.config.backend() == "jax":
        import jax

        return jax.jit(function)
    import torch

    return torch.no_grad()(function)


def gradient(function: Callable[..., Any]) -> Callable[..., Any]:
    """Makes a function that gives the gradient of a scalar one with respect to its first argument.

    Args:
        function: From tensors to a scalar; what it closes over is constant.
    """
    import keras

    if keras.config.backend() == "jax":
        import jax

        return jax.jit(jax.grad(function))
    return _taped(function) if keras.config.backend() == "tensorflow" else _recorded(function)


def _taped(function: Callable[..., Any]) -> Callable[..., Any]:
    import tensorflow

    def slope(first: Any, *others: Any) -> Any:
        with tensorflow.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(first)
            value = function(first, *others)
        return tape.gradient(value, first)

    return slope


def _recorded(function: Callable[..., Any]) -> Callable[..., Any]:
    import torch

    def slope(first: Any, *others: Any) -> Any:
        first = first.detach().requires_grad_()
        with torch.enable_grad():
            return torch.autograd.grad(function(first, *others), first)[0]

    return slope


@contextmanager
def fit_source(
    batches: Callable[[], Iterator[Any]], shapes: Sequence[tuple[int | None, ...]]
) -> Iterator[Callable[[], Any]]:
    """Makes a function that gives what each `Model.fit` should be given.

    On TensorFlow that is one dataset, traced once, without autotuning: at the end of an epoch the
    autotuner of the dataset that Keras would make is waited for, and it sleeps twice as long each
    time, up to as long as the epoch took (TensorFlow 2.21). Elsewhere it is the batches.

    TensorFlow keeps a dataset's generator for as long as the process lives: what it leads to is
    freed at the end, and so are the graphs of the training steps.

    Args:
        batches: Begins an epoch's batches of float32 arrays.
        shapes: Those of the arrays.
    """
    import keras

    if keras.config.backend() != "tensorflow":
        yield batches
        return
    import tensorflow

    held = [batches]
    signature = tuple(tensorflow.TensorSpec(shape, tensorflow.float32) for shape in shapes)
    options = tensorflow.data.Options()
    options.autotune.enabled = False
    dataset = tensorflow.data.Dataset.from_generator(lambda: held[0](), output_signature=signature)
    dataset = dataset.with_options(options)
    try:
        with graphs_freed():
            yield lambda: dataset
    finally:
        held.clear()


@contextmanager
def graphs_freed() -> Iterator[None]:
    """Lets the graphs of training steps that TensorFlow traces meanwhile be freed afterwards.

    Its registry of gradients keeps every `tf.custom_gradient` for as long as the process lives, and
    with it the graph that it was traced in. Each training step of Keras has one, the sum of its
    gradients over replicas. There is no public way to drop them; once traced, they are not used.
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


def assert_finite(numbers: Any, *message: Any) -> None:
    """Ends TensorFlow's call with a fault of these words where numbers are not; not with XLA."""
    import tensorflow

    finite = tensorflow.reduce_all(tensorflow.math.is_finite(numbers))
    tensorflow.debugging.Assert(finite, message)
