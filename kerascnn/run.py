"""A run: load, check, build; for each stage set trainable and fit; evaluate; save."""

import time
from pathlib import Path

import numpy as np

from kerascnn import runtime, tracking
from kerascnn.config import Experiment, resolve
from kerascnn.data.batches import Examples
from kerascnn.data.windows import Centred
from kerascnn.errors import KerascnnError, RunError
from kerascnn.journal import Tracker
from kerascnn.metrics import Metrics, measure
from kerascnn.network.inference import Forward
from kerascnn.observer import Observer
from kerascnn.plugins import Registry, load_registry
from kerascnn.prepare import Prepared, prepare
from kerascnn.record import record_result, record_stage, record_start, stage_json
from kerascnn.runs import Result, runs_folder
from kerascnn.training.plan import Epoch, Listener, Plan
from kerascnn.training.stage import StageResult, fit_stage
from kerascnn.training.standing import Standing


def run_experiment(
    experiment: Experiment, observer: Observer | None = None, registry: Registry | None = None
) -> Result:
    """Runs an experiment from its pictures to a tracked, evaluated and saved model.

    Args:
        experiment: From `load_experiment`.
        observer: Is told of everything that happens; default nobody.
        registry: The components; default all that are installed.

    Returns:
        The result; its `model` loads the trained network.

    Raises:
        InputError: The experiment, its data or its packages are at fault.
        RunError: A check failed, or training went wrong.
    """
    start = time.perf_counter()
    observer, registry = observer or Observer(), registry or load_registry()
    runtime.select_backend(experiment.training.backend)
    tracker = Tracker(experiment.name, _run_name(experiment), runs_folder())
    prepared = prepare(experiment, registry, observer)
    observer.prepared(prepared)
    run_id, folder = tracker.open()
    observer.tracked(run_id, tracking.shown_uri(tracking.tracking_uri()))
    try:
        record_start(tracker, prepared, registry, folder)
        stages = _fit_stages(prepared, tracker, observer)
        test, probabilities = _evaluate(prepared)
        result = _result(prepared, registry, run_id, folder, stages, test, start)
        record_result(prepared, result, test, probabilities, tracker)
    except BaseException as error:
        tracker.tags({"failure": f"{type(error).__name__}: {error}"})
        tracker.close("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
        if isinstance(error, KerascnnError | KeyboardInterrupt):
            raise
        raise RunError(f"run {run_id[:8]} failed: {type(error).__name__}: {error}") from error
    if unsent := tracker.close():
        observer.warned(unsent)
    observer.ended(result)
    return result


def _run_name(experiment: Experiment) -> str:
    return f"{experiment.architecture.name} on {experiment.dataset.name}, seed {experiment.seed}"


def _fit_stages(prepared: Prepared, tracker: Tracker, observer: Observer) -> list[StageResult]:
    size, data = prepared.experiment.training.image_size, prepared.data
    train = Examples(data.train.images, data.train.labels, data.train.key)
    validation = Examples(
        Centred(data.validation.images, size), data.validation.labels, data.validation.key
    )
    before: Standing | None = None
    results: list[StageResult] = []
    for plan in prepared.plans:
        observer.stage_started(plan.index + 1, len(prepared.plans), plan)
        listener = _listener(plan, tracker, observer, sum(stage.epochs for stage in results))
        result = fit_stage(prepared.network, plan, train, validation, before, listener)
        record_stage(tracker, plan.index, result)
        observer.stage_ended(result)
        results.append(result)
        before = result.standing
    return results


def _listener(plan: Plan, tracker: Tracker, observer: Observer, epochs: int) -> Listener:
    def epoch(done: Epoch) -> None:
        metrics = {**done.metrics, "stage": plan.index + 1}
        tracker.metrics(metrics, step=epochs + done.number)
        observer.epoch(done, plan.stage.epochs)

    def prefix(done: int, total: int) -> None:
        observer.progress("running the frozen prefix", done, total)

    return Listener(prefix=prefix, step=observer.step, epoch=epoch)


def _evaluate(prepared: Prepared) -> tuple[Metrics, np.ndarray]:
    test, training = prepared.data.test, prepared.experiment.training
    forward = Forward(prepared.network.model)
    probabilities = forward(Centred(test.images, training.image_size), training.batch_size)
    return measure(probabilities, test.labels, prepared.data.class_names), probabilities


def _result(
    prepared: Prepared,
    registry: Registry,
    run_id: str,
    folder: Path,
    stages: list[StageResult],
    test: Metrics,
    start: float,
) -> Result:
    splits = prepared.data.splits().items()
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
        seconds=time.perf_counter() - start,
        data_seconds=prepared.data.seconds,
        data={
            name: {"images": len(packed), "fingerprint": packed.fingerprint}
            for name, packed in splits
        },
        experiment=resolve(prepared.experiment, registry),
        plugins=prepared.plugins,
        artifacts=str(folder),
    )
