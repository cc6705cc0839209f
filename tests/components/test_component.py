"""Components: their parameters, what they build, and the key of their code."""

import sys

import pytest
from authoring import GOOD, HOOK, IMPORTS

from kerascnn import InputError, PluginError, RunError, Weights
from kerascnn.components.kinds import HOOKS, KINDS
from kerascnn.components.registry import load_registry
from kerascnn.experiment.bound import bind_experiment


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


FILED = (
    IMPORTS
    + """
from pathlib import Path


class Filed(Params):
    policy: Path
    operations: frozenset[str] = frozenset()
"""
    + HOOK.format(listed='[Component("filed", print, Filed)]')
)


def test_the_content_of_a_file_that_a_parameter_names_counts(install, tmp_path):
    install("kerascnn-filed", FILED)
    filed, policy = load_registry().get("schedule", "filed"), tmp_path / "policy.json"
    given, keys = {"policy": str(policy), "operations": ["flip", "turn", "zoom"]}, []
    for text in ("1", "2", "1"):
        policy.write_text(text)
        keys.append(filed.bind(given).key)
    assert keys[0] == keys[2] != keys[1]
    assert filed.bind({**given, "operations": ["zoom", "turn", "flip"]}).key == keys[0]


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
    line = PICKY.splitlines().index('    raise OSError("disk full")') + 1
    with pytest.raises(PluginError) as caught:
        bound.build(peak_learning_rate=1, steps=1, steps_per_epoch=1)
    assert str(caught.value) == (
        'schedule "picky" of kerascnn-picky 1.0 failed in build(params, peak_learning_rate=1, '
        f"steps=1, steps_per_epoch=1): OSError: disk full (kerascnn_picky.py, line {line})"
    )


@pytest.mark.parametrize(
    ("imported", "advice"), [("far_away.layers", True), ("kerascnn_lacking.layers", False)]
)
def test_a_package_that_is_not_installed_is_named(install, imported, advice):
    build = f"def build(params, **context):\n    import {imported}\n"
    install("kerascnn-lacking", IMPORTS + build + HOOK.format(listed='[Component("far", build)]'))
    bound = load_registry().get("schedule", "far").bind({})
    with pytest.raises(PluginError, match="ModuleNotFoundError") as caught:
        bound.build(peak_learning_rate=1, steps=1, steps_per_epoch=1)
    assert ("Install the package that has the module far_away" in str(caught.value)) is advice
    assert ("Install" in str(caught.value)) is advice


CHECKED = IMPORTS + HOOK.format(
    listed='[Component("checked", print, check=lambda params, **context: params.no_such)]'
)


def test_a_check_that_raises_names_the_package(install):
    install("kerascnn-checked", CHECKED)
    bound = load_registry().get("schedule", "checked").bind({})
    with pytest.raises(PluginError, match=r"failed in its check: .*\(kerascnn_checked.py, line "):
        bound.faults(image_size=8)


DESCRIBED = """
from kerascnn import Component, Params, Weights, hookimpl


class Chosen(Params):
    weights: str = "published"


def weights(params, *, image_size):
    {body}


@hookimpl
def kerascnn_architectures():
    return [Component("chosen", print, Chosen{describes})]
"""


@pytest.mark.parametrize(
    ("describes", "params", "expected"),
    [
        (", weights=weights", {}, Weights("nowhere", "MIT", "ImageNet-1k", 224, at_hand=True)),
        (", weights=weights", {"weights": "none"}, None),
        ("", {}, Weights("published")),
        ("", {"weights": __file__}, Weights(__file__, at_hand=True)),
        ("", {"weights": "none"}, None),
    ],
)
def test_pretrained_weights_are_described_by_the_component_or_named(
    install, describes, params, expected
):
    made = 'Weights("nowhere", "MIT", "ImageNet-1k", image_size, at_hand=True)'
    body = f'return {made} if params.weights != "none" else None'
    install("kerascnn-chosen", DESCRIBED.format(body=body, describes=describes))
    assert load_registry().get("architecture", "chosen").bind(params).weights(224) == expected


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return 'ImageNet'", r"weights must return kerascnn\.Weights or None, not str\."),
        ("raise OSError('gone')", r"failed in its weights: OSError: gone \(kerascnn_chosen.py, "),
    ],
)
def test_a_description_of_weights_that_fails_names_the_package(install, body, said):
    install("kerascnn-chosen", DESCRIBED.format(body=body, describes=", weights=weights"))
    registry = load_registry()
    with pytest.raises(PluginError, match=rf"kerascnn-chosen 1\.0.*{said}"):
        registry.get("architecture", "chosen").weights(224)
    assert "chosen" not in [bound.name for bound in registry.at_hand(224)]


def test_what_a_component_made_names_the_package(install):
    install("kerascnn-gentle", GOOD)
    registered = load_registry().get("schedule", "gentle")
    guarded = registered.guarded(lambda key: {}[key], "in its call")
    with pytest.raises(
        PluginError, match=r'"gentle" of kerascnn-gentle 1.0 failed in its call: Ke'
    ):
        guarded("rate")


@pytest.mark.parametrize("error", [InputError("no"), RunError("no"), MemoryError()])
def test_a_message_for_the_user_and_a_lack_of_memory_are_passed_on(install, error):
    install("kerascnn-gentle", GOOD)
    with pytest.raises(type(error)) as caught, load_registry().get("schedule", "gentle").blamed(""):
        raise error
    assert caught.value is error


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
    "loss": "keras.losses.Loss",
}


@pytest.mark.parametrize(("kind", "expected"), RIGHT.items())
def test_a_build_that_returns_something_else_is_named(
    install, workplace, shapes_file, run_cli, kind, expected
):
    install("kerascnn-wrong", WRONG)
    key = kind if KINDS[kind].of_experiment else f"stages.0.{kind}"
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
