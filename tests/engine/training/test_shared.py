"""Heads on stored features share a trainer, and end as without it."""

from contextlib import contextmanager

import keras
import numpy as np
import pytest
from digests import digests_of
from keras import layers, ops
from keras.optimizers import schedules

from kerascnn import classifier_head
from kerascnn.engine.data.batches.feed import Examples
from kerascnn.engine.network.build import Built
from kerascnn.engine.training import shared
from kerascnn.engine.training.listener import SILENT, Control
from kerascnn.engine.training.plan import Plan
from kerascnn.engine.training.shared import rates_of
from kerascnn.engine.training.stage import fit_stage
from kerascnn.experiment.model import Optimizer, Stage
from kerascnn.hookspecs import Weights
from kerascnn.runtime.process import contained

pytestmark = pytest.mark.long  # most trace two or three training steps
CLASSES, SIZE, BATCH = 3, 8, 8
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 255, (30, SIZE, SIZE, 3)).astype(np.uint8)
EXAMPLES = Examples(IMAGES, np.arange(30) % CLASSES, digests_of(IMAGES))
FIRST = {"learning_rate": 1e-3, "weight_decay": 1e-4, "label_smoothing": 0.0, "dropout": 0.2}
OTHER = {"learning_rate": 3e-2, "weight_decay": 1e-2, "label_smoothing": 0.1, "dropout": 0.4}


def falling(peak_learning_rate, steps, steps_per_epoch):
    """By divisions: a cosine may differ in its last bit between one step and several at once."""
    return schedules.InverseTimeDecay(peak_learning_rate, steps, 1.0)


def fit(*, dropout, alone=False, seed=0, control=None, epochs=2, optimizer="adamw", **numbers):
    """The weights, generators and figures that a stage ends with."""
    keras.utils.set_random_seed(seed)
    images = keras.Input((SIZE, SIZE, 3))
    features = layers.Conv2D(6, 3, name="stem_conv")(images)
    model = keras.Model(images, classifier_head(features, CLASSES, dropout=dropout))
    network = Built(model, {"stem_conv": "stem"}, ("stem",), weights=Weights("a test"))
    plan = Plan(
        Stage(name="one", epochs=epochs, optimizer=Optimizer(name=optimizer), **numbers),
        index=0,
        layers=frozenset({"head_pool", "head_dropout", "head_dense"}),
        batchnorm="frozen",
        batch_size=BATCH,
        schedule=falling,
        loss_key="" if alone else "cross-entropy",
    )
    control = control or Control()
    result = fit_stage(network, plan, EXAMPLES, EXAMPLES, None, SILENT, control)
    weights = [ops.convert_to_numpy(v.value).copy() for v in model.variables]
    figures = [
        epoch.metrics[name] for epoch in result.history for name in ("train_loss", "val_loss")
    ]
    return [*weights, np.array(figures)]


@contextmanager
def counted(monkeypatch):
    """The trainers that are made in its block, which nothing before or after it shares."""
    made, make = [], shared._make

    def counting(*arguments):
        made.append(arguments)
        return make(*arguments)

    with contained(), monkeypatch.context() as patch:
        patch.setattr(shared, "_make", counting)
        yield made


def assert_equal(one, other):
    for ours, theirs in zip(one, other, strict=True):
        np.testing.assert_array_equal(ours, theirs, strict=True)


@pytest.mark.backend
def test_stages_that_differ_in_numbers_share_a_trainer_and_end_as_alone(monkeypatch):
    with counted(monkeypatch) as made:
        fit(**FIRST)
        after_another = fit(**OTHER, seed=1)
    traces = keras.config.backend() != "torch"
    assert len(made) == traces
    with contained():
        assert_equal(after_another, fit(**OTHER, seed=1))
    if keras.config.backend() == "tensorflow":
        assert_equal(after_another, fit(**OTHER, seed=1, alone=True))


@pytest.mark.backend
def test_without_dropout_a_shared_trainer_is_the_plain_one():
    numbers = {**OTHER, "dropout": 0.0}
    with contained():
        together = fit(**numbers)
    for ours, theirs in zip(together, fit(**numbers, alone=True), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("optimizer", ["sgd", "nadam", "adagrad", "muon"])
def test_every_optimizer_begins_anew(monkeypatch, optimizer):
    pytest.importorskip("tensorflow")
    with counted(monkeypatch) as made:
        fit(**FIRST, optimizer=optimizer)
        after_another = fit(**OTHER, optimizer=optimizer)
    assert len(made) == (optimizer != "muon")  # which has a second weight decay
    assert_equal(after_another, fit(**OTHER, optimizer=optimizer, alone=True))


@pytest.mark.parametrize("change", [{"epochs": 1}, {"weight_decay": None}], ids=str)
def test_another_structure_has_a_trainer_of_its_own(monkeypatch, change):
    with counted(monkeypatch) as made:
        fit(**FIRST)
        fit(**{**FIRST, **change})
    assert len(made) == 2


def test_a_stage_that_fails_leaves_no_trainer(monkeypatch):
    class Failing(Control):
        def stops(self, epoch, probabilities):
            raise ZeroDivisionError

    with counted(monkeypatch) as made:
        with pytest.raises(ZeroDivisionError):
            fit(**FIRST, control=Failing())
        fit(**FIRST)
    assert len(made) == 2


class OneByOne(schedules.LearningRateSchedule):
    def __call__(self, step):
        return 1e-3 if int(step) < 3 else 1e-4


class OfAll(schedules.LearningRateSchedule):
    """Takes several steps, and gives each the rate of the last."""

    def __call__(self, step):
        return ops.cast(ops.max(step), "float32") * 0.1


@pytest.mark.parametrize(
    "schedule",
    [schedules.CosineDecay(0.1, 7, warmup_steps=2, warmup_target=1.0), OneByOne(), OfAll()],
    ids=lambda schedule: type(schedule).__name__,
)
def test_the_rate_of_each_step_is_that_of_the_schedule(schedule):
    expected = [float(schedule(ops.convert_to_tensor(step, "int32"))) for step in range(7)]
    np.testing.assert_allclose(rates_of(schedule, 7), np.array(expected, np.float32), rtol=1e-6)
