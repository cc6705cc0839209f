"""The built-in schedules: the shape of each, at every step and on every backend."""

import math

import keras
import numpy as np
import pytest
from keras import ops
from pydantic import ValidationError

from kerascnn.components.builtin.schedules import kerascnn_schedules

COMPONENTS = {component.name: component for component in kerascnn_schedules()}
SHAPES = sorted(COMPONENTS.keys() - {"plateau"})
PEAK = 3e-3


def build(name, steps=100, steps_per_epoch=10, **params):
    component = COMPONENTS[name]
    return component.build(
        component.params(**params),
        peak_learning_rate=PEAK,
        steps=steps,
        steps_per_epoch=steps_per_epoch,
    )


def rates(schedule, steps=100):
    """The rate over the peak at the steps 0 to `steps`, at which no step is taken any more."""
    return np.array([float(schedule(ops.convert_to_tensor(i))) for i in range(steps + 1)]) / PEAK


def falling_cosine(share):
    return 0.5 * (1 + math.cos(math.pi * share))


# The formulas of the papers with the defaults of the built-ins, in NumPy's float64.
EXPECTED = {
    "constant": lambda s: 1,
    "cosine": lambda s: falling_cosine(s / 100),
    # cycles of 1/7, 2/7 and 4/7 of the stage
    "cosine_restarts": lambda s: falling_cosine(
        s / 14 if s < 14 else (s - 14) / 29 if s < 43 else (s - 43) / 57
    ),
    "one_cycle": lambda s: (
        1 - 0.96 * falling_cosine(s / 30)
        if s < 30
        else 1e-5 + (1 - 1e-5) * falling_cosine((s - 30) / 70)
    ),
    "step": lambda s: 0.5 ** min(s // 20, 4),
    "multistep": lambda s: 0.1 ** ((s >= 40) + (s >= 60) + (s >= 80)),
    "exponential": lambda s: 0.01 ** (s / 100),
    "polynomial": lambda s: 1 - s / 100,
    "inverse_sqrt": lambda s: math.sqrt(10 / (10 + s)),
    "flat_cosine": lambda s: falling_cosine(max(s - 75, 0) / 25),
    "warmup_stable_decay": lambda s: (s + 1) / 11 if s < 10 else 1 if s < 82 else 1 - (s - 82) / 18,
}


@pytest.mark.backend
@pytest.mark.parametrize("name", SHAPES)
def test_each_shape_is_its_formula_at_every_step(name):
    expected = [EXPECTED[name](step) for step in range(101)]
    np.testing.assert_allclose(rates(build(name)), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", sorted(set(SHAPES) - {"one_cycle"}))
def test_a_warmup_rises_evenly_to_the_peak_and_the_shape_follows(name):
    warmed = rates(build(name, warmup_fraction=0.2))
    alone = rates(build(name, steps=80, warmup_fraction=0), 80)
    np.testing.assert_allclose(warmed[:20], np.arange(1, 21) / 21, rtol=1e-6)
    assert warmed[20] == pytest.approx(1, rel=1e-6)
    np.testing.assert_allclose(warmed[20:], alone, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("rise", [0, 0.9])
def test_a_stage_of_one_step_has_a_rate(name, steps, rise):
    rise_name = "rise_fraction" if name == "one_cycle" else "warmup_fraction"
    schedule = build(name, steps=steps, steps_per_epoch=50, **{rise_name: rise})
    found = rates(schedule, steps)
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert found[:steps].max() > 0.03
    assert found.max() <= 1 + 1e-6


@pytest.mark.parametrize("name", sorted({*SHAPES} - {"one_cycle", "warmup_stable_decay"}))
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_first_step_of_the_shortest_stage_is_at_the_peak(name, steps):
    """Drops and cycles that the stage is too short for must not begin before it."""
    milestones = {"multistep": {"milestones": [0.1, 0.2]}, "cosine_restarts": {"peak_factor": 0.5}}
    for params in ({}, milestones.get(name, {})):
        found = rates(build(name, steps=steps, steps_per_epoch=1, **params), steps)
        assert found[0] == pytest.approx(1)


@pytest.mark.parametrize("name", ["cosine", "polynomial", "flat_cosine", "warmup_stable_decay"])
def test_a_stage_ends_at_the_final_fraction(name):
    assert rates(build(name, final_fraction=0.25))[-1] == pytest.approx(0.25, rel=1e-5)


def test_restarts_can_be_equal_and_lower_each_time():
    found = rates(build("cosine_restarts", cycles=4, length_factor=1, peak_factor=0.5))
    np.testing.assert_allclose(found[[0, 25, 50, 75]], [1, 0.5, 0.25, 0.125], rtol=1e-6)
    assert found[100] == pytest.approx(0, abs=1e-6)


def test_milestones_may_stand_in_any_order():
    found = rates(build("multistep", milestones=[0.75, 0.5]))
    np.testing.assert_allclose(found[[49, 50, 74, 75]], [1, 0.1, 0.1, 0.01], rtol=1e-6)


@pytest.mark.backend
@pytest.mark.parametrize("name", SHAPES)
def test_training_applies_the_rates_and_a_saved_model_keeps_them(name, tmp_path):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(build(name, steps=8, steps_per_epoch=4)), "mse")
    applied = []

    class Record(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            applied.append(float(self.model.optimizer.learning_rate))

    x = np.ones((8, 1), "float32")
    model.fit(x, x, batch_size=1, verbose=0, callbacks=[Record()])
    # after a step, the optimizer's rate is that of the next one
    expected = rates(build(name, steps=8, steps_per_epoch=4), 8)[1:] * PEAK
    np.testing.assert_allclose(applied, expected, rtol=1e-5, atol=1e-6 * PEAK)

    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras").optimizer
    assert float(again.learning_rate) == pytest.approx(applied[-1], rel=1e-6, abs=1e-9)


@pytest.mark.backend
def test_plateau_lowers_the_rate_only_when_the_validation_loss_stays():
    callback = build("plateau", factor=0.5, patience_epochs=2, minimum_fraction=0.3)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(PEAK), "mse")
    callback.set_model(model)
    callback.on_train_begin()
    found = []
    for epoch, loss in enumerate([3.0, 2.0, 2.0, 2.0, 2.0, 2.0]):
        callback.on_epoch_end(epoch, {"val_loss": loss})
        found.append(float(model.optimizer.learning_rate) / PEAK)
    np.testing.assert_allclose(found, [1, 1, 1, 0.5, 0.5, 0.3], rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("cosine", {"warmup_fraction": 1}),
        ("cosine", {"warmup_steps": 10}),
        ("multistep", {"milestones": [1.5]}),
        ("exponential", {"final_fraction": 0}),
        ("plateau", {"warmup_fraction": 0.1}),
    ],
)
def test_a_wrong_parameter_is_refused(name, params):
    with pytest.raises(ValidationError):
        build(name, **params)
