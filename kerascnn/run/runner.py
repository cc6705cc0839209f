"""A run: load, check, build; for each stage set trainable and fit; evaluate; save."""

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import cache
from pathlib import Path

import numpy as np

from kerascnn.components.registry import Registry, load_registry
from kerascnn.engine.data.windows import Centred
from kerascnn.engine.metrics.score import Metrics, measure
from kerascnn.engine.metrics.temperature import fit_temperature
from kerascnn.engine.network.inference import Forward
from kerascnn.engine.observer import Observer, default_observer
from kerascnn.engine.prepare import prepare
from kerascnn.engine.prepared import Prepared
from kerascnn.engine.result import Result
from kerascnn.engine.training.plan import Epoch, Listener, Plan
from kerascnn.engine.training.stage import fit_stage
from kerascnn.errors import KerascnnError, RunError
from kerascnn.experiment.load import check_experiment, resolve
from kerascnn.experiment.model import Experiment
from kerascnn.results.find import backend_of, find_unfinished, runs_folder
from kerascnn.run.naming import run_name
from kerascnn.run.record import (
    history_json,
    map_layers,
    record_report,
    record_result,
    record_stage,
    record_start,
    stage_json,
)
from kerascnn.run.resume import Keeper
from kerascnn.runtime.backend import select_backend
from kerascnn.runtime.commands import command
from kerascnn.runtime.devices import device_name
from kerascnn.runtime.interruption import Interruption
from kerascnn.runtime.process import contained, put_back
from kerascnn.runtime.versions import installed_versions
from kerascnn.tracking.tracker import Tracker


@contained()
def run_experiment(
    experiment: Experiment,
    observer: Observer | None = None,
    registry: Registry | None = None,
    *,
    parent: str | None = None,
    resume: str | None = None,
) -> Result:
    """Runs an experiment from its images to a tracked, evaluated and saved model.

    Args:
        experiment: From `load_experiment`.
        observer: Receives progress events; default what the terminal shows, on standard error;
            `Observer()` shows nothing.
        registry: The components; default all that are installed.
        parent: The id of the run that MLflow's page shows this one under; default none.
        resume: The id of a run that goes on exactly as it would have, a prefix of one, or "last";
            default a new run.

    Returns:
        The result; its `model` loads the trained network.

    Raises:
        InputError: The experiment, its data or its packages are at fault, or are not those of the
            run that is to go on.
        RunError: A check failed, or training went wrong.
    """
    put_back(gc.collect)  # once all is let go: Keras's models are cycles, and large
    check_experiment(experiment)
    start = time.perf_counter()
    observer, registry = observer or default_observer(), registry or load_registry()
    going_on = find_unfinished(resume) if resume else None
    select_backend(_backend(experiment, going_on))
    name = run_name(experiment, registry)
    tracker = Tracker(experiment.name, name, runs_folder(), parent=parent, resume=going_on)
    with _explained(tracker), tracker:
        prepared = prepare(experiment, registry, observer)
        observer.prepared(prepared)
        if inside := _inside_dataset(experiment):
            observer.warned(inside)
        run_id, folder = tracker.open()
        observer.tracked(run_id, tracker.store)
        if untracked := tracker.untracked():
            observer.warned(untracked)
        with Interruption() as interruption:
            keeper = Keeper(prepared, registry, folder, observer, interruption, start)
            if not keeper.goes_back():
                record_start(tracker, prepared, registry, folder)
                keeper.begin()
            _fit_stages(prepared, tracker, observer, keeper)
            test, probabilities = _evaluate(prepared)
            temperature = fit_temperature(
                probabilities["validation"], prepared.data.validation.labels
            )
            result = _result(prepared, registry, run_id, folder, keeper, test, temperature)
            record_result(prepared, result, test, probabilities, tracker)
            record_report(prepared, result, test, registry, tracker, observer)
    if tracker.unsent:
        observer.warned(tracker.unsent)
    keeper.run_ended()
    observer.ended(result)
    return result


@contextmanager
def _explained(tracker: Tracker) -> Iterator[None]:
    """Says of which run an error is; one of kerascnn's own says enough."""
    try:
        yield
    except KerascnnError:
        raise
    except BaseException as error:
        if tracker.run_id is None:
            raise
        run = tracker.run_id[:8]
        if isinstance(error, KeyboardInterrupt):
            again = command("run", "--resume", run)
            raise KeyboardInterrupt(f"interrupted; `{again}` goes on from there.") from None
        raise RunError(f"run {run} failed: {type(error).__name__}: {error}") from error


def _backend(experiment: Experiment, going_on: Path | None) -> str:
    """The experiment's own; where that is "auto", a run goes on on the one that it began on."""
    asked, began = experiment.training.backend, going_on and backend_of(going_on)
    return began if began and asked == "auto" else asked


def _inside_dataset(experiment: Experiment) -> str | None:
    """Where output goes, if that is among the images of the dataset."""
    path, runs = experiment.dataset.params.get("path"), runs_folder()
    if path is None or not runs.resolve().is_relative_to(Path(path).expanduser().resolve()):
        return None
    return (
        f"this run is written to {runs}, which lies in the folder of the dataset. It is never read "
        "as images; to keep the two apart, start runs from another folder."
    )


def _fit_stages(prepared: Prepared, tracker: Tracker, observer: Observer, keeper: Keeper) -> None:
    train, validation = prepared.examples()
    warned = cache(observer.warned)  # stages may say the same
    for plan in prepared.plans[len(keeper.results) :]:
        observer.stage_started(plan.index + 1, len(prepared.plans), plan)
        before = keeper.results[-1].standing if keeper.results else None
        listener = replace(_listener(plan, tracker, observer, keeper), warned=warned)
        result = fit_stage(
            prepared.network, plan, train, validation, before, listener, keeper.stage
        )
        record_stage(tracker, result)
        observer.stage_ended(result)
        keeper.stage_ended(result)


def _listener(plan: Plan, tracker: Tracker, observer: Observer, keeper: Keeper) -> Listener:
    epochs = sum(stage.epochs for stage in keeper.results)

    def epoch(done: Epoch) -> None:
        metrics = {**done.metrics, "stage": plan.index + 1}
        tracker.metrics(metrics, step=epochs + done.number)
        observer.epoch(done, plan.stage.epochs)

    def prefix(done: int, total: int) -> None:
        observer.progress("running the frozen prefix", done, total)

    return Listener(prefix, observer.step, epoch, pause=keeper.pause, keep=keeper.keep)


def _evaluate(prepared: Prepared) -> tuple[Metrics, dict[str, np.ndarray]]:
    data, training = prepared.data, prepared.experiment.training
    forward = Forward(prepared.network.model)
    probabilities = {
        split: forward(
            Centred(data.splits()[split].images, training.image_size), training.batch_size
        )
        for split in ("validation", "test")
    }
    return measure(probabilities["test"], data.test.labels, data.class_names), probabilities


def _result(
    prepared: Prepared,
    registry: Registry,
    run_id: str,
    folder: Path,
    keeper: Keeper,
    test: Metrics,
    temperature: float,
) -> Result:
    splits, stages = prepared.data.splits().items(), keeper.results
    return Result(
        run_id=run_id,
        name=prepared.experiment.name,
        backend=prepared.backend,
        test_accuracy=test.accuracy,
        test_accuracy_interval=test.interval,
        test=test.to_json(),
        stages=[stage_json(stage) for stage in stages],
        class_names=list(prepared.data.class_names),
        parameters=prepared.network.parameters(),
        seconds=keeper.seconds,
        data_seconds=prepared.data.seconds,
        data={
            name: {"images": len(packed), "fingerprint": packed.fingerprint}
            for name, packed in splits
        },
        experiment=resolve(prepared.experiment, registry),
        plugins=prepared.plugins,
        artifacts=str(folder),
        history=history_json(stages),
        class_counts={
            name: counts.tolist() for name, counts in prepared.data.class_counts().items()
        },
        blocks=map_layers(prepared.network),
        device=device_name(),
        versions=installed_versions(),
        ended=datetime.now().astimezone().isoformat(timespec="seconds"),
        findings=prepared.data.findings.to_json(),
        notes=list(prepared.data.notes),
        temperature=temperature,
    )
