"""The time of a study: what is left, and what each rung is expected to take of it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

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
    _prefix: dict[tuple[str, int], float] = field(default_factory=dict)  # seconds an image
    _fit: dict[tuple[str, int, str], float] = field(default_factory=dict)  # and epoch
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
            speed = one.prefix_seconds / one.rows_made
            self._prefix[rung.network, rung.image_size] = speed
        per_epoch = one.fit_seconds / (rung.epochs * self.counts.train)
        self._fit[rung.network, rung.image_size, rung.kind] = per_epoch
        self._trials.append(one.seconds - one.prefix_seconds - one.fit_seconds)

    def trial(self, rung: Rung) -> float | None:
        """The expected seconds of a rung; None if nothing is known of its network here."""
        fit = self._fit_of(rung)
        if fit is None:
            return None
        prefix = self._prefix.get((rung.network, rung.image_size), 0.0) * rung.views
        if rung.kind == FROZEN:  # its images have been through the prefix if its speed is known
            prefix = 0.0
        return self._around + (prefix + fit * rung.epochs) * self.counts.train

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
        prefix = self._prefix.get((rung.network, rung.image_size), 0.0)
        return UNFOLDED * prefix * images

    def _retrained(self, rung: Rung, more_epochs: int) -> float:
        """The training on the validation images too, whose views alone are not stored yet."""
        if not more_epochs:
            return 0.0
        more = rung.continued(more_epochs).more_epochs
        fit = (self._fit_of(rung) or 0.0) * (more or rung.epochs) * self.counts.both
        prefix = self._prefix.get((rung.network, rung.image_size), 0.0)
        return SLACK * (fit + prefix * more * self.counts.validation)

    @property
    def _around(self) -> float:
        """Seconds of a trial beside frozen prefix and fit; the first one also compiles."""
        return min(self._trials, default=0.0)

    def _fit_of(self, rung: Rung) -> float | None:
        """Seconds of an epoch for each image, measured or supposed."""
        known = self._fit.get((rung.network, rung.image_size, rung.kind))
        prefix = self._prefix.get((rung.network, rung.image_size))
        if known is None and prefix is not None and rung.kind == FINETUNED:
            return TRAINING_BY_PREFIX * prefix
        return known
