"""The process that a run lives in: its backend, its seeds, its device, its versions."""

import logging
import os
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from kerascnn.errors import InputError
from kerascnn.runtime.commands import pip_install
from kerascnn.runtime.process import keep_backend_settings, put_back, set_variable
from kerascnn.runtime.text import counted

BACKENDS = ("tensorflow", "torch", "jax")  # "auto" takes the first: the order of speed on a CPU


def installed_backends() -> list[str]:
    """The backends that are installed, without importing one."""
    return [name for name in BACKENDS if find_spec(name)]


def select_backend(wanted: str = "auto") -> str:
    """Sets Keras's backend for this process, before Keras is imported.

    Args:
        wanted: "tensorflow", "jax", "torch" or "auto": what KERAS_BACKEND says, else the first
            installed one of `BACKENDS`.

    Raises:
        InputError: It is not installed, or this process has loaded Keras on another one.
    """
    installed = installed_backends()
    if wanted == "auto":
        wanted = _loaded() or os.environ.get("KERAS_BACKEND") or next(iter(installed), "none")
    if wanted not in installed:
        raise InputError(_not_installed(wanted, installed))
    if _loaded() not in (None, wanted):
        raise InputError(
            f"this process has loaded Keras on {_loaded()}; {wanted} needs a process of its own."
        )
    set_variable("KERAS_BACKEND", wanted)
    set_variable("TF_CPP_MIN_LOG_LEVEL", "3", unless_set=True)
    return wanted


def start(wanted: str = "auto") -> str:
    """Selects the backend, as `select_backend`, and loads it without its start-up messages."""
    selected = select_backend(wanted)
    logger = logging.getLogger("tensorflow")
    if _not_of_retracing not in logger.filters:
        logger.addFilter(_not_of_retracing)
        put_back(logger.removeFilter, _not_of_retracing)
    with _silent_stderr():
        from keras import ops

        ops.convert_to_numpy(ops.zeros(1))
    return selected


def _not_of_retracing(record: logging.LogRecord) -> bool:
    """TensorFlow takes many models, each traced once, for one that is traced again and again."""
    return "triggered tf.function retracing" not in record.getMessage()


def _loaded() -> str | None:
    return sys.modules["keras"].config.backend() if "keras" in sys.modules else None


def _not_installed(wanted: str, installed: list[str]) -> str:
    if wanted in BACKENDS:
        other = f" Installed: {', '.join(installed)}." if installed else ""
        return (
            f"the backend {wanted} is not installed: `{pip_install(f'kerascnn[{wanted}]')}`.{other}"
        )
    if wanted != "none":
        return f'there is no backend "{wanted}"; there are {", ".join(BACKENDS)}.'
    return (
        f"no backend is installed: `{pip_install('kerascnn[tensorflow]')}` (the fastest on a "
        "CPU), or jax or torch instead of tensorflow."
    )


def prepare(seed: int, precision: str = "float32") -> None:
    """Makes what follows in this process depend on the seed alone, and forgets earlier models.

    Seeds Python, NumPy and the backend, asks TensorFlow and PyTorch for deterministic kernels, and
    sets the dtype policy; a user's keras.json decides nothing. Where TensorFlow goes through XLA it
    is not asked, for Keras then leaves XLA out.
    """
    import keras

    keep_backend_settings()
    keras.backend.clear_session()
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy(precision)
    keras.utils.set_random_seed(seed)
    if keras.config.backend() == "tensorflow" and not jit_compile():
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()
    elif keras.config.backend() == "torch":
        import torch

        set_variable("CUBLAS_WORKSPACE_CONFIG", ":4096:8", unless_set=True)
        torch.use_deterministic_algorithms(True, warn_only=True)


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Keeps off the terminal what TensorFlow's C++ writes there at its start, whatever it is told.

    A fault of the import still arrives as an exception.
    """
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # there is no standard error
        yield
        return
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


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
    from tensorflow.python.framework import ops

    registered = ops.gradient_registry._registry
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


def concurrent_calls() -> int:
    """How many batches at once go fastest through a network that only infers.

    TensorFlow's kernels leave a CPU idle between them: two calls at once are a quarter faster.
    """
    import keras

    return 2 if keras.config.backend() == "tensorflow" and "GPU" not in device_name() else 1


def jit_compile() -> bool:
    """Whether training steps go through XLA: on JAX always, on TensorFlow where a GPU is.

    On a CPU TensorFlow's XLA runs convolutions about ten times slower than its own kernels.
    """
    import keras

    backend = keras.config.backend()
    return backend == "jax" or (backend == "tensorflow" and "GPU" in device_name())


def device_name() -> str:
    """The device that the backend computes on, such as "CPU, 2 cores" or "GPU NVIDIA H100"."""
    import keras

    found = {"tensorflow": _tensorflow_gpu, "jax": _jax_gpu, "torch": _torch_gpu}
    gpu = found[keras.config.backend()]()
    cores = available_cores()
    return f"GPU {gpu}" if gpu else f"CPU, {counted(cores, 'core')}"


def available_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _tensorflow_gpu() -> str | None:
    import tensorflow

    gpus = tensorflow.config.list_physical_devices("GPU")
    if not gpus:
        return None
    return tensorflow.config.experimental.get_device_details(gpus[0]).get("device_name", "unnamed")


def _jax_gpu() -> str | None:
    import jax

    device = jax.devices()[0]
    return device.device_kind if device.platform in ("gpu", "cuda", "rocm") else None


def _torch_gpu() -> str | None:
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None


def versions() -> dict[str, str]:
    """The versions that a result depends on: Python, kerascnn, Keras, the backends, NumPy."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    packages = ("kerascnn", "keras", "tensorflow", "jax", "torch", "numpy", "pillow", "pi-heif")
    for name in (*packages, "mlflow"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
