"""The confusion matrix as a figure, for the report and as a file."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn.engine.metrics.score import Metrics
from kerascnn.results.page import BLUE, RED, style

CONFUSION_MATRIX = "confusion_matrix.png"
DPI = 140

NUMBERED = 20
"""With more classes than this the cells show no counts."""


def save_confusion(
    metrics: Metrics, class_names: Sequence[str], file: Path, warned: Callable[[str], None]
) -> None:
    """Writes the confusion matrix, with the accuracy above it, to a file; see `canvas.save`."""
    from kerascnn.results.canvas import save

    figure = confusion_figure(metrics.confusion, class_names)
    low, high = metrics.interval
    figure.axes[0].set_title(
        f"accuracy {metrics.accuracy:.3f} [{low:.3f}, {high:.3f}], {metrics.images:,} images"
    )
    save(figure, file, warned, dpi=DPI, bbox_inches="tight")


def confusion_figure(confusion: Sequence[Sequence[int]], class_names: Sequence[str]) -> Any:
    """The confusion matrix: rows are true classes, columns predicted ones; mistakes are red.

    Returns:
        A matplotlib Figure.
    """
    from kerascnn.results.canvas import Figure

    counts = np.asarray(confusion)
    numbered = len(counts) <= NUMBERED
    side = 0.4 * len(counts) if numbered else 7.0
    size = min(9.0, 0.8 * 72 * side / len(counts))
    with style():
        figure = Figure(figsize=(side + 1.2, side + 0.9))
        axes = figure.subplots()
        alpha = _draw_cells(axes, counts)
        ticks = range(len(counts))
        axes.set_xticks(
            ticks, class_names, rotation=45, ha="right", rotation_mode="anchor", fontsize=size
        )
        axes.set_yticks(ticks, class_names, fontsize=size)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        axes.set(xlabel="predicted", ylabel="true")
        for (row, column), count in np.ndenumerate(counts):
            if count and numbered:
                colour = "white" if alpha[row, column] > 0.6 else "black"
                axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour)
        return figure


def _draw_cells(axes: Any, counts: np.ndarray) -> np.ndarray:
    """Colours each cell by its share of the true class; returns the opacities [K, K]."""
    from matplotlib.colors import to_rgb

    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)  # [K, K]
    right = np.eye(len(counts), dtype=bool)
    alpha = np.where(right, 0.9 * shares, 0.9 * np.sqrt(shares))  # makes rare mistakes visible
    cells = np.where(right[..., None], to_rgb(BLUE), to_rgb(RED))  # [K, K, 3]
    axes.imshow(np.dstack([cells, alpha]), interpolation="none")
    return alpha
