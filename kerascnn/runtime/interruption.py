"""Ctrl-C and SIGTERM: a run leaves at once, or where it can be set down."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Handles both signals while it is entered, in the main thread; a second one ends the process.

    `patient` says that whoever trains looks at `asked` before each step, and leaves then. Else a
    signal raises KeyboardInterrupt where it comes.
    """

    def __init__(self) -> None:
        self.asked = self.patient = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._hear) for number in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        self.asked = True
        if not self.patient:
            raise KeyboardInterrupt
