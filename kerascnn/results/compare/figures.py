"""The figures of a comparison, drawn by matplotlib."""

from itertools import accumulate, pairwise, zip_longest
from typing import Any

from markupsafe import Markup

from kerascnn.engine.result.outcome import Outcome
from kerascnn.results.compare.comparison import Comparison
from kerascnn.results.compare.results import Group
from kerascnn.results.page import BLUE, GREEN, ORANGE, RED, style, svg
from kerascnn.results.report.figures import NARROW, WIDE, stages

COLOURS = (BLUE, ORANGE, GREEN, RED)
"""Colours of the most accurate runs or groups; the others are grey."""


def colours(comparison: Comparison) -> dict[str, str]:
    """The colours of the best runs by id, or of the best groups by name and of their runs."""
    coloured = dict[str, str]()
    for one, colour in zip(comparison.entrants, COLOURS, strict=False):
        names = [one.name, *one.run_ids] if isinstance(one, Group) else [one.run_id]
        coloured |= dict.fromkeys(names, colour)
    return coloured


def curves(comparison: Comparison, wide: bool) -> Markup | None:
    """Validation accuracy and loss of every epoch, with the stages of all runs aligned."""
    from kerascnn.results.canvas import Figure

    results = [result for result in comparison.results if result.history]
    if not results:
        return None
    coloured = colours(comparison)
    with style():
        size, shape = ((WIDE, 3.3), (1, 2)) if wide else ((NARROW, 5.4), (2, 1))
        figure = Figure(figsize=size)
        many = figure.subplots(*shape, sharex=True)
        for axes, of in zip(many, ("accuracy", "loss"), strict=True):
            for result in reversed(results):  # draws the best on top
                _curve(axes, results, result, f"val_{of}", coloured.get(result.run_id))
            axes.set_ylabel(f"validation {of}")
            _name_stages(axes, results)
        many[1].set_ylim(bottom=0)
        for axes in many if wide else many[1:]:
            axes.set_xlabel("epoch, stages aligned")
            axes.xaxis.get_major_locator().set_params(integer=True)
        return svg(figure, "validation accuracy and loss of every epoch of every run")


def _starts(results: list[Outcome]) -> list[int]:
    """The epochs before each stage, each stage as long as in the run with most epochs."""
    lengths = ([last - first + 1 for first, last, _ in stages(run.history)] for run in results)
    longest = (max(column) for column in zip_longest(*lengths, fillvalue=0))
    return list(accumulate(longest, initial=0))


def _curve(
    axes: Any, results: list[Outcome], result: Outcome, metric: str, colour: str | None
) -> None:
    looks: dict[str, Any] = {"color": "black", "alpha": 0.25, "linewidth": 1}
    if colour:
        looks = {"color": colour, "marker": "o", "markersize": 3}
    for start, (first, last, _) in zip(_starts(results), stages(result.history), strict=False):
        epochs = range(start + 1, start + 2 + last - first)
        axes.plot(epochs, [of[metric] for of in result.history[first - 1 : last]], **looks)


def _name_stages(axes: Any, results: list[Outcome]) -> None:
    """Borders between the stages, and their names."""
    starts = _starts(results)
    for index, (start, end) in enumerate(pairwise(starts)):
        if index:
            axes.axvline(start + 0.5, color="black", alpha=0.5, lw=0.8, ls=(0, (3, 3)))
        named = (list(stages(result.history))[index : index + 1] for result in results)
        names = dict.fromkeys(name for found in named for *_, name in found)
        said = " / ".join(names) if len(names) < 3 else f"stage {index + 1}"
        where = axes.get_xaxis_transform()
        middle = (start + 1 + end) / 2
        axes.text(middle, 1.02, said, transform=where, ha="center", va="bottom", alpha=0.7)


def accuracies(comparison: Comparison, wide: bool) -> Markup:
    """The accuracy of each run with its 95% interval, or of the runs of each group."""
    from kerascnn.results.canvas import Figure

    entrants, coloured = comparison.entrants, colours(comparison)
    with style():
        height = 0.7 + 0.2 * max(3, len(entrants))
        figure = Figure(figsize=(0.7 * WIDE if wide else NARROW, height))
        axes = figure.subplots()
        for row, one in enumerate(entrants):
            colour = coloured.get(one.name if isinstance(one, Group) else one.run_id)
            looks = {"color": colour} if colour else {"color": "black", "alpha": 0.4}
            if isinstance(one, Group):
                runs = [run for run in comparison.runs if run.run_id in one.run_ids]
                axes.plot(
                    [run.test_accuracy for run in runs], [row] * len(runs), "o", ms=4, **looks
                )
                axes.plot(one.test_accuracy.mean, row, "|", ms=14, mew=2, **looks)
            else:
                axes.plot(one.interval, [row, row], lw=1.6, **looks)
                axes.plot(one.test_accuracy, row, "o", ms=5, **looks)
        axes.set_yticks(range(len(entrants)), [one.short for one in entrants])
        axes.set_ylim(len(entrants) - 0.4, -0.6)
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        measured = "accuracy on all images" if comparison.noun == "study" else "test accuracy"
        axes.set_xlabel(measured)
        return svg(figure, f"{measured} of each {comparison.kind}")
