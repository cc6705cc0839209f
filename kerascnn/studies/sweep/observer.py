"""Progress events of a sweep."""

from typing import TYPE_CHECKING

from kerascnn.engine.observer import Observer

if TYPE_CHECKING:
    from kerascnn.studies.sweep.result import SweepResult, Trial


class SweepObserver(Observer):
    """Progress events of a sweep; override those you display.

    Those of a single run are of the winner, which is run in full at the end. Trials run in other
    processes; of them only these events are received.
    """

    def sweep_started(self, so_far: "SweepResult") -> None:
        """The sweep has its id, its folder and its settings, and is checked; no trial runs yet.

        `so_far.trials` holds those that are known already: all that are enqueued and, after
        `--resume`, those that have ended.
        """

    def trial_started(self, trial: "Trial") -> None:
        """A worker has begun a trial, or resumed it after another worker was lost."""

    def trial_ended(self, trial: "Trial", so_far: "SweepResult") -> None:
        """A trial is complete, pruned or failed, as its `state` says."""

    def sweep_ended(self, result: "SweepResult") -> None:
        """All is done, and the winner has been judged; `result` is what the sweep returns."""
