"""Figures, drawn by matplotlib without a screen."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerascnn.engine.metrics.score import Metrics

if TYPE_CHECKING:
    pass

CONFUSION_MATRIX = "confusion_matrix.png"

_NUMBERED = 20  # beyond so many classes the cells hold no numbers


def confusion_figure(metrics: Metrics, class_names: Sequence[str]) -> Any:
    """The confusion matrix: rows are true classes, columns predicted ones, shades the row's share.

    Returns:
        A matplotlib Figure.
    """
    from kerascnn.results.canvas import Figure

    counts = np.asarray(metrics.confusion)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = min(3.2 + 0.55 * len(class_names), 16)
    figure = Figure(figsize=(side + 0.8, side), dpi=140, layout="constrained")
    axes = figure.subplots()
    shown = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    ticks = range(len(class_names))
    axes.set_xticks(ticks, class_names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(ticks, class_names)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set(xlabel="predicted", ylabel="true")
    low, high = metrics.interval
    title = f"accuracy {metrics.accuracy:.3f} [{low:.3f}, {high:.3f}], {metrics.images} images"
    axes.set_title(title, fontsize=10, pad=12)
    figure.colorbar(shown, label="share of the true class", shrink=0.8).outline.set_visible(False)
    if len(class_names) <= _NUMBERED:
        _write_counts(axes, counts, shares)
    return figure


def _write_counts(axes: Any, counts: np.ndarray, shares: np.ndarray) -> None:
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if shares[row, column] > 0.55 else "#1b2a41"
            axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=9)
