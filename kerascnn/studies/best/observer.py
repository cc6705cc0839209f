"""Progress events of `best`."""

from typing import TYPE_CHECKING

from kerascnn.engine.observer import Observer

if TYPE_CHECKING:
    from kerascnn.studies.best.result import BestResult, Ending, Tried


class BestObserver(Observer):
    """Progress events of a study; override those you display.

    Those of a single run are of the winner, which is run in full at the end; `progress` also tells
    of the trials.
    """

    def best_started(self, so_far: "BestResult", splits: dict[str, int], left: float) -> None:
        """The study has its id and its folder, and the images are loaded.

        Args:
            splits: The number of images in each.
            left: Seconds of the study's time.
        """

    def trying(self, what: str, so_far: "BestResult") -> None:
        """The next thing is tried."""

    def tried(self, one: "Tried", so_far: "BestResult") -> None:
        """It is done, has failed or is left out, as its `state` says."""

    def finishing(self, ending: "Ending", so_far: "BestResult") -> None:
        """The best is run in full."""

    def best_ended(self, result: "BestResult") -> None:
        """All is done; `result` is what the study returns."""
