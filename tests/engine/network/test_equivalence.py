"""Networks of every kind at every boundary: the last single tensor, and halves that are the whole.

JAX compiles each shape of each operation for itself: where those are many, even few cuts are slow.
"""

from collections import defaultdict
from functools import cache

import keras
import numpy as np
import pytest
from keras import layers, ops

from kerascnn.components.registry import load_registry
from kerascnn.engine.network.boundary import cut
from kerascnn.engine.network.build import build_network
from kerascnn.engine.network.freezing import set_trainable
from kerascnn.engine.network.prefix.folding import fold
from kerascnn.engine.network.unfreeze import select

pytestmark = pytest.mark.backend
SIZE, CLASSES = 32, 5
COLOURS = np.array([[200, 40, 60], [20, 90, 160]])[:, None, None]
IMAGES = np.float32(COLOURS + np.random.default_rng(1).uniform(-20, 50, (2, SIZE, SIZE, 3)))
BLOCKS = {
    **{"vgg16": 5, "resnet50": 17, "efficientnet_lite0": 18, "densenet121": 62},
    **{"mobilenet_v2": 19, "sequential_cnn": 4},
}
VARIANCE = {"vgg16": 1, "resnet50": 0.3}  # else 2 (He): with it random features are about one
FEW = ("head", "last:2")  # the spans that are not slow
SLOW = ("densenet121", "efficientnet_lite0") if keras.config.backend() == "jax" else ()


def spans(name):
    return ("head", *(f"last:{count}" for count in range(1, BLOCKS[name] + 1)), "all")


def case(name, *which, quick=True):
    marks = pytest.mark.long if name in ("densenet121", "resnet50") else ()
    return pytest.param(
        name, *which, marks=marks if quick and name not in SLOW else pytest.mark.slow
    )


@pytest.fixture(scope="module")
def networks():
    """Makes each network once; its first weights are zeros, for JAX compiles random ones."""
    with pytest.MonkeyPatch.context() as patch:
        zeros = keras.initializers.Zeros.__call__
        patch.setattr(keras.initializers.VarianceScaling, "__call__", zeros)
        yield cache(make_network)


def make_network(name):
    """The network with random weights, BatchNorm's statistics too, and its probabilities."""
    if name == "efficientnet_lite0":
        pytest.importorskip("kerascnn_efficientnet_lite")
    params = {} if name == "sequential_cnn" else {"weights": "none"}
    architecture = load_registry().get("architecture", name).bind(params)
    network = build_network(architecture, image_size=SIZE, num_classes=CLASSES)
    rng = np.random.default_rng(0)
    for variable in network.model.weights:
        variable.assign(drawn(variable, VARIANCE.get(name, 2), rng))
    return network, run(network.model, IMAGES)


def drawn(variable, variance, rng):
    shape = variable.shape
    if variable.name in ("gamma", "moving_variance"):
        return rng.uniform(0.5, 1.5, shape)
    if len(shape) == 1:
        return rng.normal(0, 0.2, shape)
    fan_in = np.prod(shape[:2] if shape[-1] == 1 else shape[:-1])  # depthwise: [k, k, C, 1]
    return rng.normal(0, np.sqrt(variance / fan_in), shape)


CUTS = [case(name, span, quick=span in FEW) for name in BLOCKS for span in spans(name)]


@pytest.mark.parametrize(("name", "span"), CUTS)
def test_the_halves_are_the_whole(networks, name, span):
    network, probabilities = networks(name)
    assert probabilities.std(0).mean() > 0.01  # they tell the images apart
    parts = split(network, span)
    prefixes = [parts.prefix, fold(parts.prefix)] if parts.prefix else []
    for halfway in [run(prefix, IMAGES) for prefix in prefixes] or [IMAGES]:
        np.testing.assert_allclose(run(parts.suffix, halfway), probabilities, atol=1e-5)


KINDS = [
    case(name, kind, quick=kind == "frozen") for kind in ("frozen", "train") for name in BLOCKS
]


@pytest.mark.parametrize(("name", "batchnorm"), KINDS)
def test_the_boundary_is_the_last_single_tensor(networks, name, batchnorm):
    network, _ = networks(name)
    graph = Graph(network.model)
    assert len(network.blocks) == BLOCKS[name]
    for span in spans(name):
        parts = split(network, span, batchnorm)
        assert parts.boundary == graph.last_single(), span
        assert (parts.prefix is None) == (parts.boundary == "input")
        assert not (parts.prefix and parts.prefix.trainable_variables)
        assert ids(parts.suffix.trainable_variables) == ids(network.model.trainable_variables)


class Graph:
    """The definition taken at its word: nothing gets from the images past a single tensor.

    One that no weights come before is none: there is nothing to save.
    """

    def __init__(self, model):
        self.operation_of = {id(model.input): None}  # the one that makes the tensor
        self.readers = defaultdict(list)
        self.walk_back(model.output)
        weighted = [t for t, made_by in self.operation_of.items() if has(made_by, "weights")]
        self.single = [
            tensor
            for tensor in self.reached(weighted)
            if id(model.output) not in self.reached([id(model.input)], removed=tensor)
        ]
        self.single.sort(key=lambda tensor: len(self.reached([tensor])))  # the last one first

    def walk_back(self, output):
        waiting = [output]
        while waiting:
            tensor = waiting.pop()
            if id(tensor) not in self.operation_of:
                operation, index, _ = tensor._keras_history
                self.operation_of[id(tensor)] = operation
                for read in operation._inbound_nodes[index].input_tensors:
                    self.readers[id(read)].append(id(tensor))
                    waiting.append(read)

    def reached(self, tensors, removed=None):
        """What something gets to from the tensors, another one removed."""
        found, waiting = set(), [*tensors]
        while waiting:
            tensor = waiting.pop()
            if tensor not in found and tensor != removed:
                found.add(tensor)
                waiting += self.readers[tensor]
        return found

    def last_single(self):
        trained = [tensor for tensor, made_by in self.operation_of.items() if trains(made_by)]
        behind = self.reached(trained)
        last = next((tensor for tensor in self.single if tensor not in behind), None)
        return self.operation_of[last].name if last else "input"


def trains(operation):
    """Has weights that train, or drops at random what they are trained on."""
    random = isinstance(operation, layers.Dropout) and operation.trainable
    return random or has(operation, "trainable_weights")


def has(operation, weights):
    return bool(getattr(operation, weights, ()))


def split(network, span, batchnorm="frozen"):
    set_trainable(network.model, select(network, span, 50).layers, batchnorm)
    return cut(network.model)


def run(model, inputs):
    return ops.convert_to_numpy(model(inputs, training=False))


def ids(variables):
    return {id(variable) for variable in variables}
