"""A callback as a schedule: what it may do to the model, and what it may log."""

from types import SimpleNamespace

import numpy as np
import pytest

from kerascnn import PluginError
from kerascnn.components.component import RegisteredComponent
from kerascnn.components.entry_points import Origin
from kerascnn.engine.training.rate_callback import added, hold
from kerascnn.hookspecs import Component

OF = RegisteredComponent(Component("odd", print), "schedule", Origin("odd", "kerascnn-odd", "1.0"))
KNOWN = {"val_loss": 0.5, "learning_rate": 0.1}


def nothing(*_):
    pass


def held(**methods):
    """A callback and the trainer that it is held to."""
    names = ("train_begin", "train_end", "epoch_begin", "epoch_end")
    names = [f"on_{name}" for name in (*names, "train_batch_begin", "train_batch_end")]
    for name, method in methods.items():
        method.__name__ = name
    callback = SimpleNamespace(**{**dict.fromkeys(names, nothing), **methods})
    trainer = SimpleNamespace(
        _compile_loss=object(), _compile_metrics=object(), optimizer=object(), stop_training=False
    )
    hold(callback, trainer, OF)
    return callback, trainer


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("_compile_loss", "the loss"),
        ("_compile_metrics", "the metrics"),
        ("optimizer", "the optimizer"),
        ("stop_training", "stop_training"),
    ],
)
def test_a_change_of_the_model_is_named(part, said):
    callback, trainer = held(on_epoch_end=lambda *_: setattr(trainer, part, True))
    callback.on_epoch_begin(0)
    with pytest.raises(PluginError) as caught:
        callback.on_epoch_end(0, {})
    start = f'schedule "odd" of kerascnn-odd 1.0: on_epoch_end changed {said} of the model. '
    assert str(caught.value).startswith(start)


def test_what_a_method_raises_names_the_package_and_the_line():
    callback, _ = held(on_train_batch_begin=lambda *_: {}["rate"])
    with pytest.raises(PluginError, match=r"failed in on_train_batch_begin: KeyError: 'rate' \(te"):
        callback.on_train_batch_begin(0)


def test_numbers_are_added_and_the_rate_is_not():
    logs = {**KNOWN, "learning_rate": 0.05, "norm": np.float32(2), "noise/scale": 1}
    assert added(KNOWN, logs, OF) == {"norm": 2.0, "noise/scale": 1.0}


@pytest.mark.parametrize(
    ("logged", "said"),
    [
        ({"note": "good"}, "put note into"),
        ({"norm": np.inf}, "put norm into"),
        ({"sizes": np.zeros(3)}, "put sizes into"),
        ({"epoch": 3}, "put epoch into"),
        ({"a@b": 3}, "put a@b into"),
        ({"val_loss": 0.0}, "changed val_loss in"),
    ],
)
def test_what_cannot_be_a_metric_is_refused(logged, said):
    with pytest.raises(PluginError, match=f"kerascnn-odd 1.0: on_epoch_end {said} the epoch's log"):
        added(KNOWN, {**KNOWN, **logged}, OF)
