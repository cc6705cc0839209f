"""Other Python processes that compute for this one.

Unlike those of `multiprocessing` they do not run the user's script again, which may have no
`if __name__ == "__main__"`. What they are to call must be a function of a module.
"""

import os
from collections.abc import Mapping
from concurrent.futures import Executor

from kerascnn.runtime.backend import start_backend
from kerascnn.runtime.devices import available_cores

_ON_THE_CPU = {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}


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

    return get_reusable_executor(available_cores())


def _begin(backend: str | None, silent: bool, variables: Mapping[str, str]) -> None:
    if silent:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    os.dup2(2, 1)
    os.environ |= variables
    if backend:
        start_backend(backend)
