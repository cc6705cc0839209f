"""The learning-rate range test: the rates that a stage can train at (Smith, arXiv 1506.01186)."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import count, islice
from typing import Any

import numpy as np

from kerascnn.components.registry import Registry, load_registry
from kerascnn.engine.data.batches import Batch, Feed
from kerascnn.engine.network.boundary import cut
from kerascnn.engine.network.freezing import set_trainable
from kerascnn.engine.training.epochs import compile_stage
from kerascnn.engine.training.inputs import make_inputs
from kerascnn.engine.training.plan import Listener
from kerascnn.engine.training.stage import fit_stage
from kerascnn.errors import InputError, RunError, did_you_mean
from kerascnn.experiment.load import check_experiment
from kerascnn.experiment.model import Experiment
from kerascnn.run.observer import Observer, default_observer
from kerascnn.run.prepare import Prepared, prepare
from kerascnn.runtime.backend import graphs_freed
from kerascnn.runtime.process import contained
from kerascnn.runtime.screen import screen

LOWEST, HIGHEST, STEPS = 1e-7, 10.0, 100
DIVERGED = 4.0
"""The test ends where the smoothed loss is so many times the least that it has been."""
SIGMA = 3
"""Of the Gaussian that smooths the losses, in steps. It is centred, for an average of what is past
lags behind, and moves what is found to greater rates."""
TENFOLD = 12
"""Steps in which the rate grows tenfold."""
FALLS = 0.9
"""A loss that falls to no less than this share of what it was up to 1e-6 tells nothing."""
MANY_PASSES = 3
"""Passes over the images after which a low loss shows what was memorised. On folders of 60 to 200
photographs, where the test makes 17 to 50 passes, following it was never better: see
benchmarks/README.md."""


@dataclass(frozen=True)
class RangeTest:
    """The losses of a stage's first steps, each at a greater learning rate than the one before.

    Args:
        stage: Its name.
        configured: The learning rate that the stage says.
        rates: The learning rate of each step.
        losses: Of each step's batch.
        smoothed: The losses, smoothed.
        diverged: Whether the test ended because the loss had grown too far.
        passes: How often the steps went over the pictures.
    """

    stage: str
    configured: float
    rates: list[float]
    losses: list[float]
    smoothed: list[float]
    diverged: bool
    passes: float

    @property
    def lowest(self) -> float:
        """The rate at which the smoothed loss is least."""
        return self.rates[int(np.argmin(self.smoothed))]

    @property
    def suggestion(self) -> float | None:
        """A tenth of the rate of the least loss; None where that says nothing, see `why_none`.

        Where the loss is least it no longer falls, so that rate is too great already. The other
        custom, the rate at which it falls fastest, is less sure: noise has steeper slopes.
        """
        return None if self.why_none else self.lowest / 10

    @property
    def why_none(self) -> str:
        """Why no rate is suggested; "" where one is."""
        if self.passes > MANY_PASSES:
            return (
                f"there are too few images: the test went over them {self.passes:.0f} times, and "
                "a low loss then shows what was memorised"
            )
        falls = min(self.smoothed) < FALLS * np.mean(self.losses[:TENFOLD])
        if not falls or np.argmin(self.smoothed) < TENFOLD:
            return "the loss hardly falls at any rate, as where a stage begins with little to gain"
        return ""

    @property
    def setting(self) -> str | None:
        """The suggestion as `--set` takes it."""
        if self.suggestion is None:
            return None
        return f"stages.{self.stage}.learning_rate={self.suggestion:.1e}"

    def __repr__(self) -> str:
        rows = [
            ("suggestion", self.setting or f"none: {self.why_none}"),
            ("configured", f"{self.configured:.1e}"),
            ("least loss", f"{min(self.smoothed):.3f} at {self.lowest:.1e}"),
            ("steps", f"{len(self.rates):,}{', then the loss diverged' if self.diverged else ''}"),
        ]
        return screen(f'learning rates of stage "{self.stage}"', rows)

    def to_json(self) -> dict[str, Any]:
        names = ("lowest", "suggestion", "why_none", "setting")
        return asdict(self) | {name: getattr(self, name) for name in names}


@contained()
def find_learning_rate(
    experiment: Experiment,
    stage: str | None = None,
    observer: Observer | None = None,
    registry: Registry | None = None,
) -> RangeTest:
    """Tests at which learning rates a stage can train.

    The network is one of its own, made and seeded as a run makes it; the stages before the tested
    one are trained on it first, and its frozen part, its batches and their order are those of the
    run. What else there is in the process stays as it was.

    Args:
        experiment: From `load_experiment`.
        stage: The stage's name; default the first one.
        observer: Receives progress events; default what the terminal shows, on standard error;
            `Observer()` shows nothing.
        registry: The components; default all that are installed.

    Raises:
        InputError: The experiment is at fault, or has no such stage.
        RunError: A stage before it failed, or its very first loss is not finite.
    """
    check_experiment(experiment)
    observer = observer or default_observer()
    index = _index(experiment, stage)
    shortened = experiment.model_copy(update={"stages": experiment.stages[: index + 1]})
    prepared = prepare(shortened, registry or load_registry(), observer)
    observer.prepared(prepared)
    _train_before(prepared, observer)
    return _test(prepared, observer)


def _index(experiment: Experiment, stage: str | None) -> int:
    names = [known.name for known in experiment.stages]
    if stage is None:
        return 0
    if stage not in names:
        raise InputError(
            f'{experiment.name} has no stage "{stage}".{did_you_mean(stage, names)} '
            f"Its stages are {', '.join(names)}."
        )
    return names.index(stage)


def _train_before(prepared: Prepared, observer: Observer) -> None:
    """Trains all stages but the last, as a run does."""
    standing = None
    for plan in prepared.plans[:-1]:
        observer.stage_started(plan.index + 1, len(prepared.plans), plan)
        epoch = partial(observer.epoch, total=plan.stage.epochs)
        listener = Listener(step=observer.step, epoch=epoch, warned=observer.warned)
        result = fit_stage(prepared.network, plan, *prepared.examples(), standing, listener)
        observer.stage_ended(result)
        standing = result.standing


def _test(prepared: Prepared, observer: Observer) -> RangeTest:
    plan = replace(prepared.plans[-1], schedule=_rising)
    network, stage = prepared.network, plan.stage
    set_trainable(network.model, plan.layers, plan.batchnorm)
    listener = Listener(warned=observer.warned)
    inputs = make_inputs(cut(network.model), plan, *prepared.examples(), listener)
    compile_stage(network, plan, inputs.trainer, inputs.feed.steps, one_by_one=True)
    rates, losses = _steps(inputs.trainer, inputs.feed, observer)
    if not losses:
        raise RunError(
            f'stage "{stage.name}": the loss of the first step, at learning rate {LOWEST:g}, is '
            "not finite: the weights that the stage starts with give outputs that are not, or "
            "training.precision is too narrow for them."
        )
    return RangeTest(
        stage=stage.name,
        configured=stage.learning_rate,
        rates=rates,
        losses=losses,
        smoothed=smooth(losses).tolist(),
        diverged=len(rates) < STEPS,
        passes=len(rates) / inputs.feed.steps,
    )


def _rising(*, peak_learning_rate: float, steps: int, steps_per_epoch: int) -> Any:
    """From the lowest to the highest rate, by the same factor with each step."""
    from keras.optimizers.schedules import ExponentialDecay

    return ExponentialDecay(LOWEST, STEPS - 1, HIGHEST / LOWEST)


@graphs_freed()
def _steps(trainer: Any, feed: Feed, observer: Observer) -> tuple[list[float], list[float]]:
    rates, losses = np.geomspace(LOWEST, HIGHEST, STEPS).tolist(), list[float]()
    for batch in islice(_batches(feed), STEPS):
        loss = float(trainer.train_on_batch(*batch, return_dict=True)["loss"])
        observer.progress("testing rates", len(losses) + 1, STEPS)
        if not math.isfinite(loss):
            break
        losses.append(loss)
        if _has_diverged(losses):
            break
    observer.progress("testing rates", len(losses), len(losses))  # which may have ended early
    return rates[: len(losses)], losses


def _has_diverged(losses: list[float]) -> bool:
    """Judged some steps back, where a single batch no longer decides."""
    smoothed = smooth(losses)
    return len(losses) > SIGMA and smoothed[-1 - SIGMA] > DIVERGED * smoothed.min()


def _batches(feed: Feed) -> Iterator[Batch]:
    for epoch in count(1):
        yield from feed.epoch(epoch)


def smooth(losses: list[float]) -> np.ndarray:
    """Smooths losses [N], each by its neighbours on both sides."""
    from scipy.ndimage import gaussian_filter1d

    return gaussian_filter1d(np.array(losses), SIGMA, mode="nearest")
