"""The figure of a learning-rate range test."""

from typing import Any

from kerascnn.studies.lr_find.range_test import RangeTest


def rates_figure(test: "RangeTest") -> Any:
    """The loss against the learning rate, with the suggested and the configured rate.

    Returns:
        A matplotlib Figure.
    """
    from kerascnn.results.canvas import Figure, log_scale

    figure = Figure(figsize=(8, 4.5), dpi=140, layout="constrained")
    axes = figure.subplots()
    axes.plot(test.rates, test.losses, "o", color="#a9c4e0", ms=3, label="batch loss")
    axes.plot(test.rates, test.smoothed, color="#2b6cb0", lw=2, label="smoothed")
    if test.suggestion:
        label = f"suggestion {test.suggestion:.1e}"
        axes.axvline(test.suggestion, color="#2f855a", lw=1.5, label=label)
    label = f"configured {test.configured:.1e}"
    axes.axvline(test.configured, color="#c05621", lw=1, ls="--", label=label)
    log_scale(axes, "x")
    axes.set_ylim(0, 1.25 * max(test.smoothed))  # clips outlying batches
    axes.set(xlabel="learning rate", ylabel="training loss", title=f"stage {test.stage}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    return figure
