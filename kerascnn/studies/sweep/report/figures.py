"""The figures of a sweep: history, slices, importance, learning curves."""

from collections.abc import Sequence
from itertools import accumulate
from math import isfinite
from typing import Any

import numpy as np
from markupsafe import Markup

from kerascnn.results.page import BLUE, ORANGE, style, svg
from kerascnn.results.report.figures import NARROW, WIDE
from kerascnn.studies.sweep.report.labels import metric_name, short_keys, short_label
from kerascnn.studies.sweep.report.scales import Scale, frame, scale_of
from kerascnn.studies.sweep.report.verdict import ranked, standing
from kerascnn.studies.sweep.result import SweepResult, Trial

COLOURS = {"best": ORANGE, "not told apart": BLUE}
"""Colours of trials by their standing; the others are grey."""

CROWD = 60  # trials; of more, only the best ones have intervals
ROOM = 18  # characters of labels below a slice on a desktop
JITTER = 0.5  # of the width of a category


def looks(result: SweepResult, trial: Trial) -> dict[str, Any]:
    """The colour of a trial; of many trials the others are fainter."""
    if colour := COLOURS.get(standing(result, trial)):
        return {"color": colour}
    faint = min(1.0, (CROWD / max(1, len(result.trials))) ** 0.5)
    return {"color": "black", "alpha": faint * (0.55 if trial.state == "complete" else 0.35)}


def drawn(result: SweepResult) -> list[Trial]:
    """The trials that have a value, the best last: it is drawn on top."""
    known = [trial for trial in ranked(result) if trial.value is not None]
    return [trial for trial in reversed(known) if isfinite(trial.value or 0)]


def history(result: SweepResult, wide: bool) -> Markup | None:
    """The value of every trial in the order in which they ended, and the best so far."""
    from kerascnn.results.canvas import Figure

    trials = drawn(result)
    if not trials:
        return None
    with style():
        figure = Figure(figsize=(WIDE, 3.0) if wide else (NARROW, 2.8))
        axes = figure.subplots()
        ended = sorted(trials, key=lambda trial: (trial.ended, trial.number))
        places = {trial.number: float(place) for place, trial in enumerate(ended, 1)}
        _points(axes, result, places)
        complete = [trial for trial in ended if trial.state == "complete"]
        if len(complete) > 1:
            best = max if result.greater_is_better else min
            so_far = [*accumulate((trial.value or 0.0 for trial in complete), best)]
            across = [*(places[trial.number] for trial in complete), len(ended)]
            line = {"color": ORANGE, "lw": 1, "alpha": 0.8}
            axes.step(across, [*so_far, so_far[-1]], where="post", **line)
        axes.set(xlabel="trials, in the order in which they ended", ylabel=metric_name(result))
        _whole_numbers(axes)
        return svg(figure, f"{metric_name(result)} of every trial, and the best so far")


def _whole_numbers(axes: Any) -> None:
    axes.xaxis.get_major_locator().set_params(integer=True)


def slices(result: SweepResult, wide: bool) -> Markup | None:
    """The value of every trial by each key."""
    from kerascnn.results.canvas import Figure

    keys = [key for key in result.space if any(key in trial.params for trial in drawn(result))]
    if not keys:
        return None
    with style():
        columns = min(len(keys), 4 if wide else 2)
        rows = -(-len(keys) // columns)
        width = min(3.6 * columns, WIDE) if wide else NARROW
        figure = Figure(figsize=(width, 0.3 + 2.5 * rows))
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
        for axes in grid.flat[len(keys) :]:
            axes.set_visible(False)
        names, room = short_keys(result.space), ROOM if wide else 2 * ROOM // 3
        for axes, key in zip(grid.flat, keys, strict=False):
            _slice(axes, result, key, room)
            axes.set_title(short_label(names[key]), parse_math=False)
        for axes in grid[:, 0]:
            axes.set_ylabel(metric_name(result))
        return svg(figure, f"{metric_name(result)} by the value of each key")


def _slice(axes: Any, result: SweepResult, key: str, room: int) -> None:
    """One key; `room` limits the characters of its labels."""
    scale = scale_of(result, key)
    _points(
        axes,
        result,
        {
            trial.number: scale.place(trial.params[key]) + jitter(scale, trial)
            for trial in drawn(result)
            if key in trial.params
        },
    )
    places, labels = zip(*scale.ticks, strict=True)
    crowded = sum(map(len, labels)) > room
    if crowded and scale.ends:
        places, labels = (places[0], places[-1]), (labels[0], labels[-1])
    turned: dict[str, Any] = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(places, labels, fontsize=8, **(turned if crowded and not scale.ends else {}))
    axes.set_xlim(-0.06, 1.06)


def jitter(scale: Scale, trial: Trial) -> float:
    """Keeps the trials of one category apart: the golden ratio spreads any number of them."""
    if scale.ends is not None:
        return 0.0
    return JITTER * (trial.number * 0.618034 % 1 - 0.5) / len(scale.labels)


def _points(axes: Any, result: SweepResult, places: dict[int, float]) -> None:
    """The value of each trial at its place; one that is far worse is a triangle at the edge."""
    low, high = value_frame(result)
    axes.set_ylim(low, high)
    groups = dict[tuple[str, int, str, float], list[Trial]]()
    for trial in drawn(result):
        if trial.number in places:
            groups.setdefault(_mark(result, trial, low, high), []).append(trial)
    for (shape, size, colour, alpha), trials in groups.items():
        across = [places[trial.number] for trial in trials]
        values = np.clip([trial.value or 0.0 for trial in trials], low, high)
        kind = {"color": colour, "alpha": alpha}
        axes.plot(across, values, shape, ms=size, clip_on=False, **kind)
        bounded = [trial.interval for trial in trials if trial.interval]
        crowded = len(result.trials) > CROWD and colour not in COLOURS.values()
        if shape == "o" and len(bounded) == len(trials) and not crowded:
            bottoms, tops = np.clip(np.array(bounded).T, low, high)
            axes.vlines(across, bottoms, tops, lw=1, color=colour, alpha=0.5 * alpha)


def _mark(
    result: SweepResult, trial: Trial, low: float, high: float
) -> tuple[str, int, str, float]:
    """The shape, size, colour and opacity of a trial."""
    value, colour = trial.value or 0.0, looks(result, trial)
    shape = "o" if trial.state == "complete" else "x"
    if not low <= value <= high:
        shape = "v" if value < low else "^"
    size = 6 if standing(result, trial) == "best" else 4
    return shape, size, colour["color"], colour.get("alpha", 1.0)


def value_frame(result: SweepResult) -> tuple[float, float]:
    """The range of values that is worth drawing, with the intervals of the best trials."""
    values = [trial.value for trial in result.trials if trial.value is not None]
    low, high = frame(values, result.greater_is_better) or (0.0, 1.0)
    alike = {*result.not_told_apart, *([result.best.number] if result.best else [])}
    bounds = [one.interval for one in result.trials if one.interval and one.number in alike]
    margin = 0.02 * (high - low)
    return (
        min([low, *(bound[0] - margin for bound in bounds)]),
        max([high, *(bound[1] + margin for bound in bounds)]),
    )


def importance(result: SweepResult, wide: bool) -> Markup | None:
    """The share of each key in the differences between trials."""
    from kerascnn.results.canvas import Figure

    if not result.importance:
        return None
    shares = sorted(result.importance.items(), key=lambda pair: -pair[1])
    names = short_keys(result.space)
    with style():
        figure = Figure(figsize=(0.6 * WIDE if wide else NARROW, 0.6 + 0.28 * len(shares)))
        axes = figure.subplots()
        rows = range(len(shares))
        axes.barh(rows, [share for _, share in shares], height=0.6, color=BLUE)
        for row, (_, share) in enumerate(shares):
            axes.text(share, row, f" {share:.0%}", va="center")
        axes.set_yticks(rows, [short_label(names.get(key, key)) for key, _ in shares])
        axes.invert_yaxis()
        axes.set_xlim(0, 1.15 * shares[0][1] or 1)
        axes.set_xticks([])
        axes.grid(visible=False)
        axes.spines[["left", "bottom"]].set_visible(False)
        return svg(figure, "importance of each key")


def curves(result: SweepResult, wide: bool) -> Markup | None:
    """The metric after each epoch; a pruned trial ends where it was pruned."""
    from kerascnn.results.canvas import Figure

    trials = [trial for trial in reversed(ranked(result)) if len(trial.history) > 1]
    if not trials:
        return None
    with style():
        figure = Figure(figsize=(WIDE, 3.4) if wide else (NARROW, 3.2))
        axes = figure.subplots()
        for trial in trials:
            _curve(axes, trial, looks(result, trial))
        values = _later([trial.history for trial in trials])
        axes.set_ylim(*(frame(values, result.greater_is_better) or (0.0, 1.0)))
        axes.set(xlabel="epoch, over all stages", ylabel=metric_name(result))
        _whole_numbers(axes)
        return svg(figure, f"{metric_name(result)} after each epoch of every trial")


def _curve(axes: Any, trial: Trial, colour: dict[str, Any]) -> None:
    epochs = range(1, len(trial.history) + 1)
    axes.plot(epochs, trial.history, lw=1.8 if "alpha" not in colour else 0.9, **colour)
    if trial.state == "pruned":
        axes.plot(epochs[-1], trial.history[-1], "x", ms=5, **colour)


def _later(histories: Sequence[Sequence[float]]) -> list[float]:
    """All values but those of the first epoch, which are often far from the others."""
    return [value for values in histories for value in values[1:]]
