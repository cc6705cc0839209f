"""The metrics that an experiment lists: their names, and the settings that refer to these."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kerascnn.components.component import BoundComponent
from kerascnn.components.registry import Registry
from kerascnn.errors import did_you_mean
from kerascnn.experiment.problems import Problem
from kerascnn.experiment.tables import Location, stage_tables
from kerascnn.experiment.training import BEST_BY

ALWAYS = ("accuracy", "loss")
"""The metrics that every run has."""
UNNAMED = " Only parameters that are numbers, true, false or single words are part of a name."
_WORD = r"[\w.-]+"


def metric_name(bound: BoundComponent) -> str:
    """The name of a metric: its component's, followed by the parameters that are not the default.

    Only numbers, true, false and single words, such as `top_k_3`: the name does not depend on the
    other metrics of the experiment.
    """
    fields = type(bound.params).model_fields
    values = [
        value
        for name, value in bound.params
        if value != fields[name].get_default(call_default_factory=True)
    ]
    words = [str(value) for value in values if isinstance(value, str | int | float)]
    return "_".join([bound.name, *(word for word in words if re.fullmatch(_WORD, word))])


def named(bound: Iterable[BoundComponent]) -> dict[str, BoundComponent]:
    """Metrics by their names."""
    return {metric_name(one): one for one in bound}


def best_by(keep: str) -> str | None:
    """The metric of `training.keep`; None for "best" and "last"."""
    found = re.fullmatch(BEST_BY, keep)
    return found[1] if found else None


def metric_problems(
    data: Mapping[str, Any], at: Mapping[Location, BoundComponent], registry: Registry
) -> Iterator[Problem]:
    """Metrics that cannot be told apart, and settings that name a metric that is not listed.

    Args:
        data: What the TOML holds.
        at: Its metrics, by location.
        registry: The components.
    """
    listed = dict[str, BoundComponent]()
    for location, bound in at.items():
        name = metric_name(bound)
        if name in listed:
            hint = "" if bound.params == listed[name].params else UNNAMED
            yield Problem(location, f'another metric already has the name "{name}"', hint=hint)
        if name == "loss":
            yield Problem(location, 'the name "loss" is that of the cross-entropy')
        listed[name] = bound
    keep = _value(data, "training", "keep")
    if isinstance(keep, str) and (by := best_by(keep)) and by not in listed:
        always = ["best", "last"]
        yield unlisted(("training", "keep"), keep, "best:", always, listed, registry)
    always = [f"val_{name}" for name in ALWAYS]
    known = [*always, *(f"val_{name}" for name in listed)]
    for index, stage in enumerate(stage_tables(dict(data))):
        monitor = _value(stage, "early_stopping", "monitor")
        if isinstance(monitor, str) and monitor not in known:
            location = ("stages", index, "early_stopping", "monitor")
            yield unlisted(location, monitor, "val_", always, listed, registry)


def unlisted(
    location: Location,
    value: str,
    prefix: str,
    always: list[str],
    listed: Mapping[str, BoundComponent],
    registry: Registry,
) -> Problem:
    """The fault of a value that names a metric, "val_NAME" or "best:NAME", that is not listed."""
    name, installed = value.removeprefix(prefix), registry.names("metric")
    known = list(dict.fromkeys([*always, *(f"{prefix}{one}" for one in listed)]))
    *first, last = [f'"{one}"' for one in known]
    expected = f"expected {', '.join(first)} or {last}"
    asked = value.startswith(prefix) and _component_of(name, installed)
    near = [f"{prefix}{one}" for one, bound in listed.items() if bound.name == asked]
    if near:
        hint = did_you_mean(value, near) or did_you_mean(near[0], near)
    elif asked and asked != name:
        hint = f' To have it, add {{ name = "{asked}", … }} with its parameters to metrics.'
    elif asked and listed:
        hint = f' To have it, add "{asked}" to metrics.'
    elif asked:
        hint = f' To have it, add metrics = ["{asked}"] above the first table.'
    else:
        hint = did_you_mean(value, [*known, *(f"{prefix}{one}" for one in installed)])
    return Problem(location, expected, value, hint)


def _component_of(name: str, installed: Iterable[str]) -> str:
    """The component that a metric is named after; "" if there is none."""
    after = [one for one in installed if name == one or name.startswith(f"{one}_")]
    return max(after, key=len, default="")


def _value(data: Mapping[str, Any], table: str, key: str) -> Any:
    inner = data.get(table)
    return inner.get(key) if isinstance(inner, Mapping) else None
