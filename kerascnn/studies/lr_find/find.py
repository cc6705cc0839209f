"""The learning-rate range test: at which rates a stage can train (Smith, arXiv 1506.01186)."""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import count, islice
from typing import Any

import numpy as np

from kerascnn.engine.data.batches.feed import Batch, Feed
from kerascnn.engine.events import overview, stage_start
from kerascnn.engine.network.boundary import cut
from kerascnn.engine.network.freezing import set_trainable
from kerascnn.engine.observer import Observer, default_observer
from kerascnn.engine.prepare import prepare_experiment
from kerascnn.engine.prepared import Prepared
from kerascnn.engine.training.accumulation import accumulating
from kerascnn.engine.training.compile import compile_stage
from kerascnn.engine.training.devices.devices import ONE
from kerascnn.engine.training.inputs import make_inputs
from kerascnn.engine.training.listener import Listener
from kerascnn.engine.training.stage import fit_stage
from kerascnn.engine.training.stage_result import StageResult
from kerascnn.errors import InputError, RunError, did_you_mean
from kerascnn.experiment.bound import BoundExperiment, check_experiment
from kerascnn.run.stages.store import StageStore
from kerascnn.runtime.compilation import graphs_freed
from kerascnn.runtime.process import contained
from kerascnn.studies.lr_find.range_test import RangeTest, has_diverged, smooth

LOWEST, HIGHEST, STEPS = 1e-7, 10.0, 100


@contained()
def find_learning_rate(
    experiment: BoundExperiment, stage: str | None = None, observer: Observer | None = None
) -> RangeTest:
    """Tests at which learning rates a stage can train.

    It builds and seeds a network as a run does, trains the stages before the tested one, or takes
    those that a run has trained, and uses the run's frozen prefix, batches and order. It leaves the
    process unchanged.

    Args:
        experiment: From `load_experiment`.
        stage: The stage's name; default the first one.
        observer: Receives progress events; default prints them on standard error; `Observer()`
            shows nothing.

    Raises:
        InputError: The experiment is at fault, or has no such stage.
        RunError: A stage before it failed, or its first loss is not finite.
    """
    check_experiment(experiment)
    observer = observer or default_observer()
    index = _index(experiment, stage)
    shortened = experiment.with_overrides(
        {"stages": experiment.resolved["stages"][: index + 1], "training.devices": 1}
    )
    prepared = prepare_experiment(shortened, observer)
    observer.prepared(overview(prepared))
    _train_before(prepared, observer)
    return _test(prepared, observer)


def _index(experiment: BoundExperiment, stage: str | None) -> int:
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
    """Trains all stages but the last as a run does, or takes them from one."""
    if len(prepared.plans) == 1:
        return
    store, done = StageStore(prepared, observer.warned), list[StageResult]()
    for plan in prepared.plans[:-1]:
        taken = store.take(plan, done)
        reused_from = taken.reused_from if taken else None
        observer.stage_started(stage_start(plan, len(prepared.plans), done, reused_from))
        epoch = partial(observer.epoch, total=plan.stage.epochs)
        listener = Listener(step=observer.step, epoch=epoch, warned=observer.warned)
        before = done[-1].standing if done else None
        done.append(
            taken or fit_stage(prepared.network, plan, *prepared.examples(plan), before, listener)
        )
        observer.stage_ended(done[-1])


def _test(prepared: Prepared, observer: Observer) -> RangeTest:
    plan = replace(prepared.plans[-1], schedule=_rising, schedule_of=None)
    network, stage = prepared.network, plan.stage
    set_trainable(network.model, plan.layers, plan.batchnorm)
    listener = Listener(warned=observer.warned)
    inputs = make_inputs(cut(network.model), plan, *prepared.examples(plan), listener)
    compile_stage(network, plan, inputs.trainer, inputs.feed.steps, one_by_one=True)
    batches = ONE.micro_batches(inputs.feed.width, plan.accumulation)
    with accumulating(inputs.trainer, batches):
        rates, losses = _steps(inputs.trainer, inputs.feed, observer)
    if not losses:
        raise RunError(
            f'stage "{stage.name}": the loss of the first step, at learning rate {LOWEST:g}, is '
            "not finite: the initial weights of the stage give outputs that are not finite, or "
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
    """From the lowest to the highest rate, by the same factor in each step."""
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
        if has_diverged(losses):
            break
    observer.progress("testing rates", len(losses), len(losses))  # it may have ended early
    return rates[: len(losses)], losses


def _batches(feed: Feed) -> Iterator[Batch]:
    for epoch in count(1):
        yield from feed.epoch(epoch)
