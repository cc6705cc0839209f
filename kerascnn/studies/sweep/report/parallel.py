"""Parallel coordinates: one line per trial across an axis for each key and one for the value."""

import re
from typing import Any

import numpy as np
from markupsafe import Markup

from kerascnn.results.page import style, svg
from kerascnn.results.report.figures import NARROW, WIDE
from kerascnn.studies.sweep.report.figures import drawn, jitter, looks
from kerascnn.studies.sweep.report.labels import metric_name, short_keys, short_label
from kerascnn.studies.sweep.report.scales import Scale, frame, scale_of, ticks
from kerascnn.studies.sweep.result import SweepResult, Trial

VALUE = ""  # the axis of the value, beside those of the keys
MOST = 12  # labels of an axis


def parallel(result: SweepResult, wide: bool) -> Markup | None:
    """Axes side by side, or on a phone below each other; None with fewer than two keys."""
    from kerascnn.results.canvas import Figure

    trials = drawn(result)
    keys = [key for key in result.space if any(key in trial.params for trial in trials)]
    if len(keys) < 2 or len(trials) < 2:
        return None
    scales = {key: scale_of(result, key) for key in keys} | {VALUE: _value_scale(result)}
    names = {**short_keys(result.space), VALUE: metric_name(result)}
    with style():
        figure = Figure(figsize=(WIDE, 3.8) if wide else (NARROW, 0.62 * len(scales) + 0.5))
        axes = figure.subplots()
        axes.set_axis_off()
        for row, (key, scale) in enumerate(scales.items()):
            _axis(axes, row, names[key], scale, wide)
        for trial in trials:
            places = [_place(scale, trial, key) for key, scale in scales.items()]
            across, along = np.arange(len(scales)), np.array(places)
            best = "alpha" not in (colour := looks(result, trial))
            line = (across, along) if wide else (along, -across)
            axes.plot(*line, lw=1.6 if best else 0.8, **colour)
        _limits(axes, len(scales), wide)
        return svg(figure, "the settings of every trial and its value, as parallel coordinates")


def _value_scale(result: SweepResult) -> Scale:
    values = [trial.value for trial in drawn(result)]
    low, high = frame(values, result.greater_is_better) or (0.0, 1.0)
    return Scale((low, high), False, tuple(ticks(low, high, log=False)))


def _place(scale: Scale, trial: Trial, key: str) -> float:
    if key == VALUE:
        return float(np.clip(scale.place(trial.value), 0, 1))
    return scale.place(trial.params[key]) + jitter(scale, trial) if key in trial.params else np.nan


def _axis(axes: Any, row: int, name: str, scale: Scale, wide: bool) -> None:
    """A line with its name and labels."""
    ends = ([row, row], [0, 1]) if wide else ([0, 1], [-row, -row])
    axes.plot(*ends, color="black", lw=0.8, alpha=0.6)
    ticks = scale.ticks[:: -(-len(scale.ticks) // (MOST if wide else 4))]
    if wide:
        title = _wrapped(short_label(name))
        axes.text(row, 1.06, title, ha="center", va="bottom")
        for place, label in ticks:
            axes.text(row + 0.04, place, label, va="center", fontsize=7.5, alpha=0.8)
        return
    axes.text(0, -row + 0.12, short_label(name), va="bottom", fontsize=8)
    for place, label in ticks:
        axes.text(place, -row - 0.1, label, ha="center", va="top", fontsize=7, alpha=0.8)


def _wrapped(name: str) -> str:
    """A name on lines of at most 14 characters, broken after dots and underscores."""
    lines = [""]
    for part in re.split(r"(?<=[._ ])", name):
        if lines[-1] and len(lines[-1] + part) > 14:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.strip() for line in lines)


def _limits(axes: Any, count: int, wide: bool) -> None:
    if wide:
        axes.set(xlim=(-0.3, count - 0.6), ylim=(-0.05, 1.05))
    else:
        axes.set(xlim=(-0.06, 1.06), ylim=(-count + 0.55, 0.5))
