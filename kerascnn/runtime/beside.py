"""Calls beside a run that need a large module: in a process of its own, on another core."""

import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Self

from kerascnn.runtime.background import BackgroundProcess, LostError


class Beside:
    """Calls functions of modules in another process, in order, until the block ends.

    A thread would take its time from the run: importing a module is Python, of which one thread
    runs at a time. If this process has imported the module already, it calls them itself.

    Args:
        module: The name of the module that the functions need.
    """

    def __init__(self, module: str) -> None:
        self._module = module
        self._process: BackgroundProcess | None = None
        self._ended = False
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
        """Starts a call; returns a function that waits for its result.

        That raises `CallError` if the call fails, and `LostError` after `stop` or the end. If the
        process is lost, as for lack of memory, this one makes the call.
        """
        here = partial(function, *arguments)
        process = self._started()
        if process is None:
            return here
        future = process.submit(function, *arguments)

        def result() -> Any:
            try:
                return future.result()
            except LostError:
                if self._ended or self._process is not process:
                    raise
                return here()

        return result

    def _started(self) -> BackgroundProcess | None:
        """The process; None if this one is to make the calls."""
        with self._lock:
            if self._process is None and (self._ended or self._module in sys.modules):
                return None
            try:
                self._process = self._process or BackgroundProcess()
            except OSError:
                return None
            return self._process

    def stop(self) -> None:
        """Ends the process, whatever it does; the next call starts another."""
        with self._lock:
            process, self._process = self._process, None
        if process:
            process.kill()

    def end(self) -> None:
        """Ends the process, whatever it does."""
        with self._lock:
            self._ended = True
            if self._process:
                self._process.kill()
