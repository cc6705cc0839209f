"""Climbs the ladder: tries one rung after another while there is time for it and for the end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from kerascnn.engine.data.sources.download import NotAtHandError, without_downloads
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
from kerascnn.studies.best.mean import LARGEST, candidates
from kerascnn.studies.best.observer import BestObserver
from kerascnn.studies.best.result import DONE, FAILED, LEFT_OUT, RUNNING, BestResult, Ending, Tried
from kerascnn.studies.best.rungs import (
    FEWEST_MORE,
    FINETUNED,
    FROZEN,
    HEAD_EPOCHS,
    MORE_EPOCHS,
    Rung,
)
from kerascnn.tracking.journal import TRIALS

UNKNOWN_SHARE = 0.25
"""Of the whole time: the limit for a network whose speed is not known, unless it is the first. With
less left it is not begun."""


@dataclass
class Climb:
    """Tries rungs and keeps what they were worth.

    Args:
        base: The study's experiment.
        class_weights: Of the stages, if the classes are uneven.
        networks: To try, the first ones first.
        warned: Receives each warning once.
        so_far: What was tried before.
        ends: How often the best is run in full.
        head_epochs: Of a stage that trains the head alone.
    """

    base: BoundExperiment
    class_weights: str | None
    networks: tuple[str, ...]
    session: Session
    clock: Clock
    observer: BestObserver
    warned: Callable[[str], None]
    so_far: BestResult
    ends: int = 1
    head_epochs: int = HEAD_EPOCHS
    _late: set[Rung] = field(default_factory=set)  # left out by this process
    _said: dict[int, np.ndarray] = field(default_factory=dict)

    def run(self) -> None:
        """Tries what there is time for; on return `so_far` has it."""
        for one in self.so_far.tried:
            if one.state == DONE:
                self.clock.measured(one)
        for alternatives in ladder(self.networks, lambda: self.so_far, self.head_epochs):
            met = {one.rung for one in self.so_far.tried if one.state in (DONE, FAILED)}
            if (met | self._late).isdisjoint(alternatives):
                self._try(self._fitting(alternatives))

    def finished(self, in_haste: bool = False) -> Ending | None:
        """What is run in the end; None if nothing is done.

        The mean of several that may each be the best is it, of as many as there is time to run; it
        is then tried too. Training on more images is worth more than a mean.

        Args:
            in_haste: Train nothing anew.
        """
        members = self._members()
        for more in (0,) if in_haste else (FEWEST_MORE, 0):
            for count in range(len(members), 0, -1):
                some, last = members[:count], count == 1 and not more
                if last or self._fits(self._rungs(some), more):
                    epochs = self._most_epochs(self._rungs(some)) if more else 0
                    one = self._mean(some) if count > 1 else self.so_far.tried[some[0]]
                    return Ending(one, epochs)
        return None

    def _most_epochs(self, rungs: Sequence[Rung]) -> int:
        """On the validation images too: as many as there is time for."""
        return next((more for more in MORE_EPOCHS if self._fits(rungs, more)), FEWEST_MORE)

    def _mean(self, members: Sequence[int]) -> Tried:
        """The mean of these, judged; it is the best, since none of them surely is."""
        parts = [self.so_far.tried[number] for number in members]
        mean = self._averaged(members)
        what = f"the mean of {'; '.join(part.what for part in parts)}"
        taken = sum(part.seconds for part in parts)
        one = Tried(len(self.so_far.tried), what, DONE, members=tuple(members), seconds=taken)
        one = replace(self._judged(one, mean, self._labels), better=True)
        self._end(one)
        return one

    def not_told_apart(self) -> list[int]:
        """The numbers of others that may be as good as the best."""
        may_be = candidates(self._done(), self._labels)
        return sorted(number for number in may_be if self.so_far.tried[number] != self.so_far.best)

    def failed(self, one: Tried, reason: str) -> None:
        """Notes that what was the best has failed in the end."""
        self._end(replace(one, state=FAILED, better=False, reason=reason))

    def _fits(self, rungs: Sequence[Rung], more_epochs: int) -> bool:
        return self.ends * self.clock.final(rungs, more_epochs) <= self.clock.left

    def _members(self) -> tuple[int, ...]:
        """Those to average, the best first: the validation images do not tell them apart."""
        best = self.so_far.best
        if best is None or best.rung is None:
            return ()
        return tuple(candidates(self._done(), self._labels)[:LARGEST])

    def _done(self) -> dict[int, np.ndarray]:
        """What each that is done says of the validation images, by its number."""
        done = [one for one in self.so_far.tried if one.state == DONE]
        return {one.number: self._calibrated(one) for one in done}

    def _averaged(self, members: Sequence[int]) -> np.ndarray:
        said = [self._calibrated(self.so_far.tried[number]) for number in members]
        return np.mean(said, axis=0)

    def _rungs(self, members: Sequence[int]) -> list[Rung]:
        return [one.rung for one in map(self.so_far.tried.__getitem__, members) if one.rung]

    def _reserve(self, rung: Rung, more_epochs: int) -> float:
        """The seconds that the end takes: of the best, one or a mean, or of the rung with the best.

        A fine-tuned network is worth more than a mean of frozen ones, which has no time reserved
        then.

        Args:
            more_epochs: For which there has to be time, of the rung on the validation images too.
        """
        best = self.so_far.best and self.so_far.best.rung
        together = [one for one in {rung, best} if one and one.kind == rung.kind == FINETUNED]
        members = [
            one
            for one in self._rungs(self._members())
            if one == best or one.kind == rung.kind or rung.kind == FROZEN
        ]
        ends = [self.clock.final(members, FEWEST_MORE)] if members else []
        if self.clock.trial(rung):
            ends.append(self.clock.final(together or [rung], more_epochs))
        return self.ends * max(ends, default=0.0)

    def _fitting(self, alternatives: Alternatives) -> Rung:
        """The first for which there is time, the last if there is for none."""
        fitting = (one for one in alternatives if self._expected(one) <= self._allowed(one))
        return next(fitting, alternatives[-1])

    def _expected(self, rung: Rung) -> float:
        return self.clock.trial(rung) or 0.0

    def _allowed(self, rung: Rung, more_epochs: int = FEWEST_MORE) -> float:
        """The seconds available for a rung: all but what the end needs.

        A network whose speed is not known must not leave others without time.
        """
        allowed = self.clock.left - self._reserve(rung, more_epochs)
        if self.so_far.best is None or self.clock.trial(rung) is not None:
            return allowed
        share = UNKNOWN_SHARE * self.clock.seconds
        return share if allowed >= share else 0.0

    def _try(self, rung: Rung) -> None:
        one = Tried(self._number(rung), rung.what, RUNNING, rung)
        expected, allowed = self._expected(rung), self._allowed(rung)
        if expected > allowed or allowed <= 0:
            self._leave_out(one, rung, expected)
            return
        self._note(one)
        self.observer.trying(rung.what, self.so_far)
        late = self._allowed(rung, more_epochs=0)  # it may use up the time to train it again
        heard = Heard(self.observer, self.warned, rung.what, late)
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
        except OutOfTimeError as error:
            self._leave_out(one, rung, error.needs)
        except NotAtHandError as absent:
            self._end(replace(one, state=LEFT_OUT, reason=str(absent)))
        except Exception as error:
            reason = scrubbed(str(error) or type(error).__name__)
            self._end(replace(one, state=FAILED, reason=reason))
        else:
            one = _measured(one, done)
            self.clock.measured(one)
            self._end(self._judged(one, done.look.probabilities, done.look.labels))

    def _leave_out(self, one: Tried, rung: Rung, needs: float) -> None:
        needs, left = needs + self._reserve(rung, FEWEST_MORE), max(self.clock.left, 0.0)
        self._late.add(rung)
        reason = f"needs about {seconds(needs)}, of {seconds(left)} left"
        self._end(replace(one, state=LEFT_OUT, seconds=needs, reason=reason))

    def _number(self, rung: Rung) -> int:
        """That of the rung if it was left out before, else the next one."""
        known = {one.rung: one.number for one in self.so_far.tried if one.rung}
        return known.get(rung, len(self.so_far.tried))

    def _folder(self, one: Tried) -> Path:
        return self.so_far.folder / TRIALS / str(one.number)

    @property
    def _labels(self) -> np.ndarray:
        first = next(one for one in self.so_far.tried if one.state == DONE)
        return np.load(self._folder(first) / LABELS)

    def _calibrated(self, one: Tried) -> np.ndarray:
        """Probabilities of the validation images, float [N, K]."""
        if one.number not in self._said:
            file = self._folder(one) / VALIDATION
            raw = self._averaged(one.members) if one.members else np.load(file)
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
            better=before is None or self.is_better(own.loss, before),
        )
        if before is None:
            return one
        correct = self._calibrated(before).argmax(1) == labels
        gain = own.accuracy - float(correct.mean())
        return replace(one, gain=gain, gain_interval=paired_interval(correct, own.correct))

    def is_better(self, loss: float, before: Tried) -> bool:
        return before.val_loss is None or loss < before.val_loss

    def _note(self, one: Tried) -> None:
        self.so_far = self.so_far.with_tried(one)
        self.so_far.write()

    def _end(self, one: Tried) -> None:
        self._note(one)
        self.observer.tried(one, self.so_far)


def _measured(one: Tried, done: TrialResult) -> Tried:
    return replace(
        one,
        seconds=done.seconds,
        prefix_seconds=sum(stage.prefix_seconds for stage in done.stages),
        rows_made=sum(stage.cached.made for stage in done.stages),
        fit_seconds=done.stages[-1].fit_seconds,
    )
