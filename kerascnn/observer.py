"""Who watches a run: every method does nothing, and a view overrides what it shows."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kerascnn.prepare import Prepared
    from kerascnn.runs import Result
    from kerascnn.training.plan import Epoch, Plan
    from kerascnn.training.stage import StageResult


def default_observer() -> "Observer":
    """What a script or a notebook sees unless it gives an observer: what the terminal shows."""
    from kerascnn.terminal import default_terminal  # above, and imports all that it shows

    return default_terminal()


class Observer:
    """Hears how a run goes, in the order of these methods; by itself it shows nothing."""

    def started(self, name: str, backend: str, device: str) -> None:
        """The backend is loaded."""

    def download(self, name: str, done: int, total: int | None) -> None:
        """So many bytes of a file have come."""

    def progress(self, what: str, done: int, total: int) -> None:
        """A long piece of work that is not training: packing, running the frozen prefix."""

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

    def ended(self, result: "Result") -> None:
        """The run is evaluated and saved."""
