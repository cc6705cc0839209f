"""Shows the progress of a sweep on standard error: its trials, then the run of the winner."""

from collections.abc import Iterable
from typing import Any

from rich.console import RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from kerascnn.cli.tables.layout import from_here, line
from kerascnn.cli.terminal import Terminal
from kerascnn.engine.result.run import Result
from kerascnn.results.page import seconds
from kerascnn.runtime.text import abbreviated, counted
from kerascnn.studies.sweep.observer import SweepObserver
from kerascnn.studies.sweep.report import labels, verdict
from kerascnn.studies.sweep.result import SweepResult, Trial

KEYS = 4  # settings in the line of a trial


class SweepTerminal(Terminal, SweepObserver):
    """Shows a sweep as text: one line a trial, or two lines that are updated on a terminal."""

    _so_far: SweepResult | None = None
    _done = 0
    _winning = False

    def sweep_started(self, so_far: SweepResult) -> None:
        self._so_far, self._winning = so_far, False
        self.clear()
        self.say(f"[bold]sweep of {so_far.name}[/bold]: {_planned(so_far)}")
        for key, tried in labels.searched(so_far).items():
            self.say(Text(f"          {key}: {tried}"))
        self.say(line("sweep", f"{so_far.study[:8]} in {from_here(so_far.artifacts)}"))
        if done := _ended(so_far):
            self.say(line("resumed", f"{counted(done, 'trial')} had ended before"))
        self._done = done
        self.say()
        self._show_trials(so_far)

    def trial_started(self, trial: Trial) -> None:
        if self._so_far:
            self._show_trials(self._so_far)

    def trial_ended(self, trial: Trial, so_far: SweepResult) -> None:
        best = so_far.best is not None and so_far.best.number == trial.number
        self._done += 1
        if self.bars is None or best or trial.state == "failed":
            said = Text(_trial_line(trial, so_far, best, self._done))
            self.console.print(said, no_wrap=True, overflow="ellipsis")
        self._so_far = so_far
        self._show_trials(so_far)

    def started(self, name: str, backend: str, device: str) -> None:
        """The winner's run begins, unless the trials have not begun."""
        if self._so_far and self._so_far.best:
            self.clear()
            self._winning = True
            self.say()
            self.say(f"[bold]winner[/bold]: trial {self._so_far.best.number}, run in full")
        super().started(name, backend, device)

    def ended(self, result: Result) -> None:
        if self._winning:
            self.show_tested(result)  # the next commands are those of the sweep
        else:
            super().ended(result)

    def sweep_ended(self, result: SweepResult) -> None:
        self.clear()
        self._so_far, self._winning = None, False
        self.say()

    def _show_trials(self, so_far: SweepResult) -> None:
        """Draws the two lines: how far the sweep is, and the best so far."""
        if self.bars is None:
            return
        if not isinstance(self._progress, TrialsBar):
            self.clear()
            self._progress = TrialsBar(self.bars)
            self._task = self._progress.add_task("trials", left="")
        self._progress.best = _best_line(so_far)
        total = so_far.settings.get("trials")
        self._progress.update(
            self._task, total=total, completed=_ended(so_far), left=_status(so_far)
        )
        self.draw(self._progress)


class TrialsBar(Progress):
    """The bar of a sweep, with a line for the best trial below it."""

    best = ""

    def __init__(self, console: Any) -> None:
        columns = BarColumn(bar_width=20), MofNCompleteColumn(), TextColumn("{task.fields[left]}")
        text = TextColumn("{task.description}")
        super().__init__(text, *columns, console=console, transient=True)

    def get_renderables(self) -> Iterable[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        if self.best:
            yield Text(self.best, no_wrap=True, overflow="ellipsis")


def _ended(so_far: SweepResult) -> int:
    return sum(trial.state in verdict.ENDED for trial in so_far.trials)


def _planned(so_far: SweepResult) -> str:
    """Such as "40 trials, at most 20 min, on 2 workers"."""
    trials, minutes = so_far.settings.get("trials"), so_far.settings.get("minutes")
    workers = so_far.settings.get("workers") or 1
    parts = [counted(trials, "trial")] if trials else []
    parts += [f"at most {minutes:g} min"] if minutes else []
    parts += [f"{workers} workers"] if workers > 1 else []
    return ", ".join(parts)


def _status(so_far: SweepResult) -> str:
    """Such as "17 pruned, 1 failed · 2 min 10 s left"."""
    counts = so_far.counts()
    said = [f"{counts[state]} {state}" for state in ("pruned", "failed") if state in counts]
    left = seconds_left(so_far)
    return " · ".join([*([", ".join(said)] if said else []), *([left] if left else [])])


def seconds_left(so_far: SweepResult) -> str:
    """The time until all trials have run or the minutes are over, whichever is first."""
    done, total = _ended(so_far), so_far.settings.get("trials")
    minutes = so_far.settings.get("minutes")
    left = [60 * minutes - so_far.seconds] if minutes else []
    left += [so_far.seconds / done * (total - done)] if done and total else []
    return f"{seconds(max(0.0, min(left)))} left" if left and done != total else ""


def _best_line(so_far: SweepResult) -> str:
    if so_far.best is None:
        return ""
    settings = labels.settings(so_far.best.params, so_far.space)
    return f"best   trial {so_far.best.number}  {_value(so_far.best)}  {' '.join(settings)}"


def _trial_line(trial: Trial, so_far: SweepResult, best: bool, done: int) -> str:
    """Such as "  12/40  trial 11  0.942 [0.904, 0.966]  best so far  dropout=0.2  4.2 s"."""
    total = so_far.settings.get("trials") or len(so_far.trials)
    place = f"{done:>{len(str(total))}}/{total}"
    if trial.state == "complete":
        said = f"{_value(trial)}{'  best so far' if best else ''}"
    else:
        said = f"{trial.state}{f': {trial.reason}' if trial.reason else ''}"
    settings = abbreviated(labels.settings(trial.params, so_far.space), KEYS)
    took = f"  {seconds(trial.seconds)}" if trial.seconds is not None else ""
    return f"  {place}  trial {trial.number}  {said}  {settings}{took}"


def _value(trial: Trial) -> str:
    bounds = f" [{trial.interval[0]:z.3f}, {trial.interval[1]:z.3f}]" if trial.interval else ""
    return f"{trial.value:z.3f}{bounds}" if trial.value is not None else "–"
