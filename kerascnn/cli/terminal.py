"""Shows the progress of a run on standard error."""

from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from kerascnn.cli.tables.layout import LABEL, from_here, interval, line
from kerascnn.cli.tables.lines import (
    best_epoch,
    calibration,
    frozen_part,
    measured_lines,
    member_lines,
    overview_rows,
    reused,
    teacher_lines,
    update_lines,
    verdict,
)
from kerascnn.engine.events import Overview, StageStart
from kerascnn.engine.metrics.calibration import AS_TRAINED
from kerascnn.engine.observer import Observer
from kerascnn.engine.result.run import Result
from kerascnn.engine.training.listener import Epoch
from kerascnn.engine.training.stage_result import StageResult
from kerascnn.errors import InputError
from kerascnn.runtime.cache import cache_folder
from kerascnn.runtime.commands import command
from kerascnn.runtime.text import abbreviated, counted, visible

Columns = Callable[[], Sequence[ProgressColumn]]
NEXT = (("report", "last", "--open"), ("compare",), ("ui",))
"""Commands shown after a run."""

NAMED = 3  # metrics of an epoch
WIDE = 10_000  # columns, where lines must not be wrapped


class Terminal(Observer):
    """Shows a run as text; with progress bars and colours on a terminal only.

    Args:
        console: Where the text goes.
        file: The experiment; if given, notes about its data are shown in full the first time and
            only counted afterwards.
        bars: Where progress bars go; default the console if it is a terminal, else nowhere.
    """

    def __init__(
        self, console: Console, file: Path | None = None, bars: Console | None = None
    ) -> None:
        self.console = console
        self._file = file
        self.bars = bars or (console if console.is_terminal else None)
        self._progress: Progress | None = None
        self._task = TaskID(0)
        self._epochs_before = ""

    def started(self, name: str, backend: str, device: str) -> None:
        self.say(f"[bold]{name}[/bold] · {backend} on {device}")

    def download(self, name: str, done: int, total: int | None) -> None:
        self._show(name, done, total, _downloaded)

    def progress(self, what: str, done: int, total: int) -> None:
        self._show(what, done, total, _counted)

    def data_noted(self, notes: Sequence[str], state: str) -> None:
        if notes and shown_before(state) and self._file:
            count = f"{counted(len(notes), 'note')} about the data, as before"
            self.warned(f"{count}; `{command('check', str(self._file))}` shows them")
        else:
            super().data_noted(notes, state)

    def prepared(self, overview: Overview) -> None:
        for label, text in overview_rows(overview):
            self.say(line(label, text))

    def tracked(self, run_id: str, store: str, folder: str) -> None:
        self.say(line("run", f"{run_id[:8]} in {escape(from_here(store))}"))

    def resumed(self, stage: StageStart | None, epochs: int, steps: int) -> None:
        if stage is None:
            self.say(line("resumed", "after the last stage"))
            return
        self._epochs_before = f"{epochs + 1}/{stage.epochs}"
        step = f", after step {steps:,}" if steps else ""
        where = f"in stage {stage.number}, {stage.name}, epoch {self._epochs_before}{step}"
        self.say(line("resumed", where))

    def stage_started(self, stage: StageStart) -> None:
        self._stage = stage
        self.say()
        if stage.reused_from:
            return
        self.say(
            f"[bold]{stage.number}/{stage.total} {stage.name}[/bold]   "
            f"trains {escape(stage.choice)}"
        )

    def step(self, done: int, total: int) -> None:
        speed = ImagesPerSecond(self._stage.batch_size)
        self._show(f"  epoch {self._next_epoch}", done, total, lambda: [*_counted(), speed])

    @property
    def _next_epoch(self) -> str:
        return self._epochs_before or f"1/{self._stage.epochs}"

    def epoch(self, epoch: Epoch, total: int) -> None:
        self.clear()
        m = epoch.metrics
        self._epochs_before = f"{epoch.number + 1}/{total}"
        self.say(
            f"  epoch {epoch.number:>{len(str(total))}}/{total}  loss {m['train_loss']:.3f}  "
            f"val accuracy {m['val_accuracy']:.3f}  lr {m['learning_rate']:.1e}  "
            f"{m['images_per_second']:,.0f} images/s  {m['seconds']:.1f} s"
        )
        if named := epoch.named:
            shown = [f"{name} {value:.3f}" for name, value in named.items()]
            self.say(f"  {'':>{6 + 2 * len(str(total)) + 1}}  val {abbreviated(shown, NAMED)}")

    def stage_ended(self, result: StageResult) -> None:
        self.clear()
        self._epochs_before = ""
        if result.reused_from:
            self.say(reused(result, self._stage))
            self.say(f"  {best_epoch(result)}: val accuracy {result.own.accuracy:.3f}")
        else:
            self._show_training(result)
        if result.before:
            self.say(f"  {verdict(result, result.before)}")

    def _show_training(self, result: StageResult) -> None:
        if result.epochs < self._stage.epochs:
            self.say(f"  stopped early: epoch {result.epochs} of at most {self._stage.epochs}")
        self.say(
            f"  trained {result.trainable_parameters:,} parameters after {result.boundary}"
            f" in {result.seconds:.1f} s · {best_epoch(result)}"
        )
        self.say(f"  {frozen_part(result)}")
        self.say(
            "  frozen weights and BatchNorm unchanged [green]✓[/green] · "
            "optimizer covers exactly the trainable weights [green]✓[/green]"
        )

    def warned(self, message: str) -> None:
        self.clear()
        head = Text.from_markup(line("[yellow]note[/yellow]" + " " * (LABEL - 4), ""))
        self.say(head + Text(("\n" + " " * LABEL).join(map(visible, message.split("\n")))))

    def ended(self, result: Result) -> None:
        self.show_tested(result)
        for label, following in zip(("next", "", ""), NEXT, strict=True):
            self.say(line(label, escape(command(*following))))

    def show_tested(self, result: Result) -> None:
        images = result.test["images"]
        self.say()
        self.say(
            line(
                "test",
                f"accuracy [bold]{result.test_accuracy:.3f}[/bold] "
                f"{interval(*result.test_accuracy_interval)} on {images:,} images",
            )
        )
        for said in measured_lines(result.metrics):
            self.say(line("", said))
        others = (*member_lines(result), *teacher_lines(result), *update_lines(result))
        for label, said in others:
            self.say(line(label, said))
        if result.temperature != AS_TRAINED:
            self.say(line("calibrated", f" {calibration(result)}"))
        self.say(line("time", f"{result.seconds:.0f} s"))
        self.say(line("run", escape(from_here(result.artifacts))))

    def told(self, text: str) -> None:
        """A line of a study: markup."""
        self.clear()
        self.say(text)

    def say(self, text: str | Text = "") -> None:
        self.console.print(text, soft_wrap=True)

    def _show(self, what: str, done: int, total: int | None, columns: Columns) -> None:
        """Shows a progress bar until the work is done, if bars can be drawn."""
        if self.bars is None:
            return
        if self._progress is None:
            text = TextColumn("{task.description:<26}")
            self._progress = Progress(text, *columns(), console=self.bars, transient=True)
            self._task = self._progress.add_task(what, total=total)
        self._progress.update(self._task, description=what, completed=done, total=total)
        self.draw(self._progress)
        if total is not None and done >= total:
            self.clear()

    def draw(self, bar: Progress) -> None:
        bar.start()  # from then on it draws itself

    def clear(self) -> None:
        if self._progress:
            self._progress.stop()
            self._progress = None


def shown_before(state: str) -> bool:
    """Whether this was called with the same state before; False if the cache is not writable."""
    try:
        cache_folder("told").joinpath(state).touch(exist_ok=False)
    except FileExistsError:
        return True
    except (InputError, OSError):
        return False
    return False


class ImagesPerSecond(ProgressColumn):
    """Training speed, from the rate of steps."""

    def __init__(self, batch_size: int) -> None:
        super().__init__()
        self.batch_size = batch_size

    def render(self, task: Task) -> str:
        return f"{task.speed * self.batch_size:,.0f} images/s" if task.speed else ""


def _counted() -> Sequence[ProgressColumn]:
    return BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()


def _downloaded() -> Sequence[ProgressColumn]:
    return BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
