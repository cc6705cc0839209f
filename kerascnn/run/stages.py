"""The stages of a run: each is taken from the stage store, or trained."""

from collections.abc import Callable
from functools import cache, partial

from kerascnn.engine.events import StageStart, stage_start
from kerascnn.engine.observer import Observer
from kerascnn.engine.prepared import Prepared
from kerascnn.engine.training.listener import Epoch, Listener
from kerascnn.engine.training.stage import fit_stage
from kerascnn.run.checkpointer import Checkpointer
from kerascnn.run.record import record_epoch, record_kept, record_stage
from kerascnn.run.stage_store import StageStore
from kerascnn.tracking.log import Log


def fit_stages(
    prepared: Prepared,
    tracker: Log,
    observer: Observer,
    checkpointer: Checkpointer,
    store: StageStore,
) -> None:
    """Trains the stages that are not done yet, up to the last or to one that is pruned."""
    train, validation = prepared.examples()
    warned = cache(observer.warned)  # stages may repeat a warning
    done = checkpointer.results
    for plan in prepared.plans[len(done) :]:
        result = None if checkpointer.stage else store.take(plan, done)
        reused_from = result.reused_from if result else None
        start = stage_start(plan, len(prepared.plans), done, reused_from)
        observer.stage_started(start)
        if result is None:
            result = fit_stage(
                prepared.network,
                plan,
                train,
                validation,
                done[-1].standing if done else None,
                _listener(start, tracker, observer, warned),
                checkpointer,
                checkpointer.stage,
            )
            if not checkpointer.pruned:
                store.keep(plan, result)
        else:
            for epoch in result.history:
                record_epoch(tracker, start, epoch)
        record_stage(tracker, result)
        observer.stage_ended(result)
        checkpointer.stage_ended(result)
        if checkpointer.pruned:
            break
    record_kept(tracker, done)


def _listener(
    stage: StageStart, tracker: Log, observer: Observer, warned: Callable[[str], None]
) -> Listener:
    """Passes a stage's events to the observer and the tracker."""

    def epoch(done: Epoch) -> None:
        record_epoch(tracker, stage, done)
        observer.epoch(done, stage.epochs)

    prefix = partial(observer.progress, "running the frozen prefix")
    return Listener(prefix, observer.step, epoch, warned)
