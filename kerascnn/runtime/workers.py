"""Other Python processes that compute for this one.

Unlike those of `multiprocessing` they do not run the user's script again, which may have no
`if __name__ == "__main__"`. What they are to call must be a function of a module.
"""

import os
import pickle
import signal
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Any

from kerascnn.runtime.backend import start_backend
from kerascnn.runtime.cache import scratch
from kerascnn.runtime.devices import available_cores
from kerascnn.runtime.interruption import SIGNALS

WORTH_PROCESSES_SECONDS = 3.0  # of work; starting them takes one or two
_ON_THE_CPU = {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
_IDLE_SECONDS = 60  # until they end: longer than a validation on few images
_ONE_CORE_EACH = {"OPENCV_FOR_THREADS_NUM": "1"}


def backend_process(
    backend: str | None, *, silent: bool = False, variables: Mapping[str, str] | None = None
) -> Executor:
    """One process on a backend of its own.

    It computes on the CPU: a GPU's memory belongs to this process, and a GPU rounds differently.

    Args:
        backend: "tensorflow", "jax" or "torch"; None for a process without Keras.
        silent: Whether what it prints is discarded; default all goes to standard error, because
            standard output may hold a JSON document.
        variables: Further environment variables.
    """
    from joblib.externals.loky import ProcessPoolExecutor

    settings = backend, silent, {**_ON_THE_CPU, **(variables or {})}
    return ProcessPoolExecutor(1, initializer=_begin, initargs=settings)


def worker_processes() -> Executor:
    """A process for each core, without Keras; every call returns the same ones."""
    from joblib.externals.loky import get_reusable_executor

    return get_reusable_executor(
        available_cores(), timeout=_IDLE_SECONDS, initializer=_stay, env=_ONE_CORE_EACH
    )


def _stay() -> None:
    """Ctrl-C reaches these processes too, but the step that this one finishes may need them."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


class Sent:
    """An object for the worker processes, which each of them reads once.

    Args:
        pickled: The object, pickled.
        receiving: Makes a context that each process reads it in, to explain a failure; a function
            of a module.

    Attributes:
        folder: A scratch folder, removed together with this object.
    """

    def __init__(
        self, pickled: bytes, receiving: Callable[[], AbstractContextManager[None]] = nullcontext
    ) -> None:
        # in the cache, which only the user can write to: unpickling runs code
        kept = ExitStack()
        weakref.finalize(self, kept.close)
        self.folder = kept.enter_context(scratch("sources"))
        self._file = self.folder / "pickled"
        self._file.write_bytes(pickled)
        self._receiving = receiving

    def submit(self, function: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        """Calls `function(object, *arguments)` in one of the worker processes."""
        return worker_processes().submit(
            _with_sent, str(self._file), self._receiving, function, *arguments
        )


def _with_sent(file: str, receiving: Any, function: Callable[..., Any], *arguments: Any) -> Any:
    with receiving():
        sent = _received(file)
    return function(sent, *arguments)


@lru_cache(2)  # a source of images and an augmentation
def _received(file: str) -> Any:
    return pickle.loads(Path(file).read_bytes())


def _begin(backend: str | None, silent: bool, variables: Mapping[str, str]) -> None:
    if silent:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    os.dup2(2, 1)
    os.environ |= variables
    if backend:
        start_backend(backend)
