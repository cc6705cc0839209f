"""Images of none of the classes, and sets of classes: what `--reject` and `--coverage` come to."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from kerascnn.engine.metrics.significance import wilson_interval
from kerascnn.engine.network.build import HEAD
from kerascnn.engine.result.run import Result
from kerascnn.errors import InputError
from kerascnn.results.known.caution import Caution
from kerascnn.results.known.held_out import HELD_OUT
from kerascnn.results.known.rejection import SHARE, Noticed, noticed
from kerascnn.results.report.gather import calibrated_predictions

COVERAGES = (0.9, 0.95, 0.99)


@dataclass(frozen=True)
class Sets:
    """What sets of classes come to on the test images.

    Args:
        asked: The coverage.
        coverage: The share of test images whose set has the right class.
        interval: 95% (Wilson).
        size: Classes in a set, on average.
        alone: The share of sets of one class.
    """

    asked: float
    coverage: float
    interval: tuple[float, float]
    size: float
    alone: float


def unknown(result: Result) -> dict[str, Any]:
    """How well unknown classes are noticed, and what sets of classes come to."""
    found = _noticed(result)
    return {
        "noticed": found,
        "may_be_refused": SHARE,
        "held_out": HELD_OUT.get(result.training.train_on),
        "frozen": all(
            layer.startswith(f"{HEAD}_")
            for stage in result.stages
            for layer in stage["trainable_layers"]
        ),
        "sets": list(filter(None, (_sets(result, asked) for asked in COVERAGES))),
    }


def _noticed(result: Result) -> Noticed | None:
    """None for a run that keeps no features, or whose classes have too few held-out images."""
    try:
        found = noticed(result)
    except InputError:
        return None
    return found if found.classes else None


def _sets(result: Result, asked: float) -> Sets | None:
    """None if the run has too few held-out images for them."""
    try:
        caution = Caution(result, None, asked)
    except (InputError, FileNotFoundError):
        return None
    test = calibrated_predictions(result)
    sets = caution.sets(test.probabilities)
    held = sets[np.arange(len(test)), test.labels]
    sizes = sets.sum(1)
    return Sets(
        asked=asked,
        coverage=float(held.mean()),
        interval=wilson_interval(int(held.sum()), len(test)),
        size=float(sizes.mean()),
        alone=float((sizes == 1).mean()),
    )
