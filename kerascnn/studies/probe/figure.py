"""The figure of a probe."""

from collections.abc import Sequence
from typing import Any

from kerascnn.studies.probe.result import ProbedNetwork


def probe_figure(networks: "Sequence[ProbedNetwork]") -> Any:
    """Accuracy of the linear probe against milliseconds per image, numbered in the given order.

    A line joins the networks that no other beats in both.

    Returns:
        A matplotlib Figure.
    """
    from kerascnn.results.canvas import Figure, log_scale

    figure = Figure(figsize=(9, 5), dpi=140, layout="constrained")
    axes = figure.subplots()
    points = [(network.batched_ms, network.accuracy) for network in networks]
    best = sorted(point for point in points if not _beaten(*point, networks))
    axes.plot(*zip(*best, strict=True), color="#2b6cb0", lw=1, alpha=0.6)
    for rank, (network, point) in enumerate(zip(networks, points, strict=True), start=1):
        axes.vlines(point[0], *network.interval, color="#a9c4e0", lw=2)
        axes.plot(*point, "o", color="#2b6cb0", ms=11)
        axes.annotate(str(rank), point, ha="center", va="center", color="white", fontsize=7)
        axes.plot([], [], " ", label=f"{rank}  {network.architecture}")
    log_scale(axes, "x")
    axes.set(xlabel="milliseconds per image, in batches of 32", ylabel="accuracy of linear probe")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, handlelength=0)
    return figure


def _beaten(cost: float, accuracy: float, networks: "Sequence[ProbedNetwork]") -> bool:
    return any(
        other.batched_ms <= cost
        and other.accuracy >= accuracy
        and (other.batched_ms, other.accuracy) != (cost, accuracy)
        for other in networks
    )
