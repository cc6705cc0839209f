"""The time of a study: what is left, and what each rung is expected to take of it."""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from kerascnn.studies.best.result import Tried
from kerascnn.studies.best.rungs import FINETUNED, FROZEN, Rung

SLACK = 1.15
"""A margin on what the end trains; a trial that takes longer than expected leaves less for it."""
TRAINING_BY_PREFIX = 1.3
"""Time to train an image behind the boundary by that of the frozen prefix, until it is measured."""
UNFOLDED = 1.5
"""Time of a whole network by that of its frozen prefix, which runs faster."""
CLOSING_SECONDS = 3.0
CLOSING_BY_TRIAL = 2.0
"""To save the model, draw the report and end the process: for each network in it, and by what is
around a trial's training."""


Speeds = dict[int, float]
"""Seconds an image (and epoch), by the size of the images."""


@dataclass(frozen=True)
class Counts:
    """The number of images in each split, and of those whose features a run keeps at its end."""

    train: int
    validation: int
    test: int
    known: int = 0

    @property
    def both(self) -> int:
        return self.train + self.validation


@dataclass
class Clock:
    """Measures how fast networks are here, and what is left of the time.

    Args:
        seconds: Those of the study in this process.
        start: By `time.perf_counter`.
    """

    seconds: float
    start: float
    counts: Counts
    _prefix: dict[str, Speeds] = field(default_factory=partial(defaultdict, dict))
    _fit: dict[tuple[str, str], Speeds] = field(default_factory=partial(defaultdict, dict))
    _trials: list[float] = field(default_factory=list)  # seconds of neither prefix nor fit

    @property
    def left(self) -> float:
        return self.seconds - (time.perf_counter() - self.start)

    def measured(self, one: Tried) -> None:
        """Notes what a rung has taken."""
        rung = one.rung
        if rung is None:
            return
        if one.rows_made:
            self._prefix[rung.network][rung.image_size] = one.prefix_seconds / one.rows_made
        per_epoch = one.fit_seconds / (rung.epochs * self.counts.train)
        self._fit[rung.network, rung.kind][rung.image_size] = per_epoch
        self._trials.append(one.seconds - one.prefix_seconds - one.fit_seconds)

    def trial(self, rung: Rung) -> float | None:
        """The expected seconds of a rung; None if nothing is known of its network here."""
        fit = self._fit_of(rung)
        if fit is None:
            return None
        views = 0 if rung.kind == FROZEN else rung.views
        if rung.image_size not in self._prefix[rung.network]:
            views += 1  # the images as they are, for the head
        passes = self._prefix_of(rung) * views + fit * rung.epochs
        return self._around + passes * self.counts.train

    def final(self, rungs: Sequence[Rung], more_epochs: int) -> float:
        """The expected seconds to run rungs in full, tested, and the mean of several.

        Args:
            more_epochs: Of each fine-tuned one on more images than before; with 0 none is trained.
        """
        closing = CLOSING_SECONDS * len(rungs) + CLOSING_BY_TRIAL * self._around
        each = sum(
            self._around + self._tested(rung) + self._retrained(rung, more_epochs) for rung in rungs
        )
        mean = sum(self._tested(rung) + self._known(rung) for rung in rungs)
        return closing + each + (mean if len(rungs) > 1 else 0.0)

    def _tested(self, rung: Rung) -> float:
        return self._whole(rung, self.counts.test + self.counts.validation)

    def _known(self, rung: Rung) -> float:
        return self._whole(rung, self.counts.known)

    def _whole(self, rung: Rung, images: int) -> float:
        """The seconds of a whole network for some images."""
        return UNFOLDED * self._prefix_of(rung) * images

    def _retrained(self, rung: Rung, more_epochs: int) -> float:
        """The training on the validation images too, whose views alone are not stored yet."""
        if not more_epochs:
            return 0.0
        more = rung.continued(more_epochs).more_epochs
        fit = (self._fit_of(rung) or 0.0) * (more or rung.epochs) * self.counts.both
        return SLACK * (fit + self._prefix_of(rung) * more * self.counts.validation)

    @property
    def _around(self) -> float:
        """Seconds of a trial beside frozen prefix and fit; the first one also compiles."""
        return min(self._trials, default=0.0)

    def _fit_of(self, rung: Rung) -> float | None:
        """Seconds of an epoch for each image, measured or supposed."""
        known = self._fit[rung.network, rung.kind]
        if not known and self._prefix[rung.network] and rung.kind == FINETUNED:
            return TRAINING_BY_PREFIX * self._prefix_of(rung)
        return _at(known, rung.image_size)

    def _prefix_of(self, rung: Rung) -> float:
        """Seconds of the frozen prefix for each image; 0 if nothing is known of it."""
        return _at(self._prefix[rung.network], rung.image_size) or 0.0


def _at(speeds: Speeds, image_size: int) -> float | None:
    """Those at a size, measured or by the pixels of the nearest one; None if there is none."""
    if not speeds:
        return None
    nearest = min(speeds, key=lambda size: abs(size - image_size))
    return speeds[nearest] * (image_size / nearest) ** 2
