"""Climbs the ladder: tries one rung after another while there is time for it and for the end."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from kerascnn.engine.data.download import NotAtHandError, without_downloads
from kerascnn.engine.metrics.calibration import AS_TRAINED, fit_temperature, tempered
from kerascnn.engine.metrics.score import judge
from kerascnn.engine.metrics.significance import paired_interval, wilson_interval
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.results.page import seconds
from kerascnn.run.session import Session
from kerascnn.run.trial import LABELS, VALIDATION, TrialResult, run_trial
from kerascnn.runtime.redact import scrubbed
from kerascnn.studies.best.clock import Clock
from kerascnn.studies.best.heard import Heard, OutOfTimeError
from kerascnn.studies.best.ladder import Alternatives, ladder
from kerascnn.studies.best.mean import choose_members
from kerascnn.studies.best.observer import BestObserver
from kerascnn.studies.best.result import DONE, FAILED, LEFT_OUT, RUNNING, BestResult, Tried
from kerascnn.studies.best.rungs import Rung
from kerascnn.tracking.journal import TRIALS


@dataclass
class Climb:
    """Tries rungs and keeps what they were worth.

    Args:
        base: The study's experiment.
        class_weights: Of the stages, if the classes are uneven.
        networks: To try, the first ones first.
        warned: Receives each warning once.
        so_far: What was tried before.
    """

    base: BoundExperiment
    class_weights: str | None
    networks: tuple[str, ...]
    session: Session
    clock: Clock
    observer: BestObserver
    warned: Callable[[str], None]
    so_far: BestResult
    _late: set[Rung] = field(default_factory=set)  # left out by this process
    _said: dict[int, np.ndarray] = field(default_factory=dict)

    def run(self) -> None:
        """Tries what there is time for; on return `so_far` has it."""
        for alternatives in ladder(self.networks, lambda: self.so_far):
            met = {one.rung for one in self.so_far.tried if one.state in (DONE, FAILED)}
            if (met | self._late).isdisjoint(alternatives):
                self._try(self._fitting(alternatives))

    def finished(self) -> Tried | None:
        """The best, or the mean of several if its loss is lower, which is then tried too."""
        best = self.so_far.best
        members = self._members()
        if len(members) < 2 or self.reserve(retrained=False) > self.clock.left:
            return best
        mean = np.mean([self._calibrated(self.so_far.tried[number]) for number in members], axis=0)
        what = f"the mean of {', '.join(self.so_far.tried[number].what for number in members)}"
        taken = sum(self.so_far.tried[number].seconds for number in members)
        one = Tried(len(self.so_far.tried), what, DONE, members=members, seconds=taken)
        self._end(self._judged(one, mean, self._labels))
        return self.so_far.best

    def _members(self) -> tuple[int, ...]:
        """The best to average, of those with the image size of the best."""
        best = self.so_far.best
        size = best and best.rung and best.rung.image_size
        alike = [
            one
            for one in self.so_far.tried
            if one.state == DONE and one.rung and one.rung.image_size == size
        ]
        said = {one.number: self._calibrated(one) for one in alike}
        return choose_members(said, self._labels) if said else ()

    def reserve(self, rung: Rung | None = None, retrained: bool = True) -> float:
        """The seconds that the end takes: that of the best so far, with another rung."""
        numbers = self._members()
        rungs = [self.so_far.tried[number].rung for number in numbers] + [rung]
        distinct = [one for one in dict.fromkeys(rungs) if one]
        return self.clock.final(distinct, retrained) if distinct else 0.0

    def _fitting(self, alternatives: Alternatives) -> Rung:
        """The first for which there is time; the last if there is for none."""
        *others, last = alternatives
        fitting = (rung for rung in others if self._expected(rung) <= self._allowed(rung))
        return next(fitting, last)

    def _expected(self, rung: Rung) -> float:
        return self.clock.trial(rung) or 0.0

    def _allowed(self, rung: Rung) -> float:
        """The seconds that a rung may take; what is reserved is for the end.

        A network whose speed is not known may take all but what the best so far needs.
        """
        return self.clock.left - self.reserve(rung if self._expected(rung) else None)

    def _try(self, rung: Rung) -> None:
        one = Tried(self._number(rung), rung.what, RUNNING, rung)
        expected, allowed = self._expected(rung), self._allowed(rung)
        if expected > allowed or allowed <= 0:
            self._leave_out(one, rung, expected)
            return
        self._note(one)
        self.observer.trying(rung.what, self.so_far)
        heard = Heard(self.observer, self.warned, rung.what, allowed)
        try:
            with without_downloads():
                done = run_trial(
                    rung.of(self.base, self.class_weights),
                    heard,
                    session=self.session,
                    folder=self._folder(one),
                    name=rung.what,
                    parent=self.so_far.study,
                )
        except OutOfTimeError as late:
            self._leave_out(one, rung, late.needs)
        except NotAtHandError as absent:
            self._end(replace(one, state=LEFT_OUT, reason=str(absent)))
        except Exception as error:
            reason = scrubbed(str(error) or type(error).__name__)
            self._end(replace(one, state=FAILED, reason=reason))
        else:
            self._measure(rung, done)
            one = replace(one, seconds=done.seconds)
            self._end(self._judged(one, done.look.probabilities, done.look.labels))

    def _leave_out(self, one: Tried, rung: Rung, needs: float) -> None:
        needs, left = needs + self.reserve(rung), max(self.clock.left, 0.0)
        self._late.add(rung)
        reason = f"needs about {seconds(needs)}, of {seconds(left)} left"
        self._end(replace(one, state=LEFT_OUT, seconds=needs, reason=reason))

    def _number(self, rung: Rung) -> int:
        """That of the rung if it was left out before, else the next one."""
        known = {one.rung: one.number for one in self.so_far.tried if one.rung}
        return known.get(rung, len(self.so_far.tried))

    def _folder(self, one: Tried) -> Path:
        return self.so_far.folder / TRIALS / str(one.number)

    def _measure(self, rung: Rung, done: TrialResult) -> None:
        stages = done.stages
        self.clock.measured(
            rung,
            done.seconds,
            prefix=sum(stage.prefix_seconds for stage in stages),
            made=sum(stage.cached.made for stage in stages),
            fit=stages[-1].fit_seconds,
        )

    @property
    def _labels(self) -> np.ndarray:
        first = next(one for one in self.so_far.tried if one.state == DONE)
        return np.load(self._folder(first) / LABELS)

    def _calibrated(self, one: Tried) -> np.ndarray:
        """Probabilities of the validation images, float [N, K]."""
        if one.number not in self._said:
            raw = np.load(self._folder(one) / VALIDATION)
            self._said[one.number] = tempered(raw, one.temperature or AS_TRAINED)
        return self._said[one.number]

    def _judged(self, one: Tried, probabilities: np.ndarray, labels: np.ndarray) -> Tried:
        """What was tried with what the validation images say of it, against the best before."""
        before = self.so_far.best
        temperature = fit_temperature(probabilities, labels)
        own = judge(tempered(probabilities, temperature), labels)
        one = replace(
            one,
            state=DONE,
            val_accuracy=own.accuracy,
            interval=wilson_interval(int(own.correct.sum()), len(own.correct)),
            val_loss=own.loss,
            temperature=temperature,
            better=before is None or own.loss < (before.val_loss or 0.0),
        )
        if before is None:
            return one
        correct = self._calibrated(before).argmax(1) == labels
        gain = own.accuracy - float(correct.mean())
        return replace(one, gain=gain, gain_interval=paired_interval(correct, own.correct))

    def _note(self, one: Tried) -> None:
        self.so_far = self.so_far.with_tried(one)
        self.so_far.write()

    def _end(self, one: Tried) -> None:
        self._note(one)
        self.observer.tried(one, self.so_far)
