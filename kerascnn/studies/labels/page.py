"""The page of a check of labels: images by suspicion, their neighbours, and odd ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerascnn.results.page import Thumbnail, data_uri, percent, render
from kerascnn.runtime.files import write_whole
from kerascnn.studies.features.neighbours import Neighbours
from kerascnn.studies.labels.images import AllImages
from kerascnn.studies.labels.odd import Look
from kerascnn.studies.labels.result import LabelCheck
from kerascnn.studies.labels.table import TableRow

FEWEST, MOST = 50, 200  # suspicious labels shown
NEIGHBOURS = 4
GROUPS = 24  # of one kind of odd images
SIDE, SMALL = 176, 72  # pixels


@dataclass(frozen=True)
class Material:
    """What the page shows.

    Args:
        check: The result.
        images: All images.
        order: Their rows, the most suspicious first.
        neighbours: Of each image.
        looks: Other images to look at.
        rows: Of the table; the first are those of `order`.
    """

    check: LabelCheck
    images: AllImages
    order: Sequence[int]
    neighbours: Neighbours
    looks: Sequence[Look]
    rows: Sequence[TableRow]


def write_page(file: Path, material: Material) -> None:
    """Writes one self-contained HTML page; on it labels can be chosen and saved as a table."""
    count = min(len(material.order), max(FEWEST, len(material.check.wrong)), MOST)
    shown = list(zip(material.order[:count], material.rows, strict=False))
    page = render(
        "labels.html",
        check=material.check,
        classes=material.images.classes,
        suspects=[_suspect(material, row, of_table) for row, of_table in shown],
        looks=[_look(material, look) for look in material.looks],
        others=[list(row) for row in material.rows[count:] if row.edited],
    )
    write_whole(file, page)


def _suspect(material: Material, row: int, of_table: TableRow) -> dict[str, Any]:
    images, (near, likeness) = material.images, material.neighbours
    likely = (images.classes[images.labels[row]], of_table.suggested)
    neighbours = zip(near[row, :NEIGHBOURS], likeness[row], strict=False)
    return {
        "row": of_table,
        "split": images.split[row],
        "label": likely[0],
        "choices": dict.fromkeys((*likely, *images.classes)),
        "image": _thumbnail(images, row, SIDE),
        "neighbours": [
            _thumbnail(images, int(other), SMALL, images.classes[images.labels[other]], percent(of))
            for other, of in neighbours
        ],
    }


def _look(material: Material, look: Look) -> dict[str, Any]:
    images = material.images
    groups = look.groups[:GROUPS]
    return {
        "kind": look.kind,
        "title": look.title,
        "count": len(look.groups),
        "noun": "image" if all(len(group) == 1 for group in look.groups) else "group",
        "groups": [
            [
                _thumbnail(
                    images,
                    row,
                    SIDE,
                    images.classes[images.labels[row]],
                    f"{images.split[row]}: {images.paths[row]}",
                )
                for row in group
            ]
            for group in groups
        ],
    }


def _thumbnail(images: AllImages, row: int, side: int, *lines: str) -> Thumbnail:
    alt = f"{images.paths[row]}, labelled {images.classes[images.labels[row]]}"
    return Thumbnail(data_uri(images.pixels(row), side), alt, lines)
