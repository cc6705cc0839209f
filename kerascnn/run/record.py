"""What a run writes down: settings, stages, predictions, model, figures; on disk and in MLflow."""

import getpass
import shutil
import statistics
import subprocess
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from kerascnn.components.registry import Registry
from kerascnn.engine.metrics.score import Metrics
from kerascnn.engine.metrics.significance import paired_interval
from kerascnn.engine.network.build import Built
from kerascnn.engine.observer import Observer, optional
from kerascnn.engine.prepared import Prepared
from kerascnn.engine.result import (
    EXPERIMENT,
    MODEL,
    PREDICTIONS,
    RESULT,
    SEEN,
    VALIDATION_PREDICTIONS,
    Result,
)
from kerascnn.engine.training.stage import StageResult
from kerascnn.experiment.load import flatten, resolve
from kerascnn.experiment.paths import written_to
from kerascnn.results.confusion import CONFUSION_MATRIX, save_confusion
from kerascnn.results.predictions import predictions_of, write_predictions
from kerascnn.results.report.gather import gather
from kerascnn.results.report.note import note, write_thumbnails
from kerascnn.results.report.write import write_page
from kerascnn.runtime import backend as runtime
from kerascnn.runtime.commands import command
from kerascnn.runtime.files import write_whole
from kerascnn.tracking.models import save_model
from kerascnn.tracking.tracker import Tracker

# What tells stages apart on MLflow's page, where every tag is shown.
_TAGS = {
    "unfreeze",
    "epochs",
    "seconds",
    "trainable_parameters",
    "boundary",
    "val_accuracy",
    "gain",
    "kept",
    "frozen_sha256",
}


def record_start(tracker: Tracker, prepared: Prepared, registry: Registry, folder: Path) -> None:
    """Writes the resolved experiment, and all else that decides the result or its origin."""
    resolved = resolve(prepared.experiment, registry)
    written = resolve(prepared.experiment, registry)
    written_to(folder, written, registry)
    write_whole(folder / EXPERIMENT, tomli_w.dumps(written))
    tracker.artifact(folder / EXPERIMENT)
    tracker.params(flatten(resolved))
    tracker.datasets(_splits(prepared))
    tracker.tags(
        {
            "architecture": prepared.experiment.architecture.name,
            "dataset": prepared.experiment.dataset.name,
            "backend": prepared.backend,
            "device": runtime.device_name(),
            **{f"version.{name}": value for name, value in runtime.versions().items()},
            **{f"data.{name}": count for name, count in prepared.data.findings.counts.items()},
            **{f"plugin.{name}": origin for name, origin in prepared.plugins.items()},
            "mlflow.source.name": "kerascnn run",
            "mlflow.source.type": "LOCAL",
            **_user(),
            **_git_commit(),
        }
    )


def _splits(prepared: Prepared) -> list[dict[str, Any]]:
    """What MLflow's page shows as the data of the run."""
    return [
        {
            "name": prepared.experiment.dataset.name,
            "context": split,
            "digest": packed.fingerprint,
            "images": len(packed),
        }
        for split, packed in prepared.data.splits().items()
    ]


def _user() -> dict[str, str]:
    """Nobody where the user's id has no name, as in containers."""
    with suppress(KeyError, OSError):
        return {"mlflow.user": getpass.getuser()}
    return {}


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


def record_stage(tracker: Tracker, result: StageResult) -> None:
    """Tags the run with what the stage did; all of it stands in the result."""
    values = stage_json(result)
    tracker.tags(
        {f"stage.{result.name}.{key}": _short(values[key]) for key in values if key in _TAGS}
    )


def _short(value: Any) -> Any:
    return f"{value:.4g}" if isinstance(value, float) else value


def stage_json(result: StageResult) -> dict[str, Any]:
    """What a stage did, for JSON."""
    return {
        "name": result.name,
        "unfreeze": result.choice,
        "epochs": result.epochs,
        "seconds": result.seconds,
        "prefix_seconds": result.prefix_seconds,
        "fit_seconds": result.fit_seconds,
        "cache": asdict(result.cached),
        "images_per_second": statistics.median(
            epoch.metrics["images_per_second"] for epoch in result.history
        ),
        "trainable_parameters": result.trainable_parameters,
        "trainable_layers": result.trainable_layers,
        "boundary": result.boundary,
        "val_accuracy": result.own.score.accuracy,
        "val_loss": result.own.score.loss,
        **_gain(result),
        "kept": result.kept,
        "frozen_sha256": result.frozen_sha256,
        "ended_sha256": result.ended_sha256,
    }


def _gain(result: StageResult) -> dict[str, Any]:
    """What the stage gained in validation accuracy over the weights that it started from."""
    if result.before is None:
        return {}
    return {
        "gain": result.own.score.accuracy - result.before.score.accuracy,
        "gain_interval": paired_interval(result.before.correct, result.own.correct),
    }


def map_layers(network: Built) -> dict[str, str]:
    """Each block's last layer that gives feature maps [B, h, w, C]."""
    return {
        network.block_of[layer.name]: layer.name
        for layer in network.model.layers
        if len(getattr(layer.output, "shape", ())) == 4
        and network.block_of.get(layer.name) in network.blocks
    }


def history_json(stages: list[StageResult]) -> list[dict[str, Any]]:
    """Every epoch of every stage, for JSON."""
    return [
        {"stage": stage.name, "epoch": epoch.number, **epoch.metrics}
        for stage in stages
        for epoch in stage.history
    ]


def record_result(
    prepared: Prepared,
    result: Result,
    test: Metrics,
    probabilities: dict[str, np.ndarray],
    tracker: Tracker,
) -> None:
    """Writes the model, every prediction and the metrics of the test; nothing is drawn yet."""
    folder = result.folder
    shutil.rmtree(folder / MODEL, ignore_errors=True)  # of a run that was killed here
    data, names = prepared.data, prepared.data.class_names
    size = prepared.experiment.training.image_size
    save_model(prepared.network.model, folder / MODEL, size, names, result.temperature)
    for split, file in (("test", PREDICTIONS), ("validation", VALIDATION_PREDICTIONS)):
        said = predictions_of(data.splits()[split], probabilities[split])
        write_predictions(folder / file, said, names)
    np.save(folder / SEEN, np.concatenate([data.train.digests, data.validation.digests]))
    result.write()
    for name in (PREDICTIONS, VALIDATION_PREDICTIONS, SEEN, RESULT):
        tracker.artifact(folder / name)
    tracker.model(folder / MODEL)
    tracker.metrics(_test_metrics(test, result), step=sum(s["epochs"] for s in result.stages))


def record_report(
    prepared: Prepared,
    result: Result,
    test: Metrics,
    registry: Registry,
    tracker: Tracker,
    observer: Observer,
) -> None:
    """Draws the confusion matrix and writes the report and the note on the run.

    Whatever fails here becomes a warning: the run is complete without it.
    """
    start, folder = time.perf_counter(), result.folder
    again = f"`{command('report', result.run_id[:8], '--debug')}` shows where"
    with optional("the confusion matrix", observer):
        save_confusion(test, result.class_names, folder / CONFUSION_MATRIX, observer.warned)
        tracker.artifact(folder / CONFUSION_MATRIX)
    with optional("the report", observer, again):
        material = gather(result, registry, prepared.network.model, prepared.data)
        tracker.artifact(write_page(material))
        with optional("the thumbnails", observer, again):
            if file := write_thumbnails(material):
                tracker.artifact(file)
    with optional("the note on the run", observer):
        tracker.tags({"mlflow.note.content": note(result)})
    epochs = sum(stage["epochs"] for stage in result.stages)
    tracker.metrics({"report_seconds": time.perf_counter() - start}, step=epochs)


def _test_metrics(test: Metrics, result: Result) -> dict[str, float]:
    """No name has a "/": MLflow's page would show that group of charts before the curves."""
    return {
        "test_accuracy": test.accuracy,
        "test_accuracy_low": test.interval[0],
        "test_accuracy_high": test.interval[1],
        "test_loss": test.loss,
        "test_macro_f1": test.macro_f1,
        "temperature": result.temperature,
        "total_seconds": result.seconds,
        "parameters": float(result.parameters),
    }
