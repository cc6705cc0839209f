"""What the runs of one process share."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Self

from kerascnn.engine.data.store.packed import Data
from kerascnn.engine.kept import Kept
from kerascnn.engine.observer import Observer
from kerascnn.engine.prepare import prepare_experiment
from kerascnn.engine.prepared import Prepared
from kerascnn.engine.training.devices.group import Group
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.runtime.beside import Beside
from kerascnn.runtime.process import contained
from kerascnn.tracking.trial_tracker import Uploads


class Session:
    """Runs and trials of one process, one after another; a context manager.

    What is loaded or built for one is there for the next: images, networks, the process that has
    MLflow imported. Each has the outcome that it would have in a process of its own, bit for bit.

    Args:
        group: The processes that train a run together, led by this one; default none.

    Attributes:
        mlflow: Makes the calls of MLflow.
        uploads: Uploads what trials log; `uploads.unsent` says after the block what is left.
    """

    def __init__(self, group: Group | None = None) -> None:
        self.group = group
        self.mlflow = Beside("mlflow")
        self.uploads = Uploads(self.mlflow)
        self._kept = Kept()
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self._open.enter_context(contained())
        self._open.enter_context(self.mlflow)
        self._open.callback(self.uploads.end)
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Forgets all that is kept if its block fails: that may have left it in any state."""
        try:
            yield
        except BaseException:
            self._kept = Kept()
            raise

    def prepare(
        self, experiment: BoundExperiment, observer: Observer, data: Data | None = None
    ) -> Prepared:
        """Loads, checks and builds what is new, and seeds the process.

        Only the experiment prepared last may be trained: others may share its network.

        Args:
            data: The images; default those of the experiment's dataset.
        """
        return prepare_experiment(experiment, observer, self._kept, data, self.group)
