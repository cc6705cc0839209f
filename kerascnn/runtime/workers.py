"""Other Python processes that compute for this one.

Unlike those of `multiprocessing` they do not run the user's script again, which may have no
`if __name__ == "__main__"`. What they are to call must be a function of a module.
"""

import os
import signal
import threading
import time
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


def background_process() -> Executor:
    """One process without Keras that Ctrl-C does not stop; its environment is that of this one."""
    from joblib.externals.loky import ProcessPoolExecutor

    executor = ProcessPoolExecutor(1, initializer=_begin_in_background)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        executor.submit(os.getpid)  # starts the process, which inherits the mask
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    return executor


def worker_processes() -> Executor:
    """A process for each core, without Keras; every call returns the same ones."""
    from joblib.externals.loky import get_reusable_executor

    return get_reusable_executor(available_cores())


def _begin_in_background() -> None:
    # not SIG_IGN, which the commands that it starts would inherit
    signal.signal(signal.SIGINT, lambda number, frame: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    _begin(None, silent=False, variables={})


def _begin(backend: str | None, silent: bool, variables: Mapping[str, str]) -> None:
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    if silent:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    os.dup2(2, 1)
    os.environ |= variables
    if backend:
        start_backend(backend)


def _end_with(parent: int) -> None:
    """Ends this process soon after its parent, which may have been killed."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
