"""Keras's backend: which ones are installed, choosing one and loading it."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from kerascnn.errors import InputError
from kerascnn.runtime.commands import pip_install
from kerascnn.runtime.process import put_back, set_variable

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


def start_backend(wanted: str = "auto") -> str:
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
