"""Mixed precision trains on every backend, and the training step is jitted where that is faster."""

import keras
import numpy as np
import pytest
from digests import digests_of
from keras import layers, ops

from kerascnn import classifier_head
from kerascnn.engine.data.batches.augment import Augmenter
from kerascnn.engine.data.batches.feed import Examples
from kerascnn.engine.network.boundary import cut
from kerascnn.engine.network.build import Built
from kerascnn.engine.network.freezing import set_trainable
from kerascnn.engine.network.inference import Forward
from kerascnn.engine.training.compile import compile_stage
from kerascnn.engine.training.inputs import make_inputs
from kerascnn.engine.training.plan import Plan
from kerascnn.engine.training.stage import fit_stage
from kerascnn.experiment.model import Optimizer, Stage
from kerascnn.runtime.compilation import jit_compile
from kerascnn.runtime.determinism import make_reproducible

pytestmark = pytest.mark.backend
BACKEND = keras.config.backend()
CLASSES, SIZE, BATCH = 3, 8, 8
LAYERS = frozenset({"block_conv", "block_bn", "head_pool", "head_dropout", "head_dense"})


def examples(count):
    """Noise, each image brighter in the channel of its class."""
    rng, labels = np.random.default_rng(count), np.arange(count) % CLASSES
    images = rng.integers(0, 56, (count, SIZE, SIZE, 3))
    images[np.arange(count), :, :, labels] += 200
    images = images.astype(np.uint8)
    return Examples(images, labels, digests_of(images))


TRAIN, VALIDATION = examples(24), examples(9)


@pytest.fixture
def prepare():
    """Sets the precision for new layers, and restores it afterwards."""
    before = keras.config.dtype_policy()
    yield lambda precision: make_reproducible(0, precision)
    keras.config.set_dtype_policy(before)


@pytest.fixture
def undetermined():
    """Undoes a setting of an earlier test that makes Keras refuse XLA."""
    if BACKEND != "tensorflow":
        yield
        return
    from tensorflow.python.framework import config

    before = config.is_op_determinism_enabled()
    config.disable_op_determinism()
    yield
    (config.enable_op_determinism if before else config.disable_op_determinism)()


def make_network():
    images = keras.Input((SIZE, SIZE, 3))
    x = layers.Rescaling(1 / 255, dtype="float32", name="stem_rescale")(images)
    x = layers.Conv2D(8, 3, activation="relu", name="stem_conv")(x)
    x = layers.BatchNormalization(name="stem_bn")(x)
    x = layers.Conv2D(8, 3, activation="relu", name="block_conv")(x)
    x = layers.BatchNormalization(momentum=0.5, name="block_bn")(x)
    model = keras.Model(images, classifier_head(x, CLASSES, dropout=0.0))
    block_of = {layer.name: layer.name.split("_")[0] for layer in model.layers[1:]}
    return Built(model, block_of, ("stem", "block"))


def plan(**options):
    stage = Stage(name="trial", epochs=4, learning_rate=0.02, optimizer=Optimizer(name="adam"))
    return Plan(stage, 0, LAYERS, batchnorm="train", batch_size=BATCH, schedule=constant, **options)


def constant(peak_learning_rate, steps, steps_per_epoch):
    return keras.optimizers.schedules.PiecewiseConstantDecay([steps], [peak_learning_rate] * 2)


@Augmenter
def identity(images, targets, epoch, step):
    return ops.convert_to_tensor(images), ops.convert_to_tensor(targets)


def compiled(network, **options):
    """The model that a stage trains, as it is compiled for it."""
    set_trainable(network.model, LAYERS, "train")
    chosen = plan(**options)
    inputs = make_inputs(cut(network.model), chosen, TRAIN, VALIDATION)
    compile_stage(network, chosen, inputs.trainer, inputs.feed.steps)
    return inputs.trainer


PRECISIONS = ["mixed_bfloat16", "mixed_float16"]
EVERY_STEP = pytest.param({"augment": identity}, id="the whole network with every step")
STORED = pytest.param({}, id="stored activations")


@pytest.mark.parametrize(
    "precision", ["mixed_float16", pytest.param("mixed_bfloat16", marks=pytest.mark.long)]
)
@pytest.mark.parametrize("options", [EVERY_STEP, STORED])
def test_mixed_precision_learns_and_keeps_float32_where_it_matters(prepare, precision, options):
    prepare(precision)
    network = make_network()
    result = fit_stage(network, plan(keep="last", **options), TRAIN, VALIDATION)
    losses = [epoch.metrics["train_loss"] for epoch in result.history]
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.7 * losses[0] < np.log(CLASSES)
    assert network.model.get_layer("block_conv").compute_dtype == precision.removeprefix("mixed_")
    assert {variable.dtype for variable in network.model.weights} == {"float32"}
    assert network.model.output.dtype == "float32"
    probabilities = Forward(network.model)(VALIDATION.inputs, BATCH)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)
    assert result.standing.accuracy > 1 / CLASSES


@pytest.mark.parametrize("precision", ["float32", *PRECISIONS])
def test_float16_alone_scales_its_loss(prepare, precision):
    prepare(precision)
    optimizer = compiled(make_network()).optimizer
    scales = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    assert scales == (precision == "mixed_float16")


@pytest.mark.parametrize("options", [EVERY_STEP, STORED])
def test_the_step_is_jitted_on_jax_whether_augmented_or_not(options):
    assert compiled(make_network(), **options).jit_compile is (BACKEND == "jax")


@pytest.mark.parametrize("device", ["GPU NVIDIA H100", "CPU, 2 cores"])
def test_tensorflow_jits_on_a_gpu_alone(monkeypatch, undetermined, prepare, device):
    monkeypatch.setattr("kerascnn.runtime.compilation.device_name", lambda: device)
    prepare("float32")
    jitted = {"jax": True, "tensorflow": "GPU" in device, "torch": False}[BACKEND]
    assert jit_compile() is jitted
    assert compiled(make_network(), augment=identity).jit_compile is jitted
