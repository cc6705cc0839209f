"""Checks the labels of an experiment's images, by what its network sees before it is trained."""

import time
from pathlib import Path

import numpy as np

from kerascnn.engine.data.decoding.preparation import Preparation
from kerascnn.engine.metrics.suspicion import Suspicion
from kerascnn.engine.observer import Observer, default_observer
from kerascnn.experiment.bound import BoundExperiment, check_experiment
from kerascnn.runtime.backend import select_backend
from kerascnn.runtime.image_files import mark
from kerascnn.runtime.process import contained
from kerascnn.studies.features.extract import extract_features
from kerascnn.studies.labels.images import AllImages
from kerascnn.studies.labels.judge import TESTED, judge_labels
from kerascnn.studies.labels.odd import Look, looks
from kerascnn.studies.labels.page import Material, write_page
from kerascnn.studies.labels.result import JudgedLabel, LabelCheck, LookedAt
from kerascnn.studies.labels.table import table_rows, write_table

TABLE, PAGE = "labels.csv", "labels.html"


@contained()
def check_labels(
    experiment: BoundExperiment, folder: str | Path, observer: Observer | None = None
) -> LabelCheck:
    """Finds labels that are probably wrong, and images that are odd; trains no network.

    The test images are judged by the others; their own labels judge nothing.

    Args:
        experiment: From `load_experiment`; its stages decide nothing.
        folder: Receives the page and the table of labels; edits in a table there are kept.
        observer: Receives progress events; default prints them on standard error; `Observer()`
            shows nothing.

    Raises:
        InputError: The experiment is at fault, or nothing comes before its network's head.
    """
    check_experiment(experiment)
    observer, folder = observer or default_observer(), Path(folder)
    select_backend(experiment.training.backend)
    start = time.perf_counter()
    seen = extract_features(experiment, observer)
    data = seen.images.data
    images = AllImages(data, Preparation.of(experiment.training))
    tested = seen.extractor.features([data.test], observer)
    features = np.concatenate([seen.values, tested.values])
    folds = np.concatenate([seen.images.folds, np.full(len(data.test), TESTED)])
    judged = judge_labels(features, images.labels, folds, len(images.classes))
    found, neighbours = judged.found, judged.neighbours
    others = looks(images, features, neighbours, found.wrong, seen.images.examination.findings)
    order = np.argsort(-found.score, kind="stable").tolist()
    folder.mkdir(parents=True, exist_ok=True)
    mark(folder)
    rows = table_rows(images, found, order, folder / TABLE, experiment.settings.dataset.corrections)
    write_table(folder / TABLE, rows)
    result = LabelCheck(
        name=experiment.name,
        architecture=experiment.architecture.name,
        labels=[_judged(images, found, row) for row in order],
        looks=[_looked_at(images, one) for one in others],
        stored=seen.stored + tested.stored,
        seconds=time.perf_counter() - start,
        page=str(folder / PAGE),
        table=str(folder / TABLE),
    )
    write_page(folder / PAGE, Material(result, images, order, neighbours, others, rows))
    return result


def _judged(images: AllImages, found: Suspicion, row: int) -> JudgedLabel:
    return JudgedLabel(
        image=images.names[row],
        split=str(images.split[row]),
        label=images.classes[images.labels[row]],
        suggested=images.classes[found.suggested[row]],
        score=float(found.score[row]),
        wrong=bool(found.wrong[row]),
    )


def _looked_at(images: AllImages, look: Look) -> LookedAt:
    groups = [[images.names[row] for row in group] for group in look.groups]
    return LookedAt(look.kind, look.title, groups)
