"""An experiment that is ready to train."""

from dataclasses import dataclass

from kerascnn.engine.data.batches import Examples
from kerascnn.engine.data.findings import Examination
from kerascnn.engine.data.preparation import Preparation
from kerascnn.engine.data.splits import Data
from kerascnn.engine.network.build import Built
from kerascnn.engine.training.plan import Plan
from kerascnn.experiment.model import Experiment


@dataclass(frozen=True)
class Prepared:
    """An experiment that is ready to train, and the packages that its components come from."""

    experiment: Experiment
    backend: str
    data: Data
    examination: Examination
    network: Built
    plans: tuple[Plan, ...]
    plugins: dict[str, str]

    def examples(self) -> tuple[Examples, Examples]:
        """What a stage trains on, and what it is judged by."""
        train, validation = self.data.train, self.data.validation
        centred = Preparation.of(self.experiment.training).windows(validation.images)
        return (
            Examples(train.images, train.labels, train.key),
            Examples(centred, validation.labels, validation.key),
        )
