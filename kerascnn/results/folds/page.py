"""The page of a study of folds: one self-contained HTML file, or a part of it in a notebook."""

from typing import Any

import numpy as np
import tomli_w
from markupsafe import Markup

from kerascnn.engine.result.folds import FoldsResult
from kerascnn.results.folds.material import FoldsMaterial
from kerascnn.results.page import BLUE, render, style, svg
from kerascnn.results.report import chapters, image_chapters
from kerascnn.results.report.figures import NARROW, WIDE
from kerascnn.runtime.files import write_whole


def write_page(material: FoldsMaterial) -> None:
    """Writes accuracy, folds, classes, confusion matrix and mistakes into the study's folder."""
    result = material.result
    page = render(
        "folds.html",
        **_results(result),
        **image_chapters.errors(material),
        missing=material.missing,
        toml=tomli_w.dumps(result.experiment),
        ended=chapters.said_time(result.ended),
    )
    write_whole(result.page, page)


def folds_html(result: FoldsResult) -> str:
    """The parts that need no images, for a notebook."""
    return render("folds_notebook.html", **_results(result))


def _results(result: FoldsResult) -> dict[str, Any]:
    right = int(np.trace(result.test["confusion"]))
    return {
        **chapters.results(result),
        "right": right,
        "spread": result.spread,
        "intervals": [accuracies(result, wide) for wide in (True, False)],
    }


def accuracies(result: FoldsResult, wide: bool) -> Markup:
    """The accuracy of each fold with its 95% interval, and that of all images."""
    from kerascnn.results.canvas import Figure

    with style():
        height = 0.7 + 0.2 * max(3, len(result.folds))
        figure = Figure(figsize=(0.7 * WIDE if wide else NARROW, height))
        axes = figure.subplots()
        axes.axvspan(*result.interval, color=BLUE, alpha=0.14, lw=0)
        axes.axvline(result.accuracy, color=BLUE, lw=1.2)
        for row, fold in enumerate(result.folds):
            axes.plot(fold["interval"], [row, row], color="black", alpha=0.5, lw=1.4)
            axes.plot(fold["accuracy"], row, "o", ms=5, color=BLUE)
        axes.set_yticks(range(len(result.folds)), [fold_name(f, result) for f in result.folds])
        axes.set_ylim(len(result.folds) - 0.4, -0.6)
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("accuracy; band: of all images")
        return svg(figure, "accuracy of each fold")


def fold_name(fold: Any, result: FoldsResult) -> str:
    name = f"fold {fold['fold']}"
    return f"repeat {fold['repeat']}, {name}" if result.repeats > 1 else name
