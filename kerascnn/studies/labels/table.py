"""The table of labels that a person edits: every image, the most suspicious first."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from kerascnn.engine.data.hygiene.corrections import Correction, read_corrections
from kerascnn.engine.metrics.suspicion import Suspicion
from kerascnn.runtime.csv_files import write_csv
from kerascnn.runtime.text import nfc
from kerascnn.studies.labels.images import AllImages

UNKNOWN = "?"
"""The label of the dataset, where a table without it left an image out."""


class TableRow(NamedTuple):
    """A row of the table, by its columns.

    Args:
        path: See `table_paths`.
        label: In force, or as a person has edited it; "" leaves the image out.
        suggested: The likeliest other class.
        score: How suspicious the label is, 0 to 1.
        given: The label of the dataset.
    """

    path: str
    label: str
    suggested: str
    score: str
    given: str

    @property
    def edited(self) -> bool:
        return self.label != self.given


def table_rows(
    images: AllImages,
    found: Suspicion,
    order: Sequence[int],
    before: Path,
    applied: Path | None,
) -> list[TableRow]:
    """The rows of the table, with the edits of an earlier one.

    Args:
        images: All images.
        found: What speaks against each label.
        order: Their rows, the most suspicious first.
        before: The earlier table, if it exists.
        applied: The corrections of the experiment, which may leave images out.
    """
    edits = {nfc(one.path): one for one in _edits(before)}
    rows = list[TableRow]()
    for row in order:
        edit = edits.get(nfc(images.paths[row]))
        rows.append(
            TableRow(
                images.paths[row],
                edit.label if edit else images.classes[images.labels[row]],
                images.classes[found.suggested[row]],
                f"{found.score[row]:.3f}",
                images.classes[images.given[row]],
            )
        )
    known = set(map(nfc, images.paths))
    gone = {nfc(one.path): one for one in (*_edits(applied), *edits.values()) if not one.label}
    return rows + [
        TableRow(one.path, "", "", "", one.given or UNKNOWN)
        for path, one in gone.items()
        if path not in known
    ]


def write_table(file: Path, rows: Sequence[TableRow]) -> None:
    write_csv(file, TableRow._fields, rows)


def _edits(file: Path | None) -> Sequence[Correction]:
    return read_corrections(file.expanduser()).rows if file and file.expanduser().is_file() else ()
