"""MLflow beside a run: in a process of its own, unless this one has imported it already."""

import sys
import threading
from collections.abc import Callable
from typing import Any

from kerascnn.runtime.background import BackgroundProcess, CallError, LostError
from kerascnn.tracking.store import TrackingError


class Beside:
    """Calls functions that use MLflow.

    Importing MLflow and talking to its store take some 3 s of Python, which in a thread would be
    taken from the run; in another process they use another core.
    """

    def __init__(self) -> None:
        self._process: BackgroundProcess | None = None
        self._ended = False
        self._starting = threading.Lock()

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The result of a call of a function of a module; raises TrackingError if it fails."""
        process = None if "mlflow" in sys.modules else self._started()
        if process is None:
            return function(*arguments)
        try:
            return process.submit(function, *arguments).result()
        except CallError as error:
            raise TrackingError(f"MLflow failed: {error}") from error
        except LostError as error:
            self._process = None
            raise TrackingError("the process that uploads to MLflow has ended") from error

    def _started(self) -> BackgroundProcess | None:
        with self._starting:
            if self._ended:
                raise TrackingError("the run has ended")
            try:
                self._process = self._process or BackgroundProcess()
            except OSError:
                return None
            return self._process

    def end(self) -> None:
        """Ends the process, whatever it does."""
        with self._starting:
            self._ended = True
            if self._process:
                self._process.kill()
                self._process = None
