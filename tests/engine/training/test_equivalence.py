"""A stage on stored activations ends with the weights of one that runs the whole network each step.

Both start from the same weights and the same state of what dropout draws from, the layer's own
generator or PyTorch's, and see the same batches.
"""

from functools import cache

import keras
import numpy as np
import pytest
from digests import digests_of

from kerascnn.components.registry import load_registry
from kerascnn.engine.data.batches.feed import Examples
from kerascnn.engine.network.build import build_network
from kerascnn.engine.network.inference import to_numpy
from kerascnn.engine.network.unfreeze import select
from kerascnn.engine.training.plan import Plan
from kerascnn.engine.training.stage import fit_stage
from kerascnn.experiment.model import Optimizer, Stage

pytestmark = pytest.mark.backend
SIZE, CLASSES, BATCH, SEED = 32, 5, 8, 0
OPTIMIZERS = {  # small steps: a rounding may flip a ReLU, whose gradient comes or goes as a whole
    "sgd": {"optimizer": Optimizer(name="sgd"), "learning_rate": 3e-4},
    # by its own epsilon of 1e-7 a gradient that is nothing but rounding moves a weight as any other
    "adamw": {"optimizer": Optimizer(name="adamw", epsilon=0.1), "learning_rate": 1e-3},
}
VARIANCE = {"vgg16": 1, "resnet50": 0.3}  # else 2 (He): with it random features are about one


def examples(count):
    rng = np.random.default_rng(count)
    images = rng.uniform(0, 200, (count, 1, 1, 3)) + rng.uniform(0, 55, (count, SIZE, SIZE, 3))
    images = images.astype(np.uint8)
    return Examples(images, np.arange(count) % CLASSES, digests_of(images))


TRAIN, VALIDATION = examples(12), examples(4)


@pytest.fixture(scope="module")
def networks():
    """Makes each network once; its first weights are zeros, for JAX compiles random ones."""
    with pytest.MonkeyPatch.context() as patch:
        zeros = keras.initializers.Zeros.__call__
        patch.setattr(keras.initializers.VarianceScaling, "__call__", zeros)
        yield cache(make_network)


def make_network(name):
    """The network, and its random weights and the state of its generators."""
    if name == "efficientnet_lite0":
        pytest.importorskip("kerascnn_efficientnet_lite")
    keras.utils.set_random_seed(0)  # for the dropout
    params = {} if name == "sequential_cnn" else {"weights": "none"}
    architecture = load_registry().get("architecture", name).bind(params)
    network = build_network(architecture, image_size=SIZE, num_classes=CLASSES)
    rng = np.random.default_rng(0)
    for variable in network.model.weights:
        variable.assign(drawn(variable, VARIANCE.get(name, 2), rng))
    return network, [to_numpy(variable.value) for variable in network.model.variables]


def drawn(variable, variance, rng):
    shape = variable.shape
    if variable.name in ("gamma", "moving_variance"):
        return rng.uniform(0.5, 1.5, shape)
    if len(shape) == 1:
        return rng.normal(0, 0.2, shape)
    fan_in = np.prod(shape[:2] if shape[-1] == 1 else shape[:-1])  # depthwise: [k, k, C, 1]
    return rng.normal(0, np.sqrt(variance / fan_in), shape)


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


CASES = [
    ("sequential_cnn", "last:2", "adamw", "train"),
    slow("sequential_cnn", "head", "sgd", "frozen"),
    slow("sequential_cnn", "last:1", "sgd", "frozen"),
    slow("sequential_cnn", "last:3", "adamw", "frozen"),
    slow("mobilenet_v2", "last:2", "sgd", "frozen"),
    slow("mobilenet_v2", "last:9", "adamw", "frozen"),
    slow("vgg16", "last:1", "adamw", "frozen"),
    slow("vgg16", "last:3", "sgd", "frozen"),
    slow("efficientnet_lite0", "last:3", "adamw", "frozen"),
    slow("efficientnet_lite0", "last:12", "sgd", "frozen"),
    slow("resnet50", "last:2", "adamw", "frozen"),
    slow("resnet50", "last:2", "sgd", "train"),
    slow("resnet50", "last:9", "sgd", "frozen"),
    slow("densenet121", "last:2", "sgd", "frozen"),
    slow("densenet121", "last:30", "adamw", "frozen"),
]


@pytest.mark.parametrize(("name", "span", "optimizer", "batchnorm"), CASES)
def test_stored_or_not_the_weights_are_the_same(networks, name, span, optimizer, batchnorm):
    fit = fitting(*networks(name), span, optimizer, batchnorm)
    before, stored, result = fit()
    _, whole, unstored = fit(activation_bytes=0)
    assert result.cached.boundary == result.boundary == unstored.boundary
    assert (result.cached.views, unstored.cached.boundary) == (1, "input")
    for path, value in stored.items():
        np.testing.assert_allclose(value, whole[path], atol=1e-4, err_msg=path)
    assert distance(before, stored) > 5e-4
    for one, other in zip(result.history, unstored.history, strict=True):
        for loss in ("train_loss", "val_loss"):  # of weights that differ by up to 1e-4
            assert one.metrics[loss] == pytest.approx(other.metrics[loss], abs=1e-3)


@pytest.mark.long  # fits four times
def test_another_order_or_other_dropout_would_show(networks):
    fit = fitting(*networks("sequential_cnn"), "last:2", "sgd", "frozen")
    _, expected, _ = fit()
    assert distance(expected, fit()[1]) == 0
    assert distance(expected, fit(seed=SEED + 1)[1]) > 5e-4
    assert distance(expected, fit(dropped=1)[1]) > 5e-4


def fitting(network, start, span, optimizer, batchnorm):
    """Fits a stage from one start: what trains as it was, all weights after it, and the result."""
    trained = select(network, span, 50)
    stage = Stage(name="trial", epochs=2, **OPTIMIZERS[optimizer])

    def fit(dropped=0, **options):
        keras.utils.set_random_seed(dropped)
        for variable, value in zip(network.model.variables, start, strict=True):
            draws = variable.name == "seed_generator_state"
            variable.assign(value + dropped if draws else value)
        plan = Plan(
            **{"stage": stage, "index": 0, "layers": trained.layers, "batchnorm": batchnorm},
            **{"batch_size": BATCH, "schedule": constant, "seed": SEED, "keep": "last"} | options,
        )
        result = fit_stage(network, plan, TRAIN, VALIDATION)
        variables = zip(network.model.variables, start, strict=True)
        before = {variable.path: value for variable, value in variables if variable.trainable}
        return before, weights(network), result

    return fit


def constant(peak_learning_rate, steps, steps_per_epoch):
    return keras.optimizers.schedules.PiecewiseConstantDecay([steps], [peak_learning_rate] * 2)


def weights(network):
    return {variable.path: to_numpy(variable.value) for variable in network.model.weights}


def distance(one, other):
    return max(np.abs(value - other[path]).max() for path, value in one.items())
