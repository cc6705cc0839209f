"""A stage's loss: tried before training, of smoothed and mixed labels, with class weights."""

import keras
import numpy as np
import pytest
from digests import digests_of
from keras import layers, ops

from kerascnn import Component, InputError, Params, classifier_head
from kerascnn.components.component import RegisteredComponent
from kerascnn.components.entry_points import Origin
from kerascnn.components.registry import load_registry
from kerascnn.engine.data.batches.augment import Augmenter
from kerascnn.engine.data.batches.feed import Examples, smoothed, to_device
from kerascnn.engine.network.build import Built
from kerascnn.engine.network.inference import to_numpy
from kerascnn.engine.training.loss import make_loss
from kerascnn.engine.training.plan import Plan
from kerascnn.engine.training.stage import fit_stage
from kerascnn.experiment.model import Stage
from kerascnn.hookspecs import Weights

CLASSES, IMAGES, SIZE = 3, 6, 8
BIAS = np.array([2, 0, -1], np.float32)
CLASS_WEIGHTS = np.array([1, 2, 4], np.float32)


def fit(loss, augment=None, **options):
    """The loss that Keras reports for one step on all images; each gets the same probabilities."""
    images = keras.Input((SIZE, SIZE, 3))
    model = keras.Model(images, classifier_head(layers.Flatten(name="stem_flat")(images), CLASSES))
    model.get_layer("head_dense").bias.assign(BIAS)
    network = Built(model, {"stem_flat": "stem"}, ("stem",), weights=Weights("a test"))
    black = np.zeros((IMAGES, SIZE, SIZE, 3), np.uint8)
    examples = Examples(black, np.arange(IMAGES) % CLASSES, digests_of(black))
    plan = Plan(
        Stage(name="one", epochs=1, learning_rate=1e-30, **options),
        index=0,
        layers=frozenset({"head_dropout", "head_dense"}),
        batchnorm="frozen",
        batch_size=IMAGES,
        schedule=lambda peak_learning_rate, **_: keras.optimizers.schedules.PiecewiseConstantDecay(
            [1], [peak_learning_rate] * 2
        ),
        loss=loss,
        augment=augment,
        class_weights=CLASS_WEIGHTS,
    )
    [epoch] = fit_stage(network, plan, examples, examples).history
    return epoch.metrics


@pytest.mark.backend
def test_the_focal_loss_of_a_step_with_smoothing_class_weights_and_mixup_by_hand():
    seen = []

    @Augmenter
    def mixup(images, targets, epoch, step):
        seen.append(np.array(targets))
        mixed = 0.75 * seen[0] + 0.25 * seen[0][::-1]
        return to_device(images), to_device(mixed)

    focal = load_registry().get("loss", "focal").bind({"gamma": 2.0})
    found = fit(make_loss(focal, [2, 2, 2]), mixup, label_smoothing=0.3)

    labels = 0.75 * seen[0] + 0.25 * seen[0][::-1]  # as MixUp shares them
    weights = labels @ CLASS_WEIGHTS  # of each image, by the shares of its classes
    labels = 0.7 * labels + 0.3 / CLASSES  # smoothed
    p = np.exp(BIAS) / np.exp(BIAS).sum()
    losses = np.zeros(IMAGES)
    for image in range(IMAGES):
        for k in range(CLASSES):
            losses[image] += labels[image, k] * (1 - p[k]) ** 2 * -np.log(p[k])
    assert len(np.unique(labels[:, 0].round(6))) > 1
    assert found["train_loss"] == pytest.approx((weights * losses).mean(), rel=1e-5)
    assert found["val_loss"] == pytest.approx(-np.log(p).mean(), rel=1e-5)  # the cross-entropy


def test_the_reduction_and_dtype_of_a_loss_have_no_effect():
    odd = keras.losses.CategoricalCrossentropy(reduction="sum", dtype="float16")
    expected = -np.log(np.exp(BIAS) / np.exp(BIAS).sum())
    mean = (CLASS_WEIGHTS * expected).mean()  # as many images of each class
    assert fit(odd)["train_loss"] == pytest.approx(mean, rel=1e-5)


@pytest.mark.backend
@pytest.mark.parametrize("share", [0, 0.1, 1 / 3])
def test_smoothed_labels_are_those_of_keras(share):
    rng = np.random.default_rng(0)
    labels, probabilities = map(to_device, rng.dirichlet(np.ones(7), (2, 20)))
    of_keras = keras.losses.CategoricalCrossentropy(label_smoothing=share)
    ours = keras.losses.CategoricalCrossentropy().call(smoothed(labels, share), probabilities)
    expected = to_numpy(of_keras.call(labels, probabilities))
    if keras.config.backend() == "torch":  # which divides by way of a reciprocal
        np.testing.assert_allclose(to_numpy(ours), expected, rtol=1e-6)
    else:
        np.testing.assert_array_equal(to_numpy(ours), expected, strict=True)


class Returning(keras.losses.Loss):
    def __init__(self, change):
        super().__init__()
        self.change = change

    def call(self, y_true, y_pred):
        return self.change(y_true * y_pred)


WRONG = {
    "of each class": (
        lambda x: x,
        'loss "odd" of odd 1.0: call(y_true, y_pred) must return float32 [3] for a batch of 3 '
        "images, not float32 [3, 2].",
    ),
    "mean": (lambda x: ops.mean(x), "not float32 []."),
    "half": (lambda x: ops.cast(ops.sum(x, axis=-1), "float16"), "not float16 [3]."),
    "no tensor": (lambda x: None, "failed in call(y_true, y_pred): AttributeError"),
    "raises": (lambda x: 1 / 0, "failed in call(y_true, y_pred): ZeroDivisionError: "),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_a_loss_of_another_shape_or_type_is_refused_before_training(change, message):
    odd = Component("odd", lambda params, **_: Returning(change), Params)
    bound = RegisteredComponent(odd, "loss", Origin("odd", "odd", "1.0")).bind({})
    with pytest.raises(InputError) as refused:
        make_loss(bound, [5, 1])
    assert message in str(refused.value)
