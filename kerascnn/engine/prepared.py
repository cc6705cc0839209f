"""An experiment that is ready to train."""

from dataclasses import dataclass

from kerascnn.engine.data.batches import Examples
from kerascnn.engine.data.splits import Data
from kerascnn.engine.data.windows import Centred
from kerascnn.engine.network.build import Built
from kerascnn.engine.training.plan import Plan
from kerascnn.experiment.bound import BoundExperiment


@dataclass(frozen=True)
class Prepared:
    """An experiment that is ready to train, and the packages that its components come from."""

    experiment: BoundExperiment
    backend: str
    data: Data
    network: Built
    plans: tuple[Plan, ...]
    plugins: dict[str, str]

    def examples(self) -> tuple[Examples, Examples]:
        """What a stage trains on, and what it is judged by."""
        train, validation = self.data.train, self.data.validation
        centred = Centred(validation.images, self.experiment.training.image_size)
        return (
            Examples(train.images, train.labels, train.key),
            Examples(centred, validation.labels, validation.key),
        )
