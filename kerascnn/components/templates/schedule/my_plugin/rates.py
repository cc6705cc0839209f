"""The learning rate as Keras asks for it: a function of the step, in keras.ops."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="my_plugin")
class Triangle(keras.optimizers.schedules.LearningRateSchedule):
    """Rises to the peak and falls to zero, each in a straight line (arXiv 1801.06146).

    Args:
        peak_learning_rate: The rate at step `warmup_steps`.
        warmup_steps: Steps before the peak; the first is above zero already.
        steps: Steps in all; at this step, one past the last, the rate is zero.
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
