"""What a study hears of a trial: its progress, and when it takes more time than it has."""

import time
from collections.abc import Callable

from kerascnn.engine.events import StageStart
from kerascnn.engine.observer import Observer, Only
from kerascnn.engine.training.listener import Epoch
from kerascnn.engine.training.stage_result import StageResult
from kerascnn.errors import KerascnnError

MEASURED_SECONDS = 3.0
"""Of a piece of work, before its speed is known."""


class OutOfTimeError(KerascnnError):
    """A trial takes more time than it may; `needs` is how much it is expected to take in all."""

    def __init__(self, needs: float) -> None:
        super().__init__(f"it needs {needs:.0f} s")
        self.needs = needs


class Heard(Only):
    """Passes on the progress of a trial, and ends it once it is clear that it takes too long.

    Args:
        what: Is tried, in words.
        allowed: Seconds from now within which the trial has to end.
    """

    def __init__(
        self,
        observer: Observer,
        warned: Callable[[str], None],
        what: str,
        allowed: float,
    ) -> None:
        super().__init__(download=observer.download, warned=warned)
        self._observer, self._what = observer, what
        self._start = self._piece = time.perf_counter()
        self._allowed, self._name, self._stage = allowed, "", 1
        self._epochs, self._epoch = 1, 0

    def progress(self, what: str, done: int, total: int) -> None:
        self._begin(what)
        self._observer.progress(f"{self._what}: {what}", done, total)
        self._check(done / max(total, 1))

    def stage_started(self, stage: StageStart) -> None:
        self._begin(stage.name)
        self._epochs, self._epoch = stage.epochs, 0

    def step(self, done: int, total: int) -> None:
        if not self._name.startswith("epochs of"):
            self._begin(f"epochs of {self._name}")
        self._check((self._epoch + done / max(total, 1)) / self._epochs)

    def epoch(self, epoch: Epoch, total: int) -> None:
        self._epoch = epoch.number
        self._observer.progress(f"{self._what}: training", epoch.number, total)
        self._check(epoch.number / total)

    def stage_ended(self, result: StageResult) -> None:
        self._begin("")

    def _begin(self, what: str) -> None:
        """A piece of work begins, whose speed is measured by itself."""
        if what != self._name:
            self._name, self._piece = what, time.perf_counter()

    def _check(self, share: float) -> None:
        """Ends the trial if the piece of which this share is done will take too long."""
        now = time.perf_counter()
        if share <= 0 or now - self._piece < MEASURED_SECONDS:
            return
        needs = self._piece - self._start + (now - self._piece) / share
        if needs > self._allowed:
            raise OutOfTimeError(needs)
