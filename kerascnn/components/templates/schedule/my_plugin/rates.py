"""The learning rate as a function of the step, computed with keras.ops."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="my_plugin")
class Triangle(keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly to the peak, then falls linearly to zero (arXiv 1801.06146).

    Args:
        peak_learning_rate: The rate at step `warmup_steps`.
        warmup_steps: Number of steps before the peak; the rate of the first is above zero.
        steps: Number of steps in the stage; the rate reaches zero one step after the last.
    """

    def __init__(self, peak_learning_rate, warmup_steps, steps):
        self.peak_learning_rate = peak_learning_rate
        self.warmup_steps = warmup_steps
        self.steps = steps

    def __call__(self, step):
        step = ops.cast(step, "float32")
        rise = (step + 1) / (self.warmup_steps + 1)
        fall = (self.steps - step) / (self.steps - self.warmup_steps)
        return self.peak_learning_rate * ops.maximum(ops.minimum(rise, fall), 0)

    def get_config(self):
        return {
            "peak_learning_rate": self.peak_learning_rate,
            "warmup_steps": self.warmup_steps,
            "steps": self.steps,
        }
