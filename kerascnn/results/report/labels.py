"""The most suspicious labels of the images that a run's network was not trained on."""

from dataclasses import replace
from typing import Any

import numpy as np

from kerascnn.engine.data.splits.training_splits import TRAINING_SPLITS
from kerascnn.engine.metrics.calibration import tempered
from kerascnn.engine.metrics.suspicion import suspect
from kerascnn.engine.result.run import EXPERIMENT, VALIDATION_PREDICTIONS
from kerascnn.results.leaks import validation_of
from kerascnn.results.page import Thumbnail, data_uri
from kerascnn.results.predictions import Predictions
from kerascnn.results.report.gather import Material
from kerascnn.runtime.commands import command

IMAGES, SIDE = 12, 128


def suspicious_labels(material: Material) -> dict[str, Any]:
    """Those that are counted as wrong, and how to check the labels of all images."""
    unseen = _unseen(material)
    if not unseen or material.data is None:
        return {"suspects": None}
    labels = np.concatenate([said.labels for said in unseen.values()])
    found = suspect(np.concatenate([said.probabilities for said in unseen.values()]), labels)
    rows = np.flatnonzero(found.wrong)
    split_of = np.repeat(list(unseen), list(map(len, unseen.values())))
    row_of = np.concatenate([np.arange(len(said)) for said in unseen.values()])
    names = material.result.class_names
    shown = [
        _thumbnail(
            material,
            str(split_of[row]),
            int(row_of[row]),
            (f"labelled {names[labels[row]]}", f"looks like {names[found.suggested[row]]}"),
        )
        for row in rows[np.argsort(-found.score[rows], kind="stable")][:IMAGES]
    ]
    return {
        "suspects": shown,
        "suspected": len(rows),
        "unseen": len(labels),
        "check_labels": command("check", str(material.result.folder / EXPERIMENT), "--labels"),
    }


def _unseen(material: Material) -> dict[str, Predictions]:
    """The calibrated predictions for the splits that did not train."""
    result = material.result
    said = {"test": material.test}
    if (result.folder / VALIDATION_PREDICTIONS).is_file():
        validated = validation_of(result)
        calibrated = tempered(validated.probabilities, result.temperature)
        said = {"validation": replace(validated, probabilities=calibrated), **said}
    trained = TRAINING_SPLITS[result.training.train_on]
    return {split: of for split, of in said.items() if split not in trained}


def _thumbnail(material: Material, split: str, row: int, lines: tuple[str, ...]) -> Thumbnail:
    pixels = material.pixels(split)
    assert pixels is not None  # there are data
    return Thumbnail(data_uri(pixels[row], SIDE), ", ".join(lines), lines)
