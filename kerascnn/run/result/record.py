"""Records a run on disk and in MLflow: settings, stages, predictions, model, metrics, report."""

import getpass
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from kerascnn.engine.data.splits.divided import IMAGES, Divided
from kerascnn.engine.events import StageStart
from kerascnn.engine.metrics.score import Metrics
from kerascnn.engine.observer import Observer, optional
from kerascnn.engine.prepared import Prepared
from kerascnn.engine.result.run import (
    EXPERIMENT,
    FEATURES,
    KNOWN_IMAGES,
    MEMBERS,
    MODEL,
    PREDICTIONS,
    REJECTION,
    RESULT,
    VALIDATION_PREDICTIONS,
    Result,
)
from kerascnn.engine.training.listener import Epoch
from kerascnn.engine.training.stage_result import StageResult
from kerascnn.experiment.paths import written_to
from kerascnn.experiment.tables import flatten
from kerascnn.results.confusion import CONFUSION_MATRIX, save_confusion
from kerascnn.results.predictions import predictions_of, write_predictions
from kerascnn.results.report import chapters
from kerascnn.results.report.gather import gather
from kerascnn.results.report.note import note, write_thumbnails
from kerascnn.results.report.write import write_page
from kerascnn.run.result.known import known_images
from kerascnn.run.result.look import kept_epoch
from kerascnn.run.result.result import Evaluated, stage_table
from kerascnn.runtime.beside import Beside
from kerascnn.runtime.commands import command
from kerascnn.runtime.devices import device_name
from kerascnn.runtime.files import write_whole
from kerascnn.runtime.versions import installed_versions
from kerascnn.tracking.log import Log
from kerascnn.tracking.models import save_model
from kerascnn.tracking.tracker import Tracker

# The keys of a stage that become tags: MLflow's page shows every tag.
_TAGS = {
    "unfreeze",
    "reused_from",
    "epochs",
    "seconds",
    "trainable_parameters",
    "boundary",
    "gradient_accumulation",
    "val_accuracy",
    "gain",
    "kept",
    "frozen_sha256",
}


def record_start(tracker: Tracker, prepared: Prepared, folder: Path) -> None:
    """Records the resolved experiment, the data, versions and origins."""
    found = prepared.examination.findings.counts
    _write_experiment(prepared, folder)
    tracker.artifact(folder / EXPERIMENT)
    tracker.params(flatten(prepared.experiment.resolved))
    tracker.datasets(_splits(prepared))
    tracker.tags(
        {
            **_tags(prepared),
            **_updated(prepared),
            **{f"version.{name}": value for name, value in installed_versions().items()},
            **{f"data.{name}": count for name, count in found.items()},
            **{f"plugin.{name}": origin for name, origin in prepared.experiment.origins.items()},
            "mlflow.source.name": "kerascnn run",
            "mlflow.source.type": "LOCAL",
            **_git_commit(),
        }
    )


def record_devices(tracker: Log, devices: Sequence[int]) -> None:
    """Records that a run was resumed on another number of devices."""
    if len(devices) > 1:
        tracker.tags({"devices": ", then ".join(map(str, devices))})


def record_trial(tracker: Log, prepared: Prepared, folder: Path) -> None:
    """Records the resolved experiment of a trial; what all trials share, their parent records."""
    _write_experiment(prepared, folder)
    tracker.params(flatten(prepared.experiment.resolved))
    tracker.tags(_tags(prepared))


def _write_experiment(prepared: Prepared, folder: Path) -> None:
    written = prepared.experiment.resolved
    written_to(folder, written, prepared.experiment.registry)
    write_whole(folder / EXPERIMENT, tomli_w.dumps(written))


def _tags(prepared: Prepared) -> dict[str, Any]:
    """Those that a run and a trial have."""
    return {
        "architecture": prepared.experiment.architecture.name,
        "dataset": prepared.experiment.dataset.name,
        "backend": prepared.backend,
        "device": device_name(),
        "devices": prepared.devices,
        **_user(),
    }


def _splits(prepared: Prepared) -> list[dict[str, Any]]:
    return [
        {
            "name": prepared.experiment.dataset.name,
            "context": split,
            "digest": packed.fingerprint,
            "images": len(packed),
        }
        for split, packed in prepared.data.splits().items()
    ]


def _updated(prepared: Prepared) -> dict[str, str]:
    update = prepared.experiment.settings.update
    return {"update.run": update.run} if update else {}


def _user() -> dict[str, str]:
    """Empty if the user id has no name, as in some containers."""
    with suppress(KeyError, OSError):
        return {"mlflow.user": getpass.getuser()}
    return {}


def _git_commit() -> dict[str, str]:
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


def record_epoch(tracker: Log, stage: StageStart, epoch: Epoch) -> None:
    """Logs the metrics of an epoch, counted through all stages."""
    step = stage.epochs_before + epoch.number
    tracker.metrics({**epoch.metrics, "stage": stage.number}, step=step)


def record_kept(tracker: Log, done: Sequence[StageResult]) -> None:
    """Logs the validation metrics of the weights that stages end with, if of an earlier epoch.

    MLflow's table shows the last step of a metric, so they are a step after all epochs, as MLflow's
    own logging of Keras has it where early stopping restores weights.
    """
    if not done:  # an ensemble trains no stage
        return
    kept = kept_epoch(done)
    if kept is not done[-1].history[-1]:
        values = {name: of for name, of in kept.metrics.items() if name.startswith("val_")}
        tracker.metrics(values, step=sum(result.epochs for result in done) + 1)


def record_stage(tracker: Log, result: StageResult) -> None:
    """Tags the run with the main figures of a stage; the result has all of them."""
    table = {key: value for key, value in stage_table(result).items() if key in _TAGS}
    tracker.tags(
        {
            f"stage.{result.name}.{key}": f"{value:.4g}" if isinstance(value, float) else value
            for key, value in table.items()
            if value is not None
        }
    )


def record_result(
    prepared: Prepared,
    result: Result,
    evaluated: Evaluated,
    tracker: Tracker,
    warned: Callable[[str], None],
    upload_model: bool = True,
) -> None:
    """Writes the model, every prediction and the metrics of the test images.

    Also the known images, unless the model is not uploaded, as that of a part of an ensemble.
    """
    folder = result.folder
    shutil.rmtree(folder / MODEL, ignore_errors=True)  # from a run that was killed here
    data, names = prepared.data, prepared.data.class_names
    size = prepared.experiment.training.image_size
    model = prepared.network.model
    save_model(
        model,
        folder / MODEL,
        size,
        names,
        result.temperature,
        result.modules,
        weights=result.weights,
    )
    for split, file in (("test", PREDICTIONS), ("validation", VALIDATION_PREDICTIONS)):
        said = predictions_of(data.splits()[split], evaluated.probabilities[split])
        write_predictions(folder / file, said, names)
    if len(members := evaluated.members["test"]):
        np.save(folder / MEMBERS, members.astype(np.float32))
    Divided.of(data.splits()).write(folder)
    result.write()
    for name in (PREDICTIONS, VALIDATION_PREDICTIONS, IMAGES, RESULT):
        tracker.artifact(folder / name)
    if upload_model:
        known_images(prepared, evaluated, warned).write(folder)
        for name in (FEATURES, KNOWN_IMAGES):
            tracker.artifact(folder / name)
        tracker.model(folder / MODEL)
    tracker.metrics(_test_metrics(evaluated.test, result), step=result.epochs)


def _test_metrics(test: Metrics, result: Result) -> dict[str, float]:
    """Names without "/": MLflow's page would show such groups of charts before the curves."""
    named = {f"test_{name}": of for name, of in result.metrics.items()}
    values = {name: of["value"] for name, of in named.items() if of["value"] is not None}
    bounds = {
        f"{name}_{end}": bound
        for name, of in named.items()
        for end, bound in zip(("low", "high"), of["interval"] or (), strict=False)
    }
    return (
        values
        | bounds
        | {
            "test_accuracy": test.accuracy,
            "test_accuracy_low": test.interval[0],
            "test_accuracy_high": test.interval[1],
            "test_loss": test.loss,
            "test_macro_f1": test.macro_f1,
            "temperature": result.temperature,
            "total_seconds": result.seconds,
            "parameters": float(result.parameters),
        }
    )


def ready_to_draw() -> None:
    """Imports what `draw_report` has another process do."""
    import kerascnn.results.canvas  # noqa: F401


def draw_report(
    prepared: Prepared,
    result: Result,
    test: Metrics,
    beside: Beside,
    tracker: Tracker,
    observer: Observer,
) -> None:
    """Writes the confusion matrix, the report and MLflow's note on the run.

    A failure becomes a warning: the run is complete without them. `beside` draws the figures, while
    this process explains the network.
    """
    start, folder = time.perf_counter(), result.folder
    drawn = beside.submit(chapters.drawn, result)
    confusion = beside.submit(_draw_confusion, test, result.class_names, folder / CONFUSION_MATRIX)
    again = f"`{command('report', result.run_id[:8], '--debug')}` shows where"
    with optional("the report", observer, again):
        material = gather(result, prepared.experiment, prepared.network.model, prepared.data)
        tracker.artifact(write_page(material, drawn))
        if (folder / REJECTION).is_file():
            tracker.artifact(folder / REJECTION)
        with optional("the thumbnails", observer, again):
            if file := write_thumbnails(material):
                tracker.artifact(file)
    with optional("the confusion matrix", observer):
        for warning in confusion():
            observer.warned(warning)
        tracker.artifact(folder / CONFUSION_MATRIX)
    with optional("the note on the run", observer):
        tracker.tags({"mlflow.note.content": note(result)})
    tracker.metrics({"report_seconds": time.perf_counter() - start}, step=result.epochs)


def _draw_confusion(test: Metrics, class_names: list[str], file: Path) -> list[str]:
    """Writes the confusion matrix; returns warnings."""
    warnings: list[str] = []
    save_confusion(test, class_names, file, warnings.append)
    return warnings
