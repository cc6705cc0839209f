"""The stages of a run: each is taken from the stage store, or trained."""

from collections.abc import Callable
from functools import cache, partial

from kerascnn.engine.events import StageStart, stage_start
from kerascnn.engine.observer import Observer
from kerascnn.engine.prepared import Prepared
from kerascnn.engine.training.devices.devices import Devices
from kerascnn.engine.training.listener import Epoch, Listener
from kerascnn.engine.training.memory import OutOfMemoryError, forget_memory, is_out_of_memory
from kerascnn.engine.training.plan import Plan
from kerascnn.engine.training.stage import fit_stage
from kerascnn.engine.training.stage_result import StageResult
from kerascnn.run.result.record import record_epoch, record_kept, record_stage
from kerascnn.run.stages.checkpointer import Checkpointer
from kerascnn.run.stages.processes import LostProcessError, OneProcess, Processes, processes_of
from kerascnn.run.stages.store import StageStore
from kerascnn.tracking.log import Log


def fit_stages(
    prepared: Prepared,
    tracker: Log,
    observer: Observer,
    checkpointer: Checkpointer,
    store: StageStore,
) -> None:
    """Trains the stages that are not done yet, up to the last or to one that is pruned.

    A stage that runs out of memory continues from the last checkpoint, in smaller micro-batches.
    """
    warned = cache(observer.warned)  # stages may repeat a warning
    while True:
        try:
            _fit_stages(prepared, tracker, observer, checkpointer, store, warned)
            break
        except (OutOfMemoryError, LostProcessError) as fault:
            if not is_out_of_memory(fault) or not checkpointer.may_divide:
                raise
        forget_memory()  # only here: the error held what its stage had made
        tracker.tags({"out_of_memory": checkpointer.divide()})
    record_kept(tracker, checkpointer.results)


def _fit_stages(
    prepared: Prepared,
    tracker: Log,
    observer: Observer,
    checkpointer: Checkpointer,
    store: StageStore,
    warned: Callable[[str], None],
) -> None:
    done = checkpointer.results
    with processes_of(prepared) as processes:
        for plan in checkpointer.plans[len(done) :]:
            result = None if checkpointer.stage else store.take(plan, done)
            reused_from = result.reused_from if result else None
            start = stage_start(plan, len(prepared.plans), done, reused_from)
            observer.stage_started(start)
            if result is None:
                listener = _listener(start, tracker, observer, warned)
                result = _fit(prepared, plan, checkpointer, listener, processes)
                if not (checkpointer.pruned or checkpointer.accumulation):
                    store.keep(plan, result)
            else:
                for epoch in result.history:
                    record_epoch(tracker, start, epoch)
            record_stage(tracker, result)
            observer.stage_ended(result)
            checkpointer.stage_ended(result)
            if checkpointer.pruned:
                break


def _fit(
    prepared: Prepared,
    plan: Plan,
    checkpointer: Checkpointer,
    listener: Listener,
    processes: OneProcess | Processes,
) -> StageResult:
    done, state = checkpointer.results, checkpointer.stage
    before = done[-1].standing if done else None

    def fit(devices: Devices) -> StageResult:
        images = prepared.examples(plan)
        return fit_stage(
            prepared.network, plan, *images, before, listener, checkpointer, state, devices
        )

    return processes.fit(plan, before, state, fit)


def _listener(
    stage: StageStart, tracker: Log, observer: Observer, warned: Callable[[str], None]
) -> Listener:
    """Passes a stage's events to the observer and the tracker."""

    def epoch(done: Epoch) -> None:
        record_epoch(tracker, stage, done)
        observer.epoch(done, stage.epochs)

    prefix = partial(observer.progress, "running the frozen prefix")
    return Listener(prefix, observer.step, epoch, warned)
