"""The values for each section of a report, ready for the templates."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from kerascnn.engine.data.findings import PAIR_KINDS
from kerascnn.engine.metrics.calibration import AS_TRAINED
from kerascnn.engine.metrics.significance import f1_interval, wilson_interval
from kerascnn.engine.outcome import Outcome
from kerascnn.engine.result import Result
from kerascnn.errors import InputError
from kerascnn.results.confusion import confusion_figure
from kerascnn.results.page import Thumbnail, data_uri, svg
from kerascnn.results.report import explained, figures, mistakes
from kerascnn.results.report.calibration import calibrate
from kerascnn.results.report.gather import Judged, Material, calibrated_predictions
from kerascnn.results.report.samples import augmented
from kerascnn.results.report.unknown import unknown
from kerascnn.runtime.text import counted

PAIRS, PAIR_IMAGES = 6, 4
IMAGES = 12
CLASSES = 12  # with heat maps
SIDE = 128  # pixels of a thumbnail
MACRO_DIFFERS = 0.02  # difference from the accuracy that is explained
FOUND = 4  # pairs of equal images shown

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


def errors(material: Judged) -> dict[str, Any]:
    """Which classes and images are confused."""
    test, names = material.test, material.result.class_names
    pairs = mistakes.confusions(test)
    return {
        "tested": len(test),
        "wrong": len(test.wrong),
        "pairs": [
            {
                "true": names[pair.true],
                "predicted": names[pair.predicted],
                "count": len(pair.rows),
                "of": pair.of,
                "images": thumbnails(material, pair.rows[:PAIR_IMAGES], brief=True),
            }
            for pair in pairs[:PAIRS]
        ],
        "more_pairs": max(0, len(pairs) - PAIRS),
        "most_wrong": thumbnails(material, mistakes.most_wrong(test, IMAGES)),
        "least_sure": thumbnails(material, mistakes.least_sure(test, IMAGES)),
    }


def thumbnails(material: Judged, rows: Iterable[int], brief: bool = False) -> list[Thumbnail]:
    """Test images with their predicted and true class; none if the images are missing."""
    images, test, names = material.pixels(), material.test, material.result.class_names
    if images is None:
        return []
    shown = []
    for row in rows:
        true, taken = test.labels[row], test.predicted[row]
        sure = f"{test.probabilities[row, taken]:.3f}"
        of_true = f"true: {names[true]} {test.probabilities[row, true]:.3f}"
        label = "correct" if true == taken else of_true
        lines = (sure,) if brief else (f"{names[taken]} {sure}", label, file_name(material, row))
        alt = f"{names[true]}, predicted {names[taken]}"
        shown.append(Thumbnail(data_uri(images[row], SIDE), alt, lines))
    return shown


def file_name(material: Judged, row: int) -> str:
    """The file name of a test image, or its number."""
    name = material.test.names[row]
    return f"image {name}" if name.isdecimal() else Path(name).name


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


def explanations(material: Material) -> dict[str, Any]:
    """What the network looks at; nothing for a network without convolutions."""
    made: dict[str, Any] = {"heat_maps": [], "kernels": None, "maps": None, "unexplained": ""}
    images = material.pixels()
    try:
        made["kernels"] = explained.kernel_sheet(material.model)
        if images is not None:
            made["heat_maps"] = _heat_maps(material, images)
            row = mistakes.surest(material.test)
            made["maps"] = {
                "image": thumbnails(material, [row])[0],
                "sheets": explained.map_sheets(material.model, images[row], material.result.blocks),
            }
    except InputError as error:
        made["unexplained"] = str(error)
    return made


def _heat_maps(material: Material, images: Any) -> list[dict[str, Any]]:
    """For each class a correct and a misclassified image, with Grad-CAM."""
    test, names = material.test, material.result.class_names
    chosen, asked = _exemplars(material), list[tuple[int, int]]()
    for _, right, wrong in chosen:
        asked += [(right, test.labels[right])] if right is not None else []
        if wrong is not None:
            asked += [(wrong, test.predicted[wrong]), (wrong, test.labels[wrong])]
    rows, classes = (np.array(column) for column in zip(*asked, strict=True))
    heats = iter(explained.heat_maps(material.model, images[rows], classes))

    def shown(row: int, label: int, source: str) -> Thumbnail:
        said = f"for {names[label]} {test.probabilities[row, label]:.3f}"
        return Thumbnail(source, f"evidence for {names[label]}", (said,))

    of_class: dict[int, dict[str, Any]] = {}
    for (row, label), source in zip(asked, heats, strict=True):
        true = int(test.labels[row])
        entry = of_class.setdefault(true, {"name": names[true], "right": [], "wrong": []})
        side = entry["right" if test.predicted[row] == true else "wrong"]
        if not side:
            side.append(Thumbnail(data_uri(images[row], SIDE), names[true]))
        side.append(shown(row, label, source))
    return list(of_class.values())


def _exemplars(material: Material) -> list[tuple[int, int | None, int | None]]:
    """For each class a correct row and a wrong one, the classes with most mistakes first."""
    test = material.test
    order = np.argsort(-np.bincount(test.labels[test.wrong], minlength=test.classes), kind="stable")
    rows = [
        (label, mistakes.surest_right(test, label), mistakes.surest_wrong(test, label))
        for label in order[:CLASSES].tolist()
    ]
    return sorted(row for row in rows if row[1:] != (None, None))


def images(material: Material) -> dict[str, Any]:
    """The data: problems found, and augmented samples."""
    result = material.result
    samples = augmented(material, IMAGES)
    return {
        "findings": _findings(material),
        "samples": samples,
        "sample_pairs": _sample_pairs(samples, result.class_names) if samples else [],
    }


def _sample_pairs(samples: Any, names: list[str]) -> list[Thumbnail]:
    """Each image as stored, next to what the network saw."""
    shown = []
    columns = (samples.before, samples.after, samples.labels, samples.shares, samples.partners)
    for before, after, label, share, partner in zip(*columns, strict=True):
        both = np.stack([explained.resized(image, SIDE) for image in (before, after)])
        lines = [names[label]]
        if share < 0.995:
            lines.append(f"{share:.0%}, mixed with another image ({names[partner]})")
        alt = f"{names[label]}, before and after augmentation"
        shown.append(Thumbnail(data_uri(explained.sheet(both, 2)), alt, tuple(lines)))
    return shown


def _findings(material: Material) -> dict[str, Any]:
    """Problems with the images, with examples of each kind; {} if they were not examined."""
    found = material.result.findings
    if not found:
        return {}
    return {
        "kinds": [
            {
                "said": said,
                "count": found["counts"][kind],
                "pairs": [_found(material, pair) for pair in found[kind][:FOUND]],
            }
            for kind, said in PAIR_KINDS.items()
            if found["counts"].get(kind)
        ],
        "skipped": [f"{split}: {one}" for split, some in found["skipped"].items() for one in some],
        "ignored": found["ignored"],
    }


def _found(material: Material, pair: list[dict[str, Any]]) -> Thumbnail | None:
    """Two images side by side."""
    if material.data is None:
        return None
    splits = material.data.splits()
    both = [explained.resized(splits[of["split"]].images[of["row"]], SIDE) for of in pair]
    lines = [f"{of['split']}: {Path(of['name']).name} ({of['label']})" for of in pair]
    return Thumbnail(data_uri(explained.sheet(np.stack(both), 2)), " = ".join(lines), tuple(lines))


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


def weights_facts(result: Result) -> dict[str, str]:
    """Origin and licence of the weights that the network started from; {} from scratch."""
    if result.weights is None:
        return {}
    size = result.weights["image_size"]
    return {
        "origin": result.weights["origin"],
        "licence": result.weights["licence"] or "unknown",
        "trained on": result.weights["trained_on"] or "unknown",
        "image size": f"{size} pixels" if size else "unknown",
    }


def said_time(ended: str) -> str:
    """Such as 29 November 2026, 21:36, of a time in ISO 8601; "" of none."""
    time = datetime.fromisoformat(ended) if ended else None
    return f"{time.day} {time:%B %Y, %H:%M}" if time else ""
