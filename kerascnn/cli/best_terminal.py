"""Shows the progress of `best` on standard error: what is tried, the best so far, the time left."""

from rich.text import Text

from kerascnn.cli.tables.layout import line
from kerascnn.cli.terminal import Terminal, from_here
from kerascnn.engine.result import Result
from kerascnn.results.page import seconds
from kerascnn.studies.best import verdict
from kerascnn.studies.best.observer import BestObserver
from kerascnn.studies.best.result import BestResult, Tried


class BestTerminal(Terminal, BestObserver):
    """Shows a study as text: a line for each thing tried; what runs, on a terminal, as a bar."""

    _so_far: BestResult | None = None
    _finishing = False

    def best_started(self, so_far: BestResult, splits: dict[str, int]) -> None:
        self._so_far, self._finishing = so_far, False
        self.clear()
        images = ", ".join(f"{count:,} {name}" for name, count in splits.items())
        self.say(line("images", f"{sum(splits.values()):,}: {images}"))
        self.say(line("study", f"{so_far.study[:8]} in {from_here(so_far.artifacts)}"))
        self.say()

    def progress(self, what: str, done: int, total: int) -> None:
        best = self._so_far and verdict.best_so_far(self._so_far)
        super().progress(f"{what} · {best}" if best else what, done, total)

    def tried(self, one: Tried, so_far: BestResult) -> None:
        self._so_far = so_far
        self.clear()
        self.say(Text(verdict.tried_line(one, so_far)))

    def finishing(self, one: Tried, retrained: bool, so_far: BestResult) -> None:
        self._finishing = True
        self.clear()
        self.say()
        self.say(Text(verdict.finishing(one, retrained)))

    def started(self, name: str, backend: str, device: str) -> None:
        if not self._finishing:
            super().started(name, backend, device)

    def ended(self, result: Result) -> None:
        self.show_tested(result)  # the next commands are those of the study

    def best_ended(self, result: BestResult) -> None:
        self.clear()
        self._so_far = None
        self.say(line("in all", seconds(result.seconds)))
