"""Shows the progress of `best` on standard error: what is tried, the best so far, the time left."""

import time
from collections.abc import Sequence

from rich.markup import escape
from rich.text import Text

from kerascnn.cli.tables.layout import from_here, line
from kerascnn.cli.terminal import Terminal
from kerascnn.engine.events import Overview, StageStart
from kerascnn.engine.result.run import Result
from kerascnn.engine.training.listener import Epoch
from kerascnn.engine.training.stage_result import StageResult
from kerascnn.results.page import seconds
from kerascnn.studies.best import verdict
from kerascnn.studies.best.observer import BestObserver
from kerascnn.studies.best.result import BestResult, Ending, Tried


class BestTerminal(Terminal, BestObserver):
    """Shows a study as text: a line for each thing tried; what runs, on a terminal, as a bar."""

    _so_far: BestResult | None = None
    _until = 0.0
    _noted: frozenset[str] = frozenset()

    def data_noted(self, notes: Sequence[str], state: str) -> None:
        """The winner's run examines the same images; what was noted of them is not said twice."""
        super().data_noted([note for note in notes if note not in self._noted], state)
        self._noted |= frozenset(notes)

    def best_started(self, so_far: BestResult, splits: dict[str, int], left: float) -> None:
        self._so_far, self._until = so_far, time.perf_counter() + left
        self.clear()
        images = ", ".join(f"{count:,} {name}" for name, count in splits.items())
        self.say(line("images", f"{sum(splits.values()):,}: {images}"))
        self.say(line("study", f"{so_far.study[:8]} in {escape(from_here(so_far.artifacts))}"))
        self.say(line("time", f"{so_far.minutes:g} min"))
        self.say()

    def progress(self, what: str, done: int, total: int) -> None:
        left = max(0.0, self._until - time.perf_counter())
        best = self._so_far and verdict.best_so_far(self._so_far)
        shown = [what, f"{seconds(left)} left", *([best] if best else [])]
        super().progress(" · ".join(shown), done, total)

    def tried(self, one: Tried, so_far: BestResult) -> None:
        self._so_far = so_far
        if not one.too_long:
            self.clear()
            self.say(Text(verdict.tried_line(one)))

    def finishing(self, ending: Ending, so_far: BestResult) -> None:
        self.clear()
        self.say()
        self.say(Text(verdict.finishing(ending)))

    def started(self, name: str, backend: str, device: str) -> None:
        """Was said at the beginning."""

    def prepared(self, overview: Overview) -> None:
        """Was said at the beginning."""

    def tracked(self, run_id: str, store: str, folder: str) -> None:
        """Is said at the end."""

    def stage_started(self, stage: StageStart) -> None:
        self._stage = stage

    def step(self, done: int, total: int) -> None:
        """The epochs are shown."""

    def epoch(self, epoch: Epoch, total: int) -> None:
        self.progress(f"training {self._stage.name}", epoch.number, total)

    def stage_ended(self, result: StageResult) -> None:
        self.clear()

    def ended(self, result: Result) -> None:
        """What it has shown is said by the command."""

    def best_ended(self, result: BestResult) -> None:
        self.clear()
        self._so_far = None
        self.say()
