"""Thresholds of a network that was trained on its validation images too: what holds on new images.

The images are drawn, and the network is a ridge regression, so that many of them take seconds.
Its features are partly learned, as those of a fine-tuned network.
"""

from collections.abc import Callable

import click
import numpy as np
from common import report

from kerascnn.engine.metrics.calibration import fit_temperature, tempered
from kerascnn.engine.metrics.conformal import prediction_sets, set_threshold, threshold
from kerascnn.engine.metrics.neighbours import nearest, of_unit_length
from kerascnn.engine.metrics.novelty import NEIGHBOURS, Examples, distances

CLASSES, WIDTH = 5, 120
TRAIN, VALIDATION, TEST, NEW = 240, 60, 75, 4000
COVERAGE, REFUSED = 0.9, 0.1
PENALTY, APART, SHARPNESS, UNLEARNED = 3.0, 0.28, 8.0, 12

Split = tuple[np.ndarray, np.ndarray]  # inputs [N, WIDTH], labels [N]
Network = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # to probabilities and features


@click.command()
@click.option("--repetitions", default=60, show_default=True)
def main(repetitions: int) -> None:
    """Coverage and share refused of new images, by the images that set the thresholds."""
    found = [once(np.random.default_rng(seed)) for seed in range(repetitions)]
    figures = {
        what: {by: spread([of[what][by] for of in found]) for by in found[0][what]}
        for what in found[0]
    }
    report("thresholds", {"coverage_asked": COVERAGE, "refused_asked": REFUSED, **figures})


def spread(values: list[float]) -> dict[str, float]:
    return {"mean": float(np.mean(values)), "deviation": float(np.std(values))}


def once(rng: np.random.Generator) -> dict[str, dict[str, float]]:
    centres = rng.normal(size=(CLASSES, WIDTH)) * APART
    train, validation, test, new = (
        draw(rng, centres, count) for count in (TRAIN, VALIDATION, TEST, NEW)
    )
    tried = fit(*train)
    both = tuple(np.concatenate(of) for of in zip(train, validation, strict=True))
    network = fit(*both)
    said, seen = tried(validation[0])
    temperature = fit_temperature(said, validation[1])
    features = network(both[0])[1]
    strange = distances(Examples(features, both[1]))
    strange_before = distances(Examples(tried(train[0])[1], train[1]))
    left_out = 1 - nearest(features, features, NEIGHBOURS + 1)[0][:, 1:].mean(1)
    probabilities, new_features = network(new[0])
    calibrated, scores = tempered(probabilities, temperature), strange(new_features)

    def covered(held: np.ndarray, labels: np.ndarray) -> float:
        least = set_threshold(tempered(held, temperature), labels, COVERAGE)
        sets = prediction_sets(calibrated, least)
        return float(sets[np.arange(NEW), new[1]].mean())

    def refused(held: np.ndarray) -> float:
        return float((scores > threshold(held, REFUSED)).mean())

    return {
        "coverage": {
            "test images": covered(network(test[0])[0], test[1]),
            "validation images by the network before": covered(said, validation[1]),
            "images trained on": covered(network(both[0])[0], both[1]),
        },
        "refused": {
            "test images": refused(strange(network(test[0])[1])),
            "validation images by the network before": refused(strange_before(seen)),
            "images trained on": refused(left_out),
        },
    }


def draw(rng: np.random.Generator, centres: np.ndarray, count: int) -> Split:
    labels = rng.integers(0, CLASSES, count)
    return centres[labels] + rng.normal(size=(count, WIDTH)), labels


def fit(inputs: np.ndarray, labels: np.ndarray) -> Network:
    targets, mean = np.eye(CLASSES)[labels], inputs.mean(0)
    centred = inputs - mean
    products = centred.T @ centred + PENALTY * np.eye(WIDTH)
    weights = np.linalg.solve(products, centred.T @ (targets - targets.mean(0)))
    unlearned = np.random.default_rng(1).normal(size=(WIDTH, UNLEARNED)) * 0.6 / np.sqrt(WIDTH)

    def network(asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values = (asked - mean) @ weights
        odds = np.exp(SHARPNESS * (values - values.max(1, keepdims=True)))
        features = np.concatenate([6 * values, (asked - mean) @ unlearned], axis=1)
        return odds / odds.sum(1, keepdims=True), of_unit_length(features)

    return network


if __name__ == "__main__":
    main()
