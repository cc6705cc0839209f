"""The table of optimizers is that of the installed Keras."""

import inspect

import pytest

from kerascnn.engine.training.optimizers import _EMA, optimizer_class
from kerascnn.experiment.optimizers import ACCUMULATION, OF_ALL_OPTIMIZERS, OPTIMIZERS


def test_the_optimizers_are_those_of_keras():
    import keras

    wrappers = {"Optimizer", "LossScaleOptimizer", "MultiOptimizer", "OptimizerMap"}
    exported = {
        name.lower()
        for name, value in vars(keras.optimizers).items()
        if isinstance(value, type) and name not in wrappers
    }
    assert {name.replace("_", "") for name in OPTIMIZERS} == exported


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_arguments_of_an_optimizer_are_those_that_it_takes(name):
    takes = set(inspect.signature(optimizer_class(name)).parameters)
    ours = {"learning_rate", "weight_decay", "global_clipnorm", *_EMA, "name", "kwargs"}
    assert {*OPTIMIZERS[name], *OF_ALL_OPTIMIZERS} == takes - ours - {ACCUMULATION}
