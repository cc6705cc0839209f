"""The chapters of a report that need no images, ready for the templates."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import tomli_w

from kerascnn.engine.metrics.calibration import AS_TRAINED
from kerascnn.engine.metrics.significance import f1_interval, wilson_interval
from kerascnn.engine.result.outcome import Outcome
from kerascnn.engine.result.run import Result
from kerascnn.results.confusion import confusion_figure
from kerascnn.results.page import svg
from kerascnn.results.report import figures
from kerascnn.results.report.calibration import calibrate
from kerascnn.results.report.gather import calibrated_predictions
from kerascnn.results.report.unknown import unknown
from kerascnn.runtime.text import counted

MACRO_DIFFERS = 0.02  # difference from the accuracy that is explained

Interval = tuple[float, float]


@dataclass(frozen=True)
class ClassRow:
    """The metrics of one class; intervals are 95%, None if there are no images to count."""

    name: str
    images: int
    precision: float
    precision_interval: Interval | None
    recall: float
    recall_interval: Interval | None
    f1: float
    f1_interval: Interval | None


def class_rows(result: Outcome) -> list[ClassRow]:
    """Every class, the lowest F1 first."""
    counts = np.array(result.test["confusion"]) / result.repeats  # [K, K], by image
    rows = []
    for index, (name, of_class) in enumerate(result.test["per_class"].items()):
        hits, images = counts[index, index], counts[index].sum()
        predicted = counts[:, index].sum()
        misses = images + predicted - 2 * hits
        rows.append(
            ClassRow(
                name,
                round(images),
                of_class["precision"],
                wilson_interval(hits, predicted) if predicted else None,
                of_class["recall"],
                wilson_interval(hits, images) if images else None,
                of_class["f1"],
                f1_interval(hits, misses) if hits + misses else None,
            )
        )
    return sorted(rows, key=lambda row: row.f1)


def drawn(result: Result) -> dict[str, Any]:
    """What needs neither images nor network: a run has it drawn by another process."""
    return {
        **results(result),
        **calibration(result),
        **unknown(result),
        **balance(result),
        **origin(result),
    }


def results(result: Outcome) -> dict[str, Any]:
    """The curves, the confusion matrix and the classes."""
    confusion = result.test["confusion"]
    curves = [figures.curves(result.history, wide) for wide in (True, False) if result.history]
    return {
        "result": result,
        "right": int(np.trace(confusion)),
        "curves": curves,
        "metric_curves": [
            figures.metric_curves(result.history, wide)
            for wide in (True, False)
            if figures.named_in(result.history)
        ],
        "confusion": svg(confusion_figure(confusion, result.class_names), "confusion matrix"),
        "classes": class_rows(result),
        "notes": [note.partition("\n")[0].rstrip(":") for note in result.notes],
        "macro": macro_explained(result),
    }


def macro_explained(result: Outcome) -> str:
    """Why macro F1 differs from accuracy, in a sentence; "" if they differ little."""
    macro, accuracy = result.test["macro_f1"], result.test_accuracy
    if abs(macro - accuracy) < MACRO_DIFFERS:
        return ""
    weakest = class_rows(result)[0]
    way = "lower" if macro < accuracy else "higher"
    return (
        f"Macro F1 ({macro:.3f}) is {way} than accuracy because every class counts the same, "
        f"however few test images it has. The lowest F1 is that of {weakest.name}: "
        f"{weakest.f1:.3f} on {counted(weakest.images, 'test image')}."
    )


def calibration(result: Result) -> dict[str, Any]:
    """How well the probabilities are calibrated, as trained and with the temperature."""
    temperature = result.temperature
    shown = {"as trained": calibrate(calibrated_predictions(result.uncalibrated))}
    if temperature != AS_TRAINED:
        shown[f"temperature {temperature:.2f}"] = calibrate(calibrated_predictions(result))
    used = list(shown)[-1]
    return {
        "calibrations": shown,
        "used": used,
        "used_is_best": shown[used].loss <= shown["as trained"].loss,
        "reliability": [figures.reliability(shown, wide) for wide in (True, False)],
    }


def balance(result: Result) -> dict[str, Any]:
    """The number of images per class."""
    counts, names = result.class_counts, result.class_names
    return {"balance": [figures.balance(counts, names, wide) for wide in (True, False) if counts]}


def origin(result: Result) -> dict[str, Any]:
    """How to repeat the run, and what it depends on."""
    return {
        "toml": tomli_w.dumps(result.experiment),
        "ended": said_time(result.ended),
        "weights": weights_facts(result),
    }


def weights_facts(result: Result) -> list[dict[str, str]]:
    """Origin and licence of the weights that the network started from."""
    return [
        {
            "origin": table["origin"],
            "licence": table["licence"] or "not stated",
            "trained on": table["trained_on"] or "not stated",
            "image size": f"{size} pixels" if (size := table["image_size"]) else "not stated",
        }
        for table in result.weights
    ]


def said_time(ended: str) -> str:
    """Such as 29 November 2026, 21:36, of a time in ISO 8601; "" of none."""
    time = datetime.fromisoformat(ended) if ended else None
    return f"{time.day} {time:%B %Y, %H:%M}" if time else ""
