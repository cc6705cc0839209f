"""`batch_size = "auto"`: what trains on the device, measured once."""

import tomllib

import pytest
from hungry import registry_with_hungry
from two_stages import two_stages

from kerascnn.components.registry import load_registry
from kerascnn.engine.observer import Observer, Only
from kerascnn.engine.prepare import prepare_experiment
from kerascnn.engine.training import batch_size, memory
from kerascnn.experiment.bound import bind_experiment
from kerascnn.run.stages.keys import stage_keys


@pytest.fixture(scope="module")
def place(shared_workplace):
    return shared_workplace


def prepared(size='"auto"', rest="", registry=None, observer=None):
    text = two_stages("auto", rest=rest).replace("train = 48", "train = 180")
    data = tomllib.loads(text.replace("batch_size = 16", f"batch_size = {size}"))
    experiment = bind_experiment(data, registry or load_registry())
    return prepare_experiment(experiment, observer or Observer())


def size_of(prepared):
    assert {plan.batch_size for plan in prepared.plans} == {prepared.experiment.training.batch_size}
    return prepared.experiment.resolved["training"]["batch_size"]


@pytest.mark.backend
def test_an_epoch_keeps_ten_steps_and_the_size_is_measured_once(place, monkeypatch):
    tried = []
    monkeypatch.setattr(batch_size, "memory_bytes", lambda *sizes: tried.append(sizes[2]) or 0)
    progress = []
    observer = Only(progress=lambda what, *done: progress.append((what, *done)))
    first = prepared(observer=observer)
    assert size_of(first) == 16  # of 180 images
    assert tried == [18, 18]  # in each stage, with a margin
    assert progress[-1] == ("measuring the batch size", 6, 6)
    assert size_of(prepared()) == 16
    assert tried == [18, 18]
    # nothing is left of the trials: it trains as with the number itself
    assert list(stage_keys(first)) == list(stage_keys(prepared(16)))


@pytest.mark.backend
@pytest.mark.long  # several trials, of which some run out of memory
def test_the_largest_that_trains_is_taken(place):
    registry = registry_with_hungry(9)  # of the trials, that of 8 and a margin of 1
    assert size_of(prepared(rest='loss = "hungry"', registry=registry)) == 8


def test_on_a_cpu_nothing_is_tried_beyond_the_memory_that_is_free(place, monkeypatch):
    monkeypatch.setattr(batch_size, "free_bytes", lambda devices: 2e5)
    monkeypatch.setattr(batch_size, "memory_bytes", lambda model, suffix, rows: 3e4 * rows)
    another = prepared(rest='optimizer = "adamw"')
    assert size_of(another) == 4  # with a margin 5; 9 would take too much


def test_this_machine_has_free_memory():
    assert 0 < memory.free_bytes(2) < memory.free_bytes(1)
