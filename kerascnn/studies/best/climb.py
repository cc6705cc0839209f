"""Climbs the ladder: tries one rung after another while there is time for it and for the end."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kerascnn.engine.data.download import NotAtHandError, without_downloads
from kerascnn.engine.metrics.calibration import fit_temperature, tempered
from kerascnn.engine.metrics.score import Standing, judge
from kerascnn.engine.metrics.significance import paired_interval, wilson_interval
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.run.session import Session
from kerascnn.run.trial import LABELS, VALIDATION, TrialResult, run_trial
from kerascnn.runtime.redact import scrubbed
from kerascnn.studies.best.clock import Clock
from kerascnn.studies.best.heard import Heard, OutOfTimeError
from kerascnn.studies.best.ladder import Alternatives, ladder
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

    def run(self) -> None:
        """Tries what there is time for; on return `so_far` has it."""
        for alternatives in ladder(self.networks, lambda: self.so_far):
            tried = {one.rung for one in self.so_far.tried if one.state in (DONE, FAILED)}
            if tried.isdisjoint(alternatives):
                self._try(self._fitting(alternatives))

    @property
    def standing(self) -> Standing | None:
        """That of the best so far on the validation images, calibrated."""
        best = self.so_far.best
        return self._standing(best) if best else None

    def reserve(self, rung: Rung | None, retrained: bool = True) -> float:
        """The seconds that running a rung in full takes; of the best so far without one."""
        chosen = rung or (self.so_far.best and self.so_far.best.rung)
        return self.clock.final(chosen, retrained) if chosen else 0.0

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
            self._end(_left_out(one, expected + self.reserve(rung), self.clock.left))
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
            self._end(_left_out(one, late.needs + self.reserve(rung), self.clock.left))
        except NotAtHandError as absent:
            self._end(replace(one, state=LEFT_OUT, reason=str(absent)))
        except Exception as error:
            reason = scrubbed(str(error) or type(error).__name__)
            self._end(replace(one, state=FAILED, reason=reason))
        else:
            self._measure(rung, done)
            self._end(self._judged(one, done.seconds))

    def _number(self, rung: Rung) -> int:
        """That of the rung if it was left out before, else the next one."""
        known = {one.rung: one.number for one in self.so_far.tried}
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

    def _standing(self, one: Tried) -> Standing:
        probabilities, labels = self._predicted(one)
        assert one.temperature
        return judge(tempered(probabilities, one.temperature), labels)

    def _predicted(self, one: Tried) -> tuple[np.ndarray, np.ndarray]:
        folder = self._folder(one)
        return np.load(folder / VALIDATION), np.load(folder / LABELS)

    def _judged(self, one: Tried, seconds: float) -> Tried:
        """What was tried with what the validation images say of it, against the best before."""
        before = self.standing
        one = replace(one, temperature=fit_temperature(*self._predicted(one)))
        own = self._standing(one)
        if before:
            gain = own.accuracy - before.accuracy
            gain_interval = paired_interval(before.correct, own.correct)
            one = replace(one, gain=gain, gain_interval=gain_interval)
        return replace(
            one,
            state=DONE,
            seconds=seconds,
            val_accuracy=own.accuracy,
            interval=wilson_interval(int(own.correct.sum()), len(own.correct)),
            val_loss=own.loss,
            better=before is None or own.loss < before.loss,
        )

    def _note(self, one: Tried) -> None:
        self.so_far = self.so_far.with_tried(one)
        self.so_far.write()

    def _end(self, one: Tried) -> None:
        self._note(one)
        self.observer.tried(one, self.so_far)


def _left_out(one: Tried, needs: float, left: float) -> Tried:
    reason = f"needs about {needs:.0f} s, of {max(left, 0):.0f} s left"
    return replace(one, state=LEFT_OUT, seconds=needs, reason=reason)
