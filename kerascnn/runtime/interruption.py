"""Ctrl-C and SIGTERM: stopping at once, or where a checkpoint can be written."""

import signal
import threading
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Handles both signals in its block, in the main thread; a second one ends the process.

    Attributes:
        asked: Whether a signal has come.
        patient: Whether training checks `asked` before each step and stops by itself; else a signal
            raises KeyboardInterrupt at once.
    """

    def __init__(self) -> None:
        self.asked = self.patient = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._handle) for number in SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        self.asked = True
        if not self.patient:
            raise KeyboardInterrupt
