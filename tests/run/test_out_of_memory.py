"""A stage that runs out of memory goes on in smaller micro-batches; the backend's error is real."""

import tomllib

import numpy as np
import pytest
from hungry import BACKEND, registry_with_hungry
from two_stages import outcome_of, two_stages

from kerascnn import RunError, run_experiment
from kerascnn.engine.observer import Only
from kerascnn.experiment.bound import bind_experiment

BATCH = 16
REST = 'loss = "hungry"\nbatchnorm = "frozen"\n'


@pytest.fixture(scope="module")
def place(shared_workplace, without_reports):
    return shared_workplace


def trained(most, spared=0, rest="", **observed):
    """A run whose second stage has memory for so many images at once."""
    data = tomllib.loads(two_stages("memory", "checkpoint_seconds = 0", rest=REST + rest))
    return run_experiment(
        bind_experiment(data, registry_with_hungry(most, spared)), Only(**observed), fresh=True
    )


def outcome(result):
    return outcome_of(result.stages, result.history, result.test)


@pytest.fixture(scope="module")
def enough(place):
    return trained(BATCH)


@pytest.mark.backend
@pytest.mark.long  # takes three runs
def test_the_run_goes_on_as_if_the_micro_batches_had_been_asked_for(place, enough):
    said, resumed = [], []
    short = trained(
        BATCH // 4, warned=said.append, resumed=lambda stage, *where: resumed.append(stage.name)
    )
    assert [stage.get("gradient_accumulation") for stage in short.stages] == [None, 4]
    assert resumed == ["rest", "rest"]
    first, second = (one for one in said if "out of memory" in one)
    assert first == (
        'stage "rest": out of memory at 16 images at once; training continues from the last '
        "checkpoint with gradient_accumulation = 2, which takes the same steps of 16 images up to "
        "rounding."
    )
    assert "at 8 images at once" in second
    assert any("trained with gradient_accumulation = 4 instead of 1" in one for one in short.notes)
    assert outcome(short) == outcome(trained(BATCH, rest="gradient_accumulation = 4"))
    losses = [[epoch["train_loss"] for epoch in run.history] for run in (enough, short)]
    np.testing.assert_allclose(*losses, rtol=1e-3)  # with Adam


@pytest.mark.skipif(BACKEND != "torch", reason="the others trace the loss")
@pytest.mark.backend
def test_in_the_midst_of_a_stage_it_goes_back_to_the_last_step(place, enough):
    resumed = []
    short = trained(8, 2 + 4, resumed=lambda stage, *where: resumed.append((stage.name, *where)))
    assert resumed == [("rest", 1, 1)]
    assert short.history[2]["train_loss"] == enough.history[2]["train_loss"]


@pytest.mark.long  # takes a run
def test_a_network_that_is_too_large_fails_with_what_to_do(place):
    with pytest.raises(
        RunError, match=r"gradient_accumulation = 16 \(1 image at once\).*image_size"
    ):
        trained(0, 1)  # the loss is tried once before training
