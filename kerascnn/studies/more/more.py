"""How many more images a wished accuracy takes, and which of a folder to label next."""

import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from kerascnn.engine.observer import Observer, default_observer
from kerascnn.errors import InputError
from kerascnn.experiment.bound import BoundExperiment, check_experiment
from kerascnn.runtime.arguments import expect_count
from kerascnn.runtime.backend import select_backend
from kerascnn.runtime.devices import device_name
from kerascnn.runtime.process import contained
from kerascnn.runtime.text import counted
from kerascnn.studies.features.extract import ImageFeatures, extract_features
from kerascnn.studies.features.images import require_every_fold
from kerascnn.studies.more.curves import Curves, expected_points, learning_curves
from kerascnn.studies.more.folder import Chosen, next_of, write_table
from kerascnn.studies.more.page import more_figure, write_page
from kerascnn.studies.more.result import MoreResult, Point
from kerascnn.studies.record import record

WISHED = 0.95
TOP = 50
TABLE = "next.csv"


@contained()
def more_images(
    experiment: BoundExperiment,
    accuracy: float = WISHED,
    *,
    folder: str | os.PathLike[str] | None = None,
    top: int = TOP,
    observer: Observer | None = None,
) -> MoreResult:
    """Tells how many images an accuracy takes, and which of a folder to label next.

    Linear heads are refitted on 10% to 100% of the features of the training and validation images,
    which the cache has after a run; no network is trained.

    Args:
        experiment: From `load_experiment`; its stages decide nothing.
        accuracy: The wished one, above 0 and below 1.
        folder: Of images without labels, at any depth.
        top: Number of its images to choose.
        observer: Receives progress events; default prints them on standard error; `Observer()`
            shows nothing.

    Raises:
        InputError: The experiment is at fault, has too few images, or the folder has none.
    """
    check_experiment(experiment)
    expect_count(top, "top")
    if not 0 < accuracy < 1:
        raise InputError(f"accuracy = {accuracy:g}: expected more than 0 and less than 1.")
    if folder is not None and not Path(folder).is_dir():
        raise InputError(f"{folder} is not a folder.")
    observer = observer or default_observer()
    select_backend(experiment.training.backend)
    start = time.perf_counter()
    features = extract_features(experiment, observer)
    require_every_fold(features.images, "a learning curve")
    curves, chosen = learning_curves(features, accuracy), None
    if folder is not None:
        chosen = next_of(Path(folder), features, curves.heads.penalty, top, observer)
    result = partial(
        _result, experiment, features, curves, chosen, accuracy, time.perf_counter() - start
    )
    title = f"more than {counted(len(features.images.labels), 'image')}"
    write = partial(_write, chosen=chosen)
    return record(experiment.name, title, "more", result, more_figure, _metrics, observer, write)


def _result(
    experiment: BoundExperiment,
    features: ImageFeatures,
    curves: Curves,
    chosen: Chosen | None,
    wished: float,
    seconds: float,
    run_id: str,
    place: Path,
) -> MoreResult:
    curve, count = curves.overall, len(features.images.labels)
    furthest = round(curve.horizon)
    sizes, accuracies = np.rint(curve.sizes).astype(int), 1 - curve.errors
    return MoreResult(
        run_id=run_id,
        name=experiment.name,
        device=device_name(),
        architecture=experiment.architecture.name,
        images=count,
        stored=features.stored,
        wished=wished,
        measured=list(zip(sizes.tolist(), accuracies.tolist(), strict=True)),
        curve=expected_points(curve),
        now=curve.accuracy(count),
        horizon=Point(furthest, curve.accuracy(furthest)),
        needed=curve.needed(wished),
        classes=curves.classes,
        profits=curves.profits,
        next=chosen.images if chosen else None,
        copies=chosen.copies if chosen else 0,
        seconds=seconds,
        artifacts=str(place),
    )


def _metrics(result: MoreResult) -> dict[str, float]:
    """Those of the run in MLflow."""
    needed = {"images_needed": result.needed.images} if result.needed.images else {}
    return {
        "images": result.images,
        "wished_accuracy": result.wished,
        "expected_accuracy": result.now.value,
        "expected_accuracy_low": result.now.low,
        "expected_accuracy_high": result.now.high,
        "total_seconds": result.seconds,
        **needed,
    }


def _write(result: MoreResult, folder: Path, chosen: Chosen | None) -> Iterator[Path]:
    """The page, and the table of images to label."""
    if chosen:
        write_table(folder / TABLE, chosen.images)
        yield folder / TABLE
    yield write_page(result, folder, chosen)
