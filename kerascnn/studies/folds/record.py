"""Records a study of folds on disk and in MLflow: predictions, metrics, page."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np

from kerascnn.engine.data.splits.folds import Folds
from kerascnn.engine.data.store.packed import Pooled
from kerascnn.engine.metrics.named import build_metrics, measure_named
from kerascnn.engine.metrics.score import measure
from kerascnn.engine.metrics.significance import by_image, repeated_interval
from kerascnn.engine.observer import Observer, optional
from kerascnn.engine.result.folds import FOLDS, FOLDS_PAGE, FOLDS_PLAN, FoldsResult, FoldTable
from kerascnn.engine.result.run import PREDICTIONS
from kerascnn.experiment.bound import BoundExperiment
from kerascnn.experiment.tables import flatten
from kerascnn.results.folds.material import gather_folds
from kerascnn.results.folds.page import write_page
from kerascnn.results.predictions import Predictions, write_predictions
from kerascnn.runtime.devices import device_name
from kerascnn.runtime.versions import installed_versions
from kerascnn.studies.folds.asked import Asked
from kerascnn.studies.folds.fold import DoneFold, folder_of_fold
from kerascnn.tracking.journal import Journal
from kerascnn.tracking.tracker import Tracker


def record_begin(tracker: Tracker, asked: Asked, folder: Path) -> None:
    """Records what is asked, so that the study can be resumed."""
    asked.write(folder)
    experiment = asked.experiment
    tracker.artifact(folder / FOLDS_PLAN)
    tracker.params({**flatten(experiment.resolved), "folds": asked.k, "repeats": asked.repeats})
    tracker.tags(
        {
            "architecture": experiment.architecture.name,
            "dataset": experiment.dataset.name,
            "backend": asked.backend,
            "device": device_name(),
            "mlflow.source.name": "kerascnn folds",
            "mlflow.source.type": "LOCAL",
        }
    )


def make_result(
    asked: Asked,
    every: Sequence[Folds],
    done: Sequence[DoneFold],
    notes: Sequence[str],
    folder: Path,
    warned: Callable[[str], None],
) -> FoldsResult:
    """Puts the predictions of all folds together, writes them, and measures them.

    Args:
        every: The folds of each repeat.
        done: Each of these, in order.
        notes: On the images.
        folder: Of the study, named by its id.
    """
    pooled, experiment = every[0].pooled, asked.experiment
    said, names = _together(every, done), pooled.class_names
    _write(said, every, names, folder)
    labels, probabilities, repeats = said.labels, said.probabilities, asked.repeats
    test = measure(probabilities, labels, names)
    interval = repeated_interval(by_image(said.predicted == labels, repeats))
    metrics = build_metrics(experiment.metrics, names)
    return FoldsResult(
        run_id=folder.name,
        name=experiment.name,
        backend=asked.backend,
        accuracy=test.accuracy,
        interval=interval,
        images=len(pooled.images),
        k=asked.k,
        repeats=repeats,
        folds=[_with_id(one.table, folder) for one in done],
        test={**test.to_json(), "interval": interval},
        metrics=measure_named(metrics, labels, probabilities, "test", warned, repeats),
        class_names=list(names),
        parameters=done[0].parameters,
        seconds=0.0,
        experiment=experiment.resolved,
        plugins=experiment.origins,
        artifacts=str(folder),
        tested=asked.tested,
        device=device_name(),
        versions=installed_versions(),
        ended=datetime.now().astimezone().isoformat(timespec="seconds"),
        notes=list(notes),
    )


def _with_id(table: FoldTable, folder: Path) -> FoldTable:
    """With the id that the run of a fold has in MLflow, if it is there."""
    place = folder_of_fold(folder, table["repeat"], table["fold"])
    return {**table, "run_id": Journal.read(place).mlflow_id or table["run_id"]}


def _together(every: Sequence[Folds], done: Sequence[DoneFold]) -> Predictions:
    """The predictions of all folds, repeat by repeat, in the order of the images."""
    images = every[0].pooled.images
    folds = [(folds, fold) for folds in every for fold in range(folds.count)]
    shape = len(every), len(images), done[0].probabilities.shape[1]
    probabilities = np.empty(shape, np.float32)
    for (of, fold), one in zip(folds, done, strict=True):
        probabilities[of.number, of.rows(fold)] = one.probabilities
    repeats = len(every)
    return Predictions(
        names=[images.name(row) for row in range(len(images))] * repeats,
        labels=np.tile(images.labels, repeats),
        probabilities=probabilities.reshape(-1, shape[-1]),
        digests=[content.tobytes().hex() for content in images.contents] * repeats,
        repeats=repeats,
    )


def _write(said: Predictions, every: Sequence[Folds], names: Sequence[str], folder: Path) -> None:
    count = len(said) // said.repeats
    more = {
        "repeat": [1 + row // count for row in range(len(said))],
        "fold": [1 + int(fold) for folds in every for fold in folds.fold],
    }
    write_predictions(folder / PREDICTIONS, said, names, more)


def record_result(
    result: FoldsResult,
    experiment: BoundExperiment,
    pooled: Pooled,
    tracker: Tracker,
    observer: Observer,
) -> None:
    """Writes the result and its page, and logs both."""
    result.write()
    for name in (PREDICTIONS, FOLDS):
        tracker.artifact(result.folder / name)
    with optional("the page", observer):
        write_page(gather_folds(result, experiment, pooled))
        tracker.artifact(result.folder / FOLDS_PAGE)
    deviation, least, greatest = result.spread
    low, high = result.interval
    values = {name: of["value"] for name, of in result.metrics.items() if of["value"] is not None}
    tracker.metrics(
        {
            **{f"test_{name}": value for name, value in values.items()},
            "test_accuracy": result.accuracy,
            "test_accuracy_low": low,
            "test_accuracy_high": high,
            "test_loss": result.test["loss"],
            "test_macro_f1": result.test["macro_f1"],
            "fold_accuracy_deviation": deviation,
            "fold_accuracy_least": least,
            "fold_accuracy_greatest": greatest,
            "total_seconds": result.seconds,
        },
        step=0,
    )
    tracker.tags(
        {
            "mlflow.note.content": f"Accuracy {result.accuracy:.3f} [{low:.3f}, {high:.3f}] on "
            f"{result.images:,} images, each tested by a network that never saw it.\n\nThe page "
            f"is {FOLDS_PAGE} under Artifacts."
        }
    )
