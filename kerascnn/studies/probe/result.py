"""The result of a probe: the accuracy and cost of each network."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

import kerascnn
from kerascnn.engine.metrics.reach import few
from kerascnn.engine.metrics.significance import Z95
from kerascnn.engine.result.run import Result
from kerascnn.runtime.screen import accuracy, first_rows, screen
from kerascnn.runtime.text import abbreviated
from kerascnn.studies.probe.behind import Behind, behind_best

FEWEST_RANKED = 4
"""Fewer networks give no rank correlation."""


@dataclass(frozen=True)
class ProbedNetwork:
    """The accuracy of a linear probe on one network, and the network's cost.

    Args:
        architecture: A name, or NAME:WEIGHTS.
        accuracy: Of the linear probe on training and validation images, out of fold.
        interval: 95% interval of the accuracy (Wilson).
        loss: Mean cross-entropy of the same predictions.
        images: Number of these images.
        stored: Number of them whose features the cache had.
        features: Features per image.
        parameters: Number of weights.
        model_bytes: Size of the weights.
        training_bytes: Estimated memory to train the whole network at the experiment's batch size.
        single_ms: Milliseconds to predict one image.
        batched_ms: Milliseconds per image, in batches of 32.
        seconds: Duration of this network's probe.
        behind: How far it is behind the most accurate one; None for that one.
    """

    architecture: str
    accuracy: float
    interval: tuple[float, float]
    loss: float
    images: int
    stored: int
    features: int
    parameters: int
    model_bytes: int
    training_bytes: int
    single_ms: float
    batched_ms: float
    seconds: float
    behind: Behind | None = None


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
        title = f"probe {self.run_id[:8]} · {self.name} · {self.device}: {self.verdict}"
        return screen(title, first_rows(rows))

    @property
    def verdict(self) -> str:
        """Which networks cannot be distinguished from the best, in words."""
        (best, *others), level = self.networks, self.not_told_apart
        name = best.architecture
        if not level:
            return f"{name}, more accurate than all others" if others else name
        named = "the others" if len(level) == len(others) > 1 else abbreviated(level)
        return f"{name}; cannot be distinguished from it: {named}{few(best.images)}"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return kerascnn.as_html(self)

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

    @property
    def not_told_apart(self) -> list[str]:
        """The networks that the paired test cannot tell from the most accurate one."""
        return [
            network.architecture
            for network in self.networks
            if network.behind and not network.behind.told_apart
        ]

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"not_told_apart": self.not_told_apart}


def ranked(probed: Sequence[tuple[ProbedNetwork, np.ndarray]]) -> list[ProbedNetwork]:
    """Networks, each with whether it is correct on each image, bool [N]; the best come first."""
    ordered = sorted(probed, key=lambda pair: (-pair[0].accuracy, pair[0].loss))
    behind = behind_best([right for _, right in ordered], best=0)
    pairs = zip(ordered, behind, strict=True)
    return [replace(network, behind=lag) for (network, _), lag in pairs]


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

    A line joins the networks that no other beats in both. Those that are less accurate than the
    best with certainty are pale.
    """
    from kerascnn.results.canvas import Figure, log_scale

    figure = Figure(figsize=(9, 5), dpi=140, layout="constrained")
    axes = figure.subplots()
    points = [(network.batched_ms, network.accuracy) for network in networks]
    best = sorted(point for point in points if not _beaten(*point, networks))
    axes.plot(*zip(*best, strict=True), color="#2b6cb0", lw=1, alpha=0.6)
    for rank, (network, point) in enumerate(zip(networks, points, strict=True), start=1):
        axes.vlines(point[0], *network.interval, color="#a9c4e0", lw=2)
        sure = network.behind and network.behind.told_apart
        axes.plot(*point, "o", color="#7fa8d1" if sure else "#2b6cb0", ms=11)
        axes.annotate(str(rank), point, ha="center", va="center", color="white", fontsize=7)
        axes.plot([], [], " ", label=f"{rank}  {network.architecture}")
    log_scale(axes, "x")
    axes.set(xlabel="milliseconds per image, in batches of 32", ylabel="accuracy of linear probe")
    axes.set_title("pale: less accurate than the best", fontsize=9, loc="left", color="#555555")
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
