"""`make_optimizer`: Keras's optimizers, with weight decay and learning rates where they belong."""

from contextlib import nullcontext
from functools import cache

import keras
import numpy as np
import pytest
from keras import layers, ops

from kerascnn import InputError
from kerascnn.engine.training.optimizers import averaged, make_optimizer, optimizer_class
from kerascnn.experiment.model import OPTIMIZERS, Optimizer
from kerascnn.runtime.compilation import jit_compile

pytestmark = pytest.mark.backend
INPUTS = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
TARGETS = np.random.default_rng(1).normal(size=(8, 2)).astype("float32")


def make_model():
    """Two layers whose names are traps: only a variable's own name says whether it decays."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    x = layers.Dense(3, activation="tanh", name="bias_beta_gamma")(inputs)
    x = layers.LayerNormalization(name="norm")(x)
    return keras.Model(inputs, layers.Dense(2, name="last", bias_initializer="ones")(x))


def step(optimizer):
    """How much one step changes each variable."""
    model = make_model()
    before = values(model)
    model.compile(optimizer, loss="mse", jit_compile=jit_compile())
    model.train_on_batch(INPUTS, TARGETS)
    return {path: value - before[path] for path, value in values(model).items()}


def values(model):
    return {v.path: ops.convert_to_numpy(v.value).copy() for v in model.trainable_variables}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_of_the_schema_takes_all_settings_and_trains(name):
    optimizer = make_optimizer(Optimizer(name=name), 0.01, weight_decay=0.01, clip_norm=1.0)
    assert type(optimizer).__name__.lower() == name.replace("_", "")
    model = make_model()
    before = values(model)
    apply(optimizer, model, [ops.ones(v.shape) for v in model.trainable_variables])
    for path, value in values(model).items():
        assert np.isfinite(value).all()
        assert (value != before[path]).all()


def test_a_norm_of_zero_is_no_limit():
    assert make_optimizer(Optimizer(), 0.01, clip_norm=0.0).global_clipnorm is None


def test_the_schema_knows_every_optimizer_of_keras():
    wrappers = {"Optimizer", "LossScaleOptimizer", "MultiOptimizer", "OptimizerMap"}
    keras_names = {
        name
        for name, value in vars(keras.optimizers).items()
        if isinstance(value, type) and name not in wrappers
    }
    assert {optimizer_class(name).__name__ for name in OPTIMIZERS} == keras_names


def test_its_own_arguments_arrive():
    optimizer = make_optimizer(Optimizer(name="sgd", momentum=0.9, nesterov=True), 0.1)
    assert (optimizer.momentum, optimizer.nesterov) == (0.9, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"momentun": 0.9}, r'"sgd" has no argument momentun. Did you mean "momentum"\? It has'),
        ({"learning_rate": 0.1}, "learning_rate belongs in the stage"),
        ({"weight_decay": 0.1}, "weight_decay belongs in the stage"),
        ({"momentum": 7}, r'optimizer "sgd": .*momentum'),
    ],
)
def test_a_wrong_argument_is_the_users_fault(arguments, message):
    with pytest.raises(InputError, match=message):
        make_optimizer(Optimizer(name="sgd", **arguments), 0.1)


def apply(optimizer, model, gradients):
    """One step with these gradients, as Keras's own training step takes it."""
    optimizer.build(model.trainable_variables)
    with no_grad():
        optimizer.apply(gradients)


def no_grad():
    if keras.config.backend() != "torch":
        return nullcontext()
    import torch

    return torch.no_grad()


def decayed(name, arguments=None, **options):
    """The share by which one step without gradients shortens each variable."""
    model = make_model()
    for variable in model.trainable_variables:
        variable.assign(ops.ones(variable.shape))
    adams = {"exclude_layers": ["last"]} if name == "muon" else {}  # it leaves some to Adam
    chosen = Optimizer(name=name, **adams, **(arguments or {}))
    optimizer = make_optimizer(chosen, 0.1, **options)
    apply(optimizer, model, [ops.zeros(v.shape) for v in model.trainable_variables])
    return {path: float(1 - value.mean()) for path, value in values(model).items()}


@pytest.mark.parametrize("factors", [None, {"last/kernel": 0.5}])
@pytest.mark.parametrize("name", ["sgd", "adamw", "muon"])
def test_weight_decay_spares_biases_and_normalisation(name, factors):
    factor = 0.5 if factors else 1.0
    assert decayed(name, weight_decay=0.5, factors=factors) == pytest.approx(
        {
            "bias_beta_gamma/kernel": 0.05,
            "bias_beta_gamma/bias": 0,
            "norm/gamma": 0,
            "norm/beta": 0,
            "last/kernel": 0.05 * factor,
            "last/bias": 0,
        },
        abs=1e-6,
    )


@pytest.mark.parametrize("weight_decay", [0.0, 0.2])
def test_the_decay_of_what_muon_leaves_to_adam_is_its_own_and_is_scaled_too(weight_decay):
    factors = {"bias_beta_gamma/kernel": 0.5, "last/kernel": 0.5}
    options = {"arguments": {"adam_weight_decay": 0.5}, "weight_decay": weight_decay}
    for scale, share in ((None, 1.0), (factors, 0.5)):
        shares = decayed("muon", factors=scale, **options)
        assert shares["last/kernel"] == pytest.approx(0.05 * share, abs=1e-6)  # by Adam
        own = shares["bias_beta_gamma/kernel"]
        assert own == pytest.approx(0.1 * weight_decay * share, abs=1e-6)


@pytest.mark.parametrize("name", ["adam", "adamw", "muon"])
def test_weight_decay_of_zero_is_none(name):
    assert set(decayed(name, weight_decay=0.0).values()) == {0.0}


FACTORS = {"bias_beta_gamma/kernel": 0.25, "norm/gamma": 0.5, "last/bias": 0.0}


@cache
def plain_step(name):
    return step(make_optimizer(Optimizer(name=name), 0.01, weight_decay=0.1))


def scaled_optimizer(name):
    return make_optimizer(Optimizer(name=name), 0.01, weight_decay=0.1, factors=FACTORS)


@pytest.mark.parametrize(
    "name", ["sgd", "adamw", *(pytest.param(n, marks=pytest.mark.long) for n in ("adam", "nadam"))]
)
def test_a_factor_shortens_the_update_and_nothing_else(name):
    assert_shortened(step(scaled_optimizer(name)), plain_step(name))


def test_factors_hold_inside_of_what_mixed_float16_puts_around_the_optimizer():
    wrapped = keras.optimizers.LossScaleOptimizer(scaled_optimizer("adam"))
    assert_shortened(step(wrapped), plain_step("adam"))


def assert_shortened(scaled, plain):
    for path, update in plain.items():
        assert (update != 0).any()
        expected = FACTORS.get(path, 1.0) * update
        np.testing.assert_allclose(scaled[path], expected, rtol=1e-3, atol=3e-7)


def test_factors_follow_a_schedule():
    """The factor multiplies what the schedule gives, at every step."""

    def after_two_steps(factors):
        schedule = keras.optimizers.schedules.PiecewiseConstantDecay([0], [0.1, 0.001])
        optimizer = make_optimizer(Optimizer(name="sgd"), schedule, factors=factors)
        optimizer.build([variable := keras.Variable(np.zeros(2, "float32"), name="v")])
        with no_grad():
            for _ in range(2):
                optimizer.apply([ops.ones(2)])
        return ops.convert_to_numpy(variable.value), variable.path

    plain, path = after_two_steps(None)
    np.testing.assert_allclose(plain, -0.101, rtol=1e-5)
    np.testing.assert_allclose(after_two_steps({path: 0.5})[0], plain / 2, rtol=1e-5)


def test_averaged_weights_are_refused():
    with pytest.raises(InputError, match="use_ema is not supported"):
        make_optimizer(Optimizer(name="adam", use_ema=True), 1e-3)


@pytest.mark.parametrize("name", ["sgd", pytest.param("adamw", marks=pytest.mark.long)])
def test_the_moving_average_of_the_weights_is_put_for_a_while(name):
    def trained(steps, decay=None):
        model = make_model()
        optimizer = make_optimizer(Optimizer(name=name), 0.1, ema_decay=decay)
        model.compile(optimizer, loss="mse", jit_compile=jit_compile())
        model.fit(INPUTS, TARGETS, epochs=steps, batch_size=len(INPUTS), verbose=0)
        return model

    path = [values(trained(steps)) for steps in (1, 2, 3)]
    expected = {
        key: 0.49 * path[0][key] + 0.21 * path[1][key] + 0.3 * path[2][key] for key in path[0]
    }
    model = trained(3, decay=0.7)
    for _ in range(2):
        with averaged(model.optimizer):
            for key, value in values(model).items():
                np.testing.assert_allclose(value, expected[key], atol=1e-5)
        for key, value in values(model).items():  # neither the end of `fit` nor a look changes them
            np.testing.assert_allclose(value, path[2][key], atol=1e-6)


def test_without_a_moving_average_the_weights_stay():
    model = make_model()
    model.compile(make_optimizer(Optimizer(), 0.1), loss="mse")
    before = values(model)
    with averaged(model.optimizer):
        for key, value in values(model).items():
            np.testing.assert_array_equal(value, before[key])
