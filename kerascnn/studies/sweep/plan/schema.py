"""The JSON Schema of a sweep's file, with which editors complete and check it."""

from typing import Any

from kerascnn.experiment.schema import DRAFT
from kerascnn.studies.sweep.plan.asked import Tried
from kerascnn.studies.sweep.plan.model import Sweep


def make_sweep_schema() -> dict[str, Any]:
    """The JSON Schema of a sweep; the keys of `[space]` are those of its experiment."""
    values = Tried.model_json_schema(by_alias=True)
    inner = {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": {"anyOf": [{"$ref": "#/$defs/Tried"}, {"$ref": "#/$defs/Space"}]},
    }
    document = Sweep.model_json_schema()
    document["properties"]["space"] = {"$ref": "#/$defs/Space"}
    return {"$schema": DRAFT, **document, "$defs": {"Space": inner, "Tried": values}}
