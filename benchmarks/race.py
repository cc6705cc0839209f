"""What the race drops, beside Hyperband, successive halving and median stopping of Optuna.

Simulated sweeps, or with --curves the trials of a real one: each trial's outcomes on the validation
images after every epoch are given, and the trials are run again in random order on two workers, at
random paces. Told are the share of the epochs that were trained, how often the trial with the best
true value was dropped, and how much worse the chosen one truly is.
"""

import heapq
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import optuna
from common import report
from scipy.stats import norm

from kerascnn.engine.metrics.race import ACCURACY, Curve, Marks, Scoring, verdict

SCORING = Scoring(ACCURACY)
FAMILIES = ("ties", "mixed", "slow", "faded")
SHARED, OWN = 0.75, 0.12  # of the variance of how hard an image is: for all trials, for one

Judge = Callable[[int, int], bool]  # whether to drop a trial (by number) after an epoch


def true_curves(rng: np.random.Generator, trials: int, epochs: int, family: str) -> np.ndarray:
    """The accuracy of each trial after each epoch, on endless images: [trials, epochs].

    A quarter of the trials have a bad setting, and each wanders around its curve. In "ties" all are
    equal; in "slow" the best fifth learn up to half as fast as the median; in "faded" a third pass
    their best and lose 0.06.
    """
    time = np.arange(1, epochs + 1) / epochs
    if family == "ties":
        return np.tile(0.85 * (1 - 0.5 * np.exp(-6 * time)), (trials, 1))
    final = 0.9 - 0.25 * rng.beta(1, 3, trials)
    final -= (rng.random(trials) < 0.25) * rng.uniform(0, 0.5, trials)
    rate = 6 * np.exp(rng.normal(0, 0.25, trials))
    if family == "slow":
        best = (-final).argsort().argsort() < max(2, trials // 5)
        rate = np.where(best, rng.uniform(3, 4.5, trials), rng.uniform(5, 7, trials))
    missing = rng.uniform(0.2, 0.7) * np.exp(-rate[:, None] * time)
    faded = 0.06 * time * (family == "faded") * (rng.random(trials) < 0.33)[:, None]
    wander = np.exp(rng.normal(-4.5, 0.7, (trials, 1))) * np.sqrt(1 - time)
    curves = final[:, None] - missing - faded + wander * rng.normal(size=(trials, epochs))
    return np.clip(curves, 0.05, 0.99)


def outcomes(rng: np.random.Generator, curves: np.ndarray, images: int) -> np.ndarray:
    """Whether each trial is correct on each image after each epoch: [trials, epochs, images].

    An image has a hardness that is the same for all, one for the trial and one for the epoch.
    """
    trials, epochs = curves.shape
    shared = rng.normal(size=images).astype(np.float32)
    own = rng.normal(size=(trials, 1, images)).astype(np.float32)
    rest = rng.normal(size=(trials, epochs, images)).astype(np.float32)
    hardness = np.sqrt(SHARED) * shared + np.sqrt(OWN) * own + np.sqrt(1 - SHARED - OWN) * rest
    return hardness < norm.ppf(curves)[:, :, None]


def run_sweep(
    trials: int, epochs: int, judge: Judge, rng: np.random.Generator, workers: int
) -> tuple[np.ndarray, np.ndarray]:
    """The epochs that each trial trains, and whether it is dropped: int and bool [trials]."""
    pace, trained = np.exp(rng.normal(0, 0.3, trials)), np.zeros(trials, int)
    dropped, waiting = np.zeros(trials, bool), iter(rng.permutation(trials))
    due = [(pace[trial], trial) for _, trial in zip(range(workers), waiting, strict=False)]
    heapq.heapify(due)
    while due:
        now, trial = heapq.heappop(due)
        trained[trial] += 1
        dropped[trial] = judge(trial, trained[trial]) and trained[trial] < epochs
        if dropped[trial] or trained[trial] == epochs:
            trial = next(waiting, None)
        if trial is not None:
            heapq.heappush(due, (now + pace[trial], trial))
    return trained, dropped


def race(correct: np.ndarray) -> Judge:
    trials, epochs, _ = correct.shape
    values = correct.mean(2)
    seen: dict[int, list[Curve]] = {}

    def judge(trial: int, epoch: int) -> bool:
        (curve,) = seen.setdefault(trial, [Curve(epochs, {})])
        looks = {**curve.looks, epoch: Marks(values[trial, epoch - 1], correct[trial, epoch - 1])}
        seen[trial] = [Curve(epochs, looks)]
        found = verdict(SCORING, trial, seen, trials)
        return found is not None and found.drop

    return judge


def of_optuna(pruner: Callable[[int], Any]) -> Callable[[np.ndarray], Judge]:
    """A pruner of Optuna, as users call it."""

    def judge_of(correct: np.ndarray) -> Judge:
        epochs, values = correct.shape[1], correct.mean(2)
        study = optuna.create_study(direction="maximize", pruner=pruner(epochs))
        running: dict[int, optuna.Trial] = {}

        def judge(trial: int, epoch: int) -> bool:
            if trial not in running:
                running[trial] = study.ask()
            value = float(values[trial, epoch - 1])
            running[trial].report(value, epoch)
            if epoch < epochs and running[trial].should_prune():
                study.tell(running[trial], state=optuna.trial.TrialState.PRUNED)
                return True
            if epoch == epochs:
                study.tell(running[trial], value)
            return False

        return judge

    return judge_of


WAYS = {
    "race": race,
    "hyperband": of_optuna(lambda epochs: optuna.pruners.HyperbandPruner(max_resource=epochs)),
    "successive_halving": of_optuna(lambda epochs: optuna.pruners.SuccessiveHalvingPruner()),
    "median": of_optuna(lambda epochs: optuna.pruners.MedianPruner()),
}


def compare(correct: np.ndarray, true: np.ndarray, seed: int, workers: int) -> dict[str, Any]:
    """What each way does with one sweep: epochs, best lost, loss of the chosen one.

    Args:
        correct: [trials, epochs, images].
        true: The true accuracy of each trial at its end.
    """
    found = {}
    trials, epochs, _ = correct.shape
    for way, judge in WAYS.items():
        rng = np.random.default_rng(seed)
        trained, dropped = run_sweep(trials, epochs, judge(correct), rng, workers)
        ends = np.where(dropped, -1, correct[:, -1].mean(1))
        lost = true[~dropped].max(initial=0) < true.max()
        found[way] = (trained.mean() / epochs, lost, true.max() - true[ends.argmax()])
    return found


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    names = ("epochs", "best_lost", "worse_by")
    return {
        way: dict(
            zip(names, np.mean([one[way] for one in found], 0).round(4).tolist(), strict=True)
        )
        for way in WAYS
    }


def simulated(
    trials: int, epochs: int, images: int, family: str, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    curves = true_curves(rng, trials, epochs, family)
    return outcomes(rng, curves, images), curves[:, -1]


def real(folder: Path, images: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The trials of a folder on some of the images; the others tell the truth.

    Each trial is a file NAME.npz with `probabilities` [epochs, N, K] and `labels` [N].
    """
    files = [np.load(file) for file in sorted(folder.glob("*.npz"))]
    correct = np.array([one["probabilities"].argmax(2) == one["labels"] for one in files])
    order = np.random.default_rng(seed).permutation(correct.shape[2])
    return correct[:, :, order[:images]], correct[:, -1, order[images:]].mean(1)


@click.command()
@click.option("--sweeps", default=40, show_default=True, help="Of each kind.")
@click.option("--trials", default="10,40,100", show_default=True)
@click.option("--epochs", default="3,10,20", show_default=True)
@click.option("--images", default="192,500,2000", show_default=True, help="To validate.")
@click.option("--workers", default=2, show_default=True)
@click.option("--curves", type=click.Path(exists=True, path_type=Path), help="Of a real sweep.")
def main(curves: Path | None, sweeps: int, workers: int, **options: str) -> None:
    """Compare the ways on simulated sweeps, or on those of --curves."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    numbers = {name: [int(one) for one in text.split(",")] for name, text in options.items()}
    figures: dict[str, Any] = {}
    if curves:
        for images in numbers["images"]:
            draw = partial(real, curves, images)
            found = [compare(*draw(seed), seed=seed, workers=workers) for seed in range(sweeps)]
            figures[f"{images} images"] = summary(found)
    else:
        for trials, epochs, images in zip(*numbers.values(), strict=True):
            for family in FAMILIES:
                draw = partial(simulated, trials, epochs, images, family)
                found = [compare(*draw(seed), seed=seed, workers=workers) for seed in range(sweeps)]
                name = f"{trials} trials, {epochs} epochs, {images} images, {family}"
                figures[name] = summary(found)
    report("race", {"sweeps": sweeps, "workers": workers, "figures": figures})


if __name__ == "__main__":
    main()
