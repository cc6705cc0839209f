"""A stage stopped at any step and resumed in another network ends as if undisturbed."""

import keras
import numpy as np
import pytest
from digests import digests_of
from keras import layers

from kerascnn import HostAugmentation, Metric, RunError, classifier_head, cross_entropy
from kerascnn.engine.data.batches.augment import augmenter
from kerascnn.engine.data.batches.feed import Examples
from kerascnn.engine.metrics.named import NamedMetric
from kerascnn.engine.network.build import Built
from kerascnn.engine.training.checkpoints import Checkpoints
from kerascnn.engine.training.listener import Control
from kerascnn.engine.training.plan import Plan
from kerascnn.engine.training.stage import fit_stage
from kerascnn.engine.training.variables import assign, network_variables, values
from kerascnn.experiment.model import OPTIMIZERS, Optimizer, Stage

pytestmark = pytest.mark.backend
CLASSES, SIZE, BATCH = 3, 8, 8
CLOCK = ("seconds", "images_per_second")
RNG = np.random.default_rng(0)
TRAIN, VALIDATION = (
    Examples(images, np.arange(len(images)) % CLASSES, digests_of(images))
    for images in (RNG.integers(0, 256, (n, SIZE, SIZE, 3), np.uint8) for n in (30, 12))
)


def make_network():
    keras.utils.set_random_seed(0)
    images = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(4, 3, name="block_conv")(layers.Rescaling(1 / 255, name="stem_scale")(images))
    x = layers.BatchNormalization(name="block_bn")(x)
    x = layers.Dropout(0.5, name="block_drop")(x)
    model = keras.Model(images, classifier_head(x, CLASSES))
    block_of = {layer.name: layer.name.split("_")[0] for layer in model.layers[1:]}
    return Built(model, block_of, ("stem", "block"))


def constant(peak_learning_rate, steps, steps_per_epoch):
    return keras.optimizers.schedules.PiecewiseConstantDecay([steps], [peak_learning_rate] * 2)


def plateau(**_):
    return keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=1, min_delta=9)


class StoppedError(Exception):
    """The control stopped the stage."""


def fit(folder=None, at=None, network=None, state=None, **options):
    """Fits a stage of two epochs, or stops it with a checkpoint after `at` steps."""
    network = network or make_network()
    of_plan = {name: options.pop(name) for name in [*options] if name in Plan.__annotations__}
    stage = Stage(name="trial", epochs=2, learning_rate=0.01, unfreeze="all", **options)
    names = frozenset(layer.name for layer in network.model.layers)
    plan = {"index": 0, "batchnorm": "train", "batch_size": BATCH, "schedule": constant} | of_plan
    asked = 0

    class Stops(Control):
        def due(self, epoch_ended):
            nonlocal asked
            asked += not epoch_ended
            return at is not None and asked >= at

        def checkpoint(self, state):
            network_values = values(network_variables(network.model, names))
            Checkpoints(folder, 0).write({"stage": state, "network": network_values})
            raise StoppedError

    plan = Plan(stage=stage, layers=names, **plan)
    return fit_stage(network, plan, TRAIN, VALIDATION, control=Stops(), state=state)


def resumed(folder, at, **options):
    with pytest.raises(StoppedError):
        fit(folder, at, **options)
    keras.utils.set_random_seed(99)
    kept, _ = Checkpoints(folder, 0).read()
    network = make_network()
    assign(
        network_variables(network.model, [n.name for n in network.model.layers]), kept["network"]
    )
    np.random.default_rng().random()
    return fit(network=network, state=kept["stage"], **options)


def outcome(result):
    history = [{k: v for k, v in e.metrics.items() if k not in CLOCK} for e in result.history]
    return result.ended_sha256, history


def all_but(quick, every):
    """Parameters of which only the quick ones are tried by default."""
    return [pytest.param(one, marks=() if one in quick else pytest.mark.long) for one in every]


@pytest.mark.parametrize("name", all_but(["adam"], OPTIMIZERS))
def test_every_optimizer_resumes(tmp_path, name):
    options = {"optimizer": Optimizer(name=name)}
    assert outcome(resumed(tmp_path / "kept", 6, **options)) == outcome(fit(**options))


@pytest.mark.parametrize("at", all_but([3], [1, 3, 4, 5]))
@pytest.mark.parametrize(
    "options",
    [
        {"schedule": plateau},
        {"ema_fraction": 0.5, "layer_decay": 0.5, "clip_norm": 1.0},
        pytest.param(
            {"keep": "last", "optimizer": Optimizer(name="sgd", momentum=0.9)},
            marks=pytest.mark.long,
        ),
    ],
    ids=["plateau", "average", "last"],
)
def test_at_every_step_and_with_every_kind_of_state(tmp_path, at, options):
    assert outcome(resumed(tmp_path / "kept", at, **options)) == outcome(fit(**options))


def test_the_weights_that_another_metric_prefers_are_resumed(tmp_path):
    """It prefers those of the first epoch; the stage stops in the second."""
    first, second = (epoch.metrics["val_loss"] for epoch in fit().history)
    metric = NamedMetric("loss_of_all", Metric(cross_entropy, first > second), None)
    options = {"keep": "best:loss_of_all", "metrics": (metric,)}
    whole = fit(**options)
    assert whole.own.value == pytest.approx(first) != pytest.approx(second)
    assert outcome(resumed(tmp_path / "kept", 6, **options)) == outcome(whole)


def test_a_keras_layer_draws_what_it_would_have_drawn(tmp_path):
    def options():
        policy = layers.Pipeline([layers.RandomFlip(), layers.RandomRotation(0.2)])
        return {"augment": augmenter(policy, (0, 0), SIZE)}

    undisturbed = outcome(fit(**options()))
    assert outcome(resumed(tmp_path / "kept", 3, **options())) == undisturbed


@pytest.mark.long  # fits twice more
def test_an_augmentation_of_the_host_draws_what_it_would_have_drawn(tmp_path):
    def options():
        policy = HostAugmentation(lambda image, rng: np.roll(image, rng.integers(SIZE), axis=1))
        return {"augment": augmenter(policy, (0, 0), SIZE)}

    undisturbed = outcome(fit(**options()))
    assert outcome(resumed(tmp_path / "kept", 3, **options())) == undisturbed


def test_the_loss_scale_resumes(tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        assert outcome(resumed(tmp_path / "kept", 3)) == outcome(fit())
    finally:
        keras.config.set_dtype_policy("float32")


def test_a_state_of_another_network_is_refused():
    model = make_network().model
    variables = network_variables(model, [layer.name for layer in model.layers])
    with pytest.raises(RunError, match="arrays of the checkpoint do not match"):
        assign(variables, values(variables)[1:])
