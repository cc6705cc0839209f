"""A run: load, check, build; for each stage set trainable and fit; evaluate; save."""

import csv
import getpass
import subprocess
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from kerascnn import runtime, tracking
from kerascnn.config import Experiment, flatten, resolve
from kerascnn.errors import KerascnnError, RunError
from kerascnn.journal import Tracker
from kerascnn.metrics import Metrics, measure
from kerascnn.network.inference import Forward
from kerascnn.observer import Observer
from kerascnn.plots import confusion_figure
from kerascnn.plugins import Registry, load_registry
from kerascnn.prepare import Prepared, prepare
from kerascnn.runs import MODEL, Result, runs_folder
from kerascnn.statistics import paired_interval
from kerascnn.training.inputs import Examples
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
        _log_start(tracker, prepared, registry, folder)
        stages = _fit_stages(prepared, tracker, observer)
        test, probabilities = _evaluate(prepared)
        result = _result(prepared, registry, run_id, folder, stages, test, start)
        _save(prepared, result, test, probabilities, tracker)
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


def _log_start(tracker: Tracker, prepared: Prepared, registry: Registry, folder: Path) -> None:
    resolved = resolve(prepared.experiment, registry)
    (folder / "experiment.toml").write_text(tomli_w.dumps(resolved))
    tracker.artifact(folder / "experiment.toml")
    tracker.params(flatten(resolved))
    splits = prepared.data.splits().items()
    tracker.tags(
        {
            "backend": prepared.backend,
            "device": runtime.device_name(),
            **{f"version.{name}": value for name, value in runtime.versions().items()},
            **{f"data.{name}.fingerprint": packed.fingerprint for name, packed in splits},
            **{f"data.{name}.images": len(packed) for name, packed in splits},
            **{f"plugin.{name}": origin for name, origin in prepared.plugins.items()},
            "mlflow.source.name": "kerascnn run",
            "mlflow.source.type": "LOCAL",
            "mlflow.user": getpass.getuser(),
            **_git_commit(),
        }
    )


def _git_commit() -> dict[str, str]:
    """The commit of the working directory, for whoever keeps experiments under git."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    return {"mlflow.source.git.commit": done.stdout.strip()}


def _fit_stages(prepared: Prepared, tracker: Tracker, observer: Observer) -> list[StageResult]:
    train = Examples(prepared.data.train.images, prepared.data.train.labels)
    validation = Examples(prepared.data.validation.images, prepared.data.validation.labels)
    before: Standing | None = None
    results: list[StageResult] = []
    for plan in prepared.plans:
        observer.stage_started(plan.index + 1, len(prepared.plans), plan)
        listener = _listener(plan, tracker, observer, sum(stage.epochs for stage in results))
        result = fit_stage(prepared.network, plan, train, validation, before, listener)
        _log_stage(tracker, plan.index, result)
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


def _log_stage(tracker: Tracker, index: int, result: StageResult) -> None:
    values = _stage_json(result) | {"trainable_layers": len(result.trainable_layers)}
    tracker.tags({f"stage.{index + 1}.{key}": _short(value) for key, value in values.items()})


def _short(value: Any) -> Any:
    return f"{value:.4g}" if isinstance(value, float) else value


def _stage_json(result: StageResult) -> dict[str, Any]:
    return {
        "name": result.name,
        "unfreeze": result.choice,
        "epochs": result.epochs,
        "seconds": result.seconds,
        "prefix_seconds": result.prefix_seconds,
        "trainable_parameters": result.trainable_parameters,
        "trainable_layers": result.trainable_layers,
        "boundary": result.boundary,
        "val_accuracy": result.own.score.accuracy,
        "val_loss": result.own.score.loss,
        **_gain(result),
        "kept": result.kept,
        "frozen_sha256": result.frozen_sha256,
    }


def _gain(result: StageResult) -> dict[str, Any]:
    """What the stage gained in validation accuracy over the weights that it started from."""
    if result.before is None:
        return {}
    return {
        "gain": result.own.score.accuracy - result.before.score.accuracy,
        "gain_interval": paired_interval(result.before.correct, result.own.correct),
    }


def _evaluate(prepared: Prepared) -> tuple[Metrics, np.ndarray]:
    test = prepared.data.test
    forward = Forward(prepared.network.model)
    probabilities = forward(test.images, prepared.experiment.training.batch_size)
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
        stages=[_stage_json(stage) for stage in stages],
        class_names=list(prepared.data.class_names),
        parameters=prepared.network.parameters(),
        seconds=time.perf_counter() - start,
        data={
            name: {"images": len(packed), "fingerprint": packed.fingerprint}
            for name, packed in splits
        },
        experiment=resolve(prepared.experiment, registry),
        plugins=prepared.plugins,
        artifacts=str(folder),
    )


def _save(
    prepared: Prepared,
    result: Result,
    test: Metrics,
    probabilities: np.ndarray,
    tracker: Tracker,
) -> None:
    folder = result.folder
    tracking.save_model(
        prepared.network.model, folder / MODEL, prepared.experiment.training.image_size
    )
    _write_predictions(folder / "predictions.csv", prepared, probabilities)
    confusion_figure(test, result.class_names).savefig(folder / "confusion_matrix.png")
    result.write()
    for name in ("predictions.csv", "confusion_matrix.png", "result.json"):
        tracker.artifact(folder / name)
    tracker.model(folder / MODEL)
    tracker.metrics(dict(_test_metrics(test, result)), step=sum(s["epochs"] for s in result.stages))


def _test_metrics(test: Metrics, result: Result) -> Iterator[tuple[str, float]]:
    yield from {
        "test_accuracy": test.accuracy,
        "test_accuracy_low": test.interval[0],
        "test_accuracy_high": test.interval[1],
        "test_loss": test.loss,
        "test_macro_f1": test.macro_f1,
        "total_seconds": result.seconds,
        "parameters": float(result.parameters),
    }.items()
    for name, metrics in test.per_class.items():
        for key, value in asdict(metrics).items():
            yield f"class/{_metric_name(name)}/{key}", float(value)


def _metric_name(name: str) -> str:
    """MLflow allows letters, digits, and - _ . / space in a metric's name."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_. ") else "_" for c in name)


def _write_predictions(file: Path, prepared: Prepared, probabilities: np.ndarray) -> None:
    """The test set as a table: picture, true and predicted label, the probability of each class."""
    names, test = prepared.data.class_names, prepared.data.test
    with file.open("w", newline="", encoding="utf-8") as opened:
        table = csv.writer(opened)
        table.writerow(["image", "sha256", "label", "predicted", "probability", *names])
        for row, probability in enumerate(probabilities):
            best = int(probability.argmax())
            table.writerow(
                [
                    test.names[row],
                    test.digests[row],
                    names[test.labels[row]],
                    names[best],
                    f"{probability[best]:.6f}",
                    *(f"{value:.6f}" for value in probability),
                ]
            )
