"""What a probe found: each network's accuracy and cost."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kerascnn.engine.metrics.significance import Z95
from kerascnn.engine.result import Result
from kerascnn.runtime.screen import accuracy, first_rows, screen

FEWEST_RANKED = 4
"""Networks that a rank correlation takes."""


@dataclass(frozen=True)
class ProbedNetwork:
    """What a network promises, and what it costs.

    Args:
        architecture: As it was asked for: a name, or NAME:WEIGHTS.
        accuracy: Of the linear probe, over the images to train and to validate by, each judged
            by a probe that has not seen it.
        interval: 95%, of the accuracy (Wilson).
        images: The number of these images.
        features: Numbers that the probe sees of an image.
        parameters: Number of weights.
        model_bytes: What they take.
        training_bytes: An estimate of what training all of the network takes, at the experiment's
            batch size.
        single_ms: Milliseconds to predict one image.
        batched_ms: Milliseconds an image, of 32 predicted at once.
        seconds: What all of this took.
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
    """The networks, the most promising first, and the run under which they stand in MLflow.

    Args:
        device: What was computed on.
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
                f"{network.parameters:,} parameters, {network.batched_ms:.1f} ms an image",
            )
            for network in self.networks
        ]
        return screen(f"probe {self.run_id[:8]} · {self.name} · {self.device}", first_rows(rows))

    def agreement(self, results: Sequence[Result]) -> tuple[float, float, float] | None:
        """The rank correlation with what the best networks came to in full, and its interval.

        None for fewer than 4 of them, or where all promised or came to the same.
        """
        if len(results) < FEWEST_RANKED:
            return None
        promised = [network.accuracy for network in self.networks[: len(results)]]
        return rank_correlation(promised, [result.test_accuracy for result in results])

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def rank_correlation(
    first: Sequence[float], second: Sequence[float]
) -> tuple[float, float, float] | None:
    """Spearman's rank correlation and its 95% interval (Bonett and Wright, doi 10.1007/BF02294183).

    Args:
        first: A number for each of at least 4 things.
        second: Another number for each.

    Returns:
        The correlation, and its lower and upper bound; None where all numbers of one kind are
        equal, so that they have no ranks.
    """
    from scipy.stats import spearmanr

    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    rho = float(spearmanr(first, second).statistic)
    half = Z95 * np.sqrt((1 + rho**2 / 2) / (len(first) - 3))
    centre = np.arctanh(np.clip(rho, -0.999999, 0.999999))
    return rho, float(np.tanh(centre - half)), float(np.tanh(centre + half))
