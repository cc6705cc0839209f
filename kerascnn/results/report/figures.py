"""The figures of a report."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from markupsafe import Markup

from kerascnn.results.page import BLUE, ORANGE, style, svg
from kerascnn.results.report.calibration import Calibration

WIDE, NARROW = 9.9, 3.65
"""Width in inches on a desktop and on a phone, at 96 pixels per inch."""

ALWAYS = ("val_accuracy", "val_loss")
"""The validation metrics that every run has."""

History = Sequence[dict[str, Any]]


def curves(history: History, wide: bool) -> Markup:
    """Accuracy and loss of every epoch over all stages, with the learning rate below.

    Args:
        history: `Result.history`.
        wide: For a desktop, side by side; else for a phone.
    """
    from kerascnn.results.canvas import Figure

    with style():
        if wide:
            figure = Figure(figsize=(WIDE, 4.0))
            grid = figure.subplots(2, 2, sharex=True, height_ratios=(3, 1))
            accuracy, loss, rates = grid[0, 0], grid[0, 1], list(grid[1])
        else:
            figure = Figure(figsize=(NARROW, 5.4))
            accuracy, loss, rate = figure.subplots(3, 1, sharex=True, height_ratios=(3, 3, 1))
            rates = [rate]
        _lines(accuracy, history, "accuracy")
        _lines(loss, history, "loss")
        loss.set_ylim(bottom=0)
        accuracy.legend(loc="best", handlelength=1.2)
        for axes in rates:
            _rate(axes, history)
        for axes in (accuracy, loss, *rates):
            _borders(axes, history, named=axes is accuracy or (wide and axes is loss))
        return svg(figure, "accuracy, loss and learning rate of every epoch")


def named_in(history: History) -> list[str]:
    """The metrics of the validation images that the experiment lists, besides the accuracy."""
    names = dict.fromkeys(name for epoch in history for name in epoch if name.startswith("val_"))
    return [name.removeprefix("val_") for name in names if name not in ALWAYS]


def metric_curves(history: History, wide: bool) -> Markup:
    """Each of the experiment's metrics on the validation images, over all stages."""
    from kerascnn.results.canvas import Figure

    with style():
        names, columns = named_in(history), 2 if wide else 1
        rows = -(-len(names) // columns)
        figure = Figure(figsize=(WIDE if wide else NARROW, 0.6 + 1.9 * rows))
        grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
        for axes in grid.flat[len(names) :]:
            axes.set_visible(False)
        for axes, name in zip(grid.flat, names, strict=False):
            values = [epoch.get(f"val_{name}", np.nan) for epoch in history]
            steps = range(1, len(history) + 1)
            axes.plot(steps, values, color=BLUE, marker="o", markersize=3)
            axes.set_title(name, parse_math=False)
            _borders(axes, history, named=False)
            axes.tick_params(labelbottom=True)
            axes.xaxis.get_major_locator().set_params(integer=True)
        return svg(figure, "the experiment's metrics of every epoch")


def _lines(axes: Any, history: History, of: str) -> None:
    steps = range(1, len(history) + 1)
    marks = {"marker": "o", "markersize": 3}
    train = [epoch[f"train_{of}"] for epoch in history]
    axes.plot(steps, train, color="black", alpha=0.45, linewidth=1.2, label="training", **marks)
    validation = [epoch[f"val_{of}"] for epoch in history]
    axes.plot(steps, validation, color=BLUE, label="validation", **marks)
    axes.set_ylabel(of)


def _rate(axes: Any, history: History) -> None:
    axes.step(
        range(1, len(history) + 1),
        [epoch["learning_rate"] for epoch in history],
        where="mid",
        color=ORANGE,
    )
    rates = [epoch["learning_rate"] for epoch in history]
    highest, lowest = max(rates), max(min(rates), max(rates) / 1e4)
    axes.set_yscale("log")
    axes.set_ylim(lowest / 2, highest * 2)
    ends = [lowest, highest] if highest > 1.5 * lowest else [highest]  # more would overlap
    axes.set_yticks(ends, [f"{rate:.1e}" for rate in ends])
    axes.minorticks_off()
    axes.set(ylabel="learning\nrate", xlabel="epoch")
    axes.xaxis.get_major_locator().set_params(integer=True)


def _borders(axes: Any, history: History, named: bool) -> None:
    for first, last, name in stages(history):
        if first > 1:
            axes.axvline(
                first - 0.5, color="black", alpha=0.5, linewidth=0.8, linestyle=(0, (3, 3))
            )
        if named:
            middle = (first + last) / 2
            where = axes.get_xaxis_transform()
            axes.text(middle, 1.02, name, transform=where, ha="center", va="bottom", alpha=0.7)


def stages(history: History) -> Iterator[tuple[int, int, str]]:
    """The first and last epoch of each stage, counted from 1 over all stages, and its name."""
    first = 1
    for name, epochs in groupby(history, key=lambda epoch: epoch["stage"]):
        last = first + len(list(epochs)) - 1
        yield first, last, name
        first = last + 1


def reliability(calibrations: dict[str, Calibration], wide: bool) -> Markup:
    """Reliability diagrams: accuracy against confidence."""
    from kerascnn.results.canvas import Figure

    with style():
        count = len(calibrations)
        size = (3.8 * count, 3.7) if wide else (NARROW, 3.6 * count)
        figure = Figure(figsize=size)
        shape = (1, len(calibrations)) if wide else (len(calibrations), 1)
        many = figure.subplots(*shape, sharex=True, sharey=True, squeeze=False)
        for axes, (title, calibration) in zip(many.flat, calibrations.items(), strict=True):
            _reliability(axes, calibration)
            axes.set_title(title)
        for axes in many[-1]:
            axes.set_xlabel("probability of the predicted class")
        for axes in many[:, 0]:
            axes.set_ylabel("accuracy")
        return svg(figure, "reliability diagrams")


def _reliability(axes: Any, calibration: Calibration) -> None:
    bins = calibration.bins
    sure = np.array([of.confidence for of in bins])
    right = np.array([of.accuracy for of in bins])
    bounds = np.array([of.interval for of in bins]).T  # [2, bins]
    images = np.array([of.images for of in bins])
    axes.plot([0, 1], [0, 1], color="black", alpha=0.4, linewidth=0.8, linestyle=(0, (3, 3)))
    reach = np.abs(bounds - right)
    axes.errorbar(sure, right, reach, fmt="none", ecolor=BLUE, alpha=0.5, linewidth=1)
    axes.scatter(sure, right, 12 + 160 * images / images.sum(), color=BLUE, clip_on=False, zorder=3)
    axes.set(xlim=(0, 1.03), ylim=(0, 1.03), aspect="equal")
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.set_yticks(np.linspace(0, 1, 6))


def balance(counts: dict[str, list[int]], class_names: Sequence[str], wide: bool) -> Markup:
    """The number of images per class and split."""
    from kerascnn.results.canvas import Figure

    with style():
        height = 0.75 + 0.24 * len(class_names)
        figure = Figure(figsize=(6.5 if wide else NARROW, height))
        axes = figure.subplots()
        places, left = np.arange(len(class_names)), np.zeros(len(class_names))
        for (split, of_classes), shade in zip(counts.items(), (1.0, 0.6, 0.3), strict=False):
            axes.barh(
                places, of_classes, left=left, height=0.66, color=BLUE, alpha=shade, label=split
            )
            left += of_classes
        axes.set_yticks(places, class_names)
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        figure.legend(loc="outside upper left", ncols=3, handlelength=0.8, handleheight=0.8)
        return svg(figure, "number of images per class and split")
