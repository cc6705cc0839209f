"""What a run writes down: settings, stages, predictions, model, figures; on disk and in MLflow."""

import csv
import getpass
import statistics
import subprocess
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from kerascnn import runtime
from kerascnn.config import flatten, resolve
from kerascnn.journal import Tracker
from kerascnn.metrics import Metrics
from kerascnn.plots import confusion_figure
from kerascnn.plugins import Registry
from kerascnn.prepare import Prepared
from kerascnn.runs import MODEL, Result
from kerascnn.statistics import paired_interval
from kerascnn.tracking import save_model
from kerascnn.training.stage import StageResult


def record_start(tracker: Tracker, prepared: Prepared, registry: Registry, folder: Path) -> None:
    """Writes the resolved experiment, and all else that decides the result or its origin."""
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


def record_stage(tracker: Tracker, index: int, result: StageResult) -> None:
    """Tags the run with what the stage did."""
    values = stage_json(result) | {"trainable_layers": len(result.trainable_layers)}
    tracker.tags(
        {key: _short(value) for key, value in flatten(values, f"stage.{index + 1}").items()}
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
    }


def _gain(result: StageResult) -> dict[str, Any]:
    """What the stage gained in validation accuracy over the weights that it started from."""
    if result.before is None:
        return {}
    return {
        "gain": result.own.score.accuracy - result.before.score.accuracy,
        "gain_interval": paired_interval(result.before.correct, result.own.correct),
    }


def record_result(
    prepared: Prepared,
    result: Result,
    test: Metrics,
    probabilities: np.ndarray,
    tracker: Tracker,
) -> None:
    """Writes the model, every prediction, the confusion matrix and the metrics of the test."""
    folder = result.folder
    save_model(prepared.network.model, folder / MODEL, prepared.experiment.training.image_size)
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
                    test.name(row),
                    test.digests[row].tobytes().hex(),
                    names[test.labels[row]],
                    names[best],
                    f"{probability[best]:.6f}",
                    *(f"{value:.6f}" for value in probability),
                ]
            )
