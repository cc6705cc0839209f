"""The race of a sweep: a trial is dropped when the validation images show that it is worse.

After F-race (Birattari et al. 2002, GECCO): all trials are judged on the same images, so two are
compared image by image, and the one that is worse is dropped. F-race compares trained algorithms
on more and more images. Here the images are fixed and the training progresses, which changes two
things. All looks share their images, so that sequential tests for growing samples do not apply:
the level is divided among opponents and looks (Bonferroni), which holds however they depend on
one another. And learning curves cross: see `verdict`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from kerascnn.engine.metrics.named import NamedMetric, resampled
from kerascnn.engine.metrics.score import LEAST_PROBABILITY
from kerascnn.engine.metrics.significance import combined, equally_accurate, mean_error
from kerascnn.errors import PluginError

LEVEL = 0.05
"""The probability of dropping the best trial, at most, if no curve crosses more than allowed."""

RESAMPLES = 200
"""Bootstrap samples of a named metric at each look: its standard error is known to 5%."""

ACCURACY, LOSS = "val_accuracy", "val_loss"


@dataclass(frozen=True, eq=False)
class Marks:
    """How well weights do on the validation images; greater is better.

    Args:
        value: The metric; negated if smaller values are better.
        parts: Of each image [N] whether it is correct (bool), or the log-probability of its class
            (float32). Of a named metric its values in bootstrap samples [R] (float32), negated if
            smaller values are better, NaN where it is not defined.
    """

    value: float
    parts: np.ndarray


@dataclass(frozen=True)
class Scoring:
    """Marks trials by a metric, and compares them.

    Args:
        metric: "val_accuracy", "val_loss" or "val_NAME".
        named: The metric of the experiment that "val_NAME" is; None for the other two.
    """

    metric: str
    named: NamedMetric | None = None

    @property
    def sign(self) -> int:
        """1 if greater values of the metric are better, else -1."""
        return self.named.sign if self.named else 1 if self.metric == ACCURACY else -1

    def marks(self, probabilities: np.ndarray, labels: np.ndarray) -> Marks | None:
        """The marks of probabilities [N, K] by labels [N]; None if the metric is not defined."""
        if self.named:
            return self._of_named(self.named, probabilities, labels)
        if self.metric == ACCURACY:
            parts = probabilities.argmax(1) == labels
        else:
            of_label = probabilities[np.arange(len(labels)), labels]
            parts = np.log(np.clip(of_label, LEAST_PROBABILITY, 1)).astype(np.float32)
        return Marks(float(parts.mean(dtype=float)), parts)

    def _of_named(
        self, metric: NamedMetric, probabilities: np.ndarray, labels: np.ndarray
    ) -> Marks | None:
        try:
            value = metric.compute(labels, probabilities, "validation")
        except PluginError:
            return None
        if np.isnan(value):
            return None
        (drawn,) = resampled([metric], labels, probabilities, most=RESAMPLES).values()
        return Marks(self.sign * value, (self.sign * drawn).astype(np.float32))

    def p_value(self, first: Sequence[Marks], second: Sequence[Marks]) -> float:
        """The two-sided p-value that two entrants are equally good.

        McNemar's exact test of whether images are correct; else a t-test of pairs of images, or
        of a named metric with its bootstrap standard error. With several seeds, the variance
        among seeds is added to that among images, as in `significance.grouped_difference`.

        Args:
            first: The marks of an entrant's seeds, on the same images in the same order.
            second: Those of another one.
        """
        if self.metric == ACCURACY and len(first) == len(second) == 1:
            one, other = first[0].parts, second[0].parts
            return equally_accurate(one, other)
        from scipy.stats import t

        difference = value_of(first) - value_of(second)
        seeds = [[one.value for one in entrant] for entrant in (first, second) if len(entrant) > 1]
        errors = [self.error(_mean_parts(first) - _mean_parts(second))]
        error, freedom = combined(errors + [mean_error(np.array(values)) for values in seeds])
        return 2 * float(t.sf(abs(difference) / error, freedom)) if error else float(not difference)

    def error(self, parts: np.ndarray) -> tuple[float, int]:
        """The squared standard error of the value of parts [M], and its degrees of freedom."""
        if not self.named:
            return mean_error(parts)
        defined = parts[~np.isnan(parts)]
        return (float(defined.var(ddof=1)), len(defined) - 1) if len(defined) > 2 else (np.inf, 1)


def value_of(seeds: Sequence[Marks]) -> float:
    """The value of an entrant: the mean over its seeds."""
    return float(np.mean([one.value for one in seeds]))


def _mean_parts(seeds: Sequence[Marks]) -> np.ndarray:
    return np.mean([one.parts for one in seeds], axis=0, dtype=float)


@dataclass(frozen=True, eq=False)
class Curve:
    """What one seed of an entrant has shown in the stage that decides.

    Args:
        epochs: Of the stage, at most.
        looks: The marks after each epoch, by its number from 1.
    """

    epochs: int
    looks: Mapping[int, Marks]

    @property
    def share(self) -> Fraction:
        """How much of the stage it has trained."""
        return Fraction(max(self.looks), self.epochs)

    def until(self, share: Fraction) -> list[int]:
        """The epochs of the looks up to that share of the stage."""
        return [epoch for epoch in sorted(self.looks) if Fraction(epoch, self.epochs) <= share]


@dataclass(frozen=True)
class Verdict:
    """What comparing a trial with the best so far says; values are those of `Marks`.

    Args:
        leader: The number of the best entrant so far.
        epoch: Of the leader's look.
        mine: The trial's best value so far.
        theirs: The leader's value at that look.
        p_value: That the trial is not worse, corrected for opponents and looks.
    """

    leader: int
    epoch: int
    mine: float
    theirs: float
    p_value: float

    @property
    def drop(self) -> bool:
        return self.p_value <= LEVEL


def verdict(
    scoring: Scoring, entrant: int, race: Mapping[int, Sequence[Curve]], entrants: int
) -> Verdict | None:
    """Compares an entrant, whose last seed is training, with the best entrant so far.

    A slow starter that ends best must not be dropped, and it has time to catch up: at a share s of
    the stage, a trial's best look so far is compared with the worst that the leader has shown from
    s (1 + s) / 2 to s. That is half of s at the beginning and all of it at the end; at epoch 6 of
    10 it is the leader's epochs 4 to 6. If the best trial is never further behind the leader than
    that, it is dropped with a probability of at most `LEVEL`, whatever the others are.

    The correction is Bonferroni's, for every opponent that may lead and for the looks that
    `distinct_looks` counts.

    Args:
        scoring: What marked all of them.
        entrant: The number of the entrant to judge.
        race: The curves of each entrant's seeds by the entrant's number; each has a look. What
            was dropped or is still training belongs to it, but what failed does not.
        entrants: Number of entrants of the whole sweep, at most; as many as `race` has, or more.

    Returns:
        None if there is no one to compare it with yet, or it has trained all epochs.
    """
    own = race[entrant][-1]
    share = own.share
    ahead = {
        number: [curve for curve in seeds if curve.share >= share and curve.until(_since(share))]
        for number, seeds in race.items()
        if number != entrant
    }
    leader = max((n for n in ahead if ahead[n]), key=lambda n: _standing(ahead[n]), default=None)
    if leader is None or share == 1:
        return None
    epoch, theirs = _worst(ahead[leader], share)
    shown = [marks for curve in race[entrant] for marks in curve.looks.values()]
    mine = max(shown, key=lambda marks: marks.value)
    p_value = 1.0
    if mine.value < theirs.value:
        times = (entrants - 1) * distinct_looks(own.epochs)
        p_value = min(1.0, scoring.p_value([mine], [theirs]) / 2 * times)
    return Verdict(leader, epoch, mine.value, theirs.value, p_value)


def distinct_looks(epochs: int) -> int:
    """The number of looks to correct for: 3 of 10 epochs, 6 of 20.

    All epochs whose windows share an epoch count once: a trial that is worse than all that the
    leader shows in its window is worse at the shared epoch too, whose look both windows have. It
    is the fewest epochs of which one is in every window.
    """
    counted, last = 0, 0
    for epoch in range(2, epochs):
        first = int(_since(Fraction(epoch, epochs)) * epochs)
        if first > last:
            counted, last = counted + 1, epoch
    return max(1, counted)


def _since(share: Fraction) -> Fraction:
    return share * (1 + share) / 2


def _standing(seeds: Sequence[Curve]) -> float:
    return value_of([curve.looks[max(curve.looks)] for curve in seeds])


def _worst(seeds: Sequence[Curve], share: Fraction) -> tuple[int, Marks]:
    """The epoch and marks of the worst look in the window that ends at the share."""
    looks = [
        (epoch, curve.looks[epoch])
        for curve in seeds
        for epoch in curve.until(share)
        if epoch >= curve.until(_since(share))[-1]
    ]
    return min(looks, key=lambda look: look[1].value)
