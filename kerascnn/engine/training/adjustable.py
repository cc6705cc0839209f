"""What a training step reads from variables, so that stages with other numbers can share it."""

from typing import Any

import keras
import numpy as np
from keras import ops


class Rates(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate of each step, from a variable [steps]."""

    def __init__(self, rates: Any) -> None:
        self.rates = rates

    def __call__(self, step: Any) -> Any:
        return ops.take(self.rates, step)


class Dropout(keras.Layer):
    """Keras's Dropout, to the bit on TensorFlow, with a rate that can be set."""

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self.seed_generator = keras.random.SeedGenerator()
        self.numbers = self.add_weight(shape=(2,), initializer="zeros", trainable=False)

    def set_rate(self, rate: float) -> None:
        self.numbers.assign(np.array([rate, 1 / (1 - rate)], np.float32))

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training:
            return inputs
        numbers = ops.cast(self.numbers, inputs.dtype)
        drawn = keras.random.uniform(
            ops.shape(inputs), dtype=inputs.dtype, seed=self.seed_generator
        )
        return ops.where(drawn >= numbers[0], inputs * numbers[1], ops.zeros_like(inputs))
