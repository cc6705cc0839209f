"""The two learning-rate schedules that Keras lacks; the others are joined from its own."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops
from keras.optimizers.schedules import LearningRateSchedule


@keras.saving.register_keras_serializable(package="kerascnn")
class Joined(LearningRateSchedule):
    """Schedules one after the other, each counting steps from its own beginning.

    Args:
        schedules: The schedules, in order; at least one.
        boundaries: For each schedule after the first, the step at which it begins, ascending.
    """

    def __init__(self, schedules: Sequence[LearningRateSchedule], boundaries: Sequence[int]):
        self.schedules = list(schedules)
        self.boundaries = list(boundaries)

    def __call__(self, step: Any) -> Any:
        step = ops.convert_to_tensor(step)
        rate = self.schedules[0](step)
        for start, schedule in zip(self.boundaries, self.schedules[1:], strict=True):
            rate = ops.where(step < start, rate, schedule(ops.maximum(step - start, 0)))
        return rate

    def get_config(self) -> dict[str, Any]:
        schedules = [keras.saving.serialize_keras_object(s) for s in self.schedules]
        return {"schedules": schedules, "boundaries": self.boundaries}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Joined":
        schedules = [keras.saving.deserialize_keras_object(s) for s in config["schedules"]]
        return cls(schedules, config["boundaries"])


@keras.saving.register_keras_serializable(package="kerascnn")
class InverseSquareRoot(LearningRateSchedule):
    """`peak / sqrt(1 + step / timescale)` (Vaswani et al., arXiv 1706.03762; Zhai et al.,
    arXiv 2106.04560).

    Args:
        peak_learning_rate: The rate at step 0.
        timescale: Steps, above 0; after three times as many, the rate has halved.
    """

    def __init__(self, peak_learning_rate: float, timescale: float):
        self.peak_learning_rate = peak_learning_rate
        self.timescale = timescale

    def __call__(self, step: Any) -> Any:
        age = ops.cast(step, "float32") / self.timescale
        return self.peak_learning_rate / ops.sqrt(1 + age)

    def get_config(self) -> dict[str, Any]:
        return {"peak_learning_rate": self.peak_learning_rate, "timescale": self.timescale}
