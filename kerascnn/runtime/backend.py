"""Keras's backend: which ones are installed, choosing one and loading it."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from kerascnn.errors import InputError
from kerascnn.runtime.commands import pip_install
from kerascnn.runtime.descriptors import redirected
from kerascnn.runtime.keras_import import import_keras
from kerascnn.runtime.process import put_back, set_variable

BACKENDS = ("tensorflow", "torch", "jax")  # from the fastest on a CPU to the slowest


def installed_backends() -> list[str]:
    """The installed backends; none of them is imported."""
    return [name for name in BACKENDS if find_spec(name)]


def select_backend(wanted: str = "auto") -> str:
    """Sets Keras's backend for this process, before Keras is imported.

    "auto" is KERAS_BACKEND, or else the first of `BACKENDS` that is installed.

    Raises:
        InputError: It is not installed, or Keras is already loaded on another backend.
    """
    if wanted == "auto":
        first = next(iter(installed_backends()), "none")
        wanted = _loaded() or os.environ.get("KERAS_BACKEND") or first
    require_backend(wanted)
    if _loaded() not in (None, wanted):
        raise InputError(
            f"Keras is already loaded on {_loaded()} in this process; {wanted} needs a new process."
        )
    set_variable("KERAS_BACKEND", wanted)
    set_variable("TF_CPP_MIN_LOG_LEVEL", "3", unless_set=True)
    set_variable("TORCH_CPP_LOG_LEVEL", "ERROR", unless_set=True)
    return wanted


def require_backend(wanted: str) -> None:
    """Raises InputError unless the backend is installed."""
    if wanted not in (installed := installed_backends()):
        raise InputError(_not_installed(wanted, installed))


def start_backend(wanted: str = "auto") -> str:
    """Selects the backend as `select_backend` does, and loads it without its start-up messages."""
    selected = select_backend(wanted)
    logger = logging.getLogger("tensorflow")
    if _is_not_about_retracing not in logger.filters:
        logger.addFilter(_is_not_about_retracing)
        put_back(logger.removeFilter, _is_not_about_retracing)
    with silent_stderr():
        import_keras()
        from keras import ops

        ops.convert_to_numpy(ops.zeros(1))
    return selected


def _is_not_about_retracing(record: logging.LogRecord) -> bool:
    """TensorFlow mistakes many models, each traced once, for one that is traced repeatedly."""
    return "triggered tf.function retracing" not in record.getMessage()


def _loaded() -> str | None:
    return sys.modules["keras"].config.backend() if "keras" in sys.modules else None


def _not_installed(wanted: str, installed: list[str]) -> str:
    if wanted in BACKENDS:
        others = f" Installed: {', '.join(installed)}." if installed else ""
        remedy = pip_install(f"kerascnn[{wanted}]")
        return f"the backend {wanted} is not installed: `{remedy}` installs it.{others}"
    if wanted != "none":
        return f'unknown backend "{wanted}": expected one of {", ".join(BACKENDS)}.'
    return (
        f"no backend is installed: `{pip_install('kerascnn[tensorflow]')}` installs the fastest on "
        "a CPU; jax and torch work too."
    )


@contextmanager
def silent_stderr() -> Iterator[None]:
    """Discards what is printed to standard error, by C++ code as well; exceptions are raised.

    TensorFlow prints at start-up in spite of its log level.
    """
    sys.stderr.flush()
    with open(os.devnull, "w") as nowhere, redirected(2, nowhere.fileno()):
        yield
