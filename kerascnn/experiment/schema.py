"""The JSON Schema of an experiment, with which editors complete and check the file."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from kerascnn.components.registry import Registry
from kerascnn.experiment.choices import CHOICES
from kerascnn.experiment.model import Experiment
from kerascnn.hookspecs import Component

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def make_schema(registry: Registry) -> dict[str, Any]:
    """The JSON Schema of an experiment, with every installed component's own keys."""
    params = (registered.component.params for registered in registry.unique)
    models: set[type[BaseModel]] = {Experiment, *CHOICES.values(), *params}
    references, document = models_json_schema([(model, "validation") for model in models])
    definitions = document["$defs"]

    def key(model: type[BaseModel]) -> str:
        return references[model, "validation"]["$ref"].removeprefix("#/$defs/")

    for kind, choice in CHOICES.items():
        shared = definitions[key(choice)]["properties"]
        own = {name: shared[name] for name in choice.own_keys()}
        tables = [
            _component_schema(
                registered.component, definitions[key(registered.component.params)], own
            )
            for registered in registry.of_kind(kind)
        ]
        names = {"type": "string", "enum": [table["title"] for table in tables]}
        definitions[key(choice)] = {"anyOf": [names, *tables]}
    optimizer = definitions["Optimizer"]
    definitions["Optimizer"] = {"anyOf": [optimizer["properties"]["name"], optimizer]}
    return {"$schema": DRAFT, **definitions[key(Experiment)], "$defs": definitions}


def _component_schema(
    component: Component, params: dict[str, Any], own: dict[str, Any]
) -> dict[str, Any]:
    return {
        "type": "object",
        "title": component.name,
        "description": component.summary,
        "properties": {"name": {"const": component.name}, **own, **params.get("properties", {})},
        "required": ["name", *params.get("required", [])],
        "additionalProperties": False,
    }
