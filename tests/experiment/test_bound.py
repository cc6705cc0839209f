"""An experiment with its components: what it holds, and what other values make of it."""

import pytest

from kerascnn import InputError
from kerascnn.components.kinds import KINDS
from kerascnn.experiment.bound import bind_experiment
from kerascnn.experiment.choices import CHOICES
from kerascnn.run.stages.checkpointer import settings_of


@pytest.fixture
def bound(shapes_experiment, registry):
    stage = {"epochs": 1, "learning_rate": 0.1}
    shapes_experiment["augmentation"] = "light"
    shapes_experiment["stages"] = [
        {"name": "first", **stage},
        {"name": "second", **stage, "augmentation": False, "schedule": "cosine", "batch_size": 4},
    ]
    return bind_experiment(shapes_experiment, registry)


def test_every_kind_that_an_experiment_names_has_a_table():
    assert list(CHOICES) == [name for name, kind in KINDS.items() if kind.in_toml]


def test_a_stage_has_its_own_settings_or_those_of_the_experiment(bound):
    first, second = bound.stages
    assert [first.augmentation.name, first.schedule.name] == ["light", "constant"]
    assert [second.augmentation.name, second.schedule.name] == ["none", "cosine"]
    assert (first.batch_size, second.batch_size) == (bound.training.batch_size, 4)


def test_observers_are_recorded_but_decide_nothing(shapes_experiment, registry):
    alone = bind_experiment(shapes_experiment, registry)
    assert "observers" not in alone.resolved
    table = {"name": "command", "on": ["failed"]}
    observed = bind_experiment(shapes_experiment | {"observers": [table]}, registry)
    assert [observer.name for observer in observed.observers] == ["command"]
    assert observed.resolved["observers"][0].items() >= table.items()
    assert observed.origins.keys() - alone.origins.keys() == {"observer command"}
    assert observed.code_keys == alone.code_keys
    assert settings_of(observed.resolved) == settings_of(alone.resolved)


def test_only_components_that_are_built_have_an_origin_and_a_code_key(bound):
    entropy = "cross_entropy"
    used = ["shapes", "sequential_cnn", "light", "constant", entropy, "none", "cosine", entropy]
    assert [component.name for component in bound.components()] == used
    assert list(bound.origins)[:3] == [
        "dataset shapes",
        "architecture sequential_cnn",
        "augmentation light",
    ]
    assert {origin.split()[0] for origin in bound.origins.values()} == {"kerascnn"}
    assert list(bound.code_keys) == [
        "code of the dataset",
        "code of the architecture",
        "code of the augmentation light",
        "code of the schedule constant",
        "code of the loss cross_entropy",
        "code of the augmentation none",
        "code of the schedule cosine",
    ]
    assert all(len(key) == 64 for key in bound.code_keys.values())


def test_overrides_leave_the_experiment_as_it_was(bound):
    before = bound.resolved
    other = bound.with_overrides({"stages.second.schedule.warmup_fraction": 0.3, "seed": 5})
    assert (other.stages[1].schedule.params.warmup_fraction, other.seed) == (0.3, 5)
    assert bound.resolved == before
    assert bound.with_overrides({}) == bound != other


def test_an_override_at_fault_is_named(bound):
    with pytest.raises(InputError, match=r'^stages.second.epochs = "x": expected an integer'):
        bound.with_overrides({"stages.second.epochs": "x"})
    with pytest.raises(InputError, match=r'stages has no "third"\. It has first, second'):
        bound.with_overrides({"stages.third.epochs": 1})
