"""What a stage freezes stays as it is, and a breach is noticed."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from kerascnn import RunError
from kerascnn.engine.network.freezing import (
    check_frozen,
    check_optimizer,
    digest,
    frozen_variables,
    read_once,
    set_trainable,
    trainable_layers,
)

pytestmark = pytest.mark.backend
IMAGES = np.random.default_rng(0).normal(size=(4, 6, 6, 3)).astype("float32")


@pytest.fixture
def model():
    inner = keras.Sequential(
        [layers.Conv2D(2, 3, name="conv"), layers.BatchNormalization(name="bn")], name="inner"
    )
    images = keras.Input((6, 6, 3))
    x = layers.BatchNormalization(name="stem_bn")(layers.Conv2D(2, 3, name="stem_conv")(images))
    x = layers.GlobalAveragePooling2D(name="head_pool")(inner(x))
    return keras.Model(images, layers.Dense(2, activation="softmax", name="head_dense")(x))


def statistics(model):
    found = {}
    for layer in (model.get_layer("stem_bn"), model.get_layer("inner").get_layer("bn")):
        found[layer.name] = ops.convert_to_numpy(layer.moving_mean.value).copy()
    return found


def moved(model):
    """The BatchNorm layers whose statistics a step of training changes."""
    before = statistics(model)
    model(IMAGES, training=True)
    return {name for name, mean in statistics(model).items() if (mean != before[name]).any()}


def test_the_named_layers_train_and_no_others(model):
    set_trainable(model, frozenset({"stem_conv", "head_dense", "stem_bn"}), "train")
    assert trainable_layers(model) == ["stem_conv", "stem_bn", "head_dense"]
    set_trainable(model, frozenset({"head_dense"}), "train")
    assert trainable_layers(model) == ["head_dense"]
    assert len(model.trainable_variables) == 2


@pytest.mark.parametrize(
    ("batchnorm", "trained", "moving"),
    [
        ("train", {"stem_bn", "inner"}, {"stem_bn", "bn"}),
        ("train", {"stem_conv", "inner"}, {"bn"}),  # of a frozen layer no statistics move
        ("frozen", {"stem_bn", "inner", "stem_conv"}, set()),
    ],
)
def test_batchnorm_statistics_move_only_where_they_may(model, batchnorm, trained, moving):
    set_trainable(model, frozenset(trained), batchnorm)
    before = digest(frozen_variables(model))
    assert moved(model) == moving
    check_frozen(before, model, "stage")


def test_frozen_batchnorm_has_no_trainable_weights_inside_a_nested_model_either(model):
    set_trainable(model, frozenset({"stem_bn", "inner"}), "frozen")
    assert [v.path.split("/")[-1] for v in model.trainable_variables] == ["kernel", "bias"]
    assert len(frozen_variables(model)) == 2 + 4 + 4 + 2  # stem conv, two BatchNorms, dense


@pytest.mark.parametrize("which", ["kernel", "gamma", "moving_mean", "moving_variance"])
def test_one_bit_of_a_frozen_variable_is_noticed(model, which):
    set_trainable(model, frozenset({"head_dense"}), "frozen")
    before = digest(frozen_variables(model))
    assert digest(frozen_variables(model)) == before
    variable = next(v for v in frozen_variables(model) if v.path.endswith(which))
    value = ops.convert_to_numpy(variable.value).copy()
    value.flat[-1] = np.nextafter(value.flat[-1], np.float32(9))
    variable.assign(value)
    with pytest.raises(RunError, match=r'stage "head": frozen weights'):
        check_frozen(before, model, "head")


def test_training_what_is_trainable_is_no_breach(model):
    set_trainable(model, frozenset({"head_dense"}), "frozen")
    before = digest(frozen_variables(model))
    model.get_layer("head_dense").kernel.assign_add(np.ones((2, 2), "float32"))
    check_frozen(before, model, "head")


def test_within_read_once_a_variable_is_read_once_and_after_it_again(model):
    kernel = model.get_layer("head_dense").kernel
    before = digest(model.weights)
    with read_once():
        assert digest(model.weights) == before
        kernel.assign_add(np.ones((2, 2), "float32"))
        assert digest(model.weights) == before
    assert digest(model.weights) != before


def test_an_optimizer_of_other_variables_is_noticed(model):
    set_trainable(model, frozenset({"head_dense"}), "frozen")
    optimizer = keras.optimizers.SGD()
    optimizer.build(model.trainable_variables)
    check_optimizer(optimizer, model.trainable_variables, "head")
    set_trainable(model, frozenset({"stem_conv", "head_dense"}), "frozen")
    with pytest.raises(RunError, match=r'stage "finetune": .* covers 2 variables, not the 4'):
        check_optimizer(optimizer, model.trainable_variables, "finetune")
    set_trainable(model, frozenset({"stem_conv"}), "frozen")  # as many, but others
    with pytest.raises(RunError):
        check_optimizer(optimizer, model.trainable_variables, "finetune")
