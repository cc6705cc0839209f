"""The chapters of a report that show images: mistakes, what the network looks at, the data."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn.engine.data.hygiene.findings import PAIR_KINDS
from kerascnn.errors import InputError
from kerascnn.results.page import Thumbnail, data_uri
from kerascnn.results.report import explained, mistakes
from kerascnn.results.report.gather import Judged, Material
from kerascnn.results.report.samples import augmented

PAIRS, PAIR_IMAGES = 6, 4
IMAGES = 12
CLASSES = 12  # with heat maps
SIDE = 128  # pixels of a thumbnail
FOUND = 4  # pairs of equal images shown


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
