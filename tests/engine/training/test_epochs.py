"""The loop over a stage's epochs, seen from the callback of Keras's `fit`."""

from types import SimpleNamespace

import keras
import pytest

from kerascnn.engine.training.epochs import Loop
from kerascnn.engine.training.listener import Listener

STEPS = 4


@pytest.fixture
def told():
    return []


@pytest.fixture
def span(told):
    inputs = SimpleNamespace(
        trainer=SimpleNamespace(steps_per_execution=1, stop_training=False),
        feed=SimpleNamespace(steps=STEPS),
    )
    progress = SimpleNamespace(step=0)
    listener = Listener(step=lambda done, total: told.append((done, total)))
    loop = Loop(None, inputs, keras.callbacks.Callback(), progress, listener, None, None)
    return loop._span()


def test_steps_whose_ends_are_told_out_of_order_are_counted_upwards(span, told):
    """On JAX, Keras tells of several steps from several threads."""
    for batch in (1, 0, 3, 2):
        span.on_train_batch_end(batch, {"loss": 0.5})
    assert told == [(2, STEPS), (4, STEPS)]
    assert span.broken is None


def test_the_first_broken_step_is_named_whichever_is_told_first(span):
    for batch in (2, 0, 3, 1):
        span.on_train_batch_end(batch, {"loss": float("nan")})
    assert span.broken == 1
