"""The JSON Schema accepts and refuses what kerascnn does."""

import tomllib
from pathlib import Path

import jsonschema
import pytest
from pydantic import create_model

from kerascnn import Component, Params
from kerascnn.components.component import RegisteredComponent
from kerascnn.components.entry_points import Origin
from kerascnn.components.registry import Registry, load_registry
from kerascnn.experiment.bound import bind_experiment
from kerascnn.experiment.choices import CHOICES
from kerascnn.experiment.model import OPTIMIZERS
from kerascnn.experiment.schema import make_schema
from kerascnn.experiment.tables import override
from kerascnn.run.init import recipes
from kerascnn.studies.sweep.plan.schema import make_sweep_schema

GOOD = (Path(__file__).parent / "good.toml").read_text()


@pytest.fixture(scope="module")
def validator():
    document = make_schema(load_registry())
    jsonschema.Draft202012Validator.check_schema(document)
    return jsonschema.Draft202012Validator(document)


def test_the_schema_accepts_what_is_accepted(validator, registry, shapes_experiment):
    pytest.importorskip("kerascnn_efficientnet_lite")
    good = tomllib.loads(GOOD)
    assert validator.is_valid(good)
    assert validator.is_valid(bind_experiment(good, registry).resolved)
    assert validator.is_valid(shapes_experiment)
    for recipe in recipes().values():
        assert not list(validator.iter_errors(tomllib.loads(recipe.read_text()))), recipe


@pytest.mark.parametrize(
    ("key", "value"),
    {
        "sed": 1, "dataset.clases": 1, "dataset": "shape", "architecture.depth": 0,
        "training.bakend": "jax", "stages.0.schedule": "cosin", "stages.0.optimizer": "adm",
        "stages.0.augmentation": 3, "stages.0.unfreeze": "last:0", "stages": [],
        "stages.0.schedule.warm": 1,
    }.items(),
)  # fmt: skip
def test_the_schema_refuses_what_is_refused(validator, key, value):
    data = tomllib.loads(GOOD)
    override(data, key, value)
    assert not validator.is_valid(data)


def test_the_schema_names_every_component_and_its_parameters(registry):
    definitions = make_schema(registry)["$defs"]
    assert definitions["Optimizer"]["anyOf"][0]["enum"] == list(OPTIMIZERS)
    for kind, choice in CHOICES.items():
        names, *tables = definitions[kind.title()]["anyOf"]
        assert names["enum"] == registry.names(kind)
        for registered, table in zip(registry.of_kind(kind), tables, strict=True):
            known = registered.component.params.model_fields
            assert list(table["properties"]) == ["name", *choice.own_keys(), *known]
            assert table["additionalProperties"] is False


def test_parameters_of_one_name_in_two_plugins_keep_apart(registry):
    both = Registry()
    for name, kind in (("one", int), ("two", str)):
        inner = create_model("Inner", __base__=Params, __module__=name, value=(kind, ...))
        params = create_model("Outer", __base__=Params, __module__=name, inner=(inner, ...))
        component = Component(name, print, params)
        both.claims["dataset", name].append(
            RegisteredComponent(component, "dataset", Origin("a", "a", "1"))
        )
    definitions = make_schema(both)["$defs"]
    inner = [
        definitions[table["properties"]["inner"]["$ref"].removeprefix("#/$defs/")]
        for table in definitions["Dataset"]["anyOf"][1:]
    ]
    assert [model["properties"]["value"]["type"] for model in inner] == ["integer", "string"]


SWEEPS = {
    "quoted": {"stages.head.learning_rate": {"from": 1e-4, "to": 1e-2}},
    "nested": {"stages": {"head": {"epochs": {"one_of": [1, 2]}}}},
}


def test_the_schema_of_a_sweep_accepts_and_refuses_what_is_accepted_and_refused():
    document = make_sweep_schema()
    jsonschema.Draft202012Validator.check_schema(document)
    validator = jsonschema.Draft202012Validator(document)
    for space in SWEEPS.values():
        validator.validate({"experiment": "photos.toml", "trials": 5, "space": space})
    rate = SWEEPS["quoted"]
    for wrong in (
        {"space": rate},
        {"experiment": "photos.toml"},
        {"experiment": "photos.toml", "space": rate, "sampler": "tpee"},
        {"experiment": "photos.toml", "space": rate, "trials": 0},
        {"experiment": "photos.toml", "space": {"seed": 3}},
        {"experiment": "photos.toml", "space": {"stages.head.epochs": {"form": 3}}},
    ):
        assert not validator.is_valid(wrong)
