"""Shows progress in a notebook: plain lines, and one that is updated in place."""

import io
import sys
import time
from typing import Any

from rich.console import Console
from rich.progress import Progress

from kerascnn.cli.sweep_terminal import SweepTerminal
from kerascnn.cli.terminal import WIDE
from kerascnn.engine.events import StageStart

REFRESH_SECONDS = 0.1  # as often as a terminal's bars


class NotebookTerminal(SweepTerminal):
    """Shows a run in the output of a notebook's cell.

    One line shows progress: it stays where it first appeared, and is reused by the next task. Each
    stage has its own.
    """

    def __init__(self) -> None:
        super().__init__(
            Console(file=sys.stdout, force_jupyter=False, highlight=False, width=WIDE),
            bars=Console(file=io.StringIO(), force_jupyter=False, color_system=None, width=WIDE),
        )
        self._handle: Any = None  # IPython's handle on the progress line
        self._drawn = 0.0

    def stage_started(self, stage: StageStart) -> None:
        self._handle = None
        super().stage_started(stage)

    def draw(self, bar: Progress) -> None:
        from IPython.display import display

        if time.monotonic() - self._drawn < REFRESH_SECONDS and not bar.finished:
            return
        self._drawn = time.monotonic()
        with bar.console.capture() as captured:
            bar.console.print(bar.get_renderable())
        line = {"text/plain": captured.get().rstrip()}
        if self._handle:
            self._handle.update(line, raw=True)
        else:
            self._handle = display(line, raw=True, display_id=True)
