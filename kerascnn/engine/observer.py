"""Progress events of a run: the methods do nothing; override those that you display."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import kerascnn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kerascnn.engine.prepared import Prepared
    from kerascnn.engine.result import Result
    from kerascnn.engine.training.listener import Epoch
    from kerascnn.engine.training.plan import Plan
    from kerascnn.engine.training.stage_result import StageResult


def default_observer() -> "Observer":
    """What a script or a notebook sees unless it gives an observer: what the terminal shows."""
    return kerascnn.default_observer()


class Observer:
    """Hears how a run goes, in the order of these methods; by itself it shows nothing."""

    def started(self, name: str, backend: str, device: str) -> None:
        """The backend is loaded."""

    def download(self, name: str, done: int, total: int | None) -> None:
        """So many bytes of a file have come."""

    def progress(self, what: str, done: int, total: int) -> None:
        """A long piece of work that is not training: packing, running the frozen prefix."""

    def data_noted(self, notes: "Sequence[str]", state: str) -> None:
        """What is wrong with the data, or scarce; `state` changes with the data and the notes."""
        for note in notes:
            self.warned(note)

    def prepared(self, prepared: "Prepared") -> None:
        """Data and network are there, and checked."""

    def tracked(self, run_id: str, store: str) -> None:
        """The run has its id."""

    def resumed(self, plan: "Plan | None", epochs: int, steps: int) -> None:
        """A run goes on in this stage, of which so many epochs and steps of the next are done.

        Without a stage, all of them are done.
        """

    def stage_started(self, number: int, total: int, plan: "Plan") -> None:
        """A stage begins."""

    def step(self, done: int, total: int) -> None:
        """A training step has been handed to the device."""

    def epoch(self, epoch: "Epoch", total: int) -> None:
        """An epoch and its validation are done."""

    def stage_ended(self, result: "StageResult") -> None:
        """A stage is done and its freeze is proven."""

    def warned(self, message: str) -> None:
        """Something that the user should know and that does not stop the run."""

    def left_out(self, files: "Sequence[str]") -> None:
        """Files that are not predicted, each with the reason."""

    def ended(self, result: "Result") -> None:
        """The run is evaluated and saved."""


@contextmanager
def optional(what: str, observer: Observer, remedy: str = "") -> Iterator[None]:
    """Turns any failure to make a figure, a page or a note into a warning: no work depends on it.

    Args:
        what: What is made, for the warning.
        observer: Receives the warning.
        remedy: What to do about it.
    """
    try:
        yield
    except Exception as error:
        then = f"; {remedy}" if remedy else ""
        observer.warned(f"could not write {what}: {type(error).__name__}: {error}{then}.")
