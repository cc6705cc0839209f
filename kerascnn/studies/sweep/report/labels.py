"""How people read the keys and values of a sweep: short, and still told apart."""

from collections.abc import Iterable, Mapping
from typing import Any

from kerascnn.runtime.toml import as_toml
from kerascnn.studies.sweep.plan.asked import of_table
from kerascnn.studies.sweep.plan.values import Choices, Range
from kerascnn.studies.sweep.result import SweepResult

LONGEST = 22  # characters of a label


def metric_name(result: SweepResult) -> str:
    """Such as "validation accuracy"."""
    return f"validation {result.metric.removeprefix('val_')}"


def short_keys(keys: Iterable[str]) -> dict[str, str]:
    """The shortest unambiguous ending of each dotted key; of `architecture.name`, the first part.

    A number, such as that of a stage, never comes first.
    """
    parts = {key: key.removesuffix(".name").split(".") for key in keys}

    def ending(key: str, length: int) -> str:
        return ".".join(parts[key][-length:])

    def short(key: str) -> str:
        for length in range(1, len(parts[key])):
            said = ending(key, length)
            alone = [other for other in parts if ending(other, length) == said] == [key]
            if alone and not said[0].isdigit():
                return said
        return ".".join(parts[key])

    return {key: short(key) for key in parts}


def setting(value: Any) -> str:
    """The value of a key, with three significant digits: 0.00214, true, adamw."""
    if isinstance(value, float):
        return f"{value:.3g}"
    return value if isinstance(value, str) else as_toml(value)


def short_label(value: Any) -> str:
    """A value as a label; of a long one the beginning and the end."""
    text = setting(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 9]}…{text[-8:]}"


def settings(params: Mapping[str, Any], keys: Iterable[str], full: bool = False) -> list[str]:
    """What a trial tried, by short keys, such as "dropout=0.2"; in full, or long values cut."""
    names, said = short_keys(keys), setting if full else short_label
    return [f"{names[key]}={said(params[key])}" for key in names if key in params]


def searched(result: SweepResult) -> dict[str, str]:
    """What was tried of each key, such as "1e-05 to 0.01, logarithmic" or "sgd, adamw"."""
    return {key: _said(values) for key, values in values_tried(result).items()}


def values_tried(result: SweepResult) -> dict[str, Range | Choices]:
    """The range or the choices of each key."""
    return {asked.key: asked.values() for asked in of_table(result.space)}


def _said(values: Range | Choices) -> str:
    if isinstance(values, Choices):
        return ", ".join(map(setting, values.values))
    step = f" in steps of {setting(values.step)}" if values.step else ""
    return f"{setting(values.low)} to {setting(values.high)}{step}{', logarithmic' * values.log}"
