"""The result of a probe: the accuracy and cost of each network."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kerascnn.engine.metrics.significance import Z95
from kerascnn.engine.result import Result
from kerascnn.runtime.screen import accuracy, first_rows, screen

FEWEST_RANKED = 4
"""Fewer networks give no rank correlation."""


@dataclass(frozen=True)
class ProbedNetwork:
    """The accuracy of a linear probe on one network, and the network's cost.

    Args:
        architecture: A name, or NAME:WEIGHTS.
        accuracy: Cross-validated accuracy of the linear probe on training and validation images.
        interval: 95% interval of the accuracy (Wilson).
        images: Number of these images.
        features: Features per image.
        parameters: Number of weights.
        model_bytes: Size of the weights.
        training_bytes: Estimated memory to train the whole network at the experiment's batch size.
        single_ms: Milliseconds to predict one image.
        batched_ms: Milliseconds per image, in batches of 32.
        seconds: Duration of this network's probe.
    """

    architecture: str
    accuracy: float
    interval: tuple[float, float]
    images: int
    features: int
    parameters: int
    model_bytes: int
    training_bytes: int
    single_ms: float
    batched_ms: float
    seconds: float


@dataclass(frozen=True)
class ProbeResult:
    """The probed networks, the most accurate first, and the run that records them.

    Args:
        device: The device that computed.
        artifacts: The run's folder, with `probe.json` and `probe.png`.
    """

    run_id: str
    name: str
    device: str
    networks: list[ProbedNetwork]
    artifacts: str

    def __repr__(self) -> str:
        rows = [
            (
                network.architecture,
                f"{accuracy(network.accuracy, network.interval)}, "
                f"{network.parameters:,} parameters, {network.batched_ms:.1f} ms per image",
            )
            for network in self.networks
        ]
        return screen(f"probe {self.run_id[:8]} · {self.name} · {self.device}", first_rows(rows))

    def agreement(self, results: Sequence[Result]) -> tuple[float, float, float] | None:
        """The rank correlation with the test accuracy of full runs of the best networks.

        Args:
            results: Of the first networks, in their order.

        Returns:
            The correlation, and its lower and upper bound; None for fewer than 4 results or for
            equal accuracies.
        """
        if len(results) < FEWEST_RANKED:
            return None
        probed = [network.accuracy for network in self.networks[: len(results)]]
        return rank_correlation(probed, [result.test_accuracy for result in results])

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def rank_correlation(
    first: Sequence[float], second: Sequence[float]
) -> tuple[float, float, float] | None:
    """Spearman's rank correlation and its 95% interval (Bonett and Wright, doi 10.1007/BF02294183).

    Both have at least 4 numbers; None if all numbers on one side are equal.
    """
    from scipy.stats import spearmanr

    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    rho = float(spearmanr(first, second).statistic)
    half = Z95 * np.sqrt((1 + rho**2 / 2) / (len(first) - 3))
    centre = np.arctanh(np.clip(rho, -0.999999, 0.999999))
    return rho, float(np.tanh(centre - half)), float(np.tanh(centre + half))


def probe_figure(networks: "Sequence[ProbedNetwork]") -> Any:
    """A matplotlib figure: accuracy of the linear probe against milliseconds per image, numbered.

    A line joins the networks that no other beats in both.
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
