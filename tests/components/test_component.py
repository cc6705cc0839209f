"""Components: their parameters, what they build, and the key of their code."""

import sys

import pytest

from kerascnn import InputError, PluginError
from kerascnn.components.kinds import HOOKS
from kerascnn.components.registry import load_registry
from kerascnn.experiment.bound import bind_experiment

IMPORTS = "from kerascnn import Component, NoParams, Params, hookimpl\n"
HOOK = f"""{IMPORTS}
@hookimpl


def kerascnn_schedules():
    return {{listed}}
"""
GOOD = HOOK.format(listed='[Component("gentle", lambda params, **context: None)]')


def test_changed_code_below_a_plugin_is_other_code(install, tmp_path):
    install("kerascnn-deep", "", ["deep = deep"])
    package = tmp_path / "kerascnn-deep" / "deep"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").write_text(GOOD)
    keys = set()
    for rate in ("0.1", "0.2"):
        (package / "inner" / "rates.py").write_text(f"RATE = {rate}")
        keys.add(load_registry().get("schedule", "gentle").bind({}).key)
    sys.modules.pop("deep")
    assert len(keys) == 2


PICKY = (
    IMPORTS
    + """
from pydantic import Field, field_validator


class Picky(Params):
    rate: float
    steps: tuple[int, ...] = (1,)
    kind: int | str = 1

    @field_validator("rate")
    def _check(cls, rate):
        return {2.0: rate}[rate]


def build(params, **context):
    raise OSError("disk full")
"""
    + HOOK.format(listed='[Component("picky", build, Picky)]')
)


def test_a_build_that_raises_names_the_package(install):
    install("kerascnn-picky", PICKY)
    bound = load_registry().get("schedule", "picky").bind({"rate": 2, "steps": [1, 2]})
    assert bound.params.steps == (1, 2)
    with pytest.raises(PluginError) as caught:
        bound.build(peak_learning_rate=1, steps=1, steps_per_epoch=1)
    assert str(caught.value) == (
        'schedule "picky" of kerascnn-picky 1.0 failed in build(params, peak_learning_rate=1, '
        "steps=1, steps_per_epoch=1): OSError: disk full"
    )


def test_a_validator_that_fails_names_the_package(install):
    install("kerascnn-picky", PICKY)
    with pytest.raises(PluginError, match=r"picky 1.0 failed while its parameters were validated"):
        load_registry().get("schedule", "picky").bind({"rate": 3})


def test_parameters_are_not_guessed(install, shapes_experiment):
    install("kerascnn-picky", PICKY)
    wrong = {"name": "picky", "rate": "2", "steps": [True], "kind": 1.5}
    shapes_experiment["stages"][0]["schedule"] = wrong
    with pytest.raises(InputError) as caught:
        bind_experiment(shapes_experiment, load_registry())
    assert str(caught.value).splitlines() == [
        'stages.scratch.schedule.rate = "2": expected a number.',
        "stages.scratch.schedule.steps.0 = true: expected an integer.",
        "stages.scratch.schedule.kind = 1.5: expected an integer or a string.",
    ]


WRONG = IMPORTS + "\n".join(
    f"@hookimpl\ndef {hook}():\n    return [Component('wrong', lambda params, **context: 3)]"
    for hook in HOOKS
)


RIGHT = {
    "dataset": "kerascnn.Splits",
    "augmentation": "kerascnn.Augmentation or kerascnn.HostAugmentation or keras.layers.Layer",
    "architecture": "kerascnn.Network or keras.Model",
    "schedule": "keras.optimizers.schedules.LearningRateSchedule or keras.callbacks.Callback",
}


@pytest.mark.parametrize(("kind", "expected"), RIGHT.items())
def test_a_build_that_returns_something_else_is_named(
    install, workplace, shapes_file, run_cli, kind, expected
):
    install("kerascnn-wrong", WRONG)
    key = "stages.0.schedule" if kind == "schedule" else kind
    ended = run_cli("run", shapes_file, "--set", f"{key}=wrong")
    assert ended.exit_code == 2
    assert ended.stderr.splitlines()[-1] == (
        f'{kind} "wrong" of kerascnn-wrong 1.0: build must return {expected}, not int.'
    )


ALIASED = (
    IMPORTS
    + """
from pydantic import Field


class Aliased(Params):
    lambda_: float = Field(0.5, alias="lambda")
"""
    + HOOK.format(listed='[Component("aliased", print, Aliased)]')
)


def test_a_parameter_with_an_alias_is_recorded_under_the_alias(install, shapes_experiment):
    install("kerascnn-aliased", ALIASED)
    registry = load_registry()
    shapes_experiment["stages"][0]["schedule"] = {"name": "aliased", "lambda": 0.25}
    resolved = bind_experiment(shapes_experiment, registry).resolved
    assert resolved["stages"][0]["schedule"] == {"name": "aliased", "lambda": 0.25}
    assert bind_experiment(resolved, registry).resolved == resolved
